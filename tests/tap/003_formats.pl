# Servers, roles and sessions with hostile settings: values, bounds and filters keep their meaning,
# and no time-out but the caller's own ends a pull.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";

use ParallelLoader::Test;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep);

# Money depends on locales, which a small machine may not have; localedef makes them.
my $locale_dir = PostgreSQL::Test::Utils::tempdir('locale');
my $has_locales = 0 == system join ' && ', map {
  "localedef --no-archive -i $_ -f UTF-8 $locale_dir/$_.UTF-8 >/dev/null 2>&1"
} qw(de_DE en_US);

my $pair = ParallelLoader::Test->new(both => {env => {LOCPATH => $locale_dir}});

# Settings that change how values are written and read, in two ways that contradict each other.
my %ONE = (
  DateStyle => 'SQL, DMY',
  IntervalStyle => 'sql_standard',
  TimeZone => 'Asia/Kolkata',
  extra_float_digits => -10,
  bytea_output => 'escape',
  xmloption => 'document',
  array_nulls => 'off',
  standard_conforming_strings => 'off',
  search_path => 'trap, pg_temp',
  default_transaction_isolation => 'serializable',
  default_transaction_deferrable => 'on',
  quote_all_identifiers => 'on',
  client_encoding => 'LATIN1',
  default_text_search_config => 'pg_catalog.german',
  lc_monetary => $has_locales ? 'de_DE.UTF-8' : 'C');
my %OTHER = (
  DateStyle => 'ISO, MDY',
  IntervalStyle => 'iso_8601',
  TimeZone => 'America/St_Johns',
  extra_float_digits => 3,
  bytea_output => 'hex',
  xmloption => 'content',
  array_nulls => 'on',
  standard_conforming_strings => 'on',
  search_path => '"$user"',
  default_transaction_isolation => 'repeatable read',
  default_transaction_deferrable => 'off',
  quote_all_identifiers => 'off',
  client_encoding => 'EUC_JP',
  default_text_search_config => 'pg_catalog.simple',
  lc_monetary => $has_locales ? 'en_US.UTF-8' : 'C');

# The settings belong to a role, so that they hold for sessions and workers of its own alone.
sub alter_role {
  my ($side, %settings) = @_;
  my $node = $side eq 'source' ? 'source_sql' : 'destination_sql';
  $pair->$node(join ";\n", 'ALTER ROLE hasty RESET ALL', map {
    "ALTER ROLE hasty SET $_ = " . ($_ eq 'search_path' ? $settings{$_} : literal($settings{$_}))
  } sort keys %settings);
  return;
}

# Objects that a session finds first if it forgets to pin its search path.
my $TRAP = <<'SQL';
CREATE ROLE hasty SUPERUSER LOGIN;
CREATE SCHEMA trap;
CREATE TABLE trap.formats (trap integer);
CREATE TABLE trap.pull (trap integer);
CREATE TABLE trap.chunk (trap integer);
CREATE FUNCTION trap.count(anyelement) RETURNS bigint LANGUAGE sql AS 'SELECT -1::bigint';
CREATE FUNCTION trap.pg_export_snapshot() RETURNS text LANGUAGE sql AS 'SELECT ''trapped''::text';
SQL
my $TABLE = <<'SQL';
CREATE TABLE public.formats (
  id integer PRIMARY KEY, day date, at timestamptz, local timestamp, span interval, f real,
  d double precision, raw bytea, doc xml, words text[], class regclass, price money, j jsonb,
  days daterange, backslash text);
