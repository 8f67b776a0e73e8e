# The heap route against the server's own COPY FROM: tables of random columns, filled with values from
# the borders of their types, are pulled by both routes into tables whose types may be narrower.
# Either both leave the same bytes, or both raise an error and leave nothing: the same error where one
# column alone can be wrong, since the heap route reads some rows before it looks at the constraints
# of the first.
#
# PARALLEL_LOADER_SCHEMAS sets the number of tables; a failure names the seed to give as
# PARALLEL_LOADER_SEED.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";

use List::Util qw(shuffle);
use ParallelLoader::Test;
use Test::More;

my $SEED = $ENV{PARALLEL_LOADER_SEED} // time;
my $SCHEMAS = $ENV{PARALLEL_LOADER_SCHEMAS} // 20;
my $ROWS = 40;
srand $SEED;
note("seed $SEED");

my $pair = ParallelLoader::Test->new;
$pair->destination_sql('CREATE EXTENSION amcheck; CREATE EXTENSION pageinspect');
$pair->both_sql(<<'SQL');
CREATE TYPE mood AS ENUM ('sad', 'ok', 'très gai');
CREATE TYPE pair AS (a integer, b text);
CREATE DOMAIN short_text AS text CHECK (length(value) < 130);
CREATE DOMAIN positive AS numeric CHECK (value > 0);
SQL

# ---- types, and values of theirs ----

my @TEXTS = ("''", "'a'", "'grün'", "'日本語'", "'🐘'", "repeat('x', 5)", "'  '", "'ab   '", "E'\\x01'",
  "repeat('ä', 9)", (map { "repeat('b', $_)" } 9, 10, 125, 126, 127, 128, 1990, 2040, 9000),
  "(SELECT string_agg(md5(i::text), '') FROM generate_series(1, 300) AS i)");
my @NUMERICS = ("'NaN'", 0, '0.00', '-0.5', '1', '10000', '9999', '0.0001', '99999999.99', '1e40',
  '-1e-40', '123456.7890', "'Infinity'", "'-Infinity'", "repeat('9', 900)", "'0.' || repeat('7', 90)",
  '12.30', '100', '1.005');
my @TIMES = ("'infinity'", "'-infinity'", "'2000-01-01'", "'1999-12-31 23:59:59.999999'",
  "'4713-01-01 00:00:00 BC'", "'2024-02-29 12:00:00.123456'", "'294276-12-31 23:59:59.999999'",
  "'0044-03-15 BC'", "'2024-05-06 07:08:09.5'");
my @INTEGERS = (0, 1, -1, 127, 32767, -32768);

