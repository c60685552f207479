# SPDX-License-Identifier: MIT
"""What stores do to the start of a VM, as cases for test_check_is_start.py."""
import contextlib
import os
import shutil

import vmk
from starts import Case
from starts_hosts import disk


def store(*lines, command="", there=True, words=()):
    """[Store nas] in vmkeep.conf, with these lines, in the directory BASE/nas, which is {} in them and in the command."""
    @contextlib.contextmanager
    def before(world, name):
        path = os.path.join(world.base, "nas")
        if there:
            os.mkdir(path, 0o700)
        if command:
            world.exec("sh", "-c", command.replace("{}", path).replace("{vm}", name), *words)
        world.write("vmkeep.conf", vmk.DEFAULTS + "[Store nas]\nPath=%s\n%s" % (path, "".join(line.replace("{}", path) + "\n" for line in lines)))
        yield
        world.write("vmkeep.conf", vmk.DEFAULTS)
        if there:
            shutil.rmtree(path)
        elif os.path.exists(path):
            os.unlink(path)
    return before


def program(text, command=""):
    """A store with volumes, whose program does this."""
    write = "printf '%s' \"$0\" >{}/program; chmod 755 {}/program; " + command
    return store("Type=program", "Program={}/program", command=write, words=("#!/bin/sh\n" + text + "\n",))


def stored(path="{vm}-new.qcow2", lines="Size=1M\n"):
    return disk(path, "Store=nas\n" + lines)


def stores():
    return [
        Case("image to be made in a store", text=stored(), before=store()),
        Case("image to be made in a store that is not mounted", text=stored(), before=store("RequireMount=yes")),
        Case("image to be made in a store that is missing", text=stored(), before=store(there=False)),
        Case("image to be made in a store that is read-only", text=stored(), before=store("ReadOnly=yes")),
        Case("image to be made in a store's folder that is missing", text=stored("sub/{vm}.raw"), before=store()),
        Case("image to be made in a store through a link", text=stored("sub/{vm}.raw"), before=store(command="ln -s /tmp {}/sub")),
        Case("image in a store missing", text=stored(lines=""), before=store()),
        Case("image in a store that is a link", text=stored("{vm}.raw", ""), before=store(command="ln -s /etc/hostname {}/{vm}.raw")),
        Case("image in a store with two names", text=stored("{vm}.raw", ""), before=store(
            command="truncate -s 1M {}/{vm}.raw; ln {}/{vm}.raw {}/too")),
        Case("image in a store, mounted elsewhere", text=stored("{vm}.raw", ""), before=store(
            "RequireMount=yes", command="truncate -s 1M {}/{vm}.raw")),
        Case("image in a store that is read-only", text=stored("{vm}.raw", ""), before=store("ReadOnly=yes")),
        Case("image in a store that is read-only, read only", text=stored("{vm}.raw", "ReadOnly=yes\n"), before=store(
            "ReadOnly=yes", command="truncate -s 1M {}/{vm}.raw")),
        Case("image in a store that vmkeep.conf does not have", text=stored()),
        Case("volume of a program that is missing", text=stored("{vm}", ""), before=store("Type=program", "Program=/none/volumes")),
        Case("volume of a program that fails", text=stored("{vm}", ""), before=store("Type=program", "Program=/bin/false")),
        *(Case("volume of a program that %s" % title, text=stored("{vm}", lines), before=program(text)) for title, text, lines in [
            ("does not have it", "exit 3", ""),
            ("prints nothing", "exit 0", ""),
            ("prints another path", "echo /etc/hostname", ""),
            ("prints too much", "echo $2/$5; echo $2/$5", ""),
            ("prints a lot", "yes | head -c 1000000", ""),
            ("prints what is no text", "head -c 2000 /dev/urandom; printf '\\033[2J\\377' >&2; exit 1", ""),
            ("kills itself", "kill -9 $$", ""),
            ("says that it is there, which it is not", "echo $2/$5", ""),
            ("has a directory", "mkdir -p $2/$5; echo $2/$5", ""),
            ("has a link", "ln -sf /etc/hostname $2/$5; echo $2/$5", ""),
            ("has it", "truncate -s 1M $2/$5; echo $2/$5", ""),
            ("makes it", "[ -e $2/$5 ] || [ $1 = create ] || exit 3; truncate -s 1M $2/$5; echo $2/$5", "Size=1M\n"),
        ]),
        Case("volume of a program that is not executable", text=stored("{vm}", ""), before=program("exit 0", "chmod 644 {}/program")),
        Case("volume of a program that others may write", text=stored("{vm}", ""), before=program("exit 0", "chmod 757 {}/program")),
        Case("volume of a program of another user", text=stored("{vm}", ""), before=program("exit 0", "chown 4711 {}/program")),
        Case("volume of a program in a directory of another user", text=stored("{vm}", ""), before=program("exit 0", "chown 4711 {}")),
        Case("volume of a program that is a directory", text=stored("{vm}", ""), before=program("exit 0", "rm {}/program; mkdir {}/program")),
        Case("volume of a program that is a link", text=stored("{vm}", ""), before=program("exit 0", "ln -sf /bin/false {}/program")),
        Case("volume with the name of an image", text=stored("{vm}.qcow2", "Format=qcow2\n"), before=program("exit 3")),
        Case("volume without a name", text=stored(lines="Size=1M\n").replace("Path={vm}-new.qcow2\n", ""), before=program(
            "[ -e $2/$5 ] || [ $1 = create ] || exit 3; truncate -s 1M $2/$5; echo $2/$5")),
        Case("store that is a file", text=stored(), before=store(there=False, command="touch {}")),
    ]
