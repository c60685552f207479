# SPDX-License-Identifier: MIT
"""The installed service under a real systemd, in namespaces of its own: guests outlive the daemon."""
import json
import os
import re
import shutil
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


pytestmark = [
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

    def __init__(self, directory, name):
        self.dir, self.cgroup = directory, os.path.join(cgroup2(), "vmkeep-test-%d" % os.getpid())
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
             '--propagation private --kill-child "$1" "$2" "$3"',
             self.cgroup, os.path.join(HERE, "host"), self.dir, BUILD],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        wait_until("systemd runs", self.find)
        # waits in systemd itself once its socket is there
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
        return json.loads(self.ok("vmkeep", "--json", "info", name))

    def main_pid(self):
        return int(self.ok("systemctl", "show", "-p", "MainPID", "--value", "vmkeepd"))

    def destroy(self):
        if getattr(self, "unshare", None):
            self.unshare.send_signal(signal.SIGKILL)  # and with it systemd, and with that all
            self.unshare.wait()
        if os.path.exists(self.cgroup):
            wait_until("its processes are gone", lambda: not self.processes())
            for path, _, _ in os.walk(self.cgroup, topdown=False):
                os.rmdir(path)

    def processes(self):
        found = []
        for path, _, _ in os.walk(self.cgroup):
            with open(os.path.join(path, "cgroup.procs")) as f:
                found += f.read().split()
        return found


@pytest.fixture
def host(tmp_path):
    made = Host(str(tmp_path), "guest1")
    try:
        made.boot()
        yield made
    finally:
        made.destroy()
        shutil.rmtree(str(tmp_path))


def test_guests_outlive_the_daemon(host):
    assert host.ok("systemctl", "is-active", "vmkeepd") == "active\n"
    assert "vmkeep-view:" in host.ok("getent", "group", "vmkeep", "vmkeep-view")
    host.ok("vmkeep", "start", "guest1")
    wait_until("the guest is up", lambda: "up" in host.ok("vmkeep", "log", "guest1"))
    guest, daemon = host.info("guest1")["pid"], host.main_pid()

    host.ok("systemctl", "reload", "vmkeepd")
    assert host.main_pid() == daemon

    host.ok("systemctl", "restart", "vmkeepd")
    assert host.main_pid() != daemon
    assert (host.info("guest1")["state"], host.info("guest1")["pid"]) == ("running", guest)

    host.ok("systemctl", "stop", "vmkeepd")
    assert host.run("vmkeep", "list").returncode == 10
    host.ok("kill", "-0", str(guest))
    host.ok("systemctl", "start", "vmkeepd")
    assert (host.info("guest1")["state"], host.info("guest1")["pid"]) == ("running", guest)

    daemon = host.main_pid()
    host.ok("kill", "-9", str(daemon))
    wait_until("systemd has started another", lambda: host.main_pid() not in (0, daemon))
    wait_until("it answers", lambda: host.run("vmkeep", "version").returncode == 0)
    assert (host.info("guest1")["state"], host.info("guest1")["pid"]) == ("running", guest)


def cgroup_of(host, pid):
    return next(line[4:] for line in host.ok("cat", "/proc/%d/cgroup" % pid).splitlines() if line.startswith("0::/"))


def up(host, name="guest1"):
    host.ok("vmkeep", "start", name)
    wait_until("the guest is up", lambda: "up" in host.ok("vmkeep", "log", name))
    return host.info(name)["pid"]


def show(host, unit, key):
    return host.ok("systemctl", "show", "-p", key, "--value", unit).strip()


def test_each_guest_has_a_scope(host):
    """Not the service's: whatever happens to that, the scope and its limits stay; and it goes with the guest."""
    host.write("/etc/vmkeep/guest1.vm.d/limits.conf",
               "[Limits]\nCPUQuota=50%\nCPUWeight=200\nTasksMax=99\nMemoryMax=200M\n")
    guest = up(host)
    assert cgroup_of(host, guest) == "vmkeep.slice/vmkeep-guest1.scope"
    for key, value in (("CPUQuotaPerSecUSec", "500ms"), ("CPUWeight", "200"), ("TasksMax", "99"),
                       ("MemoryMax", "209715200"), ("Slice", "vmkeep.slice")):
        assert show(host, "vmkeep-guest1.scope", key) == value
    assert "vmkeep-guests.service" in show(host, "vmkeep-guest1.scope", "Before").split()

    for how in ("restart", "stop", "start", "kill"):
        host.ok("systemctl", *(["kill", "--signal=KILL"] if how == "kill" else [how]), "vmkeepd")
        host.ok("kill", "-0", str(guest))
        assert show(host, "vmkeep-guest1.scope", "ActiveState") == "active"
    wait_until("it answers", lambda: host.run("vmkeep", "version").returncode == 0)
    assert (host.info("guest1")["state"], host.info("guest1")["pid"]) == ("running", guest)
    journal = host.ok("journalctl", "-u", "vmkeepd", "--no-pager")
    assert "left-over process" not in journal and "Unit process" not in journal

    # killed and started at once: the old scope does not stand in the way
    for _ in range(5):
        host.ok("vmkeep", "kill", "guest1")
        host.ok("vmkeep", "start", "guest1")
    host.ok("vmkeep", "kill", "guest1")
    wait_until("the scope is gone", lambda: show(host, "vmkeep-guest1.scope", "LoadState") == "not-found")


