# What no lock on a table keeps from happening while it is read: names come to stand for other tables; and
# between sessions that read it: rows get columns, which matter to a filter that reads them as a whole.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";

use ParallelLoader::FilteredPull qw(work);
use ParallelLoader::Test;
use Test::More;

my $pair = ParallelLoader::Test->new(destination => {conf => <<'CONF'});
parallel_loader.snapshot_hold = 10min
parallel_loader.retry_budget = 2min
CONF
my $pulls = ParallelLoader::FilteredPull->with_tables($pair);

# ---- names ----

# While a worker's session reads chunk after chunk.
sub ends_when_renamed {
  my ($what, $pull, $rename, $message) = @_;
  $pair->close_gate;
  my $id = $pulls->create($pull->{filter}, %{$pull->{named} // {}});
  my $worker = $pair->session('destination');
  $worker->start(work($id));
  $pair->wait_at_gate;
  $pair->source_sql($rename);
  $pair->open_gate;
  like($worker->finish(60)->summary, qr/55000.*$message/s, "$what: the pull ends");
  is($pulls->wrong_rows, 0, '… and no row has come that is not wanted');
  $pair->destination_sql("SELECT parallel_pull_cancel($id)");
  $pair->destination_sql('TRUNCATE t');
  return;
}

$pair->create_gate;
$pair->source_sql(<<'SQL');
CREATE SCHEMA blue;
CREATE SCHEMA green;
CREATE TABLE blue.t AS SELECT id, pad FROM public.t WHERE id % 2 = 1;
CREATE TABLE green.t AS SELECT id, pad FROM public.t WHERE id % 2 = 0;
CREATE TABLE blue.flt AS SELECT id FROM blue.t;
CREATE TABLE green.flt AS SELECT id FROM green.t;
CREATE TABLE green.other AS SELECT id FROM green.t;
ALTER TABLE blue.t ADD PRIMARY KEY (id);
ALTER TABLE green.t ADD PRIMARY KEY (id);
CREATE TABLE blue.cut (LIKE t) PARTITION BY RANGE (id);
CREATE TABLE blue.cut_1 PARTITION OF blue.cut FOR VALUES FROM (0) TO (10000);
INSERT INTO blue.cut SELECT * FROM blue.t;
CREATE TABLE green.cut_1 AS TABLE green.t;
SQL
my $SWAP = 'ALTER SCHEMA blue RENAME TO red; ALTER SCHEMA green RENAME TO blue; ALTER SCHEMA red RENAME TO green';
my $GATED = 'public.gate(id, 1000)';
my $IS_OTHER = 'is no longer the one that was planned';
ends_when_renamed('schemas that exchange their names', {filter => $GATED, named => {source_table => 'blue.t'}}, $SWAP, $IS_OTHER);
$pair->source_sql($SWAP);
ends_when_renamed('… those of a partition', {filter => $GATED, named => {source_table => 'blue.cut'}}, $SWAP, $IS_OTHER);
$pair->source_sql($SWAP);
ends_when_renamed('… that of a table that the filter reads', {filter => "id IN (SELECT id FROM blue.flt) AND $GATED"}, $SWAP,
  'filter of pull .* reads other tables.*New is blue.flt');
$pair->source_sql($SWAP);
$pair->source_sql('ALTER ROLE postgres SET search_path = green, blue, public; ALTER TABLE green.flt RENAME TO late');
ends_when_renamed('a table that comes before it in the path', {filter => "id IN (SELECT id FROM flt) AND $GATED"},
  'ALTER TABLE green.late RENAME TO flt', 'filter of pull .* reads other tables.*New is green.flt');
$pair->source_sql('ALTER ROLE postgres RESET search_path');

my %append = (key => 'id', columns => [qw(id pad)], source_table => 'blue.t', filter => $GATED);
$pair->destination_sql($pair->table_sql('parallel_pull_append', 't', \%append));
$pair->source_sql(q(INSERT INTO blue.t VALUES (6001, 'new'); INSERT INTO green.t VALUES (6002, 'new')));
$pair->close_gate;
my $appending = $pair->session('destination');
$appending->start($pair->table_sql('parallel_pull_append', 't', \%append));
$pair->wait_at_gate;
$pair->source_sql($SWAP);
$pair->open_gate;
like($appending->finish(60)->summary, qr/55000.*$IS_OTHER.*HINT:\s+Call parallel_pull_append again/s, 'an append in between: to be repeated');
is($pulls->count, 3000, '… nothing has come');
$pair->source_sql($SWAP);
is($pair->destination_sql($pair->table_sql('parallel_pull_append', 't', \%append)), 1, '… the next one brings what is new');
$pair->destination_sql(q(TRUNCATE t; SELECT parallel_pull_forget('t')));

# ---- a filter that reads rows as a whole ----

for my $case (['the table', 't', 't'], ['a partition', 'whole', 'whole']) {
  my ($what, $source, $altered) = @$case;
  my $filter = "$source\::text LIKE '%x)' AND id % 2 = 1";
  $pair->destination_sql('TRUNCATE t');
  my $id = $pulls->create($filter, source_table => $source);
  $pair->destination_sql(work($id, ', max_chunks => 1'));
  my $done = $pulls->count;
  $pair->source_sql("ALTER TABLE $altered ADD added integer", timeout => 60);
  $pair->error_is(work($id), '55000', qr/was altered|of the source/, "a column that $what gets: the pull ends", timeout => 60);
  is($pulls->count, $done, '… and no row is missing among more');
  $pair->destination_sql("SELECT parallel_pull_cancel($id)");
  $pair->error_is("SELECT parallel_pull_resume($id, new_snapshot => true)", '55000', qr/other columns/, '… and is not resumed');
  $pair->source_sql("ALTER TABLE $altered DROP added");
}

$pair->finish;
