# SPDX-License-Identifier: MIT
"""Fixtures of the system tests: real QEMU, one private world each (see vmk.py)."""
import os
import subprocess

import pytest

import vmk


def pytest_configure():
    if os.geteuid() != 0:
        pytest.exit("the system tests make namespaces: run them as root", 2)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    world = getattr(item, "funcargs", {}).get("world")
    if call.when == "call" and report.failed and world:
        world.failed = True
        report.sections.append(("the world", world.report()))


@pytest.fixture(scope="session")
def programs():
    for name in ("vmkeepd", "vmkeep", "vmkeep-jail"):
        if not os.path.exists(os.path.join(vmk.BUILD, name)):
            pytest.exit("%s/%s is missing: run make" % (vmk.BUILD, name), 2)


@pytest.fixture
def world(programs):
    """A world without a daemon yet, for tests that prepare one."""
    made = vmk.World()
    try:
        yield made
        if not made.failed:
            made.finish()
    except BaseException:
        print(made.report())
        raise
    finally:
        made.destroy()


@pytest.fixture
def daemon(world):
    """A world whose daemon runs."""
    world.start()
    return world


@pytest.fixture(scope="session")
def linux():
    """The Linux guest, made once."""
    subprocess.run([os.path.join(vmk.ROOT, "scripts", "guest", "build"), vmk.GUEST], check=True)
