# SPDX-License-Identifier: MIT
"""The daemon may die at any moment: guests keep running, and the next daemon adopts them."""
import json
import os
import shutil
import signal
import socket
import time

import pytest

import vmk
from walk import walk


def monitor(world, name, *commands):
    """Sends QMP commands to a guest whose daemon is dead, through its socket."""
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(10)
        s.connect(world.inner(os.path.join(world.run, "vms", name, "qmp.sock")))
        lines = s.makefile("r")
        json.loads(lines.readline())
        for command in ("qmp_capabilities",) + commands:
            s.sendall(json.dumps({"execute": command}).encode())
            while "return" not in json.loads(lines.readline()):
                pass


def test_guests_do_not_notice(daemon):
    """F01: after SIGKILL and a restart of the daemon, guests have the same processes, their uptimes continue, and
    stop works."""
    daemon.micro("a")
    daemon.micro("b", "echo")
    daemon.micro("off")
    daemon.up("a")
    daemon.up("b")
    before = {row["name"]: row for row in daemon.rows("list")}
    pids = {name: daemon.info(name)["pid"] for name in ("a", "b")}
    daemon.kill_daemon()
    daemon.fails(10, "list")
    assert set(pids.values()) <= set(daemon.processes())
    daemon.start()
    after = {row["name"]: row for row in daemon.rows("list")}
    assert {n: r["state"] for n, r in after.items()} == {"a": "running", "b": "running", "off": "stopped"}
    assert {name: daemon.info(name)["pid"] for name in pids} == pids
    assert all(after[name]["uptime"] >= before[name]["uptime"] for name in pids)
    console = daemon.console("b")
    console.until("up")
    console.type("x")
    console.until("x")
    daemon.ok("stop", "a")
    daemon.ok("reset", "b")
    console.until("up")


def test_orderly_restart(daemon):
    daemon.micro("a")
    daemon.up("a")
    pid = daemon.info("a")["pid"]
    for _ in range(2):
        daemon.stop_daemon()
        assert pid in daemon.processes()
        daemon.start()
        assert daemon.info("a")["pid"] == pid
    daemon.ok("stop", "a")


def test_paused_stays_paused(daemon):
    daemon.micro("a")
    daemon.up("a")
    daemon.ok("pause", "a")
    daemon.kill_daemon()
    daemon.start()
    assert daemon.info("a")["state"] == "paused"
    daemon.ok("resume", "a")


def test_reason_stays(daemon):
    """A guest that ignored a stop keeps running, and the next daemon still reports that."""
    daemon.micro("a", "deaf")
    daemon.up("a")
    daemon.fails(8, "stop", "a", "--timeout", "1")
    info = daemon.info("a")
    assert info["reason"]
    daemon.kill_daemon()
    daemon.start()
    again = daemon.wait_state("a", "running")
    assert (again["reason"], again["since"]) == (info["reason"], info["since"])


def test_paused_while_nobody_looked(daemon):
    daemon.micro("a")
    daemon.up("a")
    daemon.kill_daemon()
    monitor(daemon, "a", "stop")
    daemon.start()
    daemon.wait_state("a", "paused")


def test_powered_off_while_nobody_looked(daemon):
    """A guest that powered itself off without a daemon is reported as stopped, with the reason."""
    daemon.micro("a")
    daemon.up("a")
    daemon.kill_daemon()
    monitor(daemon, "a", "system_powerdown", "query-status")
    daemon.start()
    assert "guest-shutdown" in daemon.wait_state("a", "stopped")["reason"]


def test_killed_while_nobody_looked(daemon):
    daemon.micro("a", extra="[Lifecycle]\nRestart=no\n")
    daemon.up("a")
    pid = daemon.info("a")["pid"]
    daemon.kill_daemon()
    daemon.kill(pid)
    daemon.start()
    assert "crashed" in daemon.wait_state("a", "stopped", "failed")["reason"]


def test_killed_while_nobody_looked_comes_back(daemon):
    daemon.micro("a", extra="[Lifecycle]\nRestartSec=0\n")
    daemon.up("a")
    pid = daemon.info("a")["pid"]
    daemon.kill_daemon()
    daemon.kill(pid)
    daemon.start()
    daemon.eventually(lambda: daemon.info("a"),
                      lambda info: info["state"] == "running" and info["pid"] not in (None, pid))


def test_daemon_dies_during_a_stop(daemon):
    """The desired state and the timeout are recorded: the next daemon completes the stop and reports the timeout."""
    daemon.micro("a", "deaf", extra="[Lifecycle]\nTimeoutStopSec=2\nOnStopTimeout=kill\n")
    daemon.up("a")
    daemon.ok("stop", "a", "--no-wait")
    daemon.kill_daemon()
    daemon.start()
    info = daemon.wait_state("a", "stopped", timeout=10)
    assert info["reason"] == "killed: the guest did not power off within 2 s"


def test_daemon_dies_during_a_reboot(daemon):
    """A client that joins the reboot after a restart of the daemon gets the reboot's timeout in the error."""
    daemon.micro("a", "deaf", extra="[Lifecycle]\nTimeoutStopSec=4\nOnStopTimeout=leave\n")
    daemon.up("a")
    daemon.ok("reboot", "a", "--no-wait")
    daemon.kill_daemon()
    daemon.start()
    assert "ignored the power button for 4 s" in daemon.fails(8, "reboot", "a")


