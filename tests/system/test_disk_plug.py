# SPDX-License-Identifier: MIT
"""disk attach, detach: a running guest gets a disk and releases it; what fails or is killed leaves nothing behind."""
import contextlib
import json
import os

import pytest

import vmk
from test_cd import inside, locked


def image(daemon, name, size=1 << 20, where=None):
    path = os.path.join(where or daemon.images, name)
    with open(path, "wb") as f:
        f.truncate(size)
    return path


def one(daemon, keys="", **more):
    daemon.micro("a", extra=keys, **more)
    daemon.up("a")


def disks(daemon, name="a"):
    return {d["disk"]: d["path"] for d in daemon.info(name)["disks"]}


def devices(daemon, name="a"):
    """The disks that QEMU has, by its own list."""
    found = daemon.qmp(name, "qom-list", path="/machine/peripheral")
    return sorted(d["name"] for d in found if d["name"].startswith("disk-"))


def under_way(daemon, name="a"):
    with open(os.path.join(daemon.run, "vms", name, "record.json"), encoding="utf-8") as f:
        return {d: c for d, c in json.load(f).get("changes", {}).items() if c["kind"] != "attached-disk"}


def slots(daemon, name="a"):
    with open(os.path.join(daemon.state, "vms", name, "identity.json"), encoding="utf-8") as f:
        return set(json.load(f)["slots"])


def settled(daemon, before, name="a"):
    """Nothing is under way, and of mounts, nodes and descriptors there is what there was."""
    daemon.eventually(lambda: under_way(daemon, name), lambda changes: not changes, 30)
    daemon.eventually(lambda: inside(daemon, name), lambda now: now == before, 30)


def let_go(daemon, name="a"):
    """A guest without an operating system releases a device when it is reset."""
    daemon.qmp(name, "system_reset")


def release(daemon, disk):
    """Whether in time or not: the firmware may reset once more."""
    assert daemon.vmkeep("disk", "detach", "a", disk, "--timeout", "1").code in (0, 8)
    let_go(daemon)


def test_attach(daemon):
    one(daemon)
    path = image(daemon, "x.img")
    text = open(os.path.join(daemon.config, "a.vm"), encoding="utf-8").read()
    assert daemon.ok("disk", "attach", "a", "data", "Path=x.img", "Format=raw").strip() == "a: disk 'data' is attached"
    assert disks(daemon) == {"root": "a.raw", "data": "x.img"} and devices(daemon) == ["disk-data", "disk-root"]
    assert locked(path) and "disk-data" in slots(daemon) and not under_way(daemon)
    daemon.ok("info", "--security", "a")
    assert "data" in daemon.vmkeep("diff", "a").out
    assert open(os.path.join(daemon.config, "a.vm"), encoding="utf-8").read() == text
    daemon.kill_daemon()
    daemon.start()
    assert disks(daemon) == {"root": "a.raw", "data": "x.img"}
    daemon.qmp("a", "system_reset")
    assert disks(daemon) == {"root": "a.raw", "data": "x.img"} and devices(daemon) == ["disk-data", "disk-root"]
    daemon.ok("kill", "a")
    daemon.up("a")
    assert disks(daemon) == {"root": "a.raw"} and not locked(path) and "disk-data" not in slots(daemon)


def test_unwilling(daemon):
    """A guest without a driver keeps the disk. When it goes after all, everything of it does, and the id is free."""
    one(daemon)
    before = inside(daemon, "a")
    path = image(daemon, "x.img")
    keys = ["Path=x.img", "Format=raw"]
    daemon.ok("disk", "attach", "a", "data", *keys)
    held = inside(daemon, "a")
    assert "did not release" in daemon.fails(8, "disk", "detach", "a", "data", "--timeout", "1")
    assert disks(daemon) == {"root": "a.raw", "data": "x.img"} and inside(daemon, "a") == held and locked(path)
    assert "has a disk 'data'" in daemon.fails(3, "disk", "attach", "a", "data", *keys)
    let_go(daemon)
    settled(daemon, before)
    assert disks(daemon) == {"root": "a.raw"} and not locked(path) and devices(daemon) == ["disk-root"]
    # the firmware may reset once more, and then the disk goes
    daemon.ok("disk", "attach", "a", "data", *keys)
    kept = daemon.vmkeep("disk", "detach", "a", "data", "--timeout", "1").code == 8
    daemon.kill_daemon()
    daemon.start()  # this one hears of it
    assert daemon.info("a")["state"] == "running" and (kept or disks(daemon) == {"root": "a.raw"})
    let_go(daemon)
    settled(daemon, before)
    assert not locked(path)


