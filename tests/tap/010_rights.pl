# Rights: what a user who is no superuser may do, whose rights count, and where passwords never show.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";

use ParallelLoader::Test;
use PostgreSQL::Test::Utils;
use Test::More;

my $SECRET = 'oPen_seSame7';
my $pair = ParallelLoader::Test->new(
  source => {hba => 'local all reader scram-sha-256'},
  destination => {conf => 'log_min_duration_statement = -1'});

$pair->source_sql(<<"SQL");
CREATE ROLE reader LOGIN PASSWORD '$SECRET';
CREATE TABLE items (id integer PRIMARY KEY, note text, private text);
INSERT INTO items SELECT i, 'note ' || i, 'private' FROM generate_series(1, 1000) AS i;
GRANT SELECT (id, note) ON items TO reader;
CREATE TABLE guarded (id integer PRIMARY KEY, note text);
INSERT INTO guarded VALUES (1, 'a'), (2, 'b');
ALTER TABLE guarded ENABLE ROW LEVEL SECURITY;
CREATE POLICY half ON guarded USING (id = 1);
GRANT SELECT ON guarded TO reader;
SQL
$pair->destination_sql(<<"SQL");
CREATE ROLE loader LOGIN;
CREATE ROLE stranger LOGIN;
CREATE ROLE outsider LOGIN;
DO \$\$
DECLARE f regprocedure;
BEGIN
  FOR f IN SELECT oid FROM pg_proc WHERE proname ~ '^parallel_pull' LOOP
    EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO loader, stranger', f);
  END LOOP;
END \$\$;
CREATE TABLE items (id integer PRIMARY KEY, note text, private text DEFAULT 'default');
CREATE TABLE guarded (id integer, note text);
GRANT INSERT (id, note), SELECT ON items TO loader;
GRANT INSERT ON guarded TO loader;
SQL

my $host = $pair->source->host;
my $port = $pair->source->port;
my $without = "host=$host port=$port dbname=postgres user=reader";
my $dsn = "$without password=$SECRET";
my %columns = (columns => [qw(id note)]);

sub pull_as_loader {
  my ($source, $table, $start, $end, %named) = @_;
  return $pair->pull_sql($table, $start, $end, {dsn => $source, %named});
}

sub loader_error {
  my ($sql, $sqlstate, $pattern, $rule) = @_;
  local $Test::Builder::Level = $Test::Builder::Level + 1;
  return $pair->error_is($sql, $sqlstate, $pattern, $rule, user => 'loader');
}

# ---- passwords and options ----

loader_error(pull_as_loader($without, 'items', 1, 2, %columns), '2F003', qr/password is required/,
  'a user who is no superuser must give a password');
my $superuser = $pair->dsn;
loader_error(pull_as_loader("$superuser password=$SECRET", 'items', 1, 2, %columns), '2F003',
  qr/did not ask for the password/, '… and the source must have asked for it');
for my $option (qw(passfile service sslkey sslcert sslcrl sslpassword options replication
  client_encoding requirepeer krbsrvname)) {
  loader_error(pull_as_loader("$dsn $option=x", 'items', 1, 2, %columns), '42501|42601',
    qr/connection option "$option"|invalid connection option/, "a user may not set $option");
}
my $pull = $pair->try_sql(pull_as_loader($dsn, 'items', 1, 11, %columns), user => 'loader');
is($pull->is_ok ? $pull->out : $pull->summary, 10,
  'column-level INSERT here and column-level SELECT there are enough');
is($pair->destination_sql(q(SELECT count(*) FROM items WHERE private = 'default')), 10,
  '… and what is not pulled gets its default');
loader_error(pull_as_loader($dsn, 'items', 11, 21), '42501', qr/permission denied/,
  'a column that the source role may not read is an error');
is($pair->destination_sql('SELECT count(*) FROM items'), 10, '… and leaves no row');

# ---- rights on the destination ----

loader_error(pull_as_loader($dsn, 'guarded', 1, 2, source_table => 'guarded'), '42501',
  qr/row-level security|row security/, 'row security on the source is an error, not fewer rows');
$pair->error_is(pull_as_loader($dsn, 'items', 20, 21, %columns), '42501',
  qr/permission denied for table items/, 'without INSERT a pull is refused', user => 'stranger');
$pair->error_is(pull_as_loader('prod', 'items', 20, 21, %columns), '42501',
  qr/permission denied for function/, 'without EXECUTE a pull is refused', user => 'outsider');
