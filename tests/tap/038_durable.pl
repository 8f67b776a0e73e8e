# What a mark builds on is flushed on the source: at once by a commit of ours, by the WAL writer where
# the role may not write; where it is not, an append copies nothing and a pull leaves no mark.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";

use IPC::Run ();
use ParallelLoader::Session;
use ParallelLoader::Test;
use Test::More;
use Time::HiRes qw(sleep time);

my $pair = ParallelLoader::Test->new(source => {conf => "wal_level = logical\nwal_writer_delay = 500ms\n"});
$pair->both_sql('CREATE TABLE t (id integer PRIMARY KEY, note text); CREATE TABLE g (id integer PRIMARY KEY)');
$pair->source_sql(q(CREATE ROLE reader LOGIN; GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader;
  INSERT INTO t SELECT i, md5(i::text) FROM generate_series(1, 100) AS i; INSERT INTO g VALUES (1)));
my $dsn = literal($pair->dsn('postgres', 'user=reader'));
my $writer = $pair->source_sql(q(SELECT pid FROM pg_stat_activity WHERE backend_type = 'walwriter'));

sub unflushed {
  my ($sql) = @_;
  return $pair->source_sql("SET synchronous_commit = off; $sql");
}
sub is_flushed {
  return $pair->source_sql(q(SELECT pg_current_wal_flush_lsn() = pg_current_wal_insert_lsn()));
}

# ---- the WAL writer stands still ----

kill 'STOP', $writer;
unflushed("UPDATE t SET note = note || 'x'");
is(is_flushed(), 'f', 'a transaction of the source is not flushed');
my $seconds = stopwatch();
my $result = $pair->try_sql("SELECT rows FROM parallel_pull_table($dsn, 't')");
is($result->summary, 'success: 100', 'a pull has it flushed, without a word');
is(is_flushed(), 't', '… and with it all before');
cmp_ok($seconds->(), '<', 2, '… and does not wait for the WAL writer');
unflushed('INSERT INTO t VALUES (101)');
is($pair->destination_sql("SELECT parallel_pull_append($dsn, 't')"), 1, '… so does an append');
is(is_flushed(), 't', '… of all that it builds on');

# ---- a role that may not write a record ----

my $MESSAGE = 'pg_logical_emit_message(boolean, text, text'
  . ($pair->source_sql('SHOW server_version_num') >= 170000 ? ', boolean)' : ')');
$pair->source_sql("REVOKE EXECUTE ON FUNCTION $MESSAGE FROM PUBLIC");
unflushed('INSERT INTO t VALUES (102)');
$pair->error_is("SELECT parallel_pull_append($dsn, 't')", '55000', qr/source did not confirm that it has flushed.*HINT.*EXECUTE on \Q$MESSAGE\E there/s,
  'an append that cannot be sure is an error');
is($pair->destination_sql('SELECT max(id) FROM t'), 101, '… and has copied nothing');
unflushed('INSERT INTO g VALUES (2)');
$result = $pair->try_sql("SELECT rows FROM parallel_pull_table($dsn, 'g')");
like($result->err, qr/WARNING.*leaves no mark for appends/s, 'a pull that cannot be sure says so');
is($pair->pull->{state}, 'done', '… and is done');
is($pair->destination_sql('SELECT count(*) FROM g'), 2, '… with its rows');
is($pair->destination_sql('SELECT snapshot_xmin IS NULL FROM parallel_loader.pull ORDER BY pull_id DESC LIMIT 1'), 't',
  '… and without bounds');
like($pair->pull->{warning}, qr/leaves no mark for appends/, '… and the view says so to all who did not wait');
$pair->destination_sql('CREATE TABLE by_program (id integer PRIMARY KEY)');
unflushed('INSERT INTO g VALUES (3)');
my $errors = '';
IPC::Run::run([$ENV{PARALLEL_LOADER}, 'copy', '--source', $pair->dsn('postgres', 'user=reader'),
    '--target', $pair->destination->connstr('postgres'), 'g=by_program'], '>', \my $printed, '2>', \$errors);
like($errors, qr/warning: pull \d+ leaves no mark for appends/, '… the program among them');
$pair->source_sql('DELETE FROM g WHERE id = 3');
my $unmarked = $pair->newest_pull_id - 1;
$pair->error_is("SELECT parallel_pull_append($dsn, 'g')", '55000', qr/no mark.*DETAIL:  Pull $unmarked left none: the source did not confirm/s,
  '… so no append begins there, which says why');

kill 'CONT', $writer;
is($pair->destination_sql("SELECT parallel_pull_append($dsn, 't')"), 1, 'once the WAL writer goes on, so does the append');
$pair->destination_sql('TRUNCATE g');
$result = $pair->try_sql("SELECT rows FROM parallel_pull_table($dsn, 'g')");
is($result->summary, 'success: 2', '… and a pull leaves its mark');
is($pair->pull->{warning}, undef, '… without a word');
is($pair->destination_sql("SELECT parallel_pull_append($dsn, 'g')"), 0, '… at which an append begins');

