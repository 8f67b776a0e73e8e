# Every hint that contains a call or a command works then and there: each error is provoked, the call
# is taken out of its hint as it stands, and run.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";

use ParallelLoader::Test;
use Test::More;

my $pair = ParallelLoader::Test->new(retries => 1);

$pair->source_sql(<<'SQL');
CREATE SCHEMA shop;
CREATE TABLE shop."OrderHead" (id integer PRIMARY KEY, note text);
INSERT INTO shop."OrderHead" SELECT i, repeat('n', 100) FROM generate_series(1, 5000) AS i;
CREATE TABLE t AS SELECT * FROM shop."OrderHead";
ALTER TABLE t ADD PRIMARY KEY (id);
CREATE ROLE reader LOGIN;
CREATE ROLE crowded LOGIN CONNECTION LIMIT 0;
SQL
$pair->destination_sql(<<'SQL');
CREATE SCHEMA shop;
CREATE TABLE shop.orderhead (id integer, note text);
CREATE TABLE t (id integer, note text);
CREATE TABLE t_unique (LIKE t, UNIQUE (id));
CREATE TABLE t_checked (LIKE t, CONSTRAINT even CHECK (id <> 4500));
SQL

my ($source, $source_port) = ($pair->source->host, $pair->source->port);

# What the error, or the first notice, says; all of it in one text.
sub words {
  my ($sql, %options) = @_;
  my $result = $pair->try_sql($sql, %options);
  my $message = $result->error // (grep { $_->{severity} eq 'NOTICE' } @{$result->{messages}})[0];
  return $message // {sqlstate => '00000', text => $result->summary, hint => '', detail => ''};
}

# Checks the SQLSTATE and the hint, and returns what the pattern takes out of the hint.
sub hint {
  my ($sql, $sqlstate, $pattern, $rule) = @_;
  local $Test::Builder::Level = $Test::Builder::Level + 1;
  my $words = words($sql);
  my @taken = $words->{hint} =~ $pattern;
  ok($words->{sqlstate} eq $sqlstate && @taken, "$rule: has a hint") or diag($words->{text});
  return $taken[0] // 'SELECT no_hint';
}

sub works {
  my ($sql, $rule) = @_;
  local $Test::Builder::Level = $Test::Builder::Level + 1;
  my $result = $pair->try_sql($sql);
  return ok($result->is_ok, "$rule: what it says works") || diag("$sql\n" . $result->summary);
}

sub pull {
  my ($table, $named) = @_;
  return $pair->table_sql('parallel_pull_table', $table, $named);
}

# ---- names ----

for my $named ({}, {source_table => 'shop.OrderHead'}) {
  my $argument = hint(pull('shop.orderhead', $named), '42P01', qr/(source_table => '.*')/,
    'capitals without quotes');
  works(pull('shop.orderhead') =~ s/\)$/, $argument)/r, 'capitals without quotes');
  $pair->destination_sql('TRUNCATE shop.orderhead');
}

my $long = "\x{e4}" x 40;
utf8::encode($long);
my $cut = substr $long, 0, 62;
$pair->source_sql(qq(SET client_min_messages = error; CREATE TABLE "$long" ("$long" integer PRIMARY KEY);
  INSERT INTO "$long" VALUES (1)));
$pair->destination_sql(
  qq(SET client_min_messages = error; CREATE TABLE cut ("$long" integer)));
my $result = $pair->try_sql(pull('cut', {source_table => qq("$long"), key => $long, columns => [$long]}));
ok($result->is_ok, 'names are cut to 63 bytes, at a character, as SQL cuts them')
  or diag($result->summary);
is(scalar(grep { /will be truncated to "\Q$cut\E"/ } $result->notices), 3, '… with a notice for each');

# ---- rights and limits on the source ----

my $as_reader = $pair->dsn . ' user=reader';
my $grants = hint(pull('shop.orderhead', {dsn => $as_reader, source_table => 'shop."OrderHead"'}),
  '42501', qr/Run on the source: (GRANT.*)/, 'no right on the source');
