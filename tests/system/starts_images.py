# SPDX-License-Identifier: MIT
"""What images and their directory do to the start of a VM, as cases for test_check_is_start.py."""
import contextlib
import os
import struct

from starts import Case
from starts_hosts import BROKEN, HOLDER, QEMU_IMG, covered, disk, full, image, program, ran, read_only

LOCKER = "import fcntl\nf=open('{images}/{vm}.raw','r+b')\nfcntl.lockf(f, fcntl.LOCK_EX)"
LEASE = "import fcntl\nf=open('{images}/{vm}.raw','rb')\nfcntl.fcntl(f, fcntl.F_SETLEASE, fcntl.F_RDLCK)"
IMAGES = "{world.images}"
BITMAPS = (b"\x23\x85\x28\x75\0\0\0\x18\0\0\0\1\0\0\0\0\0\0\0\0\0\0\1\0\0\0\0\0\0\1\0\0")


def qemu_img(*words):
    """Makes NAME.qcow2 with qemu-img; {} is its path, {raw} that of the raw image next to it."""
    @contextlib.contextmanager
    def before(world, name):
        path = os.path.join(world.images, name + ".qcow2")
        world.exec("qemu-img", *[word.format(path, raw=path[:-5] + "raw") for word in words])
        yield
        os.unlink(path)
    return before


def written(ending, content):
    """A file with this content next to the raw image."""
    @contextlib.contextmanager
    def before(world, name):
        path = os.path.join(world.images, name + ending)
        with open(path, "wb") as f:
            f.write(content)
        yield
        os.unlink(path)
    return before


@contextlib.contextmanager
def moved(world, name):
    """Moves the image directory away."""
    os.rename(world.images, world.images + ".away")
    yield
    os.rename(world.images + ".away", world.images)


def qcow2(**change):
    """A version 3 header, with zeros after it."""
    fields = dict(magic=b"QFI\xfb", version=3, backing=0, backing_size=0, bits=16, size=1 << 20, crypt=0, l1=1,
                  l1_at=0x30000, refs=0x10000, ref_clusters=1, snapshots=0, snapshots_at=0, bad=0, compatible=0,
                  clear=0, order=4, length=104)
    fields.update(change)
    return struct.pack(">4sIQIIQIIQQIIQQQQII", *fields.values()).ljust(1 << 20, b"\0")


def put(whole, at, data):
    return whole[:at] + data + whole[at + len(data):]


def cd(ending, content):
    return Case("CD %s of %d bytes, %r" % (ending, len(content), content[72:84]), before=written(ending, content),
                text="[VM]\nMemory=16M\nNetworks=none\n[CDROM cd]\nPath={vm}%s\n" % ending)


def inside(title, content, more=""):
    """A defect of an image that only QEMU detects."""
    return Case("qcow2 " + title, text=disk("{vm}.qcow2", more), before=written(".qcow2", content))


NEW = disk("{vm}-new.qcow2", "Size=1M\n")


