# SPDX-License-Identifier: MIT
"""Faults of the daemon: killed in the middle of something, out of descriptors, with files and sockets that change
under it. Guests keep running, and the reported state is the actual one."""
import json
import os
import select
import shutil
import socket
import time

import pytest

import vmk
from test_faults_process import Gate, inner_pid
from walk import walk

NO_RESTART = "[Lifecycle]\nRestart=no\n"


def qemus(world):
    return {pid: line for pid, line in world.processes().items() if "qemu-system" in line}


def record_of(world, name):
    return world.inner(os.path.join(world.run, "vms", name, "record.json"))


@walk("first_ms, second_ms, third_ms", (0, 5, 30), (3, 20, 90), (10, 60, 150), some=3)
def test_killed_while_several_start(daemon, first_ms, second_ms, third_ms):
    """F02: repeatedly, with networks: never two QEMUs for a VM, and no extra tap."""
    names = ["a", "b", "c"]
    for name in names:
        daemon.image(name + ".raw", "deaf")
        daemon.write(name + ".vm", "[VM]\nMemory=16M\n[Disk root]\nPath=%s.raw\n" % name)
    for delay in (first_ms, second_ms, third_ms):
        daemon.ok("start", "--no-wait", *names)
        time.sleep(delay / 1000)  # the moment is the fault
        daemon.kill_daemon()
        daemon.start()

    def settled():
        states = daemon.states()
        return (set(states.values()) <= {"running", "stopped"} and
                len(qemus(daemon)) == list(states.values()).count("running"))

    daemon.eventually(settled, bool, timeout=15)
    daemon.ok("start", *names)
    assert len(qemus(daemon)) == 3
    taps = [nic["interface"] for name in names for nic in daemon.info(name)["nics"]]
    assert len(set(taps)) == 3 and set(taps) <= daemon.links()
    assert len(daemon.links() - set(taps)) <= 3, "lo, the bridge and nothing else"


def test_killed_while_the_jail_works(world):
    """F02: a jail without its daemon does not become QEMU; the next daemon repeats the start."""
    gate = Gate(world)
    world.start()
    world.micro("a", "echo")
    world.ok("start", "a", "--no-wait")
    gate.reached()
    pid = world.info("a")["pid"]
    world.kill_daemon()
    world.start()
    info = world.info("a")
    assert (info["state"], info["pid"]) == ("starting", pid)
    gate.open()
    world.eventually(lambda: world.info("a")["pid"], lambda now: now not in (None, pid))
    gate.reached()
    gate.open()
    world.wait_state("a", "running")
    assert list(qemus(world)) == [world.info("a")["pid"]]


def test_identity_is_kept_before_the_guest_runs(world):
    """The jail saves the identity before it becomes QEMU; if the jail or the daemon dies before that, nothing is half
    done."""
    gate = Gate(world)
    world.start()
    world.micro("a", "echo")
    path = os.path.join(world.state, "vms", "a", "identity.json")
    world.ok("start", "a", "--no-wait")
    gate.reached()
    assert not os.path.exists(path)
    uuid, pid = world.info("a")["uuid"], world.info("a")["pid"]
    world.kill(pid)  # the jail: the daemon still holds what was not saved
    gate.shut()
    world.wait_state("a", "stopped", "failed", "backoff")
    world.ok("kill", "a")
    world.ok("start", "a", "--no-wait")
    gate.reached()
    assert not os.path.exists(path)
    gate.open()
    world.wait_state("a", "running")
    kept = json.loads(vmk.read_text(path))
    assert (kept["uuid"], kept.get("draft")) == (uuid, None)
    world.ok("kill", "a")
    world.write("a.vm", vmk.read_text(os.path.join(world.config, "a.vm")) + "[Serial more]\n")
    world.ok("start", "a", "--no-wait")
    gate.reached()
    pid = world.info("a")["pid"]
    world.kill_daemon()  # with an unsaved change
    assert json.loads(vmk.read_text(path)) == kept
    world.start()
    gate.open()
    world.eventually(lambda: world.info("a")["pid"], lambda now: now not in (None, pid))
    gate.reached()
    gate.open()
    world.wait_state("a", "running")
    assert json.loads(vmk.read_text(path))["uuid"] == world.info("a")["uuid"] == uuid


def test_killed_before_it_had_swept(world):
    """The next daemon removes what is left of an ended guest, mounted or not."""
    left = os.path.join(world.run, "gone", "a.0")
    world.exec("sh", "-c", "mkdir -p %s/out && mount -t tmpfs -o size=4m tmpfs %s/out && "
               "echo words >%s/out/qemu.err && echo {} >%s/record.json" % ((left,) * 4))
    world.start()
    world.eventually(lambda: os.listdir(os.path.dirname(left)), lambda names: not names)
    assert world.mount_points() == world.mounts


