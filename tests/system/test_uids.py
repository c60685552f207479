# SPDX-License-Identifier: MIT
"""Two daemons on one host: no two of their guests or helpers have the same uid, and neither daemon takes what belongs
to the other."""
import json
import os
import shutil

import pytest

import vmk
from test_found import stand_in


class Beside(vmk.World):
    """A second daemon in a world, with its own directories."""

    def __init__(self, world, name="b"):
        # pylint: disable=super-init-not-called
        self.base = os.path.join(world.base, name)
        self.config, self.state, self.run, self.log = (
            os.path.join(self.base, d) for d in ("config", "state", "run", "log"))
        self.images = os.path.join(self.state, "images")
        for path in (self.config, self.run, self.log, self.images):
            os.makedirs(path)
        self.socket = os.path.join(self.run, "control.sock")
        self.daemon, self.streams, self.counter, self.init = None, [], 0, world.init
        self.write("vmkeep.conf", vmk.DEFAULTS)

    def end(self):
        """Ends its guests and networks; nothing of it may be left."""
        if not self.daemon:
            self.start()
        self.ok("kill", "*")
        for row in self.rows("net", "list"):
            self.ok("net", "stop", row["name"], "--force")
        self.stop_daemon()
        self.eventually(self.processes, lambda found: not any(self.base + "/" in line for line in found.values()))


@pytest.fixture
def second(world):
    made = Beside(world)
    yield made
    if not world.failed:
        made.end()
    elif made.daemon:
        made.kill_daemon()


def identity(world, name):
    return os.path.join(world.state, "vms", name, "identity.json")


def give(world, name, uid):
    """Changes the uid in an identity, as if another daemon had created it."""
    with open(identity(world, name), "r+", encoding="utf-8") as f:
        doc = json.load(f)
        doc["uid"] = uid
        f.seek(0)
        f.truncate()
        json.dump(doc, f)


def uid_of(world, pid):
    return int(vmk.read_text(world.inner("/proc/%d/status" % pid)).split("\nUid:\t")[1].split()[0])


def uids_of(world):
    """{pid: uid} of its guests and its network's dnsmasq, each of which must be in the daemon's own block."""
    first = world.first_uid()
    guests = {world.info(name)["pid"]: world.info(name)["uid"] for name, state in world.states().items()
              if state == "running"}
    helpers = {row["dnsmasq"]: uid_of(world, row["dnsmasq"]) for row in
               (world.one("net", "show", row["name"]) for row in world.rows("net", "list")) if row["dnsmasq"]}
    assert all(uid_of(world, pid) == uid for pid, uid in guests.items())
    assert all(first <= uid < first + vmk.NETWORKS for uid in guests.values()), (first, guests)
    assert all(first + vmk.NETWORKS <= uid < first + vmk.RELAYS for uid in helpers.values()), (first, helpers)
    return {**guests, **helpers}


def apart(*found):
    uids = [uid for one in found for uid in one.values()]
    assert len(uids) == len(set(uids)), found


def prepare(world, *names):
    for name in names:
        world.image(name + ".raw", "deaf")
        world.write(name + ".vm", "[VM]\nMemory=16M\n[Disk root]\nPath=%s.raw\n" % name)


def umount(world, pid, path):
    """Unmounts in a guest's private root, which has no umount(8)."""
    world.exec("nsenter", "--target", str(pid), "--mount", "--root", "/usr/bin/python3", "-c",
               "import ctypes, sys; sys.exit(ctypes.CDLL(None).umount2(sys.argv[1].encode(), 2))", path)


def two(world, second):
    """Starts a VM of the same name, on a network of the same name, in both daemons."""
    for one in (world, second):
        prepare(one, "a")
        one.start()
        one.ok("start", "a")
    return uids_of(world), uids_of(second)


def lose(world, *paths):
    world.exec("rm", "-rf", *paths)


LOST = {
    "nothing": lambda world, both: None,
    "claims": lambda world, both: lose(world, "/run/vmkeep-uids"),
    "records": lambda world, both: lose(world, *(os.path.join(one.run, "vms/a/record.json") for one in both)),
    "identities": lambda world, both: lose(world, *(identity(one, "a") for one in both)),
}


@pytest.mark.parametrize("lost", LOST)
def test_each_has_its_own(world, second, lost):
    """Also after both were killed, restarted in the other order, and have lost something."""
    before = two(world, second)
    apart(*before)
    for one in (world, second):
        one.kill_daemon()
    LOST[lost](world, (world, second))
    for one, were in ((second, before[1]), (world, before[0])):
        one.start()
        assert uids_of(one) == were and one.states() == {"a": "running"}
    for one in (world, second):
        one.ok("kill", "a")
        prepare(one, "b")
        one.ok("start", "a", "b")
    apart(uids_of(world), uids_of(second))


def test_taps_of_the_other_one(world, second):
    """A guest of which only its process is left gets its own taps, not those of the VM with the same name."""
    two(world, second)
    before = [one.info("a") for one in (world, second)]
    second.kill_daemon()
    umount(world, before[1]["pid"], os.path.join(second.run, "vms/a/kept.json"))
    second.exec("rm", *(os.path.join(second.run, "vms/a", file) for file in ("record.json", "kept.json")))
    second.start()
    after = second.info("a")
    for key in ("pid", "uid", "uuid", "mac", "address"):
        assert after.get(key) == before[1].get(key), (before, after)
    assert [nic["interface"] for nic in after["nics"]] == [nic["interface"] for nic in before[1]["nics"]]
    second.ok("kill", "a")
    assert before[0]["nics"][0]["interface"] in world.links()
    assert world.rows("net", "list")[0]["health"] == "ok"


