# SPDX-License-Identifier: MIT
"""Balloon and snapshots: a verb returns when its effect is complete, and refuses beforehand what could not be
undone."""
import os

import pytest

import vmk
from smallfs import mount_line

MIB = 1 << 20


def test_no_driver_no_memory(daemon):
    """F97: QEMU accepts any size, but without a driver the guest's memory does not change, and the error says so."""
    daemon.micro("a", "deaf")
    path = os.path.join(daemon.config, "a.vm")
    with open(path, encoding="utf-8") as f:
        text = f.read()
    daemon.write("a.vm", text.replace("Memory=16M", "Memory=128M"))
    daemon.up("a")
    said = daemon.fails(8, "set-memory", "a", "96M", "--timeout", "2")
    assert "driver" in said or "balloon" in said
    assert daemon.info("a")["state"] == "running"


@pytest.mark.parametrize("vm, argv, code, word", [
    ("", ["1M"], 2, "floor"),
    ("", ["63M"], 2, "--force"),
    ("", ["15M", "--force"], 2, "16M"),
    ("", ["129M"], 2, "128M"),
    ("[Memory]\nMax=256M\n", ["2G"], 2, "256M"),
    ("[Memory]\nMin=100M\n", ["99M"], 2, "100M"),
    ("[Memory]\nBalloon=no\n", ["96M"], 8, "Balloon=yes"),
])
def test_refused_before_the_guest_is_asked(daemon, vm, argv, code, word):
    """F97: below the minimum, above the maximum, or invalid."""
    daemon.image("a.raw", "deaf", "up\r\n")
    daemon.write("a.vm", "[VM]\nMemory=128M\nNetworks=none\n[Disk root]\nPath=a.raw\n" + vm)
    daemon.fails(5, "set-memory", "a", "96M")
    daemon.up("a")
    assert word in daemon.fails(code, "set-memory", "a", *argv)
    assert daemon.info("a")["state"] == "running"


def deaf(daemon):
    daemon.image("a.raw", "deaf", "up\r\n")
    daemon.write("a.vm", "[VM]\nMemory=128M\nNetworks=none\n[Disk root]\nPath=a.raw\n")
    daemon.up("a")


def target(daemon):
    """The size last requested, as QEMU reports it while there is no driver."""
    return daemon.qmp("a", "query-balloon")["actual"]


def test_one_change_at_a_time(daemon):
    """F97: a second change is refused, and the error names the first, which can be cancelled; for a paused guest a
    change is refused too."""
    deaf(daemon)
    client = daemon.client()
    client.call("subscribe")
    job = client.call("vm-set-memory", name="a", size=96 * MIB, timeout=86400, wait=False)["job"]
    assert "job %d" % job in daemon.fails(3, "set-memory", "a", "100M")
    daemon.ok("job", "cancel", str(job))
    done = client.event("JOB_DONE", lambda data: data["job"] == job)
    assert "cancelled" in done["error"]["desc"]
    assert target(daemon) == 128 * MIB
    daemon.ok("pause", "a")
    assert "resume" in daemon.fails(5, "set-memory", "a", "96M")
    client.close()


@pytest.mark.parametrize("how", ["kill", "signal"])
def test_guest_ends_meanwhile(daemon, how):
    """The change fails, once, and the daemon keeps running."""
    deaf(daemon)
    client = daemon.client()
    client.call("subscribe")
    serial = client.send("vm-set-memory", {"name": "a", "size": 96 * MIB, "timeout": 86400})
    client.event("JOB_PROGRESS")
    if how == "kill":
        daemon.ok("kill", "a")
    else:
        daemon.kill(daemon.info("a")["pid"])
    while True:
        message = client.receive()
        if message.get("id") == serial:
            break
    assert message["error"]["class"] == "QemuFailed"
    client.close()
    daemon.ok("kill", "a")


