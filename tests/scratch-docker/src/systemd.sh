# systemd.sh FOLDER CGROUP: becomes the process 1 of a view of this machine in which a systemd runs.
exec unshare --mount --propagation slave --pid --fork --kill-child sh -ec '
for hierarchy in /sys/fs/cgroup /sys/fs/cgroup/*; do
    [ -e "$hierarchy/cgroup.procs" ] || continue
    mkdir -p "$hierarchy/$2"
    for set in cpus mems; do
        [ ! -e "$hierarchy/cpuset.$set" ] || cat "$hierarchy/cpuset.$set" > "$hierarchy/$2/cpuset.$set"
    done
    echo 0 > "$hierarchy/$2/cgroup.procs"
    [ "$hierarchy" != /sys/fs/cgroup ] || break
done
mount -t proc proc /proc
exec unshare --cgroup sh -ec "$3" sh "$1"
' sh "$1" "$2" '
# Of this view alone: what is running, its cgroups, settings and programs.
if [ -e /sys/fs/cgroup/cgroup.procs ]; then
    mount -t cgroup2 cgroup2 /sys/fs/cgroup
else
    hierarchies=$(cd /sys/fs/cgroup && ls)
    mount -t tmpfs -o mode=755 tmpfs /sys/fs/cgroup
    for name in $hierarchies; do
        mkdir "/sys/fs/cgroup/$name"
        case $name in
        systemd) mount -t cgroup -o none,name=systemd cgroup "/sys/fs/cgroup/$name" ;;
        unified) mount -t cgroup2 cgroup2 "/sys/fs/cgroup/$name" ;;
        *) mount -t cgroup -o "$name" cgroup "/sys/fs/cgroup/$name" ;;
        esac
    done
fi
mount -t tmpfs -o mode=755 tmpfs /run
mount -t tmpfs tmpfs /dev/shm
mount -t overlay overlay -o "lowerdir=/etc,upperdir=$1/etc,workdir=$1/etc.work" /etc
mount -t overlay overlay -o "lowerdir=$1/programs:/usr/bin" /usr/bin
mkdir -p /etc/systemd/system
mount --bind "$1/units" /etc/systemd/system
mount --bind "$1/log" /dev/kmsg
mount --make-rshared /
# No unit and no generator of the machine is found: they would work on the machine itself.
exec env -i container=upgraded PATH=/usr/sbin:/usr/bin:/sbin:/bin SYSTEMD_GENERATOR_PATH="$1/generators" \
    SYSTEMD_UNIT_PATH=/etc/systemd/system:/run/systemd/system:/run/systemd/transient:/run/systemd/generator \
    /lib/systemd/systemd --log-target=kmsg --log-level=info --unit=default.target --show-status=no
'
