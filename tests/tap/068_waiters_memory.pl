# Who waits for a pull does not grow: sessions, coordinators, the program.  MEMORY_MINUTES=5 measures
# between the first and the fifth minute.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";

use IPC::Run ();
use ParallelLoader::Memory;
use ParallelLoader::Test;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep);

my $program = program_under_test();

my $MEASURED_S = $ENV{MEMORY_MINUTES} ? 60 * $ENV{MEMORY_MINUTES} : 75;
my $FIRST_S = $ENV{MEMORY_MINUTES} ? 60 : 15;
my $GROWTH_KB = 256;
my $slow = ParallelLoader::Test->new(retries => 1);
# So many that the rate is set long before the end.
$slow->source_sql(<<'SQL');
CREATE TABLE t (id integer PRIMARY KEY, note text);
INSERT INTO t SELECT i, repeat('n', 110) || i FROM generate_series(1, 600000) AS i;
SQL
my (%waiter, %first_kb);
my $since;

sub start_slow {
  my ($table, $call) = @_;
  $slow->destination_sql("CREATE TABLE $table (id integer, note text)");
  my $session = $slow->session('destination');
  $session->start($slow->table_sql($call, $table, {source_table => 't', key => 'id', workers => 1}));
  my $id;
  wait_until(20, sub { $id = $slow->destination_sql(
        "SELECT pull_id FROM parallel_pulls WHERE \"table\" = '$table'::regclass") });
  $slow->destination_sql("SELECT parallel_pull_alter($id, max_rate => 5)");
  return ($id, $session);
}

my ($led, $leader) = start_slow('led', 'parallel_pull_table');
my ($created, $creator) = start_slow('created', 'parallel_pull_create');
my ($wait, $work) = map { $slow->session('destination') } 1, 2;
$wait->start("SELECT parallel_pull_wait($led)");
$work->start("SELECT parallel_pull_work($created)");
$slow->destination_sql('CREATE TABLE copied (id integer, note text)');
my $copy = IPC::Run::start([$program, 'copy', '--source', $slow->dsn, '--target',
    $slow->destination->connstr('postgres'), '--key', 'id', '--jobs', '1', 't=copied'],
  '<', \'', '>', \my $copy_out, '2>', \my $copy_err);
my $copied;
wait_until(20, sub { $copied = $slow->destination_sql(
      q(SELECT pull_id FROM parallel_pulls WHERE "table" = 'copied'::regclass)) });
$slow->destination_sql("SELECT parallel_pull_alter($copied, max_rate => 5)");
%waiter = (
  'a session in parallel_pull_table' => $leader->backend_pid,
  'a session in parallel_pull_wait' => $wait->backend_pid,
  'a session in parallel_pull_work' => $work->backend_pid,
  'the program' => $copy->{KIDS}[0]{PID},
  map { ("coordinator $_" => $_) } $slow->coordinator_pids);
$since = stopwatch();

sub kilobytes { my ($pid) = @_; return int(1024 * (own_megabytes($pid) // 0)) }

sleep 0.5 while $since->() < $FIRST_S;
%first_kb = map { $_ => kilobytes($waiter{$_}) } keys %waiter;
sleep 0.5 while $since->() < $MEASURED_S;
for my $who (sort keys %waiter) {
  my $kb = kilobytes($waiter{$who});
  cmp_ok($kb, '>', 0, "$who still waits");
  cmp_ok($kb - $first_kb{$who}, '<', $GROWTH_KB,
    sprintf '… and has grown little in %d s', $since->() - $FIRST_S);
  note "$who: $first_kb{$who} kB, then $kb kB";
}
$slow->destination_sql('SELECT parallel_pull_cancel(pull_id) FROM parallel_pull_progress');
$copy->kill_kill;
$_->close for $leader, $creator, $wait, $work;
$slow->nothing_left('no process or session is left');
$slow->finish;
