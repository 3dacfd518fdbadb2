#!/usr/bin/env bash
# All tests of swarmrs, from formatting to real clusters: contrib/test.sh [--all] [--only PART]... [--list]
#
# Works in a clone with nothing beside it. On Debian, as root, it installs what is missing. It needs root: real hosts
# are made of namespaces and a stock dockerd each; without root it fails, it does not skip.
# Ends with the line "N passed, M failed", which counts single tests and, for parts without any, the part. What cannot run
# here says so in a line "skipped: WHAT: WHY"; those are told before the end and not counted.
set -uo pipefail
cd "$(dirname "$0")/.." || exit

# Part, and what it tries.
PARTS=(
    "fmt          formatting"
    "clippy       lints, on all targets, warnings denied"
    "deny         licences, bans and sources of what we depend on (if cargo-deny is there)"
    "unit         every crate's own tests"
    "simulation   agreement in 500 simulated worlds"
    "layers       who imports whom"
    "scripts      what shellcheck says of contrib"
    "testbed      the hosts that the following parts stand on"
    "proxy        the engine through swarmrsd"
    "never        what is ours never reaches the engine"
    "services     services by the stock command"
    "network      overlay networks, names, virtual addresses, published ports and stacks by the stock command"
    "leaks        fifty rounds of networks, services and containers leave nothing"
    "net-users    networks beyond the ordinary: updates under load, bad input, ways out, IPv6, HAProxy, other people's readers"
    "holder       what holds the networks: swarmrsd killed, it killed, replaced, gone with the swarm"
    "engines      the network's main course on the machine's engine and on Docker 28.5 (made by debootstrap), and engines with live-restore"
    "jobs         jobs and generic resources in real containers"
    "adoption     kill -9 of swarmrsd at many moments"
    "engine       an engine that is absent, or in a swarm of its own"
    "autolock     locked managers, and a swarm brought to another host"
    "seen         status, metrics, health and the flight recorder, as an operator sees them"
    "units        the systemd units on a machine with systemd"
    "takeover     contrib/takeover.sh, undone from wherever it may have died"
    "package      the Debian package: upgraded over running tasks, purged"
    "operations   the operator pages, run"
    "addresses    nodes at addresses and ports of their choice, and nodes whose address changes"
    "install      contrib/install on a bare Debian (made by debootstrap), which then joins a swarm"
    "reboot       shutdowns and power cuts of a machine, boot in either order"
    "payload      secrets and configs in containers, beside the stock swarm, and nowhere else"
    "socket       a service that mounts the engine's socket"
    "tls          the stock command over TCP with certificates"
    "beside       prunes, removals and Compose beside the swarm"
    "secrets-log  no secret in the log, the flight recorder, or memory once nobody needs it"
    "data-root    a changed byte or a newer format of any file in it, a log on sled, a full disk"
    "transcripts  the same scenario on the stock swarm and on ours"
    "cluster      three managers and two workers: joined, asked, lost, cut off, with bad disks and clocks, their root rotated, beside the stock swarm"
    "mixed        the previous landing's daemon and this tree's in one swarm, upgraded under writes (builds the former out of git's history)"
    "fields       every flag of services, what is refused, and a course, on both swarms; younger fields on Docker 28.5"
    "quickstart   contrib/quickstart.sh up, again, and down"
)

# Parts that take long and run only when they are named, or with --all.
EXTRA=(
    "busy         two minutes without a free processor: no election, no node down"
    "engines-26   the network's main course on Docker 26.1 (made by debootstrap)"
    "stock-28     scenarios on the stock swarm of Docker 28.5 and on ours there"
    "firewalls    networks beside ufw and firewalld, and their reloads"
    "prometheus   Debian's Prometheus finds the tasks of a service"
    "vm           a reboot and a power cut of a virtual machine"
)

usage() {
    echo "Usage: contrib/test.sh [--all] [--only PART]... [--list]"
    printf '  %s\n' "${PARTS[@]}" "compat       testbed to fields together"
    echo "Only with --all, or named:"
    printf '  %s\n' "${EXTRA[@]}"
}

