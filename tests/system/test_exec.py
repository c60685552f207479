# SPDX-License-Identifier: MIT
"""A command in a guest, as a stream through a real agent: input, output and exit codes. An agent that lies."""
import pytest

from hostile import make, rss as memory
from test_agent import boot
from test_hostile import LIMIT


def run(daemon, *command, **how):
    return daemon.vmkeep("guest", "exec", "a", "--", *command, **how)


def sh(daemon, script, **how):
    return run(daemon, "sh", "-c", script, **how)


def test_a_command(daemon, linux):
    boot(daemon).end()
    result = sh(daemon, "cat; echo bad >&2; exit 7", input="one\n  two\n")
    assert (result.code, result.out, result.err) == (7, "one\n  two\n", "bad\n")
    # neither a shell nor a terminal is between the words and the program
    assert run(daemon, "echo", "a  b", "$HOME", "*").out == "a  b $HOME *\n"
    assert sh(daemon, "for fd in 0 1 2; do [ -t $fd ] || echo $fd; done; ls /proc/self/fd | wc -l").out == "0\n1\n2\n4\n"
    for script, code in (("exit 0", 0), ("exit 255", 255), ("exit 125", 125), ("kill -9 $$", 137), ("kill -HUP $$", 129)):
        result = sh(daemon, script)
        assert (result.code, result.err) == (code, ""), script
    result = run(daemon, "/bin/nothing", "here")
    assert result.code == 127 and "/bin/nothing" in result.err
    assert run(daemon, "/etc/passwd").code == 126
    # its end does not wait for what it leaves behind
    assert sh(daemon, "sleep 1000 & echo left").out == "left\n"
    assert sh(daemon, "trap 'echo heard' INT; kill -INT $$").out == "heard\n"


HOSTILE = {"agent-silent": "may still complete it", "agent-noise": "does not answer", "agent-deep": "answer to",
           "agent-garbage": "answer to", "agent-heaps": "", "agent-odd": "has no pid", "agent-gone": "went away"}


@pytest.mark.parametrize("how", HOSTILE)
def test_a_hostile_agent(hostile, how):
    """It costs its own client, and the daemon neither time nor memory."""
    make(hostile, how)
    hostile.ok("start", how)
    hostile.eventually(lambda: hostile.info(how).get("agent"), lambda agent: agent == "open")
    said = hostile.fails(125, "guest", "exec", how, "x", timeout=100)
    assert HOSTILE[how] in said
    hostile.eventually(lambda: hostile.rows("jobs"), lambda rows: not rows, timeout=60)
    assert memory(hostile) < LIMIT
