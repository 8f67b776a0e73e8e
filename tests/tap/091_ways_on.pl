# What stands in the way of one table leaves the others alone, and the command that the program prints
# for it works: a table that is locked on the source, one that was rewritten there, one of which every
# chunk is done, one whose key has an odd name.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";

use JSON::PP;
use ParallelLoader::Program;
use ParallelLoader::Test;
use PostgreSQL::Test::Utils;
use Test::More;

my $pair = ParallelLoader::Test->new;
my ($source, $destination) = ($pair->source->connstr('postgres'), $pair->destination->connstr('postgres'));
my @both = ('--source', $source, '--target', $destination);
my @there = ('--target', $destination);
$pair->both_sql(join '', map { "CREATE TABLE $_ (id integer PRIMARY KEY, note text);" } qw(a b c));
$pair->source_sql(<<'SQL');
INSERT INTO a SELECT i, repeat('a', 100) FROM generate_series(1, 3000) AS i;
INSERT INTO b SELECT i, repeat('b', 100) FROM generate_series(1, 3000) AS i;
INSERT INTO c SELECT i, repeat('c', 100) FROM generate_series(1, 9000) AS i;
VACUUM ANALYZE;
SQL

sub equal { my ($rule, @tables) = @_; $pair->same_rows("SELECT * FROM $_", "$rule: each row of $_ is there once") for @tables; return }

# Runs the command that a run has printed for what has failed.
sub goes_on {
  my ($rule, $job) = @_;
  my ($command) = $job->{err} =~ /Continue with(?: this table)?: (parallel-loader .*)$/m;
  ok(defined $command, "$rule: a command is shown") or return diag $job->{err};
  my $run = shell($command);
  is($run->{code}, 0, "$rule: it works") or diag $command, $run->{err};
  return;
}

# ---- a lock on the source ----

my $locker = $pair->session('source');
$locker->query_safe('BEGIN; LOCK TABLE b IN ACCESS EXCLUSIVE MODE');
my $job = start_program('copy', @both, 'a', 'b');
ok(wait_until(30, sub { $pair->destination_sql('SELECT count(*) FROM a') == 3000 }), 'a locked table does not keep another one from being loaded')
  or diag $job->{err};
$locker->query_safe('ROLLBACK');
is(end_of($job)->{code}, 0, '… and is loaded when it is free') or diag $job->{err};
equal('a lock', qw(a b));

# ---- a table that was rewritten on the source ----

$pair->destination_sql('TRUNCATE a, b, c');
my $last = $pair->newest_pull_id;
$job = start_program('copy', @both, '--jobs', 1, '--max-rate', '40kB', 'c', 'b');
ok(wait_until(20, sub { $pair->destination_sql("SELECT count(*) FROM parallel_pulls WHERE pull_id > $last AND table_name = 'public.b' AND chunks > 0") }),
  'a table waits for its turn');
# Which waits until the run gives way.
$pair->source_sql('VACUUM FULL b');
is(run_program('alter', $pair->newest_pull_id, @there, '--max-rate', 0)->{code}, 0, '… which now comes soon');
is(end_of($job)->{code}, 1, '… and is rewritten meanwhile') or diag $job->{err};
like($job->{err}, qr/emptied or rewritten after the snapshot was taken/, '… which is told');
goes_on('a rewritten table', $job);
equal('a rewritten table', qw(b c));

# ---- a table that fails again, under a snapshot of its own ----

$pair->destination_sql('TRUNCATE a, b; ALTER TABLE b ADD CHECK (id < 0) NOT VALID');
is(run_program('copy', @both, 'a', 'b')->{code}, 1, 'one table of two fails');
run_program('cancel', $pair->destination_sql('SELECT max(run_id) FROM parallel_pulls'), @there);
is(run_program('resume', @both)->{code}, 1, '… and once more, of a later moment');
ok(wait_until(10, sub { !$pair->coordinator_pids }), '… without a done chunk, for which no snapshot is held');
$pair->destination_sql('ALTER TABLE b DROP CONSTRAINT b_id_check');
my $again = run_program('resume', @both);
is($again->{code}, 0, '… until it can be loaded') or diag $again->{err};
equal('a table that fails again', qw(a b));

# ---- a pull whose chunks are all done ----

$pair->source_sql('CREATE TABLE heap (note text); INSERT INTO heap SELECT i::text FROM generate_series(1, 1000) AS i');
$pair->destination_sql('CREATE TABLE heap (note text)');
my $dsn = literal($pair->dsn);
my $pull = $pair->destination_sql("SELECT parallel_pull_create($dsn, 'heap')");
my ($coordinator) = $pair->coordinator_pids;
kill 'STOP', $coordinator;
my $worker = $pair->session('destination');
$worker->start("SELECT parallel_pull_work($pull)");
ok(wait_until(20, sub { $pair->destination_sql("SELECT count(*) FROM parallel_loader.chunk WHERE pull_id = $pull AND state <> 'done'") == 0 }),
  'all chunks of a pull are done');