@pytest.mark.usefixtures("linux")
def test_balloon_after_a_reboot(daemon):
    """F97: a guest that reboots has all of its memory until its driver is loaded; then the requested size is
    restored, and listed."""
    daemon.linux("a", "guest.net=none", vm="Networks=none\n")
    daemon.ok("start", "a")
    console = daemon.console("a")
    console.until("ready after .*\n", 60)
    daemon.ok("set-memory", "a", "96M", timeout=60)
    daemon.ok("reset", "a")
    console.until("ready after .*\n", 60)
    daemon.eventually(lambda: daemon.info("a")["balloon"], lambda n: abs(n - 96 * MIB) <= MIB, timeout=20)
    total = console.run("sed -n 's/MemFree: *\\([0-9]*\\) kB/\\1/p' /proc/meminfo")
    daemon.ok("set-memory", "a", "128M", timeout=60)
    after = console.run("sed -n 's/MemFree: *\\([0-9]*\\) kB/\\1/p' /proc/meminfo")
    assert int(after) - int(total) > 20 << 10


@pytest.mark.usefixtures("linux")
def test_linux_memory_and_snapshot(daemon):
    """With Linux, memory can be taken and given back, and a snapshot restores files and memory."""
    daemon.linux("a", "guest.net=none")
    path = os.path.join(daemon.config, "a.vm")
    with open(path, encoding="utf-8") as f:
        text = f.read()
    daemon.write("a.vm", text.replace("Memory=128M\n", "Memory=128M\nNetworks=none\n"))
    console = daemon.up("a", "ready after .*\n")

    def free():
        return int(console.run("sed -n 's/MemFree: *\\([0-9]*\\) kB/\\1/p' /proc/meminfo")) << 10
    everything = free()
    assert abs(daemon.one("set-memory", "a", "96M", timeout=60)["actual"] - 96 * MIB) <= MIB
    assert everything - free() >= 25 * MIB
    assert abs(daemon.one("setmem", "a", "128M", timeout=60)["actual"] - 128 * MIB) <= MIB
    assert everything - free() <= 4 * MIB

    console.run("mkdir -p /mnt && echo before > /run/memory && echo before | dd of=/dev/vda bs=512 seek=9 2>/dev/null; sync")
    daemon.ok("snapshot", "create", "a", "one", timeout=60)
    row, = daemon.rows("snapshot", "list", "a")
    assert row["snapshot"] == "one" and row["memory"] > 0
    assert daemon.info("a")["state"] == "running"
    console.run("echo after > /run/memory; echo after | dd of=/dev/vda bs=512 seek=9 2>/dev/null; sync")
    daemon.ok("snapshot", "revert", "a", "one", timeout=60)
    assert daemon.info("a")["state"] == "running"
    assert console.run("cat /run/memory") == "before\n"
    assert console.run("dd if=/dev/vda bs=512 skip=9 count=1 2>/dev/null | head -n 1") == "before\n"
    daemon.ok("stop", "a", timeout=60)
    daemon.ok("snapshot", "delete", "a", "one")
    assert daemon.rows("snapshot", "list", "a") == []
    daemon.exec("qemu-img", "check", os.path.join(daemon.images, "a.qcow2"))


def test_running_guest_goes_back_in_time(daemon):
    """The guest's only memory is a register: each time after `ab` comes `c`."""
    daemon.micro("a", "count", disk="qcow2")
    console = daemon.up("a")
    console.type("..")
    console.until("ab")
    daemon.ok("snapshot", "create", "a", "ab")
    console.type("..")
    console.until("cd")
    daemon.ok("snapshot-revert", "a", "ab")
    console = daemon.console("a")
    console.until("(?s)abcd")
    console.type(".")
    console.until("c")
    assert daemon.info("a")["state"] == "running"
    daemon.ok("snapshot", "delete", "a", "ab")


def test_snapshot_of_a_stopped_guest(daemon):
    daemon.micro("a", "deaf", "old\r\n", disk="qcow2")
    image = os.path.join(daemon.images, "a.qcow2")
    daemon.ok("snapshot", "create", "a", "off")
    row, = daemon.rows("snapshot", "list", "a")
    assert row["snapshot"] == "off" and row["memory"] == 0
    assert "off" in daemon.exec("qemu-img", "snapshot", "-l", image)
    new = daemon.image("new.raw", "deaf", "new\r\n")
    daemon.exec("qemu-io", "-f", "qcow2", "-c", "write -q -s %s 0 512" % new, image)
    daemon.up("a", "new")
    daemon.ok("kill", "a")
    daemon.ok("snapshot", "revert", "a", "off")
    assert daemon.info("a")["state"] == "stopped"
    daemon.ok("start", "a")
    daemon.console("a").until("(?s)new.*old")
    daemon.ok("kill", "a")
    daemon.ok("snapshot", "delete", "a", "off")
    assert "off" not in daemon.exec("qemu-img", "snapshot", "-l", image)


