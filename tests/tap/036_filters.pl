# What a filter means: on the source, what psql there makes of it, as the source's role; here, for
# verify, what this session makes of it.  Nothing that others put into a search path stands in for
# what we add around it.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";

use ParallelLoader::Session;
use ParallelLoader::Test;
use Test::More;

my $pair = ParallelLoader::Test->new(
  destination => {conf => "parallel_loader.snapshot_hold = 60\n"});
my $TYPES = <<'SQL';
CREATE EXTENSION citext; CREATE EXTENSION ltree; CREATE EXTENSION hstore;
CREATE TYPE mood AS ENUM ('sad', 'ok');
SQL
my $ODD = q(CREATE FUNCTION odd(i int) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT i % 2 = 1');
my $TABLE = <<'SQL';
CREATE TABLE people (id int PRIMARY KEY, email citext, path ltree, attrs hstore, m mood, at timestamptz);
SQL
$pair->both_sql("$TYPES; $ODD; $TABLE");
$pair->source_sql(<<'SQL');
INSERT INTO people SELECT i, CASE i % 2 WHEN 0 THEN 'Bob' || i % 5 || '@X.org' ELSE 'bob' || i % 5 || '@x.org' END,
  ('Top.a' || i % 3)::ltree, hstore('k', (i % 4)::text), CASE i % 2 WHEN 0 THEN 'sad' ELSE 'ok' END::mood,
  timestamptz '2024-01-01 00:00+00' + i * interval '1 hour'
FROM generate_series(1, 20000) AS i;
ANALYZE people;
SQL
my $dsn = literal($pair->dsn);

# The rows that psql selects on the source, in its own session.
sub psql_count {
  my ($table, $filter, %options) = @_;
  return $pair->source_sql("SELECT count(*) FROM $table WHERE $filter\n", %options);
}
sub emptied { return $pair->destination_sql('TRUNCATE ' . join ', ', @_) }
sub quoted { return literal($_[0]) }

my @FILTERS = (
  q(email = 'bob1@x.org'), q(email LIKE 'bob2%'), q(email IN ('BOB3@X.ORG')), q(email <> 'bob1@x.org'),
  q(path <@ 'Top.a1'), q(attrs -> 'k' = '2'), q(m = 'sad'::mood), q(odd(id)), q(people.id < 100),
  q(odd(id) -- a comment), q(at < '2024-02-01'), q(id IN (SELECT id FROM people WHERE odd(id))));

for my $filter (@FILTERS) {
  my $want = psql_count('people', $filter);
  emptied('people');
  is($pair->destination_sql("SELECT rows FROM parallel_pull_table($dsn, 'people', chunk_size => '64kB', filter => "
        . quoted($filter) . ')'), $want, "filter $filter: a pull takes what psql selects");
  is($pair->destination_sql("SELECT bool_and(matches) FROM parallel_pull_verify($dsn, 'people', filter => "
        . quoted($filter) . ')'), 't', '… verify agrees, and reads the filter on both sides');
}
emptied('people');
is($pair->destination_sql("SELECT parallel_pull($dsn, 'people', 5, 15000, filter => "
      . quoted(q(email = 'bob1@x.org')) . ')'), psql_count('people', q(email = 'bob1@x.org' AND id >= 5 AND id < 15000)),
  'a range with a filter');
is($pair->destination_sql("SELECT count(*) FROM parallel_pull_check($dsn, 'people', filter => 'odd(id)') WHERE level = 'error'"),
  0, 'check reads the filter as well');
cmp_ok($pair->destination_sql("SELECT count(*) FROM parallel_pull_plan($dsn, 'people', key => 'id', filter => "
      . quoted(q(email = 'bob1@x.org')) . ", chunk_size => '64kB')"), '>', 1, 'plan cuts by a sample of what it takes');

# ---- a text that is not one condition ----

# Each can be read within our parentheses, or within what stands around them.
my @NO_CONDITIONS = ('id > 5) OR (id = 3', 'true) OR (true', "id < 5\n) OR (\nid > 19990", '(id > 5)) OR ((id = 3)',
  'id > 5) /* ) */ OR (id = 3', "id > 5) OR (email = ')", 'id > 5) OR (id = 3 -- )', 'id > 5 THEN true WHEN id = 3',
  'id > 5 THEN true END AND CASE WHEN id = 3', 'SELECT true', 'id, id', 'id > 5) LIMIT (5', '', '-- nothing', 'id > 5)', '(id > 5',
  q(id > 5 /*), q(email = '), 'id > 5) UNION SELECT FROM people WHERE (true', 'id > 5; SELECT 1');
my @CALLS = ("parallel_pull($dsn, 'people', 5, 15", "parallel_pull_table($dsn, 'people', 'id'",
  "parallel_pull_start($dsn, 'people', 'id', snapshot => %s", "parallel_pull_create($dsn, 'people', 'id'",
  "parallel_pull_append($dsn, 'people'", "parallel_pull_plan($dsn, 'people', 'id'",
  "parallel_pull_verify($dsn, 'people', 'id'");
emptied('people');
my $exporter = $pair->session('source');
my $snapshot = literal($exporter->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT pg_export_snapshot()'));
for my $call (@CALLS) {
  my ($function) = $call =~ /(\w+)/;
  for my $text ($function =~ /_table|_append/ ? @NO_CONDITIONS : $NO_CONDITIONS[0]) {
    next if $text eq ''; # as NULL
    my $filled = $call =~ s/%s/$snapshot/r;
    my $result = $pair->try_sql("SELECT * FROM $filled, filter => " . quoted($text) . ')');
    like($result->summary, qr/^ERROR: 42(?:601|804): .*filter /s, "$function refuses $text" =~ s/\n/ /gr);
  }
}
$exporter->close;
$pair->error_is("SELECT parallel_pull_table($dsn, 'people', filter => " . quoted($NO_CONDITIONS[0]) . ')', '42601',
  qr/filter is not a single condition.*syntax error at or near "\)".*Write one SQL condition/s, '… and says why');
is($pair->destination_sql("SELECT count(*) FROM parallel_pull_check($dsn, 'people', filter => "
    . quoted($NO_CONDITIONS[0]) . ") WHERE item = 'filter' AND message = 'filter is not a single condition'"), 1, 'check says so, too');
is($pair->destination_sql('SELECT count(*) FROM people'), 0, '… and no row came');
# What the ledger has already, of a version that took it.
my $taken = $pair->destination_sql("SELECT parallel_pull_create($dsn, 'people', 'id', chunk_size => '64kB', filter => 'id > 5')");
$pair->destination_sql("SELECT parallel_pull_work($taken, max_chunks => 1); SELECT parallel_pull_cancel($taken)");
$pair->destination_sql("UPDATE parallel_loader.pull SET filter = 'id > 5) OR (id = 3', state = 'failed' WHERE pull_id = $taken;"
    . "UPDATE parallel_loader.chunk SET state = 'planned' WHERE pull_id = $taken AND chunk > 1");
$pair->error_is("SELECT parallel_pull_resume($taken, $dsn, new_snapshot => true)", '42601', qr/filter is not a single condition/,
  'a resume refuses it');
# The same of names, which are never SQL text of ours but in quotes.
for my $name ('people" WHERE id = 3 --', 'id") OR ("id', q(id' OR 'a)) {
  my $text = literal($name);
  for my $argument ("key => $text", "source_table => $text", "columns => ARRAY[$text]", "snapshot => $text", "format => $text",
    "chunk_size => $text") {
    my $result = $pair->try_sql("SELECT rows FROM parallel_pull_table($dsn, 'people', $argument)");
    like($result->summary, qr/^ERROR: (?:42703|42P01|42602|42601|22023)/, "$argument is no SQL");
  }
}
is($pair->destination_sql('SELECT count(*) FROM people WHERE id <= 5'), 0, '… and no row came');

# ---- errors say which side ----

$pair->error_is("SELECT parallel_pull_table($dsn, 'people', filter => 'nowhere(id)')", '42883',
  qr/filter cannot be read on the source: function nowhere\(integer\) does not exist/, 'an error of the source names it');
$pair->destination_sql('DROP FUNCTION odd');
$pair->error_is("SELECT * FROM parallel_pull_verify($dsn, 'people', filter => 'odd(id)')", '42883',
  qr/filter cannot be read on the destination: function odd\(integer\) does not exist.*search_path/s, '… and one of this side');
$pair->destination_sql("CREATE SCHEMA own; " . $ODD =~ s/odd/own.odd/r);
is($pair->destination_sql("SET search_path = own, public; SELECT count(*) > 0 FROM parallel_pull_verify($dsn, 'people', filter => 'odd(id)')"),
  't', '… where the search path of the session finds names');
is($pair->destination_sql("SELECT count(*) FROM parallel_pull_check($dsn, 'people', filter => 'nowhere(id)')"
    . q( WHERE item = 'filter' AND message LIKE 'filter cannot be read on the source%')), 1, 'check says the same');
$pair->destination_sql($ODD);

# At run time, too: a row here that the source has not, and the reverse.
$pair->both_sql('CREATE TABLE zero (id int PRIMARY KEY, n int)');
$pair->destination_sql('INSERT INTO zero VALUES (1, 0)');
my $ZERO = literal('1 / n < 5');
$pair->error_is("SELECT * FROM parallel_pull_verify($dsn, 'zero', filter => $ZERO)", '22012',
  qr/could not read table public\.zero of the destination: division by zero/, 'an error that a row here raises names this side');
$pair->source_sql('INSERT INTO zero VALUES (1, 0)');
$pair->destination_sql('TRUNCATE zero');
for my $call (qw(parallel_pull_verify parallel_pull_table parallel_pull_append)) {
  $pair->error_is("SELECT $call($dsn, 'zero', filter => $ZERO)", '22012',
    qr/could not read from source: division by zero/, "… one that a row of the source raises the source, $call");
}

# ---- a key whose operators have other names ----

my $OWN = "CREATE SCHEMA pos; GRANT USAGE ON SCHEMA pos TO PUBLIC; CREATE TYPE pos.pos AS (x int);\n";
my %OPERATOR = (lt => ['<', '#<#', 1], le => ['<=', '#<=#', 2], eq => ['=', '#=#', 3], ge => ['>=', '#>=#', 4], gt => ['>', '#>#', 5]);
for my $name (sort keys %OPERATOR) {
  my ($sign, $operator) = @{$OPERATOR{$name}};
  # The other way round, so that the type's own order is not that of a row.
  $OWN .= "CREATE FUNCTION pos.$name(pos.pos, pos.pos) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT (\$2).x $sign (\$1).x';\n"
    . "CREATE OPERATOR pos.$operator (LEFTARG = pos.pos, RIGHTARG = pos.pos, FUNCTION = pos.$name, RESTRICT = scalarltsel);\n";
}
$OWN .= "CREATE FUNCTION pos.cmp(pos.pos, pos.pos) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT btint4cmp((\$2).x, (\$1).x)';\n"
  . 'CREATE OPERATOR CLASS pos.pos_ops DEFAULT FOR TYPE pos.pos USING btree AS '
  . join(', ', map { "OPERATOR $OPERATOR{$_}[2] pos.$OPERATOR{$_}[1]" } qw(lt le eq ge gt)) . ", FUNCTION 1 pos.cmp(pos.pos, pos.pos);\n"
  . "CREATE TABLE places (at pos.pos PRIMARY KEY, note text)";
$pair->both_sql($OWN);
$pair->source_sql("INSERT INTO places SELECT ROW(i)::pos.pos, repeat('n', 100) FROM generate_series(1, 6000) AS i; ANALYZE places");
is($pair->destination_sql("SELECT rows FROM parallel_pull_table($dsn, 'places', key => 'at', chunk_size => '64kB', workers => 3)"), 6000,
  'a key whose operators have other names: every row once');
cmp_ok($pair->pull->{chunks}, '>', 3, '… in chunks');
$pair->same_rows('SELECT * FROM places', '… the right ones');
is($pair->destination_sql("TRUNCATE places; SELECT parallel_pull($dsn, 'places', '(200)', '(100)', key => 'at')"), 100,
  '… a range goes by its order');
is($pair->destination_sql("SELECT (max((at).x), min((at).x)) FROM places"), '(200,101)', '… from one end to the other');
$pair->destination_sql('TRUNCATE places');
my $open = $pair->session('source');
$open->query_safe(q(BEGIN; INSERT INTO places VALUES (ROW(7000)::pos.pos, 'late')));
is($pair->destination_sql("SELECT rows FROM parallel_pull_table($dsn, 'places', key => 'at')"), 6000, '… a pull beside an open transaction');
$pair->source_sql(q(INSERT INTO places VALUES (ROW(7001)::pos.pos, 'now')));
$open->query_safe('COMMIT');
is($pair->destination_sql("SELECT parallel_pull_append($dsn, 'places', key => 'at')"), 2, '… an append compares by its equality');
$pair->same_rows('SELECT * FROM places', '… and brings every row once');
is($pair->destination_sql("SELECT bool_and(matches) FROM parallel_pull_verify($dsn, 'places', key => 'at')"), 't', '… verify agrees');
$open->close;

# ---- the role's own path ----

$pair->source_sql(<<'SQL');
CREATE ROLE reader LOGIN; CREATE SCHEMA reader AUTHORIZATION reader; CREATE SCHEMA tools; CREATE SCHEMA late;
GRANT USAGE ON SCHEMA tools, late TO reader; GRANT SELECT ON people TO reader;
CREATE FUNCTION tools.third(i int) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT i % 3 = 0';
CREATE FUNCTION reader.third(i int) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT i % 3 = 1';
CREATE FUNCTION late.length(t text) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 1000';
CREATE FUNCTION public.length(t citext) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 3';
SQL
my $reader = literal($pair->dsn('postgres', 'user=reader'));
sub as_reader {
  my ($setting, $filter, $rule) = @_;
  local $Test::Builder::Level = $Test::Builder::Level + 1;
  $pair->source_sql($setting);
  my $session = ParallelLoader::Session->new($pair->source, user => 'reader');
  my $want = $session->query_safe("SELECT count(*) FROM public.people WHERE $filter");
  $session->close;
  emptied('people');
  return is($pair->destination_sql("SELECT rows FROM parallel_pull_table($reader, 'people', source_table => 'public.people',"
        . " chunk_size => '64kB', workers => 2, filter => " . quoted($filter) . ')'), $want, $rule);
}
as_reader('SELECT 1', q(third(id)), q(the role's "$user"));
as_reader('ALTER ROLE reader SET search_path = tools, public', q(third(id) AND email = 'bob1@x.org'), 'a path of the role');
as_reader('ALTER ROLE reader RESET search_path; ALTER DATABASE postgres SET search_path = tools, public',
  q(third(id)), 'a path of the database');
as_reader('ALTER DATABASE postgres RESET search_path; ALTER ROLE reader SET search_path = late, pg_catalog, public',
  q(length(m::text) = 1000 AND odd(id)), 'a path that names pg_catalog late');
as_reader(q(ALTER ROLE reader SET search_path = ''), q(id % 2 = 0), 'an empty path');
as_reader(q(ALTER ROLE reader SET search_path = "no such", public), q(odd(id)), 'a path with a schema that is not there');
$pair->source_sql('ALTER ROLE reader RESET search_path');

# ---- operators that somebody else has put there ----

my @TRAPPED = qw(< <= = <> >= > + - * / % ||);
my $traps = "CREATE SCHEMA traps; GRANT USAGE ON SCHEMA traps TO PUBLIC; CREATE TABLE traps.sprung (what text);\n"
  . "GRANT INSERT ON traps.sprung TO PUBLIC;\n";
my $number = 0;
my @pairs = map { my $left = $_; map { [$left, $_] } qw(int4 int8 float8 numeric text) } qw(int2 int4 int8 float8 numeric text);
push @pairs, ['xid', 'int8'], ['oid', 'oid'], ['oid', 'int8'], ['tid', 'tid'], ['citext', 'citext'], ['citext', 'text'];
for my $operator (@TRAPPED) {
  for (@pairs) {
    my ($left, $right) = @$_;
    my $result = $operator =~ /[<>=]/ ? 'bool' : $operator eq '||' ? 'text' : 'int8';
    $traps .= "CREATE FUNCTION traps.f$number($left, $right) RETURNS $result LANGUAGE plpgsql AS"
      . " 'BEGIN RAISE EXCEPTION USING MESSAGE = ''trap $operator $left $right''; END';"
      . " CREATE OPERATOR traps.$operator (LEFTARG = $left, RIGHTARG = $right, FUNCTION = traps.f$number);\n";
    $number++;
  }
}
$traps .= "CREATE FUNCTION traps.$_ LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''trap function''; END';\n"
  for 'floor(float8) RETURNS float8', 'ceil(float8) RETURNS float8', 'count(int8) RETURNS int8',
  'width_bucket(int8, int8[]) RETURNS int', 'format(text, int8) RETURNS text', 'octet_length(text) RETURNS int',
  'hashtextextended(text, int8) RETURNS int8', 'pg_column_size(citext) RETURNS int';
$pair->source_sql($traps);
$pair->destination_sql($traps);
my $PATH = 'traps, pg_catalog, public';
$pair->source_sql("ALTER ROLE reader SET search_path = $PATH; CREATE TABLE grown (LIKE people INCLUDING ALL);"
    . ' INSERT INTO grown SELECT * FROM people; ANALYZE grown; GRANT SELECT ON grown TO reader;'
    . ' CREATE TABLE by_mail (email citext PRIMARY KEY, id int);'
    . " INSERT INTO by_mail SELECT 'mail' || i, i FROM generate_series(1, 20000) AS i; ANALYZE by_mail;"
    . ' GRANT SELECT ON by_mail TO reader; CREATE TABLE parts (id int, n int) PARTITION BY RANGE (id);'
    . ' CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (10000);'
    . ' CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM (10000) TO (30000);'
    . ' INSERT INTO parts SELECT i, i FROM generate_series(1, 20000) AS i; CREATE INDEX ON parts (id); ANALYZE parts;'
    . ' GRANT SELECT ON parts, parts_1, parts_2 TO reader');
$pair->destination_sql('CREATE TABLE grown (LIKE people INCLUDING ALL); CREATE TABLE by_mail (email citext PRIMARY KEY, id int);'
    . ' CREATE TABLE parts (id int, n int)');
# Sound by itself, whatever the path: what is around it is ours.
$pair->both_sql('CREATE FUNCTION public.is_odd(i int) RETURNS bool LANGUAGE sql IMMUTABLE AS'
    . " 'SELECT i OPERATOR(pg_catalog.%) 2 OPERATOR(pg_catalog.=) 1'");
my $YES = literal('is_odd(id)');
for my $key (undef, 'id', '(id, m)', 'ctid') {
  emptied('people');
  my $named = defined $key ? ", key => '$key'" : '';
  is($pair->destination_sql("SELECT rows FROM parallel_pull_table($reader, 'people', chunk_size => '64kB', filter => $YES$named)"),
    10000, 'traps in the path, key ' . ($key // 'chosen'));
}
emptied('people');
is($pair->destination_sql("SELECT parallel_pull($reader, 'people', 5::bigint, 15000, filter => $YES)"), 7498, '… a range');
is($pair->destination_sql("SELECT rows FROM parallel_pull_table($reader, 'by_mail', chunk_size => '64kB', key => 'email', filter => $YES)"),
  10000, '… a key of an extension type');
is($pair->destination_sql("SELECT rows FROM parallel_pull_table($reader, 'parts', chunk_size => '64kB', filter => $YES)"),
  10000, '… partitions');
is($pair->destination_sql("SELECT parallel_pull_append($reader, 'grown', filter => $YES)"), 10000, '… an append');
$pair->source_sql('INSERT INTO grown SELECT id + 20000, email, path, attrs, m, at FROM people');
is($pair->destination_sql("SELECT parallel_pull_append($reader, 'grown', filter => $YES)"), 10000, '… the next one');
emptied('people');
$pair->destination_sql("SELECT parallel_pull_table($reader, 'people', filter => $YES)");
is($pair->destination_sql("SET search_path = traps, pg_catalog, public; SELECT pg_catalog.bool_and(matches) FROM"
    . " public.parallel_pull_verify($reader, 'public.people', filter => $YES)"), 't', '… verify, traps on both sides');
is($pair->source_sql('SELECT count(*) FROM traps.sprung'), 0, 'no trap was sprung');
$pair->source_sql('ALTER ROLE reader RESET search_path');

# ---- the path of the plan is that of the pull ----

$pair->source_sql('ALTER ROLE reader SET search_path = tools, public');
emptied('people');
my $id = $pair->destination_sql("SELECT parallel_pull_create($reader, 'people', key => 'id', chunk_size => '64kB', filter => 'third(id)')");
is($pair->destination_sql("SELECT source_path FROM parallel_loader.pull WHERE pull_id = $id"), '{tools,public}',
  'the ledger keeps the path');
$pair->source_sql('ALTER ROLE reader SET search_path = reader, public');
$pair->destination_sql("SELECT parallel_pull_work($id, max_chunks => 2)");
$pair->destination_sql("SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE backend_type = 'parallel_loader coordinator'");
$pair->state_becomes($id, 'failed|cancelled', 'a pull ends in its middle');
is($pair->destination_sql("SELECT rows FROM parallel_pull_resume($id, $reader, new_snapshot => true)"),
  psql_count('people', 'tools.third(id)'), '… and its resume reads the filter as before');
is($pair->destination_sql('SELECT count(*) FROM people WHERE id % 3 <> 0'), 0, '… in every chunk');

$pair->source_sql('ALTER ROLE reader SET search_path = tools, public');
$pair->destination_sql('CREATE TABLE g2 (LIKE people INCLUDING ALL)');
my $append = "SELECT parallel_pull_append($reader, 'g2', source_table => 'public.grown', filter => 'third(id)')";
is($pair->destination_sql($append), psql_count('grown', 'tools.third(id)'), 'an append under a path');
$pair->source_sql('ALTER ROLE reader SET search_path = reader, public');
my $old = psql_count('grown', 'tools.third(id)');
$pair->source_sql('INSERT INTO grown SELECT id + 40000, email, path, attrs, m, at FROM people');
is($pair->destination_sql($append), psql_count('grown', 'tools.third(id)') - $old, '… the mark keeps it for the next one');

# ---- a session that others had before ----

$pair->source_sql('ALTER ROLE reader RESET search_path');
$pair->source_sql('CREATE TABLE public.wanted (id int); INSERT INTO wanted VALUES (1), (2); GRANT SELECT ON wanted TO reader');
emptied('people');
is($pair->destination_sql("SELECT rows FROM parallel_pull_table($reader, 'people', filter => 'id IN (SELECT w.id FROM wanted AS w)')"),
  2, 'a filter with a query of its own');

$pair->nothing_left('at the end no worker and no session is left');
$pair->finish;
