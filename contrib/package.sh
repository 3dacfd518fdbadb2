#!/usr/bin/env bash
# Makes the Debian package: contrib/package.sh [--programs DIR] [--version VERSION] [OUTPUT-DIR]
#
# Without --programs it builds swarmrsd and docker-swarmrs first, as they are shipped. The package file's name is the last
# line of the output. What goes where is contrib/debian and the list in lay_out.
set -euo pipefail

top=$(cd "$(dirname "$0")/.." && pwd)
programs=
version=
output=.

fail() {
    printf 'package: %s\n' "$*" >&2
    exit 1
}

while [ $# -gt 0 ]; do
    case $1 in
    --programs) programs=${2:?} && shift 2 ;;
    --version) version=${2:?} && shift 2 ;;
    -*) fail "unknown argument $1" ;;
    *) output=$1 && shift ;;
    esac
done
command -v dpkg-deb >/dev/null || fail "needs dpkg-deb"

build() {
    (cd "$top" && cargo build --release -p swarmrs-apiproxy -p docker-swarmrs) >&2
    programs=$(cd "$top" && cargo metadata --format-version 1 --no-deps |
        sed -n 's/.*"target_directory":"\([^"]*\)".*/\1/p')/release
}

put() { install -D -m "$1" "$2" "$root/$3"; }

lay_out() {
    put 755 "$programs/swarmrsd" usr/bin/swarmrsd
    put 755 "$programs/docker-swarmrs" usr/libexec/docker/cli-plugins/docker-swarmrs
    put 755 "$top/contrib/takeover.sh" usr/sbin/swarmrs-takeover
    local file doc=usr/share/doc/swarmrs
    for file in "$top"/contrib/systemd/*; do
        put 644 "$file" "lib/systemd/system/$(basename "$file")"
    done
    put 644 "$top/contrib/debian/default" etc/default/swarmrsd
    put 644 "$top/README.md" $doc/README.md
    put 644 "$top/CHANGELOG.md" $doc/CHANGELOG.md
    put 644 "$top/LICENSE" $doc/copyright
    for file in "$top"/docs/operations/*.md; do
        put 644 "$file" "$doc/operations/$(basename "$file")"
    done
}

describe() {
    local size
    size=$(du --summarize --block-size 1K "$root" | cut -f1)
    mkdir "$root/DEBIAN"
    sed "s/@VERSION@/$version/; s/@ARCHITECTURE@/$architecture/; s/@SIZE@/$size/" "$top/contrib/debian/control" \
        >"$root/DEBIAN/control"
    install -m 644 "$top/contrib/debian/conffiles" "$root/DEBIAN/conffiles"
    for script in postinst prerm postrm; do
        install -m 755 "$top/contrib/debian/$script" "$root/DEBIAN/$script"
    done
}

[ -n "$programs" ] || build
[ -n "$version" ] || version=$(sed -n 's/^version = "\(.*\)"/\1/p' "$top/Cargo.toml" | head -1)
architecture=$(dpkg --print-architecture)
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
chmod 755 "$root"
lay_out
describe
mkdir -p "$output"
package=$output/swarmrs_${version}_$architecture.deb
dpkg-deb --root-owner-group -Zgzip -z1 --build "$root" "$package" >/dev/null
echo "$package"
