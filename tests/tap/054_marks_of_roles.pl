# A mark belongs to the role whose append or pull has made it: others who may insert into the table
# cannot make that role's appends miss rows.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";

use ParallelLoader::Test;
use Test::More;

my $pair = ParallelLoader::Test->new(source => {hba => 'local all reader scram-sha-256'});
my $next = 1;

# Rows that are new on the source.
sub grow {
  my ($table, $count) = @_;
  $pair->source_sql("INSERT INTO $table SELECT i, 'v' || i FROM generate_series($next, $next + $count - 1) AS i");
  return $next += $count;
}

$pair->source_sql(<<'SQL');
CREATE ROLE reader LOGIN PASSWORD 'secret';
CREATE TABLE e (id bigint PRIMARY KEY, v text);
GRANT SELECT ON e TO reader;
SQL
$pair->destination_sql(<<"SQL");
CREATE ROLE loader LOGIN;
CREATE ROLE alien LOGIN;
CREATE ROLE member LOGIN IN ROLE loader;
CREATE ROLE keeper LOGIN;
CREATE SERVER s FOREIGN DATA WRAPPER dblink_fdw OPTIONS (host '@{[$pair->source->host]}',
  port '@{[$pair->source->port]}', dbname 'postgres');
CREATE USER MAPPING FOR PUBLIC SERVER s OPTIONS (user 'reader', password 'secret');
GRANT USAGE ON FOREIGN SERVER s TO loader, alien, member, keeper;
GRANT CREATE ON SCHEMA public TO keeper;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA public TO loader, alien, member, keeper;
SET ROLE keeper;
CREATE TABLE e (id bigint, v text);
GRANT INSERT, SELECT ON e TO loader, alien, member;
SQL

sub append_of {
  my ($role, %named) = @_;
  my $named = join '', map { ", $_ => $named{$_}" } sort keys %named;
  return $pair->try_sql("SELECT parallel_pull_append('s', 'e'$named)", user => $role);
}
sub appends {
  my ($role, $want, $rule, %named) = @_;
  local $Test::Builder::Level = $Test::Builder::Level + 1;
  return is(append_of($role, %named)->summary, "success: $want", $rule);
}
sub refused {
  my ($role, $rule, %named) = @_;
  local $Test::Builder::Level = $Test::Builder::Level + 1;
  like(append_of($role, %named)->summary,
    qr/^ERROR: 42501: permission denied to append to table (?:public|"public")\.e.*pulled by role "?loader"?.*parallel_pull_forget/s, $rule);
  return;
}
sub whole {
  my ($rule) = @_;
  local $Test::Builder::Level = $Test::Builder::Level + 1;
  return $pair->same_rows('SELECT * FROM e', $rule);
}
sub forgets {
  my ($role, $function) = @_;
  return $pair->try_sql("SELECT parallel_pull_$function('e')", user => $role)->summary;
}

grow('e', 100);
appends('loader', 100, 'a role appends');
my $held = $pair->session('source');
$held->query_safe("BEGIN; INSERT INTO e VALUES (100000, 'late')");
grow('e', 10);
my %WAYS = ('' => {}, ' with a window' => {key => "'id'", '"window"' => "'0'"}, ' of fewer columns' => {columns => "'{id}'"});
for my $way (sort keys %WAYS) {
  refused('alien', "another role's append$way is refused", %{$WAYS{$way}});
}
is($pair->destination_sql('SELECT count(*) FROM e'), 100, '… and has copied nothing');
like(forgets('alien', $_), qr/^ERROR: 42501/, "… nor may it call parallel_pull_$_") for qw(forget keep);
$held->query_safe('COMMIT');
$held->close;
appends('loader', 11, '… the next append of the first brings every row');
whole('… which are there');

# Those who may.
for my $role ('member', 'keeper', 'postgres') {
  grow('e', 5);
  appends($role, 5, "$role appends, too");
  is($pair->destination_sql('SELECT DISTINCT owner FROM parallel_loader.mark'), 'loader', '… and the mark stays what it is');
  grow('e', 3);
  appends('loader', 3, '… the first role goes on without a word');
}

# A whole pull leaves something to append from as well: not above the mark of somebody else.
grow('e', 7);
$pair->destination_sql("SELECT parallel_pull_table('s', 'e', columns => '{id}')", user => 'alien');
refused('alien', 'a role that has pulled all rows into it is still refused');
$pair->destination_sql('DELETE FROM e WHERE v IS NULL');
appends('loader', 7, '… and the first one misses nothing by that');
whole('… which are there');
like(forgets('alien', 'forget'), qr/^ERROR: 42501/, '… nor can it forget now');
# Nor does one that has failed keep the first one from appending.
$pair->destination_sql('CREATE FUNCTION no_bad() RETURNS trigger LANGUAGE plpgsql AS'
    . q( 'BEGIN IF new.id = 100000 AND current_user = ''alien'' THEN RAISE EXCEPTION ''bad row''; END IF; RETURN new; END';)
    . 'CREATE TRIGGER no_bad BEFORE INSERT ON e FOR EACH ROW EXECUTE FUNCTION no_bad()');
$pair->source_sql("UPDATE e SET v = repeat('v', 1500) WHERE id <= 50000; ANALYZE e");
$pair->destination_sql('TRUNCATE e', user => 'keeper');
# hint: extension/worker/append.cpp: After parallel_pull_forget(
is(forgets('keeper', 'forget') =~ /^success: \d+$/ ? 'forgotten' : 'not', 'forgotten', 'the owner of the table forgets');
appends('loader', $pair->source_sql('SELECT count(*) FROM e'), '… and the first role begins anew');
like($pair->try_sql("SELECT parallel_pull_table('s', 'e', 'id', chunk_size => '64kB', workers => 1)", user => 'alien')->summary,
  qr/bad row/, 'a pull of another role fails');
cmp_ok($pair->pull->{chunks_done}, '>', 0, '… after some of its chunks');
$pair->destination_sql('TRUNCATE e');
is(forgets('keeper', 'keep') =~ /^success: \d+$/ ? 'kept' : 'not', 'kept', 'the owner of the table vouches for it');
$pair->destination_sql('DROP TRIGGER no_bad ON e');
grow('e', 4);
appends('loader', 4, '… the first one is not kept from appending by that pull');

# Marks whose role is not known are anybody's, as before; once forgotten, they are of who begins.
$pair->destination_sql('UPDATE parallel_loader.mark SET owner = NULL; DELETE FROM parallel_loader.pull');
grow('e', 2);
appends('alien', 2, 'a mark of nobody is for all who may insert');
grow('e', 2);
appends('loader', 2, '… for all of them');

# A role that is gone.
$pair->destination_sql('UPDATE parallel_loader.mark SET owner = 4294967295::oid::regrole');
grow('e', 2);
like(append_of('alien')->summary, qr/42501.*dropped role/s, 'a mark of a role that is dropped is for the owner of the table');
appends('keeper', 2, '… who appends');

$pair->nothing_left('at the end no worker and no session is left');
$pair->finish;
