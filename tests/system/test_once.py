# SPDX-License-Identifier: MIT
"""`start --iso F --once` boots a stopped VM from a CD until it is off: the guest may reset itself, and the daemon be
replaced. Nothing of it is in the file or in the identity, and the next start is without it."""
import json
import os

import pytest

import bootsector
import vmk

ONCE = ("--iso", "rescue.iso", "--once")


def rescue(world, guest="polite", banner="rescue\r\n", name="rescue.iso"):
    with open(os.path.join(world.images, name), "wb") as f:
        f.write(bootsector.cd(guest, banner))


def kept(world):
    return json.loads(vmk.read_text(os.path.join(world.state, "vms/a/identity.json")))


def disks(world):
    return [disk["disk"] for disk in world.info("a")["disks"]]


def boots(world, banner, times=1):
    """The console's log says it for the n-th time."""
    path = os.path.join(world.log, "a/console.log")
    world.eventually(lambda: vmk.read_text(path).count(banner) if os.path.exists(path) else 0, lambda n: n == times, 20)


def test_once(daemon):
    daemon.micro("a", extra="[CDROM cd]\n")
    rescue(daemon)
    daemon.up("a")
    daemon.ok("kill", "a")
    file, identity = vmk.read_text(daemon.config + "/a.vm"), kept(daemon)
    daemon.ok("start", "a", *ONCE)
    boots(daemon, "rescue")
    assert disks(daemon) == ["root", "cd", "vmkeep-once"]
    assert kept(daemon) == identity and vmk.read_text(daemon.config + "/a.vm") == file
    daemon.kill_daemon()
    daemon.start()
    assert disks(daemon) == ["root", "cd", "vmkeep-once"] and kept(daemon) == identity
    daemon.ok("stop", "a")
    daemon.ok("start", "a")
    boots(daemon, "up", 2)
    assert disks(daemon) == ["root", "cd"] and kept(daemon) == identity


def test_resets_keep_it_and_reboot_does_not(daemon):
    daemon.micro("a")
    rescue(daemon)
    daemon.ok("start", "a", *ONCE)
    boots(daemon, "rescue")
    daemon.ok("reset", "a")
    boots(daemon, "rescue", 2)
    daemon.ok("reboot", "a")
    boots(daemon, "up")
    assert disks(daemon) == ["root"]


def test_a_vm_that_boots_a_kernel(daemon, linux):
    """The CD is booted in place of it, also where Order= names other devices."""
    rescue(daemon)
    daemon.linux("a", extra="Order=root\n")
    daemon.ok("start", "a", *ONCE)
    boots(daemon, "rescue")


def test_a_start_that_fails_and_comes_again(daemon):
    """The next start is without the CD, and so is a restart by policy."""
    daemon.micro("a")
    rescue(daemon)
    image = daemon.images + "/rescue.iso"
    os.rename(image, image + ".away")
    daemon.fails(4, "start", "a", *ONCE)
    os.rename(image + ".away", image)
    daemon.ok("start", "a")
    boots(daemon, "up")
    assert disks(daemon) == ["root"]
    daemon.ok("kill", "a")
    daemon.ok("start", "a", *ONCE)
    boots(daemon, "rescue")
    daemon.kill(daemon.info("a")["pid"])
    boots(daemon, "up", 2)
    assert disks(daemon) == ["root"]


@pytest.mark.parametrize("argv, code, says", [
    (["--iso", "rescue.iso"], 2, "belong together"), (["--once"], 2, "belong together"),
    (["--iso", "../a.raw", "--once"], 2, "Path"), (["--iso", "x\n[VM]\nMemory=1G", "--once"], 2, "iso"),
    (["--iso", "", "--once"], 2, ""), (["--iso", "none.iso", "--once"], 4, "none.iso"),
    (["--iso", "/etc", "--once"], 2, "/etc"),
])
def test_what_is_refused(daemon, argv, code, says):
    daemon.micro("a")
    rescue(daemon)
    assert says in daemon.fails(code, "start", "a", *argv)
    daemon.ok("start", "a")
    assert disks(daemon) == ["root"]


