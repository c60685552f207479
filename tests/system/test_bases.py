# SPDX-License-Identifier: MIT
"""Overlays and their bases: from its first use on, each base has the format that the image above it states."""
import json
import os
import re

import vmk
from test_headers import checked, disk, refused, shell

BASE = "qemu-img convert -f raw -O qcow2 r cloud.img; "


def world(daemon, line, base=BASE):
    """Makes a raw image r with a micro guest, and other images from it."""
    os.rename(daemon.image("r.raw", banner="up\r\n"), daemon.images + "/r")
    shell(daemon, base + line)


def overlay(daemon, *bases, file="a.qcow2", more=""):
    disk(daemon, "a", file, "".join("Base=%s\n" % base for base in bases) + more)


def follow(daemon, hint):
    """Runs the qemu-img command of a hint."""
    command = hint[hint.index("qemu-img"):].split(" restores it")[0].split(", and write")[0]
    shell(daemon, command.replace("NEW", "new.qcow2"))


def test_qcow2_under_the_name_of_raw(daemon):
    """A base may be qcow2 despite its name, as in cloud images of distributions; its guest boots."""
    world(daemon, "qemu-img create -qf qcow2 -b cloud.img -F qcow2 a.qcow2")
    overlay(daemon, "cloud.img")
    assert checked(daemon, "a") == []
    daemon.up("a")
    assert '"driver":"qcow2","node-name":"d1-root"' in daemon.ok("cmdline", "a")


def test_raw_under_any_name(daemon):
    world(daemon, "mv r cloud.qcow2; qemu-img create -qf qcow2 -b cloud.qcow2 -F raw a.qcow2; cp cloud.qcow2 cloud; "
          "qemu-img create -qf qcow2 -b cloud -F raw b.qcow2", "")
    overlay(daemon, "cloud.qcow2")
    daemon.up("a")
    daemon.ok("kill", "a")
    overlay(daemon, "cloud", file="b.qcow2")
    daemon.up("a")


def formats(daemon):
    said = daemon.ok("cmdline", "a")
    backing = json.loads(re.search("-blockdev '(.*)'", said).group(1))["backing"]
    found = []
    while backing:
        found.append(backing["driver"])
        backing = backing.get("backing")
    return found, "guess" in said


def test_cmdline_before_the_first_start(daemon):
    """cmdline shows what a start would do, which reads the headers; if it cannot read them it says that it guesses."""
    world(daemon, "cp cloud.img base.qcow2; mv r raw.qcow2; qemu-img create -qf qcow2 -b cloud.img -F qcow2 a.qcow2; "
          "qemu-img create -qf qcow2 -b raw.qcow2 -F raw b.qcow2; qemu-img create -qf qcow2 -b a.qcow2 -F qcow2 c.raw")
    overlay(daemon, "cloud.img")
    assert formats(daemon) == (["qcow2"], False)
    overlay(daemon, "raw.qcow2", file="b.qcow2")
    assert formats(daemon) == (["raw"], False)
    overlay(daemon, "a.qcow2", "cloud.img", file="c.raw", more="Format=qcow2\n")
    assert formats(daemon) == (["qcow2", "qcow2"], False)
    overlay(daemon, "cloud.img", file="new.qcow2", more="Size=64M\n")
    assert formats(daemon) == (["qcow2"], False), "to be made: the base itself tells"
    overlay(daemon, "nowhere.img")
    assert formats(daemon) == (["raw"], True)
    overlay(daemon, "cloud.img")
    assert not os.path.exists(daemon.state + "/vms/a/identity.json") or \
        '"bases"' not in vmk.read_text(daemon.state + "/vms/a/identity.json"), "nothing is pinned by asking"
    daemon.up("a")
    assert formats(daemon) == (["qcow2"], False)


def test_a_chain_of_several_formats(daemon):
    world(daemon, "mv r base.x; qemu-img create -qf qcow2 -b base.x -F raw mid.img; "
          "qemu-img create -qf qcow2 -b mid.img -F qcow2 top.raw; qemu-img create -qf qcow2 -b top.raw -F qcow2 a.qcow2", "")
    overlay(daemon, "top.raw", "mid.img", "base.x")
    daemon.up("a")
    daemon.ok("kill", "a")
    daemon.up("a")


