# SPDX-License-Identifier: MIT
"""The Debian package: lintian finds nothing, and no guest notices an upgrade or a removal."""
import gzip
import os
import re
import shutil
import subprocess

import pytest

from systemd_host import BUILD, NEEDS, ROOT, Host, show, up, wait_until

DEB = os.environ.get("VMKEEP_DEB", "")
UNITS = ["vmkeepd.service", "vmkeepd.socket", "vmkeep-guests.service"]

pytestmark = NEEDS + [pytest.mark.skipif(not DEB, reason="no package: make service builds one and names it in VMKEEP_DEB")]


def output_of(*command, **more):
    return subprocess.run(command, check=True, capture_output=True, text=True, **more).stdout


def field(name):
    return output_of("dpkg-deb", "-f", DEB, name).strip()


def repacked(where, version, *, broken=False):
    """The same package as another version, or with a daemon that does not run."""
    tree = os.path.join(where, version)
    output_of("dpkg-deb", "-R", DEB, tree)
    control = os.path.join(tree, "DEBIAN", "control")
    with open(control) as f:
        text = re.sub(r"(?m)^Version: .*$", "Version: " + version, f.read())
    with open(control, "w") as f:
        f.write(text)
    if broken:
        with open(os.path.join(tree, "usr", "sbin", "vmkeepd"), "w") as f:
            f.write("#!/bin/sh\necho 'a library is missing' >&2\nexit 127\n")
    output_of("dpkg-deb", "-b", "-Znone", tree, tree + ".deb")
    return tree + ".deb"


@pytest.fixture
def host(tmp_path):
    made = Host(str(tmp_path / "host"), "guest1", package=True)
    os.makedirs(str(tmp_path / "host" / "seed" / "root"))
    for path in (DEB, repacked(str(tmp_path), "9"), repacked(str(tmp_path), "10", broken=True)):
        shutil.copy(path, str(tmp_path / "host" / "seed" / "root" / re.sub("^vmkeep_.*", "this.deb", os.path.basename(path))))
    try:
        made.boot()
        made.ok("dpkg", "-i", "/root/this.deb")
        yield made
    finally:
        made.destroy()
        shutil.rmtree(str(tmp_path))


def states(host, question):
    return host.run("systemctl", question, *UNITS).stdout.split()


def runs(host, guest):
    return (host.info("guest1")["state"], host.info("guest1")["pid"]) == ("running", guest)


def replaced(host):
    """Whether the daemon runs the installed program: /proc marks a removed program as deleted."""
    return host.run("readlink", "/proc/%d/exe" % host.main_pid()).stdout == "/usr/sbin/vmkeepd\n"


def test_lintian_has_no_complaint():
    done = subprocess.run(["lintian", "--allow-root", "-I", "--pedantic", DEB], capture_output=True, text=True)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_it_holds_what_install_installs(tmp_path):
    output_of("dpkg-deb", "-x", DEB, str(tmp_path / "deb"))
    env = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")}
    output_of("make", "-C", ROOT, "B=" + BUILD, "DESTDIR=%s" % (tmp_path / "make"), "install", env=env)
    found = {}
    for tree in ("deb", "make"):
        # Debian compresses documents longer than 4 KiB, and Debian 13 has its units below /usr
        found[tree] = {re.sub("^usr/lib/systemd/", "lib/systemd/",
                              os.path.relpath(os.path.join(d, f), tmp_path / tree).removesuffix(".gz")):
                       os.stat(os.path.join(d, f)).st_mode
                       for d, _, names in os.walk(tmp_path / tree) for f in names}
    only = set(found["deb"]) ^ set(found["make"])
    # the licence is in copyright, the rest is added by Debian's tools
    assert {os.path.relpath(f, "usr/share/doc/vmkeep") for f in only} - {"../../lintian/overrides/vmkeep"} == {
        "LICENSE", "changelog", "copyright"}
    assert not {f for f in set(found["deb"]) & set(found["make"]) if found["deb"][f] != found["make"][f]}
    with open(os.path.join(ROOT, "LICENSE")) as f, open(tmp_path / "deb/usr/share/doc/vmkeep/copyright") as g:
        licence, copyright_ = f.read(), g.read()
    assert licence.split("\n\n", 2)[2].split() == copyright_.split("License: MIT\n")[-1].replace("\n .\n", "\n").split()
    assert output_of(str(tmp_path / "deb/usr/sbin/vmkeepd"), "--version") == "vmkeepd %s\n" % field("Version")
    with gzip.open(tmp_path / "deb/usr/share/doc/vmkeep/changelog.gz", "rt") as f:
        assert f.readline().startswith("vmkeep (%s) " % field("Version"))


def test_what_it_needs():
    """Programs by name, libraries as found by the linker; Debian 13 renamed those with 64-bit time_t."""
    depends = {word.split(" ")[0].removesuffix("t64") for word in field("Depends").split(", ")}
    assert {"qemu-system-x86", "qemu-utils", "dnsmasq-base", "nftables", "libev4", "libsystemd0"} <= depends
    assert "conffiles" not in output_of("dpkg-deb", "-I", DEB)


