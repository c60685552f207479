# SPDX-License-Identifier: MIT
"""Only root's daemon can reach images and their directories."""
import os
import struct
import subprocess

import pytest


def mode(path):
    return os.stat(path).st_mode & 0o7777


def refused(world, *argv):
    """Bob, a user without a role, is denied access."""
    done = subprocess.run(world.inside(argv, user="bob"), capture_output=True, text=True, check=False)
    return done.returncode != 0 and "Permission denied" in done.stderr


@pytest.mark.parametrize("before", [None, 0o711, 0o755, 0o777])
def test_directories_are_closed(world, before):
    """Also if an earlier version created them open; running guests keep working."""
    if before is None:
        os.rmdir(world.images)
    else:
        os.chmod(world.images, before)
        os.chmod(world.state, before | 0o700)
    world.start()
    assert (mode(world.state), mode(world.images)) == (0o700, 0o700)
    world.micro("a")
    os.chmod(world.images + "/a.raw", 0o666)
    world.up("a")
    assert refused(world, "cat", world.images + "/a.raw")
    assert refused(world, "ls", world.state)
    # the next daemon closes a directory that was opened
    os.chmod(world.images, 0o711)
    world.kill_daemon()
    world.start()
    assert mode(world.images) == 0o700 and world.states() == {"a": "running"}


def test_a_directory_of_the_administrators(world):
    """A link in its place leads to the administrator's directory, whose mode is left alone."""
    other = os.path.join(world.base, "other")
    os.mkdir(other, 0o755)
    os.rmdir(world.images)
    os.symlink(other, world.images)
    world.start()
    assert mode(other) == 0o755 and mode(world.state) == 0o700
    world.micro("a")
    world.up("a")


def test_a_mount_in_its_place(world):
    """A mount is not accessed when the daemon starts, because its server may be down; it is protected by the
    directory above."""
    world.exec("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", world.images)
    try:
        world.start()
        assert mode(world.inner(world.images)) == 0o755 and mode(world.state) == 0o700
        assert refused(world, "ls", world.images)
    finally:
        world.exec("umount", "-l", world.images)


# What is found on an image.


def rows(world, name):
    return world.json("check", name)


def acl(*entries):
    """In the kernel's format: (tag, permissions, id)."""
    basic = [(0x01, 6, -1), *entries, (0x04, 0, -1), (0x10, 6, -1), (0x20, 0, -1)]
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHi", *entry) for entry in sorted(basic))


CAPABILITY = struct.pack("<IIIII", 0x02000001, 1 << 10, 0, 0, 0)

FOUND = {  # what is done to it, what check reports, the hint
    "set-uid": (lambda p: os.chmod(p, 0o4755), "has mode 4755", "chmod ug-s"),
    "set-gid": (lambda p: os.chmod(p, 0o2711), "privileges of its group", "chmod ug-s"),
    "capabilities": (lambda p: os.setxattr(p, "security.capability", CAPABILITY), "file capabilities", "setcap -r"),
    "access list": (lambda p: os.setxattr(p, "system.posix_acl_access", acl((0x02, 6, 7004))), "grants access to uid 7004",
                    "setfacl -b"),
    "group": (lambda p: os.setxattr(p, "system.posix_acl_access", acl((0x08, 4, 7001))), "grants access to gid 7001", "setfacl -b"),
    "attribute": (lambda p: os.setxattr(p, "user.note", b"x"), "did not set: user.note", "setfattr -x"),
}


def attributes(path):
    """All but the mark with the VM's UUID, which a start sets."""
    return os.stat(path).st_mode, {n: os.getxattr(path, n) for n in os.listxattr(path) if n != "trusted.vmkeep"}


@pytest.mark.parametrize("case", FOUND)
def test_what_is_found_is_named(daemon, case):
    """By check, also while the guest runs; the VM starts all the same, and nothing is removed."""
    do, says, cure = FOUND[case]
    daemon.micro("a")
    path = daemon.images + "/a.raw"
    do(path)
    before = attributes(path)
    row, = rows(daemon, "a")
    assert (row["severity"], row["key"]) == ("warning", "Path") and says in row["reason"], row
    assert cure in row["hint"] and path in row["hint"]
    daemon.up("a")
    assert rows(daemon, "a") == [row]
    assert attributes(path) == before


def test_what_is_no_harm_is_not(daemon):
    """The VM's own uid in an access list, readers of files that are only read, and a browser's notes are not
    reported."""
    base = daemon.image("base.raw", "deaf", "up\r\n")
    daemon.exec("qemu-img", "create", "-qf", "qcow2", "-b", base, "-F", "raw", daemon.images + "/a.qcow2")
    daemon.write("a.vm", "[VM]\nMemory=16M\nNetworks=none\n[Disk root]\nPath=a.qcow2\nBase=base.raw\n")
    daemon.up("a")
    uid = daemon.info("a")["uid"]
    os.setxattr(daemon.images + "/a.qcow2", "system.posix_acl_access", acl((0x02, 6, uid)))
    os.setxattr(base, "system.posix_acl_access", acl((0x02, 4, 7004)))
    os.setxattr(base, "user.xdg.origin.url", b"https://cdimage.debian.org/")
    assert daemon.ok("check", "a") == "no problems\n"
    os.setxattr(base, "system.posix_acl_access", acl((0x02, 6, 7004)))
    assert "base of disk 'root'" in rows(daemon, "a")[0]["reason"]


@pytest.mark.parametrize("flag, says", [("i", "it is immutable"), ("a", "it is append-only")])
def test_what_cannot_be_written(daemon, flag, says):
    """Refused before QEMU is started, with the command that fixes it; for a disk that is only read it is fine."""
    daemon.micro("a")
    path = daemon.images + "/a.raw"
    done = subprocess.run(["chattr", "+" + flag, path], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip("no such flags here: " + done.stderr.strip())
    try:
        said = daemon.fails(9, "start", "a")
        assert says in said and "chattr -%s %s" % (flag, path) in said
        assert says in daemon.vmkeep("check", "a").out
        daemon.write("b.vm", "[VM]\nMemory=16M\nNetworks=none\n[Disk root]\nPath=a.raw\nReadOnly=yes\n")
        daemon.up("b")
        assert says not in daemon.vmkeep("check", "b").out
    finally:
        subprocess.run(["chattr", "-" + flag, path], check=True)
    daemon.ok("kill", "b")
    daemon.up("a")
