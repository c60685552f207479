/* SPDX-License-Identifier: MIT */
/*
 * Verbs that use the guest agent. Nothing that it sends is trusted: strings are cut, rows limited,
 * and data that may be binary remains base64.
 */
#include "base/base64.h"
#include "base/clock.h"
#include "base/mem.h"
#include "supervisor/api/result.h"
#include "supervisor/verbs/verb.h"
#include "supervisor/guest/agent.h"

enum {
	FREEZE_SECONDS = 10,
	TRIM_SECONDS = 600,
	TIME_SECONDS = 10,
	TEXT_MAX = 255, /* bytes of a string chosen by the guest */
	ROWS_MAX = 256,
};

/* --- building replies --- */

/* A string cut to TEXT_MAX bytes; null if it is not a string. */
static json_t *guest_text(const json_t *value)
{
	size_t len = json_string_length(value);
	json_t *text = NULL;

	if (!json_is_string(value))
		return json_null();
	/* the cut may fall inside a UTF-8 character */
	for (len = len < TEXT_MAX ? len : TEXT_MAX; !text; len--)
		text = json_stringn(json_string_value(value), len);
	return text;
}

static json_t *guest_member(const json_t *o, const char *key)
{
	return guest_text(json_object_get(o, key));
}

static json_t *guest_number(const json_t *o, const char *key)
{
	const json_t *v = json_object_get(o, key);

	return json_is_integer(v) ? json_integer(json_integer_value(v)) : json_null();
}

const struct err *verb_guest_error(const struct err *e, struct err *own)
{
	err_copy(own, e);
	if (own->class == ERR_UNREACHABLE)
		err_class(own, ERR_GUEST_REFUSED);
	return own;
}

static void verb_guest_answer(struct request *r, json_t *result /* stolen */, const struct err *e)
{
	struct err own;

	request_answer(r, result, e ? verb_guest_error(e, &own) : NULL);
}

/* Calls the agent; reply gets the request as data. Without an agent the request is completed
 * here. */
static void guest_call(struct vm *vm, struct request *r, const char *command,
	json_t *arguments /* stolen */, double timeout, agent_reply_fn *reply)
{
	struct err e = ERR_INIT;

	if (vm_agent_call(vm, command, arguments, timeout, reply, r, &e) < 0)
		request_error(r, &e);
}

/* --- ping, passwd --- */

static void verb_guest_on_ping(void *data, const json_t *result, const struct err *e)
{
	verb_guest_answer(data, json_pack("{s:s}", "agent", "answers"), e);
}

void verb_guest_ping(struct vm *vm, struct request *r)
{
	guest_call(vm, r, "guest-ping", NULL, AGENT_SECONDS, verb_guest_on_ping);
}

static void verb_guest_on_done(void *data, const json_t *result, const struct err *e)
{
	verb_guest_answer(data, NULL, e);
}

void verb_guest_passwd(struct vm *vm, struct request *r)
{
	const char *password = request_string(r, "password");
	_cleanup_(free_ptr) char *encoded = NULL;
	struct err e = ERR_INIT;

	if (!password) {
		err_set(&e, ERR_USAGE, "guest-passwd: argument 'password' is missing");
		request_error(r, &e);
		return;
	}
	encoded = base64_encode(password, strlen(password));
	guest_call(vm, r, "guest-set-user-password",
		json_pack("{s:s, s:s, s:b}", "username", request_string(r, "user"), "password",
			encoded, "crypted", request_bool(r, "crypted", false)),
		AGENT_SECONDS, verb_guest_on_done);
}

/* --- freeze, thaw --- */

static void verb_guest_on_frozen(void *data, const json_t *result, const struct err *e)
{
	verb_guest_answer(data,
		json_pack("{s:I, s:f}", "frozen", json_integer_value(result), "seconds",
			request_time(data, "timeout", FREEZE_SECONDS)),
		e);
}

static void verb_guest_on_thawed(void *data, const json_t *result, const struct err *e)
{
	verb_guest_answer(data, json_pack("{s:I}", "thawed", json_integer_value(result)), e);
}

void verb_guest_freeze(struct vm *vm, struct request *r)
{
	double seconds = request_time(r, "timeout", FREEZE_SECONDS);
	struct err e = ERR_INIT;

	if (vm_agent_freeze(vm, seconds, verb_guest_on_frozen, r, &e) < 0)
		request_error(r, &e);
}

void verb_guest_thaw(struct vm *vm, struct request *r)
{
	struct err e = ERR_INIT;

	if (vm_agent_thaw(vm, verb_guest_on_thawed, r, &e) < 0)
		request_error(r, &e);
}

/* --- file systems --- */

