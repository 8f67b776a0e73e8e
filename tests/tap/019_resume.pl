# Resume: what has failed goes on under the snapshot that its coordinator still holds; once that is
# lost, only where no row can be doubled or missed, or where the caller asks for it.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";

use ParallelLoader::Session qw(run_sql);
use ParallelLoader::Test;
use Test::More;

my $PASSWORD = 'Xyzzy-4711-plugh';
my $pair = ParallelLoader::Test->new(
  source => {conf => "max_wal_senders = 4\n", hba => 'local all reader scram-sha-256'},
  destination => {conf => <<'CONF'});
parallel_loader.retry_budget = 5min
parallel_loader.snapshot_hold = 10min
CONF

# Nine megabytes make eight chunks or so; the row that the destination refuses lies in the third.
my $ROWS = 60000;
my $REFUSED = 22000;
$pair->create_gate;
$pair->source_sql(<<"SQL");
CREATE TABLE t (id integer PRIMARY KEY, note text);
INSERT INTO t SELECT i, repeat('n', 110) || i FROM generate_series(1, $ROWS) AS i;
CREATE TABLE origin AS TABLE t;
CREATE ROLE reader LOGIN PASSWORD '$PASSWORD';
GRANT SELECT ON t TO reader;
SQL
$pair->destination_sql(<<'SQL');
CREATE TABLE t (id integer, note text);
CREATE ROLE alice LOGIN;
CREATE ROLE bob LOGIN;
GRANT INSERT ON t TO alice;
SQL
$pair->grant_functions('alice, bob');

# ---- what the cases share ----

sub forbid { return $pair->destination_sql("ALTER TABLE t ADD CONSTRAINT ok CHECK (id <> $_[0])") }
sub allow { return $pair->destination_sql('ALTER TABLE t DROP CONSTRAINT IF EXISTS ok') }

# Puts the source back as it was, and empties the destination.
sub start_over {
  allow();
  $pair->destination_sql('TRUNCATE t');
  $pair->source_sql('TRUNCATE t; INSERT INTO t TABLE origin');
  return;
}

