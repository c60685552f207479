# SPDX-License-Identifier: MIT
"""Stores: images in other directories than the image directory, under the same rules: what a store has is used, and
nothing is created, followed or replaced where the image directory would not allow it."""
import json
import os
import re
import shutil

import pytest

import smallfs
import vmk

ROOT = "[VM]\nMemory=16M\nNetworks=none\n%s[Disk root]\nStore=nas\n%s"


def stores(world, **lines):
    """[Store NAME] of these lines in vmkeep.conf, each in the directory BASE/NAME, which is made."""
    text = vmk.DEFAULTS
    for name, more in lines.items():
        os.makedirs(place(world, name), mode=0o700, exist_ok=True)
        text += "[Store %s]\nPath=%s\n%s" % (name, place(world, name), more)
    world.write("vmkeep.conf", text)


def place(world, name="nas"):
    return os.path.join(world.base, name)


def files(world, name="nas"):
    """What is there, as the world's mounts show it."""
    return sorted(os.listdir(world.inner(place(world, name))))


def vm(world, disk="Size=1M\n", name="a", lines=""):
    world.write(name + ".vm", ROOT % (lines, disk))


def refused(world, code, *words, name="a"):
    """A start is refused, check says the same before, and neither makes anything; what was said."""
    before = files(world)
    said = world.vmkeep("check", name)
    assert said.code == 2, said
    error = world.fails(code, "start", name)
    for text in (said.out, error):
        assert all(re.search(word, text) for word in words), (words, text)
    assert files(world) == before
    return error


# What works.


def test_life_in_a_store(daemon):
    """Made there by Size=, reverted there, found again by the next daemon, and seen in all that is shown."""
    stores(daemon, nas="")
    daemon.micro("a", "deaf", disk="qcow2", extra="[Disk data]\nStore=nas\nSize=8M\n")
    image = place(daemon) + "/a-data.qcow2"
    assert daemon.ok("check", "a") == "no problems\n"
    assert daemon.ok("start", "a") == "a: disk data created, 8M\na: running\n"
    assert files(daemon) == ["a-data.qcow2"] and os.listdir(daemon.images) == ["a.qcow2"]
    assert {d["disk"]: (d["store"], d["path"]) for d in daemon.info("a")["disks"]} == {
        "root": ("default", "a.qcow2"), "data": ("nas", "a-data.qcow2")}
    assert image in daemon.ok("cmdline", "a")
    effective = daemon.ok("cat", "--effective", "a")
    assert "\nStore=nas\n" in effective and "\nStore=default\n" in effective
    daemon.ok("snapshot", "create", "a", "one")
    daemon.kill_daemon()
    daemon.start()
    assert daemon.states() == {"a": "running"}
    assert daemon.ok("diff", "a") == "" and daemon.ok("check", "a") == "no problems\n"
    assert daemon.rows("snapshot", "list", "a")[0]["disks"] == ["root", "data"]
    daemon.ok("snapshot", "revert", "a", "one")
    assert all(row["holds"] is not False for row in daemon.json("info", "--security", "a"))
    daemon.ok("kill", "a")
    row, = daemon.rows("snapshot", "list", "a")
    assert row["snapshot"] == "one"
    daemon.ok("snapshot", "create", "a", "two")
    daemon.ok("snapshot", "revert", "a", "two")
    for name in ("one", "two"):
        daemon.ok("snapshot", "delete", "a", name)
    assert daemon.rows("snapshot", "list", "a") == []
    assert daemon.ok("start", "a") == "a: running\n"


