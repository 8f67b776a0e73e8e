# What the source's table is made of changes: emptied and rewritten after the snapshot, partitions
# that come and go, children: right rows of one picture, or a refusal.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";

use ParallelLoader::Test;
use PostgreSQL::Test::Utils;
use Test::More;

my $pair = ParallelLoader::Test->new(destination => {conf => <<'CONF'});
parallel_loader.snapshot_hold = 10min
CONF
$pair->source_sql(<<'SQL');
CREATE TABLE t (id integer PRIMARY KEY, v integer);
INSERT INTO t SELECT i, i FROM generate_series(1, 3000) AS i;
CREATE TABLE u AS TABLE t;
CREATE VIEW of_t AS SELECT * FROM t;
CREATE MATERIALIZED VIEW kept AS SELECT * FROM t;
CREATE TABLE p (id integer NOT NULL, d integer NOT NULL, pad text) PARTITION BY LIST (d);
CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1);
CREATE INDEX ON p (id);
INSERT INTO p SELECT i, 1, repeat('x', 100) FROM generate_series(1, 6000) AS i;
CREATE TABLE p2 (LIKE p);
INSERT INTO p2 SELECT i * 12, 2, 'late' FROM generate_series(1, 500) AS i;
SQL
$pair->destination_sql(<<'SQL');
CREATE TABLE t (id integer, v integer);
CREATE TABLE p (id integer, d integer, pad text);
SQL

my $DSN = literal($pair->dsn);
sub create {
  my ($table, %named) = @_;
  return $pair->destination_sql($pair->table_sql('parallel_pull_create', $table, \%named));
}
# A pull that fails with some of its chunks done; it can go on.
sub fail_midway {
  my ($table, %named) = @_;
  $pair->destination_sql("ALTER TABLE $table ADD CONSTRAINT ok CHECK (id < 4000)");
  $pair->error_is($pair->table_sql('parallel_pull_table', $table, {key => 'id', workers => 1, chunk_size => '64kB', %named}),
    '23514', qr/ok/, 'a pull fails in its middle');
  $pair->destination_sql("ALTER TABLE $table DROP CONSTRAINT ok");
  return;
}
sub work { my ($id) = @_; return "SELECT remaining FROM parallel_pull_work($id)" }
sub count { my ($table) = @_; return $pair->destination_sql("SELECT count(*) FROM $table") }
sub empty { return $pair->destination_sql('TRUNCATE t, p') }

# ---- emptied or rewritten after the snapshot ----

my $session = $pair->session('source');
$session->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ');
my $snapshot = $session->query_safe('SELECT pg_export_snapshot()');
my $refill = 'INSERT INTO t SELECT i, i FROM generate_series(1, 3000) AS i';
for my $case (['t', "TRUNCATE t; $refill"], ['u', 'ALTER TABLE u ALTER v TYPE bigint'],
  ['of_t', ''], ['kept', 'REFRESH MATERIALIZED VIEW kept'], ['t', 'VACUUM FULL t'])
{
  my ($relation, $sql) = @$case;
  $pair->source_sql($sql) if $sql;
  $pair->error_is(
    $pair->table_sql('parallel_pull_table', 't', {snapshot => $snapshot, source_table => $relation}),
    '55000', qr/of the source was (emptied or rewritten|altered) after the snapshot was taken/,
    ($sql || 'view of a table that was emptied') . ': an older snapshot is refused');
  is(count('t'), 0, '… and nothing is pulled');
}
$session->close;
is($pair->destination_sql($pair->pull_sql('t')), 3000, 'a snapshot of now is right');
empty();

# ---- partitions and children that come and go between snapshot and plan ----

