# What the program says before it begins and after the end, what it heeds of others meanwhile, and what
# it leaves alone when it refuses to begin.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";

use JSON::PP qw(decode_json);
use ParallelLoader::Program;
use ParallelLoader::Test;
use Test::More;

my $pair = ParallelLoader::Test->new(source => {hba => 'local all reader scram-sha-256'});
my ($source, $destination) = ($pair->source->connstr('postgres'), $pair->destination->connstr('postgres'));
my @there = ('--target', $destination);
my @both = ('--source', $source, @there);
my @NAMES = qw(plain big filled doubtful paced);
$pair->create_gate;
$pair->both_sql(join '', (map { "CREATE TABLE $_ (id integer PRIMARY KEY, note text);" } @NAMES), <<'SQL');
CREATE TABLE parent (id integer PRIMARY KEY);
CREATE TABLE kid (id integer PRIMARY KEY, parent_id integer REFERENCES parent);
CREATE TABLE watched (id integer PRIMARY KEY, note text);
CREATE TABLE indexed (id integer PRIMARY KEY, note text);
CREATE TABLE numbered (id serial PRIMARY KEY, note text);
CREATE TABLE lacking (id integer PRIMARY KEY);
SQL
$pair->source_sql(join '', (map { "INSERT INTO $_ SELECT i, 'n' || i FROM generate_series(1, 1000) AS i;" }
    qw(plain filled watched indexed)), <<'SQL');
INSERT INTO numbered (note) SELECT 'n' FROM generate_series(1, 1000);
INSERT INTO big SELECT i, repeat('b', 100) FROM generate_series(1, 20000) AS i;
INSERT INTO paced SELECT i, repeat('p', 100) FROM generate_series(1, 20000) AS i;
INSERT INTO doubtful SELECT i, repeat('d', 100) FROM generate_series(1, 20000) AS i;
CREATE ROLE reader LOGIN PASSWORD 'right';
ANALYZE;
SQL
$pair->destination_sql(<<'SQL');
CREATE FUNCTION change() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.note := 'changed'; RETURN NEW; END $$;
CREATE TRIGGER change BEFORE INSERT ON watched FOR EACH ROW EXECUTE FUNCTION change();
CREATE INDEX indexed_note ON indexed (note);
INSERT INTO filled VALUES (-1, 'mine');
ALTER TABLE lacking ADD must integer NOT NULL;
SQL

sub copy { return run_program('copy', @both, @_) }
sub count { my ($of) = @_; return $pair->destination_sql("SELECT count(*) FROM $of") }
sub latest { my ($column) = @_; return $pair->destination_sql("SELECT $column FROM parallel_pulls ORDER BY pull_id DESC LIMIT 1") }

sub exits {
  my ($rule, $code, $run, $err) = @_;
  local $Test::Builder::Level = $Test::Builder::Level + 1;
  is($run->{code}, $code, "$rule: exits with $code") or diag $run->{err};
  like($run->{err}, $err, '… and says why') if $err;
  return $run;
}

# Each of the patterns matches, one after the other.
sub says_in_order {
  my ($rule, $text, @patterns) = @_;
  local $Test::Builder::Level = $Test::Builder::Level + 1;
  my $all = join '.*', @patterns;
  return like($text, qr/$all/s, $rule);
}

# ---- before the start ----

my @OBSTACLES = (qr/foreign keys are checked while rows are loaded[^\n]*: kid_parent_id_fkey of public\.kid to public\.parent/,
  qr/triggers fire for each row of: public\.watched/, qr/indexes that are not unique are faster to create after the load[^\n]*public\.indexed/);
my $run = copy('--dry-run', qw(parent kid watched indexed plain));
exits('a dry run', 0, $run);
says_in_order('… tells foreign keys, triggers and indexes', $run->{err}, @OBSTACLES);
# hint: orchestrator/run/destination_tables.cpp: resume what has failed once the tables
like($run->{err}, qr/hint: Create them after the load, as pg_restore --section=post-data does, or resume what has failed/,
  '… and what to do about foreign keys');
like($run->{out}, qr/^public\.plain: \d+(\.\d+)? kB, about 1 000 rows, 1 chunk, route heap\n.*\bid\b/m, '… and size, rows, chunks, route and key of each table')
  or diag $run->{out};
