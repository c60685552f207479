# SPDX-License-Identifier: MIT
"""The command `run`: a program in a throw-away VM, with a real agent. Its input, output, files and exit code are those of the
program; whatever fails besides ends with 125. However it ends, nothing is left: test_run.py."""
import os
import signal

import pytest

import vmk
from test_creators import ALICE
from test_run import image, left, nothing

LINUX = ["--memory", "128M", "--firmware", "bios", "--network", "none", "--set", "Boot.Kernel=%s/vmlinuz" % vmk.GUEST,
         "--set", "Boot.Initrd=%s/initrd" % vmk.GUEST,
         "--set", "Boot.Append=console=ttyS0 quiet panic=-1 guest.net=none guest.agent=yes"]
MICRO = ["--memory", "16M", "--firmware", "bios", "--network", "none"]


def words(command, options=(), source="any"):
    return ["run", source, *LINUX, *options, "--", *(["sh", "-c", command] if isinstance(command, str) else command)]


def run(world, command, *options, **how):
    return world.vmkeep(*words(command, options), timeout=120, **how)


def begin(world, command, *options, **how):
    """A client that is under way."""
    return world.stream(*words(command, options), **how)


def client(stream):
    return vmk.children(stream.process.pid)[0]


def test_output_input_and_exit_code(daemon, linux):
    image(daemon, "deaf")
    result = run(daemon, "cat; echo bad >&2; exit 7", input="one\n  two\n")
    assert (result.code, result.out, result.err) == (7, "one\n  two\n", "bad\n")
    nothing(daemon)
    result = run(daemon, ["echo", "a  b", "$HOME", "*"], input="")
    assert (result.code, result.out, result.err) == (0, "a  b $HOME *\n", "")
    assert run(daemon, "cat", "--no-input", input="unread").out == ""
    assert run(daemon, ["/bin/nothing"]).code == 127
    result = run(daemon, "echo unseen; exit 3", "--quiet")
    assert (result.code, result.out, result.err) == (3, "", "")
    nothing(daemon)


def test_output_comes_as_it_is_written(daemon, linux):
    image(daemon, "deaf")
    stream = begin(daemon, "while read line; do echo got $line; done; exit 4")
    for word in ("one", "two"):
        stream.type(word + "\n")
        stream.until("got %s\n" % word, 120)
    (name, state), = daemon.states().items()
    assert state == "running" and daemon.info(name)["busy"] == "run"
    stream.close_input()
    assert stream.wait() == 4 and stream.stderr() == ""
    nothing(daemon)


def test_files(daemon, linux):
    image(daemon, "deaf")
    here = os.path.join(daemon.base, "a:b")
    with open(here, "w", encoding="ascii") as f:
        f.write("pushed\n")
    os.chmod(here, 0o755)
    there = os.path.join(daemon.base, "pulled")
    script = "cat /tmp/x; [ -x /tmp/x ] && echo new >/tmp/y; exit 6"
    result = run(daemon, script, "--push", here + ":/tmp/x", "--push", here + ":/tmp", "--pull", "/tmp/y:" + there, "--pull",
                 "/tmp/a:" + daemon.base, "--pull", "/tmp/x:" + there + ":2")
    assert (result.code, result.out) == (6, "pushed\n") and "/tmp/a" in result.err
    assert vmk.read_text(there) == "new\n"
    nothing(daemon)
    result = run(daemon, "true", "--pull", "/tmp/none:" + there)
    assert result.code == 125 and "/tmp/none" in result.err and vmk.read_text(there) == "new\n"
    result = run(daemon, "echo not run", "--push", here + ":/none/x")
    assert (result.code, result.out) == (125, "") and "the guest says" in result.err
    nothing(daemon)


@pytest.mark.parametrize("options, said", [
    (["--push", "x"], "--push: 'x' is not FILE:/PATH"), (["--push", "x:y"], "is not FILE:/PATH"),
    (["--push", ":/x"], "is not FILE:/PATH"), (["--pull", "x:/y"], "--pull: 'x:/y' is not /PATH:FILE"),
    (["--pull", "/y:"], "is not /PATH:FILE"), (["--push", "/none/x:/x"], "open '/none/x': No such file"),
    (["--push", "/etc:/x"], "'/etc' is a directory"), (["--pull", "/x:/none/x"], "write to directory '/none'"),
    (["--ttl", "soon"], "not a time"), (["--timeout", "soon"], "not a time"), (["--json"], "--json"),
    (["--digest", "sha256:00"], "run: --digest goes with an image that is a URL"), (["--no-wait"], "has to wait"),
    (["--colour"], "unknown option '--colour'"), (["--set", "VM.Memry=1"], "Memry"), (["--set", "Disk.d.Size=1M"], "would stay"),
    (["--memory", "lots"], "lots"), (["--network", "nothing"], "nothing"),
])
def test_what_is_refused(daemon, options, said):
    """With the exit code of vmkeep's own failures, and before anything is started."""
    image(daemon)
    assert said in daemon.fails(125, "run", "any", *MICRO[:4], *options, "--", "true")
    nothing(daemon)


def test_no_such_image(daemon):
    assert "no image 'images/none.qcow2'" in daemon.fails(125, "run", "none", *MICRO, "--", "true")
    assert "not in a store" in daemon.fails(125, "run", "/etc/passwd", *MICRO, "--", "true")
    for line in (["run"], ["run", "none"]):
        assert "COMMAND... is missing" in daemon.fails(125, *line) or len(line) == 1
    daemon.kill_daemon()
    assert "vmkeepd is not running" in daemon.fails(125, "run", "any", "--", "true")
    daemon.start()
    nothing(daemon)


