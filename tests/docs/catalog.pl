# The reference pages say what the catalogs say: signatures, columns of views, settings and their defaults.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../tap/lib";

use ParallelLoader::Test;
use PostgreSQL::Test::Utils;
use Test::More;

plan skip_all => 'other pages are wanted' if $ENV{DOCS_PAGES};

my $node = ParallelLoader::Test::start_node('destination');
my $sql = sub { return $node->safe_psql('postgres', @_) };
$sql->('CREATE EXTENSION parallel_loader CASCADE');
my %page = map { $_ => slurp_file("docs/$_.md") } qw(pulling controlling appending checking views settings functions);

# ---- functions ----

# As the pages write them: "a text, b text = NULL".
sub signature { my ($text) = @_; return $text =~ s/ DEFAULT (\S+?)(?:::[a-z]+(?:\[\])?)?(?=,|$)/ = $1/gr =~ s/\s+/ /gr }
my %documented;
for my $text (@page{qw(pulling controlling appending checking)}) {
  while ($text =~ /^```\n(parallel_pull\w*)\((.+?)\)(?:\s+returns ([^\n]+))?\n```$/gms) {
    $documented{$1} = signature($2) . (defined $3 ? " returns $3" : '');
  }
}
my %there;
for (split /\n/, $sql->(<<'SQL')) {
SELECT proname, pg_get_function_arguments(oid),
  CASE WHEN proretset THEN 'setof record' WHEN NOT 'o' = ANY (coalesce(proargmodes, '{}')) THEN format_type(prorettype, NULL) END
FROM pg_proc WHERE pronamespace = 'public'::regnamespace AND proname LIKE 'parallel\_pull%'
SQL
  my ($name, $arguments, $result) = split /\|/;
  $there{$name} = signature($arguments) . ($result ? " returns $result" : '');
}
is($documented{$_} // 'not documented', $there{$_}, "signature of $_") for sort keys %there;
is(join(' ', sort grep { !$there{$_} } keys %documented), '', 'no function is documented that is not there');
for my $name (sort keys %there) { like($page{functions}, qr/`$name`/, "… $name is in the list of functions") }

# ---- views ----

for my $view (qw(parallel_pulls parallel_pull_progress parallel_pull_chunks)) {
  my ($section) = $page{views} =~ /^## $view\n(.*?)(?=^## |\z)/ms;
  my ($table) = $section =~ /^\| column \| type \| meaning \|\n\|[-|]+\n(.*?)\n\n/ms;
  my @names = map { /`(\w+)`/g } map { (split / \| /)[0] } split /\n/, $table;
  is(join(' ', sort @names), $sql->("SELECT string_agg(attname, ' ' ORDER BY attname COLLATE \"C\") FROM pg_attribute"
    . " WHERE attrelid = '$view'::regclass AND attnum > 0"), "columns of $view");
  for my $line (split /\n/, $table) {
    my ($names, $types) = (split /\|/, $line)[1, 2];
    my @types = $types =~ /`([^`]+)`/g or next;
    my @columns = $names =~ /`(\w+)`/g;
    for my $column (0 .. $#columns) {
      is($types[$column] // $types[0], $sql->("SELECT format_type(atttypid, NULL) FROM pg_attribute"
        . " WHERE attrelid = '$view'::regclass AND attname = '$columns[$column]'") =~ s/timestamp with time zone/timestamptz/r,
        "… type of $columns[$column]");
    }
  }
}

# ---- settings ----

my $settings = $sql->(<<'SQL');
LOAD 'parallel_loader';
SELECT name, current_setting(name) FROM pg_settings WHERE name LIKE 'parallel\_loader.%' ORDER BY name COLLATE "C";
SQL
is(join("\n", sort map { "$_->[0]|" . ($_->[1] =~ s/^empty$//r) } map { [/^\| `(parallel_loader\.\w+)` \| `?(-?\w+)`? \|/] }
    grep { /^\| `parallel_loader\./ } split /\n/, $page{settings}), $settings, 'settings and their defaults');
$node->stop;
done_testing();
