/* SPDX-License-Identifier: MIT */
#include "supervisor/qemu/argv.h"

#include <assert.h>
#include <inttypes.h>
#include <jansson.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/text.h"
#include "supervisor/qemu/device.h"

enum { UARTS_MAX = 4, VNC_FIRST_PORT = 5900 };

/* A command line in the making. The first failure stays in r and first; adding goes on harmlessly.
 */
struct build {
	struct argv *out;
	const struct conf_vm *c;
	const struct probe *p;
	const struct argv_context *ctx;
	struct device_bus bus;
	size_t room;
	int r;
	struct err e, first; /* e: of the call just made */
};

static void failed(struct build *b)
{
	if (b->r == 0)
		err_copy(&b->first, &b->e);
	b->r = b->first.number;
}

static void add(struct build *b, const char *word)
{
	struct argv *a = b->out;

	if (a->n + 1 >= b->room) {
		size_t room = b->room ? 2 * b->room : 64;
		const char **more = arena_alloc(&a->arena, room * sizeof *more);

		if (a->n)
			memcpy(more, a->word, a->n * sizeof *more);
		a->word = more;
		b->room = room;
	}
	a->word[a->n++] = arena_strdup(&a->arena, word);
	a->word[a->n] = NULL;
}

static void add_option(struct build *b, const char *option, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
static void add_option(struct build *b, const char *option, const char *fmt, ...)
{
	char *value;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&value, fmt, ap) < 0)
		abort();
	va_end(ap);
	add(b, option);
	add(b, value);
	free(value);
}

/* A NULL that came without an error is a device that this VM does not have. */
static void add_json(struct build *b, const char *option, json_t *o /* stolen */)
{
	const char *driver = json_string_value(json_object_get(o, "driver"));
	char *text;

	if (!o && b->e.number)
		failed(b);
	if (!o || b->r < 0) {
		json_decref(o);
		return;
	}
	if (streq(option, "-device") && !probe_has_device(b->p, driver)) {
		err_set(&b->e, ERR_INVALID_CONFIG, "'%s' has no device '%s'", b->p->binary, driver);
		err_hint(&b->e,
			"install the package that brings it, or choose another Bus=, Model= or Video=");
		failed(b);
	}
	text = json_dumps(o, JSON_COMPACT);
	json_decref(o);
	if (!text)
		abort(); /* jansson ran out of memory */
	add(b, option);
	add(b, text);
	free(text);
}

/* QEMU's own option syntax ends a value at a comma unless that is doubled. */
static const char *comma(struct build *b, const char *value)
{
	struct buf t = BUF_INIT;
	const char *s;

	for (const char *p = value; *p; p++) {
		buf_addc(&t, *p);
		if (*p == ',')
			buf_addc(&t, ',');
	}
	s = arena_strdup(&b->out->arena, t.data ? t.data : "");
	buf_release(&t);
	return s;
}

/* The machine */

static int choose_machine(struct build *b)
{
	struct identity *id = b->bus.id;
	bool kept = id->machine && streq(id->machine_wish, b->c->machine);
	const char *wish = kept ? id->machine : b->c->machine, *machine = probe_machine(b->p, wish);
	char names[256];

	if (!machine) {
		probe_machines(b->p, wish, names, sizeof names);
		err_set(&b->e, kept ? ERR_QEMU_FAILED : ERR_INVALID_CONFIG,
			"'%s' has no machine '%s'%s", b->p->binary, wish,
			kept ? ", which this VM was made with" : "");
		return err_hint(&b->e, "set Machine= to one that it has, such as %s", names);
	}
	if (!device_board_of(machine, &b->bus.board)) {
		err_set(&b->e, ERR_INVALID_CONFIG, "machine '%s' is not supported", machine);
		return err_hint(&b->e, "set Machine= to q35 or pc, or to a version of these");
	}
	identity_pin_machine(id, b->c->machine, machine);
	return 0;
}

