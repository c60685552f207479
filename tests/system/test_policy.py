# SPDX-License-Identifier: MIT
"""What the daemon knows, remembers and does by itself: history, failures, hooks, full disks, silent QEMUs."""
import json
import os
import socket
import time

import pytest

import test_adopt
import vmk
from smallfs import grow_line, mount_line

LIFECYCLE = "[Lifecycle]\n%s\n"


def outside(daemon, pid):
    """The pid, as this process sees it, of a process inside."""
    for found in os.listdir("/proc"):
        if not found.isdigit():
            continue
        try:
            line = next(l for l in vmk.read_text("/proc/%s/status" % found).splitlines() if l.startswith("NSpid"))
            if line.split()[1:][-1] == str(pid) and len(line.split()) > 2 and \
                    os.readlink("/proc/%s/ns/pid" % found) == os.readlink("/proc/%d/ns/pid" % daemon.init):
                return int(found)
        except (FileNotFoundError, ProcessLookupError):
            pass
    raise AssertionError("no process %d" % pid)


def events(daemon, name):
    return [row["event"] for row in daemon.rows("history", name)]


def fail(daemon, name="a"):
    """Uses up a limit of one failure."""
    daemon.micro(name, "deaf", extra=LIFECYCLE % "RestartSec=0\nStartLimitBurst=1")
    daemon.ok("start", name)
    daemon.kill(daemon.info(name)["pid"])
    return daemon.wait_state(name, "failed")


# History.

def test_history(daemon):
    """Who requested what, and why it happened, across restarts of the daemon."""
    daemon.micro("a", "deaf", extra=LIFECYCLE % "RestartSec=1")
    assert daemon.rows("history", "a") == []
    begin = time.time()
    daemon.ok("start", "a")
    daemon.ok("pause", "a")
    daemon.ok("resume", "a")
    daemon.ok("reset", "a")
    daemon.kill(daemon.info("a")["pid"])
    daemon.wait_state("a", "backoff")
    daemon.wait_state("a", "running")
    daemon.kill_daemon()
    daemon.start()
    daemon.wait_state("a", "running")
    daemon.ok("kill", "a")
    rows = daemon.rows("history", "a")
    assert [row["event"] for row in rows] == [
        "start", "running", "paused", "resumed", "reset", "crashed", "start", "running", "adopted", "kill",
        "stopped"]
    who = [row["who"] for row in rows]
    assert all(who[i] == "root" for i in (0, 2, 3, 4, 9)), who
    assert who[5] == who[6] == "policy", who
    assert "signal 9" in rows[5]["reason"] and "restarting in 1 s" in rows[5]["reason"]
    times = [row["time"] for row in rows]
    assert times == sorted(times) and begin - 1 <= times[0] and times[-1] <= time.time() + 1
    assert [row["event"] for row in daemon.rows("history", "a", "-n", "2")] == ["kill", "stopped"]
    assert "signal 9" in daemon.ok("history", "a")
    assert os.stat(os.path.join(daemon.state, "vms", "a", "history")).st_mode & 0o777 == 0o600


def test_history_roles(daemon):
    daemon.micro("a")
    daemon.ok("history", "a", user="alice", groups=["vmkeep-view"])
    daemon.fails(9, "history", "a", user="bob")
    daemon.fails(4, "history", "nobody")


# Failures.

def test_failed_survives_the_daemon(daemon):
    info = fail(daemon)
    assert "StartLimitBurst" in info["reason"] and "signal 9" in info["reason"]
    for end in (daemon.kill_daemon, daemon.stop_daemon):
        end()
        daemon.start()
        again = daemon.info("a")
        assert (again["state"], again["reason"], again["since"]) == ("failed", info["reason"], info["since"])
    assert "effective" not in vmk.read_text(os.path.join(daemon.base, "daemon.log")), "there is none any more"
    out = daemon.ok("reset-failed", "a")
    assert "stopped" in out
    assert daemon.info("a")["reason"] == ""
    assert daemon.ok("reset-failed", "a") == "a: stopped, no failures to reset\n"
    assert daemon.one("reset-failed", "a")["changed"] is False
    daemon.kill_daemon()
    daemon.start()
    assert daemon.info("a")["state"] == "stopped"


