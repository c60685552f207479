# SPDX-License-Identifier: MIT
"""`delete --disks` moves the images that nobody else needs to the trash of their store, and says how to bring them back.
Whatever might need one keeps it; what cannot be read keeps all. Wherever a process is killed, no image is lost."""
import json
import os
import shlex
import signal
import subprocess
import time

import pytest

import vmk
from steps import Steps
from test_asks import typed
from test_clocks import Clocks
from test_stores import place, stores
from walk import walk

DATA = "[Disk data]\nPath=a-data.qcow2\nSize=1M\n"
OVERLAY = "[VM]\nMemory=16M\nNetworks=none\n[Disk root]\nPath=o.qcow2\nBase=%s\nSize=1M\n"


def contents(path):
    with open(path, "rb") as f:
        return f.read()


def ran(world, name="a", **how):
    world.micro(name, **how)
    world.up(name)
    world.ok("kill", name)


def trash(world, store=None):
    where = os.path.join(store or world.images, ".trash")
    return sorted(os.listdir(where)) if os.path.exists(where) else []


def names(world, store=None):
    """Of what is in the trash, without the times."""
    return [name.rpartition(".")[0] for name in trash(world, store)]


def verdicts(world, name="a", *argv):
    """What a dry run says of each image: None if it goes to the trash."""
    answer = world.one("delete", "--dry-run", "--disks", *argv, name)
    return {os.path.basename(image["path"]): image["why"] for image in answer["images"]}


def test_there_and_back(daemon):
    stores(daemon, nas="")
    os.makedirs(place(daemon) + "/deep")
    ran(daemon, extra=DATA + "[Disk nas]\nStore=nas\nPath=deep/100%%.qcow2\nSize=1M\n[CDROM cd]\n")
    before = {path: contents(path) for path in (
        daemon.images + "/a.raw", daemon.images + "/a-data.qcow2", place(daemon) + "/deep/100%.qcow2")}
    uuid = daemon.info("a")["uuid"]
    assert daemon.ok("delete", "--dry-run", "--disks", "a").splitlines() == [
        "a: '%s' goes to the trash" % path for path in before]
    assert verdicts(daemon) == {"a.raw": None, "a-data.qcow2": None, "100%.qcow2": None} and not trash(daemon)
    out = daemon.ok("delete", "--yes", "--disks", "a").splitlines()
    assert names(daemon) == ["a-data.qcow2", "a.raw"] and names(daemon, place(daemon)) == ["deep%2F100%25.qcow2"]
    assert os.stat(daemon.images + "/.trash").st_mode & 0o7777 == 0o700
    assert not any(os.path.exists(path) for path in before)
    rows = {row["name"]: row for row in daemon.json("store", "list")}
    assert rows["default"]["trash"] > 0 and rows["nas"]["trash"] > 0
    checks = {row["check"]: row["text"] for row in json.loads(daemon.vmkeep("--json", "host", "check").out)}
    assert "of deleted disks in .trash" in checks["image directory"]
    for line in out:
        if "mv -n" in line:
            subprocess.run(shlex.split(line.partition("bring it back: ")[2]), check=True)
    assert {path: contents(path) for path in before} == before
    [kept] = [os.path.join(daemon.state, "deleted", name) for name in os.listdir(os.path.join(daemon.state, "deleted"))]
    subprocess.run(["cp", "-r", kept + "/.", daemon.config], check=True)
    daemon.ok("set", "a", "VM.UUID=" + uuid)
    daemon.up("a")


def test_it_shows_what_goes_and_asks(daemon):
    ran(daemon)
    code, text = typed(daemon, b"n\n", "delete", "--disks", "a")
    assert code == 1 and "a: '%s/a.raw' goes to the trash" % daemon.images in text and "nothing was done" in text, text
    code, text = typed(daemon, b"n\n", "delete", "a")
    assert code == 1 and "a: '%s/a.raw' stays" % daemon.images in text, text
    daemon.up("a")
    code, text = typed(daemon, None, "delete", "--disks", "a")
    assert code == 5 and "is running" in text, "refused before it asks: " + text
    daemon.ok("kill", "a")
    assert typed(daemon, b"y\n", "delete", "--disks", "a")[0] == 0 and names(daemon) == ["a.raw"]