REFUSED = [
    (["data", "Path=gone.img"], 4, "No such file"),
    (["data", "Path=/nowhere/gone.img", "Format=raw"], 4, "/nowhere does not exist"),
    (["data", "Path=dir", "Format=raw"], 2, "is a directory"),
    (["data", "Path=two.img", "Format=raw"], 2, "hard links"),
    (["data", "Path=link.img", "Format=raw"], None, "link.img"),
    (["data", "Path=../x.img", "Format=raw"], None, ".."),
    (["data", "Path=a.raw"], 2, "disk 'root' has the same"),
    (["data", "Path=b.raw"], 3, "in use"),
    (["data", "Path=bad.qcow2"], None, "bad.qcow2"),
    (["data", "Path=x.img", "Store=none"], 4, "no store 'none'"),
    (["data", "Path=x.img", "Bus=sata"], 2, "cannot be plugged"),
    (["data", "Path=x.img", "Bus=scsi"], 11, "without a SCSI controller"),
    (["data", "Path=x.img", "Bus=nowhere"], 2, "Bus"),
    (["data", "Path=x.img", "IOThread=yes"], 2, "IOThread= needs a start"),
    (["data", "Path=x.img", "AIO=io_uring"], 2, "AIO= needs a start"),
    (["data", "Path=new.qcow2", "Size=1G"], 2, "Size= needs a start"),
    (["data", "Path=x.qcow2", "Base=x.img"], 2, "Base= needs a start"),
    (["data", "Format=raw"], 2, "[Disk data]:1: Path: missing"),
    (["data", "Pth=x.img"], 2, "Pth"),
    (["data", "x.img"], 2, "is not KEY=VALUE"),
    (["data", "Path=x.img\n[Memory]\nLock=yes"], 2, "is not a text"),
    (["root", "Path=x.img"], 3, "has a disk 'root'"),
    (["cd", "Path=x.img"], None, "cd"),
    (["a/b", "Path=x.img"], 2, "is not a name"),
]


def test_refused(daemon):
    """Nothing changes, neither in the guest nor in what is mounted, locked and written down."""
    image(daemon, "x.img")
    one(daemon, "[CDROM cd]\n")
    daemon.micro("b")
    daemon.up("b")
    os.mkdir(os.path.join(daemon.images, "dir"))
    os.link(image(daemon, "one.img"), os.path.join(daemon.images, "two.img"))
    os.symlink("one.img", os.path.join(daemon.images, "link.img"))
    with open(os.path.join(daemon.images, "bad.qcow2"), "wb") as f:
        f.write(b"no header" * 1000)
    before, was = inside(daemon, "a"), slots(daemon)
    for words, code, says in REFUSED:
        r = daemon.vmkeep("disk", "attach", "a", *words)
        assert r.code == code or (code is None and r.code), (words, r)
        assert says in r.err, (words, r.err)
    assert inside(daemon, "a") == before and devices(daemon) == ["disk-root"] and slots(daemon) - was <= {"disk-data"}
    assert disks(daemon) == {"root": "a.raw", "cd": None} and not under_way(daemon)
    assert "no disk 'data'" in daemon.fails(4, "disk", "detach", "a", "data")
    daemon.fails(4, "disk", "detach", "a", "cd")
    daemon.ok("disk", "attach", "a", "data", "Path=x.img")
    daemon.ok("kill", "a")
    daemon.fails(5, "disk", "attach", "a", "data", "Path=x.img")
    daemon.fails(5, "disk", "detach", "a", "root")