def test_failed_is_forgotten_with_its_file(daemon):
    fail(daemon)
    daemon.stop_daemon()
    os.unlink(os.path.join(daemon.config, "a.vm"))
    daemon.start()
    daemon.ok("reload")
    assert daemon.states() == {}


def test_reset_failed_gives_the_budget_back(daemon):
    daemon.micro("a", "deaf", extra=LIFECYCLE % "RestartSec=0\nStartLimitBurst=2")
    daemon.ok("start", "a")
    for _ in range(2):
        pid = daemon.info("a")["pid"]
        daemon.kill(pid)
        daemon.eventually(lambda: daemon.info("a"), lambda i: i["state"] == "running" and i["pid"] != pid)
        daemon.ok("reset-failed", "a")
    daemon.fails(9, "reset-failed", "a", user="alice", groups=["vmkeep-view"])


def test_backoff_survives_the_daemon(daemon):
    """The desired state, the due time and the count of failures are restored."""
    daemon.micro("a", "deaf", extra=LIFECYCLE % "RestartSec=3\nStartLimitBurst=2")
    daemon.ok("start", "a")
    daemon.kill(daemon.info("a")["pid"])
    info = daemon.wait_state("a", "backoff")
    daemon.kill_daemon()
    daemon.start()
    again = daemon.info("a")
    assert (again["state"], again["want"], again["since"]) == ("backoff", "running", info["since"])
    info = daemon.wait_state("a", "running")
    assert time.time() - again["since"] >= 2.9
    daemon.kill_daemon()
    daemon.start()
    daemon.kill(info["pid"])
    assert daemon.wait_state("a", "failed", "backoff")["state"] == "failed", "the first crash still counts"


def test_stop_during_backoff_is_remembered(daemon):
    """F28: stop wins over the pending start, also with the next daemon."""
    daemon.micro("a", "deaf", extra=LIFECYCLE % "RestartSec=60")
    daemon.ok("start", "a")
    daemon.kill(daemon.info("a")["pid"])
    daemon.wait_state("a", "backoff")
    daemon.ok("stop", "a")
    daemon.kill_daemon()
    daemon.start()
    assert daemon.info("a")["state"] == "stopped"


# Hooks.

def hook(daemon, path, body, mode=0o755):
    os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
    with open(path, "w", encoding="utf-8") as f:
        f.write("#!/bin/sh\n" + body)
    os.chmod(path, mode)
    return path


