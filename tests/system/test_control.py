# SPDX-License-Identifier: MIT
"""The control socket: protocol, roles and limits."""
import json
import re
import select
import socket

import pytest

import vmk


def resident(world):
    """The daemon's resident memory in bytes."""
    status = vmk.read_text("/proc/%d/status" % world.daemon_pid())
    return int(re.search(r"VmRSS:\s+(\d+)", status).group(1)) << 10


def descriptors(world):
    return len(vmk.os.listdir("/proc/%d/fd" % world.daemon_pid()))


def test_greeting_and_habits_of_qmp(daemon):
    client = daemon.client()
    assert client.greeting["QMP"]["capabilities"] == []
    assert client.greeting["vmkeep"]["api"] == 1
    assert client.call("qmp_capabilities") == {}
    assert client.call("query-version")["api"] == 1
    client.socket.sendall(b'{"execute": "vm-list", "id": {"any": ["value", 1]}}\n')
    assert client.receive()["id"] == {"any": ["value", 1]}
    client.socket.sendall(b'{"execute":"query-version","id":1}{"execute":"query-version","id":2}\n')
    assert [client.receive()["id"], client.receive()["id"]] == [1, 2]


def test_a_request_may_come_in_pieces(daemon):
    client = daemon.client()
    for byte in b'{"execute": "query-version", "id": "slow"}\r\n':
        client.socket.sendall(bytes([byte]))
    assert client.receive()["id"] == "slow"


@pytest.mark.parametrize("request_text, error_class", [
    ('{"execute": "no-such-verb"}', "Usage"),
    ('{"execute": "vm-start"}', "Usage"),
    ('{"execute": "vm-start", "arguments": {"name": 7}}', "Usage"),
    ('{"execute": "vm-start", "arguments": {"name": "../x"}}', "Usage"),
    ('{"execute": "vm-start", "arguments": {"name": "a\\u0000b"}}', "Usage"),
    ('{"execute": "vm-start", "arguments": {"name": "a", "nmae": "b"}}', "Usage"),
    ('{"execute": "vm-start", "arguments": []}', "Usage"),
    ('{"execute": "vm-info", "arguments": {"name": "nobody"}}', "NotFound"),
    ('{"execute": 7}', "Usage"),
    ('{"no": "verb"}', "Usage"),
    ("[]", "Usage"),
    ("nonsense", "Usage"),
    ('{"execute": "vm-list", "id": 1e999}', "Usage"),
])
def test_bad_requests(daemon, request_text, error_class):
    """Each gets an error; the daemon keeps running, and the connection stays open if the framing permits."""
    client = daemon.client()
    client.socket.sendall(request_text.encode() + b"\n")
    error = client.receive()["error"]
    assert error["class"] == error_class, error
    assert error["desc"]
    assert daemon.client().call("query-version")["api"] == 1


def test_schema_tells_all(daemon):
    schema = daemon.client().call("query-schema")
    verbs = json.dumps(schema["verbs"])
    for word in ("vm-start", "snapshot-create", "net-list", "subscribe"):
        assert word in verbs
    assert "VM_STATE" in json.dumps(schema["events"])
    assert "WrongState" in json.dumps(schema["classes"])


def test_events(daemon):
    daemon.micro("a")
    client = daemon.client()
    client.call("subscribe")
    daemon.ok("start", "a")
    assert client.event("VM_STATE", lambda d: d["state"] == "starting")["name"] == "a"
    event = client.event("VM_STATE", lambda d: d["state"] == "running")
    assert event["from"] == "starting" and event["want"] == "running"
    daemon.ok("kill", "a")
    client.event("VM_STATE", lambda d: d["state"] == "stopped")
    daemon.micro("b")
    daemon.ok("reload")
    assert client.event("VM_ADDED") == {"name": "b"}
    vmk.os.unlink(vmk.os.path.join(daemon.config, "b.vm"))
    daemon.ok("reload")
    assert client.event("VM_REMOVED") == {"name": "b"}


ROLES = [  # user, groups, Owner=, allowed verbs
    ("alice", (), "bob", {"query-version"}),
    ("alice", ("vmkeep-view",), "bob", {"query-version", "vm-list", "vm-info"}),
    ("alice", (), "alice", {"query-version", "vm-start"}),
    ("alice", (), "@alice", {"query-version", "vm-start"}),
    ("alice", ("vmkeep",), "bob", {"query-version", "vm-list", "vm-info", "vm-start", "net-stop"}),
]
VERBS = {
    "query-version": ["version"],
    "vm-list": ["list"],
    "vm-info": ["info", "a"],
    "vm-start": ["start", "a"],
    "net-stop": ["net", "stop", "default"],
    "vm-qmp": ["qmp", "a", '{"execute": "query-status"}'],
}


@pytest.mark.parametrize("user, groups, owner, allowed", ROLES)
def test_roles(daemon, user, groups, owner, allowed):
    daemon.micro("a", vm="Owner=%s\n" % owner)
    daemon.ok("reload")
    for execute, argv in VERBS.items():
        if execute == "vm-list" and owner.endswith(user):
            continue  # whether an owner may list all VMs or only their own is not tested here
        if execute == "vm-info" and owner.endswith(user):
            continue
        result = daemon.vmkeep(*argv, user=user, groups=groups)
        if execute in allowed:
            assert result.code == 0, result
        else:
            assert result.code == 9, result
            assert result.err


