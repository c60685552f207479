# SPDX-License-Identifier: MIT
"""System calls that vmkeep-jail blocks: each fails with an error and kills nothing; QEMU does not need them. Also the
limits that stop a fork bomb."""
import errno
import json
import platform
import re

import pytest

from jail import BUSYBOX, UID, box, pytestmark  # noqa: F401 (box is a fixture)

# name: (number on x86-64, arguments, errno). With these arguments root outside the jail, or a user without the
# filter, would get a different result.
REFUSED = {
    "io_uring_setup": (425, (1, 0), "ENOSYS"),
    "io_uring_enter": (426, (0,), "ENOSYS"),
    "io_uring_register": (427, (0,), "ENOSYS"),
    "keyctl": (250, (0, -3, 0), "EPERM"),
    "add_key": (248, (0, 0, 0), "EPERM"),
    "request_key": (249, (0, 0, 0), "EPERM"),
    "pidfd_open": (434, (1, 0), "EPERM"),
    "pidfd_send_signal": (424, (0, 0), "EPERM"),
    "pidfd_getfd": (438, (0, 0), "EPERM"),
    "ptrace": (101, (0, 0), "EPERM"),
    "process_vm_readv": (310, (1,), "EPERM"),
    "process_vm_writev": (311, (1,), "EPERM"),
    "kcmp": (312, (1, 1), "EPERM"),
    "unshare": (272, (0x10000000,), "EPERM"),
    "unshare nothing": (272, (0,), "EPERM"),
    "setns": (308, (0, 0), "EPERM"),
    "clone3": (435, (0, 0), "ENOSYS"),
    "clone new user": (56, (0x10000000 | 17, 0, 0, 0, 0), "EPERM"),
    "clone new pid": (56, (0x20000000 | 17, 0, 0, 0, 0), "EPERM"),
    "mount": (165, (0, 0, 0), "EPERM"),
    "umount2": (166, (0, 0), "EPERM"),
    "pivot_root": (155, (0, 0), "EPERM"),
    "chroot": (161, (0,), "EPERM"),
    "open_tree": (428, (0, 0), "EPERM"),
    "move_mount": (429, (0, 0), "EPERM"),
    "fsopen": (430, (0, 0), "EPERM"),
    "mount_setattr": (442, (0, 0), "EPERM"),
    "bpf": (321, (0, 0), "EPERM"),
    "perf_event_open": (298, (0, 0), "EPERM"),
    "userfaultfd": (323, (1,), "EPERM"),
    "kexec_load": (246, (0, 0), "EPERM"),
    "init_module": (175, (0, 0), "EPERM"),
    "finit_module": (313, (0, 0), "EPERM"),
    "open_by_handle_at": (304, (0, 0), "EPERM"),
    "name_to_handle_at": (303, (0, 0), "EPERM"),
    "fanotify_init": (300, (0, 0), "EPERM"),
    "reboot": (169, (0, 0), "EPERM"),
    "syslog": (103, (3, 0), "EPERM"),
    "personality": (135, (0xffffffff,), "EPERM"),
    "iopl": (172, (0,), "EPERM"),
    "modify_ldt": (154, (0, 0, 0), "EPERM"),
    "sysfs": (139, (3,), "ENOSYS"),
    "socket inet": (41, (2, 1, 0), "EAFNOSUPPORT"),
    "socket inet6": (41, (10, 1, 0), "EAFNOSUPPORT"),
    "socket netlink": (41, (16, 3, 0), "EAFNOSUPPORT"),
    "socket packet": (41, (17, 3, 0), "EAFNOSUPPORT"),
    "socket alg": (41, (38, 5, 0), "EAFNOSUPPORT"),
    "socket vsock": (41, (40, 1, 0), "EAFNOSUPPORT"),
    "socket with high bits": (41, (1 << 32 | 1, 1, 0), "EAFNOSUPPORT"),
    "socket unix datagram": (41, (1, 2, 0), "EAFNOSUPPORT"),
    "socket unix packet": (41, (1, 5 | 0o2000000, 0), "EAFNOSUPPORT"),
    "socket unix datagram, high bits": (41, (1, 1 << 32 | 2, 0), "EAFNOSUPPORT"),
    "socketpair datagram": (53, (1, 2, 0, 0), "EAFNOSUPPORT"),
    "socketpair raw": (53, (1, 3, 0, 0), "EAFNOSUPPORT"),
    "connect": (42, (0, 0, 0), "EPERM"),
    "bind": (49, (0, 0, 0), "EPERM"),
    "chmod": (90, (b"/", 0o755), "EPERM"),
    "fchmod": (91, (0, 0o755), "EPERM"),
    "fchmodat": (268, (-100, b"/", 0o755), "EPERM"),
    "fchmodat2": (452, (-100, b"/", 0o755, 0), "EPERM"),
    "chown": (92, (b"/", -1, -1), "EPERM"),
    "fchown": (93, (0, -1, -1), "EPERM"),
    "lchown": (94, (b"/", -1, -1), "EPERM"),
    "fchownat": (260, (-100, b"/", -1, -1, 0), "EPERM"),
    "setxattr": (188, (b"/", 0, 0, 0, 0), "EPERM"),
    "lsetxattr": (189, (b"/", 0, 0, 0, 0), "EPERM"),
    "fsetxattr": (190, (0, 0, 0, 0, 0), "EPERM"),
    "removexattr": (197, (b"/", 0), "EPERM"),
    "lremovexattr": (198, (b"/", 0), "EPERM"),
    "fremovexattr": (199, (0, 0), "EPERM"),
    "setxattrat": (463, (0, 0), "EPERM"),
    "getxattrat": (464, (0, 0), "EPERM"),
    "listxattrat": (465, (0, 0), "EPERM"),
    "removexattrat": (466, (0, 0), "EPERM"),
    "open_tree_attr": (467, (0, 0), "EPERM"),
    "file_getattr": (468, (0, 0), "EPERM"),
    "file_setattr": (469, (0, 0), "EPERM"),
    "utimensat": (280, (0, 0, 0, 0), "EPERM"),
    "utimes": (235, (b"/", 0), "EPERM"),
    "statmount": (457, (0, 0), "EPERM"),
    "listmount": (458, (0, 0), "EPERM"),
    "lsm_get_self_attr": (459, (0, 0), "ENOSYS"),
    "lsm_set_self_attr": (460, (0, 0), "ENOSYS"),
    "lsm_list_modules": (461, (0, 0), "ENOSYS"),
    "memfd_secret": (447, (0,), "EPERM"),
    "mq_open": (240, (b"x", 0), "EPERM"),
    "shmget": (29, (0, 4096, 0o1600), "EPERM"),
    "semget": (64, (0, 1, 0o1600), "EPERM"),
    "msgget": (68, (0, 0o1600), "EPERM"),
    "splice": (275, (0, 0, 0, 0, 0, 0), "EPERM"),
    "tee": (276, (0, 0, 0, 0), "EPERM"),
    "vmsplice": (278, (0, 0, 0, 0), "EPERM"),
    "sched_setaffinity": (203, (0, 0, 0), "EPERM"),
    "sched_setscheduler": (144, (0, 0, 0), "EPERM"),
    "setpriority": (141, (0, 0, 19), "EPERM"),
    "ioprio_set": (251, (0, 0, 0), "EPERM"),
    "sync": (162, (), "EPERM"),
    "syncfs": (306, (0,), "EPERM"),
    "inotify_init": (253, (), "EPERM"),
    "inotify_init1": (294, (0,), "EPERM"),
    "lease": (72, (0, 1024, 1), "EPERM"),
    "lease, high bits": (72, (0, 1 << 32 | 1024, 1), "EPERM"),
    "notify": (72, (0, 1026, 1), "EPERM"),
    "signal's owner": (72, (0, 8, 0), "EPERM"),
    "a command after seals": (72, (0, 1035, 0), "EINVAL"),
    "lease of a directory": (72, (0, 1040, 1), "EINVAL"),
    "no command, high bits": (72, (0, 1 << 32 | 3, 0), "EINVAL"),
    "core scheduling": (157, (62, 0, 0, 0, 0), "EPERM"),
    "core scheduling, high bits": (157, (1 << 32 | 62, 0, 0, 0, 0), "EPERM"),
    # what all programs of the host share
    "io_setup": (206, (1, 0), "ENOSYS"),
    "io_submit": (209, (0, 0, 0), "ENOSYS"),
    "io_pgetevents": (333, (0, 0, 0), "ENOSYS"),
    "huge pages": (9, (0, 4096, 3, 0x40022, -1, 0), "EPERM"),
    "huge pages of 1 GiB": (9, (0, 4096, 3, 30 << 26 | 0x40022, -1, 0), "EPERM"),
    "file of huge pages": (319, (b"x", 4), "EPERM"),
    "file of huge pages, high bits": (319, (b"x", 1 << 32 | 21 << 26 | 5), "EPERM"),
    # what tells of other processes: pid 1 exists
    "getpgid": (121, (1,), "EPERM"),
    "getsid": (124, (1,), "EPERM"),
    "getpriority": (140, (0, 1), "EPERM"),
    "ioprio_get": (252, (1, 1), "EPERM"),
    "capget": (125, (b"\x22\x05\x08\x20\x01\0\0\0", bytes(24)), "EPERM"),
    "sched_getaffinity": (204, (1, 128, bytes(128)), "ENOSYS"),
    "sched_getparam": (143, (1, bytes(8)), "ENOSYS"),
    "sched_getscheduler": (145, (1,), "ENOSYS"),
    "sched_getattr": (315, (1, bytes(64), 64, 0), "ENOSYS"),
    "sched_rr_get_interval": (148, (1, bytes(16)), "ENOSYS"),
    "clock of a process": (228, (~1 << 3 | 2, bytes(16)), "EINVAL"),
    "resolution of its clock": (229, (~1 << 3 | 2, bytes(16)), "EINVAL"),
    "sleep by its clock": (230, (~1 << 3 | 2, 0, bytes(16), 0), "EINVAL"),
    "fork": (57, (), "EPERM"),
    "vfork": (58, (), "EPERM"),
    "clone a process": (56, (17, 0, 0, 0, 0), "EPERM"),
    "clone a process, high bits": (56, (1 << 32 | 17, 0, 0, 0, 0), "EPERM"),
    "clone with the same memory": (56, (0x100 | 0x4000 | 17, 0, 0, 0, 0), "EPERM"),
    "the next kernel's": (470, (0, 0), "ENOSYS"),
    "the one after the next": (600, (0, 0), "ENOSYS"),
    "none": (0x3fffffff, (), "ENOSYS"),
    "getpid of x32": (0x40000000 | 39, (), "ENOSYS"),
}
ALLOWED = {"socket unix": (41, (1, 1, 0)), "socket unix, flags": (41, (1, 0o2004001, 0)), "getpid": (39, ()), "memfd": (319, (b"x", 0)), "eventfd": (290, (0, 0)),
           "prctl": (157, (3, 0)), "flags": (72, (0, 3, 0)), "mmap": (9, (0, 4096, 3, 0x22, -1, 0)), "own group": (121, (0,)), "own priority": (140, (0, 0)),
           "own CPUs": (204, (0, 128, bytes(128))), "own clock": (228, (2, bytes(16))), "own thread's clock": (228, (3, bytes(16))),
           "seccomp, which QEMU uses on top": (317, (2, 0, b"\0" * 8))}

