# parallel-loader copy, end to end: what it copies, its exit status and output, and what is left
# when it is interrupted or killed.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";

use IPC::Run ();
use JSON::PP ();
use ParallelLoader::Program;
use ParallelLoader::Test;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $program = program_under_test();

my $SECRET = 'Plover-1927-xyzzy';
# These servers log every statement with its parameters.
my $pair = ParallelLoader::Test->new(source => {hba => 'local all reader scram-sha-256'});
my ($source, $destination) = ($pair->source->connstr('postgres'),
  $pair->destination->connstr('postgres'));

my $ROWS = 60000;
$pair->create_gate;
$pair->source_sql(<<"SQL");
CREATE TABLE signals (id integer PRIMARY KEY, ts timestamptz, value numeric, tag text, note text);
INSERT INTO signals SELECT i, timestamptz '2024-01-01 UTC' + i * interval '1 minute', i / 7.0,
  CASE WHEN i % 3 = 0 THEN 'ok' END, repeat('n', i % 200)
FROM generate_series(-100, $ROWS - 101) AS i;
CREATE SCHEMA "Odd Schema";
CREATE TABLE "Odd Schema"."Odd=Table" (id integer PRIMARY KEY, "a, b" text);
INSERT INTO "Odd Schema"."Odd=Table" SELECT i, 'x' || i FROM generate_series(1, 50) AS i;
-- Two chunks of about 64 kB, without the pages that servers from 16 on add ahead of need.
CREATE TABLE gated AS SELECT id, tag, true AS passed FROM signals WHERE id BETWEEN 1 AND 4000;
VACUUM FULL gated;
ALTER TABLE gated ADD PRIMARY KEY (id);
CREATE TABLE not_there (id integer);
CREATE TABLE keyless AS SELECT id, ts, value, tag, note FROM signals LIMIT 5;
CREATE ROLE reader LOGIN PASSWORD '$SECRET';
GRANT SELECT ON signals, gated TO reader;
SQL
$pair->destination_sql(<<'SQL');
CREATE TABLE signals (id integer PRIMARY KEY, ts timestamptz, value numeric, tag text, note text);
CREATE TABLE archive (LIKE signals);
CREATE TABLE checked (LIKE signals, CHECK (id <> 700));
CREATE SCHEMA "Odd Schema";
CREATE TABLE "Odd Schema"."Odd=Table" (id integer PRIMARY KEY, "a, b" text);
CREATE TABLE gated (id integer, tag text, passed boolean);
CREATE DATABASE without_extension;
SQL

sub copy { return run_program('copy', '--source', $source, '--target', $destination, @_) }

# Copies into an empty table and compares it with the source's rows under `condition`.
sub copies {
  my ($rule, $condition, $arguments, %case) = @_;
  local $Test::Builder::Level = $Test::Builder::Level + 1;
  my $from = $case{from} // 'signals';
  my $to = $case{to} // $from;
  $pair->destination_sql("TRUNCATE $to");
  my $run = $case{run} ? $case{run}->() : copy(@$arguments);
  is($run->{code}, 0, "$rule: exits with 0") or diag $run->{err};
  my $rows = $pair->source_sql("SELECT count(*) FROM $from WHERE $condition");
  is($run->{out}, "COPY $rows\n", '… prints the command tag');
  my $columns = $case{columns} // '*';
  $pair->same_rows({source => "SELECT $columns FROM $from WHERE $condition",
      destination => "SELECT $columns FROM $to"}, '… and copies these rows');
  return $run;
}

sub exits {
  my ($rule, $code, $pattern, @arguments) = @_;
  local $Test::Builder::Level = $Test::Builder::Level + 1;
  my $run = run_program(@arguments);
  is($run->{code}, $code, "$rule: exits with $code") or diag $run->{err};
  like($run->{err}, $pattern, '… says why');
  like($run->{err}, qr/^parallel-loader: error: /m, '… as its style is');
  is($run->{out}, '', '… on standard error alone');
  $pair->nothing_left('… and leaves nothing');
  return $run;
}

# ---- help ----

for my $case (['--version'], ['--help'], ['copy', '--help'], ['copy', '-?']) {
  my $run = run_program(@$case);
  is($run->{code}, 0, "@$case: exits with 0");
  like($run->{out}, qr/parallel.loader/i, '… prints to standard output');
  is($run->{err}, '', '… and nothing else');
}
my $version = $pair->destination_sql(
  q(SELECT extversion FROM pg_extension WHERE extname = 'parallel_loader'));
like(run_program('--version')->{out}, qr/\b\Q$version\E\b/,
  'program and extension have one version');

