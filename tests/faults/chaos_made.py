# SPDX-License-Identifier: MIT
"""Clients that make VMs and change them: create, clone, rename, set, delete, fetch.

All of them share a few names, so that two often want the same one. Whether there is a VM of a name is known if the
last verb about it was answered and no other one overlapped; then `list` must agree. What a deletion keeps, and what
one that was cut short may have left, is remembered for the audit.
"""
import contextlib
import json
import os
import re

import vmk
from chaos_actions import BUSY, CLASS, HOST, PATIENCE, Broken, Client, Row
from chaos_model import Guest, Known, now

NAMES = ["n%d" % i for i in range(1, 9)]
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ7Gq8yP3c1vX0nq0Zb1l6c2m4s5t6u7v8w9x0y1z2A3 anna@laptop"
ALICE = {"user": "alice", "groups": ["vmkeep-create"]}
QUOTA = 3  # VMs of alice
SETTINGS = ("Lifecycle.RestartSec=1s\nLifecycle.TimeoutStopSec=5s\nLifecycle.StartLimitBurst=1000\n"
            "Lifecycle.StartLimitPerDay=100000\nLifecycle.TimeoutStartSec=%ds\n[Quota @vmkeep-create]\nVMs=%d\nMemory=200M\n" % (30 * vmk.SLOW, QUOTA))
IMAGE = "tiny"
KEYS = ["VM.Description=one two", "VM.Description=", "VM.Networks=none", "VM.CPUs=1", "VM.Owner+=bob",
        "VM.Owner-=bob", "Lifecycle.RestartSec=1s"]  # harmless ones, for any VM
MORE = ["VM.Memory=24M", "VM.Memory=16M", "Disk.data.Size=1M", "Disk.data.Bus=scsi"]  # only of VMs made here


class Made(Guest):
    """A name, of which there may be a VM."""

    def __init__(self, name):
        super().__init__(name, "made", "", qcow2=True)
        self.file = "made"  # comes and goes: never to be relied on
        self.there = Known(False)
        self.cut = False  # a verb that removes its files or state was cut short

    @contextlib.contextmanager
    def changes(self):
        """Yields a list for what is known of its place afterwards."""
        outcome = []
        self.verb_begins()
        self.there.begins()
        try:
            yield outcome
        finally:
            value = outcome[0] if outcome else None
            self.there.ends(value, 0.0 if outcome else 1.0)
            self.verb_ends(None, 1.0)

    def judge(self, names, serial, ledger):
        """names: of a list that was asked for when its place had this serial number."""
        value = self.there.value
        if self.there.serial == serial and value is not None and value != (self.name in names):
            ledger.violation("%s is %s, and list %s it" % (
                self.name, "there" if value else "gone", "has" if self.name in names else "does not have"))


def creation(rng):
    """Arguments of vm-create."""
    found = {"image": IMAGE, "memory": "16M", "firmware": "bios", "network": ["none"]}
    if rng.random() < 0.3:
        found.update({"user": "anna", "ssh-key": [KEY]})
    if rng.random() < 0.2:
        found["disk"] = ["2M", "size=1M"]
    for option, chance in (("start", 0.4), ("enable", 0.2), ("dry-run", 0.1)):
        if rng.random() < chance:
            found[option] = True
    return found


MAKE = {
    "create": Row(10, "vm-create", may=BUSY | HOST),
    "create --own": Row(4, None, may=BUSY | HOST | {"Permission"}),
    "clone": Row(6, "vm-clone", may=BUSY | HOST),
    "rename": Row(6, "vm-rename", may=BUSY | HOST),
    "delete": Row(4, "vm-delete", may=BUSY | HOST),
    "delete --disks": Row(8, "vm-delete", may=BUSY | HOST),
    "delete --own": Row(2, None, may=BUSY | HOST | {"Permission"}),
    "forget": Row(2, "vm-forget", may=BUSY | HOST),
    "set": Row(6, "vm-set", may=BUSY | HOST),
    "unset": Row(3, "vm-unset", may=BUSY | HOST),
    "enable": Row(2, "vm-enable", may=BUSY | HOST),
    "disable": Row(1, "vm-disable", may=BUSY | HOST),
    "image list": Row(2, "image-list", may={"Timeout"}),
    "store list": Row(2, "store-list", may={"Timeout"}),
    "image fetch": Row(3, "image-fetch", may=BUSY | HOST,
                       words="^(fetch 'https://.*': |cancelled; another fetch continues|the digest is wrong)"),
    "compare": Row(6, "vm-list"),
}


def halfway(said):
    """An error's words: the files are changed, but not all that goes with them."""
    return said.startswith(("deleted", "renamed"))


def images(world, name):
    """Names of a VM's images."""
    said = world.vmkeep("--json", "info", name)
    return {os.path.basename(disk["path"]) for disk in json.loads(said.out)[0]["disks"] or ()} if said.code == 0 else set()


# one that a kill may catch at any step: what it sends about a name and another one
STEPS = {
    "create": ("vm-create", lambda rng, new: creation(rng)),
    "clone": ("vm-clone", lambda rng, new: {"new": new}),
    "rename": ("vm-rename", lambda rng, new: {"new": new}),
    "delete": ("vm-delete", lambda rng, new: {"disks": rng.random() < 0.7}),
    "set": ("vm-set", lambda rng, new: {"changes": ["VM.Description=x", "VM.Memory=17M"]}),
}


