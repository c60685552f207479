# SPDX-License-Identifier: MIT
"""What stores do to the start of a VM, as cases for test_check_is_start.py."""
import contextlib
import os
import shutil

import vmk
from starts import Case
from starts_hosts import disk


def store(*lines, command="", there=True):
    """[Store nas] in vmkeep.conf, with these lines, in the directory BASE/nas, which is {} in the command."""
    @contextlib.contextmanager
    def before(world, name):
        path = os.path.join(world.base, "nas")
        if there:
            os.mkdir(path, 0o700)
        if command:
            world.exec("sh", "-c", command.replace("{}", path).replace("{vm}", name))
        world.write("vmkeep.conf", vmk.DEFAULTS + "[Store nas]\nPath=%s\n%s" % (path, "".join(line + "\n" for line in lines)))
        yield
        world.write("vmkeep.conf", vmk.DEFAULTS)
        if there:
            shutil.rmtree(path)
        elif os.path.exists(path):
            os.unlink(path)
    return before


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
        Case("store that is a file", text=stored(), before=store(there=False, command="touch {}")),
    ]
