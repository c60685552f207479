/* SPDX-License-Identifier: MIT */
#include "supervisor/guest/agent_private.h"

#include "base/clock.h"
#include "base/log.h"
#include "supervisor/guest/frozen.h"
#include "supervisor/guest/parts.h"
#include "supervisor/qemu/argv.h"
#include "supervisor/vm/dirs.h"

enum { THAW_EVERY = 1 /* seconds */ };

struct vm_agent *agent_of(const struct vm *vm)
{
	return vm_part_state(vm, &agent_part);
}

/* --- thawing --- */

void agent_thawed(struct vm_agent *a)
{
	loop_timer_stop(&a->thaw);
	frozen_unmark(a->vm);
	if (a->frozen)
		log_info(a->vm->name, "the guest's file systems were thawed");
	a->frozen = a->thawing = false;
}

static void agent_on_thawed(void *data, const json_t *result, const struct err *e)
{
	struct vm_agent *a = data;

	if (!a->frozen)
		return;
	if (!e) {
		agent_thawed(a);
		return;
	}
	/* a paused guest cannot answer: restart the timeout */
	if (a->vm->st.state == VM_PAUSED)
		a->give_up = daemon_now() + VM_AGENT_THAW_SECONDS;
	if (daemon_now() < a->give_up) {
		loop_timer_start(&a->thaw, THAW_EVERY);
		return;
	}
	a->thawing = false;
	log_error(a->vm->name,
		"the guest's file systems stay frozen: its agent does not thaw them: %s", e->text);
}

static void agent_try_thaw(struct vm_agent *a)
{
	struct err e = ERR_INIT;

	if (vm_agent_call(
		    a->vm, "guest-fsfreeze-thaw", NULL, AGENT_SECONDS, agent_on_thawed, a, &e) < 0)
		agent_on_thawed(a, NULL, &e);
}

static void agent_begin_thaw(struct vm_agent *a)
{
	a->thawing = true;
	a->give_up = daemon_now() + VM_AGENT_THAW_SECONDS;
	agent_try_thaw(a);
}

void agent_on_freeze(void *data, const json_t *result, const struct err *e)
{
	struct vm_agent *a = data;
	agent_reply_fn *reply = a->on_frozen;

	a->on_frozen = NULL;
	if (!e && a->frozen) {
		log_info(a->vm->name, "the guest's file systems are frozen, for %.0f s at most",
			a->hold);
		a->thaw_at = clock_boot() + a->hold;
		loop_timer_start(&a->thaw, a->hold);
	} else if (e && e->class == ERR_GUEST_REFUSED) {
		/* the agent should have undone a partial freeze; thaw in case it did not */
		vm_agent_call(a->vm, "guest-fsfreeze-thaw", NULL, AGENT_SECONDS, NULL, NULL, NULL);
		a->frozen = false;
		frozen_unmark(a->vm);
	} else if (e) {
		agent_begin_thaw(a);
	}
	reply(a->on_frozen_data, result, e);
}

static void agent_on_time(void *data)
{
	struct vm_agent *a = data;

	if (a->thawing) {
		agent_try_thaw(a);
		return;
	}
	log_info(a->vm->name, "the guest's freeze has expired: thawing");
	agent_begin_thaw(a);
}

/* Time was lost: rearm the timer from thaw_at. Not while already thawing. */
static void agent_lost(struct vm *vm, void *state)
{
	struct vm_agent *a = state;
	double left = a ? a->thaw_at - clock_boot() : 0;

	if (a && a->frozen && !a->thawing && loop_timer_is_active(&a->thaw))
		loop_timer_start(&a->thaw, left > 0.001 ? left : 0.001);
}

/* --- a mark that may have been lost --- */

static void agent_on_freeze_status(void *data, const json_t *result, const struct err *e)
{
	struct vm_agent *a = data;
	struct err own = ERR_INIT;

	/* any answer settles it, even "not supported" */
	a->unsure = e && e->class != ERR_GUEST_REFUSED;
	if (a->frozen || !streq(json_string_value(result), "frozen"))
		return;
	log_warning(
		a->vm->name, "the guest's file systems are frozen, although no freeze is recorded");
	if (frozen_mark(a->vm, &own) < 0)
		log_warning(a->vm->name, "%s", own.text);
	a->frozen = true;
	agent_begin_thaw(a);
}

static void agent_ask_if_frozen(struct vm_agent *a)
{
	if (a->unsure && a->open &&
		vm_agent_call(a->vm, "guest-fsfreeze-status", NULL, AGENT_SECONDS,
			agent_on_freeze_status, a, NULL) == 0)
		a->unsure = false;
}

