# Whatever the key and however its values lie, each row of the source is in exactly one chunk, and no
# chunk is much larger than the others.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";

use List::Util qw(max sum);
use ParallelLoader::Session qw(run_sql);
use ParallelLoader::Test;
use Test::More;

my $pair = ParallelLoader::Test->new(source => {hba => 'local all reader trust'});

# The chunks of a pull with what was planned of them.
sub planned {
  my ($pull_id) = @_;
  my %estimates = map { my @e = split /\|/; $e[0] => \@e } split /\n/, $pair->destination_sql(
    "SELECT chunk, estimated_rows, estimated_bytes, coalesce(relation, '')"
      . " FROM parallel_loader.chunk WHERE pull_id = $pull_id");
  my @chunks = $pair->chunks($pull_id);
  for my $chunk (@chunks) {
    @{$chunk}{qw(estimated_rows estimated_bytes relation)} = @{$estimates{$chunk->{chunk}}}[1 .. 3];
  }
  return @chunks;
}

# Plans a pull and moves nothing.
sub plan {
  my ($table, %named) = @_;
  my $pull_id = $pair->destination_sql(
    $pair->table_sql('parallel_pull_create', $table, {chunk_size => '64kB', %named}));
  my @chunks = planned($pull_id);
  $pair->destination_sql("SELECT parallel_pull_cancel($pull_id)");
  return @chunks;
}

# Pulls the whole table, which must give the source's rows, and returns the chunks.
sub takes_all {
  my ($table, $rule, %named) = @_;
  local $Test::Builder::Level = $Test::Builder::Level + 1;
  $pair->destination_sql("TRUNCATE $table");
  my $start = $pair->table_sql('parallel_pull_start', $table, {chunk_size => '64kB', %named});
  my $result = $pair->try_sql("$start AS pull \\gset\nSELECT :pull, parallel_pull_wait(:pull)");
  my ($pull_id, $state) = split /\|/, $result->out;
  is($state, 'done', "$rule: the pull is done") or diag($result->summary);
  my $where = defined $named{filter} ? " WHERE ($named{filter}\n)" : '';
  $pair->same_rows({source => "SELECT * FROM $table$where", destination => "SELECT * FROM $table"},
    '… each row is there once');
  return planned($pull_id);
}

# No chunk holds more than three times the mean, unless one key value alone does.
sub is_balanced {
  my ($table, $key, $type, @chunks) = @_;
  local $Test::Builder::Level = $Test::Builder::Level + 1;
  my $mean = sum(map { $_->{bytes} } @chunks) / @chunks;
  my @wrong;
  for my $chunk (grep { $_->{bytes} > 3 * $mean && !$_->{nulls} } @chunks) {
    my @conditions = "$key IS NOT NULL";
    push @conditions, "$key >= " . literal($chunk->{start}) . "::$type" if defined $chunk->{start};
    push @conditions, "$key < " . literal($chunk->{end}) . "::$type" if defined $chunk->{end};
    my $largest = $pair->source_sql("SELECT max(b) FROM (SELECT sum(pg_column_size(t.*)) AS b"
        . " FROM $table AS t WHERE " . join(' AND ', @conditions) . " GROUP BY $key) AS s");
    push @wrong, "chunk $chunk->{chunk}: $chunk->{bytes} bytes, mean $mean, one key $largest"
      if $largest < $chunk->{bytes} / 2;
  }
  return ok(!@wrong, '… no chunk is three times the mean') || diag(join "\n", @wrong);
}

sub make_table {
  my ($table, $definition, $fill) = @_;
  $pair->both_sql("CREATE TABLE $table ($definition)");
  $pair->source_sql("INSERT INTO $table $fill");
  return;
}

# ---- keys of every kind ----