all=
only=()
while [ $# -gt 0 ]; do
    case $1 in
        # compat: everything that runs on real hosts.
        --only)
            case ${2:?--only needs the name of a part} in
                compat) only+=(testbed proxy never services network net-users leaks holder engines jobs adoption engine autolock seen units takeover package operations addresses install reboot payload socket tls beside secrets-log data-root transcripts fields cluster mixed) ;;
                *) only+=("$2") ;;
            esac
            shift 2
            ;;
        --all) all=1; shift ;;
        --list | --help | -h) usage; exit 0 ;;
        *) usage >&2; exit 2 ;;
    esac
done
for name in ${only[@]+"${only[@]}"}; do
    printf '%s\n' "${PARTS[@]}" "${EXTRA[@]}" | cut -d' ' -f1 | grep -qx -- "$name" || { echo "no part is called $name" >&2; exit 2; }
done

# --- What the machine lacks.

# Program or file, and the Debian package that brings it.
NEEDS="/usr/sbin/dockerd:docker.io /lib/systemd/systemd:systemd iptables:iptables nft:nftables ip:iproute2 conntrack:conntrack
    /bin/busybox:busybox-static nsenter:util-linux script:bsdutils curl:curl strace:strace cc:gcc strip:binutils dpkg-deb:dpkg
    /usr/sbin/sshd:openssh-server ssh-keygen:openssh-client shellcheck:shellcheck ss:iproute2 mkfs.ext4:e2fsprogs mount:mount
    openssl:openssl docker-compose:docker-compose sysctl:procps"

