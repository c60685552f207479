# SPDX-License-Identifier: MIT
"""Only locks of processes that can write count: a compromised QEMU and a local user without a role lock every byte of
every file that they can read, and guests that read these files still start and can be checked and snapshotted.
Writing to such a file while a guest reads it is refused, and the error names the reader."""
import json
import os
import shutil
import subprocess
import sys

import pytest

import hostile as hostile_world
import vmk

UEFI = "[Boot]\nFirmware=uefi\n"


def place(world):
    """A directory that everybody can read: a base, and a CD."""
    folder = os.path.join(world.base, "public")
    os.mkdir(folder, 0o755)
    base = world.image("base.raw", "deaf", "from the base\r\n")
    os.rename(base, folder + "/base.raw")
    shutil.copy(folder + "/base.raw", folder + "/cd.iso")
    for name in os.listdir(folder):
        os.chmod(os.path.join(folder, name), 0o644)
    return folder


def overlay(world, name, base, head="", extra=""):
    path = os.path.join(world.images, name + ".qcow2")
    world.exec("qemu-img", "create", "-qf", "qcow2", "-b", base, "-F", "raw", path)
    world.write(name + ".vm", "[VM]\nMemory=16M\nNetworks=none\n%s[Disk root]\nPath=%s.qcow2\nBase=%s\n%s" % (
        head, name, base, extra))
    return path


def everything_starts(world, folder):
    """Guests that share files in every way there is can be started, one of them for the first time."""
    overlay(world, "base", folder + "/base.raw")
    world.write("cd.vm", "[VM]\nMemory=16M\nNetworks=none\n[Disk root]\nPath=new.qcow2\nSize=1M\n"
                "[CDROM cd]\nPath=%s/cd.iso\n[Boot]\nOrder=cd\n" % folder)
    world.micro("uefi", "deaf", "", extra=UEFI, disk="qcow2")
    world.write("read.vm", "[VM]\nMemory=16M\nNetworks=none\n[Disk root]\nPath=%s/base.raw\nReadOnly=yes\n" % folder)
    names = ["base", "cd", "uefi", "read"]
    assert [world.ok("check", name) for name in names] == ["no problems\n"] * len(names)
    world.ok("snapshot", "create", "base", "off")
    world.ok("start", *names)
    assert {world.info(name)["state"] for name in names} == {"running"}
    assert [world.ok("check", name) for name in names] == ["no problems\n"] * len(names)
    world.ok("snapshot", "create", "uefi", "live")
    world.ok("kill", *names)
    for name, snapshot in (("uefi", "live"), ("base", "off")):
        assert [row["snapshot"] for row in world.rows("snapshot", "list", name)] == [snapshot]
        world.ok("snapshot", "delete", name, snapshot)
    world.ok("start", *names)  # also when everything has been created
    world.console("base").until("from the base")


@pytest.mark.parametrize("shown", [0o644, 0o600], ids=["plain", "mapped"])
def test_a_taken_over_qemu(hostile, shown):
    """It can lock the files that it shares, but keeps no other guest from them."""
    folder = place(hostile)
    for name in ("base.raw", "cd.iso"):
        os.chmod(os.path.join(folder, name), shown)
    overlay(hostile, "locks", folder + "/base.raw", extra="[CDROM cd]\nPath=%s/cd.iso\n[QEMU]\nBinary=%s\n" % (
        folder, hostile_world.BINARY))
    hostile.ok("start", "locks")
    found = json.loads(hostile.console("locks").until(r"\{.*\}\r?\n", 60).group())
    assert found["locked"] > 20
    assert found["project"][0] == "EPERM" and "done" not in found["project"], "it leaves no quota"
    for path in (folder + "/base.raw", folder + "/cd.iso"):
        one = found["files"][path]
        assert one["read locks"] == ["done"] and one["write lock"] == "EBADF", (path, one)
        assert one["leases"] == ["EPERM"] * 2, one
        assert one["writable"] in ("EROFS", "EACCES"), one
    everything_starts(hostile, folder)
    assert hostile.info("locks")["state"] == "running"


@pytest.fixture
def bob(daemon):
    """A local user without a role, who has locked every file that he can read."""
    folder = place(daemon)
    script = os.path.join(daemon.base, "locks.py")
    shutil.copy(os.path.join(vmk.ROOT, "tests", "system", "hostile_locks.py"), script)
    daemon.program("vmkeep", "bob")
    locker = vmk.Stream(daemon.inside([sys.executable, script, folder, daemon.base, daemon.config, "/usr/share/OVMF",
                                       "/usr/share/qemu", "/usr/bin/qemu-system-x86_64", "/usr/bin/qemu-img",
                                       "/etc/passwd", "/etc/group", "/usr/sbin"], user="bob"))
    daemon.streams.append(locker)
    assert int(locker.until(r"locked (\d+)", 60).group(1)) > 20
    yield folder
    locker.close_input()
    locker.wait()


