# SPDX-License-Identifier: MIT
"""Hints about drives are followed to the letter, and then the CD is in."""
import os

from cures import cure, rows_of


def iso(daemon, name="x.iso", where=None):
    with open(os.path.join(where or daemon.images, name), "wb") as f:
        f.truncate(1 << 20)


def up(daemon, keys):
    iso(daemon)
    daemon.micro("a", extra=keys)
    daemon.up("a")


@cure("vmkeep set %s CDROM.cd.Bus=auto adds one at the next start")
def no_drive(p, daemon):
    up(daemon, "")
    daemon.ok(*p.refused("cd", "a", "insert", "x.iso", code=4).split()[1:4])
    daemon.ok("kill", "a")
    daemon.up("a")
    daemon.ok("cd", "a", "insert", "x.iso")


@cure("its drives: %s")
def another_drive(p, daemon):
    up(daemon, "[CDROM one]\n")
    hint = p.refused("cd", "a", "insert", "x.iso", "--id", "two", code=4)
    daemon.ok("cd", "a", "insert", "x.iso", "--id", hint.split()[-1])


@cure("--id %s")
def several_drives(p, daemon):
    up(daemon, "[CDROM one]\n[CDROM two]\n")
    daemon.ok("cd", "a", "insert", "x.iso", *p.refused("cd", "a", "insert", "x.iso", code=2).split())


@cure("did you mean '%s:%s'?", "vmkeep store list lists them")
def another_store(p, daemon):
    place = os.path.join(daemon.base, "isos")
    os.mkdir(place)
    iso(daemon, "y.iso", place)
    with open(os.path.join(daemon.config, "vmkeep.conf"), "a", encoding="utf-8") as f:
        f.write("[Store isos]\nPath=%s\n" % place)
    up(daemon, "[CDROM cd]\n")
    hint = p.refused("cd", "a", "insert", "iso:y.iso", code=4)
    daemon.ok("cd", "a", "insert", hint.split("'")[1])
    hint = p.refused("cd", "a", "insert", "quitedifferent:y.iso", code=4)
    assert "isos" in daemon.ok(*hint.split()[1:3])


@cure("vmkeep cd %s eject --id %s first")
def replaced(p, daemon):
    up(daemon, "[CDROM cd]\nPath=x.iso\n")
    os.unlink(os.path.join(daemon.images, "x.iso"))
    iso(daemon)
    daemon.ok(*p.refused("cd", "a", "insert", "x.iso", code=3).split()[1:-1])
    daemon.ok("cd", "a", "insert", "x.iso")
    path = os.path.join(daemon.images, "x.iso")
    daemon.ok(*p.refused("qmp", "a", "query-status", "--without-file", path, code=3).split()[1:-1])
    daemon.ok("qmp", "a", "query-status", "--without-file", path)


@cure("unmount the CD in the guest first; --force opens the tray all the same")
def locked_tray(p, daemon):
    daemon.linux("a", "guest.net=none guest.agent=yes", "Networks=none\n", "[CDROM cd]\nBus=scsi\nPath=x.iso\n[Agent]\n")
    iso(daemon)
    daemon.ok("start", "a")
    daemon.eventually(lambda: daemon.vmkeep("guest", "exec", "a", "--", "/sbin/modprobe", "sr_mod").code,
                      lambda code: code == 0, 60)
    lock = ("guest", "exec", "a", "--", "/bin/sh", "-c", "sleep 1000 </dev/sr0 >/dev/null 2>&1 & sleep 1")
    daemon.ok(*lock)
    hint = p.refused("cd", "a", "eject", "--timeout", "1", code=8)
    daemon.ok("cd", "a", "eject", next(w for w in hint.split() if w.startswith("--")))


test_cure = rows_of(__name__)
