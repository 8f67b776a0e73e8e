# The same for docs/scheduling.md, whose scheduler runs its job once a minute.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../tap/lib";

use ParallelLoader::Plant;
use PostgreSQL::Test::Utils;
use Test::More;

my ($libraries) = run_command(['pg_config', '--pkglibdir']);
plan skip_all => 'pg_cron is not installed' unless -e "$libraries/pg_cron.so";
run_pages('docs/scheduling.md');
