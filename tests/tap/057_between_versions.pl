# What servers of two versions understand differently.  PARALLEL_LOADER_SOURCE names another server
# to be the source; with one version alone all of it travels.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";

use ParallelLoader::Test;
use Test::More;

my $pair = ParallelLoader::Test->new;
my ($there, $here) =
  map { int($_ / 10000) } $pair->source_sql('SHOW server_version_num'),
  $pair->destination_sql('SHOW server_version_num');
diag("from PostgreSQL $there to $here") if $there != $here;

# A table that binary COPY cannot carry, because of its last column.
my $COLUMNS = 'id integer PRIMARY KEY, letter "char", list "char"[], span interval, name regclass';
$pair->both_sql("CREATE TABLE mixed ($COLUMNS)");

sub pull_mixed {
  my ($values) = @_;
  $pair->source_sql("TRUNCATE mixed; INSERT INTO mixed VALUES $values");
  $pair->destination_sql('TRUNCATE mixed');
  return $pair->try_sql($pair->pull_sql('mixed'));
}

sub mixed_is_pulled {
  my ($values, $rule) = @_;
  is(pull_mixed($values)->summary, 'success: 1', $rule);
  $pair->same_rows('SELECT * FROM mixed', '… as it is');
  return;
}

sub mixed_is_error {
  my ($values, $sqlstate, $pattern, $rule) = @_;
  $pair->result_is_error(pull_mixed($values), $sqlstate, $pattern, $rule);
  is($pair->destination_sql('SELECT count(*) FROM mixed'), 0, '… and leaves no row');
  return;
}

mixed_is_pulled(q[(1, 'a', '{b,"",NULL,"\\\\"}', '-1 year 2 days 03:04:05.678', 'pg_class')],
  'a "char" and an interval are pulled together, as text');
mixed_is_pulled(q[(1, '\\', NULL, NULL, NULL)], 'so is a backslash');
my @letters = (
  ['letter', q[(1, (-23)::"char", NULL, NULL, NULL)]],
  ['list', q[(1, 'a', ARRAY['b', (-1)::"char"], NULL, NULL)]]);
for my $case (@letters) {
  my ($column, $values) = @$case;
  if ($there < 15) {
    mixed_is_error($values, '22021', qr/COPY mixed, line 1/,
      "a \"char\" beyond ASCII, which is no text in UTF8 as it was written before 15: $column");
  } elsif ($here < 15) {
    mixed_is_error($values, '0A000', qr/value of column "$column" cannot be pulled as text/,
      "a \"char\" beyond ASCII, which servers before 15 read as a backslash: $column");
  } else {
    mixed_is_pulled($values, "a \"char\" beyond ASCII: $column");
  }
}

SKIP: {
  skip 'intervals are finite before 17', 3 if $there < 17;
  my $values = q[(1, 'a', NULL, '-infinity', NULL)];
  if ($here < 17) {
    mixed_is_error($values, '22007', qr/column span: "-infinity"/,
      'an infinite interval is an error of a server before 17');
    $pair->destination_sql('CREATE TABLE spans (span interval)');
    $pair->source_sql(q(CREATE TABLE spans (span interval); INSERT INTO spans VALUES ('infinity')));
    $pair->error_is($pair->pull_sql('spans'), '22007', qr/"infinity"/, '… whatever else travels');
  } else {
    mixed_is_pulled($values, 'an infinite interval');
    pass('… whatever else travels');
  }
}

# "char" alone goes as binary, so every value does.
$pair->both_sql('CREATE TABLE letters (letter "char")');
$pair->source_sql('INSERT INTO letters SELECT i::"char" FROM generate_series(-128, 127) AS i');
$pair->pull_returns(256, 'letters', undef, undef, {}, 'every "char" is pulled where binary can be');
is($pair->destination_sql('SELECT count(DISTINCT letter::integer) FROM letters'), 256,
  '… as it is');

$pair->nothing_left('no process or session is left');
$pair->finish;
