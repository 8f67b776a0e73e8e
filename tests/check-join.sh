#!/bin/bash
# Looks at the syntax tree of each folder of extension/: the server is called where its longjmp skips no
# C++ frame (tests/join/calls.query says where that is). One line of output a folder.
# Usage: tests/check-join.sh PG_CONFIG CACHE, a folder for those that were right when last looked at
set -euo pipefail
cd "$(dirname "$0")/.."
pg_config=$1
cache=$2

# breaches FILE: the lines that break the rules; the status is that of the compiler's front end.
breaches() {
  local found status=0
  found=$(clang-query -f tests/join/calls.query "$1" -- -std=c++20 -I. '-DPARALLEL_LOADER_VERSION=""' \
    -isystem "$("$pg_config" --includedir-server)" -isystem "$("$pg_config" --includedir)" 2>&1) || status=$?
  grep -E 'error:|"root" binds here' -A 1 <<<"$found" | grep -v '^--' | sort -u || true
  return $status
}

check_folder() {
  local file=$cache/${1//\//_}.cpp seen found status=0
  tests/folder-as-one "$1" >"$file"
  seen=$cache/$({ echo "$headers" && cat "$1"/*.cpp; } | sha256sum | cut -c 1-40)
  if [ ! -e "$seen" ]; then
    found=$(breaches "$file") || status=$?
    if [ -n "$found" ] || [ "$status" != 0 ]; then
      printf '%s\nnot ok - %s/ calls the server in the right places\n' "$found" "$1"
      return
    fi
    touch "$seen"
  fi
  echo "ok - $1/ calls the server in the right places"
}

mkdir -p "$cache"
headers=$(find tests/join core extension -name '*.hpp' -o -name calls.query | sort | xargs cat | sha256sum)
export pg_config cache headers
export -f breaches check_folder
find extension -name '*.cpp' -printf '%h\n' | sort -u |
  xargs -P "$(nproc)" -I {} bash -c 'check_folder "$@"' check {}

# What the query misses, it would miss everywhere.
expected=$(grep -n '// breach' tests/join/broken.cpp | cut -d : -f 1)
found=$(breaches tests/join/broken.cpp | sed -nE 's|.*tests/join/broken\.cpp:([0-9]+):.*|\1|p' | sort -nu)
if [ "$found" = "$expected" ]; then
  echo "ok - calls in the wrong places are found"
else
  echo "not ok - calls in the wrong places are found: in lines ${found//$'\n'/, } instead of ${expected//$'\n'/, }"
fi
