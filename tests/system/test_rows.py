# SPDX-License-Identifier: MIT
"""Regression tests that fit in no other file: restart limits, plans, and who ended a guest."""


def test_a_budget_above_twenty(daemon):
    """B1: every StartLimitBurst= that the schema allows takes effect."""
    daemon.micro("a", "off", extra="[Lifecycle]\nOnPowerOff=restart\nStartLimitBurst=25\nStartLimitPerDay=1000\n")
    daemon.vmkeep("start", "a", "--no-wait")
    info = daemon.wait_state("a", "failed", timeout=60)
    assert "StartLimitBurst=" in info["reason"], info


def test_a_long_plan(daemon):
    """C3: a plan larger than a socket buffer reaches the jail, whose error is reported."""
    folder = "/" + "/".join(["x" * 200] * 16)
    daemon.micro("a", extra="".join("[Disk d%d]\nPath=%s/%d.raw\n" % (i, folder, i) for i in range(45)))
    said = daemon.vmkeep("start", "a")
    assert said.code != 0 and "send the plan" not in said.err, said


def test_quit_by_hand(daemon):
    """F48: a quit sent by a user is not reported as a signal, and the history names the user."""
    daemon.micro("a", "deaf")
    daemon.up("a")
    daemon.vmkeep("qmp", "a", "quit")
    assert daemon.wait_state("a", "stopped")["reason"] == "host-qmp-quit"
    row, = [row for row in daemon.rows("history", "a") if row["event"] == "stopped"]
    assert row["reason"] == "host-qmp-quit" and row["who"], row


def test_a_guest_that_resets_for_ever(daemon):
    """F29: all resets are counted; those that are reported include the count."""
    daemon.micro("a", "reboot")
    watcher = daemon.client()
    watcher.call("subscribe")
    daemon.ok("start", "a")
    info = daemon.eventually(lambda: daemon.info("a"), lambda i: i["resets"] > 8, timeout=60)
    assert info["state"] == "running" and info["health"] == "ok" and info["last_reset"] >= info["started"] - 1
    rows = [row for row in daemon.rows("history", "a") if row["event"] == "guest-reset"]
    assert [row["reason"] for row in rows] == ["%d since its start" % n for n in range(1, 6)]
    watcher.call("vm-list")
    told = [event["data"]["resets"] for event in watcher.events if event["event"] == "VM_RESET"]
    assert told[:3] == [1, 2, 3]
    watcher.close()
    daemon.stop_daemon()
    daemon.start()
    assert daemon.info("a")["resets"] >= 5
    daemon.ok("kill", "a")
    assert daemon.info("a")["resets"] is None


def test_a_file_that_was_just_written(daemon):
    """A list includes every file that existed when it was requested, however recently it was written."""
    daemon.image("a.raw", "deaf")
    client = daemon.client()
    for i in range(100):
        daemon.write("v%d.vm" % i, "[VM]\nMemory=16M\nNetworks=none\n[Disk root]\nPath=a.raw\nReadOnly=yes\n")
        assert len(client.call("vm-list")["rows"]) == i + 1
    client.close()
