# parallel_pull_verify finds any difference in any row, names its chunk, and finds none where there
# is none, whatever the settings, encodings and collations of the two servers.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";

use ParallelLoader::Test;
use PostgreSQL::Test::Utils;
use Test::More;

# Text that sorts in another way needs a locale, which a small machine may not have.
my $locale_dir = PostgreSQL::Test::Utils::tempdir('locale');
my $has_locale = 0 == system
  "localedef --no-archive -i en_US -f UTF-8 $locale_dir/en_US.UTF-8 >/dev/null 2>&1";

my $pair = ParallelLoader::Test->new(
  both => {env => {LOCPATH => $locale_dir}},
  source => {hba => "local all reader scram-sha-256\n"});

sub verify_sql {
  my ($table, $named) = @_;
  return $pair->table_sql('parallel_pull_verify', $table, $named)
    =~ s/^SELECT /SELECT count(*) FROM /r;
}

# Fills the local table from the source's, whatever is in it.
sub pull {
  my ($table, $named, %options) = @_;
  my $result = $pair->try_sql("TRUNCATE $table", %options);
  $result = $pair->try_sql($pair->pull_sql($table, undef, undef, $named), %options);
  return $result->is_ok || diag($result->summary);
}

# ---- one byte among a million rows ----

$pair->both_sql('CREATE TABLE big (id integer PRIMARY KEY, at timestamptz, note text)');
$pair->source_sql(<<'SQL');
INSERT INTO big SELECT i, '2024-01-01'::timestamptz + i * interval '1 s', 'row ' || i
FROM generate_series(1, 1000000) AS i;
ANALYZE big;
SQL
pull('big');
my @rows = $pair->table_rows('parallel_pull_verify', 'big', {workers => 2});
cmp_ok(scalar @rows, '>', 4, 'a million rows are compared in several ranges');
is(scalar(grep { !$_->{matches} } @rows), 0, 'all of them match after a pull');
my ($source_rows, $local_rows) = (0, 0);
for my $row (@rows) {
  $source_rows += $row->{source_rows};
  $local_rows += $row->{local_rows};
}
is("$source_rows $local_rows", '1000000 1000000', 'both sides are counted');
is_deeply([map { $_->{chunk} } @rows], [1 .. @rows], 'chunks are numbered from 1');
is_deeply([map { $_->{start} } @rows[1 .. $#rows]], [map { $_->{end} } @rows[0 .. $#rows - 1]],
  'each range begins where the one before ends, so none lies outside');
ok(!defined $rows[0]{start} && !defined $rows[-1]{end}, 'the outer ones are open');

# The chunk that holds a key.
sub chunk_of {
  my ($id) = @_;
  my ($row) = grep { (!defined $_->{start} || $_->{start} <= $id)
      && (!defined $_->{end} || $id < $_->{end}) } @rows;
  return $row->{chunk};
}

my %CHANGE = (
  'a changed byte' => ["UPDATE big SET note = 'rov 777777' WHERE id = 777777", 777777],
  'an instant of a microsecond' =>
    ["UPDATE big SET at = at + interval '1 us' WHERE id = 3", 3],
  'a NULL for an empty string' => [undef, 500000],
  'a missing row' => ['DELETE FROM big WHERE id = 1000000', 1000000],
  'an extra row below all others' => [q(INSERT INTO big VALUES (-5, now(), 'x')), -5],
  'an extra row above all others' => [q(INSERT INTO big VALUES (2000000000, now(), 'x')), 2000000000],
);
for my $rule (sort keys %CHANGE) {
  my ($sql, $id) = @{$CHANGE{$rule}};
  if (!defined $sql) {
    $pair->source_sql("UPDATE big SET note = '' WHERE id = $id");
    $sql = "UPDATE big SET note = NULL WHERE id = $id";
  }
  my $session = $pair->session('destination');
  $session->query_safe("BEGIN; $sql");
  my $call = $pair->table_sql('parallel_pull_verify', 'big', {workers => 2}) =~ s/^SELECT //r;
  is($session->query_safe("SELECT string_agg(chunk::text, ' ') FROM $call WHERE NOT matches"),
    chunk_of($id), "$rule is found, in its chunk alone");
  $session->query_safe('ROLLBACK');
  $pair->source_sql("UPDATE big SET note = 'row $id' WHERE id = $id") if $rule =~ /NULL/;
}

# A row that is there twice and another that is missing: the count is the same, and so would be a
# sum that forgets how often.
$pair->both_sql('CREATE TABLE loose (id integer, note text)');
$pair->source_sql('INSERT INTO loose SELECT i, i FROM generate_series(1, 100) AS i');
pull('loose');
$pair->differs_in([], 'loose', {}, 'a table without a key');
$pair->destination_sql('INSERT INTO loose SELECT * FROM loose WHERE id = 7');
$pair->differs_in([1], 'loose', {}, 'a doubled row');
$pair->destination_sql('DELETE FROM loose WHERE id = 8');
$pair->differs_in([1], 'loose', {}, 'a doubled row for a missing one');
$pair->destination_sql('INSERT INTO loose SELECT * FROM loose WHERE id = 7; DELETE FROM loose'
    . ' WHERE id = 9');
$pair->differs_in([1], 'loose', {}, 'a row that is there three times');

# ---- keys ----

$pair->both_sql('CREATE TABLE nullable (id integer, note text)');
$pair->source_sql(<<'SQL');
INSERT INTO nullable SELECT nullif(i % 5000, 7), repeat('x', 200) || i
FROM generate_series(1, 30000) AS i;
CREATE INDEX ON nullable (id);
ANALYZE nullable;
SQL
pull('nullable');
@rows = $pair->table_rows('parallel_pull_verify', 'nullable', {key => 'id'});
cmp_ok(scalar @rows, '>', 2, 'a key with NULLs is cut');
is($rows[-1]{nulls}, 1, 'rows without a key have a chunk');
is("$rows[-1]{source_rows} $rows[-1]{local_rows}", '6 6', '… and are counted there');
is(scalar(grep { !$_->{matches} } @rows), 0, 'a key with NULLs: all match');
$pair->destination_sql(q(UPDATE nullable SET note = 'y' WHERE ctid =
  (SELECT min(ctid) FROM nullable WHERE id IS NULL)));
$pair->differs_in([scalar @rows], 'nullable', {key => 'id'}, 'a change in a row without a key');

# ctid means nothing on the other side; no key at all leaves one range.
pull('nullable');
$pair->differs_in([], 'nullable', {key => 'ctid'}, 'key ctid gives way to a column');
$pair->destination_sql('CREATE TABLE wrapped (id text, note text)');
pull('wrapped', {source_table => 'nullable'});
@rows = $pair->table_rows('parallel_pull_verify', 'wrapped', {source_table => 'nullable'});
is(scalar @rows, 1, 'a key of types that sort otherwise leaves one range');
is($rows[0]{matches}, 1, '… and columns of other types with the same text are equal');

my $collation = $has_locale ? 'en_US.UTF-8' : 'C';
$pair->source_sql(qq(CREATE COLLATION own (provider = libc, locale = '$collation');
CREATE TABLE words (word text COLLATE own PRIMARY KEY, id integer);
INSERT INTO words SELECT chr(65 + i % 26) || chr(97 + i % 24) || i, i
FROM generate_series(1, 9000) AS i));
$pair->destination_sql('CREATE TABLE words (word text COLLATE "C", id integer)');
pull('words');
$pair->differs_in([], 'words', {}, 'a text key whose collation differs');
$pair->differs_in([], 'words', {key => 'id'}, 'a key without an index on either side');
$pair->differs_in([], 'words', {key => '(id, word)'}, 'a key of two columns');

for my $case (
  ['uuid', q(md5(i::text)::uuid)], ['date', q('2020-01-01'::date + i)],
  ['timestamp', q('2020-01-01'::timestamp + i * interval '1 h')],
  ['timestamptz', q('2020-01-01 UTC'::timestamptz + i * interval '1 h')], ['numeric', 'i / 7.0'],
  ['bytea', q(sha256(i::text::bytea))], ['smallint', 'i'], ['inet', q('10.0.0.0'::inet + i)],
  ['char(9)', 'i'], ['boolean', 'i % 2 = 0'], ['float8', 'i / 3.0::float8'])
{
  my ($type, $value) = @$case;
  $pair->both_sql("DROP TABLE IF EXISTS keyed; CREATE TABLE keyed (k $type, v text)");
  $pair->source_sql("INSERT INTO keyed SELECT $value, repeat('x', 300) FROM generate_series(1, 9000)"
      . ' AS i; CREATE INDEX ON keyed (k); ANALYZE keyed');
  pull('keyed');
  $pair->differs_in([], 'keyed', {key => 'k'}, "a key of type $type");
}

# ---- relations ----

$pair->source_sql(<<'SQL');
CREATE TABLE parts (id integer PRIMARY KEY, note text) PARTITION BY RANGE (id);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (1) TO (5000);
CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM (5000) TO (20000);
INSERT INTO parts SELECT i, repeat('x', 300) FROM generate_series(1, 15000) AS i;
CREATE TABLE parent (id integer PRIMARY KEY, note text);
CREATE TABLE child () INHERITS (parent);
INSERT INTO parent VALUES (1, 'own');
INSERT INTO child VALUES (2, 'of the child');
CREATE VIEW seen AS SELECT * FROM parts WHERE id < 100;
SQL
$pair->destination_sql(<<'SQL');
CREATE TABLE parts (id integer, note text) PARTITION BY HASH (id);
CREATE TABLE parts_a PARTITION OF parts FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE parts_b PARTITION OF parts FOR VALUES WITH (MODULUS 2, REMAINDER 1);
CREATE TABLE parent (id integer, note text);
CREATE TABLE child () INHERITS (parent);
CREATE TABLE seen (id integer, note text);
SQL
pull($_) for qw(parts parent seen);
$pair->destination_sql(q(INSERT INTO child VALUES (3, 'of the local child')));
$pair->differs_in([], 'parts', {}, 'tables that are partitioned in other ways');
$pair->differs_in([], 'parent', {}, 'rows of inheritance children are left out on both sides');
$pair->differs_in([], 'seen', {}, 'a view of the source');
$pair->differs_in([], 'parts', {filter => 'id BETWEEN 10 AND 12000'}, 'a filter, on both sides');
@rows = $pair->table_rows('parallel_pull_verify', 'parts', {filter => 'id <= 10'});
my $filtered = 0;
$filtered += $_->{local_rows} for @rows;
is($filtered, 10, '… which the local side heeds');
$pair->destination_sql(q(UPDATE parts SET note = 'changed' WHERE id = 20));
$pair->differs_in([], 'parts', {columns => ['id']}, 'columns that were left out do not count');
$pair->differs_in([], 'parts', {filter => 'id <> 20 -- a comment'}, 'a filter that ends a line');

# A snapshot of the source's from before a change.
my $holder = $pair->session('source');
$holder->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ');
my $snapshot = $holder->query_safe('SELECT pg_export_snapshot()');
$pair->source_sql('DELETE FROM parent');
$pair->differs_in([], 'parent', {snapshot => $snapshot}, 'a snapshot is heeded');
$pair->differs_in([1], 'parent', {}, '… and without it the table is as it is now');
$holder->close;

# ---- settings ----

my %HOSTILE = (DateStyle => 'German, DMY', IntervalStyle => 'sql_standard',
  TimeZone => 'Asia/Kolkata', extra_float_digits => -10, bytea_output => 'escape',
  search_path => 'nowhere', standard_conforming_strings => 'off', xmloption => 'document',
  array_nulls => 'off', row_security => 'on', default_transaction_isolation => 'serializable');
$pair->both_sql(<<'SQL');
CREATE TABLE formats (id integer PRIMARY KEY, d date, t timestamptz, i interval, f float8, r real,
  b bytea, a timestamptz[], c "char", n numeric, x xml, s text);
SQL
$pair->source_sql(<<'SQL');
INSERT INTO formats SELECT i, '2024-02-03'::date + i, now() + i * interval '1 s',
  i * interval '1 mon 2 days 3 s', i / 3.0, 1 / i::real, sha256(i::text::bytea), ARRAY[now(), NULL],
  chr(i % 100 + 20)::"char", i / 7.0, '<a/>', E'a\\b''c'
FROM generate_series(1, 200) AS i;
INSERT INTO formats (id, f, n) VALUES (0, '-0', 'NaN'), (-1, 'NaN', 'Infinity'), (-2, '-Infinity', 0);
SQL
pull('formats');
for my $side (qw(source destination)) {
  my $node = $side eq 'source' ? 'source_sql' : 'destination_sql';
  for my $name (sort keys %HOSTILE) {
    $pair->$node("ALTER ROLE CURRENT_USER SET $name = '$HOSTILE{$name}'");
  }
  $pair->differs_in([], 'public.formats', {filter => q(t > '1999-02-01' OR t IS NULL)},
    "hostile settings on the $side", connstr => $pair->destination->connstr('postgres')
      . q( options='-c search_path=public'));
  $pair->$node('ALTER ROLE CURRENT_USER RESET ALL') if $side eq 'destination';
}
$pair->source_sql('ALTER ROLE CURRENT_USER RESET ALL');
$pair->destination_sql(q(UPDATE formats SET f = 0 WHERE id = 0));
$pair->differs_in([1], 'formats', {}, '-0 is not 0, as its text says');

# ---- encodings ----

for my $encoding (qw(UTF8 LATIN1)) {
  my $dbname = lc "db_$encoding";
  $pair->both_sql("CREATE DATABASE $dbname TEMPLATE template0 ENCODING '$encoding'"
      . " LC_COLLATE 'C' LC_CTYPE 'C'");
  $pair->create_extension($dbname);
  $pair->both_sql('CREATE TABLE letters (word text PRIMARY KEY, tags text[], j jsonb)',
    dbname => $dbname);
}
for my $case (['latin1', 'utf8'], ['utf8', 'latin1'], ['latin1', 'latin1']) {
  my ($from, $to) = @$case;
  $pair->source_sql(<<'SQL', dbname => "db_$from");
TRUNCATE letters;
INSERT INTO letters SELECT w, ARRAY[w, 'a\b'], jsonb_build_object('w', w)
FROM generate_series(1, 3000) AS i, convert_from(convert_to('row ' || i, 'LATIN1') || '\xe9ff', 'LATIN1')
  AS w;
SQL
  my %options = (dbname => "db_$to");
  my $named = {dsn => $pair->dsn("db_$from")};
  pull('letters', $named, %options);
  $pair->differs_in([], 'letters', $named, "$from against $to", %options);
  $pair->destination_sql(q(UPDATE letters SET word = translate(word, U&'\00e9', U&'\00e8')
    WHERE word LIKE 'row 77%'), %options);
  my @different = grep { !$_->{matches} }
    $pair->table_rows('parallel_pull_verify', 'letters', $named, %options);
  ok(scalar @different, "$from against $to: an accent that differs is found");
}

# ---- rights ----

$pair->source_sql(q(CREATE ROLE reader LOGIN PASSWORD 'secret'; GRANT SELECT ON parts, big TO reader));
$pair->destination_sql(<<'SQL');
CREATE ROLE looker LOGIN;
GRANT SELECT ON parts TO looker;
CREATE TABLE guarded (id integer, note text);
GRANT SELECT ON guarded TO looker;
ALTER TABLE guarded ENABLE ROW LEVEL SECURITY;
CREATE POLICY none ON guarded USING (false);
UPDATE parts SET note = repeat('x', 300);
SQL
$pair->grant_functions('looker');
my $reader = {dsn => $pair->dsn('postgres', q(user=reader password=secret))};
$pair->differs_in([], 'parts', $reader, 'SELECT is enough for a role that is no superuser',
  user => 'looker');
$pair->error_is(verify_sql('big', $reader), '42501', qr/permission denied for table big/,
  'without SELECT on the local table', user => 'looker');
$pair->error_is(verify_sql('parts', {dsn => $pair->dsn}), '2F003', qr/password/,
  'the rule of passwords holds', user => 'looker');
$pair->error_is(verify_sql('guarded', {%$reader, source_table => 'parts'}), '42501',
  qr/row-level security/, 'rows that a policy would hide are an error', user => 'looker');
$pair->error_is(verify_sql('loose', $reader), '42501', qr/loose/,
  'without SELECT on the source');
$pair->error_is(verify_sql('loose', {source_table => 'nothing'}), '42P01', qr/nothing/,
  'no such table on the source');
$pair->error_is(verify_sql('loose', {filter => 'true); DELETE FROM loose; SELECT (true'}), '42601',
  qr/./, 'a filter cannot carry a second statement');
is($pair->destination_sql('SELECT count(*) > 0 FROM loose'), 't', '… which was not run');
$pair->error_is(verify_sql('loose', {workers => 0}), '22023', qr/workers/, 'workers is checked');
$pair->nothing_left('errors leave nothing behind');
is($pair->destination_sql(q(BEGIN READ ONLY;) . verify_sql('parts')) > 0, 1,
  'a read-only transaction will do');

# ---- interrupts ----

$pair->source_sql(<<'SQL');
CREATE VIEW endless AS SELECT a AS id, 'x'::text AS note
FROM generate_series(1, 20000) AS a, generate_series(1, 20000) AS b ORDER BY (a * b) % 1000003;
SQL
$pair->destination_sql(<<'SQL');
CREATE VIEW endless AS SELECT a AS id, 'x'::text AS note
FROM generate_series(1, 20000) AS a, generate_series(1, 20000) AS b ORDER BY (a * b) % 1000003;
SQL
for my $case (['while the source works', 'loose', {source_table => 'endless'}],
  ['while the local side works', 'endless', {source_table => 'big'}])
{
  my ($where, $table, $named) = @$case;
  my $session = $pair->session('destination');
  $session->start(verify_sql($table, {%$named, columns => ['id', 'note']}));
  wait_until(20, sub {
    $pair->source_sql(q(SELECT count(*) FROM pg_stat_activity
      WHERE application_name = 'parallel_loader verify' AND query LIKE '%hashtextextended%')) > 0;
  }) or diag('the source was not asked');
  my $watch = stopwatch();
  $pair->destination_sql('SELECT pg_cancel_backend(' . $session->backend_pid . ')');
  $pair->result_is_error($session->finish(10), '57014', qr/user request/, "a cancel $where");
  cmp_ok($watch->(), '<', 5, '… is prompt');
  $pair->nothing_left('… and leaves nothing behind');
}
$pair->error_is('SET statement_timeout = 500; '
    . verify_sql('loose', {source_table => 'endless'}), '57014', qr/statement timeout/,
  'the time limit of the caller holds');
$pair->nothing_left('… and leaves nothing behind');

$pair->finish;