def test_hooks_tell_somebody(daemon):
    """Both kinds are run, with arguments and JSON; a hook may use vmkeep; files that others may write are not run."""
    told = os.path.join(daemon.base, "told")
    folder = os.path.join(daemon.config, "hooks.d")
    body = "echo \"$@\" >>%s.args; cat >>%s.json; echo >>%s.json\n" % (told, told, told)
    hook(daemon, os.path.join(folder, "10-all"), body)
    hook(daemon, os.path.join(folder, "20-asks"), "%s info $1 >%s.info\n" % (daemon.program("vmkeep"), told))
    for name, mode in (("30-open", 0o777), ("40-plain", 0o644), (".hidden", 0o755), ("50-old~", 0o755)):
        hook(daemon, os.path.join(folder, name), "touch %s.bad\n" % told, mode)
    own = hook(daemon, os.path.join(daemon.base, "own"), "echo own $2 >>%s.own; printf '\\033[31m'; exit 3\n" % told)
    daemon.micro("a", "deaf", extra=LIFECYCLE % "RestartSec=0\nStartLimitBurst=2" + "[Hooks]\nFailed=%s\n" % own)
    begin = time.time()
    daemon.ok("start", "a")
    pid = daemon.info("a")["pid"]
    daemon.kill(pid)
    info = daemon.eventually(lambda: daemon.info("a"), lambda i: i["state"] == "running" and i["pid"] != pid)
    daemon.kill(info["pid"])
    reason = daemon.wait_state("a", "failed")["reason"]
    daemon.eventually(lambda: os.path.exists(told + ".own") and vmk.read_text(told + ".own").split(),
                      lambda words: words == ["own", "crash-restart", "own", "failed"])
    args = daemon.eventually(lambda: vmk.read_text(told + ".args").splitlines(), lambda lines: len(lines) == 2)
    assert args[0].startswith("a crash-restart crashed: signal 9") and args[1] == "a failed " + reason
    lines = daemon.eventually(lambda: vmk.read_text(told + ".json").splitlines(),
                              lambda lines: len(lines) == 2 and lines[1].endswith("}"))
    first, second = (json.loads(line) for line in lines)
    assert (first["name"], first["event"], first["state"], first["pid"]) == ("a", "crash-restart", "backoff", None)
    assert (second["state"], second["reason"]) == ("failed", reason) and begin - 1 <= second["time"] <= time.time() + 1
    daemon.eventually(lambda: os.path.exists(told + ".info") and vmk.read_text(told + ".info"),
                      lambda text: "failed" in str(text))
    assert not os.path.exists(told + ".bad")
    log = os.path.join(daemon.base, "daemon.log")
    text = daemon.eventually(lambda: vmk.read_text(log), lambda text: text.count("failed with status 3") == 2)
    assert "\\x1b[31m" in text and "\x1b" not in text
    assert "30-open' is writable by users other than root" in text and "40-plain' is not executable" in text


def test_hook_that_is_missing_or_hangs(daemon):
    """It delays nothing."""
    pids = os.path.join(daemon.base, "pids")
    os.mkdir(os.path.join(daemon.config, "hooks.d"))
    for i in range(6):
        hook(daemon, os.path.join(daemon.config, "hooks.d", str(i)), "echo $$ >>%s; exec sleep 1000\n" % pids)
    daemon.micro("a", "deaf", extra=LIFECYCLE % "Restart=no" + "[Hooks]\nFailed=/nowhere/hook\n")
    daemon.ok("start", "a")
    daemon.kill(daemon.info("a")["pid"])
    daemon.wait_state("a", "stopped")
    running = daemon.eventually(lambda: os.path.exists(pids) and vmk.read_text(pids).split(), lambda p: p and len(p) >= 4)
    daemon.eventually(lambda: vmk.read_text(os.path.join(daemon.base, "daemon.log")),
                      lambda text: "/nowhere/hook" in text and "failed with status 127" in text)
    daemon.ok("list")
    assert len(vmk.read_text(pids).split()) == 4, "so many at once"
    for pid in running:
        daemon.kill(pid)
    rest = daemon.eventually(lambda: vmk.read_text(pids).split(), lambda p: len(p) == 6)[4:]
    for pid in rest:
        daemon.kill(pid)


def test_hooks_are_roots_business(daemon):
    said = daemon.vmkeep("check", daemon.write("x.vm", "[VM]\nMemory=16M\n[Hooks]\nFailed=relative\n"))
    assert said.code == 2 and "absolute path" in str(said)
    os.unlink(os.path.join(daemon.config, "x.vm"))


# A full disk.

def small_disk(daemon, extra="", name="a"):
    small = os.path.join(daemon.images, "small")
    os.mkdir(small)
    daemon.exec("sh", "-c", mount_line(small, "3m"))
    raw = daemon.image("boot.raw", "writer", size=64 << 20)
    daemon.exec("qemu-img", "convert", "-f", "raw", "-O", "qcow2", raw, "%s/%s.qcow2" % (small, name))
    daemon.write(name + ".vm", "[VM]\nMemory=16M\nNetworks=none\n[Disk root]\nPath=small/%s.qcow2\n%s" % (name, extra))
    return small


