# From older versions to this one: until the update every call says what to do; afterwards the ledger
# of 0.1 is shown, its pulls can be resumed, and each object is as if it were installed afresh.  A dump
# keeps the ledger.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";

use ParallelLoader::Test;
use Test::More;

my $pair = ParallelLoader::Test->new(retries => 1, extension => 0);

my $ROWS = 4000;
$pair->source_sql(<<"SQL");
CREATE TABLE t (id integer PRIMARY KEY, note text);
INSERT INTO t SELECT i, 'row ' || i FROM generate_series(1, $ROWS) AS i;
SQL
$pair->destination->psql('postgres', 'CREATE DATABASE fresh');
$pair->destination_sql('CREATE EXTENSION parallel_loader CASCADE', dbname => 'fresh');
my $VERSION = $pair->destination_sql(
  q(SELECT extversion FROM pg_extension WHERE extname = 'parallel_loader'), dbname => 'fresh');

# ---- 0.1 with the library of today ----

$pair->destination_sql(<<'SQL');
CREATE EXTENSION parallel_loader VERSION '0.1' CASCADE;
CREATE ROLE puller LOGIN;
GRANT EXECUTE ON FUNCTION parallel_pull_start(text, regclass, text, text, text[], text, integer,
  text, text, text) TO puller;
CREATE TABLE t (id integer, note text);
CREATE TABLE t_failed (id integer, note text);
CREATE TABLE t_done (id integer, note text);
CREATE TABLE t_planned (id integer, note text);
CREATE TABLE t_new (id integer, note text);
GRANT INSERT ON t_failed TO puller;
-- What a user may have built upon 0.1.
CREATE VIEW my_pulls AS
SELECT pull_id, state, rows, bytes, chunks, chunks_done, retries, workers, "table"
FROM parallel_pulls;
CREATE VIEW my_progress AS SELECT pull_id, rows_per_second, bytes_per_second, seconds
FROM parallel_pull_progress;
CREATE VIEW my_chunks AS SELECT * FROM parallel_pull_chunks;
SQL
is($pair->destination_sql(q(SELECT extversion FROM pg_extension WHERE extname = 'parallel_loader')),
  '0.1', 'version 0.1 can still be installed');

my $dsn = literal($pair->dsn);
for my $case (
  ['parallel_pull', "SELECT parallel_pull($dsn, 't', NULL, NULL)"],
  ['parallel_pull_start', "SELECT parallel_pull_start($dsn, 't')"],
  ['parallel_pull_create', "SELECT parallel_pull_create($dsn, 't')"],
  ['parallel_pull_work', 'SELECT parallel_pull_work(1)'],
  ['parallel_pull_wait', 'SELECT parallel_pull_wait(1)'],
  ['parallel_pull_cancel', 'SELECT parallel_pull_cancel(1)'])
{
  my ($name, $call) = @$case;
  $pair->error_is($call, '55000', qr/ALTER EXTENSION parallel_loader UPDATE/,
    "before the update, $name says what to do");
}
is($pair->destination_sql('SELECT count(*) FROM parallel_loader.pull'), 0,
  '… and nothing was written');
$pair->nothing_left('… and nothing runs');

# ---- what 0.1 has left behind ----

# The source's identity as 0.1 recorded it, for pulls that are to be resumed.
my $identity = $pair->source_sql(<<'SQL');
SELECT format('%L, %L, %L, %L', pg_current_wal_lsn(), system_identifier, timeline_id,
  current_database())
FROM pg_control_system(), pg_control_checkpoint()
SQL
$pair->destination_sql(<<"SQL");
CREATE FUNCTION old_pull(id bigint, owner regrole, "table" regclass, state text, code text,
  message text, key text DEFAULT 'id', ended boolean DEFAULT true) RETURNS void
LANGUAGE sql AS \$\$
INSERT INTO parallel_loader.pull (pull_id, run_id, owner, "table", source, source_table, key,
  bound_type, columns, format, workers, chunk_bytes, timezone, date_order, snapshot, source_lsn,
  source_system, source_timeline, source_database, source_version, segment, state, sqlstate, error,
  started, finished)
SELECT id, id, owner, "table", $dsn, 'public.t', key, 'integer', '{id,note}', 'binary', 2,
  134217728, 'UTC', 'MDY', '00000003-00000099-1', $identity, 150000, 4294967295, state, code,
  message, '2026-01-01 00:00:00+00', CASE WHEN ended THEN '2026-01-01 00:00:01+00'::timestamptz END
\$\$;
SELECT old_pull(nextval('parallel_loader.pull_pull_id_seq'), 'postgres', 't_done', 'done', NULL,
  NULL);
