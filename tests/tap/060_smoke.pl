# Every function once, and both formats on the types that all versions have. scripts/matrix runs this
# file with sources of other versions.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";

use ParallelLoader::Append;
use ParallelLoader::Test;
use Test::More;

my $pair = ParallelLoader::Test->new;
my $SOURCE_VERSION = $pair->source_sql('SHOW server_version_num');
my $SOURCE_MAJOR = int($SOURCE_VERSION / 10000);

my $COLUMNS = <<'SQL';
  id integer PRIMARY KEY, flag boolean, tiny smallint, big bigint, r real, d double precision,
  n numeric, n4 numeric(12, 4), t text, v varchar(20), c char(10), b bytea, u uuid, day date, at time,
  at_zone timetz, ts timestamp, tz timestamptz, ip inet, net cidr, mac macaddr,
  bits bit(5), many_bits varbit, j json, jb jsonb, x xml, words tsvector, p point, span_of int4range,
  numbers integer[], texts text[], mood mood, pair pair, positive positive
SQL
my $VALUES = <<'SQL';
  i, i % 2 = 0, (i % 30000)::smallint, i * 10000000000, i / 3::real, 1 / (i + 1)::float8,
  CASE i % 5 WHEN 0 THEN 'NaN' ELSE i / 7.0 END, i / 16.0, E'tab\t, newline\n, \\ ' || i, 'v' || i, 'c',
  decode(md5(i::text), 'hex'), md5(i::text)::uuid, date '0044-03-15 BC' + i * 300, time '00:00' + i * interval '1.7 s',
  '12:00:00+05:30', timestamp '2024-02-29' + i * interval '1 h', timestamptz '2024-02-29 UTC' + i * interval '1 h',
  '192.168.0.1/24', '10.0.0.0/8', '08:00:2b:01:02:03',
  (i % 32)::bit(5), (i % 32)::bit(5)::varbit, '{"a": 1,  "a": [true]}', jsonb_build_object('i', i, 'l', ARRAY[i]),
  '<a b="c">d</a>', to_tsvector('simple', 'word ' || i), point(i, -i), int4range(i, i + 10),
  ARRAY[i, NULL, 3], ARRAY['a"b', NULL, ''], CASE i % 3 WHEN 0 THEN 'it''s'::mood END, ROW(i, 'p,"q"')::pair, i + 1
SQL

my $ROWS = 5000;
$pair->both_sql(<<"SQL");
CREATE TYPE mood AS ENUM ('sad', 'it''s');
CREATE TYPE pair AS (a integer, b text);
CREATE DOMAIN positive AS integer CHECK (VALUE > 0);
CREATE TABLE goods ($COLUMNS);
CREATE TABLE numbered (id serial, note text);
CREATE TABLE parts (day date, id integer, note text) PARTITION BY RANGE (day);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM ('2024-01-01') TO ('2024-07-01');
CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM ('2024-07-01') TO ('2025-01-01');
CREATE TABLE heap (a integer, note text);
CREATE TABLE spans (id integer PRIMARY KEY, span interval);
SQL
$pair->source_sql(<<"SQL");
INSERT INTO goods SELECT $VALUES FROM generate_series(0, $ROWS - 2) AS i;
INSERT INTO goods (id) VALUES ($ROWS - 1);
INSERT INTO numbered (note) SELECT 'n' || i FROM generate_series(1, 41) AS i;
INSERT INTO parts SELECT date '2024-01-01' + i % 366, i, repeat('p', 100) FROM generate_series(1, 3000) AS i;
INSERT INTO heap SELECT i % 100, repeat('h', 100) FROM generate_series(1, 3000) AS i;
INSERT INTO spans SELECT i, i * interval '1 mon 2 days 03:04:05.678' FROM generate_series(1, 3000) AS i;
VACUUM ANALYZE;
SQL
$pair->create_gate;

