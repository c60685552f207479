# SPDX-License-Identifier: MIT
"""Networks: brought up when needed, distinguished from those of other programs, and removed completely."""
import ipaddress
import json
import os

import pytest

import vmk
from test_faults_process import Gate

NIC = "[VM]\nMemory=16M\n[Disk root]\nPath=%s.raw\n[NIC lan]\n%s"


def micro_with_nic(world, name, nic="", **image):
    world.image(name + ".raw", "deaf", **image)
    world.write(name + ".vm", NIC % (name, nic))


def link(world, name):
    return json.loads(world.exec("ip", "-json", "-details", "addr", "show", "dev", name))[0]


def taps(world, bridge):
    return json.loads(world.exec("ip", "-json", "-details", "link", "show", "master", bridge))


def internet(world):
    """A second namespace behind an uplink, with a web server and without a route back to guests."""
    pages = os.path.join(world.base, "www")
    os.mkdir(pages)
    with open(os.path.join(pages, "index.html"), "w", encoding="utf-8") as f:
        f.write("hello from the internet\n")
    for line in (
            "ip netns add internet",
            "ip link add up0 type veth peer name in0 netns internet",
            "ip addr add 203.0.113.2/24 dev up0",
            "ip link set up0 up",
            "ip -n internet link set lo up",
            "ip -n internet addr add 203.0.113.1/24 dev in0",
            "ip -n internet addr add 198.51.100.1/32 dev lo",
            "ip -n internet link set in0 up",
            "ip route add default via 203.0.113.1",
            "ip netns exec internet busybox httpd -p 198.51.100.1:80 -h " + pages):
        world.exec(*line.split())
    world.mounts = world.mount_points()
    world.others = len(world.processes())


@pytest.mark.usefixtures("linux")
def test_two_guests_and_the_internet(world):
    """DHCP, names, NAT and the host work, and keep working after the daemon has died."""
    internet(world)
    world.start()
    for name in ("web1", "Web_2"):
        world.linux(name)
    world.ok("start", "web1", "Web_2")
    address = {}
    for name in ("web1", "Web_2"):
        world.ok("ip", name, "--wait", "--timeout", "%d" % (60 * vmk.SLOW), timeout=70)
        row = world.rows("ip", name)[0]
        assert row["network"] == "default" and row["seen"] is True
        address[name] = row["address"]
        assert world.rows("list", name)[0]["address"] == address[name]
    subnet = ipaddress.ip_network("192.168.122.0/24")
    assert all(ipaddress.ip_address(a) in subnet for a in address.values())

    console = world.console("web1")
    console.until("web1: ready", 30)
    world.console("Web_2").until("ready", 30)
    assert "0% packet loss" in world.exec("ping", "-c", "1", "-W", "5", address["web1"])
    assert "hello from web-2" in console.run("wget -q -O - http://web-2/")
    assert "hello from web-2" in console.run("wget -q -O - http://web-2.vm.internal/")
    assert "hello from the internet" in console.run("wget -q -O - http://198.51.100.1/")
    assert console.run("hostname") == "web1\n"
    console.run("! ping -c 1 -W 1 -q 203.0.113.250")

    leases = {row["vm"]: row for row in world.rows("net", "leases", "default")}
    assert {vm: row["address"] for vm, row in leases.items()} == address

    pid = world.info("web1")["pid"]
    world.kill_daemon()
    assert "0% packet loss" in world.exec("ping", "-c", "1", "-W", "5", address["web1"])
    world.start()
    assert world.info("web1")["pid"] == pid
    console = world.console("web1")
    console.until("ready")
    assert "hello from web-2" in console.run("wget -q -O - http://web-2/")
    assert "hello from the internet" in console.run("wget -q -O - http://198.51.100.1/")
    world.ok("stop", "web1", "Web_2", timeout=60)
    assert world.info("web1")["reason"] == "guest-shutdown"

    world.ok("start", "web1")
    world.ok("ip", "web1", "--wait", "--timeout", "%d" % (60 * vmk.SLOW), timeout=70)
    assert world.rows("ip", "web1")[0]["address"] == address["web1"], "an address is kept"


