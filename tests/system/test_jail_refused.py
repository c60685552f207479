# SPDX-License-Identifier: MIT
"""What vmkeep-jail refuses, with its errors; images that it creates; checks."""
import json
import os
import stat
import subprocess
import sys

import pytest

from jail import box, BUSYBOX, elsewhere, LIMIT, loop, pytestmark, PYTHON, UID  # noqa: F401 (fixtures are used by name)
from smallfs import mount_line


REFUSED = {
    # name: (how to prepare it, members of the file, class, desc, hint)
    "missing": (lambda p: None, {}, "NotFound", "disk 'root': {p}: No such file", "Size="),
    "missing cdrom": (lambda p: None, {"kind": "cdrom", "write": False}, "NotFound", "{p}: No such file", "path"),
    "gone": (lambda p: None, {"created": "2026-11-23", "create": 1 << 20}, "NotFound",
             "disk 'root' created on 2026-11-23 is missing: is {p.parent} mounted?", "mount"),
    "directory": (lambda p: p.mkdir(), {}, "InvalidConfig", "disk 'root': {p} is a directory", "image file"),
    "fifo": (os.mkfifo, {}, "InvalidConfig", "disk 'root': {p} is a FIFO", "image file"),
    "character device": (lambda p: os.mknod(p, stat.S_IFCHR | 0o600, os.makedev(1, 3)), {}, "InvalidConfig",
                         "{p} is a character device", "image file"),
    "kernel is a device": (lambda p: os.mknod(p, stat.S_IFBLK | 0o600, os.makedev(7, 0)),
                           {"kind": "kernel", "write": False}, "InvalidConfig", "{p} is a block device", "name a file"),
    "symlink": (lambda p: p.symlink_to("/etc/passwd"), {}, "InvalidConfig",
                "disk 'root': {p} is a symbolic link inside {images}", "absolute path"),
    "dangling symlink": (lambda p: p.symlink_to("none"), {"create": 1 << 20}, "InvalidConfig",
                         "{p} is a symbolic link", ""),
    "hard link": (lambda p: (p.write_bytes(b"x" * 512), os.link(p, f"{p}2")), {}, "InvalidConfig",
                  "disk 'root': {p} has 2 hard links and must have only one", "copy"),
    "raw like qcow2": (lambda p: p.write_bytes(b"QFI\xfb" + bytes(508)), {}, "InvalidConfig",
                       "disk 'root': {p} has a qcow2 header", "Format=qcow2"),
    "no qcow2": (lambda p: p.write_bytes(bytes(512)), {"format": "qcow2"}, "InvalidConfig",
                 "disk 'root': {p} is not a qcow2 image", "Format=raw"),
    "empty as qcow2": (lambda p: p.write_bytes(b""), {"format": "qcow2"}, "InvalidConfig", "is not a qcow2 image", ""),
    "raw with a base": (lambda p: p.write_bytes(bytes(512)), {"has_base": True}, "InvalidConfig",
                        "has no backing file", ""),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(box, case):
    make, members, cls, desc, hint = REFUSED[case]
    path = box.images / "disk, 1.img"
    make(path)
    e = box.refuse({**box.disk(path), **members})
    assert e["class"] == cls
    assert desc.format(p=path, images=box.images) in e["desc"]
    assert hint in e["hint"]


def test_raw_really_meant(box):
    disk = box.image(head=b"QFI\xfb")
    assert box.script("echo ok", [box.disk(disk, format_written=True)]) == "ok\n"


def test_backing_files_must_be_configured(box):
    base = box.qcow2("base.qcow2")
    top = box.qcow2("top.qcow2", "-b", "base.qcow2", "-F", "qcow2")
    e = box.refuse(box.disk(top, format="qcow2"))
    assert e["class"] == "InvalidConfig" and "has the backing file 'base.qcow2', which is not configured" in e["desc"]
    assert e["hint"] == "write Base=base.qcow2 if it is to be used"
    e = box.refuse(box.disk(base, format="qcow2", has_base=True))
    assert e["class"] == "InvalidConfig" and "has no backing file" in e["desc"] and "Base=" in e["hint"]
    evil = box.qcow2("evil.qcow2", "-u", "-b", "json:\x1b[31m{}", "-F", "qcow2")
    e = box.refuse(box.disk(evil, format="qcow2"))
    assert "\\x1b" in e["desc"] and "\x1b" not in e["desc"] + e["hint"] and "json" not in e["hint"]
    data = box.qcow2("data.qcow2", "-o", f"data_file={box.images}/data.raw")
    e = box.refuse(box.disk(data, format="qcow2"))
    assert e["class"] == "InvalidConfig" and "keeps its data in another file" in e["desc"]


def test_links_on_the_way(box):
    """Symlinked directories and .. below the image directory are refused, and so is an absolute path outside it that
    claims to be beneath."""
    (box.tmp / "out").mkdir()
    box.image(where=box.tmp / "out")
    (box.images / "sub").symlink_to(box.tmp / "out")
    e = box.refuse(box.disk(box.images / "sub" / "disk.img"))
    assert e["class"] == "InvalidConfig" and f"{box.images}/sub is a symbolic link" in e["desc"]
    e = box.refuse(box.disk(box.images / "sub" / "new.img", create=1 << 20))
    assert e["class"] == "InvalidConfig" and not (box.tmp / "out" / "new.img").exists()
    e = box.refuse(box.disk(f"{box.images}/../out/disk.img"))
    assert e["step"] == "plan" and "plain absolute path" in e["desc"]
    e = box.refuse(box.disk(box.tmp / "out" / "disk.img", beneath=str(box.images)))
    assert e["class"] == "InvalidConfig" and f"is not in {box.images}" in e["desc"]


def test_links_of_others_outside(box, elsewhere):
    """A link owned by a user must lead to a file of the same user: root named the path, but the user chose its
    target."""
    home = elsewhere / "alice"
    home.mkdir()
    secret, own = box.image("secret", where=elsewhere), box.image("own.img", where=home)
    link, sub = home / "disk.img", home / "sub"
    sub.symlink_to(elsewhere)
    hop = elsewhere / "hop"
    hop.symlink_to(own)
    os.chown(own, 1234, 1234)
    for p, owner in ((sub, 1234), (hop, 5678)):
        os.chown(p, owner, owner, follow_symlinks=False)

    def to(target, owner):
        link.unlink(missing_ok=True)
        link.symlink_to(target)
        os.chown(link, owner, owner, follow_symlinks=False)
    for target in (secret, "../secret", sub / "secret", "/etc/shadow"):
        to(target, 1234)
        e = box.refuse(box.disk(link))
        assert e["class"] == "Permission"
        assert e["desc"] == f"disk 'root': {link} leads through a symbolic link of uid 1234 to a file of uid 0"
    e = box.refuse(box.disk(sub / "secret"))
    assert "symbolic link of uid 1234" in e["desc"]
    to(hop, 1234)
    assert "symbolic link of several users to a file of uid 1234" in box.refuse(box.disk(link))["desc"]
    for target, owner in ((own, 1234), ("own.img", 1234), (secret, 0), (own, 0), ("../alice/../alice//own.img", 1234)):
        to(target, owner)
        assert box.script(f"echo to >{link} && echo ok", [box.disk(link)]) == "ok\n"
    to(link, 0)
    e = box.refuse(box.disk(link))
    assert e["class"] == "Failed" and "Too many levels of symbolic links" in e["desc"]
    to(own / "x", 0)
    assert "is not a directory" in box.refuse(box.disk(link))["desc"]
    to("none", 1234)
    assert box.refuse(box.disk(link))["class"] == "NotFound"


def test_same_file_in_two_places(box, elsewhere):
    disk = box.image(where=elsewhere)
    link = elsewhere / "link"
    os.link(disk, link)
    e = box.refuse(box.disk(disk, "disk 'a'"), box.disk(link, "disk 'b'"))
    assert (e["class"], e["desc"]) == ("Conflict", f"disk 'b': {link} is the same file as disk 'a'")
    assert e["stays"], "both disks are there until somebody writes another path"


# in use


def test_foreign_writer_is_named(box):
    disk = box.image()
    with subprocess.Popen([BUSYBOX, "sh", "-c", f"exec 9>>'{disk}'; echo; read x"], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE) as p:
        p.stdout.readline()
        for file in (box.disk(disk), box.disk(disk, kind="base")):
            e = box.refuse(file)
            assert e["class"] == "Conflict"
            assert e["desc"] == f"disk 'root': {disk} is in use by busybox (pid {p.pid})"
        p.stdin.close()
    with open(disk, "rb"):  # a reader does not matter
        assert box.script("echo ok", [box.disk(disk)]) == "ok\n"


def test_block_device(box, loop):
    file, device = loop
    link = box.tmp / "vg-lv"
    link.symlink_to(device)
    out = box.python(f"print(stat.S_ISBLK(os.stat('{link}').st_mode), show('{link}'))\n"
                     f"os.write(os.open('{link}', os.O_WRONLY), b'device')", [box.disk(link)])
    assert out == f"True {UID} {UID} 600\n"
    out = box.python(f"print(first('{device}', 6), add('{device}'))", [box.disk(device, write=False)])
    assert out == "device EACCES\n"
    e = box.refuse(box.disk(file))
    assert e["desc"] == f"disk 'root': {file} is in use by the device {device[5:]}"


def test_block_device_in_use(box, loop):
    _, device = loop
    with box.waiting([box.disk(device)]) as run:
        e = box.refuse(box.disk(device))
        assert e["class"] == "Conflict" and e["desc"].endswith(f"{device} is in use by busybox (pid {run.pid})")
    where = box.tmp / "mnt"
    where.mkdir()
    e = box.refuse(box.disk(device), prefix=[
        "unshare", "-m", BUSYBOX, "sh", "-c", f'mount -t ext4 {device} {where} && exec "$@"', "sh"])
    assert e["class"] == "Conflict"
    assert e["desc"] == f"disk 'root': {device} is in use by a file system mounted on {where}"


def test_block_device_that_is_read(box, loop):
    """Several VMs may read it; a writer is refused, because QEMU's locks are on a separate node for each VM."""
    _, device = loop
    reader = box.disk(device, kind="base")
    with box.waiting([reader]) as run:
        e = box.refuse(box.disk(device))
        assert e["class"] == "Conflict" and e["desc"].endswith(f"{device} is in use by busybox (pid {run.pid})"), e
        assert box.script("echo ok", [reader]) == "ok\n"
    assert box.script("echo ok", [box.disk(device)]) == "ok\n"


# creation


def test_create(box):
    (box.images / "sub").mkdir()
    disks = [("qcow2", box.images / "a.qcow2"), ("raw", box.images / "sub" / "b.img")]
    files = [box.disk(p, format=f, create=3 << 20) | {"id": p.name} for f, p in disks]
    run = box.run([BUSYBOX, "true"], files, identity=box.identity(*(p.name for _, p in disks)))
    assert [disk["id"] for disk in run.kept] == [p.name for _, p in disks]
    kept = json.loads((box.tmp / "identity" / "identity.json").read_text())
    assert [image["path"] for image in kept["images"]] == [str(p) for _, p in disks]
    assert kept["disks"] == run.kept and all(disk["created"] for disk in run.kept)
    for fmt, p in disks:
        info = json.loads(subprocess.check_output(["qemu-img", "info", "--output=json", p]))
        assert (info["format"], info["virtual-size"]) == (fmt, 3 << 20)
        assert stat.S_IMODE(p.stat().st_mode) == 0o600
    before = [p.read_bytes() for _, p in disks]
    assert box.run([BUSYBOX, "true"], files).prepared
    assert [p.read_bytes() for _, p in disks] == before
    assert {p.name for p in box.images.iterdir()} == {"a.qcow2", "sub"}


@pytest.mark.parametrize("fmt", ["qcow2", "raw"])
def test_new_image(box, fmt):
    """It is sound, has the right size, and is owned by root; its creator had access to that one file only."""
    path, size = box.images / ("a." + fmt), 1 << 40
    assert box.run([BUSYBOX, "true"], [box.disk(path, format=fmt, create=size)]).prepared
    told = json.loads(subprocess.check_output(["qemu-img", "info", "-f", fmt, "--output=json", path]))
    assert told["virtual-size"] == size
    assert (path.stat().st_uid, path.stat().st_mode & 0o777) == (0, 0o600)
    if fmt == "qcow2":
        subprocess.run(["qemu-img", "check", "-q", path], check=True)
    path.unlink()
    curious = box.tmp / "curious"
    curious.write_text(f"""#!{PYTHON} -I
import os, sys
def tries(what, *arguments):
    try:
        return what(*arguments)
    except OSError:
        return None
found = [os.getuid(), tries(os.chroot, "/"), tries(open, "{box.images}/x", "w"), tries(os.fork),
         tries(open, sys.argv[5], "r+") is not None,
         set(os.listdir("/")) - {{"usr", "etc", "dev", "bin", "sbin", "lib", "lib32", "lib64", "libx32"}}]
print(*found, sep=":")
sys.exit(1)
""")
    curious.chmod(0o755)
    e = box.refuse(box.disk(path, format=fmt, create=size), prefix=[
        "unshare", "-m", BUSYBOX, "sh", "-c", f'mount --bind {curious} /usr/bin/qemu-img && exec "$@"', "sh"])
    assert e["desc"].endswith(f"create {path}: {UID}:None:None:None:True:{{'image'}}"), e
    assert not list(box.images.iterdir())


def test_identity(box):
    """It is saved before the program runs, or the program does not run; an unchanged one is not written. The images
    seen are recorded once a day."""
    path = box.tmp / "identity" / "identity.json"
    true, root = [BUSYBOX, "true"], box.disk(box.image())
    assert box.run(true, [root], identity=box.identity("root")).kept == []
    document = json.loads(path.read_text())
    image, = document.pop("images")
    assert image["path"] == root["path"] and document == box.identity("root")["document"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    same = box.identity("root")
    same["document"]["images"] = [image]
    path.unlink()
    assert box.run(true, [root], identity=same).kept is None
    assert not path.exists()
    same["document"]["images"][0]["seen"] -= 86400
    assert box.run(true, [root], identity=same).kept == []
    assert json.loads(path.read_text())["images"][0]["seen"] >= image["seen"]
    run = box.run([BUSYBOX + "x"], [root], identity=box.identity("other", changed=True))
    assert [list(line) for line in run.answers] == [["kept"], ["error"]]
    assert json.loads(path.read_text())["disks"] == box.identity("other")["document"]["disks"]
    path.unlink()
    path.parent.rmdir()
    error = box.run(true, [root], identity=box.identity() | {"changed": True, "dir": str(path)}).error
    assert (error["step"], error["class"]) == ("identity", "NotFound"), error


def test_create_for_a_person_only(box):
    path = box.images / "a.img"
    e = box.refuse(box.disk(path, create=1 << 20), may_create=False)
    assert (e["class"], e["desc"]) == ("NotFound", "disk 'root' does not exist yet: 'vmkeep start vm' creates it"), e
    assert not list(box.images.iterdir())
    # an image that some start found is reported as missing, whoever created it and whoever starts
    e = box.refuse(box.disk(path, create=1 << 20, seen="2026-11-23"))
    assert e["desc"] == f"disk 'root' that was there on 2026-11-23 is missing: is {box.images} mounted?", e
    assert f"qemu-img create -f raw {path} 1M" in e["hint"]


def test_image_directory_gone(box):
    disk = {"kind": "disk", "what": "disk 'root'", "path": str(box.tmp / "gone" / "a.img"),
            "beneath": str(box.tmp / "gone")}
    e = box.refuse(disk | {"created": "2026-11-23", "create": 1 << 20})
    assert e["class"] == "NotFound"
    assert e["desc"] == f"disk 'root' created on 2026-11-23 is missing: is {box.tmp}/gone mounted?"
    e = box.refuse(disk | {"create": 1 << 20})
    assert e["class"] == "NotFound" and f"open directory {box.tmp}/gone: " in e["desc"]
    assert not (box.tmp / "gone").exists()


def test_create_refused(box, elsewhere):
    e = box.refuse(box.disk(box.images / "none" / "sub" / "a.img", create=1 << 20))
    assert e["class"] == "NotFound" and f"directory {box.images}/none does not exist" in e["desc"]
    e = box.refuse(box.disk(elsewhere / "a.img", create=1 << 20))
    assert e["class"] == "NotFound" and "in a store only" in e["hint"]
    # a raw image of any size fits on a tmpfs
    e = box.refuse(box.disk(box.images / "a.qcow2", format="qcow2", create=1 << 62))
    assert e["class"] == "Failed" and f"create {box.images}/a.qcow2: " in e["desc"] and "too large" in e["desc"]
    assert "/proc" not in e["desc"]
    e = box.refuse(*[box.disk(box.images / "a.img", f"disk '{n}'", create=1 << 20) for n in "ab"])
    assert e["class"] == "Conflict"
    assert [p.name for p in box.images.iterdir()] == ["a.img"] and not list(elsewhere.iterdir())


def test_create_on_a_full_file_system(box):
    e = box.refuse(box.disk(box.images / "a.qcow2", format="qcow2", create=1 << 30), prefix=[
        "unshare", "-m", BUSYBOX, "sh", "-c",
        f'mount -t tmpfs -o size=64k none {box.images} && exec "$@"', "sh"])
    assert e["class"] == "NoResources" and str(box.images) in e["hint"]


# permission


def test_file_system_without_idmap(box):
    """overlay stands for NFS and FUSE: the error says what the guest's uid may not do, and names the command that
    permits it."""
    for d in ("lower", "over"):
        (box.tmp / d).mkdir()
    box.image("closed it's.img", where=box.tmp / "lower")
    box.image("open.img", where=box.tmp / "lower").chmod(0o666)
    prefix = ["unshare", "-m", BUSYBOX, "sh", "-c",
              f'mount -t tmpfs none {box.root.parent}/over && mkdir {box.tmp}/over/u {box.tmp}/over/w {box.tmp}/over/m '
              f'&& mount -t overlay -o lowerdir={box.tmp}/lower,upperdir={box.tmp}/over/u,workdir={box.tmp}/over/w '
              f'none {box.tmp}/over/m && exec "$@"', "sh"]
    opened, closed = (box.tmp / "over" / "m" / n for n in ("open.img", "closed it's.img"))
    e = box.refuse(box.disk(closed), prefix=prefix)
    assert e["class"] == "Permission"
    assert e["desc"] == (f"disk 'root': the VM's uid {UID} may not write {closed} (owner uid 0, mode 0600), and on its "
                         f"file system Linux {os.uname().release} has no id-mapped mounts, which would let it")
    quoted = str(closed).replace("'", "'\\''")
    assert e["hint"] == f"setfacl -m u:{UID}:rw '{quoted}'"
    run = box.run([BUSYBOX, "sh", "-c", f"echo x >{opened}"], [box.disk(opened)], prefix=prefix)
    assert run.prepared and run.process.wait(LIMIT) == 0
    assert (box.tmp / "lower" / "open.img").read_bytes()[:1] == b"\0"  # it went to the upper layer


def test_owner_may_not_write(box):
    disk = box.image()
    disk.chmod(0o400)
    e = box.refuse(box.disk(disk))
    assert e["class"] == "Permission" and e["hint"] == f"its owner may not either: chmod u+rw {disk}"
    assert box.script("echo ok", [box.disk(disk, write=False)]) == "ok\n"


def test_root_is_refused(box, elsewhere):
    home = elsewhere / "alice"
    (home / "vm").mkdir(parents=True)
    disk = box.image(where=home / "vm")
    for p in (home, home / "vm", disk):
        os.chown(p, 1234, 1234)
    home.chmod(0o700)
    e = box.refuse(box.disk(disk), no_dac=True)
    assert e["class"] == "Permission"
    assert e["desc"] == f"disk 'root': {disk}: no permission to enter {home} (owner uid 1234, mode 0700)"
    assert e["hint"].endswith(f"chmod o+x {home}")
    home.chmod(0o711)
    e = box.refuse(box.disk(disk), no_dac=True)
    assert e["class"] == "Permission" and e["hint"] == f"setfacl -m u:{UID}:rw {disk}"
    assert [stat.S_IMODE(p.stat().st_mode) for p in (home, disk)] == [0o711, 0o600]


# check: everything at once, and nothing is created


def check(box, *files, **more):
    run = box.run([BUSYBOX, "true"], files, check=True, **more)
    assert run.process.wait(LIMIT) == 0
    assert run.answers[-1] == {"checked": {}}, run.answers
    return [a["problem"] for a in run.answers if "problem" in a]


def test_check_tells_all_and_makes_nothing(box):
    good, new = box.image("good.img"), box.images / "new.img"
    assert check(box, box.disk(good), box.disk(new, "disk 'b'", create=1 << 20)) == []
    assert not new.exists()
    found = check(box, box.disk(box.images / "gone.img", "disk 'a'"), box.disk(good, "disk 'b'"),
                  box.disk(good, "disk 'c'", "base", format="qcow2", id="c"),
                  box.disk(box.images / "no/new.img", "disk 'd'", create=1 << 20))
    assert [(p["step"], p["severity"], p["class"]) for p in found] == [
        ("files", "error", "NotFound"), ("files", "error", "Conflict"), ("new images", "error", "NotFound")]
    assert [p["id"] for p in found] == ["root", "c", "root"]
    assert sorted(p.name for p in box.images.iterdir()) == ["good.img"]


def test_check_of_a_running_guest(box):
    disk = box.image()
    with box.waiting([box.disk(disk)]), open(disk, "r+b"):
        assert [p["step"] for p in check(box, box.disk(disk))] == ["locks"]
        assert check(box, box.disk(disk), running=True) == []


def test_check_counts_what_may_still_grow(box):
    small = ["unshare", "-m", BUSYBOX, "sh", "-c",
             mount_line(box.images, "1m") + ' && exec "$@"', "sh"]
    new = box.disk(box.images / "new.qcow2", format="qcow2", create=1 << 30)
    problem, = check(box, new, prefix=small)
    assert (problem["severity"], problem["class"], problem["step"]) == ("warning", "NoResources", "space")
    assert "may still grow by 1G" in problem["desc"] and "free space" in problem["hint"]
    assert check(box, {**new, "create": 1 << 18}, prefix=small) == []
    sparse = ["unshare", "-m", BUSYBOX, "sh", "-c",
              f'{mount_line(box.images, "1m")} && cp {box.qcow2("big.qcow2", size="3G", where=box.tmp)} '
              f'{box.images}/big.qcow2 && exec "$@"', "sh"]
    problem, = check(box, box.disk(box.images / "big.qcow2", format="qcow2"), prefix=sparse)
    assert problem["step"] == "space" and "may still grow by 3" in problem["desc"]


if __name__ == "__main__":
    sys.exit(pytest.main([__file__, *sys.argv[1:]]))
