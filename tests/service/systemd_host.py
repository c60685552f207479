# SPDX-License-Identifier: MIT
"""A host with its own systemd, in namespaces; see tests/service/host."""
import json
import os
import signal
import subprocess
import sys
import time

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
BUILD = os.path.abspath(os.environ.get("VMKEEP_BUILD", os.path.join(ROOT, "build")))
PATIENCE = 60  # seconds

sys.path.insert(0, os.path.join(ROOT, "tests", "system"))
import bootsector  # noqa: E402


def cgroup2():
    with open("/proc/mounts") as f:
        return next((line.split()[1] for line in f if line.split()[2] == "cgroup2"), None)


NEEDS = [
    pytest.mark.skipif(os.geteuid() != 0, reason="makes namespaces: needs root"),
    pytest.mark.skipif(not os.path.exists("/lib/systemd/systemd"), reason="no systemd on this host"),
    pytest.mark.skipif(not cgroup2() or not os.access(cgroup2(), os.W_OK), reason="no control groups (v2) to write to"),
]


def wait_until(what, condition):
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "still not so: " + what
        time.sleep(0.02)


class Host:
    """A systemd as process 1 of namespaces, which end with it."""

    def __init__(self, directory, name, package=False):
        self.dir, self.package, self.cgroup = directory, package, os.path.join(cgroup2(), "vmkeep-test-%d" % os.getpid())
        for path in ("root", "seed/etc/vmkeep", "seed/etc/systemd/system", "seed/var/lib/vmkeep/images"):
            os.makedirs(os.path.join(directory, path))
        self.seed("etc/vmkeep/%s.vm" % name, "[VM]\nMemory=16M\nAccel=tcg\nNetworks=none\n"
                  "[Disk root]\nPath=%s.raw\n[Display]\nType=none\n" % name)
        with open(os.path.join(directory, "seed/var/lib/vmkeep/images/%s.raw" % name), "wb") as f:
            f.write(bootsector.image("polite", "up\r\n"))

    def seed(self, path, text):
        with open(os.path.join(self.dir, "seed", path), "w") as f:
            f.write(text)

    def boot(self):
        os.mkdir(self.cgroup)
        self.log = open(os.path.join(self.dir, "log"), "w+")
        self.unshare = subprocess.Popen(
            ["sh", "-c", 'echo $$ >"$0/cgroup.procs"; exec unshare --mount --pid --fork --net --uts --ipc --cgroup '
             '--propagation private --kill-child "$@"',
             self.cgroup, os.path.join(HERE, "host"), self.dir, BUILD, *(["package"] if self.package else [])],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        wait_until("systemd runs", self.find)
        # once its socket exists, this waits in systemd itself
        wait_until("systemd has booted", lambda: self.run("systemctl", "is-system-running", "--wait").stdout)

    def find(self):
        assert self.unshare.poll() is None, self.text()
        with open("/proc/%d/task/%d/children" % (self.unshare.pid, self.unshare.pid)) as f:
            children = f.read().split()
        if not children:
            return False
        self.pid = int(children[0])
        with open("/proc/%d/comm" % self.pid) as f:
            return f.read() == "systemd\n" and os.path.exists("/proc/%d/root/run/systemd/private" % self.pid)

    def text(self):
        self.log.seek(0)
        return self.log.read()

    def run(self, *words):
        return subprocess.run(["nsenter", "-t", str(self.pid), "-a", "--root", *words], capture_output=True, text=True)

    def ok(self, *words):
        done = self.run(*words)
        assert done.returncode == 0, "%s: %s%s" % (" ".join(words), done.stdout, done.stderr)
        return done.stdout

    def write(self, path, text):
        path = "/proc/%d/root%s" % (self.pid, path)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as f:
            f.write(text)

    def info(self, name):
        return json.loads(self.ok("vmkeep", "--json", "info", name))[0]

    def main_pid(self):
        return int(self.ok("systemctl", "show", "-p", "MainPID", "--value", "vmkeepd"))

    def destroy(self):
        if getattr(self, "unshare", None):
            self.unshare.send_signal(signal.SIGKILL)  # which ends systemd, and with it everything else
            self.unshare.wait()
        if os.path.exists(self.cgroup):
            wait_until("its processes are gone", self.is_empty)
            for path, _, _ in os.walk(self.cgroup, topdown=False):
                os.rmdir(path)

    def is_empty(self):
        """True only when no dying processes are left either, which cgroup.procs no longer lists."""
        with open(os.path.join(self.cgroup, "cgroup.events")) as f:
            return "populated 0" in f.read()


def cgroup_of(host, pid):
    return next(line[4:] for line in host.ok("cat", "/proc/%d/cgroup" % pid).splitlines() if line.startswith("0::/"))


def up(host, name="guest1"):
    host.ok("vmkeep", "start", name)
    wait_until("the guest is up", lambda: "up" in host.ok("vmkeep", "log", name))
    return host.info(name)["pid"]


def show(host, unit, key):
    return host.ok("systemctl", "show", "-p", key, "--value", unit).strip()