sub empties { $pair->destination_sql("TRUNCATE $_[0]; SELECT parallel_pull_forget('$_[0]')"); return }

# Empties the table, pulls it by a function that takes a whole one, and compares.
sub arrives {
  my ($rule, $table, %named) = @_;
  local $Test::Builder::Level = $Test::Builder::Level + 1;
  empties($table);
  my $result = $pair->try_sql($pair->table_sql('parallel_pull_table', $table, {chunk_size => '64kB', %named}));
  return ok(0, $rule) || diag($result->summary) unless $result->is_ok;
  return $pair->same_rows("SELECT * FROM $table", $rule);
}

# ---- before a pull ----

my @findings = $pair->table_rows('parallel_pull_check', 'goods', {});
is(join("\n", map { "$_->{item}: $_->{message}" } grep { $_->{level} eq 'error' } @findings), '', 'check finds no error');
like(join("\n", map { $_->{message} } @findings), qr/source is PostgreSQL $SOURCE_MAJOR\./,
  '… and names the version of the source');
my @plan = $pair->table_rows('parallel_pull_plan', 'goods', {key => 'id', chunk_size => '64kB'});
cmp_ok(scalar(@plan), '>', 3, 'a plan has many chunks');

# ---- pulls ----

for my $format (qw(text binary auto)) {
  arrives("whole table by key, $format", 'goods', key => 'id', format => $format);
  $pair->differs_in([], 'goods', {key => 'id', format => $format, chunk_size => '64kB'}, '… verified');
  empties('goods');
  $pair->pull_returns(40, 'goods', 10, 50, {format => $format}, "a range, $format");
  $pair->same_rows({source => 'SELECT * FROM goods WHERE id >= 10 AND id < 50', destination => 'SELECT * FROM goods'},
    '… of these rows');
}
arrives('with a filter', 'goods', filter => 'id >= 0 AND length(t) > 0 OR t IS NULL');
# Binary intervals do not travel from version 17 on to one before it.
arrives('intervals', 'spans');
arrives('table without a key', 'heap');
arrives('partitioned table without a key', 'parts');
arrives('partitioned table by a column', 'parts', key => 'day');

# Ranges of ctid are ranges of blocks from version 14 on only.
if ($SOURCE_VERSION >= 140000) {
  arrives('table by ctid', 'heap', key => 'ctid');
  cmp_ok($pair->pull->{chunks}, '>', 1, '… in chunks');
}

my ($host, $port) = ($pair->source->host, $pair->source->port);
$pair->destination_sql(<<"SQL");
CREATE SERVER remote FOREIGN DATA WRAPPER dblink_fdw OPTIONS (host '$host', port '$port', dbname 'postgres');
CREATE USER MAPPING FOR CURRENT_USER SERVER remote OPTIONS (user 'postgres');
SQL
arrives('from a foreign server', 'heap', dsn => 'remote');

my $exporter = $pair->session('source');
my $snapshot = $exporter->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT pg_export_snapshot()');
$pair->source_sql(q(INSERT INTO heap VALUES (0, 'after the snapshot')));
empties('heap');
my $call = $pair->table_sql('parallel_pull_table', 'heap', {snapshot => $snapshot});
is($pair->destination_sql($call =~ s/^SELECT /SELECT rows FROM /r), 3000, 'under a snapshot of the caller');
undef $exporter;

# ---- verify ----

arrives('table to be verified', 'goods', key => 'id');
$pair->destination_sql('UPDATE goods SET tiny = 7 WHERE id = 0');
$pair->differs_in([1], 'goods', {key => 'id', chunk_size => '64kB'}, 'verify finds a row that differs');

# ---- asynchronous pulls ----

sub starts {
  my ($function, %named) = @_;
  empties('goods');
  return $pair->destination_sql($pair->table_sql($function, 'goods', {key => 'id', chunk_size => '64kB', %named}));
}

