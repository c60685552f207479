# SPDX-License-Identifier: MIT
"""cd: what is in a drive of a running guest changes, or stays as it was; nothing of it stays behind."""
import contextlib
import json
import os

import pytest

import vmk


DRIVE = "[CDROM cd]\n%s"


def iso(daemon, name, text="", size=1 << 20, where=None):
    path = os.path.join(where or daemon.images, name)
    with open(path, "wb") as f:
        f.write(text.encode())
        f.truncate(size)
    return path


def drives(daemon, name):
    """What QEMU has: {drive: (file, tray is open)}."""
    return {b["qdev"]: (b.get("inserted", {}).get("file"), b["tray_open"]) for b in daemon.qmp(name, "query-block")
            if b["qdev"].startswith("cd-")}


def medium(daemon, name, drive="cd"):
    return next(d["path"] for d in daemon.info(name)["disks"] if d["disk"] == drive)


def inside(daemon, name):
    """(mounts in the private root, nodes of QEMU, its descriptors of images, locks) that a CD may leave behind."""
    proc = daemon.inner("/proc/%d" % daemon.info(name)["pid"])
    with open(f"{proc}/mountinfo", encoding="utf-8") as f:
        mounts = sorted(line.split()[4] for line in f)
    nodes = sorted(n["node-name"] for n in daemon.qmp(name, "query-named-block-nodes", flat=True))
    fds = sorted(os.readlink(f"{proc}/fd/{n}") for n in os.listdir(f"{proc}/fd"))
    return mounts, nodes, [f for f in fds if f.startswith("/") and "/dev" not in f]


def locked(path):
    """Does anyone keep others from writing?"""
    with open("/proc/locks", encoding="utf-8") as f:
        return any(line.split()[5].endswith(":%d" % os.stat(path).st_ino) for line in f)


def one(daemon, keys="", **more):
    daemon.micro("a", extra=DRIVE % keys, **more)
    daemon.up("a")


def test_in_and_out(daemon):
    one(daemon)
    before = inside(daemon, "a")
    path = iso(daemon, "x.iso", "x")
    assert daemon.ok("cd", "a", "insert", "x.iso").strip() == "a: drive 'cd' has x.iso"
    assert drives(daemon, "a") == {"cd-cd": (path, False)} and medium(daemon, "a") == "x.iso"
    assert locked(path)
    daemon.ok("info", "--security", "a")
    assert "x.iso" in daemon.vmkeep("diff", "a").out
    assert daemon.ok("cd", "a", "eject").strip() == "a: drive 'cd' is empty"
    assert drives(daemon, "a") == {"cd-cd": (None, False)} and medium(daemon, "a") is None
    assert inside(daemon, "a") == before and not locked(path)
    assert daemon.one("cd", "a", "eject") == {"name": "a", "drive": "cd", "medium": None, "store": None,
                                              "persistent": False}


def test_one_after_the_other(daemon):
    one(daemon)
    before = inside(daemon, "a")
    first, second = (iso(daemon, n) for n in ("1.iso", "2.iso"))
    daemon.ok("cd", "a", "insert", "1.iso")
    daemon.ok("cd", "a", "insert", "2.iso")
    assert drives(daemon, "a") == {"cd-cd": (second, False)} and not locked(first) and locked(second)
    daemon.ok("cd", "a", "insert", first)
    daemon.ok("cd", "a", "insert", "default:1.iso")
    assert drives(daemon, "a") == {"cd-cd": (first, False)} and locked(first) and not locked(second)
    daemon.ok("cd", "a", "eject")
    assert inside(daemon, "a") == before and not locked(first)


def test_from_the_file(daemon):
    """The CD of the start goes, with the locks that came with the start, and can come back."""
    path = iso(daemon, "x.iso")
    one(daemon, "Path=x.iso\n")
    assert locked(path)
    daemon.ok("cd", "a", "eject")
    assert not locked(path) and path not in inside(daemon, "a")[0]
    os.unlink(path)
    iso(daemon, "x.iso", "another")
    daemon.ok("cd", "a", "insert", "x.iso")
    assert drives(daemon, "a") == {"cd-cd": (path, False)}
    assert daemon.vmkeep("diff", "a").code == 0


