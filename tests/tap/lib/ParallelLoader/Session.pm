# Session: psql processes; one that stays connected and can run a statement in the background, and
# run_sql for a statement on its own.
#
# PostgreSQL::Test::Cluster has a background_psql too, but its methods differ between versions, and
# it keeps neither SQLSTATEs nor what happened after an error.
package ParallelLoader::Session;

use strict;
use warnings;

use Exporter 'import';
use IPC::Run ();
use ParallelLoader::Result;
use Time::HiRes qw(sleep time);

our @EXPORT_OK = qw(name_of run_sql);

# Long enough for the slowest honest statement on a busy machine; what must be quick says so itself.
our $PATIENCE_S = 90;

# What a session that stays would keep from others, and psql's own commands.
my $LEAVES_OPEN = qr/\\|\b(?:BEGIN|START|LOCK|PREPARE|LISTEN|TEMP|TEMPORARY|DATABASE)\b|advisory_lock|pg_create_\w*slot/i;

# After these a new session starts with something else than one that is there.  Settings of the library
# are none before it is loaded.
my $CHANGES_START = qr/\b(?:ROLE|USER|SYSTEM|EXTENSION|FUNCTION|LOAD)\b|parallel_loader\.|session_authorization|pg_reload_conf/i;

my %kept; # by name_of()

END { %kept = () }

# What a psql that is kept stands for: the server, and the environment that libpq reads.
sub name_of {
  my ($node) = @_;
  return join "\0", $node->name, map { "$_=$ENV{$_}" } sort grep { /^PG/ } keys %ENV;
}

sub _command {
  my ($node, %options) = @_;
  my $connstr = $options{connstr} // $node->connstr($options{dbname} // 'postgres');
  $connstr .= " user='$options{user}'" if defined $options{user};
  return ['psql', '-XAtq', '-v', 'VERBOSITY=verbose', '-v', 'ON_ERROR_STOP=0', '-d', $connstr,
    '-f', '-'];
}

# Runs `sql` in a session of its own and returns its Result.  Options: dbname, user, connstr, password,
# timeout (seconds).
sub run_sql {
  my ($node, $sql, %options) = @_;
  # A session that is there would be in its way.
  delete $kept{name_of($node)} if $sql =~ /\bDATABASE\b/i;
  $_->{is_stale} = 1 for $sql =~ $CHANGES_START ? values %kept : ();
  my $is_plain = !grep { $_ ne 'timeout' } keys %options;
  my $result = $is_plain && $sql !~ $LEAVES_OPEN ? _run_anew($node, $sql, $options{timeout}) : undef;
  return $result // _run_alone($node, $sql, %options);
}

# Starting psql and connecting takes longer than most statements: one session of each server is kept, and
# made like new for each of them.  What it runs at last is nothing that a test looks for in
# pg_stat_activity.
sub _run_anew {
  my ($node, $sql, $timeout) = @_;
  my $name = name_of($node);
  my $session = $kept{$name} //= eval { ParallelLoader::Session->new($node) } // return;
  my $renew = $session->{is_stale} ? '\\connect' : 'DISCARD ALL;';
  my $result = $session->query("$renew\nSELECT 'renewed';\n$sql\n;\nSELECT WHERE false", $timeout);
  $session->{is_stale} = $sql =~ $CHANGES_START;
  delete $kept{$name} if $result->is_lost || $result->is_timed_out;
  return $result->{out} =~ s/^renewed(?:\n|\z)// ? $result : undef;
}

