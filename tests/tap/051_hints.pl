# Every hint that contains a call or a command works then and there: each error is provoked, the call
# is taken out of its hint as it stands, and run.  Here are those of names, rights and rows;
# 073_hints_program.pl and 074_hints_states.pl have the others.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";

use ParallelLoader::Hints;
use ParallelLoader::Test;
use Test::More;

my $pair =
  ParallelLoader::Test->new(retries => 1, source => {hba => 'local all keeper scram-sha-256'});

$pair->source_sql(<<'SQL');
CREATE SCHEMA shop;
CREATE TABLE shop."OrderHead" (id integer PRIMARY KEY, note text);
INSERT INTO shop."OrderHead" SELECT i, repeat('n', 100) FROM generate_series(1, 5000) AS i;
CREATE TABLE t AS SELECT * FROM shop."OrderHead";
ALTER TABLE t ADD PRIMARY KEY (id);
CREATE ROLE reader LOGIN;
CREATE ROLE keeper LOGIN PASSWORD 'Plum';
CREATE ROLE crowded LOGIN CONNECTION LIMIT 0;
SQL
$pair->destination_sql(<<'SQL');
CREATE SCHEMA shop;
CREATE TABLE shop.orderhead (id integer, note text);
CREATE TABLE t (id integer, note text);
CREATE TABLE t_unique (LIKE t, UNIQUE (id));
CREATE TABLE t_checked (LIKE t, CONSTRAINT even CHECK (id <> 4500));
SQL

my ($source, $source_port) = ($pair->source->host, $pair->source->port);

sub pull {
  my ($table, $named) = @_;
  return $pair->table_sql('parallel_pull_table', $table, $named);
}

# ---- names ----

for my $named ({}, {source_table => 'shop.OrderHead'}) {
  my $argument = hint($pair, pull('shop.orderhead', $named), '42P01', qr/(source_table => '.*')/,
    'capitals without quotes');
  works($pair, pull('shop.orderhead') =~ s/\)$/, $argument)/r, 'capitals without quotes');
  $pair->destination_sql('TRUNCATE shop.orderhead');
}

my $long = "\x{e4}" x 40;
utf8::encode($long);
my $cut = substr $long, 0, 62;
$pair->source_sql(qq(SET client_min_messages = error; CREATE TABLE "$long" ("$long" integer PRIMARY KEY);
  INSERT INTO "$long" VALUES (1)));
$pair->destination_sql(
  qq(SET client_min_messages = error; CREATE TABLE cut ("$long" integer)));
my $result = $pair->try_sql(pull('cut', {source_table => qq("$long"), key => $long, columns => [$long]}));
ok($result->is_ok, 'names are cut to 63 bytes, at a character, as SQL cuts them')
  or diag($result->summary);
is(scalar(grep { /will be truncated to "\Q$cut\E"/ } $result->notices), 3, '… with a notice for each');

# ---- rights and limits on the source ----

# hint: extension/bridge/source_reader.cpp: GRANT USAGE ON SCHEMA
# hint: extension/bridge/source_reader.cpp: GRANT SELECT ON
my $as_reader = $pair->dsn . ' user=reader';
my $grants = hint($pair, pull('shop.orderhead', {dsn => $as_reader, source_table => 'shop."OrderHead"'}),
  '42501', qr/Run on the source: (GRANT.*)/, 'no right on the source');
ok(eval { $pair->source_sql($grants); 1 }, '… what it says can be run');
works($pair, pull('shop.orderhead', {dsn => $as_reader, source_table => 'shop."OrderHead"'}),
  'no right on the source');
$pair->destination_sql('TRUNCATE shop.orderhead');

my $limited = pull('t', {dsn => $pair->dsn . ' user=crowded'});
my $error = words($pair, "SET parallel_loader.retry_budget = 0; $limited");
is($error->{sqlstate}, '08001', 'too many sessions for the role');
like($error->{hint}, qr/fewer workers.*CONNECTION LIMIT.*max_connections/,
  '… the hint names the limits and the workers');
unlike($error->{text}, qr/53300|\.c:\d/, '… without what libpq adds for machines');
$pair->source_sql('ALTER ROLE crowded CONNECTION LIMIT 10; GRANT SELECT ON t TO crowded');
works($pair, $limited, 'too many sessions for the role');