def test_which(daemon):
    """Raw and qcow2, to write and to read, in the image directory and elsewhere; the same id twice."""
    daemon.micro("a", extra="[Disk other]\nBus=scsi\nPath=s.img\nFormat=raw\n")
    image(daemon, "s.img")
    daemon.up("a")
    before = inside(daemon, "a")
    raw, outside = image(daemon, "x.img"), image(daemon, "o.img", where=daemon.base)
    daemon.exec("qemu-img", "create", "-q", "-f", "qcow2", os.path.join(daemon.images, "x.qcow2"), "1M")
    for keys in (["Path=x.img"], ["Path=x.img", "ReadOnly=yes"], ["Path=x.qcow2"], ["Path=" + outside, "Format=raw"],
                 ["Path=x.img", "Bus=scsi"]):
        daemon.ok("disk", "attach", "a", "data", *keys)
        assert devices(daemon) == ["disk-data", "disk-other", "disk-root"]
        daemon.fails(3, "disk", "attach", "a", "data", *keys)
        if "Bus=scsi" in keys:
            daemon.ok("disk", "detach", "a", "data")
        else:
            release(daemon, "data")
        settled(daemon, before)
    assert not locked(raw) and not locked(outside)


def test_no_port(daemon):
    """A guest has four spare ports; when they are taken, that is said, and a port that is free again can be used."""
    one(daemon)
    before = inside(daemon, "a")
    for n in range(5):
        image(daemon, "%d.img" % n)
    for n in range(4):
        daemon.ok("disk", "attach", "a", "d%d" % n, "Path=%d.img" % n)
    assert "all PCI ports" in daemon.fails(11, "disk", "attach", "a", "d4", "Path=4.img")
    release(daemon, "d1")
    daemon.eventually(lambda: disks(daemon), lambda has: "d1" not in has, 30)
    daemon.ok("disk", "attach", "a", "d4", "Path=4.img")
    for n in (0, 2, 3, 4):
        release(daemon, "d%d" % n)
    settled(daemon, before)
    assert disks(daemon) == {"root": "a.raw"}


def test_persistent(daemon):
    one(daemon)
    image(daemon, "x.img")
    assert daemon.one("disk", "attach", "a", "data", "Path=x.img", "--persistent") == {
        "name": "a", "disk": "data", "persistent": True}
    assert daemon.vmkeep("diff", "a").code == 0
    daemon.ok("kill", "a")
    daemon.up("a")
    assert devices(daemon) == ["disk-data", "disk-root"]
    daemon.fails(8, "disk", "detach", "a", "data", "--timeout", "1", "--persistent")
    assert "[Disk data]" in open(os.path.join(daemon.config, "a.vm"), encoding="utf-8").read()
    let_go(daemon)
    daemon.eventually(lambda: disks(daemon), lambda has: "data" not in has, 30)
    assert "disk-data" in slots(daemon)
    daemon.ok("disk", "attach", "a", "data", "Path=x.img")
    assert daemon.vmkeep("diff", "a").code == 0


def test_roles(daemon):
    """An operator may use what is in a store, root any path, an owner no image of others."""
    outside = image(daemon, "o.img", where=daemon.base)
    image(daemon, "x.img")
    one(daemon, vm="Owner=alice\n")
    operator = {"user": "bob", "groups": ["vmkeep"]}
    assert "only root" in daemon.fails(9, "disk", "attach", "a", "data", "Path=" + outside, "Format=raw", **operator)
    assert "only an operator" in daemon.fails(9, "disk", "attach", "a", "data", "Path=x.img", user="alice")
    daemon.fails(9, "disk", "detach", "a", "root", user="bob")
    daemon.ok("disk", "attach", "a", "data", "Path=x.img", **operator)


