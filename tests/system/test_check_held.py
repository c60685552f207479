# SPDX-License-Identifier: MIT
"""A file, an address, a name or a port that another VM or program holds is reported with its holder, by check and by a
start."""
import os

import pytest

from checks import only, problems, vm


def test_what_others_have(daemon):
    """Addresses, MACs and names of running VMs are refused; check itself claims nothing."""
    daemon.micro("a", extra="[NIC lan]\nAddress=192.168.122.9\nMACAddress=52:54:00:00:00:09\nHostName=nine\n")
    daemon.up("a")
    for keys, key, says in (("Address=192.168.122.9\n", "Address", "address 192.168.122.9 belongs to NIC 'lan' of VM 'a'"),
                            ("MACAddress=52:54:00:00:00:09\n", "MACAddress", "belongs to NIC 'lan' of VM 'a'"),
                            ("HostName=NINE\n", "HostName", "the name 'NINE' belongs to")):
        daemon.micro("b", extra="[NIC lan]\n" + keys)
        row = [row for row in problems(daemon, "b") if row["severity"] == "error"]
        assert len(row) == 1 and row[0]["key"] == key and says in row[0]["reason"], row
        assert says in daemon.fails(3, "start", "b")
    daemon.micro("b", extra="[NIC lan]\nAddress=192.168.122.10\n")
    assert daemon.ok("check", "b") == "no problems\n"
    daemon.micro("c", extra="[NIC lan]\nAddress=192.168.122.10\n")
    daemon.ok("start", "c")
    daemon.ok("kill", "a", "c")


@pytest.mark.parametrize("how", ["renamed over", "mounted over"])
def test_a_file_that_is_another_by_now(daemon, how):
    """N06: a guest keeps the file that it was started with; if the path now leads to another file, check says so."""
    daemon.micro("a", "deaf")
    daemon.up("a")
    path = daemon.images + "/a.raw"
    daemon.exec("cp", path, path + ".new")
    if how == "renamed over":
        daemon.exec("mv", path + ".new", path)
    else:
        daemon.exec("mount", "--bind", path + ".new", path)
    found = problems(daemon, "a", code=0)
    if how == "mounted over":
        daemon.exec("umount", path)
    row, = found
    assert row["severity"] == "warning" and "not the file that its guest runs with" in row["reason"], row
    daemon.ok("kill", "a")
    assert problems(daemon, "a", code=0) == []


def test_vnc_port(daemon):
    daemon.micro("a", extra="[Display]\nListen=127.0.0.1\nPort=5977\nAllowNoPassword=yes\n")
    assert problems(daemon, "a", code=0) == []
    holder = daemon.stream_of(
        "python3", "-c", "import socket,time\ns=socket.create_server(('127.0.0.1',5977))\n"
        "print('listens',flush=True)\ntime.sleep(999)")
    try:
        holder.until("listens")
        row = only(daemon, "a")
        assert row["key"] == "Port" and "127.0.0.1:5977 is taken by python3" in row["reason"]
    finally:
        holder.end()


DUPLICATES = {
    "image": ("[Disk d]\nPath=shared.raw\n", "[Disk e]\nPath=shared.raw\n", "Path", "also has %s/shared.raw, as its disk 'd'"),
    "base": ("[Disk d]\nPath=shared.raw\n", "[Disk e]\nPath=b.qcow2\nBase=shared.raw\n", "Path", "as its disk 'd'"),
    "mac": ("[NIC d]\nMACAddress=52:54:00:00:00:07\n", "[NIC e]\nMACAddress=52:54:00:00:00:07\n", "MACAddress",
            "also has 52:54:00:00:00:07, as its nic 'd'"),
    "address": ("[NIC d]\nAddress=192.168.122.7\n", "[NIC e]\nAddress=192.168.122.7\n", "Address",
                "also has 192.168.122.7 on network 'default'"),
    "port": ("[Display]\nListen=127.0.0.1\nPort=5999\nAllowNoPassword=yes\n",
             "[Display]\nListen=0.0.0.0\nPort=5999\nAllowNoPassword=yes\n", "Port", "VNC: VM 'a' also has port 5999"),
}


@pytest.mark.parametrize("case", DUPLICATES)
def test_duplicates(daemon, case):
    one, two, key, text = DUPLICATES[case]
    daemon.image("shared.raw")
    daemon.exec("qemu-img", "create", "-qf", "qcow2", "-b", "shared.raw", "-F", "raw", daemon.images + "/b.qcow2", "1M")
    daemon.micro("a", extra=one)
    daemon.micro("b", extra=two)
    daemon.micro("c")
    rows = problems(daemon, code=0)  # either may start
    assert [(row["key"], row["severity"]) for row in rows] == [
        (key, "warning"), ("Base" if case == "base" else key, "warning")]
    assert [os.path.basename(row["file"]) for row in rows] == ["a.vm", "b.vm"]
    assert "VM 'b'" in rows[0]["reason"] and (text % daemon.images if "%s" in text else text) in rows[1]["reason"]
    assert all(row["hint"] for row in rows)
    assert [os.path.basename(row["file"]) for row in problems(daemon, "b", code=0)] == ["b.vm"]


SAME = {  # ways to give one image two names; prepare: a command run in the world
    "path": ("{images}/a.raw", None),
    "hard link": ("{base}/link.raw", ["ln", "{images}/a.raw", "{base}/link.raw"]),
    "symlink": ("{base}/link.raw", ["ln", "-s", "{images}/a.raw", "{base}/link.raw"]),
    "bind mount": ("{base}/bind.raw", ["sh", "-c", "touch $0 && mount --bind $1 $0", "{base}/bind.raw", "{images}/a.raw"]),
}


@pytest.mark.parametrize("case", SAME)
def test_start_names_the_holder(world, case):
    """F60: before QEMU is started, with the whole name, which the kernel would truncate."""
    path, prepare = SAME[case]
    holder = "a-name-that-is-longer-than-the-kernel-keeps"
    places = {"images": world.images, "base": world.base}
    world.image("a.raw", "deaf", "up\r\n")
    mounts = []
    if prepare:
        world.exec(*[word.format(**places) for word in prepare])
    if case == "bind mount":
        mounts = [path.format(**places)]
    world.start()
    world.write(holder + ".vm", vm(world.images + "/a.raw"))
    world.write("b.vm", vm(path.format(**places)))
    try:
        world.up(holder)
        pid = world.info(holder)["pid"]
        said = world.fails(3, "start", "b")
        assert "is in use by VM '%s' (pid %d)" % (holder, pid) in said and "hint: stop that first" in said
        assert "VM '%s' (pid %d)" % (holder, pid) in problems(world, "b")[-1]["reason"]
        assert world.info(holder)["state"] == "running" and world.info("b")["state"] == "stopped"
        assert not os.path.exists(os.path.join(world.log, "b", "qemu.log")) or \
            os.path.getsize(os.path.join(world.log, "b", "qemu.log")) == 0
    finally:
        for mount in mounts:
            world.exec("umount", "-l", mount)


def test_start_names_the_holder_of_a_base(daemon):
    daemon.image("base.raw", "deaf", "up\r\n")
    daemon.exec("qemu-img", "create", "-qf", "qcow2", "-b", "base.raw", "-F", "raw", daemon.images + "/b.qcow2", "1M")
    daemon.write("a.vm", vm("base.raw"))
    daemon.write("b.vm", vm("b.qcow2", "Base=base.raw\n"))
    daemon.up("a")
    said = daemon.fails(3, "start", "b")
    assert "base of disk 'root'" in said and "in use by VM 'a'" in said
