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
