# A worker's memory is bounded whatever the table: binary COPY FROM would buffer a thousand rows of
# any size.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";

use ParallelLoader::Test;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep);

my $LIMIT_KB = 64 * 1024;
my $ROWS = $ENV{PARALLEL_LOADER_BIG} ? 5_000_000 : 400_000;

my $pair = ParallelLoader::Test->new;
$pair->both_sql(<<'SQL');
CREATE TABLE narrow (id bigint PRIMARY KEY, device integer, at timestamptz, value numeric, tag text);
CREATE TABLE wide (id integer PRIMARY KEY, body text);
ALTER TABLE wide ALTER body SET STORAGE EXTERNAL;
SQL
$pair->source_sql(<<"SQL");
INSERT INTO narrow SELECT i, i % 1000, timestamptz '2026-01-01' + i * interval '1 second', i * 0.25,
  md5(i::text) FROM generate_series(1, $ROWS) AS i;
INSERT INTO wide SELECT i, repeat(md5(i::text), 100 * 1024 / 32) FROM generate_series(1, 1000) AS i;
SQL

# What the process has for itself alone; shared buffers that only it has touched would count as
# private in smaps.
sub anonymous_kb {
  my ($pid) = @_;
  my $status = eval { slurp_file("/proc/$pid/status") } // return 0;
  return $status =~ /^RssAnon:\s+(\d+) kB/m ? $1 : 0;
}

# Pulls the whole table with one worker and returns the most memory that the worker had.
sub peak_of_pull {
  my ($table, $format) = @_;
  $pair->destination_sql("TRUNCATE $table");
  my $session = $pair->session('destination');
  $session->start($pair->pull_sql($table, undef, undef, {format => $format, workers => 1}));
  my ($peak, $samples) = (0, 0);
  while (!$session->is_finished) {
    for my $pid ($pair->worker_pids) {
      my $now = anonymous_kb($pid);
      $samples++ if $now > 0;
      $peak = $now if $now > $peak;
    }
    sleep 0.01;
  }
  my $result = $session->finish;
  ok($result->is_ok, "$table is pulled in $format") or diag($result->summary);
  cmp_ok($samples, '>=', 2, '… and its worker was seen at work');
  return $peak;
}

for my $format (qw(binary text)) {
  for my $table (qw(narrow wide)) {
    my $peak = peak_of_pull($table, $format);
    note("$table in $format: $peak kB");
    cmp_ok($peak, '<', $LIMIT_KB, "a worker pulls $table in $format with less than 64 MB");
  }
}
$pair->same_rows("SELECT * FROM $_", "$_ is the same on both sides") for qw(narrow wide);

$pair->finish;
