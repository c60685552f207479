# SPDX-License-Identifier: MIT
"""VMs with Enable=yes start once per boot, in dependency order; shutdown uses the reverse order, within a time
limit."""
import json
import os
import socket
import subprocess

import pytest

import vmk

ENABLE = "Enable=yes\n"


def log(world):
    return vmk.read_text(os.path.join(world.base, "daemon.log"))


def reason(world, name):
    return world.info(name)["reason"]


def became(world, name, state):
    """Number of the line in the daemon's log where the VM entered this state."""
    lines = log(world).splitlines()
    return next(i for i, line in enumerate(lines) if ("vm %s: " % name) in line and ("-> " + state) in line)


def settled(world):
    world.eventually(lambda: log(world), lambda text: "boot start complete" in text, timeout=20)


def test_enabled_ones_start_once(world):
    world.micro("a", vm=ENABLE)
    world.micro("b")
    world.start()
    world.wait_state("a", "running")
    rows = {row["name"]: row for row in world.rows("list")}
    assert (rows["a"]["enabled"], rows["b"]["enabled"]) == (True, False)
    assert rows["b"]["state"] == "stopped"
    assert world.info("a")["enabled"] and not world.info("b")["enabled"]
    settled(world)
    world.ok("stop", "a")
    # a daemon that is started later in the same boot starts nothing, even if it has been enabled since
    world.stop_daemon()
    world.micro("b", vm=ENABLE)
    world.start()
    assert world.states() == {"a": "stopped", "b": "stopped"}
    # the next boot starts them again
    world.stop_daemon()
    with open(world.inner(os.path.join(world.run, "boot")), "w") as f:
        f.write("00000000-0000-0000-0000-000000000000\n")
    world.start()
    world.wait_state("a", "running")
    world.wait_state("b", "running")


def test_order(world):
    """c after b after z, whatever their names; z starts x, which is not enabled."""
    world.micro("c", vm=ENABLE, extra="[Lifecycle]\nAfter=b\n")
    world.micro("b", vm=ENABLE, extra="[Lifecycle]\nAfter=z\nAfter=nobody\n")
    world.micro("z", vm=ENABLE, extra="[Lifecycle]\nRequires=x\n")
    world.micro("x")
    world.start()
    for name in "cbzx":
        world.wait_state(name, "running")
    order = [became(world, name, "running") for name in "xzbc"]
    assert order == sorted(order)


def test_ready_when_its_console_says_so(world):
    world.micro("db", vm=ENABLE, banner="ready to serve\r\n", extra="[Lifecycle]\nReadyWhen=log:to serve\n")
    world.micro("mute", vm=ENABLE, banner="x\r\n", extra="[Lifecycle]\nReadyWhen=log:never said\nTimeoutReadySec=1\n")
    world.micro("app", vm=ENABLE, extra="[Lifecycle]\nRequires=db\n")
    world.micro("casual", vm=ENABLE, extra="[Lifecycle]\nAfter=mute\n")
    world.micro("strict", vm=ENABLE, extra="[Lifecycle]\nRequires=mute\n")
    world.start()
    for name in ("app", "casual"):
        world.wait_state(name, "running")
    settled(world)
    assert world.info("strict")["state"] == "stopped"
    assert "'mute' runs but is not ready" in reason(world, "strict")


def test_ready_when_a_port_is_open(world, linux):
    """ReadyWhen=tcp: the guest has an address, but is not ready before a program in it opens the port."""
    world.linux("db", vm=ENABLE, extra="[Lifecycle]\nReadyWhen=tcp:5432\n")
    world.linux("lan", vm=ENABLE, extra="[Lifecycle]\nReadyWhen=lease\n")
    world.micro("app", vm=ENABLE, extra="[Lifecycle]\nRequires=db\nAfter=lan\n")
    world.start()
    world.wait_state("db", "running")
    world.ok("wait", "db", "ip", timeout=60)
    world.ok("wait", "lan", "ip", timeout=60)
    assert world.info("app")["state"] == "stopped"
    assert reason(world, "app") == "waits for 'db'"
    world.console("db").type("nc -l -p 5432 </dev/null >/dev/null\n")
    world.wait_state("app", "running")


