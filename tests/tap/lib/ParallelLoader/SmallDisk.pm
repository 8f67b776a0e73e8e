# SmallDisk: a small file system that a test fills, and tables that lie on it.
#
# PARALLEL_LOADER_SMALL_DISKS lists folders that are file systems of their own, one for each test that
# runs at the same time; only root can mount them, so scripts/test does.
package ParallelLoader::SmallDisk;

use strict;
use warnings;

use Errno qw(ENOSPC);
use File::Path qw(rmtree);

# Returns nothing where there is no disk left.
sub new {
  my ($class) = @_;
  for my $folder (split ' ', $ENV{PARALLEL_LOADER_SMALL_DISKS} // '') {
    next unless mkdir "$folder/taken"; # one test makes it, the others fail
    mkdir "$folder/taken/tables" or die "$folder: $!";
    return bless {folder => "$folder/taken"}, $class;
  }
  return;
}

# Moves a table of the destination there.
sub take_table {
  my ($self, $pair, $table) = @_;
  $pair->destination_sql("CREATE TABLESPACE small LOCATION '$self->{folder}/tables'");
  $pair->destination_sql("ALTER TABLE $table SET TABLESPACE small");
  return;
}

# Takes all the room there is, to the last block.
sub fill {
  my ($self) = @_;
  open my $file, '>', "$self->{folder}/filler" or die "filler: $!";
  for my $size (1 << 20, 1 << 12) {
    1 while defined syswrite $file, "\0" x $size;
    die "filler: $!" unless $! == ENOSPC;
  }
  close $file;
  return;
}

sub make_room {
  my ($self) = @_;
  unlink "$self->{folder}/filler";
  return;
}

# For the next test.
sub DESTROY {
  my ($self) = @_;
  local ($@, $!, $?);
  rmtree($self->{folder});
  return;
}

1;
