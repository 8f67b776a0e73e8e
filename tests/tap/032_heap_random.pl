# The heap route against the server's own COPY FROM, from one server to another: random tables are
# pulled by both routes.  Either both leave the same bytes, or both raise an error and leave nothing:
# the same error where one column alone can be wrong, since the heap route reads some rows before it
# looks at the constraints of the first.
#
# PARALLEL_LOADER_SEED=N repeats a run, PARALLEL_LOADER_SCHEMAS=N sets its number of tables.  A table
# that fails is named by its own seed: with that one and one schema it comes alone.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";

use Encode qw(encode_utf8);
use ParallelLoader::RandomTable;
use ParallelLoader::Test;
use Test::More;

my $ROWS = 40;

my $seed = $ENV{PARALLEL_LOADER_SEED} // time % 1_000_000 * 1000;
my $table_count = $ENV{PARALLEL_LOADER_SCHEMAS} // 30;
diag("PARALLEL_LOADER_SEED=$seed PARALLEL_LOADER_SCHEMAS=$table_count");

my $pair = ParallelLoader::Test->new;
$pair->destination_sql('CREATE EXTENSION amcheck; CREATE EXTENSION pageinspect');
$pair->both_sql($ParallelLoader::RandomTable::SETUP);
my @types =
  ParallelLoader::RandomTable::types($pair->destination_sql('SHOW server_version_num'), {});

my $BYTES = <<'SQL';
SELECT count(*) || ' ' || coalesce(md5(string_agg(concat_ws('|', blkno, lp, t_infomask & 7,
  t_infomask2 & 2047, t_hoff, t_bits, CASE WHEN t_infomask & 4 = 0 THEN encode(t_data, 'hex') END),
  ',' ORDER BY blkno, lp)), '')
FROM generate_series(0, pg_relation_size('TABLE') / current_setting('block_size')::integer - 1) AS blkno
CROSS JOIN LATERAL heap_page_items(get_raw_page('TABLE', blkno::integer))
SQL

# What a pull by one route leads to: its error, or what the table has.
sub outcome {
  my ($route, $random) = @_;
  my $table = "by_$route.t";
  $pair->destination_sql(encode_utf8("DROP SCHEMA IF EXISTS by_$route CASCADE; " . $random->create_sql("by_$route")));
  my $call = $pair->pull_sql($table, undef, undef,
    {source_table => 'public.r', workers => 1, format => 'binary', columns => [$random->column_names]});
  my $result = $pair->try_sql("SET parallel_loader.route = $route; $call");
  if (!$result->is_ok) {
    my $left = $pair->destination_sql("SELECT count(*) FROM $table");
    my $message = $result->error->{message} =~ s/\bby_\w+/SCHEMA/gr;
    return join ' ', 'error', $result->sqlstate, $message, "and $left rows";
  }
  my $taken = join ' ', map { $_->{route} } $pair->chunks($pair->newest_pull_id);
  my $damage = $pair->destination_sql("SELECT count(*) FROM verify_heapam('$table', check_toast => true)");
  my $text = $pair->destination_sql("SELECT md5(string_agg(t::text, E'\\n' ORDER BY ctid)) FROM $table AS t");
  return join ' ', $pair->destination_sql($BYTES =~ s/TABLE/$table/gr), $text,
    $taken eq $route && $damage == 0 ? '' : "route $taken, $damage flaws";
}

my %seen;
my $different = 0;
for my $number ($seed .. $seed + $table_count - 1) {
  my $random = ParallelLoader::RandomTable->new($number, encoding => 'UTF8', types => \@types, is_typed => 1);
  $pair->source_sql(encode_utf8('DROP TABLE IF EXISTS r; ' . $random->source_table_sql('r', $ROWS)));
  my %outcome = map { $_ => outcome($_, $random) } qw(copy heap);
  $seen{$outcome{copy} =~ /^error (\w+)/ ? $1 : 'rows'}++;
  my $are_both_refused = $random->column_names > 1 && !grep { !/^error .* 0 rows$/s } values %outcome;
  next if $outcome{heap} eq $outcome{copy} || $are_both_refused;
  $different++;
  diag("PARALLEL_LOADER_SEED=$number: by heap $outcome{heap}, by copy $outcome{copy}");
}
is($different, 0, "$table_count random tables are the same by both routes");
note(join ', ', map { "$_: $seen{$_}" } sort keys %seen);
SKIP: {
  skip 'so few tables may all be of one kind', 2 if $table_count < 30;
  cmp_ok($seen{rows} // 0, '>', 0, 'some of them hold rows');
  cmp_ok(scalar(keys %seen), '>', 1, '… and others are refused');
}

$pair->nothing_left('no process or session is left');
$pair->finish;
