# SPDX-License-Identifier: MIT
"""The child that writes files durably: if the daemon dies before it has sent everything, nothing is changed."""
import os
import subprocess

import pytest

import vmk

DAEMON = os.path.join(vmk.BUILD, "vmkeepd")


def keep(folder, length, text):
    return subprocess.run([DAEMON, "--keep", folder, "mark.json", length], input=text, capture_output=True, text=True,
                          timeout=60 * vmk.SLOW, check=False)


@pytest.mark.parametrize("length, text, after", [("5", "after", "after"), ("0", "", ""), ("none", "", None)])
def test_what_was_said_is_done(tmp_path, length, text, after):
    (tmp_path / "mark.json").write_text("before")
    assert keep(tmp_path, length, text).returncode == 0
    assert sorted(os.listdir(tmp_path)) == ([] if after is None else ["mark.json"])
    assert after is None or (tmp_path / "mark.json").read_text() == after


@pytest.mark.parametrize("length, text", [("5", ""), ("5", "afte"), ("5", "after that"), ("none", "a"), ("0", "a")])
def test_what_was_cut_short_is_not(tmp_path, length, text):
    (tmp_path / "mark.json").write_text("before")
    said = keep(tmp_path, length, text)
    assert said.returncode == 1 and "incomplete" in said.stderr
    assert os.listdir(tmp_path) == ["mark.json"] and (tmp_path / "mark.json").read_text() == "before"


NEVER = """
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>
static int never(void) { if (!strcmp(program_invocation_short_name, "vmkeepd")) abort(); return 0; }
int fsync(int fd) { (void)fd; return never(); }
int fdatasync(int fd) { (void)fd; return never(); }
int syncfs(int fd) { (void)fd; return never(); }
void sync(void) { never(); }
"""


def test_the_daemon_waits_for_no_disk(world):
    """Its children do it: with guests, networks, snapshots and reloads, the daemon itself never calls fsync."""
    library = os.path.join(world.base, "never.so")
    subprocess.run(["cc", "-shared", "-fPIC", "-x", "c", "-o", library, "-"], input=NEVER, text=True, check=True)
    os.chmod(library, 0o755)
    world.image("a.qcow2", "deaf")
    world.write("a.vm", "[VM]\nMemory=16M\n[Disk root]\nPath=a.qcow2\n[Lifecycle]\nRestart=no\n")
    world.write("lab.network", "[Network]\nAddress=10.99.0.1/24\n")
    world.start(env={"LD_PRELOAD": library})
    for verb in (["start", "a"], ["net", "start", "lab"], ["snapshot", "create", "a", "s1"], ["pause", "a"], ["resume", "a"], ["set", "a", "VM.Description=a"],
                 ["reset", "a"], ["snapshot", "revert", "a", "s1"], ["kill", "a"], ["snapshot", "delete", "a", "s1"],
                 ["reload"], ["net", "stop", "lab"]):
        world.ok(*verb)
    choice = os.path.join(world.state, "networks/lab.json")
    assert '"10.99.0.1"' in vmk.read_text(choice)
    os.unlink(choice)
    world.ok("net", "start", "lab")
    world.eventually(lambda: os.path.exists(choice), bool)
    world.ok("kill", "*")
