# SPDX-License-Identifier: MIT
"""The systemd units as systemd reads them, and what `make install` installs where.

The units at work need a separate systemd: see test_systemd.py.
"""
import configparser
import gzip
import os
import re
import shutil
import subprocess

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.abspath(os.environ.get("VMKEEP_BUILD", os.path.join(ROOT, "build")))
UNIT = os.path.join(ROOT, "scripts", "systemd", "vmkeepd.service")
UNITS = [UNIT] + [os.path.join(ROOT, "scripts", "systemd", name)
                  for name in ("vmkeep-guests.service", "vmkeep.slice", "vmkeepd.socket")]
SCRIPTS = [os.path.join(ROOT, "scripts", "systemd", name) for name in ("vmkeep-shutdown", "vmkeep-sleep")]
PROGRAMS = ["usr/bin/vmkeep", "usr/sbin/vmkeepd", "usr/lib/vmkeep/vmkeep-jail"]
SIZE_MAX = 1500000

needs_systemd = pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="no systemd-analyze on this host")


def verify(path):
    """systemd's messages: its exit status is 0 also for unknown values."""
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", path], capture_output=True, text=True)
    return done.stderr + done.stdout


def with_program(source, directory, program="/bin/true"):
    """A copy whose programs exist here."""
    path = os.path.join(directory, os.path.basename(source))
    with open(source) as f, open(path, "w") as out:
        out.write(re.sub(r"/usr/(s?bin/vmkeepd?|lib/vmkeep/vmkeep-shutdown)", program, f.read()))
    return path


def settings(path):
    parser = configparser.ConfigParser(interpolation=None)
    parser.optionxform = str
    parser.read(path)
    return parser


@needs_systemd
@pytest.mark.parametrize("unit", UNITS, ids=os.path.basename)
def test_systemd_has_no_complaint(unit, tmp_path):
    copies = {name: with_program(name, str(tmp_path)) for name in UNITS}  # a socket unit looks for its service
    assert verify(copies[unit]) == ""


@needs_systemd
def test_complaints_would_be_seen(tmp_path):
    path = with_program(UNIT, str(tmp_path))
    with open(path, "a") as f:
        f.write("[Service]\nKillMode=proces\n")
    assert "kill mode" in verify(path)
    assert "/nowhere" in verify(with_program(UNIT, str(tmp_path), "/nowhere"))


def test_a_restart_spares_guests():
    """The settings that ensure this, each of them tried with systemd 252."""
    service = settings(UNIT)["Service"]
    assert service["Type"] == "notify"
    assert service["KillMode"] == "process"
    assert service["ExecReload"] == "/bin/kill -HUP $MAINPID"
    for key in service:
        assert not key.startswith(("Protect", "Private", "RestrictN", "RestrictA", "RestrictF")), key
        assert key not in ("Delegate", "RuntimeDirectory", "SystemCallFilter", "DevicePolicy", "NoNewPrivileges"), key


def test_the_guests_unit_is_not_bound_to_the_daemon():
    """Requires= and the like would stop guests whenever the daemon is restarted."""
    unit = settings(UNITS[1])["Unit"]
    assert not {"Requires", "BindsTo", "PartOf"} & set(unit)
    assert "vmkeepd.service" in unit["After"]


@pytest.mark.parametrize("script", SCRIPTS, ids=os.path.basename)
def test_scripts_are_shell(script):
    subprocess.run(["sh", "-n", script], check=True)


@pytest.fixture
def make(tmp_path):
    def run(*words):
        command = ["make", "--no-print-directory", "-C", ROOT, "B=" + BUILD, "DESTDIR=%s" % tmp_path, *words]
        # this test too was called by a make
        env = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")}
        done = subprocess.run(command, capture_output=True, text=True, env=env)
        assert done.returncode == 0, done.stdout + done.stderr
    return run


def files_below(path):
    return {os.path.relpath(os.path.join(d, f), path) for d, _, names in os.walk(path) for f in names}


def test_install_and_uninstall(make, tmp_path):
    make("install")
    found = files_below(tmp_path)
    manual = {"usr/share/man/man%s/%s.gz" % (page[-1], page)
              for page in ("vmkeep.1", "vmkeepd.8", "vmkeep.vm.5", "vmkeep.network.5", "vmkeep-api.7",
                           "vmkeep-security.7")}
    assert manual | set(PROGRAMS) | {
        "lib/systemd/system/vmkeepd.service",
        "usr/lib/sysusers.d/vmkeep.conf",
        "usr/share/bash-completion/completions/vmkeep",
        "usr/share/doc/vmkeep/LICENSE",
        "usr/share/doc/vmkeep/examples/web2.vm",
        "lib/systemd/system/vmkeep-guests.service",
        "lib/systemd/system/vmkeep.slice",
        "lib/systemd/system/vmkeepd.socket",
        "lib/systemd/system-sleep/vmkeep",
        "usr/lib/vmkeep/vmkeep-shutdown",
        "usr/lib/vmkeep/stores/lvmthin",
        "usr/lib/vmkeep/stores/zfs",
        "usr/share/vmkeep/images.d/debian-12.ini",
        "usr/share/vmkeep/images.d/debian-13.ini",
        "usr/share/vmkeep/images.d/ubuntu-24.04.ini",
    } <= found
    assert not [f for f in found if f.endswith((".in", ".o", ".new"))]
    for page in manual:
        assert gzip.open(tmp_path / page).read().startswith(b'.\\" SPDX')
    if "/san" not in BUILD:
        assert sum(os.path.getsize(tmp_path / p) for p in PROGRAMS) < SIZE_MAX
    make("uninstall")
    assert files_below(tmp_path) == set()


def test_units_follow_the_directories(make, tmp_path):
    make("install", "SBINDIR=/opt/sbin", "BINDIR=/opt/bin", "UNITDIR=/units")
    text = (tmp_path / "units" / "vmkeepd.service").read_text()
    assert "ExecStart=/opt/sbin/vmkeepd\n" in text
    assert "/usr/" not in text
    assert os.access(tmp_path / "opt/sbin/vmkeepd", os.X_OK)
    assert os.access(tmp_path / "opt/bin/vmkeep", os.X_OK)
