# SPDX-License-Identifier: MIT
"""How guests and their QEMUs end, are ended, or refuse to end: each way is reported as such, policy is followed, and
a process that cannot be killed delays nothing else."""
import contextlib
import json
import os
import signal
import socket
import subprocess
import time

import pytest

import test_adopt
import vmk
from test_faults_daemon import qemus
from test_policy import outside, small_disk

LIFECYCLE = "[Lifecycle]\n%s\n"
FREEZER = "/sys/fs/cgroup/freezer"


# While the daemon is down, or during a stop.

def test_f03_stop_goes_on_to_its_deadline(daemon):
    """F03: killed 4 s after `stop`: the next daemon neither forgets the deadline nor restarts it. Of the two guests,
    b is stopped later, but its timeout is shorter: it would end first if a's timeout were restarted."""
    daemon.micro("a", "deaf", extra=LIFECYCLE % "TimeoutStopSec=8\nOnStopTimeout=kill")
    daemon.micro("b", "deaf", extra=LIFECYCLE % "TimeoutStopSec=7\nOnStopTimeout=kill")
    daemon.up("a")
    daemon.up("b")
    begin = time.monotonic()
    daemon.ok("stop", "a", "--no-wait")
    daemon.fails(6, "wait", "a", "stopped", "--timeout", "4")
    daemon.kill_daemon()
    daemon.start()
    client = daemon.client(timeout=15)
    client.call("subscribe")
    daemon.ok("stop", "b", "--no-wait")
    assert client.event("VM_STATE", lambda data: data["state"] == "stopped")["name"] == "a"
    assert time.monotonic() - begin >= 4
    for name in "ab":  # the timeout that the previous daemon set is no longer known
        assert daemon.wait_state(name, "stopped")["reason"].startswith("killed: the guest did not power off ")


def test_f05_what_happened_while_no_daemon_looked(daemon):
    """F05: one guest powered itself off, the other was paused: the next daemon finds out by asking; the tap of the
    first is gone."""
    daemon.image("off.raw", "leave", "up\r\n")
    daemon.write("off.vm", "[VM]\nMemory=16M\n[Disk root]\nPath=off.raw\n")
    daemon.micro("still", "deaf")
    console = daemon.up("off")
    daemon.ok("start", "still")
    tap = daemon.info("off")["nics"][0]["interface"]
    assert tap in daemon.links()
    console.end()
    daemon.kill_daemon()
    test_adopt.monitor(daemon, "still", "stop")
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(daemon.inner(os.path.join(daemon.run, "vms", "off", "serial-console.sock")))
        s.sendall(b"x")
        daemon.start()
    assert daemon.wait_state("off", "stopped")["reason"] == "guest-shutdown"
    assert daemon.wait_state("still", "paused")["reason"] == "paused"
    assert tap not in daemon.links()


# How a process ends.

def test_f20_killed_qemu_leaves_a_clean_image(daemon):
    """F20: killed while it writes: the crash is reported with its signal, the image is not damaged, and the guest
    starts again."""
    daemon.image("w.raw", "writer", size=64 << 20)
    daemon.exec("qemu-img", "convert", "-f", "raw", "-O", "qcow2", daemon.images + "/w.raw", daemon.images + "/a.qcow2")
    daemon.write("a.vm", "[VM]\nMemory=16M\nNetworks=none\n[Disk root]\nPath=a.qcow2\n" + LIFECYCLE % "RestartSec=60")
    daemon.ok("start", "a")
    daemon.console("a").until("www")
    daemon.kill(daemon.info("a")["pid"])
    assert "crashed: signal 9 (SIGKILL)" == daemon.wait_state("a", "backoff")["reason"]
    check = subprocess.run(daemon.inside(["qemu-img", "check", daemon.images + "/a.qcow2"]), capture_output=True)
    assert check.returncode in (0, 3), check  # 3: leaked clusters, which are harmless
    daemon.ok("start", "a")


