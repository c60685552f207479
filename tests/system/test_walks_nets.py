# SPDX-License-Identifier: MIT
"""A network interrupted at every step: afterwards it is up and complete, or down with nothing left; and a NIC leaves
nothing behind when its VM is gone."""
import os
import signal

from steps import Steps
from test_nets_lost import dnsmasqs, tables
from test_network import micro_with_nic
from walk import walk

# operation: its verb, what comes before it, its maximum number of steps
OPERATIONS = {
    "net start": (["net", "start", "default"], [], 90),
    "net stop": (["net", "stop", "default"], [["net", "start", "default"]], 40),
    "net stop --force": (["net", "stop", "--force", "default"], [["start", "a"]], 40),
    "start": (["start", "a"], [], 320),
    "kill": (["kill", "a"], [["start", "a"]], 70),
}
HOWS = {"killed": signal.SIGKILL, "ended": signal.SIGTERM}
DAEMON = [(how, operation, n + 1) for how in HOWS for operation in OPERATIONS for n in range(OPERATIONS[operation][2])]
NFT = [(operation, n + 1) for operation in ("net start", "net stop", "start") for n in range(8)]


def agrees(world):
    """Whether the list agrees with the kernel, and what it says."""
    row, = world.rows("net", "list")
    vm, = world.rows("list")
    up, runs = row["state"] == "up", vm["state"] != "stopped"
    top = world.inner(world.run) + "/networks/"
    lines = os.listdir(top + "default.d/hosts") if up and os.path.isdir(top + "default.d/hosts") else []
    stands = {"links": sorted(world.links()), "tables": sorted(tables(world)), "dnsmasq": dnsmasqs(world), "hosts": lines}
    taps = ["vk0"] if runs else []
    found = [name for name in tables(world) if name.endswith("-taps")]
    good = {"links": sorted(["lo"] + taps + (["virbr0"] if up else [])),
            "tables": sorted(found + (["vmkeep_default_virbr0"] if up else [])),
            "dnsmasq": [row["dnsmasq"]] if up else [], "hosts": ["a:lan"] if up and runs else []}
    good_door = len(found) == (1 if up or runs else 0)
    return row["state"] in ("up", "down") and stands == good and good_door, row, vm, stands


def whole_again(world):
    world.eventually(lambda: agrees(world), lambda now: now[0], timeout=10)
    world.ok("start", "a")
    world.eventually(lambda: agrees(world), lambda now: now[0] and now[1]["health"] == "ok", timeout=10)
    world.ok("kill", "a")
    world.ok("net", "stop", "default")
    assert agrees(world)[0] and world.links() == {"lo"} and not tables(world) and not dnsmasqs(world)


def before_it(world, operation, env):
    micro_with_nic(world, "a", "\n[Lifecycle]\nRestart=no\n")
    world.start(env=env)
    for verb in OPERATIONS[operation][1]:
        world.ok(*verb)


@walk("how, operation, step", DAEMON, some=12)
def test_the_daemon_at_every_step(world, how, operation, step):
    steps = Steps(world, "vmkeepd", HOWS[how])
    before_it(world, operation, steps.env)
    steps.arm(step)
    world.vmkeep(*OPERATIONS[operation][0])
    steps.over()
    world.start()
    whole_again(world)


@walk("operation, step", NFT, some=4)
def test_nft_at_every_step(world, operation, step):
    """The verb fails, or health names the table that is left; the next time it is removed."""
    steps = Steps(world, "nft")
    before_it(world, operation, steps.env)
    steps.arm(step)
    done = world.vmkeep(*OPERATIONS[operation][0])
    cut, row = steps.left() == 0, world.rows("net", "list")[0]
    steps.arm(0)
    if cut and operation == "net stop":
        left = "vmkeep_default_virbr0" in tables(world)
        assert row["state"] == "down" and ("may still exist" in row["health"]) >= left
    elif cut:
        assert done.code != 0 or agrees(world)[0]
    world.ok("kill", "a")
    world.ok("net", "start", "default")
    whole_again(world)
