# SPDX-License-Identifier: MIT
"""The guest agent, a real one in the Linux guest: all verbs, a freeze that always ends, and shutdown through the
agent first. Without an agent nothing waits for it."""
import os
import time

import pytest

import vmk

DISK = "[Disk data]\nPath=data.raw\nSize=64M\nBus=virtio\n"


def boot(daemon, append="", name="a", extra=""):
    """Starts the Linux guest and waits for its agent; returns its console."""
    daemon.linux(name, "guest.net=none guest.agent=yes " + append, "Networks=none\n", extra)
    client = daemon.client(timeout=60)
    try:
        client.call("subscribe")
        daemon.ok("start", name)
        client.event("AGENT_CHANGE", lambda data: data["name"] == name and data["open"])
    finally:
        client.close()
    console = daemon.console(name)
    console.until("ready after", 60)
    return console


def with_data(daemon, console):
    """Mounts a file system on which a freeze has a visible effect."""
    console.run("modprobe ext4; mke2fs /dev/vdb >/dev/null && mount -t ext4 /dev/vdb /mnt", 30)


def frozen_mark(daemon, name="a"):
    return os.path.exists(os.path.join(daemon.state, "vms", name, "frozen"))


def test_every_verb(daemon, linux):
    console = boot(daemon, "guest.name=tester", extra=DISK)
    with_data(daemon, console)
    assert daemon.info("a")["agent"] == "open"
    assert "a: agent answers" in daemon.ok("guest", "ping", "a")

    info = daemon.one("guest", "info", "a")
    assert (info["hostname"], info["os"]) == ("tester", "vmkeep test guest")
    assert info["version"] and info["kernel"]
    assert "127.0.0.1" in [row["address"] for row in info["addresses"]]

    collect = ["guest", "exec", "a", "--collect", "--"]  # without it: test_exec.py
    assert daemon.ok(*collect, "/bin/echo", "one  two") == "one  two\n"
    result = daemon.vmkeep(*collect, "/bin/sh", "-c", "echo out; echo bad >&2; exit 7")
    assert (result.code, result.out) == (7, "out\n")
    assert "bad" in result.err and "exit status 7" in result.err
    result = daemon.vmkeep(*collect, "/bin/sh", "-c", "kill -9 $$")
    assert result.code == 137 and "signal 9" in result.err
    assert len(daemon.ok(*collect, "/bin/head", "-c", "1000000", "/dev/zero")) == 1000000
    assert "/bin/nothing" in daemon.fails(125, *collect, "/bin/nothing")
    said = daemon.fails(125, "guest", "exec", "a", "--collect", "--timeout", "1", "/bin/sleep", "20")
    assert "still running in the guest" in said
    assert daemon.one("guest", "exec", "a", "/bin/echo", "x")["out_base64"] == "eAo="

    rows = {row["mountpoint"]: row for row in daemon.rows("guest", "fs", "a")}
    assert rows["/mnt"]["size"] > 50 << 20
    trimmed = {row["path"]: row for row in daemon.rows("guest", "trim", "a")}
    assert trimmed["/mnt"]["bytes"] > 0 and not trimmed["/mnt"]["error"]

    console.run("date -s '2001-02-03 04:05:06'")
    assert daemon.one("guest", "time", "a")["skew"] < -86400
    assert abs(daemon.one("guest", "time", "a", "--sync")["skew"]) < 5
    assert int(console.run("date +%s")) > time.time() - 60

    daemon.ok("guest", "passwd", "a", "root", input="opensesame\n")
    assert "root:$" in console.run("cat /etc/shadow")
    assert "opensesame" not in vmk.read_text(os.path.join(daemon.base, "daemon.log"))
    daemon.fails(8, "guest", "passwd", "a", "nobody-here", input="x\n")
    daemon.fails(2, "guest", "passwd", "a", "root", input="\n")

    assert daemon.one("qemu-agent-command", "a", '{"execute": "guest-get-vcpus"}')["return"][0]["online"] is True
    assert "vmkeep guest freeze" in daemon.fails(2, "guest", "command", "a", "guest-fsfreeze-freeze")
    daemon.fails(8, "guest", "command", "a", "guest-nonsense")

    daemon.ok("pause", "a")
    assert "resume" in daemon.fails(5, "guest", "ping", "a")
    daemon.ok("resume", "a")
    daemon.ok("guest", "ping", "a")
    console.run("kill $(cat /run/qga/pid)")
    daemon.eventually(lambda: daemon.info("a")["agent"], lambda state: state == "closed")
    assert "no guest agent" in daemon.fails(5, "guest", "ping", "a")