@walk("delay_ms", range(0, 250, 2), some=6)
def test_daemon_dies_during_a_start(daemon, delay_ms):
    """F02: wherever the daemon dies, there is never more than one QEMU, and it is adopted or gone."""
    daemon.micro("a", "deaf")
    daemon.ok("start", "a", "--no-wait")
    time.sleep(delay_ms / 1000)  # the moment is the fault
    daemon.kill_daemon()
    daemon.start()

    def settled():
        qemus = [pid for pid, line in daemon.processes().items() if "qemu-system" in line]
        return daemon.info("a")["state"], len(qemus)

    daemon.eventually(settled, lambda now: now in (("running", 1), ("stopped", 0)), timeout=15)
    daemon.ok("start", "a")
    assert settled() == ("running", 1)


def test_two_daemons(daemon):
    """F06: the second daemon exits at once, names the first, and changes nothing."""
    daemon.micro("a")
    daemon.up("a")
    result = vmk.subprocess.run(daemon.inside(daemon.daemon_argv()), capture_output=True, text=True,
                                timeout=10, check=False)
    assert result.returncode == 3, result
    ours = [pid for pid, line in daemon.processes().items() if "vmkeepd" in line.split()[0]]
    assert str(ours[0]) in result.stderr
    assert daemon.info("a")["state"] == "running"
    daemon.ok("stop", "a")


def test_record_of_a_process_that_is_gone(daemon):
    """As after a power failure: if the process in the record does not exist, the VM is stopped."""
    daemon.micro("a", extra="[Lifecycle]\nRestart=no\n")
    daemon.up("a")
    folder = daemon.inner(os.path.join(daemon.run, "vms", "a"))
    records = ("record.json", "effective.vm")
    for name in records:
        shutil.copy(os.path.join(folder, name), daemon.base)
    daemon.ok("kill", "a")
    daemon.stop_daemon()
    os.makedirs(folder, exist_ok=True)
    for name in records:
        shutil.copy(os.path.join(daemon.base, name), folder)
    daemon.start()
    assert daemon.info("a")["state"] in ("stopped", "failed")
    daemon.ok("start", "a")


@pytest.mark.parametrize("damage", [b"", b"{", b"\0" * 64, b'{"version": "x"}', b"[1]"])
def test_damaged_identity_is_set_aside(daemon, damage):
    daemon.micro("a")
    daemon.micro("b")
    daemon.up("a")
    daemon.ok("kill", "a")
    daemon.stop_daemon()
    folder = os.path.join(daemon.state, "vms", "a")
    with open(os.path.join(folder, "identity.json"), "wb") as f:
        f.write(damage)
    daemon.start()
    assert daemon.states() == {"a": "stopped", "b": "stopped"}
    daemon.ok("start", "b")
    kept = [name for name in os.listdir(folder) if name.startswith("identity.json.damaged")]
    assert len(kept) == 1
    assert kept[0] in vmk.read_text(os.path.join(daemon.base, "daemon.log"))
    # no VM gets a new identity unless a person asks for it
    assert "state is lost" in daemon.fails(3, "start", "a")
    daemon.micro("a", vm="UUID=7f1d1d4e-7c3b-4a69-9f0e-0d8f1a2b3c4d\n")
    daemon.ok("start", "a")
    os.unlink(os.path.join(folder, kept[0]))


def test_identity_of_a_newer_vmkeep_is_kept(daemon):
    """F16: after a downgrade, the start is refused with an error, and the identity is not replaced."""
    daemon.micro("a")
    daemon.up("a")
    daemon.ok("kill", "a")
    daemon.stop_daemon()
    path = os.path.join(daemon.state, "vms", "a", "identity.json")
    newer = '{"version": 99, "uuid": "kept"}'
    with open(path, "w", encoding="utf-8") as f:
        f.write(newer)
    daemon.start()
    said = str(daemon.vmkeep("start", "a"))
    assert vmk.read_text(path) == newer
    assert "version 99" in said and daemon.info("a")["state"] == "stopped"


def test_file_removed_while_it_runs(daemon):
    """F10: the guest is listed and can be stopped; afterwards the VM is gone."""
    daemon.micro("a")
    daemon.up("a")
    os.unlink(os.path.join(daemon.config, "a.vm"))
    daemon.ok("reload")
    assert daemon.info("a")["state"] == "running"
    daemon.kill_daemon()
    daemon.start()
    assert daemon.info("a")["state"] == "running"
    daemon.ok("stop", "a")
    daemon.eventually(daemon.states, lambda states: not states)


def test_hangup_is_survived(daemon):
    """SIGHUP only reloads; the daemon does not need its terminal."""
    daemon.micro("a")
    os.kill(daemon.daemon_pid(), signal.SIGHUP)
    daemon.micro("b")
    os.kill(daemon.daemon_pid(), signal.SIGHUP)
    daemon.eventually(daemon.states, lambda states: "b" in states)
