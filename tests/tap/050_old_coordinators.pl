# Coordinators that run on with the library of 0.3 after the update.  A held pull is resumed under their
# snapshot once three things prove it: the exporting session's virtual transaction, its name, and that it
# ends when the coordinator is sent away.  What is not proven is refused.  A coordinator of today stands
# for one of 0.3: its ledger is made as 0.3 wrote it, and its shared memory cannot be found.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";

use ParallelLoader::Test;
use Test::More;

my $pair = ParallelLoader::Test->new(destination => {conf => "parallel_loader.snapshot_hold = 10min\n"});
my $ROWS = 60000;
my $REFUSED = 22000;
$pair->source_sql(<<"SQL");
CREATE TABLE t (id integer PRIMARY KEY, note text);
INSERT INTO t SELECT i, repeat('n', 110) || i FROM generate_series(1, $ROWS) AS i;
CREATE TABLE p (id integer PRIMARY KEY, note text) PARTITION BY RANGE (id);
CREATE TABLE p_low PARTITION OF p FOR VALUES FROM (0) TO (30000);
CREATE TABLE "p High" PARTITION OF p FOR VALUES FROM (30000) TO (100000);
INSERT INTO p TABLE t;
SQL
$pair->destination_sql('CREATE TABLE t (id integer, note text); CREATE TABLE p (id integer, note text)');
my $dsn = literal($pair->dsn);

sub make_old {
  my ($pull) = @_;
  $pair->destination_sql(<<"SQL");
UPDATE parallel_loader.pull SET snapshot_lock = NULL, snapshot_state = NULL, source_host = NULL,
  source_hostaddr = NULL, source_port = NULL, source_path = NULL, source_shape = NULL, local_shape = NULL,
  asked_key = NULL, asked_columns = NULL, asked_format = NULL, asked_bound_type = NULL, segment = 4711
WHERE pull_id = $pull;
UPDATE parallel_loader.chunk SET relation_oid = NULL WHERE pull_id = $pull
SQL
  return $pull;
}

# A pull that has failed at a row of its middle, and is held.
sub held_pull {
  my ($table, %named) = @_;
  $pair->destination_sql("TRUNCATE $table; ALTER TABLE $table ADD CONSTRAINT ok CHECK (id <> $REFUSED)");
  my $result = $pair->try_sql($pair->table_sql('parallel_pull_table', $table, {workers => 1, chunk_size => '1MB', %named}));
  $pair->destination_sql("ALTER TABLE $table DROP CONSTRAINT ok");
  is($result->sqlstate, '23514', "$table: a pull fails");
  my $pull = $pair->pull;
  cmp_ok($pull->{chunks_done}, '>', 0, '… with some chunks done');
  return make_old($pull->{pull_id});
}

sub refused {
  my ($pull, $pattern, $rule) = @_;
  my $rows = $pair->destination_sql('SELECT count(*) FROM t');
  $pair->error_is("SELECT parallel_pull_resume($pull)", '55000', $pattern, $rule);
  is($pair->destination_sql('SELECT count(*) FROM t'), $rows, '… and nothing is written');
  is($pair->pull($pull)->{state}, 'failed', '… and the pull stays what it is');
  return;
}

# ---- going on under the snapshot that is held ----

for my $case (['t'], ['t', key => 'ctid'], ['p', key => 'id'], ['t', filter => 'id > 10']) {
  my ($table, %named) = @$case;
  my $pull = held_pull($table, %named);
  $pair->source_sql("DELETE FROM $table WHERE id % 3 = 0; UPDATE $table SET note = 'changed'");
  my $result = $pair->try_sql("SELECT rows FROM parallel_pull_resume($pull)");
  my $all = $ROWS - ($named{filter} ? 10 : 0);
  is($result->is_ok ? $result->out : $result->summary, $all, "$table: a resume goes on under the snapshot");
  is($pair->destination_sql("SELECT count(DISTINCT id) || ' ' || count(*) FILTER (WHERE note = 'changed') FROM $table"),
    "$all 0", '… with every row of it once');
  is($pair->destination_sql(<<"SQL"), 't', '… and records what 0.3 did not');
SELECT snapshot_lock IS NOT NULL AND source_shape IS NOT NULL AND local_shape IS NOT NULL
  AND (SELECT bool_and(relation_oid IS NOT NULL) FROM parallel_loader.chunk AS c WHERE c.pull_id = p.pull_id)
FROM parallel_loader.pull AS p WHERE pull_id = $pull
SQL
  like(join("\n", $result->notices), $named{filter} ? qr/filter is evaluated under an empty search path/ : qr/^$/,
    '… and says where its filter is read as it was');
  $pair->nothing_left('… and its old coordinator is gone');
  $pair->source_sql("TRUNCATE $table; INSERT INTO $table SELECT i, repeat('n', 110) || i FROM generate_series(1, $ROWS) AS i");
}

