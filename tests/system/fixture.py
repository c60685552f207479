# SPDX-License-Identifier: MIT
"""Recreates what a released daemon left behind (tests/fixtures, made by its `make`).

A fixture is a directory: the files of config, state, run and log, and world.json with everything that these files do
not contain: modes, sockets, mounts, processes with their descriptors, links, firewall rules, and what that daemon
reported. @BASE@ stands for the world's directory and @BOOT@ for the boot id. Times are shifted by the age of the
fixture. Pids are those of processes started here, with the same command lines, descriptors and uids, but not jailed.
"""
import fcntl
import json
import os
import shutil
import socket
import struct
import subprocess
import sys
import time

import vmk

# Commands whose answers are requested over the socket, where their format does not change.
ASKED = {"list": "vm-list", "info": "vm-info", "history": "vm-history", "snapshot list": "snapshot-list",
         "net list": "net-list", "net show": "net-show", "net leases": "net-leases"}
FOLDER = os.path.join(vmk.ROOT, "tests", "fixtures")
BASE, BOOT = "@BASE@", "@BOOT@"
CLOCKS = ("since", "started", "due", "stop_deadline", "unresponsive")  # in a VM's record
TUNSETIFF, IFF_TAP, IFF_NO_PI, IFF_VNET_HDR = 0x400454ca, 0x2, 0x1000, 0x4000


def boot_id():
    return vmk.read_text("/proc/sys/kernel/random/boot_id").strip()


def shown(world, command):
    """The daemon's answer."""
    words = command.split()
    verb = " ".join(words[:2]) if words[0] in ("net", "snapshot") else words[0]
    name = command[len(verb):].strip()
    client = world.client()
    try:
        return client.call(ASKED[verb], **({"name": name} if name else {}))
    finally:
        client.close()


