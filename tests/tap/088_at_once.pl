# Two programs at once, or one after the other where the first is to go on: no row comes twice.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";

use ParallelLoader::Program;
use ParallelLoader::Test;
use Test::More;

my $pair = ParallelLoader::Test->new(source => {hba => 'local all one,two scram-sha-256'});
my ($source, $destination) = ($pair->source->connstr('postgres'), $pair->destination->connstr('postgres'));
my @both = ('--source', $source, '--target', $destination);
$pair->both_sql('CREATE TABLE first (id integer, note text); CREATE TABLE second (id integer);');
$pair->source_sql(<<'SQL');
INSERT INTO first SELECT i, repeat('f', 100) FROM generate_series(1, 20000) AS i;
INSERT INTO second SELECT generate_series(1, 500);
ANALYZE;
SQL
$pair->destination_sql(q(ALTER DATABASE postgres SET parallel_loader.chunk_size = '64kB'));

sub live {
  my ($table) = @_;
  return $pair->destination_sql("SELECT pull_id FROM parallel_pulls WHERE table_name = 'public.$table' AND state IN ('planned', 'running')");
}

# ---- a table that is being loaded ----

my $job = start_program('copy', @both, '--max-rate', '64kB', 'first');
my $pull = wait_until(20, sub { live('first') });
for my $more ([], ['--truncate'], ['--truncate', '--where', 'id < 5']) {
  my $run = run_program('copy', @both, @$more, 'first');
  is($run->{code}, 1, "a table that is being loaded is not copied (@$more)");
  like($run->{err}, qr/pull $pull loads table "public\.first", too.*Continue with: parallel-loader resume $pull /s, '… with the reason, and how to help that pull');
}
is(run_program('copy', @both, '--where', 'id < 5', 'second')->{code}, 0, '… another is');
is(run_program('alter', $pull, '--target', $destination, '--max-rate', 0)->{code}, 0, 'the first may go on');
is(end_of($job)->{code}, 0, '… and ends') or diag $job->{err};
$pair->same_rows('SELECT * FROM first', '… with each row once');

# ---- a table that another loads before its turn has come ----

my @many = map { "many_$_" } 1 .. 30;
$pair->both_sql(join '', map { "CREATE TABLE $_ (id integer);" } @many);
$pair->source_sql(join '', map { "INSERT INTO $_ VALUES (1);" } @many);
$job = start_program('copy', @both, @many);
wait_until(20, sub { $pair->destination_sql(q(SELECT count(*) FROM parallel_pulls WHERE table_name LIKE '%many%')) });
$job->{run}->signal('STOP');
is(run_program('copy', @both, 'many_30')->{code}, 0, 'a table that another program is to load later is loaded');
$job->{run}->signal('CONT');
is(end_of($job)->{code}, 1, '… then that does not load it');
like($job->{err}, qr/pull \d+ loads table "public\.many_30", too/, '… with the reason');
is($pair->destination_sql(join ' UNION ALL ', map { "SELECT '$_' FROM $_ HAVING count(*) <> 1" } @many), '', '… each row is there once');

# ---- the same, by roles that do not see each other's pulls ----

my $RIGHTS = 'GRANT USAGE ON SCHEMA public TO one, two; GRANT SELECT, INSERT, TRUNCATE ON ALL TABLES IN SCHEMA public TO one, two;';
$pair->source_sql("CREATE ROLE one LOGIN PASSWORD 'Plum'; CREATE ROLE two LOGIN PASSWORD 'Plum'; $RIGHTS");
$pair->destination_sql("CREATE ROLE one LOGIN; CREATE ROLE two LOGIN; $RIGHTS"
    . 'GRANT EXECUTE ON FUNCTION parallel_pull_create, parallel_pull_work, parallel_pull_plan, parallel_pull_check, parallel_pull_alter, parallel_pull_table TO one, two; '
    . 'TRUNCATE ' . join ', ', @many);
