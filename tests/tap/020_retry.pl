# Retry: what fails for a passing reason is repeated, under the default budget, until every row is
# there once; what would only happen again is not; and the budget ends it.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";

use ParallelLoader::Proxy;
use ParallelLoader::Session qw(run_sql);
use ParallelLoader::SmallDisk;
use ParallelLoader::Test;
use Test::More;
use Time::HiRes qw(sleep);

my $pair = ParallelLoader::Test->new(
  source => {conf => "max_connections = 14\nsuperuser_reserved_connections = 0\n",
    hba => 'local all reader trust'},
  destination => {conf => <<'CONF'});
parallel_loader.retry_budget = 5min
parallel_loader.snapshot_hold = 10min
CONF
my $proxy = ParallelLoader::Proxy->new($pair->source);

# Nine megabytes make eight chunks or so.
my $ROWS = 60000;
$pair->create_gate;
$pair->source_sql(<<"SQL");
CREATE TABLE t (id integer PRIMARY KEY, note text);
INSERT INTO t SELECT i, repeat('n', 110) || i FROM generate_series(1, $ROWS) AS i;
CREATE ROLE reader LOGIN;
GRANT SELECT ON t TO reader;
SQL
# `trouble` raises an error for the first rows that it sees, whatever is rolled back.
$pair->destination_sql(<<'SQL');
CREATE TABLE t (id integer, note text);
CREATE SEQUENCE seen;
CREATE FUNCTION trouble() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF nextval('public.seen') <= TG_ARGV[1]::bigint THEN
    RAISE EXCEPTION 'trouble number %', currval('public.seen') USING ERRCODE = TG_ARGV[0];
  END IF;
  RETURN new;
END $$;
SQL

# ---- what the cases share ----

my $TERMINATE_SOURCE = q(SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
  WHERE application_name LIKE 'parallel_loader worker%');

# Checks that a pull has repeated something, and has every row once.
sub is_retried {
  my ($rule, $pull_id) = @_;
  local $Test::Builder::Level = $Test::Builder::Level + 1;
  my $pull = $pair->pull($pull_id);
  is($pull->{state}, 'done', "$rule: the pull is done")
    or diag("$pull->{sqlstate}: $pull->{error}");
  # A worker that is ended while it notes what it has met takes the note with it.
  my $least = $rule =~ /^all of them at once/ ? 0 : 1;
  cmp_ok($pull->{retries}, '>=', $least, '… after retries');
  my $attempts = 0;
  $attempts += $_->{attempts} - 1 for $pair->chunks($pull_id);
  cmp_ok($attempts, '>=', $least, '… which its chunks count');
  is($pull->{retries}, $attempts, '… as the pull does');
  is($pull->{rows}, $ROWS, '… with all rows counted');
  $pair->same_rows('SELECT * FROM t', '… and every row there once');
  $pair->nothing_left('… and nothing is left');
  $pair->destination_sql('TRUNCATE t');
  return;
}

# Checks that a pull has failed with its first error, and not been retried.
sub is_not_retried {
  my ($rule, $pull_id, $sqlstate) = @_;
  local $Test::Builder::Level = $Test::Builder::Level + 1;
  $pair->state_becomes($pull_id, 'failed|cancelled', "$rule: ends the pull");
  my $pull = $pair->pull($pull_id);
  is($pull->{sqlstate}, $sqlstate, '… with its error');
  is($pull->{retries}, 0, '… and is not retried');
  is((sort { $b <=> $a } map { $_->{attempts} } $pair->chunks($pull_id))[0], 1,
    '… not for any chunk');
  $pair->try_sql("SELECT parallel_pull_cancel($pull_id)");
  $pair->nothing_left('… and nothing is left');
  $pair->destination_sql('TRUNCATE t');
  return;
}

# Starts a pull whose two workers stop in mid-stream, and comes back then.  They are the
# coordinator's, or those of a session, which is returned.
sub start_stopped {
  my ($of_session, %named) = @_;
  my $set = delete $named{set} // '';
  $pair->open_gate;
  my $pull_id = $pair->destination_sql("$set; " . $pair->table_sql('parallel_pull_create', 't',
      {workers => 2, filter => 'public.gate(id, 0)', %named}));
  $pair->close_gate;
  my $session;
  if ($of_session) {
    $session = $pair->session('destination');
    $session->start("SELECT parallel_pull_work($pull_id, workers => 2)");
  } else {
    $pair->destination_sql("SELECT parallel_pull_alter($pull_id, workers => 2)");
  }
  $pair->wait_at_gate(2);
  return ($pull_id, $session);
}

