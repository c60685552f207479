# SPDX-License-Identifier: MIT
"""Bad input is refused with an error that names the place and the fix, and has no other effect."""
import fcntl
import os
import re
import subprocess

import pytest

import vmk

GOOD = "[VM]\nMemory=16M\nNetworks=none\n[Disk root]\nPath=a.raw\n"

# text of a.vm, what check reports (None: it is accepted)
FILES = [
    ("unknown key", GOOD + "Cachee=none\n", "a.vm:6: Cachee: .*Cache"),
    ("unknown section", GOOD + "[Dsk data]\n", "a.vm:6: .*Disk"),
    ("bad value", GOOD.replace("16M", "lots"), "a.vm:2: Memory: "),
    ("two at once", GOOD.replace("16M", "lots") + "Cachee=none\n", "(?s)a.vm:2: .*a.vm:6: "),
    ("indented line", GOOD.replace("Memory", "   Memory").replace("Path", "\tPath"), None),
    ("line of 10 kB", GOOD + "Serial=" + "x" * 10000 + "\n", "a.vm:6: line of 10007 bytes"),
    ("NUL", GOOD + "Serial=a\0b\n", "a.vm:6: NUL byte"),
    ("CRLF", GOOD.replace("\n", "\r\n"), None),
    ("BOM", "\ufeff" + GOOD, None),
    ("control character", GOOD + "Serial=a\x1bb\n", "a.vm:6: Serial: control character"),
    ("duplicate section", GOOD + "[Disk root]\nPath=b.raw\n", "a.vm:6: .*root"),
    ("key before a section", "Memory=1G\n" + GOOD, "a.vm:1: Memory: "),
    ("no equals sign", GOOD + "ReadOnly\n", "a.vm:6: "),
    ("semicolon in a value", GOOD + "[Boot]\nAppend=a ;b\n[VM]\n", "a.vm:8: .*VM"),
    ("keys of others", GOOD + "X-Mine=1\n", None),
]


@pytest.mark.parametrize("text, problem", [row[1:] for row in FILES], ids=[row[0] for row in FILES])
def test_file(daemon, text, problem):
    daemon.image("a.raw")
    path = daemon.write("a.vm", text)
    daemon.micro("other")
    for how in (("check", "a"), ("check", path)):
        result = daemon.vmkeep(*how)
        said = result.out + result.err
        if problem:
            assert result.code == 2, result
            assert re.search(problem, said), result
        else:
            assert result.code == 0, result
    daemon.vmkeep("reload")
    if problem:
        assert "a.vm:" in daemon.fails(2, "start", "a")
    else:
        daemon.ok("start", "a")
    daemon.ok("start", "other")


def test_broken_file_keeps_its_old_meaning(daemon):
    daemon.micro("a")
    daemon.up("a")
    path = os.path.join(daemon.config, "a.vm")
    with open(path, encoding="utf-8") as f:
        good = f.read()
    daemon.write("a.vm", "[VM]\nMemory=\0\n[[")
    assert "a.vm:" in str(daemon.vmkeep("reload"))
    assert daemon.info("a")["state"] == "running"
    assert daemon.vmkeep("check").code == 2
    daemon.ok("stop", "a")
    daemon.write("a.vm", good)
    daemon.ok("check")
    daemon.ok("start", "a")


def test_broken_vmkeep_conf(world):
    world.write("vmkeep.conf", "[Defaults]\nVM.Accel=tcg\nVM.Memroy=1G\n")
    world.micro("a")
    world.start()
    result = world.vmkeep("check")
    assert result.code == 2 and "vmkeep.conf:3:" in str(result), result


NEVER_READ = ["cat", "cat --effective", "diff", "cmdline", "info", "info --security", "check", "history", "log", "ip", "ssh", "snapshot list",
              "set-memory 8M", "set VM.CPUs=2", "unset VM.Memory", "enable", "clone y", "delete --yes --dry-run",
              "delete --yes --disks --dry-run", "pause", "resume", "reset", "guest ping", "stop --timeout 1", "start", "reboot",
              "start --iso x.iso --once", "reset-failed", "rename x", "cd insert x.iso", "cd eject"]


def test_no_verb_needs_a_configuration_that_was_never_read(world):
    """The daemon lives on, whatever is asked of a VM whose files it could not read once: a running one and one that is off."""
    world.micro("off")
    world.micro("up", "deaf")
    world.start()
    world.ok("start", "up")
    world.kill_daemon()
    world.write("vmkeep.conf", vmk.DEFAULTS + "VM.CPUs=many\n")
    world.start()
    assert "VM.CPUs: 'many'" in world.fails(2, "cat", "--effective", "off")
    for name in ("off", "up"):
        for verb in NEVER_READ:
            words = verb.split()
            at = 2 if words[0] in ("snapshot", "guest") else 1
            told = world.vmkeep(*words[:at], name, *words[at:], timeout=60)
            assert told.code not in (10, 255), told


