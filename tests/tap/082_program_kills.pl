# Runs of the program that are hit at a random moment: the program, its sessions or a server is
# killed.  The source is at rest; whoever follows what the program prints has every row once.
# PARALLEL_LOADER_CHAOS sets the number of rounds; a failure names the seed to give as
# PARALLEL_LOADER_SEED.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";

use ParallelLoader::Program;
use ParallelLoader::Test;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep);

my $ROUNDS = $ENV{PARALLEL_LOADER_CHAOS} // 10;
my $SEED = $ENV{PARALLEL_LOADER_SEED} // time;
srand $SEED;

my $pair = ParallelLoader::Test->new;
my @both = ('--source', $pair->source->connstr('postgres'), '--target', $pair->destination->connstr('postgres'));
my @TABLES = map { "t$_" } 1 .. 8;
my @KEYLESS = qw(keyless);
my @ARGUMENTS = ('--all', '-j', 3, '--chunk-size', '128kB');
$pair->both_sql("CREATE TABLE $_ (id integer PRIMARY KEY, note text)") for @TABLES;
$pair->both_sql("CREATE TABLE $_ (id integer, note text)") for @KEYLESS;
$pair->source_sql("INSERT INTO $TABLES[$_ - 1] SELECT i, repeat('n', 110) || i FROM generate_series(1, $_ * 4000) AS i")
  for 1 .. @TABLES;
$pair->source_sql("INSERT INTO $_ SELECT i, repeat('k', 110) || i FROM generate_series(1, 30000) AS i") for @KEYLESS;
$pair->source_sql('ANALYZE');

sub terminate_one {
  my ($side, $where) = @_;
  my $sql = "${side}_sql";
  $pair->$sql("SELECT count(pg_terminate_backend(pid)) FROM"
      . " (SELECT pid FROM pg_stat_activity WHERE $where AND pid <> pg_backend_pid() ORDER BY random() LIMIT 1) AS one");
  return;
}

# Each returns what is to be done before the user goes on.
my %BLOW = (
  'kill -9 of the program' => sub { $_[0]->{run}->signal('KILL'); return sub { } },
  'Ctrl-C' => sub { $_[0]->{run}->signal('INT'); return sub { } },
  'a session of the client is lost' => sub {
    terminate_one('destination', q(query LIKE '%parallel_pull_%' AND backend_type = 'client backend'));
    return sub { };
  },
  'a session on the source is lost' => sub {
    terminate_one('source', q(application_name LIKE 'parallel_loader%'));
    return sub { };
  },
  'kill -9 of the destination' => sub { return $pair->crash('destination') },
  'kill -9 of the source' => sub { return $pair->crash('source') });

# The commands that lead on, as the program has printed them.
sub ways_on {
  my ($job) = @_;
  my ($on) = $job->{err} =~ /^(?:To go on|.* not begun\. To load (?:it|them)): (parallel-loader .*)$/m;
  my @by_table = $job->{err} =~ /Continue with(?: this table)?: (parallel-loader .*)$/mg;
  return defined $on ? $on : @by_table;
}

sub quoted { return join ' ', 'parallel-loader', map { "'$_'" } @_ }

# What its user does next.
sub next_steps {
  my ($job, $run, $pulls) = @_;
  return () if $job->{code} eq '0';
  return quoted('copy', @both, @ARGUMENTS) if $run eq ''; # nothing was begun
  return ways_on($job) if $job->{code} ne 'signal 9';
  # It could not say anything. Tables that the run has no pull of yet are known to the user alone.
  return quoted($pulls < @TABLES + @KEYLESS ? ('copy', @both, @ARGUMENTS, '--resume', $run) : ('resume', @both));
}

sub picture {
  my ($side) = @_;
  my $sql = "${side}_sql";
  my @rows = map { "SELECT '$_', count(*), coalesce(sum(hashtextextended(id || note, 0)::numeric), 0) FROM $_" }
    @TABLES, @KEYLESS;
  return $pair->$sql(join(' UNION ALL ', @rows) . ' ORDER BY 1');
}

my $whole = picture('source');
my @blows = sort keys %BLOW;
my $hit_count = 0;
for my $round (1 .. $ROUNDS) {
  my $blow = $blows[$round % @blows];
  my $pause = 0.1 + rand 1.2;
  my $case = sprintf 'round %d of seed %d: %s after %.2f s', $round, $SEED, $blow, $pause;
  $pair->destination_sql('TRUNCATE ' . join ', ', @TABLES, @KEYLESS);
  my $last = $pair->newest_pull_id;
  my $job = start_program('copy', @both, @ARGUMENTS);
  sleep $pause;
  $BLOW{$blow}->($job)->();
  end_of($job);

  my $run = $pair->destination_sql("SELECT max(run_id) FROM parallel_pulls WHERE pull_id > $last");
  my $said = "== $case: $job->{code}\n$job->{err}";
  my $pulls = $pair->destination_sql("SELECT count(*) FROM parallel_pulls WHERE pull_id > $last");
  my @todo = next_steps($job, $run, $pulls);
  $hit_count++ if $job->{code} ne '0';
  ok($job->{code} eq '0' || @todo, "$case: the program says what to do") or diag $said;
  for my $step (1 .. 30) {
    my $command = shift @todo // last;
    my $next = shell($command);
    $said .= "== $command: $next->{code}\n$next->{err}";
    push @todo, ways_on($next) if $next->{code} ne '0';
  }
  is(picture('destination'), $whole, "$case: every row is there once") or diag $said;
  $pair->nothing_left('… and nothing is left') or diag $said;
}

cmp_ok($hit_count, '>=', $ROUNDS / 5, 'runs were hit');
$pair->finish;
