# SPDX-License-Identifier: MIT
"""What QEMU would refuse is refused before a guest or an image is touched, by create, revert and the dry run alike:
dirty bitmaps, jobs, devices that cannot be saved, a different machine. QEMU itself detects these only after it has
stopped the guest and reverted its disks."""
import os
import re

import pytest

from walk import walk


def image(world, name):
    return os.path.join(world.images, name + ".qcow2")


def bitmap(world, what):
    world.ok("qmp", "a", '{"execute": "block-dirty-bitmap-%s", "arguments": {"node": "d-root", "name": "backup-0"}}' % what)


def refused(world, code, word, *argv):
    """Refused by the verb, and with the same text by its dry run if it has one."""
    said = world.fails(code, "snapshot", *argv)
    assert word in said and "hint: " in said, said
    if argv[0] == "revert":
        dry = world.vmkeep("snapshot", *argv, "--dry-run")
        assert dry.code == code and "would be refused" in dry.out, dry
        assert said.split(": ", 2)[2].splitlines()[0] in dry.out, (dry, said)
    return said


def count(console, text):
    console.type(".")
    console.until(text)


@pytest.mark.parametrize("running", [False, True], ids=["off", "running"])
@pytest.mark.parametrize("disk", ["root", "data"])
def test_dirty_bitmaps(daemon, running, disk):
    """The guest keeps running as if nothing had been requested, and the hint's command fixes it."""
    daemon.micro("a", "count", disk="qcow2", extra="[Disk data]\nPath=data.qcow2\n")
    daemon.image("data.qcow2")
    console = daemon.up("a")
    count(console, "a")
    daemon.ok("snapshot", "create", "a", "live")
    daemon.ok("kill", "a")
    daemon.ok("snapshot", "create", "a", "off")
    path = image(daemon, "a" if disk == "root" else "data")
    for name in ("day 1", "b2"):
        daemon.exec("qemu-img", "bitmap", "--add", "--enable", path, name)
    if running:
        console = daemon.up("a")
        count(console, "a")
    before = daemon.info("a")
    said = refused(daemon, 3, "disk '%s' has the dirty bitmap '" % disk, "revert", "a", "live")
    assert "', and others:" in said
    refused(daemon, 3, "the dirty bitmap", "create", "a", "new")
    if running:
        count(console, "b")
    else:
        refused(daemon, 3, "the dirty bitmap", "revert", "a", "off")
        refused(daemon, 3, "the dirty bitmap", "revert", "a", "live", "--disks-only")
    now = daemon.info("a")
    assert (now["state"], now["pid"]) == (before["state"], before["pid"])
    assert [row["snapshot"] for row in daemon.rows("snapshot", "list", "a")] == ["live", "off"]
    daemon.ok("snapshot", "delete", "a", "off")
    if running:
        daemon.ok("kill", "a")
    while "bitmap" in said:
        daemon.exec("sh", "-c", re.search("qemu-img bitmap --remove .*(?= removes it)", said).group())
        said = str(daemon.vmkeep("snapshot", "revert", "a", "live"))
    console = daemon.console("a")
    count(console, "b")


def test_bitmap_of_a_running_backup(daemon):
    """A bitmap that exists only in QEMU counts as well."""
    daemon.micro("a", "count", disk="qcow2")
    console = daemon.up("a")
    daemon.ok("snapshot", "create", "a", "s")
    bitmap(daemon, "add")
    refused(daemon, 3, "'backup-0'", "revert", "a", "s")
    refused(daemon, 3, "'backup-0'", "create", "a", "t")
    count(console, "a")
    bitmap(daemon, "remove")
    daemon.ok("snapshot", "revert", "a", "s")


def test_a_job_is_under_way(daemon):
    daemon.micro("a", "count", disk="qcow2")
    console = daemon.up("a")
    daemon.ok("snapshot", "create", "a", "s")
    daemon.qmp("a", "blockdev-add", **{"driver": "null-co", "node-name": "to", "size": 1 << 20})
    daemon.qmp("a", "blockdev-mirror", **{"job-id": "copy", "device": "d-root", "target": "to", "sync": "full"})
    refused(daemon, 3, "a job of QEMU's is under way: mirror", "revert", "a", "s")
    count(console, "a")
    daemon.qmp("a", "block-job-cancel", device="copy", force=True)
    daemon.eventually(lambda: daemon.qmp("a", "query-jobs"), lambda jobs: not jobs)
    daemon.ok("snapshot", "revert", "a", "s")


def test_device_that_cannot_be_saved(daemon):
    daemon.micro("a", "count", disk="qcow2", extra="[QEMU]\nArgs=-blockdev driver=null-co,node-name=n,size=1048576\n"
                 "Args=-device nvme,drive=n,serial=x,addr=1d\n")
    console = daemon.up("a")
    said = refused(daemon, 2, "non-migratable device", "create", "a", "s")
    assert "room" not in said
    count(console, "a")
    daemon.ok("kill", "a")
    daemon.ok("snapshot", "create", "a", "s")


