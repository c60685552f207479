/* SPDX-License-Identifier: MIT */
#include "conf/check_private.h"

#include <inttypes.h>

#include "conf/word.h"

#define VM_PROBLEM(k, section, key, ...) \
	conf_problem((k)->problems, conf_check_place(k, section, NULL, key, NULL), key, __VA_ARGS__)
#define NIC_PROBLEM(k, n, key, ...)                                                             \
	conf_problem((k)->problems, conf_check_place(k, "NIC", (n)->id, key, &(n)->place), key, \
		__VA_ARGS__)

const char *conf_vm_binary(const struct conf_vm *c)
{
	return c->binary ? c->binary : "qemu-system-x86_64";
}

bool conf_vm_wants_seed(const struct conf_vm *c)
{
	const struct conf_seed *s = &c->seed;

	return s->user || s->keys.n || s->password || s->hostname || s->user_data || s->network ||
	       s->agent;
}

static void check_topology(const struct check *k)
{
	const struct conf_vm *c = k->c;
	const struct {
		const char *key;
		uint64_t n;
	} part[] = { { "Threads", c->threads }, { "Cores", c->cores }, { "Sockets", c->sockets } };
	const char *key = NULL;
	uint64_t product = 1;
	bool all = true;

	for (size_t i = 0; i < ARRAY_SIZE(part); i++) {
		all = all && part[i].n;
		if (!part[i].n)
			continue;
		key = part[i].key;
		product *= part[i].n;
	}
	if (all && product != c->cpus)
		VM_PROBLEM(k, "CPU", key,
			"Sockets x Cores x Threads is %" PRIu64 ", but CPUs is %" PRIu64, product,
			c->cpus);
	else if (key && c->cpus % product)
		VM_PROBLEM(k, "CPU", key,
			"CPUs is %" PRIu64 ", which cannot be divided by %" PRIu64, c->cpus,
			product);
}

/* Below that, QEMU aborts while it creates its vCPUs: besides them it has its main thread and RCU's. */
static void check_tasks(const struct check *k)
{
	const struct conf_vm *c = k->c;

	if (c->tasks_max && c->tasks_max < c->cpus + 2)
		VM_PROBLEM(k, "Limits", "TasksMax",
			"%" PRIu64 " CPUs take as many threads, and QEMU itself 2", c->cpus);
}

static void check_memory(const struct check *k)
{
	const struct conf_vm *c = k->c;

	if (c->memory_max && c->memory_max < c->memory)
		VM_PROBLEM(k, "Memory", "Max", "less than [VM] Memory");
	if (c->memory_min > c->memory)
		VM_PROBLEM(k, "Memory", "Min", "more than [VM] Memory");
	if (c->limit_memory && c->limit_memory < (c->memory_max ? c->memory_max : c->memory))
		VM_PROBLEM(k, "Limits", "MemoryMax", "less than the guest's memory");
	if (c->memory_max > c->memory && !c->balloon)
		VM_PROBLEM(k, "Memory", "Max", "more than [VM] Memory needs Balloon=yes");
}

static bool check_is_disk(const struct conf_vm *c, const char *id)
{
	for (size_t i = 0; i < c->disks; i++)
		if (strcmp(c->disk[i].id, id) == 0)
			return true;
	return false;
}

static bool check_is_nic(const struct conf_vm *c, const char *id)
{
	for (size_t i = 0; i < c->nics; i++)
		if (strcmp(c->nic[i].id, id) == 0)
			return true;
	return false;
}

static void check_order(const struct check *k)
{
	const struct conf_list *order = &k->c->order;

	for (size_t i = 0; i < order->n; i++) {
		const char *id = order->item[i];
		bool disk = check_is_disk(k->c, id), nic = check_is_nic(k->c, id);

		if (disk && nic)
			VM_PROBLEM(k, "Boot", "Order", "'%s' is both a disk and a NIC", id);
		else if (!disk && !nic)
			VM_PROBLEM(k, "Boot", "Order", "there is no disk, CD or NIC '%s'", id);
		for (size_t j = 0; j < i; j++)
			if (strcmp(order->item[j], id) == 0) {
				VM_PROBLEM(k, "Boot", "Order", "'%s' is named twice", id);
				break;
			}
	}
}

