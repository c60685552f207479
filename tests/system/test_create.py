# SPDX-License-Identifier: MIT
"""`create` writes the short file of a new VM, which starts; it replaces no file, takes over no state, and writes nothing
that would be invalid or that the caller may not write. Wherever vmkeepd is killed, the file is whole or not there."""
import os
import re
import threading

import pytest

from steps import Steps
from test_dry_runs import unchanged
from test_edit import as_full, as_read_only, leftovers, path, text
from walk import walk

OURS = ["--firmware", "bios", "VM.Accel=tcg"]  # for guests of 512 bytes on a host without KVM


def create(world, name, *words, **how):
    return world.ok("create", name, *words, *OURS, **how)


def names(world):
    return sorted(name for name in os.listdir(world.config) if name.endswith(".vm"))


def test_what_its_start_made(daemon):
    """It is told with the start, and not by the next command."""
    out = create(daemon, "web1", "--memory", "16M", "--disk", "8M", "--network", "none", "--start")
    assert out.endswith("\nweb1: disk root created, 8M\nweb1: running\n")
    assert "created" not in daemon.ok("kill", "web1")


def test_a_short_file_that_starts(daemon):
    daemon.image("m.raw")
    out = create(daemon, "web1", "--memory", "16M", "--disk", "m.raw", "--network", "none", "--start")
    written = text(daemon, "web1.vm")
    uuid = re.search("^UUID=(.*)$", written, re.M)[1]
    assert written == ("[VM]\nUUID=%s\nMemory=16M\nEnable=no\nNetworks=none\nAccel=tcg\n\n[Boot]\nFirmware=bios\n\n"
                       "[Disk root]\nPath=m.raw\n" % uuid)
    assert out == "web1: %s\n%sweb1: running\n" % (path(daemon, "web1.vm"), re.sub("(?m)^(?=.)", "    ", written))
    assert os.stat(path(daemon, "web1.vm")).st_mode & 0o7777 == 0o644 and leftovers(daemon) == []
    info = daemon.info("web1")
    assert (info["uuid"], info["state"], info["enabled"]) == (uuid, "running", False)
    assert [(row["event"], row["who"]) for row in daemon.rows("history", "web1")][:2] == [("create", "root"), ("start", "root")]
    daemon.ok("kill", "web1")
    assert daemon.one("info", "web1")["uuid"] == uuid


def test_a_new_disk_is_made_by_the_first_start(daemon):
    out = create(daemon, "web1", "--memory", "16M", "--disk", "1M", "--disk", "size=2M", "--enable")
    assert out.endswith("web1: created; vmkeep start web1 starts it\n") and "    Enable=last\n" in out
    assert os.listdir(daemon.images) == []
    assert "disk data created" in daemon.ok("start", "web1")
    assert sorted(os.listdir(daemon.images)) == ["web1-data.qcow2", "web1-root.qcow2"]
    daemon.ok("kill", "web1")
    daemon.ok("start", "web1")


def test_as_virt_install_spells_it(daemon):
    """Row 7 of the tutorial: numbers without a unit are MiB and GiB, and the file shows what was understood."""
    rows = daemon.one("create", "kvm-demo", "--ram", "512", "--vcpus", "2", "--disk", "path=/data/kvm.raw,bus=virtio", "--disk", "size=20",
                      "--cdrom=/iso/x.iso", "--network", "network=default,model=virtio", "--dry-run")
    assert rows["state"] is None and names(daemon) == []
    for line in ("Memory=512M", "CPUs=2", "Firmware=uefi", "Path=/data/kvm.raw", "Size=20G", "Bus=virtio", "Path=/iso/x.iso",
                 "Network=default", "Model=virtio"):
        assert "\n%s\n" % line in rows["text"], line
    told = daemon.vmkeep("virt-install", "--name", "x").err
    assert "vmkeep create" in told


