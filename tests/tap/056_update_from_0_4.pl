# An update from 0.4: see lib/update_from.pl.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";

use ParallelLoader::Test;

our $FROM = '0.4';
require 'update_from.pl';
