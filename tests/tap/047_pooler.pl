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

my $program = $ENV{PARALLEL_LOADER} // '';
my ($bouncer) = grep { -x } qw(/usr/sbin/pgbouncer /usr/bin/pgbouncer);
if (!-x $program || !defined $bouncer) {
  # Not skipped: a suite that has not tested them has not passed.
  fail("needs the program under test, not \"$program\", in PARALLEL_LOADER, and pgbouncer");
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
my $folder = PostgreSQL::Test::Utils::tempdir_short();
my $port = PostgreSQL::Test::Cluster::get_free_port();
my ($host, $server_port) = ($pair->destination->host, $pair->destination->port);
append_to_file("$folder/pgbouncer.ini", <<"INI");
[databases]
postgres = host=$host port=$server_port dbname=postgres user=postgres
[pgbouncer]
listen_addr =
listen_port = $port
unix_socket_dir = $folder
auth_type = any
pool_mode = transaction
default_pool_size = $SESSIONS
logfile = $folder/log
pidfile = $folder/pid
ignore_startup_parameters = extra_float_digits
INI
my $running = IPC::Run::start([$bouncer, '-q', "$folder/pgbouncer.ini"], '<', \undef,
  '>', '/dev/null', '2>&1');
my $pooled = "host=$folder port=$port dbname=postgres user=postgres";
wait_until(10, sub { -S "$folder/.s.PGSQL.$port" }) or diag('pgbouncer has not come up');

# The settings of every session of the pool that are not as a new one has them.
my $DIFFERING = q(SELECT name || '=' || setting FROM pg_settings
  WHERE source = 'session' AND name NOT IN ('application_name', 'client_encoding') ORDER BY name);

sub pool_is_clean {
  my ($rule) = @_;
  local $Test::Builder::Level = $Test::Builder::Level + 1;
  # Each transaction that is open has a session of the pool for itself.
  my @sessions = map { $pair->session('destination', connstr => $pooled) } 1 .. $SESSIONS;
  $_->query_safe('BEGIN') for @sessions;
  my %seen = map { $_->query_safe('SELECT pg_backend_pid()') => $_->query_safe($DIFFERING) } @sessions;
  $_->query_safe('COMMIT') for @sessions;
  is(scalar(keys %seen), $SESSIONS, "$rule: all sessions of the pool were looked at");
  is(join('; ', grep { $_ ne '' } values %seen), '', "$rule: none keeps a setting");
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

$running->signal('INT');
$running->finish;

# ---- the environment ----

# That setting exists here, and not in the destination server's idea of the source: it would fail.
$pair->destination_sql('TRUNCATE t');
my $target = $pair->destination->connstr('postgres');
$run = run_program({PGOPTIONS => '-c search_path=nowhere -c work_mem=1234kB'}, 'copy',
  '--source', $source, '--target', $target, 'public.t=public.t');
is($run->{code}, 0, 'with PGOPTIONS in the environment a table is copied') or diag($run->{err});
my $ledger = $pair->pull->{source};
unlike($ledger, qr/options/, '… and they are no part of the source\'s address');
like($ledger, qr/host=.* port=|port=.* host=|host=/, '… but its host is');

$pair->destination_sql('TRUNCATE t');
$run = run_program({}, 'copy', '--source', "$source options='-c work_mem=1234kB'", '--target', $target,
  't');
is($run->{code}, 0, 'options written in --source are used') or diag($run->{err});
like($pair->pull->{source}, qr/options='-c work_mem=1234kB'/, '… and handed over');

$pair->finish;
