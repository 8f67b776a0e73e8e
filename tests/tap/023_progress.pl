# Progress: what the views show of a running pull never goes back, never beyond the truth, whatever
# fails meanwhile; reading it waits for nobody; and a pull that does not move says what it waits for.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";

use JSON::PP ();
use ParallelLoader::Proxy;
use ParallelLoader::Test;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

my $pair = ParallelLoader::Test->new(
  retries => 1,
  destination => {conf => 'max_worker_processes = 24'},
  source => {conf => 'max_connections = 60'});

my $ROWS = 30_000;
$pair->create_gate;
$pair->source_sql(<<"SQL");
CREATE TABLE t (id integer PRIMARY KEY, note text);
INSERT INTO t SELECT i, repeat(md5(i::text), 30) FROM generate_series(1, $ROWS) AS i;
CREATE VIEW gated AS SELECT id, note FROM t WHERE id <= 4000 AND gate(id, 2000);
CREATE VIEW part AS SELECT id, note FROM t WHERE id <= 8000;
ANALYZE;
SQL
$pair->destination_sql(<<'SQL');
CREATE UNLOGGED TABLE t (id integer, note text);
CREATE TABLE skipping (id integer, note text);
CREATE FUNCTION skip() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE TRIGGER skip BEFORE INSERT ON skipping FOR EACH ROW WHEN (new.id % 2 = 0)
  EXECUTE FUNCTION skip();
CREATE TABLE locked (id integer, note text);
CREATE TABLE gated (id integer, note text);
CREATE TABLE held (id integer, note text);
CREATE TABLE lost (id integer, note text);
CREATE TABLE again (id integer, note text);
CREATE TABLE slow (id integer, note text);
CREATE TABLE sleeping (id integer, note text);
CREATE FUNCTION nap() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(20); RETURN new; END';
CREATE CONSTRAINT TRIGGER nap AFTER INSERT ON sleeping DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
  WHEN (new.id = 1) EXECUTE FUNCTION nap();
CREATE ROLE other LOGIN;
CREATE ROLE member LOGIN IN ROLE postgres;

-- Looks at the views again and again until the pull has ended; returns what it has seen, and each
-- value that went back or beyond.
CREATE TABLE look (number bigserial, rows bigint, bytes bigint, chunks_done integer,
  percent numeric, eta interval, state text, pulls_rows bigint, pulls_bytes bigint,
  pulls_done integer, seen timestamptz DEFAULT clock_timestamp());
