# Rows that an append compares by key go into the table as all others do, as COPY FROM writes them:
# past rules, by triggers, defaults, identity and partitions.  What tells them apart is the local
# column's own equality, and where that takes different keys for one, the append says so or is right.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";

use ParallelLoader::Append;
use ParallelLoader::Test;
use Test::More;

my $pair = ParallelLoader::Test->new(source => {init => []}, retries => 1);

sub both { return $pair->both_sql(@_) }
sub rows { return $pair->destination_sql("SELECT count(*) FROM $_[0]") }

sub fill {
  my ($name, $from, $to, $select) = @_;
  $select //= 'i, i';
  $pair->source_sql("INSERT INTO $name SELECT $select FROM generate_series($from, $to) AS i");
  return;
}

# A rewritten table is compared whole.
sub rewrite { return $pair->source_sql("VACUUM FULL $_[0]") }

# ---- rules ----

my %RULES = (
  instead => 'DO INSTEAD INSERT INTO log VALUES (new.id)',
  nothing => 'DO INSTEAD NOTHING',
  also => 'DO ALSO INSERT INTO log VALUES (new.id)',
  conditional => 'WHERE new.id % 2 = 0 DO INSTEAD NOTHING');
$pair->destination_sql('CREATE TABLE log (id integer)');
for my $kind (sort keys %RULES) {
  for my $table ("r_$kind", "p_$kind") {
    my $parts = $table =~ /^p/ ? ' PARTITION BY RANGE (id)' : '';
    $pair->source_sql("CREATE TABLE $table (id integer PRIMARY KEY, v integer)");
    $pair->destination_sql("CREATE TABLE $table (id integer PRIMARY KEY, v integer)$parts");
    $pair->destination_sql(<<"SQL") if $parts;
CREATE TABLE ${table}_1 PARTITION OF $table FOR VALUES FROM (0) TO (150);
CREATE TABLE ${table}_2 PARTITION OF $table FOR VALUES FROM (150) TO (1000);
CREATE RULE part AS ON INSERT TO ${table}_1 $RULES{$kind};
SQL
    $pair->destination_sql("CREATE RULE rule AS ON INSERT TO $table $RULES{$kind}");
    fill($table, 1, 100);
    appends($pair, 100, $table, {}, "a table with a rule ($table)");
    fill($table, 101, 200);
    rewrite($table);
    appends($pair, 100, $table, {}, '… rows that are compared');
    appends($pair, 0, $table, {}, '… once');
    $pair->same_rows("SELECT * FROM $table", '… with all rows');
  }
}
is(rows('log'), 0, 'no rule has run');

# ---- triggers, identity, generated columns, defaults ----

$pair->source_sql('CREATE TABLE dressed (id integer PRIMARY KEY, note text)');
$pair->destination_sql(<<'SQL');
CREATE TABLE dressed (id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, note text,
  twice integer GENERATED ALWAYS AS (id * 2) STORED, made text DEFAULT 'here',
  CHECK (id <> 666));
CREATE TABLE seen (id integer, name text);
CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO seen VALUES (new.id, tg_name);
  IF new.id % 10 = 0 AND tg_when = 'BEFORE' THEN RETURN NULL; END IF;
  RETURN new;
END $$;
CREATE TRIGGER before BEFORE INSERT ON dressed FOR EACH ROW EXECUTE FUNCTION see();
CREATE TRIGGER after AFTER INSERT ON dressed FOR EACH ROW EXECUTE FUNCTION see();
CREATE RULE nothing AS ON INSERT TO dressed DO INSTEAD NOTHING;
SQL
fill('dressed', 1, 100, q(i, E'a\tb\\n' || i));
appends($pair, 90, 'dressed', {}, 'a table with triggers, one of which keeps rows out');
$pair->destination_sql('TRUNCATE seen');
fill('dressed', 101, 199, q(i, CASE WHEN i % 2 = 0 THEN NULL ELSE E'a\tb\\c\n' || i END));
rewrite('dressed');
# The ten that were kept out are not here, so they come to the trigger again.
appends($pair, 90, 'dressed', {}, '… rows that are compared');
is($pair->destination_sql(q(SELECT string_agg(name || count, ' ' ORDER BY name)
  FROM (SELECT name, count(*) FROM seen GROUP BY name) AS s)), 'after90 before109',
  '… each trigger has seen its rows once');
