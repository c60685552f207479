# SPDX-License-Identifier: MIT
"""A template is not started, nothing writes to its disks, and whoever is based on them is known: what would take the
base from such a VM is refused, and names it."""
import json
import os
import re
import threading

import pytest

import vmk
from steps import Steps
from test_agent import boot
from walk import walk

OVERLAY = "[VM]\nMemory=16M\nNetworks=none\nAccel=tcg\n[Disk root]\nPath=%s.qcow2\nBase=t.qcow2\nSize=1M\n"


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


# --- clone --linked


def text(world, name):
    return vmk.read_text(path(world, name))


def uuid_of(world, name):
    return re.search("^UUID=(.*)$", text(world, name), re.M)[1]


def backing(world, name):
    found = json.loads(world.exec("qemu-img", "info", "-U", "--output=json", image(world, name)))
    return found["backing-filename"], found["backing-filename-format"], found["virtual-size"]


def test_a_linked_clone(daemon):
    """Nothing is copied; the first start makes its disk."""
    template(daemon)
    there, before = os.listdir(daemon.images), content(daemon)
    row = daemon.one("clone", "t", "a", "--linked")
    assert row["disks"] == [] and os.listdir(daemon.images) == there
    assert text(daemon, "a.vm") == text(daemon, "t.vm").replace("Template=yes\n", "UUID=%s\nEnable=no\n" % row["uuid"]).replace(
        "Path=t.qcow2\n", "Path=a.qcow2\nBase=t.qcow2\nSize=1M\n")
    assert json.loads(daemon.ok("--json", "check", "a")) == [] and daemon.info("t")["overlays"] == ["a"]
    daemon.ok("clone", "t", "b", "--linked")
    daemon.up("a")
    daemon.up("b")
    assert backing(daemon, "a.qcow2") == ("t.qcow2", "qcow2", 1 << 20)
    assert len({daemon.info(name)["uuid"] for name in "ab"}) == 2
    daemon.ok("kill", "a", "b")
    assert content(daemon) == before
    daemon.ok("set", "b", "VM.Template=yes")  # a chain
    daemon.ok("clone", "b", "c", "--linked")
    assert "Base=b.qcow2\nBase=t.qcow2\n" in text(daemon, "c.vm") and daemon.info("t")["overlays"] == ["a", "b", "c"]
    daemon.up("c")


def test_a_raw_template_with_several_disks(daemon):
    """In a store and a folder, with a drop-in and a specifier; what is only read is shared."""
    store = os.path.join(daemon.base, "nas")
    os.mkdir(store)
    with open(path(daemon, "vmkeep.conf"), "a", encoding="ascii") as f:
        f.write("\n[Store nas]\nPath=%s\n" % store)
    daemon.ok("reload")
    for name in ("disk", "shared.raw", "x.iso"):
        daemon.image("new.raw", banner="up\r\n", size=1000448)
        os.rename(image(daemon, "new.raw"), image(daemon, name))
    os.mkdir(image(daemon, "sub"))
    shell(daemon, "cp disk sub/t-1.raw; cp disk %s/t.raw" % store)
    daemon.write("t.vm", "[VM]\nMemory=16M\nNetworks=none\nAccel=tcg\nTemplate=yes\n[Disk root]\n# a comment\nPath=disk\nFormat=raw\n"
                 "[Disk own]\nPath=sub/%n-1.raw\n[Disk nas]\nStore=nas\nPath=t.raw\n[Disk ro]\nPath=shared.raw\nReadOnly=yes\n[CDROM cd]\nPath=x.iso\n")
    daemon.write("t.vm.d/1.conf", "[VM]\nDescription=one\n[Disk nas]\nCache=writeback\n")
    daemon.ok("clone", "t", "a", "--linked")
    assert text(daemon, "a.vm") == (
        "[VM]\nMemory=16M\nNetworks=none\nAccel=tcg\nDescription=one\nUUID=%s\nEnable=no\n[Disk root]\n# a comment\nPath=a-root.qcow2\nBase=disk\n"
        "Size=977K\n[Disk own]\nPath=sub/a-own.qcow2\nBase=sub/t-1.raw\nSize=977K\n[Disk nas]\nStore=nas\nPath=a-nas.qcow2\nCache=writeback\n"
        "Base=t.raw\nSize=977K\n[Disk ro]\nPath=shared.raw\nReadOnly=yes\n[CDROM cd]\nPath=x.iso\n" % uuid_of(daemon, "a.vm"))
    daemon.up("a")
    assert backing(daemon, "a-root.qcow2") == ("disk", "raw", 1000448)
    assert sorted(os.listdir(store)) == ["a-nas.qcow2", "t.raw"]


