# SPDX-License-Identifier: MIT
"""What a compromised QEMU can do to the files that it writes (consoles, notify lines, stderr): it repeats one trick
forever on all of them, and counts the rounds on its disk, where the test reads the count. Also here: unsolicited
state changes, as fast as the daemon reads them."""
import contextlib
import fcntl
import itertools
import json
import mmap
import os
import socket
import stat
import struct
import sys
import threading
import time

import hostile_qemu as h

PAGE, MOST = 4096, (1 << 63) - 1
ROUNDS_AT = 1 << 19  # on the disk


def outputs():
    """The descriptors of these files: the only other regular file is the disk, which is opened by path."""
    found = []
    for fd in range(64):
        with contextlib.suppress(OSError):
            if stat.S_ISREG(os.fstat(fd).st_mode):
                found.append(fd)
    return found


def counter():
    path = json.loads(next(w for w in sys.argv if '"node-name":"d-' in w))["file"]["filename"]
    fd = os.open(path, os.O_WRONLY)
    return lambda n: os.pwrite(fd, struct.pack("<Q", n), ROUNDS_AT)


def on_files(trick, pause=0.002):
    def rounds(files, count):
        for n in itertools.count(1):
            for fd in files:
                with contextlib.suppress(OSError):
                    trick(fd, n)
            count(n)
            time.sleep(pause)

    def begin(monitor):
        files = outputs()
        threading.Thread(target=rounds, args=(files, counter()), daemon=True).start()
        h.stay(monitor)
    return begin


def stretch(fd, n):
    os.ftruncate(fd, 1 << 60)
    os.write(fd, b"line %d\n" % n)


def stretch_most(fd, n):
    os.ftruncate(fd, MOST if n % 2 else 1 << 62)
    os.write(fd, b"line %d\n" % n)


def cut(fd, n):
    os.ftruncate(fd, 0 if n % 2 else 1 << 60)
    os.write(fd, b"READY=%d\n" % n)


def anywhere(fd, n):
    fcntl.fcntl(fd, fcntl.F_SETFL, 0)
    for at in (0, 1 << 20, 1 << 40, 1 << 62, MOST - PAGE, MOST - 1):
        with contextlib.suppress(OSError):
            os.pwrite(fd, b"x", min(at + n % PAGE, MOST - 1))


def sparse(fd, n):
    fcntl.fcntl(fd, fcntl.F_SETFL, 0)
    os.ftruncate(fd, 0)
    for at in range(0, 1 << 20, 2 * PAGE):
        os.pwrite(fd, b"x", (n % 2) * (1 << 61) + at)


def allocate(fd, n):
    for mode in (0, 1, 3, 8, 0x10, 0x20, 0x40):  # plus keep size, punch, collapse, zero, insert, unshare
        for at, length in ((0, 1 << 20), (1 << 60, 1 << 20), (MOST - PAGE, PAGE), (0, MOST)):
            h.call(285, fd, mode, at, length)
    os.write(fd, b"line %d\n" % n)


def lock(fd, n):
    for what in (lambda: fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB),
                 lambda: fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB),
                 lambda: fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_WRLCK),
                 lambda: fcntl.fcntl(fd, 1033, 0xf),  # F_ADD_SEALS
                 lambda: fcntl.fcntl(fd, fcntl.F_SETFL, os.O_DIRECT | os.O_NOATIME),
                 lambda: mmap.mmap(fd, PAGE, mmap.MAP_SHARED, mmap.PROT_WRITE)):
        with contextlib.suppress(OSError, ValueError):
            what()
    os.write(fd, b"line %d\n" % n)


def zeros(fd, n):
    os.write(fd, bytes(1 << 16))


def flood(fd, n):
    os.write(fd, b"STATUS=%d\n" % n * 6000)