my %as = map { $_ => ['--source', "$source user=$_ password=Plum", '--target', "$destination user=$_"] } qw(one two);
$job = start_program('copy', @{$as{one}}, @many);
my $newest = $pair->newest_pull_id;
wait_until(20, sub { $pair->newest_pull_id > $newest });
$job->{run}->signal('STOP');
is(run_program('copy', @{$as{two}}, 'many_30')->{code}, 0, 'a table that another role is to load later is loaded');
wait_until(20, sub { $pair->pull->{state} eq 'done' });
$job->{run}->signal('CONT');
is(end_of($job)->{code}, 1, '… then that does not load it');
like($job->{err}, qr/pull \d+ loads table "public\.many_30", too/, '… with the reason');
is($pair->destination_sql(join ' UNION ALL ', map { "SELECT '$_' FROM $_ HAVING count(*) <> 1" } @many), '', '… each row is there once');

# Nor is it emptied, whatever the role sees.
$pair->destination_sql('TRUNCATE first');
$job = start_program('copy', @{$as{one}}, '--max-rate', '256kB', 'first');
$pull = wait_until(20, sub { live('first') });
my $refused = run_program('copy', @{$as{two}}, '--truncate', 'first');
is($refused->{code}, 1, 'a table that another role loads is not emptied');
like($refused->{err}, qr/pull $pull loads table "public\.first", too/, '… with the reason');
unlike($refused->{err}, qr/resume $pull/, '… and no command for a pull that the role does not see');
run_program('alter', $pull, '--target', $destination, '--max-rate', 0);
is(end_of($job)->{code}, 0, '… the other ends') or diag $job->{err};
$pair->same_rows('SELECT * FROM first', '… with each row once');
$pair->destination_sql('TRUNCATE first');
my $locker = $pair->session('destination');
$locker->query(q(BEGIN; SELECT pg_advisory_xact_lock(1347158017, 'first'::regclass::oid::integer)));
$job = start_program('copy', @{$as{two}}, '--truncate', 'first');
wait_until(20, sub { $pair->destination_sql(q(SELECT count(*) FROM pg_locks WHERE NOT granted)) });
is($pair->try_sql($pair->table_sql('parallel_pull_table', 'first', {dsn => "$source user=one password=Plum"}), user => 'one')->sqlstate,
  '00000', 'a table that another role is about to empty is loaded');
$locker->query('ROLLBACK');
is(end_of($job)->{code}, 1, '… then that does not empty it');
$pair->same_rows('SELECT * FROM first', '… each row is there once');

# ---- a role that lacks a right ----

