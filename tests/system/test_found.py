# SPDX-License-Identifier: MIT
"""A lost record neither loses nor duplicates a guest: whatever is missing or damaged of its files, the daemon finds
it among the host's processes, lists it correctly, and can end it. Its disk is read-only, so that no lock of QEMU's
prevents a second guest."""
import os
import shutil
import signal

import pytest

from hostile import make, unwell
import vmk
from steps import Steps
from test_faults_daemon import qemus
from walk import walk


def lockless(world, name, guest="polite"):
    world.image(name + ".raw", guest, "up\r\n")
    world.write(name + ".vm", "[VM]\nMemory=24M\n[Disk root]\nPath=%s.raw\nReadOnly=yes\n[Lifecycle]\nRestart=no\n"
                % name)


def up(world, name="a"):
    lockless(world, name)
    world.up(name)
    return world.info(name)


def run_of(world, name="a", file=""):
    return world.inner(os.path.join(world.run, "vms", name, file))


def remove(world, path):
    """Removes a directory even if something is mounted below it."""
    world.exec("sh", "-c", 'umount -l "$1"/out "$1"/*/out "$1"/vms/*/out 2>/dev/null; rm -rf "$1"', "sh", path)


def same(before, after):
    return (after["pid"], after["uuid"], after["uid"], [(n["nic"], n["mac"], n["address"], n["interface"])
                                                        for n in after["nics"]]) == \
        (before["pid"], before["uuid"], before["uid"], [(n["nic"], n["mac"], n["address"], n["interface"])
                                                        for n in before["nics"]])


def is_found(world, before, name="a"):
    """The guest is listed as running, with its old identity, there is only one, and its monitor answers."""
    assert world.states()[name] == "running"
    after = world.eventually(lambda: world.info(name), lambda info: info["health"] == "ok", timeout=20)
    assert same(before, after), (before, after)
    assert list(qemus(world)) == [before["pid"]]
    assert "already" in world.ok("start", name) or list(qemus(world)) == [before["pid"]]
    assert list(qemus(world)) == [before["pid"]]
    return after


def restarted(world, damage):
    world.kill_daemon()
    damage()
    world.start()


def hide(world, pid, files):
    """Unmounts files in the guest's private root; umount(8) needs /proc, which is missing there."""
    for file in files:
        world.exec("nsenter", "--target", str(pid), "--mount", "--root", "/usr/bin/python3", "-c",
                   "import ctypes, sys; sys.exit(ctypes.CDLL(None).umount2(sys.argv[1].encode(), 2))",
                   os.path.join(world.run, "vms", "a", file))


def gone(world):
    """The process and its tap are gone; the network stays up."""
    world.eventually(lambda: qemus(world), lambda found: not found)
    world.eventually(world.links, lambda links: not any(link.startswith("vk") for link in links))


GARBAGE = {
    "empty": b"", "zeros": bytes(4096), "brace": b"{", "array": b"[]", "deep": b"[" * 100000, "noise": os.urandom(999),
    "object": b"{}", "another version": b'{"version": 9}',
}


@walk("kind", GARBAGE, some=2)
def test_garbage_for_a_record(daemon, kind):
    before = up(daemon)

    def damage():
        with open(run_of(daemon, file="record.json"), "wb") as f:
            f.write(GARBAGE[kind])
    restarted(daemon, damage)
    is_found(daemon, before)
    daemon.ok("stop", "a")
    assert not qemus(daemon) and daemon.states() == {"a": "stopped"}
    gone(daemon)


@walk("at", range(0, 2048, 64), some=2)
def test_record_cut_short(daemon, at):
    before = up(daemon)
    restarted(daemon, lambda: os.truncate(run_of(daemon, file="record.json"), at))
    is_found(daemon, before)
    daemon.ok("kill", "a")
    assert not qemus(daemon)


@walk("file, kind", ("record.json", "effective.vm", "kept.json", "qmp.sock"), ("gone", "directory", "pipe", "link"),
      some=4)
def test_not_a_file(daemon, file, kind):
    before = up(daemon)
    path = run_of(daemon, file=file)

    def damage():
        os.unlink(path)
        if kind == "directory":
            os.mkdir(path)
        elif kind == "pipe":
            os.mkfifo(path)
        elif kind == "link":
            os.symlink("/dev/zero", path)
    restarted(daemon, damage)
    after = is_found(daemon, before)
    assert after["memory"] == 24 << 20 and daemon.rows("diff", "a") == []
    daemon.kill_daemon()
    daemon.start()
    is_found(daemon, before)
    daemon.ok("stop", "a")
    gone(daemon)


