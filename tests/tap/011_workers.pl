# Worker processes: as many as asked, fewer with a notice, the coordinator alone, none; and sessions
# that join one pull share its chunks without doing any twice.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";

use ParallelLoader::Test;
use Test::More;

my $pair = ParallelLoader::Test->new;

# Nine megabytes make eight chunks or so.
my $ROWS = 60000;
$pair->create_gate;
$pair->source_sql(<<"SQL");
CREATE TABLE t (id integer PRIMARY KEY, note text);
INSERT INTO t SELECT i, repeat('n', 110) || i FROM generate_series(1, $ROWS) AS i;
SQL
$pair->destination_sql('CREATE TABLE t (id integer, note text);'
    . 'CREATE TABLE t2 (id integer, note text)');

# With this filter each worker stops at the first row of its first chunk while the gate is closed.
# The plan asks for the lowest and highest key under the filter, so the gate must be open then.
my %STOP = (filter => 'public.gate(id, 0)');

sub counts_of { return join '|', scalar($pair->coordinator_pids), scalar($pair->worker_pids) }

sub set_slots {
  my ($slots) = @_;
  $pair->destination->append_conf('postgresql.conf', "max_worker_processes = $slots");
  $pair->destination->restart;
  $pair->destination_sql('TRUNCATE t, t2');
  return;
}

sub all_rows_are_there {
  my ($rule) = @_;
  local $Test::Builder::Level = $Test::Builder::Level + 1;
  $pair->same_rows('SELECT * FROM t', $rule);
  $pair->destination_sql('TRUNCATE t');
  return;
}

# ---- as many as asked ----

# Starts a pull whose workers all stop in their first chunk.
sub start_stopped {
  my ($workers) = @_;
  my $pull_id = $pair->destination_sql(
    $pair->table_sql('parallel_pull_create', 't', {workers => $workers, %STOP}));
  $pair->close_gate;
  my $session = $pair->session('destination');
  $session->start("SELECT * FROM parallel_pull_work($pull_id, workers => $workers)");
  return ($pull_id, $session);
}

for my $workers (1, 3) {
  my ($pull_id, $session) = start_stopped($workers);
  $pair->wait_at_gate($workers);
  is(scalar($pair->pids_at_gate), $workers, "$workers workers: as many source queries run at once");
  is($pair->pull($pull_id)->{workers}, $workers, '… and the view counts as many');
  my @running = grep { $_->{state} eq 'running' } $pair->chunks($pull_id);
  is(scalar @running, $workers, '… each with a chunk of its own');
  $pair->open_gate;
  my $result = $session->finish(30);
  my ($chunks, $rows, $bytes, $remaining) = split /\|/, $result->out;
  is($rows, $ROWS, '… that move all rows') or diag $result->summary;
  is($chunks, $pair->pull($pull_id)->{chunks}, '… in all chunks');
  is($bytes, $pair->pull($pull_id)->{bytes}, '… and count their bytes');
  is($remaining, 0, '… until none remains');
  is($pair->pull($pull_id)->{state}, 'done', '… and the pull is done');
  is(scalar(grep { /worker/ } $result->notices), 0, '… without a notice');
  all_rows_are_there('… every row once');
  $pair->nothing_left('… and nothing is left');
}

# ---- a part of a pull ----