def typed(monitor):
    """Sends endless output to whoever connects to its console."""
    def serve():
        listener, count, sent = socket.socket(fileno=h.CONSOLE - 1), counter(), 0
        while True:
            connection, _ = listener.accept()
            with contextlib.suppress(OSError):
                while True:
                    sent += connection.send(b"x" * 65536)
                    count(sent)
    threading.Thread(target=serve, daemon=True).start()
    h.stay(monitor)


TOLD = 24 << 20


def told(monitor):
    """Writes a fixed number of bytes to its console, retrying until all are written, and then nothing more."""
    count = counter()

    def flood_once():
        block = b"x" * 65535 + b"\n"
        left = block * (TOLD // len(block) - 1) + block[:-11] + b"final line\n"
        while left:
            try:
                left = left[os.write(h.CONSOLE, left[:65536]):]
            except OSError:  # the tmpfs is full
                time.sleep(0.005)
        count(1)
    threading.Thread(target=flood_once, daemon=True).start()
    h.stay(monitor)


def honest(monitor):
    """Writes numbered lines at 200 KB/s, to its console only."""
    def lines():
        for n in range(0, 20000, 40):
            os.write(h.CONSOLE, b"".join(b"%07d%s\n" % (i, b"." * 92) for i in range(n, n + 40)))
            time.sleep(0.02)
        os.write(h.CONSOLE, b"all told\n")
    threading.Thread(target=lines, daemon=True).start()
    h.stay(monitor)


# State changes.

def on_monitor(*events, pause=0.001, lines=False):
    """Sends these events in turn, forever, and also answers commands. Its run state changes as in QEMU: before STOP
    is sent, and after RESUME."""
    def begin(monitor):
        count = counter()

        def rounds():
            for n in itertools.count(1):
                event, data = events[n % len(events)]
                for fd in outputs() if lines else ():
                    os.write(fd, b"STATUS=%d\nREADY=1\n" % n)
                monitor.status = "paused" if event == "STOP" else monitor.status
                with contextlib.suppress(OSError):
                    monitor.send({"event": event, "data": {k: v(n) if callable(v) else v for k, v in data.items()}})
                monitor.status = "running" if event == "RESUME" else monitor.status
                count(n)
                time.sleep(pause(n) if callable(pause) else pause)
        threading.Thread(target=rounds, daemon=True).start()
        h.stay(monitor)
    return begin


ERROR = {"action": "stop", "nospace": True, "node-name": "d-root", "device": "", "operation": "write", "reason": "x"}
STOP, RESUME, RESET = ("STOP", {}), ("RESUME", {}), ("RESET", {"guest": True, "reason": "guest-reset"})


BEHAVIOUR = {
    "chg-toggle": on_monitor(STOP, RESUME),
    "chg-slower": on_monitor(STOP, RESUME, pause=0.01),
    "chg-patient": on_monitor(STOP, RESUME, pause=0.11),
    "chg-short": on_monitor(STOP, RESUME, pause=lambda n: 0.22 * (n % 2)),  # the pauses
    "chg-stops": on_monitor(STOP),
    "chg-errors": on_monitor(("BLOCK_IO_ERROR", ERROR), STOP, RESUME),
    "chg-balloon": on_monitor(("BALLOON_CHANGE", {"actual": lambda n: (n % 16 + 1) << 20})),
    "chg-agent": on_monitor(("VSERPORT_CHANGE", {"id": "agent0", "open": lambda n: n % 2 == 0})),
    "chg-status": on_monitor(RESET, lines=True),
    "chg-reset": on_monitor(RESET),
    "chg-report": on_monitor(("BLOCK_IO_ERROR", dict(ERROR, action="report")), pause=0.002),
    "out-stretch": on_files(stretch),
    "out-most": on_files(stretch_most),
    "out-cut": on_files(cut),
    "out-anywhere": on_files(anywhere),
    "out-sparse": on_files(sparse),
    "out-allocate": on_files(allocate),
    "out-lock": on_files(lock),
    "out-zeros": on_files(zeros, 0),
    "out-flood": on_files(flood, 0),
    "out-told": told,
    "out-typed": typed,
    "out-honest": honest,
}
