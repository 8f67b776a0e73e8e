# Either side is altered between the plan and the rows, while rows move, or between a failure and its
# resume: right rows, or a refusal that names what was altered.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";

use ParallelLoader::Test;
use Test::More;

my $pair = ParallelLoader::Test->new;
$pair->source_sql(<<'SQL');
CREATE TYPE pair AS (x integer, y text);
CREATE DOMAIN cents AS numeric(12,2);
CREATE TYPE mood AS ENUM ('sad', 'glad');
CREATE TABLE t (id integer PRIMARY KEY, at timestamp NOT NULL, n bigint, price numeric(10,2),
  p pair, ps pair[], c cents, m mood, w text COLLATE "C" NOT NULL);
INSERT INTO t SELECT i, timestamp '2024-01-01' + i * interval '1 min', i * 1000, i / 4.0,
  ROW(i, 'y' || i)::pair, ARRAY[ROW(i, 'z'::text)::pair], i / 4.0, 'glad', lpad(i::text, 8, '0')
FROM generate_series(1, 6000) AS i;
CREATE TABLE origin AS TABLE t;
SQL

my $TYPES = <<'SQL';
DROP TABLE IF EXISTS t;
DROP TYPE IF EXISTS pair, mood CASCADE;
DROP DOMAIN IF EXISTS cents;
CREATE TYPE pair AS (x integer, y text);
CREATE DOMAIN cents AS numeric(12,2);
CREATE TYPE mood AS ENUM ('sad', 'glad');
CREATE TABLE t (id integer, at timestamp NOT NULL, n bigint, price numeric(10,2), p pair,
  ps pair[], c cents, m mood, w text);
SQL

sub start_over {
  $pair->destination_sql($TYPES);
  return;
}

sub create {
  my (%named) = @_;
  return $pair->destination_sql(
    $pair->table_sql('parallel_pull_create', 't', {key => 'id', chunk_size => '64kB', %named}));
}

sub work { my ($id) = @_; return "SELECT * FROM parallel_pull_work($id)" }

# ---- the local table, between create and work ----

my @LOCAL = (
  ['at', 'ALTER TABLE t ALTER at TYPE timestamptz', 'another type'],
  ['n', 'ALTER TABLE t ALTER n TYPE float8', 'another type of the same length'],
  ['price', 'ALTER TABLE t ALTER price TYPE numeric(10,0)', 'another modifier'],
  ['n', 'ALTER TABLE t DROP n, ADD n bigint', 'dropped and added again'],
  ['p', 'ALTER TYPE pair DROP ATTRIBUTE y, ADD ATTRIBUTE y text', 'an attribute added again'],
  ['p', 'ALTER TYPE pair RENAME ATTRIBUTE x TO z', 'an attribute renamed'],
  ['c', 'ALTER TABLE t ALTER c TYPE numeric(12,2)', 'a domain gone'],
  ['m', 'ALTER TABLE t ALTER m TYPE text', 'an enum made a text']);
for my $case (@LOCAL) {
  my ($column, $sql, $name) = @$case;
  start_over();
  my $id = create();
  $pair->destination_sql($sql);
  $pair->error_is(work($id), '55000',
    qr/column "$column" of table public\.t was altered since pull $id was planned.*Call parallel_pull_resume\($id\) to plan/s,
    "local column, $name: refused by its name");
}

# The hint of the last one works: nothing was done, so the pull is planned anew.
my $last = $pair->newest_pull_id;
is($pair->destination_sql("SELECT rows FROM parallel_pull_resume($last)"), 6000,
  'a pull of which nothing is done is planned anew by a resume');
$pair->same_rows('SELECT id, at, n, m::text FROM t', '… with the values of the source');

# ---- the local table, between failure and resume ----

sub fail_midway {
  my (%named) = @_;
  start_over();
  $pair->destination_sql('ALTER TABLE t ADD CONSTRAINT ok CHECK (id < 4000)');
  my $id = create(%named);
  $pair->error_is(work($id), '23514', qr/ok/, 'a pull fails in its middle');
  $pair->destination_sql('ALTER TABLE t DROP CONSTRAINT ok');
  return $id;
}

my $failed = fail_midway();
$pair->destination_sql('ALTER TABLE t ALTER at TYPE timestamptz');
$pair->error_is("SELECT parallel_pull_resume($failed, new_snapshot => true)", '55000',
  qr/column "at" of table "public\.t" was altered since pull $failed was planned.*now it has type timestamp with time zone/s,
  'a resume into an altered column is refused, with both types');

# ---- the source, before a resume under a new snapshot ----

my @SOURCE = (
  ['n', 'ALTER TABLE t ALTER n TYPE float8', 'ALTER TABLE t ALTER n TYPE bigint'],
  ['price', 'ALTER TABLE t ALTER price TYPE numeric(10,1)',
    'ALTER TABLE t ALTER price TYPE numeric(10,2)'],
  ['id', 'ALTER TABLE t DROP CONSTRAINT t_pkey, ALTER id DROP NOT NULL',
    'ALTER TABLE t ADD PRIMARY KEY (id)'],
  ['p', 'ALTER TYPE pair ADD ATTRIBUTE z integer', 'ALTER TYPE pair DROP ATTRIBUTE z'],
  ['c', 'ALTER TABLE t DROP c, ADD c cents', undef]);
