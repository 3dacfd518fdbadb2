# Turns fresh mount, PID, network, UTS, IPC and cgroup namespaces into a machine and boots it: machine DIR HOSTNAME [ROOT]
#
# The machine's /usr, /etc and /var are those below ROOT, or this machine's, with what it wrote itself laid over them (DIR/disk, which lasts over
# its reboots); /run, /tmp and /dev are made anew at each boot. Only what is needed to start services is enabled.
set -eu
dir=$1
root=$dir/root
base=${3-}
hostname "$2"

lay() {
    mkdir -p "$dir/disk/$1" "$dir/disk/work/$1" "$root/$1"
    mount -t overlay overlay -o "lowerdir=$base/$1,upperdir=$dir/disk/$1,workdir=$dir/disk/work/$1" "$root/$1"
}

mkdir -p "$root"
mount -t tmpfs tmpfs "$root"
lay usr
lay etc
lay var
mkdir -p "$root/proc" "$root/sys" "$root/dev" "$root/run" "$root/tmp" "$root/root" "$root/opt" "$root/old"
for link in bin sbin lib lib64; do ln -s "usr/$link" "$root/$link"; done

# An engine cannot keep its layers on an overlay: these are on the disk itself.
for engine in docker containerd; do
    mkdir -p "$dir/disk/lib/$engine" "$root/var/lib/$engine"
    mount --bind "$dir/disk/lib/$engine" "$root/var/lib/$engine"
done
# The root user's files, and what the test hands to the machine.
mkdir -p "$dir/disk/root" "$dir/share" "$root/share"
mount --bind "$dir/disk/root" "$root/root"
mount --bind "$dir/share" "$root/share"

mount -t proc proc "$root/proc"
mount -t sysfs sysfs "$root/sys"
mount -t tmpfs tmpfs "$root/run"
mount -t tmpfs tmpfs "$root/tmp"
mount -t tmpfs -o mode=755 tmpfs "$root/dev"
for device in null zero full random urandom tty; do
    : >"$root/dev/$device"
    mount --bind "/dev/$device" "$root/dev/$device"
done
mkdir "$root/dev/pts" "$root/dev/shm" "$root/dev/mqueue"
mount -t devpts -o newinstance,ptmxmode=666 devpts "$root/dev/pts"
mount -t tmpfs tmpfs "$root/dev/shm"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
ln -s null "$root/dev/console"

# This cgroup namespace's own part of each tree.
mount -t tmpfs tmpfs "$root/sys/fs/cgroup"
for tree in $(cut -d: -f2 /proc/self/cgroup); do
    folder=$root/sys/fs/cgroup/${tree#name=}
    mkdir -p "$folder"
    case $tree in name=*) options=none,$tree ;; *) options=$tree ;; esac
    mount -t cgroup -o "$options" cgroup "$folder"
done

if [ ! -e "$dir/disk/installed" ]; then
    units=$root/usr/lib/systemd/system
    rm -rf "$root/etc/systemd/system" "$root"/etc/rc?.d "$units"/*.target.wants
    mkdir -p "$root/etc/systemd/system" "$units/sysinit.target.wants" "$units/sockets.target.wants"
    for unit in journald tmpfiles-setup; do
        ln -s "../systemd-$unit.service" "$units/sysinit.target.wants/"
    done
    for unit in journald journald-dev-log; do
        ln -s "../systemd-$unit.socket" "$units/sockets.target.wants/"
    done
    ln -s /lib/systemd/system/multi-user.target "$root/etc/systemd/system/default.target"
    rm -f "$root/etc/fstab" "$root/etc/resolv.conf" "$root/etc/hostname" "$root/etc/machine-id"
    : >"$root/etc/fstab"
    : >"$root/etc/machine-id"
    echo "$2" >"$root/etc/hostname"
    # No name server: a look-up of a registry is refused at once and with the same text on every machine.
    echo 'nameserver 127.0.0.1' >"$root/etc/resolv.conf"
    : >"$dir/disk/installed"
fi

ip link set lo up
ip link add eth0 type veth peer name cable0
ip addr add 10.77.1.1/24 dev eth0
ip link set eth0 up
ip link set cable0 up
# As on a machine that has just booted: dockerd then sets FORWARD to DROP, as it does on real hosts.
echo 0 >/proc/sys/net/ipv4/ip_forward

cd "$root"
pivot_root . old
umount -l /old
exec env -i container=testbed PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd --system --log-target=journal
