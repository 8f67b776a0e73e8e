# parallel-loader beside others: its settings end with its transactions, so a pooler before the
# destination hands no session on that differs from a new one; and what its own environment says of
# its session on the source stays with it.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";

use IPC::Run ();
use ParallelLoader::Test;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $program = program_under_test();
my ($bouncer) = grep { -x } qw(/usr/sbin/pgbouncer /usr/bin/pgbouncer);
if (!defined $bouncer) {
  # Not skipped: a suite that has not tested it has not passed.
  fail('needs pgbouncer');
  done_testing();
  exit;
}

my $pair = ParallelLoader::Test->new;
my $ROWS = 20000;
$pair->source_sql(<<"SQL");
CREATE TABLE t (id integer PRIMARY KEY, at timestamptz, note text);
INSERT INTO t SELECT i, timestamptz '2024-01-01 UTC' + i * interval '1 minute', repeat('n', i % 200)
FROM generate_series(1, $ROWS) AS i;
SQL
$pair->destination_sql(<<'SQL');
CREATE TABLE t (id integer PRIMARY KEY, at timestamptz, note text);
CREATE TABLE t_checked (LIKE t, CHECK (id < 1000));
SQL

sub run_program {
  my ($environment, @arguments) = @_;
  local %ENV = (%ENV, %$environment);
  my ($out, $err) = ('', '');
  IPC::Run::run([$program, @arguments], '<', \undef, '>', \$out, '2>', \$err, IPC::Run::timeout(60));
  return {code => $? >> 8, out => $out, err => $err};
}

# ---- a pooler ----

my $SESSIONS = 4;

# Starts a pooler in front of `node`; returns it, and how to connect through it.
sub start_pooler {
  my ($node) = @_;
  my $folder = PostgreSQL::Test::Utils::tempdir_short();
  my $port = PostgreSQL::Test::Cluster::get_free_port();
  my ($host, $server_port) = ($node->host, $node->port);
  append_to_file("$folder/pgbouncer.ini", <<"INI");
[databases]
postgres = host=$host port=$server_port dbname=postgres
[pgbouncer]
listen_addr =
listen_port = $port
unix_socket_dir = $folder
auth_type = trust
auth_file = $folder/users
pool_mode = transaction
default_pool_size = $SESSIONS
logfile = $folder/log
pidfile = $folder/pid
ignore_startup_parameters = extra_float_digits
INI
  append_to_file("$folder/users", qq("postgres" ""\n"reader" ""\n));
  my $running = IPC::Run::start([$bouncer, '-q', "$folder/pgbouncer.ini"], '<', \undef,
    '>', '/dev/null', '2>&1');
  wait_until(10, sub { -S "$folder/.s.PGSQL.$port" }) or diag('pgbouncer has not come up');
  return ($running, "host=$folder port=$port dbname=postgres");
}
my ($running, $pooled) = start_pooler($pair->destination);
$pooled .= ' user=postgres';

# What each session of the pool has that a new one has not: settings, and statements that were prepared.
my $DIFFERING = q(SELECT name || '=' || setting FROM pg_settings
  WHERE source = 'session' AND name NOT IN ('application_name', 'client_encoding')
  UNION ALL SELECT statement FROM pg_prepared_statements ORDER BY 1);

