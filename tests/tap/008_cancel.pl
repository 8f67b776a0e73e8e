# However a pull is ended, within five seconds no worker, no source session and no source query is
# left, the view shows the right state, done chunks stay and others have left no row.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";

use ParallelLoader::Proxy;
use ParallelLoader::Session;
use ParallelLoader::Test;
use Test::More;

# A server that restarts its processes after a crash, as it does outside of tests.
my $pair = ParallelLoader::Test->new(destination => {conf => 'restart_after_crash = on'});
my $proxy = ParallelLoader::Proxy->new($pair->source);

$pair->create_gate;
$pair->source_sql(<<'SQL');
CREATE TABLE t (id integer PRIMARY KEY, note text);
INSERT INTO t SELECT i, 'row ' || i FROM generate_series(1, 4000) AS i;
-- Two chunks: the first ends, the second stops in its middle.
CREATE VIEW gated AS SELECT id, note, gate(id, 3000) AS passed FROM t;
-- Busy for minutes before the first row comes.
CREATE VIEW sorting AS SELECT a AS id, 'x'::text AS note, true AS passed
FROM generate_series(1, 20000) AS a, generate_series(1, 20000) AS b ORDER BY (a * b) % 1000003;
SQL
$pair->destination_sql(<<'SQL');
CREATE TABLE gated (id integer, note text, passed boolean);
CREATE TABLE locked (id integer, note text);
CREATE FUNCTION sleep_long() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_sleep(300);
  RETURN new;
END $$;
CREATE TABLE sleeping (id integer, note text);
CREATE TRIGGER sleep_long BEFORE INSERT ON sleeping FOR EACH ROW WHEN (new.id = 100)
  EXECUTE FUNCTION sleep_long();
SQL

# ---- places where a pull can be stuck ----

my $GATED_CALL = $pair->pull_sql('gated', 1, 4001, {key => 'id', workers => 2});

sub is_any { my ($sql) = @_; return sub { $pair->source_sql("SELECT count(*) $sql") > 0 } }

