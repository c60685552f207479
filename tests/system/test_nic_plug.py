# SPDX-License-Identifier: MIT
"""nic attach, nic detach: a running guest gets a NIC and gives it back; nothing of it stays behind, whoever dies."""
import contextlib
import json
import os

import pytest

import vmk
from test_network import link as link_of
from test_network import micro_with_nic


def record(daemon, name="a"):
    with open(os.path.join(daemon.run, "vms", name, "record.json"), encoding="utf-8") as f:
        return json.load(f)


def nics(daemon, name="a"):
    return {n["nic"]: n for n in daemon.info(name)["nics"]}


def devices(daemon, name="a"):
    return sorted(d["name"] for d in daemon.qmp(name, "qom-list", path="/machine/peripheral") if d["name"].startswith("nic-"))


def settled(daemon, name="a"):
    """What is under way has ended; then records, QEMU and host agree."""
    daemon.eventually(lambda: record(daemon, name).get("changes"), lambda under_way: not under_way, 30)
    there = nics(daemon, name)
    assert devices(daemon, name) == sorted("nic-" + n for n in there)
    daemon.eventually(lambda: {n for n in daemon.links() if n.startswith("vk") and n[2:].isdigit()},
                      lambda taps: taps == {n["interface"] for n in there.values()}, 30)
    return there


def inside(daemon, name="a"):
    """Descriptors of QEMU and of the daemon, host lines, nodes."""
    proc = daemon.inner("/proc/%d/fd" % daemon.info(name)["pid"])
    hosts = os.path.join(daemon.run, "networks", "default.d", "hosts")
    return (len(os.listdir(proc)), len(os.listdir(f"/proc/{daemon.daemon_pid()}/fd")),
            sorted(os.listdir(hosts)) if os.path.isdir(hosts) else None)


def released(daemon, name="a", nic="lan"):
    """A guest without an operating system releases its devices when it restarts."""
    daemon.qmp(name, "system_reset")
    daemon.eventually(lambda: nics(daemon, name), lambda there: nic not in there, 30)


def test_in_and_out(daemon):
    daemon.micro("a")
    daemon.up("a")
    text = vmk.read_text(daemon.config + "/a.vm")
    assert settled(daemon) == {}
    assert daemon.ok("nic", "attach", "a", "lan").strip() == "a: NIC 'lan' is plugged in"
    nic = settled(daemon)["lan"]
    assert nic["network"] == "default" and nic["link"] == "up" and nic["address"].startswith("192.168.122.")
    assert link_of(daemon, nic["interface"])["master"] == "virbr0"
    assert daemon.vmkeep("list", "--problems").code == 0 and daemon.rows("ip", "a")[0]["address"] == nic["address"]
    assert vmk.read_text(daemon.config + "/a.vm") == text and "lan" in daemon.vmkeep("diff", "a").out
    daemon.fails(5, "net", "stop", "default")
    daemon.ok("nic", "link", "a", "lan", "down")
    assert daemon.one("nic", "attach", "a", "two", "Model=e1000e", "Link=down") == {
        "name": "a", "nic": "two", "link": "down", "persistent": False}
    assert set(settled(daemon)) == {"lan", "two"}
    daemon.ok("info", "--security", "a")
    said = daemon.fails(8, "nic", "detach", "a", "lan", "--timeout", "1")
    assert "did not release NIC 'lan'" in said and "lan" in nics(daemon)
    assert "already" in daemon.fails(3, "nic", "attach", "a", "lan")
    daemon.fails(8, "nic", "detach", "a", "lan", "--timeout", "1")
    released(daemon)
    assert set(settled(daemon)) == {"two"}
    daemon.ok("nic", "attach", "a", "lan")
    again = settled(daemon)["lan"]
    assert (again["mac"], again["address"], again["link"]) == (nic["mac"], nic["address"], "up")
    daemon.ok("kill", "a")
    daemon.ok("net", "stop", "default")
    daemon.up("a")
    assert settled(daemon) == {}


def test_persistent(daemon):
    daemon.micro("a")
    daemon.up("a")
    assert daemon.one("nic", "attach", "a", "dmz", "HostName=front", "--persistent")["persistent"] is True
    assert "[NIC dmz]\nHostName=front\n" in vmk.read_text(daemon.config + "/a.vm")
    assert daemon.vmkeep("diff", "a").code == 0
    before = settled(daemon)
    daemon.ok("kill", "a")
    daemon.up("a")
    assert settled(daemon) == before
    daemon.fails(8, "nic", "detach", "a", "dmz", "--persistent", "--timeout", "1")
    assert "[NIC dmz]" in vmk.read_text(daemon.config + "/a.vm")
    released(daemon, nic="dmz")
    assert settled(daemon) == {} and "dmz" in daemon.vmkeep("diff", "a").out
    daemon.ok("nic", "attach", "a", "dmz", "HostName=front")
    assert settled(daemon) == before