def test_nothing_is_stated(daemon):
    """Without a stated format the name decides; if that is wrong, the hint's command fixes it."""
    world(daemon, "qemu-img create -qf qcow2 -b cloud.img -F qcow2 a.qcow2")
    path = daemon.images + "/a.qcow2"
    with open(path, "r+b") as f:
        head = f.read(4096)
        at = head.find(b"\xe2\x79\x2a\xca")
        f.seek(at)  # as older programs leave it
        f.write(b"\0\0\0\1")
    overlay(daemon, "cloud.img")
    follow(daemon, refused(daemon, "a", "has a qcow2 header", "qemu-img rebase -u -F qcow2"))
    daemon.up("a")


def test_it_is_kept_from_the_first_use_on(daemon):
    """A guest can write the header of its image: a different format there is refused later, and the hint's command
    fixes it."""
    world(daemon, "qemu-img create -qf qcow2 -b cloud.img -F qcow2 a.qcow2")
    overlay(daemon, "cloud.img")
    daemon.up("a")
    daemon.ok("kill", "a")
    shell(daemon, "qemu-img rebase -u -F raw -b cloud.img a.qcow2")
    hint = refused(daemon, "a", "now says", "qemu-img rebase -u -F qcow2", code=3)
    follow(daemon, hint)
    daemon.kill_daemon()
    daemon.start()
    daemon.up("a")


def test_what_ran_before_goes_on(daemon):
    """With an identity from before bases were recorded, the header's format is ignored."""
    world(daemon, "mv cloud.img cloud.qcow2; qemu-img create -qf qcow2 -b cloud.qcow2 -F qcow2 a.qcow2")
    overlay(daemon, "cloud.qcow2")
    daemon.up("a")
    daemon.ok("kill", "a")
    daemon.kill_daemon()
    path = daemon.state + "/vms/a/identity.json"
    with open(path, encoding="utf-8") as f:
        identity = json.load(f)
    del identity["bases"]
    with open(path, "w", encoding="utf-8") as f:
        json.dump(identity, f)
    shell(daemon, "qemu-img rebase -u -F raw -b cloud.qcow2 a.qcow2")
    daemon.start()
    for _ in range(2):
        daemon.up("a")
        daemon.ok("kill", "a")


def test_another_programs_base(daemon):
    world(daemon, "qemu-img convert -f raw -O vmdk r c.vmdk; qemu-img create -qf qcow2 -b c.vmdk -F vmdk a.qcow2")
    overlay(daemon, "c.vmdk")
    follow(daemon, refused(daemon, "a", "is vmdk; a base must be raw or qcow2", "qemu-img convert -f vmdk -O qcow2"))
    overlay(daemon, "new.qcow2")
    daemon.up("a")


def test_the_wrong_base(daemon):
    """A base other than the one that the image was made on is refused: its guest would read garbage."""
    world(daemon, "cp cloud.img other.img; qemu-img create -qf qcow2 -b cloud.img -F qcow2 mid.qcow2; "
          "qemu-img create -qf qcow2 -b mid.qcow2 -F qcow2 a.qcow2")
    overlay(daemon, "cloud.img", "mid.qcow2")
    rows = checked(daemon, "a")
    assert "Base= lines do not follow the order" in rows[0]["reason"], rows
    assert rows[0]["reason"] in daemon.fails(2, "start", "a")
    overlay(daemon, "cloud.img")
    refused(daemon, "a", "is based on mid.qcow2, not on", "write Base=mid.qcow2")
    shell(daemon, "qemu-img create -qf qcow2 -b r -F raw b.qcow2")
    disk(daemon, "b", "b.qcow2", "Base=r\nBase=cloud.img\n")
    assert "a raw image like" in daemon.fails(2, "start", "b")
    overlay(daemon, "mid.qcow2", "other.img")
    follow(daemon, refused(daemon, "a", "is based on cloud.img, not on", "rebase -u -F qcow2"))
    daemon.up("a")


def test_a_base_that_changed(daemon):
    world(daemon, "qemu-img create -qf qcow2 -b cloud.img -F qcow2 a.qcow2")
    overlay(daemon, "cloud.img")
    daemon.up("a")
    daemon.ok("kill", "a")
    assert checked(daemon, "a") == []
    os.utime(daemon.images + "/cloud.img", (1, 1))
    assert "changed since the last start" in checked(daemon, "a")[0]["reason"]
    daemon.up("a")
    assert checked(daemon, "a") == []


