# SPDX-License-Identifier: MIT
"""`run` makes a VM for one command. While it is there it is seen, and cannot be changed; however it ends, by its command, its
client, its time, its guest, QEMU, the daemon or the host, nothing of it is left: no file, process, uid, address or log."""
import contextlib
import os
import shutil
import threading

import pytest

import vmk
from steps import Steps
from test_creators import ALICE, BOB, quota
from test_edit import path
from test_stores import place, stores
from walk import walk

SMALL = {"image": "any", "memory": "16M", "firmware": "bios", "network": ["none"]}


def image(world, guest="polite", name="any", **how):
    os.makedirs(os.path.join(world.images, "images"), exist_ok=True)
    return world.image("images/%s.qcow2" % name, guest, "up\r\n", **how)


class Run:
    """vm-run by hand: its connection holds the VM."""

    def __init__(self, world, who=None, words=SMALL, **arguments):
        self.client = world.client(timeout=30, **(who or {}))
        self.serial = self.client.send("vm-run", {**words, **arguments})
        self.name = None  # of the VM; it ends with this object

    def up(self):
        while self.name is None:
            message = self.client.receive()
            assert message.get("id") != self.serial, message
            if message.get("event") == "RUN_STARTED":
                self.name = message["data"]["name"]
        return self

    def result(self):
        return self.client.result(self.serial)

    def error(self):
        with pytest.raises(vmk.Error) as e:
            self.result()
        return e.value


def running(world, **how):
    run = Run(world, **how).up()
    world.wait_state(run.name, "running")
    return run


def left(world):
    """Everything that there can be of a throw-away VM."""
    places = [os.path.join(world.images, ".run"), os.path.join(world.state, "vms"), os.path.join(world.run, "run"),
              os.path.join(world.run, "vms"), os.path.join(world.run, "gone"), os.path.join(world.state, "gone"), world.log]
    found = []
    for place in places:
        with contextlib.suppress(FileNotFoundError):
            found += [os.path.join(place, name) for name in os.listdir(world.inner(place))]
    return found


def nothing(world):
    """Waits until only the daemon is left."""
    world.alone()
    world.eventually(lambda: left(world), lambda found: not found)
    assert world.states() == {} and world.rows("jobs") == []
    assert "no problems" in world.ok("check")


def ids(who):
    name, groups = who["user"], who["groups"]
    return {"uid": vmk.USERS[name], "groups": [vmk.GROUPS[g] for g in groups]}


# --- its life


def test_it_is_there_and_gone(daemon):
    image(daemon)
    run = running(daemon)
    assert run.name.startswith("run-") and len(run.name) == 12
    row, = daemon.rows("list")
    assert (row["name"], row["state"], row["reason"], row["enabled"]) == (run.name, "running", "throw-away VM", False)
    info = daemon.info(run.name)
    assert info["busy"] == "run" and info["disks"][0]["path"] == ".run/%s.qcow2" % run.name
    assert os.listdir(os.path.join(daemon.images, ".run")) == [run.name + ".qcow2"]
    assert os.listdir(daemon.config) == ["vmkeep.conf"]
    assert "# %s/run/%s.vm" % (daemon.run, run.name) in daemon.ok("cat", run.name)
    for words in (["cat", "--effective"], ["cmdline"], ["diff"], ["check"], ["history"], ["info", "--security"], ["log"]):
        daemon.ok(*words[:1], run.name, *words[1:])
    assert "no problems" in daemon.ok("check")
    assert [row["name"] for row in daemon.rows("jobs")] == [run.name]
    daemon.ok("reload")
    assert daemon.states() == {run.name: "running"}
    assert "killed" in daemon.ok("kill", run.name)
    assert run.result() == {"name": run.name, "reason": "killed"}
    nothing(daemon)


@pytest.mark.parametrize("words", [["start"], ["stop"], ["reboot"], ["set", "VM.CPUs=2"], ["unset", "VM.CPUs"], ["edit"], ["enable"],
                                   ["disable"], ["delete", "--yes"], ["rename", "new"], ["clone", "new"], ["snapshot create", "s"],
                                   ["start", "--paused"], ["template prepare"]])
def test_it_cannot_be_changed(daemon, words):
    image(daemon)
    run = running(daemon)
    text = vmk.read_text(os.path.join(daemon.run, "run", run.name + ".vm"))
    said = daemon.fails(5, *words[0].split(), run.name, *words[1:], env={"EDITOR": "false"})
    assert "is a throw-away VM" in said and "vmkeep kill %s" % run.name in said
    assert vmk.read_text(os.path.join(daemon.run, "run", run.name + ".vm")) == text
    run.client.close()
    nothing(daemon)


def test_other_verbs(daemon):
    image(daemon)
    run = running(daemon)
    for verb in ("pause", "reset"):
        assert "run is under way" in daemon.fails(3, verb, run.name)
    assert "has the name" in daemon.fails(3, "create", run.name, "--disk", "1M")
    daemon.fails(5, "forget", run.name)
    daemon.ok("qmp", run.name, '{"execute": "query-status"}')
    daemon.ok("job", "cancel", daemon.rows("jobs")[0]["job"])
    assert run.error().desc == "cancelled"
    nothing(daemon)


