# SPDX-License-Identifier: MIT
"""Time: the wall clock is set, the host sleeps, the daemon is stopped. No guest is killed because of it, nothing
times out early, and ages are reported correctly. clocks.c is preloaded into the daemon."""
import contextlib
import os
import signal
import struct
import time

import pytest

import vmk
from test_agent import boot, frozen_mark, with_data
from test_faults_host import preload
from walk import walk

LIFECYCLE = "[Lifecycle]\n%s\n"
DAY, HOUR = 86400, 3600
STEPS = {"a day ahead": (DAY, 0), "a day back": (-DAY, 0), "an hour asleep": (HOUR, HOUR)}
A_WHILE = 900  # longer than a test, shorter than a step


class Clocks:
    """Sets the clocks of the world's daemons."""

    def __init__(self, world):
        self.path = os.path.join(world.base, "clocks")
        self.wall = self.boot = 0
        self._write()
        library = preload(world, vmk.read_text(os.path.join(os.path.dirname(__file__), "clocks.c")))
        self.env = {"LD_PRELOAD": library, "CLOCKS": self.path}

    def _write(self, left=0, wall=0, boot=0):
        with open(self.path, "r+b" if os.path.exists(self.path) else "wb") as f:
            f.write(struct.pack("=5q", self.wall, self.boot, left, wall, boot))

    def step(self, step):
        wall, boot = STEPS[step]
        self.wall += wall
        self.boot += boot
        self._write()

    def step_later(self, renames, step):
        """Sets them when the n-th record from now is written."""
        wall, boot = STEPS[step]
        self._write(renames, wall, boot)
        self.wall += wall
        self.boot += boot

    def now(self):
        return time.time() + self.wall


@pytest.fixture
def clocks(world):
    made = Clocks(world)
    world.start(env=made.env)
    return made


def told_as_it_is(world, clocks, name, slept):
    """Ages are correct, and dates are those of the current wall clock."""
    info = world.info(name)
    assert abs(info["since"] - clocks.now()) < A_WHILE + slept, info
    if info["pid"]:
        assert 0 <= info["uptime"] < A_WHILE + slept, info
        assert abs(info["started"] - clocks.now()) < A_WHILE + slept, info
    row, = (row for row in world.rows("list") if row["name"] == name)
    assert row.get("uptime") in (info.get("uptime"), (info.get("uptime") or 0) + 1, None)


def history(world, name):
    return world.ok("history", name)


# operation: what comes before it, its actions, the final state
OPERATIONS = {
    "start": ([], ["start"], "running"),
    "pause": (["start"], ["pause"], "paused"),
    "resume": (["start", "pause"], ["resume"], "running"),
    "stop": (["start", "up"], ["stop"], "stopped"),
    "reboot": (["start", "up"], ["reboot"], "running"),
    "kill": (["start"], ["kill"], "stopped"),
    "crash": (["start"], ["crash", "backoff", "running"], "running"),
    "fail": (["start", "crash", "running"], ["crash"], "failed"),
    "snapshot": (["start", "up", "stop"], ["snapshot"], "stopped"),
    "adoption": (["start"], ["restart"], "running"),
}
RENAMES = range(1, 8)


def act(world, clocks, what):
    if what == "up":
        world.console("a").until("up")
    elif what == "crash":
        client = world.client(timeout=60)
        client.call("subscribe")
        world.kill(world.info("a")["pid"])
        client.event("VM_STATE", lambda data: data["state"] in ("backoff", "failed"))
        client.close()
    elif what in ("running", "backoff"):
        world.wait_state("a", "running", *["backoff"] * (what == "backoff"))
    elif what == "snapshot":
        world.ok("snapshot", "create", "a", "s")
    elif what == "restart":
        world.kill_daemon()
        world.start(env=clocks.env)
    else:
        world.ok(what, "a", timeout=60)


@walk("operation, renames, step", OPERATIONS, RENAMES, STEPS, some=6)
def test_clock_is_set_at_every_change_of_state(world, clocks, operation, renames, step):
    """A2, F13, F100: whenever the clock is set, the operation ends as usual."""
    before, then, after = OPERATIONS[operation]
    world.micro("a", disk="qcow2", extra=LIFECYCLE % "RestartSec=1\nStartLimitBurst=2\nTimeoutStopSec=60\nOnStopTimeout=kill\n"
                "TimeoutStartSec=120")
    for what in before:
        act(world, clocks, what)
    clocks.step_later(renames, step)
    for what in then:
        act(world, clocks, what)
    world.wait_state("a", after)
    clocks._write()  # there may have been fewer records
    told_as_it_is(world, clocks, "a", STEPS[step][1])
    said = history(world, "a")
    assert "timed out" not in said and "did not answer" not in said and "ignored" not in said, said
    assert ("killed" in said) == (operation == "kill"), said


