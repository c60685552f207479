# SPDX-License-Identifier: MIT
"""Each verb once, and each --dry-run: the answer is what query-schema says it returns, with all members and columns
and their types."""
import numbers

import vmk
from test_agent import DISK, boot
from test_image_fetch import server  # noqa: F401 (a fixture)
from test_run import image, running

TYPES = {
    "text": lambda v, f: isinstance(v, str),
    "number": lambda v, f: isinstance(v, numbers.Real) and not isinstance(v, bool),
    "bytes": lambda v, f: type(v) is int and v >= 0,
    "seconds": lambda v, f: isinstance(v, numbers.Real) and v >= 0,
    "Unix time": lambda v, f: isinstance(v, numbers.Real) and v > 10 ** 9,
    "bool": lambda v, f: isinstance(v, bool),
    "list of texts": lambda v, f: all(isinstance(text, str) for text in v),
    "object": lambda v, f: has_members(v, f["members"]),
    "list of objects": lambda v, f: all(has_members(o, f["members"]) for o in v),
    "columns and rows": lambda v, f: has_columns(v, f["members"]),
}


def fits(value, field):
    assert value is None or TYPES[field["type"]](value, field), (field["name"], value)
    return True


def has_members(value, members):
    fields = {field["name"]: field for field in members}
    assert not set(value) - set(fields), value
    return all(fits(v, fields[name]) for name, v in value.items())


def has_columns(value, columns):
    assert value["columns"] == [field["name"] for field in columns]
    for row in value["rows"]:
        assert len(row) == len(columns), row
        assert all(fits(cell, field) for cell, field in zip(row, columns))
    return True


def is_as_told(value, returns):
    if "columns" in returns:
        has_columns(value, returns["columns"])
        value = {k: v for k, v in value.items() if k not in ("columns", "rows")}
    return "members" not in returns or has_members(value, returns["members"])


class Told:
    """A client that checks each answer against the schema."""

    def __init__(self, world):
        self.world, self.returns, self.asked = world, {}, set()
        for verb in self.answer("query-schema")["verbs"]:
            for returns in (verb[key] for key in ("returns", "other") if key in verb):
                self.returns[verb["execute"], returns.get("with")] = returns

    def answer(self, execute, **arguments):
        client = self.world.client(timeout=60)
        try:
            return client.call(execute, **arguments)
        finally:
            client.close()

    def call(self, execute, **arguments):
        value = self.answer(execute, **arguments)
        other = next((name for name in ("security", "dry-run", "problems") if arguments.get(name)), None)
        assert is_as_told(value, self.returns[execute, other]), execute
        self.asked.add((execute, other))
        return value

    def run(self, world):
        """Its answer comes when another request has ended the VM."""
        run = running(world)
        world.ok("kill", run.name)
        assert is_as_told(run.result(), self.returns["vm-run", None])
        self.asked.add(("vm-run", None))


