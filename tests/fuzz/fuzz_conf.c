/* SPDX-License-Identifier: MIT */
/*
 * Any text as a configuration: no crash, no endless loop, and if there are no problems, a dump
 * parses back to the same, and set and unset have the effect that they report. The first byte
 * selects how it is parsed: 'n' a network, 'd' vmkeep.conf with its defaults on a VM, 's' a VM and,
 * after a line "%", its drop-in; otherwise a VM.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "conf/edit.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char vm_text[] = "[VM]\nCPUs=2\n[Disk a]\nPath=a.raw\n[NIC a]\n[NIC b]\nBridge=br0\n";

static void need(bool ok)
{
	if (!ok)
		abort();
}

static void differs(void *data, const struct conf_change *c)
{
	(void)data;
	(void)c;
	abort();
}

static struct conf_context context(void)
{
	return (struct conf_context){
		.uuid = "7f1d1d4e-7c3b-4a69-9f0e-0d8f1a2b3c4d",
		.state_dir = "/var/lib/vmkeep",
	};
}

static void check_vm_dump(const struct conf_vm *c, bool all)
{
	const struct conf_context ctx = context();
	struct conf_problems p = { 0 };
	struct conf_vm back = CONF_VM_INIT;
	struct buf first = BUF_INIT, second = BUF_INIT;
	struct conf_source src;

	conf_vm_dump(c, all, &first);
	src = (struct conf_source){ "dump", first.data, first.len };
	conf_vm_parse(&back, c->name, &src, 1, &ctx, &p);
	need(p.count == 0);
	conf_vm_diff(c, &back, differs, NULL);
	conf_vm_diff(&back, c, differs, NULL);
	conf_vm_dump(&back, all, &second);
	need(strcmp(first.data, second.data) == 0);
	conf_vm_release(&back);
	buf_release(&first);
	buf_release(&second);
}

static void check_problems(struct conf_problems *p)
{
	struct err e = ERR_INIT;

	need((conf_problems_err(p, &e) < 0) == (p->count > 0));
	conf_problems_release(p);
}

/* Reads the edited texts into c. False: the added line exceeds a limit. */
static bool read_edited(const struct conf_edit *ed, const struct conf_source *src, size_t n,
	const struct conf_daemon *defaults, struct conf_vm *c)
{
	struct conf_context ctx = context();
	struct conf_problems p = { 0 };
	struct conf_source fresh[2];
	struct buf text[2] = { BUF_INIT, BUF_INIT };
	char *said;
	bool good;

	ctx.defaults = defaults;
	for (size_t i = 0; i < n; i++) {
		fresh[i] = src[i];
		if (!conf_edit_text(ed, i, &text[i]))
			continue;
		fresh[i].text = text[i].data ? text[i].data : "";
		fresh[i].len = text[i].len;
	}
	conf_vm_parse(c, "web1", fresh, n, &ctx, &p);
	said = conf_problems_text(&p);
	good = p.count == 0;
	need(good || strstr(said, "more than"));
	free(said);
	conf_problems_release(&p);
	buf_release(&text[0]);
	buf_release(&text[1]);
	return good;
}

static bool has_owner(const struct conf_vm *c, const char *name)
{
	for (size_t i = 0; i < c->owner.n; i++)
		if (streq(c->owner.item[i], name))
			return true;
	return false;
}

