# SPDX-License-Identifier: MIT
"""A guest's tap: off its bridge it gives no access to the host, and whatever was done to it, it ends with its VM.

tapfd.py does what QEMU could do, on QEMU's own descriptor, so that this is tested even where QEMU itself is refused.
"""
import json
import os
import shutil

import pytest

import tapfd
import vmk
from test_network import link, micro_with_nic

HOST4, HOST6, OUT, ALL = "10.77.0.1", "fd77::1", "198.51.100.1", "ff:ff:ff:ff:ff:ff"
SERVICE = """
import contextlib, os, select, socket, sys
sockets = []
for family, kind, any in ((2, 2, "0.0.0.0"), (2, 1, "0.0.0.0"), (10, 2, "::"), (10, 1, "::")):
    s = socket.socket(family, kind)
    if family == 10:
        s.setsockopt(41, 26, 1)
    s.bind((any, 5555))
    if kind == 1:
        s.listen()
    sockets.append(s)
print("ready", flush=True)
while True:
    asked = sys.stdin in select.select(sockets + [sys.stdin], [], [])[0]
    if asked and not os.read(0, 99):
        break
    for s in sockets:
        with contextlib.suppress(BlockingIOError):
            while s.type == 2:
                print("got", s.recv(99, 64).decode(), flush=True)
    if asked:
        print("that is all", flush=True)
"""
ANSWERS = """
table arp answers {
 counter sent {
 }
 chain output {
  type filter hook output priority filter
  oifname "vk0" counter name sent
 }
}
"""


def hold(world, vm, *what, name="vk0"):
    """Runs tapfd.py on the VM's tap; returns its output."""
    return world.exec("/usr/bin/python3", os.path.join(vmk.ROOT, "tests/system/tapfd.py"), world.info(vm)["pid"], name, *what)


def host(world):
    """Addresses, services and a router: everything that a guest off its bridge might reach."""
    for line in ("ip addr add %s/32 dev lo" % HOST4, "ip -6 addr add %s/128 dev lo nodad" % HOST6,
                 "ip link add up0 type veth peer name up1", "ip addr add 203.0.113.2/24 dev up0",
                 "sysctl -qw net.ipv6.conf.up0.disable_ipv6=1 net.ipv6.conf.up1.disable_ipv6=1",
                 "sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 net.ipv4.conf.all.rp_filter=0",
                 "ip link set up0 up", "ip link set up1 up", "ip route add 198.51.100.0/24 dev up0",
                 "ip neigh add %s lladdr 02:00:00:00:00:77 dev up0" % OUT):
        world.exec(*line.split())
    services = world.stream_of("/usr/bin/python3", "-c", SERVICE)
    services.until("ready\n")
    world.exec("nft", "-f", "-", input=ANSWERS)
    world.others = len(world.processes()) - 1
    return services


def leave_host(world, services):
    services.end()
    world.others = 0
    world.exec("nft", "delete", "table", "arp", "answers")
    world.exec("ip", "link", "del", "up0")
    world.exec("sysctl", "-qw", "net.ipv4.ip_forward=0")


COUNTED = ("Ip InDelivers", "Ip ForwDatagrams", "Icmp InMsgs", "Udp InDatagrams", "Udp NoPorts", "Tcp InSegs",
           "Ip6 InDelivers", "Ip6 OutForwDatagrams", "Icmp6 InMsgs", "Udp6 InDatagrams")


def counters(world):
    """How many of the received packets reached something, and how many ARP requests the host answered."""
    found = {}
    words = world.exec("cat", "/proc/net/snmp").splitlines()
    for names, values in zip(words[::2], words[1::2]):
        for key, value in zip(names.split()[1:], values.split()[1:]):
            found[names.split(":")[0] + " " + key] = int(value)
    for line in world.exec("cat", "/proc/net/snmp6").splitlines():
        key, value = line.split()
        for kind in ("Icmp6", "Udp6", "Ip6"):
            if key.startswith(kind):
                found[kind + " " + key[len(kind):]] = int(value)
    found = {key: found[key] for key in COUNTED}
    answers = json.loads(world.exec("nft", "-j", "list", "counters"))["nftables"]
    found["ARP answers"] = sum(row["counter"]["packets"] for row in answers if "counter" in row)
    return found