def test_overlay_in_a_store(daemon):
    """A relative base is in the store of its disk, and the header names it as a neighbour."""
    stores(daemon, nas="")
    daemon.exec("qemu-img", "create", "-qf", "qcow2", place(daemon) + "/base.qcow2", "4M")
    vm(daemon, "Path=a.qcow2\nBase=base.qcow2\nSize=8M\n")
    assert "created, 8M" in daemon.ok("start", "a")
    header = daemon.exec("qemu-img", "info", "-U", place(daemon) + "/a.qcow2")
    assert "backing file: base.qcow2" in header
    daemon.ok("kill", "a")
    assert daemon.ok("check", "a") == "no problems\n"
    # another VM must not write to it
    vm(daemon, "Path=base.qcow2\n", name="b")
    assert "is a base of VM 'a'" in daemon.fails(3, "start", "b")
    daemon.write("b.vm", ROOT.replace("Store=nas", "Store=default") % ("", "Path=base.qcow2\nSize=1M\n"))
    daemon.ok("start", "b")


def test_same_name_in_two_stores(daemon):
    """Two images, whichever was made first."""
    stores(daemon, nas="", fast="")
    vm(daemon, "Path=x.raw\nSize=1M\n")
    daemon.ok("start", "a")
    daemon.ok("kill", "a")
    vm(daemon, "Path=x.raw\nSize=1M\n[Disk more]\nStore=fast\nPath=x.raw\nSize=2M\n[Disk own]\nPath=x.raw\nSize=3M\n")
    assert daemon.ok("start", "a") == "a: disk more created, 2M\na: disk own created, 3M\na: running\n"
    vm(daemon, "Path=x.raw\n", name="b")
    said = daemon.vmkeep("check", "b").out
    assert "VM 'a' also has %s/x.raw" % place(daemon) in said
    assert "is in use by VM 'a'" in daemon.fails(3, "start", "b")


def test_operators_use_stores(daemon):
    stores(daemon, nas="")
    vm(daemon)
    operator = {"user": "alice", "groups": ["vmkeep"]}
    assert "created, 1M" in daemon.ok("start", "a", **operator)
    daemon.ok("kill", "a", **operator)
    daemon.fails(9, "start", "a", user="bob")
    # they may also choose one, and an owner may not: the same path in another store is another image
    stores(daemon, nas="", fast="")
    owner = {"user": "alice"}
    daemon.ok("set", "a", "VM.Owner=alice")
    assert "another image" in daemon.fails(9, "set", "a", "Disk.root.Path=a.raw", **owner)
    daemon.ok("set", "a", "Disk.root.Path=a.raw")
    assert "another image" in daemon.fails(9, "set", "a", "Disk.root.Store=fast", **owner)
    daemon.ok("set", "a", "Disk.root.Store=fast", **operator)
    assert "only root" in daemon.fails(9, "set", "a", "Disk.more.Path=%s/b.raw" % place(daemon), **operator)


def test_stores_as_vmkeep_conf_has_them_now(daemon):
    """A new one is there at once. What runs keeps its images where they are; its next start looks elsewhere."""
    vm(daemon)
    assert "vmkeep.conf has no store 'nas'" in daemon.fails(2, "start", "a")
    stores(daemon, nas="")
    daemon.ok("start", "a")
    os.mkdir(place(daemon, "moved"), 0o700)
    daemon.write("vmkeep.conf", vmk.DEFAULTS + "[Store nas]\nPath=%s\n" % place(daemon, "moved"))
    rows = daemon.json("reload", "--dry-run")["changes"]
    assert [(row["section"], row["id"], row["key"], row["to"], row["applies"]) for row in rows] == [
        ("Store", "nas", "Path", place(daemon, "moved"), "start")]
    assert daemon.ok("reload") == "no problems\n"
    daemon.ok("snapshot", "create", "a", "one")
    daemon.ok("kill", "a")
    assert "is missing: is %s mounted?" % place(daemon, "moved") in daemon.fails(4, "start", "a")
    os.rename(place(daemon) + "/a-root.qcow2", place(daemon, "moved") + "/a-root.qcow2")
    daemon.ok("start", "a")
    daemon.ok("kill", "a")
    daemon.write("vmkeep.conf", vmk.DEFAULTS)
    assert "vmkeep.conf has no store 'nas'" in daemon.fails(2, "start", "a")


