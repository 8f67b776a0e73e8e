# A job of pg_cron that appends every minute through a foreign server, while the source is written
# to: rows arrive, each once, failures are seen, and the password stands nowhere.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";

use ParallelLoader::Append;
use ParallelLoader::Test;
use PostgreSQL::Test::Utils;
use Test::More;

my ($libraries) = run_command(['pg_config', '--pkglibdir']);
plan skip_all => 'pg_cron is not installed' unless -e "$libraries/pg_cron.so";

my $SECRET = 'Xyzzy-cron-4711';
# A schedule of a minute, and some seconds for its run.
my $PATIENCE_S = 75;

# A job runs as whoever scheduled it: over a connection of its own, or in a background worker.
my $pair = ParallelLoader::Test->new(
  retries => 1,
  both => {conf => "log_statement = none\n"},
  source => {hba => 'local all reader scram-sha-256'},
  destination => {conf => <<'CONF'});
shared_preload_libraries = 'pg_cron'
cron.database_name = 'postgres'
cron.use_background_workers = on
CONF

my ($host, $port) = ($pair->source->host, $pair->source->port);
$pair->source_sql(<<"SQL");
CREATE ROLE reader LOGIN PASSWORD '$SECRET';
CREATE TABLE signals (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, note text);
GRANT SELECT ON signals TO reader;
INSERT INTO signals (note) SELECT 'early ' || i FROM generate_series(1, 100) AS i;
SQL
$pair->destination_sql(<<"SQL");
CREATE EXTENSION pg_cron;
CREATE ROLE loader LOGIN;
CREATE SERVER old_server FOREIGN DATA WRAPPER dblink_fdw
  OPTIONS (host '$host', port '$port', dbname 'postgres');
CREATE USER MAPPING FOR loader SERVER old_server OPTIONS (user 'reader', password '$SECRET');
GRANT USAGE ON FOREIGN SERVER old_server TO loader;
GRANT EXECUTE ON FUNCTION parallel_pull_append TO loader;
GRANT USAGE ON SCHEMA cron TO loader;
CREATE TABLE signals (id bigint, note text);
CREATE TABLE never (id bigint);
GRANT SELECT, INSERT ON signals, never TO loader;
SQL

my @loader = (user => 'loader');
my $job = $pair->destination_sql(q(SELECT cron.schedule('append signals', '* * * * *',
  $$SELECT parallel_pull_append('old_server', 'signals', key => 'id')$$)), @loader);
my $failing = $pair->destination_sql(q(SELECT cron.schedule('append never', '* * * * *',
  $$SELECT parallel_pull_append('old_server', 'never')$$)), @loader);

# Goes on until the end of this file, with rows that commit out of the order of their keys.
my $writer = $pair->session('source')->start(<<'SQL');
DO $$
BEGIN
  FOR i IN 1..100000 LOOP
    INSERT INTO signals (note) VALUES ('late ' || i);
    PERFORM pg_sleep(random() * 0.05);
    IF random() < 0.3 THEN
      ROLLBACK;
    ELSE
      COMMIT;
    END IF;
  END LOOP;
END $$
SQL

# Runs of the job that have ended, in this state.
sub runs {
  my ($id, $status) = @_;
  return $pair->destination_sql("SELECT count(*) FROM cron.job_run_details "
      . "WHERE jobid = $id AND status = '$status'");
}

sub becomes {
  my ($id, $status, $count, $rule) = @_;
  local $Test::Builder::Level = $Test::Builder::Level + 1;
  ok(wait_until($PATIENCE_S, sub { runs($id, $status) >= $count }), $rule)
    or diag($pair->destination_sql('SELECT jobid, status, return_message '
      . 'FROM cron.job_run_details'));
  return;
}

becomes($job, 'succeeded', 1, 'a job runs');
my $first = $pair->destination_sql('SELECT count(*) FROM signals');
cmp_ok($first, '>', 100, '… and brings what was there, and what came since');
grows_soundly($pair, 'signals', 'signals', '… rows of the source alone, each once');
becomes($job, 'succeeded', 2, '… it runs again');
cmp_ok($pair->destination_sql('SELECT count(*) FROM signals'), '>', $first, '… and brings more');
grows_soundly($pair, 'signals', 'signals', '… each once');
is(runs($job, 'failed'), 0, '… no run has failed');
is($pair->destination_sql('SELECT DISTINCT owner || state FROM parallel_pulls '
    . q(WHERE "table" = 'signals'::regclass)), 'loaderdone',
  '… its pulls stand in the ledger, as the role\'s that scheduled it');

becomes($failing, 'failed', 1, 'a job whose table is not on the source fails');
like($pair->destination_sql("SELECT min(return_message) FROM cron.job_run_details "
      . "WHERE jobid = $failing"), qr/relation "public\.never" does not exist on the source/,
  '… and says why');

# ---- the end: a switch-over ----

$pair->source_sql('SELECT pg_terminate_backend(' . $writer->backend_pid . ')');
$pair->destination_sql('SELECT cron.unschedule(jobid) FROM cron.job', @loader);
$pair->nothing_left('a job that was unscheduled runs no more');
my $last = $pair->try_sql(q(SELECT parallel_pull_append('old_server', 'signals')), @loader);
ok($last->is_ok, 'a last call by hand') or diag($last->summary);
$pair->same_rows('SELECT * FROM signals', '… and both tables are the same');

# ---- the password ----

for my $what (q(SELECT string_agg(j::text, ' ') FROM cron.job_run_details AS j),
  q(SELECT string_agg(p::text, ' ') FROM parallel_pulls AS p),
  q(SELECT string_agg(p::text, ' ') FROM parallel_loader.pull AS p),
  q(SELECT string_agg(m::text, ' ') FROM parallel_loader.mark AS m)) {
  unlike($pair->destination_sql($what), qr/\Q$SECRET\E/, "no password in $what");
}
# The mapping itself was created by a statement of ours.
my $log = join '', grep { !/CREATE USER MAPPING/ } slurp_file($pair->destination->logfile);
unlike($log, qr/\Q$SECRET\E/, '… nor in the log');

$pair->finish;