like(words($pair, pull('t', {dsn => "host=$source port=1 dbname=postgres"}))->{detail},
  qr/destination server made the connection/, 'a connection that fails says which server made it');

# ---- rows that are there ----

# hint: extension/ledger/rows_notice.cpp: run TRUNCATE TABLE
# The pull of `t` is done: another one brings its rows again.
my $truncate = hint($pair, pull('t'), '00000', qr/(TRUNCATE TABLE .*;)/, 'a table that has rows');
works($pair, $truncate . pull('t'), 'a table that has rows');
is($pair->destination_sql('SELECT count(*) FROM t'), 5000, '… and has them once');
unlike(words($pair, 'TRUNCATE t; ' . pull('t'))->{text}, qr/not empty/, 'an empty table gets no notice');
$pair->destination_sql('DELETE FROM t');
unlike(words($pair, pull('t'))->{text}, qr/not empty/, '… nor does one of dead rows');

$pair->try_sql(pull('t_checked', {key => 'id', source_table => 't', chunk_size => '64kB', workers => 1}));
my $failed = $pair->newest_pull_id;
is($pair->pull($failed)->{state}, 'failed', 'a pull fails halfway');
$pair->destination_sql('ALTER TABLE t_checked DROP CONSTRAINT even');
# hint: extension/ledger/rows_notice.cpp: SELECT parallel_pull_resume(
my $resume = hint($pair, "SET parallel_loader.retry_budget = 0; "
    . $pair->table_sql('parallel_pull_create', 't_checked', {source_table => 't', key => 'id'}),
  '00000', qr/(SELECT parallel_pull_resume\(\d+\);)/, 'a table with an unfinished pull');
like($resume, qr/\($failed\)/, '… it is that pull');
$pair->destination_sql('SELECT parallel_pull_cancel(' . $pair->newest_pull_id . ')');
works($pair, $resume, 'a table with an unfinished pull');
is($pair->destination_sql('SELECT count(*), count(DISTINCT id) FROM t_checked'), '5000|5000',
  '… every row is there once');

works($pair, pull('t_unique', {source_table => 't'}), 'a table with a unique key');
# hint: extension/worker/worker.cpp: or let parallel_pull_append copy
my $append = hint($pair, pull('t_unique', {source_table => 't'}) =~ s/^/SET client_min_messages = warning; /r,
  '23505', qr/let (parallel_pull_append) copy/, 'rows that are there already');
$pair->source_sql('INSERT INTO t VALUES (6001)');
works($pair, $pair->table_sql($append, 't_unique', {source_table => 't'}), 'rows that are there already');
is($pair->destination_sql('SELECT count(*) FROM t_unique'), 5001, '… the new row is there');

# hint: extension/worker/worker.cpp: delete its old version on the destination
$pair->source_sql('UPDATE t SET id = id WHERE id = 6001');
$append = hint($pair, $pair->table_sql('parallel_pull_append', 't_unique', {source_table => 't'}),
  '23505', qr/delete its old version on the destination and call (parallel_pull_append) again/, 'a row that was changed');
$pair->destination_sql('DELETE FROM t_unique WHERE id = 6001');
works($pair, $pair->table_sql($append, 't_unique', {source_table => 't'}), 'a row that was changed');
$pair->source_sql('DELETE FROM t WHERE id = 6001');

# hint: extension/worker/worker.cpp: remove the conflicting row and call parallel_pull_resume(
$pair->destination_sql('CREATE TABLE t_stray (LIKE t, UNIQUE (id)); INSERT INTO t_stray VALUES (4900)');
my $one_by_one = {source_table => 't', key => 'id', chunk_size => '64kB', workers => 1};
$resume = hint($pair, pull('t_stray', $one_by_one) =~ s/^/SET client_min_messages = warning; /r, '23505',
  qr/done, remove the conflicting row and call (parallel_pull_resume\(\d+\))\. Otherwise empty/, 'a row in the way of one chunk');
$pair->destination_sql('DELETE FROM t_stray WHERE id = 4900');
works($pair, "SELECT * FROM $resume", 'a row in the way of one chunk');
is($pair->destination_sql('SELECT count(*), count(DISTINCT id) FROM t_stray'), '5000|5000', '… every row is there once');

