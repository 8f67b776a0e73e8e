# No name in our SQL can be taken by somebody else's object.  A role that may create in the
# extension's schema first makes there an operator for every pair of built-in types that has no exact
# match in pg_catalog, and functions alike; and in a schema that comes before pg_catalog in everybody's
# search path, operators, functions, types and views of the very names and types that are used.  Then
# the extension is installed, in a second database updated, and all of it is run: nothing springs.

use strict;
use warnings;

use File::Find qw(find);
use FindBin;
use lib "$FindBin::RealBin/lib";

use ParallelLoader::Test;
use PostgreSQL::Test::Utils;
use Test::More;

my $pair = ParallelLoader::Test->new(extension => 0, retries => 1);

# ---- what is named in our SQL ----

my $TREE = "$FindBin::RealBin/../..";
my @sources;
find(sub { push @sources, $File::Find::name if /\.(?:cpp|sql)$/ },
  map { "$TREE/$_" } qw(core extension orchestrator));
my $text = join "\n", map { slurp_file($_) } @sources;
my %words = map { $_ => 1 } $text =~ /\b([a-z_][a-z0-9_]*)\b/g;

# Those of our words that are names in pg_catalog.
sub known_names {
  my ($names) = @_;
  return grep { $words{$_} } split /\n/, $pair->destination_sql($names);
}

my @functions = known_names(<<'SQL');
SELECT DISTINCT proname FROM pg_proc WHERE pronamespace = 'pg_catalog'::regnamespace
SQL
my @relations = known_names(<<'SQL');
SELECT relname FROM pg_class WHERE relnamespace = 'pg_catalog'::regnamespace AND relkind IN ('r', 'v')
SQL
# Temporary tables of scripts: pg_temp comes after the extension's schema.
my @temporary = $text =~ /CREATE TEMPORARY TABLE (?:pg_temp\.)?(\w+)/g;
my @types = known_names(<<'SQL');
SELECT typname FROM pg_type WHERE typnamespace = 'pg_catalog'::regnamespace AND typtype = 'b'
  AND typelem = 0
SQL
my @OPERATORS = qw(= <> < <= > >= + - * / % || ~ & << >> @>);
my @COMPUTING = qw(+ - * / % || & << >>);
my @OPERANDS = ('bool', 'int2', 'int4', 'int8', 'float8', 'numeric', 'text', 'varchar', 'name', 'oid',
  'regclass', 'regrole', 'timestamptz', 'interval', 'pg_lsn', '"char"', 'tid', 'xid', 'text[]',
  'oid[]');
# Of these, exact matches as well.
my @FREQUENT = ('bool', 'int2', 'int4', 'int8', 'text', 'name', 'oid', 'regclass', 'timestamptz',
  'pg_lsn', '"char"', 'tid');

sub list {
  return 'ARRAY[' . join(', ', map { literal($_) } @_) . ']::pg_catalog.text[]';
}

# ---- the traps ----

# What a trap says stays in the server's log, whatever is rolled back.
my $MAKE_TRAPS = <<"SQL";
CREATE SCHEMA wrapper;
CREATE EXTENSION dblink SCHEMA wrapper;
CREATE EXTENSION postgres_fdw SCHEMA wrapper;
CREATE SCHEMA ext;
CREATE SCHEMA bait;
GRANT CREATE, USAGE ON SCHEMA ext, bait TO PUBLIC;
SET ROLE mallory;
SET search_path = pg_catalog;
CREATE FUNCTION bait.spring(what text) RETURNS boolean LANGUAGE plpgsql AS \$\$
BEGIN
  RAISE WARNING 'trap sprung by %: %', current_user, what;
  RETURN true;
END \$\$;
CREATE FUNCTION bait.trap(what text) RETURNS text LANGUAGE sql
RETURN format('BEGIN PERFORM bait.spring(%L); RETURN NULL; END', what);
CREATE FUNCTION bait.set_operator(schema text, op text, l text, r text) RETURNS void
LANGUAGE plpgsql AS \$\$
BEGIN
  EXECUTE format('CREATE OPERATOR %I.%s (LEFTARG = %s, RIGHTARG = %s, FUNCTION = bait.%s)', schema,
    op, l, r, CASE WHEN op = ANY (@{[list(@COMPUTING)]}) THEN 'computes' ELSE 'compares' END);
END \$\$;
CREATE FUNCTION bait.try(statement text) RETURNS void LANGUAGE plpgsql AS \$\$
BEGIN
  EXECUTE statement;
