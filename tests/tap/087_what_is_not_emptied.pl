# What a careless command must not do: empty the only copy of rows, or rows that are not its own, load a
# row twice, or leave one of two tables out without a word.

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
$pair->create_gate;
$pair->both_sql(<<'SQL');
CREATE TABLE t (id integer, note text);
CREATE TABLE ancestor (id integer);
CREATE TABLE heir () INHERITS (ancestor);
CREATE TABLE parted (id integer) PARTITION BY RANGE (id);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (100);
CREATE TABLE parted_2 PARTITION OF parted FOR VALUES FROM (100) TO (200);
CREATE TABLE shard_1 (id integer PRIMARY KEY, note text);
CREATE TABLE shard_2 (id integer PRIMARY KEY, note text);
CREATE TABLE big (id integer PRIMARY KEY, note text);
CREATE TABLE little (id integer);
SQL
$pair->source_sql(<<'SQL');
INSERT INTO t SELECT i, 'n' FROM generate_series(1, 100) AS i;
INSERT INTO ancestor SELECT generate_series(1, 10);
INSERT INTO heir SELECT generate_series(11, 20);
INSERT INTO parted SELECT generate_series(0, 199);
INSERT INTO shard_1 SELECT i, repeat('1', 100) FROM generate_series(1, 5000) AS i;
INSERT INTO shard_2 SELECT i, repeat('2', 100) FROM generate_series(1, 500) AS i;
INSERT INTO big SELECT i, repeat('b', 100) FROM generate_series(1, 20000) AS i;
INSERT INTO little SELECT generate_series(1, 50);
ANALYZE;
SQL

sub copy { return run_program('copy', @both, @_) }
sub count { my ($of) = @_; return $pair->destination_sql("SELECT count(*) FROM $of") }

# ---- --truncate ----

$pair->destination_sql(q(INSERT INTO t SELECT i, 'mine' FROM generate_series(1, 7) AS i));
my @here = ('--source', $destination, '--target', $destination);
my $run = run_program('copy', @here, '--truncate', 't');
is($run->{code}, 2, 'one database as source and destination: --truncate is refused');
like($run->{err}, qr/tables are not emptied where source and destination are the same database/, '… with the reason');
is(count('t'), 7, '… and nothing is emptied');
$run = run_program('copy', @here, '--where', 'true', 't');
is($run->{code}, 1, '… and so is a table that goes into itself');
like($run->{err}, qr/the source is the destination table itself/, '… with the reason');
is(count('t'), 7, '… and has no row twice');
# hint: orchestrator/commands/copy.cpp: TABLE=TARGET_TABLE.
# hint: orchestrator/commands/copy.cpp: and copy without --truncate.
$pair->destination_sql('CREATE TABLE t_copy (LIKE t)');
$run = run_program('copy', @here, 't=t_copy');
is($run->{code}, 0, '… but for another table') or diag $run->{err};
is(count('t_copy'), 7, '… which is loaded');

$run = copy('--source-on-target', 'host=/nowhere dbname=postgres', '--truncate', 't');
is($run->{code}, 3, 'a source that the destination cannot reach: exits with 3') or diag $run->{err};
is(count('t'), 7, '… and nothing is emptied');

$pair->destination_sql('INSERT INTO heir SELECT generate_series(1, 3)');
$run = copy('ancestor');
is($run->{code}, 0, 'rows of a table that inherits do not keep a copy of the other away') or diag $run->{err};
$run = copy('--truncate', 'ancestor');
is($run->{code}, 0, '… nor are they emptied with it') or diag $run->{err};
is(count('ONLY ancestor') . ' ' . count('ONLY heir'), '10 3', '… they stay');
$run = copy('--truncate', 'parted', 'ancestor', 'heir');
is($run->{code}, 0, 'a partitioned table is emptied') or diag $run->{err};
is(copy('--truncate', 'parted')->{code} . ' ' . count('parted'), '0 200', '… with its partitions');

# ---- a row twice, or never ----

