# A database of two hundred tables of all kinds, moved by one command: every row arrives, and no session
# is idle while there is work. SCALE=1 has tables of 10 MB and one of 1 GB.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";

use JSON::PP ();
use ParallelLoader::Program;
use ParallelLoader::Test;
use PostgreSQL::Test::Utils;
use Test::More;

my $SCALE = $ENV{SCALE} // 0.1;
my $JOBS = 2;
my $pair = ParallelLoader::Test->new(both => {conf => "max_wal_size = 8GB\nmax_locks_per_transaction = 256\n"});
my ($source, $destination) = ($pair->source->connstr('postgres'), $pair->destination->connstr('postgres'));

# A row takes about 110 bytes.
my $FILL = q(SELECT i, timestamptz '2024-01-01 UTC' + i * interval '1.7 seconds',
  left(md5(i::text) || md5(i::text), 20 + i %% 40) FROM generate_series(1, %d) AS i);

# ---- what is moved ----

sub plain_tables {
  my ($name, $count, $rows) = @_;
  return map { my $table = sprintf '%s_%02d', $name, $_;
    ("CREATE TABLE $table (id integer PRIMARY KEY, at timestamptz, note text)", $rows ? "INSERT INTO $table " . sprintf($FILL, $rows) : ())
  } 1 .. $count;
}

# Names, keys, columns and relations between tables that each need something of their own.
my @ODD = (
  'CREATE SCHEMA sales', 'CREATE SCHEMA "Odd Schema"',
  'CREATE TABLE sales.customers (id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text UNIQUE)',
  q(INSERT INTO sales.customers (name) SELECT 'customer ' || i FROM generate_series(1, 500) AS i),
  'CREATE TABLE sales.orders (id serial PRIMARY KEY, customer integer NOT NULL REFERENCES sales.customers, total numeric(12, 2))',
  'INSERT INTO sales.orders (customer, total) SELECT i % 500 + 1, i * 1.37 FROM generate_series(1, 3000) AS i',
  'CREATE TABLE sales.order_lines (order_id integer REFERENCES sales.orders, line integer, what text, PRIMARY KEY (order_id, line))',
  q(INSERT INTO sales.order_lines SELECT o, l, 'article ' || o * l FROM generate_series(1, 3000) AS o, generate_series(1, 3) AS l),
  'CREATE TABLE sales.tree (id integer PRIMARY KEY, parent integer REFERENCES sales.tree)',
  'INSERT INTO sales.tree SELECT i, nullif(i / 2, 0) FROM generate_series(1, 1000) AS i',
  'CREATE TABLE parted (region text, id integer, note text) PARTITION BY LIST (region)',
  q(CREATE TABLE parted_north PARTITION OF parted FOR VALUES IN ('north') PARTITION BY RANGE (id)),
  'CREATE TABLE parted_north_1 PARTITION OF parted_north FOR VALUES FROM (0) TO (500)',
  'CREATE TABLE parted_north_2 PARTITION OF parted_north FOR VALUES FROM (500) TO (100000)',
  q(CREATE TABLE parted_south PARTITION OF parted FOR VALUES IN ('south')), 'CREATE TABLE parted_rest PARTITION OF parted DEFAULT',
  q(INSERT INTO parted SELECT (ARRAY['north', 'south', 'west', NULL])[i % 4 + 1], i, repeat('p', i % 50) FROM generate_series(1, 4000) AS i),
  'CREATE TABLE ancestor (id integer, note text)', 'CREATE TABLE descendant (extra integer) INHERITS (ancestor)',
  q(INSERT INTO ancestor SELECT i, 'old' FROM generate_series(1, 200) AS i), q(INSERT INTO descendant SELECT i, 'young', i FROM generate_series(1, 300) AS i),
  'CREATE TABLE "Odd Schema"."Order Lines" ("Select" integer PRIMARY KEY, "a""b" text)',
  q(INSERT INTO "Odd Schema"."Order Lines" SELECT i, chr(8364) || i FROM generate_series(1, 400) AS i),
  qq(CREATE TABLE "two\nlines; --" (id integer PRIMARY KEY, "x\ty" text)), qq(INSERT INTO "two\nlines; --" SELECT i, E'a\\tb\\n\\\\.\\n' FROM generate_series(1, 100) AS i),
  qq(CREATE TABLE "Gr\x{c3}\x{b6}\x{c3}\x{9f}e" (id integer)), qq(INSERT INTO "Gr\x{c3}\x{b6}\x{c3}\x{9f}e" SELECT generate_series(1, 50)),
  'CREATE TABLE keyless (a integer, b text)', q(INSERT INTO keyless SELECT i % 7, CASE WHEN i % 3 > 0 THEN repeat('k', i % 30) END FROM generate_series(1, 5000) AS i),
  'CREATE TABLE by_uuid (id uuid PRIMARY KEY, n integer)', q(INSERT INTO by_uuid SELECT md5(i::text)::uuid, i FROM generate_series(1, 20000) AS i),
  'CREATE TABLE by_text (id text COLLATE "C" PRIMARY KEY, n integer)', q(INSERT INTO by_text SELECT md5(i::text), i FROM generate_series(1, 20000) AS i),
  'CREATE TABLE computed (id integer PRIMARY KEY, n integer, twice integer GENERATED ALWAYS AS (n * 2) STORED)', 'INSERT INTO computed SELECT i, i FROM generate_series(1, 1000) AS i',
  'CREATE TABLE shrunk (id integer PRIMARY KEY, gone text, kept text)', q(INSERT INTO shrunk SELECT i, 'g', 'k' || i FROM generate_series(1, 1000) AS i), 'ALTER TABLE shrunk DROP COLUMN gone, ADD late jsonb DEFAULT \'{"a": [1, null]}\'',
  q(CREATE TYPE mood AS ENUM ('sad', 'it''s "fine"')), 'CREATE DOMAIN positive AS integer CHECK (VALUE > 0)', 'CREATE TYPE pair AS (a integer, b mood)',
  'CREATE TABLE typed (id positive PRIMARY KEY, m mood, p pair, a text[], r int4range, f double precision, b bytea, j jsonb)',
  q(INSERT INTO typed SELECT i, 'sad', ROW(i, 'it''s "fine"')::pair, ARRAY['a,b', NULL, '{}"'], int4range(i, i + 5), 'NaN', decode('00ff5c', 'hex'), '{"k": "\u20ac"}' FROM generate_series(1, 500) AS i),
  'CREATE TABLE no_columns ()', 'INSERT INTO no_columns DEFAULT VALUES', 'INSERT INTO no_columns DEFAULT VALUES',
  'CREATE TABLE toasted (id integer PRIMARY KEY, v text)', q(INSERT INTO toasted SELECT i, (SELECT string_agg(md5((i * j)::text), '') FROM generate_series(1, 400) AS j) FROM generate_series(1, 100) AS i),
  'CREATE UNLOGGED TABLE unlogged (id integer)', 'INSERT INTO unlogged SELECT generate_series(1, 100)');
