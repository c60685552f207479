# SPDX-License-Identifier: MIT
"""Preflight: `check` reports what would keep a VM from starting, with the fix, and starts nothing; a start refuses
what another VM holds, and names that VM."""
import os
import socket

import pytest

import vmk
from smallfs import mount_line


def problems(world, *names, code=2):
    """The rows of check as dictionaries; its exit code must be this one."""
    result = world.vmkeep("--json", "check", *names)
    assert result.code == code, result
    return vmk.json.loads(result.out)


def only(world, name, severity="error"):
    row, = problems(world, name, code=2 if severity == "error" else 0)
    assert row["severity"] == severity
    return row


def vm(path, more="", head="[VM]\nMemory=16M\nNetworks=none\n"):
    return "%s[Disk root]\nPath=%s\n%s" % (head, path, more)


def test_a_name_like_a_place(daemon):
    """A file name that looks like a place and a reason confuses neither the daemon nor the client."""
    daemon.write("a:1: b.vm", "[VM]\n")
    row, = problems(daemon)
    assert row["file"] == daemon.config + "/a:1: b.vm" and row["line"] is None and row["key"] is None, row
    assert row["reason"].startswith("the name must be letters") and row["severity"] == "error"
    path = daemon.config + "/x:7: Key: y.vm"
    daemon.write("x:7: Key: y.vm", "[VM]\nMemory=16M\nMemry=1\n")
    found = {row["line"]: (row["file"], row["key"]) for row in problems(daemon, path)}
    assert found[3] == (path, "Memry"), found


def test_nothing_wrong(daemon):
    daemon.micro("a")
    daemon.micro("b", disk="qcow2")
    assert daemon.ok("check") == "no problems\n"
    assert daemon.ok("check", "b") == "no problems\n"
    assert daemon.states() == {"a": "stopped", "b": "stopped"}
    daemon.up("a")
    assert daemon.ok("check") == "no problems\n", "its own locks are no problem"
    assert len(daemon.processes()) == 2 + len(daemon.streams), "nobody is left behind"


def test_all_problems_at_once_with_their_lines(daemon):
    daemon.image("good.raw")
    daemon.write("a.vm", vm("gone.raw", "[Disk more]\nPath=no/such.raw\nSize=1M\n[NIC lan]\nBridge=br7\n"
                            "[NIC wan]\nNetwork=nowhere\n[Disk good]\nPath=good.raw\n"))
    rows = problems(daemon, "a")
    path = os.path.join(daemon.config, "a.vm")
    assert [(row["file"], row["line"], row["key"]) for row in rows] == [
        (path, 10, "Bridge"), (path, 12, "Network"), (path, 5, "Path"), (path, 7, "Path")]
    assert "no bridge 'br7'" in rows[0]["reason"] and "ip link add br7 type bridge" in rows[0]["hint"]
    assert "nowhere" in rows[1]["reason"]
    assert "gone.raw: No such file" in rows[2]["reason"] and "Size=" in rows[2]["hint"]
    assert "directory %s/no does not exist" % daemon.images in rows[3]["reason"]
    assert os.listdir(daemon.images) == ["good.raw"], "nothing is made"
    result = daemon.vmkeep("check", "a")
    assert result.code == 2
    assert "%s:5: Path: disk 'root': " % path in result.out and "\n  hint: correct Path=" in result.out


def test_files_as_the_uid_of_the_vm_sees_them(daemon):
    """F72: missing permissions that id-mapped mounts cannot replace: the report names the line that fixes them, and
    nothing is changed. (A home directory closed to others is not a problem: see test_jail.py.)"""
    path = daemon.image("a.raw")
    os.chmod(path, 0o400)
    daemon.write("a.vm", vm("a.raw"))
    row = only(daemon, "a")
    assert "may not write %s (owner uid 0, mode 0400)" % path in row["reason"]
    assert row["hint"].endswith("chmod u+rw %s" % path)
    assert "chmod u+rw" in daemon.fails(9, "start", "a")
    assert os.stat(path).st_mode & 0o777 == 0o400
    os.chmod(path, 0o600)
    assert problems(daemon, "a", code=0) == []