CALLS = """
import ctypes, json, sys
libc = ctypes.CDLL(None, use_errno=True)
found = {}
for name, number, arguments in CALLS:
    ctypes.set_errno(0)
    value = libc.syscall(ctypes.c_long(number), *(a if isinstance(a, bytes) else ctypes.c_long(a) for a in arguments))
    found[name] = ctypes.get_errno() if value == -1 else 0
print(json.dumps(found))
"""

# getpid() as an i386 system call: mov eax, 20; int 0x80; ret. Without kernel support for it this is a fault.
I386 = """
import ctypes, mmap
page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
page.write(bytes.fromhex("b814000000cd80c3"))
function = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))
print(function(), flush=True)
"""

THREADS = """
import threading
threads, stop = [], threading.Event()
threading.stack_size(65536)
try:
    while len(threads) < 5000:
        threads.append(threading.Thread(target=stop.wait))
        threads[-1].start()
except RuntimeError as e:
    print(len(threads) - 1, e)
stop.set()
"""


# Requests as in C headers; those that the filter allows reach /dev/null or a file, which do not implement them.
IOCTLS_REFUSED = {
    "SIOCSIFHWADDR": 0x8924, "SIOCSIFNAME": 0x8923, "SIOCSIFFLAGS": 0x8914, "SIOCGSKNS": 0x894c, "SIOCSPGRP": 0x8902,
    "FIOSETOWN": 0x8901, "FIOASYNC": 0x5452, "TUNSETNOCSUM": 0x400454c8, "TUNSETDEBUG": 0x400454c9,
    "TUNSETIFF": 0x400454ca, "TUNSETPERSIST": 0x400454cb, "TUNSETOWNER": 0x400454cc, "TUNSETLINK": 0x400454cd,
    "TUNSETGROUP": 0x400454ce, "TUNSETTXFILTER": 0x400454d1, "TUNATTACHFILTER": 0x401054d5,
    "TUNDETACHFILTER": 0x401054d6, "TUNSETIFINDEX": 0x400454da, "TUNGETFILTER": 0x801054db,
    "TUNSETSTEERINGEBPF": 0x800454e0, "TUNSETFILTEREBPF": 0x800454e1, "TUNSETCARRIER": 0x400454e2,
    "TUNGETDEVNETNS": 0x54e3, "FS_IOC_SETFLAGS": 0x40086602, "FS_IOC_GETFLAGS": 0x80086601,
    "FS_IOC_FSSETXATTR": 0x401c5820, "FS_IOC_SETVERSION": 0x40087602, "FS_IOC_SETFSLABEL": 0x41009432,
    "FICLONE": 0x40049409, "FICLONERANGE": 0x4020940d, "FIDEDUPERANGE": 0xc0189436, "FIBMAP": 1, "FIFREEZE": 0xc0045877,
    "FITHAW": 0xc0045878, "FITRIM": 0xc0185879, "FS_IOC_ENABLE_VERITY": 0x40806685, "FS_IOC_RESVSP": 0x40305828,
    "FS_IOC_SET_ENCRYPTION_POLICY": 0x800c6613, "EXT4_IOC_SWAP_BOOT": 0x6611, "BTRFS_IOC_SUBVOL_CREATE": 0x5000940e,
    "SG_IO": 0x2285, "SCSI_IOCTL_SEND_COMMAND": 1, "CDROM_SEND_PACKET": 0x5393, "BLKRRPART": 0x125f,
    "BLKROSET": 0x125d, "BLKFLSBUF": 0x1261, "BLKRASET": 0x1262, "BLKSECDISCARD": 0x127d, "BLKPG": 0x1269, "BLKBSZSET": 0x40081271,
    "BLKTRACESETUP": 0xc0481273, "NVME_IOCTL_ADMIN_CMD": 0xc0484e41, "LOOP_CLR_FD": 0x4c01, "LOOP_CHANGE_FD": 0x4c06,
    "DM_DEV_REMOVE": 0xc138fd04, "TIOCSTI": 0x5412, "TIOCSCTTY": 0x540e, "TCSETS": 0x5402, "TIOCLINUX": 0x541c,
    "KDSETMODE": 0x4b3a, "KVM_CREATE_VM": 0xae01, "VHOST_SET_OWNER": 0xaf01, "VFIO_GET_API_VERSION": 0x3b64,
    "USBDEVFS_RESET": 0x5514, "UFFDIO_API": 0xc018aa3f, "PERF_EVENT_IOC_ENABLE": 0x2400, "NS_GET_PARENT": 0xb702,
    "zero": 0, "all ones": 0xffffffff,
}
IOCTLS_ALLOWED = {
    "TUNGETIFF": 0x800454d2, "TUNSETOFFLOAD": 0x400454d0, "TUNGETVNETHDRSZ": 0x800454d7, "TUNSETVNETHDRSZ": 0x400454d8,
    "TUNSETSNDBUF": 0x400454d4, "TUNSETQUEUE": 0x400454d9, "TUNGETFEATURES": 0x800454cf, "BLKGETSIZE64": 0x80081272,
    "BLKSSZGET": 0x1268, "BLKDISCARD": 0x1277, "BLKZEROOUT": 0x127f, "CDROM_DRIVE_STATUS": 0x5326, "TCGETS": 0x5401,
}
NODES = {"/dev/kvm": 0xae, "/dev/vhost-net": 0xaf, "/dev/vfio/vfio": 0x3b, "/dev/bus/usb/001/002": 0x55}


