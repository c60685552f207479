# SPDX-License-Identifier: MIT
"""Enable=last: after a boot of the host, what was up before it is up again, and nothing else, however the host went
down. A VM counts as up if it was desired to run; the host's own shutdown does not count as a stop."""
import json
import os
import shutil
import subprocess

import pytest

import vmk
from test_faults_daemon import qemus
from test_problems import BACKOFF, NO_RESTART, ONCE

LAST = "Enable=last\n"


@pytest.fixture(autouse=True)
def same_boot_again(world):
    yield
    if vmk.BOOT_ID in world.mount_points():
        world.exec("umount", vmk.BOOT_ID)


def power_loss(world):
    """Nothing runs, and nothing is left in RUN."""
    if world.daemon:
        world.kill_daemon()
    for pid in qemus(world):
        world.kill(pid)
    world.eventually(world.processes, lambda found: not found)
    for place in reversed(world.mount_points()):
        if place.startswith(world.run + "/"):
            world.exec("umount", "--lazy", place)
    shutil.rmtree(world.inner(world.run))
    os.mkdir(world.inner(world.run))


def shutdown(world):
    """As vmkeep-guests.service does; deaf guests are killed."""
    assert world.vmkeep("shutdown-all", "--timeout", "2", timeout=60).code in (0, 8)
    power_loss(world)


def shutdown_alone(world):
    """The same without a daemon."""
    world.kill_daemon()
    done = subprocess.run(world.inside(world.daemon_argv() + ["--shutdown-all", "2"]), capture_output=True, text=True,
                          timeout=120 * vmk.SLOW, check=False)
    assert done.returncode == 0, done.stderr
    power_loss(world)


def boot(world, complete=True):
    """Another boot of the host; waits until all that start with it have started. False: some wait for ever."""
    if vmk.BOOT_ID in world.mount_points():
        world.exec("umount", vmk.BOOT_ID)
    else:
        world.another_boot()
    log = os.path.join(world.base, "daemon.log")
    before = vmk.read_text(log).count("boot start complete")
    world.start()
    if complete:
        world.eventually(lambda: vmk.read_text(log).count("boot start complete"), lambda n: n > before, timeout=60)


def crash(world, name, state):
    world.ok("start", name)
    world.kill(world.info(name)["pid"])
    world.wait_state(name, state)


def stopped(world, name):
    world.up(name)
    world.ok("stop", name)


def killed(world, name):
    world.ok("start", name)
    world.ok("kill", name)


def again(world, name):
    killed(world, name)
    world.ok("start", name)


def off(world, name):
    world.vmkeep("start", name)
    world.wait_state(name, "stopped")


def signalled(world, name):
    world.ok("start", name)
    world.kill(world.info(name)["pid"], "TERM")
    world.wait_state(name, "stopped")


def ignored(world, name):
    world.ok("start", name)
    world.fails(8, "stop", name, "--timeout", "1")


# name: guest, configuration, what happens to it, its state after the next boot
VMS = {
    "runs": ("deaf", "", lambda world, name: world.ok("start", name), "running"),
    "paused": ("deaf", "", lambda world, name: world.ok("start", name, "--paused"), "running"),
    "again": ("deaf", "", again, "running"),
    "ignored": ("deaf", "", ignored, "running"),
    "backoff": ("deaf", BACKOFF, lambda world, name: crash(world, name, "backoff"), "running"),
    # as systemd ends what is left when it shuts down
    "signalled": ("deaf", "", signalled, "running"),
    "stopped": ("polite", "", stopped, "stopped"),
    "killed": ("deaf", "", killed, "stopped"),
    "off": ("off", "", off, "stopped"),
    "crashed": ("deaf", NO_RESTART, lambda world, name: crash(world, name, "stopped"), "stopped"),
    "failed": ("deaf", ONCE, lambda world, name: crash(world, name, "failed"), "failed"),
    "refused": ("deaf", "[QEMU]\nArgs=-nonsense\n", lambda world, name: world.fails(7, "start", name), "stopped"),
    "never": ("deaf", "", lambda world, name: None, "stopped"),
}


@pytest.mark.parametrize("down", [power_loss, shutdown, shutdown_alone])
def test_as_it_was(world, down):
    for name, (guest, extra, _, _) in VMS.items():
        world.micro(name, guest, vm=LAST, extra=extra)
    world.start()
    for name, (_, _, happens, _) in VMS.items():
        happens(world, name)
    assert {row["enable"] for row in world.rows("list")} == {"last"}
    for _ in range(2):  # and so it stays
        down(world)
        boot(world)
        assert world.states() == {name: state for name, (_, _, _, state) in VMS.items()}
    assert world.rows("history", "runs")[-2]["who"] == "Enable=last"