def test_owner_has_no_power_over_others(daemon):
    daemon.micro("mine", vm="Owner=alice\n")
    daemon.micro("yours", vm="Owner=bob\n")
    daemon.ok("start", "mine", "yours", user=None)
    daemon.ok("kill", "mine", user="alice")
    daemon.fails(9, "kill", "yours", user="alice")
    assert daemon.states() == {"mine": "stopped", "yours": "running"}


def test_half_a_request(daemon):
    """F12: a client that stops in the middle of a request delays nobody."""
    half = daemon.client()
    half.socket.sendall(b'{"execute": "query-ver')
    assert daemon.client().call("query-version")
    half.socket.shutdown(socket.SHUT_WR)
    with pytest.raises((EOFError, ConnectionError)):
        while "error" in half.receive():
            pass


def test_request_of_100_megabytes(daemon):
    """F12: the sender is disconnected, and the daemon's memory does not grow."""
    before = resident(daemon)
    client = daemon.client()
    with pytest.raises((EOFError, ConnectionError)):
        client.socket.sendall(b'{"execute": "')
        for _ in range(100):
            client.socket.sendall(b"x" * (1 << 20))
        while True:
            client.receive()
    assert daemon.client().call("query-version")
    assert resident(daemon) < before + (8 << 20) * vmk.ROOMY


def test_deep_request(daemon):
    client = daemon.client()
    client.socket.sendall(b"[" * 100000 + b"\n")
    with pytest.raises((EOFError, ConnectionError)):
        while True:
            client.receive()
    assert daemon.client().call("query-version")


def test_client_that_never_reads(daemon):
    """F12: its unread answers accumulate up to a limit; then it is disconnected, and others do not notice."""
    before = resident(daemon)
    client = daemon.client()
    client.socket.settimeout(5)
    with pytest.raises((ConnectionError, TimeoutError, BlockingIOError)):
        for serial in range(200000):
            client.socket.sendall(b'{"execute": "query-schema", "id": %d}\n' % serial)
    assert daemon.client().call("query-version")
    assert resident(daemon) < before + (12 << 20) * vmk.ROOMY


def test_closed_in_the_middle_of_a_reply(daemon):
    """F12: repeated disconnects, with and without pending answers, leak neither memory nor descriptors."""
    before, many = resident(daemon), descriptors(daemon)
    for _ in range(200):
        client = daemon.client()
        client.socket.sendall(b'{"execute": "query-schema"}\n' * 3)
        client.socket.recv(100)
        client.close()
    assert daemon.client().call("query-version")
    daemon.eventually(lambda: descriptors(daemon), lambda now: now <= many)
    assert resident(daemon) < before + (8 << 20) * vmk.ROOMY


def test_subscriber_that_never_reads(daemon):
    daemon.micro("a", "deaf")
    daemon.up("a")
    client = daemon.client()
    client.call("subscribe")
    other = daemon.client()
    for _ in range(300):
        other.call("vm-pause", name="a")
        other.call("vm-resume", name="a")
    assert other.call("query-version")


def test_two_hundred_clients(daemon):
    clients = [daemon.client() for _ in range(200)]
    assert all(client.call("query-version") for client in clients)
    many = descriptors(daemon)
    for client in clients:
        client.close()
    daemon.eventually(lambda: descriptors(daemon), lambda now: now <= many - 190)


def test_too_many_clients_of_one_user(daemon):
    """Beyond the limit only this user is refused; when one client leaves, another may connect."""
    alice, bob = vmk.USERS["alice"], vmk.USERS["bob"]
    clients = []
    with pytest.raises((EOFError, ConnectionError, KeyError)):
        for _ in range(100):
            client = daemon.client(uid=alice)
            client.call("query-version")
            clients.append(client)
    assert len(clients) == 64
    assert daemon.client(uid=bob).call("query-version")
    assert daemon.client().call("query-version")
    clients.pop().close()
    daemon.eventually(lambda: daemon.vmkeep("version", user="alice").code, lambda code: code == 0)


def test_idle_clients_cost_no_time(daemon):
    clients = [daemon.client() for _ in range(60)]

    def cpu():
        fields = vmk.read_text("/proc/%d/stat" % daemon.daemon_pid()).rsplit(")", 1)[1].split()
        return int(fields[11]) + int(fields[12])
    before = cpu()
    # nothing may happen during half a second, which is 50 ticks
    assert not select.select([client.socket for client in clients], [], [], 0.5)[0]
    assert cpu() - before <= 5


def test_socket_is_for_all_and_directories_are_not(daemon):
    assert vmk.os.stat(daemon.socket).st_mode & 0o777 == 0o666
    daemon.micro("a")
    daemon.up("a")
    for top in (daemon.run, daemon.state):
        for path in (vmk.os.path.join(top, "vms"), vmk.os.path.join(top, "vms", "a")):
            daemon.exec("ls", path)
            daemon.exec("sh", "-c", "! ls $1 2>/dev/null", "sh", path, user="alice")


def test_qmp_through_the_daemon(daemon):
    daemon.micro("a")
    daemon.up("a")
    assert daemon.qmp("a", "query-status")["status"] == "running"
    assert "nonsense" in daemon.fails(1, "qmp", "a", '{"execute": "nonsense"}')
    daemon.ok("qmp", "a", '{"execute": "stop"}')
    daemon.wait_state("a", "paused")
    daemon.fails(2, "qmp", "a", "{not json")