static void verb_guest_on_fs(void *data, const json_t *result, const struct err *e)
{
	json_t *rows = json_array(), *fs;
	size_t i;

	json_array_foreach (result, i, fs)
		if (i < ROWS_MAX)
			json_array_append_new(
				rows, json_pack("[o, o, o, o, o]", guest_member(fs, "mountpoint"),
					      guest_member(fs, "type"), guest_member(fs, "name"),
					      guest_number(fs, "total-bytes"),
					      guest_number(fs, "used-bytes")));
	verb_guest_answer(data, api_table(api_fs_row, rows), e);
}

void verb_guest_fs(struct vm *vm, struct request *r)
{
	guest_call(vm, r, "guest-get-fsinfo", NULL, AGENT_SECONDS, verb_guest_on_fs);
}

static void verb_guest_on_trim(void *data, const json_t *result, const struct err *e)
{
	json_t *rows, *fs;
	struct err own;
	size_t i;

	if (e) {
		job_finish(data, NULL, verb_guest_error(e, &own));
		return;
	}
	rows = json_array();
	json_array_foreach (json_object_get(result, "paths"), i, fs)
		if (i < ROWS_MAX)
			json_array_append_new(rows,
				json_pack("[o, o, o]", guest_member(fs, "path"),
					guest_number(fs, "trimmed"), guest_member(fs, "error")));
	job_finish(data, api_table(api_trim_row, rows), NULL);
}

void verb_guest_trim(struct vm *vm, struct request *r)
{
	double timeout = request_time(r, "timeout", TRIM_SECONDS);
	struct err e = ERR_INIT;
	struct job *j;

	j = verb_job(vm->daemon, r, vm);
	if (vm_agent_call(vm, "guest-fstrim", NULL, timeout, verb_guest_on_trim, j, &e) < 0)
		job_finish(j, NULL, &e);
}

/* --- time --- */

static void verb_guest_on_time(void *data, const json_t *result, const struct err *e)
{
	double now = clock_wall(), guest = (double)json_integer_value(result) / 1e9;

	verb_guest_answer(data, json_pack("{s:f, s:f}", "time", guest, "skew", guest - now), e);
}

struct time_set { /* a request to set the guest's time to ours and then read it back */
	struct daemon *daemon;
	struct request *r;
	char vm[64];
};

static void verb_guest_on_time_set(void *data, const json_t *result, const struct err *e)
{
	struct time_set *t = data;
	struct vm *vm = vms_find(t->daemon->vms, t->vm);
	struct err own = ERR_INIT;

	if (!e && !vm)
		err_set(&own, ERR_NOT_FOUND, "is gone");
	else if (!e)
		vm_agent_call(
			vm, "guest-get-time", NULL, AGENT_SECONDS, verb_guest_on_time, t->r, &own);
	if (e || own.number)
		verb_guest_answer(t->r, NULL, e ? e : &own);
	free(t);
}

void verb_guest_time(struct vm *vm, struct request *r)
{
	struct time_set *t;
	struct err e = ERR_INIT;

	if (!request_bool(r, "sync", false)) {
		guest_call(vm, r, "guest-get-time", NULL, AGENT_SECONDS, verb_guest_on_time);
		return;
	}
	t = xcalloc(1, sizeof *t);
	*t = (struct time_set){ .daemon = vm->daemon, .r = r };
	snprintf(t->vm, sizeof t->vm, "%s", vm->name);
	if (vm_agent_call(vm, "guest-set-time",
		    json_pack("{s:I}", "time", (json_int_t)(clock_wall() * 1e9)), TIME_SECONDS,
		    verb_guest_on_time_set, t, &e) < 0) {
		free(t);
		request_error(r, &e);
	}
}

/* --- info: several queries; an agent need not support all --- */

struct info {
	struct daemon *daemon;
	struct request *r;
	char vm[64];
	size_t step;
	json_t *out;
};

static void verb_guest_take_users(json_t *out, const json_t *result)
{
	json_t *users = json_array(), *u;
	size_t i;

	json_array_foreach (result, i, u)
		if (i < ROWS_MAX)
			json_array_append_new(users, guest_member(u, "user"));
	json_object_set_new(out, "users", users);
}

static void verb_guest_take_interfaces(json_t *out, const json_t *result)
{
	json_t *rows = json_array(), *nic, *ip;
	size_t i, k;

	json_array_foreach (result, i, nic)
		json_array_foreach (json_object_get(nic, "ip-addresses"), k, ip)
			if (json_array_size(rows) < ROWS_MAX)
				json_array_append_new(
					rows, json_pack("{s:o, s:o, s:o, s:o}", "interface",
						      guest_member(nic, "name"), "mac",
						      guest_member(nic, "hardware-address"),
						      "address", guest_member(ip, "ip-address"),
						      "prefix", guest_number(ip, "prefix")));
	json_object_set_new(out, "addresses", rows);
}