sub retries_become {
  my ($pull_id, $count) = @_;
  return wait_until(20, sub { ($pair->pull($pull_id)->{retries} // 0) >= $count })
    || diag('no retry is counted');
}

sub finish_pull {
  my ($pull_id) = @_;
  return $pair->destination_sql("SELECT parallel_pull_wait($pull_id, '60 s')");
}

# ---- sessions and workers are lost ----

sub terminate { $pair->destination_sql("SELECT pg_terminate_backend($_)") for @_; return }

my %LOSS = (
  'a source session is terminated' => sub {
    my ($pid) = $pair->pids_at_gate;
    $pair->source_sql("SELECT pg_terminate_backend($pid)");
  },
  'all workers\' source sessions are terminated' => sub { $pair->source_sql($TERMINATE_SOURCE) },
  'a worker is terminated' => sub { terminate(($pair->worker_pids)[0]) },
  'all workers are terminated' => sub { terminate($pair->worker_pids) },
  'all of them at once' => sub {
    my @pids = $pair->worker_pids;
    $pair->source_sql($TERMINATE_SOURCE);
    terminate(@pids);
  },
);
for my $rule (sort keys %LOSS) {
  for my $of_session (0, 1) {
    my ($pull_id, $session) = start_stopped($of_session);
    $LOSS{$rule}->();
    retries_become($pull_id, 1);
    $pair->open_gate;
    finish_pull($pull_id);
    if ($session) {
      is($session->finish(30)->sqlstate, '00000', "$rule: the session that works does not notice");
      $session->close;
    }
    is_retried($rule . ($of_session ? ', under parallel_pull_work' : ''), $pull_id);
  }
}

# Twice in a row.
my ($pull_id) = start_stopped(0);
for my $round (1 .. 2) {
  terminate($pair->worker_pids);
  retries_become($pull_id, 2 * $round);
  $pair->wait_at_gate(2) if $round == 1;
}
$pair->open_gate;
finish_pull($pull_id);
is_retried('all workers are terminated, and again', $pull_id);

# Whoever takes a lost worker's chunk locks its row in the ledger; nobody may wait for that.
($pull_id) = start_stopped(0);
my ($first) = grep { $_->{chunk} == 1 } $pair->chunks($pull_id);
my $locker = $pair->session('destination');
$locker->start('BEGIN; SELECT chunk FROM parallel_loader.chunk'
    . " WHERE pull_id = $pull_id AND chunk = 1 FOR UPDATE");
wait_until(20, sub {
  return $pair->destination_sql(
    'SELECT count(*) FROM pg_locks WHERE NOT granted AND pid = ' . $locker->backend_pid) > 0;
}) or diag('the row is not locked');
# The coordinator is held back, so that it cannot be quicker.
my ($coordinator) = $pair->coordinator_pids;
kill 'STOP', $coordinator;
terminate($first->{pid});
is($locker->finish(10)->out, 1, 'a lost worker\'s chunk is taken at once');
kill 'CONT', $coordinator;
$pair->destination_sql("SELECT parallel_pull_alter($pull_id, workers => 0)");
$pair->state_becomes($pull_id, 'paused', '… which does not keep the coordinator from its work');
$locker->close;
$pair->destination_sql("SELECT parallel_pull_alter($pull_id, workers => 2)");
$pair->open_gate;
finish_pull($pull_id);
is_retried('then', $pull_id);

# The connection is cut: in a row, between rows, before the end.
my $call = sub {
  my ($format) = @_;
  return $pair->table_sql('parallel_pull_table', 't',
    {dsn => $proxy->dsn, workers => 2, format => $format});
};
for my $case (
  ['in the middle of a row', rows => 1000, at => 'half', action => 'cut'],
  ['at a row boundary', rows => 1000, action => 'cut'],
  ['before the end of the COPY', at => 'done', action => 'cut'],
  ['before the command\'s completion', at => 'tag', action => 'cut'],
  ['before the first row', rows => 0, action => 'reset'],
  ['by a reset', rows => 1000, action => 'reset'])
{
  my ($where, %plan) = @$case;
  for my $format (qw(binary text)) {
    $proxy->arm(copy => 2, %plan);
    my $result = $pair->try_sql($call->($format));
    ok($proxy->wait_acted(0.5), "the proxy cut $where, $format") or next;
    like($result->summary, qr/^success: \(\d+,$ROWS,/, '… which the caller does not notice');
    is_retried('then', $pair->newest_pull_id);
  }
}

# ---- the destination has trouble ----

sub make_trouble {
  my ($sqlstate, $count, $kind) = @_;
  my $when = $kind ? 'CONSTRAINT TRIGGER trouble AFTER' : 'TRIGGER trouble BEFORE';
  my $deferred = $kind ? 'DEFERRABLE INITIALLY DEFERRED' : '';
  return $pair->destination_sql("ALTER SEQUENCE seen RESTART; CREATE $when INSERT ON t $deferred"
      . " FOR EACH ROW WHEN (new.id % 1000 = 0) EXECUTE FUNCTION trouble('$sqlstate', $count)");
}

sub end_trouble { return $pair->destination_sql('DROP TRIGGER trouble ON t') }

my $CALL = $pair->table_sql('parallel_pull_table', 't', {workers => 2});
for my $case (['40001', 3, 0], ['40P01', 3, 0], ['40001', 2, 1], ['53100', 1, 0], ['53300', 1, 0],
  ['53400', 1, 0], ['57P03', 1, 0])
{
  my ($sqlstate, $count, $is_deferred) = @$case;
  make_trouble(@$case);
  like($pair->try_sql($CALL)->summary, qr/^success: \(\d+,$ROWS,/,
    "$sqlstate on the destination" . ($is_deferred ? ' at the commit' : '') . ' passes');
  $pull_id = $pair->newest_pull_id;
  end_trouble();
  is($pair->pull($pull_id)->{retries}, $count, '… with one retry for each error');
  is_retried('then', $pull_id);
}

SKIP: {
  my $disk = ParallelLoader::SmallDisk->new;
  skip 'no small disk is mounted', 9 unless $disk;
  $disk->take_table($pair, 't');
  ($pull_id) = start_stopped(0);
  $disk->fill;
  $pair->open_gate;
  retries_become($pull_id, 2);
  my $errors = join ' ', map { $_->{error} // '' } $pair->chunks($pull_id);
  like($errors, qr/could not extend file.*No space left/, 'the disk is full, and the chunk says so');
  $disk->make_room;
  is(finish_pull($pull_id), 'done', '… until there is room again');
  is_retried('then', $pull_id);
  $pair->destination_sql('ALTER TABLE t SET TABLESPACE pg_default');
}

# ---- the source is full ----

my $reader = $pair->dsn('postgres', 'user=reader');
my $caller = $pair->session('destination');
$pair->source_sql('ALTER ROLE reader CONNECTION LIMIT 1');
$caller->start($pair->table_sql('parallel_pull_table', 't', {dsn => $reader, workers => 2}));
wait_until(20, sub {
  my $pull = $pair->pull;
  return $pull->{pull_id} > $pull_id && ($pull->{retries} // 0) > 1;
}) or diag('the limit was not met');
$pull_id = $pair->newest_pull_id;
my ($refused) = grep { $_->{sqlstate} } $pair->chunks($pull_id);
like($refused->{error}, qr/too many connections/, 'the source has no session left for workers');
$pair->source_sql('ALTER ROLE reader CONNECTION LIMIT -1');
like($caller->finish(60)->summary, qr/^success: \(\d+,$ROWS,/, '… until it has');
is_retried('too many connections for the role', $pull_id);

# All of the server's.  The pull's coordinator has its session before.
$pull_id = $pair->destination_sql($pair->table_sql('parallel_pull_create', 't', {workers => 2}));
my @others;
while (@others < 14) {
  my $session = eval { $pair->session('source') } or last;
  push @others, $session;
}
cmp_ok(scalar @others, '<', 14, 'the source is full');
$caller->start("SELECT rows, remaining FROM parallel_pull_work($pull_id, workers => 2)");
retries_become($pull_id, 2);
$_->close for @others;
is($caller->finish(60)->summary, "success: $ROWS|0", '… until sessions end');
is_retried('too many connections', $pull_id);

# ---- the session is lost while its workers rest ----

make_trouble('40001', 1_000_000);
$pull_id = $pair->destination_sql($pair->table_sql('parallel_pull_create', 't', {workers => 2}));
my $lost = $pair->session('destination');
$lost->start("SELECT parallel_pull_work($pull_id, workers => 2)");
retries_become($pull_id, 6); # they rest for a second or two between attempts
$pair->destination_sql('SELECT pg_terminate_backend(' . $lost->backend_pid . ')');
ok(wait_until(10, sub { !$pair->worker_pids }), 'workers whose session is lost leave');
is($pair->pull($pull_id)->{state}, 'running', '… and the pull waits for who joins it');
end_trouble();
is($pair->destination_sql("SELECT remaining FROM parallel_pull_work($pull_id, workers => 2)"), 0, '… and moves the rest');
is_retried('a lost session', $pull_id);

# ---- the destination has no worker slot ----

$pair->destination->append_conf('postgresql.conf', 'max_worker_processes = 4');
$caller->close;
$pair->destination->restart;
$pair->destination_sql('CREATE TABLE u (LIKE t)');
my $poor = $pair->destination_sql(
  $pair->table_sql('parallel_pull_create', 'u', {source_table => 't', workers => 2}));
my ($greedy) = start_stopped(0);
$pair->destination_sql("SELECT parallel_pull_alter($poor, workers => 2, max_rate => 1500)");
my $wait = sub {
  $pair->destination_sql("SELECT waiting_for FROM parallel_pull_progress WHERE pull_id = $poor") };
ok(wait_until(20, sub { $wait->() =~ /^a background worker slot: 4 of 4 .*2 parallel_loader worker/ }),
  'without a free slot a pull waits for one, and says who has them') or diag $wait->();
is($pair->pull($poor)->{chunks_done}, 0, '… and nothing moves');
$pair->destination_sql("SELECT parallel_pull_cancel($greedy)");
ok(wait_until(20, sub { $pair->pull($poor)->{workers} == 2 }),
  '… and starts workers once there are some');
$pair->destination_sql("SELECT parallel_pull_alter($poor, max_rate => 0)");
is(finish_pull($poor), 'done', '… and the pull ends well');
$pair->same_rows({source => 'SELECT * FROM t', destination => 'SELECT * FROM u'},
  '… with every row once');
$pair->open_gate;
$pair->nothing_left('… and nothing is left');
$pair->destination->append_conf('postgresql.conf', 'max_worker_processes = 16');
$pair->destination->restart;
$pair->destination_sql('TRUNCATE t');

# ---- the budget ends ----

# libpq gives no SQLSTATE to a connection that is refused.
for my $case (['40001', 'TRIGGER'], ['08001', 'LIMIT']) {
  my ($sqlstate, $how) = @$case;
  $how eq 'TRIGGER' ? make_trouble($sqlstate, 1_000_000)
    : $pair->source_sql('ALTER ROLE reader CONNECTION LIMIT 1');
  my $seconds = stopwatch();
  my $result = $pair->error_is("SET parallel_loader.retry_budget = '2s'; "
      . $pair->table_sql('parallel_pull_table', 't', {dsn => $reader, workers => 2}),
    $sqlstate, qr/Pull \d+ failed at chunk \d+/, "$sqlstate for longer than the budget");
  cmp_ok($seconds->(), '>', 2, '… fails after it');
  cmp_ok($seconds->(), '<', 12, '… and not much later');
  my $pull = $pair->pull;
  cmp_ok($pull->{retries}, '>', 1, '… and some retries');
  $how eq 'TRIGGER' ? end_trouble() : $pair->source_sql('ALTER ROLE reader CONNECTION LIMIT -1');
  like($pair->try_sql("SELECT rows FROM parallel_pull_resume($pull->{pull_id})")->summary,
    qr/^success: $ROWS$/, '… and can be resumed: planned anew, as no chunk is done');
  is($pair->pull($pull->{pull_id})->{state}, 'done', '… then it is done');
  $pair->same_rows('SELECT * FROM t', '… and every row there once');
  $pair->nothing_left('… and nothing is left');
  $pair->destination_sql('TRUNCATE t');
}
($pull_id) = start_stopped(0, set => q(SET parallel_loader.retry_budget = '1s'));
for (1 .. 40) {
  terminate($pair->worker_pids);
  last if $pair->pull($pull_id)->{state} eq 'failed';
  sleep 0.3;
}
is(join('|', @{$pair->pull($pull_id)}{qw(state sqlstate)}), 'failed|57P01',
  'workers that are terminated for longer than the budget fail the pull');
$pair->open_gate;
$pair->destination_sql("SELECT parallel_pull_cancel($pull_id)");
$pair->nothing_left('… and nothing is left');
$pair->destination_sql('TRUNCATE t');

# The budget counts from the first failure after a chunk was done.
make_trouble('40001', 12);
like($pair->try_sql("SET parallel_loader.retry_budget = '4s'; "
    . $pair->table_sql('parallel_pull_table', 't', {workers => 4}))->summary,
  qr/^success: \(\d+,$ROWS,/, 'a budget is spent anew after each chunk');
end_trouble();
is_retried('then', $pair->newest_pull_id);

# ---- no budget ----

for my $case (['a worker is terminated', '57P01'], ['a source session is terminated', '08006']) {
  my ($rule, $sqlstate) = @$case;
  ($pull_id) = start_stopped(0, set => 'SET parallel_loader.retry_budget = 0');
  $LOSS{$rule}->();
  is_not_retried("without a budget, $rule", $pull_id, $sqlstate);
  $pair->open_gate;
}

# ---- what is not retried ----

($pull_id) = start_stopped(0);
$pair->destination_sql("SELECT pg_cancel_backend($_)") for $pair->worker_pids;
is_not_retried('cancel of a worker', $pull_id, '57014');
($pull_id) = start_stopped(0);
$pair->source_sql("SELECT pg_cancel_backend($_)") for $pair->pids_at_gate;
is_not_retried('cancel of a source query', $pull_id, '57014');
$pair->open_gate;

for my $sqlstate (qw(23505 22003 55P03 P0001)) {
  make_trouble($sqlstate, 1);
  $pair->error_is($CALL, $sqlstate, qr/trouble number 1/, "$sqlstate is told");
  end_trouble();
  is_not_retried($sqlstate, $pair->newest_pull_id, $sqlstate);
}
$proxy->arm(rows => 1000, action => 'drop');
$pair->error_is($call->('binary'), '08P01', qr/row/, 'a row that the stream lacks is told');
is_not_retried('it', $pair->newest_pull_id, '08P01');

# The snapshot cannot be had again.
for my $which ('coordinator', '') {
  ($pull_id) = start_stopped(0);
  $pair->source_sql(qq(SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
    WHERE application_name LIKE 'parallel_loader $which%'));
  $pair->state_becomes($pull_id, 'failed',
    ($which ? 'the session that holds the snapshot' : 'all sessions on the source')
    . ': a loss ends the pull');
  is($pair->pull($pull_id)->{sqlstate}, '08006', '… as a lost session');
  like($pair->pull($pull_id)->{error}, qr/^the snapshot of pull $pull_id is lost/,
    '… and says that the snapshot is lost');
  $pair->nothing_left('… and nothing is left');
  $pair->open_gate;
  $pair->destination_sql('TRUNCATE t');
}

# Once all is read, the source is not needed.
$pair->destination_sql(<<'SQL');
CREATE FUNCTION wait_here() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_advisory_lock_shared(43), pg_advisory_unlock_shared(43);
  RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER wait_here AFTER INSERT ON t DEFERRABLE INITIALLY DEFERRED
  FOR EACH ROW WHEN (new.id % 10000 = 0) EXECUTE FUNCTION wait_here();
SQL
my $lock = $pair->session('destination');
$lock->query_safe('SELECT pg_advisory_lock(43)');
$caller = $pair->session('destination');
$caller->start($pair->pull_sql('t', 1, 15001, {workers => 1}));
ok(wait_until(20, sub {
  return $pair->destination_sql(
    q(SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted)) > 0
      && $pair->source_sql(
    q(SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'parallel_loader%')) == 0;
}), 'when all rows are read no session is left on the source, before the commit');
$lock->close;
is($caller->finish(30)->summary, 'success: 15000', '… which then comes');
$caller->close;

$pair->nothing_left('no process or session is left');
$pair->finish;
