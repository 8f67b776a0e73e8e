# parallel_pull_append on tables of all kinds: filter, columns, names, windows, keys of several
# columns, partitions that come and go, rewritten tables, NULL keys, rights.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";

use ParallelLoader::Append;
use ParallelLoader::Test;
use Test::More;

my $SECRET = 'Xyzzy-append-1';
my $pair = ParallelLoader::Test->new(retries => 1, source => {hba => 'local all reader scram-sha-256'});

# A table of these columns on both sides, with `rows` rows numbered from 1 on the source.
sub make_table {
  my ($name, $columns, $rows, $select) = @_;
  $pair->both_sql("CREATE TABLE $name ($columns)");
  fill($name, 1, $rows, $select);
  return;
}

sub fill {
  my ($name, $from, $to, $select) = @_;
  $select //= 'i, md5(i::text)';
  $pair->source_sql("INSERT INTO $name SELECT $select FROM generate_series($from, $to) AS i");
  return;
}

# ---- where a table begins ----

make_table('plain', 'id integer PRIMARY KEY, note text', 100);
appends($pair, 100, 'plain', {}, 'an empty table gets all rows');
appends($pair, 0, 'plain', {}, '… once');
fill('plain', 101, 150);
appends($pair, 50, 'plain', {}, '… and new rows later');
$pair->same_rows('SELECT * FROM plain', '… as they are');
my $pull = $pair->pull;
is("$pull->{state} $pull->{rows} $pull->{chunks}", 'done 50 1', 'an append stands in the ledger');
is($pair->destination_sql('SELECT count(*) FROM parallel_loader.mark'), 1, '… with one mark');
$pair->destination_sql('DELETE FROM plain WHERE id <= 100');
appends($pair, 0, 'plain', {}, 'rows deleted here do not come again');

make_table('filled', 'id integer PRIMARY KEY, note text', 10);
$pair->destination_sql(q(INSERT INTO filled VALUES (1, 'mine')));
my $refused = append_fails($pair, '55000', qr/not empty and has no mark.*append again/s, 'filled', {},
  'a table that is not empty and has no mark');
like($refused->error->{text}, qr/This happened before loading table public\.filled .*Pull \d+ failed\.$/ms,
  '… is refused before a row is read, in words that say so');
$pair->destination_sql('TRUNCATE filled');
$pair->pull_returns(10, 'filled', undef, undef, {}, 'parallel_pull without bounds');
fill('filled', 11, 15);
appends($pair, 5, 'filled', {}, '… leaves a mark, too');
$pair->destination_sql('TRUNCATE filled');
pulls($pair, 'filled', {}, 'a table that is emptied and pulled again');
fill('filled', 16, 17);
appends($pair, 2, 'filled', {}, '… goes on from that pull');
$pair->same_rows('SELECT * FROM filled', '… with all rows');

make_table('part_pulled', 'id integer PRIMARY KEY, note text', 20);
$pair->pull_returns(10, 'part_pulled', 1, 11, {key => 'id'}, 'a pull of a range');
append_fails($pair, '55000', qr/no mark/, 'part_pulled', {}, '… is no mark');

# The second chunk of a pull fails; what the first has brought is no ground to append on.
make_table('half', 'id integer PRIMARY KEY, note text', 30000, q(i, repeat('x', 200)));
pulls($pair, 'half', {}, 'a whole pull');
$pair->destination_sql('TRUNCATE half; ALTER TABLE half ADD CHECK (id < 20000)');
my %chunked = (key => 'id', chunk_size => '1MB', workers => 1);
# Or the failed pull would keep its snapshot for ten minutes.
my $let_go = "LOAD 'parallel_loader'; SET parallel_loader.snapshot_hold = 0;";
$pair->error_is($let_go . $pair->table_sql('parallel_pull_table', 'half', \%chunked), '23514',
  qr/half/, '… and a second one that fails');
cmp_ok($pair->destination_sql('SELECT count(*) FROM half'), '>', 0, '… halfway');
append_fails($pair, '55000', qr/pull \d+ into table public\.half is not finished.*resume/s, 'half',
  {}, '… stands in the way of an append');
