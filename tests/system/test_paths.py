# SPDX-License-Identifier: MIT
"""Paths as people write them, and the place that check reports for an error."""
import os

import pytest

from test_headers import checked, shell

HEAD = "[VM]\nMemory=16M\nNetworks=none\n[Disk root]\n"


def image(daemon):
    os.mkdir(daemon.images + "/sub")
    os.rename(daemon.image("a.raw", banner="up\r\n"), daemon.images + "/sub/a.raw")


@pytest.mark.parametrize("path", ["sub/a.raw", "./sub/a.raw", "sub//a.raw", "sub/./a.raw", "%s/sub/a.raw",
                                  "/.%s//./sub/a.raw"])
def test_one_file(daemon, path):
    image(daemon)
    daemon.write("a.vm", HEAD + "Path=%s\n" % path.replace("%s", daemon.images))
    assert checked(daemon, "a") == []
    daemon.up("a")


@pytest.mark.parametrize("path, says", [
    ('"sub/a.raw"', "no quotes here: write Path=sub/a.raw"),
    ("'/srv/a.raw'", "no quotes here: write Path=/srv/a.raw"),
    ("../a.raw", "'..' is not allowed in a path"),
    ("sub/../a.raw", "'..' is not allowed in a path"),
    ("/", "'/' does not name a file"),
    ("a.vmdk", "and write Path=a.qcow2"),
    ("a.VDI", "and write Path=a.qcow2"),
    ("a.vhdx", "and write Path=a.qcow2"),
    ("a.img.xz", "must be unpacked"),
    ("a.ova", "must be unpacked"),
    ("a", "add Format=qcow2 or Format=raw"),
])
def test_refused_where_it_is_written(daemon, path, says):
    daemon.write("a.vm", HEAD + "\nPath=%s\n" % path)
    row, = checked(daemon, "a")
    assert (row["line"], row["key"]) == (6, "Path") and says in row["reason"], row
    assert row["reason"] in daemon.fails(2, "start", "a")


def test_the_line_is_the_keys(daemon):
    """The line of the key is reported for images, in drop-ins, and for other keys that a start checks."""
    image(daemon)
    daemon.write("a.vm", HEAD + "Bus=scsi\n\nPath=no.raw\n[Boot]\n\nKernel=/no/kernel\nInitrd=/no/initrd\n")
    rows = {(row["key"], row["line"]) for row in checked(daemon, "a")}
    assert rows == {("Path", 7), ("Kernel", 10), ("Initrd", 11)}
    os.mkdir(daemon.config + "/a.vm.d")
    daemon.write("a.vm.d/x.conf", "[Boot]\nKernel=\nInitrd=\n\n[Disk root]\nPath=gone.raw\n")
    row, = checked(daemon, "a")
    assert row["file"].endswith("x.conf") and (row["key"], row["line"]) == ("Path", 6)
    shell(daemon, "qemu-img create -qf qcow2 o.qcow2 1M")
    daemon.write("b.vm", HEAD + "Path=o.qcow2\n\nBase=no.qcow2\n")
    rows = {(row["key"], row["line"]) for row in checked(daemon, "b")}
    assert ("Base", 7) in rows
    daemon.write("c.vm", "[VM]\nMemory=16M\nNetworks=none\nMachine=pc-q35-9.9\n[Disk root]\nPath=sub/a.raw\n")
    row, = checked(daemon, "c")
    assert (row["key"], row["line"]) == ("Machine", 4), row


def test_an_ending_in_capitals(daemon):
    daemon.write("Big.VM", HEAD + "Path=a.raw\n")
    daemon.write("lan.Network", "[Network]\n")
    rows = {os.path.basename(row["file"]): row for row in daemon.json("check")}
    assert set(rows) == {"Big.VM", "lan.Network"}
    for row in rows.values():
        assert row["severity"] == "warning" and "is ignored" in row["reason"] and row["hint"]
