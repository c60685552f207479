# SPDX-License-Identifier: MIT
"""TCP sockets in a world's network, made by a thread that goes there."""
import concurrent.futures
import ctypes
import socket

CLONE_NEWNET = 0x40000000


def inside(world, make):
    def there():
        with open("/proc/%d/ns/net" % world.init, "rb") as ns:
            assert ctypes.CDLL(None).setns(ns.fileno(), CLONE_NEWNET) == 0
        return make()
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        return pool.submit(there).result()


def connect(world, host, port, timeout, source=None):
    return inside(world, lambda: socket.create_connection((host, port), timeout, (source, 0) if source else None))


def listen(world, host):
    """On a port of the kernel's choice."""
    return inside(world, lambda: socket.create_server((host, 0)))
