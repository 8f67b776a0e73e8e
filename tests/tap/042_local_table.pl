# The local table changes under a pull: emptied, made anew, rewritten, emptied by a crash, its
# partitions taken away, between failure and resume, between two chunks, between two appends.  What
# is told as done is there, or nothing is told as done.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";

use ParallelLoader::Append;
use ParallelLoader::Test;
use Test::More;

my $pair = ParallelLoader::Test->new(
  destination => {conf => <<'CONF'});
parallel_loader.retry_budget = 0
parallel_loader.snapshot_hold = 10min
max_worker_processes = 24
CONF

# Some chunks; the row that the destination refuses lies in the middle.
my $ROWS = 20000;
my $REFUSED = 12000;
$pair->source_sql(<<"SQL");
CREATE TABLE t (id integer PRIMARY KEY, note text);
INSERT INTO t SELECT i, repeat('n', 250) || i FROM generate_series(1, $ROWS) AS i;
SQL

my $PLAIN = 'CREATE TABLE t (id integer PRIMARY KEY, note text)';
my $PARTS = <<"SQL";
CREATE TABLE t (id integer PRIMARY KEY, note text) PARTITION BY RANGE (id);
CREATE TABLE old PARTITION OF t FOR VALUES FROM (MINVALUE) TO (1000);
CREATE TABLE young PARTITION OF t FOR VALUES FROM (1000) TO (MAXVALUE);
SQL

# ---- what the cases share ----

sub make {
  my ($sql) = @_;
  $pair->destination_sql("DROP TABLE IF EXISTS t, old, young, aside; $sql");
  return;
}

# Makes the table, and fails a pull into it halfway; returns its id.
sub fail_midway {
  my ($sql) = @_;
  local $Test::Builder::Level = $Test::Builder::Level + 1;
  make("$sql; ALTER TABLE t ADD CONSTRAINT ok CHECK (id <> $REFUSED)");
  my %named = (key => 'id', workers => 1, chunk_size => '1MB', format => 'text');
  $pair->error_is($pair->table_sql('parallel_pull_table', 't', \%named), '23514',
    qr/failed at chunk/, 'a pull that fails');
  $pair->destination_sql('ALTER TABLE t DROP CONSTRAINT ok');
  my $pull = $pair->pull;
  cmp_ok($pull->{chunks_done}, '>', 0, '… with some chunks done');
  return $pull->{pull_id};
}