def images():
    return [
        Case("image missing", before=image(lambda world, path: os.unlink(path))),
        Case("image's folder missing", text=disk("nowhere/x.raw")),
        Case("image is a folder", before=image(lambda world, path: (os.unlink(path), os.mkdir(path)))),
        Case("image is a FIFO", before=image(lambda world, path: (os.unlink(path), os.mkfifo(path)))),
        Case("image is a link", before=image(lambda world, path: (os.rename(path, path + "x"), os.symlink(path + "x", path)))),
        Case("image has two names", before=image(lambda world, path: os.link(path, path + ".too"))),
        Case("image read-only", before=image(lambda world, path: os.chmod(path, 0o400))),
        Case("image read-only, read only", [("Disk root", "ReadOnly=yes")], image(lambda world, path: os.chmod(path, 0o400))),
        Case("image unreadable", [("Disk root", "ReadOnly=yes")], image(lambda world, path: os.chmod(path, 0))),
        Case("image empty", before=image(lambda world, path: os.truncate(path, 0))),
        Case("image of few sectors", before=image(lambda world, path: os.truncate(path, 1536))),
        Case("image of few bytes", before=image(lambda world, path: os.truncate(path, 1000))),
        Case("image of few bytes, read only", [("Disk root", "ReadOnly=yes")], image(
            lambda world, path: os.truncate(path, 1000))),
        Case("image of few bytes, cached", [("Disk root", "Cache=writethrough")], image(
            lambda world, path: os.truncate(path, 1000))),
        Case("image of few bytes, a hole", before=image(lambda world, path: (
            os.truncate(path, 0), os.truncate(path, 1000)))),
        Case("image of few sectors to be made", text=disk("{vm}-new.raw", "Size=1536\n")),
        Case("image of another VM, running", text=disk(HOLDER + ".raw")),
        Case("image of another VM, both read", text=disk(HOLDER + ".raw", "ReadOnly=yes\n")),
        Case("image locked", before=program(LOCKER, "locked")),
        Case("image leased", before=program(LEASE, "leased")),
        Case("image twice", text=disk("{vm}.raw", "[Disk two]\nPath=../images/{vm}.raw\n")),
        Case("image twice, whole path", text=disk("{vm}.raw", "[CDROM two]\nPath={vm}.raw\n")),
        # cached, since on an overlay root the start's opening copies the file to where direct I/O may need other blocks
        Case("image elsewhere", text=disk("/etc/hostname", "Format=raw\nCache=writeback\n")),
        Case("image to be made", text=NEW),
        Case("image to be made elsewhere", text=disk("nowhere/{vm}.qcow2", "Size=1M\n")),
        Case("image to be made without qemu-img", text=NEW, before=covered(QEMU_IMG)),
        Case("image to be made with a qemu-img that fails", text=NEW, before=covered(QEMU_IMG, BROKEN, 0o755)),
        Case("image to be made with another machine's qemu-img", text=NEW, before=covered(QEMU_IMG, "ELF", 0o755)),
        Case("image to be made with root's qemu-img", text=NEW, before=covered(QEMU_IMG, BROKEN, 0o700)),
        Case("image to be made of 64T", text=disk("{vm}-new.qcow2", "Size=64T\n")),
        Case("image to be made on what is read-only", text=NEW, before=read_only(IMAGES)),
        Case("image to be made where no space is", text=NEW, before=full(IMAGES)),
        Case("image to be made where no inode is", text=NEW, before=full(IMAGES, "nr_inodes=1")),
        Case("image on what is read-only", before=read_only(IMAGES)),
        Case("image on what is read-only, read only", [("Disk root", "ReadOnly=yes")], read_only(IMAGES)),
        Case("image directory missing", before=moved),
        Case("image's size changed", [("Disk root", "Size=1G")]),
        Case("image made and gone", [("Disk root", "Size=1G")], ran(image(lambda world, path: os.unlink(path)))),
        Case("raw that is qcow2", before=image(lambda world, path: open(path, "wb").write(qcow2()))),
        Case("raw that is qcow2, written", [("Disk root", "Format=raw")],
             image(lambda world, path: open(path, "wb").write(qcow2()))),
        Case("qcow2", text=disk("{vm}.qcow2"), before=qemu_img("convert", "-O", "qcow2", "{raw}", "{}")),
        Case("qcow2 missing", text=disk("{vm}.qcow2")),
        Case("qcow2 empty", text=disk("{vm}.qcow2"), before=written(".qcow2", b"")),
        Case("qcow2 that is none", text=disk("{vm}.qcow2"), before=written(".qcow2", b"x" * 4096)),
        Case("qcow2 of version 1", text=disk("{vm}.qcow2"), before=written(".qcow2", qcow2(version=1))),
        Case("qcow2 of version 4", text=disk("{vm}.qcow2"), before=written(".qcow2", qcow2(version=4))),
        Case("qcow2 corrupt", text=disk("{vm}.qcow2"), before=written(".qcow2", qcow2(bad=2))),
        Case("qcow2 with a data file", text=disk("{vm}.qcow2"), before=written(".qcow2", qcow2(bad=4))),
        Case("qcow2 of the future", text=disk("{vm}.qcow2"), before=written(".qcow2", qcow2(bad=1 << 40))),
        Case("qcow2 with tables beyond its end", text=disk("{vm}.qcow2"), before=written(".qcow2", qcow2(l1_at=1 << 40))),
        Case("qcow2 of clusters of 4G", text=disk("{vm}.qcow2"), before=written(".qcow2", qcow2(bits=32))),
        Case("qcow2 encrypted", text=disk("{vm}.qcow2"), before=written(".qcow2", qcow2(crypt=1))),
        Case("qcow2 cut short", text=disk("{vm}.qcow2"), before=written(".qcow2", qcow2()[:90])),
        Case("VMDK", text=disk("{vm}.img"), before=qemu_img("convert", "-O", "vmdk", "{raw}", "{}")),
        Case("VMDK as qcow2", text=disk("{vm}.qcow2"), before=qemu_img("convert", "-O", "vmdk", "{raw}", "{}")),
        Case("VMDK as raw", text=disk("{vm}.qcow2", "Format=raw\n"), before=qemu_img("convert", "-O", "vmdk", "{raw}", "{}")),
        Case("gzip as raw", text=disk("{vm}.img"), before=written(".img", b"\x1f\x8b\x08" + bytes(5000))),
        Case("HTML as raw", text=disk("{vm}.img"), before=written(".img", b"<!DOCTYPE html><html>Not found</html>\n" * 200)),
        Case("overlay", text=disk("{vm}.qcow2", "Base={vm}.raw\n"),
             before=qemu_img("create", "-f", "qcow2", "-b", "{raw}", "-F", "raw", "{}")),
        Case("overlay without Base=", text=disk("{vm}.qcow2"),
             before=qemu_img("create", "-f", "qcow2", "-b", "{raw}", "-F", "raw", "{}")),
        Case("overlay, base missing", text=disk("{vm}.qcow2", "Base=nowhere.raw\n"),
             before=qemu_img("create", "-f", "qcow2", "-b", "{raw}", "-F", "raw", "{}")),
        Case("overlay, base in use", text=disk("{vm}.qcow2", "Base=holder.raw\n"),
             before=qemu_img("create", "-f", "qcow2", "-b", "{raw}", "-F", "raw", "{}")),
        Case("overlay, base's format", text=disk("{vm}.qcow2", "Base={vm}.raw\n"),
             before=qemu_img("create", "-f", "qcow2", "-b", "{raw}", "-F", "raw", "{}", "64K")),
        Case("Base= of a plain image", text=disk("{vm}.qcow2", "Base={vm}.raw\n"),
             before=qemu_img("convert", "-O", "qcow2", "{raw}", "{}")),
        Case("Base= and Size=", text=disk("{vm}-o.qcow2", "Base={vm}.raw\nSize=1M\n")),
        inside("of an unknown compression", put(qcow2(length=112), 104, b"\7")),
        inside("of a compression without its bit", put(qcow2(length=112), 104, b"\1")),
        inside("with an extension without an end", put(qcow2(), 104, b"\x12\x34\x56\x78\xff\0\0\0")),
        inside("with bitmaps cut short", put(qcow2(), 104, b"\x23\x85\x28\x75\0\0\0\4\0\0\0\1")),
        inside("with bitmaps of nothing", put(qcow2(clear=1), 104, BITMAPS)),
        inside("with snapshots of nothing", put(qcow2(snapshots=1, snapshots_at=0x40000), 0x40000, b"\xff" * 200)),
        inside("with a base's name too long", qcow2(backing=0x200, backing_size=5000), "Base={vm}.raw\n"),
        inside("as QEMU wants it", qcow2()),
        cd(".qcow2", b""),
        cd(".qcow2", b"x" * 4096),
        cd(".qcow2", qcow2()),
        cd(".qcow2", qcow2()[:90]),
        cd(".qcow2", qcow2(crypt=1)),
        cd(".qcow2", qcow2(bad=1 << 40)),
        cd(".qcow2", qcow2(bad=2)),
        cd(".qcow2", qcow2(bad=4)),
        cd(".iso", b""),
        cd(".iso", b"a"),
        cd(".iso", qcow2()),
        Case("CD on a base", text="[VM]\nMemory=16M\nNetworks=none\n[CDROM cd]\nPath={vm}.qcow2\n",
             before=qemu_img("create", "-f", "qcow2", "-b", "{raw}", "-F", "raw", "{}")),
        Case("zeroes that cannot be discarded", [("Disk root", "DetectZeroes=unmap"), ("Disk root", "Discard=ignore")]),
        Case("CD missing", [("CDROM cd", "Path=nowhere.iso")]),
        Case("CD there", [("CDROM cd", "Path=/etc/hostname"), ("CDROM cd", "Format=raw")]),
        Case("kernel missing", [("Boot", "Kernel=/nowhere/vmlinuz")]),
        Case("kernel that is none", [("Boot", "Kernel=/etc/hostname")]),
        Case("initrd missing", [("Boot", "Kernel=/etc/hostname"), ("Boot", "Initrd=/nowhere/initrd")]),
        Case("aio native", [("Disk root", "AIO=native"), ("Disk root", "Cache=none")]),
        Case("aio native on tmpfs", text=disk("{vm}/x.raw", "AIO=native\nCache=none\n")),
    ]