$pair->both_sql(<<'SQL');
CREATE SCHEMA other;
CREATE EXTENSION citext SCHEMA other;
CREATE TYPE colour AS ENUM ('red', 'Green', 'b''l"u\e');
CREATE DOMAIN small_id AS bigint CHECK (VALUE > -100000);
CREATE DOMAIN word AS text COLLATE "C";
CREATE TYPE point_2 AS (x integer, y text);
SQL
my $has_icu = $pair->source_sql("SELECT count(*) FROM pg_collation WHERE collname = 'en-x-icu'");
my $has_libc = $pair->source_sql("SELECT count(*) FROM pg_collation WHERE collname = 'en_US.utf8'");
$pair->both_sql(q(CREATE COLLATION caseless (provider = icu, locale = 'und-u-ks-level2',
  deterministic = false))) if $has_icu;

my $WORD = q{CASE g % 5 WHEN 0 THEN 'it''s' WHEN 1 THEN E'a\\\\b' WHEN 2 THEN E'new\nline'
  WHEN 3 THEN '"Q"' ELSE 'Ünï' END || md5(g::text)};
my @KINDS = (
  ['smallint', 'g % 60000 - 30000'], ['integer', 'g * 100000 - 2000000000'],
  ['bigint', '(g - 10000) * 900000000000000'],
  ['numeric', q{CASE WHEN g % 100 = 0 THEN 'NaN' WHEN g % 100 = 1 THEN '-Infinity'
    WHEN g % 100 = 2 THEN 'Infinity' ELSE g / 7.0 * CASE g % 2 WHEN 0 THEN -1e30 ELSE 1 END END}],
  ['float8', q{CASE WHEN g % 100 = 0 THEN 'NaN'::float8 WHEN g % 100 = 1 THEN '-Infinity'
    ELSE sin(g) * 1e300 END}],
  ['real', 'sin(g)'], ['boolean', 'g % 2 = 0'], ['text', $WORD], ['text COLLATE "C"', $WORD],
  ['varchar(60)', $WORD], ['character(60)', $WORD], ['name', "left($WORD, 30)"],
  ['other.citext', $WORD], ['uuid', 'md5(g::text)::uuid'],
  ['date', q{CASE WHEN g % 100 = 0 THEN 'infinity' WHEN g % 100 = 1 THEN '-infinity'
    ELSE date '0044-03-15 BC' + g * 40 END}],
  ['timestamp', q{CASE WHEN g % 100 = 0 THEN 'infinity'
    ELSE timestamp '1999-12-31 23:59:59.999999' + g * interval '7 hours' END}],
  ['timestamptz', q{timestamptz '2024-03-30 00:00:00+00' + g * interval '7 minutes'}],
  ['interval', q{g * interval '1 day 3 hours' - interval '10 years'}],
  ['time', q{time '00:00' + g * interval '1 second'}],
  ['bytea', q{decode(md5(g::text), 'hex') || '\x00275c'}], ['inet', q{inet '10.0.0.0' + g}],
  ['"char"', q{chr(32 + g % 90)::"char"}], ['integer[]', 'ARRAY[g % 50, NULL, g]'],
  ['int8range', 'int8range(g, g + 10)'], ['colour', q{(enum_range(NULL::colour))[1 + g % 3]}],
  ['small_id', 'g'], ['word', $WORD], ['point_2', q{ROW(g % 10, $$x "y" (,)$$ || g)::point_2}],
);
push @KINDS, ['text COLLATE "en-x-icu"', $WORD], ['text COLLATE caseless', "upper($WORD)"]
  if $has_icu;
push @KINDS, ['text COLLATE "en_US.utf8"', $WORD] if $has_libc;

