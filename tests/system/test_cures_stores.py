# SPDX-License-Identifier: MIT
"""Hints about stores with volumes, and about what deleted disks count, are followed to the letter, and then what was
refused works."""
from cures import cure, rows_of
from test_create import OURS
from test_creators import ALICE, create, quota
from test_stores_program import Store, ran


@cure("stop it, and take one with the store's own tools; or qemu-img convert -f raw -O qcow2 %s NEW.qcow2, and name that "
      "in Path=, without Store=")
def a_snapshot_of_a_volume(p, daemon):
    ran(daemon, store=Store(daemon))
    hint = p.refused("snapshot", "create", "a", "s1", code=2)
    p.runs(hint, "qemu-img", **{"NEW.qcow2": daemon.images + "/a.qcow2"})
    p.set("a.vm", "[Disk root]", "Path", "a.qcow2")
    p.set("a.vm", "[Disk root]", "Store", None)
    daemon.ok("start", "a")
    daemon.ok("snapshot", "create", "a", "s1")


@cure("vmkeep delete --disks %s moves its disks to the trash")
def disks_that_would_stay(p, daemon):
    quota(daemon, ("alice", "Disk=4M"))
    create(daemon, "a", "--disk", "1M", "--start")
    daemon.ok("kill", "a")
    hint = p.refused("delete", "--yes", "a", code=11, **ALICE)
    words, = p.commands(hint)
    daemon.ok(*words, "--yes", **ALICE)
    daemon.fails(11, "create", "b", "--memory", "16M", "--disk", "4M", *OURS, **ALICE)
    create(daemon, "b", "--disk", "3M")


test_cure = rows_of(__name__)
