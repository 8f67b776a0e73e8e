# What tables can have since servers 17 and 18: virtual generated columns, keys WITHOUT OVERLAPS,
# NOT NULL that was never checked, constraints that are not enforced, collations of the server's own.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";

use ParallelLoader::Test;
use Test::More;

my $pair = ParallelLoader::Test->new;
my ($version) = sort { $a <=> $b }
  map { int($_ / 10000) } $pair->source_sql('SHOW server_version_num'),
  $pair->destination_sql('SHOW server_version_num');

# Chunks of some hundred rows each.
my %CUT = (chunk_size => '64kB', workers => 2);

sub warnings_about {
  my ($item, $table) = @_;
  return map { $_->{message} }
    grep { $_->{item} eq $item && $_->{level} eq 'warning' }
    $pair->table_rows('parallel_pull_check', $table);
}

SKIP: {
  skip 'virtual generated columns are there from version 18 on', 14 if $version < 18;
  $pair->both_sql(<<'SQL');
CREATE TABLE doubled (id integer PRIMARY KEY, a integer,
  b integer GENERATED ALWAYS AS (a * 2) VIRTUAL, note text);
CREATE TABLE plain (id integer PRIMARY KEY, a integer, b integer, note text);
SQL
  $pair->source_sql('INSERT INTO doubled (id, a, note) SELECT i, i % 7, repeat(chr(97 + i % 26), 50)'
      . ' FROM generate_series(1, 5000) AS i; INSERT INTO plain SELECT id, a, -1, note FROM doubled');
  my ($row) = $pair->table_rows('parallel_pull_table', 'doubled', \%CUT);
  is($row->{rows}, 5000, 'a table with a virtual column is pulled');
  cmp_ok($row->{chunks}, '>', 2, '… in chunks');
  $pair->same_rows('SELECT * FROM doubled', '… as it is');
  $pair->differs_in([], 'doubled', \%CUT, '… and verified');
  is(join(' ', warnings_about('columns', 'doubled')), '', '… without a warning about columns');

  $pair->destination_sql('TRUNCATE doubled');
  $pair->pull_returns(5000, 'doubled', undef, undef, {source_table => 'plain'},
    'a column that is virtual here only is left out');
  $pair->same_rows('SELECT * FROM doubled', '… and computed');
  $pair->pull_returns(5000, 'plain', undef, undef, {source_table => 'doubled'},
    'one that is virtual on the source only travels');
  $pair->same_rows({source => 'SELECT * FROM doubled', destination => 'SELECT * FROM plain'},
    '… as the source computes it');
  $pair->error_is($pair->pull_sql('doubled', undef, undef, {columns => ['id', 'b']}), '42P10',
    qr/"b" is a generated column/, 'it cannot be named');

  $pair->destination_sql('TRUNCATE doubled');
  is(($pair->table_rows('parallel_pull_table', 'doubled',
        {%CUT, key => 'b', filter => 'b < 12 AND b > 1', format => 'text'}))[0]{rows},
    $pair->source_sql('SELECT count(*) FROM doubled WHERE b < 12 AND b > 1'),
    'a virtual column can be key and filter');
  $pair->same_rows({source => 'SELECT * FROM doubled WHERE b < 12 AND b > 1',
      destination => 'SELECT * FROM doubled'}, '… which take what they say');

  $pair->destination_sql('TRUNCATE doubled');
  $pair->table_rows('parallel_pull_table', 'doubled');
  $pair->source_sql(q(INSERT INTO doubled (id, a, note) VALUES (6000, 3, 'new')));
  is($pair->destination_sql($pair->table_sql('parallel_pull_append', 'doubled')), 1,
    'such a table is appended to');
  $pair->same_rows('SELECT * FROM doubled', '… as it is');
}

