# Appends from sources that are not where they were: set back to an older state of their storage, or
# standbys of a server that was just promoted.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";

use ParallelLoader::Append qw(:DEFAULT sql_on fill from);
use ParallelLoader::Test;
use PostgreSQL::Test::RecursiveCopy;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep);

my $pair = ParallelLoader::Test->new(
  source => {conf => "max_wal_senders = 8\nhot_standby = on\n"});
my $primary = $pair->source;

$pair->both_sql('CREATE TABLE t (id integer PRIMARY KEY, note text)');
$pair->both_sql('CREATE TABLE u (id integer PRIMARY KEY, note text)');

# ---- a cascaded standby of a server that is promoted ----

my $hba = $primary->data_dir . '/pg_hba.conf';
append_to_file($hba, "local replication all trust\nhost replication all 127.0.0.1/32 trust\n");
$primary->reload;
fill($primary, 't', 1, 40);
$primary->backup('first');
my $standby = ParallelLoader::Test::new_node('standby');
$standby->init_from_backup($primary, 'first', has_streaming => 1);
$standby->start;
$standby->backup('second');
my $cascaded = ParallelLoader::Test::new_node('cascaded');
$cascaded->init_from_backup($standby, 'second', has_streaming => 1);
$cascaded->start;

sub catch_up {
  my $lsn = sql_on($_[0], 'SELECT pg_current_wal_flush_lsn()');
  return wait_until(20, sub {
    sql_on($cascaded, "SELECT pg_last_wal_replay_lsn() >= '$lsn'") eq 't' });
}
catch_up($primary);
appends($pair, 40, 't', from($cascaded), 'an append from a cascaded standby');

# It stays open on a server that is gone: nothing tells the standbys its end at once.
my $open = $pair->session('source');
$open->query_safe(q(BEGIN; INSERT INTO t VALUES (1000, 'lost')));
fill($primary, 't', 41, 70);
catch_up($primary);
$open->close;
$primary->stop('immediate');
$standby->promote;
fill($standby, 't', 71, 100);
catch_up($standby);
my $brought = $pair->try_sql(append_sql($pair, 't', from($cascaded)));
ok($brought->is_ok, 'an append right after the promotion') or diag($brought->summary);
note('it has brought ' . $brought->out . ' of 60 rows');
# The next record of running transactions tells the standby that the lost one is over.
sql_on($standby, 'CHECKPOINT');
catch_up($standby);
appends($pair, 60 - $brought->out, 't', from($cascaded), '… and the next one brings the others');
appends($pair, 0, 't', from($cascaded), '… once');
appends($pair, 0, 't', from($standby), '… and the promoted server has nothing else');
is(sql_on($pair->destination, 'SELECT count(*), min(id), max(id) FROM t'), '100|1|100',
  '… each row is here, and nothing else');
$_->stop for $cascaded, $standby;

# ---- a storage that is set back, on the same timeline ----

$primary->start;
fill($primary, 'u', 1, 10);
$primary->stop;
my $copy = $primary->data_dir . '.copy';
PostgreSQL::Test::RecursiveCopy::copypath($primary->data_dir, $copy);
$primary->start;
fill($primary, 'u', 11, 20);
sql_on($primary, q(CREATE TABLE much AS SELECT i, repeat('x', 200) FROM generate_series(1, 30000) AS i));
appends($pair, 20, 'u', {}, 'an append');
$primary->stop;
rename $primary->data_dir, $primary->data_dir . '.late' or die $!;
rename $copy, $primary->data_dir or die $!;
chmod 0700, $primary->data_dir;
$primary->start;
# More transactions than were lost, in less WAL.
fill($primary, 'u', 101, 160);
append_fails($pair, '55000', qr/older state.*It is at WAL location/s, 'u', {},
  'a source that was set back');
$pair->destination_sql(q(TRUNCATE u; SELECT parallel_pull_forget('u')));
appends($pair, 70, 'u', {}, '… is appended from after a new beginning');
$pair->same_rows('SELECT * FROM u', '… with the rows that it has');

$pair->nothing_left('nothing is left of the appends');
$pair->finish;
