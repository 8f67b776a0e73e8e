# What a run has and what it lacks: whoever goes on with it is not told that all is there where it is not.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";

use JSON::PP ();
use ParallelLoader::Program;
use ParallelLoader::Test;
use Test::More;

my $pair = ParallelLoader::Test->new(destination => {conf => "parallel_loader.snapshot_hold = 10min\n"});
my ($source, $destination) = ($pair->source->connstr('postgres'), $pair->destination->connstr('postgres'));
my @both = ('--source', $source, '--target', $destination);
my @tables = map { "t$_" } 1 .. 5;
$pair->both_sql(join '', map { "CREATE TABLE $_ (id integer PRIMARY KEY, note text);" } @tables);
$pair->destination_sql('ALTER TABLE t5 SET UNLOGGED');
$pair->source_sql(join('', map { "INSERT INTO $_ SELECT i, repeat('x', 100) FROM generate_series(1, 5000) AS i;" } @tables) . 'ANALYZE');

sub copy { return run_program('copy', @both, @_) }
sub resume { return run_program('resume', @both, @_) }
sub count { my ($table) = @_; return $pair->destination_sql("SELECT count(*) FROM $table") }
sub newest_run { return $pair->destination_sql('SELECT max(run_id) FROM parallel_pulls') }

sub all_are_there {
  my ($rule, @names) = @_;
  local $Test::Builder::Level = $Test::Builder::Level + 1;
  $pair->same_rows("SELECT * FROM $_", "$rule: $_") for @names ? @names : @tables;
  return;
}

sub start_over {
  wait_until(20, sub { !$pair->coordinator_pids });
  $pair->destination_sql('TRUNCATE ' . join ', ', @tables);
  return;
}

# A run of two tables, of which the first fails in its middle; returns its id.
sub half_a_run {
  my ($first, $second, @more) = @_;
  start_over();
  $pair->destination_sql("ALTER TABLE $first ADD CONSTRAINT few CHECK (id < 4900)");
  is(copy('--jobs', 1, '--chunk-size', '64kB', @more, $first, $second)->{code}, 1, "one table of two fails ($first)");
  $pair->destination_sql("ALTER TABLE $first DROP CONSTRAINT few");
  return newest_run();
}

# ---- tables that nobody has begun with ----

my $run_id;
my @many = map { "many_$_" } 1 .. 60;
$pair->both_sql(join '', map { "CREATE TABLE $_ (id integer);" } @many);
$pair->source_sql(join '', map { "INSERT INTO $_ VALUES (1);" } @many);

# Starts to copy them, and stops the program when it has begun with some.
sub stop_while_planning {
  start_over();
  $pair->destination_sql('TRUNCATE ' . join ', ', @many);
  my $before = newest_run() || 0;
  my $job = start_program('copy', @both, '--jobs', 2, @many);
  wait_until(20, sub { $pair->destination_sql("SELECT count(*) FROM parallel_pulls WHERE run_id > $before") >= 2 });
  $job->{run}->signal('STOP');
  $run_id = newest_run();
  cmp_ok($pair->destination_sql("SELECT count(*) FROM parallel_pulls WHERE run_id = $run_id"), '<', @many, 'a program is stopped before it has begun with all');
  return $job;
}

sub many_are_there {
  my ($rule) = @_;
  local $Test::Builder::Level = $Test::Builder::Level + 1;
  return is($pair->destination_sql(join ' UNION ALL ', map { "SELECT '$_' FROM $_ HAVING count(*) <> 1" } @many), '', "$rule: each row is there once");
}

my $job = stop_while_planning();
$job->{run}->signal('KILL');
end_of($job);
# hint: orchestrator/commands/status.cpp: again with --resume (of a run that lacks tables)
like(run_program('status', '--target', $destination, $run_id)->{out}, qr/\d+ tables? of run $run_id ha(?:s|ve) not been begun\. .* --resume $run_id/,
  'status says that a run lacks tables');
my $run = resume();
is($run->{code}, 1, '… resume does not end as if all were there');
# hint: orchestrator/commands/run_session.cpp: --resume (of a run that lacks tables)
like($run->{err}, qr/run $run_id is not complete: \d+ tables? (?:was|were) not begun.*Call that command again with --resume $run_id/s, '… and says why');
is($run->{out}, '', '… nor prints a result of all');
$run = copy(@many, '--resume', $run_id);
is($run->{code}, 0, '… what it says loads them') or diag $run->{err};
many_are_there('killed while it planned');
unlike(run_program('status', '--target', $destination, $run_id)->{out}, qr/not been begun/, '… then status does not say so any more');
is(resume($run_id)->{code}, 0, '… nor does resume');

