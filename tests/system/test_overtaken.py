# SPDX-License-Identifier: MIT
"""Verbs that overtake each other, and messages that QEMU sends as it ends: the last request counts, clients of
earlier ones get an error, and the reason of the guest's end is not lost."""
import json
import os
import signal

import pytest

import vmk
from hostile import make
from test_memory_snapshot import MIB, deaf
from test_wishes import rebooting


def of(daemon, name, extra=""):
    """Starts a guest of hostile_walks.py; returns its pid."""
    make(daemon, name)
    with open(os.path.join(daemon.config, name + ".vm"), "a", encoding="utf-8") as f:
        f.write("[Lifecycle]\nRestart=no\n" + extra)
    daemon.ok("start", name)
    return daemon.info(name)["pid"]


@pytest.mark.parametrize("name", ["says-shutdown", "says-panic"])
def test_start_before_the_last_words(hostile, name):
    """Suspected 3: QEMU's final events arrive while it quits, with a start already pending."""
    pid = of(hostile, name)
    client = hostile.client(timeout=60)
    both = [{"execute": verb, "id": verb, "arguments": {"name": name}} for verb in ("vm-kill", "vm-start")]
    client.socket.sendall("".join(json.dumps(request) + "\n" for request in both).encode())
    with pytest.raises(vmk.Error, match="overtook it"):
        client.result("vm-kill")
    client.result("vm-start")
    client.close()
    info = hostile.info(name)
    assert info["pid"] != pid and (info["state"], info["want"]) == ("running", "running")


def test_stop_overtaken_by_start(hostile):
    """F57: the guest has powered off, but its QEMU does not exit: a start at that point counts."""
    pid = of(hostile, "sleepy")
    client = hostile.client(timeout=60)
    stop = client.send("vm-stop", {"name": "sleepy"})
    hostile.eventually(lambda: hostile.vmkeep("start", "sleepy", "--no-wait").code, lambda code: code == 0)
    with pytest.raises(vmk.Error, match="a later start .* overtook it"):
        client.result(stop)
    client.close()
    hostile.exec("sh", "-c", "kill -9 %d || true" % pid)  # as the daemon does after 10 s
    info = hostile.wait_state("sleepy", "running", timeout=60)
    assert info["pid"] != pid and info["want"] == "running"
    hostile.kill(info["pid"])


def test_a_reset_that_fails(hostile):
    """Suspected 4: OnReboot= is restored."""
    of(hostile, "no-reset", "OnReboot=stop\n")
    assert "not now" in hostile.fails(1, "reset", "no-reset")
    hostile.eventually(lambda: hostile.qmp("no-reset", "x-actions"),
                       lambda actions: actions == [{"reboot": "reset"}, {"reboot": "shutdown"}], timeout=20)


def test_a_power_off_behind_a_storm(hostile):
    """Suspected 1: the daemon was delayed in the meantime."""
    pid = of(hostile, "storm")
    daemon = hostile.daemon_pid()
    os.kill(daemon, signal.SIGSTOP)
    try:
        hostile.kill(pid, "USR1")
        hostile.eventually(lambda: hostile.process_state(pid), lambda state: state in "ZX", timeout=20)
    finally:
        os.kill(daemon, signal.SIGCONT)
        os.kill(hostile.daemon.pid, signal.SIGCONT)  # nsenter stops with its child
    info = hostile.wait_state("storm", "stopped", timeout=30)
    assert info["reason"] == "guest-shutdown", info


def test_shutdown_of_the_host_during_a_reboot(daemon):
    """The host's shutdown wins: the guest is not started again, and the client of the reboot gets an error."""
    pid = rebooting(daemon)
    waits = daemon.stream("reboot", "a")
    daemon.eventually(lambda: daemon.rows("jobs"), lambda rows: len(rows) > 1)
    result = daemon.vmkeep("--json", "shutdown-all", "--timeout", "1", timeout=60)
    row, = json.loads(result.out)
    assert result.code == 8 and (row["name"], row["result"]) == ("a", "killed"), result
    assert waits.wait(20) != 0 and "overtook it" in waits.stderr()
    info = daemon.info("a")
    assert (info["state"], info["want"]) == ("stopped", "stopped")
    assert pid not in daemon.processes()
    daemon.kill_daemon()
    daemon.start()
    assert daemon.states() == {"a": "stopped"}


def test_job_numbers_are_whole(daemon):
    """C5: a job number that is too large is not truncated."""
    deaf(daemon)
    client = daemon.client()
    job = client.call("vm-set-memory", name="a", size=96 * MIB, timeout=86400, wait=False)["job"]
    for more in (1 << 32, 1 << 33, 1 << 62):
        with pytest.raises(vmk.Error):
            client.call("job-cancel", job=job + more)
    assert [row["job"] for row in daemon.rows("jobs")] == [job]
    client.call("job-cancel", job=job)
    client.close()


def test_replaced_while_verbs_wait(daemon):
    """Monitor connections are closed with their VMs then; pending replies do not access a VM that has been freed
    (SAN= detects that reliably)."""
    daemon.micro("a")
    daemon.up("a")
    pid = daemon.info("a")["pid"]
    daemon.kill(pid, "STOP")
    waiting = [daemon.stream(*words) for words in (("reset", "a"), ("pause", "a"), ("qmp", "a", "query-status"))]
    log = os.path.join(daemon.base, "daemon.log")
    daemon.eventually(lambda: vmk.read_text(log), lambda text: all(
        words in text for words in ("vm-reset by", "vm-pause by", "qmp query-status by")))
    before = daemon.daemon_pid()
    daemon.ok("reexec")
    daemon.kill(pid, "CONT")
    for stream in waiting:
        stream.wait()
    assert daemon.daemon_pid() == before and daemon.info("a")["pid"] == pid
