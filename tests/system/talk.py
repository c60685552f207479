# SPDX-License-Identifier: MIT
"""Talking to a daemon: the control protocol by hand, and programs with awaited output."""
import contextlib
import json
import os
import pty
import re
import select
import signal
import socket
import subprocess
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.abspath(os.environ.get("VMKEEP_BUILD", os.path.join(ROOT, "build")))
SANITIZED = "/san" in BUILD
# Deadlines only end hung tests; no test judges how long something took. Each deadline is many times what a quiet
# machine needs, times four; VMKEEP_SLOW=N multiplies it by N.
SLOW = 4 * float(os.environ.get("VMKEEP_SLOW", 3 if SANITIZED else 1))


class Result:
    def __init__(self, argv, code, out, err):
        self.argv, self.code, self.out, self.err = argv, code, out, err

    def __str__(self):
        return "$ %s\n%s%s[exit %d]" % (" ".join(self.argv), self.out, self.err, self.code)

    __repr__ = __str__


class Error(Exception):
    """The daemon's error, in place of a result."""

    def __init__(self, error):
        super().__init__("%(class)s: %(desc)s" % error)
        self.error_class, self.desc, self.hint = error["class"], error["desc"], error.get("hint", "")


class Client:
    """The control protocol by hand. Every wait has a deadline, in seconds, multiplied by SLOW."""

    def __init__(self, path, timeout=10, uid=0, groups=()):
        self.timeout, self.buffer, self.events, self.serial = timeout, b"", [], 0
        self.answered = []  # ids in the order of their replies
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(timeout * SLOW)
        before = os.getgroups()
        os.setgroups(groups or before)
        os.seteuid(uid)  # the daemon sees the effective uid
        try:
            self.socket.connect(path)
        finally:
            os.seteuid(0)
            os.setgroups(before)
        self.greeting = self.receive()

    def close(self):
        self.socket.close()

    def receive(self, timeout=None):
        """The next message; EOFError if the daemon closed the connection."""
        end = time.monotonic() + (self.timeout if timeout is None else timeout) * SLOW
        while b"\n" not in self.buffer:
            self.socket.settimeout(max(end - time.monotonic(), 0.001))
            data = self.socket.recv(1 << 16)
            if not data:
                raise EOFError("the daemon closed the connection")
            self.buffer += data
        line, self.buffer = self.buffer.split(b"\n", 1)
        message = json.loads(line)
        if "id" in message:
            self.answered.append(message["id"])
        return message

    def send(self, execute, arguments=None):
        self.serial += 1
        request = {"execute": execute, "id": self.serial}
        if arguments is not None:
            request["arguments"] = arguments
        self.socket.sendall(json.dumps(request).encode() + b"\n")
        return self.serial

    def call(self, execute, **arguments):
        return self.result(self.send(execute, arguments or None))

    def result(self, serial, timeout=None):
        """The result of a request sent before; replies to other requests are dropped."""
        while True:
            message = self.receive(timeout)
            if "event" in message:
                self.events.append(message)
            elif message.get("id") == serial:
                if "error" in message:
                    raise Error(message["error"])
                return message["return"]

    def event(self, name, wanted=lambda data: True, timeout=None):
        """The data of the next such event; earlier events are dropped."""
        end = time.monotonic() + (self.timeout if timeout is None else timeout) * SLOW
        while True:
            while self.events:
                message = self.events.pop(0)
                if message["event"] == name and wanted(message["data"]):
                    return message["data"]
            message = self.receive(max(end - time.monotonic(), 0.001) / SLOW)
            if "event" in message:
                self.events.append(message)

    def before(self, serial, execute, **arguments):
        """The result of a request that is answered before this one, which was sent earlier and is slow."""
        result = self.call(execute, **arguments)
        assert serial not in self.answered, "%s waited for the request before it" % execute
        return result

    def at_once(self, execute, **arguments):
        """The error of a request that does not wait for anything: a request sent right after it is not answered
        first."""
        first, second = self.send(execute, arguments), self.send("query-version")
        try:
            self.result(first)
        except Error as e:
            assert second not in self.answered, "%s was answered after another request" % execute
            return e
        raise AssertionError("%s succeeds" % execute)


class Stream:
    """A program whose output is awaited and whose input is typed, over pipes or a terminal."""

    def __init__(self, argv, terminal=False, env=None):
        self.text, self.seen, self.errors = "", 0, None
        if terminal:
            self.fd, slave = pty.openpty()
            self.process = subprocess.Popen(argv, stdin=slave, stdout=slave, stderr=slave,
                                            start_new_session=True, env=env)
            os.close(slave)
            self.input = self.fd
        else:
            self.errors = tempfile.TemporaryFile()
            self.process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                            stderr=self.errors, env=env)
            self.fd, self.input = self.process.stdout.fileno(), self.process.stdin.fileno()

    def type(self, text):
        os.write(self.input, text.encode("latin-1"))

    def read(self, timeout):
        if not select.select([self.fd], [], [], max(timeout, 0))[0]:
            return False
        try:
            data = os.read(self.fd, 1 << 16)
        except OSError:  # the other end of the terminal is closed
            data = b""
        self.text += data.decode("latin-1")
        return bool(data)

    def until(self, pattern, timeout=10):
        """Waits for this regular expression in the output not consumed yet; returns the match."""
        end = time.monotonic() + timeout * SLOW
        while True:
            match = re.compile(pattern).search(self.text, self.seen)
            if match:
                self.seen = match.end()
                return match
            left = end - time.monotonic()
            if left <= 0 or not self.read(left):
                raise AssertionError("no %r in what came%s: %r" % (
                    pattern, "" if left > 0 else " in time", self.text[self.seen:][-2000:]))

    def run(self, command, timeout=10):
        """Runs a command on the Linux guest's console and returns its output; its exit status must be 0."""
        mark = "done-%d" % len(self.text)
        self.type("%s; echo '%s' $?\n" % (command, mark))
        start = self.seen
        match = self.until(mark + r" (\d+)\r?\n", timeout)
        output = self.text[start:match.start()].replace("\r", "")
        assert match.group(1) == "0", "%r in the guest: %s" % (command, output)
        return output

    def close_input(self):
        self.process.stdin.close()

    def stderr(self):
        self.errors.seek(0)
        return self.errors.read().decode()

    def wait(self, timeout=10):
        end = time.monotonic() + timeout * SLOW
        while self.read(end - time.monotonic()):
            pass
        return self.process.wait(max(end - time.monotonic(), 0.1))

    def end(self):
        if self.process.poll() is None:
            for pid in children(self.process.pid) or [self.process.pid]:  # nsenter exits with its child
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        self.process.wait()


def children(pid):
    return [int(child) for child in read_text("/proc/%d/task/%d/children" % (pid, pid)).split()]


def read_text(path):
    with open(path, encoding="utf-8", errors="backslashreplace") as f:
        return f.read()
