# SPDX-License-Identifier: MIT
"""Commands in a guest and copies, while the VM is renamed, deleted, stopped, killed or made a template, or its file goes away:
they go on if it does; else each client is told truly, and no half file and no job is left."""
import os

import pytest

from test_agent import boot
from test_edit import path
from test_exec_long import begin, STAYS


class Busy:
    """Everything that uses the agent of a: two commands, and a copy in each direction."""

    def __init__(self, world):
        self.world = world
        self.here = os.path.join(world.base, "pulled")
        self.exec = begin(world, "echo started; while read -r x; do echo \"got $x\"; done")
        self.push = world.stream("guest", "push", "a", "/dev/zero", "/tmp/pushed")
        self.pull = world.stream("guest", "pull", "a", "/dev/zero", self.here)
        self.collect = world.stream("guest", "exec", "--collect", "--timeout", "1h", "a", "--", "sh", "-c", STAYS)
        world.eventually(lambda: len(world.rows("jobs")), lambda n: n == 4, 60)
        world.eventually(self.parts, bool, 60)

    def parts(self):
        return [name for name in os.listdir(self.world.base) if name.startswith("pulled")]

    def goes_on(self, word):
        self.exec.type(word + "\n")
        self.exec.until("got %s\n" % word, 60)
        assert len(self.world.rows("jobs")) == 4

    def ended(self, slowly=False):
        """slowly: the agent may have ended before the VM."""
        for stream in (self.exec, self.push, self.pull, self.collect):
            code, said = stream.wait(60), stream.stderr()
            if not slowly or "agent" not in said:
                assert (code, said) == (125 if stream in (self.exec, self.collect) else 5,
                                        "vmkeep: a: the VM has ended, and the command with it\n")
            else:
                assert code and said.startswith("vmkeep: a: the guest agent went away"), said
        assert self.parts() == [] and self.world.rows("jobs") == []


def test_it_goes_on(daemon, linux):
    console = boot(daemon)
    # nobody asks a guest that cannot answer
    short = daemon.stream("guest", "exec", "--collect", "a", "--", "sh", "-c", "echo begun >/dev/ttyS0; until [ -e /go ]; do usleep 10000; done; exit 3")
    console.until("begun", 60)
    daemon.eventually(lambda: daemon.rows("jobs")[0]["age"], lambda age: age > 3)  # the agent has said that it has begun
    daemon.ok("pause", "a")
    age = daemon.rows("jobs")[0]["age"]
    daemon.eventually(lambda: daemon.rows("jobs")[0]["age"], lambda now: now > age + 3)
    daemon.ok("resume", "a")
    console.run("touch /go", 60)
    console.end()
    assert short.wait(60) == 3, short.stderr()
    busy = Busy(daemon)
    for words, code, said in ((["rename", "a", "b"], 5, "is running"), (["delete", "a", "--yes"], 5, "is running"),
                              (["clone", "a", "b"], 5, "is running"), (["reexec", "--timeout", "0"], 3, "is under way")):
        assert said in daemon.fails(code, *words), words
    busy.goes_on("one")
    with open(path(daemon, "a.vm"), encoding="utf-8") as f:
        text = f.read()
    os.unlink(path(daemon, "a.vm"))
    daemon.ok("reload")
    busy.goes_on("two")
    daemon.write("b.vm", text)
    daemon.vmkeep("reload")
    busy.goes_on("three")
    os.unlink(path(daemon, "b.vm"))
    daemon.write("a.vm", text)
    daemon.ok("reload")
    busy.goes_on("four")
    daemon.ok("pause", "a")
    daemon.ok("kill", "a")
    busy.ended()


@pytest.mark.parametrize("words", [["stop", "a"], ["template", "prepare", "a"], ["kill", "a"]], ids=" ".join)
def test_it_ends(daemon, linux, words):
    console = boot(daemon, extra="[Disk data]\nSize=1M\n")
    console.run("mkdir -p /etc/ssh /var/lib/systemd /var/lib/dbus; touch /etc/machine-id")
    console.end()
    busy = Busy(daemon)
    daemon.ok(*words, timeout=120)
    if words[0] != "template":
        daemon.ok("rename", "a", "b")
    busy.ended(slowly=words[0] != "kill")
    daemon.ok("delete", "b" if words[0] != "template" else "a", "--yes")