def test_clones_are_ready_one_by_one(world, linux):
    """Clones that send the same client identifier and the same host name each have a lease, a name, and become ready
    separately."""
    clones = ("one", "two")
    for name in clones:
        world.linux(name, "guest.net=none", ENABLE, "[Lifecycle]\nReadyWhen=lease\n")
    world.micro("app", vm=ENABLE, extra="[Lifecycle]\nRequires=one two\n")
    world.start()
    consoles = {}
    for name in clones:
        world.wait_state(name, "running")
        consoles[name] = world.console(name)
        consoles[name].until("ready after", 60)
    ask = ("ip link set eth0 up; udhcpc -i eth0 -n -t 20 -T 1 -s /etc/udhcpc -C -x 0x3d:ff00112233445566 -x hostname:two "
           "-F two.vm.internal -V cloned")
    consoles["one"].run(ask, 30)
    world.ok("wait", "one", "ip", timeout=30)
    assert reason(world, "app") == "waits for 'two'"
    consoles["two"].run(ask, 30)
    world.wait_state("app", "running")
    address = {name: world.rows("ip", name)[0]["address"] for name in clones}
    assert len(set(address.values())) == 2
    for _ in range(2):
        for name in clones:
            row, = world.rows("ip", name)
            assert (row["seen"], row["address"]) == (True, address[name])
            world.ok("wait", name, "ip")
            for other in clones:
                assert address[other] in consoles[name].run("nslookup %s.vm.internal 192.168.122.1" % other)
        consoles["one"].run("kill -USR1 $(pidof udhcpc)")  # renews its lease


def test_failures(world):
    """A VM stays down with a reason if one in its Requires= failed; After= does not prevent its start."""
    world.micro("a", vm=ENABLE)
    world.write("a.vm", "[VM]\nMemory=16M\nNetworks=none\nEnable=yes\nMachine=pc-q35-99.9\n"
                "[Disk root]\nPath=a.raw\n[Lifecycle]\nRestart=no\n")
    world.micro("b", vm=ENABLE, extra="[Lifecycle]\nRequires=a\n")
    world.micro("c", vm=ENABLE, extra="[Lifecycle]\nAfter=a\n")
    world.micro("d", vm=ENABLE, extra="[Lifecycle]\nRequires=nonesuch\n")
    world.start()
    world.wait_state("c", "running")
    settled(world)
    assert world.states() == {"a": "stopped", "b": "stopped", "c": "running", "d": "stopped"}
    assert "not started: 'a'" in reason(world, "b")
    assert "nonesuch" in reason(world, "d")
    assert "there is no VM or network 'nonesuch'" in world.vmkeep("check").out


def test_a_mistyped_name_is_told_the_nearest(daemon):
    daemon.micro("database", extra="")
    daemon.micro("web", extra="[Lifecycle]\nAfter=databsae\n")
    assert "After: there is no VM or network 'databsae', did you mean 'database'?" in daemon.vmkeep("check").out


def test_a_ring_is_named(world):
    world.micro("a", vm=ENABLE, extra="[Lifecycle]\nAfter=b\n")
    world.micro("b", vm=ENABLE, extra="[Lifecycle]\nRequires=c\n")
    world.micro("c", vm=ENABLE, extra="[Lifecycle]\nAfter=a\n")
    world.micro("d", vm=ENABLE)
    world.start()
    world.wait_state("d", "running")
    settled(world)
    assert world.states() == {"a": "stopped", "b": "stopped", "c": "stopped", "d": "running"}
    assert "a -> b -> c -> a" in reason(world, "a")
    result = world.vmkeep("check")
    assert result.code == 2 and "dependency cycle: a -> b -> c -> a" in result.out
    world.ok("start", "a")  # a start by hand ignores dependencies


