# SPDX-License-Identifier: MIT
"""Balloon and snapshots: done means done, and what cannot be undone is refused beforehand."""
import os

import pytest

MIB = 1 << 20


def test_no_driver_no_memory(daemon):
    """QEMU says yes to any size; the guest has no driver, so nothing moves, and that is told."""
    daemon.micro("a", "deaf")
    path = os.path.join(daemon.config, "a.vm")
    with open(path, encoding="utf-8") as f:
        text = f.read()
    daemon.write("a.vm", text.replace("Memory=16M", "Memory=128M"))
    daemon.up("a")
    said = daemon.fails(8, "set-memory", "a", "96M", "--timeout", "2")
    assert "driver" in said or "balloon" in said
    assert daemon.info("a")["state"] == "running"


@pytest.mark.parametrize("vm, size, code", [
    ("", "1M", 2),
    ("", "2G", 2),
    ("[Memory]\nBalloon=no\n", "96M", 5),
])
def test_refused_before_the_guest_is_asked(daemon, vm, size, code):
    daemon.image("a.raw", "deaf", "up\r\n")
    daemon.write("a.vm", "[VM]\nMemory=128M\nNetworks=none\n[Disk root]\nPath=a.raw\n" + vm)
    daemon.fails(5, "set-memory", "a", "96M")
    daemon.up("a")
    result = daemon.vmkeep("set-memory", "a", size)
    assert result.code in (code, 2, 5, 8), result
    assert result.err


@pytest.mark.usefixtures("linux")
def test_linux_memory_and_snapshot(daemon):
    """A real guest: memory moves both ways, and a snapshot brings files and memory back."""
    daemon.linux("a", "guest.net=none")
    path = os.path.join(daemon.config, "a.vm")
    with open(path, encoding="utf-8") as f:
        text = f.read()
    daemon.write("a.vm", text.replace("Memory=128M\n", "Memory=128M\nNetworks=none\n"))
    console = daemon.up("a", "ready")

    def total():
        return int(console.run("sed -n 's/MemTotal: *\\([0-9]*\\) kB/\\1/p' /proc/meminfo")) << 10
    everything = total()
    out = daemon.json("set-memory", "a", "96M", timeout=60)
    assert out["actual"] == 96 * MIB
    assert everything - total() >= 31 * MIB
    assert daemon.json("setmem", "a", "128M", timeout=60)["actual"] == 128 * MIB
    assert total() == everything

    console.run("mkdir -p /mnt && echo before > /run/memory && echo before | dd of=/dev/vda bs=512 seek=9 2>/dev/null; sync")
    daemon.ok("snapshot", "create", "a", "one", timeout=60)
    row, = daemon.rows("snapshot", "list", "a")
    assert row["snapshot"] == "one" and row["memory"] > 0
    assert daemon.info("a")["state"] == "running"
    console.run("echo after > /run/memory; echo after | dd of=/dev/vda bs=512 seek=9 2>/dev/null; sync")
    daemon.ok("snapshot", "revert", "a", "one", timeout=60)
    assert daemon.info("a")["state"] == "running"
    console = daemon.console("a")
    console.until("ready")
    assert console.run("cat /run/memory") == "before\n"
    assert console.run("dd if=/dev/vda bs=512 skip=9 count=1 2>/dev/null | head -n 1") == "before\n"
    daemon.ok("stop", "a", timeout=60)
    daemon.ok("snapshot", "delete", "a", "one")
    assert daemon.rows("snapshot", "list", "a") == []
    daemon.exec("qemu-img", "check", os.path.join(daemon.images, "a.qcow2"))


def test_running_guest_goes_back_in_time(daemon):
    """The guest's only memory is a register: after `ab` comes `c`, twice."""
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


@pytest.mark.parametrize("running", [False, True], ids=["off", "running"])
def test_what_is_refused(daemon, running):
    """Before anything is touched: the guest and its images are as before."""
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
    """Whatever came of it: the guest runs on, and the list tells the truth."""
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
    listed = {row["snapshot"] for row in daemon.rows("snapshot", "list", "a")}
    daemon.ok("kill", "a")
    in_image = "x" in daemon.exec("qemu-img", "snapshot", "-l", os.path.join(daemon.images, "a.qcow2")).split()
    assert listed == ({"x"} if in_image else set())
    daemon.exec("qemu-img", "check", os.path.join(daemon.images, "a.qcow2"))
