# SPDX-License-Identifier: MIT
"""Guests that have leased addresses other than their reserved ones: the actual address is shown, and the reason
given. A fake guest sends DHCP messages from its VM's tap, also with other MACs."""
import pytest

import tapfd
from test_hostile_taps import hold
from test_network import micro_with_nic

OWN, OTHER, SELF = "192.168.122.50", "192.168.122.77", "192.168.122.1"
ASKS, DECLINES, RELEASES = 3, 4, 7
STRANGER = "02:00:00:00:00:0%d"


def nic(world, name):
    return world.rows("ip", name)[0]


def send(world, vm, kind, ask, mac=None, server=SELF):
    hold(world, vm, "send", tapfd.dhcp(mac or nic(world, vm)["mac"], kind, ask, server).hex())


def leases(world, network="default"):
    return {row["mac"]: row["address"] for row in world.rows("net", "leases", network) if row["expires"]}


def leased(world, mac, address, network="default"):
    world.eventually(lambda: leases(world, network).get(mac), lambda now: now == address)


def health(world, network="default"):
    told = next(row["health"] for row in world.rows("net", "list") if row["name"] == network)
    shown = world.vmkeep("list", "--problems")
    assert (shown.code, shown.out) == ((0, "OK: no problems\n") if told == "ok" else
                                       (1, "WARNING network %s: %s\n" % (network, told)))
    return told


@pytest.fixture
def guest(daemon):
    micro_with_nic(daemon, "a", "Address=%s\n" % OWN)
    daemon.ok("start", "a")
    send(daemon, "a", ASKS, OWN)
    leased(daemon, nic(daemon, "a")["mac"], OWN)
    assert health(daemon) == "ok"
    return daemon


def test_a_guest_declines_its_address(guest):
    """As a guest does that finds it in use."""
    mac = nic(guest, "a")["mac"]
    send(guest, "a", DECLINES, OWN)
    send(guest, "a", ASKS, OTHER)
    leased(guest, mac, OTHER)
    assert (nic(guest, "a")["address"], nic(guest, "a")["seen"]) == (OTHER, True)
    assert guest.rows("list")[0]["address"] == guest.info("a")["nics"][0]["address"] == OTHER
    assert guest.one("net", "show", "default")["nics"][0]["address"] == OTHER
    assert health(guest) == "NIC 'lan' of VM 'a' leased %s, not its own %s" % (OTHER, OWN)
    guest.ok("kill", "a")
    assert (nic(guest, "a")["address"], health(guest)) == (OWN, "ok")


def test_another_has_its_address(guest):
    """A stranger leased it while the VM was off."""
    micro_with_nic(guest, "b", "Address=%s\n" % OTHER)
    send(guest, "a", ASKS, OTHER, STRANGER % 1)
    leased(guest, STRANGER % 1, OTHER)
    assert health(guest) == "ok", "nobody misses it"
    guest.ok("start", "b")
    assert health(guest) == "address %s of NIC 'lan' of VM 'b' is leased to %s" % (OTHER, STRANGER % 1)
    assert nic(guest, "b")["seen"] is False
    send(guest, "a", RELEASES, OTHER, STRANGER % 1)


def test_others_leases_cannot_be_ended(guest):
    """Not by declining or releasing it from a guest with a different MAC."""
    mac = nic(guest, "a")["mac"]
    for kind in (DECLINES, RELEASES):
        send(guest, "a", kind, OWN, STRANGER % 1)
    send(guest, "a", ASKS, OTHER, STRANGER % 2)
    leased(guest, STRANGER % 2, OTHER)
    assert leases(guest)[mac] == OWN and nic(guest, "a")["seen"] and health(guest) == "ok"


def test_a_pool_that_strangers_have_leased(daemon):
    daemon.write("lab.network", "[Network]\nBridge=lab0\nAddress=10.7.0.1/24\n[DHCPServer]\nRange=10.7.0.10-10.7.0.12\n")
    for name in "ab":
        daemon.image(name + ".raw", "deaf")
        daemon.write(name + ".vm", "[VM]\nMemory=16M\n[Disk root]\nPath=%s.raw\n[NIC lan]\nNetwork=lab\n" % name)
    daemon.ok("start", "a")
    own = int(nic(daemon, "a")["address"].split(".")[3])
    for number in range(10, 13):
        if number != own:
            address = "10.7.0.%d" % number
            send(daemon, "a", ASKS, address, STRANGER % (number % 10), "10.7.0.1")
            leased(daemon, STRANGER % (number % 10), address, "lab")
    said = daemon.fails(11, "start", "b")
    assert "no free address from 10.7.0.10 to 10.7.0.12" in said
    assert "hint: 2 of them leased by MACs of no VM, see vmkeep net leases lab; or give it a larger" in said