def test_a_disk_that_is_not_mounted_yet(world):
    """Its VM is retried, and dependents wait; hooks are not told of a crash, because there was none."""
    told = os.path.join(world.base, "told")
    os.mkdir(os.path.join(world.config, "hooks.d"))
    with open(os.path.join(world.config, "hooks.d", "10-all"), "w", encoding="utf-8") as f:
        f.write("#!/bin/sh\necho \"$@\" >>%s\n" % told)
    os.chmod(f.name, 0o755)
    mount = os.path.join(world.images, "nfs")
    os.mkdir(mount)
    world.write("a.vm", "[VM]\nMemory=16M\nNetworks=none\nEnable=yes\n[Disk root]\nPath=nfs/a.raw\n")
    world.micro("b", vm=ENABLE, extra="[Lifecycle]\nRequires=a\n")
    world.start()
    assert "start failed" in world.wait_state("a", "backoff")["reason"]
    assert reason(world, "b") == "waits for 'a'"
    world.image("nfs/a.raw")
    world.wait_state("a", "running", timeout=10)
    world.wait_state("b", "running")
    rows = world.rows("history", "a")
    assert [row["event"] for row in rows[:2]] == ["start", "start-failed"]
    assert rows[1]["reason"].endswith("restarting in 5 s")
    assert not os.path.exists(told)



def test_what_passes_and_what_somebody_must_repair(world):
    """An image in use by a process may be free the next time, and is retried; two disks or VMs with one file or
    address stay in conflict until somebody edits a file, and lead to the state failed."""
    once = "[Lifecycle]\nRestartSec=0\nStartLimitBurst=1\n"
    disk = os.path.join(world.base, "disk.raw")
    os.symlink(disk, os.path.join(world.base, "link.raw"))
    with open(disk, "wb") as f:
        f.truncate(1 << 20)
    world.micro("twice", vm=ENABLE, extra="[Disk a]\nPath=%s\n[Disk b]\nPath=%s/link.raw\n%s" % (disk, world.base, once))
    for name in ("first", "second"):
        world.image(name + ".raw", "deaf")
        world.write(name + ".vm", "[VM]\nMemory=16M\nEnable=yes\n[Disk root]\nPath=%s.raw\n[NIC lan]\nAddress=192.168.122.9\n%s%s"
                    % (name, once, "After=first\n" if name == "second" else ""))
    world.micro("held", vm=ENABLE, extra=once)
    writer = world.stream_of("sh", "-c", "exec 9>>%s/held.raw; echo holds; read x" % world.images)
    writer.until("holds")
    world.start()
    assert "disk.raw is the same file as" in world.wait_state("twice", "failed")["reason"].replace("link", "disk")
    assert "address 192.168.122.9 belongs to NIC 'lan' of VM 'first'" in world.wait_state("second", "failed")["reason"]
    assert "held.raw is in use by sh" in world.wait_state("held", "backoff")["reason"]
    writer.end()
    world.wait_state("held", "running")


def test_kvm_comes_late(world):
    """If the KVM module is not loaded yet, guests that may use it wait, others start, and nothing fails."""
    info = os.path.join(world.base, "cpuinfo")
    with open(info, "w", encoding="utf-8") as f:
        f.write("processor\t: 0\nflags\t\t: fpu svm\n")
    world.exec("mount", "--bind", info, "/proc/cpuinfo")
    world.exec("mount", "-t", "tmpfs", "tmpfs", "/sys/class/misc")
    with world.devices():
        world.micro("may", "deaf", vm=ENABLE + "Accel=auto\n")
        world.micro("tcg", "deaf", vm=ENABLE)
        world.start()
        world.wait_state("tcg", "running")
        assert world.info("may")["state"] == "stopped" and "waits for '/dev/kvm'" in reason(world, "may")
        world.exec("mkdir", "/sys/class/misc/kvm")
        assert world.wait_state("may", "running")["accel"] == "tcg"
        settled(world)
        events = [row["event"] for row in world.rows("history", "may")]
        assert events == ["start", "running"]
        world.ok("kill", "*")
    world.exec("umount", "/proc/cpuinfo", "/sys/class/misc")


def test_a_daemon_that_dies_while_vms_start(world):
    """The next daemon continues; VMs whose start was already attempted are not started again."""
    world.micro("a", vm=ENABLE, extra="[Lifecycle]\nReadyWhen=started\n")
    world.micro("slow", vm=ENABLE, extra="[Lifecycle]\nReadyWhen=log:never\nTimeoutReadySec=3\n")
    world.micro("last", vm=ENABLE, extra="[Lifecycle]\nAfter=slow\n")
    world.start()
    world.wait_state("a", "running")
    world.wait_state("slow", "running")
    world.ok("stop", "a")
    world.kill_daemon()
    world.start()
    world.wait_state("last", "running")
    assert world.info("a")["state"] == "stopped"


