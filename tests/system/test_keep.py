# SPDX-License-Identifier: MIT
"""The child that writes what must be on disk: a daemon that dies before it has said all of it changes nothing."""
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
    assert said.returncode == 1 and "cut short" in said.stderr
    assert os.listdir(tmp_path) == ["mark.json"] and (tmp_path / "mark.json").read_text() == "before"
