#!/usr/bin/env bash
# Gives /var/run/docker.sock to swarmrsd: the engine moves to a socket of its own, and every program that speaks to the
# usual socket speaks to the swarm from then on.
#
#   contrib/takeover.sh [--yes]          take over; a second run changes nothing and mends what a crash left half done
#   contrib/takeover.sh --undo [--yes]   put everything back as it was
#
# Containers that mount the socket must be restarted to see the other one.
# The engine is restarted for it. With "live-restore" in its daemon.json no container notices; without, its containers
# stop and come back as their restart policies say, which is why --yes is asked for.
# What is about to be done is noted in $state first, and only what is noted there is undone.
set -euo pipefail

state=${SWARMRS_TAKEOVER_STATE:-/var/lib/swarmrs-takeover}
usual=/run/docker.sock
private=/run/swarmrs-engine/docker.sock
own=/run/swarmrs/docker.sock
units=/etc/systemd/system
moved_socket=$units/docker.socket.d/50-swarmrs-takeover.conf
added_socket=$units/swarmrsd.socket.d/50-swarmrs-takeover.conf
told_daemon=$units/swarmrsd.service.d/50-swarmrs-takeover.conf
yes=

fail() {
    printf 'takeover: %s\n' "$*" >&2
    # Nothing noted: nothing done.
    rmdir "$state" 2>/dev/null || true
    exit 1
}
say() { printf 'takeover: %s\n' "$*"; }
note() { printf '%s\n' "${2-}" >"$state/$1.new" && mv "$state/$1.new" "$state/$1"; }
noted() { [ -e "$state/$1" ]; }
ask() { curl --silent --fail --max-time 10 --unix-socket "$1" "http://docker$2" 2>/dev/null; }
is_swarmrsd() { ask "$1" /swarmrs/v1/read/version >/dev/null; }
is_engine() { ask "$1" /version | grep -q '"Name":"Engine"' && ! is_swarmrsd "$1"; }
has_unit() { systemctl cat "$1" >/dev/null 2>&1; }
has_systemd() { [ -d /run/systemd/system ]; }

# Waits until a command succeeds: wait_for SECONDS WHAT COMMAND…
wait_for() {
    local deadline=$((SECONDS + $1)) what=$2
    shift 2
    until "$@" >/dev/null 2>&1; do
        [ $SECONDS -lt $deadline ] || fail "$what did not come about in time; run this again, or with --undo"
        sleep 0.2
    done
}

# The answer to a question about the engine behind a socket: info SOCKET TEMPLATE
info() { timeout 30 docker --host "unix://$1" info --format "$2"; }

# Says what a restart of the engine does to what runs on it, and asks for consent where that is much.
consent() {
    local socket=$1 running
    running=$(info "$socket" '{{.ContainersRunning}}')
    if [ "$(info "$socket" '{{.LiveRestoreEnabled}}')" = true ] || [ "$running" = 0 ]; then
        say "the engine is restarted; no container stops"
    elif [ -n "$yes" ]; then
        say "the engine is restarted; $running running containers stop, and come back as their restart policies say"
    else
        fail "the engine must be restarted, and its $running running containers would stop (they come back as their restart
policies say). Say --yes to accept that, or set \"live-restore\": true in /etc/docker/daemon.json, run
'systemctl reload docker' and try again: then no container stops."
    fi
}

check_machine() {
    [ "$(id -u)" = 0 ] || fail "needs root"
    command -v curl >/dev/null || fail "needs curl"
    command -v docker >/dev/null || fail "needs the docker command"
}

