# SPDX-License-Identifier: MIT
"""Interrupted snapshots. Two disks hold a pattern: 0x11 is the snapshot's, 0x22 the current one. Whatever dies at
whatever step, no guest starts on disks of different times: the operation is complete or undone, or the start is
refused, `list` and `check` say what to do, and that works."""
import os
import signal
import subprocess

import pytest
import vmk
from steps import Steps
from test_faults_daemon import qemus
from walk import walk

THEN, NOW = "0x11", "0x22"
DISKS = ("one", "two")
TORN = "did not finish"


def image_of(world, disk):
    return os.path.join(world.images, disk + ".qcow2")


def put(world, pattern, *disks):
    for disk in disks or DISKS:
        world.exec("qemu-io", "-f", "qcow2", "-c", "write -P %s 1M 64k" % pattern, image_of(world, disk))


def pattern_of(world, disk):
    for pattern in (THEN, NOW):
        said = world.exec("sh", "-c", "qemu-io -U -r -f qcow2 -c 'read -P %s 1M 64k' %s || true" % (
            pattern, image_of(world, disk)))
        assert "65536/65536 bytes" in said
        if "failed" not in said:
            return pattern
    return "neither"


def patterns(world):
    return {pattern_of(world, disk) for disk in DISKS}


def two_disks(world, env=None, lifecycle=""):
    """A VM that is off, with the current pattern on its disks and a snapshot with the old one."""
    world.image("one.qcow2", "polite", "up\r\n", size=4 << 20)
    world.exec("qemu-img", "create", "-f", "qcow2", image_of(world, "two"), "4M")
    world.write("a.vm", "[VM]\nMemory=16M\nNetworks=none\n[Disk one]\nPath=one.qcow2\n[Disk two]\nPath=two.qcow2\n"
                + lifecycle)
    world.start(env=env)
    put(world, THEN)
    world.ok("snapshot", "create", "a", "s1")
    put(world, NOW)


def mark_of(world):
    return os.path.join(world.state, "vms", "a", "revert.json")


def refuses(world):
    """The VM does not start, and start, list and check say why and what to do."""
    said = world.fails(5, "start", "a")
    assert TORN in said and "vmkeep snapshot revert a" in said
    row, = [row for row in world.rows("list") if row["name"] == "a"]
    assert row["state"] == "stopped" and TORN in row["reason"] and "vmkeep snapshot revert a" in row["reason"]
    assert TORN in str(world.vmkeep("check", "a"))
    assert not qemus(world)


def torn(world):
    """A revert that failed at disk two, which another program holds."""
    holder = world.stream_of("qemu-io", "-f", "qcow2", image_of(world, "two"))
    holder.type("write -P %s 1M 64k\n" % NOW)
    holder.until("wrote")
    said = world.fails(3, "snapshot", "revert", "a", "s1")
    assert "disk 'two'" in said and "vmkeep snapshot revert a s1" in said
    holder.type("quit\n")
    holder.wait()
    holder.end()
    assert [pattern_of(world, disk) for disk in DISKS] == [THEN, NOW]


def test_a_torn_revert_is_remembered(world):
    """By this daemon, by the next one, and by one to which the VM's file comes back; another revert completes it."""
    two_disks(world)
    torn(world)
    refuses(world)
    assert "on disk 'two'" in world.fails(5, "start", "a")
    world.fails(5, "snapshot", "create", "a", "s2")
    assert TORN in world.fails(5, "snapshot", "delete", "a", "s1")
    path = os.path.join(world.config, "a.vm")
    os.rename(path, path + ".away")
    assert world.rows("list") == []
    os.rename(path + ".away", path)
    refuses(world)
    world.kill_daemon()
    world.write("a.vm", vmk.read_text(path).replace("[VM]", "[VM]\nEnable=yes"))
    world.start()
    refuses(world)
    world.ok("snapshot", "revert", "a", "s1")
    assert patterns(world) == {THEN} and not os.path.exists(mark_of(world))
    assert world.info("a")["reason"] == ""
    world.ok("start", "a")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"version": 2}', '{"version": 1, "snapshot": 7, "disk": ""}'])
def test_a_damaged_mark_is_a_mark(world, text):
    two_disks(world)
    world.kill_daemon()
    with open(mark_of(world), "w", encoding="utf-8") as f:
        f.write(text)
    world.start()
    refuses(world)
    assert "damaged" in world.fails(5, "start", "a")
    world.fails(5, "snapshot", "delete", "a", "s1")
    world.ok("snapshot", "revert", "a", "s1")
    world.ok("start", "a")


def test_a_revert_that_began_nothing_leaves_no_mark(world):
    """The first disk is held by another program: nothing is changed, and the VM starts."""
    two_disks(world)
    holder = world.stream_of("qemu-io", "-f", "qcow2", image_of(world, "one"))
    holder.type("read 0 512\n")
    holder.until("read")
    world.fails(3, "snapshot", "revert", "a", "s1")
    holder.type("quit\n")
    holder.wait()
    holder.end()
    assert not os.path.exists(mark_of(world))
    assert patterns(world) == {NOW}
    world.ok("start", "a")


def undamaged(world, disk):
    """A killed qemu-img may leak clusters, or leave one marked as shared that is not: QEMU then only copies it at the
    next write."""
    done = subprocess.run(world.inside(["qemu-img", "check", "-f", "qcow2", image_of(world, disk)]), capture_output=True,
                          text=True, check=False)
    errors = [line for line in (done.stdout + done.stderr).splitlines() if "ERROR" in line]
    assert done.returncode in (0, 3) or done.returncode == 2 and errors and all(
        "OFLAG_COPIED" in line and line.endswith("refcount=1") for line in errors), done


# verb and its maximum number of steps
VERBS = {"revert": 150, "create": 110, "delete": 150}
WHO = {"daemon killed": ("vmkeepd", signal.SIGKILL), "daemon ended": ("vmkeepd", signal.SIGTERM)}
STEPS = [(who, verb, n + 1) for who in WHO for verb, steps in VERBS.items() for n in range(steps)]


def whole(world, verb):
    """The operation is complete, undone, or reported; then everything works."""
    listed = {row["snapshot"]: row["disks"] for row in world.rows("snapshot", "list", "a")}
    world.eventually(lambda: world.info("a"), lambda info: info["state"] == "stopped")
    if verb == "revert" and world.vmkeep("start", "a").code != 0:
        refuses(world)
        world.ok("snapshot", "revert", "a", "s1")
        assert patterns(world) == {THEN}
        world.ok("start", "a")
    assert len(patterns(world)) == 1, "it runs on disks of two times"
    world.ok("start", "a")
    world.ok("kill", "a")
    for name in listed:
        for disk in DISKS:  # the list is correct
            there = name in world.exec("qemu-img", "snapshot", "-l", image_of(world, disk)).split()
            assert there == (disk in listed[name])
        world.ok("snapshot", "delete", "a", name)
    for disk in DISKS:
        assert "s" not in world.exec("qemu-img", "snapshot", "-l", image_of(world, disk))
        undamaged(world, disk)
    for name in ("s1", "s2"):
        world.ok("snapshot", "create", "a", name)


@walk("who, verb, step", STEPS, some=6)
def test_death_at_every_step(world, who, verb, step):
    program, how = WHO[who]
    steps = Steps(world, program, how)
    two_disks(world, steps.env)
    steps.arm(step)
    world.vmkeep("snapshot", verb, "a", "s2" if verb == "create" else "s1")
    steps.over()
    world.start()
    whole(world, verb)
