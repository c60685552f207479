# SPDX-License-Identifier: MIT
"""Images as left by qemu-img, an interrupted download, or a mistake: check and start agree."""
import json
import os
import shlex
import struct

import pytest

DISK = "[VM]\nMemory=16M\nNetworks=none\n[Disk root]\nPath=%s\n"


def make(world, *argv):
    """Runs a program in the image directory."""
    world.exec("sh", "-c", 'cd "$1" && shift && exec "$@"', "-", world.images, *argv)


def shell(world, line):
    make(world, "sh", "-ec", line)


def disk(world, name, file, extra=""):
    world.write(name + ".vm", DISK % file + extra)


def checked(world, name):
    return json.loads(world.vmkeep("--json", "check", name).out)


def refused(world, name, says, hint, code=2):
    """Refused by both, with the same text; returns the hint."""
    row, = checked(world, name)
    assert says in row["reason"] and hint in row["hint"], row
    said = world.fails(code, "start", name)
    assert row["reason"] in said and row["hint"] in said, (row, said)
    return row["hint"]


def starts(world, name, doubts=None):
    """No error, and at most the given warning, which only check reports; the VM starts."""
    rows = checked(world, name)
    assert [row["severity"] for row in rows] == ["warning"] * (doubts is not None), rows
    assert doubts is None or doubts in rows[0]["reason"], rows
    world.ok("start", name)
    return rows[0]["hint"] if rows else ""


def poke(path, at, data):
    with open(path, "r+b") as f:
        f.seek(at)
        f.write(data)


BIG = "qemu-img create -qf qcow2 %s a.qcow2 64M; qemu-io -f qcow2 -c 'write 0 48M' a.qcow2 >&2; "

CUT = {  # how the image is made, and the error
    "half": (BIG % "" + "truncate -s 24M a.qcow2", "truncated"),
    "the last cluster": (BIG % "" + "truncate -s -64K a.qcow2", "truncated"),
    "small clusters": (BIG % "-o cluster_size=512" + "truncate -s 40M a.qcow2", "truncated"),
    "subclusters": (BIG % "-o extended_l2=on,cluster_size=128k" + "truncate -s 24M a.qcow2", "truncated"),
    "version 2": (BIG % "-o compat=0.10" + "truncate -s 24M a.qcow2", "truncated"),
    "compressed": (BIG % "" + "head -c 20M /dev/urandom >r; qemu-img convert -cf raw -O qcow2 r a.qcow2; rm r; "
                   "truncate -s 10M a.qcow2", "truncated"),
    "not closed": (BIG % "-o lazy_refcounts=on" + "printf '\\1' | dd of=a.qcow2 bs=1 seek=79 conv=notrunc 2>&1; "
                   "truncate -s 24M a.qcow2", "truncated"),
    "tables": (BIG % "" + "truncate -s 200000 a.qcow2", "truncated"),
    "refcounts": (BIG % "" + "truncate -s 100000 a.qcow2", "truncated"),
    "header": (BIG % "" + "truncate -s 100 a.qcow2", "is truncated: only 100 bytes"),
    "magic": (BIG % "" + "truncate -s 5 a.qcow2", "is truncated: only 5 bytes"),
}


@pytest.mark.parametrize("case", CUT)
def test_cut_short(daemon, case):
    line, says = CUT[case]
    shell(daemon, line)
    disk(daemon, "a", "a.qcow2")
    refused(daemon, "a", says, "again")


def test_uefi_variables_cut_short(daemon):
    """Created again after their file has been removed, as the hint says."""
    daemon.micro("a", "deaf", banner="", extra="[Boot]\nFirmware=uefi\n")
    daemon.ok("start", "a")
    daemon.ok("kill", "a")
    path = daemon.state + "/vms/a/nvram.qcow2"
    os.truncate(path, 70000)
    assert path in refused(daemon, "a", "UEFI variables: %s is truncated" % path, "or remove")
    os.unlink(path)
    daemon.ok("start", "a")


def test_a_base_cut_short(daemon):
    shell(daemon, BIG % "" + "qemu-img create -qf qcow2 -b a.qcow2 -F qcow2 o.qcow2; truncate -s 24M a.qcow2")
    disk(daemon, "a", "o.qcow2", "Base=a.qcow2\n")
    refused(daemon, "a", "base of disk 'root'", "copy or download it again")