for my $number (0 .. $#KINDS) {
  my ($type, $value) = @{$KINDS[$number]};
  my $table = "kind_$number";
  make_table($table, "k $type, n integer, pad text",
    "SELECT CASE WHEN g % 10 <> 0 OR g % 3 = 0 THEN $value END, g,"
      . ' repeat(chr(65 + g % 26), 100) FROM generate_series(1, 4000) AS g ORDER BY md5(g::text)');
  $pair->source_sql("CREATE INDEX ON $table (k)");
  my @chunks = takes_all($table, "key of type $type", key => 'k');
  my $few = $type =~ /boolean|colour/;
  cmp_ok(scalar @chunks, '>=', $few ? 3 : 5, '… in several chunks');
  is(scalar(grep { $_->{nulls} } @chunks), 1, '… the NULLs in one of their own');
  is_balanced($table, 'k', $type =~ s/ COLLATE.*//r, @chunks);
}

# ---- several columns ----

make_table('pairs', '"A b" text COLLATE "C", "c""d" integer, n integer, pad text', <<'SQL');
SELECT CASE WHEN g % 9 > 0 THEN 'x,"(' || g % 20 END, CASE WHEN g % 7 > 0 THEN g END, g,
  repeat('p', 100) FROM generate_series(1, 4000) AS g
SQL
$pair->source_sql('CREATE INDEX ON pairs ("A b", "c""d")');
my @chunks = takes_all('pairs', 'two columns', key => '("A b", "c""d")');
cmp_ok(scalar @chunks, '>=', 5, '… in several chunks');
is((grep { $_->{nulls} } @chunks)[0]{rows},
  $pair->source_sql('SELECT count(*) FROM pairs WHERE "A b" IS NULL OR "c""d" IS NULL'),
  '… rows with a NULL in any column lie in the chunk of the NULLs');

# A name of 63 bytes that needs quotes.
my $odd = 'K"' . ('é' x 30) . '\\';
my $quoted = $odd =~ s/"/""/gr;
make_table('odd_names', qq("$quoted" bigint, pad text),
  q(SELECT g, repeat('p', 100) FROM generate_series(1, 4000) AS g));
cmp_ok(scalar takes_all('odd_names', 'an odd name', key => $odd), '>=', 4, '… in several chunks');

# ---- how the values lie ----

my %SHAPES = (
  hole => 'CASE WHEN g <= 2000 THEN g ELSE g + 1000000000 END',
  extremes => q{CASE g WHEN 1 THEN -9223372036854775808 WHEN 2 THEN 9223372036854775807
    ELSE g END},
  zipf => '(100000 / (g * (1 + (hashint4(g) & 7))))',
  one_hot => 'CASE WHEN g % 3 = 0 THEN g ELSE 2000 END',
  one_value => '42', all_null => 'NULL', negative => '-g',
);
for my $shape (sort keys %SHAPES) {
  for my $index (0, 1) {
    my $table = "${shape}_$index";
    make_table($table, 'k bigint, n integer, pad text', "SELECT $SHAPES{$shape}, g,"
      . q( repeat('p', 20 + 10 * (g % 20)) FROM generate_series(1, 4000) AS g));
    $pair->source_sql("CREATE INDEX ON $table (k)") if $index;
    my $rule = "$shape, " . ($index ? 'indexed' : 'no index');
    @chunks = takes_all($table, $rule, key => 'k', workers => 3);
    is_balanced($table, 'k', 'bigint', @chunks);
    cmp_ok(scalar @chunks, '<=', 4, '… no more chunks than workers, and the NULLs') if !$index;
    cmp_ok(scalar @chunks, '>=', 5, '… in several chunks') if $index && $shape !~ /one_value|null/;
    my $estimate = sum(map { $_->{estimated_bytes} } @chunks);
    my $bytes = $pair->source_sql("SELECT pg_table_size('$table')");
    cmp_ok(abs($estimate - $bytes), '<', $bytes / 10, '… the chunks make up the table');
    is(sum(map { $_->{estimated_rows} } @chunks), 4000, '… and its rows') if @chunks > 1;
  }
}

make_table('few', 'k bigint, pad text', 'SELECT 1, NULL WHERE false');
is(scalar takes_all('few', 'no row', key => 'k'), 1, '… in one chunk');
$pair->source_sql('INSERT INTO few VALUES (NULL, NULL)');
is(scalar takes_all('few', 'one row', key => 'k'), 1, '… in one chunk');
$pair->source_sql('DELETE FROM few');
is(scalar takes_all('few', 'a dead row', key => 'k'), 1, '… in one chunk');

# Rows outside of a range or filter do not count.
$pair->destination_sql('TRUNCATE hole_1');
$pair->pull_returns(1500, 'hole_1', 501, 1000000001 + 2000, {key => 'k'}, 'a range over the hole');
@chunks = takes_all('hole_1', 'a filter', key => 'k', filter => 'n % 4 = 0 -- a quarter');
cmp_ok(scalar @chunks, '>=', 2, '… is cut by what it leaves');
takes_all('hole_1', 'a filter that fails on rows it is not asked for', key => 'k',
  filter => 'n > 0 AND 1 / n >= 0');

# ---- sizes ----

# Some 50 pages of heap with 20 MB beside them, most of it in the last tenth.
make_table('toasted', 'id integer PRIMARY KEY, pad text, big text', '(id) SELECT 0 WHERE false');
$pair->source_sql(<<'SQL');
ALTER TABLE toasted ALTER big SET STORAGE EXTERNAL;
INSERT INTO toasted SELECT g, repeat('p', 100), repeat(md5(g::text), CASE WHEN g > 2700 THEN 2000 ELSE 1 END)
FROM generate_series(1, 3000) AS g;
SQL
for my $key (qw(id ctid)) {
  @chunks = takes_all('toasted', "TOAST, by $key", key => $key, chunk_size => '1MB');
  cmp_ok(scalar @chunks, '>=', 10, '… is counted');
  is_balanced('toasted', $key, $key eq 'id' ? 'integer' : 'tid', @chunks);
  cmp_ok(max(map { $_->{estimated_bytes} } @chunks), '<', 4_000_000, '… chunk by chunk');
}

# ---- ctid and the default key ----

make_table('heap', 'a integer, b text',
  q(SELECT g, repeat('b', 200) FROM generate_series(1, 10000) AS g));
@chunks = takes_all('heap', 'no key at all');
is($pair->pull->{key}, 'ctid', '… is cut by ctid');
cmp_ok(scalar @chunks, '>=', 20, '… into many chunks');
ok(!defined $chunks[0]{start} && !defined $chunks[-1]{end}, '… open at both ends');
is(scalar(grep { $_->{nulls} } @chunks), 0, '… without one for NULLs');
is(scalar(grep { defined $_->{start} && $_->{start} !~ /^\(\d+,0\)$/ } @chunks), 0,
  '… between blocks');
is_balanced('heap', 'ctid', 'tid', @chunks);
$pair->destination_sql('TRUNCATE heap');
my $per_page = $pair->source_sql(q(SELECT count(*) FROM heap WHERE ctid < '(1,0)'));
$pair->pull_returns(4 * $per_page, 'heap', q('(3,0)'), q('(7,0)'), {key => 'ctid'},
  'a range of ctid');

make_table('ordered', 'id integer PRIMARY KEY, pad text',
  q(SELECT g, repeat('p', 100) FROM generate_series(1, 4000) AS g));
make_table('shuffled', 'id uuid UNIQUE NOT NULL, pad text',
  q(SELECT md5(g::text)::uuid, repeat('p', 100) FROM generate_series(1, 4000) AS g));
for my $analyzed (0, 1) {
  $pair->source_sql('ANALYZE ordered, shuffled') if $analyzed;
  my $rule = $analyzed ? 'analysed' : 'never analysed';
  takes_all('ordered', "rows in the order of the key, $rule");
  is($pair->pull->{key}, 'id', '… are cut by it');
  takes_all('shuffled', "rows in another order, $rule");
  is($pair->pull->{key}, 'ctid', '… are cut by ctid');
}

# Who may read some columns may not read ctid.
$pair->source_sql('CREATE ROLE half_reader LOGIN; GRANT SELECT (a) ON heap TO half_reader');
my $half = {dsn => $pair->dsn(undef, 'user=half_reader'), columns => ['a']};
for my $key (undef, 'a') {
  $pair->destination_sql('TRUNCATE heap');
  my $rule = defined $key ? 'a key by name' : 'no key at all';
  $pair->pull_returns(10000, 'heap', undef, undef, {%$half, key => $key},
    "SELECT on a column, $rule");
}
$pair->error_is($pair->pull_sql('heap', undef, undef, {%$half, key => 'ctid'}),
  '42501', qr/ctid/, '… but not with key ctid');

# ---- partitions ----

my $PARTS = <<'SQL';
CREATE TABLE parts (id bigint NOT NULL, r text, pad text) PARTITION BY LIST (r);
CREATE TABLE "Parts A" PARTITION OF parts FOR VALUES IN ('a');
CREATE TABLE parts_b PARTITION OF parts FOR VALUES IN ('b') PARTITION BY RANGE (id);
CREATE TABLE other.parts_b1 PARTITION OF parts_b FOR VALUES FROM (0) TO (3000);
CREATE TABLE parts_b2 (pad text, gone integer, id bigint NOT NULL, r text);
ALTER TABLE parts_b2 DROP COLUMN gone;
ALTER TABLE parts_b ATTACH PARTITION parts_b2 FOR VALUES FROM (3000) TO (MAXVALUE);
CREATE TABLE parts_none PARTITION OF parts FOR VALUES IN ('none');
CREATE TABLE parts_rest PARTITION OF parts DEFAULT;
SQL
$pair->both_sql($PARTS);
$pair->source_sql(<<'SQL');
INSERT INTO parts SELECT g, (ARRAY['a', 'b', 'b', NULL, 'z'])[1 + g % 5], repeat('p', 100)
FROM generate_series(1, 10000) AS g;
CREATE INDEX ON parts (r);
CREATE INDEX ON parts (id);
SQL
for my $key (undef, 'id', 'r', 'ctid', '(r, id)') {
  my $rule = 'partitions, ' . (defined $key ? "key $key" : 'no key given');
  @chunks = takes_all('parts', $rule, key => $key);
  my %seen = map { $_->{relation} => 1 } @chunks;
  is(join(' ', sort keys %seen), '"other"."parts_b1" "public"."Parts A" "public"."parts_b2"'
      . ' "public"."parts_none" "public"."parts_rest"', '… are read leaf by leaf');
  cmp_ok(scalar @chunks, '>=', 10, '… in several chunks') unless ($key // '') eq 'r';
}
$pair->destination_sql('TRUNCATE parts');
$pair->pull_returns(2000, 'parts', 2001, 4001, {key => 'id'}, 'a range of a partitioned table');

takes_all('parts', 'a filter that names the root', filter => 'parts.id % 3 = 0');
$pair->destination_sql('TRUNCATE parts');
$pair->pull_returns($pair->source_sql(q(SELECT count(*) FROM parts WHERE ctid < '(5,0)')), 'parts',
  'NULL::tid', q('(5,0)'), {key => 'ctid'}, 'a range of ctid in each partition');

$pair->source_sql(<<'SQL');
CREATE ROLE reader LOGIN;
GRANT SELECT ON parts, parts_b2 TO reader;
SQL
my $dsn = $pair->dsn(undef, 'user=reader');
for my $key ('id', 'ctid') {
  @chunks = takes_all('parts', "a leaf that may not be read by itself, key $key", key => $key,
    dsn => $dsn);
  is(scalar(grep { $_->{relation} ne '' } @chunks), 0, '… the whole is read by its root');
  cmp_ok(scalar @chunks, '>=', 4, '… in several chunks');
}
$pair->source_sql(<<'SQL');
GRANT USAGE ON SCHEMA other TO reader;
GRANT SELECT ON "Parts A", other.parts_b1, parts_none, parts_rest TO reader;
ALTER TABLE parts_rest ENABLE ROW LEVEL SECURITY;
SQL
@chunks = takes_all('parts', 'a leaf with row security', key => 'id', dsn => $dsn);
is(scalar(grep { $_->{relation} ne '' } @chunks), 0, '… is read by the root');
$pair->source_sql('ALTER TABLE parts_rest DISABLE ROW LEVEL SECURITY');
@chunks = takes_all('parts', 'all leaves granted', key => 'id', dsn => $dsn);
is(scalar(grep { $_->{relation} eq '' } @chunks), 0, '… are read by their names');

# ---- other relations ----

$pair->both_sql('CREATE TABLE parent (id integer, pad text)');
$pair->source_sql(<<'SQL');
CREATE TABLE child () INHERITS (parent);
INSERT INTO parent SELECT g, repeat('p', 100) FROM generate_series(1, 3000) AS g;
INSERT INTO child SELECT g, repeat('c', 100) FROM generate_series(1, 3000) AS g;
CREATE MATERIALIZED VIEW frozen AS SELECT * FROM parent;
CREATE VIEW seen AS SELECT * FROM ONLY parent;
SQL
$pair->both_sql('CREATE TABLE parent_copy (id integer, pad text)');
for my $case (['ONLY parent', 'parent', 5], ['frozen', 'frozen', 5], ['seen', 'seen', 1]) {
  my ($from, $name, $least) = @$case;
  $pair->destination_sql('TRUNCATE parent_copy');
  my $start = $pair->table_sql('parallel_pull_start', 'parent_copy',
    {source_table => $name, chunk_size => '64kB'});
  my $result = $pair->try_sql("$start AS pull \\gset\nSELECT :pull, parallel_pull_wait(:pull)");
  $pair->same_rows({source => "SELECT * FROM $from", destination => 'SELECT * FROM parent_copy'},
    "$from: each row is there once");
  cmp_ok(scalar $pair->chunks((split /\|/, $result->out)[0]), '>=', $least, '… in several chunks');
}

# A type without an order is one piece.
make_table('no_order', 'k json, pad text',
  q(SELECT '{}', repeat('p', 100) FROM generate_series(1, 3000) AS g));
$pair->source_sql('CREATE INDEX ON no_order (pad)');
is(scalar takes_all('no_order', 'a key without an order', key => 'k'), 1, '… is one chunk');

# ---- how much is read ----

$pair->source_sql(<<'SQL', timeout => 300);
CREATE TABLE large (id bigint PRIMARY KEY, n integer);
INSERT INTO large SELECT g, g % 1000 FROM generate_series(1, 10000000) AS g;
SELECT pg_stat_reset();
SQL
$pair->destination_sql('CREATE TABLE large (id bigint PRIMARY KEY, n integer)');
@chunks = plan('large', chunk_size => '8MB', key => undef);
cmp_ok(scalar @chunks, '>=', 40, 'a table of ten million rows that was never analysed is cut');
my $rows = sum(map { $_->{estimated_rows} } @chunks);
cmp_ok(abs($rows - 10_000_000), '<', 200_000, '… its rows are known to two per cent');
my $most = max(map { ($_->{end} // 10_000_001) - ($_->{start} // 1) } @chunks);
cmp_ok($most, '<', 3 * 10_000_000 / @chunks, '… no chunk is three times the mean');
my $blocks = 0;
wait_until(20, sub {
  $blocks = $pair->source_sql(q(SELECT pg_stat_get_blocks_fetched('large'::regclass)));
});
my $pages = $pair->source_sql(q(SELECT pg_relation_size('large') / 8192));
cmp_ok($blocks, '>', 0, '… some of its blocks were read');
cmp_ok($blocks, '<', $pages / 100, '… less than one in a hundred');

# A small range of a large table.
$pair->pull_returns(200_000, 'large', 1_000_000, 1_200_000, {}, 'two per cent of it');
@chunks = planned($pair->newest_pull_id);
cmp_ok(scalar @chunks, '>=', 4, '… are cut, too');
cmp_ok(max(map { $_->{rows} } @chunks), '<', 3 * 200_000 / @chunks, '… evenly');

$pair->nothing_left('no process or session is left');
$pair->finish;
