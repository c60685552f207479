# SPDX-License-Identifier: MIT
"""Small file systems for images. tmpfs is fastest, but supports id-mapped mounts, by which guests access images, only
since Linux 6.3; older kernels get ext4 in a file."""
import os
import re

TMPFS_MAPS = [int(n) for n in re.findall(r"\d+", os.uname().release)[:2]] >= [6, 3]


def mount_line(place, size, mode="755"):
    """Shell commands that mount a file system of this size ("3m") there. Its file is next to the mount point."""
    if TMPFS_MAPS:
        return f"mount -t tmpfs -o size={size},mode={mode} tmpfs '{place}'"
    return (f"truncate -s {size.upper()} '{place}.ext4' && mkfs.ext4 -q -F -m 0 -O ^has_journal '{place}.ext4' && "
            f"mount -o loop '{place}.ext4' '{place}' && rmdir '{place}/lost+found' && chmod {mode} '{place}'")


def grow_line(place, size):
    if TMPFS_MAPS:
        return f"mount -o remount,size={size} '{place}'"
    return (f"loop=$(findmnt -no SOURCE '{place}') && truncate -s {size.upper()} '{place}.ext4' && losetup -c $loop && "
            "resize2fs $loop")