def test_no_space_for_a_snapshot(daemon):
    """The error says so, and the image is unchanged."""
    small = os.path.join(daemon.images, "small")
    os.mkdir(small)
    daemon.exec("sh", "-c", mount_line(small, "1m"))
    daemon.image("boot.qcow2", "deaf")
    daemon.exec("mv", os.path.join(daemon.images, "boot.qcow2"), small + "/a.qcow2")
    daemon.write("a.vm", "[VM]\nMemory=16M\nNetworks=none\n[Disk root]\nPath=small/a.qcow2\n")
    daemon.exec("sh", "-c", "cat /dev/zero >%s/full 2>/dev/null || true" % small)
    assert "no space is left" in daemon.fails(11, "snapshot", "create", "a", "x")
    daemon.exec("rm", small + "/full")
    assert daemon.rows("snapshot", "list", "a") == []
    daemon.ok("start", "a")
    daemon.ok("kill", "a")
    daemon.exec("umount", small)


@pytest.mark.parametrize("running", [False, True], ids=["off", "running"])
def test_what_is_refused(daemon, running):
    """Before anything is touched: the guest and its images are unchanged."""
    daemon.micro("a", "count", disk="qcow2")
    daemon.micro("raw", "count")
    if running:
        console = daemon.up("a")
        console.type(".")
        console.until("a")
        daemon.up("raw")
    said = str(daemon.vmkeep("snapshot", "create", "raw", "x"))
    assert "qcow2" in said and "root" in said
    daemon.fails(4, "snapshot", "revert", "a", "missing")
    daemon.fails(4, "snapshot", "delete", "a", "missing")
    daemon.fails(2, "snapshot", "create", "a", "bad name")
    daemon.fails(2, "snapshot", "create", "a", "-x")
    daemon.ok("snapshot", "create", "a", "x")
    daemon.fails(3, "snapshot", "create", "a", "x")
    if running:
        console.type(".")
        console.until("b")
        assert daemon.info("a")["state"] == "running"
    daemon.ok("snapshot", "delete", "a", "x")


def test_several_disks_all_or_nothing(daemon):
    daemon.micro("a", "deaf", disk="qcow2", extra="[Disk data]\nPath=data.raw\n")
    daemon.image("data.raw")
    daemon.up("a")
    said = str(daemon.vmkeep("snapshot", "create", "a", "x"))
    assert "data" in said and "qcow2" in said
    assert "x" not in daemon.exec("qemu-img", "snapshot", "-U", "-l", os.path.join(daemon.images, "a.qcow2")).split()
    daemon.ok("kill", "a")
    daemon.image("data.qcow2")
    path = os.path.join(daemon.config, "a.vm")
    with open(path, encoding="utf-8") as f:
        text = f.read()
    daemon.write("a.vm", text.replace("data.raw", "data.qcow2"))
    daemon.up("a")
    daemon.ok("snapshot", "create", "a", "x")
    row, = daemon.rows("snapshot", "list", "a")
    assert len(row["disks"]) == 2
    for name in ("a", "data"):
        assert "x" in daemon.exec("qemu-img", "snapshot", "-U", "-l",
                                  os.path.join(daemon.images, name + ".qcow2")).split()


def test_paused_guest_stays_paused(daemon):
    daemon.micro("a", "count", disk="qcow2")
    daemon.up("a")
    daemon.ok("pause", "a")
    daemon.ok("snapshot", "create", "a", "x")
    assert daemon.info("a")["state"] == "paused"
    daemon.ok("snapshot", "delete", "a", "x")


