# parallel-loader copy against two servers: results, streams, exit statuses, interrupts, secrets.
# PARALLEL_LOADER names the program.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../tap/lib";

use IPC::Run qw(run start timeout);
use JSON::PP qw(decode_json);
use ParallelLoader::Test;
use PostgreSQL::Test::Utils qw(slurp_file);
use Test::More;

my $program = $ENV{PARALLEL_LOADER} or plan skip_all => 'PARALLEL_LOADER does not name the program';
my $PASSWORD = 'n0t-to-be-seen';

my $pair = ParallelLoader::Test->new(
  source => {hba => 'host all reader 127.0.0.1/32 scram-sha-256', conf => "listen_addresses = '127.0.0.1'\n"});
my $target = $pair->destination->connstr('postgres');
local $ENV{PARALLEL_LOADER_SOURCE} = $pair->dsn;
local $ENV{PARALLEL_LOADER_TARGET} = $target;
my $everything_shown = '';
my $log_start = -s $pair->destination->logfile;

# Runs the program; returns its exit status, standard output and standard error.
sub loader {
  my (@arguments) = @_;
  my ($out, $err);
  run [$program, @arguments], '<', \undef, '>', \$out, '2>', \$err, timeout(120);
  $everything_shown .= $out . $err;
  return ($? >> 8, $out, $err);
}

sub copies {
  my ($arguments, $rows, $rule) = @_;
  local $Test::Builder::Level = $Test::Builder::Level + 1;
  $pair->destination_sql('TRUNCATE signals');
  my ($status, $out, $err) = loader('copy', '--quiet', @$arguments);
  is("$status $out$err", "0 COPY $rows\n", $rule);
  return;
}

sub fails {
  my ($arguments, $status, $message, $rule) = @_;
  local $Test::Builder::Level = $Test::Builder::Level + 1;
  my ($seen, $out, $err) = loader('copy', '--verbose', @$arguments);
  is("$seen $out", "$status ", "$rule: status $status, and nothing on standard output");
  like($err, qr/^parallel-loader: error: $message/m, "$rule: says so");
  return;
}

$pair->both_sql(<<'SQL');
CREATE TABLE signals (id bigint PRIMARY KEY, ts timestamptz NOT NULL, note text);
CREATE SCHEMA "Odd Schema";
CREATE TABLE "Odd Schema"."a=b" (LIKE signals INCLUDING ALL);
SQL
$pair->source_sql(<<'SQL');
INSERT INTO signals SELECT i, timestamptz '2024-03-01 UTC' + i * interval '1 minute', 'note ' || i
FROM generate_series(1, 100000) AS i;
INSERT INTO "Odd Schema"."a=b" SELECT * FROM signals LIMIT 10;
CREATE TABLE keyless (a integer);
CREATE ROLE reader LOGIN PASSWORD 'n0t-to-be-seen';
GRANT SELECT ON signals TO reader;
SQL
$pair->create_gate;
$pair->source_sql('CREATE VIEW gated AS SELECT id, ts, note FROM signals WHERE gate(id, 60000)');

# ---- what is copied ----

copies(['signals'], 100_000, 'a whole table');
$pair->same_rows('SELECT * FROM signals', 'all rows as they were');
copies(['signals', '--start=10', '--end=20'], 10, 'a range of the primary key');
copies(['signals', '--start=10', '--end=10'], 0, 'an empty range');
copies(['signals', '--key=ts', '--start=2024-03-02', '--end=2024-03-03'], 1440,
  'a range of another column, in UTC');
copies(['signals', '--end=11', '--where=id % 2 = 0 -- even'], 5, 'a range and a condition');
copies(['--columns=id, ts', '--format=text', '-j2', 'signals'], 100_000, 'some columns, as text');
copies(['"Odd Schema"."a=b"=signals'], 10, 'a quoted name with =, under another name');

# ---- streams ----

$pair->destination_sql('TRUNCATE signals');
my ($status, $out, $err) = loader('copy', '--json', '--jobs=3', 'signals');
my $document = decode_json($out);
is($document->{rows}, 100_000, '--json: the rows');
is($document->{state}, 'done', '--json: the state');
is($document->{error}, undef, '--json: no error');
like($err, qr/^\d{4}-\d\d-\d\d [\d:]{8} UTC  public\.signals  0%/, 'a pipe gets a dated first line');
like($err, qr/^[^\n]+ 100%[^\n]+\ntable [^\n]+\npublic\.signals +100 000 [^\n]+ loaded\n\z/m,
  'and a last one, then the summary');
unlike($err, qr/[\r\e]/, 'and nothing that only a terminal understands');

$pair->destination_sql('TRUNCATE signals');
my $screen = '';
{
  local $ENV{TERM} = 'xterm';
  local $ENV{LC_ALL} = 'C.UTF-8';
  run ['script', '-qec', "$program copy signals", '/dev/null'], '<', \undef, '>', \$screen, timeout(120);
}
like($screen, qr/Loading 1 table, .*\r.*\x{e2}\x{94}\x{81}.* 100%.*COPY 100000/s, 'a terminal gets a bar');

