/* SPDX-License-Identifier: MIT */
#include "supervisor/qemu/argv_build.h"

#include <inttypes.h>
#include <jansson.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/text.h"
#include "supervisor/qemu/cpu.h"
#include "supervisor/qemu/effective.h"

/* The machine */

int argv_machine(const struct probe *p, const struct conf_vm *c, const struct identity *id,
	const char **machine, struct err *e)
{
	bool kept = id->machine && streq(id->machine_wish, c->machine);
	const char *wish = kept ? id->machine : c->machine;
	enum device_board board;
	char names[256];

	*machine = probe_machine(p, wish);
	if (!*machine) {
		probe_machines(p, wish, names, sizeof names);
		err_set(e, kept ? ERR_QEMU_FAILED : ERR_INVALID_CONFIG,
			"'%s' has no machine '%s'%s", p->binary, wish,
			kept ? ", which this VM was created with" : "");
		return err_hint(e, "set Machine= to one that it supports, such as %s", names);
	}
	if (device_board_of(*machine, &board))
		return 0;
	err_set(e, ERR_INVALID_CONFIG, "machine '%s' is not supported", *machine);
	return err_hint(e, "set Machine= to q35 or pc, or to a version of either");
}

static int argv_choose_machine(struct argv_build *b)
{
	const char *machine;

	if (argv_machine(b->p, b->c, b->bus.id, &machine, &b->e) < 0) {
		b->key = "Machine";
		return b->e.number;
	}
	device_board_of(machine, &b->bus.board);
	identity_pin_machine(b->bus.id, b->c->machine, machine);
	return cpu_check(b->c, b->p, machine, b->ctx->accel, &b->key, &b->e);
}

static void argv_add_machine(struct argv_build *b)
{
	const struct conf_vm *c = b->c;
	const struct argv_context *ctx = b->ctx;
	bool uefi = ctx->firmware && ctx->nvram, smm = uefi && ctx->firmware->needs_smm;
	_cleanup_(buf_release) struct buf cpu = BUF_INIT;

	argv_option(b, "-machine", "%s,dump-guest-core=off%s%s", b->bus.id->machine,
		smm ? ",smm=on" : "",
		uefi && !ctx->paste ? ",pflash0=pflash0,pflash1=pflash1" : "");
	if (uefi)
		argv_flash(b);
	if (smm) /* else the guest could write the variables behind the firmware's back */
		argv_option(b, "-global", "driver=cfi.pflash01,property=secure,value=on");
	argv_option(b, "-accel", "%s", ctx->accel == CONF_ACCEL_KVM ? "kvm" : "tcg");

	cpu_option(c, ctx->accel, &cpu);
	argv_option(b, "-cpu", "%s", cpu.data);
}

static void argv_add_smp(struct argv_build *b)
{
	const struct conf_vm *c = b->c;
	uint64_t sockets, cores, threads;

	effective_topology(c, &sockets, &cores, &threads);
	argv_option(b, "-smp", "%" PRIu64 ",sockets=%" PRIu64 ",cores=%" PRIu64 ",threads=%" PRIu64,
		c->cpus, sockets, cores, threads);
}

static void argv_add_memory(struct argv_build *b)
{
	uint64_t bytes = b->c->memory_max > b->c->memory ? b->c->memory_max : b->c->memory;

	/* conf/ takes whole MiB only */
	argv_option(b, "-m", "%" PRIu64 "M", bytes >> 20);
}

static void argv_add_boot(struct argv_build *b)
{
	const struct conf_vm *c = b->c;
	_cleanup_(buf_release) struct buf append = BUF_INIT;
	char path[PATH_MAX];

	/* strict: boot only from devices in the boot order */
	argv_option(b, "-boot", "strict=on%s", c->menu ? ",menu=on" : "");
	argv_option(b, "-rtc", "base=%s", c->clock == CONF_CLOCK_LOCALTIME ? "localtime" : "utc");
	if (!c->kernel)
		return;
	argv_option(b, "-kernel", "%s", device_path(c->kernel, b->ctx->image_dir, path));
	if (c->initrd)
		argv_option(b, "-initrd", "%s", device_path(c->initrd, b->ctx->image_dir, path));
	for (size_t i = 0; i < c->append.n; i++)
		buf_printf(&append, "%s%s", i ? " " : "", c->append.item[i]);
	if (append.len)
		argv_option(b, "-append", "%s", append.data);
}

