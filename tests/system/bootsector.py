# SPDX-License-Identifier: MIT
"""512-byte guests: boot sectors that run within 0.15 s and need no guest image.

Each is a boot sector for SeaBIOS on q35 or pc: some code, then (optionally) a banner on COM1, then the rest of its
code. A test that has seen the banner therefore knows which point the guest has reached.
"""
import struct

SIZE = 1 << 20  # a disk of one sector is too small for the BIOS

# name: (code before the banner, code after it)
GUESTS = {
    # obeys the power button: enables it (PM1a at 0x602), waits for its bit at 0x600, writes S5 to 0x604
    "polite": ("ba0206 b80001 ef", "ba0006 ed a90001 74fa ba0406 b80020 ef f4 ebfd"),
    # ignores everything
    "deaf": ("", "fa f4 ebfd"),
    # powers itself off at once
    "off": ("", "ba0406 b80020 ef f4 ebfd"),
    # resets forever, through port 0xcf9
    "reboot": ("", "b006 baf90c ee f4 ebfd"),
    # floods COM1 with dots
    "chatter": ("", "baf803 b02e ee ee ebfb"),
    # reports a panic to an ISA pvpanic at 0x505
    "panic": ("", "b001 ba0505 ee f4 ebfd"),
    # arms an ib700 watchdog and never resets it
    "bite": ("", "ba4304 b00e ee fa f4 ebfd"),
    # finds an i6300esb through the PCI BIOS, sets its clock to 1 MHz (two stages of one second), enables it, never
    # resets it
    "esb": ("", "b802b1 b9ab25 ba8680 31f6 cd1a b80cb1 bf6000 b90400 cd1a b80bb1 bf6800 b90200 cd1a fa f4 ebfd"),
    # uses a flat descriptor (built on the stack, kept in es) to clear NO_REBOOT of q35's root complex at 0xfed1f410,
    # as drivers do, then starts the TCO timer (TCO_RLD at 0x660: twice 2.4 s) and never resets it
    "tco": ("", "31c0 8ed8 8ed0 bc0070 68cf00 680092 6a00 68ffff 6a00 6a00 6a00 6a00 6a00 68f06f 6a0f 0f0116ea6f"
                "0f20c0 0c01 0f22c0 bb0800 8ec3 24fe 0f22c0 66bf10f4d1fe 26678027df ba6006 b80100 ef fa f4 ebfd"),
    # uses the same descriptor, and an instruction that KVM cannot emulate, with an operand where there is no memory
    "internal": ("", "31c0 8ed8 8ed0 bc0070 68cf00 680092 6a00 68ffff 6a00 6a00 6a00 6a00 6a00 68f06f 6a0f 0f0116ea6f"
                     "0f20c0 0c01 0f22c0 bb0800 8ec3 24fe 0f22c0 66bb000000d0 2667dd33 f4 ebfd"),
    # echoes what it reads on COM1
    "echo": ("", "bafd03 ec a801 74fb b2f8 ec ee b2fd ebf3"),
    # answers each byte on COM1 with the next letter: its only memory is its registers
    "count": ("b361", "bafd03 ec a801 74fb b2f8 ec 88d8 ee fec3 b2fd ebef"),
    # powers itself off when it reads a byte on COM1
    "leave": ("", "bafd03 ec a801 74fb ba0406 b80020 ef f4 ebfd"),
    # resets itself when it reads a byte on COM1
    "again": ("", "bafd03 ec a801 74fb b006 baf90c ee f4 ebfd"),
    # writes 32 KiB blocks upward on the BIOS's first disk; COM1: w ok, E error
    "writer": ("", "31c0 8ed8 8ec0 8ed0 bc0070 b443 b000 b280 be287c cd13 baf803 b077 7302 b045 ee"
                   "668306307c40 ebe3 1000 4000 0000 8000 0040 0000 0000 0000"),
}

# lodsb; test; jz; out; jmp: writes the text that follows the code
_PRINT = "fa 31c0 8ed8 fc baf803 be%s ac 84c0 7403 ee ebf8"


def boot_sector(guest, banner=""):
    before, after = (bytes.fromhex(part) for part in GUESTS[guest])
    code = before + after
    if banner:
        length = len(before) + len(bytes.fromhex(_PRINT % "0000")) + len(after)
        where = struct.pack("<H", 0x7c00 + length).hex()
        code = before + bytes.fromhex(_PRINT % where) + after + banner.encode("latin-1") + b"\0"
    assert len(code) <= 510
    return code.ljust(510, b"\0") + b"\x55\xaa"


def image(guest, banner="", size=SIZE):
    return boot_sector(guest, banner).ljust(size, b"\0")


def cd(guest, banner=""):
    """A CD in El Torito's format that boots the sector: the least that SeaBIOS reads."""
    def descriptor(kind, rest=b""):
        return (bytes([kind]) + b"CD001\1" + rest).ljust(2048, b"\0")
    check = struct.pack("<BBH24sHH", 1, 0, 0, b"", 0, 0xaa55)
    total = sum(struct.unpack("<16H", check)) & 0xffff
    catalog = struct.pack("<BBH24sHH", 1, 0, 0, b"", (0x10000 - total) & 0xffff, 0xaa55)
    catalog += struct.pack("<BBHBBHI", 0x88, 0, 0, 0, 0, 1, 20)
    record = b"EL TORITO SPECIFICATION".ljust(64, b"\0") + struct.pack("<I", 19)
    return (bytes(16 * 2048) + descriptor(1) + descriptor(0, record) + descriptor(255) + catalog.ljust(2048, b"\0")
            + boot_sector(guest, banner).ljust(2048, b"\0")).ljust(SIZE, b"\0")