/* --- the port --- */

/* Fails the freeze or thaw in flight, which will not be answered. */
static void agent_disconnect(struct vm_agent *a)
{
	struct err e = ERR_INIT;

	if (!a->conn)
		return;
	agent_forget(a->conn, a);
	agent_close(a->conn);
	a->conn = NULL;
	a->pinged = a->answers = false;
	err_set(&e, ERR_UNREACHABLE, "the guest agent went away");
	if (a->on_frozen)
		agent_on_freeze(a, NULL, &e);
	else if (a->thawing)
		loop_timer_start(&a->thaw, THAW_EVERY);
}

static int agent_connect(struct vm_agent *a, struct err *e)
{
	int fd = vm_socket_connect(a->vm, "agent.sock", e);

	if (fd < 0)
		return err_wrap(e, fd, "guest agent");
	a->conn = agent_new(a->vm->daemon->loop.ev, fd, AGENT_SECONDS);
	return 0;
}

static void agent_set_open(struct vm_agent *a, bool open)
{
	struct vm *vm = a->vm;
	struct err e = ERR_INIT;

	if (open == a->open)
		return;
	a->open = open;
	a->opened += open;
	agent_disconnect(a);
	if (open && !a->conn && agent_connect(a, &e) < 0)
		log_warning(vm->name, "%s", e.text);
	else
		log_info(vm->name, "guest agent %s", open ? "connected" : "went away");
	daemon_event(vm->daemon, "AGENT_CHANGE",
		json_pack("{s:s, s:b}", "name", vm->name, "open", open));
	if (open && a->frozen && (a->thawing || !loop_timer_is_active(&a->thaw)))
		agent_begin_thaw(a);
	agent_ask_if_frozen(a);
	vm_waits_check(vm);
}

static void agent_on_chardevs(void *data, const json_t *result, const struct err *e)
{
	struct vm_agent *a = agent_of(data);
	json_t *c;
	size_t i;

	json_array_foreach (result, i, c)
		if (!e && a && streq(json_string_value(json_object_get(c, "label")), "agent")) {
			agent_set_open(a, json_is_true(json_object_get(c, "frontend-open")));
			agent_ask_if_frozen(a);
		}
}

static void agent_greeted(struct vm *vm, void *state)
{
	/* a guest that has not run yet is in a known state; otherwise events were missed */
	if (state && vm->st.state != VM_JOINING)
		vm_call(vm, "query-chardev", NULL, agent_on_chardevs);
}

static void agent_event(struct vm *vm, void *state, const char *name, const json_t *data)
{
	struct vm_agent *a = state;

	if (streq(name, "VSERPORT_CHANGE") && vm_event_bearable(vm) && a &&
		streq(json_string_value(json_object_get(data, "id")), "agent0"))
		agent_set_open(a, json_is_true(json_object_get(data, "open")));
	else if (streq(name, "RESUME") && a)
		agent_ask_if_frozen(a);
}

bool vm_agent_is_open(const struct vm *vm)
{
	const struct vm_agent *a = agent_of(vm);

	return a && a->open;
}

unsigned vm_agent_opened(const struct vm *vm)
{
	const struct vm_agent *a = agent_of(vm);

	return a ? a->opened : 0;
}

bool vm_agent_is_frozen(const struct vm *vm)
{
	const struct vm_agent *a = agent_of(vm);

	return a && a->frozen;
}

/* --- lifecycle --- */

static int agent_start(struct vm *vm, void **state, struct fd_list *fds, struct err *e)
{
	if (!vm->proc.conf.agent)
		return 0;
	return fd_list_add(fds, vm_socket_listen(vm, "agent.sock", e), ARGV_FD_AGENT);
}

static void agent_attach(struct vm *vm, void **state, enum vm_attach how)
{
	bool adopted = how == VM_ATTACH_ADOPTED;
	struct vm_agent *a;

	if (how == VM_ATTACH_LEFT || !vm->proc.conf.agent)
		return;
	a = *state = xcalloc(1, sizeof *a);
	a->vm = vm;
	loop_timer_init(&a->thaw, vm->daemon->loop.ev, agent_on_time, a);
	a->unsure = adopted && !frozen_is_marked(vm);
	if (a->unsure || !frozen_is_marked(vm))
		return;
	if (!adopted) {
		frozen_unmark(vm);
		return;
	}
	log_warning(vm->name, "the guest's file systems were left frozen");
	a->frozen = true;
	agent_begin_thaw(a);
}

