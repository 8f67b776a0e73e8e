# Plant: the two servers of the documentation's examples. On both is a database "plant", which each page
# finds anew: tests/docs/tables.sql on either side, with tests/docs/rows.sql on the source.
#
#   run_pages(grep { … } all_pages());
#
# DOCS_PAGES=README.md,docs/pulling.md leaves out the others.
package ParallelLoader::Plant;

use strict;
use warnings;

use Exporter 'import';
use ParallelLoader::Page;
use ParallelLoader::Test;
use PostgreSQL::Test::Utils;
use Test::More;

our @EXPORT = qw(all_pages run_pages);

sub all_pages { return ('README.md', 'CONTRIBUTING.md', sort glob 'docs/*.md') }

sub run_pages {
  my @wanted = split /,/, $ENV{DOCS_PAGES} // '';
  my @pages = grep { my $page = $_; !@wanted || grep { $_ eq $page } @wanted } @_;
  plan skip_all => 'other pages are wanted' unless @pages;
  my $plant = ParallelLoader::Plant->_new;
  $plant->_run($_) for @pages;
  $plant->{pair}->finish;
  return;
}

sub _new {
  my ($class) = @_;
  # Roles and the shell's services are those of the pages.
  my $pair = ParallelLoader::Test->new(retries => 1, extension => 0,
    source => {hba => 'local all reader,loader scram-sha-256', conf => "wal_level = logical\nmax_wal_senders = 4\n"},
    destination => {conf => "max_logical_replication_workers = 4\n"});
  my %nodes = (source => $pair->source, destination => $pair->destination);
  $_->safe_psql('postgres', 'CREATE DATABASE model') for values %nodes;
  $_->safe_psql('model', slurp_file('tests/docs/tables.sql')) for values %nodes;
  $nodes{source}->safe_psql('model', slurp_file('tests/docs/rows.sql'));
  $nodes{destination}->safe_psql('postgres', 'CREATE ROLE loader LOGIN');

  $ENV{PAGE_FOLDER} = PostgreSQL::Test::Utils::tempdir();
  $ENV{PGSERVICEFILE} = "$ENV{PAGE_FOLDER}/services";
  for my $service (['old', $nodes{source}], ['new', $nodes{destination}]) {
    my ($name, $node) = @$service;
    append_to_file($ENV{PGSERVICEFILE}, sprintf "[%s]\nhost=%s\nport=%d\ndbname=plant\n", $name, $node->host, $node->port);
  }
  $ENV{PGUSER} = 'postgres';
  $ENV{PATH} = (program_under_test() =~ s{/[^/]*$}{}r) . ":$ENV{PATH}";
  return bless {pair => $pair, nodes => \%nodes}, $class;
}

sub _run {
  my ($self, $path) = @_;
  my $source = $self->{nodes}{source};
  my $address = sprintf q(host '%s', port '%d'), $source->host, $source->port;
  my $page = ParallelLoader::Page->new($path, nodes => $self->{nodes}, database => 'plant',
    replace => [[q(host 'old.example.com'), $address],
      map { my $node = $self->{nodes}{$_->[1]}; [$_->[0], sprintf 'host=%s port=%d', $node->host, $node->port] }
        ['host=old.example.com', 'source'], ['host=new.example.com', 'destination']]);
  $self->_begin($address, slurp_file($path) !~ /^CREATE EXTENSION parallel_loader/m) if $page->has_runs;
  $page->run;
  return;
}

# Most pages take for given what README.md sets up.
sub _begin {
  my ($self, $address, $is_set_up) = @_;
  $_->safe_psql('postgres', 'DROP DATABASE IF EXISTS plant WITH (FORCE); CREATE DATABASE plant TEMPLATE model')
    for values %{$self->{nodes}};
  return unless $is_set_up;
  $self->{nodes}{destination}->safe_psql('plant', <<"SQL");
CREATE EXTENSION parallel_loader CASCADE;
CREATE SERVER old_server FOREIGN DATA WRAPPER dblink_fdw OPTIONS ($address, dbname 'plant');
CREATE USER MAPPING FOR CURRENT_USER SERVER old_server OPTIONS (user 'loader', password 'secret');
SQL
  return;
}

1;
