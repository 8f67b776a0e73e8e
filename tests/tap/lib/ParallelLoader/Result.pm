# Result: what one run of psql gave back, its messages taken apart into fields.
package ParallelLoader::Result;

use strict;
use warnings;

# psql notes a lost connection, but goes on to its next command.
my $LOST_WORDS = join '|', 'server closed the connection', 'connection to server',
  'no connection to the server', 'could not send', 'could not receive';
my $LOST = qr/^psql:[^:]*:\d+: (?:error: )?(?:$LOST_WORDS)/m;

# `out` and `err` are psql's; `lost`: the connection or psql itself has ended; `timed_out`: psql was
# still waiting when its time was up.  psql must run with VERBOSITY=verbose.
sub new {
  my ($class, %fields) = @_;
  my $self = bless {out => '', err => '', lost => 0, timed_out => 0, %fields}, $class;
  chomp $self->{out};
  $self->{messages} = _parse_messages($self->{err});
  $self->{lost} ||= $self->{err} =~ $LOST;
  return $self;
}

sub out { return $_[0]{out} }
sub err { return $_[0]{err} }
sub is_lost { return $_[0]{lost} }
sub is_timed_out { return $_[0]{timed_out} }

# The first ERROR, FATAL or PANIC as {severity, sqlstate, message, detail, hint, context, text};
# `text` is all of it but the server's source location.  undef when there is none.
sub error {
  my ($self) = @_;
  my ($error) = grep { $_->{severity} =~ /^(?:ERROR|FATAL|PANIC)$/ } @{$self->{messages}};
  return $error;
}

sub sqlstate {
  my ($self) = @_;
  my $error = $self->error;
  return $error ? $error->{sqlstate} : '00000';
}

sub notices {
  my ($self) = @_;
  return map { $_->{message} } grep { $_->{severity} eq 'NOTICE' } @{$self->{messages}};
}

sub is_ok {
  my ($self) = @_;
  return !$self->error && !$self->{lost} && !$self->{timed_out};
}

# One line for diagnostics.
sub summary {
  my ($self) = @_;
  return 'no answer in time' . ($self->{err} ? ": $self->{err}" : '') if $self->{timed_out};
  return $self->error->{text} if $self->error;
  return "connection lost: $self->{err}" if $self->{lost};
  return "success: $self->{out}";
}

my $SEVERITY = qr/ERROR|FATAL|PANIC|WARNING|NOTICE|INFO|LOG|DEBUG/;
my $FIELD = qr/DETAIL|HINT|CONTEXT|QUERY|LINE \d+|LOCATION|[A-Z]+ NAME/;

sub _parse_messages {
  my ($text) = @_;
  my @messages;
  my $field;
  for my $line (split /\n/, $text) {
    if ($line =~ /^(?:psql:[^:]*:\d+: )?($SEVERITY):\s+([0-9A-Z]{5}): (.*)$/) {
      push @messages, {severity => $1, sqlstate => $2, message => $3, text => "$1: $2: $3"};
      $field = 'message';
      next;
    }
    next unless @messages;
    my $message = $messages[-1];
    if ($line =~ /^($FIELD):\s+(.*)$/) {
      $field = lc $1;
      $message->{$field} = $2;
    } else {
      $message->{$field} = ($message->{$field} // '') . "\n$line";
    }
    $message->{text} .= "\n$line" unless $field eq 'location';
  }
  for my $message (@messages) {
    $message->{$_} //= '' for qw(detail hint context);
  }
  return \@messages;
}

1;