for my $case (@SOURCE) {
  my ($column, $there, $back) = @$case;
  $failed = fail_midway();
  $pair->source_sql($there);
  $pair->error_is("SELECT parallel_pull_resume($failed, new_snapshot => true)", '55000',
    qr/column "$column" of table "public\.t" of the source was altered since pull $failed was planned/,
    "source, $there: refused by the column's name");
  $pair->source_sql($back) if defined $back;
}

# The order of the key: by another collation, or another version of it, other rows lie in a range.
my $ICU = $pair->source_sql(q(SELECT count(*) FROM pg_collation WHERE collname = 'en-x-icu')) ? 'en-x-icu' : 'POSIX';
$pair->source_sql('ALTER TABLE t ADD PRIMARY KEY (id)') unless
  $pair->source_sql(q(SELECT count(*) FROM pg_constraint WHERE conname = 't_pkey'));
my $ALTERED_KEY = qr/key column "w" of table "public\.t" of the source was altered since pull \d+ was planned/;
$failed = fail_midway(key => 'w');
$pair->source_sql(qq(ALTER TABLE t ALTER w TYPE text COLLATE "$ICU"));
$pair->error_is("SELECT parallel_pull_resume($failed, new_snapshot => true)", '55000', $ALTERED_KEY,
  'source, the collation of the key: refused by its name');
$failed = fail_midway(key => 'w');
SKIP: {
  my $version = $pair->source_sql(qq(SELECT pg_collation_actual_version('"$ICU"'::regcollation)));
  skip 'the collation has no version', 1 if $version eq '';
  # As if the library had had another version when the pull was planned.
  $pair->destination_sql("UPDATE parallel_loader.pull SET source_shape = replace(source_shape, ' $version NOT', ' 1.2.3 NOT') WHERE pull_id = $failed");
  $pair->error_is("SELECT parallel_pull_resume($failed, new_snapshot => true)", '55000', $ALTERED_KEY,
    'source, the version of the collation of the key: refused');
  $pair->destination_sql("UPDATE parallel_loader.pull SET source_shape = replace(source_shape, ' 1.2.3 NOT', ' $version NOT') WHERE pull_id = $failed");
}
is($pair->destination_sql("SELECT rows FROM parallel_pull_resume($failed, new_snapshot => true)"), 6000, '… and goes on where it is the same');
$pair->source_sql('ALTER TABLE t ALTER w TYPE text COLLATE "C"');

# Domains: what they check is no matter, what they are made of is.
$pair->source_sql('UPDATE t SET c = id / 4.0');
$failed = fail_midway();
$pair->source_sql('ALTER DOMAIN cents ADD CONSTRAINT positive CHECK (VALUE > 0)');
is($pair->destination_sql("SELECT rows FROM parallel_pull_resume($failed, new_snapshot => true)"), 6000,
  'source, a domain that checks more: the pull goes on');
$pair->source_sql('ALTER DOMAIN cents DROP CONSTRAINT positive; CREATE DOMAIN mills AS numeric(12,3)');
$failed = fail_midway();
$pair->source_sql('ALTER TABLE t ALTER c TYPE mills');
$pair->error_is("SELECT parallel_pull_resume($failed, new_snapshot => true)", '55000',
  qr/column "c" of table "public\.t" of the source was altered.*numeric\(12,2\).*numeric\(12,3\)/s, '… one of another scale: refused');
$pair->source_sql('ALTER TABLE t ALTER c TYPE cents');
$failed = fail_midway();
$pair->destination_sql('ALTER DOMAIN cents ADD CONSTRAINT low CHECK (VALUE < 100) NOT VALID');
$pair->error_is("SELECT parallel_pull_resume($failed, new_snapshot => true)", '23514', qr/value for domain cents violates check constraint "low"/,
  'here, a domain that checks more: as COPY has it');

# A type of an extension, which may store its values in another way at another version.
for my $side (qw(source destination)) {
  $pair->both_sql(q(DROP EXTENSION IF EXISTS hstore CASCADE; CREATE EXTENSION hstore VERSION '1.7';)
      . ' DROP TABLE IF EXISTS x; CREATE TABLE x (id integer PRIMARY KEY, h hstore)');
  $pair->source_sql(q(INSERT INTO x SELECT i, hstore('k', i::text) FROM generate_series(1, 6000) AS i));
  $pair->destination_sql('ALTER TABLE x ADD CONSTRAINT ok CHECK (id < 4000)');
  $pair->error_is($pair->table_sql('parallel_pull_table', 'x', {key => 'id', chunk_size => '64kB', workers => 1}), '23514', qr/ok/,
    'a pull of values of an extension fails in its middle');
  $failed = $pair->newest_pull_id;
  $pair->destination_sql('ALTER TABLE x DROP CONSTRAINT ok');
  my $upgrade = q(ALTER EXTENSION hstore UPDATE TO '1.8');
  $side eq 'source' ? $pair->source_sql($upgrade) : $pair->destination_sql($upgrade);
  $pair->error_is("SELECT parallel_pull_resume($failed, new_snapshot => true)", '55000',
    $side eq 'source' ? qr/extension "hstore" was altered since pull $failed.*had version 1\.7, now it has 1\.8/s
      : qr/column "h" of table "public\.x" was altered since pull $failed/, "… the extension is upgraded on the $side: refused");
}

