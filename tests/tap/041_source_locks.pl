# Locks on the source: a command that queues up there neither ends a pull nor is kept waiting by what
# a failed one holds; a table of many partitions needs no large lock table.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";

use ParallelLoader::Test;
use Test::More;
use Time::HiRes qw(sleep time);

my $pair = ParallelLoader::Test->new(
  source => {conf => "max_connections = 20\nmax_locks_per_transaction = 16\n"},
  destination => {conf => <<'CONF'});
parallel_loader.retry_budget = 60s
parallel_loader.snapshot_hold = 10min
CONF
my $ROWS = 6000;
$pair->create_gate;
$pair->source_sql(<<"SQL");
CREATE TABLE t (id integer PRIMARY KEY, pad text);
INSERT INTO t SELECT i, repeat('x', 100) FROM generate_series(1, $ROWS) AS i;
SQL
$pair->destination_sql('CREATE TABLE t (id integer, pad text)');

# ---- a command that queues up while a pull runs ----

$pair->close_gate;
my $pull = $pair->session('destination');
$pull->start($pair->table_sql('parallel_pull_table', 't',
  {key => 'id', workers => 2, chunk_size => '64kB', filter => 'public.gate(id, 100)'}));
$pair->wait_at_gate(2);
my $ddl = $pair->queue_up('ALTER TABLE t ADD COLUMN extra integer');
# The worker that comes back finds itself behind the command.
$pair->source_sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
    . "WHERE application_name LIKE 'parallel_loader worker%' LIMIT 1");
sleep 4;
my $id = $pair->newest_pull_id;
is($pair->pull($id)->{state}, 'running', 'a pull goes on beside a command that queues up');
$pair->open_gate;
wait_until(40, sub { $pair->pull($id)->{state} ne 'running' || $ddl->is_finished });
isnt($pair->pull($id)->{state}, 'failed', '… also when a worker has to dial again behind it');
ok($ddl->finish(60)->is_ok, '… and the command has its turn');
my $result = $pull->finish(60);
like($result->summary, qr/^success: \(\d+,$ROWS,/, '… the other worker ends the pull, every row once');
$pair->destination_sql('TRUNCATE t');

# ---- a worker that comes behind the queue when the others are nearly through ----

$id = $pair->destination_sql('SELECT id FROM (SELECT (' . $pair->table_sql('parallel_pull_start', 't',
    {key => 'id', workers => 1, chunk_size => '64kB', columns => ['id', 'pad']})
    . ') AS id OFFSET 0) AS started, LATERAL parallel_pull_alter(id, max_rate => 300)');
wait_until(20, sub { $pair->pull($id)->{rows} > 0 });
$ddl = $pair->queue_up('ALTER TABLE t ALTER COLUMN extra SET DEFAULT 1');
$pair->destination_sql("SELECT parallel_pull_alter($id, workers => 2)");
my $WAITS = q(SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'
  AND application_name LIKE 'parallel_loader worker%');
wait_until(10, sub { $pair->source_sql($WAITS) > 0 });
$pair->destination_sql("SELECT parallel_pull_alter($id, max_rate => 0)");
wait_until(10, sub { $pair->pull($id)->{state} ne 'running' });
is($pair->pull($id)->{state}, 'done', 'the worker that has its lock stays for the chunk of one that waits')
  or diag $pair->pull($id)->{error};
is($pair->destination_sql('SELECT count(*) FROM t'), $ROWS, '… every row once');
ok($ddl->finish(20)->is_ok, '… and the command has its turn');
$pair->destination_sql('TRUNCATE t');

# ---- a failed pull gives way ----

$pair->destination_sql('ALTER TABLE t ADD CONSTRAINT ok CHECK (id < 4000)');
$pair->error_is(
  $pair->table_sql('parallel_pull_table', 't',
    {key => 'id', workers => 1, chunk_size => '64kB', columns => ['id', 'pad']}),
  '23514', qr/ok/, 'a pull fails in its middle');
$id = $pair->newest_pull_id;
my $began = time;
$ddl = $pair->queue_up('ALTER TABLE t DROP COLUMN extra');
ok($ddl->finish(40)->is_ok, 'what a failed pull holds gives way to who waits for it');
cmp_ok(time - $began, '<', 35, '… long before parallel_loader.snapshot_hold is over');
is($pair->destination_sql("SELECT hold_ended FROM parallel_loader.pull WHERE pull_id = $id"),
  'a session of the source waited for a lock that the pull held', '… and the ledger says why');

# ---- many partitions ----

# Room for 16 * 20 locks and some more: three for each of 250 partitions would not fit four times.
$pair->source_sql('CREATE TABLE m (id integer, d integer NOT NULL, PRIMARY KEY (d, id)) '
    . 'PARTITION BY LIST (d); CREATE INDEX ON m (id)');
for my $first (0 .. 4) {
  $pair->source_sql(join ';', map { "CREATE TABLE m$_ PARTITION OF m FOR VALUES IN ($_)" }
      $first * 50 .. $first * 50 + 49);
}
$pair->source_sql("INSERT INTO m$_ SELECT i, $_ FROM generate_series(1, 4) AS i") for 0, 1, 249;
$pair->destination_sql('CREATE TABLE m (id integer, d integer)');
is($pair->destination_sql($pair->pull_sql('m', undef, undef, {key => 'id', workers => 4})), 12,
  'many partitions are pulled with a small lock table');

$pair->finish;
