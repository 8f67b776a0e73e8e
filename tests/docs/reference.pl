# The same for all pages but those of guides.pl and scheduling.pl.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../tap/lib";

use ParallelLoader::Plant;

run_pages(grep { !m{^docs/(?:append-only|beside-pg-dump|busy-tables|it-failed|monitoring|new-cluster|scheduling|whole-database)\.md$} } all_pages());
