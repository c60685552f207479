# SPDX-License-Identifier: MIT
"""The host's network is not visible in a jail: a TCP client of a guest's screen is connected to a relay, which is
confined, counted, and ends with either side, whatever the QEMU does. (hostile_sockets.py is that QEMU.)"""
import json
import os
import re
import socket
import stat
import struct

import pytest

import hostile as place
import tcp
import vmk

ELSEWHERE = "203.0.113.2"  # an address of the world
PER_PEER, AT_MOST = 8, 32
UNIX_STREAM = [socket.AF_UNIX, socket.SOCK_STREAM]


def screen(world, name, listen="127.0.0.1"):
    """Starts a VM with a display over TCP, whose name selects the behaviour of its QEMU; returns the display's port."""
    world.exec("ip", "address", "replace", ELSEWHERE + "/32", "dev", "lo")
    world.micro(name, extra="[QEMU]\nBinary=%s\n[Display]\nListen=%s\nAllowNoPassword=yes\n" % (place.BINARY, listen))
    world.ok("start", name)
    address, port = world.info(name)["vnc"].rsplit(":", 1)
    assert address == listen
    return int(port)


def client(world, port, listen="127.0.0.1", **whence):
    return tcp.connect(world, listen, port, 20 * vmk.SLOW, **whence)


def relays(world, name):
    return {pid for pid, line in world.processes().items() if line.endswith("vmkeep-jail " + name)}


def standing(world, name, n):
    """Waits until there are this many relays."""
    return world.eventually(lambda: relays(world, name), lambda found: len(found) == n, timeout=30)


def receive(s, n):
    data = b""
    while len(data) < n:
        part = s.recv(n - len(data))
        if not part:
            raise EOFError(data)
        data += part
    return data


def refusal(s):
    assert receive(s, 12) == b"RFB 003.003\n"
    return receive(s, struct.unpack(">II", receive(s, 8))[1]).decode()


def gone(world, name):
    world.eventually(lambda: relays(world, name), lambda found: not found, timeout=60)  # longer than RELAY_STALL


def told(world, name, key):
    """What the program wrote to its console."""
    text = world.stream("console", name, "--lines", "100").until(r'\{"%s.*\}\r?\n' % key, timeout=30).group()
    return json.loads(text)


@pytest.mark.parametrize("listen", ["127.0.0.1", ELSEWHERE])
def test_no_way_into_the_hosts_network(hostile, listen):
    port = screen(hostile, "socket-tricks", listen)
    with tcp.listen(hostile, "127.0.0.1") as secret, tcp.listen(hostile, ELSEWHERE) as outside, \
            client(hostile, port, listen) as s:
        name = "\0vmkeep-test-%d" % secret.getsockname()[1]
        with tcp.inside(hostile, lambda: socket.socket(socket.AF_UNIX)) as local:
            local.bind(name)
            local.listen()
            for listener in (secret, outside, local):
                listener.setblocking(False)
            s.sendall(b"%d %s %d" % (secret.getsockname()[1], ELSEWHERE.encode(), outside.getsockname()[1]))
            assert receive(s, 6) == b"rights"  # the bytes arrive, the descriptors sent with them do not
            found = told(hostile, "socket-tricks", "tried")
            for listener in (secret, outside, local):
                with pytest.raises(BlockingIOError):
                    listener.accept()
        assert set(map(tuple, found["sockets"].values())) == {tuple(UNIX_STREAM)}, found
        for turn in found["tried"].values():
            assert all(re.fullmatch("E[A-Z]+", value) for value in turn.values()), found
        pid, = standing(hostile, "socket-tricks", 1)
        assert len(os.listdir(hostile.inner("/proc/%d/fd" % pid))) == 3
        listening = hostile.exec("ss", "-Hltn").split()
        assert "0.0.0.0:6666" not in listening
    gone(hostile, "socket-tricks")


def block_device(world):
    path = os.path.join(world.base, "device")
    os.mknod(path, 0o600 | stat.S_IFBLK, os.makedev(7, 77))
    return os.open(path, os.O_PATH)


