# SPDX-License-Identifier: MIT
"""What happens while a snapshot is created, deleted or reverted to: qemu-img hangs, fails or is killed, the job is
cancelled, the VM is needed by the boot, by policy or by users, its file disappears and comes back. Afterwards the
operation is complete or undone, or the VM is not started and `list` says what to do."""
import contextlib
import json
import os

import pytest

import vmk
from steps import SOURCE
from test_faults_daemon import qemus
from test_tools import PLACE
from test_torn import line_of
from test_walks_snapshots import DISKS, NOW, THEN, TORN, image_of, mark_of, pattern_of, patterns, put, refuses, \
    two_disks, whole
from walk import walk

# Replaces qemu-img and acts by its command line; to hang, it stops itself.
WRAPPER = """#!/bin/sh
case "$*" in
%s
esac
exec /usr/bin/qemu-img "$@"
"""
HANGS = "kill -STOP $$"
KILLED = "kill -KILL $$"
FULL = "echo 'qemu-img: Could not do it: No space left on device' >&2; exit 1"


@contextlib.contextmanager
def qemu_img(world, **what):
    """Replaces qemu-img: the key is info, c, a or d, and the disk; the value is what is done instead."""
    world.exec("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", PLACE)
    cases = ""
    for key, action in what.items():
        verb, disk = key.split("_")
        cases += '*"%s"*%s.qcow2*) %s;;\n' % ("info " if verb == "info" else "snapshot -%s " % verb, disk, action)
    path = world.inner(PLACE + "/qemu-img")
    with open(path, "w", encoding="utf-8") as f:
        f.write(WRAPPER % cases)
    os.chmod(path, 0o755)
    yield
    world.exec("umount", "--lazy", PLACE)


def at_work(world):
    """The pid, inside, of the qemu-img that stopped itself, or None."""
    for pid, line in world.processes().items():
        if PLACE + "/qemu-img" in line:
            with contextlib.suppress(OSError):
                if vmk.read_text(world.inner("/proc/%d/stat" % pid)).rsplit(")", 1)[1].split()[0] == "T":
                    return pid
    return None


def hanging(world, verb, name="s1"):
    """Begins the operation and waits until qemu-img hangs; returns the waiting client, the request's number and the
    job."""
    client = world.client(timeout=60)
    client.call("subscribe")
    serial = client.send("snapshot-" + verb, {"name": "a", "snapshot": name})
    job = client.event("JOB_STARTED")["job"]
    world.eventually(lambda: at_work(world), bool, timeout=30)
    return client, serial, job


def answer(client, serial):
    """The error; None if it succeeded."""
    try:
        client.result(serial)
    except vmk.Error as e:
        return e
    finally:
        client.close()
    return None


def go_on(world):
    world.kill(at_work(world), "CONT")


def snapshots(world, disk):
    return world.exec("qemu-img", "snapshot", "-l", image_of(world, disk)).split()


# Cancelling.

@walk("case", [("create", "info_two", "nothing was changed"), ("create", "c_one", "what had been created was removed"),
               ("revert", "info_one", "nothing was changed"), ("create", "c_two", "what had been created was removed"),
               ("delete", "info_two", "nothing was changed")], some=3)
def test_cancelled(world, case):
    """The job ends at once, and everything is as before."""
    verb, hangs, undone = case
    two_disks(world)
    name = "s2" if verb == "create" else "s1"
    with qemu_img(world, **{hangs: HANGS}):
        client, serial, job = hanging(world, verb, name)
        world.ok("job", "cancel", str(job))
        said = answer(client, serial)
        assert said and "cancelled" in said.desc and undone in said.desc
        assert at_work(world) is None
    assert world.rows("jobs") == [] and world.info("a")["state"] == "stopped"
    assert not os.path.exists(mark_of(world)) and patterns(world) == {NOW}
    for disk in DISKS:
        assert "s1" in snapshots(world, disk) and "s2" not in snapshots(world, disk)
    world.ok("start", "a")


