# Page: a page of the documentation whose blocks of SQL and shell commands are run as they stand there,
# from top to bottom, and whose output is compared with what the page shows.
#
# A comment on a line of its own, before the block, says so; it names the block, where it runs, and as
# which role:
#
#   <!-- run: the first pull, on the destination as loader -->
#   <!-- run: settings, in the destination's postgresql.conf -->
#   <!-- run: the program, in a shell -->
#   <!-- not run: it installs packages -->
#
# What the reader need not see stands in the comment itself and is run alike:
#
#   <!-- run: rows that come later, on the source as postgres
#   INSERT INTO signals SELECT …;
#   -->
#
# A block with "=> " before its statements, or "$ " before its commands, shows their output. It is
# compared as a whole, but for blanks and for what differs from run to run: times, rates, process ids,
# names of snapshots, the server's minor version (`comparable`), and the columns or fields that the mark
# names: "; varies: seconds, rows". Of these both must have a value, or neither.
#
# DOCS_UPDATE=FOLDER writes pages there with the output of this run where it differs.
package ParallelLoader::Page;

use strict;
use warnings;

use File::Basename qw(basename);
use IPC::Run ();
use PostgreSQL::Test::Utils;
use Test::More;

my $PLACE = qr/on the (?<side>source|destination) as (?<role>\w+)|in the (?<conf>source|destination)'s postgresql\.conf|in a (?<shell>shell)/;
my $MARK = qr/<!-- run: (?<name>[^\n]+?), $PLACE(?:; varies: (?<varies>[^\n]+?))?/;
my $FENCE = qr/```\w*\n(?<shown>.*?)^```$/ms;

