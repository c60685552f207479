# SPDX-License-Identifier: MIT
"""The audit of VMs that were made: each is there or gone, as its client was told, and works; a deletion left nothing but
what it said, and one that was cut short nothing that cannot be removed; a quota counts what is there."""
import os
import re

import vmk
from chaos_made import ALICE, IMAGE, NAMES, QUOTA, images

OWNED = re.compile("^Owner=alice$", re.M)


class MadeAudit:
    def __init__(self, storm, wrong):
        self.storm, self.world, self.wrong = storm, storm.world, wrong
        self.images = self.files(self.world.images)  # before the storm

    def files(self, place):
        return set(os.listdir(self.world.inner(place)))

    def names(self):
        return {row["name"] for row in self.world.rows("list")}

    def known(self):
        names = self.names()
        for made in self.storm.made:
            made.judge(names, made.there.serial, self.storm.ledger)
        return sorted(names & set(NAMES))

    def ok(self, *words):
        said = self.world.vmkeep(*words, timeout=60)
        if said.code:
            self.wrong("%s: %s" % (words[0], said))
        return said

    def work(self):
        """Each starts, can be changed and copied: with the next run of their children, temporary files are gone."""
        there = self.known()
        for name in there:
            with self.storm.guest(name).may_end():
                self.ok("kill", name)
            self.ok("start", name)
            with self.storm.guest(name).may_end():
                self.ok("kill", name)
            self.ok("set", name, "VM.Description=audited")
        self.forgotten()
        free = [name for name in sorted(set(NAMES) - set(there)) if not images(self.world, name)]
        if there and free:
            self.copied(there[0], self.storm.guest(free[0]))
        self.leftovers()
        self.quota()

    def copied(self, name, copy):
        self.storm.may_stay(set(), len(images(self.world, name)))
        with copy.may_end():
            self.ok("clone", name, copy.name)
            self.ok("start", copy.name)
            self.ok("kill", copy.name)
            self.ok("delete", "--disks", "--yes", copy.name)

    def forgotten(self):
        """State without a VM: only after an end at a bad moment, and it can be removed."""
        states, names = os.path.join(self.world.state, "vms"), self.names()
        gone = self.files(states) - names
        if not gone <= {made.name for made in self.storm.made if made.cut}:
            self.wrong("states of VMs that are gone: %s" % sorted(gone))
        said = self.world.vmkeep("check").out
        for name in sorted(gone):
            if "vmkeep forget %s" % name not in said:
                self.wrong("check does not name the state of %s: %s" % (name, said))
            self.ok("forget", name)
        if self.files(states) - names:
            self.wrong("states that nobody forgets: %s" % sorted(self.files(states) - names))

    def leftovers(self):
        """Images, seeds, trash, files."""
        world, storm = self.world, self.storm
        used = set()
        for name in self.names():
            used |= images(world, name)
        odd = self.files(world.images) - self.images - used - storm.kept - {".trash"}
        if odd:
            self.wrong("images that nobody has: %s" % sorted(odd))
        odd = {name for name in self.files(os.path.join(world.images, "images"))
               if not name.startswith(".fetch-")} - {IMAGE + ".qcow2", "web.qcow2"}
        if odd:
            self.wrong("left in images/: %s" % sorted(odd))
        trash = self.files(os.path.join(world.images, ".trash")) if os.path.exists(storm.trash()) else set()
        if len(trash) > storm.trashed:
            self.wrong("%d files in the trash, and %d deleted: %s" % (len(trash), storm.trashed, sorted(trash)))
        odd = self.files(world.config) - {"vmkeep.conf"} - {name + ".vm" for name in self.names()}
        if odd:
            self.wrong("left in the configuration directory: %s" % sorted(odd))
        seeds = {name for name in NAMES if os.path.exists(os.path.join(world.inner(world.state), "vms", name, "seed.d"))}
        if seeds:
            self.wrong("texts for cloud-init are left: %s" % sorted(seeds))

    def owned(self):
        return [name for name in sorted(self.names())
                if OWNED.search(vmk.read_text(os.path.join(self.world.config, name + ".vm")))]

    def quota(self):
        """What root made in alice's name counts, too; nothing else does."""
        world, room = self.world, max(QUOTA - len(self.owned()), 0)
        words = ["--memory", "16M", "--disk", "1M", "--network", "none"]
        for i in range(room + 1):
            said = world.vmkeep("create", "q%d" % i, *words, timeout=60, **ALICE)
            if said.code != (0 if i < room else 11):
                self.wrong("alice has %s, and creates another VM: %s" % (self.owned(), said))
        for name in [name for name in self.owned() if name.startswith("q")]:
            said = world.vmkeep("delete", "--yes", name, timeout=60, **ALICE)
            if said.code:
                self.wrong("alice deletes a VM: %s" % said)