$run = copy('--truncate', 'parted', 'parted_1');
is($run->{code}, 0, 'a partition beside its partitioned table');
is(count('parted'), 200, '… comes once');
$run = copy('--truncate', '--exclude', 'parted_1', 'parted');
is($run->{code}, 2, 'a partition cannot be excluded from its partitioned table');
like($run->{err}, qr/partition "public\.parted_1" cannot be excluded/, '… which is said');
is(count('parted'), 200, '… before anything is emptied');
is(copy('--truncate', '--exclude', 'parted_1', '--exclude', 'parted', 'parted_2')->{code}, 0, '… what it says works');
$run = copy('t=a', 't=b');
is($run->{code}, 2, 'a table into two is refused');
like($run->{err}, qr/table "public\.t" is to go into "a" and into "b"/, '… with both names');
is(copy('--truncate', 't', 't')->{code} . ' ' . count('t'), '0 100', 'a table that is named twice comes once');

# ---- resume --restart ----

$pair->destination_sql('CREATE TABLE merged (id integer, note text, CHECK (id <> 4900 OR note NOT LIKE $$1%$$))');
$run = copy('--jobs', 1, '--chunk-size', '64kB', 'shard_1=merged');
is($run->{code}, 1, 'the first part fails in the middle');
my $part = $pair->newest_pull_id;
my $before = count('merged');
cmp_ok($before, '>', 0, '… with rows');
$run = run_program('resume', $part, '--target', $destination, '--restart');
is($run->{code}, 1, 'a restart without a source is refused') or diag $run->{err};
# hint: orchestrator/commands/resume_work.cpp: Give --source.
like($run->{err}, qr/source is not given.*Give --source\./s, '… with what to do');
is(count('merged'), $before, '… and nothing is emptied');
is(copy('--where', 'true', 'shard_2=merged')->{code}, 0, 'another pull adds its rows');
$run = run_program('resume', $part, @both, '--restart');
is($run->{code}, 1, 'a restart of the first is refused');
like($run->{err}, qr/not emptied: pull \d+ has loaded rows, too/, '… with the reason');
is(count('merged'), $before + 500, '… and nothing is emptied');
$pair->destination_sql('TRUNCATE merged; ALTER TABLE merged DROP CONSTRAINT merged_check; ALTER TABLE merged ADD CHECK (id <> 4900)');
is(copy('--jobs', 1, '--chunk-size', '64kB', 'shard_1=merged')->{code}, 1, 'a table with one pull');
$before = count('merged');
run_program('cancel', $pair->newest_pull_id, '--target', $destination);
wait_until(20, sub { !$pair->coordinator_pids });
$pair->source_sql('ALTER TABLE shard_1 RENAME TO shard_0');
is(run_program('resume', $pair->newest_pull_id, @both, '--restart')->{code}, 1, '… which the source does not have any more');
is(count('merged'), $before, '… is not emptied');
$pair->source_sql('ALTER TABLE shard_0 RENAME TO shard_1');
$pair->destination_sql('ALTER TABLE merged DROP CONSTRAINT merged_id_check');
$run = run_program('resume', $pair->newest_pull_id, @both, '--restart');
is($run->{code}, 0, '… is emptied and loaded again') or diag $run->{err};
$pair->same_rows({source => 'SELECT * FROM shard_1', destination => 'SELECT * FROM merged'}, '… with each row once');

# All of them, or none: with --on-error stop nothing is emptied that is not loaded then.
$pair->both_sql('CREATE TABLE sound (id integer PRIMARY KEY, note text); CREATE TABLE broken (id integer PRIMARY KEY, note text)');
$pair->source_sql("INSERT INTO $_ SELECT i, repeat('x', 100) FROM generate_series(1, 5000) AS i; ANALYZE $_") for qw(sound broken);
$pair->destination_sql("ALTER TABLE $_ ADD CONSTRAINT few CHECK (id < 4900)") for qw(sound broken);
is(copy('--jobs', 1, '--chunk-size', '64kB', 'sound', 'broken')->{code}, 1, 'two tables fail in the middle');
my $both_runs = $pair->destination_sql('SELECT max(run_id) FROM parallel_pulls');
my $counts = count('sound') . ' ' . count('broken');
unlike($counts, qr/\b0\b/, '… with rows');
$pair->destination_sql("ALTER TABLE $_ DROP CONSTRAINT few") for qw(sound broken);
$pair->source_sql('ALTER TABLE broken RENAME note TO remark');
for my $command (['copy', '--resume', $both_runs, 'sound', 'broken'], ['resume', $both_runs]) {
  $run = run_program(@$command, @both, '--restart', '--on-error', 'stop');
  is($run->{code}, 1, "$command->[0] --restart where one cannot be planned");
  is(count('sound') . ' ' . count('broken'), $counts, '… empties none');
}
$pair->source_sql('ALTER TABLE broken RENAME remark TO note');
$run = run_program('resume', $both_runs, @both, '--restart');
is($run->{code}, 0, '… and both, once it can') or diag $run->{err};
$pair->same_rows("SELECT * FROM $_", "… each row of $_ is there once") for qw(sound broken);