def test_default_network_is_raised_by_the_first_nic(daemon):
    micro_with_nic(daemon, "a")
    assert daemon.links() == {"lo"} and not daemon.exec("nft", "list", "ruleset")
    assert [row["state"] for row in daemon.rows("net", "list")] == ["down"]
    daemon.ok("start", "a")
    bridge = link(daemon, "virbr0")
    assert [a["local"] for a in bridge["addr_info"] if a["family"] == "inet"] == ["192.168.122.1"]
    tap, = taps(daemon, "virbr0")
    info = daemon.rows("ip", "a")[0]
    assert tap["address"] == "fe" + info["mac"][2:] and info["mac"].startswith("52:54:00:")
    assert tap["ifalias"] == "vmkeep:a:lan" and not tap["linkinfo"]["info_data"]["persist"]
    assert info["address"].startswith("192.168.122.")
    assert "virbr0" in daemon.exec("nft", "list", "ruleset")
    assert daemon.exec("cat", "/proc/sys/net/ipv4/ip_forward") == "1\n"
    row = daemon.rows("net", "list")[0]
    assert (row["name"], row["state"], row["bridge"]) == ("default", "up", "virbr0")
    show = daemon.one("net", "show", "default")
    assert "192.168.122.1" in json.dumps(show) and '"a"' in json.dumps(show)

    assert "a" in daemon.fails(5, "net", "stop", "default")
    daemon.ok("kill", "a")
    assert not taps(daemon, "virbr0")
    daemon.ok("net", "stop", "default")
    assert daemon.links() == {"lo"} and not daemon.exec("nft", "list", "ruleset")
    daemon.alone()


def test_start_and_stop_by_hand(daemon):
    daemon.ok("net", "start", "default")
    daemon.ok("net-start", "default")
    assert "virbr0" in daemon.links()
    daemon.ok("net-destroy", "default")
    assert daemon.links() == {"lo"}


def test_subnet_and_bridge_of_somebody_else(daemon):
    """They are in use, as by libvirt: the next name and the next /24 are chosen, and remembered."""
    daemon.exec("ip", "link", "add", "virbr0", "type", "bridge")
    daemon.exec("ip", "addr", "add", "192.168.122.1/24", "dev", "virbr0")
    daemon.exec("ip", "link", "set", "virbr0", "up")
    micro_with_nic(daemon, "a")
    daemon.ok("start", "a")
    row = daemon.rows("net", "list")[0]
    assert row["bridge"] != "virbr0" and not row["subnet"].startswith("192.168.122.")
    address = daemon.rows("ip", "a")[0]["address"]
    assert ipaddress.ip_address(address) in ipaddress.ip_network(row["subnet"], strict=False)
    daemon.ok("kill", "a")
    daemon.ok("net", "stop", "default")
    assert "virbr0" in daemon.links(), "what others made stays"
    daemon.exec("ip", "link", "del", "virbr0")
    daemon.ok("start", "a")
    assert daemon.rows("net", "list")[0]["subnet"] == row["subnet"], "remembered"
    assert daemon.rows("ip", "a")[0]["address"] == address


def test_choice_of_a_newer_version(daemon):
    """After a downgrade the network is unchanged."""
    daemon.exec("ip", "addr", "add", "192.168.122.9/24", "dev", "lo")
    daemon.ok("net", "start", "default")
    before = daemon.one("net", "show", "default")
    daemon.ok("net", "stop", "default")
    daemon.stop_daemon()
    daemon.exec("ip", "addr", "del", "192.168.122.9/24", "dev", "lo")
    path = os.path.join(daemon.state, "networks", "default.json")
    text = vmk.read_text(path)
    with open(path, "w", encoding="utf-8") as f:
        f.write(text.replace('"version": 1', '"version": 2, "more": []'))
    daemon.start()
    daemon.ok("net", "start", "default")
    after = daemon.one("net", "show", "default")
    assert [after[key] for key in ("subnet", "mac", "bridge")] == [before[key] for key in ("subnet", "mac", "bridge")]
    assert before["subnet"] != "192.168.122.0/24"