my $pull_id = $pair->destination_sql($pair->table_sql('parallel_pull_create', 't', {workers => 2}));
my $pull = $pair->pull($pull_id);
is($pull->{state}, 'planned', 'parallel_pull_create plans');
is($pull->{chunks_done}, 0, '… and moves nothing');
is($pair->destination_sql('SELECT count(*) FROM t'), 0, '… not one row');
my $total = $pull->{chunks};
cmp_ok($total, '>=', 6, '… but has cut the table');
my ($chunks_moved, $rows_moved) = (0, 0);
for my $case ([1, 1], [1, 2], [2, 2]) {
  my ($workers, $max_chunks) = @$case;
  my ($chunks, $rows, $bytes, $remaining) = split /\|/, $pair->destination_sql(
    "SELECT * FROM parallel_pull_work($pull_id, workers => $workers, max_chunks => $max_chunks)");
  is($chunks, $max_chunks, "max_chunks $max_chunks with $workers workers moves as many");
  $chunks_moved += $chunks;
  $rows_moved += $rows;
  is($remaining, $total - $chunks_moved, '… and says how many remain');
  is($pair->destination_sql('SELECT count(*) FROM t'), $rows_moved, '… and how many rows it moved');
  like($pair->pull($pull_id)->{state}, qr/^(?:running|planned)$/, '… and the pull is not done');
}
my $last = $pair->destination_sql("SELECT rows, remaining FROM parallel_pull_work($pull_id)");
is($last, ($ROWS - $rows_moved) . '|0', 'without max_chunks it moves all that remain');
is($pair->pull($pull_id)->{state}, 'done', '… and the pull is done');
is($pair->destination_sql("SELECT * FROM parallel_pull_work($pull_id)"), '0|0|0|0',
  'a done pull has nothing more to move');
all_rows_are_there('… every row once');

# ---- several sessions ----

$pull_id = $pair->destination_sql($pair->table_sql('parallel_pull_create', 't',
  {workers => 2, %STOP}));
