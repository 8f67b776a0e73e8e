# FilteredPull: pulls of table t by a filter, chunk by chunk, of which the rows with an odd id are wanted and
# those with an even one are not.
package ParallelLoader::FilteredPull;

use strict;
use warnings;

use Exporter 'import';
use Test::More;

our @EXPORT_OK = qw(work);

# SQL that moves a pull's next chunks; `more` are further arguments.
sub work { my ($id, $more) = @_; return "SELECT remaining FROM parallel_pull_work($id" . ($more // '') . ')' }

# For a pair of servers whose tables t have columns id and pad.
sub new { my ($class, $pair) = @_; return bless {pair => $pair}, $class }

# The same, and makes those tables; on the source also `whole`, which has the rows of t in two partitions.
sub with_tables {
  my ($class, $pair) = @_;
  $pair->source_sql(<<'SQL');
CREATE TABLE t (id integer PRIMARY KEY, pad text);
INSERT INTO t SELECT i, repeat('x', 100) FROM generate_series(1, 6000) AS i;
CREATE TABLE whole (LIKE t) PARTITION BY RANGE (id);
CREATE TABLE whole_1 PARTITION OF whole FOR VALUES FROM (0) TO (3000);
CREATE TABLE whole_2 PARTITION OF whole FOR VALUES FROM (3000) TO (10000);
INSERT INTO whole SELECT * FROM t;
ANALYZE whole;
SQL
  $pair->destination_sql('CREATE TABLE t (id integer, pad text)');
  return $class->new($pair);
}

# Plans a pull in small chunks, and returns its id.
sub create {
  my ($self, $filter, %named) = @_;
  return $self->{pair}->destination_sql($self->{pair}->table_sql('parallel_pull_create', 't',
    {key => 'id', columns => [qw(id pad)], filter => $filter, chunk_size => '64kB', %named}));
}

sub count { return $_[0]{pair}->destination_sql('SELECT count(*) FROM t') }
sub wrong_rows { return $_[0]{pair}->destination_sql('SELECT count(*) FROM t WHERE id % 2 = 0') }

# A chunk is done, then the source runs `change`: `call`, with the pull's id for %s, is refused, and brings
# nothing.  The source then runs `back`.
sub is_refused {
  my ($self, $what, $filter, $change, $back, $call, $message) = @_;
  my $pair = $self->{pair};
  my $id = $self->create($filter);
  ok($pair->destination_sql(work($id, ', max_chunks => 1')) > 0, "$what: a chunk is done before");
  my $done = $self->count;
  $pair->destination_sql("SELECT parallel_pull_cancel($id)") if $call =~ /resume/;
  $pair->source_sql($change, timeout => 60);
  $pair->error_is(sprintf($call, $id), '55000', $message, '… the rest is refused', timeout => 60);
  is($self->count, $done, '… and no row has come');
  is($self->wrong_rows, 0, '… that the filter forbids');
  $pair->destination_sql("SELECT parallel_pull_cancel($id)") if $call !~ /resume/;
  $pair->destination_sql('TRUNCATE t');
  $pair->source_sql($back);
  return;
}

1;
