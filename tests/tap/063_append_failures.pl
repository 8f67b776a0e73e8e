# parallel_pull_append that fails, is cancelled, is struck down, or loses the source: rows and mark
# move together or not at all, and the next call goes on from there.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";

use ParallelLoader::Append;
use ParallelLoader::Test;
use PostgreSQL::Test::Utils;
use Test::More;

my $pair = ParallelLoader::Test->new(
  retries => 1,
  destination => {conf => "restart_after_crash = on\n"});
$pair->create_gate;
$pair->both_sql('CREATE TABLE t (id integer PRIMARY KEY, note text)');

my $id = 0;

# As many new rows.
sub fill {
  my ($count) = @_;
  my ($from, $to) = ($id + 1, $id + $count);
  $pair->source_sql("INSERT INTO t SELECT i, 'row ' || i FROM generate_series($from, $to) AS i");
  $id = $to;
  return;
}

# ---- constraints ----

fill(1000);
appends($pair, 1000, 't', {}, 'a table');
fill(1000);
$pair->destination_sql('ALTER TABLE t ADD CONSTRAINT low CHECK (id < 1900)');
append_fails($pair, '23514', qr/constraint "low".*Pull \d+ failed at chunk 1/s, 't', {},
  'a constraint that new rows violate');
my $failed = $pair->pull;
is("$failed->{state} $failed->{rows}", 'failed 0', '… the pull has failed');
$pair->error_is("SELECT * FROM parallel_pull_resume($failed->{pull_id})", '55000',
  qr/cannot be resumed.*The next append copies what it did not copy/s, '… and cannot be resumed');
$pair->source_sql('VACUUM FULL t');
append_fails($pair, '23514', qr/constraint "low"/, 't', {}, '… also where rows are compared');
$pair->destination_sql('ALTER TABLE t DROP CONSTRAINT low');
appends($pair, 1000, 't', {}, '… the next call brings all of them');

$pair->destination_sql(<<'SQL');
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE 'not now' USING ERRCODE = 'P0099';
END $$;
CREATE CONSTRAINT TRIGGER at_the_end AFTER INSERT ON t DEFERRABLE INITIALLY DEFERRED
  FOR EACH ROW EXECUTE FUNCTION refuse();
SQL
fill(10);
append_fails($pair, 'P0099', qr/not now/, 't', {}, 'a deferred trigger that refuses');
$pair->destination_sql('DROP TRIGGER at_the_end ON t');
appends($pair, 10, 't', {}, '… and no longer does');

$pair->source_sql(q(UPDATE t SET note = 'changed' WHERE id = 5));
append_fails($pair, '23505', qr/Key \(id\)=\(5\) already exists/, 't', {},
  'a row that was updated on the source comes again, which its key refuses');
$pair->destination_sql('DELETE FROM t WHERE id = 5');
appends($pair, 1, 't', {}, '… until the old one is removed');

# ---- in the middle of the copy ----

my %gated = (filter => 'public.gate(id, 1500)');
$pair->destination_sql('CREATE TABLE middle (id integer, note text)');
my %middle = (%gated, source_table => 't');

# Begins an append that stands in the middle of its rows, and returns the session.
sub start_in_the_middle {
  $pair->close_gate;
  my $session = $pair->session('destination')->start(append_sql($pair, 'middle', \%middle));
  $pair->wait_at_gate;
  return $session;
}

sub nothing_came {
  my ($rule) = @_;
  local $Test::Builder::Level = $Test::Builder::Level + 1;
  is($pair->destination_sql('SELECT count(*), ' . marks('middle') . ' FROM middle'), '0|',
    "… neither rows nor mark after $rule");
  return;
}

my $caller = start_in_the_middle();
$pair->source_sql('SELECT pg_terminate_backend(' . ($pair->pids_at_gate)[0] . ')');
$pair->open_gate;
my $result = $caller->finish;
is($result->summary, 'success: ' . $id, 'an append whose source session is killed is retried');
cmp_ok($pair->pull->{retries}, '>=', 1, '… which the ledger counts');
appends($pair, 0, 'middle', \%middle, '… and has brought each row once');

$pair->destination_sql(q(TRUNCATE middle; SELECT parallel_pull_forget('middle')));
my %BLOW = (
  'cancel of the caller' => sub {
    $pair->destination_sql('SELECT pg_cancel_backend(' . $_[0]->backend_pid . ')') },
  'kill -9 of the client' => sub { $_[0]->kill9 },
  'terminate of the coordinator' => sub {
    $pair->destination_sql('SELECT pg_terminate_backend(' . ($pair->coordinator_pids)[0] . ')') },
  'cancel of the worker' => sub {
    $pair->destination_sql('SELECT pg_cancel_backend(' . ($pair->worker_pids)[0] . ')') });
for my $blow (sort keys %BLOW) {
  $caller = start_in_the_middle();
  $BLOW{$blow}->($caller);
  $result = $caller->finish(10);
  ok(!$result->is_ok && !$result->is_timed_out, "$blow: the call ends") or diag($result->summary);
  $pair->nothing_left('… leaves nothing');
  $pair->open_gate;
  nothing_came($blow);
}

