# SPDX-License-Identifier: MIT
"""A disk is never replaced by an empty one. A disk that some start found is reported when it is missing, whoever
created it, and Size= creates one only when a person types start or reboot, whose output says so."""
import os
import re

import vmk

GONE = r"disk 'root' (created|that was there) on \d{4}-\d\d-\d\d is missing: is .* mounted\?"
YET = "disk 'root' does not exist yet: 'vmkeep start a' creates it"


def sized(world, name="a", lines="", disk="Path=a.qcow2\n"):
    world.write(name + ".vm", "[VM]\nMemory=16M\nNetworks=none\n%s[Disk root]\n%sSize=8M\n" % (lines, disk))


def images(world):
    return sorted(os.listdir(world.inner(world.images)))


def test_an_image_that_a_person_made(daemon):
    """If its file system is not mounted later, it is reported as missing, and nothing creates another, however it is
    started."""
    sized(daemon)
    daemon.image("a.qcow2")
    assert "created" not in daemon.ok("start", "a")
    daemon.ok("kill", "a")
    daemon.exec("mount", "-t", "tmpfs", "tmpfs", daemon.images)
    try:
        for _ in range(2):
            assert re.search(GONE, daemon.fails(4, "start", "a"))
            assert re.search(GONE, daemon.vmkeep("check", "a").out)
            daemon.kill_daemon()
            daemon.start()
        sized(daemon, disk="Path=./a.qcow2\n")
        assert re.search(GONE, daemon.fails(4, "start", "a"))
        daemon.write("a.vm", "[VM]\nMemory=16M\nNetworks=none\n[Disk other]\nPath=a.qcow2\nSize=8M\n")
        assert "is missing" in daemon.fails(4, "start", "a")
        assert images(daemon) == []
    finally:
        daemon.exec("umount", "-l", daemon.images)
    assert daemon.ok("start", "a") == "a: running\n"


def test_a_snapshot_before_the_first_start(daemon):
    """Says who creates the image, although the file has its Size= already."""
    sized(daemon)
    for argv in (["snapshot", "create", "a", "s"], ["snapshot", "list", "a"]):
        assert YET in daemon.fails(4, *argv)
    daemon.ok("start", "a")
    daemon.ok("kill", "a")
    daemon.ok("snapshot", "create", "a", "s")
    os.unlink(daemon.images + "/a.qcow2")
    assert re.search(GONE, daemon.fails(4, "snapshot", "create", "a", "s"))


def test_another_image_directory(daemon):
    """ImageDir= is changed but the images are not moved."""
    sized(daemon)
    daemon.image("a.qcow2")
    daemon.ok("start", "a")
    daemon.ok("kill", "a")
    other = os.path.join(daemon.base, "other")
    os.mkdir(other)
    daemon.write("vmkeep.conf", vmk.DEFAULTS + "[Daemon]\nImageDir=%s//\n" % other)
    said = daemon.vmkeep("reload")
    assert said.code == 2 and "ImageDir" in said.out and "until the daemon is restarted" in said.out, said
    daemon.kill_daemon()
    daemon.start()
    assert daemon.ok("reload") == "no problems\n"
    assert "is missing: is %s mounted" % other in daemon.fails(4, "start", "a")
    os.rename(daemon.images + "/a.qcow2", other + "/a.qcow2")
    daemon.ok("start", "a")


def test_a_new_name(daemon):
    """A person changes Path= and then types start: a new disk is created, and reported."""
    sized(daemon)
    daemon.ok("start", "a")
    daemon.ok("kill", "a")
    sized(daemon, disk="Path=new.qcow2\n")
    assert daemon.ok("start", "a") == "a: disk root created, 8M\na: running\n"
    daemon.ok("kill", "a")
    os.unlink(daemon.images + "/a.qcow2")
    sized(daemon)
    said = daemon.fails(4, "start", "a")
    assert re.search(GONE, said) and "qemu-img create -f qcow2" in said
    assert images(daemon) == ["new.qcow2"]


# On a person's request.


def test_created_is_said(daemon):
    """In the answer, in the log and in the history, with a line for each disk."""
    sized(daemon, lines="[Disk more]\nPath=sub/more.raw\nSize=1G\n")
    os.mkdir(daemon.images + "/sub")
    assert daemon.ok("check", "a") == "no problems\n"
    assert daemon.ok("start", "a") == "a: disk more created, 1G\na: disk root created, 8M\na: running\n"
    assert daemon.ok("start", "a") == "a: already running\n"
    assert "disk root created, 8M" in daemon.ok("history", "a")
    assert "disk root created, 8M" in vmk.read_text(daemon.base + "/daemon.log")
    sized(daemon, "b", disk="Path=b.qcow2\n")
    assert daemon.one("start", "b")["notes"] == ["disk root created, 8M"]


def test_reboot_creates(daemon):
    sized(daemon)
    daemon.image("a.qcow2", "polite", "up\r\n")
    daemon.ok("start", "a")
    daemon.console("a").until("up")
    sized(daemon, lines="[Disk more]\nPath=more.raw\nSize=8M\n")
    said = daemon.ok("reboot", "a")
    assert said == "a: disk more created, 8M\na: running\n", said


def test_not_at_boot(world):
    """A VM that starts at boot and never ran, and one that requires it: both say what to do."""
    sized(world, lines="Enable=yes\n")
    world.image("b.raw")
    world.write("b.vm", "[VM]\nMemory=16M\nNetworks=none\nEnable=yes\n[Disk root]\nPath=b.raw\n"
                        "[Lifecycle]\nRequires=a\n")
    world.start()
    row = world.eventually(lambda: world.info("a"), lambda info: YET in (info["reason"] or ""))
    assert row["state"] == "backoff" and YET in world.ok("list")
    assert YET in world.ok("check", "a")
    world.common_check()
    assert images(world) == ["b.raw"]
    assert world.ok("start", "a") == "a: disk root created, 8M\na: running\n"


def test_not_by_restart(daemon):
    """A crash, and the image is gone by then, whether or not Path= is still the same."""
    sized(daemon, lines="[Lifecycle]\nRestart=always\nRestartSec=1s\n")
    daemon.ok("start", "a")
    sized(daemon, lines="[Lifecycle]\nRestart=always\nRestartSec=1s\n", disk="Path=new.qcow2\n")
    daemon.ok("reload")
    daemon.kill(daemon.info("a")["pid"])
    daemon.eventually(lambda: daemon.info("a"), lambda info: YET in (info["reason"] or ""))
    assert images(daemon) == ["a.qcow2"]
    daemon.kill_daemon()
    daemon.start()
    assert daemon.info("a")["state"] == "backoff" and images(daemon) == ["a.qcow2"]
    assert "disk root created, 8M" in daemon.ok("start", "a")