def test_cut_after_it_ran(daemon):
    """The image may be the only copy: the hint's way to continue with the remaining data works."""
    shell(daemon, BIG % "")
    disk(daemon, "a", "a.qcow2")
    daemon.ok("start", "a")
    daemon.ok("kill", "a")
    os.truncate(daemon.images + "/a.qcow2", 24 << 20)
    hint = refused(daemon, "a", "truncated", "truncate -s ")
    daemon.exec("sh", "-ec", hint[hint.index("truncate"):])
    starts(daemon, "a")


def test_lost_clusters_are_no_loss(daemon):
    """Clusters that are counted but not referenced, as after a kill of QEMU, are no loss of data."""
    shell(daemon, BIG % "" + "qemu-io -f qcow2 -c 'write 48M 1M' a.qcow2 >&2; "
          "qemu-img check a.qcow2 >&2")
    path = daemon.images + "/a.qcow2"
    with open(path, "rb") as f:
        l1, = struct.unpack(">Q", f.read(48)[40:48])
        f.seek(l1)
        l2, = struct.unpack(">Q", f.read(8))
    poke(path, (l2 & 0xfffffffffffe00) + 768 * 8, bytes(16 * 8))
    os.truncate(path, os.path.getsize(path) - (1 << 20))
    disk(daemon, "a", "a.qcow2")
    starts(daemon, "a")


WHOLE = {  # variants of qcow2, and what check reports
    "version 2": ("qemu-img create -qf qcow2 -o compat=0.10 a.qcow2 64M", None),
    "subclusters": ("qemu-img create -qf qcow2 -o extended_l2=on,cluster_size=128k a.qcow2 64M", None),
    "zstd": ("truncate -s 8M r; qemu-img convert -cf raw -O qcow2 -o compression_type=zstd r a.qcow2; rm r", None),
    "lazy": ("qemu-img create -qf qcow2 -o lazy_refcounts=on a.qcow2 64M", None),
    "all allocated": ("qemu-img create -qf qcow2 -o preallocation=metadata a.qcow2 64M", None),
    "empty": ("qemu-img create -qf qcow2 a.qcow2 0", None),
    "large": ("qemu-img create -qf qcow2 a.qcow2 60T", "may still grow"),
    "small clusters": ("qemu-img create -qf qcow2 -o cluster_size=512 a.qcow2 1G", None),
    "dirty": (BIG % "" + "printf '\\1' | dd of=a.qcow2 bs=1 seek=79 conv=notrunc 2>&1", None),
    "snapshots": (BIG % "" + "for i in 1 2 3; do qemu-img snapshot -c $i a.qcow2; done", None),
    "shrunk": (BIG % "" + "qemu-img resize -q --shrink a.qcow2 10M", None),
    "bitmaps": ("qemu-img create -qf qcow2 a.qcow2 4M; qemu-img bitmap --add --enable a.qcow2 b", "1 dirty bitmaps"),
    "odd size": ("qemu-img create -qf qcow2 a.qcow2 4M; printf '\\1' | dd of=a.qcow2 bs=1 seek=31 conv=notrunc 2>&1",
                 "not a multiple of 512"),
}


@pytest.mark.parametrize("case", WHOLE)
def test_what_is_whole_starts(daemon, case):
    line, doubts = WHOLE[case]
    shell(daemon, line)
    disk(daemon, "a", "a.qcow2")
    starts(daemon, "a", doubts)


CANNOT = {  # what is done to an image, the error and the hint, and what makes the VM start
    "corrupt": ("printf '\\2' | dd of=a.qcow2 bs=1 seek=79 conv=notrunc 2>&1", "marked as corrupt",
                "qemu-img check -r all "),
    "unknown": ("printf '\\20' | dd of=a.qcow2 bs=1 seek=77 conv=notrunc 2>&1", "(bit 20)", None),
    "data file": ("qemu-img create -qf qcow2 -o data_file=ext.raw,data_file_raw=on a.qcow2 4M",
                  "data in another file", "qemu-img convert "),
    # on a busy host QEMU cannot measure the CPU's speed in time
    "encrypted": ("printf abc >key; for i in $(seq 50); do qemu-img create -q --object secret,id=s,file=key -f qcow2 -o "
                  "encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=10 a.qcow2 1M && exit; done; false",
                  "is encrypted (LUKS)", "qemu-img convert "),
}


