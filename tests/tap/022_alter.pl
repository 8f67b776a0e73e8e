# parallel_pull_alter: a rate that holds, a pause in mid-stream, more and fewer workers, all of it
# while the pull runs, by its owner alone, and kept for a resume.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";

use JSON::PP ();
use ParallelLoader::Test;
use Test::More;
use Time::HiRes qw(sleep);

my $pair = ParallelLoader::Test->new(retries => 1);

# 120 MB in rows of one kilobyte.
my $ROWS = 120_000;
$pair->source_sql(<<"SQL");
CREATE TABLE t (id integer PRIMARY KEY, note text);
INSERT INTO t SELECT i, repeat(md5(i::text), 30) FROM generate_series(1, $ROWS) AS i;
CREATE TABLE small (id integer PRIMARY KEY, note text);
INSERT INTO small SELECT i, repeat(md5(i::text), 30) FROM generate_series(1, 8000) AS i;
ANALYZE;
SQL
$pair->destination_sql(<<'SQL');
CREATE UNLOGGED TABLE a (id integer, note text);
CREATE UNLOGGED TABLE b (id integer, note text);
CREATE UNLOGGED TABLE small (id integer, note text);
CREATE ROLE owner LOGIN;
CREATE ROLE other LOGIN;
GRANT EXECUTE ON FUNCTION parallel_pull_alter(bigint, integer, integer) TO owner, other;
SQL

my $watcher = $pair->session('destination');

# Starts a pull that is altered before it is planned; returns its id.
sub start_pull {
  my ($table, $named, $limits, %options) = @_;
  my $call = $pair->table_sql('parallel_pull_start', $table, {chunk_size => '4MB', %$named});
  my $set = $options{set} // '';
  return $pair->destination_sql(<<"SQL");
$set
WITH started AS MATERIALIZED (SELECT ($call) AS pull_id)
SELECT pull_id FROM started, LATERAL parallel_pull_alter(pull_id, $limits)
SQL
}

sub alter { my ($pull_id, $limits) = @_; return alter_in($watcher, $pull_id, $limits) }

sub alter_in {
  my ($session, $pull_id, $limits) = @_;
  return $session->query_safe("SELECT parallel_pull_alter($pull_id, $limits)");
}

# The row of a pull in parallel_pull_progress, with the time of the look; empty once it has ended.
sub progress {
  my ($pull_id) = @_;
  my $json = $watcher->query_safe(<<"SQL");
SELECT to_jsonb(p) || jsonb_build_object('now', EXTRACT(epoch FROM clock_timestamp()))
FROM parallel_pull_progress AS p WHERE pull_id = $pull_id
SQL
  return $json eq '' ? {} : JSON::PP->new->decode($json);
}

sub ledger {
  my ($column, $pull_id) = @_;
  return $pair->destination_sql(
    "SELECT $column FROM parallel_loader.pull WHERE pull_id = $pull_id");
}

