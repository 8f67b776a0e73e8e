# Workers that would wait for a lock that the waiting caller itself holds: an error or progress
# within two seconds, never a hang that no deadlock detector sees.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";

use ParallelLoader::Test;
use Test::More;

my $pair = ParallelLoader::Test->new;

$pair->source_sql(<<'SQL');
CREATE TABLE t (id integer PRIMARY KEY, ref integer);
INSERT INTO t SELECT i, 1 FROM generate_series(1, 100) AS i;
CREATE TABLE parts (id integer PRIMARY KEY, ref integer);
INSERT INTO parts TABLE t;
SQL
$pair->destination_sql(<<'SQL');
CREATE TABLE referenced (id integer PRIMARY KEY);
INSERT INTO referenced VALUES (1);
CREATE TABLE t (id integer PRIMARY KEY, ref integer);
CREATE TABLE child (id integer PRIMARY KEY, ref integer REFERENCES referenced);
CREATE TABLE parts (id integer, ref integer) PARTITION BY RANGE (id);
CREATE TABLE part1 PARTITION OF parts FOR VALUES FROM (0) TO (50);
CREATE TABLE part2 PARTITION OF parts FOR VALUES FROM (50) TO (1000) PARTITION BY RANGE (id);
CREATE TABLE part21 PARTITION OF part2 FOR VALUES FROM (50) TO (1000);
CREATE TABLE other (id integer);
SQL

my %SOURCE_OF = (child => 't', fresh => 't');

