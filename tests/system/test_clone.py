# SPDX-License-Identifier: MIT
"""`clone` makes a VM with copies of a stopped one's images, which has nothing that may be there only once. Whatever is
refused, fails, is cancelled or killed leaves no new file and no new image, and the original as it was."""
import json
import os
import re
import subprocess
import threading

import pytest

import vmk
from steps import Steps
from walk import walk


def path(world, name):
    return os.path.join(world.config, name)


def image(world, name):
    return os.path.join(world.images, name)


def text(world, name):
    return vmk.read_text(path(world, name))


def there(world):
    """All files of VMs and all images, also temporary ones, and the directories of states."""
    return (sorted(name for name in os.listdir(world.config) if name != "vmkeep.conf"), sorted(os.listdir(world.images)),
            sorted(os.listdir(os.path.join(world.state, "vms"))))


def temporary(world):
    return [name for name in os.listdir(world.images) if name.startswith(".")]


def shell(world, line):
    return world.exec("sh", "-ec", "cd %s; %s" % (world.images, line))


def info(world, name):
    return json.loads(world.exec("qemu-img", "info", "--output=json", image(world, name)))


def same(world, a, b):
    world.exec("qemu-img", "compare", "-q", image(world, a), image(world, b))


def test_a_copy_that_starts(daemon):
    daemon.micro("web1", vm="Accel=tcg\n", disk="qcow2", size=1 << 20)
    assert daemon.ok("clone", "web1", "web2") == "web1: cloned; vmkeep start web2 starts the new one\n"
    same(daemon, "web1.qcow2", "web2.qcow2")
    assert os.stat(image(daemon, "web2.qcow2")).st_mode & 0o777 == 0o600 and os.stat(image(daemon, "web2.qcow2")).st_uid == 0
    uuid = re.search("^UUID=(.*)$", text(daemon, "web2.vm"), re.M)[1]
    assert text(daemon, "web2.vm") == text(daemon, "web1.vm").replace("web1", "web2").replace(
        "\n[Disk", "\nUUID=%s\nEnable=no\n[Disk" % uuid)
    daemon.up("web1")
    daemon.up("web2")  # both at once
    assert daemon.info("web2")["uuid"] == uuid != daemon.info("web1")["uuid"]
    assert [row["event"] for row in daemon.rows("history", "web2")][0] == "clone"
    daemon.ok("kill", "web1", "web2")
    daemon.ok("clone", "web2", "web3")
    same(daemon, "web1.qcow2", "web3.qcow2")
    daemon.up("web3")


def test_what_may_be_there_only_once(daemon):
    """Main file and drop-ins become one; comments stay, lists are the same, and another disk gets the name of its id."""
    for name in ("disk.raw", "shared.raw", "x.iso"):
        daemon.image(name)
    daemon.write("a.vm", "# the shop\n[VM]\nUUID=7f3b7b1e-1b1b-4c1c-9d1d-0123456789ab\nMemory=16M\nEnable=yes\nProtect=yes\n"
                 "X-Managed=ansible\nTags=x\n[Disk root]\n# on raw\nPath=disk.raw\n[Disk ro]\nPath=shared.raw\nReadOnly=yes\n"
                 "[CDROM cd]\nPath=x.iso\n[Disk own]\nPath=sub/%n-1.raw\n[NIC lan]\nMACAddress=52:54:00:11:22:33\nAddress=10.3.0.7\n"
                 "HostName=shop\n[VSock]\nCID=77\n[Display]\nPort=5999\n[Lifecycle]\nAfter=x\n".replace("Tags=x\n", ""))
    daemon.write("a.vm.d/1.conf", "[ VM ]\nDescription=one two\n[Lifecycle]\nAfter=y default\n[X-Site]\nRack=7\n")
    daemon.write("a.vm.d/2.conf", "[Lifecycle]\nAfter=\nAfter=default\n[Disk   root]\nCache=writeback\n")
    os.mkdir(image(daemon, "sub"))
    shell(daemon, "cp disk.raw sub/a-1.raw")
    row = daemon.one("clone", "a", "b")
    assert row == {"name": "a", "new": "b", "file": path(daemon, "b.vm"), "uuid": row["uuid"],
                   "disks": [image(daemon, "b-root.raw"), image(daemon, "sub/b-1.raw")]}
    assert text(daemon, "b.vm") == (
        "# the shop\n[VM]\nUUID=%s\nMemory=16M\nEnable=no\nDescription=one two\n[Disk root]\n# on raw\nPath=b-root.raw\n"
        "Cache=writeback\n[Disk ro]\nPath=shared.raw\nReadOnly=yes\n[CDROM cd]\nPath=x.iso\n[Disk own]\nPath=sub/%%n-1.raw\n"
        "[NIC lan]\n[VSock]\nCID=auto\n[Display]\n[Lifecycle]\nAfter=default\n\n[X-Site]\nRack=7\n" % row["uuid"])


