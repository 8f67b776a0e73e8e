# parallel-loader once in each of its ways. scripts/matrix runs this file with sources of other
# versions.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";

use IPC::Run ();
use JSON::PP ();
use ParallelLoader::Test;
use Test::More;

my $program = program_under_test();
my $pair = ParallelLoader::Test->new;

my $ROWS = 5000;
$pair->both_sql('CREATE TABLE goods (id integer PRIMARY KEY, n numeric, at timestamptz, note text);'
    . 'CREATE SCHEMA "Odd Schema"; CREATE TABLE "Odd Schema"."Odd=Table" (id integer PRIMARY KEY, "a, b" text)');
$pair->source_sql(<<"SQL");
INSERT INTO goods SELECT i, i / 7.0, timestamptz '2024-02-29 UTC' + i * interval '1 h', repeat('n', i % 200)
FROM generate_series(1, $ROWS) AS i;
INSERT INTO "Odd Schema"."Odd=Table" SELECT i, 'x' || i FROM generate_series(1, 50) AS i;
VACUUM ANALYZE;
SQL

# Runs `parallel-loader copy` and returns its exit status, standard output and standard error.
sub copy {
  my (@arguments) = @_;
  my ($out, $err) = ('', '');
  my $run = IPC::Run::start([$program, 'copy', '--source', $pair->dsn, '--target',
      $pair->destination->connstr('postgres'), @arguments], '<', \'', '>', \$out, '2>', \$err, IPC::Run::timeout(60));
  my $is_finished = eval { $run->finish; 1 };
  $run->kill_kill unless $is_finished;
  return ($is_finished ? $run->full_result(0) >> 8 : 'none in time', $out, $err);
}

# Copies into an empty table and compares it with the source's rows under `condition`.
sub copies {
  my ($rule, $rows, $table, $condition, @arguments) = @_;
  local $Test::Builder::Level = $Test::Builder::Level + 1;
  $pair->destination_sql("TRUNCATE $table");
  my ($status, $out, $err) = copy(@arguments, $table);
  is("$status $out", "0 COPY $rows\n", $rule) or diag($err);
  return $pair->same_rows({source => "SELECT * FROM $table WHERE $condition", destination => "SELECT * FROM $table"},
    '… with the rows of the source');
}

my @SMALL = ('--chunk-size', '64kB');
copies('a whole table', $ROWS, 'goods', 'true', @SMALL);
copies("in $_", $ROWS, 'goods', 'true', @SMALL, '--format', $_) for qw(text binary);
copies('by a key', $ROWS, 'goods', 'true', @SMALL, '--key', 'id', '--jobs', 2);
copies('a range', 100, 'goods', 'id >= 100 AND id < 200', '--key', 'id', '--start', 100, '--end', 200);
copies('a range of times', 24, 'goods', q(at >= '2024-03-01 UTC' AND at < '2024-03-02 UTC'), '--key', 'at',
  '--start', '2024-03-01', '--end', '2024-03-02');
copies('under a condition', $ROWS / 2, 'goods', 'id % 2 = 0', '--where', 'id % 2 = 0');
copies('names that need quotes', 50, '"Odd Schema"."Odd=Table"', 'true');

$pair->destination_sql('TRUNCATE goods');
my ($status, $out, $err) = copy(@SMALL, '--json', 'goods');
is($status, 0, 'with its result as JSON') or diag($err);
is(eval { JSON::PP->new->decode($out)->{rows} }, $ROWS, '… which has the rows') or diag($out);

($status, $out, $err) = copy('goods');
isnt($status, 0, 'rows that are there already end it with a failure');
like($err, qr/table "public\.goods" has rows already/, '… which says why');
is($pair->destination_sql('SELECT count(*) FROM goods'), $ROWS, '… and leaves them as they were');

$pair->finish;