def test_chain(daemon):
    daemon.exec("qemu-img", "create", "-qf", "qcow2", daemon.images + "/base.qcow2", "1M")
    daemon.exec("qemu-img", "create", "-qf", "qcow2", "-b", "base.qcow2", "-F", "qcow2", daemon.images + "/a.qcow2")
    daemon.write("a.vm", vm("a.qcow2"))
    assert only(daemon, "a")["hint"] == "write Base=base.qcow2 if it is to be used"
    daemon.write("a.vm", vm("a.qcow2", "Base=base.qcow2\n"))
    assert problems(daemon, "a", code=0) == []
    os.unlink(daemon.images + "/base.qcow2")
    row = only(daemon, "a")
    assert "base of disk 'root': " in row["reason"] and "base.qcow2: No such file" in row["reason"]


def test_room_that_images_may_need(daemon):
    daemon.exec("sh", "-c", mount_line(daemon.images, "1m"))
    try:
        daemon.write("a.vm", vm("a.qcow2", "Size=4G\n"))
        row = only(daemon, "a", "warning")
        assert "may still grow by 4G" in row["reason"]
        assert ": warning: " in daemon.ok("check", "a")
    finally:
        daemon.exec("umount", "-l", daemon.images)


def test_room_that_all_images_may_need_together(daemon):
    """Each image has room enough, all together do not: reported once, and for a single VM only if its own image is on
    that file system."""
    daemon.exec("sh", "-c", mount_line(daemon.images, "8m"))
    try:
        for name in "ab":
            daemon.write(name + ".vm", vm(name + ".qcow2", "Size=4M\n"))
        assert problems(daemon, code=0) == [] == problems(daemon, "a", code=0)
        daemon.write("c.vm", vm("c.raw", "Size=3M\n"))
        os.rename(daemon.image("outside.raw"), daemon.base + "/outside.raw")  # hidden below the mount
        daemon.write("d.vm", vm(daemon.base + "/outside.raw"))
        row, = problems(daemon, code=0)
        assert row["severity"] == "warning" and "the images of 3 VMs" in row["reason"]
        assert "may together still grow by 11M" in row["reason"] and "not be examined" not in row["reason"]
        for name in "abc":
            row = only(daemon, name, "warning")
            assert row["file"].endswith("/%s.vm" % name) and "disk 'root': the images of 3 VMs" in row["reason"]
            assert row["reason"].endswith("; 1 more could not be examined"), "what lies elsewhere"
        assert problems(daemon, "d", code=0) == []
        daemon.exec("sh", "-c", "truncate -s 2M $0 && dd if=/dev/zero of=$0 bs=1M count=2 conv=notrunc 2>&1",
                    daemon.images + "/c.raw")
        daemon.write("b.vm", vm("b.qcow2", "Size=3M\n"))  # together 7M, and 6M are left
        daemon.ok("reload")
        assert "may together still grow by 7M" in only(daemon, "a", "warning")["reason"]
        os.unlink(os.path.join(daemon.config, "b.vm"))
        daemon.ok("reload")
        assert problems(daemon, "a", code=0) == []
    finally:
        daemon.exec("umount", "-l", daemon.images)


def test_memory(daemon):
    """F96: refused before QEMU is started, with the figures and the fix."""
    daemon.image("a.raw")
    daemon.write("a.vm", vm("a.raw", head="[VM]\nMemory=60T\nNetworks=none\n"))
    row = only(daemon, "a")
    assert "60T exceeds the" in row["reason"] and "smaller Memory=" in row["hint"]
    said = daemon.fails(11, "start", "a")
    assert "60T exceeds the" in said and "hint: " in said
    daemon.alone()


def test_machine_and_binary(daemon):
    daemon.image("a.raw")
    daemon.write("a.vm", vm("a.raw", head="[VM]\nMemory=16M\nNetworks=none\nMachine=pc-q35-9.9\n"))
    row = only(daemon, "a")
    assert row["key"] == "Machine" and "has no machine 'pc-q35-9.9'" in row["reason"] and "pc-q35-" in row["hint"]
    daemon.write("a.vm", vm("a.raw", "[QEMU]\nBinary=/usr/bin/no-such-qemu\n"))
    assert only(daemon, "a")["key"] == "Binary"