SKIP: {
  skip 'keys WITHOUT OVERLAPS are there from version 18 on', 9 if $version < 18;
  $pair->both_sql(<<'SQL');
CREATE EXTENSION btree_gist;
CREATE TABLE stay (room integer, during daterange, guest text,
  PRIMARY KEY (room, during WITHOUT OVERLAPS));
CREATE TABLE bill (room integer, during daterange, sum numeric,
  FOREIGN KEY (room, PERIOD during) REFERENCES stay (room, PERIOD during));
SQL
  $pair->source_sql(<<'SQL');
INSERT INTO stay SELECT i % 50, daterange('2024-01-01'::date + i, '2024-01-01'::date + i + 40),
  repeat('g', i % 60) FROM generate_series(1, 5000) AS i;
INSERT INTO bill SELECT room, during, 1.5 FROM stay;
SQL
  my ($row) = $pair->table_rows('parallel_pull_table', 'stay', \%CUT);
  is($row->{rows}, 5000, 'a table with a key WITHOUT OVERLAPS is pulled');
  cmp_ok($row->{chunks}, '>', 2, '… in chunks');
  $pair->same_rows('SELECT * FROM stay', '… as it is');
  $pair->differs_in([], 'stay', {%CUT, key => 'room'}, '… and verified');
  $pair->error_is($pair->pull_sql('stay'), '23P01', qr/stay_pkey/, 'its rows do not come twice');
  is(scalar(warnings_about('foreign keys', 'bill')), 1, 'a foreign key of a PERIOD is told');
  $pair->pull_returns(5000, 'bill', undef, undef, {}, '… and its table pulled');
  $pair->source_sql(q{INSERT INTO stay VALUES (60, '[2024-01-01,2024-02-01)', 'new')});
  is($pair->destination_sql($pair->table_sql('parallel_pull_append', 'stay')), 1,
    'the key tells rows of an append apart');
  $pair->same_rows('SELECT * FROM stay', '… which are all there');
}

SKIP: {
  skip 'NOT NULL can be NOT VALID from version 18 on', 7 if $version < 18;
  $pair->source_sql(<<'SQL');
CREATE TABLE unchecked (id integer UNIQUE, note text);
INSERT INTO unchecked SELECT nullif(i, i / 10 * 10), repeat('n', 60) FROM generate_series(1, 5000) AS i;
ALTER TABLE unchecked ADD CONSTRAINT has_id NOT NULL id NOT VALID;
SQL
  $pair->destination_sql('CREATE TABLE unchecked (id integer UNIQUE, note text)');
  for my $named ({%CUT}, {%CUT, key => 'id'}) {
    my $rule = $named->{key} ? 'as key' : 'without a key';
    my ($row) = $pair->table_rows('parallel_pull_table', 'unchecked', $named);
    is($row->{rows}, 5000, "NULLs of a column that is NOT NULL by word only are pulled, $rule");
    $pair->same_rows('SELECT * FROM unchecked', '… as they are');
    $pair->destination_sql('TRUNCATE unchecked');
  }
  $pair->pull_returns(4500, 'unchecked', 1, 6000, {key => 'id'}, 'a range leaves them out');
  $pair->destination_sql('TRUNCATE unchecked; INSERT INTO unchecked VALUES (NULL);'
      . 'ALTER TABLE unchecked ADD CONSTRAINT has_id NOT NULL id NOT VALID');
  $pair->error_is($pair->pull_sql('unchecked'), '23502', qr/"id"/,
    'new NULLs are refused where the destination has such a constraint');
  is($pair->destination_sql('SELECT count(*) FROM unchecked'), 1, '… whatever it has already');
}