def test_a_renamed_vm_keeps_its_disk(daemon):
    stores(daemon, nas="")
    vm(daemon, lines="UUID=7f1d1d4e-7c3b-4a69-9f0e-0d8f1a2b3c4d\n")
    daemon.ok("start", "a")
    daemon.ok("kill", "a")
    os.rename(daemon.config + "/a.vm", daemon.config + "/b.vm")
    assert daemon.ok("start", "b").endswith("\nb: running\n")
    assert files(daemon) == ["a-root.qcow2"]


def test_what_a_vanished_vm_left(daemon):
    """Under its name it is not replaced by a new one."""
    stores(daemon, nas="")
    vm(daemon)
    daemon.ok("start", "a")
    daemon.ok("kill", "a")
    os.unlink(daemon.config + "/a.vm")
    vm(daemon, name="b")
    said = daemon.fails(3, "start", "b")
    assert "left %s/a-root.qcow2 behind" % place(daemon) in said and "write Path=a-root.qcow2" in said
    assert files(daemon) == ["a-root.qcow2"]
    vm(daemon, "Path=other.qcow2\nSize=1M\n", name="b")
    assert "disk root created, 1M" in daemon.ok("start", "b")


# What does not.


def test_not_mounted(daemon):
    """Nothing is ever made in the directory under the mount, and a lost image is not replaced."""
    stores(daemon, nas="RequireMount=yes\n")
    vm(daemon)
    mount = smallfs.mount_line(place(daemon), "8m")
    refused(daemon, 4, "disk 'root': its store is missing: is %s mounted" % place(daemon), "RequireMount=yes")
    daemon.exec("sh", "-ec", mount)
    assert daemon.ok("check", "a") == "no problems\n"
    assert "created, 1M" in daemon.ok("start", "a")
    daemon.ok("kill", "a")
    daemon.exec("umount", place(daemon))
    refused(daemon, 4, "its store is missing: is %s mounted" % place(daemon))
    assert files(daemon) == []
    # a directory of a mounted file system is none that is mounted
    daemon.exec("sh", "-ec", mount)
    daemon.exec("mkdir", place(daemon) + "/sub")
    daemon.write("vmkeep.conf", vmk.DEFAULTS + "[Store nas]\nPath=%s/sub\nRequireMount=yes\n" % place(daemon))
    assert "its store is missing: is %s/sub mounted" % place(daemon) in daemon.fails(4, "start", "a")
    daemon.exec("umount", "-l", place(daemon))


def test_read_only(daemon):
    stores(daemon, nas="ReadOnly=yes\n")
    vm(daemon)
    refused(daemon, 2, "Size: store 'nas' is read-only: no image is created in it")
    daemon.exec("qemu-img", "create", "-qf", "qcow2", place(daemon) + "/x.qcow2", "1M")
    vm(daemon, "Path=x.qcow2\n")
    refused(daemon, 2, "Store: store 'nas' is read-only: write ReadOnly=yes")
    vm(daemon, "Path=x.qcow2\nReadOnly=yes\n[CDROM cd]\nStore=nas\nPath=x.qcow2\n")
    daemon.ok("start", "a")


def test_full(daemon):
    stores(daemon, nas="")
    daemon.exec("sh", "-ec", smallfs.mount_line(place(daemon), "3m"))
    daemon.exec("sh", "-c", "dd if=/dev/zero of=%s/fill bs=4k 2>/dev/null || :" % place(daemon))
    vm(daemon)
    refused(daemon, 11, "No space left on device", "make room on the file system of %s" % place(daemon))
    daemon.exec("rm", place(daemon) + "/fill")
    daemon.ok("start", "a")
    daemon.ok("kill", "a")
    daemon.exec("umount", "-l", place(daemon))


def link_out(path):
    os.symlink("/etc", path + "/sub")