sub resume_sql {
  my ($pull_id, $more) = @_;
  return "SELECT rows FROM parallel_pull_resume($pull_id, " . literal($pair->dsn) . ($more // '')
    . ')';
}

sub count { return $pair->destination_sql('SELECT count(*) FROM t') }
sub let_go { return $pair->destination_sql("SELECT parallel_pull_cancel($_[0])") }

# Checks that a resume is refused, changes nothing, and stays refused.
sub refuses {
  my ($pull_id, $pattern, $rule) = @_;
  local $Test::Builder::Level = $Test::Builder::Level + 1;
  my $before = count();
  for my $more ('', ', new_snapshot => true') {
    $pair->error_is(resume_sql($pull_id, $more), '55000',
      qr/pull $pull_id cannot be resumed.*$pattern.*parallel_pull_keep\('public\.t'\)/s, $rule);
    is($pair->pull($pull_id)->{state}, 'failed', '… the pull has failed, as before');
    is(count(), $before, '… with the rows that are there');
  }
  return;
}

# ---- between failure and resume ----

my %CHANGES = (
  'TRUNCATE t' => qr/public\.t, it was emptied/,
  'TRUNCATE t; INSERT INTO t VALUES (1)' => qr/public\.t, it was emptied/,
  'VACUUM FULL t' => qr/rewritten/,
  'CLUSTER t USING t_pkey' => qr/rewritten/,
  'ALTER TABLE t ALTER id TYPE bigint; ALTER TABLE t ALTER id TYPE integer' =>
    qr/rewritten/,
  'ALTER TABLE t SET UNLOGGED' => qr/rewritten/);
for my $change (sort keys %CHANGES) {
  my $pull = fail_midway($PLAIN);
  my $left = count();
  $pair->destination_sql($change);
  refuses($pull, $CHANGES{$change}, "$change between failure and resume");
  if (count() == $left) { # the rows are all there: the caller may say so
    is($pair->destination_sql(q(SELECT parallel_pull_keep('t'))), 1, '… the caller vouches');
    is($pair->try_sql(resume_sql($pull))->out, $ROWS, '… and it goes on');
    $pair->same_rows('SELECT * FROM t', '… to the rows of the source');
  } else {
    let_go($pull);
    $pair->destination_sql('TRUNCATE t');
    pulls($pair, 't', {}, '… the table emptied and pulled again');
    $pair->same_rows('SELECT * FROM t', '… has the rows of the source');
  }
}

{
  my $pull = fail_midway($PLAIN);
  make($PLAIN);
  $pair->error_is(resume_sql($pull), '42P01', qr/table public\.t of pull $pull no longer exists.*HINT/s,
    'the table is dropped and made anew');
  is($pair->pull($pull)->{table_name}, 'public.t', '… the view names it as the ledger knows it');
  is(count(), 0, '… nothing comes into the new one');
  let_go($pull);
}

my %PART_CHANGES = (
  'TRUNCATE old' => qr/public\.old, it was emptied/,
  'ALTER TABLE t DETACH PARTITION old' => qr/public\.old, which rows went into, is no longer part/,
  'DROP TABLE old' => qr/Table public\.old, which rows went into, no longer exists/,
  'VACUUM FULL old' => qr/public\.old, it was emptied .* or rewritten/);
for my $change (sort keys %PART_CHANGES) {
  my $pull = fail_midway($PARTS);
  $pair->destination_sql($change);
  refuses($pull, $PART_CHANGES{$change}, "$change between failure and resume");
  let_go($pull);
}

{
  my $pull = fail_midway($PARTS);
  $pair->destination_sql(<<'SQL');
ALTER TABLE t DETACH PARTITION young;
CREATE TABLE middle PARTITION OF t FOR VALUES FROM (1000) TO (18000);
INSERT INTO t TABLE young;
CREATE TABLE last PARTITION OF t FOR VALUES FROM (18000) TO (MAXVALUE);
SQL
  refuses($pull, qr/public\.young, which rows went into, is no longer part/, 'partitions are cut anew');
  is($pair->destination_sql(q(SELECT parallel_pull_keep('t'))), 1, '… the caller vouches');
  is($pair->try_sql(resume_sql($pull))->out, $ROWS, '… and it goes on');
  $pair->same_rows('SELECT * FROM t', '… to the rows of the source');
}

{
  my $pull = fail_midway($PARTS);
  $pair->destination_sql(<<'SQL');
ALTER TABLE t DETACH PARTITION young;
ALTER TABLE t ATTACH PARTITION young FOR VALUES FROM (1000) TO (18000);
CREATE TABLE last PARTITION OF t FOR VALUES FROM (18000) TO (MAXVALUE);
SQL
  is($pair->try_sql(resume_sql($pull))->out, $ROWS, 'a new partition is no hindrance');
  $pair->same_rows('SELECT * FROM t', '… all rows are there');
}

# Bounds that were given up (the source was not known to have flushed what the snapshot showed) are no
# ground for an append, whatever snapshot the pull goes on under.
{
  my $pull = fail_midway($PLAIN);
  $pair->destination_sql('UPDATE parallel_loader.pull SET snapshot_xmin = NULL, '
    . "snapshot_xmax = NULL WHERE pull_id = $pull");
  is($pair->try_sql(resume_sql($pull, ', new_snapshot => true'))->out, $ROWS,
    'a pull whose bounds were given up goes on under a new snapshot');
  is($pair->destination_sql('SELECT snapshot_xmin, snapshot_xmax FROM parallel_loader.pull '
      . "WHERE pull_id = $pull"), '|', '… without bounds');
  append_fails($pair, '55000', qr/no mark/, 't', {}, '… so no append goes on from it');
}

# ---- between two chunks ----

sub create_pull {
  return $pair->destination_sql($pair->table_sql('parallel_pull_create', 't',
    {key => 'id', workers => 1, chunk_size => '1MB', format => 'text'}));
}


{
  make($PLAIN);
  my $pull = create_pull();
  $pair->destination_sql("SELECT parallel_pull_work($pull, max_chunks => 1)");
  $pair->destination_sql('TRUNCATE t');
  $pair->error_is("SELECT parallel_pull_work($pull)", '55000',
    qr/table public\.t was changed while the pull ran.*emptied.*parallel_pull_keep/s,
    'TRUNCATE between two chunks');
  is($pair->pull($pull)->{state}, 'failed', '… fails the pull');
  is(count(), 0, '… before the next chunk is committed');
  $pair->error_is(resume_sql($pull), '55000', qr/emptied/, '… and keeps it from a resume');
  let_go($pull);
}

{
  make($PARTS);
  my $pull = create_pull();
  $pair->destination_sql("SELECT parallel_pull_work($pull, max_chunks => 1)");
  $pair->destination_sql('TRUNCATE old');
  $pair->error_is("SELECT parallel_pull_work($pull); SELECT parallel_pull_wait($pull);"
      . resume_sql($pull), '55000', qr/public\.old, it was emptied/,
    'TRUNCATE of a partition that later chunks leave alone');
  is($pair->pull($pull)->{state}, 'failed', '… does not end as done');

  # What is left to be done needs no source.
  let_go($pull);
  is($pair->destination_sql(q(SELECT parallel_pull_keep('t'))), 1, '… the caller vouches');
  for my $more (q('host=/nowhere'), 'NULL, new_snapshot => true') {
    my $rows = $pair->pull($pull)->{rows};
    is($pair->try_sql("SELECT rows FROM parallel_pull_resume($pull, $more)")->summary, "success: $rows",
      "… and a resume without a chunk to move asks no source ($more)");
    is($pair->pull($pull)->{state}, 'done', '… it is done');
  }
  $pair->source_sql("INSERT INTO t VALUES ($ROWS + 1, 'new')");
  appends($pair, 1, 't', {}, '… and an append goes on from it');
  $pair->source_sql("DELETE FROM t WHERE id > $ROWS");
}

# All chunks done, but the coordinator went before it had seen what the source flushes.
{
  make($PLAIN);
  my $pull = create_pull();
  $pair->destination_sql("SELECT parallel_pull_work($pull); SELECT parallel_pull_wait($pull)");
  $pair->destination_sql("UPDATE parallel_loader.pull SET state = 'running', finished = NULL, source_flushed = NULL"
      . " WHERE pull_id = $pull");
  my $result = $pair->try_sql("SELECT rows FROM parallel_pull_resume($pull, 'host=/nowhere')");
  is($result->summary, "success: $ROWS", 'an interrupted pull with all chunks done needs no source');
  like($result->err, qr/WARNING.*leaves no mark/, '… and says that it leaves no mark');
  append_fails($pair, '55000', qr/Pull $pull left none: the source did not confirm/, 't', {}, '… so that no append goes on from it');
}

# Names that would break a list of words, of partitions that are gone.
{
  make('CREATE TABLE t (id integer PRIMARY KEY, note text) PARTITION BY RANGE (id);'
      . 'CREATE TABLE "o l%d:u 20%" PARTITION OF t FOR VALUES FROM (MINVALUE) TO (1000);'
      . 'CREATE TABLE young PARTITION OF t FOR VALUES FROM (1000) TO (MAXVALUE)');
  my $pull = create_pull();
  $pair->destination_sql("SELECT parallel_pull_work($pull, max_chunks => 1)");
  is($pair->destination_sql('SELECT count(*) FROM parallel_loader.unlogged_chunk WHERE pull_id = ' . $pull), 0,
    'a name with a colon is no mark of an unlogged table');
  $pair->destination_sql('DROP TABLE "o l%d:u 20%"');
  $pair->error_is("SELECT parallel_pull_work($pull); SELECT parallel_pull_wait($pull);" . resume_sql($pull), '55000',
    qr/Table public\."o l%d:u 20%", which rows went into, no longer exists/,
    'a partition that was dropped is told by its name');
}

# Dropped while it is pulled.
{
  make($PLAIN);
  my $pull = create_pull();
  $pair->destination_sql("SELECT parallel_pull_work($pull, max_chunks => 1)");
  $pair->destination_sql('DROP TABLE t');
  $pair->error_is("SELECT parallel_pull_work($pull)", '42P01', qr/public\.t\b.*no longer exists/s, 'a table that was dropped is named');
  let_go($pull);
}

# ---- unlogged tables ----

{
  my $pull = fail_midway($PLAIN =~ s/TABLE/UNLOGGED TABLE/r);
  is($pair->try_sql(resume_sql($pull))->out, $ROWS, 'an unlogged table without a crash');
  $pair->same_rows('SELECT * FROM t', '… gets all rows');
}

{
  my $pull = fail_midway($PLAIN =~ s/TABLE/UNLOGGED TABLE/r);
  $pair->destination_sql('CHECKPOINT');
  $pair->crash('destination')->();
  is(count(), 0, 'a crash empties an unlogged table');
  refuses($pull, qr/unlogged table, which was emptied/, '… a resume is refused');
  $pair->destination_sql(q(SELECT parallel_pull_keep('t')));
  is($pair->try_sql(resume_sql($pull, ', new_snapshot => true'))->is_ok, 1,
    '… unless the caller wants it so');
}

# ---- between two appends ----

# Only the first rows, so that more can follow.
sub begin_append {
  my ($sql, $how) = @_;
  local $Test::Builder::Level = $Test::Builder::Level + 1;
  make($sql);
  $pair->destination_sql('DELETE FROM parallel_loader.mark; DELETE FROM parallel_loader.pull');
  $pair->source_sql('DELETE FROM t WHERE id > 3000');
  $how eq 'pull' ? pulls($pair, 't', {}, 'a whole pull') : appends($pair, 3000, 't', {}, 'an append');
  $pair->source_sql("INSERT INTO t SELECT i, 'later' FROM generate_series(3001, 3100) AS i");
  return;
}

sub append_is_refused {
  my ($pattern, $rule) = @_;
  local $Test::Builder::Level = $Test::Builder::Level + 1;
  return append_fails($pair, '55000',
    qr/cannot append to table public\.t: rows.*$pattern.*parallel_pull_keep\('public\.t'\).*parallel_pull_forget\('public\.t'\)/s,
    't', {}, $rule);
}

my %APPEND_CHANGES = (
  'TRUNCATE t' => [$PLAIN, qr/emptied/],
  'VACUUM FULL t' => [$PLAIN, qr/rewritten/],
  'ALTER TABLE t ALTER id TYPE bigint' => [$PLAIN, qr/rewritten/],
  'TRUNCATE old' => [$PARTS, qr/public\.old, it was emptied/],
  'ALTER TABLE t DETACH PARTITION old' => [$PARTS, qr/public\.old, which rows went into, is no longer part/],
  'DROP TABLE old' => [$PARTS, qr/no longer exists/]);
for my $change (sort keys %APPEND_CHANGES) {
  my ($sql, $pattern) = @{$APPEND_CHANGES{$change}};
  for my $how ('pull', 'append') {
    begin_append($sql, $how);
    $pair->destination_sql($change);
    my $left = count();
    append_is_refused($pattern, "$change after the $how");
    is($pair->destination_sql(q(SELECT parallel_pull_keep('t'))), 1, '… the caller vouches');
    appends($pair, 100, 't', {}, '… the next append brings what is new');
    is(count(), $left + 100, '… and nothing else');
    appends($pair, 0, 't', {}, '… once');
  }
}

begin_append($PARTS, 'append');
$pair->destination_sql(<<'SQL');
DROP TABLE young;
CREATE TABLE young PARTITION OF t FOR VALUES FROM (1000) TO (MAXVALUE);
SQL
$pair->destination_sql('TRUNCATE t');
append_is_refused(qr/old, it was emptied|does not exist/, 'the table emptied after an append');
is($pair->destination_sql(q(SELECT parallel_pull_forget('t'))), 1, '… its mark is forgotten');
is($pair->destination_sql(q(SELECT parallel_pull_forget('t'))), 0, '… once');
appends($pair, 3100, 't', {}, '… all rows come again');
$pair->same_rows('SELECT * FROM t', '… as they are on the source');

begin_append($PLAIN, 'pull');
appends($pair, 100, 't', {}, 'an append after a pull');
is($pair->destination_sql(q(TRUNCATE t; SELECT parallel_pull_forget('t'))), 2,
  '… the mark and the bounds of the pull are forgotten');
appends($pair, 3100, 't', {}, '… all rows come again');

begin_append($PARTS, 'append');
$pair->destination_sql(<<'SQL');
CREATE TABLE other (LIKE t);
ALTER TABLE t DETACH PARTITION young;
ALTER TABLE t ATTACH PARTITION young FOR VALUES FROM (1000) TO (3050);
CREATE TABLE newest PARTITION OF t FOR VALUES FROM (3050) TO (MAXVALUE);
DROP TABLE other;
SQL
appends($pair, 100, 't', {}, 'a new partition is no hindrance');
$pair->destination_sql('TRUNCATE newest');
append_is_refused(qr/public\.newest, it was emptied/, '… until it has rows and is emptied');

# What compares all rows loses none.
begin_append($PLAIN, 'append');
$pair->source_sql('VACUUM FULL t');
$pair->destination_sql('TRUNCATE t');
appends($pair, 3100, 't', {}, 'a table emptied here and rewritten there gets all rows');
appends($pair, 0, 't', {}, '… once');
$pair->same_rows('SELECT * FROM t', '… as they are');
$pair->destination_sql('VACUUM FULL t');
append_is_refused(qr/rewritten/, '… and is known from then on');

# Of the same ledger in another database, from a dump.
begin_append($PLAIN, 'append');
{
  my $node = $pair->destination;
  my $dump = $PostgreSQL::Test::Utils::tmp_check . '/042.sql';
  $node->command_ok(['pg_dump', '-f', $dump, '-d', $node->connstr('postgres')], 'a dump');
  $pair->destination_sql('CREATE DATABASE restored');
  $node->command_ok(['psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-f', $dump, '-d',
    $node->connstr('restored')], '… is restored');
  my @there = (dbname => 'restored');
  $pair->error_is(append_sql($pair, 't'), '55000', qr/rows that it had may be gone/,
    '… an append is refused there', @there);
  is($pair->destination_sql(q(SELECT parallel_pull_keep('t')), @there), 1, '… until the caller vouches');
  appends($pair, 100, 't', {}, '… and brings what is new', @there);
  is($pair->destination_sql('SELECT count(*) FROM t', @there), 3100, '… once');
  appends($pair, 100, 't', {}, '… the database that it came from goes on');
}

# ---- unlogged tables and appends ----

for my $how ('pull', 'append') {
  begin_append($PLAIN =~ s/TABLE/UNLOGGED TABLE/r, $how);
  appends($pair, 100, 't', {}, "an unlogged table after the $how");
  $pair->crash('destination')->();
  append_is_refused(qr/unlogged table, which was emptied/, '… after a crash');
  $pair->destination_sql(q(SELECT parallel_pull_forget('t')));
  appends($pair, 3100, 't', {}, '… all rows come again');
}
$pair->destination_sql('ALTER TABLE t SET LOGGED');
append_is_refused(qr/rewritten/, 'SET LOGGED');
$pair->destination_sql(q(SELECT parallel_pull_keep('t')));
appends($pair, 0, 't', {}, '… vouched for');

# ---- forget and keep: whose, which, and when ----

make($PLAIN);
$pair->destination_sql(<<'SQL');
DELETE FROM parallel_loader.mark;
DELETE FROM parallel_loader.pull;
CREATE ROLE alice LOGIN;
CREATE ROLE bob LOGIN;
GRANT INSERT, SELECT ON t TO alice;
GRANT EXECUTE ON FUNCTION parallel_pull_forget, parallel_pull_keep TO alice, bob;
SQL
my @NONE = ([forget => 0], [keep => 0]);
is($pair->destination_sql("SELECT parallel_pull_$_->[0]('t')"), $_->[1], "$_->[0] without a mark")
  for @NONE;
appends($pair, 1550, 't', {filter => 'id % 2 = 0'}, 'an append with a filter');
my %WHICH = (q('t', filter => 'id % 2 = 0') => 1, q('t', filter => '') => 0,
  q('t', source_table => 't') => 1, q('t', source_table => 'public.t') => 1,
  q('t', source_table => 'other.t') => 0, q('t', source_table => '"T"') => 0);
for my $arguments (sort keys %WHICH) {
  is($pair->destination_sql("SELECT parallel_pull_keep($arguments)"), $WHICH{$arguments},
    "keep $arguments");
  is($pair->destination_sql("BEGIN; SELECT parallel_pull_forget($arguments); ROLLBACK"),
    $WHICH{$arguments}, "forget $arguments");
}
for my $function ('forget', 'keep') {
  $pair->error_is("SELECT parallel_pull_$function('t')", '42501', qr/denied for pulls of table public\.t/,
    "$function of marks that others have left", user => 'alice');
  $pair->error_is("SELECT parallel_pull_$function('t')", '42501', qr/denied for table t/,
    "$function without the right to insert", user => 'bob');
  $pair->error_is("SELECT parallel_pull_$function(NULL)", '22004', qr/table/, "$function(NULL)");
}
$pair->destination_sql('ALTER TABLE t OWNER TO alice');
is($pair->destination_sql(q(SELECT parallel_pull_forget('t')), user => 'alice'), 1,
  'the owner of the table may');
{
  $pair->destination_sql('TRUNCATE t');
  my $pull = create_pull();
  $pair->error_is("SELECT parallel_pull_$_('t')", '55006', qr/pull $pull into table public\.t is running/,
    "$_ while a pull is planned") for 'forget', 'keep';
  $pair->destination_sql("SELECT parallel_pull_work($pull)");
  is($pair->destination_sql(q(SELECT parallel_pull_keep('t'))), 1, '… it is done');
  $pair->destination_sql('VACUUM FULL t');
  is($pair->destination_sql(q(SELECT parallel_pull_keep('t'))), 1, '… kept again');
  appends($pair, 0, 't', {}, '… and a ground for appends');
}

$pair->nothing_left('nothing is left of the pulls');
$pair->finish;
