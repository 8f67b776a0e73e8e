# DROP EXTENSION and CREATE EXTENSION while pulls are there: ids begin anew, and what works for a
# pull of the old ledger must not touch the pull of the new one that has its id.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";

use ParallelLoader::Test;
use Test::More;
use Time::HiRes qw(sleep);

my $pair = ParallelLoader::Test->new(retries => 1);
my $ROWS = 20000;
$pair->source_sql(<<"SQL");
CREATE TABLE t (id bigint PRIMARY KEY, v text);
INSERT INTO t SELECT i, md5(i::text) FROM generate_series(1, $ROWS) AS i;
ANALYZE t;
SQL
$pair->destination_sql(<<'SQL');
CREATE TABLE old (id bigint, v text);
CREATE TABLE new (id bigint, v text);
SQL
my %CHUNKS = (source_table => 't', key => 'id', chunk_size => '64kB', workers => 2);

sub began {
  my ($function, %more) = @_;
  return $pair->destination_sql($pair->table_sql("parallel_pull_$function", 'old', {%CHUNKS, %more}));
}

# Each is a pull of the ledger that is removed.
my %OLD = (
  running => sub {
    my $pull = began('start');
    $pair->destination_sql("SELECT parallel_pull_alter($pull, max_rate => 100)");
    ok(wait_until(20, sub { $pair->destination_sql('SELECT count(*) FROM old') > 0 }), 'it moves rows');
    return $pull;
  },
  created => sub { return began('create') },
  'worked on' => sub {
    my $pull = began('create');
    $pair->destination_sql("SELECT parallel_pull_alter($pull, max_rate => 100)");
    return $pull;
  },
  held => sub {
    $pair->destination_sql('ALTER TABLE old ADD CONSTRAINT refuse CHECK (id < 15000)');
    my $result = $pair->try_sql($pair->table_sql('parallel_pull_table', 'old', {%CHUNKS, workers => 1}));
    like($result->summary, qr/refuse/, 'it fails');
    $pair->destination_sql('ALTER TABLE old DROP CONSTRAINT refuse');
    my $pull = $pair->newest_pull_id;
    is($pair->destination_sql(q(SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 20556)),
      1, '… and is held');
    return $pull;
  });

for my $state (sort keys %OLD) {
  $pair->destination_sql('TRUNCATE old, new');
  my $old = $OLD{$state}->();
  my $worker = $state eq 'worked on' ? $pair->session('destination') : undef;
  if ($worker) {
    $worker->start("SELECT * FROM parallel_pull_work($old, workers => 2, max_chunks => 2)");
    ok($worker->finish(30)->is_ok, 'somebody has worked on it');
    $worker->close;
  }
  my $dropped = $pair->try_sql(<<"SQL");
SET client_min_messages = error;
BEGIN; DROP EXTENSION parallel_loader; CREATE EXTENSION parallel_loader;
SELECT setval('parallel_loader.pull_pull_id_seq', $old, false); COMMIT;
SQL
  ok(!$dropped->error, "a pull that is $state: the extension is made anew") or diag($dropped->summary);
  my $before = $pair->destination_sql('SELECT count(*) FROM old');
  my $new = $pair->destination_sql($pair->table_sql('parallel_pull_create', 'new', \%CHUNKS));
  cmp_ok($new, '>=', $old, '… another pull takes its id, or the next one');
  sleep 2.5;
  is($pair->destination_sql("SELECT state || ' ' || chunks_done FROM parallel_pulls WHERE pull_id = $new"),
    'planned 0', '… it waits for those who work on it');
  is($pair->destination_sql('SELECT count(*) FROM new'), 0, '… has no rows');
  is($pair->destination_sql('SELECT count(*) FROM old'), $before, '… and none go into the other\'s table');
  is($pair->destination_sql(q(SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'parallel_loader%')),
    1, '… whose processes are gone');
  is($pair->destination_sql("SELECT sum(rows) FROM parallel_pull_work($new, workers => 2)"), $ROWS, '… it is worked on');
  $pair->state_becomes($new, 'done', '… and done');
  is($pair->destination_sql('SELECT count(*) || \' \' || count(DISTINCT id) FROM new'), "$ROWS $ROWS",
    '… with every row once');
  $pair->nothing_left('… nothing is left');
}

# One whose process does not see it: the next id is taken.
my $old = began('create');
my ($coordinator) = split /\n/, $pair->destination_sql(
  q(SELECT pid FROM pg_stat_activity WHERE backend_type = 'parallel_loader coordinator'));
kill 'STOP', $coordinator;
$pair->destination_sql(<<"SQL");
SET client_min_messages = error;
BEGIN; DROP EXTENSION parallel_loader; CREATE EXTENSION parallel_loader;
SELECT setval('parallel_loader.pull_pull_id_seq', $old, false); COMMIT;
SQL
my $new = $pair->destination_sql($pair->table_sql('parallel_pull_create', 'new', \%CHUNKS));
cmp_ok($new, '>', $old, 'an id whose lock somebody has is passed over');
kill 'CONT', $coordinator;
$pair->destination_sql("SELECT parallel_pull_cancel($new)");
$pair->state_becomes($new, 'cancelled', '… and its pull can be cancelled');

$pair->nothing_left('at the end no worker and no session is left');
$pair->finish;