def test_rights(daemon):
    """The rules for a CD's Path=: owners use no other images, operators those in the image directory."""
    daemon.micro("a", vm="Owner=alice\n")
    rescue(daemon)
    operator = {"user": "bob", "groups": ["vmkeep"]}
    outside = os.path.join(daemon.base, "x.iso")
    os.rename(daemon.image("x.iso"), outside)
    assert "only an operator" in daemon.fails(9, "start", "a", *ONCE, user="alice")
    assert "only root" in daemon.fails(9, "start", "a", "--iso", outside, "--once", **operator)
    daemon.ok("start", "a", *ONCE, **operator)
    boots(daemon, "rescue")
    said = daemon.fails(5, "start", "a", *ONCE)
    assert "is running" in said and "vmkeep stop a first" in said
    daemon.ok("kill", "a")
    daemon.ok("start", "a", "--iso", daemon.images + "/rescue.iso", "--once", **operator)
    daemon.ok("kill", "a")
    daemon.ok("start", "a", "--iso", outside, "--once")


# create --iso --start


INSTALL = ("create", "a", "--memory", "16", "--network", "none", "--firmware", "bios", "--iso", "rescue.iso")


def boot_disk(world, banner):
    """What an installer does: from now on the disk boots."""
    with open(os.path.join(world.images, "a.raw"), "r+b") as f:
        f.write(bootsector.boot_sector("polite", banner))


def empty_disk(world):
    with open(os.path.join(world.images, "a.raw"), "wb") as f:
        f.truncate(bootsector.SIZE)


def test_install(daemon):
    """The disk is empty: the CD boots, also after a reset and with another daemon. The guest powers itself off: the CD
    is gone."""
    rescue(daemon, "leave")
    empty_disk(daemon)
    out = daemon.ok(*INSTALL, "--disk", "a.raw", "--start")
    assert "CDROM" not in out and "CDROM" not in vmk.read_text(daemon.config + "/a.vm")
    boots(daemon, "rescue")
    assert disks(daemon) == ["root", "vmkeep-once"]
    daemon.ok("reset", "a")
    boots(daemon, "rescue", 2)
    daemon.kill_daemon()
    daemon.start()
    assert disks(daemon) == ["root", "vmkeep-once"]
    boot_disk(daemon, "up\r\n")
    daemon.ok("qmp", "a", "system_reset")
    boots(daemon, "up")
    assert disks(daemon) == ["root", "vmkeep-once"], "the disk boots first, with the CD still there"
    daemon.ok("stop", "a")
    daemon.ok("start", "a")
    boots(daemon, "up", 2)
    assert disks(daemon) == ["root"] and [row["id"] for row in kept(daemon)["disks"]] == ["root"]


def test_the_guest_powers_off(daemon):
    """By itself, as installers do at the end."""
    rescue(daemon, "leave")
    empty_disk(daemon)
    daemon.ok(*INSTALL, "--disk", "a.raw", "Boot.Order=root", "--start")
    boots(daemon, "rescue")
    console = daemon.console("a")
    console.type("x")
    daemon.wait_state("a", "stopped")
    boot_disk(daemon, "up\r\n")
    daemon.ok("start", "a")
    boots(daemon, "up")
    assert disks(daemon) == ["root"]


@pytest.mark.parametrize("more", [["--disk", "a.raw"], ["--start"], ["--disk", "a.raw", "--start", "CDROM.cd.Bus=sata"],
                                  ["--disk", "a.raw", "--start", "Boot.Order=cd"]])
def test_a_cd_that_stays(daemon, more):
    """Without a start, without a disk, or with keys of its own it is in the file."""
    rescue(daemon)
    empty_disk(daemon)
    assert "Path=rescue.iso" in daemon.ok(*INSTALL, *more)
    assert "Path=rescue.iso" in vmk.read_text(daemon.config + "/a.vm")
    daemon.ok("start", "a")
    boots(daemon, "rescue")
    assert "vmkeep-once" not in disks(daemon)


def test_rights_to_the_cd(daemon):
    """As if it were in the file, and nothing is written."""
    operator = {"user": "bob", "groups": ["vmkeep"]}
    for path, says in ((daemon.base + "/x.iso", "only root may use"), ("../x.iso", "Path")):
        said = daemon.vmkeep("create", "a", "--disk", "1M", "--start", "--iso", path, **operator)
        assert said.code and says in said.err and not os.path.exists(daemon.config + "/a.vm"), said