EXCEPTION WHEN OTHERS THEN
  NULL; -- pseudo-types, a second of the same arguments
END \$\$;
DO \$\$
DECLARE
  l text;
  r text;
  op text;
BEGIN
  FOREACH l IN ARRAY @{[list(@OPERANDS)]} LOOP
    FOREACH r IN ARRAY @{[list(@OPERANDS)]} LOOP
      EXECUTE format('CREATE FUNCTION bait.compares(%s, %s) RETURNS bool LANGUAGE plpgsql AS %L', l, r,
        bait.trap(format('comparison of %s and %s', l, r)));
      EXECUTE format('CREATE FUNCTION bait.computes(%s, %s) RETURNS float8 LANGUAGE plpgsql AS %L', l,
        r, bait.trap(format('operation on %s and %s', l, r)));
      FOREACH op IN ARRAY @{[list(@OPERATORS)]} LOOP
        IF NOT EXISTS (SELECT FROM pg_operator
          WHERE oprname = op AND oprleft = l::regtype AND oprright = r::regtype) THEN
          PERFORM bait.set_operator('ext', op, l, r);
        END IF;
        CONTINUE WHEN l <> ALL (@{[list(@FREQUENT)]}) OR r <> ALL (@{[list(@FREQUENT)]});
        PERFORM bait.set_operator('bait', op, l, r);
      END LOOP;
    END LOOP;
  END LOOP;
END \$\$;
-- Functions: in the schema in front, of the very arguments; in the extension's, of others.
SELECT bait.try(format('CREATE FUNCTION bait.%I(%s) RETURNS %s LANGUAGE plpgsql AS %L', p.proname,
  pg_get_function_identity_arguments(p.oid), p.prorettype::regtype,
  bait.trap('function ' || p.proname)))
FROM pg_proc AS p
WHERE p.proname = ANY (@{[list(@functions)]}) AND p.pronamespace = 'pg_catalog'::regnamespace;
SELECT bait.try(format('CREATE FUNCTION ext.%I(%s) RETURNS float8 LANGUAGE plpgsql AS %L', f,
  arguments, bait.trap('function ' || f)))
FROM unnest(@{[list(@functions)]}) AS f,
  unnest(@{[list('int4', 'int8', 'oid, text', 'float8', 'numeric', 'name', 'bool', 'text, text')]})
    AS arguments
WHERE NOT EXISTS (SELECT FROM pg_proc AS p
  WHERE p.proname = f AND p.pronamespace = 'pg_catalog'::regnamespace
    AND oidvectortypes(p.proargtypes) = arguments);
SELECT bait.try(format('CREATE DOMAIN bait.%I AS pg_catalog.%1\$I CHECK (bait.spring(%L))', t,
  'type ' || t)) FROM unnest(@{[list(@types)]}) AS t;
SELECT bait.try(format('CREATE VIEW bait.%I AS SELECT * FROM pg_catalog.%1\$I WHERE bait.spring(%L)',
  c, 'relation ' || c)) FROM unnest(@{[list(@relations)]}) AS c;
SELECT bait.try(format('CREATE VIEW ext.%I AS SELECT c.oid AS "table", %L::text AS relations'
  ' FROM pg_class AS c WHERE bait.spring(%L)', c, '', 'relation ' || c))
FROM unnest(@{[list(@temporary)]}) AS c;
RESET ROLE;
SQL

my $ROWS = 20_000;
$pair->source_sql(<<"SQL");
CREATE TABLE t (id serial PRIMARY KEY, at timestamptz DEFAULT now(), note text, value float8);
INSERT INTO t (note, value) SELECT repeat('n', 100), i FROM generate_series(1, $ROWS) AS i;
CREATE TABLE t_part AS SELECT * FROM t;
ALTER TABLE t_part ADD PRIMARY KEY (id);
CREATE TABLE t_failing AS SELECT * FROM t WHERE id <= 5000;
ALTER TABLE t_failing ADD PRIMARY KEY (id);
SQL
$pair->destination_sql('CREATE ROLE mallory; CREATE ROLE puller LOGIN; CREATE DATABASE fresh');
my $time = stopwatch();
$pair->destination_sql($MAKE_TRAPS, dbname => 'fresh');
note sprintf 'traps made in %.1f s: %s', $time->(), $pair->destination_sql(<<'SQL', dbname => 'fresh');
SELECT (SELECT count(*) FROM pg_operator WHERE oprowner = 'mallory'::regrole) || ' operators, '
  || (SELECT count(*) FROM pg_proc WHERE proowner = 'mallory'::regrole) || ' functions, '
  || (SELECT count(*) FROM pg_type WHERE typtype = 'd' AND typowner = 'mallory'::regrole)
  || ' domains'
