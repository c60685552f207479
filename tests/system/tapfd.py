#!/usr/bin/python3 -I
# SPDX-License-Identifier: MIT
"""Does to a tap what its owner could: tapfd.py PID IFNAME WHAT...

Gets the descriptor from that process, which root may do. WHAT is `send HEX` (a frame), or one of the tap's ioctls:
flood=..., persist, owner=UID, group=GID, mac=MAC, carrier=0|1, header=BYTES, offload=FLAGS.
"""
import ctypes
import fcntl
import os
import re
import socket
import struct
import sys

libc = ctypes.CDLL(None, use_errno=True)
GETHDR, SETS = 0x800454D7, {"persist": 0x400454CB, "owner": 0x400454CC, "group": 0x400454CE, "offload": 0x400454D0}


def descriptor(pid, name):
    for fd in os.listdir("/proc/%d/fd" % pid):
        with open("/proc/%d/fdinfo/%s" % (pid, fd), encoding="ascii") as info:
            if re.search(r"^iff:\s*%s$" % re.escape(name), info.read(), re.M):
                mine = libc.syscall(438, os.pidfd_open(pid), int(fd), 0)  # pidfd_getfd
                assert mine >= 0, os.strerror(ctypes.get_errno())
                return mine
    sys.exit("process %d does not hold %s" % (pid, name))


def act(fd, name, what, value):
    if what == "send":
        header = struct.unpack("i", fcntl.ioctl(fd, GETHDR, bytes(4)))[0]
        os.write(fd, bytes(header) + bytes.fromhex(value))
    elif what == "flood":  # PROTOCOL,SOURCE,TO,MAC,COUNT: each a new connection
        protocol, source, to, mac, many = value.split(",")
        header = bytes(struct.unpack("i", fcntl.ioctl(fd, GETHDR, bytes(4)))[0])
        for i in range(int(many)):
            data = (1, ping(i)) if protocol == "icmp" else (17, udp(53, bytes(12), 1024 + i))
            os.write(fd, header + ethernet(mac, 0x800, ipv4(source, to, *data)))
    elif what == "mac":
        mac = bytes.fromhex(value.replace(":", ""))
        fcntl.ioctl(fd, 0x8924, struct.pack("16sH6s8x", name.encode(), 1, mac))  # SIOCSIFHWADDR
    elif what == "carrier":
        fcntl.ioctl(fd, 0x400454E2, struct.pack("i", int(value)))
    elif what == "header":
        fcntl.ioctl(fd, 0x400454D8, struct.pack("i", int(value)))
    else:
        fcntl.ioctl(fd, SETS[what], int(value or 1))


def main():
    pid, name, words = int(sys.argv[1]), sys.argv[2], sys.argv[3:]
    fd = descriptor(pid, name)
    while words:
        what, _, value = words.pop(0).partition("=")
        try:
            act(fd, name, what, words.pop(0) if what == "send" else value)
        except OSError as e:  # the interface is down
            if what != "send":
                raise
            print("send: %s" % e.strerror)


def ethernet(to, kind, payload, source="02:00:00:00:00:99"):
    return bytes.fromhex(to.replace(":", "") + source.replace(":", "")) + struct.pack("!H", kind) + payload


def checksum(data):
    total = sum(struct.unpack("!%dH" % (len(data) // 2 + len(data) % 2), data + bytes(len(data) % 2)))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return 0xFFFF ^ total


def ipv4(source, to, protocol, payload):
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(payload), 1, 0, 64, protocol, 0, socket.inet_aton(source),
                       socket.inet_aton(to))
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + payload


def udp(port, text, source=1234):
    return struct.pack("!HHHH", source, port, 8 + len(text), 0) + text


def ping(number=1):
    echo = struct.pack("!BBHHH", 8, 0, 0, number, 1)
    return echo[:2] + struct.pack("!H", checksum(echo)) + echo[4:]


def tcp_syn(source, to, port):
    syn = struct.pack("!HHIIBBHHH", 1234, port, 1, 0, 0x50, 2, 1024, 0, 0)
    pseudo = socket.inet_aton(source) + socket.inet_aton(to) + struct.pack("!BBH", 0, 6, len(syn))
    return syn[:16] + struct.pack("!H", checksum(pseudo + syn)) + syn[18:]


def ipv6_udp(source, to, port, text):
    data = udp(port, text)
    ends = socket.inet_pton(socket.AF_INET6, source) + socket.inet_pton(socket.AF_INET6, to)
    data = data[:6] + struct.pack("!H", checksum(ends + struct.pack("!II", len(data), 17) + data)) + data[8:]
    return struct.pack("!IHBB", 6 << 28, len(data), 17, 64) + ends + data


def dhcp(mac, kind, ask, server, client=b""):
    """A DHCP message from a guest: 3 requests an address, 4 declines it, 7 releases it. client: its identifier."""
    chaddr = bytes.fromhex(mac.replace(":", ""))
    text = struct.pack("!BBBBIHH16x16s192x", 1, 1, 6, 0, 0x1234, 0, 0x8000, chaddr) + b"\x63\x82\x53\x63\x35\x01"
    text += bytes([kind]) + b"\x32\x04" + socket.inet_aton(ask) + b"\x36\x04" + socket.inet_aton(server)
    text += (bytes([61, len(client)]) + client if client else b"") + b"\xff"
    return ethernet("ff:ff:ff:ff:ff:ff", 0x800, ipv4("0.0.0.0", "255.255.255.255", 17, udp(67, text, 68)), mac)


def arp_request(sender, target, mac="02:00:00:00:00:99"):
    return struct.pack("!HHBBH6s4s6s4s", 1, 0x800, 6, 4, 1, bytes.fromhex(mac.replace(":", "")),
                       socket.inet_aton(sender), bytes(6), socket.inet_aton(target))


if __name__ == "__main__":
    main()
