# SPDX-License-Identifier: MIT
"""Verbs that change something in a guest, interrupted at every step: its memory has the requested or the old size; it
is not frozen, or reported as frozen. The guest is a stand-in that reports its state."""
import os
import shutil
import signal

import pytest

import hostile
from steps import Steps
from walk import walk

MIB = 1 << 20
# operation: its verb, what comes before it, its maximum number of steps: of the daemon, of the client
OPERATIONS = {
    "set-memory": (["set-memory", "tame", "96M"], [], 25, 5),
    "freeze": (["guest", "freeze", "tame", "--timeout", "1h"], [], 14, 5),
    "thaw": (["guest", "thaw", "tame"], [["guest", "freeze", "tame", "--timeout", "1h"]], 11, 5),
}
WHO = {"daemon killed": ("vmkeepd", signal.SIGKILL), "daemon ended": ("vmkeepd", signal.SIGTERM),
       "client killed": ("vmkeep", signal.SIGKILL)}
STEPS = [(who, operation, n + 1) for who in WHO for operation in OPERATIONS
         for n in range(OPERATIONS[operation][3 if who == "client killed" else 2])]


def sizes(world):
    """The guest's memory, which must be what is listed, and its target size."""
    has = world.qmp("tame", "query-balloon")["actual"]
    assert world.info("tame").get("balloon") in (None, has)
    return has, world.qmp("tame", "x-target")["target"]


def is_frozen(world):
    return world.one("guest", "command", "tame", "guest-fsfreeze-status")["return"] == "frozen"


def tame(world, env=None):
    hostile.install(world)
    world.image("tame.raw", "deaf")
    world.write("tame.vm", "[VM]\nMemory=128M\nNetworks=none\n[Disk root]\nPath=tame.raw\n[Agent]\nEnable=yes\n"
                "[QEMU]\nBinary=%s\n" % hostile.BINARY)
    world.start(env=env)
    world.ok("start", "tame")
    agent_is_there(world)
    return world.info("tame")["pid"]


def agent_is_there(world):
    world.eventually(lambda: world.info("tame"), lambda i: (i["state"], i.get("agent")) == ("running", "open"))


def settled(world, operation):
    """Waits until memory has one of two sizes, and until the guest is frozen only if that is reported."""
    if operation == "set-memory":
        world.eventually(lambda: sizes(world), lambda s: s in ((96 * MIB, 96 * MIB), (128 * MIB, 128 * MIB)))
    else:
        world.eventually(lambda: (is_frozen(world), world.info("tame").get("frozen", False)),
                         lambda now: now[0] == now[1])


@walk("who, operation, step", STEPS, some=8)
def test_cut_at_every_step(world, who, operation, step):
    program, how = WHO[who]
    verb, before, _, _ = OPERATIONS[operation]
    steps = Steps(world, program, how)
    pid = tame(world, steps.env if program == "vmkeepd" else None)
    for words in before:
        world.ok(*words)
    steps.arm(step)
    world.vmkeep(*verb, env=steps.env if program == "vmkeep" else None)
    if program == "vmkeepd":
        steps.over()
        world.start()
        agent_is_there(world)
    steps.arm(0)
    world.eventually(lambda: world.rows("jobs"), lambda rows: not rows)
    settled(world, operation)
    if program == "vmkeepd" and operation != "set-memory":
        world.eventually(lambda: is_frozen(world), lambda frozen: not frozen)
    assert world.info("tame")["pid"] == pid
    # and everything can be requested again
    world.ok("set-memory", "tame", "112M")
    world.eventually(lambda: sizes(world), lambda s: s == (112 * MIB, 112 * MIB))
    world.vmkeep("guest", "thaw", "tame")
    world.ok("guest", "freeze", "tame")
    assert is_frozen(world) and world.info("tame")["frozen"]
    world.ok("guest", "thaw", "tame")
    assert not is_frozen(world) and not world.info("tame")["frozen"]
    world.exec("umount", "--lazy", hostile.PLACE)


@pytest.mark.parametrize("damage", ["gone", "its directory is gone", "a directory"])
def test_frozen_without_its_mark(world, damage):
    """The next daemon asks the guest's agent, if the guest is paused once it is resumed."""
    tame(world)
    world.ok("guest", "freeze", "tame", "--timeout", "1h")
    if damage == "gone":
        world.ok("pause", "tame")
    world.kill_daemon()
    mark = os.path.join(world.state, "vms/tame/frozen")
    if damage == "its directory is gone":
        shutil.rmtree(os.path.dirname(mark))
    else:
        os.unlink(mark)
    if damage == "a directory":
        os.mkdir(mark)
    world.start()
    if damage == "gone":
        world.wait_state("tame", "paused")
        world.ok("resume", "tame")
    agent_is_there(world)
    world.eventually(lambda: (is_frozen(world), world.info("tame")["frozen"]), lambda now: now == (False, False))
    assert not os.path.exists(mark)
    world.ok("guest", "freeze", "tame")
    world.ok("guest", "thaw", "tame")
    world.exec("umount", "--lazy", hostile.PLACE)