def test_a_local_user(daemon, bob):
    everything_starts(daemon, bob)


def test_a_local_user_and_a_kernel(daemon, bob, linux):
    daemon.linux("linux", vm="Networks=none\n")
    path = os.path.join(daemon.config, "linux.vm")
    text = vmk.read_text(path)
    for name in ("vmlinuz", "initrd"):
        shutil.copy(os.path.join(vmk.GUEST, name), bob)
        os.chmod(os.path.join(bob, name), 0o644)
        text = text.replace(os.path.join(vmk.GUEST, name), os.path.join(bob, name))
    daemon.write("linux.vm", text)
    locker = vmk.Stream(daemon.inside([sys.executable, os.path.join(daemon.base, "locks.py"), bob], user="bob"))
    daemon.streams.append(locker)
    locker.until("locked")
    daemon.ok("start", "linux")


def test_who_would_write_is_refused(daemon):
    """By QEMU's own locks, which its tools and other programs' guests respect; a guest of ours is named."""
    folder = place(daemon)
    base, cd = folder + "/base.raw", folder + "/cd.iso"
    overlay(daemon, "a", base, extra="[CDROM cd]\nPath=%s\n" % cd)
    middle = os.path.join(daemon.images, "middle.qcow2")
    daemon.exec("qemu-img", "create", "-qf", "qcow2", "-b", base, "-F", "raw", middle)
    for name, path in (("b", base), ("c", cd)):
        daemon.write(name + ".vm", "[VM]\nMemory=16M\nNetworks=none\n[Disk root]\nPath=%s\nFormat=raw\n" % path)
    daemon.up("a", "from the base")
    pid = daemon.info("a")["pid"]

    def tool(*argv):
        return subprocess.run(daemon.inside(["qemu-img", *argv]), capture_output=True, text=True, check=False)
    writers = [("resize", "-f", "raw", base, "+1M"), ("commit", "-q", middle), ("bench", "-w", "-f", "raw", "-c", "1", cd)]
    for argv in writers:
        done = tool(*argv)
        assert done.returncode != 0 and "lock" in done.stderr, (argv, done)
    for argv in (("info", "-f", "raw", base), ("info", "-f", "raw", cd)):
        assert tool(*argv).returncode == 0, "a reader is no harm"
    assert "lock" in tool("info", os.path.join(daemon.images, "a.qcow2")).stderr, "it is written"
    assert "is a base of VM 'a', disk 'root'" in daemon.fails(3, "start", "b")
    assert "is in use by VM 'a' (pid %d)" % pid in daemon.fails(3, "start", "c")
    daemon.kill_daemon()
    daemon.start()
    assert "lock" in tool(*writers[0]).stderr, "whatever daemon is there"
    daemon.ok("kill", "a")
    for argv in writers:
        assert tool(*argv).returncode == 0, argv
    assert "is a base of VM 'a'" in daemon.fails(3, "start", "b"), "its disk needs the base, running or not"
    daemon.ok("start", "c")


WRITERS = {  # what a guest only reads while another program writes it
    "base": lambda world, path: overlay(world, "a", path),
    "cd": lambda world, path: world.micro("a", extra="[CDROM cd]\nPath=%s\n" % path),
    "disk": lambda world, path: world.write(
        "a.vm", "[VM]\nMemory=16M\nNetworks=none\n[Disk root]\nPath=%s\nReadOnly=yes\n" % path),
    "kernel": lambda world, path: world.micro("a", extra="[Boot]\nKernel=%s\n" % path),
}


@pytest.mark.parametrize("kind", WRITERS)
def test_who_writes_is_named(daemon, kind):
    path = place(daemon) + "/base.raw"
    WRITERS[kind](daemon, path)
    writer = daemon.stream_of("sh", "-c", "exec 9>>$0; exec python3 -c 'print(\"opened\", flush=True); input()'", path)
    writer.until("opened")
    pid, = [pid for pid, line in daemon.processes().items() if "input()" in line]
    assert "is in use by python3 (pid %d)" % pid in daemon.fails(3, "start", "a")
    writer.end()


LEASE = """
import fcntl, os, signal, sys
signal.signal(signal.SIGIO, lambda *_: print("asked", flush=True))
fd = os.open(sys.argv[1], os.O_RDONLY)
fcntl.fcntl(fd, 1024, getattr(fcntl, sys.argv[2]))
print("leased", flush=True)
while True:
    signal.pause()
"""


