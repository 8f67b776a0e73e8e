# Pulls that wait: for background worker slots, of which the server has too few, and for somebody
# who works on them; and what they say meanwhile.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";

use IPC::Run ();
use POSIX qw(sysconf _SC_CLK_TCK);
use ParallelLoader::Test;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

my $program = program_under_test();

# Sixteen chunks or so of 250 kB.
my $ROWS = 30000;
my $TABLE = <<"SQL";
CREATE TABLE t (id integer PRIMARY KEY, note text);
INSERT INTO t SELECT i, repeat('n', 110) || i FROM generate_series(1, $ROWS) AS i;
SQL

# ---- a server with few slots ----

my $pair = ParallelLoader::Test->new(
  source => {hba => 'local all other scram-sha-256'},
  destination => {conf => <<'CONF'});
parallel_loader.retry_budget = 5min
parallel_loader.snapshot_hold = 10min
CONF
my $destination = $pair->destination->connstr('postgres');
$pair->create_gate;
$pair->source_sql("$TABLE; CREATE ROLE other LOGIN PASSWORD 'secret'; GRANT SELECT ON t TO other");
$pair->destination_sql("CREATE TABLE t$_ (id integer, note text)") for 0 .. 6;
$pair->destination_sql('CREATE TABLE bad (id integer CHECK (id < 0), note text)');
$pair->destination_sql('CREATE TABLE worse (id integer CHECK (id <> 25000), note text)');

sub set_slots {
  my ($slots) = @_;
  $pair->destination->append_conf('postgresql.conf', "max_worker_processes = $slots");
  $pair->destination->restart;
  return;
}

sub call_sql {
  my ($call, $table, %named) = @_;
  return $pair->table_sql($call, $table,
    {source_table => 't', key => 'id', workers => 1, chunk_size => '256kB', %named});
}

sub waiting_for {
  return $pair->destination_sql(
    "SELECT waiting_for FROM parallel_pull_progress WHERE pull_id = $_[0]");
}

# User and system time: fields 14 and 15, behind a name in parentheses.
sub cpu_seconds {
  my ($pid) = @_;
  my ($user, $system) = (split ' ', slurp_file("/proc/$pid/stat") =~ s/.*\)//sr)[11, 12];
  return ($user + $system) / sysconf(_SC_CLK_TCK);
}

sub start_program {
  my ($table) = @_;
  my %run = (out => '', err => '');
  $run{run} = IPC::Run::start([$program, 'copy', '--source', $pair->dsn, '--target', $destination,
      '--key', 'id', '--jobs', '2', "t=$table"],
    '<', \'', '>', \$run{out}, '2>', \$run{err}, $run{timer} = IPC::Run::timeout(60));
  return \%run;
}

sub exit_code {
  my ($run) = @_;
  return $run->{run}->full_result(0) >> 8 if eval { $run->{run}->finish; 1 };
  $run->{run}->kill_kill;
  return 'none in time';
}

# A pull that fails near its end, and holds its snapshot.
sub fail_held {
  my $result = $pair->try_sql(call_sql('parallel_pull_table', 'worse'));
  is($result->sqlstate, '23514', 'a pull fails in its middle');
  is(scalar($pair->coordinator_pids), 1, '… and holds its snapshot');
  return $pair->newest_pull_id;
}

set_slots(2);
sub rows_sql { return call_sql('parallel_pull_table', @_) =~ s/^SELECT/SELECT rows FROM/r }
is($pair->try_sql(rows_sql('t0'))->summary, "success: $ROWS",
  'two slots: one for the coordinator, one for a worker');

# A failed pull is no reason to wait, held or not.
my $id = $pair->destination_sql(call_sql('parallel_pull_create', 'bad'));
my $seconds = stopwatch();
$pair->error_is("SELECT parallel_pull_work($id, workers => 4)", '23514', qr/Pull $id failed/,
  'a pull that fails tells those who work on it');
cmp_ok($seconds->(), '<', 10, '… at once');
$pair->nothing_left('… and holds nothing, as no chunk is done');

my $held = fail_held();
my $result = $pair->try_sql(rows_sql('t1'));
is($result->summary, "success: $ROWS", 'a pull that needs the slot of a held one gets it');
like($result->err, qr/waiting for a background worker slot.*1 parallel_loader coordinator/s,
  '… after a notice that says who has them');
