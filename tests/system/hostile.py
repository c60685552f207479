# SPDX-License-Identifier: MIT
"""Shared by the tests that replace QEMU with a program; the fixture `hostile` is in conftest.py.

What can a program in QEMU's place
  open      test_hostile, test_hostile_sockets, test_jail_walls
  change    test_hostile_syscalls, test_hostile_taps, test_jail_filter
  keep      test_hostile_taps, test_hostile_sockets, test_hostile_locks
  fill      test_hostile_output; for its images: vmkeep-security(7), BUGS
  delay     test_hostile, test_hostile_locks, test_hostile_output
  outlive   test_lurkers, test_hostile_sockets
"""
import glob
import os
import re
import shutil

import vmk

PLACE = "/usr/local/sbin"  # guests see only /usr; a tmpfs of the world covers it
BINARY = PLACE + "/hostile-qemu"
OUT_MAX = 4 << 20


def install(world):
    """Installs the program and its modules where a VM can name it in Binary=."""
    world.exec("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", PLACE)
    for path in glob.glob(os.path.join(vmk.ROOT, "tests", "system", "hostile_*.py")):
        name = os.path.basename(path)
        shutil.copy(path, world.inner(BINARY if name == "hostile_qemu.py" else os.path.join(PLACE, name)))
    os.chmod(world.inner(BINARY), 0o755)


def make(world, name, disk=b"", vm=""):
    world.micro(name, vm=vm, extra="[QEMU]\nBinary=%s\n" % BINARY)
    with open(os.path.join(world.images, name + ".raw"), "r+b") as f:
        f.seek(4096)
        f.write(disk)


def unwell(world, name):
    return world.eventually(lambda: world.info(name), lambda info: info["health"] == "unresponsive: hostile",
                            timeout=20)


def rss(world):
    status = vmk.read_text(world.inner("/proc/%s/status" % world.exec("pidof", "vmkeepd").strip()))
    return int(re.search(r"VmRSS:\s*(\d+) kB", status).group(1)) << 10
