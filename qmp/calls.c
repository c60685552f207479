/* SPDX-License-Identifier: MIT */
#include "qmp/calls.h"

#include <math.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/mem.h"

double calls_now(void)
{
	return clock_now();
}

/* Ids start at a random number. When a client disconnects, QEMU 7.2 sends the reply due to it to
 * the next one, and a reply to a call from before our restart must not match one of ours. */
void calls_init(struct calls *l)
{
	*l = (struct calls){ .end = &l->first };
	if (getrandom(&l->next_id, sizeof l->next_id, GRND_NONBLOCK) != sizeof l->next_id)
		l->next_id = (unsigned)(long long)(calls_now() * 1e6);
}

unsigned calls_new_id(struct calls *l)
{
	return l->next_id++;
}

struct call *calls_add(struct calls *l, const char *command, double timeout)
{
	size_t size = strlen(command) + 1;
	struct call *c = xcalloc(1, sizeof *c + size);

	memcpy(c->command, command, size);
	c->id = calls_new_id(l);
	c->made = calls_now();
	c->timeout = timeout;
	*l->end = c;
	l->end = &c->next;
	l->n++;
	return c;
}

void calls_remove(struct calls *l, struct call *c)
{
	struct call **at = &l->first;

	while (*at != c)
		at = &(*at)->next;
	*at = c->next;
	if (!c->next)
		l->end = at;
	l->n--;
}

struct call *calls_find(const struct calls *l, unsigned id)
{
	for (struct call *c = l->first; c; c = c->next)
		if (c->id == id)
			return c->outcome == CALL_WAITS ? c : NULL;
	return NULL;
}

struct call *calls_ended(const struct calls *l, unsigned end)
{
	for (struct call *c = l->first; c && (int)(c->id - end) < 0; c = c->next)
		if (c->outcome != CALL_WAITS)
			return c;
	return NULL;
}

const char *calls_oldest(const struct calls *l, double *age)
{
	if (!l->first)
		return NULL;
	*age = calls_now() - l->first->made;
	return l->first->command;
}

struct call *calls_overdue(const struct calls *l, double now)
{
	for (struct call *c = l->first; c; c = c->next)
		if (c->outcome == CALL_WAITS && c->made + c->timeout <= now)
			return c;
	return NULL;
}

void calls_lose(struct calls *l)
{
	for (struct call *c = l->first; c; c = c->next)
		if (c->outcome == CALL_WAITS)
			c->outcome = CALL_LOST;
}

double calls_due(const struct calls *l)
{
	double due = INFINITY;

	for (const struct call *c = l->first; c; c = c->next) {
		if (c->outcome != CALL_WAITS)
			return 0;
		if (c->made + c->timeout < due)
			due = c->made + c->timeout;
	}
	return due;
}

static bool calls_only_ask(const char *command)
{
	return strncmp(command, "query-", 6) == 0 || strcmp(command, "qom-get") == 0;
}

void call_describe(const struct call *c, const char *why, struct err *e)
{
	switch (c->outcome) {
	case CALL_WAITS:
		break;
	case CALL_EXPIRED:
		err_set(e, ERR_TIMEOUT, "QEMU did not answer '%s' within %g s%s", c->command,
			c->timeout, calls_only_ask(c->command) ? "" : "; it may still take effect");
		break;
	case CALL_LOST:
		err_set(e, ERR_UNREACHABLE, "'%s' was not answered: %s", c->command, why);
		break;
	case CALL_REFUSED:
		err_set(e, ERR_NO_RESOURCES,
			"'%s' not sent: %d commands are already waiting for QEMU", c->command,
			QMP_CALLS_MAX);
		break;
	case CALL_NO_FD:
		err_set(e, ERR_NO_RESOURCES, "'%s' not sent: its descriptor cannot be passed",
			c->command);
		break;
	}
}

void call_refused(const json_t *error, struct err *e)
{
	const char *class = json_string_value(json_object_get(error, "class"));
	const char *desc = json_string_value(json_object_get(error, "desc"));

	err_set(e,
		streq(class, "DeviceNotFound")	  ? ERR_NOT_FOUND
		: streq(class, "DeviceNotActive") ? ERR_WRONG_STATE
						  : ERR_FAILED,
		"%s", desc ? desc : "QEMU gave no reason");
}
