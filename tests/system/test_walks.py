# SPDX-License-Identifier: MIT
"""Whatever file is damaged while no daemon runs, and at whatever step a daemon dies: the next one starts, no VM ever
has two QEMUs, no guest is ended, and everything can be started again."""
import contextlib
import errno
import os
import random
import signal
import socket

from steps import Steps
from test_faults_daemon import qemus
from walk import walk


def wired(world, name):
    world.image(name + ".raw", "deaf")
    world.write(name + ".vm", "[VM]\nMemory=16M\n[Disk root]\nPath=%s.raw\n[Lifecycle]\nRestart=no\n" % name)


# Files times damages.

def remake(make):
    """A running daemon may have written its file again in between."""
    def damage(path):
        os.unlink(path)
        while True:
            try:
                return make(path)
            except FileExistsError:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(path)
    return damage


def bind(path):
    """A socket without a listener."""
    with socket.socket(socket.AF_UNIX) as s:
        try:
            s.bind(path)
        except OSError as e:
            raise FileExistsError(path) if e.errno == errno.EADDRINUSE else e


def rewrite(text):
    def damage(path):
        with open(path, "rb") as f:
            good = f.read()
        with contextlib.suppress(OSError), open(path, "wb", buffering=0) as f:  # as much as fits
            f.write(text(good))
    return damage


FILES = """run/boot run/lock state/lock run/vms/up/record.json run/vms/up/effective.vm run/vms/up/kept.json
    run/vms/up/out/qemu.err
    run/vms/up/out/serial-console run/networks/door run/networks/default.json run/networks/default.d/dnsmasq.pid
    run/networks/default.d/dnsmasq.conf run/networks/default.d/resolv.conf run/networks/default.d/hosts/up:lan
    state/known-keys state/qemu-probe.json state/vms/up/identity.json state/vms/up/history state/vms/down/identity.json
    state/vms/down/history state/vms/up/ended.json state/vms/down/ended.json state/networks/default.json state/networks/default.leases log/up/console.log
    log/down/console.log config/up.vm config/down.vm config/vmkeep.conf""".split()