# Each: call => the pull, table => its destination, is_there => true once it is stuck.
my %STUCK = (
  'the source waits for a lock' => {
    call => $GATED_CALL,
    table => 'gated',
    prepare => sub { $pair->close_gate },
    # The first of the two chunks is to be done, so that there is something to keep.
    is_there => sub { $pair->wait_at_gate && ($pair->pull->{chunks_done} // 0) == 1 },
  },
  'the source sorts' => {
    call => $pair->pull_sql('gated', undef, undef, {source_table => 'sorting'}),
    table => 'gated',
    is_there => is_any(q(FROM pg_stat_activity WHERE application_name LIKE 'parallel_loader%'
      AND state = 'active' AND query LIKE 'COPY%')),
  },
  'the network is dead' => {
    call => $pair->pull_sql('gated', undef, undef,
      {dsn => $proxy->dsn, source_table => 't', columns => ['id', 'note']}),
    table => 'gated',
    prepare => sub { $proxy->arm(rows => 1000, action => 'hold') },
    # A request to cancel goes nowhere either.
    is_there => sub { $proxy->wait_acted && do { $proxy->black_hole; 1 } },
    after => sub { $proxy = ParallelLoader::Proxy->new($pair->source) },
    is_source_blind => 1,
  },
  'the destination waits for a lock' => {
    call => $pair->pull_sql('locked', undef, undef, {source_table => 't'}),
    table => 'locked',
    prepare => sub {
      my ($stuck) = @_;
      $stuck->{locker} = $pair->session('destination');
      $stuck->{locker}->query_safe('BEGIN; LOCK TABLE locked IN SHARE MODE');
    },
    is_there => sub {
      $pair->destination_sql('SELECT count(*) FROM pg_locks WHERE NOT granted') > 0
    },
    after => sub { my ($stuck) = @_; delete $stuck->{locker} },
  },
  'the destination runs a trigger' => {
    call => $pair->pull_sql('sleeping', undef, undef, {source_table => 't'}),
    table => 'sleeping',
    is_there => sub {
      $pair->destination_sql(
        q(SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep')) > 0
    },
  },
);

# Starts a pull and comes back when it is stuck; returns the caller's session.
sub start_stuck {
  my ($where) = @_;
  my $stuck = $STUCK{$where};
  $pair->destination_sql("TRUNCATE $stuck->{table}");
  $stuck->{prepare}->($stuck) if $stuck->{prepare};
  my $caller = $pair->session('destination');
  $caller->start($stuck->{call});
  wait_until(20, $stuck->{is_there}) or diag("not stuck where $where");
  return $caller;
}

# Checks what is left once a stuck pull has been ended.
sub is_ended {
  my ($rule, $where, $state) = @_;
  local $Test::Builder::Level = $Test::Builder::Level + 1;
  my $stuck = $STUCK{$where};
  $pair->nothing_left("$rule: nothing is left after five seconds",
    skip_source => $stuck->{is_source_blind});
  my $pull_id = $pair->newest_pull_id;
  $pair->state_becomes($pull_id, $state, "… its state is $state");
  $stuck->{after}->($stuck) if $stuck->{after};
  $pair->only_done_chunks_left_rows($pull_id, $stuck->{table},
    $where eq 'the source waits for a lock' ? 'id' : undef, '… only done chunks have left rows');
  return;
}

sub cancel_pid {
  my ($function, @pids) = @_;
  $pair->destination_sql("SELECT $function($_)") for @pids;
  return;
}

# ---- cancel of the caller, wherever the pull is stuck ----

for my $where (sort keys %STUCK) {
  my $caller = start_stuck($where);
  cancel_pid('pg_cancel_backend', $caller->backend_pid);
  my $result = $caller->finish(5);
  $pair->result_is_error($result, '57014', qr/cancel/, "cancel of the caller where $where");
  is_ended('… and it ends', $where, 'cancelled');
}
ok(1, 'a pull can be cancelled wherever it is stuck');

# ---- each other way to end a pull ----

my $GATE = 'the source waits for a lock';

# A pull that was stuck at the gate has one chunk done; these rows stay.
sub ends_pull {
  my ($rule, $act, $sqlstate, $state) = @_;
  local $Test::Builder::Level = $Test::Builder::Level + 1;
  my $caller = start_stuck($GATE);
  $act->($caller);
  if (defined $sqlstate) {
    my $result = $caller->finish(10);
    $pair->result_is_error($result, $sqlstate, qr/./, "$rule: the caller's error");
  }
  is_ended($rule, $GATE, $state);
  is($pair->destination_sql('SELECT count(*) FROM gated'), 2000, '… the chunk that was done stays');
  return;
}

ends_pull('terminate of the caller',
  sub { cancel_pid('pg_terminate_backend', $_[0]->backend_pid) }, '57P01', 'cancelled');
ends_pull('kill -9 of the client', sub { $_[0]->kill9 }, undef, 'cancelled');
ends_pull('terminate of a worker',
  sub { cancel_pid('pg_terminate_backend', $pair->worker_pids) }, '57P01|57014',
    'failed|cancelled');
ends_pull('cancel of a worker',
  sub { cancel_pid('pg_cancel_backend', $pair->worker_pids) }, '57014', 'failed|cancelled');
ends_pull('terminate of the coordinator',
  sub { cancel_pid('pg_terminate_backend', $pair->coordinator_pids) }, '57P01|57014|08006|55000',
  'interrupted');
ends_pull('cancel of the coordinator',
  sub { cancel_pid('pg_cancel_backend', $pair->coordinator_pids) }, '57014', 'cancelled');

my $canceller = $pair->session('destination');
ends_pull('parallel_pull_cancel', sub {
  is($canceller->query_safe('SELECT parallel_pull_cancel(max(pull_id)) FROM parallel_pulls'), 't',
    'parallel_pull_cancel of a running pull is true');
}, '57014', 'cancelled');
is($canceller->query_safe('SELECT parallel_pull_cancel(max(pull_id)) FROM parallel_pulls'), 'f',
  '… and false once it has ended');
$pair->error_is('SELECT parallel_pull_cancel(4711)', '42704', qr/4711/,
  'parallel_pull_cancel of a pull that does not exist');
$pair->error_is('SELECT parallel_pull_wait(4711)', '42704', qr/4711/,
  'parallel_pull_wait for a pull that does not exist');
$canceller->close;

$pair->close_gate;
$pair->destination_sql('TRUNCATE gated');
$pair->error_is("SET statement_timeout = 1500; $GATED_CALL", '57014', qr/statement timeout/,
  'the caller\'s statement_timeout');
is_ended('statement_timeout of the caller', $GATE, 'cancelled');

# ---- asynchronous pulls ----

$pair->destination_sql('TRUNCATE gated');
$pair->close_gate;
my $pull_id = $pair->destination_sql(
  $pair->table_sql('parallel_pull_start', 'gated', {key => 'id'}));
$pair->wait_at_gate;
is($pair->pull($pull_id)->{state}, 'running', 'parallel_pull_start outlives its session');
is($pair->destination_sql("SELECT parallel_pull_wait($pull_id, interval '200 ms')"), 'running',
  'parallel_pull_wait gives up after its timeout');
is($pair->pull($pull_id)->{state}, 'running', '… and the pull goes on');
$pair->open_gate;
is($pair->destination_sql("SELECT parallel_pull_wait($pull_id)"), 'done',
  'parallel_pull_wait says how the pull ended');
is($pair->destination_sql('SELECT count(*) FROM gated'), 4000, '… with all its rows');

# ---- the destination server goes ----

for my $mode ('fast', 'immediate', 'kill -9 of the server', 'kill -9 of a worker') {
  my $waiting_caller = start_stuck($GATE);
  my $id = $pair->newest_pull_id;
  my $seconds = stopwatch();
  if ($mode eq 'kill -9 of the server') {
    my @pids = (split(/\n/, $pair->destination_sql('SELECT pid FROM pg_stat_activity')));
    $pair->destination->kill9;
    wait_until(60, sub { !grep { kill 0, $_ } @pids });
    cmp_ok($seconds->(), '<', $ParallelLoader::Test::PROMPT_S,
      "$mode: all its children end in time");
  } elsif ($mode eq 'kill -9 of a worker') {
    my ($worker) = $pair->worker_pids;
    kill 'KILL', $worker;
    wait_until(20, sub { !kill 0, $worker });
    wait_until(20, sub { $pair->try_sql('SELECT 1')->is_ok });
  } else {
    $pair->destination->stop($mode);
    cmp_ok($seconds->(), '<', $ParallelLoader::Test::PROMPT_S, "stop -m $mode takes no longer");
  }
  $pair->nothing_left("$mode: no source session is left", skip_destination => 1);
  $pair->destination->start unless $mode eq 'kill -9 of a worker';
  is($pair->pull($id)->{state}, 'interrupted', "$mode: then the pull is interrupted");
  $pair->only_done_chunks_left_rows($id, 'gated', 'id', '… only done chunks have left rows');
  # A crash may take a chunk whose commit was not flushed yet, but then its mark as well.
  is($pair->destination_sql('SELECT count(*) FROM gated'), 2000, '… those that were done stay')
    if $mode eq 'fast';
}

# What a call has returned is on disk.
$pair->open_gate;
$pair->destination_sql('TRUNCATE gated');
is($pair->try_sql($GATED_CALL)->summary, 'success: 4000', 'a pull returns');
$pair->destination->stop('immediate');
$pair->destination->start;
is($pair->destination_sql('SELECT count(*) FROM gated'), 4000,
  '… and a crash loses none of its rows');
is($pair->pull->{state}, 'done', '… and the ledger still says done');
$pair->destination_sql('TRUNCATE gated');
is($pair->try_sql($GATED_CALL)->summary, 'success: 4000', 'after all of this a pull works');

# The ledger and the coordinator's lock cannot be looked at in one moment; a pull that ends in between
# must not seem interrupted.
$pair->both_sql('CREATE TABLE quick (id integer PRIMARY KEY)');
my $call = $pair->table_sql('parallel_pull_start', 'quick', {workers => 1});
my %seen;
$seen{$pair->destination_sql("SELECT parallel_pull_wait(($call))")}++ for 1 .. 40;
is(join(' ', keys %seen), 'done', 'no pull that ends seems interrupted to who waits for it');

$pair->nothing_left('no process or session is left');
$pair->finish;
