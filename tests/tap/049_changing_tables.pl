# Tables that change while they are pulled: whatever is done to either table at whatever moment, what
# ends as done has the rows of the snapshot, and all else is an error that says so.
#
# Rounds are random and print their seed.  ROUNDS=200 runs more of them, SEED=… one again, KIND=…,
# MOMENT=… and SIDE=… (patterns) those alone.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";

use Digest::MD5 qw(md5_hex);
use ParallelLoader::Change qw(@SHAPES $ROWS create_sql fill_sql kinds change_sql only);
use ParallelLoader::Session qw(run_sql);
use ParallelLoader::Test;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep);

my $ROUNDS = $ENV{ROUNDS} || ($ENV{SEED} ? 1 : 20);
my $PATIENCE_S = 60;
my @MOMENTS = ('before the plan', 'between snapshot and plan', 'between plan and chunk', 'in mid-chunk', 'between failure and resume',
  'between appends');

my $pair = ParallelLoader::Test->new(
  retries => 1,
  source => {hba => 'local all reader scram-sha-256'},
  # A change that waits for a snapshot's holder is made when the hold is over.
  destination => {conf => <<'CONF'});
max_worker_processes = 32
parallel_loader.retry_budget = '3s'
parallel_loader.snapshot_hold = '8s'
CONF
my %ROLE = (source => 'reader', destination => 'loader');
my $FUNCTIONS = join ', ', map { "parallel_pull_$_" } qw(table start create work wait alter cancel resume append);
$pair->source_sql(q(CREATE ROLE reader LOGIN PASSWORD 'secret'; CREATE ROLE stranger));
$pair->destination_sql("CREATE ROLE loader LOGIN; CREATE ROLE stranger; GRANT EXECUTE ON FUNCTION $FUNCTIONS TO loader");
my $DSN = $pair->dsn(undef, 'user=reader password=secret') =~ s/'//gr;

# As the superuser.
sub sql { my ($side, $sql) = @_; return $side eq 'source' ? $pair->source_sql($sql) : $pair->destination_sql($sql) }

# As the role that pulls.
sub call { my ($sql) = @_; return $pair->try_sql($sql, user => 'loader', timeout => $PATIENCE_S) }

# One of a list.
sub any_of { return $_[int rand @_] }

sub wanted {
  my ($name, @values) = @_;
  my $pattern = $ENV{$name} // '';
  return grep { $pattern eq '' || /$pattern/ } @values;
}

# ---- a round ----

# What this round does; the same for the same seed.
sub drawn {
  my ($number, $seed) = @_;
  # Seeds that follow one another would draw alike.
  srand hex substr md5_hex($seed), 0, 8;
  while (1) {
    my %round = (
      number => $number,
      seed => $seed,
      schema => "r$number",
      moment => any_of(@MOMENTS),
      side => any_of('source', 'destination'),
      shape => {source => any_of(@SHAPES), destination => any_of(@SHAPES)},
      key => any_of(undef, 'id', 'id', 'ctid'),
      workers => any_of(1, 2, 3),
      format => any_of('auto', 'auto', 'text'),
      is_lost => any_of(0, 0, 1), # its snapshot, before the resume
      is_root_only => any_of(0, 0, 1), # no rights on partitions of the source
    );
    $round{kind} = any_of(kinds($round{side}, $round{shape}{$round{side}}));
    return \%round if wanted('KIND', $round{kind}) && wanted('MOMENT', $round{moment}) && wanted('SIDE', $round{side});
  }
}

sub described {
  my ($round) = @_;
  return sprintf 'round %d, seed %d: %s of the %s table (%s into %s) %s, key %s, %d workers, %s%s', $round->{number},
    $round->{seed}, $round->{kind}, $round->{side}, $round->{shape}{source}, $round->{shape}{destination},
    $round->{moment}, $round->{key} // 'of its choice', $round->{workers}, $round->{format},
    ($round->{moment} =~ /resume/ && $round->{is_lost} ? ', snapshot lost' : '')
    . ($round->{shape}{source} eq 'partitioned' && $round->{is_root_only} ? ', rights on the root alone' : '');
}