REFUSED = [
    (["lan", "Network=nowhere"], 4, "no network 'nowhere'"),
    (["lan", "Bridge=nowhere0"], 4, "no bridge 'nowhere0'"),
    (["lan", "Bridge=lo"], 3, "not a bridge"),
    (["lan", "Model=e1000"], 2, "Model=e1000e"),
    (["lan", "Model=best"], 2, "Model"),
    (["lan", "Modell=virtio"], 2, "Model"),
    (["lan", "Address=192.168.122.77"], 3, "192.168.122.77"),
    (["lan", "MACAddress=52:54:00:00:00:77"], 3, "52:54:00:00:00:77"),
    (["lan", "Address=10.1.1.1"], 2, "10.1.1.1"),
    (["lan", "[Disk", "x]"], 2, "not KEY=VALUE"),
    (["lan", "=x"], 2, "not KEY=VALUE"),
    (["lan", "Link=up\n[Disk x]"], 2, ""),
    (["../lan"], 2, ""),
]


def test_refused(daemon):
    """Nothing changes, neither in the guest nor on the host."""
    daemon.micro("a")
    micro_with_nic(daemon, "b", "Address=192.168.122.77\nMACAddress=52:54:00:00:00:77\n")
    daemon.fails(5, "nic", "attach", "a", "lan")
    daemon.ok("start", "b")
    daemon.up("a")
    before = inside(daemon)[0], devices(daemon), record(daemon)["nics"]
    for words, code, says in REFUSED:
        r = daemon.vmkeep("nic", "attach", "a", *words)
        assert r.code == code and says in r.err, (words, r)
        assert (inside(daemon)[0], devices(daemon), record(daemon)["nics"]) == before, words
    assert "no NIC 'lan'" in daemon.fails(4, "nic", "detach", "a", "lan")
    assert nics(daemon) == {} and "changes" not in record(daemon)
    daemon.ok("kill", "a")
    daemon.up("a")


def test_no_free_slot(daemon):
    daemon.micro("a")
    daemon.up("a")
    for n in range(4):
        daemon.ok("nic", "attach", "a", "n%d" % n)
    said = daemon.fails(11, "nic", "attach", "a", "n4")
    assert "no free slot" in said and "at the next start" in said
    assert set(settled(daemon)) == {"n0", "n1", "n2", "n3"}
    daemon.fails(8, "nic", "detach", "a", "n1", "--timeout", "1")
    released(daemon, nic="n1")
    daemon.fails(11, "nic", "attach", "a", "n4")
    daemon.ok("nic", "attach", "a", "n1")
    assert set(settled(daemon)) == {"n0", "n1", "n2", "n3"}
    daemon.ok("kill", "a")
    daemon.up("a")
    daemon.ok("nic", "attach", "a", "n4")


def test_old_machine(daemon):
    """Of the board pc any model can be plugged in."""
    daemon.micro("a", vm="Machine=pc\n")
    daemon.up("a")
    for model in ("virtio", "e1000", "rtl8139"):
        daemon.ok("nic", "attach", "a", model, "Model=" + model)
    assert set(settled(daemon)) == {"virtio", "e1000", "rtl8139"}


def test_bridges_and_roles(daemon):
    daemon.exec("ip", "link", "add", "own0", "type", "bridge")
    daemon.micro("a", vm="Owner=alice\n")
    daemon.up("a")
    assert "Bridge" in daemon.fails(9, "nic", "attach", "a", "x", "Bridge=own0", user="alice")
    daemon.fails(9, "nic", "attach", "a", "x", user="bob")
    daemon.ok("nic", "attach", "a", "x", user="alice")
    daemon.ok("nic", "attach", "a", "y", "Bridge=own0", user="bob", groups=["vmkeep"])
    there = settled(daemon)
    assert (there["y"]["network"], link_of(daemon, there["y"]["interface"])["master"]) == ("own0", "own0")
    daemon.fails(9, "nic", "detach", "a", "y", user="bob")
    daemon.fails(8, "nic", "detach", "a", "y", "--timeout", "1", user="alice")
    released(daemon, nic="y")
    assert set(settled(daemon)) == {"x"}
    daemon.ok("kill", "a")
    daemon.exec("ip", "link", "del", "own0")