/* What was set is read back, whatever else a valid file contains. */
static void try_edit(const struct conf_source *src, size_t n, const struct conf_daemon *defaults)
{
	static const struct {
		const char *word, *description, *owner, *not_owner;
		size_t owners; /* 0: any number */
	} steps[] = {
		{ "VM.Description=edited", "edited", NULL, NULL, 0 },
		{ "VM.Owner+=zed", "edited", "zed", NULL, 0 },
		{ "VM.Owner=zed,yan", "edited", "yan", NULL, 2 },
		{ "VM.Owner-=yan", "edited", "zed", "yan", 1 },
		{ "VM.Description=", NULL, "zed", NULL, 1 },
		{ "VM.Owner", NULL, NULL, "zed", 0 },
		{ "VM.Description", NULL, NULL, NULL, 0 },
	};
	struct conf_edit *ed = conf_edit_new(src, n, defaults);
	struct err e = ERR_INIT;
	bool good = true;

	for (size_t i = 0; good && i < ARRAY_SIZE(steps); i++) {
		struct conf_vm c = CONF_VM_INIT;
		const char *word = steps[i].word;

		need((strchr(word, '=') ? conf_edit_set(ed, word, &e)
					: conf_edit_unset(ed, word, &e)) == 0);
		good = read_edited(ed, src, n, defaults, &c);
		if (good && !defaults) {
			need(streq(c.description, steps[i].description));
			need(!steps[i].owner || has_owner(&c, steps[i].owner));
			need(!steps[i].not_owner || !has_owner(&c, steps[i].not_owner));
			need(!steps[i].owners || c.owner.n == steps[i].owners);
		}
		conf_vm_release(&c);
	}
	conf_edit_free(ed);
}

static void try_vm(const struct conf_source *src, size_t n, const struct conf_daemon *defaults)
{
	struct conf_context ctx = context();
	struct conf_problems p = { 0 };
	struct conf_vm c = CONF_VM_INIT;
	struct buf b = BUF_INIT;

	ctx.defaults = defaults;
	conf_vm_parse(&c, "web1", src, n, &ctx, &p);
	if (p.count == 0) {
		check_vm_dump(&c, false);
		check_vm_dump(&c, true);
		try_edit(src, n, defaults);
	} else {
		conf_vm_dump(&c, true, &b);
		conf_vm_diff(&c, &c, differs, NULL);
	}
	check_problems(&p);
	conf_vm_release(&c);
	buf_release(&b);
}

static void try_network(const struct conf_source *src)
{
	struct conf_problems p = { 0 };
	struct conf_network c = CONF_NETWORK_INIT, back = CONF_NETWORK_INIT;
	struct buf first = BUF_INIT, second = BUF_INIT;
	struct conf_source dump;

	conf_network_parse(&c, "lan", src, 1, &p);
	conf_network_dump(&c, true, &first);
	if (p.count == 0) {
		dump = (struct conf_source){ "dump", first.data, first.len };
		conf_network_parse(&back, "lan", &dump, 1, &p);
		need(p.count == 0);
		conf_network_dump(&back, true, &second);
		need(strcmp(first.data, second.data) == 0);
	}
	check_problems(&p);
	conf_network_release(&c);
	conf_network_release(&back);
	buf_release(&first);
	buf_release(&second);
}

static void try_daemon(const struct conf_source *src)
{
	const struct conf_source vm = { "web1.vm", vm_text, sizeof vm_text - 1 };
	struct conf_problems p = { 0 };
	struct conf_daemon c = CONF_DAEMON_INIT;

	conf_daemon_parse(&c, src, 1, &p);
	try_vm(&vm, 1, &c);
	check_problems(&p);
	conf_daemon_release(&c);
}

/* Splits the text at a line that consists of "%". */
static size_t split(const char *text, size_t len, struct conf_source src[2])
{
	const char *cut = memmem(text, len, "\n%\n", 3);

	src[0] = (struct conf_source){ "a", text, cut ? (size_t)(cut - text) : len };
	if (!cut)
		return 1;
	src[1] = (struct conf_source){ "b", cut + 3, len - src[0].len - 3 };
	return 2;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	struct conf_source src[2] = { { "a", text, size } };

	if (size && *text == 'n') {
		src[0] = (struct conf_source){ "a", text + 1, size - 1 };
		try_network(src);
	} else if (size && *text == 'd') {
		src[0] = (struct conf_source){ "a", text + 1, size - 1 };
		try_daemon(src);
	} else if (size && *text == 's') {
		try_vm(src, split(text + 1, size - 1, src), NULL);
	} else {
		try_vm(src, 1, NULL);
	}
	return 0;
}
