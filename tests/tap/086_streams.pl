# What happens to a copy when its output has nowhere to go, and when it is asked to stop: the rows are
# the same, and nothing else than a result is lost.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";

use JSON::PP ();
use ParallelLoader::Program;
use ParallelLoader::SmallDisk;
use ParallelLoader::Test;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep);

my $pair = ParallelLoader::Test->new(retries => 1);
my ($source, $destination) = ($pair->source->connstr('postgres'), $pair->destination->connstr('postgres'));
my $both = "--source '$source' --target '$destination'";
$pair->create_gate;
$pair->both_sql(join '', map { "CREATE TABLE t$_ (id integer PRIMARY KEY, note text);" } 1 .. 4);
$pair->source_sql(join '', map { "INSERT INTO t$_ SELECT i, repeat('n', i % 100) FROM generate_series(1, 5000) AS i;" } 1 .. 4);
$pair->source_sql('ANALYZE');

# Copies by the words of a shell, in which COPY stands for the command.
sub copied {
  my ($rule, $code, $words) = @_;
  local $Test::Builder::Level = $Test::Builder::Level + 1;
  $pair->destination_sql('TRUNCATE t1, t2, t3, t4');
  my $program = program_under_test();
  my $command = "$program copy $both";
  my $run = shell(qq(bash -c ') . ($words =~ s/COPY/$command/r =~ s/'/'\\''/gr) . q('));
  is($run->{code}, $code, "$rule: exits with $code") or diag $run->{out}, $run->{err};
  $pair->same_rows("SELECT * FROM $_", "… $_ is loaded") for qw(t1 t2 t3 t4);
  return $run;
}

# ---- nowhere to write ----

my $run = copied('a pipe that is closed', 0, 'COPY -v t1 t2 t3 t4 | true; exit ${PIPESTATUS[0]}');
$run = copied('messages into a pipe that is closed', 0, 'exit $({ { COPY --json-progress -v t1 t2 t3 t4 2>&1 >/dev/null; echo $? >&3; } | true; } 3>&1)');
$run = copied('standard output is closed', 1, 'COPY t1 t2 t3 t4 >&-');
like($run->{err}, qr/could not write to standard output: Bad file descriptor/, '… which is said');
copied('standard error is closed', 0, 'COPY t1 t2 t3 t4 2>&-');
copied('all three are closed', 1, 'COPY t1 t2 t3 t4 <&- >&- 2>&-');
$run = copied('results onto a full device', 1, 'COPY --json t1 t2 t3 t4 >/dev/full');
like($run->{err}, qr/could not write to standard output: No space left/, '… which is said');
copied('messages onto a full device', 0, 'COPY -v --json-progress t1 t2 t3 t4 2>/dev/full');

# ---- a report with no room ----

my $folder = PostgreSQL::Test::Utils::tempdir();
SKIP: {
  my $disk = ParallelLoader::SmallDisk->new;
  skip 'no small disk is mounted', 16 unless $disk;
  my $path = "$disk->{folder}/report.html";
  append_to_file($path, 'an older report');
  $disk->fill;
  $run = copied('a report onto a full disk', 1, "COPY --report $path t1 t2 t3 t4");
  like($run->{err}, qr/could not write the report "\Q$path\E": No space left.*What was copied is not affected/s, '… which is said');
  is(slurp_file($path), 'an older report', '… and the older report stays');
  is(join(' ', grep { !/filler|tables/ } map { s{.*/}{}r } glob "$disk->{folder}/*"), 'report.html', '… alone');
  $disk->make_room;
  copied('the same with room', 0, "COPY --report $path t1 t2 t3 t4");
  like(slurp_file($path), qr/<html/, '… writes the report');
}
$pair->destination_sql('TRUNCATE t1');
my $early = run_program('copy', '--source', $source, '--target', $destination, '--report', "$folder/none/r.html", 't1');
isnt($early->{code}, 0, 'a report into a folder that is not there');
like($early->{err}, qr{none/r\.html.*No such file}s, '… is refused');
is($pair->destination_sql('SELECT count(*) FROM t1'), 0, '… before anything is copied');

# ---- signals ----

$SIG{HUP} = 'DEFAULT'; # nohup has the program ignore it, which is right

for my $signal (qw(TERM HUP INT)) {
  $pair->destination_sql('TRUNCATE t1, t2, t3, t4');
  $pair->close_gate;
  my $job = start_program('copy', '--source', $source, '--target', $destination, '--report', "$folder/$signal.json", '--json',
    '--where-for', 't4', 'public.gate(id, 2500)', qw(t1 t2 t3 t4));
  $pair->wait_at_gate;
  $job->{run}->signal($signal);
  end_of($job);
  is($job->{code}, 130, "SIG$signal: exits with 130") or diag $job->{err};
  my $document = eval { JSON::PP->new->decode($job->{out}) } // {};
  is($document->{error}{sqlstate}, '57014', '… and a document says so');
  ok(-s "$folder/$signal.json", '… as does the report');
  $pair->open_gate;
  $run = shell($job->{err} =~ /^(?:.*hint: )?.*To go on: (parallel-loader .*)$/m ? $1 : 'false');
  is($run->{code}, 0, '… the command that it names goes on') or diag $job->{err}, $run->{err};
  $pair->same_rows("SELECT * FROM $_", "… $_ is loaded") for qw(t1 t2 t3 t4);
  $pair->nothing_left('… and nothing is left');
}

# ---- a terminal ----

$pair->destination_sql('TRUNCATE t1, t2, t3, t4');
$pair->close_gate;
my $job = {out => '', err => ''};
my ($wide, $narrow) = (120, 50);
$job->{run} = IPC::Run::start([qq($FindBin::RealBin/lib/on_terminal.py), $wide, $narrow, program_under_test(), 'copy', '--source', $source,
    '--target', $destination, '--where', 'public.gate(id, 2500)', qw(t1 t2 t3 t4)], '<', \'', '>', \$job->{out}, '2>', \$job->{err}, IPC::Run::timeout(60));
$pair->wait_at_gate;
wait_until(20, sub { $job->{run}->pump_nb; $job->{out} =~ /RESIZED/ });
sleep 1;
$pair->open_gate;
end_of($job);
is($job->{code}, 0, 'a terminal that becomes narrower: exits with 0') or diag $job->{out}, $job->{err};
my ($before, $after) = map { widest($_) } split /^RESIZED\r?\n/m, $job->{out} =~ s/table +rows.*//sr;
cmp_ok($before, '>', $narrow, '… the lines were wider before');
cmp_ok($before, '<=', $wide, '… and fitted');
cmp_ok($after, '<=', $narrow, '… and fit after that') or diag $job->{out};
$pair->same_rows("SELECT * FROM $_", "… $_ is loaded") for qw(t1 t2 t3 t4);

# In characters, without what moves the cursor and changes colors.
sub widest {
  my ($text) = @_;
  utf8::decode($text);
  my @widths = sort { $a <=> $b } map { length } split /[\r\n]|\e\[[0-9;?]*[A-HJKf]/, $text =~ s/\e\[[0-9;?]*[ml h]//gr;
  return $widths[-1] // 0;
}

$pair->finish;
