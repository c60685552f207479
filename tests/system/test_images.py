# SPDX-License-Identifier: MIT
"""Images and the places that they stand in: nobody but root's daemon reaches them."""
import os
import subprocess

import pytest


def mode(path):
    return os.stat(path).st_mode & 0o7777


def refused(world, *argv):
    """Bob, a user without any role, gets nothing of it."""
    done = subprocess.run(world.inside(argv, user="bob"), capture_output=True, text=True, check=False)
    return done.returncode != 0 and "Permission denied" in done.stderr


@pytest.mark.parametrize("before", [None, 0o711, 0o755, 0o777])
def test_directories_are_closed(world, before):
    """Also where an earlier version made them open; all that stands there goes on working."""
    if before is None:
        os.rmdir(world.images)
    else:
        os.chmod(world.images, before)
        os.chmod(world.state, before | 0o700)
    world.start()
    assert (mode(world.state), mode(world.images)) == (0o700, 0o700)
    world.micro("a")
    os.chmod(world.images + "/a.raw", 0o666)
    world.up("a")
    assert refused(world, "cat", world.images + "/a.raw")
    assert refused(world, "ls", world.state)
    # a door that somebody opens is closed by the next daemon
    os.chmod(world.images, 0o711)
    world.kill_daemon()
    world.start()
    assert mode(world.images) == 0o700 and world.states() == {"a": "running"}


def test_a_directory_of_the_administrators(world):
    """A link in its place leads where he wants it: not ours to close, but below what is."""
    other = os.path.join(world.base, "other")
    os.mkdir(other, 0o755)
    os.rmdir(world.images)
    os.symlink(other, world.images)
    world.start()
    assert mode(other) == 0o755 and mode(world.state) == 0o700
    world.micro("a")
    world.up("a")


def test_a_mount_in_its_place(world):
    """It is not entered as the daemon starts, for its server may be gone; nobody gets to it through us."""
    world.exec("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", world.images)
    try:
        world.start()
        assert mode(world.inner(world.images)) == 0o755 and mode(world.state) == 0o700
        assert refused(world, "ls", world.images)
    finally:
        world.exec("umount", "-l", world.images)
