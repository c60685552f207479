# SPDX-License-Identifier: MIT
"""What check reports as an error, a start refuses, with the same class, text and hint. The fix works."""
import os

import pytest

import vmk
from checks import only, same

CPUS = {
    "model": ("[CPU]\nModel=EPYC-Rom\n", "Model", "no CPU model 'EPYC-Rom'", "EPYC-Rome"),
    "libvirt": ("[CPU]\nModel=host-passthrough\n", "Model", "no CPU model 'host-passthrough'", "Model=host"),
    "Proxmox": ("[CPU]\nModel=x86-64-v2-AES\n", "Model", "no CPU model 'x86-64-v2-AES'", "Model=Westmere"),
    "host": ("[CPU]\nModel=host\n", "Model", "needs KVM", "Model=max"),
    "feature": ("[CPU]\nFeatures=+nosuchfeat\n", "Features", "no CPU feature 'nosuchfeat'", ""),
    "number": ("Machine=pc\nCPUs=900\n", "CPUs", "900 CPUs, but machine 'pc-", " or fewer"),
}


@pytest.mark.parametrize("case", CPUS)
def test_processors(daemon, case):
    """F10: a CPU model or feature that this QEMU does not know is refused before a start, with similar names."""
    more, key, says, cure = CPUS[case]
    daemon.micro("a", **{"extra" if more[0] == "[" else "vm": more})
    row = same(daemon, "a", 2, key, says)
    assert row["class"] == "InvalidConfig" and cure in row["hint"], row
    daemon.alone()


TRIED = {
    "feature": (2, "[CPU]\nFeatures=+avx512f\n", "Features", "TCG lacks CPU features that it asks for: avx512f", "Features=-avx512f"),
    "model": (2, "[CPU]\nModel=EPYC\n", "Model", "TCG lacks CPU features that it asks for: ", "write another Model="),
    "memory": (11, "[Memory]\nMax=64T\n", None, "64T exceeds", "smaller Max="),
    "keymap": (7, "[Display]\nType=vnc\nKeymap=xx\n", None, "could not read keymap file: 'xx'", "keymaps"),
    "kernel": (7, "[Boot]\nKernel=/etc/hostname\n", None, "invalid kernel header", "vmlinuz"),
    "generator": (11, "[RNG]\nSource=/dev/no-such\n", None, "no device /dev/no-such on this host", "module"),
}


@pytest.mark.parametrize("case", TRIED)
def test_what_only_qemu_knows(daemon, case):
    """K6: check runs QEMU with the command line but without a guest; it reports whatever QEMU would refuse at a
    start. The fix works."""
    code, more, key, says, cure = TRIED[case]
    daemon.micro("a", extra=more)
    row = same(daemon, "a", code, key, says)
    assert cure in row["hint"], row
    if case == "feature":
        daemon.micro("a", extra="[CPU]\nFeatures=-avx512f\n")
        assert daemon.ok("check", "a") == "no problems\n"
        daemon.ok("start", "a")
        daemon.micro("a", extra=more)
        assert "TCG lacks" in only(daemon, "a")["reason"], "the next start"
        assert "left running" in daemon.fails(2, "reboot", "a")
    daemon.ok("kill", "a")
    daemon.alone()


LAB = "[Network]\nMode=nat\nBridge=lab0\nAddress=10.30.0.1/24\n"
NICS = {  # exit code, lab.network, keys of the NIC, key at fault, error text
    "new network": (0, LAB, "Network=lab\n", None, ""),
    "no such network": (4, None, "Network=nowhere\n", "Network", "nic 'lan': no network 'nowhere'"),
    "broken file": (2, "[Network]\nMode=bridged\n", "Network=lab\n", "Network", "lab.network:2: Mode: "),
    "overlaps": (3, LAB.replace("10.30", "10.77"), "Network=lab\n", "Network", "overlaps with"),
    "elsewhere": (2, LAB, "Network=lab\nAddress=10.31.0.5\n", "Address", "10.31.0.5 is not a guest address in network 'lab'"),
    "the host's": (3, LAB, "Network=lab\nAddress=10.30.0.1\n", "Address", "address 10.30.0.1 is the host's"),
    "default's": (2, None, "Address=10.1.2.3\n", "Address", "not a guest address in network 'default'"),
    "no bridge": (4, None, "Bridge=nowhere0\n", "Bridge", "there is no bridge 'nowhere0'"),
    "no bridge but a link": (3, None, "Bridge=tap7\n", "Bridge", "'tap7' is an interface, but not a bridge"),
    "full": (11, "[Network]\nMode=nat\nAddress=10.30.0.1/30\n", "Network=lab\n[NIC two]\nNetwork=lab\n", "Network",
             "nic 'two': network 'lab' has no free address"),
}


