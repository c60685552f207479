# SPDX-License-Identifier: MIT
"""A template is not started, nothing writes to its disks, and whoever is based on them is known: what would take the
base from such a VM is refused, and names it."""
import json
import os
import re

import pytest

import vmk

OVERLAY = "[VM]\nMemory=16M\nNetworks=none\nAccel=tcg\n[Disk root]\nPath=%s.qcow2\nBase=t.qcow2\nSize=1M\n"
ALICE = {"user": "alice", "groups": ["vmkeep-create"]}
BOB = {"user": "bob", "groups": ["vmkeep-create"]}


def path(world, name):
    return os.path.join(world.config, name)


def image(world, name):
    return os.path.join(world.images, name)


def shell(world, line):
    return world.exec("sh", "-ec", "cd %s; %s" % (world.images, line))


def template(world, **how):
    world.micro("t", vm="Accel=tcg\nTemplate=yes\n", disk="qcow2", size=1 << 20, **how)


def overlay(world, name="a"):
    world.write(name + ".vm", OVERLAY % name)


def row(world, name="t"):
    return next(row for row in world.rows("list") if row["name"] == name)


def content(world):
    return shell(world, "sha256sum t.qcow2")


def check_refused(world, code, said, *argv, hint=None):
    told = world.fails(code, *argv)
    assert said in told and (hint is None or hint in told), told


def text(world, name):
    return vmk.read_text(path(world, name))


def uuid_of(world, name):
    return re.search("^UUID=(.*)$", text(world, name), re.M)[1]


def backing(world, name):
    found = json.loads(world.exec("qemu-img", "info", "-U", "--output=json", image(world, name)))
    return found["backing-filename"], found["backing-filename-format"], found["virtual-size"]


def test_it_does_not_start(daemon):
    template(daemon)
    before = content(daemon)
    for argv in (["start", "t"], ["start", "t", "--paused"]):
        check_refused(daemon, 5, "is a template (Template=yes in [VM])", *argv, hint="vmkeep clone t NEW")
    rows = json.loads(daemon.vmkeep("--json", "check", "t").out)
    assert [(r["severity"], r["class"]) for r in rows if "is a template" in r["reason"]] == [("error", "WrongState")]
    assert daemon.vmkeep("check").code == 0, "it is no fault of the configuration"
    for verb in ("create", "revert", "delete"):
        check_refused(daemon, 5, "is a template", "snapshot", verb, "t", "s")
    assert json.loads(daemon.vmkeep("--json", "snapshot", "revert", "t", "s", "--dry-run").out)[0]["refused"]["class"] == "WrongState"
    assert daemon.rows("snapshot", "list", "t") == [] and content(daemon) == before
    daemon.ok("set", "t", "VM.Template=no")
    daemon.up("t")


@pytest.mark.parametrize("line", ["", "Enable=yes\n"], ids=["required", "enabled by hand"])
def test_not_with_the_host(world, line):
    template(world)
    world.start()
    check_refused(world, 2, "a template cannot start with the host", "enable", "t")
    check_refused(world, 2, "a template cannot start with the host", "enable", "t", "--last")
    world.write("t.vm", vmk.read_text(path(world, "t.vm")).replace("Template=yes\n", "Template=yes\n" + line))
    assert ("t.vm:6: Enable: a template cannot start" in world.vmkeep("check").out) == bool(line)
    world.micro("b", vm="Enable=yes\n", extra="[Lifecycle]\nRequires=t\n")
    world.stop_daemon()
    world.another_boot()
    world.start()
    world.eventually(lambda: row(world, "b")["reason"], lambda found: "'t'" in found, 30)
    assert row(world)["state"] != "running"
    world.exec("umount", vmk.BOOT_ID)


def test_who_is_based_on_it(daemon):
    template(daemon)
    assert row(daemon)["overlays"] == 0 and "OVERLAYS" in daemon.ok("list")
    overlay(daemon)
    overlay(daemon, "b")
    assert row(daemon)["overlays"] == 2 and row(daemon, "a")["overlays"] is None
    found = daemon.info("t")
    assert found["template"] is True and found["overlays"] == ["a", "b"] and not daemon.info("a")["template"]
    daemon.up("a")
    daemon.up("b")  # both at once, on one base
    check_refused(daemon, 3, "its disks are bases of other VMs: a, b", "delete", "t", "--yes", hint="vmkeep delete a")
    daemon.ok("kill", "a", "b")
    daemon.ok("delete", "a", "--yes")
    check_refused(daemon, 3, "other VMs: b", "delete", "t", "--yes", "--force")
    check_refused(daemon, 3, "other VMs: b", "delete", "t", "--yes", "--disks")
    daemon.ok("delete", "b", "--yes")
    daemon.ok("delete", "t", "--yes")
    assert "t.vm" not in os.listdir(daemon.config) and "t.qcow2" in os.listdir(daemon.images)