SELECT old_pull(nextval('parallel_loader.pull_pull_id_seq'), 'puller', 't_failed', 'failed',
  '08006', 'connection to source was lost');
SELECT old_pull(nextval('parallel_loader.pull_pull_id_seq'), 'postgres', 't', 'running', NULL, NULL,
  ended => false);
SELECT old_pull(nextval('parallel_loader.pull_pull_id_seq'), 'postgres', 't_planned', 'planned',
  NULL, NULL, ended => false);
SELECT old_pull(nextval('parallel_loader.pull_pull_id_seq'), 'postgres', 't', 'cancelled', '57014',
  'canceling pull due to user request');
-- Planned, but not to its end: no chunk, and nothing known of the source yet.
UPDATE parallel_loader.pull SET snapshot = NULL, source_lsn = NULL, source_system = NULL,
  source_timeline = NULL, source_database = NULL, source_version = NULL, bound_type = NULL
WHERE pull_id = 4;
INSERT INTO parallel_loader.chunk (pull_id, chunk, range_start, range_end, state, rows, bytes,
  attempts, route, sqlstate, error, finished)
VALUES
  (1, 1, NULL, '2001', 'done', 2000, 40000, 1, 'copy', NULL, NULL, '2026-01-01 00:00:01+00'),
  (1, 2, '2001', NULL, 'done', 2000, 41000, 1, 'copy', NULL, NULL, '2026-01-01 00:00:01+00'),
  (2, 1, NULL, '2001', 'done', 2000, 40000, 1, 'copy', NULL, NULL, '2026-01-01 00:00:01+00'),
  (2, 2, '2001', NULL, 'failed', 0, 0, 1, NULL, '08006', 'connection to source was lost',
    '2026-01-01 00:00:01+00'),
  (3, 1, NULL, '1001', 'done', 1000, 20000, 1, 'copy', NULL, NULL, '2026-01-01 00:00:01+00'),
  (3, 2, '1001', '2001', 'planned', 0, 0, 0, NULL, NULL, NULL, NULL),
  (3, 3, '2001', NULL, 'done', 2000, 41000, 1, 'copy', NULL, NULL, '2026-01-01 00:00:01+00'),
  (5, 1, NULL, NULL, 'planned', 0, 0, 0, NULL, NULL, NULL, NULL);
SQL
# The rows of the done chunks.
$pair->destination_sql(<<"SQL");
INSERT INTO t_done SELECT i, 'row ' || i FROM generate_series(1, $ROWS) AS i;
INSERT INTO t_failed SELECT i, 'row ' || i FROM generate_series(1, 2000) AS i;
INSERT INTO t SELECT i, 'row ' || i FROM generate_series(1, $ROWS) AS i WHERE i NOT BETWEEN 1001 AND 2000;
SQL
for my $view (qw(parallel_pulls parallel_pull_progress my_pulls)) {
  $pair->error_is("SELECT * FROM $view", '55000', qr/ALTER EXTENSION parallel_loader UPDATE/,
    "before the update, so does $view where it has something to show");
}

# The ledger in the columns of 0.1.
my %COLUMNS = map { $_ => $pair->destination_sql(<<"SQL") } qw(pull chunk);
SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) FROM pg_attribute
WHERE attrelid = 'parallel_loader.$_'::regclass AND attnum > 0
SQL

sub ledger_of {
  my (%options) = @_;
  return join "\n", map { $pair->destination_sql(<<"SQL", %options) } qw(pull chunk);
SELECT r::text FROM (SELECT $COLUMNS{$_} FROM parallel_loader.$_) AS r ORDER BY 1
SQL
}

my $ledger_before = ledger_of();
my $views_before = $pair->destination_sql(q(SELECT pg_get_viewdef('my_pulls') ||
  pg_get_viewdef('my_progress') || pg_get_viewdef('my_chunks')));

# ---- the update ----

is($pair->try_sql('ALTER EXTENSION parallel_loader UPDATE')->summary, 'success: ', 'the update');
is($pair->destination_sql(q(SELECT extversion FROM pg_extension WHERE extname = 'parallel_loader')),
  $VERSION, "… leads to version $VERSION");
is(ledger_of(), $ledger_before, '… and leaves the ledger as it is');
is($pair->destination_sql(q(SELECT pg_get_viewdef('my_pulls') ||
  pg_get_viewdef('my_progress') || pg_get_viewdef('my_chunks'))), $views_before,
  '… and the views that users have built upon it');