@walk("hangs", ("a_one", "a_two", "d_two"), some=2)
def test_what_cannot_be_cancelled_says_so(world, hangs):
    verb = "revert" if hangs[0] == "a" else "delete"
    two_disks(world)
    with qemu_img(world, **{hangs: HANGS}):
        client, serial, job = hanging(world, verb)
        said = world.fails(5, "job", "cancel", str(job))
        assert "being changed" in said and hangs[-3:] in said
        go_on(world)
        assert answer(client, serial) is None
    assert patterns(world) == ({THEN} if verb == "revert" else {NOW})
    assert not os.path.exists(mark_of(world))
    world.ok("start", "a")


# The daemon or qemu-img dies.

@walk("case", [("create", "c_two"), ("revert", "a_two"), ("delete", "d_one"), ("revert", "info_one")], some=2)
def test_qemu_img_ends_with_its_daemon(world, case):
    verb, hangs = case
    two_disks(world)
    with qemu_img(world, **{hangs: HANGS}):
        client, _, _ = hanging(world, verb, "s2" if verb == "create" else "s1")
        world.kill_daemon()
        client.close()
        world.eventually(lambda: [line for line in world.processes().values() if "qemu-img" in line],
                         lambda found: not found)
    world.start()
    if hangs == "a_two":
        refuses(world)
        world.ok(*line_of(world.info("a")["reason"]))
        assert patterns(world) == {THEN}
    else:
        assert patterns(world) == {NOW}
    world.ok("start", "a")


@walk("end, at", ("killed", "no space"), ("c_two", "a_one", "a_two", "d_two"), some=4)
def test_qemu_img_fails(world, end, at):
    """By itself, or because it is killed when memory runs out."""
    how, code = {"killed": (KILLED, 1), "no space": (FULL, 11)}[end]
    verb = {"c": "create", "a": "revert", "d": "delete"}[at[0]]
    two_disks(world)
    with qemu_img(world, **{at: how}):
        said = world.fails(code, "snapshot", verb, "a", "s2" if verb == "create" else "s1")
        assert at[-3:] in said or "killed" in said.lower()
    if verb == "create":
        assert "s2" not in snapshots(world, "one") + snapshots(world, "two")
    elif verb == "delete":
        world.ok("snapshot", "delete", "a", "s1")
    elif at == "a_one" and how == FULL:
        assert patterns(world) == {NOW} and not os.path.exists(mark_of(world))
    else:
        refuses(world)
        world.ok(*line_of(world.info("a")["reason"]))
        assert patterns(world) == {THEN}
    world.ok("start", "a")


@walk("case", [(at, step) for step in range(1, 31)
               for at in ("a_two", "c_one", "d_two", "a_one", "c_two", "d_one")], some=4)
def test_qemu_img_dies_at_every_step(world, case):
    at, step = case
    verb = {"c": "create", "a": "revert", "d": "delete"}[at[0]]
    library = PLACE + "/steps.so"
    two_disks(world)
    with qemu_img(world, **{at: "export LD_PRELOAD=%s STEPS_OF=qemu-img STEPS_N=%d STEPS_SIGNAL=9" % (library, step)}):
        world.exec("cc", "-shared", "-fPIC", "-O1", "-o", library, SOURCE)
        world.vmkeep("snapshot", verb, "a", "s2" if verb == "create" else "s1")
    whole(world, verb)


def test_uefi_variables_are_a_disk(world):
    """UEFI variables are reverted last; if only they are missing, the VM is not started either."""
    world.image("one.qcow2", "deaf", "up\r\n", size=4 << 20)
    world.write("a.vm", "[VM]\nMemory=128M\nNetworks=none\n[Disk one]\nPath=one.qcow2\n[Boot]\nFirmware=uefi\n")
    world.start()
    world.ok("start", "a", timeout=60)
    world.ok("kill", "a")
    put(world, THEN, "one")
    world.ok("snapshot", "create", "a", "s1")
    put(world, NOW, "one")
    variables = os.path.join(world.state, "vms", "a", "nvram")
    assert os.path.exists(variables + ".qcow2")
    with qemu_img(world, a_nvram=FULL):
        world.fails(11, "snapshot", "revert", "a", "s1")
    assert pattern_of(world, "one") == THEN
    refuses(world)
    world.ok(*line_of(world.info("a")["reason"]))
    world.ok("start", "a", timeout=60)