# `nodes` are source and destination, `database` is the one of either that the page works in, `replace`
# pairs of a text of the page and what stands for it here.
sub new {
  my ($class, $path, %options) = @_;
  my $text = slurp_file($path);
  my $self = bless {path => $path, text => $text, blocks => [], %options}, $class;
  while ($text =~ /^$MARK(?: -->\n+$FENCE|\n(?<hidden>.*?)^-->$)/gms) {
    push @{$self->{blocks}}, {%+, text => $+{shown} // $+{hidden}, at => $-[0] + length $+{name}};
  }
  return $self;
}

# What nobody runs may be wrong, and a mark that is misspelled marks nothing.
sub is_marked_throughout {
  my ($self) = @_;
  my $marks = () = $self->{text} =~ /^<!-- run:/gm;
  is(scalar @{$self->{blocks}}, $marks, "$self->{path}: each mark has its block");
  my $rest = $self->{text} =~ s/^(?:$MARK|<!-- not run: [^\n]+?) -->\n+$FENCE//gmsr;
  my @unmarked = grep { /^```(?:sql|sh|console)\n|^=> |^\$ /m } $rest =~ /^(```\w*\n.*?)^```$/gms;
  is(join('', @unmarked), '', "$self->{path}: all examples are run, or it says why not");
  return;
}

sub has_runs { my ($self) = @_; return @{$self->{blocks}} > 0 }

sub run {
  my ($self) = @_;
  $self->is_marked_throughout;
  $self->_run($_) for @{$self->{blocks}};
  $self->_write($ENV{DOCS_UPDATE}) if $ENV{DOCS_UPDATE};
  return;
}

sub _run {
  my ($self, $block) = @_;
  my $text = $block->{text};
  $text =~ s/\Q$_->[0]\E/$_->[1]/g for @{$self->{replace}};
  return $self->_configure($block, $text) if $block->{conf};
  my $prompt = $block->{shell} ? '$ ' : '=> ';
  my @steps = _steps($text, $prompt);
  if ($block->{shell}) { _run_shell(@steps) } else { $self->_run_sql($block, @steps) }
  $self->_judge($block, $_) for @steps;
  return unless $text =~ /^\Q$prompt\E/m;
  $block->{now} = join '', map { $prompt . $_->{input} . "\n" . $_->{now} } @steps;
  $block->{now} =~ s/\Q$_->[1]\E/$_->[0]/g for @{$self->{replace}};
  $block->{now} =~ s/\n+\z/\n/;
  return;
}

sub _configure {
  my ($self, $block, $text) = @_;
  my $node = $self->{nodes}{$block->{conf}};
  $node->append_conf('postgresql.conf', $text);
  $node->restart;
  pass("$self->{path}, $block->{name}: the server starts");
  return;
}

# Steps of a block: what is run, and the output that the page shows; undef where it shows none.
sub _steps {
  my ($text, $prompt) = @_;
  return {input => $text} unless $text =~ /^\Q$prompt\E/m;
  die "a block of which some is shown with its output begins with \"$prompt\":\n$text" unless $text =~ /\A\Q$prompt\E/;
  my @steps;
  my $is_open = 0;
  for my $line (split /^/, $text) {
    if ($line =~ s/^\Q$prompt\E//) {
      push @steps, {input => $line, output => ''};
      $is_open = 1;
    } else {
      $steps[-1]{$is_open ? 'input' : 'output'} .= $line;
    }
    $is_open = 0 if $prompt eq '$ ' ? $line !~ /\\$/ : $line =~ /;$|\\\w+[^;]*$/;
  }
  chomp $_->{input} for @steps;
  return @steps;
}

sub _run_sql {
  my ($self, $block, @steps) = @_;
  my $end = 'end of a step of the page';
  my $input = join '', map { "$_->{input}\n\\echo $end\n\\warn $end\n" } @steps;
  my $node = $self->{nodes}{$block->{side}};
  my ($out, $err) = ('', '');
  IPC::Run::run(['psql', '-X', '-d', $node->connstr($self->{database}) . " user=$block->{role}"],
    '<', \$input, '>', \$out, '2>', \$err, IPC::Run::timeout(180));
  $err =~ s/^psql:<stdin>:\d+: //gm;
  my @out = split /^\Q$end\E\n/m, $out, -1;
  my @err = split /^\Q$end\E\n/m, $err, -1;
  for my $number (0 .. $#steps) {
    my $step = $steps[$number];
    # A notice, or an error, comes before the result.
    $step->{now} = ($err[$number] // '') . ($out[$number] // '');
    ($step->{error}) = ($err[$number] // 'lost') =~ /^(?:ERROR|FATAL|psql: error|invalid command|lost).*/mg;
  }
  return;
}

sub _run_shell {
  for my $step (@_) {
    my $now = '';
    my $run = IPC::Run::start(['bash', '-c', "cd '$ENV{PAGE_FOLDER}'\n$step->{input}"], '<', \undef, '>&', \$now, IPC::Run::timeout(180));
    $run->finish;
    $step->{now} = $now;
    $step->{error} = 'status ' . $run->full_result(0) if $run->full_result(0);
  }
  return;
}

sub _judge {
  my ($self, $block, $step) = @_;
  local $Test::Builder::Level = $Test::Builder::Level + 3;
  my $rule = "$self->{path}, $block->{name}: " . ($step->{input} =~ s/\s+/ /gr =~ s/^(.{60}).+/$1…/r);
  note "$step->{input}\n$step->{now}";
  $step->{now} =~ s/[ \t]+$//gm;
  return is($step->{error}, undef, $rule) || diag($step->{now}) unless defined $step->{output};
  my @varies = split /, */, $block->{varies} // '';
  my $is_same = is(comparable($step->{now}, @varies), comparable($step->{output}, @varies), $rule);
  $step->{now} = $step->{output} if $is_same;
  return;
}

# A text without what differs from run to run.
sub _steady {
  my ($text) = @_;
  for ($text) {
    s/\b\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)?(?:\+00)?/TIME/g;
    s/\b\d\d:\d\d:\d\d(?:\.\d+)?|\b\d+ min \d+ s\b| (?:\d+m)?\d+(?:\.\d+)?s(?= |$)/ DURATION/g;
    s/ \d+(?:\.\d+)? [kMG]B\/s/ RATE/g;
    s/\b[0-9A-F]{8}-[0-9A-F]{8}-\d+/SNAPSHOT/g;
    s/(?<!\S)\d+:\d+:(?:\d+(?:,\d+)*)?(?!\S)/STATE/g; # of a snapshot
    s/\b(worker|backend|coordinator|blocked by) \d+/$1 PID/g;
    s/PostgreSQL 1\d(?:\.\d+)?(?: \([^)]*\))?/PostgreSQL VERSION/g;
    s/\s+/ /g;
    s/^ | $//g;
  }
  return $text;
}

# An output with that alone that is the same in each run.
sub comparable {
  my ($text, @varies) = @_;
  my %varies = map { $_ => 1 } @varies;
  my $value = sub { my ($name, $text) = @_; return $varies{$name // ''} && $text ne '' ? '…' : $text };
  my @names; # of the table's columns
  my $is_record = 0;
  my @lines;
  for (split /\n/, $text) {
    my @cells = map { _steady($_) } split /\|/, $_, -1;
    if (/^-\[ RECORD/) {
      $is_record = 1;
      @cells = ('-[ RECORD ]-');
    } elsif (/^-[-+]*$/) {
      @names = split / \| /, $lines[-1] // '', -1;
      @cells = ('-');
    } elsif ($is_record && @cells == 2) {
      $cells[1] = $value->(@cells);
    } elsif (@names && @cells == @names) {
      @cells = map { $value->($names[$_], $cells[$_]) } 0 .. $#cells;
    } else {
      @names = ();
      $is_record = 0;
    }
    push @lines, join ' | ', @cells if join('', @cells) ne '';
  }
  return join "\n", @lines;
}

# The page with the output of this run.
sub _write {
  my ($self, $folder) = @_;
  my $text = $self->{text};
  for my $block (reverse @{$self->{blocks}}) {
    next unless defined $block->{now} && $block->{now} ne $block->{text};
    my $at = index $text, $block->{text}, $block->{at};
    substr $text, $at, length $block->{text}, $block->{now};
  }
  my $path = "$folder/" . basename($self->{path});
  open my $file, '>', $path or die "$path: $!";
  print {$file} $text;
  close $file or die "$path: $!";
  return;
}

1;
