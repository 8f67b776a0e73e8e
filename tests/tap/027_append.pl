# parallel_pull_append while the source is written to by transactions that commit out of the order
# of keys and of transaction ids: at every moment the rows here are rows of the source, each once,
# and when the writers are done all of them are here.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";

use ParallelLoader::Append;
use ParallelLoader::Test;
use Test::More;

my $ROUNDS = 10;
my $STEPS = 25;

srand 27;
my $pair = ParallelLoader::Test->new(source => {conf => "max_prepared_transactions = 10\n"});

# A writer draws its keys before it has a transaction id, sleeps, inserts in subtransactions some of
# which fail, and commits or not.
$pair->source_sql(<<'SQL');
CREATE TABLE t (id bigint PRIMARY KEY, writer integer, note text);
CREATE SEQUENCE ids;
CREATE TABLE stop (at timestamptz);
CREATE PROCEDURE write(writer integer) LANGUAGE plpgsql AS $$
DECLARE
  keys bigint[];
BEGIN
  WHILE NOT EXISTS (SELECT FROM stop) LOOP
    keys := ARRAY[nextval('ids'), nextval('ids'), nextval('ids'), nextval('ids')];
    PERFORM pg_sleep(random() * 0.03);
    INSERT INTO t VALUES (keys[4], writer, 'plain');
    BEGIN
      INSERT INTO t VALUES (keys[2], writer, 'subtransaction');
      BEGIN
        INSERT INTO t VALUES (keys[1], writer, 'rolled back');
        RAISE division_by_zero;
      EXCEPTION WHEN division_by_zero THEN
        PERFORM pg_sleep(random() * 0.03);
      END;
    EXCEPTION WHEN unique_violation THEN
      NULL;
    END;
    INSERT INTO t VALUES (keys[3], writer, 'last');
    IF random() < 0.2 THEN
      ROLLBACK;
    ELSE
      COMMIT;
    END IF;
  END LOOP;
END $$;
SQL
$pair->destination_sql(<<'SQL');
CREATE TABLE from_empty (id bigint, writer integer, note text);
CREATE TABLE after_pull (id bigint, writer integer, note text);
CREATE TABLE with_key (id bigint PRIMARY KEY, writer integer, note text);
SQL
my @TABLES = qw(from_empty after_pull with_key);

# ---- transactions by hand ----

my @sessions = map { {session => $pair->session('source'), number => $_} } 1 .. 5;
my @prepared;
my $prepared_count = 0;

sub run { my ($writer, $sql) = @_; $writer->{session}->query_safe($sql); return }

sub insert {
  my ($writer, $note) = @_;
  my $key = shift @{$writer->{keys}} // "nextval('ids')";
  run($writer, "INSERT INTO t VALUES ($key, $writer->{number}, '$note')");
  return;
}

my @STEPS = (
  sub { insert($_[0], 'by hand') },
  sub {
    my ($writer) = @_;
    run($writer, 'SAVEPOINT s');
    insert($writer, 'released');
    run($writer, 'RELEASE s');
  },
  sub {
    my ($writer) = @_;
    run($writer, 'SAVEPOINT s');
    insert($writer, 'undone');
    run($writer, 'ROLLBACK TO s');
    insert($writer, 'after it');
  },
  sub { run($_[0], 'COMMIT'); $_[0]{is_open} = 0 },
  sub { run($_[0], 'COMMIT'); $_[0]{is_open} = 0 },
  sub { run($_[0], 'ROLLBACK'); $_[0]{is_open} = 0 },
  sub {
    my ($writer) = @_;
    my $name = 'p' . ++$prepared_count;
    run($writer, "PREPARE TRANSACTION '$name'");
    $writer->{is_open} = 0;
    push @prepared, $name;
  });

# Keys are drawn when the transaction begins, and used when it comes to it.
sub step {
  my $writer = $sessions[rand @sessions];
  return $STEPS[rand @STEPS]->($writer) if $writer->{is_open};
  if (@prepared > 3) {
    my $end = rand() < 0.7 ? 'COMMIT' : 'ROLLBACK';
    return run($writer, "$end PREPARED '" . shift(@prepared) . "'");
  }
  run($writer, 'BEGIN');
  $writer->{keys} = [map { $writer->{session}->query_safe("SELECT nextval('ids')") } 1 .. 3];
  $writer->{is_open} = 1;
  return;
}

# ---- rounds ----

my @writers = map { $pair->session('source')->start("CALL write($_)") } 101 .. 104;
my $long = $pair->session('source');
$long->query_safe("BEGIN; INSERT INTO t VALUES (nextval('ids'), 0, 'long')");
step() for 1 .. $STEPS;
pulls($pair, $_, {source_table => 't'}, 'a whole pull while transactions are open')
  for qw(after_pull with_key);

my @callers = map { $pair->session('destination') } 1 .. 4;
my %copied;
for my $round (1 .. $ROUNDS) {
  # Two calls for each of two tables at once, in changing company.
  my @tables = (@TABLES[$round % 3, $round % 3], @TABLES[($round + 1) % 3, ($round + 1) % 3]);
  $callers[$_]->start(append_sql($pair, $tables[$_], {source_table => 't'})) for 0 .. 3;
  step() for 1 .. $STEPS;
  for my $index (0 .. 3) {
    my $result = $callers[$index]->finish;
    ok($result->is_ok, "round $round: an append of $tables[$index]") or diag($result->summary);
    $copied{$tables[$index]} += $result->out if $result->is_ok;
  }
  grows_soundly($pair, $_, 't', '… has rows of the source alone, each once')
    for $tables[0], $tables[2];
  $long->query_safe("COMMIT; BEGIN; INSERT INTO t VALUES (nextval('ids'), 0, 'long')")
    if $round == 4 || $round == 7;
}

my $seen = $pair->source_sql(q(SELECT count(*) FROM t WHERE note = 'long'));
is($seen, 2, 'a transaction was open for several rounds');
cmp_ok($prepared_count, '>', 3, '… and some were prepared');

$pair->source_sql('INSERT INTO stop VALUES (now())');
ok($_->finish->is_ok, 'a writer ends') for @writers;
$long->query_safe('COMMIT');
for my $writer (@sessions) {
  run($writer, 'COMMIT') if $writer->{is_open};
}
$pair->source_sql("COMMIT PREPARED '$_'") for @prepared;

for my $table (@TABLES) {
  my $result = $pair->try_sql(append_sql($pair, $table, {source_table => 't'}));
  ok($result->is_ok, "the last append of $table") or diag($result->summary);
  $copied{$table} += $result->out;
  $pair->same_rows({source => 'SELECT * FROM t', destination => "SELECT * FROM $table"},
    '… all rows are here, each once');
  appends($pair, 0, $table, {source_table => 't'}, '… and another one brings nothing');
}
is($copied{from_empty}, $pair->source_sql('SELECT count(*) FROM t'),
  'what the calls have returned is what they have copied');
cmp_ok($pair->source_sql('SELECT count(*) FROM t'), '>', 500, 'the writers were busy');

$pair->nothing_left('nothing is left of the appends');
$pair->finish;