def calls(box, table, **plan):
    wanted = [(name, row[0], row[1]) for name, row in table.items()]
    return json.loads(box.python(CALLS.replace("CALLS", repr(wanted)), **plan))


@pytest.mark.skipif(platform.machine() != "x86_64", reason="numbers of system calls are of x86-64")
@pytest.mark.parametrize("role", ["qemu", "tool", "copy", "seed", "probe"])
def test_system_calls_refused(box, role):
    found = calls(box, REFUSED, role=role)
    assert {n: errno.errorcode.get(e, e) for n, e in found.items()} == {n: row[2] for n, row in REFUSED.items()}


# What curl needs of them: to reach a server, and pairs of sockets for its threads.
FETCHES = {"socket inet", "socket inet6", "socket netlink", "socketpair datagram", "socketpair raw", "connect", "inotify_init", "inotify_init1",
           "capget"}
SERVES = {"listen": (50, (0, 1), "EPERM"), "socket unix": (41, (1, 1, 0), "EAFNOSUPPORT"), "socket unix, flags": (41, (1, 0o2004001, 0), "EAFNOSUPPORT"),
          "socket netfilter": (41, (16, 3, 12), "EAFNOSUPPORT"), "bind inet": (49, (0, b"\2\0\0\0" + bytes(12), 16), "EPERM")}


