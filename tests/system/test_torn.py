# SPDX-License-Identifier: MIT
"""Interrupted reverts of running and paused guests: whatever dies at whatever step, either the guest is consistent
afterwards, with memory and disks of the same time, or nothing starts it, `list` says what to do, and that command
works.

The guest's only memory is a register, which it prints: the snapshot was made after `ab`, and now it is at `d`. Its
second disk holds a pattern, THEN or NOW.
"""
import json
import os
import re
import signal

import pytest

import vmk
from steps import Steps
from test_faults_daemon import qemus
from test_walks_snapshots import DISKS, NOW, THEN, TORN, mark_of, patterns, put, whole
from walk import walk


def prepare(world, env=None, state="running", lifecycle="Restart=no"):
    """A guest at `d` with the pattern NOW on its disks; returns its pid."""
    world.image("one.qcow2", "count", "up\r\n", size=4 << 20)
    world.exec("qemu-img", "create", "-f", "qcow2", os.path.join(world.images, "two.qcow2"), "4M")
    put(world, THEN)
    world.write("a.vm", "[VM]\nMemory=16M\nNetworks=none\n[Disk one]\nPath=one.qcow2\n[Disk two]\nPath=two.qcow2\n"
                "[Lifecycle]\n%s\n" % lifecycle)
    world.start(env=env)
    console = world.up("a")
    console.type("..")
    console.until("ab")
    world.ok("snapshot", "create", "a", "s1")
    console.type("..")
    console.until("cd")
    console.end()
    write_now(world)
    if state == "paused":
        world.ok("pause", "a")
    return world.info("a")["pid"]


def write_now(world):
    """Writes through QEMU, which has the disks open, as if the guest wrote."""
    for disk in DISKS:
        command = 'qemu-io -d /machine/peripheral/disk-%s/virtio-backend "write -P %s 1M 64k"' % (disk, NOW)
        said = world.qmp("a", "human-monitor-command", **{"command-line": command})
        assert said == "", said


def line_of(text):
    """The command that the text tells the user to type."""
    return re.search(r"vmkeep (snapshot revert a \S+)", text).group(1).split()


def is_whole(world):
    """The next letter and the pattern on the second disk belong to the same time."""
    state = world.wait_state("a", "running", "paused")["state"]
    if state == "paused":
        world.ok("resume", "a")
    console = world.console("a")
    console.type(".")
    letter = console.until("abcd([a-z])").group(1)  # the console first repeats earlier output
    console.end()
    world.ok("kill", "a")
    assert (letter, patterns(world)) in (("c", {THEN}), ("e", {NOW}))


def settled(world):
    """Waits until the VM is off, or until QEMU has reported the result of a load that a previous daemon began."""
    return world.eventually(lambda: world.info("a"), lambda info: not info["busy"] and (
        info["state"] == "stopped" or info["state"] in ("running", "paused") and not os.path.exists(mark_of(world))),
        timeout=60)


def afterwards(world):
    info = settled(world)
    if info["state"] != "stopped":
        is_whole(world)
    world.eventually(lambda: qemus(world), lambda found: not found)
    said = world.vmkeep("start", "a")
    if said.code != 0:
        assert said.code == 5 and TORN in said.err, said
        row, = world.rows("list")
        assert row["state"] == "stopped" and TORN in row["reason"]
        assert TORN in str(world.vmkeep("check", "a"))
        assert line_of(said.err) == line_of(row["reason"])
        world.ok(*line_of(row["reason"]), timeout=60)
        is_whole(world)
        assert patterns(world) == {THEN}
        world.ok("start", "a")
    assert not os.path.exists(mark_of(world))
    world.ok("kill", "a")
    world.ok("snapshot", "delete", "a", "s1")


STATES = ("running", "paused")
ENDS = {"daemon killed": signal.SIGKILL, "daemon ended": signal.SIGTERM, "QEMU killed": signal.SIGKILL}


@walk("who, state, step", ENDS, STATES, range(1, 76), some=5)
def test_cut_at_every_step(world, who, state, step):
    steps = Steps(world, "vmkeepd", ENDS[who])
    pid = prepare(world, steps.env, state)
    steps.arm(step, pid if who.startswith("QEMU") else 0)
    world.vmkeep("snapshot", "revert", "a", "s1", timeout=60)
    if who.startswith("QEMU"):
        killed = steps.left() == 0
        steps.arm(0)
        if killed:
            world.eventually(lambda: world.info("a")["pid"], lambda now: now != pid)
    else:
        steps.over()
        world.start()
    afterwards(world)