def link_itself(path):
    os.symlink("/etc/hostname", path + "/x.raw")


def two_names(path):
    with open(path + "/x.raw", "wb") as f:
        f.truncate(1 << 20)
    os.link(path + "/x.raw", path + "/y.raw")


BAD = {
    "missing": (lambda path: os.rmdir(path), "Path=x.raw\nSize=1M", 4, "open directory {}: No such file", "mkdir -p {}"),
    "a file": (lambda path: (os.rmdir(path), open(path, "wb").close()), "Path=x.raw\nSize=1M", 1, "open directory {}: Not a directory"),
    "no image": (lambda path: None, "Path=x.raw", 4, "{}/x.raw: No such file", "Size="),
    "folder missing": (lambda path: None, "Path=sub/x.raw\nSize=1M", 4, "directory {}/sub does not exist"),
    "through a link": (link_out, "Path=sub/x.raw\nSize=1M", 2, "{}/sub is a symbolic link inside {}"),
    "a link": (link_itself, "Path=x.raw", 2, "{}/x.raw is a symbolic link inside {}"),
    "two names": (two_names, "Path=x.raw", 2, "{}/x.raw has 2 hard links"),
    "up": (lambda path: None, "Path=../x.raw", 2, "'\\.\\.' is not allowed"),
    "absolute": (lambda path: None, "Path=/x.raw", 2, "an absolute Path= is in no store"),
    "a base through a link": (link_out, "Path=x.qcow2\nBase=sub/b.qcow2\nSize=1M", 2, "{}/sub is a symbolic link inside {}"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad(daemon, case):
    make, disk, code, *words = BAD[case]
    stores(daemon, nas="")
    make(place(daemon))
    vm(daemon, disk + "\n")
    said = daemon.vmkeep("check", "a")
    error = daemon.fails(code, "start", "a")
    for text in (said.out, error):
        assert all(re.search(word.replace("{}", place(daemon)), text) for word in words), text
    if os.path.isfile(place(daemon)):
        os.unlink(place(daemon))
    else:
        shutil.rmtree(place(daemon), ignore_errors=True)


def test_names(daemon):
    """Of stores, in vmkeep.conf; a broken one keeps the last that was good."""
    stores(daemon, nas="")
    vm(daemon)
    assert daemon.ok("reload") == "no problems\n"
    for text, says in (
            ("[Store default]\nPath=/x\n", "is the image directory: write ImageDir="),
            ("[Store a/b]\nPath=/x\n", "the id must be letters"),
            ("[Store]\nPath=/x\n", "needs an id"),
            ("[Store a]\n", "Path: missing"),
            ("[Store a]\nPath=x\n", "'x' is not an absolute path"),
            ("[Store a]\nPath=/x\nType=nfs\n", "'nfs' is not dir")):
        daemon.write("vmkeep.conf", vmk.DEFAULTS + text)
        said = daemon.vmkeep("reload")
        assert said.code == 2 and says in said.out, said
    daemon.ok("start", "a")
    stores(daemon, nas="")


# What is shown.


def listed(world, **who):
    return {row["name"]: row for row in world.json("store", "list", **who)}


def test_list(daemon):
    """The image directory first; what is not there, or not what it should be, has no figures."""
    stores(daemon, nas="RequireMount=yes\n", fast="RequireMount=yes\n", iso="ReadOnly=yes\n", gone="", small="")
    os.rmdir(place(daemon, "gone"))
    for name in ("nas", "small"):
        daemon.exec("sh", "-ec", smallfs.mount_line(place(daemon, name), "8m"))
    daemon.exec("mount", "-o", "remount,ro", place(daemon, "small"))
    vm(daemon, "Size=1M\n[Disk two]\nStore=nas\nSize=1M\n[Disk own]\nSize=1M\n[CDROM cd]\nStore=iso\nPath=x.iso\n"
               "[Disk dev]\nPath=/dev/no-such\n")
    rows = listed(daemon)
    assert list(rows) == ["default", "nas", "fast", "iso", "gone", "small"]
    assert {name: row["state"] for name, row in rows.items()} == {
        "default": "ok", "nas": "ok", "fast": "not mounted", "iso": "read-only", "gone": "missing", "small": "read-only"}
    assert {name: row["images"] for name, row in rows.items()} == {
        "default": 1, "nas": 2, "fast": 0, "iso": 1, "gone": 0, "small": 0}
    assert all(row["type"] == "dir" for row in rows.values())
    assert rows["default"]["path"] == daemon.images and rows["nas"]["path"] == place(daemon)
    there = os.statvfs(daemon.inner(place(daemon)))
    assert (rows["nas"]["size"], rows["nas"]["free"]) == (there.f_blocks * there.f_frsize, there.f_bavail * there.f_frsize)
    assert rows["fast"]["size"] is rows["fast"]["free"] is rows["fast"]["used"] is rows["gone"]["size"] is None
    daemon.exec("sh", "-c", "dd if=/dev/zero of=%s/fill bs=4k 2>/dev/null || :" % place(daemon))
    assert listed(daemon)["nas"]["used"] == 100
    assert daemon.ok("pool-list").startswith("NAME")
    assert listed(daemon, user="alice", groups=["vmkeep-view"]).keys() == rows.keys()
    daemon.fails(9, "store", "list", user="bob")
    daemon.write("vmkeep.conf", vmk.DEFAULTS)
    assert list(listed(daemon)) == ["default"]
    for name in ("nas", "small"):
        daemon.exec("umount", "-l", place(daemon, name))


def test_host_check(daemon):
    """A row for each; the lines that are printed close one that others own or may enter, and space is missed from 85 % on."""
    stores(daemon, nas="", gone="")
    os.rmdir(place(daemon, "gone"))
    daemon.exec("sh", "-ec", smallfs.mount_line(place(daemon), "8m"))

    def row():
        rows = {row["check"]: row for row in json.loads(daemon.vmkeep("--json", "host", "check").out)}
        assert rows["store gone"]["text"] == "'%s' is missing" % place(daemon, "gone")
        return rows["store nas"]

    daemon.exec("chown", "4711", place(daemon))
    assert row()["verdict"] == "WARN" and "belongs to uid 4711" in row()["text"]
    daemon.exec("sh", "-c", row()["cure"])
    assert row()["verdict"] == "WARN" and "mode 0755" in row()["text"]
    daemon.exec("sh", "-c", row()["cure"])
    assert row()["verdict"] == "PASS" and "left in '%s'" % place(daemon) in row()["text"]
    daemon.exec("sh", "-c", "dd if=/dev/zero of=%s/fill bs=4k 2>/dev/null || :" % place(daemon))
    assert row()["verdict"] == "WARN" and row()["text"].startswith("0 of ")
    daemon.exec("umount", "-l", place(daemon))


def test_store_that_hangs(daemon):
    """It costs only its own row; others are answered meanwhile, and nothing is left of the question."""
    stores(daemon, nas="", fast="")
    program, copy = os.path.join(daemon.base, "df"), os.path.join(daemon.base, "df.real")
    shutil.copy("/usr/bin/df", copy)
    with open(program, "w", encoding="utf-8") as f:
        f.write("#!/bin/sh\ncase \"$*\" in */nas) kill -STOP $$;; esac\nexec %s \"$@\"\n" % copy)
    os.chmod(program, 0o755)
    daemon.exec("mount", "--bind", program, "/usr/bin/df")
    assert {name: row["state"] for name, row in listed(daemon).items()} == {
        "default": "ok", "nas": "not answering", "fast": "ok"}
    daemon.alone()
    daemon.exec("umount", "-l", "/usr/bin/df")
    assert listed(daemon)["nas"]["state"] == "ok"