ODD = {  # what it holds, and the rules of `info --security` that then fail
    "tcp": (lambda w: socket.socket(socket.AF_INET).detach(), {"no network", "sockets"}),
    "udp6": (lambda w: socket.socket(socket.AF_INET6, socket.SOCK_DGRAM).detach(), {"no network", "sockets"}),
    "netlink": (lambda w: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW).detach(), {"no network", "sockets"}),
    "packet": (lambda w: socket.socket(socket.AF_PACKET, socket.SOCK_RAW).detach(), {"no network", "sockets"}),
    "datagrams": (lambda w: socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).detach(), {"sockets"}),
    "packets": (lambda w: socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET).detach(), {"sockets"}),
    "stream": (lambda w: socket.socket(socket.AF_UNIX).detach(), set()),
    "zero": (lambda w: os.open("/dev/zero", os.O_RDONLY), {"devices"}),
    "disk": (block_device, {"devices"}),
    "directory": (lambda w: os.open("/tmp", os.O_RDONLY), {"directories"}),
    "path": (lambda w: os.open(w.base, os.O_PATH), {"directories"}),
}


def unwell(world, name):
    result = world.vmkeep("--json", "info", "--security", name)
    return {row["rule"] for row in json.loads(result.out) if row["holds"] is False}


def test_odd_descriptors_are_seen(hostile):
    place.make(hostile, "socket-holds")
    hostile.ok("start", "socket-holds")
    usual = unwell(hostile, "socket-holds")
    assert not usual & {"no network", "sockets", "devices", "directories"}
    for what, (make, rules) in ODD.items():
        fd = make(hostile)
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(20 * vmk.SLOW)
            s.connect(hostile.inner(hostile.run + "/vms/socket-holds/qmp.sock"))
            socket.send_fds(s, [b"hold"], [fd])
            os.close(fd)
            assert receive(s, 4) == b"held"
            assert unwell(hostile, "socket-holds") == usual | rules, what
        hostile.eventually(lambda: unwell(hostile, "socket-holds"), lambda found: found == usual)


