# SPDX-License-Identifier: MIT
"""The error of a QEMU that does not start is shown where people look, in list, history and hooks, with the hint."""
import os
import struct

import pytest

import vmk

LIFECYCLE = "[Lifecycle]\nRestart=no\n"


def damaged(world, vm="", lifecycle=LIFECYCLE):
    """An image with a truncated bitmap directory, which only QEMU checks."""
    world.micro("a", disk="qcow2", vm=vm, extra=lifecycle)
    path = world.images + "/a.qcow2"
    with open(path, "r+b") as f:
        f.seek(88)  # autoclear features: bitmaps
        f.write(struct.pack(">Q", 1))
        f.seek(100)
        f.seek(struct.unpack(">I", f.read(4))[0])
        f.write(struct.pack(">IIQII", 0x23852875, 8, 0, 0, 0))
    return path + ": bitmaps_ext: Invalid extension length", None


def no_memory(world):
    world.micro("a", extra="[QEMU]\nArgs=-m 4T\n" + LIFECYCLE)
    return "cannot set up guest memory 'pc.ram': Cannot allocate memory", "lower Memory="


def unknown_option(world):
    world.micro("a", extra="[QEMU]\nArgs=-nonsense\n" + LIFECYCLE)
    return "-nonsense: invalid option", None


@pytest.mark.parametrize("make", [damaged, no_memory, unknown_option])
def test_the_useful_end(daemon, make):
    why, cure = make(daemon)
    said = daemon.fails(7, "start", "a")
    assert why.split(": ", 1)[-1] in said and (not cure or cure in said.split("hint:")[1]), said
    reason = daemon.info("a")["reason"]
    assert reason.startswith("start failed: " + why), reason
    assert not cure or cure in reason
    assert why in daemon.ok("list", "a")
    assert daemon.rows("history", "a")[-1]["reason"] == reason


def test_nobody_saw_it_fail(world):
    """F18: at boot; a hook gets the error."""
    why, _ = damaged(world, "Enable=yes\n", "[Lifecycle]\nRestart=on-failure\nRestartSec=0\nStartLimitBurst=1\n")
    end = why.split(": ", 1)[1]  # the prefix is so long that the path is shortened in the middle
    hook = world.write("hooks.d/tell", '#!/bin/sh\nprintf "%%s: %%s\\n" "$2" "$3" >>%s/told\n' % world.base)
    os.chmod(hook, 0o755)
    world.start()
    reason = world.wait_state("a", "failed")["reason"]
    assert reason.startswith("restart limit") and end in reason, reason
    told = world.eventually(lambda: os.path.exists(world.base + "/told") and vmk.read_text(world.base + "/told"),
                            lambda text: text and text.endswith("\n"))
    assert told == "failed: %s\n" % reason