$pair->close_gate;
my @sessions = map { $pair->session('destination') } 1 .. 3;
$_->start("SELECT * FROM parallel_pull_work($pull_id, " . literal($pair->dsn) . ')') for @sessions;
ok($pair->wait_at_gate(3), 'three sessions work on one pull at once');
my @taken = grep { $_->{state} eq 'running' } $pair->chunks($pull_id);
is(scalar @taken, 3, '… on three chunks');
$pair->open_gate;
my %sum = (chunks => 0, rows => 0);
for my $session (@sessions) {
  my $result = $session->finish(30);
  my ($chunks, $rows) = split /\|/, $result->out;
  cmp_ok($chunks // 0, '>=', 1, '… each moves some') or diag $result->summary;
  $sum{chunks} += $chunks // 0;
  $sum{rows} += $rows // 0;
  $session->close;
}
is($sum{chunks}, $pair->pull($pull_id)->{chunks}, '… all of them together');
is($sum{rows}, $ROWS, '… and all rows');
is($pair->pull($pull_id)->{state}, 'done', '… and the pull is done');
all_rows_are_there('… every row once');
$pair->nothing_left('… and nothing is left');

# A session may leave; its pull stays for others.
$pull_id = $pair->destination_sql($pair->table_sql('parallel_pull_create', 't',
  {workers => 2, %STOP}));
$pair->close_gate;
my $leaving = $pair->session('destination');
$leaving->start("SELECT parallel_pull_work($pull_id, workers => 2)");
$pair->wait_at_gate(2);
$pair->state_becomes($pull_id, 'running', 'a pull that a session works on runs');
$pair->destination_sql('SELECT pg_cancel_backend(' . $leaving->backend_pid . ')');
$pair->result_is_error($leaving->finish(5), '57014', qr/cancel/,
  'a session that joined can be cancelled');
is(wait_until($ParallelLoader::Test::PROMPT_S, sub { counts_of() eq '1|0' }), 1,
  '… which ends its workers');
is($pair->pull($pull_id)->{state}, 'running', '… but not the pull');
$pair->open_gate;
is($leaving->query("SELECT rows, remaining FROM parallel_pull_work($pull_id)")->summary,
  "success: $ROWS|0", '… whose chunks can be moved later');
$leaving->close;
all_rows_are_there('… every row once');

# One of the sessions is lost: what it had begun leaves no row, whatever becomes of the pull.
$pull_id = $pair->destination_sql($pair->table_sql('parallel_pull_create', 't',
  {workers => 2, %STOP}));
$pair->close_gate;
@sessions = map { $pair->session('destination') } 1 .. 2;
$_->start("SELECT * FROM parallel_pull_work($pull_id)") for @sessions;
$pair->wait_at_gate(2);
$sessions[0]->kill9;
ok(wait_until($ParallelLoader::Test::PROMPT_S, sub {
  return $pair->pids_at_gate <= 1;
}), 'a lost session\'s source query ends in time');
$pair->open_gate;
$sessions[1]->finish(30);
$sessions[1]->close;
# In case the lost session's chunk is still to be moved.
$pair->try_sql("SELECT * FROM parallel_pull_work($pull_id)");
$pair->only_done_chunks_left_rows($pull_id, 't', 'id', 'no chunk is moved twice, none by half');
$pair->try_sql("SELECT parallel_pull_cancel($pull_id)");
$pair->nothing_left('… and nothing is left');
$pair->destination_sql('TRUNCATE t');

$pull_id = $pair->destination_sql($pair->table_sql('parallel_pull_create', 't'));
$pair->destination_sql("SELECT parallel_pull_cancel($pull_id)");
$pair->state_becomes($pull_id, 'cancelled', 'a planned pull can be cancelled');
$pair->error_is("SELECT parallel_pull_work($pull_id)", '55000', qr/cancelled/,
  '… and then not be joined');

# A snapshot that nobody uses must not hold back the source's vacuum for ever.
$pair->destination_sql('SET parallel_loader.snapshot_hold = 1; '
    . $pair->table_sql('parallel_pull_create', 't'));
$pair->state_becomes($pair->newest_pull_id, 'failed',
  'a created pull that nobody works on lets its snapshot go');
$pair->nothing_left('… and its coordinator ends');

# ---- several pulls ----

# The way without a plan: ranges of one table, each pulled by a session of its own.
$pair->destination_sql('TRUNCATE t');
my @bounds = (['NULL', 10001], [10001, 30001], [30001, 30002], [30002, 'NULL']);
@sessions = map { $pair->session('destination') } @bounds;
$sessions[$_]->start($pair->pull_sql('t', @{$bounds[$_]}, {workers => 2})) for 0 .. $#bounds;
my $sum = 0;
$sum += $_->finish(30)->out for @sessions;
is($sum, $ROWS, 'pulls of neighbouring ranges can run at once');
$_->close for @sessions;
all_rows_are_there('… every row once');

# ---- too few slots ----

my $CALL = $pair->pull_sql('t', 1, $ROWS + 1, {workers => 4});

# The coordinator takes one of them.
set_slots(3);
my $result = $pair->try_sql($CALL);
is($result->summary, "success: $ROWS", 'two workers where four were asked for: all rows');
is(scalar(grep { /\b2 of 4 workers/ } $result->notices), 1, '… and a notice says so')
  or diag $result->err;
like($result->err, qr/max_worker_processes/, '… and which setting gives more');
all_rows_are_there('… every row once');

# All slots are taken by another pull.
my ($busy_pull, $busy) = start_stopped(2);
$pair->wait_at_gate(2);
for my $call ($CALL, $pair->table_sql('parallel_pull_start', 't2', {source_table => 't'})) {
  my $refused = $pair->error_is($call, '53400', qr/./, 'no slot is free: an error');
  like(($refused->error // {hint => ''})->{hint}, qr/max_worker_processes/,
    '… whose hint names max_worker_processes');
}
$pair->open_gate;
is($busy->finish(30)->sqlstate, '00000', '… that does not disturb the pull that has them');
$busy->close;
$pair->nothing_left('… and nothing is left');

# The coordinator runs no code of users, so it takes two.
for my $slots (0, 1) {
  set_slots($slots);
  my $before = $pair->destination_sql('SELECT count(*) FROM parallel_pulls');
  for my $call ($CALL, $pair->table_sql('parallel_pull_start', 't')) {
    my $refused = $pair->error_is($call, '53400', qr/needs two .* has $slots/,
      "$slots slots: an error");
    like(($refused->error // {hint => ''})->{hint}, qr/max_worker_processes to 2/,
      '… whose hint says how many are needed');
  }
  is($pair->destination_sql('SELECT count(*) FROM t'), 0, '… and not one row');
  is($pair->destination_sql('SELECT count(*) FROM parallel_pulls'), $before,
    '… and no pull is recorded');
}

set_slots(16);
$pair->pull_returns($ROWS, 't', 1, $ROWS + 1, {workers => 4}, 'after all of this a pull works');
$pair->nothing_left('no process or session is left');
$pair->finish;