@pytest.mark.parametrize("argv", [
    ["set", "t", "VM.Template=no"], ["unset", "t", "VM.Template"], ["set", "t", "Disk.root.Path=other.qcow2"],
    ["unset", "t", "Disk.root.Path"], ["set", "t", "VM.Template=no", "--force"],
])
def test_what_would_take_the_base(daemon, argv):
    """Whether the overlay ran or not; afterwards each of them is allowed."""
    template(daemon)
    overlay(daemon)
    before = vmk.read_text(path(daemon, "t.vm"))
    if argv[0] == "unset" and argv[2].startswith("Disk"):
        daemon.write("t.vm", before.replace("Path=t.qcow2", "Path=t.qcow2\nSize=1M"))
        before = vmk.read_text(path(daemon, "t.vm"))
    check_refused(daemon, 3, "its disks are bases of other VMs: a", *argv)
    daemon.ok("set", "t", "VM.Memory=32M", "VM.Description=x")
    daemon.write("t.vm", before)
    daemon.ok("delete", "a", "--yes")
    daemon.ok(*argv)


def test_behind_our_back(daemon):
    """Template= was removed by hand: once the overlay ran, nothing writes to its base."""
    template(daemon)
    overlay(daemon)
    daemon.up("a")
    daemon.ok("kill", "a")
    before = content(daemon)
    daemon.write("t.vm", vmk.read_text(path(daemon, "t.vm")).replace("Template=yes\n", ""))
    for argv in (["start", "t"], ["snapshot", "create", "t", "s"], ["check", "t"]):
        told = daemon.vmkeep(*argv)
        assert told.code and "is a base of VM 'a', disk 'root'" in told.out + told.err, (argv, told)
    daemon.write("a.vm", "[VM]\nMemory=junk\n")  # what it says is not known
    daemon.kill_daemon()
    daemon.start()
    check_refused(daemon, 3, "is a base of VM 'a'", "start", "t")
    assert content(daemon) == before


def test_the_file_of_a_running_overlay_is_gone(daemon):
    template(daemon)
    overlay(daemon)
    daemon.up("a")
    os.unlink(path(daemon, "a.vm"))
    daemon.write("t.vm", vmk.read_text(path(daemon, "t.vm")).replace("Template=yes\n", ""))
    check_refused(daemon, 3, "is a base of VM 'a'", "start", "t")
    daemon.ok("kill", "a")


def test_another_vm_with_its_disk(daemon):
    """Whoever has run on it: it may be read."""
    template(daemon)
    daemon.write("x.vm", "[VM]\nMemory=16M\nNetworks=none\nAccel=tcg\n[Disk root]\nPath=t.qcow2\n")
    before = content(daemon)
    check_refused(daemon, 3, "is a disk of VM 't', a template: nothing writes to it", "start", "x", hint="ReadOnly=yes")
    daemon.ok("set", "x", "Disk.root.ReadOnly=yes")
    daemon.up("x")
    assert content(daemon) == before


def test_another_name(daemon):
    """The images keep theirs; one that would not is named."""
    template(daemon)
    overlay(daemon)
    daemon.ok("rename", "t", "u")
    assert daemon.info("u")["overlays"] == ["a"]
    daemon.up("a")
    daemon.ok("kill", "a")
    daemon.ok("rename", "u", "t")
    daemon.ok("rename", "a", "b")
    assert daemon.info("t")["overlays"] == ["b"]


def test_the_name_of_an_image_that_was_never_used(daemon):
    template(daemon)
    shell(daemon, "mv t.qcow2 t-root.qcow2")
    daemon.write("t.vm", vmk.read_text(path(daemon, "t.vm")).replace("Path=t.qcow2", "Size=1M"))
    daemon.write("a.vm", (OVERLAY % "a").replace("Base=t.qcow2", "Base=t-root.qcow2"))
    check_refused(daemon, 3, "bases of other VMs: a", "rename", "t", "u", hint="vmkeep set t Disk.root.Path=t-root.qcow2")
    daemon.ok("set", "t", "Disk.root.Path=t-root.qcow2")
    daemon.ok("rename", "t", "u")
    daemon.up("a")


def test_a_running_vm_becomes_one(daemon):
    """It runs until it ends, and does not come back."""
    daemon.micro("t", guest="polite", vm="Accel=tcg\n", disk="qcow2")
    daemon.up("t")
    daemon.ok("set", "t", "VM.Template=yes")
    check_refused(daemon, 5, "is a template", "reboot", "t")
    assert daemon.info("t")["state"] == "running"
    overlay(daemon)
    check_refused(daemon, 3, "in use", "start", "a")
    daemon.ok("kill", "t")
    check_refused(daemon, 5, "is a template", "start", "t")
    daemon.ok("start", "a")
