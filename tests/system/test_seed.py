# SPDX-License-Identifier: MIT
"""The seed for cloud-init: what is on it, who may read it, that it stays the guest's own across starts, that no secret
is seen anywhere else, and that nothing is left of a start that ends while it is made."""
import glob
import json
import os
import re
import stat
import subprocess

import pytest

import vmk

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ7GVx1ZbW9rJ1d2cXl6a3Zta2VlcHZta2VlcHZta2Vl anna@laptop"
SECRET = "so: {secret, it's \"hardly\" a #word"
XORRISO = "/usr/bin/xorriso"


def run_file(world, name, file):
    return os.path.join(world.run, "vms", name, file)


def seed(world, name="a"):
    """The files on the image, by name."""
    image, folder = run_file(world, name, "seed.iso"), os.path.join(world.base, "seed-of-" + name)
    subprocess.run(["xorriso", "-osirrox", "on", "-indev", image, "-extract", "/", folder], check=True, capture_output=True)
    files = {file: vmk.read_text(os.path.join(folder, file)) for file in os.listdir(folder)}
    subprocess.run(["rm", "-r", folder], check=True)
    return files


def document(text):
    return json.loads(text.removeprefix("#cloud-config\n"))


def secret_file(world, text=SECRET + "\n", name="password"):
    world.write(name, text)
    os.chmod(os.path.join(world.config, name), 0o600)
    return os.path.join(world.config, name)


def with_seed(world, *lines, name="a", **how):
    world.micro(name, extra="[CloudInit]\n" + "".join(line + "\n" for line in lines), **how)


def test_what_is_on_it(daemon):
    password = secret_file(daemon)
    daemon.write("user", "#!/bin/sh\necho as it is\n")
    with_seed(daemon, "User=anna", "SSHKey=" + KEY, "PasswordFile=" + password, "UserData=%s/user" % daemon.config)
    daemon.up("a")
    files, image = seed(daemon), run_file(daemon, "a", "seed.iso")
    assert sorted(files) == ["meta-data", "user-data", "vendor-data"]
    assert document(files["meta-data"]) == {"instance-id": daemon.info("a")["uuid"], "local-hostname": "a"}
    assert files["user-data"] == "#!/bin/sh\necho as it is\n"
    assert document(files["vendor-data"]) == {"user": {
        "name": "anna", "ssh_authorized_keys": [KEY], "plain_text_passwd": SECRET, "lock_passwd": False}}
    assert subprocess.run(["blkid", "-p", "-s", "LABEL", "-o", "value", image], check=True, capture_output=True,
                          text=True).stdout == "cidata\n"
    st = os.stat(image)
    assert stat.S_IMODE(st.st_mode) == 0o600 and st.st_uid == 0 and not os.path.exists(run_file(daemon, "a", "seed.d"))
    disk, = (row for row in daemon.qmp("a", "query-block") if row["qdev"].startswith("/machine/peripheral/seed0"))
    assert disk["inserted"]["ro"] and disk["inserted"]["image"]["virtual-size"] == st.st_size
    assert "problem" not in daemon.ok("info", "--security", "a") and daemon.ok("check", "a")


def test_no_secret_is_seen(daemon):
    """Nor by the users of the host, nor in what is kept of the VM."""
    with_seed(daemon, "User=anna", "PasswordFile=" + secret_file(daemon))
    daemon.up("a")
    shown = [daemon.ok(*words) for words in (("cat", "a"), ("cat", "--effective", "a"), ("cmdline", "a"), ("info", "a"),
                                             ("history", "a"), ("check", "a"), ("--json", "info", "a"))]
    shown += [vmk.read_text(path) for path in glob.glob(daemon.inner("/proc/[0-9]*/cmdline"))]
    for top in (daemon.state, daemon.log, daemon.run):
        for folder, _, names in os.walk(top):
            paths = [os.path.join(folder, name) for name in names if name != "seed.iso"]
            shown += [vmk.read_text(path) for path in paths if stat.S_ISREG(os.lstat(path).st_mode)
                      and os.path.getsize(path) < 1 << 20 and not path.endswith(".raw")]
    shown.append(vmk.read_text(os.path.join(daemon.base, "daemon.log")))
    assert len(shown) > 20 and not any("hardly" in text for text in shown)
    assert "hardly" in seed(daemon)["vendor-data"]