kill $_, $coordinator for qw(TERM CONT);
ok(wait_until(30, sub { !$pair->coordinator_pids }), '… when its coordinator is terminated');
isnt($pair->pull($pull)->{state}, 'done', '… before it has noted the end');
my $run = run_program('resume', $pull, @there);
is($run->{code}, 0, '… the resume needs no snapshot') or diag $run->{err};
equal('a pull that is read', 'heap');

# ---- a key that looks like a list ----

$pair->both_sql('CREATE TABLE odd ("(p)" integer PRIMARY KEY, v text)');
$pair->source_sql(q(INSERT INTO odd SELECT i, 'v' FROM generate_series(1, 1000) AS i));
is(run_program('copy', @both, 'odd')->{code}, 0, 'a key column may have a name that begins with a parenthesis');
equal('such a key', 'odd');

# ---- a report that is none ----

my $file = PostgreSQL::Test::Utils::tempdir() . '/keep.sql';
append_to_file($file, "SELECT 1;\n");
for my $command ([qw(copy odd)], ['resume', $pull]) {
  is(run_program(@$command, @both, '--report', $file)->{code}, 2, "@$command: a report that is neither a page nor JSON is wrong usage");
  is(slurp_file($file), "SELECT 1;\n", '… and the file is as it was');
}

$worker->close;
$locker->close;
# ---- an append that fails ----

sub said { my ($job) = @_; return join "\n", $job->{err} =~ /Continue with(?: this table)?: (parallel-loader .*)$/mg }

$pair->both_sql('CREATE TABLE late (id integer PRIMARY KEY, note text)');
$pair->destination_sql('ALTER TABLE late DROP CONSTRAINT late_pkey');
$pair->source_sql(q(INSERT INTO late SELECT i, 'l' FROM generate_series(1, 1000) AS i));
for my $filter ([], ['--where', 'id > 0']) {
  my $rule = "an append that fails (@$filter)";
  $pair->destination_sql('TRUNCATE late');
  $pair->source_sql('DELETE FROM late WHERE id > 1000');
  is(run_program('append', @both, @$filter, 'late')->{code}, 0, 'an append');
  $pair->source_sql(q(INSERT INTO late VALUES (1001, 'bad')));
  $pair->destination_sql(q(ALTER TABLE late ADD CONSTRAINT refuse CHECK (note <> 'bad')));
  is(run_program('append', @both, @$filter, 'late')->{code}, 1, $rule);
  $pair->destination_sql('ALTER TABLE late DROP CONSTRAINT refuse');
  $again = run_program('resume', $pair->newest_pull_id, @both);
  is($again->{code}, 1, '… is not resumed');
  like(said($again), qr/^parallel-loader append /, '… but appended again');
  goes_on($rule, $again);
  equal($rule, 'late');
}

# ---- what the first command was told, the next one is told, too ----

$pair->both_sql('CREATE TABLE counted (id serial PRIMARY KEY, note text)');
$pair->source_sql(q(INSERT INTO counted (note) SELECT 'c' FROM generate_series(1, 1000)));
my $is_set = sub { $pair->destination_sql('SELECT is_called FROM counted_id_seq') };
for my $case (['--no-sequences', 'f'], ['--sequences', 't']) {
  my ($option, $set) = @$case;
  my @part = $option eq '--sequences' ? ('--where', 'id < 900') : ();
  $pair->destination_sql('TRUNCATE counted RESTART IDENTITY; ALTER TABLE counted ADD CONSTRAINT refuse CHECK (id <> 20)');
  my $failed = run_program('copy', @both, $option, @part, '--verify', 'count', 'counted');
  is($failed->{code}, 1, "$option: a copy fails");
  like(said($failed), qr/^parallel-loader resume \d+.* \Q$option\E/, '… the resume has it');
  like(said($failed), qr/ --verify count/, '… and the comparison');
  $pair->destination_sql('ALTER TABLE counted DROP CONSTRAINT refuse');
  goes_on($option, $failed);
  is($is_set->(), $set, '… and does so');
}
my $missing = run_program('copy', @both, '--where', 'id > 5', '--jobs', 1, 'nowhere');
like(said($missing), qr/^parallel-loader copy nowhere --where 'id > 5' --jobs 1 /, 'a table that is missing: with the condition that it was to have');