def same(world, name, code, key, says):
    """check and start refuse it: one row, with the class, reason and hint of start. Nothing of it is left."""
    row = only(world, name)
    assert row["key"] == key and says in row["reason"], row
    result = world.vmkeep("--json", "start", name)
    assert result.code == code, result
    error = vmk.json.loads(result.out)[0]["error"]
    assert (error["class"], error["desc"], error.get("hint")) == (row["class"], row["reason"], row["hint"])
    return row


CPUS = {
    "model": ("[CPU]\nModel=EPYC-Rom\n", "Model", "no CPU model 'EPYC-Rom'", "EPYC-Rome"),
    "libvirt": ("[CPU]\nModel=host-passthrough\n", "Model", "no CPU model 'host-passthrough'", "Model=host"),
    "Proxmox": ("[CPU]\nModel=x86-64-v2-AES\n", "Model", "no CPU model 'x86-64-v2-AES'", "Model=Westmere"),
    "host": ("[CPU]\nModel=host\n", "Model", "needs KVM", "Model=max"),
    "feature": ("[CPU]\nFeatures=+nosuchfeat\n", "Features", "no CPU feature 'nosuchfeat'", ""),
    "number": ("Machine=pc\nCPUs=900\n", "CPUs", "900 CPUs, but machine 'pc-", " or fewer"),
}


@pytest.mark.parametrize("case", CPUS)
def test_processors(daemon, case):
    """F10: a CPU model or feature that this QEMU does not know is refused before a start, with similar names."""
    more, key, says, cure = CPUS[case]
    daemon.micro("a", **{"extra" if more[0] == "[" else "vm": more})
    row = same(daemon, "a", 2, key, says)
    assert row["class"] == "InvalidConfig" and cure in row["hint"], row
    daemon.alone()


TRIED = {
    "feature": (2, "[CPU]\nFeatures=+avx512f\n", "Features", "TCG lacks CPU features that it asks for: avx512f", "Features=-avx512f"),
    "model": (2, "[CPU]\nModel=EPYC\n", "Model", "TCG lacks CPU features that it asks for: ", "write another Model="),
    "memory": (11, "[Memory]\nMax=64T\n", None, "64T exceeds", "smaller Max="),
    "keymap": (7, "[Display]\nType=vnc\nKeymap=xx\n", None, "could not read keymap file: 'xx'", "keymaps"),
    "kernel": (7, "[Boot]\nKernel=/etc/hostname\n", None, "invalid kernel header", "vmlinuz"),
    "generator": (11, "[RNG]\nSource=/dev/no-such\n", None, "no device /dev/no-such on this host", "module"),
}


@pytest.mark.parametrize("case", TRIED)
def test_what_only_qemu_knows(daemon, case):
    """K6: check runs QEMU with the command line but without a guest; it reports whatever QEMU would refuse at a
    start. The fix works."""
    code, more, key, says, cure = TRIED[case]
    daemon.micro("a", extra=more)
    row = same(daemon, "a", code, key, says)
    assert cure in row["hint"], row
    if case == "feature":
        daemon.micro("a", extra="[CPU]\nFeatures=-avx512f\n")
        assert daemon.ok("check", "a") == "no problems\n"
        daemon.ok("start", "a")
        daemon.micro("a", extra=more)
        assert "TCG lacks" in only(daemon, "a")["reason"], "the next start"
        assert "left running" in daemon.fails(2, "reboot", "a")
    daemon.ok("kill", "a")
    daemon.alone()


