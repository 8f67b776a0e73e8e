# FullDisk: a disk that is full when the test says so.  A small library, loaded before the server's
# own, refuses to make files of tables and indexes larger while a flag file is there; nobody needs to
# be root, and no real disk is filled.
package ParallelLoader::FullDisk;

use strict;
use warnings;

use PostgreSQL::Test::Utils;

my $SOURCE = <<'C';
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static int is_refused(int fd, off64_t end) {
  const char *flag = getenv("PARALLEL_LOADER_FULL_DISK");
  struct stat st;
  char link[64], path[4096];
  ssize_t length;
  if (flag == NULL || access(flag, F_OK) != 0 || fstat(fd, &st) != 0 || end <= st.st_size)
    return 0;
  snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
  length = readlink(link, path, sizeof(path) - 1);
  if (length < 0)
    return 0;
  path[length] = '\0';
  return strstr(path, "/base/") != NULL;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define REFUSE(fd, end) if (is_refused(fd, end)) { errno = ENOSPC; return -1; }

ssize_t pwrite64(int fd, const void *buffer, size_t size, off64_t offset) {
  REFUSE(fd, offset + (off64_t)size)
  return REAL(pwrite64)(fd, buffer, size, offset);
}

ssize_t pwrite(int fd, const void *buffer, size_t size, off_t offset) {
  return pwrite64(fd, buffer, size, offset);
}

ssize_t pwritev64(int fd, const struct iovec *parts, int count, off64_t offset) {
  off64_t end = offset;
  for (int part = 0; part < count; part++)
    end += (off64_t)parts[part].iov_len;
  REFUSE(fd, end)
  return REAL(pwritev64)(fd, parts, count, offset);
}

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t offset) {
  return pwritev64(fd, parts, count, offset);
}

int posix_fallocate64(int fd, off64_t offset, off64_t size) {
  return is_refused(fd, offset + size) ? ENOSPC : REAL(posix_fallocate64)(fd, offset, size);
}

int posix_fallocate(int fd, off_t offset, off_t size) {
  return posix_fallocate64(fd, offset, size);
}
C

# Returns nothing where it cannot be built.
sub new {
  my ($class) = @_;
  my $folder = PostgreSQL::Test::Utils::tempdir();
  my $self = bless {library => "$folder/full_disk.so", flag => "$folder/disk_is_full"}, $class;
  append_to_file("$folder/full_disk.c", $SOURCE);
  return if $^O ne 'linux';
  return
    if system("cc -shared -fPIC -O1 -o $self->{library} $folder/full_disk.c -ldl >/dev/null 2>&1");
  return $self;
}

# For the `env` of ParallelLoader::Test->new.
sub env {
  my ($self) = @_;
  return {LD_PRELOAD => $self->{library}, PARALLEL_LOADER_FULL_DISK => $self->{flag}};
}

sub fill {
  my ($self) = @_;
  append_to_file($self->{flag}, "full\n");
  return;
}

sub empty {
  my ($self) = @_;
  unlink $self->{flag};
  return;
}

1;
