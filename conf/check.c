/* SPDX-License-Identifier: MIT */
#include "conf/check.h"

#include <inttypes.h>
#include <strings.h>

#include "conf/word.h"

struct check {
	const struct conf_vm *c;
	const struct conf_daemon *daemon; /* or NULL */
	const struct conf_marks *marks;
	struct conf_problems *problems;
	bool whole; /* an unset value is missing, not misspelt */
};

/* The line that sets the key, else the section's first line, else the file. */
static const struct conf_place *check_place_of(const struct check *k, const char *section,
	const char *id, const char *key, const struct conf_place *begin)
{
	const struct conf_mark *m = conf_mark_find(k->marks, section, id, key);

	if (m)
		return &m->place;
	return begin && begin->file ? begin : &k->c->place;
}

#define VM_PROBLEM(k, section, key, ...) \
	conf_problem((k)->problems, check_place_of(k, section, NULL, key, NULL), key, __VA_ARGS__)
#define DISK_PROBLEM(k, d, key, ...)                                                              \
	conf_problem((k)->problems,                                                               \
		check_place_of(k, (d)->cdrom ? "CDROM" : "Disk", (d)->id, key, &(d)->place), key, \
		__VA_ARGS__)

#define NIC_PROBLEM(k, n, key, ...)                                                           \
	conf_problem((k)->problems, check_place_of(k, "NIC", (n)->id, key, &(n)->place), key, \
		__VA_ARGS__)

bool conf_disk_is_direct(const struct conf_disk *d)
{
	return d->cache == CONF_CACHE_AUTO || d->cache == CONF_CACHE_NONE ||
	       d->cache == CONF_CACHE_DIRECTSYNC;
}

enum conf_format conf_disk_format(const struct conf_disk *d)
{
	static const struct {
		const char *suffix;
		enum conf_format format;
	} suffixes[] = {
		{ ".qcow2", CONF_FORMAT_QCOW2 },
		{ ".raw", CONF_FORMAT_RAW },
		{ ".img", CONF_FORMAT_RAW },
		{ ".iso", CONF_FORMAT_RAW },
	};
	size_t len;

	if (d->format != CONF_FORMAT_AUTO || !d->path)
		return d->format;
	if (d->volume || strncmp(d->path, "/dev/", 5) == 0)
		return CONF_FORMAT_RAW;
	len = strlen(d->path);
	for (size_t i = 0; i < ARRAY_SIZE(suffixes); i++) {
		size_t n = strlen(suffixes[i].suffix);

		if (len > n && strcasecmp(d->path + len - n, suffixes[i].suffix) == 0)
			return suffixes[i].format;
	}
	return CONF_FORMAT_AUTO;
}

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

