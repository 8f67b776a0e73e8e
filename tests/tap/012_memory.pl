# A worker's own memory stays under 64 MB whatever the table, and a larger row costs a small
# multiple of itself.  PARALLEL_LOADER_BIG=1 pulls five million rows.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";

use ParallelLoader::Memory;
use ParallelLoader::Test;
use Test::More;

my $LIMIT_MB = 64;

my $pair = ParallelLoader::Test->new;
$pair->create_gate;

# 40 columns, three of them with values of 1 MB.
my %MIXED = (
  'integer' => 'i', 'bigint' => '-i', 'numeric' => 'i / 7.0', 'boolean' => 'i % 2 = 0',
  'date' => q(date '2000-01-01' + i), 'timestamptz' => q(timestamptz '2000-01-01' + i * interval '1 day'),
  'uuid' => 'md5(i::text)::uuid', 'text' => q('text ' || i), 'integer[]' => 'ARRAY[i, NULL, 7]');
my @MIXED = ('i AS id', 'repeat(md5(i::text), 31250) AS long_text',
  q(CASE i % 2 WHEN 0 THEN (SELECT jsonb_agg(n) FROM generate_series(1, 150000) AS n)
    ELSE jsonb_build_object('key', repeat(md5(i::text), 31250)) END AS long_json),
  q(decode(repeat(md5(i::text), 62500), 'hex') AS long_bytes));
for my $type (sort keys %MIXED) {
  push @MIXED, map { "CASE WHEN i % 5 <> $_ THEN ($MIXED{$type})::$type END AS c" . (@MIXED + $_) } 0 .. 3;
}
my $MIXED = join ', ', @MIXED;

my $NORMAL_ROWS = $ENV{PARALLEL_LOADER_BIG} ? 5_000_000 : 400_000;
$pair->source_sql(<<"SQL");
CREATE TABLE wide (id integer, body text);
ALTER TABLE wide ALTER body SET STORAGE EXTERNAL;
INSERT INTO wide SELECT i, repeat(md5(i::text), 3125) FROM generate_series(1, 1000) AS i;
CREATE TABLE huge (id integer, body text);
ALTER TABLE huge ALTER body SET STORAGE EXTERNAL;
INSERT INTO huge SELECT i, repeat(md5(i::text), 1000000) FROM generate_series(1, 3) AS i;
CREATE TABLE mixed AS SELECT $MIXED FROM generate_series(1, 30) AS i;
CREATE TABLE normal (
  id bigint, device_id integer, ts timestamptz, lat float8, lon float8, value numeric,
  status smallint, tag text, note text);
INSERT INTO normal SELECT i, i % 1000, now(), i / 7.0, i / 9.0, i / 3.0, i % 5, 'tag ' || i % 100,
  repeat('n', i % 60) FROM generate_series(1, $NORMAL_ROWS) AS i;
SQL
for my $table (qw(wide huge mixed normal)) {
  my $columns = $pair->source_sql("SELECT string_agg(attname || ' ' || format_type(atttypid, NULL),"
      . " ', ' ORDER BY attnum) FROM pg_attribute"
      . " WHERE attrelid = '$table'::regclass AND attnum > 0");
  $pair->destination_sql("CREATE TABLE $table ($columns)");
  $pair->destination_sql("ALTER TABLE $table ALTER body SET STORAGE EXTERNAL")
    if $table =~ /wide|huge/;
}

# Pulls a table with one worker and returns the most memory of its own that the worker ever had.
sub peak_of {
  my ($table, $format) = @_;
  $pair->destination_sql("TRUNCATE $table");
  my ($result, $peak) = peak_of_pull($pair, $pair->pull_sql($table, undef, undef,
      {format => $format, workers => 1, filter => 'public.gate(id, 1)'}));
  is($result->summary, 'success: ' . $pair->source_sql("SELECT count(*) FROM $table"),
    "$table in $format arrives");
  note sprintf '%s in %s: %.1f MB', $table, $format, $peak;
  return $peak;
}

for my $format (qw(binary text)) {
  cmp_ok(peak_of('wide', $format), '<', $LIMIT_MB,
    "a thousand rows of 100 kB in $format: under $LIMIT_MB MB");
  cmp_ok(peak_of('mixed', $format), '<', $LIMIT_MB,
    "rows of 40 columns with values of 1 MB in $format: under $LIMIT_MB MB");
  cmp_ok(peak_of('normal', $format), '<', $LIMIT_MB,
    "$NORMAL_ROWS ordinary rows in $format: under $LIMIT_MB MB");
  # A row of 32 MB, a few times: as received, as a field, as a tuple.
  cmp_ok(peak_of('huge', $format), '<', $LIMIT_MB + 5 * 32,
    "rows of 32 MB in $format: a small multiple of one");
}

# ---- many pulls in one session ----

$pair->source_sql('CREATE TABLE few AS SELECT i AS id FROM generate_series(1, 10) AS i');
$pair->destination_sql('CREATE TABLE few (id integer)');
my $session = $pair->session('destination');
my $good = $pair->pull_sql('few');
my $bad = $pair->pull_sql('few', undef, undef, {filter => '1 / (id - 5) > 0'});
my $pid = $session->backend_pid;

# The first pulls fill caches; what comes after them must not add up.
$session->query($_) for ($good, $bad) x 3;
my ($files, $megabytes) = (open_files($pid), own_megabytes($pid));
$session->query($_) for ($good, $bad) x 20;
is(open_files($pid), $files, 'forty pulls leave no file open');
cmp_ok(own_megabytes($pid) - $megabytes, '<', 2, '… and no memory in use');
$session->close;

$pair->same_rows('SELECT * FROM normal', 'ordinary rows arrive unchanged');
$pair->same_rows('SELECT * FROM mixed', 'rows with long values arrive unchanged');
$pair->same_rows('SELECT id, md5(body) FROM wide', 'wide rows arrive unchanged');
$pair->nothing_left('no process or session is left');
$pair->finish;
