# SPDX-License-Identifier: MIT
"""What ordinary operations leave in log, events and history: only lines that are useful, each once."""
import os
import re

import vmk


class Told:
    """What was logged, sent and recorded about VM a since the last call."""

    def __init__(self, world):
        self.world = world
        self.client = world.client()
        self.client.call("subscribe")
        self.log = self.rows = 0
        self.look()

    def look(self):
        self.client.call("vm-list")  # all earlier events have arrived
        events = [(event["data"]["from"], event["data"]["state"]) for event in self.client.events
                  if event["event"] == "VM_STATE" and event["data"]["name"] == "a"]
        self.client.events.clear()
        lines = vmk.read_text(os.path.join(self.world.base, "daemon.log")).splitlines()
        rows = self.world.rows("history", "a")
        log = [re.sub(r"\bpid \d+", "pid N", line.split("vm a: ", 1)[1]) for line in lines[self.log:] if "vm a: " in line]
        history = [(row["event"], row["who"], row["reason"]) for row in rows[self.rows:]]
        self.log, self.rows = len(lines), len(rows)
        return log, events, history


def test_start_and_kill(daemon):
    daemon.micro("a", "deaf")
    told = Told(daemon)
    daemon.ok("start", "a")
    assert told.look() == (["vm-start by root (pid N)", "stopped -> starting by root", "starting -> running"],
                           [("stopped", "starting"), ("starting", "running")],
                           [("start", "root", ""), ("running", "", "")])
    daemon.ok("kill", "a")
    assert told.look() == (["vm-kill by root (pid N)", "running -> stopping (killed) by root", "stopping -> stopped (killed)"],
                           [("running", "stopping"), ("stopping", "stopped")],
                           [("kill", "root", "killed"), ("stopped", "", "killed")])


def test_stop_and_reboot(daemon):
    daemon.micro("a")
    daemon.up("a")
    told = Told(daemon)
    daemon.ok("reboot", "a")
    log, events, history = told.look()
    log = [line for line in log if "power button" not in line]  # a press may be lost while the guest boots
    assert log == ["vm-reboot by root (pid N)", "running -> stopping by root", "stopping -> backoff (guest-shutdown)",
                   "backoff -> starting", "starting -> running"], log
    assert events == [("running", "stopping"), ("stopping", "backoff"), ("backoff", "starting"), ("starting", "running")]
    assert history == [("reboot", "root", ""), ("restart", "root", "guest-shutdown"), ("start", "root", ""),
                       ("running", "", "")], history
    daemon.console("a").until("up", 60)
    told.look()
    daemon.ok("stop", "a")
    log, events, history = told.look()
    log = [line for line in log if "power button" not in line]
    assert log == ["vm-stop by root (pid N)", "running -> stopping by root", "stopping -> stopped (guest-shutdown)"], log
    assert events == [("running", "stopping"), ("stopping", "stopped")]
    assert history == [("stop", "root", ""), ("stopped", "", "guest-shutdown")]


def test_adoption(daemon):
    daemon.micro("a", "deaf")
    daemon.micro("b", "deaf", extra="[Lifecycle]\nRestartSec=10min\n")
    daemon.ok("start", "a", "b")
    daemon.kill(daemon.info("b")["pid"])
    daemon.wait_state("b", "backoff")
    told = Told(daemon)
    daemon.kill_daemon()
    daemon.start()
    lines = vmk.read_text(os.path.join(daemon.base, "daemon.log")).splitlines()[told.log:]
    assert [re.sub(r"\d+", "N", line.split(": ", 2)[2]) for line in lines if " vm " in line] == ["vm a: adopted, pid N"]
    assert [row["event"] for row in daemon.rows("history", "a")] == ["start", "running", "adopted"]
    assert not [line for line in lines if "warning" in line and "service manager" not in line], lines


def test_snapshots(daemon):
    daemon.micro("a", "deaf", disk="qcow2")
    told = Told(daemon)
    daemon.ok("snapshot", "create", "a", "s1")
    assert told.look() == (["snapshot-create by root (pid N)", "snapshot-create 's1' done"], [],
                           [("snapshot-create", "root", "s1")])
    daemon.ok("start", "a")
    told.look()
    daemon.ok("snapshot", "create", "a", "s2")
    log, events, history = told.look()
    assert log == ["snapshot-create by root (pid N)", "snapshot-create 's2' done"], log
    assert events == [("running", "paused"), ("paused", "running")], events  # clients are told
    assert history == [("snapshot-create", "root", "s2")]
    daemon.ok("snapshot", "delete", "a", "s1")
    assert told.look()[2] == [("snapshot-delete", "root", "s1")]


def test_a_broken_file_is_told_once(daemon):
    """Not each time the directory is read."""
    daemon.write("a.vm", "[VM]\nMemry=1G\n")
    told = Told(daemon)
    daemon.write("b.vm", "[VM]\nMemory=16M\n")
    daemon.ok("list")
    daemon.vmkeep("start", "a")
    assert [line for line in told.look()[0] if "Memry" in line] == []
    daemon.write("a.vm", "[VM]\nMemry=2G\n[Disk root]\nNonsense=1\n")
    daemon.ok("list")
    daemon.ok("list")
    assert len([line for line in told.look()[0] if "Nonsense" in line]) == 1
