# Rows of the heap route reach those who follow the destination: a streaming standby has the same
# bytes, a logical subscriber every row, and neither has any of a chunk that was rolled back.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";

use ParallelLoader::Test;
use Test::More;

my $pair = ParallelLoader::Test->new(destination => {
  conf => "wal_level = logical\nmax_wal_senders = 5\nmax_replication_slots = 5\n"
    . "max_logical_replication_workers = 4\nhot_standby = on\n"});
my $destination = $pair->destination;
$pair->create_gate;

my $ROWS = 30000;
my $TABLE = 'CREATE TABLE t (id integer PRIMARY KEY, note text, body text)';
$pair->source_sql(<<"SQL");
$TABLE;
INSERT INTO t SELECT i, CASE WHEN i % 3 > 0 THEN 'note ' || i END,
  CASE WHEN i % 1000 = 0 THEN (SELECT string_agg(md5((i * j)::text), '')
    FROM generate_series(1, 200) AS j) END FROM generate_series(1, $ROWS) AS i;
SQL
$pair->destination_sql("$TABLE; CREATE PUBLICATION p FOR TABLE t");

my $HASH = 'SELECT count(*), sum(hashtextextended(t::text, 0)) FROM t';
my $expected = $pair->source_sql($HASH);

# ---- those who follow ----

$destination->backup('base');
my $standby = ParallelLoader::Test::new_node('standby');
$standby->init_from_backup($destination, 'base', has_streaming => 1);
$standby->start;

my $subscriber = ParallelLoader::Test::new_node('subscriber');
$subscriber->init;
$subscriber->append_conf('postgresql.conf', 'max_logical_replication_workers = 4');
$subscriber->start;
$subscriber->safe_psql('postgres', $TABLE);
my $publisher = literal($destination->connstr('postgres'));
$subscriber->safe_psql('postgres', "CREATE SUBSCRIPTION s CONNECTION $publisher PUBLICATION p");
$subscriber->wait_for_subscription_sync($destination, 's');

sub followers_have {
  my ($rows, $rule) = @_;
  local $Test::Builder::Level = $Test::Builder::Level + 1;
  $destination->wait_for_catchup($standby, 'replay', $destination->lsn('insert'));
  $destination->wait_for_catchup('s');
  is($standby->safe_psql('postgres', $HASH), $rows, "$rule: on the standby");
  is($subscriber->safe_psql('postgres', $HASH), $rows, '… and at the subscriber');
  return;
}

# ---- rows that are rolled back, and rows that are not ----

my $caller = $pair->session('destination');
$pair->close_gate;
$caller->start($pair->pull_sql('t', undef, undef,
    {workers => 1, filter => "public.gate(id, $ROWS - 10)"}));
$pair->wait_at_gate;
$pair->destination_sql('SELECT parallel_pull_cancel(' . $pair->newest_pull_id . ')');
$caller->finish;
$caller->close;
$pair->open_gate;
followers_have('0|', 'a chunk that was rolled back leaves nothing');

is($pair->destination_sql($pair->pull_sql('t', undef, undef,
      {workers => 3, format => 'binary'})), $ROWS, 'a pull of all rows');
is(join(' ', map { $_->{route} } grep { $_->{route} ne 'heap' }
      $pair->chunks($pair->newest_pull_id)), '', '… by the heap route');
is($pair->destination_sql($HASH), $expected, '… which are the source\'s');
followers_have($expected, '… every row');

# The same bytes, but for hints, which the standby sets by itself.
my $BYTES = <<'SQL';
SELECT md5(string_agg(concat_ws('|', blkno, lp, t_xmin, t_ctid, t_hoff, t_bits, encode(t_data, 'hex')),
  ',' ORDER BY blkno, lp))
FROM generate_series(0, pg_relation_size('t') / current_setting('block_size')::integer - 1) AS blkno
CROSS JOIN LATERAL heap_page_items(get_raw_page('t', blkno::integer))
SQL
$pair->destination_sql('CREATE EXTENSION pageinspect; CREATE EXTENSION amcheck');
$destination->wait_for_catchup($standby, 'replay', $destination->lsn('insert'));
is($standby->safe_psql('postgres', $BYTES), $pair->destination_sql($BYTES),
  'the standby has the destination\'s pages');
is($standby->safe_psql('postgres', q(SELECT count(*) FROM verify_heapam('t'))), 0, '… which are sound');

$pair->nothing_left('no process or session is left');
$subscriber->safe_psql('postgres', 'DROP SUBSCRIPTION s');
$subscriber->stop;
$standby->stop;
$pair->finish;
