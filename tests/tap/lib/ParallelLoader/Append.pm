# Append: what the tests of parallel_pull_append share: calls of it, and checks that a table grows by
# whole rows of the source, each once.
package ParallelLoader::Append;

use strict;
use warnings;

use Exporter 'import';
use ParallelLoader::Session qw(run_sql);
use Test::More;

our @EXPORT = qw(append_sql appends append_fails pulls grows_soundly marks);
# Of those that have more servers than a source and a destination.
our @EXPORT_OK = qw(sql_on fill from);

# The call of parallel_pull_append; `window` among the named parameters is an SQL keyword.
sub append_sql {
  my ($pair, $table, $named) = @_;
  my %named = %{$named // {}};
  my $window = delete $named{window};
  $named{'"window"'} = $window if defined $window;
  return $pair->table_sql('parallel_pull_append', $table, \%named);
}

# Checks how many rows an append brings.
sub appends {
  my ($pair, $rows, $table, $named, $rule, %options) = @_;
  local $Test::Builder::Level = $Test::Builder::Level + 1;
  my $result = $pair->try_sql(append_sql($pair, $table, $named), %options);
  return is($result->is_ok ? $result->out : $result->summary, $rows, $rule);
}

# Checks that an append fails so, and leaves rows and marks as they were.
sub append_fails {
  my ($pair, $sqlstate, $pattern, $table, $named, $rule, %options) = @_;
  local $Test::Builder::Level = $Test::Builder::Level + 1;
  my $state = "SELECT (SELECT count(*) FROM $table), " . marks($table);
  my $before = $pair->destination_sql($state);
  my $result = $pair->error_is(append_sql($pair, $table, $named), $sqlstate, $pattern, $rule,
    %options);
  is($pair->destination_sql($state), $before, '… rows and mark are as they were');
  return $result;
}

# SQL: what the ledger has as marks of the table.
sub marks {
  my ($table) = @_;
  return "(SELECT string_agg(m::text, ',') FROM parallel_loader.mark m "
    . "WHERE \"table\" = '$table'::regclass)";
}

# Pulls the whole table.
sub pulls {
  my ($pair, $table, $named, $rule) = @_;
  local $Test::Builder::Level = $Test::Builder::Level + 1;
  my $result = $pair->try_sql($pair->table_sql('parallel_pull_table', $table, $named));
  return ok($result->is_ok, $rule) || diag($result->summary);
}

# What SQL returns on one server.
sub sql_on {
  my ($node, $sql) = @_;
  my $result = run_sql($node, $sql);
  die $result->summary unless $result->is_ok;
  return $result->out;
}

# Rows from..to of a table (id, note), each in a transaction of its own.
sub fill {
  my ($node, $table, $from, $to) = @_;
  sql_on($node, join ';', map { "INSERT INTO $table VALUES ($_, 'row $_')" } $from .. $to);
  return;
}

# As named parameters of a call: this server is the source.
sub from { my ($node) = @_; return {dsn => $node->connstr('postgres')} }

# Checks that each row of `local` is one of `table` on the source, and none is there twice.
sub grows_soundly {
  my ($pair, $local, $table, $rule) = @_;
  local $Test::Builder::Level = $Test::Builder::Level + 1;
  # In this order: what is here was there before.
  my @here = split /\n/, sql_on($pair->destination, "SELECT r::text FROM $local AS r");
  my %there = map { $_ => 1 }
    split /\n/, sql_on($pair->source, "SELECT r::text FROM $table AS r");
  my @wrong;
  for my $row (@here) {
    push @wrong, "not on the source, or twice here: $row" unless delete $there{$row};
  }
  return ok(!@wrong, $rule) || diag(join "\n", @wrong[0 .. ($#wrong < 9 ? $#wrong : 9)]);
}

1;
