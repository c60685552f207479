# SPDX-License-Identifier: MIT
"""Hints about disks that are attached and detached are followed to the letter, and then the guest has them."""
import os

from cures import cure, rows_of

KEYS = ("disk", "attach", "a", "data")


def up(daemon, keys=""):
    daemon.image("x.img")
    daemon.micro("a", extra=keys)
    daemon.up("a")


def has(daemon, disk="data"):
    return disk in [d["disk"] for d in daemon.info("a")["disks"]]


@cure("write [Disk %s] in the VM's file: the next start has it")
def needs_a_start(p, daemon):
    up(daemon)
    section = p.refused(*KEYS, "Path=new.qcow2", "Size=1M", code=2)
    section = section[section.index("["):section.index("]") + 1]
    with open(os.path.join(daemon.config, "a.vm"), "a", encoding="utf-8") as f:
        f.write("%s\nPath=new.qcow2\nSize=1M\n" % section)
    daemon.ok("kill", "a")
    daemon.up("a")
    assert has(daemon)


@cure("Bus=virtio and Bus=scsi can")
def another_bus(p, daemon):
    up(daemon)
    daemon.ok(*KEYS, "Path=x.img", p.refused(*KEYS, "Path=x.img", "Bus=sata", code=2).split()[0])
    assert has(daemon)


@cure("did you mean '%s'?", "vmkeep store list lists them")
def another_store(p, daemon):
    place = os.path.join(daemon.base, "fast")
    os.mkdir(place)
    with open(os.path.join(daemon.config, "vmkeep.conf"), "a", encoding="utf-8") as f:
        f.write("[Store fast]\nPath=%s\n" % place)
    with open(os.path.join(place, "y.img"), "wb") as f:
        f.truncate(1 << 20)
    up(daemon)
    hint = p.refused(*KEYS, "Path=y.img", "Store=fst", code=4)
    daemon.ok(*KEYS, "Path=y.img", "Store=" + hint.split("'")[1])
    hint = p.refused("disk", "attach", "a", "more", "Path=y.img", "Store=quitedifferent", code=4)
    assert "fast" in daemon.ok(*hint.split()[1:3])


@cure("vmkeep info %s lists its disks")
def no_such_disk(p, daemon):
    up(daemon)
    hint = p.refused("disk", "detach", "a", "data", code=4)
    assert "root" in daemon.ok(*hint.split()[1:3])


@cure("Bus=virtio needs none")
def no_controller(p, daemon):
    up(daemon)
    daemon.ok(*KEYS, "Path=x.img", p.refused(*KEYS, "Path=x.img", "Bus=scsi", code=11).split()[0])


@cure("a restart adds ports; a SCSI controller, if it has one, takes more disks")
def no_port(p, daemon):
    daemon.image("s.img")
    up(daemon, "[Disk s]\nBus=scsi\nPath=s.img\n")
    for n in range(4):
        daemon.image("%d.img" % n)
        daemon.ok("disk", "attach", "a", "d%d" % n, "Path=%d.img" % n, "--persistent")
    p.refused(*KEYS, "Path=x.img", code=11)
    daemon.ok(*KEYS, "Path=x.img", "Bus=scsi")
    daemon.ok("kill", "a")
    daemon.up("a")
    daemon.ok(*KEYS, "Path=x.img")


@cure("it may do so later, at the latest when it is reset; --timeout TIME waits longer")
def not_released(p, daemon):
    up(daemon)
    daemon.ok(*KEYS, "Path=x.img")
    assert "reset" in p.refused("disk", "detach", "a", "data", "--timeout", "1", code=8)
    daemon.ok("reset", "a")
    daemon.eventually(lambda: has(daemon), lambda there: not there, 30)


test_cure = rows_of(__name__)
