# SPDX-License-Identifier: MIT
"""Removing a file releases nothing: its VM's addresses and MACs stay reserved until `forget`."""
import os
import shutil

from test_network import NIC, micro_with_nic

UUID = "6b1c0f7e-3c55-4d6e-9f0a-0a1b2c3d4e5f"
MAC = "52:54:00:aa:bb:cc"


def lab(world):
    """A network with room for a single guest."""
    world.write("lab.network", "[Network]\nMode=nat\nBridge=lab0\nAddress=10.20.0.1/30\n")


def ran(world, name, keys=""):
    """A VM that ran, and whose file is gone."""
    micro_with_nic(world, name, "Network=lab\n" + keys)
    world.ok("start", name)
    world.ok("kill", name)
    os.unlink(world.config + "/%s.vm" % name)
    world.eventually(world.states, lambda states: name not in states)


def test_full_pool(daemon):
    lab(daemon)
    ran(daemon, "s1")
    micro_with_nic(daemon, "s2", "Network=lab\n")
    for _ in "before", "after":
        said = daemon.fails(11, "start", "s2")
        assert "no free address from 10.20.0.2 to 10.20.0.2" in said, said
        assert "'s1' holds addresses" in said and "vmkeep forget s1" in said, said
        daemon.ok("reload")
        assert "vmkeep forget s1" in daemon.fails(11, "start", "s2")
        daemon.kill_daemon()  # the next daemon knows the same
        daemon.start()
    daemon.ok("forget", "s1")
    daemon.ok("start", "s2")
    assert daemon.rows("ip", "s2")[0]["address"] == "10.20.0.2"


def test_fixed(daemon):
    """Also fixed addresses, MACs and names, and after a restart; if the file comes back, the VM has all of them
    again."""
    daemon.write("lab.network", "[Network]\nMode=nat\nBridge=lab0\nAddress=10.20.0.1/24\n")
    ran(daemon, "s1", "Address=10.20.0.9\nMACAddress=%s\nHostName=web\n" % MAC)
    for _ in "before", "after":
        for keys, what in (("Address=10.20.0.9\n", "address 10.20.0.9"), ("MACAddress=%s\n" % MAC, "MAC " + MAC),
                           ("HostName=web\n", "the name 'web'")):
            micro_with_nic(daemon, "s2", "Network=lab\n" + keys)
            said = daemon.fails(3, "start", "s2")
            assert what + " belongs to" in said and "vmkeep forget s1" in said, said
        daemon.kill_daemon()
        daemon.start()
    micro_with_nic(daemon, "s2", "Network=lab\n")  # it did not keep what it asked for
    daemon.ok("start", "s2")
    assert daemon.rows("ip", "s2")[0]["mac"] != MAC
    micro_with_nic(daemon, "s1", "Network=lab\n")
    daemon.ok("start", "s1")
    assert daemon.rows("ip", "s1")[0]["address"] == "10.20.0.9"


def test_two_at_once(daemon):
    """The file was copied: a MAC that a failed start could not have does not become the VM's own."""
    for name in "s1", "s2":
        micro_with_nic(daemon, name, "MACAddress=%s\n" % MAC)
    assert "MAC %s belongs to NIC 'lan' of VM 's" % MAC in daemon.fails(3, "start", "s1", "s2")
    late, = [name for name, state in daemon.states().items() if state != "running"]
    micro_with_nic(daemon, late)
    daemon.ok("start", late)
    assert daemon.rows("ip", late)[0]["mac"] != MAC


def test_state_removed_by_hand(daemon):
    """Only the address is left: forget releases it too."""
    lab(daemon)
    ran(daemon, "s1")
    shutil.rmtree(os.path.join(daemon.inner(daemon.state), "vms", "s1"))
    micro_with_nic(daemon, "s2", "Network=lab\n")
    assert "vmkeep forget s1" in daemon.fails(11, "start", "s2")
    daemon.ok("forget", "s1")
    daemon.ok("start", "s2")


def test_renamed(daemon):
    """The VM under a new name keeps its address, even in a network that has no other."""
    lab(daemon)
    micro_with_nic(daemon, "s1", "Network=lab\n")
    text = (NIC % ("s1", "Network=lab\n")).replace("[VM]\n", "[VM]\nUUID=%s\n" % UUID)
    daemon.write("s1.vm", text)
    daemon.ok("start", "s1")
    daemon.ok("kill", "s1")
    os.rename(daemon.config + "/s1.vm", daemon.config + "/s2.vm")
    daemon.ok("start", "s2")
    assert daemon.rows("ip", "s2")[0]["address"] == "10.20.0.2"