$pair->source_sql(<<'SQL');
CREATE TABLE q (id integer PRIMARY KEY, v integer) PARTITION BY RANGE (id);
CREATE TABLE q1 PARTITION OF q FOR VALUES FROM (0) TO (1000);
CREATE TABLE q2 PARTITION OF q FOR VALUES FROM (1000) TO (3000) PARTITION BY RANGE (id);
CREATE TABLE q21 PARTITION OF q2 FOR VALUES FROM (1000) TO (2000);
CREATE TABLE q22 PARTITION OF q2 FOR VALUES FROM (2000) TO (3000);
CREATE TABLE q3 (id integer PRIMARY KEY, v integer);
CREATE VIEW of_q AS SELECT * FROM q;
CREATE TABLE par (id integer, v integer);
CREATE TABLE kid () INHERITS (par);
CREATE TABLE kid2 (id integer, v integer);
CREATE VIEW of_par AS SELECT * FROM par;
CREATE VIEW of_only AS SELECT * FROM ONLY par;
CREATE ROLE root_only LOGIN PASSWORD 'secret';
GRANT SELECT ON q, par, of_par, of_only TO root_only;
INSERT INTO q SELECT i, i FROM generate_series(0, 2999) AS i;
INSERT INTO q3 SELECT i, i FROM generate_series(3000, 3999) AS i;
INSERT INTO par SELECT i, i FROM generate_series(0, 999) AS i;
INSERT INTO kid SELECT i, i FROM generate_series(1000, 1999) AS i;
INSERT INTO kid2 SELECT i, i FROM generate_series(2000, 2999) AS i;
SQL
my $ROOT_ONLY = $pair->dsn(undef, 'user=root_only');

# Pulls under a snapshot that is older than the change, which is undone after.
sub pull_before {
  my ($relation, $change, $undo, $expected, $name, @dsn) = @_;
  my $holder = $pair->session('source');
  $holder->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ');
  my $old = $holder->query_safe('SELECT pg_export_snapshot()');
  $pair->source_sql($change);
  my $pull = $pair->table_sql('parallel_pull_table', 't', {snapshot => $old, source_table => $relation, @dsn});
  if (ref $expected) {
    $pair->error_is($pull, '55000', $expected, $name);
    is(count('t'), 0, '… and nothing is pulled');
  } else {
    my $result = $pair->try_sql($pull);
    is($result->is_ok ? count('t') : $result->summary, $expected, $name);
  }
  $holder->close;
  $pair->source_sql($undo) if $undo;
  empty();
  return;
}
my $DETACHED = qr/(?:partition|table) "public.q\d+" of the source was detached (?:from its parent )?after the snapshot was taken/;
my $ATTACHED = qr/(?:partition|table) "public.q\d+" of the source was attached (?:to a parent, or detached from one, )?after the snapshot was taken/;
my $BACK = 'ALTER TABLE q ATTACH PARTITION q1 FOR VALUES FROM (0) TO (1000)';
my $LEAF_BACK = 'ALTER TABLE q2 ATTACH PARTITION q21 FOR VALUES FROM (1000) TO (2000)';
my $ADD = 'ALTER TABLE q ATTACH PARTITION q3 FOR VALUES FROM (3000) TO (4000)';
my $REMOVE = 'ALTER TABLE q DETACH PARTITION q3';
for my $case ([' by its partitions', 'q'], [' by its root', 'q', dsn => $ROOT_ONLY], [' by a view', 'of_q']) {
  my ($how, $relation, @dsn) = @$case;
  pull_before($relation, 'ALTER TABLE q DETACH PARTITION q1', $BACK, $DETACHED,
    "a partition detached after the snapshot is missed, read$how", @dsn);
  pull_before($relation, 'ALTER TABLE q DETACH PARTITION q1 CONCURRENTLY', $BACK, $DETACHED, '… concurrently', @dsn);
  pull_before($relation, 'ALTER TABLE q2 DETACH PARTITION q21', $LEAF_BACK, $DETACHED, '… at a lower level', @dsn);
  pull_before($relation, $ADD, $REMOVE, $ATTACHED, '… a table that was attached is told', @dsn);
  # As another transaction has it in the middle: by the snapshot it is a partition still.
  my $reader = $pair->session('source');
  $reader->query_safe('BEGIN; SELECT FROM q LIMIT 0');
  my $detacher = $pair->session('source');
  $detacher->start('ALTER TABLE q DETACH PARTITION q1 CONCURRENTLY');
  wait_until(5, sub { $pair->source_sql("SELECT inhdetachpending FROM pg_inherits WHERE inhrelid = 'q1'::regclass") eq 't' });
  $pair->destination_sql($pair->table_sql('parallel_pull_table', 't', {source_table => $relation, @dsn}));
  is(count('t'), 2000, '… one that is being detached is none when the snapshot is taken');
  $reader->close;
  $detacher->finish(20);
  empty();
  $pair->source_sql($BACK);
}
pull_before('q', 'ALTER TABLE q DETACH PARTITION q1; DROP TABLE q1',
  'CREATE TABLE q1 PARTITION OF q FOR VALUES FROM (0) TO (1000); INSERT INTO q SELECT i, i FROM generate_series(0, 999) AS i',
  $DETACHED, 'a partition that was detached and dropped is told');
