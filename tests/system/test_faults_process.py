# SPDX-License-Identifier: MIT
"""Faults of QEMU and the jail: silent, gone early, killed at the same moment, asked twice.

A jail that waits (replaced by a script that opens a FIFO first) holds a start at the point that a test needs.
"""
import contextlib
import json
import os
import shutil

import pytest

import vmk

LIFECYCLE = "[Lifecycle]\n%s\n"


class Gate:
    """Copies of the programs for this world, whose jail waits until it is released; probes of QEMU do not wait."""

    def __init__(self, world):
        for name in ("vmkeepd", "vmkeep-jail"):
            shutil.copy(os.path.join(vmk.BUILD, name), world.base)
        jail = os.path.join(world.base, "vmkeep-jail")
        os.rename(jail, jail + ".real")
        self.path = os.path.join(world.base, "gate")
        os.mkfifo(self.path)
        with open(jail, "w", encoding="utf-8") as f:
            f.write("#!/bin/sh\n[ \"$1\" = .probe ] || read word <%s\nexec %s.real \"$@\"\n" % (self.path, jail))
        os.chmod(jail, 0o755)
        self.world, self.fd = world, -1
        world.daemon_argv = lambda: [os.path.join(world.base, "vmkeepd")] + vmk.World.daemon_argv(world)[1:]

    def reached(self):
        """Waits until a jail has reached the gate."""
        def look():
            with contextlib.suppress(OSError):  # nobody reads yet
                self.fd = os.open(self.path, os.O_WRONLY | os.O_NONBLOCK)
            return self.fd

        self.shut()
        self.world.eventually(look, lambda fd: fd >= 0)

    def shut(self):
        """Closes the gate before the next jail comes: while we have it open, that jail would not stop."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def open(self):
        """Releases the jail."""
        os.write(self.fd, b"go\n")
        os.close(self.fd)
        self.fd = -1


@pytest.fixture
def gate(world):
    made = Gate(world)
    world.start()
    return made


@pytest.mark.parametrize("found", ["by a look", "by itself"])
def test_stopped_qemu_is_found(daemon, found):
    """A hang is detected although nobody asks for anything, and so is the recovery."""
    daemon.micro("a", "deaf")
    daemon.micro("b", "deaf")
    daemon.ok("start", "a", "b")
    client = daemon.client(timeout=30)
    client.call("subscribe")
    daemon.kill(daemon.info("a")["pid"], "STOP")
    if found == "by a look":
        daemon.eventually(lambda: daemon.rows("list"), lambda rows: rows[0]["health"] != "ok", timeout=25)
        assert [row["health"] for row in daemon.rows("list")] == ["unresponsive", "ok"]
    else:
        daemon.write("vmkeep.conf", vmk.DEFAULTS + "[Daemon]\nHealthCheckSec=1s\n")
        daemon.ok("reload")
        assert client.event("VM_HEALTH", timeout=25)["name"] == "a"
    daemon.kill(daemon.info("a")["pid"], "CONT")
    assert client.event("VM_HEALTH", lambda data: data["health"] == "ok")["name"] == "a"


def test_silent_monitor(daemon):
    """F45: QEMU hangs: the request ends, the VM is shown as unresponsive, nothing else is delayed, and when QEMU
    continues, the request still takes effect."""
    daemon.micro("a", "echo")
    daemon.micro("b", "deaf")
    console = daemon.up("a")
    daemon.ok("start", "b")
    pid = daemon.info("a")["pid"]
    client = daemon.client(timeout=30)
    client.call("subscribe")
    daemon.kill(pid, "STOP")
    paused = daemon.stream("pause", "a")
    assert client.event("VM_HEALTH")["health"] == "unresponsive"
    assert paused.wait() == 6, paused.stderr()
    assert [row["health"] for row in daemon.rows("list")] == ["unresponsive", "ok"]
    daemon.ok("pause", "b")
    daemon.kill(pid, "CONT")
    assert client.event("VM_HEALTH")["health"] == "ok"
    assert daemon.wait_state("a", "paused")["health"] == "ok", "QEMU did what it was told, late"
    daemon.ok("resume", "a")
    console.type("x")
    console.until("x")


def test_kill_again_and_again(daemon):
    """Only a process that long survives SIGKILL is reported as unkillable, not one that is killed several times."""
    daemon.micro("a", "deaf")
    daemon.up("a")
    client = daemon.client()
    for _ in range(4):
        client.send("vm-kill", {"name": "a"})
    answers = 0
    while answers < 4:
        message = client.receive()
        assert "error" not in message, message
        answers += "return" in message
    assert daemon.states() == {"a": "stopped"}


def test_start_while_it_quits(daemon):
    """The last request counts, and its client gets the true result."""
    daemon.micro("a", "deaf")
    daemon.up("a")
    pid = daemon.info("a")["pid"]
    daemon.kill(pid, "STOP")
    daemon.ok("kill", "a", "--no-wait")
    start = daemon.stream("start", "a")
    daemon.eventually(lambda: daemon.info("a")["want"], lambda want: want == "restart")
    assert daemon.info("a")["state"] == "stopping"
    daemon.kill(pid, "CONT")
    assert start.wait() == 0, start.stderr()
    info = daemon.info("a")
    assert info["state"] == "running" and info["pid"] != pid


@pytest.mark.parametrize("verb", ["stop", "kill"])
def test_start_that_is_overtaken(gate, world, verb):
    """A stop or kill cancels a start in progress, whose client is told."""
    world.micro("a", "deaf")
    start = world.stream("start", "a")
    gate.reached()
    assert [(row["verb"], row["text"]) for row in world.rows("jobs")] == [("vm-start", "jail")], "the step it is at"
    world.ok(verb, "a")
    assert start.wait() == 1, start.stderr()
    info = world.info("a")
    assert (info["state"], info["want"]) == ("stopped", "stopped")
    start = world.stream("start", "a")
    gate.reached()
    gate.open()
    assert start.wait() == 0, start.stderr()


def test_start_that_takes_too_long(gate, world):
    world.micro("a", "deaf", extra=LIFECYCLE % "TimeoutStartSec=1")
    said = world.fails(7, "start", "a")
    assert "not up after 1 s: still waiting for the jail; it was killed" in said
    assert world.info("a")["state"] == "stopped"


def test_jail_that_refuses_and_hangs(gate, world):
    """The error is the jail's own, not a timeout."""
    said = {"error": {"class": "Conflict", "desc": "disk 'root': is taken", "hint": "look", "step": "locks"}}
    jail = os.path.join(world.base, "vmkeep-jail")
    with open(jail, "w", encoding="utf-8") as f:
        f.write("#!/bin/sh\n[ \"$1\" = .probe ] && exec %s.real \"$@\"\ncat <<'E' >&3\n%s\nE\nexec sleep 1000\n"
                % (jail, json.dumps(said)))
    world.micro("a", "deaf", extra=LIFECYCLE % "TimeoutStartSec=1")
    assert "disk 'root': is taken" in world.fails(3, "start", "a")
    info = world.info("a")
    assert info["state"] == "stopped" and "disk 'root': is taken" in info["reason"]


