# Chaos with resume: a pull of a million rows is hit in its middle by one of all the things that can
# go wrong, on either side and between; servers are started again where they fell, and the pull is
# resumed until it is done.  Then every row is there once, and nothing is left running.
#
# PARALLEL_LOADER_CHAOS sets the number of rounds; a failure names the seed to give as
# PARALLEL_LOADER_SEED.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";

use List::Util qw(shuffle);
use ParallelLoader::Proxy;
use ParallelLoader::Session;
use ParallelLoader::SmallDisk;
use ParallelLoader::Test;
use Test::More;
use Time::HiRes qw(sleep);

my $SEED = $ENV{PARALLEL_LOADER_SEED} // time;
srand $SEED;
note("seed $SEED");

my $CRASHES = "restart_after_crash = on\nshared_buffers = 32MB\n";
my $pair = ParallelLoader::Test->new(
  source => {conf => $CRASHES},
  destination => {conf => <<"CONF"});
$CRASHES
parallel_loader.retry_budget = 5min
parallel_loader.snapshot_hold = 10min
CONF
my $proxy = ParallelLoader::Proxy->new($pair->source, is_plain => 1);

my $ROWS = 1_000_000;
my $HASH = 'SELECT count(*), sum(hashtextextended(t::text, 0)) FROM t';
$pair->source_sql(<<"SQL");
CREATE TABLE t (id integer PRIMARY KEY, note text);
INSERT INTO t SELECT i, md5(i::text) FROM generate_series(1, $ROWS) AS i;
VACUUM ANALYZE t;
SQL
$pair->destination_sql('CREATE TABLE t (id integer, note text)');
my $disk = ParallelLoader::SmallDisk->new;
$disk->take_table($pair, 't') if $disk;
my $EXPECTED = $pair->source_sql($HASH);

# ---- blows ----

my $WORKER = q(backend_type = 'parallel_loader worker');
my $COORDINATOR = q(backend_type = 'parallel_loader coordinator');
my $READER = q(application_name LIKE 'parallel_loader worker%');
my $HOLDER = q(application_name LIKE 'parallel_loader coordinator%');

sub pick {
  my ($side, $where) = @_;
  my $sql = "${side}_sql";
  return split /\n/, $pair->$sql("SELECT pid FROM pg_stat_activity WHERE $where"
      . ' ORDER BY random() LIMIT 1');
}

# Signals one of these processes, by a function of the server's, or kills it.  Ours may have gone
# before we look.
sub signal_one {
  my ($how, $side, $where) = @_;
  my $sql = "${side}_sql";
  for my $pid (pick($side, $where)) {
    $how eq 'kill' ? kill 'KILL', $pid : $pair->$sql("SELECT $how($pid)");
  }
  return;
}

sub restart {
  my ($side, $mode) = @_;
  my $node = $side eq 'source' ? $pair->source : $pair->destination;
  $node->stop($mode);
  $node->start;
  return;
}