is($pair->destination_sql(q(SELECT count(*) FROM dressed WHERE twice = id * 2 AND made = 'here')),
  180, '… generated columns and defaults are there');
$pair->same_rows({source => 'SELECT * FROM dressed WHERE id % 10 <> 0',
  destination => 'SELECT id, note FROM dressed'}, '… and values as they are on the source');
fill('dressed', 666, 666, q(i, 'x'));
rewrite('dressed');
append_fails($pair, '23514', qr/dressed_id_check.*/s, 'dressed', {}, '… constraints hold');

# A table of all kinds of values, in either format, and rows that are large.
for my $format ('int4range', 'aclitem') {
  my $more = $format eq 'aclitem' ? 'a aclitem' : 'a int4range';
  my $value = $format eq 'aclitem' ? q{'postgres=r/postgres'::aclitem} : q{'[1,5)'::int4range};
  both("CREATE TABLE wide_$format (id integer PRIMARY KEY, t text, j jsonb, n numeric, b bytea, $more)");
  my $select = qq(i, CASE WHEN i % 3 = 0 THEN repeat(md5(i::text), 40000) ELSE E'\\\\N\\t\\r\\b\\v\\f' END,
    '{"a": [1, null]}', i / 7.0, decode('00ff5c', 'hex'), $value);
  fill("wide_$format", 1, 30, $select);
  appends($pair, 30, "wide_$format", {}, "values of all kinds ($format)");
  fill("wide_$format", 31, 60, $select);
  rewrite("wide_$format");
  appends($pair, 30, "wide_$format", {}, '… compared');
  $pair->same_rows("SELECT * FROM wide_$format", '… as they are');
}

# ---- keys that hold less here ----

sub lossy {
  my ($name, $there, $here, $first, $second) = @_;
  local $Test::Builder::Level = $Test::Builder::Level + 1;
  $pair->source_sql("CREATE TABLE $name (k $there PRIMARY KEY, v integer);"
      . "INSERT INTO $name VALUES ($first, 1)");
  $pair->destination_sql("CREATE TABLE $name (k $here, v integer)");
  appends($pair, 1, $name, {}, "a key of $there that is $here here");
  $pair->source_sql("INSERT INTO $name VALUES ($second, 2)");
  rewrite($name);
  return;
}

sub refuses_key {
  my ($name, @types) = @_;
  local $Test::Builder::Level = $Test::Builder::Level + 1;
  lossy($name, @types);
  return append_fails($pair, '55000',
    qr/cannot tell which rows.*Column "k" is .* on the source and .* on the destination/s, $name, {},
    '… cannot tell rows apart');
}

sub tells_apart {
  my ($name, @types) = @_;
  local $Test::Builder::Level = $Test::Builder::Level + 1;
  lossy($name, @types);
  appends($pair, 1, $name, {}, '… tells rows apart');
  appends($pair, 0, $name, {}, '… each comes once');
  return is(rows($name), 2, '… all are there');
}

