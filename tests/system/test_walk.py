# SPDX-License-Identifier: MIT
"""The sample that `make check` takes of a long walk (walk.py) is always the same, and includes each kind."""
import os
import subprocess
import sys

from walk import sample, walk

FILES, DAMAGES = list("abcdefgh"), [b"", b"{", None, [1]]


def test_no_value_is_lost():
    taken = sample("file, damage", [FILES, DAMAGES], 1)
    assert [file for file in FILES if not any(case[0] == file for case in taken)] == []
    assert [damage for damage in DAMAGES if not any(case[1] == damage for case in taken)] == []
    assert len(taken) < len(FILES) * len(DAMAGES) / 2


def test_it_is_always_the_same():
    """Also in other worker processes, which hash differently."""
    mine = sample("delay_ms", [range(1000)], 5), sample("file, step", [FILES, range(90)], 5)
    script = "from walk import sample\nprint((sample('delay_ms', [range(1000)], 5), " \
        "sample('file, step', [list('abcdefgh'), range(90)], 5)))"
    for seed in "123":
        said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True,
                              cwd=os.path.dirname(__file__), env=dict(os.environ, PYTHONHASHSEED=seed)).stdout
        assert said == "%s\n" % (mine,)
    assert mine[0] != sample("another", [range(1000)], 5)


def test_points_lie_all_along():
    assert [value // 200 for value, in sample("delay_ms", [range(1000)], 5)] == [0, 1, 2, 3, 4]


def test_points_stand_for_each_other():
    taken = sample("file, step", [FILES, range(90)], 5)
    assert sorted(file for file, _ in taken) == FILES and len({step for _, step in taken}) > 5


def test_so_many():
    assert len(sample("n", [range(1000)], 7)) == 7 and len(sample("n", [range(3)], 7)) == 3
    assert len(sample("a, b", [FILES, DAMAGES], 20)) == 20


def test_whole():
    @walk("file, damage", FILES, DAMAGES, some=2, whole=True)
    def marked():
        pass

    marks = {mark.name: mark.args for mark in marked.pytestmark}
    names, cases = marks["parametrize"]
    assert names == "file, damage" and len(cases) == len(FILES) * len(DAMAGES) and "walk" in marks
