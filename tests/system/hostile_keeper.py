# SPDX-License-Identifier: MIT
"""What a compromised guest's agent can say of a command that it runs (supervisor/guest/keeper.h): it does as told up to a
point, then lies."""
import base64
import itertools
import json
import re

import hostile_qemu as h

PIECE = 32 << 10
FIRST = b"101\n"  # the watcher's pid


class Odd(bytes):
    """Is sent as it is, not as base64."""


def asked(connection, rest):
    """The next command, after its sync."""
    for sync in (True, False):
        while b"\n" not in rest:
            data = connection.recv(65536)
            if not data:
                raise OSError(0, "closed")
            rest += data
        line, _, left = rest.partition(b"\n")
        rest[:] = left
        if sync:
            connection.sendall(b'\xff{"return": %s}\n' % re.search(rb'"id": *(\d+)', line).group(1))
    return json.loads(line)


def kind(arguments):
    """What is begun; of a read, the pipe: (the keeper's pid, the descriptor)."""
    words = arguments.get("arg", [])
    if arguments["path"] == "dd":
        return re.search(r"/proc/(\d+)/fd/(\d)", words[0]).groups()
    return "keeper" if words[1].startswith("n=$1") else "other"


def keeper(out, err=None, ended=None, reads=0):
    """out, err: given the mark, iterators of what each read returns; None: it does not return. ended: what the
    keeper says when it ends at once. reads: exit code of the program that reads."""
    def answer(connection):
        rest, started, begun = bytearray(), [None] * 100, {}
        while True:
            command = asked(connection, rest)
            arguments = command.get("arguments", {})
            if command["execute"] == "guest-exec":
                what = kind(arguments)
                if what == "keeper":
                    mark = arguments["arg"][3].encode()
                    pid = str(len(started))
                    begun[pid, "7"], begun[pid, "8"] = iter(out(mark)), iter(err(mark) if err else ())
                started.append(what)
                said = {"pid": len(started) - 1}
            elif command["execute"] == "guest-exec-status":
                said = status(started[arguments["pid"]], begun)
            else:
                said = {}
            connection.sendall(json.dumps({"return": said}).encode() + b"\n")

    def status(what, begun):
        if what in begun:
            data = next(begun[what], None)
            if data is None:
                return {"exited": False}
            text = data.decode() if isinstance(data, Odd) else base64.b64encode(data).decode()
            code = reads if data != FIRST else 0
            return {"exited": True, "exitcode": code, "out-data": text, "err-data": base64.b64encode(h.ODD.encode()).decode()}
        if what == "keeper" and ended is not None:
            return {"exited": True, "exitcode": 1, "err-data": base64.b64encode(ended).decode()}
        return {"exited": what != "keeper", "exitcode": 0}
    return h.agent(answer)


def first(*more):
    return lambda mark: [FIRST, *more]


def forever(data):
    return lambda mark: itertools.chain([FIRST], itertools.repeat(data))


def end(code):
    return lambda mark: [FIRST, mark + b" " + code + b"\n"]


def end_err(code, before=b""):
    return lambda mark: [before + mark + b" " + code + b"\n"]


BEHAVIOUR = {
    "keeper-endless": keeper(forever(b"x" * PIECE), lambda mark: itertools.repeat(h.ODD.encode())),
    "keeper-more": keeper(first(b"x" * (PIECE + 4096))),
    "keeper-odd": keeper(first(Odd(h.ODD.encode()))),
    "keeper-nobody": keeper(lambda mark: [b"../../etc/passwd\n"]),
    "keeper-minus": keeper(lambda mark: [b"-7\n"]),
    "keeper-codeless": keeper(end(b"x"), end_err(b"x")),
    "keeper-code": keeper(end(b"99999"), end_err(b"99999", h.ODD.encode())),
    "keeper-half": keeper(first(b"half")),
    "keeper-ends": keeper(lambda mark: [b""] * 9, ended=h.ODD.encode(), reads=1),
    "keeper-reads": keeper(forever(b"x"), reads=1),
}
