# SPDX-License-Identifier: MIT
"""Fixtures of the system tests: real QEMU, a private world for each test (see vmk.py). Because worlds are private,
tests run in parallel in several processes (pytest-xdist); `-n 0` runs them one after another."""
import fcntl
import os
import signal
import subprocess
import threading

import pytest

import hostile as hostile_world
import vmk


TEST_SECONDS = 120 * vmk.SLOW  # a test that hangs fails, with a report of its world


def may_catch():
    """Signals can be caught only in the main thread, where a pytest-xdist worker may not be running."""
    return threading.current_thread() is threading.main_thread()


def pytest_configure(config):
    config.addinivalue_line("markers", "walk: a long walk, of which make check takes a sample (walk.py)")
    if may_catch():
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # clean up as after Ctrl-C
    if os.geteuid() != 0:
        pytest.exit("the system tests make namespaces: run them as root", 2)
    for name in ("vmkeepd", "vmkeep", "vmkeep-jail"):
        if not os.path.exists(os.path.join(vmk.BUILD, name)):
            pytest.exit("%s/%s is missing: run make" % (vmk.BUILD, name), 2)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    world = getattr(item, "funcargs", {}).get("world")
    if call.when == "call" and report.failed and world:
        world.failed = True
        report.sections.append(("the world", world.report()))


def too_long(*_):
    raise AssertionError("the test takes longer than %d s" % TEST_SECONDS)


@pytest.fixture
def world():
    """A world without a daemon, for tests that prepare something first."""
    made = vmk.World()
    if may_catch():
        signal.signal(signal.SIGALRM, too_long)
        signal.setitimer(signal.ITIMER_REAL, TEST_SECONDS)
    try:
        yield made
        if not made.failed:
            made.finish()
    except BaseException:
        print(made.report())
        raise
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        made.destroy()


@pytest.fixture
def daemon(world):
    """A world with a running daemon."""
    world.start()
    return world


@pytest.fixture(scope="session")
def linux():
    """The Linux guest, built once by the first test process that needs it."""
    os.makedirs(vmk.GUEST, exist_ok=True)
    folder = os.open(vmk.GUEST, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        subprocess.run([os.path.join(vmk.ROOT, "scripts", "guest", "build"), vmk.GUEST], check=True)
    finally:
        os.close(folder)


@pytest.fixture
def hostile(daemon):
    """A daemon, and a program that replaces QEMU (hostile_qemu.py)."""
    hostile_world.install(daemon)
    yield daemon
    daemon.exec("umount", "--lazy", hostile_world.PLACE)
