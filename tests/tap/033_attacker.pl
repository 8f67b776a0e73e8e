# A role with EXECUTE on our functions and a schema of its own tries to run code as somebody else,
# to read and stop what is not its own, and to learn passwords.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";

use ParallelLoader::Test;
use PostgreSQL::Test::Utils;
use Test::More;

my $SECRET = 'Xyzzy-4711-plugh';
my $pair = ParallelLoader::Test->new(
  destination => {conf => <<'CONF'},
log_error_verbosity = verbose
log_min_error_statement = log
log_parameter_max_length_on_error = -1
log_statement = none
CONF
  source => {hba => 'local all reader scram-sha-256'});
my $base = 'host=' . $pair->source->host . ' port=' . $pair->source->port . ' dbname=postgres';
my $dsn = "$base user=reader password=$SECRET";
my $dsn_literal = literal($dsn);

$pair->source_sql(<<"SQL");
CREATE ROLE reader LOGIN PASSWORD '$SECRET';
CREATE SCHEMA evil;
CREATE TABLE evil.t (id integer PRIMARY KEY);
INSERT INTO evil.t SELECT generate_series(1, 3);
CREATE TABLE evil.plain (id integer PRIMARY KEY);
INSERT INTO evil.plain SELECT generate_series(1, 3);
GRANT USAGE ON SCHEMA evil TO reader;
GRANT SELECT ON ALL TABLES IN SCHEMA evil TO reader;
SQL
$pair->destination_sql(<<'SQL');
CREATE ROLE mallory LOGIN;
CREATE ROLE crew NOLOGIN;
GRANT crew TO mallory;
CREATE ROLE alice LOGIN;
CREATE SCHEMA evil AUTHORIZATION mallory;
GRANT ALL ON SCHEMA evil TO crew;
CREATE TABLE proof (at timestamptz DEFAULT clock_timestamp(), way text, who text, session text,
  super text);
GRANT INSERT, SELECT ON proof TO PUBLIC;
SQL
$pair->grant_functions('mallory, crew, alice');

# ---- ways to run code in a worker ----

# Each way tries to become somebody else, and notes who it is after each attempt.
$pair->destination_sql(<<'SQL', user => 'mallory');
CREATE FUNCTION evil.note(way text) RETURNS boolean LANGUAGE sql AS $$
  INSERT INTO public.proof (way, who, session, super)
  VALUES (way, current_user, session_user, current_setting('is_superuser')) RETURNING true