# Refuses what would not end well, before anything is touched.
check_engine() {
    [ -S "$usual" ] || fail "$usual is not there: start the engine first"
    is_engine "$usual" || fail "whoever listens on $usual is not a Docker engine: nothing is changed"
    [ ! -e "$private" ] || fail "$private is there already, and not by this script"
    case $(info "$usual" '{{.Swarm.LocalNodeState}}') in
    inactive) ;;
    *) fail "the engine is itself in swarm mode; leave its swarm first: docker -H unix://$usual swarm leave" ;;
    esac
    ! grep -qs '"hosts"' /etc/docker/daemon.json ||
        fail "/etc/docker/daemon.json sets \"hosts\": replace unix://$usual by unix://$private there, restart the engine, and start
swarmrsd with -H unix://$usual --engine unix://$private"
}

check_units() {
    has_unit swarmrsd.service || fail "swarmrsd.service is not installed"
    systemctl show --property ExecStart --value docker.service | grep -q -- '-H fd://' ||
        fail "docker.service does not take its socket from docker.socket (its command has no -H fd://): move the engine's socket
to unix://$private by hand, and start swarmrsd with -H unix://$usual --engine unix://$private"
    ! grep -qs '^ *SWARMRS_ENGINE=' /etc/default/swarmrsd ||
        fail "/etc/default/swarmrsd sets SWARMRS_ENGINE: remove that line first"
}

# Writes a unit's drop-in file, whole or not at all.
drop_in() {
    mkdir -p "$(dirname "$1")"
    cat >"$1.new" && mv "$1.new" "$1"
}

write_drop_ins() {
    drop_in "$moved_socket" <<EOF
# By contrib/takeover.sh of swarmrs: swarmrsd has the usual socket. --undo removes this file.
[Socket]
ListenStream=
ListenStream=$private
DirectoryMode=0700
EOF
    drop_in "$told_daemon" <<EOF
# By contrib/takeover.sh of swarmrs: swarmrsd has the usual socket. --undo removes this file.
[Service]
Environment=SWARMRS_ENGINE=unix://$private
EOF
    drop_in "$added_socket" <<EOF
# By contrib/takeover.sh of swarmrs: swarmrsd has the usual socket. --undo removes this file.
[Socket]
ListenStream=$usual
EOF
}

# Starts the engine and swarmrsd anew, as their units now say.
restart_units() {
    systemctl daemon-reload
    systemctl stop swarmrsd.socket swarmrsd.service
    ! has_unit docker.service || systemctl stop docker.socket docker.service
    ! has_unit docker.service || systemctl start docker.socket docker.service
    [ "$1" != active ] || systemctl start swarmrsd.socket swarmrsd.service
}

take_over_units() {
    check_units
    if ! noted units; then
        check_engine
        consent "$usual"
        note units "$(systemctl is-active swarmrsd.service || true)"
    elif is_swarmrsd "$usual" && is_engine "$private" && ! noted unfinished; then
        say "swarmrsd has $usual already"
        exit
    fi
    note unfinished
    write_drop_ins
    restart_units active
}

undo_units() {
    note unfinished
    local file
    for file in "$moved_socket" "$added_socket" "$told_daemon"; do
        rm -f "$file" "$file.new"
        rmdir "$(dirname "$file")" 2>/dev/null || true
    done
    restart_units "$(cat "$state/units")"
    rm -rf "$(dirname "$private")"
    # A machine from which the engine is gone meanwhile has nothing to wait for.
    ! has_unit docker.service || wait_for 60 "the engine on $usual" is_engine "$usual"
}

# --- Without systemd: the running programs are started again with other sockets.

alive() { [ -n "${1-}" ] && kill -0 "$1" 2>/dev/null; }

# Ends a daemon and waits for its end.
end_daemon() {
    local pid
    pid=$(cat "$1" 2>/dev/null || true)
    alive "$pid" || return 0
    kill "$pid"
    for _ in $(seq 300); do
        alive "$pid" || return 0
        sleep 0.2
    done
    fail "process $pid does not end"
}

# The words of a running daemon's command, one a line: words PIDFILE
words() { tr '\0' '\n' <"/proc/$(cat "$1")/cmdline"; }

