# Very many small tables in one run, on servers with few slots: what a table costs the program and the
# servers. TABLES=10000 for what bench/compare --database small measures the time of.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";

use JSON::PP ();
use ParallelLoader::Program;
use ParallelLoader::Test;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep);

my $TABLES = $ENV{TABLES} // 500;
my $ROWS = 20;
my $MAX_MEGABYTES = 64;
my $pair = ParallelLoader::Test->new(both => {conf => "max_connections = 100\nmax_worker_processes = 8\nlog_statement = none\n"});
my ($source, $destination) = ($pair->source->connstr('postgres'), $pair->destination->connstr('postgres'));

# In parts: one statement locks what it makes to its end.
sub each_table {
  my ($sql) = @_;
  my $part = 200;
  return join '', map { my $first = $_; my $last = $first + $part - 1 < $TABLES ? $first + $part - 1 : $TABLES;
    "DO \$\$ BEGIN FOR i IN $first .. $last LOOP EXECUTE format('$sql', i); END LOOP; END \$\$;\n" }
    map { $_ * $part + 1 } 0 .. int(($TABLES - 1) / $part);
}
$pair->both_sql(each_table('CREATE TABLE t%1$s (id integer PRIMARY KEY, note text)'));
$pair->source_sql(each_table("INSERT INTO t%1\$s SELECT g, g::text FROM generate_series(1, $ROWS) AS g") . 'ANALYZE;');

# In parts for the same reason.
sub count_rows {
  my $part = 1000;
  my $sum = 0;
  for (my $first = 1; $first <= $TABLES; $first += $part) {
    my $last = $first + $part - 1;
    $sum += $pair->destination_sql(qq(SELECT sum((xpath('/row/c/text()',
        query_to_xml('SELECT count(*) AS c FROM ' || oid::regclass, false, true, '')))[1]::text::bigint)
      FROM pg_class WHERE relkind = 'r' AND relname ~ '^t\\d+\$' AND substr(relname, 2)::integer BETWEEN $first AND $last));
  }
  return $sum;
}

# The most memory that the program ever had: the kernel keeps it until the process has ended.
sub copy_watched {
  my (@arguments) = @_;
  my $job = start_program('copy', '--source', $source, '--target', $destination, '--all', '--jobs', 2, '--json', @arguments);
  my $pid = $job->{run}{KIDS}[0]{PID};
  my $peak = 0;
  while ($job->{run}->pumpable) {
    my $status = eval { slurp_file("/proc/$pid/status") } // '';
    $peak = $1 / 1024 if $status =~ /^VmHWM:\s+(\d+) kB/m;
    $job->{run}->pump_nb;
    sleep 0.01;
  }
  end_of($job);
  return ($job, $peak);
}

my ($job, $peak) = copy_watched();
is($job->{code}, 0, "$TABLES tables in one run") or diag $job->{err};
my $document = eval { JSON::PP->new->decode($job->{out}) } // {};
is($document->{totals}{rows}, $TABLES * $ROWS, '… all their rows');
is(count_rows(), $TABLES * $ROWS, '… are there');
diag(sprintf '%d tables: %.1f s, %.1f MB', $TABLES, $document->{duration_ms} / 1000, $peak);
cmp_ok($peak, '>', 1, 'the memory of the program was watched');
cmp_ok($peak, '<', $MAX_MEGABYTES, "… and stays under $MAX_MEGABYTES MB");
is($pair->destination_sql('SELECT count(DISTINCT copied_by) FROM parallel_pull_chunks'), 2, 'the workers went from pull to pull');
$pair->nothing_left('no process or session is left');

# A run of as many tables is as easily asked about.
my $run = run_program('status', '--target', $destination, $document->{run_id});
is($run->{code}, 0, 'status shows the run');
my @lines = $run->{out} =~ /^ +\d+ \| +public\.t\d+ /mg;
is(scalar @lines, $TABLES, '… with each table') or diag substr $run->{out}, 0, 2000;
($job, $peak) = copy_watched();
is($job->{code}, 1, 'the same command again is refused');
my @refused = $job->{err} =~ /^.*has rows.*$/mg;
cmp_ok(scalar @refused, '>', 0, '… because the tables have rows') or diag substr $job->{err}, 0, 2000;
is(count_rows(), $TABLES * $ROWS, '… and changes nothing');
# One TRUNCATE locks all tables, with their indexes and TOAST tables.
if ($TABLES > 1000) {
  ($job, $peak) = copy_watched('--truncate');
  is($job->{code}, 1, 'too many to be locked at once are not emptied');
  like($job->{err}, qr/out of shared memory.*max_locks_per_transaction/s, '… which says what to set');
  is(count_rows(), $TABLES * $ROWS, '… and changes nothing');
  $pair->destination->append_conf('postgresql.conf', "max_locks_per_transaction = $TABLES");
  $pair->destination->restart;
}
($job, $peak) = copy_watched('--truncate');
is($job->{code}, 0, 'with --truncate it is done') or diag substr $job->{err}, 0, 2000;
is(count_rows(), $TABLES * $ROWS, '… and each row is there once');
cmp_ok($peak, '<', $MAX_MEGABYTES, "… in less than $MAX_MEGABYTES MB");

$pair->finish;
