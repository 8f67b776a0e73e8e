# From 0.3: its ledger holds rows as 0.3 wrote them (taken from a run of it): pulls that are done, that
# failed with and without a done chunk, that were interrupted, and marks with and without a filter.
# After the update nothing of them is done that was not, what has no done chunk is planned anew, and
# the rest is refused with what to do, which works.  Library and objects of other versions are errors.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";

use ParallelLoader::Test;
use PostgreSQL::Test::Utils;
use Test::More;

my $pair = ParallelLoader::Test->new(retries => 1, extension => 0);
my $ROWS = 4000;
my @TABLES = qw(t_done t_failed t_untouched t_interrupted t_planned t_mark t_filtered t_whole_filtered);
$pair->source_sql(join ";\n", map {
  "CREATE TABLE $_ (id bigint PRIMARY KEY, note text);
   INSERT INTO $_ SELECT i, 'row ' || i FROM generate_series(1, $ROWS) AS i" } @TABLES);
$pair->destination_sql(join ";\n", q(CREATE EXTENSION parallel_loader VERSION '0.3' CASCADE),
  map { "CREATE TABLE $_ (id bigint, note text)" } @TABLES);
my $dsn = literal($pair->dsn);

# ---- what 0.3 has left behind ----

my $identity = $pair->source_sql(<<'SQL');
SELECT format('%L, %L, %L, %L, 150000, %s, %s', pg_current_wal_lsn(), system_identifier, timeline_id,
  current_database(), pg_snapshot_xmin(pg_current_snapshot()), pg_snapshot_xmax(pg_current_snapshot()))
FROM pg_control_system(), pg_control_checkpoint()
SQL
my %relations = map { $_ => $pair->source_sql(
  "SELECT oid || ':' || relfilenode FROM pg_class WHERE relname = '$_'") } @TABLES;

my $id = 0;
sub old_pull {
  my ($table, $state, $done, %more) = @_;
  $id++;
  my ($filter, $code, $error) = map { literal($more{$_}) } qw(filter sqlstate error);
  my $kind = $more{kind} // 'pull';
  my $ended = $state =~ /done|failed|cancelled/ ? 'now()' : 'NULL';
  my $middle = $ROWS / 2 + 1;
  my ($first, $second) = map { $_ <= $done ? "'done', 2000" : "'planned', 0" } 1, 2;
  $pair->destination_sql(<<"SQL");
INSERT INTO parallel_loader.pull (run_id, owner, "table", source, source_table, key, bound_type,
  columns, filter, format, workers, chunk_bytes, timezone, date_order, snapshot, source_lsn,
  source_system, source_timeline, source_database, source_version, snapshot_xmin, snapshot_xmax,
  segment, state, sqlstate, error, finished, kind, source_relations)
VALUES ($id, 'postgres', '$table', $dsn, 'public.$table', 'id', '"pg_catalog"."int8"', '{id,note}',
  $filter, 'binary', 2, 134217728, 'UTC', 'MDY', '00000005-00000042-1', $identity, 2907518654, '$state',
  $code, $error, $ended, '$kind', '$relations{$table}');
INSERT INTO parallel_loader.chunk (pull_id, chunk, range_start, range_end, state, rows, bytes, attempts,
  route, finished, estimated_rows, estimated_bytes)
SELECT $id, c.chunk, c.s, c.e, c.state, c.rows, c.rows * 20, 1, 'heap', now(), 2000, 65536
FROM (VALUES (1, NULL, '$middle', $first), (2, '$middle', NULL, $second)) AS c(chunk, s, e, state, rows);
SQL
  $pair->destination_sql("INSERT INTO $table SELECT i, 'row ' || i FROM generate_series(1, "
      . $done * $ROWS / 2 . ') AS i');
  return $id;
}

sub old_mark {
  my ($table, $filter) = @_;
  $pair->destination_sql(<<"SQL");
INSERT INTO parallel_loader.mark ("table", source_database, source_table, filter, horizon, compare_to,
  source_relations, source_system, source_timeline, key, pull_id)
SELECT "table", source_database, source_table, coalesce(filter, ''), snapshot_xmax, snapshot_xmax,
  source_relations, source_system, source_timeline, key, pull_id
FROM parallel_loader.pull WHERE pull_id = (SELECT max(pull_id) FROM parallel_loader.pull)
SQL
  return;
}

my $done = old_pull('t_done', 'done', 2);
my $failed = old_pull('t_failed', 'failed', 1, sqlstate => '08006', error => 'connection to source was lost');
my $untouched = old_pull('t_untouched', 'failed', 0, sqlstate => '23514', error => 'a check');
my $interrupted = old_pull('t_interrupted', 'running', 1);
my $planned = old_pull('t_planned', 'planned', 0);
my $whole_filtered = old_pull('t_whole_filtered', 'done', 2, filter => 'id > 0');
old_pull('t_mark', 'done', 2, kind => 'append');
old_mark('t_mark');
old_pull('t_filtered', 'done', 2, kind => 'append', filter => 'id > 0');
old_mark('t_filtered');
$pair->destination_sql(<<'SQL');
CREATE VIEW my_pulls AS SELECT * FROM parallel_pulls;
CREATE VIEW my_chunks AS SELECT * FROM parallel_pull_chunks;
CREATE VIEW my_progress AS SELECT * FROM parallel_pull_progress;
SQL
my $columns = q(SELECT attrelid::regclass || ': ' || string_agg(attname || ' ' || atttypid::regtype, ', '
  ORDER BY attnum) FROM pg_attribute
  WHERE attrelid::regclass::text ~ '^(my|parallel)_(pulls?|progress|chunks|pull_progress|pull_chunks)$' AND attnum > 0
  GROUP BY attrelid ORDER BY attrelid::regclass::text);
my @before = split /\n/, $pair->destination_sql($columns);
is(scalar(@before), 6, 'views of ours, and views upon them');

# ---- the update ----

$pair->error_is("SELECT * FROM parallel_pull_table($dsn, 't_done')", '55000',
  qr/older than its library.*ALTER EXTENSION parallel_loader UPDATE/s, 'before the update calls say so');
my $view = $pair->error_is('SELECT * FROM my_pulls', '55000',
  qr/ALTER EXTENSION parallel_loader UPDATE/, '… and views');
# hint: extension/server/base/installed_version.cpp: Run ALTER EXTENSION
my ($update) = $view->error->{hint} =~ /Run (ALTER EXTENSION parallel_loader UPDATE)/;

# Whoever reads and writes meanwhile neither meets a deadlock nor makes one: a worker with its chunk, one
# that goes from its chunk to its pull as that of an append does, those who look at the views.
my $append = $pair->session('destination')->start(<<"SQL");
DO \$\$ BEGIN
  PERFORM FROM parallel_loader.chunk WHERE pull_id = $interrupted AND state = 'planned' FOR UPDATE;
  FOR turn IN 1 .. 5000 LOOP
    EXIT WHEN EXISTS (SELECT FROM pg_locks WHERE NOT granted AND relation = 'parallel_loader.chunk'::regclass);
    PERFORM pg_sleep(0.001);
  END LOOP;
  PERFORM count(*) FROM parallel_loader.pull;
END \$\$
SQL
my $worker = $pair->session('destination');
$worker->query_safe("BEGIN; SELECT FROM parallel_loader.chunk WHERE pull_id = $failed AND state = 'planned' FOR UPDATE");
my $updater = $pair->session('destination')->start($update);
my $waits = sub { my ($count, $relation) = @_; wait_until(10, sub { $pair->destination_sql(
    "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation::regclass::text LIKE '$relation'") == $count }) };
is($append->finish(10)->sqlstate, '00000', 'an append goes on before the update');
ok($waits->(1, 'parallel_loader.chunk'), 'the update waits for a chunk that is moved');
my @readers = map { $pair->session('destination')->start("SELECT count(*) FROM my_$_") } qw(pulls chunks progress);
ok($waits->(3, 'parallel_pull%'), '… those who look wait for it');
$worker->query_safe('COMMIT');
my $updated = $updater->finish(20);
is($updated->summary, 'success: ', '… and what they say works');
is($_->finish(10)->summary =~ s{\d+$}{}r, 'success: ', '… for who waited, too') for @readers;
like($updated->err, qr/WARNING.*not finished were begun by an earlier version: $failed, $interrupted\n/,
  '… and it says which pulls can be resumed only while they are held');
like($updated->err, qr/WARNING.*empty search path: t_filtered, t_whole_filtered\n.*HINT/s,
  '… and whose filters mean what they meant');
my @after = split /\n/, $pair->destination_sql($columns);
is(substr($after[$_], 0, length $before[$_]), $before[$_],
  'views keep names, order and types of their columns; what is new comes last') for 0 .. $#before;
is($pair->destination_sql('SELECT count(*) FROM my_pulls') . $pair->destination_sql(
    'SELECT count(*) FROM my_progress'), '80', '… and what was built on them is there');
is($pair->destination_sql('SELECT string_agg(state, \',\' ORDER BY pull_id) FROM parallel_pulls'),
  'done,failed,failed,interrupted,interrupted,done,done,done', 'each pull has the state that it had');

# Library and objects that do not match; the marker is the extension's version.
my $version = $pair->destination_sql(q(SELECT extversion FROM pg_extension WHERE extname = 'parallel_loader'));
$pair->destination_sql(q(UPDATE pg_extension SET extversion = '0.10' WHERE extname = 'parallel_loader'));
$pair->error_is($_, '55000', qr/newer than its library.*Reconnect/s, 'objects newer than the library')
  for "SELECT parallel_pull_start($dsn, 't_done')", 'SELECT * FROM parallel_pulls';
$pair->destination_sql("UPDATE pg_extension SET extversion = '$version' WHERE extname = 'parallel_loader'");
# The library of 0.3 has functions of these names, and must have none that the new objects call.
is($pair->destination_sql(q(SELECT count(*) FROM pg_proc
  WHERE probin = '$libdir/parallel_loader' AND prosrc IN ('parallel_pull', 'parallel_pull_table',
    'parallel_pull_start', 'parallel_pull_create', 'parallel_pull_work', 'parallel_pull_wait',
    'parallel_pull_cancel', 'parallel_pull_resume', 'parallel_pull_alter', 'parallel_pull_append',
    'parallel_pull_plan', 'parallel_pull_verify', 'parallel_pull_check', 'parallel_pull_sequences',
    'parallel_loader_live_progress', 'parallel_loader_live_chunks', 'parallel_loader_current_pull'))),
  0, 'a library of 0.3 in an old session has no function that is called');

# ---- going on ----

for my $case ([$untouched, 't_untouched'], [$planned, 't_planned']) {
  my ($pull, $table) = @$case;
  my $result = $pair->try_sql("SELECT rows FROM parallel_pull_resume($pull)");
  is($result->is_ok ? $result->out : $result->summary, $ROWS, "$table: planned anew");
  $pair->same_rows("SELECT * FROM $table", '… and all rows are there');
}
for my $case ([$failed, 't_failed'], [$interrupted, 't_interrupted']) {
  my ($pull, $table) = @$case;
  my $error = $pair->error_is("SELECT parallel_pull_resume($pull)", '55000', qr/snapshot of pull $pull is lost/,
    "$table: without a proof of its snapshot it is refused");
  is($pair->destination_sql("SELECT count(*) FROM $table"), $ROWS / 2, '… and nothing is written');
  like($error->error->{hint}, qr/earlier version.*Empty the table and pull it again/,
    '… with what to do');
  $pair->destination_sql("TRUNCATE $table; SELECT parallel_pull_table($dsn, '$table')");
  $pair->same_rows("SELECT * FROM $table", '… and all rows are there once');
}

# ---- appending ----

$pair->source_sql("INSERT INTO $_ VALUES (10001, 'new')") for qw(t_done t_mark t_filtered t_whole_filtered);
for my $table (qw(t_mark t_done)) {
  my $result = $pair->try_sql("SELECT parallel_pull_append($dsn, '$table')");
  is($result->is_ok ? $result->out : $result->summary, 1, "$table: an append goes on");
  $pair->same_rows("SELECT * FROM $table", '… and all rows are there once');
}
for my $table (qw(t_filtered t_whole_filtered)) {
  my $check = sub { join "\n", map { "$_->{level}: $_->{message}" } grep { $_->{item} eq 'filter' }
      $pair->table_rows('parallel_pull_check', $table, {filter => 'id > 0'}) };
  like($check->(), qr/warning: .*empty search path/, "$table: a check says how an append reads the filter");
  my $result = $pair->try_sql("SELECT parallel_pull_append($dsn, '$table', filter => 'id > 0')");
  is($result->is_ok ? $result->out : $result->summary, 1, '… an append goes on');
  like(join("\n", $result->notices), qr/filter is evaluated under an empty search path/, '… and says so, too');
  $pair->same_rows("SELECT * FROM $table", '… and all rows are there once');
}
is(join(' ', map { $_->{message} } grep { $_->{item} eq 'filter' }
    $pair->table_rows('parallel_pull_check', 't_done', {filter => 'id > 0'})), '', 'of other tables it says nothing');
$pair->finish;
