/* SPDX-License-Identifier: MIT */
/* What the agent's answers mean for a command in a guest. The agent is hostile: what it returns is
 * bounded, checked and escaped. */
#include "supervisor/guest/exec_private.h"

#include <errno.h>

#include "base/base64.h"
#include "base/mem.h"
#include "base/text.h"
#include "supervisor/guest/agent.h"

enum {
	SILENCE = 30,	   /* seconds without an answer before an agent is given up */
	LOST = 1,	   /* seconds from the end of the agent's connection to that of the VM */
	READS_FAILED = 10, /* one after another, while the keeper runs */
	FIRST_MAX = 16,	   /* bytes of the line with the watcher's pid */
	WORDS_MAX = 200,   /* bytes of the guest's that are quoted */
};

/* The first line that a program of ours wrote to its standard error in the guest. */
static char *exec_words(const json_t *status)
{
	const char *text = json_string_value(json_object_get(status, "err-data"));
	_cleanup_(buf_release) struct buf raw = BUF_INIT;
	size_t len;

	if (text && strlen(text) < 4096)
		base64_decode(text, &raw);
	len = raw.data ? strcspn(raw.data, "\n") : 0;
	return text_escape(raw.data ? raw.data : "", len < WORDS_MAX ? len : WORDS_MAX, false);
}

static int exec_code(const json_t *status)
{
	const json_t *code = json_object_get(status, "exitcode");

	return json_is_integer(code) ? (int)json_integer_value(code) : -1;
}

static void exec_fail_words(struct exec *x, const char *what, const json_t *status)
{
	_cleanup_(free_ptr) char *words = exec_words(status);
	struct err e = ERR_INIT;

	err_set(&e, ERR_GUEST_REFUSED, "%s%s%s", what, *words ? ": " : "", words);
	x->up->fail(x, &e);
}

/* --- output --- */

/* The watcher's pid ends with the first line; the rest of the piece is output. */
static int exec_take_first(struct exec *x, struct buf *piece, struct err *e)
{
	const char *end;
	char *digits;
	size_t had = x->first.len;

	buf_add(&x->first, piece->data, piece->len < FIRST_MAX ? piece->len : FIRST_MAX);
	end = memchr(x->first.data, '\n', x->first.len);
	if (!end && x->first.len < FIRST_MAX) {
		buf_clear(piece);
		return 0;
	}
	x->watcher = end ? strtoll(x->first.data, &digits, 10) : 0;
	if (x->watcher <= 1 || digits != end) {
		x->watcher = 0;
		return err_set(
			e, ERR_FAILED, "the output from the guest does not begin as it must");
	}
	buf_drop(piece, (size_t)(end + 1 - x->first.data) - had);
	buf_clear(&x->first);
	return 0;
}

static void exec_take_piece(struct exec *x, enum exec_process p, struct buf *piece)
{
	struct keeper_tail *t = &x->tail[p - EXEC_OUT];
	_cleanup_(buf_release) struct buf out = BUF_INIT;
	struct err e = ERR_INIT;

	x->failures = 0;
	if ((!x->watcher && exec_take_first(x, piece, &e) < 0) ||
		keeper_take(t, &x->mark, piece, &out, &e) < 0) {
		x->up->fail(x, &e);
		return;
	}
	if (out.len)
		exec_client_send(
			x, p == EXEC_OUT ? EXEC_FRAME_OUT : EXEC_FRAME_ERR, out.data, out.len);
	if (x->tail[0].ended && x->tail[1].ended)
		x->up->succeed(x, x->tail[0].code);
}

