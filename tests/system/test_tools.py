# SPDX-License-Identifier: MIT
"""qemu-img runs in its own jail: on the single image that it gets, as the VM's uid, and within limits, whatever the
image's header names and whatever a program in its place tries."""
import json
import os
import re
import subprocess

import pytest

import vmk

PLACE = "/usr/local/sbin"  # the daemon searches this directory first

# Prints what it found as an error message, and fails.
CURIOUS = """#!/usr/bin/python3
import errno, json, os, resource, signal, socket, sys
def attempt(function, *arguments):
    try:
        return repr(function(*arguments))
    except OSError as e:
        return errno.errorcode[e.errno]
path = json.loads(sys.argv[-1][5:])["file"]["filename"]
status = dict(line.split(":", 1) for line in open("/proc/self/status")) if os.path.exists("/proc") else None
print("qemu-img: " + json.dumps({
    "uid": os.getresuid(), "groups": os.getgroups(), "proc": status, "root": sorted(os.listdir("/")),
    "dev": sorted(os.listdir("/dev")), "beside": os.listdir(os.path.dirname(path)),
    "owner": os.stat(path).st_uid, "write": attempt(os.open, path, os.O_WRONLY),
    "read": [attempt(os.open, p, os.O_RDONLY) for p in AIM["files"]],
    "make": [attempt(os.open, p, os.O_WRONLY | os.O_CREAT) for p in ("/x", os.path.dirname(path) + "/x", "/usr/x")],
    "kill": [attempt(os.kill, p, signal.SIGKILL) for p in AIM["pids"]],
    "setuid": attempt(os.setuid, 0), "inet": attempt(socket.socket, socket.AF_INET),
    "unlink": attempt(os.unlink, path), "limits": [resource.getrlimit(getattr(resource, "RLIMIT_" + n))[1]
                                                    for n in ("CPU", "AS", "FSIZE", "NOFILE", "NPROC", "CORE")],
    "fds": [fd for fd in range(256) if attempt(os.fstat, fd) != "EBADF"]}), file=sys.stderr)
sys.exit(1)
"""


def test_a_program_in_its_place(daemon):
    """It may access only that image, and for a list only read it."""
    daemon.micro("a", disk="qcow2")
    daemon.micro("good", "echo", disk="qcow2")
    daemon.up("good")
    image = os.path.join(daemon.images, "a.qcow2")
    files = ["/etc/passwd", "/etc/shadow", daemon.images + "/good.qcow2", daemon.state + "/vms/good/identity.json",
             daemon.config + "/a.vm", daemon.run + "/control.sock", "/dev/mem", "/proc/1/environ"]
    pids = [1, int(daemon.exec("pidof", "vmkeepd")), daemon.info("good")["pid"]]
    daemon.exec("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", PLACE)
    path = daemon.inner(PLACE + "/qemu-img")
    with open(path, "w", encoding="utf-8") as f:
        f.write(CURIOUS.replace("AIM", repr({"files": files, "pids": pids})))
    os.chmod(path, 0o755)
    os.chmod(image, 0o600)
    before = os.stat(image)
    said = daemon.fails(1, "snapshot", "list", "a")
    daemon.exec("umount", "--lazy", PLACE)
    found = json.loads(re.search(r"disk 'root': (\{.*\})", said).group(1))
    uid = json.loads(vmk.read_text(daemon.state + "/vms/a/identity.json"))["uid"]
    assert found["uid"] == [uid] * 3 and uid != daemon.info("good")["uid"]
    assert found["groups"] == [] and found["proc"] is None
    assert set(found["root"]) <= {"bin", "dev", "etc", "lib", "lib32", "lib64", "libx32", "sbin", "tmp", "usr", "var"}
    assert found["dev"] == ["null", "urandom"] and found["beside"] == ["a.qcow2"]
    assert found["owner"] == uid and found["write"] == "EROFS"
    assert set(found["read"]) == {"ENOENT"} and set(found["make"]) == {"EROFS"}
    assert set(found["kill"]) == {"EPERM"}
    assert (found["setuid"], found["inet"]) == ("EPERM", "EAFNOSUPPORT")
    assert found["unlink"] in ("EROFS", "EBUSY", "EACCES")
    assert found["limits"] == [600, 2 << 30, 1 << 30, 256, 128, 0]
    assert found["fds"] == [0, 1, 2]
    after = os.stat(image)
    assert (after.st_uid, after.st_mode, after.st_ino) == (before.st_uid, before.st_mode, before.st_ino)
    assert daemon.info("good")["state"] == "running"


