# SPDX-License-Identifier: MIT
"""A QEMU whose run state changes unsolicited, as it does because of KVM, a debugger or a guest panic; TCG cannot
cause most of these changes. The VM's name is `is-` and the state, or the moment of the change."""
import contextlib
import json
import os

import hostile_qemu as h

STATES = ("debug", "finish-migrate", "guest-panicked", "inmigrate", "internal-error", "io-error", "paused", "postmigrate",
          "save-vm", "shutdown", "suspended", "watchdog", "of-the-future")
KVM = """KVM internal error. Suberror: 1
extra data[0]: 0x0000000000000000
emulation failure
EAX=60000011 EBX=d0000000 ECX=00000000 EDX=000003f8
""" + "CR0=00000010 CR2=00000000\n" * 30 + """Code=0f 22 c0 <67> dd 33 f4 eb fd 75 70 0d 0a 00 00
"""


class Guest:
    """A monitor with a guest."""

    def __init__(self, monitor, when, state="internal-error"):
        self.monitor, self.when, self.next, self.status = monitor, when, state, "running"

    def event(self, name, data=None):
        self.monitor.send({"event": name, **({"data": data} if data else {}), "timestamp": {"seconds": 0, "microseconds": 0}})

    def change(self, tell=True):
        self.status = self.next
        if self.status == "internal-error":
            os.write(2, KVM.encode())
        if self.status == "io-error" and self.when:
            self.event("BLOCK_IO_ERROR", {"action": "stop", "operation": "write", "nospace": True, "node-name": "d-root",
                                          "device": "", "reason": "No space left on device"})
        if tell:
            self.event("STOP")

    def obey(self, command):
        verb = command["execute"]
        if verb == self.when:
            self.change()
        elif verb == "stop" and self.status == "running":
            self.status = "paused"
            self.event("STOP")
        elif verb == "cont" and self.status == "internal-error":
            self.monitor.send({"error": {"class": "GenericError", "desc": "Resetting the Virtual Machine is required"},
                               "id": command["id"]})
            return
        elif verb == "cont" and self.status != "running":
            self.status = "running"
            self.event("RESUME")
        disk = json.loads(next(w for w in h.sys.argv if '"node-name":"d-' in w))["node-name"]
        uuid = h.sys.argv[h.sys.argv.index("-uuid") + 1]
        self.monitor.answer(command, {"query-uuid": {"UUID": uuid}, "query-status": {"status": self.status},
                                      "query-block": [{"io-status": "nospace", "inserted": {"node-name": disk}}]}
                            .get(verb))

    def serve(self):
        while True:
            with contextlib.suppress(OSError):
                for command in iter(self.monitor.command, None):
                    self.obey(command)
            if self.when == "alone" and self.status == "running":
                self.change(tell=False)
            self.monitor.socket, _ = self.monitor.listener.accept()
            self.monitor.buffer = b""
            self.monitor.send(h.GREETING)


def at_once(state):
    def begin(monitor):
        guest = Guest(monitor, None, state)
        guest.change()
        guest.serve()
    return begin


class Resumed(Guest):
    """Resumes while the daemon still asks why it is paused."""

    def obey(self, command):
        if command["execute"] == "query-block":
            self.status = "running"
            self.event("RESUME")
        super().obey(command)


def resumed(monitor):
    guest = Resumed(monitor, None, "io-error")
    guest.change()
    guest.serve()


def bitten_before(monitor):
    """QEMU sends the second WATCHDOG event a second late: the guest may be running again by then."""
    guest = Guest(monitor, None)
    guest.event("WATCHDOG", {"action": "pause"})
    guest.serve()


def later(when, state="internal-error"):
    return lambda monitor: Guest(monitor, when, state).serve()


BEHAVIOUR = {
    **{"is-" + state: at_once(state) for state in STATES},
    "is-when-stopped": later("system_powerdown"),
    "is-io-error-when-stopped": later("system_powerdown", "io-error"),
    "is-when-paused": later("stop"),
    "is-when-alone": later("alone"),
    "is-resumed-in-between": resumed,
    "is-bitten-before": bitten_before,
}
