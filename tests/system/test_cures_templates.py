# SPDX-License-Identifier: MIT
"""Hints about templates are followed to the letter, and then what was refused works."""
from cures import cure, rows_of
from test_templates import overlay, shell, template


@cure("vmkeep clone %s NEW --linked makes a VM from it; vmkeep set %s VM.Template=no makes it an ordinary one")
def it_does_not_start(p, daemon):
    template(daemon)
    hint = p.refused("start", "t", code=5)
    daemon.ok(*[word.replace("NEW", "b") for word in hint.split(" makes")[0].split()[1:]])
    daemon.up("b")
    daemon.ok("kill", "b")
    daemon.ok("delete", "b", "--yes")
    daemon.ok(*hint.split("; vmkeep ")[1].split(" makes")[0].split())
    daemon.up("t")


@cure("vmkeep set %s VM.Template=yes makes it one")
def it_is_no_template(p, daemon):
    template(daemon)
    daemon.ok("set", "t", "VM.Template=no")
    hint = p.refused("clone", "t", "a", "--linked", code=5)
    daemon.ok(*hint.split(" makes")[0].split()[1:])
    daemon.ok("clone", "t", "a", "--linked")


@cure("vmkeep clone %s NEW copies it")
def it_is_in_no_store(p, daemon):
    template(daemon)
    shell(daemon, "mv t.qcow2 %s/" % daemon.base)
    daemon.ok("set", "t", "Disk.root.Path=%s/t.qcow2" % daemon.base)
    hint = p.refused("clone", "t", "a", "--linked", code=3)
    daemon.ok(*[word.replace("NEW", "a") for word in hint.split(" copies")[0].split()[1:]])
    daemon.up("a")


@cure("vmkeep delete %s, if it is not needed any more; or change a copy: vmkeep clone %s NEW")
def others_are_based_on_it(p, daemon):
    template(daemon)
    overlay(daemon)
    hint = p.refused("set", "t", "VM.Template=no", code=3)
    daemon.ok(*[word.replace("NEW", "b") for word in hint.split("copy: ")[1].split()[1:]])
    daemon.ok(*hint.split(",")[0].split()[1:], "--yes")
    daemon.ok("set", "t", "VM.Template=no")


@cure("vmkeep set %s Disk.%s.Path=%s, then the image keeps its name")
def its_image_has_its_name(p, daemon):
    template(daemon)
    shell(daemon, "mv t.qcow2 t-root.qcow2")
    daemon.ok("set", "t", "Disk.root.Size=1M")
    daemon.ok("unset", "t", "Disk.root.Path")
    overlay(daemon)
    daemon.ok("set", "a", "Disk.root.Base=t-root.qcow2")
    hint = p.refused("rename", "t", "u", code=3)
    daemon.ok(*hint.split(",")[0].split()[1:])
    daemon.ok("rename", "t", "u")


test_cure = rows_of(__name__)
