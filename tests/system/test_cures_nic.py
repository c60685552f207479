# SPDX-License-Identifier: MIT
"""Hints about NICs are followed to the letter."""
from cures import cure, rows_of
from test_network import micro_with_nic


@cure("its NICs: %s")
def another_nic(p, daemon):
    micro_with_nic(daemon, "a")
    daemon.ok("start", "a")
    hint = p.refused("nic", "link", "a", "wan", "down", code=4)
    daemon.ok("nic", "link", "a", hint.split()[-1], "down")


@cure("vmkeep set %s NIC.%s.Network=default adds it at the next start")
def no_nic(p, daemon):
    daemon.micro("a")
    daemon.up("a")
    daemon.ok(*p.refused("nic", "link", "a", "lan", "down", code=4).split()[1:4])
    daemon.ok("kill", "a")
    daemon.up("a")
    daemon.ok("nic", "link", "a", "lan", "down")


@cure("the keys are those of [NIC], as in Network=default")
def which_keys(p, daemon):
    daemon.micro("a")
    daemon.up("a")
    daemon.ok("nic", "attach", "a", "lan", p.refused("nic", "attach", "a", "lan", "default", code=2).split()[-1])


@cure("Model=virtio and Model=e1000e can")
def which_model(p, daemon):
    daemon.micro("a")
    daemon.up("a")
    for word in p.refused("nic", "attach", "a", "lan", "Model=rtl8139", code=2).split():
        if "=" in word:
            daemon.ok("nic", "attach", "a", word.split("=")[1], word)


@cure("it stays in use, and goes when the guest releases it or restarts")
def stays(p, daemon):
    micro_with_nic(daemon, "a")
    daemon.ok("start", "a")
    p.refused("nic", "detach", "a", "lan", "--timeout", "1", code=8)
    assert len(daemon.info("a")["nics"]) == 1
    daemon.ok("reset", "a")
    daemon.eventually(lambda: daemon.info("a")["nics"], lambda nics: not nics, 30)


test_cure = rows_of(__name__)
