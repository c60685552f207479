# SPDX-License-Identifier: MIT
"""Hostile: a false command line, and none at all."""
import ctypes
import sys
import threading

import hostile_qemu as h


def pretends(monitor):
    """Replaces a word of its command line, which the kernel reads from the process's own memory, by another VM's
    name."""
    first = ctypes.c_void_p.in_dll(h.libc, "program_invocation_name").value
    size = sum(len(word) + 1 for word in sys.orig_argv)
    words = ctypes.string_at(first, size)
    honest = b"guest=pretends,process"
    at = words.index(honest)
    ctypes.memmove(first + at, b"guest=b,x=pretends,pro", len(honest))
    while True:
        monitor.greet(first=False)


def headless(monitor):
    """Ends its first thread, and with it what /proc shows of the process; the other threads keep running."""
    threading.Thread(target=h.stay, args=(monitor,)).start()
    h.libc.syscall(60, 0)  # exit, on x86-64


BEHAVIOUR = {"pretends": pretends, "headless": headless}