# ---- one run, one snapshot ----

my @many = map { "many_$_" } 1 .. 15;
$pair->both_sql(join '', map { "CREATE TABLE $_ (id integer);" } @many);
$pair->source_sql(join '', map { "INSERT INTO $_ VALUES (1);" } @many);
my $slow = start_program('copy', @both, @many);
wait_until(20, sub { $pair->destination_sql(q(SELECT count(*) FROM parallel_pulls WHERE table_name LIKE '%many%')) >= 2 });
$slow->{run}->signal('STOP');
wait_until(20, sub { $pair->destination_sql(q(SELECT count(*) FROM parallel_pulls WHERE table_name LIKE '%many%' AND state <> 'done')) == 0 });
sleep 2;
$slow->{run}->signal('CONT');
end_of($slow);
is($slow->{code}, 0, 'a program that is slow between two tables ends well') or diag $slow->{err};
is($pair->destination_sql(q(SELECT count(*), count(DISTINCT run_id), count(DISTINCT snapshot) FROM parallel_pulls WHERE table_name LIKE '%many%')),
  '15|1|1', '… with one run and one snapshot');
$pair->nothing_left('… which ends soon');

# ---- a pull of a range ----

$pair->destination_sql('TRUNCATE t');
isnt($pair->try_sql($pair->pull_sql('t', 1, 50, {dsn => 'host=/nowhere dbname=postgres'}))->sqlstate, '00000', 'a pull of a range fails before its plan');
$run = run_program('resume', $pair->newest_pull_id, @both);
is($run->{code}, 1, '… and is not resumed as a pull of the whole table') or diag $run->{err};
like($run->{err}, qr/only parallel_pull takes its bounds/, '… which is said');
is(count('t'), 0, '… and nothing is loaded');

# ---- a pull that was begun anew is not begun anew again ----

$pair->destination->append_conf('postgresql.conf', "parallel_loader.snapshot_hold = 10min\nparallel_loader.retry_budget = 5min");
$pair->destination->reload;
$pair->close_gate;
my $job = start_program('copy', @both, '--jobs', 1, '--chunk-size', '64kB', '--key-for', 'big', 'id',
  '--where-for', 'big', 'public.gate(id, 15000)', '--where-for', 'little', 'true', 'big', 'little');
$pair->wait_at_gate;
my $LITTLE = q(SELECT run_id, pull_id FROM parallel_pulls WHERE table_name = 'public.little' AND state = 'planned');
my ($run_id, $little) = split /\|/, wait_until(20, sub { $pair->destination_sql($LITTLE) });
is(run_program('cancel', $little, '--target', $destination)->{code}, 0, 'one pull of two is cancelled');
for my $round (1 .. 2) {
  $job->{run}->signal('KILL');
  end_of($job);
  $job = start_program('resume', $run_id, @both, '--jobs', 1);
  wait_until(20, sub { $pair->destination_sql(q(SELECT count(*) FROM parallel_pulls WHERE table_name = 'public.little')) > 1 });
  $pair->wait_at_gate;
}
$pair->open_gate;
end_of($job);
is($job->{code}, 0, 'a run that was resumed twice ends') or diag $job->{err};
$pair->same_rows("SELECT * FROM $_", "… $_ is there once") for qw(big little);
$pair->nothing_left('no process or session is left');

$pair->finish;