def ordinary(world):
    world.ok("set", "t", "VM.Template=no")


def like_qcow2(world):
    world.write("t.vm", text(world, "t.vm").replace("t.qcow2", "t.raw"))
    shell(world, "mv t.qcow2 t.raw")


def outside(world):
    os.rename(image(world, "t.qcow2"), os.path.join(world.base, "t.qcow2"))
    world.write("t.vm", text(world, "t.vm").replace("t.qcow2", os.path.join(world.base, "t.qcow2")))


def managed_name(world):
    world.micro("a")


@pytest.mark.parametrize("spoil, code, said", [
    (ordinary, 5, "is not a template"),
    (like_qcow2, None, "begins like a qcow2 image"),
    (outside, 3, "is in no store"),
    (managed_name, 3, "the VM exists"),
    (lambda w: w.image("a.qcow2"), 3, "has an image 'a.qcow2' already"),
    (lambda w: os.symlink("nowhere", image(w, "a.qcow2")), 3, "already"),
    (lambda w: os.unlink(image(w, "t.qcow2")), 4, "has no image 't.qcow2'"),
    (lambda w: shell(w, "yes | head -c 9999 >t.qcow2"), None, "is not a qcow2 image"),
    (lambda w: w.write("t.vm", "[VM]\nMemory=x\n"), 2, "Memory"),
], ids=["no template", "qcow2 in raw", "outside", "taken", "image taken", "a link", "gone", "junk", "broken file"])
@pytest.mark.parametrize("argv", [["clone", "t", "a", "--linked"], ["create", "a", "--template", "t"]], ids=["clone", "create"])
def test_what_is_refused_leaves_nothing(daemon, argv, spoil, code, said):
    template(daemon)
    daemon.ok("list")
    spoil(daemon)
    there = sorted(os.listdir(daemon.config)), sorted(os.listdir(daemon.images))
    done = daemon.vmkeep(*argv)
    assert done.code and code in (None, done.code) and said in done.err, done
    assert (sorted(os.listdir(daemon.config)), sorted(os.listdir(daemon.images))) == there
    assert not os.path.exists(os.path.join(daemon.state, "vms", "a")) and daemon.rows("jobs") == []


def nvram(world):
    world.ok("list")
    states = os.path.join(world.state, "vms")
    os.makedirs(os.path.join(states, "t"), exist_ok=True)
    world.exec("sh", "-ec", "cd %s/t; qemu-img create -qf qcow2 nvram.qcow2 64k; qemu-io -c 'write -P 9 0 64k' nvram.qcow2" % states)
    return states


@pytest.mark.parametrize("argv", [["clone", "t", "a", "--linked"], ["create", "a", "--template", "t"]], ids=["clone", "create"])
def test_uefi_variables(daemon, argv):
    template(daemon)
    states = nvram(daemon)
    daemon.ok(*argv)
    daemon.exec("qemu-img", "compare", "-q", *(os.path.join(states, vm, "nvram.qcow2") for vm in "at"))
    daemon.up("a")


