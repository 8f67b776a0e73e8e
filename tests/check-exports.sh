#!/bin/bash
# Compares the symbols that the library exports with those that the server may look up: what the SQL
# scripts name, the entry points of background workers, and the two of every module.
# Usage: tests/check-exports.sh [LIBRARY]
set -euo pipefail
shopt -s lastpipe # `… | report` sets $failed of this shell
cd "$(dirname "$0")/.."
library=${1:-parallel_loader.so}

sql_functions() {
  grep -hoE "'MODULE_PATHNAME', *'[a-z0-9_]+'" extension/sql/*.sql tests/old_versions/*.sql | sed -E "s/.*'([a-z0-9_]+)'$/\1/" | sort -u
}

# A background worker's entry point is named by a string in the code.
worker_mains() {
  grep -rhoE '"parallel_loader_[a-z_]+_main"' extension --include='*.cpp' --include='*.hpp' | tr -d '"' | sort -u
}

expected() {
  echo Pg_magic_func
  echo _PG_init
  worker_mains
  sql_functions | sed -E 's/(.*)/\1\npg_finfo_\1/'
}

exported() { nm -D --defined-only "$library" | awk '{print $NF}'; }

failed=0
. tests/report.sh
comm -23 <(expected | sort -u) <(exported | sort -u) | report "the library exports all that the server looks up"
comm -13 <(expected | sort -u) <(exported | sort -u) | report "the library exports nothing else"
exit "$failed"
