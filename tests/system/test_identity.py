# SPDX-License-Identifier: MIT
"""A VM keeps its identity, and with it its disks and addresses, when its file is renamed, copied or gone for a moment; lost
state is never replaced by a new identity unless a person asks for it."""
import json
import os
import shutil
import signal
import subprocess

import pytest

import vmk
from steps import Steps
from test_disks import images
from walk import walk

# A renamed file.


UUID = "7f1d1d4e-7c3b-4a69-9f0e-0d8f1a2b3c4d"


def wired(world, name, lines="", disk="Size=8M\n"):
    world.write(name + ".vm", "[VM]\nMemory=16M\n%s[Disk root]\n%s" % (lines, disk))


def rename(world, old, new):
    os.rename(os.path.join(world.config, old + ".vm"), os.path.join(world.config, new + ".vm"))


def who(world, name):
    """What must not change."""
    with open(os.path.join(world.state, "vms", name, "identity.json"), "rb") as f:
        kept = json.load(f)
    return kept["uuid"], kept["uid"], [(nic["mac"], nic["address"]) for nic in kept["nics"]]


@pytest.mark.parametrize("disk", ["Size=8M\n", "Path=%n.qcow2\nSize=8M\n"])
def test_renamed(daemon, disk):
    """A renamed VM without UUID= does not get an empty disk while its old one exists, until a person says what is
    meant."""
    wired(daemon, "web1", disk=disk)
    daemon.ok("start", "web1")
    there = images(daemon)
    rename(daemon, "web1", "www1")
    assert "VM 'web1', whose file is gone" in daemon.vmkeep("check", "www1").out  # before anything else looked
    said = daemon.fails(3, "start", "www1")
    assert "VM 'web1', whose file is gone" in said and daemon.rows("list")
    daemon.ok("kill", "web1")
    said = daemon.fails(3, "start", "www1")
    for words in ("would be new and empty", "VM 'web1'", there[0], "web1.vm", "Path=" + there[0], "forget web1"):
        assert words in said, said
    assert "would be new and empty" in daemon.vmkeep("check", "www1").out
    daemon.kill_daemon()
    daemon.start()
    daemon.fails(3, "start", "www1")
    assert images(daemon) == there
    rename(daemon, "www1", "web1")
    assert daemon.ok("start", "web1") == "web1: running\n"
    daemon.ok("kill", "web1")
    rename(daemon, "web1", "www1")
    wired(daemon, "www1", disk="Path=%s\nSize=8M\n" % there[0])
    assert daemon.ok("start", "www1") == "www1: running\n"


def test_others_are_not_in_the_way(daemon):
    """Images of a VM whose file is gone do not prevent disks with other names, nor any disk once those images are
    gone."""
    wired(daemon, "web1")
    daemon.ok("start", "web1")
    daemon.ok("kill", "web1")
    os.unlink(daemon.config + "/web1.vm")
    wired(daemon, "db", disk="Path=db.qcow2\nSize=8M\n")
    assert "disk root created" in daemon.ok("start", "db")
    wired(daemon, "web2")
    daemon.fails(3, "start", "web2")
    os.unlink(daemon.images + "/web1-root.qcow2")
    assert "disk root created" in daemon.ok("start", "web2")


def test_renamed_with_uuid(daemon):
    """It is the same VM, and keeps its state, disk, address, history and log."""
    wired(daemon, "web1", "UUID=%s\n" % UUID)
    daemon.ok("start", "web1")
    was = who(daemon, "web1")
    rename(daemon, "web1", "www1")
    # while it runs, it is web1
    said = daemon.fails(3, "start", "www1")
    assert "VM 'web1', whose file is gone and which is still running" in said, said
    daemon.ok("kill", "web1")
    rename(daemon, "www1", "web1")
    assert list(daemon.states()) == ["web1"]
    rename(daemon, "web1", "www1")
    for words in (["check", "www1"], ["check"]):  # before anything else looked: as a start will find it
        assert daemon.ok(*words) == "no problems\n"
    said = daemon.ok("start", "www1")
    assert "continues as what was VM 'web1'" in said and "created" not in said, said
    assert who(daemon, "www1") == was and images(daemon) == ["web1-root.qcow2"]
    assert os.listdir(daemon.state + "/vms") == ["www1"] and "www1" in os.listdir(daemon.log)
    history = daemon.ok("history", "www1")
    assert "renamed" in history and "killed" in history
    assert list(daemon.states()) == ["www1"]
    # there and back again while no daemon runs
    daemon.ok("kill", "www1")
    daemon.kill_daemon()
    rename(daemon, "www1", "web1")
    daemon.start()
    assert "created" not in daemon.ok("start", "web1") and who(daemon, "web1") == was


