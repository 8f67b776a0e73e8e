# The commands of parallel-loader beside copy and resume, its configuration file, and what is said
# when servers cannot be reached or are the wrong ones.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";

use IO::Socket::INET ();
use IPC::Run ();
use JSON::PP ();
use ParallelLoader::Program;
use ParallelLoader::Test;
use PostgreSQL::Test::Utils;
use Test::More;

my $program = program_under_test();
my $SECRET = 'Plover-1927-xyzzy';
my $pair = ParallelLoader::Test->new(source => {hba => 'local all reader scram-sha-256'});
my ($source, $destination) = ($pair->source->connstr('postgres'), $pair->destination->connstr('postgres'));

$pair->create_gate;
$pair->both_sql(<<'SQL');
CREATE TABLE orders (id serial PRIMARY KEY, note text);
CREATE TABLE "Odd Name" (id integer PRIMARY KEY);
CREATE TABLE events (id integer PRIMARY KEY, note text);
SQL
$pair->source_sql(<<"SQL");
INSERT INTO orders (note) SELECT repeat('n', i % 100) FROM generate_series(1, 5000) AS i;
INSERT INTO "Odd Name" SELECT i FROM generate_series(1, 10) AS i;
INSERT INTO events SELECT i, 'x' FROM generate_series(1, 10) AS i;
CREATE TABLE only_here (id integer PRIMARY KEY);
CREATE SCHEMA sales CREATE TABLE sold (id integer);
CREATE ROLE reader LOGIN PASSWORD '$SECRET';
GRANT SELECT ON orders TO reader;
ANALYZE;
SQL
$pair->destination_sql('CREATE DATABASE bare');

my @both = ('--source', $source, '--target', $destination);
my @there = ('--target', $destination);

# Each command's document is one line of JSON with the same head, whatever its status. All are kept.
my $documents = PostgreSQL::Test::Utils::tempdir() . '/documents';
sub document {
  my ($rule, $code, $command, @arguments) = @_;
  local $Test::Builder::Level = $Test::Builder::Level + 1;
  my $run = run_program($command, '--json', @arguments);
  is($run->{code}, $code, "$rule: exits with $code") or diag($run->{err});
  my $document = eval { JSON::PP->new->decode($run->{out}) };
  ok($document && $run->{out} =~ /\A[^\n]+\n\z/, "$rule: one document on one line") or diag($run->{out});
  is($document->{command}, $command, '… which names its command');
  append_to_file($documents, $run->{out});
  return $document // {};
}

sub shows {
  my ($rule, $code, $out, $err, @arguments) = @_;
  local $Test::Builder::Level = $Test::Builder::Level + 1;
  my $run = run_program(@arguments);
  is($run->{code}, $code, "$rule: exits with $code") or diag($run->{err});
  like($run->{out}, $out, "$rule: on standard output");
  like($run->{err}, $err, "$rule: on standard error");
  return $run;
}

# plan
shows('plan', 0, qr/^public\.orders: 1 chunk, about 5 000 rows, .*\n chunk \| start \| end .*\n-+\+.*\n     1 \| -     \| -   /m, qr/\A\z/,
  'plan', @both, 'orders');
shows('plan of a table that is not there', 1, qr/^public\.orders: 1 chunk/m, qr/"nowhere" does not exist on the source/,
  'plan', @both, 'nowhere', 'orders');
shows('… with --on-error stop', 1, qr/\A\z/, qr/"nowhere" does not exist on the source/,
  'plan', '--on-error=stop', @both, 'nowhere', 'orders');
shows('plan of a table that only the source has', 1, qr/\A\z/, qr/only_here: table "only_here" does not exist/,
  'plan', @both, 'only_here');
is(scalar @{document('plan', 0, 'plan', @both, 'orders', '"Odd Name"')->{tables}}, 2, 'plan: two tables');

# check
shows('check', 0, qr/\A1 table: 0 errors, 0 warnings\n\z/, qr/\A\z/, 'check', @both, 'orders');
shows('check --verbose', 0, qr/^ table  +\| level +\| item +\| message .*\n-+\+.*\n public\.orders \| info .*\n\n1 table: 0 errors, 0 warnings\n\z/ms,
  qr/\A\z/, 'check', '--verbose', @both, 'orders');
document('check', 0, 'check', @both, 'orders');

# verify
shows('verify finds the difference', 5, qr/^ public\.orders +\| +5 000 \| +0 \| +\d+ \| different\n\nRanges that differ:\n/m, qr/\A\z/,
  'verify', @both, 'orders');