def test_it_is_the_same_guest(daemon):
    """Across starts, a new file and a new daemon; its disk stays in its place. Another VM is another guest."""
    def slots():
        kept = json.loads(vmk.read_text(daemon.state + "/vms/a/identity.json"))
        return kept["slots"]

    with_seed(daemon, "User=anna")
    with_seed(daemon, "User=anna", name="b")
    daemon.up("a")
    first, places = seed(daemon), slots()
    daemon.ok("kill", "a")
    with_seed(daemon, "User=otto", "HostName=other.example")
    daemon.up("a")
    second = seed(daemon)
    assert document(second["vendor-data"])["user"]["name"] == "otto"
    assert document(second["meta-data"])["local-hostname"] == "other.example"
    assert document(first["meta-data"])["instance-id"] == document(second["meta-data"])["instance-id"]
    daemon.kill_daemon()
    daemon.start()
    assert seed(daemon) == second and daemon.states()["a"] == "running"
    daemon.ok("kill", "a")
    daemon.eventually(lambda: os.path.exists(run_file(daemon, "a", "seed.iso")), lambda there: not there)
    daemon.micro("a", extra="[Disk more]\nSize=1M\n")
    daemon.up("a")
    assert not os.path.exists(run_file(daemon, "a", "seed.iso"))
    assert all(place in slots() for place in places)
    daemon.ok("start", "b")
    assert document(seed(daemon, "b")["meta-data"])["instance-id"] != document(first["meta-data"])["instance-id"]


def test_a_host_without_xorriso(daemon):
    with_seed(daemon, "User=anna")
    daemon.exec("mount", "--bind", "/dev/null", XORRISO)
    said = daemon.fails(4, "start", "a")
    assert "run 'xorriso': No such file" in said and "install xorriso" in said
    result = daemon.vmkeep("check", "a")
    assert result.code and "run 'xorriso': No such file" in result.out
    daemon.exec("umount", XORRISO)
    daemon.ok("start", "a")


@pytest.mark.parametrize("program, says", (
    ("#!/bin/sh\necho 'xorriso : FAILURE : no  way' >&2\nexit 5\n", "cloud-init: make the seed: xorriso : FAILURE : no  way"),
    ("#!/bin/sh\nexit 1\n", "cloud-init: make the seed: xorriso failed"),
    ("#!/bin/sh\nkill -9 $$\n", "cloud-init: make the seed: xorriso failed"),
))
def test_xorriso_fails(daemon, program, says):
    in_its_place(daemon, program)
    with_seed(daemon, "User=anna")
    assert says in daemon.fails(1, "start", "a")
    nothing_is_left(daemon)
    daemon.exec("umount", XORRISO)


@pytest.mark.parametrize("program", (
    None,  # looks first
    "#!/bin/sh\nwhile printf %0999d 0; do :; done\necho 'xorriso : FAILURE : libburn indicates failure with writing.' >&2\nexit 32\n",
))
def test_a_full_run_directory(world, program):
    """Not a fault of the VM: a restart would try again."""
    world.exec("mount", "-t", "tmpfs", "-o", "mode=755,size=1m", "tmpfs", world.run)
    world.socket = world.inner(world.socket)
    world.mounts = world.mount_points()
    if program:
        in_its_place(world, program)
    with_seed(world, "User=anna")
    world.start()
    full = os.path.join(world.run, "full")
    world.exec("sh", "-c", "head -c 2000000 /dev/zero >%s; truncate -s -48K %s" % (full, full))
    assert "cloud-init: make the seed: no space is left in '%s'" % world.run in world.fails(11, "start", "a")
    nothing_is_left(world)
    world.exec("rm", full)
    if program:
        world.exec("umount", XORRISO)
    world.ok("start", "a")


def in_its_place(world, program):
    world.write("program", program)
    os.chmod(os.path.join(world.config, "program"), 0o755)
    world.exec("mount", "--bind", os.path.join(world.config, "program"), XORRISO)


def nothing_runs(world):
    world.eventually(lambda: re.findall("xorriso|--seed|sleep", world.exec("ps", "-e", "-o", "args")), lambda found: not found)


def nothing_is_left(world):
    world.eventually(lambda: glob.glob(run_file(world, "*", "seed*")), lambda found: not found)
    nothing_runs(world)