def test_an_overlay_keeps_its_base(daemon):
    """Only what differs from the base is copied, and no snapshot; the header finds the base next to it."""
    daemon.image("base.raw", banner="up\r\n", size=1 << 20)
    shell(daemon, "mv base.raw base; qemu-img create -qf qcow2 -F raw -b base a.qcow2; qemu-io -c 'write -P 7 512k 64k' a.qcow2; "
          "qemu-img snapshot -c old a.qcow2")
    daemon.write("a.vm", "[VM]\nMemory=16M\nNetworks=none\nAccel=tcg\n[Disk root]\nPath=a.qcow2\nBase=base\n")
    daemon.ok("clone", "a", "b")
    found = info(daemon, "b.qcow2")
    assert (found["backing-filename"], found["backing-filename-format"]) == ("base", "raw") and "snapshots" not in found
    same(daemon, "a.qcow2", "b.qcow2")
    daemon.up("a")
    daemon.up("b")
    daemon.ok("kill", "b")
    daemon.ok("clone", "b", "c")
    daemon.up("c")


def test_disks_without_a_path(daemon):
    daemon.micro("a", extra="[Disk data]\nSize=1M\n")
    daemon.up("a")
    daemon.ok("kill", "a")
    shell(daemon, "qemu-io -c 'write -P 7 0 64k' a-data.qcow2")
    daemon.ok("clone", "a", "b")
    same(daemon, "a-data.qcow2", "b-data.qcow2")
    assert info(daemon, "b-data.qcow2")["virtual-size"] == 1 << 20
    daemon.up("b")


def test_a_disk_that_was_never_made(daemon):
    """Both first starts make their own."""
    daemon.micro("a", extra="[Disk data]\nSize=1M\n")
    assert daemon.one("clone", "a", "b")["disks"] == [image(daemon, "b.raw")]
    daemon.up("b")
    daemon.up("a")
    assert {"a-data.qcow2", "b-data.qcow2"} < set(os.listdir(daemon.images))


def test_an_address_on_a_bridge(daemon):
    """Gateway= and DNS= go with it: they need one."""
    daemon.micro("a")
    daemon.write("a.vm", "[VM]\nMemory=16M\n[Disk root]\nPath=a.raw\n[NIC lan]\nBridge=br7\nAddress=10.0.0.5/24\n"
                 "Gateway=10.0.0.1\nDNS=10.0.0.1\n[CloudInit]\nUser=anna\n")
    daemon.ok("clone", "a", "b")
    assert "[NIC lan]\nBridge=br7\n[CloudInit]\n" in text(daemon, "b.vm")


def test_uefi_variables(daemon):
    daemon.micro("a", disk="qcow2")
    daemon.ok("list")
    states = os.path.join(daemon.state, "vms")
    os.makedirs(os.path.join(states, "a"), exist_ok=True)
    daemon.exec("sh", "-ec", "cd %s/a; qemu-img create -qf qcow2 nvram.qcow2 64k; qemu-io -c 'write -P 9 0 64k' nvram.qcow2" % states)
    daemon.ok("clone", "a", "b")
    daemon.exec("qemu-img", "compare", "-q", *(os.path.join(states, vm, "nvram.qcow2") for vm in "ab"))
    daemon.up("b")


def test_an_image_outside_of_the_stores(daemon):
    daemon.image("a.raw", banner="up\r\n")
    outside = os.path.join(daemon.base, "elsewhere.raw")
    os.rename(image(daemon, "a.raw"), outside)
    daemon.write("a.vm", "[VM]\nMemory=16M\nNetworks=none\n[Disk root]\nPath=%s\n" % outside)
    daemon.ok("clone", "a", "b")
    assert "Path=b-root.raw\n" in text(daemon, "b.vm")
    daemon.up("b")


# --- refusals


def inside(world):
    """As processes inside see the store."""
    return shell(world, "ls -A")


def sound(world):
    world.micro("a", disk="qcow2")
    world.ok("list")