@walk("who, verb, step", ENDS, ("create", "delete"), range(1, 61), some=3)
def test_create_and_delete_cut_at_every_step(world, who, verb, step):
    """The guest keeps running, unless it was killed itself; the list is correct, and what it lists can be deleted."""
    steps = Steps(world, "vmkeepd", ENDS[who])
    pid = prepare(world, steps.env)
    steps.arm(step, pid if who.startswith("QEMU") else 0)
    world.vmkeep("snapshot", verb, "a", "s2" if verb == "create" else "s1", timeout=60)
    if who.startswith("QEMU"):
        killed = steps.left() == 0
        steps.arm(0)
        if killed:
            world.eventually(lambda: world.info("a")["pid"], lambda now: now is None)
    else:
        steps.over()
        world.start()
        # a QEMU that still writes its memory may not answer
        world.eventually(lambda: world.info("a"), lambda info: (info["pid"], info["state"]) == (pid, "running"),
                         timeout=60)
        is_whole(world)
    world.ok("kill", "a")
    whole(world, verb)


def state_of(pid):
    return vmk.read_text("/proc/%d/stat" % pid).rsplit(")", 1)[1].split()[0]


def meanwhile(world, steps, step, argv, execute):
    """At the daemon's n-th step of one verb another request is waiting; both get an answer."""
    client = world.client(timeout=60)
    steps.arm(step)
    stream = world.stream(*argv)
    world.eventually(lambda: steps.left() == 0 or stream.process.poll() is not None, bool, timeout=60)
    stopped = steps.left() == 0
    steps.arm(0)
    if stopped:  # nsenter stops with its child, and continues it
        world.eventually(lambda: [state_of(pid) for pid in (world.daemon.pid, world.daemon_pid())],
                         lambda states: states == ["T", "T"])
    serial = client.send(execute, {"name": "a"})
    if stopped:
        os.kill(world.daemon.pid, signal.SIGCONT)
    stream.wait(60)
    try:
        client.result(serial)
    finally:
        client.close()


@walk("how, step", ("running", "paused", "off"), range(1, 101), some=4)
def test_kill_at_every_step(world, how, step):
    """Also while the VM is started for the revert. A guest started afterwards does not belong to the operation: the
    next daemon leaves it alone."""
    steps = Steps(world, "vmkeepd", signal.SIGSTOP)
    prepare(world, steps.env, how)
    if how == "off":
        world.ok("kill", "a")
    meanwhile(world, steps, step, ("snapshot", "revert", "a", "s1"), "vm-kill")
    afterwards(world)
    world.ok("start", "a")
    pid = world.info("a")["pid"]
    world.kill_daemon()
    world.start()
    info = world.wait_state("a", "running")
    assert info["pid"] == pid


@walk("verb, step", ("create", "revert"), range(1, 61), some=2)
def test_policy_starts_nothing_torn(world, verb, step):
    """QEMU dies in the middle, although Restart=always is set."""
    steps = Steps(world)
    pid = prepare(world, steps.env, lifecycle="Restart=always\nRestartSec=1")
    steps.arm(step, pid)
    world.vmkeep("snapshot", verb, "a", "s2" if verb == "create" else "s1", timeout=60)
    killed = steps.left() == 0
    steps.arm(0)
    info = world.eventually(lambda: world.info("a"), lambda info: info["pid"] != pid * killed and (
        info["state"] == "running" or TORN in info["reason"]), timeout=60)
    if info["state"] == "running":
        assert not os.path.exists(mark_of(world))
        world.ok("kill", "a")
        assert len(patterns(world)) == 1
    else:
        assert verb == "revert" and (info["state"], info["want"]) == ("stopped", "stopped")
        afterwards(world)


# What a dead daemon leaves: the mark, and a QEMU that was not told to load, or whose result nobody read.

def mark(world, snapshot="s1", disk=""):
    with open(mark_of(world), "w", encoding="utf-8") as f:
        json.dump({"version": 1, "snapshot": snapshot, "disk": disk}, f)