# Those words without any socket to listen on or to find the engine at.
without_sockets() {
    local word skip=
    while IFS= read -r word; do
        if [ -n "$skip" ]; then
            skip=
            continue
        fi
        case $word in
        -H | --host | --engine) skip=1 ;;
        -H* | --host=* | --engine=*) ;;
        *) printf '%s\n' "$word" ;;
        esac
    done
}

# Starts a daemon of which the words are on standard input: launch NAME [WORD…]
launch() {
    local name=$1 command
    shift
    mapfile -t command
    setsid "${command[@]}" "$@" >>"$state/$name.log" 2>&1 </dev/null &
}

engine_pid=/var/run/docker.pid
daemon_pid=/run/swarmrs/swarmrsd.pid

check_processes() {
    alive "$(cat "$engine_pid" 2>/dev/null || true)" || fail "$engine_pid names no running engine"
    command -v swarmrsd >/dev/null || alive "$(cat "$daemon_pid" 2>/dev/null || true)" ||
        fail "swarmrsd is neither installed nor running"
    local sockets
    sockets=$(words "$engine_pid" | sed -n 's/^\(-H\|--host\)=\?//p;' | grep -c 'tcp://\|fd://' || true)
    [ "$sockets" = 0 ] || fail "the engine listens on more than $usual: move its socket by hand"
}

take_over_processes() {
    if ! noted engine; then
        check_processes
        check_engine
        consent "$usual"
        if alive "$(cat "$daemon_pid" 2>/dev/null || true)"; then
            note daemon "$(words "$daemon_pid")"
        fi
        note engine "$(words "$engine_pid")"
    elif is_swarmrsd "$usual" && is_engine "$private" && ! noted unfinished; then
        say "swarmrsd has $usual already"
        exit
    fi
    note unfinished
    end_daemon "$daemon_pid"
    is_engine "$private" || {
        end_daemon "$engine_pid"
        mkdir -m 700 "$(dirname "$private")" 2>/dev/null || true
        without_sockets <"$state/engine" | launch dockerd -H "unix://$private"
        wait_for 60 "the engine on $private" is_engine "$private"
    }
    { [ -e "$state/daemon" ] && cat "$state/daemon" || echo swarmrsd; } | without_sockets |
        launch swarmrsd -H "unix://$own" -H "unix://$usual" --engine "unix://$private"
    say "no service manager runs here: after a reboot, start both with these sockets again"
}

undo_processes() {
    note unfinished
    end_daemon "$daemon_pid"
    end_daemon "$engine_pid"
    rm -rf "$(dirname "$private")"
    launch dockerd <"$state/engine"
    wait_for 60 "the engine on $usual" is_engine "$usual"
    [ ! -e "$state/daemon" ] || launch swarmrsd <"$state/daemon"
}

take_over() {
    check_machine
    mkdir -p "$state"
    chmod 700 "$state"
    if has_systemd; then take_over_units; else take_over_processes; fi
    wait_for 60 "swarmrsd on $usual" is_swarmrsd "$usual"
    wait_for 60 "the engine on $private" is_engine "$private"
    rm -f "$state/unfinished"
    say "swarmrsd has $usual; the engine has $private. Undo with --undo"
}

undo() {
    check_machine
    if ! noted units && ! noted engine; then
        rm -rf "$state"
        say "nothing to undo"
        return
    fi
    local engine=$private
    is_engine "$engine" || engine=$usual
    ! is_engine "$engine" || consent "$engine"
    if noted units; then undo_units; else undo_processes; fi
    [ "$(cat "$state/units" 2>/dev/null)" != active ] || wait_for 60 "swarmrsd on $own" is_swarmrsd "$own"
    rm -rf "$state"
    say "the engine has $usual again"
}

action=take_over
for word in "$@"; do
    case $word in
    --undo) action=undo ;;
    --yes) yes=1 ;;
    *) fail "unknown argument $word (only --undo and --yes)" ;;
    esac
done
$action