static void add_machine(struct build *b)
{
	const struct conf_vm *c = b->c;
	const struct argv_context *ctx = b->ctx;
	bool uefi = ctx->firmware && ctx->nvram, smm = uefi && ctx->firmware->needs_smm;
	struct buf cpu = BUF_INIT;

	add_option(b, "-machine", "%s,dump-guest-core=off%s%s", b->bus.id->machine,
		smm ? ",smm=on" : "", uefi ? ",pflash0=pflash0,pflash1=pflash1" : "");
	if (uefi) {
		add_json(b, "-blockdev",
			device_flash_node(
				0, ctx->firmware->code, ctx->firmware->code_format, false));
		add_json(b, "-blockdev", device_flash_node(1, ctx->nvram, CONF_FORMAT_QCOW2, true));
	}
	if (smm) /* else the guest could write the variables past the firmware */
		add_option(b, "-global", "driver=cfi.pflash01,property=secure,value=on");
	add_option(b, "-accel", "%s", ctx->accel == CONF_ACCEL_KVM ? "kvm" : "tcg");

	buf_adds(&cpu, c->cpu_model ? c->cpu_model : ctx->accel == CONF_ACCEL_KVM ? "host" : "max");
	for (size_t i = 0; i < c->cpu_features.n; i++)
		buf_printf(&cpu, ",%s=%s", c->cpu_features.item[i] + 1,
			c->cpu_features.item[i][0] == '-' ? "off" : "on");
	add_option(b, "-cpu", "%s", cpu.data);
	buf_release(&cpu);
}

/* conf/ has seen that what is given divides CPUs. What is not is derived: cores, else sockets. */
static void add_smp(struct build *b)
{
	const struct conf_vm *c = b->c;
	uint64_t sockets = c->sockets, cores = c->cores, threads = c->threads;

	if (!cores) {
		sockets = sockets ? sockets : 1;
		threads = threads ? threads : 1;
		cores = c->cpus / (sockets * threads);
	} else if (!sockets) {
		threads = threads ? threads : 1;
		sockets = c->cpus / (cores * threads);
	} else {
		threads = c->cpus / (sockets * cores);
	}
	add_option(b, "-smp", "%" PRIu64 ",sockets=%" PRIu64 ",cores=%" PRIu64 ",threads=%" PRIu64,
		c->cpus, sockets, cores, threads);
}

static void add_memory(struct build *b)
{
	uint64_t bytes = b->c->memory_max > b->c->memory ? b->c->memory_max : b->c->memory;

	/* conf/ takes whole MiB only */
	add_option(b, "-m", "%" PRIu64 "M", bytes >> 20);
}

static void add_boot(struct build *b)
{
	const struct conf_vm *c = b->c;
	struct buf append = BUF_INIT;
	char path[PATH_MAX];

	/* strict: nothing is tried that is not in the order */
	add_option(b, "-boot", "strict=on%s", c->menu ? ",menu=on" : "");
	add_option(b, "-rtc", "base=%s", c->clock == CONF_CLOCK_LOCALTIME ? "localtime" : "utc");
	if (!c->kernel)
		return;
	add_option(b, "-kernel", "%s", device_path(c->kernel, b->ctx->image_dir, path));
	if (c->initrd)
		add_option(b, "-initrd", "%s", device_path(c->initrd, b->ctx->image_dir, path));
	for (size_t i = 0; i < c->append.n; i++)
		buf_printf(&append, "%s%s", i ? " " : "", c->append.item[i]);
	if (append.len)
		add_option(b, "-append", "%s", append.data);
	buf_release(&append);
}

/* Without descriptors: what the daemon would offer, at the same paths. */
static void add_pasted_vnc(struct build *b)
{
	const struct conf_vm *c = b->c;
	const char *password = c->password ? ",password=on" : "";
	bool v6 = strchr(c->listen, ':') != NULL;

	if (streq(c->listen, "unix") || (c->port && c->port < VNC_FIRST_PORT))
		add_option(b, "-vnc", "unix:%s/vnc.sock%s", comma(b, b->ctx->run_dir), password);
	else
		add_option(b, "-vnc", "%s%s%s:%" PRIu64 "%s%s", v6 ? "[" : "", c->listen,
			v6 ? "]" : "", c->port ? c->port - VNC_FIRST_PORT : 0,
			c->port ? "" : ",to=99", password);
}

static void add_display(struct build *b)
{
	const struct conf_vm *c = b->c;

	add_option(b, "-display", "none");
	if (c->display == CONF_DISPLAY_NONE)
		return;
	if (b->ctx->paste)
		add_pasted_vnc(b);
	else
		add_option(b, "-vnc", "none%s", c->password ? ",password=on" : "");
	if (c->keymap)
		add_option(b, "-k", "%s", c->keymap);
}

/* Monitor and serial lines */

static void add_socket(struct build *b, const char *id, int fd)
{
	if (b->ctx->paste)
		add_option(b, "-chardev", "socket,id=%s,path=%s/%s.sock,server=on,wait=off", id,
			comma(b, b->ctx->run_dir), id);
	else
		add_option(b, "-chardev", "socket,id=%s,fd=%d,server=on,wait=off", id, fd);
}