def test_no_agent(daemon):
    """What its console says is shown, escaped, as it cannot be looked at any more."""
    os.mkdir(os.path.join(daemon.images, "images"))
    daemon.image("images/any.qcow2", "polite", "\x1b[31mno system\r\n")
    said = daemon.fails(125, "run", "any", *MICRO, "--timeout", "5", "--", "true")
    assert "note: the last lines of its console:\n" in said and "[31mno system\n" in said and "\x1b" not in said
    assert "no guest agent connected within 5s" in said and "qemu-guest-agent" in said
    nothing(daemon)


def test_its_time_is_over(daemon, linux):
    image(daemon, "deaf")
    for how, options in ((MICRO, ["--ttl", "3s"]), (LINUX, ["--ttl", "30s"])):
        said = daemon.fails(125, "run", "any", *how, *options, "--", "sleep", "1000", timeout=120)
        assert "it was ended after %s, as --ttl says" % options[1] in said
        nothing(daemon)


@pytest.mark.parametrize("how, code", [("INT", 143), ("TERM", 143), ("HUP", 125), ("KILL", -9)])
def test_the_client_is_ended(daemon, linux, how, code):
    image(daemon, "deaf")
    stream = begin(daemon, "echo up; exec sleep 1000")
    stream.until("up", 120)
    os.kill(client(stream), getattr(signal, "SIG" + how))
    assert stream.wait(30) == code
    nothing(daemon)


@pytest.mark.parametrize("how", ["INT", "KILL"])
def test_the_client_is_ended_before_the_command(daemon, how):
    image(daemon)
    stream = daemon.stream("run", "any", *MICRO, "--", "true")
    daemon.eventually(lambda: list(daemon.states().values()), lambda states: states == ["running"], timeout=30)
    os.kill(client(stream), getattr(signal, "SIG" + how))
    assert stream.wait(30) == (125 if how == "INT" else -9)
    assert "interrupted before the command was run" in stream.stderr() or how == "KILL"
    nothing(daemon)


def test_the_guest_ends(daemon, linux):
    image(daemon, "deaf")
    stream = begin(daemon, "echo bye; read line; poweroff -f; sleep 1000")
    stream.until("bye", 120)
    stream.type("now\n")
    assert stream.wait(30) == 125
    assert "the VM ended before the command did: guest-shutdown" in stream.stderr()
    nothing(daemon)


def test_qemu_or_the_daemon_is_killed(daemon, linux):
    image(daemon, "deaf")
    for what in ("qemu", "daemon"):
        stream = begin(daemon, "echo up; exec sleep 1000")
        stream.until("up", 120)
        if what == "qemu":
            daemon.kill(daemon.info(list(daemon.states())[0])["pid"])
        else:
            daemon.kill_daemon()
        assert stream.wait(30) == 125
        assert ("ended before the command did: crashed: signal 9" if what == "qemu" else "vmkeepd") in stream.stderr()
        if what == "daemon":
            daemon.start()
        nothing(daemon)


def test_several_at_once(daemon, linux):
    image(daemon, "deaf")
    streams = [begin(daemon, "echo up; read line; exit %d" % code) for code in (3, 4, 5)]
    for stream in streams:
        stream.until("up", 120)
    assert len(daemon.states()) == 3
    for stream in streams:
        stream.type("now\n")
    assert [stream.wait(30) for stream in streams] == [3, 4, 5]
    nothing(daemon)


def test_twenty_at_once(daemon):
    """Half of them are ended by their client, the others by their time or a user."""
    image(daemon, "deaf")
    streams = [daemon.stream("run", "any", *MICRO, "--ttl", "1h" if n % 3 else "2s", "--", "true") for n in range(20)]
    daemon.eventually(lambda: len(daemon.states()), lambda n: n >= 10, 300)
    for n, stream in enumerate(streams):
        if n % 2:
            os.kill(client(stream), (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)[n // 2 % 3])
    for n, stream in enumerate(streams):
        if n % 2:
            assert stream.wait(60) != 0

    def ended():
        for name in daemon.states():
            daemon.vmkeep("kill", name)
        return all(stream.process.poll() is not None for stream in streams[::2])
    daemon.eventually(ended, bool, 300)
    for stream in streams[::2]:
        assert stream.wait(60) == 125, stream.stderr()
    nothing(daemon)


def test_with_a_network(daemon, linux):
    """Its tap and its lease go, too."""
    image(daemon, "deaf")
    daemon.ok("net", "start", "default")
    before = daemon.links()
    options = [word.replace("guest.net=none", "guest.net=dhcp") if word != "none" else "default" for word in LINUX]
    result = daemon.vmkeep("run", "any", *options, "--", "sh", "-c", "hostname; ip -4 addr show eth0", timeout=120)
    assert result.code == 0 and result.out.startswith("run-") and "inet 192.168.122." in result.out, result
    assert daemon.states() == {}
    daemon.eventually(lambda: left(daemon), lambda found: not found)
    assert daemon.links() == before
    daemon.eventually(lambda: daemon.rows("net", "leases", "default"), lambda found: not found)


def test_of_ones_own(daemon):
    image(daemon)
    assert "no guest agent connected" in daemon.fails(125, "run", "any", *MICRO, "--timeout", "5", "--", "true", **ALICE)
    said = daemon.fails(125, "run", "any", *MICRO, "--", "true", user="alice", groups=["vmkeep-view"])
    assert "permission denied" in said and "vmkeep-create" in said
    assert "only root may" in daemon.fails(125, "run", "any", *MICRO, "--set", "Boot.Kernel=/boot/vmlinuz", "--", "true", **ALICE)
    nothing(daemon)