$pair->destination_sql('ALTER TABLE half DROP CONSTRAINT half_id_check; TRUNCATE half');
pulls($pair, 'half', \%chunked, '… until the table is pulled whole');
appends($pair, 0, 'half', {}, '… and then no more');

# ---- filter, columns, names ----

make_table('chosen', 'id integer PRIMARY KEY, note text', 100);
my %odd = (filter => 'id % 2 = 1');
appends($pair, 50, 'chosen', \%odd, 'a filter');
fill('chosen', 101, 110);
appends($pair, 5, 'chosen', \%odd, '… applies each time');
append_fails($pair, '55000', qr/no mark/, 'chosen', {filter => 'id % 2 = 0'},
  'another filter has no mark');
append_fails($pair, '42703', qr/nothing/, 'chosen', {filter => 'nothing > 1'}, 'a wrong filter');

$pair->source_sql('CREATE TABLE "Old Name" (id integer PRIMARY KEY, note text, more text)');
$pair->destination_sql('CREATE TABLE renamed (note text DEFAULT \'none\', "id" bigint)');
my %renamed = (source_table => '"Old Name"', columns => ['id', 'note']);
fill('"Old Name"', 1, 10, q(i, 'n' || i, 'm'));
appends($pair, 10, 'renamed', \%renamed, 'columns of a table of another name');
fill('"Old Name"', 11, 12, q(i, 'n' || i, 'm'));
appends($pair, 2, 'renamed', {%renamed, source_table => 'public."Old Name"'},
  '… go on from the same mark, with a schema');
$pair->same_rows({source => 'SELECT id, note FROM "Old Name"',
  destination => 'SELECT id, note FROM renamed'}, '… with the same rows');
$pair->source_sql('ALTER TABLE "Old Name" RENAME TO "New Name"');
append_fails($pair, '42P01', qr/Old Name/, 'renamed', \%renamed, 'the source\'s table is gone');
append_fails($pair, '55000', qr/no mark/, 'renamed', {%renamed, source_table => '"New Name"'},
  '… under its new name it has no mark');

# ---- rewritten tables ----

make_table('rewritten', 'id integer PRIMARY KEY, note text', 50);
appends($pair, 50, 'rewritten', {}, 'a table');
my $id = 50;
my @REWRITES = ('VACUUM FULL rewritten', 'CLUSTER rewritten USING rewritten_pkey',
  'ALTER TABLE rewritten ALTER id TYPE bigint', 'ALTER TABLE rewritten SET UNLOGGED');
for my $statement (@REWRITES) {
  fill('rewritten', $id + 1, $id + 5);
  $pair->source_sql($statement);
  fill('rewritten', $id + 6, $id + 10);
  $id += 10;
  appends($pair, 10, 'rewritten', {}, "$statement between two appends");
  appends($pair, 0, 'rewritten', {}, '… changes nothing after that');
}
$pair->same_rows('SELECT id::bigint, note FROM rewritten', '… and each row is here once');
$pair->source_sql('TRUNCATE rewritten');
appends($pair, 0, 'rewritten', {}, 'TRUNCATE of the source removes nothing here');
fill('rewritten', 1001, 1010);
appends($pair, 10, 'rewritten', {}, '… and what comes after is new');
is($pair->destination_sql('SELECT count(*) FROM rewritten'), $id + 10, '… beside what was here');

# An ALTER TABLE that was done between the snapshot and the lock hides all rows from the snapshot.
$pair->create_gate;
make_table('raced', 'id integer PRIMARY KEY, note text', 20);
appends($pair, 20, 'raced', {}, 'a table');
fill('raced', 21, 25);
my $altering = $pair->session('source');
$altering->query_safe('BEGIN; ALTER TABLE raced ALTER id TYPE bigint');
my $racing = $pair->session('destination')->start(append_sql($pair, 'raced'));
my $queued = wait_until(3, sub { $pair->source_sql(
  q(SELECT count(*) FROM pg_locks WHERE relation = 'raced'::regclass AND NOT granted)) });