# Each has the source's type, values of it, and types that the local column may have.
my @TYPES = (
  ['boolean', ['true', 'false']],
  ['smallint', \@INTEGERS],
  ['integer', [@INTEGERS, 2147483647, '-2147483648']],
  ['bigint', [@INTEGERS, 9223372036854775807, "'-9223372036854775808'"]],
  ['oid', [0, 1, 4294967295]],
  ['xid', ["'0'", "'4294967295'"]],
  ['xid8', ["'0'", "'18446744073709551615'"]],
  ['pg_lsn', ["'0/0'", "'FFFFFFFF/FFFFFFFF'"]],
  ['real', [0, "'-0'", 1.5, "'NaN'", "'Infinity'", "'1e-45'", "'3.4028235e38'"]],
  ['double precision', [0, "'-0'", 1.5, "'NaN'", "'-Infinity'", "'5e-324'", "'1.7976931348623157e308'"]],
  ['money', ["'0'", "'-1.25'", "'92233720368547758.07'"]],
  ['numeric', \@NUMERICS, 'numeric', 'numeric(12,4)', 'numeric(5,2)', 'numeric(4,-2)', 'numeric(3,5)'],
  ['numeric(20,6)', [grep { !/repeat|e40|Inf/ } @NUMERICS], 'numeric(20,6)', 'numeric(9,2)', 'numeric'],
  ['"char"', ["'a'", "''", "'~'"]],
  ['name', ["''", "'a name'", "repeat('n', 63)"]],
  ['text', \@TEXTS],
  ['varchar(10000)', \@TEXTS, 'varchar(10000)', 'varchar(9)', 'varchar(126)', 'varchar'],
  ['character(10)', [grep { !/9000|string_agg|1990|2040|12[5-8]/ } @TEXTS], 'character(10)', 'character(9)',
    'character(12)', 'bpchar'],
  ['bytea', ["''", "'\\x00'", "decode(repeat('00ff', 63), 'hex')", "decode(repeat('ab', 127), 'hex')",
      "decode(repeat('cd', 5000), 'hex')"]],
  ['bit(5)', ["B'10101'", "B'00000'"]],
  ['varbit', ["B''", "B'1'", "repeat('10', 700)::varbit"], 'varbit', 'varbit(3)'],
  ['date', ["'infinity'", "'-infinity'", "'2000-01-01'", "'4714-11-24 BC'", "'5874897-12-31'"]],
  ['time', ["'00:00'", "'24:00'", "'12:34:56.789012'", "'01:00:00.1'"], 'time', 'time(0)', 'time(3)'],
  ['timetz', ["'00:00+15:59'", "'12:34:56.789-08'"], 'timetz', 'timetz(1)'],
  ['timestamp', \@TIMES, 'timestamp', 'timestamp(0)', 'timestamp(3)'],
  ['timestamptz', [map { /BC|294276/ ? () : $_ } @TIMES], 'timestamptz', 'timestamptz(2)'],
  ['interval', ["'0'", "'1 year 2 mons -3 days 04:05:06.789'", "'-178000000 years'"], 'interval',
    'interval(1)', 'interval day to second'],
  ['uuid', ["'00000000-0000-0000-0000-000000000000'", "'ffffffff-ffff-ffff-ffff-ffffffffffff'"]],
  ['macaddr', ["'08:00:2b:01:02:03'"]],
  ['macaddr8', ["'08:00:2b:01:02:03:04:05'"]],
  ['inet', ["'10.1.2.3/8'", "'::1'"]],
  ['cidr', ["'10.0.0.0/8'", "'2001:db8::/32'"]],
  ['tid', ["'(0,1)'", "'(4294967295,65535)'"]],
  ['json', ["'null'", q('{"a": [1, "ä"]}')]],
  ['jsonb', ["'null'", q('{"a": [1, "ä"], "b": {}}'), "to_jsonb(repeat('j', 3000))"]],
  ['integer[]', ["'{}'", "'{1,NULL,3}'", "'[2:3][1:2]={{1,2},{3,4}}'"]],
  ['text[]', ["'{}'", q('{"a b",NULL,"ü"}'), "ARRAY[repeat('t', 3000)]"]],
  ['numeric(6,2)[]', ["'{1.25,-3}'", "'{}'"]],
  ['int4range', ["'empty'", "'[1,10)'", "'(,)'"]],
  ['tstzmultirange', ["'{}'", "'{[2020-01-01,2020-02-01),[2021-01-01,)}'"]],
  ['mood', ["'sad'", "'très gai'"]],
  ['pair', ["'(1,a)'", "'(,)'"]],
  ['short_text', [grep { !/9000|string_agg|1990|2040/ } @TEXTS]],
  ['positive', [1, '0.001', '1e20']],
  ['point', ["'(1,-2.5)'"]],
  ['polygon', ["'((0,0),(1,1),(2,0))'"]],
  ['tsvector', ["''", "'a:1 b:2A'"]],
);

sub one_of { my (@all) = @_; return $all[rand @all] }

# A table's columns: {name, type, values, local_type, ...}.
sub random_columns {
  my @columns;
  for my $number (1 .. one_of(1, 1 + int rand 6, 1 + int rand 14, 1 + int rand 14)) {
    my ($type, $values, @local) = @{one_of(@TYPES)};
    my $is_varied = rand() < 0.35;
    push @columns, {
      name => "c$number",
      type => $type,
      values => $values,
      nulls => one_of(0, 0, 0.1, 0.6),
      local_type => $is_varied && @local ? one_of(@local) : $type,
      storage => one_of('', '', '', 'PLAIN', 'EXTERNAL', 'MAIN'),
      is_left_out => rand() < 0.05,
      not_null => rand() < 0.04,
    };
  }
  return @columns;
}

sub fill_source {
  my ($seed, @columns) = @_;
  my $definition = join ', ', map { "$_->{name} $_->{type}" } @columns;
  my @picks;
  for my $column (@columns) {
    my @values = @{$column->{values}};
    my $pick = join ' ', map { "WHEN $_ THEN ($values[$_])::$column->{type}" } 0 .. $#values;
    push @picks, "CASE WHEN random() >= $column->{nulls} THEN CASE floor(random() * "
      . @values . ")::integer $pick END END";
  }
  $pair->source_sql('DROP TABLE IF EXISTS r; SET lc_monetary = \'C\'; SET timezone = \'UTC\';'
      . " CREATE TABLE r ($definition); SELECT setseed($seed); INSERT INTO r SELECT "
      . join(', ', @picks) . " FROM generate_series(1, $ROWS)");
  return;
}