def test_each_answer_is_as_the_schema_says(daemon, linux, server):
    told = Told(daemon)
    told.call("query-schema")
    daemon.micro("a", disk="qcow2")
    boot(daemon, name="g", extra=DISK + "[CDROM cd]\n")

    def a(execute, **arguments):
        return told.call(execute, name="a", **arguments)

    def g(execute, **arguments):
        return told.call(execute, name="g", **arguments)

    told.call("qmp_capabilities")
    told.call("query-version")
    told.call("debug-loop")
    told.call("subscribe")
    told.call("host-check")
    told.call("store-list")
    told.call("image-list")
    told.call("vm-check")
    told.call("net-list")
    told.call("net-start", name="default")
    told.call("net-show", name="default")
    told.call("net-leases", name="default")
    told.call("net-stop", **{"name": "default", "dry-run": True})
    told.call("net-stop", name="default")

    a("vm-info")
    a("snapshot-create", snapshot="s1")
    a("snapshot-list")
    a("snapshot-revert", **{"snapshot": "s1", "dry-run": True})
    a("snapshot-revert", **{"snapshot": "none", "dry-run": True})
    a("snapshot-revert", snapshot="s1")
    a("snapshot-delete", snapshot="s1")
    a("vm-cat")
    a("vm-cmdline")
    told.call("vm-create", **{"name": "new", "disk": ["1M"], "dry-run": True})
    told.call("vm-create", name="new", disk=["1M"])
    image(daemon)
    told.run(daemon)
    a("vm-set", changes=["VM.CPUs=2", "NIC.lan.Link=up"])
    a("vm-set", **{"changes": ["VM.CPUs=3"], "dry-run": True})
    a("vm-enable")
    file = a("vm-file")
    a("vm-edit", version=file["version"], text=file["text"])
    a("vm-disable")
    a("vm-unset", **{"keys": ["VM.CPUs"], "dry-run": True})
    a("vm-unset", keys=["VM.CPUs", "NIC.lan.Link"])
    a("vm-start")
    assert a("vm-start")["changed"] is False
    a("vm-wait", condition="running")
    a("vm-info")
    a("vm-info", security=True)
    a("vm-ip")
    a("vm-console")
    a("vm-log")
    a("vm-pause")
    a("vm-resume")
    a("vm-reset")
    daemon.write("a.vm", vmk.read_text(daemon.config + "/a.vm").replace("16M", "24M"))
    daemon.write("b.vm", "[VM]\nMemory=1\n")
    assert a("vm-diff")["rows"]
    told.call("vm-check")
    assert told.call("reload", **{"dry-run": True})["rows"]
    told.call("reload")
    told.call("vm-list")
    told.call("vm-list", problems=True)
    a("vm-qmp", command={"execute": "query-status"})
    told.call("vms-shutdown", **{"dry-run": True})
    daemon.linux("n")
    daemon.ok("start", "n")
    daemon.ok("wait", "n", "ip", timeout=60)  # the verb's own minute may be too short for a slow machine
    told.call("vm-ssh", name="n")
    told.call("nic-link", name="n", id="lan", link="down")
    told.call("nic-attach", name="n", id="new")
    told.call("nic-detach", name="n", id="new", timeout=60)

    g("guest-ping")
    g("guest-info")
    g("guest-exec", command=["/bin/echo", "hi"])
    g("guest-exec", command=["/bin/sh", "-c", "kill -9 $$"])
    g("guest-push", path="/root/x")
    g("guest-pull", path="/etc/passwd")
    g("guest-fs")
    g("guest-trim")
    g("guest-freeze")
    g("guest-thaw")
    g("guest-time")
    g("guest-time", sync=True)
    g("guest-passwd", user="root", password="opensesame")
    g("guest-command", command={"execute": "guest-ping"})
    g("vm-info")
    g("vm-set-memory", size="96M")
    daemon.image("x.iso")
    g("vm-cd", action="insert", file="x.iso")
    g("vm-cd", action="eject")
    daemon.image("x.img")
    g("disk-attach", id="more", keys=["Path=x.img"])
    g("disk-detach", id="more")

    a("vm-reboot")
    job = daemon.client()
    serial = job.send("snapshot-create", {"name": "g", "snapshot": "s", "wait": False})
    started = job.result(serial)["job"]
    told.call("job-list")
    try:
        told.call("job-cancel", job=started)
    except vmk.Error as e:  # the job was faster
        assert e.error_class == "WrongState"
        told.asked.add(("job-cancel", None))
    daemon.eventually(lambda: daemon.rows("jobs"), lambda found: found == [], 60)
    g("vm-prepare")
    a("vm-stop")
    a("vm-kill")
    a("vm-reset-failed")
    a("vm-history")
    told.call("vms-shutdown")
    daemon.exec("rm", daemon.config + "/a.vm")
    a("vm-forget")
    daemon.exec("rm", daemon.config + "/b.vm")  # its errors might hide that it needs the image
    daemon.micro("a")
    daemon.up("a")
    a("vm-kill")
    a("vm-clone", new="d")
    told.call("image-fetch", image="web", url=server.url("get"), digest=server.image())
    told.call("image-rm", image="web")
    told.call("image-prune", **{"dry-run": True, "all": True})
    told.call("image-prune", all=True)
    a("vm-rename", new="c")
    told.call("vm-rename", name="c", new="a")
    a("vm-delete", **{"disks": True, "dry-run": True})
    a("vm-delete", disks=True)
    told.call("reexec")
    assert told.asked == set(told.returns)
