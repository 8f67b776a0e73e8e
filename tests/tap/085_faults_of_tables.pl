# Faults of single tables among many: the others are loaded, each fault is named with the command that
# goes on with that table, and once its cause is gone, the command does.

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

my $pair = ParallelLoader::Test->new(source => {hba => 'local all mover scram-sha-256'});
$ENV{PGPASSFILE} = PostgreSQL::Test::Utils::tempdir() . '/passwords';
append_to_file($ENV{PGPASSFILE}, "*:*:*:mover:secret\n");
chmod 0600, $ENV{PGPASSFILE};
my ($source, $destination) = map { $_->connstr('postgres') . ' user=mover' } $pair->source, $pair->destination;

my $TABLE = '(id integer PRIMARY KEY, note text)';
my @sound = map { "sound_$_" } 1 .. 12;
$pair->both_sql(join '', q(CREATE ROLE mover LOGIN PASSWORD 'secret';), map { "CREATE TABLE $_ $TABLE;" } @sound,
  qw(big_disk unreadable unwritable));
$pair->source_sql(<<'SQL');
CREATE TYPE mood AS ENUM ('glad', 'sad');
CREATE TABLE no_type (id integer PRIMARY KEY, note mood);
CREATE TABLE no_label (id integer PRIMARY KEY, note mood);
CREATE TABLE twice (id integer PRIMARY KEY, note text);
CREATE TABLE checked (id integer PRIMARY KEY, note text);
CREATE TABLE short (id integer PRIMARY KEY, note text);
CREATE TABLE nowhere (id integer PRIMARY KEY, note text);
SQL
$pair->destination_sql(<<'SQL');
CREATE TYPE mood AS ENUM ('glad');
CREATE TABLE no_label (id integer PRIMARY KEY, note mood);
CREATE TABLE twice (id integer PRIMARY KEY, note text UNIQUE);
CREATE TABLE checked (id integer PRIMARY KEY, note text CHECK (note <> '2999'));
CREATE TABLE short (id integer PRIMARY KEY, note varchar(3));
SQL
my @broken = qw(no_label twice checked short big_disk unreadable unwritable nowhere);
$pair->source_sql(join '', (map { "INSERT INTO $_ SELECT i, i FROM generate_series(1, 3000) AS i;" } @sound,
    qw(twice checked short unreadable unwritable nowhere)), <<'SQL');
INSERT INTO no_label SELECT i, CASE WHEN i < 1500 THEN 'glad' ELSE 'sad' END::mood FROM generate_series(1, 3000) AS i;
INSERT INTO no_type SELECT i, 'sad' FROM generate_series(1, 3000) AS i;
INSERT INTO big_disk SELECT i, repeat('d', 1000) FROM generate_series(1, 3000) AS i;
UPDATE twice SET note = 1 WHERE id = 2999;
GRANT SELECT ON ALL TABLES IN SCHEMA public TO mover;
REVOKE SELECT ON unreadable FROM mover;
ANALYZE;
SQL
$pair->destination_sql('GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA public TO mover; REVOKE INSERT ON unwritable FROM mover');
$pair->grant_functions('mover');
my $disk = ParallelLoader::SmallDisk->new;
if ($disk) {
  $disk->take_table($pair, 'big_disk');
  $disk->fill;
} else {
  note 'no small disk is mounted';
  @broken = grep { $_ ne 'big_disk' } @broken;
  push @sound, 'big_disk';
}

sub copy { return run_program('copy', '--source', $source, '--target', $destination, '--jobs', 2, @_) }

# What was said of each table, and the command in it.
sub faults {
  my ($run) = @_;
  my %fault;
  for my $part (split /^parallel-loader: error: /m, $run->{err}) {
    my ($table) = $part =~ /^(?:table "public\.|public\.)(\w+)/ or next;
    $fault{$table} = {said => $part, command => $part =~ /^parallel-loader: hint: Continue with this table: (.*)$/m ? $1 : undef};
  }
  return \%fault;
}

# no_type is a table that pg_dump could not create, because the type was not there.
my $run = copy('--all');
is($run->{code}, 1, 'tables with faults: exits with 1');
my $fault = faults($run);
is(join(' ', sort keys %$fault), join(' ', sort @broken, 'no_type'), 'each fault is named') or diag $run->{err};
$pair->same_rows("SELECT * FROM $_", "$_ is loaded") for @sound;
like($run->{out} . $run->{err}, qr/@{[scalar @sound]} loaded, @{[@broken + 1]} failed/, 'the summary counts both');

my %SAYS = (
  no_label => qr/invalid input value for enum.*"sad"/, twice => qr/duplicate key.*Key \(note\)=\(1\)/s,
  checked => qr/violates check constraint/, short => qr/value too long/, big_disk => qr/could not extend file/,
  unreadable => qr/permission denied.*unreadable/, unwritable => qr/permission denied.*unwritable/,
  nowhere => qr/does not exist on the destination/, no_type => qr/does not exist on the destination/);
for my $table (@broken, 'no_type') {
  like($fault->{$table}{said} // '', $SAYS{$table}, "$table: the reason");
  my $rows = $SAYS{$table} =~ /does not exist/ ? 0 : $pair->destination_sql("SELECT count(*) FROM $table");
  is($rows, 0, '… and no row of the chunk that failed is there');
}

# ---- the causes are removed ----

$disk->make_room if $disk;
for my $case (['unreadable', 'source'], ['unwritable', 'destination']) {
  my ($table, $side) = @$case;
  my ($grant) = $fault->{$table}{said} =~ /(GRANT .*);$/m;
  ok($grant, "$table: it says what to grant") or diag $fault->{$table}{said};
  $side eq 'source' ? $pair->source_sql($grant) : $pair->destination_sql($grant) if $grant;
}
$pair->destination_sql(<<'SQL');
ALTER TYPE mood ADD VALUE 'sad';
ALTER TABLE twice DROP CONSTRAINT twice_note_key;
ALTER TABLE checked DROP CONSTRAINT checked_note_check;
ALTER TABLE short ALTER note TYPE text;
CREATE TABLE nowhere (id integer PRIMARY KEY, note text);
CREATE TABLE no_type (id integer PRIMARY KEY, note mood);
GRANT SELECT, INSERT ON nowhere, no_type TO mover;
SQL
for my $table (@broken, 'no_type') {
  my $command = $fault->{$table}{command} // 'false';
  my $again = shell($command);
  is($again->{code}, 0, "$table: goes on by the command that was printed") or diag $command, $again->{err};
  $pair->same_rows("SELECT * FROM $table", '… and has every row once');
}
$pair->nothing_left('no process or session is left');

$pair->finish;
