/* SPDX-License-Identifier: MIT */
/*
 * Runs a program in the guest until it exits; its output arrives all at once, and remains base64, as the
 * agent sends it. As a stream, and to copy files: guest/exec.h.
 */
#include "base/base64.h"
#include "base/mem.h"
#include "supervisor/verbs/verb.h"
#include "supervisor/guest/agent.h"
#include "supervisor/guest/exec.h"

enum { EXEC_SECONDS = 60 };

static json_t *verb_exec_output(const json_t *status, const char *key)
{
	json_t *v = json_object_get(status, key);

	return json_is_string(v) && base64_is(json_string_value(v)) ? json_incref(v) : NULL;
}

static json_t *verb_exec_ended(const json_t *status)
{
	const json_t *signal_number = json_object_get(status, "signal");
	bool signalled = json_is_integer(signal_number);
	bool truncated = json_is_true(json_object_get(status, "out-truncated")) ||
			 json_is_true(json_object_get(status, "err-truncated"));

	return json_pack("{s:I, s:o*, s:o*, s:o*}", signalled ? "signal" : "exit",
		json_integer_value(signalled ? signal_number : json_object_get(status, "exitcode")),
		"out-data", verb_exec_output(status, "out-data"), "err-data",
		verb_exec_output(status, "err-data"), "truncated", truncated ? json_true() : NULL);
}

static void verb_exec_on_ended(void *data, const json_t *status, const struct err *e)
{
	struct err own;

	job_finish(data, e ? NULL : verb_exec_ended(status), e ? verb_guest_error(e, &own) : NULL);
}

/* --- as a stream --- */

static void verb_exec_stream(
	struct vm *vm, struct request *r, json_t *command /* stolen */, double timeout)
{
	struct exec_options o = { .command = command, .timeout = timeout };
	struct buf leftover = BUF_INIT;
	struct err e = ERR_INIT;

	if (!request_bool(r, "wait", true))
		err_set(&e, ERR_USAGE, "a stream needs its client: wait cannot be false");
	else
		vm_agent_check(vm, &e);
	if (e.number) {
		json_decref(command);
		request_error(r, &e);
		return;
	}
	o.job = verb_job_alone(vm->daemon, r, vm);
	o.fd = request_stream(r, NULL, &leftover, &o.hold);
	if (o.fd < 0) {
		err_set(&e, ERR_UNREACHABLE, "its client did not stay");
		job_finish(o.job, NULL, &e);
		json_decref(command);
	} else {
		o.leftover = &leftover;
		exec_start(vm, &o);
	}
	buf_release(&leftover);
}

void verb_guest_exec(struct vm *vm, struct request *r)
{
	json_t *words = json_deep_copy(json_object_get(request_arguments(r), "command"));
	struct err e = ERR_INIT;
	struct job *job;

	if (request_bool(r, "stream", false)) {
		verb_exec_stream(vm, r, words, request_time(r, "timeout", 0));
		return;
	}
	job = verb_job(vm->daemon, r, vm);
	if (vm_agent_run(vm, words, request_time(r, "timeout", EXEC_SECONDS), verb_exec_on_ended,
		    job, &e) < 0)
		verb_exec_on_ended(job, NULL, &e);
}

/* --- files --- */

/*
 * $1: the path; $2: its name if that is a directory; $3: the mode. Nobody ever sees half of a file,
 * and what is there stays until the new one is whole. A signal must not leave the rest: "exit" in
 * the trap runs the other one.
 */
static const char push_script[] =
	"f=$1\n"
	"case $f in */) [ -d \"$f\" ] || { echo \"'$f' is not a directory\" >&2; exit 1; } ;; esac\n"
	"[ ! -d \"$f\" ] || f=${f%/}/$2\n"
	"[ ! -d \"$f\" ] || { echo \"'$f' is a directory\" >&2; exit 1; }\n"
	"[ ! -e \"$f\" ] || [ -f \"$f\" ] || { echo \"'$f' is not a file\" >&2; exit 1; }\n"
	"t=$f.vmkeep$$\n"
	"trap 'rm -f \"$t\"' EXIT\n"
	"trap 'exit 1' HUP INT TERM\n"
	"(umask 077; exec cat >\"$t\") && chmod \"$3\" \"$t\" && mv -f \"$t\" \"$f\"\n";

static const char pull_script[] =
	"[ ! -d \"$1\" ] || { echo \"'$1' is a directory\" >&2; exit 1; }\n"
	"exec cat <\"$1\"\n";

static bool verb_exec_is_path(struct request *r)
{
	struct err e = ERR_INIT;

	if (*request_string(r, "path") == '/')
		return true;
	err_set(&e, ERR_USAGE, "'%s' is not an absolute path in the guest",
		request_string(r, "path"));
	request_error(r, &e);
	return false;
}

void verb_guest_push(struct vm *vm, struct request *r)
{
	_cleanup_(free_ptr) char *mode =
		xasprintf("%04o", (unsigned)request_int(r, "mode", 0644) & 0777);
	const char *as = request_string(r, "as");

	if (verb_exec_is_path(r))
		verb_exec_stream(vm, r,
			json_pack("[s, s, s, s, s, s, s]", "/bin/sh", "-c", push_script, "push",
				request_string(r, "path"), as ? as : "file", mode),
			0);
}

void verb_guest_pull(struct vm *vm, struct request *r)
{
	if (verb_exec_is_path(r))
		verb_exec_stream(vm, r,
			json_pack("[s, s, s, s, s]", "/bin/sh", "-c", pull_script, "pull",
				request_string(r, "path")),
			0);
}
