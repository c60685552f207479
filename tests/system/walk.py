# SPDX-License-Identifier: MIT
"""Long walks: files times damages, kills at every step, clocks, configurations. `make check` runs a sample, always the
same one; `make faults` runs them in full (VMKEEP_WHOLE=1).

    @walk("file, damage", FILES, DAMAGES, some=4)
    def test_damage(daemon, file, damage):
"""
import itertools
import os
import random

import pytest

WHOLE = os.environ.get("VMKEEP_WHOLE", "") not in ("", "0")


def sample(names, axes, some):
    """Chooses this many cases. On one axis they are spread evenly. With several axes no kind is lost: each value of
    each axis is in a case, even if that takes more cases; the points of a range count as one kind. The names are the
    seed, so one test's sample does not depend on another's."""
    rng = random.Random(names)
    if len(axes) == 1:
        size = len(axes[0])
        some = min(some, size)
        return [(axes[0][rng.randrange(size * i // some, size * (i + 1) // some)],) for i in range(some)]
    every = list(itertools.product(*map(range, map(len, axes))))
    order = rng.sample(every, len(every))
    taken, seen = [], set()
    for case in order:
        kinds = {(n, i) for n, i in enumerate(case) if not isinstance(axes[n], range)}
        if not seen.issuperset(kinds):
            taken.append(case)
            seen.update(kinds)
    taken += [case for case in order if case not in taken][:max(some - len(taken), 0)]
    return [tuple(axis[i] for axis, i in zip(axes, case)) for case in sorted(taken)]


def walk(names, *axes, some, whole=None):
    """Parametrizes a test with every combination of the axes, or with a sample of this size."""
    axes = [axis if isinstance(axis, range) else list(axis) for axis in axes]
    whole = WHOLE if whole is None else whole
    cases = list(itertools.product(*axes)) if whole else sample(names, axes, some)
    mark = pytest.mark.parametrize(names, cases if len(axes) > 1 else [case for case, in cases])
    return lambda test: pytest.mark.walk(mark(test))