def test_a_daemon_that_restarts_starts_nothing(world):
    """Nor does it forget; a person who stops what the host's shutdown stopped is heard."""
    for name in "abc":
        world.micro(name, "deaf", vm=LAST)
    world.start()
    world.ok("start", "a", "b", "c")
    assert world.vmkeep("shutdown-all", "--timeout", "1", timeout=60).code == 8
    for _ in range(2):
        world.stop_daemon()
        world.start()
        assert set(world.states().values()) == {"stopped"}
    world.ok("stop", "a")
    world.ok("kill", "b")
    power_loss(world)
    boot(world)
    assert world.states() == {"a": "stopped", "b": "stopped", "c": "running"}


def test_a_start_that_this_boot_did_not_manage(world):
    """It is tried at the next boot, unless a person took it back."""
    world.micro("slow", vm="Enable=yes\n", extra="[Lifecycle]\nReadyWhen=log:never\nTimeoutReadySec=1h\n")
    for name in "lost", "waits", "taken":
        world.micro(name, "deaf", vm=LAST, extra=NO_RESTART)
    world.start()
    world.ok("start", "lost", "waits", "taken")
    power_loss(world)
    for name in "waits", "taken":
        world.micro(name, "deaf", vm=LAST, extra=NO_RESTART + "After=slow\n")
    image = os.path.join(world.images, "lost.raw")
    os.rename(image, image + ".away")
    boot(world, complete=False)
    world.eventually(lambda: world.info("lost")["reason"], lambda reason: reason.startswith("start failed"))
    world.eventually(lambda: world.info("waits")["reason"], lambda reason: reason == "waits for 'slow'")
    world.ok("stop", "taken")
    shutdown(world)
    os.rename(image + ".away", image)
    world.write("slow.vm", vmk.read_text(os.path.join(world.config, "slow.vm")).replace("1h", "1s"))
    boot(world)
    assert world.states() == {"slow": "running", "lost": "running", "waits": "running", "taken": "stopped"}


def older(text):
    """As a version before Enable=last wrote it."""
    doc = json.loads(text)
    del doc["wanted"]
    return json.dumps(doc)


@pytest.mark.parametrize("change, up", [
    (lambda text: None, False),
    (lambda text: "", False),
    (lambda text: text[:len(text) // 2], False),
    (lambda text: "\0" * len(text), False),
    (older, True),
], ids=["missing", "empty", "torn", "zeros", "older"])
def test_what_is_not_known_is_not_started(world, change, up):
    world.micro("a", "deaf", vm=LAST)
    world.micro("b", "deaf", vm="Enable=yes\n")
    world.start()
    world.ok("start", "a")
    power_loss(world)
    path = os.path.join(world.state, "vms", "a", "ended.json")
    text = change(vmk.read_text(path))
    os.unlink(path)
    if text is not None:
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
    boot(world)
    assert world.states() == {"a": "running" if up else "stopped", "b": "running"}
    log = vmk.read_text(os.path.join(world.base, "daemon.log"))
    assert ("not started with the host: whether it was up before is not known" in log) != up


def test_failed_and_the_next_boot(world):
    """The state outlives the boot, which is a new attempt with Enable=yes alone."""
    enable = {"no": "failed", "yes": "running", "last": "failed"}
    for name in enable:
        world.micro(name, "deaf", vm="Enable=%s\n" % name, extra=ONCE)
    world.start()
    for name in enable:
        crash(world, name, "failed")
    power_loss(world)
    boot(world)
    assert world.states() == enable
    for name in "no", "last":
        assert "restart limit" in world.info(name)["reason"]


SYNCED = """
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>
int fsync(int fd)
{
	char link[64], path[4096];
	int log = open(getenv("SYNCED"), O_WRONLY | O_APPEND | O_CREAT, 0644);
	ssize_t n;
	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof path - 1);
	if (n > 0) {
		path[n] = '\\n';
		(void)!write(log, path, n + 1);
	}
	close(log);
	return syscall(SYS_fsync, fd);
}
"""


def test_it_is_on_disk(world):
    """A child syncs the file whenever it changes, if Enable=last goes by it."""
    library, synced = (os.path.join(world.base, name) for name in ("synced.so", "synced"))
    subprocess.run(["cc", "-shared", "-fPIC", "-x", "c", "-o", library, "-"], input=SYNCED, text=True, check=True)
    world.micro("a", "deaf", vm=LAST)
    world.micro("b", "deaf")
    world.start(env={"LD_PRELOAD": library, "SYNCED": synced})

    def ended(name):
        path = os.path.join(world.state, "vms", name, "ended.json")
        return path, vmk.read_text(synced).splitlines().count(path), json.loads(vmk.read_text(path))["wanted"]

    world.ok("start", "b")
    world.ok("start", "a")
    path, n, wanted = world.eventually(lambda: ended("a"), lambda found: found[1] > 0)
    assert wanted and os.path.dirname(path) in vmk.read_text(synced).splitlines()
    world.ok("kill", "a")
    _, _, wanted = world.eventually(lambda: ended("a"), lambda found: found[1] > n)
    assert not wanted
    assert ended("b")[1:] == (0, True)
