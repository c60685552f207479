# SPDX-License-Identifier: MIT
"""Hints about files, their rights, and identities are followed to the letter, and then what was refused works."""
import json
import os
import struct

import pytest

import smallfs
import vmk
from cures import cure, disk, rows_of, vm


@cure("correct Path=, or write Size= to have it created")
def no_image(p, daemon):
    daemon.write("a.vm", vm(disk("a.raw")))
    hint = p.refused("start", "a", code=4)
    p.writes(hint, 1, "[Disk root]", "1M")
    daemon.ok("start", "a")


@cure("correct Path=, or create it with qemu-img")
def no_image_elsewhere(p, daemon):
    path = daemon.base + "/a.raw"
    daemon.write("a.vm", vm(disk(path)))
    p.refused("start", "a", code=4)
    daemon.exec("qemu-img", "create", "-qf", "raw", path, "1M")
    daemon.ok("start", "a")


@cure("mount the file system of %s, or restore the image; if it is lost for good, qemu-img create -f %s%s %s %s makes an empty one")
def an_image_is_lost(p, daemon):
    daemon.write("a.vm", vm(disk("a.raw", "Size=1M")))
    daemon.ok("start", "a")
    daemon.ok("kill", "a")
    os.unlink(daemon.images + "/a.raw")
    p.runs(p.refused("start", "a", code=4), "qemu-img")
    daemon.ok("start", "a")


@cure("create the directory")
def no_directory(p, daemon):
    daemon.write("a.vm", vm(disk("sub/a.raw", "Size=1M")))
    p.refused("start", "a", code=4)
    os.mkdir(daemon.images + "/sub")
    daemon.ok("start", "a")


@cure("mount what belongs there, or make it: mkdir -p %s")
def no_image_directory(p, daemon):
    daemon.write("a.vm", vm(disk("a.raw", "Size=1M")))
    os.rmdir(daemon.images)
    p.runs(p.refused("start", "a", code=4), "mkdir")
    daemon.ok("start", "a")


@cure("mount %s: its store in vmkeep.conf has RequireMount=yes")
def a_store_is_not_mounted(p, daemon):
    place = daemon.base + "/nas"
    os.mkdir(place)
    daemon.write("vmkeep.conf", vmk.DEFAULTS + "[Store nas]\nPath=%s\nRequireMount=yes\n" % place)
    daemon.write("a.vm", vm(disk("a.raw", "Store=nas", "Size=1M")))
    assert place in p.refused("start", "a", code=4)
    daemon.exec("sh", "-ec", smallfs.mount_line(place, "8m"))
    daemon.ok("start", "a")
    daemon.ok("kill", "a")
    daemon.exec("umount", "-l", place)


@cure("findmnt -T %s shows which; remount it for writing, or write ReadOnly=yes")
def mounted_read_only(p, daemon):
    daemon.micro("a")
    daemon.exec("mount", "--bind", daemon.images, daemon.images)
    daemon.exec("mount", "-o", "remount,bind,ro", daemon.images)
    hint = p.refused("start", "a", code=9)
    assert daemon.images in p.runs(hint, "findmnt")
    p.writes(hint, 0, "[Disk root]")
    daemon.ok("start", "a")
    daemon.ok("kill", "a")
    daemon.exec("umount", "-l", daemon.images)


@cure("name a device, such as /dev/random")
def random_numbers_from_a_file(p, daemon):
    daemon.micro("a", extra="[RNG]\nSource=/etc/hostname\n")
    hint = p.refused("start", "a", code=2)
    p.set("a.vm", "[RNG]", "Source", hint.split()[-1])
    daemon.ok("start", "a")


@cure("a link-local address is one of an interface: write another address")
def a_screen_on_a_link_local_address(p, daemon):
    daemon.micro("a", extra="[Display]\nListen=fe80::1\nAllowNoPassword=yes\n")
    p.refused("start", "a")
    p.set("a.vm", "[Display]", "Listen", "127.0.0.1")
    daemon.ok("start", "a")


@cure("VNC takes no more: write a password of that length")
def a_long_password(p, daemon):
    daemon.micro("a", extra="[Display]\nListen=127.0.0.1\nPassword=pw\n")
    os.chmod(daemon.write("pw", "123456789\n"), 0o600)
    p.told()
    daemon.write("pw", "12345678\n")
    assert daemon.json("check", "a") == []


@cure("Display.Password=FILE names a file in the configuration directory that holds it")
def a_password_in_an_argument(p, daemon):
    vnc = "vnc,listen=127.0.0.1"
    p.refused("create", "n", "--disk", "1M", "--graphics", vnc + ",password=secret", code=2)
    os.chmod(daemon.write("pw", "secret\n"), 0o600)
    daemon.ok("create", "n", "--disk", "1M", "--firmware=bios", "--graphics", vnc, "Display.Password=pw", "VM.Accel=tcg")
    assert daemon.json("check", "n") == []


