# SPDX-License-Identifier: MIT
"""Clocks are set while something is in progress, apart from a VM's own states (test_clocks.py): shutdown of the host,
backoff, bringing up a network, a snapshot of a running guest, a console, a job."""
import pytest

from test_clocks import A_WHILE, LIFECYCLE, STEPS, act, clocks, history, told_as_it_is
from walk import walk

assert clocks  # a fixture


@pytest.mark.parametrize("step", STEPS)
def test_shutdown_all(world, clocks, step):
    """The button is pressed again before anything is killed, and VMs that wait for others keep their time."""
    world.micro("a", banner="", extra=LIFECYCLE % "TimeoutStopSec=60")
    world.micro("db", extra=LIFECYCLE % "TimeoutStopSec=60")
    world.micro("web", banner="", extra=LIFECYCLE % "TimeoutStopSec=60\nAfter=db")
    world.up("db")
    world.ok("start", "a", "web")  # these do not react to the button yet
    client = world.client(timeout=120)
    client.call("subscribe")
    serial = client.send("vms-shutdown", {"timeout": "10min"})
    client.event("VM_STATE", lambda data: data["state"] == "stopping")
    clocks.step(step)
    rows = client.result(serial)["rows"]
    client.close()
    assert {row[0]: row[1] for row in rows} == dict.fromkeys(("a", "db", "web"), "stopped"), rows
    assert all(0 <= row[3] < A_WHILE for row in rows), rows
    assert "killed" not in "".join(history(world, name) for name in ("a", "db", "web"))


@pytest.mark.parametrize("step", STEPS)
def test_backoff(world, clocks, step):
    """RestartSec= counts the host's time, including sleep, and not the wall clock."""
    world.micro("a", extra=LIFECYCLE % "RestartSec=50min")
    world.ok("start", "a")
    act(world, clocks, "crash")
    clocks.step(step)
    if STEPS[step][1]:
        world.wait_state("a", "running")
    else:
        world.ok("list")
        world.ok("info", "a")
        assert world.states()["a"] == "backoff", history(world, "a")
    told_as_it_is(world, clocks, "a", STEPS[step][1])


@walk("renames, step", range(1, 7), STEPS, some=3)
def test_network_is_raised(world, clocks, renames, step):
    world.image("a.raw")
    world.write("a.vm", "[VM]\nMemory=16M\n[Disk root]\nPath=a.raw\n[NIC lan]\n")
    clocks.step_later(renames, step)
    world.ok("start", "a", timeout=60)
    clocks._write()
    row, = world.rows("net", "list")
    assert (row["state"], row["nics"], row["health"]) == ("up", 1, "ok"), row
    told_as_it_is(world, clocks, "a", STEPS[step][1])
    world.ok("kill", "a")


@walk("renames, step", range(1, 7), STEPS, some=3)
def test_snapshot_of_a_guest_that_runs(world, clocks, renames, step):
    world.micro("a", disk="qcow2")
    world.up("a")
    clocks.step_later(renames, step)
    for verb in ("create", "revert", "delete"):
        world.ok("snapshot", verb, "a", "s", timeout=60)
        assert world.info("a")["state"] == "running", history(world, "a")
    clocks._write()
    told_as_it_is(world, clocks, "a", STEPS[step][1])


@pytest.mark.parametrize("step", STEPS)
def test_console_and_job(world, clocks, step):
    """A console stays connected; the job's age is correct."""
    world.micro("a", "echo")
    world.micro("deaf", "deaf", extra=LIFECYCLE % "TimeoutStopSec=1h")
    console = world.up("a")
    world.up("deaf")
    job = world.one("stop", "deaf", "--no-wait")["job"]
    console.type("x")
    console.until("x")
    clocks.step(step)
    console.type("y")
    console.until("y")
    row, = (row for row in world.rows("jobs") if row["job"] == job)
    assert 0 <= row["age"] < A_WHILE + STEPS[step][1], row
    assert world.states() == {"a": "running", "deaf": "stopping"}
    world.ok("kill", "deaf")


@pytest.mark.parametrize("step", STEPS)
def test_wait_with_a_timeout(world, clocks, step):
    """A timeout that has not expired does not expire because of the clock."""
    world.micro("a")
    world.up("a")
    client = world.client(timeout=60)
    serial = client.send("vm-wait", {"name": "a", "condition": "stopped", "timeout": "20min"})
    client.before(serial, "query-version")
    clocks.step(step)
    world.ok("stop", "a")
    assert client.result(serial)["state"] == "stopped"
    client.close()
