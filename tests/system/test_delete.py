# SPDX-License-Identifier: MIT
"""`delete` removes the files and the state of a stopped VM, after a yes. Copies of the files are kept, images stay.
What is refused changes nothing; wherever vmkeepd or its child is killed, each file is in its place or has a copy."""
import glob
import json
import os
import subprocess

import pytest

import vmk
from steps import Steps
from test_asks import typed
from walk import walk

DROPIN = "a.vm.d/10.conf"


def path(world, name="a.vm"):
    return os.path.join(world.config, name)


def shop(world):
    world.micro("a")
    world.write(DROPIN, "[VM]\nDescription=shop\n")
    return {name: vmk.read_text(path(world, name)) for name in ("a.vm", DROPIN)}


def copies(world):
    return glob.glob(os.path.join(world.state, "deleted", "a.*"))


def files(world):
    return sorted(os.path.relpath(os.path.join(top, name), world.config)
                  for top, _, names in os.walk(world.config) for name in names if name.startswith(("a", "1", ".")))


def test_what_goes_and_what_stays(daemon):
    texts = shop(daemon)
    daemon.up("a")
    uuid = daemon.info("a")["uuid"]
    daemon.ok("kill", "a")
    out = daemon.ok("delete", "--yes", "a")
    [kept] = copies(daemon)
    assert out.splitlines() == ["a: deleted; its files are kept in '%s'" % kept, "a: its UUID was " + uuid,
                                "a: '%s/a.raw' was kept" % daemon.images]
    assert files(daemon) == [] and not os.path.exists(path(daemon, "a.vm.d"))
    assert os.path.exists(daemon.images + "/a.raw")
    assert not os.path.exists(os.path.join(daemon.state, "vms", "a"))
    assert {name: vmk.read_text(os.path.join(kept, name)) for name in texts} == texts
    assert daemon.fails(4, "info", "a")
    subprocess.run(["cp", "-r", kept + "/.", daemon.config], check=True)
    daemon.ok("set", "a", "VM.UUID=" + uuid)
    daemon.up("a")
    assert daemon.info("a")["uuid"] == uuid


def test_an_image_that_was_never_made_was_not_kept(daemon):
    """The first start would have made it; what else is there was the user's own."""
    daemon.write("a.vm", "[VM]\nMemory=16M\nNetworks=none\n[Disk root]\nSize=1M\n")
    for argv in (["--dry-run"], ["--disks", "--dry-run"]):
        assert daemon.ok("delete", "--yes", "a", *argv) == ""
    assert daemon.one("delete", "--yes", "a")["disks"] == []


def test_never_started(daemon):
    shop(daemon)
    assert "a: deleted" in daemon.ok("delete", "-y", "a")
    assert files(daemon) == [] and len(copies(daemon)) == 1


def test_again_at_once(daemon):
    """The copies have the time in their name, in seconds."""
    for _ in range(3):
        shop(daemon)
        daemon.ok("delete", "-y", "a")
    assert len(copies(daemon)) == 3


def test_it_asks(daemon):
    """Also for a single VM, and for a yes in advance where there is no terminal."""
    texts = shop(daemon)
    for answer in (b"n\n", b"\n", b"\x04"):
        code, text = typed(daemon, answer, "delete", "a")
        assert code == 1 and "delete: a" in text and "nothing was done" in text, text
    assert "no terminal" in daemon.fails(2, "delete", "a")
    assert files(daemon) == sorted(texts) and copies(daemon) == []
    assert typed(daemon, b"y\n", "delete", "a")[0] == 0
    assert files(daemon) == []


def other(world):
    world.write("a.vm.d/notes.txt", "mine\n")


def link(world):
    os.rename(path(world), path(world, "../a.real"))
    os.symlink("../a.real", path(world))


@pytest.mark.parametrize("before, code, says", [
    (lambda w: w.up("a"), 5, "is running"),
    (other, 3, "notes.txt' is not a drop-in"),
    (link, 3, "is a symbolic link"),
    (lambda w: w.write(DROPIN, "[VM]\nX-Managed=ansible\n"), 3, "is managed by 'ansible'"),
], ids=["running", "other file", "link", "managed"])
def test_what_is_refused(daemon, before, code, says):
    shop(daemon)
    before(daemon)
    there, state = files(daemon), daemon.info("a")["state"]
    assert says in daemon.fails(code, "delete", "--yes", "a")
    assert files(daemon) == there and copies(daemon) == [] and daemon.info("a")["state"] == state


def test_with_force(daemon):
    shop(daemon)
    daemon.write(DROPIN, "[VM]\nX-Managed=ansible\n")
    daemon.ok("delete", "--yes", "--force", "a")
    assert files(daemon) == []


def test_protected(daemon):
    """By the file in force: it applies at once, also to a VM that runs."""
    world = daemon
    shop(world)
    world.ok("set", "a", "VM.Protect=yes")
    there = files(world)
    for argv in (("delete", "--yes"), ("delete", "--yes", "--force")):
        said = world.fails(3, *argv, "a")
        assert "is protected" in said and "vmkeep set a VM.Protect=no" in said
    world.up("a")
    for verb in ("revert", "delete"):
        assert "is protected" in world.fails(3, "snapshot", verb, "a", "none")
    dry = world.vmkeep("--json", "snapshot", "revert", "--dry-run", "a", "none")
    assert dry.code == 3 and "is protected" in json.loads(dry.out)[0]["refused"]["desc"]
    assert files(world) == there and world.info("a")["state"] == "running"
    world.ok("set", "a", "VM.Protect=no")
    assert "is protected" not in world.fails(4, "snapshot", "delete", "a", "none")
    world.ok("kill", "a")
    world.ok("delete", "--yes", "a")


@walk("step", range(1, 80), some=10)
def test_killed(world, step):
    texts = shop(world)
    steps = Steps(world)
    world.start(env=steps.env)
    world.ok("list")
    steps.arm(step)
    done = world.vmkeep("delete", "--yes", "a")
    cut = steps.over()
    for name, text in texts.items():
        if os.path.exists(path(world, name)):
            assert vmk.read_text(path(world, name)) == text
        else:
            [kept] = copies(world)
            assert vmk.read_text(os.path.join(kept, name)) == text
    assert cut or done.code == 0
    if done.code == 0:
        assert files(world) == []
    world.start()
    if os.path.exists(path(world)):
        assert world.info("a")["state"] == "stopped"