# Rows that such a pull has brought lie above the mark that was there before it.
kill 'STOP', $writer;
unflushed('INSERT INTO g VALUES (3)');
$pair->destination_sql('DELETE FROM g');
is($pair->try_sql("SELECT rows FROM parallel_pull_table($dsn, 'g')")->summary, 'success: 3', 'a pull that leaves none, of a table with a mark');
kill 'CONT', $writer;
my $anew = qr/pull \d+ into table public\.g has left no mark.*HINT:  To go on, empty the table, call (parallel_pull_forget\('public\.g'\)), and append/s;
# hint: extension/worker/append.cpp: empty the table, call parallel_pull_forget(
$pair->error_is("SELECT parallel_pull_append($dsn, 'g')", '55000', $anew, '… ends the appends from that');
is($pair->destination_sql('SELECT count(*) FROM g'), 3, '… and no row comes again');
$pair->destination_sql(q(TRUNCATE g; SELECT parallel_pull_forget('public.g')));
is($pair->destination_sql("SELECT parallel_pull_append($dsn, 'g')"), 3, '… until the table is appended to anew');
$pair->source_sql("GRANT EXECUTE ON FUNCTION $MESSAGE TO PUBLIC");

# ---- settings of the source's role and database do not hold ----

# Waiting takes longer than each limit; a transaction that is serializable, read only and deferrable
# would wait for the one that is open.
$pair->source_sql($_) for q(ALTER ROLE reader SET statement_timeout = '100ms'), q(ALTER ROLE reader SET idle_session_timeout = '200ms'),
  ($pair->source_sql('SHOW server_version_num') >= 170000 ? q(ALTER ROLE reader SET transaction_timeout = '200ms') : ()),
  q(ALTER ROLE reader SET default_transaction_isolation = 'serializable'), 'ALTER ROLE reader SET default_transaction_read_only = on',
  'ALTER ROLE reader SET default_transaction_deferrable = on', 'CREATE TABLE other (a integer)';
my $open = $pair->session('source');
$open->query_safe('BEGIN ISOLATION LEVEL SERIALIZABLE; SELECT FROM other');
for my $may_write (1, 0) {
  my $by = $may_write ? 'a commit' : 'the WAL writer';
  $pair->source_sql("REVOKE EXECUTE ON FUNCTION $MESSAGE FROM PUBLIC") if !$may_write;
  unflushed("INSERT INTO t SELECT max(id) + 1 FROM t");
  is($pair->try_sql("SET statement_timeout = '10s'; SELECT parallel_pull_append($dsn, 't')")->summary, 'success: 1',
    "an append has it flushed by $by, whatever the role is set to");
  $pair->destination_sql('TRUNCATE g');
  unflushed('UPDATE g SET id = id');
  $result = $pair->try_sql("SET statement_timeout = '10s'; SELECT rows FROM parallel_pull_table($dsn, 'g')");
  is($result->summary . $result->err, 'success: 3', '… and a pull leaves its mark, without a word');
}
$open->query_safe('ROLLBACK');
$pair->source_sql($_) for 'ALTER ROLE reader RESET ALL', "GRANT EXECUTE ON FUNCTION $MESSAGE TO PUBLIC",
  'DROP TABLE other';

# ---- those who decode the database see nothing of it ----

$pair->source_sql(q(SELECT pg_create_logical_replication_slot('decoder', 'test_decoding')));
unflushed('INSERT INTO t SELECT max(id) + 1 FROM t');
is($pair->destination_sql("SELECT parallel_pull_append($dsn, 't')"), 1, 'an append beside a logical slot');
unlike($pair->source_sql(q(SELECT string_agg(data, ' ') FROM pg_logical_slot_get_changes('decoder', NULL, NULL))),
  qr/message/, '… sends no message to it');
$pair->source_sql(q(SELECT pg_drop_replication_slot('decoder')));

# ---- what a small pull costs ----

$pair->destination_sql('CREATE TABLE small (LIKE t INCLUDING ALL)');
$pair->source_sql($_) for q(ALTER SYSTEM SET wal_writer_delay = '10s'), 'SELECT pg_reload_conf()';
my $least = 99;
for my $round (1 .. 5) {
  $pair->destination_sql('TRUNCATE small');
  $pair->source_sql('CHECKPOINT');
  my $took = $pair->destination_sql("SELECT seconds FROM parallel_pull_table($dsn, 'small', source_table => 't')");
  $least = $took if $took < $least;
}
note "a pull of 100 rows: $least s";
cmp_ok($least, '<', 4, 'a pull of 100 rows from an idle source does not wait for the WAL writer');

# The worker's last words come while the coordinator asks the source again and again: they are heard.
$pair->source_sql("REVOKE EXECUTE ON FUNCTION $MESSAGE FROM PUBLIC");
$pair->source_sql($_) for q(ALTER SYSTEM SET wal_writer_delay = '10ms'), 'SELECT pg_reload_conf()';
$pair->destination_sql(<<'SQL');
CREATE FUNCTION slowly() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.3); RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER slowly AFTER INSERT ON small DEFERRABLE INITIALLY DEFERRED
  FOR EACH ROW WHEN (NEW.id = 1) EXECUTE FUNCTION slowly()
SQL
$least = 9;
for my $round (1 .. 3) {
  $pair->destination_sql('TRUNCATE small');
  kill 'STOP', $writer;
  unflushed("UPDATE t SET note = note WHERE id = 1");
  my $session = $pair->session('destination')->start("SELECT rows FROM parallel_pull_table($dsn, 'small', source_table => 't')");
  wait_until(2, sub { $pair->source_sql("SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(0.02)' AND usename = 'reader'") });
  wait_until(1, sub { !$pair->worker_pids });
  kill 'CONT', $writer;
  my $seconds = stopwatch();
  $session->finish;
  $least = $seconds->() if $seconds->() < $least;
}
note "from the flush to the end: $least s";
cmp_ok($least, '<', 0.4, '… nor, once the source has flushed, for what the worker said meanwhile');

$pair->nothing_left('at the end no worker and no session is left');
$pair->finish;
