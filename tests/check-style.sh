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

sources() { files | grep -E '\.[ch]pp$' || true; }

shell_scripts() {
  files | while read -r file; do
    ! head -n 3 "$file" | grep -qE '^#!/bin/(ba)?sh|^# shellcheck shell' || echo "$file"
  done
}

python_files() {
  files | while read -r file; do
    [[ $file != *.py ]] && ! head -n 1 "$file" | tr -d '\0' | grep -q '^#!.*python3' || echo "$file"
  done
}

badly_formatted() {
  local file
  for file in $(sources); do
    clang-format --dry-run -Werror "$file" >/dev/null 2>&1 || echo "$file: clang-format -i $file"
  done
}

# The header of a pair says it for both.
without_first_line() {
  local file noun
  for file in $(sources); do
    [[ $file != *.cpp || ! -e ${file%.cpp}.hpp ]] || continue
    noun=$(basename "$file" | sed 's/\.[a-z]*$//')
    head -n 1 "$file" | grep -qE "^// ${noun}: .+" || echo "$file: the first line is not \"// $noun: …\""
  done
}

too_long() {
  local file lines
  for file in $(sources) $(shell_scripts) $(python_files) $(files | grep -E '\.p[lm]$' || true); do
    lines=$(wc -l <"$file")
    [[ $file != *.[ch]pp || $file == tests/* ]] || [ "$lines" -le 500 ] || echo "$file: $lines lines"
    [ "$lines" -le 700 ] || echo "$file: $lines lines"
  done
}

without_once() {
  local file
  for file in $(sources | grep 'hpp$'); do
    grep -q '^#pragma once$' "$file" || echo "$file"
  done
}

unscheduled() {
  local file
  for file in sql/*.sql; do
    [ -e "expected/$(basename "$file" .sql).out" ] || echo "$file has no expected output"
  done
  for file in expected/*.out; do
    [ -e "sql/$(basename "$file" .out).sql" ] || echo "$file belongs to no regression file"
  done
}

shared_numbers() { files | sed -nE 's:^tests/tap/([0-9]+)_.*\.pl$:\1:p' | uniq -d; }

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
  local file
  for file in $(files | grep -vE '^expected/|^tests/cli/.*\.(out|txt)$|^tests/fuzz/corpus/'); do
    grep -nIHE '[[:space:]]+$' "$file" | cut -c 1-100 || true
    [[ $file =~ (^|/)(Makefile|rules)$ ]] || grep -nIHP '\t' "$file" | cut -c 1-100 || true
  done
}

broken_scripts() {
  local file
  for file in $(shell_scripts); do
    bash -n "$file" 2>&1 || true
    if [ -n "$(command -v shellcheck)" ]; then shellcheck -x -P SCRIPTDIR "$file" 2>&1 || true; fi
  done
  for file in $(files); do
    [ "$(head -c 2 "$file" | tr -d '\0')" != '#!' ] || [ -x "$file" ] ||
      echo "$file begins with #! and is not executable"
  done
}

# Python is needed for bench/ alone.
broken_python() {
  local file
  [ -n "$(command -v python3)" ] || return 0
  for file in $(python_files); do
    python3 -c 'import ast, sys; ast.parse(open(sys.argv[1], encoding="utf-8").read(), sys.argv[1])' "$file" 2>&1 || true
  done
}

todo_without_issue() {
  local file
  for file in $(sources) $(python_files) $(files | grep -E '\.(sql|p[lm])$' || true); do
    grep -HnE '(TODO|FIXME)' "$file" | grep -vE 'TODO\(#[0-9]+\)' || true
  done
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
files | tests/check-words | report "one word for one thing, and no riddles"
tests/unnamed-hints | report "a test runs every hint with a call or a command"
todo_without_issue | report "each TODO names its issue"
exit "$failed"