@pytest.mark.parametrize("kind", ["F_WRLCK", "F_RDLCK"])
def test_a_lease_of_its_owner(daemon, kind):
    """Delays others who open the file: the error says so, and the daemon keeps answering."""
    home = os.path.join(daemon.base, "bob")
    os.mkdir(home, 0o755)
    path = daemon.image("a.raw")
    os.rename(path, home + "/a.raw")
    os.chown(home + "/a.raw", vmk.USERS["bob"], vmk.USERS["bob"])
    daemon.write("a.vm", "[VM]\nMemory=16M\nNetworks=none\n[Disk root]\nPath=%s/a.raw\n" % home)
    holder = vmk.Stream(daemon.inside([sys.executable, "-c", LEASE, home + "/a.raw", kind], user="bob"))
    daemon.streams.append(holder)
    holder.until("leased")
    client = daemon.client(timeout=60 * vmk.SLOW)
    asked = client.send("vm-start", {"name": "a"})
    holder.until("asked", 20)
    assert daemon.states() == {"a": "starting"}
    answer = client.receive()
    while answer.get("id") != asked:  # progress
        answer = client.receive()
    client.close()
    assert answer["id"] == asked and answer["error"]["class"] == "Conflict", answer
    assert "holds a lease on it and does not release it" in answer["error"]["desc"] and "python" in answer["error"]["desc"]
    holder.end()
    daemon.ok("start", "a")


# QEMU's own locks, if two guests get past vmkeep-jail.


def test_two_that_start_at_once(daemon):
    """F61, N10: one gets the disk; the other's error names the holder, whether the jail or QEMU refused it."""
    for name in ("a", "b"):
        daemon.image("shared.raw", "deaf")
        daemon.write(name + ".vm", "[VM]\nMemory=16M\nNetworks=none\n[Disk root]\nPath=shared.raw\n"
                     "[Lifecycle]\nRestart=no\n")
    seen = set()
    for _ in range(6):
        clients = [daemon.client(timeout=60 * vmk.SLOW) for _ in "ab"]
        asked = [client.send("vm-start", {"name": name}) for client, name in zip(clients, "ab")]
        errors = {}
        for client, serial, name in zip(clients, asked, "ab"):
            answer = client.receive()
            while answer.get("id") != serial:
                answer = client.receive()
            errors[name] = answer.get("error")
            client.close()
        assert any(errors.values()), "two guests on one disk"
        for error in filter(None, errors.values()):
            assert error["class"] == "Conflict" and "shared.raw is in use by " in error["desc"], error
            seen.add(error["hint"])
        daemon.vmkeep("kill", "a", "b")
        assert set(daemon.states().values()) == {"stopped"}
    assert seen == {"stop that first"}


def test_a_reader_that_forbids_writers(daemon):
    """F61: the QEMU of another program that only reads a disk, but allows no writers."""
    daemon.micro("a", "deaf")
    qemu = vmk.Stream(daemon.inside(["qemu-system-x86_64", "-accel", "tcg", "-nodefaults", "-display", "none", "-serial",
                                     "stdio", "-drive", "format=raw,snapshot=on,file=%s/a.raw" % daemon.images]))
    daemon.streams.append(qemu)
    qemu.until("up")
    said = daemon.fails(3, "start", "a")
    pid, = [pid for pid, line in daemon.processes().items() if line.startswith("qemu-system") and "snapshot=on" in line]
    assert "is in use by qemu-system-x86 (pid %d)" % pid in said or "in use by another process" in said, said
    qemu.end()
    daemon.ok("start", "a")


LATE = """#!/usr/bin/python3 -I
import fcntl, json, os, struct, sys
for word in sys.argv:
    if '"filename"' in word:
        fd = os.open(json.loads(word)["file"]["filename"], os.O_RDONLY)
        fcntl.fcntl(fd, 37, struct.pack("hhqqi", fcntl.F_RDLCK, os.SEEK_SET, 201, 1, 0))
        os.set_inheritable(fd, True)
os.execv("/usr/bin/qemu-system-x86_64", ["qemu-system-x86_64"] + sys.argv[1:])
"""


def test_a_lock_that_comes_after_we_looked(hostile):
    """N10: the error is a conflict, as reported by QEMU, not a failure of QEMU."""
    with open(hostile.inner(hostile_world.PLACE + "/late-qemu"), "w", encoding="utf-8") as f:
        f.write(LATE)
        os.fchmod(f.fileno(), 0o755)
    hostile.micro("a", extra="[QEMU]\nBinary=%s/late-qemu\n[Lifecycle]\nRestart=no\n" % hostile_world.PLACE)
    said = hostile.fails(3, "start", "a")
    assert "disk 'root': %s/a.raw is in use by another process" % hostile.images in said
    assert hostile.info("a")["reason"].startswith("start failed: disk 'root'")