def test_daemon_dies_during_a_snapshot(daemon):
    """Whatever the result, the guest keeps running and the list is correct."""
    daemon.micro("a", "count", disk="qcow2")
    console = daemon.up("a")
    console.type(".")
    console.until("a")
    daemon.ok("snapshot", "create", "a", "x", "--no-wait")
    daemon.kill_daemon()
    daemon.start()
    daemon.wait_state("a", "running")
    console = daemon.console("a")
    console.until("up")
    console.type(".")
    console.until("b")
    # a QEMU that writes its memory to a slow disk may not answer for longer than a verb waits
    daemon.eventually(lambda: daemon.vmkeep("snapshot", "list", "a").code, lambda code: code == 0, timeout=60)
    listed = {row["snapshot"] for row in daemon.rows("snapshot", "list", "a")}
    daemon.ok("snapshot", "create", "a", "y")
    daemon.ok("kill", "a")
    in_image = "x" in daemon.exec("qemu-img", "snapshot", "-l", os.path.join(daemon.images, "a.qcow2")).split()
    assert listed == ({"x"} if in_image else set())
    daemon.exec("qemu-img", "check", os.path.join(daemon.images, "a.qcow2"))


def edit(daemon, name, old, new):
    path = os.path.join(daemon.config, name)
    with open(path, encoding="utf-8") as f:
        text = f.read()
    assert old in text
    daemon.write(name, text.replace(old, new))


def counted(daemon, name="a", vm=""):
    """A guest that has printed `ab`, with a snapshot of that state."""
    daemon.micro(name, "count", disk="qcow2", vm=vm)
    console = daemon.up(name)
    console.type("..")
    console.until("ab")
    daemon.ok("snapshot", "create", name, "ab")
    return console


@pytest.mark.parametrize("paused", [False, True], ids=["running", "paused"])
def test_memory_comes_back_into_a_stopped_vm(daemon, paused):
    """It is started paused, the snapshot is loaded, and it is resumed only if it was running when it was saved."""
    daemon.micro("a", "count", disk="qcow2")
    console = daemon.up("a")
    console.type("..")
    console.until("ab")
    if paused:
        daemon.ok("pause", "a")
    daemon.ok("snapshot", "create", "a", "ab")
    daemon.ok("kill", "a")
    state = "paused" if paused else "running"
    assert daemon.one("snapshot", "revert", "a", "ab")["state"] == state
    assert daemon.info("a")["state"] == state
    if paused:
        daemon.ok("resume", "a")
    console = daemon.console("a")
    console.type(".")
    console.until("c$")


def test_memory_that_does_not_fit_is_refused(daemon):
    """Off or running, nothing is touched, and the error says what changed."""
    counted(daemon)
    daemon.ok("kill", "a")
    edit(daemon, "a.vm", "Memory=16M", "Memory=32M")
    said = daemon.fails(3, "snapshot", "revert", "a", "ab")
    assert "Memory" in said and "16M" in said and "32M" in said
    assert daemon.info("a")["state"] == "stopped"
    daemon.up("a")
    said = daemon.fails(3, "snapshot", "revert", "a", "ab")
    assert "Memory" in said
    assert daemon.info("a")["state"] == "running"
    daemon.ok("kill", "a")
    edit(daemon, "a.vm", "Memory=32M", "Memory=16M\nDescription=may change")
    daemon.ok("snapshot", "revert", "a", "ab")


@pytest.mark.parametrize("running", [False, True], ids=["off", "running"])
def test_failed_load_never_goes_on(daemon, running):
    """The snapshot's machine is unknown, so the load fails in QEMU: the guest is killed."""
    counted(daemon)
    daemon.ok("kill", "a")
    edit(daemon, "a.vm", "Memory=16M", "Memory=32M")
    os.unlink(os.path.join(daemon.state, "vms", "a", "snapshots.json"))
    if running:
        daemon.up("a")
    said = daemon.fails(1, "snapshot", "revert", "a", "ab")
    assert "could not be loaded" in said and "killed" in said
    info = daemon.info("a")
    assert info["state"] == "stopped" and info["want"] == "stopped"


