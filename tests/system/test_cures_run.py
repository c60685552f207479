# SPDX-License-Identifier: MIT
"""Hints of `run` are followed to the letter, and then what was refused works."""
from cures import cure, rows_of
from test_run import image
from test_run_command import LINUX, MICRO


@cure("FILE is here, /PATH in the guest")
def which_is_which(p, daemon):
    image(daemon, "deaf")
    hint = p.refused("run", "any", *LINUX, "--push", "/tmp/x:passwd", "--", "cat", "/tmp/x", code=125)
    words = hint.replace("FILE is here, /PATH in the guest", "/etc/hostname:/tmp/x").split()
    assert daemon.ok("run", "any", *LINUX, "--push", *words, "--", "cat", "/tmp/x", timeout=120)


@cure("the image needs qemu-guest-agent, started at boot; --timeout TIME waits longer for it")
def no_agent(p, daemon):
    image(daemon, "deaf")
    hint = p.refused("run", "any", *MICRO, "--timeout", "1", "--", "true", code=125)
    longer = [word.replace("TIME", "10min") for word in hint.split("; ")[1].split()[:2]]
    daemon.ok("run", "any", *LINUX, *longer, "--", "true", timeout=120)


test_cure = rows_of(__name__)
