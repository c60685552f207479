# SPDX-License-Identifier: MIT
"""The catalogue of faults, from the daemon to resources: each number appears at the test that injects the fault.
World.common_check() is run after each test."""
import os
import re

import pytest

import vmk

FAULTS = {
    "A, daemon and lifecycle": "F01 F02 F03 F05 F06 F07 F09 F10 F11 F12 F15 F16",
    "B, QEMU's process": "F20 F21 F23 F24 F25 F26 F27 F28 F30 F31",
    "C, monitor and agent": "F40 F41 F42 F44 F45 F46 F47",
    "D, stop and host shutdown": "F50 F51 F52 F53 F54 F55 F56",
    "E, storage, as far as it is about starts and ends": "F60 F62 F63 F72",
    "G, resources and scale": "F95 F96 F97 F98",
}


def texts():
    """The text of all other tests."""
    for folder in ("system", "unit"):
        folder = os.path.join(vmk.ROOT, "tests", folder)
        for name in sorted(os.listdir(folder)):
            if name.endswith((".py", ".c")) and name != os.path.basename(__file__):
                yield vmk.read_text(os.path.join(folder, name))


@pytest.mark.parametrize("part", FAULTS)
def test_each_fault_has_a_test(part):
    found = {"F" + number for text in texts() for number in re.findall(r"(?:\bF|test_f)(\d\d)", text)}
    assert not set(FAULTS[part].split()) - found