sub set_up {
  my ($round) = @_;
  my $schema = $round->{schema};
  for my $side (qw(source destination)) {
    my $shape = $round->{shape}{$side};
    my $child = $shape eq 'inherited' ? fill_sql($schema, 't_c', 8001, 8100) : '';
    sql($side, "CREATE SCHEMA $schema; " . create_sql($schema, $shape) . $child
        . " GRANT USAGE ON SCHEMA $schema TO $ROLE{$side};"
        . ' GRANT SELECT, INSERT ON '
        . ($side eq 'source' && $round->{is_root_only} ? "$schema.t" : "ALL TABLES IN SCHEMA $schema")
        . " TO $ROLE{$side}");
  }
  sql('source', fill_sql($schema, 't', 1, $ROWS) . " ANALYZE $schema.t");
  $round->{oid} = sql('destination', "SELECT '$schema.t'::regclass::oid");
  return;
}

sub pull_call {
  my ($round, $function, %named) = @_;
  return $pair->table_sql($function, "$round->{schema}.t", {dsn => $DSN, key => $round->{key},
      workers => $round->{workers}, format => $round->{format}, chunk_size => '64kB', %named});
}

# Begins the change.  Most of them wait for whoever reads or writes the table: then it is made when that
# ends, but looked at for a moment, lest it is late only by chance.
sub start_change {
  my ($round, $witness) = @_;
  my $side = $round->{side};
  my $session = $pair->session($side);
  $session->start(change_sql($round->{kind}, $round->{schema}, $round->{shape}{$side}, $ROLE{$side},
      $witness // 'SELECT'));
  wait_until(0.7, sub { $session->is_finished });
  return $session;
}

# Waits for the change; returns what the witness has seen.
sub end_change {
  my ($round, $session) = @_;
  my $result = $session->finish($PATIENCE_S);
  push @{$round->{notes}}, 'the change: ' . $result->summary unless $result->is_ok;
  return $result->out;
}

sub change { my ($round) = @_; return end_change($round, start_change($round)) }

# ---- pictures: what a table has ----

# The rows of a table as {id => {column => value}}, values so that no type of these numbers matters;
# undef if there is no such table.
sub picture {
  my ($side, $table, $shape) = @_;
  my $columns = sql($side, <<"SQL");
SELECT string_agg(format('%L || %s', ' ' || attname || '=',
    CASE attname WHEN 'note' THEN 'md5(note)' ELSE format('coalesce(%I::numeric::text, %L)', attname, 'null') END), ' || ')
FROM pg_attribute WHERE attrelid = to_regclass('$table') AND attname IN ('id', 'a', 'b', 'note') AND NOT attisdropped
SQL
  return if $columns eq '';
  my %rows;
  for my $line (split /\n/, sql($side, "SELECT $columns FROM " . only($shape) . " $table")) {
    my %row = $line =~ /(\w+)=(\S*)/g;
    push @{$rows{$row{id}}}, \%row;
  }
  return \%rows;
}

# The local table: the one that was pulled into, wherever it is now, else the one of its name; rows that
# the change itself has brought are none of a pull's.
sub here {
  my ($round) = @_;
  my $table = sql('destination', "SELECT oid::regclass FROM pg_class WHERE oid = $round->{oid}");
  my $shape = sql('destination', 'SELECT relkind FROM pg_class WHERE oid = '
      . ($table ne '' ? $round->{oid} : "to_regclass('$round->{schema}.t')"));
  my $rows = picture('destination', $table ne '' ? $table : "$round->{schema}.t", $shape eq 'p' ? 'partitioned' : 'plain');
  delete @$rows{grep { $_ > 3500 } keys %$rows} if $rows && $round->{side} eq 'destination';
  return $rows;
}

sub there {
  my ($round) = @_;
  my $shape = sql('source', "SELECT relkind FROM pg_class WHERE oid = to_regclass('$round->{schema}.t')");
  return picture('source', "$round->{schema}.t", $shape eq 'p' ? 'partitioned' : 'plain');
}

sub same_row {
  my ($row, $other) = @_;
  return !grep { exists $other->{$_} && $row->{$_} ne $other->{$_} } keys %$row;
}

# What is wrong with the rows here: `must` be there, and others none but of `may`; each once, and as
# in one of the pictures of `may`.
sub wrong_rows {
  my ($here, $must, @may) = @_;
  my @wrong;
  for my $id (sort { $a <=> $b } keys %$here) {
    my @rows = @{$here->{$id}};
    push @wrong, scalar(@rows) . " times $id" if @rows > 1;
    my @allowed = map { $_->{$id} ? $_->{$id}[0] : () } @may;
    push @wrong, "$id is no row of the source" unless @allowed;
    push @wrong, "another value: " . join ' ', %{$rows[0]} if @allowed && !grep { same_row($rows[0], $_) } @allowed;
  }
  my @missing = grep { !$here->{$_} } sort { $a <=> $b } keys %$must;
  push @wrong, scalar(@missing) . " rows are missing, $missing[0] to $missing[-1]" if @missing;
  return @wrong ? scalar(@wrong) . ' faults: ' . join('; ', @wrong[0 .. ($#wrong < 3 ? $#wrong : 3)]) : '';
}

sub both_have {
  my ($one, $other) = @_;
  return {map { $other->{$_} ? ($_ => $one->{$_}) : () } keys %$one};
}

# ---- the judgement ----

# Adds what is wrong: a state done with other rows than one of the pictures.
sub judge_whole {
  my ($round, $when, @pictures) = @_;
  my $here = here($round) // {};
  my @wrong = map { wrong_rows($here, $_, $_) } grep { defined } @pictures;
  push @{$round->{faults}}, "$when: done, but $wrong[0]" unless grep { $_ eq '' } @wrong;
  return;
}

sub judge_mixed {
  my ($round, $when, $old, $new) = @_;
  my $wrong = wrong_rows(here($round) // {}, both_have($old, $new // {}), $old, $new // {});
  push @{$round->{faults}}, "$when: done, but $wrong" if $wrong ne '';
  return;
}

# An error must be one that was foreseen.
sub judge_error {
  my ($round, $when, $result) = @_;
  push @{$round->{notes}}, "$when: " . (split /\n/, $result->summary)[0];
  push @{$round->{faults}}, "$when: " . $result->summary
    if $result->is_timed_out || $result->is_lost || $result->sqlstate =~ /^XX/;
  return;
}

# The pull's state, and how many chunks are done.
sub pull_of {
  my ($id) = @_;
  my %pull;
  @pull{qw(state chunks_done sqlstate error)} = split /\|/,
    $pair->destination_sql("SELECT state, chunks_done, sqlstate, error FROM parallel_pulls WHERE pull_id = $id");
  return \%pull;
}

# Resumes a pull that has failed, first under its snapshot, then under another one.
sub resume_and_judge {
  my ($round, $id, $old) = @_;
  my $is_untouched = pull_of($id)->{chunks_done} == 0;
  my $result = call("SELECT parallel_pull_resume($id, '$DSN')");
  if ($result->is_ok) {
    return judge_whole($round, 'resumed', $old, $is_untouched ? there($round) : ());
  }
  judge_error($round, 'resume', $result);
  my $other = call("SELECT parallel_pull_resume($id, '$DSN', new_snapshot => true)");
  return judge_mixed($round, 'resumed under a new snapshot', $old, there($round)) if $other->is_ok;
  return judge_error($round, 'resume under a new snapshot', $other);
}

# ---- moments ----

my %RUN = (
  'before the plan' => sub {
    my ($round) = @_;
    change($round);
    $round->{oid} = sql('destination', "SELECT coalesce(to_regclass('$round->{schema}.t')::oid, 0)");
    my $result = call(pull_call($round, 'parallel_pull_table'));
    $result->is_ok ? judge_whole($round, 'pulled', there($round)) : judge_error($round, 'pull', $result);
  },
  'between snapshot and plan' => sub {
    my ($round) = @_;
    my $old = there($round);
    my $exporter = $pair->session('source');
    my $snapshot = $exporter->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT pg_export_snapshot()');
    change($round);
    $round->{oid} = sql('destination', "SELECT coalesce(to_regclass('$round->{schema}.t')::oid, 0)");
    my $result = call(pull_call($round, 'parallel_pull_table', snapshot => $snapshot));
    $result->is_ok ? judge_whole($round, 'pulled', $old) : judge_error($round, 'pull', $result);
  },
  'between plan and chunk' => sub {
    my ($round) = @_;
    my $old = there($round);
    my $created = call(pull_call($round, 'parallel_pull_create'));
    return judge_error($round, 'create', $created) unless $created->is_ok;
    my $id = $created->out;
    my $session = start_change($round);
    my $result = call("SELECT parallel_pull_work($id, '$DSN', workers => $round->{workers})");
    my $is_done = pull_of($id)->{state} eq 'done';
    judge_error($round, 'work', $result) unless $result->is_ok;
    end_change($round, $session);
    return judge_whole($round, 'worked', $old, there($round)) if $is_done;
    resume_and_judge($round, $id, $old);
  },
  'in mid-chunk' => sub {
    my ($round) = @_;
    my $old = there($round);
    my $started = call('WITH started AS MATERIALIZED (SELECT (' . pull_call($round, 'parallel_pull_start')
      . ') AS id) SELECT id FROM started, LATERAL parallel_pull_alter(id, max_rate => 60)');
    return judge_error($round, 'start', $started) unless $started->is_ok;
    my $id = $started->out;
    wait_until(20, sub { sql('destination', "SELECT rows > 0 OR state NOT IN ('planned', 'running')
      FROM parallel_pulls WHERE pull_id = $id") eq 't' });
    call("SELECT parallel_pull_alter($id, workers => 0)");
    # Most changes wait for the chunk. When all chunks are done before it, it is none of the pull's.
    my $side = $round->{side};
    my $session = start_change($round, $side eq 'source' ? undef
      : "SELECT 'late' FROM parallel_pulls WHERE pull_id = $id AND chunks_done = chunks");
    call("SELECT parallel_pull_alter($id, workers => $round->{workers}, max_rate => 0)");
    my $waited = call("SELECT parallel_pull_wait($id)");
    judge_error($round, 'wait', $waited) unless $waited->is_ok;
    my $is_late = end_change($round, $session) eq 'late';
    my $pull = pull_of($id);
    return $is_late || judge_whole($round, 'pulled', $old) if $pull->{state} eq 'done';
    push @{$round->{notes}}, "pull: $pull->{sqlstate} $pull->{error}";
    push @{$round->{faults}}, "pull: $pull->{sqlstate} $pull->{error}" if $pull->{sqlstate} =~ /^XX|^$/;
    resume_and_judge($round, $id, $old);
  },
  'between failure and resume' => sub {
    my ($round) = @_;
    my $old = there($round);
    my $in_the_way = $ROWS - 5;
    sql('destination', "INSERT INTO $round->{schema}.t (id) VALUES ($in_the_way)");
    my $failed = call(pull_call($round, 'parallel_pull_table'));
    return push @{$round->{faults}}, 'no failure to begin with: ' . $failed->summary if $failed->sqlstate ne '23505';
    my $id = $pair->newest_pull_id;
    sql('destination', "DELETE FROM $round->{schema}.t WHERE id = $in_the_way");
    call("SELECT parallel_pull_cancel($id)") if $round->{is_lost};
    my $session = start_change($round);
    resume_and_judge($round, $id, $old);
    end_change($round, $session);
  },
  'between appends' => sub {
    my ($round) = @_;
    my $old = there($round);
    my $pulled = call(pull_call($round, 'parallel_pull_table'));
    return judge_error($round, 'pull', $pulled) unless $pulled->is_ok;
    change($round);
    # The new rows, if they can still be inserted; the next call must bring all that ever was there.
    run_sql($pair->source, fill_sql("$round->{schema}", 't (id, a, b, note)', 3001, 3050));
    for my $number (1, 2) {
      my $result = call($pair->table_sql('parallel_pull_append', "$round->{schema}.t", {dsn => $DSN}));
      if ($result->is_ok) {
        my $now = there($round) // {};
        my $here = here($round) // {};
        # Values that the change itself has put into old rows are none of an append's.
        my @mine = $round->{side} eq 'destination' ? both_have($here, $old) : ();
        my $wrong = wrong_rows($here, {%$old, %$now}, $old, $now, @mine);
        push @{$round->{faults}}, "append $number: done, but $wrong" if $wrong ne '';
      } else {
        judge_error($round, "append $number", $result);
      }
    }
  },
);

sub run_round {
  my ($number, $seed) = @_;
  my $round = drawn($number, $seed);
  set_up($round);
  $RUN{$round->{moment}}->($round);
  $pair->destination_sql(q(SELECT parallel_pull_cancel(pull_id) FROM parallel_pulls WHERE state <> 'done'));
  ok(!@{$round->{faults} // []}, described($round)) or diag(join "\n", @{$round->{faults}});
  note($_) for @{$round->{notes} // []};
  return;
}

my $seed = $ENV{SEED} || int rand 1_000_000_000;
note("the first seed is $seed");
run_round($_, $seed + $_ - 1) for 1 .. $ROUNDS;

$pair->finish;