def test_the_journal_knows_whose(host):
    up(host)
    lines = host.ok("journalctl", "VMKEEP_VM=guest1", "-o", "cat", "--no-pager").splitlines()
    assert "vm guest1: joining -> running" in lines
    assert all(line.startswith("vm guest1: ") for line in lines)
    assert host.run("journalctl", "VMKEEP_VM=nobody", "-q", "--no-pager").stdout == ""


def test_status_and_watchdog(host):
    wait_until("it tells", lambda: show(host, "vmkeepd", "StatusText") == "1 stopped")
    guest = up(host)
    wait_until("it tells", lambda: show(host, "vmkeepd", "StatusText") == "1 running")
    host.write("/etc/systemd/system/vmkeepd.service.d/watchdog.conf", "[Service]\nWatchdogSec=2\n")
    host.ok("systemctl", "daemon-reload")
    host.ok("systemctl", "restart", "vmkeepd")
    daemon = host.main_pid()
    host.ok("kill", "-STOP", str(daemon))
    wait_until("systemd has started another", lambda: host.main_pid() not in (0, daemon))
    wait_until("it answers", lambda: host.run("vmkeep", "version").returncode == 0)
    daemon = host.main_pid()
    assert (host.info("guest1")["state"], host.info("guest1")["pid"]) == ("running", guest)
    # one that is well stays: two and a half times the patience
    since = time.monotonic()
    wait_until("it was pinged", lambda: time.monotonic() - since > 5)
    assert host.main_pid() == daemon


def test_socket_activation(host):
    host.ok("systemctl", "stop", "vmkeepd")
    host.ok("systemctl", "start", "vmkeepd.socket")
    assert host.info("guest1")["state"] == "stopped"
    host.ok("systemctl", "restart", "vmkeepd")
    assert host.info("guest1")["state"] == "stopped"


def test_guests_start_with_the_host_and_go_with_it(host):
    host.write("/etc/vmkeep/guest1.vm.d/enable.conf", "[VM]\nEnable=yes\n")
    host.ok("systemctl", "stop", "vmkeepd")
    host.ok("rm", "/run/vmkeep/boot")  # what a boot does
    host.ok("systemctl", "start", "vmkeepd", "vmkeep-guests")
    wait_until("the guest is up", lambda: "up" in host.ok("vmkeep", "log", "guest1"))
    host.ok("systemctl", "restart", "vmkeepd")
    assert host.info("guest1")["state"] == "running"
    host.ok("systemctl", "stop", "vmkeep-guests")
    assert (host.info("guest1")["state"], host.info("guest1")["reason"]) == ("stopped", "guest-shutdown")


@pytest.mark.parametrize("daemon", ["stopped", "killed", "hanging"])
def test_guests_go_down_without_a_daemon(host, daemon):
    host.ok("systemctl", "start", "vmkeep-guests")
    guest = up(host)
    if daemon == "stopped":
        host.ok("systemctl", "stop", "vmkeepd")
    elif daemon == "killed":
        host.ok("systemctl", "mask", "--runtime", "vmkeepd")
        host.ok("systemctl", "kill", "--signal=KILL", "vmkeepd")
    else:
        host.ok("kill", "-STOP", str(host.main_pid()))
    host.ok("systemctl", "stop", "vmkeep-guests")
    assert host.run("kill", "-0", str(guest)).returncode != 0
    assert re.search(r"^guest1:? +stopped", host.ok("journalctl", "-u", "vmkeep-guests", "-o", "cat", "--no-pager"), re.M)
    assert show(host, "vmkeep-guests", "Result") == "success"


def test_the_host_goes_down(host):
    """The guest is asked by its button before systemd stops its scope, which would pull the plug."""
    host.ok("systemctl", "start", "vmkeep-guests")
    up(host)
    log = os.open("/proc/%d/root/run/log/journal" % host.pid, os.O_RDONLY)  # outlives the host
    try:
        host.run("systemctl", "--no-block", "halt")
        wait_until("the host is down", lambda: host.unshare.poll() is not None)
        lines = subprocess.run(["journalctl", "-D", "/proc/self/fd/%d" % log, "-o", "cat", "--no-pager"],
                               pass_fds=[log], capture_output=True, text=True).stdout.splitlines()
    finally:
        os.close(log)
    assert "vm guest1: stopping -> quitting (guest-shutdown)" in lines, lines
    assert lines.index("vm guest1: quitting -> stopped (guest-shutdown)") < lines.index("ends; guests and networks go on")


def test_sleep(host):
    """Exactly those that ran go on after it."""
    up(host)
    hook = "/lib/systemd/system-sleep/vmkeep"
    host.ok(hook, "pre", "suspend")
    assert host.info("guest1")["state"] == "paused"
    host.ok(hook, "post", "suspend")
    assert host.info("guest1")["state"] == "running"
    host.ok("vmkeep", "pause", "guest1")
    host.ok(hook, "pre", "suspend")
    host.ok(hook, "post", "suspend")
    assert host.info("guest1")["state"] == "paused"
    host.ok("vmkeep", "resume", "guest1")
    host.write("/etc/vmkeep/guest1.vm.d/sleep.conf", "[Lifecycle]\nHostSuspend=ignore\n")
    host.ok(hook, "pre", "suspend")
    assert host.info("guest1")["state"] == "running"