$pair->source_sql('CREATE TABLE capitals ("Id" integer PRIMARY KEY)');
$pair->destination_sql('CREATE TABLE capitals ("Id" integer)');
like(words($pair, pull('capitals', {key => 'id'}))->{detail}, qr/^The table has column "Id"\.$/m, 'a key that differs in capitals: the column is named');

# hint: extension/server/sql/destination_table.cpp: GRANT INSERT ON
$pair->destination_sql('CREATE ROLE "Writer"; GRANT EXECUTE ON FUNCTION parallel_pull_table TO "Writer"; '
    . 'CREATE TABLE capitals_2 ("Id" integer)');
my $may_insert = hint($pair, 'SET ROLE "Writer"; ' . pull('capitals_2', {source_table => 'capitals'}), '42501',
  qr/^(GRANT INSERT ON \S+ TO "Writer";)$/, 'no right to insert');
works($pair, $may_insert, 'no right to insert');
unlike(words($pair, 'SET ROLE "Writer"; ' . pull('capitals_2', {source_table => 'capitals'}))->{text},
  qr/permission denied for table/, '… it is the right that was lacking');

# Rows of an unfinished pull, whatever its source was called.
$pair->destination_sql('TRUNCATE t_stray; INSERT INTO t_stray VALUES (4900)');
$pair->try_sql('SET client_min_messages = warning; ' . pull('t_stray', $one_by_one));
for my $case ([$one_by_one, qr/copies them a second time/], [{%$one_by_one, dsn => $pair->dsn . " application_name='other'"}, qr/If both pulls have the same source/]) {
  my ($first) = grep { $_->{severity} eq 'NOTICE' } @{$pair->try_sql(pull('t_stray', $case->[0]))->{messages}};
  like($first->{text} // '', qr/has rows of pull \d+, which is not finished/, 'rows of an unfinished pull are named');
  like($first->{detail} // '', $case->[1], '… and what another one does');
}

# An unfinished pull whose rows are gone is nothing to go on with.
$pair->destination_sql('TRUNCATE t_stray; INSERT INTO t_stray VALUES (4900)');
$pair->try_sql('SET client_min_messages = warning; ' . pull('t_stray', $one_by_one));

$pair->destination_sql('TRUNCATE t_stray; INSERT INTO t_stray VALUES (7000)');
my $said = $pair->try_sql(pull('t_stray', $one_by_one));
my @notices = grep { $_->{severity} eq 'NOTICE' } @{$said->{messages}};
like($notices[0]{text} // '', qr/is not empty/, 'a table that was emptied since an unfinished pull: says that it is not empty');
unlike($notices[0]{text} // '', qr/not finished/, '… and nothing of the old pull');

# ---- what check says ----

# The hint of a finding of parallel_pull_check.
sub finding {
  my ($item, $pattern, $rule, $table, $named, %options) = @_;
  my @found = grep { $_->{item} eq $item && ($_->{hint} // '') =~ $pattern }
    $pair->table_rows('parallel_pull_check', $table, $named, %options);
  ok(@found, "$rule: check has a hint") or return 'SELECT no_hint';
  return $found[0]{hint} =~ $pattern ? $1 : 'SELECT no_hint';
}

# hint: core/check/source_check.cpp: GRANT USAGE ON SCHEMA
# hint: core/check/source_check.cpp: GRANT SELECT
$pair->source_sql('CREATE SCHEMA "Shut"; CREATE TABLE "Shut"."Some T" AS SELECT * FROM t');
my $shut = {dsn => $as_reader, source_table => '"Shut"."Some T"'};
$grants = finding('rights', qr/^Run on the source: (GRANT USAGE.*; GRANT SELECT.*;)$/, 'a schema of the source', 't', $shut);
ok(eval { $pair->source_sql($grants); 1 }, '… what it says can be run');
works($pair, pull('t', $shut), 'a schema of the source');

# hint: core/check/local_check.cpp: GRANT INSERT (
$pair->destination_sql(<<'SQL');
CREATE TABLE "Some T" (id integer, "A note" text);
CREATE ROLE "Lo Ader";
SQL
$pair->grant_functions(q("Lo Ader"));
$pair->source_sql('CREATE TABLE "Some T" AS SELECT id, note AS "A note" FROM t');
$pair->destination_sql(<<"SQL");
CREATE SERVER origin FOREIGN DATA WRAPPER dblink_fdw
  OPTIONS (host '$source', port '$source_port', dbname 'postgres');
CREATE USER MAPPING FOR "Lo Ader" SERVER origin OPTIONS (user 'keeper', password 'Plum');
GRANT USAGE ON FOREIGN SERVER origin TO "Lo Ader";
SQL
my $grant = $pair->destination_sql(q(SET ROLE "Lo Ader"; SELECT hint FROM parallel_pull_check('origin', '"Some T"')
  WHERE hint LIKE 'GRANT INSERT%'));
works($pair, $grant, 'a right to INSERT');
is($pair->destination_sql(q(SELECT has_column_privilege('Lo Ader', '"Some T"', 'A note', 'INSERT'))), 't',
  '… and is what was missing');

# hint: extension/server/process/pull_owner.cpp: GRANT CONNECT
$pair->source_sql('GRANT SELECT ON "Some T" TO keeper');
$pair->destination_sql('REVOKE CONNECT ON DATABASE postgres FROM PUBLIC');
my $as_loader = 'SET ROLE "Lo Ader"; ' . pull('"Some T"', {dsn => 'origin'});
my $connect = hint($pair, $as_loader, '42501', qr/^(GRANT CONNECT .*;)$/, 'an owner without CONNECT');
works($pair, $connect, 'an owner without CONNECT');
works($pair, $as_loader, '… then a pull');
$pair->destination_sql('GRANT CONNECT ON DATABASE postgres TO PUBLIC; TRUNCATE "Some T"');

# hint: core/check/local_check.cpp: run TRUNCATE TABLE
# hint: core/check/local_check.cpp: Run ALTER TABLE
$pair->destination_sql('INSERT INTO "Some T" VALUES (1); ALTER TABLE "Some T" SET UNLOGGED');
works($pair, finding('rows', qr/^If they came from the source, run (TRUNCATE TABLE .*;)/, 'a table with rows', '"Some T"'), 'a table with rows');
is($pair->destination_sql('SELECT count(*) FROM "Some T"'), 0, '… it is empty');
works($pair, finding('storage', qr/^Run (ALTER TABLE .*;)/, 'an unlogged table', '"Some T"'), 'an unlogged table');
is($pair->destination_sql(q(SELECT relpersistence FROM pg_class WHERE relname = 'Some T')), 'p', '… it is logged');

# hint: core/check/local_check.cpp: Use parallel_pull_start
my $start = finding('time limits', qr/^Use (parallel_pull_start),/, 'a time limit', '"Some T"', {}, connstr =>
  $pair->destination->connstr('postgres') . " options='-c statement_timeout=1h'");
my $started = works($pair, $pair->table_sql($start, '"Some T"'), 'a time limit');
works($pair, "parallel_pull_wait($started)", 'a time limit');

# hint: extension/coordinator/pull_planner.cpp: CREATE VIEW with_children
$pair->source_sql('CREATE TABLE "Par ent" (id integer, note text); CREATE TABLE kid (CHECK (id > 2)) INHERITS ("Par ent");'
    . q(INSERT INTO "Par ent" VALUES (1, 'a'), (2, 'b'); INSERT INTO kid VALUES (3, 'c')));
$pair->destination_sql('TRUNCATE t');
my $view = hint($pair, pull('t', {source_table => '"Par ent"'}), '\d+', qr/(CREATE VIEW .*;)/, 'inheritance children');
ok(eval { $pair->source_sql($view); 1 }, '… what it says can be run on the source');
$pair->destination_sql('TRUNCATE t');
is(words($pair, pull('t', {source_table => 'with_children'}))->{sqlstate}, '00000', '… the view is pulled');
is($pair->destination_sql('SELECT count(*) FROM t'), 3, '… with the rows of the children');

# ---- sequences ----

# hint: core/check/local_check.cpp: Call parallel_pull_sequences
# hint: core/source/sequence.cpp: GRANT UPDATE ON SEQUENCE
# hint: core/source/sequence.cpp: GRANT USAGE ON SCHEMA
# hint: core/source/sequence.cpp: GRANT SELECT ON SEQUENCE
# hint: core/source/sequence.cpp: ALTER SEQUENCE
# hint: extension/functions/sequences.cpp: call parallel_pull_sequences again
# hint: extension/functions/sequences.cpp: Set them with setval
$pair->source_sql(<<'SQL');
CREATE SCHEMA "Num bers";
CREATE TABLE "Num bers"."Ser" (id bigint GENERATED BY DEFAULT AS IDENTITY, note text);
SELECT setval('"Num bers"."Ser_id_seq"', 5000000000);
SQL
$pair->destination_sql(<<'SQL');
CREATE SCHEMA "Num bers";
CREATE TABLE "Num bers"."Ser" (id bigint GENERATED BY DEFAULT AS IDENTITY (MAXVALUE 1000), note text);
CREATE SEQUENCE "Lone ly";
GRANT USAGE ON SCHEMA "Num bers" TO "Lo Ader";
SQL
my $sequences = 'parallel_pull_sequences(' . literal($pair->dsn) . ')';
my $call = finding('sequences', qr/^Call (parallel_pull_sequences) after/, 'a column with a sequence', '"Num bers"."Ser"',
  {source_table => '"Num bers"."Ser"'});
is($call, 'parallel_pull_sequences', '… which is called here');
my $all = $pair->try_sql("SELECT count(*) FROM $sequences");
my @left = map { $_->{hint} } grep { $_->{severity} eq 'NOTICE' } @{$all->{messages}};
my ($alter) = map { /^Run (ALTER SEQUENCE .*;) and call parallel_pull_sequences again/ ? $1 : () } @left;
works($pair, $alter // 'no_hint', 'a value out of bounds');
like(join("\n", @left), qr/Set them with setval, or .* ALTER SEQUENCE … OWNED BY/, 'a sequence of no column');
works($pair, q(SELECT setval('"Lone ly"', 7)), 'a sequence of no column');
$pair->source_sql('CREATE TABLE owns (id integer); CREATE SEQUENCE owned OWNED BY owns.id; SELECT nextval(\'owned\')');
works($pair, 'CREATE TABLE owns (id integer); ALTER SEQUENCE "Lone ly" OWNED BY owns.id', 'a sequence of no column');
is($pair->destination_sql("SELECT count(*) FROM $sequences WHERE value IS NULL"), 0, '… called again it sets all');

# A role that may neither set nor read.
my $role = sub {
  return $pair->try_sql('SET ROLE "Lo Ader"; SELECT count(value) FROM parallel_pull_sequences(' . literal('origin') . ')');
};
my ($update) = map { $_->{hint} =~ /^Its owner can grant the privilege: (GRANT UPDATE .*"Ser_id_seq".*;)/ ? $1 : () } @{$role->()->{messages}};
works($pair, $update // 'no_hint', 'no right to set a sequence');
my ($read) = map { $_->{hint} =~ /^Its owner on the source can grant the privilege: (GRANT USAGE .*; GRANT SELECT ON SEQUENCE .*;)/ ? $1 : () }
  @{$role->()->{messages}};
ok(eval { $pair->source_sql($read // 'no_hint'); 1 }, 'no right to read a sequence: what it says can be run');
is($role->()->out, 1, '… then the sequence is set');

# ---- states ----

$pair->create_gate;
$pair->source_sql('CREATE VIEW gated AS SELECT id, note FROM t WHERE gate(id, 4000)');
$pair->destination_sql('CREATE TABLE gated (id integer, note text)');
$pair->close_gate;
my $running = $pair->destination_sql(
  $pair->table_sql('parallel_pull_start', 'gated', {key => 'id', workers => 1}));
$pair->wait_at_gate;
# hint: extension/ledger/pull_refusal.cpp: parallel_pull_wait
my $wait = hint($pair, "SELECT parallel_pull_resume($running)", '55006', qr/(parallel_pull_wait)/,
  'a resume of a running pull');
$pair->open_gate;
works($pair, "SELECT $wait($running)", 'a resume of a running pull');

$pair->finish;
