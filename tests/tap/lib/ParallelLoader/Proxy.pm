# Proxy: a TCP proxy in front of a server that can stop, cut or falsify a COPY stream exactly at a
# row boundary.
#
# It reads the server's side of the frontend/backend protocol (PostgreSQL manual, "Message Formats";
# version 3): after the one-byte answer to an SSLRequest, every message is a type byte and a 4-byte
# length that counts itself.  In COPY … TO STDOUT each row is one CopyData message; in binary format
# the header travels with the first row and the trailer is a message of its own.
package ParallelLoader::Proxy;

use strict;
use warnings;

use parent 'ParallelLoader::SideProcess';

use IO::Select;
use IO::Socket::INET;
use IO::Socket::UNIX;
use POSIX ();
use Socket qw(SOL_SOCKET SO_LINGER);
use Time::HiRes qw(sleep time);

# Starts a proxy for `node`; it ends with the object.  It passes everything on until told otherwise.
# Option: is_plain => 1, for a proxy that is never armed and need not look into what it passes on.
sub new {
  my ($class, $node, %options) = @_;
  my $self = bless {node => $node}, $class;
  return $self->start_process($node->host, $node->port, $options{is_plain} ? 1 : 0);
}

# Arms the proxy for one COPY stream, the first by default:
#   copy => 2         act on the second stream that begins from now on
#   rows => 100       … once 100 of its rows have been passed on (0: before the first row)
#   at => 'row'       … there (default); 'half': after half of the next row; 'done': when all rows
#                     have been passed on but not CopyDone; 'tag': nor CommandComplete after it
#   action => 'cut'   close the connection in order (FIN), so that all before it arrives; 'reset':
#                     break it (RST), which may lose what was sent last; 'hold': pass nothing more
#                     on until `release`; 'drop': leave out that row
sub arm {
  my ($self, %plan) = @_;
  $plan{copy} //= 1;
  $plan{rows} //= 0;
  $plan{at} //= 'row';
  # Numbered, so that word of an earlier plan is not taken for word of this one.
  $plan{number} = ++$self->{plan_number};
  $self->command(join ' ', 'arm', @plan{qw(number copy rows at action)});
  return $self;
}

# Lets a held stream go on.
sub release {
  my ($self) = @_;
  $self->command('release');
  return;
}

# Accept connections, but never pass anything on.
sub black_hole {
  my ($self) = @_;
  $self->command('black_hole');
  return;
}

# Waits until the armed action has happened.
sub wait_acted {
  my ($self, $timeout) = @_;
  return $self->wait_for(qr/^acted $self->{plan_number}$/m, $timeout);
}

# Passes nothing on any more, in either direction and of any connection, and lets none notice it,
# until `thaw` or `cut_all`.
sub freeze {
  my ($self) = @_;
  $self->command('freeze');
  return;
}

sub thaw {
  my ($self) = @_;
  $self->command('thaw');
  return;
}

# Breaks all connections (RST); new ones are served.
sub cut_all {
  my ($self) = @_;
  $self->command('cut_all');
  return;
}

# ---- the proxy process ----

my $SSL_REQUEST = 80877103;
my $READ_BYTES = 65536;
# Passed on only when the other side takes it: more than this waits, so that a server whose client does
# not read is itself stopped by its socket, as without a proxy.
my $QUEUE_BYTES = 262144;

sub main {
  my ($host, $port, $is_plain) = @_;
  $SIG{PIPE} = 'IGNORE';
  $| = 1;
  my $listener = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => 0, Listen => 64)
    or die "could not listen: $!";
  print 'port ', $listener->sockport, "\n";

  my $state = {links => [], plan => undef, copies => 0, is_black_hole => 0,
    is_frozen => 0, is_plain => $is_plain};
  my $commands = '';
  while (1) {
    my $read = IO::Select->new($listener, \*STDIN);
    my $write = IO::Select->new;
    for my $link ($state->{is_frozen} ? () : @{$state->{links}}) {
      $read->add($link->{client});
      $read->add($link->{server}) if $link->{server} && !_is_full($link);
      $write->add($link->{client}) if length $link->{to_client};
      $write->add($link->{server}) if $link->{server} && length $link->{to_server};
    }
    my ($readable, $writable) = IO::Select->select($read, $write, undef, 10);
    my %is_ready = map { $_ => 1 } @{$readable // []}, @{$writable // []};

    if ($is_ready{\*STDIN}) {
      # The test has ended: so does its proxy.
      sysread(STDIN, $commands, 4096, length $commands) or POSIX::_exit(0);
      _obey($state, $1) while $commands =~ s/^(.*)\n//;
    }
    if ($is_ready{$listener}) {
      push @{$state->{links}},
        _connect(scalar $listener->accept, $host, $port, $state->{is_black_hole});
    }
    for my $link ($state->{is_frozen} ? () : @{$state->{links}}) {
      _serve($state, $link, \%is_ready);
    }
    $state->{links} = [grep { !$_->{is_closed} } @{$state->{links}}];
  }
}

sub _obey {
  my ($state, $command) = @_;
  my ($verb, @arguments) = split / /, $command;
  if ($verb eq 'arm') {
    @{$state->{plan} = {}}{qw(number copy rows at action)} = @arguments;
    $state->{copies} = 0;
  } elsif ($verb eq 'release') {
    for my $link (@{$state->{links}}) {
      $link->{is_held} = 0;
      _forward($state, $link);
    }
  } elsif ($verb eq 'black_hole') {
    $state->{is_black_hole} = 1;
  } elsif ($verb eq 'freeze' || $verb eq 'thaw') {
    $state->{is_frozen} = $verb eq 'freeze';
  } elsif ($verb eq 'cut_all') {
    $state->{is_frozen} = 0;
    _reset($_) for @{$state->{links}};
    $state->{links} = [];
  }
  print "obeyed\n";
  return;
}

