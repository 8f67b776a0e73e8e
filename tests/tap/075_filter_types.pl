# Columns and types of tables that a filter or a view reads, and of the pulled table that the filter reads
# itself: what changes the rows that are read ends the pull, what does not is no reason to.

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
my $pulls = ParallelLoader::FilteredPull->with_tables($pair);
$pair->source_sql(<<'SQL');
CREATE ROLE clerk;
CREATE TABLE flt (id integer);
INSERT INTO flt SELECT i FROM generate_series(1, 6000, 2) AS i;
CREATE TABLE parts (id integer) PARTITION BY RANGE (id);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (10000);
INSERT INTO parts SELECT id FROM flt;
CREATE TYPE sort AS ENUM ('new', 'old');
CREATE TYPE pair AS (a integer, b integer);
CREATE TABLE sorts (id integer, s sort, p pair);
INSERT INTO sorts SELECT id, CASE id % 2 WHEN 1 THEN 'new' ELSE 'old' END::sort, row(id % 2, (id + 1) % 2)::pair FROM t;
CREATE VIEW new_ones AS SELECT t.id, t.pad FROM t JOIN sorts USING (id) WHERE s::text = 'new';
SQL

my $OF_TABLE = 'id IN (SELECT id FROM flt)';
my $OF_LABEL = q(id IN (SELECT id FROM sorts WHERE s = 'new'));
my $OF_FIELD = q(id IN (SELECT id FROM sorts WHERE (p).a = 1));

my $RESORT = join '; ', map { "ALTER TYPE sort RENAME VALUE $_" } q('new' TO 'x'), q('old' TO 'new'), q('x' TO 'old');
my $REFIELD = join '; ', map { "ALTER TYPE pair RENAME ATTRIBUTE $_" } 'a TO x', 'b TO a', 'x TO b';

my $WORK = work('%s');
my $RESUME = 'SELECT parallel_pull_resume(%s, new_snapshot => true)';
$pulls->is_refused('labels of an enum', $OF_LABEL, $RESORT, $RESORT, $WORK, qr/sorts.* was altered .*Labels of enum public.sort/s);
$pulls->is_refused('labels before a resume', $OF_LABEL, $RESORT, $RESORT, $RESUME, qr/filter of pull .* other tables/);
$pulls->is_refused('fields of a composite type', $OF_FIELD, $REFIELD, $REFIELD, $WORK, qr/sorts.* was altered/);
$pulls->is_refused('fields before a resume', $OF_FIELD, $REFIELD, $REFIELD, $RESUME, qr/filter of pull .* other tables/);

# ---- commands that change nothing that is read ----

# A chunk is done, then `change` under the same snapshot: the rest comes.
sub does_not_matter {
  my ($what, $filter, $change, $rows, %named) = @_;
  my $pull = $pulls->create($filter, %named);
  ok($pair->destination_sql(work($pull, ', max_chunks => 1')) > 0, "$what: a chunk is done before");
  $pair->source_sql($change);
  is($pair->try_sql(work($pull), timeout => 60)->summary, 'success: 0', '… the rest comes');
  is($pulls->count, $rows, '… every row is there');
  $pair->destination_sql('TRUNCATE t');
  return;
}

does_not_matter('commands that write a column of the filter\'s table anew', $OF_TABLE, <<'SQL', 3000);
ALTER TABLE flt ALTER id SET STATISTICS 50, ALTER id SET DEFAULT 1, ALTER id SET NOT NULL;
GRANT SELECT (id) ON flt TO clerk
SQL
$pair->source_sql('ALTER TABLE flt ALTER id DROP NOT NULL');
does_not_matter('a rule of the filter\'s table', $OF_TABLE, 'CREATE RULE kept AS ON DELETE TO flt DO NOTHING;'
    . ' CREATE OR REPLACE RULE kept AS ON DELETE TO flt DO ALSO NOTHING', 3000);
