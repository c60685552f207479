# SPDX-License-Identifier: MIT
"""Packets that a guest sends with a foreign source address: the host never answers them, and the entries that one
address may occupy in the host's connection table are limited."""
import json

import pytest

import tapfd
from test_hostile_taps import HOST4, OUT, came, counters, hold, host, leave_host
from test_network import link, micro_with_nic

OWN, SELF = "192.168.122.50", "192.168.122.1"
LIMIT = 8192


@pytest.fixture
def guest(daemon):
    micro_with_nic(daemon, "a", "Address=%s\n" % OWN)
    daemon.ok("start", "a")
    services = host(daemon)
    daemon.services = services
    daemon.exec("nft", "-f", "-", input=SEEN)
    daemon.exec(*("ip neigh add %s lladdr 02:00:00:00:00:99 dev virbr0" % OWN).split())  # it does not answer ARP
    yield daemon
    daemon.exec("nft", "delete", "table", "ip", "seen")
    daemon.ok("kill", "a")
    leave_host(daemon, services)


QUESTION = b"\0\1\1\0\0\1\0\0\0\0\0\0\1x\0\0\1\0\1"
LAST = 7777  # source port of the last query
SEEN = """
table ip seen {
 counter last {
 }
 chain output {
  type filter hook output priority filter
  udp sport 53 udp dport %d counter name last
 }
}
""" % LAST


def answers(world, *frames):
    """How many packets the host sent because of these frames. dnsmasq answers after a while, so the guest sends a
    query of its own last: once that is answered, all earlier frames have been processed. (A ping would not do: all
    namespaces of a machine share the sockets that the kernel uses to answer pings, and these may be full.)"""
    before, words = sent(world), []
    last = questions(world)
    for one in frames + (frame(world, OWN, SELF, 17, tapfd.udp(53, QUESTION, LAST)),):
        words += ["send", one.hex()]
    assert not hold(world, "a", *words)
    world.eventually(lambda: questions(world), lambda now: now == last + 1)
    return sent(world) - before - 1


def questions(world):
    rows = json.loads(world.exec("nft", "-j", "list", "counters", "table", "ip", "seen"))["nftables"]
    return sum(row["counter"]["packets"] for row in rows if "counter" in row)


def sent(world):
    """Including packets that the host could not send because a socket was full."""
    words = world.exec("cat", "/proc/net/snmp").splitlines()
    found = {}
    for names, values in zip(words[::2], words[1::2]):
        found[names.split(":")[0]] = dict(zip(names.split()[1:], map(int, values.split()[1:])))
    return found["Ip"]["OutRequests"] + found["Ip"]["ForwDatagrams"] + sum(
        found["Icmp"].get(key, 0) for key in ("OutMsgs", "OutErrors", "OutRateLimitGlobal", "OutRateLimitHost"))


def frame(world, source, to, protocol, payload, mac=None):
    return tapfd.ethernet(mac or link(world, "virbr0")["address"], 0x800, tapfd.ipv4(source, to, protocol, payload))


@pytest.mark.parametrize("source", ["203.0.113.1", "198.51.100.9", "127.0.0.1", HOST4, "0.0.0.0", "192.168.123.50",
                                    "224.0.0.1", "255.255.255.255"])
def test_a_foreign_source_is_never_answered(guest, source):
    """DNS, ping, a closed port, a refused service; to the host, past it, and to all."""
    payloads = [(17, tapfd.udp(53, QUESTION)), (1, tapfd.ping()), (17, tapfd.udp(9, b"x")),
                (17, tapfd.udp(67, b"x", 68))]
    frames = []
    for to in (SELF, HOST4, "203.0.113.2", OUT, "127.0.0.1", "169.254.169.254", "192.168.122.255", "255.255.255.255"):
        for protocol, payload in payloads + [(6, tapfd.tcp_syn(source, to, 53)), (6, tapfd.tcp_syn(source, to, 5555))]:
            frames.append(frame(guest, source, to, protocol, payload))
    # the host also sends packets by itself (IGMP); an answer would come every time
    assert min(answers(guest, *frames) for _ in range(3)) == 0
    assert "got" not in came(guest.services)
    own = frame(guest, OWN, SELF, 17, tapfd.udp(53, QUESTION)), frame(guest, OWN, SELF, 1, tapfd.ping())
    assert answers(guest, *own) >= 2, "its own is"


def test_no_answer_by_ipv6_or_arp(guest):
    mac, before = link(guest, "virbr0")["address"], counters(guest)
    hold(guest, "a", "send", tapfd.ethernet(mac, 0x86DD, tapfd.ipv6_udp("fe80::9", "ff02::1", 5555, b"v6")).hex(),
         "send", tapfd.ethernet("ff:ff:ff:ff:ff:ff", 0x806, tapfd.arp_request(OWN, "203.0.113.2")).hex())
    after = counters(guest)
    assert after["Ip6 InDelivers"] == before["Ip6 InDelivers"]
    guest.exec("sh", "-c", "! ip neigh show dev virbr0 | grep -q REACHABLE")


def tracked(world):
    return int(world.exec("cat", "/proc/sys/net/netfilter/nf_conntrack_count"))


def test_connections_with_the_host_count_too(guest):
    """A busy kernel drops frames, and normally forgets such connections after 30 s."""
    for protocol in ("icmp", "udp"):
        guest.exec("sh", "-c", "echo 36000 >/proc/sys/net/netfilter/nf_conntrack_%s_timeout" % protocol)
    mac = link(guest, "virbr0")["address"]

    def flooded():
        for protocol in ("icmp", "udp"):
            hold(guest, "a", "flood=%s,%s,%s,%s,%d" % (protocol, OWN, SELF, mac, LIMIT))
        hold(guest, "a", "flood=udp,%s,%s,%s,%d" % (OWN, OUT, mac, 1000))
        return tracked(guest)

    guest.eventually(flooded, lambda now: now > LIMIT // 2)
    assert flooded() < LIMIT + 500
    before = tracked(guest)
    hold(guest, "a", "flood=udp,0.0.0.0,255.255.255.255,%s,%d" % ("ff:ff:ff:ff:ff:ff", 2000))
    hold(guest, "a", "flood=udp,%s,%s,%s,%d" % (OWN, SELF, "ff:ff:ff:ff:ff:ff", 2000))
    hold(guest, "a", "flood=udp,203.0.113.1,%s,%s,%d" % (SELF, mac, 2000))
    assert tracked(guest) < before + 100