def test_a_relay_has_nothing(hostile):
    port = screen(hostile, "socket-echo")
    with client(hostile, port) as s:
        s.sendall(b"x")
        assert receive(s, 1) == b"x"
        pid, = standing(hostile, "socket-echo", 1)
        proc = hostile.inner("/proc/%d" % pid)
        status = dict(re.findall(r"(\w+):[ \t]*(.*)", vmk.read_text(proc + "/status")))
        assert status["Uid"].split() == status["Gid"].split() == [str(hostile.first_uid() + vmk.RELAYS)] * 4
        assert not status["Groups"].strip() and status["NoNewPrivs"] == "1"
        assert {status[c] for c in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {"0" * 16}
        assert int(status["Seccomp_filters"]) >= 2
        assert os.listdir(proc + "/root") == []
        assert [line.split()[4] for line in vmk.read_text(proc + "/mountinfo").splitlines()] == ["/"]
        links = {fd: os.readlink(proc + "/fd/" + fd) for fd in os.listdir(proc + "/fd")}
        assert set(links) == {"0", "1", "2"} and links["2"].endswith("/relays"), links
        assert vmk.read_text(proc + "/net/dev").count(":") == 1
        assert os.readlink(proc + "/ns/net") != os.readlink("/proc/%d/ns/net" % hostile.init)
        assert vmk.read_text(proc + "/oom_score_adj") == "500\n"
        assert pid not in vmk.children(hostile.daemon_pid())
    gone(hostile, "socket-echo")


def test_bytes_and_half_closed_connections(hostile):
    """Everything that was sent comes back, even if it is in transit when the client closes its direction."""
    port = screen(hostile, "socket-echo")
    data = os.urandom(3 << 20)
    with client(hostile, port) as s:
        back = b""
        for at in range(0, len(data), 1 << 15):
            s.sendall(data[at:at + (1 << 15)])
            back += s.recv(1 << 15)
        s.shutdown(socket.SHUT_WR)
        while True:
            part = s.recv(1 << 16)
            if not part:
                break
            back += part
    assert back == data + b"total %d" % len(data)
    gone(hostile, "socket-echo")


@pytest.mark.parametrize("how", ["keep", "flood", "deaf", "half"])
def test_no_relay_outlives_its_client(hostile, how):
    """QEMU keeps its end open, floods, never reads, or closes one direction: the relay ends with the client."""
    name = "socket-" + how
    port = screen(hostile, name)
    with client(hostile, port) as s:
        assert receive(s, 1)
        standing(hostile, name, 1)
        if how == "deaf":
            s.settimeout(1)
            with pytest.raises(TimeoutError):
                while True:
                    s.sendall(b"x" * 65536)
        hostile.ok("list")
    gone(hostile, name)
    assert hostile.info(name)["state"] == "running"


@pytest.mark.parametrize("how", ["keep", "flood"])
def test_no_relay_outlives_its_guest(hostile, how):
    """Even if the client stays connected and neither reads nor writes."""
    name = "socket-" + how
    port = screen(hostile, name)
    with client(hostile, port) as s:
        assert receive(s, 1)
        hostile.ok("kill", name)
        gone(hostile, name)
        if how == "keep":
            assert s.recv(1) == b""


def test_a_relay_outlives_the_daemon(hostile):
    port = screen(hostile, "socket-echo")
    with client(hostile, port) as s:
        s.sendall(b"before")
        assert receive(s, 6) == b"before"
        hostile.kill_daemon()
        s.sendall(b"meanwhile")
        assert receive(s, 9) == b"meanwhile"
        hostile.start()
        hostile.wait_state("socket-echo", "running")
        s.sendall(b"after")
        assert receive(s, 5) == b"after"
        with several(hostile, 1, port)[0]:
            standing(hostile, "socket-echo", 2)
    gone(hostile, "socket-echo")


def echoed(world, *where, **whence):
    """A client that is connected to QEMU; None if the new daemon has no monitor connection yet."""
    s = client(world, *where, **whence)
    s.sendall(b"x")
    if receive(s, 1) == b"x":
        return s
    assert b"the guest's QEMU does not" in s.recv(4096)
    s.close()
    return None


def several(world, n, *where, **whence):
    """Connects one client after another, because the number of pending connections is limited."""
    return [world.eventually(lambda: echoed(world, *where, **whence), bool, timeout=20) for _ in range(n)]


def test_relays_are_counted(hostile):
    """Per user and in total; a new daemon still counts the existing ones; when a client leaves, another may connect."""
    port, name = screen(hostile, "socket-echo"), "socket-echo"
    alice, bob, carol = 7003, 7004, 7005
    clients = several(hostile, PER_PEER, port, uid=alice)
    with client(hostile, port, uid=alice) as s:
        assert refusal(s) == "too many clients of your user, 8 are connected"
    clients += several(hostile, 1, port, uid=bob)
    hostile.kill_daemon()
    hostile.start()
    hostile.wait_state(name, "running")
    for user, n in (alice, PER_PEER), (bob, PER_PEER), (carol, PER_PEER - 1):
        clients += several(hostile, n, port, uid=user)
    assert len(clients) == AT_MOST
    standing(hostile, name, AT_MOST)
    with client(hostile, port) as s:
        assert refusal(s) == "too many clients, 32 are connected"
    for s in clients:
        s.close()
    gone(hostile, name)
    several(hostile, 1, port, uid=alice)[0].close()
    gone(hostile, name)


def test_relays_are_counted_by_address(hostile):
    """The user of a remote client is unknown, so its address counts; local clients can still connect."""
    port = screen(hostile, "socket-echo", ELSEWHERE)
    far = hostile.stream_of("unshare", "--net", "sh", "-c", "echo ready; exec sleep 86400")
    far.until("ready")
    pid, = hostile.eventually(lambda: [p for p, line in hostile.processes().items() if line == "sleep 86400"], bool)
    hostile.exec("ip", "link", "add", "far0", "type", "veth", "peer", "name", "eth0", "netns", pid)
    hostile.exec("ip", "address", "add", "198.51.100.1/24", "dev", "far0")
    hostile.exec("ip", "link", "set", "far0", "up")
    for words in ("address add 198.51.100.2/24 dev eth0", "link set eth0 up",
                  "route add %s via 198.51.100.1" % ELSEWHERE):
        hostile.exec("nsenter", "--target", pid, "--net", "--", "ip", *words.split())
    clients = several(hostile, PER_PEER, port, ELSEWHERE, pid=pid)
    with client(hostile, port, ELSEWHERE, pid=pid) as s:
        assert refusal(s) == "too many clients of your address, 8 are connected"
    clients += several(hostile, 1, port, ELSEWHERE)
    for s in clients:
        s.close()
    gone(hostile, "socket-echo")
    hostile.exec("ip", "link", "delete", "far0")
    far.end()
