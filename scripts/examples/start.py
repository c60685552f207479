#!/usr/bin/python3
# SPDX-License-Identifier: MIT
# start.py NAME: starts a VM as a job, and prints its state changes until the job is done.
import json
import os
import socket
import sys

s = socket.socket(socket.AF_UNIX)
s.connect(os.environ.get("VMKEEP_RUN", "/run/vmkeep") + "/control.sock")
f = s.makefile("rw")


def call(execute, **arguments):
    f.write(json.dumps({"execute": execute, "arguments": arguments, "id": execute}) + "\n")
    f.flush()
    while True:
        message = json.loads(f.readline())
        if message.get("id") == execute:
            if "error" in message:
                sys.exit("%(class)s: %(desc)s" % message["error"])
            return message["return"]
        seen(message)


def seen(message):
    """Handles an event; events may arrive between answers."""
    data = message.get("data", {})
    if message.get("event") == "VM_STATE" and data["name"] == sys.argv[1] and data["from"] != data["state"]:
        print(data["from"], "->", data["state"], data["reason"])
    if message.get("event") == "JOB_DONE":
        done[data["job"]] = data["error"]


done = {}
f.readline()  # the greeting
call("subscribe")
job = call("vm-start", name=sys.argv[1], wait=False)["job"]
while job not in done:
    seen(json.loads(f.readline()))
if done[job]:
    sys.exit("%(class)s: %(desc)s" % done[job])