# ---- failures ----

fails(['signals'], 1, '23505: duplicate key', 'a unique violation');
$pair->destination_sql('TRUNCATE signals');
fails(['nosuch'], 1, '42P01: ', 'a table that the source lacks');
fails(['signals=nosuch'], 1, '42P01: ', 'a table that the destination lacks');
fails(['signals', '--start=5', '--end=1'], 2, '22023: ', 'a start behind the end');
fails(['signals', '--start=x'], 2, '22P02: ', 'a bound that is no key');
fails(['keyless=signals', '--start=1'], 2, 'table "public.keyless" has no ', 'a range without a key');
fails(['-s', 'host=127.0.0.1 port=1', 'signals'], 3, '08001: ', 'a source that is not there');
fails(['--source-on-target=host=127.0.0.1 port=1', 'signals'], 3, '08001: ',
  'a source that the destination does not reach');
fails(['-d', 'host=127.0.0.1 port=1', 'signals'], 4, '08001: ', 'a destination that is not there');
fails(['-d', $pair->dsn, 'signals'], 4, '42704: extension ', 'a destination without the extension');
is($pair->destination_sql('SELECT count(*) FROM signals'), 0, 'no failure has left a row');

# ---- interrupts ----

# Starts a copy that stops in its middle and sends it signals; returns status, output, errors.
sub interrupted_copy {
  my (@signals) = @_;
  $pair->close_gate;
  my ($out, $err) = ('', '');
  my $copy = start [$program, 'copy', '--json', '--jobs=2', '--key=id', 'gated=signals'],
    '<', \undef, '>', \$out, '2>', \$err, timeout(60);
  $pair->wait_at_gate;
  $copy->signal($_) for @signals;
  $copy->finish;
  $pair->open_gate;
  return ($? >> 8, $out, $err);
}

for my $signal (qw(INT TERM)) {
  my $watch = stopwatch();
  ($status, $out, $err) = interrupted_copy($signal);
  is($status, 130, "SIG$signal: status 130");
  cmp_ok($watch->(), '<', 30, "SIG$signal: in time");
  is(decode_json($out)->{state}, 'cancelled', "SIG$signal: the document says cancelled");
  like($err, qr/^public\.gated -> public\.signals .* cancelled$/m, "SIG$signal: so does the summary");
  $pair->nothing_left("SIG$signal: leaves no process behind");
  $pair->only_done_chunks_left_rows($pair->newest_pull_id, 'signals', 'id',
    "SIG$signal: the chunks that are done stay, and nothing else");
  $pair->destination_sql('TRUNCATE signals');
}

$pair->close_gate;
my $killed = start [$program, 'copy', '--jobs=2', '--key=id', 'gated=signals'], '<', \undef, '>', \$out,
  '2>', \$err, timeout(60);
$pair->wait_at_gate;
$killed->kill_kill(grace => 0);
$pair->open_gate;
$pair->nothing_left('kill -9: leaves no process behind');
$pair->destination_sql('TRUNCATE signals');

# ---- sessions that are lost ----

$pair->close_gate;
my $copy = start [$program, 'copy', '--quiet', '--jobs=2', '--key=id', 'gated=signals'], '<', \undef,
  '>', \$out, '2>', \$err, timeout(60);
$pair->wait_at_gate;
$pair->destination_sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity
  WHERE query LIKE '%parallel_pulls AS p%' AND pid <> pg_backend_pid()");
$pair->open_gate;
$copy->finish;
is(($? >> 8) . " $out$err", "0 COPY 100000\n", 'a lost watching session does not stop the copy');

# ---- secrets ----

my $secret = sprintf 'host=127.0.0.1 port=%d dbname=postgres user=reader', $pair->source->port;
copies(['-s', "$secret password=$PASSWORD", 'signals'], 100_000, 'with a password');
fails(['-s', "$secret password=$PASSWORD", 'nosuch'], 1, '42P01: ', 'with a password, and an error');
fails(['-s', "$secret password=not-$PASSWORD", 'signals'], 3, '08001: ', 'with a wrong password');
{
  local $ENV{PGPASSFILE} = $pair->source->basedir . '/pgpass';
  open my $file, '>', $ENV{PGPASSFILE} or die $!;
  print $file "127.0.0.1:*:*:reader:$PASSWORD\n";
  close $file;
  chmod 0600, $ENV{PGPASSFILE};
  copies(['-s', $secret, 'signals'], 100_000, 'with a password file that only we can read');
}
unlike($everything_shown, qr/\Q$PASSWORD\E/, 'no password is shown');
# These clusters log all statements with their parameters.
my @telling_lines = grep { /\Q$PASSWORD\E/ } split /\n/, slurp_file($pair->destination->logfile, $log_start);
is("@telling_lines", '', 'nor logged');
is($pair->destination_sql("SELECT count(*) FROM parallel_loader.pull AS p WHERE p::text ~ '$PASSWORD'"),
  0, 'nor stored');

$pair->finish;
