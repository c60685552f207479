# SPDX-License-Identifier: MIT
"""If the daemon cannot fork, it says so, changes nothing, and later does what only it would do."""
import os
import subprocess

import pytest

import vmk
from test_walks_snapshots import NOW, mark_of, patterns, two_disks


@pytest.fixture
def no_fork(world):
    """The environment, and the file whose existence makes fork fail."""
    library = os.path.join(world.base, "nofork.so")
    source = os.path.join(vmk.ROOT, "tests", "system", "nofork.c")
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", library, source], check=True)
    os.chmod(library, 0o755)
    return {"LD_PRELOAD": library, "NOFORK": os.path.join(world.base, "nofork")}


def test_what_is_left_of_a_guest_is_removed_later(world, no_fork):
    world.micro("a", "deaf")
    world.start(env=no_fork)
    world.up("a")
    open(no_fork["NOFORK"], "wb").close()
    world.ok("kill", "a")
    gone = os.path.join(world.inner(world.run), "gone")
    log = os.path.join(world.base, "daemon.log")
    world.eventually(lambda: vmk.read_text(log), lambda text: "will be retried" in text)
    assert os.listdir(gone)
    os.unlink(no_fork["NOFORK"])
    world.eventually(lambda: os.listdir(gone) if os.path.exists(gone) else [], lambda left: not left, timeout=30)
    assert world.mount_points() == world.mounts


@pytest.mark.parametrize("verb", ["create", "revert", "delete"])
def test_a_snapshot_verb_that_cannot_begin(world, no_fork, verb):
    two_disks(world, env=no_fork)
    open(no_fork["NOFORK"], "wb").close()
    said = world.vmkeep("snapshot", verb, "a", "s2" if verb == "create" else "s1")
    assert said.code != 0 and "Resource temporarily unavailable" in said.err, said
    os.unlink(no_fork["NOFORK"])
    assert not os.path.exists(mark_of(world)) and patterns(world) == {NOW}
    assert world.rows("jobs") == [] and [row["snapshot"] for row in world.rows("snapshot", "list", "a")] == ["s1"]
    world.ok("start", "a")
