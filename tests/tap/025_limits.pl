# Memory where it might add up or grow large: a session that has seen a thousand pulls fail, and values
# of hundreds of megabytes.  PARALLEL_LOADER_BIG=1 pulls one of 600 MB, too.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";

use ParallelLoader::Memory;
use ParallelLoader::Test;
use Test::More;
use Time::HiRes qw(sleep);

my $pair = ParallelLoader::Test->new(retries => 1);
$pair->create_gate;

# ---- pulls that fail ----

$pair->source_sql('CREATE TABLE few (id integer PRIMARY KEY, note text);'
    . " INSERT INTO few SELECT i, repeat('n', 100) FROM generate_series(1, 200) AS i");
$pair->destination_sql('CREATE TABLE few (id integer, note text)');

# Runs `sql`, which fails with `sqlstate`, `count` times in one session of the server.
sub fails_without_growth {
  my ($count, $sql, $sqlstate, $rule) = @_;
  my $session = $pair->session('destination');
  my $quoted = literal($sql);
  my $run = sub {
    my ($times) = @_;
    # All in one statement: a session's work between two statements is not what is tested.
    return $session->query(<<"SQL", 300);
DO \$do\$
BEGIN
  FOR turn IN 1 .. $times LOOP
    BEGIN
      EXECUTE $quoted;
      RAISE 'it succeeded';
    EXCEPTION WHEN SQLSTATE '$sqlstate' THEN NULL;
    END;
  END LOOP;
END \$do\$
SQL
  };
  # The first ones fill caches; what comes after them must not add up.
  my $warm = 20;
  is($run->($warm)->summary, 'success: ', "$rule: the first $warm fail as they are to");
  my $pid = $session->backend_pid;
  my ($files, $before) = (open_files($pid), own_megabytes($pid));
  my $turns = $count / 20;
  my $failed = grep { !$run->($turns)->is_ok } 1 .. 20;
  is($failed, 0, "… and $count more");
  my $growth = own_megabytes($pid) - $before;
  note sprintf '%s: grown by %.2f MB after %d', $rule, $growth, $count;
  cmp_ok($growth, '<', 1, '… after which the session is as small as before');
  is(open_files($pid), $files, '… and has no file open for it');
  $session->close;
  return;
}

fails_without_growth(1000, $pair->pull_sql('few', undef, undef, {source_table => 'missing'}),
  '42P01', 'pulls that fail in planning');
fails_without_growth(1000, $pair->pull_sql('few', undef, undef, {format => 'none'}),
  '22023', 'pulls that fail before they begin');
fails_without_growth(1000, 'SELECT parallel_pull_alter(123456789, workers => 1)',
  '42704', 'calls for a pull that does not exist');
$pair->source_sql('CREATE VIEW breaking AS SELECT id, (1 / (200 - id))::text AS note FROM few');
fails_without_growth(50, $pair->pull_sql('few', undef, undef,
    {source_table => 'breaking', key => 'id'}), '22012', 'pulls that fail at their last row');
# As many snapshots as the ledger may keep would be as many processes.
$pair->nothing_left('… and nothing is left');

my $session = $pair->session('destination');
$session->query('SELECT count(*) FROM parallel_pulls');
my $before = own_megabytes($session->backend_pid);
$session->query('SELECT count(*), max(rows) FROM parallel_pulls') for 1 .. 30;
cmp_ok(own_megabytes($session->backend_pid) - $before, '<', 1,
  'nor does a session grow that reads the views again and again');
$session->close;

# ---- processes that live long ----

# Hundreds of chunks, each a transaction here and a statement on the source.
$pair->source_sql("CREATE TABLE many (id integer PRIMARY KEY, note text);"
    . " INSERT INTO many SELECT i, repeat(md5(i::text), 30) FROM generate_series(1, 60000) AS i");
$pair->destination_sql('CREATE UNLOGGED TABLE many (id integer, note text)');
my $pull_id = $pair->destination_sql($pair->table_sql('parallel_pull_start', 'many',
    {workers => 1, chunk_size => '64kB'}));