@pytest.mark.parametrize("restart, state", [("on-failure", "stopped"), ("always", "running")])
def test_f21_sigterm_from_outside(daemon, restart, state):
    """F21: it was ended on purpose, so it is not a crash; Restart=always restarts it all the same."""
    daemon.micro("a", "deaf", extra=LIFECYCLE % ("Restart=%s\nRestartSec=0" % restart))
    daemon.up("a")
    pid = daemon.info("a")["pid"]
    daemon.kill(pid, "TERM")
    info = daemon.eventually(lambda: daemon.info("a"), lambda i: i["pid"] != pid and i["state"] == state)
    if state == "stopped":
        assert info["reason"] == "host-signal"
    assert "host-signal" in str(daemon.rows("history", "a"))


@pytest.mark.parametrize("extra, says", [("[QEMU]\nArgs=-device nonsense\n", "'nonsense' is not a valid device"),
                                         ("[QEMU]\nArgs=-m 4T\n", "emory")], ids=["device", "memory"])
def test_f23_qemu_ends_before_its_monitor(daemon, extra, says):
    """F23: detected by the end of the process, not by the timeout of an hour; exit status 7, with stderr."""
    daemon.micro("a", extra=extra + LIFECYCLE % "TimeoutStartSec=1h")
    said = daemon.fails(7, "start", "a")
    assert says in said, said


def test_f26_abort(daemon):
    """F26: the signal is reported; guests do not dump their memory as a core; the restart is not affected by the old
    process. (tests/unit/vm_death.c tests that a core is waited for and named if root has allowed one.)"""
    daemon.micro("a", "deaf", extra=LIFECYCLE % "RestartSec=0")
    daemon.up("a")
    pid = daemon.info("a")["pid"]
    limits = vmk.read_text(daemon.inner("/proc/%d/limits" % pid))
    assert next(line for line in limits.splitlines() if "core file" in line).split()[4:6] == ["0", "0"]
    client = daemon.client()
    client.call("subscribe")
    daemon.kill(pid, "ABRT")
    client.event("VM_STATE", lambda data: data["state"] == "backoff")
    assert pid not in daemon.processes()
    daemon.wait_state("a", "running")
    row = next(row for row in daemon.rows("history", "a") if row["event"] == "crashed")
    assert "crashed: signal 6 (SIGABRT);" in row["reason"] + ";" and "core dumped" not in row["reason"]


def test_f28_crash_loop(daemon):
    """F28: a QEMU that dies as soon as its guest runs is restarted with growing delays, then becomes failed; stop
    cancels the next start."""
    daemon.micro("a", extra=LIFECYCLE % "Restart=always\nRestartSec=200ms\nStartLimitBurst=4")
    info = daemon.crash("a", "failed")
    assert "StartLimitBurst" in info["reason"] and "crashed: signal 9" in info["reason"]
    # with milliseconds
    crashes = [row[0] for row in daemon.client().call("vm-history", name="a")["rows"] if row[1] in ("crashed", "failed")]
    gaps = [b - a for a, b in zip(crashes, crashes[1:])]
    assert len(crashes) == 4 and gaps[0] >= 0.2 and gaps[1] >= 0.4 and gaps[2] >= 0.8, gaps
    daemon.write("a.vm", vmk.read_text(os.path.join(daemon.config, "a.vm")).replace("200ms", "60"))
    daemon.crash("a", "backoff")
    daemon.ok("stop", "a")
    assert daemon.info("a")["state"] == "stopped"


@pytest.mark.parametrize("guest, device, reason", [("panic", "pvpanic", "guest-panicked"), ("bite", "ib700", "watchdog")])
def test_f30_panic_and_watchdog_count_as_crashes(daemon, guest, device, reason):
    """F30: each is followed by a restart by default, until the limit is reached."""
    daemon.micro("a", guest, extra="[QEMU]\nArgs=-device %s\n" % device
                 + LIFECYCLE % "RestartSec=0\nStartLimitBurst=2")
    daemon.ok("start", "a")
    info = daemon.wait_state("a", "failed", timeout=20)
    assert reason in info["reason"] and "StartLimitBurst" in info["reason"]


# What cannot be killed.