pull_before('q', 'DROP TABLE q2',
  'CREATE TABLE q2 PARTITION OF q FOR VALUES FROM (1000) TO (3000); INSERT INTO q SELECT i, i FROM generate_series(1000, 2999) AS i',
  qr/partition "public.q2\d?" of the source was detached/, '… so is one that was dropped with its own');
pull_before('q', 'CREATE TABLE q4 PARTITION OF q FOR VALUES FROM (4000) TO (5000); INSERT INTO q VALUES (4001, 1)',
  'DROP TABLE q4', 3000, 'a partition that was made after the snapshot has no rows in it');
pull_before('of_par', 'ALTER TABLE kid NO INHERIT par', 'ALTER TABLE kid INHERIT par',
  qr/table "public.kid" of the source was detached from its parent after the snapshot was taken/, 'a view misses a child that has left');
pull_before('of_par', 'ALTER TABLE kid2 INHERIT par', 'ALTER TABLE kid2 NO INHERIT par',
  qr/table "public.kid2" of the source was attached to a parent, or detached from one, after the snapshot was taken/,
  'a view reads a child that has come');
pull_before('of_only', 'SELECT 1', undef, 1000, 'a view that leaves out the children is read', dsn => $ROOT_ONLY);
pull_before('of_par', 'BEGIN; ALTER TABLE kid NO INHERIT par; ALTER TABLE par ALTER v SET STATISTICS 7; ROLLBACK', undef,
  2000, 'what was rolled back has changed nothing');
pull_before('of_q', 'CREATE OR REPLACE VIEW of_q AS SELECT * FROM q WHERE id < 500', 'CREATE OR REPLACE VIEW of_q AS SELECT * FROM q',
  qr/"public.of_q" of the source was replaced after the snapshot was taken/, 'a view that was replaced');
pull_before('par', 'ALTER TABLE kid NO INHERIT par', 'ALTER TABLE kid INHERIT par', 1000,
  'children are none of a table: they may come and go');

# ---- a partition that is attached ----

$pair->create_gate;
# By leaf, whole table and range: it is not in the plan, so none of its rows come.
for my $range ([undef, undef], [1, 6001]) {
  my ($start, $end) = @$range;
  $pair->close_gate;
  my $call = $pair->session('destination');
  $call->start($pair->pull_sql('p', $start, $end,
    {key => 'id', workers => 1, filter => 'public.gate(id, 3000)'}));
  $pair->wait_at_gate(1);
  $pair->source_sql("SET lock_timeout = '3s'; ALTER TABLE p ATTACH PARTITION p2 FOR VALUES IN (2)");
  $pair->open_gate;
  is($call->finish->out, 6000, 'a partition attached in mid-pull: none of its rows');
  is($pair->destination_sql('SELECT count(*) FROM p WHERE d = 2'), 0, '… not some of them');
  $call->close;
  $pair->source_sql('ALTER TABLE p DETACH PARTITION p2');
  empty();
}