CREATE FUNCTION watch(id bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  shown record;
  pull record;
BEGIN
  FOR turn IN 1 .. 20000 LOOP
    SELECT * INTO shown FROM parallel_pull_progress WHERE pull_id = id;
    SELECT * INTO pull FROM parallel_pulls WHERE pull_id = id;
    INSERT INTO look VALUES (DEFAULT, shown.rows, shown.bytes, shown.chunks_done, shown.percent,
      shown.eta, pull.state, pull.rows, pull.bytes, pull.chunks_done);
    EXIT WHEN pull.state IN ('done', 'failed', 'cancelled', 'interrupted');
    PERFORM pg_sleep(0.005);
  END LOOP;
END $$;
SQL

sub start_pull {
  my ($table, $named, $limits, $set) = @_;
  my $call = $pair->table_sql('parallel_pull_start', $table, $named);
  $set //= '';
  return $pair->destination_sql("$set SELECT id FROM (SELECT ($call) AS id OFFSET 0) AS started,"
      . " LATERAL parallel_pull_alter(id, $limits)");
}

sub alter {
  my ($pull_id, $limits) = @_;
  return $pair->destination_sql("SELECT parallel_pull_alter($pull_id, $limits)");
}

sub progress {
  my ($pull_id) = @_;
  my $json = $pair->destination_sql(
    "SELECT to_jsonb(p) FROM parallel_pull_progress AS p WHERE pull_id = $pull_id");
  return $json eq '' ? {} : JSON::PP->new->decode($json);
}

sub looks { my ($sql) = @_; return $pair->destination_sql("SELECT $sql FROM look") }

# Watches a pull to its end while `disturb` does its worst, and checks what was seen.
sub is_monotone {
  my ($pull_id, $rows, $rule, $disturb) = @_;
  local $Test::Builder::Level = $Test::Builder::Level + 1;
  $pair->destination_sql('TRUNCATE look');
  my $watch = $pair->session('destination');
  $watch->start("SELECT watch($pull_id)");
  $disturb->() if $disturb;
  is($watch->finish->summary, 'success: ', "$rule: it is watched to its end");
  $watch->close;
  is($pair->pull($pull_id)->{state}, 'done', '… which is done') or diag $pair->pull->{error};
  cmp_ok(looks('count(*)'), '>', 50, '… looked at often');
  my $back = '';
  for my $column (qw(rows bytes chunks_done percent pulls_rows pulls_bytes pulls_done)) {
    my $found = $pair->destination_sql(<<"SQL");
SELECT count(*) || ' times, first ' || min(before || ' to ' || now || ' in look ' || number)
FROM (SELECT number, $column AS now, lag($column) OVER (ORDER BY number) AS before FROM look
      WHERE $column IS NOT NULL) AS pairs
WHERE now < before HAVING count(*) > 0
SQL
    $back .= "$column: $found\n" if $found;
  }
  is($back, '', '… nothing ever goes back');
  cmp_ok(looks('max(percent)'), '<=', 100, '… percent is never above 100');
  cmp_ok(looks('greatest(max(rows), max(pulls_rows))'), '<=', $rows, '… no more rows than there are');
  is(looks('(array_agg(pulls_rows ORDER BY number DESC))[1]'), $rows, '… and at the end as many');
  my $pull = $pair->pull($pull_id);
  cmp_ok(looks('max(bytes)'), '<=', $pull->{bytes}, '… no more bytes than there are');
  return;
}

# ---- nothing goes back ----

my $OURS = q(FROM pg_stat_activity WHERE application_name LIKE 'parallel_loader worker%');
my $WORKER = q(FROM pg_stat_activity WHERE backend_type = 'parallel_loader worker');
my $pull_id = start_pull('t', {workers => 3, chunk_size => '3MB'}, 'max_rate => 5000');
is_monotone($pull_id, $ROWS, 'a pull with failures in it', sub {
  sleep 0.8;
  for my $round (1 .. 3) {
    $pair->source_sql("SELECT pg_terminate_backend(pid) $OURS LIMIT 1");
    sleep 0.6;
    $pair->destination_sql("SELECT pg_terminate_backend(pid) $WORKER ORDER BY random() LIMIT 1");
    sleep 0.6;
  }
  return;
});
cmp_ok($pair->pull($pull_id)->{retries}, '>=', 2, '… some chunks were retried');
$pair->same_rows('SELECT * FROM t', '… and every row is there once');
$pair->destination_sql('TRUNCATE t');

$pull_id = start_pull('skipping', {source_table => 'part', key => 'id', workers => 1},
  'max_rate => 4000');
is_monotone($pull_id, 4000, 'a pull of which a trigger skips rows');

# ---- an estimate ----

$pull_id = start_pull('t', {workers => 2, chunk_size => '3MB'}, 'max_rate => 3000');
is_monotone($pull_id, $ROWS, 'an undisturbed pull');
cmp_ok(looks('(array_agg(EXTRACT(epoch FROM eta) ORDER BY number DESC)'
    . ' FILTER (WHERE eta IS NOT NULL))[1]'), '<=', 1, 'the estimated time falls to zero');
cmp_ok(looks('max(percent)'), '>=', 95, 'percent comes near to 100');
# Half way, when what is left is known; a single look may meet a machine that is busy.
my $off = $pair->destination_sql(<<'SQL');
WITH ending AS (SELECT min(seen) AS at FROM look WHERE state = 'done')
SELECT coalesce(round((percentile_cont(0.5) WITHIN GROUP (ORDER BY
  abs(EXTRACT(epoch FROM eta) - EXTRACT(epoch FROM at - seen))))::numeric, 1), 99)
FROM look, ending WHERE rows BETWEEN 12000 AND 22000
SQL
cmp_ok($off, '<', 4, 'half way the estimated time is right within seconds');
note "seconds off: $off";
$pair->same_rows('SELECT * FROM t', 'every row is there once');
$pair->destination_sql('TRUNCATE t');

# ---- reading waits for nobody ----

$pull_id = start_pull('t', {workers => 2, chunk_size => '3MB'}, 'max_rate => 2000');
wait_until(20, sub { (progress($pull_id)->{rows} // 0) > 0 });
my $locker = $pair->session('destination');
$locker->query_safe("BEGIN; SELECT FROM parallel_loader.pull WHERE pull_id = $pull_id FOR UPDATE");
my $seconds = stopwatch();
my $VIEWS = 'SELECT count(*) FROM parallel_pulls UNION ALL SELECT count(*) FROM parallel_pull_progress'
  . ' UNION ALL SELECT count(*) FROM parallel_pull_chunks';
ok($pair->try_sql("SET statement_timeout = '3s'; $VIEWS")->is_ok,
  'the views can be read while a pull\'s row is locked');
$locker->query_safe('ROLLBACK');

my $repeatable = $pair->session('destination');
$repeatable->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM t');
my $ROWS_NOW = "SELECT rows FROM parallel_pulls WHERE pull_id = $pull_id";
my $first = $repeatable->query_safe($ROWS_NOW);
sleep 1;
my $second = $repeatable->query_safe($ROWS_NOW);
cmp_ok($second, '>', $first, 'in a REPEATABLE READ transaction the views show what is now');
for my $case (['other', 0, 'a role that has no part in it sees nothing'],
  ['member', 1, '… a member of the owner sees it'])
{
  my ($role, $count, $rule) = @$case;
  my $sum = $pair->destination_sql("SELECT (SELECT count(*) FROM parallel_pulls WHERE pull_id = $pull_id)"
      . " + (SELECT count(*) FROM parallel_pull_progress WHERE pull_id = $pull_id)", user => $role);
  is($sum, 2 * $count, $rule);
}
is($pair->destination_sql('SELECT count(*) FROM parallel_pull_chunks', user => 'other'), 0,
  '… of no chunk');
alter($pull_id, 'max_rate => 0');
is($pair->destination_sql("SELECT parallel_pull_wait($pull_id)"), 'done', 'the pull ends');
is($repeatable->query_safe("SELECT state, rows FROM parallel_pulls WHERE pull_id = $pull_id"),
  "done|$ROWS", '… and an older snapshot sees it at once');
is($repeatable->query_safe("SELECT count(*) FROM parallel_pull_progress WHERE pull_id = $pull_id"), 0,
  '… and in parallel_pull_progress no more');
$_->close for $locker, $repeatable;

# ---- what a pull waits for ----

# All at once, as each takes ten seconds to be noticed.
my %PROXY = map { $_ => ParallelLoader::Proxy->new($pair->source) } qw(held lost);
my $blocker = $pair->session('destination');
$blocker->query_safe('BEGIN; LOCK TABLE locked IN SHARE MODE');
$pair->close_gate;
my $some = {source_table => 'part', key => 'id', workers => 1, chunk_size => '1GB'};
my %stuck;
sub start_through_proxy {
  my ($name) = @_;
  $PROXY{$name}->arm(rows => 1000, action => 'hold');
  $stuck{$name} = start_pull($name, {%$some, dsn => $PROXY{$name}->dsn}, 'max_rate => 0');
  ok($PROXY{$name}->wait_acted, "$name: the proxy holds its rows");
  $PROXY{$name}->black_hole;
  return;
}
start_through_proxy('held');
# Loses its session once no new one can be had.
start_through_proxy('lost');
$pair->source_sql("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
    . " WHERE application_name = 'parallel_loader worker of pull $stuck{lost}'");
$PROXY{lost}->release;
$stuck{locked} = start_pull('locked', {%$some}, 'max_rate => 0');
$stuck{gated} = start_pull('gated', {%$some, source_table => 'gated'}, 'max_rate => 0');
$stuck{sleeping} = start_pull('sleeping', {%$some}, 'max_rate => 0');
# Not stuck, though it may seem so.
my $again = start_pull('again', {%$some}, 'max_rate => 500');
my $slow = start_pull('slow', {%$some}, 'max_rate => 1');
$pair->wait_at_gate;
# Longer than it takes the watchdog: what is shown then stands still until as much is read again.
sleep 11;
my $rows_before = progress($again)->{rows};
my $terminated = $pair->source_sql(
  "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
    . " WHERE application_name = 'parallel_loader worker of pull $again'");
is($terminated, 1, 'a slow pull loses its session and begins its chunk again');

my %text;
wait_until(30, sub {
  for my $name (keys %stuck) {
    $text{$name} //= progress($stuck{$name})->{waiting_for};
  }
  return keys %stuck == grep { defined } values %text;
});
note "$_: $text{$_}" for sort grep { defined $text{$_} } keys %text;
my $lock_pid = $blocker->backend_pid;
like($text{locked}, qr/Lock.*blocked by $lock_pid\b/, 'a lock here: waiting_for names the blocker');
my ($gate_pid) = $pair->{gate}->backend_pid;
like($text{gated}, qr/source waits for Lock: advisory, blocked by $gate_pid\b/,
  'a lock on the source: waiting_for names the wait and the blocker there');
like($text{held}, qr/source, which does not answer/, 'a dead network: the source does not answer');
like($text{lost}, qr/source, which does not answer/,
  '… nor does it for a worker that cannot connect any more');
like($text{sleeping}, qr/worker \d+ waits for Timeout: PgSleep/,
  'a deferred trigger: waiting_for names what the worker does');

cmp_ok(progress($again)->{rows}, '>=', $rows_before, 'while a chunk is read again, no row is taken back');
cmp_ok(abs(progress($again)->{bytes_per_second} / 512_000 - 1), '<', 0.3, '… and the rate is what it is');
wait_until(30, sub { $pair->pull($again)->{rows} == 8000 });
is(progress($slow)->{waiting_for} // 'nothing', 'nothing', 'a low rate is no wait');
my $log = slurp_file($pair->destination->logfile);
for my $id ($again, $slow) {
  is(scalar(() = $log =~ /pull $id does not move/g), 0, 'the log does not complain of a pull that moves');
}

# A second description has come by now, but no second line.
for my $name (sort keys %stuck) {
  is(scalar(() = $log =~ /LOG: .*pull $stuck{$name} does not move: /g), 1, "the log has one line: $name");
}

# ---- and when it goes on ----

$blocker->query_safe('ROLLBACK');
$pair->open_gate;
$PROXY{held}->release;
alter($slow, 'max_rate => 0');
for my $name (qw(locked gated held sleeping)) {
  is($pair->destination_sql("SELECT parallel_pull_wait($stuck{$name}, '30 s')"), 'done',
    "when what it waits for is over, the pull goes on: $name") or diag $pair->pull($stuck{$name})->{error};
}
is($pair->destination_sql("SELECT parallel_pull_wait($_, '30 s')"), 'done', 'and those that moved end')
  for $again, $slow;
$seconds = stopwatch();
$pair->destination_sql("SELECT parallel_pull_cancel($stuck{lost})");
is($pair->destination_sql("SELECT parallel_pull_wait($stuck{lost}, '10 s')"), 'cancelled',
  'a pull without a source can be cancelled');
cmp_ok($seconds->(), '<', $ParallelLoader::Test::PROMPT_S, '… within five seconds');

# A wait that ends while more is to come.
$pair->destination_sql('TRUNCATE gated');
$pair->close_gate;
$pull_id = start_pull('gated', {%$some, source_table => 'gated'}, 'max_rate => 0');
ok(wait_until(25, sub { progress($pull_id)->{waiting_for} }), 'a pull waits');
alter($pull_id, 'max_rate => 100');
$pair->open_gate;
ok(wait_until(5, sub { my $now = progress($pull_id); !defined $now->{waiting_for} && %$now }),
  'waiting_for is empty again as soon as a byte has come');
alter($pull_id, 'max_rate => 0');
is($pair->destination_sql("SELECT parallel_pull_wait($pull_id)"), 'done', '… and the pull ends');

# A query whose snapshot shows the pull as it ran.
$pair->destination_sql('TRUNCATE locked; ALTER TABLE locked ADD CHECK (id <> 5)');
$blocker->query_safe('BEGIN; LOCK TABLE locked IN SHARE MODE');
$pull_id = start_pull('locked', {source_table => 'part', workers => 1}, 'max_rate => 0');
ok(wait_until(25, sub { progress($pull_id)->{waiting_for} }), 'a pull that is to fail waits');
my $late = $pair->session('destination');
$late->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM parallel_pulls');
$blocker->query_safe('ROLLBACK');
is($pair->destination_sql("SELECT parallel_pull_wait($pull_id)"), 'failed', '… and fails');
my $columns = 'state, finished, sqlstate, error, error_detail, error_hint';
my $ending = "SELECT to_json(e) FROM (SELECT $columns FROM parallel_pulls WHERE pull_id = $pull_id) AS e";
my $seen = $late->query_safe($ending);
like($seen, qr/"failed","finished":"2.*"sqlstate":"23514"/, '… a view that saw it run shows its end');
is($seen, $pair->destination_sql($ending), '… just as one that looks later');
$late->query_safe('ROLLBACK');

$pair->nothing_left('no process or session is left');
$pair->finish;