# A configuration file that selects tables: what is printed for one of them is about that one.
$file = PostgreSQL::Test::Utils::tempdir() . '/move.toml';
append_to_file($file, <<"TOML");
[connections]
old = "$source sslpassword=hidden"
new = "$destination"
[copy]
schema = ["more"]
truncate = true
sequences = false
json = false
TOML
chmod 0600, $file;
$pair->both_sql('CREATE SCHEMA more; CREATE TABLE more.d (id integer); CREATE TABLE more.e (id integer)');
$pair->source_sql('INSERT INTO more.d SELECT generate_series(1, 100); INSERT INTO more.e SELECT generate_series(1, 100)');
$pair->destination_sql('ALTER TABLE more.e ADD CHECK (id < 0)');
my @configured = ('--config', $file, '--source', 'old', '--target', 'new');
my $configured = run_program('copy', @configured, 'nowhere');
is($configured->{code}, 1, 'a configuration file selects tables, and one is missing, one fails') or diag $configured->{err};
unlike($configured->{err}, qr/hidden/, '… no secret is shown');
unlike($configured->{err}, qr/--no-json/, '… nor an option that there is not');
unlike($configured->{err}, qr/cannot be joined/, '… nor that a session came after the end');
$pair->destination_sql('INSERT INTO more.d VALUES (0); ALTER TABLE more.e DROP CONSTRAINT e_id_check');
$pair->both_sql('CREATE TABLE nowhere (id integer)');
my %printed = map { $_ => 1 } split /\n/, said($configured);
is(scalar keys %printed, 2, '… both have a command') or diag $configured->{err};
for my $command (sort keys %printed) {
  $again = shell($command);
  is($again->{code}, 0, '… which works') or diag $command, $again->{err};
}
is($pair->destination_sql('SELECT count(*) FROM more.d'), 101, '… and leaves the other table alone');
is($pair->destination_sql('SELECT count(*), count(DISTINCT id) FROM more.e'), '100|100', '… the one that failed is there once');

# ---- a snapshot that is gone ----