@pytest.mark.parametrize("to, code, said", [
    ("a", 3, "the VM exists"), ("A", 3, "too similar"), ("../b", 2, ""), ("b/c", 2, ""), ("", 2, ""), (".b", 2, ""), ("x" * 300, 2, "")])
def test_names(daemon, to, code, said):
    sound(daemon)
    before = there(daemon)
    assert said in daemon.fails(code, "clone", "a", to)
    assert there(daemon)[:2] == before[:2]


def busy(world):
    subprocess.Popen(world.inside(["sh", "-c", "exec 3<>%s; exec sleep 1000" % image(world, "a.qcow2")]))
    world.eventually(lambda: world.processes().values(), lambda lines: "sleep 1000" in lines)


def full(world):
    other = os.path.join(world.base, "other.qcow2")
    shell(world, "qemu-io -c 'write -P 7 0 512k' a.qcow2; mv a.qcow2 %s; mount -t tmpfs -o size=400k none ." % other)
    world.write("a.vm", "[VM]\nMemory=16M\n[Disk root]\nPath=%s\n" % other)


def read_only(world):
    shell(world, "mount --bind . .; mount -o remount,bind,ro .")


def linked(world):
    os.symlink("nowhere", image(world, "b.qcow2"))


@pytest.mark.parametrize("spoil, code, said", [
    (lambda w: w.up("a"), 5, "is running"),
    (lambda w: os.unlink(image(w, "a.qcow2")), 4, "a.qcow2"),
    (lambda w: w.image("b.qcow2"), 3, "b.qcow2 is there already"),
    (linked, None, "b.qcow2"),
    (lambda w: shell(w, "yes | head -c 9999 >a.qcow2"), 2, "a.qcow2"),
    (busy, 3, "in use by"),
    (full, 11, "pace"),
    (read_only, None, "Read-only file system"),
    (lambda w: w.write("a.vm", "[VM]\nMemory=x\n"), 2, "Memory"),
], ids=["up", "missing", "taken", "a link", "junk", "busy", "full", "read-only", "broken file"])
def test_what_is_refused_leaves_nothing(daemon, spoil, code, said):
    daemon.micro("a", disk="qcow2", size=1 << 20)
    daemon.ok("list")
    spoil(daemon)
    files, images = there(daemon)[0], inside(daemon)
    done = daemon.vmkeep("clone", "a", "b")
    assert done.code and (code is None or done.code == code) and said in done.err, done
    assert (files, images) == (there(daemon)[0], inside(daemon)) and "b" not in there(daemon)[2]
    shell(daemon, "umount -l . 2>/dev/null || :")
    for pid, line in daemon.processes().items():
        if line == "sleep 1000":
            daemon.kill(pid)


def test_the_file_cannot_be_written(daemon):
    """The images are there already by then, and go again."""
    sound(daemon)
    daemon.exec("mount", "--bind", daemon.config, daemon.config)
    daemon.exec("mount", "-o", "remount,bind,ro", daemon.config)
    before = there(daemon)
    assert "Read-only file system" in daemon.fails(11, "clone", "a", "b")
    assert there(daemon)[:2] == before[:2]
    daemon.exec("umount", daemon.config)


def test_a_second_disk_fails(daemon):
    daemon.micro("a", disk="qcow2", extra="[Disk data]\nPath=a-data.raw\n")
    daemon.image("a-data.raw")
    daemon.image("b-data.raw")
    before = there(daemon)
    daemon.fails(3, "clone", "a", "b")
    assert there(daemon)[:2] == before[:2]


# --- in progress


def endless(world, after=""):
    """qemu-img, to which no end is seen."""
    script = os.path.join(world.base, "qemu-img")
    with open(script, "w", encoding="ascii") as f:
        f.write("#!/bin/sh\necho '    (12.00/100%%)'\n%s\nwhile :; do :; done\n" % after)
    os.chmod(script, 0o755)
    world.exec("mount", "--bind", script, "/usr/bin/qemu-img")


def begun(world, name="a", to="b"):
    """A clone whose qemu-img runs; its job."""
    endless(world)
    job = world.one("clone", name, to, "--no-wait")["job"]
    world.eventually(lambda: [row["percent"] for row in world.rows("jobs")], lambda found: found == [12], 30)
    return job