@pytest.mark.parametrize("verb", ["info", "cat --effective", "cmdline", "start", "list", "check", "set VM.CPUs=2", "snapshot list", "delete --yes"])
@pytest.mark.parametrize("known", [False, True], ids=["new", "known"])
def test_a_file_that_is_removed_while_it_is_read(world, verb, known):
    """The daemon keeps running, and nothing is made or told of a VM without a configuration."""
    library = os.path.join(world.base, "vanish.so")
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", library, os.path.join(vmk.ROOT, "tests", "system", "vanish.c")], check=True)
    file = os.path.join(world.config, "a.vm")
    world.start(env={"LD_PRELOAD": library, "VANISH": file})
    if known:
        world.micro("a")
        world.ok("list")
    world.write("a.vm.now", "")
    world.micro("a", vm="Description=now it is another\n")
    words = verb.split()
    at = 0 if words[0] == "list" else 2 if words[0] == "snapshot" else 1
    told = world.vmkeep(*words[:at], *(["a"] if at else []), *words[at:], timeout=60)
    assert not os.path.exists(file) and told.code not in (10, 255), told
    assert "no such VM: a" in world.fails(4, "info", "a")
    world.micro("a")
    world.ok("start", "a")
    world.ok("kill", "a")
    world.stop_daemon()


# text of the section, exit code, error text
DISKS = [
    ("missing", "Path=gone.raw", 4, "gone.raw.*No such file"),
    ("directory", "Path=folder\nFormat=raw", 2, "directory"),
    ("symlink inside", "Path=link.raw\nFormat=raw", 2, "symbolic link"),
    ("out of the image directory", "Path=../../config/vmkeep.conf\nFormat=raw", 2, "image directory|'\\.\\.'"),
    ("hard link", "Path=hard.raw", 2, "hard link"),
    ("raw that is qcow2", "Path=posing.raw", 2, "(?s)qcow2.*Format="),
    ("qcow2 that is raw", "Path=a.raw\nFormat=qcow2", 2, "not a qcow2"),
    ("unlisted backing file", "Path=child.qcow2", 2, "(?s)backing file.*Base="),
    ("neither file nor block device", "Path=fifo\nFormat=raw", 2, "FIFO"),
]


@pytest.mark.parametrize("disk, code, says", [row[1:] for row in DISKS], ids=[row[0] for row in DISKS])
def test_disk(daemon, disk, code, says):
    def image(name):
        return os.path.join(daemon.images, name)
    daemon.image("a.raw")
    daemon.image("base.qcow2")
    os.mkdir(image("folder"))
    os.symlink("a.raw", image("link.raw"))
    daemon.image("twice.raw")
    os.link(image("twice.raw"), image("hard.raw"))
    daemon.image("child.qcow2")
    os.rename(image("child.qcow2"), image("posing.raw"))
    daemon.exec("qemu-img", "create", "-q", "-f", "qcow2", "-b", image("base.qcow2"), "-F", "qcow2",
                image("child.qcow2"))
    os.mkfifo(image("fifo"))
    daemon.write("a.vm", "[VM]\nMemory=16M\nNetworks=none\n[Disk root]\n%s\n" % disk)
    said = daemon.fails(code, "start", "a")
    assert re.search(says, said), said
    assert "root" in said or ":5: Path:" in said
    daemon.alone()


def test_backing_chain_spelled_out(daemon):
    base = daemon.image("base.qcow2", "deaf", "from the base\r\n")
    child = os.path.join(daemon.images, "child.qcow2")
    daemon.exec("qemu-img", "create", "-q", "-f", "qcow2", "-b", base, "-F", "qcow2", child)
    daemon.write("a.vm", "[VM]\nMemory=16M\nNetworks=none\n[Disk root]\nPath=child.qcow2\nBase=base.qcow2\n")
    daemon.up("a", "from the base")


def test_symlink_outside_is_followed(daemon):
    """As for links of LVM and in /dev/disk/by-id: root wrote the absolute path."""
    image = daemon.image("real.raw", "deaf")
    outside = os.path.join(daemon.base, "volume.raw")
    os.rename(image, os.path.join(daemon.base, "dm-0"))
    os.symlink("dm-0", outside)
    daemon.write("a.vm", "[VM]\nMemory=16M\nNetworks=none\n[Disk root]\nPath=%s\n" % outside)
    daemon.ok("start", "a")


