# SPDX-License-Identifier: MIT
"""A snapshot of a guest's memory while it is written: what it excludes, and what happens without enough space."""
import os

import pytest

from test_memory_snapshot import edit
from smallfs import grow_line, mount_line


@pytest.mark.usefixtures("linux")
def test_busy_excludes_others_and_kill_ends_it(daemon):
    """F45: while memory is written other operations are refused, but the guest can be killed."""
    daemon.linux("a", "guest.net=none")
    edit(daemon, "a.vm", "Memory=128M\n", "Memory=128M\nNetworks=none\n")
    daemon.up("a", "ready after .*\n")
    client, other = daemon.client(timeout=60), daemon.client(timeout=60)
    for _ in range(3):
        job = client.send("snapshot-create", {"name": "a", "snapshot": "x"})
        client.event("JOB_STARTED")
        second = other.send("snapshot-create", {"name": "a", "snapshot": "y"})
        stop = other.send("vm-stop", {"name": "a"})
        answers = {}
        while not {second, stop} <= set(answers):
            message = other.receive()
            answers[message.get("id")] = message
        assert answers[second]["error"]["class"] == "Conflict"
        assert "snapshot-create 'x'" in answers[stop]["error"]["desc"]
        while client.receive().get("id") != job:
            pass
        daemon.ok("snapshot", "delete", "a", "x")
    job = client.send("snapshot-create", {"name": "a", "snapshot": "z"})
    client.event("JOB_STARTED")
    daemon.kill(daemon.info("a")["pid"])
    message = client.receive()
    while message.get("id") != job:
        message = client.receive()
    daemon.ok("kill", "a")
    listed = [row["snapshot"] for row in daemon.rows("snapshot", "list", "a")]
    # QEMU may have completed it, and been killed before it could report that
    assert listed == ["z"] or (listed == [] and "error" in message)
    daemon.ok("snapshot", "create", "a", "again")


@pytest.mark.usefixtures("linux")
def test_no_room_for_the_memory(daemon):
    """The guest keeps running as if nothing had been requested, and with more space it works."""
    daemon.linux("a", "guest.net=none")
    edit(daemon, "a.vm", "Memory=128M\n", "Memory=128M\nNetworks=none\n")
    daemon.exec("sh", "-c", mount_line(daemon.images, "8m", "711"))
    image = os.path.join(daemon.images, "a.qcow2")
    daemon.exec("qemu-img", "create", "-q", "-f", "qcow2", image, "1M")
    console = daemon.up("a", "ready after .*\n")
    assert "is there space" in daemon.fails(1, "snapshot", "create", "a", "x", timeout=60)
    assert daemon.info("a")["state"] == "running"
    assert console.run("echo well") == "well\n"
    assert daemon.rows("snapshot", "list", "a") == []
    daemon.exec("sh", "-c", grow_line(daemon.images, "256m"))
    daemon.ok("snapshot", "create", "a", "x", timeout=60)
    assert console.run("echo well") == "well\n"
    daemon.ok("snapshot", "delete", "a", "x")
    daemon.ok("kill", "a")
    daemon.exec("umount", daemon.images)