$pair->destination_sql('TRUNCATE c; ALTER TABLE c ADD CONSTRAINT refuse CHECK (id <> 5000)');
is(run_program('copy', @both, '--jobs', 1, '--chunk-size', '64kB', 'c')->{code}, 1, 'a copy fails in the middle');
kill 'TERM', $pair->coordinator_pids;
ok(wait_until(20, sub { !$pair->coordinator_pids }), '… its snapshot is lost');
$pair->destination_sql('ALTER TABLE c DROP CONSTRAINT refuse');
my $status = run_program('status', $pair->newest_pull_id, @there);
like($status->{out}, qr/its snapshot is gone/, '… which status tells');
# hint: orchestrator/commands/status.cpp: --new-snapshot
my ($next) = $status->{out} =~ /^next: (.*)$/m;
like($next // '', qr/ --new-snapshot/, '… with a command that is not refused');
$again = shell($next // 'false');
is($again->{code}, 0, '… and works') or diag $again->{err};
unlike($again->{err}, qr/violates check constraint/, '… without a word of the old error');
equal('a snapshot that is gone', 'c');

# ---- how old a snapshot is, and rows that a failure took back ----

$pair->destination_sql(q(ALTER DATABASE postgres SET parallel_loader.snapshot_hold = '10min'));
$pair->destination_sql('TRUNCATE a, c; ALTER TABLE c ADD CONSTRAINT refuse CHECK (id <> 5000)');
my $document = decode_json(run_program('copy', @both, '--json', '--jobs', 4, '--chunk-size', '64kB', 'a', 'c')->{out});
my ($part) = grep { $_->{table} =~ /c$/ } @{$document->{tables}};
is($part->{rows}, $pair->destination_sql('SELECT count(*) FROM c'), 'rows of a table that failed are those that are there');
my $TAKEN = "SELECT snapshot_taken FROM parallel_pulls WHERE table_name = 'public.c' ORDER BY pull_id DESC LIMIT 1";
my $taken = $pair->destination_sql($TAKEN);
isnt($taken, '', '… its snapshot is held');
$pair->destination_sql('ALTER TABLE c DROP CONSTRAINT refuse');
my $slow = start_program('resume', @there, '--max-rate', '64kB', $part->{id});
ok(wait_until(20, sub { $pair->destination_sql("SELECT state FROM parallel_pulls WHERE pull_id = $part->{id}") eq 'running' }), '… a resume goes on under it');
is($pair->destination_sql($TAKEN), $taken, '… and says how old it is');
run_program('alter', $part->{id}, @there, '--max-rate', 0);
is(end_of($slow)->{code}, 0, '… to its end') or diag $slow->{err};
equal('the same snapshot', 'a', 'c');
$pair->destination_sql(q(ALTER DATABASE postgres RESET parallel_loader.snapshot_hold));

# ---- Ctrl-C while tables are compared ----

$pair->destination_sql('TRUNCATE a');
$slow = start_program('copy', @both, '--max-rate', '64kB', '--verify', 'checksum', 'a');
ok(wait_until(20, sub { $pair->pull->{state} eq 'running' }), 'a table is loaded');
my $comparison = $pair->session('destination');
$comparison->start('BEGIN; LOCK TABLE a');
run_program('alter', $pair->newest_pull_id, @there, '--max-rate', 0);
ok(wait_until(20, sub { $pair->destination_sql(q(SELECT count(*) FROM pg_stat_activity
  WHERE wait_event_type = 'Lock' AND query LIKE '%parallel_pull_verify%')) }), '… and is compared');
$slow->{run}->signal('INT');
is(end_of($slow)->{code}, 130, '… until Ctrl-C') or diag $slow->{err};
like($slow->{err}, qr/All rows are loaded; 1 table was not compared/, '… which says what is left') or diag $slow->{err};
$comparison->finish(10);
$comparison->query('ROLLBACK');
my $rest = shell(said($slow) || 'false');
is($rest->{code}, 0, '… and by which command') or diag $slow->{err}, $rest->{err};
like($rest->{err}, qr/loaded, verified/, '… that compares it');

# ---- two tables of a run, which need different things ----

$pair->both_sql('CREATE TABLE placed (note text)');
$pair->source_sql(q(INSERT INTO placed SELECT repeat('p', 100) || i FROM generate_series(1, 9000) AS i; ANALYZE placed));
$pair->destination_sql(q(TRUNCATE c; ALTER TABLE c ADD CONSTRAINT refuse CHECK (id <> 5000); ALTER TABLE placed ADD CONSTRAINT refuse CHECK (note NOT LIKE '%p5000')));
is(run_program('copy', @both, '--jobs', 1, '--chunk-size', '64kB', 'placed', 'c')->{code}, 1, 'two tables fail in the middle');
my $first = $pair->destination_sql('SELECT max(run_id) FROM parallel_pulls');
kill 'TERM', $pair->coordinator_pids;
ok(wait_until(20, sub { !$pair->coordinator_pids }), '… their snapshot is lost');
$pair->destination_sql('ALTER TABLE c DROP CONSTRAINT refuse; ALTER TABLE placed DROP CONSTRAINT refuse');
my $rows = $pair->destination_sql('SELECT count(*) FROM c');
for my $step (1 .. 3) {
  $status = run_program('status', $first, @there);
  my @next = $status->{out} =~ /^next: (.*)$/mg or last;
  unlike("@next", qr/ $first --restart/, '… a restart of all is not offered as long as others need something else') if $step == 1;
  cmp_ok($pair->destination_sql('SELECT count(*) FROM c'), '>=', $rows, '… no row that is there is taken away');
  for my $command (@next) {
    $again = shell($command);
    is($again->{code}, 0, '… by a command that works') or diag $command, $again->{err};
  }
}
my @ids = split /\n/, $pair->destination_sql("SELECT pull_id FROM parallel_pulls WHERE run_id >= $first AND table_name = 'public.placed' ORDER BY 1");
is(scalar @ids, 2, '… another pull has loaded the one again');
for my $number ($ids[0], $first) {
  $again = run_program('resume', $number, @there);
  is($again->{code}, 0, "… resume $number finds nothing to do") or diag $again->{err};
}
$again = run_program('copy', @both, '--resume', $first, 'placed', 'c');
is($again->{code}, 0, '… and the command may be called again with --resume') or diag $again->{err};
$pair->destination_sql("UPDATE parallel_loader.pull SET state = 'failed' WHERE pull_id = $ids[1]");
for my $job (run_program('resume', $first, @there), run_program('copy', @both, '--resume', $first, 'placed', 'c')) {
  is($job->{code}, 1, '… but as long as that is not done, the run is not, either');
  like(said($job), qr/^parallel-loader resume $ids[1] /m, '… with the way on') or diag $job->{err};
}
is(run_program('resume', $ids[1], @there)->{code}, 0, '… which works');
is(run_program('status', $first, @there)->{out} =~ /^next: /m ? 'left' : 'done', 'done', '… by what status says all is done');
equal('two tables that need different things', 'c');
is($pair->destination_sql('SELECT count(*), count(DISTINCT note) FROM placed'), '9000|9000', '… each row of the other is there once, too');

$pair->nothing_left('no process or session is left');
$pair->finish;
