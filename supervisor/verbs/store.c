/* SPDX-License-Identifier: MIT */
/* Verbs about stores. */
#include "base/mem.h"
#include "supervisor/api/result.h"
#include "supervisor/check/store.h"
#include "supervisor/verbs/verb.h"

struct asking { /* a request that waits for the stores */
	struct daemon *daemon;
	struct request *r;
	struct stores_looking *looking;
};

/* Disks and CDs of all VMs, as their files have them now. */
static json_int_t verb_store_images(const struct daemon *d, const char *store)
{
	json_int_t n = 0;

	for (size_t i = 0; i < d->vms->n; i++) {
		const struct conf_vm *c = &d->vms->vm[i]->file.conf;

		for (size_t k = 0; d->vms->vm[i]->file.have_conf && k < c->disks; k++)
			n += c->disk[k].path && c->disk[k].path[0] != '/' &&
			     streq(c->disk[k].store, store);
	}
	return n;
}

static json_t *verb_store_row(const struct daemon *d, const struct store_seen *s)
{
	json_t *row = json_pack("[s, s, o, s, n, n, n, I, n, n]", s->name,
		s->program ? "program" : "dir", api_text(s->path), store_state_name(s->state),
		verb_store_images(d, s->name));

	if (!s->size)
		return row;
	json_array_set_new(row, 4, json_integer((json_int_t)s->size));
	json_array_set_new(row, 5, json_integer((json_int_t)s->room));
	json_array_set_new(row, 6, json_integer(store_used(s)));
	if (!s->program)
		json_array_set_new(row, 8, json_integer((json_int_t)s->trash));
	if (s->metadata >= 0)
		json_array_set_new(row, 9, json_integer(s->metadata));
	return row;
}

static void verb_store_gone(void *data)
{
	struct asking *a = data;

	stores_look_free(a->looking);
	free(a);
}

static void verb_store_looked(void *data, const struct store_seen *s, size_t n)
{
	struct asking *a = data;
	json_t *rows = json_array();

	for (size_t i = 0; i < n; i++)
		json_array_append_new(rows, verb_store_row(a->daemon, &s[i]));
	request_return(a->r, api_table(api_store_row, rows));
	stores_look_free(a->looking);
	free(a);
}

void verb_store_list(struct daemon *d, struct request *r)
{
	struct asking *a = xcalloc(1, sizeof *a);

	daemon_look_conf(d);
	vms_refresh(d->vms);
	*a = (struct asking){ .daemon = d, .r = r };
	request_on_gone(r, verb_store_gone, a);
	a->looking = stores_look(d, verb_store_looked, a);
}
