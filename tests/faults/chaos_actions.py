# SPDX-License-Identifier: MIT
"""What clients do: one row per operation, with its possible outcomes.

Every request gets an answer, unless the daemon was killed in the meantime. Its class must be one that the row allows:
others may have changed the state in between, or the host may be broken. A plain Failed is allowed only with the
row's text.
"""
import contextlib
import re
import socket
import threading
import time

import vmk
from chaos_model import QUOTED, now

PATIENCE = 60  # seconds for an answer, whatever is broken; vmk.SLOW stretches them
CLASS = {0: "ok", 1: "Failed", 2: "InvalidConfig", 3: "Conflict", 4: "NotFound", 5: "WrongState", 6: "Timeout",
         7: "QemuFailed", 8: "GuestRefused", 9: "Permission", 10: "Unreachable", 11: "NoResources"}
# never shown to people, whatever the class
INTERNAL = re.compile(r"\(null\)|assert|bad file descriptor|invalid argument|no such process|%[sdu]|: $|^$", re.I)

# others were faster; the host or a file is broken
BUSY = {"Conflict", "WrongState", "Timeout"}
HOST = {"QemuFailed", "NoResources", "InvalidConfig", "NotFound"}


class Broken(Exception):
    """The connection ended because we ended the daemon."""


class Row:
    def __init__(self, weight, execute, arguments=None, may=(), words=None, ends=False, wish=None, changes=False,
                 only=None, linger=0.0):
        self.weight, self.execute, self.arguments = weight, execute, arguments or (lambda rng, guest: {})
        self.may = set(may)
        self.words = words and re.compile(words)  # of a plain Failed
        self.ends, self.wish, self.changes = ends, wish, changes or wish is not None
        self.only = only or (lambda guest: True)
        self.linger = linger


def snapshot(rng, _):
    return {"snapshot": rng.choice(["one", "two", "three"])}


PLUGGED = ["plug1.img", "plug2.img", "plug3.img"]  # for all guests, one at a time


def plugged(rng, _):
    return {"id": rng.choice(["p", "q"]), "keys": ["Path=" + rng.choice(PLUGGED)]}


def unplugged(rng, _):
    return {"id": rng.choice(["p", "q"]), "timeout": rng.choice([1, 2])}


def qcow2(guest):
    return guest.qcow2


def agent(guest):
    return guest.agent


OVERTAKEN = r"was stopped|killed|guest-shutdown|ended|crashed|host-signal"