def frames(world, name="vk0"):
    """Frames to each service and address of the host, and past it, by IPv4, IPv6 and ARP, to the tap's address and to
    all."""
    mac = link(world, name)["address"]
    for to in (mac, ALL):
        for address in (HOST4, "203.0.113.2", "192.168.122.1", OUT) + (("255.255.255.255",) if to == ALL else ()):
            for source in ("198.51.100.9", "192.168.122.50"):
                for protocol, payload in ((17, tapfd.udp(5555, b"v4")), (1, tapfd.ping()),
                                          (6, tapfd.tcp_syn(source, address, 5555))):
                    yield tapfd.ethernet(to, 0x800, tapfd.ipv4(source, address, protocol, payload))
        for address in (HOST6, "ff02::1"):
            yield tapfd.ethernet(to, 0x86DD, tapfd.ipv6_udp("fd77::9", address, 5555, b"v6"))
        yield tapfd.ethernet(to, 0x806, tapfd.arp_request("198.51.100.9", "203.0.113.2"))


def send(world, vm):
    words = []
    for frame in frames(world):
        words += ["send", frame.hex()]
    return hold(world, vm, *words)


def reached(world, vm, services):
    """Sends all frames; returns the counters that changed, and errors of sending. (A datagram is counted when it is
    read.)"""
    before = counters(world)
    said = send(world, vm)
    got = came(services)
    after = counters(world)
    changed = {key: after[key] - before[key] for key in after if after[key] != before[key]}
    assert ("got" in got) == bool({"Udp InDatagrams", "Udp6 InDatagrams"} & set(changed)), got
    return changed, said


def came(services):
    """What the services have received. A guest's packets are queued there before its send returns, but the services
    read them later."""
    start = len(services.text)
    services.type("?")
    services.until("that is all")
    return services.text[start:].partition("that is all")[0]


def up(world, name="vk0"):
    return "UP" in link(world, name)["flags"]


TAKEN = {
    "bridge deleted": ["ip link del virbr0"],
    "tap taken off": ["ip link set vk0 nomaster"],
    "stopped": ["vmkeep net stop default --force"],
    "stopped, and the tap set up": ["vmkeep net stop default --force", "ip link set vk0 up"],
    "no daemon": ["kill", "ip link del virbr0"],
    "daemon restarted": ["kill", "ip link set vk0 nomaster", "start"],
    "rules flushed": ["nft flush ruleset", "vmkeep reload", "eventually", "ip link set vk0 nomaster"],
}


def do(world, line):
    words = line.split()
    if line == "kill":
        world.kill_daemon()
    elif line == "start":
        world.start()
    elif line == "eventually":
        world.eventually(lambda: world.exec("nft", "list", "ruleset"), lambda text: "-taps" in text)
        world.exec("nft", "-f", "-", input=ANSWERS)
    elif words[0] == "vmkeep":
        world.ok(*words[1:])
    else:
        world.exec(*words)


@pytest.mark.parametrize("how", TAKEN)
def test_off_its_bridge_it_reaches_nothing(daemon, how):
    micro_with_nic(daemon, "a")
    daemon.ok("start", "a")
    services = host(daemon)
    pid = daemon.info("a")["pid"]
    for line in TAKEN[how]:
        do(daemon, line)
    daemon.info = lambda name: {"pid": pid}  # also without a daemon
    changed, said = reached(daemon, "a", services)
    del daemon.info
    # the next daemon reattached it, or it is down, or its packets are dropped
    if how == "daemon restarted":
        assert link(daemon, "vk0")["master"] == "virbr0" and not {"Udp InDatagrams", "Tcp InSegs"} & set(changed)
    else:
        assert not changed
        assert ("send: " in said) == (how == "stopped") == (not up(daemon))
    if not daemon.daemon:
        daemon.start()
    daemon.ok("kill", "a")
    assert not [name for name in daemon.links() if name.startswith("vk")]
    leave_host(daemon, services)


