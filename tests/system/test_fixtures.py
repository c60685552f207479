# SPDX-License-Identifier: MIT
"""This daemon takes over what each released daemon left behind: nothing is lost, changed or ended."""
import os

import pytest

import fixture

RELEASES = sorted(name for name in os.listdir(fixture.FOLDER)
                  if os.path.exists(os.path.join(fixture.FOLDER, name, "world.json")))
# What may differ: what changes with time, and what depends on the installed QEMU.
PASSING = {"uptime", "outdated", "seen"}
TIMES = {"since", "started", "expires"}


@pytest.fixture(params=RELEASES)
def former(world, request):
    laid = fixture.Fixture(world, request.param)
    laid.lay_out()
    world.start()
    for name, doc in laid.of("info"):
        if doc["pid"]:
            world.wait_state(name, doc["state"])
    # dnsmasq is restarted if this daemon configures it differently
    world.eventually(lambda: world.rows("net", "list"), lambda nets: all(net["health"] == "ok" for net in nets))
    return laid


def by_nic(row):
    """NICs are listed in the order in which they were adopted; everything else keeps its order."""
    return (row["vm"], row["nic"]) if isinstance(row, dict) and {"vm", "nic"} <= set(row) else ()


def same(laid, then, now, where):
    """Everything that the old daemon showed is shown unchanged; there may be more."""
    if isinstance(then, dict):
        if "columns" in then:
            then, now = ([dict(zip(t["columns"], row)) for row in t["rows"]] for t in (then, now))
            return same(laid, then, now, where)
        for key, value in then.items():
            assert key in now, "%s has no %s" % (where, key)
            if key == "pid":
                value = laid.pid_now(value)
            if key == "dnsmasq":
                assert now[key] and value, where
                continue
            if key in ("reason", "since") and then.get("state") == "stopped":
                continue  # known only to the old daemon; the history remains
            if key in TIMES and value is not None:
                assert abs(now[key] - laid.moved(value)) < 2, "%s, %s" % (where, key)
            elif key not in PASSING:
                same(laid, value, now[key], "%s, %s" % (where, key))
    elif isinstance(then, list):
        assert len(now) >= len(then) if where.startswith("history") else len(now) == len(then), where
        for n, pair in enumerate(zip(*(sorted(rows, key=by_nic) for rows in (then, now)))):
            same(laid, *pair, "%s, %d" % (where, n))
    else:
        assert now == then, "%s was %r and is %r" % (where, then, now)
    return None


def test_all_is_as_it_was(former):
    """Lists, identities, reasons, histories, snapshots, networks and leases are the same, and so are the guests."""
    world = former.world
    for command, then in former.saved["shown"].items():
        same(former, then, fixture.shown(world, command), command)
    guests = {pid for name, pid in former.pids.items() if "info " + name in former.saved["shown"]}
    assert guests and guests < set(world.processes())
    for name in former.saved["files"]:
        assert not os.path.exists(former.inner(name) + ".damaged")
    assert "damaged" not in open(os.path.join(world.base, "daemon.log"), encoding="utf-8").read()


def test_running_guests_are_in_hand(former):
    """Their consoles work, and they can be resumed, stopped and killed."""
    world = former.world
    console = world.console("wired")
    console.type("x")
    console.until("x")
    world.ok("resume", "held")
    world.ok("stop", "held", "calm")
    world.ok("kill", "wired")
    assert {world.states()[name] for name in ("held", "calm", "wired")} == {"stopped"}
    world.eventually(world.processes, lambda found: not {former.pids[name] for name in (
        "held", "calm", "wired")} & set(found))


def test_resting_guests_can_be_helped(former):
    """A pending restart is cancelled by stop, and a failure by reset-failed; both VMs keep their identity, and an old
    snapshot can be reverted to."""
    world = former.world
    uuids = {name: world.info(name)["uuid"] for name in ("lost", "back", "kept")}
    world.ok("stop", "back")
    world.ok("reset-failed", "lost")
    for name in ("lost", "back"):
        world.micro(name)
    world.ok("snapshot", "revert", "kept", "off")
    for name, uuid in uuids.items():
        world.up(name)
        assert world.info(name)["uuid"] == uuid