ok($queued, 'an append that waits for an ALTER TABLE of the source');
$altering->query_safe('COMMIT');
my $raced = $racing->finish;
ok($raced->is_ok, '… ends') or diag($raced->summary);
ok($pair->try_sql(append_sql($pair, 'raced'))->is_ok, '… and another one after it');
$pair->same_rows('SELECT id::bigint, note FROM raced', '… brings what is new, each row once');

# The rewriter's id lies above that of a transaction that is still open somewhere else.
make_table('held', 'id integer PRIMARY KEY, note text', 20);
appends($pair, 20, 'held', {}, 'a table');
my $long = $pair->session('source');
$long->query_safe('BEGIN; SELECT pg_current_xact_id()');
$pair->source_sql('ALTER TABLE held ALTER id TYPE bigint');
fill('held', 21, 25);
appends($pair, 0, 'held', {}, 'an ALTER TABLE while an older transaction is open');
$long->query_safe('COMMIT');
appends($pair, 5, 'held', {}, '… and after it');
$pair->same_rows('SELECT id::bigint, note FROM held', '… each row is here once');

# ---- keys where rows have to be compared ----

make_table('keyless', 'a integer, b integer, note text', 20, q(i / 10, i % 10, 'n' || i));
appends($pair, 20, 'keyless', {}, 'a table without key needs none');
fill('keyless', 21, 25, q(i / 10, i % 10, 'n' || i));
appends($pair, 5, 'keyless', {}, '… as long as nothing is to be compared');
$pair->source_sql('VACUUM FULL keyless');
fill('keyless', 26, 30, q(i / 10, i % 10, 'n' || i));
for my $key (undef, 'ctid', 'a', '(a, b)') {
  append_fails($pair, '55000', qr/which rows of "public\.keyless".*no unique index/s, 'keyless',
    {key => $key}, 'rows to be compared, without a unique key: ' . ($key // 'none'));
}
append_fails($pair, '42703', qr/nothing/, 'keyless', {key => 'nothing'}, '… by no column at all');
$pair->source_sql('ALTER TABLE keyless ADD PRIMARY KEY (a, b)');
append_fails($pair, '55000', qr/which rows of.*over copied columns/s, 'keyless',
  {columns => ['a', 'note']}, '… by a key that is not copied');
appends($pair, 5, 'keyless', {}, '… by a key of two columns');
$pair->same_rows('SELECT * FROM keyless', '… each row is here once');

make_table('nullable', 'id integer UNIQUE, note text', 10);
$pair->source_sql(q(INSERT INTO nullable VALUES (NULL, 'no key')));
appends($pair, 11, 'nullable', {key => 'id'}, 'a NULL key where nothing is compared');
$pair->source_sql('VACUUM FULL nullable');
append_fails($pair, '55000', qr/that are all NOT NULL/, 'nullable', {key => 'id'},
  '… and where rows are compared');
$pair->source_sql('UPDATE nullable SET id = 11 WHERE id IS NULL; '
    . 'ALTER TABLE nullable ALTER id SET NOT NULL');
$pair->destination_sql('UPDATE nullable SET id = 11 WHERE id IS NULL');
appends($pair, 0, 'nullable', {key => 'id'}, '… it must be given one');

# A time that two rows share is no key, whatever the caller says.
$pair->source_sql(q(CREATE TABLE log (id integer PRIMARY KEY, at timestamptz);
  INSERT INTO log VALUES (1, '2024-01-01 10:00')));
$pair->destination_sql('CREATE TABLE log (id integer, at timestamptz)');
my $late = $pair->session('source');
$late->query_safe(q(BEGIN; INSERT INTO log VALUES (2, '2024-01-01 10:00')));
$pair->source_sql(q(INSERT INTO log VALUES (3, '2024-01-01 11:00')));
my ($pulled) = $pair->table_rows('parallel_pull_table', 'log', {});
is($pulled->{rows}, 2, 'a table is pulled while a row is not committed');
$late->query_safe('COMMIT');
appends($pair, 1, 'log', {key => 'at', window => '1 hour'}, '… whose time another row has, too');
$pair->same_rows('SELECT * FROM log', '… each row is here once');

# ---- partitions ----

$pair->source_sql(<<'SQL');
CREATE TABLE parts (id integer PRIMARY KEY, note text) PARTITION BY RANGE (id);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (100);
CREATE TABLE parts_2 (id integer PRIMARY KEY, note text);
SQL
$pair->destination_sql('CREATE TABLE parts (id integer, note text)');
fill('parts', 1, 50);
fill('parts_2', 101, 110);
appends($pair, 50, 'parts', {}, 'a partitioned table');
fill('parts', 51, 60);
fill('parts_2', 111, 115);
$pair->source_sql('ALTER TABLE parts ATTACH PARTITION parts_2 FOR VALUES FROM (100) TO (200)');
appends($pair, 25, 'parts', {}, 'a partition that was filled before the last mark');
fill('parts', 116, 120);
$pair->source_sql('ALTER TABLE parts DETACH PARTITION parts_1');
fill('parts_1', 61, 65);
appends($pair, 5, 'parts', {}, 'a partition that is gone');
$pair->source_sql('ALTER TABLE parts ATTACH PARTITION parts_1 FOR VALUES FROM (0) TO (100)');
appends($pair, 5, 'parts', {}, '… and comes back with more rows');
$pair->source_sql('CREATE TABLE parts_3 PARTITION OF parts FOR VALUES FROM (200) TO (300)');
fill('parts', 195, 205);
appends($pair, 11, 'parts', {}, 'a new partition');
$pair->same_rows('SELECT * FROM parts', '… all rows are here, each once');

for my $relation ('CREATE VIEW seen AS SELECT * FROM plain',
  'CREATE MATERIALIZED VIEW seen AS SELECT * FROM plain') {
  $pair->source_sql("$relation; GRANT SELECT ON seen TO public");
  append_fails($pair, '0A000', qr/cannot append from "public\.seen"/, 'plain',
    {source_table => 'seen'}, "$relation: who has inserted a row is not known");
  $pair->source_sql($relation =~ s/CREATE (.*VIEW seen).*/DROP $1/r);
}

# ---- rights ----

$pair->source_sql(<<"SQL");
CREATE ROLE reader LOGIN PASSWORD '$SECRET';
CREATE TABLE guarded (id integer PRIMARY KEY, note text);
INSERT INTO guarded SELECT i, 'n' FROM generate_series(1, 10) AS i;
GRANT SELECT (id, note) ON guarded TO reader;
SQL
$pair->destination_sql(<<'SQL');
CREATE ROLE loader LOGIN;
CREATE TABLE guarded (id integer PRIMARY KEY, note text);
GRANT INSERT ON guarded TO loader;
REVOKE TEMPORARY ON DATABASE postgres FROM public;
SQL
my %guarded = (dsn => $pair->dsn(undef, "user=reader password=$SECRET"));
my @loader = (user => 'loader');
append_fails($pair, '42501', qr/permission denied for function parallel_pull_append/, 'guarded',
  \%guarded, 'without EXECUTE', @loader);
$pair->destination_sql('GRANT EXECUTE ON FUNCTION parallel_pull_append TO loader');
append_fails($pair, '42501', qr/permission denied for table guarded/, 'guarded', \%guarded,
  'without SELECT on the local table', @loader);
$pair->destination_sql('GRANT SELECT ON guarded TO loader');
append_fails($pair, '42501', qr/source: permission denied for table guarded/, 'guarded', \%guarded,
  'without SELECT on xmin', @loader);
$pair->source_sql('GRANT SELECT (xmin, tableoid) ON guarded TO reader');
appends($pair, 10, 'guarded', \%guarded, 'with all of these', @loader);
fill('guarded', 11, 12, q(i, 'n'));
appends($pair, 2, 'guarded', \%guarded, '… as often as is wanted', @loader);
$pair->source_sql('VACUUM FULL guarded');
append_fails($pair, '42501', qr/permission denied to create temporary tables/, 'guarded',
  \%guarded, 'without TEMPORARY where rows are compared', @loader);
$pair->destination_sql('GRANT TEMPORARY ON DATABASE postgres TO loader');
appends($pair, 0, 'guarded', \%guarded, '… and with it', @loader);
is($pair->pull->{owner}, 'loader', 'the pull belongs to the caller');

$pair->nothing_left('nothing is left of the appends');
$pair->finish;