static void add_monitor(struct build *b)
{
	add_socket(b, "qmp", ARGV_FD_QMP);
	add_option(b, "-mon", "chardev=qmp,mode=control");
}

static void add_serial_socket(struct build *b, size_t i)
{
	const struct conf_serial *s = &b->c->serial[i];
	const char *run = b->ctx->paste ? comma(b, b->ctx->run_dir) : NULL;
	struct buf where = BUF_INIT;

	if (run)
		buf_printf(&where, "path=%s/serial-%s.sock,server=on,wait=off", run, s->id);
	else
		buf_printf(&where, "fd=%d,server=on,wait=off", argv_fd_serial(i));
	if (s->log && run)
		buf_printf(&where, ",logfile=%s/serial-%s.log,logappend=on", run, s->id);
	else if (s->log)
		buf_printf(&where, ",logfile=/dev/fdset/%zu,logappend=on", i + 1);
	if (s->log && !run)
		add_option(b, "-add-fd", "set=%zu,fd=%d", i + 1, argv_fd_serial_log(i));
	add_option(b, "-chardev", "socket,id=char-%s,%s", s->id, where.data);
	buf_release(&where);
}

static void add_serials(struct build *b)
{
	unsigned uarts = 0, consoles = 0;

	for (size_t i = 0; i < b->c->serials; i++) {
		const struct conf_serial *s = &b->c->serial[i];
		bool virtio = s->type == CONF_SERIAL_VIRTIO;

		add_serial_socket(b, i);
		if (virtio && consoles == 0)
			add_json(b, "-device", device_virtio_serial(&b->bus, &b->e));
		add_json(b, "-device", device_serial(s, virtio ? consoles++ : uarts++));
	}
	if (uarts > UARTS_MAX) {
		err_set(&b->e, ERR_INVALID_CONFIG,
			"a machine has %d serial ports, %u are wanted; use Type=virtio for some",
			UARTS_MAX, uarts);
		failed(b);
	}
}

/* A file, as of a serial port's output: what the guest says while no daemon runs is not lost. */
static void add_notify(struct build *b)
{
	bool paste = b->ctx->paste;

	if (!paste)
		add_option(b, "-add-fd", "set=" ARGV_FDSET_NOTIFY ",fd=%d", ARGV_FD_NOTIFY);
	add_option(b, "-chardev", "file,id=notify,path=%s%s,append=on",
		paste ? comma(b, b->ctx->run_dir) : "/dev/fdset/",
		paste ? "/notify.log" : ARGV_FDSET_NOTIFY);
	add_json(b, "-device", device_notify());
}

/* Last of all devices, so that none of a VM that had no controller yet moves. */
static void add_guest_ports(struct build *b)
{
	const struct conf_vm *c = b->c;
	bool notify = argv_wants_notify(c), has_controller = false;

	for (size_t i = 0; i < c->serials; i++)
		has_controller |= c->serial[i].type == CONF_SERIAL_VIRTIO;
	if ((c->agent || notify) && !has_controller)
		add_json(b, "-device", device_virtio_serial(&b->bus, &b->e));
	if (c->agent) {
		add_socket(b, "agent", ARGV_FD_AGENT);
		add_json(b, "-device", device_agent());
	}
	if (notify)
		add_notify(b);
}

/* Disks and NICs */

/* The place in [Boot] Order, from 1; without that: disks, CDs, NICs as written. 0: not booted from.
 */
static unsigned boot_index(const struct conf_vm *c, const char *id, size_t by_default)
{
	for (size_t i = 0; i < c->order.n; i++)
		if (streq(c->order.item[i], id))
			return (unsigned)i + 1;
	return c->order.n ? 0 : (unsigned)by_default + 1;
}

/* Back ends go out at once, front ends are collected: their ports must come before them. */
static void add_drives(struct build *b, json_t *front)
{
	const struct conf_vm *c = b->c;
	size_t plain = 0, cds = 0, disks = 0;

	for (size_t i = 0; i < c->disks; i++)
		disks += !c->disk[i].cdrom;
	for (size_t i = 0; b->r == 0 && i < c->disks; i++) {
		const struct conf_disk *d = &c->disk[i];
		size_t nth = d->cdrom ? disks + cds++ : plain++;
		json_t *dev = device_disk(d, &b->bus, boot_index(c, d->id, nth), &b->e);

		json_array_append_new(front, dev);
		if (!dev)
			failed(b);
		add_json(b, "-object", device_disk_iothread(d));
		if (d->path)
			add_json(b, "-blockdev",
				device_disk_node(d, b->bus.id, b->ctx->image_dir, &b->e));
	}
}

