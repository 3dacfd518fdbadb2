#!/usr/bin/env bash
# From nothing to a running swarm: builds swarmrs, starts it in front of a Docker engine on this
# machine and deploys an example stack on it (contrib/stacks/hello): a web service of three replicas
# behind one published port, overlay networks, a config and a secret.
#
#   contrib/quickstart.sh          set everything up; a second run changes nothing
#   contrib/quickstart.sh --down   bring the machine back to how it was
#
# What it does to the machine it notes in $state, and only what is noted there is undone.
set -euo pipefail

top=$(cd "$(dirname "$0")/.." && pwd)
state=${SWARMRS_QUICKSTART_STATE:-/var/lib/swarmrs-quickstart}
engine_sock=/var/run/docker.sock
own_sock=/run/swarmrs/docker.sock
image=swarmrs/hello:latest
replicas=3

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
fail() {
    printf 'quickstart: %s\n' "$*" >&2
    exit 1
}
engine() { timeout 60 docker -H "unix://$engine_sock" "$@"; }
swarm() { timeout 120 docker --context swarmrs "$@"; }
note() { printf '%s\n' "${2-}" >>"$state/$1"; }
noted() { [ -e "$state/$1" ]; }
alive() { [ -n "${1-}" ] && kill -0 "$1" 2>/dev/null; }
pid_in() { cat "$state/$1" 2>/dev/null || true; }

# Waits until a command succeeds: wait_for SECONDS WHAT COMMAND…
wait_for() {
    local deadline=$((SECONDS + $1)) what=$2
    shift 2
    until "$@" >/dev/null 2>&1; do
        [ $SECONDS -lt $deadline ] || fail "$what did not come about in time"
        sleep 0.2
    done
}

# Ends a process that this script started, and waits for its end.
end_process() {
    local pid
    pid=$(pid_in "$1")
    alive "$pid" || return 0
    kill "$pid" 2>/dev/null || true
    for _ in $(seq 100); do
        alive "$pid" || return 0
        sleep 0.2
    done
    kill -9 "$pid" 2>/dev/null || true
}

check_machine() {
    [ "$(id -u)" = 0 ] || fail "needs root: it starts a Docker engine and a daemon"
    if ! command -v cargo >/dev/null && [ -x "$HOME/.cargo/bin/cargo" ]; then
        PATH=$HOME/.cargo/bin:$PATH
    fi
    command -v cargo >/dev/null || fail "needs a Rust toolchain (cargo)"
    mkdir -p "$state"
    chmod 700 "$state"
}