LAB = "[Network]\nMode=nat\nBridge=lab0\nAddress=10.30.0.1/24\n"
NICS = {  # exit code, lab.network, keys of the NIC, key at fault, error text
    "new network": (0, LAB, "Network=lab\n", None, ""),
    "no such network": (4, None, "Network=nowhere\n", "Network", "nic 'lan': no network 'nowhere'"),
    "broken file": (2, "[Network]\nMode=bridged\n", "Network=lab\n", "Network", "lab.network:2: Mode: "),
    "overlaps": (3, LAB.replace("10.30", "10.77"), "Network=lab\n", "Network", "overlaps with"),
    "elsewhere": (2, LAB, "Network=lab\nAddress=10.31.0.5\n", "Address", "10.31.0.5 is not a guest address in network 'lab'"),
    "the host's": (3, LAB, "Network=lab\nAddress=10.30.0.1\n", "Address", "address 10.30.0.1 is the host's"),
    "default's": (2, None, "Address=10.1.2.3\n", "Address", "not a guest address in network 'default'"),
    "no bridge": (4, None, "Bridge=nowhere0\n", "Bridge", "there is no bridge 'nowhere0'"),
    "no bridge but a link": (3, None, "Bridge=tap7\n", "Bridge", "'tap7' is an interface, but not a bridge"),
    "full": (11, "[Network]\nMode=nat\nAddress=10.30.0.1/30\n", "Network=lab\n[NIC two]\nNetwork=lab\n", "Network",
             "nic 'two': network 'lab' has no free address"),
}


@pytest.mark.parametrize("case", NICS)
def test_networks_as_their_files_are(daemon, case):
    """D9a, D9b: with a file that the daemon has not read before, and with a network that is not up."""
    code, text, keys, key, says = NICS[case]
    daemon.exec("sh", "-c", "ip link add br7 type bridge; ip link set br7 up; ip addr add 10.77.0.1/24 dev br7;"
                "ip tuntap add tap7 mode tap")
    if text:
        daemon.write("lab.network", text)
    daemon.micro("a", extra="[NIC lan]\n" + keys)
    links = daemon.exec("ip", "-o", "link")
    if code:
        row = same(daemon, "a", code, key, says)
        assert row["line"], "of the section"
    else:
        assert daemon.ok("check", "a") == "no problems\n"
        assert daemon.exec("ip", "-o", "link") == links, "nothing was made"
        daemon.ok("start", "a")
        daemon.ok("kill", "a")
    daemon.vmkeep("net", "stop", "--force", "lab")
    daemon.exec("ip", "link", "del", "br7")
    daemon.exec("ip", "link", "del", "tap7")


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


PASSWORDS = {
    "missing": (4, None, "display: password: "),
    "empty": (2, "", "begins with an empty line"),
    "first line empty": (2, "\nsecret\n", "begins with an empty line"),
    "not UTF-8": (2, "\udcff\udcfe\n", "not UTF-8"),
    "cut short": (2, "1234567\u00e9\n", "not UTF-8"),
}


@pytest.mark.parametrize("case", PASSWORDS)
def test_password(daemon, case):
    """D7: a VM is not started if nobody could connect to its display."""
    code, text, says = PASSWORDS[case]
    daemon.micro("a", extra="[Display]\nListen=127.0.0.1\nPassword=a.secret\n")
    if text is not None:
        with open(daemon.config + "/a.secret", "wb") as f:
            f.write(text.encode("utf-8", "surrogateescape"))
    row = same(daemon, "a", code, "Password", says)
    assert "first line" in row["hint"], row
    daemon.alone()
    # the fix
    daemon.write("a.secret", "better\n")
    os.chmod(daemon.config + "/a.secret", 0o600)
    assert daemon.ok("check", "a") == "no problems\n"
    os.chmod(daemon.config + "/a.secret", 0o644)
    row = only(daemon, "a", "warning")
    assert row["key"] == "Password" and row["hint"].startswith("chmod o-r "), row
    daemon.ok("start", "a")
    daemon.ok("kill", "a")


def test_limits_without_control_groups(daemon):
    """D9c: CPUQuota= is refused in a world whose control groups are hidden."""
    daemon.stop_daemon()
    daemon.exec("mount", "-t", "tmpfs", "none", "/sys/fs/cgroup")
    daemon.start()
    daemon.micro("a", extra="[Limits]\nCPUQuota=50%\n")
    same(daemon, "a", 11, None, "CPUQuota=: no control group can enforce it")
    daemon.exec("umount", "/sys/fs/cgroup")