@pytest.mark.skipif(platform.machine() != "x86_64", reason="numbers of system calls are of x86-64")
def test_a_program_that_fetches_serves_nobody(box):
    """On the host's network it can connect, but offers nothing there, and finds no local sockets."""
    table = {n: row for n, row in REFUSED.items() if n not in FETCHES} | SERVES
    found = calls(box, table | {n: REFUSED[n] for n in FETCHES}, role="fetch")
    assert {n: errno.errorcode.get(found[n], found[n]) for n in table} == {n: row[2] for n, row in table.items()}
    assert {n for n in FETCHES if errno.errorcode.get(found[n]) == REFUSED[n][2]} == set()


@pytest.mark.skipif(platform.machine() != "x86_64", reason="numbers of system calls are of x86-64")
def test_system_calls_allowed(box):
    found = calls(box, ALLOWED)
    assert found.pop("seccomp, which QEMU uses on top") in (0, errno.EOPNOTSUPP, errno.EINVAL)
    assert set(found.values()) == {0}, found


@pytest.mark.skipif(platform.machine() != "x86_64", reason="numbers of system calls are of x86-64")
def test_io_uring_where_a_disk_wants_it(box):
    wanted = {name: REFUSED[name] for name in REFUSED if name.startswith("io_uring")}
    assert errno.ENOSYS not in calls(box, wanted, io_uring=True).values()
    others = {name: row for name, row in REFUSED.items() if name not in wanted}
    assert 0 not in calls(box, others, io_uring=True).values()


