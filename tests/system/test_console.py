# SPDX-License-Identifier: MIT
"""Console and log: nothing is lost, nothing is delayed, and terminals are safe."""
import os
import socket

import vmk

HOSTILE = "\x1b]0;owned\x07\x1b[31mred\x9b5n\r\n"


def test_past_lines_then_live(daemon):
    daemon.micro("a", "echo", "first\r\nsecond\r\n")
    daemon.up("a", "second")
    console = daemon.console("a")
    console.until("first\r?\nsecond")
    console.type("xyz")
    console.until("xyz")
    assert daemon.stream("console", "a", "--lines", "1").until("(?s)^.*xyz").group().count("first") == 0


def test_several_watchers_and_one_that_reads_only(daemon):
    daemon.micro("a", "echo")
    first = daemon.up("a")
    second = daemon.console("a")
    second.until("up")
    watcher = daemon.stream("console", "a", "--watch")
    watcher.until("up")
    first.type("hello")
    for each in (first, second, watcher):
        each.until("hello")
    watcher.type("never\n")
    second.type("again")
    watcher.until("again")
    assert "never" not in first.text + second.text + watcher.text


def test_leaving(daemon):
    """Ctrl-] and Enter ~. both disconnect; a message says so when the console is attached."""
    daemon.micro("a", "echo")
    daemon.up("a")
    for keys in ("\x1d", "\r~."):
        terminal = daemon.stream("console", "a", terminal=True)
        terminal.until(r"Ctrl-\]")
        terminal.until("up")
        terminal.type(keys)
        assert terminal.wait() == 0, terminal.text
    terminal = daemon.stream("console", "a", terminal=True)
    terminal.until("up")
    terminal.type("a~.b")
    terminal.until("a~.b")
    terminal.type("\x1d")
    assert terminal.wait() == 0


def test_daemon_goes(daemon):
    """An attached client reports that the daemon has gone, and that guests keep running."""
    daemon.micro("a", "echo")
    daemon.up("a")
    terminal = daemon.stream("console", "a", terminal=True)
    terminal.until("up")
    daemon.kill_daemon()
    terminal.until("Disconnected: vmkeepd is gone; guests keep running")
    assert terminal.wait() == 10
    daemon.start()


def test_terminal_is_put_back(daemon):
    daemon.micro("a", "echo")
    daemon.up("a")
    argv = daemon.inside(["sh", "-c", 'before=$(stty -g); "$@"; test "$before" = "$(stty -g)" && echo same',
                          "sh", daemon.program("vmkeep"), "--run", daemon.run, "console", "a"])
    terminal = type(daemon.console("a"))(argv, terminal=True)
    daemon.streams.append(terminal)
    terminal.until("up")
    terminal.type("\x1d")
    terminal.until("same")


def test_pipe(daemon):
    """Without a terminal, output is printed after the input ends, until the guest or a signal ends it."""
    daemon.micro("a", "echo")
    watcher = daemon.up("a")
    piped = daemon.stream("console", "a", "--lines", "0")
    piped.type("by pipe")
    piped.close_input()
    watcher.until("by pipe")
    piped.until("by pipe")
    watcher.type("more")
    piped.until("more")
    daemon.ok("kill", "a")
    assert piped.wait() == 0


def test_guest_that_ends_ends_its_consoles(daemon):
    daemon.micro("a", "leave")
    console = daemon.up("a")
    other = daemon.console("a")
    other.until("up")
    console.type("x")
    assert console.wait() in (0, 5)
    assert other.wait() in (0, 5)
    daemon.wait_state("a", "stopped")


def test_stopped_guest_has_no_console(daemon):
    daemon.micro("a")
    daemon.fails(5, "console", "a")
    daemon.fails(4, "console", "nobody")