def test_the_door_is_what_holds_it(daemon):
    """Without the rule and the tap's settings everything arrives: so the test before this can fail."""
    daemon.exec("ip", "link", "add", "br0", "type", "bridge")
    micro_with_nic(daemon, "a", "Bridge=br0\n")
    daemon.ok("start", "a")
    table, = [line.split()[2] for line in daemon.exec("nft", "list", "tables", "inet").splitlines()]
    assert table.endswith("-taps") and table.startswith("vmkeep")
    services = host(daemon)
    daemon.exec("ip", "link", "del", "br0")
    assert up(daemon) and not reached(daemon, "a", services)[0]
    daemon.exec("nft", "delete", "table", "inet", table)
    changed, _ = reached(daemon, "a", services)
    assert "Udp InDatagrams" in changed and "Tcp InSegs" in changed and "Ip ForwDatagrams" in changed
    assert "Udp6 InDatagrams" not in changed, "the tap takes no IPv6"
    daemon.exec("sysctl", "-qw", "net.ipv6.conf.vk0.disable_ipv6=0", "net.ipv4.conf.vk0.arp_ignore=0")
    changed, _ = reached(daemon, "a", services)
    assert "Udp6 InDatagrams" in changed and changed["ARP answers"] > 0
    said = daemon.vmkeep("reload")
    assert said.code == 2 and "bridge 'br0' is gone" in said.out
    daemon.eventually(lambda: daemon.exec("nft", "list", "tables", "inet"), lambda tables: table in tables)
    daemon.exec("sysctl", "-qw", "net.ipv4.conf.vk0.arp_ignore=8")
    assert not reached(daemon, "a", services)[0]
    daemon.ok("kill", "a")
    daemon.eventually(lambda: daemon.exec("nft", "list", "tables", "inet"), lambda tables: not tables)
    leave_host(daemon, services)


def test_on_its_bridge_nothing_changed_for_it(daemon):
    """With br_netfilter too, if the kernel has it; the rule does not apply to vmkeep's own bridges named vk...."""
    daemon.write("lab.network", "[Network]\nAddress=10.9.0.1/24\n")
    micro_with_nic(daemon, "a", "Network=lab\nAddress=10.9.0.50\n")
    daemon.ok("start", "a")
    assert link(daemon, "vk0")["master"] == "vkbr-lab"
    for value in "01":
        if os.path.exists(daemon.inner("/proc/sys/net/bridge/bridge-nf-call-iptables")):
            daemon.exec("sysctl", "-qw", "net.bridge.bridge-nf-call-iptables=" + value)
        before = counters(daemon)
        to = link(daemon, "vkbr-lab")["address"]
        hold(daemon, "a", "send", tapfd.ethernet(to, 0x800, tapfd.ipv4("10.9.0.50", "10.9.0.1", 1, tapfd.ping())).hex())
        assert counters(daemon)["Icmp InMsgs"] == before["Icmp InMsgs"] + 1


def test_up_only_on_a_bridge(daemon):
    """Down after a stop, up again with the network; in between only the table for taps exists."""
    micro_with_nic(daemon, "a")
    micro_with_nic(daemon, "b", "Link=no\n")
    daemon.ok("start", "a")
    daemon.ok("start", "b")
    assert (up(daemon, "vk0"), up(daemon, "vk1")) == (True, False)
    daemon.ok("net", "stop", "default", "--force")
    assert (up(daemon, "vk0"), up(daemon, "vk1")) == (False, False)
    table, = daemon.exec("nft", "list", "tables", "inet").splitlines()
    assert table.endswith("-taps")
    daemon.ok("net", "start", "default")
    assert (up(daemon, "vk0"), up(daemon, "vk1")) == (True, False)
    assert {link(daemon, name)["master"] for name in ("vk0", "vk1")} == {"virbr0"}
    daemon.ok("kill", "a", "b")
    daemon.ok("net", "stop", "default")
    assert not daemon.exec("nft", "list", "tables", "inet")


