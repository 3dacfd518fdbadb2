# Removes one testbed: sweep DIR [watch]
#
# With `watch`, first waits until standard input closes, which is when the testbed's owner has ended.
# A process belongs to the testbed if its environment carries the testbed's mark or if it sits in the testbed's cgroup;
# mounts and network devices live in namespaces and vanish with the last of those processes.
set -u
dir=$1
name=swarmrs-testbed-$(basename "$dir")
[ "${2-}" = watch ] && cat >/dev/null

members() {
    grep -lzxF "SWARMRS_TESTBED=$dir" /proc/[0-9]*/environ 2>/dev/null | cut -d/ -f3
    find /sys/fs/cgroup -path "*/$name/*" -name cgroup.procs -exec cat {} + 2>/dev/null
}

# What is killed first may have started something meanwhile: look again until nobody is left.
for round in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
    found=$(members | sort -un)
    [ -z "$found" ] && break
    kill -9 $found 2>/dev/null
    sleep 0.1
done

find /sys/fs/cgroup -depth -type d -path "*/$name*" -exec rmdir {} + 2>/dev/null
rm -rf "$dir"
rmdir "$(dirname "$dir")" 2>/dev/null
exit 0
