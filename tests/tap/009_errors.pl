# What cannot work fails with one clear error and the SQLSTATE that says why, before any work where
# that can be known before; no process is left and nothing crashes.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";

use IO::Socket::INET;
use ParallelLoader::Session;
use ParallelLoader::Test;
use PostgreSQL::Test::Cluster;
use Test::More;

my $pair = ParallelLoader::Test->new(
  source => {hba => 'local all guarded scram-sha-256'},
  destination => {conf => 'max_wal_senders = 4'});

$pair->source_sql(<<'SQL');
CREATE ROLE guarded LOGIN PASSWORD 'right';
CREATE TABLE t (id integer PRIMARY KEY, word text, n text);
INSERT INTO t SELECT i, 'word ' || i, i::text FROM generate_series(1, 100) AS i;
INSERT INTO t VALUES (500, 'not a number', 'x');
CREATE TABLE only_there (id integer);
CREATE TABLE large AS SELECT 40000 AS id, 'w'::text AS word, 'n'::text AS n;
SQL
$pair->destination_sql(<<'SQL');
CREATE TABLE t (id integer PRIMARY KEY, word text, n text);
CREATE TABLE only_here (id integer);
CREATE TABLE numbers (id integer, word text, n integer);
CREATE TABLE narrow (id smallint, word text, n text);
CREATE VIEW v AS SELECT * FROM t;
CREATE MATERIALIZED VIEW mv AS SELECT * FROM t;
CREATE SEQUENCE s;
CREATE INDEX i ON t (word);
CREATE TYPE composite AS (id integer);
CREATE FOREIGN DATA WRAPPER nothing;
CREATE SERVER of_nothing FOREIGN DATA WRAPPER nothing;
CREATE FOREIGN TABLE ft (id integer, word text, n text) SERVER of_nothing;
CREATE SERVER no_mapping FOREIGN DATA WRAPPER dblink_fdw OPTIONS (host '/nowhere');
SQL

