#!/bin/busybox sh
# First program of the guest: loads what the shared folders need, mounts this machine's root and
# hands over. FOLDER/guest.sh does the rest.
b=/bin/busybox
$b mount -t proc proc /proc
$b mount -t sysfs sys /sys
$b mount -t devtmpfs dev /dev
while read -r module; do
    [ -z "$module" ] || $b insmod "/modules/$module"
done < /modules/order
$b mount -t virtiofs -o ro root /new
$b mount -t virtiofs out /new/mnt
$b mount --move /dev /new/dev
$b umount /sys
$b umount /proc
exec $b switch_root /new /bin/bash /mnt/guest.sh