# Between plan and chunk a partition is replaced by another table of the same name.
my $id = create('p', key => 'id');
is($pair->destination_sql(work($id)), 0, 'chunks of the partitions that were planned');
empty();

# ---- a resume with what is new ----

fail_midway('p');
$id = $pair->newest_pull_id;
$pair->source_sql('ALTER TABLE p ATTACH PARTITION p2 FOR VALUES IN (2)');
is($pair->destination_sql("SELECT rows FROM parallel_pull_resume($id, new_snapshot => true)"), 6500,
  'under a new snapshot a new partition gets chunks of its own');
$pair->same_rows('SELECT * FROM p', '… and all rows are here once');
empty();

# Nothing done: planned anew, with the new partition and the keys that are NULL by now.
$pair->source_sql('ALTER TABLE p DETACH PARTITION p2');
$pair->destination_sql('ALTER TABLE p ADD CONSTRAINT ok CHECK (id < 0)');
$pair->error_is($pair->table_sql('parallel_pull_table', 'p', {key => 'id', workers => 1}),
  '23514', qr/ok/, 'a pull fails with its first chunk');
$id = $pair->newest_pull_id;
$pair->destination_sql('ALTER TABLE p DROP CONSTRAINT ok');
$pair->source_sql(<<'SQL');
ALTER TABLE p ATTACH PARTITION p2 FOR VALUES IN (2);
ALTER TABLE p ALTER id DROP NOT NULL;
INSERT INTO p SELECT NULL, 1, 'none' FROM generate_series(1, 70);
SQL
is($pair->destination_sql("SELECT rows FROM parallel_pull_resume($id)"), 6570,
  'a resume of an untouched pull takes new partitions and keys that are NULL');
$pair->same_rows('SELECT * FROM p', '… all rows once');
empty();

# An append goes on where such a resume has come to.
$pair->both_sql('CREATE TABLE pa (id integer, d integer, pad text, PRIMARY KEY (d, id)) PARTITION BY LIST (d);'
    . ' CREATE TABLE pa1 PARTITION OF pa FOR VALUES IN (1)');
$pair->destination_sql('CREATE TABLE paw PARTITION OF pa DEFAULT');
$pair->source_sql("INSERT INTO pa SELECT i, 1, repeat('x', 100) FROM generate_series(1, 6000) AS i");
fail_midway('pa');
$id = $pair->newest_pull_id;
$pair->source_sql("CREATE TABLE pa2 (LIKE pa); INSERT INTO pa2 SELECT i, 2, 'second' FROM generate_series(1, 300) AS i;"
    . ' ALTER TABLE pa ATTACH PARTITION pa2 FOR VALUES IN (2)');
is($pair->destination_sql("SELECT rows FROM parallel_pull_resume($id, new_snapshot => true)"), 6300,
  'a resume that has given a new partition chunks of its own');
$pair->source_sql("INSERT INTO pa SELECT i, 1 + i % 2, 'later' FROM generate_series(9001, 9030) AS i");
is($pair->destination_sql("SELECT parallel_pull_append($DSN, 'pa')"), 30, '… the append after it brings what is newer');
$pair->same_rows('SELECT * FROM pa', '… and all rows are here once');

# A partition that was replaced: another table has its bounds, and maybe its name.
for my $name (qw(p1 other)) {
  fail_midway('p');
  $id = $pair->newest_pull_id;
  $pair->destination_sql("SELECT parallel_pull_cancel($id)");
  $pair->source_sql("ALTER TABLE p DETACH PARTITION p1; ALTER TABLE p1 RENAME TO before;"
      . " CREATE TABLE $name (LIKE before INCLUDING ALL); INSERT INTO $name SELECT id + 10, d, 'other' FROM before;"
      . " ALTER TABLE p ATTACH PARTITION $name FOR VALUES IN (1)");
  $pair->error_is("SELECT parallel_pull_resume($id, new_snapshot => true)", '55000',
    qr/public\W+p1\W.*(no longer a partition of the table|no longer the one that was planned)/s,
    "a partition in whose place is another table named $name is refused");
  $pair->source_sql("DROP TABLE $name; ALTER TABLE before RENAME TO p1; ALTER TABLE p ATTACH PARTITION p1 FOR VALUES IN (1)");
  empty();
}

