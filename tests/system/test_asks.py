# SPDX-License-Identifier: MIT
"""On a terminal, commands that end or discard more than was named ask for confirmation; scripts are never asked."""
import contextlib
import os
import pty
import select
import subprocess
import time

import pytest

import vmk


def typed(world, answer, *argv):
    """Runs the client on a terminal: exit code, and everything that the terminal showed. answer None: it must not
    ask."""
    ours, theirs = pty.openpty()
    client = subprocess.Popen(world.inside([world.program("vmkeep"), "--run", world.run, *argv]),
                              stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    text, deadline = b"", time.monotonic() + 30 * vmk.SLOW
    with contextlib.suppress(OSError):  # the terminal hangs up when the client exits
        while select.select([ours], [], [], deadline - time.monotonic())[0]:
            text += os.read(ours, 4096)
            if answer is not None and b"[y/N]" in text:
                os.write(ours, answer)
                answer = None
    assert answer is None, text
    os.close(ours)
    return client.wait(timeout=30 * vmk.SLOW), text.decode()


@pytest.fixture
def three(daemon):
    for name in ("web1", "web2", "db"):
        daemon.micro(name, "deaf")
    daemon.ok("start", "web1", "web2", "db")
    return daemon


@pytest.mark.parametrize("argv, names", [(("shutdown-all", "--timeout", "1s"), "shutdown-all: db, web1, web2"),
                                         (("kill", "web*"), "kill: web1, web2"),
                                         (("pause", "*"), "pause: db, web1, web2")])
def test_no_is_no(three, argv, names):
    before = three.states()
    for answer in (b"n\n", b"\n", b"\x04"):
        code, text = typed(three, answer, *argv)
        assert code == 1 and names in text and "nothing was done" in text, text
    assert three.states() == before


def test_yes_is_yes(three):
    code, text = typed(three, b"y\n", "kill", "web*")
    assert code == 0 and "web1: stopped" in text, text
    assert typed(three, b"Yes\n", "shutdown-all", "--timeout", "1s")[0] == 8, "killed: it is deaf"
    assert set(three.states().values()) == {"stopped"}


@pytest.mark.parametrize("argv", [("kill", "--yes", "*"), ("-y", "shutdown-all", "--timeout", "1s"), ("kill", "db", "web1"),
                                  ("kill", "d*"), ("shutdown-all", "--dry-run"), ("list", "*"), ("start", "*")])
def test_what_is_not_asked(three, argv):
    code, text = typed(three, None, *argv)
    assert code in (0, 8) and "[y/N]" not in text, text


def test_nothing_runs(daemon):
    daemon.micro("a")
    assert typed(daemon, None, "shutdown-all")[1] == "no VM runs\r\n"


def test_scripts_are_not_asked(three):
    three.ok("kill", "web*")
    assert three.vmkeep("shutdown-all", "--timeout", "1s").code == 8
    assert set(three.states().values()) == {"stopped"}
