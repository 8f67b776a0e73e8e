# packages: what scripts/test does in its stage `package`: Debian's packages and the archive for PGXN.
# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154 # variables of scripts/test and of lib.sh

packages_of_packages=(debhelper lintian postgresql-server-dev-all unzip util-linux)

# In $work/package/tree, as the server's user: a package is not built as root.
build_packages() {
  local folder=$work/package
  copy_tree "$folder/tree"
  if is_root; then chown -R postgres: "$folder"; fi
  # The committed control file names the server of Debian 12.
  in_packages pg_buildext updatecontrol
  # Not optimized: half the time.
  quietly dpkg-buildpackage in_packages env DEB_BUILD_OPTIONS="parallel=$(nproc) noopt" dpkg-buildpackage -us -uc -b
}

# In the tree that is built, with nothing of this user's environment.
in_packages() {
  as_server env -i --chdir "$work/package/tree" HOME="$work" LC_ALL=C.UTF-8 PATH=/usr/sbin:/usr/bin:/sbin:/bin "$@"
}

# The package of the extension for the newest server that this distribution has.
extension_package() { sed -n 's/^Package: \(postgresql-.*\)/\1/p' "$work/package/tree/debian/control" | tail -n 1; }

# files_of PACKAGE: but for those below /usr/share/doc.
files_of() {
  dpkg-deb --fsys-tarfile "$work/package/$1"_*.deb | tar -t | sed -n 's:^\.\(.*[^/]\)$:\1:p' |
    grep -v '^/usr/share/doc/' | sort
}

has_files() {
  local package=$1
  shift
  diff -u --label expected --label "$package" <(printf '%s\n' "$@" | sort) <(files_of "$package")
}

extension_has_files() {
  local package version share files=()
  package=$(extension_package)
  version=${package//[^0-9]/}
  share=/usr/share/postgresql/$version/extension
  mapfile -t files < <(cd "$repo/extension/sql" && printf "$share/%s\n" *.sql)
  has_files "$package" "/usr/lib/postgresql/$version/lib/parallel_loader.so" \
    "$share/parallel_loader.control" "${files[@]}"
}

program_has_files() {
  has_files parallel-loader /usr/bin/parallel-loader \
    /usr/share/bash-completion/completions/parallel-loader \
    /usr/share/fish/vendor_completions.d/parallel-loader.fish \
    /usr/share/man/man1/parallel-loader.1.gz \
    /usr/share/zsh/vendor-completions/_parallel-loader
}

# The tag left out asks for the bug report by which a package comes into Debian.
lintian_finds_nothing() {
  in_packages sh -c 'lintian --fail-on error,warning --suppress-tags initial-upload-closes-no-bugs ../*.changes'
}

# The archive holds what is committed, no more and no less.
archive_has_files() {
  local name
  # A copy of the tree has no commits.
  [ -e "$repo/.git" ] || return 0
  name=parallel_loader-$(sed -n 's/^  "version": "\(.*\)",$/\1/p' "$repo/META.json")
  make -s -C "$repo" dist PG_CONFIG="$PG_CONFIG" DIST_FOLDER="$work"
  diff -u --label committed --label "$name.zip" <(git -C "$repo" ls-tree -r --name-only HEAD | sed "s:^:$name/:" | sort) \
    <(unzip -Z1 "$work/$name.zip" | grep -v '/$' | sort)
}

# Installs, tests and removes the packages in a copy of this system that is thrown away: what is written
# goes to memory.
try_packages() {
  local copy=$work/copy
  mkdir -p "$copy"
  as_root unshare -m true || {
    echo "ok - the packages install # skip nothing can be mounted here"
    return 0
  }
  # shellcheck disable=SC2016
  as_root unshare -m -p -f --kill-child bash -euc '
    mount -t tmpfs packages "$1"
    mkdir "$1"/{upper,work,root}
    mount -t overlay packages "$1/root" -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work"
    mount -t proc proc "$1/root/proc"
    mount --rbind /dev "$1/root/dev"
    mount -t tmpfs run "$1/root/run"
    install -d -o postgres -m 2775 "$1/root/run/postgresql"
    install -d -m 1777 "$1/root/tmp"
    mkdir "$1/root/packages"
    mount --bind "$2" "$1/root/packages"
    exec chroot "$1/root" bash -uc "$3"' bash "$copy" "$work/package" \
    "$(declare -f built install_and_remove is_gone); install_and_remove"
}

install_and_remove() {
  local packages package debs=() tests test files
  # What was installed by hand is no part of the copy.
  rm -f /usr/lib/postgresql/*/lib/parallel_loader.so /usr/share/postgresql/*/extension/parallel_loader*
  cd /packages/tree || return
  mapfile -t packages < <(sed -n 's/^Package: //p' debian/control)
  for package in "${packages[@]}"; do debs+=(../"$package"_*.deb); done
  built "the packages install" dpkg -i "${debs[@]}"
  mapfile -t tests < <(sed -n 's/^Tests: //p' debian/tests/control)
  for test in "${tests[@]}"; do
    built "debian/tests/$test" runuser -u "$(stat -c %U .)" -- env HOME=/tmp "debian/tests/$test"
  done
  mapfile -t files < <(dpkg -L "${packages[@]}" | grep -E '/parallel[-_]loader|/postgresql-[0-9]+-parallel-loader')
  built "they are removed" dpkg --purge "${packages[@]}"
  built "nothing of them is left" is_gone "${files[@]}"
}

# is_gone FILE…: prints those that are there.
is_gone() {
  local file status=0
  [ $# -gt 0 ] || return
  for file in "$@"; do
    if [ -e "$file" ]; then
      echo "$file"
      status=1
    fi
  done
  return $status
}

stage_package() {
  built "dpkg-buildpackage builds the packages" build_packages
  compgen -G "$work/package/*.deb" >/dev/null || return
  built "the extension's package has its files and no others" extension_has_files
  built "the program's package has its files and no others" program_has_files
  built "lintian finds nothing" lintian_finds_nothing
  try_packages || echo "not ok - the packages are tried in a copy of this system"
  built "make dist: the archive has the committed files" archive_has_files
}
