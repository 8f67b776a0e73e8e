# The heap route is COPY FROM to the last byte: random tables and rows, and rows of which a byte is
# wrong, too few or too many, are taken or refused by both alike.
#
# PARALLEL_LOADER_SEED=N repeats a run, PARALLEL_LOADER_SCHEMAS=N sets its number of tables.  A table
# that fails is named by its own seed: with that one and one schema it comes alone.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";

use ParallelLoader::Test;
use ParallelLoader::TwoWays;
use PostgreSQL::Test::Utils;
use Test::More;

my $ROWS = 30;
my $MAX_SHOWN = 20; # tables that differ
my $MAX_LINES = 3;  # of each

my $seed = $ENV{PARALLEL_LOADER_SEED} // time % 1_000_000 * 1000;
my $table_count = $ENV{PARALLEL_LOADER_SCHEMAS} // 250;
diag("PARALLEL_LOADER_SEED=$seed PARALLEL_LOADER_SCHEMAS=$table_count");

my @ENCODINGS = qw(UTF8 LATIN1 SQL_ASCII EUC_JP);
my $node = ParallelLoader::Test::start_node('server', conf => "log_statement = none\n");
my @databases = map { ParallelLoader::TwoWays->new($node, $_) } @ENCODINGS;

# Collects what the runs of some tables found: what each returns but for its last line.
my ($shown, %outcomes);

sub run {
  my ($what, $database, @load) = @_;
  my @lines = $database->load(@load);
  my $outcome = pop @lines // '';
  push @lines, "it broke off: $outcome" unless $outcome =~ /^(?:loaded|refused \w{5}|\d+)$/;
  $outcomes{$outcome =~ /^\d/ ? 'corrupt rows' : $outcome} += $outcome =~ /^\d/ ? $outcome : 1;
  return 0 unless @lines;
  my $last = $#lines < $MAX_LINES ? $#lines : $MAX_LINES;
  diag("$what, $database->{encoding}: " . join "\n", @lines[0 .. $last]) if $shown++ < $MAX_SHOWN;
  return 1;
}

# ---- random tables ----

my $different = 0;
for my $number ($seed .. $seed + $table_count - 1) {
  my $database = $databases[$number % @databases];
  my $table = $database->random_table($number);
  $different += run("PARALLEL_LOADER_SEED=$number", $database, 'load_both', $table, $ROWS,
    $table->is_in_order ? 'true' : 'false');
}
is($different, 0, "$table_count random tables are the same by both ways");

# ---- corrupt rows ----

my $ALL_BITS = 'ARRAY[1, 2, 4, 8, 16, 32, 64, 128]';
$different = 0;
my $number = $seed;
for my $type ($databases[0]->single_types) {
  my $database = $databases[++$number % @databases];
  $different += run("type $type->[1][0], number $number", $database, 'load_corrupt',
    $database->table_of_type($number, $type), 8, $ALL_BITS, $type->[0] eq 'numeric' ? 4 : 1);
}
is($different, 0, 'corrupt rows of each type are refused, or taken as COPY FROM takes them');

$different = 0;
for my $number ($seed .. $seed + $table_count / 25) {
  my $database = $databases[$number % @databases];
  $different += run("columns of number $number", $database, 'load_corrupt',
    $database->random_table($number, columns => 5, is_sound => 1), 8, 'ARRAY[1, 128, 255]', 3);
}
is($different, 0, '… as are those of several columns');
note("$_: $outcomes{$_}") for sort keys %outcomes;
$_->close for @databases;
unlike(slurp_file($node->logfile), qr/PANIC:|was terminated by signal|TRAP:|reference leak|not closed/,
  'the server neither crashed nor leaked');
done_testing();
