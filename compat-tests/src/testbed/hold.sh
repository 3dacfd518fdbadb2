# Turns fresh mount, UTS and network namespaces into a host and holds them open: hold DIR HOSTNAME [ROOT]
#
# With ROOT, a folder with another Debian, the engine runs in there: it has the host's devices, plug-in sockets and files at
# the same paths, and writes nothing to ROOT. DIR/engine.pid is the process that holds its place.
set -eu
dir=$1
hostname "$2"
root=${3-}

# A new /sys shows this network namespace's devices; the cgroup tree is carried over into it.
mkdir -p "$dir/cgroup"
mount --rbind /sys/fs/cgroup "$dir/cgroup"
mount -t sysfs sysfs /sys
mount --rbind "$dir/cgroup" /sys/fs/cgroup
umount -l "$dir/cgroup"
rmdir "$dir/cgroup"

# dockerd looks for plug-in sockets under /run/docker whatever its flags say, and ip(8) keeps names under /run/netns.
mkdir -p /run/docker /run/netns
mount -t tmpfs tmpfs /run/docker
mount -t tmpfs tmpfs /run/netns

# No name server: a look-up of a registry is refused at once and with the same text on every machine.
echo 'nameserver 127.0.0.1' >"$dir/resolv.conf"
mount --bind "$dir/resolv.conf" "$(readlink -f /etc/resolv.conf)"

# The engine has a mount namespace of its own then, with that folder as its root: a changed root alone would not do, because
# what enters a container (`docker exec`) comes to the root of the namespace. It outlives the engine, as a machine's does.
if [ -n "$root" ]; then
    # Shared: what swarmrsd mounts among the host's files the engine sees, and the other way round.
    mount --bind "$dir" "$dir"
    mount --make-shared "$dir"
    mkdir "$dir/layer"
    mount -t tmpfs tmpfs "$dir/layer"
    mount --make-private "$dir/layer"
    mkdir "$dir/layer/own" "$dir/layer/work" "$dir/layer/root"
    mount -t overlay -o "lowerdir=$root,upperdir=$dir/layer/own,workdir=$dir/layer/work" overlay "$dir/layer/root"
    cd "$dir/layer/root"
    mount -t proc proc proc
    mount --rbind /sys sys
    mount --rbind /dev dev
    mount -t tmpfs tmpfs run
    mkdir -p run/docker old ".$dir"
    mount --bind /run/docker run/docker
    mount --bind "$dir/resolv.conf" etc/resolv.conf
    mount --bind "$dir" ".$dir"
    unshare --mount --propagation unchanged sh -c 'pivot_root . old && umount -l /old && echo $$ >"$1/engine.pid" && exec sleep infinity' engine "$dir" &
    until [ -s "$dir/engine.pid" ]; do sleep 0.05; done
    cd /
fi

ip link set lo up
# As on a machine that has just booted: dockerd then sets FORWARD to DROP, as it does on real hosts.
echo 0 >/proc/sys/net/ipv4/ip_forward
: >"$dir/ready"
exec sleep infinity