def test_bases_and_templates(daemon):
    """As at a start: nothing writes to the disk of a template, or to an image that a VM runs on."""
    daemon.micro("t", disk="qcow2", vm="Template=yes\n")
    one(daemon)
    assert "a template" in daemon.fails(3, "disk", "attach", "a", "data", "Path=t.qcow2")
    daemon.ok("disk", "attach", "a", "data", "Path=t.qcow2", "ReadOnly=yes")


def test_snapshots(daemon):
    """One with memory has the disks of its time, and is loaded only into a machine with the same ones."""
    daemon.micro("a", disk="qcow2")
    daemon.up("a")
    daemon.exec("qemu-img", "create", "-q", "-f", "qcow2", os.path.join(daemon.images, "x.qcow2"), "1M")

    def revert(name, refusal=None):
        r = daemon.vmkeep("snapshot", "revert", "a", name)
        assert r.code == (3 if refusal else 0) and (refusal or "") in r.err, r
    daemon.ok("snapshot", "create", "a", "without")
    daemon.ok("disk", "attach", "a", "data", "Path=x.qcow2")
    daemon.ok("snapshot", "create", "a", "with")
    revert("without", "not on 'data'")
    revert("with")
    release(daemon, "data")
    daemon.eventually(lambda: disks(daemon), lambda has: set(has) == {"root"}, 30)
    revert("with", "[Disk data] was there")
    revert("without")
    daemon.ok("disk", "attach", "a", "data", "Path=x.qcow2", "ReadOnly=yes")
    revert("without", "[Disk data]")
    assert daemon.info("a")["state"] == "running"
    daemon.ok("kill", "a")
    revert("with", "[Disk data] was there")
    revert("without")


def test_daemon_is_killed(daemon):
    """At any time: the next daemon finds the disk attached or not, and nothing else is left."""
    one(daemon)
    path = image(daemon, "x.img")
    before = inside(daemon, "a")
    for _ in range(8):
        client = daemon.client()
        client.send("disk-attach", {"name": "a", "id": "data", "keys": ["Path=x.img"]})
        daemon.kill_daemon()
        client.close()
        daemon.start()
        daemon.eventually(lambda: under_way(daemon), lambda changes: not changes, 30)
        has = devices(daemon)
        assert ("data" in disks(daemon)) == ("disk-data" in has)
        if "disk-data" in has:
            assert locked(path)
            client = daemon.client()
            client.send("disk-detach", {"name": "a", "id": "data"})
            daemon.kill_daemon()
            client.close()
            daemon.start()
            let_go(daemon)
            if "disk-data" in devices(daemon): # the guest was not asked, or its reset came before that
                daemon.vmkeep("disk", "detach", "a", "data", "--timeout", "1")
                let_go(daemon)
        settled(daemon, before)
        assert not locked(path) and disks(daemon) == {"root": "a.raw"}


def test_qemu_is_killed(daemon):
    one(daemon)
    path = image(daemon, "x.img")
    client = daemon.client()
    pid = daemon.info("a")["pid"]
    serial = client.send("disk-attach", {"name": "a", "id": "data", "keys": ["Path=x.img"]})
    daemon.kill(pid)
    with contextlib.suppress(vmk.Error):  # it may have been done by then
        client.result(serial)
    daemon.wait_state("a", "backoff", "stopped", "failed", "running")
    client.close()
    daemon.ok("kill", "a")
    assert not locked(path)


