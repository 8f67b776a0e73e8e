# The snapshot: every key kind gives one picture of a source that is written to all the time; it is
# let go as soon as the last row was read; one that was given need not outlive the call; a standby
# has one too.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";

use ParallelLoader::Session;
use ParallelLoader::Test;
use Test::More;
use Time::HiRes qw(sleep);

# As they are where nobody sets them.
my $CONF = "parallel_loader.retry_budget = '5min'\nparallel_loader.snapshot_hold = '10min'\n";
my $pair = ParallelLoader::Test->new(
  destination => {conf => $CONF},
  source => {conf => "max_wal_senders = 4\nmax_connections = 60\nhot_standby_feedback = on"});
my $OURS = q(application_name LIKE 'parallel_loader%');

# ---- kinds of keys ----

# Each: the columns of its key, their values for row number i, and the key to name.
my $HAS_ICU = $pair->source_sql(q(SELECT count(*) FROM pg_collation WHERE collname = 'en-US-x-icu'));
my %KIND = (
  smallint => {columns => ['k smallint'], values => ['(i % 65536 - 32768)::smallint']},
  integer => {columns => ['k integer'], values => ['i * 1000 - 5000000']},
  bigint => {columns => ['k bigint'], values => ['i::bigint * 461168601842738 - 4611686018427387904']},
  numeric => {columns => ['k numeric'], values => ['round(i / 7.0, 20) - 300']},
  text => {columns => ['k text COLLATE "C"'], values => [q(md5(i::text) || 'é')]},
  $HAS_ICU ? (icu => {columns => ['k text COLLATE "en-US-x-icu"'],
      values => [q(chr(65 + i % 26) || md5(i::text) || chr(97 + i % 26))]}) : (),
  uuid => {columns => ['k uuid'], values => ['md5(i::text)::uuid']},
  date => {columns => ['k date'], values => [q(date '1990-01-01' + i)]},
  timestamp => {columns => ['k timestamp'],
    values => [q(timestamp '2020-03-01 02:00:00.000001' + i * interval '17 minutes')]},
  timestamptz => {columns => ['k timestamptz'],
    values => [q(timestamptz '2020-03-01 02:00:00+00' + i * interval '17.5 minutes')]},
  bytea => {columns => ['k bytea'], values => [q(decode(md5(i::text), 'hex'))]},
  composite => {columns => ['k integer', 'k2 text COLLATE "C"'],
    values => ['i / 50', 'md5(i::text)'], key => '(k, k2)'},
  ctid => {columns => ['k integer'], values => ['i'], key => 'ctid'},
);