is(run_program('copy', @both, 'orders', '"Odd Name"')->{code}, 0, 'tables are copied');
shows('verify', 0, qr/^ public\.orders +\| +5 000 \| +5 000 \| +\d+ \| equal\n/m, qr/\A\z/, 'verify', @both, 'orders');
my $equal = document('verify', 0, 'verify', @both, '--exclude', 'events', '--exclude', 'only_here', '--exclude', 'gate*', 'public.*');
$pair->destination_sql(q(UPDATE orders SET note = 'other' WHERE id = 17));
document('verify of another row', 5, 'verify', @both, 'orders');

# sequences
shows('sequences', 0, qr/^ sequence +\| value\n-+\+-+\n \S*orders_id_seq \| +5000\n/m, qr/\A\z/, 'sequences', @both);
is($pair->destination_sql(q(SELECT nextval('orders_id_seq'))), '5001', '… are set');
is(document('sequences', 0, 'sequences', @both, 'orders')->{sequences}[0]{value}, 5000, 'sequences of a table');

$pair->both_sql('CREATE SEQUENCE lonely');
my $unset = run_program('sequences', @both);
is($unset->{code}, 1, 'a sequence that was not set: exits with 1');
like($unset->{out}, qr/^ \S*lonely +\| +-\n/m, '… as no column owns it: it has no value');
like($unset->{err}, qr/sequences that no column owns were not set: 1/, '… and a warning says why');
is(join(' ', map { "$_->{name}" } grep { !defined $_->{value} } @{document('sequences, one of them not set', 1, 'sequences', @both)->{sequences}}),
  'lonely', '… null in a document');
# hint: orchestrator/cli/options.cpp: Use --exclude with --all
is(run_program('sequences', @both, '--exclude', 'orders')->{code}, 2, 'an exclusion from nothing is refused');
is(run_program('sequences', @both, '--all', '--exclude', 'only_here', '--exclude', 'sales.*')->{code}, 0, '… what it says works');

# append
shows('append', 0, qr/^ public\.events \| +10\n/m, qr/\A\z/, 'append', @both, 'events');
my @names = sort grep { !ref && defined && /events/ } values %{document('append', 0, 'append', @both, 'events')->{tables}[0]};
is("@names", 'public.events public.events', '… which names the table with its schema, on both sides');
{
  my ($out, $err) = ('', '');
  my $run = IPC::Run::start([$program, 'append', @both, '--every', '1s', 'events'], '<', \'', '>', \$out, '2>', \$err,
    IPC::Run::timeout(60));
  $pair->source_sql(q(INSERT INTO events VALUES (11, 'y')));
  ok(wait_until(20, sub { $run->pump_nb; $out =~ /Z public\.events: 1 new row\n/ }), 'append --every sees what comes') or diag("$out $err");
  $run->signal('INT');
  $run->finish;
  is($run->full_result(0), 0, '… until Ctrl-C, which is its end') or diag($err);

  ($out, $err) = ('', '');
  $run = IPC::Run::start([$program, 'append', @both, '--every', '1s', '--json', 'events', 'orders'], '<', \'', '>', \$out, '2>', \$err,
    IPC::Run::timeout(120));
  my $round = sub {
    my ($rule, $matches) = @_;
    my $at = length $out;
    my $last;
    my $found = wait_until(40, sub { $run->pump_nb; ($last) = substr($out, $at) =~ /^(\{.*\})\n\z/m; $last && $matches->(JSON::PP::decode_json($last)) });
    ok($found, "append --every: $rule") or diag("$out $err");
  };
  my $fails = sub { my ($document) = @_; return join ' ', map { $_->{error} ? $_->{table} : () } @{$document->{tables}} };
  $round->('one document a round', sub { !$_[0]{error} && $fails->($_[0]) eq '' });
  $pair->destination_sql('ALTER TABLE orders RENAME TO mislaid');
  $round->('a table that fails', sub { $fails->($_[0]) =~ /orders/ });
  $pair->source_sql(q(INSERT INTO events VALUES (12, 'y')));
  $round->('… and one that does not', sub { grep { $_->{table} =~ /events/ && $_->{rows} == 1 } @{$_[0]{tables}} });
  $pair->destination_sql('ALTER TABLE mislaid RENAME TO orders');
  $round->('it is there again', sub { !$_[0]{error} && $fails->($_[0]) eq '' });
  $pair->destination->stop('immediate');
  $round->('a server that is away', sub { $_[0]{error} });
  $pair->destination->start;
  $round->('it is there again', sub { !$_[0]{error} && $fails->($_[0]) eq '' });
  $run->signal('INT');
  $run->finish;
  is($run->full_result(0), 0, '… Ctrl-C is its end') or diag($err);
}