$job = stop_while_planning();
$job->{run}->signal('INT');
$job->{run}->signal('CONT');
end_of($job);
my ($on) = $job->{err} =~ /^To go on: (parallel-loader copy .*)$/m;
$run = shell($on // 'false');
is($run->{code}, 0, 'after Ctrl-C while it plans, the first command loads all') or diag $job->{err} . $run->{err};
many_are_there('interrupted while it planned');

# ---- the coordinator is ended while tables are planned ----

$job = stop_while_planning();
$pair->destination_sql('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = $$parallel_loader coordinator$$');
wait_until(20, sub { !$pair->coordinator_pids });
$job->{run}->signal('CONT');
end_of($job);
is($job->{code}, 1, 'a run whose coordinator is ended fails');
is(newest_run(), $run_id, '… and no other one is begun in its place');
my @on = $job->{err} =~ /(?:Continue with this table|To load (?:it|them)|To go on): (parallel-loader .*)$/mg;
shell($_) for @on;
many_are_there('… after the commands that it prints');

# ---- tables that have lost their rows since ----

for my $way (['TRUNCATE t2', 't1', 't2'], ['TRUNCATE t1', 't1', 't2']) {
  my ($sql, @names) = @$way;
  $run_id = half_a_run(@names);
  $pair->destination_sql($sql);
  my ($emptied) = $sql =~ /(t\d)/;
  $run = resume($run_id);
  is($run->{code}, 1, "a resume after $sql fails");
  like($run->{err}, qr/\Q$emptied\E.*(?:has no rows|rows of its done chunks may be gone)/, '… and says of which table');
  my ($command) = $run->{err} =~ /(?:Continue with this table|To empty the table and load it again): (parallel-loader copy .*)$/m;
  is(shell($command // 'false')->{code}, 0, '… with a command that works') or diag $run->{err};
  all_are_there("… $sql", @names);
  run_program('cancel', $run_id, '--target', $destination);
}
$run_id = half_a_run('t1', 't5');
$pair->crash('destination')->();
$run = resume($run_id, '--restart');
is($run->{code}, 1, 'after a crash that has emptied an unlogged table a resume does not say that all is there');
like($run->{err}, qr/table public\.t5 has no rows, and pull \d+ had copied 5 000 into it/, '… but which is empty');
my ($command) = $run->{err} =~ /Continue with this table: (parallel-loader copy .*)$/m;
is(shell($command // 'false')->{code}, 0, '… with a command that works');
all_are_there('… a crash', 't1', 't5');

# ---- another source ----

$pair->source_sql('CREATE DATABASE other');
$pair->source_sql(q(CREATE TABLE t1 (id integer PRIMARY KEY, note text); INSERT INTO t1 SELECT i, 'other' FROM generate_series(1, 5000) AS i), dbname => 'other');
my $other = $pair->source->connstr('other');
$run_id = half_a_run('t1', 't2');
run_program('cancel', $run_id, '--target', $destination);
wait_until(20, sub { !$pair->coordinator_pids });
my $before = count('t1');
$run = run_program('resume', '--restart', '--source', $other, '--target', $destination, $run_id);
is($run->{code}, 1, 'a restart from another database is refused');
like($run->{err}, qr/source is not the one that the pull was started from/, '… with the reason');
unlike($run->{err}, qr/Continue with.*other/, '… and no command that names it');
is(count('t1'), $before, '… and nothing is emptied');
$run = run_program('resume', '--restart', '--target', $destination, $run_id);
is($run->{code}, 1, 'a restart needs a source');
# hint: orchestrator/run/pull_need.cpp: --source-on-target (of a restart without a source)
($command) = $run->{err} =~ /Continue with this table: (parallel-loader resume .* --source-on-target .*)$/m;
is(shell($command // 'false')->{code}, 0, '… with a command that names the one that the ledger has') or diag $run->{err};
all_are_there('… restarted', 't1', 't2');

start_over();
$pair->destination_sql('ALTER TABLE t1 RENAME note TO other');
is(run_program('copy', @both, 't1')->{code}, 1, 'a table fails before it has a plan');
$pair->destination_sql('ALTER TABLE t1 RENAME other TO note');
$run = run_program('resume', '--target', $destination, $pair->newest_pull_id);
is($run->{code}, 1, '… it is begun anew, and that needs a source');
# hint: orchestrator/commands/resume_work.cpp: --source-on-target (of one that is begun anew)
($command) = $run->{err} =~ /Continue with: (parallel-loader resume .* --source-on-target .*)$/m;
is(shell($command // 'false')->{code}, 0, '… with a command that names it') or diag $run->{err};
all_are_there('… begun anew', 't1');

# ---- what is said of snapshots, rates and what was to be emptied ----

$run_id = half_a_run('t1', 't2');
$run = resume('--json', $run_id);
is($run->{code}, 0, 'a resume under the snapshot that is held') or diag $run->{err};
my $document = eval { JSON::PP->new->decode($run->{out}) } // {};
ok(!$document->{has_several_snapshots}, '… is under the one snapshot of the run');
unlike($run->{err}, qr/one moment/, '… and does not warn');
$run = resume($run_id);
unlike($run->{err}, qr/[GT]B\/s/, 'what a resume has not moved has no rate');

start_over();
$pair->destination_sql('INSERT INTO t1 VALUES (1)');
$run = copy('--truncate', '--where', 'id >', 't1');
($command) = $run->{err} =~ /Continue with: (.*)$/m;
like($command, qr/ --truncate/, 'a table that was not emptied yet: the command empties it');

$pair->nothing_left('no process or session is left');
$pair->finish;
