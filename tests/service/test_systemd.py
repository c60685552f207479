# SPDX-License-Identifier: MIT
"""The installed service under a real systemd, in separate namespaces: guests outlive the daemon."""
import os
import re
import shutil
import subprocess
import time

import pytest

from systemd_host import NEEDS, Host, cgroup_of, show, up, wait_until

pytestmark = NEEDS


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
    assert "vmkeep-view:" in host.ok("getent", "group", "vmkeep", "vmkeep-view", "vmkeep-create")
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


def test_each_guest_has_a_scope(host):
    """Outside the service: whatever happens to that, the scope and its limits stay, and the scope ends with the
    guest."""
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

    # killed and started again at once: the old scope is not in the way
    for _ in range(5):
        host.ok("vmkeep", "kill", "guest1")
        host.ok("vmkeep", "start", "guest1")
    host.ok("vmkeep", "kill", "guest1")
    wait_until("the scope is gone", lambda: show(host, "vmkeep-guest1.scope", "LoadState") == "not-found")


def test_the_journal_knows_whose(host):
    up(host)
    lines = host.ok("journalctl", "VMKEEP_VM=guest1", "-o", "cat", "--no-pager").splitlines()
    assert "vm guest1: starting -> running" in lines
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
    # a healthy daemon keeps running: two and a half times the watchdog's time
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
    host.ok("rm", "/run/vmkeep/boot")  # as after a boot
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
    """The power button is pressed before systemd stops the guest's scope, which would force the guest off."""
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
    assert lines.index("vm guest1: stopping -> stopped (guest-shutdown)") < lines.index("stopping; guests and networks keep running")


def test_sleep(host):
    """Exactly the guests that were running are resumed."""
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
