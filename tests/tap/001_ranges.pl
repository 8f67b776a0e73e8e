# Which rows a pull takes: ranges, bounds, keys, filters, columns, snapshots, and ways to name the
# source.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";

use ParallelLoader::Test;
use Test::More;

my $pair = ParallelLoader::Test->new;

# Pulls one range into an empty table and checks both what the call returns and that exactly the
# source's rows under `condition` arrived.
sub takes {
  my ($table, $start, $end, $named, $condition, $rule, %options) = @_;
  local $Test::Builder::Level = $Test::Builder::Level + 1;
  my $source_table = $named->{source_table} // $table;
  $pair->destination_sql("TRUNCATE $table");
  my $expected = $pair->source_sql("SELECT count(*) FROM $source_table WHERE $condition");
  my $call = ($options{set} // '') . $pair->pull_sql($table, $start, $end, $named);
  my $result = $pair->try_sql($call);
  is($result->is_ok ? $result->out : $result->summary, $expected, "$rule: returns the row count");
  my $columns = $options{columns} // '*';
  $pair->same_rows({
      source => "SELECT $columns FROM $source_table WHERE $condition",
      destination => "SELECT $columns FROM $table"}, "$rule: these rows and no others");
  return;
}

# ---- the call of the manual's first page ----

$pair->both_sql(<<'SQL');
CREATE TABLE signals (
  id bigint PRIMARY KEY, device_id integer, ts timestamptz, value numeric, status text);
SQL
$pair->source_sql(<<'SQL');
INSERT INTO signals SELECT i, i % 97, timestamptz '2024-01-01 UTC' + i * interval '1 minute',
  i / 7.0, CASE WHEN i % 3 = 0 THEN 'ok' END FROM generate_series(-500, 120000) AS i;
SQL
takes('signals', 1, 100001, {}, 'id >= 1 AND id < 100001', 'a hundred thousand rows');

my $pull = $pair->pull;
is($pull->{state}, 'done', 'the ledger says done');
is($pull->{rows}, 100000, 'the ledger counts the rows of the pull');
cmp_ok($pull->{bytes}, '>', 1_000_000, 'the ledger counts the bytes of the pull');
is($pull->{chunks_done}, $pull->{chunks}, 'the ledger counts all chunks as done');
cmp_ok($pull->{chunks}, '>', 1, 'an integer key is cut into several chunks');
is($pull->{source_table}, 'public.signals', 'the ledger names the source table');
ok(defined $pull->{finished}, 'the ledger says when the pull finished');
my @chunks = $pair->chunks($pull->{pull_id});
my $chunk_rows = 0;
$chunk_rows += $_->{rows} for @chunks;
is($chunk_rows, 100000, "the chunks' rows add up to the pull's");
my $route = $ENV{PARALLEL_LOADER_ROUTE} // 'heap';
is(scalar(grep { $_->{route} ne $route } @chunks), 0, 'each chunk names its route');

# ---- half open, open, empty ----

$pair->both_sql(<<'SQL');
CREATE TABLE small (id integer PRIMARY KEY, note text);
CREATE TABLE with_nulls (k integer, note text);
SQL
$pair->source_sql(<<'SQL');
INSERT INTO small SELECT i, 'row ' || i FROM generate_series(-20, 40) AS i;
INSERT INTO with_nulls SELECT CASE WHEN i % 5 <> 0 THEN i END, 'row ' || i
FROM generate_series(1, 100) AS i;
SQL
takes('small', 1, 11, {}, 'id >= 1 AND id < 11', 'start is included and end is not');
takes('small', 'NULL', 11, {}, 'id < 11', 'no start');
takes('small', 11, 'NULL', {}, 'id >= 11', 'no end');
takes('small', 'NULL', 'NULL', {}, 'true', 'neither start nor end');
takes('small', -10, -5, {}, 'id >= -10 AND id < -5', 'negative keys');
takes('small', -10, 10, {}, 'id >= -10 AND id < 10', 'a range over zero');
takes('small', 5, 5, {}, 'false', 'start equal to end takes nothing');
takes('small', 1000, 2000, {}, 'false', 'a range without rows');
takes('small', '(-9223372036854775808)', '9223372036854775807', {}, 'true', 'the whole of bigint');
takes('with_nulls', 'NULL', 'NULL', {}, 'true', 'both sides open, no key: NULLs too');
takes('with_nulls', 'NULL', 'NULL', {key => 'k'}, 'true', 'both sides open, a key: NULLs too');
takes('with_nulls', 1, 'NULL', {key => 'k'}, 'k >= 1', 'open end leaves NULL keys out');
takes('with_nulls', 'NULL', 1000, {key => 'k'}, 'k < 1000', 'open start leaves NULL keys out');

for my $case ([2, 1], [q('2'), q('1')], ['2.5', '1.5'], [-1, -2]) {
  my ($start, $end) = @$case;
  $pair->error_is($pair->pull_sql('small', $start, $end), '22023', qr/start|range/i,
    "start $start after end $end is refused");
}
is($pair->destination_sql('SELECT count(*) FROM with_nulls WHERE k IS NULL'), 0,
  'no NULL key came with the last half-open range');

# ---- keys at the ends of their type, and with holes ----

# Enough bytes for several chunks.
$pair->both_sql('CREATE TABLE extremes (id bigint PRIMARY KEY, note text)');
$pair->source_sql(<<'SQL');
INSERT INTO extremes
SELECT base + sign * i, repeat('x', 150)
FROM (VALUES (-9223372036854775808, 1), (9223372036854775807, -1), (0, 1), (-1, -1),
  (1000000000000, 1)) AS ends (base, sign), generate_series(0, 5000) AS i;
SQL
takes('extremes', 'NULL', 'NULL', {}, 'true', 'all of bigint with holes');
cmp_ok($pair->pull->{chunks}, '>', 1, '… in several chunks');
takes('extremes', '(-9223372036854775808)', '9223372036854775807', {},
  'id < 9223372036854775807', 'from the least to before the greatest bigint');
takes('extremes', '(-9223372036854775808)', '(-9223372036854775807)', {},
  'id = -9223372036854775808', 'the least bigint alone');
takes('extremes', '9223372036854775807', 'NULL', {}, 'id = 9223372036854775807',
  'the greatest bigint alone');
takes('extremes', '(-1)', '1', {}, 'id IN (-1, 0)', 'around zero');

# ---- bounds of other types than the key's ----

takes('small', q('3'), q('9'), {}, 'id >= 3 AND id < 9', 'bounds as untyped text');
takes('small', q('3'::text), q('9'::text), {}, 'id >= 3 AND id < 9', 'bounds of type text');
takes('small', '3::smallint', '9::bigint', {}, 'id >= 3 AND id < 9', 'bounds of two integer types');
takes('small', '1.0', '1e6', {}, 'id >= 1', 'numeric bounds 1.0 and 1e6 on an integer key');
takes('small', '1.5', '3.5', {}, 'id >= 1.5 AND id < 3.5', 'fractions on an integer key');
takes('small', '-1.5', '-0.5', {}, 'id >= -1.5 AND id < -0.5', 'negative fractions');
takes('small', '1::float8', '9.9::float8', {}, 'id >= 1 AND id < 9.9', 'bounds of type float8');
takes('small', 1, 5000000000, {}, 'id >= 1', 'an end beyond the integer key\'s type');
takes('small', -5000000000, 5, {}, 'id < 5', 'a start below the integer key\'s type');
$pair->error_is($pair->pull_sql('small', 1, '1e30'), '22003', qr/bound/,
  'an integer key\'s bound beyond bigint is refused, not clipped');
takes('small', '5000000000', '6000000000', {}, 'false', 'a range wholly beyond the key\'s type');

$pair->both_sql(<<'SQL');
CREATE TABLE typed (
  id integer PRIMARY KEY, small smallint, n numeric, f float8, day date, at timestamptz,
  local timestamp, u uuid, word text, code char(4), raw bytea, span interval, ip inet);
SQL
$pair->source_sql(<<'SQL');
INSERT INTO typed SELECT i, i, i / 4.0, i / 4.0::float8, date '2024-01-01' + i,
  timestamptz '2024-01-01 00:00:00+00' + i * interval '1 hour',
  timestamp '2024-01-01 00:00:00' + i * interval '1 hour',
  md5(i::text)::uuid, chr(97 + i % 26) || i, chr(65 + i % 26) || i % 10,
  decode(md5(i::text), 'hex'),
  i * interval '1 hour', ('10.0.0.' || i)::inet
FROM generate_series(0, 200) AS i;
INSERT INTO typed SELECT 1000 + i, NULL, NULL, NULL, NULL,
  now() - i * interval '1 hour' + interval '30 min'
  FROM generate_series(1, 48) AS i;
SQL
takes('typed', '10::smallint', '20::smallint', {key => 'small'}, 'small >= 10 AND small < 20',
  'a smallint key');
takes('typed', 10, 100000, {key => 'small'}, 'small >= 10', 'an end beyond a smallint key');
takes('typed', '1.25', '9.75', {key => 'n'}, 'n >= 1.25 AND n < 9.75', 'a numeric key');
takes('typed', 1, 10, {key => 'n'}, 'n >= 1 AND n < 10', 'integer bounds on a numeric key');
takes('typed', '1.25', '9.75', {key => 'f'}, 'f >= 1.25 AND f < 9.75', 'a float8 key');
takes('typed', q(date '2024-01-10'), q(date '2024-02-10'), {key => 'day'},
  q(day >= '2024-01-10' AND day < '2024-02-10'), 'a date key');
takes('typed', q(timestamp '2024-01-10 12:00'), q(timestamp '2024-01-12 12:00'), {key => 'day'},
  q(day >= timestamp '2024-01-10 12:00' AND day < timestamp '2024-01-12 12:00'),
  'timestamps on a date key are not cut to days');
takes('typed', q(timestamptz '2024-01-02 05:00+00'), q(timestamptz '2024-01-03 05:00+00'),
  {key => 'at'}, q(at >= '2024-01-02 05:00+00' AND at < '2024-01-03 05:00+00'),
  'a timestamptz key');
takes('typed', q(timestamp '2024-01-02 05:00'), q(timestamp '2024-01-03 05:00'),
  {key => 'local'}, q(local >= '2024-01-02 05:00' AND local < '2024-01-03 05:00'),
  'a timestamp key');
takes('typed', q('40000000-0000-0000-0000-000000000000'::uuid),
  q('80000000-0000-0000-0000-000000000000'::uuid), {key => 'u'},
  q(u >= '40000000-0000-0000-0000-000000000000' AND u < '80000000-0000-0000-0000-000000000000'),
  'a uuid key');
takes('typed', q('c'), q('k'), {key => 'word'}, q(word >= 'c' AND word < 'k'), 'a text key');
takes('typed', q('C'), q('K'), {key => 'code'}, q(code >= 'C' AND code < 'K'), 'a char key');
takes('typed', q('\x40'::bytea), q('\x80'::bytea), {key => 'raw'},
  q(raw >= '\x40' AND raw < '\x80'), 'a bytea key');
takes('typed', q(interval '1 day'), q(interval '50 hours'), {key => 'span'},
  q(span >= '1 day' AND span < '50 hours'), 'an interval key');
takes('typed', q(inet '10.0.0.9'), q(inet '10.0.0.99'), {key => 'ip'},
  q(ip >= '10.0.0.9' AND ip < '10.0.0.99'), 'an inet key');

# now() differs between the two sides, so the source's rows are counted under one bound only.
$pair->destination_sql('TRUNCATE typed');
$pair->pull_returns(24, 'typed', q(now() - interval '1 day'), 'now()', {key => 'at'},
  q(now() - interval '1 day' as start));

# ---- bounds and filter are read as the caller reads them ----

for my $zone ('Asia/Tokyo', 'America/New_York') {
  my $set = "SET timezone = '$zone'; ";
  takes('typed', q(date '2024-01-03'), q(date '2024-01-04'), {key => 'at'},
    "at >= timestamp '2024-01-03' AT TIME ZONE '$zone'"
      . " AND at < timestamp '2024-01-04' AT TIME ZONE '$zone'",
    "dates on a timestamptz key are days of the caller's time zone $zone", set => $set);
  takes('typed', q('2024-01-03'), q('2024-01-04'), {key => 'at'},
    "at >= timestamp '2024-01-03' AT TIME ZONE '$zone'"
      . " AND at < timestamp '2024-01-04' AT TIME ZONE '$zone'",
    "text bounds are read in the caller's time zone $zone", set => $set);
  takes('typed', q(timestamptz '2024-01-03 00:00+00'), q(timestamptz '2024-01-05 00:00+00'),
    {key => 'local'},
    "local >= timestamptz '2024-01-03 00:00+00' AT TIME ZONE '$zone'"
      . " AND local < timestamptz '2024-01-05 00:00+00' AT TIME ZONE '$zone'",
    "timestamptz bounds on a timestamp key, in zone $zone", set => $set);
  takes('typed', 'NULL', 'NULL', {filter => q(at < '2024-01-03')},
    "at < timestamp '2024-01-03' AT TIME ZONE '$zone'",
    "the filter is read in the caller's time zone $zone", set => $set);
}
takes('typed', q('02/01/2024'), q('03/01/2024'), {key => 'day'},
  q(day >= '2024-01-02' AND day < '2024-01-03'), 'text bounds are read in date order DMY',
  set => q(SET datestyle = 'SQL, DMY'; ));
takes('typed', q('02/01/2024'), q('03/01/2024'), {key => 'day'},
  q(day >= '2024-02-01' AND day < '2024-03-01'), 'text bounds are read in date order MDY',
  set => q(SET datestyle = 'SQL, MDY'; ));
takes('typed', q(date '2024-01-02'), q(date '2024-01-03'), {key => 'day'},
  q(day >= '2024-01-02' AND day < '2024-01-03'), 'typed dates do not depend on DateStyle',
  set => q(SET datestyle = 'SQL, DMY'; ));
takes('typed', 'NULL', 'NULL', {filter => q(day = '02/01/2024')}, q(day = '2024-01-02'),
  'the filter is read in date order DMY', set => q(SET datestyle = 'SQL, DMY'; ));

# ---- the key ----

$pair->both_sql(<<'SQL');
CREATE TABLE "Odd ""Names""" ("MixedCase" integer PRIMARY KEY, "a b" text, "q""q" integer);
CREATE TABLE pair_key (a integer, "B c" text, note text, PRIMARY KEY (a, "B c"));
SQL
$pair->source_sql(<<'SQL');
INSERT INTO "Odd ""Names""" SELECT i, 'x' || i, -i FROM generate_series(1, 50) AS i;
INSERT INTO pair_key SELECT i, chr(97 + j), i || '/' || j
FROM generate_series(1, 20) AS i, generate_series(0, 9) AS j;
SQL
my $odd = '"Odd ""Names"""';
takes($odd, 5, 10, {}, '"MixedCase" >= 5 AND "MixedCase" < 10', 'a key in mixed case is found');
takes($odd, 5, 10, {key => 'MixedCase'}, '"MixedCase" >= 5 AND "MixedCase" < 10',
  'a key in mixed case is named as it is');
takes($odd, -9, -4, {key => 'q"q'}, '"q""q" >= -9 AND "q""q" < -4', 'a key with a quote');
takes($odd, q('x2'), q('x4'), {key => 'a b'}, q("a b" >= 'x2' AND "a b" < 'x4'),
  'a key with a space');
takes('pair_key', q('(3,c)'), q('(7,f)'), {key => '(a, "B c")'},
  q((a, "B c") >= (3, 'c') AND (a, "B c") < (7, 'f')), 'a key of two columns');
takes('pair_key', q('(3,c)'), 'NULL', {key => '(a, "B c")'}, q((a, "B c") >= (3, 'c')),
  'a key of two columns, open at one side');
$pair->error_is($pair->pull_sql('pair_key', q('(7,f)'), q('(3,c)'), {key => '(a, "B c")'}),
  '22023', qr/./, 'record bounds in the wrong order are refused');
takes('typed', q('(0,1)'), q('(2,0)'), {key => 'ctid'},
  q(ctid >= '(0,1)' AND ctid < '(2,0)'), 'ctid with tid literals');
takes('typed', q('(1,0)'::tid), 'NULL', {key => 'ctid'}, q(ctid >= '(1,0)'), 'ctid with a tid');
$pair->error_is($pair->pull_sql('small', 1, 2, {key => 'no such'}), '42703', qr/no such/,
  'a key that the table lacks');
$pair->error_is($pair->pull_sql('small', q('abc'), q('def')), '22P02', qr/abc/,
  'a bound that the key\'s type cannot read');

$pair->both_sql(<<'SQL');
CREATE TABLE keyless (id integer, note text);
CREATE TABLE unique_key (note text, code integer);
CREATE TABLE nullable_unique (note text, code integer);
SQL
$pair->source_sql(<<'SQL');
INSERT INTO keyless SELECT i, 'row ' || i FROM generate_series(1, 30) AS i;
INSERT INTO unique_key SELECT 'row ' || i, i FROM generate_series(1, 30) AS i;
INSERT INTO nullable_unique TABLE unique_key;
ALTER TABLE unique_key ALTER code SET NOT NULL, ADD UNIQUE (code);
ALTER TABLE nullable_unique ADD UNIQUE (code);
SQL
# Only the destination has a key here: what counts is the source.
$pair->destination_sql('ALTER TABLE keyless ADD PRIMARY KEY (id)');
takes('unique_key', 5, 10, {}, 'code >= 5 AND code < 10', 'a unique NOT NULL column is found');
for my $table (qw(keyless nullable_unique pair_key)) {
  my $result = $pair->error_is($pair->pull_sql($table, 1, 10), '[0-9A-Z]{5}', qr/key/,
    "no usable key of the source's $table is an error");
  like(($result->error // {hint => ''})->{hint}, qr/\bkey\b/, '… that says how to name one');
}
takes('keyless', 'NULL', 'NULL', {}, 'true', 'without a key the whole table can be pulled');
takes('keyless', 5, 10, {key => 'id'}, 'id >= 5 AND id < 10', 'a key without an index');

# ---- filter ----

takes('small', 1, 30, {filter => 'id % 3 = 0'}, 'id >= 1 AND id < 30 AND id % 3 = 0',
  'filter and range are both obeyed');
takes('small', 1, 3, {filter => 'id = 1 OR true'}, 'id >= 1 AND id < 3',
  'an OR in the filter does not escape the range');
takes('small', 'NULL', 'NULL', {filter => q(note LIKE 'row 1%' AND note <> E'it\\'s')},
  q(note LIKE 'row 1%'), 'a filter with quotes');
takes('small', 1, 3, {filter => "id > 0 -- all of them"}, 'id >= 1 AND id < 3',
  'a comment at the end of the filter hides nothing');
# A filter is one condition; each of these tries to be more.
for my $filter ('true) TO STDOUT; DROP TABLE small; --', 'true; DROP TABLE small',
  'true) TO PROGRAM \'touch /tmp/parallel_loader_was_here\' --') {
  $pair->error_is($pair->pull_sql('small', 1, 3, {filter => $filter}), '[0-9A-Z]{5}', qr/./,
    "the filter cannot smuggle in a statement: $filter");
}
is($pair->source_sql('SELECT count(*) FROM small'), 61, 'no smuggled statement was run');
ok(!-e '/tmp/parallel_loader_was_here', 'no smuggled program was run');
$pair->error_is($pair->pull_sql('small', 1, 3, {filter => 'no_such_column = 1'}), '42703',
  qr/no_such_column/, 'a filter on a missing column carries the source\'s error');

# ---- columns, source_table, workers ----

takes('signals', 1, 50, {columns => ['status', 'id']}, 'id >= 1 AND id < 50',
  'columns in any order', columns => 'id, status');
is($pair->destination_sql('SELECT count(value) FROM signals'), 0,
  'a column left out gets its default');
$pair->error_is($pair->pull_sql('signals', 1, 50, {columns => ['id', 'nope']}), '42703', qr/nope/,
  'a named column that is missing');
$pair->error_is($pair->pull_sql('signals', 1, 50, {columns => ['id', 'id']}), '42701', qr/id/,
  'a column named twice');
$pair->source_sql('ALTER TABLE small ADD extra text');
$pair->error_is($pair->pull_sql('small', 1, 50), '42703', qr/extra/,
  'a source column that the destination lacks is an error');
takes('small', 1, 50, {columns => ['id', 'note']}, 'id >= 1 AND id < 50',
  '… unless columns leaves it out', columns => 'id, note');
$pair->source_sql('ALTER TABLE small DROP extra');

$pair->source_sql(<<'SQL');
CREATE SCHEMA "Far Away";
CREATE TABLE "Far Away"."Tiny.Table" (id integer PRIMARY KEY, note text);
INSERT INTO "Far Away"."Tiny.Table" SELECT i, 'far ' || i FROM generate_series(1, 30) AS i;
SQL
takes('small', 1, 11, {source_table => '"Far Away"."Tiny.Table"'}, 'id >= 1 AND id < 11',
  'another source table, quoted as in SQL');
takes('small', 1, 11, {source_table => 'small'}, 'id >= 1 AND id < 11',
  'a source table without a schema');
for my $workers (1, 2, 5) {
  takes('signals', 1, 20001, {workers => $workers}, 'id >= 1 AND id < 20001', "$workers workers");
}

# ---- snapshot ----

$pair->create_gate;
$pair->source_sql('CREATE VIEW gated AS SELECT id, note, gate(id, 1) AS passed FROM small');
$pair->destination_sql('CREATE TABLE gated (id integer, note text, passed boolean)');
my $exporter = $pair->session('source');
$exporter->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ');
my $snapshot = $exporter->query_safe('SELECT pg_export_snapshot()');
$pair->source_sql(q(INSERT INTO small VALUES (500, 'too late'); DELETE FROM small WHERE id = 7));

$pair->destination_sql('TRUNCATE small');
$pair->pull_returns(61, 'small', 'NULL', 'NULL', {snapshot => $snapshot},
  'a pull reads the snapshot it is given');

# The gate holds the rows back until long after the exporter has gone.
$pair->close_gate;
my $pull_id = $pair->destination_sql(
  $pair->table_sql('parallel_pull_start', 'gated', {snapshot => $snapshot}));
$exporter->query_safe('COMMIT');
$exporter->close;
$pair->wait_at_gate;
$pair->open_gate;
is($pair->destination_sql("SELECT parallel_pull_wait($pull_id)"), 'done',
  'the exporter may end once the starting call has returned');
is($pair->destination_sql('SELECT count(*), count(*) FILTER (WHERE id = 7),'
      . ' count(*) FILTER (WHERE id = 500) FROM gated'), '61|1|0', '… and its picture stays');
$pair->error_is($pair->pull_sql('small', 'NULL', 'NULL', {snapshot => '00000003-0000FFFF-1'}),
  '22023|42704', qr/snapshot/, 'a snapshot that does not exist');

# ---- one picture ----

# Rows that move between the ranges of two chunks while only the first is done.
$pair->source_sql('CREATE TABLE moving (id integer PRIMARY KEY, note text);'
    . q(INSERT INTO moving SELECT i, 'row ' || i FROM generate_series(1, 4000) AS i;)
    . 'CREATE VIEW moving_view AS SELECT id, note, gate(id, 2001) AS passed FROM moving;'
    . 'CREATE TABLE as_it_was AS TABLE moving');
$pair->destination_sql('CREATE TABLE moving (id integer, note text, passed boolean)');
$pair->close_gate;
my $caller = $pair->session('destination');
$caller->start($pair->pull_sql('moving', 1, 4001,
  {source_table => 'moving_view', key => 'id', workers => 2}));
$pair->wait_at_gate;
ok(wait_until(10, sub { $pair->pull->{chunks_done} == 1 }), 'the first of two chunks is done');
$pair->source_sql(q(UPDATE moving SET id = id + 10000 WHERE id <= 500;
  UPDATE moving SET id = id - 3000 WHERE id BETWEEN 3001 AND 3500;
  DELETE FROM moving WHERE id > 3900 AND id < 5000; INSERT INTO moving VALUES (3950, 'new')));
$pair->open_gate;
is($caller->finish->summary, 'success: 4000', 'chunks read one picture of the source');
$pair->same_rows(
  {source => 'SELECT * FROM as_it_was', destination => 'SELECT id, note FROM moving'},
  '… as it was when the pull began');

# ---- a foreign server as the source ----

my ($host, $port) = ($pair->source->host, $pair->source->port);
$pair->destination_sql(<<"SQL");
CREATE EXTENSION postgres_fdw;
CREATE SERVER by_dblink FOREIGN DATA WRAPPER dblink_fdw
  OPTIONS (host '$host', port '$port', dbname 'postgres');
CREATE SERVER "By Postgres" FOREIGN DATA WRAPPER postgres_fdw
  OPTIONS (host '$host', port '$port', dbname 'postgres', fetch_size '7');
CREATE USER MAPPING FOR CURRENT_USER SERVER by_dblink OPTIONS (user 'postgres');
CREATE USER MAPPING FOR PUBLIC SERVER "By Postgres" OPTIONS (user 'postgres');
SQL
takes('small', 1, 11, {dsn => 'by_dblink'}, 'id >= 1 AND id < 11', 'a server of dblink_fdw');
takes('small', 1, 11, {dsn => 'By Postgres'}, 'id >= 1 AND id < 11',
  'a server of postgres_fdw, mapped for PUBLIC');
takes('small', 1, 11, {dsn => "postgresql:///postgres?host=$host&port=$port"},
  'id >= 1 AND id < 11', 'a URI');
$pair->error_is($pair->pull_sql('small', 1, 11, {dsn => 'nowhere'}), '42704', qr/nowhere/,
  'a server that does not exist');

# A database whose name needs every kind of quoting there is.
my $odd_database = q(odd "db"'=\\ x);
$pair->source_sql('CREATE DATABASE "odd ""db""\'=\\ x"');
$pair->source_sql('CREATE TABLE small (id integer PRIMARY KEY, note text);'
    . q(INSERT INTO small VALUES (1, 'in the odd database')), dbname => $odd_database);
$pair->destination_sql("CREATE SERVER odd FOREIGN DATA WRAPPER dblink_fdw OPTIONS (host '$host',"
    . " port '$port', dbname " . literal($odd_database) . ');'
    . 'CREATE USER MAPPING FOR CURRENT_USER SERVER odd');
for my $dsn ($pair->dsn($odd_database), 'odd',
  "postgresql:///odd%20%22db%22%27%3D%5C%20x?host=$host&port=$port")
{
  $pair->destination_sql('TRUNCATE small');
  $pair->pull_returns(1, 'small', undef, undef, {dsn => $dsn}, "a database with an odd name: $dsn");
}

$pair->nothing_left('no process or session is left');
$pair->finish;