ok(wait_until(30, sub { ($pair->pull($pull_id)->{chunks_done} // 0) >= 50 }), 'a pull has many chunks');
my ($worker) = $pair->worker_pids;
my $early = own_megabytes($worker);
my $late = $early;
while (defined(my $megabytes = own_megabytes($worker))) {
  $late = $megabytes;
  sleep 0.02;
}
my $chunks = $pair->pull($pull_id)->{chunks};
cmp_ok($chunks, '>', 250, '… hundreds of them');
is($pair->destination_sql("SELECT parallel_pull_wait($pull_id)"), 'done', '… and ends');
note sprintf 'the worker: %.2f MB early, %.2f MB after %d chunks', $early, $late, $chunks;
cmp_ok($late - $early, '<', 1, '… whose one worker has not grown');

$pull_id = $pair->destination_sql($pair->table_sql('parallel_pull_create', 'many',
    {workers => 1, chunk_size => '1MB'}));
my ($coordinator) = $pair->coordinator_pids;
my $ALTERS = "SELECT parallel_pull_alter($pull_id, workers => 0, max_rate => 1 + i % 5), pg_sleep(0.002)"
  . ' FROM generate_series(1, 1000) AS i';
$pair->destination_sql($ALTERS);
my ($megabytes, $files) = (own_megabytes($coordinator), open_files($coordinator));
$pair->destination_sql($ALTERS);
my $grown = (own_megabytes($coordinator) // 0) - $megabytes;
note sprintf 'the coordinator: %.2f MB, grown by %.2f MB', $megabytes, $grown;
cmp_ok(abs $grown, '<', 0.5, 'a coordinator that turns a thousand times has not grown');
is($pair->pull($pull_id)->{state}, 'paused', '… nor given up, as if so many turns were so much time');
# One or two may be a relation or a segment of the log that was first looked at in between.
cmp_ok(open_files($coordinator) - $files, '<', 5, '… and has hardly more files open');
$pair->destination_sql("SELECT parallel_pull_cancel($pull_id)");
$pair->nothing_left('… and ends when it is cancelled');

# ---- large values ----

$pair->both_sql('CREATE TABLE huge (id integer, body bytea);'
    . ' ALTER TABLE huge ALTER body SET STORAGE EXTERNAL');
$pair->source_sql('CREATE VIEW gated AS SELECT id, body FROM huge WHERE gate(id, 1)');

# A value of `megabytes` crosses; the worker's memory stays a small multiple of it.
sub crosses {
  my ($megabytes, $multiple) = @_;
  $pair->both_sql('TRUNCATE huge');
  # In halves, as text of more than a gigabyte cannot be.
  $pair->source_sql("INSERT INTO huge SELECT 1, half || half"
      . " FROM (SELECT decode(repeat('5a', $megabytes * 512 * 1024), 'hex') AS half OFFSET 0) AS halves"
      . "; INSERT INTO huge VALUES (2, 'small')");
  my ($result, $peak) = peak_of_pull($pair, $pair->pull_sql('huge', undef, undef,
      {format => 'binary', workers => 1, source_table => 'gated'}));
  is($result->summary, 'success: 2', "a value of $megabytes MB crosses");
  is($pair->destination_sql('SELECT id, length(body), md5(body) FROM huge ORDER BY id'),
    $pair->source_sql('SELECT id, length(body), md5(body) FROM huge ORDER BY id'), '… unchanged');
  note sprintf '%d MB: %.0f MB in the worker', $megabytes, $peak;
  cmp_ok($peak, '<', $multiple * $megabytes + 64, "… in less than $multiple times its size");
  return;
}

crosses(300, 5);
SKIP: {
  skip 'only with PARALLEL_LOADER_BIG=1', 3 unless $ENV{PARALLEL_LOADER_BIG};
  crosses(600, 5);
}

$pair->nothing_left('no process or session is left');
$pair->finish;
