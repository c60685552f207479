# SPDX-License-Identifier: MIT
"""Hints about the files of [CloudInit] are followed to the letter, and then what was refused works."""
import os

from cures import cure, disk, rows_of, vm
from test_seed import KEY

DATA = "#cloud-config\n{}\n"


def place(daemon, key, text, mode=0o600, name="file"):
    """A file, and a VM that has it in this key."""
    path = os.path.join(daemon.config, name)
    daemon.image("a.raw")
    if text is not None:
        daemon.write(name, text)
        os.chmod(path, mode)
    daemon.write("a.vm", vm(disk("a.raw"), "[CloudInit]\n%s=%s\n" % (key, path)))
    return path


@cure("chown root %s")
def of_another(p, daemon):
    os.chown(place(daemon, "UserData", DATA), 7003, 7003)
    p.runs(p.refused("start", "a", code=9), "chown")
    daemon.ok("start", "a")


@cure("chmod go-w %s")
def others_write(p, daemon):
    place(daemon, "UserData", DATA, 0o666)
    p.runs(p.refused("start", "a", code=9), "chmod")
    daemon.ok("start", "a")


@cure("chmod go-rwx %s")
def others_read(p, daemon):
    place(daemon, "PasswordFile", "secret\n", 0o644)
    p.runs(p.refused("start", "a", code=9), "chmod")
    daemon.ok("start", "a")


@cure("copy it, and name the copy")
def two_names(p, daemon):
    path = place(daemon, "UserData", DATA)
    os.link(path, path + ".too")
    p.refused("start", "a", code=9)
    daemon.exec("cp", "-p", path, path + ".copy")
    p.set("a.vm", "[CloudInit]", "UserData", path + ".copy")
    daemon.ok("start", "a")


@cure("write the file, or remove the key")
def none_or_empty(p, daemon):
    place(daemon, "UserData", None)
    p.refused("start", "a", code=4)
    daemon.write("file", "")
    hint = p.refused("start", "a", code=2)
    daemon.write("file", DATA)
    daemon.ok("start", "a")
    daemon.ok("kill", "a")
    daemon.write("file", "")
    p.check(hint)
    p.set("a.vm", "[CloudInit]", "UserData", None)
    daemon.ok("start", "a")


@cure("name the file itself: realpath %s")
def through_a_link(p, daemon):
    path = place(daemon, "UserData", DATA)
    os.rename(path, path + ".itself")
    os.symlink("file.itself", path)
    real = p.runs(p.refused("start", "a", code=9), "realpath").strip()
    p.set("a.vm", "[CloudInit]", "UserData", real)
    daemon.ok("start", "a")


@cure("let the guest fetch the rest")
def too_large(p, daemon):
    place(daemon, "UserData", "#" * ((1 << 20) + 1))
    p.refused("start", "a", code=2)
    daemon.write("file", "#include\nhttp://10.0.0.1/rest\n")
    daemon.ok("start", "a")


@cure("write a hash to it, as openssl passwd -6 prints")
def no_password(p, daemon):
    place(daemon, "PasswordFile", "one\ntwo\n")
    p.refused("start", "a", code=2)
    daemon.write("file", "$6$salt$hash\n")
    daemon.ok("start", "a")


@cure("its first line must be #cloud-config, #!/bin/sh, or another that cloud-init knows")
def no_user_data(p, daemon):
    place(daemon, "UserData", "packages: [x]\n")
    p.refused("start", "a", code=2)
    daemon.write("file", "#cloud-config\npackages: [x]\n")
    daemon.ok("start", "a")


@cure("the public key is in %s.pub")
def a_private_key(p, daemon):
    path = os.path.join(daemon.base, "id")
    for name, text in ((path, "-----BEGIN OPENSSH PRIVATE KEY-----\n"), (path + ".pub", KEY + "\n")):
        with open(name, "w", encoding="ascii") as f:
            f.write(text)
    hint = p.refused("create", "a", "--disk", "1M", "--ssh-key", path, code=2)
    daemon.ok("create", "a", "--disk", "1M", "--ssh-key", hint.split()[-1])


test_cure = rows_of(__name__)
