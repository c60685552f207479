# SPDX-License-Identifier: MIT
"""`check FILE`: the file of a VM stands for the VM; of any other file only the text is checked, and a note says so."""
import os

import vmk
from checks import problems, vm


def test_a_file_is_read_by_the_client(daemon):
    path = os.path.join(daemon.base, "x.vm")
    with open(path, "w", encoding="utf-8") as f:
        f.write("[VM]\nMemry=1G\n[Disk root]\nPath=nowhere.raw\n")
    row, = problems(daemon, path)
    assert (row["severity"], row["line"], row["hint"]) == ("error", 2, None)


def test_the_file_of_a_vm_is_the_vm(daemon):
    """D9e: the VM's file, by any path, and its drop-ins stand for the VM, whose images are checked too; any other
    file is only parsed, and a note says so."""
    daemon.micro("a")
    os.unlink(daemon.images + "/a.raw")
    drop_in = daemon.write("a.vm.d/more.conf", "[VM]\nCPUs=2\n")
    path, link = os.path.join(daemon.config, "a.vm"), os.path.join(daemon.base, "b.vm")
    os.symlink(path, link)
    wanted = problems(daemon, "a")
    for name in (path, drop_in, link, os.path.join(daemon.config, ".", "a.vm"), daemon.base + "/run/../config/a.vm"):
        result = daemon.vmkeep("--json", "check", name)
        assert vmk.json.loads(result.out) == wanted and not result.err, result
    there = daemon.exec("sh", "-c", "cd $0 && $1 --run $2 --json check ./more.conf || true", daemon.config + "/a.vm.d",
                        daemon.program("vmkeep"), daemon.run)
    assert vmk.json.loads(there) == wanted
    assert "no such VM: nobody" in daemon.fails(4, "check", daemon.config + "/nobody.vm")
    # a copy is not the VM's file, wherever it is
    copy = os.path.join(daemon.base, "a.vm")
    with open(copy, "w", encoding="utf-8") as f:
        f.write(vmk.read_text(path))
    result = daemon.vmkeep("check", copy)
    assert (result.code, result.out) == (0, "no problems\n") and "note: only its text was checked" in result.err, result
    assert "because this is not a VM's file in %s" % daemon.config in result.err
    assert daemon.vmkeep("--quiet", "check", copy).err == ""
    # users who may not ask the daemon parse the file with their own rights
    os.chmod(daemon.config, 0o755)
    result = daemon.vmkeep("check", path, user="bob")
    assert result.code == 0 and "only its text was checked" in result.err and result.err.count("note: ") == 1, result


def test_a_file_without_a_daemon(world):
    world.write("a.vm", vm("no.raw"))
    drop_in = world.write("a.vm.d/more.conf", "[VM]\nCPUs=2\nMemry=1\n")
    result = world.vmkeep("check", world.config + "/a.vm")
    assert result.out == "no problems\n" and "vmkeepd is not running" in result.err, result
    row, = problems(world, drop_in)
    assert (row["file"], row["line"], row["key"]) == (drop_in, 3, "Memry"), row


def test_a_file_that_cannot_be_read_has_no_note(daemon):
    """Nothing of it was checked, so there is no note. The text may come from a pipe."""
    daemon.micro("a")
    for path in (daemon.base, "/dev/zero", daemon.base + "/none.vm"):
        said = daemon.vmkeep("check", path)
        assert said.code and "only its text" not in said.err, said
    text = vmk.read_text(daemon.config + "/a.vm")
    said = daemon.vmkeep("check", "-", input=text)
    assert said.code == 0 and "only its text" in said.err, said
    assert daemon.vmkeep("check", "-", input="[VM]\nMemry=1\n").code == 2