def other_file(world):
    world.write("b.vm", "[VM]\n[CDROM cd]\nPath=a.raw\n")


def other_base(world):
    world.write("b.vm", OVERLAY % "a.raw")


def other_link(world):
    os.symlink("a.raw", world.images + "/alias")
    world.write("b.vm", "[VM]\n[Disk root]\nPath=alias\nFormat=raw\n")


def vanished(world):
    """Its file may come back."""
    world.micro("b")
    world.write("b.vm", "[VM]\nMemory=16M\nNetworks=none\n[Disk root]\nPath=b.raw\n[CDROM cd]\nPath=a.raw\nFormat=raw\n")
    world.up("b")
    world.ok("kill", "b")
    os.unlink(os.path.join(world.config, "b.vm"))
    world.ok("list")


def overlay(backing, name="b.qcow2"):
    def make(world):
        os.makedirs(os.path.dirname(os.path.join(world.images, name)), exist_ok=True)
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-u", "-b", backing.replace("%s", world.images), "-F", "raw",
                        os.path.join(world.images, name), "1M"], check=True)
    return make


def hard_link(world):
    os.link(world.images + "/a.raw", world.images + "/second")


def link(world):
    os.symlink("../a.raw", world.images + "/link")
    os.makedirs(world.images + "/sub")
    os.rename(world.images + "/link", world.images + "/sub/link")


def mark(world):
    os.setxattr(world.images + "/a.raw", "trusted.vmkeep", b"11111111-2222-4333-8444-555555555555")


def is_a_link(world):
    os.rename(world.images + "/a.raw", world.base + "/elsewhere")
    os.symlink(world.base + "/elsewhere", world.images + "/a.raw")


@pytest.mark.parametrize("before, why", [
    (other_file, "VM 'b' uses it"), (other_base, "VM 'b' uses it"), (other_link, "VM 'b' uses it"),
    (vanished, "VM 'b' uses it"),
    (overlay("%s/a.raw"), "b.qcow2' is based on it"), (overlay("a.raw", "deep/er/b"), "deep/er/b' is based on it"),
    (overlay('json:{"driver":"raw","file":{"driver":"file","filename":"%s/a.raw"}}'), "b.qcow2' is based on it"),
    (overlay("file:a.raw"), "b.qcow2' is based on it"),
    (hard_link, "it has another name, a hard link"), (link, "sub/link' leads to it"),
    (mark, "marked as a disk of the VM with UUID 11111111-"),
    (is_a_link, "a link is in the way"),
    (lambda w: w.ok("set", "a", "Disk.root.ReadOnly=yes"), "this VM only reads it"),
    (lambda w: w.ok("set", "a", "Disk.root.Path=other.raw"), "this VM never ran with it"),
    (lambda w: os.unlink(w.images + "/a.raw"), "No such file"),
    (lambda w: os.mkdir(w.images + "/.trash", 0o755), "others may enter"),
    (lambda w: (os.mkdir(w.images + "/.trash", 0o700), os.chown(w.images + "/.trash", 4711, 0)), "belongs to another user"),
    (lambda w: os.symlink("/tmp", w.images + "/.trash"), "open '"),
    (lambda w: w.write("vmkeep.conf", vmk.DEFAULTS + "[Daemon]\nImageDir=%s/none\n" % w.base), "it is in no store"),
], ids=lambda x: getattr(x, "__name__", "")[:20])
def test_what_stays(daemon, before, why):
    ran(daemon)
    path = daemon.images + "/a.raw"
    before(daemon)
    if why == "it is in no store":
        os.mkdir(daemon.base + "/none", 0o700)
        daemon.stop_daemon()
        daemon.start()
        daemon.ok("set", "a", "Disk.root.Path=" + path)
    there = os.path.lexists(path)
    [said] = verdicts(daemon).values()
    assert why in said, said
    out = daemon.ok("delete", "--yes", "--disks", "a")
    assert "stays: " in out and why in out and "mv -n" not in out, out
    assert os.path.lexists(path) == there and not os.path.exists(os.path.join(daemon.config, "a.vm"))


def broken_file(world):
    world.write("b.vm", "[VM]\nNonsense=yes\n")


def broken_identity(world):
    ran(world, "b")
    os.unlink(os.path.join(world.config, "b.vm"))
    world.ok("list")
    with open(os.path.join(world.state, "vms/b/identity.json"), "w") as f:
        f.write("{")


