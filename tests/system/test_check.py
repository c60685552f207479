# SPDX-License-Identifier: MIT
"""Preflight: `check` reports what would keep a VM from starting, with the fix, and starts nothing."""
import os

import pytest

import vmk
from checks import only, problems, vm
from smallfs import mount_line


def test_a_name_like_a_place(daemon):
    """A file name that looks like a place and a reason confuses neither the daemon nor the client."""
    daemon.write("a:1: b.vm", "[VM]\n")
    row, = problems(daemon)
    assert row["file"] == daemon.config + "/a:1: b.vm" and row["line"] is None and row["key"] is None, row
    assert row["reason"].startswith("the name must be letters") and row["severity"] == "error"
    path = daemon.config + "/x:7: Key: y.vm"
    daemon.write("x:7: Key: y.vm", "[VM]\nMemory=16M\nMemry=1\n")
    found = {row["line"]: (row["file"], row["key"]) for row in problems(daemon, path)}
    assert found[3] == (path, "Memry"), found


def test_nothing_wrong(daemon):
    daemon.micro("a")
    daemon.micro("b", disk="qcow2")
    assert daemon.ok("check") == "no problems\n"
    assert daemon.ok("check", "b") == "no problems\n"
    assert daemon.states() == {"a": "stopped", "b": "stopped"}
    daemon.up("a")
    assert daemon.ok("check") == "no problems\n", "its own locks are no problem"
    assert len(daemon.processes()) == 2 + len(daemon.streams), "nobody is left behind"


def test_all_problems_at_once_with_their_lines(daemon):
    daemon.image("good.raw")
    daemon.write("a.vm", vm("gone.raw", "[Disk more]\nPath=no/such.raw\nSize=1M\n[NIC lan]\nBridge=br7\n"
                            "[NIC wan]\nNetwork=nowhere\n[Disk good]\nPath=good.raw\n"))
    rows = problems(daemon, "a")
    path = os.path.join(daemon.config, "a.vm")
    assert [(row["file"], row["line"], row["key"]) for row in rows] == [
        (path, 10, "Bridge"), (path, 12, "Network"), (path, 5, "Path"), (path, 7, "Path")]
    assert "no bridge 'br7'" in rows[0]["reason"] and "ip link add br7 type bridge" in rows[0]["hint"]
    assert "nowhere" in rows[1]["reason"]
    assert "gone.raw: No such file" in rows[2]["reason"] and "Size=" in rows[2]["hint"]
    assert "directory %s/no does not exist" % daemon.images in rows[3]["reason"]
    assert os.listdir(daemon.images) == ["good.raw"], "nothing is made"
    result = daemon.vmkeep("check", "a")
    assert result.code == 2
    assert "%s:5: Path: disk 'root': " % path in result.out and "\n  hint: correct Path=" in result.out


def test_files_as_the_uid_of_the_vm_sees_them(daemon):
    """F72: missing permissions that id-mapped mounts cannot replace: the report names the line that fixes them, and
    nothing is changed. (A home directory closed to others is not a problem: see test_jail.py.)"""
    path = daemon.image("a.raw")
    os.chmod(path, 0o400)
    daemon.write("a.vm", vm("a.raw"))
    row = only(daemon, "a")
    assert "may not write %s (owner uid 0, mode 0400)" % path in row["reason"]
    assert row["hint"].endswith("chmod u+rw %s" % path)
    assert "chmod u+rw" in daemon.fails(9, "start", "a")
    assert os.stat(path).st_mode & 0o777 == 0o400
    os.chmod(path, 0o600)
    assert problems(daemon, "a", code=0) == []


