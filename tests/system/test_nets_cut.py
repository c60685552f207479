# SPDX-License-Identifier: MIT
"""Rules, bridges and taps that someone else removed or moved: guests that are cut off are reported, and a reload or a start
connects them again."""
import pytest

from test_nets_lost import tables, up
from test_network import link, micro_with_nic


@pytest.mark.parametrize("what", ["ruleset", "network", "taps"])
@pytest.mark.parametrize("cure", ["reload", "start"])
def test_lost_rules(daemon, what, cure):
    """As after a reload of nftables.service: reported at once, and loaded again when they are needed."""
    up(daemon)
    micro_with_nic(daemon, "b")
    before = sorted(tables(daemon))
    own = daemon.one("net", "show", "default")["table"]
    lost = own if what == "network" else next(name for name in before if name != own)
    daemon.exec(*(["nft", "flush", "ruleset"] if what == "ruleset" else ["nft", "delete", "table", "inet", lost]))
    why = "its firewall rules are gone: vmkeep reload restores them"
    assert daemon.rows("net", "list")[0]["health"] == why
    shown = daemon.vmkeep("list", "--problems")
    assert (shown.code, shown.out) == (1, "WARNING network default: %s\n" % why)
    daemon.ok(*(["reload"] if cure == "reload" else ["start", "b"]))
    daemon.eventually(lambda: daemon.rows("net", "list")[0]["health"], lambda health: health == "ok")
    assert sorted(tables(daemon)) == before
    daemon.ok("kill", "a", "b")
    daemon.ok("net", "stop", "default")
    assert not tables(daemon)


def test_stopped_under_its_guests(daemon):
    """Guests of a stopped network are cut off until it is started again; list, info, net list and list --problems
    show that, also after a restart of the daemon."""
    def told():
        rows = {row["name"]: row["health"] for row in daemon.rows("list")}
        assert rows == {name: daemon.info(name)["health"] for name in ("a", "b")} and rows["b"] == "ok"
        network, = daemon.rows("net", "list")
        return rows["a"], network["health"], daemon.vmkeep("list", "--problems").out.rstrip("\n")
    fine = ("ok", "ok", "OK: no problems")
    up(daemon)
    daemon.micro("b", "deaf")
    daemon.ok("start", "b")
    assert told() == fine
    daemon.ok("net", "stop", "default", "--force")
    why = "NIC 'lan' is cut off: network 'default' is down: vmkeep net start default"
    lost = (why, "1 NIC is cut off: vmkeep net start default", "WARNING a: " + why)
    assert told() == lost
    assert daemon.vmkeep("list", "--problems", "a").out == "WARNING a: %s\n" % why
    assert "cut off" in next(line for line in daemon.ok("list").splitlines() if line.startswith("a "))
    assert daemon.ok("reload") == "no problems\n", "what somebody stopped is not to be repaired"
    assert told() == lost
    daemon.kill_daemon()
    daemon.start()
    daemon.eventually(lambda: daemon.info("a")["health"], lambda health: health == why)
    assert told() == lost
    daemon.ok("net", "start", "default")
    assert told() == fine and link(daemon, "vk0")["master"] == "virbr0"
    daemon.ok("net", "stop", "default", "--force")
    daemon.ok("kill", "a")
    assert told() == fine


def test_foreign_bridge_made_anew(daemon):
    """The bridge is recreated or taken down, or the tap detached: reported, and fixed by reload."""
    def told():
        shown = daemon.vmkeep("list", "--problems")
        assert shown.code == (0 if shown.out == "OK: no problems\n" else 1), shown
        assert daemon.vmkeep("list", "--problems", "a").out == shown.out
        assert daemon.vmkeep("list", "--problems", "b*").out == "OK: no problems\n"
        health = daemon.info("a")["health"]
        assert shown.out == ("OK: no problems\n" if health == "ok" else "WARNING a: %s\n" % health)
        return shown.out.rstrip("\n")

    def bridge(*words):
        daemon.exec("ip", "link", *words)
    bridge("add", "br0", "type", "bridge")
    bridge("set", "br0", "up")
    micro_with_nic(daemon, "a", "Bridge=br0\n")
    daemon.ok("start", "a")
    assert told() == "OK: no problems"
    bridge("del", "br0")
    assert told() == "WARNING a: NIC 'lan' is cut off: bridge 'br0' is gone"
    assert "VM a: NIC 'lan' is cut off" in daemon.vmkeep("reload").out
    bridge("add", "br0", "type", "bridge")
    assert told() == "WARNING a: NIC 'lan' is not on bridge 'br0': vmkeep reload"
    assert "is down: ip link set br0 up" in daemon.vmkeep("reload").out
    assert link(daemon, "vk0")["master"] == "br0"
    assert told() == "WARNING a: bridge 'br0' of NIC 'lan' is down: ip link set br0 up"
    bridge("set", "br0", "up")
    bridge("set", "vk0", "nomaster")
    assert told() == "WARNING a: NIC 'lan' is not on bridge 'br0': vmkeep reload"
    daemon.ok("reload")
    assert (link(daemon, "vk0")["master"], told()) == ("br0", "OK: no problems")
    bridge("set", "vk0", "down")
    assert told() == "WARNING a: the tap of NIC 'lan' is down: vmkeep reload"
    daemon.ok("reload")
    assert told() == "OK: no problems"
    bridge("del", "vk0")
    assert told() == "WARNING a: the tap of NIC 'lan' is gone from this host's network"
    daemon.ok("kill", "a")
    assert told() == "OK: no problems"
    bridge("del", "br0")


def test_tap_elsewhere(daemon):
    """A renamed tap is shown with its new name; a detached one is reattached; one in another namespace is gone."""
    daemon.exec("ip", "netns", "add", "away")
    daemon.exec("ip", "netns", "del", "away")
    daemon.mounts = daemon.mount_points()  # the first namespace leaves a mount behind, and no guest runs yet
    up(daemon)
    daemon.exec("ip", "link", "set", "vk0", "down")
    daemon.exec("ip", "link", "set", "vk0", "name", "odd0")
    assert daemon.info("a")["nics"][0]["interface"] == "odd0"
    assert daemon.one("net", "show", "default")["nics"][0]["tap"] == "odd0"
    daemon.exec("ip", "link", "set", "odd0", "nomaster")
    assert "not on its bridge" in daemon.rows("net", "list")[0]["health"]
    why = "NIC 'lan' is not on bridge 'virbr0': vmkeep reload"
    assert daemon.info("a")["health"] == why
    assert daemon.vmkeep("list", "--problems").out == daemon.vmkeep("list", "--problems", "a").out == "WARNING a: %s\n" % why
    daemon.ok("reload")
    assert link(daemon, "odd0")["master"] == "virbr0" and daemon.rows("net", "list")[0]["health"] == "ok"
    daemon.exec("ip", "netns", "add", "away")
    daemon.exec("ip", "link", "set", "odd0", "netns", "away")
    assert "'a' is gone" in daemon.rows("net", "list")[0]["health"]
    assert daemon.info("a")["nics"][0]["interface"] is None
    assert "VM a: the tap of NIC 'lan' is gone" in daemon.vmkeep("reload").out + daemon.vmkeep("reload").err
    daemon.ok("kill", "a")
    daemon.exec("ip", "netns", "del", "away")
