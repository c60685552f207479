# SPDX-License-Identifier: MIT
"""`check` is `start`: over configurations made from the schema, and hosts made by hand, what a start would refuse is
said by check before, of the same class, in the same words and with the same cure; what check calls no error starts.
Every step of the start table that can be known to refuse was met."""
import collections
import contextlib
import os
import random
import re

import pytest

import starts
import starts_hosts
import talk
import vmk
import walk

CACHES = ("/qemu-probe.json",)  # what a QEMU can do is asked once for all
ELSEWHERE = ("/gone", "/networks")  # the case before is still swept up there
# Steps that refuse nothing, or only what nobody can know before: the host changed between two steps, or QEMU died.
UNFORESEEN = {"configuration", "run directory", "socket", "record", "status", "bridges", "run"}


def steps():
    """Of the table in start.c."""
    text = talk.read_text(os.path.join(vmk.ROOT, "supervisor", "start", "start.c"))
    return re.findall(r'^\t\{ "([\w ]+)", +VM_', text, re.M)


class Log:
    """At which step a start failed: the daemon's log says so."""

    def __init__(self, world):
        self.path, self.seen = os.path.join(world.base, "daemon.log"), 0
        self.step()

    def step(self):
        with open(self.path, encoding="utf-8", errors="replace") as f:
            f.seek(self.seen)
            text, self.seen = f.read(), f.tell()
        found = re.findall(r"start failed at its step ([\w ]+):", text)
        return found[-1] if found else "permission"  # which is asked before the table is entered


def words(row):
    """The ways to say a row: alone, or with its place, as an error has to."""
    file, line, key, reason = row["file"], row["line"], row["key"], row["reason"]
    place = "".join(["%s:" % file if file else "", "%s:" % line if line else ""])
    reason = stable(reason)
    return {reason, "%s %s" % (place, reason), "%s %s: %s" % (place, key, reason), "%s: %s" % (key, reason)}


def stable(text):
    """Without the time at which a start sets a damaged file aside (check leaves it where it is), and without the memory
    that is free right now."""
    return re.sub(r"\.damaged-\d+\.\d+|\S+ available on this host", "", text or "")


def differs(rows, refused):
    """In words; None: check said what start did."""
    errors = [row for row in rows if row["severity"] == "error"]
    if refused is None:
        return errors and "check refuses what starts: %s" % errors
    if not errors:
        return "check says nothing of %s: %s (%s)" % (refused.error_class, refused.desc, refused.hint)
    desc = stable(refused.desc)
    said = [row for row in errors if desc in words(row)]
    if not said and all(any(word in desc for word in words(row)) for row in errors):
        said = errors  # all mistakes of a file at once
    if not said:
        return "start says %r, check %s" % (refused.desc, [row["reason"] for row in errors])
    if not any(stable(row["hint"]) == stable(refused.hint) for row in said):
        return "start's cure for %r is %r, check's %s" % (refused.desc, refused.hint, [row["hint"] for row in said])
    if not any(row.get("class", refused.error_class) == refused.error_class for row in said):
        return "start's class for %r is %r, check's %s" % (
            refused.desc, refused.error_class, [row["class"] for row in said])
    return None


def rows_of(answer):
    return [dict(zip(answer["columns"], row)) for row in answer["rows"]]


def traces(world):
    """What a check could leave: files of the daemon and of VMs, as they are; links of the network; processes."""
    found = {"link " + link: True for link in world.links()}
    for top in (world.config, world.state, world.run, world.log):
        for folder, folders, names in os.walk(world.inner(top)):
            for path in (os.path.join(folder, name) for name in folders + names):
                with contextlib.suppress(FileNotFoundError):
                    st = os.lstat(path)
                    found[path] = (st.st_ino, st.st_mode, st.st_uid, st.st_size, st.st_mtime_ns, st.st_ctime_ns)
    return found


def differences(before, after, but=()):
    return sorted({name for name, _ in before.items() ^ after.items() if not any(part in name for part in but)})