def test_chain(daemon):
    daemon.exec("qemu-img", "create", "-qf", "qcow2", daemon.images + "/base.qcow2", "1M")
    daemon.exec("qemu-img", "create", "-qf", "qcow2", "-b", "base.qcow2", "-F", "qcow2", daemon.images + "/a.qcow2")
    daemon.write("a.vm", vm("a.qcow2"))
    assert only(daemon, "a")["hint"] == "write Base=base.qcow2 if it is to be used"
    daemon.write("a.vm", vm("a.qcow2", "Base=base.qcow2\n"))
    assert problems(daemon, "a", code=0) == []
    os.unlink(daemon.images + "/base.qcow2")
    row = only(daemon, "a")
    assert "base of disk 'root': " in row["reason"] and "base.qcow2: No such file" in row["reason"]


def test_room_that_images_may_need(daemon):
    daemon.exec("sh", "-c", mount_line(daemon.images, "1m"))
    try:
        daemon.write("a.vm", vm("a.qcow2", "Size=4G\n"))
        row = only(daemon, "a", "warning")
        assert "may still grow by 4G" in row["reason"]
        assert ": warning: " in daemon.ok("check", "a")
    finally:
        daemon.exec("umount", "-l", daemon.images)


def test_room_that_all_images_may_need_together(daemon):
    """Each image has room enough, all together do not: reported once, and for a single VM only if its own image is on
    that file system."""
    daemon.exec("sh", "-c", mount_line(daemon.images, "8m"))
    try:
        for name in "ab":
            daemon.write(name + ".vm", vm(name + ".qcow2", "Size=4M\n"))
        assert problems(daemon, code=0) == [] == problems(daemon, "a", code=0)
        daemon.write("c.vm", vm("c.raw", "Size=3M\n"))
        os.rename(daemon.image("outside.raw"), daemon.base + "/outside.raw")  # hidden below the mount
        daemon.write("d.vm", vm(daemon.base + "/outside.raw"))
        row, = problems(daemon, code=0)
        assert row["severity"] == "warning" and "the images of 3 VMs" in row["reason"]
        assert "may together still grow by 11M" in row["reason"] and "not be examined" not in row["reason"]
        for name in "abc":
            row = only(daemon, name, "warning")
            assert row["file"].endswith("/%s.vm" % name) and "disk 'root': the images of 3 VMs" in row["reason"]
            assert row["reason"].endswith("; 1 more could not be examined"), "what lies elsewhere"
        assert problems(daemon, "d", code=0) == []
        daemon.exec("sh", "-c", "truncate -s 2M $0 && dd if=/dev/zero of=$0 bs=1M count=2 conv=notrunc 2>&1",
                    daemon.images + "/c.raw")
        daemon.write("b.vm", vm("b.qcow2", "Size=3M\n"))  # together 7M, and 6M are left
        daemon.ok("reload")
        assert "may together still grow by 7M" in only(daemon, "a", "warning")["reason"]
        os.unlink(os.path.join(daemon.config, "b.vm"))
        daemon.ok("reload")
        assert problems(daemon, "a", code=0) == []
    finally:
        daemon.exec("umount", "-l", daemon.images)


def test_memory(daemon):
    """F96: refused before QEMU is started, with the figures and the fix."""
    daemon.image("a.raw")
    daemon.write("a.vm", vm("a.raw", head="[VM]\nMemory=60T\nNetworks=none\n"))
    row = only(daemon, "a")
    assert "60T exceeds the" in row["reason"] and "smaller Memory=" in row["hint"]
    said = daemon.fails(11, "start", "a")
    assert "60T exceeds the" in said and "hint: " in said
    daemon.alone()


def test_machine_and_binary(daemon):
    daemon.image("a.raw")
    daemon.write("a.vm", vm("a.raw", head="[VM]\nMemory=16M\nNetworks=none\nMachine=pc-q35-9.9\n"))
    row = only(daemon, "a")
    assert row["key"] == "Machine" and "has no machine 'pc-q35-9.9'" in row["reason"] and "pc-q35-" in row["hint"]
    daemon.write("a.vm", vm("a.raw", "[QEMU]\nBinary=/usr/bin/no-such-qemu\n"))
    assert only(daemon, "a")["key"] == "Binary"


