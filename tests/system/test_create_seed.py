# SPDX-License-Identifier: MIT
"""create --user, --ssh-key and --cloud-init: keys are read with the caller's own rights, user data is root's to name; ssh
logs in as the user."""
import os

import pytest

import talk
from test_seed import KEY, document, seed
from test_ssh import ssh

OURS = ("--memory", "16M", "--disk", "a.raw", "--firmware", "bios", "VM.Accel=tcg")
OPERATOR = {"user": "alice", "groups": ("vmkeep",)}
OTHER = KEY.replace("IJ7G", "IK8H").replace("anna@laptop", "otto")


def file_of(world, text, name="keys.pub", uid=0, mode=0o644):
    path = os.path.join(world.base, name)
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)
    os.chmod(path, mode)
    os.chown(path, uid, uid)
    return path


def test_a_guest_to_log_in_to(daemon):
    daemon.image("a.raw")
    data = file_of(daemon, "#cloud-config\n{}\n", "user-data")
    keys = file_of(daemon, "# mine\n%s\r\n\n  %s  \n".replace("  %s", "%s") % (KEY, OTHER))
    daemon.ok("create", "a", *OURS, "--user", "anna", "--ssh-key", keys, "--ssh-key", OTHER, "--cloud-init", data, "--start")
    files = seed(daemon)
    assert document(files["vendor-data"])["user"] == {"name": "anna", "ssh_authorized_keys": [KEY, OTHER]}  # each once
    assert files["user-data"] == "#cloud-config\n{}\n" and document(files["meta-data"])["local-hostname"] == "a"


def test_whose_keys(daemon):
    """The user that they are for is named in any case, so that ssh logs in as that user."""
    daemon.image("a.raw")

    def user(*words, env=None, **who):
        text = daemon.ok("create", "a", *OURS, *words, "--dry-run", env=env, **who)
        return [line.strip() for line in text.splitlines() if "User=" in line]

    assert user("--ssh-key", KEY, env={"SUDO_USER": ""}) == ["User=admin"]
    assert user("--ssh-key", KEY, env={"SUDO_USER": "anna"}) == ["User=anna"]
    assert user("--ssh-key", KEY, env={"SUDO_USER": "anna"}, **OPERATOR) == ["User=alice"]
    assert user("--ssh-key", KEY, "--user", "otto", env={"SUDO_USER": "anna"}) == ["User=otto"]
    assert user() == []


def test_paths_are_the_callers(daemon):
    """Relative ones, and links to user data."""
    daemon.image("a.raw")
    data = file_of(daemon, "#cloud-config\n{}\n", "user-data")
    os.symlink("user-data", os.path.join(daemon.base, "link"))
    shell = "cd %s && exec %s --run %s --json create a --dry-run --disk a.raw --cloud-init ./link" % (
        daemon.base, daemon.program("vmkeep"), daemon.run)
    assert "UserData=%s\\n" % data in daemon.exec("sh", "-c", shell)
    pipe = "%s --run %s --json create a --dry-run --disk a.raw --ssh-key /dev/stdin" % (daemon.program("vmkeep"), daemon.run)
    assert "SSHKey=%s\\n" % KEY in daemon.exec("sh", "-c", "echo '%s' | %s" % (KEY, pipe))


def test_with_the_callers_rights(daemon):
    daemon.image("a.raw")
    own, roots = file_of(daemon, KEY + "\n", "own", 7003, 0o600), file_of(daemon, KEY + "\n", "roots", 0, 0o600)
    assert "Permission denied" in daemon.fails(9, "create", "a", *OURS, "--ssh-key", roots, **OPERATOR)
    assert not os.path.exists(daemon.config + "/a.vm")
    daemon.ok("create", "a", *OURS, "--ssh-key", own, **OPERATOR)
    assert "\nSSHKey=%s\n" % KEY in open(daemon.config + "/a.vm", encoding="utf-8").read()
    data = file_of(daemon, "#cloud-config\n{}\n", "user-data")
    said = daemon.fails(9, "create", "b", *OURS, "--cloud-init", data, **OPERATOR)
    assert "only root may change UserData= in [CloudInit]" in said and not os.path.exists(daemon.config + "/b.vm")


@pytest.mark.parametrize("text, hint", (
    ("-----BEGIN OPENSSH PRIVATE KEY-----\nb3Bl\n-----END OPENSSH PRIVATE KEY-----\n", ".pub"),
    ("", None), ("# nothing\n", None), ("hello\n", None), (KEY + "\nUser=root\n", None), ("x" * 100000, None), (KEY[:40] + "\n", None)))
def test_files_without_keys(daemon, text, hint):
    daemon.image("a.raw")
    path = file_of(daemon, text)
    said = daemon.fails(2, "create", "a", *OURS, "--ssh-key", path)
    assert "'%s' is not a file of public keys of ssh" % path in said and (not hint or path + hint in said)
    assert not os.path.exists(daemon.config + "/a.vm")


def test_words_of_the_wire(daemon):
    """The daemon opens no file for a client, and takes no line for two."""
    client = daemon.client()
    for arguments in ({"ssh-key": [daemon.base + "/keys.pub"]}, {"ssh-key": [KEY + "\nUserData=/etc/shadow"]},
                      {"user": "anna\nUserData=/etc/shadow"}, {"cloud-init": "user-data"}):
        with pytest.raises(talk.Error) as refused:
            client.call("vm-create", name="a", disk=["a.raw"], **arguments)
        assert refused.value.error_class in ("InvalidConfig", "Usage"), arguments
    client.close()
    assert not os.path.exists(daemon.config + "/a.vm")


def test_ssh_logs_in_as_the_user(daemon, linux):
    daemon.linux("a", extra="[CloudInit]\nUser=anna\n")
    daemon.ok("start", "a")
    daemon.ok("wait", "a", "ip", timeout=60)
    assert ssh(daemon, "a")[1][4:6] == ["-l", "anna"] and ssh(daemon, "a", "-l", "otto")[1][4:6] == ["-l", "otto"]
    assert daemon.one("ssh", "a")["user"] == "anna"