refuses_key('l_numeric', 'numeric', 'numeric(10,0)', '1.2', '1.4');
refuses_key('l_scale', 'numeric(10,2)', 'numeric(10,1)', '1.21', '1.22');
refuses_key('l_time', 'timestamp', 'timestamp(0)', q('2024-01-01 10:00:00.1'), q('2024-01-01 10:00:00.2'));
refuses_key('l_zone', 'timestamptz(3)', 'timestamptz(1)', q('2024-01-01 10:00:00.111+00'), q('2024-01-01 10:00:00.112+00'));
refuses_key('l_varchar', 'text', 'varchar(1)', q('a '), q('a  '));
refuses_key('l_char', 'text', 'char(3)', q('a'), q('a '));
refuses_key('l_float', 'float8', 'float4', '1.00000000001', '1.00000000002');
refuses_key('l_date', 'timestamp', 'date', q('2024-01-01 10:00'), q('2024-01-01 11:00'));
$pair->destination_sql('CREATE DOMAIN whole AS numeric(10,0)');
refuses_key('l_domain', 'numeric', 'whole', '1.2', '1.4');
tells_apart('w_int', 'integer', 'bigint', '1', '2');
tells_apart('w_numeric', 'bigint', 'numeric(20,0)', '1', '2');
tells_apart('w_text', 'uuid', 'text', q('00000000-0000-0000-0000-000000000001'), q('00000000-0000-0000-0000-000000000002'));
tells_apart('w_scale', 'numeric(10,1)', 'numeric(10,2)', '1.1', '1.2');
tells_apart('w_varchar', 'varchar(2)', 'varchar(3)', q('a'), q('a '));

# ---- equality of the local column ----

both(q(CREATE COLLATION nocase (provider = icu, locale = 'und-u-ks-level2', deterministic = false)));
my $has_citext = $pair->destination_sql(
  q(SELECT count(*) FROM pg_available_extensions WHERE name = 'citext'));
tells_apart('c_local', 'text', 'text COLLATE nocase', q('a'), q('A'));
tells_apart('c_source', 'text COLLATE nocase', 'text', q('a'), q('b'));
tells_apart('c_both', 'text COLLATE nocase', 'text COLLATE nocase', q('a'), q('b'));
SKIP: {
  skip 'no citext', 1 unless $has_citext;
  both('CREATE SCHEMA tools; CREATE EXTENSION citext SCHEMA tools');
  tells_apart('c_citext', 'text', 'tools.citext', q('a'), q('A'));
  tells_apart('c_from_citext', 'tools.citext', 'text', q('a'), q('b'));
  tells_apart('c_citexts', 'tools.citext', 'tools.citext', q('a'), q('b'));
}

# An operator of the same name that fits better is not the column's.
$pair->destination_sql(<<'SQL');
CREATE DOMAIN word AS text;
CREATE FUNCTION never(word, word) RETURNS boolean LANGUAGE sql AS 'SELECT false';
CREATE OPERATOR public.= (LEFTARG = word, RIGHTARG = word, FUNCTION = never);
SQL
tells_apart('c_operator', 'text', 'word', q('a'), q('b'));

# ---- settings that a trigger changes ----

$pair->source_sql(<<'SQL');
CREATE TABLE timed (id integer PRIMARY KEY, span interval, price money, x xml, at timestamptz);
INSERT INTO timed SELECT i, '-1 day +02:03:04', 1.5, 'a<b/>', '2024-03-04 05:06:07.000008+00'
FROM generate_series(1, 60000) AS i;
SQL
$pair->destination_sql(<<'SQL');
CREATE TABLE timed (id integer PRIMARY KEY, span interval, price money, x xml, at text);
CREATE FUNCTION upset() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM set_config('DateStyle', 'German, DMY', false), set_config('TimeZone', 'Asia/Tokyo', false),
    set_config('IntervalStyle', 'sql_standard', false), set_config('xmloption', 'document', false),
    set_config('search_path', 'pg_catalog', false);
  RETURN NULL;
END $$;
CREATE TRIGGER upset AFTER INSERT ON timed FOR EACH STATEMENT EXECUTE FUNCTION upset();
SQL
pulls($pair, 'timed', {key => 'id', workers => 1, chunk_size => '512kB'},
  'a trigger that changes settings');
cmp_ok($pair->pull->{chunks}, '>', 1, '… in several chunks');
is($pair->destination_sql('SELECT count(*), count(DISTINCT (span::text, price::text, x::text, at)) FROM timed'),
  '60000|1', '… changes nothing for the next ones');

$pair->nothing_left('nothing is left of the appends');
$pair->finish;