def test_identity_is_put_back(daemon):
    """While the guest runs, its own copy of the identity is used; after it has ended, the file counts again as soon
    as it is repaired."""
    before = up(daemon)
    path = daemon.inner(os.path.join(daemon.state, "vms", "a", "identity.json"))

    def damage():
        os.rename(path, path + ".backup")
        os.symlink("identity.json", path)
    restarted(daemon, damage)
    is_found(daemon, before)
    daemon.ok("kill", "a")
    assert "identity.json" in daemon.fails(3, "start", "a")
    os.rename(path + ".backup", path)
    daemon.ok("start", "a")
    assert daemon.info("a")["uuid"] == before["uuid"]
    daemon.ok("kill", "a")


@pytest.mark.parametrize("what", ("vms/a", "vms", ""))
def test_run_directory_is_gone(daemon, what):
    """Its sockets, configuration and NICs are recovered from its private root."""
    before = up(daemon)
    resolvers = [pid for pid, line in daemon.processes().items() if "dnsmasq" in line]

    def damage():
        remove(daemon, os.path.join(daemon.run, what))
        os.makedirs(daemon.inner(daemon.run), exist_ok=True)
    restarted(daemon, damage)
    after = is_found(daemon, before)
    assert after["memory"] == 24 << 20 and daemon.rows("diff", "a") == []
    assert daemon.rows("list")[0]["accel"] == "tcg"
    daemon.ok("pause", "a")
    daemon.ok("resume", "a")
    daemon.ok("reboot", "a")
    daemon.wait_state("a", "running")
    assert len(qemus(daemon)) == 1
    daemon.ok("kill", "a")
    gone(daemon)
    if not what:  # the network's own files are not tested here
        daemon.exec("sh", "-c", 'kill -9 "$@" || :', "sh", *resolvers)


def test_while_the_daemon_is_up(daemon):
    """All of its files are written again at the next change."""
    before = up(daemon)
    remove(daemon, os.path.join(daemon.run, "vms", "a"))
    daemon.ok("pause", "a")
    daemon.ok("resume", "a")
    assert os.path.isfile(run_of(daemon, file="record.json"))
    restarted(daemon, lambda: None)
    is_found(daemon, before)
    daemon.ok("stop", "a")
    gone(daemon)


def test_nothing_but_the_process(daemon):
    """Its run directory is gone, and its root does not contain it either: values that are unknown are not made up."""
    before = up(daemon)
    daemon.kill_daemon()
    hide(daemon, before["pid"], ("kept.json", "qmp.sock"))
    remove(daemon, os.path.join(daemon.run, "vms"))
    daemon.start()
    info = daemon.eventually(lambda: daemon.info("a"), lambda info: info["health"] == "unresponsive")
    assert same(before, info) and info["state"] == "running"
    assert info["memory"] is None and info["cpus"] is None and info["disks"] is None and info["accel"] is None
    row, = daemon.rows("list")
    assert row["memory"] is None and row["cpus"] is None and row["accel"] is None
    assert "kill a" in daemon.fails(5, "stop", "a")
    assert "kill a" in daemon.fails(5, "reboot", "a")
    daemon.fails(5, "diff", "a")
    assert list(qemus(daemon)) == [before["pid"]]
    daemon.ok("kill", "a")
    gone(daemon)
    daemon.ok("start", "a")
    assert daemon.rows("diff", "a") == [] and daemon.info("a")["memory"] == 24 << 20


