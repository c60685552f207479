# SPDX-License-Identifier: MIT
"""TCP sockets in a world's network, made by a thread that enters it."""
import concurrent.futures
import ctypes
import os
import socket

CLONE_NEWNET = 0x40000000


def inside(world, make, pid=1, uid=0):
    """A socket made as this user; pid: a process of the world, in another network."""
    def there():
        with open(world.inner("/proc/%d/ns/net" % pid), "rb") as ns:
            assert ctypes.CDLL(None).setns(ns.fileno(), CLONE_NEWNET) == 0
        os.seteuid(uid)
        try:
            return make()
        finally:
            os.seteuid(0)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        return pool.submit(there).result()


def connect(world, host, port, timeout, **whence):
    return inside(world, lambda: socket.create_connection((host, port), timeout), **whence)


def listen(world, host):
    """Listens on a port that the kernel chooses."""
    return inside(world, lambda: socket.create_server((host, 0)))
