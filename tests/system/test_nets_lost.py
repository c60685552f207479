# SPDX-License-Identifier: MIT
"""Whatever is lost of a network's files, and whoever renames its bridge: it goes on as it was, with one dnsmasq, one
bridge, one table, the guest's address; and a stop takes all of it away."""
import json
import os
import shutil

import pytest

import vmk
from test_network import link, micro_with_nic
from test_walks import DAMAGES
from walk import walk

FILES = """run/networks/door run/networks/default.json run/networks/default.d/dnsmasq.pid
    run/networks/default.d/dnsmasq.conf run/networks/default.d/resolv.conf run/networks/default.d/hosts/a:lan
    state/networks/default.json state/networks/default.leases""".split()
FOLDERS = ["run/networks", "run/networks/default.d", "run/networks/default.d/hosts", "state/networks"]
TABLE = "vmkeep_default"


def dnsmasqs(world):
    return sorted(pid for pid, line in world.processes().items() if line.startswith(("dnsmasq ", "/usr/sbin/dnsmasq ")))


def tables(world):
    return [line.split()[2] for line in world.exec("nft", "list", "tables", "inet").splitlines()]


def up(world):
    micro_with_nic(world, "a")
    world.ok("start", "a")
    assert len(dnsmasqs(world)) == 1


def look(world):
    bridges = [one["ifname"] for one in json.loads(world.exec("ip", "-json", "link", "show", "type", "bridge"))]
    row, = world.rows("net", "list")
    return {"bridges": bridges, "tables": sorted(tables(world)), "subnet": row["subnet"], "health": row["health"],
            "address": world.rows("ip", "a")[0]["address"], "state": row["state"],
            "taps": link(world, "vk0").get("master"), "dnsmasqs": len(dnsmasqs(world)),
            "known": [row["dnsmasq"]] == dnsmasqs(world)}


def same(world, before):
    world.eventually(lambda: look(world), lambda now: now == before, timeout=10)
    assert list(world.states().values()) == ["running"]


def whole(world):
    """Its files are there, and dnsmasq sees them."""
    top = world.inner(world.run) + "/networks/"
    assert json.loads(vmk.read_text(top + "default.json"))["network"] == "default"
    pid, = dnsmasqs(world)
    assert vmk.read_text(top + "default.d/hosts/a:lan")
    assert world.exec("cat", "/proc/%d/root%s/networks/default.d/hosts/a:lan" % (pid, world.run))


def ends(world):
    """A stop leaves nothing behind."""
    world.ok("kill", "a")
    world.ok("net", "stop", "default")
    assert world.links() == {"lo"} and not tables(world)
    world.eventually(lambda: dnsmasqs(world), lambda found: not found)
    for folder, _, names in os.walk(world.state):
        for name in names:
            if ".damaged" in name:
                os.unlink(os.path.join(folder, name))


def hurt(world, what, damage=None):
    path = os.path.join(world.inner(world.base), what)
    if damage:
        DAMAGES[damage](path)
    else:
        shutil.rmtree(path)


@walk("file, damage", FILES, DAMAGES, some=4)
@pytest.mark.parametrize("daemon_is", ["down", "up"])
def test_file(daemon, file, damage, daemon_is):
    up(daemon)
    before = look(daemon)
    if daemon_is == "down":
        daemon.kill_daemon()
    hurt(daemon, file, damage)
    if daemon_is == "down":
        daemon.start()
    else:
        daemon.ok("reload")
    same(daemon, before)
    whole(daemon)
    ends(daemon)


@pytest.mark.parametrize("folder", FOLDERS)
@pytest.mark.parametrize("daemon_is", ["down", "up"])
def test_folder(daemon, folder, daemon_is):
    """Its directory, with all in it; nobody tells the daemon."""
    up(daemon)
    before = look(daemon)
    if daemon_is == "down":
        daemon.kill_daemon()
    hurt(daemon, folder)
    if daemon_is == "down":
        daemon.start()
    else:
        daemon.eventually(lambda: os.path.exists(os.path.join(daemon.inner(daemon.base), folder)), bool)
    same(daemon, before)
    whole(daemon)
    ends(daemon)


def test_run_and_state_of_all_networks(daemon):
    """Nothing is left to tell what the network is but what stands; with another subnet written meanwhile."""
    daemon.write("default.network", "[Network]\nAddress=10.3.0.1/24\n")
    up(daemon)
    before, pid = look(daemon), daemon.info("a")["pid"]
    daemon.kill_daemon()
    hurt(daemon, "run/networks")
    hurt(daemon, "state/networks")
    daemon.write("default.network", "[Network]\nAddress=10.4.0.1/24\n")
    daemon.start()
    same(daemon, before)
    assert before["subnet"] == "10.3.0.0/24" and daemon.info("a")["pid"] == pid
    ends(daemon)


@pytest.mark.parametrize("record", ["kept", "lost"])
@pytest.mark.parametrize("daemon_is", ["down", "up"])
def test_renamed_bridge(daemon, record, daemon_is):
    up(daemon)
    before = look(daemon)
    if daemon_is == "down":
        daemon.kill_daemon()
    if record == "lost":
        hurt(daemon, "run/networks/default.json", "gone")
    daemon.exec("ip", "link", "set", "virbr0", "down")
    daemon.exec("ip", "link", "set", "virbr0", "name", "odd0")
    if daemon_is == "down":
        daemon.start()
    else:
        daemon.ok("reload")
    same(daemon, before)
    ends(daemon)


@pytest.mark.parametrize("taken", [False, True])
def test_stop_after_a_rename(daemon, taken):
    """Also when another one has its name by now: that stays."""
    daemon.ok("net", "start", "default")
    daemon.exec("ip", "link", "set", "virbr0", "down")
    daemon.exec("ip", "link", "set", "virbr0", "name", "odd0")
    if taken:
        daemon.exec("ip", "link", "add", "virbr0", "type", "bridge")
    daemon.ok("net", "stop", "default")
    assert daemon.links() == ({"lo", "virbr0"} if taken else {"lo"})
    if taken:
        daemon.exec("ip", "link", "del", "virbr0")


def test_dnsmasq_without_a_bridge(daemon):
    daemon.ok("net", "start", "default")
    daemon.kill_daemon()
    hurt(daemon, "run/networks")
    daemon.exec("ip", "link", "del", "virbr0")
    daemon.start()
    daemon.eventually(lambda: dnsmasqs(daemon), lambda found: not found)
    daemon.ok("net", "start", "default")
    daemon.ok("net", "stop", "default")


FORGED = "import sys, time; print('here', flush=True); time.sleep(3600)"


@pytest.mark.parametrize("bridge", [True, False])
def test_a_forged_command_line(daemon, bridge):
    """Who only says that it is our dnsmasq is neither taken nor ended."""
    daemon.ok("net", "start", "default")
    daemon.kill_daemon()
    forged = daemon.stream_of("/usr/bin/python3", "-c", FORGED, "--conf-file=%s/networks/default.d/dnsmasq.conf" % daemon.run)
    forged.until("here")
    pid, = dnsmasqs(daemon)
    hurt(daemon, "run/networks")
    if not bridge:
        daemon.kill(pid)
        daemon.exec("ip", "link", "del", "virbr0")
    daemon.start()
    daemon.ok("net", "start", "default")
    daemon.eventually(lambda: daemon.rows("net", "list")[0], lambda row: [row["dnsmasq"]] == dnsmasqs(daemon))
    daemon.ok("net", "stop", "default")
    assert forged.process.poll() is None
    forged.end()