@walk("wall", (DAY, -DAY, HOUR, -HOUR), some=2)
def test_crash_loop_is_one_whatever_the_clock_says(world, clocks, wall):
    """C2: the delay doubles, because the guest has not been up for long."""
    world.micro("a", "deaf", extra=LIFECYCLE % "RestartSec=1")
    world.ok("start", "a")
    act(world, clocks, "crash")
    act(world, clocks, "running")
    clocks.wall += wall
    clocks._write()
    world.ok("list")
    act(world, clocks, "crash")
    assert "restarting in 2 s" in history(world, "a")
    told_as_it_is(world, clocks, "a", 0)


@contextlib.contextmanager
def stopped(world, seconds):
    """Stops the daemon for longer than the guest's timeout: only here does a test really wait."""
    pid = world.daemon_pid()
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
        time.sleep(seconds)
    finally:
        os.kill(pid, signal.SIGCONT)
        os.kill(world.daemon.pid, signal.SIGCONT)  # nsenter stops with its child


LATE = LIFECYCLE % "TimeoutStopSec=3\nOnStopTimeout=%s"


def early_stop(world):
    """Asks a guest to power off before it reacts to the button; returns the waiting client."""
    world.ok("start", "a")
    client = world.client(timeout=60)
    client.call("subscribe")
    serial = client.send("vm-stop", {"name": "a"})
    client.event("VM_STATE", lambda data: data["state"] == "stopping")
    return client, serial


@pytest.mark.parametrize("on_timeout", ["kill", "leave"])
def test_stopped_daemon_gives_the_time_back(daemon, on_timeout):
    """F04: the daemon presses the button again before it reports the guest as ignoring it, and kills nothing right
    after it continues."""
    daemon.micro("a", banner="", extra=LATE % on_timeout)
    client, serial = early_stop(daemon)
    with stopped(daemon, 4):
        pass
    client.result(serial)
    client.close()
    info = daemon.info("a")
    assert (info["state"], info["reason"]) == ("stopped", "guest-shutdown"), history(daemon, "a")


def test_time_without_a_daemon_counts_against_nobody(daemon):
    """The record says how much time was left."""
    daemon.micro("a", banner="", extra=LATE % "kill")
    client, _ = early_stop(daemon)
    client.close()
    daemon.kill_daemon()
    time.sleep(4)
    daemon.start()
    info = daemon.wait_state("a", "stopped", "running")
    assert (info["state"], info["reason"]) == ("stopped", "guest-shutdown"), history(daemon, "a")


def test_sleep_gives_the_time_back(world, clocks):
    """F100: an hour of sleep between the press that came too early and the next one."""
    world.micro("a", banner="", extra=LATE % "kill")
    client, serial = early_stop(world)
    clocks.step("an hour asleep")
    client.result(serial)
    client.close()
    assert world.info("a")["reason"] == "guest-shutdown", history(world, "a")


def test_agent_calls_end_and_guests_thaw(world, clocks, linux):
    """A3: an agent that does not answer costs its timeout, and not a day; a frozen guest is thawed when the host
    wakes up."""
    console = boot(world, extra="[Disk data]\nPath=data.raw\nSize=64M\nBus=virtio\n")
    with_data(world, console)
    world.ok("guest", "freeze", "a", "--timeout", "50min")
    assert frozen_mark(world)
    clocks.step("a day back")
    world.ok("list")
    assert frozen_mark(world)
    clocks.step("an hour asleep")
    world.ok("list")
    world.eventually(lambda: frozen_mark(world), lambda frozen: not frozen, timeout=30)
    console.run("kill -STOP $(pidof qemu-ga)")
    client = world.client(timeout=60)
    serial = client.send("guest-ping", {"name": "a"})
    world.ok("list")
    clocks.step("a day back")
    with pytest.raises(vmk.Error, match="does not answer"):
        client.result(serial)
    client.close()
    world.ok("kill", "a")