def test_kvm_is_proved_once(daemon):
    """Nothing is reported where KVM works; otherwise each VM that requires it is reported, and KVM is tested only
    once."""
    for name in "abc":
        daemon.micro(name, vm="Accel=kvm\n")
    daemon.micro("d", vm="Accel=auto\n")
    found = problems(daemon, code=daemon.vmkeep("check").code)
    if found:
        assert [(row["key"], row["severity"]) for row in found] == [("Accel", "error")] * 3 + [("Accel", "warning")]
        assert "KVM" in found[0]["reason"]


def test_a_size_counts_only_once(daemon):
    """Size= is compared with the image, by check and by diff, whether or not the guest runs; the fix works."""
    daemon.write("a.vm", vm("a.qcow2", "Size=1G\n"))
    assert daemon.vmkeep("diff", "a").code == 0, "it is not there yet"
    daemon.ok("start", "a")
    assert problems(daemon, "a", code=0) == [] and daemon.vmkeep("diff", "a").code == 0
    daemon.write("a.vm", vm("a.qcow2", "Size=2G\n"))
    for _ in range(2):
        row = only(daemon, "a", "warning")
        assert row["key"] == "Size" and "has 1G, not 2G" in row["reason"], row
        result = daemon.vmkeep("--json", "diff", "a")
        change, = vmk.json.loads(result.out)
        assert result.code == 12 and {"id": "root", "key": "Size", "running": "1G", "configured": "2G",
                                      "applies": "once"}.items() <= change.items(), result
        daemon.ok("kill", "a")
    daemon.exec(*row["hint"].split(": ")[-1].split())
    assert problems(daemon, "a", code=0) == [] and daemon.vmkeep("diff", "a").code == 0
    daemon.write("a.vm", vm("a.qcow2", "Size=1M\n"))
    assert only(daemon, "a", "warning")["hint"] == "write Size=2G"
    daemon.write("a.vm", vm("a.qcow2"))
    assert daemon.vmkeep("diff", "a").code == 0


def test_view_may_ask_and_others_not(daemon):
    daemon.micro("a")
    assert daemon.ok("check", "a", user="alice", groups=["vmkeep-view"]) == "no problems\n"
    daemon.fails(9, "check", "a", user="bob")


def test_daemon_goes_on_while_a_file_hangs(daemon):
    """A disk on a file system whose server is gone: others are answered in the meantime, and the file is named."""
    fuse = "/dev/fuse"
    if not os.path.exists(fuse):
        pytest.skip("no /dev/fuse: a dead file server cannot be imitated")
    where = os.path.join(daemon.base, "dead")
    os.mkdir(where)
    # a FUSE mount without a server: every access to it blocks
    server = daemon.stream_of(
        "python3", "-c", "import ctypes,os,sys,time\n"
        "fd=os.open('/dev/fuse',os.O_RDWR)\nc=ctypes.CDLL(None,use_errno=True)\n"
        "o=('fd=%d,rootmode=40000,user_id=0,group_id=0'%fd).encode()\n"
        "r=c.mount(b'dead',sys.argv[1].encode(),b'fuse.dead',0,o)\n"
        "print('mounted' if r==0 else os.strerror(ctypes.get_errno()),flush=True)\ntime.sleep(999)", where)
    try:
        line = server.until(r"(.*)\n").group(1)
        if line != "mounted":
            pytest.skip("no FUSE mount here: %s" % line)
        daemon.image("b.raw")
        daemon.write("b.vm", vm("b.raw"))
        daemon.write("a.vm", vm(where + "/a.raw"))
        client, other = daemon.client(timeout=40), daemon.client()
        asked = client.send("vm-check", {"name": "a"})
        for _ in range(3):
            assert other.call("vm-check", name="b")["rows"] == []
        answer = client.receive()
        assert answer["id"] == asked
        row, = answer["return"]["rows"]
        assert "disk 'root': %s/a.raw: no answer in" % where in row[3] and "file server" in row[5]
        client.close()
        other.close()
    finally:
        server.end()
        daemon.exec("umount", "-l", where)