@cure("write the name without the file's ending: %.*s", "write %.*s")
def a_file_for_a_name(p, daemon):
    daemon.micro("a", "deaf")
    daemon.ok("start", p.refused("start", "a.vm", code=4).split()[-1])
    daemon.ok("kill", "a")
    daemon.ok("start", p.refused("start", daemon.config + "/a.vm", code=2).split()[-1])


@cure("'%s' is a network: see vmkeep net show %s")
def a_network_for_a_name(p, daemon):
    p.types(p.refused("start", "default", code=4))


@cure("correct the path")
def no_kernel(p, daemon):
    daemon.micro("a", extra="[Boot]\nKernel=%s/none\n" % daemon.base)
    p.refused("start", "a", code=4)
    p.set("a.vm", "[Boot]", "Kernel", os.path.join(vmk.GUEST, "vmlinuz"))
    daemon.ok("start", "a")


@cure("its owner may not either: chmod u+%s %s")
def not_writable(p, daemon):
    daemon.micro("a")
    os.chmod(daemon.images + "/a.raw", 0o400)
    p.runs(p.refused("start", "a", code=9), "chmod")
    daemon.ok("start", "a")


@cure("chmod ug-s %s, and find out who set it")
def set_uid(p, daemon):
    daemon.micro("a")
    os.chmod(daemon.images + "/a.raw", 0o4700)
    p.runs(p.told(), "chmod")
    assert daemon.json("check", "a") == []


@cure("setcap -r %s")
def capabilities(p, daemon):
    daemon.micro("a")
    os.setxattr(daemon.images + "/a.raw", "security.capability", struct.pack("<IIIII", 0x02000001, 1 << 10, 0, 0, 0))
    p.runs(p.told(), "setcap")
    assert daemon.json("check", "a") == []


@cure("getfattr -d %s shows it, setfattr -x NAME %s removes it")
def an_attribute(p, daemon):
    daemon.micro("a")
    os.setxattr(daemon.images + "/a.raw", "user.note", b"x")
    hint = p.told()
    if os.path.exists("/usr/bin/setfattr"):
        assert "user.note" in p.runs(hint, "getfattr")
        p.runs(hint, "setfattr", NAME="user.note")
    else:
        assert hint.endswith("setfattr -x NAME %s/a.raw removes it" % daemon.images)
        os.removexattr(daemon.images + "/a.raw", "user.note")
    assert daemon.json("check", "a") == []


@cure("getfacl -n %s shows it, setfacl -b %s removes it")
def an_access_list(p, daemon):
    from test_images import acl
    daemon.micro("a")
    os.setxattr(daemon.images + "/a.raw", "system.posix_acl_access", acl((0x02, 6, 7004)))
    hint = p.told()
    if os.path.exists("/usr/bin/setfacl"):
        assert "7004" in p.runs(hint, "getfacl")
        p.runs(hint, "setfacl")
    else:
        os.removexattr(daemon.images + "/a.raw", "system.posix_acl_access")
    assert daemon.json("check", "a") == []


@cure("chattr -%c %s")
def immutable(p, daemon):
    daemon.micro("a")
    if daemon.vmkeep("version").code or os.system("chattr +i %s/a.raw 2>/dev/null" % daemon.images):
        pytest.skip("no such flags here")
    try:
        p.runs(p.refused("start", "a"), "chattr")
        daemon.ok("start", "a")
    finally:
        os.system("chattr -i %s/a.raw 2>/dev/null" % daemon.images)


@cure("copy the image instead of linking it")
def a_hard_link(p, daemon):
    daemon.micro("a")
    os.link(daemon.images + "/a.raw", daemon.images + "/b.raw")
    p.refused("start", "a")
    os.unlink(daemon.images + "/b.raw")
    daemon.exec("cp", daemon.images + "/a.raw", daemon.images + "/b.raw")
    daemon.ok("start", "a")


@cure("name an image file or a block device")
def a_directory_for_an_image(p, daemon):
    daemon.image("b.raw", "deaf")
    os.mkdir(daemon.images + "/a.raw")
    daemon.write("a.vm", vm(disk("a.raw")))
    p.refused("start", "a")
    p.set("a.vm", "[Disk root]", "Path", "b.raw")
    daemon.ok("start", "a")


@cure("name a file")
def a_directory_for_a_kernel(p, daemon):
    daemon.micro("a", extra="[Boot]\nKernel=%s\n" % daemon.base)
    p.refused("start", "a")
    p.set("a.vm", "[Boot]", "Kernel", os.path.join(vmk.GUEST, "vmlinuz"))
    daemon.ok("start", "a")