def test_own_network(daemon):
    daemon.write("lab.network", "[Network]\nMode=nat\nBridge=lab0\nAddress=10.7.0.1/24\n"
                                "[DHCPServer]\nRange=10.7.0.100-10.7.0.101\n")
    for name in ("a", "b", "c"):
        micro_with_nic(daemon, name, "Network=lab\n")
    daemon.ok("start", "a", "b")
    assert {daemon.rows("ip", n)[0]["address"] for n in "ab"} == {"10.7.0.100", "10.7.0.101"}
    assert len(taps(daemon, "lab0")) == 2 and "virbr0" not in daemon.links()
    result = daemon.vmkeep("start", "c")
    assert result.code in (3, 11) and "lab" in result.err, result
    assert {row["name"] for row in daemon.rows("net", "list")} == {"default", "lab"}


def test_subnet_that_is_taken_is_a_conflict(daemon):
    daemon.exec("ip", "addr", "add", "10.7.0.1/16", "dev", "lo")
    daemon.write("lab.network", "[Network]\nAddress=10.7.0.1/24\n")
    micro_with_nic(daemon, "a", "Network=lab\n")
    said = daemon.fails(3, "start", "a")
    assert "10.7.0" in said and "lo" in said
    assert daemon.links() == {"lo"}


def test_foreign_bridge(daemon):
    daemon.exec("ip", "link", "add", "br0", "type", "bridge")
    micro_with_nic(daemon, "a", "Bridge=br0\n")
    micro_with_nic(daemon, "b", "Bridge=br9\n")
    daemon.ok("start", "a")
    assert len(taps(daemon, "br0")) == 1 and "virbr0" not in daemon.links()
    assert "br9" in daemon.fails(4, "start", "b")
    daemon.ok("kill", "a")
    assert not taps(daemon, "br0")
    daemon.exec("ip", "link", "del", "br0")


def test_no_such_network(daemon):
    micro_with_nic(daemon, "a", "Network=nowhere\n")
    assert "nowhere" in daemon.fails(4, "start", "a")


@pytest.mark.parametrize("nic, what", [
    ("MACAddress=52:54:00:00:00:01\n", "52:54:00:00:00:01"),
    ("Address=192.168.122.50\n", "192.168.122.50"),
    ("HostName=www\n", "www"),
])
def test_two_of_one(daemon, nic, what):
    micro_with_nic(daemon, "first", nic)
    micro_with_nic(daemon, "second", nic)
    daemon.ok("start", "first")
    said = daemon.fails(3, "start", "second")
    assert what in said and "first" in said


def test_fixed_address(daemon):
    micro_with_nic(daemon, "a", "Address=192.168.122.77\nMACAddress=52:54:00:aa:bb:cc\n")
    micro_with_nic(daemon, "b", "Address=10.0.0.1\n")
    daemon.ok("start", "a")
    row = daemon.rows("ip", "a")[0]
    assert (row["address"], row["mac"]) == ("192.168.122.77", "52:54:00:aa:bb:cc")
    result = daemon.vmkeep("start", "b")
    assert result.code in (2, 3) and "10.0.0.1" in result.err, result


def test_dnsmasq_is_supervised(daemon):
    micro_with_nic(daemon, "a")
    daemon.ok("start", "a")

    def dnsmasq():
        return [pid for pid, line in daemon.processes().items() if line.startswith(("dnsmasq", "/usr/sbin/dnsmasq"))]
    first = dnsmasq()
    assert first
    for pid in first:
        daemon.kill(pid)
    daemon.eventually(dnsmasq, lambda now: now and not set(now) & set(first), timeout=10)
    before = dnsmasq()
    daemon.kill_daemon()
    daemon.start()
    daemon.eventually(dnsmasq, lambda now: len(now) == len(before), timeout=10)
    for pid in before:  # including one that this daemon did not start
        daemon.kill(pid)
    daemon.eventually(dnsmasq, lambda now: len(now) == len(before) and not set(now) & set(before), timeout=10)
    assert daemon.info("a")["state"] == "running"