# ---- labels of an enum ----

# COPY writes the labels of now, whatever the snapshot.
my $RENAMED = qr/column "m" of table "public\.t" of the source was altered since pull \d+ was planned.*Labels of its enum have other names, or another order/s;
my $SWAP = q(ALTER TYPE mood RENAME VALUE 'sad' TO 'x'; ALTER TYPE mood RENAME VALUE 'glad' TO 'sad'; ALTER TYPE mood RENAME VALUE 'x' TO 'glad');
$pair->source_sql(q(UPDATE t SET m = CASE WHEN id % 2 = 0 THEN 'sad' ELSE 'glad' END::mood));
for my $case ([$SWAP, $SWAP, 'swapped'], [q(ALTER TYPE mood RENAME VALUE 'sad' TO 'low'), q(ALTER TYPE mood RENAME VALUE 'low' TO 'sad'), 'renamed']) {
  my ($change, $back, $name) = @$case;
  start_over();
  $pair->destination_sql(q(ALTER TYPE mood ADD VALUE 'low')); # no error of its own
  my $id = create();
  $pair->destination_sql("SELECT parallel_pull_work($id, max_chunks => 2)");
  $pair->source_sql($change);
  $pair->error_is(work($id), '55000', $RENAMED, "labels of an enum that are $name in mid-pull: refused");
  $pair->error_is("SELECT parallel_pull_resume($id, new_snapshot => true)", '55000', $RENAMED, '… so is a resume');
  $pair->source_sql($back);
  is($pair->destination_sql("SELECT rows FROM parallel_pull_resume($id, new_snapshot => true)"), 6000, '… until they are back');
  $pair->same_rows('SELECT id, m::text FROM t', '… each value has its label');
}
start_over();
my $more = create();
$pair->destination_sql("SELECT parallel_pull_work($more, max_chunks => 2)");
$pair->source_sql(q(ALTER TYPE mood ADD VALUE 'so-so' BEFORE 'glad'));
is($pair->destination_sql("SELECT remaining FROM parallel_pull_work($more)"), 0, 'a label more is no matter');
# In whatever holds an enum, and in an append.
$pair->both_sql(q(DROP TABLE IF EXISTS x; CREATE TYPE tone AS ENUM ('low', 'high'); CREATE DOMAIN voice AS tone; CREATE TYPE song AS (n integer, v voice[]);)
    . ' CREATE TABLE x (id integer PRIMARY KEY, s song)');
$pair->source_sql(q(INSERT INTO x SELECT i, ROW(i, ARRAY['low', 'high'])::song FROM generate_series(1, 6000) AS i));
$more = $pair->destination_sql($pair->table_sql('parallel_pull_create', 'x', {key => 'id', chunk_size => '64kB'}));
$pair->source_sql(q(ALTER TYPE tone RENAME VALUE 'low' TO 'deep'));
$pair->destination_sql(q(ALTER TYPE tone ADD VALUE 'deep'));
$pair->error_is(work($more), '55000', qr/column "s" of table "public\.x".*Labels of its enum/s, 'labels of an enum within other types');
$pair->source_sql(q(ALTER TYPE tone RENAME VALUE 'deep' TO 'low'));
$pair->destination_sql("SELECT parallel_pull_cancel($more)");
is($pair->destination_sql($pair->table_sql('parallel_pull_append', 'x')), 6000, 'an append of such values');

# ---- the source, under an older snapshot ----

my $session = $pair->session('source');
$session->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ');
my $snapshot = $session->query_safe('SELECT pg_export_snapshot()');
$pair->source_sql('ALTER TABLE t DROP m, ADD m mood');
start_over();
$pair->error_is($pair->table_sql('parallel_pull_table', 't', {snapshot => $snapshot}), '55000',
  qr/column "m" of table "public\.t" of the source was altered after the snapshot was taken/,
  'a column that was dropped and added again after the snapshot would read as empty: refused');
$session->close;

# ---- dropped and made anew ----

start_over();
my $id = create();
$pair->destination_sql("SELECT parallel_pull_cancel($id)");
$failed = fail_midway();
$pair->source_sql('DROP TABLE t; CREATE TABLE t AS TABLE origin; ALTER TABLE t ADD PRIMARY KEY (id)');
$pair->error_is("SELECT parallel_pull_resume($failed, new_snapshot => true)", '55000',
  qr/of the source is not what it was when pull $failed was planned|was altered since pull $failed/,
  'another table of the same name is not taken for the one that was planned');

$pair->finish;
