# Code of the destination's table that changes settings while a chunk is copied: values arrive as
# they were, or the chunk is refused.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";

use ParallelLoader::Test;
use Test::More;

my $pair = ParallelLoader::Test->new;
my $COLUMNS = 'id integer PRIMARY KEY, v text, a text[], d date, i interval, t timestamp, x xml, f float8';
$pair->source_sql(<<"SQL");
CREATE TABLE u ($COLUMNS);
INSERT INTO u SELECT i, 'äöü' || i, array['x', NULL], '2024-02-01', '-1 day +02:03:04', '2024-03-04 05:06:07', 'a<b/>', i / 3.0
FROM generate_series(1, 3000) AS i;
ANALYZE u;
SQL
# Text of the two columns whose types differ is read here.
$pair->destination_sql(<<"SQL");
CREATE TABLE u (@{[$COLUMNS =~ s/timestamp/timestamptz/r]});
CREATE FUNCTION upset() RETURNS trigger LANGUAGE plpgsql AS
\$\$ BEGIN PERFORM set_config(tg_argv[0], tg_argv[1], tg_argv[2]::boolean); RETURN new; END \$\$;
CREATE FUNCTION toggle() RETURNS trigger LANGUAGE plpgsql AS \$\$
BEGIN
  PERFORM set_config(tg_argv[0], CASE WHEN new.id % 2 = 0 THEN tg_argv[1] ELSE tg_argv[2] END, false);
  RETURN new;
END \$\$;
CREATE FUNCTION upset_value(text, text) RETURNS boolean LANGUAGE plpgsql AS
\$\$ BEGIN PERFORM set_config(\$1, \$2, false); RETURN true; END \$\$;
CREATE FUNCTION upset_index(integer) RETURNS integer LANGUAGE plpgsql IMMUTABLE AS
\$\$ BEGIN PERFORM set_config('client_encoding', 'LATIN1', false); RETURN \$1; END \$\$;
SQL
my $SUM = q(SELECT md5(string_agg(concat_ws('|', v, a, d, i, x, f), ',' ORDER BY id)) FROM u);
my $want = $pair->source_sql($SUM);
my %all = (key => 'id', workers => 1, chunk_size => '64kB');

sub comes {
  my ($named, $rule) = @_;
  local $Test::Builder::Level = $Test::Builder::Level + 1;
  my $result = $pair->try_sql($pair->table_sql('parallel_pull_table', 'u', {%all, %$named}));
  ok(!$result->error, $rule) or return diag($result->summary);
  return is($pair->destination_sql($SUM), $want, '… and values are as they were');
}

sub refused {
  my ($setting, $named, $rule) = @_;
  local $Test::Builder::Level = $Test::Builder::Level + 1;
  $pair->error_is($pair->table_sql('parallel_pull_table', 'u', {%all, %$named}), '55000',
    qr/setting "$setting" was changed while rows were copied.*from ".*" to ".*".*SET clause/s, $rule);
  return is($pair->destination_sql('SELECT count(*) FROM u'), 0, '… and no row of the chunk is there');
}

# The types differ in one column, so all go as text unless it is left out.
my %text = (format => 'text');
my %binary = (columns => '{id,v,a,d,i,x,f}');
my @CASES = (
  ['client_encoding', 'LATIN1', \%text], ['client_encoding', 'LATIN1', \%binary],
  ['xmloption', 'document', \%text], ['xmloption', 'document', \%binary],
  ['array_nulls', 'off', \%text], ['array_nulls', 'off', \%binary, 'harmless'],
  ['DateStyle', 'SQL, DMY', \%text], ['DateStyle', 'SQL, DMY', \%binary, 'harmless'],
  ['IntervalStyle', 'sql_standard', \%text], ['IntervalStyle', 'sql_standard', \%binary, 'harmless'],
  ['TimeZone', 'Asia/Tokyo', \%text], ['TimeZone', 'Asia/Tokyo', \%binary, 'harmless'],
  ['search_path', 'pg_catalog', \%text, 'harmless'], ['search_path', 'pg_catalog', \%binary, 'harmless'],
  ['work_mem', '128kB', \%text, 'harmless']);