@cure("rename the file back to %s.vm, or write Path=%s; if it is another VM, Path= with another name, or 'vmkeep forget %s'")
def a_vanished_vm(p, daemon):
    daemon.write("web1.vm", vm(disk("%n.raw", "Size=1M")))
    daemon.ok("start", "web1")
    daemon.ok("kill", "web1")
    os.rename(os.path.join(daemon.config, "web1.vm"), os.path.join(daemon.config, "db.vm"))
    p.refused("start", "db", code=3)
    os.rename(os.path.join(daemon.config, "db.vm"), os.path.join(daemon.config, "web1.vm"))
    daemon.ok("start", "web1")
    daemon.ok("kill", "web1")
    os.rename(os.path.join(daemon.config, "web1.vm"), os.path.join(daemon.config, "db.vm"))
    p.types(p.refused("start", "db", code=3))
    daemon.ok("start", "db")


@cure("rename the image to %s, or write Path=%s")
def a_renamed_vm(p, daemon):
    daemon.write("a.vm", vm(disk("%n.raw", "Size=1M")))
    daemon.ok("start", "a")
    daemon.ok("kill", "a")
    os.rename(os.path.join(daemon.config, "a.vm"), os.path.join(daemon.config, "b.vm"))
    uuid = json.loads(vmk.read_text(os.path.join(daemon.state, "vms", "a", "identity.json")))["uuid"]
    p.set("b.vm", "[VM]", "UUID", uuid)
    p.writes(p.refused("start", "b"), 0, "[Disk root]", file="b.vm")
    daemon.ok("start", "b")


@cure("mount the file system of %s, or restore the image")
def an_image_is_away(p, daemon):
    daemon.micro("a")
    daemon.ok("start", "a")
    daemon.ok("kill", "a")
    os.rename(daemon.images + "/a.raw", daemon.base + "/a.raw")
    p.refused("start", "a", code=4)
    os.rename(daemon.base + "/a.raw", daemon.images + "/a.raw")
    daemon.ok("start", "a")


@cure("vmkeep check %s")
def a_start_that_failed(p, daemon):
    daemon.micro("a")
    os.rename(daemon.images + "/a.raw", daemon.images + "/b.raw")
    assert daemon.vmkeep("start", "a").code
    word, name = p.refused("pause", "a", code=5).split()[1:]
    assert "No such file" in daemon.vmkeep(word, name).out
    os.rename(daemon.images + "/b.raw", daemon.images + "/a.raw")
    daemon.ok("start", "a")
    daemon.ok("pause", "a")


@cure("put the file itself there, or name it by its absolute path, as root")
def a_link_for_an_image(p, daemon):
    daemon.micro("a")
    os.rename(daemon.images + "/a.raw", daemon.base + "/a.raw")
    os.symlink(daemon.base + "/a.raw", daemon.images + "/a.raw")
    p.refused("start", "a")
    p.set("a.vm", "[Disk root]", "Path", daemon.base + "/a.raw")
    daemon.ok("start", "a")


@cure("put identity.json in %s/vms/%s right, from a backup if it is lost",
      "restore identity.json from a backup, or write UUID=%s in [VM] to continue as that machine",
      "restore identity.json from a backup, or write UUID= in [VM], its own or a new one")
def a_damaged_identity(p, daemon):
    daemon.micro("a")
    daemon.ok("start", "a")
    daemon.ok("kill", "a")
    daemon.stop_daemon()
    path = os.path.join(daemon.state, "vms", "a", "identity.json")
    before = vmk.read_text(path)
    with open(path, "w", encoding="utf-8") as f:
        f.write(before[:len(before) // 2])
    daemon.start()
    p.refused("start", "a")
    with open(path, "w", encoding="utf-8") as f:
        f.write(before)
    daemon.ok("start", "a")


@cure("restore %s from a backup, or write UUID=%s in [VM] to continue as that machine; for a new one write another UUID=")
def a_lost_identity(p, daemon):
    daemon.micro("a")
    daemon.ok("start", "a")
    daemon.ok("kill", "a")
    uuid = daemon.info("a")["uuid"]
    daemon.stop_daemon()
    daemon.exec("rm", "-r", os.path.join(daemon.state, "vms", "a"))
    daemon.start()
    p.writes(p.refused("start", "a"), 0, "[VM]")
    daemon.ok("start", "a")
    assert daemon.info("a")["uuid"] == uuid


@cure("name the file itself, or give the link to root: chown -h root")
def a_link_of_others(p, daemon):
    daemon.micro("a")
    link = daemon.base + "/link.raw"
    os.symlink(daemon.images + "/a.raw", link)
    os.chown(link, 1234, 1234, follow_symlinks=False)
    p.set("a.vm", "[Disk root]", "Path", link)
    hint = p.refused("start", "a")
    p.runs(hint + " " + link, "chown")
    daemon.ok("start", "a")


test_cure = rows_of(__name__)