def test_progress_and_cancel(daemon):
    sound(daemon)
    before = there(daemon)
    job = begun(daemon)
    assert "a clone is under way" in daemon.fails(3, "start", "a")
    assert "a clone is under way" in daemon.fails(3, "delete", "a", "--yes")
    assert "a clone is under way" in daemon.fails(3, "clone", "a", "c")
    daemon.ok("jobs", "cancel", str(job))
    daemon.eventually(lambda: daemon.rows("jobs"), lambda found: found == [], 30)
    assert there(daemon)[:2] == before[:2] and "b" not in there(daemon)[2]
    daemon.exec("umount", "/usr/bin/qemu-img")
    daemon.ok("clone", "a", "b")


def test_progress_of_a_hostile_program(daemon):
    """It cannot make the daemon say what is impossible, nor keep it busy."""
    sound(daemon)
    endless(daemon, "for i in -3 99999999999999999999 101 x; do echo \"($i.00/100%)\"; done; while :; do echo '(250.00/100%)'; done")
    daemon.one("clone", "a", "b", "--no-wait")
    daemon.eventually(lambda: [line for line in daemon.processes().values() if "qemu-img" in line and "vmkeep" not in line], len)
    assert {row["percent"] for _ in range(30) for row in daemon.rows("jobs")} <= {None, 0, 12}
    job, = daemon.rows("jobs")
    daemon.ok("jobs", "cancel", str(job["job"]))
    daemon.eventually(lambda: daemon.rows("jobs"), lambda found: found == [], 30)
    daemon.exec("umount", "/usr/bin/qemu-img")


@pytest.mark.parametrize("end", [vmk.World.kill_daemon, vmk.World.stop_daemon])
def test_the_daemon_ends(daemon, end):
    """What was being copied is removed although nobody is there to say so."""
    sound(daemon)
    before = there(daemon)
    begun(daemon)
    end(daemon)
    daemon.eventually(lambda: there(daemon)[1], lambda found: found == before[1], 30)
    assert there(daemon)[0] == before[0]


def test_all_is_killed(daemon):
    """Nobody can remove the temporary image then, except the next clone; that of one in progress stays."""
    sound(daemon)
    begun(daemon)
    first = temporary(daemon)
    assert len(first) == 1
    daemon.exec("umount", "/usr/bin/qemu-img")
    daemon.micro("c", disk="qcow2")
    daemon.ok("clone", "c", "d")
    assert temporary(daemon) == first
    pids = daemon.eventually(lambda: [pid for pid, line in daemon.processes().items() if "vmkeep-jail" in line or "qemu-img" in line],
                             lambda found: len(found) == 2)  # those of the other clone have ended
    for pid in sorted(pids, reverse=True):  # the keeper first: it was forked
        daemon.kill(pid)
    daemon.eventually(lambda: daemon.rows("jobs"), lambda found: found == [], 30)
    assert temporary(daemon) == first and not os.path.exists(path(daemon, "b.vm"))
    daemon.ok("clone", "a", "b")
    assert temporary(daemon) == []


def test_several_at_once(daemon):
    daemon.micro("a", disk="qcow2")
    daemon.micro("c", disk="qcow2")
    daemon.ok("list")
    done = []

    def one(source):
        done.append(daemon.vmkeep("clone", source, "b").code)
    threads = [threading.Thread(target=one, args=(source,)) for source in "acac"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(done)[0] == 0 and 0 not in sorted(done)[1:]
    assert there(daemon)[:2] == (["a.vm", "b.vm", "c.vm"], ["a.qcow2", "b.qcow2", "c.qcow2"])
    daemon.up("b")


@walk("step", range(1, 120), some=6)
def test_the_daemon_is_killed(world, step):
    """There is never a file that names an image which is not complete, and a second try works."""
    world.micro("a", disk="qcow2")
    steps = Steps(world)
    world.start(env=steps.env)
    world.ok("list")
    steps.arm(step)
    done = world.vmkeep("clone", "a", "b")
    cut = steps.over()
    assert cut or done.code == 0
    files, images, _ = there(world)
    world.start()
    if "b.vm" in files:
        same(world, "a.qcow2", "b.qcow2")
    else:
        world.eventually(lambda: temporary(world), lambda found: found == [], 30)
        if "b.qcow2" in there(world)[1]:  # at the very end: complete, and nobody's
            same(world, "a.qcow2", "b.qcow2")
            assert "is there already" in world.fails(3, "clone", "a", "b")
            os.unlink(image(world, "b.qcow2"))
        world.vmkeep("forget", "b")
        world.ok("clone", "a", "b")
    assert temporary(world) == []
    world.up("b")
