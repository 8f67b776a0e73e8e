# Hints: takes a call or a command out of a hint and runs it.
#
# A test that does so names the hint in a comment above, by its file and some of its words, for
# tests/unnamed-hints:
#   # hint: extension/ledger/rows_notice.cpp: run TRUNCATE TABLE
# Where a file has the same text several times, it is named as often: (in brackets) is what differs.
package ParallelLoader::Hints;

use strict;
use warnings;

use Exporter 'import';
use Test::More;

our @EXPORT = qw(hint works words);

# What the error, or the first notice, says; all of it in one text.
sub words {
  my ($pair, $sql, %options) = @_;
  my $result = ref $sql ? $sql : $pair->try_sql($sql, %options);
  my $message = $result->error // (grep { $_->{severity} eq 'NOTICE' } @{$result->{messages}})[0];
  return $message // {sqlstate => '00000', text => $result->summary, hint => '', detail => ''};
}

# Checks the SQLSTATE and the hint, and returns what the pattern takes out of the hint.  `sql` may
# be a Result.
sub hint {
  my ($pair, $sql, $sqlstate, $pattern, $rule, %options) = @_;
  local $Test::Builder::Level = $Test::Builder::Level + 1;
  my $words = words($pair, $sql, %options);
  my @taken = $words->{hint} =~ $pattern;
  ok($words->{sqlstate} =~ /^(?:$sqlstate)$/ && @taken, "$rule: has a hint") or diag($words->{text});
  return wantarray ? @taken : $taken[0] // 'no_hint';
}

# Checks that this runs, as a call or a command; returns its output.
sub works {
  my ($pair, $sql, $rule, %options) = @_;
  local $Test::Builder::Level = $Test::Builder::Level + 1;
  $sql = "SELECT $sql" if $sql =~ /^\w+\(/;
  my $result = $pair->try_sql($sql, %options);
  ok($result->is_ok, "$rule: what it says works") or diag("$sql\n" . $result->summary);
  return $result->out;
}

1;
