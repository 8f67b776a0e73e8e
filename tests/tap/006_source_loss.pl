# The source, its session or the connection is lost in mid-stream: an error, no row of that chunk,
# never a short success.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";

use ParallelLoader::Proxy;
use ParallelLoader::Test;
use Test::More;

my $pair = ParallelLoader::Test->new;

# In one chunk: a pull without a key is one piece.
my $ROWS = 20000;
$pair->source_sql(<<"SQL");
CREATE TABLE rows_source (id integer, note text);
INSERT INTO rows_source SELECT i, 'row ' || i FROM generate_series(1, $ROWS) AS i;
SQL
$pair->destination_sql('CREATE TABLE rows_here (id integer, note text, passed boolean)');
$pair->create_gate;
$pair->source_sql(
  'CREATE VIEW gated AS SELECT id, note, gate(id, 15000) AS passed FROM rows_source');

sub rows_here { return $pair->destination_sql('SELECT count(*) FROM rows_here') }

# Checks what a pull must have left behind when its only chunk failed for this reason.
sub is_lost {
  my ($result, $sqlstate, $pattern, $rule, %skip) = @_;
  local $Test::Builder::Level = $Test::Builder::Level + 1;
  $pair->result_is_error($result, $sqlstate, $pattern, "$rule: the error says so");
  # When the server goes, the coordinator's session may be missed before the worker's.
  like($result->summary,
    qr/rows_here.*chunk 1\b|chunk 1\b.*rows_here|^ERROR: 08006: the snapshot of pull \d+ is lost/s,
    '… and names table and chunk, or the snapshot');
  is(rows_here(), 0, '… no row is left');
  is($pair->pull->{state}, 'failed', '… the pull has failed');
  is($pair->pull->{sqlstate}, $sqlstate, '… with that SQLSTATE in the ledger');
  $pair->nothing_left('… no worker and no source session is left', %skip);
  return;
}

# ---- the connection is cut ----

my $proxy = ParallelLoader::Proxy->new($pair->source);
my $call = sub {
  my ($format) = @_;
  return $pair->pull_sql('rows_here', undef, undef,
    {dsn => $proxy->dsn, source_table => 'rows_source', format => $format});
};
for my $format (qw(binary text)) {
  is($pair->try_sql($call->($format))->summary, "success: $ROWS",
    "through the proxy a pull in $format works");
  $pair->destination_sql('TRUNCATE rows_here');

  for my $case (
    ['before the first row', rows => 0],
    ['at a row boundary', rows => 10000],
    ['at the last row boundary', rows => $ROWS - 1],
    # In binary the trailer is still missing here, in text nothing of the rows.
    ['after the last row', rows => $ROWS, at => $format eq 'text' ? 'done' : 'row'],
    ['in the middle of a row', rows => 10000, at => 'half'],
    ['before the end of the COPY', at => 'done'],
    ['before the command\'s completion', at => 'tag'])
  {
    my ($where, %plan) = @$case;
    $proxy->arm(%plan, action => 'cut');
    my $result = $pair->try_sql($call->($format));
    ok($proxy->wait_acted(0.5), "the proxy cut $where") or next;
    is_lost($result, '08006', qr/connection/, "cut $where, $format");
  }
  $proxy->arm(rows => 10000, action => 'reset');
  is_lost($pair->try_sql($call->($format)), '08006', qr/connection/, "connection reset, $format");

  # A broken proxy or driver in between, not the network, loses single rows.
  $proxy->arm(rows => 10000, action => 'drop');
  is_lost($pair->try_sql($call->($format)), '08P01', qr/row/,
    "a row that the stream lacks is missed, $format");
}

# ---- the source's backend ends ----

# Starts a pull of the gated view and comes back when its rows have stopped in mid-stream.
sub start_and_stop_midway {
  my ($format) = @_;
  $pair->close_gate;
  my $caller = $pair->session('destination');
  $caller->start($pair->pull_sql('rows_here', undef, undef,
      {source_table => 'gated', format => $format}));
  $pair->wait_at_gate;
  return $caller;
}

for my $format (qw(binary text)) {
  my $caller = start_and_stop_midway($format);
  $pair->source_sql("SELECT pg_terminate_backend($_)") for $pair->pids_at_gate;
  is_lost($caller->finish(10), '08006', qr/57P01/, "source backend terminated, $format");

  $caller = start_and_stop_midway($format);
  $pair->source_sql("SELECT pg_cancel_backend($_)") for $pair->pids_at_gate;
  is_lost($caller->finish(10), '57014', qr/cancel/, "source query cancelled, $format");
}

# An error of the source in mid-stream is the source's error, not a lost connection.
$pair->source_sql(
  'CREATE VIEW breaking AS SELECT id, (10 / (15000 - id))::text AS note FROM rows_source');
for my $format (qw(binary text)) {
  is_lost($pair->try_sql($pair->pull_sql('rows_here', undef, undef,
        {source_table => 'breaking', format => $format})),
    '22012', qr/division by zero/, "an error of the source in mid-stream, $format");
}

# ---- the source goes down ----

my $caller = start_and_stop_midway('text');
$pair->open_gate;
is($caller->finish(10)->summary, "success: $ROWS", 'undisturbed, the same pull succeeds');
$pair->destination_sql('TRUNCATE rows_here');

for my $mode ('immediate', 'fast', 'kill -9') {
  for my $format (qw(binary text)) {
    $caller = start_and_stop_midway($format);
    my $restart = sub { $pair->source->start };
    if ($mode eq 'kill -9') {
      $restart = $pair->crash_source;
    } else {
      $pair->source->stop($mode);
    }
    is_lost($caller->finish(10), '08006', qr/connection|57P01/, "source server $mode, $format",
      skip_source => 1);
    $restart->();
  }
}

$pair->nothing_left('no process or session is left');
$pair->finish;