static void argv_add_display(struct argv_build *b)
{
	const struct conf_vm *c = b->c;

	argv_option(b, "-display", "none");
	if (c->display == CONF_DISPLAY_NONE)
		return;
	if (!b->ctx->paste)
		argv_option(b, "-vnc", "none%s", c->password ? ",password=on" : "");
	if (c->keymap)
		argv_option(b, "-k", "%s", c->keymap);
}

/* Each line is one word, or an option and its argument. */
static void argv_add_own_words(struct argv_build *b)
{
	const size_t before = b->out->n;

	for (size_t i = 0; i < b->c->args.n; i++) {
		const char *line = b->c->args.item[i];
		size_t n = strcspn(line, " \t");
		char *first = xstrndup(line, n);

		argv_word(b, first);
		free(first);
		line += n;
		line += strspn(line, " \t");
		if (*line)
			argv_word(b, line);
	}
	b->out->own = b->out->n - before;
}

static int argv_check_counts(struct argv_build *b)
{
	if (b->c->serials > ARGV_SERIALS_MAX)
		return err_set(
			&b->e, ERR_INVALID_CONFIG, "more than %d serial lines", ARGV_SERIALS_MAX);
	if (b->c->nics > ARGV_NICS_MAX)
		return err_set(&b->e, ERR_INVALID_CONFIG, "more than %d NICs", ARGV_NICS_MAX);
	return 0;
}

static void argv_add_all(struct argv_build *b)
{
	const struct conf_vm *c = b->c;
	const char *name = argv_comma(b, c->name);

	argv_word(b, b->p->binary);
	if (b->ctx->paste) { /* not the process name of a guest of the daemon's */
		argv_option(b, "-name", "guest=%s,debug-threads=on", name);
	} else {
		argv_option(b, "-name", "guest=%s,process=vmkeep:%s,debug-threads=on", name, name);
		argv_word(b, "-S");
	}
	argv_word(b, "-nodefaults");
	argv_word(b, "-no-user-config");
	if (!b->ctx->paste)
		argv_word(b, "-no-shutdown");
	argv_option(b, "-action", "panic=pause,watchdog=pause");
	argv_option(b, "-sandbox",
		"on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny");
	argv_add_machine(b);
	argv_add_smp(b);
	argv_add_memory(b);
	argv_option(b, "-uuid", "%s", b->bus.id->uuid);
	argv_add_boot(b);
	argv_add_display(b);
	argv_monitor(b);
	argv_devices(b);
	argv_add_own_words(b);
}

/* The kernel's limit for a word of a command line, MAX_ARG_STRLEN. */
static void argv_check_words(struct argv_build *b)
{
	for (size_t i = 0; b->r >= 0 && i < b->out->n; i++) {
		if (strlen(b->out->word[i]) < 128 << 10)
			continue;
		b->key = streq(b->out->word[i ? i - 1 : 0], "-append") ? "Append" : NULL;
		err_set(&b->e, ERR_INVALID_CONFIG,
			"QEMU's command line would have an argument of %zu bytes, but the limit is 131071",
			strlen(b->out->word[i]));
		err_hint(&b->e, "shorten it, for example Append= in [Boot]");
		argv_failed(b);
	}
}

int argv_build(struct argv *out, const struct conf_vm *c, struct identity *id,
	const struct probe *p, const struct argv_context *ctx, struct err *e)
{
	struct argv_build b = { .out = out, .c = c, .p = p, .ctx = ctx, .bus = { .id = id } };

	if (argv_check_counts(&b) < 0 || argv_choose_machine(&b) < 0) {
		argv_failed(&b);
	} else {
		b.key = NULL;
		argv_add_all(&b);
		argv_check_words(&b);
	}
	if (b.r < 0 && e)
		err_copy(e, &b.first);
	if (b.r < 0) {
		argv_release(out);
		out->place = b.first_place;
		out->key = b.first_key;
	}
	return b.r;
}
