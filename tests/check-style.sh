#!/bin/bash
# Checks what a reader would else have to: format, first lines, lengths, versions, regression files.
# Each rule is one line of output: "ok - rule", or "not ok - rule" followed by what breaks it.
set -euo pipefail
shopt -s lastpipe nullglob # lastpipe: `… | report` sets $failed of this shell
cd "$(dirname "$0")/.."
failed=0
. tests/report.sh

# Every file of the repository, whether added to git yet or not; without git, all but what is built.
files() {
  {
    git -c safe.directory='*' ls-files --cached --others --exclude-standard 2>/dev/null ||
      find . -type f -not -path './.git/*' -not -path './build*' -not -name '*.[aod]' \
        -not -name '*.so' -not -name exports.list | sed 's:^\./::'
  } | while read -r file; do [ ! -f "$file" ] || echo "$file"; done | sort
}

mapfile -t every_file < <(files)

# matching REGEX: those whose path does.
matching() { printf '%s\n' "${every_file[@]}" | grep -E "$1" || true; }
sources() { matching '\.[ch]pp$'; }

# beginning LINES REGEX: files one of whose first lines matches. awk reads all files at once: a process
# for each file takes longer than what it does.
beginning() {
  # shellcheck disable=SC2016 # $0 is awk's
  printf '%s\0' "${every_file[@]}" |
    xargs -0 awk -v lines="$1" -v pattern="$2" \
      'FNR > lines { nextfile } $0 ~ pattern { print FILENAME; nextfile }'
}

shell_scripts() { beginning 3 '^#!/bin/(ba)?sh|^# shellcheck shell'; }

python_files() { { matching '\.py$' && beginning 1 '^#!.*python3'; } | sort -u; }

badly_formatted() {
  { sources | xargs -r -P "$(nproc)" -n 16 clang-format --dry-run -Werror 2>&1 || true; } |
    sed -nE 's/^([^: ]+):[0-9]+:[0-9]+: error: .*/\1: clang-format -i \1/p' | sort -u
}

# The header of a pair says it for both.
without_first_line() {
  local file files=()
  for file in $(sources); do
    if [[ $file != *.cpp || ! -e ${file%.cpp}.hpp ]]; then files+=("$file"); fi
  done
  awk 'FNR == 1 {
         noun = FILENAME
         sub(/.*\//, "", noun)
         sub(/\.[a-z]*$/, "", noun)
         if ($0 !~ "^// " noun ": .+")
           print FILENAME ": the first line is not \"// " noun ": …\""
         nextfile
       }' "${files[@]}"
}

too_long() {
  { sources && shell_scripts && python_files && matching '\.p[lm]$'; } | sort -u | xargs wc -l |
    awk '$2 == "total" { next }
         $2 ~ /\.[ch]pp$/ && $2 !~ /^tests\// && $1 > 500 || $1 > 700 { print $2 ": " $1 " lines" }'
}

without_once() { sources | grep 'hpp$' | xargs grep -L '^#pragma once$' || true; }

unscheduled() {
  local file
  for file in sql/*.sql; do
    [ -e "expected/$(basename "$file" .sql).out" ] || echo "$file has no expected output"
  done
  for file in expected/*.out; do
    [ -e "sql/$(basename "$file" .out).sql" ] || echo "$file belongs to no regression file"
  done
}

shared_numbers() { printf '%s\n' "${every_file[@]}" | sed -nE 's:^tests/tap/([0-9]+)_.*\.pl$:\1:p' | uniq -d; }

# The control file is the only place of the version; what must repeat it is compared with it.
wrong_versions() {
  local version script
  version=$(sed -nE "s/^default_version = '(.*)'$/\1/p" parallel_loader.control)
  # One full script, and a way to it from each version that there was.
  for script in extension/sql/*.sql; do
    case ${script##*/} in
      *--*--*.sql | "parallel_loader--$version.sql") ;;
      *) echo "$script belongs into tests/old_versions/" ;;
    esac
  done
  [ -e "extension/sql/parallel_loader--$version.sql" ] ||
    echo "extension/sql/ has no full script of version $version"
  for script in tests/old_versions/*.sql; do
    compgen -G "extension/sql/$(basename "$script" .sql)--*.sql" >/dev/null ||
      echo "extension/sql/ has no script that updates from ${script##*/}"
  done
  if grep -E '"version": "' META.json | grep -vE "\"($version\.[0-9]+|1\.0\.0)\""; then
    echo "META.json differs from version $version of the control file"
  fi
  grep -q "\"extension/sql/parallel_loader--$version.sql\"" META.json ||
    echo "META.json names another script than that of version $version"
  head -n 1 debian/changelog | grep -qF "($version." ||
    echo "debian/changelog does not begin with version $version"
  grep -qsE "^## (\[?Unreleased\]?|\[?$version(\.[0-9]+)?\]?)" CHANGELOG.md ||
    echo "CHANGELOG.md has no heading for version $version"
}

untidy_text() {
  local texts
  mapfile -t texts < <(printf '%s\n' "${every_file[@]}" | grep -vE '^expected/|^tests/cli/.*\.(out|txt)$|^tests/fuzz/corpus/')
  grep -nIHE '[[:space:]]+$' "${texts[@]}" | cut -c 1-100 || true
  mapfile -t texts < <(printf '%s\n' "${texts[@]}" | grep -vE '(^|/)(Makefile|rules)$')
  grep -nIHP '\t' "${texts[@]}" | cut -c 1-100 || true
}

broken_scripts() {
  local file
  for file in $(shell_scripts); do
    bash -n "$file" 2>&1 || true
    if [ -n "$(command -v shellcheck)" ]; then shellcheck -x -P SCRIPTDIR "$file" 2>&1 || true; fi
  done
  for file in $(beginning 1 '^#!'); do
    [ -x "$file" ] || echo "$file begins with #! and is not executable"
  done
}

# Python is needed for bench/ alone.
broken_python() {
  [ -n "$(command -v python3)" ] || return 0
  python_files | xargs -r python3 -c '
import ast, sys
for path in sys.argv[1:]:
    try:
        ast.parse(open(path, encoding="utf-8").read(), path)
    except SyntaxError as error:
        print(f"{path}: {error}")'
}

todo_without_issue() {
  { sources && python_files && matching '\.(sql|p[lm])$'; } | sort -u | xargs grep -HnE '(TODO|FIXME)' |
    grep -vE 'TODO\(#[0-9]+\)' || true
}

if clang-format --version | grep -q 'version 14\.'; then
  badly_formatted | report "clang-format agrees"
else
  echo "ok - clang-format agrees # skip: sources are formatted by version 14, this is $(clang-format --version)"
fi
without_first_line | report "the first line of each source says what the file is"
without_once | report "headers are guarded by #pragma once"
too_long | report "no source is longer than 500 lines, no other file than 700"
unscheduled | report "each regression file has its expected output"
shared_numbers | report "each file of tests/tap/ has a number of its own"
wrong_versions | report "versions agree with the control file"
tests/wrong-metadata | report "META.json follows PGXN's specification"
untidy_text | report "no tabs and no blanks at the end of a line"
broken_scripts | report "shell scripts are sound"
broken_python | report "Python files can be read by Python"
tests/broken-links | report "links and sources that the documentation names are there, and README leads to each page"
printf '%s\n' "${every_file[@]}" | tests/check-words | report "one word for one thing, and no riddles"
tests/unnamed-hints | report "a test runs every hint with a call or a command"
todo_without_issue | report "each TODO names its issue"
exit "$failed"