$pair->destination_sql('GRANT INSERT (id) ON items TO stranger');
$pair->error_is(pull_as_loader($dsn, 'items', 20, 21, %columns), '42501',
  qr/permission denied for table items/, 'a column without INSERT is refused', user => 'stranger');
$pair->destination_sql(<<'SQL');
ALTER TABLE guarded ENABLE ROW LEVEL SECURITY;
CREATE POLICY all_rows ON guarded USING (true);
SQL
loader_error(pull_as_loader($dsn, 'guarded', 1, 2, source_table => 'items', %columns), '0A000',
  qr/row-level security/, 'row security that applies to the caller is refused');

# ---- foreign servers ----

$pair->destination_sql(<<"SQL");
CREATE SERVER prod FOREIGN DATA WRAPPER dblink_fdw
  OPTIONS (host '$host', port '$port', dbname 'postgres');
CREATE USER MAPPING FOR loader SERVER prod OPTIONS (user 'reader', password '$SECRET');
SQL
loader_error(pull_as_loader('prod', 'items', 11, 21, %columns), '42501',
  qr/permission denied for foreign server prod/, 'a server needs USAGE');
$pair->destination_sql('GRANT USAGE ON FOREIGN SERVER prod TO loader, stranger');
$pull = $pair->try_sql(pull_as_loader('prod', 'items', 11, 21, %columns), user => 'loader');
is($pull->is_ok ? $pull->out : $pull->summary, 10, "a server is dialled with the caller's mapping");
$pair->destination_sql('GRANT INSERT (note) ON items TO stranger');
$pair->error_is(pull_as_loader('prod', 'items', 21, 31, %columns), '42704',
  qr/user mapping not found/, "another user's mapping is not used", user => 'stranger');

# ---- whose rights count ----

$pair->destination_sql(<<"SQL");
CREATE TABLE seen_by (who name, logged_in name);
CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS \$\$
BEGIN
  INSERT INTO public.seen_by VALUES (current_user, session_user);
  RETURN NEW;
END \$\$;
GRANT INSERT ON seen_by TO loader;
CREATE TRIGGER see AFTER INSERT ON items FOR EACH ROW EXECUTE FUNCTION see();
SQL
$pair->try_sql(pull_as_loader('prod', 'items', 31, 32, %columns), user => 'loader');
is($pair->destination_sql('SELECT who FROM seen_by'), 'loader', 'triggers run as the caller');
$pair->destination_sql("TRUNCATE seen_by; SET ROLE loader; "
    . pull_as_loader('prod', 'items', 32, 33, %columns));
is($pair->destination_sql('SELECT who FROM seen_by'), 'loader', '… after SET ROLE too');
$pair->destination_sql('DROP TRIGGER see ON items');

# A role that a superuser has become for the pull must not become a superuser in its triggers.
$pair->destination_sql(<<'SQL');
CREATE FUNCTION climb() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RESET SESSION AUTHORIZATION;
  RESET ROLE;
  CREATE ROLE climbed SUPERUSER;
  RETURN NEW;
END $$;
CREATE TRIGGER climb BEFORE INSERT ON items FOR EACH ROW EXECUTE FUNCTION climb();
SQL
my $climb = $pair->try_sql('SET ROLE loader; ' . pull_as_loader('prod', 'items', 33, 34, %columns));
is($climb->sqlstate, '42501', "a trigger cannot climb to the session user's rights");
is($pair->destination_sql(q(SELECT count(*) FROM pg_roles WHERE rolname = 'climbed')), 0,
  '… whatever it tries');
$pair->destination_sql('DROP TRIGGER climb ON items');

# Our own statements run as the ledger's owner: none may call what the caller put into a schema.
$pair->destination_sql('CREATE SCHEMA trap AUTHORIZATION loader');
$pair->try_sql(<<'SQL', user => 'loader');
CREATE FUNCTION trap.is_less(bigint, bigint) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
  IF current_user <> 'loader' THEN RAISE EXCEPTION 'ran as %', current_user; END IF;
  RETURN $1 < $2;
END $$;
CREATE FUNCTION trap.is_equal(bigint, bigint) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
  IF current_user <> 'loader' THEN RAISE EXCEPTION 'ran as %', current_user; END IF;
  RETURN pg_catalog.int8eq($1, $2);
END $$;
CREATE OPERATOR trap.= (LEFTARG = bigint, RIGHTARG = bigint, FUNCTION = trap.is_equal);
CREATE FUNCTION trap.count("any") RETURNS bigint LANGUAGE plpgsql AS
  'BEGIN RAISE EXCEPTION ''ran as %'', current_user; END';
