# SPDX-License-Identifier: MIT
"""The confinement of a guest's process is reported as the kernel sees it, and a violated rule is detected."""
import os

import pytest

import vmk

RULES = ["own uid", "no groups", "no capabilities", "no new privileges", "system call filters", "not traced",
         "own namespaces", "private root", "mounts", "no network", "sockets", "devices", "directories", "limits",
         "dies first", "bounded output", "own cgroup"]


def rules(world, name, code=0):
    result = world.vmkeep("--json", "info", "--security", name)
    assert result.code == code, result
    rows = vmk.json.loads(result.out)
    assert [row["rule"] for row in rows] == RULES
    return {row["rule"]: [row["holds"], row["found"]] for row in rows}


def test_security_of_a_guest(daemon):
    daemon.micro("a", "echo", extra="[Disk two]\nPath=two.qcow2\nSize=1M\n")
    assert "is stopped: it has no process" in daemon.fails(5, "info", "--security", "a")
    daemon.up("a")
    told = rules(daemon, "a")
    assert {name for name, (holds, _) in told.items() if holds is not True} <= {"own cgroup"}
    assert told["own uid"][1] == str(daemon.info("a")["uid"])
    assert told["system call filters"][1] == "2" and told["own namespaces"][1] == "mnt net ipc uts"
    assert told["private root"][1] == "read-only, 2 files writable"
    assert told["bounded output"][1] == "4M"
    assert told["mounts"][1].startswith("root, ") and told["mounts"][1].endswith(" of the system, 6 files")
    assert told["sockets"][1].endswith(", local streams") and ", its own; /dev has null" in told["devices"][1]
    assert told["directories"][1] == "none open"
    lines = daemon.ok("info", "--security", "a").splitlines()
    assert lines[0].split() == ["RULE", "HOLDS", "FOUND"] and len(lines) == 1 + len(RULES)


def test_devices_are_named(daemon):
    """Including KVM's, which matters most."""
    daemon.micro("a", "echo")
    daemon.up("a")
    nodes = rules(daemon, "a")["devices"][1].split("; /dev has ")[1].split(", ")
    assert ("kvm" in nodes) == (vmk.ACCEL == "kvm") and "null" in nodes


def test_a_rule_that_does_not_hold(daemon):
    """A program without QEMU's own filter, and an OOM score and an output limit changed from outside."""
    daemon.exec("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", "/usr/local/sbin")
    path = daemon.inner("/usr/local/sbin/hostile-qemu")
    with open(os.path.join(vmk.ROOT, "tests", "system", "hostile_qemu.py"), encoding="utf-8") as f:
        text = f.read().replace('BEHAVIOUR[name](monitor)', 'stay(monitor)')
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)
    os.chmod(path, 0o755)
    daemon.micro("a", extra="[QEMU]\nBinary=/usr/local/sbin/hostile-qemu\n")
    daemon.ok("start", "a")
    assert {n for n, (holds, _) in rules(daemon, "a", 1).items() if holds is False} == {"system call filters"}
    pid = daemon.info("a")["pid"]
    daemon.exec("sh", "-c", "echo 0 >/proc/%d/oom_score_adj" % pid)
    daemon.exec("umount", "--lazy", daemon.run + "/vms/a/out")
    told = rules(daemon, "a", 1)
    assert {n for n, (holds, _) in told.items() if holds is False} == {
        "system call filters", "dies first", "bounded output"}
    assert told["dies first"][1] == "0"
    daemon.exec("umount", "--lazy", "/usr/local/sbin")


MOUNT = """
import ctypes, sys
mount = ctypes.CDLL(None, use_errno=True).mount
source, place, kind, flags = sys.argv[1:]
sys.exit(mount(source.encode(), place.encode(), kind.encode() or None, int(flags), None) and ctypes.get_errno())
"""
NOSUID, NODEV, NOEXEC, REMOUNT, BIND = 2, 4, 8, 32, 4096