# --- how it ends


def by_client(world, run):
    run.client.close()


def by_qemu(world, run):
    world.kill(world.info(run.name)["pid"])
    assert run.result()["reason"].startswith("crashed: signal 9")


def by_shutdown(world, run):
    world.ok("shutdown-all", "--yes")
    assert run.result()["name"] == run.name


def by_the_guest(world, run):
    world.console(run.name).until("up", 60)
    world.qmp(run.name, "system_powerdown")
    assert run.result()["reason"] == "guest-shutdown"


@pytest.mark.parametrize("end", [by_client, by_qemu, by_shutdown, by_the_guest])
def test_how_it_ends(daemon, end):
    image(daemon)
    end(daemon, running(daemon))
    nothing(daemon)


@pytest.mark.parametrize("ttl, said", [(0.01, "10ms"), ("3s", "3s")])
def test_its_time_is_over(daemon, ttl, said):
    """Before it was made, or while it boots or runs."""
    image(daemon)
    error = Run(daemon, ttl=ttl).error()
    assert (error.error_class, error.desc) == ("Timeout", "it was ended after %s, as --ttl says" % said)
    nothing(daemon)


def test_the_daemon_is_killed(daemon):
    image(daemon)
    runs = [running(daemon) for _ in range(2)]
    daemon.kill_daemon()
    assert len(daemon.processes()) == len(runs)
    daemon.start()
    nothing(daemon)


def test_the_daemon_is_stopped(daemon):
    """Nothing runs on without its client."""
    image(daemon)
    run = running(daemon)
    pid = daemon.info(run.name)["pid"]
    daemon.stop_daemon()
    daemon.eventually(lambda: daemon.process_state(pid), lambda state: state in "ZX")
    daemon.start()
    nothing(daemon)


def test_daemon_and_qemu_are_killed(daemon):
    image(daemon)
    run = running(daemon)
    pid = daemon.info(run.name)["pid"]
    daemon.kill_daemon()
    daemon.kill(pid)
    daemon.start()
    nothing(daemon)


def test_the_record_is_lost(daemon):
    """Its file and its run record are gone, but it runs: it is known by its state."""
    image(daemon)
    run = running(daemon)
    daemon.kill_daemon()
    daemon.exec("rm", *[os.path.join(daemon.run, "vms", run.name, name) for name in ("record.json", "kept.json")],
                os.path.join(daemon.run, "run", run.name + ".vm"))
    daemon.start()
    nothing(daemon)


def test_the_host_reboots(daemon):
    image(daemon)
    run = running(daemon)
    pid = daemon.info(run.name)["pid"]
    daemon.kill_daemon()
    daemon.kill(pid)
    daemon.exec("umount", "--lazy", os.path.join(daemon.run, "vms", run.name, "out"))
    daemon.exec("sh", "-c", "rm -rf %s/*" % daemon.run)
    daemon.another_boot()
    try:
        daemon.start()
        nothing(daemon)
    finally:
        daemon.exec("umount", vmk.BOOT_ID)


def test_a_file_of_its_name(daemon):
    """It counts when the throw-away VM is gone, with an identity of its own."""
    image(daemon)
    run = running(daemon)
    uid = daemon.info(run.name)["uuid"]
    daemon.micro(run.name)
    assert daemon.info(run.name)["uuid"] == uid and daemon.rows("list")[0]["reason"] == "throw-away VM"
    daemon.ok("reload")
    run.client.close()
    daemon.eventually(lambda: daemon.rows("list")[0]["reason"], lambda reason: reason == "")
    assert daemon.info(run.name)["uuid"] != uid
    daemon.ok("start", run.name)
    daemon.kill_daemon()
    daemon.start()
    assert daemon.states() == {run.name: "running"}


@walk("step", range(1, 400, 3), some=8)
def test_killed_at_each_step(world, step):
    """Of making it, or of removing it."""
    image(world)
    steps = Steps(world)
    world.start(env=steps.env)
    steps.arm(step)
    with steps.until_then():
        run = running(world)
        run.client.close()
        world.eventually(lambda: steps.left() and left(world), lambda more: not more)
    steps.over()
    world.start()
    nothing(world)


# --- many, and whose