def test_released_while_no_daemon_ran(daemon):
    """The next daemon finds out."""
    daemon.micro("a")
    daemon.up("a")
    daemon.ok("nic", "attach", "a", "lan")
    daemon.ok("nic", "attach", "a", "two")
    daemon.fails(8, "nic", "detach", "a", "lan", "--timeout", "1")
    daemon.kill_daemon()
    daemon.start()
    assert set(nics(daemon)) == {"lan", "two"}
    assert "already" in daemon.fails(3, "nic", "attach", "a", "lan")
    released(daemon)
    assert set(settled(daemon)) == {"two"}


def test_daemon_is_killed(daemon):
    """At any time: the NIC is in, or it is not, for QEMU, records and host alike."""
    daemon.micro("a")
    daemon.up("a")
    daemon.ok("net", "start", "default")
    for n in range(12):
        client = daemon.client()
        client.send("nic-attach", {"name": "a", "id": "lan"})
        for _ in range(n % 4):
            daemon.info("a")
        daemon.kill_daemon()
        client.close()
        daemon.start()
        if "lan" in settled(daemon):
            daemon.fails(8, "nic", "detach", "a", "lan", "--timeout", "1")
            released(daemon)
        assert settled(daemon) == {}


def test_qemu_is_killed(daemon):
    daemon.micro("a")
    daemon.up("a")
    client = daemon.client()
    pid = daemon.info("a")["pid"]
    serial = client.send("nic-attach", {"name": "a", "id": "lan"})
    daemon.kill(pid)
    with contextlib.suppress(vmk.Error):  # it may have been done by then
        client.result(serial, 60)
    client.close()
    daemon.wait_state("a", "backoff", "stopped", "failed", "running")
    daemon.ok("kill", "a")
    assert not [n for n in daemon.links() if n.startswith("vk") and n[2:].isdigit()]
    daemon.up("a")
    assert settled(daemon) == {}


def test_qemu_hangs(daemon):
    """It fails; once QEMU answers again, the NIC is in, or it is not."""
    daemon.micro("a")
    daemon.up("a")
    daemon.ok("net", "start", "default")
    pid = daemon.info("a")["pid"]
    client = daemon.client()
    daemon.kill(pid, "STOP")
    serial = client.send("nic-attach", {"name": "a", "id": "lan"})
    with pytest.raises(vmk.Error):
        client.result(serial, 60)
    client.close()
    daemon.kill(pid, "CONT")
    daemon.eventually(lambda: daemon.info("a")["health"], lambda health: health == "ok", 30)
    settled(daemon)


def test_two_at_once(daemon):
    daemon.micro("a")
    daemon.up("a")
    clients = [daemon.client(timeout=60) for _ in range(4)]
    serials = [c.send("nic-attach", {"name": "a", "id": ("one", "two")[n % 2]}) for n, c in enumerate(clients)]
    for client, serial in zip(clients, serials):
        with contextlib.suppress(vmk.Error):
            client.result(serial)
        client.close()
    assert settled(daemon)
    for nic in {"one", "two"} - set(nics(daemon)):  # refused, because the other one was being attached
        daemon.ok("nic", "attach", "a", nic)
    assert set(settled(daemon)) == {"one", "two"}


def test_with_a_disk(daemon):
    """Each saves its place in the identity: they get different ones, also after the daemon's end."""
    daemon.micro("a")
    daemon.up("a")
    daemon.image("x.img")
    nic, disk = daemon.client(timeout=60), daemon.client(timeout=60)
    serials = [nic.send("nic-attach", {"name": "a", "id": "lan"}),
               disk.send("disk-attach", {"name": "a", "id": "x", "keys": ["Path=x.img"]})]
    for client, serial in zip((nic, disk), serials):
        try:
            client.result(serial)
        except vmk.Error as e:
            assert "is being attached" in str(e), e
        client.close()
    daemon.kill_daemon()
    daemon.start()
    if "lan" not in nics(daemon):
        daemon.ok("nic", "attach", "a", "lan")
    if "x" not in [row["disk"] for row in daemon.info("a")["disks"]]:
        daemon.ok("disk", "attach", "a", "x", "Path=x.img")
    assert "lan" in nics(daemon) and devices(daemon) == ["nic-lan"]


