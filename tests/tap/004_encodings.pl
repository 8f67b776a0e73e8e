# Databases of different encodings: text is converted, or an error names table and chunk; bytes
# never change in silence.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";

use ParallelLoader::Test;
use Test::More;

my $pair = ParallelLoader::Test->new(extension => 0);

for my $encoding (qw(UTF8 LATIN1 SQL_ASCII EUC_JP)) {
  my $dbname = lc "db_$encoding";
  $pair->both_sql("CREATE DATABASE $dbname TEMPLATE template0 ENCODING '$encoding'"
      . " LC_COLLATE 'C' LC_CTYPE 'C'");
  $pair->create_extension($dbname);
  # Letters are given as bytes, so that this file's own encoding plays no part.
  $pair->both_sql('CREATE TABLE words (id integer PRIMARY KEY, word text, tags varchar[], j jsonb)',
    dbname => $dbname);
}

# Pulls `words` from one database to another; the destination is emptied first.
sub pull_words {
  my ($from, $to, $format) = @_;
  $pair->destination_sql('TRUNCATE words', dbname => "db_$to");
  return $pair->try_sql($pair->pull_sql('words', undef, undef,
      {dsn => $pair->dsn("db_$from"), format => $format}), dbname => "db_$to");
}

sub fill {
  my ($encoding, @words) = @_;
  my $values = join ', ', map {
    my $text = "convert_from('\\x$words[$_]', getdatabaseencoding())";
    "($_ + 1, $text, ARRAY[$text, 'plain'], jsonb_build_object('w', $text))"
  } 0 .. $#words;
  $pair->source_sql("TRUNCATE words; INSERT INTO words VALUES $values", dbname => "db_$encoding");
  return;
}

# Words as hex: café naïve ÿ, Привет, 日本, €.
my %LATIN_WORDS = (utf8 => ['636166c3a9', '6e61c3af7665', 'c3bf'],
  latin1 => ['636166e9', '6e61ef7665', 'ff']);
my %JAPANESE = (utf8 => ['e697a5e69cac'], euc_jp => ['c6fccbdc']);
my @BEYOND_LATIN1 = ('d09fd180d0b8d0b2d0b5d182', 'e697a5e69cac', 'e282ac');

for my $format (qw(binary text)) {
  for my $case (
    ['utf8', 'latin1', \%LATIN_WORDS], ['latin1', 'utf8', \%LATIN_WORDS],
    ['utf8', 'utf8', \%LATIN_WORDS], ['utf8', 'euc_jp', \%JAPANESE], ['euc_jp', 'utf8', \%JAPANESE])
  {
    my ($from, $to, $words) = @$case;
    fill($from, @{$words->{$from}});
    my $result = pull_words($from, $to, $format);
    is($result->is_ok ? $result->out : $result->summary, scalar @{$words->{$from}},
      "$from to $to in $format: pulled");
    $pair->same_rows({source => 'SELECT * FROM words', destination => 'SELECT * FROM words',
        source_db => "db_$from", destination_db => "db_$to"},
      "$from to $to in $format: converted");
    my $bytes = $pair->destination_sql(q(SELECT string_agg(encode(convert_to(word,
      getdatabaseencoding()), 'hex'), ' ' ORDER BY id) FROM words), dbname => "db_$to");
    is($bytes, join(' ', @{$words->{$to}}), "$from to $to in $format: these bytes");
  }

  for my $word (@BEYOND_LATIN1) {
    fill('utf8', '616263', $word);
    my $result = $pair->result_is_error(pull_words('utf8', 'latin1', $format), '22P05',
      qr/words.*chunk|chunk.*words/s,
        "utf8 to latin1 in $format: $word is an error that names table and chunk");
    is($pair->destination_sql('SELECT count(*) FROM words', dbname => 'db_latin1'), 0,
      '… and leaves no row of that chunk');
  }

  # Names of objects are text too.
  $pair->source_sql(qq(DROP TABLE IF EXISTS named; SET client_encoding = 'UTF8';
    CREATE TABLE named ("stra\xc3\x9fe" integer PRIMARY KEY); INSERT INTO named VALUES (1)),
    dbname => 'db_utf8');
  $pair->destination_sql(qq(DROP TABLE IF EXISTS named; SET client_encoding = 'UTF8';
    CREATE TABLE named ("stra\xc3\x9fe" integer)), dbname => 'db_latin1');
  $pair->destination_sql("SET client_encoding = 'UTF8';"
      . $pair->pull_sql('named', 1, 5, {dsn => $pair->dsn('db_utf8'), key => "stra\xc3\x9fe",
        filter => qq("stra\xc3\x9fe" > 0), format => $format}), dbname => 'db_latin1');
  is($pair->destination_sql('SELECT count(*) FROM named', dbname => 'db_latin1'), 1,
    "column names, key and filter are converted in $format");

  # SQL_ASCII promises nothing about its bytes, so they are checked on arrival.
  fill('sql_ascii', '616263', 'e9');
  for my $to (qw(utf8 euc_jp)) {
    my $result = $pair->result_is_error(pull_words('sql_ascii', $to, $format), '22021',
      qr/words.*chunk|chunk.*words/s,
        "invalid bytes from sql_ascii to $to in $format are an error");
    is($pair->destination_sql('SELECT count(*) FROM words', dbname => "db_$to"), 0,
      '… and leave no row of that chunk');
  }
  fill('sql_ascii', '616263', 'c3a9');
  is(pull_words('sql_ascii', 'utf8', $format)->summary, 'success: 2',
    "valid bytes from sql_ascii to utf8 in $format are pulled");
  is($pair->destination_sql(
      q(SELECT encode(convert_to(word, 'UTF8'), 'hex') FROM words WHERE id = 2),
      dbname => 'db_utf8'), 'c3a9', '… as they are');
  for my $case (['latin1', '636166e9'], ['utf8', '636166c3a9'], ['sql_ascii', 'ff']) {
    my ($from, $word) = @$case;
    fill($from, $word);
    is(pull_words($from, 'sql_ascii', $format)->summary, 'success: 1',
      "$from to sql_ascii in $format: pulled");
    is($pair->destination_sql(q(SELECT encode(convert_to(word, 'SQL_ASCII'), 'hex') FROM words),
        dbname => 'db_sql_ascii'), $word, '… as its bytes are');
  }
}