# ---- what it copies ----

my $run = copies('a whole table', 'true', ['signals']);
unlike($run->{err}, qr/[\r\e]/, 'on a pipe there are neither colours nor a moving bar');
copies('one job', 'true', ['--jobs', 1, 'signals']);

# 64 bytes, the last letter of which has two: both servers know it by 62.
my $long = 'n' x 62;
$pair->both_sql("CREATE TABLE $long (id integer PRIMARY KEY)");
$pair->source_sql("INSERT INTO $long VALUES (1), (2)");
for my $case (["${long}ü"], ["signals=${long}ü", '--columns', 'id'], ["${long}ü=${long}ü"]) {
  $run = copies("names of more than 63 bytes in @$case", 'true', $case, columns => 'id', to => $long,
    from => $case->[0] =~ /^signals/ ? 'signals' : $long);
  is(() = $run->{err} =~ /^parallel-loader: warning: identifier "${long}ü" will be truncated to "$long"$/mg, 1,
    '… are cut as SQL cuts them, and it is said once');
}
copies('many jobs', 'true', ['-j', 6, 'public.signals']);
copies("format $_", 'true', ['--format', $_, 'signals']) for qw(text binary);
copies('a range', 'id >= 1 AND id < 2001', ['--start', 1, '--end', 2001, 'signals']);
copies('negative bounds', 'id >= -50 AND id < -5', ['--start=-50', '--end=-5', 'signals']);
copies('no start', 'id < 2001', ['--end', 2001, 'signals']);
copies('a range of another key', q(ts >= '2024-01-02+00' AND ts < '2024-01-03+00'),
  ['--key', 'ts', '--start', '2024-01-02', '--end', '2024-01-03', 'signals']);
copies('a condition', q(tag = 'ok' AND id > 5), ['--where', q(tag = 'ok' AND id > 5), 'signals']);
copies('some columns', 'true', ['--columns', 'value, id', 'signals'], columns => 'id, value');
copies('another destination', 'true', ['signals=archive'], to => 'archive');
copies('odd names', 'true', ['--columns', 'id, "a, b"', '"Odd Schema"."Odd=Table"'],
  from => '"Odd Schema"."Odd=Table"');
copies('small chunks', 'true', ['--chunk-size', '1MB', 'signals']);
cmp_ok($pair->pull->{chunks}, '>=', 4, '… several of them');

# ---- ways to name the servers ----

my ($host, $port) = ($pair->source->host, $pair->source->port);
copies('the environment', 'id < 100', [], run => sub {
  run_program({PARALLEL_LOADER_SOURCE => $source, PARALLEL_LOADER_TARGET => $destination}, 'copy',
    '--end', 100, 'signals')
});
copies('a URI', 'id < 100', [], run => sub {
  run_program('copy', '-s', "postgresql:///postgres?host=$host&port=$port", '-d', $destination, '--end',
    100, 'signals')
});
my $services = PostgreSQL::Test::Utils::tempdir() . '/services';
append_to_file($services, "[old]\nhost=$host\nport=$port\ndbname=postgres\n");
copies('a service', 'id < 100', [], run => sub {
  run_program({PGSERVICEFILE => $services}, 'copy', '-s', 'service=old', '-d', $destination, '--end',
    100, 'signals')
});
$pair->destination_sql("CREATE SERVER origin FOREIGN DATA WRAPPER dblink_fdw"
    . " OPTIONS (host '$host', port '$port', dbname 'postgres');"
    . 'CREATE USER MAPPING FOR CURRENT_USER SERVER origin');
copies('a foreign server of the destination', 'id < 100',
  ['--source-on-target', 'origin', '--end', 100, 'signals']);

# ---- output ----

$pair->destination_sql('TRUNCATE signals');
$run = copy('--json', 'signals');
is($run->{code}, 0, '--json: exits with 0');
my $document = eval { JSON::PP->new->decode($run->{out}) } // {};
is(scalar(split /\n/, $run->{out}), 1, '… prints one document on one line');
my %expected = (command => 'copy', version => $version, state => 'done', rows => $ROWS,
  error => undef,
  pull_id => $pair->newest_pull_id, chunks => $pair->pull->{chunks}, bytes => $pair->pull->{bytes});
is_deeply({map { $_ => $document->{$_} } keys %expected}, \%expected, '… that tells what happened');
is($document->{chunks_done}, $document->{chunks}, '… with all chunks');

$pair->destination_sql('TRUNCATE signals');
$run = copy('--quiet', 'signals');
is("$run->{code} $run->{out}$run->{err}", "0 COPY $ROWS\n", '--quiet prints the command tag alone');

