# Test: a source and a destination server for one test file, and the assertions all files share.
#
#   my $pair = ParallelLoader::Test->new;
#   $pair->source_sql('CREATE TABLE t ...');
#   $pair->pull_returns(10, 't', 1, 11, {}, 'pulls a half-open range');
#   $pair->finish;
#
# Every assertion ends with the rule it checks, as its name.
package ParallelLoader::Test;

use strict;
use warnings;

use Exporter 'import';
use Cwd qw(abs_path);
use File::Basename qw(basename dirname);
use File::Path qw(rmtree);
use JSON::PP ();
use ParallelLoader::Session qw(name_of run_sql);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

our @EXPORT = qw(literal program_under_test wait_until stopwatch);

# What an interrupted pull has left behind must be gone within this time (DESIGN rule 6).
our $PROMPT_S = 5;
# A lock trap must end within this time (DESIGN rule 5).
our $TRAP_S = 2;

my $CONF = <<'CONF';
max_connections = 40
max_worker_processes = 16
max_logical_replication_workers = 0
wal_level = replica
max_wal_senders = 0
shared_buffers = 64MB
max_wal_size = 2GB
checkpoint_timeout = 1h
autovacuum = off
log_line_prefix = '%m [%p] %e %q%a '
CONF

# The first failure ends a pull and nothing stays behind it, unless a test says otherwise.
my $FIRST_FAILURE_CONF = <<'CONF';
parallel_loader.retry_budget = 0
parallel_loader.snapshot_hold = 0
CONF

# PARALLEL_LOADER_ROUTE keeps all pulls of the destination to one route.
my $ROUTE_CONF =
  defined $ENV{PARALLEL_LOADER_ROUTE} ? "parallel_loader.route = $ENV{PARALLEL_LOADER_ROUTE}\n" : '';

