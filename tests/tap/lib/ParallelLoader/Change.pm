# Change: what somebody may do to a table while it is pulled, as SQL, and the table that it is done to.
#
# Tables are `t` of a schema of their own, of one of three shapes:
#   plain         a table
#   partitioned   by ranges of id: p1, p2, p3
#   inherited     a table with a child `c`, whose rows are no rows of `t` to a pull
# Rows have the ids 1 to $ROWS.
package ParallelLoader::Change;

use strict;
use warnings;

use Exporter 'import';

our @EXPORT_OK = qw(@SHAPES $ROWS create_sql fill_sql kinds change_sql only);
our @SHAPES = qw(plain partitioned inherited);
our $ROWS = 3000;

# One page holds some 25 rows, so that even the least chunk size cuts the table.
my $VALUES = 'i, i %% 1000, i * 7, repeat(md5(i::text), 8) FROM generate_series(%d, %d) AS i';

# The rows of a table without those of its children.
sub only { my ($shape) = @_; return $shape eq 'partitioned' ? '' : 'ONLY' }

sub create_sql {
  my ($schema, $shape, $name) = @_;
  my $t = "$schema." . ($name // 't');
  my $columns = '(id integer PRIMARY KEY, a integer, b bigint, note text)';
  return "CREATE TABLE $t $columns;" if $shape eq 'plain';
  return "CREATE TABLE $t $columns; CREATE TABLE ${t}_c () INHERITS ($t);" if $shape eq 'inherited';
  my $sql = "CREATE TABLE $t $columns PARTITION BY RANGE (id);";
  my @bounds = (0, 1000, 2000, 4000);
  $sql .= " CREATE TABLE ${t}_p$_ PARTITION OF $t FOR VALUES FROM ($bounds[$_ - 1]) TO ($bounds[$_]);" for 1 .. 3;
  return $sql;
}

sub fill_sql {
  my ($schema, $name, $first, $last) = @_;
  return sprintf "INSERT INTO $schema.$name SELECT $VALUES;", $first, $last;
}

# Each: the shapes it is for, and a function of schema, shape and the role that pulls.  A semicolon
# ends a statement; `alone` ones run in no transaction block.
my @ANY = @SHAPES;
my %KIND = (
  'type of the same width' => {sql => sub { "ALTER TABLE $_[0].t ALTER a TYPE real" }},
  'type of another width' => {sql => sub { "ALTER TABLE $_[0].t ALTER b TYPE numeric" }},
  'type of the same width, bigint' => {sql => sub { "ALTER TABLE $_[0].t ALTER b TYPE double precision" }},
  'type without a rewrite' => {sql => sub { "ALTER TABLE $_[0].t ALTER note TYPE varchar" }},
  'type of the key' => {shapes => ['plain', 'inherited'], sql => sub { "ALTER TABLE $_[0].t ALTER id TYPE bigint" }},
  'column added' => {sql => sub { "ALTER TABLE $_[0].t ADD extra integer" }},
  'column added with a default' => {sql => sub { "ALTER TABLE $_[0].t ADD extra text DEFAULT random()::text" }},
  'column dropped' => {sql => sub { "ALTER TABLE $_[0].t DROP a" }},
  'column dropped and added' => {sql => sub { "ALTER TABLE $_[0].t DROP a; ALTER TABLE $_[0].t ADD a integer" }},
  'column dropped and added as another' =>
    {sql => sub { "ALTER TABLE $_[0].t DROP a; ALTER TABLE $_[0].t ADD a real" }},
  'columns swapped' => {sql => sub {
      "ALTER TABLE $_[0].t RENAME a TO x; ALTER TABLE $_[0].t RENAME b TO a; ALTER TABLE $_[0].t RENAME x TO b" }},
  truncate => {sql => sub { "TRUNCATE $_[0].t" }},
  'truncate and other rows' => {sql => sub { "TRUNCATE $_[0].t; " . fill_sql($_[0], 't', 3501, 3600) }},
  'truncate of a partition' => {shapes => ['partitioned'], sql => sub { "TRUNCATE $_[0].t_p2" }},
  drop => {sql => sub { "DROP TABLE $_[0].t CASCADE" }},
  'drop and make anew' => {sql => sub {
      my ($schema, $shape, $role) = @_;
      "DROP TABLE $schema.t CASCADE; " . create_sql($schema, $shape) . fill_sql($schema, 't', 3501, 3600)
        . " GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA $schema TO $role" }},
  rename => {sql => sub { "ALTER TABLE $_[0].t RENAME TO before" }},
  'rename and another in its place' => {sql => sub {
      my ($schema, $shape, $role) = @_;
      # Rights of the next one; its index has a name of its own.
      "ALTER TABLE $schema.t RENAME TO before; " . create_sql($schema, 'plain', 'next')
        . " ALTER TABLE $schema.next RENAME TO t; " . fill_sql($schema, 't', 3501, 3600)
        . " GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA $schema TO $role" }},
  'attach' => {shapes => ['partitioned'], sql => sub {
      "CREATE TABLE $_[0].p4 (LIKE $_[0].t); " . fill_sql($_[0], 'p4', 5001, 5100)
        . " GRANT SELECT, INSERT ON $_[0].p4 TO $_[2];"
        . " ALTER TABLE $_[0].t ATTACH PARTITION $_[0].p4 FOR VALUES FROM (5000) TO (6000)" }},
  'a new partition' => {shapes => ['partitioned'], sql => sub {
      "CREATE TABLE $_[0].p5 PARTITION OF $_[0].t FOR VALUES FROM (6000) TO (7000);"
        . " GRANT SELECT, INSERT ON $_[0].p5 TO $_[2]; " . fill_sql($_[0], 'p5', 6001, 6100) }},
  detach => {shapes => ['partitioned'], sql => sub { "ALTER TABLE $_[0].t DETACH PARTITION $_[0].t_p2" }},
  'detach concurrently' => {shapes => ['partitioned'], alone => 1,
    sql => sub { "ALTER TABLE $_[0].t DETACH PARTITION $_[0].t_p2 CONCURRENTLY" }},
  'detach and drop' => {shapes => ['partitioned'],
    sql => sub { "ALTER TABLE $_[0].t DETACH PARTITION $_[0].t_p1; DROP TABLE $_[0].t_p1" }},
  'detach and attach' => {shapes => ['partitioned'], sql => sub {
      "ALTER TABLE $_[0].t DETACH PARTITION $_[0].t_p2;"
        . " ALTER TABLE $_[0].t ATTACH PARTITION $_[0].t_p2 FOR VALUES FROM (1000) TO (2000)" }},
  inherit => {shapes => ['plain', 'inherited'], sql => sub {
      "CREATE TABLE $_[0].child (LIKE $_[0].t INCLUDING ALL); " . fill_sql($_[0], 'child', 7001, 7100)
        . " ALTER TABLE $_[0].child INHERIT $_[0].t" }},
  'no inherit' => {shapes => ['inherited'], sql => sub { "ALTER TABLE $_[0].t_c NO INHERIT $_[0].t" }},
  cluster => {shapes => ['plain', 'inherited'], sql => sub { "CLUSTER $_[0].t USING t_pkey" }},
  'cluster in another order' => {shapes => ['plain', 'inherited'], alone => 1,
    sql => sub { "CREATE INDEX by_b ON $_[0].t ((-b)); CLUSTER $_[0].t USING by_b" }},
  'vacuum full' => {alone => 1, sql => sub { "VACUUM FULL $_[0].t" }},
  'rows deleted, then vacuum full' => {alone => 1,
    sql => sub { "DELETE FROM $_[0].t WHERE id % 3 = 0; VACUUM FULL $_[0].t" }, is_of_source => 1},
  'rows moved' => {is_of_source => 1, sql => sub { "UPDATE $_[0].t SET id = id + 500 WHERE id > 2800" }},
  owner => {sql => sub { "ALTER TABLE $_[0].t OWNER TO stranger" }},
  policy => {sql => sub {
      "ALTER TABLE $_[0].t ENABLE ROW LEVEL SECURITY; CREATE POLICY even ON $_[0].t USING (id % 2 = 0)" }},
  'policy without rows' => {sql => sub { "ALTER TABLE $_[0].t ENABLE ROW LEVEL SECURITY" }},
  revoke => {sql => sub { "REVOKE ALL ON $_[0].t FROM $_[2]" }},
  'revoke of a column' => {sql => sub {
      "REVOKE ALL ON $_[0].t FROM $_[2]; GRANT SELECT (id, a, b), INSERT (id, a, b) ON $_[0].t TO $_[2]" }},
  'revoke of a partition' => {shapes => ['partitioned'], sql => sub { "REVOKE ALL ON $_[0].t_p2 FROM $_[2]" }},
  'revoke of the schema' => {sql => sub { "REVOKE USAGE ON SCHEMA $_[0] FROM $_[2]" }},
  unlogged => {shapes => ['plain', 'inherited'], sql => sub { "ALTER TABLE $_[0].t SET UNLOGGED" }},
);

# The names of changes for a table of that shape on that side.
sub kinds {
  my ($side, $shape) = @_;
  return grep {
    my $kind = $KIND{$_};
    (grep { $_ eq $shape } @{$kind->{shapes} // \@ANY}) && !($side ne 'source' && $kind->{is_of_source})
  } sort keys %KIND;
}

# Statements that make the change; `witness`, an SQL query, runs after them: in their transaction if
# that can be.
sub change_sql {
  my ($kind, $schema, $shape, $role, $witness) = @_;
  my $sql = $KIND{$kind}{sql}->($schema, $shape, $role);
  return join "\n;\n", map { s/^\s+//r } split(/;/, $sql), $witness if $KIND{$kind}{alone};
  return "BEGIN;\n$sql;\n$witness;\nCOMMIT";
}

1;
