# Options of a connection string that name files, which the server opens: who may set them, and that
# they name regular files alone.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";

use ParallelLoader::Test;
use PostgreSQL::Test::Utils;
use Test::More;

my $pair = ParallelLoader::Test->new(source => {hba => 'local all reader scram-sha-256'});
my $dsn = 'host=' . $pair->source->host . ' port=' . $pair->source->port
  . ' dbname=postgres user=reader password=secret';
$pair->source_sql(<<'SQL');
CREATE ROLE reader LOGIN PASSWORD 'secret';
CREATE TABLE t (id integer PRIMARY KEY);
INSERT INTO t SELECT generate_series(1, 3);
GRANT SELECT ON t TO reader;
SQL

my $files = PostgreSQL::Test::Utils::tempdir();
append_to_file("$files/root.crt", 'no certificate');
mkdir "$files/crls" or die;
append_to_file("$files/crls/one.r0", 'no list');
mkdir "$files/pipes" or die;
system('mkfifo', "$files/pipe", "$files/pipes/one.r0") == 0 or die;
chmod 0755, $files, "$files/crls", "$files/pipes" or die;
$pair->destination_sql(<<"SQL");
CREATE ROLE certifier LOGIN IN ROLE pg_read_server_files;
CREATE ROLE mallory LOGIN;
CREATE TABLE t (id integer PRIMARY KEY);
GRANT INSERT ON t TO certifier, mallory;
CREATE SERVER piped FOREIGN DATA WRAPPER dblink_fdw OPTIONS (host '@{[$pair->source->host]}',
  port '@{[$pair->source->port]}', dbname 'postgres', sslcrl '$files/pipe');
CREATE SERVER trusted FOREIGN DATA WRAPPER dblink_fdw OPTIONS (host '@{[$pair->source->host]}',
  port '@{[$pair->source->port]}', dbname 'postgres', sslrootcert '$files/root.crt');
CREATE USER MAPPING FOR mallory SERVER piped OPTIONS (user 'reader', password 'secret');
CREATE USER MAPPING FOR mallory SERVER trusted OPTIONS (user 'reader', password 'secret');
GRANT USAGE ON FOREIGN SERVER piped, trusted TO mallory;
SQL
$pair->grant_functions('certifier, mallory');
for my $option ("sslrootcert=$files/root.crt", "sslcrl=$files/root.crt", "sslcrldir=$files/crls") {
  my $call = $pair->pull_sql('t', undef, undef, {dsn => "$dsn sslmode=disable $option"});
  my ($keyword) = split /=/, $option;
  $pair->error_is($call, '42501', qr/permission denied.*"$keyword".*pg_read_server_files/s,
    "$keyword is not for everybody", user => 'mallory');
  for my $user ('certifier', 'postgres') {
    $pair->destination_sql('TRUNCATE t');
    is($pair->try_sql($call, user => $user)->summary, 'success: 3', "… $user may set it");
  }
}
for my $option ("sslrootcert=$files/pipe", 'sslcrl=/dev/zero', "sslcrldir=$files/pipes",
  "sslrootcert=$files", "sslcrldir=$files/pipe")
{
  my $call = $pair->pull_sql('t', undef, undef, {dsn => "$dsn sslmode=disable $option"});
  my ($keyword, $path) = split /=/, $option;
  $pair->error_is($call, '42809', qr/"$keyword" does not name a regular file/,
    "$keyword takes regular files alone" . ($path =~ /zero/ ? ', no device' : ''), user => $_)
    for 'certifier', 'postgres';
}
for my $option ("sslkey=$files/pipe", "sslcert=$files/pipe", "passfile=$files/pipe") {
  $pair->error_is($pair->pull_sql('t', undef, undef, {dsn => "$dsn sslmode=disable $option"}),
    '42809', qr/regular file/, "nor does a superuser's " . ($option =~ s/=.*//r));
}
$pair->destination_sql('TRUNCATE t');
$pair->error_is($pair->pull_sql('t', undef, undef, {dsn => 'piped'}), '42809',
  qr/regular file/, 'nor an option of a server that a superuser owns', user => 'mallory');
is($pair->try_sql($pair->pull_sql('t', undef, undef, {dsn => 'trusted'}),
    user => 'mallory')->summary, 'success: 3', '… which else is trusted');

$pair->nothing_left('no process or session is left');
$pair->finish;