# A partition that is gone.
fail_midway('p');
$id = $pair->newest_pull_id;
$pair->destination_sql("SELECT parallel_pull_cancel($id)");
$pair->source_sql('ALTER TABLE p DETACH PARTITION p2');
$pair->error_is("SELECT parallel_pull_resume($id, new_snapshot => true)", '55000',
  qr/public\W+p2\W.*no longer a partition of the table/s, 'a partition that is gone is refused');
empty();

# ---- a role that may read the root alone ----

$pair->source_sql('GRANT SELECT ON p TO root_only');
my @ROOT = (dsn => $ROOT_ONLY, key => 'id', workers => 1, chunk_size => '64kB');
for my $range ([undef, undef], [1, 6001]) {
  $pair->close_gate;
  my $call = $pair->session('destination');
  $call->start($pair->pull_sql('p', @$range, {dsn => $ROOT_ONLY, key => 'id', workers => 1, filter => 'public.gate(id, 3000)'}));
  $pair->wait_at_gate(1);
  $pair->source_sql("SET lock_timeout = '3s'; ALTER TABLE p ATTACH PARTITION p2 FOR VALUES IN (2)");
  $pair->open_gate;
  $pair->result_is_error($call->finish, '55000', qr/consists of other tables than when pull \d+ was planned.*New is public\.p2/s,
    'read by its root: a partition attached in mid-pull ends it');
  is($pair->destination_sql('SELECT count(*) FROM p WHERE d = 2'), 0, '… none of its rows is here');
  $call->close;
  $pair->source_sql('ALTER TABLE p DETACH PARTITION p2');
  empty();
}
# Between failure and resume.
for my $case (['ALTER TABLE p ATTACH PARTITION p2 FOR VALUES IN (2)', 'ALTER TABLE p DETACH PARTITION p2'],
  ['ALTER TABLE p DETACH PARTITION p1', 'ALTER TABLE p ATTACH PARTITION p1 FOR VALUES IN (1)'])
{
  fail_midway('p', @ROOT);
  $id = $pair->newest_pull_id;
  $pair->destination_sql("SELECT parallel_pull_cancel($id)");
  $pair->source_sql($case->[0]);
  $pair->error_is("SELECT parallel_pull_resume($id, new_snapshot => true)", '55000', qr/It consists of other tables: public\.p[12]\./,
    "… $case->[0] before a resume: refused");
  $pair->source_sql($case->[1]);
  empty();
}
fail_midway('p', @ROOT);
$id = $pair->newest_pull_id;
is($pair->destination_sql("SELECT rows FROM parallel_pull_resume($id)"), 6070, '… a resume of the same partitions goes on');
$pair->same_rows('SELECT * FROM p', '… all rows once');
empty();

# ---- views ----

$pair->source_sql('CREATE VIEW of_p AS SELECT * FROM p');
$pair->destination_sql('ALTER TABLE p ADD CONSTRAINT ok CHECK (id <= 4000)');
$pair->close_gate;
my $viewed = $pair->session('destination');
$viewed->start($pair->pull_sql('p', 1, 6001, {source_table => 'of_p', key => 'id', workers => 3, filter => 'public.gate(id, 4001)'}));
$pair->wait_at_gate;
$id = $pair->newest_pull_id;
wait_until(10, sub { $pair->pull($id)->{chunks_done} == 2 });
$pair->open_gate;
is($viewed->finish->sqlstate, '23514', 'a pull of a view fails when two of its chunks are done');
$viewed->close;
$pair->destination_sql("ALTER TABLE p DROP CONSTRAINT ok; SELECT parallel_pull_cancel($id)");
$pair->source_sql('CREATE OR REPLACE VIEW of_p AS SELECT * FROM p WHERE id % 2 = 0');
$pair->error_is("SELECT parallel_pull_resume($id, new_snapshot => true)", '55000',
  qr/of_p.*It consists of other tables: public.of_p/s, 'a view that was replaced before a resume is refused');