my @DATABASE = (@ODD, plain_tables('empty', 40, 0), plain_tables('single', 60, 1), plain_tables('small', 40, 1000),
  plain_tables('middle', 39, 90_000 * $SCALE),
  'CREATE TABLE zzz_last (id integer PRIMARY KEY, at timestamptz, note text)', 'INSERT INTO zzz_last ' . sprintf($FILL, 9_000_000 * $SCALE));
$pair->source_sql(join(";\n", @DATABASE) . ";\nANALYZE;");

# Relations whose rows are their own, each with its rows; a partitioned table stands for its partitions.
my @tables = split /\0/, $pair->source_sql(<<'SQL');
SELECT string_agg(oid::regclass::text, E'\1' ORDER BY oid) FROM pg_class
WHERE relkind IN ('r', 'p') AND NOT relispartition AND oid >= 16384
SQL
@tables = map { split /\x01/ } @tables;
cmp_ok(scalar @tables, '>=', 198, 'the source has about two hundred tables');

my ($old, $new) = ("-d '$source'", "-d '$destination'");
my $definitions = shell("pg_dump -Fc --section=pre-data $old | pg_restore --exit-on-error $new");
is($definitions->{code}, 0, 'pg_dump moves the definitions') or diag $definitions->{err};

# ---- the move ----

my $run = run_program('copy', '--source', $source, '--target', $destination, '--all', '--jobs', $JOBS, '--verify', 'checksum', '--json');
is($run->{code}, 0, 'one command moves all tables') or diag $run->{err};
my $document = eval { JSON::PP->new->decode($run->{out}) } // {};
is(scalar @{$document->{tables} // []}, scalar @tables, '… each of them');
is_deeply([map { $_->{table} } grep { !$_->{verify}{matches} } @{$document->{tables} // []}], [], '… whose checksums agree');
is($document->{totals}{done}, scalar @tables, '… and are counted as done');
my @differing = grep { !same_content($_) } @tables;
is(join("\n", @differing), '', 'the rows of each table are equal');
$pair->nothing_left('no process or session is left');

sub same_content {
  my ($table) = @_;
  my $sql = qq(SET extra_float_digits = 3; SET timezone = 'UTC'; SET datestyle = 'ISO, YMD';
    SELECT count(*), coalesce(sum(hashtextextended(t::text, 0)::numeric), 0) FROM ONLY $table AS t);
  $sql =~ s/ONLY // if $pair->source_sql("SELECT relkind FROM pg_class WHERE oid = @{[literal($table)]}::regclass") eq 'p';
  return $pair->source_sql($sql) eq $pair->destination_sql($sql);
}

my $rest = shell("pg_dump -Fc --section=post-data $old | pg_restore --exit-on-error $new");
is($rest->{code}, 0, 'indexes, keys and foreign keys are restored over the rows') or diag $rest->{err};
is($pair->destination_sql(q(INSERT INTO sales.orders (customer, total) VALUES (1, 1) RETURNING id)), 3001, 'sequences go on behind them');

# ---- idle sessions, by the ledger's own times ----

my $moved = $pair->destination_sql(<<'SQL');
SELECT sum(finished - started), max(finished) - min(started), count(DISTINCT copied_by),
  round(100 - 100 * extract(epoch FROM sum(finished - started)) / extract(epoch FROM max(finished) - min(started)) / count(DISTINCT copied_by), 2)
FROM parallel_pull_chunks WHERE state = 'done'
SQL
my (undef, undef, $workers, $idle) = split /\|/, $moved;
diag("busy | from first to last | workers | idle %: $moved");
is($workers, $JOBS, 'two workers move everything');
SKIP: {
  skip 'at SCALE=1 alone there is work enough beside the plans', 1 if $SCALE < 1;
  cmp_ok($idle, '<', 5, 'they are idle in less than 5 % of the time');
}

$pair->finish;
