# SPDX-License-Identifier: MIT
"""Hints about what an image holds, its base, its size and its other users are followed to the letter, and then what was
refused works."""
import os
import re

import smallfs
import vmk
from cures import cure, disk, rows_of, vm
from test_image_fetch import serving


@cure("write Cache=writeback, or enlarge the image: truncate -s %%%u %s", "write Size=%llu, or Cache=writeback")
def no_multiple_of_a_block(p, daemon):
    """QEMU could not write to it, and the file system determines the block size."""
    place = daemon.images + "/small"
    daemon.exec("sh", "-ec", "mkdir '%s'; %s" % (place, smallfs.mount_line(place, "3m")))
    for length, more in ((1000, ""), (1536, ""), (700, "Size=1M")):
        path = daemon.inner(place) + "/a.raw"
        with open(path, "wb"):
            os.truncate(path, length)
        daemon.write("a.vm", vm(disk("small/a.raw", *more.split())))
        hint = p.refused("start", "a", code=2)
        assert p.told() == hint
        p.writes(hint, section="[Disk root]")
        daemon.ok("start", "a")
        daemon.ok("kill", "a")
        p.set("a.vm", "[Disk root]", "Cache", None)
        p.runs(p.refused("start", "a", code=2), "truncate")
        daemon.ok("start", "a")
        daemon.ok("kill", "a")
    daemon.write("b.vm", vm(disk("small/b.raw", "Size=1536")))
    p.writes(p.refused("start", "b", code=2), section="[Disk root]", file="b.vm")
    daemon.ok("start", "b")
    daemon.exec("umount", "-l", place)


@cure("write Cache=writeback")
def no_direct_io(p, daemon):
    """For disks and their bases; CDs are no exception."""
    place = daemon.images + "/ram"
    daemon.exec("sh", "-ec", "mkdir '%s'; mount -t ramfs -o mode=755 none '%s'" % (place, place))
    for name in ("a.raw", "b.qcow2"):
        daemon.exec("qemu-img", "create", "-qf", name[2:], place + "/" + name, "1M")
    daemon.image("o.qcow2")
    daemon.exec("sh", "-ec", "cd '%s'; qemu-img create -qf qcow2 -b ram/b.qcow2 -F qcow2 o.qcow2" % daemon.images)
    for text in (vm(disk("ram/a.raw", "ReadOnly=yes")), vm(disk("o.qcow2", "Base=ram/b.qcow2")),
                 vm("[CDROM root]\nPath=ram/a.raw\n")):
        daemon.write("a.vm", text)
        hint = p.refused("start", "a", code=2)
        assert p.told() == hint
        p.writes(hint, section="[%s root]" % ("CDROM" if "CDROM" in text else "Disk"))
        daemon.ok("start", "a")
        daemon.ok("kill", "a")
    daemon.exec("umount", "-l", place)


@cure("images come over https only; one that is on this host can be put in images/ of a store",
      "fetch it yourself, and put it in images/ of a store", "append #sha256=DIGEST to the URL, as published with the image", "choose another name",
      "vmkeep image rm %s --store %s moves it to the trash if no VM is based on it, and then it can be fetched again; else choose another name")
def an_image_to_fetch(p, daemon):
    """Nothing is fetched here: the connection is refused, after all other checks."""
    where, digest = "://127.0.0.1:1/a.qcow2", "sha256:" + "0" * 64
    p.refused("image", "fetch", "a", "http" + where, "--digest", digest, code=2)
    p.refused("image", "fetch", "a", "https://anna:secret@127.0.0.1:1/a.qcow2", "--digest", digest, code=2)
    os.mkdir(daemon.images + "/images")
    daemon.image("images/a.qcow2")
    daemon.ok("create", "new", "--image", "a", "--dry-run")
    p.refused("image", "fetch", "b", "https" + where, code=2)
    p.types(p.refused("image", "fetch", "a", "https" + where, "--digest", digest, code=3))
    assert "curl" in daemon.fails(1, "image", "fetch", "a", "https" + where, "--digest", digest)
    assert "curl" in daemon.fails(1, "image", "fetch", "b", "https" + where, "--digest", digest)


