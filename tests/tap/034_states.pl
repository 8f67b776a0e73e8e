# The states of a pull: every command in every state, and commands that cross each other.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";

use ParallelLoader::Test;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

my $pair = ParallelLoader::Test->new(retries => 1);
my $ROUNDS = $ENV{ROUNDS} // 4;
my $seed = $ENV{SEED} // time & 0xFFFF;
srand $seed;
note "SEED=$seed";

# Sixteen chunks or so of 250 kB.
my $ROWS = 30000;
$pair->source_sql(<<"SQL");
CREATE TABLE t (id integer PRIMARY KEY, note text);
INSERT INTO t SELECT i, repeat('n', 110) || i FROM generate_series(1, $ROWS) AS i;
SQL
# Whatever is written into a pull's state is kept, as pairs.
$pair->destination_sql(<<'SQL');
CREATE TABLE t (id integer, note text);
CREATE TABLE changes (pull_id bigint, before text, after text);
CREATE FUNCTION note_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO public.changes VALUES (new.pull_id, old.state, new.state);
  RETURN NULL;
END $$;
CREATE TRIGGER note_change AFTER UPDATE ON parallel_loader.pull FOR EACH ROW
  WHEN (old.state <> new.state) EXECUTE FUNCTION note_change();
SQL

my %UNFINISHED = map { $_ => 1 } qw(planned running paused);

# As core/ledger/pull_state has it; an interrupted pull stands in the ledger as it was before.
sub may_change {
  my ($before, $after) = @_;
  return $UNFINISHED{$before} if $after =~ /^(?:done|failed|cancelled)$/;
  return $before =~ /^(?:failed|cancelled|paused|planned)$/ if $after eq 'running';
  return $before =~ /^(?:planned|running)$/ if $after eq 'paused';
  return $before eq 'paused' if $after eq 'planned';
  return 0;
}

