# Background worker slots: with fewer than asked for a pull runs with those there are and says so,
# with one the coordinator moves the rows itself, with none it is refused.  Sessions that join one
# pull share its chunks.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";

use ParallelLoader::Test;
use Test::More;

# Three slots: a coordinator and two workers.
my $pair = ParallelLoader::Test->new(destination => {conf => 'max_worker_processes = 3'});
my $ROWS = 60000;

$pair->both_sql('CREATE TABLE items (id integer PRIMARY KEY, note text)');
$pair->source_sql(<<"SQL");
INSERT INTO items SELECT i, repeat('n', 200) FROM generate_series(1, $ROWS) AS i;
ANALYZE items;
SQL
$pair->create_gate;
$pair->source_sql('CREATE VIEW gated AS SELECT id, note FROM items WHERE gate(id, 2)');
$pair->both_sql('CREATE TABLE other (id integer PRIMARY KEY, note text)');

# Takes slots by pulls that stand at the gate; `gated` is a view, so it is one piece and one worker.
sub occupy {
  my ($pulls) = @_;
  $pair->close_gate;
  my @ids = map {
    $pair->destination_sql($pair->table_sql('parallel_pull_start', 'other',
        {source_table => 'gated', workers => 1}))
  } 1 .. $pulls;
  $pair->wait_at_gate($pulls);
  return @ids;
}

sub release {
  my (@ids) = @_;
  $pair->destination_sql("SELECT parallel_pull_cancel($_)") for @ids;
  $pair->open_gate;
  $pair->nothing_left('slots are free again');
  return;
}

# ---- fewer slots than workers ----

my $few = $pair->try_sql($pair->pull_sql('items', undef, undef, {workers => 8}));
is($few->out, $ROWS, 'with fewer slots than workers all rows come');
like($few->err, qr/pulling with 2 of 8 workers/, 'a notice says how many workers there are');
like($few->err, qr/max_worker_processes/, '… and which setting gives more');
$pair->same_rows('SELECT * FROM items', 'every row is there once');

# ---- a single slot ----

my @busy = occupy(1);
$pair->destination_sql('TRUNCATE items');
my $single = $pair->try_sql($pair->pull_sql('items', undef, undef));
is($single->out, $ROWS, 'with a single slot all rows come');
like($single->err, qr/coordinator moves the rows itself/, 'a notice says who moves them');
$pair->same_rows('SELECT * FROM items', 'every row is there once when the coordinator works');

my $violation = $pair->error_is($pair->pull_sql('items', 1, 3), '23505', qr/Key \(id\)=\(1\)/,
  'a coordinator that works reports an error whole');
like($violation->error->{detail}, qr/failed at chunk 1/, '… with pull and chunk');
is($pair->pull->{state}, 'failed', '… and the pull has failed');

$pair->destination_sql('TRUNCATE items');
my $created = $pair->destination_sql($pair->table_sql('parallel_pull_create', 'items'));
my $joined = $pair->try_sql("SELECT rows, remaining FROM parallel_pull_work($created)");
is($joined->out, "$ROWS|0", 'a session that joins without a free slot lets the coordinator work');
$pair->same_rows('SELECT * FROM items', '… every row once');
release(@busy);

# ---- no slot ----

@busy = occupy(1);
my $idle = $pair->destination_sql($pair->table_sql('parallel_pull_create', 'items'));
$pair->error_is($pair->pull_sql('items', 1, 2), '53400', qr/max_worker_processes/,
  'without a slot a pull is refused, with a hint');
release(@busy, $idle);

# ---- joining ----

$pair->destination_sql('TRUNCATE items');
my $pull = $pair->destination_sql($pair->table_sql('parallel_pull_create', 'items'));
is($pair->pull($pull)->{state}, 'planned', 'a created pull is planned');
is($pair->destination_sql('SELECT count(*) FROM items'), 0, '… and has moved nothing');
my $chunks = $pair->pull($pull)->{chunks};
cmp_ok($chunks, '>=', 4, 'it has several chunks');
my $first = $pair->destination_sql("SELECT chunks, remaining FROM parallel_pull_work($pull, max_chunks => 1)");
is($first, '1|' . ($chunks - 1), 'max_chunks bounds what a session does');
is($pair->pull($pull)->{state}, 'running', 'a pull that has begun is running');
$pair->error_is("SELECT parallel_pull_work($pull, max_chunks => 0)", '22023', qr/max_chunks/,
  'max_chunks must be positive');

my @sessions = map { $pair->session('destination') } 1 .. 2;
$_->start("SELECT chunks, rows FROM parallel_pull_work($pull)") for @sessions;
my @parts = map { [split /\|/, $_->finish->out] } @sessions;
is($parts[0][0] + $parts[1][0], $chunks - 1, 'two sessions share the chunks and double none');
is($pair->pull($pull)->{state}, 'done', 'the pull is done after the last chunk');
$pair->same_rows('SELECT * FROM items', 'joined sessions move every row once');
is($pair->destination_sql("SELECT chunks, rows, bytes, remaining FROM parallel_pull_work($pull)"),
  '0|0|0|0', 'joining a pull that is done does nothing');
$pair->error_is('SELECT parallel_pull_work(0)', '42704', qr/pull 0 does not exist/,
  'joining a pull that does not exist is an error');
$pair->error_is("SELECT parallel_pull_work($busy[0])", '55000', qr/cancelled/,
  'joining a pull that was cancelled is an error');

# ---- sessions that leave ----

$pair->close_gate;
$pull = $pair->destination_sql(
  $pair->table_sql('parallel_pull_create', 'other', {source_table => 'gated'}));
my $leaving = $pair->session('destination');
$leaving->start("SELECT parallel_pull_work($pull)");
$pair->wait_at_gate;
$pair->destination_sql('SELECT pg_cancel_backend(' . $leaving->backend_pid . ')');
is($leaving->finish->error->{sqlstate}, '57014', 'a session that joined can be cancelled');
wait_until(5, sub { !$pair->worker_pids });
is(scalar(() = $pair->worker_pids), 0, '… which ends its workers');
is($pair->pull($pull)->{state}, 'running', '… but not the pull');
$leaving->start("SELECT parallel_pull_work($pull)");
$pair->wait_at_gate;
$leaving->kill9;
$pair->state_becomes($pull, 'cancelled', 'a joined session whose client is lost ends the pull');
$pair->nothing_left('… and leaves nothing running');
$pair->open_gate;

# ---- nobody comes ----

$pair->destination_sql(
  'SET parallel_loader.snapshot_hold = 1; ' . $pair->table_sql('parallel_pull_create', 'items'));
$pair->state_becomes($pair->newest_pull_id, 'failed',
  'a created pull that nobody works on lets its snapshot go');
$pair->nothing_left('… and its coordinator ends');

$pair->finish;