def test_many_at_once(daemon):
    template(daemon)
    daemon.ok("list")
    names = ["c%d" % i for i in range(8)]
    done = []

    def one(name):
        done.append(daemon.vmkeep("clone", "t", name, "--linked").code)
    threads = [threading.Thread(target=one, args=(name,)) for name in names + ["c0"]]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(done)[:8] == [0] * 8 and sorted(done)[8], "one of two with a name"
    assert daemon.info("t")["overlays"] == names


@walk("step", range(1, 60), some=5)
def test_the_daemon_is_killed(world, step):
    """There is a VM, or none; a second try works."""
    template(world)
    steps = Steps(world)
    world.start(env=steps.env)
    nvram(world)
    steps.arm(step)
    done = world.vmkeep("clone", "t", "a", "--linked")
    cut = steps.over()
    assert cut or done.code == 0
    made = os.path.exists(path(world, "a.vm"))
    world.start()
    if not made:
        world.vmkeep("forget", "a")
        world.ok("clone", "t", "a", "--linked")
    world.up("a")


# --- create --template


def test_create(daemon):
    """What is given is set over what the template says."""
    template(daemon, extra="[NIC lan]\nBridge=br0\nModel=e1000\n[CloudInit]\nUser=old\n")
    daemon.write("t.vm", text(daemon, "t.vm").replace("Networks=none\n", ""))
    daemon.ok("create", "a", "--template", "t", "--memory", "24M", "--cpus", "2", "--network", "default", "--user", "anna", "--disk", "2M",
              "--enable", "VM.Description=x")
    written = text(daemon, "a.vm")
    for line in ("Memory=24M", "CPUs=2", "Network=default", "Model=e1000", "User=anna", "Size=2M", "Enable=last", "Description=x", "Base=t.qcow2",
                 "Path=a.qcow2"):
        assert "\n%s\n" % line in written, written
    assert "Bridge=" not in written and "Firmware=" not in written and written.count("Size=") == 1
    assert [row["event"] for row in daemon.rows("history", "a")] == ["create"]


def test_create_and_start(daemon):
    template(daemon)
    before = sorted(os.listdir(daemon.config))
    shown = daemon.one("create", "a", "--template", "t", "--dry-run")
    assert "Base=t.qcow2" in shown["text"] and sorted(os.listdir(daemon.config)) == before
    row = daemon.one("create", "a", "--template", "t", "--start")
    assert row["state"] == "running" and "Base=t.qcow2\n" in row["text"] and row["text"] == text(daemon, "a.vm")
    assert backing(daemon, "a.qcow2")[0] == "t.qcow2"


@pytest.mark.parametrize("words, said", [
    (["--image", "x"], "exclude each other"), (["--firmware", "bios"], "--firmware is the template's"), (["--network", "none"], "NICs are"),
    (["Disk.root.Size=1K"], "smaller"), (["--memory", "x"], "Memory"), (["VM.Template=x"], "Template"),
])
def test_what_create_refuses(daemon, words, said):
    template(daemon)
    done = daemon.vmkeep("create", "a", "--template", "t", *words)
    if said == "smaller":  # by check, as for any disk
        done = daemon.vmkeep("check", "a")
        assert "is smaller than its base" in done.out
        return
    assert done.code == 2 and said in done.err, done
    assert not os.path.exists(path(daemon, "a.vm"))


# --- members of vmkeep-create


ALICE = {"user": "alice", "groups": ["vmkeep-create"]}
BOB = {"user": "bob", "groups": ["vmkeep-create"]}