# Runs a pull that fails in its middle and returns its id.  `set` is SQL before the call, `dbname`
# and `user` are whose; the rest are the call's parameters.
sub fail_midway {
  my (%named) = @_;
  local $Test::Builder::Level = $Test::Builder::Level + 1;
  my ($set, $user) = (delete $named{set} // '', delete $named{user});
  start_over();
  forbid($REFUSED);
  $pair->error_is(
    "$set; " . $pair->table_sql('parallel_pull_table', 't', {workers => 1, %named}),
    '23514', qr/Pull \d+ failed at chunk \d+/, 'a pull that fails names itself and the chunk',
    user => $user);
  allow();
  my $pull = $pair->pull;
  is($pull->{state}, 'failed', '… has failed');
  cmp_ok($pull->{chunks_done}, '>', 0, '… with some chunks done');
  cmp_ok($pull->{chunks_done}, '<', $pull->{chunks}, '… but not all');
  return $pull->{pull_id};
}

sub resume_sql {
  my ($pull_id, %named) = @_;
  my $dsn = exists $named{dsn} ? literal($named{dsn}) : 'NULL';
  my $new = $named{new_snapshot} ? ', new_snapshot => true' : '';
  return "SELECT pull_id, rows FROM parallel_pull_resume($pull_id, $dsn$new)";
}

# Checks that a resume gets all rows of the pull, and that they are those of `query` on the source.
sub resumes {
  my ($rule, $pull_id, %named) = @_;
  local $Test::Builder::Level = $Test::Builder::Level + 1;
  my $query = $named{query} // 'SELECT * FROM origin';
  my $rows = $pair->source_sql("SELECT count(*) FROM ($query) AS q");
  my $set = $named{set} // '';
  my $result = $pair->try_sql("$set; " . resume_sql($pull_id, %named), user => $named{user});
  is($result->summary, "success: $pull_id|$rows", $rule);
  is($pair->pull($pull_id)->{state}, 'done', '… then it is done');
  $pair->same_rows({source => $query, destination => 'SELECT * FROM t'}, '… with every row once');
  $pair->nothing_left('… and nothing is left');
  return $result;
}

sub refuses {
  my ($rule, $pull_id, $sqlstate, $pattern, %named) = @_;
  local $Test::Builder::Level = $Test::Builder::Level + 1;
  my $before = rows_here();
  my $state = $pair->pull($pull_id)->{state};
  my $result = $pair->error_is(resume_sql($pull_id, %named), $sqlstate, $pattern, $rule,
    user => $named{user});
  is(rows_here(), $before, '… which moves nothing');
  is($pair->pull($pull_id)->{state}, $state, '… and changes nothing');
  return $result;
}

# Lets the ledger say that the chunks are ranges of ctid.
sub make_ctid {
  my ($pull_id) = @_;
  $pair->destination_sql("UPDATE parallel_loader.pull SET key = 'ctid' WHERE pull_id = $pull_id");
  return;
}

sub rows_here { return $pair->destination_sql('SELECT count(*) FROM t') }

# The sessions that hold a snapshot on the source.
sub holders {
  return $pair->source_sql(q(SELECT count(*) FROM pg_stat_activity
    WHERE application_name LIKE 'parallel_loader%' AND backend_xmin IS NOT NULL));
}

sub let_go {
  my ($pull_id) = @_;
  local $Test::Builder::Level = $Test::Builder::Level + 1;
  is($pair->destination_sql("SELECT parallel_pull_cancel($pull_id)"), 't',
    'parallel_pull_cancel lets a held snapshot go');
  $pair->nothing_left('… at once');
  return;
}

# Starts a pull that pauses after `done` chunks; returns its id.
sub start_paused {
  my ($done, %named) = @_;
  start_over();
  my $pull_id = $pair->destination_sql(
    $pair->table_sql('parallel_pull_create', 't', {workers => 1, %named}));
  return $pull_id unless $done;
  $pair->destination_sql("SELECT parallel_pull_work($pull_id, max_chunks => $done)");
  # The coordinator writes it, after the work may have returned.
  wait_until(15, sub { $pair->pull($pull_id)->{state} eq 'running' });
  return $pull_id;
}

# ---- the same snapshot ----

my $pull_id = fail_midway();
is(holders(), 1, 'a failed pull holds its snapshot');
is(scalar($pair->worker_pids), 0, '… without a worker');
my ($failed) = grep { $_->{state} eq 'failed' } $pair->chunks($pull_id);
is($failed->{sqlstate}, '23514', '… and its chunk says why');
is($failed->{attempts}, 1, '… after one attempt');
is($pair->pull($pull_id)->{retries}, 0, 'a violated constraint is not retried');
$pair->source_sql(<<"SQL");
INSERT INTO t VALUES (-5, 'inserted below'), (@{[$ROWS + 5]}, 'inserted above');
DELETE FROM t WHERE id BETWEEN 50000 AND 50010 OR id = 3;
UPDATE t SET note = 'changed' WHERE id IN (4, $REFUSED);
SQL
forbid($ROWS);
$pair->error_is(resume_sql($pull_id), '23514', qr/Pull $pull_id failed at chunk/,
  'a resume can fail again');
allow();
is(holders(), 1, '… and holds the snapshot again');
resumes('a resume shows the source as it was at the first call', $pull_id);
is($pair->pull($pull_id)->{error}, undef, '… and leaves no error in the view');
is(join(' ', map { $_->{attempts} } grep { $_->{chunk} == $failed->{chunk} }
    $pair->chunks($pull_id)), 2, '… and counts the attempts');
$pair->source_sql('TRUNCATE t');
is($pair->try_sql(resume_sql($pull_id))->summary, "success: $pull_id|$ROWS",
  'a resume of what is done tells its totals');
is(rows_here(), $ROWS, '… and moves nothing');

# Under other workers, at the same rate.
$pull_id = fail_midway();
$pair->destination_sql("SELECT parallel_pull_alter($pull_id, workers => 3, max_rate => 1000)");
is(join('|', @{$pair->pull($pull_id)}{qw(state max_rate)}), 'failed|1000',
  'a pull that has failed can be altered');
my $seconds = stopwatch();
my $resuming = $pair->session('destination');
$resuming->start(resume_sql($pull_id));
ok(wait_until(10, sub { ($pair->pull($pull_id)->{workers} // 0) == 3 }),
  '… and is resumed with as many workers');
is($resuming->finish(60)->summary, "success: $pull_id|$ROWS", '… and all rows');
cmp_ok($seconds->(), '>', 1.5, '… at the rate');
is($pair->pull($pull_id)->{max_rate}, 1000, '… which it keeps');
$pair->same_rows({source => 'SELECT * FROM origin', destination => 'SELECT * FROM t'},
  '… every row once');
$resuming->close;

# What the first call said holds: columns, filter, format, time zone.
start_over();
$pair->source_sql(<<'SQL');
CREATE TABLE events (id integer PRIMARY KEY, at timestamptz, day date, note text, more text);
INSERT INTO events SELECT i, timestamptz '2024-06-01 00:00Z' + i * interval '1 minute',
  date '2024-02-01' + i % 10, repeat('n', 150), 'left out'
FROM generate_series(1, 60000) AS i;
SQL
$pair->destination_sql(<<'SQL');
CREATE TABLE events (more text DEFAULT 'default', note text, day date, id integer, at timestamptz);
ALTER TABLE events ADD CONSTRAINT ok CHECK (id <> 22000);
SQL
my $events = $pair->table_sql('parallel_pull_table', 'events',
  {workers => 1, format => 'text', columns => [qw(id at day note)],
    filter => q(at >= '01.06.2024 12:00' AND day < '05.02.2024')});
$pair->error_is("SET timezone = 'America/New_York'; SET datestyle = German; $events", '23514',
  qr/chunk/, 'a pull of part of the rows and columns fails');
$pair->destination_sql('ALTER TABLE events DROP CONSTRAINT ok');
my $expected = $pair->source_sql(<<'SQL');
SELECT count(*), sum(id) FROM events
WHERE at >= '2024-06-01 12:00-04' AND day < '2024-02-05'
SQL
my $result = $pair->try_sql("SET timezone = 'Asia/Tokyo'; SET datestyle = 'ISO, MDY'; "
    . resume_sql($pair->newest_pull_id));
is($result->is_ok ? 'ok' : $result->summary, 'ok', '… it is resumed from another time zone');
is($pair->destination_sql('SELECT count(*), sum(id) FROM events'), $expected,
  '… under the filter as the first call meant it');
is($pair->destination_sql('SELECT count(*) FROM events WHERE more <> \'default\''), 0,
  '… with its columns');
is($pair->pull->{format}, 'text', '… and its format');
$pair->same_rows({source => q(SELECT id, at, day, note FROM events
    WHERE at >= '2024-06-01 12:00-04' AND day < '2024-02-05'),
  destination => 'SELECT id, at, day, note FROM events'}, '… and the same values');

# ---- one at a time ----

$pull_id = start_paused(1);
refuses('a pull that runs is not resumed', $pull_id, '55006', qr/$pull_id/);
$pair->destination_sql("SELECT parallel_pull_cancel($pull_id)");

$pull_id = fail_midway(filter => 'public.gate(id, 0)');
$pair->close_gate;
my @sessions = map { $pair->session('destination') } 1 .. 2;
$_->start(resume_sql($pull_id)) for @sessions;
$pair->wait_at_gate;
ok(wait_until(15, sub { grep { $_->is_finished } @sessions }), 'of two resumes at once one ends');
my ($loser) = grep { $_->is_finished } @sessions;
$pair->result_is_error($loser->finish(1), '55006', qr/$pull_id/, '… and is told that it runs');
is($pair->pull($pull_id)->{state}, 'running', '… the other goes on');
$pair->open_gate;
my ($winner) = grep { $_ != $loser } @sessions;
is($winner->finish(30)->summary, "success: $pull_id|$ROWS", '… and gets all rows');
$pair->same_rows({source => 'SELECT * FROM origin', destination => 'SELECT * FROM t'},
  '… every row once');
$_->close for @sessions;
$pair->nothing_left('… and nothing is left');

# ---- the snapshot is lost ----

# Cancelled: nothing is held.
$pull_id = start_paused(2);
$pair->destination_sql("SELECT parallel_pull_cancel($pull_id)");
$pair->state_becomes($pull_id, 'cancelled', 'a pull is cancelled');
$pair->nothing_left('… which holds nothing');
my $refusal = refuses('the snapshot of a cancelled pull is lost', $pull_id, '55000',
  qr/snapshot of pull $pull_id is lost/);
like($refusal->error->{hint}, qr/new_snapshot => true/, '… the hint says what can be done');
resumes('with new_snapshot it goes on', $pull_id, new_snapshot => 1);
is($pair->destination_sql("SELECT parallel_pull_cancel($pull_id)"), 'f',
  'what is done cannot be cancelled');

$pull_id = start_paused(0);
$pair->destination_sql("SELECT parallel_pull_cancel($pull_id)");
$pair->state_becomes($pull_id, 'cancelled', 'a pull is cancelled before its first chunk');
$pair->source_sql('INSERT INTO t SELECT id + 1000000, note FROM t LIMIT 1000;'
    . 'DELETE FROM t WHERE id < 10');
resumes('… then it takes a new snapshot by itself', $pull_id, query => 'SELECT * FROM t');

# Interrupted.
$pull_id = start_paused(2);
$pair->destination_sql("SELECT pg_terminate_backend($_)") for $pair->coordinator_pids;
$pair->state_becomes($pull_id, 'interrupted', 'without its coordinator a pull is interrupted');
$pair->nothing_left('… which holds nothing');
refuses('… so its snapshot is lost', $pull_id, '55000', qr/snapshot of pull $pull_id is lost/);
resumes('… and new_snapshot takes another one', $pull_id, new_snapshot => 1);

$pull_id = start_paused(2);
$pair->destination->restart;
is($pair->pull($pull_id)->{state}, 'interrupted', 'so it is after a restart');
is($pair->destination_sql("SELECT parallel_pull_cancel($pull_id)"), 't', '… it can be cancelled');
is($pair->pull($pull_id)->{state}, 'cancelled', '… which shows');
resumes('… and resumed all the same', $pull_id, new_snapshot => 1);

# Held for a time, or until somebody lets it go.
$pull_id = fail_midway(set => q(SET parallel_loader.snapshot_hold = '1s'));
$pair->nothing_left('after parallel_loader.snapshot_hold the snapshot is let go');
is($pair->pull($pull_id)->{state}, 'failed', '… the pull stays failed');
refuses('… and cannot go on by itself', $pull_id, '55000', qr/lost/);

$pull_id = fail_midway(set => q(SET parallel_loader.snapshot_hold = 0));
$pair->nothing_left('a snapshot_hold of 0 holds nothing');

$pull_id = fail_midway();
let_go($pull_id);
is($pair->pull($pull_id)->{state}, 'failed', '… the pull stays failed');
is($pair->destination_sql("SELECT parallel_pull_cancel($pull_id)"), 'f', '… and can only once');
refuses('… and cannot go on by itself', $pull_id, '55000', qr/lost/);

$pull_id = fail_midway();
$pair->source_sql(q(SELECT pg_terminate_backend(pid) FROM pg_stat_activity
  WHERE application_name LIKE 'parallel_loader%'));
$pair->nothing_left('a coordinator whose held snapshot is lost ends');
refuses('… and the pull says so', $pull_id, '55000', qr/lost/);
resumes('… and goes on if asked to', $pull_id, new_snapshot => 1);

# A new snapshot may be asked for while the old one is held.
$pull_id = fail_midway();
resumes('new_snapshot lets a held snapshot go', $pull_id, new_snapshot => 1);

# Under another snapshot a ctid is another row.
$pull_id = fail_midway();
make_ctid($pull_id);
refuses('ranges of ctid refuse a new snapshot while the old one is held', $pull_id, '55000',
  qr/ctid/, new_snapshot => 1);
is(holders(), 1, '… which stays held');
let_go($pull_id);
refuses('ranges of ctid cannot go on once it is lost', $pull_id, '55000', qr/ctid/);
refuses('… whatever is asked', $pull_id, '55000', qr/ctid/, new_snapshot => 1);

# A resume that is cancelled or cannot start leaves the pull as it was.
$pull_id = fail_midway(filter => 'public.gate(id, 0)');
$pair->close_gate;
$resuming = $pair->session('destination');
$resuming->start(resume_sql($pull_id));
$pair->wait_at_gate;
$pair->destination_sql('SELECT pg_cancel_backend(' . $resuming->backend_pid . ')');
$pair->result_is_error($resuming->finish(5), '57014', qr/cancel/, 'a resume can be cancelled');
$resuming->close;
$pair->open_gate;
$pair->state_becomes($pull_id, 'cancelled', '… then the pull is cancelled');
$pair->nothing_left('… and holds nothing');
resumes('… and can be resumed again', $pull_id, new_snapshot => 1);

$pull_id = fail_midway();
$pair->error_is('BEGIN; LOCK TABLE t IN SHARE MODE; ' . resume_sql($pull_id), '55006', qr/\bt\b/,
  'a caller who locks the table cannot resume');
is(holders(), 1, '… and the snapshot stays held');
refuses('a source that does not answer', $pull_id, '08\d\d\d', qr/connect/,
  dsn => 'host=/nowhere dbname=postgres');
is(holders(), 1, '… costs no snapshot');
resumes('… so that the resume works at last', $pull_id);

# The memory of a pull outlives its coordinator, which has overwritten the password in it, as long as
# somebody has it: here a session that waits for the pull, and is stopped.
start_over();
forbid($REFUSED);
$pair->close_gate;
my $waiting = $pair->session('destination');
$waiting->start($pair->table_sql('parallel_pull_table', 't', {workers => 1, filter => 'public.gate(id, 0)'}));
$pair->wait_at_gate;
kill STOP => $waiting->backend_pid;
$pair->open_gate;
$pull_id = $pair->newest_pull_id;
$pair->state_becomes($pull_id, 'failed', 'a pull fails while its waiting session is stopped');
wait_until(10, sub { holders() == 1 });
my $locking = $pair->session('destination');
$locking->query_safe('BEGIN; LOCK TABLE t');
$resuming = $pair->session('destination');
$resuming->start(resume_sql($pull_id));
wait_until(10, sub { $pair->destination_sql('SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND pid = ' . $resuming->backend_pid . ')') eq 't' });
is($pair->destination_sql("SELECT parallel_pull_cancel($pull_id)"), 't', '… is given up while a resume begins');
wait_until(10, sub { !$pair->coordinator_pids });
$locking->query_safe('COMMIT');
$pair->result_is_error($resuming->finish(20), '55000', qr/lost/, '… which is refused, as later ones');
kill CONT => $waiting->backend_pid;
$pair->result_is_error($waiting->finish(20), '23514', qr/Pull $pull_id failed/, '… and who waited gets the error');

# ---- pulls that share a snapshot ----

start_over();
$pair->destination_sql('CREATE TABLE other (LIKE t)');
my ($first) = $pair->destination_sql($pair->table_sql('parallel_pull_create', 't'));
my $second = $pair->destination_sql($pair->table_sql('parallel_pull_create', 'other',
  {source_table => 't', run_id => $first}));
for my $id ($first, $second) {
  $pair->destination_sql("SELECT parallel_pull_cancel($id)");
  $pair->state_becomes($id, 'cancelled', 'a pull of a run is cancelled');
}
wait_until(10, sub { !$pair->coordinator_pids }); # until then the run still has its snapshot
refuses('a pull of a run takes no snapshot of its own by itself', $_, '55000', qr/lost/)
  for $first, $second;
# hint: extension/coordinator/source_connection.cpp: parallel_pull_resume (to start it again)
like($pair->try_sql(resume_sql($first))->error->{hint}, qr/call parallel_pull_resume\($first, new_snapshot => true\)\./,
  '… and says how to ask for one');
# hint: extension/ledger/pull_refusal.cpp: parallel_pull_resume (of a run, under a new snapshot)
like($pair->try_sql("SELECT parallel_pull_work($first)")->error->{hint},
  qr/Call parallel_pull_resume\($first, new_snapshot => true\) to start it again/, '… as does whoever is to work on it');
resumes('… only if asked to', $first, new_snapshot => 1);

# Ranges of ctid of which none is done are cut anew.
start_over();
$first = $pair->destination_sql($pair->table_sql('parallel_pull_create', 'other', {source_table => 't'}));
$second = $pair->destination_sql($pair->table_sql('parallel_pull_create', 't', {key => 'ctid', run_id => $first}));
$pair->destination_sql("SELECT parallel_pull_cancel($_)") for $first, $second;
$pair->state_becomes($_, 'cancelled', 'another run is cancelled') for $first, $second;
$pair->source_sql('DELETE FROM t WHERE id % 3 = 0');
$pair->source_sql('VACUUM FULL t');
refuses('ranges of ctid wait to be asked to, as well', $second, '55000', qr/lost/);
resumes('… and start again under a new snapshot', $second, new_snapshot => 1, query => 'SELECT * FROM t');

# ---- another source ----

$pair->source_sql('CREATE DATABASE twin TEMPLATE postgres');
my $other = ParallelLoader::Test::start_node('other');
run_sql($other, 'CREATE TABLE t (id integer PRIMARY KEY, note text);'
    . "INSERT INTO t SELECT i, 'other' FROM generate_series(1, $ROWS) AS i");
my @wrong = (
  ['another server', $other->connstr('postgres'), qr/system identifier/],
  ['another database', $pair->dsn('twin'), qr/database "twin"/]);
$pull_id = fail_midway();
for my $case (@wrong) {
  my ($name, $dsn, $why) = @$case;
  for my $new (0, 1) {
    my $error = refuses("$name is no source to go on from" . ($new ? ' with a new snapshot' : ''),
      $pull_id, '55000', qr/source is not the one/, dsn => $dsn, new_snapshot => $new);
    like($error->error->{detail}, $why, '… and the detail says why');
  }
}
is(holders(), 1, '… and the snapshot stays held');
resumes('… for the right one', $pull_id, dsn => $pair->dsn);
$pull_id = start_paused(0);
$pair->destination_sql("SELECT parallel_pull_cancel($pull_id)");
$pair->state_becomes($pull_id, 'cancelled', 'nothing is done yet');
refuses("$_->[0] is none even then", $pull_id, '55000', qr/source is not the one/, dsn => $_->[1])
  for @wrong;
$other->stop;

# ---- a standby ----

$pair->source->backup('for_standby');
my $standby = ParallelLoader::Test::new_node('standby');
$standby->init_from_backup($pair->source, 'for_standby', has_streaming => 1);
$standby->append_conf('postgresql.conf', <<'CONF');
hot_standby_feedback = off
max_standby_streaming_delay = 200ms
CONF
$standby->start;
start_over();
$pair->source->wait_for_catchup($standby, 'replay', $pair->source->lsn('insert'));
my $dsn = $standby->connstr('postgres');
my $caller = $pair->session('destination');
$pull_id = $pair->destination_sql(
  $pair->table_sql('parallel_pull_create', 't', {dsn => $dsn, workers => 1}));
is($pair->destination_sql("SELECT chunks FROM parallel_pull_work($pull_id, max_chunks => 2)"), 2,
  'a standby is a source');
$pair->source_sql('DELETE FROM t WHERE id % 2 = 0');
$pair->source_sql('VACUUM t');
$pair->state_becomes($pull_id, 'failed', '… that replay can take the snapshot from');
is($pair->pull($pull_id)->{sqlstate}, '08006', '… which is a loss of the session');
like($pair->pull($pull_id)->{error}, qr/snapshot of pull $pull_id is lost/, '… and of the snapshot');
$pair->nothing_left('… and holds nothing');
refuses('… so that it cannot go on by itself', $pull_id, '55000', qr/lost/);

# Who works on it gets the error with its hint.
$pair->destination_sql('TRUNCATE t');
$pair->source_sql('TRUNCATE t; INSERT INTO t TABLE origin');
$pair->source->wait_for_catchup($standby, 'replay', $pair->source->lsn('insert'));
$pull_id = $pair->destination_sql(
  $pair->table_sql('parallel_pull_create', 't', {dsn => $dsn, workers => 1}));
$pair->destination_sql("SELECT parallel_pull_alter($pull_id, max_rate => 300)");
$caller->start("SELECT parallel_pull_work($pull_id)");
ok(wait_until(20, sub { ($pair->pull($pull_id)->{bytes} // 0) > 0 }),
  'a pull from a standby is under way');
$pair->source_sql('DELETE FROM t WHERE id % 2 = 0');
$pair->source_sql('VACUUM t');
my $lost = $caller->finish(30);
$pair->result_is_error($lost, '08006', qr/snapshot of pull \d+ is lost/,
  'a snapshot that replay has ended is reported as lost');
like($lost->error ? $lost->error->{hint} : '', qr/hot_standby_feedback/,
  '… and the hint names the setting');
$caller->close;
$pair->nothing_left('… and nothing is left');

# The primary is the same source at a later state; a standby that lags behind is an earlier one.
start_over();
$pair->source->wait_for_catchup($standby, 'replay', $pair->source->lsn('insert'));
run_sql($standby, 'SELECT pg_wal_replay_pause()');
$pair->source_sql('CREATE TABLE later AS SELECT generate_series(1, 1000) AS id');
$pull_id = fail_midway_keeping();
let_go($pull_id);
my $older = refuses('a standby that lags behind is an older state of the source', $pull_id, '55000',
  qr/older state/, dsn => $dsn, new_snapshot => 1);
like($older->error->{detail}, qr/WAL location/, '… and the detail says why');
run_sql($standby, 'SELECT pg_wal_replay_resume()');
$pair->source->wait_for_catchup($standby, 'replay', $pair->source->lsn('insert'));
resumes('once it has caught up it will do', $pull_id, dsn => $dsn, new_snapshot => 1);
$standby->stop;

# As fail_midway, without touching the source.
sub fail_midway_keeping {
  $pair->destination_sql('TRUNCATE t');
  forbid($REFUSED);
  $pair->error_is($pair->table_sql('parallel_pull_table', 't', {workers => 1}), '23514', qr/./,
    'a pull from the primary fails');
  allow();
  return $pair->newest_pull_id;
}

# ---- who may ----

my $reader = $pair->dsn('postgres', "user=reader password=$PASSWORD");
$pull_id = fail_midway(user => 'alice', dsn => $reader);
is($pair->pull($pull_id)->{owner}, 'alice', 'a pull is its caller\'s');
$pair->error_is(resume_sql($pull_id), '42704', qr/$pull_id/, 'nobody else knows of it',
  user => 'bob');
$pair->error_is("SELECT parallel_pull_alter($pull_id, 1)", '42704', qr/$pull_id/,
  '… nor can change it', user => 'bob');
$pair->error_is("SELECT parallel_pull_cancel($pull_id)", '42704', qr/$pull_id/,
  '… nor let its snapshot go', user => 'bob');
is(holders(), 1, '… which stays held');
resumes('while it is held, the password is as well', $pull_id, user => 'alice');

$pull_id = fail_midway(user => 'alice', dsn => $reader);
let_go($pull_id);
$pair->error_is(resume_sql($pull_id, new_snapshot => 1), '2F003', qr/password/,
  'then it has to be given again', user => 'alice');
resumes('… by src_dsn', $pull_id, user => 'alice', dsn => $reader, new_snapshot => 1);

$pull_id = fail_midway(user => 'alice', dsn => $reader);
$pair->destination_sql('REVOKE INSERT ON t FROM alice');
$pair->error_is(resume_sql($pull_id), '42501', qr/\bt\b/, 'who may not insert any more is refused',
  user => 'alice');
$pair->destination_sql('GRANT INSERT ON t TO alice');
is(holders(), 1, '… and the snapshot stays held');
$pair->error_is(resume_sql($pull_id, dsn => $pair->dsn), '2F003', qr/password/,
  'a source without a password is refused to who is no superuser', user => 'alice');
resumes('a superuser resumes everybody\'s', $pull_id);
is($pair->pull($pull_id)->{owner}, 'alice', '… and the pull stays its owner\'s');

my @logs = map { PostgreSQL::Test::Utils::slurp_file($_->logfile) } $pair->destination;
unlike(join("\n", grep { !/STATEMENT:|statement:/ } split /\n/, $logs[0]), qr/\Q$PASSWORD\E/,
  'no message in the log shows the password');

$pair->nothing_left('no process or session is left');
$pair->finish;