def test_a_running_guest_s_job_says_what_ends_it(daemon):
    """QEMU takes no commands until the job is done; the command that the error names works."""
    daemon.micro("a", "deaf", disk="qcow2", extra="[Lifecycle]\nRestart=no\n")
    daemon.up("a")
    client = daemon.client(timeout=60)
    client.call("subscribe")
    daemon.kill(daemon.info("a")["pid"], "STOP")
    serial = client.send("snapshot-create", {"name": "a", "snapshot": "s1"})
    job = client.event("JOB_STARTED")["job"]
    said = daemon.fails(5, "job", "cancel", str(job))
    assert "vmkeep kill a" in said
    daemon.ok("kill", "a")
    assert answer(client, serial)
    assert daemon.rows("jobs") == [] and daemon.info("a")["state"] == "stopped"
    assert daemon.rows("snapshot", "list", "a") == []
    daemon.ok("start", "a")


# Others that need the VM in the meantime.

@pytest.mark.parametrize("end", ["done", "torn"])
def test_boot_waits_for_it(world, end):
    """The VM is to start at boot, after another that is not ready yet, and is being reverted when its time comes. A
    VM that requires it learns the result."""
    two_disks(world, lifecycle="[Lifecycle]\nAfter=z\n")
    world.kill_daemon()
    path = os.path.join(world.config, "a.vm")
    world.write("a.vm", vmk.read_text(path).replace("[VM]\n", "[VM]\nEnable=yes\n"))
    world.micro("z", "echo", "up\r\n", vm="Enable=yes\n", extra="[Lifecycle]\nReadyWhen=log:go\n")
    world.micro("b", "deaf", "up\r\n", vm="Enable=yes\n", extra="[Lifecycle]\nRequires=a\n")
    os.unlink(os.path.join(world.inner(world.run), "boot"))
    world.start()
    world.wait_state("z", "running", timeout=60)
    console = world.console("z")
    console.until("up", 60)
    with qemu_img(world, a_two=HANGS):
        client, serial, _ = hanging(world, "revert")
        console.type("go")
        world.eventually(lambda: world.info("a")["reason"], lambda reason: "snapshot-revert 's1'" in reason)
        assert "under way" in world.fails(3, "start", "a")
        assert not [line for line in qemus(world).values() if "guest=a," in line]
        if end == "done":
            go_on(world)
            assert answer(client, serial) is None
        else:
            world.kill(at_work(world))
            assert TORN not in str(answer(client, serial))
    console.end()
    if end == "done":
        world.wait_state("a", "running", timeout=60)
        world.wait_state("b", "running", timeout=60)
        world.ok("kill", "a")
        assert patterns(world) == {THEN}
        return
    info = world.eventually(lambda: world.info("b"), lambda info: "'a'" in info["reason"]
                            and "waits" not in info["reason"])
    assert info["state"] in ("stopped", "failed"), info
    assert not [line for line in qemus(world).values() if "guest=a," in line]
    assert world.info("a")["state"] in ("stopped", "failed")
    assert TORN in world.fails(5, "start", "a")
    world.ok(*line_of(world.info("a")["reason"]))
    world.ok("start", "a", "b")


def test_file_goes_and_comes(world):
    """As with editors, git and Ansible: operations in progress and incomplete reverts are not forgotten."""
    two_disks(world)
    path = os.path.join(world.config, "a.vm")
    with qemu_img(world, a_two=HANGS):
        client, serial, _ = hanging(world, "revert")
        os.rename(path, path + ".away")
        world.ok("list")
        world.ok("reload")
        os.rename(path + ".away", path)
        assert "under way" in world.fails(3, "start", "a")
        assert "under way" in world.fails(3, "snapshot", "create", "a", "s2")
        os.rename(path, path + ".away")
        world.ok("list")
        go_on(world)
        answer(client, serial)
        world.ok("reload")
        os.rename(path + ".away", path)
    if os.path.exists(mark_of(world)):
        refuses(world)
        world.ok(*line_of(world.info("a")["reason"]))
    assert patterns(world) == {THEN}
    world.ok("start", "a")


# The mark is a file, too.

def directory(path):
    os.mkdir(path)
    with open(os.path.join(path, "x"), "wb"):
        pass


MARKS = {
    "gone": lambda path: None,
    "empty": lambda path: open(path, "wb").close(),
    "garbled": lambda path: open(path, "wb").write(b"\0\xff{"),
    "a directory": directory,
    "a pipe": os.mkfifo,
    "a link to nothing": lambda path: os.symlink("nowhere", path),
}


