# Hints that say how to go on with a pull, in each of its states: the call is taken out of the hint as
# it stands, and run then and there.  See 051_hints.pl.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";

use ParallelLoader::Hints;
use ParallelLoader::Test;
use PostgreSQL::Test::Utils;
use Test::More;

my $pair =
  ParallelLoader::Test->new(retries => 1, source => {hba => 'local all keeper scram-sha-256'});

# Names that need quotes, in hints as well.
my ($TABLE, $ROWS) = (q("Odd's Table"), 5000);
$pair->create_gate;
$pair->source_sql(<<"SQL");
CREATE TABLE $TABLE (id integer PRIMARY KEY, note text);
INSERT INTO $TABLE SELECT i, repeat('n', 200) FROM generate_series(1, $ROWS) AS i;
CREATE VIEW gated AS SELECT id, note FROM $TABLE WHERE gate(id, 4000);
CREATE ROLE keeper LOGIN PASSWORD 'Plum';
GRANT SELECT ON $TABLE TO keeper;
SQL
$pair->destination_sql("CREATE TABLE $TABLE (id integer, note text)");

sub call {
  my ($function, $named) = @_;
  return $pair->table_sql($function, $TABLE, {key => 'id', chunk_size => '256kB', workers => 1, %{$named // {}}});
}

sub created {
  my ($chunks) = @_;
  $pair->destination_sql("TRUNCATE $TABLE");
  my $id = $pair->destination_sql("SET client_min_messages = error; " . call('parallel_pull_create'));
  $pair->destination_sql("SELECT parallel_pull_work($id, max_chunks => $chunks)") if $chunks;
  return $id;
}

sub paused {
  my $id = created(1);
  $pair->destination_sql("SELECT parallel_pull_alter($id, workers => 0)");
  $pair->state_becomes($id, 'paused', 'a pull is paused');
  return $id;
}

# Fails at its first or at a later chunk.
sub failed {
  my ($at, $hold, $named) = @_;
  $pair->destination_sql("TRUNCATE $TABLE; ALTER TABLE $TABLE ADD CONSTRAINT refuse CHECK (id <> $at)");
  $pair->try_sql("SET parallel_loader.snapshot_hold = '$hold'; " . call('parallel_pull_table', $named));
  $pair->destination_sql("ALTER TABLE $TABLE DROP CONSTRAINT refuse");
  my $id = $pair->newest_pull_id;
  is($pair->pull($id)->{state}, 'failed', 'a pull has failed');
  return $id;
}

sub is_whole {
  my ($id, $rule) = @_;
  local $Test::Builder::Level = $Test::Builder::Level + 1;
  $pair->state_becomes($id, 'done', "$rule: the pull is done") if defined $id;
  is($pair->destination_sql("SELECT count(*), count(DISTINCT id) FROM $TABLE"), "$ROWS|$ROWS",
    "$rule: every row is there once");
  return;
}

# ---- states ----

# hint: extension/ledger/pull_refusal.cpp: parallel_pull_alter
my $id = paused();
works($pair, scalar hint($pair, "SELECT parallel_pull_resume($id)", '55006', qr/^Call (parallel_pull_alter\(.*?\)) to continue/,
    'a resume of a paused pull'), 'a resume of a paused pull');
is_whole($id, 'a resume of a paused pull');

# hint: extension/functions/waiting_text.cpp: parallel_pull_alter
$id = paused();
my $waiting = $pair->destination_sql('SELECT waiting_for FROM parallel_pull_progress');
like($waiting, qr/^paused; continue with parallel_pull_alter\(.*\)$/, 'a paused pull waits for a call');
works($pair, $waiting =~ s/^paused; continue with //r, 'a paused pull');
is_whole($id, 'a paused pull');

# hint: extension/ledger/pull_refusal.cpp: parallel_pull_work
$id = created(1);
works($pair, scalar hint($pair, "SELECT parallel_pull_resume($id)", '55006', qr/^Call (parallel_pull_work\(\d+\)) to copy/,
    'a resume of a pull that nobody works on'), 'a resume of a pull that nobody works on');
is_whole($id, 'a resume of a pull that nobody works on');

# hint: extension/functions/waiting_text.cpp: parallel_pull_work
$id = created(1);
ok(wait_until(10, sub { $waiting = $pair->destination_sql('SELECT waiting_for FROM parallel_pull_progress');
      $waiting =~ /no session works/ }), 'a pull that nobody works on waits for a call');
works($pair, $waiting =~ /continue with (parallel_pull_work\(\d+\))$/ ? $1 : 'no_hint', 'a pull that nobody works on');
is_whole($id, 'a pull that nobody works on');

# hint: extension/ledger/pull_refusal.cpp: parallel_pull_cancel
# hint: extension/functions/forget_functions.cpp: parallel_pull_wait
# hint: extension/functions/forget_functions.cpp: parallel_pull_cancel
for my $function ('resume', 'forget', 'keep') {
  $pair->close_gate;
  $pair->destination_sql("TRUNCATE $TABLE");
  $id = $pair->destination_sql(call('parallel_pull_start', {source_table => 'gated', key => 'id'}));
  $pair->wait_at_gate;
  my $refused = $function eq 'resume' ? "parallel_pull_resume($id)"
    : "parallel_pull_$function(" . literal($TABLE) . ')';
  my ($wait, $cancel) = hint($pair, "SELECT $refused", '55006',
    qr/^Call (parallel_pull_wait\(\d+\)) to wait for its end, or (parallel_pull_cancel\(\d+\)) to cancel it/,
    "$function of a running pull");
  is(works($pair, $cancel, "$function of a running pull"), 't', '… and cancels it');
  is(works($pair, $wait, "$function of a running pull"), 'cancelled', '… and waits for it');
  $pair->open_gate;
}

# hint: extension/ledger/pull_refusal.cpp: parallel_pull_resume (held)
# hint: extension/ledger/pull_refusal.cpp: parallel_pull_resume (begun anew)
# hint: extension/ledger/pull_refusal.cpp: parallel_pull_resume (under a new snapshot)
# hint: extension/coordinator/source_connection.cpp: parallel_pull_resume
for my $case (['held', 4500, '10min', 'work'], ['untouched', 1, '0', 'work'], ['lost', 4500, '0', 'work'],
  ['lost', 4500, '0', 'resume']) {
  my ($name, $at, $hold, $function) = @$case;
  $id = failed($at, $hold);
  works($pair, scalar hint($pair, "SELECT parallel_pull_$function($id)", '55000',
      qr/[Cc]all (parallel_pull_resume\([^)]*\)) to (?:continue|start)/i, "$function of a $name pull"), "$function of a $name pull");
  is_whole($id, "$function of a $name pull");
}

# With a password, which the ledger does not keep: what the errors say leads on.
my $secret = $pair->dsn . q( user=keeper password=Plum);
$id = failed(4500, '0', {dsn => $secret});
my $resume = hint($pair, "SELECT parallel_pull_resume($id)", '55000|08001', qr/(src_dsn)/, 'a resume without the password');
works($pair, "SELECT parallel_pull_resume($id, $resume => " . literal($secret) . ', new_snapshot => true)',
  'a resume without the password');
is_whole($id, 'a resume without the password');

# ---- what was changed meanwhile ----

# hint: extension/worker/chunk_mover.cpp: parallel_pull_resume( (planned anew)
$id = created(0);
$pair->destination_sql("ALTER TABLE $TABLE ALTER note TYPE varchar");
works($pair, scalar hint($pair, "SELECT parallel_pull_work($id)", '55000', qr/^Call (parallel_pull_resume\(\d+\)) to plan/,
    'a column altered before the first chunk'), 'a column altered before the first chunk');
is_whole($id, 'a column altered before the first chunk');

# hint: extension/ledger/pull_refusal.cpp: parallel_pull_resume (altered back, held)
$pair->destination_sql("ALTER TABLE $TABLE ALTER note TYPE text");
$id = created(1);
$pair->destination_sql("ALTER TABLE $TABLE ALTER note TYPE varchar");
$resume = hint($pair, "SELECT parallel_pull_work($id)", '55000', qr/Alter it back and call (parallel_pull_resume\(\d+\))/,
  'a column altered between chunks');
$pair->destination_sql("ALTER TABLE $TABLE ALTER note TYPE text");
works($pair, $resume, 'a column altered between chunks');
is_whole($id, 'a column altered between chunks');

# Runs both calls of a hint for a table that was changed.
sub keeps_and_resumes {
  my ($what, $sqlstate, $rule, $rows) = @_;
  local $Test::Builder::Level = $Test::Builder::Level + 1;
  my ($keep, $resume) = hint($pair, $what, $sqlstate,
    qr/call (parallel_pull_keep\(.*?\)) and then (parallel_pull_resume\(.*?\))\./, $rule);
  works($pair, $keep, $rule);
  works($pair, $resume, $rule);
  is($pair->destination_sql("SELECT count(*) FROM $TABLE") < $ROWS, 1, '… without the rows that are gone');
  return;
}

# hint: core/ledger/local_relations.cpp: parallel_pull_keep(
# hint: extension/ledger/pull_refusal.cpp: parallel_pull_resume (kept, under a new snapshot)
$id = created(1);
$pair->destination_sql("TRUNCATE $TABLE");
keeps_and_resumes("SELECT parallel_pull_work($id)", '55000', 'a table emptied between chunks');

for my $hold ('10min', '0') {
  $id = failed(4500, $hold);
  $pair->destination_sql("TRUNCATE $TABLE");
  keeps_and_resumes("SELECT parallel_pull_resume($id)", '55000', "a table emptied before a resume, hold $hold");
}

# hint: extension/ledger/pull_refusal.cpp: parallel_pull_resume (emptied after the last chunk)
my $looker = $pair->session('destination');
$looker->query_safe('BEGIN; LOCK TABLE parallel_loader.unlogged_chunk IN ACCESS EXCLUSIVE MODE');
my $session = $pair->session('destination');
$pair->destination_sql("TRUNCATE $TABLE");
$session->start(call('parallel_pull_table'));
ok(wait_until(20, sub { $pair->destination_sql(
      q(SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'parallel_loader.unlogged_chunk'::regclass)) }),
  'the last look at the rows has begun');
$pair->destination_sql("TRUNCATE $TABLE");
$looker->query_safe('ROLLBACK');
keeps_and_resumes($session->finish(20), '55000', 'a table emptied after the last chunk');
$_->close for $looker, $session;

# ---- appends ----

sub append { return 'SELECT parallel_pull_append(' . literal($pair->dsn) . ', ' . literal($TABLE) . ", 'id')" }

# hint: extension/ledger/pull_refusal.cpp: Call parallel_pull_append
works($pair, 'SELECT parallel_pull_forget(' . literal($TABLE) . ')', 'a table without a mark');
$pair->destination_sql("TRUNCATE $TABLE");
works($pair, append(), 'an empty table');
is_whole(undef, 'an empty table');
my $append = hint($pair, 'SELECT parallel_pull_resume(' . $pair->newest_pull_id . ')', '00000|55000',
  qr/Call (parallel_pull_append) again/, 'a resume of an append');
is(works($pair, append() =~ s/parallel_pull_append/$append/r, 'a resume of an append'), 0, '… which has nothing to do');

# hint: extension/worker/append.cpp: call parallel_pull_keep(
# hint: extension/worker/append.cpp: call parallel_pull_forget(
my $gone = qr/call (parallel_pull_keep\(.*?\)) and append again\. Otherwise empty it, call (parallel_pull_forget\(.*?\)),/;
$pair->destination_sql("VACUUM FULL $TABLE");
my ($keep, $forget) = hint($pair, append(), '55000', $gone, 'an append to a table that was rewritten');
works($pair, $keep, 'an append to a table that was rewritten');
is(works($pair, append(), 'an append to a table that was rewritten'), 0, '… nothing is lost');
$pair->destination_sql("TRUNCATE $TABLE");
($keep, $forget) = hint($pair, append(), '55000', $gone, 'an append to a table that was emptied');
works($pair, $forget, 'an append to a table that was emptied');
works($pair, append(), 'an append to a table that was emptied');
is_whole(undef, 'an append to a table that was emptied');

# A pull that has brought some of the rows once more, and not all.
for my $hold ('10min', '0') {
  $pair->destination_sql("ALTER TABLE $TABLE ADD CONSTRAINT refuse CHECK (id <> 4500) NOT VALID");
  $pair->try_sql("SET parallel_loader.snapshot_hold = '$hold'; " . call('parallel_pull_table'));
  $pair->destination_sql("ALTER TABLE $TABLE DROP CONSTRAINT refuse");
  $id = $pair->newest_pull_id;
  works($pair, scalar hint($pair, append(), '55000', qr/[Cc]all (parallel_pull_resume\(.*?\)) to continue/,
      "an append after a pull that failed, hold $hold"), "an append after a pull that failed, hold $hold");
  $pair->state_becomes($id, 'done', '… the pull is done');
  is(works($pair, append(), "an append after a pull that failed, hold $hold"), 0, '… and an append possible');
}

# hint: extension/worker/worker.cpp: Call parallel_pull_append again
# Planned while the table is free, its worker comes when a command waits for the table: no process
# starts meanwhile, since the postmaster is stopped.
my ($locker, $appender, $looking) = map { $pair->session($_) } qw(source destination destination);
$locker->query_safe("BEGIN; LOCK TABLE $TABLE IN ACCESS EXCLUSIVE MODE");
$appender->query_safe(q(SET parallel_loader.retry_budget = '1s'));
$appender->start(append());
ok(wait_until(10, sub { $pair->source_sql('SELECT count(*) FROM pg_locks WHERE NOT granted') }), 'an append is being planned');
my ($postmaster) = slurp_file($pair->destination->data_dir . '/postmaster.pid') =~ /^(\d+)/;
kill STOP => $postmaster;
$locker->query_safe('ROLLBACK');
my $planned = q(SELECT count(*) FROM parallel_loader.chunk WHERE pull_id = (SELECT max(pull_id) FROM parallel_loader.pull));
ok(wait_until(10, sub { $looking->query_safe($planned) }), '… and planned');
$locker->start("BEGIN; LOCK TABLE $TABLE IN ACCESS EXCLUSIVE MODE");
sleep 1;
kill CONT => $postmaster;
$append = hint($pair, $appender->finish(30), '55P03', qr/Call (parallel_pull_append) again when/,
  'an append of a table that is locked on the source');
ok($locker->finish(10)->is_ok, '… whose lock is then to be had');
$locker->query_safe('ROLLBACK');
$_->close for $locker, $appender, $looking;
works($pair, append() =~ s/parallel_pull_append/$append/r, 'an append of a table that is locked on the source');

# ---- transactions of the caller ----

# hint: extension/server/process/lock_trap.cpp: Create, truncate, alter or lock
$session = $pair->session('destination');
$session->query_safe("BEGIN; TRUNCATE $TABLE");
hint($pair, $session->query(call('parallel_pull_table')), '55006', qr/transaction of its own, (COMMIT) it, and then pull/,
  'a table truncated by the caller');
$session->query('ROLLBACK');
$session->query_safe("BEGIN; TRUNCATE $TABLE; COMMIT");
ok($session->query(call('parallel_pull_table'))->is_ok, '… what it says works');

# hint: extension/server/process/lock_trap.cpp: COMMIT or ROLLBACK first
$pair->destination_sql("TRUNCATE $TABLE");
$session->query_safe("BEGIN; SELECT FROM $TABLE");
my $blocker = $pair->session('destination');
$blocker->start("TRUNCATE $TABLE");
wait_until(10, sub { $pair->destination_sql('SELECT count(*) FROM pg_locks WHERE NOT granted') });
my $first = hint($pair, $session->query(call('parallel_pull_table')), '55006', qr/^(COMMIT) or ROLLBACK first, and then pull/,
  'a third session between');
$session->query($first);
ok($session->query(call('parallel_pull_table'))->is_ok, '… what it says works');
$_->close for $session, $blocker;

# hint: extension/server/base/installed_version.cpp: Run CREATE EXTENSION
$pair->destination_sql('CREATE DATABASE fresh');
my %there = (dbname => 'fresh');
$pair->destination_sql(<<'SQL', %there);
CREATE FUNCTION own_wait(bigint, interval) RETURNS text LANGUAGE c AS 'parallel_loader', 'parallel_pull_wait';
SQL
my $create = hint($pair, q(SELECT own_wait(1, NULL)), '55000', qr/^Run (CREATE EXTENSION parallel_loader CASCADE;) and commit/,
  'a library without its extension', %there);
works($pair, $create, 'a library without its extension', %there);
is(words($pair, q(SELECT own_wait(1, NULL)), %there)->{sqlstate}, '42704', '… then there is a ledger, if not that pull');

$pair->nothing_left('no process or session is left');
$pair->finish;
