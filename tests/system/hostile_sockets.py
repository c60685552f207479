# SPDX-License-Identifier: MIT
"""What a compromised QEMU can do with the sockets that it gets: a VNC client's connection."""
import contextlib
import os
import socket
import stat
import struct
import sys
import threading
import time

import hostile_qemu as h


class Receiver(h.Monitor):
    """Keeps the descriptors that come with getfd, and passes one to the behaviour at add_client."""

    def __init__(self, old, client):
        self.listener, self.socket, self.buffer = old.listener, old.socket, old.buffer
        self.fds, self.client = [], client

    def command(self):
        while b"\n" not in self.buffer:
            data, fds, _, _ = socket.recv_fds(self.socket, 65536, 16)
            self.fds += fds
            if not data:
                return None
            self.buffer += data
        return super().command()

    def answer(self, command, result=None):
        if command["execute"] == "query-uuid":  # so that the next daemon recognizes it
            result = {"UUID": sys.argv[sys.argv.index("-uuid") + 1]}
        super().answer(command, result)
        if command["execute"] == "add_client":
            given = socket.socket(fileno=self.fds.pop(0))
            given.setblocking(True)
            threading.Thread(target=self.client, args=(given,), daemon=True).start()


def with_client(behave):
    return lambda monitor: h.stay(Receiver(monitor, behave))


def sockets():
    """Domain and type of every socket of this process."""
    found = {}
    for fd in range(1024):
        with contextlib.suppress(OSError):
            if stat.S_ISSOCK(os.fstat(fd).st_mode):
                with socket.socket(fileno=os.dup(fd)) as s:
                    found[fd] = [s.getsockopt(socket.SOL_SOCKET, socket.SO_DOMAIN),
                                 s.getsockopt(socket.SOL_SOCKET, socket.SO_TYPE)]
    return found


def raw(number, s, address):
    """connect or bind with an address that Python would refuse for this family."""
    buffer = h.ctypes.create_string_buffer(address, len(address))
    return h.call(number, s.fileno(), h.ctypes.addressof(buffer), len(address))


def internet(host, port):
    return struct.pack("=H", socket.AF_INET) + struct.pack(">H", port) + socket.inet_aton(host) + bytes(8)


def interfaces(s, request):
    """Lists interfaces: any socket answers for the network namespace that it was created in."""
    buffer = h.ctypes.create_string_buffer(4096)
    listing = h.ctypes.create_string_buffer(struct.pack("=iiQ", len(buffer), 0, h.ctypes.addressof(buffer)))
    return h.call(16, s.fileno(), request, h.ctypes.addressof(listing))


def tricks(s):
    """Tries everything. The client has sent a port of a service on the host's loopback, an address outside, and its
    port."""
    first = s.recv(4096)
    port, outside, far = first.split()
    connect, bind = 42, 49
    tried = {}
    for turn in ("at once", "disconnected"):
        tried[turn] = {
            "loopback": raw(connect, s, internet("127.0.0.1", int(port))),
            "outside": raw(connect, s, internet(outside.decode(), int(far))),
            "unix": raw(connect, s, struct.pack("=H", socket.AF_UNIX) + b"\0vmkeep-test-%d" % int(port)),
            "bind internet": raw(bind, s, internet("0.0.0.0", 6666)),
            "bind abstract": raw(bind, s, struct.pack("=H", socket.AF_UNIX) + b"\0vmkeep-taken"),
            "interfaces": interfaces(s, 0x8912), "interfaces, long": interfaces(s, 0x8912 | 1 << 32),
            "listen": h.attempt(s.listen), "accept": h.attempt(s.accept)}
        tried[turn]["unspec"] = raw(connect, s, struct.pack("=H", socket.AF_UNSPEC) + bytes(14))
    rights = h.attempt(socket.send_fds, s, [b"rights"], [0, s.fileno(), h.CONSOLE])
    h.tell(tried=tried, rights=rights, sockets=sockets())
    time.sleep(3600)


def echo(s):
    """Echoes everything, then sends the number of bytes."""
    total = 0
    while True:
        data = s.recv(1 << 16)
        if not data:
            break
        total += len(data)
        s.sendall(data)
    s.sendall(b"total %d" % total)
    s.close()


def keep(s):
    """Keeps its end open, whatever the client does."""
    s.sendall(b"x")
    while s.recv(1 << 16):
        pass
    h.tell(client="left")
    time.sleep(3600)


def flood(s):
    with contextlib.suppress(OSError):
        while True:
            s.sendall(b"x" * 65536)
    h.tell(client="left")
    time.sleep(3600)


def deaf(s):
    s.sendall(b"x")
    time.sleep(3600)


def half(s):
    """Sends something, shuts down its direction, and keeps reading."""
    s.sendall(b"half")
    s.shutdown(socket.SHUT_WR)
    while s.recv(1 << 16):
        pass
    h.tell(client="left")
    time.sleep(3600)


def holds(monitor):
    """Keeps the descriptors that a second monitor client sends, for as long as that client is connected."""
    def serve():
        while True:
            client, _ = monitor.listener.accept()
            _, fds, _, _ = socket.recv_fds(client, 16, 16)
            client.sendall(b"held")
            client.recv(16)
            for fd in fds:
                os.close(fd)
            client.close()

    threading.Thread(target=serve, daemon=True).start()
    h.stay(monitor)


BEHAVIOUR = {"socket-" + f.__name__: with_client(f) for f in (tricks, echo, keep, flood, deaf, half)}
BEHAVIOUR["socket-holds"] = holds