def test_no_slot_left(daemon):
    """F12: all slots are assigned beforehand; the error names the section that gets none."""
    for i in range(30):
        daemon.image("d%d.raw" % i)
    daemon.micro("a", vm="Machine=pc\n", extra="".join("[Disk d%d]\nPath=d%d.raw\n" % (i, i) for i in range(30)))
    row = same(daemon, "a", 11, None, "no free PCI slot for 'disk-d28'")
    lines = vmk.read_text(row["file"]).splitlines()
    assert lines[row["line"] - 1] == "[Disk d28]" and "Bus=scsi" in row["hint"], row
    daemon.alone()


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


def test_kvm_is_proved_once(daemon):
    """Nothing is reported where KVM works; otherwise each VM that requires it is reported, and KVM is tested only
    once."""
    for name in "abc":
        daemon.micro(name, vm="Accel=kvm\n")
    daemon.micro("d", vm="Accel=auto\n")
    found = problems(daemon, code=daemon.vmkeep("check").code)
    if found:
        assert [(row["key"], row["severity"]) for row in found] == [("Accel", "error")] * 3 + [("Accel", "warning")]
        assert "KVM" in found[0]["reason"]


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


def test_a_size_counts_only_once(daemon):
    """Size= is compared with the image, by check and by diff, whether or not the guest runs; the fix works."""
    daemon.write("a.vm", vm("a.qcow2", "Size=1G\n"))
    assert daemon.vmkeep("diff", "a").code == 0, "it is not there yet"
    daemon.ok("start", "a")
    assert problems(daemon, "a", code=0) == [] and daemon.vmkeep("diff", "a").code == 0
    daemon.write("a.vm", vm("a.qcow2", "Size=2G\n"))
    for _ in range(2):
        row = only(daemon, "a", "warning")
        assert row["key"] == "Size" and "has 1G, not 2G" in row["reason"], row
        result = daemon.vmkeep("--json", "diff", "a")
        change, = vmk.json.loads(result.out)
        assert result.code == 12 and {"id": "root", "key": "Size", "running": "1G", "configured": "2G",
                                      "applies": "once"}.items() <= change.items(), result
        daemon.ok("kill", "a")
    daemon.exec(*row["hint"].split(": ")[-1].split())
    assert problems(daemon, "a", code=0) == [] and daemon.vmkeep("diff", "a").code == 0
    daemon.write("a.vm", vm("a.qcow2", "Size=1M\n"))
    assert only(daemon, "a", "warning")["hint"] == "write Size=2G"
    daemon.write("a.vm", vm("a.qcow2"))
    assert daemon.vmkeep("diff", "a").code == 0


def test_a_file_is_read_by_the_client(daemon):
    path = os.path.join(daemon.base, "x.vm")
    with open(path, "w", encoding="utf-8") as f:
        f.write("[VM]\nMemry=1G\n[Disk root]\nPath=nowhere.raw\n")
    row, = problems(daemon, path)
    assert (row["severity"], row["line"], row["hint"]) == ("error", 2, None)


def test_the_file_of_a_vm_is_the_vm(daemon):
    """D9e: the VM's file, by any path, and its drop-ins stand for the VM, whose images are checked too; any other
    file is only parsed, and a note says so."""
    daemon.micro("a")
    os.unlink(daemon.images + "/a.raw")
    drop_in = daemon.write("a.vm.d/more.conf", "[VM]\nCPUs=2\n")
    path, link = os.path.join(daemon.config, "a.vm"), os.path.join(daemon.base, "b.vm")
    os.symlink(path, link)
    wanted = problems(daemon, "a")
    for name in (path, drop_in, link, os.path.join(daemon.config, ".", "a.vm"), daemon.base + "/run/../config/a.vm"):
        result = daemon.vmkeep("--json", "check", name)
        assert vmk.json.loads(result.out) == wanted and not result.err, result
    there = daemon.exec("sh", "-c", "cd $0 && $1 --run $2 --json check ./more.conf || true", daemon.config + "/a.vm.d",
                        daemon.program("vmkeep"), daemon.run)
    assert vmk.json.loads(there) == wanted
    assert "no such VM: nobody" in daemon.fails(4, "check", daemon.config + "/nobody.vm")
    # a copy is not the VM's file, wherever it is
    copy = os.path.join(daemon.base, "a.vm")
    with open(copy, "w", encoding="utf-8") as f:
        f.write(vmk.read_text(path))
    result = daemon.vmkeep("check", copy)
    assert (result.code, result.out) == (0, "no problems\n") and "note: only its text was checked" in result.err, result
    assert "because this is not a VM's file in %s" % daemon.config in result.err
    assert daemon.vmkeep("--quiet", "check", copy).err == ""
    # users who may not ask the daemon parse the file with their own rights
    os.chmod(daemon.config, 0o755)
    result = daemon.vmkeep("check", path, user="bob")
    assert result.code == 0 and "only its text was checked" in result.err and result.err.count("note: ") == 1, result