is(count('plain') . count('parallel_pulls'), '00', '… and does nothing');
my $document = decode_json(exits('a dry run of what would fail', 1, copy('--dry-run', '--json', qw(lacking plain)))->{out});
my %found = map { ($_->{table} => $_->{dry_run}) } @{$document->{tables}};
is(join('; ', map { $_->{message} } grep { $_->{level} eq 'error' } @{$found{'public.lacking'}{items}}),
  'null value in column "must" of relation "lacking" violates not-null constraint', '… has the error of that table in its document');
is("$found{'public.plain'}{route} $found{'public.plain'}{estimated_rows}", 'heap 1000', '… and what would be done with the other');
is(scalar(grep { $_->{level} eq 'error' } @{$found{'public.plain'}{items}}), 0, '… which has none');

$run = copy(qw(parent kid watched indexed nope filled plain));
exits('a missing table, and one with rows', 1, $run);
says_in_order('… are told first, and once more at the end', $run->{err}, @OBSTACLES, qr/"nope" does not exist/,
  qr/"public\.filled" has rows already/, qr/^\S+ \S+ UTC/m, qr/"nope" does not exist/, qr/"public\.filled" has rows already/);
$pair->same_rows("SELECT * FROM $_", "… $_ is loaded") for qw(plain indexed);
is($pair->destination_sql(q(SELECT (SELECT tgenabled FROM pg_trigger WHERE tgname = 'change'), (SELECT count(*) FROM pg_constraint WHERE conname = 'kid_parent_id_fkey'),
  (SELECT indisvalid FROM pg_index WHERE indexrelid = 'indexed_note'::regclass))), 'O|1|t', '… trigger, foreign key and index are as they were');
my ($nope) = $run->{err} =~ /"nope".*?Continue with this table: (.*?)$/ms;
exits('… the command for the missing one', 1, shell($nope), qr/"nope" does not exist/);
$pair->source_sql('CREATE TABLE nope (id integer); INSERT INTO nope VALUES (1)');
$pair->destination_sql('CREATE TABLE nope (id integer)');
exits('… works once it is there', 0, shell($nope));
my ($filled) = $run->{err} =~ /"public\.filled" has rows.*?To empty it and load all of it anew: (.*?)$/ms;
exits('… and so does that for the one with rows', 0, shell($filled));
$pair->same_rows('SELECT * FROM filled', '… which is emptied and loaded');

$run = copy('--where', 'id > 1000', 'filled');
exits('a part of a table', 0, $run, qr/table "public\.filled" has rows already, which stay/);

exits('a part of a table with a sequence', 0, copy('--where', 'id <= 500', 'numbered'));
is($pair->destination_sql('SELECT is_called FROM numbered_id_seq'), 'f', '… leaves the sequence alone');
exits('… with --sequences', 0, copy('--sequences', '--where', 'id > 500 AND id < 600', 'numbered'));
is($pair->destination_sql('SELECT last_value FROM numbered_id_seq'), 1000, '… does not');
$pair->destination_sql('TRUNCATE numbered RESTART IDENTITY');
exits('a whole table with --no-sequences', 0, copy('--no-sequences', 'numbered'));
is($pair->destination_sql('SELECT is_called FROM numbered_id_seq'), 'f', '… leaves the sequence alone');

# ---- what cannot be loaded is not emptied ----

exits('--truncate with a key that is not there', 1, copy('--truncate', '--key', 'nosuch', 'filled'), qr/nosuch/);
is(count('filled'), 1000, '… empties nothing');
exits('… nor with one that is, beside a table that cannot be loaded', 1, copy('--truncate', '--on-error', 'stop', '--columns-for', 'plain', 'nosuch', qw(filled plain)), qr/nosuch/);
is(count('filled') . ' ' . count('plain'), '1000 1000', '… where that is to stop all');
$run = exits('… where not, the others are loaded', 1, copy('--truncate', '--columns-for', 'plain', 'nosuch', qw(filled plain)));
is(count('filled') . ' ' . count('plain'), '1000 1000', '… and it keeps its rows');

# ---- --on-error stop ----

$pair->destination_sql('TRUNCATE plain; ALTER TABLE big ADD CHECK (id < 100)');
$run = copy('--on-error', 'stop', '--jobs', 1, '--max-rate', '500kB', qw(big plain paced));
exits('--on-error stop: a table that fails while others are loaded', 1, $run, qr/check constraint/);
isnt(count('paced'), 20000, '… ends the run');
$pair->destination_sql('ALTER TABLE big DROP CONSTRAINT big_id_check');
my @on = $run->{err} =~ /^parallel-loader: hint: Continue with this table: (.*)$/mg;
for my $step (1 .. 3) {
  shell($_) for @on;
}
shell($1) if $run->{err} =~ /not begun\. To load (?:it|them): (.*)$/m;
$pair->same_rows("SELECT * FROM $_", "… what it says leads on: $_") for qw(big plain paced);