def test_cancelled(daemon):
    """Nobody waits for the guest any longer; it may still release the NIC."""
    daemon.micro("a")
    daemon.up("a")
    daemon.ok("nic", "attach", "a", "lan")
    client = daemon.client()
    job = client.call("nic-detach", name="a", id="lan", timeout=1000, wait=False)["job"]
    assert "just being" in daemon.fails(3, "nic", "detach", "a", "lan")
    client.call("job-cancel", job=job)
    client.close()
    assert "lan" in nics(daemon)
    released(daemon)
    assert settled(daemon) == {}


def test_killed_while_the_guest_is_asked(daemon):
    daemon.micro("a")
    daemon.up("a")
    daemon.ok("nic", "attach", "a", "lan")
    client = daemon.client()
    serial = client.send("nic-detach", {"name": "a", "id": "lan", "timeout": 1000})
    daemon.eventually(lambda: record(daemon).get("changes"), lambda under_way: under_way)
    daemon.ok("kill", "a")
    with pytest.raises(vmk.Error):
        client.result(serial, 60)
    client.close()
    daemon.up("a")
    assert settled(daemon) == {}


def test_memory_snapshot(daemon):
    """It has the NICs of its time, and is loaded only into a machine with the same ones."""
    daemon.micro("a", disk="qcow2")
    daemon.up("a")
    daemon.ok("snapshot", "create", "a", "without")
    daemon.ok("nic", "attach", "a", "lan")
    daemon.ok("snapshot", "create", "a", "with")
    assert "[NIC lan]" in daemon.fails(3, "snapshot", "revert", "a", "without")
    daemon.ok("snapshot", "revert", "a", "with")
    assert set(settled(daemon)) == {"lan"}
    daemon.fails(8, "nic", "detach", "a", "lan", "--timeout", "1")
    released(daemon)
    assert "[NIC lan]" in daemon.fails(3, "snapshot", "revert", "a", "with")
    daemon.ok("snapshot", "revert", "a", "without")
    assert settled(daemon) == {} and daemon.info("a")["state"] == "running"
    daemon.ok("nic", "attach", "a", "lan")
    daemon.ok("snapshot", "revert", "a", "with")
    assert set(settled(daemon)) == {"lan"}


@pytest.mark.usefixtures("linux")
def test_the_guest_sees_it(daemon):
    """It gets an address by DHCP, and releases the NIC when it is asked to; fifty times, and nothing is left."""
    daemon.linux("a", "guest.net=none guest.agent=yes", "Networks=none\n", "[Agent]\n")
    daemon.ok("start", "a")
    client = daemon.client(timeout=60)

    def guest(command):
        return daemon.vmkeep("guest", "exec", "a", "--", "/bin/sh", "-c", command)
    daemon.eventually(lambda: guest("modprobe virtio_net").code, lambda code: code == 0, 60)
    before = None
    for n in range(50):
        client.call("nic-attach", name="a", id="lan")
        if n == 0:
            daemon.eventually(lambda: guest("ip link set eth0 up && udhcpc -n -q -i eth0 -t 10").code, lambda code: code == 0, 60)
            daemon.eventually(lambda: daemon.rows("ip", "a")[0]["seen"], lambda seen: seen is True, 30)
        daemon.eventually(lambda: guest("test -e /sys/class/net/eth0").code, lambda code: code == 0, 30)
        client.call("nic-detach", name="a", id="lan", timeout=60)
        assert settled(daemon) == {}
        before = before or inside(daemon)
    # the daemon may have a child just now
    daemon.eventually(lambda: inside(daemon), lambda now: now[0] <= before[0] and now[1] <= before[1] and now[2] == before[2], 30)
    client.close()


@pytest.mark.usefixtures("linux")
def test_daemon_is_killed_while_the_guest_releases_it(daemon):
    daemon.linux("a", "guest.net=none guest.agent=yes", "Networks=none\n", "[Agent]\n")
    daemon.ok("start", "a")
    daemon.eventually(lambda: daemon.vmkeep("guest", "exec", "a", "--", "/sbin/modprobe", "virtio_net").code,
                      lambda code: code == 0, 60)
    for n in range(6):
        daemon.ok("nic", "attach", "a", "lan")
        client = daemon.client()
        client.send("nic-detach", {"name": "a", "id": "lan", "timeout": 60})
        for _ in range(n % 3):
            daemon.info("a")
        daemon.kill_daemon()
        client.close()
        daemon.start()
        # the guest may not have been asked before the daemon's end: then it stays
        daemon.eventually(lambda: [c["step"] for c in record(daemon).get("changes", {}).values()], lambda steps: steps in ([], ["stays"]), 30)
        daemon.vmkeep("nic", "detach", "a", "lan", "--timeout", "60", timeout=90)
        assert settled(daemon) == {}
