# SPDX-License-Identifier: MIT
"""What a daemon finds when it starts: after a power failure, a downgrade, with a foreign record, or after an
interruption. Running guests are adopted, and nothing has to be done by hand."""
import json
import os
import shutil

import vmk
from test_faults_daemon import qemus, record_of
from test_faults_process import inner_pid

LIFECYCLE = "[Lifecycle]\n%s\n"


def test_f15_power_loss(world):
    """F15: RUN is empty as after a boot, there are no processes, and the state is what reached the disk: all VMs are
    stopped, those with Enable=yes start, images are free, and nothing has to be done by hand."""
    world.micro("auto", "deaf", vm="Enable=yes\n", disk="qcow2")
    world.micro("manual", "deaf", disk="qcow2")
    world.start()
    world.wait_state("auto", "running")
    world.ok("start", "manual")
    uuids = {name: world.info(name)["uuid"] for name in ("auto", "manual")}
    kept = os.path.join(world.base, "kept")
    shutil.copytree(world.state + "/vms", kept)
    world.kill_daemon()
    for pid in qemus(world):
        world.kill(pid)
    world.eventually(lambda: qemus(world), lambda found: not found)
    for name in ("auto", "manual"):
        world.exec("umount", "--lazy", "%s/vms/%s/out" % (world.run, name))
    shutil.rmtree(world.run)
    shutil.rmtree(world.state + "/vms")
    os.mkdir(world.run)
    shutil.copytree(kept, world.state + "/vms")
    world.another_boot()
    world.start()
    world.wait_state("auto", "running")
    assert world.states() == {"auto": "running", "manual": "stopped"}
    assert world.info("manual")["reason"] == "host-down"
    world.ok("start", "manual")
    assert {name: world.info(name)["uuid"] for name in uuids} == uuids
    world.exec("umount", vmk.BOOT_ID)


def test_f16_downgrade(daemon):
    """F16: with the record of a newer vmkeep, its guest keeps running, no second one is started, and nothing of it is
    removed; the newer vmkeep adopts it again."""
    daemon.micro("a", "deaf", extra="[Lifecycle]\nRestart=no\n")
    daemon.micro("b", "deaf")
    daemon.up("a")
    daemon.ok("start", "b")
    pid = daemon.info("a")["pid"]
    path = record_of(daemon, "a")
    good = vmk.read_text(path)
    daemon.kill_daemon()
    newer = json.loads(good)
    newer["version"] = 99
    del newer["want_running"]
    with open(path, "w", encoding="utf-8") as f:
        json.dump(newer, f)
    daemon.start()
    info = daemon.info("a")
    assert (info["state"], info["pid"], info["health"]) == ("running", pid, "unresponsive")
    assert "newer vmkeep (version 99)" in info["unresponsive_reason"] and "kill" in info["unresponsive_reason"]
    assert info["memory"] is None
    assert daemon.states()["b"] == "running"
    assert "already running" in daemon.ok("start", "a")
    assert "vmkeep kill a" in daemon.fails(5, "stop", "a")
    daemon.vmkeep("reboot", "a")
    daemon.ok("reload")
    assert daemon.info("a")["pid"] == pid and pid in daemon.processes()
    assert json.loads(vmk.read_text(path)) == newer
    daemon.kill_daemon()
    with open(path, "w", encoding="utf-8") as f:
        f.write(good)
    daemon.start()
    assert (daemon.info("a")["state"], daemon.info("a")["pid"]) == ("running", pid)
    daemon.kill_daemon()
    with open(path, "w", encoding="utf-8") as f:
        json.dump(newer, f)
    daemon.start()
    daemon.ok("kill", "a")
    assert pid not in daemon.processes() and daemon.states()["a"] == "stopped"
    daemon.ok("start", "a")