def test_a_file_without_a_daemon(world):
    world.write("a.vm", vm("no.raw"))
    drop_in = world.write("a.vm.d/more.conf", "[VM]\nCPUs=2\nMemry=1\n")
    result = world.vmkeep("check", world.config + "/a.vm")
    assert result.out == "no problems\n" and "vmkeepd is not running" in result.err, result
    row, = problems(world, drop_in)
    assert (row["file"], row["line"], row["key"]) == (drop_in, 3, "Memry"), row


def test_view_may_ask_and_others_not(daemon):
    daemon.micro("a")
    assert daemon.ok("check", "a", user="alice", groups=["vmkeep-view"]) == "no problems\n"
    daemon.fails(9, "check", "a", user="bob")


def test_daemon_goes_on_while_a_file_hangs(daemon):
    """A disk on a file system whose server is gone: others are answered in the meantime, and the file is named."""
    fuse = "/dev/fuse"
    if not os.path.exists(fuse):
        pytest.skip("no /dev/fuse: a dead file server cannot be imitated")
    where = os.path.join(daemon.base, "dead")
    os.mkdir(where)
    # a FUSE mount without a server: every access to it blocks
    server = daemon.stream_of(
        "python3", "-c", "import ctypes,os,sys,time\n"
        "fd=os.open('/dev/fuse',os.O_RDWR)\nc=ctypes.CDLL(None,use_errno=True)\n"
        "o=('fd=%d,rootmode=40000,user_id=0,group_id=0'%fd).encode()\n"
        "r=c.mount(b'dead',sys.argv[1].encode(),b'fuse.dead',0,o)\n"
        "print('mounted' if r==0 else os.strerror(ctypes.get_errno()),flush=True)\ntime.sleep(999)", where)
    try:
        line = server.until(r"(.*)\n").group(1)
        if line != "mounted":
            pytest.skip("no FUSE mount here: %s" % line)
        daemon.image("b.raw")
        daemon.write("b.vm", vm("b.raw"))
        daemon.write("a.vm", vm(where + "/a.raw"))
        client, other = daemon.client(timeout=40), daemon.client()
        asked = client.send("vm-check", {"name": "a"})
        for _ in range(3):
            assert other.call("vm-check", name="b")["rows"] == []
        answer = client.receive()
        assert answer["id"] == asked
        row, = answer["return"]["rows"]
        assert "disk 'root': %s/a.raw: no answer in" % where in row[3] and "file server" in row[5]
        client.close()
        other.close()
    finally:
        server.end()
        daemon.exec("umount", "-l", where)


def test_a_file_that_cannot_be_read_has_no_note(daemon):
    """Nothing of it was checked, so there is no note. The text may come from a pipe."""
    daemon.micro("a")
    for path in (daemon.base, "/dev/zero", daemon.base + "/none.vm"):
        said = daemon.vmkeep("check", path)
        assert said.code and "only its text" not in said.err, said
    text = vmk.read_text(daemon.config + "/a.vm")
    said = daemon.vmkeep("check", "-", input=text)
    assert said.code == 0 and "only its text" in said.err, said
    assert daemon.vmkeep("check", "-", input="[VM]\nMemry=1\n").code == 2