$$;
CREATE FUNCTION evil.climb(way text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
  attempt text;
BEGIN
  PERFORM evil.note(way);
  FOREACH attempt IN ARRAY ARRAY['RESET ROLE', 'RESET SESSION AUTHORIZATION', 'SET ROLE NONE',
    'SET ROLE postgres', 'SET LOCAL ROLE postgres', 'SET SESSION AUTHORIZATION DEFAULT',
    'SET SESSION AUTHORIZATION postgres', 'SET LOCAL SESSION AUTHORIZATION postgres',
    'SELECT set_config(''role'', ''postgres'', true)',
    'SELECT set_config(''session_authorization'', ''postgres'', false)', 'RESET ALL',
    'DISCARD ALL', 'SELECT evil.as_postgres()', 'COMMIT', 'CREATE ROLE climbed SUPERUSER']
  LOOP
    BEGIN
      EXECUTE attempt;
    EXCEPTION WHEN OTHERS THEN
      NULL;
    END;
    PERFORM evil.note(way);
  END LOOP;
  RETURN true;
END $$;
CREATE FUNCTION evil.as_postgres() RETURNS boolean LANGUAGE plpgsql AS
$$ BEGIN RETURN evil.note('function-level SET'); END $$;

-- What an index and a generated column call says of itself that it is immutable.
CREATE FUNCTION evil.of_row(way text, id integer) RETURNS integer LANGUAGE plpgsql IMMUTABLE AS
$$ BEGIN PERFORM evil.climb(way); RETURN id; END $$;

CREATE FUNCTION evil.trigger() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM evil.climb(TG_ARGV[0]);
  -- A cursor with the name of a way, that way's query; some are there already.
  IF TG_ARGV[1] IS NOT NULL AND NOT EXISTS (SELECT FROM pg_cursors WHERE name = TG_ARGV[1]) THEN
    EXECUTE format('DECLARE %1$I CURSOR WITH HOLD FOR SELECT evil.climb(%1$L)', TG_ARGV[1]);
  END IF;
  IF TG_ARGV[2] IS NOT NULL THEN -- events for the commit
    SET CONSTRAINTS ALL DEFERRED;
    EXECUTE format('INSERT INTO evil.%I VALUES (1)', TG_ARGV[2]);
  END IF;
  RETURN new;
END $$;
CREATE TABLE evil.second (id integer);
CREATE CONSTRAINT TRIGGER again AFTER INSERT ON evil.second DEFERRABLE INITIALLY DEFERRED
  FOR EACH ROW EXECUTE FUNCTION evil.trigger('event deferred anew', 'cursor at commit', 'third');
CREATE TABLE evil.third (id integer);
CREATE CONSTRAINT TRIGGER again AFTER INSERT ON evil.third DEFERRABLE INITIALLY DEFERRED
  FOR EACH ROW EXECUTE FUNCTION evil.trigger('event of an event', 'second cursor at commit');

CREATE DOMAIN evil.domain AS integer CHECK (evil.of_row('domain', VALUE) > 0);
CREATE TABLE evil.t (
  id evil.domain PRIMARY KEY CHECK (evil.climb('check')),
  given boolean DEFAULT evil.climb('default'),
  computed integer GENERATED ALWAYS AS (evil.of_row('generated column', id)) STORED);
CREATE INDEX ON evil.t (evil.of_row('index expression', id));
CREATE INDEX ON evil.t (id) WHERE evil.of_row('index predicate', id) > 0;
CREATE TRIGGER row_before BEFORE INSERT ON evil.t
  FOR EACH ROW EXECUTE FUNCTION evil.trigger('row trigger', 'cursor of a row trigger');
CREATE TRIGGER statement_after AFTER INSERT ON evil.t
  FOR EACH STATEMENT EXECUTE FUNCTION evil.trigger('statement trigger', 'cursor');
CREATE CONSTRAINT TRIGGER deferred AFTER INSERT ON evil.t DEFERRABLE INITIALLY DEFERRED
  FOR EACH ROW EXECUTE FUNCTION evil.trigger('deferred trigger', 'cursor of a deferred trigger',
    'second');
-- For the heap route, which leaves triggers and defaults to the other.
CREATE TABLE evil.plain (id integer PRIMARY KEY);
CREATE INDEX ON evil.plain (evil.of_row('index of the heap route', id));
ALTER TABLE evil.t OWNER TO crew;
ALTER TABLE evil.plain OWNER TO crew;
GRANT ALL ON ALL TABLES IN SCHEMA evil TO mallory, crew;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA evil TO mallory, crew;
SQL
# Its owner cannot say so: it has not the right to become that.
$pair->destination_sql('ALTER FUNCTION evil.as_postgres() SET role = postgres');

my @WAYS = sort 'row trigger', 'cursor of a row trigger', 'statement trigger', 'cursor',
  'deferred trigger', 'cursor of a deferred trigger', 'event deferred anew', 'cursor at commit',
  'event of an event', 'second cursor at commit', 'check', 'default', 'domain',
  'generated column', 'index expression', 'index predicate';

# Pulls and checks that what ran was this role, all of it, whatever it tried.
sub runs_as {
  my ($owner, $rule, $call, %options) = @_;
  my $plain = delete $options{plain};
  my $ways = $plain ? ['index of the heap route'] : \@WAYS;
  $pair->destination_sql('TRUNCATE proof, evil.t, evil.plain, evil.second, evil.third');
  my $result = $pair->try_sql($call, %options);
  is($result->is_ok ? $result->out : $result->summary, 3, "$rule: the rows come");
  is($pair->destination_sql(q(SELECT string_agg(DISTINCT way, ', ' ORDER BY way)
    FROM proof)), join(', ', @$ways), '… every way runs code');
  is($pair->destination_sql(q(SELECT string_agg(DISTINCT concat_ws('/', who, session, super), ', ')
    FROM proof)), "$owner/$owner/off", '… as the owner, to the end');
  return;
}

my $CALL = $pair->pull_sql('evil.t', undef, undef, {dsn => $dsn});
my $PLAIN = $pair->pull_sql('evil.plain', undef, undef, {dsn => $dsn});
runs_as('mallory', 'a role that logged in', $CALL, user => 'mallory');
runs_as('mallory', 'what a superuser has become', "SET ROLE mallory; $CALL");
runs_as('mallory', 'whom a superuser is for the session', "SET SESSION AUTHORIZATION mallory; $CALL");
runs_as('crew', 'a role without LOGIN', "SET ROLE crew; $CALL", user => 'mallory');
runs_as('crew', '… that a superuser has become', "SET ROLE crew; $CALL");
runs_as('crew', '… for the session', "SET SESSION AUTHORIZATION crew; $CALL");
runs_as('crew', '… by the heap route', "SET ROLE crew; $PLAIN", plain => 1);
runs_as('mallory', 'the heap route', $PLAIN, plain => 1, user => 'mallory');

$pair->destination_sql(<<"SQL");
CREATE FUNCTION evil.lend() RETURNS bigint LANGUAGE sql SECURITY DEFINER
  SET search_path = public, pg_temp AS \$\$ @{[$CALL]} \$\$;
ALTER FUNCTION evil.lend() OWNER TO mallory;
SQL
runs_as('mallory', 'SECURITY DEFINER', 'SELECT evil.lend()');
$pair->destination_sql('ALTER FUNCTION evil.lend() OWNER TO crew');
runs_as('crew', 'SECURITY DEFINER of a role without LOGIN', 'SELECT evil.lend()');

# A role's own settings cannot make a worker another role.
$pair->destination_sql('ALTER ROLE mallory SET role = crew');
runs_as('mallory', 'a role that sessions begin as another', "SET ROLE mallory; $CALL");
runs_as('crew', '… which is the caller then', $CALL, user => 'mallory');
$pair->destination_sql('ALTER ROLE mallory RESET role');

# Work sessions and resumes of others go on as the owner.
my $created = $pair->destination_sql($pair->table_sql('parallel_pull_create', 'evil.t', {dsn => $dsn}),
  user => 'mallory');
runs_as('mallory', 'a superuser who joins', "SELECT rows FROM parallel_pull_work($created)");
$pair->destination_sql('TRUNCATE evil.t; ALTER TABLE evil.t ADD CONSTRAINT refuse CHECK (id < 0)');
my $failed = $pair->try_sql($pair->table_sql('parallel_pull_table', 'evil.t', {dsn => $dsn}),
  user => 'mallory');
like($failed->summary, qr/refuse/, 'a pull that fails');
$failed = $pair->newest_pull_id;
$pair->destination_sql('ALTER TABLE evil.t DROP CONSTRAINT refuse');
runs_as('mallory', 'a superuser who resumes',
  "SELECT rows FROM parallel_pull_resume($failed, " . literal($dsn) . ')');
is($pair->destination_sql(q(SELECT count(*) FROM pg_roles WHERE rolname = 'climbed')), 0,
  'nothing made itself a superuser');

# ---- the address that a pull's owner has written, when another role goes on with the pull ----

$pair->destination_sql(<<"SQL");
GRANT USAGE ON FOREIGN DATA WRAPPER dblink_fdw TO mallory;
CREATE SERVER lent FOREIGN DATA WRAPPER dblink_fdw OPTIONS (host '@{[$pair->source->host]}',
  port '@{[$pair->source->port]}', dbname 'postgres');
CREATE USER MAPPING FOR mallory SERVER lent OPTIONS (user 'reader', password '$SECRET');
CREATE USER MAPPING FOR postgres SERVER lent OPTIONS (user 'postgres');
GRANT USAGE ON FOREIGN SERVER lent TO mallory;
SQL
$pair->destination_sql(<<"SQL", user => 'mallory');
CREATE SERVER own FOREIGN DATA WRAPPER dblink_fdw OPTIONS (host '@{[$pair->source->host]}',
  port '@{[$pair->source->port]}', dbname 'postgres');
CREATE USER MAPPING FOR mallory SERVER own OPTIONS (user 'reader', password '$SECRET');
CREATE USER MAPPING FOR postgres SERVER own OPTIONS (user 'postgres');
SQL
# The function in its filter runs on the source, which may be this very cluster.
$pair->source_sql(<<'SQL');
CREATE FUNCTION evil.look() RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN RAISE LOG 'filter runs as %', current_user; RETURN true; END $$;
SQL
my %own = (dsn => 'own', filter => 'evil.look()', key => 'id');
my $plain = sub { $pair->destination_sql('TRUNCATE evil.plain') };
my $create = sub {
  my (%changed) = @_;
  $plain->();
  return $pair->destination_sql($pair->table_sql('parallel_pull_create', 'evil.plain', {%own, %changed}),
    user => 'mallory');
};
my $cancelled = sub {
  my $pull = $create->(@_);
  $pair->destination_sql("SELECT parallel_pull_cancel($pull)");
  $pair->state_becomes($pull, 'cancelled', 'a pull to be resumed');
  return $pull;
};
my $from_own = $cancelled->();
$pair->destination_sql(<<'SQL', user => 'mallory');
ALTER USER MAPPING FOR mallory SERVER own OPTIONS (SET user 'postgres', SET password 'x');
SQL
my $trusted = "$base user=postgres";
for my $source ('', ", 'own'", ', ' . literal($trusted), ', ' . literal("$trusted password=x")) {
  my $given = $source =~ /own/ ? 'the owner\'s server' : $source ? 'a login without password' : 'its source';
  for my $user ('mallory', 'postgres') {
    $pair->error_is("SELECT parallel_pull_resume($from_own$source)", '2F003', qr/password/,
      "$user resumes by $given", user => $user);
    next unless $source;
    my $joined = $create->(dsn => $dsn); # a worker that is refused ends the pull
    $pair->error_is("SELECT parallel_pull_work($joined$source)", '2F003', qr/password/,
      '… or works on it', user => $user);
    $pair->destination_sql("SELECT parallel_pull_cancel($joined)");
  }
}
my $joined = $create->(dsn => $dsn);
for my $call ("resume($from_own, ", "work($joined, ") {
  $pair->error_is("SELECT parallel_pull_$call" . literal("$dsn options=-cwork_mem=64kB") . ')', '42501',
    qr/"options"/, "a superuser who calls parallel_pull_$call…) has the owner's options" =~ s/\d+/N/r);
  $pair->error_is("SELECT parallel_pull_$call" . literal("$dsn sslcrl=/dev/null") . ')', '42501',
    qr/"sslcrl"/, '… and files');
}
ok(slurp_file($pair->source->logfile) !~ /filter runs as postgres/, 'no filter ran as a superuser');
is($pair->destination_sql("SELECT rows FROM parallel_pull_work($joined, 'lent')"), 3,
  'a superuser may name another server, by the mapping of the owner');
$plain->();
is($pair->destination_sql("SELECT rows FROM parallel_pull_resume($from_own, $dsn_literal)"), 3,
  '… or give a password');
$from_own = $cancelled->(dsn => $dsn);
$pair->destination_sql('REVOKE USAGE ON FOREIGN SERVER lent FROM mallory');
$pair->error_is("SELECT parallel_pull_resume($from_own, 'lent')", '42501',
  qr/permission denied for foreign server lent.*pull's owner/s, '… but no server that is not the owner\'s');
ok(slurp_file($pair->source->logfile) =~ /filter runs as reader/, '… while others have run');

# Who it is shows to itself and to others.
$pair->create_gate;
$pair->source_sql('CREATE VIEW evil.gated AS SELECT id FROM evil.t WHERE gate(id, 2);'
    . 'GRANT SELECT ON evil.gated TO reader');
$pair->close_gate;
my $crew = $pair->session('destination', user => 'mallory');
$crew->query_safe('SET ROLE crew');
$crew->start($pair->pull_sql('evil.plain', undef, undef, {dsn => $dsn, source_table => 'evil.gated'}));
$pair->wait_at_gate;
is($pair->destination_sql(q(SELECT string_agg(DISTINCT usename, ', ') FROM pg_stat_activity
  WHERE backend_type LIKE 'parallel_loader%')), 'crew', 'processes are shown as the owner\'s');
my ($worker) = $pair->worker_pids;
$pair->error_is("SELECT pg_terminate_backend($worker)", '42501', qr/./,
  'another role cannot signal them', user => 'alice');
my $running = $pair->newest_pull_id;
my @CONTROL = ("work($running)", "wait($running)", "alter($running, workers => 2)",
  "cancel($running)", "resume($running)");
$pair->error_is("SELECT parallel_pull_$_", '42704', qr/does not exist/,
  "… nor call parallel_pull_$_" =~ s/\d+/N/r, user => 'alice') for @CONTROL;
is($pair->destination_sql("SET ROLE crew; SELECT pg_terminate_backend($worker)", user => 'mallory'),
  't', 'the owner can');
like($crew->finish(20)->summary, qr/57P01/, '… which ends the pull');
$crew->close;
$pair->open_gate;

# ---- operations in which other roles' functions run ----

my %CALLS = (
  parallel_pull => "parallel_pull($dsn_literal, 'evil.plain', NULL::integer, NULL)",
  map({ $_ => "$_($dsn_literal, 'evil.plain')" } qw(parallel_pull_table parallel_pull_start
      parallel_pull_create parallel_pull_append parallel_pull_plan parallel_pull_verify
      parallel_pull_check parallel_pull_sequences)),
  map({ $_ => "$_($running)" } qw(parallel_pull_work parallel_pull_wait parallel_pull_cancel
      parallel_pull_resume)),
  parallel_pull_alter => "parallel_pull_alter($running, workers => 1)",
  map({ $_ => "$_('evil.plain')" } qw(parallel_pull_forget parallel_pull_keep)));
my @functions = split /\n/, $pair->destination_sql(<<'SQL');
SELECT DISTINCT proname FROM pg_proc WHERE proname LIKE 'parallel\_pull%'
  AND pronamespace = 'public'::regnamespace ORDER BY 1
SQL
is(join(' ', grep { !$CALLS{$_} } @functions), '', 'every function is tried');

$pair->destination_sql(<<'SQL', user => 'mallory');
CREATE TABLE evil.attempts (call text, answer text);
CREATE TABLE evil.calls (call text);
GRANT SELECT ON evil.calls TO PUBLIC;
GRANT INSERT ON evil.attempts TO PUBLIC;
CREATE FUNCTION evil.attempt() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  c text;
BEGIN
  FOR c IN SELECT call FROM evil.calls LOOP
    BEGIN
      EXECUTE 'SELECT * FROM public.' || c;
      INSERT INTO evil.attempts VALUES (c, 'it ran');
    EXCEPTION WHEN OTHERS THEN
      INSERT INTO evil.attempts VALUES (c, SQLSTATE || ' ' || SQLERRM);
    END;
  END LOOP;
END $$;
CREATE FUNCTION evil.trap(id integer) RETURNS integer LANGUAGE plpgsql IMMUTABLE AS
$$ BEGIN PERFORM evil.attempt(); RETURN id; END $$;
CREATE TABLE evil.bait (id integer);
INSERT INTO evil.bait VALUES (1);
CREATE INDEX bait_index ON evil.bait (evil.trap(id));
CREATE MATERIALIZED VIEW evil.bait_view AS SELECT evil.trap(id) AS id FROM evil.bait WITH NO DATA;
SQL
for my $function (@functions) {
  my $call = $CALLS{$function} // next;
  $pair->destination_sql("INSERT INTO evil.calls VALUES (" . literal($call) . ')');
}
for my $operation ('ANALYZE evil.bait', 'VACUUM (ANALYZE) evil.bait', 'REINDEX INDEX evil.bait_index',
  'REINDEX INDEX CONCURRENTLY evil.bait_index', 'CREATE INDEX ON evil.bait ((evil.trap(id) + 1))',
  'CREATE INDEX CONCURRENTLY ON evil.bait ((evil.trap(id) + 2))',
  'CLUSTER evil.bait USING bait_index', 'REFRESH MATERIALIZED VIEW evil.bait_view')
{
  for my $user ('postgres', 'mallory') {
    $pair->destination_sql('TRUNCATE evil.attempts');
    my $result = $pair->try_sql($operation, user => $user);
    my $seen = $pair->destination_sql(<<'SQL');
SELECT count(DISTINCT call) || ' calls, ' || string_agg(DISTINCT answer, '; ') FROM evil.attempts
SQL
    is($seen, scalar(@functions)
        . ' calls, 42501 cannot use parallel pulls within security-restricted operation',
      "$operation by $user") or diag($result->summary);
  }
}
is($pair->destination_sql("SELECT count(*) FROM parallel_pulls WHERE pull_id > $running"), 0,
  'none of them made a pull');

# ---- who may connect ----

$pair->destination_sql(<<'SQL');
CREATE ROLE barred LOGIN;
CREATE ROLE barred_group NOLOGIN;
REVOKE CONNECT ON DATABASE postgres FROM PUBLIC;
GRANT CONNECT ON DATABASE postgres TO mallory, crew, alice;
CREATE TABLE barred_table (id integer);
GRANT INSERT ON barred_table TO barred, barred_group, mallory;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA public TO barred, barred_group;
SQL
my %named = (dsn => $dsn, source_table => 'evil.t');
for my $role ('barred', 'barred_group') {
  my $as = "SET ROLE $role; ";
  for my $call ($pair->pull_sql('barred_table', undef, undef, \%named),
    map { $pair->table_sql("parallel_pull_$_", 'barred_table', \%named) } qw(table start create append))
  {
    my ($function) = $call =~ /(parallel_pull\w*)/;
    $pair->error_is("$as$call", '42501',
      qr/permission denied for database.*GRANT CONNECT ON DATABASE postgres TO $role;/s,
      "$function as $role, which may not connect");
  }
  $pair->nothing_left('… starts nothing');
  $pair->destination_sql("GRANT CONNECT ON DATABASE postgres TO $role");
  my $pull = $pair->destination_sql($as
      . $pair->table_sql('parallel_pull_create', 'barred_table', \%named));
  like($pull, qr/^\d+$/, '… but once the hint was followed');
  $pair->destination_sql("REVOKE CONNECT ON DATABASE postgres FROM $role");
  $pair->error_is("SELECT parallel_pull_work($pull)", '42501', qr/GRANT CONNECT/,
    '… and nobody brings workers when it may no more');
  $pair->destination_sql("SELECT parallel_pull_cancel($pull)");
  $pair->state_becomes($pull, 'cancelled', '… which can be cancelled');
  $pair->error_is("SELECT parallel_pull_resume($pull, $dsn_literal)", '42501', qr/GRANT CONNECT/,
    '… and not resumed');
  $pair->nothing_left('… nothing is left');
}
is($pair->destination_sql('SELECT count(*) FROM barred_table'), 0, '… and no row came');

# A worker that cannot connect any more is lost like another.
$pair->close_gate;
for my $role ('barred', 'barred_group') {
  $pair->destination_sql("GRANT CONNECT ON DATABASE postgres TO $role");
  my $session = $pair->session('destination');
  $session->query_safe("SET ROLE $role; SET parallel_loader.retry_budget = '2s'");
  $session->start($pair->pull_sql('barred_table', undef, undef,
      {dsn => $dsn, source_table => 'evil.gated'}));
  $pair->wait_at_gate;
  $pair->destination_sql("REVOKE CONNECT ON DATABASE postgres FROM $role;"
      . 'SELECT pg_terminate_backend(' . ($pair->worker_pids)[0] . ')');
  like($session->finish(20)->summary, qr/57P01.*server log/s,
    "a pull of $role, which may not connect any more, fails when its worker is lost");
  $session->close;
  $pair->nothing_left('… and nothing is left');
}
like(slurp_file($pair->destination->logfile), qr/permission denied for database/,
  '… the log says why');
$pair->open_gate;

# ---- passwords in the context of messages ----

$pair->destination_sql(<<"SQL");
CREATE FUNCTION public.said() RETURNS bigint LANGUAGE plpgsql AS \$\$
BEGIN
  RETURN (SELECT rows FROM parallel_pull_table($dsn_literal, 'evil.plain', columns => '{nope}'));
END \$\$;
CREATE FUNCTION public.assigned() RETURNS bigint LANGUAGE plpgsql AS \$\$
DECLARE
  n boolean;
BEGIN
  n := parallel_pull($dsn_literal, 'evil.plain', NULL::integer, NULL) / 0;
  RETURN 1;
END \$\$;
CREATE FUNCTION public.nested(text) RETURNS bigint LANGUAGE plpgsql AS \$\$
BEGIN
  EXECUTE 'SELECT count(*) FROM parallel_pull_plan(\$1, ''evil.second_index'')' USING \$1;
  RETURN 1;
END \$\$;
CREATE TABLE public.refusing (n bigint CHECK (n < 0));
SQL
my $gate_call = $pair->pull_sql('evil.plain', undef, undef,
  {dsn => $dsn, source_table => 'evil.gated'}) =~ s/^SELECT/PERFORM/r;
my %failing = (
  'an error of the call' => 'SELECT said()',
  'an error after the call' => 'TRUNCATE evil.plain; SELECT assigned()',
  'a call within a call' => qq(DO \$\$ BEGIN PERFORM nested($dsn_literal); END \$\$),
  'a constraint on its result' => 'TRUNCATE evil.plain; DO $$ BEGIN INSERT INTO refusing SELECT '
    . "parallel_pull($dsn_literal, 'evil.plain', NULL::integer, NULL); END \$\$",
  'a text that cannot be read' =>
    qq(DO \$\$ BEGIN PERFORM parallel_pull_check('hots=x pasword=$SECRET', 'evil.plain'); END \$\$),
  map({ my $call = $CALLS{$_}; "$_, which fails" =>
      "DO \$\$ BEGIN PERFORM * FROM " . ($call =~ s/'evil\.plain'/'evil.second_index'/r) . '; END $$' }
    grep { $CALLS{$_} =~ /$SECRET/ } @functions),
  'a time limit' => "SET statement_timeout = '300ms'; DO \$\$ BEGIN $gate_call; END \$\$");
$pair->destination_sql('CREATE INDEX second_index ON evil.second (id)');
$pair->close_gate;
my @shown;
for my $rule (sort keys %failing) {
  my $result = $pair->try_sql($failing{$rule});
  ok($result->error || $rule =~ /_check|_sequences/, "$rule fails") or diag($result->summary);
  unlike($result->err, qr/$SECRET/, '… and its error shows no password');
  push @shown, $result->err;
}
like(join('', @shown), qr/CONTEXT:\s+SQL statement not shown.*PL\/pgSQL function said/s,
  'the context says where it was all the same');
my $waiting = $pair->session('destination');
$waiting->start("DO \$\$ BEGIN $gate_call; END \$\$");
my $backend = $waiting->backend_pid;
# What stands at the gate may be the session of the time limit.
wait_until(20, sub { $pair->destination_sql(
  "SELECT query FROM pg_stat_activity WHERE pid = $backend") =~ /statement not shown/ });
$pair->destination_sql("SELECT pg_terminate_backend($backend)");
unlike($waiting->finish(10)->err, qr/$SECRET/, 'nor does that of a session that is terminated');
$waiting->close;
$pair->open_gate;
# psql has no bind parameters before version 16.
my $script = PostgreSQL::Test::Utils::tempdir() . '/script';
append_to_file($script, "SELECT parallel_pull(:src_dsn, 'evil.second_index', NULL::integer, NULL);\n");
$pair->destination->command_checks_all(
  ['pgbench', '-n', '-t', '1', '-M', 'extended', '-D', "src_dsn=$dsn", '-f', $script], 2, [qr/^/],
  [qr/second_index.*unnamed portal|SQL statement not shown/s], 'a bind parameter');
my @log = grep { /$SECRET/ } split /\n/, slurp_file($pair->destination->logfile);
is(join("\n", @log), '', 'no password is in the log');

$pair->nothing_left('no process or session is left');
$pair->finish;
