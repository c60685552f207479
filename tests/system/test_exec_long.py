# SPDX-License-Identifier: MIT
"""What a command in a guest goes through: megabytes, pauses, signals, other commands, clients that leave or do not read; and
the end of the daemon, the agent, or QEMU. It is told truly, nothing is lost or doubled, and nothing stays in the guest."""
import contextlib
import hashlib
import os
import random
import signal

import smallfs
from hostile import rss
from talk import children
from test_agent import DISK, boot, with_data
from test_exec import run, sh
from test_hostile import LIMIT

AGENT = "PATH=/bin:/sbin:/usr/sbin qemu-ga -d -p /dev/virtio-ports/org.qemu.guest_agent.0 -t /run/qga -f /run/qga/pid -l /run/qga/log"
OWN = 12  # seconds: longer than the daemon waits for the agent's answer
STAYS = "echo started; while :; do sleep 1; done"


def begin(daemon, script, *options):
    stream = daemon.stream("guest", "exec", *options, "a", "--", "sh", "-c", script)
    stream.until("started\n", 60)
    return stream


def signals(stream, number):
    """To the client; nsenter is its parent."""
    for pid in children(stream.process.pid):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def keepers(daemon):
    """Shells in the guest that run commands, this one's own included."""
    return int(sh(daemon, "grep -l 'read -[r] a b' /proc/[0-9]*/cmdline 2>/dev/null | wc -l", timeout=60).out)


def alone(daemon, before):
    daemon.eventually(lambda: keepers(daemon), lambda n: n == before, 30)
    assert daemon.rows("jobs") == []


def listing(daemon, folder):
    return sorted(sh(daemon, "ls -A %s" % folder).out.splitlines())


# --- files and megabytes ---


def test_megabytes(daemon, linux):
    """In both directions, with a pause that is longer than any answer of the agent may take."""
    boot(daemon).end()
    before = keepers(daemon)
    lines = "".join("%d\n" % n for n in range(1, 750001))
    stream = begin(daemon, "echo started; seq 1 750000")
    stream.until("100000\n", 120)
    daemon.ok("pause", "a")
    daemon.eventually(lambda: daemon.rows("jobs")[0]["age"], lambda age: age > OWN, 30)
    daemon.ok("resume", "a")
    assert stream.wait(120) == 0, stream.stderr()
    assert len(stream.text) > 5000000 and stream.text == "started\n" + lines

    content = random.Random(7).randbytes(3 << 20)
    here, there, back = (os.path.join(daemon.base, name) for name in ("in 'put\".$x", "re ad", "back"))
    with open(here, "wb") as f:
        f.write(content)
    os.chmod(here, 0o640)
    digest = hashlib.md5(content).hexdigest()
    daemon.exec("sh", "-ec", "cd '%s'; '%s' --run '%s' guest exec a -- md5sum <\"$1\" >'%s'" % (
        daemon.base, daemon.program("vmkeep"), daemon.run, there), "sh", here, timeout=120)
    with open(there, encoding="ascii") as f:
        assert f.read().split()[0] == digest
    sh(daemon, "mkdir '/tmp/t o'")
    daemon.ok("guest", "push", "a", here, "/tmp/t o/", timeout=120)
    assert run(daemon, "md5sum", "/tmp/t o/" + os.path.basename(here)).out.split()[0] == digest
    assert sh(daemon, "stat -c %a '/tmp/t o'/*").out == "640\n"
    os.mkdir(back)
    daemon.ok("guest", "pull", "a", "/tmp/t o/" + os.path.basename(here), back, timeout=120)
    with open(os.path.join(back, os.path.basename(here)), "rb") as f:
        assert f.read() == content
    alone(daemon, before)


