/* SPDX-License-Identifier: MIT */
#include "base/mem.h"
#include "supervisor/api/api.h"

/* clang-format off */
const struct api_event api_events[] = {
	{ "VM_STATE", "a VM changed its state",
	  "name: the VM; state: where it is now; from: where it was; reason: why, empty where it "
	  "goes without saying; want: what it is meant to be, running or stopped" },
	{ "VM_HEALTH", "a running VM's QEMU stopped responding, or responds again",
	  "name: the VM; health: ok or unresponsive; reason: what is wrong, empty with ok; it begins "
	  "with hostile: where QEMU broke the protocol or its limits" },
	{ "VM_RESET", "a guest reset itself; of many within a second only some are told",
	  "name: the VM; resets: how often since its process was started" },
	{ "VM_ADDED", "a file of a VM appeared", "name: the VM" },
	{ "VM_REMOVED", "the file of a VM that does not run is gone", "name: the VM" },
	{ "JOB_STARTED", "a job began that answers this client's request; only this client is told",
	  "job: its number; verb: as in execute; name: the VM" },
	{ "RUN_STARTED", "the VM that this client's vm-run is for was started; only this client is told",
	  "name: the VM" },
	{ "JOB_PROGRESS", "a job made progress",
	  "job: its number; verb: as in execute; name: the VM; percent: 0 to 100, null where "
	  "unknown; text: what is being done, or null" },
	{ "JOB_DONE", "a job ended",
	  "job: its number; verb: as in execute; name: the VM; error: null, or class, desc and "
	  "hint as in a reply" },
	{ "NETWORK_STATE", "a network was brought up or taken down",
	  "name: the network; state: up or down" },
	{ "NETWORK_LEASE", "a guest took, renewed or gave back an address",
	  "name: the network, whose leases net-leases tells" },
	{ "AGENT_CHANGE", "a guest's agent connected or disconnected",
	  "name: the VM; open: whether an agent is there now" },
	{ "BALLOON_CHANGE", "a guest's memory grew or shrank",
	  "name: the VM; actual: bytes that the guest has now" },
};
/* clang-format on */
const size_t api_events_n = ARRAY_SIZE(api_events);
