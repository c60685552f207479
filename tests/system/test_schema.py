# SPDX-License-Identifier: MIT
"""What each verb prints with --json, with a real daemon and a real guest, matches its JSON schema: nothing is missing
and nothing is undescribed."""
import glob
import json
import os
import shutil

import vmk
from test_agent import boot
from test_image_fetch import server  # noqa: F401 (a fixture)

TYPES = {"object": dict, "array": list, "string": str, "boolean": bool, "null": type(None), "integer": int,
         "number": (int, float)}
STREAMS = {"console", "log", "events", "run"}
GOLDEN = os.path.join(vmk.ROOT, "tests", "golden")


def is_of(kind, value):
    return isinstance(value, TYPES[kind]) and (kind == "boolean" or not isinstance(value, bool))


def faults(schema, value, where="it"):
    """Mismatches as text; none if the value matches. Implements only the part of JSON Schema that ours use."""
    for word in ("anyOf", "oneOf"):
        if word in schema:
            found = [faults(one, value, where) for one in schema[word]]
            return [] if [] in found else min(found, key=len)
    kinds = schema.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if kinds and not any(is_of(kind, value) for kind in kinds):
        return ["%s is %r and not %s" % (where, value, " or ".join(kinds))]
    found = []
    if isinstance(value, dict) and "properties" in schema:
        found += ["%s lacks %s" % (where, key) for key in schema["required"] if key not in value]
        found += ["%s has %s, which is not described" % (where, key) for key in value if key not in schema["properties"]]
        for key in value.keys() & schema["properties"].keys():
            found += faults(schema["properties"][key], value[key], "%s.%s" % (where, key))
    if isinstance(value, list):
        for n, one in enumerate(value):
            found += faults(schema.get("items", {}), one, "%s[%d]" % (where, n))
    return found


def test_recorded_answers_fit():
    """The recorded answers of tests/unit/client_golden.c."""
    paths = glob.glob(os.path.join(GOLDEN, "cli", "*.json"))
    assert len(paths) > 50
    for path in paths:
        verb = os.path.basename(path)[:-len(".json")].split("+")[0]
        with open(os.path.join(GOLDEN, "schema", verb + ".json"), encoding="utf-8") as f:
            schema = json.load(f)
        with open(path, encoding="utf-8") as f:
            text = f.read()
        if text.startswith("---"):  # it prints no JSON
            continue
        value = json.loads(text.split("\n---")[0])
        assert not faults(schema, value), path


class Lines:
    """Runs command lines and remembers which verbs they used."""

    def __init__(self, world):
        self.world, self.verbs, self.seen = world, world.json("schema")["verbs"], set()

    def verb_of(self, words):
        return next(verb for n in (2, 1) for verb in self.verbs if verb.get("command") == " ".join(words[:n]))

    def run(self, line, code=0, **how):
        verb = self.verb_of(line.split())
        result = self.world.vmkeep("--json", *line.split(), timeout=90, **how)
        assert result.code == code, result
        value = json.loads(result.out)
        wrong = faults(self.world.json("schema", verb["command"]), value)
        assert not wrong, (line, wrong)
        self.seen.add(verb["command"])
        return value


def test_real_answers_fit(daemon, linux, server):
    lines = Lines(daemon)
    daemon.micro("micro", "deaf", disk="qcow2")
    boot(daemon, extra="[NIC lan]\n[CDROM cd]\n")
    daemon.image("x.iso")
    daemon.image("data.img")
    daemon.write("bad.vm", "[VM]\nColour=red\n")
    for line in ("list", "info micro", "info a", "info bad a", "info --security a", "ip a", "history a", "cat a",
                 "cmdline a", "jobs", "store list", "image list", "net list", "net show default", "net leases default", "net stop --dry-run other",
                 "shutdown-all --dry-run", "version", "schema", "schema list", "wait a running", "pause a", "pause a",
                 "resume a", "guest ping a", "guest info a", "guest fs a", "guest trim a", "guest freeze a",
                 "guest thaw a", "guest time a", "guest exec a -- /bin/echo x", "guest command a guest-get-vcpus",
                 "set-memory a 96M", "cd a insert x.iso", "cd a eject", "disk attach a data Path=data.img", "disk detach a data", "nic link a lan up", "nic attach a new", "nic detach a new --timeout 60", "create new --disk 1M --dry-run", "create new --disk 1M --network none", "set a VM.Description=x VM.CPUs=2", "set a VM.CPUs=3 --dry-run", "unset a VM.CPUs --dry-run",
                 "unset a VM.CPUs VM.Description", "enable micro a", "disable micro", "snapshot create micro one", "snapshot list micro",
                 "snapshot revert micro one --dry-run", "snapshot revert micro one", "snapshot delete micro one",
                 "start micro", "start micro a", "reset micro", "reset-failed micro", "kill micro", "start --paused micro",
                 "kill micro"):
        code = 4 if "other" in line else 0
        lines.run(line, code)
    lines.run('qmp a query-status')
    lines.run("ssh a --timeout 1", 6)  # its guest asks for no address
    lines.run("guest passwd a root", input="secret\n")
    lines.run("guest push a %s /tmp/pushed" % os.path.join(daemon.config, "bad.vm"))
    lines.run("guest pull a /tmp/pushed %s/pulled" % daemon.base)
    lines.run("edit micro", env={"VISUAL": "sed -i s/16M/24M/"})
    lines.run("edit micro", env={"VISUAL": "sed -i s/24M/16M/"})
    lines.run("net stop default --dry-run", 5)
    lines.run("check", 2)
    lines.run("reload", 2)
    lines.run("reload --dry-run", 2)
    host = daemon.vmkeep("host", "check")
    lines.run("host check", host.code)
    daemon.write("micro.vm.d/more.conf", "[VM]\nCPUs=2\n")
    lines.run("start micro")
    daemon.write("micro.vm.d/more.conf", "[VM]\nCPUs=3\n")
    assert [row["key"] for row in lines.run("diff micro", daemon.vmkeep("diff", "micro").code)] == ["CPUs"]
    job = lines.run("stop micro --no-wait --timeout 60")[0]["job"]
    assert lines.run("jobs")[0]["job"] == job
    lines.run("job cancel %d" % job, daemon.vmkeep("job", "cancel", str(job)).code)
    # one of the two fails
    answers = lines.run("pause nobody a", 4)
    assert (answers[0]["name"], answers[0]["error"]["class"], answers[1]["state"]) == ("nobody", "NotFound", "paused")
    lines.run("kill micro a")
    lines.run("net stop default")
    lines.run("net start default")
    lines.run("reboot micro", 5)
    lines.run("stop micro")
    lines.run("shutdown-all")
    lines.run("template prepare micro", 5)
    lines.run("clone new copy")
    lines.run("image fetch web %s --digest %s" % (server.url("get"), server.image()))
    os.unlink(os.path.join(daemon.config, "bad.vm"))  # it might name the image
    lines.run("image rm web")
    lines.run("image prune --dry-run --all")
    lines.run("image prune --yes --all")
    lines.run("rename new newer")
    lines.run("delete newer --yes")
    os.unlink(os.path.join(daemon.config, "micro.vm"))
    shutil.rmtree(os.path.join(daemon.config, "micro.vm.d"))
    lines.run("forget micro")
    lines.run("reexec")
    left = {verb["command"] for verb in lines.verbs if verb.get("command")} - lines.seen - STREAMS
    assert not left, "these were not run"
