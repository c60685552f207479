# SPDX-License-Identifier: MIT
"""The client: output, exit codes, and configuration files as documented."""
import json
import os
import subprocess

import pytest

import vmk


@pytest.mark.parametrize("code, argv", [
    (2, ["no-such-verb"]),
    (2, ["list", "--no-such-option"]),
    (2, ["start"]),
    (2, ["wait", "a", "doomsday"]),
    (2, ["set-memory", "a", "much"]),
    (4, ["info", "nobody"]),
    (4, ["start", "no*"]),
    (4, ["net", "show", "nowhere"]),
    (5, ["pause", "a"]),
    (0, ["list"]),
    (0, ["version"]),
    (0, ["help"]),
    (0, ["help", "start"]),
    (0, ["--version"]),
    (0, ["list", "z*"]),
    (0, ["list", "a"]),
    (4, ["list", "nobody"]),
])
def test_exit_codes(daemon, code, argv):
    daemon.micro("a")
    result = daemon.vmkeep(*argv)
    assert result.code == code, result
    assert bool(result.err) == (code != 0), result


def test_unreachable(world):
    said = world.fails(10, "list")
    assert "vmkeepd" in said and world.run in said


def test_did_you_mean(daemon):
    assert "'start'" in daemon.fails(2, "strat", "a")
    assert "--timeout" in daemon.fails(2, "stop", "a", "--timeuot", "3")


def test_list_for_people_and_programs(daemon):
    daemon.micro("a")
    daemon.micro("much-longer-name")
    daemon.up("a")
    lines = daemon.ok("list").splitlines()
    assert len(lines) == 3
    assert lines[0].startswith("NAME") and "STATE" in lines[0]
    column = lines[0].index("STATE")
    assert [line[column:].split()[0] for line in lines[1:]] == ["running", "stopped"]
    assert [(row["name"], row["state"]) for row in daemon.json("list")] == [
        ("a", "running"), ("much-longer-name", "stopped")]
    assert [row["name"] for row in daemon.rows("list", "--running")] == ["a"]
    assert [row["name"] for row in daemon.rows("list", "much*")] == ["much-longer-name"]
    assert daemon.rows("list")[0]["accel"] == "tcg"


def test_quiet_and_json(daemon):
    daemon.micro("a", "deaf")
    assert daemon.ok("-q", "start", "a") == ""
    assert daemon.one("info", "a")["state"] == "running"
    assert [row["name"] for row in daemon.json("info", "a", "a*")] == ["a"]
    assert daemon.one("kill", "a")["state"] == "stopped"


def test_errors_name_place_and_cure(daemon):
    said = daemon.fails(4, "start", "nobody")
    assert said.startswith("vmkeep: no such VM: nobody\n")
    daemon.write("a.vm", "[VM]\nNetworks=none\n[Disk root]\nPath=gone.raw\n")
    assert "hint: " in daemon.fails(4, "start", "a")


def test_an_empty_list(daemon):
    """The same columns as with VMs: one of them says what starts with the host."""
    heading = daemon.ok("list").split()
    daemon.micro("a", vm="Enable=yes\n")
    assert "BOOT" in heading and "ENABLED" not in heading
    assert set(daemon.ok("list").splitlines()[0].split()) <= set(heading)


def test_check_diff_reload(daemon):
    daemon.micro("a")
    daemon.up("a")
    assert daemon.ok("check") == "no problems\n"
    daemon.ok("diff", "a")
    daemon.ok("set", "a", "VM.Description=in force at once")
    assert daemon.rows("diff", "a") == []
    path = os.path.join(daemon.config, "a.vm")
    with open(path, encoding="utf-8") as f:
        text = f.read()
    daemon.write("a.vm", text.replace("16M", "32M"))
    result = daemon.vmkeep("--json", "diff", "a")
    assert result.code == 12, result
    row, = json.loads(result.out)
    assert (row["vm"], row["section"], row["key"], row["applies"]) == ("a", "VM", "Memory", "start")
    assert "16M" in str(row["running"]) and "32M" in str(row["configured"])
    assert daemon.info("a")["state"] == "running", "nothing touches a running guest"
    daemon.ok("reboot", "a")
    daemon.ok("diff", "a")