$pair->destination_sql('TRUNCATE signals');
$run = copy('signals');
like($run->{err}, qr/^\d{4}-\d\d-\d\d [\d:]{8} \S+ +public\.signals +0%/,
  'on a pipe, progress is dated lines');
like($run->{err}, qr/^[^\n]+ 100%[^\n]+\ntable [^\n]+\npublic\.signals +60 000 [^\n]+ loaded\n\z/m,
  '… and a summary comes last');

# script(1) gives it a terminal.
$pair->destination_sql('TRUNCATE signals');
my $screen = '';
{
  local @ENV{qw(TERM LC_ALL PARALLEL_LOADER_SOURCE PARALLEL_LOADER_TARGET)} =
    ('xterm', 'C.UTF-8', $source, $destination);
  IPC::Run::run(['script', '-qec', "$program copy signals", '/dev/null'], '<', \'', '>', \$screen,
    IPC::Run::timeout(60));
}
like($screen, qr/Loading 1 table, .*\r.*\x{e2}\x{94}\x{81}.* 100%.*COPY $ROWS/s,
  'a terminal gets a moving bar');

# ---- failures ----

my @both = ('--source', $source, '--target', $destination);
my $closed = 'host=127.0.0.1 port=' . PostgreSQL::Test::Cluster::get_free_port()
  . ' dbname=postgres';
$pair->destination_sql('TRUNCATE signals, checked');
exits('a table that the source lacks', 1, qr/no_such/, 'copy', @both, 'no_such');
exits('a table that the destination lacks', 1, qr/not_there/, 'copy', @both, 'not_there');
exits('a column that is missing', 1, qr/nope/, 'copy', @both, '--columns', 'nope', 'signals');
exits('a condition that fails', 1, qr/division by zero/, 'copy', @both, '--where',
  '1 / (id - 7) > 0', 'signals');