# Options: source and destination, each {conf => text, hba => text, init => [initdb options],
# env => {name => value of the postmaster}}; both => a part common to the two;
# extension => 0 to leave the extension out; and retries => 1 for the extension's own defaults of
# retry_budget and snapshot_hold.
sub new {
  my ($class, %options) = @_;
  my $self = bless {}, $class;
  for my $side (qw(source destination)) {
    my %given = (%{$options{both} // {}}, %{$options{$side} // {}});
    $given{conf} = $FIRST_FAILURE_CONF . ($given{conf} // '') unless $options{retries};
    $given{conf} = $ROUTE_CONF . ($given{conf} // '');
    $self->{$side} = start_node($side, %given);
  }
  $self->create_extension('postgres') unless exists $options{extension} && !$options{extension};
  return $self;
}

# PARALLEL_LOADER_SOURCE is the folder of another server's bin and lib, to run the sources on.
my %SERVER = (source => $ENV{PARALLEL_LOADER_SOURCE});

# A node that is not set up yet.
sub new_node {
  my ($name) = @_;
  # A failed run keeps its clusters and logs; the next one must not stumble over them.
  (my $test = basename($0)) =~ s/\.[^.]+$//;
  rmtree("$PostgreSQL::Test::Utils::tmp_check/t_${test}_${name}_data");
  my $node = PostgreSQL::Test::Cluster->new($name,
    $SERVER{$name} ? (install_path => $SERVER{$name}) : ());
  unlink $node->logfile;
  return $node;
}

# Calls initdb, or copies what it has made of these options before.
sub init_node {
  my ($node, $name, @options) = @_;
  my ($initdb) = grep { -x } map { "$_/initdb" } split /:/, $ENV{PATH};
  local %ENV = (%ENV, INITDB => $initdb, NODE => $name, PATH => abs_path(dirname(__FILE__) . '/../bin') . ":$ENV{PATH}");
  $node->init(extra => [@options]);
  return;
}

# As one side of `new`.
sub start_node {
  my ($name, %given) = @_;
  my $node = new_node($name);
  init_node($node, $name, '--encoding=UTF8', '--locale=C', @{$given{init} // []});
  $node->append_conf('postgresql.conf', $CONF . ($given{conf} // ''));
  # A later line wins in postgresql.conf, an earlier one in pg_hba.conf.
  if (defined $given{hba}) {
    my $path = $node->data_dir . '/pg_hba.conf';
    my $old = slurp_file($path);
    unlink $path;
    append_to_file($path, "$given{hba}\n$old");
  }
  local %ENV = (%ENV, %{$given{env} // {}});
  $node->start;
  return $node;
}

sub source { return $_[0]{source} }
sub destination { return $_[0]{destination} }

sub create_extension {
  my ($self, $dbname) = @_;
  $self->destination_sql('CREATE EXTENSION parallel_loader CASCADE', dbname => $dbname);
  return;
}

# The path of parallel-loader.
sub program_under_test {
  my $program = $ENV{PARALLEL_LOADER} // '';
  return $program if -x $program;
  # Not skipped: a suite that has not tested the program has not passed.
  fail("PARALLEL_LOADER names the program under test, not \"$program\"");
  done_testing();
  exit;
}

# ---- SQL ----

# The text as an SQL literal; undef is NULL.
sub literal {
  my ($text) = @_;
  return 'NULL' unless defined $text;
  $text =~ s/'/''/g;
  return $text =~ s/\\/\\\\/g ? "E'$text'" : "'$text'";
}

my %looker;

sub _safe {
  my ($node, $sql, %options) = @_;
  # Such a session would not know of it, or be in its way.
  delete $looker{name_of($node)} if $sql =~ /\b(?:CREATE|ALTER|DROP)\s+(?:DATABASE|ROLE)\b/i;
  my $result = %options || !_only_looks($sql) ? run_sql($node, $sql, %options) : _look($node, $sql);
  return $result->out if $result->is_ok;
  # Words given to die reach the log file only.
  diag('SQL failed on ' . $node->name . ":\n$sql\n" . $result->summary);
  die 'SQL failed';
}

# Half of the time of these tests would go into starting psql and a backend for each look at a server, so
# that one session of each server is kept for them.  Its settings are those of a new one.
my $ACTS = qr/\b(?:parallel_pull\w*|(?:next|set)val|set_config|dblink\w*|lo_\w+|pg_(?:advisory|cancel|create|drop|export|log|promote|reload|replication|rotate|sleep|switch|terminate|try)\w*)\s*\(/i;

# True for one query that changes nothing and calls none of our functions.
sub _only_looks {
  my ($sql) = @_;
  return $sql =~ /^\s*SELECT\b/i && $sql !~ /;\s*\S|\\|\bINTO\b|\bFOR\s+(?:NO\s+KEY\s+)?(?:UPDATE|SHARE)/i && $sql !~ $ACTS;
}

sub _look {
  my ($node, $sql) = @_;
  my $name = name_of($node);
  if ($looker{$name}) {
    my $result = $looker{$name}->query($sql);
    return $result unless $result->is_lost || $result->is_timed_out;
    delete $looker{$name}; # the server was stopped
  }
  $looker{$name} = eval { ParallelLoader::Session->new($node) } // return run_sql($node, $sql);
  return $looker{$name}->query($sql);
}

END { %looker = () }

# Run SQL on one side and return the output; die on an error.  Options as for Session::run_sql.
sub source_sql { my ($self, @call) = @_; return _safe($self->{source}, @call) }
sub destination_sql { my ($self, @call) = @_; return _safe($self->{destination}, @call) }

# Grants all functions to these roles, named as in GRANT.
sub grant_functions {
  my ($self, $roles) = @_;
  $self->destination_sql(<<"SQL");
SELECT pg_catalog.format('GRANT EXECUTE ON FUNCTION %s TO $roles', oid::pg_catalog.regprocedure)
FROM pg_catalog.pg_proc WHERE proname LIKE 'parallel\\_pull%'
\\gexec
SQL
  return;
}

# The same on both sides.
sub both_sql {
  my ($self, @call) = @_;
  $self->source_sql(@call);
  $self->destination_sql(@call);
  return;
}

# Runs SQL on the destination and returns its Result, whatever it is.
sub try_sql { my ($self, @call) = @_; return run_sql($self->{destination}, @call) }

# A session on the destination or the source.  Options as for Session.
sub session {
  my ($self, $side, %options) = @_;
  return ParallelLoader::Session->new($self->{$side}, %options);
}

# Starts a command on the source and waits until it stands in a queue for a lock; returns its session.
sub queue_up {
  my ($self, $sql) = @_;
  my $queue = 'SELECT count(*) FROM pg_locks WHERE NOT granted';
  my $before = $self->source_sql($queue);
  my $session = $self->session('source');
  $session->start($sql);
  wait_until(10, sub { $self->source_sql($queue) > $before });
  return $session;
}

# ---- pulls ----

# The conninfo of the source; `extra` is more of it.
sub dsn {
  my ($self, $dbname, $extra) = @_;
  return $self->{source}->connstr($dbname // 'postgres') . (defined $extra ? " $extra" : '');
}

# The call of parallel_pull.  start and end are SQL expressions, undef is NULL.  `named` are further
# parameters (an array reference is a text[]); dsn => replaces the source's.
sub pull_sql {
  my ($self, $table, $start, $end, $named) = @_;
  my %named = %{$named // {}};
  my $dsn = delete $named{dsn} // $self->dsn;
  my $call = join ', ', literal($dsn), literal($table), $start // 'NULL', $end // 'NULL',
    _named_arguments(%named);
  return "SELECT parallel_pull($call)";
}

# The call of one of the functions that take a whole table: parallel_pull_start, _create.
sub table_sql {
  my ($self, $function, $table, $named) = @_;
  my %named = %{$named // {}};
  my $dsn = delete $named{dsn} // $self->dsn;
  my $call = join ', ', literal($dsn), literal($table), _named_arguments(%named);
  return "SELECT $function($call)";
}

# The rows of one of the functions that return a set, as hashes: parallel_pull_plan, _verify, _check.
# Options as for Session::run_sql.
sub table_rows {
  my ($self, $function, $table, $named, %options) = @_;
  my $call = $self->table_sql($function, $table, $named) =~ s/^SELECT //r;
  my $json = $self->destination_sql("SELECT json_agg(r) FROM $call AS r", %options);
  return $json eq '' ? () : @{JSON::PP->new->decode($json)};
}

# Checks that parallel_pull_verify finds these chunks different, and no others.
sub differs_in {
  my ($self, $chunks, $table, $named, $rule, %options) = @_;
  local $Test::Builder::Level = $Test::Builder::Level + 1;
  my @rows = $self->table_rows('parallel_pull_verify', $table, $named, %options);
  my @different = map { $_->{chunk} } grep { !$_->{matches} } @rows;
  return is("@different of " . scalar(@rows), "@$chunks of " . scalar(@rows), $rule);
}

sub _named_arguments {
  my (%named) = @_;
  my @arguments;
  for my $name (sort keys %named) {
    my $value = $named{$name};
    my $text = ref $value ? 'ARRAY[' . join(', ', map { literal($_) } @$value) . ']::text[]'
      : literal($value);
    push @arguments, "$name => $text";
  }
  return @arguments;
}

# Calls parallel_pull and checks the number of rows it returns.
sub pull_returns {
  my ($self, $rows, $table, $start, $end, $named, $rule) = @_;
  local $Test::Builder::Level = $Test::Builder::Level + 1;
  my $result = $self->try_sql($self->pull_sql($table, $start, $end, $named));
  return is($result->is_ok ? $result->out : $result->summary, $rows, $rule);
}

# Checks that SQL on the destination fails with this SQLSTATE and that the whole error (message,
# detail, hint, context) matches.  Returns the Result.
sub error_is {
  my ($self, $sql, $sqlstate, $pattern, $rule, %options) = @_;
  local $Test::Builder::Level = $Test::Builder::Level + 1;
  return $self->result_is_error($self->try_sql($sql, %options), $sqlstate, $pattern, $rule);
}

sub result_is_error {
  my ($self, $result, $sqlstate, $pattern, $rule) = @_;
  local $Test::Builder::Level = $Test::Builder::Level + 1;
  my $error = $result->error;
  my $is_right = !$result->is_timed_out && $error && $error->{sqlstate} =~ /^(?:$sqlstate)$/
    && $error->{text} =~ $pattern;
  ok($is_right, $rule)
    or diag("expected $sqlstate and $pattern\ngot " . $result->summary);
  return $result;
}

# ---- the ledger ----

# The row of a pull in parallel_pulls as a hash; the newest without an id.
sub pull {
  my ($self, $pull_id, %options) = @_;
  my $which = $pull_id // '(SELECT max(pull_id) FROM parallel_pulls)';
  my $json = $self->destination_sql(
    "SELECT to_json(p) FROM parallel_pulls p WHERE pull_id = $which", %options);
  return $json eq '' ? {} : JSON::PP->new->decode($json);
}

# The chunks of a pull as hashes, in order.
sub chunks {
  my ($self, $pull_id, %options) = @_;
  my $json = $self->destination_sql(<<"SQL", %options);
SELECT coalesce(json_agg(c ORDER BY chunk), '[]') FROM parallel_pull_chunks c
WHERE pull_id = $pull_id
SQL
  return @{JSON::PP->new->decode($json)};
}

sub newest_pull_id { my ($self) = @_; return $self->pull->{pull_id} // 0 }

# Checks that the state in parallel_pulls becomes this one.
sub state_becomes {
  my ($self, $pull_id, $state, $rule) = @_;
  local $Test::Builder::Level = $Test::Builder::Level + 1;
  my $seen = '';
  wait_until($PROMPT_S, sub {
    $seen = $self->pull($pull_id)->{state} // 'no pull';
    return $seen =~ /^(?:$state)$/;
  });
  return like($seen, qr/^(?:$state)$/, $rule);
}

# Checks that `table`, empty before this pull, holds exactly the rows of the pull's done chunks:
# as many in all, and where the chunks have integer bounds, as many in each.
sub only_done_chunks_left_rows {
  my ($self, $pull_id, $table, $key, $rule) = @_;
  local $Test::Builder::Level = $Test::Builder::Level + 1;
  my @wrong;
  my $expected = 0;
  for my $chunk ($self->chunks($pull_id)) {
    my $rows = $chunk->{state} eq 'done' ? $chunk->{rows} : 0;
    $expected += $rows;
    next unless defined $key;
    my @conditions = 'true';
    push @conditions, "$key >= $chunk->{start}" if defined $chunk->{start};
    push @conditions, "$key < $chunk->{end}" if defined $chunk->{end};
    my $found = $self->destination_sql(
      "SELECT count(*) FROM $table WHERE " . join ' AND ', @conditions);
    push @wrong, "chunk $chunk->{chunk} ($chunk->{state}): $found rows, not $rows"
      if $found != $rows;
  }
  my $found = $self->destination_sql("SELECT count(*) FROM $table");
  push @wrong, "$found rows in all, not $expected" if $found != $expected;
  return ok(!@wrong, $rule) || diag(join "\n", @wrong);
}

# ---- rows ----

# Pinned, so that equal rows have equal texts whatever the servers' own settings are.
my $PINNED = <<'SQL';
SET datestyle = 'ISO, YMD';
SET intervalstyle = postgres;
SET timezone = 'UTC';
SET extra_float_digits = 3;
SET bytea_output = hex;
SET xmloption = content;
SET lc_monetary = 'C';
SET search_path = public;
SET statement_timeout = 0;
SET lock_timeout = 0;
SET default_transaction_isolation = 'read committed';
SQL

# A row's text in one encoding; SQL_ASCII can only be taken as it is.
my $ROW_TEXT = <<'SQL';
CASE pg_catalog.getdatabaseencoding()
WHEN 'SQL_ASCII' THEN pg_catalog.md5(r::text)
ELSE pg_catalog.md5(pg_catalog.convert_to(r::text, 'UTF8')) END
SQL

# Checks that two queries give the same rows in any order: `query` on both sides or, as hash
# {source => query, destination => query, source_db =>, destination_db =>}, one on each.
sub same_rows {
  my ($self, $query, $rule) = @_;
  local $Test::Builder::Level = $Test::Builder::Level + 1;
  my %query = ref $query ? %$query : (source => $query, destination => $query);
  my %hash;
  for my $side (qw(source destination)) {
    $hash{$side} = _safe($self->{$side}, <<"SQL", dbname => $query{"${side}_db"});
$PINNED
SELECT count(*) || ' rows, hash ' || coalesce(sum(('x' || left(h, 15))::bit(60)::bigint), 0)
FROM (SELECT $ROW_TEXT AS h FROM ($query{$side}) AS r) AS hashes
SQL
  }
  return is($hash{destination}, $hash{source}, $rule) || $self->_show_difference(%query);
}

sub _show_difference {
  my ($self, %query) = @_;
  my %seen;
  for my $side (qw(source destination)) {
    my $rows = _safe($self->{$side}, <<"SQL", dbname => $query{"${side}_db"});
$PINNED
SELECT $ROW_TEXT || ' ' || translate(left(r::text, 500), E'\\n', ' ')
FROM ($query{$side}) AS r LIMIT 200000
SQL
    $seen{$_} += $side eq 'source' ? 1 : -1 for split /\n/, $rows;
  }
  for my $sign (1, -1) {
    my @rows = sort grep { $seen{$_} * $sign > 0 } keys %seen;
    diag(($sign > 0 ? 'only in the source: ' : 'only in the destination: ') . scalar(@rows));
    diag('  ' . s/^\S+ //r) for @rows[0 .. ($#rows < 4 ? $#rows : 4)];
  }
  return 0;
}

# ---- processes ----

# Polls until `condition` is true, for `seconds` at most; returns its last value.
sub wait_until {
  my ($seconds, $condition) = @_;
  my $deadline = time + $seconds;
  my $pause = 0.01;
  while (1) {
    my $value = $condition->();
    return $value if $value || time > $deadline;
    sleep $pause;
    $pause *= 1.5 if $pause < 0.1;
  }
}

# Returns a function that gives the seconds since this call.
sub stopwatch {
  my $start = time;
  return sub { time - $start };
}

my $OUR_PROCESSES = q(
  SELECT pid, backend_type, application_name, state, wait_event, left(query, 200)
  FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND );
my $WORKERS = $OUR_PROCESSES . q(backend_type LIKE 'parallel_loader%');
my $SOURCE_SESSIONS = $OUR_PROCESSES . q(application_name LIKE 'parallel_loader%');

# Checks that within five seconds no coordinator, no worker, no source session is left.
sub nothing_left {
  my ($self, $rule, %skip) = @_;
  local $Test::Builder::Level = $Test::Builder::Level + 1;
  my %query = (destination => $WORKERS, source => $SOURCE_SESSIONS);
  my ($left, @seen);
  my $seconds = stopwatch();
  # A poll may be answered late on a busy machine, but what it shows is then late as well.
  wait_until($PROMPT_S, sub {
    @seen = map { my $side = $_; my $rows = _safe($self->{$side}, $query{$side});
      $rows eq '' ? () : "$side: $rows" } grep { !$skip{"skip_$_"} } sort keys %query;
    return !@seen;
  });
  return ok(!@seen, $rule)
    || diag(sprintf "left after %.1f s:\n%s", $seconds->(), join "\n", @seen);
}

# The pids of the workers, or of the coordinator.
sub worker_pids { my ($self) = @_; return $self->_pids('worker') }
sub coordinator_pids { my ($self) = @_; return $self->_pids('coordinator') }

sub _pids {
  my ($self, $role) = @_;
  return split /\n/, $self->destination_sql(
    "SELECT pid FROM pg_stat_activity WHERE backend_type = 'parallel_loader $role' ORDER BY pid");
}

# Kills one side's postmaster; returns a function that starts the server again.  A new postmaster
# refuses to start until the old one and all its children have gone.
sub crash {
  my ($self, $side) = @_;
  my $node = $self->{$side};
  my @pids = split /\n/, _safe($node, 'SELECT pid FROM pg_stat_activity');
  push @pids, split /\n/, slurp_file($node->data_dir . '/postmaster.pid') =~ s/\n.*//sr;
  $node->kill9;
  return sub {
    wait_until(60, sub { !grep { kill 0, $_ } @pids }) or diag('children outlive their postmaster');
    $node->start;
  };
}

sub crash_source { my ($self) = @_; return $self->crash('source') }

# A gate on the source: `gate(n, from)` is true, but from n = `from` on it waits while a session
# holds the gate closed.  It calls itself stable so that a view that shows it can be read by key
# without being computed; that is how tests stop a source in the middle of a COPY, at a known row.
sub create_gate {
  my ($self, $dbname) = @_;
  $self->source_sql(<<'SQL', dbname => $dbname);
CREATE FUNCTION public.gate(n bigint, first bigint) RETURNS boolean STABLE LANGUAGE plpgsql AS $$
BEGIN
  -- The plan, which looks at some rows, is not to stop there.
  IF n >= first AND current_setting('application_name') NOT LIKE '%coordinator%' THEN
    -- Given back at once: a transaction that has passed must not keep the gate from closing.
    PERFORM pg_advisory_lock_shared(42), pg_advisory_unlock_shared(42);
  END IF;
  RETURN true;
END $$;
SQL
  return;
}

# Closes the gate, whatever became of the server since; `open_gate` lets all go on.
sub close_gate {
  my ($self, $dbname) = @_;
  return if $self->{gate} && $self->{gate}->query('SELECT 1')->is_ok;
  $self->{gate} = $self->session('source', dbname => $dbname);
  $self->{gate}->query_safe('SELECT pg_advisory_lock(42)');
  return;
}

sub open_gate {
  my ($self) = @_;
  delete $self->{gate};
  return;
}

# The source's backends that stand at the gate.
sub pids_at_gate {
  my ($self) = @_;
  my @pids = split /\n/, $self->source_sql(
    q(SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND NOT granted));
  return @pids;
}

# Waits until source sessions of ours stand at the gate: `count` of them, or any.
sub wait_at_gate {
  my ($self, $count) = @_;
  my $waiting = wait_until(20, sub { scalar($self->pids_at_gate) >= ($count // 1) });
  $waiting or diag('no source session has come to the gate: ' . $self->_activity);
  return $waiting;
}

sub _activity {
  my ($self) = @_;
  return "\ndestination: " . $self->destination_sql($WORKERS)
    . "\nsource: " . $self->source_sql($SOURCE_SESSIONS);
}

# ---- the end of a file ----

my $DAMAGE = <<'SQL';
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS amcheck;
SELECT format('%s: %s', c.oid::regclass, v)
FROM pg_class AS c JOIN pg_am AS a ON a.oid = c.relam,
  verify_heapam(c.oid, check_toast => true) AS v
WHERE c.relkind = 'r' AND c.relpersistence <> 't' AND c.oid >= 16384 AND a.amname = 'heap';
DO $$
DECLARE
  index regclass;
BEGIN
  FOR index IN SELECT i.indexrelid
    FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid JOIN pg_am AS a ON a.oid = c.relam
    WHERE c.relkind = 'i' AND c.relpersistence <> 't' AND c.oid >= 16384 AND a.amname = 'btree'
      AND i.indisvalid
  LOOP
    PERFORM bt_index_check(index, heapallindexed => true);
  END LOOP;
END $$;
SQL

# What amcheck finds wrong in the destination's tables and B-trees.
sub _damage {
  my ($self) = @_;
  my @databases = split /\n/, $self->destination_sql(
    q(SELECT datname FROM pg_database WHERE datallowconn AND datname NOT LIKE 'template%'));
  my @results = map { $self->try_sql($DAMAGE, dbname => $_) } @databases;
  return join "\n", map { $_->is_ok ? $_->out || () : $_->summary } @results;
}

# Checks that the destination neither crashed (but by a test's own kill -9) nor complained of leaks
# nor met an internal error (SQLSTATE class XX), and that its tables and indexes are sound, then ends
# the test file.
sub finish {
  my ($self) = @_;
  local $Test::Builder::Level = $Test::Builder::Level + 1;
  my $log = slurp_file($self->{destination}->logfile);
  my @lines = grep {
    /PANIC:|was terminated by signal (?!9:)|TRAP:|reference leak|not closed/
      || /still (?:active|referenced)/ || /^.{0,50}\[\d+\] XX\w{3} /
  } split /\n/, $log;
  is(join("\n", @lines), '', 'the destination neither crashed nor leaked');
  is($self->_damage, '', 'its tables and indexes are sound');
  done_testing();
  return;
}

1;