static void exec_on_output(struct exec *x, enum exec_process p, const json_t *status)
{
	const json_t *data = json_object_get(status, "out-data");
	_cleanup_(buf_release) struct buf piece = BUF_INIT;
	struct err e = ERR_INIT;

	if (!x->job)
		return;
	if (json_string_length(data) > KEEPER_PIECE / 3 * 4 + 8 ||
		(json_is_string(data) && !base64_is(json_string_value(data)))) {
		err_set(&e, ERR_FAILED, "the guest agent returned more output than was asked for");
		x->up->fail(x, &e);
		return;
	}
	if (json_is_string(data))
		base64_decode(json_string_value(data), &piece);
	if (exec_code(status) == 0 && piece.len) {
		x->up->hurry(x);
		exec_take_piece(x, p, &piece);
		return;
	}
	/* the keeper has no pipes yet, or it has ended */
	x->doubt = x->refused = true;
	if (x->watcher && ++x->failures > READS_FAILED)
		exec_fail_words(x, "the command's output cannot be read in the guest", status);
}

/* --- other processes --- */

static void exec_on_keeper(struct exec *x, const json_t *status)
{
	x->keeper_ended = true;
	if (!x->watcher)
		exec_fail_words(x, "the guest's shell ended before it ran the command", status);
	else
		exec_fail_words(x, "the shell that ran the command in the guest was ended", status);
}

static void exec_on_told(struct exec *x, const json_t *status)
{
	if (exec_code(status) != 0) {
		x->doubt = x->refused = true;
		return;
	}
	x->wanted[x->message] = false;
	if (x->message == KEEPER_LEASE)
		x->renewed = daemon_now();
	else
		x->up->hurry(x);
}

static void exec_on_status(struct exec *x, const json_t *status)
{
	enum exec_process p = x->about;

	x->due[p] = false;
	if (p == EXEC_KEEPER)
		x->doubt = false;
	if (!json_is_true(json_object_get(status, "exited")))
		return;
	x->pid[p] = 0;
	switch (p) {
	case EXEC_KEEPER:
		exec_on_keeper(x, status);
		break;
	case EXEC_OUT:
	case EXEC_ERR:
		exec_on_output(x, p, status);
		break;
	case EXEC_IN:
		x->up->hurry(x);
		if (exec_code(status) != 0)
			exec_fail_words(x, "the input cannot be written in the guest", status);
		break;
	case EXEC_CONTROL:
		exec_on_told(x, status);
		break;
	case EXEC_PROCESSES:
		break;
	}
}

static void exec_on_begun(struct exec *x, const json_t *result)
{
	const json_t *pid = json_object_get(result, "pid");
	struct err e = ERR_INIT;

	if (!json_is_integer(pid) || json_integer_value(pid) <= 1) {
		err_set(&e, ERR_FAILED, "the guest agent's answer to guest-exec has no pid");
		x->deaf = true;
		x->up->fail(x, &e);
		return;
	}
	x->pid[x->about] = json_integer_value(pid);
	x->started = true;
	if (x->about == EXEC_IN) {
		buf_clear(&x->input);
		exec_client_count(x);
	}
	x->up->hurry(x);
}

/* --- errors --- */

/* The agent did not get the call, and may get it later. */
static bool exec_is_passing(const struct exec *x, const struct err *e)
{
	if (x->vm->st.state == VM_PAUSED || vm_agent_is_frozen(x->vm))
		return true;
	return e->class == ERR_TIMEOUT && e->number == -EBUSY && daemon_now() - x->heard < SILENCE;
}

static void exec_on_error(struct exec *x, const struct err *e)
{
	struct err own;

	if (exec_is_passing(x, e)) {
		x->refused = true;
		return;
	}
	if (x->job && (e->class == ERR_UNREACHABLE || e->class == ERR_WRONG_STATE)) {
		x->lost = daemon_now() + LOST;
		return;
	}
	err_copy(&own, e);
	if (!x->started && strstr(own.text, "/bin/sh"))
		err_hint(&own, "--collect runs a program without a shell");
	x->deaf = !x->job || !x->started || e->class == ERR_WRONG_STATE ||
		  e->class == ERR_UNREACHABLE;
	x->up->fail(x, &own);
}

void exec_take_reply(struct exec *x, const json_t *result, const struct err *e)
{
	if (e) {
		exec_on_error(x, e);
		return;
	}
	if (x->asks)
		exec_on_status(x, result);
	else
		exec_on_begun(x, result);
}