HEADERS = {  # what a guest could write into its own image's header
    "backing": ("-u", "-b", "/etc/shadow", "-F", "raw"),
    "json": ("-u", "-b", 'json:{"driver": "file", "filename": "/etc/shadow"}', "-F", "raw"),
    "network": ("-u", "-b", "nbd://127.0.0.1:10809/x", "-F", "raw"),
    "data file": ("-o", "data_file=%s,data_file_raw=on"),
}


@pytest.mark.parametrize("kind", HEADERS)
def test_a_header_names_nothing(daemon, kind):
    """The name is reported but not used; neither the image nor its target is touched."""
    target = daemon.write("../target", "root:secret:1:\n" + "x" * 2048)
    daemon.micro("a", disk="qcow2")
    image = os.path.join(daemon.images, "a.qcow2")
    words = [w.replace("%s", target).replace("/etc/shadow", target) for w in HEADERS[kind]]
    os.unlink(image)
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", *words, image, "1M"], check=True)
    if kind == "data file":  # qemu-img has recreated it
        with open(target, "w", encoding="utf-8") as f:
            f.write("root:secret:1:\n" + "x" * 2048)
    before = [vmk.read_text(p) for p in (image, target)]
    for verb in (["list", "a"], ["create", "a", "x"], ["revert", "a", "x"], ["delete", "a", "x"]):
        result = daemon.vmkeep("snapshot", *verb)
        assert result.code == 2, result
        assert "secret" not in result.out + result.err
        assert ("another file" if kind == "data file" else "not configured") in result.err
    assert [vmk.read_text(p) for p in (image, target)] == before


def rounds(world, image, base=()):
    """All verbs on a guest that is off."""
    world.ok("snapshot", "create", "a", "x")
    assert [row["snapshot"] for row in world.rows("snapshot", "list", "a")] == ["x"]
    assert "x" in world.exec("qemu-img", "snapshot", "-U", "-l", image).split()
    world.ok("snapshot", "revert", "a", "x")
    world.ok("snapshot", "delete", "a", "x")
    assert world.rows("snapshot", "list", "a") == []
    for path in (image, *base):
        world.exec("qemu-img", "check", "-q", path)


def test_image_elsewhere(daemon):
    """In a closed home directory of another user; owner and mode are not changed."""
    home = os.path.join(daemon.base, "alice")
    os.mkdir(home, 0o700)
    image = daemon.image("a.qcow2")
    os.rename(image, home + "/a.qcow2")
    for path in (home, home + "/a.qcow2"):
        os.chown(path, 7003, 7003)
    os.chmod(home + "/a.qcow2", 0o600)
    daemon.write("a.vm", "[VM]\nMemory=16M\nNetworks=none\n[Disk root]\nPath=%s/a.qcow2\n" % home)
    rounds(daemon, home + "/a.qcow2")
    st = os.stat(home + "/a.qcow2")
    assert (st.st_uid, st.st_mode & 0o777) == (7003, 0o600)


def test_image_with_a_base(daemon):
    """The base is not opened, and may even be missing."""
    base, image = daemon.image("base.qcow2"), os.path.join(daemon.images, "a.qcow2")
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-b", base, "-F", "qcow2", image], check=True)
    daemon.write("a.vm", "[VM]\nMemory=16M\nNetworks=none\n[Disk root]\nPath=a.qcow2\nBase=base.qcow2\n")
    rounds(daemon, image, [base])
    os.rename(base, base + ".away")
    daemon.ok("snapshot", "create", "a", "x")
    os.rename(base + ".away", base)