@pytest.mark.parametrize("case", NICS)
def test_networks_as_their_files_are(daemon, case):
    """D9a, D9b: with a file that the daemon has not read before, and with a network that is not up."""
    code, text, keys, key, says = NICS[case]
    daemon.exec("sh", "-c", "ip link add br7 type bridge; ip link set br7 up; ip addr add 10.77.0.1/24 dev br7;"
                "ip tuntap add tap7 mode tap")
    if text:
        daemon.write("lab.network", text)
    daemon.micro("a", extra="[NIC lan]\n" + keys)
    links = daemon.exec("ip", "-o", "link")
    if code:
        row = same(daemon, "a", code, key, says)
        assert row["line"], "of the section"
    else:
        assert daemon.ok("check", "a") == "no problems\n"
        assert daemon.exec("ip", "-o", "link") == links, "nothing was made"
        daemon.ok("start", "a")
        daemon.ok("kill", "a")
    daemon.vmkeep("net", "stop", "--force", "lab")
    daemon.exec("ip", "link", "del", "br7")
    daemon.exec("ip", "link", "del", "tap7")


PASSWORDS = {
    "missing": (4, None, "display: password: "),
    "empty": (2, "", "begins with an empty line"),
    "first line empty": (2, "\nsecret\n", "begins with an empty line"),
    "not UTF-8": (2, "\udcff\udcfe\n", "not UTF-8"),
    "cut short": (2, "1234567\u00e9\n", "not UTF-8"),
}


@pytest.mark.parametrize("case", PASSWORDS)
def test_password(daemon, case):
    """D7: a VM is not started if nobody could connect to its display."""
    code, text, says = PASSWORDS[case]
    daemon.micro("a", extra="[Display]\nListen=127.0.0.1\nPassword=a.secret\n")
    if text is not None:
        with open(daemon.config + "/a.secret", "wb") as f:
            f.write(text.encode("utf-8", "surrogateescape"))
    row = same(daemon, "a", code, "Password", says)
    assert "first line" in row["hint"], row
    daemon.alone()
    # the fix
    daemon.write("a.secret", "better\n")
    os.chmod(daemon.config + "/a.secret", 0o600)
    assert daemon.ok("check", "a") == "no problems\n"
    os.chmod(daemon.config + "/a.secret", 0o644)
    row = only(daemon, "a", "warning")
    assert row["key"] == "Password" and row["hint"].startswith("chmod o-r "), row
    daemon.ok("start", "a")
    daemon.ok("kill", "a")


def test_limits_without_control_groups(daemon):
    """D9c: CPUQuota= is refused in a world whose control groups are hidden."""
    daemon.stop_daemon()
    daemon.exec("mount", "-t", "tmpfs", "none", "/sys/fs/cgroup")
    daemon.start()
    daemon.micro("a", extra="[Limits]\nCPUQuota=50%\n")
    same(daemon, "a", 11, None, "CPUQuota=: no control group can enforce it")
    daemon.exec("umount", "/sys/fs/cgroup")


def test_no_slot_left(daemon):
    """F12: all slots are assigned beforehand; the error names the section that gets none."""
    for i in range(30):
        daemon.image("d%d.raw" % i)
    daemon.micro("a", vm="Machine=pc\n", extra="".join("[Disk d%d]\nPath=d%d.raw\n" % (i, i) for i in range(30)))
    row = same(daemon, "a", 11, None, "no free PCI slot for 'disk-d28'")
    lines = vmk.read_text(row["file"]).splitlines()
    assert lines[row["line"] - 1] == "[Disk d28]" and "Bus=scsi" in row["hint"], row
    daemon.alone()
