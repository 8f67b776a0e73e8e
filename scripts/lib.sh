# lib: what the scripts share: packages, builds, throwaway clusters, clean-up.
# shellcheck shell=bash

repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
work= # the run's folder under /tmp, removed at the end; set by make_work_folder
mounted=() # file systems below it

say() { printf '%s\n' "$*"; }

die() {
  printf '%s: %s\n' "${0##*/}" "$*" >&2
  exit 1
}

# The major version of PostgreSQL that this release of the distribution ships.
shipped_version() {
  # shellcheck source=/dev/null
  case $(. /etc/os-release && echo "$ID $VERSION_ID") in
    "debian 12") echo 15 ;;
    "debian 13") echo 17 ;;
    "ubuntu 24.04") echo 16 ;;
    *) die "knows the packages of Debian 12 and 13 and of Ubuntu 24.04: set PG_CONFIG" ;;
  esac
}

# The caller's PGHOST, PGSERVICE, … must not send our sessions to another server.
pg_config_given=${PG_CONFIG:-}
unset "${!PG@}"
PG_CONFIG=${pg_config_given:-/usr/lib/postgresql/$(shipped_version)/bin/pg_config}
export LC_ALL=C.UTF-8 # part of Debian's C library: needs no package, reads UTF-8

is_root() { [ "$(id -u)" = 0 ]; }

as_root() {
  if is_root; then "$@"; else sudo "$@"; fi
}

# PostgreSQL refuses to run as root: its programs then run as the user that Debian's package creates.
# From / because that user may not enter the current folder.
as_server() (
  cd /
  if is_root; then exec runuser -u postgres -- env HOME="$work" "$@"; else exec "$@"; fi
)

# The server's folders sit below $work, which its user owns.
make_work_folder() {
  work=$(mktemp -d /tmp/parallel-loader.XXXXXX)
  trap clean_up EXIT
  trap 'exit 129' HUP
  trap 'exit 130' INT
  trap 'exit 143' TERM
  mkdir "$work/log"
}

# To be called once the server's packages are there: only then its user exists.
give_work_folder() {
  if is_root; then chown postgres: "$work"; fi
}

# Ends a job of ours with all that it started.
end_group() {
  local tenths
  [ -n "$1" ] || return 0
  kill -TERM -- "-$1"
  for ((tenths = 0; tenths < 50; tenths++)); do
    kill -0 -- "-$1" || return 0
    sleep 0.1
  done
  kill -KILL -- "-$1"
}

# Stops what runs and removes what was made. Clusters are found by their folders, so that one of a
# test that was killed is stopped too.
clean_up() {
  local status=$? pid_file folder
  trap '' HUP INT TERM
  set +e
  end_group "${stage_pid:-}" 2>/dev/null
  while read -r pid_file; do
    as_server "$pg_bin/pg_ctl" stop -s -m immediate -D "$(dirname "$pid_file")"
  done < <(find "$work" -name postmaster.pid) >/dev/null 2>&1
  for folder in "${mounted[@]}"; do as_root umount -l "$folder"; done
  rm -rf "$work"
  if [ "$status" != 0 ]; then eval "${on_failure:-}"; fi
  exit "$status"
}

# Runs a command with its output in a log; shows the log's end only when it fails.
quietly() {
  local name=$1
  shift
  if ! "$@" >"$work/log/$name" 2>&1 </dev/null; then
    tail -n 60 "$work/log/$name" | cut -c 1-300 >&2
    die "$name failed: $*"
  fi
}

# NN in the name of a package stands for the version of the server that PG_CONFIG names. Where that
# server is of no package, only the user that it runs as is needed.
missing_packages() {
  local package version
  version=$(sed -nE 's:^/usr/lib/postgresql/([0-9]+)/bin/pg_config$:\1:p' <<<"$PG_CONFIG")
  for package in "$@"; do
    [[ $package != *NN* || -n $version ]] || package=postgresql-common
    package=${package/NN/$version}
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || echo "$package"
  done | sort -u
}

# Installs what is missing of the named packages; asks the network nothing when none is.
install_packages() {
  local missing drop_in=/etc/postgresql-common/createcluster.d/parallel_loader.conf
  mapfile -t missing < <(missing_packages "$@")
  [ "${#missing[@]}" -gt 0 ] || return 0
  say "installing ${missing[*]}"
  is_root || command -v sudo >/dev/null || die "needs root or sudo to install packages"
  # Debian's package would create and start a cluster "main", which nobody asked for.
  as_root mkdir -p "${drop_in%/*}"
  echo 'create_main_cluster = false' | as_root tee "$drop_in" >/dev/null
  quietly apt-get-update as_root apt-get update -q
  quietly apt-get-install as_root env DEBIAN_FRONTEND=noninteractive \
    apt-get install -q -y --no-install-recommends -o DPkg::Lock::Timeout=300 "${missing[@]}"
  as_root rm -f "$drop_in"
}

find_server() {
  [ -x "$PG_CONFIG" ] || die "$PG_CONFIG does not exist"
  pg_bin=$("$PG_CONFIG" --bindir)
  PATH=$pg_bin:$PATH
}

# Name and version of the server that is tested.
server_words() {
  local assertions=
  [[ $("$PG_CONFIG" --configure) != *--enable-cassert* ]] || assertions=", with assertions"
  echo "$("$PG_CONFIG" --version | cut -d ' ' -f 2-)$assertions"
}

build_extension() {
  quietly build-extension make -s -C "$repo" -j "$(nproc)" PG_CONFIG="$PG_CONFIG"
}

build_test_module() {
  quietly build-test-module make -s -C "$repo" -j "$(nproc)" test-module PG_CONFIG="$PG_CONFIG"
}

# With $OLD_VERSIONS=1 also the scripts of older versions, which tests update from.
install_extension() {
  quietly install-extension as_root make -s -C "$repo" install PG_CONFIG="$PG_CONFIG" \
    OLD_VERSIONS="${OLD_VERSIONS:-}"
}

# copy_tree FOLDER: the repository's files, without what was built.
copy_tree() {
  mkdir -p "$1"
  tar -C "$repo" -c --exclude=./.git --exclude='./build*' --exclude='*.[aod]' --exclude='*.so' \
    --exclude=./exports.list --exclude=./tmp_check --exclude=./results . | tar -C "$1" -x
}

# build_program FOLDER [CMAKE_OPTION…]: builds below build/ in the repository; $target alone, if set.
build_program() {
  local folder=$repo/build/$1
  shift
  quietly "cmake-${folder##*/}" cmake -S "$repo" -B "$folder" -G Ninja "$@"
  quietly "build-${folder##*/}" cmake --build "$folder" ${target:+--target "$target"}
}

# start_cluster NAME [SETTING…]: a cluster in $work/NAME that only this user's socket reaches, so
# "trust" opens it to nobody else, and no port can be taken already.
start_cluster() {
  local folder=$work/$1 setting
  shift
  as_server mkdir -m 700 "$folder"
  quietly "initdb-${folder##*/}" as_server initdb -D "$folder/data" -U postgres --auth=trust \
    --no-locale --encoding=UTF8
  for setting in "listen_addresses = ''" "unix_socket_directories = '$folder'" "$@"; do
    echo "$setting"
  done | as_server tee -a "$folder/data/postgresql.conf" >/dev/null
  quietly "start-${folder##*/}" as_server pg_ctl start -w -D "$folder/data" -l "$folder/log"
}

stop_cluster() {
  quietly "stop-$1" as_server pg_ctl stop -m fast -D "$work/$1/data"
}
