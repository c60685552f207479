# SPDX-License-Identifier: MIT
"""A QEMU tries every system call and ioctl that it can (hostile_syscalls.py): afterwards the host's files,
interfaces, sockets and other guests are unchanged, and nothing outlives its VM."""
import errno
import fcntl
import json
import os
import platform
import re

import pytest

from hostile import BINARY

pytestmark = pytest.mark.skipif(platform.machine() != "x86_64", reason="numbers of system calls are of x86-64")

# System calls that must not reach the kernel.
EPERM = [
    29, 30, 31, 64, 65, 66, 67, 68, 69, 70, 71, 220,            # System V IPC
    42, 49,                                                     # connect, bind
    56, 57, 58,                                                 # processes
    90, 91, 92, 93, 94, 132, 235, 260, 261, 268, 280, 452,      # modes, owners, times
    101, 103, 121, 124, 125, 135, 141, 142, 144, 153, 154, 155, 159, 161, 162, 163, 164, 165, 166, 167, 168, 169, 170, 171, 172, 173,
    174, 175, 176, 179, 188, 189, 190, 197, 198, 199, 203, 227, 240, 241, 242, 243, 244, 245, 246, 248, 249,
    250, 251, 253, 254, 256, 272, 275, 276, 278, 279, 294, 298, 300, 301, 303, 304, 305, 306, 308, 310, 311, 312, 313,
    314, 320, 321, 323, 424, 428, 429, 430, 431, 432, 433, 434, 438, 440, 442, 443, 447, 448, 457, 458, 463, 464, 465, 466,
    467, 468, 469]
ENOSYS = [134, 136, 139, 143, 145, 148, 156, 177, 178, 180, 204, 206, 207, 208, 209, 210, 212, 315, 333, 425, 426, 427, 435, 451, 459, 460, 461] + list(range(470, 601))

# All requests that ioctl() may make, on any descriptor.
IOCTLS = {
    "any": [0x5450, 0x5451, 0x5421, 0x541b, 0x5401],
    "disk": [0x1260, 0x80081272, 0x1268, 0x80081270, 0x127b, 0x1278, 0x1279, 0x127a, 0x1267, 0x127e, 0x125e, 0x1277, 0x127c, 0x127f,
             0x301, 0x800c581e],
    "cd": [0x5326, 0x5329, 0x5309, 0x5319],
    "tap": [0x800454cf, 0x800454d2, 0x400454d0, 0x800454d7, 0x400454d8, 0x400454dc, 0x400454de, 0x400454d4, 0x400454d9],
}


def flags(path):
    """lsattr's flags, and the project."""
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        return [fcntl.ioctl(fd, number, bytes(size)) for number, size in ((0x80086601, 8), (0x801c581f, 28))]
    except OSError:
        return None
    finally:
        os.close(fd)


def files(*folders):
    found = {}
    for top in folders:
        for folder, _, names in os.walk(top):
            for path in [folder] + [os.path.join(folder, n) for n in names]:
                st = os.lstat(path)
                own = {n: os.getxattr(path, n, follow_symlinks=False) for n in os.listxattr(path, follow_symlinks=False)}
                found[path] = (oct(st.st_mode), st.st_uid, st.st_gid, st.st_nlink, own, flags(path) if os.path.isfile(path) else None)
    return found


def links(world):
    """Interfaces without their counters: address, flags, master; for taps also owner and persistence."""
    rows = json.loads(world.exec("ip", "-json", "-details", "link"))
    return {r["ifname"]: (r["address"], sorted(r["flags"]), r.get("master"), r.get("promiscuity"), r["linkinfo"]["info_data"]
                          if r.get("linkinfo", {}).get("info_kind") == "tun" else None) for r in rows}


def listening(world):
    return sorted(re.sub(r"\s+\d+\s+\d+", "", line) for line in world.exec("ss", "-H", "-l", "-n", "-A", "tcp,udp,raw,packet,unix").splitlines())


def answers(world, name):
    """Everything that the program reported, by topic."""
    told = world.stream("console", name, "--lines", "1000")
    told.until(r'\{"done": 1\}', timeout=120)
    rows = [json.loads(line) for line in told.text.splitlines() if line.startswith("{")]
    return {key: value for row in rows for key, value in row.items()}


def test_every_call_and_every_ioctl(hostile):
    hostile.micro("good", "echo")
    console = hostile.up("good")
    hostile.image("syscalls.raw", "deaf")
    image = os.path.join(hostile.images, "syscalls.raw")
    os.setxattr(image, "user.there", b"before")
    hostile.write("syscalls.vm", f"[VM]\nMemory=16M\n[Disk root]\nPath=syscalls.raw\n[NIC lan]\n[QEMU]\nBinary={BINARY}\n")
    hostile.ok("start", "syscalls")
    info = hostile.info("syscalls")
    folders = [hostile.images, hostile.config]
    before = files(*folders), links(hostile), listening(hostile)
    told = answers(hostile, "syscalls")
    assert (files(*folders), links(hostile), listening(hostile)) == before
    calls = {int(n): e for n, e in told["calls"].items()}
    assert {n: errno.errorcode.get(calls[n], calls[n]) for n in EPERM if calls[n] != errno.EPERM} == {}
    assert {n: errno.errorcode.get(calls[n], calls[n]) for n in ENOSYS if calls[n] != errno.ENOSYS} == {}
    assert set(told["ioctls"]) == {"tap", "null", "disk"}
    for name, through in told["ioctls"].items():
        assert {hex(r) for r in through} <= {hex(r) for rows in IOCTLS.values() for r in rows}, name
    assert told["tap"].pop("TUNGETIFF") == "0"
    for group in ("files", "tap", "children"):
        assert set(told[group].values()) <= {"EPERM", "ENOSYS"}, told[group]
    assert set(told["opened"]) == {"41 1 1", "53 1 1"}, told["opened"]
    assert set(told["refused"]) <= {"EAFNOSUPPORT", "EPERM", "EINVAL"}  # the last: to listen without a name
    # and the guest ends without a trace
    taps = {n for n, row in before[1].items() if row[4]}
    assert taps
    hostile.ok("kill", "syscalls")
    hostile.eventually(lambda: set(links(hostile)), lambda names: not names & taps)
    assert str(info["uid"]) not in hostile.exec("ps", "-e", "-o", "uid=").split()
    after = files(*folders)
    assert {p: row for p, row in after.items() if row != before[0].get(p)} == {}
    console.type("alive")
    console.until("alive")
