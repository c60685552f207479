#!/usr/bin/python3 -I
# SPDX-License-Identifier: MIT
"""Replaces QEMU, and behaves like a compromised one; the VM's name selects the behaviour.

If probed for its capabilities it executes the real QEMU. Otherwise it runs in the jail with a guest's descriptors,
and is a well-behaved monitor until it is told `cont`; then the selected behaviour begins. It reports its findings
on its console, one JSON object per line. The files hostile_*.py next to it add more: each has a dictionary
BEHAVIOUR, built from what is here (`import hostile_qemu as h`).
"""
import contextlib
import ctypes
import errno
import glob
import importlib
import json
import os
import re
import signal
import socket
import sys
import threading
import time

QMP, CONSOLE, AGENT = 3, 5, 20  # descriptors, see supervisor/qemu/argv.h
GREETING = {"QMP": {"version": {"qemu": {"major": 7, "minor": 2, "micro": 22}, "package": ""}, "capabilities": []}}
ODD = "\x1b[31m\u00e9\u202e\x07" * 200
libc = ctypes.CDLL(None, use_errno=True)


class Monitor:
    status, uuid = "prelaunch", None  # uuid: its answer to query-uuid, if the next daemon is to recognize it

    def __init__(self):
        self.listener, self.socket, self.buffer = socket.socket(fileno=QMP), None, b""

    def greet(self, first=True):
        self.socket, _ = self.listener.accept()
        self.buffer = b""
        self.send(GREETING)
        for command in iter(self.command, None):
            self.answer(command)
            if command["execute"] == "cont":
                self.status = "running"
            if command["execute"] == ("cont" if first else "query-status"):
                return

    def send(self, message):
        self.raw(json.dumps(message).encode() + b"\r\n")

    def raw(self, data):
        self.socket.sendall(data)

    def command(self):
        while b"\n" not in self.buffer:
            data = self.socket.recv(65536)
            if not data:
                return None
            self.buffer += data
        line, self.buffer = self.buffer.split(b"\n", 1)
        return json.loads(line)

    def answer(self, command, result=None):
        if command["execute"] == "quit":
            os._exit(0)
        known = {"query-status": {"status": self.status}, "query-uuid": {"UUID": self.uuid} if self.uuid else {}}
        self.send({"return": known.get(command["execute"], {}) if result is None else result, "id": command["id"]})


def tell(**what):
    os.write(CONSOLE, json.dumps(what).encode() + b"\n")


def stay(monitor, first=True):
    """Behaves well until told to quit, with the next daemon too."""
    while True:
        with contextlib.suppress(OSError):  # a daemon that disconnects because it does not recognize us reconnects
            for command in iter(monitor.command, None):
                monitor.answer(command, {"status": monitor.status} if command["execute"] == "query-status" else None)
        with contextlib.suppress(OSError):
            monitor.greet(False)


def endless(data):
    def flood(monitor):
        try:
            while True:
                monitor.raw(data)
        except OSError as e:
            tell(closed=errno.errorcode[e.errno])
        stay(Again(monitor))
    return flood


class Again(Monitor):
    """Serves the next connection well after one was lost."""

    def __init__(self, old):
        self.listener, self.socket, self.buffer = old.listener, None, b""
        self.status, self.uuid = old.status, old.uuid
        self.greet_again()

    def greet_again(self):
        self.socket, _ = self.listener.accept()
        self.send(GREETING)


# What it says.

def lies(monitor):
    """Every reply has the wrong type or is full of odd bytes."""
    for event, data in [("BALLOON_CHANGE", {"actual": ODD}), ("BALLOON_CHANGE", {"actual": -(1 << 62)}),
                        ("SHUTDOWN", []), ("SHUTDOWN", {"reason": {}}), ("RESET", ODD),
                        ("BLOCK_IO_ERROR", {"action": "stop", "node-name": ODD * 50, "nospace": "yes"}),
                        ("DEVICE_DELETED", {"device": ["../../etc/passwd"]}), (ODD, {}), ("STOP", {})]:
        monitor.send({"event": event, "data": data})
    wrong = [ODD, [], 1e300, None, {"status": ODD}, {"status": 7}, {"UUID": []}, {"actual": ODD}]
    turn = 0
    while True:
        for command in iter(monitor.command, None):
            if command["execute"] == "quit":
                os._exit(0)
            turn += 1
            if turn % 3 == 0:
                monitor.send({"error": {"class": ODD, "desc": ODD * 20}, "id": command["id"]})
            else:
                monitor.send({"return": wrong[turn % len(wrong)], "id": command["id"]})
        monitor.socket, _ = monitor.listener.accept()
        monitor.send(GREETING)


