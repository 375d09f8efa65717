#!/bin/bash
# Process 1 of the guest after init.sh: makes what programs expect of a system whose root is
# read-only, runs the command in /mnt/command, and powers off. The exit code goes to /mnt/code.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export HOME=/run/home LANG=C.UTF-8
mount -t proc proc /proc
mount -t sysfs sys /sys
mkdir -p /dev/shm /dev/pts
mount -t tmpfs shm /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs run /run
mount -t tmpfs tmp /tmp
mount -t tmpfs log /var/log
mount -t cgroup2 cgroup /sys/fs/cgroup
mount -t bpf bpf /sys/fs/bpf
mount -t tracefs tracing /sys/kernel/tracing
[ ! -d /var/lib/nginx ] || mount -t tmpfs nginx /var/lib/nginx
ip link set lo up
ulimit -n 65535
mkdir -p "$HOME" && cd "$HOME" || exit 1
echo "guest: Linux $(uname -r), $(nproc) CPUs, up $(cut -d' ' -f1 /proc/uptime) s"
mapfile -d '' -t command < /mnt/command
"${command[@]}"
echo $? > /mnt/code
sync
echo o > /proc/sysrq-trigger
while :; do sleep 1; done