def test_qemu_hangs(daemon):
    """A QEMU that does not answer: it fails, and once QEMU answers again, the disk is there or not, whole."""
    one(daemon)
    path = image(daemon, "x.img")
    before = inside(daemon, "a")
    pid = daemon.info("a")["pid"]
    client = daemon.client()
    serial = client.send("disk-attach", {"name": "a", "id": "data", "keys": ["Path=x.img"]})
    daemon.kill(pid, "STOP")
    with contextlib.suppress(vmk.Error):
        client.result(serial, 60)
    client.close()
    for words in (["attach", "a", "more", "Path=x.img"], ["detach", "a", "root", "--timeout", "1"]):
        assert daemon.vmkeep("disk", *words).code
    daemon.kill(pid, "CONT")
    daemon.eventually(lambda: daemon.info("a")["health"], lambda health: health == "ok", 30)
    daemon.eventually(lambda: any(c["kind"] == "attach-disk" for c in under_way(daemon).values()), lambda there: not there, 30)
    for disk in set(disks(daemon)) - {"root"}:
        release(daemon, disk)
    daemon.eventually(lambda: disks(daemon), lambda has: not set(has) - {"root"}, 30)
    daemon.eventually(lambda: inside(daemon, "a")[:2], lambda now: now == before[:2], 30)
    assert not locked(path)


def test_two_at_once(daemon):
    """The guest gets one of the images at a time; the others are untouched, and can be attached afterwards."""
    one(daemon)
    before = inside(daemon, "a")
    clients = [daemon.client() for _ in range(4)]
    files = [image(daemon, "%d.img" % n) for n in range(4)]
    serials = [c.send("disk-attach", {"name": "a", "id": "d%d" % (n // 3), "keys": ["Path=%d.img" % n]})
               for n, c in enumerate(clients)]
    done = []
    for client, serial in zip(clients, serials):
        try:
            client.result(serial)
            done.append(True)
        except vmk.Error as e:
            assert "has a disk 'd0'" in str(e) or "is being attached" in str(e) or "under way" in str(e), e
            done.append(False)
        client.close()
    assert any(done) and done[:3].count(True) <= 1 and [locked(f) for f in files] == done
    if not any(done[:3]):
        daemon.ok("disk", "attach", "a", "d0", "Path=0.img")
    if not done[3]:
        daemon.ok("disk", "attach", "a", "d1", "Path=3.img")
    assert set(disks(daemon)) == {"root", "d0", "d1"}
    for disk in set(disks(daemon)) - {"root"}:
        release(daemon, disk)
    settled(daemon, before)


@pytest.mark.usefixtures("linux")
def test_a_guest(daemon):
    """Linux sees the disk, writes to it, and releases it; 50 times, and nothing is left of it."""
    daemon.linux("a", "guest.net=none guest.agent=yes", "Networks=none\n", "[Agent]\n")
    path = image(daemon, "x.img", 4 << 20)
    daemon.ok("start", "a")

    def guest(command):
        return daemon.vmkeep("guest", "exec", "a", "--", "/bin/sh", "-c", command)

    def descriptors():
        return [len(os.listdir(p)) for p in (f"/proc/{daemon.daemon_pid()}/fd",
                                             daemon.inner("/proc/%d/fd" % daemon.info("a")["pid"]))]
    daemon.eventually(lambda: guest("true").code, lambda code: code == 0, 60)
    node = daemon.eventually(lambda: guest("modprobe virtio_blk; ls /sys/block").out, bool)
    daemon.ok("disk", "attach", "a", "data", "Path=x.img")
    new = daemon.eventually(lambda: set(guest("ls /sys/block").out.split()) - set(node.split()), bool, 30).pop()
    daemon.eventually(lambda: guest(f"echo written by the guest | dd of=/dev/{new} conv=fsync").code, lambda c: c == 0, 30)
    daemon.ok("disk", "detach", "a", "data")
    with open(path, "rb") as f:
        assert f.read(20) == b"written by the guest"
    assert set(guest("ls /sys/block").out.split()) == set(node.split()) and not locked(path)
    before = inside(daemon, "a"), descriptors()
    client = daemon.client()
    for n in range(50):
        client.call("disk-attach", name="a", id="d%d" % n, keys=["Path=x.img"])
        client.call("disk-detach", name="a", id="d%d" % n)
    client.close()
    settled(daemon, before[0])
    daemon.eventually(descriptors, lambda now: now == before[1])
    assert not locked(path)