/* The freeze ends with the process, even if it ended while no daemon ran. */
static void agent_end(struct vm *vm, void **state, bool ended)
{
	struct vm_agent *a = *state;

	if (ended && vm->proc.conf.agent)
		frozen_unmark(vm);
	if (!a)
		return;
	a->frozen &= !ended;
	if (a->frozen)
		log_warning(vm->name,
			"the guest's file systems are left frozen: the next daemon thaws them");
	a->open = false;
	agent_disconnect(a);
	loop_timer_stop(&a->thaw);
}

static void agent_info(const struct vm *vm, void *state, json_t *out)
{
	const struct vm_agent *a = state;

	if (vm->proc.conf.agent)
		json_object_set_new(out, "agent", json_string(a && a->open ? "open" : "closed"));
	if (a && a->frozen)
		json_object_set_new(out, "frozen", json_true());
}

/* --- calls --- */

/* Returns the connection if an agent could answer; otherwise e says why not. */
static struct agent *agent_connection(struct vm *vm, struct err *e)
{
	struct vm_agent *a = agent_of(vm);

	if (!a) {
		err_set(e, ERR_WRONG_STATE, "has no port for a guest agent");
		err_hint(e, "set Enable=yes in [Agent], then restart the VM");
		return NULL;
	}
	if (!a->open) {
		err_set(e, ERR_WRONG_STATE, "no guest agent is running in it");
		err_hint(e,
			"wait until the guest has booted, or install and start qemu-guest-agent in it");
		return NULL;
	}
	if (vm->st.state == VM_PAUSED) {
		err_set(e, ERR_WRONG_STATE, "is paused: its agent cannot answer");
		err_hint(e, "vmkeep resume %s", vm->name);
		return NULL;
	}
	if (a->conn && agent_is_lost(a->conn))
		agent_disconnect(a);
	if (!a->conn)
		agent_connect(a, e);
	return a->conn;
}

int vm_agent_check(struct vm *vm, struct err *e)
{
	return agent_connection(vm, e) ? 0 : e->number;
}

int vm_agent_call(struct vm *vm, const char *command, json_t *arguments /* stolen */,
	double timeout, agent_reply_fn *reply, void *data, struct err *e)
{
	struct err why = ERR_INIT;
	struct agent *conn = agent_connection(vm, &why);

	if (conn) {
		agent_call(conn, command, arguments, timeout, reply, data);
		return 0;
	}
	json_decref(arguments);
	if (e)
		err_copy(e, &why);
	return why.number;
}

void vm_agent_extend(struct vm *vm, const void *data, double seconds)
{
	struct vm_agent *a = agent_of(vm);

	if (a && a->conn)
		agent_extend(a->conn, data, seconds);
}

static void agent_on_ping(void *data, const json_t *result, const struct err *e)
{
	struct vm_agent *a = data;

	a->pinged = false; /* on failure, ping again */
	a->answers = !e;
}

bool vm_agent_answers(struct vm *vm)
{
	struct vm_agent *a = agent_of(vm);

	if (!vm_agent_is_open(vm))
		return false;
	if (!a->answers && !a->pinged)
		a->pinged = vm_agent_call(vm, "guest-ping", NULL, AGENT_SECONDS, agent_on_ping, a,
				    NULL) == 0;
	return a->answers;
}

/* --- stop --- */

/* guest-shutdown sends no reply on success: the only sign is the guest powering off. */
static void agent_on_shutdown(void *data, const json_t *result, const struct err *e)
{
	struct vm_agent *a = data;

	if (!e || e->class == ERR_TIMEOUT || e->class == ERR_UNREACHABLE ||
		a->vm->st.state != VM_STOPPING)
		return;
	log_info(a->vm->name, "%s", e->text);
	vm_event(a->vm, VM_EV_STOP, NULL);
}

/* If the agent refuses, agent_on_shutdown() falls back to the power button. */
static bool agent_power_off(struct vm *vm, void *state, bool ask)
{
	struct vm_agent *a = state;

	if (!a || !a->open || !ask)
		return a && a->open;
	/* a frozen agent refuses guest-shutdown */
	if (a->frozen)
		agent_begin_thaw(a);
	return vm_agent_call(vm, "guest-shutdown", json_pack("{s:s}", "mode", "powerdown"),
		       AGENT_SECONDS, agent_on_shutdown, a, NULL) == 0;
}

const struct vm_part agent_part = {
	.name = "agent",
	.start = agent_start,
	.attach = agent_attach,
	.greeted = agent_greeted,
	.event = agent_event,
	.power_off = agent_power_off,
	.lost = agent_lost,
	.info = agent_info,
	.close = agent_end,
};