sub moves {
  my ($pull_id) = @_;
  return wait_until(20, sub { (progress($pull_id)->{rows} // 0) > 0 });
}

# Bytes a second from one look to a later one.
sub rate_between {
  my ($before, $after) = @_;
  return ($after->{bytes} - $before->{bytes}) / ($after->{now} - $before->{now});
}

sub rate_is {
  my ($rate, $kilobytes, $rule) = @_;
  local $Test::Builder::Level = $Test::Builder::Level + 1;
  my $share = $rate / 1024 / $kilobytes;
  note sprintf '%s: %.1f %% of %d kB/s', $rule, 100 * $share, $kilobytes;
  return ok($share > 0.9 && $share < 1.1, $rule)
    || diag(sprintf '%.0f kB/s where %d were asked for', $rate / 1024, $kilobytes);
}

sub is_complete {
  my ($pull_id, $table, $rule, $source_table) = @_;
  local $Test::Builder::Level = $Test::Builder::Level + 1;
  is($pair->destination_sql("SELECT parallel_pull_wait($pull_id)"), 'done', $rule)
    or diag($pair->pull($pull_id)->{error});
  $source_table //= 't';
  $pair->same_rows({source => "SELECT * FROM $source_table",
      destination => "SELECT * FROM $table"}, '… with every row once');
  $pair->destination_sql("TRUNCATE $table");
  return;
}

# ---- the rate ----

# Two pulls at once: a limit is that of one pull, however many workers it has.
my $one = start_pull('a', {source_table => 't', workers => 1}, 'max_rate => 1200');
my $three = start_pull('b', {source_table => 't', workers => 3}, 'max_rate => 2500');
moves($_) for $one, $three;
sleep 1;
my @before = map { progress($_) } $one, $three;
is($before[0]{max_rate}, 1200, 'the view shows max_rate');
is($before[0]{workers}, 1, 'a limited pull has its one worker');
is($before[1]{workers}, 3, '… or its three');
sleep 20;
my @after = map { progress($_) } $one, $three;
rate_is(rate_between($before[0], $after[0]), 1200, 'max_rate holds for one worker over 20 s');
rate_is(rate_between($before[1], $after[1]), 2500, 'max_rate holds for three workers over 20 s');
cmp_ok(abs($after[1]{bytes_per_second} / 1024 / 2500 - 1), '<', 0.25,
  'bytes_per_second is the rate of late');

# A worker that waits its turn under a low rate must not sit it out under a high one.
alter($_, 'max_rate => 20') for $one, $three;
sleep 3;
@before = map { progress($_) } $one, $three;
sleep 2;
@after = map { progress($_) } $one, $three;
cmp_ok(rate_between($before[$_], $after[$_]) / 1024, '<', 150, 'a lowered max_rate takes effect')
  for 0, 1;
alter($_, 'max_rate => 4000') for $one, $three;
sleep 0.3;
@before = map { progress($_) } $one, $three;
sleep 3;
@after = map { progress($_) } $one, $three;
rate_is(rate_between($before[0], $after[0]), 4000, 'a raised max_rate takes effect at once');
rate_is(rate_between($before[1], $after[1]), 4000, '… with three workers too');
is(ledger('max_rate', $one), 4000, 'the ledger keeps max_rate');

# Many changes in a row: none may leave behind a time to wait that belongs to an older rate.
for my $round (1 .. 40) {
  alter($three, 'max_rate => 1');
  alter($three, 'max_rate => 8000');
}
my $seconds = stopwatch();
my $start = progress($three)->{bytes};
my $is_flowing = wait_until(5, sub {
  my $now = progress($three);
  return !%$now || $now->{bytes} > $start + 500_000;
});
ok($is_flowing, 'the last of many changes of max_rate counts');
alter($_, 'max_rate => 0') for $one, $three;
is(progress($one)->{max_rate} // 'none', 'none', 'max_rate 0 is no limit');
is_complete($one, 'a', 'a pull that was limited ends');
is_complete($three, 'b', '… with three workers too');
is(ledger('max_rate IS NULL', $one), 't', '… and the ledger shows that the limit was taken away');

# ---- a pause ----

my $COPIES = q(SELECT count(*) FROM pg_stat_activity
  WHERE application_name LIKE 'parallel_loader worker%' AND query LIKE 'COPY%' AND state = 'active');

sub is_paused {
  my ($pull_id, $rule) = @_;
  local $Test::Builder::Level = $Test::Builder::Level + 1;
  $pair->state_becomes($pull_id, 'paused', $rule);
  return stands_still($pull_id);
}

sub stands_still {
  my ($pull_id) = @_;
  local $Test::Builder::Level = $Test::Builder::Level + 1;
  sleep 0.3; # what was read before is counted
  my $before = progress($pull_id);
  my $copies = $pair->source_sql($COPIES);
  sleep 3;
  my $after = progress($pull_id);
  is($after->{rows}, $before->{rows}, '… for three seconds no row moves');
  is($after->{bytes}, $before->{bytes}, '… and no byte');
  is($pair->source_sql($COPIES), $copies, '… the queries on the source stay');
  return $copies;
}

my $pull_id = start_pull('a', {source_table => 't', workers => 2}, 'max_rate => 3000');
moves($pull_id);
alter($pull_id, 'workers => 0');
is(is_paused($pull_id, 'workers 0 pauses a pull'), 2, '… which it has: one for each worker');
like(progress($pull_id)->{waiting_for}, qr/^paused; continue with parallel_pull_alter\($pull_id, workers => \d+\)$/,
  '… waiting_for says what for');
is(ledger('workers', $pull_id), 2, 'a pause does not change the workers that the ledger keeps');
$seconds = stopwatch();
my $rows = progress($pull_id)->{rows};
alter($pull_id, 'workers => 2, max_rate => 0');
ok(wait_until(5, sub { (progress($pull_id)->{rows} // $ROWS) > $rows }), 'more than 0 resumes it');
cmp_ok($seconds->(), '<', 2, '… at once');
is_complete($pull_id, 'a', '… and it ends');

# ---- more and fewer workers ----

sub workers_become {
  my ($count, $rule) = @_;
  local $Test::Builder::Level = $Test::Builder::Level + 1;
  my $seen;
  wait_until(15, sub { ($seen = scalar $pair->worker_pids) == $count });
  return is($seen, $count, $rule);
}

$pull_id = start_pull('a', {source_table => 't', workers => 1, chunk_size => '1MB'},
  'max_rate => 2500');
moves($pull_id);
workers_become(1, 'a pull has the workers it was started with');
alter($pull_id, 'workers => 4');
workers_become(4, 'more workers come');
alter($pull_id, 'max_rate => 6000');
alter($pull_id, 'workers => 2');
workers_become(2, 'fewer workers stay, when their chunks are done');
is($pair->pull($pull_id)->{retries}, 0, '… and no chunk is retried for that');
alter($pull_id, 'workers => 3');
workers_become(3, 'and more once again');
is(ledger('workers', $pull_id), 3, 'the ledger keeps the number');
alter($pull_id, 'max_rate => 0');
is_complete($pull_id, 'a', 'a pull whose workers came and went ends');

# Altered in the same moment as it was started.
$pull_id = start_pull('small', {workers => 4, chunk_size => '64kB'}, 'workers => 1, max_rate => 300');
moves($pull_id);
sleep 1;
is(scalar($pair->worker_pids), 1, 'workers given before the pull was planned count');
is(ledger('workers', $pull_id), 1, '… in the ledger, too');
alter($pull_id, 'max_rate => 0');
is_complete($pull_id, 'small', '… and the pull ends', 'small');

$pull_id = start_pull('small', {workers => 2}, 'workers => 0');
is_paused($pull_id, 'a pull can be paused before it is planned');
is(progress($pull_id)->{rows}, 0, '… then nothing has moved');
alter($pull_id, 'workers => 2');
is_complete($pull_id, 'small', '… and it goes on', 'small');

$pull_id = $pair->destination_sql($pair->table_sql('parallel_pull_create', 'small'));
alter($pull_id, 'workers => 2');
is_complete($pull_id, 'small', 'a created pull that is given workers goes on by itself', 'small');

# ---- who may, and what ----

$pull_id = start_pull('a', {source_table => 't', workers => 1}, 'max_rate => 200');
moves($pull_id);
$pair->error_is("SELECT parallel_pull_alter($pull_id, workers => 0)", '42704', qr/$pull_id/,
  'alter by a role that may not see the pull', user => 'other');
is($pair->pull($pull_id)->{state}, 'running', '… changes nothing');
for my $limits ('workers => -1', 'workers => 257', 'max_rate => -1') {
  $pair->error_is("SELECT parallel_pull_alter($pull_id, $limits)", '22023', qr/must be between/,
    "$limits is out of range");
}
$pair->error_is("SELECT parallel_pull_alter($pull_id, max_rate => 2147483648)", '22003|42883',
  qr/./, 'max_rate that is no integer');
$pair->error_is('SELECT parallel_pull_alter(NULL, workers => 1)', '22004', qr/pull_id/,
  'alter of NULL');
$pair->error_is('SELECT parallel_pull_alter(4711, workers => 1)', '42704', qr/4711/,
  'alter of a pull that does not exist');
alter($pull_id, 'NULL, NULL');
is(progress($pull_id)->{max_rate}, 200, 'alter without a value changes nothing');
for my $rate (201 .. 230) {
  alter($pull_id, "max_rate => $rate");
  my $shown = progress($pull_id)->{max_rate};
  next if $shown == $rate;
  is($shown, $rate, 'alter returns when the rate holds');
  last;
}
alter($pull_id, 'max_rate => 2147483647');
is(progress($pull_id)->{max_rate}, 2147483647, 'the greatest max_rate');
is_complete($pull_id, 'a', '… is as good as none');
$pair->error_is("SELECT parallel_pull_alter($pull_id, max_rate => 5)", '55000', qr/done/,
  'alter of a pull that is done');

# ---- in an open transaction ----

$pull_id = start_pull('small', {workers => 1}, 'max_rate => 100');
my $open = $pair->session('destination');
$open->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM parallel_pulls');
alter_in($open, $pull_id, 'workers => 2, max_rate => 0');
is_complete($pull_id, 'small', 'alter in a transaction that stays open takes effect', 'small');
$open->query_safe('ROLLBACK');
is(ledger('workers', $pull_id), 2, '… whatever becomes of the transaction');
$open->close;

# ---- kept by a resume ----

# Fails at its last row and leaves what was set.
$pair->destination_sql('ALTER TABLE small ADD CONSTRAINT few CHECK (id <> 8000)');
$pull_id = start_pull('small', {workers => 1, chunk_size => '1MB'}, 'workers => 2, max_rate => 40000');
is($pair->destination_sql("SELECT parallel_pull_wait($pull_id)"), 'failed', 'a pull fails');
is(ledger('workers || $$|$$ || max_rate', $pull_id), '2|40000', '… with what alter has set');
alter($pull_id, 'workers => 3, max_rate => 500');
is(ledger('workers || $$|$$ || max_rate', $pull_id), '3|500', 'alter of a failed pull is kept');
$pair->destination_sql('ALTER TABLE small DROP CONSTRAINT few');
my $resumer = $pair->session('destination');
$resumer->start("SELECT rows FROM parallel_pull_resume($pull_id)");
ok(wait_until(20, sub { (progress($pull_id)->{state} // '') eq 'running' }), '… it is resumed');
is(progress($pull_id)->{max_rate}, 500, '… with its max_rate');
alter($pull_id, 'max_rate => 0');
is($resumer->finish->summary, 'success: 8000', '… and ends');
is_complete($pull_id, 'small', '… done', 'small');

# What is set in the last moment stands there, too.
$pull_id = start_pull('small', {workers => 1, chunk_size => '1MB'}, 'max_rate => 100');
moves($pull_id);
$pair->destination_sql(<<"SQL");
SELECT parallel_pull_alter($pull_id, workers => 7, max_rate => 777);
SELECT parallel_pull_cancel($pull_id)
SQL
$pair->state_becomes($pull_id, 'cancelled', 'a pull is cancelled right after alter');
is(ledger('workers || $$|$$ || max_rate', $pull_id), '7|777', '… and what alter has set is kept');
alter($pull_id, 'workers => 2, max_rate => 0');
is($resumer->query("SELECT rows FROM parallel_pull_resume($pull_id)")->summary, 'success: 8000',
  '… for a resume');
is_complete($pull_id, 'small', '… that ends', 'small');

# ---- a pause and the retry budget ----

my $OUR_QUERIES = q(FROM pg_stat_activity WHERE application_name LIKE 'parallel_loader worker%');
$pull_id = start_pull('small', {workers => 1, chunk_size => '1GB'}, 'max_rate => 200',
  set => q(SET parallel_loader.retry_budget = '2s';));
moves($pull_id);
# A failure, and before anything has succeeded since, a pause.
$pair->source_sql("SELECT pg_terminate_backend(pid) $OUR_QUERIES");
ok(wait_until(20, sub { $pair->pull($pull_id)->{retries} == 1 }), 'a chunk is retried');
ok(wait_until(10, sub { $pair->source_sql($COPIES) > 0 }), '… and moves again');
alter($pull_id, 'workers => 0');
$pair->state_becomes($pull_id, 'paused', '… then the pull is paused');
sleep 3;
$pair->source_sql("SELECT pg_terminate_backend(pid) $OUR_QUERIES");
alter($pull_id, 'workers => 1, max_rate => 0');
is_complete($pull_id, 'small', 'a pause longer than the retry budget fails no pull', 'small');

# ---- the end of a paused pull ----

sub start_paused {
  my $id = start_pull('a', {source_table => 't', workers => 2}, 'max_rate => 1000');
  moves($id);
  alter($id, 'workers => 0');
  $pair->state_becomes($id, 'paused', 'a pull is paused');
  return $id;
}

$pull_id = start_paused();
$seconds = stopwatch();
is($pair->destination_sql("SELECT parallel_pull_cancel($pull_id)"), 't', 'a paused pull can be cancelled');
is($pair->destination_sql("SELECT parallel_pull_wait($pull_id, '10 s')"), 'cancelled', '… it is');
cmp_ok($seconds->(), '<', $ParallelLoader::Test::PROMPT_S, '… within five seconds');
$pair->nothing_left('… and nothing is left');
$pair->only_done_chunks_left_rows($pull_id, 'a', 'id', '… only done chunks have left rows');
$pair->destination_sql('TRUNCATE a');

$pull_id = start_paused();
$_->close for $watcher, $resumer;
$seconds = stopwatch();
$pair->destination->stop('fast');
cmp_ok($seconds->(), '<', $ParallelLoader::Test::PROMPT_S, 'a paused pull holds up no fast shutdown');
$pair->nothing_left('… and leaves nothing on the source', skip_destination => 1);
$pair->destination->start;
$watcher = $pair->session('destination');
is($pair->pull($pull_id)->{state}, 'interrupted', '… then it is interrupted');
is($pair->try_sql("SELECT parallel_pull_alter($pull_id, workers => 2, max_rate => 5000)")->summary,
  'success: ', 'an interrupted pull can be altered');
is(ledger('workers || $$|$$ || max_rate', $pull_id), '2|5000', '… for its resume');
$pair->destination_sql("TRUNCATE a");

$watcher->close;
$pair->nothing_left('no process or session is left');
$pair->finish;