def test_one_directory_for_logs(world, second):
    """It is reported, and guests start all the same."""
    second.log = world.log
    two(world, second)
    assert "uses '%s': logs of VMs with the same name will be mixed" % world.log in \
        vmk.read_text(os.path.join(second.base, "daemon.log"))
    assert "be mixed" not in vmk.read_text(os.path.join(world.base, "daemon.log"))


def test_nothing_says_which_ones_it_had(world, second):
    """Identities and claims are lost: running guests keep their uids, and new ones get uids that are free."""
    before = two(world, second)
    claim = "/run/vmkeep-uids/%d" % ((second.first_uid() - vmk.UIDS_FIRST) // vmk.UIDS_BLOCK)
    second.kill_daemon()
    lose(world, claim, os.path.join(second.state, "vms"), os.path.join(second.state, "networks"))
    second.start()
    info = second.info("a")
    assert before[1][info["pid"]] == info["uid"] == uid_of(second, info["pid"])
    assert second.first_uid() != info["uid"] // vmk.UIDS_BLOCK * vmk.UIDS_BLOCK
    second.ok("kill", "a")
    second.ok("net", "stop", "default", "--force")
    second.ok("start", "a")
    apart(uids_of(world), uids_of(second))
    assert world.states() == {"a": "running"}


def test_claims_are_lost_while_both_run(world, second):
    before = two(world, second)
    lose(world, "/run/vmkeep-uids")
    third = Beside(world, "c")
    for one in (third, world, second):  # the claim is created again at the next start
        prepare(one, "b")
        if one is third:
            one.start()
        one.ok("start", "b")
    found = uids_of(world), uids_of(second), uids_of(third)
    assert before[0].items() < found[0].items() and before[1].items() < found[1].items()
    apart(*found)
    third.end()


def test_a_block_of_guests_that_go_on(world, second):
    """Their daemon is dead and its claim lost: another daemon does not take their uids."""
    before = two(world, second)
    second.kill_daemon()
    lose(world, "/run/vmkeep-uids")
    third = Beside(world, "c")
    # its path leads to the same block
    os.rename(second.state, second.state + ".away")
    os.rename(third.state, second.state)
    third.state, third.images = second.state, second.images
    prepare(third, "a")
    third.start()
    third.ok("start", "a")
    apart(*before, uids_of(third))
    third.end()
    shutil.rmtree(second.state)
    os.rename(second.state + ".away", second.state)
    second.start()
    info = second.info("a")
    assert before[1][info["pid"]] == info["uid"]


def test_a_copy(world, second):
    """A copied state directory contains the same uids: its daemon assigns new ones when the VMs start."""
    prepare(world, "a")
    world.start()
    world.ok("start", "a")
    shutil.rmtree(second.state)
    shutil.copytree(world.state, second.state)
    prepare(second, "a")
    second.start()
    assert second.states() == {"a": "stopped"} and second.first_uid() != world.first_uid()
    second.ok("start", "a")
    apart(uids_of(world), uids_of(second))


def test_what_was_there_before(world, second):
    """Identities from an earlier version keep their uids, new VMs get uids of the block; only if two VMs of different
    daemons with the same uid run at once, the later one gets another."""
    old = vmk.UIDS_FIRST + 5
    for one in (world, second):
        prepare(one, "a")
        one.start()
        one.ok("start", "a")
        one.ok("kill", "a")
        one.stop_daemon()
        give(one, "a", old)
        one.start()
    world.ok("start", "a")
    assert world.info("a")["uid"] == old
    world.kill_daemon()
    world.start()
    assert world.states() == {"a": "running"} and second.states() == {"a": "stopped"}
    prepare(world, "b")
    world.ok("start", "b")
    assert world.info("b")["uid"] == world.first_uid()
    second.ok("start", "a")
    assert second.info("a")["uid"] == second.first_uid()
    assert "its uid %d belongs to another daemon" % old in vmk.read_text(os.path.join(second.base, "daemon.log"))
    world.ok("kill", "a")
    world.ok("start", "a")
    assert world.info("a")["uid"] == old and world.vmkeep("info", "--security", "a").code == 0
    # two guests that were started by earlier versions
    pid = stand_in(world, old, "a", "0" * 36)
    told = world.vmkeep("info", "--security", "a")
    assert told.code == 1 and "%d, which process %d has too" % (old, pid) in told.out
    world.kill(pid)


def test_the_usual_state_directory_has_the_first_block(world):
    """It claims nothing; existing identities are within it."""
    lib = os.path.join(world.base, "lib")
    os.makedirs(os.path.join(lib, "vmkeep"))
    if vmk.BUILD.startswith("/var/lib/"):
        pytest.skip("the programs are in /var/lib, which this test hides")
    world.exec("mount", "--bind", lib, "/var/lib")
    world.exec("mount", "--bind", world.state, "/var/lib/vmkeep")
    prepare(world, "a")
    world.start()
    world.ok("start", "a")
    info = world.info("a")
    dnsmasq = world.one("net", "show", "default")["dnsmasq"]
    assert info["uid"] == vmk.UIDS_FIRST and uid_of(world, dnsmasq) == vmk.UIDS_FIRST + vmk.UIDS_BLOCK
    assert not os.path.exists(world.inner("/run/vmkeep-uids"))
    world.kill_daemon()
    world.start()
    assert world.info("a")["pid"] == info["pid"]
    world.exec("umount", "/var/lib/vmkeep")
    world.exec("umount", "/var/lib")