def test_network_survives_the_daemon(daemon):
    micro_with_nic(daemon, "a")
    daemon.ok("start", "a")
    rules = daemon.exec("nft", "list", "ruleset")
    daemon.kill_daemon()
    assert "virbr0" in daemon.links()
    daemon.start()
    assert daemon.exec("nft", "list", "ruleset") == rules
    assert daemon.rows("net", "list")[0]["state"] == "up"
    assert len(taps(daemon, "virbr0")) == 1
    daemon.ok("kill", "a")
    daemon.ok("net", "stop", "default")
    assert daemon.links() == {"lo"}


def test_rules_of_others_stay(daemon):
    daemon.exec("nft", "-f", "-", input="table inet mine {\n chain c {\n counter\n }\n}\n")
    micro_with_nic(daemon, "a")
    daemon.ok("start", "a")
    daemon.ok("kill", "a")
    daemon.ok("net", "stop", "default")
    assert daemon.exec("nft", "list", "tables") == "table inet mine\n"
    daemon.exec("nft", "delete", "table", "inet", "mine")


def test_ip_without_an_answer(daemon):
    """A guest that sends no DHCP request has a reserved address; waiting for a lease times out."""
    micro_with_nic(daemon, "a")
    daemon.ok("start", "a")
    assert daemon.rows("ip", "a")[0]["seen"] is False
    daemon.fails(6, "ip", "a", "--wait", "--timeout", "1")


@pytest.mark.parametrize("how", ["start b", "net start default", "reload"])
@pytest.mark.parametrize("fault", ["ip link del virbr0", "ip link set virbr0 down"])
def test_bridge_that_somebody_took_away(daemon, fault, how):
    """Guests keep running; the next guest that needs the network restores it, for the existing ones too."""
    micro_with_nic(daemon, "a")
    micro_with_nic(daemon, "b")
    daemon.ok("start", "a")
    pid, address = daemon.info("a")["pid"], link(daemon, "virbr0")["addr_info"]
    daemon.exec(*fault.split())
    assert "vmkeep reload" in daemon.rows("net", "list")[0]["health"]
    daemon.ok(*how.split())
    daemon.ok("start", "b")
    assert daemon.info("a")["pid"] == pid
    bridge = link(daemon, "virbr0")
    assert "UP" in bridge["flags"]
    assert [a["local"] for a in bridge["addr_info"]] == [a["local"] for a in address]
    assert len(taps(daemon, "virbr0")) == 2
    daemon.eventually(lambda: daemon.rows("net", "list")[0]["health"], lambda health: health == "ok")
    daemon.ok("net", "stop", "default", "--force")
    assert daemon.links() == {"lo"} | {t for t in daemon.links() if t.startswith("vk")}


def test_reload_sets_rules_and_forwarding_again(daemon):
    micro_with_nic(daemon, "a")
    daemon.ok("start", "a")
    rules = daemon.exec("nft", "list", "ruleset")
    daemon.exec("nft", "flush", "ruleset")
    daemon.exec("sh", "-c", "echo 0 >/proc/sys/net/ipv4/ip_forward")
    daemon.ok("reload")
    daemon.eventually(lambda: daemon.exec("nft", "list", "ruleset"), lambda now: now == rules)
    assert daemon.exec("cat", "/proc/sys/net/ipv4/ip_forward") == "1\n"


HOLDER = """import socket, time
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
udp.bind(("0.0.0.0", 53))
print("holds", flush=True)
time.sleep(3600)"""