def test_stop_takes_its_turn_away(world):
    world.micro("slow", vm=ENABLE, extra="[Lifecycle]\nReadyWhen=log:never\nTimeoutReadySec=1\n")
    world.micro("last", vm=ENABLE, extra="[Lifecycle]\nAfter=slow\n")
    world.start()
    world.wait_state("slow", "running")
    world.ok("stop", "last")
    settled(world)
    assert world.info("last")["state"] == "stopped"


def test_shutdown_all(world):
    """In reverse order, within the time limit; guests that ignore the power button are killed and named."""
    world.micro("db", vm=ENABLE)
    world.micro("app", vm=ENABLE, extra="[Lifecycle]\nAfter=db\n")
    world.micro("deaf", "deaf", vm=ENABLE, extra="[Lifecycle]\nTimeoutStopSec=1h\n")  # the common limit ends it
    world.micro("paused")
    world.micro("off")
    world.start()
    for name in ("db", "app", "deaf"):
        world.wait_state(name, "running")
    world.ok("start", "paused", "--paused")
    world.ok("net", "start", "default")
    # a guest reacts to the button once it has printed its banner
    for name in ("db", "app"):
        world.console(name).until("up")
    result = world.vmkeep("--json", "shutdown-all", "--timeout", "8", timeout=60)
    assert result.code == 8, result
    rows = {row["name"]: row for row in json.loads(result.out)}
    assert {name: row["result"] for name, row in rows.items()} == {
        "db": "stopped", "app": "stopped", "deaf": "killed", "paused": "stopped"}
    assert rows["deaf"]["reason"] == "ignored the power button"
    assert became(world, "app", "stopped") < became(world, "db", "stopping")
    assert set(world.states().values()) == {"stopped"}
    assert [row["state"] for row in world.rows("net", "list")] == ["down"]
    assert "no VM runs" in world.ok("shutdown-all")


def test_the_budget_of_the_host(world):
    """[Shutdown] TimeoutSec= takes effect at once where no time is given, with and without a daemon."""
    world.micro("deaf", "deaf", extra="[Lifecycle]\nTimeoutStopSec=1h\n")
    world.start()
    world.ok("start", "deaf")
    world.write("vmkeep.conf", vmk.DEFAULTS + "[Shutdown]\nTimeoutSec=2\n")
    result = world.vmkeep("--json", "shutdown-all", timeout=120)
    assert result.code == 8, result
    assert [(row["name"], row["result"], row["reason"]) for row in json.loads(result.out)] == [
        ("deaf", "killed", "ignored the power button")]
    world.ok("start", "deaf")
    world.kill_daemon()
    time_of = subprocess.run(world.inside(world.daemon_argv() + ["--shutdown-time"]), capture_output=True, text=True)
    assert (time_of.returncode, time_of.stdout) == (0, "2\n")
    alone = subprocess.run(world.inside(world.daemon_argv() + ["--shutdown-all"]), capture_output=True, text=True,
                           timeout=120 * vmk.SLOW)
    assert (alone.returncode, alone.stdout) == (0, "deaf: killed\n"), alone.stderr


def test_shutdown_without_a_daemon(world):
    """vmkeepd --shutdown-all does what a daemon would do, and refuses to run next to one."""
    world.micro("a")
    world.micro("deaf", "deaf")
    world.start()
    world.up("a")
    world.ok("start", "deaf")
    beside = subprocess.run(world.inside(world.daemon_argv() + ["--shutdown-all", "2"]), capture_output=True, text=True)
    assert beside.returncode == 3, beside.stderr
    world.kill_daemon()
    alone = subprocess.run(world.inside(world.daemon_argv() + ["--shutdown-all", "2"]), capture_output=True, text=True)
    assert alone.returncode == 0, alone.stderr
    assert set(alone.stdout.split("\n")) == {"a: stopped", "deaf: killed", ""}
    assert not [line for line in world.processes().values() if "qemu" in line]
    world.start()
    assert world.states() == {"a": "stopped", "deaf": "stopped"}


