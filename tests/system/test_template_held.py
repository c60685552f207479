# SPDX-License-Identifier: MIT
"""A template is what it was until the clones that are being made of it are there; their names are taken from the beginning.
The child that looks at the template's disks is held meanwhile (held.c)."""
import os
import subprocess
import threading

import pytest

import vmk
from test_clone import begun
from test_edit import path, text
from test_templates import ALICE, BOB, template


class Held:
    """Verbs that are held when they look at the default store."""

    def __init__(self, world):
        self.world = world
        self.threads = []
        self.done = {}
        library = os.path.join(world.base, "held.so")
        subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", library, os.path.join(vmk.ROOT, "tests", "system", "held.c")], check=True)
        world.start(env={"LD_PRELOAD": library, "HELD": world.images})

    def begin(self, *words, **how):
        with open(self.world.images + ".now", "wb"):
            pass

        def run():
            self.done[words] = self.world.vmkeep(*words, **how)
        self.threads.append(threading.Thread(target=run))
        self.threads[-1].start()
        self.world.eventually(lambda: os.path.exists(self.world.images + ".is"), bool)

    def again(self):
        """Lets it go on until it looks there once more."""
        with open(self.world.images + ".now", "wb"):
            pass
        os.unlink(self.world.images + ".is")
        self.world.eventually(lambda: os.path.exists(self.world.images + ".is"), bool)

    def end(self):
        os.unlink(self.world.images + ".is")
        for thread in self.threads:
            thread.join()
        self.threads = []
        return list(self.done.values())


@pytest.fixture
def held(world):
    template(world)
    return Held(world)


@pytest.mark.parametrize("argv", [["clone", "t", "a", "--linked"], ["create", "a", "--template", "t"], ["clone", "t", "a"]],
                         ids=["linked", "create", "full"])
def test_it_stays_as_it_is(held, argv):
    world = held.world
    world.image("other.qcow2")
    held.begin(*argv, **ALICE)
    for words in (["set", "t", "VM.Template=no"], ["set", "t", "Disk.root.Path=other.qcow2"],
                  ["delete", "t", "--yes"], ["delete", "t", "--disks", "--yes"]):
        said = world.fails(3, *words)
        assert "clones of it are being made" in said and "vmkeep jobs shows them" in said, said
    done, = held.end()
    assert done.code == 0, done
    world.up("a")
    if argv[-1] != "a":  # linked
        assert "its disks are bases of other VMs: a" in world.fails(3, "delete", "t", "--yes")


def test_many_at_once(held):
    """Neither a linked clone nor a copy keeps others from the template."""
    world = held.world
    held.begin("clone", "t", "a", **ALICE)
    world.ok("clone", "t", "b", "--linked", **BOB)
    world.ok("clone", "t", "c")
    world.ok("create", "d", "--template", "t", **BOB)
    assert held.end()[0].code == 0
    world.ok("set", "t", "VM.Description=x")


def more_disks(world):
    for i in range(9):
        world.image("more%d.qcow2" % i)
    return text(world, "t.vm") + "".join("[Disk more%d]\nPath=more%d.qcow2\n" % (i, i) for i in range(9))


@pytest.mark.parametrize("change", [more_disks, lambda w: text(w, "t.vm").replace("Template=yes\n", "")], ids=["more disks", "no template"])
@pytest.mark.parametrize("argv", [["clone", "t", "a", "--linked"], ["create", "a", "--template", "t"]], ids=["clone", "create"])
def test_it_is_changed_by_hand(held, argv, change):
    """What was measured and checked is no longer there: nothing is made."""
    world = held.world
    held.begin(*argv, **ALICE)
    world.write("t.vm", change(world))
    done, = held.end()
    assert done.code in (3, 9) and not os.path.exists(path(world, "a.vm")), done
    assert world.rows("jobs") == []
    world.ok("set", "t", "VM.Description=x")


def test_it_is_gone(held):
    world = held.world
    held.begin("clone", "t", "a", "--linked")
    os.unlink(path(world, "t.vm"))
    done, = held.end()
    assert done.code == 4 and not os.path.exists(path(world, "a.vm")), done


@pytest.mark.parametrize("argv", [["create", "A", "--disk", "1M"], ["clone", "t", "A"], ["create", "a", "--template", "t"], ["rename", "b", "A"]])
def test_the_name_is_taken(held, argv):
    """Of two files whose names differ in case only, both would be refused."""
    world = held.world
    world.micro("b", disk="qcow2")
    held.begin("clone", "t", "a", "--linked", **ALICE)
    assert "a VM 'a' is being made" in world.fails(3, *argv)
    assert held.end()[0].code == 0
    assert world.states()["a"] == "stopped"
    world.fails(3, *argv)


def test_ones_own_job_can_be_cancelled(held):
    """Although the template is not one's own."""
    world = held.world
    held.begin("clone", "t", "a", **ALICE)
    job = world.rows("jobs")[0]["job"]
    world.fails(9, "job", "cancel", job, **BOB)
    said = world.vmkeep("job", "cancel", job, **ALICE)
    assert said.code != 9, said
    held.end()


def test_copies_at_once(daemon):
    """Of the same images, while a linked clone runs on them, too."""
    template(daemon)
    job = begun(daemon, "t", "a")
    daemon.exec("umount", "-l", "/usr/bin/qemu-img")
    daemon.ok("clone", "t", "b", **ALICE)
    daemon.ok("clone", "t", "c", "--linked", **BOB)
    daemon.up("b")
    daemon.up("c")
    daemon.fails(3, "set", "t", "Disk.root.Path=b.qcow2")
    daemon.ok("job", "cancel", job)
    daemon.eventually(lambda: daemon.rows("jobs"), lambda rows: not rows)
    daemon.ok("kill", "b", "c")
    daemon.ok("delete", "c", "--yes")
    daemon.ok("set", "t", "VM.Template=no")
    daemon.up("t")
