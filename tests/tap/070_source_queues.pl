# Commands that queue up on the source while no worker has its lock yet: neither they nor the pull
# wait for ever; nobody there is kept waiting by a pull that cannot move.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";

use ParallelLoader::Test;
use Test::More;
use Time::HiRes qw(sleep);

my $pair = ParallelLoader::Test->new(destination => {conf => <<'CONF'});
parallel_loader.retry_budget = 60s
parallel_loader.snapshot_hold = 10min
CONF
my $ROWS = 6000;
$pair->create_gate;
$pair->source_sql(<<"SQL");
CREATE TABLE t (id integer PRIMARY KEY, pad text);
INSERT INTO t SELECT i, repeat('x', 100) FROM generate_series(1, $ROWS) AS i;
CREATE TABLE u AS TABLE t;
CREATE TABLE w AS TABLE t;
CREATE TABLE v AS TABLE t;
CREATE TABLE k AS TABLE t;
CREATE TABLE r (LIKE t INCLUDING ALL);
INSERT INTO r TABLE t;
CREATE TABLE a (LIKE t INCLUDING ALL);
INSERT INTO a TABLE t;
CREATE ROLE limited LOGIN;
GRANT SELECT ON a TO limited;
CREATE TABLE p (id integer PRIMARY KEY, pad text) PARTITION BY RANGE (id);
CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (3000);
CREATE TABLE p2 PARTITION OF p FOR VALUES FROM (3000) TO (9000);
INSERT INTO p SELECT * FROM t;
SQL
$pair->destination_sql("CREATE TABLE $_ (id integer, pad text)") for qw(t u v w k r p a);

sub create {
  my ($table, %named) = @_;
  return $pair->destination_sql($pair->table_sql('parallel_pull_create', $table, {key => 'id', %named}));
}

sub waiting_for {
  return $pair->destination_sql('SELECT waiting_for FROM parallel_pull_progress WHERE pull_id = '
      . $pair->newest_pull_id);
}

# All at once, as most of it is waiting.

# Before the plan: a lock that conflicts is held.
my $locker = $pair->session('source');
$locker->query_safe('BEGIN; LOCK TABLE w IN ACCESS EXCLUSIVE MODE');
my $planned = $pair->session('destination');
$planned->start($pair->table_sql('parallel_pull_table', 'w') =~ s/^SELECT/SELECT rows FROM/r);
ok(wait_until(15, sub { waiting_for() =~ /^a lock on table "public\.w" on the source/ }),
  'waiting_for says what a pull waits for that has no plan yet') or diag waiting_for();
$locker->query_safe('COMMIT');
is($planned->finish(30)->summary, "success: $ROWS", '… which goes on as soon as it can');
$_->close for $locker, $planned;

# A pull of `r` fails in its middle, to be resumed behind a command.
$pair->destination_sql('ALTER TABLE r ADD CONSTRAINT ok CHECK (id < 4000)');
$pair->error_is($pair->table_sql('parallel_pull_table', 'r', {key => 'id', workers => 1, chunk_size => '64kB'}),
  '23514', qr/ok/, 'a pull fails in its middle');
my %id = (r => $pair->newest_pull_id);
$pair->destination_sql('ALTER TABLE r DROP CONSTRAINT ok');
$pair->source_sql('DELETE FROM r WHERE id > 5900');

# The append of `a` gets no second session on the source, so its worker comes behind a command.
my $append = $pair->table_sql('parallel_pull_append', 'a', {dsn => $pair->dsn(undef, 'user=limited')});
is($pair->destination_sql($append), $ROWS, 'an append');
$pair->source_sql("INSERT INTO a VALUES (7000, 'new'); ALTER ROLE limited CONNECTION LIMIT 1");
my $appending = $pair->session('destination');
$appending->start("SET statement_timeout = '40s'; $append");
wait_until(10, sub { $pair->source_sql("SELECT count(*) FROM pg_locks WHERE relation = 'a'::regclass") > 0
      && $pair->pull->{retries} > 0 }) or diag 'the worker of the append has got a session';