ok(eval { $pair->source_sql($grants); 1 }, '… what it says can be run');
works(pull('shop.orderhead', {dsn => $as_reader, source_table => 'shop."OrderHead"'}),
  'no right on the source');
$pair->destination_sql('TRUNCATE shop.orderhead');

my $limited = pull('t', {dsn => $pair->dsn . ' user=crowded'});
my $error = words("SET parallel_loader.retry_budget = 0; $limited");
is($error->{sqlstate}, '08001', 'too many sessions for the role');
like($error->{hint}, qr/fewer workers.*CONNECTION LIMIT.*max_connections/,
  '… the hint names the limits and the workers');
unlike($error->{text}, qr/53300|\.c:\d/, '… without what libpq adds for machines');
$pair->source_sql('ALTER ROLE crowded CONNECTION LIMIT 10; GRANT SELECT ON t TO crowded');
works($limited, 'too many sessions for the role');

like(words(pull('t', {dsn => "host=$source port=1 dbname=postgres"}))->{detail},
  qr/dialled from the destination server/, 'a connection that fails says from where it was dialled');

# ---- rows that are there ----

# The pull of `t` is done: another one brings its rows again.
my $truncate = hint(pull('t'), '00000', qr/(TRUNCATE TABLE .*;)/, 'a table that has rows');
works($truncate . pull('t'), 'a table that has rows');
is($pair->destination_sql('SELECT count(*) FROM t'), 5000, '… and has them once');
unlike(words('TRUNCATE t; ' . pull('t'))->{text}, qr/not empty/, 'an empty table gets no notice');
$pair->destination_sql('DELETE FROM t');
unlike(words(pull('t'))->{text}, qr/not empty/, '… nor does one of dead rows');

$pair->try_sql(pull('t_checked', {key => 'id', source_table => 't', chunk_size => '64kB', workers => 1}));
my $failed = $pair->newest_pull_id;
is($pair->pull($failed)->{state}, 'failed', 'a pull fails halfway');
$pair->destination_sql('ALTER TABLE t_checked DROP CONSTRAINT even');
my $resume = hint("SET parallel_loader.retry_budget = 0; "
    . $pair->table_sql('parallel_pull_create', 't_checked', {source_table => 't', key => 'id'}),
  '00000', qr/(SELECT parallel_pull_resume\(\d+\);)/, 'a table with an unfinished pull');
like($resume, qr/\($failed\)/, '… it is that pull');
$pair->destination_sql('SELECT parallel_pull_cancel(' . $pair->newest_pull_id . ')');
works($resume, 'a table with an unfinished pull');
is($pair->destination_sql('SELECT count(*), count(DISTINCT id) FROM t_checked'), '5000|5000',
  '… every row is there once');

works(pull('t_unique', {source_table => 't'}), 'a table with a unique key');
my $append = hint(pull('t_unique', {source_table => 't'}) =~ s/^/SET client_min_messages = warning; /r,
  '23505', qr/let (parallel_pull_append) copy/, 'rows that are there already');
$pair->source_sql('INSERT INTO t VALUES (6001)');
works($pair->table_sql($append, 't_unique', {source_table => 't'}), 'rows that are there already');
is($pair->destination_sql('SELECT count(*) FROM t_unique'), 5001, '… the new row is there');

# ---- states ----

$pair->create_gate;
$pair->source_sql('CREATE VIEW gated AS SELECT id, note FROM t WHERE gate(id, 4000)');
$pair->destination_sql('CREATE TABLE gated (id integer, note text)');
$pair->close_gate;
my $running = $pair->destination_sql(
  $pair->table_sql('parallel_pull_start', 'gated', {key => 'id', workers => 1}));
$pair->wait_at_gate;
my $wait = hint("SELECT parallel_pull_resume($running)", '55006', qr/(parallel_pull_wait)/,
  'a resume of a running pull');
$pair->open_gate;
works("SELECT $wait($running)", 'a resume of a running pull');

$pair->finish;
