# parallel_pull_append from a source that crashes right after it: what a transaction has done there
# may be lost with it, and its id given to another one, as long as the source has not flushed it.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";

use ParallelLoader::Append;
use ParallelLoader::Test;
use Test::More;

# Commits and aborts are flushed by the WAL writer, up to three of these later.
my $pair = ParallelLoader::Test->new(
  source => {conf => "synchronous_commit = off\nwal_writer_delay = 2s\n"});
$pair->both_sql('CREATE TABLE t (id integer, note text)');

# Rows from..to, each in a transaction of its own.
sub fill {
  my ($from, $to) = @_;
  $pair->source_sql(join ';', map { "INSERT INTO t VALUES ($_, 'row $_')" } $from .. $to);
  return;
}

fill(1, 10);
$pair->source_sql('CHECKPOINT');
for my $round (1 .. 3) {
  my $first = 1000 * $round;
  fill($first, $first + 100);
  $pair->source_sql('BEGIN; SELECT pg_current_xact_id(); ROLLBACK') for 1 .. 5;
  my $result = $pair->try_sql(append_sql($pair, 't'));
  ok($result->is_ok, 'an append') or diag($result->summary);
  $pair->crash_source->();
  grows_soundly($pair, 't', 't', '… has nothing that a crash of the source takes back');
  fill($first + 500, $first + 700);
  ok($pair->try_sql(append_sql($pair, 't'))->is_ok, '… the next one');
  $pair->same_rows('SELECT * FROM t', '… finds all that came after it, each once');
}

$pair->nothing_left('nothing is left of the appends');
$pair->finish;