# Each changes one machine into another: [VM] lines, then the rest.
CHANGES = {
    "nothing": ("", "", "", ""),
    "Memory": ("Memory=16M\n", "", "Memory=32M\n", ""),
    "Max": ("", "", "", "[Memory]\nMax=32M\n"),
    "CPUs": ("CPUs=1\n", "", "CPUs=2\n", ""),
    "Machine": ("Machine=q35\n", "", "Machine=pc\n", ""),
    "Description": ("Description=a\n", "", "Description=b\n", ""),
    "Model": ("", "[CPU]\nModel=qemu64\n", "", "[CPU]\nModel=max\n"),
    "Balloon": ("", "", "", "[Memory]\nBalloon=no\n"),
    "Cache": ("", "Cache=writethrough\n", "", "Cache=none\n"),
    "AIO": ("", "AIO=threads\n", "", "Cache=none\nAIO=native\n"),
    "Discard": ("", "Discard=unmap\n", "", "Discard=ignore\n"),
    "IOThread": ("", "IOThread=yes\n", "", "IOThread=no\n"),
    "Serial": ("", "Serial=abc\n", "", "Serial=def\n"),
    "Bus": ("", "Bus=scsi\n", "", "Bus=sata\n"),
    "VMGenID": ("", "[Boot]\nVMGenID=yes\n", "", "[Boot]\nVMGenID=no\n"),
    "Menu": ("", "", "", "[Boot]\nMenu=yes\n"),
    "Clock": ("", "", "", "[Boot]\nClock=localtime\n"),
    "watchdog gone": ("", "[Watchdog]\nModel=i6300esb\n", "", ""),
    "watchdog new": ("", "", "", "[Watchdog]\nModel=i6300esb\n"),
    "agent gone": ("", "[Agent]\nEnable=yes\n", "", "[Agent]\nEnable=no\n"),
    "agent new": ("", "[Agent]\nEnable=no\n", "", "[Agent]\nEnable=yes\n"),
    "notify gone": ("", "[Lifecycle]\nReadyWhen=notify\n", "", "[Lifecycle]\nReadyWhen=log:x\n"),
    "notify new": ("", "", "", "[Lifecycle]\nReadyWhen=notify\n"),
    "ready by log": ("", "[Lifecycle]\nReadyWhen=log:x\n", "", "[Lifecycle]\nReadyWhen=started\n"),
    "OnPanic": ("", "", "", "[Lifecycle]\nOnPanic=pause\n"),
    "RNG": ("", "", "", "[RNG]\nSource=none\n"),
    "Rate": ("", "", "", "[RNG]\nRate=1M\n"),
    "display gone": ("", "[Display]\nType=vnc\n", "", "[Display]\nType=none\n"),
    "Keymap": ("", "", "", "[Display]\nKeymap=de\n"),
    "disk gone": ("", "[Disk data]\nPath=data.qcow2\n", "", ""),
    "disk new": ("", "", "", "[Disk data]\nPath=data.qcow2\n"),
    "NIC gone": ("", "[NIC lan]\n", "", ""),
    "Link": ("", "[NIC lan]\nLink=up\n", "", "[NIC lan]\nLink=down\n"),
    "serial port new": ("", "[Serial one]\n", "", "[Serial one]\n[Serial two]\n"),
    "hook": ("", "", "", "[Hooks]\nFailed=/bin/true\n"),
}
FITS = {"nothing", "Description", "Cache", "AIO", "IOThread", "Serial", "Menu", "Clock", "ready by log", "OnPanic", "Rate",
        "Keymap", "Link", "hook"}


@walk("change", CHANGES, some=6)
def test_memory_of_another_machine(daemon, change):
    """It is loaded, or refused before anything is touched; it never fails in QEMU."""
    def write(vm, rest):
        daemon.write("a.vm", "[VM]\n%sNetworks=none\n%s[Disk root]\nPath=a.qcow2\n%s" % (
            "" if "Memory=" in vm else "Memory=16M\n", vm, rest))
    then, now = CHANGES[change][:2], CHANGES[change][2:]
    daemon.image("a.qcow2", "deaf")
    daemon.image("data.qcow2", "deaf")
    write(*then)
    daemon.ok("start", "a")
    daemon.ok("snapshot", "create", "a", "s")
    daemon.ok("kill", "a")
    write(*now)
    if change in FITS:
        daemon.ok("snapshot", "revert", "a", "s")
        assert daemon.info("a")["state"] == "running"
        return
    refused(daemon, 3, "", "revert", "a", "s")
    assert daemon.info("a")["state"] == "stopped"
    daemon.ok("start", "a")
    refused(daemon, 3, "", "revert", "a", "s")
    assert daemon.info("a")["state"] == "running"