is($pair->destination_sql("SELECT state || ': ' || hold_ended FROM parallel_loader.pull
    WHERE pull_id = $held"),
  'failed: another pull needed the background worker slot', '… and the ledger says what became of it');
$pair->error_is("SELECT parallel_pull_resume($held)", '55000', qr/snapshot of pull $held is lost/,
  '… which a resume then says');

# One that does not give way is named, with the call that ends it, to those who may make it.
$pair->destination_sql('CREATE ROLE other LOGIN; GRANT INSERT ON t1 TO other;'
    . ' GRANT EXECUTE ON FUNCTION parallel_pull_table, parallel_pull_create, parallel_pull_work TO other');
$held = fail_held();
my ($holder) = $pair->coordinator_pids;
kill STOP => $holder;
my $short = q(SET parallel_loader.retry_budget = '1s'; );
my $refused = $pair->try_sql($short . call_sql('parallel_pull_table', 't1'));
is($refused->sqlstate, '53400', 'a held pull that does not give way: no slot');
like($refused->summary, qr/held for a resume: pull $held\..*parallel_pull_cancel\($held\) frees the slot/s,
  '… the detail names it, the hint the call that ends it');
$refused = $pair->try_sql($short . call_sql('parallel_pull_table', 't1',
    dsn => $pair->dsn(undef, 'user=other password=secret') =~ s/'//gr), user => 'other');
is($refused->sqlstate, '53400', '… so it is for another role');
unlike($refused->summary, qr/cancel|pull $held/, '… which hears of no pull of others');
# hint: extension/coordinator/slot_wait.cpp: parallel_pull_cancel(
is($pair->destination_sql("SELECT parallel_pull_cancel($held)"), 't', '… the call that the hint named is possible');
kill CONT => $holder;
$pair->nothing_left('… and nothing is left');

# The same where a pull waits for its worker, and a session for one of its own.
set_slots(4);
$held = fail_held();
($holder) = $pair->coordinator_pids;
kill STOP => $holder;
$pair->close_gate;
my $taker = $pair->session('destination');
$taker->start(call_sql('parallel_pull_table', 't2', filter => 'public.gate(id, 10)'));
$pair->wait_at_gate;
my $created = $pair->destination_sql(call_sql('parallel_pull_create', 't1'));
my ($joiner, $second) = map { $pair->session('destination') } 1, 2;
$_->start("SET parallel_loader.retry_budget = '3s'; SELECT parallel_pull_work($created)") for $joiner, $second;
ok(wait_until(10, sub { waiting_for($created) =~ /^a background worker slot: 4 of 4 .*; held for a resume: pull $held$/ }),
  'waiting_for names the pulls that are held') or diag waiting_for($created);
my %spent = map { $_ => cpu_seconds($_) } $joiner->backend_pid, $pair->coordinator_pids;
sleep 1;
cmp_ok(cpu_seconds($_) - $spent{$_}, '<', 0.3, "… process $_ waits, and is not busy") for sort keys %spent;
is($second->finish(20)->sqlstate, '53400', '… each of two sessions ends after its own budget');
$refused = $joiner->finish(20);
is($refused->sqlstate, '53400', 'a session that finds no slot for a worker ends after the retry budget');
like($refused->summary, qr/held for a resume: pull $held\..*parallel_pull_cancel\($held\) frees .* call parallel_pull_work\($created\) again/s,
  '… and names who has one, and the calls that go on');
kill CONT => $holder;
$pair->destination_sql("SELECT parallel_pull_cancel($held)");
# hint: extension/functions/control_functions.cpp: parallel_pull_work
is($pair->try_sql("SELECT remaining FROM parallel_pull_work($created)")->summary, 'success: 0', '… which go on');
$pair->open_gate;
is($taker->finish(20)->sqlstate, '00000', 'the pull that had the slot has ended');
$pair->destination_sql('TRUNCATE t1, t2');
$_->close for $taker, $joiner, $second;

# Resume of a held pull needs no third slot for long: its holder leaves.
set_slots(3);
$held = fail_held();
$pair->destination_sql('ALTER TABLE worse DROP CONSTRAINT worse_id_check');
is($pair->try_sql("SELECT rows FROM parallel_pull_resume($held)")->summary, "success: $ROWS",
  'three slots: a held pull is resumed, under the snapshot that it held');
$pair->nothing_left('… and nothing is left');
$pair->destination_sql(
  'TRUNCATE worse; ALTER TABLE worse ADD CONSTRAINT worse_id_check CHECK (id <> 25000)');

# ---- who waits says for what ----

# Two coordinators and one worker.
$pair->close_gate;
my $busy = $pair->session('destination');
$busy->start(call_sql('parallel_pull_table', 't2', filter => 'public.gate(id, 10)'));
$pair->wait_at_gate;
my $busy_id = $pair->newest_pull_id;
my $waiting = $pair->destination_sql(call_sql('parallel_pull_start', 't3'));
ok(wait_until(10, sub { waiting_for($waiting) =~
      /^a background worker slot: 3 of 3 are in use: (?=.*2 parallel_loader coord)(?=.*1 parallel_loader w)/ }),
  'a pull without a worker says that it waits for a slot, and who has them')
  or diag waiting_for($waiting);
is($pair->destination_sql("SELECT eta IS NULL FROM parallel_pull_progress WHERE pull_id = $waiting"),
  't', '… and guesses no end');

# Coordinators leave a slot for a worker, so a third one waits in its session.
my $third = $pair->session('destination');
my $count = $pair->destination_sql('SELECT count(*) FROM parallel_pulls');
$third->start(rows_sql('t4'));
sleep 1;
ok(!$third->is_finished, 'without a slot for a coordinator the call waits');
is($pair->destination_sql('SELECT count(*) FROM parallel_pulls'), $count, '… and records nothing');
$pair->destination_sql('SELECT pg_cancel_backend(' . $third->backend_pid . ')');
is($third->finish(5)->sqlstate, '57014', '… it can be cancelled');
$pair->error_is("SET parallel_loader.retry_budget = '1s'; " . call_sql('parallel_pull_table', 't4'),
  '53400', qr/no background worker slot is free.*3 of 3.*max_worker_processes/s,
  '… and ends after the retry budget');

# One chunk is asked for, and not more.
$pair->destination_sql("SELECT parallel_pull_cancel($waiting)");
$pair->state_becomes($waiting, 'cancelled', 'a pull that waits for a slot is cancelled');
my $one = $pair->destination_sql(call_sql('parallel_pull_create', 't5'));
like(waiting_for($one), qr/^no session works .* fails in (?:10 min 0|9 min \d+) s; continue with parallel_pull_work\($one\)$/,
  'a pull that nobody works on says so, and for how long');
is($pair->destination_sql("SELECT eta IS NULL FROM parallel_pull_progress WHERE pull_id = $one"), 't',
  '… and guesses no end');
$pair->error_is("SELECT parallel_pull_resume($one)", '55006', qr/Call parallel_pull_work\($one\) to copy/,
  '… and a resume names the call that goes on');
my $single = $pair->session('destination');
$single->start("SELECT chunks, remaining > 0 FROM parallel_pull_work($one, max_chunks => 1)");
ok(wait_until(10, sub { waiting_for($one) =~ /^a background worker slot: 3 of 3/ }),
  'a session that works waits for a slot, too') or diag waiting_for($one);
$pair->open_gate;
$result = $single->finish(20);
is($result->summary, 'success: 1|t', '… and then moves the one chunk that it was asked for');
like($result->err, qr/waiting for a background worker slot/, '… after a notice');
is($pair->pull($one)->{chunks_done}, 1, '… and nobody has moved another');
is($busy->finish(20)->sqlstate, '00000', 'the pull that had the slot has ended');
my $finish = "SELECT remaining FROM parallel_pull_work($one)";
is($pair->try_sql($finish)->summary, 'success: 0', 'the call that waiting_for named goes on');

$id = $pair->destination_sql("SET parallel_loader.snapshot_hold = '1s'; "
    . call_sql('parallel_pull_create', 't6'));
$pair->state_becomes($id, 'failed', 'a pull that nobody works on ends when the time is over');
like($pair->pull($id)->{error}, qr/no session has worked on the pull/, '… and says why');

# ---- many at once ----

for my $slots (3, 8) {
  set_slots($slots);
  $pair->destination_sql("TRUNCATE t$_") for 0 .. 6;
  $seconds = stopwatch();
  my @runs = map { start_program("t$_") } 1 .. 3;
  is(join(' ', map { exit_code($_) } @runs), '0 0 0', "$slots slots: three programs at once")
    or diag map { $_->{err} } @runs;
  @runs = map { start_program('bad') } 1 .. 6;
  is(join(' ', map { exit_code($_) } @runs), '1 1 1 1 1 1', '… and six that fail')
    or diag map { $_->{err} } @runs;
  $pair->nothing_left('… and leave nothing');
  note sprintf '%.1f s', $seconds->();
  }
$_->close for $third, $single, $busy;
$pair->finish;