sub _run_alone {
  my ($node, $sql, %options) = @_;
  my ($out, $err) = ('', '');
  local $ENV{PGPASSWORD} = $options{password} if defined $options{password};
  my $timer = IPC::Run::timeout($options{timeout} // $PATIENCE_S);
  my $run = IPC::Run::start(_command($node, %options), '<', \"$sql\n;\n", '>', \$out, '2>', \$err,
    $timer);
  my $is_finished = eval { $run->finish; 1 };
  $run->kill_kill unless $is_finished;
  return ParallelLoader::Result->new(
    out => $out,
    err => $err,
    timed_out => !$is_finished,
    lost => $is_finished && $run->full_result(0) != 0);
}

# Connects.  Options as for run_sql.
sub new {
  my ($class, $node, %options) = @_;
  my $self = bless {in => '', out => '', err => '', count => 0, is_busy => 0}, $class;
  local $ENV{PGPASSWORD} = $options{password} if defined $options{password};
  $self->{run} = IPC::Run::start(_command($node, %options),
    '<', \$self->{in}, '>', \$self->{out}, '2>', \$self->{err});
  my $hello = $self->query('SELECT pg_catalog.pg_backend_pid()');
  die 'could not connect: ' . $hello->summary unless $hello->is_ok;
  $self->{backend_pid} = $hello->out;
  return $self;
}

sub backend_pid { return $_[0]{backend_pid} }

# Begins to run `sql`; `finish` waits for its end.
sub start {
  my ($self, $sql) = @_;
  die 'session is busy' if $self->{is_busy};
  $self->{is_busy} = 1;
  $self->{banner} = 'session: end of statement ' . ++$self->{count};
  $self->{started} = time;
  $self->{in} .= "$sql\n;\n\\echo '$self->{banner}'\n\\warn '$self->{banner}'\n";
  $self->_pump;
  return $self;
}

# True when the statement begun by `start` has ended.
sub is_finished {
  my ($self) = @_;
  $self->_pump;
  my $banner = qr/^\Q$self->{banner}\E$/m;
  return $self->{is_ended} || ($self->{out} =~ $banner && $self->{err} =~ $banner);
}

# Waits up to `timeout` seconds and returns the statement's Result.
sub finish {
  my ($self, $timeout) = @_;
  my $deadline = time + ($timeout // $PATIENCE_S);
  my $pause = 0.001;
  while (!$self->is_finished && time < $deadline) {
    sleep $pause;
    $pause *= 1.2 if $pause < 0.02;
  }
  my $is_finished = $self->is_finished;
  $self->{seconds} = time - $self->{started};
  s/^\Q$self->{banner}\E\n//m for $self->{out}, $self->{err};
  my $result = ParallelLoader::Result->new(
    out => $self->{out},
    err => $self->{err},
    timed_out => !$is_finished,
    lost => $self->{is_ended} // 0);
  $self->{out} = $self->{err} = '';
  $self->{is_busy} = !$is_finished;
  return $result;
}

# Seconds that the last statement took.
sub seconds { return $_[0]{seconds} }

sub query {
  my ($self, $sql, $timeout) = @_;
  return $self->start($sql)->finish($timeout);
}

# As query, but dies on an error; returns the output.
sub query_safe {
  my ($self, $sql) = @_;
  my $result = $self->query($sql);
  die "query failed: $sql\n" . $result->summary unless $result->is_ok;
  return $result->out;
}

# Ends psql as `kill -9` does: the server learns it from the socket alone.
sub kill9 {
  my ($self) = @_;
  $self->{run}->signal('KILL');
  eval { $self->{run}->finish };
  $self->{is_ended} = 1;
  return;
}

sub close {
  my ($self) = @_;
  return unless $self->{run};
  if (!$self->{is_ended} && !$self->{is_busy} && eval { $self->{run}->pumpable }) {
    $self->{in} .= "\\q\n";
    eval { $self->{run}->finish };
  }
  eval { $self->{run}->kill_kill };
  delete $self->{run};
  return;
}

sub DESTROY {
  my ($self) = @_;
  # At the very end what IPC::Run needs to wait may be gone before; psql ends with its input.
  return if ${^GLOBAL_PHASE} eq 'DESTRUCT';
  local ($@, $?);
  $self->close;
  return;
}

sub _pump {
  my ($self) = @_;
  return if $self->{is_ended};
  # pump_nb dies when psql has gone, which is an answer too.
  $self->{is_ended} = 1
    unless eval { $self->{run}->pumpable } && eval { $self->{run}->pump_nb; 1 };
  return;
}

1;
