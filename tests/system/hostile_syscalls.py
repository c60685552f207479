# SPDX-License-Identifier: MIT
"""What hostile_qemu.py tries with the kernel: each system call by number, each ioctl on each of its descriptors,
permanent changes of files and taps, and children that would outlive it. x86-64 only."""
import array
import ctypes
import fcntl
import os
import socket
import struct

import hostile_qemu as h

# Calls that would end, suspend or confuse this program itself, whatever their arguments; no test needs them.
SKIPPED = {15: "rt_sigreturn", 34: "pause", 59: "execve", 60: "exit", 130: "rt_sigsuspend", 231: "exit_group",
           271: "ppoll", 322: "execveat", 335: "uretprobe", 336: "uprobe"}
HIGHEST = 600
SIOCSIFHWADDR, SIOCGIFHWADDR, SIOCSIFNAME, SIOCSIFFLAGS = 0x8924, 0x8927, 0x8923, 0x8914
PLAIN_TUN = {"TUNSETPERSIST": (0x400454cb, 1), "TUNSETOWNER": (0x400454cc, 4711), "TUNSETGROUP": (0x400454ce, 4711),
             "TUNSETLINK": (0x400454cd, 512), "TUNSETNOCSUM": (0x400454c8, 1), "TUNSETDEBUG": (0x400454c9, 1),
             "TUNSETTXFILTER": (0x400454d1, 0), "TUNSETCARRIER": (0x400454e2, 0), "TUNATTACHFILTER": (0x401054d5, 0),
             "TUNSETIFF": (0x400454ca, 0), "TUNSETSTEERINGEBPF": (0x800454e0, 0), "TUNSETFILTEREBPF": (0x800454e1, 0),
             "TUNGETDEVNETNS": (0x54e3, 0), "SIOCGSKNS": (0x894c, 0)}


def own():
    """Its descriptors by kind: the tap, null."""
    kinds = {}
    for fd in range(1024):
        try:
            st = os.fstat(fd)
        except OSError:
            continue
        if st.st_rdev == os.makedev(10, 200):
            kinds["tap"] = fd
        elif st.st_rdev == os.makedev(1, 3):
            kinds["null"] = fd
    return kinds


def all_calls():
    """The errno of each system call, with arguments that are harmless if the call is allowed."""
    found = {}
    for number in range(HIGHEST + 1):
        if number in SKIPPED:
            continue
        ctypes.set_errno(0)
        value = h.libc.syscall(ctypes.c_long(number), *[ctypes.c_long(-1)] + [ctypes.c_long(0)] * 5)
        if value == 0 and number in (56, 57, 58, 435) and os.getpid() != MAIN:
            os._exit(0)
        found[number] = ctypes.get_errno() if value == -1 else 0
    os.umask(0o77)
    return found


def all_ioctls(fd):
    """The requests on this descriptor that the filter allows: each type and number, in several sizes, and with the
    upper half of the register set."""
    room = ctypes.create_string_buffer(8192)
    into, syscall, through = ctypes.addressof(room), h.libc.syscall, set()
    syscall.restype = ctypes.c_long
    shapes = [0, 0x4004 << 16, 0x8004 << 16, 0xc004 << 16, 0x4008 << 16, 0x8008 << 16, 0x800c << 16]
    for request in range(1 << 16):
        for shape in shapes:
            for upper in ((0, 1 << 32) if shape < 1 << 31 else (0, -1 << 32)):
                ctypes.set_errno(0)
                if syscall(16, fd, ctypes.c_long(upper | shape | request), ctypes.c_long(into)) != -1 or ctypes.get_errno() != 1:
                    through.add(shape | request)
    return sorted(through)[:500]  # a longer list is wrong anyway