install_packages() {
    local missing=()
    command -v docker >/dev/null && command -v dockerd >/dev/null || missing+=(docker.io)
    command -v iptables >/dev/null || missing+=(iptables)
    command -v ip >/dev/null || missing+=(iproute2)
    command -v curl >/dev/null || missing+=(curl)
    command -v sysctl >/dev/null || missing+=(procps)
    command -v cc >/dev/null || missing+=(gcc libc6-dev)
    [ -x /bin/busybox ] || missing+=(busybox-static)
    [ ${#missing[@]} -gt 0 ] || return 0
    command -v apt-get >/dev/null || fail "missing ${missing[*]}, and this is not Debian"
    say "Installing ${missing[*]}"
    [ -e /var/lib/docker ] || note made_docker_root
    local before
    before=$(dpkg-query -W -f '${Package}\n' | sort)
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
    comm -13 <(printf '%s\n' "$before") <(dpkg-query -W -f '${Package}\n' | sort) >>"$state/packages"
}

build() {
    say "Building swarmrs"
    (cd "$top" && cargo build --release -p swarmrs-apiproxy -p docker-swarmrs)
    bin=$(cd "$top" && cargo metadata --format-version 1 --no-deps | sed -n 's/.*"target_directory":"\([^"]*\)".*/\1/p')/release
}

start_engine() {
    if engine version >/dev/null 2>&1; then
        return 0
    fi
    say "Starting a Docker engine"
    [ -e /var/lib/docker ] || noted made_docker_root || note made_docker_root
    note_network
    if [ -d /run/systemd/system ] && systemctl start docker 2>/dev/null; then
        note systemd_engine
    else
        setsid dockerd >"$state/dockerd.log" 2>&1 </dev/null &
        echo $! >"$state/dockerd.pid"
    fi
    wait_for 60 "the engine" engine version
}

# What an engine changes in the machine's network when it starts.
note_network() {
    ip link show docker0 >/dev/null 2>&1 && return 0
    sysctl -n net.ipv4.ip_forward >"$state/ip_forward"
    iptables -S FORWARD | sed -n 's/^-P FORWARD //p' >"$state/forward_policy"
}

# Undoes it: the bridge, the engine's chains, forwarding.
forget_network() {
    noted ip_forward || return 0
    ip link del docker0 2>/dev/null || true
    local table
    for table in nat filter raw; do
        iptables -t $table -S 2>/dev/null | sed -n '/DOCKER\|docker0/s/^-A /-D /p' |
            xargs -r -L1 iptables -t $table || true
        iptables -t $table -S 2>/dev/null | sed -n 's/^-N \(DOCKER[^ ]*\)$/-F \1/p' |
            xargs -r -L1 iptables -t $table || true
        iptables -t $table -S 2>/dev/null | sed -n 's/^-N \(DOCKER[^ ]*\)$/-X \1/p' |
            xargs -r -L1 iptables -t $table || true
    done
    iptables -P FORWARD "$(cat "$state/forward_policy")"
    sysctl -q -w "net.ipv4.ip_forward=$(cat "$state/ip_forward")"
}

start_swarmrsd() {
    if alive "$(pid_in swarmrsd.pid)"; then
        return 0
    fi
    if curl -s --max-time 5 --unix-socket "$own_sock" http://d/_ping >/dev/null 2>&1; then
        fail "a swarmrsd that this script did not start listens on $own_sock"
    fi
    [ ! -e /var/lib/swarmrs ] || noted made_data_root ||
        fail "/var/lib/swarmrs is there already, and not by this script"
    say "Starting swarmrsd"
    note made_data_root
    # The image made below is in no registry, so the engine need not ask one for it.
    DOCKER_SERVICE_PREFER_OFFLINE_IMAGE=1 setsid "$bin/swarmrsd" \
        >"$state/swarmrsd.log" 2>&1 </dev/null &
    echo $! >"$state/swarmrsd.pid"
    wait_for 30 "swarmrsd" curl -sf --max-time 5 --unix-socket "$own_sock" http://d/_ping
}

set_up_client() {
    local config=${DOCKER_CONFIG:-$HOME/.docker}
    [ -e "$config" ] || note made_docker_config "$config"
    if ! docker context inspect swarmrs >/dev/null 2>&1; then
        docker context create swarmrs --docker "host=unix://$own_sock" >/dev/null
        note made_context
    fi
    mkdir -p "$config/cli-plugins"
    if [ ! -e "$config/cli-plugins/docker-swarmrs" ] || noted made_plugin; then
        cp -f "$bin/docker-swarmrs" "$config/cli-plugins/docker-swarmrs"
        noted made_plugin || note made_plugin "$config/cli-plugins/docker-swarmrs"
    fi
}

init_swarm() {
    case $(swarm info --format '{{.Swarm.LocalNodeState}}') in
    active) return 0 ;;
    inactive) ;;
    *) fail "unexpected state of the swarm: $(swarm info --format '{{json .Swarm}}')" ;;
    esac
    say "docker swarm init"
    local addr
    addr=$(ip -4 route get 192.0.2.1 2>/dev/null | sed -n 's/.* src \([0-9.]*\).*/\1/p')
    swarm swarm init --advertise-addr "${addr:-127.0.0.1}"
}

