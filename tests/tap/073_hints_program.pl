# Hints of the program: what they say is run as it stands.  See 051_hints.pl.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";

use Cwd qw(abs_path getcwd);
use IPC::Run ();
use ParallelLoader::Hints;
use ParallelLoader::Program;
use ParallelLoader::Test;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $program = program_under_test();

$program = abs_path($program);

# The functions are where no search path leads to.
my $pair = ParallelLoader::Test->new(
  retries => 1,
  extension => 0,
  source => {hba => 'local all reader scram-sha-256'});
$pair->destination_sql('CREATE SCHEMA "Lo ader"; CREATE EXTENSION parallel_loader SCHEMA "Lo ader" CASCADE; CREATE DATABASE fresh');
$pair->create_gate;
$pair->source_sql(<<'SQL');
CREATE TABLE t (id integer PRIMARY KEY, note text);
INSERT INTO t SELECT i, repeat('n', 100) FROM generate_series(1, 4000) AS i;
CREATE TABLE keyless AS SELECT id, note FROM t WHERE id <= 10;
CREATE ROLE reader LOGIN PASSWORD 'Plum';
GRANT SELECT ON t TO reader;
CREATE ROLE crowded LOGIN CONNECTION LIMIT 1;
GRANT SELECT ON t TO crowded;
SQL
$pair->destination_sql(
  'CREATE TABLE t (id integer, note text); CREATE TABLE keyless (id integer, note text)');

my ($source, $destination) = ($pair->source->connstr('postgres'), $pair->destination->connstr('postgres'));

sub start_copy {
  my ($from, $to, @arguments) = @_;
  return start_program('copy', '--source', $from, '--target', $to, @arguments);
}

sub copy { return end_of(start_copy($source, $destination, @_)) }