def test_stop_while_it_is_prepared(world):
    """There is no process yet, because the binary takes long to report its capabilities."""
    where = "/usr/local/sbin"  # below /usr, which its jail sees
    world.exec("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", where)
    slow = os.path.join(where, "slow")
    with open(world.inner(slow), "w", encoding="utf-8") as f:
        f.write("#!/bin/sh\nexec sleep 1000\n")
    os.chmod(world.inner(slow), 0o755)
    world.start()
    world.micro("a", "deaf", extra="[QEMU]\nBinary=%s\n" % slow)
    start = world.stream("start", "a")
    world.wait_state("a", "starting")
    world.ok("stop", "a")
    assert start.wait() == 1, start.stderr()
    assert "guest-shutdown" not in start.stderr()
    assert world.info("a")["state"] == "stopped"
    for pid, line in world.processes().items():
        if line == "sleep 1000":
            world.kill(pid)
    world.exec("umount", "--lazy", where)


def test_program_that_is_none(daemon):
    path = os.path.join(daemon.base, "qemu")
    with open(path, "w", encoding="utf-8") as f:
        f.write("no program")
    daemon.micro("a", extra="[QEMU]\nBinary=%s\n" % path)
    assert path in daemon.fails(7, "start", "a")
    os.chmod(path, 0o755)
    assert path in daemon.fails(7, "start", "a")
    assert daemon.info("a")["state"] == "stopped"


def test_jail_that_cannot_be_run(gate, world):
    os.unlink(os.path.join(world.base, "vmkeep-jail"))
    world.micro("a")
    assert "vmkeep-jail" in world.fails(7, "start", "a")
    assert world.info("a")["state"] == "stopped"