ROWS = {
    "start": Row(16, "vm-start", may=BUSY | HOST, words=OVERTAKEN, wish="running"),
    "start paused": Row(2, "vm-start", lambda *_: {"paused": True}, BUSY | HOST, OVERTAKEN, wish="running"),
    "stop": Row(5, "vm-stop", lambda rng, _: {"timeout": rng.choice([1, 2, 5])}, BUSY | {"GuestRefused"},
                ends=True, wish="stopped", linger=8),
    "kill": Row(5, "vm-kill", may=BUSY, ends=True, wish="stopped"),
    "reboot": Row(3, "vm-reboot", lambda rng, _: {"timeout": rng.choice([1, 3])}, BUSY | HOST | {"GuestRefused"},
                  OVERTAKEN, ends=True, wish="running", linger=8),
    "reset": Row(3, "vm-reset", may=BUSY | {"QemuFailed", "Unreachable"}),
    "pause": Row(4, "vm-pause", may=BUSY | {"QemuFailed", "Unreachable"}),
    "resume": Row(6, "vm-resume", may=BUSY | {"QemuFailed", "Unreachable"}, words="stopped again: "),
    "wait": Row(2, "vm-wait", lambda rng, _: {"condition": rng.choice(["stopped", "running", "paused", "ip"]),
                                              "timeout": 1}, BUSY),
    "reset-failed": Row(1, "vm-reset-failed", changes=True),
    "info": Row(8, "vm-info"),
    "security": Row(2, "vm-info", lambda *_: {"security": True}, BUSY),
    "ip": Row(3, "vm-ip", may=BUSY),
    "history": Row(2, "vm-history"),
    "check": Row(3, "vm-check", may={"InvalidConfig", "NotFound", "Conflict"}),
    "cat": Row(1, "vm-cat", lambda *_: {"effective": True}, HOST),
    "diff": Row(1, "vm-diff", may=HOST | BUSY),
    "cmdline": Row(1, "vm-cmdline", may=HOST | BUSY),
    "set-memory": Row(2, "vm-set-memory", lambda rng, guest: {"size": rng.choice([7, 8]) * guest.memory // 8, "timeout": 1, "force": True},
                      BUSY | {"GuestRefused", "QemuFailed", "Unreachable"}, only=lambda guest: guest.kind != "made"),
    "disk attach": Row(3, "disk-attach", plugged, BUSY | HOST | {"Unreachable"}),
    "disk detach": Row(3, "disk-detach", unplugged, BUSY | {"NotFound", "GuestRefused", "QemuFailed", "Unreachable"}, "^cancelled"),
    "nic attach": Row(2, "nic-attach", lambda rng, _: {"id": rng.choice(["p", "q"]), "keys": ["Network=default"]},
                      BUSY | HOST | {"Unreachable"}),
    "nic detach": Row(2, "nic-detach", unplugged, BUSY | {"NotFound", "GuestRefused", "QemuFailed", "Unreachable"}, "^cancelled"),
    "query-status": Row(2, "vm-qmp", lambda *_: {"command": {"execute": "query-status"}},
                        BUSY | {"QemuFailed", "Unreachable"}),
    "snapshot create": Row(3, "snapshot-create", snapshot, BUSY | HOST | {"Unreachable"},
                           r"^(Error while writing VM state: Input/output error|ram_save_setup failed: Input/output error|Could not create snapshot '.*' on '.*')$",
                           only=qcow2),  # what QEMU 7 and 10 say where the disk is full
    "snapshot list": Row(2, "snapshot-list", may=BUSY | HOST | {"Unreachable"}, only=qcow2),
    "snapshot revert": Row(2, "snapshot-revert", snapshot, BUSY | HOST | {"Unreachable"},
                           r"^it could not be loaded: .*; the guest was (ended|killed)|^killed$", ends=True, changes=True, only=qcow2),
    "snapshot delete": Row(2, "snapshot-delete", snapshot, BUSY | HOST | {"Unreachable"}, only=qcow2),
    "guest ping": Row(1, "guest-ping", may=BUSY | {"GuestRefused", "Unreachable"}),
    "guest ping (agent)": Row(2, "guest-ping", may=BUSY | {"GuestRefused", "Unreachable"}, only=agent),
    "guest exec": Row(2, "guest-exec", lambda *_: {"command": ["/bin/true"], "timeout": 5},
                      BUSY | {"GuestRefused", "Unreachable"}, only=agent),
    "guest info": Row(1, "guest-info", may=BUSY | {"GuestRefused", "Unreachable"}, only=agent),
}
# those without a VM
PLAIN = {
    "list": Row(8, "vm-list"),
    "net list": Row(2, "net-list"),
    "net show": Row(2, "net-show", lambda *_: {"name": "default"}),
    "net leases": Row(1, "net-leases", lambda *_: {"name": "default"}),
    "net start": Row(2, "net-start", lambda *_: {"name": "default"}, {"Conflict", "Timeout", "NoResources"}),
    "net stop": Row(2, "net-stop", lambda *_: {"name": "default"}, {"WrongState", "Timeout"}),
    "reload": Row(2, "reload"),
    "jobs": Row(2, "job-list"),
    "job cancel": Row(1, "job-cancel", lambda rng, _: {"job": rng.randrange(1, 200)}, BUSY | {"NotFound"}),
    "schema": Row(1, "query-schema"),
    "version": Row(1, "query-version"),
    "host check": Row(1, "host-check", may={"Conflict"}),
}
COMMAND_LINE = {"start": "start", "kill": "kill", "pause": "pause", "resume": "resume", "info": "info",
                "ip": "ip", "history": "history"}


class Client(threading.Thread):
    """One user: sometimes hangs up early, or makes many short calls."""

    def __init__(self, storm, number, rng):
        super().__init__(name="client%d" % number, daemon=True)
        self.storm, self.rng, self.client, self.mark = storm, rng, None, 0
        self.ledger, self.world = storm.ledger, storm.world

    def run(self):
        try:
            while not self.storm.over.is_set():
                self.storm.outages.up.wait(30)
                self.step()
                self.storm.over.wait(self.rng.uniform(0, 0.25))
        except Exception as e:  # whatever it is, the run fails
            self.ledger.violation("%s gave up: %r" % (self.name, e))
        finally:
            self.hang_up()

    def hang_up(self):
        if self.client:
            self.client.close()
            self.client = None

    def step(self):
        kind = self.rng.random()
        if kind < 0.70:
            self.about_a_guest()
        elif kind < 0.86:
            self.plain()
        else:
            special = self.rng.choice([self.console, self.subscribe, self.half, self.early, self.command_line,
                                       self.command_line, self.log])
            special()

    def pick(self, rows, guest=None):
        names = [name for name, row in rows.items() if not guest or row.only(guest)]
        return self.rng.choices(names, [rows[name].weight for name in names])[0]

    def about_a_guest(self):
        guest = self.rng.choice(self.storm.guests + self.storm.there())
        verb = self.pick(ROWS, guest)
        self.operate(verb, ROWS[verb], guest)

    def plain(self):
        verb = self.pick(PLAIN)
        self.operate(verb, PLAIN[verb], None)

    # One call.

    def connect(self):
        """The previous call's connection, if its daemon is still alive."""
        if self.client and self.storm.outages.since(self.mark):
            self.hang_up()
        self.mark = self.storm.outages.mark()
        if not self.client:
            self.client = vmk.Client(self.world.socket, timeout=PATIENCE)
        return self.client

    def ask(self, client, execute, arguments):
        serial = client.send(execute, arguments)
        while True:
            message = client.receive()
            if message.get("id") == serial and "event" not in message:
                if "error" in message:
                    raise vmk.Error(message["error"])
                return message["return"]

    def call(self, row, guest):
        """(class, text or result)"""
        arguments = dict({"name": guest.name} if guest else {}, **row.arguments(self.rng, guest))
        mark = self.storm.outages.mark()
        try:
            return "ok", self.ask(self.connect(), row.execute, arguments)
        except vmk.Error as e:
            return e.error_class, e.desc
        except TimeoutError:
            self.hang_up()
            if self.storm.outages.since(mark):
                raise Broken from None
            return "no answer", "within %d s" % (PATIENCE * vmk.SLOW)
        except (EOFError, OSError) as e:
            self.hang_up()
            if self.storm.outages.since(mark):
                raise Broken from None
            return "hung up", repr(e)

    def operate(self, verb, row, guest):
        about = "%s %s" % (verb, guest.name if guest else "")
        begin = now()
        with contextlib.ExitStack() as stack:
            interval = stack.enter_context(guest.may_end(row.linger)) if guest and row.ends else None
            if guest and row.changes:
                guest.verb_begins()
            wish, linger = None, 0.0
            try:
                outcome, said = self.call(row, guest)
            except Broken:
                outcome, said = "broken", "the daemon was killed"
            if outcome == "ok":
                wish = row.wish
            elif row.changes:
                linger = row.linger or 1.0
            if guest and row.changes:
                guest.verb_ends(wish, linger)
            if outcome == "GuestRefused" and interval and guest.kind == "deaf":
                interval[0] = float("inf")  # the deaf guest ignored it: this ends no process
        self.tell(about, verb, row, guest, outcome, said, begin)

    def tell(self, about, verb, row, guest, outcome, said, begin):
        self.ledger.result(verb, outcome)
        self.ledger.note(self.name, "%s: %s%s (%.0f ms)" % (
            about, outcome, "" if outcome == "ok" else ": " + str(said), (now() - begin) * 1000))
        self.judge(about, row, guest, outcome, said)

    def judge(self, about, row, guest, outcome, said):
        if outcome in ("ok", "broken"):
            return
        words = str(said)
        plain = re.sub(r"\d+", "N", re.sub(r"'[^']*'", "''", words))
        self.ledger.text("%s: %s: %s" % (about.split(" ")[0], outcome, plain[:300]))
        if outcome in ("no answer", "hung up"):
            self.ledger.violation("%s: %s (%s)" % (about, outcome, words))
        elif INTERNAL.search(QUOTED.sub("QEMU ended", words)):
            self.ledger.violation("%s: words of a programmer: %s: %s" % (about, outcome, words))
        elif outcome == "Failed" and not (row.words and row.words.search(words)):
            self.ledger.violation("%s: plain Failed: %s" % (about, words))
        elif outcome in ("InvalidConfig", "NotFound") and (not guest or guest.file == "good") and \
                outcome not in row.may and now() - (guest.changed if guest else 0) > 5:
            self.ledger.violation("%s: %s although its file is good: %s" % (about, outcome, words))
        elif outcome not in row.may | {"Failed", "InvalidConfig", "NotFound"}:
            self.ledger.violation("%s: %s is no answer to that: %s" % (about, outcome, words))

    # Other ways to be a client.

    def extra(self, verb, action):
        mark = self.storm.outages.mark()
        try:
            action()
            outcome = "ok"
        except vmk.Error as e:
            outcome = e.error_class
        except (EOFError, OSError) as e:
            outcome = "broken"
            if not self.storm.outages.since(mark):
                outcome = "hung up"
                self.ledger.violation("%s: %r" % (verb, e))
        self.ledger.result(verb, outcome)
        self.ledger.note(self.name, "%s: %s" % (verb, outcome))

    def stream(self, execute, **arguments):
        guest = self.rng.choice(self.storm.guests)
        client = vmk.Client(self.world.socket, timeout=PATIENCE)
        try:
            client.call(execute, name=guest.name, **arguments)
            client.socket.settimeout(self.rng.uniform(0.05, 0.5))
            with contextlib.suppress(TimeoutError):
                if execute == "vm-console" and self.rng.random() < 0.5:
                    client.socket.sendall(b"x\r")
                client.socket.recv(1 << 16)
        finally:
            client.close()

    def console(self):
        self.extra("console", lambda: self.stream("vm-console", watch=self.rng.random() < 0.5))

    def log(self):
        self.extra("log", lambda: self.stream("vm-log", which=self.rng.choice(["console", "qemu"]), lines=5))

    def subscribe(self):
        def some_time():
            client = vmk.Client(self.world.socket, timeout=PATIENCE)
            try:
                client.call("subscribe")
                end = time.monotonic() + self.rng.uniform(0, 1)
                while time.monotonic() < end:
                    with contextlib.suppress(TimeoutError):
                        client.receive(max(end - time.monotonic(), 0.01) / vmk.SLOW)
            finally:
                client.close()
        self.extra("subscribe", some_time)

    def half(self):
        """A client that sends garbage is disconnected, without effect on others."""
        nonsense = self.rng.choice([
            b'{"execute": "vm-li', b"\0\xff\xfe garbage\n", b"[" * 3000 + b"\n", b'{"execute": "vm-list"}' * 3,
            b"{" + b" " * (1 << 20), b'{"execute": "nothing", "id": {"a": [1]}}\n', b'{"execute": 7}\n',
            b'{"execute": "vm-start", "arguments": {"name": "../x"}}\n', b'"text"\n'])

        def send():
            with socket.socket(socket.AF_UNIX) as s:
                s.settimeout(PATIENCE * vmk.SLOW)
                s.connect(self.world.socket)
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                    s.sendall(nonsense)
                    s.settimeout(self.rng.uniform(0, 0.3))
                    with contextlib.suppress(TimeoutError):
                        s.recv(4096)
        self.extra("half a request", send)

    def early(self):
        """Hangs up before the answer: the request is carried out, or not."""
        guest = self.rng.choice(self.storm.guests)
        verb = self.rng.choice(["start", "kill", "stop", "pause", "resume", "reset", "snapshot create", "check"])
        row = ROWS[verb]
        if not row.only(guest):
            return
        arguments = dict({"name": guest.name}, **row.arguments(self.rng, guest))
        if self.rng.random() < 0.4 and verb in ("start", "kill", "stop"):
            arguments["wait"] = False

        def ask():
            client = vmk.Client(self.world.socket, timeout=PATIENCE)
            try:
                client.send(row.execute, arguments)
            finally:
                client.close()
        linger = 5.0 * vmk.SLOW
        with guest.may_end(linger) if row.ends else contextlib.nullcontext():
            if row.changes:
                guest.verb_begins()
            self.extra("hang up early", ask)
            if row.changes:
                guest.verb_ends(None, linger)

    def command_line(self):
        """Runs the client program, and checks its exit status."""
        verb = self.rng.choice(list(COMMAND_LINE) + ["list"])
        row = ROWS.get(verb) or PLAIN[verb]
        guest = None if verb == "list" else self.rng.choice(self.storm.guests)
        words = ["list"] if verb == "list" else [COMMAND_LINE[verb], guest.name]

        def call(*_):
            mark = self.storm.outages.mark()
            result = self.world.vmkeep(*words, timeout=PATIENCE)
            if result.code and self.storm.outages.since(mark):
                raise Broken
            if result.code and not result.err:
                self.ledger.violation("%s: exit status %d and not a word" % (verb, result.code))
            if result.code not in CLASS:
                self.ledger.violation("%s: exit status %d: %s" % (verb, result.code, result))
            return CLASS.get(result.code, "exit %d" % result.code), result.err.strip() or "-"
        self.call, saved = call, self.call
        try:
            self.operate(verb if verb in ROWS else "list", row, guest)
        finally:
            self.call = saved


def show(results):
    """A readable table of operations by verb and result class."""
    for verb in sorted(results):
        row = results[verb]
        yield "  %-20s %s" % (verb, "  ".join("%s %d" % (k, row[k]) for k in sorted(row, key=lambda k: (k != "ok", k))))