DAMAGES = {
    "gone": os.unlink,
    "empty": rewrite(lambda good: b""),
    "half": rewrite(lambda good: good[:len(good) // 2]),
    "zeros": rewrite(lambda good: bytes(len(good))),
    "noise": rewrite(lambda good: random.Random(len(good)).randbytes(len(good))),
    "twice": rewrite(lambda good: good + good),
    "an array": rewrite(lambda good: b"[1]\n"),
    "an object": rewrite(lambda good: b"{}\n"),
    "another version": rewrite(lambda good: b'{"version": "x"}\n'),
    "deep": rewrite(lambda good: b"[" * 100000),
    "numbers": rewrite(lambda good: b"".join(b"9" if c in b"123456789" else bytes([c]) for c in good)),
    "large": rewrite(lambda good: good + b" " * (32 << 20)),
    "a directory": remake(os.mkdir),
    "a pipe": remake(os.mkfifo),
    "a socket": remake(bind),
    "a loop of links": remake(lambda path: os.symlink(os.path.basename(path), path)),
    "a device": remake(lambda path: os.symlink("/dev/zero", path)),
}


def test_every_file_is_damaged(daemon):
    """The walk includes all files that a daemon with two VMs leaves behind, except images."""
    wired(daemon, "up")
    wired(daemon, "down")
    daemon.ok("start", "up", "down")
    daemon.ok("kill", "down")
    top = daemon.inner(daemon.base)
    found = {os.path.relpath(os.path.join(folder, name), top) for part in ("config", "run", "state", "log")
             for folder, _, names in os.walk(os.path.join(top, part)) for name in names
             if os.path.isfile(os.path.join(folder, name)) and "/images" not in folder}
    assert {name for name in found if not name.startswith("run/gone/")} == set(FILES)


def put_right(world, path, good):
    """Repairs as a person would: removes what is damaged, and restores what people write or have a backup of."""
    with contextlib.suppress(FileNotFoundError):
        os.rmdir(path) if os.path.isdir(path) and not os.path.islink(path) else os.unlink(path)
    if "/config/" in path or path.endswith("/identity.json"):
        with open(path, "wb") as f:
            f.write(good)
    if "/config/" in path:
        world.ok("reload")


@walk("file, damage", FILES, DAMAGES, some=16)
def test_damage(daemon, file, damage):
    wired(daemon, "up")
    wired(daemon, "down")
    daemon.ok("start", "up", "down")
    daemon.ok("kill", "down")
    pid = daemon.info("up")["pid"]
    daemon.kill_daemon()
    path = os.path.join(daemon.inner(daemon.base), file)
    with open(path, "rb") as f:
        good = f.read()
    DAMAGES[damage](path)
    daemon.start()
    assert daemon.states()["up"] == "running" and daemon.info("up")["pid"] == pid
    assert list(qemus(daemon)) == [pid]
    daemon.vmkeep("start", "up", "down")
    assert pid in qemus(daemon), "its guest was ended"
    assert sum("guest=up," in line for line in qemus(daemon).values()) == 1, "two QEMUs for one VM"
    assert daemon.states()["up"] == "running" and daemon.info("up")["pid"] == pid
    daemon.ok("kill", "*")
    daemon.eventually(lambda: qemus(daemon), lambda found: not found)
    put_right(daemon, path, good)
    daemon.kill_daemon()
    daemon.start()
    daemon.ok("start", "up", "down")
    assert len(qemus(daemon)) == 2
    for folder, _, names in os.walk(daemon.state):  # the files that were set aside
        for name in names:
            if ".damaged" in name:
                os.unlink(os.path.join(folder, name))


# Death at every step.

# operation: its verb, what comes before it, its maximum number of steps, and the possible states afterwards
OPERATIONS = {
    "start": (["start", "a"], [], 260, {"running", "stopped"}),
    "kill": (["kill", "a"], ["start"], 60, {"running", "stopped"}),
    "pause": (["pause", "a"], ["start"], 20, {"running", "paused"}),
    "resume": (["resume", "a"], ["start", "pause"], 20, {"running", "paused"}),
    "stop": (["stop", "a"], ["start"], 60, {"running", "stopped"}),
    "reboot": (["reboot", "a"], ["start"], 330, {"running"}),
    "reload": (["reload"], ["start"], 40, {"running"}),
}
DAEMON = [(operation, n + 1) for operation in OPERATIONS for n in range(OPERATIONS[operation][2])]
# other programs, with signal and maximum number of steps for each operation
OTHERS = {
    "daemon ended": ("vmkeepd", signal.SIGTERM, {
        "start": 260, "kill": 60, "stop": 60, "reboot": 330, "pause": 20, "resume": 20, "reload": 40}),
    "jail killed": ("vmkeep-jail", signal.SIGKILL, {"start": 220, "reboot": 220}),
    "client killed": ("vmkeep", signal.SIGKILL, {
        "start": 8, "kill": 8, "stop": 8, "reboot": 8, "pause": 8, "resume": 8, "reload": 8}),
}
OTHER_STEPS = [(who, operation, n + 1) for who in OTHERS for operation in OTHERS[who][2]
               for n in range(OTHERS[who][2][operation])]
GUESTS_STAY = ("pause", "resume", "reload")


def up_before(world, operation, env):
    """Prepares the guest that the operation needs; returns the pids of QEMU."""
    before = OPERATIONS[operation][1]
    world.image("a.raw", "polite", "up\r\n")
    world.write("a.vm", "[VM]\nMemory=16M\n[Disk root]\nPath=a.raw\n[Lifecycle]\nRestart=no\n")
    world.start(env=env)
    for verb in before:
        world.ok(verb, "a")
    if before == ["start"]:
        world.console("a").until("up")
    return list(qemus(world))


def whole_again(world, operation, pids, after):
    """The operation is complete or undone; then everything works as usual."""
    info = world.eventually(lambda: world.info("a"), lambda info: info["state"] in after)
    found = world.eventually(lambda: list(qemus(world)), lambda found: len(found) == (info["state"] != "stopped"))
    if operation in GUESTS_STAY:
        assert found == pids, "its guest was ended"
    assert info["want"] == ("stopped" if info["state"] == "stopped" else "running")
    world.ok("start", "a")
    if world.info("a")["state"] == "paused":
        world.ok("resume", "a")
    assert len(qemus(world)) == 1 and world.info("a")["state"] == "running"
    assert not world.rows("jobs")


@walk("operation, step", DAEMON, some=18)
def test_death_at_every_step(world, operation, step):
    verb, _, _, after = OPERATIONS[operation]
    steps = Steps(world)
    pids = up_before(world, operation, steps.env)
    steps.arm(step)
    world.vmkeep(*verb)
    steps.over()
    world.start()
    whole_again(world, operation, pids, after)


@walk("who, operation, step", OTHER_STEPS, some=12)
def test_others_at_every_step(world, who, operation, step):
    """The daemon gets SIGTERM; its client or a helper dies, with the daemon running or killed afterwards."""
    program, how, _ = OTHERS[who]
    verb, _, _, after = OPERATIONS[operation]
    steps = Steps(world, program, how)
    pids = up_before(world, operation, steps.env if program != "vmkeep" else None)
    steps.arm(step)
    world.vmkeep(*verb, env=steps.env if program == "vmkeep" else None)
    if program == "vmkeepd":
        steps.over()
        world.start()
    elif step % 2:
        steps.over()
        world.start()
    if program == "vmkeep-jail":
        # a helper that fails makes the start fail, which is reported; a VM to be rebooted is then down
        after = after | {"stopped"}
    whole_again(world, operation, pids, after)
