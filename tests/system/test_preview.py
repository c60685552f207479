# SPDX-License-Identifier: MIT
"""vmkeepd --check: before an upgrade replaces the daemon, the new program names what it would not start."""
import os
import subprocess

import vmk

POSTINST = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "scripts", "debian", "vmkeep.postinst")


def preview(world):
    return subprocess.run(world.inside([world.program("vmkeepd"), "--config", world.config, "--check"]),
                          capture_output=True, text=True, timeout=20 * vmk.SLOW, check=False)


def test_what_would_not_start_is_named(world):
    """Of all files, without a daemon, and nothing is written."""
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


def test_the_package_says_it(world):
    """And never fails for it, not even if the new program does not run."""
    def install(vmkeepd, *words):
        folder = os.path.join(world.base, "bin")
        os.makedirs(folder, exist_ok=True)
        path = os.path.join(folder, "vmkeepd")
        with open(path, "w", encoding="utf-8") as f:
            f.write("#!/bin/sh\n" + vmkeepd)
        os.chmod(path, 0o755)
        script = "PATH=%s:$PATH; export PATH; exec sh %s %s" % (folder, POSTINST, " ".join(words))
        done = subprocess.run(world.inside(["sh", "-c", script]), capture_output=True, text=True, check=False,
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