# status, alter, cancel
is(document('status', 0, 'status', @there)->{runs}[0]{state}, 'done', 'status: the first run is done');
shows('status of all runs', 0, qr/^ run \| state +\| tables +\| +done \| +rows \| +size \| started +\| note\n/m, qr/\A\z/, 'status', @there);
my $pull = $pair->destination_sql("SELECT parallel_pull_create(" . literal($source) . ", 'orders', source_table => 'orders')");
my $status = shows('status of a pull that nobody works on', 0, qr/nobody works on it, for \d+ (?:min \d+ )?s more at most/, qr/\A\z/, 'status', @there, $pull);
like($status->{out}, qr/^next: parallel-loader resume $pull --target /m, '… has the command that is next');
is(document('alter', 0, 'alter', @there, '--max-rate', '5MB', $pull)->{pulls}[0]{is_changed}, JSON::PP::true, 'alter');
is($pair->destination_sql("SELECT max_rate FROM parallel_pull_progress WHERE pull_id = $pull"), 5 * 1024, '… sets the rate');
# hint: orchestrator/commands/status.cpp: alter {} --jobs {}
shows('alter --pause', 0, qr/ paused\n/, qr/\A\z/, 'alter', @there, '--pause', $pull);
my $paused = shows('status of a paused pull', 0, qr/ paused /, qr/\A\z/, 'status', @there, $pull);
my ($next) = $paused->{out} =~ /^next: parallel-loader (alter $pull --jobs 4 --target .*)$/m;
ok($next, '… has the command that goes on');
$pair->destination_sql('TRUNCATE orders');
is(system("$program $next >/dev/null"), 0, '… which can be run');
shows('… and works', 0, qr/ done /, qr//, 'status', '--watch', @there, $pull);
$pull = $pair->destination_sql("SELECT parallel_pull_create(" . literal($source) . ", 'orders', source_table => 'orders')");
shows('cancel', 0, qr/ cancelled\n/, qr/\A\z/, 'cancel', @there, $pull);
shows('cancel of what has ended', 0, qr/ had ended: cancelled\n/, qr/\A\z/, 'cancel', @there, $pull);
document('cancel', 0, 'cancel', @there, $pull);
shows('cancel of what is not there', 1, qr/\A\z/, qr/pull 999999 does not exist\n.*parallel-loader status shows/s, 'cancel', @there, 999999);
shows('an id that is none', 2, qr/\A\z/, qr/invalid id "x"/, 'status', @there, 'x');
shows('status --watch of what is over', 0, qr/cancelled/, qr//, 'status', '--watch', @there, $pull);

# Servers
my $nowhere = 'host=127.0.0.1 port=1 dbname=x';
shows('a source that this machine does not reach', 3, qr/\A\z/,
  qr/could not connect to source: .*127\.0\.0\.1.*port 1.*\n.*This machine made the connection\./s, 'plan', '--source', $nowhere, @there, 'orders');
shows('a source that the destination does not reach', 3, qr/\A\z/,
  qr/could not connect to source.*127\.0\.0\.1.*port 1.*The destination server/s, 'plan', @both, '--source-on-target', $nowhere, 'orders');
shows('a destination that is not reached', 4, qr/\A\z/, qr/could not connect to destination: .*127\.0\.0\.1.*port 1/s,
  'plan', '--source', $source, '--target', $nowhere, 'orders');
my $bare = $pair->destination->connstr('bare');
shows('a destination without the extension', 4, qr/\A\z/, qr/is not installed in destination database "bare"\n.*hint: Run there/s,
  'status', '--target', $bare);
# hint: orchestrator/commands/swapped_servers.cpp: are the wrong way round
my $swapped = shows('servers that are swapped', 4, qr/\A\z/, qr/The source database has it\.\n.*wrong way round, exchange them/s,
  'plan', '--source', $destination, '--target', $bare, '"Odd Name"');
my ($create) = $swapped->{err} =~ /(CREATE EXTENSION .*;)$/m;
is(run_program('plan', '--source', $bare, '--target', $destination, 'orders')->{code}, 1, '… exchanged they are found');
$pair->destination->safe_psql('bare', $create);
is(run_program('status', '--target', $bare)->{code}, 0, '… or the extension is created');

# hint: orchestrator/cli/options.cpp: Name tables as the last arguments
like(run_program('plan', @both)->{err}, qr/TABLE=TARGET_TABLE, or use --schema, --table-list or --all\./, 'no table is named');
is(run_program('plan', @both, '--schema', 'sales')->{code}, 1, '… --schema names some, which the destination lacks');
is(run_program('plan', @both, '--all', '--exclude', 'sales.*', '--exclude', 'only_here')->{code}, 0, '… --all names all');
# hint: orchestrator/cli/options.cpp: Use --jobs, --max-rate or --pause
like(run_program('alter', @there, $pull)->{err}, qr/Use --jobs, --max-rate or --pause\./, 'no change is named');
is(run_program('alter', @there, $pull, '--max-rate', '1MB')->{code}, 0, '… --max-rate is one');

# The configuration file
my $folder = PostgreSQL::Test::Utils::tempdir();
my $config = "$folder/loader.toml";
append_to_file($config, qq([connections]\nold = "$source"\nnew = "$destination"\n[plan]\nsource = "old"\ntarget = "new"\n));
shows('names of a configuration file', 0, qr/^public\.orders: 1 chunk/m, qr//, 'plan', '--config', $config, 'orders');
shows('… on the command line', 0, qr/equal|different/, qr/\A\z/, 'verify', '--config', $config, '-s', 'old', '-d', 'new', '"Odd Name"');
append_to_file($config, qq([connections]\nsecret = "$source user=reader password=$SECRET"\n));
chmod 0644, $config;
my $open = shows('a password that others can read', 2, qr/\A\z/, qr/holds a password and has group or world access\n/,
  'plan', '--config', $config, 'orders');
my ($chmod) = $open->{err} =~ /hint: Run: (chmod .*)$/m;
is(system($chmod // 'false'), 0, '… what it says can be run');
shows('… and works', 0, qr/^public\.orders: 1 chunk/m, qr//, 'plan', '--config', $config, '-s', 'secret', 'orders');

# The list of processes
{
  $pair->source_sql('CREATE TABLE gated AS SELECT id, note, true AS passed FROM orders; ALTER TABLE gated ADD PRIMARY KEY (id); GRANT SELECT ON gated TO reader');
  $pair->destination_sql('CREATE TABLE gated (id integer, note text, passed boolean)');
  my ($out, $err) = ('', '');
  my $run = IPC::Run::start([$program, 'append', '--source', "$source user=reader password=$SECRET", "-d$destination password=$SECRET",
      '--every', '1h', 'orders', 'gated'], '<', \'', '>', \$out, '2>', \$err, IPC::Run::timeout(60));
  wait_until(20, sub { $run->pump_nb; $err ne '' || $out ne '' });
  my $line = slurp_file("/proc/$run->{KIDS}[0]{PID}/cmdline");
  like($line, qr/append.*user=reader password=\*+\0/s, 'the list of processes shows the command');
  unlike($line, qr/\Q$SECRET\E/, '… without passwords');
  $run->kill_kill;
}

# Completions.  The shells call the program by its name.
{
  my $folder = PostgreSQL::Test::Utils::tempdir();
  symlink $program, "$folder/parallel-loader" or die "$folder: $!";
  local %ENV = (%ENV, PATH => "$folder:$ENV{PATH}", HOME => $folder, PARALLEL_LOADER_SOURCE => $source);
  my $run_shell = sub {
    my ($shell, @arguments) = @_;
    my ($out, $err) = ('', '');
    IPC::Run::run([$shell, @arguments], '<', \'', '>', \$out, '2>', \$err, IPC::Run::timeout(60));
    return $out;
  };
  my %complete = (
    bash => sub {
      my ($line) = @_;
      my @words = grep { $_ ne '' } split /(=)|[ ]/, $line, -1;
      @words = map { "'" . s/'/'\\''/gr . "'" } grep { defined } @words;
      my $quoted = $line =~ s/'/'\\''/gr;
      return $run_shell->('bash', '-c', "source <(parallel-loader generate bash); COMP_WORDS=(@words);"
          . " COMP_CWORD=\$((\${#COMP_WORDS[@]} - 1)); COMP_LINE='$quoted'; COMP_POINT=\${#COMP_LINE};"
          . ' _parallel_loader; printf "%s\n" "${COMPREPLY[@]}"');
    },
    # What it offers are whole words, each with its description.
    fish => sub {
      my ($line) = @_;
      return $run_shell->('fish', '--no-config', '-c',
        'source (parallel-loader generate fish | psub); complete -C $argv[1]', $line) =~ s/\t.*$//gmr =~ s/^--[a-z-]+=//gmr;
    },
    # A terminal in which the key is pressed; then the line is shown.
    zsh => sub {
      my ($line) = @_;
      my $out = $run_shell->('zsh', '-f', '-c', <<'ZSH', 'zsh', $line);
zmodload zsh/zpty
zpty shell zsh -f -i
zpty -w shell 'PS1=; autoload -Uz compinit; compinit -u -D; source <(parallel-loader generate zsh)
  compdef _parallel_loader parallel-loader; show() { print -r -- "<$BUFFER>"; zle send-break }; zle -N show
  bindkey "^X" show; bindkey "^I" complete-word; setopt no_list_beep no_auto_list; print is ready'
zpty -r shell line $'*is ready\r\n'
zpty -w -n shell "$1"$'\t\x18'
zpty -r shell line $'*<*>\r\n'
print -r -- "${line##*<}"
ZSH
      my ($word) = $out =~ /(\S*) ?>\s*$/;
      return ($word =~ s/^--[a-z-]+=//r) . "\n";
    });
  for my $shell (sort keys %complete) {
    my $completed = $complete{$shell};
    is($completed->('parallel-loader sta'), "status\n", "$shell: a command");
    is($completed->('parallel-loader copy --trun'), "--truncate\n", "$shell: an option");
    is($completed->('parallel-loader copy --on-error=s'), "stop\n", "$shell: a value");
    is($completed->('parallel-loader copy ord'), "orders\n", "$shell: a table");
    is($completed->('parallel-loader copy sales.'), "sales.sold\n", "$shell: a table in a schema");
    is($completed->('parallel-loader copy --key-for ord'), "orders\n", "$shell: the table of an option");
    unlike($completed->("parallel-loader copy -s '$nowhere' ord"), qr/orders/, "$shell: nothing without a server");
  }
  my $run = run_program('complete-tables', '"O', 'copy', '-s', $source);
  is($run->{out}, qq("Odd Name"\n), 'a name that needs quotes');
  my $silent = IO::Socket::INET->new(Listen => 1, LocalAddr => '127.0.0.1') or die "no socket: $!";
  my $seconds = stopwatch();
  $run = run_program('complete-tables', 'ord', 'copy', '-s', 'host=127.0.0.1 dbname=x port=' . $silent->sockport);
  is("$run->{code}|$run->{out}", '0|', 'a server that does not answer: nothing is offered');
  cmp_ok($seconds->(), '<', 3, '… within a second');
}

# Documents of servers, beside those that tests/cli/golden has.
my $report = PostgreSQL::Test::Utils::tempdir() . '/report.json';
document('copy', 0, 'copy', @both, '--truncate', '--verify', 'count', '--report', $report, 'orders', '"Odd Name"', 'events');
append_to_file($documents, slurp_file($report));
my $shots = PostgreSQL::Test::Utils::tempdir();
is(run_program('copy', @both, '--truncate', '--verify', 'checksum', '--report', "$shots/report.html", 'orders', 'events')->{code}, 0,
  'a report as a page');
my $looked = shell("'$FindBin::RealBin/../cli/check-report' '$shots' '$shots/report.html'");
is($looked->{code}, 0, '… is what a browser can show') or diag $looked->{out}, $looked->{err};
document('copy with failures', 1, 'copy', @both, 'orders', 'nowhere', 'only_here');
document('resume of what is done', 0, 'resume', @both);
document('resume of nothing', 1, 'resume', @both, 99999);
document('check that fails', 1, 'check', @both, 'only_here');
document('append that fails', 1, 'append', @both, 'only_here', 'events');
document('status of one run', 0, 'status', @there, $pair->destination_sql('SELECT max(run_id) FROM parallel_pulls'));
document('wrong usage', 2, 'verify', '--jobs', 'many');
document('no server', 4, 'sequences', '--source', $source, '--target', 'host=/nowhere');
my $progress = run_program('copy', @both, '--truncate', '--json-progress', 'orders');
my @lines = grep { /^\{/ } split /^/m, $progress->{err};
cmp_ok(scalar @lines, '>', 0, '--json-progress writes lines');
append_to_file($documents, join '', @lines);
my $checked = shell("'$FindBin::RealBin/../cli/check-json' '$documents'");
is($checked->{code}, 0, 'all documents are as docs/parallel-loader.schema.json says') or diag $checked->{out}, $checked->{err};
is(scalar(() = $checked->{out} =~ /^ok - documents is as/mg), scalar(split /^/m, slurp_file($documents)), '… each was looked at');

done_testing();
