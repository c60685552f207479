#!/usr/bin/python3 -I
# SPDX-License-Identifier: MIT
"""Guests that do exactly what a test asks. `tame` obeys, and reports its memory and file systems to anyone who asks;
it does what a real guest's driver and agent do, in a tenth of the time (test_walks_guest.py). The others end in ways
that a real guest is too quick for (test_overtaken.py)."""
import contextlib
import json
import os
import signal
import socket
import sys
import threading

import hostile_qemu as h

MIB = 1 << 20
frozen = False


def word_after(option):
    return sys.argv[sys.argv.index(option) + 1]


class Agent:
    """qemu-ga, as far as the daemon uses it."""

    def commands(self, connection):
        buffer = b""
        while True:
            data = connection.recv(4096)
            if not data:
                return
            buffer += data
            while b"\n" in buffer:
                line, buffer = buffer.split(b"\n", 1)
                yield json.loads(line[line.index(b"{"):])

    def answer(self, command):
        global frozen
        name = command["execute"]
        if name == "guest-sync-delimited":
            return command["arguments"]["id"]
        if name == "guest-fsfreeze-status":
            return "frozen" if frozen else "thawed"
        if name in ("guest-fsfreeze-freeze", "guest-fsfreeze-thaw"):
            changed = frozen != (name == "guest-fsfreeze-freeze")
            frozen = name == "guest-fsfreeze-freeze"
            return int(changed)
        return {}

    def serve(self):
        listener = socket.socket(fileno=h.AGENT)
        while True:
            connection, _ = listener.accept()
            with contextlib.suppress(OSError):
                for command in self.commands(connection):
                    mark = b"\xff" if command["execute"] == "guest-sync-delimited" else b""
                    connection.sendall(mark + json.dumps({"return": self.answer(command)}).encode() + b"\n")


def tame(monitor):
    """Moves half of the way to its target size each time its size is queried, so that there are intermediate sizes."""
    memory = target = int(word_after("-m").split(",")[0].split("=")[-1].rstrip("M")) * MIB
    status = "running"
    threading.Thread(target=Agent().serve, daemon=True).start()
    monitor.send({"event": "VSERPORT_CHANGE", "data": {"id": "agent0", "open": True}})
    while True:
        with contextlib.suppress(OSError):
            for command in iter(monitor.command, None):
                name, result = command["execute"], None
                if name == "query-status":
                    result = {"status": status}
                elif name in ("stop", "cont"):
                    status = "paused" if name == "stop" else "running"
                    monitor.send({"event": "STOP" if name == "stop" else "RESUME", "data": {}})
                elif name == "query-uuid":
                    result = {"UUID": word_after("-uuid")}
                elif name == "query-chardev":
                    result = [{"label": "agent", "frontend-open": True, "filename": ""}]
                elif name == "balloon":
                    target = command["arguments"]["value"]
                elif name == "query-balloon":
                    if memory != target:
                        memory += (target - memory) // 2 if abs(target - memory) > MIB else target - memory
                        monitor.send({"event": "BALLOON_CHANGE", "data": {"actual": memory}})
                    result = {"actual": memory}
                elif name == "qom-get":
                    result = {"last-update": 1, "stats": {}}
                elif name == "x-target":
                    result = {"target": target}
                monitor.answer(command, result)
        with contextlib.suppress(OSError):
            monitor.socket, _ = monitor.listener.accept()
            monitor.buffer = b""
            monitor.send(h.GREETING)


def sends(monitor, *events):
    """Sends these all at once: many small messages are more than a socket accepts while nobody reads it."""
    monitor.raw(b"".join(json.dumps({"event": name, "data": data}).encode() + b"\r\n" for name, data in events))


def last_words(*events):
    """When told to quit, first reports how its guest ended."""
    def begin(monitor):
        for command in iter(monitor.command, None):
            if command["execute"] == "quit":
                sends(monitor, *events)
            monitor.answer(command)
    return begin


POWER_OFF = ("SHUTDOWN", {"guest": True, "reason": "guest-shutdown"})


def sleepy(monitor):
    """Its guest powers off when asked to, and then its QEMU does not exit."""
    for command in iter(monitor.command, None):
        if command["execute"] == "system_powerdown":
            sends(monitor, POWER_OFF)
        if command["execute"] == "quit":
            monitor.send({"return": {}, "id": command["id"]})
        else:
            monitor.answer(command)


def no_reset(monitor):
    """Cannot reset, and reports what its guest's reboot has been set to do since it started."""
    actions = []
    for command in iter(monitor.command, None):
        if command["execute"] == "set-action":
            actions.append(command["arguments"])
        if command["execute"] == "system_reset":
            monitor.send({"error": {"class": "GenericError", "desc": "not now"}, "id": command["id"]})
        else:
            monitor.answer(command, actions if command["execute"] == "x-actions" else None)


def storm(monitor):
    """At SIGUSR1 its guest resets a thousand times and powers off, and its QEMU exits."""
    def now(*_):
        sends(monitor, *[("RESET", {"guest": True, "reason": "guest-reset"})] * 1000, POWER_OFF)
        os._exit(0)
    signal.signal(signal.SIGUSR1, now)
    for command in iter(monitor.command, None):
        monitor.answer(command, {"status": "running"} if command["execute"] == "query-status" else None)


BEHAVIOUR = {
    "tame": tame,
    "says-shutdown": last_words(POWER_OFF),
    "says-panic": last_words(("GUEST_PANICKED", {"action": "pause"}), POWER_OFF),
    "sleepy": sleepy,
    "no-reset": no_reset,
    "storm": storm,
}
