# SideProcess: a process beside the test that listens on a port in front of a server and obeys commands.
#
# A package that has this one as its parent is both sides: the object in the test, and the function `main`
# that the process runs.  `main` prints `port NUMBER` once it listens, reads a command a line from its
# input, and prints `obeyed` after each.  When its input ends, so must it.
#
# It is a process of its own, not a fork of the test: a fork would keep the test's pipes open and run its
# END blocks.
package ParallelLoader::SideProcess;

use strict;
use warnings;

use File::Basename qw(dirname);
use IPC::Run ();
use Time::HiRes qw(sleep time);

# As long as a busy machine may need to start it, or it to obey.
my $PATIENCE_S = 20;

# Starts the object's package as a process with these arguments; it ends with the object.
sub start_process {
  my ($self, @arguments) = @_;
  my $package = ref $self;
  my $lib = dirname(dirname(__FILE__));
  @$self{qw(in out err)} = ('') x 3;
  $self->{run} = IPC::Run::start(
    [$^X, "-I$lib", "-M$package", '-e', "${package}::main(\@ARGV)", @arguments],
    '<', \$self->{in}, '>', \$self->{out}, '2>', \$self->{err});
  ($self->{port}) = $self->wait_for(qr/^port (\d+)$/m)
    or die "$package did not start: $self->{err}";
  return $self;
}

# A conninfo string that leads through the process.
sub dsn {
  my ($self, $dbname) = @_;
  return "host=127.0.0.1 port=$self->{port} dbname='" . ($dbname // 'postgres')
    . q(' sslmode=disable gssencmode=disable);
}

# Waits until it has printed a line of this pattern since the last command: what the pattern captures, or
# 1; nothing after `seconds`.
sub wait_for {
  my ($self, $pattern, $seconds) = @_;
  my $deadline = time + ($seconds // $PATIENCE_S);
  while (time < $deadline) {
    eval { $self->{run}->pump_nb; 1 } or die ref($self) . " has ended: $self->{err}";
    return defined $1 ? $1 : 1 if $self->{out} =~ $pattern;
    sleep 0.002;
  }
  return;
}

# Gives a command, and waits until it was obeyed.
sub command {
  my ($self, $command) = @_;
  $self->{out} = '';
  $self->{in} .= "$command\n";
  $self->wait_for(qr/^obeyed$/m) or die ref($self) . ' does not answer';
  return;
}

sub stop {
  my ($self) = @_;
  return unless $self->{run};
  eval { $self->{run}->kill_kill };
  delete $self->{run};
  return;
}

sub DESTROY {
  my ($self) = @_;
  local ($@, $?);
  $self->stop;
  return;
}

1;