def test_no_half_files(daemon, linux):
    """A full target, a copy that is interrupted or killed, and what cannot be read or written: under the final name is the
    file of before, or none, and nothing is left beside it."""
    boot(daemon).end()
    before = keepers(daemon)
    path = lambda name: os.path.join(daemon.base, name)  # noqa: E731
    for name, size in (("small", 10), ("large", 3 << 20)):
        with open(path(name), "wb") as f:
            f.write(b"x" * size)
    sh(daemon, "mkdir /tmp/full /tmp/d; mount -t tmpfs -o size=1m tmpfs /tmp/full")
    for there in ("/tmp/full/f", "/tmp/full/g"):
        if there.endswith("f"):
            daemon.ok("guest", "push", "a", path("small"), there)
        assert "No space left" in daemon.fails(8, "guest", "push", "a", path("large"), there, timeout=60)
    assert listing(daemon, "/tmp/full") == ["f"] and sh(daemon, "cat /tmp/full/f").out == "x" * 10

    place = path("full")
    os.mkdir(place)
    daemon.exec("sh", "-ec", smallfs.mount_line(place, "1m"))
    sh(daemon, "head -c 3000000 /dev/zero >/tmp/large")
    assert "No space left" in daemon.fails(11, "guest", "pull", "a", "/tmp/large", place + "/f", timeout=60)
    assert os.listdir(daemon.inner(place)) == []
    daemon.exec("umount", "-l", place)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        stream = daemon.stream("guest", "push", "a", "/dev/zero", "/tmp/d/f")
        daemon.eventually(lambda: listing(daemon, "/tmp/d"), len, 60)
        signals(stream, number)
        assert stream.wait(60) != 0
        daemon.eventually(lambda: listing(daemon, "/tmp/d"), lambda names: names == [], 60)
        stream = daemon.stream("guest", "pull", "a", "/dev/zero", path("f"))
        parts = lambda: [name for name in os.listdir(daemon.base) if name.startswith("f.vmkeep")]  # noqa: E731
        daemon.eventually(lambda: sum(os.path.getsize(path(name)) for name in parts()), lambda size: size > 1 << 16, 60)
        signals(stream, number)
        assert stream.wait(60) != 0 and not os.path.exists(path("f"))
        if number == signal.SIGKILL:
            os.unlink(path(parts()[0]))
        assert parts() == []

    # who may not, and what is no file
    alice = {"user": "alice", "groups": ["vmkeep"]}
    os.chmod(path("small"), 0o600)
    os.mkdir(path("shut"), 0o700)
    for said, who, *words in (
            ("Permission denied", alice, "push", "a", path("small"), "/tmp/d/f"),
            ("Permission denied", alice, "pull", "a", "/tmp/large", path("shut") + "/f"),
            ("No such file", {}, "push", "a", path("none"), "/tmp/d/f"),
            ("read the input", {}, "push", "a", "/proc/self/mem", "/tmp/d/f"),
            ("is a directory", {}, "push", "a", daemon.base, "/tmp/d/f"),
            ("is not a directory", {}, "push", "a", path("small"), "/tmp/d/f/"),
            ("is not a file", {}, "push", "a", path("small"), "/dev/null"),
            ("create /proc/f", {}, "push", "a", path("small"), "/proc/f"),
            ("not an absolute path", {}, "push", "a", path("small"), "tmp/d/f"),
            ("is a directory", {}, "pull", "a", "/tmp/d", path("f")),
            ("not an absolute path", {}, "pull", "a", "tmp/d", path("f")),
            ("/tmp/nothing", {}, "pull", "a", "/tmp/nothing", path("f")),
            ("is not a file", {}, "pull", "a", "/tmp/large", "/dev/null"),
            ("is not a file", {}, "pull", "a", "/tmp/large/..", daemon.base)):
        result = daemon.vmkeep("guest", *words, **who)
        assert result.code and said in result.err, result
    daemon.eventually(lambda: listing(daemon, "/tmp/d"), lambda names: names == [], 60)
    assert not os.path.exists(path("f")) and os.listdir(path("shut")) == []
    alone(daemon, before)


# --- who ends it, and who does not ---