is($pair->destination_sql(<<'SQL'), <<'PULLS' =~ s/\n\z//r, 'the pulls of 0.1 are shown');
SELECT pull_id, state, rows, bytes, chunks, chunks_done, retries, workers FROM my_pulls ORDER BY 1
SQL
1|done|4000|81000|2|2|0|0
2|failed|2000|40000|2|1|0|0
3|interrupted|3000|61000|3|2|0|0
4|interrupted|0|0|0|0|0|0
5|cancelled|0|0|1|0|0|0
PULLS
is($pair->destination_sql(
  q(SELECT string_agg(kind || coalesce(max_rate, 0), ' ') FROM parallel_pulls)),
  'pull0 pull0 pull0 pull0 pull0', '… with what 0.1 did not know yet');
is($pair->destination_sql('SELECT count(*) FROM my_chunks'), 8, '… and their chunks');
is($pair->destination_sql('SELECT count(*) FROM my_progress'), 0, '… none of which runs');
is($pair->destination_sql('SELECT count(*) FROM parallel_pulls', user => 'puller'), 1,
  'a role sees the pulls that it had under 0.1');
$pair->error_is('SELECT * FROM parallel_loader.live_progress()', '42501', qr/permission denied/,
  '… by the views alone', user => 'puller');
is($pair->destination_sql(<<'SQL'), 't', 'rights that were granted under 0.1 stay');
SELECT has_function_privilege('puller', 'parallel_pull_start(text, regclass, text, text, text[],
  text, integer, text, text, text)', 'EXECUTE')
SQL

# ---- each object as in a fresh installation ----

# The parts that two installations must have alike, each a query of (name, definition).
my %PARTS = (
  'the list of objects' => <<'SQL',
SELECT pg_describe_object(classid, objid, objsubid), '' FROM pg_depend
WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e'
  AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'parallel_loader')
SQL
  'tables' => <<'SQL',
SELECT c.relname, string_agg(concat_ws(' ', a.attname, format_type(a.atttypid, a.atttypmod),
    a.attnotnull, a.attidentity, pg_get_expr(d.adbin, d.adrelid), a.attstorage, a.attcompression,
    col_description(c.oid, a.attnum)), E'\n' ORDER BY a.attnum)
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
WHERE c.relkind IN ('r', 'v', 'S') AND (c.relnamespace = 'parallel_loader'::regnamespace
    OR c.relname LIKE 'parallel\_pull%') GROUP BY 1
SQL
  'relations' => <<'SQL',
SELECT relname, concat_ws(' ', relkind, relpersistence, relrowsecurity, reloptions::text, relacl::text,
  obj_description(oid, 'pg_class')) FROM pg_class
WHERE relnamespace = 'parallel_loader'::regnamespace OR relname LIKE 'parallel\_pull%'
SQL
  'constraints' => <<'SQL',
SELECT conrelid::regclass || '.' || conname, pg_get_constraintdef(oid) FROM pg_constraint
WHERE connamespace = 'parallel_loader'::regnamespace
SQL
  'indexes' => <<'SQL',
SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'parallel_loader'
SQL
  'views' => <<'SQL',
SELECT viewname, definition FROM pg_views WHERE viewname LIKE 'parallel\_pull%'
SQL
  'functions' => <<'SQL',
SELECT oid::regprocedure::text, concat_ws(' ', pg_get_functiondef(oid), pg_get_function_result(oid),
  CASE WHEN proname = 'parallel_pull_start' THEN '' ELSE proacl::text END,
  obj_description(oid, 'pg_proc'))
FROM pg_proc WHERE pronamespace = 'parallel_loader'::regnamespace OR proname LIKE 'parallel\_pull%'
SQL
  'what pg_dump takes along' => <<'SQL',
SELECT c.oid::regclass::text, e.condition FROM pg_extension AS x
CROSS JOIN LATERAL unnest(x.extconfig, x.extcondition) AS e (id, condition)
JOIN pg_class AS c ON c.oid = e.id WHERE x.extname = 'parallel_loader'
SQL
);
sub is_as_fresh {
  my ($rule, %options) = @_;
  for my $part (sort keys %PARTS) {
    my $sql = "SELECT name || ': ' || coalesce(definition, '') FROM ($PARTS{$part})"
      . ' AS p (name, definition) ORDER BY name COLLATE "C", definition COLLATE "C"';
    my $fresh = $pair->destination_sql($sql, dbname => 'fresh');
    is($pair->destination_sql($sql, %options), $fresh, "$rule as in a fresh installation: $part");
    isnt($fresh, '', '… of which there are some');
  }
  return;
}

is_as_fresh('after the update');

# ---- the versions between ----

