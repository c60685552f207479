# SPDX-License-Identifier: MIT
"""Before and after: the kernel's resources that we hold, and whether everything still works after the storm."""
import json
import os
import re
import subprocess

import vmk
from chaos_made_audit import MadeAudit
from chaos_model import QUOTED
from chaos_watch import CRASH, DOWN, descriptors, qemus

SETTLE = 90  # seconds: a restart after a failure may wait long, but not for a failure of the storm
FDS_MORE, RSS_MORE = 2, 4 << 20




class Audit:
    def __init__(self, storm):
        self.storm, self.world, self.ledger = storm, storm.world, storm.ledger
        self.fds = self.rss = 0
        self.files = set()
        self.made = None

    def wrong(self, text):
        self.ledger.violation("audit: " + text)

    # Looking.

    def tree(self, top):
        found = set()
        for folder, names, files in os.walk(self.world.inner(top)):
            found |= {os.path.relpath(os.path.join(folder, name), self.world.inner(top)) for name in names + files}
        return found

    def daemon_rss(self):
        return int(vmk.read_text("/proc/%d/statm" % self.world.daemon_pid()).split()[1]) * 4096

    def open_files(self):
        pid = self.world.daemon_pid()
        return sorted(os.readlink("/proc/%d/fd/%s" % (pid, fd)) for fd in os.listdir("/proc/%d/fd" % pid))

    def groups(self):
        return [path for path in self.storm.groups.values() if os.path.exists(self.world.inner(path))]

    def others(self):
        """Namespaces of the world's processes, except those of its process 1."""
        mine = {os.readlink("/proc/%d/ns/%s" % (self.world.init, kind)) for kind in ("mnt", "net", "ipc", "uts", "pid")}
        proc = self.world.inner("/proc")
        found = set()
        for pid in os.listdir(proc):
            for kind in ("mnt", "net", "ipc", "uts") if pid.isdigit() else ():
                try:
                    found.add(os.readlink("%s/%s/ns/%s" % (proc, pid, kind)))
                except OSError:
                    continue
        return found - mine

    # Before: all that a first start makes and keeps is there.

    def before(self):
        world = self.world
        names = [guest.name for guest in self.storm.guests]
        world.ok("start", *names, timeout=120)
        world.ok("kill", *names, timeout=60)
        world.ok("net", "stop", "default")
        self.files = self.tree(world.run)
        self.fds, self.rss = len(self.open_files()), self.daemon_rss()
        self.made = MadeAudit(self.storm, self.wrong)

    # After: it has to calm down by itself.

    def settled(self, rows):
        return all(row["state"] not in ("starting", "stopping") and row["health"] == "ok" for row in rows)

    def calm(self):
        world = self.world
        self.ledger.note("audit", "the storm is over")
        try:
            world.eventually(lambda: world.rows("list"), self.settled, SETTLE)
        except AssertionError:
            self.wrong("does not settle: " + ", ".join("%s %s (%s, %s)" % (
                r["name"], r["state"], r["reason"], r["health"])
                for r in world.rows("list") if not self.settled([r])))
        said = world.vmkeep("reload")
        if said.code:
            self.wrong("reload: %s" % said)
        self.wishes(world.rows("list"))
        self.all_work()

    def wishes(self, rows):
        """Desired and actual state agree with each other, with the kernel, and with the replies to clients."""
        found = qemus(self.world)
        names = {row["name"] for row in rows} - {made.name for made in self.storm.made}
        if names != {guest.name for guest in self.storm.guests}:
            self.wrong("list has %s" % sorted(row["name"] for row in rows))
        for row in rows:
            name, guest = row["name"], self.storm.guest(row["name"])
            if (row["state"] in DOWN) != (name not in found):
                self.wrong("%s is %s, processes %s" % (name, row["state"], found.get(name)))
            if row["want"] == "running" and row["state"] not in ("running", "paused", "backoff") and \
                    not guest.ends_itself:
                self.wrong("%s is wanted running, and is %s (%s)" % (name, row["state"], row["reason"]))
            if row["want"] == "stopped" and row["state"] not in ("stopped", "failed"):
                self.wrong("%s is wanted stopped, and is %s (%s)" % (name, row["state"], row["reason"]))
            if guest.wish and guest.wish != row["want"]:
                self.wrong("%s was told to be %s, and is wanted %s (%s, %s)" % (
                    name, guest.wish, row["want"], row["state"], row["reason"]))

    def all_work(self):
        """Every guest can be started, and the network with it."""
        world = self.world
        for guest in self.storm.guests:
            with guest.may_end():
                said = world.vmkeep("kill", guest.name, timeout=60)
                if said.code:
                    self.wrong("kill: %s" % said)
            said = world.vmkeep("start", guest.name, timeout=60)
            if said.code and "did not finish" in said.err:  # cut short in the storm: what the hint says
                said = self.finish_revert(guest.name, said)
            if said.code:
                self.wrong("start: %s" % said)
        row, = world.rows("net", "list")
        if row["state"] != "up" or row["health"] != "ok":
            self.wrong("the network: %s" % row)
        taps = {nic["interface"] for guest in self.storm.guests for nic in world.info(guest.name).get("nics", [])}
        there = {link["ifname"] for link in json.loads(
            world.exec("ip", "-json", "link", "show", "master", row["bridge"]))}
        if not taps <= there:
            self.wrong("taps %s are not on %s" % (sorted(taps - there), row["bridge"]))
        self.guests_descriptors()
        self.made.work()

    def finish_revert(self, name, said):
        """Follows the hints; the memory may no longer fit, because the VM's file changed in the storm."""
        cure = re.search("vmkeep (snapshot revert .*) finishes it", said.err).group(1).split()
        done = self.world.vmkeep(*cure, timeout=60)
        alone = re.search("vmkeep (snapshot revert .* --disks-only) reverts", done.err)
        if done.code and alone:
            done = self.world.vmkeep(*alone.group(1).split(), timeout=60)
        return done if done.code else self.world.vmkeep("start", name, timeout=60)

    def guests_descriptors(self):
        for (name, pid), (_, _, then) in self.storm.witness.alive.items():
            more = descriptors(self.world, pid) - then
            if then and more > FDS_MORE:
                self.wrong("%s, pid %d, has %d descriptors more than at first" % (name, pid, more))

    # After that: nothing may be left.

    def after(self):
        world = self.world
        said = world.vmkeep("kill", "*", timeout=60)
        if said.code:
            self.wrong("kill: %s" % said)
        said = world.vmkeep("net", "stop", "default")
        if said.code:
            self.wrong("net stop: %s" % said)
        world.eventually(world.processes, lambda found: len(found) == 1, timeout=10)
        files = self.open_files()
        if len(files) > self.fds + FDS_MORE:
            self.wrong("%d descriptors, before %d: %s" % (len(files), self.fds, files))
        if any("(deleted)" in path and not path.startswith("/memfd:") for path in files):
            self.wrong("deleted files are open: %s" % files)
        if not vmk.SANITIZED and self.daemon_rss() > self.rss + RSS_MORE:  # sanitizers keep freed memory
            self.wrong("memory grew from %d to %d KiB" % (self.rss >> 10, self.daemon_rss() >> 10))
        more = {path for path in self.tree(world.run) - self.files if ".damaged" not in path}
        if more:
            self.wrong("left in the run directory: %s" % sorted(more))
        odd = [path for path in self.tree(world.state) if path.endswith((".new", ".tmp", "~"))]
        if odd:
            self.wrong("left in the state directory: %s" % odd)
        self.records()
        self.images()
        if self.others():
            self.wrong("namespaces are left: %s" % sorted(self.others()))
        if self.groups():
            self.wrong("control groups are left: %s" % self.groups())
        try:
            world.finish()
        except AssertionError as e:
            self.wrong("left at the end: %s" % e)
        log = vmk.read_text(os.path.join(world.base, "daemon.log"))
        for line in log.splitlines():
            if CRASH.search(QUOTED.sub("", line)):
                self.wrong("the daemon's log: %s" % line)

    def images(self):
        """Clusters may be lost when a QEMU is killed; anything else that qemu-img finds is damage."""
        for path in sorted(self.tree(self.world.images)):
            if path.endswith(".qcow2"):
                done = subprocess.run(self.world.inside(["qemu-img", "check", os.path.join(self.world.images, path)]),
                                      capture_output=True, text=True, check=False)
                if done.returncode not in (0, 3):
                    self.wrong("image %s: %s%s" % (path, done.stdout, done.stderr))

    def records(self):
        for path in self.tree(self.world.state):
            if path.endswith(".json") and path not in self.storm.damaged:
                try:
                    json.loads(vmk.read_text(os.path.join(self.world.inner(self.world.state), path)))
                except ValueError as e:
                    self.wrong("%s is damaged: %s" % (path, e))