def test_nobody_writes_to_what_others_are_based_on(daemon):
    """Writing to a base would ruin the disks of its overlays; it is allowed before these have run, and reading is
    always allowed."""
    world(daemon, "qemu-img create -qf qcow2 -b cloud.img -F qcow2 a.qcow2")
    overlay(daemon, "cloud.img")
    disk(daemon, "b", "cloud.img", "Format=qcow2\n")
    daemon.up("b")
    daemon.ok("kill", "b")
    daemon.up("a")
    daemon.ok("kill", "a")
    errors = [row for row in checked(daemon, "b") if row["severity"] == "error"]
    assert len(errors) == 1 and "is a base of VM 'a', disk 'root'" in errors[0]["reason"], errors
    assert errors[0]["reason"] in daemon.fails(3, "start", "b")
    disk(daemon, "b", "cloud.img", "Format=qcow2\nReadOnly=yes\n")
    daemon.up("b")
    daemon.ok("kill", "b")
    disk(daemon, "b", "cloud.img", "Format=qcow2\n")
    os.unlink(daemon.config + "/a.vm")
    daemon.up("b")


# Size= with Base=


def test_it_makes_the_overlay(daemon):
    """Size= with Base= creates the overlay at a start that a person requests, with the given size; the guest in the
    base boots."""
    world(daemon, "")
    overlay(daemon, "cloud.img", more="Size=20M\n")
    assert checked(daemon, "a") == []
    assert os.listdir(daemon.images).count("a.qcow2") == 0
    assert daemon.ok("start", "a").splitlines() == ["a: disk root created, 20M", "a: running"]
    info = json.loads(daemon.exec("qemu-img", "info", "-U", "--output=json", daemon.images + "/a.qcow2"))
    assert (info["virtual-size"], info["backing-filename"], info["backing-filename-format"]) == (20 << 20, "cloud.img", "qcow2")
    daemon.ok("kill", "a")
    shell(daemon, "qemu-img check -q a.qcow2; qemu-img compare -q -f qcow2 -F qcow2 a.qcow2 cloud.img")
    daemon.up("a")
    daemon.ok("kill", "a")
    daemon.up("a")


def test_it_makes_it_on_what_there_is(daemon):
    """The base may be raw, in a subdirectory, with a colon in its name; a base that is unusable is refused with the
    reason."""
    world(daemon, "mkdir d; mv r d/x:y.img")
    overlay(daemon, "d/x:y.img", file="d/a.qcow2", more="Size=1G\n")
    daemon.up("a")
    info = json.loads(daemon.exec("qemu-img", "info", "-U", "--output=json", daemon.images + "/d/a.qcow2"))
    assert info["backing-filename-format"] == "raw" and info["backing-filename"] == daemon.images + "/d/x:y.img"
    shell(daemon, "printf '<html>' >page.img; cp cloud.img cut.img; truncate -s 100 cut.img; : >no.qcow2")
    for base, says in (("page.img", "is a web page"), ("cut.img", "truncated"), ("no.qcow2", "it is empty")):
        disk(daemon, "b", "b.qcow2", "Base=%s\nSize=1G\n" % base)
        refused(daemon, "b", says, "again")
        assert not os.path.exists(daemon.images + "/b.qcow2")


def test_it_is_not_less_than_the_base(daemon):
    world(daemon, "qemu-img resize -q cloud.img 2G")
    overlay(daemon, "cloud.img", more="Size=1G\n")
    refused(daemon, "a", "Size=1G is smaller than its base", "write Size=2G or more")
    assert not os.path.exists(daemon.images + "/a.qcow2")
    overlay(daemon, "cloud.img", more="Size=2G\n")
    daemon.up("a")


def test_it_is_made_once(daemon):
    """A lost overlay is reported as missing, not recreated; the hint's command makes a new one."""
    world(daemon, "")
    overlay(daemon, "cloud.img", more="Size=2M\n")
    daemon.up("a")
    daemon.ok("kill", "a")
    os.unlink(daemon.images + "/a.qcow2")
    hint = refused(daemon, "a", "is missing", "-F qcow2", code=4)
    shell(daemon, hint[hint.index("qemu-img"):].split(" makes")[0])
    daemon.up("a")