# Each gets the pull's id and its callers' sessions.
my %BLOW = (
  'kill -9 of a worker' => sub { signal_one('kill', 'destination', $WORKER) },
  'kill -9 of the coordinator' => sub { signal_one('kill', 'destination', $COORDINATOR) },
  'kill -9 of a source backend' => sub { signal_one('kill', 'source', $READER) },
  'kill -9 of the source' => sub { $pair->crash('source')->() },
  'kill -9 of the destination' => sub { $pair->crash('destination')->() },
  'source stopped immediately' => sub { restart('source', 'immediate') },
  'destination stopped immediately' => sub { restart('destination', 'immediate') },
  'source stopped fast' => sub { restart('source', 'fast') },
  'destination stopped fast' => sub { restart('destination', 'fast') },
  'terminate of a source session' =>
    sub { signal_one('pg_terminate_backend', 'source', $READER) },
  'terminate of the snapshot\'s session' =>
    sub { signal_one('pg_terminate_backend', 'source', $HOLDER) },
  'terminate of a worker' =>
    sub { signal_one('pg_terminate_backend', 'destination', $WORKER) },
  'terminate of the coordinator' =>
    sub { signal_one('pg_terminate_backend', 'destination', $COORDINATOR) },
  'terminate of a caller' => sub {
    my ($pull_id, $caller) = @_;
    $pair->destination_sql('SELECT pg_terminate_backend(' . $caller->backend_pid . ')') if $caller;
  },
  'kill -9 of a client' => sub { my ($pull_id, $caller) = @_; $caller->kill9 if $caller },
  'cancel of a worker' => sub { signal_one('pg_cancel_backend', 'destination', $WORKER) },
  'cancel of a source query' => sub { signal_one('pg_cancel_backend', 'source', $READER) },
  'parallel_pull_cancel' =>
    sub { my ($pull_id) = @_; $pair->destination_sql("SELECT parallel_pull_cancel($pull_id)") },
  'all connections cut' => sub { $proxy->cut_all },
  'network dead, then cut' => sub { $proxy->freeze; sleep 1; $proxy->cut_all },
  'network dead, then back' => sub { $proxy->freeze; sleep 1; $proxy->thaw },
  'disk full for a while' => sub { $disk->fill; sleep 1; $disk->make_room },
);
delete $BLOW{'disk full for a while'} unless $disk;
# A pull that nobody waits for has no caller to lose.
my %NEEDS_CALLER = map { $_ => 1 } 'terminate of a caller', 'kill -9 of a client';
my %NEEDS_PROXY = map { $_ => 1 } grep { /network|connections/ } keys %BLOW;

# ---- one round ----

# A session that may have to connect again, for looks at short intervals.
my $watch;

sub look {
  my ($sql) = @_;
  for (1 .. 3) {
    $watch //= eval { $pair->session('destination') };
    my $result = $watch ? $watch->query($sql, 30) : undef;
    return $result->out if $result && $result->is_ok;
    undef $watch;
    wait_for_servers();
  }
  die "no answer to $sql";
}

sub wait_for_servers {
  for my $node ($pair->source, $pair->destination) {
    wait_until(60, sub { ParallelLoader::Session::run_sql($node, 'SELECT 1')->is_ok })
      or die $node->name . ' does not come back';
  }
  return;
}

sub state_of { my ($id) = @_; return look("SELECT state FROM parallel_pulls WHERE pull_id = $id") }

# Starts a pull in one of the ways there are; returns its id and its callers' sessions.
sub start_pull {
  my ($way, $dsn) = @_;
  my %named = (dsn => $dsn, workers => 3, chunk_size => '2MB');
  my $last = $pair->newest_pull_id;
  if ($way eq 'parallel_pull_start') {
    return $pair->destination_sql($pair->table_sql($way, 't', \%named));
  } elsif ($way eq 'parallel_pull_table') {
    my $caller = $pair->session('destination');
    $caller->start($pair->table_sql($way, 't', \%named));
    wait_until(20, sub { look('SELECT max(pull_id) FROM parallel_pulls') > $last })
      or diag('the pull did not start');
    return ($pair->newest_pull_id, $caller);
  }
  my $id = $pair->destination_sql($pair->table_sql('parallel_pull_create', 't', \%named));
  my @callers = map { $pair->session('destination') } 1 .. 2;
  $_->start("SELECT * FROM parallel_pull_work($id, workers => 2)") for @callers;
  return ($id, @callers);
}