def test_cat(daemon):
    daemon.micro("a")
    daemon.write("a.vm.d/more.conf", "# why\n[VM]\nCPUs=2\n")
    text = daemon.ok("cat", "a")
    assert "Memory=16M" in text and "# why" in text and "more.conf" in text
    effective = daemon.ok("cat", "a", "--effective")
    assert "CPUs=2" in effective and "Accel=tcg" in effective and "OnPanic=restart" in effective
    again = os.path.join(daemon.base, "again.vm")
    with open(again, "w", encoding="utf-8") as f:
        f.write(effective)
    daemon.ok("check", again)


def test_drop_ins(daemon):
    daemon.micro("a")
    daemon.write("a.vm.d/20-b.conf", "[VM]\nCPUs=3\n")
    daemon.write("a.vm.d/10-a.conf", "[VM]\nCPUs=2\nDescription=%n in %s\n")
    daemon.write("a.vm.d/ignored.txt", "nonsense")
    daemon.up("a")
    assert daemon.rows("list")[0]["cpus"] == 3
    assert "Description=a in %s" % daemon.state in daemon.ok("cat", "a", "--effective")


def test_events_for_scripts(daemon):
    daemon.micro("a", "deaf")
    people = daemon.stream("events")
    programs = daemon.stream("--json", "events", "-f")
    one = daemon.stream("events", "--no-follow")
    daemon.eventually(lambda: len(os.listdir("/proc/%d/fd" % daemon.daemon_pid())), lambda n: n > 10)
    for _ in range(20):  # subscribed by then or not, at least one of these starts is seen
        daemon.ok("start", "a")
        daemon.ok("kill", "a")
        if people.read(0.05) and programs.read(0.05) and one.process.poll() is not None:
            break
    people.until("a.*running")
    line = json.loads(programs.until(r"(?s)\{.*?\n?\}\n").group())
    assert line["event"] and line["data"]["name"] == "a"
    assert one.wait() == 0


def test_interrupt_leaves_the_job(daemon):
    """F55: after Ctrl-C the stop continues, and the client says so."""
    daemon.micro("a", "leave")
    console = daemon.up("a")
    stop = daemon.stream("stop", "a")
    daemon.wait_state("a", "stopping")
    inner = [pid for pid, line in daemon.processes().items() if line.endswith("stop a")]
    daemon.kill(inner[-1], "INT")
    assert stop.wait() in (130, -2)
    assert "still running" in stop.stderr()
    console.type("x")
    daemon.wait_state("a", "stopped")


def test_completion(daemon):
    """What the installed bash completion offers."""
    daemon.micro("web1")
    daemon.micro("web2")

    def offers(*words):
        script = ("PATH=%s:$PATH VMKEEP_RUN=%s; export VMKEEP_RUN; . %s/scripts/completion.bash\n"
                  "COMP_WORDS=(vmkeep %s) COMP_CWORD=%d; _vmkeep; printf '%%s\\n' \"${COMPREPLY[@]}\"" % (
                      vmk.BUILD, daemon.run, vmk.ROOT, " ".join("'%s'" % w for w in words), len(words)))
        return set(daemon.exec("bash", "-c", script).split())
    assert {"start", "stop"} <= offers("st")
    assert offers("start", "w") == {"web1", "web2"}
    assert "--timeout" in offers("stop", "--t")
    assert "list" in offers("net", "")
    assert offers("set", "web1", "VM.Mem") == {"VM.Memory="}


def test_commands_of_others_name_our_files(daemon):
    """The daemon says where its files are, however the client was told which daemon to use."""
    ours = daemon.config + "/web1.vm"
    assert ours in daemon.fails(2, "attach-disk", "web1")
    for how in (["--run=" + daemon.run, "attach-disk", "web1"], ["attach-disk", "web1"]):
        done = subprocess.run(daemon.inside([daemon.program("vmkeep")] + how), capture_output=True, text=True,
                              check=False, env=dict(os.environ, VMKEEP_RUN=daemon.run))
        assert done.returncode == 2 and ours in done.stderr, done