# Expects this error of a pull of `t`, or of other SQL.
sub fails {
  my ($rule, $sqlstate, $pattern, %call) = @_;
  local $Test::Builder::Level = $Test::Builder::Level + 1;
  my $sql = $call{sql}
    // $pair->pull_sql($call{table} // 't', $call{start}, $call{end}, $call{named});
  my $result = $pair->error_is($sql, $sqlstate, $pattern, $rule, timeout => 30);
  my @errors = $result->err =~ /^(?:psql:\S+ )?(?:ERROR|FATAL):/mg;
  is(scalar @errors, 1, '… one error');
  unlike(($result->error // {message => ''})->{message}, qr/^[A-Z]|\.$|\n/,
    '… in the server\'s style');
  $pair->nothing_left('… nothing is left');
  return $result;
}

sub dsn {
  my (%named) = @_;
  return (named => {dsn => join ' ', map { "$_=$named{$_}" } sort keys %named});
}

# ---- reaching the source ----

my ($host, $port) = ($pair->source->host, $pair->source->port);
my $closed_port = PostgreSQL::Test::Cluster::get_free_port();
my $here = $pair->dsn;

fails('a conninfo string with a wrong word', '42601', qr/./,
  named => {dsn => 'host=localhost nonsense'});
fails('an option that does not exist', '42601', qr/connection string/,
  named => {dsn => "$here no_such_option=1"});
fails('an unterminated quote', '42601', qr/./, named => {dsn => q(host='localhost)});
fails('a URI that cannot be read', '42601', qr/./, named => {dsn => 'postgresql://[nowhere'});
my $result = fails('a wrong conninfo with a password in it', '42601', qr/./,
  named => {dsn => q(host=localhost password=hunter2 'oops)});
unlike($result->err, qr/hunter2/, '… does not repeat it');
fails('an empty source', '42601|42704|22023', qr/./, named => {dsn => ''});
fails('a NULL source', '22004|22023', qr/./, sql => q(SELECT parallel_pull(NULL, 't', 1, 2)));
fails('a NULL table', '22004|22023', qr/./,
  sql => 'SELECT parallel_pull(' . literal($here) . ', NULL, 1, 2)');
fails('a port that refuses', '08001', qr/refused/i, dsn(host => '127.0.0.1', port => $closed_port));
fails('a host that does not exist', '08001', qr/nowhere\.invalid/, dsn(host => 'nowhere.invalid'));
fails('a socket directory that does not exist', '08001', qr/./, dsn(host => '/no/such/dir'));
fails('a database that does not exist', '08001|3D000', qr/no_such_db/,
  dsn(host => $host, port => $port, dbname => 'no_such_db'));
fails('a role that does not exist', '08001|28000', qr/no_such_role/,
  dsn(host => $host, port => $port, dbname => 'postgres', user => 'no_such_role'));
$result = fails('a wrong password', '08001|28P01', qr/password/,
  dsn(host => $host, port => $port, dbname => 'postgres', user => 'guarded', password => 'wrong1'));
unlike($result->err, qr/wrong1/, '… which is not shown');
fails('no password where one is needed', '08001|28P01|fe_sendauth', qr/password/,
  dsn(host => $host, port => $port, dbname => 'postgres', user => 'guarded'));
fails('a foreign server that does not exist', '42704', qr/no_server/,
  named => {dsn => 'no_server'});
fails('a foreign server without a user mapping', '42704', qr/mapping/,
  named => {dsn => 'no_mapping'});
fails('a foreign server of another wrapper', '42809|0A000|HV\w{3}|42704', qr/of_nothing|nothing/,
  named => {dsn => 'of_nothing'});

# A server that takes the connection and never answers.
my $listener = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 5);
my $seconds = stopwatch();
fails('a server that never answers', '08001', qr/timeout/,
  dsn(host => '127.0.0.1', port => $listener->sockport, connect_timeout => 2));
cmp_ok($seconds->(), '<', 8, '… ends after connect_timeout');
$listener->close;

# ---- what is there ----

fails('a source table that is missing', '42P01', qr/only_here/, table => 'only_here');
fails('a source table by another name that is missing', '42P01', qr/no_such/,
  named => {source_table => 'public.no_such'});
fails('a source table whose name cannot be read', '42601|42602', qr/./,
  named => {source_table => 'a"b'});
fails('a destination table that is missing', '42P01', qr/only_there/, table => 'only_there');
fails('a column that is missing', '42703', qr/no_such/, named => {columns => ['id', 'no_such']});
fails('a filter column that is missing', '42703', qr/no_such/, named => {filter => 'no_such > 1'});
fails('a filter that is no condition', '42804|42601', qr/./, named => {filter => 'id + 1'});
fails('a filter that cannot be read', '42601', qr/./, named => {filter => 'id >'});
fails('a filter that fails on a row', '22012', qr/division by zero/,
  named => {filter => '1 / (id - 50) > 0'});

# ---- types ----

fails('a text that is no number', '22P02', qr/invalid input syntax for type integer: "x"/,
  table => 'numbers', named => {source_table => 't'});
is($pair->destination_sql('SELECT count(*) FROM numbers'), 0, '… leaves no row of its chunk');
fails('a number too large for the column', '22003', qr/40000/, table => 'narrow',
  named => {source_table => 'large'});
fails('binary for types that differ', '0A000', qr/\bn\b/, table => 'numbers',
  named => {source_table => 't', format => 'binary'});

# ---- destinations ----

fails('a view as destination', '42809', qr/view/, table => 'v', named => {source_table => 't'});
fails('a materialized view', '42809', qr/materialized view/, table => 'mv',
  named => {source_table => 't'});
fails('a sequence', '42809', qr/sequence/, table => 's', named => {source_table => 't'});
fails('an index', '42809', qr/"i"/, table => 'i', named => {source_table => 't'});
fails('a composite type', '42809', qr/./, table => 'composite', named => {source_table => 't'});
fails('a foreign table', '0A000|42809', qr/foreign table/, table => 'ft',
  named => {source_table => 't'});
fails('a catalogue', '42501|42809', qr/pg_description/, table => 'pg_description',
  named => {source_table => 't'});
fails('a catalogue, with allow_system_table_mods', '[0-9A-Z]{5}', qr/pg_description/,
  sql => 'SET allow_system_table_mods = on; '
    . $pair->pull_sql('pg_description', undef, undef, {source_table => 't'}));
fails('a table of the information schema', '[0-9A-Z]{5}', qr/./,
  table => 'information_schema.tables', named => {source_table => 't'});
fails('a temporary table', '0A000|42809|55000', qr/temporary/,
  sql => 'CREATE TEMP TABLE tt (LIKE t); '
    . $pair->pull_sql('tt', undef, undef, {source_table => 'public.t'}));

# ---- arguments ----

fails("$_ workers", '22023', qr/workers/, named => {workers => $_}) for 0, -1, 100000;
fails('a format that does not exist', '22023', qr/csv/, named => {format => 'csv'});
for my $size ('0', '-1MB', 'many', '1 parsec') {
  fails("a chunk_size of $size", '22023', qr/chunk_size|size/,
    sql => $pair->table_sql('parallel_pull_start', 't', {chunk_size => $size}));
}
fails('a NULL in columns', '22004|22023|42703', qr/./,
  sql => 'SELECT parallel_pull(' . literal($here) . q{, 't', 1, 2, columns => ARRAY['id', NULL])});
fails('a snapshot that cannot be one', '22023', qr/snapshot/, named => {snapshot => q(x' OR '1)});
fails('max_chunks of zero', '22023', qr/max_chunks/,
  sql => 'SELECT parallel_pull_work(1, max_chunks => 0)');
fails("NULL for $_", '22004|22023', qr/pull_id/, sql => "SELECT $_(NULL)")
  for qw(parallel_pull_wait parallel_pull_work);
fails('a timeout below zero', '22023', qr/timeout/, sql => q(SELECT parallel_pull_wait(1, '-1 s')));
fails('a pull that does not exist', '42704', qr/4711/, sql => 'SELECT parallel_pull_work(4711)');

# ---- what changes between plan and work ----

for my $case (['a column that was renamed', '42703', 'ALTER TABLE planned RENAME word TO w'],
  ['a table that was dropped', '42P01', 'DROP TABLE planned'])
{
  my ($rule, $sqlstate, $change) = @$case;
  $pair->destination_sql('DROP TABLE IF EXISTS planned; CREATE TABLE planned (LIKE t)');
  my $pull_id = $pair->destination_sql(
    $pair->table_sql('parallel_pull_create', 'planned', {source_table => 't'}));
  $pair->destination_sql($change);
  fails($rule, $sqlstate, qr/./, sql => "SELECT parallel_pull_work($pull_id)");
  is($pair->pull($pull_id)->{state}, 'failed', '… and the pull has failed');
}

# ---- errors that are caught, and large ones ----

my $caught = $pair->try_sql('DO $$ BEGIN FOR i IN 1..3 LOOP BEGIN PERFORM '
    . ($pair->pull_sql('t', undef, undef, {columns => ['nope']}) =~ s/^SELECT //r)
    . '; EXCEPTION WHEN undefined_column THEN NULL; END; END LOOP; END $$');
ok($caught->is_ok, 'PL/pgSQL can catch the error of a pull') or diag $caught->summary;
$pair->destination_sql(<<'SQL');
CREATE TABLE shouting (LIKE t);
CREATE FUNCTION shout() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '%', repeat('m', 3000000) USING DETAIL = repeat('d', 3000000),
    HINT = repeat('h', 3000000);
END $$;
CREATE TRIGGER shout BEFORE INSERT ON shouting FOR EACH ROW EXECUTE FUNCTION shout();
SQL
fails('an error of nine megabytes', 'P0001', qr/mmm/, table => 'shouting',
  named => {source_table => 't'});

# ---- states of the destination ----

fails('a read-only transaction', '25006', qr/read-only/,
  sql => 'BEGIN READ ONLY; ' . $pair->pull_sql('t'));
fails('a session that is read-only by default', '25006', qr/read-only/,
  sql => 'SET default_transaction_read_only = on; ' . $pair->pull_sql('t'));

# An error of this server's comes out as it went in: where it was raised, and in which statement.
like(fails('a view as destination', '42809', qr/view/, table => 'v')->err,
  qr/^LOCATION: .* destination_table\.cpp:\d+$/m, '… with the place where it was raised');
$pair->destination_sql(<<'SQL');
CREATE TABLE triggered (LIKE t);
CREATE FUNCTION call_nothing() RETURNS trigger LANGUAGE plpgsql AS
  'BEGIN PERFORM no_such_function(NEW.id); RETURN NEW; END';
CREATE TRIGGER call_nothing BEFORE INSERT ON triggered FOR EACH ROW EXECUTE FUNCTION call_nothing();
SQL
my $of_trigger = fails('a trigger that fails', '42883', qr/no_such_function/, table => 'triggered',
  named => {source_table => 't'});
like($of_trigger->err, qr/^QUERY: +SELECT no_such_function\(NEW\.id\)$/m, '… with its statement');
like($of_trigger->err, qr/^LINE 1: SELECT no_such_function/m, '… and the place in it');

$pair->destination->backup('for_standby');
my $standby = ParallelLoader::Test::new_node('standby');
$standby->init_from_backup($pair->destination, 'for_standby', has_streaming => 1);
$standby->start;
$standby->poll_query_until('postgres', 'SELECT pg_is_in_recovery()');
for my $call ($pair->pull_sql('t'), $pair->table_sql('parallel_pull_start', 't')) {
  my $result = ParallelLoader::Session::run_sql($standby, $call);
  $pair->result_is_error($result, '25006', qr/recovery|read-only/, 'a standby as destination');
}
is($standby->safe_psql('postgres',
    q(SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'parallel_loader%')), 0,
  '… starts nothing');
is($standby->safe_psql('postgres', 'SELECT count(*) FROM parallel_pulls WHERE state IS NULL'), 0,
  '… and shows its primary\'s pulls');

# A standby is as good a source as its primary.
$pair->destination_sql('CREATE TABLE origin AS SELECT i AS id FROM generate_series(1, 1000) AS i;'
    . 'CREATE TABLE copied (id integer)');
$pair->destination->wait_for_catchup($standby, 'replay');
$pair->pull_returns(1000, 'copied', undef, undef,
  {dsn => $standby->connstr('postgres'), source_table => 'origin'}, 'a standby as source');
$standby->stop;

is($pair->destination_sql('SELECT count(*) FROM t'), 0, 'no failed pull has left a row');
$pair->pull_returns(101, 't', undef, undef, {}, 'after all of this a pull works');
$pair->nothing_left('no process or session is left');
$pair->finish;
