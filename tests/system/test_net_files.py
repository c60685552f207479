# SPDX-License-Identifier: MIT
"""Verbs about networks use the current files; the daemon needs no notification of changes."""
import os

FRESH = "[Network]\nMode=nat\nBridge=%s\nAddress=10.20.0.1/24\n"


def listed(world):
    return {row["name"]: row for row in world.rows("net", "list")}


def test_new_changed_removed(daemon):
    assert set(listed(daemon)) == {"default"}
    path = daemon.write("fresh.network", FRESH % "fresh0")
    assert listed(daemon)["fresh"]["bridge"] == "fresh0"
    daemon.write("other.network", FRESH % "other0")
    assert daemon.one("net", "show", "other")["bridge"] == "other0"
    assert daemon.rows("net", "leases", "other") == []
    daemon.ok("net", "stop", "other")

    daemon.write("fresh.network", FRESH % "fresh1")
    assert daemon.one("net", "show", "fresh")["bridge"] == "fresh1"
    assert listed(daemon)["fresh"]["bridge"] == "fresh1"
    daemon.write("fresh.network", "[Network]\nBrigde=x\n")
    assert listed(daemon)["fresh"]["bridge"] == "fresh1"  # an invalid file keeps its previous meaning

    os.unlink(path)
    os.unlink(daemon.config + "/other.network")
    assert "no network 'fresh'" in daemon.fails(4, "net", "show", "fresh")
    assert "no network 'other'" in daemon.fails(4, "net", "leases", "other")
    assert set(listed(daemon)) == {"default"}


def test_of_one_that_stands(daemon):
    """Its file may change or be removed: the list shows the actual state, and that it differs from the file."""
    path = daemon.write("lab.network", FRESH % "lab0")
    daemon.ok("net", "start", "lab")
    assert listed(daemon)["lab"]["health"] == "ok"
    daemon.write("lab.network", FRESH % "lab1")
    row = listed(daemon)["lab"]
    assert (row["bridge"], row["state"]) == ("lab0", "up")
    assert "its file has changed" in row["health"]
    daemon.ok("net", "stop", "lab")
    daemon.ok("net", "start", "lab")
    assert (listed(daemon)["lab"]["bridge"], listed(daemon)["lab"]["health"]) == ("lab1", "ok")

    os.unlink(path)
    row = listed(daemon)["lab"]
    assert row["state"] == "up" and "its file is gone" in row["health"]
    assert daemon.one("net", "show", "lab")["bridge"] == "lab1"
    daemon.ok("net", "stop", "lab")
    assert "lab" not in listed(daemon)
