# What a resume, a status and the commands that they print make of tables that others have loaded, emptied
# or replaced since: no row comes twice, none is taken away, and nothing is called done that is not.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";

use ParallelLoader::Program;
use ParallelLoader::Test;
use PostgreSQL::Test::Utils;
use Test::More;

my $pair = ParallelLoader::Test->new;
my ($source, $destination) = ($pair->source->connstr('postgres'), $pair->destination->connstr('postgres'));
my @both = ('--source', $source, '--target', $destination);
my @there = ('--target', $destination);
my $LOADER = literal($pair->dsn);
$pair->source->safe_psql('postgres', 'CREATE DATABASE other');
$pair->both_sql('CREATE TABLE t (id integer PRIMARY KEY, note text); CREATE TABLE u (id integer PRIMARY KEY, note text); CREATE TABLE w (a integer, note text)');
$pair->source_sql("INSERT INTO $_ SELECT i, repeat('$_', 100) FROM generate_series(1, 9000) AS i; ANALYZE $_") for qw(t u w);
$pair->source_sql(q(CREATE TABLE t (id integer PRIMARY KEY, note text); INSERT INTO t SELECT i, 'other' FROM generate_series(1, 500) AS i), dbname => 'other');

sub count { return $pair->destination_sql("SELECT count(*) FROM $_[0]") }
sub doubled { return $pair->destination_sql("SELECT count(*) - count(DISTINCT a) FROM w") }
sub new_pull { return $pair->newest_pull_id }

# A pull that fails: at the row that `check` refuses; its snapshot is lost.
sub failed {
  my ($table, $check, @arguments) = @_;
  $pair->destination_sql("TRUNCATE $table; ALTER TABLE $table ADD CONSTRAINT refuse CHECK ($check)");
  is(run_program('copy', @both, '--jobs', 1, '--chunk-size', '64kB', @arguments, $table)->{code}, 1, "a copy of $table fails");
  $pair->destination_sql("ALTER TABLE $table DROP CONSTRAINT refuse");
  ok(wait_until(20, sub { !$pair->coordinator_pids }), '… and its snapshot is lost');
  return new_pull();
}

sub refused {
  my ($rule, $run) = @_;
  local $Test::Builder::Level = $Test::Builder::Level + 1;
  is($run->{code}, 1, $rule) or diag $run->{err};
  return;
}

sub next_of { return run_program('status', $_[0], @there)->{out} =~ /^next: (.*)$/mg }

# ---- rows that another pull has brought ----

for my $case ([['--where', 'a <= 100'], []], [['--where', 'a <= 100'], ['--where', 'a <= 200']],
  [['--key', 'a', '--end', 101], ['--where', 'a < 101']]) {
  my ($first, $second) = @$case;
  my $pull = failed('w', 'a <> 50', @$first);
  is(run_program('copy', @both, @$second, 'w')->{code}, 0, "… then others of its rows are loaded (@$first, @$second)");
  is(join(' ', next_of($pull)), '', '… status does not offer to load the first again');
  my $run = run_program('resume', $pull, @there);
  refused('… and a resume is refused', $run);
  like($run->{err}, qr/pull \d+ has loaded rows into table public\.w since pull $pull ended/, '… with the reason');
  is(doubled(), 0, '… no row is there twice');
}
$pair->destination_sql('TRUNCATE w; ALTER TABLE w ADD CONSTRAINT refuse CHECK (a <> 50)');
my $ranged = "SELECT parallel_pull($LOADER, 'w', 1, 101, key => 'a')";
$pair->error_is($ranged, '23514', qr/refuse/, 'a pull between bounds');
my $pull = new_pull();
$pair->destination_sql("ALTER TABLE w DROP CONSTRAINT refuse; $ranged");
is(join(' ', next_of($pull)), '', '… that was called again is not offered');
refused('… nor resumed', run_program('resume', $pull, @there));
is(doubled(), 0, '… no row is there twice');