@cure("write Proxy= in [Images] of vmkeep.conf, without them",
      "write CAFile= in [Images] of vmkeep.conf, a file with the certificates that servers of yours are signed by")
def an_image_behind_a_proxy(p, daemon):
    with serving(daemon) as server:
        daemon.exec("umount", "/etc/ssl/certs")
        daemon.stop_daemon()
        daemon.write("vmkeep.conf", vmk.DEFAULTS)
        daemon.start(env={"https_proxy": "http://anna:secret@127.0.0.1:%d" % server.proxy})
        words = ["image", "fetch", "a", server.url("get"), "--digest", server.image()]
        p.writes(p.refused(*words, code=2), value="http://127.0.0.1:%d" % server.proxy, file="vmkeep.conf")
        daemon.ok("reload")
        p.writes(p.refused(*words, code=1), value=os.path.join(server.place, "cert.pem.crt"), file="vmkeep.conf")
        daemon.ok("reload")
        daemon.ok(*words)
        assert "CONNECT 127.0.0.1:%d" % server.port in server.requests()
        daemon.stop_daemon()
        daemon.start()


@cure("vmkeep image list shows what there is; another image needs a URL and --digest")
def an_image_of_no_catalogue(p, daemon):
    os.mkdir(daemon.config + "/images.d")
    with open(daemon.config + "/images.d/b.ini", "w") as f:
        f.write("[Image]\nURL=https://127.0.0.1:1/a\nDigest=sha256:%s\n" % ("0" * 64))
    p.types(p.refused("image", "fetch", "a", code=4))
    row, = daemon.rows("image", "list")
    assert "curl" in daemon.fails(1, "image", "fetch", row["name"])
    assert "curl" in daemon.fails(1, "image", "fetch", "a", "https://127.0.0.1:1/a", "--digest", "0" * 64)


@cure("vmkeep image list shows which images there are")
def an_image_that_is_not_there(p, daemon):
    os.mkdir(daemon.images + "/images")
    daemon.image("images/a.qcow2")
    p.types(p.refused("image", "rm", "b", code=4))
    row, = daemon.rows("image", "list")
    daemon.ok("image", "rm", row["name"])


@cure("vmkeep image list NAME shows one of them")
def more_images_than_can_be_listed(p, daemon):
    os.mkdir(daemon.images + "/images")
    daemon.image("images/a.qcow2")
    for n in range(1000):
        with open("%s/images/b%d.qcow2" % (daemon.images, n), "wb"):
            pass
    p.refused("image", "list", code=11)
    row, = daemon.rows("image", "list", "a")
    assert row["state"] == "ready"


@cure("move it there, and give its path in the store; vmkeep store list shows the stores",
      "qemu-img convert -O qcow2 %s NEW makes one that is whole")
def an_image_to_start_from(p, daemon):
    """It is in a store, and based on no other."""
    daemon.image("a.qcow2")
    outside = os.path.join(daemon.base, "a.qcow2")
    os.rename(daemon.images + "/a.qcow2", outside)
    p.refused("create", "new", "--image", outside, code=2)
    store = daemon.rows("store", "list")[0]["path"]
    os.rename(outside, store + "/a.qcow2")
    daemon.ok("create", "new", "--image", "a.qcow2", "--dry-run")
    daemon.exec("qemu-img", "create", "-qf", "qcow2", "-b", "a.qcow2", "-F", "qcow2", store + "/o v.qcow2")
    p.runs(p.refused("create", "new", "--image", "o v.qcow2", code=1), "qemu-img", NEW=store + "/new.qcow2")
    daemon.ok("create", "new", "--image", "new.qcow2", "--dry-run")