def test_next_start(daemon):
    """Without --persistent the file does not change, nor the next start; with it, both."""
    one(daemon)
    text = open(os.path.join(daemon.config, "a.vm"), encoding="utf-8").read()
    iso(daemon, "x.iso")
    daemon.ok("cd", "a", "insert", "x.iso")
    daemon.qmp("a", "system_reset")
    assert medium(daemon, "a") == "x.iso"
    assert open(os.path.join(daemon.config, "a.vm"), encoding="utf-8").read() == text
    daemon.ok("kill", "a")
    daemon.up("a")
    assert drives(daemon, "a") == {"cd-cd": (None, False)}
    assert daemon.one("cd", "a", "insert", "x.iso", "--persistent")["persistent"] is True
    assert "Path=x.iso" in open(os.path.join(daemon.config, "a.vm"), encoding="utf-8").read()
    assert daemon.vmkeep("diff", "a").code == 0
    daemon.ok("kill", "a")
    daemon.up("a")
    assert medium(daemon, "a") == "x.iso"
    daemon.ok("cd", "a", "eject", "--persistent")
    assert daemon.vmkeep("diff", "a").code == 0 and medium(daemon, "a") is None
    assert "Format=" not in open(os.path.join(daemon.config, "a.vm"), encoding="utf-8").read()


def test_what_the_file_says_of_the_format(daemon):
    """Only what a name leaves open; the next name that does not takes it back."""
    one(daemon)
    file = os.path.join(daemon.config, "a.vm")
    for name, line in (("plain", "Format=raw\n"), ("x.iso", "Format=\n")):
        iso(daemon, name)
        daemon.ok("cd", "a", "insert", name, "--persistent")
        assert line in open(file, encoding="utf-8").read()
        assert daemon.vmkeep("diff", "a").code == 0 and medium(daemon, "a") == name


def test_many_times(daemon):
    """Nothing is left by 200 changes: mounts, nodes, descriptors of QEMU and of the daemon, locks."""
    one(daemon)
    path = iso(daemon, "x.iso")
    client = daemon.client()

    def change(action, **words):
        client.call("vm-cd", name="a", action=action, **words)

    def descriptors():
        return [len(os.listdir(p)) for p in (f"/proc/{daemon.daemon_pid()}/fd",
                                             daemon.inner("/proc/%d/fd" % daemon.info("a")["pid"]))]
    change("insert", file="x.iso")
    change("eject")
    before = inside(daemon, "a"), descriptors()
    for _ in range(100):
        change("insert", file="x.iso")
        change("eject")
    assert (inside(daemon, "a"), descriptors()) == before
    client.close()
    assert not locked(path)


REFUSED = [
    (["insert"], 2, "needs a FILE"),
    (["eject", "x.iso"], 2, "takes no FILE"),
    (["insert", "gone.iso"], 4, "No such file"),
    (["insert", "/nowhere/gone.iso"], 4, "/nowhere does not exist"),
    (["insert", "dir"], 2, "is a directory"),
    (["insert", "two.iso"], 2, "hard links"),
    (["insert", "link.iso"], None, "link.iso"),
    (["insert", "../x.iso"], None, ".."),
    (["insert", "nostore:x.iso"], 4, "no store 'nostore'"),
    (["insert", "a.raw"], 3, "in use"),
    (["insert", "x.iso", "--id", "dvd"], 4, "no CD drive 'dvd'"),
    (["insert", "bad.qcow2"], None, "bad.qcow2"),
    (["insert", "x.iso\n[Disk more]\nPath=a.raw"], 2, "is not a text"),
    (["insert", "x.iso\rBus=scsi"], 2, "is not a text"),
]


def test_refused(daemon):
    """Nothing changes, neither in the guest nor in what is mounted and locked."""
    path = iso(daemon, "x.iso")
    one(daemon, "Path=x.iso\n")
    os.mkdir(os.path.join(daemon.images, "dir"))
    os.link(iso(daemon, "one.iso"), os.path.join(daemon.images, "two.iso"))
    os.symlink("one.iso", os.path.join(daemon.images, "link.iso"))
    iso(daemon, "bad.qcow2", "no header")
    before = inside(daemon, "a")
    for words, code, says in REFUSED:
        r = daemon.vmkeep("cd", "a", *words)
        assert r.code == code or (code is None and r.code), (words, r)
        assert says in r.err, (words, r.err)
    assert inside(daemon, "a") == before and drives(daemon, "a") == {"cd-cd": (path, False)} and locked(path)
    assert medium(daemon, "a") == "x.iso"


