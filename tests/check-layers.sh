#!/bin/bash
# Keeps longjmp and C++ apart, and the arrows of the design one way. Each rule is one line of output:
# "ok - rule", or "not ok - rule" followed by the lines that break it.
set -euo pipefail
shopt -s lastpipe # `… | forbid` sets $failed of this shell
cd "$(dirname "$0")/.."
failed=0
. tests/report.sh

# The sources below the given folders, without the file named by $except.
sources() {
  find "$@" -name '*.hpp' -o -name '*.cpp' 2>/dev/null | sort | grep -vxF "${except:-}" || true
}

# Prints file:line:code without string literals and comments.
# shellcheck disable=SC2016 # for awk
code() {
  xargs awk '{gsub(/"([^"\\]|\\.)*"/, "\"\""); sub(/\/\/.*/, ""); print FILENAME ":" FNR ":" $0}'
}

includes() { xargs grep -EHn '^ *# *include' || true; }

# forbid RULE PATTERN: the lines on stdin may not match.
forbid() {
  { grep -E "$2" || true; } | report "$1"
}

word() { printf '(^|[^A-Za-z0-9_])(%s)([^A-Za-z0-9_]|$)' "$1"; }

sources extension/server | code | forbid \
  "extension/server/ holds no C++ exception and no container" \
  "$(word 'throw|try|catch|std::(string|vector|map|set|deque|unique_ptr|shared_ptr|function|optional<std)')"

except=extension/bridge/boundary.hpp sources core extension | code | forbid \
  "PG_TRY and sigsetjmp stand in extension/bridge/boundary.hpp only" \
  "$(word 'PG_TRY|PG_CATCH|PG_FINALLY|sigsetjmp|siglongjmp')"

sources core | code | forbid \
  "core/ calls nothing of the server" \
  "$(word 'ereport|elog|palloc|palloc0|pfree|errmsg|CHECK_FOR_INTERRUPTS')"

except=extension/server/base/postgres.hpp sources core extension orchestrator tests | includes | forbid \
  "postgres.h is included by extension/server/base/postgres.hpp only" \
  '["<]postgres\.h[">]'

sources core | includes | forbid \
  "core/ includes nothing of extension/ and orchestrator/" \
  '"(extension|orchestrator)/'

sources extension | includes | forbid \
  "extension/ includes nothing of orchestrator/" \
  '"orchestrator/'

sources orchestrator | includes | forbid \
  "orchestrator/ includes nothing of extension/" \
  '"extension/'

sources core extension | code | forbid \
  "no libpq call blocks in core/ and extension/" \
  "$(word 'PQconnectdb|PQconnectdbParams|PQsetdbLogin|PQexec|PQexecParams|PQexecPrepared|PQprepare|PQreset|PQfn')|PQgetCopyData\([^)]*, *(0|false)\)"

# rooms PART ROOM...: each room of a part includes itself and the rooms before it, and no file lies
# outside of the rooms.
rooms() {
  local part=$1 seen='' room
  shift
  for room in "$@"; do
    seen+="${seen:+|}$room"
    grep -nHoE "^#include \"$part/[^\"]+/" "$part/$room"/*.[ch]pp | grep -vE "\"$part/($seen)/" || true
  done
  sources "$part" | grep -vE "^$part/($seen)/[^/]*$" || true
}

rooms core base connection source stream tuple plan ledger verify check | forbid \
  "rooms of core/ include those before them alone" '.'

rooms extension server/base server/sql server/shared server/process server/load bridge ledger worker \
  coordinator functions | forbid "rooms of extension/ include those before them alone" '.'

rooms orchestrator base tables run report display cli commands | forbid \
  "rooms of orchestrator/ include those before them alone" '.'

# A file-scope object with a destructor would run it at FATAL, in the middle of the server's exit.
sources core extension | code | forbid \
  "no static object with a destructor in the library" \
  '^[^:]+:[0-9]+: *(static|thread_local|inline)( (static|inline|const|thread_local))* std::(string|vector|map|set|unordered_map|unique_ptr|shared_ptr)[ <][^()]*(;|=|\{)'

# pure.hpp refuses to compile behind postgres.h; each core header must reach it.
except=core/base/pure.hpp sources core | grep 'hpp$' | { xargs grep -LE '^#include "core/' || true; } | forbid \
  "each header of core/ includes core/base/pure.hpp, itself or through another" '.'

exit "$failed"
