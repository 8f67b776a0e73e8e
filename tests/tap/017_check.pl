# parallel_pull_check says before a pull what would be in its way: one row each, in the words that
# the pull itself would use, and as many at once as there are.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";

use ParallelLoader::Test;
use Test::More;

my $pair = ParallelLoader::Test->new(
  source => {hba => "local all reader scram-sha-256\n"},
  destination => {conf => "max_worker_processes = 12\n"});

my @found;

sub check {
  my ($table, $named, %options) = @_;
  @found = $pair->table_rows('parallel_pull_check', $table, $named, %options);
  return;
}

# Checks that the last call of check has found this.  undef: whatever, or none.
sub has {
  my ($level, $item, $message, $hint, $rule) = @_;
  local $Test::Builder::Level = $Test::Builder::Level + 1;
  my @fitting = grep {
    $_->{level} eq $level && $_->{item} eq $item && $_->{message} =~ $message
      && (!defined $hint || ($_->{hint} // '') =~ $hint)
  } @found;
  return is(scalar @fitting, 1, $rule) || diag(shown());
}

sub has_no {
  my ($level, $rule) = @_;
  local $Test::Builder::Level = $Test::Builder::Level + 1;
  my @fitting = grep { $_->{level} eq $level } @found;
  return is(scalar @fitting, 0, $rule) || diag(shown());
}

# Checks that nothing is in the way but what a pull would fail with.
sub has_one_error {
  my ($rule) = @_;
  local $Test::Builder::Level = $Test::Builder::Level + 1;
  return is(scalar(grep { $_->{level} eq 'error' } @found), 1, $rule) || diag(shown());
}

sub shown {
  return join "\n", map { join ' | ', map { $_ // '' } @$_{qw(level item message hint)} } @found;
}

# Checks that the pull fails with one of the errors found, in the same words.
sub pull_agrees {
  my ($table, $named, $rule, %options) = @_;
  local $Test::Builder::Level = $Test::Builder::Level + 1;
  my $error = $pair->try_sql($pair->pull_sql($table, undef, undef, $named), %options)->error
    // {message => 'no error'};
  my @same = grep { $_->{level} eq 'error' && $_->{message} eq $error->{message} } @found;
  return is(scalar @same, 1, $rule) || diag("$error->{message}\n" . shown());
}

# ---- a sound table ----

$pair->both_sql('CREATE TABLE sound (id integer PRIMARY KEY, note text)');
$pair->source_sql(q(INSERT INTO sound SELECT i, 'x' FROM generate_series(1, 1000) AS i));
check('sound');
has_no('error', 'a sound table has no error');
has_no('warning', '… and no warning');
has('info', 'connection', qr/^source is PostgreSQL \d+.*database "postgres".*local socket/, undef,
  'version, database, role and encryption are told');
has('info', 'format', qr/binary format$/, undef, 'the format is told');
has('info', 'key', qr/\bkey\b/, undef, 'the key is told');
has('info', 'workers', qr/background worker slots are free, and the pull requests 5/, undef,
  'free worker slots are counted');
has('info', 'disk', qr/about 80 kB .*tablespace "pg_default"|about .* tablespace/, qr/disk/,
  'size and tablespace are told');
has('info', 'write-ahead log', qr/wal_level = \w+/, undef, 'so is the write-ahead log');
has('info', 'indexes', qr/"public\.sound_pkey" \(8 kB|"public\.sound_pkey" \(/, qr/created afterwards/,
  'an index of an empty table is told');
is($pair->destination_sql('SELECT count(*) FROM sound'), 0, 'nothing is changed');
is($pair->destination_sql('SELECT count(*) FROM parallel_loader.pull'), 0,
  'nothing is written into the ledger');
is(join(' ', map { $_->{level} } @found), join(' ', sort map { $_->{level} } @found),
  'errors come first, infos last') if !grep { $_->{level} eq 'warning' } @found;

# ---- columns ----

$pair->source_sql(<<'SQL');
CREATE TYPE mood AS ENUM ('sad', 'happy');
CREATE TABLE odd (id integer PRIMARY KEY, missing_here integer, "also Missing" text, n integer, c text);
SQL
$pair->destination_sql(<<'SQL');
CREATE TABLE odd (id integer PRIMARY KEY, n bigint, c text,
  needed integer NOT NULL, optional integer DEFAULT 5,
  doubled integer GENERATED ALWAYS AS (id * 2) STORED);
INSERT INTO odd VALUES (1, 1, 'x', 1);
SQL
check('odd');
has('error', 'columns', qr/^column "missing_here" of table "public\.odd" does not exist on the dest/,
  qr/add the column/, 'a column that is missing here');
has('error', 'columns', qr/^column "also Missing" .* does not exist on the destination/,
  qr/add the column/, '… and another one, in the same call');
pull_agrees('odd', {}, '… in the words of the pull');
has('info', 'columns', qr/column "doubled" is generated on the destination/, undef, 'a generated column');
has('error', 'columns', qr/null value in column "needed" of relation "odd" violates/, qr/default/,
  'a column that must not be NULL and does not travel');
$pair->destination_sql(<<'SQL');
CREATE FUNCTION fill() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.needed := 1; RETURN NEW; END $$;
CREATE TRIGGER fill BEFORE INSERT ON odd FOR EACH ROW EXECUTE FUNCTION fill();
SQL
check('odd');
has('warning', 'columns', qr/^column "needed" would not be copied.*: a trigger has to set it$/, undef, '… unless a trigger may set it');
$pair->destination_sql('DROP TRIGGER fill ON odd');
has('warning', 'rows', qr/"public\.odd" is not empty/, qr/TRUNCATE/, 'rows that are there');
my $named = {columns => ['id', 'n', 'c']};
check('odd', $named);
has('warning', 'types', qr/column "n" has type integer on the source, but bigint/, qr/as text/,
  'types that differ');
has('info', 'format', qr/^rows are copied as text: column "n" has type integer/, qr/Binary/,
  'text, and why');
has('info', 'columns', qr/column "optional" .*default/, undef, 'a column that gets its default');
check('odd', {%$named, format => 'binary'});
has('error', 'columns', qr/^binary format cannot carry column "n"/, qr/auto/,
  'binary where it cannot be');
pull_agrees('odd', {%$named, format => 'binary'}, '… in the words of the pull');
check('odd', {columns => ['id', 'nowhere', 'doubled', 'needed']});
has('error', 'columns', qr/"nowhere".*destination/, undef, 'a named column that is missing here');
has('error', 'columns', qr/"needed".*source/, undef, '… or there');
has('error', 'columns', qr/"doubled" is a generated column/, undef, '… or generated here');
check('sound', {filter => 'nowhere = 1'});
has('error', 'filter', qr/"nowhere" does not exist/, qr/session of the source's role/, 'a wrong filter');
has_one_error('… is all that is wrong');
pull_agrees('sound', {filter => 'nowhere = 1'}, '… in the words of the pull');
check('sound', {key => 'nowhere'});
has('error', 'plan', qr/key column "nowhere"/, undef, 'a wrong key');
check('sound', {key => 'ctid'});
has('warning', 'resume', qr/ctid.*cannot be resumed/, qr/key/, 'a key that cannot be resumed');

# ---- the local table ----

$pair->destination_sql(<<'SQL');
CREATE TABLE referenced (id integer PRIMARY KEY);
CREATE UNLOGGED TABLE busy (id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, note text);
CREATE TABLE child (id integer CONSTRAINT child_fk REFERENCES referenced, note text);
CREATE INDEX child_note ON child (note);
CREATE FUNCTION pass() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END';
CREATE TRIGGER each_row BEFORE INSERT ON child FOR EACH ROW EXECUTE FUNCTION pass();
CREATE TRIGGER each_statement AFTER INSERT ON child EXECUTE FUNCTION pass();
CREATE TRIGGER asleep BEFORE INSERT ON child FOR EACH ROW EXECUTE FUNCTION pass();
CREATE TRIGGER other BEFORE UPDATE ON child FOR EACH ROW EXECUTE FUNCTION pass();
ALTER TABLE child DISABLE TRIGGER asleep;
CREATE VIEW a_view AS SELECT 1 AS id, 'x'::text AS note;
SQL
my $from_sound = {source_table => 'sound'};
check('child', $from_sound);
has('warning', 'triggers', qr/"each_row" fires for every row/, qr/Disable/, 'a row trigger');
has('warning', 'triggers', qr/"each_statement" fires for every part/, undef, 'a statement trigger');
is(scalar(grep { $_->{item} eq 'triggers' } @found), 2, '… and none that sleeps or waits for updates');
has('warning', 'foreign keys', qr/"child_fk" is checked/, qr/"public\.referenced" first/,
  'a foreign key');
has('info', 'indexes', qr/"public\.child_note"/, qr/created afterwards/, 'an index');
my $session = $pair->session('destination');
$session->query_safe('SET session_replication_role = replica');
like($session->query_safe('SELECT count(*) FROM ' . ($pair->table_sql('parallel_pull_check', 'child',
        $from_sound) =~ s/^SELECT //r) . q( WHERE item IN ('triggers', 'foreign keys'))), qr/^0$/,
  'with session_replication_role = replica neither fires');
$session->query_safe('RESET session_replication_role');
check('busy', $from_sound);
has('warning', 'storage', qr/"public\.busy" is unlogged/, qr/LOGGED/, 'an unlogged table');
has('info', 'sequences', qr/column "id" gets the source's values/, qr/parallel_pull_sequences/,
  'an identity column');
check('a_view', $from_sound);
has('error', 'table', qr/^cannot pull into view "a_view"/, qr/Name a table/, 'a view');
$session->query_safe('CREATE TEMP TABLE passing (id integer, note text)');
like($session->query_safe('SELECT message FROM ' . ($pair->table_sql('parallel_pull_check', 'passing',
        $from_sound) =~ s/^SELECT //r) . q( WHERE level = 'error')),
  qr/^cannot pull into temporary table "passing"$/, 'a temporary table');
$session->query_safe('BEGIN; LOCK TABLE child IN SHARE MODE');
my $sql = 'SELECT item, hint IS NOT NULL FROM ' . ($pair->table_sql('parallel_pull_check', 'child',
  $from_sound) =~ s/^SELECT //r) . q( WHERE level = 'error');
is($session->query_safe($sql), 'locks|t', 'a lock of the caller\'s');
$session->query_safe('ROLLBACK');
$session->query_safe('BEGIN READ ONLY');
is($session->query_safe($sql), 'server|t', 'a read-only transaction');
$session->query_safe('ROLLBACK; SET statement_timeout = 77777');
like($session->query_safe($sql =~ s/level = 'error'/item = 'time limits'/r), qr/time limits\|t/,
  'a time limit of the session\'s');
$session->query_safe('RESET statement_timeout');

# ---- servers ----

$pair->both_sql('CREATE TABLE wide (id integer PRIMARY KEY, note text)');
$pair->source_sql('ALTER TABLE wide ALTER note SET STORAGE EXTERNAL');
$pair->source_sql(q(INSERT INTO wide SELECT i, repeat('x', 900000) FROM generate_series(1, 80) AS i));
$pair->destination_sql(q(ALTER SYSTEM SET max_wal_size = '32MB'; ));
$pair->destination_sql('SELECT pg_reload_conf()');
# A slot that is lost, one that has reserved no WAL yet, and one that keeps it.
$pair->destination_sql(q(SELECT pg_create_physical_replication_slot('lost', true);
  ALTER SYSTEM SET max_slot_wal_keep_size = '1MB'; SELECT pg_reload_conf()));
ok(wait_until(20, sub {
    $pair->destination_sql('CREATE TEMPORARY TABLE wal (); SELECT pg_switch_wal(); CHECKPOINT');
    $pair->destination_sql(q(SELECT wal_status FROM pg_replication_slots)) eq 'lost';
}), 'a replication slot is lost');
$pair->destination_sql(q(SELECT pg_create_physical_replication_slot('unused'),
  pg_create_physical_replication_slot('forgotten', true)));
ok(wait_until(10, sub { $pair->destination_sql('SHOW max_wal_size') eq '32MB' }), 'max_wal_size is small');
check('wide', {workers => 30});
has('warning', 'write-ahead log', qr/about 69 MB .*max_wal_size is 32 MB|max_wal_size is 32 MB/,
  qr/Raise max_wal_size/, 'more than max_wal_size');
has('warning', 'write-ahead log', qr/slot "forgotten" is not active/, qr/Drop it/,
  'a replication slot that nobody reads');
is(scalar(grep { $_->{message} =~ /replication slot/ } @found), 1,
  '… and none that keeps no WAL') or diag(shown());
has('warning', 'workers', qr/^\d+ background worker slots are free, and the pull requests 31$/,
  qr/max_worker_processes/, 'too few worker slots');
$pair->destination_sql(q(ALTER SYSTEM RESET max_slot_wal_keep_size; SELECT pg_reload_conf(),
  pg_drop_replication_slot('lost'), pg_drop_replication_slot('unused'),
  pg_drop_replication_slot('forgotten')));
$pair->source_sql(q(CREATE ROLE reader LOGIN PASSWORD 'secret' CONNECTION LIMIT 3;
  ALTER ROLE reader SET statement_timeout = '5s'));
my $reader = {dsn => $pair->dsn('postgres', 'user=reader password=secret')};
$pair->source_sql('GRANT SELECT ON sound TO reader');
$pair->source_sql(<<'SQL');
CREATE TABLE parted (id integer, note text) PARTITION BY RANGE (id);
CREATE TABLE parted_low PARTITION OF parted FOR VALUES FROM (0) TO (10);
CREATE TABLE parted_high PARTITION OF parted FOR VALUES FROM (10) TO (20);
INSERT INTO parted SELECT i, 'x' FROM generate_series(0, 19) AS i;
GRANT SELECT (id, note) ON parted, parted_low, parted_high TO reader;
SQL
$pair->destination_sql('CREATE TABLE parted (id integer, note text)');
check('parted', $reader);
has('info', 'key', qr/^no key: the table .* is pulled in 2 chunks, one for each partition: .*ctid/,
  undef, 'a partitioned table without a key is pulled by its partitions');
is(($pair->table_rows('parallel_pull_table', 'parted', $reader))[0]{chunks}, 2, '… as it is');
check('sound', $reader);
has('warning', 'sessions', qr/room for 3 sessions, but the pull requests 5 .*CONNECTION LIMIT/,
  qr/fewer workers/, 'too few sessions on the source');
has('info', 'time limits', qr/do not apply to the pull: statement_timeout=5s/, undef,
  'time limits of the source\'s role');
check('sound', {%$reader, workers => 2});
has_no('warning', 'with fewer workers there is room');

$pair->destination_sql(q(CREATE DATABASE latin TEMPLATE template0 ENCODING 'LATIN1' LC_COLLATE 'C'
  LC_CTYPE 'C'));
$pair->create_extension('latin');
$pair->destination_sql('CREATE TABLE sound (id integer PRIMARY KEY, note text)', dbname => 'latin');
check('sound', {}, dbname => 'latin');
has('warning', 'encoding', qr/source has encoding UTF8, this database has LATIN1/, qr/lacks/,
  'encodings that differ');

# ---- rights ----

$pair->source_sql(<<'SQL');
CREATE TABLE partly (id integer PRIMARY KEY, "Open" text, closed text, hidden text);
GRANT SELECT (id, "Open") ON partly TO reader;
CREATE TABLE guarded (id integer PRIMARY KEY, note text);
GRANT SELECT ON guarded TO reader;
ALTER TABLE guarded ENABLE ROW LEVEL SECURITY;
CREATE SCHEMA shut;
CREATE TABLE shut.t (id integer PRIMARY KEY);
SQL
$pair->destination_sql(<<'SQL');
CREATE TABLE partly (id integer PRIMARY KEY, "Open" text, closed text, hidden text);
CREATE TABLE guarded (id integer PRIMARY KEY, note text);
CREATE SCHEMA shut;
CREATE TABLE shut.t (id integer PRIMARY KEY);
CREATE ROLE clerk LOGIN;
GRANT INSERT (id, "Open") ON partly TO clerk;
GRANT INSERT ON guarded TO clerk;
ALTER TABLE guarded ENABLE ROW LEVEL SECURITY;
CREATE POLICY all_rows ON guarded USING (true) WITH CHECK (true);
CREATE SERVER old_server FOREIGN DATA WRAPPER dblink_fdw;
SQL
$pair->grant_functions('clerk');
check('partly', $reader);
has('error', 'rights', qr/^could not read from source: permission denied for table partly/,
  qr/^Run on the source: GRANT SELECT \("closed", "hidden"\) ON "public"\."partly" TO "reader";$/,
  'columns that the source\'s role may not read, by name');
has_one_error('… which is one error');
pull_agrees('partly', $reader, '… in the words of the pull');
check('shut.t', $reader);
has('error', 'rights', qr/permission denied for schema shut/,
  qr/GRANT USAGE ON SCHEMA "shut" TO "reader"; GRANT SELECT ON "shut"\."t" TO "reader";/,
  'a schema that it may not use');
has_one_error('… which is one error');
check('partly', {%$reader, key => 'nowhere', columns => ['id', 'Open']});
has('error', 'plan', qr/key column "nowhere"/, undef, 'a wrong key, where all may be read');
has_one_error('… which is one error');
check('guarded', {%$reader}, user => 'clerk');
has('error', 'row security', qr/^could not read from source: query would be affected by row-level/,
  qr/BYPASSRLS/, 'row security on the source');
has('error', 'row security', qr/^cannot pull into table "guarded" with row-level security/, undef,
  '… and here, in the same call');
is(join(' ', map { $_->{level} eq 'error' ? $_->{item} : () } @found), 'row security row security', '… and no other errors');
check('partly', $reader, user => 'clerk');
has('error', 'rights', qr/^permission denied for table partly/,
  qr/^GRANT INSERT \("closed", "hidden"\) ON "public"\."partly" TO "clerk";$/,
  'columns that the caller may not write, by name');
has('error', 'rights', qr/^could not read/, undef, '… beside those that cannot be read');
check('sound', $reader, user => 'clerk');
has('error', 'rights', qr/^permission denied for table sound$/, qr/GRANT INSERT/,
  'no right to write at all');
check('partly', {dsn => 'old_server'}, user => 'clerk');
has('error', 'connection', qr/permission denied for foreign server old_server/, undef,
  'no USAGE on the foreign server');
check('partly', {dsn => 'no_server'});
has('error', 'connection', qr/server "no_server" does not exist/, qr/foreign server/, 'no such server');
check('partly', {dsn => $pair->dsn}, user => 'clerk');
has('error', 'connection', qr/^password is required/, undef, 'no password');

# ---- the source is not there ----

check('sound', {dsn => "host=/nowhere port=1 dbname=x"});
has('error', 'connection', qr/^could not connect to source: /, qr/connects to/, 'a source that is not there');
has('info', 'workers', qr/free/, undef, '… and what can be said without it');
is(scalar(grep { $_->{level} eq 'error' } @found), 1, '… which is one error');
check('sound', {dsn => $pair->dsn('nowhere')});
has('error', 'connection', qr/database "nowhere" does not exist/, undef, 'no such database');
my $watch = stopwatch();
my $both_hosts = 'host=127.0.0.1,' . $pair->source->host . ' port=1,' . $pair->source->port;
check('sound', {dsn => "$both_hosts dbname=postgres"});
has_no('error', 'the first of two addresses refuses, the second one serves');
cmp_ok($watch->(), '<', 5, '… without waiting for a time limit');
check('sound', {source_table => 'nowhere'});
has('error', 'table', qr/relation "nowhere" does not exist on the source/, qr/source_table/,
  'no such table');
pull_agrees('sound', {source_table => 'nowhere'}, '… in the words of the pull');

# ---- the source is the destination ----

$pair->destination_sql('CREATE TABLE own (id integer PRIMARY KEY); INSERT INTO own VALUES (1), (2); CREATE TABLE heir (id integer)');
my $own = $pair->destination->connstr('postgres');
check('own', {dsn => $own});
has('error', 'plan', qr/own" of the source is the destination table itself/, qr/other server/, 'a table that would be pulled into itself');
$pair->error_is($pair->table_sql('parallel_pull_table', 'own', {dsn => $own}), '22023', qr/is the destination table itself/, '… is not');
is($pair->destination_sql('SELECT count(*) FROM own'), 2, '… and has its rows once');
is($pair->destination_sql($pair->table_sql('parallel_pull_table', 'heir', {dsn => $own, source_table => 'own'}) =~ s/^SELECT /SELECT rows FROM /r), 2,
  'another table of the same database is pulled');

# ---- wrong arguments are errors ----

sub check_sql {
  my ($table, $named) = @_;
  return $pair->table_sql('parallel_pull_check', $table, $named) =~ s/^SELECT /SELECT * FROM /r;
}
$pair->error_is(check_sql('sound', {workers => 0}), '22023', qr/workers/, 'workers out of range');
$pair->error_is(check_sql('sound', {format => 'csv'}), '22023', qr/csv/, 'no such format');
$pair->error_is(check_sql('sound', {chunk_size => 'big'}), '22023', qr/chunk_size/, 'no size');
$pair->error_is(check_sql('sound', {dsn => 'host=a =b'}), '42601', qr/connection string/,
  'no connection string');
$pair->error_is(check_sql('999999'), '42P01', qr/999999/, 'no such local table');
$pair->error_is(check_sql(undef), '22004', qr/table/, 'table cannot be NULL');
$pair->nothing_left('nothing is left behind');

# ---- the plan ----

my @plan = $pair->table_rows('parallel_pull_plan', 'wide', {chunk_size => '1MB', workers => 2});
cmp_ok(scalar @plan, '>', 2, 'parallel_pull_plan cuts');
is_deeply([map { $_->{chunk} } @plan], [1 .. @plan], '… and numbers');
is($pair->destination_sql('SELECT count(*) FROM parallel_loader.pull'), $pair->destination_sql(
    q(SELECT count(*) FROM parallel_loader.pull WHERE state <> 'planned')), '… and records nothing');
is($pair->destination_sql('SELECT count(*) FROM wide'), 0, '… and moves nothing');
$pair->error_is($pair->table_sql('parallel_pull_plan', 'wide', {key => 'nowhere'}), '42703',
  qr/nowhere/, '… and raises what a pull would');
$pair->nothing_left('nothing is left behind');

$pair->finish;