@walk("kind", ("gone", "empty", "half", "numbers", "directory"), some=2)
def test_damaged_identity_of_a_running_guest(daemon, kind):
    before = up(daemon)
    path = os.path.join(daemon.state, "vms", "a", "identity.json")

    def damage():
        with open(path, "rb") as f:
            good = f.read()
        os.unlink(path)
        if kind == "directory":
            os.mkdir(path)
        elif kind != "gone":
            bad = {"empty": b"", "half": good[:len(good) // 2], "numbers": good.replace(b"7", b"8")}[kind]
            with open(path, "wb") as f:
                f.write(bad)
    restarted(daemon, damage)
    after = is_found(daemon, before)
    assert after["machine"] == before["machine"]
    daemon.ok("stop", "a")
    if kind == "directory":
        os.rmdir(path)
        restarted(daemon, lambda: None)
    daemon.ok("start", "a")
    if kind != "directory":
        assert daemon.info("a")["uuid"] == before["uuid"] and daemon.info("a")["nics"][0]["mac"] == \
            before["nics"][0]["mac"]


def test_record_and_identity_and_file_are_lost(daemon):
    """It is listed as an orphan under its own name."""
    before = up(daemon)
    daemon.kill_daemon()
    remove(daemon, os.path.join(daemon.run, "vms"))
    shutil.rmtree(os.path.join(daemon.state, "vms"))
    os.unlink(os.path.join(daemon.config, "a.vm"))
    daemon.start()
    info = daemon.eventually(lambda: daemon.info("a"), lambda info: info["health"] == "ok")
    assert info["orphan"] and same(before, info)
    lockless(daemon, "b")
    daemon.ok("start", "b")
    assert daemon.info("b")["uid"] != before["uid"]
    assert {n["mac"] for n in daemon.info("b")["nics"]}.isdisjoint({n["mac"] for n in before["nics"]})
    assert {n["address"] for n in daemon.info("b")["nics"]}.isdisjoint({n["address"] for n in before["nics"]})
    daemon.ok("kill", "a", "b")
    assert daemon.states() == {"b": "stopped"}
    gone(daemon)


def test_several_at_once(daemon):
    """Each guest is assigned to its VM."""
    before = {name: up(daemon, name) for name in ("a", "b", "c")}
    restarted(daemon, lambda: remove(daemon, os.path.join(daemon.run, "vms")))
    for name, info in before.items():
        assert same(info, daemon.eventually(lambda: daemon.info(name), lambda info: info["health"] == "ok"))
    assert len(qemus(daemon)) == 3
    daemon.ok("stop", "b")
    assert daemon.states() == {"a": "running", "b": "stopped", "c": "running"}
    daemon.ok("kill", "a", "c")
    gone(daemon)


def test_record_of_another(daemon):
    """As after a wrong copy: each VM still has its own process."""
    before = {name: up(daemon, name) for name in ("a", "b")}
    restarted(daemon, lambda: shutil.copy(run_of(daemon, "b", "record.json"), run_of(daemon, "a", "record.json")))
    for name, info in before.items():
        assert same(info, daemon.eventually(lambda: daemon.info(name), lambda info: info["health"] == "ok"))
    daemon.ok("kill", "a")
    assert list(qemus(daemon)) == [before["b"]["pid"]]


def test_by_its_control_group(world):
    """A guest started by an older daemon, whose root shows nothing and whose identity is lost too, is found by its
    cgroup."""
    place = "/sys/fs/cgroup/one"
    world.exec("mount", "-t", "tmpfs", "tmpfs", "/sys/fs/cgroup")
    world.exec("mkdir", place)
    try:
        world.exec("mount", "-t", "cgroup2", "cgroup2", place)
    except AssertionError as e:
        pytest.skip("no control groups here: %s" % e)
    world.mounts = world.mount_points()
    world.start()
    before = up(world)
    world.kill_daemon()
    hide(world, before["pid"], ("kept.json", "qmp.sock", "agent.sock", "serial-console.sock"))
    world.exec("nsenter", "--target", str(before["pid"]), "--mount", "--root", "/usr/bin/python3", "-c",
               "import ctypes, sys; sys.exit(ctypes.CDLL(None).mount(b'x', sys.argv[1].encode(), b'tmpfs', 0, None))",
               os.path.join(world.run, "vms"))
    os.unlink(run_of(world, file="record.json"))
    os.unlink(os.path.join(world.state, "vms", "a", "identity.json"))
    world.start()
    after = world.eventually(lambda: world.info("a"), lambda info: info["health"] == "ok")
    assert same(before, after) and after["machine"] == before["machine"]
    assert list(qemus(world)) == [before["pid"]]
    world.ok("stop", "a")
    gone(world)


def test_renamed_while_it_ran(daemon):
    """The VM's file was renamed and its record lost: its state is not moved until its guest has ended."""
    before = up(daemon)
    daemon.kill_daemon()
    remove(daemon, os.path.join(daemon.run, "vms"))
    text = vmk.read_text(os.path.join(daemon.config, "a.vm"))
    os.unlink(os.path.join(daemon.config, "a.vm"))
    daemon.write("b.vm", text.replace("[VM]\n", "[VM]\nUUID=%s\n" % before["uuid"]))
    daemon.start()
    after = daemon.eventually(lambda: daemon.info("a"), lambda info: info["health"] == "ok")
    assert same(before, after) and after["orphan"]
    daemon.fails(3, "start", "b")
    assert list(qemus(daemon)) == [before["pid"]]
    daemon.ok("stop", "a")
    daemon.ok("start", "b")
    assert len(qemus(daemon)) == 1 and daemon.info("b")["uuid"] == before["uuid"]
    daemon.ok("kill", "b")
    gone(daemon)


def stand_in(world, uid, name, uuid):
    """A process like a QEMU that a jail left behind and that the daemon does not know; returns its pid."""
    before = set(world.processes())
    world.exec("sh", "-c", 'exec setpriv --reuid="$1" --regid="$1" --clear-groups /usr/bin/python3 -c '
               '"import signal; signal.pause()" -name "guest=$2,process=x" -uuid "$3" >/dev/null 2>&1 </dev/null &',
               "sh", str(uid), name, uuid)
    pid, = world.eventually(lambda: {p for p, line in world.processes().items() if "guest=" + name in line} - before,
                            lambda found: len(found) == 1)
    # an execve() changes the owner of its directory first, and has no command line then
    world.eventually(lambda: (os.stat(world.inner("/proc/%d" % pid)).st_uid, world.processes().get(pid, "")[:16]),
                     lambda is_now: is_now == (uid, "/usr/bin/python3"))
    return pid


@pytest.mark.parametrize("verb", ("start", "kill", "stop"))
def test_a_process_that_nobody_told_of(daemon, verb):
    """A verb that depends on it searches the processes first."""
    before = up(daemon)
    daemon.ok("kill", "a")
    pid = stand_in(daemon, before["uid"], "a", before["uuid"])
    if verb == "start":
        daemon.ok("start", "a")
        info = daemon.info("a")
        assert info["pid"] == pid and info["state"] == "running" and not qemus(daemon)
    elif verb == "stop":
        assert "kill a" in daemon.fails(5, "stop", "a")
        assert daemon.info("a")["pid"] == pid and daemon.info("a")["health"] == "unresponsive"
    daemon.ok("kill", "a")
    assert pid not in daemon.processes() and daemon.states() == {"a": "stopped"}
    daemon.ok("start", "a")
    assert len(qemus(daemon)) == 1


def test_process_of_another_daemon(daemon):
    """A process with the same uid and name but another UUID is left alone, also by kill."""
    before = up(daemon)
    daemon.ok("kill", "a")
    pid = stand_in(daemon, before["uid"], "a", before["uuid"][::-1])
    daemon.ok("kill", "a")
    daemon.ok("start", "a")
    assert len(qemus(daemon)) == 1
    daemon.ok("kill", "a")
    assert pid in daemon.processes()
    daemon.kill(pid)


def test_claims_to_be_another(hostile):
    """A false command line makes a guest hostile, and does not affect the VM whose name it claims."""
    make(hostile, "pretends")
    lockless(hostile, "b")
    hostile.ok("start", "pretends")
    pid = hostile.eventually(lambda: hostile.processes(), lambda found: any("guest=b," in line for line in
                                                                             found.values())) and \
        hostile.info("pretends")["pid"]
    restarted(hostile, lambda: remove(hostile, os.path.join(hostile.run, "vms")))
    info = unwell(hostile, "pretends")
    assert info["pid"] == pid and info["state"] == "running"
    assert hostile.info("b")["state"] == "stopped"
    hostile.up("b")
    assert hostile.info("b")["pid"] != pid
    hostile.ok("kill", "b")
    assert pid in hostile.processes()
    hostile.ok("kill", "pretends")
    assert pid not in hostile.processes()


def test_without_its_first_thread(hostile):
    """It looks like a zombie, but its files and sockets are in use."""
    make(hostile, "headless")
    hostile.ok("start", "headless")
    pid = hostile.info("headless")["pid"]
    hostile.eventually(lambda: vmk.read_text(hostile.inner("/proc/%d/stat" % pid)).split(")")[1].split()[0],
                       lambda state: state == "Z")
    restarted(hostile, lambda: remove(hostile, os.path.join(hostile.run, "vms")))
    assert hostile.info("headless")["pid"] == pid and hostile.info("headless")["state"] == "running"
    hostile.eventually(lambda: hostile.info("headless").get("unresponsive_reason") or "",
                       lambda why: "belongs to another" in why)  # it did answer, without a UUID
    hostile.ok("kill", "headless")
    hostile.eventually(hostile.processes, lambda found: pid not in found)


@walk("step", range(1, 90), some=2)
def test_jail_under_way(world, step):
    """It hangs at some step while its daemon dies and its record is lost: it never becomes a second QEMU."""
    steps = Steps(world, "vmkeep-jail", signal.SIGSTOP)
    world.start(env=steps.env)
    lockless(world, "a")
    world.ok("start", "a")  # QEMU is probed from now on
    world.ok("kill", "a")
    steps.arm(step)
    world.ok("start", "--no-wait", "a")
    world.eventually(lambda: steps.left() == 0 or world.info("a")["state"] == "running", bool)
    steps.over()
    jails = [pid for pid, line in world.processes().items() if "vmkeep-jail" in line]
    remove(world, os.path.join(world.run, "vms"))
    world.start()
    world.ok("start", "--no-wait", "a")
    for pid in set(jails) & set(world.processes()):
        world.kill(pid, "CONT")
    world.ok("start", "a")
    world.eventually(world.processes, lambda found: not any("vmkeep-jail" in line for line in found.values()))
    assert len(qemus(world)) == 1 and world.info("a")["state"] == "running"
    world.ok("kill", "a")
    gone(world)
