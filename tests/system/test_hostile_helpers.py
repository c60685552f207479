# SPDX-License-Identifier: MIT
"""Programs in an attacker's hands in the place of those that the daemon has run: qemu-img of clones, xorriso, gpgv and curl.
They can do no more than they are for (helper_hostile.py), and what they pretend is not believed."""
import json
import os

import pytest

import vmk
from test_edit import path
from test_image_catalogue import published, signer  # noqa: F401 (a fixture)
from test_image_fetch import server, there  # noqa: F401 (a fixture)
from test_seed import run_file, with_seed

HERE = os.path.dirname(os.path.abspath(__file__))


class Program:
    """Covers a program of the world."""

    def __init__(self, world, name):
        self.world, self.path = world, "/usr/bin/" + name
        self.covered = False

    def is_(self, text):
        self.world.write("program", text)
        os.chmod(path(self.world, "program"), 0o755)
        self.end()
        self.world.exec("mount", "--bind", path(self.world, "program"), self.path)
        self.covered = True

    def hostile(self):
        source = vmk.read_text(os.path.join(HERE, "helper_hostile.py"))
        self.world.write("secret", "secret\n")
        self.world.image("other.raw")
        self.is_("#!/usr/bin/python3 -IS\nBASE = %r\n%s" % (self.world.base, source))

    def end(self):
        if self.covered:
            self.world.exec("umount", self.path)
        self.covered = False


@pytest.fixture
def covers(daemon):
    programs = []

    def cover(name):
        programs.append(Program(daemon, name))
        return programs[-1]
    yield cover
    for program in programs:
        program.end()


def told(text):
    return json.loads(text[text.index("["):text.index("]") + 1])


def test_qemu_img_of_a_clone(daemon, covers):
    daemon.micro("a")
    daemon.ok("list")
    covers("qemu-img").hostile()
    daemon.vmkeep("clone", "a", "b")
    made = os.path.join(daemon.images, "b.raw")
    assert told(vmk.read_text(made)) == []


# What qemu-img does instead of a copy, and the words.
LIES = [
    ("exit 0", "the copy is not complete: qemu-img made an image of 0"),
    ("echo '    (100.00/100%)'; for f; do :; done; printf 'QFI\\373' >\"$f\"", "the copy is not complete"),
    ("for f; do :; done; printf x >\"$f\"", "the copy is not complete"),
    ("i=0; while printf '    (99999999999999999%0999d/100%%)\\r' 1; do i=$((i + 1)); [ $i -lt 9999 ] || exit 1; done", "qemu-img failed"),
    ("i=0; while printf %0999d 0 >&2; do i=$((i + 1)); [ $i -lt 9999 ] || exit 1; done", "disk 'root': 0000"),
    ("printf 'a: \\033[2J\\n' >&2; exit 1", r"\x1b[2J"),
    ("kill -9 $$", "qemu-img was killed: Killed"),
]


@pytest.mark.parametrize("text, words", LIES, ids=[lie[0][:20] for lie in LIES])
@pytest.mark.parametrize("disk", ["raw", "qcow2"])
def test_a_copy_that_is_none(daemon, covers, disk, text, words):
    """Nothing is left of it, and the next one works."""
    daemon.micro("a", disk=disk)
    daemon.ok("list")
    program = covers("qemu-img")
    program.is_("#!/bin/sh\n%s\n" % text)
    assert words in daemon.fails(1, "clone", "a", "b")
    assert os.listdir(daemon.images) == ["a." + disk] and not os.path.exists(path(daemon, "b.vm"))
    program.end()
    daemon.ok("clone", "a", "b")
    daemon.up("b")


def test_xorriso(daemon, covers):
    covers("xorriso").hostile()
    with_seed(daemon, "User=anna")
    daemon.ok("start", "a")
    assert told(vmk.read_text(run_file(daemon, "a", "seed.iso"))) == []


def test_gpgv(daemon, covers, server, signer):
    covers("gpgv").hostile()
    published(daemon, server, Keyring=signer.keyring, Signature=server.url("get", "SUMS"))
    said = daemon.fails(1, "image", "fetch", "web")
    assert "has no good signature" in said and told(said) == [], said
    assert there(daemon) == []


def test_curl(daemon, covers, server):
    digest = server.image()
    covers("curl").hostile()
    said = daemon.fails(1, "image", "fetch", "web", server.url("get"), "--digest", digest)
    assert told(said) == [], said
