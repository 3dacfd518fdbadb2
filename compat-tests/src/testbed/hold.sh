# Turns fresh mount, UTS and network namespaces into a host and holds them open: hold DIR HOSTNAME
set -eu
dir=$1
hostname "$2"

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

ip link set lo up
# As on a machine that has just booted: dockerd then sets FORWARD to DROP, as it does on real hosts.
echo 0 >/proc/sys/net/ipv4/ip_forward
: >"$dir/ready"
exec sleep infinity