@pytest.mark.parametrize("how", ("kill", "daemon", "timeout"))
def test_it_ends_while_the_seed_is_made(world, how):
    """By a person, with the daemon, or at the start's deadline: nothing runs or lies there, and the next start works."""
    world.start()
    in_its_place(world, "#!/bin/sh\nexec sleep 1000\n")
    with_seed(world, "User=anna", "[Lifecycle]", "TimeoutStartSec=%s" % ("2s" if how == "timeout" else "10min"))
    world.ok("start", "--no-wait", "a")
    world.eventually(lambda: world.exec("ps", "-e", "-o", "args"), lambda ps: "sleep 1000" in ps)
    if how == "daemon":
        world.kill_daemon()
        nothing_runs(world)
    elif how == "kill":
        world.ok("kill", "a")
    if how != "daemon":
        world.wait_state("a", "stopped")
        nothing_is_left(world)
    world.exec("umount", XORRISO)
    if how == "daemon":
        world.start()  # which goes on with what was asked for
        world.wait_state("a", "running", timeout=30)
    else:
        world.ok("start", "a")
    assert document(seed(world)["vendor-data"])["user"]["name"] == "anna"
    world.ok("kill", "a")
    world.stop_daemon()


def test_who_may_set_what(daemon):
    """Files of the host are root's to name."""
    daemon.micro("a")
    operator = {"user": "alice", "groups": ("vmkeep",)}
    for key in ("PasswordFile", "UserData", "NetworkConfig"):
        said = daemon.fails(9, "set", "a", "CloudInit.%s=/etc/shadow" % key, **operator)
        assert "only root may change %s= in [CloudInit]" % key in said
    daemon.ok("set", "a", "CloudInit.User=anna", "CloudInit.SSHKey=" + KEY, "CloudInit.SSHKey+=" + KEY + "2", **operator)
    daemon.up("a")
    assert document(seed(daemon)["vendor-data"])["user"] == {"name": "anna", "ssh_authorized_keys": [KEY, KEY + "2"]}


def test_files_of_others(daemon):
    """A user who may change a directory that root's file is in gets nothing of the host into a guest."""
    place = os.path.join(daemon.base, "home")
    os.mkdir(place)
    os.chown(place, 7003, 7003)
    with open(place + "/data", "w", encoding="ascii") as f:
        f.write("#cloud-config\n")
    with_seed(daemon, "UserData=%s/data" % place)
    daemon.ok("start", "a")
    daemon.ok("kill", "a")
    os.rename(place + "/data", place + "/old")
    os.symlink("/etc/shadow", place + "/data")
    assert "leads through a symbolic link" in daemon.fails(9, "start", "a")
    os.unlink(place + "/data")
    os.link(place + "/old", place + "/data")
    assert "has another name" in daemon.fails(9, "start", "a")
    os.unlink(place + "/old")
    os.chown(place + "/data", 7003, 7003)
    assert "belongs to another user than root" in daemon.fails(9, "start", "a")
    rows = json.loads(daemon.vmkeep("--json", "check", "a").out)
    row, = (row for row in rows if row["key"] == "UserData")
    assert row["severity"] == "error" and row["line"] and "belongs to another user" in row["reason"]


def test_an_address_on_a_bridge(world):
    """The guest learns it by the NIC's MAC address; the daemon has no claim to it, but ssh and others are told."""
    with world.devices():
        world.start()
        world.exec("ip", "link", "add", "br7", "type", "bridge")
        world.image("a.raw")
        world.ok("create", "a", "--memory", "16M", "--disk", "a.raw", "--bridge", "br7", "--address", "10.0.0.5/24", "--gateway",
                 "10.0.0.1", "--user", "anna", "--firmware", "bios", "VM.Accel=tcg", "NIC.lan.DNS=10.0.0.2", "--start")
        mac, = (row["mac"] for row in world.info("a")["nics"])
        assert document(seed(world)["network-config"]) == {"version": 2, "ethernets": {"lan": {
            "match": {"macaddress": mac}, "addresses": ["10.0.0.5/24"], "routes": [{"to": "0.0.0.0/0", "via": "10.0.0.1"}],
            "nameservers": {"addresses": ["10.0.0.2"]}}}}
        assert world.ok("wait", "a", "ip") and world.one("ssh", "a")["address"] == "10.0.0.5"
        assert [(row["network"], row["address"], row["seen"]) for row in world.rows("ip", "a")] == [("br7", "10.0.0.5", False)]
        assert world.rows("list")[0]["address"] == world.info("a")["nics"][0]["address"] == "10.0.0.5"
        assert "[CloudInit]" in world.fails(2, "unset", "a", "CloudInit.User")
        world.kill_daemon()
        world.start()
        assert world.one("ssh", "a")["address"] == "10.0.0.5"
        world.ok("kill", "a")
        world.ok("unset", "a", "NIC.lan.Address", "NIC.lan.Gateway", "NIC.lan.DNS")
        world.ok("start", "a")
        assert "address is unknown" in world.fails(5, "wait", "a", "ip") and world.rows("list")[0]["address"] is None
        world.ok("kill", "a")
        world.exec("ip", "link", "del", "br7")
        world.stop_daemon()
