# The caller's time zone: used where bounds and filters are read, and for nothing else; a source whose
# time zone data lacks it serves everything that does not need it.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";

use File::Path qw(rmtree);
use ParallelLoader::Session;
use ParallelLoader::Test;
use Test::More;

my $pair = ParallelLoader::Test->new;
$pair->both_sql('CREATE TABLE t (id integer PRIMARY KEY, at timestamptz, daily timetz)');
$pair->both_sql('CREATE TABLE days (day date PRIMARY KEY)');
$pair->destination_sql('CREATE TABLE local_times (id integer PRIMARY KEY, at timestamp, daily timetz)');
$pair->source_sql(<<'SQL');
INSERT INTO t SELECT i, timestamptz '2024-01-01 00:00+00' + i * interval '1 hour', '12:00+02'
FROM generate_series(1, 1000) AS i;
INSERT INTO days SELECT date '2024-01-01' + i FROM generate_series(0, 99) AS i;
CREATE SEQUENCE numbers OWNED BY t.id;
CREATE TABLE grown AS SELECT * FROM t;
SQL
$pair->destination_sql('CREATE SEQUENCE numbers OWNED BY t.id; CREATE TABLE grown (LIKE t)');

my $dsn = literal($pair->dsn);
sub in_zone {
  my ($zone, $sql) = @_;
  return "SET TimeZone = " . literal($zone) . "; $sql";
}
sub emptied { my ($table) = @_; return $pair->destination_sql("TRUNCATE $table") }

my $FROM_NOON = q('2024-01-02 12:00'::text, NULL, key => 'at');
my @zones = ('UTC', '<+0545>-05:45', 'Asia/Kathmandu', 'EST5EDT', 'Europe/Kyiv');
sub works_in {
  my ($zone) = @_;
  emptied('t');
  my $count = q((floor(extract(epoch FROM timestamptz '2024-02-11 16:00+00' - '2024-01-02 12:00'::timestamptz) / 3600)::integer + 1));
  is($pair->destination_sql(in_zone($zone, "SELECT parallel_pull($dsn, 't', $FROM_NOON) - $count")), 0,
    "bounds are read in zone $zone");
  emptied('t');
  is($pair->destination_sql(in_zone($zone,
      "SELECT rows - $count FROM parallel_pull_table($dsn, 't', filter => 'at >= ''2024-01-02 12:00''')")), 0,
    '… and so is a filter');
  emptied('t');
  # Compared as timestamptz: each day begins at its midnight in the caller's zone.
  is($pair->destination_sql(in_zone($zone,
      "TRUNCATE days; SELECT parallel_pull($dsn, 'days', timestamptz '2024-01-11', timestamptz '2024-01-21', key => 'day')")),
    10, '… and a bound that the key is converted for');
  emptied('local_times');
  $pair->destination_sql(in_zone($zone, "SELECT parallel_pull_table($dsn, 'local_times', source_table => 't')"));
  is($pair->destination_sql(in_zone($zone,
      "SELECT count(*) FROM local_times WHERE at = timestamptz '2024-01-01 00:00+00' + id * interval '1 hour'")), 1000,
    '… and a time that loses its zone here is that of the caller');
  return;
}
works_in($_) for @zones;

# ---- a source that does not know it ----

my $folder = $pair->source->data_dir . '/../zones';
sub restart_without_zone {
  my $node = $pair->source;
  $node->stop;
  my ($data, $log, $bin) = ($node->data_dir, $node->logfile, $node->config_data('--bindir'));
  my $script = "mkdir -p '$folder' && cp -a /usr/share/zoneinfo/. '$folder' && rm -f '$folder/Europe/Kyiv'"
    . " && mount --bind '$folder' /usr/share/zoneinfo && exec '$bin/pg_ctl' -s -w -D '$data' -l '$log' start";
  my $is_possible = system('unshare', '-Umc', '--keep-caps', 'sh', '-c', $script) == 0;
  $is_possible ? $node->_update_pid(1) : $node->start;
  return $is_possible;
}

SKIP: {
  skip 'no mount namespaces here', 1 unless restart_without_zone();
  my $zone = 'Europe/Kyiv';
  skip 'the source has its time zone data elsewhere', 1
    if ParallelLoader::Session::run_sql($pair->source, "SET TimeZone = '$zone'")->is_ok;
  my $unknown = qr/source does not know time zone "$zone".*Set TimeZone to a zone that both servers know/s;
  for my $format (qw(auto text binary)) {
    emptied('t');
    is($pair->destination_sql(in_zone($zone, "SELECT rows FROM parallel_pull_table($dsn, 't', format => '$format')")),
      1000, "format $format: a pull without bounds and filter does not need the zone");
    $pair->same_rows('SELECT * FROM t', '… and brings the right times');
  }
  is($pair->destination_sql(in_zone($zone, "SELECT count(*) FROM parallel_pull_plan($dsn, 't')")), 1, 'plan');
  is($pair->destination_sql(in_zone($zone,
      "SELECT count(*) FROM parallel_pull_check($dsn, 't') WHERE level = 'error'")), 0, 'check');
  is($pair->destination_sql(in_zone($zone, "SELECT bool_and(matches) FROM parallel_pull_verify($dsn, 't')")), 't', 'verify');
  is($pair->destination_sql(in_zone($zone, "SELECT count(*) FROM parallel_pull_sequences($dsn)")), 1, 'sequences');
  is($pair->destination_sql(in_zone($zone, "SELECT parallel_pull_append($dsn, 'grown')")), 1000, 'append');
  is($pair->destination_sql(in_zone($zone, "SELECT count(*) FROM parallel_pull_create($dsn, 'days')")), 1, 'create');

  $pair->error_is(in_zone($zone, "SELECT parallel_pull($dsn, 't', $FROM_NOON)"), '22023', $unknown,
    'bounds need it, and the error says so');
  for my $call (map { "$_($dsn, 't', filter => 'at > now()')" } qw(parallel_pull_table parallel_pull_plan parallel_pull_verify)) {
    $pair->error_is(in_zone($zone, "SELECT * FROM $call"), '22023', $unknown, "… and a filter: $call" =~ s/\(.*//r);
  }
  is($pair->destination_sql(in_zone($zone, "SELECT count(*) FROM parallel_pull_check($dsn, 't', filter => 'at > now()')"
        . q( WHERE level = 'error' AND item = 'filter' AND message LIKE '%time zone "Europe/Kyiv"%'))), 1,
    '… which check finds');
  $pair->error_is(in_zone($zone, "SELECT parallel_pull_table($dsn, 'local_times', source_table => 't')"), '22023',
    qr/Column "at" has another type on the destination/, 'a time that loses its zone here needs it');
  is($pair->destination_sql(in_zone('<+0545>-05:45',
      "TRUNCATE t; SELECT parallel_pull($dsn, 't', $FROM_NOON)")), 970, 'a zone in the style of POSIX is known everywhere');
  $pair->destination_sql('SELECT parallel_pull_cancel(pull_id) FROM parallel_pulls');
}
rmtree($folder);

$pair->nothing_left('at the end no worker and no session is left');
$pair->finish;