# Between plan and first worker: `t` gets a column, `u` loses its rows, a command keeps `k` longer than
# the budget, nobody works on `v`; one partition's worker is busy while a command waits for the other.
$id{$_} = create($_) for qw(t u v);
$id{k} = $pair->destination_sql("SET parallel_loader.retry_budget = '13s'; "
    . $pair->table_sql('parallel_pull_create', 'k', {key => 'id'}));
my %ddl = (
  t => $pair->queue_up('ALTER TABLE t ADD COLUMN extra integer'),
  u => $pair->queue_up('TRUNCATE u'),
  v => $pair->queue_up('ALTER TABLE v ADD COLUMN extra integer'),
  r => $pair->queue_up('ALTER TABLE r ADD COLUMN extra integer'),
  k => $pair->queue_up('BEGIN; ALTER TABLE k ALTER pad SET NOT NULL'));
$ddl{a} = $pair->queue_up('TRUNCATE a');
$pair->source_sql('ALTER ROLE limited CONNECTION LIMIT -1');
my %work;
for my $table (qw(t u k)) {
  $work{$table} = $pair->session('destination');
  $work{$table}->start("SET statement_timeout = '40s'; SELECT remaining FROM parallel_pull_work($id{$table})");
}
$work{r} = $pair->session('destination');
$work{r}->start("SET statement_timeout = '40s'; SELECT rows FROM parallel_pull_resume($id{r})");
$pair->close_gate;
my $leaf = $pair->session('destination');
$leaf->start($pair->table_sql('parallel_pull_table', 'p',
    {key => 'id', workers => 1, filter => 'public.gate(id, 100)'}) =~ s/^SELECT/SELECT rows FROM/r);
$pair->wait_at_gate;
$ddl{p} = $pair->queue_up('ALTER TABLE p2 ADD CHECK (id > 0)');
$pair->open_gate;

is($work{t}->finish(45)->summary, 'success: 0', 'a command before the first worker has its turn, then the pull');
is($pair->destination_sql('SELECT count(*) FROM t'), $ROWS, '… every row once');
my $result = $work{u}->finish(45);
$pair->result_is_error($result, '55000',
  qr/emptied or rewritten after the snapshot/, '… what the command has made of the table is looked at');
is($pair->destination_sql('SELECT count(*) FROM u'), 0, '… and nothing is pulled of what was emptied');
is($leaf->finish(45)->summary, "success: $ROWS", 'a command that waits for one partition has its turn, then the pull');
for my $table (sort keys %ddl) {
  ok($ddl{$table}->finish(20)->is_ok, "… the command on $table has had its turn");
}
is($pair->pull($id{v})->{state}, 'planned', '… of a pull that nobody works on, too');
is($pair->try_sql("SELECT remaining FROM parallel_pull_work($id{v})")->summary, 'success: 0', '… which is moved later');
is($pair->try_sql("SELECT rows FROM parallel_pull_resume($id{u})")->summary, 'success: 0',
  '… and a resume of what was emptied plans it anew');

$pair->result_is_error($appending->finish(45), '55000',
  qr/"a" of the source was emptied or rewritten after the snapshot was taken/, 'an append whose table is emptied before it reads: refused');
is($pair->destination_sql('SELECT count(*) FROM a'), $ROWS, '… and brings nothing');

$pair->result_is_error($work{k}->finish(45), '55P03',
  qr/could not lock table "public.k" on the source.*Call parallel_pull_resume\($id{k}\) when that session has released the lock/s,
  'a command that keeps the table: the pull ends after its budget, the hint names the call that continues it');
$ddl{k}->query_safe('COMMIT');
# Now that no transaction is open which holds back what is newer.
$pair->source_sql("INSERT INTO a VALUES (1, 'here'), (8000, 'new')");
is($pair->destination_sql($append), 1, '… the next one brings what is new in it');
# hint: extension/worker/worker.cpp: parallel_pull_resume(
is($pair->try_sql("SELECT rows FROM parallel_pull_resume($id{k})")->summary, "success: $ROWS", '… which works then');

is($work{r}->finish(45)->summary, "success: $ROWS",
  'a resume behind a queued command goes on under its snapshot, when that has had its turn');
is($pair->destination_sql('SELECT count(*) FROM r'), $ROWS, '… every row once');
$pair->nothing_left('nothing is left');
$_->close for values %ddl, values %work, $leaf, $appending;

$pair->finish;
