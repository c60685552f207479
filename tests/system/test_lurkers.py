# SPDX-License-Identifier: MIT
"""No process in a guest's control group outlives its QEMU (the tests put it there, because QEMU may not fork)."""
import os

import pytest

import vmk

KINDS = {"v1": ["-t", "cgroup", "-o", "pids", "cgroup"], "v2": ["-t", "cgroup2", "cgroup2"]}
# keeps forking, and ignores requests to terminate
STUBBORN = "trap '' TERM HUP INT; echo ready; while :; do sleep 0.02; done"


@pytest.fixture(params=KINDS)
def grouped(world, request):
    """A world with one hierarchy; world.place is its directory."""
    place = "/sys/fs/cgroup/one"
    world.exec("mount", "-t", "tmpfs", "tmpfs", "/sys/fs/cgroup")
    world.exec("mkdir", place)
    try:
        world.exec("mount", *KINDS[request.param], place)
    except AssertionError as e:
        pytest.skip("no %s hierarchy: %s" % (request.param, e))
    world.mounts = world.mount_points()
    for name in "ab":
        world.micro(name)
    world.start()
    world.place = world.inner(place)
    return world


def group_of(world, name):
    """A hierarchy of version 1 is shared by the whole machine, so other worlds have groups there."""
    found = [folder for folder, _, _ in os.walk(os.path.join(world.place, vmk.group_name(world.run)))
             if os.path.basename(folder) == name]
    return found[0] if found else None


def lurk(world, name, script="echo ready; exec sleep 3600"):
    """A process in that guest's group, as if it were a child of its QEMU."""
    stream = world.stream_of("sh", "-c", script)
    stream.until("ready")
    with open(group_of(world, name) + "/cgroup.procs", "w", encoding="ascii") as f:
        f.write(str(vmk.children(stream.process.pid)[0]))
    return stream


@pytest.mark.parametrize("script", ["echo ready; exec sleep 3600", STUBBORN], ids=["sleeps", "stubborn"])
@pytest.mark.parametrize("end", ["kill", "crash", "no daemon", "stop"])
def test_nothing_outlives_its_qemu(grouped, end, script):
    for name in "ab":
        grouped.up(name)
    pid, neighbour = grouped.info("a")["pid"], grouped.info("b")["pid"]
    beside = lurk(grouped, "b")
    lurkers = [lurk(grouped, "a", script) for _ in range(3)]
    group = group_of(grouped, "a")
    if end == "crash":
        grouped.kill(pid)
    elif end == "no daemon":
        grouped.kill_daemon()
        grouped.kill(pid)
        grouped.eventually(grouped.processes, lambda found: pid not in found)
        assert all(lurker.process.poll() is None for lurker in lurkers)
        grouped.start()
    else:
        grouped.ok(end, "a")
    for lurker in lurkers:
        lurker.wait(20)
    grouped.eventually(lambda: os.path.exists(group), lambda there: not there)
    assert grouped.info("b")["pid"] == neighbour and beside.process.poll() is None
    grouped.ok("start", "a")
    assert grouped.info("a")["state"] == "running"
    grouped.ok("kill", "a", "b")
    beside.wait(20)
    grouped.eventually(lambda: os.path.exists(os.path.join(grouped.place, vmk.group_name(grouped.run))), lambda there: not there)


def test_a_new_guest_is_not_taken_for_a_lurker(grouped):
    """The guest is started again at once, several times, while processes of the previous one are still being killed."""
    for _ in range(5):
        grouped.up("a")
        lurker = lurk(grouped, "a", STUBBORN)
        grouped.kill(grouped.info("a")["pid"])
        grouped.wait_state("a", "backoff", "stopped", "failed", "running")
        grouped.vmkeep("kill", "a")
        grouped.ok("start", "a")
        lurker.wait(20)
        assert grouped.info("a")["state"] == "running"
        grouped.ok("kill", "a")


def test_never_its_own(grouped):
    """A daemon that was moved into a guest's group kills neither itself nor other guests."""
    grouped.up("a")
    grouped.up("b")
    daemon = grouped.daemon_pid()
    group = group_of(grouped, "a")
    with open(group + "/cgroup.procs", "w", encoding="ascii") as f:
        f.write(str(daemon))
    grouped.ok("kill", "a")
    assert grouped.daemon_pid() == daemon and grouped.info("b")["state"] == "running"
    with open(grouped.place + "/cgroup.procs", "w", encoding="ascii") as f:
        f.write(str(daemon))
    grouped.eventually(lambda: os.path.exists(group), lambda there: not there)