# What the pattern takes out of the program's hint.
sub said {
  my ($job, $pattern, $rule) = @_;
  local $Test::Builder::Level = $Test::Builder::Level + 1;
  my ($hint) = $job->{err} =~ /^parallel-loader: hint: (.*)$/m;
  my @taken = ($hint // '') =~ $pattern;
  ok($job->{code} && @taken, "$rule: has a hint") or diag($job->{err});
  return $taken[0] // 'no_hint';
}

sub copies {
  my ($rule, $table, @arguments) = @_;
  local $Test::Builder::Level = $Test::Builder::Level + 1;
  my $job = copy(@arguments, $table);
  return is($job->{code}, 0, "$rule: what it says works") || diag($job->{err});
}

# hint: orchestrator/commands/source.cpp: Name the column with --key.
my $key = said(copy('--start', 2, 'keyless'), qr/with (--key)\./, 'a table without a key');
copies('a table without a key', 'keyless', $key, 'id', '--start', 2);

# hint: orchestrator/cli/usage_error.cpp: use --help
my $help = said(copy('-h', 't'), qr/use (--help)/, '-h');
is(end_of({run => IPC::Run::start([$program, $help], '<', \'', '>', \my $out, '2>', \my $err)})->{code}, 0, '-h: what it says works');

# hint: orchestrator/cli/usage_error.cpp: joined by AND in --where
my $where = said(copy('--where', 'id > 5', '--where', 'id < 9', 'keyless'), qr/joined by AND in (--where)/, 'two conditions');
copies('two conditions', 'keyless', $where, 'id > 5 AND id < 9');

# hint: orchestrator/run/destination.cpp: Run there: CREATE EXTENSION
# hint: orchestrator/run/destination.cpp: pg_dump --schema-only --table
# hint: orchestrator/commands/copy.cpp: pg_dump --schema-only --table
my $fresh = $pair->destination->connstr('fresh');
my $create = said(end_of(start_copy($source, $fresh, 't')), qr/^Run there: (CREATE EXTENSION .*;)$/, 'no extension');
works($pair, $create, 'no extension', dbname => 'fresh');
my $dump = said(end_of(start_copy($source, $fresh, 't')), qr/with (pg_dump --schema-only --table)\./, 'no table');
is(system_or_bail_out("$dump t", $fresh), 0, 'no table: what it says can be run');
is(end_of(start_copy($source, $fresh, 't'))->{code}, 0, 'no table: what it says works');

# hint: orchestrator/run/destination.cpp: ALTER EXTENSION parallel_loader UPDATE;
$pair->destination_sql('CREATE DATABASE older');
$pair->destination_sql(q(CREATE EXTENSION parallel_loader VERSION '0.5' CASCADE; CREATE TABLE t (id integer, note text)), dbname => 'older');
my $older = $pair->destination->connstr('older');
my $refused = end_of(start_copy($source, $older, 't'));
is($refused->{code}, 4, 'an older extension: exits with 4');
like($refused->{err}, qr/"parallel_loader" of destination database "older" has version 0\.5, but this program needs version /, '… and says so');
my $update = said($refused, qr/and run there: (ALTER EXTENSION .*;)$/, 'an older extension');
works($pair, $update, 'an older extension', dbname => 'older');
is(end_of(start_copy($source, $older, 't'))->{code}, 0, 'an older extension: what it says works');

sub system_or_bail_out {
  my ($command, $into) = @_;
  return system "$command -d '$source' | psql -qX -d '$into' >/dev/null 2>&1";
}

# hint: orchestrator/commands/source.cpp: give that one with --source-on-target
$pair->destination_sql('TRUNCATE t');
my $home = getcwd();
ok(chdir $pair->source->host, 'the program stands in the folder of the socket');
my $here = $source =~ s/host=\S+/host=\/proc\/self\/cwd/r; # a folder that the destination has not
my $address = said(end_of(start_copy($here, $destination, 't')), qr/give that one with (--source-on-target)\./, 'an address of the program alone');
is(end_of(start_copy($here, $destination, $address, $source, 't'))->{code}, 0, '… what it says works');

chdir $home;

# Another reason is not hidden behind this one.
$pair->destination_sql('TRUNCATE t');
like(end_of(start_copy("$source user=crowded",
      "$destination options='-c parallel_loader.retry_budget=0'", 't'))->{err}, qr/^parallel-loader: error: .*too many connections for role "crowded"/m,
  'too many sessions for the role: the error names it');

$pair->source_sql('CREATE TABLE "OrderHead" (id integer PRIMARY KEY); INSERT INTO "OrderHead" VALUES (1)');
$pair->destination_sql('CREATE TABLE "OrderHead" (id integer)');
my $name = said(copy('OrderHead'), qr/for the shell, as in '(.*)'\.$/, 'a name with capitals');
copies('a name with capitals', $name);

# ---- tables that cannot be taken as they are ----

# hint: orchestrator/tables/table_selection.cpp: take --all
my $list = PostgreSQL::Test::Utils::tempdir() . '/list';
append_to_file($list, "# none\n");
my $all = said(copy('--table-list', $list), qr/or take (--all)\./, 'no table');
$pair->destination_sql('TRUNCATE t, "OrderHead"');
is(copy($all, '--exclude', 'keyless')->{code}, 0, 'no table: what it says works');

# hint: orchestrator/commands/copy.cpp: empty it with --truncate
my $truncate = said(copy('"OrderHead"'), qr/empty it with (--truncate)\./, 'a table that has rows');
copies('a table that has rows', '"OrderHead"', $truncate);
# hint: orchestrator/commands/copy.cpp: name that with --start, --end or --where
my $part = said(copy('"OrderHead"'), qr/name that with (--start), --end or --where\./, 'a table that has rows');
$pair->source_sql('INSERT INTO "OrderHead" VALUES (2)');
copies('a part of its rows', '"OrderHead"', $part, 2);
is($pair->destination_sql('SELECT count(*) FROM "OrderHead"'), 2, '… which are added');

# hint: orchestrator/report/report_file.cpp: Give --report a file in a folder
my $place = PostgreSQL::Test::Utils::tempdir();
said(copy('--report', '/does/not/exist/report.html', 't'), qr/(Give --report a file in a folder that exists)/, 'no folder');
copies('no folder', 't', '--truncate', '--report', "$place/report.html");
like(slurp_file("$place/report.html"), qr/<html/, '… and the report is there');

# ---- after Ctrl-C, and after a failure ----

sub interrupted {
  my ($from, $to, @tables) = @_;
  $pair->close_gate;
  $pair->destination_sql('TRUNCATE t');
  my $job = start_copy($from, $to // $destination, '--jobs', 1, '--chunk-size', '64kB', '--key', 'id',
    '--where-for', 't', 'public.gate(id, 3000)', 't', @tables);
  $pair->wait_at_gate;
  $job->{run}->signal('INT');
  end_of($job);
  ok(wait_until(5, sub { !$pair->pids_at_gate }), 'an interrupted copy leaves no session that reads');
  $pair->open_gate;
  return $job;
}

# The command as a shell reads it, which ends with success.
sub shell_works {
  my ($command, $rule, %environment) = @_;
  local $Test::Builder::Level = $Test::Builder::Level + 1;
  local %ENV = (%ENV, %environment);
  my ($out, $err) = ('', '');
  IPC::Run::run(['sh', '-c', $command =~ s/^parallel-loader/$program/r], '<', \'', '>', \$out, '2>', \$err);
  return is($? >> 8, 0, "$rule: the command works") || diag("$command\n$err");
}

sub command_in {
  my ($job, $pattern, $rule) = @_;
  local $Test::Builder::Level = $Test::Builder::Level + 1;
  my ($command) = $job->{err} =~ /$pattern(parallel-loader .*)$/m;
  ok(defined $command, "$rule: has a command") or diag($job->{err});
  return $command // 'no_command';
}

sub all_there {
  my ($rule) = @_;
  local $Test::Builder::Level = $Test::Builder::Level + 1;
  is($pair->destination_sql('SELECT count(*), count(DISTINCT id) FROM t'), '4000|4000', "$rule: every row is there once");
  return $pair->nothing_left('… and nothing is left');
}

shell_works(command_in(interrupted($source), 'To go on: ', 'Ctrl-C'), 'Ctrl-C');
all_there('Ctrl-C');

shell_works(command_in(interrupted($source), 'To give up: ', 'Ctrl-C'), 'Ctrl-C');
$pair->nothing_left('… and nothing is left');

my $secret = "$source user=reader password=Plum";
my $resume = command_in(interrupted($secret), 'To go on: ', 'Ctrl-C, with a password');
unlike($resume, qr/Plum/, '… which it does not show');
shell_works($resume, 'Ctrl-C, with a password', PGPASSWORD => 'Plum');
all_there('Ctrl-C, with a password');
{
  local $ENV{PGSERVICEFILE} = PostgreSQL::Test::Utils::tempdir() . '/services';
  append_to_file($ENV{PGSERVICEFILE}, sprintf "[old]\nhost=%s\nport=%s\ndbname=postgres\nuser=reader\npassword=Plum\n",
    $pair->source->host, $pair->source->port);
  $resume = command_in(interrupted('service=old'), 'To go on: ', 'Ctrl-C, with a service');
  shell_works($resume, 'Ctrl-C, with a service');
  all_there('Ctrl-C, with a service');
}

# ---- a role that may not call what the program calls ----

$pair->destination_sql('CREATE ROLE "Lo ader" LOGIN; GRANT USAGE ON SCHEMA "Lo ader" TO "Lo ader"; '
    . 'GRANT INSERT ON t TO "Lo ader"; TRUNCATE t');
my $limited = "$destination user='Lo ader'";

# hint: orchestrator/run/destination.cpp: Run on the destination: GRANT EXECUTE ON FUNCTION
my $pulls = $pair->destination_sql('SELECT count(*) FROM "Lo ader".parallel_pulls');
for my $lacking ('create, sequences, work', 'work', 'alter') {
  my $err = end_of(start_copy($secret, $limited, $lacking eq 'alter' ? ('--max-rate', '90MB') : (), 't'))->{err};
  my $names = join ', ', map { "\"Lo ader\".parallel_pull_$_" } split /, /, $lacking;
  my ($grant) = $err =~ /^parallel-loader: hint: Run on the destination: (GRANT EXECUTE ON FUNCTION \Q$names\E TO "Lo ader";)$/m;
  ok(defined $grant, "no right to call _$lacking: has a hint") or diag($err);
  is($pair->destination_sql('SELECT count(*) FROM "Lo ader".parallel_pulls'), $pulls, '… and no pull is begun');
  $pair->destination_sql(q(GRANT TRUNCATE ON t TO "Lo ader"; INSERT INTO t VALUES (-1, 'mine')));
  my @truncates = ('--truncate', $lacking eq 'alter' ? ('--max-rate', '90MB') : ());
  is(end_of(start_copy($secret, $limited, @truncates, @$_, 't'))->{code}, 1, "… nor with --truncate @$_") for [], ['--dry-run'];
  is($pair->destination_sql('SELECT count(*) FROM t WHERE id = -1'), 1, '… and no table is emptied');
  $pair->destination_sql('DELETE FROM t WHERE id = -1; REVOKE TRUNCATE ON t FROM "Lo ader"');
  works($pair, $grant // 'no_hint', "no right to call _$lacking");
  $pair->destination_sql('REVOKE EXECUTE ON FUNCTION "Lo ader".parallel_pull_work FROM "Lo ader"') if $lacking =~ /create/;
}

# What follows names the destination: roles and rights are on both sides.
$pair->both_sql('CREATE SCHEMA closed; CREATE TABLE closed.shut (id serial PRIMARY KEY)');
$pair->source_sql('GRANT USAGE ON SCHEMA closed TO reader; GRANT SELECT ON ALL TABLES IN SCHEMA closed TO reader; '
    . 'GRANT SELECT ON ALL SEQUENCES IN SCHEMA closed TO reader; INSERT INTO closed.shut DEFAULT VALUES');
$pair->destination_sql('GRANT INSERT, SELECT ON closed.shut TO "Lo ader"; '
    . 'GRANT EXECUTE ON FUNCTION "Lo ader".parallel_pull_plan, "Lo ader".parallel_pull_check TO "Lo ader"');
# hint: orchestrator/run/destination_tables.cpp: Run on the destination: GRANT USAGE ON SCHEMA
# hint: orchestrator/run/destination_tables.cpp: Run on the destination: GRANT {} ON
for my $case (['USAGE ON SCHEMA "closed"'], ['TRUNCATE ON closed.shut', '--truncate']) {
  my ($right, @options) = @$case;
  my $err = end_of(start_copy($secret, $limited, @options, 'closed.shut'))->{err};
  my ($grant) = $err =~ /^parallel-loader: hint: Run on the destination: (GRANT \Q$right\E TO "Lo ader";)$/m;
  ok(defined $grant, "no right to $right: has a hint") or diag($err);
  works($pair, $grant // 'no_hint', "no right to $right");
}
# hint: orchestrator/commands/run_session.cpp: Commands are shown without the password
my $unset = end_of(start_copy($secret, $limited, '--truncate', 'closed.shut'));
is($unset->{code}, 1, 'no right to set a sequence: exits with 1');
like($unset->{err}, qr/Commands are shown without the password/, '… a password is left out, and that is said');
$pair->destination_sql('GRANT SELECT, UPDATE ON SEQUENCE closed.shut_id_seq TO "Lo ader"');
shell_works(command_in($unset, 'Once that is mended: ', 'a sequence that was not set'), 'a sequence that was not set', PGPASSWORD => 'Plum');
is($pair->destination_sql('SELECT last_value FROM closed.shut_id_seq'), $pair->source_sql('SELECT last_value FROM closed.shut_id_seq'),
  '… it is set');

{
  my $job = interrupted($secret, $limited);
  is($job->{code}, 130, 'Ctrl-C by a role that may not cancel: exits with 130');
  my $cancel = command_in($job, 'To give up: ', 'a role that may not cancel');
  my ($out, $err) = ('', '');
  IPC::Run::run(['sh', '-c', $cancel =~ s/^parallel-loader/$program/r], '<', \'', '>', \$out, '2>', \$err);
  my ($grant) = $err =~ /(GRANT .*parallel_pull_cancel TO "Lo ader";)$/m;
  ok(defined $grant, '… is told the right that it lacks') or diag($err);
  shell_works(command_in($job, 'To go on: ', 'a role that may not cancel'), '… and can go on', PGPASSWORD => 'Plum');
  all_there('a role that may not cancel');
}

$pair->destination_sql('TRUNCATE t; ALTER TABLE t ADD CONSTRAINT refuse CHECK (id <> 3500)');
my $failed = copy('--jobs', 1, '--chunk-size', '64kB', '--key', 'id', 't');
$pair->destination_sql('ALTER TABLE t DROP CONSTRAINT refuse');
shell_works(command_in($failed, 'Continue with(?: this table)?: ', 'a copy that failed'), 'a copy that failed');
all_there('a copy that failed');

# ---- rights and passwords that are missing later ----

$pair->destination_sql('GRANT EXECUTE ON FUNCTION "Lo ader".parallel_pull_resume, "Lo ader".parallel_pull_verify TO "Lo ader"; REVOKE SELECT ON t FROM "Lo ader"');
my @compare = ('verify', '--source', $secret, '--target', $limited, 't');
# hint: extension/functions/verify.cpp: GRANT SELECT ON
my ($may_see) = run_program(@compare)->{err} =~ /(GRANT SELECT ON \S*t TO "Lo ader";)/;
works($pair, $may_see // 'no_hint', 'no right to compare');
is(run_program(@compare)->{code}, 0, '… then the table is compared');
# hint: core/connection/connection_error.cpp: parallel-loader: --source, or a password file
# hint: extension/bridge/source_address.cpp: parallel-loader: --source, or a password file
# hint: orchestrator/commands/status.cpp: add --source CONN to a resume
for my $case ([$limited, qr/password is required/], [$destination, qr/no password supplied/]) {
  my ($to, $reason) = @$case;
  my $rule = "a resume without the password ($to)";
  $pair->destination_sql('TRUNCATE t; ALTER TABLE t ADD CONSTRAINT refuse CHECK (id <> 3500)');
  end_of(start_copy($secret, $to, '--jobs', 1, '--chunk-size', '64kB', '--key', 'id', 't'));
  $pair->destination_sql('ALTER TABLE t DROP CONSTRAINT refuse');
  kill 'TERM', $pair->coordinator_pids;
  wait_until(20, sub { !$pair->coordinator_pids });
  my $id = $pair->destination_sql('SELECT max(pull_id) FROM "Lo ader".parallel_pulls');
  my $resumed = run_program('resume', '--target', $to, '--new-snapshot', $id);
  like($resumed->{err}, qr/$reason.*--source, or a password file/s, "$rule: is told where to have it");
  like($resumed->{err}, qr/Continue with: parallel-loader resume $id --new-snapshot/, '… and how to go on') or diag $resumed->{err};
  my $status = run_program('status', '--target', $to, $id);
  like($status->{out}, qr/add --source CONN to a resume/, '… by status, too') if $to eq $limited;
  my ($next) = $status->{out} =~ /^next: (.*)$/m;
  shell_works(($next // 'no_command') . " --source '$secret'", $rule);
  all_there($rule);
}

$pair->finish;
