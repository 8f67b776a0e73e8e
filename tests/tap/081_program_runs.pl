# Runs of many tables by the program: what is selected, moved, verified, left after kills, and how it
# goes on.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";

use JSON::PP ();
use ParallelLoader::Program;
use ParallelLoader::Test;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $pair = ParallelLoader::Test->new(retries => 1);
my ($source, $destination) = ($pair->source->connstr('postgres'), $pair->destination->connstr('postgres'));
my @both = ('--source', $source, '--target', $destination);

sub copy { return run_program('copy', @both, @_) }

# The command that the pattern leads to in what the program said.
sub command_in {
  my ($job, $before) = @_;
  my ($command) = $job->{err} =~ /$before(parallel-loader .*)$/m;
  return $command // 'false';
}

# Name on both servers, rows, and what the destination has of them.
my @TABLES = (
  ['public.empty', 0], ['public.one', 1], ['sales.orders', 20_000], ['sales."Order Lines"', 5000],
  ["sales.\"two\nlines\"", 300], ['public.keyless', 2000], ['sales.parted', 4000], ['public.zzz_big', 60_000]);
my $TABLES = <<'SQL';
CREATE SCHEMA sales;
CREATE TABLE empty (id integer PRIMARY KEY);
CREATE TABLE one (id integer PRIMARY KEY, v text);
CREATE TABLE sales.orders (id integer PRIMARY KEY, v text, double integer GENERATED ALWAYS AS (id * 2) STORED);
CREATE TABLE sales."Order Lines" (id uuid PRIMARY KEY, "Odd" text);
CREATE TABLE sales."two
lines" (id serial PRIMARY KEY, v text);
CREATE TABLE keyless (id integer, v text);
CREATE TABLE sales.parted (id integer, v text) PARTITION BY RANGE (id);
CREATE TABLE sales.parted_1 PARTITION OF sales.parted FOR VALUES FROM (0) TO (2000);
CREATE TABLE sales.parted_2 PARTITION OF sales.parted FOR VALUES FROM (2000) TO (9000);
CREATE TABLE zzz_big (id integer PRIMARY KEY, v text);
SQL
$pair->both_sql($TABLES);
$pair->create_gate;
$pair->source_sql(<<'SQL');
INSERT INTO one VALUES (1, 'x');
INSERT INTO sales.orders SELECT i, repeat('o', i % 90) FROM generate_series(1, 20000) AS i;
INSERT INTO sales."Order Lines" SELECT md5(i::text)::uuid, i FROM generate_series(1, 5000) AS i;
INSERT INTO sales."two
lines" (v) SELECT i FROM generate_series(1, 300) AS i;
INSERT INTO keyless SELECT i, i FROM generate_series(1, 2000) AS i;
INSERT INTO sales.parted SELECT i, i FROM generate_series(0, 3999) AS i;
INSERT INTO zzz_big SELECT i, repeat('b', 100) FROM generate_series(1, 60000) AS i;
CREATE TABLE only_here (id integer);
ANALYZE;
SQL

sub empty_all {
  $pair->destination_sql('TRUNCATE ' . join ', ', map { $_->[0] } @TABLES);
  return;
}

sub all_are_there {
  my ($rule, @tables) = @_;
  local $Test::Builder::Level = $Test::Builder::Level + 1;
  $pair->same_rows("SELECT * FROM $_->[0]", "$rule: " . $_->[0] =~ s/\n/ /r) for @tables ? @tables : @TABLES;
  return;
}

# ---- selection ----