def test_a_package_comes_and_goes(host):
    assert states(host, "is-active") == ["active"] * 3
    assert states(host, "is-enabled") == ["enabled"] * 3
    assert "vmkeep-view:" in host.ok("getent", "group", "vmkeep", "vmkeep-view", "vmkeep-create")
    guest, daemon, uuid = up(host), host.main_pid(), host.info("guest1")["uuid"]

    for deb in ("/root/9.deb", "/root/this.deb"):
        host.ok("dpkg", "-i", "--force-downgrade", deb)
        wait_until("it has replaced itself", lambda: replaced(host))
        assert host.main_pid() == daemon
        assert runs(host, guest)
        assert states(host, "is-active") == ["active"] * 3
    assert host.ok("journalctl", "-u", "vmkeepd", "-o", "cat", "--no-pager").count("replacing this daemon") == 2
    assert "Stopp" not in host.ok("journalctl", "-u", "vmkeep-guests", "-o", "cat", "--no-pager")

    refused = host.run("dpkg", "-r", "vmkeep")
    assert refused.returncode != 0 and "VMs run: guest1\n" in refused.stderr and "vmkeep shutdown-all" in refused.stderr
    assert runs(host, guest) and states(host, "is-active") == ["active"] * 3

    host.ok("vmkeep", "shutdown-all")
    host.ok("dpkg", "-r", "vmkeep")
    assert host.run("sh", "-c", "command -v vmkeep || systemctl cat vmkeepd").returncode != 0
    assert [line.split()[-1] for line in host.ok("ps", "-A", "-o", "comm=").splitlines()
            if re.match("vmkeep|qemu|dnsmasq", line)] == []

    # after another installation everything is as before
    host.ok("dpkg", "-i", "/root/this.deb")
    assert (host.info("guest1")["state"], host.info("guest1")["uuid"]) == ("stopped", uuid)

    done = host.run("dpkg", "-P", "vmkeep")
    assert done.returncode == 0 and "rm -r /var/lib/vmkeep /etc/vmkeep" in done.stderr
    host.ok("ls", "/var/lib/vmkeep/images/guest1.raw", "/var/lib/vmkeep/vms/guest1/identity.json", "/etc/vmkeep/guest1.vm")
    assert host.run("sh", "-c", "ls -d /run/vmkeep /var/log/vmkeep").stdout == ""
    assert "vmkeep" not in host.ok("systemctl", "list-unit-files", "--no-legend")
    assert host.run("sh", "-c", "find /etc/systemd /var/lib/systemd -name '*vmkeep*'").stdout == ""
    # files may belong to the groups
    host.ok("getent", "group", "vmkeep", "vmkeep-view")


def test_without_a_vm_nothing_stays_but_images(host):
    up(host)
    host.ok("vmkeep", "shutdown-all")
    host.ok("rm", "/etc/vmkeep/guest1.vm")
    done = host.run("dpkg", "-P", "vmkeep")
    assert done.returncode == 0 and "rm -r /var/lib/vmkeep\n" in done.stderr
    assert host.ok("find", "/var/lib/vmkeep", "-type", "f") == "/var/lib/vmkeep/images/guest1.raw\n"
    assert host.run("ls", "/etc/vmkeep").returncode != 0


def test_a_daemon_that_is_gone_hides_no_guest(host):
    guest = up(host)
    host.ok("systemctl", "mask", "--runtime", "--now", "vmkeepd.service", "vmkeepd.socket")
    assert "VMs run: guest1\n" in host.run("dpkg", "-r", "vmkeep").stderr
    host.ok("kill", "-0", str(guest))


def test_an_upgrade_replaces_no_daemon_by_none(host):
    """A new program that does not run is not tried; a stopped daemon is started."""
    guest, daemon = up(host), host.main_pid()
    done = host.run("dpkg", "-i", "/root/10.deb")
    assert done.returncode == 0 and "a library is missing" in done.stderr
    assert "vmkeepd goes on as version %s" % field("Version") in done.stderr
    assert host.main_pid() == daemon and runs(host, guest)

    host.ok("sh", "-c", "printf '[VM]\\nMemry=1G\\n[Disk root]\\nPath=x.raw\\n' >/etc/vmkeep/old.vm")
    done = host.run("dpkg", "-i", "--force-downgrade", "/root/9.deb")
    assert done.returncode == 0 and "VM old would not start:\n  /etc/vmkeep/old.vm:2: Memry: " in done.stderr
    assert "guest1" not in done.stderr
    host.ok("rm", "/etc/vmkeep/old.vm")
    wait_until("it has replaced itself", lambda: replaced(host))
    assert host.main_pid() == daemon

    host.ok("kill", "-9", str(daemon))
    host.ok("systemctl", "stop", "vmkeepd.service", "vmkeepd.socket")
    host.ok("dpkg", "-i", "--force-downgrade", "/root/this.deb")
    wait_until("it answers", lambda: host.run("vmkeep", "version").returncode == 0)
    assert runs(host, guest) and show(host, "vmkeepd", "ActiveState") == "active"