static bool check_boots_from_network(const struct conf_vm *c)
{
	for (size_t i = 0; i < c->order.n; i++)
		if (check_is_nic(c, c->order.item[i]))
			return true;
	return false;
}

static void check_boot(const struct check *k)
{
	const struct conf_vm *c = k->c;

	if (!c->kernel && c->initrd)
		VM_PROBLEM(k, "Boot", "Initrd", "needs Kernel=");
	if (!c->kernel && c->append.n)
		VM_PROBLEM(k, "Boot", "Append", "needs Kernel=");
	if (c->secure_boot && c->firmware == CONF_FIRMWARE_BIOS)
		VM_PROBLEM(k, "Boot", "SecureBoot", "needs Firmware=uefi");
	if (c->secure_boot && conf_word_pc(c->machine))
		VM_PROBLEM(k, "Boot", "SecureBoot", "needs Machine=q35");
}

static void check_something_boots(const struct check *k)
{
	const struct conf_vm *c = k->c;

	if (!c->disks && !c->kernel && !c->args.n && !check_boots_from_network(c))
		conf_problem(k->problems, &c->place, NULL,
			"nothing to boot from: add a [Disk ID], a [CDROM ID], [Boot] Kernel=, or a "
			"NIC to [Boot] Order=");
}

/* On a bridge of the host, only cloud-init can tell the guest its address. */
static void check_nic_address(const struct check *k, const struct conf_nic *nic)
{
	const char *prefix = nic->address ? strchr(nic->address, '/') : NULL;

	if (!nic->address && (nic->gateway || nic->dns.n))
		NIC_PROBLEM(k, nic, nic->gateway ? "Gateway" : "DNS", "needs Address=");
	else if (!nic->address)
		return;
	else if (nic->bridge && !prefix)
		NIC_PROBLEM(k, nic, "Address",
			"with Bridge= this needs a prefix length: write %s/24", nic->address);
	else if (nic->bridge && !conf_vm_wants_seed(k->c))
		NIC_PROBLEM(k, nic, "Address",
			"with Bridge=, only cloud-init can tell the guest: write a section [CloudInit], with User= for example");
	else if (nic->bridge && k->c->seed.network)
		NIC_PROBLEM(k, nic, "Address",
			"NetworkConfig= in [CloudInit] takes its place; write only one");
	else if (!nic->bridge && (prefix || nic->gateway || nic->dns.n))
		NIC_PROBLEM(k, nic,
			prefix	       ? "Address"
			: nic->gateway ? "Gateway"
				       : "DNS",
			"this is for Bridge=; a network tells the guest itself");
}

static void check_nic(const struct check *k, const struct conf_nic *nic)
{
	if (nic->bridge && nic->network)
		NIC_PROBLEM(k, nic, "Bridge", "cannot be used with Network=; write only one");
	check_nic_address(k, nic);
	for (const struct conf_nic *o = k->c->nic; o < nic; o++) {
		if (nic->mac.set && o->mac.set && memcmp(&o->mac, &nic->mac, sizeof o->mac) == 0)
			NIC_PROBLEM(k, nic, "MACAddress", "NIC '%s' has the same", o->id);
		if (nic->address && streq(nic->address, o->address) &&
			streq(nic->network, o->network) && streq(nic->bridge, o->bridge))
			NIC_PROBLEM(k, nic, "Address", "NIC '%s' has the same", o->id);
	}
}

static void check_ready(const struct check *k)
{
	if (streq(k->c->ready_when, "agent") && !k->c->agent)
		VM_PROBLEM(k, "Lifecycle", "ReadyWhen", "agent needs [Agent] Enable=yes");
}

static void check_template(const struct check *k)
{
	if (k->c->template && k->c->enable != CONF_ENABLE_NO)
		VM_PROBLEM(k, "VM", "Enable",
			"a template cannot start with the host: write Enable=no, or Template=no");
}

static void check_seed(const struct check *k)
{
	if (k->c->seed.agent && !k->c->agent)
		VM_PROBLEM(k, "CloudInit", "Agent", "needs [Agent] Enable=yes");
}

static void check_watchdog(const struct check *k)
{
	if (k->c->watchdog == CONF_WATCHDOG_ITCO && conf_word_pc(k->c->machine))
		VM_PROBLEM(
			k, "Watchdog", "Model", "itco needs a q35 machine; i6300esb works on both");
}