def test_reader_that_does_not_read_holds_up_nobody(daemon):
    """A flood of dots and a client that never reads: the daemon answers, and the flood continues."""
    daemon.micro("a", "chatter")
    console = daemon.up("a")
    stuck = daemon.client()
    stuck.send("vm-console", {"name": "a"})
    seen = len(console.text)
    daemon.eventually(lambda: console.read(0) or len(console.text), lambda n: len(console.text) > seen + 5000)
    daemon.ok("list")
    stuck.close()


def test_log_is_capped(daemon):
    daemon.micro("a", "chatter", extra="[Serial console]\nLogSize=64K\nLogKeep=1\n")
    daemon.up("a")
    folder = os.path.join(daemon.log, "a")
    daemon.eventually(lambda: sorted(os.listdir(folder)),
                      lambda names: len([n for n in names if n.startswith("console")]) == 2, timeout=60)
    sizes = {name: os.path.getsize(os.path.join(folder, name)) for name in os.listdir(folder)}
    assert all(size <= 80 << 10 for name, size in sizes.items() if name.startswith("console")), sizes


def test_what_is_drained_takes_no_memory(daemon):
    daemon.micro("a", "chatter")
    daemon.up("a")
    folder = daemon.inner(os.path.join(daemon.run, "vms", "a", "out"))

    def files():
        return [os.stat(os.path.join(folder, n)) for n in os.listdir(folder)
                if os.path.isfile(os.path.join(folder, n))]

    daemon.eventually(lambda: max(f.st_size for f in files()), lambda size: size > 300 << 10, timeout=60)
    assert max(f.st_blocks * 512 for f in files()) < 256 << 10


def test_nothing_is_lost_while_the_daemon_is_down(daemon):
    """The guest numbers its answers with letters, so a gap would be visible."""
    daemon.micro("a", "count")
    console = daemon.up("a")
    console.type("...")
    console.until("abc")
    daemon.kill_daemon()
    daemon.start()
    console = daemon.console("a")
    console.until("(?s)up.*abc")
    console.type("..")
    console.until("de")
    assert "abcde" in daemon.ok("log", "a")


def test_nothing_is_lost_of_a_guest_that_ends_while_the_daemon_is_down(daemon):
    daemon.micro("a", "echo")
    daemon.up("a")
    pid = daemon.info("a")["pid"]
    daemon.kill_daemon()
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(10 * vmk.SLOW)
        s.connect(daemon.inner(os.path.join(daemon.run, "vms", "a", "serial-console.sock")))
        s.sendall(b"final line")
        seen = b""
        while b"final line" not in seen:
            seen += s.recv(4096)
    # QEMU sends a byte to the socket before it writes it to the file
    out = daemon.inner(os.path.join(daemon.run, "vms", "a", "out", "serial-console"))
    daemon.eventually(lambda: vmk.read_text(out), lambda text: "final line" in text)
    daemon.kill(pid)
    daemon.start()
    daemon.eventually(lambda: daemon.ok("log", "a"), lambda text: "final line" in text)


def test_a_file_that_its_writer_cuts(daemon):
    """Suspected 10: output after a truncation is read, also by the next daemon."""
    daemon.micro("a", "echo")
    console = daemon.up("a")
    out = daemon.inner(os.path.join(daemon.run, "vms", "a", "out", "serial-console"))
    for word in ("one", "two", "three"):
        console.type(word)
        console.until(word)
        os.truncate(out, 0)
    daemon.kill_daemon()
    os.truncate(out, 0)
    daemon.start()
    console = daemon.console("a")
    console.type("four")
    console.until("four")


def test_log(daemon):
    daemon.micro("a", "echo", "one\r\ntwo\r\nthree\r\n")
    console = daemon.up("a", "three")
    follower = daemon.stream("log", "a", "-f")
    follower.until("three")
    console.type("four")
    follower.until("four")
    daemon.ok("kill", "a")
    log = daemon.ok("log", "a")
    assert "one" in log and "four" in log, "the log stays when the guest is gone"
    assert "two" not in daemon.ok("log", "a", "-n", "1")
    daemon.ok("log", "a", "qemu")


