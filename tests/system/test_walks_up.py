# SPDX-License-Identifier: MIT
"""Whatever is lost or damaged below RUN, STATE and LOG while the daemon runs: it answers, its guests keep running, no
VM ever has two QEMUs, and the next daemon finds all guests."""
import contextlib
import itertools
import os
import shutil
import stat

import pytest

import vmk
from test_faults_daemon import qemus
from test_walks import DAMAGES, FILES, wired
from walk import walk


def moved(path):
    os.rename(path, path + ".moved")


def by_file(path):
    moved(path)
    with open(path, "wb") as f:
        f.write(b"x")


def by_directory(path):
    moved(path)
    os.mkdir(path)


def removed(path):
    shutil.rmtree(path, ignore_errors=True)


FOLDERS = """run run/vms run/vms/up run/networks run/networks/default.d state/vms/up state/vms/down state/vms
    state/networks log/up log state""".split()
LOSSES = {"moved away": moved, "replaced by a file": by_file, "replaced by a directory": by_directory,
          "removed": removed}
SOCKET_LOSSES = {name: DAMAGES[name] for name in (
    "gone", "a directory", "a pipe", "a loop of links", "a device", "a socket")}


def answers(world):
    """Clients can connect once the daemon has noticed the loss."""
    world.eventually(lambda: world.vmkeep("version").code, lambda code: code == 0, timeout=10)
    assert stat.S_IMODE(os.stat(world.inner(world.socket)).st_mode) == 0o666


def prepare(world):
    for name in ("up", "down"):
        wired(world, name)
    world.ok("start", "up", "down")
    world.ok("kill", "down")
    return world.info("up")["pid"]


def works(world, pid):
    """Every verb is answered, and the guest keeps its process."""
    answers(world)
    for verb in (["list"], ["info", "up"], ["info", "down"], ["start", "up"], ["net", "list"], ["reload"], ["check"]):
        world.vmkeep(*verb)
    found = qemus(world)
    assert pid in found, "its guest was ended"
    assert sum("guest=up," in line for line in found.values()) == 1, "two QEMUs for one VM"


def cured(world, pid):
    """Also with the next daemon; then all guests can be ended by verbs."""
    works(world, pid)
    world.kill_daemon()
    world.start()
    works(world, pid)
    assert world.states().get("up", "running") == "running"
    world.ok("kill", "*")
    world.eventually(lambda: qemus(world), lambda found: not found)


def forget_aside(world):
    """Removes the files that were set aside."""
    for top in (world.state, world.inner(world.run), world.log, world.base):
        for folder, folders, names in os.walk(top):
            for name in folders + names:
                if ".damaged" in name or ".moved" in name:
                    path = os.path.join(folder, name)
                    removed(path) if os.path.isdir(path) and not os.path.islink(path) else os.unlink(path)


@walk("damage", SOCKET_LOSSES, some=6)
def test_the_socket_is_bound_anew(daemon, damage):
    """Existing connections stay open; it also works a second time."""
    path = daemon.inner(daemon.socket)
    before = daemon.client()
    for _ in range(2):
        SOCKET_LOSSES[damage](path)
        daemon.eventually(lambda: daemon.vmkeep("version").code, lambda code: code == 0, timeout=10)
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o666
    assert before.call("query-version")["pid"]
    before.close()
    SOCKET_LOSSES[damage](path)
    daemon.kill_daemon()
    with contextlib.suppress(OSError):
        SOCKET_LOSSES[damage](path)
    daemon.start()
    daemon.ok("list")


ACTIVATED = """
import os, socket, sys
s = socket.socket(socket.AF_UNIX)
s.bind(sys.argv[1])
os.chmod(sys.argv[1], 0o666)
s.listen()
os.dup2(s.fileno(), 3)
os.set_inheritable(3, True)
os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()))
os.execv(sys.argv[2], sys.argv[2:])
"""


@pytest.mark.parametrize("damage", ["gone", "a directory", "a socket"])
def test_the_service_managers_socket_is_bound_anew(world, damage):
    """From then on it is the daemon's own, which removes it at the end; connections stay open."""
    argv = world.daemon_argv()
    world.daemon_argv = lambda: ["/usr/bin/python3", "-c", ACTIVATED, world.socket] + argv
    world.start()
    path = world.inner(world.socket)
    before = world.client()
    was = os.stat(path).st_ino
    for _ in range(2):
        SOCKET_LOSSES[damage](path)
        world.eventually(lambda: world.vmkeep("version").code, lambda code: code == 0, timeout=10)
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o666 and os.stat(path).st_ino != was
    assert before.call("query-version")["pid"]
    before.close()
    world.stop_daemon()
    assert not os.path.exists(path)
    world.daemon_argv = lambda: argv
    world.start()


@pytest.mark.parametrize("loss", LOSSES)
def test_run_is_made_anew(daemon, loss):
    """With its contents: the next daemon adopts the guest."""
    pid = prepare(daemon)
    before = daemon.client()
    LOSSES[loss](daemon.inner(daemon.run))
    answers(daemon)
    assert before.call("query-version")["pid"]
    before.close()
    record = os.path.join(daemon.inner(daemon.run), "vms", "up", "record.json")
    daemon.eventually(lambda: os.path.exists(record), bool)
    assert daemon.states() == {"up": "running", "down": "stopped"}
    daemon.ok("start", "down")
    daemon.kill_daemon()
    daemon.start()
    assert daemon.states() == {"up": "running", "down": "running"} and daemon.info("up")["pid"] == pid
    daemon.ok("kill", "*")
    forget_aside(daemon)


@walk("case", itertools.product(FOLDERS, LOSSES), some=4)
def test_folders(daemon, case):
    folder, loss = case
    pid = prepare(daemon)
    LOSSES[loss](os.path.join(daemon.inner(daemon.base), folder))
    cured(daemon, pid)
    forget_aside(daemon)


@walk("case", itertools.product(FILES, DAMAGES), some=10)
def test_files(daemon, case):
    file, damage = case
    pid = prepare(daemon)
    path = os.path.join(daemon.inner(daemon.base), file)
    good = vmk.read_text(path) if file.startswith("config/") else None
    DAMAGES[damage](path)
    works(daemon, pid)
    if good is not None:
        with contextlib.suppress(OSError):
            removed(path) if os.path.isdir(path) else os.unlink(path)
        daemon.write(os.path.basename(path), good)
    cured(daemon, pid)
    if file.startswith("state/"):  # a file that was not needed is still damaged
        with contextlib.suppress(FileNotFoundError):
            removed(path) if os.path.isdir(path) and not os.path.islink(path) else os.unlink(path)
    forget_aside(daemon)