def torn(world):
    with qemu_img(world, a_two=KILLED):
        world.fails(1, "snapshot", "revert", "a", "s1")
    assert [pattern_of(world, disk) for disk in DISKS] == [THEN, NOW]


@walk("damage, up", MARKS, (True, False), some=6)
def test_the_mark_is_damaged(world, damage, up):
    """`check`, `list` and `start` agree; a running daemon does not forget it even if the file is lost."""
    two_disks(world)
    torn(world)
    path = mark_of(world)
    if not up:
        world.kill_daemon()
    os.unlink(path)
    MARKS[damage](path)
    if not up:
        world.start()
    if damage == "gone" and not up:  # nothing remembers it
        assert world.vmkeep("check", "a").code == 0
        world.ok("start", "a")
        return
    assert TORN in str(world.vmkeep("check", "a"))
    assert TORN in str(world.vmkeep("check"))
    refuses(world)
    if up:  # the file has been written again
        world.eventually(lambda: os.path.isfile(path) and vmk.read_text(path), lambda text: "two" in str(text))
        world.kill_daemon()
        world.start()
        refuses(world)
    reason = world.info("a")["reason"]
    world.ok(*(line_of(reason) if "s1" in reason else ("snapshot", "revert", "a", "s1")))
    assert patterns(world) == {THEN} and not os.path.exists(path)
    assert world.vmkeep("check", "a").code == 0
    world.ok("start", "a")


@pytest.mark.parametrize("up", [True, False], ids=["up", "down"])
def test_the_mark_goes_with_its_vm(world, up):
    """When the VM's file is renamed, with a UUID= that says it is the same VM."""
    two_disks(world)
    world.ok("start", "a")
    world.ok("kill", "a")
    torn(world)
    path = os.path.join(world.config, "a.vm")
    uuid = json.loads(vmk.read_text(os.path.join(world.state, "vms", "a", "identity.json")))["uuid"]
    if not up:
        world.kill_daemon()
    world.write("c.vm", vmk.read_text(path).replace("[VM]\n", "[VM]\nUUID=%s\n" % uuid))
    os.unlink(path)
    if not up:
        world.start()
    said = world.fails(5, "start", "c")
    assert TORN in said and "vmkeep snapshot revert c s1" in said
    row, = world.rows("list")
    assert row["name"] == "c" and "vmkeep snapshot revert c s1" in row["reason"]
    world.ok("snapshot", "revert", "c", "s1")
    assert patterns(world) == {THEN}
    world.ok("start", "c")


def test_another_name_for_the_same_disks(world):
    """Without UUID= it is a new VM, but its disks are those of the incomplete revert."""
    two_disks(world)
    world.ok("start", "a")
    world.ok("kill", "a")
    torn(world)
    path = os.path.join(world.config, "a.vm")
    os.rename(path, os.path.join(world.config, "c.vm"))
    said = world.fails(5, "start", "c")
    assert "VM 'a'" in said and "a.vm" in said
    assert "VM 'a'" in str(world.vmkeep("check", "c"))
    assert not qemus(world)
    os.rename(os.path.join(world.config, "c.vm"), path)
    world.ok(*line_of(world.fails(5, "start", "a")))
    world.ok("start", "a")
    world.ok("kill", "a")
    os.rename(path, os.path.join(world.config, "c.vm"))
    world.ok("start", "c")


def test_the_same_disks_in_another_file(world):
    """No other VM that uses these disks is started either, whether or not it ran before."""
    two_disks(world)
    world.write("c.vm", vmk.read_text(os.path.join(world.config, "a.vm")))
    for name in "ca":
        world.ok("start", name)
        world.ok("kill", name)
    torn(world)
    world.write("d.vm", vmk.read_text(os.path.join(world.config, "a.vm")))
    for name in "cd":
        said = world.fails(5, "start", name)
        assert "one of VM 'a', whose revert did not finish" in said, said
        assert "vmkeep start a says how to fix it" in said, said
        assert "whose revert did not finish" in world.vmkeep("check", name).out
    assert not qemus(world)
    world.ok(*line_of(world.fails(5, "start", "a")))
    world.ok("start", "c")
