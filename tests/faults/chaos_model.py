# SPDX-License-Identifier: MIT
"""What may be true of each guest while several clients and faults act on it.

The order of events is unpredictable, but some things hold in any order. A process that was seen running ends only
if something that may end it overlapped its life: each such thing is an entry here. The desired state of a guest is
known if the last verb about it was answered and no other one overlapped.
"""
import contextlib
import re
import threading
import time

# A QEMU's final messages: with vmkeep.conf unreadable a VM has the default Accel=kvm, which aborts QEMU on some hosts.
QUOTED = re.compile(r"QEMU (?:ended with signal \d+|did not start): .*", re.S)


def now():
    """The clock of /proc/PID/stat."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Known:
    """A fact that verbs change: its value is known if the last one was answered and no other overlapped."""

    def __init__(self, value):
        self.lock = threading.Lock()
        self.value = value  # None: not known
        self.verbs = 0      # in progress
        self.mixed = False
        self.lingers = 0.0  # until then an unanswered verb may still change it
        self.serial = 0     # of changes

    def begins(self):
        with self.lock:
            self.mixed |= self.verbs > 0
            self.verbs += 1
            self.serial += 1
            self.value = None

    def ends(self, value, linger=0.0):
        """value: what the answer implies; None: nothing."""
        with self.lock:
            self.verbs -= 1
            self.serial += 1
            self.lingers = max(self.lingers, now() + linger) if linger else self.lingers
            self.value = None if self.verbs or self.mixed or now() < self.lingers else value
            if self.verbs == 0:
                self.mixed = False

    def forget(self):
        """Something other than a verb may change it."""
        with self.lock:
            self.serial += 1
            self.value = None
            self.mixed |= self.verbs > 0


class Guest:
    def __init__(self, name, kind, text, ends_itself=False, nic=False, qcow2=False, agent=False):
        self.name, self.kind, self.text = name, kind, text
        self.ends_itself, self.nic, self.qcow2, self.agent = ends_itself, nic, qcow2, agent
        self.lock = threading.Lock()
        self.endings = []  # [begin, end] of what may end its process
        self.want = Known("stopped")
        self.memory = (128 if agent else 20) << 20
        self.file = "good"
        self.changed = 0.0  # when its file was changed

    @property
    def wish(self):
        """The state that it should be in; None: not known."""
        return self.want.value

    @contextlib.contextmanager
    def may_end(self, linger=0.0):
        """Anything inside may end its process, up to some seconds later."""
        interval = [now(), float("inf")]
        with self.lock:
            self.endings.append(interval)
        try:
            yield interval
        finally:
            interval[1] = now() + linger

    def could_end(self, birth, death):
        """Whether anything explains the end of a process that lived from birth to death."""
        with self.lock:
            return self.ends_itself or any(b <= death and e >= birth - 0.2 for b, e in self.endings)

    def verb_begins(self):
        self.want.begins()

    def verb_ends(self, wish, linger=0.0):
        self.want.ends(None if self.ends_itself else wish, linger)

    def forget_wish(self):
        self.want.forget()


class Ledger:
    """Violations, counts, and the log of everything, for all threads."""

    def __init__(self, folder):
        self.folder, self.lock = folder, threading.Lock()
        self.file = open(folder + "/operations.log", "w", encoding="utf-8", buffering=1)
        self.begin = now()
        self.violations = []
        self.results = {}  # verb: {class: count}
        self.faults = {}   # kind: count
        self.texts = {}    # error texts, without names and numbers
        self.longest_list = 0.0

    def note(self, who, text):
        with self.lock:
            self.file.write("%9.3f %-8s %s\n" % (now() - self.begin, who, text))

    def violation(self, text):
        self.note("WRONG", text)
        with self.lock:
            if text not in self.violations:
                self.violations.append(text)

    def result(self, verb, outcome):
        with self.lock:
            row = self.results.setdefault(verb, {})
            row[outcome] = row.get(outcome, 0) + 1

    def fault(self, kind):
        self.note("fault", kind)
        kind = kind.split(":")[0]
        with self.lock:
            self.faults[kind] = self.faults.get(kind, 0) + 1

    def text(self, key):
        with self.lock:
            self.texts[key] = self.texts.get(key, 0) + 1

    def operations(self):
        with self.lock:
            return sum(sum(row.values()) for row in self.results.values())


class Outages:
    """When the daemon is killed, stopped or replaced, connections may break, and while it is short of descriptors
    new ones may be refused; otherwise never."""

    def __init__(self):
        self.up, self.serial, self.scarce = threading.Event(), 0, False
        self.up.set()

    def scarcity(self, begins):
        self.scarce = begins
        self.serial += 1

    @contextlib.contextmanager
    def outage(self):
        self.up.clear()
        self.serial += 1
        try:
            yield
        finally:
            self.serial += 1
            self.up.set()

    def mark(self):
        return self.serial

    def since(self, mark):
        return self.serial != mark or self.scarce or not self.up.is_set()