my $run = copy('--all', '--exclude', 'only_here', '--jobs', 2, '--chunk-size', '256kB', '--verify', 'checksum', '--json');
is($run->{code}, 0, '--all: exits with 0') or diag $run->{err};
my $document = eval { JSON::PP->new->decode($run->{out}) } // {};
is_deeply([sort map { $_->{table} } @{$document->{tables} // []}], [sort map { $_->[0] } @TABLES],
  '… takes each table, and partitions with their partitioned table');
is($document->{totals}{rows}, $pair->source_sql('SELECT 91301'), '… and counts all rows');
is(scalar(grep { $_->{verify}{matches} } @{$document->{tables}}), scalar(@TABLES), '… which are verified');
all_are_there('--all');
is($pair->destination_sql(qq(SELECT last_value FROM sales."two\nlines_id_seq")), 300, '… with sequences');
is($pair->destination_sql('SELECT count(DISTINCT snapshot), count(DISTINCT run_id) FROM parallel_pulls'), '1|1',
  '… under one snapshot, in one run');
$pair->nothing_left('… and leaves nothing');

sub takes {
  my ($rule, $expected, @arguments) = @_;
  local $Test::Builder::Level = $Test::Builder::Level + 1;
  my $listed = copy('--dry-run', '--json', @arguments);
  my $told = eval { JSON::PP->new->decode($listed->{out}) } // {};
  return is_deeply([sort map { $_->{table} } @{$told->{tables} // []}], [sort @$expected], $rule) || diag $listed->{err};
}
empty_all();
takes('a pattern', ['sales.orders', 'sales."Order Lines"', qq(sales."two\nlines"), 'sales.parted'], 'sales.*');
takes('a quoted pattern', ['sales."Order Lines"'], 'sales."Order"*');
takes('a pattern folds', ['sales.orders'], 'SALES.ORD*');
takes('a pattern without schema', ['public.zzz_big'], 'zzz*');
takes('a schema', ['sales.orders', 'sales."Order Lines"', qq(sales."two\nlines"), 'sales.parted'], '--schema', 'sales');
takes('an exclusion', ['sales.orders'], '--schema', 'sales', '--exclude', 'sales."*"*', '--exclude', 'sales.parted', '--exclude', 'sales."Order Lines"', '--exclude', "sales.\"two\nlines\"");
takes('a partition by its name', ['sales.parted_1'], 'sales.parted_1');
my $list = PostgreSQL::Test::Utils::tempdir() . '/list';
append_to_file($list, "# comment\nsales.orders\n\n  one\n");
takes('a list', ['sales.orders', 'public.one'], '--table-list', $list);
is($pair->destination_sql('SELECT count(*) FROM sales.orders'), 0, '--dry-run changes nothing');

# ---- missing tables ----

$run = copy('one', 'nope', 'no_such.*', 'only_here');
is($run->{code}, 1, 'missing tables: exits with 1');
like($run->{err}, qr/"nope" does not exist on the source/, '… names a table that is not there');
like($run->{err}, qr/no matching tables .* "no_such\.\*"/, '… and a pattern');
like($run->{err}, qr/"?only_here"? does not exist on the destination/, '… and what the destination lacks');
all_are_there('the rest is loaded', ['public.one']);
$run = copy('--on-error', 'stop', 'sales.orders', 'nope');
is("$run->{code} " . $pair->destination_sql('SELECT count(*) FROM sales.orders'), '1 0', '--on-error stop: nothing is loaded');
$run = copy('--key-for', 'one', 'id', 'sales.orders');
is($run->{code}, 2, 'an option for a table that is not selected: exits with 2');
like($run->{err}, qr/"one" is not selected/, '… and says so');

# ---- options for one table, renames ----

$pair->destination_sql('CREATE TABLE renamed (id integer, v text)');
$run = copy('sales.orders=renamed', 'one', '--columns-for', 'sales.orders', 'id, v', '--where-for', 'sales.orders', 'id <= 10',
  '--truncate');
is($run->{code}, 0, 'options for one table: exits with 0') or diag $run->{err};
is($pair->destination_sql('SELECT (SELECT count(*) FROM renamed), (SELECT count(*) FROM one)'), '10|1', '… they hold for that one');

# ---- truncate ----

$pair->destination_sql('CREATE TABLE child (id integer REFERENCES one)');
$run = copy('--truncate', 'one');
is($run->{code}, 1, 'a foreign key from outside: exits with 1');
like($run->{err}, qr/cannot truncate.*child/s, '… names it');
is($pair->destination_sql('SELECT count(*) FROM one'), 1, '… and empties nothing');
$run = copy('--truncate', '--dry-run', 'one');
is($run->{code}, 1, '… which a dry run knows');
like($run->{err}, qr/cannot truncate.*child/s, '… and names, too');
$pair->both_sql('CREATE TABLE child_here (id integer REFERENCES one)');
is(copy('--truncate', '--dry-run', 'one', 'child', 'child_here')->{code}, 1, '… as long as one of two is missing on the source');
$pair->destination_sql('DROP TABLE child');
is(copy('--truncate', '--dry-run', 'one', 'child_here')->{code}, 0, 'a foreign key of a table that is emptied, too, is none from outside');
$pair->both_sql('DROP TABLE child_here');

# ---- one failure among many ----

empty_all();
$pair->destination_sql('ALTER TABLE sales.orders ADD CONSTRAINT refuse CHECK (id <> 15000)');
$run = copy('--all', '--exclude', 'only_here', '--chunk-size', '256kB', '-j', 2);
is($run->{code}, 1, 'one table that fails: exits with 1');
like($run->{err}, qr/refuse/, '… says why');
all_are_there('the others are loaded', grep { $_->[0] ne 'sales.orders' } @TABLES);
$pair->destination_sql('ALTER TABLE sales.orders DROP CONSTRAINT refuse');
my $again = shell(command_in($run, 'Continue with(?: this table)?: '));
is($again->{code}, 0, 'the command that it names goes on with that one') or diag $again->{err};
all_are_there('… and all are there');
$pair->nothing_left('… and nothing is left');

# ---- interrupted, killed, and resumed ----

my @BOTH_JOBS_STUCK = gated('public.gate(id, 50000)');
my @ONE_JOB_STUCK = gated('id <> 50000 OR public.gate(id, 50000)');

sub gated {
  my ($where) = @_;
  return ('--where-for', 'zzz_big', $where, '--key-for', 'zzz_big', 'id', '--chunk-size', '256kB', '-j', 2,
    '--all', '--exclude', 'only_here');
}

sub start_stuck {
  my @arguments = @_;
  $pair->close_gate;
  my $job = start_program('copy', @both, @arguments);
  $pair->wait_at_gate;
  return $job;
}

empty_all();
my $job = start_stuck(@BOTH_JOBS_STUCK);
$job->{run}->signal('INT');
end_of($job);
is($job->{code}, 130, 'Ctrl-C: exits with 130');
$pair->open_gate;
$run = shell(command_in($job, 'To go on: '));
is($run->{code}, 0, '… and the command that it names goes on, also with tables that were not begun') or diag $run->{err};
all_are_there('after Ctrl-C');
$pair->nothing_left('… and nothing is left');

empty_all();
$job = start_stuck(@BOTH_JOBS_STUCK);
$job->{run}->signal('KILL');
end_of($job);
$pair->open_gate;
$run = copy(@BOTH_JOBS_STUCK, '--resume', $pair->destination_sql('SELECT max(run_id) FROM parallel_pulls'));
is($run->{code}, 0, 'kill -9: copy --resume goes on') or diag $run->{err};
all_are_there('after kill -9');
$pair->nothing_left('… and nothing is left');

# A pull that ended before it had a plan has no rows in the table.
# hint: orchestrator/commands/resume_work.cpp: Else copy it again: empty
empty_all();
$run = copy('one', '--where', 'nobody.knows(v)');
is($run->{code}, 1, 'a condition that the source does not know fails the copy');
my $id = $pair->destination_sql('SELECT max(pull_id) FROM parallel_pulls');
is(copy('one')->{code}, 0, '… and without it the table is loaded');
$run = run_program('resume', $id, @both);
is($run->{code}, 1, '… so a resume of the first is refused');
like($run->{err}, qr/pull \d+ has loaded rows into table public\.one since pull $id ended.*copy it again: empty/s, '… with the reason');
is(copy('one', '--truncate')->{code}, 0, '… and the copy that it names goes on');
all_are_there('after a pull without a plan', ['public.one']);

# hint: orchestrator/commands/resume_work.cpp: --new-snapshot
# hint: orchestrator/commands/resume_work.cpp: --restart
for my $way (qw(new-snapshot restart)) {
  empty_all();
  $job = start_stuck(@ONE_JOB_STUCK);
  ok(wait_until(60, sub { $pair->destination_sql(q(SELECT count(*) FROM parallel_pulls WHERE state = 'done'
    AND run_id = (SELECT max(run_id) FROM parallel_pulls))) == @TABLES - 1 }), 'all tables but one are done')
    or diag $pair->destination_sql('SELECT * FROM parallel_pulls ORDER BY pull_id');
  $pair->destination_sql('CHECKPOINT');
  $pair->destination->stop('immediate');
  $pair->destination->start;
  end_of($job);
  isnt($job->{code}, 0, 'a destination that crashes fails the copy');
  $pair->open_gate;
  $run = run_program('resume', @both);
  is($run->{code}, 1, 'resume after that: refuses what is partly done') or diag $run->{err};
  $run = shell(command_in($run, $way eq 'restart' ? '[Ll]oad it again: ' : 'one moment of the source: '));
  is($run->{code}, 0, "… --$way goes on") or diag $run->{err};
  like($run->{err}, qr/the tables of this run do not show one moment of the source/, '… and says that the tables share no picture');
  all_are_there("after --$way");
  $pair->nothing_left('… and nothing is left');
}

$pair->finish;