def test_disk_in_use_by_another_vm(daemon):
    daemon.micro("first", "deaf")
    daemon.write("second.vm", "[VM]\nMemory=16M\nNetworks=none\n[Disk root]\nPath=first.raw\n")
    daemon.ok("start", "first")
    said = daemon.fails(3, "start", "second")
    assert "first" in said.replace("first.raw", "")
    assert daemon.info("first")["state"] == "running"
    daemon.ok("kill", "first")
    daemon.ok("start", "second")


def test_disk_in_use_by_a_foreign_process(daemon):
    daemon.micro("a", "deaf")
    foreign = daemon.inside(["qemu-system-x86_64", "-accel", "tcg", "-nodefaults", "-display", "none",
                             "-serial", "stdio", "-drive", "format=raw,file=%s/a.raw" % daemon.images])
    qemu = vmk.Stream(foreign)
    try:
        qemu.until("up")
        said = daemon.fails(3, "start", "a")
        pid = [pid for pid, line in daemon.processes().items() if "stdio" in line and "nsenter" not in line]
        assert str(pid[0]) in said and "qemu-system" in said
    finally:
        qemu.end()
    daemon.alone()


def test_disk_locked_by_nobody_we_know(daemon):
    """A kind of lock that other programs use does not stop a start, and is not broken."""
    daemon.micro("a", "deaf")
    with open(os.path.join(daemon.images, "a.raw"), "rb") as f:
        fcntl.flock(f, fcntl.LOCK_EX)
        daemon.ok("start", "a")


def test_disk_that_was_created_and_is_gone(daemon):
    """Size= creates an image once: a missing image is never replaced by an empty one."""
    daemon.write("a.vm", "[VM]\nMemory=16M\nNetworks=none\n[Disk root]\nPath=a.qcow2\nSize=8M\n")
    daemon.ok("start", "a")
    daemon.ok("kill", "a")
    image = os.path.join(daemon.images, "a.qcow2")
    os.rename(image, image + ".away")
    assert "is missing" in daemon.fails(4, "start", "a")
    assert not os.path.exists(image)
    os.rename(image + ".away", image)
    daemon.ok("start", "a")


@pytest.mark.parametrize("name", [
    "a,b.raw", "a b.raw", "a'b.raw", 'a"b.raw', "a=b.raw", "a%b.raw", "a\\b.raw", "$(a).raw", "ä.raw",
    "a,file=x.raw", "json:{}.raw", "nbd:x:1.raw",
])
def test_path_with_special_characters(daemon, name):
    daemon.image(name, "deaf", "up\r\n")
    daemon.write("a.vm", "[VM]\nMemory=16M\nNetworks=none\n[Disk root]\nPath=%s\n" % name.replace("%", "%%"))
    daemon.up("a")


def test_names(daemon):
    longest = "a" * 63
    for name in (longest, "A.b_c-1"):
        daemon.micro(name, "deaf")
        daemon.ok("start", name)
    daemon.write("a" * 64 + ".vm", GOOD)
    daemon.write("-x.vm", GOOD)
    daemon.write("x.vm~", GOOD)
    daemon.write(".x.vm", GOOD)
    daemon.vmkeep("reload")
    assert set(daemon.states()) == {longest, "A.b_c-1"}
    assert daemon.vmkeep("check").code == 2
    daemon.fails(2, "start", "a" * 64)


def test_names_that_differ_in_case(daemon):
    daemon.micro("Web", "deaf")
    daemon.micro("web", "deaf")
    result = daemon.vmkeep("check")
    assert result.code in (2, 3), result
    assert "Web" in str(result) and "web" in str(result)
    codes = {daemon.vmkeep("start", name).code for name in ("Web", "web")}
    assert codes <= {0, 2, 3} and codes != {0}


def test_configuration_that_others_may_write(daemon):
    daemon.micro("a")
    os.chmod(os.path.join(daemon.config, "a.vm"), 0o666)
    said = str(daemon.vmkeep("start", "a"))
    assert "a.vm" in said and "writ" in said
    assert daemon.vmkeep("start", "a").code in (2, 9)


@pytest.mark.parametrize("size", ["4T", "64T"])
def test_memory_that_is_not_there(daemon, size):
    daemon.micro("a", "deaf")
    path = os.path.join(daemon.config, "a.vm")
    with open(path, encoding="utf-8") as f:
        text = f.read()
    daemon.write("a.vm", text.replace("16M", size))
    result = daemon.vmkeep("start", "a")
    assert result.code in (7, 11), result
    assert "memory" in result.err
    daemon.alone()