SUPPLIES = {  # words of a command line, and what they allow
    '{"driver":"file","aio":"native"}': "io_", "file.filename=x,aio=native": "io_",
    '{"qom-type":"memory-backend-memfd","hugetlb":true}': "huge", "memory-backend-memfd,hugetlb=on": "huge",
    "hugetlb=off,aio=threads": "nothing",
}


@pytest.mark.skipif(platform.machine() != "x86_64", reason="numbers of system calls are of x86-64")
@pytest.mark.parametrize("word", SUPPLIES)
def test_supplies_that_the_command_line_asks_for(box, word):
    wanted = {name: row for name, row in REFUSED.items() if name.startswith("io_") and "uring" not in name or "huge pages" in name}
    found = json.loads(box.python(CALLS.replace("CALLS", repr([(n, *row[:2]) for n, row in wanted.items()])), words=[word]))
    passed = {n for n, e in found.items() if errno.errorcode.get(e, e) != wanted[n][2]}
    assert passed == {n for n in wanted if SUPPLIES[word] in n}


@pytest.mark.skipif(platform.machine() != "x86_64", reason="numbers of system calls are of x86-64")
def test_native_aio_of_a_stores_program(box):
    """thin_check, which LVM runs before it activates a pool, has no other way to read."""
    assert calls(box, {"io_setup": REFUSED["io_setup"]}, role="store", uid=0) == {"io_setup": errno.EFAULT}


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the machine code is of x86")
def test_other_manner_of_calls(box):
    assert box.python(I386) in ("-38\n", "-1\n", "")  # refused, or the kernel does not support it


