/* SPDX-License-Identifier: MIT */
/* Globs are resolved here, from one list of the daemon: its verbs take one name. */
#include <errno.h>
#include <fnmatch.h>
#include <stdint.h>
#include <string.h>

#include "base/mem.h"
#include "supervisor/client/command.h"
#include "supervisor/client/value.h"

static bool targets_is_of_networks(const struct api_verb *verb)
{
	return verb->target == API_NETWORK || verb->target == API_NETWORKS;
}

static int targets_hint(const struct api_verb *verb, struct err *e)
{
	return targets_is_of_networks(verb)
		       ? err_hint(e, "vmkeep net list shows which networks there are")
		       : err_hint(e, "vmkeep list shows which VMs there are");
}

static void targets_add(struct command *c, const char *name)
{
	for (size_t i = 0; i < c->targets; i++)
		if (streq(c->target[i], name))
			return;
	c->target = xrealloc(c->target, c->targets + 1, sizeof *c->target);
	c->target[c->targets++] = xstrdup(name);
}

static int targets_add_matches(
	struct command *c, const char *glob, const json_t *list, struct err *e)
{
	size_t before = c->targets, i;
	bool found = false;
	json_t *row;

	json_array_foreach (json_object_get(list, "rows"), i, row) {
		const char *name = json_string_value(value_cell(list, row, "name"));

		if (name && fnmatch(glob, name, 0) == 0) {
			targets_add(c, name);
			found = true;
		}
	}
	if (!found) {
		err_set(e, ERR_NOT_FOUND, "no %s matches '%s'",
			targets_is_of_networks(c->verb) ? "network" : "VM", glob);
		return targets_hint(c->verb, e);
	}
	if ((c->verb->target == API_VM || c->verb->target == API_NETWORK) &&
		c->targets > before + 1)
		return err_set(e, ERR_USAGE, "'%s' matches %zu names, but %s takes one", glob,
			c->targets - before, c->verb->command);
	return 0;
}

/* Refuses the path of a VM's or network's file in place of its name. */
static int targets_refuse_path(const struct api_verb *verb, const char *path, struct err *e)
{
	const char *name = strrchr(path, '/') + 1, *end = strrchr(name, '.');

	err_set(e, ERR_USAGE, "'%s' is a path, and this takes a name", path);
	if (!end || end == name)
		return targets_hint(verb, e);
	return err_hint(e, "write %.*s", (int)(end - name), name);
}

int targets_resolve(struct command *c, struct err *e)
{
	const struct args *a = c->args;
	json_t *list = NULL;
	int r = 0;

	c->several = a->targets > 1;
	for (size_t i = 0; r >= 0 && i < a->targets; i++) {
		if (c->verb->traits & API_NEW) { /* the daemon says which names there may be */
			targets_add(c, a->target[i]);
			continue;
		}
		if (strchr(a->target[i], '/')) {
			r = targets_refuse_path(c->verb, a->target[i], e);
			continue;
		}
		if (!strpbrk(a->target[i], "*?[")) {
			targets_add(c, a->target[i]);
			continue;
		}
		c->several = true;
		if (!list)
			list = conn_call(&c->conn,
				targets_is_of_networks(c->verb) ? "net-list" : "vm-list", NULL, e);
		r = list ? targets_add_matches(c, a->target[i], list, e) : -EIO;
	}
	json_decref(list);
	return r;
}

void targets_release(struct command *c)
{
	for (size_t i = 0; i < c->targets; i++)
		free((char *)(uintptr_t)c->target[i]);
	free(c->target);
	c->target = NULL;
	c->targets = 0;
}