def test_mounts_that_do_not_belong_there(daemon):
    """A foreign file system, a file that can be executed, and a writable system directory."""
    daemon.micro("a", "echo")
    daemon.up("a")
    pid, disk = daemon.info("a")["pid"], daemon.images + "/a.raw"

    def inside(*words):
        daemon.exec("nsenter", "--target", pid, "--mount", "--root", "--", "/usr/bin/python3", "-I", "-c", MOUNT, *words)

    def unwell():
        return {n for n, (holds, _) in rules(daemon, "a", 1).items() if holds is False}

    inside("tmpfs", "/usr/local/sbin", "tmpfs", NOSUID | NODEV | NOEXEC)
    assert unwell() == {"private root", "mounts"}
    assert "/usr/local/sbin is tmpfs" in rules(daemon, "a", 1)["mounts"][1]
    daemon.exec("nsenter", "--target", pid, "--mount", "--root", "--", "/usr/bin/umount", "--no-mtab", "/usr/local/sbin")
    rules(daemon, "a")
    inside("", disk, "", REMOUNT | BIND | NOSUID | NODEV)
    assert unwell() == {"mounts"}
    inside("", disk, "", REMOUNT | BIND | NOSUID | NODEV | NOEXEC)
    rules(daemon, "a")
    inside("", "/usr", "", REMOUNT | BIND | NOSUID | NODEV)
    assert unwell() == {"private root", "mounts"}


def test_security_after_adoption(daemon):
    daemon.micro("a", "echo")
    daemon.up("a")
    before = rules(daemon, "a")
    daemon.kill_daemon()
    daemon.start()
    daemon.wait_state("a", "running")
    # QEMU accepts the new connections after a while
    daemon.eventually(lambda: rules(daemon, "a"), lambda now: now == before)


def test_io_uring_when_asked_for(daemon):
    """The filter allows io_uring only if it is configured, and then QEMU uses it."""
    daemon.micro("a", "writer", extra="AIO=io_uring\n")
    result = daemon.vmkeep("start", "a")
    if result.code and "io_uring" in result.err:  # this kernel does not support it
        return
    assert result.code == 0, result
    daemon.console("a").until("w{20}")
    kinds = daemon.exec("sh", "-c", "ls -l /proc/%d/fd" % daemon.info("a")["pid"])
    where = daemon.exec("stat", "-f", "-c", "%T", daemon.images).strip()
    if where in ("tmpfs", "overlayfs") and "io_uring" not in kinds:
        pytest.skip("QEMU itself takes threads for what lies in %s" % where)
    assert "io_uring" in kinds


def test_uids_are_nobody_elses(world):
    """Not a user's or group's, none that a user's containers may map, and not that of a VM whose file is gone."""
    world.start()
    world.stop_daemon()
    first = world.first_uid()
    with open(os.path.join(world.base, "passwd"), "a", encoding="utf-8") as f:
        f.write("early:x:%d:100::/:/bin/sh\n" % first)
    with open(os.path.join(world.base, "group"), "a", encoding="utf-8") as f:
        f.write("late::%d:\n" % (first + 1))
    with open(os.path.join(world.base, "subuid"), "w", encoding="utf-8") as f:
        f.write("early:100000:65536\nearly:%d:3\n" % (first + 2))
    world.exec("mount", "--bind", os.path.join(world.base, "subuid"), "/etc/subuid")
    for name in "abc":
        world.micro(name)
    world.start()
    world.ok("start", "a", "b")
    assert [world.info(name)["uid"] for name in "ab"] == [first + 5, first + 6]
    world.ok("kill", "a", "b")
    os.unlink(os.path.join(world.config, "b.vm"))
    world.stop_daemon()
    world.start()
    world.ok("start", "c", "a")
    assert [world.info(name)["uid"] for name in "ac"] == [first + 5, first + 7]
    world.micro("b")
    world.ok("start", "b")
    assert world.info("b")["uid"] == first + 6
    world.exec("umount", "/etc/subuid")