sub pool_is_clean {
  my ($rule, $side, $connstr) = @_;
  local $Test::Builder::Level = $Test::Builder::Level + 1;
  # Each transaction that is open has a session of the pool for itself.
  my @sessions = map { $pair->session($side // 'destination', connstr => $connstr // $pooled) } 1 .. $SESSIONS;
  $_->query_safe('BEGIN') for @sessions;
  my %seen = map { $_->query_safe('SELECT pg_backend_pid()') => $_->query_safe($DIFFERING) } @sessions;
  $_->query_safe('COMMIT') for @sessions;
  is(scalar(keys %seen), $SESSIONS, "$rule: all sessions of the pool were looked at");
  is(join('; ', grep { $_ ne '' } values %seen), '', "$rule: none keeps a setting or a statement");
  return;
}

pool_is_clean('before');
my $source = $pair->source->connstr('postgres');
my $run = run_program({}, 'copy', '--source', $source, '--target', $pooled, '--jobs', 2,
  '--chunk-size', '128kB', 't');
is($run->{code}, 0, 'a table is copied through a transaction pooler') or diag($run->{err});
$pair->same_rows('SELECT * FROM t', '… all of it');
pool_is_clean('after a copy');

$run = run_program({}, 'copy', '--source', $source, '--target', $pooled, '--jobs', 2, 't=t_checked');
is($run->{code}, 1, 'a copy fails through a pooler as it does without one');
like($run->{err}, qr/23514|check constraint/, '… with its own error');
pool_is_clean('after a failure');

$run = run_program({}, 'copy', '--source', $source, '--target', $pooled, 'no_such_table');
is($run->{code}, 1, 'a table that is not there');
pool_is_clean('after an error in a call');

# ---- both servers behind one ----

$pair->both_sql('CREATE TABLE other (id integer PRIMARY KEY)');
$pair->source_sql('INSERT INTO other SELECT generate_series(1, 5000)');
$pair->destination_sql('TRUNCATE t');
my ($before_source, $pooled_source) = start_pooler($pair->source);
$pooled_source .= ' user=postgres';
$run = run_program({}, 'copy', '--source', $pooled_source, '--target', $pooled, '--jobs', 2, '--chunk-size', '128kB',
  '--verify', 'checksum', 't', 'other');
is($run->{code}, 0, 'both servers behind poolers: tables are copied, and compared') or diag($run->{err});
$pair->same_rows("SELECT * FROM $_", "… all of $_") for qw(t other);
is($pair->destination_sql('SELECT count(DISTINCT snapshot) FROM parallel_pulls WHERE run_id = (SELECT max(run_id) FROM parallel_pulls)'), 1,
  '… under one snapshot');
pool_is_clean('after a copy between poolers');
pool_is_clean('after a copy between poolers, the source', 'source', $pooled_source);
$pair->destination_sql('TRUNCATE t, other; ALTER TABLE t ADD CONSTRAINT few CHECK (id < 19000)');
$run = run_program({}, 'copy', '--source', $pooled_source, '--target', $pooled, '--jobs', 2, '--chunk-size', '128kB', 't', 'other');
is($run->{code}, 1, '… a table that fails');
$pair->destination_sql('ALTER TABLE t DROP CONSTRAINT few');
$run = run_program({}, 'resume', '--new-snapshot', '--source', $pooled_source, '--target', $pooled);
is($run->{code}, 0, '… is resumed') or diag($run->{err});
$pair->same_rows("SELECT * FROM $_", "… to all of $_") for qw(t other);
pool_is_clean('after a resume between poolers');
pool_is_clean('after a resume between poolers, the source', 'source', $pooled_source);

# A run of many tables has the source keep plans of statements, as long as it lasts.
my @many = map { "many_$_" } 1 .. 8;
$pair->both_sql("CREATE TABLE $_ (id integer PRIMARY KEY, \"it's\" text)") for @many;
$pair->source_sql(qq(INSERT INTO $_ SELECT i, '\\ ''' || i FROM generate_series(1, 100) AS i)) for @many;
$pair->source->append_conf('postgresql.conf', "log_statement = 'all'");
$pair->source->reload;
my $log_end = -s $pair->source->logfile;
$run = run_program({}, 'copy', '--source', $pooled_source, '--target', $pooled, '--jobs', 2, @many);
is($run->{code}, 0, 'many tables between poolers') or diag($run->{err});
$pair->same_rows("SELECT * FROM $_", "… all of $_") for @many;
my $log = substr slurp_file($pair->source->logfile), $log_end;
my $count = () = $log =~ /: PREPARE parallel_loader_/g;
cmp_ok($count, '>', 5, '… by statements that were planned once');
pool_is_clean('after a copy of many tables, the source', 'source', $pooled_source);
$pair->source->append_conf('postgresql.conf', "log_statement = 'none'");
$pair->source->reload;
for my $pooler ($before_source, $running) {
  $pooler->signal('INT');
  $pooler->finish;
}
# ---- a pooler before the source: sessions that others had before ----

$pair->destination_sql('TRUNCATE t');
$pair->source_sql(<<'SQL');
CREATE ROLE reader LOGIN; CREATE SCHEMA tools; CREATE SCHEMA evil; GRANT USAGE ON SCHEMA tools, evil TO reader;
CREATE TABLE wanted (id integer); INSERT INTO wanted VALUES (1), (2), (3);
GRANT SELECT ON t, wanted TO reader; GRANT TEMPORARY ON DATABASE postgres TO reader;
CREATE FUNCTION tools.odd(i int) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT i % 2 = 1';
CREATE FUNCTION evil.odd(i int) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT false';
CREATE TABLE evil.t (id integer, at timestamptz, note text); GRANT SELECT ON evil.t TO reader;
ALTER ROLE reader SET search_path = tools, public;
SQL
my $old;
($running, $old) = start_pooler($pair->source);
$old .= ' user=reader';
my @before = map { $pair->session('source', connstr => $old) } 1 .. $SESSIONS;
$_->query_safe('BEGIN') for @before; # each has one for itself
$_->query_safe(<<'SQL') for @before;
SET search_path = evil, pg_temp, public; SET DateStyle = 'German, DMY'; SET TimeZone = 'Asia/Tokyo'; SET statement_timeout = '1s';
SET IntervalStyle = sql_standard; SET bytea_output = escape; SET row_security = on; SET default_transaction_read_only = off;
CREATE TEMPORARY TABLE t (id integer, at timestamptz, note text); CREATE TEMPORARY TABLE wanted (id integer);
CREATE FUNCTION pg_temp.odd(i int) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT false';
SQL
$_->query_safe('COMMIT') for @before;
is($before[0]->query_safe('SELECT count(*) FROM t'), 0, 'the sessions of the pool keep what others have left');
$_->close for @before;
for my $case (['odd(id)', 10000], ['id IN (SELECT w.id FROM wanted AS w)', 3], [q(at < '2024-01-02 03:04'), 1623]) {
  my ($filter, $want) = @$case;
  $pair->destination_sql('TRUNCATE t');
  my $call = $pair->table_sql('parallel_pull_table', 't', {dsn => $old, filter => $filter, workers => 3, chunk_size => '64kB',
      key => 'id', source_table => 't'}) =~ s/^SELECT/SET TimeZone = 'UTC'; SELECT rows FROM/r;
  is($pair->try_sql($call)->summary, "success: $want", "… none of which a pull with filter $filter sees");
}
$pair->destination_sql(q(TRUNCATE t; SELECT parallel_pull_forget('t', 'public.t', 'odd(id)')));
is($pair->try_sql($pair->table_sql('parallel_pull_append', 't', {dsn => $old, filter => 'odd(id)', source_table => 't'}))->summary,
  'success: 10000', '… nor an append');
is($pair->destination_sql($pair->table_sql('parallel_pull_verify', 't', {dsn => $old, filter => 'id % 2 = 1', source_table => 't'})
    =~ s/^SELECT/SELECT bool_and(matches) FROM/r), 't', '… nor verify');
my $destination_dsn = $pair->destination->connstr('postgres');
$pair->destination_sql('TRUNCATE t');
$run = run_program({PGTZ => 'UTC'}, 'copy', '--source', $old, '--target', $destination_dsn, '--jobs', 2, '--where', 'odd(id)',
  '--key', 'id', '--start', 5, '--end', 105, 't');
is($run->{code}, 0, '… nor the program') or diag($run->{err});
is($pair->destination_sql('SELECT count(*) || min(id)::text FROM t'), '505', '… whose condition is read along the path of the role');
$running->signal('INT');
$running->finish;

# Its own environment and its own options: the ones stay with the program, the others are the source's.
my $direct = $pair->source->connstr('postgres') . ' user=reader';
for my $case ([{PGOPTIONS => '-c search_path=evil'}, $direct, 10000], [{}, "$direct options='-c search_path=evil'", 0]) {
  my ($environment, $from, $want) = @$case;
  $pair->destination_sql('TRUNCATE t');
  $run = run_program($environment, 'copy', '--source', $from, '--target', $destination_dsn, '--where', 'odd(id)', 'public.t=public.t');
  is($run->{code}, 0, 'a condition and a path of the ' . (%$environment ? 'environment' : 'connection string')) or diag($run->{err});
  is($pair->destination_sql('SELECT count(*) FROM t'), $want, '… is read along that of the source');
}
$pair->source_sql('ALTER ROLE reader RESET search_path');

# ---- the environment ----

# That setting exists here, and not in the destination server's idea of the source: it would fail.
$pair->destination_sql('TRUNCATE t');
my $destination = $pair->destination->connstr('postgres');
$run = run_program({PGOPTIONS => '-c search_path=nowhere -c work_mem=1234kB'}, 'copy',
  '--source', $source, '--target', $destination, 'public.t=public.t');
is($run->{code}, 0, 'with PGOPTIONS in the environment a table is copied') or diag($run->{err});
my $ledger = $pair->pull->{source};
unlike($ledger, qr/options/, '… and they are no part of the source\'s address');
like($ledger, qr/host=.* port=|port=.* host=|host=/, '… but its host is');

$pair->destination_sql('TRUNCATE t');
$run = run_program({}, 'copy', '--source', "$source options='-c work_mem=1234kB'", '--target', $destination,
  't');
is($run->{code}, 0, 'options written in --source are used') or diag($run->{err});
like($pair->pull->{source}, qr/options='-c work_mem=1234kB'/, '… and handed over');

$pair->finish;