def load(world, tag):
    """Loads a snapshot as a revert does, without waiting for the result."""
    world.ok("qmp", "a", json.dumps({"execute": "snapshot-load", "arguments": {
        "job-id": "vmkeep-snapshot", "tag": tag, "vmstate": "d-one", "devices": ["d-one", "d-two"]}}))
    world.eventually(lambda: world.qmp("a", "query-jobs"),
                     lambda jobs: [job["status"] for job in jobs] == ["concluded"])


def next_daemon(world):
    world.kill_daemon()
    mark(world)
    world.start()


@pytest.mark.parametrize("how", ["running", "paused", "start --paused"])
def test_a_guest_whose_load_never_began_goes_on(world, how):
    pid = prepare(world, state="paused" if how == "paused" else "running")
    if how == "start --paused":
        world.ok("kill", "a")
        world.ok("start", "a", "--paused")
        pid = world.info("a")["pid"]
    next_daemon(world)
    world.eventually(lambda: os.path.exists(mark_of(world)), lambda there: not there)
    info = world.info("a")
    assert (info["pid"], info["state"]) == (pid, "running" if how == "running" else "paused")
    if how != "start --paused":
        is_whole(world)


@pytest.mark.parametrize("state", STATES)
def test_a_guest_that_was_loaded_goes_on(world, state):
    pid = prepare(world, state=state)
    load(world, "s1")
    next_daemon(world)
    world.eventually(lambda: os.path.exists(mark_of(world)), lambda there: not there)
    assert world.qmp("a", "query-jobs") == []
    assert world.info("a")["pid"] == pid
    is_whole(world)


@pytest.mark.parametrize("state", STATES)
def test_a_guest_whose_load_failed_is_ended(world, state):
    """It is unknown how far the load got."""
    prepare(world, state=state)
    load(world, "missing")
    next_daemon(world)
    world.wait_state("a", "stopped")
    afterwards(world)


def test_a_failed_load_is_known_without_its_mark(world):
    prepare(world, state="paused")
    load(world, "missing")
    assert "halfway" in world.fails(1, "snapshot", "create", "a", "s2")
    assert world.info("a")["state"] == "stopped"


def hints(said):
    """The commands in the hint of an error."""
    return [line.split() for line in re.findall(r"vmkeep (snapshot revert [\w -]+?)(?: reverts| finishes|$)", said)]


def saved_and_changed(world):
    """A snapshot with memory of a VM that now has more memory, and runs."""
    world.micro("a", "deaf", disk="qcow2")
    world.up("a")
    world.ok("snapshot", "create", "a", "s1", timeout=60)
    world.ok("kill", "a")
    text = vmk.read_text(world.config + "/a.vm")
    world.write("a.vm", text.replace("Memory=16M", "Memory=24M"))
    world.up("a")


def test_memory_that_fits_no_more(daemon):
    """Refused before the guest is touched; the disks alone can be reverted once it is off."""
    saved_and_changed(daemon)
    pid = daemon.info("a")["pid"]
    said = daemon.fails(3, "snapshot", "revert", "a", "s1")
    assert "Memory was 16M and is 24M" in said, said
    cure, = hints(said)
    assert "stop a first" in daemon.fails(5, *cure)
    assert daemon.info("a")["pid"] == pid and daemon.info("a")["state"] == "running"
    daemon.ok("kill", "a")
    daemon.fails(3, "snapshot", "revert", "a", "s1")
    assert "the saved memory is not loaded" in daemon.ok(*cure, "--dry-run")
    daemon.ok(*cure)
    assert daemon.info("a")["state"] == "stopped"
    daemon.ok("start", "a")


def test_memory_that_fits_no_more_and_nobody_knows(daemon):
    """The record of the snapshot's machine is lost: the load fails in QEMU, and the hint works."""
    saved_and_changed(daemon)
    os.unlink(os.path.join(daemon.state, "vms/a/snapshots.json"))
    said = daemon.fails(1, "snapshot", "revert", "a", "s1", timeout=60)
    assert "could not be loaded" in said, said
    cure, = hints(said)
    again, = hints(daemon.fails(5, "start", "a"))
    assert "could not be loaded" in daemon.fails(1, *again, timeout=60)
    daemon.ok(*cure)
    assert not os.path.exists(mark_of(daemon))
    daemon.ok("start", "a")
