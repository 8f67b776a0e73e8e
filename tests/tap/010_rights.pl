# A pull gives a role no right that it does not have: dblink's password rule, rights on both ends, the
# ledger granted to no role, pulls private to their owners, and passwords shown nowhere.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";

use ParallelLoader::Session qw(run_sql);
use ParallelLoader::Test;
use PostgreSQL::Test::Utils;
use Test::More;

# Words that occur nowhere else, so that they can be looked for.
my $SECRET = 'Xyzzy-4711-plugh';
my $WRONG = 'Quux-0815-wrong';

# The server's own user may have a password file, of which callers must have no use.
my $pass_file = PostgreSQL::Test::Utils::tempdir() . '/pgpass';
append_to_file($pass_file, "*:*:*:reader:$SECRET\n");
chmod 0600, $pass_file or die;

# Logging as a fresh server does it, which PostgreSQL::Test::Cluster changes.
my $DEFAULT_LOG = "log_statement = none\nlog_replication_commands = off\n";
my $pair = ParallelLoader::Test->new(
  both => {conf => $DEFAULT_LOG},
  source => {hba => <<'HBA'},
local all reader scram-sha-256
local all column_reader scram-sha-256
local all odd scram-sha-256
HBA
  destination => {env => {PGPASSFILE => $pass_file}});

my ($host, $port) = ($pair->source->host, $pair->source->port);
my $base = "host=$host port=$port dbname=postgres";
my $dsn = "$base user=reader password=$SECRET";

$pair->source_sql(<<"SQL");
CREATE ROLE reader LOGIN PASSWORD '$SECRET';
CREATE ROLE column_reader LOGIN PASSWORD '$SECRET';
CREATE ROLE trusted LOGIN;
CREATE TABLE t (id integer PRIMARY KEY, note text, hidden text);
INSERT INTO t SELECT i, 'row ' || i, 'hidden ' || i FROM generate_series(1, 200) AS i;
GRANT SELECT ON t TO reader, trusted;
GRANT SELECT (id, note) ON t TO column_reader;
CREATE TABLE closed (id integer, note text);
CREATE TABLE protected (id integer PRIMARY KEY, note text);
INSERT INTO protected SELECT i, 'row ' || i FROM generate_series(1, 10) AS i;
ALTER TABLE protected ENABLE ROW LEVEL SECURITY;
CREATE POLICY low_rows ON protected USING (id < 5);
GRANT SELECT ON protected TO reader;
SQL
$pair->destination_sql(<<'SQL');
CREATE ROLE alice LOGIN;
CREATE ROLE bob LOGIN;
CREATE ROLE carol LOGIN;
CREATE ROLE group_role NOLOGIN;
CREATE ROLE deputy LOGIN IN ROLE alice;
CREATE TABLE t (id integer, note text, hidden text);
CREATE TABLE protected (id integer, note text);
GRANT INSERT ON t TO alice, group_role;
GRANT INSERT ON protected TO alice;
GRANT group_role TO alice;
SQL
$pair->grant_functions('alice, bob, group_role, deputy');

sub call {
  my ($dsn, %named) = @_;
  my $table = delete $named{table} // 't';
  return $pair->pull_sql($table, undef, undef, {dsn => $dsn, %named});
}

my @all_output;

