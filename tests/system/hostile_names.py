# SPDX-License-Identifier: MIT
"""Hostile behaviour: a command line that lies."""
import ctypes
import sys

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


BEHAVIOUR = {"pretends": pretends}
