# SPDX-License-Identifier: MIT
"""The walls behind the private root: which descriptors may be passed in, and what Landlock refuses if the kernel has
it."""
import array
import ctypes
import json
import os
import socket
import subprocess

import pytest

from jail import box, BUSYBOX, LIMIT, libc, PYTHON, pytestmark, UID  # noqa: F401 (fixtures are used by name)

LANDLOCK = libc.syscall(ctypes.c_long(444), None, ctypes.c_long(0), ctypes.c_long(1))  # its ABI version

TRY = """
import array, ctypes, errno, json, os, signal, socket, sys
def attempt(function, *arguments):
    try:
        return function(*arguments) and None
    except OSError as e:
        return errno.errorcode[e.errno]
talk = socket.socket(fileno=5)
_, control, _, _ = talk.recvmsg(1, socket.CMSG_SPACE(4))
outside = array.array("i", control[0][2])[0]
place, other = sys.argv[1], int(sys.argv[2])
new, old = place + "/new", place + "/old"
found = {
    "read": attempt(os.open, old, os.O_RDONLY), "write": attempt(os.open, old, os.O_WRONLY),
    "truncate": attempt(os.truncate, old, 1), "list": attempt(os.listdir, place) and None,
    "make": attempt(os.open, new, os.O_WRONLY | os.O_CREAT), "mkdir": attempt(os.mkdir, new),
    "symlink": attempt(os.symlink, "/x", new), "link": attempt(os.link, old, new), "rename": attempt(os.rename, old, new),
    "fifo": attempt(os.mkfifo, new), "unlink": attempt(os.unlink, old), "rmdir": attempt(os.rmdir, place + "/dir"),
    "exec": attempt(os.execv, place + "/program", ["x"]), "beyond": attempt(lambda: os.open("old", os.O_RDONLY, dir_fd=outside)),
    "beyond, up": attempt(lambda: os.open("../../../../../../etc/passwd", os.O_RDONLY, dir_fd=outside)),
    "signal": attempt(os.kill, other, 0), "own signal": attempt(os.kill, os.getpid(), 0)}
talk.send(json.dumps(found).encode())
"""


@pytest.fixture
def stranger():
    """A process of the VM's uid outside its jail."""
    with subprocess.Popen([BUSYBOX, "cat"], stdin=subprocess.PIPE, user=UID, group=UID) as p:
        yield p.pid
        p.stdin.close()


def test_what_is_mounted_later_is_let_in(box, stranger):
    """Files that are mounted into the private root later can be used; nothing can be created there or outside."""
    if LANDLOCK < 1:
        pytest.skip("this kernel has no Landlock")
    disk, ours = box.image(), box.tmp / "ours"
    for d in (ours, ours / "dir"):
        d.mkdir()
        os.chown(d, UID, UID)
    for name in ("old", "program"):
        (ours / name).write_text("#!/usr/bin/busybox true\n")
        (ours / name).chmod(0o755)
        os.chown(ours / name, UID, UID)
    talk, theirs = socket.socketpair()
    with talk, theirs:
        talk.settimeout(LIMIT)
        run = box.run([PYTHON, "-I", "-c", TRY, str(box.images), str(stranger)], [box.disk(disk)], (theirs.fileno(),), (5,))
        assert run.prepared
        # from outside, as for a hot-plugged disk: a mount of the host, moved into the guest's namespace
        put = subprocess.run([PYTHON, "-I", "-c", PUT, str(run.pid), str(ours), str(box.images)], check=False,
                             capture_output=True, text=True)
        assert put.returncode == 0, put.stderr
        outside = os.open(ours, os.O_RDONLY)
        talk.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [outside]))])
        os.close(outside)
        found = json.loads(talk.recv(65536))
        assert run.process.wait(LIMIT) == 0
    open_to_it = {"read", "write", "truncate", "list", "own signal"}
    assert {name for name, e in found.items() if e is None} == open_to_it, found
    assert {found[n] for n in found.keys() - open_to_it} <= {"EACCES", "EPERM", "EXDEV"}, found
    assert sorted(p.name for p in ours.iterdir()) == ["dir", "old", "program"]


# open_tree(of, CLONE), setns(), move_mount(onto). Through a descriptor of the root, because in a chroot the
# namespace's root is a different one.
PUT = """
import ctypes, os, sys
pid, of, onto = sys.argv[1:]
libc = ctypes.CDLL(None, use_errno=True)
tree = libc.syscall(428, -100, of.encode(), 1)
root = os.open(f"/proc/{pid}/root", os.O_PATH)
namespace = os.open(f"/proc/{pid}/ns/mnt", os.O_RDONLY)
if tree < 0 or libc.setns(namespace, 0x20000) < 0 or libc.syscall(429, tree, b"", root, onto[1:].encode(), 4) < 0:
    sys.exit(os.strerror(ctypes.get_errno()))
"""

SOCKETS = {
    "udp": (socket.AF_INET, socket.SOCK_DGRAM), "tcp": (socket.AF_INET, socket.SOCK_STREAM),
    "tcp6": (socket.AF_INET6, socket.SOCK_STREAM), "netlink": (socket.AF_NETLINK, socket.SOCK_RAW),
    "packet": (socket.AF_PACKET, socket.SOCK_RAW), "unix datagram": (socket.AF_UNIX, socket.SOCK_DGRAM),
    "unix packets": (socket.AF_UNIX, socket.SOCK_SEQPACKET),
}


@pytest.mark.parametrize("kind", SOCKETS)
def test_sockets_that_may_not_come_in(box, kind):
    with socket.socket(*SOCKETS[kind]) as s:
        for role in ("qemu", "tool"):
            e = box.run([BUSYBOX, "true"], [], (s.fileno(),), (7,), role=role).error
            assert e["step"] == "received" and e["desc"].startswith("plan: descriptor 7 is a socket of family"), e


def test_a_connected_tcp_socket_may_not_come_in(box):
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        for s in (server, client):
            assert box.run([BUSYBOX, "true"], [], (s.fileno(),), (7,)).error["step"] == "received"


def test_a_directory_may_not_come_in(box):
    for flags in (os.O_RDONLY, os.O_PATH):
        fd = os.open(box.tmp, flags)
        try:
            e = box.run([BUSYBOX, "true"], [], (fd,), (7,)).error
        finally:
            os.close(fd)
        assert e["desc"] == "plan: descriptor 7 is a directory"


def test_streams_may_come_in(box):
    a, b = socket.socketpair()
    with a, b, socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(box.tmp / "s"))
        listener.listen()
        run = box.run([BUSYBOX, "true"], [], (a.fileno(), listener.fileno()), (7, 8))
        assert run.prepared and run.process.wait(LIMIT) == 0