def test_no_agent(daemon):
    """F46: with the port closed, verbs fail at once, and stop uses the power button immediately."""
    daemon.micro("a")
    daemon.up("a")
    assert daemon.info("a")["agent"] == "closed"
    assert "qemu-guest-agent" in daemon.fails(5, "guest", "ping", "a")
    daemon.client().at_once("guest-ping", name="a")
    daemon.ok("stop", "a")
    assert "asking the guest agent" not in vmk.read_text(os.path.join(daemon.base, "daemon.log"))
    daemon.micro("b", extra="[Agent]\nEnable=no\n")
    daemon.up("b")
    assert daemon.info("b")["agent"] is None
    assert "[Agent]" in daemon.fails(5, "guest", "freeze", "b")


def test_roles(daemon):
    daemon.micro("a", vm="Owner=alice\n")
    daemon.up("a")
    view, owner = {"user": "bob", "groups": ["vmkeep-view"]}, {"user": "alice"}
    daemon.fails(9, "guest", "ping", "a", user="bob")
    daemon.fails(5, "guest", "ping", "a", **view)
    for words in (["exec", "a", "/bin/true"], ["freeze", "a"], ["command", "a", "guest-ping"],
                  ["push", "a", "/etc/passwd", "/x"], ["pull", "a", "/x", "/tmp/x"]):
        stream = words[0] == "exec"
        assert "denied" in daemon.fails(125 if stream else 9, "guest", *words, **view)
        assert "no guest agent" in daemon.fails(125 if stream else 5, "guest", *words, **owner)
    daemon.fails(9, "guest", "passwd", "a", "root", input="x\n", **view)


def test_freeze_ends(daemon, linux):
    """F47: by thaw, at its timeout, or by the next daemon after this one is killed."""
    console = boot(daemon, extra=DISK)
    with_data(daemon, console)
    result = daemon.one("guest", "freeze", "a", "--timeout", "1min")
    assert result["frozen"] >= 1
    assert daemon.info("a")["frozen"] is True and frozen_mark(daemon)
    assert "already frozen" in daemon.fails(5, "guest", "freeze", "a")
    console.run("(touch /mnt/x; echo written >/dev/ttyS0) & true")
    assert daemon.one("guest", "thaw", "a")["thawed"] >= 1
    console.until("written")
    assert not daemon.info("a")["frozen"] and not frozen_mark(daemon)

    # at its timeout
    daemon.ok("guest", "freeze", "a", "--timeout", "1")
    console.run("(touch /mnt/y; echo written >/dev/ttyS0) & true")
    console.until("written")
    daemon.eventually(lambda: frozen_mark(daemon), lambda there: not there)

    # by the next daemon after this one is killed
    daemon.ok("guest", "freeze", "a", "--timeout", "1h")
    console.end()
    daemon.kill_daemon()
    assert frozen_mark(daemon)
    daemon.start()
    daemon.eventually(lambda: frozen_mark(daemon), lambda there: not there)
    daemon.console("a").run("touch /mnt/z")
    daemon.ok("guest", "ping", "a")

    # a frozen guest too is stopped by its agent
    daemon.ok("guest", "freeze", "a", "--timeout", "1h")
    daemon.ok("stop", "a")
    assert not frozen_mark(daemon)
    assert "guest shut down by its agent" in vmk.read_text(os.path.join(daemon.base, "daemon.log"))


def test_mark_goes_with_the_process(daemon, linux):
    """A guest that died frozen is not considered frozen after its next start."""
    console = boot(daemon, extra=DISK)
    with_data(daemon, console)
    daemon.ok("guest", "freeze", "a", "--timeout", "1h")
    console.end()
    daemon.kill_daemon()
    daemon.kill(next(pid for pid, line in daemon.processes().items() if "guest=a," in line))
    assert frozen_mark(daemon)
    daemon.start()
    daemon.eventually(lambda: frozen_mark(daemon), lambda there: not there)
    daemon.ok("kill", "a")


@pytest.mark.parametrize("how, said", [
    ("guest.acpi=ignore", "guest shut down by its agent"),
    ("", "had no effect"),
])
def test_shutdown(daemon, linux, how, said):
    """F46: by the agent first, even if the guest ignores the power button; by the button if the agent's shutdown has
    no effect."""
    console = boot(daemon, how)
    if not how:
        console.run("echo '#!/bin/sh' >/sbin/shutdown")
    daemon.ok("stop", "a")
    assert daemon.info("a")["reason"] == "guest-shutdown"
    log = vmk.read_text(os.path.join(daemon.base, "daemon.log"))
    assert said in log and ("had no effect" in log) == (not how)


def test_adopted(daemon, linux):
    """A new daemon asks for the agent's state, because the event was sent to the old one."""
    boot(daemon, "guest.acpi=ignore").end()
    daemon.kill_daemon()
    daemon.start()
    daemon.eventually(lambda: daemon.info("a").get("agent"), lambda state: state == "open")
    daemon.ok("guest", "ping", "a")
    daemon.ok("stop", "a")