# As error_is, as this user, with a look at what is left; collects what was shown.
sub refused {
  my ($rule, $user, $sql, $sqlstate, $pattern) = @_;
  local $Test::Builder::Level = $Test::Builder::Level + 1;
  my $result = $pair->error_is($sql, $sqlstate, $pattern // qr/./, $rule, user => $user);
  push @all_output, $result->err;
  $pair->nothing_left('… nothing is left');
  return $result;
}

sub allowed {
  my ($rule, $user, $sql, $rows) = @_;
  local $Test::Builder::Level = $Test::Builder::Level + 1;
  $pair->destination_sql('TRUNCATE t');
  my $result = $pair->try_sql($sql, user => $user);
  push @all_output, $result->err;
  is($result->summary, 'success: ' . ($rows // 200), $rule);
  is($pair->destination_sql('SELECT count(*) FROM t'), $rows // 200, '… all its rows are there');
  return;
}

# ---- EXECUTE ----

my $open_functions = $pair->destination_sql(<<'SQL');
SELECT string_agg(oid::regprocedure::text, ', ') FROM pg_proc
WHERE proname LIKE 'parallel\_pull%' AND has_function_privilege('carol', oid, 'EXECUTE')
SQL
is($open_functions, '', 'EXECUTE is granted to nobody');
cmp_ok($pair->destination_sql(q(SELECT count(*) FROM pg_proc WHERE proname LIKE 'parallel\_pull%')),
  '>=', 6, '… on any of the functions');
# Raised before the extension is reached, so a password in it would be logged.
refused('without EXECUTE', 'carol', call("$base user=reader"), '42501',
  qr/permission denied for function/);

# ---- the conninfo of a caller who is not a superuser ----

refused('no password', 'alice', call("$base user=reader"), '2F003', qr/password/);
refused('an empty password', 'alice', call("$base user=reader password=''"), '2F003', qr/password/);
refused('a password that the source does not ask for', 'alice',
  call("$base user=trusted password=anything"), '2F003', qr/password/);
refused('a wrong password', 'alice', call("$base user=reader password=$WRONG"), '08001|28P01',
  qr/password/);
refused('a URI without a password', 'alice',
  call("postgresql://reader@/postgres?host=$host&port=$port"),
  '2F003', qr/password/);
my %FORBIDDEN = (
  passfile => $pass_file, service => 'x', sslkey => '/tmp/key', sslcert => '/tmp/cert',
  sslcrl => '/tmp/crl', sslpassword => 'x', requirepeer => 'postgres', krbsrvname => 'x',
  options => '-crow_security=on', replication => 'true', client_encoding => 'LATIN1');
for my $option (sort keys %FORBIDDEN) {
  refused("option $option", 'alice', call("$dsn $option='$FORBIDDEN{$option}'"), '42501',
    qr/\b$option\b/);
}
refused('a forbidden option in a URI', 'alice',
  call("postgresql://reader:$SECRET@/postgres?host=$host&port=$port&options=-cwork_mem%3D1MB"),
  '42501', qr/\boptions\b/);
allowed('with a password that is used', 'alice', call($dsn));
allowed('a URI with a password', 'alice',
  call("postgresql://reader:$SECRET@/postgres?host=$host&port=$port"));
allowed('harmless options', 'alice', call("$dsn sslmode=disable connect_timeout=5 keepalives_idle=9"
    . ' application_name=mine gssencmode=disable target_session_attrs=any'));
allowed('a superuser needs no password', 'postgres', call("$base user=trusted"));
allowed('… and may use the server\'s password file', 'postgres', call("$base user=reader"));
refused('… as a superuser who has become another cannot', 'postgres',
  'SET ROLE alice; ' . call("$base user=reader"), '2F003', qr/password/);

# ---- foreign servers ----

$pair->destination_sql(<<"SQL");
CREATE EXTENSION postgres_fdw;
CREATE SERVER origin FOREIGN DATA WRAPPER dblink_fdw
  OPTIONS (host '$host', port '$port', dbname 'postgres');
CREATE SERVER origin_pg FOREIGN DATA WRAPPER postgres_fdw
  OPTIONS (host '$host', port '$port', dbname 'postgres');
CREATE USER MAPPING FOR alice SERVER origin OPTIONS (user 'reader', password '$SECRET');
CREATE USER MAPPING FOR alice SERVER origin_pg OPTIONS (user 'trusted', password_required 'false');
CREATE USER MAPPING FOR bob SERVER origin OPTIONS (user 'reader');
GRANT USAGE ON FOREIGN SERVER origin TO bob;
SQL
refused('no USAGE on the server', 'alice', call('origin'), '42501', qr/foreign server.*origin/s);
$pair->destination_sql('GRANT INSERT ON t TO bob;'
    . 'GRANT USAGE ON FOREIGN SERVER origin, origin_pg TO alice, deputy, group_role');
allowed('a server with a mapping', 'alice', call('origin'));
allowed('a mapping that a superuser exempted from the password', 'alice', call('origin_pg'));
refused('a mapping without a password', 'bob', call('origin'), '2F003', qr/password/);
refused('no mapping of one\'s own', 'deputy', call('origin'), '42704', qr/mapping/);
$pair->destination_sql('REVOKE INSERT ON t FROM bob');

# A password with every character that needs quoting somewhere.
my $odd = q(it's \\ "q" =&%@/?#:ä );
$pair->source_sql("SET client_encoding = 'UTF8'; CREATE ROLE odd LOGIN PASSWORD " . literal($odd)
    . '; GRANT SELECT ON t TO odd');
my $quoted = $odd =~ s/([\\'])/\\$1/gr;
my $escaped = $odd =~ s/([^A-Za-z0-9])/sprintf '%%%02X', ord $1/ger;
$pair->destination_sql('CREATE SERVER odd FOREIGN DATA WRAPPER dblink_fdw'
    . " OPTIONS (host '$host', port '$port', dbname 'postgres');"
    . "CREATE USER MAPPING FOR alice SERVER odd OPTIONS (user 'odd', password " . literal($odd)
    . ');'
    . 'GRANT USAGE ON FOREIGN SERVER odd TO alice');
allowed('an odd password in a conninfo', 'alice', call("$base user=odd password='$quoted'"));
allowed('an odd password in a URI', 'alice',
  call("postgresql://odd:$escaped\@/postgres?host=$host&port=$port"));
allowed('an odd password in a user mapping', 'alice', call('odd'));

# ---- rights on the destination ----

refused('no INSERT', 'bob', call($dsn), '42501', qr/permission denied for table t/);
$pair->destination_sql('GRANT INSERT (id, note) ON t TO bob');
refused('INSERT on some columns, but all are pulled', 'bob', call($dsn), '42501', qr/\bt\b/);
allowed('INSERT on the columns that are pulled', 'bob', call($dsn, columns => ['id', 'note']));
$pair->destination_sql('ALTER TABLE protected ENABLE ROW LEVEL SECURITY');
refused('row security on the destination', 'alice',
  call($dsn, table => 'protected', source_table => 't',
    columns => ['id', 'note']), '0A000', qr/row.level security/);
$pair->destination_sql('ALTER TABLE protected FORCE ROW LEVEL SECURITY, OWNER TO alice');
refused('… forced upon its owner', 'alice', call($dsn, table => 'protected', source_table => 't',
    columns => ['id', 'note']), '0A000', qr/row.level security/);
$pair->destination_sql('ALTER TABLE protected DISABLE ROW LEVEL SECURITY');

# ---- rights on the source ----

my $column_dsn = "$base user=column_reader password=$SECRET";
allowed('SELECT on the columns that are pulled', 'alice',
  call($column_dsn, columns => ['id', 'note']));
refused('no SELECT on a column', 'alice', call($column_dsn), '42501',
  qr/permission denied for table t/);
refused('no SELECT on the table', 'alice', call($column_dsn, source_table => 'closed',
    columns => ['id', 'note']), '42501',
  qr/permission denied/);
refused('row security on the source is an error, not a filter', 'alice',
  call($dsn, table => 'protected'),
  '42501', qr/row-level security/);
is($pair->destination_sql('SELECT count(*) FROM protected'), 0, '… not one row came');

# ---- who the caller is ----

allowed('a role that cannot log in, by SET ROLE', 'alice', 'SET ROLE group_role; ' . call($dsn));
$pair->destination_sql(<<"SQL");
CREATE FUNCTION lend() RETURNS bigint LANGUAGE sql SECURITY DEFINER
SET search_path = public, pg_temp
AS \$\$ SELECT parallel_pull('origin', 't', NULL::integer, NULL) \$\$;
ALTER FUNCTION lend() OWNER TO alice;
SQL
allowed('SECURITY DEFINER lends its owner\'s rights and mapping', 'carol', 'SELECT lend()');
is($pair->pull->{owner}, 'alice', '… and the pull is the owner\'s');

# Whom a superuser has become for the pull must not become a superuser in its triggers.
$pair->destination_sql(<<'SQL');
CREATE FUNCTION climb() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RESET SESSION AUTHORIZATION;
  RESET ROLE;
  CREATE ROLE climbed SUPERUSER;
  RETURN new;
END $$;
CREATE TRIGGER climb BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION climb();
SQL
refused('a trigger does not climb to the session user\'s rights', 'postgres',
  'SET ROLE alice; ' . call($dsn), '42501');
is($pair->destination_sql(q(SELECT count(*) FROM pg_roles WHERE rolname = 'climbed')), 0,
  '… whatever it tries');
$pair->destination_sql('DROP TRIGGER climb ON t');

# ---- other users' pulls ----

$pair->create_gate;
$pair->source_sql('CREATE VIEW gated AS SELECT id, note, gate(id, 100)::text AS hidden FROM t;'
    . 'GRANT SELECT ON gated TO reader');
$pair->close_gate;
my $alice = $pair->session('destination', user => 'alice');
$alice->start(call($dsn, source_table => 'gated'));
$pair->wait_at_gate;
my $pull_id = $pair->newest_pull_id;

my $COUNT = "SELECT (SELECT count(*) FROM parallel_pulls WHERE pull_id = $pull_id),"
  . " (SELECT count(*) FROM parallel_pull_chunks WHERE pull_id = $pull_id)";
is($pair->destination_sql($COUNT, user => 'deputy'), '1|1',
  'whoever has the owner\'s role sees the pull');
is($pair->destination_sql($COUNT, user => 'postgres'), '1|1', 'a superuser sees it');
is($pair->destination_sql($COUNT, user => $_), '0|0', "$_ does not see it") for qw(bob carol);
for my $call ('cancel(%d)', 'wait(%d)', "work(%d, '$dsn')") {
  $pair->error_is(sprintf("SELECT parallel_pull_$call", $pull_id), '42501|42704', qr/./,
    "another user cannot call parallel_pull_$call on it" =~ s/$SECRET/…/r, user => 'bob');
}
is($pair->pull($pull_id)->{state}, 'running', '… and it runs on');

# A view without a barrier would run the function on every row before it hides them.
$pair->destination_sql(<<'SQL');
GRANT CREATE ON SCHEMA public TO bob;
SQL
$pair->destination_sql(<<'SQL', user => 'bob');
CREATE FUNCTION leak(text) RETURNS boolean COST 0.0000001 LANGUAGE plpgsql AS
$$ BEGIN RAISE NOTICE 'leak: %', $1; RETURN true; END $$;
SQL
for my $view ('parallel_pulls WHERE leak(source) AND leak(pull_id::text)',
  'parallel_pull_chunks WHERE leak(chunk::text)')
{
  my $leaked = $pair->try_sql("SELECT count(*) FROM $view", user => 'bob');
  my $own = $pair->destination_sql('SELECT count(*) FROM ' . ($view =~ /^(\w+)/)[0], user => 'bob');
  my $alices = grep { /leak: $pull_id$/ } $leaked->notices;
  is($alices, 0, "a function in the condition sees no rows of others: $view");
  cmp_ok(scalar($leaked->notices), '<=', 2 * $own, '… but only its own');
}

# ---- passwords, while a pull runs ----

my $activity = $pair->destination_sql(
  'SELECT * FROM pg_stat_activity WHERE pid <> ' . $alice->backend_pid);
unlike($activity, qr/$SECRET/, 'no password in pg_stat_activity of the destination');
unlike($pair->source_sql('SELECT * FROM pg_stat_activity'), qr/$SECRET/,
  'no password in pg_stat_activity of the source');
my @titles;
for my $file (glob '/proc/[0-9]*/cmdline') {
  # Processes may go while we look.
  push @titles, eval { slurp_file($file) =~ tr/\0/ /r } // next;
}
cmp_ok(scalar(grep { /parallel_loader worker/ } @titles), '>=', 1, 'ps shows the worker');
is(scalar(grep { /$SECRET/ } @titles), 0, '… and no password');
unlike($pair->destination_sql($_), qr/$SECRET/, "no password from: $_")
  for 'TABLE parallel_loader.pull', 'TABLE parallel_loader.chunk', 'TABLE parallel_pulls',
  'TABLE parallel_pull_chunks', 'SELECT parallel_loader.live_progress()',
  'SELECT parallel_loader.live_chunks()';
like($pair->pull($pull_id)->{source}, qr/user=reader/, 'the ledger shows the source without it');

# Ways for a call to end that the extension does not raise itself.
$pair->destination_sql('SELECT pg_cancel_backend(' . $alice->backend_pid . ')');
push @all_output, $alice->finish(10)->err;
$alice->start("SET statement_timeout = 500; " . call($dsn, source_table => 'gated'));
push @all_output, $alice->finish(10)->err;
$alice->start('RESET statement_timeout; ' . call($dsn, source_table => 'gated'));
$pair->wait_at_gate;
$pair->destination_sql('SELECT pg_terminate_backend(' . $alice->backend_pid . ')');
push @all_output, $alice->finish(10)->err;
$alice->close;
$pair->open_gate;

# ---- the ledger is closed ----

for my $sql ('SELECT * FROM parallel_loader.pull', 'SELECT * FROM parallel_loader.chunk',
  'INSERT INTO parallel_loader.chunk VALUES (1, 1)', 'DELETE FROM parallel_loader.pull',
  'UPDATE parallel_loader.chunk SET rows = 0', 'SELECT parallel_loader.live_progress()',
  'SELECT parallel_loader.live_chunks()', 'DELETE FROM parallel_pulls',
  q(SELECT nextval('parallel_loader.pull_pull_id_seq')), 'CREATE TABLE parallel_loader.x ()')
{
  refused("user: $sql", 'alice', $sql, '42501|55000');
}

# What runs in a worker runs as the caller, and the ledger is as closed to it.
$pair->destination_sql('CREATE SCHEMA evil AUTHORIZATION alice;'
    . 'GRANT INSERT, SELECT ON t TO alice');
$pair->destination_sql(<<'SQL', user => 'alice');
CREATE TABLE evil.seen (who name);
GRANT INSERT ON evil.seen TO PUBLIC;
GRANT USAGE ON SCHEMA evil TO PUBLIC;
CREATE FUNCTION evil.note() RETURNS void LANGUAGE sql AS
  'INSERT INTO evil.seen VALUES (current_user)';
CREATE FUNCTION evil.eq(bigint, bigint) RETURNS boolean LANGUAGE plpgsql AS
$$ BEGIN PERFORM evil.note(); RETURN true; END $$;
CREATE FUNCTION evil.eq(text, text) RETURNS boolean LANGUAGE plpgsql AS
$$ BEGIN PERFORM evil.note(); RETURN true; END $$;
CREATE FUNCTION evil.eq(integer, integer) RETURNS boolean LANGUAGE plpgsql AS
$$ BEGIN PERFORM evil.note(); RETURN true; END $$;
CREATE OPERATOR evil.= (FUNCTION = evil.eq, LEFTARG = bigint, RIGHTARG = bigint);
CREATE OPERATOR evil.= (FUNCTION = evil.eq, LEFTARG = text, RIGHTARG = text);
CREATE OPERATOR evil.= (FUNCTION = evil.eq, LEFTARG = integer, RIGHTARG = integer);
CREATE OPERATOR evil.<> (FUNCTION = evil.eq, LEFTARG = text, RIGHTARG = text);
CREATE FUNCTION evil.clock_timestamp() RETURNS timestamptz LANGUAGE plpgsql AS
$$ BEGIN PERFORM evil.note(); RETURN pg_catalog.clock_timestamp(); END $$;
CREATE FUNCTION evil.count(anyelement) RETURNS bigint LANGUAGE plpgsql AS
$$ BEGIN PERFORM evil.note(); RETURN 0; END $$;
CREATE FUNCTION evil.nextval(regclass) RETURNS bigint LANGUAGE plpgsql AS
$$ BEGIN PERFORM evil.note(); RETURN pg_catalog.nextval($1); END $$;
CREATE TABLE evil.decoy (id integer, note text, hidden text);
CREATE FUNCTION evil.grab() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM evil.note();
  BEGIN
    UPDATE parallel_loader.chunk SET rows = -1;
    INSERT INTO evil.seen VALUES ('ledger written');
  EXCEPTION WHEN insufficient_privilege THEN
    NULL;
  END;
  BEGIN
    PERFORM set_config('role', 'postgres', false);
    INSERT INTO evil.seen VALUES ('became ' || current_user);
  EXCEPTION WHEN OTHERS THEN
    NULL;
  END;
  RETURN new;
END $$;
CREATE TRIGGER grab BEFORE INSERT ON evil.decoy FOR EACH ROW WHEN (new.id < 3)
  EXECUTE FUNCTION evil.grab();
SQL
$pair->destination_sql('ALTER ROLE alice SET search_path = evil, pg_catalog, public');
my $qualified = call($dsn, table => 'evil.decoy', source_table => 'public.t')
  =~ s/SELECT parallel/SELECT public.parallel/r;
my $result = $pair->try_sql($qualified, user => 'alice');
is($result->summary, 'success: 200', 'a search path full of traps does not disturb a pull');
$pair->try_sql($_, user => 'alice') for 'SELECT count(*) FROM public.parallel_pulls',
  'SELECT count(*) FROM public.parallel_pull_chunks',
  'SELECT public.parallel_pull_cancel(max(pull_id)) FROM public.parallel_pulls';
is($pair->destination_sql('SELECT string_agg(DISTINCT who, \', \') FROM evil.seen'), 'alice',
  '… and nothing in it ran as anybody but the caller');
is($pair->destination_sql('SELECT count(*) FROM parallel_loader.chunk WHERE rows < 0'), 0,
  '… nor could it write the ledger');
$pair->destination_sql('ALTER ROLE alice RESET search_path');

# ---- passwords, afterwards ----

refused('a failing call with a password', 'alice', call($dsn, columns => ['nope']), '42703',
  qr/nope/);
refused('a conninfo that cannot be read', 'alice', call("$dsn 'oops"), '42601', qr/./);
$pair->error_is($pair->table_sql($_, 't', {dsn => "$dsn", filter => 'nope > 1'}), '42703', qr/nope/,
  "a failing $_ with a password", user => 'postgres') for qw(parallel_pull_create);
my %MISTAKEN = (workers => 0, format => 'csv', key => 'no_key', snapshot => 'no-snapshot',
  source_table => 'no_table', columns => ['id', 'id'], filter => '(');
for my $mistake (sort keys %MISTAKEN) {
  refused("a wrong $mistake beside a password", 'alice',
    call($dsn, $mistake => $MISTAKEN{$mistake}), '[0-9A-Z]{5}', qr/./);
}
refused('a database that does not exist beside a password', 'alice',
  call("postgresql://reader:$SECRET\@/nowhere?host=$host&port=$port"), '08001|3D000', qr/nowhere/);
refused('a view as destination beside a password', 'alice', call($dsn, table => 'parallel_pulls'),
  '42809|42501', qr/./);
refused('a start after the end beside a password', 'alice',
  $pair->pull_sql('t', 2, 1, {dsn => $dsn}),
  '22023', qr/./);
my $started = $pair->destination_sql($pair->table_sql('parallel_pull_start', 't',
    {dsn => $dsn, filter => '1 / (id - 7) > 5'}));
is($pair->destination_sql("SELECT parallel_pull_wait($started)"), 'failed',
  'a failing asynchronous pull');
my $created = $pair->destination_sql($pair->table_sql('parallel_pull_create', 't', {dsn => $dsn}));
$pair->error_is("SELECT parallel_pull_work($created, '$base user=reader password=$WRONG')",
  '08001|28P01', qr/./, 'a failing work call with a password');
$pair->destination_sql("SELECT parallel_pull_cancel($created)");

is(scalar(grep { /$SECRET|$WRONG/ } @all_output), 0, 'no error text shows a password');
for my $side (qw(source destination)) {
  my @lines = grep { /$SECRET|$WRONG/ } split /\n/, slurp_file($pair->$side->logfile);
  is(join("\n", @lines), '', "no password in the log of the $side");
}
unlike($pair->destination_sql('TABLE parallel_loader.pull'), qr/$SECRET|$WRONG/,
  'no password in the ledger');

$pair->nothing_left('no process or session is left');
$pair->finish;
