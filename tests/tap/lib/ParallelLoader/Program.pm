# Program: runs parallel-loader as its users do.
#
#   my $run = run_program('status', '--target', $destination);   # {code, out, err}
#   my $job = start_program({PGPASSWORD => 'x'}, 'copy', …);      # … end_of($job)
#   shell($job->{err} =~ /^To go on: (.*)/m);                     # a command that it has printed
package ParallelLoader::Program;

use strict;
use warnings;

use Exporter 'import';
use File::Spec;
use IPC::Run ();
use ParallelLoader::Test;

our @EXPORT = qw(start_program end_of run_program shell);

my $program = File::Spec->rel2abs(program_under_test());

sub _start {
  my (@command) = @_;
  my $job = {out => '', err => ''};
  $job->{run} = IPC::Run::start(\@command, '<', \'', '>', \$job->{out}, '2>', \$job->{err}, IPC::Run::timeout(300));
  return $job;
}

# Variables of its environment come first, if there are some.
sub start_program {
  my $env = ref $_[0] ? shift : {};
  my @arguments = @_;
  local %ENV = (%ENV, %$env);
  return _start($program, @arguments);
}

# Waits for its end; sets {code}: its exit status, "signal 9", or "none in time".
sub end_of {
  my ($job) = @_;
  if (!eval { $job->{run}->finish; 1 }) {
    $job->{run}->kill_kill;
    $job->{code} = 'none in time';
    return $job;
  }
  my $result = $job->{run}->full_result(0);
  $job->{code} = $result & 127 ? 'signal ' . ($result & 127) : $result >> 8;
  return $job;
}

sub run_program { return end_of(start_program(@_)) }

# A command as a shell runs it, whose program is the one under test.
sub shell {
  my ($command) = @_;
  return end_of(_start('sh', '-c', $command =~ s/^parallel-loader/$program/r));
}

1;
