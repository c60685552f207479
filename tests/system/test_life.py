# SPDX-License-Identifier: MIT
"""The life of a guest: all ways to start and to end, and that these are distinguished."""
import os

import pytest

import vmk
from smallfs import grow_line, mount_line

LIFECYCLE = "[Lifecycle]\n%s\n"


def test_start_to_stop(daemon):
    daemon.micro("a")
    out = daemon.ok("start", "a")
    assert "a: running" in out
    info = daemon.info("a")
    assert (info["name"], info["state"], info["want"]) == ("a", "running", "running")
    assert info["pid"] in daemon.processes()
    assert len(info["uuid"]) == 36
    daemon.console("a").until("up")
    daemon.ok("stop", "a")
    info = daemon.info("a")
    assert (info["state"], info["reason"], info["want"]) == ("stopped", "guest-shutdown", "stopped")
    assert not info["pid"]
    daemon.alone()


def test_identity_stays(daemon):
    """The UUID belongs to the VM and not to the process."""
    daemon.micro("a")
    daemon.up("a")
    first = daemon.info("a")
    daemon.ok("kill", "a")
    daemon.ok("start", "a")
    second = daemon.info("a")
    assert first["uuid"] == second["uuid"]
    assert first["pid"] != second["pid"]


def test_start_and_stop_are_idempotent(daemon):
    daemon.micro("a")
    assert "already" in daemon.ok("stop", "a")
    daemon.up("a")
    pid = daemon.info("a")["pid"]
    assert "already" in daemon.ok("start", "a")
    assert daemon.info("a")["pid"] == pid
    daemon.ok("stop", "a")
    assert "already" in daemon.ok("stop", "a")


def test_several_names_and_globs(daemon):
    for name in ("web1", "web2", "db"):
        daemon.micro(name, "deaf")
    out = daemon.ok("start", "web*")
    assert "web1: running" in out and "web2: running" in out
    assert daemon.states() == {"web1": "running", "web2": "running", "db": "stopped"}
    result = daemon.vmkeep("kill", "web1", "nobody", "web2")
    assert result.code == 4, result
    assert "nobody" in result.err
    assert set(daemon.states().values()) == {"stopped"}
    daemon.fails(4, "start", "x*")


@pytest.mark.parametrize("spelling", ["kill", "destroy"])
def test_kill(daemon, spelling):
    daemon.micro("a", "deaf")
    daemon.up("a")
    pid = daemon.info("a")["pid"]
    daemon.ok(spelling, "a")
    assert pid not in daemon.processes()
    assert daemon.states() == {"a": "stopped"}
    assert os.path.exists(os.path.join(daemon.images, "a.raw"))


def test_deaf_guest_is_left_running(daemon):
    daemon.micro("a", "deaf")
    daemon.up("a")
    said = daemon.fails(8, "stop", "a", "--timeout", "1")
    assert "vmkeep kill a" in said
    info = daemon.info("a")
    assert (info["state"], info["want"]) == ("running", "running")


def test_deaf_guest_killed_where_the_file_says_so(daemon):
    daemon.micro("a", "deaf", extra=LIFECYCLE % "TimeoutStopSec=1\nOnStopTimeout=kill")
    daemon.up("a")
    daemon.ok("stop", "a")
    assert daemon.info("a")["state"] == "stopped"


def test_press_that_comes_too_early(daemon):
    """A press during the firmware's run is lost; a later one works."""
    daemon.micro("a", "polite", banner="")
    daemon.ok("start", "a", "--paused")
    stop = daemon.stream("stop", "a")
    assert stop.wait(20) == 0, stop.stderr()
    assert daemon.info("a")["state"] == "stopped"


def test_pause_and_resume(daemon):
    daemon.micro("a", "echo")
    console = daemon.up("a")
    daemon.ok("pause", "a")
    assert daemon.states() == {"a": "paused"}
    assert "already" in daemon.ok("pause", "a")
    console.type("x")
    daemon.ok("resume", "a")
    assert daemon.states() == {"a": "running"}
    console.until("x")
    daemon.micro("b")
    daemon.fails(5, "pause", "b")


def test_stop_of_a_paused_guest(daemon):
    """F52: the guest is resumed, because it cannot react to the button while paused."""
    daemon.micro("a")
    daemon.up("a")
    daemon.ok("pause", "a")
    daemon.ok("stop", "a")
    assert daemon.info("a")["state"] == "stopped"


def test_reset_keeps_the_process(daemon):
    daemon.micro("a", "echo")
    console = daemon.up("a")
    pid = daemon.info("a")["pid"]
    daemon.ok("reset", "a")
    console.until("up")
    info = daemon.info("a")
    assert (info["state"], info["pid"]) == ("running", pid)