$caller = start_in_the_middle();
my @pids = split /\n/, $pair->destination_sql('SELECT pid FROM pg_stat_activity');
kill 'KILL', ($pair->worker_pids)[0] or die;
$result = $caller->finish(10);
ok($result->is_lost, 'kill -9 of the worker ends all sessions') or diag($result->summary);
wait_until(60, sub { $pair->try_sql('SELECT 1')->is_ok });
$pair->open_gate;
$pair->nothing_left('… leaves nothing');
nothing_came('kill -9 of the worker');
is($pair->pull->{state}, 'interrupted', '… the pull is interrupted');
appends($pair, $id, 'middle', \%middle, '… the next call brings all rows');

# ---- one after the other ----

$pair->destination_sql(q(TRUNCATE middle; SELECT parallel_pull_forget('middle')));
my $first = start_in_the_middle();
my @later = map { $pair->session('destination') } 1 .. 3;
$later[0]->start(append_sql($pair, 'middle', \%middle));
$later[1]->start(append_sql($pair, 'middle', \%middle));
$later[2]->start('SET statement_timeout = 1000; ' . append_sql($pair, 'middle', \%middle));
my $waiting = wait_until(10, sub { $pair->destination_sql(
  q(SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted)) == 3 });
ok($waiting, 'calls for the same table wait for the first');
appends($pair, 1000, 'other', {source_table => 't', filter => 'id <= 1000'},
  '… one for another table does not')
  if $pair->destination_sql('CREATE TABLE other (id integer, note text)') eq '';
$pair->result_is_error($later[2]->finish(10), '57014', qr/statement timeout/,
  '… one whose time is up goes');
$pair->destination_sql('SELECT pg_cancel_backend(' . $later[1]->backend_pid . ')');
my $seconds = stopwatch();
$pair->result_is_error($later[1]->finish(10), '57014', qr/canceling/, '… one that is cancelled too');
cmp_ok($seconds->(), '<', $ParallelLoader::Test::PROMPT_S, '… soon');
my $gone = wait_until($ParallelLoader::Test::PROMPT_S, sub { $pair->coordinator_pids == 2 });
ok($gone, '… with their coordinators');
$pair->open_gate;
is($first->finish->summary, "success: $id", 'the first brings the rows');
is($later[0]->finish->summary, 'success: 0', '… the next one nothing');
$pair->same_rows({source => 'SELECT * FROM t', destination => 'SELECT * FROM middle'},
  '… each row is here once');

my $busy = $pair->session('destination');
$busy->query_safe('BEGIN; LOCK TABLE middle');
$pair->result_is_error($busy->query(append_sql($pair, 'middle', \%middle)), '55006', qr/locked/,
  'a caller who has locked the table');
$busy->query_safe('ROLLBACK');

# ---- the ledger moves to another database ----

my $file = PostgreSQL::Test::Utils::tempdir() . '/dump';
my $node = $pair->destination;
system_or_bail('pg_dump', '-Fc', '-f', $file, '-d', $node->connstr('postgres'));
$pair->destination_sql('CREATE DATABASE restored');
system_or_bail('pg_restore', '--exit-on-error', '-d', $node->connstr('restored'), $file);
fill(20);
my @there = (dbname => 'restored');
$pair->error_is(append_sql($pair, 'middle', \%middle), '55000', qr/parallel_pull_keep/,
  'a database that was restored from a dump has other tables', @there);
$pair->destination_sql(q(SELECT parallel_pull_keep('middle')), @there);
appends($pair, 20, 'middle', \%middle, '… but for the caller\'s word', @there);
appends($pair, 0, 'middle', \%middle, '… goes on where the dump was taken', @there);
$pair->same_rows({source => 'SELECT * FROM t', destination => 'SELECT * FROM middle',
    destination_db => 'restored'}, '… each row is there once');
appends($pair, 20, 'middle', \%middle, '… as does the one it was taken from');

# ---- a job every minute for years ----

fill(1), $pair->destination_sql(append_sql($pair, 't')) for 1 .. 3;
$pair->destination_sql(q(INSERT INTO parallel_loader.pull (pull_id, run_id, owner, "table", source,
    source_table, format, workers, chunk_bytes, timezone, date_order, segment, kind, state)
  SELECT -i, -i, current_user::regrole, 't'::regclass, '', 't', 'auto', 1, 1, '', '', 0, 'append',
    CASE WHEN i % 2 = 0 THEN 'done' ELSE 'failed' END FROM generate_series(1, 400) AS i));
appends($pair, 0, 't', {}, 'the ledger keeps the latest appends');
for my $state (qw(done failed)) {
  cmp_ok($pair->destination_sql(qq(SELECT count(*) FROM parallel_loader.pull
    WHERE "table" = 't'::regclass AND kind = 'append' AND state = '$state')), '<=', 101, "… only, of those that are $state");
}

$pair->nothing_left('nothing is left of the appends');
$pair->finish;