# Brings a pull to its end whatever it takes; returns what it took, in words.
sub bring_to_end {
  my ($id) = @_;
  my @story;
  for (1 .. 8) {
    my $state = '';
    wait_until(60, sub {
      ($state, my $workers) = split /\|/,
        look("SELECT state, workers FROM parallel_pulls WHERE pull_id = $id");
      # One that sessions worked on waits for others to join.
      return $state !~ /^(?:planned|running|paused)$/ || $workers == 0;
    });
    return @story if $state eq 'done';
    my $call = $state =~ /^(?:planned|running|paused)$/ ? "parallel_pull_work($id, workers => 3)"
      : "parallel_pull_resume($id)";
    my $result = $pair->try_sql("SELECT * FROM $call");
    if ($result->sqlstate eq '55000' && $result->error->{message} =~ /snapshot .* lost/) {
      $result = $pair->try_sql("SELECT * FROM parallel_pull_resume($id, new_snapshot => true)");
      $state .= ', snapshot lost';
    }
    push @story, $state . ($result->is_ok ? '' : ': ' . $result->summary =~ s/\n.*//sr);
    wait_for_servers() unless $result->is_ok;
  }
  return (@story, 'no end');
}

sub play {
  my ($round, $blow) = @_;
  my @ways = ('parallel_pull_table', 'parallel_pull_work');
  push @ways, 'parallel_pull_start' unless $NEEDS_CALLER{$blow};
  my $way = $ways[rand @ways];
  my $rate = (0, 20_000, 10_000)[rand 3];
  my $seconds = stopwatch();

  $pair->destination_sql('TRUNCATE t');
  $pair->destination_sql('CHECKPOINT');
  my ($id, @callers) = start_pull($way, $NEEDS_PROXY{$blow} ? $proxy->dsn : $pair->dsn);
  $pair->destination_sql("SELECT parallel_pull_alter($id, max_rate => $rate)")
    if $rate && state_of($id) ne 'done';
  my ($chunks, $done, $state) = (0, 0, '');
  wait_until(20, sub {
    $chunks = look("SELECT chunks FROM parallel_pulls WHERE pull_id = $id");
  });
  my $moment = int rand 0.7 * $chunks;
  wait_until(30, sub {
    ($done, $state) = split /\|/,
      look("SELECT chunks_done, state FROM parallel_pulls WHERE pull_id = $id");
    return $done >= $moment || $state !~ /^(?:planned|running)$/;
  });
  my $case = sprintf '%s at %d of %d chunks, %s, %s', $blow, $done, $chunks, $way,
    $rate ? "$rate kB/s" : 'no limit';

  $BLOW{$blow}->($id, @callers);
  wait_for_servers();
  my @story = bring_to_end($id);
  my $last = 0;
  $last += !$_->finish(30)->is_timed_out for @callers;
  is($last, @callers, "round $round of seed $SEED: $case: the callers' calls end");
  $_->close for @callers;

  cmp_ok($chunks, '>=', 20, '… it had enough chunks');
  is(state_of($id), 'done', '… the pull is brought to its end') or diag join "\n", @story;
  is($pair->destination_sql($HASH), $EXPECTED, '… with every row once');
  is($pair->pull($id)->{rows}, $ROWS, '… all of them counted');
  $pair->nothing_left('… and nothing is left');
  note(sprintf 'round %d: %s: %s; retries %d; %.1f s', $round, $case,
    @story ? join(' | ', @story) . ', resumed' : 'went on', $pair->pull($id)->{retries},
    $seconds->());
  return;
}

my @blows = shuffle sort keys %BLOW;
my $ROUNDS = $ENV{PARALLEL_LOADER_CHAOS} // @blows;
play($_, $blows[($_ - 1) % @blows]) for 1 .. $ROUNDS;

# ---- undisturbed ----

$pair->destination_sql('TRUNCATE t');
my ($id, @callers) = start_pull('parallel_pull_work', $pair->dsn);
my ($chunks, $rows) = (0, 0);
for my $caller (@callers) {
  my @result = split /\|/, $caller->finish(60)->out;
  cmp_ok($result[0], '>', 0, 'each of two sessions that join a pull moves chunks');
  $chunks += $result[0];
  $rows += $result[1];
  $caller->close;
}
is($chunks, $pair->pull($id)->{chunks}, '… together all of them');
is($rows, $ROWS, '… and all rows');
is($pair->destination_sql($HASH), $EXPECTED, '… each once');
is($pair->pull($id)->{retries}, 0, '… without a retry');

undef $watch;
$pair->nothing_left('no process or session is left');
$pair->finish;