CREATE FUNCTION trap.nextval(regclass) RETURNS bigint LANGUAGE plpgsql AS
  'BEGIN RAISE EXCEPTION ''ran as %'', current_user; END';
SQL
$pull = $pair->try_sql('SET search_path = trap, pg_catalog, public; SELECT public.'
    . (pull_as_loader('prod', 'public.items', 40, 50, %columns) =~ s/^SELECT //r), user => 'loader');
is($pull->is_ok ? $pull->out : $pull->summary, 10,
  "operators of the caller's search path do not run as the ledger's owner");

# ---- other users' pulls ----

my $id = $pair->destination_sql('SELECT max(pull_id) FROM parallel_pulls');
my $others = $pair->try_sql('SELECT count(*) FROM parallel_pulls', user => 'stranger');
is($others->out, $pair->destination_sql(
    q(SELECT count(*) FROM parallel_pulls WHERE owner = 'stranger'::regrole)),
  "another user's pulls are not visible");
is($pair->try_sql("SELECT count(*) FROM parallel_pull_chunks WHERE pull_id = $id",
    user => 'stranger')->out, 0, '… nor are their chunks');
$pair->error_is("SELECT parallel_pull_cancel($id)", '42704', qr/does not exist/,
  '… nor can they be cancelled', user => 'stranger');
$pair->error_is("SELECT parallel_pull_wait($id)", '42704', qr/does not exist/,
  '… or waited for', user => 'stranger');
$pair->error_is("SELECT parallel_pull_work($id)", '42704', qr/does not exist/,
  '… or joined', user => 'stranger');
for my $table (qw(pull chunk)) {
  loader_error("SELECT * FROM parallel_loader.$table", '42501', qr/permission denied/,
    "the ledger's table $table cannot be read");
}
loader_error('SELECT * FROM parallel_loader.live_pulls()', '42501', qr/permission denied/,
  "the ledger's functions cannot be called");

# ---- passwords ----

# One pull that runs, stopped at the gate, to look at; and calls that fail in different places.
$pair->create_gate;
$pair->source_sql('CREATE VIEW gated AS SELECT id, note FROM items WHERE gate(id, 2);'
    . 'GRANT SELECT ON gated TO reader');
$pair->close_gate;
my $watched = $pair->session('destination', user => 'loader');
$watched->start(pull_as_loader($dsn, 'items', 100, 200, source_table => 'gated', key => 'id'));
$pair->wait_at_gate;
my $shown = $pair->destination_sql(<<'SQL');
SELECT string_agg(a::text, E'\n') FROM pg_stat_activity a WHERE pid <> pg_backend_pid()
SQL
unlike($shown, qr/\Q$SECRET\E/, 'pg_stat_activity shows no password');
my @titles = map { my $text = eval { slurp_file($_) } // ''; $text =~ tr/\0/ /r }
  glob '/proc/[0-9]*/cmdline';
is(scalar(grep { /postgres/ && /\Q$SECRET\E/ } @titles), 0, 'no process title shows a password');
$pair->destination_sql('SELECT pg_cancel_backend(' . $watched->backend_pid . ')');
$watched->finish;
$pair->open_gate;

my @errors = map { $pair->try_sql($_, user => 'loader')->err } (
  pull_as_loader("$dsn dbname=nowhere", 'items', 1, 2, %columns),
  pull_as_loader("$without password=wrong$SECRET", 'items', 1, 2, %columns),
  pull_as_loader("postgresql://reader:$SECRET\@/nowhere?host=$host", 'items', 1, 2, %columns),
  pull_as_loader("$dsn nonsense='", 'items', 1, 2, %columns),
  pull_as_loader($dsn, 'items', 5, 1, %columns),
  pull_as_loader($dsn, 'guarded', 1, 2, %columns));
my $errors = join "\n", map { s/^LINE .*\n.*\n//mgr } @errors;
cmp_ok(length $errors, '>', 200, 'calls with a password have failed');
unlike($errors, qr/\Q$SECRET\E/, 'no error shows a password');
my @logged = grep { /\Q$SECRET\E/ && !/USER MAPPING|statement:/ }
  split /\n/, slurp_file($pair->destination->logfile);
is(join("\n", @logged), '', 'the server log at default settings shows no password');
my $ledger = $pair->destination_sql(<<'SQL');
SELECT string_agg(p::text, E'\n') FROM parallel_loader.pull p
SQL
unlike($ledger, qr/\Q$SECRET\E/, 'the ledger holds no password');
like($ledger, qr/\bprod\b/, '… but the name of the server');

$pair->nothing_left('refused and failed pulls leave nothing running');
$pair->finish;
