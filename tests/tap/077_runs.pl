# A run of many pulls: one coordinator and one session on the source for all of them, workers that go from
# pull to pull, and ends of their own: a pull that fails, or is cancelled, leaves the others alone.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";

use ParallelLoader::Test;
use Test::More;

my $pair = ParallelLoader::Test->new(retries => 1);
my $TABLES = 20;
my $ROWS = 2000;
$pair->create_gate;
for my $number (1 .. $TABLES) {
  my $count = $ROWS * ($number == 7 ? 5 : 1);
  $pair->source_sql("CREATE TABLE t$number (id integer PRIMARY KEY, note text);
    INSERT INTO t$number SELECT i, 'table $number row ' || i FROM generate_series(1, $count) AS i; ANALYZE t$number");
  $pair->destination_sql("CREATE TABLE t$number (id integer PRIMARY KEY, note text)");
}
my $dsn = literal($pair->dsn);

sub create {
  my ($table, $run, %named) = @_;
  return $pair->destination_sql($pair->table_sql('parallel_pull_create', $table,
      {chunk_size => '64kB', key => 'id', %named, defined $run ? (run_id => $run) : ()}));
}

sub states {
  my ($run) = @_;
  return $pair->destination_sql("SELECT string_agg(DISTINCT state, ',') FROM parallel_pulls WHERE run_id = $run");
}

sub sessions { # on the source
  return $pair->source_sql(q(SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'parallel_loader%'));
}

# ---- one coordinator, one session ----

my $run = create('t1');
create("t$_", $run) for 2 .. $TABLES;
is(scalar($pair->coordinator_pids), 1, 'a run of 20 pulls has one coordinator');
is(sessions(), 1, '… and one session on the source');
is($pair->destination_sql("SELECT count(DISTINCT snapshot), count(*) FROM parallel_pulls WHERE run_id = $run"), "1|$TABLES",
  '… and all its pulls one snapshot');
is(states($run), 'planned', '… they are planned');
is($pair->destination_sql("SELECT count(DISTINCT coordinator_pid), bool_and(coordinator_ends > now()), bool_and(began_empty)
  FROM parallel_pulls WHERE run_id = $run"), '1|t|t', '… and say who waits for workers, and how long');
my $work = $pair->destination_sql("SELECT rows, remaining FROM parallel_pull_work($run, workers => 2, whole_run => true)");
is($work, ($TABLES - 1) * $ROWS + 5 * $ROWS . '|0', 'workers of one call copy them all');
is(states($run), 'done', '… and each is done');
$pair->same_rows("SELECT * FROM t$_", "… t$_ has its rows") for 1, 7, $TABLES;
is($pair->destination_sql("SELECT count(*) FROM parallel_pull_chunks WHERE copied_by IS NULL OR started > finished"), 0,
  '… and each chunk says who has copied it, and when');
is($pair->destination_sql("SELECT p.\"table\" FROM parallel_pull_chunks c JOIN parallel_pulls p USING (pull_id)
  WHERE p.run_id = $run ORDER BY c.started LIMIT 1"), 't7', 'the biggest table comes first');
$pair->nothing_left('no process or session is left');

$pair->finish;
