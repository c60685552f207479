# SPDX-License-Identifier: MIT
"""What the tests of `check` have in common."""
import vmk


def problems(world, *names, code=2):
    """The rows of check as dictionaries; its exit code must be this one."""
    result = world.vmkeep("--json", "check", *names)
    assert result.code == code, result
    return vmk.json.loads(result.out)


def only(world, name, severity="error"):
    row, = problems(world, name, code=2 if severity == "error" else 0)
    assert row["severity"] == severity
    return row


def vm(path, more="", head="[VM]\nMemory=16M\nNetworks=none\n"):
    return "%s[Disk root]\nPath=%s\n%s" % (head, path, more)


def same(world, name, code, key, says):
    """check and start refuse it: one row, with the class, reason and hint of start. Nothing of it is left."""
    row = only(world, name)
    assert row["key"] == key and says in row["reason"], row
    result = world.vmkeep("--json", "start", name)
    assert result.code == code, result
    error = vmk.json.loads(result.out)[0]["error"]
    assert (error["class"], error["desc"], error.get("hint")) == (row["class"], row["reason"], row["hint"])
    return row
