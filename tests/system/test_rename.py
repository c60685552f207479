# SPDX-License-Identifier: MIT
"""`rename` moves the files of a stopped VM to a new name; identity, history, logs and images stay its own. What is
refused changes nothing; wherever vmkeepd or its child is killed, one of the two names has all of it, and is the VM."""
import json
import os
import subprocess

import pytest

import vmk
from steps import Steps
from test_trash import contents
from walk import walk

DROPIN = "a.vm.d/10.conf"


def path(world, name):
    return os.path.join(world.config, name)


def files(world):
    return sorted(os.path.relpath(os.path.join(top, name), world.config)
                  for top, _, names in os.walk(world.config) for name in names if name != "vmkeep.conf")


def shop(world, **how):
    world.micro("a", **how)
    world.write(DROPIN, "[VM]\nDescription=shop\n")


def ran(world, **how):
    shop(world, **how)
    world.up("a")
    world.ok("kill", "a")


def identity(world, name):
    kept = json.loads(vmk.read_text(os.path.join(world.state, "vms", name, "identity.json")))
    return kept["uuid"], kept["uid"], [disk["path"] for disk in kept["disks"]], world.info(name)["uuid"]


def test_all_of_it_is_there(daemon):
    """Also a disk without Path=, and owner and mode of the files."""
    ran(daemon, extra="[Disk data]\nSize=1M\n")
    os.chmod(path(daemon, "a.vm"), 0o640)
    os.chown(path(daemon, "a.vm"), 0, 4711)
    os.chmod(path(daemon, DROPIN), 0o600)
    before = identity(daemon, "a")
    history = [row["event"] for row in daemon.rows("history", "a")]
    assert daemon.ok("rename", "a", "b") == "a: is b now; its file is '%s'\n" % path(daemon, "b.vm")
    assert files(daemon) == ["b.vm", "b.vm.d/10.conf"] and not os.path.exists(path(daemon, "a.vm.d"))
    there = os.stat(path(daemon, "b.vm"))
    assert (there.st_mode & 0o777, there.st_gid) == (0o640, 4711)
    assert os.stat(path(daemon, "b.vm.d/10.conf")).st_mode & 0o777 == 0o600
    assert "UUID=" + before[0] in vmk.read_text(path(daemon, "b.vm"))
    assert identity(daemon, "b") == before and daemon.info("b")["description"] == "shop"
    assert [row["event"] for row in daemon.rows("history", "b")] == history + ["renamed", "rename"]
    assert not os.path.exists(os.path.join(daemon.state, "vms/a")) and os.path.exists(os.path.join(daemon.log, "b"))
    assert not os.path.exists(os.path.join(daemon.log, "a"))
    daemon.fails(4, "info", "a")
    daemon.up("b")
    assert identity(daemon, "b") == before
    daemon.ok("kill", "b")
    assert daemon.ok("domrename", "b", "a").startswith("b: is a now")
    assert identity(daemon, "a") == before


def test_a_protected_one(daemon):
    """Nothing is lost, and it stays protected."""
    shop(daemon, vm="Protect=yes\n")
    daemon.ok("rename", "a", "b")
    assert "is protected" in daemon.fails(3, "delete", "--yes", "b")


def test_never_started(daemon):
    """It keeps the UUID that users were told, and nothing is left of the old name."""
    shop(daemon)
    uuid = daemon.info("a")["uuid"]
    daemon.ok("rename", "a", "b")
    assert files(daemon) == ["b.vm", "b.vm.d/10.conf"] and not os.path.exists(os.path.join(daemon.state, "vms/a"))
    daemon.up("b")
    assert uuid is None or daemon.info("b")["uuid"] == uuid
    daemon.ok("kill", "b")
    daemon.ok("create", "a", "--disk", "1M")


def state_of_b(world):
    world.micro("b")
    world.up("b")
    world.ok("kill", "b")
    os.unlink(path(world, "b.vm"))
    world.ok("list")


def link(world):
    os.rename(path(world, "a.vm"), path(world, "../a.real"))
    os.symlink("../a.real", path(world, "a.vm"))


def backoff(world):
    world.ok("set", "a", "Lifecycle.RestartSec=1h")
    world.up("a")
    world.kill(world.info("a")["pid"])
    world.wait_state("a", "backoff")