@contextlib.contextmanager
def frozen(daemon, name):
    """Not even SIGKILL reaches a task in a frozen cgroup: it stays in state D, like one that waits for a dead NFS
    server."""
    group = "%s/vmkeep-test-%d-%s" % (FREEZER, os.getpid(), name)
    try:
        os.mkdir(group)
    except OSError as e:
        pytest.skip("no freezer cgroup here: %s" % e)

    def put(file, text):
        with open(os.path.join(group, file), "w", encoding="utf-8") as f:
            f.write(text)

    try:
        put("cgroup.procs", str(outside(daemon, daemon.info(name)["pid"])))
        put("freezer.state", "FROZEN")
        yield
    finally:
        put("freezer.state", "THAWED")
        daemon.eventually(lambda: vmk.read_text(group + "/cgroup.procs"), lambda pids: not pids, timeout=15)
        os.rmdir(group)


def test_f25_unkillable(daemon):
    """F25: `kill` gives up with exit status 6 and says where the process hangs; the disk stays locked; other guests
    and the next daemon keep running; after the thaw the guest ends."""
    daemon.micro("a", "deaf")
    daemon.micro("b", "deaf")
    daemon.write("same.vm", "[VM]\nMemory=16M\nNetworks=none\n[Disk root]\nPath=a.raw\n")
    daemon.ok("start", "a", "b")
    pid = daemon.info("a")["pid"]
    with frozen(daemon, "a"):
        stuck = daemon.stream("kill", "a")
        daemon.wait_state("a", "stopping")
        client = daemon.client()
        client.before(client.send("vm-kill", {"name": "a"}), "vm-list")
        assert stuck.wait(20) == 6, stuck.stderr()
        assert "state D" in daemon.info("a")["unresponsive_reason"]
        said = stuck.stderr()
        assert "process %d does not end after SIGKILL: " % pid in said and "(state D, in " in said, said
        assert "'a'" in daemon.fails(3, "start", "same") or str(pid) in daemon.fails(3, "start", "same")
        daemon.ok("pause", "b")
        daemon.kill_daemon()
        daemon.start()
        info = daemon.info("a")
        assert (info["state"], info["health"], info["pid"]) == ("stopping", "unresponsive", pid)
        assert daemon.info("b")["state"] == "paused"
    daemon.wait_state("a", "stopped")
    daemon.ok("start", "same")


def test_f25_unkillable_at_the_hosts_shutdown(daemon):
    """F25: it is named and left behind; the shutdown completes."""
    daemon.micro("a", "deaf")
    daemon.micro("b")
    daemon.up("b")
    daemon.ok("start", "a")
    with frozen(daemon, "a"):
        result = daemon.vmkeep("--json", "shutdown-all", "--timeout", "2", timeout=60)
        assert result.code == 8, result
        rows = {row["name"]: row for row in json.loads(result.out)}
        assert (rows["a"]["result"], rows["b"]["result"]) == ("left", "stopped"), rows
    daemon.wait_state("a", "stopped")


# The monitor's socket.

@pytest.mark.parametrize("how", ["removed", "a file", "a directory"])
def test_f41_monitor_socket(daemon, how):
    """F41: the current connection stays open; the next daemon finds the socket in the QEMU's private root."""
    daemon.micro("a", "deaf")
    daemon.ok("start", "a")
    pid = daemon.info("a")["pid"]
    path = daemon.inner(os.path.join(daemon.run, "vms", "a", "qmp.sock"))
    os.unlink(path)
    if how == "a file":
        with open(path, "w", encoding="utf-8") as f:
            f.write("{}")
    elif how == "a directory":
        os.mkdir(path)
    daemon.ok("pause", "a")
    daemon.ok("resume", "a")
    daemon.kill_daemon()
    daemon.start()
    daemon.ok("pause", "a")
    info = daemon.info("a")
    assert (info["state"], info["pid"], info["health"]) == ("paused", pid, "ok")
    daemon.ok("resume", "a")
    assert daemon.info("a")["state"] == "running"
    daemon.ok("kill", "a")
    assert pid not in daemon.processes()
    daemon.ok("start", "a")


# Stop, and the host's shutdown.

