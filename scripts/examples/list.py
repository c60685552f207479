#!/usr/bin/python3
# SPDX-License-Identifier: MIT
# Prints names, states and addresses of all VMs, using only the control socket: see vmkeep-api(7).
import json
import os
import socket

s = socket.socket(socket.AF_UNIX)
s.connect(os.environ.get("VMKEEP_RUN", "/run/vmkeep") + "/control.sock")
f = s.makefile("rw")
f.readline()  # the greeting
f.write(json.dumps({"execute": "vm-list"}) + "\n")
f.flush()
table = json.loads(f.readline())["return"]
for row in table["rows"]:
    vm = dict(zip(table["columns"], row))
    print(vm["name"], vm["state"], vm["address"])