def test_block_device(daemon):
    """A qcow2 on a loop device, as on a logical volume."""
    image = daemon.image("disk.qcow2")
    with open(image, "r+b") as f:
        f.truncate(8 << 20)
    made = subprocess.run(["losetup", "-f", "--show", image], capture_output=True, text=True, check=False)
    if made.returncode:
        pytest.skip("no loop device: " + made.stderr.strip())
    device = made.stdout.strip()
    try:
        daemon.write("a.vm", "[VM]\nMemory=16M\nNetworks=none\n[Disk root]\nPath=%s\nFormat=qcow2\n" % device)
        rounds(daemon, device)
    finally:
        subprocess.run(["losetup", "-d", device], check=True)


def test_who_holds_an_image_is_named(daemon):
    """A list is always possible; for the other verbs the error names the holder."""
    daemon.micro("a", disk="qcow2")
    daemon.write("b.vm", "[VM]\nMemory=16M\nNetworks=none\n[Disk root]\nPath=a.qcow2\n")
    daemon.ok("snapshot", "create", "a", "x")
    daemon.up("b", "")
    pid = daemon.info("b")["pid"]
    assert [row["snapshot"] for row in daemon.rows("snapshot", "list", "a")] == ["x"]
    for verb in (["create", "a", "y"], ["revert", "a", "x"], ["delete", "a", "x"]):
        assert "is in use by VM 'b' (pid %d)" % pid in daemon.fails(3, "snapshot", *verb)


def test_image_that_is_gone(daemon):
    """A missing image made by vmkeep is reported with its date, and no other is created."""
    daemon.write("a.vm", "[VM]\nMemory=16M\nNetworks=none\n[Disk root]\nPath=a.qcow2\nSize=1M\n")
    daemon.ok("start", "a")
    daemon.ok("kill", "a")
    os.unlink(os.path.join(daemon.images, "a.qcow2"))
    said = daemon.fails(4, "snapshot", "create", "a", "x")
    assert re.search(r"disk 'root' created on \d{4}-\d\d-\d\d is missing: is .* mounted\?", said)


ASKED = """#!/usr/bin/python3 -I
import json, os, sys
def attempt(what, *arguments):
    try:
        what(*arguments)
    except OSError as e:
        return e.strerror
    return "done"
words = sys.stdin.read(64)
print(json.dumps({"uid": [*os.getresuid(), *os.getgroups()], "root": sorted(os.listdir("/")), "dev": sorted(os.listdir("/dev")),
                  "fork": attempt(os.fork), "become": attempt(os.setuid, 0), "write": attempt(os.mkdir, "/usr/x"),
                  "asked": "execute" in words, "descriptors": [fd for fd in range(64) if attempt(os.fstat, fd) == "done"]}),
      file=sys.stderr)
sys.exit(1)
"""


def test_a_binary_is_asked_in_the_jail(daemon):
    """A binary is probed, also for KVM, by a process without any rights."""
    daemon.exec("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", "/usr/local/sbin")
    path = daemon.inner("/usr/local/sbin/asked")
    with open(path, "w", encoding="utf-8") as f:
        f.write(ASKED)
    os.chmod(path, 0o755)
    daemon.micro("a", extra="[QEMU]\nBinary=/usr/local/sbin/asked\n")
    said = daemon.fails(7, "start", "a")
    found = json.loads(re.search(r"\{.*\}", said).group())
    uid = found.pop("uid")
    assert len(set(uid)) == 1 and uid[0] == daemon.first_uid() + vmk.ASKED and len(uid) == 3
    assert set(found.pop("root")) <= {"bin", "dev", "etc", "lib", "lib32", "lib64", "libx32", "sbin", "usr", "var"}
    assert found == {"dev": ["null", "urandom"], "fork": "Operation not permitted", "become": "Operation not permitted",
                     "write": "Read-only file system", "asked": True, "descriptors": [0, 1, 2]}
    daemon.exec("umount", "--lazy", "/usr/local/sbin")
