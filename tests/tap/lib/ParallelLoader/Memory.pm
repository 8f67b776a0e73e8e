# Memory: what a process of a server has of its own.
package ParallelLoader::Memory;

use strict;
use warnings;

use Exporter 'import';
use PostgreSQL::Test::Utils;
use Time::HiRes qw(sleep);

our @EXPORT = qw(own_megabytes open_files peak_of_pull);

# Anonymous memory: what smaps calls private also counts pages of shared buffers that no other
# process has touched yet.  Nothing for a process that is gone.
sub own_megabytes {
  my ($pid) = @_;
  my $status = eval { slurp_file("/proc/$pid/status") } // return;
  return $status =~ /^RssAnon:\s+(\d+) kB/m ? $1 / 1024 : undef;
}

sub open_files {
  my ($pid) = @_;
  my @files = glob "/proc/$pid/fd/*";
  return scalar @files;
}

# Runs a pull with one worker that stops at the pair's gate before its first row, until its memory is
# being watched.  Returns the call's result, and the most megabytes that the worker ever had.
sub peak_of_pull {
  my ($pair, $sql) = @_;
  my $caller = $pair->session('destination');
  $pair->close_gate;
  $caller->start($sql);
  $pair->wait_at_gate;
  my ($worker) = $pair->worker_pids;
  my $peak = own_megabytes($worker);
  $pair->open_gate;
  until ($caller->is_finished) {
    my $now = own_megabytes($worker);
    $peak = $now if defined $now && $now > $peak;
    sleep 0.002;
  }
  my $result = $caller->finish;
  $caller->close;
  return ($result, $peak);
}

1;