def test_reboot_starts_anew(daemon):
    daemon.micro("a")
    daemon.up("a")
    daemon.ok("reboot", "a")
    assert daemon.info("a")["state"] == "running"
    daemon.console("a").until("up[^u]*up")


@pytest.mark.parametrize("policy, state, reason", [
    ("stop", "stopped", "guest-shutdown"),
    ("pause", "paused", "guest-shutdown"),
    ("restart", "running", ""),
])
def test_guest_powers_off(daemon, policy, state, reason):
    daemon.micro("a", "leave", extra=LIFECYCLE % ("OnPowerOff=%s\nRestartSec=1" % policy))
    console = daemon.up("a")
    pid = daemon.info("a")["pid"]
    console.type("x")
    if policy == "restart":
        daemon.eventually(lambda: daemon.info("a"), lambda i: i["state"] == "running" and i["pid"] != pid)
    else:
        assert reason in daemon.wait_state("a", state)["reason"]


def test_guest_reboots_in_place(daemon):
    daemon.micro("a", "again")
    console = daemon.up("a")
    pid = daemon.info("a")["pid"]
    console.type("x")
    console.until("up")
    assert daemon.info("a")["pid"] == pid


def test_guest_reboots_and_is_stopped(daemon):
    daemon.micro("a", "again", extra=LIFECYCLE % "OnReboot=stop")
    daemon.up("a").type("x")
    assert "reboot" in daemon.wait_state("a", "stopped")["reason"]


@pytest.mark.parametrize("guest, device, key, word", [
    ("panic", "pvpanic", "OnPanic", "panic"),
    ("bite", "ib700", "OnWatchdog", "watchdog"),
])
@pytest.mark.parametrize("policy, state", [("stop", "stopped"), ("pause", "paused")])
def test_panic_and_watchdog(daemon, guest, device, key, word, policy, state):
    """F30: the configured action is taken, and the reason reported."""
    daemon.micro("a", guest, extra="[QEMU]\nArgs=-device %s\n" % device
                 + LIFECYCLE % ("%s=%s" % (key, policy)))
    daemon.ok("start", "a")
    assert word in daemon.wait_state("a", state)["reason"]


@pytest.mark.parametrize("guest, model, machine", [
    ("esb", "i6300esb", "q35"), ("esb", "i6300esb", "pc"), ("tco", "itco", "q35"),
])
def test_watchdog_models(daemon, guest, model, machine):
    """A guest only arms the watchdog: [Watchdog] provides the device, OnWatchdog= the action."""
    daemon.micro("a", guest, vm="Machine=%s\n" % machine,
                 extra="[Watchdog]\nModel=%s\n" % model + LIFECYCLE % "OnWatchdog=pause")
    daemon.ok("start", "a")
    assert "watchdog" in daemon.wait_state("a", "paused")["reason"]


def test_watchdog_of_q35_on_pc(daemon):
    daemon.micro("a", vm="Machine=pc\n", extra="[Watchdog]\nModel=itco\n")
    assert "itco needs a q35" in daemon.fails(2, "start", "a")


def test_crash_is_named(daemon):
    daemon.micro("a", "deaf", extra=LIFECYCLE % "Restart=no")
    daemon.up("a")
    daemon.kill(daemon.info("a")["pid"])
    info = daemon.wait_state("a", "stopped", "failed")
    assert "crashed: signal 9" in info["reason"]


def test_crash_is_followed_by_a_restart(daemon):
    daemon.micro("a", "deaf", extra=LIFECYCLE % "RestartSec=1")
    daemon.up("a")
    pid = daemon.info("a")["pid"]
    daemon.kill(pid)
    info = daemon.wait_state("a", "backoff")
    assert info["want"] == "running" and "signal 9" in info["reason"]
    assert daemon.wait_state("a", "running")["pid"] != pid


def test_crash_is_seen_by_itself(daemon):
    """Without any request or poll; a stop during the backoff wins over the restart."""
    daemon.write("vmkeep.conf", vmk.DEFAULTS + "[Daemon]\nHealthCheckSec=1h\n")
    daemon.ok("reload")
    daemon.micro("a", "deaf")
    daemon.up("a")
    client = daemon.client()
    client.call("subscribe")
    pid = daemon.info("a")["pid"]
    daemon.kill(pid)
    client.event("VM_STATE", lambda data: data["state"] == "backoff")
    daemon.ok("stop", "a")
    assert daemon.info("a")["state"] == "stopped", "a stop during backoff wins"