def network_told(daemon):
    """The health of the only network; list --problems says the same."""
    health = daemon.rows("net", "list")[0]["health"]
    said = daemon.vmkeep("list", "--problems").out
    assert said == ("OK: no problems\n" if health == "ok" else "WARNING network default: %s\n" % health)
    return health


@pytest.mark.parametrize("cure", ["reload", "net start default", "start a"])
def test_port_53_is_free_again(daemon, cure):
    """Nobody need cut the guests off to get DNS back."""
    micro_with_nic(daemon, "a")
    holder = daemon.stream_of("python3", "-c", HOLDER)
    holder.until("holds")
    daemon.ok("net", "start", "default")
    index = link(daemon, "virbr0")["ifindex"]
    assert network_told(daemon) == "no DNS: port 53 is taken"
    holder.end()
    daemon.eventually(lambda: daemon.rows("net", "list")[0]["health"], lambda health: health != "no DNS: port 53 is taken")
    assert network_told(daemon) == "no DNS: port 53 was taken, and is free now: vmkeep reload"
    daemon.ok(*cure.split())
    daemon.eventually(lambda: daemon.rows("net", "list")[0]["health"], lambda health: health == "ok")
    assert network_told(daemon) == "ok" and daemon.one("net", "show", "default")["dns"]["enabled"] and link(daemon, "virbr0")["ifindex"] == index
    assert "dport 53 accept" in daemon.exec("nft", "list", "ruleset")
    daemon.eventually(lambda: daemon.exec("ss", "-lnu", "sport", "=", ":53"), lambda found: "192.168.122.1" in found)


@pytest.mark.parametrize("cure", ["reload", "net start default", "start a"])
def test_forwarding_is_switched_off(daemon, cure):
    """As a hardening script does it."""
    micro_with_nic(daemon, "a")
    daemon.ok("net", "start", "default")
    daemon.exec("sysctl", "-qw", "net.ipv4.ip_forward=0")
    assert network_told(daemon) == "IP forwarding is off: vmkeep reload switches it on"
    daemon.ok(*cure.split())
    assert network_told(daemon) == "ok" and daemon.exec("cat", "/proc/sys/net/ipv4/ip_forward") == "1\n"


def test_bridge_in_whose_place_another_one_stands(daemon):
    """The other bridge is left alone, and the error says so."""
    micro_with_nic(daemon, "a")
    micro_with_nic(daemon, "b")
    daemon.ok("start", "a")
    daemon.exec("ip", "link", "del", "virbr0")
    daemon.exec("ip", "link", "add", "virbr0", "type", "bridge")
    assert "is no longer ours" in daemon.fails(3, "start", "b")
    assert daemon.info("a")["state"] == "running"
    daemon.ok("start", "b")
    assert daemon.rows("net", "list")[0]["bridge"] == "virbr1"
    assert len(taps(daemon, "virbr1")) == 2
    daemon.ok("kill", "a", "b")
    daemon.ok("net", "stop", "default")
    daemon.exec("ip", "link", "del", "virbr0")


def test_in_use_before_its_monitor_answers(daemon):
    """The network of an adopted guest is in use even while its QEMU hangs."""
    micro_with_nic(daemon, "a")
    daemon.ok("start", "a")
    pid = daemon.info("a")["pid"]
    daemon.kill(pid, "STOP")
    daemon.kill_daemon()
    daemon.start()
    assert "in use by 1 NIC" in daemon.fails(5, "net", "stop", "default")
    daemon.kill(pid, "CONT")
    daemon.ok("pause", "a")
    daemon.ok("kill", "a")
    daemon.ok("net", "stop", "default")


def test_in_use_while_a_guest_starts(world):
    gate = Gate(world)
    world.start()
    micro_with_nic(world, "a")
    network = world.stream("net", "start", "default")
    gate.reached()  # dnsmasq's
    gate.open()
    assert network.wait() == 0, network.stderr()
    start = world.stream("start", "a")
    gate.reached()
    assert "in use by 1 NIC" in world.fails(5, "net", "stop", "default")
    gate.open()
    assert start.wait() == 0, start.stderr()