does_not_matter('a new label', $OF_LABEL, q(ALTER TYPE sort ADD VALUE 'used' BEFORE 'old'), 3000);
does_not_matter('a new partition of the filter\'s table', 'id IN (SELECT id FROM parts)',
  'CREATE TABLE parts_3 PARTITION OF parts FOR VALUES FROM (30000) TO (40000)', 3000);
does_not_matter('a new partition of the table', 'id % 2 = 1',
  'CREATE TABLE whole_3 PARTITION OF whole FOR VALUES FROM (10000) TO (20000)', 3000, source_table => 'whole');
does_not_matter('a column of the table that is written anew', $OF_TABLE, 'ALTER TABLE whole ALTER pad SET STATISTICS 7', 3000,
  source_table => 'whole');

# ---- a filter that reads the table itself reads all of it ----

for my $when ('between the plan and the first chunk', 'in the middle') {
  my $pull = $pulls->create('5999 >= (SELECT max(id) FROM whole) - 1', source_table => 'whole');
  $pair->destination_sql(work($pull, ', max_chunks => 1')) if $when =~ /middle/;
  my $done = $pulls->count;
  $pair->source_sql('ALTER TABLE whole DETACH PARTITION whole_2', timeout => 60);
  $pair->error_is(work($pull), '55000', qr/whole.* of the source/, "a partition that leaves $when: the pull ends");
  is($pulls->count, $done, '… and no row has come');
  $pair->destination_sql("SELECT parallel_pull_cancel($pull)");
  $pair->destination_sql('TRUNCATE t');
  $pair->source_sql('ALTER TABLE whole ATTACH PARTITION whole_2 FOR VALUES FROM (3000) TO (10000)');
}

# ---- a view, whose tables have columns that it does not return ----

$pair->destination_sql(<<'SQL');
CREATE FUNCTION fail_late() RETURNS trigger LANGUAGE plpgsql AS
  $$BEGIN PERFORM pg_sleep(1); RAISE 'too late'; END$$
SQL
for my $case ('is refused', 'goes on', 'goes on by a plan of 0.4') {
  $pair->destination_sql('CREATE TRIGGER late BEFORE INSERT ON t FOR EACH ROW WHEN (NEW.id = 5501) EXECUTE FUNCTION fail_late()');
  $pair->error_is($pair->pull_sql('t', 1, 6001, {key => 'id', source_table => 'new_ones', workers => 3}), 'P0001', qr/too late/,
    "a pull of a view fails, and $case");
  my $pull = $pair->destination_sql('DROP TRIGGER late ON t; SELECT max(pull_id) FROM parallel_loader.pull');
  ok($pulls->count > 0, '… when chunks are done');
  is($pair->destination_sql("UPDATE parallel_loader.pull SET source_shape = regexp_replace(regexp_replace(source_shape,"
      . " '(^|\\n)m[^\\n]*', '', 'g'), '(\\nr\\t\\d+\\t[rv]):[^\\t]*', '\\1', 'g') WHERE pull_id = $pull AND source_shape ~ '\\nm'"
      . " AND source_shape ~ '\\nr\\t\\d+\\t[rv]:' RETURNING source_shape ~ '\\nm' OR source_shape ~ '\\nr\\t\\d+\\t[rv]:'"), 'f',
    '… which knows nothing of such columns') if $case =~ /0.4/;
  my $resume = "SELECT chunks > 0 FROM parallel_pull_resume($pull, new_snapshot => true)";
  if ($case eq 'is refused') {
    $pair->source_sql($RESORT);
    $pair->error_is($resume, '55000', qr/new_ones.* not what it was .*Labels of enum public.sort/s, '… after labels have other names');
    $pair->source_sql($RESORT);
  } else {
    $pair->source_sql('ALTER TABLE sorts ALTER s SET STATISTICS 50');
    is($pair->try_sql($resume)->summary, 'success: t', '… when columns were written that are what they were');
    is($pulls->count, 3000, '… every row is there');
    is($pulls->wrong_rows, 0, '… and no other');
  }
  $pair->destination_sql('TRUNCATE t');
}

$pair->finish;