sub state_of { return $pair->pull($_[0])->{state} // 'none' }

# ---- a pull in each state ----

sub created {
  $pair->destination_sql('TRUNCATE t');
  return $pair->destination_sql(
    $pair->table_sql('parallel_pull_create', 't', {key => 'id', workers => 2, chunk_size => '256kB'}));
}

sub running {
  my $id = created();
  $pair->destination_sql("SELECT parallel_pull_alter($id, workers => 2, max_rate => 400)");
  $pair->state_becomes($id, 'running', "pull $id runs");
  return $id;
}

sub paused {
  my $id = running();
  $pair->destination_sql("SELECT parallel_pull_alter($id, workers => 0)");
  $pair->state_becomes($id, 'paused', "pull $id is paused");
  return $id;
}

# Paused before the first worker has come.
sub unbegun {
  my $id = created();
  $pair->destination_sql("SELECT parallel_pull_alter($id, workers => 0)");
  $pair->state_becomes($id, 'paused', "pull $id is paused before it has begun");
  return $id;
}

# Fails with chunks done, so that the rest is worth holding.
sub failed {
  my ($hold) = @_;
  $pair->destination_sql('TRUNCATE t');
  $pair->destination_sql('ALTER TABLE t ADD CONSTRAINT ok CHECK (id <> 20000)');
  $pair->try_sql("SET parallel_loader.snapshot_hold = '$hold'; "
      . $pair->table_sql('parallel_pull_table', 't', {key => 'id', workers => 1, chunk_size => '256kB'}));
  $pair->destination_sql('ALTER TABLE t DROP CONSTRAINT ok');
  return $pair->newest_pull_id;
}

sub cancelled {
  my $id = running();
  $pair->destination_sql("SELECT parallel_pull_cancel($id)");
  $pair->state_becomes($id, 'cancelled', "pull $id is cancelled");
  return $id;
}


sub done {
  $pair->destination_sql('TRUNCATE t');
  $pair->destination_sql($pair->table_sql('parallel_pull_table', 't', {key => 'id', workers => 2}));
  return $pair->newest_pull_id;
}

# A coordinator that was terminated ends its pull; one that the server takes down with it cannot.
sub interrupted {
  my $id = running();
  ok(wait_until(10, sub { $pair->pull($id)->{chunks_done} > 0 }), 'a chunk is done');
  sleep 1; # its commit is asynchronous
  $pair->destination->stop('immediate');
  $pair->destination->start;
  return $id;
}

my %MAKE = (
  planned => \&created,
  running => \&running,
  paused => \&paused,
  unbegun => \&unbegun,
  held => sub { failed('10min') },
  failed => sub { failed('0') },
  cancelled => \&cancelled,
  interrupted => \&interrupted,
  done => \&done);

my %COMMAND = (
  cancel => 'SELECT parallel_pull_cancel(%d)',
  resume => 'SELECT rows FROM parallel_pull_resume(%d)',
  fresh => 'SELECT rows FROM parallel_pull_resume(%d, new_snapshot => true)',
  pause => 'SELECT parallel_pull_alter(%d, workers => 0)',
  workers => 'SELECT parallel_pull_alter(%d, workers => 3)',
  rate => 'SELECT parallel_pull_alter(%d, max_rate => 300)',
  work => 'SELECT chunks FROM parallel_pull_work(%d, max_chunks => 1)',
  wait => q(SELECT parallel_pull_wait(%d, '10 ms')));

# What each command gives in each state, and the state after it; nothing: the same.
my $ALL = "success: $ROWS";
my %LIMITS = map { $_ => [qr/^success: $/] } qw(pause workers rate);
my $REFUSED = qr/^55000.*snapshot of pull (\d+) is lost.*^Pull \1 was not resumed\.$/ms;
my %EXPECTED = (
  planned => {
    wait => [qr/^success: planned$/], rate => [qr/^success: $/], fresh => [qr/^55006/],
    resume => [qr/^55006.*planned already.*Call parallel_pull_work\(\d+\) to copy/s],
    pause => [qr/^success: $/, 'paused'], workers => [qr/^success: $/, 'running|done'],
    work => [qr/^success: 1$/, 'running'], cancel => [qr/^success: t$/, 'cancelled']},
  running => {
    wait => [qr/^success: running$/], rate => [qr/^success: $/], workers => [qr/^success: $/],
    resume => [qr/^55006.*running already.*pull_wait\(\d+\) to wait.*cancel\(\d+\) to cancel/s],
    fresh => [qr/^55006/], pause => [qr/^success: $/, 'paused'],
    cancel => [qr/^success: t$/, 'cancelled']},
  paused => {
    wait => [qr/^success: paused$/], rate => [qr/^success: $/], pause => [qr/^success: $/],
    resume => [qr/^55006.*paused already.*Call parallel_pull_alter\(\d+, workers => \d\) to continue/s],
    fresh => [qr/^55006/], workers => [qr/^success: $/, 'running'],
    cancel => [qr/^success: t$/, 'cancelled']},
  unbegun => {
    wait => [qr/^success: paused$/], rate => [qr/^success: $/], pause => [qr/^success: $/],
    resume => [qr/^55006.*paused already.*Call parallel_pull_alter\(\d+, workers => \d\) to continue/s],
    fresh => [qr/^55006/], workers => [qr/^success: $/, 'running|done'],
    cancel => [qr/^success: t$/, 'cancelled']},
  held => {
    %LIMITS, wait => [qr/^success: failed$/], resume => [qr/^\Q$ALL\E$/, 'done'],
    work => [qr/^55000.*is failed.*parallel_pull_resume\(\d+\) to continue/s],
    fresh => [qr/^\Q$ALL\E$/, 'done'], cancel => [qr/^success: t$/, 'failed']},
  failed => {
    %LIMITS, wait => [qr/^success: failed$/], resume => [$REFUSED],
    work => [qr/^55000.*is failed.*parallel_pull_resume\(\d+, new_snapshot => true\)/s],
    fresh => [qr/^\Q$ALL\E$/, 'done'], cancel => [qr/^success: f$/]},
  cancelled => {
    %LIMITS, wait => [qr/^success: cancelled$/], work => [qr/^55000.*is cancelled/s],
    fresh => [qr/^\Q$ALL\E$/, 'done'], cancel => [qr/^success: f$/]},
  interrupted => {
    %LIMITS, wait => [qr/^success: interrupted$/], resume => [$REFUSED],
    work => [qr/^55000.*is interrupted/s], fresh => [qr/^\Q$ALL\E$/, 'done'],
    cancel => [qr/^success: t$/, 'cancelled']},
  done => {
    (map { $_ => [qr/^55000.*is done/s] } qw(pause workers rate)), wait => [qr/^success: done$/],
    resume => [qr/^\Q$ALL\E$/], fresh => [qr/^\Q$ALL\E$/], work => [qr/^success: 0$/],
    cancel => [qr/^success: f$/]});

sub outcome {
  my ($result) = @_;
  my $error = $result->error;
  return $error ? join "\n", $error->{sqlstate}, $error->{text} : $result->summary;
}

# Commands that leave the state as it is are tried one after the other on the same pull.
for my $state (sort keys %EXPECTED) {
  my $stored = {held => 'failed', unbegun => 'paused'}->{$state} // $state;
  my $expected = $EXPECTED{$state};
  my $id;
  for my $name (sort { @{$expected->{$a}} <=> @{$expected->{$b}} || $a cmp $b } keys %$expected) {
    $id //= $MAKE{$state}->();
    my ($pattern, $after) = @{$expected->{$name}};
    like(outcome($pair->try_sql(sprintf $COMMAND{$name}, $id)), $pattern, "$state: $name");
    $pair->state_becomes($id, $after // $stored, '… leaves it ' . ($after // $stored));
    next unless defined $after;
    $pair->destination_sql("SELECT parallel_pull_cancel($id)");
    $id = undef;
  }
  $pair->destination_sql("SELECT parallel_pull_cancel($id)") if defined $id;
}
$pair->nothing_left('no process is left of all of these');
is($pair->destination_sql(q(SELECT count(*) > 0 FROM changes WHERE before = 'paused' AND after = 'planned')), 't',
  'after a pause a pull is what it was before');

# ---- a command is heard at once ----

sub bytes_of { return $pair->destination_sql("SELECT bytes FROM parallel_pulls WHERE pull_id = $_[0]") }

my $id = running();
$pair->destination_sql("SELECT parallel_pull_alter($id, workers => 0)");
sleep 0.7;
my $bytes = bytes_of($id);
sleep 1;
is(bytes_of($id), $bytes, 'soon after a pause nothing moves');
my $seconds = stopwatch();
$pair->destination_sql("SELECT parallel_pull_cancel($id)");
$pair->state_becomes($id, 'cancelled', 'a paused pull is cancelled');
cmp_ok($seconds->(), '<', $ParallelLoader::Test::PROMPT_S, '… in time');

# A pull is done once nothing can end it otherwise any more: until then a cancel cancels, also while
# the coordinator looks whether the rows are there still.
for my $change ('', 'TRUNCATE t') {
  my $looker = $pair->session('destination');
  $looker->query_safe('BEGIN; LOCK TABLE parallel_loader.unlogged_chunk IN ACCESS EXCLUSIVE MODE');
  $id = created();
  $pair->destination_sql("SELECT parallel_pull_alter($id, workers => 2)");
  ok(wait_until(20, sub { $pair->destination_sql(
        q(SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'parallel_loader.unlogged_chunk'::regclass)) }),
    'the last look at the rows has begun');
  is($pair->pull($id)->{chunks_done}, $pair->pull($id)->{chunks}, '… every chunk is done');
  $pair->destination_sql($change) if $change;
  $seconds = stopwatch();
  is($pair->destination_sql("SELECT parallel_pull_cancel($id)"), 't', '… a cancel is heard');
  $pair->state_becomes($id, 'cancelled', "… and comes true, $change");
  cmp_ok($seconds->(), '<', $ParallelLoader::Test::PROMPT_S, '… in time');
  $looker->query_safe('ROLLBACK');
  $looker->close;
  $pair->nothing_left('… and nothing is left');
}

# ---- cancel and resume of an interrupted pull ----

# Who comes first keeps the other away until its transaction ends.
$id = interrupted();
my $first = $pair->session('destination');
for my $call ("cancel($id)", "alter($id, workers => 1)") {
  $first->query_safe("BEGIN; SELECT parallel_pull_$call");
  $pair->error_is("SELECT parallel_pull_resume($id, new_snapshot => true)", '55006',
    qr/being resumed or changed/, "a resume beside $call that is not committed is refused");
  $first->query_safe('ROLLBACK');
  is(state_of($id), 'interrupted', '… which is rolled back, and has changed nothing');
}

# A resume that has written nothing yet is ended by a cancel.
my $resumer = $pair->session('destination');
my $locker = $pair->session('source');
$locker->query_safe('BEGIN; LOCK TABLE t IN ACCESS EXCLUSIVE MODE');
$resumer->start("SELECT parallel_pull_resume($id, new_snapshot => true)");
ok(wait_until(10, sub { $pair->destination_sql(
      'SELECT count(*) FROM pg_locks WHERE objsubid = 20557') }), 'a resume has begun');
$seconds = stopwatch();
is($pair->destination_sql("SELECT parallel_pull_cancel($id)"), 't', '… and is cancelled');
cmp_ok($seconds->(), '<', $ParallelLoader::Test::PROMPT_S, '… in time');
$locker->query_safe('ROLLBACK');
$locker->close;
like($resumer->finish(20)->sqlstate, qr/^(?:57014|55P03)$/, '… which its caller is told');
like(state_of($id), qr/^(?:cancelled|interrupted)$/, '… and the pull does not go on');
$_->close for $first, $resumer;
$pair->nothing_left('… and nothing is left');

# ---- commands that cross each other ----

my @COMMANDS = (@COMMAND{qw(cancel resume fresh pause work)},
  'SELECT parallel_pull_alter(%d, workers => 2)', 'SELECT parallel_pull_alter(%d, max_rate => 3000)');
my %HONEST = map { $_ => 1 } qw(00000 55000 55006 57014 53400);
my @sessions = map { $pair->session('destination') } 1 .. 3;

sub dishonest {
  my ($session, $result) = @_;
  return $HONEST{$result->sqlstate} && !$result->is_timed_out
    ? () : "$session->{told}: " . $result->summary;
}

for my $round (1 .. $ROUNDS) {
  $id = created();
  $pair->destination_sql("SELECT parallel_pull_alter($id, workers => 1, max_rate => 2000)");
  my @odd;
  my $count = 0;
  my $until = time + 2;
  while (time < $until) {
    for my $session (@sessions) {
      next if $session->{is_busy} && !$session->is_finished;
      push @odd, dishonest($session, $session->finish(1)) if $session->{is_busy};
      $session->{told} = sprintf $COMMANDS[rand @COMMANDS], $id;
      $session->start($session->{told});
      $count++;
    }
    sleep 0.02;
  }
  # What still waits waits for a pull that is paused, or slow.
  for my $session (@sessions) {
    wait_until(30, sub {
      $pair->try_sql("SELECT parallel_pull_alter($id, workers => 2, max_rate => 0)");
      return !$session->{is_busy} || $session->is_finished;
    });
    push @odd, dishonest($session, $session->finish(5)) if $session->{is_busy};
  }
  is(join("\n", @odd), '', "round $round, $count commands: each is done, or refused");
  my $state = state_of($id);
  ok(!$UNFINISHED{$state} || $pair->coordinator_pids > 0, "… the pull is $state, and not left alone");
  $pair->destination_sql("SELECT parallel_pull_cancel($id)");
  $pair->state_becomes($id, 'cancelled|failed|done', '… it can be cancelled');
  $pair->nothing_left('… then nothing is left');
  is($pair->try_sql("SELECT rows FROM parallel_pull_resume($id, new_snapshot => true)")->summary,
    $ALL, '… and resumed');
  $pair->same_rows('SELECT * FROM t', '… to all rows, each once');
}
$_->close for @sessions;

my @wrong = grep { !may_change(split /\|/) } split /\n/,
  $pair->destination_sql('SELECT DISTINCT before, after FROM changes');
is("@wrong", '', 'whatever was written into the ledger is in the table of states');

$pair->nothing_left('no process or session is left');
$pair->finish;
