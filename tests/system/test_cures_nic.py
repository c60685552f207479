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


test_cure = rows_of(__name__)