my @between = split /\n/, $pair->destination_sql(<<"SQL");
SELECT version FROM pg_available_extension_versions
WHERE name = 'parallel_loader' AND version NOT IN ('0.1', '$VERSION')
SQL
ok(@between > 0, 'there are versions between');
for my $version (@between) {
  my %there = (dbname => "since $version");
  $pair->destination->psql('postgres', qq(CREATE DATABASE "$there{dbname}"));
  $pair->destination_sql("CREATE EXTENSION parallel_loader VERSION '$version' CASCADE;"
      . ' CREATE TABLE t (id integer, note text)', %there);
  my $pull = $pair->pull_sql('t');
  $pair->error_is($pull, '55000', qr/ALTER EXTENSION parallel_loader UPDATE/,
    "before the update from $version, a pull says what to do", %there);
  $pair->destination_sql('ALTER EXTENSION parallel_loader UPDATE', %there);
  is($pair->destination_sql($pull, %there), $ROWS, '… and after it, it works');
  is_as_fresh("after the update from $version", %there);
}

# ---- it works ----

is($pair->try_sql($pair->pull_sql('t_new', undef, undef, {source_table => 't'}))->summary,
  "success: $ROWS", 'a new pull works');
is($pair->newest_pull_id, 6, '… numbered after those of 0.1');
$pair->same_rows({source => 'SELECT * FROM t', destination => 'SELECT * FROM t_new'},
  '… with every row');

$pair->error_is('SELECT parallel_pull_resume(3)', '55000', qr/snapshot/,
  'an interrupted pull of 0.1 has lost its snapshot');
$pair->error_is('SELECT parallel_pull_resume(3, new_snapshot => true)', '55000',
  qr/planned by an earlier version/, '… and cannot go on under a new one: its types are not known');
is($pair->destination_sql('SELECT count(*) FROM t'), 3000, '… and nothing of the table has changed');

$pair->destination_sql('GRANT EXECUTE ON FUNCTION parallel_pull_resume(bigint, text, boolean) TO puller');
$pair->error_is('SELECT parallel_pull_resume(2, new_snapshot => true)', '2F003',
  qr/rights of the pull's owner/, 'a pull of another role is resumed by its password rule');
$pair->destination_sql('ALTER ROLE puller SUPERUSER');
$pair->error_is('SELECT parallel_pull_resume(2, new_snapshot => true)', '55000',
  qr/planned by an earlier version.*HINT:  Empty the table and pull it again/s,
  'nor can a failed pull of 0.1 of which chunks are done');
is($pair->pull(2)->{state}, 'failed', '… which stays what it is');

# Cancelled before anything was moved: any snapshot will do.
$pair->destination_sql('TRUNCATE t');
is($pair->try_sql('SELECT rows FROM parallel_pull_resume(5)')->summary, 'success: 4000',
  'a pull of 0.1 of which nothing was moved is resumed without asking');
$pair->same_rows('SELECT * FROM t', '… with every row');

for my $how ('', ', new_snapshot => true') {
  $pair->error_is("SELECT parallel_pull_resume(4$how)", '55000', qr/has no plan.*pull.* again/is,
    "a pull that was not planned to its end is not resumed as an empty one$how");
}
is($pair->pull(4)->{state}, 'interrupted', '… and stays what it is');

# ---- dump and restore ----

my $dump = $pair->destination->basedir . '/dump.sql';
my $newest = $pair->newest_pull_id;
my $ledger = ledger_of();
$pair->destination->command_ok(['pg_dump', '--no-sync', '-f', $dump, '-d', $pair->destination->connstr('postgres')],
  'pg_dump of the destination');
$pair->destination_sql('CREATE DATABASE restored TEMPLATE template0');
$pair->destination->command_ok(['psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-f', $dump,
    '-d', $pair->destination->connstr('restored')], '… can be restored');
is(ledger_of(dbname => 'restored'), $ledger, '… with the ledger');
is($pair->destination_sql('SELECT count(*) FROM my_pulls', dbname => 'restored'), $newest,
  '… which its views show');
is($pair->destination_sql('TRUNCATE t_new; ' . $pair->pull_sql('t_new', undef, undef,
      {source_table => 't'}), dbname => 'restored'), $ROWS, '… and pulls work there');
is($pair->pull(undef, dbname => 'restored')->{pull_id}, $newest + 1,
  '… whose numbers go on where they were');

# ---- gone without a trace ----

$pair->destination_sql('DROP EXTENSION parallel_loader CASCADE');
is($pair->destination_sql(q(SELECT count(*) FROM pg_class WHERE relname LIKE 'parallel_pull%'
  OR relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = 'parallel_loader'))), 0,
  'DROP EXTENSION after an update leaves nothing');
is($pair->try_sql('CREATE EXTENSION parallel_loader')->summary, 'success: ',
  '… and it can be installed again');

$pair->nothing_left('no process or session is left');
$pair->finish;