# A "char" is a byte and no text.  Before version 15 its text form is that byte, which would be
# converted; from 15 on digits stand for it.
for my $encoding (qw(utf8 latin1)) {
  $pair->both_sql('CREATE TABLE letters (id integer PRIMARY KEY, letter "char", list "char"[])',
    dbname => "db_$encoding");
}

# Pulls rows of these values, given as SQL.
sub pull_letters {
  my (@values) = @_;
  $pair->source_sql('TRUNCATE letters; INSERT INTO letters VALUES ' . join(', ', @values),
    dbname => 'db_latin1');
  $pair->destination_sql('TRUNCATE letters', dbname => 'db_utf8');
  return $pair->try_sql($pair->pull_sql('letters', undef, undef,
      {dsn => $pair->dsn('db_latin1'), format => 'text'}), dbname => 'db_utf8');
}

sub letters_are_pulled {
  my ($rule, @values) = @_;
  is(pull_letters(@values)->summary, 'success: ' . @values, "$rule is pulled as text");
  $pair->same_rows({source => 'SELECT * FROM letters', destination => 'SELECT * FROM letters',
      source_db => 'db_latin1', destination_db => 'db_utf8'}, '… as it is');
  return;
}

letters_are_pulled('"char" of ASCII', q[(1, 'a', '{a,"\\\\"}')], q[(2, '\\', '{}')],
  q[(3, NULL, '{"",NULL}')]);
my $is_escaped = $pair->source_sql('SHOW server_version_num') >= 150000;
for my $case (['letter', q[(1, (-23)::"char", NULL)]], ['list', q[(1, 'a', ARRAY[(-23)::"char"])]])
{
  my ($column, $value) = @$case;
  if ($is_escaped) {
    letters_are_pulled("another \"char\" in column $column", $value);
  } else {
    $pair->result_is_error(pull_letters($value), '0A000',
      qr/value of column "$column" cannot be pulled as text/,
      "another \"char\" in column $column is an error and not another value");
  }
}

# A chunk that fails leaves nothing, those before it stay; all of it is told.  A chunk has 1 MB at
# least, hence the long words.
$pair->source_sql(<<'SQL', dbname => 'db_utf8');
TRUNCATE words;
INSERT INTO words SELECT i, CASE WHEN i = 29000 THEN chr(8364) ELSE repeat('word ', 50) || i END
FROM generate_series(1, 30000) AS i;
SQL
my $result = pull_words('utf8', 'latin1', 'auto');
$pair->result_is_error($result, '22P05', qr/chunk/, 'one bad letter among many fails the pull');
my ($pull_id) = ($result->error // {detail => ''})->{detail} =~ /(\d+)/;
is($pair->pull($pull_id, dbname => 'db_latin1')->{state}, 'failed', 'the detail names the pull');
my @chunks = $pair->chunks($pull_id, dbname => 'db_latin1');
cmp_ok(scalar @chunks, '>', 1, 'it had several chunks');
my $done = 0;
$done += $_->{rows} for grep { $_->{state} eq 'done' } @chunks;
is($pair->destination_sql('SELECT count(*) FROM words', dbname => 'db_latin1'), $done,
  'only done chunks have left rows');
my @failed = grep { ($_->{sqlstate} // '') eq '22P05' } @chunks;
is(scalar @failed, 1, 'the ledger names the one chunk that failed');

$pair->nothing_left('no process or session is left');
$pair->finish;
