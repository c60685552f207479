# SPDX-License-Identifier: MIT
"""The daemon's own directories: one daemon for each, whatever happens to the files that say so."""
import fcntl
import glob
import os
import signal
import subprocess
import time

import pytest

import vmk


def second(world, **dirs):
    """Starts another daemon with the first one's directories except for these; returns how it ended."""
    argv = [world.program("vmkeepd")]
    for name in ("config", "state", "run", "log"):
        argv += ["--" + name, dirs.get(name, getattr(world, name))]
    return subprocess.run(world.inside(argv), capture_output=True, text=True, timeout=30 * vmk.SLOW, check=False)


def refused(world, option, **dirs):
    done = second(world, **dirs)
    pid = int(vmk.read_text(os.path.join(world.base, "daemon.log")).split(", pid ")[-1].split(",")[0])
    assert done.returncode == 3, done
    assert "another vmkeepd (pid %d" % pid in done.stderr, done
    assert "another --%s" % option in done.stderr, done
    return done.stderr


def other(world, name):
    path = os.path.join(world.base, name)
    os.makedirs(path, exist_ok=True)
    return path


ODD = {
    "gone": lambda path: None,
    "a directory": os.mkdir,
    "a full directory": lambda path: os.makedirs(os.path.join(path, "x")),
    "a pipe": os.mkfifo,
    "a link": lambda path: os.symlink("/dev/null", path),
    "a loop of links": lambda path: os.symlink(os.path.basename(path), path),
    "an empty file": lambda path: open(path, "wb").close(),
}


def replace(path, how):
    os.unlink(path)
    ODD[how](path)


def test_two_daemons(daemon):
    """The second daemon is refused before it touches anything, whatever path it uses."""
    for dirs in ({}, {"run": other(daemon, "run2")}):
        assert "--run %s)" % daemon.run in refused(daemon, "state", **dirs)
    refused(daemon, "run", state=other(daemon, "state2"))
    assert not os.listdir(os.path.join(daemon.base, "run2"))
    link, bound = os.path.join(daemon.base, "link"), other(daemon, "bound")
    os.symlink(daemon.state, link)
    daemon.exec("mount", "--bind", daemon.state, bound)
    for path in (link, bound):
        refused(daemon, "state", state=path, run=other(daemon, "run2"))
    inside = int(vmk.read_text(os.path.join(daemon.inner(daemon.run), "lock")).split()[0])
    daemon.kill(inside, "STOP")
    try:
        refused(daemon, "state")
        refused(daemon, "state", run=other(daemon, "run2"))
    finally:
        daemon.kill(inside, "CONT")
        os.kill(daemon.daemon.pid, signal.SIGCONT)  # nsenter stops with its child
    daemon.exec("umount", bound)
    daemon.ok("list")
    daemon.ok("reexec")
    refused(daemon, "state", run=other(daemon, "run2"))
    daemon.stop_daemon()
    daemon.start()


def test_no_moment_without_a_lock(daemon):
    """The locks are held without a gap, even during a reexec."""
    log = os.path.join(daemon.base, "daemon.log")
    fds = [os.open(path, os.O_RDONLY) for path in (daemon.state, os.path.join(daemon.state, "lock"),
                                                   os.path.join(daemon.run, "lock"))]
    try:
        for _ in range(2):  # inherited locks are inherited again
            before = vmk.read_text(log).count("ready, version")
            daemon.ok("reexec")
            end = time.monotonic() + 60 * vmk.SLOW
            while vmk.read_text(log).count("ready, version") == before:
                assert time.monotonic() < end
                for fd in fds:
                    with pytest.raises(BlockingIOError):
                        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    finally:
        for fd in fds:
            os.close(fd)


def test_children_hold_no_lock(daemon):
    """Processes that a daemon leaves running do not keep another from its directories."""
    daemon.image("a.raw", "deaf")
    daemon.write("a.vm", "[VM]\nMemory=16M\n[Disk root]\nPath=a.raw\n")
    daemon.ok("start", "a")
    daemon.kill_daemon()
    daemon.start()
    assert daemon.states() == {"a": "running"}


@pytest.mark.parametrize("how", ODD)
def test_lock_files_do_not_matter(daemon, how):
    """While the daemon is up no second one can start; afterwards the next one starts."""
    for folder in (daemon.run, daemon.state):
        replace(os.path.join(daemon.inner(folder), "lock"), how)
    refused(daemon, "state")
    refused(daemon, "state", run=other(daemon, "run2"))
    daemon.ok("list")
    daemon.kill_daemon()
    for folder in (daemon.run, daemon.state):
        path = os.path.join(daemon.inner(folder), "lock")
        if os.path.isfile(path):
            replace(path, how)
    daemon.start()
    refused(daemon, "state")


@pytest.mark.parametrize("how", ODD)
def test_history_goes_on(daemon, how):
    """Anything found in place of a VM's history is set aside by the first that accesses it."""
    daemon.micro("a")
    daemon.ok("start", "a")
    path = os.path.join(daemon.state, "vms", "a", "history")
    replace(path, how)
    assert daemon.rows("history", "a") == []
    if not os.path.isfile(path):
        ODD[how](path)
    daemon.ok("kill", "a")
    assert [row["event"] for row in daemon.rows("history", "a")] == ["kill", "stopped"]
    assert os.path.isfile(path) and not os.path.islink(path)


