# SPDX-License-Identifier: MIT
"""Snapshots made by other programs: whatever their names, they can be used as the list prints them, and the right one
is reverted to or deleted. QEMU prefers ids to names, and of several with the same name takes the first."""
import json
import os

import pytest

from vmk import SLOW

NAMES = ["1700000000", "2", "1", "x", "x", "", "-d", "a b", "\u00fc", "17\n00", "9", "it's"]


def image(world):
    return os.path.join(world.images, "a.qcow2")


def listed(world):
    """(id, name) as reported by qemu-img."""
    info = json.loads(world.exec("qemu-img", "info", "-U", "--output=json", image(world)))
    return [(s["id"], s["name"]) for s in info.get("snapshots", [])]


def content(world):
    told = world.exec("qemu-io", "-r", "-f", "qcow2", "-c", "read -v 512k 1", image(world))
    return int(told.split()[1], 16)


@pytest.fixture
def odd(daemon):
    """The content of each snapshot is its id."""
    daemon.micro("a", "deaf", disk="qcow2")
    for number, name in enumerate(NAMES, 1):
        daemon.exec("qemu-io", "-f", "qcow2", "-c", "write -P %d 512k 512" % number, image(daemon))
        daemon.exec("qemu-img", "snapshot", "-c", name, image(daemon))
    assert listed(daemon) == [(str(number), name) for number, name in enumerate(NAMES, 1)]
    return daemon


def typed(row, printed):
    """The arguments that name a row of the list."""
    return ["--id=" + row["id"], "--", printed] if row["id"] else ["--", printed]


def test_each_by_what_the_list_prints(odd):
    rows = odd.rows("snapshot", "list", "a")
    lines = odd.ok("snapshot", "list", "a").splitlines()
    assert len(rows) == len(NAMES) and len(lines) == len(rows) + 1
    assert sorted(row["id"] for row in rows if row["id"]) == ["4", "5"], "only those that share a name need one"
    for row, line in zip(rows, lines[1:]):
        number = int(row["id"] or NAMES.index(row["snapshot"]) + 1)
        printed = line[:lines[0].index("CREATED")].rstrip() if " " not in row["snapshot"] else row["snapshot"]
        odd.ok("snapshot", "revert", "a", *typed(row, printed.split("  ")[0]))
        assert content(odd) == number, row
    assert "4, 5" in odd.fails(3, "snapshot", "revert", "a", "x")
    assert "4, 5" in odd.fails(3, "snapshot", "delete", "a", "x")
    assert "--id 4" in odd.fails(3, "snapshot", "delete", "a", "x", "--id", "5")
    odd.fails(4, "snapshot", "delete", "a", "x", "--id", "1")
    odd.fails(2, "snapshot", "create", "a", "7")
    assert len(listed(odd)) == len(NAMES)


def test_each_is_deleted_alone(odd):
    left = listed(odd)
    for number, name in list(left):
        word = ["--id=" + number] if name == "x" else []
        odd.ok("snapshot", "delete", "a", *word, "--", name.replace("\n", "\\x0a"))
        left.remove((number, name))
        assert listed(odd) == left
    assert odd.rows("snapshot", "list", "a") == []


def saved(world, tag):
    """Saves a snapshot like libvirt."""
    world.qmp("a", "snapshot-save", **{"job-id": "other", "tag": tag, "vmstate": "d-root", "devices": ["d-root"]})
    world.eventually(lambda: world.qmp("a", "query-jobs"), lambda jobs: jobs[0]["status"] == "concluded", timeout=20)
    world.qmp("a", "job-dismiss", id="other")


def test_memory_that_others_saved(daemon):
    """Its name is a number; if that is the id of another snapshot, QEMU would load that one."""
    daemon.micro("a", "count", disk="qcow2")
    daemon.exec("qemu-img", "snapshot", "-c", "first", image(daemon))
    console = daemon.up("a")
    console.type(".")
    console.until("a")
    saved(daemon, "1700000000")
    saved(daemon, "1")
    console.type(".")
    console.until("b")
    said = daemon.fails(3, "snapshot", "revert", "a", "1")
    assert "QEMU would load another snapshot" in said and "--disks-only" in said
    assert "would be refused" in daemon.vmkeep("snapshot", "revert", "a", "1", "--dry-run").out
    console.type(".")
    console.until("c")
    daemon.ok("snapshot", "revert", "a", "1700000000", timeout=20 * SLOW)
    console.type(".")
    console.until("b")
    daemon.ok("snapshot", "delete", "a", "1")
    assert listed(daemon) == [("1", "first"), ("2", "1700000000")]
    daemon.ok("kill", "a")
    daemon.ok("snapshot", "revert", "a", "1700000000", timeout=20 * SLOW)
    console = daemon.console("a")
    console.type(".")
    console.until("b$")
    daemon.ok("snapshot", "delete", "a", "1700000000")
    assert listed(daemon) == [("1", "first")]