@pytest.mark.parametrize("before, new, code, says", [
    (lambda w: w.up("a"), "b", 5, "is running"), (backoff, "b", 5, "is backoff"),
    (lambda w: w.micro("b"), "b", 3, "the VM exists"),
    (lambda w: w.micro("b"), "B", 3, "too similar to that of the VM 'b'"),
    (lambda w: None, "A", 3, "too similar to that of the VM 'a'"),
    (lambda w: None, "a", 3, "the VM exists"),
    (lambda w: None, "-x", 2, "unknown option"), (lambda w: None, "x/y", 2, "new"), (lambda w: None, "x" * 64, 2, "new"),
    (state_of_b, "b", 3, "there is state of a VM 'b'"),
    (link, "b", 3, "is a symbolic link"),
    (lambda w: w.write("b.vm.d/10.conf", "[VM]\n"), "b", 3, "is there already"),
    (lambda w: w.write(DROPIN, "[VM]\nX-Managed=ansible\n"), "b", 3, "is managed by 'ansible'"),
    (lambda w: w.micro("c", extra="[Lifecycle]\nAfter=a\n"), "b", 3,
     "vmkeep set c Lifecycle.After-=a && vmkeep rename a b && vmkeep set c Lifecycle.After+=b"),
    (lambda w: w.micro("c", extra="[Lifecycle]\nRequires=a\n"), "b", 3,
     "vmkeep set c Lifecycle.Requires-=a && vmkeep rename a b && vmkeep set c Lifecycle.Requires+=b"),
    (lambda w: w.ok("set", "a", "Disk.root.Path=%n.raw"), "b", 3, "vmkeep set a Disk.root.Path=a.raw"),
])
def test_what_is_refused(daemon, before, new, code, says):
    shop(daemon)
    before(daemon)
    daemon.ok("list")
    there, state = files(daemon), daemon.info("a")["state"]
    texts = {name: contents(path(daemon, name)) for name in there}
    assert says in daemon.fails(code, "rename", "a", new)
    assert files(daemon) == there and {name: contents(path(daemon, name)) for name in there} == texts
    assert daemon.info("a")["state"] == state


def test_force_and_rights(daemon):
    shop(daemon, vm="Owner=alice\n")
    daemon.fails(9, "rename", "a", "b", user="bob")
    daemon.write(DROPIN, "[VM]\nX-Managed=ansible\n")
    daemon.fails(3, "rename", "a", "b", user="alice")
    daemon.ok("rename", "a", "b", "--force", user="alice")
    assert files(daemon) == ["b.vm", "b.vm.d/10.conf"]


def test_what_is_roots_does_not_follow_the_name(daemon):
    """Where root wrote %n, nobody else gets what belongs to another name."""
    shop(daemon, vm="Owner=alice\n")
    daemon.write("b", "#cloud-config\n{}\n")
    daemon.write(DROPIN, "[CloudInit]\nUserData=%s/%%n\n" % daemon.config)
    for who in ({"user": "alice"}, {"user": "bob", "groups": ["vmkeep"]}):
        assert "with the new name: only root may change UserData= in [CloudInit]" in daemon.fails(9, "rename", "a", "b", **who)
    daemon.write("vmkeep.conf", vmk.DEFAULTS + "CloudInit.PasswordFile=/etc/secrets/%n\n")
    daemon.write(DROPIN, "[VM]\nCPUs=1\n")
    assert "only root may change PasswordFile= in [CloudInit]" in daemon.fails(9, "rename", "a", "b", user="alice")
    daemon.ok("rename", "a", "b")


def check_after_a_kill(world, before):
    """One of the names is the VM, and rename ends with the new one."""
    texts = {"10.conf": "[VM]\nDescription=shop\n"}
    world.start()
    name = "a" if os.path.exists(path(world, "a.vm")) else "b"
    for dropin, text in texts.items():
        assert vmk.read_text(path(world, "%s.vm.d/%s" % (name, dropin))) == text
    if name == "a":
        world.ok("list")
        world.ok("rename", "a", "b")
    assert identity(world, "b") == before and world.info("b")["description"] == "shop"
    assert not os.path.exists(path(world, "a.vm"))
    world.up("b")
    assert identity(world, "b") == before
    world.ok("kill", "b")


@walk("step", range(1, 100), some=10)
def test_killed(world, step):
    steps = Steps(world)
    world.start(env=steps.env)
    ran(world)
    before = identity(world, "a")
    steps.arm(step)
    done = world.vmkeep("rename", "a", "b")
    assert steps.over() or done.code == 0
    check_after_a_kill(world, before)


@walk("step", range(1, 40), some=8)
def test_child_killed(world, step):
    """The daemon's child, called here as the daemon does."""
    world.start()
    ran(world)
    before = identity(world, "a")
    world.ok("set", "a", "VM.UUID=" + before[0])
    world.kill_daemon()
    main, dropin = vmk.read_text(path(world, "a.vm")), vmk.read_text(path(world, DROPIN))
    os.mkdir(path(world, "b.vm.d"))
    text = "".join("%s\n<%s\n+0 %d\n%s" % (path(world, to), path(world, frm), len(body), body)
                   for to, frm, body in (("b.vm.d/10.conf", DROPIN, dropin), ("b.vm", "a.vm", main)))
    text += "".join("%s\n-%d 0\n%s" % (path(world, name), len(body), body) for name, body in (("a.vm", main), (DROPIN, dropin)))
    done = subprocess.run([world.program("vmkeepd"), "--replace", "4", str(len(text))], input=text, text=True,
                          env={**os.environ, **Steps(world).env, "STEPS_N": str(step)})
    assert done.returncode in (0, -9)
    if done.returncode == 0:
        assert files(world) == ["b.vm", "b.vm.d/10.conf"]
    check_after_a_kill(world, before)