@cure("a CD has no Base=: qemu-img convert -O qcow2 %s NEW makes one that is whole")
def a_cd_on_a_base(p, daemon):
    daemon.micro("a", "deaf", extra="[CDROM cd]\nPath=cd.qcow2\n")
    daemon.exec("qemu-img", "create", "-qf", "qcow2", "-b", "a.raw", "-F", "raw", daemon.images + "/cd.qcow2")
    p.runs(p.refused("start", "a", code=2), "qemu-img", NEW=daemon.images + "/new.qcow2")
    p.set("a.vm", "[CDROM cd]", "Path", "new.qcow2")
    daemon.ok("start", "a")


@cure("a file that is written to can be used only once")
def one_file_for_two_disks(p, daemon):
    daemon.micro("a", extra=disk("a.raw", name="two"))
    result = daemon.vmkeep("start", "a")
    assert result.code, result
    found = re.search(r"^hint: (.*)", result.err, re.M)
    if found:
        p.check(found.group(1))
    daemon.exec("cp", daemon.images + "/a.raw", daemon.images + "/b.raw")
    p.set("a.vm", "[Disk two]", "Path", "b.raw")
    daemon.ok("start", "a")


@cure("stop that first")
def an_image_in_use(p, daemon):
    daemon.micro("a")
    daemon.up("a")
    daemon.write("b.vm", vm(disk(daemon.images + "/a.raw")))
    hint = p.refused("start", "b", code=3)
    daemon.ok("kill", "a")
    result = daemon.vmkeep("start", "b")
    assert "in use" not in result.err, (hint, result)


@cure("write Format=qcow2, or Format=raw if raw is really meant", "write Format=qcow2 unless raw is really meant")
def raw_that_is_qcow2(p, daemon):
    daemon.micro("b", disk="qcow2")
    os.rename(daemon.images + "/b.qcow2", daemon.images + "/a.raw")
    daemon.write("a.vm", vm(disk("a.raw")))
    p.writes(p.refused("start", "a", code=2), 0, "[Disk root]")
    daemon.ok("start", "a")


@cure("write Format=raw if it is a raw image; qemu-img info %s shows what it is", "write Format=raw to use it as it is")
def qcow2_that_is_raw(p, daemon):
    daemon.micro("a", size=1 << 20)
    os.rename(daemon.images + "/a.raw", daemon.images + "/a.qcow2")
    daemon.write("a.vm", vm(disk("a.qcow2")))
    p.writes(p.refused("start", "a", code=2), 0, "[Disk root]")
    daemon.ok("start", "a")


@cure("write Base=%s if it is to be used")
def a_base_that_is_not_named(p, daemon):
    daemon.image("base.raw", "deaf")
    daemon.exec("qemu-img", "create", "-qf", "qcow2", "-b", "base.raw", "-F", "raw", daemon.images + "/a.qcow2")
    daemon.write("a.vm", vm(disk("a.qcow2")))
    p.writes(p.refused("start", "a", code=2), 0, "[Disk root]")
    daemon.ok("start", "a")


@cure("remove Base=, or make the image with qemu-img create -b")
def a_base_that_is_not_there(p, daemon):
    daemon.image("base.raw", "deaf")
    daemon.exec("qemu-img", "create", "-qf", "qcow2", daemon.images + "/a.qcow2", "1M")
    daemon.write("a.vm", vm(disk("a.qcow2", "Base=base.raw")))
    p.removes(p.refused("start", "a", code=2), "[Disk root]")
    daemon.ok("start", "a")


@cure("convert it: qemu-img convert -f qcow2 -O qcow2 %s NEW")
def an_image_of_another_kind(p, daemon):
    path = daemon.images + "/a.qcow2"
    daemon.exec("qemu-img", "create", "-qf", "qcow2", "-o", "data_file=%s/data.raw" % daemon.images, path, "1M")
    daemon.write("a.vm", vm(disk("a.qcow2")))
    p.runs(p.refused("start", "a", code=2), "qemu-img", NEW=path + ".new")
    os.rename(path + ".new", path)
    daemon.ok("start", "a")


