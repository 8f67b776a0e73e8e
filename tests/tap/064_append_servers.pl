# parallel_pull_append from other servers than one primary that never changes: standbys, a promoted
# one, another cluster, and sources whose transaction ids have wrapped around.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";

use ParallelLoader::Append qw(:DEFAULT sql_on fill from);
use ParallelLoader::Test;
use PostgreSQL::Test::Utils;
use Test::More;

my $pair = ParallelLoader::Test->new(retries => 1, source => {conf => "max_wal_senders = 5\nhot_standby = on\n"});

my $TABLE = 'CREATE TABLE t (id integer PRIMARY KEY, note text)';
$pair->both_sql($TABLE);

# ---- a hot standby ----

my $primary = $pair->source;
fill($primary, 't', 1, 20);
$primary->backup('base');
my $standby = ParallelLoader::Test::new_node('standby');
$standby->init_from_backup($primary, 'base', has_streaming => 1);
$standby->start;

appends($pair, 20, 't', from($standby), 'a hot standby as source');
my $long = $pair->session('source');
$long->query_safe(q(BEGIN; INSERT INTO t VALUES (21, 'long'); SAVEPOINT s;
  INSERT INTO t VALUES (22, 'long'); RELEASE s));
fill($primary, 't', 23, 30);
$primary->wait_for_catchup($standby);
appends($pair, 0, 't', from($standby), '… waits for transactions that are open on the primary');
$long->query_safe('COMMIT');
$primary->wait_for_catchup($standby);
appends($pair, 10, 't', from($standby), '… and takes all once they have ended');
fill($primary, 't', 31, 35);
appends($pair, 5, 't', {}, 'the primary goes on where the standby was');
$primary->wait_for_catchup($standby);
appends($pair, 0, 't', from($standby), '… and the standby where the primary was');
$pair->same_rows('SELECT * FROM t', '… all rows are here, each once');

# ---- a standby that lags, and is promoted ----

$standby->stop;
fill($primary, 't', 36, 45);
appends($pair, 10, 't', {}, 'rows that the standby does not have');
$standby->start;
$primary->wait_for_catchup($standby);
sql_on($standby, 'SELECT pg_wal_replay_pause()');
fill($primary, 't', 46, 65);
appends($pair, 20, 't', {}, '… nor these');
append_fails($pair, '55000', qr/not the one.*or is an older state of it.*up to \d+.*next one is \d+/s, 't',
  from($standby), 'a standby that lags is an older state');
sql_on($standby, 'SELECT pg_wal_replay_resume()');
$primary->wait_for_catchup($standby);
$standby->stop;
fill($primary, 't', 66, 85);
appends($pair, 20, 't', {}, 'the last rows of a primary');
$primary->stop('immediate');
$standby->start;
$standby->promote;
is(sql_on($standby, 'SELECT max(id) FROM t'), 65, '… which the promoted standby has never seen');
# Under transaction ids that the old primary had used for others.
fill($standby, 't', 101, 140);
appends($pair, 40, 't', from($standby), 'a promoted standby: rows under ids used before');
appends($pair, 0, 't', from($standby), '… each once');
fill($standby, 't', 141, 145);
appends($pair, 5, 't', from($standby), '… and it goes on');
is($pair->destination_sql('SELECT count(*) FROM t WHERE id > 100'), 45, '… with all of them here');
is($pair->destination_sql('SELECT count(*) FROM t WHERE id <= 85'), 85,
  '… beside those that the promoted one has lost');
is($pair->destination_sql('SELECT DISTINCT source_timeline FROM parallel_loader.mark'), 2,
  '… the mark is of the new timeline');
$standby->stop;

# ---- another cluster, whose ids wrap around ----

my $old = ParallelLoader::Test::start_node('old');
sql_on($old, $TABLE);
fill($old, 't', 1, 500);
append_fails($pair, '55000', qr/not the one/, 't', from($old), 'another cluster');

# Stops `old`, calls `before`, sets its next transaction id and starts it again.
sub reset_xid {
  my ($before, @options) = @_;
  $old->stop;
  $before->();
  system_or_bail('pg_resetwal', @options, '-D', $old->data_dir);
  $old->start;
  return;
}

sub next_xid { return sql_on($old, 'SELECT pg_snapshot_xmax(pg_current_snapshot())') }

$pair->destination_sql('TRUNCATE t; DELETE FROM parallel_loader.pull;
  DELETE FROM parallel_loader.mark');
my %old = %{from($old)};
pulls($pair, 't', \%old, 'a cluster before the first wrap-around');
$pair->destination_sql("CREATE TABLE late (LIKE t)");
appends($pair, 500, 'late', {%old, source_table => 't'}, '… and an append');

sql_on($old, 'VACUUM FREEZE');
# The last 300 ids before 2^32; the page of their states is not there yet.
reset_xid(sub { append_to_file($old->data_dir . '/pg_xact/0FFF', "\0" x 262144) },
  '-x', 4294967296 - 300);
fill($old, 't', 501, 510);
cmp_ok(next_xid(), '<', 2**32, 'ids just below 2^32');
for my $table (qw(t late)) {
  appends($pair, 10, $table, {%old, source_table => 't'}, "… new rows in $table");
}
my $open = ParallelLoader::Session->new($old);
$open->query_safe(q(BEGIN; INSERT INTO t VALUES (511, 'open across 2^32')));
fill($old, 't', 512, 1000);
cmp_ok(next_xid(), '>', 2**32, 'ids beyond 2^32');
for my $table (qw(t late)) {
  appends($pair, 0, $table, {%old, source_table => 't', key => 'id'},
    "… a transaction that is open across it holds $table back");
}
$open->query_safe('COMMIT');
fill($old, 't', 1001, 1010);
sub all_here {
  my ($rule) = @_;
  local $Test::Builder::Level = $Test::Builder::Level + 1;
  my $there = sql_on($old, 'SELECT count(*), sum(id) FROM t');
  is($pair->destination_sql("SELECT count(*), sum(id) FROM $_"), $there, "$rule: $_")
    for qw(t late);
  return;
}
for my $table (qw(t late)) {
  appends($pair, 500, $table, {%old, source_table => 't'}, "… then all come to $table");
  appends($pair, 0, $table, {%old, source_table => 't'}, '… once');
}
all_here('all rows are here, each once, after the first wrap-around');
# Ids that rows of the first time have, too.
fill($old, 't', 1011, 1500);
appends($pair, 490, $_, {%old, source_table => 't'}, "ids of which each was used before: $_")
  for qw(t late);
all_here('… all rows are here');

# An append that was not called for more than half of all ids.
reset_xid(sub { }, '-e', 5);
cmp_ok(next_xid(), '>', 5 * 2**32, 'the sixth time around');
fill($old, 't', 1501, 1510);
appends($pair, 10, $_, {%old, source_table => 't'}, "… new rows in $_") for qw(t late);
all_here('… all rows are here');
$pair->destination_sql('CREATE TABLE fresh (LIKE t)');
appends($pair, 1510, 'fresh', {%old, source_table => 't'}, 'an empty table after a wrap-around');
fill($old, 't', 1511, 1512);
appends($pair, 2, 'fresh', {%old, source_table => 't'}, '… and its new rows');

$pair->nothing_left('nothing is left of the appends', skip_source => 1);
$pair->finish;