sub pull_of {
  my ($table) = @_;
  return $pair->pull_sql($table, undef, undef, {source_table => $SOURCE_OF{$table} // $table});
}

sub somebody_waits {
  my ($side) = @_;
  my $sql = "${side}_sql";
  return $pair->$sql('SELECT count(*) FROM pg_locks WHERE NOT granted') > 0;
}

# A pull that had begun must be named, so that it can be looked up.
sub names_pull {
  my ($result) = @_;
  local $Test::Builder::Level = $Test::Builder::Level + 1;
  my $pull_id = $pair->newest_pull_id;
  like(($result->error // {detail => ''})->{detail}, qr/\b[Pp]ull $pull_id\b/,
    '… the detail names the pull');
  return;
}

# A pull in a transaction that began with `before` must fail in time, and the caller can go on.
# Options: call => SQL in place of the pull; names => the table that the error must name;
# leaves => 1 when a pull that was made before stays; partway => 1 when the trap can only snap once
# the pull has begun.
sub is_trapped {
  my ($rule, $before, $table, %options) = @_;
  my $names = $options{names} // $table;
  local $Test::Builder::Level = $Test::Builder::Level + 1;
  my $caller = $pair->session('destination');
  $caller->query_safe("BEGIN; $before");
  my $result = $caller->query($options{call} // pull_of($table), 15);
  my $seconds = $caller->seconds;
  $pair->result_is_error($result, '55006', qr/\b$names\b/, "$rule: an error that names the table");
  cmp_ok($seconds, '<', $ParallelLoader::Test::TRAP_S, '… in time');
  isnt(($result->error // {hint => ''})->{hint}, '', '… with a hint');
  names_pull($result) if $options{partway};
  if ($result->is_timed_out) {
    # Let the other cases be judged on their own.
    $pair->destination_sql('SELECT pg_terminate_backend(' . $caller->backend_pid . ')');
  } else {
    ok($caller->query('ROLLBACK')->is_ok, '… and the session goes on');
  }
  $pair->nothing_left('… nothing is left') unless $options{leaves};
  return if $table eq 'fresh';
  # The caller has been told that the pull failed and will call again: nothing may arrive now.
  is($pair->destination_sql("SELECT count(*) FROM $table"), 0, '… no row arrives after the error');
  $pair->destination_sql("TRUNCATE $table");
  return;
}

# A pull in a transaction that began with `before` must succeed.
sub is_free {
  my ($rule, $before, $table) = @_;
  local $Test::Builder::Level = $Test::Builder::Level + 1;
  my $caller = $pair->session('destination');
  $caller->query_safe("BEGIN; $before");
  is($caller->query(pull_of($table), 15)->summary, 'success: 100',
    "$rule does not stand in the way");
  $caller->query_safe('ROLLBACK');
  is($pair->destination_sql("SELECT count(*) FROM $table"), 100,
    '… and ROLLBACK does not undo the pull');
  $pair->destination_sql("TRUNCATE $table");
  return;
}

# ---- the caller's own locks on the table ----

is_trapped('TRUNCATE', 'TRUNCATE t', 't');
is_trapped('CREATE TABLE', 'CREATE TABLE fresh (id integer, ref integer)', 'fresh');
is_trapped('CREATE TABLE AS', 'CREATE TABLE fresh AS SELECT 1 AS id, 2 AS ref', 'fresh');
is_trapped('ALTER TABLE', 'ALTER TABLE t ADD extra integer', 't');
is_trapped('CREATE INDEX', 'CREATE INDEX ON t (ref)', 't');
is_trapped('CREATE TRIGGER', 'CREATE TRIGGER x BEFORE INSERT ON t FOR EACH ROW'
    . ' EXECUTE FUNCTION suppress_redundant_updates_trigger()', 't');
is_trapped("LOCK TABLE IN $_ MODE", "LOCK TABLE t IN $_ MODE", 't')
  for 'SHARE', 'SHARE ROW EXCLUSIVE', 'EXCLUSIVE', 'ACCESS EXCLUSIVE';
is_free("LOCK TABLE IN $_ MODE", "LOCK TABLE t IN $_ MODE", 't')
  for 'ACCESS SHARE', 'ROW SHARE', 'ROW EXCLUSIVE';
is_free('having read the table', 'SELECT count(*) FROM t', 't');
is_free('having changed other rows', 'INSERT INTO t VALUES (-1, 0)', 't');
is_free('a lock on another table', 'LOCK TABLE other', 't');
is_free('a lock given back by ROLLBACK TO', 'SAVEPOINT s; TRUNCATE t; ROLLBACK TO s', 't');
is_trapped('TRUNCATE in a subtransaction', 'SAVEPOINT s; TRUNCATE t; RELEASE s', 't');
$pair->destination_sql(<<"SQL");
CREATE FUNCTION reload() RETURNS bigint LANGUAGE plpgsql AS \$\$
BEGIN
  TRUNCATE t;
  RETURN (@{[pull_of('t')]});
END \$\$
SQL
is_trapped('TRUNCATE in the function that pulls', 'SELECT 1', 't', call => 'SELECT reload()');

# ---- relations around the table ----

is_trapped('a lock on a partition', 'LOCK TABLE part1', 'parts', names => 'part1');
is_trapped('a lock on a partition of a partition', 'LOCK TABLE part21', 'parts',
  names => 'part21');
is_trapped('TRUNCATE of a partition', 'TRUNCATE part21', 'parts', names => 'part21');
is_trapped('a new partition',
  'CREATE TABLE part3 PARTITION OF parts FOR VALUES FROM (1000) TO (2000)', 'parts',
  names => '(?:parts|part3)');
is_trapped('a lock on a referenced table', 'LOCK TABLE referenced', 'child',
  names => 'referenced');
is_trapped('TRUNCATE of a referenced table', 'TRUNCATE referenced CASCADE', 'child',
  names => '(?:child|referenced)');
is_trapped('an update of the referenced key', 'DELETE FROM referenced', 'child', partway => 1);

# ---- rows ----

is_trapped('an uncommitted row with the same key', 'INSERT INTO t VALUES (50, 0)', 't',
  partway => 1);
is_trapped('an uncommitted row with the same key, in a subtransaction',
  'SAVEPOINT s; INSERT INTO t VALUES (50, 0); RELEASE s', 't', partway => 1);

# ---- through others ----

# The caller has only read the table; a third session queues for it, and the workers behind that.
sub with_queue {
  my ($before, $queued, $test) = @_;
  my $caller = $pair->session('destination');
  $caller->query_safe("BEGIN; $before");
  my $third = $pair->session('destination');
  $third->start($queued);
  my $is_queued = wait_until(5, sub { somebody_waits('destination') });
  ok($is_queued, "a third session waits with $queued");
  $test->($caller);
  $caller->close;
  my $end = $third->finish(10);
  ok($end->is_ok, '… and gets its lock when the caller has ended') or diag $end->summary;
  $third->close;
  $pair->nothing_left('… nothing is left');
  return;
}

for my $table (['t', 'TRUNCATE t', 't'], ['t', 'ALTER TABLE t ALTER ref SET DEFAULT 7', 't'],
  ['part21', 'TRUNCATE part21', 'parts'],
  ['referenced', 'BEGIN; LOCK TABLE referenced; COMMIT', 'child'])
{
  my ($read, $queued, $pulled) = @$table;
  with_queue("SELECT count(*) FROM $read", $queued, sub {
    my ($caller) = @_;
    my $result = $caller->query(pull_of($pulled), 15);
    my $seconds = $caller->seconds;
    $pair->result_is_error($result, '55006', qr/$pulled/,
      "$queued queued behind a caller who has read $read: an error");
    cmp_ok($seconds, '<', $ParallelLoader::Test::TRAP_S, '… in time');
    isnt(($result->error // {hint => ''})->{hint}, '', '… with a hint');
    names_pull($result);
    $pair->destination_sql('SELECT pg_terminate_backend(' . $caller->backend_pid . ')')
      if $result->is_timed_out;
  });
}

# Two links: the caller blocks one session by a row, that one blocks the workers by a lock.
my $caller = $pair->session('destination');
$caller->query_safe('BEGIN; INSERT INTO referenced VALUES (7)');
my $middle = $pair->session('destination');
$middle->query_safe('BEGIN; LOCK TABLE t IN SHARE MODE');
$middle->start('INSERT INTO referenced VALUES (7)');
wait_until(5, sub { somebody_waits('destination') });
my $result = $caller->query(pull_of('t'), 15);
$pair->result_is_error($result, '55006', qr/\bt\b/, 'a chain of waiting sessions is followed');
cmp_ok($caller->seconds, '<', $ParallelLoader::Test::TRAP_S, '… in time');
$caller->close;
$middle->finish(10);
$middle->close;

# A lock of somebody who does not wait for the caller is waited for, as by any statement.
my $third = $pair->session('destination');
$third->query_safe('BEGIN; LOCK TABLE t');
$caller = $pair->session('destination');
$caller->start(pull_of('t'));
# Longer than the trap's time, to see that it does not snap.
$result = $caller->finish($ParallelLoader::Test::TRAP_S + 0.5);
ok($result->is_timed_out, 'the lock of an independent session is waited for')
  or diag $result->summary;
$third->query_safe('COMMIT');
is($caller->finish(10)->summary, 'success: 100', '… and the pull goes on after it');
$pair->destination_sql('TRUNCATE t');

# ---- start and wait, create and work ----

is_trapped('TRUNCATE before parallel_pull_start', 'TRUNCATE t', 't',
  call => $pair->table_sql('parallel_pull_start', 't'));
is_trapped('TRUNCATE before parallel_pull_create', 'TRUNCATE t', 't',
  call => $pair->table_sql('parallel_pull_create', 't'));

# The start cannot know of a row; the wait can.
$caller = $pair->session('destination');
$caller->query_safe('BEGIN; INSERT INTO t VALUES (50, 0)');
my $pull_id = $caller->query_safe($pair->table_sql('parallel_pull_start', 't'));
$result = $caller->query("SELECT parallel_pull_wait($pull_id)", 15);
$pair->result_is_error($result, '55006', qr/\bt\b/,
  'an uncommitted row: parallel_pull_wait says so');
cmp_ok($caller->seconds, '<', $ParallelLoader::Test::TRAP_S, '… in time');
$caller->close;
$pair->destination_sql("SELECT parallel_pull_cancel($pull_id)");
$pair->nothing_left('… nothing is left');
$pair->destination_sql('TRUNCATE t');

$pull_id = $pair->destination_sql($pair->table_sql('parallel_pull_create', 't'));
is_trapped('TRUNCATE before parallel_pull_work', 'TRUNCATE t', 't',
  call => "SELECT parallel_pull_work($pull_id, @{[literal($pair->dsn)]})", leaves => 1);
is($pair->destination_sql("SELECT parallel_pull_cancel($pull_id)"), 't',
  '… the pull is still there');
$pair->nothing_left('… and can be cancelled');

# ---- the same on the source ----

# ALTER TABLE waits for the session that holds the snapshot, workers that come later wait for ALTER
# TABLE, and the holder for the workers: the source sees no deadlock.
$pull_id = $pair->destination_sql($pair->table_sql('parallel_pull_create', 't'));
my $alter = $pair->session('source');
$alter->start('ALTER TABLE t ADD later integer');
wait_until(5, sub { somebody_waits('source') });
$caller = $pair->session('destination');
$result = $caller->query("SELECT rows FROM parallel_pull_work($pull_id)", 20);
ok(!$result->is_timed_out, 'ALTER TABLE queued on the source: an error or progress');
cmp_ok($caller->seconds, '<', $ParallelLoader::Test::PROMPT_S, '… in time');
like($result->summary, qr/^success: 100$|\b(?:t|pull $pull_id)\b/, '… and the error names the pull')
  or diag $result->summary;
$caller->close;
$pair->try_sql("SELECT parallel_pull_cancel($pull_id)");
ok($alter->finish(10)->is_ok, '… and ALTER TABLE gets its lock in the end');
$alter->close;
$pair->source_sql('ALTER TABLE t DROP later');
$pair->nothing_left('… nothing is left');
$pair->destination_sql('TRUNCATE t');

# The destination is its own source: the caller's lock stops the source's sessions.
$pair->destination_sql('CREATE TABLE near AS SELECT 1 AS id, 1 AS ref');
$caller = $pair->session('destination');
$caller->query_safe('BEGIN; LOCK TABLE near');
$result = $caller->query($pair->pull_sql('t', undef, undef,
    {dsn => $pair->destination->connstr('postgres'), source_table => 'near'}), 20);
ok(!$result->is_timed_out && $result->error,
  'a lock on the source table of the same server: an error')
  or diag $result->summary;
cmp_ok($caller->seconds, '<', $ParallelLoader::Test::PROMPT_S, '… in time');
$caller->close;
$pair->nothing_left('… nothing is left');

# ---- the ledger itself ----

for my $case (
  ['CREATE EXTENSION in the same transaction',
    'DROP EXTENSION parallel_loader; CREATE EXTENSION parallel_loader'],
  ['a lock on the ledger', 'LOCK TABLE parallel_loader.pull IN ACCESS EXCLUSIVE MODE'])
{
  my ($rule, $before) = @$case;
  $caller = $pair->session('destination');
  $caller->query_safe("SET client_min_messages = error; BEGIN; $before");
  $result = $caller->query(pull_of('t'), 15);
  my $seconds = $caller->seconds;
  ok($result->error && !$result->is_timed_out, "$rule: an error") or diag $result->summary;
  cmp_ok($seconds, '<', $ParallelLoader::Test::TRAP_S, '… in time');
  $pair->destination_sql('SELECT pg_terminate_backend(' . $caller->backend_pid . ')')
    if $result->is_timed_out;
  $caller->close;
  $pair->nothing_left('… nothing is left');
}

$pair->pull_returns(100, 't', undef, undef, {}, 'after all of this a pull works');
$pair->finish;