def store_gone(world):
    stores(world, nas="")
    os.rmdir(place(world))


def store_not_mounted(world):
    stores(world, nas="RequireMount=yes\n")


def deep(world):
    os.makedirs(world.images + "/d" * 20)


@pytest.mark.parametrize("before, says, cure", [
    (broken_file, "the file of VM 'b' has errors", lambda w: os.unlink(os.path.join(w.config, "b.vm"))),
    (broken_identity, "the identity of VM 'b', whose file is gone", lambda w: w.ok("forget", "b")),
    (store_gone, "nas' for overlays", lambda w: os.mkdir(place(w), 0o700)),
    (store_not_mounted, "it is not mounted", lambda w: stores(w, nas="")),
    (deep, "too deep", lambda w: os.removedirs(w.images + "/d" * 20)),
], ids=lambda x: getattr(x, "__name__", "")[:20])
def test_what_cannot_be_read(daemon, before, says, cure):
    """It might need the image: nothing is deleted at all, until it can be read."""
    ran(daemon)
    before(daemon)
    for argv in (["--dry-run"], ["--yes"]):
        said = daemon.vmkeep("delete", "--disks", *argv, "a")
        assert said.code and says in said.err and "nothing was deleted" in said.err, said
    assert os.path.exists(daemon.images + "/a.raw") and daemon.info("a")["state"] == "stopped"
    cure(daemon)
    daemon.ok("delete", "--yes", "--disks", "a")
    assert names(daemon) == ["a.raw"]


def test_owner(daemon):
    """The owner of a VM may delete it with its disks, and nobody else's."""
    ran(daemon, vm="Owner=alice\n")
    daemon.micro("b")
    daemon.fails(9, "delete", "--yes", "--disks", "b", user="alice")
    daemon.fails(9, "delete", "--yes", "a", user="bob")
    daemon.ok("delete", "--yes", "--disks", "a", user="alice")
    assert names(daemon) == ["a.raw"]


NO_TIMES = ["no time", "mail.qcow2.20261130", "backup.2", "a.-5", "a.1000000000x"]


def fill(world, *days):
    where = os.path.join(world.images, ".trash")
    os.makedirs(where, mode=0o700)
    now = int(time.time())
    for name in ["x%d.%d" % (day, now - day * 86400) for day in days] + NO_TIMES:
        with open(os.path.join(where, name), "w") as f:
            f.write("image")


def left(world):
    """Each delete --disks looks for what is old, too."""
    ran(world, "c")
    world.ok("delete", "--yes", "--disks", "c")
    return lambda: sorted(name.split(".")[0] for name in trash(world) if name[0] == "x")


def test_prune(world):
    """What was moved there more than seven days ago, by the time in the name, is removed."""
    fill(world, 8, 6, -1)
    world.start()
    world.eventually(left(world), lambda names: names == ["x-1", "x6"])
    assert set(NO_TIMES) <= set(trash(world))


def test_the_clock_is_set(world):
    """A clock that is wrong for a while removes nothing."""
    fill(world, 8, 6)
    clocks = Clocks(world)
    world.start(env=clocks.env)
    clocks.wall = 30 * 86400
    clocks.step("an hour asleep")
    world.eventually(left(world), lambda names: names == ["x6"])  # in the same look as x8


def test_a_trash_of_another_user_is_left_alone(world):
    where = os.path.join(world.images, ".trash")
    os.makedirs(where, mode=0o700)
    os.chown(where, 4711, 0)
    with open(where + "/old.1", "w") as f:
        f.write("image")
    done = subprocess.run([world.program("vmkeepd"), "--prune-trash", "1000", world.images, world.base + "/none"],
                          capture_output=True, text=True)
    assert done.returncode == 1 and "belongs to another user" in done.stderr and os.listdir(where) == ["old.1"]


def test_one_trash_that_cannot_be_pruned(world):
    """What is old in the trash of the next store is removed all the same."""
    fill(world, 8)
    os.chmod(world.images + "/.trash", 0o755)
    stores(world, nas="")
    os.mkdir(place(world) + "/.trash", 0o700)
    old = "%s/.trash/y.%d" % (place(world), time.time() - 8 * 86400)
    open(old, "w").close()
    world.start()
    world.write("c.vm", OVERLAY % "images/base.qcow2" + "Store=nas\n")
    world.ok("delete", "--yes", "--disks", "c")
    world.eventually(lambda: os.path.exists(old), lambda there: not there)
    assert "x8" in [name.split(".")[0] for name in trash(world)]
    assert "others may enter" in vmk.read_text(os.path.join(world.base, "daemon.log"))


