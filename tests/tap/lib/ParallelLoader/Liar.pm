# Liar: a proxy in front of a server that lies in the answers to one statement, in one way.
#
#   my $liar = ParallelLoader::Liar->new($node);
#   $liar->be_honest;
#   …a call with $liar->dsn…
#   for my $statement ($liar->statements) { $liar->lie($statement, 'rows_dropped'); … }
#
# It reads both sides of the frontend/backend protocol (PostgreSQL manual, "Message Formats";
# version 3).  A statement is known by its text without its numbers and literals, so that the same
# query about another table, pull or range is the same statement.
#
# The liar forks for each connection.  A connection lies as was told when it was made.
package ParallelLoader::Liar;

use strict;
use warnings;

use parent 'ParallelLoader::SideProcess';

use File::Temp ();
use IO::Select;
use IO::Socket::INET;
use IO::Socket::UNIX;
use POSIX ();
use Time::HiRes qw(sleep time);

# ---- the test's side ----

sub new {
  my ($class, $node) = @_;
  my $self = bless {record => File::Temp->new}, $class;
  return $self->start_process($node->host, $node->port, $self->{record}->filename);
}

sub dsn {
  my ($self, $dbname) = @_;
  return $self->SUPER::dsn($dbname) . ' connect_timeout=5';
}

# Connections from now on pass everything on, and note their statements.
sub be_honest {
  my ($self) = @_;
  truncate $self->{record}->filename, 0;
  $self->command('honest');
  return;
}

# Connections from now on lie in the answer to `statement`, one of those that `statements` returned,
# in a way that `ways` names.
sub lie {
  my ($self, $statement, $way) = @_;
  truncate $self->{record}->filename, 0;
  $self->command("lie $way $statement");
  return;
}

# The statements that have passed since be_honest or lie, each once, in their order.
sub statements {
  my ($self) = @_;
  my %seen;
  return grep { !/^!/ && !$seen{$_}++ } $self->_record;
}

# How many answers were lies since `lie`.
sub lies {
  my ($self) = @_;
  return scalar grep { /^!/ } $self->_record;
}

sub _record {
  my ($self) = @_;
  open my $file, '<', $self->{record}->filename or die "no record: $!";
  chomp(my @lines = <$file>);
  return @lines;
}

# ---- the ways to lie ----

my $MEGABYTE = 1 << 20;

