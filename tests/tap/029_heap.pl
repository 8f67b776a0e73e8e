# The heap route: taken where it does all that COPY FROM would do, and said so; rows, indexes, TOAST
# and constraints are as after COPY FROM; what is rolled back or lost in a crash is never seen.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";

use ParallelLoader::Test;
use PostgreSQL::Test::Utils;
use Test::More;

my $pair = ParallelLoader::Test->new(
  destination => {conf => "log_min_messages = debug1\nrestart_after_crash = on\n"});
$pair->destination_sql('CREATE EXTENSION amcheck; CREATE EXTENSION pageinspect');

my $ROWS = 20000;
$pair->source_sql(<<"SQL");
CREATE TABLE t (id integer PRIMARY KEY, code text, day date, body text);
ALTER TABLE t ALTER body SET STORAGE EXTENDED;
INSERT INTO t SELECT i, CASE WHEN i % 7 > 0 THEN 'code ' || i END, date '2000-01-01' + i % 5000,
  CASE WHEN i % 500 = 0 THEN (SELECT string_agg(md5((i * j)::text), '')
    FROM generate_series(1, 300) AS j) ELSE repeat('b', i % 40) END
FROM generate_series(1, $ROWS) AS i;
SQL

my $PLAIN = 'id integer, code text, day date, body text';

# Makes the destination's table anew.
sub make_table {
  my ($definition, $more) = @_;
  $pair->destination_sql('DROP TABLE IF EXISTS t CASCADE');
  $pair->destination_sql("CREATE TABLE t $definition");
  $pair->destination_sql($more) if defined $more;
  return;
}

