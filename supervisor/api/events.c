/* SPDX-License-Identifier: MIT */
#include "base/mem.h"
#include "supervisor/api/api.h"

/* clang-format off */
const struct api_event api_events[] = {
	{
		.name = "VM_STATE",
		.data = "name: the VM; state: where it is now; from: where it was; reason: why, empty where it "
			"goes without saying; want: what it is meant to be, running or stopped",
		.help = "a VM changed its state",
	},
	{
		.name = "VM_HEALTH",
		.data = "name: the VM; health: ok or unresponsive; reason: what is wrong, empty with ok; it begins "
			"with hostile: where QEMU broke the protocol or its limits",
		.help = "a running VM's QEMU stopped answering, or answers again",
	},
	{
		.name = "VM_RESET",
		.data = "name: the VM; resets: how often since its process was started",
		.help = "a guest reset itself; of many within a second only some are told",
	},
	{
		.name = "VM_ADDED",
		.data = "name: the VM",
		.help = "a file of a VM appeared",
	},
	{
		.name = "VM_REMOVED",
		.data = "name: the VM",
		.help = "the file of a VM that does not run is gone",
	},
	{
		.name = "JOB_STARTED",
		.data = "job: its number; verb: as in execute; name: the VM",
		.help = "a job began that answers this client's request; only this client is told",
	},
	{
		.name = "JOB_PROGRESS",
		.data = "job: its number; verb: as in execute; name: the VM; percent: 0 to 100, null where "
			"nobody knows; text: what is being done, or null",
		.help = "a job went on",
	},
	{
		.name = "JOB_DONE",
		.data = "job: its number; verb: as in execute; name: the VM; error: null, or class, desc and "
			"hint as in a reply",
		.help = "a job ended",
	},
	{
		.name = "NETWORK_STATE",
		.data = "name: the network; state: up or down",
		.help = "a network was raised or taken down",
	},
	{
		.name = "NETWORK_LEASE",
		.data = "name: the network, whose leases net-leases tells",
		.help = "a guest took, renewed or gave back an address",
	},
	{
		.name = "AGENT_CHANGE",
		.data = "name: the VM; open: whether an agent is there now",
		.help = "a guest's agent came or went",
	},
	{
		.name = "BALLOON_CHANGE",
		.data = "name: the VM; actual: bytes that the guest has now",
		.help = "a guest's memory grew or shrank",
	},
};
/* clang-format on */
const size_t api_events_n = ARRAY_SIZE(api_events);