def test_a_member_clones_a_template(daemon):
    """A template is for all of them; the clone is theirs, and its image has a name that no other has."""
    template(daemon)
    daemon.ok("clone", "t", "a", "--linked", **ALICE)
    own = "a-root.%.8s.qcow2" % uuid_of(daemon, "a.vm")
    assert "\nOwner=alice\n" in text(daemon, "a.vm") and "\nPath=%s\n" % own in text(daemon, "a.vm")
    daemon.ok("start", "a", **ALICE)
    assert backing(daemon, own)[0] == "t.qcow2"
    daemon.ok("kill", "a", **ALICE)
    daemon.ok("clone", "a", "b", **ALICE)  # a full copy of their own
    daemon.ok("clone", "t", "c", **ALICE)
    daemon.ok("create", "d", "--template", "t", "--memory", "17M", "--start", **ALICE)
    for name in "bc":
        assert "\nSize=1M\n" in text(daemon, name + ".vm"), "the quota counts it"
        daemon.ok("start", name, **ALICE)
    assert "may only clone templates and VMs that are bob's own" in daemon.fails(9, "clone", "a", "x", **BOB)
    daemon.fails(9, "clone", "t", "x", user="bob", groups=["vmkeep-view"])
    daemon.fails(9, "set", "t", "VM.Template=no", **ALICE)
    daemon.fails(9, "delete", "t", "--yes", **ALICE)


@pytest.mark.parametrize("words", [
    ["Disk.root.Path=t.qcow2"], ["Disk.root.Path=t.qcow2", "Disk.root.Base="], ["Disk.ro.ReadOnly=no"], ["Disk.root.Size=512K"],
    ["NIC.lan.Bridge=br0"], ["VM.Owner=bob"], ["Disk.more.Path=t.qcow2"], ["Disk.root.Base=other.qcow2"],
])
def test_what_is_not_theirs(daemon, words):
    """Neither at once nor later: a base, and what is only read, is not written to."""
    template(daemon, extra="[Disk ro]\nPath=ro.raw\nReadOnly=yes\n")
    daemon.image("ro.raw")
    daemon.fails(9, "create", "a", "--template", "t", *words, **ALICE)
    assert not os.path.exists(path(daemon, "a.vm"))
    daemon.ok("create", "a", "--template", "t", **ALICE)
    daemon.fails(9, "set", "a", *words, **ALICE)


def test_keys_of_the_template_that_are_not_theirs(daemon):
    template(daemon, extra="[NIC lan]\nBridge=br0\n[X-Site]\nRack=7\n")
    assert "only an operator may change Bridge= in [NIC]" in daemon.fails(9, "clone", "t", "a", "--linked", **ALICE)
    daemon.ok("unset", "t", "NIC.lan.Bridge")
    daemon.ok("clone", "t", "a", "--linked", **ALICE)
    assert "Rack=7" in text(daemon, "a.vm")


@pytest.mark.parametrize("bound", ["VMs=1", "Memory=31M", "Disk=1M"])
@pytest.mark.parametrize("argv", [["clone", "t", "b", "--linked"], ["clone", "t", "b"], ["create", "b", "--template", "t"]],
                         ids=["linked", "full", "create"])
def test_a_quota(daemon, argv, bound):
    template(daemon)
    with open(path(daemon, "vmkeep.conf"), "a", encoding="ascii") as f:
        f.write("\n[Quota @vmkeep-create]\n%s\n" % bound)
    daemon.ok("reload")
    daemon.ok("clone", "t", "a", "--linked", **ALICE)
    there = sorted(os.listdir(daemon.images))
    assert bound.split("=", maxsplit=1)[0] + "=" in daemon.fails(11, *argv, **ALICE)
    assert not os.path.exists(path(daemon, "b.vm")) and sorted(os.listdir(daemon.images)) == there
    daemon.ok(*argv)


# --- template prepare


