# Guide: a document whose blocks of SQL and shell commands are run as they are written there.
#
# A comment of its own line before a block says what the block does, where it runs, and as which role:
#
#   <!-- guide: the first pull, on the destination as loader -->
#   <!-- guide: settings, in the destination's postgresql.conf -->
#   <!-- guide: the program, in a shell -->
#
# ", pull 7" at the end has the next pull get that number. A block with "=> " before its statements, or
# "$ " before its commands, shows their output, too: of that, an error's first line and the columns of
# a table are compared, no values.
package ParallelLoader::Guide;

use strict;
use warnings;

use IPC::Run ();
use PostgreSQL::Test::Utils;
use Test::More;

my $MARK = qr/<!-- guide: (.+?), (?:on the (\w+) as (\w+)|in the (\w+)'s postgresql\.conf|in a (shell))(?:, pull (\d+))? -->/;

# `nodes` are source and destination, `databases` those that the document calls its own, `replace`
# pairs of a text of the document and what stands for it here.
sub new {
  my ($class, $path, %options) = @_;
  my $self = bless {path => $path, %options}, $class;
  my $text = slurp_file($path);
  while ($text =~ /^$MARK\n+```(\w*)\n(.*?)^```$/gms) {
    push @{$self->{blocks}}, {name => $1, side => $2 // $4, role => $3, pull => $6, language => $7, text => $8,
      kind => $3 ? 'sql' : $4 ? 'settings' : 'shell'};
  }
  # A block of SQL that nobody runs may be wrong; a mark that is misspelled marks nothing.
  my $marks = () = $text =~ /<!-- guide:/g;
  is(scalar @{$self->{blocks}}, $marks, "$path: each mark has its block");
  return $self;
}

# Blocks of SQL that have no mark.
sub unmarked {
  my ($self) = @_;
  my $text = slurp_file($self->{path}) =~ s/^$MARK\n+```\w*\n.*?^```$//gmsr;
  return $text =~ /^```sql\n(.*?)^```$/gms;
}

# Runs the next blocks, up to the one of this name.
sub run_to {
  my ($self, $name) = @_;
  while (my $block = shift @{$self->{blocks}}) {
    $self->_run($block);
    return if $block->{name} eq $name;
  }
  die "$self->{path} has no block \"$name\" after the last one";
}

sub is_finished { my ($self) = @_; return !@{$self->{blocks}} }

sub _run {
  my ($self, $block) = @_;
  my $text = $block->{text};
  for my $pair (@{$self->{replace}}) {
    my ($from, $to) = @$pair;
    $text =~ s/\Q$from\E/$to/g;
  }
  my $database = $self->{databases}{destination};
  my $restart = 'ALTER TABLE parallel_loader.pull ALTER pull_id RESTART WITH';
  $self->{nodes}{destination}->safe_psql($database, "$restart $block->{pull}") if $block->{pull};
  my $run = "_run_$block->{kind}";
  $self->$run($block, $text);
  return unless $block->{pull};
  # Examples have their numbers in no order.
  $self->{nodes}{destination}->safe_psql($database, "DO \$\$ BEGIN EXECUTE '$restart '"
      . ' || (SELECT max(pull_id) + 1 FROM parallel_loader.pull); END $$');
  return;
}

sub _run_settings {
  my ($self, $block, $text) = @_;
  my $node = $self->{nodes}{$block->{side}};
  $node->append_conf('postgresql.conf', $text);
  $node->restart;
  pass("$self->{path}, $block->{name}: the server starts");
  return;
}

# Steps of a block: what is run, and the lines that the document shows of its output.
sub _steps {
  my ($text, $prompt) = @_;
  return {input => $text, output => []} unless $text =~ /^\Q$prompt\E/m;
  my @steps;
  my $is_open = 0;
  for my $line (split /\n/, $text) {
    if ($line =~ s/^\Q$prompt\E//) {
      push @steps, {input => $line, output => []};
      $is_open = 1;
    } elsif ($is_open) {
      $steps[-1]{input} .= "\n$line";
    } else {
      push @{$steps[-1]{output}}, $line;
    }
    $is_open = 0 if $prompt eq '$ ' || $steps[-1]{input} =~ /(?:;|\\\w.*)$/;
  }
  return @steps;
}

# The names of the columns that a table or the first record in psql's output has.
sub _columns {
  my ($lines) = @_;
  if (($lines->[0] // '') =~ /^-\[ RECORD/) {
    my %seen;
    return join ' ', grep { !$seen{$_}++ } map { /^(\S+) +\|/ ? $1 : () } @$lines;
  }
  return '' unless ($lines->[1] // '') =~ /^-[-+]*$/;
  return join ' ', split /[ |]+/, $lines->[0] =~ s/^ +//r;
}

sub _run_sql {
  my ($self, $block, $text) = @_;
  my @steps = _steps($text, '=> ');
  my $end = 'end of a step of the guide';
  my $input = join '', map {
    (($_->{output}[0] // '') =~ /^-\[ RECORD/ ? "\\x on\n" : "\\x off\n")
      . "$_->{input}\n\\echo $end\n\\warn $end\n" } @steps;
  my $node = $self->{nodes}{$block->{side}};
  my $database = $self->{databases}{$block->{side}};
  my ($out, $err) = ('', '');
  IPC::Run::run(['psql', '-X', '-q', '-d', $node->connstr($database) . " user=$block->{role}"],
    '<', \$input, '>', \$out, '2>', \$err, IPC::Run::timeout(120));
  my @out = split /^\Q$end\E\n/m, $out;
  my @err = split /^\Q$end\E\n/m, $err;
  for my $number (0 .. $#steps) {
    $self->_judge($block, $steps[$number], $out[$number] // '', $err[$number] // '');
  }
  return;
}

sub _judge {
  my ($self, $block, $step, $out, $err) = @_;
  local $Test::Builder::Level = $Test::Builder::Level + 3;
  my $rule = "$self->{path}, $block->{name}: " . ($step->{input} =~ s/\s+/ /gr =~ s/^(.{60}).+/$1…/r);
  note "$step->{input}\n$out$err";
  my ($error) = $err =~ /^(?:psql:\S+ )?(ERROR|FATAL|psql: error|invalid command):?(.*)$/m ? "$1:$2" : 'no error';
  my ($expected) = grep { /^ERROR:/ } @{$step->{output}};
  my $is_right = is($error, $expected // 'no error', $rule) || diag($err);
  return if $expected || !$is_right;
  my $columns = _columns($step->{output});
  is(_columns([split /\n/, $out]), $columns, '… shows the columns that the guide shows') if $columns ne '';
  return;
}

sub _run_shell {
  my ($self, $block, $text) = @_;
  for my $step (_steps($text, '$ ')) {
    my ($out, $err) = ('', '');
    my $run = IPC::Run::start(['bash', '-c', $step->{input}], '<', \undef, '>', \$out, '2>', \$err, IPC::Run::timeout(120));
    $run->finish;
    note "$step->{input}\n$out$err";
    is($run->full_result(0), 0, "$self->{path}, $block->{name}: $step->{input}") or diag($err);
  }
  return;
}

1;