def test_a_newer_record_of_a_process_that_is_not_its_own(daemon):
    """The record has the pid and start time of a process that is not a guest: nothing is done to it."""
    daemon.micro("a", "deaf", extra="[Lifecycle]\nRestart=no\n")
    daemon.up("a")
    path = record_of(daemon, "a")
    record = json.loads(vmk.read_text(path))
    daemon.kill_daemon()
    daemon.kill(record["pid"])
    other = daemon.stream_of("sleep", "1000")
    daemon.others = 1
    pid, = daemon.eventually(lambda: [pid for pid, line in daemon.processes().items() if line == "sleep 1000"], bool)
    stat = vmk.read_text(daemon.inner("/proc/%d/stat" % pid))
    record.update(version=99, pid=pid, starttime=int(stat.rsplit(")", 1)[1].split()[19]))
    with open(path, "w", encoding="utf-8") as f:
        json.dump(record, f)
    daemon.start()
    assert "version 99" in daemon.fails(3, "start", "a")
    for verb in ("kill", "stop"):
        assert "version 99" in daemon.fails(3, verb, "a")
    assert pid in daemon.processes() and str(pid) in daemon.info("a")["reason"]
    other.end()
    daemon.others = 0
    daemon.ok("start", "a")


def test_record_that_was_forged(daemon):
    """The recorded pid now belongs to another process, with a different start time, which is not touched."""
    daemon.micro("a", "deaf", extra="[Lifecycle]\nRestart=no\n")
    daemon.up("a")
    pid = daemon.info("a")["pid"]
    daemon.kill_daemon()
    daemon.kill(pid)
    other = daemon.stream_of("sleep", "1000")
    daemon.others = 1
    inner = daemon.eventually(lambda: [p for p, line in daemon.processes().items() if line == "sleep 1000"], bool)[0]
    path = record_of(daemon, "a")
    record = json.loads(vmk.read_text(path))
    record["pid"] = inner
    with open(path, "w", encoding="utf-8") as f:
        json.dump(record, f)
    daemon.start()
    assert daemon.info("a")["state"] == "stopped"
    daemon.ok("kill", "a")
    daemon.ok("start", "a")
    daemon.ok("kill", "a")
    assert inner in daemon.processes()
    other.end()
    daemon.others = 0


def test_ended_in_one_instant_with_the_daemon(daemon):
    """Two guests and their daemon die at the same time: the next daemon detects both, and starts each once."""
    for name in "ab":
        daemon.micro(name, "deaf", extra=LIFECYCLE % "RestartSec=0")
    daemon.ok("start", "a", "b")
    pids = [daemon.info(name)["pid"] for name in "ab"]
    daemon.exec("kill", "-KILL", inner_pid(daemon), *pids)
    daemon.daemon.wait()
    daemon.start()
    for name in "ab":
        daemon.wait_state(name, "running")
    assert len(qemus(daemon)) == 2 and not set(pids) & set(qemus(daemon))


def test_sigterm_during_a_start(daemon):
    """The daemon is stopped while guests start: afterwards each is running or was not started, and none is started
    twice."""
    names = ["a", "b", "c"]
    for name in names:
        daemon.micro(name, "deaf")
    daemon.ok("start", "a")  # QEMU has been probed now
    daemon.ok("kill", "a")
    for _ in range(4):
        daemon.ok("start", "--no-wait", *names)
        daemon.stop_daemon()
        daemon.start()
    daemon.eventually(daemon.states, lambda states: set(states.values()) <= {"running", "stopped"})
    assert len(qemus(daemon)) == list(daemon.states().values()).count("running")
    daemon.ok("start", *names)
    assert len(qemus(daemon)) == 3


def test_history_of_100_megabytes(daemon):
    """Another program or a bug wrote it: it is not read in full, and does no harm."""
    daemon.micro("a", "deaf")
    daemon.ok("start", "a")
    path = os.path.join(daemon.state, "vms", "a", "history")
    with open(path, "ab") as f:
        f.write(b"x" * (100 << 20))
    daemon.vmkeep("history", "a")
    client = daemon.client()
    client.call("vm-list")
    daemon.ok("pause", "a")
    status = vmk.read_text("/proc/%d/status" % daemon.daemon_pid())
    assert int(status.split("VmHWM:")[1].split()[0]) < 32 << 10
    daemon.ok("kill", "a")
