# SPDX-License-Identifier: MIT
"""ReadyWhen=agent and notify: dependents of a VM start when its guest reports readiness or its agent answers, not
before; the next daemon remembers it."""
import os
import socket

import vmk

ENABLE = "Enable=yes\n"
NOTIFY = "/dev/virtio-ports/org.vmkeep.notify.0"
AGENT = "/dev/virtio-ports/org.qemu.guest_agent.0"


def pair(world, when, append=""):
    """A Linux guest that starts at boot, and a VM that waits for it; returns the console of the first."""
    world.linux("db", "guest.net=none " + append, ENABLE + "Networks=none\n",
                "[Lifecycle]\nReadyWhen=%s\nTimeoutReadySec=5min\n" % when)
    world.micro("app", vm=ENABLE, extra="[Lifecycle]\nRequires=db\n")
    world.start()
    world.wait_state("db", "running")
    console = world.console("db")
    console.until("ready after", 60)
    return console


def waits(world):
    info = world.info("app")
    assert (info["state"], info["reason"]) == ("stopped", "waits for 'db'"), info


def type_without_daemon(world, text, answer):
    """Types into the guest's first serial port until the answer appears."""
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(20 * vmk.SLOW)
        s.connect(world.inner(os.path.join(world.run, "vms", "db", "serial-console.sock")))
        s.sendall(text.encode())
        seen = b""
        while answer.encode() not in seen:
            seen += s.recv(4096)


def test_the_guest_says_so(world, linux):
    """Also while no daemon runs; other lines, long ones and a flood are tolerated."""
    console = pair(world, "notify")
    assert world.info("db")["ready"] is False
    console.run("printf 'STATUS=loading \\033[31m 10 %%\\nREADY=2\\nREADY=' >" + NOTIFY)
    world.eventually(lambda: world.info("db")["status"], lambda text: text == "loading ?[31m 10 %")
    console.run("head -c 20000 /dev/zero | tr '\\0' x >%s; echo >%s; { yes STATUS=flood | head -c 6000000; echo; } >%s" % (
        NOTIFY, NOTIFY, NOTIFY), 60)
    world.eventually(lambda: world.info("db")["status"], lambda text: text == "flood")
    waits(world)
    used = world.inner(os.path.join(world.run, "vms", "db", "out", "notify"))
    world.eventually(lambda: os.stat(used).st_blocks, lambda n: n <= 8)
    console.end()
    world.kill_daemon()
    type_without_daemon(world, "echo STATUS=serving >%s; echo READY=1 >%s; echo sa''id\n" % (NOTIFY, NOTIFY), "said")
    world.start()
    world.wait_state("app", "running")
    for _ in range(2):
        info = world.info("db")
        assert (info["ready"], info["status"]) == (True, "serving")
        world.kill_daemon()
        world.start()
    # after a reboot the guest has not reported anything yet
    console = world.console("db")
    world.ok("reset", "db")
    console.until("ready after", 60)
    info = world.info("db")
    assert (info["ready"], info["status"]) == (False, "")


def test_the_agent_answers(world, linux):
    """A program that only holds the port open is not an agent."""
    console = pair(world, "agent")
    waits(world)
    console.run("sleep 1000 3<>%s & echo $! >/run/mute" % AGENT)
    world.eventually(lambda: world.info("db")["agent"], lambda state: state == "open")
    waits(world)
    console.run("kill $(cat /run/mute)")
    world.eventually(lambda: world.info("db")["agent"], lambda state: state == "closed")
    waits(world)
    console.run("/init agent")
    world.wait_state("app", "running")


def test_text_that_was_seen_counts_for_the_next_daemon(world):
    """The text has been removed from the console's file, so it must be in the record."""
    world.micro("slow", vm=ENABLE, banner="x\r\n",
                extra="[Lifecycle]\nReadyWhen=log:never\nTimeoutReadySec=5min\n")
    world.micro("db", vm=ENABLE, banner="ready to serve\r\n", extra="[Lifecycle]\nReadyWhen=log:to serve\n")
    world.micro("app", vm=ENABLE, extra="[Lifecycle]\nRequires=db\nAfter=slow\n")
    world.start()
    world.wait_state("slow", "running")
    world.wait_state("db", "running")
    world.console("db").until("serve")
    log = os.path.join(world.base, "daemon.log")
    world.eventually(lambda: vmk.read_text(log), lambda text: "vm db: guest is ready" in text)
    world.kill_daemon()
    # its start is still pending, as if the daemon had died before it was due
    with open(world.inner(os.path.join(world.run, "boot")), "a", encoding="utf-8") as f:
        f.write("db\n")
    world.start()
    world.ok("stop", "slow")
    world.wait_state("app", "running", timeout=10)