def test_crash_budget(daemon):
    daemon.micro("a", "deaf", extra=LIFECYCLE % "RestartSec=0\nStartLimitBurst=2")
    daemon.ok("start", "a")
    for end in ("backoff", "failed"):
        client = daemon.client()
        client.call("subscribe")
        daemon.kill(daemon.wait_state("a", "running")["pid"])
        client.event("VM_STATE", lambda data: data["state"] == end)
    assert daemon.info("a")["state"] == "failed"
    daemon.ok("start", "a")
    assert daemon.info("a")["state"] == "running", "a person may always start it again"


def test_signal_from_outside_is_no_crash(daemon):
    daemon.micro("a", "deaf")
    daemon.up("a")
    daemon.kill(daemon.info("a")["pid"], "TERM")
    info = daemon.wait_state("a", "stopped")
    assert "host-signal" in info["reason"]


def test_disk_full_pauses(daemon):
    """F62: when the image's file system is full, the guest is paused until there is space."""
    small = os.path.join(daemon.images, "small")
    os.mkdir(small)
    daemon.exec("sh", "-c", mount_line(small, "3m"))
    raw = daemon.image("boot.raw", "writer", size=64 << 20)
    daemon.exec("qemu-img", "convert", "-f", "raw", "-O", "qcow2", raw, small + "/a.qcow2")
    daemon.write("a.vm", "[VM]\nMemory=16M\nNetworks=none\n[Disk root]\nPath=small/a.qcow2\n")
    daemon.ok("start", "a")
    info = daemon.wait_state("a", "paused")
    assert "nospace" in info["reason"]
    daemon.exec("sh", "-c", grow_line(small, "80m"))
    daemon.ok("resume", "a")
    assert daemon.info("a")["state"] == "running"
    daemon.ok("kill", "a")
    daemon.exec("qemu-img", "check", small + "/a.qcow2")
    daemon.exec("umount", small)


def test_qemu_refuses_its_arguments(daemon):
    daemon.micro("a", extra="[QEMU]\nArgs=-device nonsense\n")
    said = daemon.fails(7, "start", "a")
    assert "'nonsense' is not a valid device" in said
    info = daemon.info("a")
    assert info["state"] != "running" and "start failed" in info["reason"]
    assert daemon.ok("log", "a", "qemu")


def test_qemu_binary_missing(daemon):
    daemon.micro("a", extra="[QEMU]\nBinary=/usr/bin/qemu-system-nowhere\n")
    assert "/usr/bin/qemu-system-nowhere" in daemon.fails(7, "start", "a")


def test_wait(daemon):
    daemon.micro("a", "leave")
    waiting = daemon.stream("wait", "a", "running", "--timeout", "%d" % (10 * vmk.SLOW))
    console = daemon.up("a")
    assert waiting.wait() == 0, waiting.stderr()
    daemon.ok("wait", "a", "running")
    daemon.fails(6, "wait", "a", "stopped", "--timeout", "200ms")
    waiting = daemon.stream("wait", "a", "stopped", "--timeout", "%d" % (10 * vmk.SLOW))
    console.type("x")
    assert waiting.wait() == 0, waiting.stderr()


def test_no_wait_and_interrupt(daemon):
    """A job continues when its client disconnects."""
    daemon.micro("a", "leave")
    console = daemon.up("a")
    assert daemon.one("stop", "a", "--no-wait", "--timeout", "30")["job"] > 0
    assert [row["name"] for row in daemon.rows("jobs")] == ["a"]
    assert daemon.info("a")["state"] == "stopping"
    console.type("x")
    daemon.wait_state("a", "stopped")


def test_kill_of_one_that_does_not_answer(daemon):
    """R4d: also before anything has noticed that it hangs."""
    daemon.micro("a", "deaf")
    daemon.up("a")
    daemon.kill(daemon.info("a")["pid"], "STOP")
    daemon.ok("kill", "a")
    assert daemon.info("a")["state"] == "stopped"


def test_one_guest_out_of_order_costs_nobody_else(daemon):
    """A QEMU that does not answer delays only requests for itself."""
    daemon.micro("a", "deaf")
    daemon.micro("b", "deaf")
    daemon.ok("start", "a", "b")
    pid = daemon.info("a")["pid"]
    daemon.kill(pid, "STOP")
    client = daemon.client()
    stuck = client.send("vm-pause", {"name": "a"})
    client.before(stuck, "vm-pause", name="b")
    client.before(stuck, "vm-list")
    daemon.ok("kill", "a")
    assert daemon.info("a")["state"] == "stopped"
