# Names of snapshots repeat on other servers and after a restart: every session that imports one
# proves that it is the pull's, by the lock of a living holder; and of several hosts, all sessions go
# to the one that has it.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";

use File::Copy qw(copy);
use ParallelLoader::Session;
use ParallelLoader::Test;
use Test::More;

my $pair = ParallelLoader::Test->new(
  source => {conf => "max_wal_senders = 4\n"},
  destination => {conf => "parallel_loader.snapshot_hold = 60\n"});
my $TABLE = 'CREATE TABLE t (id integer PRIMARY KEY, note text)';
my $ROWS = 20000;
my $FILL = q(INSERT INTO %s SELECT i, '%s' || repeat(md5(i::text), 8) FROM generate_series(1, %d) AS i);
$pair->both_sql("$TABLE; CREATE TABLE u (LIKE t INCLUDING ALL)");
$pair->source_sql(sprintf $FILL, $_, 'right', $ROWS) for qw(t u);

my $stranger = ParallelLoader::Test::start_node('stranger');
ParallelLoader::Test::_safe($stranger, "$TABLE; CREATE TABLE u (LIKE t INCLUDING ALL)");
ParallelLoader::Test::_safe($stranger, sprintf $FILL, $_, 'wrong', $ROWS) for qw(t u);

# Makes a snapshot of `node` known there under this name, as it may have it by chance; the session
# that is returned holds it.
sub plant_snapshot {
  my ($node, $name) = @_;
  my $session = ParallelLoader::Session->new($node);
  my $own = $session->query_safe(
    'BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SELECT pg_export_snapshot()');
  my $folder = $node->data_dir . '/pg_snapshots';
  copy("$folder/$own", "$folder/$name") or die "$folder/$name: $!" if $own ne $name;
  return $session;
}

sub create {
  my ($named) = @_;
  return $pair->destination_sql($pair->table_sql('parallel_pull_create', 't', {chunk_size => '64kB', %$named}));
}

sub ledger {
  my ($pull_id, $column) = @_;
  return $pair->destination_sql("SELECT $column FROM parallel_loader.pull WHERE pull_id = $pull_id");
}

