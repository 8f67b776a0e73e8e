# The guides' examples work as they are written there, and print what the pages show: see
# ParallelLoader::Page and ParallelLoader::Plant.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../tap/lib";

use ParallelLoader::Plant;

run_pages(map { "docs/$_.md" } qw(append-only beside-pg-dump busy-tables it-failed monitoring new-cluster whole-database));