# Columns in another order, with dropped ones between.
sub make_local {
  my ($name, $order, $dropped) = @_;
  my @parts;
  for my $column (@$order) {
    push @parts, "gone$column->{name} $dropped->{$column->{name}}" if $dropped->{$column->{name}};
    push @parts, "$column->{name} $column->{local_type}" . ($column->{not_null} ? ' NOT NULL' : '');
  }
  my @changes = map { "DROP gone$_" } grep { $dropped->{$_} } sort keys %$dropped;
  $pair->destination_sql("DROP TABLE IF EXISTS $name; CREATE TABLE $name (" . join(', ', @parts) . ')');
  $pair->destination_sql("ALTER TABLE $name " . join(', ', @changes)) if @changes;
  for my $column (grep { $_->{storage} } @$order) {
    # Types of fixed length know PLAIN only.
    $pair->try_sql("ALTER TABLE $name ALTER $column->{name} SET STORAGE $column->{storage}");
  }
  return;
}

my $BYTES = <<'SQL';
SELECT count(*) || ' ' || coalesce(md5(string_agg(concat_ws('|', blkno, lp, t_infomask & 7,
  t_infomask2 & 2047, t_hoff, t_bits, CASE WHEN t_infomask & 4 = 0 THEN encode(t_data, 'hex') END),
  ',' ORDER BY blkno, lp)), '')
FROM generate_series(0, pg_relation_size('TABLE') / current_setting('block_size')::integer - 1) AS blkno
CROSS JOIN LATERAL heap_page_items(get_raw_page('TABLE', blkno::integer))
SQL

# What a pull by one route leads to: its error, or what the table has.
sub outcome {
  my ($route, $order, $dropped) = @_;
  my $table = "by_$route";
  make_local($table, $order, $dropped);
  my @columns = map { $_->{name} } grep { !$_->{is_left_out} } @$order;
  my $call = $pair->pull_sql($table, undef, undef,
    {source_table => 'public.r', workers => 1, format => 'binary', columns => \@columns});
  my $result = $pair->try_sql("SET parallel_loader.route = $route; $call");
  if (!$result->is_ok) {
    my $left = $pair->destination_sql("SELECT count(*) FROM $table");
    my $message = $result->error->{message} =~ s/\bby_\w+/TABLE/gr;
    return join ' ', 'error', $result->sqlstate, $message, "and $left rows";
  }
  my $taken = join ' ', map { $_->{route} } $pair->chunks($pair->newest_pull_id);
  my $damage = $pair->destination_sql("SELECT count(*) FROM verify_heapam('$table', check_toast => true)");
  my $text = $pair->destination_sql("SELECT md5(string_agg(t::text, E'\\n' ORDER BY ctid)) FROM $table AS t");
  return join ' ', $pair->destination_sql($BYTES =~ s/TABLE/$table/gr), $text,
    $taken eq $route && $damage == 0 ? '' : "route $taken, $damage flaws";
}

# ---- the tables ----

my %seen;
my $good = 0;
for my $number (1 .. $SCHEMAS) {
  my @columns = random_columns();
  $columns[0]{is_left_out} = 0;
  fill_source(rand(), @columns);
  my @order = shuffle @columns;
  my %dropped = map { $_->{name} => one_of('integer', 'text', 'boolean') } grep { rand() < 0.1 } @columns;
  my %outcome = map { $_ => outcome($_, \@order, \%dropped) } qw(copy heap);
  my $kind = $outcome{copy} =~ /^error (\w+)/ ? $1 : 'rows';
  $seen{$kind}++;
  my $are_both_refused = @columns > 1 && !grep { !/^error .* 0 rows$/s } values %outcome;
  if ($outcome{heap} eq $outcome{copy} || $are_both_refused) {
    $good++;
    next;
  }
  is($outcome{heap}, $outcome{copy}, "table $number of seed $SEED");
  diag(join ', ', map { "$_->{name} $_->{type} -> $_->{local_type}" . ($_->{not_null} ? ' NOT NULL' : '') }
      @order);
}
is($good, $SCHEMAS, "$SCHEMAS random tables are the same by both routes");
note(join ', ', map { "$_: $seen{$_}" } sort keys %seen);
cmp_ok($seen{rows} // 0, '>', $SCHEMAS / 5, 'many of them hold rows');
SKIP: {
  skip 'too few tables for all reasons', 1 if $SCHEMAS < 200;
  cmp_ok(scalar(keys %seen), '>', 2, '… and others are refused for several reasons');
}

$pair->nothing_left('no process or session is left');
$pair->finish;