def ioctls(requests):
    """Each request as it is, with the upper half of its register set, and as a negative C int; on /dev/null."""
    return {f"{name} {how:x}": (16, (0, how | r, 0)) for name, r in requests.items()
            for how in (0, 1 << 32, 0xdeadbeef << 32, -1 << 32)}


@pytest.mark.skipif(platform.machine() != "x86_64", reason="numbers of system calls are of x86-64")
@pytest.mark.parametrize("role", ["qemu", "tool", "copy", "seed", "fetch"])
def test_ioctl_refused(box, role):
    found = calls(box, ioctls(IOCTLS_REFUSED), role=role)
    assert {name: errno.errorcode.get(e, e) for name, e in found.items() if e != errno.EPERM} == {}


@pytest.mark.skipif(platform.machine() != "x86_64", reason="numbers of system calls are of x86-64")
def test_ioctl_allowed(box):
    found = calls(box, ioctls(IOCTLS_ALLOWED))
    assert {name: errno.errorcode.get(e, e) for name, e in found.items() if e != errno.ENOTTY} == {}
    found = calls(box, ioctls({n: r for n, r in IOCTLS_ALLOWED.items() if n.startswith("TUN")}), role="tool")
    assert set(found.values()) == {errno.EPERM}


@pytest.mark.skipif(platform.machine() != "x86_64", reason="numbers of system calls are of x86-64")
@pytest.mark.parametrize("node", NODES)
def test_ioctl_of_a_device(box, node):
    """A device's requests reach the kernel only if the plan includes the device's node."""
    have = ["unshare", "-m", BUSYBOX, "sh", "-c", "mount -t tmpfs none /dev; mkdir -p ${0%/*}; mknod $0 c 1 3;"
            'mknod /dev/null c 1 3; mknod /dev/urandom c 1 9; exec "$@"', node]
    found = calls(box, ioctls({f"{t:x}": t << 8 | 0xfe for t in range(256)}), dev=[node], prefix=have)
    reached = {name for name, e in found.items() if e != errno.EPERM}
    assert {int(name.split()[0], 16) for name in reached} == {NODES[node]} and len(reached) == 4


def test_filter_and_limits_are_seen(box):
    with box.waiting() as run:
        status = run.proc("status")
        assert re.search(r"^Seccomp:\t2$", status, re.M) and re.search(r"^Seccomp_filters:\t1$", status, re.M)
        assert re.search(r"Max processes +1024 +1024 ", run.proc("limits"))


@pytest.mark.skipif(platform.machine() != "x86_64", reason="numbers of system calls are of x86-64")
@pytest.mark.parametrize("role", ["qemu", "tool", "copy", "seed", "fetch", "probe"])
def test_neighbours_with_the_same_uid(box, role):
    """A program cannot signal processes with its own uid or change their limits; it may do both to itself."""
    def signals(pid):
        return {"kill": (62, (pid, 0)), "kill its group": (62, (-pid, 0)), "tgkill": (234, (pid, pid, 0)),
                "tkill": (200, (pid, 0)), "rt_sigqueueinfo": (129, (pid, 0, bytes(128))),
                "rt_tgsigqueueinfo": (297, (pid, pid, 0, bytes(128))), "prlimit64": (302, (pid, 0, 0, 0)),
                "all": (62, (-1, 0)), "kill, high bits": (62, (1 << 32 | pid, 0))}
    with box.waiting(role=role) as other:
        found = calls(box, signals(other.pid), role=role)
    assert {name: errno.errorcode.get(e, e) for name, e in found.items() if e != errno.EPERM} == {}
    own = "import os, resource, signal, threading\n" \
          "os.kill(os.getpid(), 0); signal.pthread_kill(threading.get_ident(), 0)\n" \
          "resource.setrlimit(resource.RLIMIT_CPU, (30, 30)); print('ok', flush=True); signal.raise_signal(9)\n"
    assert box.python(own, role=role) == "ok\n"


def test_thread_bomb(box):
    """It stops at the limit of its uid; other users' processes are not affected."""
    n, said = box.python(THREADS, uid=UID + 4711).split(" ", 1)
    assert int(n) < 1024 and "start new thread" in said
    assert box.script("echo alive", uid=UID + 4712) == "alive\n"