$pull = failed('w', 'a <> 50', '--where', 'a <= 100');
is(run_program('copy', @both, '--where', 'a > 100', 'w')->{code}, 0, '… then the others are loaded');
my $run = run_program('resume', $pull, @there);
refused('… and the first is not resumed by itself', $run);
unlike($run->{err}, qr/Continue with/, '… without a command that would be refused, too');
# hint: orchestrator/commands/resume_work.cpp: they are others, run on the destination
my ($resume) = $run->{err} =~ /run on the destination: (SELECT .*;)$/m;
$pair->destination_sql($resume // 'SELECT 1');
$pair->same_rows('SELECT * FROM w', '… but where the user knows that they are others');

# Parts that were loaded beside each other are resumed.
$pair->destination_sql("TRUNCATE w; ALTER TABLE w ADD CONSTRAINT refuse CHECK (a <> 50)");
$pair->close_gate;
$pair->create_gate;
my $beside = start_program('copy', @both, '--where', 'public.gate(a, 5000) AND a > 100', 'w');
$pair->wait_at_gate;
is(run_program('copy', @both, '--where', 'a <= 100', 'w')->{code}, 1, 'one of two parts fails while the other is loaded');
$pull = new_pull();
$pair->open_gate;
is(end_of($beside)->{code}, 0, '… which is loaded') or diag $beside->{err};
$pair->destination_sql('ALTER TABLE w DROP CONSTRAINT refuse');
wait_until(20, sub { !$pair->coordinator_pids });
my ($next) = next_of($pull);
is(shell($next // 'false')->{code}, 0, '… then status offers the first, and that works');
$pair->same_rows('SELECT * FROM w', '… each row is there once');

# Rows that are done are not taken for those of another one that found the table empty.
for my $case ([[], 'id <= 500'], [['--where', 'id <= 8950'], 'id < 8951']) {
  my ($first, $second) = @$case;
  my $pull = failed('t', 'id <> 8900', @$first);
  $pair->destination_sql('DELETE FROM t');
  is(run_program('copy', @both, '--where', $second, 't')->{code}, 0, "rows that were deleted are loaded by another pull, in part (@$first)");
  my $rows = count('t');
  is(join(' ', next_of($pull)), '', '… status offers nothing');
  refused('… and a resume is refused', run_program('resume', $pull, @both, '--new-snapshot'));
  is(count('t') . ' ' . $pair->destination_sql('SELECT count(DISTINCT id) FROM t'), "$rows $rows", '… no row is lost or comes twice');
}

# Nor is a run done whose table was emptied for another one.
$pair->destination_sql('TRUNCATE t');
is(run_program('copy', @both, 't')->{code}, 0, 'a table is loaded');
my $whole = new_pull();
$pair->destination_sql('ALTER TABLE t ADD CONSTRAINT refuse CHECK (id <> 8900) NOT VALID');
is(run_program('copy', @both, '--truncate', '--jobs', 1, '--chunk-size', '64kB', 't')->{code}, 1, '… emptied, and loaded again in part');
$pair->destination_sql('ALTER TABLE t DROP CONSTRAINT refuse');
for my $again (run_program('resume', $whole, @both), run_program('copy', @both, '--resume', $whole, 't')) {
  refused('… then the first is not done', $again);
  like($again->{err}, qr/pull $whole had copied 9 000 rows, was empty when pull \d+ began/, '… with the reason');
}
is(run_program('copy', @both, '--truncate', 't')->{code}, 0, '… and is loaded anew');
is(run_program('resume', $whole, @both)->{code}, 0, '… then it is');

# Other columns are other rows.
$pair->destination_sql('TRUNCATE t; ALTER TABLE t RENAME note TO other');
is(run_program('copy', @both, 't')->{code}, 1, 'a table is not planned');
$pull = new_pull();
$pair->destination_sql('ALTER TABLE t RENAME other TO note');
refused('… which is for all columns', run_program('copy', @both, '--columns', 'id', '--resume', $pull, 't'));
is(run_program('copy', @both, '--columns', 'id', 't')->{code}, 0, '… one of which is loaded by another');
refused('… that has not loaded the same', run_program('resume', $pull, @both));

# ---- a table that could not be begun, in a run ----

$pair->destination_sql('TRUNCATE t, w; ALTER TABLE w RENAME note TO other');
my $two = run_program('copy', @both, 't', 'w');
is($two->{code}, 1, 'one table of two cannot be begun');
$pair->destination_sql('ALTER TABLE w RENAME other TO note');
my ($go_on) = $two->{err} =~ /Continue with this table: (parallel-loader .*)$/m;
is(shell($go_on // 'false')->{code}, 0, '… and is loaded by the command that is shown') or diag $two->{err};
unlike(run_program('status', $pair->destination_sql('SELECT min(run_id) FROM (SELECT run_id FROM parallel_pulls ORDER BY pull_id DESC LIMIT 2) AS r'), @there)->{out},
  qr/not been begun/, '… then the run is complete');
$pair->same_rows("SELECT * FROM $_", "… each row of $_ is there once") for qw(t w);

# ---- what only seems to have been loaded ----

$pull = failed('t', 'id <> 5000');
is(run_program('copy', '--source', $pair->source->connstr('other'), @there, '--truncate', 't')->{code}, 0, 'another database is copied into the table');
refused('… which is not what the pull was to load', run_program('resume', $pull, @both));
refused('… nor for the command', run_program('copy', @both, '--resume', $pull, 't'));
is(count('t'), 500, '… its rows stay');

$pull = failed('t', 'id <> 1');
is(run_program('copy', @both, 't')->{code}, 0, 'a table is loaded by another pull');
my $done = run_program('resume', $pull, @both);
is($done->{code}, 0, '… then nothing is left to do') or diag $done->{err};
$pair->destination_sql('TRUNCATE t');
is(run_program('copy', @both, '--where', 'id < 100', 't')->{code}, 0, '… then a part of it alone');
refused('… then it is not done', run_program('resume', $pull, @both));
is(count('t'), 99, '… and is as it was');

$pair->destination_sql("TRUNCATE t; SELECT parallel_pull_create($LOADER, 't', chunk_size => '64kB')");
$pull = new_pull();
$pair->destination_sql("SELECT parallel_pull_table($LOADER, 't')");
$pair->destination_sql("TRUNCATE t; SELECT parallel_pull_work($pull, max_chunks => 5)");
$pair->destination_sql("SELECT parallel_pull_cancel($pull)");
wait_until(20, sub { !$pair->coordinator_pids });
my $resumed = run_program('resume', $pull, @both);
ok($resumed->{code} != 0 || count('t') == 9000, 'a pull that has gone on after the other one is not done by that') or diag $resumed->{err};

for my $change ('DROP TABLE u', 'DROP TABLE u; CREATE TABLE u (id integer PRIMARY KEY, note text); INSERT INTO u VALUES (0)') {
  $pair->destination_sql('DROP TABLE IF EXISTS u; CREATE TABLE u (id integer PRIMARY KEY, note text)');
  is(run_program('copy', @both, 'u')->{code}, 0, 'a table is loaded');
  $pair->destination_sql($change);
  my $run = run_program('resume', new_pull(), @both);
  refused("… then another is there, or none ($change)", $run);
  like($run->{err}, qr/table public\.u, into which pull \d+ had copied 9 000 rows, is no longer there/, '… which a resume says');
}
$pair->destination_sql('DROP TABLE u; CREATE TABLE u (id integer PRIMARY KEY, note text)');

# ---- a copy that goes on with a run ----

$pull = failed('t', 'id <> 8000', '--where', 'id > 5');
for my $case ([['--where', 'id <= 5'], 't'], [[], 't'], [['--where', 'id > 5'], 'u=t']) {
  my ($options, $table) = @$case;
  my $run = run_program('copy', @both, '--resume', $pull, '--new-snapshot', @$options, $table);
  refused("a copy of other rows than the run's is not that of the run (@$options $table)", $run);
  like($run->{err}, qr/pull $pull is not for the rows of table public\.t that are named here/, '… with the reason') or diag $run->{err};
}
my $same = run_program('copy', @both, '--resume', $pull, '--new-snapshot', '--where', 'id > 5', 't');
is($same->{code}, 0, '… that of the same is') or diag $same->{err};
is(count('t'), 8995, '… its rows are there');

# ---- what is printed empties nothing else ----

$pair->destination_sql('TRUNCATE t, u, w; ALTER TABLE t ADD CONSTRAINT refuse CHECK (id <> 5000); '
    . 'ALTER TABLE u ADD CONSTRAINT refuse CHECK (id <> 5000); ALTER TABLE w ADD CONSTRAINT refuse CHECK (a <> 8500)');
$pair->source_sql(q(UPDATE w SET note = repeat('w', 300)));
$pair->source_sql('ANALYZE w');
is(run_program('copy', @both, '--jobs', 1, '--chunk-size', '64kB', 'w', 't', 'u')->{code}, 1, 'three tables fail in the middle');
$pair->destination_sql("ALTER TABLE $_ DROP CONSTRAINT refuse") for qw(t u w);
wait_until(20, sub { !$pair->coordinator_pids });
my $run_id = $pair->destination_sql('SELECT max(run_id) FROM parallel_pulls');
is($pair->destination_sql("SELECT table_name FROM parallel_pulls WHERE pull_id = $run_id"), 'public.w', '… the one without a key has the number of the run');
my $before = count('t') + count('u');
$run = run_program('resume', $run_id, @both);
my ($restart) = $run->{err} =~ /Continue with this table: (parallel-loader .*--restart.*)$/m;
# hint: orchestrator/commands/resume_work.cpp: {} --restart (of one table of a run)
is(shell($restart // 'false')->{code}, 0, '… it alone can be loaded again') or diag $run->{err};
$pair->same_rows('SELECT * FROM w', '… each of its rows is there once');
is(count('t') + count('u'), $before, '… and the others are as they were');

$pull = failed('t', 'id <> 5000');
$pair->destination_sql('TRUNCATE t');
$pair->source_sql(q(CREATE TABLE precious (id integer, note text); INSERT INTO precious VALUES (-1, 'precious')));
is(run_program('copy', @both, 'precious=t')->{code}, 0, 'a table that was emptied gets other rows');
$run = run_program('resume', $pull, @both);
refused('… then it is not resumed', $run);
unlike($run->{err}, qr/--truncate/, '… and no command is shown that would empty it');
is(join(' ', next_of($pull)), '', '… nor by status');

# ---- what is told twice is shown once ----

$pair->destination_sql('ALTER TABLE w RENAME TO later; TRUNCATE t, later');
$run = run_program('copy', @both, 't', 'w', '--where', 'true');
my @commands = $run->{err} =~ /Continue with this table: (parallel-loader copy \S*w .*)$/mg;
is(scalar @commands, 1, 'the command for a table that is missing is shown once') or diag $run->{err};
$pair->destination_sql('ALTER TABLE later RENAME TO w');

# ---- a table that could not be planned ----

$pair->destination_sql('TRUNCATE t; ALTER TABLE t RENAME note TO other');
is(run_program('copy', @both, 't')->{code}, 1, 'a table is not planned');
$pull = new_pull();
$pair->destination_sql('ALTER TABLE t RENAME other TO note');
is(run_program('copy', @both, 't')->{code}, 0, '… and is loaded by another command');
is(join(' ', next_of($pull)), '', '… then status offers nothing');
$run = run_program('resume', $pull, @both);
refused('… and a resume does not load it again', $run);
unlike($run->{err}, qr/Continue with/, '… without a command that would be refused, too');

# ---- giving up, with named servers ----

my $file = PostgreSQL::Test::Utils::tempdir() . '/named.toml';
append_to_file($file, qq([connections]\nold = "$source"\nnew = "$destination"\n[copy]\nsource = "old"\ntarget = "new"\n));
$pair->destination_sql('TRUNCATE t');
my $job = start_program('copy', '--config', $file, '--max-rate', '64kB', 't');
wait_until(20, sub { $pair->pull->{state} eq 'running' });
$job->{run}->signal('INT');
is(end_of($job)->{code}, 130, 'Ctrl-C');
my ($cancel) = $job->{err} =~ /To give up: (parallel-loader .*)$/m;
is(shell($cancel // 'false')->{code}, 0, '… and giving up, with the names of a configuration file') or diag $job->{err};

$pair->nothing_left('no process or session is left');
$pair->finish;