class Maker(Client):
    def __init__(self, storm, number, rng):
        super().__init__(storm, number, rng)
        self.name = "maker%d" % number

    def step(self):
        verb = self.pick(MAKE)
        getattr(self, re.split("[ -]", verb)[0])(verb, self.rng.choice(self.storm.made))

    # One verb.

    def make(self, verb, subject, places=(), own=None, unsure=halfway, **arguments):
        """Runs it. places: names, and whether there is a VM of that name after success; after a failure all is as it
        was, unless its words are unsure. own: words of the client program, which alice runs."""
        row = MAKE[verb]
        if subject:
            arguments["name"] = subject.name
        before = [place.there.value for place, _ in places]
        begin = now()
        with contextlib.ExitStack() as stack:
            known = [stack.enter_context(place.changes()) for place, _ in places]
            try:
                outcome, said = self.by_program(own) if own else self.by_socket(row.execute, arguments)
            except Broken:
                outcome, said = "broken", "the daemon was killed"
            for one, (_, after), was in zip(known, places, before):
                if outcome == "ok":
                    one.append(after)
                elif outcome != "broken" and not unsure(str(said)):
                    one.append(was)
        about = " ".join([verb] + sorted({place.name for place, _ in places} | ({subject.name} if subject else set())))
        self.tell(about, verb, row, subject, outcome, said, begin)
        return outcome, said

    def by_socket(self, execute, arguments):
        return self.call(Row(0, execute, lambda *_: arguments), None)

    def by_program(self, words):
        mark = self.storm.outages.mark()
        result = self.world.vmkeep(*words, timeout=PATIENCE, **ALICE)
        if result.code and self.storm.outages.since(mark):
            raise Broken
        if result.code and not result.err or result.code not in CLASS:
            self.ledger.violation("%s: %s" % (words, result))
        return CLASS.get(result.code, "exit %d" % result.code), result.err.strip() or "-"

    # What becomes of names.

    def create(self, verb, made):
        if verb == "create --own":
            self.make(verb, made, [(made, True)], own=["create", made.name, "--image", IMAGE, "--memory", "16M",
                                                       "--firmware", "bios", "--network", "none"])
            return
        arguments = creation(self.rng)
        dry, starts = arguments.get("dry-run"), arguments.get("start")
        self.make(verb, made, [] if dry else [(made, True)], unsure=lambda said: starts, **arguments)

    def two(self, made):
        return self.rng.choice([other for other in self.storm.made if other is not made])

    def clone(self, verb, made):
        source = self.rng.choice([self.two(made)] * 3 + [guest for guest in self.storm.guests if guest.qcow2][:1])
        self.make(verb, source, [(made, True)], new=made.name)

    def rename(self, verb, made):
        new = self.two(made)
        outcome, said = self.make(verb, made, [(made, False), (new, True)], new=new.name)
        if outcome == "broken" or halfway(str(said)):
            made.cut = new.cut = True

    def delete(self, verb, made):
        had = images(self.world, made.name)
        words = {"disks": True} if verb == "delete --disks" else {}
        own = ["delete", made.name, "--yes"] if verb == "delete --own" else None
        outcome, said = self.make(verb, made, [(made, False)], own=own, **words)
        done = outcome == "ok" and not own
        if done or outcome in ("ok", "broken") or halfway(str(said)):
            kept = {os.path.basename(path) for path in said["disks"]} if done else had
            self.storm.may_stay(kept, sum(bool(image["to"]) for image in said.get("images", ())) if done else len(had))
        made.cut |= outcome == "broken" or halfway(str(said))
        if outcome == "ok":
            self.storm.empty_trash()

    def forget(self, verb, made):
        self.make(verb, made)

    # The others.

    def any(self, made):
        return self.rng.choice([made] * 3 + self.storm.guests)

    def set(self, verb, made):
        guest = self.any(made)
        rows = KEYS + (MORE if guest is made else [])
        more = {"dry-run": True} if self.rng.random() < 0.2 else {}
        self.make(verb, guest, changes=self.rng.sample(rows, self.rng.randrange(1, 4)), **more)

    def unset(self, verb, made):
        key = re.split("[+-]?=", self.rng.choice(KEYS))[0]
        self.make(verb, self.any(made), keys=[key])

    def enable(self, verb, made):
        self.make(verb, self.any(made), **({"last": True} if self.rng.random() < 0.5 else {}))

    def disable(self, verb, made):
        self.make(verb, self.any(made))

    def image(self, verb, _):
        if verb == "image list":
            self.make(verb, None)
            return
        how, digest = self.rng.choice(["get", "cut", "whole"]), self.storm.digest
        if self.rng.random() < 0.2:
            digest = "sha256:" + "0" * 64
        outcome, _ = self.make(verb, None, image="web", url=self.storm.server.url(how), digest=digest)
        if outcome == "ok" and self.rng.random() < 0.5:  # as an administrator does it
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.world.inner(os.path.join(self.world.images, "images", "web.qcow2")))

    def store(self, verb, _):
        self.make(verb, None)

    def compare(self, verb, _):
        """What is known against `list`."""
        serials = {made.name: made.there.serial for made in self.storm.made}
        try:
            outcome, said = self.by_socket("vm-list", {})
        except Broken:
            return
        self.ledger.result(verb, outcome)
        for made in self.storm.made if outcome == "ok" else ():
            made.judge({row[0] for row in said["rows"]}, serials[made.name], self.ledger)
