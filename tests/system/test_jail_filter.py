# SPDX-License-Identifier: MIT
"""The system calls that vmkeep-jail takes away: each fails with an error and kills nobody; QEMU does not
miss them. And the limits that end a fork bomb."""
import errno
import json
import os
import platform
import re

import pytest

from jail import UID, box, pytestmark  # noqa: F401 (box is a fixture)

PYTHON = "/usr/bin/python3"

# name: (number on x86-64, arguments, errno). The arguments are such that root outside would get another
# answer, or that without the filter even nobody would.
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
    "getpid of x32": (0x40000000 | 39, (), "ENOSYS"),
}
ALLOWED = {"socket unix": (41, (1, 1, 0)), "getpid": (39, ()), "memfd": (319, (b"x", 0)), "eventfd": (290, (0, 0)),
           "prctl": (157, (3, 0)), "seccomp, which QEMU uses on top": (317, (2, 0, b"\0" * 8))}

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

# getpid() in the manner of i386: mov eax, 20; int 0x80; ret. Where the kernel has no such manner the call is
# a fault in the child.
I386 = """
import ctypes, mmap, os
pid = os.fork()
if pid == 0:
    page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    page.write(bytes.fromhex("b814000000cd80c3"))
    function = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))
    os._exit(0 if function() in (-38, -1) else 1)
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""

BOMB = """
import os, signal, time
pids = []
try:
    while len(pids) < 5000:
        pid = os.fork()
        if pid == 0:
            signal.pause()
        pids.append(pid)
except OSError as e:
    print(e.errno, len(pids))
for pid in pids:
    os.kill(pid, signal.SIGKILL)
"""


def calls(box, table, **plan):
    wanted = [(name, row[0], row[1]) for name, row in table.items()]
    return json.loads(python(box, CALLS.replace("CALLS", repr(wanted)), **plan))


def python(box, text, **plan):
    r, w = os.pipe()
    try:
        run = box.run([PYTHON, "-I", "-c", text], [], (w,), (1,), **plan)
    finally:
        os.close(w)
    with open(r) as out:
        assert run.prepared
        printed = out.read()
    assert run.process.wait(30) == 0, printed
    return printed


@pytest.mark.skipif(platform.machine() != "x86_64", reason="numbers of system calls are of x86-64")
def test_system_calls_refused(box):
    found = calls(box, REFUSED)
    assert {n: errno.errorcode.get(e, e) for n, e in found.items()} == {n: row[2] for n, row in REFUSED.items()}


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


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the machine code is of x86")
def test_other_manner_of_calls(box):
    assert int(python(box, I386)) in (0, -11)  # refused, or the kernel has no such manner at all


def test_two_filters_and_limits_are_seen(box):
    with box.waiting() as run:
        status = run.proc("status")
        assert re.search(r"^Seccomp:\t2$", status, re.M) and re.search(r"^Seccomp_filters:\t1$", status, re.M)
        assert re.search(r"Max processes +1024 +1024 ", run.proc("limits"))


def test_fork_bomb(box):
    """Ends at the limit of its uid; others of the host have none of it."""
    error, n = python(box, BOMB, uid=UID + 4711).split()
    assert int(error) == errno.EAGAIN and int(n) < 1024
    assert box.script("echo alive", uid=UID + 4712) == "alive\n"
