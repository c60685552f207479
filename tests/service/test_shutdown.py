# SPDX-License-Identifier: MIT
"""vmkeep-shutdown, which vmkeep-guests.service runs when the host shuts down: whatever hangs, it tries the next way,
observes [Shutdown] TimeoutSec= and ends. Programs that hang replace vmkeep and vmkeepd."""
import os
import re
import signal
import subprocess

import pytest

SCRIPT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "scripts", "systemd", "vmkeep-shutdown")
PATIENCE = 120  # seconds; only ends a hung test
FAKE = """#!/bin/sh
echo "$(basename "$0") $*" >>"$(dirname "$0")/said"
for word; do
	case $word in
	version | --shutdown-time | shutdown-all | --shutdown-all) rule=$(basename "$0")-${word#--} ;;
	esac
done
# the n-th time as the n-th word says, then as the last one
set -- $(cat "$(dirname "$0")/rules/$rule" 2>/dev/null || echo 0)
for _ in $(seq 2 "$(grep -c "^$rule$" "$(dirname "$0")/count")"); do [ $# -eq 1 ] || shift; done
case $1 in
hangs) exec sleep 1000 ;;
deaf) trap '' TERM; exec sleep 1000 ;;
print=*) echo "${1#print=}"; exit 0 ;;
*) exit "$1" ;;
esac
""".replace("# the n-th", 'echo "$rule" >>"$(dirname "$0")/count"\n# the n-th', 1)


class Stage:
    def __init__(self, directory):
        self.dir = directory
        os.mkdir(os.path.join(directory, "rules"))
        with open(SCRIPT) as f:
            text = f.read()
        for pattern, to in (("/usr/s?bin/", directory + "/"), ("/run/vmkeep/lock", directory + "/lock"), ("^SLACK=30", "SLACK=1"),
                            ("timeout -k 5 10 ", "timeout -k 1 1 "), ("-k 5 ", "-k 1 ")):
            text, n = re.subn(pattern, to, text, flags=re.M)
            assert n, "the script has no %s" % pattern
        self.write("vmkeep-shutdown", text)
        for name in ("vmkeep", "vmkeepd"):
            self.write(name, FAKE)
        self.write("said", "")
        self.rule("vmkeepd-shutdown-time", "print=2")

    def write(self, name, text):
        path = os.path.join(self.dir, name)
        with open(path, "w") as f:
            f.write(text)
        os.chmod(path, 0o755)

    def rule(self, program, words):
        self.write("rules/" + program, words)

    def run(self):
        """Its exit status, and the commands that it ran, without the checks whether a daemon answers."""
        done = subprocess.run(["sh", os.path.join(self.dir, "vmkeep-shutdown")], timeout=PATIENCE, stdin=subprocess.DEVNULL,
                              stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        with open(os.path.join(self.dir, "said")) as f:
            said = [line.strip() for line in f if "version" not in line and "--shutdown-time" not in line]
        return done.returncode, said


@pytest.fixture
def stage(tmp_path):
    return Stage(str(tmp_path))


def kinds(said):
    return [line.split()[0] for line in said]


@pytest.mark.parametrize("code", [0, 1, 8])
def test_daemon_does_it(stage, code):
    stage.rule("vmkeep-shutdown-all", str(code))
    got, (said,) = stage.run()
    assert got == code and re.fullmatch("vmkeep shutdown-all --timeout [12]s", said), said


@pytest.mark.parametrize("how", ["hangs", "deaf", "10"])
@pytest.mark.parametrize("code", [0, 1])
def test_client_that_hangs_is_ended(stage, how, code):
    """With 124, 137, or a daemon that died in the meantime, vmkeepd does it instead, and its result counts."""
    stage.rule("vmkeep-shutdown-all", how)
    stage.rule("vmkeepd-shutdown-all", str(code))
    got, said = stage.run()
    assert (got, kinds(said)) == (code, ["vmkeep", "vmkeepd"]), said
    assert re.fullmatch("vmkeepd --shutdown-all [12]s", said[1]), "what is left of the time, a second at least"


@pytest.mark.parametrize("how", ["hangs", "deaf", "10"])
def test_daemon_that_hangs_is_killed(stage, how):
    """It holds the run directory and does not answer."""
    stage.rule("vmkeep-version", how)
    stage.rule("vmkeepd-shutdown-all", "3 0")
    holder = subprocess.Popen(["sleep", "1000"])
    try:
        stage.write("lock", "%d\n" % holder.pid)
        got, said = stage.run()
        assert (got, kinds(said)) == (0, ["vmkeepd", "vmkeepd"]), said
        assert holder.wait(PATIENCE) == -signal.SIGKILL
    finally:
        holder.kill()
        holder.wait()


def test_daemon_that_answers_again_is_not_killed(stage):
    """Another one has just started: it gets the request."""
    stage.rule("vmkeep-version", "10 0")
    stage.rule("vmkeepd-shutdown-all", "3")
    holder = subprocess.Popen(["sleep", "1000"])
    try:
        stage.write("lock", "%d\n" % holder.pid)
        got, said = stage.run()
        assert (got, kinds(said)) == (0, ["vmkeepd", "vmkeep"]), said
        assert holder.poll() is None
    finally:
        holder.kill()
        holder.wait()


@pytest.mark.parametrize("how, code", [("hangs", 124), ("deaf", 137)])
def test_nothing_hangs_for_ever(stage, how, code):
    """After three tries the host shuts down all the same."""
    stage.rule("vmkeep-version", "10")
    stage.rule("vmkeepd-shutdown-all", how)
    got, said = stage.run()
    assert (got, kinds(said)) == (code, ["vmkeepd"] * 3), said


@pytest.mark.parametrize("how", ["hangs", "1"])
def test_budget_that_cannot_be_read(stage, how):
    stage.rule("vmkeepd-shutdown-time", how)
    got, (said,) = stage.run()
    assert got == 0 and re.fullmatch("vmkeep shutdown-all --timeout (2..|300)s", said), said
