# SPDX-License-Identifier: MIT
"""An automatic start that fails: if someone must repair the cause, the VM becomes `failed`; if the cause may go away
by itself, the start is retried forever."""
import os

import pytest

from starts_hosts import disk
from starts_images import qcow2

LIFECYCLE = "[Lifecycle]\nRestartSec=0\nStartLimitBurst=2\n"


def image(world, name, content=bytes(1 << 20), mode=0o600):
    with open(os.path.join(world.images, name), "wb") as f:
        f.write(content)
    os.chmod(os.path.join(world.images, name), mode)


def corrupt(world, name):
    image(world, name + ".qcow2", qcow2(bad=2))
    return disk(name + ".qcow2")


def none_of_qcow2(world, name):
    image(world, name + ".qcow2", b"x" * 4096)
    return disk(name + ".qcow2")


def directory(world, name):
    os.mkdir(os.path.join(world.images, name + ".raw"))
    return disk(name + ".raw")


def forbidden(world, name):
    image(world, name + ".raw", mode=0)
    return disk(name + ".raw")


def not_made_yet(world, name):
    return disk(name + ".raw", "Size=1M\n")


def full_bus(world, name):
    for i in range(40):
        image(world, "%s-%d.raw" % (name, i))
    return ("[VM]\nMemory=16M\nNetworks=none\nMachine=pc\n"
            + "".join("[Disk d%d]\nPath=%s-%d.raw\n" % (i, name, i) for i in range(40)))


def no_model(world, name):
    image(world, name + ".raw")
    return disk(name + ".raw") + "[CPU]\nModel=nonsense\n"


def no_network(world, name):
    image(world, name + ".raw")
    return disk(name + ".raw") + "[NIC lan]\nNetwork=nowhere\n"


def no_kernel_image(world, name):
    """A kernel that only QEMU refuses."""
    image(world, name + ".raw")
    return disk(name + ".raw") + "[Boot]\nKernel=/etc/hostname\n"


def missing(world, name):
    return disk("nfs/%s.raw" % name)


def no_bridge(world, name):
    image(world, name + ".raw")
    return disk(name + ".raw") + "[NIC lan]\nBridge=br9\n"


def too_large(world, name):
    image(world, name + ".raw")
    return disk(name + ".raw").replace("Memory=16M", "Memory=2T")



REPAIR = [corrupt, none_of_qcow2, directory, forbidden, not_made_yet, full_bus, no_model, no_network, no_kernel_image]
PASSES = [missing, no_bridge, too_large]


@pytest.mark.parametrize("make", REPAIR + PASSES, ids=lambda make: make.__name__)
def test_fault(world, make):
    world.write("a.vm", make(world, "a").replace("[VM]\n", "[VM]\nEnable=yes\n", 1) + LIFECYCLE)
    world.start()
    info = world.wait_state("a", "failed" if make in REPAIR else "backoff")
    if make in REPAIR:
        assert info["reason"].startswith("restart limit of StartLimitBurst= reached; last: start failed: "), info
        problems = world.vmkeep("list", "--problems")
        assert (problems.code, problems.out.startswith("CRITICAL a: failed: ")) == (2, True), problems
        return
    world.eventually(lambda: [row["event"] for row in world.rows("history", "a")],
                     lambda events: events.count("start") > 2 and "failed" not in events)


def test_what_it_would_run_with_cannot_be_read_back(daemon):
    """Each file is within its limit, but all of them together are not: it does not start with a part of it."""
    daemon.micro("a")
    for n in range(2):
        daemon.write("a.vm.d/%d.conf" % n, "[X-Site]\n" + "".join("X-%d-%d=%s\n" % (n, k, "x" * 8000) for k in range(120)))
    assert "larger than 1048576 bytes" in daemon.vmkeep("check", "a").out
    assert "larger than 1048576 bytes" in daemon.fails(2, "start", "a")
    os.unlink(os.path.join(daemon.config, "a.vm.d/1.conf"))
    daemon.up("a")
