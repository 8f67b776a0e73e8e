# What a filter reads beside the rows themselves: columns that do not travel, other tables, views and
# enums.  Whatever becomes of them between plan, chunk and resume: right rows or a refusal, and nobody
# on the source is kept waiting for ever.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";

use ParallelLoader::FilteredPull qw(work);
use ParallelLoader::Test;
use Test::More;

my $pair = ParallelLoader::Test->new(destination => {conf => <<'CONF'});
parallel_loader.snapshot_hold = 10min
parallel_loader.retry_budget = 2min
CONF
$pair->source_sql(<<'SQL');
CREATE TYPE mood AS ENUM ('good', 'bad');
CREATE TABLE t (id integer PRIMARY KEY, k1 integer, k2 integer, m mood, pad text);
INSERT INTO t SELECT i, i % 2, (i + 1) % 2, CASE i % 2 WHEN 1 THEN 'good' ELSE 'bad' END::mood,
  repeat('x', 100) FROM generate_series(1, 6000) AS i;
CREATE TABLE flt (id integer);
INSERT INTO flt SELECT i FROM generate_series(1, 6000, 2) AS i;
CREATE VIEW of_flt AS SELECT id FROM flt;
CREATE TABLE parts (id integer) PARTITION BY RANGE (id);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (10000);
INSERT INTO parts SELECT id FROM flt;
CREATE TABLE parts_2 AS SELECT 20000 AS id;
SQL
$pair->destination_sql('CREATE TABLE t (id integer, pad text)');

my $OF_TABLE = 'id IN (SELECT id FROM flt)';
my $pulls = ParallelLoader::FilteredPull->new($pair);

my $EXCHANGE = 'ALTER TABLE t RENAME k1 TO k; ALTER TABLE t RENAME k2 TO k1; ALTER TABLE t RENAME k TO k2';
my $RELABEL = join '; ', map { "ALTER TYPE mood RENAME VALUE $_" } q('good' TO 'x'), q('bad' TO 'good'), q('x' TO 'bad');

# ---- under the same snapshot; what waits for a lock has it after ten seconds ----

my $WORK = work('%s');
$pulls->is_refused('labels of an enum', q(m = 'good'), $RELABEL, $RELABEL, $WORK, qr/was altered .*Labels of enum public.mood/s);
$pulls->is_refused('a partition that is attached', 'id IN (SELECT id FROM parts)',
  'ALTER TABLE parts ATTACH PARTITION parts_2 FOR VALUES FROM (10000) TO (30000)',
  'DROP TABLE parts_2', $WORK, qr/parts_2/);
$pulls->is_refused('a table that is emptied', $OF_TABLE, 'TRUNCATE flt',
  'INSERT INTO flt SELECT i FROM generate_series(1, 6000, 2) AS i', $WORK,
  qr/flt.* was emptied or rewritten/);

# ---- between failure and resume, under another snapshot ----

my $RESUME = 'SELECT parallel_pull_resume(%s, new_snapshot => true)';
$pulls->is_refused('columns that exchange their names', 'k1 = 1', $EXCHANGE, $EXCHANGE, $RESUME,
  qr/column "k[12]" .* was altered/);
$pulls->is_refused('a column that was dropped and added', 'k1 = 1',
  'ALTER TABLE t DROP k1, ADD k1 integer DEFAULT 0', 'UPDATE t SET k1 = id % 2', $RESUME,
  qr/column "k1" .* was altered/);
$pulls->is_refused('labels of an enum', q(m = 'good'), $RELABEL, $RELABEL, $RESUME,
  qr/column "m" .* was altered/);
$pulls->is_refused('a table that is made anew', $OF_TABLE,
  'ALTER TABLE flt RENAME TO flt_old; CREATE TABLE flt (id integer); INSERT INTO flt VALUES (2)',
  'DROP TABLE flt; ALTER TABLE flt_old RENAME TO flt', $RESUME, qr/filter of pull .* other tables/);
