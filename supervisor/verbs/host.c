/* SPDX-License-Identifier: MIT */
/* The host that all guests run on. */
#include "base/mem.h"
#include "supervisor/verbs/verb.h"
#include "supervisor/check/host.h"

struct asking { /* a request that waits for the checks */
	struct request *r;
	struct host_checking *checking;
};

static void asking_gone(void *data)
{
	struct asking *a = data;

	host_check_cancel(a->checking);
	free(a);
}

static void asking_done(void *data, json_t *table)
{
	struct asking *a = data;

	request_return(a->r, table);
	free(a);
}

static size_t column_of(const json_t *table, const char *name)
{
	size_t i, n = 0;
	json_t *column;

	json_array_foreach (json_object_get(table, "columns"), i, column)
		if (streq(json_string_value(column), name))
			n = i;
	return n;
}

void verb_host_check(void *data, struct request *r)
{
	struct daemon *d = data;
	struct asking *a = xcalloc(1, sizeof *a);
	json_t *networks = networks_list(d->networks), *row;
	const char *bridge[HOST_BRIDGES_MAX] = { NULL };
	size_t n = 0, i, column = column_of(networks, "bridge");

	json_array_foreach (json_object_get(networks, "rows"), i, row)
		if (n < HOST_BRIDGES_MAX && json_is_string(json_array_get(row, column)))
			bridge[n++] = json_string_value(json_array_get(row, column));
	a->r = r;
	request_on_gone(r, asking_gone, a);
	a->checking =
		host_check_run(d->loop.ev, d->probes, d->image_dir, bridge, n, asking_done, a);
	json_decref(networks);
}