def prepared(world, cloud_init="echo ci $*"):
    """A guest that says on its console what is done to it."""
    console = boot(world, name="t", extra="[Disk data]\nSize=1M\n")
    console.run("mkdir -p /etc/ssh /var/lib/systemd /var/lib/dbus; echo 1234 >/etc/machine-id; echo 1234 >/var/lib/dbus/machine-id; "
                "touch /etc/ssh/ssh_host_rsa_key /etc/ssh/ssh_host_rsa_key.pub /etc/ssh/config /var/lib/systemd/random-seed")
    console.run("printf '#!/bin/sh\\n(%s) >/dev/console\\n' >/bin/cloud-init; chmod +x /bin/cloud-init" % cloud_init)
    # what the script removes last
    console.run("{ (while [ -e /var/lib/dbus/machine-id ]; do usleep 10000; done; "
                "echo left $(wc -c </etc/machine-id) $(ls /etc/ssh /var/lib/systemd /var/lib/dbus | xargs) >/dev/console) & }")
    return console


def test_prepare(daemon, linux):
    prepared(daemon)
    daemon.write("t.vm.d/1.conf", "[VM]\nEnable=yes\n")
    assert daemon.ok("template", "prepare", "t", timeout=120)
    assert daemon.info("t")["state"] == "stopped" and daemon.info("t")["template"] is True
    assert vmk.read_text(path(daemon, "t.vm.d/1.conf")) == "[VM]\nEnable=no\n" and "\nTemplate=yes\n" in text(daemon, "t.vm")
    said = daemon.ok("log", "t")
    assert "ci clean --logs" in said and re.search(r"left 0 /etc/ssh: config /var/lib/dbus: /var/lib/systemd:\s", said), said
    assert [row["event"] for row in daemon.rows("history", "t")][-3:].count("prepare") <= 1
    check_refused(daemon, 5, "is not running", "template", "prepare", "t")
    daemon.ok("clone", "t", "a", "--linked")
    assert "Base=t-data.qcow2\n" in text(daemon, "a.vm")


def test_prepare_fails_in_the_guest(daemon, linux):
    """What it said is told, and the VM is as it was."""
    console = prepared(daemon)
    console.run("printf '#!/bin/sh\\necho no disk >&2; exit 3\\n' >/bin/cloud-init")
    before = text(daemon, "t.vm")
    check_refused(daemon, 8, "exit status 3, and said: no disk", "template", "prepare", "t")
    console.run("printf '#!/bin/sh\\nsleep 1000\\n' >/bin/cloud-init")
    check_refused(daemon, 6, "is not done within 1 s", "template", "prepare", "t", "--timeout", "1")
    daemon.write("t.vm", before.replace("[VM]\n", "[VM]\nX-Managed=ansible\n"))
    check_refused(daemon, 3, "is managed by 'ansible'", "template", "prepare", "t")
    daemon.write("t.vm", before)
    assert daemon.info("t")["state"] == "running" and text(daemon, "t.vm") == before


def test_prepare_without_an_agent(daemon):
    daemon.micro("t", disk="qcow2")
    check_refused(daemon, 5, "is not running", "template", "prepare", "t")
    daemon.up("t")
    before = text(daemon, "t.vm")
    assert daemon.vmkeep("template", "prepare", "t").code in (5, 8)
    assert text(daemon, "t.vm") == before and daemon.info("t")["state"] == "running"


@walk("step", range(1, 60), some=2)
def test_prepare_is_killed(world, linux, step):
    """An ordinary VM or a template; repeated, it ends as a template."""
    world.start()
    prepared(world)
    world.kill_daemon()
    steps = Steps(world)
    world.start(env=steps.env)
    world.ok("list")
    steps.arm(step)
    world.vmkeep("template", "prepare", "t", timeout=120)
    steps.over()
    world.start()
    world.eventually(lambda: world.info("t")["state"], lambda found: found in ("running", "stopped"), 60)
    if world.info("t")["state"] == "running":
        world.eventually(lambda: world.info("t").get("agent"), lambda found: found == "open", 60)
        world.vmkeep("template", "prepare", "t", timeout=120)
        world.wait_state("t", "stopped", timeout=60)
    assert world.info("t")["template"] is True
    check_refused(world, 5, "is a template", "start", "t")