SQL
$pair->both_sql($TRAP . $TABLE);
# Days up to the twelfth can be taken for months.
$pair->source_sql(<<'SQL');
INSERT INTO formats SELECT i, date '2024-01-02' + i, timestamptz '2024-02-01 03:04:05.678901+00'
  + i * interval '1 day 1 hour', timestamp '2024-02-01 03:04:05' + i * interval '1 day',
  i * interval '-1 mon 2 days -3:04:05.6', (i / 7.0)::real, 1 / (i + 0.3::float8),
  decode(md5(i::text), 'hex'),
  xmlparse(content CASE WHEN i % 2 = 0 THEN '<a/> text <b/>' ELSE '<!DOCTYPE a><a/>' END),
  ARRAY['NULL', NULL, 'a\b'], 'pg_class', i * 1234567.89::numeric::money, '{"a": "\\\""}',
  daterange('2024-03-04', date '2024-03-05' + i), '\' || i || '\N\' || U&' \00E9\65E5'
FROM generate_series(0, 200) AS i;
SQL

sub call_as_hasty {
  my ($start, $end, $named) = @_;
  return $pair->try_sql('SET statement_timeout = 0; '
      . $pair->pull_sql('public.formats', $start, $end,
        {dsn => $pair->dsn('postgres', 'user=hasty'),
        %{$named // {}}}) =~ s/SELECT parallel/SELECT public.parallel/r, user => 'hasty');
}

my @PAIRS = (['one', \%ONE, \%OTHER], ['the other', \%OTHER, \%ONE]);
for my $case (@PAIRS) {
  my ($way, $source, $destination) = @$case;
  alter_role('source', %$source, default_transaction_read_only => 'on');
  alter_role('destination', %$destination);

  # Without regclass binary can carry all the rest.
  my @columns = qw(id day at local span f d raw doc words price j days backslash);
  for my $format (qw(binary text)) {
    $pair->destination_sql('TRUNCATE formats');
    my $result = call_as_hasty(undef, undef, {format => $format, columns => \@columns});
    is($result->is_ok ? $result->out : $result->summary, 201,
      "settings differ $way way: pulls in $format");
    $pair->same_rows('SELECT ' . join(', ', @columns) . ' FROM formats',
      "settings differ $way way: $format keeps every value");
  }
  $pair->destination_sql('TRUNCATE formats');
  my $result = call_as_hasty();
  is($result->is_ok ? $result->out : $result->summary, 201,
    "settings differ $way way: pulls reg* types");
  $pair->same_rows('SELECT * FROM formats',
    "settings differ $way way: reg* types keep their names");

  # 3 April for a caller who writes days first, 4 March for the other.
  my $day = $destination->{DateStyle} =~ /DMY/ ? '2024-04-03' : '2024-03-04';
  $pair->destination_sql('TRUNCATE formats');
  $result = call_as_hasty(q('03/04/2024'), 'NULL', {key => 'day'});
  $pair->same_rows({
      source => "SELECT id FROM formats WHERE day >= '$day'",
      destination => 'SELECT id FROM formats'},
    "settings differ $way way: a text bound means the caller's date");
  $pair->destination_sql('TRUNCATE formats');
  $result = call_as_hasty(undef, undef,
    {filter => q(day >= '03/04/2024' AND backslash <> E'\\\\')});
  $pair->same_rows({
      source => "SELECT id FROM formats WHERE day >= '$day'",
      destination => 'SELECT id FROM formats'},
    "settings differ $way way: the filter means the caller's date")
    or diag $result->summary;
}
SKIP: {
  skip 'no locales for money on this machine', 1 unless $has_locales;
  isnt($pair->source_sql(q(SET lc_monetary = 'de_DE.UTF-8'; SELECT 12.3::money)),
    $pair->source_sql(q(SET lc_monetary = 'en_US.UTF-8'; SELECT 12.3::money)),
    'money is written in two ways here');
}

# ---- transactions ----

# Several chunks at once under serializable transactions, by a role that may not write by default:
# the caller's transaction says that it writes, so its workers do.
$pair->both_sql('CREATE TABLE many (id integer PRIMARY KEY, note text)');
$pair->source_sql(
  q(INSERT INTO many SELECT i, repeat('n', 200) FROM generate_series(1, 20000) AS i));
alter_role($_, default_transaction_isolation => 'serializable',
  default_transaction_read_only => 'on')
  for qw(source destination);
my $serializable = $pair->try_sql('BEGIN READ WRITE; '
    . $pair->pull_sql('many', undef, undef, {dsn => $pair->dsn('postgres', 'user=hasty')}),
  user => 'hasty');
is($serializable->summary, 'success: 20000', 'serializable roles can pull many chunks at once');
cmp_ok($pair->pull->{chunks}, '>', 1, '… more than one');
$pair->same_rows('SELECT * FROM many', '… every row once');
$pair->error_is($pair->pull_sql('many', 1, 2), '25006', qr/read-only/,
  '… but a transaction that is read-only by default cannot', user => 'hasty');

# ---- time-outs ----

my %HASTY = (
  statement_timeout => '500ms',
  lock_timeout => '1ms',
  idle_in_transaction_session_timeout => '400ms',
  idle_session_timeout => '400ms',
  deadlock_timeout => '100ms');
alter_role($_, %HASTY) for qw(source destination);

# Slow enough to outlast every time-out, on both sides at once: the source sleeps while it sends,
# and the destination's trigger sleeps while it writes.
$pair->both_sql('CREATE TABLE slow (id integer, slept text)');
$pair->source_sql(<<'SQL');
CREATE VIEW slow_view AS SELECT id, CASE WHEN id % 20 = 0 THEN pg_sleep(0.15)::text END AS slept
FROM formats WHERE id < 200;
SQL
$pair->destination_sql(<<'SQL');
CREATE FUNCTION slow_down() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF new.id % 40 = 0 THEN
    PERFORM pg_sleep(0.25);
  END IF;
  RETURN new;
END $$;
CREATE TRIGGER slow_down BEFORE INSERT ON slow FOR EACH ROW EXECUTE FUNCTION slow_down();
SQL
my $hasty_dsn = $pair->dsn('postgres', 'user=hasty');
for my $format (qw(binary text)) {
  $pair->destination_sql('TRUNCATE slow');
  my $seconds = stopwatch();
  my $result = $pair->try_sql('SET statement_timeout = 0; '
      . $pair->pull_sql('slow', undef, undef, {dsn => $hasty_dsn, source_table => 'slow_view',
        format => $format}), user => 'hasty');
  is($result->is_ok ? $result->out : $result->summary, 200,
    "role-level time-outs on both ends do not end a pull in $format");
  cmp_ok($seconds->(), '>', 1.5, '… that outlasts them');
}

# Another session holds the table for longer than the role would wait for a lock.
my $locker = $pair->session('destination');
$locker->query_safe('BEGIN; LOCK TABLE formats IN SHARE MODE');
my $caller = $pair->session('destination', user => 'hasty');
$caller->query_safe(
  'SET statement_timeout = 0; SET lock_timeout = 0; SET idle_session_timeout = 0');
$caller->start($pair->pull_sql('formats', 1000, 2000, {dsn => $hasty_dsn}));
my $is_waiting = wait_until(5, sub {
  $pair->destination_sql(q(SELECT count(*) FROM pg_locks JOIN pg_stat_activity USING (pid)
    WHERE NOT granted AND backend_type LIKE 'parallel_loader%')) > 0
});
ok($is_waiting, 'a worker waits for a lock of another session');
sleep 1.5;
ok(!$caller->is_finished, 'it waits longer than the role\'s lock_timeout and statement_timeout');
$locker->query_safe('COMMIT');
my $result = $caller->finish(10);
is($result->is_ok ? $result->out : $result->summary, 0, '… and goes on when the lock is gone');

# The caller's own statement_timeout bounds its wait, and only that ends the pull.
my $seconds = stopwatch();
$pair->error_is('SET statement_timeout = 700; '
    . $pair->pull_sql('slow', undef, undef, {source_table => 'slow_view'}),
  '57014', qr/statement timeout/, 'the caller\'s own statement_timeout ends its wait');
cmp_ok($seconds->(), '<', 1.7, '… in time');

$pair->nothing_left('no process or session is left');
$pair->finish;