# Each DataRow with other values.
my %VALUE = (
  fields_null => undef,
  fields_empty => '',
  fields_huge => '9223372036854775807',
  fields_lowest => '-9223372036854775808',
  fields_overflowing => '99999999999999999999999999',
  fields_negative => '-7',
  fields_zero => '0',
  fields_word => 'x',
  fields_quotes => q(a"b'c\\d),
  fields_long => 'x' x $MEGABYTE,
  fields_invalid => "\xff\xfe\x80",
  fields_with_nul => "a\0b",
);

# What a message becomes: a list of messages, each [type, body].  After `undef` the connection is
# closed; a code reference goes on sending until the client has had enough.
my %WAY = (
  rows_dropped => sub { my ($type) = @_; return $type eq 'D' || $type eq 'd' ? () : [@_] },
  rows_doubled => sub { my ($type) = @_; return $type eq 'D' || $type eq 'd' ? ([@_], [@_]) : [@_] },
  column_dropped => \&_drop_column,
  description_dropped => sub { my ($type) = @_; return $type eq 'T' ? () : [@_] },
  tag_of_another => sub { return $_[0] eq 'C' ? [C => "SELECT 4711\0"] : [@_] },
  tag_empty => sub { return $_[0] eq 'C' ? [C => "\0"] : [@_] },
  nothing_but_ready => sub { return $_[0] eq 'Z' ? [@_] : () },
  command_instead => sub { return $_[0] =~ /[TDHdc]/ ? () : [@_] },
  error_of_success => sub { return _instead_of_answer(\@_, _error('ERROR', '00000')) },
  error_without_code => sub { return _instead_of_answer(\@_, _error('ERROR', '')) },
  error_odd_code => sub { return _instead_of_answer(\@_, _error('ERROR', "\xffab")) },
  error_long => sub { return _instead_of_answer(\@_, _error('ERROR', '22012', 'x' x $MEGABYTE)) },
  error_invalid => sub { return _instead_of_answer(\@_, _error('ERROR', '22012', "\xff\xfe")) },
  error_after_rows => sub { return $_[0] eq 'C' ? _error('ERROR', '22012') : [@_] },
  panic => sub { return _instead_of_answer(\@_, _error('PANIC', 'XX000'), undef) },
  copy_in => sub { return $_[0] =~ /[TH]/ ? [G => "\0\0\0"] : [@_] },
  copy_both => sub { return $_[0] =~ /[TH]/ ? [W => "\0\0\0"] : [@_] },
  copy_out => sub { return $_[0] eq 'T' ? [H => "\0\0\0"] : [@_] },
  copy_data_later => sub { return $_[0] eq 'c' ? ([@_], [d => "1\n"], [d => "2\n"]) : [@_] },
  rows_cut => sub { return $_[0] =~ /[Dd]/ ? [$_[0], substr $_[1], 0, length($_[1]) / 2] : [@_] },
  rows_wider => sub { return $_[0] =~ /[Dd]/ ? [$_[0], $_[1] . "\0\0\0\1x"] : [@_] },
  notices => sub { return ($_[0] eq 'C' ? (map { _notice() } 1 .. 100_000) : (), [@_]) },
  notifications => sub { return ($_[0] eq 'C' ? (map { _notification() } 1 .. 100_000) : (), [@_]) },
  cut => sub { return $_[0] =~ /[CDd]/ ? undef : [@_] },
  cut_in_message => sub { return $_[0] =~ /[CDd]/ ? (\"$_[0]\0\0", undef) : [@_] },
  garbage => sub { return $_[0] =~ /[CDd]/ ? (\(join '', map { chr rand 256 } 1 .. 5000), undef) : [@_] },
  stall => sub { return $_[0] =~ /[CDd]/ ? sub { sleep 1; return '' } : [@_] },
  stall_in_message => sub { return $_[0] =~ /[CDd]/ ? (\"$_[0]\0\1\0\0ab", sub { sleep 1; return '' }) : [@_] },
  endless_notices => sub { return $_[0] =~ /[CDd]/ ? sub { return _bytes(_notice()) x 500 } : [@_] },
  endless_notifications =>
    sub { return $_[0] =~ /[CDd]/ ? sub { return _bytes(_notification()) x 500 } : [@_] },
  endless_parameters => sub {
    my $number = 0;
    return $_[0] =~ /[CDd]/
      ? sub { return join '', map { _bytes([S => 'p' . $number++ . "\0" . 'x' x 1000 . "\0"]) } 1 .. 50 }
      : [@_];
  },
  endless_rows => sub { my $row = _bytes([@_]); return $_[0] =~ /[Dd]/ ? sub { return $row x 500 } : [@_] },
  endless_results => sub { return $_[0] eq 'C' ? sub { return _bytes([C => "SELECT 1\0"]) x 500 } : [@_] },
  message_without_end => sub {
    return $_[0] =~ /[CDd]/ ? (\pack('a1 N', $_[0] eq 'C' ? 'D' : $_[0], 0x7ffffff0),
      sub { return 'x' x 60_000 }) : [@_];
  },
  trickle => sub { return $_[0] =~ /[CDd]/ ? (\pack('a1 N', $_[0], 1_000_000), sub { sleep 0.05; return 'x' }) : [@_] },
);
for my $way (keys %VALUE) {
  $WAY{$way} = sub {
    my ($type, $body) = @_;
    return [$type, $body] unless $type eq 'D';
    my $value = $VALUE{$way};
    my $field = defined $value ? pack('N/a*', $value) : pack('N', 0xFFFFFFFF);
    return [D => substr($body, 0, 2) . $field x unpack('n', $body)];
  };
}

# The ways to lie before the first statement: `lie('startup', …)`.
my %STARTUP = (
  version_zero => sub { return _parameter(\@_, server_version => '0') },
  version_huge => sub { return _parameter(\@_, server_version => '99999999999.9999999999') },
  version_negative => sub { return _parameter(\@_, server_version => '-15.3') },
  version_word => sub { return _parameter(\@_, server_version => 'x' x 10000) },
  encoding_of_another => sub { return _parameter(\@_, client_encoding => 'EUC_JP') },
  encoding_word => sub { return _parameter(\@_, client_encoding => 'x') },
  strings_nonstandard => sub { return _parameter(\@_, standard_conforming_strings => 'off') },
  auth_again => sub { return $_[0] eq 'R' ? sub { sleep 0.01; return _bytes([R => pack 'N', 3]) } : [@_] },
  auth_unknown => sub { return $_[0] eq 'R' ? [R => pack 'N', 4711] : [@_] },
  auth_empty => sub { return $_[0] eq 'R' ? [R => ''] : [@_] },
  auth_long => sub { return $_[0] eq 'R' ? [R => pack('N', 10) . 'x' x 1_000_000] : [@_] },
  startup_error => sub { return $_[0] eq 'R' ? (_error('FATAL', '28000', "\xff\xfe" . 'x' x 20_000), undef) : [@_] },
  startup_error_long => sub { return $_[0] eq 'R' ? (_error('FATAL', '28000', 'x' x 5_000_000), undef) : [@_] },
  startup_cut => sub { return $_[0] eq 'R' ? undef : [@_] },
  startup_stall => sub { return $_[0] eq 'R' ? sub { sleep 1; return '' } : [@_] },
  startup_garbage => sub { return $_[0] eq 'R' ? (\join('', map { chr rand 256 } 1 .. 5000), undef) : [@_] },
  startup_notices => sub { return $_[0] eq 'Z' ? sub { return _bytes(_notice()) x 500 } : [@_] },
  startup_parameters => sub {
    my $number = 0;
    return $_[0] eq 'S'
      ? sub { return join '', map { _bytes([S => 'p' . $number++ . "\0" . 'x' x 1000 . "\0"]) } 1 .. 50 }
      : [@_];
  },
  no_key => sub { return $_[0] eq 'K' ? () : [@_] },
  key_long => sub { return $_[0] eq 'K' ? [K => 'x' x 10_000] : [@_] },
);

sub _parameter {
  my ($message, $name, $value) = @_;
  return $message unless $message->[0] eq 'S' && $message->[1] =~ /^\Q$name\E\0/;
  return [S => "$name\0$value\0"];
}

sub startup_ways { return sort keys %STARTUP }

# What is sent whenever the connection has been idle for 10 ms: `lie('idle', …)`.
my $parameter_number = 0;
my %IDLE = (
  notices => sub { return _bytes(_notice()) x 500 },
  notifications => sub { return _bytes(_notification()) x 200 },
  parameters => sub { return join '', map { _bytes([S => 'p' . $parameter_number++ . "\0" . 'x' x 1000 . "\0"]) } 1 .. 50 },
  notices_now_and_then => sub { sleep 0.2; return _bytes(_notice()) },
);
sub idle_ways { return sort keys %IDLE }

# Beside those of `ways`: `replace:OLD=NEW,OLD=NEW` replaces the values of fields.
sub _way {
  my ($name) = @_;
  return $WAY{$name} // $STARTUP{$name} unless $name =~ s/^replace://;
  my %new = map { split /=/, $_, 2 } split /,/, $name;
  return sub {
    my ($type, $body) = @_;
    return [$type, $body] unless $type eq 'D';
    my ($count, $rest) = unpack 'n a*', $body;
    my $fields = '';
    for (1 .. $count) {
      (my $length, $rest) = unpack 'l> a*', $rest;
      my $value = $length < 0 ? undef : substr $rest, 0, $length, '';
      $value = $new{$value} if defined $value && exists $new{$value};
      $fields .= defined $value ? pack('N/a*', $value) : pack('l>', -1);
    }
    return [D => pack('n', $count) . $fields];
  };
}

sub ways { return sort keys %WAY }

# Those that never end by themselves.
sub endless_ways { return grep { /^(?:endless|stall|trickle|message_without_end)/ } sort keys %WAY }

sub _drop_column {
  my ($type, $body) = @_;
  return [$type, $body] unless $type =~ /[TD]/ && unpack('n', $body) > 0;
  my $rest = substr $body, 2;
  if ($type eq 'T') {
    $rest =~ s/^[^\0]*\0.{18}//s;
  } else {
    my $length = unpack 'N', $rest;
    substr $rest, 0, 4 + ($length == 0xFFFFFFFF ? 0 : $length), '';
  }
  return [$type, pack('n', unpack('n', $body) - 1) . $rest];
}

# The first message of the answer becomes `lies`, the others go, but for the one that ends it.
sub _instead_of_answer {
  my ($message, @lies) = @_;
  return $message->[0] eq 'Z' ? $message : $message->[0] eq '1' ? ($message, @lies) : ();
}

sub _error {
  my ($severity, $code, $text) = @_;
  return [E => join('', map { "$_\0" } "S$severity", "V$severity", "C$code", 'M' . ($text // 'a lie'),
    'DIt is not true.') . "\0"];
}

sub _notice { return [N => join('', map { "$_\0" } 'SNOTICE', 'VNOTICE', 'C00000', 'Ma lie') . "\0"] }
sub _notification { return [A => pack('N', 1) . "channel\0" . 'x' x 200 . "\0"] }
sub _bytes { my ($message) = @_; return pack('a1 N a*', $message->[0], 4 + length $message->[1], $message->[1]) }

# A statement without what differs from one call to the next.
sub _normal {
  my ($sql) = @_;
  $sql =~ s/E?'(?:[^']|'')*'/'?'/g;
  $sql =~ s/\d+/0/g;
  $sql =~ s/\s+/ /g;
  $sql =~ s/[^ -~]/?/g;
  return $sql;
}

