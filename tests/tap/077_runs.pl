# A run of many pulls: one coordinator and one session on the source for all of them, workers that go from
# pull to pull, and ends of their own: a pull that fails, or is cancelled, leaves the others alone.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";

use ParallelLoader::Test;
use Test::More;

my $pair = ParallelLoader::Test->new(retries => 1);
my $TABLES = 20;
my $ROWS = 2000;
$pair->create_gate;
for my $number (1 .. $TABLES) {
  my $count = $ROWS * ($number == 7 ? 5 : 1);
  $pair->source_sql("CREATE TABLE t$number (id integer PRIMARY KEY, note text);
    INSERT INTO t$number SELECT i, 'table $number row ' || i FROM generate_series(1, $count) AS i; ANALYZE t$number");
  $pair->destination_sql("CREATE TABLE t$number (id integer PRIMARY KEY, note text)");
}
my $dsn = literal($pair->dsn);

sub create {
  my ($table, $run, %named) = @_;
  return $pair->destination_sql($pair->table_sql('parallel_pull_create', $table,
      {chunk_size => '64kB', key => 'id', %named, defined $run ? (run_id => $run) : ()}));
}

sub states {
  my ($run) = @_;
  return $pair->destination_sql("SELECT string_agg(DISTINCT state, ',') FROM parallel_pulls WHERE run_id = $run");
}

sub sessions { # on the source
  return $pair->source_sql(q(SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'parallel_loader%'));
}

# ---- one coordinator, one session ----

my $run = create('t1');
create("t$_", $run) for 2 .. $TABLES;
is(scalar($pair->coordinator_pids), 1, 'a run of 20 pulls has one coordinator');
is(sessions(), 1, '… and one session on the source');
is($pair->destination_sql("SELECT count(DISTINCT snapshot), count(*) FROM parallel_pulls WHERE run_id = $run"), "1|$TABLES",
  '… and all its pulls one snapshot');
is(states($run), 'planned', '… they are planned');
is($pair->destination_sql("SELECT count(DISTINCT coordinator_pid), bool_and(coordinator_ends > now()), bool_and(began_empty)
  FROM parallel_pulls WHERE run_id = $run"), '1|t|t', '… and say who waits for workers, and how long');
my $work = $pair->destination_sql("SELECT rows, remaining FROM parallel_pull_work($run, workers => 2, whole_run => true)");
is($work, ($TABLES - 1) * $ROWS + 5 * $ROWS . '|0', 'workers of one call copy them all');
is(states($run), 'done', '… and each is done');
$pair->same_rows("SELECT * FROM t$_", "… t$_ has its rows") for 1, 7, $TABLES;
is($pair->destination_sql("SELECT count(*) FROM parallel_pull_chunks WHERE copied_by IS NULL OR started > finished"), 0,
  '… and each chunk says who has copied it, and when');
is($pair->destination_sql("SELECT p.\"table\" FROM parallel_pull_chunks c JOIN parallel_pulls p USING (pull_id)
  WHERE p.run_id = $run ORDER BY c.started LIMIT 1"), 't7', 'the biggest table comes first');
$pair->nothing_left('no process or session is left');

# ---- a pull that fails, one that cannot be planned, one that is cancelled ----

sub begin_anew {
  my (@tables) = @_;
  $pair->destination_sql(join ';', map { "TRUNCATE $_" } @tables);
  return;
}

sub state_of {
  my ($pull) = @_;
  return $pair->destination_sql("SELECT state FROM parallel_pulls WHERE pull_id = $pull");
}

my @some = map { "t$_" } 1 .. 6;
begin_anew(@some);
$pair->destination_sql('INSERT INTO t3 VALUES (1500, \'in the way\')');
$run = create($some[0]);
my %pull = ($some[0] => $run);
$pull{$_} = create($_, $run) for @some[1 .. 5];
$pair->destination_sql('CREATE TABLE nowhere (id integer)');
$pair->error_is($pair->table_sql('parallel_pull_create', 'nowhere', {run_id => $run}), '42P01', qr/nowhere/,
  'a pull that cannot be planned is an error');
$pair->error_is($pair->table_sql('parallel_pull_create', 't1', {run_id => $run, key => 'none'}), '42703', qr/none/,
  '… so is a key that is not there');
is($pair->destination_sql("SELECT count(*) FROM parallel_pulls WHERE run_id = $run"), 6, '… and leaves the run as it was');
is($pair->destination_sql("SELECT parallel_pull_cancel($pull{t5})"), 't', 'a pull of the run is cancelled');
is(state_of($pull{t5}), 'cancelled', '… at once');
$work = $pair->try_sql("SELECT remaining FROM parallel_pull_work($run, workers => 2, whole_run => true)");
is($work->summary, 'success: 0', 'the run is copied all the same');
is($pair->destination_sql("SELECT state, sqlstate FROM parallel_pulls WHERE pull_id = $pull{t3}"), 'failed|23505',
  '… but for the pull that fails');
is($pair->destination_sql("SELECT string_agg(\"table\"::text, ',' ORDER BY pull_id) FROM parallel_pulls
  WHERE run_id = $run AND state = 'done'"), 't1,t2,t4,t6', '… and the one that was cancelled');
$pair->same_rows("SELECT * FROM $_", "… $_ has its rows") for qw(t1 t2 t4 t6);
is($pair->destination_sql('SELECT count(*) FROM t5'), 0, '… the cancelled one has none');
my $held = $pair->destination_sql("SELECT coordinator_pid IS NOT NULL, coordinator_ends > now() FROM parallel_pulls
  WHERE pull_id = $pull{t3}");
is($held, 't|t', '… and the snapshot is held for the failed one');
$pair->error_is("SELECT parallel_pull_work($pull{t3})", '55000', qr/cannot be joined: it is failed/, '… which cannot be joined');
$pair->source_sql('UPDATE t3 SET note = note || \' changed\''); # after the snapshot
my $expected = $pair->source_sql(q(SELECT count(*) FROM t3));
$pair->destination_sql('DELETE FROM t3 WHERE note = \'in the way\'');
my $resumed = $pair->try_sql("SELECT rows FROM parallel_pull_resume($pull{t3})");
is($resumed->summary, "success: $expected", '… and resumed under it');
is($pair->destination_sql(q(SELECT count(*), count(DISTINCT id), bool_or(note LIKE '%changed') FROM t3)), "$expected|$expected|f",
  '… with every row of the snapshot once');
is(state_of($pull{t3}), 'done', '… it is done');
$pair->nothing_left('the holder leaves when its last pull was resumed');

# ---- two that fail, resumed one after the other; one is given up ----

begin_anew(@some);
$pair->destination_sql("INSERT INTO $_ VALUES (1500, 'in the way')") for qw(t2 t3 t4);
$run = create('t1');
%pull = (t1 => $run, map { $_ => create($_, $run) } qw(t2 t3 t4));
$pair->destination_sql("SELECT parallel_pull_work($run, whole_run => true)");
is(state_of($pull{$_}), 'failed', "$_ has failed") for qw(t2 t3 t4);
$pair->destination_sql("DELETE FROM $_ WHERE note = 'in the way'") for qw(t2 t3 t4);
$pair->destination_sql("SELECT parallel_pull_cancel($pull{t4})");
ok(ParallelLoader::Test::wait_until(5, sub {
  $pair->destination_sql("SELECT hold_ended FROM parallel_pulls WHERE pull_id = $pull{t4}") eq 'the pull was cancelled' }),
  'a failed pull of several can be given up');
for my $table (qw(t2 t3)) {
  is($pair->try_sql("SELECT rows FROM parallel_pull_resume($pull{$table})")->summary, "success: $ROWS", "$table is resumed");
  $pair->same_rows("SELECT * FROM $table", '… with all rows') if $table ne 't3';
}
$pair->nothing_left('the holder leaves after the last of them');

# ---- without whole_run; a failure is the call's error ----

begin_anew(@some);
$pair->destination_sql("INSERT INTO t2 VALUES (1500, 'in the way')");
$run = create('t1');
%pull = (t1 => $run, map { $_ => create($_, $run) } qw(t2 t3));
is($pair->destination_sql("SELECT rows, remaining FROM parallel_pull_work($pull{t3})"), "$ROWS|0",
  'a session can work on one pull of a run');
is(state_of($pull{t3}), 'done', '… which is done then');
is(state_of($pull{t1}), 'planned', '… and leave the others alone');
$pair->error_is("SELECT parallel_pull_work($pull{t2})", '23505', qr/duplicate key.*Pull $pull{t2} failed/s,
  '… and gets the error of its pull');
is($pair->destination_sql("SELECT parallel_pull_wait($pull{t2})"), 'failed', '… as does who waits for it');
is($pair->destination_sql("SELECT remaining FROM parallel_pull_work($run, max_chunks => 1, whole_run => true)") > 0, 1,
  'chunks that are left of the run are counted');
$pair->destination_sql("SELECT parallel_pull_work($run)");
is(state_of($pull{t1}), 'done', 'the last one is done');
$pair->destination_sql("SELECT parallel_pull_cancel($pull{t2})");
$pair->nothing_left('nothing is left');

# ---- another role's run, another source ----

begin_anew(@some);
$run = create('t1');
$pair->error_is("SELECT parallel_pull_create(" . literal($pair->dsn . ' application_name=x user=postgres port=1')
    . ", 't2', run_id => $run)", '55000', qr/run $run reads from another source/, 'a pull from another source is refused');
$pair->destination_sql("SELECT parallel_pull_cancel($run)");
$pair->nothing_left('a run whose pulls have all been cancelled ends');

# ---- kills ----

sub every_row_once {
  my ($rule, @tables) = @_;
  $pair->same_rows("SELECT * FROM $_", "$rule: $_ has every row once") for grep { $_ ne 't3' } @tables;
  return;
}

$pair->source_sql(join ';', map { "CREATE VIEW v$_ AS SELECT id, note FROM t$_ WHERE gate(id, 1000)" } 1, 2);
sub begin_gated {
  begin_anew(@some);
  $pair->close_gate;
  my $first = create('t1', undef, source_table => 'v1');
  create('t2', $first, source_table => 'v2');
  create($_, $first) for qw(t4 t6);
  my $session = $pair->session('destination');
  $session->start("SELECT remaining FROM parallel_pull_work($first, workers => 2, whole_run => true)");
  $pair->wait_at_gate(1);
  return ($first, $session);
}

($run, my $session) = begin_gated();
kill 'TERM', ($pair->worker_pids)[0];
$pair->open_gate;
is($session->finish->summary, 'success: 0', 'a worker is terminated, and replaced');
every_row_once('a terminated worker', qw(t1 t2 t4 t6));
is(states($run), 'done', '… all is done');

($run, $session) = begin_gated();
$pair->destination_sql("SELECT parallel_pull_cancel($run)");
is(state_of($run), 'cancelled', 'a pull whose chunk waits for the source is cancelled');
$pair->open_gate;
is($session->finish->summary, 'success: 0', '… its worker goes on with others');
every_row_once('a pull is cancelled', qw(t2 t4 t6));
is($pair->destination_sql("SELECT count(*) FROM parallel_pulls WHERE run_id = $run AND state = 'done'"), 3, '… which are done');

# ---- a chunk that another session loses ----

for my $of ('one pull', 'a run') {
  for my $rest (0, 1) {
    begin_anew(@some);
    $pair->close_gate;
    $run = create('t1', undef, source_table => 'v1', chunk_size => '1GB');
    create('t2', $run) if $rest;
    my $call = "SELECT remaining FROM parallel_pull_work($run" . ($of eq 'a run' ? ', whole_run => true)' : ')');
    my ($losing, $waiting) = map { $pair->session('destination') } 1, 2;
    $losing->start($call);
    $pair->wait_at_gate(1);
    $waiting->start($call);
    sleep 1;
    ok(!$waiting->is_finished, "$of: a session waits for a chunk that another has");
    is($pair->destination_sql("SELECT remaining > 0 FROM parallel_pull_work($run, max_chunks => 1)"), 't',
      '… unless it was asked for some chunks alone');
    $pair->destination_sql('SELECT pg_terminate_backend(' . $losing->backend_pid . ')');
    $pair->open_gate;
    is($waiting->finish->summary, 'success: 0', '… and takes it when that is lost');
    $pair->same_rows('SELECT * FROM t1', '… with every row once');
    $losing->finish;
    $pair->destination_sql("SELECT parallel_pull_cancel(pull_id) FROM parallel_pulls WHERE run_id = $run AND state <> 'done'");
    $pair->nothing_left('… nothing is left');
  }
}

# ---- a source of the session's own, which is another ----

$pair->source_sql('CREATE DATABASE elsewhere');
for my $more ('', ', whole_run => true') {
  begin_anew(@some);
  $run = create('t1');
  my $next = create('t2', $run);
  my $elsewhere = literal($pair->dsn =~ s/dbname=\S+/dbname=elsewhere/r);
  $pair->error_is("SELECT parallel_pull_work($run, $elsewhere$more)", '22023',
    qr/source in src_dsn does not have the snapshot of pull $run: .*own source/s, 'another source is the error of the call');
  like(states($run), qr/^(?:planned|planned,running|running)$/, '… and leaves the run as it was');
  is($pair->destination_sql("SELECT remaining FROM parallel_pull_work($run, $dsn, whole_run => true)"), 0, '… which others copy');
  every_row_once('after another source', qw(t1 t2));
  $pair->nothing_left('… nothing is left');
}

$pair->source_sql('CREATE ROLE blind LOGIN');
for my $more ('', ', whole_run => true') {
  begin_anew(@some);
  $run = create('t1');
  my $blind = literal($pair->dsn . ' user=blind');
  $pair->error_is("SELECT parallel_pull_work($run, $blind$more)", '42501', qr/permission denied/,
    'a role of the source that may not read the table is the error of the call');
  is($pair->destination_sql("SELECT coalesce(sqlstate, 'none') || retries FROM parallel_pulls WHERE pull_id = $run"), 'none0', '… and not of the pull');
  is($pair->destination_sql("SELECT remaining FROM parallel_pull_work($run, $dsn$more)"), 0, '… which others copy');
  every_row_once('after a role that may not read', 't1');
  $pair->nothing_left('… nothing is left');
}
$pair->source_sql('DROP ROLE blind');

begin_anew(@some);
$pair->close_gate;
$run = create('t1', undef, source_table => 'v1', chunk_size => '1GB');
my @waiting = map { $pair->session('destination') } 1, 2;
$waiting[0]->start("SELECT parallel_pull_work($run, whole_run => true)");
$pair->wait_at_gate(1);
$waiting[1]->start("SELECT parallel_pull_work($run, whole_run => true)");
sleep 1;
kill 'TERM', $pair->coordinator_pids;
is($_->finish->sqlstate, '57P01', 'the coordinator is terminated: a session that works or waits gets the error') for @waiting;
$pair->open_gate;
$pair->nothing_left('… nothing is left');

($run, $session) = begin_gated();
kill 'TERM', $pair->coordinator_pids;
$session->finish;
$pair->open_gate;
$pair->nothing_left('the coordinator is terminated: nothing is left');
is(states($run) =~ /interrupted/, 1, '… and pulls are interrupted');
for my $pull (split /\n/, $pair->destination_sql("SELECT pull_id FROM parallel_pulls WHERE run_id = $run AND state <> 'done'")) {
  is($pair->try_sql("SELECT pull_id FROM parallel_pull_resume($pull, new_snapshot => true)")->summary, "success: $pull",
    '… each can be resumed');
}
every_row_once('an interrupted run', qw(t1 t2 t4 t6));

$pair->finish;