def test_killed_before_the_jail_got_its_plan(world):
    """An interrupted start is repeated: the record says spawning, and there is no such process."""
    world.start()
    world.micro("a", "deaf", extra=NO_RESTART)
    world.up("a")
    folder = os.path.dirname(record_of(world, "a"))
    shutil.copy(os.path.join(folder, "effective.vm"), world.base)
    record = json.loads(vmk.read_text(record_of(world, "a")))
    record.update(state="spawning", pid=0, starttime=0)
    world.ok("kill", "a")
    world.kill_daemon()
    os.makedirs(folder)
    shutil.copy(os.path.join(world.base, "effective.vm"), folder)
    with open(record_of(world, "a"), "w", encoding="utf-8") as f:
        json.dump(record, f)
    os.makedirs(os.path.join(os.path.dirname(folder), "b"))  # created, but still empty
    world.start()
    world.wait_state("a", "running")
    assert world.states() == {"a": "running"}
    assert len(qemus(world)) == 1
    assert not os.path.exists(os.path.join(os.path.dirname(folder), "b"))


def test_killed_while_a_guest_quits(daemon):
    daemon.micro("a", "deaf")
    daemon.up("a")
    pid = daemon.info("a")["pid"]
    daemon.kill(pid, "STOP")
    daemon.ok("kill", "a", "--no-wait")
    daemon.kill_daemon()
    daemon.start()
    assert daemon.info("a")["state"] == "stopping"
    daemon.kill(pid, "CONT")
    assert daemon.wait_state("a", "stopped")["want"] == "stopped"


def test_power_cut(daemon):
    """After a reboot, the processes in the record are gone, which does not count as a crash."""
    daemon.micro("a", "deaf")
    daemon.up("a")
    pid = daemon.info("a")["pid"]
    daemon.kill_daemon()
    path = record_of(daemon, "a")
    record = json.loads(vmk.read_text(path))
    record["boot_id"] = "00000000-0000-0000-0000-000000000000"
    with open(path, "w", encoding="utf-8") as f:
        json.dump(record, f)
    daemon.kill(pid)
    daemon.start()
    info = daemon.info("a")
    assert info["state"] == "stopped" and "crashed" not in info["reason"]
    daemon.ok("start", "a")


@pytest.mark.parametrize("text", [b"nonsense\n", b"[VM]\nMemmory=1\n", b"[VM]\nMemory=" + b"9" * (1 << 20),
                                  b"[VM]\nMemory=16M\0\n", b""],
                         ids=["nonsense", "key", "line", "nul", "empty"])
def test_file_broken_while_it_runs(daemon, text):
    """F09: neither the guest nor the next daemon is affected; the error is reported."""
    daemon.micro("a", "deaf")
    daemon.micro("b", "deaf")
    daemon.up("a")
    path = os.path.join(daemon.config, "a.vm")
    good = vmk.read_text(path)
    pid = daemon.info("a")["pid"]
    daemon.write("a.vm", text)
    if text:
        assert "a.vm" in daemon.vmkeep("reload").out
        result = daemon.vmkeep("check", "a")
        assert result.code == 2 and "a.vm" in result.out, result
    for _ in range(2):
        info = daemon.info("a")
        assert (info["state"], info["pid"]) == ("running", pid)
        assert not info.get("orphan")
        daemon.ok("reset", "a")
        daemon.stop_daemon()
        daemon.start()
    daemon.write("a.vm", good)
    assert daemon.info("a")["changes"] == 0
    assert daemon.states() == {"a": "running", "b": "stopped"}


def test_file_removed_and_back_again(daemon):
    """F10: an orphan is not restarted; once its file is back, the VM is like any other."""
    daemon.micro("a", "deaf", extra="[Lifecycle]\nRestartSec=0\n")
    daemon.micro("b", "deaf", extra="[Lifecycle]\nRestartSec=0\n")
    daemon.ok("start", "a", "b")
    texts = {name: vmk.read_text(os.path.join(daemon.config, name + ".vm")) for name in "ab"}
    for name in "ab":
        os.unlink(os.path.join(daemon.config, name + ".vm"))
    assert [daemon.info(name).get("orphan") for name in "ab"] == [True, True]
    daemon.write("b.vm", texts["b"])
    pids = {name: daemon.info(name)["pid"] for name in "ab"}
    assert not daemon.info("b").get("orphan")
    client = daemon.client()
    client.call("subscribe")
    for name in "ab":
        daemon.kill(pids[name])
    client.event("VM_STATE", lambda data: data["name"] == "b" and data["state"] == "running")
    assert daemon.states() == {"b": "running"}
    daemon.fails(4, "start", "a")


def test_stop_of_an_orphan_is_answered(daemon):
    """A client that waits for the stop gets its answer, even if a list was requested in between."""
    daemon.micro("a")
    daemon.up("a")
    os.unlink(os.path.join(daemon.config, "a.vm"))
    stop = daemon.stream("stop", "a")
    daemon.eventually(daemon.states, lambda states: not states)
    assert stop.wait() == 0, stop.stderr()
    assert not os.path.exists(os.path.dirname(record_of(daemon, "a")))


