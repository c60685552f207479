# SPDX-License-Identifier: MIT
"""`run` of a template: its hardware and UEFI variables, and an overlay on its disk, which stays as it is."""
import os

import pytest

import vmk
from test_creators import ALICE, BOB
from test_run import Run, ids, image
from test_templates import content, shell, template

def begin(world, who=None, **arguments):
    return Run(world, who, {"image": "t", "template": True}, **arguments)


def gone(world, run):
    run.client.close()
    world.eventually(lambda: list(world.states()), lambda names: names == ["t"])


def test_its_hardware_and_disk(daemon):
    template(daemon)
    before = content(daemon)
    daemon.exec("mkdir", "-p", "-m700", os.path.join(daemon.state, "vms", "t"))
    states = os.path.join(daemon.state, "vms")
    daemon.exec("sh", "-ec", "cd %s/t; qemu-img create -qf qcow2 nvram.qcow2 64k; qemu-io -c 'write -P 9 0 64k' nvram.qcow2" % states)
    run = begin(daemon).up()
    daemon.wait_state(run.name, "running")
    daemon.console(run.name).until("up", 60)
    text = vmk.read_text(os.path.join(daemon.run, "run", run.name + ".vm"))
    assert "Memory=16M" in text and "Template" not in text and "Base=t.qcow2" in text and "Path=.run/%s.qcow2" % run.name in text
    daemon.exec("qemu-img", "compare", "-q", *(os.path.join(states, vm, "nvram.qcow2") for vm in ("t", run.name)))
    assert run.name in daemon.fails(3, "delete", "t", "--yes")
    gone(daemon, run)
    assert content(daemon) == before and sorted(os.listdir(daemon.images)) == [".run", "t.qcow2"]
    assert sorted(os.listdir(daemon.inner(states))) == ["t"]


def test_one_that_is_based_on_an_image(daemon):
    image(daemon)
    shell(daemon, "qemu-img create -qf qcow2 -b images/any.qcow2 -F qcow2 t.qcow2")
    daemon.write("t.vm", "[VM]\nMemory=16M\nNetworks=none\nTemplate=yes\n[Disk system]\nPath=t.qcow2\nBase=images/any.qcow2\n")
    run = begin(daemon, memory="24M", keys=["VM.CPUs=2"]).up()
    daemon.wait_state(run.name, "running")
    info = daemon.info(run.name)
    assert info["disks"][0]["disk"] == "system" and info["disks"][0]["path"] == ".run/%s.qcow2" % run.name
    assert "Memory=24M" in daemon.ok("cat", run.name) and "CPUs=2" in daemon.ok("cat", run.name)
    gone(daemon, run)


@pytest.mark.parametrize("text, said", [
    ("[VM]\nNetworks=none\nMemory=16M\n[Disk root]\nPath=t.qcow2\n", "is not a template"),
    ("[VM]\nTemplate=yes\n[Disk root]\nPath=t.qcow2\n[Disk data]\nPath=u.qcow2\n", "has disks 'root' and 'data'"),
    ("[VM]\nTemplate=yes\n[Disk root]\nPath=/srv/t.qcow2\n", "in no store"), ("[VM]\nTemplate=yes\n[CDROM cd]\nPath=x.iso\n", "has no disk"),
    ("[VM]\nTemplate=yes\nColour=red\n", "Colour"), ("[VM]\nTemplate=yes\n[Disk root]\nPath=none.qcow2\n", "none.qcow2"),
])
def test_what_is_refused(daemon, text, said):
    template(daemon)
    daemon.write("t.vm", text)
    assert said in begin(daemon).error().desc
    assert list(daemon.states()) == ["t"] and not daemon.rows("jobs")


def test_a_member_runs_it(daemon):
    template(daemon)
    run = begin(daemon, ids(ALICE)).up()
    daemon.wait_state(run.name, "running")
    daemon.ok("kill", run.name, **ALICE)
    assert run.result()["reason"] == "killed"
    assert begin(daemon, ids(ALICE), keys=["Boot.Kernel=/boot/vmlinuz"]).error().error_class == "Permission"
    daemon.ok("set", "t", "QEMU.Args=-snapshot")
    assert begin(daemon, ids(ALICE)).error().error_class == "Permission"


def test_the_command(daemon, linux):
    """A name is first that of an image."""
    daemon.linux("t", "guest.net=none guest.agent=yes", "Networks=none\nTemplate=yes\n")
    before = content(daemon)
    result = daemon.vmkeep("run", "t", "--cpus", "2", "--", "sh", "-c", "nproc; exit 5", timeout=120)
    assert (result.code, result.out) == (5, "2\n")
    image(daemon, "deaf", "t")
    assert "no guest agent" in daemon.fails(125, "run", "t", "--memory", "16M", "--firmware", "bios", "--network", "none", "--timeout", "1",
                                            "--", "true")
    assert daemon.vmkeep("run", "t", "--template", "--", "true", timeout=120).code == 0
    assert content(daemon) == before
    assert list(daemon.states()) == ["t"] and os.listdir(os.path.join(daemon.images, ".run")) == []


def test_whose_it_is(daemon):
    """Not the owner's of the template, who could look into it, and would have it in his quota."""
    template(daemon)
    daemon.write("t.vm", vmk.read_text(os.path.join(daemon.config, "t.vm")).replace("[VM]\n", "[VM]\nOwner=bob @bobs\n"))
    for who in ({"user": "alice", "groups": ["vmkeep"]}, ALICE):
        run = begin(daemon, ids(who)).up()
        daemon.wait_state(run.name, "running")
        daemon.fails(9, "kill", run.name, **BOB)
        daemon.ok("kill", run.name, **who)
        assert run.result()["reason"] == "killed"
        gone(daemon, run)


def test_its_file_is_removed_while_it_is_made(daemon):
    """While its UEFI variables are copied, it is not started yet."""
    template(daemon)
    states = os.path.join(daemon.state, "vms")
    daemon.exec("mkdir", "-p", "-m700", os.path.join(states, "t"))
    daemon.exec("qemu-img", "create", "-qf", "qcow2", os.path.join(states, "t", "nvram.qcow2"), "64k")
    script = os.path.join(daemon.base, "qemu-img")
    with open(script, "w", encoding="ascii") as f:
        f.write("#!/bin/sh\ntrap 'exec /usr/bin/qemu-nbd \"$@\"' USR1\nwhile :; do :; done\n")
    os.chmod(script, 0o755)
    daemon.exec("mount", "--bind", "/usr/bin/qemu-img", "/usr/bin/qemu-nbd")
    daemon.exec("mount", "--bind", script, "/usr/bin/qemu-img")
    run = begin(daemon)
    daemon.eventually(lambda: [row["text"] for row in daemon.rows("jobs")], lambda texts: texts == ["UEFI variables"])
    name = daemon.rows("jobs")[0]["name"]
    os.unlink(daemon.inner(os.path.join(daemon.run, "run", name + ".vm")))
    daemon.ok("reload")
    held, = (pid for pid, words in daemon.processes().items() if words.startswith("/bin/sh") and "nvram" in words)
    daemon.exec("kill", "-USR1", str(held))
    assert "file" in run.error().desc
    gone(daemon, run)
    assert sorted(os.listdir(daemon.inner(states))) == ["t"]
    daemon.exec("umount", "/usr/bin/qemu-img", "/usr/bin/qemu-nbd")
