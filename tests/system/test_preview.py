# SPDX-License-Identifier: MIT
"""vmkeepd --check: before an upgrade replaces the daemon, the new program reports what it would not start."""
import json
import os
import re
import subprocess

import vmk

POSTINST = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "scripts", "debian", "vmkeep.postinst")


def preview(world):
    return subprocess.run(world.inside([world.program("vmkeepd"), "--config", world.config, "--state", world.state, "--check"]),
                          capture_output=True, text=True, timeout=20 * vmk.SLOW, check=False)


def test_what_would_not_start_is_named(world):
    """All files are checked, without a daemon, and nothing is written."""
    world.micro("good")
    world.write("lab.network", "[Network]\nAddress=10.7.0.1/24\n")
    done = preview(world)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    world.write("old.vm", "[VM]\nMemry=1G\n[Disk root]\nPath=x.raw\n")
    world.write("late.vm", "[VM]\n[Disk root]\nPath=x.raw\n")
    world.write("late.vm.d/50-site.conf", "[Warp]\nFactor=9\n")
    world.write("lan.network", "[Network]\nBrige=br0\n")
    world.write("Web.vm", "[VM]\n")
    world.write("web.vm", "[VM]\n")
    before = sorted(os.listdir(world.base))
    done = preview(world)
    assert done.returncode == 2 and sorted(os.listdir(world.base)) == before
    said = done.stdout
    assert "VM old would not start:\n  %s/old.vm:2: Memry: unknown key in [VM]" % world.config in said
    assert "VM late would not start:\n  %s/late.vm.d/50-site.conf:1: [Warp]: unknown section" % world.config in said
    assert "network lan would not start:" in said and "files that would not be read:" in said
    assert "good" not in said and "network lab" not in said
    world.write("vmkeep.conf", "[Defaults]\nVM.Memry=1G\n")
    assert "no VM would start, because of vmkeep.conf:\n" in preview(world).stdout


def test_what_only_all_files_show(world):
    """Duplicates, VMs and networks that do not exist, and dependency cycles: with the text of `vmkeep check`, which
    asks a daemon."""
    uuid = "UUID=7f1d1d4e-7c3b-4a69-9f0e-0d8f1a2b3c4d\n"
    world.write("lab.network", "[Network]\nAddress=10.7.0.1/24\n")
    nic = "[NIC lan]\nNetwork=lab\nMACAddress=52:54:00:00:00:01\nAddress=10.7.0.9\n"
    world.micro("one", vm=uuid, extra=nic)
    world.micro("two", vm=uuid, extra=nic)
    world.micro("three", extra="[NIC lan]\nNetwork=nowhere\n[Lifecycle]\nAfter=ghost\n")
    world.micro("four", extra="[Lifecycle]\nAfter=five\n")
    world.micro("five", extra="[Lifecycle]\nRequires=four\nAfter=lab default\n")
    world.write("five.vm.d/disk.conf", "[Disk root]\nPath=one.raw\n")
    before = sorted(os.listdir(world.base)), sorted(os.listdir(world.state))
    done = preview(world)
    assert (sorted(os.listdir(world.base)), sorted(os.listdir(world.state))) == before and not done.stderr
    told = {line.strip().replace("warning: ", "") for line in done.stdout.splitlines() if ".vm" in line}
    world.start()
    checked = {"%s%s: %s: %s" % (row["file"], ":%d" % row["line"] if row["line"] else "", row["key"], row["reason"])
               for row in json.loads(world.vmkeep("--json", "check").out) if row["key"]}
    assert done.returncode == 2
    for what in ("UUID: UUID=7f1d1d4e-7c3b-4a69-9f0e-0d8f1a2b3c4d is VM 'two' already", "is VM 'one' already", "MACAddress: nic 'lan': VM 'two' also has 52:54:00:00:00:01",
                 "Address: nic 'lan': VM 'one' also has 10.7.0.9 on network 'lab'", "Network: nic 'lan': no network 'nowhere'",
                 "After: there is no VM or network 'ghost'", "dependency cycle: four -> five -> four",
                 "disk.conf:2: Path: disk 'root': VM 'one' also has %s/one.raw" % world.images):
        assert any(what in line for line in told), (what, told)
    assert told <= checked, told - checked


def test_a_key_of_a_newer_version(world):
    """A daemon saves its list of keys for other versions; an older one can then say which version knows a key that it
    does not know itself."""
    path = os.path.join(world.state, "known-keys")
    world.micro("a")
    world.start()
    ours = vmk.read_text(path)
    assert ours.startswith("vmkeep ") and "\nVM.Memory\n" in ours and "\nDisk.Path\n" in ours
    world.stop_daemon()
    newer = ours.replace(ours.split("\n")[0], "vmkeep 99.1") + "VM.Warp\nHologram.Size\n"
    with open(path, "w", encoding="utf-8") as f:
        f.write(newer)
    world.micro("a", vm="Warp=9\n", extra="[Hologram]\nSize=1\n")
    world.write("b.vm", "[VM]\nMemry=1G\n[Disk root]\nPath=a.raw\n")
    world.start()
    for said in (world.fails(2, "start", "a"), world.vmkeep("check", "a").out, preview(world).stdout):
        for what in ("a.vm:4: Warp", "a.vm:7: [Hologram]"):
            assert re.search(re.escape(what) + ": this is vmkeep [0-9.]+, which does not know it; vmkeep 99.1, which ran here before, does", said), said
    assert "did you mean 'Memory'" in world.fails(2, "start", "b")
    assert vmk.read_text(path) == newer, "it stays for those that come"
    world.stop_daemon()
    for text in ("vmkeep 0.0.1\nVM.Warp\n", "", "\0\0", "vmkeep \n"):
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        world.start()
        assert vmk.read_text(path) == ours
        assert "unknown key in [VM]" in world.fails(2, "start", "a")
        world.stop_daemon()


def test_the_package_says_it(world):
    """The package reports it, and never fails because of it, even if the new program does not run."""
    def install(vmkeepd, *words):
        folder = os.path.join(world.base, "bin")
        os.makedirs(folder, exist_ok=True)
        path = os.path.join(folder, "vmkeepd")
        with open(path, "w", encoding="utf-8") as f:
            f.write("#!/bin/sh\n" + vmkeepd)
        os.chmod(path, 0o755)
        script = "PATH=%s:$PATH; export PATH; exec sh %s %s" % (folder, POSTINST, " ".join(words))
        done = subprocess.run(world.inside(["env", "-C", "/", "sh", "-c", script]), capture_output=True, text=True, check=False,
                              timeout=20 * vmk.SLOW)
        assert done.returncode == 0, done
        return done.stderr
    real = 'exec %s --config %s "$@"\n' % (world.program("vmkeepd"), world.config)
    world.micro("good")
    assert install(real, "configure", "0.0.1") == ""
    world.write("old.vm", "[VM]\nMemry=1G\n[Disk root]\nPath=x.raw\n")
    said = install(real, "configure", "0.0.1")
    assert said.startswith("vmkeep: not everything starts with this version") and "VM old would not start:" in said
    assert install(real, "configure") == "", "nothing ran before"
    assert install(real, "abort-upgrade", "0.0.1") == ""
    assert install("exit 127\n", "configure", "0.0.1") == ""
    assert install("echo half >&2; exit 139\n", "configure", "0.0.1") == ""
