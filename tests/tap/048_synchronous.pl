# A synchronous standby of the destination that is down holds up no commit of a pull but the last,
# and that one only as far as the caller's synchronous_commit says.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";

use ParallelLoader::Test;
use PostgreSQL::Test::Utils;
use Test::More;

# Statements of the test itself, which are postgres's, wait for no standby.
my $pair = ParallelLoader::Test->new(
  destination => {conf => "max_wal_senders = 5\n"},
  source => {hba => 'local all all trust'});
$pair->both_sql('CREATE TABLE t (id integer PRIMARY KEY, note text)');
$pair->source_sql(q(INSERT INTO t SELECT i, 'row ' || i FROM generate_series(1, 1000) AS i));
$pair->destination_sql(<<'SQL');
CREATE ROLE caller LOGIN SUPERUSER;
ALTER ROLE postgres SET synchronous_commit = local;
SQL
$pair->destination_sql(q(ALTER SYSTEM SET synchronous_standby_names = 'mirror'));
$pair->destination_sql('SELECT pg_reload_conf()');

$pair->source_sql('CREATE TABLE appended AS SELECT * FROM t');
my $dsn = literal($pair->dsn);
my $table = "$dsn, 't'";
my %CALLS = (
  parallel_pull => "SELECT parallel_pull($table, NULL::integer, NULL)",
  parallel_pull_table => "SELECT rows FROM parallel_pull_table($table)",
  parallel_pull_append => "SELECT parallel_pull_append($dsn, 'appended')",
  parallel_pull_resume => undef,
  parallel_pull_work => undef);

# A call whose last commit is the next: for a resume a pull that failed, for a work call one that
# waits.
sub prepare {
  my ($function) = @_;
  $pair->destination_sql('TRUNCATE t');
  if ($function eq 'parallel_pull_append') { # another table each time: a mark outlives TRUNCATE
    $pair->destination_sql('DROP TABLE IF EXISTS appended; CREATE TABLE appended (LIKE t)');
  }
  if ($function eq 'parallel_pull_resume') {
    $pair->destination_sql('ALTER TABLE t ADD CONSTRAINT refuse CHECK (id < 0)');
    $pair->try_sql("SELECT parallel_pull_table($table)");
    $pair->destination_sql('ALTER TABLE t DROP CONSTRAINT refuse');
    return 'SELECT rows FROM parallel_pull_resume(' . $pair->newest_pull_id . ", $dsn)";
  }
  if ($function eq 'parallel_pull_work') {
    my $pull = $pair->destination_sql("SELECT parallel_pull_create($table)");
    return "SELECT rows FROM parallel_pull_work($pull)";
  }
  return $CALLS{$function};
}

for my $function (sort keys %CALLS) {
  for my $setting ('off', 'local') {
    my $call = prepare($function);
    my $seconds = stopwatch();
    my $result = $pair->try_sql("SET synchronous_commit = $setting; $call", user => 'caller',
      timeout => 30);
    is($result->summary, 'success: 1000', "$function with synchronous_commit = $setting ends");
    cmp_ok($seconds->(), '<', 10, '… soon');
    $pair->nothing_left('… and leaves nothing');
  }
  for my $setting ('remote_write', 'on', 'remote_apply') {
    next if $setting ne 'on' && $function ne 'parallel_pull';
    for my $way ('cancel', 'terminate') {
      my $call = prepare($function);
      my $session = $pair->session('destination', user => 'caller');
      $session->query_safe("SET synchronous_commit = $setting");
      $session->start($call);
      my $waiting = wait_until(20, sub { $pair->destination_sql(<<'SQL') });
SELECT waiting_for FROM parallel_pull_progress WHERE waiting_for LIKE '%synchronous%'
SQL
      like($waiting, qr/synchronous standby.*synchronous_commit = $setting\b/,
        "$function with synchronous_commit = $setting waits, and says for what");
      ok(!$session->is_finished, '… and is not through');
      my $pull = $pair->newest_pull_id;
      my $seconds = stopwatch();
      $pair->destination_sql("SELECT pg_${way}_backend(" . $session->backend_pid . ')');
      $session->finish(10);
      # What a session joined does not end with it.
      $pair->destination_sql("SELECT parallel_pull_cancel($pull)") if $function =~ /_work/;
      $pair->nothing_left("… a $way of the caller ends it");
      cmp_ok($seconds->(), '<', 5, '… within five seconds');
      is($pair->pull($pull)->{state}, 'done', '… the pull is done, as it is');
      my $loaded = $function eq 'parallel_pull_append' ? 'appended' : 't';
      is($pair->destination_sql("SELECT count(*) FROM $loaded"), 1000, '… its rows are there');
      $session->close;
    }
  }
}