# ---- verification ----

$pair->destination_sql('TRUNCATE watched, plain');
exits('a value that a trigger has changed', 5, copy('--verify', 'checksum', 'watched'));
$pair->destination_sql('TRUNCATE watched');
exits('… which a count does not see', 0, copy('--verify', 'count', 'watched'));
$pair->destination_sql(q(CREATE FUNCTION slow(integer) RETURNS boolean LANGUAGE sql AS 'SELECT pg_sleep(60) IS NOT NULL'));
$pair->source_sql(q(CREATE FUNCTION slow(integer) RETURNS boolean LANGUAGE sql AS 'SELECT true'));
my $job = start_program('copy', @both, '--verify', 'checksum', '--where', 'public.slow(id)', 'plain');
wait_until(20, sub { $pair->destination_sql(q(SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep')) });
$job->{run}->signal('INT');
exits('Ctrl-C during the comparison', 130, end_of($job));
is(count('plain'), 1000, '… the rows are there');

# ---- what others do meanwhile ----

$pair->destination_sql('TRUNCATE paced');
$job = start_program('copy', @both, '--max-rate', '64kB', '--chunk-size', '64kB', '--report-every', '1s', 'paced');
wait_until(20, sub { latest('state') eq 'running' });
my $id = latest('pull_id');
is(latest('max_rate'), 64, 'a copy with --max-rate has that rate');
my $watch = start_program('status', '--watch', $id, @there, '--report-every', '1s');
run_program('alter', $id, '--max-rate', '100kB', @there);
is(latest('max_rate'), 100, '… another program changes it');
run_program('alter', $id, '--pause', @there);
wait_until(20, sub { $job->{run}->pump_nb; $job->{err} =~ /paused/ });
like($job->{err}, qr/paused/, '… and pauses it, which the first shows');
wait_until(20, sub { $watch->{run}->pump_nb; $watch->{err} =~ /paused/ });
$watch->{run}->signal('INT');
exits('status --watch shows it, too, until Ctrl-C', 0, end_of($watch));
like($watch->{err} . $watch->{out}, qr/paused/, '… as it changes');
$job->{run}->signal('KILL');
end_of($job);
run_program('alter', $id, '--jobs', 2, @there);
$job = start_program('resume', $id, @both, '--max-rate', '70kB');
ok(wait_until(20, sub { latest('max_rate') == 70 }), 'a resume of a pull that goes on sets its own rate');
is(run_program('cancel', $id, @there)->{code}, 0, 'a pull is cancelled by another program');
exits('… which ends that of the first', 1, end_of($job), qr/cancel/);
$job = start_program('resume', $id, @both, '--new-snapshot', '--max-rate', '80kB');
ok(wait_until(20, sub { latest('max_rate') == 80 && latest('state') eq 'running' }), 'a resume of one that has ended sets its rate');
run_program('alter', $id, '--max-rate', 0, @there);
exits('… and goes on', 0, end_of($job));
$pair->same_rows('SELECT * FROM paced', '… each row is there once');

# ---- two tables, watched ----

$pair->destination_sql('TRUNCATE paced, big');
$job = start_program('copy', @both, '--max-rate', '300kB', '--chunk-size', '64kB', '--jobs', 1, qw(paced big));
wait_until(20, sub { $pair->destination_sql(q(SELECT count(*) FROM parallel_pulls WHERE state IN ('planned', 'running'))) == 2 });
$watch = start_program('status', '--watch', latest('run_id'), @there, '--report-every', '1s');
ok(wait_until(30, sub { $watch->{run}->pump_nb; $watch->{err} =~ /1 running, 1 waiting.* ETA / }),
  'status --watch of two tables tells the time that is left') or diag $watch->{err};
my ($shown) = $watch->{err} =~ /1 running, 1 waiting\s+(\d+)%/;
cmp_ok($shown // 100, '<', 60, '… the table that waits counts, too') or diag $watch->{err};
is($pair->destination_sql(q(SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
  WHERE query LIKE '%parallel_pulls%' AND pid <> pg_backend_pid() AND backend_type = 'client backend')) > 0, 1, '… its session is lost');
my $lines = () = $watch->{err} =~ /\n/g;
ok(wait_until(20, sub { $watch->{run}->pump_nb; my $now = () = $watch->{err} =~ /\n/g; $now > $lines + 2 }), '… and it goes on');
run_program('alter', latest('pull_id'), '--max-rate', 0, @there);
exits('… the copy ends', 0, end_of($job));
exits('… and then the watch', 0, end_of($watch));

# ---- a table that has failed, and is held ----

my $HELD = qr/its snapshot, \S+ old, is held in the worker slot of process \d+ for (?:4|5)m/;

$pair->destination_sql(q(ALTER DATABASE postgres SET parallel_loader.snapshot_hold = '5min'; INSERT INTO doubtful VALUES (-1);
  ALTER TABLE doubtful ADD CHECK (id <> 15000)));
exits('a table fails in the middle', 1, copy('--where', 'id > 0', '--jobs', 1, '--chunk-size', '64kB', qw(doubtful)));
$id = latest('pull_id');
my $before = count('doubtful');
like(run_program('status', $id, @there)->{out}, $HELD, 'status says what holds its snapshot, and how long still');
like(run_program('status', @there)->{out}, qr/^ *$id [^\n]*$HELD/m, '… also beside other runs');
my ($held) = map { $_->{tables}[0] } @{decode_json(run_program('status', $id, '--json', @there)->{out})->{runs}};
is($held->{held_by}, ($pair->coordinator_pids)[0], '… and in its document');
is($held->{hold_ended}, undef, '… until it lets go');
run_program('cancel', $id, @there);
wait_until(20, sub { !$pair->coordinator_pids });
exits('a restart of a table that had rows', 1, run_program('resume', $id, @both, '--restart'), qr/not emptied: it had rows when pull $id began/);
is(count('doubtful'), $before, '… empties nothing');

# ---- the snapshot of another session, as one that has created a slot ----

$pair->source_sql(join '', map { "CREATE TABLE then_$_ AS TABLE $_;" } qw(paced big));
$pair->destination_sql('TRUNCATE paced, big');
my $exporter = $pair->session('source');
$exporter->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ');
my $snapshot = $exporter->query_safe('SELECT pg_export_snapshot()');
$pair->source_sql(q(UPDATE paced SET note = 'later' WHERE id % 3 = 0; DELETE FROM big WHERE id % 2 = 0; INSERT INTO big VALUES (-1, 'later')));
$job = start_program('copy', @both, '--snapshot', $snapshot, '--max-rate', '300kB', '--chunk-size', '64kB', qw(paced big));
wait_until(20, sub { $pair->destination_sql(q(SELECT count(*) FROM parallel_pulls WHERE chunks_done > 0 AND state = 'running')) > 0 });
$exporter->query_safe('COMMIT');
$job->{run}->signal('KILL');
end_of($job);
exits('--snapshot: the program is killed, the session of the snapshot has ended, and the run goes on', 0,
  run_program('resume', @both, '--max-rate', 0));
$pair->same_rows({source => "SELECT * FROM then_$_", destination => "SELECT * FROM $_"}, "… $_ is what the snapshot shows") for qw(paced big);

# ---- mistakes that everybody makes ----

$run = run_program('copy', '--source', "$source user=reader password=wrong", @there, 'plain');
exits('a wrong password', 3, $run, qr/password authentication failed for user "reader"/);
unlike($run->{err}, qr/wrong/, '… which is not shown');
# hint: orchestrator/commands/source.cpp: connects to the source as --source-on-target says
exits('a host that the destination server cannot reach', 3, copy('--source-on-target', 'host=127.0.0.1 port=1 dbname=x', 'filled', '--where', 'false'),
  qr/127\.0\.0\.1.*port 1 .*hint: The destination server connects to the source as --source-on-target says/s);
exits('a key that is not there', 1, copy('--where', 'true', '--key', 'nosuch', 'plain'), qr/"nosuch".*hint:/s);
$pair->destination->append_conf('postgresql.conf', 'max_worker_processes = 0');
$pair->destination->restart;
$run = exits('no worker slots', 1, copy('--where', 'id < 0', 'plain'), qr/hint: Set max_worker_processes to 2 or more/);
my ($again) = $run->{err} =~ /Continue with: (.*)$/m;
$pair->destination->append_conf('postgresql.conf', 'max_worker_processes = 8');
$pair->destination->restart;
exits('… what it says helps, and the command goes on', 0, shell($again));

$pair->nothing_left('no process or session is left');
$pair->finish;