def test_guest_that_is_off_at_once(daemon):
    """F24: it started, and it ended; neither is a failure."""
    daemon.micro("a", "off", banner="")
    daemon.ok("start", "a")
    assert daemon.wait_state("a", "stopped")["reason"] == "guest-shutdown"


@pytest.mark.parametrize("how, reason", [("TERM", "host-signal"), ("KILL", "crashed: signal 9")])
def test_end_and_reason_in_one_turn(daemon, how, reason):
    """The daemon gets both late: what QEMU sent on its monitor is processed before its exit."""
    daemon.micro("a", "deaf", extra=LIFECYCLE % "Restart=no")
    daemon.up("a")
    pid = daemon.info("a")["pid"]
    ours = daemon.daemon_pid()
    os.kill(ours, vmk.signal.SIGSTOP)
    daemon.kill(pid, how)
    stat = daemon.inner("/proc/%d/stat" % pid)
    daemon.eventually(lambda: vmk.read_text(stat).rsplit(")", 1)[1].split()[0], lambda state: state == "Z")
    os.kill(ours, vmk.signal.SIGCONT)
    os.kill(daemon.daemon.pid, vmk.signal.SIGCONT)  # nsenter stops with its child
    assert reason in daemon.wait_state("a", "stopped")["reason"]


def test_quit_that_was_not_ours(daemon):
    """quit on the debug monitor: the guest was ended on purpose, so it is not a crash, and not restarted."""
    daemon.micro("a", "deaf")
    daemon.up("a")
    daemon.vmkeep("qmp", "a", "quit")
    assert daemon.wait_state("a", "stopped")["reason"] == "host-qmp-quit"


def test_crash_with_a_network(daemon):
    """The tap is removed with the process, and created again for the next one."""
    daemon.image("a.raw", "deaf", "up\r\n")
    daemon.write("a.vm", "[VM]\nMemory=16M\n[Disk root]\nPath=a.raw\n" + LIFECYCLE % "RestartSec=1")
    daemon.ok("start", "a")
    before = daemon.links()
    pid = daemon.info("a")["pid"]
    taps = {nic["interface"] for nic in daemon.info("a")["nics"]}
    assert taps <= before and len(taps) == 1
    daemon.kill(pid)
    daemon.wait_state("a", "backoff")
    assert not taps & daemon.links()
    again = daemon.wait_state("a", "running")
    assert again["pid"] != pid and again["nics"][0]["mac"]
    assert len(daemon.links()) == len(before)


def test_tombstone_is_stopped_at_once(daemon):
    """A guest that has powered off and was kept cannot react to its button."""
    daemon.micro("a", "leave", extra=LIFECYCLE % "OnPowerOff=pause")
    daemon.up("a").type("x")
    daemon.wait_state("a", "paused")
    daemon.kill_daemon()
    daemon.start()
    assert daemon.wait_state("a", "paused")["reason"] == "guest-shutdown"
    daemon.ok("stop", "a", "--timeout", "1h")
    info = daemon.info("a")
    assert (info["state"], info["reason"]) == ("stopped", "guest-shutdown")


def test_reset_by_hand_is_no_reboot_of_the_guest(daemon):
    daemon.micro("a", "echo", extra=LIFECYCLE % "OnReboot=stop")
    console = daemon.up("a")
    for _ in range(2):
        daemon.ok("reset", "a")
        console.until("up")
        assert daemon.info("a")["state"] == "running"


def test_paused_guest_that_was_reset(daemon):
    """It stays paused, and remains so for the next daemon."""
    daemon.micro("a", "echo")
    console = daemon.up("a")
    daemon.ok("pause", "a")
    daemon.ok("reset", "a")
    daemon.kill_daemon()
    daemon.start()
    assert daemon.wait_state("a", "paused")["want"] == "running"
    daemon.ok("resume", "a")
    console = daemon.console("a")
    console.until("up[^u]*up")


def test_paused_start_counts_once(daemon):
    daemon.micro("a", "deaf", extra=LIFECYCLE % "RestartSec=0")
    daemon.ok("start", "a", "--paused")
    daemon.ok("resume", "a")
    pid = daemon.info("a")["pid"]
    daemon.kill(pid)
    daemon.eventually(lambda: daemon.info("a"), lambda i: i["state"] == "running" and i["pid"] != pid)