@pytest.mark.parametrize("running", [False, True], ids=["off", "running"])
def test_record_of_a_newer_version(daemon, running):
    """After a downgrade: the machine is unknown to this version, so nothing is touched, and the record is kept for
    the newer one."""
    counted(daemon)
    path = os.path.join(daemon.state, "vms", "a", "snapshots.json")
    newer = vmk.read_text(path).replace('"version": 1', '"version": 2')
    with open(path, "w", encoding="utf-8") as f:
        f.write(newer)
    if not running:
        daemon.ok("kill", "a")
    before = daemon.info("a")
    said = daemon.fails(3, "snapshot", "revert", "a", "ab")
    assert "in a record of a newer vmkeep" in said and "--disks-only" in said
    assert (daemon.info("a")["state"], daemon.info("a")["pid"]) == (before["state"], before["pid"])
    assert not running or daemon.ok("kill", "a")
    daemon.ok("snapshot", "revert", "a", "ab", "--disks-only")
    daemon.ok("snapshot", "create", "a", "new")
    assert vmk.read_text(path) == newer


def test_damaged_record_is_set_aside(daemon):
    counted(daemon)
    folder = os.path.join(daemon.state, "vms", "a")
    with open(os.path.join(folder, "snapshots.json"), "w", encoding="utf-8") as f:
        f.write("{")
    daemon.ok("snapshot", "revert", "a", "ab")
    assert any(name.startswith("snapshots.json.damaged-") for name in os.listdir(folder))


def test_disks_only_cannot_go_into_a_running_guest(daemon):
    daemon.micro("a", "count", disk="qcow2")
    daemon.ok("snapshot", "create", "a", "off")
    daemon.up("a")
    assert "stop" in daemon.fails(5, "snapshot", "revert", "a", "off")
    assert daemon.info("a")["state"] == "running"


def test_second_disk_in_use_undoes_the_first(daemon):
    daemon.micro("a", "deaf", disk="qcow2", extra="[Disk data]\nPath=data.qcow2\n")
    data = daemon.image("data.qcow2")
    daemon.micro("b", "deaf", disk="qcow2")
    edit(daemon, "b.vm", "b.qcow2", "data.qcow2")
    daemon.up("b", "")
    said = daemon.fails(3, "snapshot", "create", "a", "x")
    assert "data" in said and "in use" in said
    daemon.ok("kill", "b")
    assert daemon.rows("snapshot", "list", "a") == []
    daemon.ok("snapshot", "create", "a", "x")
    daemon.exec("qemu-img", "snapshot", "-d", "x", data)
    assert "data" in daemon.fails(3, "snapshot", "revert", "a", "x")
    assert [row["disks"] for row in daemon.rows("snapshot", "list", "a")] == [["root"]]
    daemon.ok("snapshot", "delete", "a", "x")


def test_missing_image_is_named(daemon):
    daemon.write("a.vm", "[VM]\nNetworks=none\n[Disk root]\nPath=nowhere.qcow2\n")
    assert "nowhere.qcow2" in daemon.fails(4, "snapshot", "create", "a", "x")


def test_uefi_variables_belong_to_it(daemon):
    daemon.micro("a", "deaf", disk="qcow2", extra="[Boot]\nFirmware=uefi\n")
    edit(daemon, "a.vm", "Memory=16M", "Memory=128M")
    daemon.ok("start", "a")
    daemon.ok("snapshot", "create", "a", "x", timeout=60)
    row, = daemon.rows("snapshot", "list", "a")
    assert row["disks"] == ["root", "uefi"]
    daemon.ok("snapshot", "revert", "a", "x", timeout=60)
    daemon.ok("kill", "a")
    daemon.ok("snapshot", "revert", "a", "x", timeout=60)
    daemon.ok("kill", "a")
    daemon.ok("snapshot", "delete", "a", "x")
    assert daemon.rows("snapshot", "list", "a") == []


def test_path_with_everything_in_it(daemon):
    name = "a, b='\"c%d"
    daemon.image(name + ".qcow2")
    daemon.write("a.vm", "[VM]\nMemory=16M\nNetworks=none\n[Disk root]\nPath=%s.qcow2\n" % name.replace("%", "%%"))
    daemon.ok("snapshot", "create", "a", "x")
    daemon.ok("snapshot", "revert", "a", "x")
    assert daemon.rows("snapshot", "list", "a")[0]["snapshot"] == "x"
