# SPDX-License-Identifier: MIT
"""The witness: watches the kernel all the time, and compares it with the daemon's answers."""
import contextlib
import os
import re
import threading

import vmk
from chaos_model import now

TICKS = os.sysconf("SC_CLK_TCK")
GUEST = re.compile(r"guest=([^,]+),process=vmkeep:")
DOWN = ("stopped", "failed", "backoff")
UP = ("running", "paused")
LATEST = 2.0  # seconds that `list` may lag behind the kernel; vmk.SLOW stretches them
PATIENCE = 10  # likewise, until `list` is answered
RSS_MAX = 24 << 20
# what no daemon may ever print
CRASH = re.compile(r"AddressSanitizer|LeakSanitizer|runtime error:|Assertion|assert|stack smashing|double free|corrupted")


def qemus(world):
    """{name: {pid: birth}} of processes that still have memory: neither zombies nor dying ones."""
    found = {}
    proc = world.inner("/proc")
    for pid in os.listdir(proc):
        if not pid.isdigit() or pid == "1":
            continue
        with contextlib.suppress(FileNotFoundError, ProcessLookupError, IndexError):
            line = vmk.read_text("%s/%s/cmdline" % (proc, pid))
            match = "qemu-system" in line.split("\0")[0] and GUEST.search(line)
            if match:
                stat = vmk.read_text("%s/%s/stat" % (proc, pid)).rsplit(")", 1)[1].split()
                found.setdefault(match.group(1), {})[int(pid)] = int(stat[19]) / TICKS
    return found


OWN = ("/memfd:displaysurface", "anon_inode:[eventfd]")


def descriptors(world, pid):
    """The number of descriptors, except those that QEMU creates while its guest runs: notifiers of its queues, and
    surfaces of its screen, each a memfd in QEMU 10. The daemon passes only sockets and files."""
    folder, count = "%s/%d/fd" % (world.inner("/proc"), pid), 0
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        for fd in os.listdir(folder):
            with contextlib.suppress(FileNotFoundError):
                count += not os.readlink(os.path.join(folder, fd)).startswith(OWN)
    return count


class Witness(threading.Thread):
    """Knows each QEMU from birth to death; asks for `list` in between."""

    def __init__(self, storm):
        super().__init__(name="witness", daemon=True)
        self.storm, self.world, self.ledger = storm, storm.world, storm.ledger
        self.guests = {guest.name: guest for guest in storm.guests + storm.made}
        self.alive = {}   # (name, pid): [birth, seen running, descriptors then]
        self.absent = {}  # name: since when it has had no process
        self.client, self.ended, self.rss = None, threading.Event(), 0
        self.lost = self.seen = 0
        self.states = {}
        self.turn = self.longest_turn = 0.0  # of the daemon's loop

    def run(self):
        try:
            while not self.ended.wait(0.05):
                self.look()
        except Exception as e:
            self.ledger.violation("the witness gave up: %r" % e)
        finally:
            if self.client:
                self.client.close()

    def look(self):
        before = self.scan()
        mark = self.storm.outages.mark()
        rows = self.list() if self.storm.outages.up.is_set() else None
        after = self.scan()
        if rows is not None and not self.storm.outages.since(mark):
            self.compare(before, rows, after)
        self.look_at_daemon()

    def scan(self):
        found, time = qemus(self.world), now()
        for name, processes in found.items():
            if len(processes) > 1 and len(qemus(self.world).get(name, {})) > 1:
                self.ledger.violation("two QEMUs for %s: %s" % (name, sorted(processes)))
            if name not in self.guests:
                self.ledger.violation("a QEMU for a VM that there is not: %s" % name)
            for pid, birth in processes.items():
                if (name, pid) not in self.alive:
                    self.seen += 1
                    self.alive[name, pid] = [birth, False, 0]
                    self.ledger.note("witness", "%s has pid %d" % (name, pid))
        for key in [key for key in self.alive if key[1] not in found.get(key[0], {})]:
            self.died(*key, *self.alive.pop(key)[:2], time)
        for name in self.guests:
            if found.get(name):
                self.absent.pop(name, None)
            else:
                self.absent.setdefault(name, time)
        return found

    def died(self, name, pid, birth, ran, time):
        self.ledger.note("witness", "%s, pid %d, has ended after %.1f s%s" % (
            name, pid, time - birth, "" if ran else ", never seen running"))
        if ran and not self.guests[name].could_end(birth, time):
            self.lost += 1
            self.ledger.violation("%s, pid %d, is lost: nobody ended it" % (name, pid))

    def list(self):
        begin = now()
        try:
            if not self.client:
                self.client = vmk.Client(self.world.socket, timeout=PATIENCE)
            table = self.client.call("vm-list")
            took = now() - begin
            turn = self.client.call("debug-loop")["longest_turn"]
        except (EOFError, OSError, vmk.Error) as e:
            if self.client:
                self.client.close()
            self.client = None
            if isinstance(e, TimeoutError) and self.storm.outages.up.is_set():
                self.ledger.violation("no answer to list in %d s" % (PATIENCE * vmk.SLOW))
            return None
        self.ledger.longest_list = max(self.ledger.longest_list, took)
        if turn > self.turn + 0.02:
            self.ledger.note("witness", "longest turn of this daemon %.0f ms; list took %.0f" % (turn * 1000, took * 1000))
        self.turn, self.longest_turn = turn, max(self.longest_turn, turn)
        return [dict(zip(table["columns"], row)) for row in table["rows"]]

    def compare(self, before, rows, after):
        self.states = {row["name"]: row for row in rows}
        for row in rows:
            name, state = row["name"], row["state"]
            same = set(before.get(name, ())) & set(after.get(name, ()))
            if same and state in DOWN:
                self.ledger.violation("list says that %s is %s (%s); it has pid %s" % (
                    name, state, row["reason"], sorted(same)))
            for pid in same if state in UP else ():
                entry = self.alive.get((name, pid))
                if entry and not entry[1]:
                    entry[1], entry[2] = True, descriptors(self.world, pid)
            since = self.absent.get(name)
            if state in UP and since and now() - since > LATEST * vmk.SLOW:
                self.ledger.violation("list says that %s is %s; it has had no process for %.1f s" % (
                    name, state, now() - since))

    def look_at_daemon(self):
        daemon = self.world.daemon
        if daemon and daemon.poll() is not None and self.storm.outages.up.is_set() and self.world.daemon is daemon:
            self.ledger.violation("the daemon ended by itself, with %d" % daemon.returncode)
            self.storm.over.set()
        with contextlib.suppress(FileNotFoundError, ProcessLookupError, IndexError, AttributeError):
            pages = int(vmk.read_text("/proc/%d/statm" % self.world.daemon_pid()).split()[1])
            self.rss = max(self.rss, pages * os.sysconf("SC_PAGE_SIZE"))

    def end(self):
        self.ended.set()
        self.join()
