# A root folder with a Debian and these packages, from where this machine has its own:
# root.sh DIR SUITE|own PACKAGES [LATER]
#
#   LATER      packages that its package manager has at hand, with what they need, and has not installed
#   DIR.whole is written last: a folder without it is made again
set -eu
dir=$1 suite=$2 packages=$3 later=${4-}
mkdir -p "$(dirname "$dir")"
# Of two that want it one makes it and the other waits.
exec 9>"$dir.lock"
flock 9
[ -e "$dir.whole" ] && exit 0
rm -rf "$dir"

fail() { echo "$*" >&2; exit 1; }
command -v debootstrap >/dev/null || fail "debootstrap is missing (Debian: apt-get install debootstrap)"
mirror=$(apt-get indextargets --format '$(SITE)' | head -n 1)
[ "$suite" = own ] && suite=$(apt-get indextargets --format '$(RELEASE)' | head -n 1)
[ -n "$mirror" ] || fail "this machine knows no Debian packages: run apt-get update"
# An older debootstrap does not know the suite by name; all newer ones are laid out alike.
debootstrap --variant=minbase --include="$packages" "$suite" "$dir" "$mirror" /usr/share/debootstrap/scripts/sid \
    >"$dir.log" 2>&1 ||
    fail "debootstrap of $suite: $(tail -n 3 "$dir.log")"
rm -rf "$dir"/var/cache/apt/archives/*.deb
# This machine's settings may say that no cache is kept, by a name that is a folder there.
apt() {
    apt-get -qq --option RootDir="$dir" --option APT::Sandbox::User=root --option Dir::Cache::pkgcache=pkgcache.bin \
        --option Dir::Cache::srcpkgcache=srcpkgcache.bin "$@" >>"$dir.log" 2>&1
}
if [ -n "$later" ]; then
    # shellcheck disable=SC2086 # Several words.
    apt update && apt install --yes --no-install-recommends --download-only $later ||
        fail "download of $later: $(tail -n 3 "$dir.log")"
fi
: >"$dir.whole"