$pair->source_sql('CREATE OR REPLACE VIEW of_p AS SELECT * FROM p');
is($pair->try_sql("SELECT rows > 5900 FROM parallel_pull_resume($id, new_snapshot => true)")->summary, 'success: t',
  '… and is read where it is as it was');
$pair->source_sql('DROP VIEW of_p');
empty();

# What a view is made of is the same in each session, whatever else the session has read.
$pair->source_sql(<<'SQL');
CREATE TABLE cut (id integer PRIMARY KEY, v integer) PARTITION BY RANGE (id);
CREATE TABLE cut1 PARTITION OF cut FOR VALUES FROM (0) TO (20000);
CREATE TABLE cut2 PARTITION OF cut FOR VALUES FROM (20000) TO (40000);
INSERT INTO cut SELECT i, i FROM generate_series(0, 39999) AS i;
CREATE TABLE wanted AS SELECT i AS id FROM generate_series(0, 39999) AS i;
ANALYZE cut, wanted;
CREATE FUNCTION is_wanted(integer) RETURNS boolean LANGUAGE plpgsql STABLE COST 1 AS $$
BEGIN RETURN EXISTS (SELECT FROM public.wanted WHERE id = $1 LIMIT 1); END $$;
CREATE FUNCTION highest() RETURNS integer LANGUAGE plpgsql STABLE AS $$
BEGIN RETURN (SELECT max(id) FROM public.wanted); END $$;
CREATE VIEW of_cut1 AS SELECT * FROM cut WHERE id < 10000;
CREATE VIEW of_view AS SELECT * FROM of_cut1 WHERE v >= 10;
CREATE VIEW of_join AS SELECT c.id, n.v FROM of_cut1 AS c LEFT JOIN cut AS n ON n.id = c.id + 1 AND n.id < 15000;
CREATE VIEW of_function AS SELECT * FROM cut WHERE id < 10000 AND is_wanted(id % 7);
CREATE VIEW of_limit AS SELECT * FROM cut WHERE id < 10000 AND id <= highest();
CREATE MATERIALIZED VIEW stored AS SELECT * FROM cut;
CREATE UNIQUE INDEX ON stored (id);
CREATE VIEW of_stored AS SELECT * FROM stored WHERE is_wanted(id % 7);
SQL
for my $case (['of_cut1', 10000], ['of_view', 9990], ['of_join', 10000], ['of_function', 10000], ['of_limit', 10000],
  ['stored', 40000], ['of_stored', 40000])
{
  my ($view, $rows) = @$case;
  my %read = (source_table => $view, key => 'id', workers => 2);
  $pair->pull_returns($rows, 't', undef, undef, {%read}, "$view is read");
  empty();
  $pair->pull_returns(100, 't', 100, 200, {%read}, '… a range of it');
  empty();
  $pair->pull_returns(50, 't', 0, 150, {%read, filter => 'id IN (SELECT id FROM public.cut2 UNION SELECT id FROM public.wanted WHERE id >= 100)'},
    '… with a filter that reads other tables');
  empty();
  $pair->destination_sql('ALTER TABLE t ADD CONSTRAINT ok CHECK (id < 7000)');
  $pair->error_is($pair->table_sql('parallel_pull_table', 't', {%read, workers => 1, chunk_size => '64kB'}), '23514', qr/ok/, '… in part');
  $pair->destination_sql('ALTER TABLE t DROP CONSTRAINT ok');
  my $rest = 'SELECT rows FROM parallel_pull_resume(' . $pair->newest_pull_id . ', new_snapshot => true)';
  is($pair->try_sql($rest)->summary, "success: $rows", '… the rest under a new snapshot');
  empty();
}