$pulls->is_refused('columns of that table', $OF_TABLE,
  'ALTER TABLE flt RENAME id TO other; ALTER TABLE flt ADD id integer',
  'ALTER TABLE flt DROP id; ALTER TABLE flt RENAME other TO id', $RESUME,
  qr/filter of pull .* other tables/);
$pulls->is_refused('a view that is replaced', 'id IN (SELECT id FROM of_flt)',
  'CREATE OR REPLACE VIEW of_flt AS SELECT id + 1 AS id FROM flt',
  'CREATE OR REPLACE VIEW of_flt AS SELECT id FROM flt', $RESUME, qr/filter of pull .* other tables/);

# ---- rows that come and go in what the filter reads do not matter ----

my $id = $pulls->create($OF_TABLE);
$pair->destination_sql(work($id, ', max_chunks => 1'));
$pair->source_sql('DELETE FROM flt WHERE id > 3000');
is($pair->destination_sql(work($id)), 0, 'rows deleted from the table that the filter reads');
is($pulls->count, 3000, '… all that the snapshot shows are here');
is($pulls->wrong_rows, 0, '… and no other');
$pair->destination_sql('TRUNCATE t');
$pair->source_sql('INSERT INTO flt SELECT i FROM generate_series(3001, 6000, 2) AS i');

# ---- a command that queues between two sessions of ours ----

$id = $pulls->create($OF_TABLE);
my $queued = $pair->session('source');
$queued->start('TRUNCATE flt');
$pair->source->poll_query_until('postgres', 'SELECT count(*) > 0 FROM pg_locks WHERE NOT granted');
$pair->error_is(work($id), '55000', qr/flt.* emptied or rewritten/,
  'TRUNCATE of the filter\'s table before the first worker: others have their turn', timeout => 60);
ok($queued->finish->is_ok, '… and it is through');
$pair->destination_sql("SELECT parallel_pull_cancel($id)");

# ---- a table that joins what the filter reads, while a session of ours reads chunk after chunk ----

$pair->create_gate;
$pair->source_sql(<<'SQL');
INSERT INTO flt SELECT i FROM generate_series(1, 6000, 2) AS i;
CREATE TABLE lists (id integer, kind integer) PARTITION BY LIST (kind);
CREATE TABLE lists_1 PARTITION OF lists FOR VALUES IN (1);
INSERT INTO lists SELECT id, 1 FROM flt;
CREATE TABLE heir () INHERITS (flt);
SQL
my %JOINS = (
  'a partition' => ['lists', 'ALTER TABLE lists ATTACH PARTITION even FOR VALUES IN (2)'],
  'an heir' => ['flt', 'ALTER TABLE even INHERIT flt']);
for my $what (sort keys %JOINS) {
  my ($table, $join) = @{$JOINS{$what}};
  $pair->source_sql('CREATE TABLE even AS SELECT i AS id, 2 AS kind FROM generate_series(0, 6000, 2) AS i'
    . ($table eq 'flt' ? '; ALTER TABLE even DROP kind' : ''));
  $pair->close_gate;
  $id = $pulls->create("id IN (SELECT id FROM $table) AND public.gate(id, 1000)");
  my $worker = $pair->session('destination');
  $worker->start(work($id));
  $pair->wait_at_gate;
  $pair->source_sql($join);
  $pair->open_gate;
  my $result = $worker->finish(60);
  like($result->summary, qr/55000.*even.* was attached to a parent/s,
    "$what that joins the filter's table: the pull ends");
  is($pulls->wrong_rows, 0, '… and no row has come that the filter forbids');
  $pair->destination_sql("SELECT parallel_pull_cancel($id)");
  $pair->source_sql('DROP TABLE even');
  $pair->destination_sql('TRUNCATE t');
}
$pair->source_sql('DROP TABLE heir');

# ---- what goes on ----