SQL
$pair->destination_sql(<<"SQL", dbname => 'fresh');
SET search_path = pg_catalog;
CREATE TABLE public.t (id serial PRIMARY KEY, at timestamptz, note text, value float8);
CREATE TABLE public.t_part (id integer, at timestamptz, note text, value float8)
  PARTITION BY RANGE (id);
CREATE TABLE public.t_part_1 PARTITION OF public.t_part FOR VALUES FROM (MINVALUE) TO (9000);
CREATE TABLE public.t_part_2 PARTITION OF public.t_part FOR VALUES FROM (9000) TO (MAXVALUE);
CREATE TABLE public.t_failing (id integer, at timestamptz, note text, value float8,
  CHECK (id <> 4000));
GRANT ALL ON ALL TABLES IN SCHEMA public TO puller;
ALTER TABLE public.t OWNER TO puller;
SQL
$pair->destination_sql('CREATE DATABASE updated TEMPLATE fresh');
# From here on the traps come first for everybody, whatever is not in this schema.
$pair->destination_sql(
  "ALTER DATABASE $_ SET search_path = bait, ext, public, pg_catalog") for qw(fresh updated);

# ---- nothing springs ----

# Checks the log since the last look.
my $seen = 0;

sub nothing_sprang {
  my ($rule) = @_;
  local $Test::Builder::Level = $Test::Builder::Level + 1;
  my $log = slurp_file($pair->destination->logfile, $seen);
  $seen += length $log;
  my %sprung = map { $_ => 1 } grep { !/^mallory/ } $log =~ /WARNING:  trap sprung by (.*)/g;
  return is(join("\n", sort keys %sprung), '', $rule);
}

# Runs statements in one session; each must succeed, or fail with the SQLSTATE in front of it.
sub runs {
  my ($dbname, $user, $rule, @statements) = @_;
  local $Test::Builder::Level = $Test::Builder::Level + 1;
  my $session = $pair->session('destination', dbname => $dbname, user => $user);
  my @wrong;
  for (@statements) {
    my ($expected, $sql) = /^(\w{5}): (.*)/s ? ($1, $2) : ('00000', $_);
    my $result = $session->query($sql);
    push @wrong, "$sql\n" . $result->summary if $result->is_timed_out || $result->sqlstate ne $expected;
  }
  is(join("\n", @wrong), '', "$rule: all runs");
  nothing_sprang("$rule: no trap springs");
  return;
}

sub install {
  my ($dbname, @versions) = @_;
  my $server = $pair->source->host;
  my $port = $pair->source->port;
  runs($dbname, 'postgres', "$dbname: installing", @versions,
    "CREATE SERVER origin FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '$server', port '$port', "
      . "dbname 'postgres')",
    q(CREATE USER MAPPING FOR puller SERVER origin
      OPTIONS (user 'postgres', password_required 'false')),
    'GRANT USAGE ON FOREIGN SERVER origin TO puller',
    'GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA ext TO puller');
  return;
}

my @VIEWS = map { "SELECT * FROM ext.parallel_$_" } qw(pulls pull_chunks pull_progress);
my $dsn = literal($pair->dsn);
my $FILTER = q('id OPERATOR(pg_catalog.>) 10');

