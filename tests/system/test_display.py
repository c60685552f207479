# SPDX-License-Identifier: MIT
"""VNC: the daemon listens, QEMU speaks the protocol. A connection gets a complete RFB session, with a password if one
is set."""
import concurrent.futures
import ctypes
import os
import shutil
import socket
import stat
import struct
import subprocess
import time

import pytest

import vmk

CLONE_NEWNET = 0x40000000


def connect_inside(world, host, port, timeout):
    """A TCP connection in the world's network, made by a thread that enters it."""
    def connect():
        with open("/proc/%d/ns/net" % world.init, "rb") as ns:
            assert ctypes.CDLL(None).setns(ns.fileno(), CLONE_NEWNET) == 0
        return socket.create_connection((host, port), timeout)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        return pool.submit(connect).result()


class Vnc:
    """An RFB client, up to the message with the size of the guest's screen."""

    def __init__(self, world, address, timeout=10):
        self.name = None
        if address.startswith("/"):
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.settimeout(timeout)
            self.socket.connect(world.inner(address))
        else:
            host, port = address.rsplit(":", 1)
            self.socket = connect_inside(world, host.strip("[]"), int(port), timeout)

    def read(self, n):
        data = b""
        while len(data) < n:
            part = self.socket.recv(n - len(data))
            if not part:
                raise EOFError(data)
            data += part
        return data

    def version(self):
        return self.read(12)

    def types(self):
        """The authentication types that the server offers: 1 none, 2 password."""
        assert self.version() == b"RFB 003.008\n"
        self.socket.sendall(b"RFB 003.008\n")
        return list(self.read(self.read(1)[0]))

    def open(self):
        assert self.types() == [1]
        self.socket.sendall(b"\x01")
        assert self.read(4) == b"\0\0\0\0"
        self.socket.sendall(b"\x01")
        width, height = struct.unpack(">HH", self.read(20)[:4])
        self.name = self.read(struct.unpack(">I", self.read(4))[0])
        assert width > 0 and height > 0

    def close(self):
        self.socket.close()


def vnc(daemon, name):
    return Vnc(daemon, daemon.info(name)["vnc"])


def test_unix_socket(daemon):
    """The default. Several clients at a time; the same after a restart of the daemon."""
    daemon.micro("a", "deaf")
    daemon.up("a")
    path = daemon.info("a")["vnc"]
    assert path == os.path.join(daemon.run, "vms", "a", "vnc.sock")
    assert stat.S_IMODE(os.stat(daemon.inner(path)).st_mode) == 0o600
    first = vnc(daemon, "a")
    first.open()
    assert b"a" in first.name
    second = vnc(daemon, "a")
    second.open()
    daemon.kill_daemon()
    first.socket.sendall(struct.pack(">BBHHHH", 3, 0, 0, 0, 1, 1))
    assert first.read(1) == b"\0", "a session does not notice the daemon's end"
    daemon.start()
    daemon.wait_state("a", "running")
    third = vnc(daemon, "a")
    third.open()
    for client in (first, second, third):
        client.close()


@pytest.mark.parametrize("listen, address", [("127.0.0.1", "127.0.0.1:%d"), ("::1", "[::1]:%d")])
def test_tcp_ports(daemon, listen, address):
    """auto selects the first free port and keeps it across a restart; if a port is in use the error names the
    holder."""
    text = "[Display]\nListen=%s\nAllowNoPassword=yes\n" % listen
    daemon.micro("a", "deaf", extra=text)
    daemon.micro("b", "deaf", extra=text)
    daemon.micro("c", "deaf", extra=text + "Port=5901\n")
    daemon.up("a")
    daemon.up("b")
    assert daemon.info("a")["vnc"] == address % 5900
    assert daemon.info("b")["vnc"] == address % 5901
    vnc(daemon, "b").open()
    said = daemon.fails(3, "start", "c")
    assert "5901" in said and "'b'" in said
    daemon.ok("kill", "a")
    daemon.kill_daemon()
    daemon.start()
    daemon.wait_state("b", "running")
    assert daemon.info("b")["vnc"] == address % 5901
    vnc(daemon, "b").open()
    daemon.ok("kill", "b")
    daemon.ok("start", "c")
    assert daemon.info("c")["vnc"] == address % 5901