def test_clients(daemon, linux):
    """Signals, a client that leaves, a cancelled job, a pause and a freeze; others go on meanwhile."""
    console = boot(daemon, extra=DISK)
    with_data(daemon, console)
    console.end()
    before = keepers(daemon)

    once = begin(daemon, "trap 'echo heard; exit 3' TERM; " + STAYS)
    twice = begin(daemon, "trap 'echo heard' TERM; " + STAYS)
    for stream in (once, twice):
        signals(stream, signal.SIGINT)
        stream.until("heard", 60)
    signals(twice, signal.SIGINT)
    assert (once.wait(60), twice.wait(60)) == (3, 137), (once.stderr(), twice.stderr())

    hangs = lambda name: "trap 'echo HUP >/tmp/%s; exit' HUP; " % name + STAYS  # noqa: E731
    late = begin(daemon, hangs("late"), "--timeout", "20")
    gone = begin(daemon, hangs("gone"))
    signals(gone, signal.SIGKILL)
    cancelled = begin(daemon, hangs("cancelled"))
    daemon.ok("job", "cancel", max(row["job"] for row in daemon.rows("jobs")))
    assert (cancelled.wait(60), late.wait(60)) == (125, 125)
    assert "cancelled" in cancelled.stderr() and "not done within 20 s" in late.stderr()
    daemon.eventually(lambda: sh(daemon, "ps | grep -c '[H]UP >'").out, lambda text: text == "0\n", 60)
    # SIGKILL follows a second later: a slow guest may not get so far
    assert "HUP" in sh(daemon, "cat /tmp/gone /tmp/cancelled /tmp/late").out

    two = [begin(daemon, "echo started; while read -r x; do echo \"%d $x\"; done" % n) for n in (1, 2)]
    for turn in range(3):
        for n, stream in enumerate(two, 1):
            stream.type("word %d\n" % turn)
            daemon.ok("guest", "ping", "a", timeout=60)
            stream.until("%d word %d\n" % (n, turn), 60)
    assert "is under way" in daemon.fails(3, "reexec", "--timeout", "1")
    for stop, go in ((["pause"], ["resume"]), (["guest", "freeze", "--timeout", "1h"], ["guest", "thaw"])):
        daemon.ok(*stop, "a")
        for stream in two:
            stream.type("later\n")
        daemon.ok(*go, "a")
        for n, stream in enumerate(two, 1):
            stream.until("%d later\n" % n, 60)
    for stream in two:
        stream.close_input()
        assert stream.wait(60) == 0
    # it cannot hear any of them
    thrice = begin(daemon, STAYS)
    daemon.ok("pause", "a")
    while thrice.process.poll() is None:
        signals(thrice, signal.SIGINT)
        thrice.read(0.05)
    assert thrice.wait() == 125 and "interrupted" in thrice.stderr()
    daemon.ok("resume", "a")
    alone(daemon, before)


def test_twenty(daemon, linux):
    """At once, while five clients do not read what they get, which costs the daemon little."""
    boot(daemon).end()
    before = keepers(daemon)
    slow = [daemon.client(timeout=60) for _ in range(5)]
    for client in slow:
        client.call("guest-exec", name="a", stream=True, command=["sh", "-c", "yes"])
    streams = [daemon.stream("guest", "exec", "a", "--", "sh", "-c", "read -r x; echo \"$x\"; exit %d" % n) for n in range(20)]
    for n, stream in enumerate(streams):
        stream.type("line %d\n" % n)
    for n, stream in enumerate(streams):
        assert (stream.wait(120), stream.text) == (n, "line %d\n" % n), stream.stderr()
    assert len(daemon.rows("jobs")) == 5 and rss(daemon) < LIMIT
    for client in slow:
        client.close()
    alone(daemon, before)


# --- the end of everything else ---


def test_what_it_needs_ends(daemon, linux):
    """The daemon, killed and stopped; the agent; a freeze of an hour; QEMU. The guest ends what nobody waits for."""
    console = boot(daemon, extra=DISK)
    with_data(daemon, console)
    before = keepers(daemon)

    def hangs(name):
        return begin(daemon, "trap 'echo HUP-%s >/dev/ttyS0; exit' HUP; " % name + STAYS)

    killed = hangs("killed")
    console.end()
    daemon.kill_daemon()
    assert killed.wait(60) == 125 and "vmkeepd closed the connection" in killed.stderr()
    daemon.start()
    daemon.eventually(lambda: daemon.info("a").get("agent"), lambda state: state == "open")
    stopped = hangs("stopped")
    daemon.stop_daemon()
    assert stopped.wait(60) == 125 and "within a minute" in stopped.stderr()
    daemon.start()
    daemon.eventually(lambda: daemon.info("a").get("agent"), lambda state: state == "open")
    console = daemon.console("a")
    lost, again = hangs("lost"), hangs("again")
    console.run("kill -9 $(cat /run/qga/pid)", 60)
    for stream in (lost, again):
        assert stream.wait(60) == 125
        assert "the guest agent went away: the command is ended within a minute" in stream.stderr(), stream.stderr()
    console.run(AGENT, 60)
    daemon.eventually(lambda: daemon.info("a").get("agent"), lambda state: state == "open", 30)
    frozen = hangs("frozen")
    daemon.ok("guest", "freeze", "a", "--timeout", "1h")
    daemon.eventually(lambda: console.run("echo left=$(ps | grep -c '[H]UP-')", 60), lambda text: "left=0" in text, 120)
    assert "HUP-" in console.text
    daemon.ok("guest", "thaw", "a")
    assert frozen.wait(60) == 125 and "the shell that ran the command in the guest was ended" in frozen.stderr(), frozen.stderr()
    alone(daemon, before)

    last = hangs("last")
    daemon.kill(daemon.info("a")["pid"])
    assert last.wait(60) == 125 and "the VM has ended, and the command with it" in last.stderr(), last.stderr()
    assert daemon.rows("jobs") == []