def test_virt_installs_options_as_the_tutorial_has_them(daemon):
    words = ("--virt-type kvm --name kvm-demo --ram 512 --disk path=/data/kvm.raw --cdrom=/iso/x.iso --network network=default "
             "--graphics vnc,listen=0.0.0.0 --noautoconsole --os-type=linux --os-variant=generic --dry-run").split()
    told = daemon.vmkeep("create", *words)
    assert told.code == 2 and "AllowNoPassword" in told.err and names(daemon) == []
    told = daemon.vmkeep("create", *words, "Display.AllowNoPassword=yes")
    assert told.code == 0 and "\n    Listen=0.0.0.0\n" in told.out
    assert told.err.count("note: --") == 3 and "note: --os-variant is ignored: " in told.err
    assert daemon.vmkeep("-q", "create", *words, "Display.AllowNoPassword=yes").err == ""
    for option, said in [("spice", "'spice' is not one of: vnc, none"), ("vnc,password=x", "password on a command line"),
                         ("vnc,tls=1", "'tls' is not one of: listen, port, keymap")]:
        told = daemon.vmkeep("create", "web1", "--disk", "1M", "--graphics", option)
        assert told.code == 2 and said in told.err, option
    assert daemon.vmkeep("start", "web1", "--graphics", "none").code == 2  # of create alone


def test_a_dry_run_writes_nothing(daemon):
    with unchanged(daemon):
        out = daemon.ok("create", "web1", "--disk", "1M", "--dry-run")
        daemon.fails(2, "create", "web1", "--disk", "1M", "--memory", "x", "--dry-run")
    assert out.endswith("web1: a dry run, nothing was written\n")


# --- refusals


@pytest.mark.parametrize("words, code, said", [
    ([], 2, "nothing to boot from"),
    (["--disk", "20G", "--memory", "1X"], 2, "Memory: '1X' is not a size"),
    (["--disk", "20G", "--cpus", "none"], 2, "CPUs: 'none'"),
    (["--disk", "nosuch=1"], 2, "unknown key 'nosuch' in [Disk]"),
    (["--disk", "bus=none,size=1M"], 2, "Bus: 'none'"),
    (["--disk", "20G", "VM.Memroy=1G"], 2, "did you mean 'VM.Memory'?"),
    (["--disk", "20G", "VM.Description=a\nb"], 2, "control character"),
    (["--disk", "20G\n[QEMU]"], 2, "control character"),
    (["--disk", "20G", "--address", "10.0.0.300"], 2, "Address: '10.0.0.300'"),
    (["--disk", "20G", "--network", "a", "--network", "b", "--address", "10.0.0.3"], 2, "one NIC, this one has 2"),
    (["--disk", "20G", "--firmware", "efi"], 2, "not one of: uefi, bios"),
    (["--disk", "20G", "--network", "-x"], 2, "Network"),
])
def test_what_would_be_invalid_is_not_written(daemon, words, code, said):
    assert said in daemon.fails(code, "create", "web1", *words)
    assert os.listdir(daemon.config) == ["vmkeep.conf"]
    assert daemon.rows("list") == []


@pytest.mark.parametrize("name", ["a/b", "/etc/a.vm", "a*", "a b", "a?", "x" * 64])
def test_what_is_no_name(daemon, name):
    """Nothing is looked for: it would be new."""
    said = daemon.fails(2, "create", name, "--disk", "1M")
    assert "letters, digits, '.', '_' and '-', at most 63" in said and "vmkeep list" not in said, said
    assert os.listdir(daemon.config) == ["vmkeep.conf"]


def test_nothing_is_replaced_or_taken_over(daemon):
    daemon.micro("web1")
    before = text(daemon, "web1.vm")
    assert "the VM exists" in daemon.fails(3, "create", "web1", "--disk", "1M")
    for name in ("WEB1", "Web1"):
        assert "too similar to that of the VM 'web1'" in daemon.fails(3, "create", name, "--disk", "1M")
    daemon.micro("a.b")
    assert "too similar to that of the VM 'a.b'" in daemon.fails(3, "create", "a-b", "--disk", "1M")
    daemon.ok("start", "web1")
    os.unlink(path(daemon, "web1.vm"))  # it goes on, and then its state stays
    for _ in range(2):
        assert "whose file is gone" in daemon.fails(3, "create", "web1", "--disk", "1M")
        daemon.vmkeep("kill", "web1")
    daemon.ok("forget", "web1")
    create(daemon, "web1", "--disk", "1M")
    assert text(daemon, "web1.vm") != before


