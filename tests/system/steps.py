# SPDX-License-Identifier: MIT
"""Cuts a verb short: one of vmkeep's programs gets a signal at its n-th step (see steps.c).

    steps = Steps(world)                      # or "vmkeep-jail", "vmkeep"; and signal.SIGTERM
    world.start(env=steps.env)                # a client gets it by itself: world.vmkeep(..., env=steps.env)
    steps.arm(17)                             # or steps.arm(17, pid): that process gets it at the daemon's step
    world.vmkeep("reboot", "a")
    steps.over()                              # what had no 17 steps is killed now; there is no daemon then
    world.start()
"""
import contextlib
import os
import signal
import struct
import subprocess

import vmk

SOURCE = os.path.join(os.path.dirname(__file__), "steps.c")


class Steps:
    def __init__(self, world, program="vmkeepd", how=signal.SIGKILL):
        self.world, self.program, self.how = world, program, how
        self.counter = os.path.join(world.base, "steps")
        library = os.path.join(world.base, "steps.so")
        subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", library, SOURCE], check=True)
        # users other than root run it, and the jail as any user
        os.chmod(library, 0o755)
        with open(self.counter, "wb") as f:
            f.write(bytes(8))
        os.chmod(self.counter, 0o666)
        self.env = {"LD_PRELOAD": library, "STEPS": self.counter, "STEPS_OF": program, "STEPS_SIGNAL": str(int(how))}

    def arm(self, step, pid=0):
        """pid: the process, as seen inside, that gets the signal instead."""
        with open(self.counter, "r+b") as f:  # it is mapped: never truncate it
            f.write(struct.pack("ii", step, pid))

    def left(self):
        """0: the signal was delivered, or none was armed."""
        with open(self.counter, "rb") as f:
            return struct.unpack("ii", f.read())[0]

    @contextlib.contextmanager
    def until_then(self):
        """Several requests, of which any may fail because the process was killed."""
        try:
            yield
        except (AssertionError, EOFError, OSError):
            if self.left():
                raise

    def over(self):
        """Ends the daemon, and disarms the signal for everyone else. True if the n-th step was reached."""
        cut = self.left() == 0
        self.arm(0)
        if cut and self.program == "vmkeepd":
            code = self.world.daemon.wait(10 * vmk.SLOW)
            assert code == (0 if self.how == signal.SIGTERM else -self.how), "the daemon ended with %d" % code
            self.world.daemon = None
        else:
            self.world.kill_daemon()
        return cut
