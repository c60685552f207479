# SPDX-License-Identifier: MIT
"""Invalid plans, and programs that cannot be run: the errors of vmkeep-jail."""
import json
import os
import subprocess

import pytest

from jail import box, BUSYBOX, JAIL, LIMIT, pytestmark, Run  # noqa: F401 (fixtures are used by name)


def test_program(box):
    for path, hint in (("/usr/bin/no-such-qemu", "install"), ("/opt/qemu", "contains only /usr"),
                       ("/usr/share", "install")):
        e = box.run([path]).error
        assert e["class"] == "QemuFailed" and f"run '{path}'" in e["desc"] and hint in e["hint"], path


BAD_PLANS = [
    b"", b"{", b"\n", b"[]\n", b"null\n", b'{"version": 1}\n', b'{"a": "\xff"}\n', b'"' + b"x" * (1 << 21) + b'"\n',
    b'{"version": 1, "name": "x\\u0000"}\n', b"[" * 100000 + b"\n",
]


@pytest.mark.parametrize("text", BAD_PLANS, ids=range(len(BAD_PLANS)))
def test_bad_plan(box, text):
    e = Run(box, text).error
    assert (e["class"], e["step"]) == ("Usage", "plan")


BAD_MEMBERS = [
    {"version": 2}, {"uid": 0}, {"uid": -1}, {"uid": 1 << 32}, {"argv": []}, {"argv": ["qemu"]}, {"argv": [1]},
    {"argv": "x"}, {"fds": [3]}, {"root": "relative"}, {"root": "/"}, {"root": "/a//b"}, {"root": "/a/"},
    {"dev": [1]}, {"dev": ["null"]}, {"dev": ["/dev/null"] * 20}, {"unknown": 1},
    {"files": [{}]}, {"files": ["x"]}, {"files": [{"kind": "tape", "what": "", "path": "/x"}]},
    {"files": [{"kind": "disk", "what": "", "path": "/x", "create": -1}]},
    {"files": [{"kind": "disk", "what": "", "path": "/x/./y"}]},
    {"files": [{"kind": "disk", "what": "", "path": "/x", "format": "vmdk"}]},
]


@pytest.mark.parametrize("members", BAD_MEMBERS, ids=json.dumps)
def test_bad_members(box, members):
    e = Run(box, {**box.plan([BUSYBOX, "true"]), **members}).error
    assert (e["class"], e["step"]) == ("Usage", "plan")


def test_descriptor_numbers(box):
    r, w = os.pipe()
    try:
        for to in ([3, 3], [3, -1], [3, 1 << 20], [3], [3, "4"]):
            e = box.run([BUSYBOX, "true"], (), (r, w), to).error
            assert (e["class"], e["step"]) == ("Usage", "plan"), to
    finally:
        os.close(r)
        os.close(w)


def test_by_hand(box):
    p = subprocess.run([JAIL], capture_output=True, text=True, timeout=LIMIT)
    assert p.returncode == 1 and "vmkeepd starts this program" in p.stderr