@pytest.mark.parametrize("thing", ["link", "folder", "fifo", "broken"])
def test_what_stands_in_its_place_stays(daemon, thing):
    here = path(daemon, "web1.vm")
    if thing == "link":
        os.symlink("nowhere", here)
    elif thing == "folder":
        os.mkdir(here)
    elif thing == "fifo":
        os.mkfifo(here)
    else:
        daemon.write("web1.vm", "[VM\n")
    before = os.lstat(here)
    daemon.fails(3, "create", "web1", "--disk", "1M")
    after = os.lstat(here)
    assert (after.st_ino, after.st_mode) == (before.st_ino, before.st_mode) and leftovers(daemon) == []


@pytest.mark.parametrize("make, said", [(as_read_only, "Read-only file system"), (as_full, "No space left on device")])
def test_where_nothing_can_be_written(daemon, make, said):
    daemon.write("a.vm", "[VM]\n")
    make(daemon)
    assert said in daemon.fails(11, "create", "web1", "--disk", "1M")
    found = os.listdir(daemon.inner(daemon.config))
    assert "web1.vm" not in found and not [name for name in found if name.startswith(".~")]
    daemon.exec("umount", daemon.config)


def test_who_may_create_what(daemon):
    operator, view = {"user": "bob", "groups": ["vmkeep"]}, {"user": "bob", "groups": ["vmkeep-view"]}
    daemon.image("m.raw")
    for who in (view, {"user": "alice"}):
        daemon.fails(9, "create", "web1", "--disk", "m.raw", **who)
    for words in (["--disk", "/etc/shadow,format=raw"], ["--disk", "m.raw", "--iso", "/dev/sda"], ["--disk", "m.raw", "QEMU.Args=-snapshot"],
                  ["--disk", "m.raw", "Boot.Kernel=/boot/vmlinuz"], ["--disk", "m.raw", "Hooks.Failed=/tmp/x"]):
        assert "only root" in daemon.fails(9, "create", "web1", *words, **operator), words
    assert names(daemon) == []
    create(daemon, "web1", "--disk", "m.raw", "--start", **operator)
    assert os.stat(path(daemon, "web1.vm")).st_uid == 0


# --- several at once, and cut short


@pytest.mark.parametrize("words", [["create", "web2", "--disk", "1M"], ["clone", "a", "web2"], ["rename", "a", "web2"]], ids=lambda words: words[0])
def test_drop_ins_that_are_there(daemon, words):
    """They would become part of a VM that was checked without them."""
    daemon.micro("a")
    daemon.write("a.vm.d/x.conf", "[VM]\nCPUs=2\n")
    daemon.write("web2.vm.d/y.conf", "[VM]\nMemory=64M\n")
    daemon.write("web2.vm.d/y.conf~", "")
    assert "web2.vm.d/y.conf' is there, and would change the VM" in daemon.fails(3, *words)
    assert not os.path.exists(path(daemon, "web2.vm"))
    os.unlink(path(daemon, "web2.vm.d/y.conf"))
    daemon.ok(*words)
    daemon.ok("info", "web2")


def test_one_of_several_at_once(daemon):
    daemon.image("m.raw")
    done = []

    def one(memory):
        done.append((memory, daemon.vmkeep("create", "web1", "--memory", memory, "--disk", "m.raw", *OURS).code))
    threads = [threading.Thread(target=one, args=("%dM" % (16 + n),)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    made, = [memory for memory, code in done if code == 0]
    assert sorted(code for _, code in done) == [0] + [3] * 5
    assert "Memory=%s\n" % made in text(daemon, "web1.vm") and leftovers(daemon) == []


@walk("step", range(1, 60), some=6)
def test_the_daemon_is_killed(world, step):
    world.image("m.raw")
    steps = Steps(world)
    world.start(env=steps.env)
    world.ok("list")
    steps.arm(step)
    done = world.vmkeep("create", "web1", "--memory", "16M", "--disk", "m.raw", *OURS)
    cut = steps.over()
    made = names(world) == ["web1.vm"]
    assert cut or done.code == 0
    assert made or done.code
    if made:
        assert text(world, "web1.vm").endswith("[Disk root]\nPath=m.raw\n")
    world.start()
    if not made:
        create(world, "web1", "--memory", "16M", "--disk", "m.raw")
    world.ok("start", "web1")
    assert leftovers(world) == []