# A chunk is done, then `change`: the resume under a new snapshot brings the rest.
sub goes_on {
  my ($what, $filter, $change, %named) = @_;
  my $set = $named{set} // '';
  my $sql = $pair->table_sql('parallel_pull_create', 't',
    {key => 'id', columns => [qw(id pad)], filter => $filter, chunk_size => '64kB', %{$named{pull} // {}}});
  my ($pull) = $pair->destination_sql("$set $sql") =~ /(\d+)\s*$/;
  ok($pair->destination_sql(work($pull, ', max_chunks => 1')) > 0, "$what: a chunk is done before");
  $pair->destination_sql("SELECT parallel_pull_cancel($pull)");
  $pair->destination_sql("SELECT parallel_pull_wait($pull)");
  $change->($pull);
  is($pair->try_sql("SELECT chunks > 0 FROM parallel_pull_resume($pull, new_snapshot => true)", timeout => 60)->summary,
    'success: t', '… the resume brings the rest');
  is($pulls->count, 3000, '… every row is there');
  is($pulls->wrong_rows, 0, '… and no other');
  $pair->destination_sql('TRUNCATE t');
  return;
}

goes_on('a new file of the filter\'s table', $OF_TABLE, sub { $pair->source_sql('VACUUM FULL flt') });
# Earlier versions did not record what a filter reads.
goes_on('a pull that 0.4 has planned', $OF_TABLE, sub {
    my ($pull) = @_;
    is($pair->destination_sql("UPDATE parallel_loader.pull SET source_shape = regexp_replace(source_shape, '(^|\\n)w[^\\n]*', '', 'g')"
        . " WHERE pull_id = $pull AND source_shape ~ '\\nw' RETURNING source_shape ~ '\\nw'"), 'f', '… no word of the filter is left');
  });
# Partitions that the caller's time zone rules out are not those that UTC rules out.
$pair->source_sql(<<'SQL');
CREATE TABLE times (id integer, at timestamptz) PARTITION BY RANGE (at);
CREATE TABLE times_1 PARTITION OF times FOR VALUES FROM (MINVALUE) TO ('2026-01-01 03:00+00');
CREATE TABLE times_2 PARTITION OF times FOR VALUES FROM ('2026-01-01 03:00+00') TO (MAXVALUE);
INSERT INTO times SELECT id, '2026-01-01 12:00+00' FROM flt;
SQL
goes_on('a filter with a time', q(id IN (SELECT id FROM times WHERE at >= '2026-01-01 02:00')), sub {},
  set => q(SET TimeZone = 'America/New_York';));
goes_on('another filter with a time', q(id IN (SELECT id FROM times WHERE at >= '2026-01-01 04:00')), sub {},
  set => q(SET TimeZone = 'Asia/Tokyo';));
# The planner of the source runs a stable function, and so reads its table, for a partition and not for
# the table as a whole.
$pair->source_sql(<<'SQL');
CREATE TABLE settings (most integer);
INSERT INTO settings VALUES (5999);
CREATE FUNCTION most() RETURNS integer STABLE LANGUAGE sql AS 'SELECT max(most) FROM settings';
CREATE TABLE cut (LIKE t) PARTITION BY RANGE (id);
CREATE TABLE cut_1 PARTITION OF cut FOR VALUES FROM (0) TO (3000);
CREATE TABLE cut_2 PARTITION OF cut FOR VALUES FROM (3000) TO (10000);
INSERT INTO cut SELECT * FROM t;
ANALYZE cut;
SQL
goes_on('a function that reads a table, for a table of partitions', 'id % 2 = 1 AND id <= most()', sub {},
  pull => {source_table => 'cut'});

# ---- append ----

$pair->destination_sql(q(SELECT parallel_pull_forget('t')));
$pair->source_sql('TRUNCATE flt; INSERT INTO flt SELECT i FROM generate_series(1, 6000, 2) AS i');
my %append = (key => 'id', columns => [qw(id pad)], filter => $OF_TABLE);
my $append = $pair->table_sql('parallel_pull_append', 't', \%append);
is($pair->destination_sql($append), 3000, 'an append by a filter that reads a table');
$pair->source_sql(q(INSERT INTO t (id, k1, m, pad) VALUES (6001, 1, 'good', 'new'); INSERT INTO flt VALUES (6001)));
is($pair->destination_sql($append), 1, '… and the next one');
for my $window ('NaN', '-1') {
  $pair->error_is($pair->table_sql('parallel_pull_append', 't', {%append, q("window") => $window}), '22023',
    qr/window "\Q$window\E" is /, "an append with window $window");
}

# What the filter reads is exchanged between the append's snapshot and its lock, or while it reads.
my $blocker = $pair->session('source');
$blocker->query_safe('BEGIN; LOCK TABLE flt');
my $appending = $pair->session('destination');
$appending->start($append);
$pair->source->poll_query_until('postgres', 'SELECT count(*) > 0 FROM pg_locks WHERE NOT granted');
$blocker->query_safe('CREATE TABLE kept AS TABLE flt; TRUNCATE flt; INSERT INTO flt TABLE kept; COMMIT');
# hint: extension/worker/append.cpp: Call parallel_pull_append again
like($appending->finish(60)->summary, qr/55000.*flt.* emptied or rewritten.*HINT:\s+Call parallel_pull_append again/s,
  'a new file of what the filter of an append reads: to be repeated');
$pair->source_sql(q(INSERT INTO t (id, k1, m, pad) SELECT i, 1, 'good', 'more' FROM generate_series(6002, 6020) AS i;
  INSERT INTO flt SELECT generate_series(6003, 6019, 2); CREATE TABLE even AS SELECT generate_series(6002, 6020, 2) AS id));
my %gated = (%append, filter => "public.gate(id, 6010) AND $OF_TABLE");
is($pair->destination_sql($append), 9, '… and the next one brings what is new');
# An append has two looks at the source where transactions ran while the rows before were read.
$pair->destination_sql(q(TRUNCATE t; SELECT parallel_pull_forget('t')));
my $open = $pair->session('source');
$open->query_safe(q(BEGIN; INSERT INTO t (id, k1, m, pad) VALUES (6031, 1, 'good', 'late'); INSERT INTO flt VALUES (6031)));
$pair->source_sql('SELECT pg_current_xact_id()');
$pair->destination_sql($pair->table_sql('parallel_pull_table', 't', \%gated));
is($pulls->count, 3010, 'a pull while a transaction is open');
$open->query_safe('COMMIT');
$pair->source_sql(q(INSERT INTO t (id, k1, m, pad) VALUES (6021, 1, 'good', 'last'), (6022, 1, 'good', 'last');
  INSERT INTO flt VALUES (6021); INSERT INTO even VALUES (6022)));
$pair->close_gate;
my $gated = $pair->table_sql('parallel_pull_append', 't', \%gated);
$appending->start($gated);
$pair->wait_at_gate;
$pair->source_sql('ALTER TABLE even INHERIT flt');
$pair->open_gate;
like($appending->finish(60)->summary, qr/55000.*even.* was attached to a parent.*HINT:\s+Call parallel_pull_append again/s,
  'a table that joins them between the two: to be repeated');
is($pulls->count, 3010, '… and nothing has come');
is($pair->destination_sql($gated), 3, '… the next one reads it, too');

# ---- partitions here that another server keeps ----

$pair->destination_sql(<<'SQL');
CREATE TABLE far (id integer, pad text) PARTITION BY RANGE (id);
CREATE TABLE near PARTITION OF far FOR VALUES FROM (0) TO (100);
CREATE FOREIGN DATA WRAPPER nothing;
CREATE SERVER of_nothing FOREIGN DATA WRAPPER nothing;
CREATE FOREIGN TABLE farther PARTITION OF far FOR VALUES FROM (100) TO (200) SERVER of_nothing;
SQL
$pair->error_is($pair->pull_sql('far', undef, undef, {source_table => 't'}), '0A000',
  qr/cannot pull into partitioned table "far" with foreign partitions/,
  'rows that another server would commit by itself');
$pair->finish;