def test_stop_that_is_left_tells_what_is(daemon):
    """A guest that was paused when it was asked to power off is reported as paused, not as running."""
    daemon.micro("a", "deaf")
    daemon.up("a")
    client = daemon.client()
    # in one write, so that the stop overtakes the pause
    client.socket.sendall(b'{"execute": "vm-pause", "arguments": {"name": "a"}}\n'
                          b'{"execute": "vm-stop", "arguments": {"name": "a", "timeout": 1}}\n')
    while "error" not in (message := client.receive()):
        assert "return" not in message
    assert message["error"]["class"] == "GuestRefused", message
    assert daemon.wait_state("a", "paused")["want"] == "running"


def test_client_dies_during_a_stop(daemon):
    """F55: after SIGKILL of the client the stop continues."""
    daemon.micro("a", "deaf", extra=LIFECYCLE % "TimeoutStopSec=1\nOnStopTimeout=kill")
    daemon.up("a")
    stop = daemon.stream("stop", "a")
    daemon.wait_state("a", "stopping")
    stop.end()
    daemon.wait_state("a", "stopped")


def test_too_few_descriptors_for_a_start(daemon):
    """Whichever step of a start runs out of descriptors, it reports that, and closes those that it has opened."""
    daemon.micro("a", "deaf", extra="[NIC lan]\nNetwork=default\n")
    daemon.ok("start", "a")  # what is opened only once is open now: the probe's file, the network's sockets
    daemon.ok("kill", "a")
    ours = daemon.daemon_pid()
    folder = "/proc/%d/fd" % ours
    used = daemon.eventually(lambda: len(os.listdir(folder)), lambda n: n == len(os.listdir(folder)))
    client = daemon.client()
    client.call("query-version")
    highest = max(int(fd) for fd in os.listdir(folder))
    failed = 0
    for limit in range(used, highest + 20):
        daemon.exec("prlimit", "--nofile=%d:" % limit, "--pid", str(inner_pid(daemon)))
        try:
            client.call("vm-start", name="a")
            client.call("vm-kill", name="a")
        except vmk.Error as e:
            failed += 1
            assert e.desc, limit
            assert client.call("vm-info", name="a")["state"] == "stopped"
    client.close()
    assert failed > 5
    daemon.exec("prlimit", "--nofile=1024:", "--pid", str(inner_pid(daemon)))
    daemon.eventually(lambda: len(os.listdir(folder)), lambda n: n <= used)
    daemon.ok("start", "a")


def inner_pid(world):
    """The daemon's pid inside the world."""
    return next(pid for pid, line in world.processes().items() if "vmkeepd" in line.split()[0])


def test_reason_that_is_cut_within_a_character(daemon):
    """A long error with multibyte characters does not remove the VM from the list."""
    for i in range(2):
        daemon.write("a.vm", "[VM]\nMemory=16M\nNetworks=none\n[Disk root]\nPath=%s%s.raw\n" % (
            "x" * i, "é" * 100))
        daemon.fails(4, "start", "a")
        assert "start failed" in daemon.info("a")["reason"]
        assert daemon.states() == {"a": "stopped"}


def test_eight_serial_lines_and_no_more(daemon):
    virtio = ["s" * 31] + ["s%d" % i for i in range(6)]
    serials = "[Serial console]\n" + "".join("[Serial %s]\nType=virtio\n" % name for name in virtio)
    daemon.micro("a" * 63, "echo", extra=serials)
    name = "a" * 63
    daemon.up(name)
    console = daemon.stream("console", name, "--serial", "s5")
    daemon.ok("kill", name)
    assert console.process.wait(10) in (0, 5), "the guest's end ends a console of its last line too"
    daemon.micro(name, "echo", extra=serials + "[Serial s6]\nType=virtio\n")
    assert "at most 8" in daemon.fails(2, "start", name)


def test_nothing_is_left_of_an_old_error(daemon):
    daemon.micro("a")
    os.unlink(os.path.join(daemon.images, "a.raw"))
    daemon.fails(4, "start", "a")
    assert daemon.info("a")["error"]
    daemon.image("a.raw", "polite", "up\r\n")
    daemon.up("a")
    daemon.ok("stop", "a")
    assert not daemon.info("a")["error"]


def test_wait_for_an_address_that_nobody_gives(daemon):
    daemon.micro("a", "deaf")
    daemon.up("a")
    assert "NIC" in daemon.fails(5, "wait", "a", "ip", timeout=5)
    with contextlib.suppress(AssertionError):
        daemon.ok("ip", "a")
