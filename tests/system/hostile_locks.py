# SPDX-License-Identifier: MIT
"""A compromised QEMU that locks everything it can open, in every way there is. Run with paths as arguments, it does
the same as a local user without a role."""
import errno
import fcntl
import json
import os
import struct
import sys

BYTES = [*range(99, 112), *range(199, 212)]  # QEMU's, and some around them
LEASE = 1024  # F_SETLEASE
OFD_SETLK = 37
SET_PROJECT = 0x401C5820  # FS_IOC_FSSETXATTR
kept = []


def flock_struct(kind, start, length):
    return struct.pack("hhqqi", kind, os.SEEK_SET, start, length, 0)


def attempt(function, *arguments):
    try:
        function(*arguments)
    except OSError as e:
        return errno.errorcode[e.errno]
    return "done"


def seize(path):
    """Read-locks every byte, by open file and by process, and the whole file, and tries other ways to keep others
    out."""
    fd = os.open(path, os.O_RDONLY)
    kept.append(fd)
    found = {"writable": attempt(os.open, path, os.O_RDWR)}
    found["read locks"] = sorted({attempt(fcntl.fcntl, fd, OFD_SETLK, flock_struct(fcntl.F_RDLCK, b, 1))
                                  for b in BYTES} |
                                 {attempt(fcntl.fcntl, fd, OFD_SETLK, flock_struct(fcntl.F_RDLCK, 0, 0)),
                                  attempt(fcntl.lockf, fd, fcntl.LOCK_SH)})
    found["write lock"] = attempt(fcntl.fcntl, fd, OFD_SETLK, flock_struct(fcntl.F_WRLCK, 100, 1))
    found["flock"] = attempt(fcntl.flock, fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    found["leases"] = [attempt(fcntl.fcntl, fd, LEASE, kind) for kind in (fcntl.F_WRLCK, fcntl.F_RDLCK)]
    return found


def readable(*tops):
    """The files below this directory that this process may read, a few in each directory."""
    for top in tops:
        if os.path.isfile(top) and os.access(top, os.R_OK):
            yield top
        for folder, _, names in os.walk(top):
            paths = [os.path.join(folder, n) for n in sorted(names)]
            yield from [p for p in paths if os.path.isfile(p) and os.access(p, os.R_OK)][:40]


def locks(monitor):
    import hostile_qemu as h
    nodes = [json.loads(word) for word in sys.argv if word.startswith('{"driver"') and '"node-name"' in word]
    mine = []
    for node in nodes:
        while isinstance(node, dict) and "file" in node:
            mine.append(node["file"]["filename"])
            node = node.get("backing")
    found = {path: seize(path) for path in mine}
    disk = os.open(mine[0], os.O_RDWR)
    project = [attempt(fcntl.ioctl, disk, request, bytes(28)) for request in (SET_PROJECT, SET_PROJECT | 1 << 32)]
    for path in readable("/usr/share/OVMF", "/usr/share/qemu", "/usr/bin/qemu-img", "/usr/sbin"):
        seize(path)
    h.tell(files=found, locked=len(kept), project=project)
    h.stay(monitor)


BEHAVIOUR = {"locks": locks}

if __name__ == "__main__":
    for one in readable(*sys.argv[1:]):
        seize(one)
    print("locked", len(kept), flush=True)
    sys.stdin.read()