static void add_nics(struct build *b, json_t *front)
{
	const struct conf_vm *c = b->c;

	for (size_t i = 0; b->r == 0 && i < c->nics; i++) {
		json_t *dev = device_nic(
			&c->nic[i], &b->bus, boot_index(c, c->nic[i].id, c->disks + i), &b->e);
		char fd[16];

		json_array_append_new(front, dev);
		if (!dev)
			failed(b);
		snprintf(fd, sizeof fd, "%d", argv_fd_tap(i));
		add_json(b, "-netdev",
			b->ctx->paste ? device_netdev(&c->nic[i], NULL, b->ctx->tap[i])
				      : device_netdev(&c->nic[i], fd, NULL));
	}
}

static void add_ports(struct build *b)
{
	unsigned n = device_ports_used(b->bus.id) + DEVICE_SPARE_PORTS;

	if (b->bus.board == DEVICE_PC)
		return;
	for (unsigned i = 1; i <= n && i <= DEVICE_PORTS_MAX; i++)
		add_json(b, "-device", device_root_port(i));
}

/* Disks and NICs find their slots first, so that what is optional stands behind them. */
static void add_devices(struct build *b)
{
	const struct conf_vm *c = b->c;
	json_t *front = json_array(), *dev;
	size_t i;

	add_drives(b, front);
	add_nics(b, front);
	add_ports(b);
	if (argv_wants_scsi(c))
		add_json(b, "-device", device_scsi_controller(&b->bus, &b->e));
	json_array_foreach (front, i, dev)
		add_json(b, "-device", json_incref(dev));
	json_decref(front);
	add_serials(b);
	add_json(b, "-device", device_video(c, &b->bus));
	if (c->display != CONF_DISPLAY_NONE && c->tablet) {
		add_json(b, "-device", device_usb(&b->bus, &b->e));
		add_json(b, "-device", device_tablet());
	}
	if (c->balloon)
		add_json(b, "-device", device_balloon(c, &b->bus, &b->e));
	if (!streq(c->rng_source, "none")) {
		add_json(b, "-object", device_rng_source(c));
		add_json(b, "-device", device_rng(c, &b->bus, &b->e));
	}
	add_json(b, "-device", device_pvpanic(&b->bus, &b->e));
	add_guest_ports(b);
}

/* Each line is a word, or an option and its argument. */
static void add_own_words(struct build *b)
{
	for (size_t i = 0; i < b->c->args.n; i++) {
		const char *line = b->c->args.item[i];
		size_t n = strcspn(line, " \t");
		char *first = xstrndup(line, n);

		add(b, first);
		free(first);
		line += n;
		line += strspn(line, " \t");
		if (*line)
			add(b, line);
	}
}

static int check_counts(struct build *b)
{
	if (b->c->serials > ARGV_SERIALS_MAX)
		return err_set(
			&b->e, ERR_INVALID_CONFIG, "more than %d serial lines", ARGV_SERIALS_MAX);
	if (b->c->nics > ARGV_NICS_MAX)
		return err_set(&b->e, ERR_INVALID_CONFIG, "more than %d NICs", ARGV_NICS_MAX);
	return 0;
}

static void add_all(struct build *b)
{
	const struct conf_vm *c = b->c;
	const char *name = comma(b, c->name);

	add(b, b->p->binary);
	add_option(b, "-name", "guest=%s,process=vmkeep:%s,debug-threads=on", name, name);
	if (!b->ctx->paste)
		add(b, "-S");
	add(b, "-nodefaults");
	add(b, "-no-user-config");
	add(b, "-no-shutdown");
	add_option(b, "-action", "panic=pause,watchdog=pause");
	add_option(b, "-sandbox",
		"on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny");
	add_machine(b);
	add_smp(b);
	add_memory(b);
	add_option(b, "-uuid", "%s", b->bus.id->uuid);
	add_boot(b);
	add_display(b);
	add_monitor(b);
	add_devices(b);
	add_own_words(b);
}

int argv_build(struct argv *out, const struct conf_vm *c, struct identity *id,
	const struct probe *p, const struct argv_context *ctx, struct err *e)
{
	struct build b = { .out = out, .c = c, .p = p, .ctx = ctx, .bus = { .id = id } };

	assert(!ctx->paste || !c->nics || ctx->tap);
	if (check_counts(&b) < 0 || choose_machine(&b) < 0)
		failed(&b);
	else
		add_all(&b);
	if (b.r < 0 && e)
		err_copy(e, &b.first);
	if (b.r < 0)
		argv_release(out);
	return b.r;
}