def test_uid_is_not_given_twice(daemon):
    """A VM's file was away while another VM was created."""
    daemon.micro("a", "deaf")
    text = vmk.read_text(os.path.join(daemon.config, "a.vm"))
    daemon.up("a")
    daemon.ok("kill", "a")
    os.unlink(os.path.join(daemon.config, "a.vm"))
    daemon.eventually(daemon.states, lambda states: not states)
    daemon.stop_daemon()
    daemon.start()
    daemon.micro("b", "deaf")
    daemon.ok("start", "b")
    daemon.write("a.vm", text)
    daemon.ok("start", "a")
    assert daemon.info("a")["uid"] != daemon.info("b")["uid"]


def test_defaults_count_at_once(daemon):
    """Changes of vmkeep.conf take effect too; running guests are not affected."""
    daemon.micro("a", "deaf")
    daemon.up("a")
    pid = daemon.info("a")["pid"]
    daemon.write("vmkeep.conf", vmk.DEFAULTS + "VM.CPUs=2\n")
    info = daemon.info("a")
    assert (info["pid"], info["cpus"]) == (pid, 1)
    assert info["changes"] == 1
    daemon.ok("kill", "a")
    daemon.ok("start", "a")
    assert daemon.info("a")["cpus"] == 2
    daemon.write("vmkeep.conf", "[Defaults]\nVM.CPUs=many\n")
    assert daemon.info("a")["changes"] == 0, "the old one stays in force"
    daemon.write("vmkeep.conf", vmk.DEFAULTS)


def test_out_of_descriptors(daemon):
    """F11: new clients wait or are refused; the daemon does not spin, and recovers when there are descriptors again."""
    daemon.micro("a", "deaf")
    daemon.up("a")
    old = daemon.client()
    old.call("query-version")
    daemon.exec("prlimit", "--nofile=64:", "--pid", str(inner_pid(daemon)))
    clients = []
    for _ in range(80):
        s = socket.socket(socket.AF_UNIX)
        s.setblocking(False)
        s.connect_ex(daemon.socket)
        clients.append(s)

    def cpu():
        fields = vmk.read_text("/proc/%d/stat" % daemon.daemon_pid()).rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    assert old.call("vm-info", name="a")["state"] == "running"
    begin = cpu()
    assert not select.select([old.socket], [], [], 1)[0]  # for one second
    assert cpu() - begin < 0.1
    old.call("vm-pause", name="a")
    for s in clients:
        s.close()
    daemon.exec("prlimit", "--nofile=1024:", "--pid", str(inner_pid(daemon)))
    old.close()
    daemon.eventually(lambda: daemon.vmkeep("list").code, lambda code: code == 0)
    daemon.ok("resume", "a")


def test_somebody_else_has_the_monitor(daemon):
    """F40: QEMU serves one monitor client. Another one connected while the daemon was down: the guest is listed as
    running, and is controllable once that client has gone."""
    daemon.micro("a", "deaf")
    daemon.micro("b", "deaf")
    daemon.ok("start", "a", "b")
    with socket.socket(socket.AF_UNIX) as other:
        other.settimeout(10)
        other.connect(daemon.inner(os.path.join(daemon.run, "vms", "a", "qmp.sock")))
        daemon.ok("pause", "a")
        daemon.ok("resume", "a")
        daemon.kill_daemon()
        assert b"QMP" in other.recv(4096)
        daemon.start()
        assert daemon.states() == {"a": "running", "b": "running"}
        daemon.ok("pause", "b")  # while the other is still connected
    daemon.ok("pause", "a")
    assert daemon.info("a")["health"] == "ok"


def test_monitor_of_another_guest(daemon):
    """F41: its socket leads to another guest: the daemon reports it, does nothing to either guest, and recovers."""
    daemon.micro("a", "deaf")
    daemon.micro("b", "deaf")
    daemon.ok("start", "a", "b")
    daemon.kill_daemon()
    folder = daemon.inner(os.path.join(daemon.run, "vms"))
    mine, others = (os.path.join(folder, name, "qmp.sock") for name in "ab")
    os.rename(mine, mine + ".kept")
    os.link(others, mine)
    daemon.start()
    daemon.eventually(lambda: daemon.info("a")["health"], lambda health: health == "unresponsive", timeout=15)
    daemon.fails(6, "pause", "a")
    os.rename(mine + ".kept", mine)
    daemon.eventually(lambda: daemon.info("a")["health"], lambda health: health == "ok", timeout=15)
    assert daemon.states() == {"a": "running", "b": "running"}
    daemon.ok("pause", "a")
    daemon.eventually(daemon.states, lambda states: states == {"a": "paused", "b": "running"})


def test_output_while_the_daemon_is_down(daemon):
    """All output reaches the log, however much there is, and even if the guest then writes nothing more."""
    daemon.micro("a", "deaf", extra="[Serial console]\nLogSize=8M\n")
    daemon.up("a")
    daemon.kill_daemon()
    lines = b"".join(b"line %07d\n" % i for i in range(100000))
    with open(daemon.inner(os.path.join(daemon.run, "vms", "a", "out", "serial-console")), "ab") as f:
        f.write(lines)
    daemon.start()
    path = os.path.join(daemon.log, "a", "console.log")
    daemon.eventually(lambda: os.path.getsize(path), lambda size: size >= len(lines))
    with open(path, "rb") as f:
        assert f.read().endswith(lines)