def test_renamed_with_uuid_and_path(daemon):
    """Path= uses the VM's name: the disk is not renamed, and none is created in its place."""
    wired(daemon, "web1", "UUID=%s\n" % UUID, "Path=%n.qcow2\nSize=8M\n")
    daemon.ok("start", "web1")
    daemon.ok("kill", "web1")
    rename(daemon, "web1", "www1")
    for _ in range(2):
        said = daemon.vmkeep("check", "www1").out
        assert "web1.qcow2 is its disk from when the VM was called 'web1'" in said, said
        daemon.ok("list")
    daemon.kill_daemon()
    daemon.start()
    said = daemon.fails(3, "start", "www1")
    assert "web1.qcow2 is its disk from when the VM was called 'web1'" in said, said
    os.rename(daemon.images + "/web1.qcow2", daemon.images + "/www1.qcow2")
    assert "created" not in daemon.ok("start", "www1")


def test_renamed_and_uuid_written_later(daemon):
    """Refused first, without UUID=; with it the state is moved, even if the request is read before inotify reports
    the change."""
    wired(daemon, "web1", "", "Path=%n.qcow2\nSize=8M\n")
    daemon.ok("start", "web1")
    daemon.ok("kill", "web1")
    uuid = daemon.info("web1")["uuid"]
    rename(daemon, "web1", "www1")
    assert "VM 'web1', whose file is gone" in daemon.fails(3, "start", "www1")
    path = os.path.join(daemon.config, "www1.vm")
    text = vmk.read_text(path)
    client = daemon.client()
    os.kill(daemon.daemon_pid(), signal.SIGSTOP)
    serial = client.send("vm-start", {"name": "www1"})
    daemon.write("www1.vm", text.replace("[VM]\n", "[VM]\nUUID=%s\n" % uuid))
    os.kill(daemon.daemon_pid(), signal.SIGCONT)
    with pytest.raises(vmk.Error, match="is its disk from when the VM was called 'web1'"):
        client.result(serial)
    assert images(daemon) == ["web1.qcow2"]


def test_copied_with_uuid(daemon):
    """The copy is refused as long as the original's file exists, which the error names; check reports both."""
    wired(daemon, "web1", "UUID=%s\n" % UUID)
    daemon.ok("start", "web1")
    wired(daemon, "web2", "UUID=%s\n" % UUID.upper())
    said = daemon.fails(3, "start", "web2")
    assert "is VM 'web1' already (%s/web1.vm)" % daemon.config in said, said
    for name in ("web1", "web2"):
        said = daemon.vmkeep("check", name).out
        how = "UUID=%s is VM 'web1' already" % UUID.upper() if name == "web2" else "UUID: warning: VM 'web2' also has"
        assert how in said and len(said.splitlines()) == 2, said  # once, with its hint
    daemon.ok("kill", "web1")
    assert daemon.ok("start", "web1") == "web1: running\n"
    wired(daemon, "web2", "")
    assert "created" in daemon.ok("start", "web2")
    assert who(daemon, "web2")[0] != UUID
    # the UUID of a VM that has had another since its first start
    daemon.ok("kill", "web2")
    wired(daemon, "web2", "UUID=%s\n" % UUID)
    said = daemon.fails(3, "start", "web2")
    assert "is not this VM's, which is %s since its first start" % who(daemon, "web2")[0] in said
    os.unlink(daemon.config + "/web1.vm")
    daemon.fails(3, "start", "web2")
    assert sorted(os.listdir(daemon.state + "/vms")) == ["web1", "web2"]


@walk("step", range(1, 25), some=4)
def test_death_while_state_moves(world, step):
    """At whatever step the daemon dies, the state is complete, under one name or the other, and the next daemon
    finishes the move."""
    steps = Steps(world)
    wired(world, "web1", "UUID=%s\n" % UUID)
    world.start(env=steps.env)
    world.ok("start", "web1")
    was = who(world, "web1")
    world.ok("kill", "web1")
    world.ok("list")
    rename(world, "web1", "www1")
    steps.arm(step)
    world.vmkeep("list")
    steps.over()
    assert len(os.listdir(world.state + "/vms")) == 1
    world.start()
    assert "created" not in world.ok("start", "www1")
    assert who(world, "www1") == was and os.listdir(world.state + "/vms") == ["www1"]


# Lost state.


def lose_all(world):
    for name in os.listdir(world.state + "/vms"):
        shutil.rmtree(os.path.join(world.state, "vms", name))


def lose_one(world):
    os.unlink(world.state + "/vms/a/identity.json")


def garble(world):
    with open(world.state + "/vms/a/identity.json", "r+b") as f:
        f.truncate(120)


def zeros(world):
    with open(world.state + "/vms/a/identity.json", "wb") as f:
        f.write(bytes(100))