def test_which_drive(daemon):
    daemon.micro("a", extra="[CDROM one]\n[CDROM two]\n")
    daemon.micro("none")
    daemon.up("a")
    daemon.up("none")
    path = iso(daemon, "x.iso")
    assert "one, two" in daemon.fails(2, "cd", "a", "insert", "x.iso")
    daemon.ok("cd", "a", "insert", "x.iso", "--id", "two")
    daemon.ok("cd", "a", "insert", "x.iso", "--id", "one")
    assert drives(daemon, "a") == {"cd-one": (path, False), "cd-two": (path, False)}
    daemon.ok("cd", "a", "eject", "--id", "one")
    assert path in inside(daemon, "a")[0] and locked(path)
    daemon.ok("cd", "a", "eject", "--id", "two")
    assert path not in inside(daemon, "a")[0] and not locked(path)
    assert "without a CD drive" in daemon.fails(4, "cd", "none", "insert", "x.iso")
    daemon.ok("kill", "a")
    daemon.fails(5, "cd", "a", "insert", "x.iso", "--id", "one")


def test_roles(daemon):
    """An operator may use what is in a store, root any path, and an owner what is called .iso."""
    outside = iso(daemon, "o.iso", where=daemon.base)
    iso(daemon, "x.iso")
    iso(daemon, "data.img")
    one(daemon, vm="Owner=alice\n")
    operator = {"user": "bob", "groups": ["vmkeep"]}
    assert "only root" in daemon.fails(9, "cd", "a", "insert", outside, **operator)
    daemon.ok("cd", "a", "insert", "data.img", **operator)
    daemon.ok("cd", "a", "insert", outside)
    assert "only an operator" in daemon.fails(9, "cd", "a", "insert", "data.img", user="alice")
    daemon.ok("cd", "a", "insert", "x.iso", user="alice")
    daemon.fails(9, "cd", "a", "eject", user="bob")


def test_daemon_is_killed(daemon):
    """At any time: the next daemon finds the old or the new medium, and nothing else is left."""
    one(daemon)
    first, second = (iso(daemon, n) for n in ("1.iso", "2.iso"))
    daemon.ok("cd", "a", "insert", "1.iso")
    before = inside(daemon, "a")
    for _ in range(8):
        client = daemon.client()
        client.send("vm-cd", {"name": "a", "action": "insert", "file": "2.iso"})
        daemon.kill_daemon()
        client.close()
        daemon.start()
        daemon.eventually(lambda: "changes" in json.load(open(os.path.join(daemon.run, "vms/a/record.json"))),
                          lambda there: not there)
        has = drives(daemon, "a")
        assert has in ({"cd-cd": (first, False)}, {"cd-cd": (second, False)}), has
        assert medium(daemon, "a") == os.path.basename(has["cd-cd"][0])
        if has["cd-cd"][0] == second:
            daemon.ok("cd", "a", "insert", "1.iso")
        daemon.eventually(lambda: inside(daemon, "a")[0], lambda mounts: mounts == before[0])
        assert locked(first) and not locked(second)


def test_restart(daemon):
    """A daemon that starts again knows what is inside, and can take it out."""
    one(daemon)
    before = inside(daemon, "a")
    path = iso(daemon, "x.iso")
    daemon.ok("cd", "a", "insert", "x.iso")
    daemon.kill_daemon()
    daemon.start()
    assert medium(daemon, "a") == "x.iso" and locked(path)
    daemon.ok("cd", "a", "eject")
    assert inside(daemon, "a") == before and not locked(path)


def test_qemu_is_killed(daemon):
    one(daemon)
    path = iso(daemon, "x.iso")
    client = daemon.client()
    pid = daemon.info("a")["pid"]
    serial = client.send("vm-cd", {"name": "a", "action": "insert", "file": "x.iso"})
    daemon.kill(pid)
    with contextlib.suppress(vmk.Error):  # it may have been done by then
        client.result(serial)
    daemon.wait_state("a", "backoff", "stopped", "failed", "running")
    client.close()
    daemon.ok("kill", "a")
    assert not locked(path)


