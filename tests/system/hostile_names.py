# SPDX-License-Identifier: MIT
"""Hostile behaviour: a command line that lies, and none at all."""
import ctypes
import sys
import threading

import hostile_qemu as h


def pretends(monitor):
    """The kernel shows the words as they stand in our own memory: one of them becomes another VM's name."""
    first = ctypes.c_void_p.in_dll(h.libc, "program_invocation_name").value
    size = sum(len(word) + 1 for word in sys.orig_argv)
    words = ctypes.string_at(first, size)
    honest = b"guest=pretends,process"
    at = words.index(honest)
    ctypes.memmove(first + at, b"guest=b,x=pretends,pro", len(honest))
    while True:
        monitor.greet(first=False)


def headless(monitor):
    """The first thread ends, and with it what /proc shows of the process; the others go on."""
    threading.Thread(target=h.stay, args=(monitor,)).start()
    h.libc.syscall(60, 0)  # exit, of x86_64


BEHAVIOUR = {"pretends": pretends, "headless": headless}