# Statements that change a table: new rows, new values, other keys, fewer rows; $1 is the number of a
# row, $2 of one that may not be there yet.
sub churn_sql {
  my ($kind) = @_;
  my @columns = map { s/ .*//r } @{$KIND{$kind}{columns}};
  my $list = join ', ', @columns;
  my $old = join ', ', map { s/\bi\b/\$1/gr } @{$KIND{$kind}{values}};
  my $new = join ', ', map { s/\bi\b/\$2/gr } @{$KIND{$kind}{values}};
  my $body = q(repeat(md5(random()::text), 1 + (random() * 6)::integer));
  return (
    "INSERT INTO k_$kind ($list, note) SELECT $new, $body WHERE \$1 > 0 ON CONFLICT DO NOTHING",
    "UPDATE k_$kind SET note = $body, version = version + 1 WHERE ($list) = ($old) AND \$2 > 0",
    "UPDATE k_$kind SET ($list) = ROW($new), version = version + 1 WHERE ($list) = ($old)",
    "DELETE FROM k_$kind WHERE ($list) = ($old) AND \$2 > 0");
}

my $ROWS = 8000;
my @KINDS = sort keys %KIND;
my $setup = "CREATE TABLE churn (kind text, sql text);\n";
for my $kind (@KINDS) {
  my @columns = @{$KIND{$kind}{columns}};
  my $list = join ', ', map { s/ .*//r } @columns;
  my $table = "k_$kind (" . join(', ', @columns) . ', note text, version integer DEFAULT 0)';
  $pair->both_sql("CREATE TABLE $table");
  $pair->source_sql("INSERT INTO k_$kind SELECT " . join(', ', @{$KIND{$kind}{values}})
      . ", repeat(md5(i::text), 1 + i % 7) FROM generate_series(1, $ROWS) AS i");
  $pair->source_sql($kind eq 'ctid' ? 'CREATE INDEX ON k_ctid (k)'
    : "ALTER TABLE k_$kind ADD PRIMARY KEY ($list)");
  $setup .= 'INSERT INTO churn VALUES ' . join(', ', map {
    "('$kind', " . literal($_) . ')' } churn_sql($kind)) . ";\n";
}
$pair->source_sql($setup . <<"SQL");
CREATE PROCEDURE churn(of_kind text) LANGUAGE plpgsql AS \$\$
DECLARE
  statement text;
BEGIN
  LOOP
    FOR statement IN SELECT sql FROM churn WHERE kind = of_kind ORDER BY random() LOOP
      BEGIN
        FOR turn IN 1 .. 5 LOOP
          EXECUTE statement USING 1 + (random() * $ROWS)::integer,
            1 + (random() * 1.5 * $ROWS)::integer;
        END LOOP;
      EXCEPTION WHEN unique_violation THEN NULL;
      END;
      COMMIT;
    END LOOP;
  END LOOP;
END \$\$;
ANALYZE;
SQL

# Pinned, so that equal rows have equal texts.
my $PIN = q(SET datestyle = 'ISO, YMD'; SET timezone = 'UTC'; SET bytea_output = hex;);
sub picture {
  my ($kind) = @_;
  my $list = join ', ', (map { s/ .*//r } @{$KIND{$kind}{columns}}), 'note', 'version';
  return <<"SQL";
SELECT count(*) || ' rows ' || md5(string_agg(h, '' ORDER BY h COLLATE "C"))
FROM (SELECT md5(t::text) AS h FROM (SELECT $list FROM k_$kind) AS t) AS hashes
SQL
}

for my $kind (@KINDS) {
  my @writers = map { $pair->session('source') } 1 .. 3;
  $_->start("CALL churn('$kind')") for @writers[0, 1];
  # Space of rows that nobody needs is used again at once.
  $writers[2]->start("SET vacuum_cost_delay = 0; VACUUM k_$kind\n;\nSELECT pg_sleep(0.2)\n;\nVACUUM k_$kind");
  sleep 0.1;
  my $witness = $pair->session('source');
  my $snapshot = $witness->query_safe("$PIN BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;"
      . ' SELECT pg_export_snapshot()');
  my $start = $pair->table_sql('parallel_pull_start', "k_$kind", {
      workers => 3,
      chunk_size => '64kB',
      snapshot => $snapshot,
      $KIND{$kind}{key} ? (key => $KIND{$kind}{key}) : $kind eq 'ctid' ? () : (key => 'k'),
  });
  # Slowed down, so that the source changes between its chunks.
  my $pull_id = $pair->destination_sql("SELECT id FROM (SELECT ($start) AS id OFFSET 0) AS started,"
      . ' LATERAL parallel_pull_alter(id, max_rate => 1800)');
  my $state = $pair->destination_sql("SELECT parallel_pull_wait($pull_id)");
  my $now = $pair->source_sql($PIN . picture($kind));
  $_->kill9 for @writers;
  is($state, 'done', "$kind: a pull under concurrent writes") or diag $pair->pull($pull_id)->{error};
  cmp_ok($pair->pull($pull_id)->{chunks}, '>', 3, '… in several chunks');
  my $expected = $witness->query_safe(picture($kind));
  is($pair->destination_sql($PIN . picture($kind)), $expected,
    '… gives what its snapshot shows, and nothing else');
  isnt($now, $expected, '… which is not what the source is by then');
  $witness->close;
  $pair->source_sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'CALL churn%'");
}

# ---- a snapshot that was given is needed for the call alone ----

$pair->source_sql(<<'SQL');
CREATE TABLE t (id integer PRIMARY KEY, note text);
INSERT INTO t SELECT i, repeat(md5(i::text), 10) FROM generate_series(1, 8000) AS i;
CREATE TABLE left_side (id integer PRIMARY KEY, note text);
CREATE TABLE right_side (id integer PRIMARY KEY, note text);
INSERT INTO left_side SELECT * FROM t;
SQL
$pair->destination_sql(<<'SQL');
CREATE TABLE t (id integer, note text);
CREATE TABLE left_side (id integer, note text);
CREATE TABLE right_side (id integer, note text);
SQL

for my $function (qw(parallel_pull_start parallel_pull_create)) {
  my $exporter = $pair->session('source');
  my $snapshot = $exporter->query_safe(
    'BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT pg_export_snapshot()');
  $pair->source_sql(q(UPDATE t SET note = 'later' WHERE id % 2 = 0; DELETE FROM t WHERE id % 3 = 0));
  my $pull_id = $pair->destination_sql($pair->table_sql($function, 't',
    {snapshot => $snapshot, chunk_size => '64kB', workers => 2}));
  $exporter->query_safe('COMMIT');
  $exporter->close;
  is($pair->destination_sql($function eq 'parallel_pull_create'
      ? "SELECT remaining FROM parallel_pull_work($pull_id, workers => 2)"
      : "SELECT CASE parallel_pull_wait($pull_id) WHEN 'done' THEN 0 END"), 0,
    "$function: the snapshot's exporter may end as soon as it has returned")
    or diag $pair->pull($pull_id)->{error};
  is($pair->destination_sql(q(SELECT count(*) || '|' || count(*) FILTER (WHERE note = 'later') FROM t)),
    '8000|0', '… and the pull is under that snapshot');
  $pair->destination_sql('TRUNCATE t');
  $pair->source_sql('TRUNCATE t; INSERT INTO t SELECT i, repeat(md5(i::text), 10)'
      . ' FROM generate_series(1, 8000) AS i');
}
for my $call (
  $pair->table_sql('parallel_pull_start', 't', {snapshot => '00000003-0000FFFF-1'}),
  $pair->table_sql('parallel_pull_create', 't', {snapshot => '00000003-0000FFFF-1'}))
{
  $pair->error_is($call, '22023|42704|55000', qr/snapshot/, 'a snapshot that is gone is an error of the call');
}

# ---- one run, one picture ----

# Each row moves from the one table to the other and back.
$pair->source_sql(<<'SQL');
CREATE PROCEDURE move() LANGUAGE plpgsql AS $$
BEGIN
  LOOP
    FOR number IN 1 .. 40 LOOP
      WITH moved AS (DELETE FROM left_side WHERE id % 40 = number % 40 RETURNING *)
      INSERT INTO right_side SELECT * FROM moved;
      COMMIT;
    END LOOP;
    FOR number IN 1 .. 40 LOOP
      WITH moved AS (DELETE FROM right_side WHERE id % 40 = number % 40 RETURNING *)
      INSERT INTO left_side SELECT * FROM moved;
      COMMIT;
    END LOOP;
  END LOOP;
END $$;
SQL
my $mover = $pair->session('source');
$mover->start('CALL move()');
my $first = $pair->destination_sql($pair->table_sql('parallel_pull_create', 'left_side',
    {chunk_size => '64kB', workers => 2}));
my $work = $pair->session('destination');
$work->start("SELECT remaining FROM parallel_pull_work($first, max_chunks => 3)");
sleep 0.3;
my $second = $pair->destination_sql("SELECT parallel_pull_create("
    . literal($pair->dsn) . ", 'right_side', chunk_size => '64kB', workers => 2, run_id => $first)");
$work->finish;
is($pair->destination_sql("SELECT remaining FROM parallel_pull_work($_)"), 0, 'a pull of the run ends')
  for $second, $first;
$work->close;
$mover->kill9;
$pair->source_sql(q(SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'CALL move()%'));
is($pair->destination_sql(<<'SQL'), '8000|8000', 'two pulls of one run see one picture');
SELECT count(*) || '|' || count(DISTINCT id)
FROM (SELECT id FROM left_side UNION ALL SELECT id FROM right_side) AS both_sides
SQL
note 'to the left and to the right: ' . $pair->destination_sql(
  q(SELECT (SELECT count(*) FROM left_side) || ' ' || (SELECT count(*) FROM right_side)));

# ---- let go when the last row was read ----

$pair->destination_sql(<<'SQL');
CREATE FUNCTION nap() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(7); RETURN new; END';
CREATE CONSTRAINT TRIGGER nap_last AFTER INSERT ON t DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
  WHEN (new.id = 8000) EXECUTE FUNCTION nap();
SQL

sub holders {
  return $pair->source_sql("SELECT string_agg(application_name || ' ' || state, ', ')"
    . " FROM pg_stat_activity WHERE $OURS AND (backend_xmin IS NOT NULL OR backend_xid IS NOT NULL)");
}

sub lets_go {
  my ($rule, $named) = @_;
  local $Test::Builder::Level = $Test::Builder::Level + 1;
  my $pull_id = $pair->destination_sql($pair->table_sql('parallel_pull_start', 't',
    {chunk_size => '64kB', %$named}));
  my $NAPPING = q(SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'
    AND backend_type LIKE 'parallel_loader%');
  my $is_napping = wait_until(20, sub { $pair->destination_sql($NAPPING) > 0 });
  ok($is_napping, "$rule: the destination is busy with its commit") or diag $pair->pull($pull_id)->{error};
  my $held = 'unknown';
  wait_until(3, sub { ($held = holders()) eq '' });
  is($held, '', '… and holds nothing on the source');
  cmp_ok($pair->destination_sql($NAPPING), '>', 0, '… while it is busy still');
  is($pair->destination_sql("SELECT parallel_pull_wait($pull_id)"), 'done', '… and then it ends')
    or diag $pair->pull($pull_id)->{error};
  $pair->same_rows('SELECT * FROM t', '… with every row once');
  $pair->destination_sql('TRUNCATE t');
  return;
}

lets_go('one worker', {workers => 1});
lets_go('three workers, the last chunk', {workers => 3});
# The others read on and end; the first one has a session that it might still have needed.
$pair->destination_sql(<<'SQL');
DROP TRIGGER nap_last ON t;
CREATE CONSTRAINT TRIGGER nap_first AFTER INSERT ON t DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
  WHEN (new.id = 1) EXECUTE FUNCTION nap();
SQL
lets_go('three workers, the first chunk', {workers => 3});
$pair->destination_sql('DROP TRIGGER nap_first ON t');

# ---- an ALTER TABLE that queues up on the source ----

my $alter_id = $pair->destination_sql("SELECT id FROM (SELECT ("
    . $pair->table_sql('parallel_pull_start', 't', {workers => 2, chunk_size => '64kB'})
    . ') AS id OFFSET 0) AS started, LATERAL parallel_pull_alter(id, max_rate => 600)');
wait_until(20, sub { $pair->pull($alter_id)->{rows} > 0 });
my $altering = $pair->session('source');
$altering->start('ALTER TABLE t ADD COLUMN later integer');
ok(wait_until(5, sub {
  $pair->source_sql(q(SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 't'::regclass)) > 0
}), 'an ALTER TABLE on the source waits for a pull');
is($pair->destination_sql("SELECT parallel_pull_wait($alter_id)"), 'done', '… which ends')
  or diag $pair->pull($alter_id)->{error};
is($altering->finish(10)->summary, 'success: ', '… and lets it go on');
$altering->close;
$pair->same_rows('SELECT id, note FROM t', '… with every row once');
$pair->source_sql('ALTER TABLE t DROP COLUMN later');
$pair->destination_sql('TRUNCATE t');

# ---- a standby ----

$pair->source_sql(<<'SQL');
CREATE TABLE keyless (n integer, note text);
INSERT INTO keyless SELECT i, repeat(md5(i::text), 10) FROM generate_series(1, 8000) AS i;
SQL
$pair->destination_sql('CREATE TABLE keyless (n integer, note text)');
$pair->source->backup('base');
my $standby = ParallelLoader::Test::new_node('standby');
$standby->init_from_backup($pair->source, 'base', has_streaming => 1);
$standby->append_conf('postgresql.conf', "max_standby_streaming_delay = 30s\n");
$standby->start;
$pair->source->wait_for_catchup($standby, 'replay', $pair->source->lsn('insert'));
my $dsn = $standby->connstr('postgres');
for my $table (qw(t keyless)) {
  my $churn = $pair->session('source');
  $churn->start("DO \$\$ BEGIN FOR i IN 1 .. 100000 LOOP UPDATE $table SET note = note || 'x'"
      . " WHERE ctid = format('(%s,1)', i % 200)::tid; COMMIT; END LOOP; END \$\$");
  my $witness = ParallelLoader::Session->new($standby);
  my $snapshot = $witness->query_safe(
    'BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SELECT pg_export_snapshot()');
  my $pull_id = $pair->destination_sql("SELECT id FROM (SELECT (" . $pair->table_sql('parallel_pull_start',
        $table, {dsn => $dsn, snapshot => $snapshot, workers => 2, chunk_size => '64kB'})
      . ') AS id OFFSET 0) AS started, LATERAL parallel_pull_alter(id, max_rate => 1500)');
  is($pair->destination_sql("SELECT parallel_pull_wait($pull_id)"), 'done', "a standby as source, table $table")
    or diag $pair->pull($pull_id)->{error};
  cmp_ok($pair->pull($pull_id)->{chunks}, '>', 3, '… in several chunks');
  my $hash = "SELECT count(*) || ' ' || md5(string_agg(h, '' ORDER BY h COLLATE \"C\"))"
    . " FROM (SELECT md5(r::text) AS h FROM $table AS r) AS hashes";
  is($pair->destination_sql($hash), $witness->query_safe($hash), '… gives what its snapshot shows');
  $witness->close;
  $churn->kill9;
  $pair->source_sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'DO %'");
}
is($pair->destination_sql('SELECT key FROM parallel_pulls ORDER BY pull_id DESC LIMIT 1'), 'ctid',
  'a table without a key is cut by ctid on a standby too');

# Replay must not wait for ever for a table that is to be altered.
$pair->destination_sql('TRUNCATE t');
my $on_standby = $pair->destination_sql("SELECT id FROM (SELECT (" . $pair->table_sql('parallel_pull_start',
      't', {dsn => $dsn, workers => 2, chunk_size => '64kB'})
    . ') AS id OFFSET 0) AS started, LATERAL parallel_pull_alter(id, max_rate => 800)');
wait_until(20, sub { $pair->pull($on_standby)->{rows} > 0 });
$pair->source_sql('ALTER TABLE t ADD COLUMN later integer');
is($pair->destination_sql("SELECT parallel_pull_wait($on_standby)"), 'done',
  'a pull from a standby ends before an ALTER TABLE is replayed') or diag $pair->pull($on_standby)->{error};
is($pair->destination_sql('SELECT count(*) FROM t'), 8000, '… with all rows');
$pair->source->wait_for_catchup($standby, 'replay', $pair->source->lsn('insert'));
is($standby->safe_psql('postgres', 'SELECT count(later) FROM t'), 0, '… which it is then');
$standby->stop('fast');

$pair->nothing_left('no process or session is left');
$pair->finish;
