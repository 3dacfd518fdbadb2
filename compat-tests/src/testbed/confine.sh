# Moves itself into fresh cgroups of a name, and becomes a command there: confine NAME COMMAND…
set -eu
name=$1
shift
for tree in /sys/fs/cgroup/*/; do
    [ -e "$tree/cgroup.procs" ] || continue
    # What an earlier boot left.
    find "$tree$name" -depth -type d -exec rmdir {} + 2>/dev/null || :
    folder=$tree
    for part in $(echo "$name" | tr / ' '); do
        above=$folder
        folder=$folder$part/
        mkdir -p "$folder"
        for share in cpus mems; do
            [ ! -e "$above/cpuset.$share" ] || cat "$above/cpuset.$share" >"$folder/cpuset.$share"
        done
    done
    echo $$ >"$folder/cgroup.procs"
done
exec "$@"
