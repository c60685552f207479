# SPDX-License-Identifier: MIT
"""The daemon never blocks: neither on a reader of its log nor on whatever is found in place of a file."""
import contextlib
import fcntl
import os
import re
import socket
import subprocess

import pytest

import vmk

NAME = "a" * 60
REQUESTS = 500  # each logs a line with the name: more than a pipe and the daemon's buffer hold
DROPPED = re.compile(r"(\d+) lines? (?:was|were) dropped here: the log was not being read")


def flood(world):
    """Sends many requests; each is answered."""
    world.micro(NAME)
    client = world.client(timeout=30)
    try:
        for _ in range(REQUESTS):
            client.call("vm-kill", name=NAME)
    finally:
        client.close()


@contextlib.contextmanager
def full_pipe(world):
    """stderr is a pipe that nobody reads. Yields its reading end."""
    end, stderr = os.pipe()
    fcntl.fcntl(stderr, fcntl.F_SETPIPE_SZ, 4096)
    world.start(stderr=stderr)
    assert not fcntl.fcntl(stderr, fcntl.F_GETFL) & os.O_NONBLOCK, "others' description was changed"
    os.close(stderr)
    yield lambda: os.read(end, 1 << 16)
    os.close(end)


@contextlib.contextmanager
def hung_journal(world):
    """A journal that reads neither datagrams nor the stream at stderr."""
    path = world.inner("/run/systemd/journal")
    world.exec("mkdir", "-p", "/run/systemd/journal")
    ours, stderr = socket.socketpair()
    stat = os.fstat(stderr.fileno())
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as journal:
        journal.bind(os.path.join(path, "socket"))
        world.start(env={"JOURNAL_STREAM": "%d:%d" % (stat.st_dev, stat.st_ino)}, stderr=stderr)
        stderr.close()
        yield lambda: journal.recv(1 << 16) + b"\n"
    ours.close()
    world.exec("rm", "-r", "/run/systemd")


@pytest.mark.parametrize("sink", [full_pipe, hung_journal])
def test_nobody_reads_the_log(world, sink):
    """Verbs are answered, and once the log is read again it says how many lines were dropped."""
    with sink(world) as read:
        flood(world)
        assert world.states() == {NAME: "stopped"}
        text = ""
        while not DROPPED.search(text):
            text += read().decode()
        dropped = int(DROPPED.search(text).group(1))
        assert dropped + text.count("vm-kill by") >= REQUESTS
        assert text.count("vm-kill by") < REQUESTS
        world.ok("start", NAME)
        while "RUNNING" not in text.upper():
            text += read().decode()
        world.ok("kill", NAME)


def test_the_last_words_are_read(world):
    """The error of a daemon that does not start is written, even to a pipe."""
    world.start()
    end, stderr = os.pipe()
    second = subprocess.run(world.inside(world.daemon_argv()), stderr=stderr, check=False, timeout=30 * vmk.SLOW)
    os.close(stderr)
    assert second.returncode == 3
    assert b"another vmkeepd" in os.read(end, 4096)
    os.close(end)


def test_without_standard_descriptors(world):
    """Text for stderr does not end up in any of the daemon's files."""
    world.micro("a")
    argv = world.daemon_argv
    world.daemon_argv = lambda: ["sh", "-c", 'exec "$@" 0<&- 1>&- 2>&-', "sh"] + argv()
    world.start()
    world.ok("start", "a")
    folder = "/proc/%d/fd" % world.daemon_pid()
    for fd in "012":
        assert os.readlink(os.path.join(folder, fd)).endswith("/dev/null")
    world.ok("kill", "a")


@pytest.mark.parametrize("name", ["qemu.log", "console.log"])
def test_a_log_that_is_a_pipe_with_a_reader(daemon, name):
    """The daemon does not write to a slow reader there, and is not delayed by it."""
    daemon.micro("a", "chatter")
    folder = os.path.join(daemon.log, "a")
    os.makedirs(folder)
    os.mkfifo(os.path.join(folder, name))
    reader = os.open(os.path.join(folder, name), os.O_RDONLY | os.O_NONBLOCK)
    daemon.up("a", r"\.\.\.")
    assert daemon.states() == {"a": "running"}
    assert os.read(reader, 4096) == b""  # nobody has opened it for writing
    os.close(reader)
    daemon.ok("kill", "a")
