#!/bin/sh
# SPDX-License-Identifier: MIT
# Prints names and states of all VMs, with socat and jq: see vmkeep-api(7).
echo '{"execute": "vm-list"}' |
	socat -t 5 - "UNIX-CONNECT:${VMKEEP_RUN:-/run/vmkeep}/control.sock" |
	jq -r 'select(.return).return.rows[] | .[0] + " " + .[1]'