def request(world, **more):
    return json.dumps({"move": True, "time": 1790000000, "uuid": "u", "others": [],
                       "stores": [{"path": world.images, "mounted": False}],
                       "images": [{"path": "%s/%s" % (world.images, name), "store": world.images, "name": name, "why": None}
                                  for name in ("x", "y/z")], **more})


def trash_child(world, text, env=None):
    return subprocess.run([world.program("vmkeepd"), "--trash"], input=text, capture_output=True, text=True,
                          env={**os.environ, **(env or {})})


def two_images(world):
    os.makedirs(world.images + "/y", exist_ok=True)
    for name in ("x", "y/z"):
        with open(os.path.join(world.images, name), "w") as f:
            f.write(name)


@pytest.mark.parametrize("bad", ["", "{", '{"move":true', "[]", "7"])
def test_half_a_request_moves_nothing(world, bad):
    two_images(world)
    done = trash_child(world, bad)
    assert not trash(world) and os.path.exists(world.images + "/x"), done


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "y/../../x", "l/z"])
def test_no_way_out_of_the_store(world, name):
    two_images(world)
    os.symlink("y", world.images + "/l")
    done = trash_child(world, request(world, images=[
        {"path": world.images + "/" + name, "store": world.images, "name": name, "why": None}]))
    [answer] = json.loads(done.stdout)["images"]
    assert answer["to"] is None and "cannot be opened" in answer["why"] and not trash(world)


def test_nothing_in_the_trash_is_replaced(world):
    two_images(world)
    os.makedirs(world.images + "/.trash", mode=0o700)
    with open(world.images + "/.trash/x.1790000000", "w") as f:
        f.write("earlier")
    x, z = json.loads(trash_child(world, request(world)).stdout)["images"]
    assert "File exists" in x["why"] and z["to"].endswith("/.trash/y%2Fz.1790000000")
    assert vmk.read_text(world.images + "/.trash/x.1790000000") == "earlier"
    assert vmk.read_text(world.images + "/x") == "x"


@walk("step", range(1, 30), some=8)
def test_child_killed(world, step):
    """Each image is at its place or in the trash, and what is repeated moves the rest."""
    two_images(world)
    steps = Steps(world)
    done = trash_child(world, request(world), {**steps.env, "STEPS_N": str(step)})
    for name, kept in (("x", "x.1790000000"), ("y/z", "y%2Fz.1790000000")):
        at = [path for path in (os.path.join(world.images, name), os.path.join(world.images, ".trash", kept))
              if os.path.exists(path)]
        assert len(at) == 1 and vmk.read_text(at[0]) == name, (done, at)
    trash_child(world, request(world))
    assert trash(world) == ["x.1790000000", "y%2Fz.1790000000"]


@walk("how, step", (signal.SIGKILL, signal.SIGTERM), range(1, 120), some=24)
def test_killed(world, how, step):
    """The daemon, or told to end, which it does: the VM stands with its disk, or its file has a copy and the disk is at
    its place or in the trash."""
    steps = Steps(world, how=how)
    world.start(env=steps.env)
    ran(world)
    image = contents(world.images + "/a.raw")
    steps.arm(step)
    done = world.vmkeep("delete", "--yes", "--disks", "a")
    cut = steps.over()
    file, copies = os.path.join(world.config, "a.vm"), os.path.join(world.state, "deleted")
    at = [path for path in [world.images + "/a.raw"] + [world.images + "/.trash/" + name for name in trash(world)]
          if os.path.exists(path)]
    assert len(at) == 1 and contents(at[0]) == image
    if os.path.exists(file):
        assert at == [world.images + "/a.raw"]
    else:
        [kept] = os.listdir(copies)
        assert os.path.exists(os.path.join(copies, kept, "a.vm"))
    assert cut or done.code == 0
    world.start()
    if os.path.exists(file):
        world.up("a")
        world.ok("kill", "a")