# Checks heap and indexes of a table of the destination for damage.
sub is_sound {
  my ($table, $rule) = @_;
  local $Test::Builder::Level = $Test::Builder::Level + 1;
  $pair->destination_sql("SELECT bt_index_check(indexrelid, heapallindexed => true)
    FROM pg_index JOIN pg_class AS c ON c.oid = indexrelid JOIN pg_am AS a ON a.oid = relam
    JOIN pg_partition_tree('$table') ON relid = indrelid AND isleaf WHERE amname = 'btree'");
  return is($pair->destination_sql(
      "SELECT count(*) FROM pg_partition_tree('$table'), verify_heapam(relid, check_toast => true)"
      . ' WHERE isleaf'), 0, $rule);
}

# The routes of a pull's chunks and the reasons, each once.
sub routes_of {
  my ($pull_id) = @_;
  my %seen = map { join(': ', grep { defined } $_->{route}, $_->{route_reason}) => 1 }
    $pair->chunks($pull_id);
  return join ', ', sort keys %seen;
}

# Checks which route a pull into `t` takes, that plan and log say the same, and that rows arrive.
sub takes {
  my ($expected, $named, $rule, $set) = @_;
  local $Test::Builder::Level = $Test::Builder::Level + 1;
  my $log = -s $pair->destination->logfile;
  my $result = $pair->try_sql(($set // '') . $pair->pull_sql('t', undef, undef, $named));
  is($result->is_ok ? $result->out : $result->summary, $ROWS, "$rule: all rows are counted");
  is(routes_of($pair->newest_pull_id), $expected, "… and the ledger says: $expected");
  my $seen = slurp_file($pair->destination->logfile, $log);
  my ($route, $reason) = split /: /, $expected, 2;
  my $words = "by the $route route" . (defined $reason ? ": $reason" : '');
  like($seen, qr/DEBUG: +\S*\s*loading table public\.t .*\Q$words\E$/m, '… as the log does at DEBUG1');
  my $call = $pair->table_sql('parallel_pull_plan', 't', $named) =~ s/^SELECT //r;
  is($pair->destination_sql(($set // '') . "SELECT DISTINCT concat_ws(': ', route, route_reason) FROM $call"),
    $expected, '… and parallel_pull_plan before');
  is_sound('t', '… and the table is sound');
  return;
}

# ---- which route ----

my $SAME = 'SELECT id, code, day, body FROM t';

make_table("($PLAIN)");
takes('heap', {}, 'a plain table');
$pair->same_rows($SAME, '… which are the source\'s');

make_table("($PLAIN)");
takes('copy: the format is text', {format => 'text'}, 'a text stream');
make_table("($PLAIN)");
takes('copy: parallel_loader.route is copy', {}, 'the setting', 'SET parallel_loader.route = copy;');
make_table("($PLAIN)");
takes('heap', {}, 'the setting', 'SET parallel_loader.route = heap;');

make_table("($PLAIN) PARTITION BY RANGE (id)",
  'CREATE TABLE t1 PARTITION OF t FOR VALUES FROM (0) TO (100000)');
$pair->destination_sql('CREATE TABLE other ()');
takes('copy: the table is partitioned', {}, 'a partitioned table');

for my $case (
  ['BEFORE', 'ROW'], ['AFTER', 'ROW'], ['BEFORE', 'STATEMENT'], ['AFTER', 'STATEMENT'])
{
  my ($when, $each) = @$case;
  make_table("($PLAIN)", <<"SQL");
CREATE OR REPLACE FUNCTION same() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END';
CREATE TRIGGER tr $when INSERT ON t FOR EACH $each EXECUTE FUNCTION same();
SQL
  takes('copy: the table has trigger "tr"', {}, "a trigger $when each $each");
}
$pair->destination_sql('ALTER TABLE t DISABLE TRIGGER tr; TRUNCATE t');
takes('heap', {}, 'a trigger that is disabled');
$pair->destination_sql('ALTER TABLE t ENABLE TRIGGER tr; TRUNCATE t');
takes('heap', {}, 'a trigger that does not fire for a replica', 'SET session_replication_role = replica;');
make_table("($PLAIN)",
  'CREATE TRIGGER tr BEFORE UPDATE OR DELETE ON t FOR EACH ROW EXECUTE FUNCTION same()');
takes('heap', {}, 'a trigger that does not fire for INSERT');

$pair->destination_sql("CREATE TABLE parent (id integer PRIMARY KEY);"
    . " INSERT INTO parent SELECT generate_series(1, $ROWS)");
make_table("($PLAIN, FOREIGN KEY (id) REFERENCES parent)");
takes('copy: the table has foreign key "t_id_fkey"', {}, 'a foreign key');
make_table("($PLAIN, CONSTRAINT later UNIQUE (id) DEFERRABLE)");
takes('copy: the table has deferrable constraint "later"', {}, 'a deferrable constraint');
make_table("($PLAIN, CONSTRAINT no_two EXCLUDE USING btree (id WITH =))");
takes('copy: the table has exclusion constraint "no_two"', {}, 'an exclusion constraint');

make_table("($PLAIN, twice integer GENERATED ALWAYS AS (id * 2) STORED)");
takes('copy: column "twice" is generated', {}, 'a generated column');
make_table("($PLAIN, added timestamptz DEFAULT now())");
takes('copy: column "added" is left to its default', {}, 'a default');
make_table("($PLAIN, number integer GENERATED BY DEFAULT AS IDENTITY)");
takes('copy: column "number" is left to its default', {}, 'an identity column that does not travel');
make_table("($PLAIN, more text)");
takes('heap', {}, 'a column without a default that does not travel');
is($pair->destination_sql('SELECT count(*) FROM t WHERE more IS NULL'), $ROWS, '… which stays null');
make_table('(id integer GENERATED ALWAYS AS IDENTITY, code text, day date, body text)');
takes('heap', {}, 'an identity column that travels');
$pair->same_rows($SAME, '… with the source\'s values');

make_table('(gone integer, body text, was text, day date, id integer, code text)',
  'ALTER TABLE t DROP gone, DROP was');
takes('heap', {}, 'dropped columns and another order of columns');
$pair->same_rows($SAME, '… with every value in its column');

make_table("($PLAIN)", 'CREATE RULE r AS ON INSERT TO t DO INSTEAD NOTHING');
takes('heap', {}, 'a rule, which COPY does not heed');
$pair->same_rows($SAME, '… with every row');

make_table("($PLAIN, FOREIGN KEY (id) REFERENCES parent)");
$pair->error_is('SET parallel_loader.route = heap; ' . $pair->pull_sql('t'), '0A000',
  qr/heap route.*foreign key.*parallel_loader\.route/s, 'a route that is asked for and cannot be taken');
$pair->error_is("LOAD 'parallel_loader'; SET parallel_loader.route = 'page'", '22023', qr/auto, copy, heap/,
  'a route that does not exist');

# ---- rows as COPY FROM leaves them ----

my $CONTENT = <<'SQL';
SELECT md5(string_agg(concat_ws('|', blkno, lp, t_infomask & 7, t_infomask2 & 2047, t_hoff, t_bits,
    CASE WHEN t_infomask & 4 = 0 THEN encode(t_data, 'hex') END), ',' ORDER BY blkno, lp))
FROM generate_series(0, pg_relation_size('t') / current_setting('block_size')::integer - 1) AS blkno
CROSS JOIN LATERAL heap_page_items(get_raw_page('t', blkno::integer))
SQL
my %content;
for my $route (qw(heap copy)) {
  make_table("($PLAIN)");
  $pair->destination_sql("SET parallel_loader.route = $route; "
      . $pair->pull_sql('t', undef, undef, {workers => 1}));
  $content{$route} = $pair->destination_sql($CONTENT);
  cmp_ok($pair->destination_sql(q(SELECT pg_relation_size(reltoastrelid) FROM pg_class
    WHERE relname = 't')), '>', 100_000, "$route: long values are toasted");
}
is($content{heap}, $content{copy}, 'pages, tuples and their bytes are those of COPY FROM');

make_table("($PLAIN, PRIMARY KEY (id), UNIQUE (code))",
  'CREATE INDEX ON t (day, id); CREATE INDEX ON t (lower(code)) WHERE id % 2 = 0;'
  . ' CREATE INDEX ON t USING hash (id); CREATE INDEX ON t USING gin (to_tsvector(\'simple\', body))');
takes('heap', {workers => 3}, 'a table with indexes of all kinds', "SET parallel_loader.chunk_size = '256kB';");
$pair->same_rows($SAME, '… the source\'s');
is($pair->destination_sql(<<'SQL'), '20000|10000|4', '… and the indexes find them');
SET enable_seqscan = off;
SELECT (SELECT count(*) FROM t WHERE id > 0), (SELECT count(*) FROM t WHERE lower(code) > '' AND id % 2 = 0
  OR code IS NULL AND id % 2 = 0), (SELECT count(*) FROM t WHERE day = '2000-01-02')
SQL
is($pair->destination_sql(<<'SQL'), $ROWS, '… statistics count the rows as inserted');
SELECT n_tup_ins FROM pg_stat_user_tables WHERE relname = 't'
SQL

# ---- constraints ----

my $CHECKED = 'id integer NOT NULL CHECK (id <> 15000), code text, day date, body text';
for my $case (
  ["($CHECKED)", '23514', qr/t_id_check.*Failing row contains \(15000/s, 'CHECK'],
  ['(id integer, code text NOT NULL, day date, body text)', '23502',
    qr/null value in column "code".*Failing row contains/s, 'NOT NULL'],
  ["($PLAIN, UNIQUE (day))", '23505', qr/t_day_key.*already exists/s, 'UNIQUE'])
{
  my ($definition, $sqlstate, $pattern, $rule) = @$case;
  for my $route (qw(heap copy)) {
    make_table($definition);
    my $result = $pair->error_is("SET parallel_loader.route = $route; "
        . $pair->pull_sql('t', undef, undef, {workers => 1}), $sqlstate, $pattern, "$rule by the $route route");
    like($result->summary, qr/loading table public\.t from source/, '… names table and chunk');
    is($pair->destination_sql('SELECT count(*) FROM t'), 0, '… leaves no row to be seen');
  }
}
make_table('(id integer, code text, day date, body text NOT NULL CHECK (length(body) >= 0))');
takes('heap', {}, 'constraints that all rows keep');

# A partition that is a pull's own table holds its rows to the bound.
$pair->destination_sql('DROP TABLE t; CREATE TABLE root (id integer, code text, day date, body text)'
    . ' PARTITION BY RANGE (id); CREATE TABLE t PARTITION OF root FOR VALUES FROM (1) TO (15000)');
$pair->error_is($pair->pull_sql('t'), '23514', qr/violates partition constraint/,
  'a partition refuses rows of others');
$pair->destination_sql('TRUNCATE root');
is($pair->destination_sql($pair->pull_sql('t', 1, 15000)), 14999, '… and takes its own');
is(routes_of($pair->newest_pull_id), 'heap', '… by the heap route');
$pair->destination_sql('DROP TABLE root');

# ---- what is not committed ----

make_table("($PLAIN)");
$pair->create_gate;
my $caller = $pair->session('destination');
$pair->close_gate;
my %gated = (workers => 1, filter => 'public.gate(id, 15000)');
$caller->start($pair->pull_sql('t', undef, undef, \%gated));
$pair->wait_at_gate;
cmp_ok($pair->destination_sql(q(SELECT pg_relation_size('t'))), '>', 0, 'rows lie in the table');
is($pair->destination_sql('SELECT count(*) FROM t'), 0, '… and are not seen before the commit');
my $id = $pair->newest_pull_id;
$pair->destination_sql("SELECT parallel_pull_cancel($id)");
$caller->finish;
$pair->open_gate;
is($pair->destination_sql('SELECT count(*) FROM t'), 0, '… nor after a rollback');
is_sound('t', '… which leaves a sound table');
is($pair->destination_sql('VACUUM t; SELECT pg_relation_size(\'t\')'), 0, '… of dead rows alone');

$pair->close_gate;
$caller->start($pair->pull_sql('t', undef, undef, \%gated));
$pair->wait_at_gate;
$pair->destination_sql('CHECKPOINT'); # what lies in the table is on disk
my $restart = $pair->crash('destination');
$caller->finish;
$caller->close;
$pair->open_gate;
$restart->();
cmp_ok($pair->destination_sql(q(SELECT pg_relation_size('t'))), '>', 0, 'rows are there after a crash');
is($pair->destination_sql('SELECT count(*) FROM t'), 0, '… and are not seen');
is_sound('t', '… in a sound table');
is($pair->destination_sql($pair->pull_sql('t')), $ROWS, '… into which a pull goes');
$pair->same_rows($SAME, '… with every row once');

$pair->nothing_left('no process or session is left');
$pair->finish;
