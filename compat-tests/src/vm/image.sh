# The parts of a virtual machine, from this machine's own Debian packages: image.sh DIR
#
#   DIR/base.raw   a disk with Debian, systemd and the stock engine; machines write to a copy-on-write layer over it
#   DIR/kernel     Debian's cloud kernel
#   DIR/initrd     loads what the kernel needs to see the disk, and hands over to systemd
#   DIR/whole      written last: a set without it is made again
set -eu
dir=$1
[ -e "$dir/whole" ] && exit 0
rm -rf "$dir"
mkdir -p "$dir"
cd "$dir"

fail() { echo "$*" >&2; exit 1; }
mirror=$(apt-get indextargets --format '$(SITE)' | head -n 1)
release=$(apt-get indextargets --format '$(RELEASE)' | head -n 1)
package=$(apt-cache depends linux-image-cloud-amd64 | awk '/Depends: linux-image-/ { print $2; exit }')
[ -n "$mirror" ] && [ -n "$package" ] || fail "this machine knows no Debian packages: run apt-get update"

debootstrap --variant=minbase \
    --include=docker.io,iptables,iproute2,busybox-static,systemd,systemd-sysv,dbus,udev,kmod,procps,curl \
    "$release" root "$mirror" >debootstrap.log 2>&1 || fail "debootstrap: $(tail -n 3 debootstrap.log)"
apt-get download -qq "$package" 2>download.log || fail "$(cat download.log)"
dpkg-deb -x "$package"_*.deb files
version=$(ls files/lib/modules)
mkdir -p root/usr/lib/modules
cp -a "files/lib/modules/$version" root/usr/lib/modules/
chroot root depmod "$version"
cp "files/boot/vmlinuz-$version" kernel

# A shell on the serial port is how tests speak to the machine: it needs no network. The port has an end of file whenever
# nobody is at the other end; the next caller gets the next shell.
cat >root/etc/systemd/system/console.service <<'UNIT'
[Unit]
Description=Shell for the test at the other end of the serial port
DefaultDependencies=no
StartLimitIntervalSec=0
[Service]
ExecStart=/bin/sh -c 'exec sh <>/dev/vport0p1 >&0 2>&0'
Restart=always
RestartSec=200ms
[Install]
WantedBy=sysinit.target
UNIT
mkdir -p root/etc/systemd/system/sysinit.target.wants
ln -s ../console.service root/etc/systemd/system/sysinit.target.wants/console.service
printf 'overlay\nbr_netfilter\n' >root/etc/modules-load.d/test.conf
echo machine >root/etc/hostname
printf '127.0.0.1 localhost machine\n' >root/etc/hosts

mkdir -p initramfs/bin initramfs/proc initramfs/dev initramfs/root
cp /bin/busybox initramfs/bin/
chroot root modprobe --set-version "$version" --show-depends --all virtio_pci virtio_blk virtio_console |
    awk '$1 == "insmod" && !seen[$2]++ { print $2 }' >modules
while read -r module; do
    cp "root$module" initramfs/
    echo "/bin/busybox insmod /${module##*/}"
done <modules >load
{
    printf '#!/bin/busybox sh\n'
    printf '/bin/busybox mount -t devtmpfs dev /dev\n'
    cat load
    printf 'n=0; until [ -b /dev/vda ] || [ $n = 100 ]; do /bin/busybox sleep 0.1; n=$((n + 1)); done\n'
    printf '/bin/busybox mount -t ext4 /dev/vda /root\n'
    printf 'exec /bin/busybox switch_root /root /lib/systemd/systemd\n'
} >initramfs/init
chmod +x initramfs/init
(cd initramfs && find . | busybox cpio -o -H newc 2>/dev/null) | gzip -1 >initrd

mkfs.ext4 -q -F -E lazy_itable_init=0,lazy_journal_init=0 -d root base.raw 4G
rm -rf root files initramfs modules load "$package"_*.deb
touch whole