for my $case (@CASES) {
  my ($setting, $value, $named, $is_harmless) = @$case;
  my $format = $named->{format} // 'binary';
  for my $is_local ('false', 'true') {
    $pair->destination_sql("TRUNCATE u; CREATE OR REPLACE TRIGGER upset BEFORE INSERT ON u"
        . " FOR EACH ROW EXECUTE FUNCTION upset('$setting', '$value', '$is_local')");
    my $rule = "a row trigger sets $setting" . ($is_local eq 'true' ? ' for the transaction' : '') . ", format $format";
    $is_harmless ? comes($named, $rule) : refused($setting, $named, $rule);
  }
}

# A function that says so gives settings back.
# hint: extension/server/base/pinned_values.cpp: ALTER FUNCTION
$pair->destination_sql("TRUNCATE u; ALTER FUNCTION upset SET client_encoding TO 'UTF8';"
    . "CREATE OR REPLACE TRIGGER upset BEFORE INSERT ON u FOR EACH ROW EXECUTE FUNCTION upset('client_encoding', 'LATIN1', 'true')");
comes(\%binary, 'what the hint says helps');
$pair->destination_sql('ALTER FUNCTION upset RESET ALL; DROP TRIGGER upset ON u; TRUNCATE u');

# One row changes it, and the next one changes it back: what is between was read by it.
$pair->destination_sql("CREATE TRIGGER upset BEFORE INSERT ON u FOR EACH ROW EXECUTE FUNCTION toggle('array_nulls', 'off', 'on')");
refused('array_nulls', \%text, 'a trigger that changes a setting and changes it back');
$pair->destination_sql('DROP TRIGGER upset ON u');

# Other code that runs while rows are read, or between the batches in which they are inserted.
my @CODE = (
  ['a default', q(ALTER TABLE u ADD extra boolean DEFAULT upset_value('client_encoding', 'LATIN1')), 'ALTER TABLE u DROP extra'],
  ['a check', q(ALTER TABLE u ADD CONSTRAINT extra CHECK (upset_value('client_encoding', 'LATIN1')) NOT VALID),
    'ALTER TABLE u DROP CONSTRAINT extra'],
  ['an index', 'CREATE INDEX extra ON u (upset_index(id))', 'DROP INDEX extra']);
for my $case (@CODE) {
  my ($what, $add, $drop) = @$case;
  $pair->destination_sql("TRUNCATE u; $add");
  for my $route ('copy', 'auto') {
    $pair->destination_sql("ALTER DATABASE postgres SET parallel_loader.route = $route");
    refused('client_encoding', {%binary, chunk_size => '64MB'}, "$what changes a setting, route $route");
  }
  $pair->destination_sql($drop);
}

# Triggers at the end of a COPY change it for none that is read: the next ones begin as they should.
$pair->source_sql("INSERT INTO u SELECT i, 'äöü' || repeat('ß', 1000) || i, array['x', NULL], '2024-02-01', '-1 day +02:03:04',"
    . " '2024-03-04 05:06:07', 'a<b/>', i / 3.0 FROM generate_series(3001, 12000) AS i; ANALYZE u");
$want = $pair->source_sql($SUM);
for my $case (['client_encoding', 'LATIN1', \%binary], ['array_nulls', 'off', \%text], ['DateStyle', 'SQL, DMY', \%text]) {
  my ($setting, $value, $named) = @$case;
  for my $when ('AFTER INSERT ON u FOR EACH ROW', 'AFTER INSERT ON u FOR EACH STATEMENT', 'BEFORE INSERT ON u FOR EACH STATEMENT') {
    $pair->destination_sql("TRUNCATE u; DROP TRIGGER IF EXISTS upset ON u;"
        . "CREATE TRIGGER upset $when EXECUTE FUNCTION upset('$setting', '$value', 'false')");
    my %large = (%$named, chunk_size => '64MB');
    $when =~ /^BEFORE/ ? refused($setting, \%large, "a trigger $when sets $setting")
      : comes(\%large, "a trigger $when sets $setting");
  }
}
$pair->destination_sql('DROP TRIGGER upset ON u');