def test_nothing_starts_with_defaults_that_nobody_wrote(daemon):
    """A daemon that cannot read vmkeep.conf does not know [Defaults]: it starts no VM until it can."""
    good = vmk.DEFAULTS + "VM.Memory=24M\n"
    daemon.write("vmkeep.conf", good)
    daemon.image("a.raw", "deaf")
    for name in ("a", "b"):
        daemon.write(name + ".vm", "[VM]\nEnable=yes\n[Disk root]\nPath=%s.raw\n[Lifecycle]\nRestart=always\n" % name)
    daemon.image("b.raw", "deaf")
    daemon.ok("reload")
    daemon.ok("start", "a")
    pid = daemon.info("a")["pid"]
    daemon.kill_daemon()
    daemon.write("vmkeep.conf", good + "[Daemon\n")
    daemon.start()
    assert daemon.states() == {"a": "running", "b": "stopped"} and daemon.info("a")["pid"] == pid
    assert "vmkeep.conf" in daemon.fails(2, "start", "b")
    daemon.ok("start", "a")  # it is running
    daemon.kill(pid)
    daemon.wait_state("a", "failed", "backoff", "stopped")
    assert "vmkeep.conf" in daemon.fails(2, "start", "a")
    daemon.write("vmkeep.conf", good)
    daemon.ok("start", "a", "b")
    lines = [line for line in daemon.processes().values() if "qemu-system" in line]
    assert len(lines) == 2 and all("24" in line.split(" -m ")[1].split()[0] for line in lines), lines
    daemon.write("vmkeep.conf", good + "[Daemon\n")  # the previous content stays in effect
    daemon.ok("kill", "a")
    daemon.ok("start", "a")


def test_forget(daemon):
    """A VM whose file is gone keeps its state until it is forgotten; its images are never removed."""
    daemon.image("a.raw", "deaf")
    file = daemon.write("a.vm", "[VM]\nMemory=16M\n[Disk root]\nPath=a.raw\n")
    state = os.path.join(daemon.state, "vms", "a")
    assert "nothing is stored" in daemon.fails(4, "forget", "b")
    daemon.ok("start", "a")
    assert "a.vm' is there" in daemon.fails(5, "forget", "a")
    os.rename(file, file + ".away")
    assert "is running" in daemon.fails(5, "forget", "a")
    daemon.ok("kill", "a")
    assert "vmkeep forget a" in daemon.vmkeep("check").out
    assert os.path.isdir(state)
    os.makedirs(file + ".d")
    assert "a.vm.d' is there" in daemon.fails(5, "forget", "a")
    os.rmdir(file + ".d")
    daemon.fails(9, "forget", "a", user="alice", groups=["vmkeep"])
    image = os.path.join(daemon.images, "a.raw")
    assert image in daemon.ok("forget", "a")
    assert not os.path.exists(state) and os.path.exists(image)
    gone = os.path.join(daemon.state, "gone")
    daemon.eventually(lambda: os.listdir(gone), lambda names: not names)
    assert "forget" not in daemon.vmkeep("check").out
    assert "nothing is stored" in daemon.fails(4, "forget", "a")


def test_forget_is_cut_short(daemon):
    """The next daemon removes what was moved away; a planted link is removed, not followed."""
    precious = other(daemon, "precious")
    open(os.path.join(precious, "file"), "wb").close()
    os.makedirs(os.path.join(daemon.state, "gone", "a.0", "deep"))
    os.symlink(precious, os.path.join(daemon.state, "vms", "b"))
    daemon.ok("forget", "b")
    daemon.kill_daemon()
    daemon.start()
    # the directory is removed too if the sweep ended before the daemon did
    daemon.eventually(lambda: glob.glob(os.path.join(daemon.state, "gone", "*")), lambda names: not names)
    assert os.listdir(precious) == ["file"]


@pytest.mark.parametrize("name", ["state", "run", "log"])
def test_a_link_that_leads_nowhere(daemon, name):
    """Its target is probably not mounted: nothing is created in its place. The hint works."""
    daemon.stop_daemon()
    path = getattr(daemon, name)
    os.rename(path, path + ".there")
    os.symlink(path + ".nowhere", path)
    done = second(daemon)
    assert done.returncode == 4 and "dangling symbolic link" in done.stderr and "mounted?" in done.stderr, done
    assert os.path.islink(path)
    os.unlink(path)
    os.symlink(path + ".there", path)
    daemon.start()
    daemon.micro("a", "deaf")
    daemon.ok("start", "a")
    daemon.stop_daemon()
    os.unlink(path)
    os.rename(path + ".there", path)
    daemon.start()
    assert daemon.states() == {"a": "running"}


@pytest.mark.parametrize("where", ["state", "run"])
def test_locks_of_a_child_of_the_dead(world, where):
    """A child that a daemon forked holds its locks until it calls exec, which may be after the daemon's death."""
    place = os.path.join(world.state if where == "state" else world.run, "" if where == "state" else "lock")
    world.start()
    world.kill_daemon()
    world.exec("python3", "-c", """
import ctypes, fcntl, os, sys
fcntl.flock(os.open(sys.argv[1], os.O_RDONLY), fcntl.LOCK_EX)
libc = ctypes.CDLL(None)
watch = libc.inotify_init()
assert watch >= 0 and libc.inotify_add_watch(watch, sys.argv[2].encode(), 1) >= 0  # IN_ACCESS
if os.fork() == 0:
    os.close(1), os.close(2)
    os.read(watch, 4096)  # the new daemon has read whose lock it is: it used to refuse then
os._exit(0)
""", place, os.path.join(world.state if where == "state" else world.run, "lock"))
    world.start()
    assert world.states() == {}