def taker(world, host, port):
    """Another program that listens on that port."""
    server = world.stream_of("busybox", "httpd", "-f", "-p", "%s:%d" % (host, port), "-h", "/usr")
    line = "%s:%04X" % ({"127.0.0.1": "0100007F", "[::1]": "0" * 24 + "01000000"}[host], port)
    world.eventually(lambda: world.exec("sh", "-c", "cat /proc/net/tcp /proc/net/tcp6"), lambda text: line in text)
    return server


@pytest.mark.parametrize("listen, host", [("127.0.0.1", "127.0.0.1"), ("0.0.0.0", "127.0.0.1"), ("::1", "[::1]")])
def test_a_busy_port_names_its_holder(daemon, listen, host):
    """F93: by name and process, as for disks."""
    daemon.micro("a", "deaf", extra="[Display]\nListen=%s\nPort=5907\nAllowNoPassword=yes\n" % listen)
    server = taker(daemon, host, 5907)
    for verb in "start", "check":
        said = daemon.vmkeep(verb, "a")
        said = said.out + said.err
        assert "is taken by busybox (pid " in said and "display: display" not in said, said
    daemon.fails(3, "start", "a")
    server.end()
    daemon.eventually(lambda: daemon.vmkeep("start", "a").code, lambda code: code == 0)
    assert "no problems" in daemon.ok("check", "a")  # its own port is not in use by another


@pytest.mark.parametrize("listen", ["192.0.2.9", "2001:db8::9"])
def test_an_address_that_the_host_does_not_have(daemon, listen):
    """F93: is an error of the file, and reported as such."""
    daemon.micro("a", "deaf", extra="[Display]\nListen=%s\nAllowNoPassword=yes\n" % listen)
    assert "display: this host does not have the address %s" % listen in daemon.fails(2, "start", "a")


def test_a_display_that_was_taken_meanwhile(daemon):
    """F93: the VM keeps running without it, reports that, and has it again after a reload."""
    daemon.micro("a", "deaf", extra="[Display]\nListen=127.0.0.1\nPort=5907\nAllowNoPassword=yes\n")
    daemon.up("a")
    pid = daemon.info("a")["pid"]
    daemon.kill_daemon()
    server = taker(daemon, "127.0.0.1", 5907)
    daemon.start()
    info = daemon.wait_state("a", "running")
    assert info["pid"] == pid and not info["vnc"]
    assert "127.0.0.1:5907 is taken by busybox (pid " in info["vnc_problem"]
    assert "127.0.0.1:5907 is taken by busybox (pid " in str(daemon.vmkeep("reload"))
    assert "display: display" not in vmk.read_text(daemon.base + "/daemon.log")
    server.end()

    def reloaded():
        daemon.ok("reload")
        return daemon.info("a")
    info = daemon.eventually(reloaded, lambda info: info["vnc"])
    assert info["vnc"] == "127.0.0.1:5907" and not info["vnc_problem"]
    vnc(daemon, "a").open()
    daemon.ok("kill", "a")
    assert not daemon.info("a")["vnc_problem"]


@pytest.mark.skipif(not shutil.which("openssl"), reason="openssl, which has DES, is not installed")
def test_password(daemon):
    """Required on every kind of socket; if its file is missing the VM does not start."""
    daemon.write("secret", "sesame-and-more\nignored\n")
    daemon.micro("a", "deaf", extra="[Display]\nPassword=secret\nListen=127.0.0.1\n")
    daemon.micro("b", "deaf", extra="[Display]\nPassword=missing\n")
    daemon.up("a")
    for wanted, word in (("00000000", b"sesame-a"), ("00000001", b"sesame-b")):
        client = vnc(daemon, "a")
        assert client.types() == [2]
        client.socket.sendall(b"\x02")
        client.socket.sendall(des(word, client.read(16)))
        assert client.read(4).hex() == wanted
    assert "missing" in daemon.fails(4, "start", "b")
    with open(os.path.join(daemon.base, "daemon.log"), encoding="utf-8") as f:
        log = f.read()
    assert "missing" in log and "8 characters" in log
    assert "sesame" not in log