my $pull_id = starts('parallel_pull_start');
is($pair->destination_sql("SELECT parallel_pull_wait($pull_id)"), 'done', 'started and waited for');
$pair->same_rows('SELECT * FROM goods', '… with all rows');

$pull_id = starts('parallel_pull_create');
is($pair->pull($pull_id)->{state}, 'planned', 'created');
$pair->destination_sql("SELECT parallel_pull_alter($pull_id, max_rate => 1000000)");
like($pair->destination_sql("SELECT * FROM parallel_pull_work($pull_id)"), qr/^\d+\|$ROWS\|\d+\|0$/, 'worked on to its end');
is($pair->pull($pull_id)->{state}, 'done', '… and done');
$pair->same_rows('SELECT * FROM goods', '… with all rows');

$pair->source_sql('CREATE VIEW gated AS SELECT *, gate(id, 2000) AS passed FROM goods');
$pair->close_gate;
$pull_id = starts('parallel_pull_start', source_table => 'gated', filter => 'passed', columns => ['id', 't']);
$pair->wait_at_gate;
is($pair->destination_sql("SELECT state FROM parallel_pull_progress WHERE pull_id = $pull_id"), 'running', 'progress of a pull');
is($pair->destination_sql("SELECT parallel_pull_cancel($pull_id)"), 't', 'cancelled');
$pair->state_becomes($pull_id, 'cancelled', '… and so it stands');
$pair->open_gate;
$pair->nothing_left('… with nothing left');

# ---- resume ----

empties('goods');
$pair->destination_sql('ALTER TABLE goods ADD CONSTRAINT refuses CHECK (id <> 3000)');
$pair->error_is($pair->table_sql('parallel_pull_table', 'goods', {key => 'id', chunk_size => '64kB', workers => 1}), '23514',
  qr/refuses/, 'a pull that fails in its middle');
$pull_id = $pair->newest_pull_id;
cmp_ok($pair->pull($pull_id)->{chunks_done}, '>', 0, '… has done some chunks');
$pair->destination_sql('ALTER TABLE goods DROP CONSTRAINT refuses');
is($pair->destination_sql("SELECT rows FROM parallel_pull_resume($pull_id, new_snapshot => true)"), $ROWS, '… is resumed');
$pair->same_rows('SELECT * FROM goods', '… to all rows');
is(scalar(grep { $_->{state} ne 'done' } $pair->chunks($pull_id)), 0, '… and no chunk is left');

# ---- append ----

appends($pair, 0, 'goods', {key => 'id'}, 'append has nothing to bring after a pull');
$pair->source_sql("INSERT INTO goods SELECT $VALUES FROM generate_series($ROWS, $ROWS + 99) AS i");
appends($pair, 100, 'goods', {key => 'id'}, 'append brings new rows');
appends($pair, 0, 'goods', {key => 'id'}, '… once');
$pair->same_rows('SELECT * FROM goods', '… and the tables are equal');
$pair->destination_sql('VACUUM FULL goods');
append_fails($pair, '55000', qr/parallel_pull_keep/, 'goods', {key => 'id'}, 'a table that was rewritten is refused');
cmp_ok($pair->destination_sql(q(SELECT parallel_pull_keep('goods'))), '>', 0, '… until the caller vouches for it');
$pair->source_sql("INSERT INTO goods SELECT $VALUES FROM generate_series($ROWS + 100, $ROWS + 149) AS i");
appends($pair, 50, 'goods', {key => 'id'}, '… and append goes on');
$pair->same_rows('SELECT * FROM goods', '… to equal tables');

# ---- sequences ----

arrives('table with a sequence', 'numbered');
is($pair->destination_sql('SELECT * FROM parallel_pull_sequences(' . literal($pair->dsn) . ", 'numbered')"),
  'numbered_id_seq|41', 'its sequence is set');
is($pair->destination_sql(q(SELECT nextval('numbered_id_seq'))), 42, '… to where the source stands');

$pair->finish;
