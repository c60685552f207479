# SPDX-License-Identifier: MIT
"""Host faults: processes killed or stopped, disks full, bridges gone, files broken. A fault that does not go away by
itself is undone some seconds later."""
import contextlib
import os
import resource
import signal
import stat
import subprocess
import threading
import time

import vmk
from chaos_made import NAMES, STEPS, images
from chaos_model import now
from test_walks import DAMAGES

BROKEN = ["[VM]\nMemmory=16M\n", "nonsense\n", "[VM]\nMemory=\0\n", ""]


class Faults(threading.Thread):
    def __init__(self, storm, rng):
        super().__init__(name="faults", daemon=True)
        self.storm, self.rng, self.world, self.ledger = storm, rng, storm.world, storm.ledger
        self.cures = []  # [when, text, function]
        self.sockets = []
        self.kinds = [  # weight, what
            (5, self.kill_daemon), (2, self.kill_daemons), (2, self.stop_daemon), (2, self.reexec),
            (1, self.few_descriptors), (2, self.kill_dnsmasq),
            (1, self.stop_dnsmasq), (6, self.kill_qemu), (4, self.freeze_qemu), (2, self.delete_bridge),
            (2, self.down_bridge), (2, self.flush_rules), (1, self.flip_forward), (1, self.steal_port),
            (2, self.fill_images), (2, self.fill_state), (2, self.fill_run), (2, self.give_space),
            (3, self.break_file), (1, self.remove_file), (2, self.change_file), (1, self.break_defaults),
            (6, self.damage_file), (2, self.second_daemon), (4, self.reboot_under_kill), (6, self.make_under_kill), (2, self.step_clocks)]

    def run(self):
        try:
            while not self.storm.over.is_set():
                what = self.rng.choices([k[1] for k in self.kinds], [k[0] for k in self.kinds])[0]
                what()
                end = now() + self.rng.uniform(0.3, 2.2)
                while now() < end and not self.storm.over.is_set():
                    self.cure(now())
                    self.storm.over.wait(0.05)
        except Exception as e:
            self.ledger.violation("the faults gave up: %r" % e)
            self.storm.over.set()
        finally:
            while self.cures:
                self.cure(float("inf"))

    def later(self, low, high, text, function):
        self.cures.append([now() + self.rng.uniform(low, high), text, function])

    def cure(self, until):
        for entry in sorted((e for e in self.cures if e[0] <= until), key=lambda e: e[0]):
            self.cures.remove(entry)
            self.ledger.note("cure", entry[1])
            entry[2]()

    def pending(self, text):
        return any(entry[1] == text for entry in self.cures)

    def inside(self, *argv):
        """The subject of the fault may be gone by now."""
        try:
            self.world.exec(*map(str, argv))
        except AssertionError as e:
            self.ledger.note("fault", "did not work: %s" % e)

    # The daemon.

    def kill_daemon(self):
        self.ledger.fault("daemon killed")
        with self.storm.outages.outage():
            self.world.kill_daemon()
            time.sleep(self.rng.choice([0, 0.01, 0.3, 1.0]))  # the fault is the time without one
            self.start_daemon()

    def kill_daemons(self):
        """Several in a row, each just ready, or not even that."""
        self.ledger.fault("daemons killed in a row")
        with self.storm.outages.outage():
            self.world.kill_daemon()
            for _ in range(self.rng.randrange(2, 5)):
                self.short_life(self.rng.choice([0, 0.005, 0.01, 0.02, 0.05]))
            self.start_daemon()

    def short_life(self, seconds):
        """A daemon that dies while it adopts its predecessor's guests."""
        with open(os.path.join(self.world.base, "daemon.log"), "ab") as log:
            process = subprocess.Popen(self.world.inside(self.world.daemon_argv()), stdin=subprocess.DEVNULL,
                                       stdout=log, stderr=log, env=dict(os.environ, **self.storm.clocks.env))
        pids = self.world.eventually(lambda: vmk.children(process.pid) or process.poll() is not None, bool)
        time.sleep(seconds)  # the fault is the point in time
        if process.poll() is None:
            os.kill(pids[0], signal.SIGKILL)
        elif process.returncode:
            self.ledger.violation("a daemon that takes over ended with %d" % process.returncode)
        process.wait()

    def second_daemon(self):
        """On the same directories, or the same state only: refused, whatever happens to the first in the meantime."""
        argv = self.world.daemon_argv()
        if self.rng.random() < 0.5:
            argv[argv.index("--run") + 1] = os.path.join(self.world.base, "elsewhere")
        self.ledger.fault("second daemon")
        done = subprocess.run(self.world.inside(argv), stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=60 * vmk.SLOW, check=False)
        if done.returncode != 3:
            self.ledger.violation("a second daemon ended with %d: %s" % (done.returncode, done.stderr))

    def reboot_under_kill(self):
        """At whatever step of a reboot the daemon dies: a guest that should run is running afterwards."""
        guest = self.good_guest()
        if not guest:
            return
        before = guest.wish
        self.ledger.fault("daemon killed in a reboot: %s" % guest.name)
        with guest.may_end(linger=8):
            guest.verb_begins()
            with self.storm.outages.outage():
                client = vmk.Client(self.world.socket)
                client.send("vm-reboot", {"name": guest.name, "timeout": 3})
                time.sleep(self.rng.choice([0, 0.002, 0.01, 0.05, 0.2]))  # the fault is the point in time
                self.world.kill_daemon()
                client.close()
                self.start_daemon()
            guest.verb_ends(before if before == "running" else None, 0 if before == "running" else 8)

    def make_under_kill(self):
        """At whatever step of a creation, a deletion and the like the daemon dies: all of it is done, or nothing, or
        the next try finishes it."""
        verb = self.rng.choice(sorted(STEPS))
        made, other = self.rng.sample(self.storm.made, 2)
        execute, arguments = STEPS[verb][0], STEPS[verb][1](self.rng, other.name)
        had = images(self.world, made.name) if verb == "delete" else set()
        self.ledger.fault("daemon killed in a %s: %s" % (verb, made.name))
        with made.changes(), other.changes():
            made.cut = other.cut = True
            self.storm.may_stay(had, len(had))
            with self.storm.outages.outage():
                client = vmk.Client(self.world.socket)
                client.send(execute, dict(arguments, name=made.name))
                time.sleep(self.rng.choice([0, 0.002, 0.01, 0.03, 0.1]))  # the fault is the point in time
                self.world.kill_daemon()
                client.close()
                self.start_daemon()

    def few_descriptors(self):
        if self.storm.outages.scarce:
            return
        pid = self.world.daemon_pid()
        self.ledger.fault("few descriptors")
        self.storm.outages.scarcity(True)
        before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        used = len(os.listdir("/proc/%d/fd" % pid))
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (used + self.rng.randrange(12), before[1]))

        def give_back():
            with contextlib.suppress(ProcessLookupError):
                resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
            self.storm.outages.scarcity(False)
        self.later(0.2, 2, "descriptors are given back", give_back)

    def stop_daemon(self):
        self.ledger.fault("daemon stopped")
        with self.storm.outages.outage():
            os.kill(self.world.daemon_pid(), signal.SIGTERM)
            code = self.world.daemon.wait(20 * vmk.SLOW)
            self.world.daemon = None
            if code:
                self.ledger.violation("the daemon was stopped and ended with %d" % code)
            self.start_daemon()

    def start_daemon(self):
        took = self.world.start(env=self.storm.clocks.env)
        self.ledger.note("fault", "a daemon is ready after %.0f ms" % (took * 1000))
        self.storm.slowest_start = max(self.storm.slowest_start, took)

    def reexec(self):
        self.ledger.fault("daemon reexec")
        with self.storm.outages.outage():
            result = self.world.vmkeep("reexec", "--timeout", "1", timeout=60)
            self.ledger.note("fault", "reexec: %s" % result)
            if result.code not in (0, 3, 6):
                self.ledger.violation("reexec: %s" % result)

    # Processes.

    def dnsmasq(self):
        return [pid for pid, line in self.world.processes().items() if line.split(" ")[0].endswith("dnsmasq")]

    def kill_dnsmasq(self):
        for pid in self.dnsmasq():
            self.ledger.fault("dnsmasq killed")
            self.inside("kill", "-KILL", pid)

    def stop_dnsmasq(self):
        for pid in self.dnsmasq():
            self.ledger.fault("dnsmasq stopped and continued")
            self.inside("kill", "-STOP", pid)
            self.later(0.5, 4, "dnsmasq goes on", lambda pid=pid: self.inside("kill", "-CONT", pid))

    def a_qemu(self):
        found = [(name, pid) for name, pid in sorted(self.storm.witness.alive)]
        return self.rng.choice(found) if found else (None, 0)

    def kill_qemu(self):
        name, pid = self.a_qemu()
        if not pid:
            return
        guest = self.storm.guest(name)
        how = self.rng.choice(["KILL", "KILL", "KILL", "SEGV", "TERM"])
        self.ledger.fault("qemu killed: %s, pid %d, %s" % (name, pid, how))
        with guest.may_end(linger=0 if how == "KILL" else 5):
            if how == "TERM" or "Restart=no" in guest.text:  # then it is not started again
                guest.forget_wish()
            self.inside("kill", "-" + how, pid)

    def freeze_qemu(self):
        name, pid = self.a_qemu()
        if not pid:
            return
        self.ledger.fault("qemu stopped and continued: %s, pid %d" % (name, pid))
        self.inside("kill", "-STOP", pid)
        self.later(0.05, self.rng.choice([0.5, 3, 14]), "%s, pid %d, goes on" % (name, pid),
                   lambda: self.inside("kill", "-CONT", pid))

    # The network.

    def bridge(self):
        links = [link for link in self.world.links() if link.startswith("virbr")]
        return links[0] if links else None

    def delete_bridge(self):
        name = self.bridge()
        if name:
            self.ledger.fault("bridge deleted")
            self.inside("ip", "link", "del", name)

    def down_bridge(self):
        name = self.bridge()
        if name:
            self.ledger.fault("bridge down")
            self.inside("ip", "link", "set", name, "down")

    def flush_rules(self):
        self.ledger.fault("rules flushed")
        self.inside("nft", "flush", "ruleset")

    def flip_forward(self):
        self.ledger.fault("ip_forward off")
        self.inside("sh", "-c", "echo 0 >/proc/sys/net/ipv4/ip_forward")

    def steal_port(self):
        if self.pending("port 67 is given back"):
            return
        self.ledger.fault("port 67 stolen")
        code = ("import socket, sys\ns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
                "s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)\n"
                "s.bind(('0.0.0.0', 67))\nprint('has it', flush=True)\nsys.stdin.read()\n")
        thief = self.world.stream_of("/usr/bin/python3", "-c", code)
        with contextlib.suppress(AssertionError):  # dnsmasq has the file open
            thief.until("has it", 5)
        self.later(1, 4, "port 67 is given back", thief.end)

    # Space.

    def fill(self, folder):
        text = "space in %s" % folder
        if self.pending(text):
            return
        self.ledger.fault("disk full: %s" % folder)
        path = self.world.inner(os.path.join(folder, ".full"))
        with open(path, "wb", buffering=0) as f, contextlib.suppress(OSError):
            while True:
                f.write(bytes(1 << 16))
        with open(path, "ab", buffering=0) as f, contextlib.suppress(OSError):
            while True:
                f.write(bytes(1 << 9))
        self.later(0.5, 4, text, lambda: os.unlink(path))

    def fill_images(self):
        self.fill(self.world.images)

    def fill_state(self):
        self.fill(self.world.state)

    def fill_run(self):
        self.fill(self.world.run)

    def give_space(self):
        self.storm.small = min(self.storm.small + 2, 40)
        self.ledger.fault("disk grown")
        self.inside("mount", "-o", "remount,size=%dm" % self.storm.small, self.storm.small_disk)

    # Files.

    def good_guest(self):
        guests = [guest for guest in self.storm.guests if guest.file == "good"]
        return self.rng.choice(guests) if guests else None

    def write(self, guest, text, state):
        guest.changed = now()
        if text is None:
            os.unlink(os.path.join(self.world.config, guest.name + ".vm"))
        else:
            self.world.write(guest.name + ".vm", text)
        guest.file = state
        guest.changed = now()

    def restore(self, guest):
        self.later(0.5, 5, "the file of %s is good again" % guest.name,
                   lambda: self.write(guest, guest.text, "good"))

    def break_file(self):
        guest = self.good_guest()
        if guest:
            self.ledger.fault("file broken: %s" % guest.name)
            self.write(guest, self.rng.choice(BROKEN), "broken")
            self.restore(guest)

    def remove_file(self):
        guest = self.good_guest()
        if guest:
            self.ledger.fault("file removed: %s" % guest.name)
            guest.forget_wish()  # an orphan that ends is forgotten, and with it its wish
            self.write(guest, None, "gone")
            self.restore(guest)

    def change_file(self):
        guest = self.good_guest()
        if guest:
            self.ledger.fault("file changed: %s" % guest.name)
            self.write(guest, guest.text.replace("Memory=20M", "Memory=%dM" % self.rng.choice([20, 24])), "good")

    def own_files(self):
        """All files that the daemon writes for itself, and their directories, except mount points."""
        world = self.world
        found = []
        for top in (world.run, world.state, world.log):
            inner = world.inner(top)
            for folder, names, files in os.walk(inner):
                made = os.path.basename(folder) in NAMES  # whose backup would be another VM's
                if folder.startswith(world.inner(world.images)) or "/out" in folder or made:
                    names[:] = []
                    continue
                found += [os.path.join(folder, name) for name in files if not name.startswith(".full")]
        return sorted(path for path in found if self.is_file(path))

    @staticmethod
    def is_file(path):
        """Neither damaged before nor set aside by the daemon: opening a pipe blocks, and a device has no end."""
        with contextlib.suppress(FileNotFoundError):
            return stat.S_ISREG(os.lstat(path).st_mode)
        return False

    def damage_file(self):
        """With the daemon up or down."""
        path = self.rng.choice(self.own_files())
        how = self.rng.choice(sorted(set(DAMAGES) - {"large"}))  # than the file systems here, too
        short = os.path.relpath(path, self.world.inner(self.world.base))
        down = self.rng.random() < 0.5
        self.ledger.fault("file damaged: %s, %s, daemon %s" % (short, how, "down" if down else "up"))
        if down:
            with self.storm.outages.outage():
                self.world.kill_daemon()
                self.damage(path, how)
                self.start_daemon()
        else:
            self.damage(path, how)

    def damage(self, path, how):
        saved, backup = None, "backup of %s" % path
        if path.startswith(self.world.inner(self.world.state)):
            self.storm.damaged.add(os.path.relpath(path, self.world.inner(self.world.state)))
            with contextlib.suppress(OSError), open(path, "rb") as f:
                saved = f.read()
        with contextlib.suppress(OSError):
            DAMAGES[how](path)
        if saved is not None and path.endswith("identity.json") and not self.pending(backup):
            self.later(1, 4, backup, lambda: self.put_back(path, saved))

    def put_back(self, path, text):
        """Like an administrator who restores a backup and checks the result."""
        try:
            with open(path + ".backup", "wb") as f:
                f.write(text)
            if os.path.isdir(path) and not os.path.islink(path):
                os.rmdir(path)
            os.rename(path + ".backup", path)
        except OSError as e:
            self.ledger.note("fault", "backup of %s: %s" % (path, e))
            self.later(1, 4, "backup of %s" % path, lambda: self.put_back(path, text))

    def step_clocks(self):
        """The wall clock jumps a day in either direction, or the host sleeps for an hour."""
        wall, asleep = self.rng.choice([(86400, 0), (-86400, 0), (0, 3600)])
        self.ledger.fault("clocks stepped: wall %+d, asleep %d" % (wall, asleep))
        self.storm.clocks.step(wall, asleep)

    def break_defaults(self):
        if self.pending("vmkeep.conf is good again"):
            return
        self.ledger.fault("vmkeep.conf broken")
        self.world.write("vmkeep.conf", "[Defaults]\nVM.CPUs=many\n")
        self.later(0.5, 3, "vmkeep.conf is good again", lambda: self.world.write("vmkeep.conf", self.storm.defaults))