sub work_sql {
  my ($pull_id, $more) = @_;
  return "SELECT remaining FROM parallel_pull_work($pull_id" . ($more // '') . ')';
}

my $wrong_rows = q(SELECT count(*) FROM t WHERE note LIKE 'wrong%');

# ---- the lock ----

my $id = create({});
my ($lock, $snapshot) = (ledger($id, 'snapshot_lock'), ledger($id, 'snapshot'));
is($pair->source_sql("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 1"
    . " AND mode = 'ShareLock' AND granted AND (classid::bigint << 32 | objid::bigint) = $lock"), 1,
  'a pull holds the lock that its ledger names');
is(ledger($id, 'source_port'), $pair->source->port, '… and its ledger says where');

# ---- another server that knows the name ----

my $planted = plant_snapshot($stranger, $snapshot);
my $other = literal($stranger->connstr('postgres'));
$pair->error_is(work_sql($id, ", src_dsn => $other"), '22023', qr/does not have the snapshot of pull $id: .*not on this server/s,
  'a work session whose source is another server with a snapshot of that name is refused');
is($pair->destination_sql($wrong_rows), 0, '… and takes no row from it');
is($pair->destination_sql("SELECT rows FROM parallel_pull_work($id)"), $ROWS, '… the pull goes on at its source');
$pair->same_rows('SELECT * FROM t', '… with the right rows');

my $run = create({});
$planted->close;
$planted = plant_snapshot($stranger, ledger($run, 'snapshot'));
$pair->error_is("SELECT parallel_pull_create($other, 'u', run_id => $run)", '55000', qr/reads from another source/,
  'a pull of a run whose source is another server is refused');
my $second = $pair->destination_sql("SELECT parallel_pull_create(" . literal($pair->dsn)
    . ", 'u', run_id => $run, chunk_size => '64kB')");
is(ledger($second, 'snapshot_lock'), ledger($run, 'snapshot_lock'), 'pulls of a run have one lock');
is($pair->destination_sql(work_sql($_)), 0, 'a pull of the run ends') for $second;
$pair->same_rows('SELECT * FROM u', '… with the right rows');
$pair->destination_sql("SELECT parallel_pull_cancel($run)");
$planted->close;

# ---- a source that was started anew ----

$pair->destination_sql('TRUNCATE t');
$id = create({});
$pair->destination_sql(work_sql($id, ', max_chunks => 3'));
my $done = $pair->destination_sql('SELECT count(*) FROM t');
$pair->source->restart;
$pair->state_becomes($id, 'failed', 'a pull whose source is started anew fails');
$pair->source_sql(q(UPDATE t SET note = 'wrong' || note WHERE id % 2 = 0));
$planted = plant_snapshot($pair->source, ledger($id, 'snapshot'));
$pair->error_is("SELECT parallel_pull_resume($id)", '55000', qr/snapshot of pull $id is lost/,
  '… and its resume refuses the snapshot that has its name now');
is($pair->destination_sql('SELECT count(*) FROM t'), $done, '… and brings no row of it');
$planted->close;
$pair->source_sql(q(UPDATE t SET note = substr(note, 6) WHERE id % 2 = 0));

# The holder's server lives, the holder does not; its lock's key is known to somebody else there.
$pair->destination_sql('TRUNCATE t');
$id = create({});
$pair->destination_sql(work_sql($id, ', max_chunks => 3'));
$lock = ledger($id, 'snapshot_lock');
my $thief = $pair->session('source');
$thief->query_safe("SELECT pg_advisory_lock_shared($lock)");
$pair->source_sql(q(SELECT pg_terminate_backend(pid) FROM pg_stat_activity
  WHERE application_name LIKE 'parallel_loader coordinator%'));
$pair->state_becomes($id, 'failed', 'a pull whose holder is terminated fails');
$pair->source_sql(q(UPDATE t SET note = 'wrong' || note WHERE id % 2 = 0));
$planted = plant_snapshot($pair->source, ledger($id, 'snapshot'));
$pair->error_is("SELECT parallel_pull_resume($id)", '55000', qr/a different one of that name/,
  '… its state tells another snapshot of the same server from it');
$planted->close;
$thief->close;
$pair->source_sql(q(UPDATE t SET note = substr(note, 6) WHERE id % 2 = 0));

# ---- a snapshot that the caller gives ----

$pair->destination_sql('TRUNCATE t');
my $witness = $pair->session('source');
my $given = $witness->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SELECT pg_export_snapshot()');
$pair->source_sql(sprintf 'INSERT INTO t VALUES (%d, %s)', $ROWS + 1, q('late'));
$id = create({snapshot => $given});
$witness->close;
isnt(ledger($id, 'snapshot'), $given, 'a snapshot that was given is exported anew');
is($pair->destination_sql(work_sql($id, ', workers => 2')), 0, '… and need not live on');
is($pair->destination_sql('SELECT count(*) FROM t'), $ROWS, '… with the rows that it shows');
$pair->source_sql("DELETE FROM t WHERE id = $ROWS + 1");

# ---- several hosts ----

$pair->source->backup('base');
my $standby = ParallelLoader::Test::new_node('standby');
$standby->init_from_backup($pair->source, 'base', has_streaming => 1);
my ($here, $there) = ($standby, $pair->source);
my $both = sprintf 'host=%s,%s port=%s,%s dbname=postgres', $here->host, $there->host, $here->port, $there->port;

$pair->destination_sql('TRUNCATE t');
is($pair->destination_sql("SELECT rows FROM parallel_pull_table(" . literal($both) . ", 't', workers => 3)"),
  $ROWS, 'of two hosts the first is down');
$pair->destination_sql('TRUNCATE t');
$id = create({dsn => $both});
my $held = create({dsn => $both});
$pair->destination_sql(work_sql($id, ', max_chunks => 2'));
$standby->start;
$pair->source->wait_for_catchup($standby, 'replay', $pair->source->lsn('insert'));
is($pair->destination_sql(work_sql($id, ', workers => 3')), 0, 'the first host is back in mid-pull');
$pair->same_rows('SELECT * FROM t', '… with every row once');
is(ledger($id, 'source_port'), $there->port, '… and the ledger says which one it was');

# A work session's own list: the server that has the snapshot is found, wherever it stands.
$pair->destination_sql('TRUNCATE t');
is($pair->destination_sql(work_sql($held, ', workers => 2, src_dsn => ' . literal($both))), 0,
  'a work session with a list of its own finds the server');
$pair->same_rows('SELECT * FROM t', '… with every row once');
$pair->destination_sql('TRUNCATE t');
$id = create({});
my $roundabout = sprintf 'host=%s/.,%s/. port=%s,%s dbname=postgres',
  $here->host, $there->host, $here->port, $there->port;
is($pair->destination_sql(work_sql($id, ', workers => 2, src_dsn => ' . literal($roundabout))), 0,
  '… also where it calls it by another name');
$pair->same_rows('SELECT * FROM t', '… with every row once');

for my $attribute (qw(any read-write read-only primary standby prefer-standby)) {
  $pair->destination_sql('TRUNCATE t');
  $id = create({dsn => "$both target_session_attrs=$attribute"});
  is($pair->destination_sql(work_sql($id, ', workers => 3')), 0, "target_session_attrs=$attribute");
  my $wanted = $attribute =~ /^(?:read-write|primary)$/ ? $there : $here;
  is(ledger($id, 'source_port'), $wanted->port, '… goes to the server that has them');
  $pair->same_rows('SELECT * FROM t', '… with every row once');
}
$pair->destination_sql('TRUNCATE t');
$id = create({dsn => $both});
$pair->destination_sql(work_sql($id, ', max_chunks => 2'));
$pair->destination_sql("SELECT pg_cancel_backend(pid) FROM pg_stat_activity"
    . " WHERE backend_type = 'parallel_loader coordinator'");
$standby->stop;
$pair->state_becomes($id, 'failed|cancelled', 'a pull whose server is stopped ends');
$pair->error_is("SELECT parallel_pull_resume($id, " . literal($both) . ')', '55000', qr/is lost/,
  '… and is not resumed on the other one by itself');
is($pair->destination_sql("SELECT bool_and(matches) FROM parallel_pull_verify(" . literal($both)
    . ", 'u', workers => 3)"), 't', 'verify reads one of the hosts alone');
$standby->start;
is($pair->destination_sql("SELECT bool_and(matches) FROM parallel_pull_verify(" . literal($both)
    . ", 'u', workers => 3)"), 't', '… whichever is up');

$pair->nothing_left('at the end no worker and no session is left');
$pair->finish;
