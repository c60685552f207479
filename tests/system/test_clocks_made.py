# SPDX-License-Identifier: MIT
"""The wall clock is set, by a year, while VMs and images are made and removed: each verb does what it does, a throw-away VM
has its time, and what was deleted stays in the trash for its seven days."""
import os

import pytest

import vmk
from test_agent import boot
from test_clocks import Clocks, DAY, STEPS
from test_clocks import clocks  # noqa: F401 (a fixture) pylint: disable=unused-import
from test_exec_long import begin
from test_image_fetch import serving, there
from test_run import image, nothing, running
from test_templates import template
from test_trash import trash
from walk import walk

YEAR = 365 * DAY
STEPS = {**STEPS, "a year ahead": (YEAR, 0), "a year back": (-YEAR, 0)}
YEARS = ["a year ahead", "a year back"]


def step(clocks, name):
    clocks.wall += STEPS[name][0]
    clocks._write()


VERBS = [
    ("clone", "t", "a", "--linked"), ("clone", "t", "a"), ("create", "a", "--template", "t", "--start"),
    ("create", "a", "--image", "any", "--memory", "16M", "--start", "--firmware", "bios", "--network", "none", "VM.Accel=tcg"),
]


@walk("words, renames, step", VERBS, range(1, 7), YEARS, some=8)
def test_made(world, clocks, words, renames, step):
    template(world)
    image(world)
    wall = STEPS[step][0]
    clocks._write(renames, wall, 0)
    world.ok(*words)
    clocks.wall += wall
    clocks._write()
    if "--start" in words:
        world.wait_state("a", "running")
        world.ok("kill", "a")
    world.ok("rename", "a", "b")
    world.up("b")
    world.ok("kill", "b")
    world.ok("delete", "b", "--disks", "--yes")
    assert len(trash(world)) == 1 and set(world.states()) == {"t"} and world.rows("jobs") == []


def deleted(world, name):
    world.micro(name, disk="qcow2")
    world.up(name)
    world.ok("kill", name)
    world.ok("delete", name, "--disks", "--yes")


@pytest.mark.parametrize("way", YEARS)
def test_the_trash(world, clocks, way):
    """Also what was deleted while the clock was wrong, once it is right again."""
    other = YEARS[way == YEARS[0]]
    deleted(world, "before")
    step(clocks, way)
    deleted(world, "meanwhile")
    world.ok("image", "prune", "--yes")
    step(clocks, other)
    deleted(world, "after")
    world.ok("image", "prune", "--yes")
    assert [name.split(".")[0] for name in sorted(trash(world))] == ["after", "before", "meanwhile"]


@pytest.mark.parametrize("way", YEARS)
def test_a_throw_away_vm(world, clocks, way):
    """Its time is what passes."""
    image(world)
    run = running(world, ttl="1h")
    step(clocks, way)
    assert world.info(run.name)["state"] == "running"
    world.ok("reload")
    assert world.states() == {run.name: "running"}
    run.client.close()
    nothing(world)


@pytest.mark.parametrize("way", YEARS)
def test_a_fetch(world, clocks, way):
    """It goes on, and what it fetched before it was ended is used by the next one."""
    with serving(world) as server:
        digest = server.image()
        job = world.json("image", "fetch", "web", server.url("stop"), "--digest", digest, "--no-wait")["job"]
        world.eventually(lambda: world.rows("jobs")[0]["percent"], lambda percent: percent and percent >= 40)
        step(clocks, way)
        world.ok("image", "prune", "--yes")
        assert world.rows("jobs")[0]["age"] < 3600 and there(world) == ["PARTIAL"]
        world.ok("job", "cancel", job)
        world.eventually(lambda: world.rows("jobs"), lambda rows: rows == [])
        world.ok("image", "fetch", "web", server.url("get"), "--digest", digest)
        assert there(world) == ["web.qcow2"] and server.requests()[-1].split()[1] != "-"


@pytest.mark.parametrize("way", YEARS)
def test_a_command(world, clocks, linux, way):
    """Neither its time nor that of its lease passes."""
    boot(world).end()
    stream = begin(world, "echo started; while read -r x; do echo \"got $x\"; done", "--timeout", "10min")
    collect = world.stream("guest", "exec", "--collect", "--timeout", "10min", "a", "--", "sh", "-c",
                           "until [ -e /go ]; do usleep 10000; done; exit 3")
    world.eventually(lambda: len(world.rows("jobs")), lambda n: n == 2, 60)
    for word in ("one", "two"):
        step(clocks, way)
        stream.type(word + "\n")
        stream.until("got %s\n" % word, 60)
    world.ok("guest", "exec", "a", "--", "touch", "/go", timeout=60)
    assert collect.wait(60) == 3, collect.stderr()
    stream.close_input()
    assert stream.wait(60) == 0