def test_full_disk_goes_on_by_itself(daemon):
    """F62: paused with its reason, resume reports the actual result, and the guest runs again once there is space."""
    told = os.path.join(daemon.base, "told")
    own = hook(daemon, told + ".hook", "echo \"$@\" >>%s\n" % told)
    small = small_disk(daemon, "[Hooks]\nFailed=%s\n" % own)
    daemon.ok("start", "a")
    info = daemon.wait_state("a", "paused")
    assert info["reason"] == "io-error: nospace on root"
    assert "stopped again: io-error: nospace on root" in daemon.fails(1, "resume", "a")
    daemon.kill_daemon()
    daemon.start()
    info = daemon.info("a")
    assert (info["state"], info["reason"]) == ("paused", "io-error: nospace on root")
    before = len(events(daemon, "a"))
    daemon.exec("sh", "-c", grow_line(small, "80m"))
    daemon.wait_state("a", "running", timeout=30)
    row = daemon.eventually(lambda: daemon.rows("history", "a")[-1], lambda r: r["event"] == "resumed")
    assert row["who"] == "policy"
    assert len(events(daemon, "a")) == before + 1
    assert vmk.read_text(told).splitlines()[0] == "a io-error io-error: nospace on root"
    daemon.ok("kill", "a")
    daemon.exec("qemu-img", "check", small + "/a.qcow2")
    daemon.exec("umount", small)


def test_full_disk_resumed_by_hand(daemon):
    small = small_disk(daemon)
    daemon.ok("start", "a")
    daemon.wait_state("a", "paused")
    daemon.exec("sh", "-c", grow_line(small, "80m"))
    begin = time.monotonic()
    daemon.ok("resume", "a")
    assert time.monotonic() - begin >= 1, "it looks whether the guest stops again"
    assert daemon.info("a")["state"] == "running"
    daemon.ok("kill", "a")
    daemon.exec("umount", small)


def qmp(daemon, name, execute, **arguments):
    return daemon.qmp(name, execute, **arguments)


def test_full_disk_while_nobody_looked(daemon):
    """The block devices still report the reason."""
    small = small_disk(daemon)
    daemon.ok("start", "a", "--paused")
    daemon.kill_daemon()
    test_adopt.monitor(daemon, "a", "cont")
    path = daemon.inner(os.path.join(daemon.run, "vms", "a", "qmp.sock"))
    with socket.socket(socket.AF_UNIX) as s, s.makefile("r") as lines:
        s.settimeout(10 * vmk.SLOW)
        s.connect(path)
        s.sendall(b'{"execute": "qmp_capabilities"}')
        while json.loads(lines.readline()).get("event") != "STOP":
            pass
    daemon.start()
    daemon.eventually(lambda: daemon.info("a")["reason"], lambda reason: reason == "io-error: nospace on root")
    assert daemon.info("a")["state"] == "paused"
    assert daemon.rows("history", "a")[-1]["reason"] == "io-error: nospace on root"
    daemon.ok("kill", "a")
    daemon.exec("umount", small)


def test_broken_disk_is_never_tried_again(daemon):
    """F63: EIO names the disk; the guest is not resumed automatically, unlike one that only lacked space."""
    daemon.image("a.raw", "writer", size=64 << 20)
    daemon.write("a.vm", "[VM]\nMemory=16M\nNetworks=none\n[Disk root]\nPath=a.raw\nOnError=stop\n")
    daemon.ok("start", "a", "--paused")
    # the failing layer is inserted by hand: no configuration can request it
    qmp(daemon, "a", "blockdev-add", **{"driver": "blkdebug", "node-name": "bad", "image": "f-root",
        "inject-error": [{"event": "none", "iotype": "write", "errno": 5, "once": False}]})
    qmp(daemon, "a", "blockdev-reopen", options=[{
        "driver": "raw", "node-name": "d-root", "discard": "unmap",
        "cache": {"direct": True, "no-flush": False}, "file": "bad"}])
    daemon.vmkeep("resume", "a")
    assert daemon.wait_state("a", "paused")["reason"] == "io-error: disk on root"
    small = small_disk(daemon, name="full")
    daemon.ok("start", "full")
    daemon.wait_state("full", "paused")
    before = events(daemon, "a")
    daemon.exec("sh", "-c", grow_line(small, "80m"))
    daemon.wait_state("full", "running", timeout=30)
    assert daemon.info("a")["state"] == "paused" and events(daemon, "a") == before
    daemon.ok("kill", "*")
    daemon.exec("umount", small)


