# shellcheck shell=bash
# report: what the checks of the source print, for those that source this file. They set lastpipe, so that
# the end of a pipeline sets $failed of their own shell.

# report RULE: stdin lists what breaks it.
report() {
  local found
  found=$(cat)
  if [ -z "$found" ]; then
    echo "ok - $1"
  else
    echo "not ok - $1"
    while IFS= read -r line; do echo "#   $line"; done <<<"$found"
    # shellcheck disable=SC2034 # for the caller's exit
    failed=1
  fi
}