@pytest.mark.parametrize("limits, wanted", [
    ("TasksMax=100\n", ("pids.max", "100")),
    ("", None),
])
def test_plain_control_groups(world, limits, wanted):
    """Without systemd each guest has a directory in each hierarchy, with its limits, which is removed with the
    guest."""
    place = "/sys/fs/cgroup/pids"
    if not os.access(os.path.join(place, "cgroup.procs"), os.W_OK):
        pytest.skip("no pids hierarchy (v1) to write to")
    world.exec("mount", "-t", "tmpfs", "tmpfs", "/sys/fs/cgroup")
    world.exec("mkdir", place)
    world.exec("mount", "-t", "cgroup", "-o", "pids", "cgroup", place)
    world.mounts = world.mount_points()
    world.micro("a", extra="[Limits]\n" + limits)
    world.start()
    pid = world.up("a") and world.info("a")["pid"]
    group = [line.rstrip().split(":")[2] for line in world.exec("cat", "/proc/%d/cgroup" % pid).splitlines()
             if ":pids:" in line][0]
    assert group.startswith("/vmkeep") and group.endswith("/a")
    if wanted:
        assert world.exec("cat", os.path.join(place + group, wanted[0])).strip() == wanted[1]
    world.kill_daemon()
    world.start()
    world.ok("kill", "a")
    assert not os.path.exists(place + group)
    assert not os.path.exists(os.path.dirname(place + group))


def test_a_limit_that_nothing_can_hold(daemon):
    """A limit that cannot be enforced is an error, and is not ignored."""
    daemon.micro("a", extra="[Limits]\nCPUQuota=50%\n")
    assert "CPUQuota=: no control group" in daemon.fails(11, "start", "a")


def test_a_successor_keeps_the_watchdog_quiet(world):
    """The manager's watchdog counts from the last keep-alive, whichever daemon sent it: repeated reexecs do not
    trigger it."""
    world.start(env={"WATCHDOG_USEC": "3600000000"})
    path = os.path.join(world.base, "notify.%d" % world.counter)
    os.unlink(path)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.bind(path)
        notify.settimeout(10 * vmk.SLOW)
        for _ in range(2):
            world.ok("reexec")
            seen = []
            while "READY=1" not in seen:
                seen.append(notify.recv(4096).decode().partition("\n")[0])
            goes, comes = seen[:seen.index("RELOADING=1")], seen[seen.index("RELOADING=1"):]
            assert "WATCHDOG=1" in goes and "WATCHDOG=1" in comes, seen


def test_a_service_manager_is_told(world):
    """The daemon sends STATUS= when states change and WATCHDOG=1 if requested; it uses a socket that it inherits, and
    does not remove it. All of this continues after a reexec."""
    world.micro("a")
    path = os.path.join(world.base, "manager")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.bind(path)
        notify.settimeout(10 * vmk.SLOW)
        argv = world.inside(["systemd-socket-activate", "--listen=" + world.socket, "-E", "NOTIFY_SOCKET=" + path,
                             "-E", "WATCHDOG_USEC=200000"] + world.daemon_argv())
        with open(os.path.join(world.base, "daemon.log"), "ab") as out:
            world.daemon = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        # the path appears a moment before anything listens on it
        world.eventually(lambda: vmk.read_text(os.path.join(world.base, "daemon.log")), lambda text: "Listening on" in text)
        world.ok("start", "a")
        seen = []
        while "STATUS=1 running" not in seen or seen.count("WATCHDOG=1") < 3:
            seen.append(notify.recv(4096).decode())
        assert "READY=1" in seen
        world.ok("reexec")
        seen = []
        while "READY=1" not in seen or "WATCHDOG=1" not in seen[seen.index("READY=1"):]:
            seen.append(notify.recv(4096).decode())
    assert world.info("a")["state"] == "running"
    world.stop_daemon()
    assert os.path.exists(world.inner(world.socket)), "its maker removes it"
