# Two calls that would bring the same rows: an append beside a pull of the whole table, a resume after
# rows have come another way, two pulls at once.  Rows are there once, or somebody has been told.  And
# calls that wait for what they are part of.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";

use ParallelLoader::Hints;
use ParallelLoader::Test;
use Test::More;

my $pair = ParallelLoader::Test->new(retries => 1);
my $ROWS = 5000;
$pair->create_gate;
$pair->source_sql(<<"SQL");
CREATE TABLE t (id integer PRIMARY KEY, note text);
INSERT INTO t SELECT i, repeat('n', 200) FROM generate_series(1, $ROWS) AS i;
CREATE VIEW gated AS SELECT id, note FROM t WHERE gate(id, 4000);
SQL
$pair->destination_sql('CREATE TABLE t (id integer, note text)'); # no key: doubled rows would stay
my $APPEND = 'SELECT parallel_pull_append(' . literal($pair->dsn) . q{, 't', 'id')};

sub call {
  my ($function, $named) = @_;
  return $pair->table_sql($function, 't', {key => 'id', chunk_size => '256kB', workers => 1, %{$named // {}}});
}

sub begin_anew {
  $pair->destination_sql(q(TRUNCATE t; SELECT parallel_pull_forget('t')));
  return;
}

sub once {
  my ($rule) = @_;
  local $Test::Builder::Level = $Test::Builder::Level + 1;
  is($pair->destination_sql('SELECT count(*), count(DISTINCT id) FROM t'), "$ROWS|$ROWS", "$rule: every row is there once");
  return;
}

# ---- an append beside a pull ----

# hint: extension/worker/append.cpp: parallel_pull_wait
my $id = $pair->destination_sql(call('parallel_pull_create'));
my $ends = qr/Call (parallel_pull_wait\(\d+\)) to wait for it, or (parallel_pull_cancel\(\d+\)) to cancel the pull/;
my ($wait, $cancel) = hint($pair, $APPEND, '55000', $ends, 'an append beside a created pull');
is($pair->destination_sql('SELECT count(*) FROM t'), 0, '… has copied nothing');
$pair->destination_sql("SELECT parallel_pull_work($id)");
works($pair, $wait, 'an append beside a created pull');
is($pair->destination_sql($APPEND), 0, '… the next one finds nothing');
once('an append after the pull');

# hint: extension/worker/append.cpp: parallel_pull_cancel
begin_anew();
$id = $pair->destination_sql(call('parallel_pull_create'));
$pair->destination_sql("SELECT parallel_pull_alter($id, workers => 0)");
(undef, $cancel) = hint($pair, $APPEND, '55000', $ends, 'an append beside a paused pull');
works($pair, $cancel, 'an append beside a paused pull');
is($pair->destination_sql($APPEND), $ROWS, '… the next one brings all rows');
once('an append after a pull that was cancelled');

# ---- a resume after rows have come another way ----

# hint: extension/functions/pull_functions.cpp: parallel_pull_forget
my $resume = "SELECT rows FROM parallel_pull_resume($id, new_snapshot => true)";
my $forget = hint($pair, $resume, '55000', qr/call (parallel_pull_forget\(.*?\)) and resume again/, 'a resume after an append');
once('a resume after an append');
$pair->destination_sql('DELETE FROM t'); # which nobody can see
is($pair->try_sql($resume)->sqlstate, '55000', '… also where the rows were deleted');
works($pair, $forget, 'a resume after an append');
is($pair->destination_sql($resume), $ROWS, '… goes on with an empty table');
once('a resume after an append');

begin_anew();
$pair->destination_sql('ALTER TABLE t ADD CONSTRAINT refuse CHECK (id > 5)');
is($pair->try_sql(call('parallel_pull_table'))->sqlstate, '23514', 'a pull fails at its first chunk');
my $failed = $pair->newest_pull_id;
$pair->destination_sql('ALTER TABLE t DROP CONSTRAINT refuse');
$pair->destination_sql(call('parallel_pull_table'));
my $result = $pair->try_sql("SELECT parallel_pull_resume($failed)");
is($result->sqlstate, '55000', 'a resume after a younger pull of the table is refused');
once('a resume after a younger pull');
$pair->destination_sql('TRUNCATE t');
is($pair->destination_sql("SELECT rows FROM parallel_pull_resume($failed, new_snapshot => true)"), $ROWS,
  '… unless the table was emptied since');
once('a resume once the table was emptied');

$pair->source_sql('CREATE TABLE u (LIKE t INCLUDING ALL); INSERT INTO u SELECT * FROM t');
begin_anew();
$id = $pair->destination_sql(call('parallel_pull_create'));
$pair->destination_sql("SELECT parallel_pull_cancel($id)");
$pair->destination_sql(call('parallel_pull_table', {source_table => 'u'}));
is($pair->destination_sql("SELECT rows FROM parallel_pull_resume($id, new_snapshot => true)"), $ROWS,
  'a pull of another table of the source is no reason to refuse');

# ---- two pulls at once ----

begin_anew();
$pair->close_gate;
my $first = $pair->session('destination');
$first->start(call('parallel_pull_table', {source_table => 'gated'}));
$pair->wait_at_gate;
my $running = $pair->newest_pull_id;
like(words($pair, call('parallel_pull_create', {source_table => 'u'}))->{text}, qr/pull $running into table public\.t is not done|table public\.t (?:is not empty|has rows)/,
  'a pull beside another says so');
$pair->destination_sql('SELECT parallel_pull_cancel(' . $pair->newest_pull_id . ')');
$pair->open_gate;
$first->finish(30);

# Of a pull that is not done and has brought rows: what leads to its end, by what it does just now.
begin_anew();
$id = $pair->destination_sql(call('parallel_pull_create', {filter => 'public.gate(id, 4000)'}));
$pair->destination_sql("SELECT parallel_pull_work($id, max_chunks => 1)");
my $second = call('parallel_pull_create', {source_table => 'u'});
sub notice_of_first {
  my ($pattern, $rule) = @_;
  my $taken = hint($pair, $second, '00000', $pattern, $rule);
  $pair->destination_sql('SELECT parallel_pull_cancel(' . $pair->newest_pull_id . ')');
  return $taken;
}
my $work = notice_of_first(qr/^Call (parallel_pull_work\($id\)) to copy its chunks/, 'beside a pull on which no session works');
$pair->destination_sql("SELECT parallel_pull_alter($id, workers => 0)");
my $alter = notice_of_first(qr/^Call (parallel_pull_alter\($id, workers => 1\)) to continue it/, 'beside a paused pull');
$pair->close_gate; # now, since it may go on at once
works($pair, $alter, 'beside a paused pull');
$first->start("SELECT $work");
$pair->wait_at_gate;
$wait = notice_of_first(qr/^Call (parallel_pull_wait\($id\)) to wait for its end, or parallel_pull_cancel\($id\) to cancel it/, 'beside a pull that runs');
$pair->open_gate;
works($pair, $wait, 'beside a pull that runs');
ok($first->finish(30)->is_ok, 'beside a pull on which no session works: what it says works');
once('a pull that was worked on as the notices say');

# One that failed, and whose rows a younger one has brought: nothing to go on with.
begin_anew();
$pair->destination_sql('ALTER TABLE t ADD CONSTRAINT refuse CHECK (id < 4500)');
is($pair->try_sql(call('parallel_pull_table'))->sqlstate, '23514', 'a pull fails at its last chunks');
$failed = $pair->newest_pull_id;
cmp_ok($pair->pull($failed)->{chunks_done}, '>', 0, '… others are done');
$pair->destination_sql('ALTER TABLE t DROP CONSTRAINT refuse');
notice_of_first(qr/^SELECT (parallel_pull_resume\($failed\)); would continue that pull/, 'beside a pull that failed');
$pair->destination_sql('SET client_min_messages = warning; ' . call('parallel_pull_table'));
my $said = words($pair, $second);
like($said->{text}, qr/table public\.t is not empty/, 'beside a pull that failed, and a younger one that is done');
unlike($said->{hint}, qr/resume/, '… the failed one is nothing to go on with');
$pair->destination_sql("SELECT parallel_pull_cancel($_)") for $pair->newest_pull_id, $failed;

# ---- what waits for itself ----

begin_anew();
for my $function ('parallel_pull_wait', 'parallel_pull_work') {
  $pair->destination_sql(<<"SQL");
CREATE OR REPLACE FUNCTION wait_for_it() RETURNS trigger LANGUAGE plpgsql AS \$\$
BEGIN
  PERFORM $function(max(pull_id)) FROM parallel_pulls;
  RETURN new;
END \$\$;
CREATE TRIGGER wait_for_it BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION wait_for_it();
SQL
  $result = $pair->try_sql(call('parallel_pull_table'), timeout => 60);
  is($result->sqlstate, '55006', "$function in a trigger of the pull's own worker is refused");
  like($result->error->{text}, qr/cannot wait for itself/, '… and why');
  $pair->destination_sql('DROP TRIGGER wait_for_it ON t');
}

# ---- an owner who is gone ----

$pair->destination_sql('CREATE ROLE gone SUPERUSER LOGIN');
$id = $pair->destination_sql(call('parallel_pull_create'), user => 'gone');
$pair->destination_sql('DROP OWNED BY gone; DROP ROLE gone');
is($pair->try_sql("SELECT parallel_pull_work($id)", timeout => 60)->sqlstate, '42704',
  'a pull whose owner was dropped is not tried');
$pair->destination_sql("SELECT parallel_pull_cancel($id)");

# ---- views in a parallel query ----

for my $view ('parallel_pulls', 'parallel_pull_progress', 'parallel_pull_chunks') {
  is($pair->try_sql(<<"SQL")->sqlstate, '00000', "$view can stand beside tables that are read in parallel");
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET min_parallel_index_scan_size = 0;
SELECT count(*) FROM t, $view;
SQL
}

$pair->nothing_left('nothing is left');
$pair->finish;