def drops(monitor):
    """Executes the command, then disconnects instead of answering."""
    status, stops = "running", 0
    while True:
        for command in iter(monitor.command, None):
            if command["execute"] == "stop":
                status, stops = "paused", stops + 1
                tell(stops=stops)
                monitor.socket.close()
                break
            monitor.answer(command, {"status": status} if command["execute"] == "query-status" else None)
        monitor.socket, _ = monitor.listener.accept()
        monitor.buffer = b""
        monitor.send(GREETING)


def no_greeting(monitor):
    monitor.socket, _ = monitor.listener.accept()
    monitor.raw(b"220 mail.example.com ESMTP\r\n" * 100)
    time.sleep(3600)


def floods_files(monitor):
    """Floods its console and stderr, with or without a daemon."""
    monitor.uuid = sys.argv[sys.argv.index("-uuid") + 1]
    wrote, full = {CONSOLE: 0, 2: 0}, set()
    end = time.monotonic() + 2
    while time.monotonic() < end:
        for fd in wrote:
            try:
                wrote[fd] += os.write(fd, b"x" * 65535 + b"\n")
            except OSError as e:
                full.add(errno.errorcode[e.errno])
    time.sleep(0.5)
    os.write(2, b"\nfinal line\n")
    stay(monitor)


# What it says as the guest's agent.

def agent(answer):
    """Opens the agent's port and answers each connection in this way; the monitor behaves well."""
    def serve():
        listener = socket.socket(fileno=AGENT)
        while True:
            connection, _ = listener.accept()
            try:
                answer(connection)
            except OSError as e:
                tell(agent=errno.errorcode[e.errno])

    def begin(monitor):
        threading.Thread(target=serve, daemon=True).start()
        monitor.send({"event": "VSERPORT_CHANGE", "data": {"id": "agent0", "open": True}})
        stay(monitor)
    return begin


def synced(connection):
    """Answers the daemon's sync, and waits for the command after it."""
    asked = b""
    while b"\n" not in asked:
        asked += connection.recv(4096)
    mark = re.search(rb'"id": *(\d+)', asked).group(1)
    connection.sendall(b'\xff{"return": %s}\n' % mark)
    while asked.count(b"\n") < 2:
        asked += connection.recv(4096)


def says(data, sync=True, forever=False):
    def answer(connection):
        while True:
            if sync:
                synced(connection)
            connection.sendall(data)
            while forever:
                connection.sendall(data)
    return answer


def hangs_up(connection):
    synced(connection)
    connection.close()


# What it tries.

def attempt(function, *arguments):
    """The errno's name, or the result."""
    try:
        value = function(*arguments)
    except OSError as e:
        return errno.errorcode[e.errno]
    return repr(value)


def call(number, *arguments):
    ctypes.set_errno(0)
    value = libc.syscall(ctypes.c_long(number), *(ctypes.c_void_p(a) if isinstance(a, int) else a for a in arguments))
    return errno.errorcode[ctypes.get_errno()] if value == -1 else repr(value)


def connect(family, address):
    with socket.socket(family) as s:
        s.connect(address)


