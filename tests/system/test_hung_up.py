# SPDX-License-Identifier: MIT
"""Whoever hangs up leaves no process that still looks at a file system that does not answer, so nobody can have more of them
than their requests; and a dry run does not end the deletion of somebody else."""
import contextlib
import os
import subprocess
import sys

import pytest

import vmk
from test_stores import place, stores
from test_trash import ran

# A file system whose server never answers; all that waits for it fails when standard input ends.
STALLED = """
import ctypes, os, sys
options = b"fd=%d,rootmode=40000,user_id=0,group_id=0" % int(sys.argv[1])
if ctypes.CDLL(None, use_errno=True).mount(b"stalled", sys.argv[2].encode(), b"fuse.stalled", 0, options):
    sys.exit(os.strerror(ctypes.get_errno()))
print("mounted", flush=True)
sys.stdin.read()
"""
pytestmark = pytest.mark.skipif(not os.path.exists("/dev/fuse"), reason="no /dev/fuse")


@contextlib.contextmanager
def stalled(world, path):
    fuse = os.open("/dev/fuse", os.O_RDWR)
    server = subprocess.Popen(world.inside([sys.executable, "-c", STALLED, str(fuse), path]), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                              pass_fds=(fuse,))
    os.close(fuse)
    try:
        assert server.stdout.readline() == b"mounted\n"
        yield
    finally:
        server.stdin.close()
        server.wait()
        world.exec("umount", "-l", path)


def children(world, kind):
    return [pid for pid, line in world.processes().items() if line.split()[-1:] == [kind]]


@pytest.fixture
def hung(daemon):
    """A daemon with a VM that ran, and a store that does not answer."""
    stores(daemon, nas="")
    ran(daemon)
    with stalled(daemon, place(daemon)):
        yield daemon


@pytest.mark.parametrize("verb, arguments, kind", [
    ("image-list", {}, "--image"),
    ("image-prune", {"dry-run": True}, "--image"),
    ("vm-create", {"name": "b", "image": "debian", "keys": ["Disk.root.Store=nas"]}, "--image"),
    ("vm-create", {"name": "b", "image": "debian", "keys": ["Disk.root.Store=nas"], "dry-run": True}, "--image"),
    ("vm-delete", {"name": "a", "disks": True, "dry-run": True}, "--trash"),
])
def test_nothing_goes_on(hung, verb, arguments, kind):
    client = hung.client()
    client.send(verb, arguments)
    hung.eventually(lambda: children(hung, kind), lambda found: found)
    client.close()
    hung.eventually(lambda: children(hung, kind), lambda found: not found)
    assert hung.states() == {"a": "stopped"}


def test_of_two_deletions_the_real_one_counts(hung):
    """The VM stays off limits until that ends, and then it is as before."""
    dry, real = hung.client(), hung.client()
    dry.send("vm-delete", {"name": "a", "disks": True, "dry-run": True})
    first, = hung.eventually(lambda: children(hung, "--trash"), lambda found: len(found) == 1)
    request = real.send("vm-delete", {"name": "a", "disks": True})
    hung.eventually(lambda: children(hung, "--trash"), lambda found: len(found) == 2)
    hung.exec("kill", "-KILL", str(first))
    hung.eventually(lambda: children(hung, "--trash"), lambda found: len(found) == 1)
    assert "a deletion is under way" in hung.fails(3, "start", "a")
    second, = children(hung, "--trash")
    hung.exec("kill", "-KILL", str(second))
    with pytest.raises(vmk.Error, match="nothing was deleted"):
        real.result(request)
    for client in (dry, real):
        client.close()
    hung.up("a")
    hung.ok("kill", "a")
