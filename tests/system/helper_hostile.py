# SPDX-License-Identifier: MIT
"""What a program that vmkeep-jail runs for the daemon tries when it is in an attacker's hands: test_hostile_helpers.py puts
this in the place of qemu-img, xorriso, gpgv and curl, with BASE, the world's directory, before it. Prints what it could do
that it must not, as JSON, to the file that it is to make, and otherwise as the reason why it failed."""
import ctypes
import json
import os
import re
import socket
import stat
import sys

BASE = globals().get("BASE", "")
libc = ctypes.CDLL(None, use_errno=True)
found = []


def opens(path, flags=os.O_RDONLY):
    try:
        os.close(os.open(path, flags))
    except OSError:
        return False
    return True


def works(what, f, *args):
    """True if it did; a call of libc that failed returns -1."""
    try:
        if f(*args) != -1:
            found.append(what)
    except OSError:
        pass


def files(output):
    """Of the host, of other VMs and of the daemon; the directory of its own file, and what is beside it."""
    for path in ("/etc/shadow", "/etc/hostname", "/root", "/home", "/proc/1/environ", "/proc/self/maps", "/sys/kernel", "/dev/mem", "/dev/sda",
                 "/dev/kvm", "/run/systemd", *(os.path.join(BASE, name) for name in (
                     "config", "config/vmkeep.conf", "config/secret", "state/vms", "state/images/other.raw", "run/control.sock", "run/lock", "log"))):
        if opens(path):
            found.append("open " + path)
    for path in ("/usr/new", "/new", "/etc/new", os.path.join(BASE, "state/images/new"), os.path.join(BASE, "run/new")):
        if opens(path, os.O_WRONLY | os.O_CREAT):
            found.append("create " + path)
    for word in sys.argv[1:]:  # qemu-img's originals
        for path in re.findall('"filename":"([^"]+)"', word):
            if opens(path, os.O_RDWR):
                found.append("write to the original")
    if output:
        works("remove", os.unlink, output)
        works("rename", os.rename, output, output + ".x")
        works("link", os.link, output, output + ".x")
        works("replace by a link", os.symlink, "/etc/shadow", output + ".x")
        works("chmod", os.chmod, output, 0o4777)
        works("chown", os.chown, output, 0, 0)
        works("xattr", os.setxattr, output, "user.x", b"x")
        works("open_by_handle_at", libc.open_by_handle_at, -100, 0, 0)


def processes():
    def fork():
        pid = os.fork()
        if pid == 0:
            os._exit(0)
    works("fork", fork)
    works("kill 1", os.kill, 1, 0)
    works("kill the parent", os.kill, os.getppid(), 0)
    works("kill all", libc.kill, -1, 0)
    works("ptrace", libc.ptrace, 0, 0, 0, 0)
    works("outlive the daemon", libc.prctl, 1, 0)  # PR_SET_PDEATHSIG
    works("setuid", os.setuid, 0)
    works("setgroups", os.setgroups, [0])
    works("unshare", libc.unshare, 0x10000000)  # CLONE_NEWUSER
    works("mount", libc.mount, b"none", b"/tmp", b"tmpfs", 0, None)
    works("chroot", os.chroot, "/usr")
    works("sethostname", socket.sethostname, "x")
    works("higher limits", libc.setpriority, 0, 0, -5)


def sockets():
    """curl has those of the network, but none that others could connect to."""
    for family in ("AF_UNIX", "AF_NETLINK", "AF_PACKET", "AF_VSOCK", "AF_INET", "AF_INET6"):
        for kind in ("SOCK_STREAM", "SOCK_DGRAM", "SOCK_RAW"):
            try:
                s = socket.socket(getattr(socket, family), getattr(socket, kind))
            except OSError:
                continue
            if (family, kind) == ("AF_UNIX", "SOCK_STREAM"):
                works("bind", s.bind, os.path.join(BASE, "run/socket"))
                works("bind without a path", s.bind, b"\0hostile")
                works("connect", s.connect, os.path.join(BASE, "run/control.sock"))
                works("connect without a path", s.connect, b"\0hostile")
            elif "--output" not in sys.argv or family not in ("AF_INET", "AF_INET6", "AF_NETLINK") or (kind == "SOCK_RAW" and family != "AF_NETLINK"):
                found.append("%s %s" % (family, kind))
            elif kind == "SOCK_STREAM":
                works("listen", s.listen)
            s.close()


def descriptors():
    """Only files and pipes that it is meant to have: no directory, and no way to speak to the daemon in its keeper's name."""
    for fd in range(1024):
        try:
            mode = os.fstat(fd).st_mode
        except OSError:
            continue
        if stat.S_ISDIR(mode) or stat.S_ISSOCK(mode) or stat.S_ISBLK(mode):
            found.append("descriptor %d: %o" % (fd, mode))


def main():
    argv = sys.argv
    output = argv[argv.index("--output") + 1] if "--output" in argv else argv[-1] if "convert" in argv else ""
    descriptors()
    files(output)
    processes()
    sockets()
    text = json.dumps(found)
    if "--output" in argv:
        print("curl: (7)", text, file=sys.stderr)
        sys.exit(7)
    if output:
        with open(output, "r+b") as f:
            f.write(text.encode())
            f.truncate(1 << 26)  # as large as its original, at least
    elif stat.S_ISREG(os.fstat(1).st_mode):
        os.write(1, text.encode())
    else:
        sys.exit("gpgv: BAD signature " + text)


main()