# A partition that is attached in mid-pull, whether the view leaves it out or not.
$pair->source_sql('CREATE TABLE inside AS SELECT -i AS id, 9000 + i AS v FROM generate_series(1, 10) AS i;'
    . ' CREATE TABLE outside AS SELECT 50000 + i AS id, 9000 + i AS v FROM generate_series(1, 10) AS i;'
    . ' ALTER TABLE inside ADD PRIMARY KEY (id); ALTER TABLE outside ADD PRIMARY KEY (id)');
for my $case (['inside', '(-100) TO (0)'], ['outside', '(50000) TO (60000)']) {
  my ($joining, $bounds) = @$case;
  $pair->close_gate;
  my $call = $pair->session('destination');
  $call->start($pair->pull_sql('t', undef, undef, {source_table => 'of_function', workers => 1, filter => 'public.gate(id, 3000)'}));
  $pair->wait_at_gate(1);
  $pair->source_sql("SET lock_timeout = '3s'; ALTER TABLE cut ATTACH PARTITION $joining FOR VALUES FROM $bounds");
  $pair->open_gate;
  is($call->finish->summary, 'success: 10000', "a partition that joins $joining a view while its rows come: none of its rows");
  $call->close;
  $pair->source_sql("ALTER TABLE cut DETACH PARTITION $joining");
  empty();
}

# ---- children ----

$pair->source_sql('CREATE TABLE child () INHERITS (t); INSERT INTO child VALUES (7, 7)');
my $result = $pair->try_sql($pair->pull_sql('t'));
is($result->out, 3000, 'rows of children are not those of the table');
like(join("\n", $result->notices), qr/has inheritance children, whose rows are not pulled/, '… which is said');
# A start returns before the source is asked.
my $locker = $pair->session('source');
$locker->query_safe('BEGIN; LOCK TABLE t IN ACCESS EXCLUSIVE MODE');
empty();
my $started = $pair->destination_sql($pair->table_sql('parallel_pull_start', 't'));
my $waiter = $pair->session('destination');
$waiter->start("SELECT parallel_pull_wait($started)");
$locker->query_safe('ROLLBACK');
my $waited = $waiter->finish(20);
is($waited->out, 'done', 'a pull in the background is waited for');
like(join("\n", $waited->notices), qr/has inheritance children, whose rows are not pulled/, '… which says it as well');
$_->close for $locker, $waiter;
like(slurp_file($pair->destination->logfile), qr/LOG:\s+(?:\w+: )?pull $started: table "public.t" of the source has inheritance children/,
  '… and so does the log');
$pair->source_sql('CREATE VIEW with_children AS SELECT * FROM t');
empty();
# One that comes while rows move.
$pair->source_sql('CREATE TABLE second (LIKE t); INSERT INTO second SELECT i, i FROM generate_series(1, 500) AS i');
for my $case (['t', 3000], ['with_children', undef]) {
  my ($from, $rows) = @$case;
  $pair->close_gate;
  my $call = $pair->session('destination');
  $call->start($pair->pull_sql('t', undef, undef, {workers => 1, source_table => $from, filter => 'public.gate(id, 2000)'})
      . ($rows ? '' : ' -- a view'));
  $pair->wait_at_gate(1);
  my $inheriting = $pair->session('source');
  $inheriting->start("SET lock_timeout = '2s'; ALTER TABLE second INHERIT t");
  wait_until(3, sub { $inheriting->is_finished });
  $pair->open_gate;
  my $end = $call->finish;
  my $here = count('t');
  ok($end->is_ok && $here == ($rows // 3001) || $end->sqlstate eq '55000' && $here == 0,
    "a child that comes in mid-pull of $from: none of its rows, or a refusal") or diag($here, $end->summary);
  $call->close;
  $inheriting->finish;
  $inheriting->close;
  $pair->source_sql('ALTER TABLE second NO INHERIT t');
  empty();
}
$pair->pull_returns(3001, 't', undef, undef, {source_table => 'with_children'},
  'a view reads them all, as the hint says');

$pair->finish;
