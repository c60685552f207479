# SPDX-License-Identifier: MIT
"""The daemon is replaced: its successor takes over guests, jobs and the listening socket."""
import os
import shutil
import threading

import pytest

from test_policy import hook, LIFECYCLE
from test_creators import ALICE
from test_run import SMALL, ids, image, nothing, running
import vmk


@pytest.fixture
def copied(world, monkeypatch):
    """A daemon that runs from its own copy, which the test may replace."""
    place = os.path.join(world.base, "bin")
    os.mkdir(place)
    for name in ("vmkeepd", "vmkeep-jail"):
        shutil.copy(os.path.join(vmk.BUILD, name), place)
    monkeypatch.setattr(world, "daemon_argv", lambda: [os.path.join(place, "vmkeepd"), "--config",
                        world.config, "--state", world.state, "--run", world.run, "--log", world.log])
    world.start()
    world.place = place
    return world


def picture(daemon, *names):
    keys = ("state", "reason", "want", "health", "pid", "started", "since", "unresponsive_reason")
    infos = {name: daemon.info(name) for name in names}
    return {name: {key: info.get(key) for key in keys if key != "since" or info["state"] != "stopped"}
            for name, info in infos.items()}


def test_reexec(copied):
    """F16: the same pid, the same guests in the same states, a different program."""
    daemon = copied
    for name in ("run", "still", "again", "given-up"):
        daemon.micro(name, "deaf", extra=LIFECYCLE % (
            "RestartSec=60" if name == "again" else "StartLimitBurst=1" if name == "given-up" else "RestartSec=1"))
    daemon.micro("off")
    daemon.ok("start", "run", "still", "again", "given-up")
    daemon.ok("pause", "still")
    for name, state in (("again", "backoff"), ("given-up", "failed")):
        daemon.kill(daemon.info(name)["pid"])
        daemon.wait_state(name, state)
    names = ("run", "still", "again", "given-up", "off")
    before, daemon_pid = picture(daemon, *names), daemon.daemon_pid()
    descriptors = len(os.listdir("/proc/%d/fd" % daemon_pid))
    path = os.path.join(daemon.place, "vmkeepd")
    with open(path, "rb") as f:
        text = f.read()
    with open(path + ".new", "wb") as f:
        f.write(text.replace(b"vmkeepd 0.", b"vmkeepd 9.").replace(b"0.1.0\0", b"9.1.0\0"))
    os.chmod(path + ".new", 0o755)
    os.rename(path + ".new", path)
    said = daemon.json("reexec")
    assert said["version"].startswith("9.")
    version = daemon.json("version")["vmkeepd"]
    assert version["package"].startswith("9.") and version["pid"] == said["pid"]
    assert daemon.daemon_pid() == daemon_pid
    assert picture(daemon, *names) == before
    assert len(os.listdir("/proc/%d/fd" % daemon_pid)) <= descriptors
    daemon.ok("resume", "still")
    daemon.kill(before["run"]["pid"])
    info = daemon.wait_state("run", "backoff")
    assert "signal 9" in info["reason"], "it is still our child: how it ended is known"
    daemon.ok("start", "off", "again")


def test_reexec_again_and_again_under_fire(copied):
    """New clients can always connect."""
    daemon = copied
    daemon.micro("a", "deaf")
    daemon.ok("start", "a")
    pid = daemon.info("a")["pid"]
    for _ in range(4):
        asking = [daemon.stream("list") for _ in range(3)]
        daemon.ok("reexec")
        late = daemon.stream("list")
        assert late.wait() == 0, late.stderr()
        for stream in asking:
            code = stream.wait()
            assert code in (0, 10), stream.stderr()
    info = daemon.info("a")
    assert (info["state"], info["pid"]) == ("running", pid)
    zombies = [p for p in vmk.children(daemon.daemon_pid())
               if ") Z " in vmk.read_text("/proc/%d/stat" % p)]
    assert not zombies


def test_users_cannot_hold_it_up(copied):
    """Commands without an end, one after another, in guests and throw-away VMs: they are cancelled, and no new ones
    begin. A stop that takes a user's time goes on."""
    daemon = copied
    image(daemon, "deaf")
    run = running(daemon, who=ids(ALICE))
    client = daemon.client(timeout=30, **ids(ALICE))
    assert "(vm-run %s) is under way" % run.name in daemon.fails(3, "reexec", "--timeout", "0")
    stop = threading.Event()
    refused = []

    def insist():
        while not stop.is_set():
            try:
                client.call("vm-run", **SMALL)
            except vmk.Error as e:
                refused.append(e.desc)
            except OSError:
                return
    thread = threading.Thread(target=insist)
    thread.start()
    daemon.ok("reexec", "--force")
    stop.set()
    thread.join()
    client.close()
    nothing(daemon)
    assert run.error().desc == "cancelled"
    daemon.micro("a", "deaf")
    daemon.ok("start", "a")
    job = daemon.one("stop", "a", "--no-wait", "--timeout", "600")["job"]
    assert "job %d" % job in daemon.fails(3, "reexec", "--timeout", "0")
    daemon.ok("reexec", "--force")
    daemon.wait_state("a", "stopping")
    daemon.ok("kill", "a")
    daemon.ok("create", "b", "--disk", "1M")


def test_reexec_refuses(copied):
    """If the new program does not run, if a job does not end in time, and for users other than root."""
    daemon = copied
    daemon.fails(9, "reexec", user="alice", groups=["vmkeep"])
    path = os.path.join(daemon.place, "vmkeepd")
    os.rename(path, path + ".good")
    assert "No such file" in daemon.fails(1, "reexec")
    hook(daemon, path, "echo broken >&2; exit 1\n")
    assert "broken" in daemon.fails(1, "reexec")
    os.rename(path + ".good", path)
    daemon.micro("a", "deaf")
    daemon.ok("start", "a")
    job = daemon.one("stop", "a", "--no-wait", "--timeout", "60")["job"]
    assert "job %d" % job in daemon.fails(3, "reexec", "--timeout", "0")
    daemon.ok("kill", "a")
    daemon.ok("reexec")