# A web server in 2 MB: busybox.
make_image() {
    if engine image inspect "$image" >/dev/null 2>&1; then
        return 0
    fi
    say "Making the image $image"
    local root
    root=$(mktemp -d)
    mkdir -p "$root/bin" "$root/www/cgi-bin" "$root/tmp" "$root/etc"
    cp /bin/busybox "$root/bin/busybox"
    for applet in sh httpd wget cp hostname echo sleep; do
        ln -s busybox "$root/bin/$applet"
    done
    tar -C "$root" -c . | engine import --change 'ENV PATH=/bin' --change 'CMD ["httpd", "-f", "-h", "/www"]' - "$image" >/dev/null
    rm -rf "$root"
    note made_image
}

# The first port from 8080 on that nobody listens at; the same in each run.
choose_port() {
    if ! noted port; then
        local port=8080
        while (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do port=$((port + 1)); done
        note port "$port"
    fi
    cat "$state/port"
}

deploy_stack() {
    HELLO_PORT=$(choose_port)
    export HELLO_PORT
    say "docker stack deploy --compose-file contrib/stacks/hello/stack.yml hello"
    swarm stack deploy --resolve-image never --compose-file "$top/contrib/stacks/hello/stack.yml" hello
    say "docker stack services hello"
    swarm stack services hello
    say "docker service ps hello_web"
    swarm service ps hello_web
}

ask() { curl -sf --max-time 5 "http://127.0.0.1:$HELLO_PORT/cgi-bin/hello"; }

# Whether all replicas of the web service run.
is_whole() { [ "$(swarm service ls --filter name=hello_web --format '{{.Replicas}}')" = "$replicas/$replicas" ]; }

# One port; each request goes to the next replica.
ask_stack() {
    say "The replicas answer at http://127.0.0.1:$HELLO_PORT/cgi-bin/hello"
    wait_for 60 "a whole service" is_whole
    wait_for 20 "an answer" ask
    local answers
    answers=$(for _ in $(seq $replicas); do ask; done | sort)
    echo "$answers"
    answers=$(printf '%s\n' "$answers" | sed -n 's/^\(replica [0-9]*\) .*hello.*/\1/p' | sort -u | wc -l)
    [ "$answers" = "$replicas" ] || fail "$answers of $replicas replicas answered"
    say "$answers/$replicas replicas answered. Try: docker --context swarmrs service scale hello_web=5"
    echo "Undo everything with: contrib/quickstart.sh --down"
}

down() {
    [ "$(id -u)" = 0 ] || fail "needs root"
    [ -d "$state" ] || {
        echo "quickstart: nothing to undo"
        return 0
    }
    if alive "$(pid_in swarmrsd.pid)"; then
        say "Leaving the swarm"
        swarm swarm leave --force >/dev/null 2>&1 || true
    fi
    end_process swarmrsd.pid
    ! noted made_data_root || rm -rf /var/lib/swarmrs /run/swarmrs
    ! noted made_image || engine image rm -f "$image" >/dev/null 2>&1 || true
    ! noted made_context || docker context rm -f swarmrs >/dev/null 2>&1 || true
    ! noted made_plugin || rm -f "$(cat "$state/made_plugin")"
    ! noted made_docker_config || rm -rf "$(cat "$state/made_docker_config")"
    ! noted systemd_engine || systemctl stop docker.service docker.socket 2>/dev/null || true
    end_process dockerd.pid
    forget_network
    if noted packages; then
        say "Removing the packages that were installed"
        DEBIAN_FRONTEND=noninteractive xargs -a "$state/packages" apt-get purge -y -qq >/dev/null
    fi
    ! noted made_docker_root || rm -rf /var/lib/docker
    rm -rf "$state"
    say "The machine is as it was"
}

case ${1-} in
--down) down ;;
"")
    check_machine
    install_packages
    build
    start_engine
    start_swarmrsd
    set_up_client
    init_swarm
    make_image
    deploy_stack
    ask_stack
    ;;
*) fail "unknown argument $1 (only --down)" ;;
esac