$pair->destination_sql('TRUNCATE first; REVOKE INSERT ON first FROM two; INSERT INTO first VALUES (0)');
for my $more ([], ['--dry-run']) {
  my $run = run_program('copy', @{$as{two}}, '--truncate', @$more, 'first');
  is($run->{code}, 1, "a role that may empty a table and not fill it (@$more)");
  like($run->{err}, qr/permission denied for table first.*GRANT INSERT ON/s, '… is told so') or diag $run->{err};
  is($pair->destination_sql('SELECT count(*) FROM first'), 1, '… and the table is not emptied');
}
$pair->destination_sql('GRANT INSERT ON first TO two; REVOKE SELECT ON first FROM two');
my $blind = run_program('copy', @{$as{two}}, 'first');
is($blind->{code}, 1, 'a role that cannot see that a table has rows does not add to them');
# hint: orchestrator/run/destination_tables.cpp: Run on the destination: GRANT {} ON
my ($grant) = $blind->{err} =~ /Run on the destination: (GRANT SELECT ON .* TO two;)$/m;
ok(defined $grant, '… and is told how it could') or diag $blind->{err};
is($pair->destination_sql('SELECT count(*) FROM first'), 1, '… no row is added');
$pair->destination_sql($grant // 'SELECT 1');
like(run_program('copy', @{$as{two}}, 'first')->{err}, qr/"public\.first" has rows already/, '… then it sees them');
$pair->destination_sql('REVOKE SELECT ON first FROM two; TRUNCATE first');
is(run_program('copy', @{$as{two}}, '--no-sequences', 'first')->{code}, 0, '… of a table that never had any all can see that');
$pair->destination_sql('GRANT SELECT ON first TO two');

# ---- a partition, and what it is a partition of ----

$pair->both_sql(<<'SQL');
CREATE TABLE parts (id integer, note text) PARTITION BY RANGE (id);
CREATE TABLE part_1 PARTITION OF parts FOR VALUES FROM (0) TO (1000);
CREATE TABLE part_2 PARTITION OF parts FOR VALUES FROM (1000) TO (100000);
SQL
$pair->source_sql(q(INSERT INTO parts SELECT i, 'p' || i FROM generate_series(0, 2999) AS i));
for my $round (1 .. 5) {
  $pair->destination_sql('TRUNCATE parts');
  my @jobs = map { start_program('copy', @both, $_) } $round % 2 ? qw(part_1 parts) : qw(parts part_1);
  my @codes = sort map { end_of($_)->{code} } @jobs;
  is("@codes", '0 1', "round $round of a partition and its root at once: one is refused") or diag map { $_->{err} } @jobs;
  is($pair->destination_sql('SELECT count(*) - count(DISTINCT id) FROM parts'), 0, '… and no row is there twice');
}

# By roles that do not see each other's pulls, one with no right to the partition itself.
$pair->source_sql('GRANT SELECT ON parts, part_1 TO one, two');
$pair->destination_sql('TRUNCATE parts; GRANT INSERT, TRUNCATE, SELECT ON parts TO two; GRANT INSERT, SELECT ON part_1 TO one');
$job = start_program('copy', @{$as{one}}, '--max-rate', '1kB', 'part_1');
$pull = wait_until(20, sub { live('part_1') });
$refused = run_program('copy', @{$as{two}}, '--truncate', 'parts');
is($refused->{code}, 1, 'a table is not emptied while another role loads a partition of it');
like($refused->{err}, qr/pull $pull loads table "public\.parts", too/, '… with the reason');
run_program('alter', $pull, '--target', $destination, '--max-rate', 0);
is(end_of($job)->{code}, 0, '… the other ends') or diag $job->{err};
$pair->same_rows('SELECT * FROM part_1', '… with each row once');

# ---- tables that are to be emptied, and that another has loaded meanwhile ----

$pair->destination_sql('TRUNCATE first, second');
my $reader = $pair->session('destination');
$reader->query_safe('BEGIN; LOCK TABLE first IN ACCESS SHARE MODE');
$job = start_program('copy', @both, '--truncate', 'first', 'second');
wait_until(20, sub { $pair->destination_sql(q(SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'TRUNCATE%')) });
my $other = start_program('copy', @both, 'second');
wait_until(20, sub { $pair->destination_sql(q(SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'advisory')) });
$reader->query_safe('ROLLBACK');
my @ends = map { end_of($_)->{code} } $job, $other;
is(join(' ', sort @ends), '0 1', 'of two that wait for a table, one to empty it, one loads it') or diag $job->{err}, $other->{err};
like($job->{err} . $other->{err}, qr/pull \d+ loads table "public\.second", too/, '… and the other is told so');
$pair->same_rows("SELECT * FROM $_", "… each row of $_ is there once") for qw(first second);

$pair->destination_sql('TRUNCATE first, second');
$reader->query_safe('BEGIN; LOCK TABLE parallel_loader.pull IN ACCESS EXCLUSIVE MODE');
$job = start_program('copy', @both, '--truncate', 'first', 'second');
wait_until(20, sub { $pair->destination_sql(q(SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND application_name = 'parallel-loader')) });
$job->{run}->signal('STOP');
$reader->query_safe('ROLLBACK');
is(run_program('copy', @both, 'second')->{code}, 0, 'another one loads a table first');
$job->{run}->signal('CONT');
is(end_of($job)->{code}, 1, '… then it is not emptied');
like($job->{err}, qr/pull \d+ loads table "public\.second", too/, '… with the reason');
$pair->same_rows("SELECT * FROM $_", "… each row of $_ is there once") for qw(first second);
$reader->close;

# ---- a table that was loaded by another pull since one failed ----

$pair->destination_sql('TRUNCATE first, second; ALTER TABLE second ADD CHECK (id < 0) NOT VALID');
is(run_program('copy', @both, 'first', 'second')->{code}, 1, 'one table of two fails');
my $run_id = $pair->destination_sql('SELECT max(run_id) FROM parallel_pulls');
$pair->destination_sql('ALTER TABLE second DROP CONSTRAINT second_id_check');
is(run_program('copy', @both, 'second')->{code}, 0, '… and is copied alone');
my $late = run_program('resume', $run_id, @both);
is($late->{code}, 0, '… then a resume finds it loaded') or diag $late->{err};
like($late->{err}, qr/public\.second +500 /, '… with its rows');
$pair->same_rows('SELECT * FROM second', '… each row is there once');
is(run_program('cancel', $run_id, '--target', $destination)->{code}, 0, '… it can be given up');

# ---- two that begin the same table again ----

for my $round (1 .. 3) {
  $pair->destination_sql('TRUNCATE second; ALTER TABLE second ADD CHECK (id < 450) NOT VALID');
  run_program('copy', @both, '--jobs', 1, '--chunk-size', '64kB', 'second');
  my $failed = $pair->newest_pull_id;
  run_program('cancel', $failed, '--target', $destination);
  $pair->destination_sql('ALTER TABLE second DROP CONSTRAINT second_id_check');
  my @jobs = map { start_program('resume', $failed, @both, '--restart') } 1 .. 2;
  my @codes = map { end_of($_)->{code} } @jobs;
  is($pair->destination_sql('SELECT count(*) - count(DISTINCT id) FROM second'), 0, "round $round of two at once: no row is there twice");
  $pair->same_rows('SELECT * FROM second', '… and if one says that it is done, each is there') if grep { $_ eq '0' } @codes;
  note "exit statuses: @codes";
}

# ---- an append to a table whose pull is done, while its run goes on ----

$pair->both_sql('CREATE TABLE third (id integer PRIMARY KEY)');
$pair->source_sql('INSERT INTO third SELECT generate_series(1, 100)');
is(run_program('copy', @both, 'third')->{code}, 0, 'a pull leaves a mark');
$pair->source_sql('INSERT INTO third VALUES (101)');
$pair->destination_sql('DELETE FROM third; TRUNCATE first');
my $dsn = literal($pair->dsn);
my $done = $pair->destination_sql("SELECT parallel_pull_create($dsn, 'third')");
my $open = $pair->destination_sql("SELECT parallel_pull_create($dsn, 'first', run_id => $done)");
is($pair->destination_sql("SELECT remaining FROM parallel_pull_work($done)"), 0, '… and so will another one, at the end of its run');
$pair->error_is("SELECT parallel_pull_append($dsn, 'third')", '55000', qr/pull $done into table public\.third has left no mark.*HINT:  Append again when its run has ended\./s,
  '… until then nothing is appended from the first mark');
is($pair->destination_sql("SELECT remaining FROM parallel_pull_work($open)"), 0, 'the run ends');
wait_until(20, sub { !$pair->coordinator_pids });
is($pair->destination_sql("SELECT parallel_pull_append($dsn, 'third')"), 0, '… then the append finds nothing new');
$pair->same_rows('SELECT * FROM third', '… each row is there once');

$pair->nothing_left('no process or session is left');
$pair->finish;