SKIP: {
  skip 'constraints can be NOT ENFORCED from version 18 on', 6 if $version < 18;
  $pair->destination_sql(<<'SQL');
CREATE TABLE parent (id integer PRIMARY KEY);
CREATE TABLE child (id integer CHECK (id > 0) NOT ENFORCED,
  CONSTRAINT is_checked FOREIGN KEY (id) REFERENCES parent,
  CONSTRAINT is_not FOREIGN KEY (id) REFERENCES parent NOT ENFORCED);
CREATE TABLE orphan (LIKE child,
  CONSTRAINT is_not FOREIGN KEY (id) REFERENCES parent NOT ENFORCED);
SQL
  $pair->source_sql('CREATE TABLE child AS SELECT i AS id FROM generate_series(-5, 4) AS i;'
      . 'CREATE TABLE orphan AS TABLE child');
  is(join(' ', warnings_about('foreign keys', 'child')),
    'foreign key "is_checked" is checked for every row', 'a foreign key is told');
  is(join(' ', warnings_about('foreign keys', 'orphan')), '', '… unless it is not enforced');
  my $locked = 'BEGIN; LOCK TABLE parent IN EXCLUSIVE MODE;';
  my $result = $pair->try_sql($locked . $pair->pull_sql('child'));
  $pair->result_is_error($result, '55006', qr/parent.*is locked by the transaction/s,
    'a pull that has to look up what the caller has locked is refused');
  $result = $pair->try_sql($locked . $pair->pull_sql('orphan') . '; COMMIT');
  is($result->summary, 'success: 10', '… and one that has not is made');
  $pair->same_rows('SELECT * FROM orphan', '… without looking at either constraint');
  is($pair->destination_sql(
      'SELECT route FROM parallel_pull_chunks WHERE pull_id = ' . $pair->newest_pull_id), 'heap',
    '… by the heap route')
    unless defined $ENV{PARALLEL_LOADER_ROUTE};
}

SKIP: {
  skip 'collations of the server\'s own are there from version 17 on', 9 if $version < 17;
  my $unicode = $version < 18 ? 'pg_c_utf8' : 'pg_unicode_fast';
  $pair->both_sql(<<"SQL");
CREATE TYPE words AS RANGE (subtype = text, collation = $unicode);
CREATE TABLE named (name text COLLATE $unicode PRIMARY KEY, at words, pad text);
SQL
  $pair->source_sql(<<'SQL');
INSERT INTO named
SELECT chr(65 + i % 60) || chr(200 + i % 90) || i, words(chr(65 + i % 20), chr(97 + i % 20)),
  repeat('p', 40) FROM generate_series(1, 5000) AS i;
SQL
  my ($row) = $pair->table_rows('parallel_pull_table', 'named', {%CUT, key => 'name'});
  is($row->{rows}, 5000, "a key with collation $unicode is cut");
  cmp_ok($row->{chunks}, '>', 2, '… into chunks');
  $pair->same_rows('SELECT * FROM named', '… that have all rows once');
  is($pair->pull->{format}, 'binary', '… in binary');
  $pair->differs_in([], 'named', {%CUT, key => 'name'}, '… and verified');

  # Databases that have such a collation by default, and one that sorts alike by another name.
  my $provider = q(LOCALE_PROVIDER builtin BUILTIN_LOCALE 'C.UTF-8');
  $pair->source_sql("CREATE DATABASE own TEMPLATE template0 $provider");
  $pair->source_sql(<<'SQL', dbname => 'own');
CREATE TYPE words AS RANGE (subtype = text);
CREATE TABLE named (name text PRIMARY KEY, at words, pad text);
INSERT INTO named SELECT chr(65 + i % 60) || chr(200 + i % 90) || i, words('B', 'b'), repeat('p', 40)
FROM generate_series(1, 5000) AS i;
SQL
  $pair->destination_sql(<<'SQL');
DROP TABLE named;
DROP TYPE words;
CREATE TYPE words AS RANGE (subtype = text, collation = "C");
CREATE TABLE named (name text COLLATE "C" PRIMARY KEY, at words, pad text);
SQL
  my %own = (%CUT, dsn => $pair->dsn('own'), key => 'name');
  ($row) = $pair->table_rows('parallel_pull_table', 'named', \%own);
  is($row->{rows}, 5000, 'a database of the server\'s own locale is a source');
  $pair->same_rows({source => 'SELECT * FROM named', source_db => 'own',
      destination => 'SELECT * FROM named'}, '… whose rows are all there');
  is($pair->pull->{format}, 'binary', '… as its ranges sort as those of "C"');
  $pair->differs_in([], 'named', \%own, '… and verified');
}

$pair->nothing_left('no process or session is left');
$pair->finish;