/* pc and its versions have IDE; q35 has SATA. */
static bool check_is_pc(const char *machine)
{
	return strcmp(machine, "pc") == 0 || strncmp(machine, "pc-i440fx-", 10) == 0;
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
	if (c->secure_boot && check_is_pc(c->machine))
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

static void check_bus(const struct check *k, const struct conf_disk *d)
{
	bool pc = check_is_pc(k->c->machine);

	if (d->bus == CONF_BUS_IDE && !pc)
		DISK_PROBLEM(k, d, "Bus", "ide needs Machine=pc; q35 has sata");
	if (d->bus == CONF_BUS_SATA && pc)
		DISK_PROBLEM(k, d, "Bus", "sata needs Machine=q35; pc has ide");
}

/* Endings of what no guest can use as it is. */
static void check_unknown_format(const struct check *k, const struct conf_disk *d)
{
	static const char *const images[] = { ".vmdk", ".vdi", ".vhd", ".vhdx", ".qed", ".dmg" },
				 *const packed[] = { ".gz", ".xz", ".zst", ".bz2", ".zip", ".ova",
					 ".tar", ".7z" };
	const char *dot = strrchr(d->path, '.');
	int stem = dot ? (int)(dot - d->path) : 0;

	for (size_t i = 0; dot && i < ARRAY_SIZE(images); i++)
		if (strcasecmp(dot, images[i]) == 0) {
			DISK_PROBLEM(k, d, "Path",
				"%s images must be converted: qemu-img convert -O qcow2 %s %.*s.qcow2, and "
				"write Path=%.*s.qcow2",
				dot, d->path, stem, d->path, stem, d->path);
			return;
		}
	for (size_t i = 0; dot && i < ARRAY_SIZE(packed); i++)
		if (strcasecmp(dot, packed[i]) == 0) {
			DISK_PROBLEM(k, d, "Path",
				"%s files must be unpacked; then write Path= with the image in it",
				dot);
			return;
		}
	DISK_PROBLEM(k, d, "Path",
		"cannot tell the format from the name, add Format=qcow2 or Format=raw");
}

/* In a store, vmkeep removes what has such a name: the trash, and files that are not complete. */
static bool check_is_removed(const char *path)
{
	static const char *const names[] = { ".trash/", ".fetch-", ".vmkeep-" };

	for (const char *part = path; part; part = strchr(part, '/')) {
		part += *part == '/';
		for (size_t i = 0; i < ARRAY_SIZE(names); i++)
			if (strncmp(part, names[i], strlen(names[i])) == 0)
				return true;
	}
	return false;
}

static void check_names(const struct check *k, const struct conf_disk *d)
{
	const char *path = d->path && check_is_removed(d->path) ? d->path : NULL, *base = NULL;

	for (size_t i = 0; i < d->base.n; i++)
		if (check_is_removed(d->base.item[i]))
			base = d->base.item[i];
	if (path || base)
		DISK_PROBLEM(k, d, path ? "Path" : "Base",
			"files of such names are removed without asking: move '%s'",
			path ? path : base);
}

static void check_file(const struct check *k, const struct conf_disk *d)
{
	enum conf_format format = conf_disk_format(d);

	check_names(k, d);

	/* without vmkeep.conf, another store may have volumes */
	if (d->path && format == CONF_FORMAT_AUTO &&
		(k->daemon || streq(d->store, CONF_STORE_DEFAULT)))
		check_unknown_format(k, d);
	if (d->size && d->path && *d->path == '/')
		DISK_PROBLEM(
			k, d, "Size", "images are created in a store only: give a relative Path=");
	if (d->base.n && format == CONF_FORMAT_RAW)
		DISK_PROBLEM(k, d, "Base", "a raw image has none");
	if (!d->path || d->read_only)
		return;
	for (const struct conf_disk *o = k->c->disk; o < d; o++)
		if (streq(o->path, d->path) && streq(o->store, d->store)) {
			DISK_PROBLEM(k, d, "Path", "disk '%s' has the same", o->id);
			return;
		}
}

/* The name reaches a program that runs as root. */
static void check_volume(const struct check *k, const struct conf_disk *d)
{
	if (!conf_word_volume(d->path))
		DISK_PROBLEM(k, d, "Path",
			"store '%s' has volumes: name one, of letters, digits, '.', '_' and '-'",
			d->store);
	if (d->format != CONF_FORMAT_AUTO && d->format != CONF_FORMAT_RAW)
		DISK_PROBLEM(k, d, "Format", "volumes of store '%s' are raw", d->store);
}

static void check_store(const struct check *k, const struct conf_disk *d)
{
	const struct conf_store *s = k->daemon ? conf_daemon_store(k->daemon, d->store) : NULL;
	const char *nearest;

	if (streq(d->store, CONF_STORE_DEFAULT))
		return;
	if (d->path && *d->path == '/') {
		DISK_PROBLEM(k, d, "Store", "an absolute Path= is in no store; write only one");
	} else if (k->daemon && !s) {
		nearest = conf_daemon_store_nearest(k->daemon, d->store);
		DISK_PROBLEM(k, d, "Store",
			nearest ? "vmkeep.conf has no store '%s', did you mean '%s'?"
				: "vmkeep.conf has no store '%s'",
			d->store, nearest);
	} else if (s && s->read_only && d->size) {
		DISK_PROBLEM(k, d, "Size", "store '%s' is read-only: no image is created in it",
			d->store);
	} else if (s && s->read_only && !d->read_only) {
		DISK_PROBLEM(
			k, d, "Store", "store '%s' is read-only: write ReadOnly=yes", d->store);
	}
}

static void check_disk(const struct check *k, const struct conf_disk *d)
{
	if (k->whole && !d->cdrom && !d->path)
		DISK_PROBLEM(k, d, "Path", "missing; give Path=, or Size= for a new image");
	if (d->aio == CONF_AIO_NATIVE && !conf_disk_is_direct(d))
		DISK_PROBLEM(k, d, "AIO", "native needs Cache=none or directsync");
	if (d->detect_zeroes == CONF_ZEROES_UNMAP && d->discard == CONF_DISCARD_IGNORE)
		DISK_PROBLEM(k, d, "DetectZeroes", "unmap needs Discard=unmap");
	check_bus(k, d);
	check_store(k, d);
	if (d->volume)
		check_volume(k, d);
	check_file(k, d);
}

/* q35's AHCI has six ports, pc's IDE four; CDs are attached there unless on scsi. */
static void check_ports(const struct check *k)
{
	bool pc = check_is_pc(k->c->machine);
	size_t n = 0, ports = pc ? 4 : 6;

	for (size_t i = 0; i < k->c->disks; i++) {
		const struct conf_disk *d = &k->c->disk[i];

		if (d->bus == CONF_BUS_IDE || d->bus == CONF_BUS_SATA ||
			(d->cdrom && d->bus == CONF_BUS_AUTO))
			n++;
		else
			continue;
		if (n == ports + 1)
			DISK_PROBLEM(k, d, "Bus", "%s has %zu ports, use scsi", pc ? "ide" : "sata",
				ports);
	}
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
	if (k->c->watchdog == CONF_WATCHDOG_ITCO && check_is_pc(k->c->machine))
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

	check_topology(&k);
	check_tasks(&k);
	check_memory(&k);
	check_boot(&k);
	for (size_t i = 0; i < c->disks; i++)
		check_disk(&k, &c->disk[i]);
	check_ports(&k);
	for (size_t i = 0; i < c->nics; i++)
		check_nic(&k, &c->nic[i]);
	check_template(&k);
	check_seed(&k);
	check_watchdog(&k);
	check_display(&k);
	check_ready(&k);
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
	const struct conf_mark *mark = conf_mark_find(m, "DHCPServer", NULL, "Range");
	const struct conf_place *place = mark ? &mark->place : &c->place;

	if (!c->range.set)
		return;
	if (!c->subnet.set)
		conf_problem(p, place, "Range", "needs [Network] Address=");
	else if (!check_in_subnet(&c->subnet, c->range.first) ||
		 !check_in_subnet(&c->subnet, c->range.last))
		conf_problem(p, place, "Range", "not within [Network] Address=");
	else if (c->range.first <= c->subnet.address && c->subnet.address <= c->range.last)
		conf_problem(p, place, "Range", "holds the host's own address");
}