static void check_display(const struct check *k)
{
	const struct conf_vm *c = k->c;
	bool tcp = c->display == CONF_DISPLAY_VNC && strcmp(c->listen, "unix") != 0;

	if (tcp && !c->password && !c->allow_no_password)
		VM_PROBLEM(k, "Display", "Listen",
			"VNC over TCP needs Password=, or AllowNoPassword=yes");
}

/* Otherwise it would wait for itself. [Defaults] may name it to all others: boot/check.c. */
static void check_after_itself(
	const struct check *k, const struct conf_list *names, const char *key)
{
	const struct conf_mark *m = conf_mark_find(k->marks, "Lifecycle", NULL, key);

	for (size_t i = 0; m && !m->by_default && i < names->n; i++)
		if (streq(names->item[i], k->c->name))
			VM_PROBLEM(k, "Lifecycle", key, "'%s' is this VM itself", k->c->name);
}

static void check_lifecycle(const struct check *k)
{
	check_after_itself(k, &k->c->after, "After");
	check_after_itself(k, &k->c->requires, "Requires");
}

static void check_nics(const struct check *k)
{
	for (size_t i = 0; i < k->c->nics; i++)
		if (!CHECK_REFUSED(k, k->c->nic[i].id, "NIC."))
			check_nic(k, &k->c->nic[i]);
}

enum { READS_MAX = 4 };

/* Not made if one of the keys that it reads has a value that was refused. */
/* clang-format off */
static const struct {
	void (*check)(const struct check *k);
	const char *reads[READS_MAX];
} checks[] = {
	{ check_topology,   { "VM.CPUs", "CPU." } },
	{ check_tasks,      { "VM.CPUs", "Limits.TasksMax" } },
	{ check_memory,     { "VM.Memory", "Memory.", "Limits.MemoryMax" } },
	{ check_boot,       { "VM.Machine", "Boot." } },
	{ conf_check_disks, { NULL } },
	{ check_nics,       { "CloudInit." } },
	{ check_template,   { "VM.Template", "VM.Enable" } },
	{ check_seed,       { "CloudInit.Agent", "Agent.Enable" } },
	{ check_watchdog,   { "VM.Machine", "Watchdog.Model" } },
	{ check_display,    { "Display." } },
	{ check_ready,      { "Lifecycle.ReadyWhen", "Agent.Enable" } },
	{ check_lifecycle,  { NULL } },
};
/* clang-format on */

void conf_check_name(const char *name, const struct conf_place *place, struct conf_problems *p)
{
	if (!conf_name_ok(name))
		conf_problem(p, place, NULL,
			"the name must be letters, digits, '.', '_' and '-', at most 63, and begin "
			"with a letter or digit");
}

void conf_vm_check(const struct conf_vm *c, const struct conf_daemon *d, const struct conf_marks *m,
	bool whole, struct conf_problems *p)
{
	const struct check k = { c, d, m, p, whole };
	size_t before = p->count;

	for (size_t i = 0; i < ARRAY_SIZE(checks); i++)
		if (!conf_marks_refused(m, NULL, checks[i].reads))
			checks[i].check(&k);
	if (!whole)
		return;
	check_order(&k);
	if (p->count == before)
		check_something_boots(&k);
}

static bool check_in_subnet(const struct conf_subnet *net, uint32_t address)
{
	uint32_t host = UINT32_MAX >> net->prefix;

	return (address & ~host) == (net->address & ~host) && (address & host) != 0 &&
	       (address & host) != host;
}

void conf_network_check(
	const struct conf_network *c, const struct conf_marks *m, struct conf_problems *p)
{
	static const char *const reads[] = { "Network.Address", NULL };
	const struct conf_mark *mark = conf_mark_find(m, "DHCPServer", NULL, "Range");
	const struct conf_place *place = mark ? &mark->place : &c->place;

	if (!c->range.set || conf_marks_refused(m, NULL, reads))
		return;
	if (!c->subnet.set)
		conf_problem(p, place, "Range", "needs [Network] Address=");
	else if (!check_in_subnet(&c->subnet, c->range.first) ||
		 !check_in_subnet(&c->subnet, c->range.last))
		conf_problem(p, place, "Range", "not within [Network] Address=");
	else if (c->range.first <= c->subnet.address && c->subnet.address <= c->range.last)
		conf_problem(p, place, "Range", "holds the host's own address");
}