# ---- who ends the last wait of a pull that is done has cancelled nothing ----

# As a COMMIT whose wait is cancelled: a warning, and the statement is through.
my $CUT_SHORT = qr/canceling the wait for a synchronous standby.*committed on this server/s;
sub words { return join "\n", map { $_->{text} } @{$_[0]{messages}} }
my %ENDS = (
  'a cancel of the caller' => sub { $pair->destination_sql("SELECT pg_cancel_backend($_[0])") },
  'a terminate of the coordinator' => sub {
    $pair->destination_sql('SELECT pg_terminate_backend(' . ($pair->coordinator_pids)[0] . ')');
  },
  'a cancel of the coordinator' => sub {
    $pair->destination_sql('SELECT pg_cancel_backend(' . ($pair->coordinator_pids)[0] . ')');
  },
  'a cancel of the pull' => sub {
    my $cancel = $pair->try_sql("SELECT parallel_pull_cancel($_[1])");
    is($cancel->summary, 'success: f', '… which says that it cancels nothing');
    like(words($cancel), qr/is done already.*no longer waits for a synchronous standby/s, '… and what');
  });

sub wait_for_standby {
  my ($rule) = @_;
  return ok(wait_until(10, sub { ($pair->destination_sql(
          'SELECT waiting_for FROM parallel_pull_progress') // '') =~ /synchronous/ }), $rule);
}

for my $end (sort keys %ENDS) {
  for my $function ('parallel_pull', 'parallel_pull_work') {
    next if $function eq 'parallel_pull_work' && $end eq 'a cancel of the caller';
    my $call = prepare($function);
    my $session = $pair->session('destination', user => 'caller');
    $session->query_safe('SET synchronous_commit = on');
    $session->start($call);
    wait_for_standby("$function waits for the standby");
    my $id = $pair->newest_pull_id;
    $ENDS{$end}->($session->backend_pid, $id);
    my $ended = $session->finish(10);
    is($ended->summary, 'success: 1000', "… $end ends the wait, and not the pull");
    like(words($ended), $CUT_SHORT, '… which its caller is told');
    is($pair->pull($id)->{state}, 'done', '… the pull is done');
    is($pair->destination_sql('SELECT count(*) FROM t'), 1000, '… its rows are there');
    $pair->nothing_left('… and nothing is left');
    $session->close;
  }
}

# Every command beside a last commit that waits.
{
  my $call = prepare('parallel_pull');
  my $session = $pair->session('destination', user => 'caller');
  $session->query_safe('SET synchronous_commit = on');
  $session->start($call);
  wait_for_standby('a pull waits for the standby');
  my $id = $pair->newest_pull_id;
  is($pair->try_sql("SELECT parallel_pull_wait($id, '10 ms')")->summary, 'success: running',
    '… it is not done for others yet');
  like($pair->try_sql("SELECT parallel_pull_resume($id)")->summary, qr/55006/, '… no resume');
  is($pair->try_sql("SELECT parallel_pull_alter($id, workers => 0)")->summary, 'success: ',
    '… limits can be set');
  like($pair->destination_sql('SELECT waiting_for FROM parallel_pull_progress'), qr/synchronous/,
    '… and change nothing');
  is($pair->try_sql("SELECT parallel_pull_cancel($id)")->summary, 'success: f', '… no cancel');
  is($session->finish(10)->summary, 'success: 1000', '… the call is through');
  is($pair->pull($id)->{state}, 'done', '… the pull is done');
  $session->close;
}

# ---- pulls that do not come to their end ----

$pair->create_gate;
$pair->source_sql('CREATE VIEW gated AS SELECT id, note FROM t WHERE gate(id, 500)');
$pair->close_gate;
$pair->destination_sql('TRUNCATE t');
my $caller = $pair->session('destination', user => 'caller');
$caller->query_safe('SET synchronous_commit = on');
$caller->start("SELECT parallel_pull($table, NULL::integer, NULL, source_table => 'gated')");
$pair->wait_at_gate;
$pair->destination_sql('SELECT pg_cancel_backend(' . $caller->backend_pid . ')');
like($caller->finish(10)->summary, qr/57014/, 'a caller that cancels does not wait for the standby');
$pair->nothing_left('… nor does the coordinator');
is($pair->pull->{state}, 'cancelled', '… the pull is cancelled');

$caller->start("SELECT parallel_pull($table, NULL::integer, NULL, source_table => 'gated')");
$pair->wait_at_gate;
my $pull = $pair->newest_pull_id;
$pair->destination_sql("SELECT parallel_pull_cancel($pull)");
ok(wait_until(10, sub { ($pair->destination_sql('SELECT waiting_for FROM parallel_pull_progress')
    // '') =~ /synchronous/ }), 'a pull that somebody cancels waits as its caller wants');
ok(!$caller->is_finished, '… as does the caller');
$pair->destination_sql('SELECT pg_cancel_backend(' . $caller->backend_pid . ')');
like($caller->finish(10)->summary, qr/57014/, '… who can leave');
$pair->nothing_left('… and the coordinator with it');
is($pair->pull->{state}, 'cancelled', '… the pull is cancelled');
$pair->open_gate;

$pair->destination_sql('ALTER TABLE t ADD CONSTRAINT refuse CHECK (id < 0)');
$caller->start("SELECT parallel_pull($table, NULL::integer, NULL)");
ok(wait_until(10, sub { ($pair->destination_sql('SELECT waiting_for FROM parallel_pull_progress')
    // '') =~ /synchronous/ }), 'a pull that fails waits as well');
$pair->destination_sql('SELECT pg_cancel_backend(' . $caller->backend_pid . ')');
$caller->finish(10);
$pair->nothing_left('… until the caller leaves');
is($pair->pull->{state}, 'failed', '… the pull has failed');
$pair->destination_sql('ALTER TABLE t DROP CONSTRAINT refuse; TRUNCATE t');

# The end of a pull that goes on by itself waits, too, and can be sent on.
my $started = $pair->try_sql("SET synchronous_commit = on; SELECT parallel_pull_start($table)",
  user => 'caller');
like($started->out, qr/^\d+$/, 'a start does not wait');
ok(wait_until(10, sub { ($pair->destination_sql('SELECT waiting_for FROM parallel_pull_progress')
    // '') =~ /synchronous/ }), '… but the pull does at its end');
$pair->destination_sql('SELECT parallel_pull_cancel(' . $started->out . ')');
$pair->nothing_left('… until it is cancelled');
is($pair->pull->{state}, 'done', '… which comes too late to undo it');

# ---- the standby comes ----

$pair->destination_sql('TRUNCATE t');
$caller->start("SELECT parallel_pull($table, NULL::integer, NULL)");
ok(wait_until(10, sub { ($pair->destination_sql('SELECT waiting_for FROM parallel_pull_progress')
    // '') =~ /synchronous/ }), 'a call waits for the standby');
my $folder = PostgreSQL::Test::Utils::tempdir();
my ($in, $out) = ('', '');
my $standby = IPC::Run::start(['pg_receivewal', '--synchronous', '-D', $folder, '-d',
    $pair->destination->connstr('postgres') . ' application_name=mirror'], '<', \$in, '>&', \$out);
is($caller->finish(20)->summary, 'success: 1000', '… and ends when it has come') or diag($out);
for my $setting ('on', 'remote_write') {
  $pair->destination_sql('TRUNCATE t');
  is($pair->try_sql("SET synchronous_commit = $setting; $CALLS{parallel_pull}", user => 'caller')
      ->summary, 'success: 1000', "with the standby a pull ends, synchronous_commit = $setting");
}
$standby->kill_kill;
$caller->close;

$pair->nothing_left('no process or session is left');
$pair->finish;