/* clang-format off */
static const struct question {
	const char *command;
	struct {
		const char *as, *member;
	} text[3]; /* members to copy; ends with a NULL name */
	void (*take)(json_t *out, const json_t *result); /* for anything but strings */
} questions[] = {
	{ "guest-info", { { "version", "version" } }, NULL },
	{ "guest-get-host-name", { { "hostname", "host-name" } }, NULL },
	{ "guest-get-osinfo", { { "os", "pretty-name" }, { "kernel", "kernel-release" },
	  { "arch", "machine" } }, NULL },
	{ "guest-get-timezone", { { "timezone", "zone" } }, NULL },
	{ "guest-get-users", { { NULL, NULL } }, verb_guest_take_users },
	{ "guest-network-get-interfaces", { { NULL, NULL } }, verb_guest_take_interfaces },
};
/* clang-format on */

static void verb_guest_info_end(struct info *i, const struct err *e)
{
	verb_guest_answer(i->r, json_incref(i->out), e);
	json_decref(i->out);
	free(i);
}

static void verb_guest_on_answer(void *data, const json_t *result, const struct err *e);

static void verb_guest_ask(struct info *i)
{
	struct vm *vm = vms_find(i->daemon->vms, i->vm);
	struct err e = ERR_INIT;

	if (i->step == ARRAY_SIZE(questions)) {
		verb_guest_info_end(i, NULL);
		return;
	}
	if (!vm)
		err_set(&e, ERR_NOT_FOUND, "is gone");
	else
		vm_agent_call(vm, questions[i->step].command, NULL, AGENT_SECONDS,
			verb_guest_on_answer, i, &e);
	if (e.number)
		verb_guest_info_end(i, &e);
}

static void verb_guest_on_answer(void *data, const json_t *result, const struct err *e)
{
	struct info *i = data;
	const struct question *q = &questions[i->step];

	if (e && e->class != ERR_GUEST_REFUSED) {
		verb_guest_info_end(i, e);
		return;
	}
	for (size_t k = 0; result && k < ARRAY_SIZE(q->text) && q->text[k].as; k++)
		json_object_set_new(i->out, q->text[k].as, guest_member(result, q->text[k].member));
	if (result && q->take)
		q->take(i->out, result);
	i->step++;
	verb_guest_ask(i);
}

void verb_guest_info(struct vm *vm, struct request *r)
{
	struct info *i = xcalloc(1, sizeof *i);

	*i = (struct info){ .daemon = vm->daemon, .r = r, .out = json_object() };
	snprintf(i->vm, sizeof i->vm, "%s", vm->name);
	verb_guest_ask(i);
}

/* --- any command --- */

static void verb_guest_on_raw(void *data, const json_t *result, const struct err *e)
{
	struct err own = ERR_INIT;

	if (!e && json_dumpb(result, NULL, 0, JSON_COMPACT | JSON_ENCODE_ANY) > AGENT_REPLY_MAX) {
		err_set(&own, ERR_FAILED, "the guest agent's answer is too long");
		e = &own;
	}
	verb_guest_answer(data, e ? NULL : json_deep_copy(result), e);
}

void verb_guest_command(struct vm *vm, struct request *r)
{
	/* commands that need state in the daemon, or have no reply */
	/* clang-format off */
	static const struct {
		const char *prefix, *instead;
	} ours[] = {
		{ "guest-fsfreeze-freeze", "vmkeep guest freeze" },
		{ "guest-shutdown",	   "vmkeep stop" },
		{ "guest-suspend",	   "vmkeep pause" },
		{ "guest-sync",		   "vmkeep guest ping" },
	};
	/* clang-format on */
	const json_t *command = json_object_get(request_arguments(r), "command");
	const json_t *arguments = json_object_get(command, "arguments");
	const char *execute = json_string_value(
		json_is_string(command) ? command : json_object_get(command, "execute"));
	struct err e = ERR_INIT;

	if (!execute)
		err_set(&e, ERR_USAGE, "not a guest agent command: it has no \"execute\"");
	for (size_t i = 0; execute && i < ARRAY_SIZE(ours); i++)
		if (strncmp(execute, ours[i].prefix, strlen(ours[i].prefix)) == 0) {
			err_set(&e, ERR_USAGE, "%s cannot be sent by hand", ours[i].prefix);
			err_hint(&e, "%s %s", ours[i].instead, vm->name);
		}
	if (e.number)
		request_error(r, &e);
	else
		guest_call(vm, r, execute, arguments ? json_deep_copy(arguments) : NULL,
			request_time(r, "timeout", AGENT_SECONDS), verb_guest_on_raw);
}
