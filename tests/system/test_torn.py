# SPDX-License-Identifier: MIT
"""Reverts of guests that run, or are paused, cut short: whoever dies at whatever step, what runs afterwards is
whole, with memory and disks of one time, or nothing starts it, `list` says what to do, and that very line helps.

The guest's only memory is a register, which it shows: the snapshot was made after `ab`, and now it is at `d`. Its
second disk holds a pattern of then or now."""
import json
import os
import re
import signal

import pytest

import vmk
from steps import Steps
from test_faults_daemon import qemus
from test_walks_snapshots import NOW, THEN, TORN, mark_of, pattern_of, put
from walk import walk


def prepare(world, env=None, state="running", vm=""):
    """A guest at `d`, on disks of now; its pid."""
    world.image("one.qcow2", "count", "up\r\n", size=4 << 20)
    world.exec("qemu-img", "create", "-f", "qcow2", os.path.join(world.images, "two.qcow2"), "4M")
    put(world, THEN, "two")
    world.write("a.vm", "[VM]\nMemory=16M\nNetworks=none\n%s[Disk one]\nPath=one.qcow2\n[Disk two]\nPath=two.qcow2\n"
                "[Lifecycle]\nRestart=no\n" % vm)
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
    """As the guest would: by its QEMU, which has the disk."""
    command = 'qemu-io -d /machine/peripheral/disk-two/virtio-backend "write -P %s 1M 64k"' % NOW
    said = world.json("qmp", "a", json.dumps({"execute": "human-monitor-command",
                                              "arguments": {"command-line": command}}))
    assert said == "", said


def line_of(text):
    """What it says is to be typed, letter by letter."""
    return re.search(r"vmkeep (snapshot revert a \S+)", text).group(1).split()


def is_whole(world):
    """What it shows next, and what its second disk holds, are of one time."""
    state = world.wait_state("a", "running", "paused")["state"]
    if state == "paused":
        world.ok("resume", "a")
    console = world.console("a")
    console.type(".")
    letter = console.until("abcd([a-z])").group(1)  # a console begins with what was said before
    console.end()
    world.ok("kill", "a")
    assert (letter, pattern_of(world, "two")) in (("c", THEN), ("e", NOW))


def settled(world):
    """It runs, or is off, for good."""
    return world.eventually(lambda: world.info("a"), lambda info: info["state"] in ("running", "paused", "stopped")
                            and "busy" not in info, timeout=60)


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
        assert pattern_of(world, "two") == THEN
        world.ok("start", "a")
    assert not os.path.exists(mark_of(world))
    world.ok("kill", "a")
    world.ok("snapshot", "delete", "a", "s1")


STATES = ("running", "paused")
ENDS = {"daemon killed": signal.SIGKILL, "daemon ended": signal.SIGTERM, "QEMU killed": signal.SIGKILL}


@walk("who, state, step", ENDS, STATES, range(1, 76), some=6)
def test_cut_at_every_step(world, who, state, step):
    steps = Steps(world, "vmkeepd", ENDS[who])
    pid = prepare(world, steps.env, state)
    steps.arm(step, pid if who.startswith("QEMU") else 0)
    world.vmkeep("snapshot", "revert", "a", "s1", timeout=60)
    if who.startswith("QEMU"):
        killed = steps.left() == 0
        steps.arm(0)
        if killed:
            world.wait_state("a", "stopped")
    else:
        steps.over()
        world.start()
    afterwards(world)


# What a daemon that died leaves: the mark, and a QEMU that was not told, or said how it went to nobody.

def mark(world, snapshot="s1", disk=""):
    with open(mark_of(world), "w", encoding="utf-8") as f:
        json.dump({"version": 1, "snapshot": snapshot, "disk": disk}, f)


def load(world, tag):
    """As a revert does it, whose end nobody waits for."""
    world.ok("qmp", "a", json.dumps({"execute": "snapshot-load", "arguments": {
        "job-id": "vmkeep-snapshot", "tag": tag, "vmstate": "d-one", "devices": ["d-one", "d-two"]}}))
    world.eventually(lambda: world.json("qmp", "a", '{"execute": "query-jobs"}'),
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
    assert world.json("qmp", "a", '{"execute": "query-jobs"}') == []
    assert world.info("a")["pid"] == pid
    is_whole(world)


@pytest.mark.parametrize("state", STATES)
def test_a_guest_whose_load_failed_is_ended(world, state):
    """As nobody knows how far it came."""
    prepare(world, state=state)
    load(world, "missing")
    next_daemon(world)
    world.wait_state("a", "stopped")
    afterwards(world)


def test_a_failed_load_is_known_without_its_mark(world):
    prepare(world, state="paused")
    load(world, "missing")
    assert "half way" in world.fails(1, "snapshot", "create", "a", "s2")
    assert world.info("a")["state"] == "stopped"