SPOILS = {
    "persist": lambda world: hold(world, "a", "persist"),
    "all": lambda world: hold(world, "a", "persist", "owner=7003", "group=7001", "mac=52:54:00:00:00:77", "carrier=0",
                              "header=20", "offload=1"),
    "renamed": lambda world: (hold(world, "a", "persist"), world.exec("ip", "link", "set", "vk0", "down"),
                              world.exec("ip", "link", "set", "vk0", "name", "odd0")),
    "moved": lambda world: (hold(world, "a", "persist"), world.exec("ip", "link", "add", "br0", "type", "bridge"),
                            world.exec("ip", "link", "set", "vk0", "master", "br0")),
}


def old_record(world, **change):
    path = world.inner(world.run) + "/vms/a/record.json"
    record = json.loads(vmk.read_text(path))
    for key, value in change.items():
        if value is None:
            del record["nics"][0][key]
        else:
            record["nics"][0][key] = value
    with open(path, "w", encoding="utf-8") as f:
        json.dump(record, f)


def no_record(world):
    shutil.rmtree(world.inner(world.run) + "/vms/a", ignore_errors=True)


@pytest.mark.parametrize("how", SPOILS)
@pytest.mark.parametrize("end", ["kill", "crash", "no daemon", "old record", "no record"])
def test_it_ends_with_its_vm(daemon, how, end):
    """Persistent, with another address, owner or name, or moved; also while no daemon runs."""
    micro_with_nic(daemon, "a")
    daemon.ok("start", "a")
    SPOILS[how](daemon)
    pid = daemon.info("a")["pid"]
    if end == "kill":
        daemon.ok("kill", "a")
    elif end == "crash":
        daemon.kill(pid)
        daemon.wait_state("a", "backoff", "stopped", "failed", "running")
    else:
        daemon.kill_daemon()
        daemon.kill(pid)
        daemon.eventually(daemon.processes, lambda found: pid not in found)
        if end == "old record":
            old_record(daemon, ifindex=None)
        if end == "no record":
            daemon.exec("umount", "-l", daemon.run + "/vms/a/out")
            no_record(daemon)
        daemon.start()
    daemon.ok("kill", "a")
    links = daemon.links()
    if "br0" in links:
        daemon.exec("ip", "link", "del", "br0")
    assert links <= {"lo", "virbr0", "br0"}, links
    assert "52:54:00:00:00:77" not in daemon.exec("ip", "-o", "link")




OTHER = """
import fcntl, struct, sys, time
fd = open("/dev/net/tun", "r+b", buffering=0)
fcntl.ioctl(fd, 0x400454CA, struct.pack("16sH22x", sys.argv[1].encode(), 0x5002))
print("made", flush=True)
time.sleep(3600)
"""


def test_taps_of_others_stay(daemon):
    """A VM of another daemon with the same name, and a tap of another program: nothing of theirs is deleted."""
    micro_with_nic(daemon, "a")
    daemon.ok("start", "a")
    pid = daemon.info("a")["pid"]
    daemon.kill_daemon()
    daemon.kill(pid)
    daemon.eventually(daemon.links, lambda links: "vk0" not in links)
    other = daemon.stream_of("/usr/bin/python3", "-c", OTHER, "vk0")
    other.until("made")
    daemon.exec("ip", "link", "set", "vk0", "alias", "vmkeep:a:lan")
    daemon.exec("ip", "tuntap", "add", "vk7", "mode", "tap")
    for ifindex in (link(daemon, "virbr0")["ifindex"], None):
        old_record(daemon, ifindex=ifindex)
        daemon.start()
        assert daemon.info("a")["state"] != "running"
        assert {"vk0", "vk7", "virbr0"} <= daemon.links()
        daemon.ok("kill", "a")
        daemon.ok("start", "a")
        pid = daemon.info("a")["pid"]
        daemon.kill_daemon()
        daemon.kill(pid)
        daemon.eventually(daemon.processes, lambda found: pid not in found)
    old_record(daemon, ifname="vk0", ifindex=None)
    daemon.start()
    assert "vk0" in daemon.links(), "its name, but not its tap"
    other.end()
    daemon.exec("ip", "link", "del", "vk7")