exits("a condition that leaves its parentheses$_->[0]", 1, qr/filter is not a single condition/, 'copy', @both, '--where',
  'id > 5) OR (id = 3', @$_[1 .. $#$_], 'signals')
  for [''], [' and the range', '--start', 5, '--end', 20];
exits('a violated constraint', 1, qr/checked_id_check/, 'copy', @both, 'signals=checked');
$pair->destination_sql('INSERT INTO signals VALUES (1)');
exits('a table that has rows', 1, qr/table "public\.signals" has rows already/, 'copy', @both, 'signals');
exits('a primary key that is taken', 1, qr/signals_pkey/, 'copy', @both, '--start=-100', 'signals');
$pair->destination_sql('TRUNCATE signals, checked');
exits('a start after the end', 2, qr/start/, 'copy', @both, '--start', 5, '--end', 1, 'signals');
exits('no table', 2, qr/TABLE/i, 'copy', @both);
exits('a start that is no key', 2, qr/22P02|invalid input/, 'copy', @both, '--start', 'x',
  'signals');
exits('a range without a key', 2, qr/key/, 'copy', @both, '--start', 1, 'keyless=signals');
exits('no source', 2, qr/--source/, 'copy', '--target', $destination, 'signals');
exits('no destination', 2, qr/--target/, 'copy', '--source', $source, 'signals');
exits('an option that does not exist', 2, qr/--nope/, 'copy', @both, '--nope', 'signals');
exits('a command that does not exist', 2, qr/move/, 'move', @both, 'signals');
exits('no command', 2, qr/./);
exits('jobs that are no number', 2, qr/jobs/, 'copy', @both, '--jobs', 'x', 'signals');
exits('no jobs', 2, qr/jobs/, 'copy', @both, '--jobs', '0', 'signals');
exits('more jobs than workers', 2, qr/jobs/, 'copy', @both, '--jobs', '257', 'signals');
exits('a format that does not exist', 2, qr/csv/, 'copy', @both, '--format', 'csv', 'signals');
exits('a source that cannot be reached', 3, qr/source/, 'copy', '-s', $closed, '-d', $destination,
  'signals');
exits('a source that the destination cannot reach', 3, qr/source/,
  'copy', @both, '--source-on-target', $closed, 'signals');
exits('a destination that cannot be reached', 4, qr/destination/,
  'copy', '-s', $source, '-d', $closed, 'signals');
exits('a destination without the extension', 4, qr/extension/,
  'copy', '-s', $source, '-d', $pair->destination->connstr('without_extension'), 'signals');

$pair->destination_sql('TRUNCATE checked');
$run = copy('--json', 'signals=checked');
$document = eval { JSON::PP->new->decode($run->{out}) } // {};
is($run->{code}, 1, '--json of a failed copy: exits with 1');
is($document->{state}, 'failed', '… the document says so');
is($document->{error}{sqlstate}, '23514', '… with the SQLSTATE');
like($document->{error}{message}, qr/checked_id_check/, '… and the message');

# ---- interrupts ----

my @GATED = (@both, '--key', 'id', '--where', 'public.gate(id, 3000)', '--chunk-size', '64kB', '--jobs', 2);

# Starts a copy of two chunks; comes back when one of them is done and the other is in its middle.
sub start_stuck {
  my @arguments = @_;
  $pair->destination_sql('TRUNCATE gated');
  $pair->close_gate;
  my $job = {out => '', err => ''};
  $job->{run} = IPC::Run::start([$program, 'copy', @arguments, 'gated'],
    '<', \'', '>', \$job->{out}, '2>', \$job->{err}, IPC::Run::timeout(60));
  $pair->wait_at_gate;
  wait_until(10, sub { ($pair->pull->{chunks_done} // 0) == 1 }) or diag('no chunk was done');
  return $job;
}

for my $signal (qw(INT TERM)) {
  my $job = start_stuck(@GATED, '--json');
  my $seconds = stopwatch();
  $job->{run}->signal($signal);
  eval { $job->{run}->finish };
  cmp_ok($seconds->(), '<', $ParallelLoader::Test::PROMPT_S, "SIG$signal: ends in time");
  is($job->{run}->full_result(0) >> 8, 130, '… exits with 130');
  my $told = eval { JSON::PP->new->decode($job->{out}) } // {};
  is($told->{state}, 'running', '… says that the pull has not ended');
  is($told->{rows}, $pair->destination_sql('SELECT count(*) FROM gated'),
    '… and what is in the table');
  my $id = $pair->newest_pull_id;
  like($told->{error}{hint}, qr/parallel-loader resume $id .*parallel-loader cancel $id /s,
    '… and how to go on, or not to');
  ok(wait_until($ParallelLoader::Test::PROMPT_S, sub { !$pair->worker_pids && !$pair->pids_at_gate }),
    '… leaves no worker and no source query');
  $pair->only_done_chunks_left_rows($id, 'gated', 'id', '… only done chunks have left rows');
  $pair->open_gate;
  my $resumed = run_program('resume', $id, @both);
  is("$resumed->{code} $resumed->{out}", "0 COPY 4000\n", '… and what it names goes on') or diag $resumed->{err};
  is($pair->destination_sql('SELECT count(*), count(DISTINCT id) FROM gated'), '4000|4000', '… with every row once');
  $pair->nothing_left('… and leaves nothing');
}

# The second signal does not wait for the servers; the pull waits for others all the same.
my $job = start_stuck(@GATED);
my $twice = stopwatch();
$job->{run}->signal('INT');
$job->{run}->signal('INT');
eval { $job->{run}->finish };
is($job->{run}->full_result(0) >> 8, 130, 'two SIGINTs: exits with 130');
cmp_ok($twice->(), '<', 3, '… within a second or so');
ok(wait_until($ParallelLoader::Test::PROMPT_S, sub { !$pair->worker_pids && !$pair->pids_at_gate }),
  '… and no worker and no source query is left');
is($pair->pull->{state}, 'running', '… the pull waits for who joins it');
my $cancelled = run_program('cancel', $pair->newest_pull_id, '--target', $destination);
is($cancelled->{code}, 0, '… or for its end') or diag $cancelled->{err};
$pair->state_becomes($pair->newest_pull_id, 'cancelled', '… which it gets');
$pair->nothing_left('… and leaves nothing');

$job = start_stuck(@GATED);
$job->{run}->signal('KILL');
eval { $job->{run}->finish };
ok(wait_until($ParallelLoader::Test::PROMPT_S,
    sub { !$pair->worker_pids && !$pair->pids_at_gate }),
  'kill -9: no worker and no source query is left after five seconds');
my $orphan = $pair->newest_pull_id;
is($pair->pull($orphan)->{state}, 'running', '… the pull waits for who joins it');
$pair->only_done_chunks_left_rows($orphan, 'gated', 'id', '… only done chunks have left rows');
$pair->open_gate;
is($pair->destination_sql("SELECT chunks, remaining FROM parallel_pull_work($orphan)"), '1|0',
  '… and whoever joins it moves the rest');
is($pair->destination_sql('SELECT count(*), count(DISTINCT id) FROM gated'), '4000|4000',
  '… with every row once');
$pair->nothing_left('… and nothing is left');

# ---- sessions and servers go ----

$job = start_stuck(@GATED);
my $WATCHING = q(FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()
  AND query NOT LIKE 'SELECT WHERE false%' AND query NOT LIKE '%parallel_pull_work%');
ok(wait_until(5, sub { $pair->destination_sql("SELECT count(*) $WATCHING") == 1 }), 'one session watches the pull');
$pair->destination_sql("SELECT pg_terminate_backend(pid) $WATCHING");
$pair->open_gate;
eval { $job->{run}->finish };
is($job->{run}->full_result(0) >> 8, 0, '… and its loss does not stop the copy')
  or diag $job->{err};
is($job->{out}, "COPY 4000\n", '… which ends as usual');

$job = start_stuck(@GATED);
$pair->source_sql("SELECT pg_terminate_backend($_)") for $pair->pids_at_gate;
eval { $job->{run}->finish };
like($job->{run}->full_result(0) >> 8, qr/^[13]$/, 'a lost source session fails the copy');
like($job->{err}, qr/lost/, '… and is named');
$pair->nothing_left('… and nothing is left');

$job = start_stuck(@GATED);
$pair->destination->stop('fast');
eval { $job->{run}->finish };
like($job->{run}->full_result(0) >> 8, qr/^[14]$/,
  'a destination that is shut down fails the copy');
$pair->nothing_left('… and no source session is left', skip_destination => 1);
$pair->destination->start;
$pair->open_gate;

# A crash may take back what the program has seen done.
for my $is_back (1, 0) {
  $job = start_stuck(@GATED, '--json');
  $pair->destination_sql('CHECKPOINT') if $is_back; # the chunk's commit is asynchronous
  $pair->destination->stop('immediate');
  $pair->open_gate;
  $pair->destination->start if $is_back;
  eval { $job->{run}->finish };
  is($job->{run}->full_result(0) >> 8, 1, 'a destination that crashes' . ($is_back ? ' and comes back' : '') . ' fails the copy');
  $pair->destination->start unless $is_back;
  my $told = eval { JSON::PP->new->decode($job->{out}) } // {};
  is($told->{state}, 'interrupted', '… the document says that the pull was lost');
  is($told->{rows}, $is_back ? $pair->destination_sql('SELECT count(*) FROM gated') : undef, '… and what is in the table, if it is known');
  is($told->{chunks_done}, $is_back ? $pair->pull->{chunks_done} : undef, '… and how many chunks');
  like($told->{error}{hint}, qr/parallel-loader resume \d+ /, '… and how to go on');
}
$pair->nothing_left('… and no session is left');

# ---- passwords ----

my $pass_file = PostgreSQL::Test::Utils::tempdir() . '/pgpass';
append_to_file($pass_file, "*:*:*:reader:$SECRET\n");
chmod 0600, $pass_file or die;
{
  local $ENV{PGPASSFILE} = $pass_file;
  my $reader = "host=$host port=$port dbname=postgres user=reader";
  copies('a password file on this side', 'id < 100', [], run => sub {
    run_program('copy', '-s', $reader, '-d', $destination, '--end', 100, '-v', 'signals')
  });
  my $failed = run_program('copy', '-v', '-s', $reader, '-d', $destination, '--columns', 'nope',
    'signals');
  unlike($failed->{out} . $failed->{err}, qr/$SECRET/, 'an error does not show the password');

  $job = start_stuck('-v', '--source', $reader, @GATED[2 .. $#GATED]);
  my @titles = map { eval { slurp_file($_) } // '' } glob '/proc/[0-9]*/cmdline';
  cmp_ok(scalar(grep { /copy.*gated/s } @titles), '>=', 1, 'ps shows the program');
  is(scalar(grep { /$SECRET/ } @titles), 0, '… and no password');
  for my $side (qw(source destination)) {
    my $sql = "${side}_sql";
    unlike($pair->$sql('SELECT * FROM pg_stat_activity'), qr/$SECRET/,
      "no password in pg_stat_activity of the $side");
  }
  unlike($pair->destination_sql('TABLE parallel_loader.pull'), qr/$SECRET/,
    'no password in the ledger');
  $job->{run}->signal('INT');
  eval { $job->{run}->finish };
  unlike($job->{out} . $job->{err}, qr/$SECRET/, 'no password in the program\'s output');
  $pair->destination_sql('SELECT parallel_pull_cancel(' . $pair->newest_pull_id . ')');
}
for my $side (qw(source destination)) {
  my @lines = grep { /$SECRET/ && !/CREATE ROLE/ } split /\n/, slurp_file($pair->$side->logfile);
  is(join("\n", @lines), '', "no password in the log of the $side");
}

$pair->nothing_left('no process or session is left');
$pair->finish;
