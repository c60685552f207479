# SPDX-License-Identifier: MIT
"""What the unit takes away from the daemon and everything that it starts, and that none of them needs it."""
import os
import re
import shutil
import subprocess
import sys

import pytest

from systemd_host import NEEDS, ROOT, Host, cgroup_of, up, wait_until

sys.path.insert(0, os.path.join(ROOT, "tests", "system"))
import bootsector  # noqa: E402

pytestmark = NEEDS
DROPPED = {"sys_module": 16, "sys_rawio": 17, "sys_boot": 22, "sys_time": 25, "syslog": 34, "perfmon": 38, "bpf": 39}
KEPT = {"chown": 0, "dac_override": 1, "kill": 5, "net_admin": 12, "sys_ptrace": 19, "sys_admin": 21, "mknod": 27, "lease": 28}
HOOK = """#!/bin/sh
exec >>/run/hook-said
echo "event $2"
cat /proc/self/oom_score_adj /proc/self/status
ip link add hook0 type bridge && ip link del hook0 && echo network
mount -t tmpfs tmpfs /mnt && umount /mnt && echo mount
touch /run/suid && chmod 4755 /run/suid 2>/dev/null && echo suid
chrt -f 1 true 2>/dev/null && echo realtime
setarch i686 true 2>/dev/null && echo personality
setpriv --reuid=65534 --regid=65534 --clear-groups true && echo setpriv
echo done
"""


@pytest.fixture
def host(tmp_path):
    made = Host(str(tmp_path), "guest1")
    made.seed("etc/vmkeep/guest2.vm", "[VM]\nMemory=16M\nAccel=tcg\n[Disk root]\nPath=guest2.raw\n[NIC lan]\n[Display]\nType=vnc\n")
    with open(str(tmp_path / "seed/var/lib/vmkeep/images/guest2.raw"), "wb") as f:
        f.write(bootsector.image("echo", "up\r\n"))
    os.makedirs(str(tmp_path / "seed/etc/vmkeep/hooks.d"))
    os.makedirs(str(tmp_path / "seed/mnt"))
    made.seed("etc/vmkeep/hooks.d/tell", HOOK)
    os.chmod(str(tmp_path / "seed/etc/vmkeep/hooks.d/tell"), 0o755)
    try:
        made.boot()
        yield made
    finally:
        made.destroy()
        shutil.rmtree(str(tmp_path))


def status(text, key):
    return re.search(r"^%s:\s*(.*)$" % key, text, re.M).group(1)


def of(host, pid, name):
    return host.ok("cat", "/proc/%d/%s" % (pid, name))


def test_a_guest_notices_nothing(host):
    """Start, network, console, display, snapshot, restart and reexec of the daemon work inside all of the unit's
    walls."""
    host.ok("qemu-img", "convert", "-O", "qcow2", "/var/lib/vmkeep/images/guest2.raw", "/var/lib/vmkeep/images/guest2.qcow2")
    host.ok("sed", "-i", "s/guest2.raw/guest2.qcow2/", "/etc/vmkeep/guest2.vm")
    guest = up(host, "guest2")
    assert host.ok("vmkeep", "list", "--running").count("running") == 1
    assert "master virbr0" in host.ok("ip", "link", "show", "vk0")
    typed = subprocess.run(["nsenter", "-t", str(host.pid), "-a", "--root", "sh", "-c",
                            "(echo hello; sleep 1) | timeout 20 vmkeep console guest2"], capture_output=True, text=True)
    assert "hello" in typed.stdout, typed
    host.ok("vmkeep", "snapshot", "create", "guest2", "one")
    assert "one" in host.ok("vmkeep", "snapshot", "list", "guest2")
    host.ok("vmkeep", "snapshot", "revert", "guest2", "one")
    assert host.info("guest2")["state"] == "running" and host.info("guest2")["pid"] == guest
    daemon = host.main_pid()
    host.ok("vmkeep", "reexec")
    wait_until("it answers", lambda: host.run("vmkeep", "version").returncode == 0)
    assert (host.main_pid(), host.info("guest2")["pid"]) == (daemon, guest)
    host.ok("systemctl", "restart", "vmkeepd")
    assert host.info("guest2")["pid"] == guest
    told = host.ok("vmkeep", "info", "guest2", "--security")
    assert not re.search(r"^\S.*\bno\b\s*$", told, re.M), told

    text, limits = of(host, guest, "status"), of(host, guest, "limits")
    assert of(host, guest, "oom_score_adj") == "500\n"
    assert (status(text, "NoNewPrivs"), status(text, "Seccomp"), status(text, "Umask")) == ("1", "2", "0077")
    assert int(status(text, "CapBnd"), 16) == 0
    assert re.search(r"^Max core file size +0 +0 ", limits, re.M)
    host.ok("vmkeep", "kill", "guest2")


def test_the_daemon_its_helpers_and_hooks(host):
    guest = up(host, "guest2")
    daemon = host.main_pid()
    spared = host.run("sh", "-c", "echo -500 >/proc/self/oom_score_adj").returncode == 0  # root may be restricted here
    assert of(host, daemon, "oom_score_adj") == ("-500\n" if spared else "0\n")
    assert host.ok("systemctl", "show", "-p", "OOMScoreAdjust", "--value", "vmkeepd") == "-500\n"
    bounding = int(status(of(host, daemon, "status"), "CapBnd"), 16)
    assert not [name for name, bit in DROPPED.items() if bounding >> bit & 1]
    assert not [name for name, bit in KEPT.items() if not bounding >> bit & 1]
    dnsmasq = int(host.ok("pidof", "dnsmasq").split()[0])
    assert of(host, dnsmasq, "oom_score_adj") == "0\n"
    assert of(host, guest, "oom_score_adj") == "500\n"

    host.ok("kill", "-9", str(guest))
    wait_until("the hook ran", lambda: "done" in host.run("cat", "/run/hook-said").stdout)
    said = host.ok("cat", "/run/hook-said").split("event ")[1]
    lines = said.splitlines()
    assert lines[1] == "0", "protected from the OOM killer"
    assert {"network", "mount", "setpriv", "done"} <= set(lines) and not {"suid", "realtime", "personality"} & set(lines), said
    assert host.ok("systemctl", "show", "-p", "SystemCallArchitectures", "--value", "vmkeepd") == "native\n"
    assert (status(said, "NoNewPrivs"), status(said, "Umask")) == ("0", "0022")
    host.ok("vmkeep", "kill", "guest2")


def test_nothing_lurks_in_a_scope(host):
    guest = up(host)
    group = "/sys/fs/cgroup/" + cgroup_of(host, guest)
    lurker = subprocess.Popen(["nsenter", "-t", str(host.pid), "-a", "--root", "sh", "-c",
                               "echo $$ >%s/cgroup.procs; echo in; exec sleep 3600" % group], stdout=subprocess.PIPE)
    assert lurker.stdout.readline() == b"in\n"
    host.ok("kill", "-9", str(guest))
    assert lurker.wait(60) != 0
    wait_until("the guest ended", lambda: host.info("guest1")["pid"] != guest)
    host.ok("vmkeep", "kill", "guest1")
    wait_until("its scope is gone", lambda: host.run("test", "-e", group).returncode != 0)
