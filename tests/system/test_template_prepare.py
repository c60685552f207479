# SPDX-License-Identifier: MIT
"""`template prepare` cleans up in the guest, shuts it down and makes a template of it, or changes nothing here."""
import re

import vmk
from steps import Steps
from test_agent import boot
from test_templates import check_refused, path, text
from walk import walk



def prepared(world, cloud_init="echo ci $*"):
    """A guest that says on its console what is done to it."""
    console = boot(world, name="t", extra="[Disk data]\nSize=1M\n")
    console.run("mkdir -p /etc/ssh /var/lib/systemd /var/lib/dbus; echo 1234 >/etc/machine-id; echo 1234 >/var/lib/dbus/machine-id; "
                "touch /etc/ssh/ssh_host_rsa_key /etc/ssh/ssh_host_rsa_key.pub /etc/ssh/config /var/lib/systemd/random-seed")
    console.run("printf '#!/bin/sh\\n(%s) >/dev/console\\n' >/bin/cloud-init; chmod +x /bin/cloud-init" % cloud_init)
    # what the script removes last
    console.run("{ (while [ -e /var/lib/dbus/machine-id ]; do usleep 10000; done; "
                "echo left $(wc -c </etc/machine-id) $(ls /etc/ssh /var/lib/systemd /var/lib/dbus | xargs) >/dev/console) & }")
    return console


def test_prepare(daemon, linux):
    prepared(daemon)
    daemon.write("t.vm.d/1.conf", "[VM]\nEnable=yes\n")
    assert daemon.ok("template", "prepare", "t", timeout=120)
    assert daemon.info("t")["state"] == "stopped" and daemon.info("t")["template"] is True
    assert vmk.read_text(path(daemon, "t.vm.d/1.conf")) == "[VM]\nEnable=no\n" and "\nTemplate=yes\n" in text(daemon, "t.vm")
    said = daemon.ok("log", "t")
    assert "ci clean --logs" in said and re.search(r"left 0 /etc/ssh: config /var/lib/dbus: /var/lib/systemd:\s", said), said
    assert [row["event"] for row in daemon.rows("history", "t")].count("prepare") == 1
    check_refused(daemon, 5, "is not running", "template", "prepare", "t")
    daemon.ok("clone", "t", "a", "--linked")
    assert "Base=t-data.qcow2\n" in text(daemon, "a.vm")


def test_prepare_fails_in_the_guest(daemon, linux):
    """What it said is told, and the VM is as it was."""
    console = prepared(daemon)
    console.run("printf '#!/bin/sh\\necho no disk >&2; exit 3\\n' >/bin/cloud-init")
    before = text(daemon, "t.vm")
    check_refused(daemon, 8, "exit status 3, and said: no disk", "template", "prepare", "t")
    console.run("printf '#!/bin/sh\\nsleep 1000\\n' >/bin/cloud-init")
    check_refused(daemon, 6, "not done within 1 s: it is still running in the guest", "template", "prepare", "t", "--timeout", "1")
    daemon.write("t.vm", before.replace("[VM]\n", "[VM]\nX-Managed=ansible\n"))
    check_refused(daemon, 3, "is managed by 'ansible'", "template", "prepare", "t")
    daemon.write("t.vm", before)
    assert daemon.info("t")["state"] == "running" and text(daemon, "t.vm") == before


def test_prepare_without_an_agent(daemon):
    daemon.micro("t", disk="qcow2")
    check_refused(daemon, 5, "is not running", "template", "prepare", "t")
    daemon.up("t")
    before = text(daemon, "t.vm")
    assert daemon.vmkeep("template", "prepare", "t").code in (5, 8)
    assert text(daemon, "t.vm") == before and daemon.info("t")["state"] == "running"


@walk("step", range(1, 60), some=2)
def test_prepare_is_killed(world, linux, step):
    """An ordinary VM or a template; repeated, it ends as a template."""
    world.start()
    prepared(world)
    world.kill_daemon()
    steps = Steps(world)
    world.start(env=steps.env)
    world.ok("list")
    steps.arm(step)
    world.vmkeep("template", "prepare", "t", timeout=120)
    steps.over()
    world.start()
    world.eventually(lambda: world.info("t")["state"], lambda found: found in ("running", "stopped"), 60)
    if world.info("t")["state"] == "running":
        world.eventually(lambda: world.info("t").get("agent"), lambda found: found == "open", 60)
        world.vmkeep("template", "prepare", "t", timeout=120)
        world.wait_state("t", "stopped", timeout=60)
    assert world.info("t")["template"] is True
    check_refused(world, 5, "is a template", "start", "t")