def des(word, challenge):
    """RFB's variant: the bits of each key byte are reversed. openssl provides the cipher."""
    key = bytes(int("{:08b}".format(b)[::-1], 2) for b in word.ljust(8, b"\0")[:8])
    return subprocess.run(
        ["openssl", "enc", "-des-ecb", "-provider", "legacy", "-provider", "default", "-nopad", "-K", key.hex()],
        input=challenge, capture_output=True, check=True).stdout


def test_refused_politely_while_qemu_hangs(daemon):
    """A stopped QEMU costs no more than the few pending connections; further clients get an error message."""
    daemon.micro("a", "deaf")
    daemon.up("a")
    pid = daemon.info("a")["pid"]
    daemon.kill(pid, "STOP")
    clients = [vnc(daemon, "a") for _ in range(9)]
    assert clients[8].version() == b"RFB 003.003\n"
    kind, length = struct.unpack(">II", clients[8].read(8))
    assert kind == 0 and b"too many" in clients[8].read(length)
    daemon.kill(pid, "CONT")
    clients[0].open()


def test_clients_of_the_socket_are_counted(daemon):
    """By QEMU, because only QEMU knows when a client has left."""
    daemon.micro("a", "deaf")
    daemon.up("a").end()
    clients = []
    for _ in range(32):
        clients.append(vnc(daemon, "a"))
        clients[-1].open()
    with vnc(daemon, "a").socket as late:
        said = late.recv(4096)
    assert said.startswith(b"RFB 003.003\n") and said.endswith(b"too many clients are connected"), said
    clients.pop().close()

    def comes_in():
        client = vnc(daemon, "a")
        if client.version() == b"RFB 003.008\n":
            return client
        return client.close()
    daemon.eventually(comes_in, bool).close()
    for client in clients:
        client.close()


def test_no_display(daemon):
    daemon.micro("a", "deaf", extra="[Display]\nType=none\n")
    daemon.up("a")
    assert not daemon.info("a")["vnc"]


@pytest.mark.parametrize("left", ["reserve", "nothing"])
def test_no_descriptors(daemon, left):
    """Clients get an error, or wait if even that needs a descriptor; the loop sleeps; then they are served."""
    daemon.micro("a", "deaf")
    daemon.up("a").end()
    path, control = daemon.info("a")["vnc"], daemon.client()
    pid = str(daemon.daemon_pid())
    for _ in range(3):  # after these it has noticed that the earlier ones have left
        control.call("vm-list")
    taken = set(map(int, os.listdir("/proc/%s/fd" % pid)))
    limit = min(set(range(1024)) - taken) if left == "reserve" else 3
    subprocess.run(["prlimit", "--pid", pid, "--nofile=%d:" % limit], check=True)
    clients = [Vnc(daemon, path) for _ in range(6)]
    if left == "reserve":
        for client in clients:
            assert client.version() == b"RFB 003.003\n"
            kind, length = struct.unpack(">II", client.read(8))
            assert kind == 0 and b"no descriptors" in client.read(length)
    before, turns = cpu_ticks(pid), 0
    while turns < 20:
        control.call("vm-list")
        time.sleep(0.05)
        turns += 1
    assert cpu_ticks(pid) - before < 30, "the loop spins"
    subprocess.run(["prlimit", "--pid", pid, "--nofile=1024:"], check=True)
    client = clients[5] if left == "nothing" else Vnc(daemon, path)
    client.open()
    control.close()


def cpu_ticks(pid):
    with open("/proc/%s/stat" % pid, encoding="ascii") as f:
        return sum(map(int, f.read().rsplit(")", 1)[1].split()[11:13]))