@cure("write Size=%s, or enlarge it while %s is stopped: qemu-img resize -f %s %s %s", "write Size=%s")
def another_size(p, daemon):
    daemon.write("a.vm", vm(disk("a.raw", "Size=2M")))
    daemon.ok("start", "a")
    daemon.ok("kill", "a")
    p.set("a.vm", "[Disk root]", "Size", "1M")
    p.writes(p.told(), 0, "[Disk root]")
    assert daemon.json("check", "a") == []
    p.set("a.vm", "[Disk root]", "Size", "4M")
    p.runs(p.told(), "qemu-img")
    assert daemon.json("check", "a") == []
    daemon.ok("start", "a")


def based(daemon, *options, lines=("Base=base.raw",), base="base.raw"):
    """An overlay, and the VM that uses it."""
    daemon.image("base.raw", "deaf")
    if base != "base.raw":
        os.rename(daemon.images + "/base.raw", daemon.images + "/" + base)
    daemon.exec("qemu-img", "create", "-qf", "qcow2", *options, daemon.images + "/a.qcow2", "1M")
    daemon.write("a.vm", vm(disk("a.qcow2", *lines)))


@cure("write Size=%s or more, or the end of the guest's disk would be missing")
def smaller_than_its_base(p, daemon):
    daemon.image("base.raw", "deaf", size=4 << 20)
    daemon.write("a.vm", vm(disk("a.qcow2", "Base=base.raw", "Size=1M")))
    p.writes(p.refused("start", "a"), 0, "[Disk root]")
    daemon.ok("start", "a")


@cure("write Base=%s; if the base was only renamed: qemu-img rebase -u -F %s -b %s %s")
def another_base(p, daemon):
    based(daemon, "-b", "base.raw", "-F", "raw", lines=("Base=other.raw",))
    daemon.exec("cp", daemon.images + "/base.raw", daemon.images + "/other.raw")
    p.runs(p.refused("start", "a"), "qemu-img")
    daemon.ok("start", "a")


@cure("the guest can write that header; qemu-img rebase -u -F %s -b %s %s restores it. A base of another format needs another name")
def a_base_that_is_another(p, daemon):
    based(daemon, "-b", "base.raw", "-F", "raw")
    daemon.ok("start", "a")
    daemon.ok("kill", "a")
    daemon.exec("qemu-img", "rebase", "-u", "-F", "qcow2", "-b", "base.raw", daemon.images + "/a.qcow2")
    p.runs(p.refused("start", "a"), "qemu-img")
    daemon.ok("start", "a")


@cure("qemu-img convert -f %s -O qcow2 %s NEW && qemu-img rebase -u -F qcow2 -b NEW %s, and write Base=NEW",
      "qemu-img convert -f %s -O qcow2 %s %s && qemu-img rebase -u -F qcow2 -b %s %s, and write Base=%s")
def a_base_of_others(p, daemon):
    daemon.image("b.raw", "deaf")
    daemon.exec("qemu-img", "convert", "-f", "raw", "-O", "vmdk", daemon.images + "/b.raw", daemon.images + "/base.vmdk")
    daemon.exec("qemu-img", "create", "-qf", "qcow2", "-b", "base.vmdk", "-F", "vmdk", daemon.images + "/a.qcow2")
    daemon.write("a.vm", vm(disk("a.qcow2", "Base=base.vmdk")))
    hint = p.refused("start", "a")
    p.runs(hint, "qemu-img", NEW=daemon.images + "/base.qcow2")
    p.writes(hint.replace("NEW", "base.qcow2"), 0, "[Disk root]")
    daemon.ok("start", "a")


@cure("give each VM an image of its own, or write ReadOnly=yes in both")
def an_image_of_two(p, daemon):
    daemon.micro("a")
    daemon.write("b.vm", vm(disk("a.raw")))
    p.told("b")
    daemon.exec("cp", daemon.images + "/a.raw", daemon.images + "/b.raw")
    p.set("b.vm", "[Disk root]", "Path", "b.raw")
    assert daemon.json("check") == []
    daemon.ok("start", "a", "b")


test_cure = rows_of(__name__)