# ---- snapshots of other sessions under the recorded name ----

sub stranger {
  my ($pull, $name) = @_;
  my $session = $pair->session('source');
  $session->query_safe("SET application_name = '$name'; BEGIN ISOLATION LEVEL REPEATABLE READ");
  my $snapshot = $session->query_safe('SELECT pg_export_snapshot()');
  $pair->destination_sql("UPDATE parallel_loader.pull SET snapshot = '$snapshot' WHERE pull_id = $pull");
  return $session;
}

my $pull = held_pull('t');
my $stranger = stranger($pull, 'psql');
refused($pull, qr/lost.*no session of its coordinator/s, "another session's snapshot of that name is refused");
$stranger->close;
$pair->source_sql("UPDATE t SET note = 'changed' WHERE id = 1");
$stranger = stranger($pull, "parallel_loader coordinator of pull $pull");
refused($pull, qr/a different one of that name/, '… also of a coordinator of that number, with other bounds');
$stranger->close;
$pair->destination_sql("SELECT parallel_pull_cancel($pull)");
$pair->nothing_left('a held pull is cancelled');
refused($pull, qr/coordinator does not hold it.*HINT:  It was started by an earlier version.*Empty the table/s,
  '… and cannot be resumed then');

$pull = held_pull('t');
$stranger = stranger($pull, "parallel_loader coordinator of pull $pull");
refused($pull, qr/not the pull's/, '… nor with the same bounds: it stays when the coordinator goes');
$stranger->close;
$pair->nothing_left('… which it has');

# ---- what was altered here ----

$pull = held_pull('t');
$pair->destination_sql('ALTER TABLE t ALTER id TYPE bigint');
refused($pull, qr/rows of its done chunks may be gone/, 'a table that was rewritten here is refused');
$pair->destination_sql("SELECT parallel_pull_keep('t')");
refused($pull, qr/no longer fits the tables.*HINT/s, '… and where the caller vouches for it, its types are looked at');
$pair->destination_sql("ALTER TABLE t ALTER id TYPE integer; SELECT parallel_pull_keep('t')");
is($pair->destination_sql("SELECT rows FROM parallel_pull_resume($pull)"), $ROWS, '… altered back, it goes on');
$pair->same_rows('SELECT * FROM t', '… with every row');

# ---- a pull that runs on with the old library ----

$pair->destination_sql('TRUNCATE t');
$pull = $pair->destination_sql("SELECT parallel_pull_create($dsn, 't')");
make_old($pull);
for my $call ("parallel_pull_work($pull)", "parallel_pull_alter($pull, workers => 2)") {
  $pair->error_is("SELECT $call", '55000', qr/earlier version.*parallel_pull_wait.*parallel_pull_cancel/s, "$call says why not");
}
is($pair->destination_sql("SELECT parallel_pull_wait($pull, '10ms')"), 'planned', '… it can be waited for');
is($pair->destination_sql("SELECT parallel_pull_cancel($pull)"), 't', '… and cancelled');
is($pair->destination_sql("SELECT parallel_pull_wait($pull, '5s')"), 'cancelled', '… at once');

# ---- slots ----

$pull = held_pull('t');
is($pair->destination_sql("SELECT parallel_pull_cancel($pull)"), 't', 'a held pull is let go');
$pair->nothing_left('at the end no process and no session is left');
$pair->finish;