class Run:
    def __init__(self, world):
        self.world, self.client, self.log = world, world.client(timeout=60), Log(world)
        self.met, self.done, self.wrong = collections.Counter(), collections.Counter(), []

    def check(self, case, name):
        """Its rows; and it wrote nothing."""
        before = traces(self.world)
        rows = rows_of(self.client.call("vm-check", name=name))
        left = differences(before, traces(self.world), CACHES + ELSEWHERE)
        if left:
            self.wrong.append("%s: check wrote %s" % (case.title, left))
        return rows

    def case(self, case, name):
        self.world.image(name + ".raw")
        self.world.write(name + ".vm", case.file(name).encode("utf-8", "surrogateescape"))
        before = case.before or starts_hosts.nothing
        with before(self.world, name):
            self.log.step()
            rows, refused = self.check(case, name), None
            try:
                self.client.call("vm-start", name=name)
            except talk.Error as e:
                refused = e
                self.met[self.log.step()] += 1
            self.done["refused" if refused else "started"] += 1
            wrong = differs(rows, refused)
            if wrong:
                self.wrong.append("%s: %s" % (case.title, wrong))
        if not refused:
            self.client.call("vm-kill", name=name)
        os.unlink(os.path.join(self.world.config, name + ".vm"))
        self.world.vmkeep("forget", name)
        starts_hosts.forget(self.world, name)


def test_check_writes_nothing(daemon):
    """Whatever it looks at: state of a VM that the daemon has not seen yet, an identity that is damaged, a renamed VM,
    images that a start would make, a network that stands and one that does not, a VM that runs."""
    daemon.micro("up", "deaf", extra="[NIC lan]\n")
    daemon.up("up")
    daemon.write("lab.network", starts_hosts.LAB)
    daemon.write("fresh.vm", "[VM]\nMemory=16M\n[Disk root]\nSize=1M\n[NIC lan]\nNetwork=lab\n")
    daemon.write("firmware.vm", "[VM]\nMemory=16M\n[Boot]\nFirmware=uefi\n[Disk root]\nSize=1M\n")
    daemon.write("broken.vm", "[VM]\nMemry=1\n")
    daemon.micro("ran", vm="UUID=%s\n" % starts_hosts.NOWHERE)
    daemon.ok("start", "ran")
    daemon.ok("kill", "ran")
    os.rename(daemon.config + "/ran.vm", daemon.config + "/renamed.vm")
    for name, text in (("damaged", "{"), ("torn", starts_hosts.made(daemon, "torn"))):
        daemon.micro(name)
        os.makedirs(os.path.join(daemon.state, "vms", name), mode=0o700)
        file = os.path.join(daemon.state, "vms", name, "identity.json" if name == "damaged" else "revert.json")
        with open(file, "w", encoding="utf-8") as f:
            f.write(text)
    before, running = traces(daemon), set(daemon.processes())
    names = ["fresh", "firmware", "broken", "renamed", "damaged", "torn", "up"]
    for words in [()] + [(name,) for name in names] + [(daemon.config + "/damaged.vm",), (daemon.config + "/lab.network",)]:
        daemon.vmkeep("check", *words)
        assert not differences(before, traces(daemon), CACHES + ("/gone",)), words
    daemon.eventually(lambda: set(daemon.processes()), lambda now: now <= running)
    daemon.ok("list")  # this one sets the damaged file aside
    assert any("identity.json.damaged" in name for name in differences(before, traces(daemon)))


@pytest.mark.walk
def test_check_is_start(world):
    with world.devices():
        world.start()
        starts_hosts.prepare(world)
        rng = random.Random("check is start")
        good, bad = starts.of_keys()
        good += starts.of_chance(rng, 60)
        if not walk.WHOLE:
            good, bad = rng.sample(good, 60), rng.sample(bad, 60)
        cases, run = starts_hosts.hosts() + good + bad, Run(world)
        for n, case in enumerate(cases):
            run.case(case, "c%03d" % n)
        print("%d configurations; %s; refused by %s" % (len(cases), dict(run.done), dict(run.met)))
        world.ok("kill", starts_hosts.HOLDER)
        for link in ("br7", "dummy7"):
            world.exec("ip", "link", "del", link)
        run.client.close()
        assert not run.wrong, "%d differ:\n%s" % (len(run.wrong), "\n".join(run.wrong))
        assert len(cases) >= 150 and 2 * run.done["refused"] >= len(cases), run.done
        assert set(steps()) - UNFORESEEN <= set(run.met), run.met
        world.stop_daemon()