# ---- the liar's process ----

my $CANCEL_REQUEST = 80877102;

sub main {
  my ($host, $port, $record) = @_;
  $SIG{PIPE} = 'IGNORE';
  $SIG{CHLD} = 'IGNORE';
  $| = 1;
  my $listener = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => 0, Listen => 64)
    or die "could not listen: $!";
  print 'port ', $listener->sockport, "\n";
  my ($way, $statement) = ('', '');
  my $commands = '';
  my $select = IO::Select->new($listener, \*STDIN);
  while (1) {
    for my $ready ($select->can_read(10)) {
      if ($ready == $listener) {
        my $client = $listener->accept or next;
        next if fork // die "could not fork: $!";
        eval { _serve($client, $host, $port, $record, $way, $statement) };
        POSIX::_exit(0);
      }
      # The test has ended: so does its liar.
      sysread(STDIN, $commands, 65536, length $commands) or POSIX::_exit(0);
      while ($commands =~ s/^(.*)\n//) {
        ($way, $statement) = $1 =~ /^lie (\S+) (.*)/ ? ($1, $2) : ('', '');
        print "obeyed\n";
      }
    }
  }
}

sub _serve {
  my ($client, $host, $port, $record, $way, $asked) = @_;
  close STDIN;
  my $server = $host =~ m{^/} ? IO::Socket::UNIX->new(Peer => "$host/.s.PGSQL.$port")
    : IO::Socket::INET->new(PeerAddr => $host, PeerPort => $port);
  my ($from_client, $from_server) = ('', '');
  my ($is_begun, $is_ready) = (0, 0);
  my $is_asked = $asked eq 'startup';
  my $flood = $asked eq 'idle' ? $IDLE{$way} : undef;
  my $lie_of = _way($way);
  open my $note, '>>', $record or die "no record: $!";
  my $select = IO::Select->new($client, $server);
  while (1) {
    my @ready = $select->can_read($flood && $is_ready ? 0.01 : undef);
    _send($client, $flood->()) if !@ready;
    for my $ready (@ready) {
      if ($ready == $client) {
        sysread($client, $from_client, 65536, length $from_client) or return;
        while (my ($type, $body, $all) = _take(\$from_client, $is_begun)) {
          $is_begun = 1 if !$is_begun;
          if ($type =~ /[PQ]/) {
            my $sql = _normal($type eq 'P' ? $body =~ s/^[^\0]*\0([^\0]*)\0.*/$1/sr : $body =~ s/\0$//r);
            $is_asked = $sql eq $asked;
            syswrite $note, "$sql\n";
          }
          _send($server, $all);
        }
      } else {
        sysread($server, $from_server, 65536, length $from_server) or return;
        my $out = '';
        while (my ($type, $body, $all) = _take(\$from_server, 1)) {
          $is_ready = 1 if $type eq 'Z';
          if (!$is_asked || !$lie_of) {
            $out .= $all;
            next;
          }
          syswrite $note, "! $way\n" if $type =~ /[1R]/;
          for my $lie ($lie_of->($type, $body)) {
            if (ref $lie eq 'ARRAY') {
              $out .= _bytes($lie);
            } elsif (ref $lie eq 'SCALAR') {
              $out .= $$lie;
            } else {
              _send($client, $out);
              return unless $lie;
              _send($client, $lie->()) while !_has_left($client);
              return;
            }
          }
        }
        _send($client, $out);
      }
    }
  }
}

# The first whole message: type, body, and all of its bytes.  The first one of a client has no type.
sub _take {
  my ($buffer, $has_type) = @_;
  my $start = $has_type ? 1 : 0;
  return if length $$buffer < $start + 4;
  my $length = unpack 'N', substr $$buffer, $start, 4;
  return if length $$buffer < $start + $length;
  my $all = substr $$buffer, 0, $start + $length, '';
  return ($has_type ? substr($all, 0, 1) : 'startup', substr($all, $start + 4), $all);
}

sub _send {
  my ($socket, $bytes) = @_;
  while (length $bytes) {
    my $sent = syswrite $socket, $bytes;
    POSIX::_exit(0) unless $sent;
    substr $bytes, 0, $sent, '';
  }
  return;
}

sub _has_left {
  my ($client) = @_;
  return 0 unless IO::Select->new($client)->can_read(0);
  my $bytes;
  return !sysread $client, $bytes, 65536;
}

1;