# Reasons.

def test_out_of_memory_is_told(daemon):
    """F27: the kernel kills it at its cgroup's memory limit."""
    base = "/sys/fs/cgroup/memory"
    if not os.path.exists(base + "/memory.oom_control"):
        pytest.skip("no cgroup v1 memory controller here")
    mine = next(line.split(":", 2)[2] for line in vmk.read_text("/proc/self/cgroup").splitlines()
                if ":memory:" in line)
    group = base + mine.rstrip("/") + "/vmkeep-test-%d" % os.getpid()
    try:
        os.mkdir(group)
    except OSError as e:
        pytest.skip("no cgroup of one's own here: %s" % e)
    try:
        daemon.exec("mount", "-t", "tmpfs", "tmpfs", "/sys/fs/cgroup")
        os.mkdir(daemon.inner("/sys/fs/cgroup/memory"))
        daemon.exec("mount", "-t", "cgroup", "-o", "memory", "cgroup", "/sys/fs/cgroup/memory")
        daemon.micro("a", "deaf", extra=LIFECYCLE % "RestartSec=60")
        with open(group + "/cgroup.procs", "w", encoding="utf-8") as f:
            f.write(str(daemon.daemon_pid()))
        daemon.ok("start", "a")
        pid = outside(daemon, daemon.info("a")["pid"])
        assert group.split("memory", 1)[1] in vmk.read_text("/proc/%d/cgroup" % pid)
        with open(base + mine.rstrip("/") + "/cgroup.procs", "w", encoding="utf-8") as f:
            f.write(str(daemon.daemon_pid()))
        used = int(vmk.read_text(group + "/memory.usage_in_bytes"))
        with open(group + "/memory.limit_in_bytes", "w", encoding="utf-8") as f:
            f.write(str(used + (4 << 20)))
        daemon.vmkeep("qmp", "a", json.dumps({"execute": "object-add", "arguments": {
            "qom-type": "memory-backend-ram", "id": "hog", "size": 64 << 20, "prealloc": True}}))
        info = daemon.wait_state("a", "backoff", timeout=20)
        assert info["reason"] == "killed: out of memory"
    finally:
        daemon.ok("kill", "a")
        daemon.exec("umount", "/sys/fs/cgroup/memory", "/sys/fs/cgroup")
        daemon.eventually(lambda: vmk.read_text(group + "/cgroup.procs"), lambda pids: not pids)
        os.rmdir(group)


# Silence.

def test_silent_qemu(daemon):
    """The first verb that needs it reports it; nothing else waits; it is healthy again as soon as it answers."""
    daemon.micro("a", "deaf")
    daemon.micro("b", "deaf")
    daemon.ok("start", "a", "b")
    pid = daemon.info("a")["pid"]
    daemon.kill(pid, "STOP")
    client = daemon.client(timeout=15)
    stuck, said = client.send("vm-pause", {"name": "a"}), daemon.stream("pause", "a")
    for _ in range(100):
        client.before(stuck, "vm-info", name="b")
        client.before(stuck, "vm-list")
    with pytest.raises(vmk.Error):
        client.result(stuck)
    assert said.wait(15) == 6, said.stderr()
    info = daemon.info("a")
    assert (info["state"], info["health"]) == ("running", "unresponsive")
    assert info["unresponsive_reason"] and "unresponsive" in events(daemon, "a")
    assert "has not responded for" in daemon.fails(6, "pause", "a")
    client.at_once("vm-pause", name="a")  # known already
    daemon.kill_daemon()
    daemon.start()
    assert daemon.info("a")["health"] == "unresponsive", "the next daemon is told"
    client = daemon.client()
    client.call("subscribe")
    daemon.kill(pid, "CONT")
    client.event("VM_HEALTH", lambda data: data["health"] == "ok")
    daemon.ok("resume", "a")
    daemon.ok("pause", "a")
    daemon.ok("kill", "a")
