# SPDX-License-Identifier: MIT
"""qmp --with-file: QEMU sees a file of the host for as long as a command of root's needs it, and nothing else."""
import json
import os

from test_cd import inside, iso


def add(node, path, **more):
    return json.dumps({"execute": "blockdev-add", "arguments": {
        "driver": "file", "node-name": node, "filename": path, **more}})


def drop(node):
    return json.dumps({"execute": "blockdev-del", "arguments": {"node-name": node}})


def test_in_and_out(daemon):
    daemon.micro("a")
    daemon.up("a")
    before = inside(daemon, "a")
    path = iso(daemon, "data.img", where=daemon.base)
    assert "No such file" in daemon.fails(1, "qmp", "a", add("n", path))
    daemon.ok("qmp", "a", add("n", path, **{"read-only": True}), "--with-file", path)
    assert path in inside(daemon, "a")[0]
    daemon.ok("qmp", "a", drop("n"), "--without-file", path)
    assert inside(daemon, "a") == before
    daemon.ok("qmp", "a", add("n", path), "--with-file", path, "--writable")
    daemon.ok("qmp", "a", drop("n"), "--without-file", path)
    assert inside(daemon, "a") == before


def test_what_fails_leaves_nothing(daemon):
    daemon.micro("a")
    daemon.up("a")
    before = inside(daemon, "a")
    path = iso(daemon, "data.img", where=daemon.base)
    daemon.fails(1, "qmp", "a", add("n", path), "--with-file", path)  # for reading only
    daemon.fails(1, "qmp", "a", '{"execute": "no-such-command"}', "--with-file", path)
    for words, code, says in ((("--with-file", path + ".gone"), 4, "No such file"),
                              (("--with-file", "data.img"), 2, "absolute"),
                              (("--with-file", daemon.base), 2, "is a directory"),
                              (("--with-file", os.path.join(daemon.images, "a.raw"), "--writable"), 3, "in use")):
        assert says in daemon.fails(code, "qmp", "a", "query-status", *words), words
    assert inside(daemon, "a") == before
    daemon.fails(9, "qmp", "a", "query-status", "--with-file", path, user="bob", groups=["vmkeep"])


def test_what_the_guest_uses_stays(daemon):
    """Without its lock a second VM could write to the disk."""
    daemon.image("a.raw", "polite", "up\r\n")
    path = iso(daemon, "a.iso")
    daemon.write("a.vm", "[VM]\nMemory=16M\nNetworks=none\n[Disk root]\nPath=a.raw\n[CDROM cd]\nPath=a.iso\n")
    daemon.up("a")
    before = inside(daemon, "a")
    disk, nvram = os.path.join(daemon.images, "a.raw"), os.path.join(daemon.state, "vms", "a", "nvram.qcow2")
    for file, said in ((disk, "disk 'root' has"), (nvram, "the firmware has"), (path, "drive 'cd' has")):
        assert said in daemon.fails(3, "qmp", "a", "query-status", "--without-file", file)
    assert inside(daemon, "a") == before
    daemon.write("b.vm", "[VM]\nMemory=16M\nNetworks=none\n[Disk root]\nPath=a.raw\n")
    daemon.fails(3, "start", "b")