# Rows that an append compares.
$pair->destination_sql('TRUNCATE u');
my $writer = $pair->session('source');
$writer->query_safe("BEGIN; INSERT INTO u VALUES (20001, 'ä1', '{x,NULL}', '2024-02-01', '1 day', now(), 'a', 1),"
    . " (20002, 'ä2', '{x,NULL}', '2024-02-01', '1 day', now(), 'a', 1)");
$pair->destination_sql($pair->table_sql('parallel_pull_table', 'u', {%all, %text}));
$writer->query_safe('COMMIT');
$pair->destination_sql("CREATE TRIGGER upset BEFORE INSERT ON u FOR EACH ROW EXECUTE FUNCTION upset('array_nulls', 'off', 'false')");
$pair->error_is($pair->table_sql('parallel_pull_append', 'u', {}), '55000', qr/setting "array_nulls" was changed/,
  'rows that an append compares');
$pair->destination_sql('DROP TRIGGER upset ON u');
is($pair->destination_sql($pair->table_sql('parallel_pull_append', 'u', {})), 2, '… which come without the trigger');
$want = $pair->source_sql($SUM);
is($pair->destination_sql($SUM), $want, '… as they were');

# Floats that an append compares are written as text here.
$pair->source_sql('CREATE TABLE g (id integer PRIMARY KEY, f float8)');
$pair->destination_sql('CREATE TABLE g (id bigint PRIMARY KEY, f float8)'); # types differ: as text
$pair->destination_sql($pair->table_sql('parallel_pull_table', 'g', {key => 'id'}));
$pair->source_sql('INSERT INTO g SELECT i, 1 / 3.0::float8 + i FROM generate_series(1, 3) AS i');
$pair->source_sql('VACUUM FULL g'); # so that all are compared
$pair->destination_sql("CREATE TRIGGER upset BEFORE INSERT ON g FOR EACH ROW EXECUTE FUNCTION upset('extra_float_digits', '-10', 'false')");
$pair->error_is($pair->table_sql('parallel_pull_append', 'g', {}), '55000', qr/setting "extra_float_digits" was changed/,
  'a trigger that takes digits off floats which an append compares');
$pair->destination_sql('DROP TRIGGER upset ON g; TRUNCATE g');
is($pair->destination_sql($pair->table_sql('parallel_pull_append', 'g', {})), 3, '… which come without the trigger');
$pair->same_rows('SELECT id::bigint, f FROM g', '… as they were');

# Names of objects are looked up along search_path, also inside of arrays, domains and composites.
$pair->destination_sql('CREATE TABLE pg_class (id integer)');
$pair->both_sql('CREATE DOMAIN a_name AS regclass; CREATE TYPE with_name AS (n integer, c regclass)');
for my $case (['regclass', "'pg_catalog.pg_class'"], ['regclass[]', "'{pg_catalog.pg_class}'"], ['a_name', "'pg_catalog.pg_class'"],
    ['with_name', "'(1,pg_catalog.pg_class)'"], ['regtype', "'pg_catalog.pg_class'"]) {
  my ($type, $value) = @$case;
  $pair->both_sql("DROP TABLE IF EXISTS names; CREATE TABLE names (id integer PRIMARY KEY, c $type)");
  $pair->source_sql("INSERT INTO names SELECT i, $value FROM generate_series(1, 3) AS i");
  $pair->destination_sql('CREATE TRIGGER upset BEFORE INSERT ON names FOR EACH ROW'
      . q( EXECUTE FUNCTION upset('search_path', 'public, pg_catalog', 'false')));
  $pair->error_is($pair->table_sql('parallel_pull_table', 'names', {}), '55000', qr/setting "search_path" was changed/,
    "a trigger that makes other objects of names, type $type");
  $pair->destination_sql('DROP TRIGGER upset ON names');
  $pair->destination_sql($pair->table_sql('parallel_pull_table', 'names', {}));
  $pair->same_rows('SELECT * FROM names', '… which come without the trigger');
}

$pair->nothing_left('at the end no worker and no session is left');
$pair->finish;