def files(disk):
    """Changes that would remain on the image, by every call and by ioctl."""
    fd = os.open(disk, os.O_RDWR)
    name = disk.encode() + b"\0"
    times = struct.pack("qqqq", 1, 0, 1, 0)
    acl = struct.pack("<I", 2) + struct.pack("<HHI", 1, 7, 0xffffffff) * 3
    attributes = struct.pack("QQI", len(acl), 0, 0)
    flags = array.array("i", [0x10, 0])
    xflags = bytearray(28)
    tried = {
        "chmod": h.call(90, name, 0o4755), "fchmod": h.call(91, fd, 0o4755), "fchmodat": h.call(268, -100, name, 0o4755),
        "fchmodat2": h.call(452, -100, name, 0o4755, 0), "chown": h.call(92, name, 0, 0), "fchown": h.call(93, fd, -1, 0),
        "lchown": h.call(94, name, 0, 0), "fchownat": h.call(260, -100, name, 0, 0, 0),
        "fsetxattr": h.call(190, fd, b"user.x\0", b"x", 1, 0), "acl": h.call(190, fd, b"system.posix_acl_access\0", acl, len(acl), 0),
        "setxattr": h.call(188, name, b"user.x\0", b"x", 1, 0), "lsetxattr": h.call(189, name, b"user.x\0", b"x", 1, 0),
        "setxattrat": h.call(463, -100, name, 0, b"user.x\0", attributes, len(attributes)),
        "fremovexattr": h.call(199, fd, b"user.there\0"), "removexattrat": h.call(466, -100, name, 0, b"user.there\0"),
        "file_setattr": h.call(469, -100, name, bytes(24), 24, 0), "utimensat": h.call(280, fd, 0, times, 0),
        "lease": h.attempt(fcntl.fcntl, fd, fcntl.F_SETLEASE, fcntl.F_WRLCK),
        "FS_IOC_SETFLAGS": h.attempt(fcntl.ioctl, fd, 0x40086602, flags), "FS_IOC_FSSETXATTR": h.attempt(fcntl.ioctl, fd, 0x401c5820, xflags),
        "FS_IOC_SETVERSION": h.attempt(fcntl.ioctl, fd, 0x40087602, flags), "verity": h.attempt(fcntl.ioctl, fd, 0x40806685, bytes(128)),
        "upper half": h.call(16, fd, 1 << 32 | 0x40086602, flags.tobytes())}
    os.close(fd)
    return tried


def tap(fd):
    """Changes of the tap that would remain after it, and those with effects beyond it."""
    if fd is None:
        return {}
    request = bytearray(64)
    tried = {"TUNGETIFF": h.attempt(lambda: fcntl.ioctl(fd, 0x800454d2, request) and None)}
    name = bytes(request[:16])
    address = name + struct.pack("H6s", 1, b"\x52\x54\0\x11\x22\x33") + bytes(40)
    for what, data in (("address", address), ("flags", name + struct.pack("H", 0) + bytes(46))):
        number = {"address": SIOCSIFHWADDR, "flags": SIOCSIFFLAGS}[what]
        for upper in (0, 1 << 32, -1 << 32):
            tried[f"{what} {upper:x}"] = h.call(16, fd, upper | number, data)
    for what, (number, value) in PLAIN_TUN.items():
        for upper in (0, 1 << 32, -1 << 32):
            tried[f"{what} {upper:x}"] = h.call(16, fd, upper | number, value)
    return tried


def children():
    """A new process, in every way there is."""
    tried = {}
    for what, number, arguments in (("fork", 57, ()), ("vfork", 58, ()), ("clone", 56, (17, 0, 0, 0, 0)), ("clone parent", 56, (0x8000 | 17, 0, 0, 0, 0)),
                                    ("clone, upper half", 56, (1 << 32 | 17, 0, 0, 0, 0)), ("clone3", 435, (bytes(88), 88))):
        if what == "clone3":
            arguments = (struct.pack("QQQQQQQQQQQ", 0, 0, 0, 0, 17, 0, 0, 0, 0, 0, 0), 88)
        tried[what] = h.call(number, *arguments)
        while os.getpid() != MAIN:
            h.time.sleep(3600)
    return tried


def sockets():
    """New sockets, and what can be done with these and with those that it was given."""
    tried = {}
    for family in range(46):
        for kind in range(16):
            for call, extra in ((41, ()), (53, (bytes(8),))):
                tried[f"{call} {family} {kind}"] = h.call(call, family, kind, 0, *extra)
    with socket.socket(socket.AF_UNIX) as s, socket.socket(fileno=os.dup(h.QMP)) as given:
        for name, one in (("own", s), ("given", given)):
            tried["connect " + name] = h.attempt(one.connect, "/x")
            tried["bind " + name] = h.attempt(one.bind, "\0vmkeep-x")
            tried["unspec " + name] = h.call(42, one.fileno(), b"\0\0", 2)
        tried["listen own"] = h.attempt(s.listen)
    return tried


def syscalls(monitor):
    disk = h.json.loads(next(w for w in h.sys.argv if '"node-name":"d-' in w))["file"]["filename"]
    fds = own()
    h.tell(calls=all_calls())
    h.tell(ioctls={name: all_ioctls(fd) for name, fd in {**fds, "disk": os.open(disk, os.O_RDWR)}.items()})
    h.tell(files=files(disk), tap=tap(fds.get("tap")), children=children())
    tried = sockets()
    h.tell(opened=[what for what, e in tried.items() if e.isdigit() or e == "None"],
           refused=sorted({e for e in tried.values() if not e.isdigit() and e != "None"}))
    h.tell(done=1)
    h.stay(monitor)


MAIN = os.getpid()
BEHAVIOUR = {"syscalls": syscalls}