class Fixture:
    """A fixture, in a world without a daemon."""

    def __init__(self, world, name):
        self.world, self.folder = world, os.path.join(FOLDER, name)
        with open(os.path.join(self.folder, "world.json"), encoding="utf-8") as f:
            self.saved = json.load(f, object_hook=self.here)
        self.age = {clock: getattr(time, clock)() - self.saved[clock] for clock in ("time", "monotonic")}
        self.pids = {}

    def here(self, doc):
        return {key: self.text(value) for key, value in doc.items()}

    def text(self, value):
        if isinstance(value, list):
            return [self.text(one) for one in value]
        return value.replace(BASE, self.world.base).replace(BOOT, boot_id()) if isinstance(value, str) else value

    def of(self, command):
        """(name, saved answer) for each use of this command."""
        for words, doc in self.saved["shown"].items():
            if words.startswith(command + " "):
                yield words.split()[-1], doc

    def pid_now(self, pid):
        """The pid of the process that replaces the one that had this pid."""
        for name, process in self.saved["processes"].items():
            if process["pid"] == pid:
                return self.pids[name]
        return pid

    def path(self, name):
        return os.path.join(self.world.base, name)

    def lay_out(self):
        """Creates everything but the daemon, which the caller starts."""
        for where, options in self.saved["mounts"].items():
            self.make_folder(where)
            self.world.exec("mount", "-t", "tmpfs", "-o", options, "vmkeep-out", self.path(where))
        for name, how in self.saved["files"].items():
            self.make_file(name, how)
        for name, how in self.saved["folders"].items():
            self.make_folder(name)
            os.chmod(self.inner(name), how["mode"])
            os.chown(self.inner(name), how["uid"], how["uid"])
        self.world.exec("tar", "-xJf", os.path.join(self.folder, "images.tar.xz"), "-C", self.world.images)
        for name in self.saved["records"]:
            self.change(name, self.move_clocks)
        self.move_leases()
        self.make_links()
        for name in self.saved["processes"]:
            self.start_process(name)

    def inner(self, name):
        return self.world.inner(self.path(name))

    def make_folder(self, name):
        os.makedirs(self.inner(name), exist_ok=True)

    def make_file(self, name, how):
        path = self.inner(name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(os.path.join(self.folder, name), encoding="utf-8") as f, \
                open(path, "w", encoding="utf-8") as to:
            to.write(self.text(f.read()))
        os.chmod(path, how["mode"])
        os.chown(path, how["uid"], how["uid"])

    def change(self, name, how):
        """Changes a JSON file in place."""
        with open(self.inner(name), "r+", encoding="utf-8") as f:
            doc = json.load(f)
            how(doc)
            f.seek(0)
            f.truncate()
            json.dump(doc, f, indent=1)

    def moved(self, at):
        """Shifts a time (since the epoch or since boot) by the age of the fixture."""
        clock = "time" if at > 1e9 else "monotonic"
        return at + self.age[clock]

    def move_clocks(self, doc):
        for key in CLOCKS:
            if doc.get(key):
                doc[key] = self.moved(doc[key])
        doc["restarts"] = [self.moved(at) for at in doc.get("restarts", [])]

    def move_leases(self):
        for name in self.saved["leases"]:
            with open(self.inner(name), "r+", encoding="utf-8") as f:
                rows = [line.split(" ", 1) for line in f]
                f.seek(0)
                f.truncate()
                f.writelines("%d %s" % (self.moved(int(row[0])), row[1]) for row in rows)

    def make_links(self):
        for link in self.saved["links"]:
            if link["kind"] == "bridge":  # a tap is created with the process that holds it
                self.world.exec("ip", "link", "add", link["name"], "type", "bridge", "forward_delay", "0")
                self.finish_link(link)
        self.world.exec("nft", "-f", "-", input=self.saved["rules"])
        self.world.exec("sh", "-c", "echo 1 >/proc/sys/net/ipv4/ip_forward")

    def finish_link(self, link):
        ip = ["ip", "link", "set", link["name"]]
        self.world.exec(*ip, "address", link["mac"])
        self.world.exec(*ip, "alias", link["alias"])
        for address in link["addresses"]:
            self.world.exec("ip", "address", "add", address, "brd", "+", "dev", link["name"])
        if link["master"]:
            self.world.exec(*ip, "master", link["master"])
        self.world.exec(*ip, "up")

    def start_process(self, name):
        process = self.saved["processes"][name]
        told = self.world.exec(sys.executable, os.path.abspath(__file__), input=json.dumps(process))
        pid, start = (int(word) for word in told.split())
        self.pids[name] = pid
        for link in self.saved["links"]:
            if ["tap", link["name"]] in process["fds"].values():
                self.finish_link(link)
        if process["record"].startswith("run/vms/"):
            self.change(process["record"], lambda doc: doc.update(pid=pid, starttime=start))
            self.let_go(name)
            return
        self.change(process["record"], lambda doc: doc.update(dnsmasq={"pid": pid, "start": start}))
        with open(self.inner(process["pidfile"]), "w", encoding="utf-8") as f:
            f.write("%d\n" % pid)

    def let_go(self, name):
        """Lets QEMU run its guest as before, or pauses it."""
        state = self.saved["shown"]["info " + name]["state"]
        with socket.socket(socket.AF_UNIX) as monitor:
            monitor.settimeout(30 * vmk.SLOW)
            monitor.connect(self.inner("run/vms/%s/qmp.sock" % name))
            lines = monitor.makefile("r")
            json.loads(lines.readline())
            for command in ["qmp_capabilities", "cont"] + ["stop"] * (state == "paused"):
                monitor.sendall(json.dumps({"execute": command}).encode())
                while "return" not in json.loads(lines.readline()):
                    pass


# --- inside the world: a process as the old daemon started it ---

def descriptor(kind, where):
    if kind == "listen":
        listener = socket.socket(socket.AF_UNIX)
        folder = os.open(os.path.dirname(where), os.O_PATH)  # sun_path is short
        listener.bind("/proc/self/fd/%d/%s" % (folder, os.path.basename(where)))
        os.chmod(where, 0o600)
        listener.listen(4)
        return listener.detach()
    if kind == "append":
        return os.open(where, os.O_WRONLY | os.O_APPEND)
    assert kind == "tap", kind
    tap = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(tap, TUNSETIFF, struct.pack("16sH14x", where.encode(), IFF_TAP | IFF_NO_PI | IFF_VNET_HDR))
    return tap


def start(process):
    """Starts it and returns its pid and start time. It stays alive, as a child of the world's process 1."""
    high = {number: fcntl.fcntl(descriptor(*what), fcntl.F_DUPFD, 100)
            for number, what in process["fds"].items()}

    def place():
        for number, fd in high.items():
            os.dup2(fd, int(number))

    ids = ["--reuid=%d" % process["uid"], "--regid=%d" % process["uid"], "--clear-groups"]
    caps = ["+" + cap for cap in process["caps"]]
    caps = ["--inh-caps=" + ",".join(caps), "--ambient-caps=" + ",".join(caps)]
    child = subprocess.Popen([shutil.which("setpriv")] + ids + caps + ["--"] + process["argv"],
                             stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, close_fds=False,
                             preexec_fn=place, start_new_session=True)
    with open("/proc/%d/stat" % child.pid, encoding="utf-8") as f:
        return child.pid, int(f.read().rsplit(")", 1)[1].split()[19])


if __name__ == "__main__":
    print(*start(json.load(sys.stdin)))
