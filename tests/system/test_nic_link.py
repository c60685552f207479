# SPDX-License-Identifier: MIT
"""nic link: the cable of a running guest's NIC, as the guest, the host, the records and the next daemon see it."""
import json
import os

import pytest

import vmk
from test_hostile_taps import up as tap_is_up
from test_network import micro_with_nic


def record(daemon, name="a"):
    with open(os.path.join(daemon.run, "vms", name, "record.json"), encoding="utf-8") as f:
        return json.load(f)


def link(daemon, name="a", nic="lan"):
    return next(n["link"] for n in daemon.info(name)["nics"] if n["nic"] == nic)


def settled(daemon):
    daemon.eventually(lambda: "cable" in record(daemon), lambda there: not there, 30)
    state = link(daemon)
    assert record(daemon)["nics"][0]["link"] == (state == "up")
    daemon.eventually(lambda: tap_is_up(daemon, "vk0"), lambda now: now == (state == "up"))
    return state


def test_down_and_up(daemon):
    micro_with_nic(daemon, "a")
    daemon.ok("start", "a")
    text = vmk.read_text(daemon.config + "/a.vm")
    assert link(daemon) == "up" and tap_is_up(daemon, "vk0")
    assert daemon.ok("nic", "link", "a", "lan", "down").strip() == "a: the link of NIC 'lan' is down"
    assert settled(daemon) == "down"
    assert daemon.vmkeep("list", "--problems").code == 0
    assert "Link" in daemon.vmkeep("diff", "a").out
    daemon.qmp("a", "system_reset")
    assert settled(daemon) == "down"
    assert daemon.one("nic", "link", "a", "lan", "down") == {"name": "a", "nic": "lan", "link": "down",
                                                             "persistent": False}
    daemon.ok("domif-setlink", "a", "lan", "up")
    assert settled(daemon) == "up" and daemon.vmkeep("diff", "a").code == 0
    assert vmk.read_text(daemon.config + "/a.vm") == text


def test_next_start(daemon):
    micro_with_nic(daemon, "a")
    daemon.ok("start", "a")
    daemon.ok("nic", "link", "a", "lan", "down")
    daemon.ok("kill", "a")
    daemon.ok("start", "a")
    assert settled(daemon) == "up"
    assert daemon.one("nic", "link", "a", "lan", "down", "--persistent")["persistent"] is True
    assert "Link=down" in vmk.read_text(daemon.config + "/a.vm") and daemon.vmkeep("diff", "a").code == 0
    daemon.ok("kill", "a")
    daemon.ok("start", "a")
    assert settled(daemon) == "down"
    daemon.ok("nic", "link", "a", "lan", "up", "--persistent")
    assert settled(daemon) == "up" and daemon.vmkeep("diff", "a").code == 0


def test_a_changed_file_does_not_change_it(daemon):
    """Nor does a network that goes and comes back."""
    micro_with_nic(daemon, "a")
    daemon.ok("start", "a")
    daemon.ok("set", "a", "NIC.lan.Link=down")
    assert settled(daemon) == "up"
    daemon.ok("nic", "link", "a", "lan", "down")
    daemon.ok("set", "a", "NIC.lan.Link=up")
    for state in ("down", "up"):
        daemon.ok("nic", "link", "a", "lan", state)
        daemon.ok("net", "stop", "default", "--force")
        daemon.ok("net", "start", "default")
        assert settled(daemon) == state
    daemon.ok("net", "stop", "default", "--force")
    daemon.ok("nic", "link", "a", "lan", "down")
    daemon.ok("nic", "link", "a", "lan", "up")
    assert not tap_is_up(daemon, "vk0"), "without a bridge it stays down"
    daemon.ok("net", "start", "default")
    assert settled(daemon) == "up"


def test_refused(daemon):
    micro_with_nic(daemon, "a")
    daemon.ok("set", "a", "VM.Owner=alice")
    daemon.micro("none")
    daemon.fails(5, "nic", "link", "a", "lan", "down")
    daemon.ok("start", "a")
    daemon.up("none")
    for code, says, words in [(4, "no NIC 'dmz'", ["a", "dmz", "down"]), (4, "no NIC 'lan'", ["none", "lan", "up"]),
                              (2, "", ["a", "lan", "sideways"]), (2, "", ["a", "lan"]), (4, "", ["b", "lan", "up"])]:
        assert says in daemon.fails(code, "nic", "link", *words)
    daemon.fails(9, "nic", "link", "a", "lan", "down", user="bob")
    assert settled(daemon) == "up"
    daemon.ok("nic", "link", "a", "lan", "down", user="alice")
    assert settled(daemon) == "down"
    daemon.ok("set", "a", "NIC.new.Link=up")
    assert "no NIC 'new'" in daemon.fails(4, "nic", "link", "a", "new", "down", "--persistent")


def test_restart(daemon):
    """A daemon that starts again leaves it as it is."""
    micro_with_nic(daemon, "a")
    daemon.ok("start", "a")
    for state in ("down", "up"):
        daemon.ok("nic", "link", "a", "lan", state)
        daemon.kill_daemon()
        daemon.start()
        assert settled(daemon) == state


def test_daemon_is_killed(daemon):
    """At any time: records, tap and the next daemon agree."""
    micro_with_nic(daemon, "a")
    daemon.ok("start", "a")
    for n in range(8):
        client = daemon.client()
        client.send("nic-link", {"name": "a", "id": "lan", "link": ("down", "up")[n % 2]})
        daemon.kill_daemon()
        client.close()
        daemon.start()
        settled(daemon)


def test_qemu_hangs(daemon):
    """It fails, and once QEMU answers again, the link is what it was."""
    micro_with_nic(daemon, "a")
    daemon.ok("start", "a")
    pid = daemon.info("a")["pid"]
    client = daemon.client()
    daemon.kill(pid, "STOP")
    serial = client.send("nic-link", {"name": "a", "id": "lan", "link": "down"})
    with pytest.raises(vmk.Error):
        client.result(serial, 60)
    client.close()
    daemon.kill(pid, "CONT")
    daemon.eventually(lambda: daemon.info("a")["health"], lambda health: health == "ok", 30)
    assert settled(daemon) == "up"


def test_two_at_once(daemon):
    micro_with_nic(daemon, "a")
    daemon.ok("start", "a")
    clients = [daemon.client() for _ in range(4)]
    serials = [c.send("nic-link", {"name": "a", "id": "lan", "link": ("down", "up")[n % 2]})
               for n, c in enumerate(clients)]
    for client, serial in zip(clients, serials):
        try:
            client.result(serial)
        except vmk.Error as e:
            assert "just being changed" in str(e), e
        client.close()
    settled(daemon)


@pytest.mark.usefixtures("linux")
def test_the_guest_sees_it(daemon):
    """Also after another daemon has taken over."""
    daemon.linux("a", "guest.net=dhcp guest.agent=yes", extra="[Agent]\n")
    daemon.ok("start", "a")

    def carrier():
        return daemon.vmkeep("guest", "exec", "a", "--", "/bin/cat", "/sys/class/net/eth0/carrier").out.strip()
    daemon.eventually(carrier, lambda seen: seen == "1", 60)
    daemon.ok("nic", "link", "a", "lan", "down")
    daemon.eventually(carrier, lambda seen: seen == "0", 30)
    daemon.kill_daemon()
    daemon.start()
    assert daemon.eventually(carrier, lambda seen: seen) == "0" and settled(daemon) == "down"
    daemon.ok("nic", "link", "a", "lan", "up")
    daemon.eventually(carrier, lambda seen: seen == "1", 30)