def attacks(monitor):
    """Reads from its image, as JSON, what the test wants attacked."""
    disk = json.loads(next(w for w in sys.argv if '"node-name":"d-' in w))["file"]["filename"]
    with open(disk, "rb") as f:
        f.seek(4096)
        aim = json.loads(f.read(65536).split(b"\0")[0])
    pids, files, sockets = aim["pids"], aim["files"], aim["sockets"]
    found = {"uid": os.getresuid(), "groups": os.getgroups(), "disk": disk}
    found["read"] = {p: attempt(os.open, p, os.O_RDONLY) for p in files}
    found["write"] = {p: attempt(os.open, p, os.O_WRONLY | os.O_CREAT) for p in files}
    found["list"] = {p: attempt(os.listdir, p) for p in ("/proc", "/sys", "/run", "/root", "/home", "/var/lib")}
    found["swap"] = {
        "unlink": attempt(os.unlink, disk), "rename": attempt(os.rename, disk, disk + ".old"),
        "symlink beside": attempt(os.symlink, "/etc/shadow", disk + ".link"),
        "link": attempt(os.link, disk, disk + ".link"), "mkdir": attempt(os.mkdir, "/x"),
        "node": attempt(os.mknod, "/dev/kmem", 0o20600, os.makedev(1, 2)),
        "chmod": attempt(os.chmod, "/usr", 0o777), "open parent": attempt(os.open, disk + "/..", os.O_RDONLY)}
    found["signal"] = {str(p): attempt(os.kill, p, signal.SIGKILL) for p in pids}
    found["group"] = {str(p): attempt(os.killpg, p, signal.SIGKILL) for p in pids if p != 1}
    found["trace"] = {str(p): call(101, 16, p, 0, 0) for p in pids}
    found["memory"] = {str(p): call(310, p, 0, 0, 0, 0, 0) for p in pids}
    found["pidfd"] = {str(p): call(434, p, 0) for p in pids}
    found["unix"] = {p: attempt(connect, socket.AF_UNIX, p) for p in sockets}
    found["nets"] = {name: attempt(socket.socket, getattr(socket, name), socket.SOCK_DGRAM)
                     for name in ("AF_INET", "AF_INET6", "AF_NETLINK", "AF_PACKET", "AF_VSOCK", "AF_ALG", "AF_BLUETOOTH")}
    found["abstract"] = attempt(connect, socket.AF_UNIX, aim["abstract"])
    found["become"] = {"setuid": attempt(os.setuid, 0), "setgroups": attempt(os.setgroups, [0]),
                       "chroot": attempt(os.chroot, "/"), "sethostname": attempt(socket.sethostname, "x"),
                       "nice": attempt(os.setpriority, os.PRIO_PROCESS, 0, -5)}
    found["descriptors"] = {}
    for fd in range(4096):
        try:
            found["descriptors"][fd] = os.fstat(fd).st_mode >> 12
        except OSError:
            pass
    tell(**found)
    stay(monitor)


BEHAVIOUR = {
    "events": endless(b'{"event": "RESUME", "data": {}, "timestamp": {}}\r\n'),
    "strays": endless(b'{"return": {}, "id": 7}\r\n'),
    "garbage": endless(bytes(range(32, 255))),
    "deep": endless(b'{"event":' + b"[" * 100000),
    "huge": endless(b'{"event": "' + b"a" * (1 << 20)),
    "bytes": endless(b" " * 65536),
    "lies": lies,
    "drops": drops,
    "files": floods_files,
    "attacks": attacks,
    "agent-silent": agent(says(b"")),
    "agent-noise": agent(says(bytes(range(256)) * 256, sync=False, forever=True)),
    "agent-marks": agent(says(b"\xff" * 65536, sync=False, forever=True)),
    "agent-endless": agent(says(b'{"return": {"version": "' + b"a" * (1 << 20), forever=True)),
    "agent-deep": agent(says(b'{"return": ' + b"[" * 100000 + b"\n")),
    "agent-garbage": agent(says(b"<html>\n")),
    "agent-odd": agent(says(json.dumps({"return": {"version": ODD, "supported_commands": ODD}}).encode() + b"\n")),
    "agent-gone": agent(hangs_up),
    "agent-heaps": agent(says(json.dumps({"return": {"pid": 7, "exited": True, "exitcode": 0, "out-data": "AAAA" * (1 << 19)}}).encode() + b"\n")),
}


def main():
    words = " ".join(sys.argv)
    if "-machine none" in words:
        os.execv("/usr/bin/qemu-system-x86_64", ["qemu-system-x86_64"] + sys.argv[1:])
    name = words.split("guest=")[1].split(",")[0]
    folder = os.path.dirname(os.path.abspath(__file__))
    sys.modules["hostile_qemu"] = sys.modules["__main__"]
    sys.path.insert(0, folder)
    for path in glob.glob(os.path.join(folder, "hostile_*.py")):
        BEHAVIOUR.update(importlib.import_module(os.path.basename(path)[:-3]).BEHAVIOUR)
    monitor = Monitor()
    if name == "silent":
        no_greeting(monitor)
    monitor.greet()
    BEHAVIOUR[name](monitor)


if __name__ == "__main__":
    main()