# Whether a part runs.
chosen() {
    if [ ${#only[@]} -gt 0 ]; then
        printf '%s\n' "${only[@]}" | grep -qx -- "$1"
    elif printf '%s\n' "${EXTRA[@]}" | cut -d' ' -f1 | grep -qx -- "$1"; then
        [ -n "$all" ]
    fi
}

chosen net-users && NEEDS="$NEEDS /usr/sbin/haproxy:haproxy"
chosen prometheus && NEEDS="$NEEDS prometheus:prometheus"
chosen cluster && NEEDS="$NEEDS faketime:faketime"
chosen busy && NEEDS="$NEEDS stress-ng:stress-ng"
chosen vm && NEEDS="$NEEDS qemu-system-x86_64:qemu-system-x86 qemu-img:qemu-utils debootstrap:debootstrap"
{ chosen engines || chosen engines-26 || chosen fields || chosen stock-28 || chosen firewalls || chosen install; } && NEEDS="$NEEDS debootstrap:debootstrap"

have() { case $1 in /*) [ -e "$1" ] ;; *) command -v "$1" >/dev/null ;; esac; }

install_missing() {
    local missing=() need
    for need in $NEEDS; do
        have "${need%%:*}" || missing+=("${need#*:}")
    done
    [ ${#missing[@]} -eq 0 ] && return
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
        echo "missing, and only root on Debian installs it from here: ${missing[*]}" >&2
        return 1
    fi
    echo "installing ${missing[*]}"
    # A package's own daemon must not start: each test host has an engine of its own.
    printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d.swarmrs && chmod +x /usr/sbin/policy-rc.d.swarmrs
    [ -e /usr/sbin/policy-rc.d ] || ln -s policy-rc.d.swarmrs /usr/sbin/policy-rc.d
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq && apt-get install -qq -y --no-install-recommends "${missing[@]}" >/dev/null
    local status=$?
    [ "$(readlink /usr/sbin/policy-rc.d)" = policy-rc.d.swarmrs ] && rm -f /usr/sbin/policy-rc.d
    rm -f /usr/sbin/policy-rc.d.swarmrs
    return $status
}

# --- Running parts and counting.

passed=0
failed=0
summary=()
skipped=()
log=$(mktemp)
trap 'rm -f "$log"' EXIT

# Adds up cargo's "test result" lines in the log; a part without any counts as one test.
count() {
    local status=$1 good bad
    read -r good bad < <(awk '/^test result:/ { for (i = 2; i <= NF; i++) { if ($i ~ /^passed/) p += $(i-1); if ($i ~ /^failed/) f += $(i-1) } }
        END { print p + 0, f + 0 }' "$log")
    if [ "$status" != 0 ] && [ "$bad" = 0 ]; then bad=1; fi
    if [ "$status" = 0 ] && [ "$good" = 0 ]; then good=1; fi
    local here
    mapfile -t here < <(sed -n 's/^skipped: //p' "$log")
    skipped+=(${here[@]+"${here[@]}"})
    passed=$((passed + good - ${#here[@]}))
    failed=$((failed + bad))
}

part() {
    local name=$1 started=$SECONDS status
    shift
    chosen "$name" || return 0
    echo
    echo "=== $name"
    "$@" 2>&1 | tee "$log"
    status=${PIPESTATUS[0]}
    count "$status"
    [ "$status" = 0 ] && status=ok || status=FAILED
    summary+=("$(printf '%-12s %-7s %4d s' "$name" "$status" $((SECONDS - started)))")
    # What a test measured and does not judge.
    mapfile -t -O ${#summary[@]} summary < <(sed -n 's/^measured: /             /p' "$log")
}

deny() {
    if ! command -v cargo-deny >/dev/null; then
        echo "skipped: deny: cargo-deny is not installed"
        return
    fi
    cargo deny --offline check licenses bans sources
}

# A part that hangs fails. Minutes enough for a cold build on two slow cores.
bounded() { timeout --kill-after 30 1800 "$@"; }

# The tests of one file, with what those that pass have to tell; further words choose among them.
suite() { bounded cargo test --quiet --package swarmrs-compat-tests --test "$1" -- --test-threads 1 --show-output "${@:2}"; }

unit() {
    bounded cargo test --no-fail-fast --workspace --exclude swarmrs-compat-tests &&
        bounded cargo test --package swarmrs-compat-tests --lib --bins &&
        # Once more, to show how many messages there are.
        bounded cargo test --quiet --package swarmrs-apiproxy --test api bad_input_is_refused -- --show-output
}

# The unit tests run a few of them.
simulation() {
    SWARMRS_SIMULATION_SEEDS=500 bounded cargo test --quiet --package swarmrs-store --test simulation whatever_breaks
}

scripts() { shellcheck --severity warning contrib/*.sh contrib/install contrib/debian/postinst contrib/debian/prerm contrib/debian/postrm; }

# What was landed before is there in the history only: a shallow clone or a bare copy of the files has nothing to set beside this tree.
mixed() {
    local tree
    tree=$(grep --invert-match '^#' contrib/previous-landing)
    if [ -z "${SWARMRSD_PREVIOUS:-}" ] && ! git cat-file -e "$tree^{tree}"; then
        echo "skipped: mixed: the history does not reach back to the previous landing"
        return
    fi
    suite mixed
}

quickstart() {
    bounded bash contrib/quickstart.sh && bounded bash contrib/quickstart.sh && bounded bash contrib/quickstart.sh --down
}

install_missing || { echo "0 passed, 1 failed"; exit 1; }

part fmt cargo fmt --all --check
part clippy cargo clippy --quiet --workspace --all-targets -- -D warnings
part deny deny
part unit unit
part simulation simulation
part layers suite layers
part scripts scripts
part testbed suite testbed
part proxy suite proxy
part never suite never_past_us
part services suite services
part network suite network
part net-users suite network_users
part leaks suite leaks
part holder suite holder
part engines suite engines --skip on_26
part jobs suite jobs
part adoption suite adoption
part engine suite engine_states
part autolock suite autolock
part seen suite seen
part units suite units
part takeover suite takeover
part package suite package
part operations suite operations
part addresses suite addresses
part install suite install
part reboot suite reboot
part payload suite payload
part socket suite engine_socket
part tls suite tls
part beside suite beside
part secrets-log suite log_secrets
part data-root suite data_root
part transcripts suite transcripts --skip on_28
part fields suite fields
part cluster suite cluster
part mixed mixed
part quickstart quickstart
part busy suite cluster nobody_is_elected --ignored
part engines-26 suite engines on_26
part stock-28 suite transcripts on_28
part firewalls suite firewalls
part prometheus suite network_users prometheus_itself --ignored
part vm suite vm

echo
echo "=== time"
printf '%s\n' ${summary[@]+"${summary[@]}"}
printf 'skipped: %s\n' ${skipped[@]+"${skipped[@]}"} | grep -v '^skipped: $'
echo
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