def test_f50_deaf_guest(daemon):
    """F50: the button is pressed repeatedly, then policy decides: left running, with exit status 8, or killed, with
    exit status 0 and the reason."""
    daemon.micro("left", "deaf")
    daemon.micro("killed", "deaf", extra=LIFECYCLE % "OnStopTimeout=kill")
    daemon.ok("start", "left", "killed")
    client = daemon.client()
    client.call("subscribe")
    assert "left running" in daemon.fails(8, "stop", "left", "--timeout", "6")
    daemon.ok("stop", "killed", "--timeout", "1")
    assert daemon.info("killed")["reason"] == "killed: the guest did not power off within 1 s"
    assert "(killed: the guest did not" in vmk.read_text(os.path.join(daemon.base, "daemon.log"))
    assert (daemon.info("left")["state"], daemon.info("left")["want"]) == ("running", "running")


def test_f51_press_during_boot(daemon):
    """F51, R4b: a press that comes too early is lost; it is repeated, and the guest powers off."""
    daemon.micro("a", "polite")
    daemon.ok("start", "a", "--paused")
    daemon.ok("stop", "a")
    assert daemon.info("a")["reason"] == "guest-shutdown"


def test_f52_stop_of_one_paused_by_its_disk(daemon):
    """F52: the guest cannot power off, and resuming it would harm it: the error gives the reason, and only policy
    kills it."""
    small = small_disk(daemon, LIFECYCLE % "OnStopTimeout=kill")
    daemon.ok("start", "a")
    daemon.wait_state("a", "paused")
    pid = daemon.info("a")["pid"]
    said = daemon.fails(5, "stop", "a")
    assert "nospace on root" in said and "vmkeep kill a" in said
    assert (daemon.info("a")["state"], daemon.info("a")["pid"]) == ("paused", pid)
    result = daemon.vmkeep("--json", "shutdown-all", "--timeout", "5")
    row, = json.loads(result.out)
    assert row["result"] == "killed" and "nospace on root" in row["reason"]
    daemon.exec("umount", small)


def test_f53_stop_while_a_snapshot_is_written(daemon, linux):
    """F53: refused with the operation in progress; afterwards the guest stops, and the image is sound and contains
    the snapshot."""
    daemon.linux("a", "guest.net=none", vm="Networks=none\n")
    daemon.up("a", "ready after .*\n")
    client, other = daemon.client(timeout=60), daemon.client(timeout=60)
    client.call("subscribe")
    job = client.send("snapshot-create", {"name": "a", "snapshot": "x"})
    client.event("JOB_STARTED")
    with pytest.raises(vmk.Error, match="snapshot-create 'x'"):
        other.call("vm-stop", name="a")
    while client.receive().get("id") != job:
        pass
    daemon.ok("stop", "a")
    daemon.exec("qemu-img", "check", daemon.images + "/a.qcow2")
    assert [row["snapshot"] for row in daemon.rows("snapshot", "list", "a")] == ["x"]


def test_f54_mass_shutdown(daemon):
    """F54: of 23 guests with 15 s, 20 obey and are down before the others, which are killed at the limit."""
    polite, deaf = ["p%d" % i for i in range(20)], ["d%d" % i for i in range(3)]
    for name in polite + deaf:
        daemon.micro(name, "polite" if name in polite else "deaf")
    daemon.ok("start", "*", timeout=60)
    consoles = [os.path.join(daemon.log, name, "console.log") for name in polite]
    daemon.eventually(lambda: [path for path in consoles if "up" not in vmk.read_text(path)], lambda left: not left, 30)
    result = daemon.vmkeep("--json", "shutdown-all", "--timeout", "15", timeout=60)
    assert result.code == 8, result
    rows = {row["name"]: row for row in json.loads(result.out)}
    assert {rows[name]["result"] for name in polite} == {"stopped"} and {rows[name]["result"] for name in deaf} == {"killed"}
    assert max(rows[name]["seconds"] for name in polite) < min(rows[name]["seconds"] for name in deaf), rows
    log = vmk.read_text(os.path.join(daemon.base, "daemon.log"))
    assert all("vm %s: killed at the host's shutdown" % name in log for name in deaf)
    assert not qemus(daemon)


