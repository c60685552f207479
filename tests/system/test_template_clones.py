# SPDX-License-Identifier: MIT
"""VMs made of a template, by `clone` and `create --template`: what they have in common with it and what not, and what a
member of vmkeep-create may."""
import json
import os
import threading

import pytest

import vmk
from steps import Steps
from test_templates import ALICE, BOB, backing, content, image, path, shell, template, text, uuid_of
from walk import walk


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


def test_a_full_copy(daemon):
    """It does not need the template any more."""
    template(daemon)
    daemon.ok("clone", "t", "a")
    assert daemon.info("t")["overlays"] == [] and "Base=" not in text(daemon, "a.vm")
    daemon.ok("delete", "t", "--yes", "--disks")
    daemon.up("a")


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


@walk("argv, step", [["clone", "t", "a", "--linked"], ["create", "a", "--template", "t"], ["clone", "t", "a"]], range(1, 70), some=6)
def test_the_daemon_is_killed(world, argv, step):
    """There is a VM, or none; a second try works."""
    template(world)
    steps = Steps(world)
    world.start(env=steps.env)
    nvram(world)
    steps.arm(step)
    done = world.vmkeep(*argv, **ALICE)
    cut = steps.over()
    assert cut or done.code == 0
    made = os.path.exists(path(world, "a.vm"))
    world.start()
    assert not made or "\nOwner=alice\n" in text(world, "a.vm")
    if made:
        assert "exists" in world.fails(3, *argv, **ALICE)
    else:
        world.alone()
        world.vmkeep("forget", "a")
        world.ok(*argv, **ALICE)
    assert not [name for name in os.listdir(world.images) if name.startswith(".vmkeep")]
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


@pytest.mark.parametrize("who", [{}, {"user": "alice", "groups": ["vmkeep"]}], ids=["root", "an operator"])
def test_what_an_operator_makes_is_not_its_owners(daemon, who):
    """Who could look into it, and would have it in his quota."""
    daemon.write("vmkeep.conf", vmk.DEFAULTS + "[Quota bob]\nVMs=2\n")
    template(daemon)
    daemon.write("t.vm", text(daemon, "t.vm").replace("[VM]\n", "[VM]\nOwner=bob @bobs\n"))
    daemon.write("t.vm.d/1.conf", "[VM]\nOwner=dave\n")
    for name, argv in (("a", ["clone", "t", "a"]), ("b", ["clone", "t", "b", "--linked"]), ("c", ["create", "c", "--template", "t"])):
        daemon.ok(*argv, **who)
        assert "Owner=" not in text(daemon, name + ".vm")
        daemon.fails(9, "start", name, **BOB)
    daemon.ok("create", "d", "--template", "t", "VM.Owner=bob", **who)
    daemon.ok("start", "d", **BOB)
    daemon.ok("kill", "d", **BOB)
    daemon.ok("clone", "d", "e", **who)  # of a VM that is no template, too
    assert "Owner=" not in text(daemon, "e.vm")


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
