# SPDX-License-Identifier: MIT
"""A lease ends with the VM that had it, and only then: the next VM can have the address. Nobody else's lease ends."""
import os

import pytest

import vmk
from test_hostile_taps import hold
from test_leases import ASKS, STRANGER, leases, nic, send
import tapfd

LAB = "[Network]\nBridge=lab0\nAddress=10.7.0.1/24\n[DHCPServer]\nRange=10.7.0.10-10.7.0.12\nLeaseSec=%s\n"
ONE, TWO, THREE, SELF = "10.7.0.10", "10.7.0.11", "10.7.0.12", "10.7.0.1"


def guest(world, name, address="", client=b""):
    """Starts a VM, which leases its address."""
    world.image(name + ".raw", "deaf")
    world.write(name + ".vm", "[VM]\nMemory=16M\n[Disk root]\nPath=%s.raw\n[NIC lan]\nNetwork=lab\n%s" %
                (name, address and "Address=%s\n" % address))
    world.ok("start", name)
    row = nic(world, name)
    tap, = [one["tap"] for one in world.one("net", "show", "lab")["nics"] if one["vm"] == name]
    hold(world, name, "send", tapfd.dhcp(row["mac"], ASKS, row["address"], SELF, client).hex(), name=tap)
    world.eventually(lambda: held(world), lambda now: now.get(row["mac"]) == row["address"])
    return row["mac"]


@pytest.fixture
def lab(daemon):
    """All addresses are leased: to a, to b, and to a stranger."""
    daemon.write("lab.network", LAB % "infinity")
    a, b = guest(daemon, "a", ONE), guest(daemon, "b", TWO)
    send(daemon, "a", ASKS, THREE, STRANGER % 1, SELF)
    daemon.eventually(lambda: held(daemon), lambda now: now == {a: ONE, b: TWO, STRANGER % 1: THREE})
    daemon.ended, daemon.staying = a, {b: TWO, STRANGER % 1: THREE}
    return daemon


def held(world):
    """Also those that never expire."""
    path = world.inner(os.path.join(world.state, "networks", "lab.leases"))
    return {words[1]: words[2] for words in map(str.split, vmk.read_text(path).splitlines())}


def is_free(world):
    """a's address, and no other: c gets it."""
    world.eventually(lambda: held(world), lambda now: now == world.staying)
    world.eventually(lambda: {row["mac"] for row in world.rows("net", "leases", "lab")}, lambda now: now == set(world.staying))
    mac = guest(world, "c")
    assert nic(world, "c")["address"] == ONE and held(world) == {mac: ONE, **world.staying}


def remove(world, how, name):
    if how == "delete":
        world.ok("delete", "--yes", name)
    else:
        os.unlink(world.inner(os.path.join(world.config, name + ".vm")))
        world.ok("forget", name)


@pytest.mark.parametrize("how", ["delete", "forget"])
def test_it_ends(lab, how):
    lab.ok("kill", "a")
    assert lab.ended in held(lab), "the VM still exists"
    remove(lab, how, "a")
    is_free(lab)


@pytest.mark.parametrize("how", ["delete", "forget"])
def test_of_a_network_that_is_down(lab, how):
    """Its dnsmasq reads the file at the next start."""
    lab.ok("kill", "a", "b")
    lab.ok("net", "stop", "lab")
    remove(lab, how, "a")
    assert held(lab) == lab.staying
    lab.ok("start", "b")
    is_free(lab)


def test_another_daemon(lab):
    """It knows of a VM without a file only what is in the state directory."""
    lab.ok("kill", "a")
    lab.kill_daemon()
    os.unlink(lab.inner(os.path.join(lab.config, "a.vm")))
    lab.start()
    assert lab.ended in held(lab)
    lab.ok("forget", "a")
    is_free(lab)


def test_a_renamed_vm_keeps_it(lab):
    lab.ok("kill", "a")
    lab.ok("rename", "a", "z")
    lab.ok("start", "z")
    assert nic(lab, "z")["address"] == ONE and held(lab) == {lab.ended: ONE, **lab.staying}


def test_a_file_that_comes_back(lab):
    path = lab.inner(os.path.join(lab.config, "a.vm"))
    text = vmk.read_text(path)
    lab.ok("kill", "a")
    os.unlink(path)
    assert "a" not in lab.states()
    lab.write("a.vm", text)
    lab.ok("start", "a")
    assert held(lab) == {lab.ended: ONE, **lab.staying}


def test_with_a_client_identifier(daemon):
    """Of a kind that Linux guests send."""
    daemon.write("lab.network", LAB % "1h")
    mac = guest(daemon, "a", ONE, b"\xff\x01\x02\x03\x04\x00\x02\x00\x00\xab\x11\x01\x02\x03\x04")
    daemon.eventually(lambda: leases(daemon, "lab"), lambda now: now == {mac: ONE})
    daemon.ok("kill", "a")
    remove(daemon, "delete", "a")
    daemon.eventually(lambda: daemon.rows("net", "leases", "lab"), lambda now: now == [])


def test_of_a_linux_guest(daemon, linux):
    daemon.linux("a", "guest.net=dhcp")
    daemon.ok("start", "a")
    daemon.ok("ip", "a", "--wait", "--timeout", "%d" % (60 * vmk.SLOW), timeout=70)
    address = nic(daemon, "a")["address"]
    assert address in leases(daemon).values()
    daemon.ok("kill", "a")
    remove(daemon, "delete", "a")
    daemon.eventually(lambda: daemon.rows("net", "leases", "default"), lambda now: now == [])