@pytest.mark.parametrize("closed", ["0<&- >&- 2>&-", "</dev/null >/dev/null 2>&1", ">&-"])
def test_f56_environment_of_a_service(daemon, closed):
    """F56: without a terminal, input or output, commands have the same result, and wait for it."""
    for name in ("a", "b"):
        daemon.micro(name)
        daemon.up(name)
    line = "%s --run %s stop %%s %s" % (daemon.program("vmkeep"), daemon.run, closed)
    subprocess.run(daemon.inside(["env", "-i", "setsid", "sh", "-c", line % "a"]), check=True, timeout=20 * vmk.SLOW)
    assert daemon.info("a")["state"] == "stopped"
    line = "%s --run %s shutdown-all --timeout 10 %s" % (daemon.program("vmkeep"), daemon.run, closed)
    subprocess.run(daemon.inside(["env", "-i", "setsid", "sh", "-c", line]), check=True, timeout=20 * vmk.SLOW)
    assert daemon.info("b")["reason"] == "guest-shutdown"


# Resources.

def kvm_is_a(what):
    return {"nothing": {}, "null": {"kvm": (1, 3)}, "no driver": {"kvm": (60, 255)}}.get(what, {})  # 60: for experiments


@pytest.mark.parametrize("what", ["nothing", "null", "no driver", "file", "folder"])
def test_f95_no_kvm(world, what):
    """F95: whatever is at /dev/kvm, Accel=kvm fails with exit status 11 and the cause, and never falls back to TCG
    silently; auto reports its choice; check and host check report the same problem."""
    with world.devices(**kvm_is_a(what)):
        if what in ("file", "folder"):
            world.exec({"file": "touch", "folder": "mkdir"}[what], "/dev/kvm")
        world.start()
        world.micro("must", "deaf", vm="Accel=kvm\n")
        world.micro("may", "deaf", vm="Accel=auto\n")
        said = world.fails(11, "start", "must")
        assert "/dev/kvm" in said and "hint: " in said
        assert "/dev/kvm" in world.vmkeep("check", "must").out
        rows = {row["check"]: row for row in json.loads(world.vmkeep("--json", "host", "check").out)}
        assert rows["KVM"]["verdict"] == "FAIL" and "/dev/kvm" in rows["KVM"]["text"]
        row = next(row for row in json.loads(world.vmkeep("--json", "check", "must").out) if row["key"] == "Accel")
        assert row["reason"] == rows["KVM"]["text"] and row["hint"] == rows["KVM"]["cure"]
        assert row["reason"] in said and row["hint"] in said
        assert rows["/dev/kvm"]["text"] in said and rows["/dev/kvm"]["cure"] in said or what == "no driver"
        assert not any("\n" in str(cell) for row in rows.values() for cell in row.values())
        world.ok("start", "may")
        assert world.info("may")["accel"] == "tcg"
        assert "tcg" in next(row["accel"] for row in world.rows("list") if row["name"] == "may")
        world.ok("kill", "may")


def test_f98_two_hundred(world):
    """F98: 200 guests are listed and adopted; each takes few descriptors, although the limit is 1024."""
    signal.setitimer(signal.ITIMER_REAL, 300 * vmk.SLOW)  # instead of conftest's: each takes half a second on a busy machine
    names = ["v%03d" % i for i in range(200)]
    for name in names:
        world.micro(name, "deaf", banner="")
    world.daemon_argv = lambda: ["prlimit", "--nofile=1024:"] + vmk.World.daemon_argv(world)
    world.start()
    folder = "/proc/%d/fd" % world.daemon_pid()
    before = len(os.listdir(folder))
    for i in range(0, 200, 20):  # 200 QEMUs started at once on two CPUs exceed TimeoutStartSec=
        world.ok("start", *names[i:i + 20], timeout=40)
    assert set(world.states().values()) == {"running"} and len(qemus(world)) == 200
    # the catalogue says 6; there are also a display, a log and its directory, the state directory, and its mounts
    assert (len(os.listdir(folder)) - before) / 200 <= 10
    assert len(world.client().call("vm-list")["rows"]) == 200
    status = vmk.read_text("/proc/%d/status" % world.daemon_pid())
    assert int(status.split("VmRSS:")[1].split()[0]) < (20 << 10) * vmk.ROOMY
    world.kill_daemon()
    world.start()
    world.eventually(world.states, lambda states: set(states.values()) == {"running"})
    world.client().call("vm-pause", name=names[-1])
    assert len(qemus(world)) == 200
    world.ok("kill", "*", timeout=60)
