# SPDX-License-Identifier: MIT
"""guest exec, push and pull with an agent that does as told up to a point, then lies (hostile_keeper.py): they end with words,
leave nothing under the final name, and cost the daemon no memory."""
import os
import re
import signal

import pytest

import smallfs
from hostile import make, rss
from talk import children
from test_hostile import LIMIT

LIES = {
    "keeper-more": "more output than was asked for", "keeper-odd": "more output than was asked for",
    "keeper-nobody": "does not begin as it must", "keeper-minus": "does not begin as it must",
    "keeper-codeless": "an end without a code", "keeper-ends": "ended before it ran the command", "keeper-reads": "cannot be read",
    "keeper-code": "",
}


def begin(hostile, how):
    """Starts it; returns the words of each command, and where nothing may appear."""
    make(hostile, how)
    hostile.ok("start", how)
    hostile.eventually(lambda: hostile.info(how).get("agent"), lambda agent: agent == "open")
    there = os.path.join(hostile.base, "pulled")
    os.mkdir(there)
    return {"exec": ["exec", how, "--", "x"], "push": ["push", how, "/etc/passwd", "/x"], "pull": ["pull", how, "/x/..name", there]}, there


def well(hostile):
    hostile.eventually(lambda: hostile.rows("jobs"), lambda rows: not rows, timeout=60)
    assert rss(hostile) < LIMIT


@pytest.mark.parametrize("how", LIES)
def test_it_lies(hostile, how):
    words, there = begin(hostile, how)
    for verb, argv in words.items():
        result = hostile.vmkeep("guest", *argv, timeout=60)
        assert result.code == (125 if verb == "exec" and LIES[how] else result.code) and result.code, result
        assert LIES[how] in result.err and len(result.err) < 4096, result
        shown = result.err if how != "keeper-code" or verb != "exec" else ""  # there it is the command's own output
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f\u202e]", shown), result
        assert os.listdir(there) == []
    well(hostile)


def test_it_never_ends(hostile):
    """What comes fills a file system at most, and nothing of it stays; the third Ctrl-C ends what does not end."""
    words, there = begin(hostile, "keeper-endless")
    hostile.exec("sh", "-ec", smallfs.mount_line(there, "1m"))
    assert "No space left" in hostile.fails(11, "guest", *words["pull"], timeout=60)
    assert os.listdir(hostile.inner(there)) == []
    hostile.exec("umount", "-l", there)
    assert "not done within 1 s" in hostile.fails(125, "guest", "exec", "--timeout", "1", *words["exec"][1:], timeout=60)
    for argv in words.values():
        stream = hostile.stream("guest", *argv)
        while stream.process.poll() is None:
            for pid in children(stream.process.pid):
                os.kill(pid, signal.SIGINT)
            stream.read(0.05)
        assert stream.process.wait() and os.listdir(there) == []
    well(hostile)


def test_it_never_begins(hostile):
    words, there = begin(hostile, "keeper-half")
    assert "not done within 1 s" in hostile.fails(125, "guest", "exec", "--timeout", "1", *words["exec"][1:], timeout=60)
    hostile.ok("kill", "keeper-half")
    well(hostile)
