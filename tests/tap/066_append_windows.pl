# The window of parallel_pull_append: its caller promises that no row comes later whose key lies
# further below the highest one, and the source is not read below it.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";

use ParallelLoader::Append;
use ParallelLoader::Test;
use Test::More;

my $pair = ParallelLoader::Test->new(retries => 1);

# Inserts these keys (SQL literals) on the source.
sub insert {
  my ($table, @keys) = @_;
  $pair->source_sql("INSERT INTO $table VALUES " . join ', ', map { "($_)" } @keys);
  return;
}

sub has {
  my ($table, $rows, $rule) = @_;
  local $Test::Builder::Level = $Test::Builder::Level + 1;
  is($pair->destination_sql("SELECT string_agg(key::text, ' ' ORDER BY key) FROM $table"), $rows,
    $rule);
  return;
}

# ---- one type after the other ----

# Type, window, first keys, then the keys that come late: one within the window, one below it.
my @CASES = (
  ['smallint', '10', ['100'], '90', '89'],
  ['integer', '10', ['-5', '100'], '90', '89'],
  ['bigint', '10.5', ['9007199254740993'], '9007199254740982', '9007199254740981'],
  ['numeric', '0.5', ['10.25'], '9.75', '8.5'],
  ['date', '2 days', [q('2026-03-01')], q('2026-02-27'), q('2026-02-26')],
  ['timestamp', '1 hour', [q('2026-03-01 12:00')], q('2026-03-01 11:00'), q('2026-03-01 10:59')],
  ['timestamptz', '1 hour', [q('2026-03-29 04:00+02')], q('2026-03-29 03:30+02'),
    q('2026-03-29 02:59+02')]);
my $berlin = "SET TimeZone = 'Europe/Berlin';";
for my $case (@CASES) {
  my ($type, $window, $first, $within, $below) = @$case;
  $pair->both_sql("DROP TABLE IF EXISTS t; CREATE TABLE t (key $type PRIMARY KEY)");
  insert('t', @$first);
  appends($pair, scalar @$first, 't', {window => $window}, "$type: the first append takes all");
  insert('t', $within, $below);
  my $result = $pair->try_sql($berlin . append_sql($pair, 't', {window => $window}));
  is($result->summary, 'success: 1', '… the next one what lies in the window');
  is($pair->destination_sql("SELECT count(*) FROM t WHERE key = $within"), 1, '… which it is');
  appends($pair, 0, 't', {}, '… the promise is not taken back by a call without one');
}

# ---- what the highest key is ----

$pair->both_sql(<<'SQL');
CREATE TABLE held (key integer PRIMARY KEY);
CREATE TABLE two (key integer PRIMARY KEY, other integer UNIQUE NOT NULL, free integer UNIQUE);
CREATE TABLE endless (key timestamptz PRIMARY KEY);
CREATE TABLE emptied (key integer PRIMARY KEY);
SQL

# What a long transaction keeps from being taken must not lift the window above itself.
insert('held', 1);
appends($pair, 1, 'held', {window => 10}, 'a table');
my $long = $pair->session('source');
$long->query_safe('BEGIN; INSERT INTO held VALUES (5)');
insert('held', 6);
insert('held', 1000);
appends($pair, 0, 'held', {window => 10}, 'rows that have to wait for an older transaction');
insert('held', 2000);
appends($pair, 0, 'held', {window => 10}, '… for several calls');
$long->query_safe('COMMIT');
appends($pair, 4, 'held', {window => 10}, '… are all taken after it');
insert('held', 1989, 1990);
appends($pair, 1, 'held', {window => 10}, '… and then the window moves on');
has('held', '1 5 6 1000 1990 2000', '… by these rows');

insert('two', '1, 1001, NULL', '2, 1002, 7');
appends($pair, 2, 'two', {key => 'other', window => 10}, 'a key');
insert('two', '3, 1003, 8');
appends($pair, 1, 'two', {key => 'key', window => 1}, '… and another one, whose highest is its own');
insert('two', '4, 1, NULL');
appends($pair, 1, 'two', {key => 'free', window => 1}, '… and one that may be NULL');
insert('two', '5, 2, NULL', '6, 3, 1');
appends($pair, 1, 'two', {key => 'free', window => 1}, '… whose NULLs lie in no window');
has('two', '1 2 3 4 5', '… by these rows');

insert('endless', q('2026-01-01'), q('infinity'));
appends($pair, 2, 'endless', {window => '1 day'}, 'an infinite key');
insert('endless', q('2026-01-02'));
appends($pair, 1, 'endless', {window => '1 day'}, '… makes the window infinite');

insert('emptied', 100);
appends($pair, 1, 'emptied', {window => 10}, 'a table');
$pair->source_sql('TRUNCATE emptied');
appends($pair, 0, 'emptied', {window => 10}, '… that is emptied on the source');
insert('emptied', 5);
appends($pair, 1, 'emptied', {window => 10}, '… has no highest key any more');

# ---- the source is not read below ----

$pair->both_sql('CREATE TABLE big (key integer PRIMARY KEY, note text)');
$pair->source_sql(<<'SQL');
INSERT INTO big SELECT i, md5(i::text) FROM generate_series(1, 50000) AS i;
ANALYZE big;
SQL
appends($pair, 50000, 'big', {window => 100}, 'a table of some size');
insert('big', q(50001, 'new'));
my $READ = q(SELECT coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0)
  FROM pg_stat_user_tables WHERE relname = 'big');
$pair->source_sql(q(SELECT pg_stat_reset_single_table_counters('big'::regclass)));
appends($pair, 1, 'big', {window => 100}, '… a new row');
wait_until(5, sub { $pair->source_sql($READ) > 0 });
$pair->nothing_left('… the source sessions have ended and counted');
my $read = $pair->source_sql($READ);
cmp_ok($read, '>', 0, '… the source has read some rows');
cmp_ok($read, '<', 1000, '… of the window alone');

# ---- what is refused ----

$pair->both_sql(<<'SQL');
CREATE TABLE named (key text PRIMARY KEY);
CREATE TABLE pairs (a integer, b integer, PRIMARY KEY (a, b));
SQL
insert('named', q('a'));
append_fails($pair, '0A000', qr/window cannot be applied to a key of type.*text/, 'named',
  {window => '10'}, 'a window on text');
append_fails($pair, '22023', qr/window needs a key of one column/, 'pairs',
  {window => 10, key => '(a, b)'}, '… on two columns');
append_fails($pair, '22023', qr/window needs a key of one column/, 'pairs', {window => 10},
  '… without a key');
append_fails($pair, '22P02', qr/invalid input syntax for type numeric/, 'held', {window => 'ten'},
  'a window that is no number');
append_fails($pair, '22007', qr/invalid input syntax for type interval/, 'endless',
  {window => 'ten'}, '… no interval');
append_fails($pair, '22023', qr/window "-1" is negative/, 'held', {window => '-1'}, '… negative');
append_fails($pair, '22023', qr/is negative/, 'endless', {window => '-1 day'}, '… in time');
appends($pair, 0, 'held', {window => 0}, 'a window of nothing is one');

$pair->nothing_left('nothing is left of the appends');
$pair->finish;