@pytest.mark.usefixtures("linux")
def test_the_guest_sees_it(daemon):
    """Also one that has mounted it, which locks the tray."""
    for name in ("one", "two"):
        os.mkdir(os.path.join(daemon.base, name))
        with open(os.path.join(daemon.base, name, "name"), "w", encoding="utf-8") as f:
            f.write(name)
        daemon.exec("xorriso", "-as", "mkisofs", "-quiet", "-o", os.path.join(daemon.images, name + ".iso"),
                    os.path.join(daemon.base, name))
    daemon.linux("a", "guest.net=none guest.agent=yes", "Networks=none\n", "[CDROM cd]\nBus=scsi\n[Agent]\n")
    daemon.ok("start", "a")

    def guest(command):
        return daemon.vmkeep("guest", "exec", "a", "--", "/bin/sh", "-c", command)
    daemon.eventually(lambda: guest("modprobe sr_mod; modprobe isofs").code, lambda code: code == 0, 60)
    daemon.ok("cd", "a", "insert", "one.iso")
    daemon.eventually(lambda: guest("mount -t iso9660 /dev/sr0 /mnt && cat /mnt/name").out, lambda out: out == "one", 30)
    said = daemon.fails(8, "cd", "a", "insert", "two.iso", "--timeout", "2")
    assert "locked the tray" in said and "--force" in said
    assert guest("cat /mnt/name").out == "one" and medium(daemon, "a") == "one.iso"
    assert not locked(os.path.join(daemon.images, "two.iso"))
    guest("umount /mnt")
    daemon.ok("cd", "a", "insert", "two.iso")
    daemon.eventually(lambda: guest("mount -t iso9660 /dev/sr0 /mnt && cat /mnt/name").out, lambda out: out == "two", 30)
    daemon.ok("cd", "a", "eject", "--force")
    assert medium(daemon, "a") is None


def test_qemu_hangs(daemon):
    """A QEMU that does not answer: the change fails, and once it answers again, the drive has one of the two."""
    one(daemon)
    first = iso(daemon, "1.iso")
    iso(daemon, "2.iso")
    daemon.ok("cd", "a", "insert", "1.iso")
    before = inside(daemon, "a")
    pid = daemon.info("a")["pid"]
    client = daemon.client()
    serial = client.send("vm-cd", {"name": "a", "action": "insert", "file": "2.iso"})
    daemon.kill(pid, "STOP")
    try:
        client.result(serial, 60)
        done = True
    except vmk.Error:
        done = False
    client.close()
    daemon.kill(pid, "CONT")
    daemon.eventually(lambda: daemon.info("a")["health"], lambda health: health == "ok", 30)
    daemon.eventually(lambda: "changes" in json.load(open(os.path.join(daemon.run, "vms/a/record.json"))),
                      lambda there: not there, 30)
    if done or drives(daemon, "a") != {"cd-cd": (first, False)}:
        daemon.ok("cd", "a", "insert", "1.iso")
    daemon.eventually(lambda: (inside(daemon, "a")[0], drives(daemon, "a")),
                      lambda now: now == (before[0], {"cd-cd": (first, False)}), 30)


def test_two_at_once(daemon):
    """One of them is refused, or comes after the other; the drive has what the last one said."""
    one(daemon)
    before = inside(daemon, "a")
    clients = [daemon.client() for _ in range(3)]
    files = [iso(daemon, "%d.iso" % n) for n in range(3)]
    serials = [c.send("vm-cd", {"name": "a", "action": "insert", "file": os.path.basename(f)})
               for c, f in zip(clients, files)]
    done = []
    for client, serial in zip(clients, serials):
        try:
            done.append(client.result(serial)["medium"])
        except vmk.Error as e:
            assert "already being changed, by job" in str(e), e
        client.close()
    assert done and medium(daemon, "a") in done
    assert [locked(f) for f in files].count(True) == 1
    daemon.ok("cd", "a", "eject")
    assert inside(daemon, "a") == before


def test_no_store_in_place_of_one(daemon):
    """A path of root's replaces a file in a store, and the other way round, also in the file."""
    place = os.path.join(daemon.base, "isos")
    os.mkdir(place)
    iso(daemon, "y.iso", where=place)
    path = iso(daemon, "z.iso", where=daemon.base)
    with open(os.path.join(daemon.config, "vmkeep.conf"), "a", encoding="utf-8") as f:
        f.write("[Store isos]\nPath=%s\n" % place)
    daemon.micro("a", extra="[CDROM cd]\nPath=y.iso\nStore=isos\n")
    daemon.up("a")
    for persistent in ([], ["--persistent"]):
        for medium in (path, "isos:y.iso", path):
            daemon.ok("cd", "a", "insert", medium, *persistent)
    daemon.ok("kill", "a")
    daemon.up("a")
    assert path in inside(daemon, "a")[0]
