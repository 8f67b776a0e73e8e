# Chaos: a pull is hit at a random moment by one of all the things that can end it.  Whatever it
# was, nothing is left running, the rows in the table are those of the done chunks, and a caller who
# was told of success has every row once.  PARALLEL_LOADER_CHAOS sets the number of rounds; a
# failure names the seed to give as PARALLEL_LOADER_SEED.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";

use ParallelLoader::Test;
use Test::More;
use Time::HiRes qw(sleep);

my $ROUNDS = $ENV{PARALLEL_LOADER_CHAOS} // 22;
my $SEED = $ENV{PARALLEL_LOADER_SEED} // time;
srand $SEED;

my $pair = ParallelLoader::Test->new;
my $ROWS = 60000;
$pair->source_sql(<<"SQL");
CREATE TABLE t (id integer PRIMARY KEY, note text);
INSERT INTO t SELECT i, repeat('n', 110) || i FROM generate_series(1, $ROWS) AS i;
SQL
$pair->destination_sql('CREATE TABLE t (id integer, note text)');

# A bystander's transaction, to see that nobody else is hit.
my $bystander = $pair->session('destination');
$bystander->query_safe('BEGIN; CREATE TABLE bystander (id integer)');

sub signal_one {
  my ($side, $function, $where) = @_;
  my $sql = "${side}_sql";
  # Ours may have gone before we look.
  return $pair->$sql("SELECT count($function(pid)) FROM"
      . " (SELECT pid FROM pg_stat_activity WHERE $where ORDER BY random() LIMIT 1) AS one");
}

my $WORKER = q(backend_type = 'parallel_loader worker');
my $COORDINATOR = q(backend_type = 'parallel_loader coordinator');
my $SOURCE = q(application_name LIKE 'parallel_loader%');
my %BLOW = (
  'nothing' => sub { },
  'cancel of the caller' => sub { signal_one('destination', 'pg_cancel_backend',
    'pid = ' . $_[0]->backend_pid) },
  'terminate of the caller' =>
    sub { signal_one('destination', 'pg_terminate_backend', 'pid = ' . $_[0]->backend_pid) },
  'kill -9 of the client' => sub { $_[0]->kill9 },
  'cancel of a worker' => sub { signal_one('destination', 'pg_cancel_backend', $WORKER) },
  'terminate of a worker' => sub { signal_one('destination', 'pg_terminate_backend', $WORKER) },
  'cancel of the coordinator' => sub { signal_one('destination', 'pg_cancel_backend',
    $COORDINATOR) },
  'terminate of the coordinator' => sub { signal_one('destination', 'pg_terminate_backend',
    $COORDINATOR) },
  'cancel of a source query' => sub { signal_one('source', 'pg_cancel_backend', $SOURCE) },
  'terminate of a source session' => sub { signal_one('source', 'pg_terminate_backend', $SOURCE) },
  'parallel_pull_cancel' => sub {
    $pair->try_sql('SELECT parallel_pull_cancel(max(pull_id)) FROM parallel_pulls')
  },
);

my @blows = sort keys %BLOW;
for my $round (1 .. $ROUNDS) {
  # Each in turn, so that none is missed; when it falls is left to chance.
  my $blow = $blows[$round % @blows];
  my $format = $round % 2 ? 'binary' : 'text';
  my $pause = rand 0.5;
  my $case = sprintf 'round %d of seed %d: %s after %.2f s, %s', $round, $SEED, $blow, $pause,
    $format;

  $pair->destination_sql('TRUNCATE t');
  my $last_pull = $pair->newest_pull_id;
  my $caller = $pair->session('destination');
  $caller->start($pair->pull_sql('t', undef, undef, {workers => 3, format => $format}));
  sleep $pause;
  $BLOW{$blow}->($caller);
  my $result = $caller->finish(10);
  ok(!$result->is_timed_out, "$case: the call ends");
  $caller->close;
  $pair->nothing_left('… and leaves nothing');

  my $pull = $pair->pull;
  # Struck down before it was written anywhere.
  next if $pull->{pull_id} == $last_pull;
  like($pull->{state}, qr/^(?:done|failed|cancelled|interrupted)$/, '… its state is final');
  my $is_success = $result->is_ok && $blow ne 'kill -9 of the client';
  is($pull->{state}, 'done', '… a call that succeeded is done') if $is_success;
  is($result->out, $ROWS, '… and has told the rows') if $is_success;
  isnt($pull->{state}, 'done', '… a call that failed is not done')
    if $result->error && $result->sqlstate ne '57P01' && $blow ne 'cancel of the caller';
  if ($pull->{state} eq 'done') {
    $pair->same_rows('SELECT * FROM t', '… every row is there once');
  } else {
    $pair->only_done_chunks_left_rows($pull->{pull_id}, 't', 'id',
      '… only done chunks have left rows');
  }
}

is($bystander->query('INSERT INTO bystander VALUES (1); COMMIT')->summary, 'success: ',
  'nobody else was disturbed');
is($pair->try_sql('TRUNCATE t; ' . $pair->pull_sql('t'))->summary, "success: $ROWS",
  'after all of this a pull works');
$pair->finish;