@pytest.mark.parametrize("lose", [lose_all, lose_one, garble, zeros])
def test_state_is_lost(world, lose):
    """Nothing is started with a new identity unless a person asks for it, not at boot either; the UUID in the error
    restores it."""
    wired(world, "a", "Enable=yes\n", "Path=a.qcow2\n")
    world.image("a.qcow2")
    world.start()
    world.ok("start", "a")
    was = who(world, "a")
    world.ok("kill", "a")
    world.stop_daemon()
    lose(world)
    os.unlink(world.inner(world.run + "/boot"))  # as after a reboot of the host
    world.start()
    reason = world.eventually(lambda: world.info("a")["reason"], lambda reason: reason and " lost" in reason)
    said = world.fails(3, "start", "a")
    assert "UUID=" + was[0] in said and "MAC addresses" in said, (reason, said)
    assert " lost" in world.vmkeep("check", "a").out
    assert not any("guest=a," in line for line in world.processes().values())
    wired(world, "a", "Enable=yes\nUUID=%s\n" % was[0], "Path=a.qcow2\n")
    assert world.ok("check", "a") == "no problems\n"
    world.ok("start", "a")
    uuid, _, nics = who(world, "a")
    assert (uuid, [mac for mac, _ in nics]) == (was[0], [mac for mac, _ in was[2]])


@pytest.mark.parametrize("damage", ["gone", "damaged"])
def test_a_backup_is_taken_at_once(world, damage):
    """The hint works: identity.json is restored while the daemon runs, which need not be restarted."""
    wired(world, "a", "", "Path=a.qcow2\n")
    world.image("a.qcow2")
    world.start()
    world.ok("start", "a")
    was = who(world, "a")
    world.ok("kill", "a")
    world.stop_daemon()
    path = world.inner(os.path.join(world.state, "vms/a/identity.json"))
    backup = vmk.read_text(path)
    if damage == "gone":
        os.unlink(path)
    else:
        with open(path, "w", encoding="utf-8") as f:
            f.write("{}")
    world.start()
    assert " lost" in world.fails(3, "start", "a")
    with open(path, "w", encoding="utf-8") as f:
        f.write(backup)
    world.ok("start", "a")
    assert who(world, "a") == was


def test_state_is_lost_without_marks(daemon):
    """Without extended attributes the log shows that the VM ran; messages before and after the start say what
    happens."""
    wired(daemon, "a", disk="Path=a.raw\n")
    daemon.image("a.raw", "polite", "up\r\n")
    daemon.up("a")
    daemon.ok("kill", "a")
    daemon.kill_daemon()
    lose_all(daemon)
    os.removexattr(daemon.images + "/a.raw", "trusted.vmkeep")
    daemon.start()
    assert "its state is lost" in daemon.ok("check", "a")
    assert "its state is lost: it gets a new UUID" in daemon.ok("start", "a")
    assert daemon.ok("check", "a") == "no problems\n"


def test_a_copied_image(daemon):
    """Marks that were copied with an image of a known VM mean nothing."""
    wired(daemon, "a", disk="Path=a.raw\n")
    daemon.image("a.raw")
    daemon.ok("start", "a")
    uuid = who(daemon, "a")[0]
    assert os.getxattr(daemon.images + "/a.raw", "trusted.vmkeep").decode() == uuid
    daemon.ok("kill", "a")
    subprocess.run(["cp", "-a", daemon.images + "/a.raw", daemon.images + "/b.raw"], check=True)
    wired(daemon, "b", disk="Path=b.raw\n")
    assert daemon.ok("check", "b") == "no problems\n"
    assert daemon.ok("start", "b") == "b: running\n"
    assert os.getxattr(daemon.images + "/b.raw", "trusted.vmkeep").decode() == who(daemon, "b")[0] != uuid


# A file that is gone for a moment.


def test_gone_for_a_moment(daemon):
    """Whatever the VM does in the meantime, its identity, its address and a pending restart are kept."""
    wired(daemon, "a", "[Lifecycle]\nRestartSec=1h\n")
    daemon.ok("start", "a")
    was = who(daemon, "a")
    daemon.kill(daemon.info("a")["pid"])
    daemon.wait_state("a", "backoff")
    for _ in range(2):
        rename(daemon, "a", "away")
        os.rename(daemon.config + "/away.vm", daemon.config + "/away")
        assert daemon.states() in ({"a": "backoff"}, {})
        wired(daemon, "other", "", "Path=other.qcow2\nSize=8M\n")
        daemon.ok("start", "other")
        daemon.ok("kill", "other")
        os.rename(daemon.config + "/away", daemon.config + "/a.vm")
        assert who(daemon, "a") == was
        os.unlink(daemon.config + "/other.vm")
    assert daemon.states() == {"a": "backoff"}
    assert daemon.ok("start", "a") == "a: running\n" and who(daemon, "a") == was