# Every function and view, by a role that owns the pulls it begins.
sub all_of_it {
  my ($dbname, $user, $source, $first) = @_;
  # An append has to compare what was in flight when the pull took its snapshot.
  my $writer = $pair->session('source');
  $writer->query_safe("BEGIN; INSERT INTO t (note) VALUES ('in flight')");
  my ($second, $third, $created) = map { $first + $_ } 1 .. 3; # two appends follow
  runs($dbname, $user, "$dbname, $user",
    'TRUNCATE public.t, public.t_part, public.t_failing',
    "SELECT ext.parallel_pull($source, 'public.t', 1, 100)", # $first
    'TRUNCATE public.t',
    "SELECT * FROM ext.parallel_pull_check($source, 'public.t')",
    "SELECT * FROM ext.parallel_pull_check($source, 'public.t_part', filter => $FILTER)",
    "SELECT * FROM ext.parallel_pull_plan($source, 'public.t', chunk_size => '64kB')",
    # While it is planned, runs and is done.
    "SELECT ext.parallel_pull_start($source, 'public.t', workers => 2, chunk_size => '128kB')",
    "SELECT ext.parallel_pull_alter($second, max_rate => 900)",
    @VIEWS, (('SELECT pg_catalog.pg_sleep(0.4)', @VIEWS) x 4),
    "SELECT ext.parallel_pull_alter($second, workers => 0)", @VIEWS,
    "SELECT ext.parallel_pull_alter($second, workers => 2, max_rate => 0)",
    "SELECT ext.parallel_pull_wait($second)", @VIEWS,
    # A failure, its hold, and what comes of it.
    "23514: SELECT ext.parallel_pull_table($source, 'public.t_failing', key => 'id', "
      . "chunk_size => '64kB')",
    @VIEWS, "23514: SELECT ext.parallel_pull_resume($third)",
    "SELECT ext.parallel_pull_cancel($third)", @VIEWS,
    "SELECT ext.parallel_pull_create($source, 'public.t_part', chunk_size => '512kB')",
    @VIEWS, "SELECT * FROM ext.parallel_pull_work($created)", @VIEWS,
    "SELECT * FROM ext.parallel_pull_verify($source, 'public.t', chunk_size => '512kB')",
    "SELECT * FROM ext.parallel_pull_verify($source, 'public.t_part', filter => $FILTER)");
  $writer->query_safe('COMMIT');
  runs($dbname, $user, "$dbname, $user, appending",
    "SELECT ext.parallel_pull_append($source, 'public.t')",
    "SELECT ext.parallel_pull_append($source, 'public.t', key => 'id', \"window\" => '100')",
    "SELECT * FROM ext.parallel_pull_sequences($source, 'public.t')",
    "SELECT ext.parallel_pull_keep('public.t')", "SELECT ext.parallel_pull_forget('public.t')");
  return;
}

install('fresh', 'CREATE EXTENSION parallel_loader SCHEMA ext');
all_of_it('fresh', 'postgres', $dsn, 1);
all_of_it('fresh', 'puller', q('origin'), 7);

# What an update has to fill in goes through its SQL too: a done pull and a mark.
install('updated', q(CREATE EXTENSION parallel_loader SCHEMA ext VERSION '0.3'),
  <<'SQL', 'ALTER EXTENSION parallel_loader UPDATE');
BEGIN;
SET LOCAL search_path = pg_catalog;
INSERT INTO parallel_loader.pull (pull_id, run_id, owner, "table", source, source_table, format, workers,
  chunk_bytes, timezone, date_order, segment, state, source_database, source_relations, snapshot_xmin,
  snapshot_xmax)
VALUES (900, 900, 'postgres', 'public.t_part', 'host=nowhere', 'public.t_part', 'binary', 1, 1, 'UTC',
  'MDY', 0, 'done', 'postgres', '1:1', 1, 1);
INSERT INTO parallel_loader.chunk (pull_id, chunk, state, rows) VALUES (900, 1, 'done', 1);
INSERT INTO parallel_loader.mark ("table", source_database, source_table, filter, horizon, compare_to,
  source_relations, pull_id)
VALUES ('public.t_part', 'postgres', 'public.t_part', '', 1, 1, '1:1', 900);
COMMIT;
SQL
all_of_it('updated', 'postgres', $dsn, 1);

# The test cannot pass by leaving a function out.
my %called = map { $_ => 1 } slurp_file($0) =~ /ext\.(parallel_pull\w*)\(/g;
my @missing = grep { !$called{$_} } split /\n/, $pair->destination_sql(<<'SQL', dbname => 'fresh');
SET search_path = pg_catalog;
SELECT DISTINCT proname FROM pg_proc WHERE pronamespace = 'ext'::regnamespace
  AND proname LIKE 'parallel\_pull%' AND probin IS NOT NULL
SQL
is("@missing", '', 'every function of the extension was among them');

# A trap that is meant to be met springs: else all this would show nothing.
$pair->try_sql('SELECT 1 OPERATOR(ext.*) 1::float8; SELECT 1 = 1; SELECT relname FROM pg_class LIMIT 1',
  dbname => 'fresh');
my @meant = slurp_file($pair->destination->logfile, $seen) =~ /WARNING:  trap sprung by postgres: (.*)/g;
is(join(', ', map { s/ ".*//r } sort @meant),
  'comparison of int4 and int4, operation on int4 and float8, relation pg_class, type float8',
  'the traps are set');

# What looks for damage in each database is not to meet them.
$pair->destination_sql("DROP DATABASE $_ WITH (FORCE)") for qw(fresh updated);
$pair->finish;