@pytest.mark.parametrize("case", CANNOT)
def test_what_qemu_would_refuse(daemon, case):
    line, says, cure = CANNOT[case]
    daemon.image("a.qcow2")
    shell(daemon, line)
    disk(daemon, "a", "a.qcow2")
    hint = refused(daemon, "a", says, cure or "a QEMU that knows it")
    if not cure:
        return
    make(daemon, "sh", "-ec", hint[hint.index(cure):].replace("PASSWORDFILE", "key").replace("NEW", "new.qcow2"))
    if "new.qcow2" in os.listdir(daemon.images):
        disk(daemon, "a", "new.qcow2")
    starts(daemon, "a")


ALIEN = {  # the file's content, and the name of its format
    "vmdk": ("qemu-img convert -f raw -O vmdk r FILE", "a VMDK image"),
    "split vmdk": ("qemu-img convert -f raw -O vmdk -o subformat=monolithicFlat r FILE", "a VMDK description"),
    "vdi": ("qemu-img convert -f raw -O vdi r FILE", "a VDI image"),
    "vhdx": ("qemu-img convert -f raw -O vhdx r FILE", "a VHDX image"),
    "vhd": ("qemu-img convert -f raw -O vpc r FILE", "a VHD image"),
    "qcow 1": ("qemu-img convert -f raw -O qcow r FILE", "a qcow image of version 1"),
    "qed": ("qemu-img convert -f raw -O qed r FILE", "a QED image"),
    "parallels": ("qemu-img convert -f raw -O parallels r FILE", "a Parallels image"),
    "gzip": ("gzip <r >FILE", "compressed by gzip"),
    "xz": ("xz <r >FILE", "compressed by xz"),
    "bzip2": ("bzip2 <r >FILE", "compressed by bzip2"),
    "web page": ("printf '\\n<!DOCTYPE html>\\n<title>404</title>' >FILE", "a web page"),
}


@pytest.mark.parametrize("file", ["a.qcow2", "a.img"])
@pytest.mark.parametrize("case", ALIEN)
def test_another_format(daemon, case, file):
    """The error names the format and the command that converts it, which works; raw is never suggested."""
    line, says = ALIEN[case]
    os.rename(daemon.image("r.raw"), daemon.images + "/r")
    shell(daemon, line.replace("FILE", file))
    disk(daemon, "a", file)
    hint = refused(daemon, "a", says, "")
    assert "Format=raw" not in hint
    if "again" in hint:
        return
    command = hint[hint.index(": ") + 2:].split(", and write" if "convert" in hint else "; ")[0]
    make(daemon, "sh", "-ec", command)
    disk(daemon, "a", shlex.split(command)[-1], "" if "convert" in hint else "Format=raw\n")
    starts(daemon, "a")


@pytest.mark.parametrize("case", ["vmdk", "gzip"])
def test_raw_that_is_meant(daemon, case):
    os.rename(daemon.image("r.raw"), daemon.images + "/r")
    shell(daemon, ALIEN[case][0].replace("FILE", "a.img") + "; truncate -s %4096 a.img")
    disk(daemon, "a", "a.img", "Format=raw\n")
    assert "Format=raw" not in starts(daemon, "a", "is used as raw")


def test_raw_under_the_name_of_qcow2(daemon):
    os.rename(daemon.image("r.raw"), daemon.images + "/a.qcow2")
    disk(daemon, "a", "a.qcow2")
    refused(daemon, "a", "but a raw image with a boot sector", "Format=raw")
    disk(daemon, "a", "a.qcow2", "Format=raw\n")
    starts(daemon, "a")


def test_empty(daemon):
    shell(daemon, ": >a.qcow2; : >a.img")
    disk(daemon, "a", "a.qcow2")
    refused(daemon, "a", "it is empty", "again")
    disk(daemon, "a", "a.img")
    starts(daemon, "a", "is empty")


def test_a_cd_and_a_kernel_from_the_web(daemon):
    daemon.micro("a", extra="[CDROM cd]\nPath=cd.iso\n")
    shell(daemon, "printf '<html>' >cd.iso")
    assert "download it again" in starts(daemon, "a", "cdrom 'cd'")
    kernel = daemon.images + "/vmlinuz"
    shell(daemon, "printf '<html>' >vmlinuz")
    daemon.micro("b", extra="[Boot]\nKernel=%s\n" % kernel)
    refused(daemon, "b", "kernel: %s is a web page" % kernel, "download it again")
