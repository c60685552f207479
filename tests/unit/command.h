/* SPDX-License-Identifier: MIT */
/*
 * tests/unit/command.h - command lines from configurations in the test itself
 */
#ifndef TESTS_UNIT_COMMAND_H
#define TESTS_UNIT_COMMAND_H

#include "supervisor/qemu/device.h"
#include "tests/unit/golden.h"

static struct probe probe;
static const char uuid[] = "5f4dcc3b-5aa7-4c5d-8327-deb882cf99aa";
static struct argv_context usual = { .accel = CONF_ACCEL_TCG, .image_dir = "/i" };

static inline int setup(void **state)
{
	json_t *doc = json_load_file("tests/golden/probe-7.2.json", 0, NULL);
	int r = probe_from_json(&probe, doc, NULL);

	(void)state;
	json_decref(doc);
	return r;
}

static inline int teardown(void **state)
{
	(void)state;
	probe_release(&probe);
	return 0;
}

static inline void parse(struct conf_vm *c, const char *text)
{
	struct conf_problems problems = { 0 };

	*c = (struct conf_vm)CONF_VM_INIT;
	conf_vm_parse(c, "t", &(struct conf_source){ "t.vm", text, strlen(text) }, 1,
		&(struct conf_context){ .uuid = uuid, .state_dir = "/s" }, &problems);
	if (problems.count)
		fail_msg("%s", problems.item[0].reason);
	conf_problems_release(&problems);
}

static inline int build_parsed(struct argv *a, const struct conf_vm *c, struct identity *id,
	const struct argv_context *ctx, struct err *e)
{
	int r;

	memcpy(id->uuid, uuid, sizeof uuid);
	r = identity_complete(id, c, ctx->image_dir, NULL, NULL, e);
	return r < 0 ? r : argv_build(a, c, id, &probe, ctx, e);
}

/* The configuration is gone afterwards, and with it what a->place refers to. */
static inline int build(struct argv *a, const char *text, struct identity *id,
	const struct argv_context *ctx, struct err *e)
{
	struct conf_vm c;
	int r;

	parse(&c, text);
	r = build_parsed(a, &c, id, ctx, e);
	conf_vm_release(&c);
	return r;
}

/* The n-th value of an option, or NULL. */
static inline const char *value(const struct argv *a, const char *option, size_t n)
{
	for (size_t i = 1; i + 1 < a->n; i++)
		if (streq(a->word[i], option) && n-- == 0)
			return a->word[i + 1];
	return NULL;
}

/* All devices by id, the caller's to free. */
static inline json_t *devices(const struct argv *a)
{
	json_t *all = json_object();
	const char *text;

	for (size_t i = 0; (text = value(a, "-device", i)); i++) {
		json_t *dev = json_loads(text, 0, NULL);
		const char *id = json_string_value(json_object_get(dev, "id"));

		assert_non_null(id);
		assert_null(json_object_get(all, id)); /* ids are unique */
		json_object_set_new(all, id, dev);
	}
	return all;
}

static inline json_t *devices_of(const char *text, struct identity *id)
{
	struct argv a = ARGV_INIT;
	struct err e = ERR_INIT;
	json_t *all;

	if (build(&a, text, id, &usual, &e) < 0)
		fail_msg("%s", e.text);
	all = devices(&a);
	argv_release(&a);
	return all;
}

#endif