sub _connect {
  my ($client, $host, $port, $is_black_hole) = @_;
  my $server = $is_black_hole ? undef
    : $host =~ m{^/} ? IO::Socket::UNIX->new(Peer => "$host/.s.PGSQL.$port")
    : IO::Socket::INET->new(PeerAddr => $host, PeerPort => $port);
  my $link = {client => $client, server => $server, to_client => '', to_server => '',
    from_server => '', is_held => 0, is_begun => 0, rows => undef};
  # No server: the client sees its connection closed, as by a host whose server is down.
  _close($link) unless $server || $is_black_hole;
  $_->blocking(0) for grep { $_ } $client, $server;
  return $link;
}

sub _is_full {
  my ($link) = @_;
  return $link->{is_held} || length $link->{to_client} > $QUEUE_BYTES;
}

sub _serve {
  my ($state, $link, $is_ready) = @_;
  return if $link->{is_closed};
  my ($client, $server) = @{$link}{qw(client server)};

  if ($is_ready->{$client} && length $link->{to_client}) {
    my $sent = syswrite $client, $link->{to_client};
    substr($link->{to_client}, 0, $sent, '') if defined $sent;
  }
  my ($bytes, $from_client, $from_server);
  $bytes = _receive($client, \$from_client) if $is_ready->{$client};
  if (defined $bytes) {
    return _close($link) if $bytes == 0;
    $link->{is_ssl_asked} = 1
      if !$link->{is_begun} && $bytes == 8 && unpack('x4 N', $from_client) == $SSL_REQUEST;
    $link->{is_begun} = 1;
    $link->{to_server} .= $from_client;
  }
  return unless $server;

  if (length $link->{to_server}) {
    my $sent = syswrite $server, $link->{to_server};
    substr($link->{to_server}, 0, $sent, '') if defined $sent;
  }
  return unless $is_ready->{$server} && !_is_full($link);
  $bytes = _receive($server, \$from_server);
  if (defined $bytes) {
    if ($bytes == 0) {
      $link->{is_server_gone} = 1;
    } else {
      if ($state->{is_plain}) {
        $link->{to_client} .= $from_server;
      } else {
        $link->{from_server} .= $from_server;
        _forward($state, $link);
      }
    }
  }
  # What the server said last goes out before its end does.
  _close($link) if $link->{is_server_gone} && !length $link->{to_client} && !$link->{is_held};
  return;
}

# Returns the bytes read, 0 at the end of the stream, undef when there is nothing yet.
sub _receive {
  my ($socket, $buffer) = @_;
  my $bytes = sysread $socket, $$buffer, $READ_BYTES;
  return $bytes if defined $bytes;
  return if $!{EAGAIN} || $!{EINTR} || $!{EWOULDBLOCK};
  $$buffer = '';
  return 0;
}

# Moves whole messages from `from_server` to `to_client`, up to where the plan says.
sub _forward {
  my ($state, $link) = @_;
  if ($link->{is_ssl_asked} && length $link->{from_server}) {
    $link->{to_client} .= substr $link->{from_server}, 0, 1, '';
    $link->{is_ssl_asked} = 0;
  }
  my $position = 0;
  while (length($link->{from_server}) - $position >= 5) {
    my ($type, $length) = unpack 'a1 N', substr $link->{from_server}, $position, 5;
    my $end = $position + 1 + $length;
    last if $end > length $link->{from_server};
    if ($type eq 'H') {
      $link->{rows} = 0;
      $link->{copy} = ++$state->{copies};
    }
    my $action = _is_due($state->{plan}, $link, $type) ? $state->{plan}{action} : '';
    if ($action) {
      my $half = $state->{plan}{at} eq 'half' ? int($length / 2) : 0;
      $link->{to_client} .= substr $link->{from_server}, 0, $position + $half, '';
      $position = 0;
      _act($link, $action, 1 + $length);
      print "acted $state->{plan}{number}\n";
      $state->{plan} = undef;
      return if $action ne 'drop';
      next;
    }
    $link->{rows}++ if $type eq 'd';
    $link->{rows} = undef if $type eq 'C';
    $position = $end;
  }
  $link->{to_client} .= substr $link->{from_server}, 0, $position, '';
  return;
}

# True if the plan acts before the message of `type` that comes next.
sub _is_due {
  my ($plan, $link, $type) = @_;
  return 0 unless $plan && defined $link->{rows} && $link->{copy} == $plan->{copy};
  return $type eq 'c' if $plan->{at} eq 'done';
  return $type eq 'C' if $plan->{at} eq 'tag';
  # Beside the rows, messages such as notices may come at any time.
  return $type eq 'd' && $link->{rows} == $plan->{rows};
}

sub _act {
  my ($link, $action, $message_bytes) = @_;
  if ($action eq 'hold') {
    $link->{is_held} = 1;
  } elsif ($action eq 'drop') {
    substr $link->{from_server}, 0, $message_bytes, '';
  } else {
    # All that came before the boundary reaches the client first.
    $link->{client}->blocking(1);
    syswrite $link->{client}, $link->{to_client} if length $link->{to_client};
    $action eq 'reset' ? _reset($link) : _close($link);
  }
  return;
}

sub _reset {
  my ($link) = @_;
  setsockopt $link->{client}, SOL_SOCKET, SO_LINGER, pack('ii', 1, 0);
  _close($link);
  return;
}

sub _close {
  my ($link) = @_;
  CORE::close($_) for grep { $_ } @{$link}{qw(client server)};
  $link->{is_closed} = 1;
  return;
}

1;
