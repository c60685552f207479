# SPDX-License-Identifier: MIT
"""`check` predicts `start`, for configurations generated from the schema and hosts made by hand: check reports what a
start would refuse, with the same class, text and fix, and what check does not report as an error starts. Every step
of the start table that can be predicted to refuse was reached."""
import collections
import contextlib
import os
import random
import re

import pytest

import starts
import starts_hosts
import starts_images
import starts_stores
import talk
import vmk
import walk

CACHES = ("/qemu-probe.json",)  # each QEMU is probed only once
ELSEWHERE = ("/gone", "/networks")  # remains of the case before may still be removed there
# Steps that no case lets fail, with the reason. Of the other steps, check does not foresee what only shows when it is
# done (a device of [RNG] Source= that cannot be opened, since opening it may have effects; a CID that another
# hypervisor's guest has; a scope that systemd refuses; a missing kernel module for bridges), what may change at any
# moment (memory, descriptors, processes and quotas that run out), and Args= that use standard input.
UNFORESEEN = {
    "configuration": "it copies what was read, which has no fault unless its files are large: test_start_fault.py",
    "socket": "in a directory that was just made",
    "record": "in a directory that was just made",
    "status": "QEMU answers, or died",
    "bridges": "the bridge was there two steps before",
    "run": "QEMU answers, or died",
}


def steps():
    """The steps of the table in start.c."""
    text = talk.read_text(os.path.join(vmk.ROOT, "supervisor", "start", "start.c"))
    return re.findall(r'^\t\{ "([\w ]+)", +VM_', text, re.M)


class Log:
    """Finds in the daemon's log at which step a start failed."""

    def __init__(self, world):
        self.path, self.seen = os.path.join(world.base, "daemon.log"), 0
        self.step()

    def step(self):
        with open(self.path, encoding="utf-8", errors="replace") as f:
            f.seek(self.seen)
            text, self.seen = f.read(), f.tell()
        found = re.findall(r"start failed at its step ([\w ]+):", text)
        return found[-1] if found else "permission"  # checked before the table is entered


def words(row):
    """The ways to phrase a row: alone, or with its place, as in an error."""
    file, line, key, reason = row["file"], row["line"], row["key"], row["reason"]
    place = "".join(["%s:" % file if file else "", "%s:" % line if line else ""])
    reason = stable(reason)
    return {reason, "%s %s" % (place, reason), "%s %s: %s" % (place, key, reason), "%s: %s" % (key, reason)}


def stable(text):
    """Removes what differs between runs: the time in the name of a damaged file that a start sets aside (check leaves
    it in place), the amount of free memory, and the file for which QEMU wanted io_uring, with an errno of another call."""
    text = re.sub(r"\S+: (Unable to use io_uring: failed to init linux io_uring ring).*", r"\1", text or "")
    return re.sub(r"\.damaged-\d+\.\d+|\S+ available on this host", "", text)


def differs(rows, refused):
    """The difference as text; None if check agrees with start."""
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
    """What a check could leave behind: the inodes of the daemon's and VMs' files, and network links."""
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
        """Runs check, which must not write anything; returns its rows."""
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
    """Whatever it looks at: a VM that the daemon has not seen yet, a damaged identity, a renamed VM, images that a
    start would create, networks that are up or down, a running VM."""
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
    daemon.ok("list")  # this sets the damaged file aside
    assert any("identity.json.damaged" in name for name in differences(before, traces(daemon)))


def test_run_full(world):
    """While no VM runs, whose run directory the daemon would make again."""
    world.start()
    run = Run(world)
    run.case(starts.Case("full", before=starts_hosts.full("{world.run}/vms")), "a")
    run.case(starts.Case("room"), "b")
    run.client.close()
    assert run.met["run directory"] and run.done["started"] and not run.wrong, run.wrong
    world.stop_daemon()


def test_few_open_files(world):
    """Fewer than QEMU gets, and nobody may raise that; what this QEMU can do is known."""
    world.start()
    run = Run(world)
    run.case(starts.Case("before"), "a")
    run.client.close()
    world.stop_daemon()
    world.daemon_argv = lambda: ["prlimit", "--nofile=1024:1024"] + vmk.World.daemon_argv(world)
    world.start()
    run = Run(world)
    run.case(starts.Case("limited"), "b")
    run.client.close()
    assert run.done["refused"] and run.met["jail"] and not run.wrong, run.wrong
    world.stop_daemon()


# io_uring_setup() fails with EPERM, as with the sysctl kernel.io_uring_disabled, or in many containers.
NO_URING = """
import ctypes, os, struct, sys
code = b"".join(struct.pack("HBBI", *op) for op in (
    (0x20, 0, 0, 0), (0x15, 0, 1, 425), (6, 0, 0, 0x50001), (6, 0, 0, 0x7fff0000)))
kept = ctypes.create_string_buffer(code)
assert ctypes.CDLL(None).prctl(22, 2, struct.pack("HxxxxxxP", len(code) // 8, ctypes.addressof(kept)), 0, 0) == 0
os.execv(sys.argv[1], sys.argv[1:])
"""


def test_no_io_uring(world):
    """Also where no image is opened before the start."""
    world.daemon_argv = lambda: ["/usr/bin/python3", "-c", NO_URING] + vmk.World.daemon_argv(world)
    world.start()
    run = Run(world)
    for n, path in enumerate(("{vm}.raw", "{vm}-new.raw\nSize=1M")):
        run.case(starts.Case(path, text=starts_hosts.disk(path, "AIO=io_uring\n")), "u%d" % n)
    run.case(starts.Case("threads"), "threads")
    run.client.close()
    print(dict(run.done))  # later QEMUs go on with threads
    assert run.done["started"] and not run.wrong, run.wrong
    world.stop_daemon()


def test_first_on_a_bridge(world):
    """Before any network is up: the rule for taps has to be set as well."""
    lines = [("NIC lan", "Bridge=br7")]
    with world.devices():
        world.start()
        world.exec("ip", "link", "add", "br7", "type", "bridge")
        run = Run(world)
        for n, text in enumerate(("", starts_hosts.BROKEN)):
            run.case(starts.Case("nft %d" % n, lines, starts_hosts.covered(starts_hosts.NFT, text, 0o755 * n)), "n%d" % n)
        assert run.done["refused"] == 2 and not run.wrong, run.wrong
        run.case(starts.Case("nft works", lines), "works")
        run.client.close()
        assert run.done["started"] and not run.wrong, run.wrong
        world.stop_daemon()


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
        cases = starts_hosts.hosts() + starts_images.images() + starts_stores.stores() + good + bad
        run = Run(world)
        for n, case in enumerate(cases):
            run.case(case, "c%03d" % n)
        print("%d configurations; %s; refused by %s" % (len(cases), dict(run.done), dict(run.met)))
        world.ok("kill", starts_hosts.HOLDER)
        for link in ("br7", "dummy7"):
            world.exec("ip", "link", "del", link)
        run.client.close()
        assert not run.wrong, "%d differ:\n%s" % (len(run.wrong), "\n".join(run.wrong))
        assert len(cases) >= 150 and 2 * run.done["refused"] >= len(cases), run.done
        assert set(steps()) - set(UNFORESEEN) <= set(run.met), run.met
        world.stop_daemon()