def test_an_empty_log_says_so(daemon):
    """To people only."""
    daemon.micro("a", "deaf")
    daemon.up("a")
    terminal = daemon.stream("log", "a", "qemu", terminal=True)
    terminal.until("note: nothing is logged")
    assert terminal.wait() == 0 and daemon.ok("log", "a", "qemu") == ""


def test_escapes_reach_no_terminal_through_the_log(daemon):
    daemon.micro("a", "deaf", HOSTILE + "end\r\n")
    daemon.up("a", "end")
    terminal = daemon.stream("log", "a", terminal=True)
    terminal.until("end")
    assert "\x1b" not in terminal.text and "\x9b" not in terminal.text and "\x07" not in terminal.text
    assert "owned" in terminal.text


def test_escapes_reach_no_terminal_through_errors(daemon):
    """QEMU's messages may quote a guest or an image; they are escaped."""
    daemon.micro("a", extra="[QEMU]\nArgs=-device no-such-ä-device\n")
    terminal = daemon.stream("start", "a", terminal=True)
    assert terminal.wait() == 7
    assert "no-such" in terminal.text


def test_drained_output_takes_no_room(daemon):
    """However small the pieces: pages are freed even if no single piece fills one."""
    daemon.micro("a", "deaf")
    daemon.up("a")
    path = daemon.inner(os.path.join(daemon.run, "vms", "a", "out", "serial-console"))
    log = os.path.join(daemon.log, "a", "console.log")
    for _ in range(60):
        before = os.path.getsize(log)
        with open(path, "ab") as f:
            f.write(b"x" * 2999 + b"\n")
        daemon.eventually(lambda: os.path.getsize(log), lambda size: size >= before + 3000)
    daemon.eventually(lambda: os.stat(path).st_blocks, lambda n: n <= 8)


def test_start_and_console(daemon):
    """All that this start wrote, and nothing of the one before; leaving leaves the guest."""
    daemon.micro("a", "echo", "first\r\nready\r\n")
    daemon.up("a", "ready")
    daemon.ok("kill", "a")
    terminal = daemon.stream("start", "a", "--console", terminal=True)
    terminal.until(r"a: running[^$]*Connected to a\. Leave with Ctrl-\][^$]*first\r\nready\r\n")
    assert terminal.text.count("first") == 1
    terminal.type("x")
    terminal.until("x")
    terminal.type("\x1d")
    assert terminal.wait() == 0 and "it keeps running" in terminal.text
    assert daemon.states() == {"a": "running"}


def test_start_and_console_of_a_guest_that_runs(daemon):
    """As console: the last lines."""
    daemon.micro("a", "echo", "first\r\nready\r\n")
    daemon.up("a", "ready")
    daemon.ok("kill", "a")
    daemon.up("a", "ready")
    piped = daemon.stream("start", "a", "--console")
    piped.until("a: already running\n[^$]*first\r\nready[^$]*first\r\nready")
    piped.type("by pipe")
    piped.until("by pipe")


def test_start_and_console_refused(daemon):
    """Before anything is started, or because nothing was."""
    daemon.micro("a")
    daemon.micro("b")
    for words in (["a", "b"], ["*"], ["a", "--no-wait"]):
        assert "--console" in daemon.fails(2, "start", *words, "--console")
    assert set(daemon.states().values()) == {"stopped"}
    daemon.fails(4, "start", "nobody", "--console")


def test_since_start(daemon):
    """A daemon that did not start the guest shows the last lines."""
    daemon.micro("a", "echo", "first\r\nready\r\n")
    daemon.up("a", "ready")
    daemon.ok("kill", "a")
    daemon.up("a", "ready")
    console = daemon.stream("console", "a", "--since-start")
    console.until("ready")
    assert console.text.count("first") == 1
    daemon.kill_daemon()
    daemon.start()
    console = daemon.stream("console", "a", "--since-start")
    console.until("(?s)first.*ready.*first.*ready")