def test_twenty_at_once(daemon):
    image(daemon)
    runs = []
    threads = [threading.Thread(target=lambda: runs.append(running(daemon))) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(daemon.states()) == 20 and set(daemon.states().values()) == {"running"}
    for run in runs[:10]:
        run.client.close()
    daemon.ok("kill", *[run.name for run in runs[10:]])
    for run in runs[10:]:
        assert run.result()["reason"] == "killed"
    nothing(daemon)


def test_of_ones_own(daemon):
    image(daemon)
    daemon.image("prod.raw")
    run = running(daemon, who=ids(ALICE))
    assert "\nOwner=alice\n" in vmk.read_text(os.path.join(daemon.run, "run", run.name + ".vm"))
    daemon.fails(9, "kill", run.name, **BOB)
    daemon.ok("info", run.name, **BOB)
    daemon.ok("kill", run.name, **ALICE)
    assert run.result()["reason"] == "killed"
    for key in ("Boot.Kernel=/boot/vmlinuz", "QEMU.Args=-snapshot", "NIC.lan.Bridge=br0", "Lifecycle.Requires=x", "CDROM.cd.Path=/x.iso"):
        assert Run(daemon, who=ids(ALICE), keys=[key]).error().error_class == "Permission", key
    assert Run(daemon, who=ids(ALICE), image="prod.raw").error().error_class == "Permission"
    refused = Run(daemon, who={"uid": vmk.USERS["alice"], "groups": [vmk.GROUPS["vmkeep-view"]]}).error()
    assert refused.error_class == "Permission" and "vmkeep-create" in refused.hint
    nothing(daemon)


def test_within_the_quota(daemon):
    image(daemon)
    quota(daemon, ("@vmkeep-create", "VMs=2"))
    first, second = running(daemon, who=ids(ALICE)), running(daemon, who=ids(ALICE))
    error = Run(daemon, who=ids(ALICE)).error()
    assert error.error_class == "NoResources" and "VMs=2" in error.desc
    running(daemon, who=ids(BOB)).client.close()
    first.client.close()
    daemon.eventually(lambda: len(left(daemon)), lambda n: n)
    second.client.close()
    nothing(daemon)
    running(daemon, who=ids(ALICE)).client.close()
    nothing(daemon)


# --- what is refused


@pytest.mark.parametrize("arguments, error_class, said", [
    ({"image": "none"}, "NotFound", "no image 'images/none.qcow2'"),
    ({"image": "/etc/passwd"}, "Usage", "not in a store"),
    ({"image": "../any.qcow2"}, "Failed", "any.qcow2"),
    ({"keys": ["Disk.root.Store=other"]}, "NotFound", "no store 'other'"),
    ({"keys": ["Disk.data.Size=1M"]}, "Usage", "disk 'data' would stay"),
    ({"keys": ["VM.Memry=1M"]}, "Usage", "Memry"),
    ({"keys": ["Disk.root.Size=1K"]}, "Usage", "too small"),
    ({"memory": "lots"}, "InvalidConfig", "lots"),
    ({"wait": False}, "Usage", "has to wait"),
    ({"ttl": "soon"}, "Usage", "ttl"),
    ({"keys": ["VM.Machine=nothing"]}, "InvalidConfig", "nothing"),
])
def test_what_is_refused(daemon, arguments, error_class, said):
    image(daemon)
    error = Run(daemon, **arguments).error()
    assert error.error_class == error_class and said in error.desc, (error.error_class, error.desc)
    nothing(daemon)


@pytest.mark.parametrize("key", ["VM.Enable=yes", "Lifecycle.Restart=always", "Disk.root.Path=x.qcow2"])
def test_what_it_cannot_be(daemon, key):
    image(daemon)
    run = running(daemon, keys=[key])
    assert key not in daemon.ok("cat", run.name)
    daemon.kill(daemon.info(run.name)["pid"])
    assert run.result()["reason"].startswith("crashed")
    assert sorted(os.listdir(daemon.images)) == [".run", "images"]
    nothing(daemon)


def test_a_store_that_is_read_only(daemon):
    """Nothing is made in it, no folder either."""
    stores(daemon, nas="ReadOnly=yes\n")
    image(daemon)
    shutil.copytree(os.path.join(daemon.images, "images"), os.path.join(place(daemon), "images"))
    error = Run(daemon, keys=["Disk.root.Store=nas"]).error()
    assert (error.error_class, error.desc) == ("Conflict", "store 'nas' is read-only")
    assert os.listdir(place(daemon)) == ["images"]
    nothing(daemon)


def test_a_store_that_is_full(daemon):
    store = os.path.join(daemon.base, "small")
    os.mkdir(store)
    with open(path(daemon, "vmkeep.conf"), "a", encoding="ascii") as f:
        f.write("\n[Store small]\nPath=%s\n" % store)
    daemon.exec("mount", "-t", "tmpfs", "-o", "size=1m,mode=755", "none", store)
    try:
        image(daemon)
        daemon.exec("mkdir", store + "/images")
        daemon.exec("cp", os.path.join(daemon.images, "images", "any.qcow2"), store + "/images")
        daemon.exec("sh", "-c", "cat /dev/zero >%s/.fill; test $? = 1" % store)
        error = Run(daemon, keys=["Disk.root.Store=small"]).error()
        assert error.error_class == "NoResources", error.desc
        nothing(daemon)
        daemon.exec("rm", store + "/.fill")
        running(daemon, keys=["Disk.root.Store=small"]).client.close()
        nothing(daemon)
        assert os.listdir(daemon.inner(store + "/.run")) == []
    finally:
        daemon.exec("umount", store)
