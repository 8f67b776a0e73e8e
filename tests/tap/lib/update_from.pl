# update_from: an update from version $main::FROM, which the file that requires this one has set.  The
# ledger holds rows as that version wrote them (0.4 and 0.5 alike; taken from a run of 0.4): pulls that are
# done, failed, cancelled, interrupted, planned, and marks with and without a filter.  The update leaves every
# row, view and right as it is, adds columns alone, and all goes on: resumes, appends, new pulls.

use strict;
use warnings;

use ParallelLoader::Test;
use Test::More;

our $FROM;
my $pair = ParallelLoader::Test->new(retries => 1, extension => 0);
my $ROWS = 4000;
my @TABLES = qw(t_done t_failed t_untouched t_interrupted t_planned t_cancelled t_mark t_filtered);
$pair->source_sql(join ";\n", map {
  "CREATE TABLE $_ (id bigint PRIMARY KEY, note text);
   INSERT INTO $_ SELECT i, 'row ' || i FROM generate_series(1, $ROWS) AS i" } @TABLES);
$pair->destination_sql(join ";\n", "CREATE EXTENSION parallel_loader VERSION '$FROM' CASCADE",
  'CREATE ROLE puller', 'GRANT EXECUTE ON FUNCTION parallel_pull_cancel(bigint) TO puller',
  'GRANT EXECUTE ON FUNCTION parallel_pull_work(bigint, text, integer, integer) TO puller WITH GRANT OPTION',
  map { "CREATE TABLE $_ (id bigint, note text)" } @TABLES);
my $dsn = literal($pair->dsn);

# ---- what it has left behind ----

my $identity = $pair->source_sql(<<'SQL');
SELECT format('%L::pg_lsn, %L, %L, %L, %s, %L, %s, %s', pg_current_wal_flush_lsn(), system_identifier,
  timeline_id, current_database(), current_setting('server_version_num'), pg_current_snapshot(),
  pg_snapshot_xmin(pg_current_snapshot()), pg_snapshot_xmax(pg_current_snapshot()))
FROM pg_control_system(), pg_control_checkpoint()
SQL
my $OID_AND_FILE = q(SELECT oid || ':' || relfilenode FROM pg_class WHERE oid = '%s'::regclass);
my $local_system = $pair->destination_sql('SELECT system_identifier FROM pg_control_system()');

my $id = 0;
# A pull in two chunks, the first `done` of which are; for a done one the rows are there.
sub old_pull {
  my ($table, $state, $done, %more) = @_;
  $id++;
  my ($filter, $code, $error) = map { literal($more{$_}) } qw(filter sqlstate error);
  my $kind = $more{kind} // 'pull';
  my $path = $more{filter} ? q('{public}') : 'NULL';
  my $ended = $state =~ /done|failed|cancelled/ ? 'now()' : 'NULL';
  my $flushed = $state eq 'done' ? 'true' : 'NULL';
  my $source_relation = $pair->source_sql(sprintf $OID_AND_FILE, $table);
  my $local_relation = $pair->destination_sql(sprintf $OID_AND_FILE, $table);
  my $middle = $ROWS / 2 + 1;
  my @state = map { $_ <= $done ? 'done' : $more{chunk} // 'planned' } 1, 2;
  $pair->destination_sql(<<"SQL");
INSERT INTO parallel_loader.pull (run_id, owner, "table", source, source_table, key, bound_type, columns,
  filter, format, workers, chunk_bytes, timezone, date_order, snapshot, source_lsn, source_system,
  source_timeline, source_database, source_version, snapshot_state, snapshot_xmin, snapshot_xmax, segment,
  state, sqlstate, error, finished, kind, source_relations, snapshot_lock, source_host, source_port,
  source_path, source_shape, local_shape, asked_key, asked_format, table_name, source_flushed)
VALUES ($id, 'postgres', '$table', $dsn, 'public.$table', 'id', '"pg_catalog"."int8"', '{id,note}', $filter,
  'binary', 1, 131072, 'Etc/UTC', 'MDY', '00000001-00000044-1', $identity, 3687536200, '$state', $code, $error,
  $ended, '$kind', '$source_relation', 3984943354452730034, '${\$pair->source->host}',
  '${\$pair->source->port}', $path,
  E'c\\tid\\t1\\t20\\ttype bigint\\nc\\tnote\\t2\\t25\\ttype text\\nk\\tid\\t\\t NOT NULL\\tcollation none (version none), NOT NULL',
  E'c\\tid\\t1\\t20\\ttype bigint\\nc\\tnote\\t2\\t25\\ttype text', 'id', 'auto', 'public.$table', $flushed);
INSERT INTO parallel_loader.chunk (pull_id, chunk, range_start, range_end, state, rows, bytes, attempts,
  route, finished, estimated_rows, estimated_bytes, relation_oid, local_relations)
SELECT $id, c.chunk, c.s, c.e, c.state, n.rows, n.rows * 25, 1, CASE WHEN n.rows > 0 THEN 'heap' END,
  CASE WHEN c.state <> 'planned' THEN now() END, 2000, 122880, split_part('$source_relation', ':', 1)::oid,
  CASE WHEN c.state = 'done' THEN '\@$local_system $local_relation' END
FROM (VALUES (1, NULL, '$middle', '$state[0]'), (2, '$middle', NULL, '$state[1]')) AS c(chunk, s, e, state),
  LATERAL (SELECT CASE WHEN c.state = 'done' THEN 2000 ELSE 0 END) AS n(rows);
INSERT INTO $table SELECT i, 'row ' || i FROM generate_series(1, $done * $ROWS / 2) AS i;
SQL
  return $id;
}

sub old_mark {
  $pair->destination_sql(<<'SQL');
INSERT INTO parallel_loader.mark ("table", source_database, source_table, filter, horizon, compare_to,
  source_relations, source_system, source_timeline, key, pull_id, source_path, local_relations, source_lsn,
  owner)
SELECT "table", source_database, source_table, coalesce(filter, ''), snapshot_xmax, snapshot_xmax,
  source_relations, source_system, source_timeline, key, pull_id, source_path,
  (SELECT max(local_relations) FROM parallel_loader.chunk AS c WHERE c.pull_id = p.pull_id), source_lsn, owner
FROM parallel_loader.pull AS p WHERE pull_id = (SELECT max(pull_id) FROM parallel_loader.pull)
SQL
  return;
}

my %check = (sqlstate => '23514', error => 'new row for relation "t" violates check constraint "c"');
my $done = old_pull('t_done', 'done', 2);
my $failed = old_pull('t_failed', 'failed', 1, %check, chunk => 'failed');
my $untouched = old_pull('t_untouched', 'failed', 0, %check, chunk => 'failed');
my $interrupted = old_pull('t_interrupted', 'running', 1);
my $planned = old_pull('t_planned', 'planned', 0);
my $cancelled = old_pull('t_cancelled', 'cancelled', 1, sqlstate => '57014',
  error => 'canceling pull due to user request');
old_pull('t_mark', 'done', 2, kind => 'append');
old_mark();
old_pull('t_filtered', 'done', 2, kind => 'append', filter => 'id > 0');
old_mark();
$pair->destination_sql(<<'SQL');
CREATE VIEW my_pulls AS SELECT * FROM parallel_pulls;
CREATE VIEW my_chunks AS SELECT * FROM parallel_pull_chunks;
CREATE VIEW my_progress AS SELECT * FROM parallel_pull_progress;
SQL

# All that the update must leave alone: the ledger, and the objects with their rights.  Later versions have
# columns that it had not, and functions that have other arguments or results now are new ones.
my $NEW = q('{coordinator,began_empty,search_path,replication_role,error_detail,error_hint,tables_to_come,priority,started,copied_by}'::text[]);
my $KEPT = <<"SQL";
SELECT to_jsonb(p) - $NEW || jsonb_build_object('started', p.started) FROM parallel_loader.pull AS p;
SELECT to_jsonb(c) - $NEW FROM parallel_loader.chunk AS c;
SELECT m::text FROM parallel_loader.mark AS m;
SELECT oid, proacl, pg_get_functiondef(oid) FROM pg_proc
WHERE (pronamespace = 'parallel_loader'::regnamespace OR proname LIKE 'parallel\\_pull%')
  AND proname NOT IN ('live_chunks', 'live_coordinators', 'current_pull', 'parallel_pull_work') ORDER BY oid;
SELECT proacl FROM pg_proc WHERE proname = 'parallel_pull_work';
SELECT oid, relacl FROM pg_class WHERE relname ~ '^(my|parallel)_' AND relkind = 'v' AND relname <> 'parallel_pull_loads' ORDER BY oid;
SELECT oid, pg_get_viewdef(oid) FROM pg_class WHERE relname ~ '^my_' AND relkind = 'v' ORDER BY oid;
SELECT attrelid::regclass, attnum, attname, atttypid::regtype, attnotnull FROM pg_attribute
WHERE attrelid IN (SELECT oid FROM pg_class WHERE relnamespace = 'parallel_loader'::regnamespace
    AND relkind = 'r') AND NOT attname = ANY ($NEW)
ORDER BY attrelid, attnum;
SQL
my $before = $pair->destination_sql($KEPT);

# ---- the update ----

$pair->error_is($_, '55000', qr/older than its library.*ALTER EXTENSION parallel_loader UPDATE/s,
  "before the update it is asked for: $_")
  for "SELECT parallel_pull_start($dsn, 't_done')", "SELECT parallel_pull_resume($failed)",
  "SELECT parallel_pull_append($dsn, 't_mark')", 'SELECT * FROM my_pulls', "SELECT parallel_pull_forget('t_mark')";

my $update = $pair->try_sql("SET lock_timeout = '5s'; ALTER EXTENSION parallel_loader UPDATE");
is($update->summary, 'success: ', 'the update is made');
is($update->err, '', '… and has nothing to say');
is($pair->destination_sql($KEPT), $before, 'ledger, objects and rights are what they were');
is($pair->destination_sql('SELECT string_agg(state, \',\' ORDER BY pull_id) FROM my_pulls'),
  'done,failed,failed,interrupted,interrupted,cancelled,done,done', '… and each pull has its state');

# A session that has loaded the old library has all functions; its library sees the newer version itself.
my $version = $pair->destination_sql(q(SELECT extversion FROM pg_extension WHERE extname = 'parallel_loader'));
$pair->destination_sql(q(UPDATE pg_extension SET extversion = '0.10' WHERE extname = 'parallel_loader'));
$pair->error_is($_, '55000', qr/newer than its library.*Reconnect/s, "objects newer than the library: $_")
  for "SELECT parallel_pull_start($dsn, 't_done')", 'SELECT * FROM parallel_pulls', "SELECT parallel_pull_forget('t_mark')";
$pair->destination_sql("UPDATE pg_extension SET extversion = '$version' WHERE extname = 'parallel_loader'");

# ---- an update while a pull is held ----

# A coordinator of today, in another database, stands for an old one: it is made under old objects.
my %there = (dbname => 'held');
sub set_version {
  my ($number) = @_;
  $pair->destination_sql("UPDATE pg_extension SET extversion = '$number' WHERE extname = 'parallel_loader'", %there);
  return;
}
# Stops the process where it holds no lock on a table.
sub stop_between_transactions {
  my ($pid) = @_;
  ok(wait_until(20, sub {
    kill 'STOP', $pid;
    return 1 if !$pair->destination_sql("SELECT count(*) FROM pg_locks WHERE pid = $pid AND locktype = 'relation'");
    kill 'CONT', $pid;
    return 0;
  }), '… and stands still');
  return;
}
$pair->destination->psql('postgres', 'CREATE DATABASE held');
$pair->destination_sql("CREATE EXTENSION parallel_loader VERSION '$FROM' CASCADE;
  CREATE TABLE t_done (id bigint CHECK (id <> 4000), note text);", %there);
my @NEW = ('pull ADD coordinator bigint, ADD began_empty boolean, ADD search_path text, ADD replication_role text,'
    . ' ADD error_detail text, ADD error_hint text, ADD tables_to_come integer',
  'chunk ADD coordinator bigint, ADD priority bigint, ADD started timestamptz, ADD copied_by integer');
$pair->destination_sql("ALTER TABLE parallel_loader.$_", %there) for @NEW;
set_version($version);
is($pair->try_sql($pair->table_sql('parallel_pull_table', 't_done', {key => 'id', workers => 1, chunk_size => '64kB'}),
  %there)->sqlstate, '23514', 'a pull fails');
is(scalar($pair->coordinator_pids), 1, '… and is held');
my ($holder) = $pair->coordinator_pids;
stop_between_transactions($holder); # else it would see the version, and end
$pair->destination_sql("ALTER TABLE parallel_loader.$_", %there) for map { s/ADD (\w+) \w+/DROP $1/gr } @NEW;
set_version($FROM);
my $warned = $pair->try_sql('BEGIN; ALTER EXTENSION parallel_loader UPDATE; ROLLBACK', %there);
is($warned->sqlstate, '00000', 'the update does not wait for it');
like($warned->err, qr/WARNING.*run or hold their snapshot end.*not finished: 1\n.*HINT.*resume/s, '… and says that it ends');
kill $_, $holder for qw(CONT TERM);
$pair->nothing_left('once it is gone');
is($pair->try_sql('ALTER EXTENSION parallel_loader UPDATE', %there)->err, '', '… the update has nothing to say');

# ---- going on ----

for my $case ([$failed, 't_failed'], [$interrupted, 't_interrupted'], [$cancelled, 't_cancelled']) {
  my ($pull, $table) = @$case;
  $pair->error_is("SELECT parallel_pull_resume($pull)", '55000', qr/snapshot of pull $pull is lost/,
    "$table: the snapshot is gone");
  my $result = $pair->try_sql("SELECT rows, chunks FROM parallel_pull_resume($pull, new_snapshot => true)");
  is($result->summary, "success: $ROWS|2", '… under a new one it goes on');
  $pair->same_rows("SELECT * FROM $table", '… and all rows are there once');
}
for my $case ([$untouched, 't_untouched'], [$planned, 't_planned']) {
  my ($pull, $table) = @$case;
  is($pair->try_sql("SELECT rows FROM parallel_pull_resume($pull)")->summary, "success: $ROWS",
    "$table: planned anew");
  $pair->same_rows("SELECT * FROM $table", '… and all rows are there once');
}
$pair->source_sql("INSERT INTO $_ VALUES (10001, 'new')") for qw(t_done t_mark t_filtered);
for my $case (['t_mark'], ['t_done'], ['t_filtered', 'id > 0']) {
  my ($table, $filter) = @$case;
  my $result = $pair->try_sql($pair->table_sql('parallel_pull_append', $table, {filter => $filter}));
  is($result->summary, 'success: 1', "$table: an append goes on");
  is(join("\n", $result->notices), '', '… and has nothing to say');
  $pair->same_rows("SELECT * FROM $table", '… and all rows are there once');
}
is($pair->destination_sql("TRUNCATE t_done; SELECT rows FROM parallel_pull_table($dsn, 't_done')"), $ROWS + 1,
  'a new pull works');
is($pair->newest_pull_id, $id + 4, '… numbered after those of ' . $FROM);

$pair->nothing_left('no process or session is left');
$pair->finish;

1;
