# SPDX-License-Identifier: MIT
"""ssh: the client becomes ssh, with the guest's address and the user's words as they are, and ends as that does."""
import os
import subprocess

import vmk
from test_network import micro_with_nic

FAKE = """#!/bin/sh
printf '%s\\0' "$@"
exit 7
"""


def ssh(world, *words, path=None):
    """With a program in place of ssh that prints its arguments: (exit code, arguments, stderr)."""
    folder = os.path.join(world.base, "bin")
    if not os.path.exists(folder):
        os.mkdir(folder)
        with open(os.path.join(folder, "ssh"), "w", encoding="utf-8") as f:
            f.write(FAKE)
        os.chmod(f.name, 0o755)
    argv = ["env", "-C", "/", "PATH=" + (path or folder + ":/usr/bin:/bin"), world.program("vmkeep"), "--run", world.run, "ssh",
            "--timeout", "1s"]  # nothing listens at port 22
    done = subprocess.run(world.inside(argv + list(words)), capture_output=True, text=True, timeout=120 * vmk.SLOW, check=False)
    return done.returncode, done.stdout.split("\0")[:-1], done.stderr


def test_it_becomes_ssh(daemon, linux):
    daemon.linux("a")
    daemon.ok("start", "a")
    daemon.ok("wait", "a", "ip", timeout=60)
    address, uuid = daemon.rows("ip", "a")[0]["address"], daemon.info("a")["uuid"]
    always = ["-o", "HostKeyAlias=%s.vmkeep" % uuid, "-o", "StrictHostKeyChecking=accept-new"]
    assert ssh(daemon, "a") == (7, always + ["--", address], "")
    hard = ["sh", "-c", "echo $HOME; 'a b' \n*", "-oProxyCommand=x", "--", ""]
    assert ssh(daemon, "a", "--user", "-root", "-p", "2222", "--", *hard) == (
        7, always + ["-l", "-root", "-p", "2222", "--", address] + hard, "")
    code, _, said = ssh(daemon, "a", path="/nonexistent")
    assert code == 1 and "openssh-client" in said
    for port in "0", "65536":
        code, said = ssh(daemon, "a", "--port", port)[::2]
        assert code == 2 and "--port" in said
    assert ssh(daemon, "a", "uname", "-a")[0] == 2  # -a is no option of ours
    assert daemon.one("ssh", "a")["address"] == address


def test_no_address(daemon):
    """Nothing to log in to: the errors of wait, and how to get on."""
    daemon.micro("bare", "deaf")
    micro_with_nic(daemon, "mute")
    code, said = ssh(daemon, "bare")[::2]
    assert code == 5 and "not running" in said and "vmkeep start bare" in said
    daemon.ok("start", "bare", "mute")
    code, said = ssh(daemon, "bare")[::2]
    assert code == 5 and "has no NIC" in said
    code, said = ssh(daemon, "mute")[::2]
    assert code == 6 and "no lease" in said
    assert ssh(daemon, "nobody")[0] == 4


def test_a_server_that_comes_up(daemon, linux):
    """As in a guest that boots: its address comes first. Its refusals are not told, and cost no second attempt."""
    daemon.linux("a")
    console = daemon.up("a", "ready")
    ssh(daemon, "a")  # makes the program in place of ssh
    daemon.ok("wait", "a", "ip", timeout=60)
    client = daemon.stream_of("env", "PATH=%s/bin:/usr/bin:/bin" % daemon.base, daemon.program("vmkeep"), "--run", daemon.run,
                              "ssh", "a", "-p", "2222", "--timeout", "3600")
    def refused():
        names, values = (line.split() for line in vmk.read_text("/proc/%d/net/snmp" % daemon.init).splitlines()
                         if line.startswith("Tcp:"))
        return int(values[names.index("AttemptFails")])

    daemon.eventually(refused, lambda n: n > 3, timeout=60)
    assert client.process.poll() is None and not client.text
    console.type("nc -l -p 2222 &\n")
    client.until("2222", 60)
    client.process.wait()
