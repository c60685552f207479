/* SPDX-License-Identifier: MIT */
/*
 * run: a VM that lives as long as its client's request, for a command that the client runs in it. Its disk
 * is an overlay on an image. When the request ends, for whatever reason, the VM is ended and all of it
 * removed; if the daemon dies, the next one does that: make/throwaway.h.
 */
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "conf/edit.h"
#include "supervisor/make/copies.h"
#include "supervisor/make/image.h"
#include "supervisor/make/throwaway.h"
#include "supervisor/make/used.h"
#include "supervisor/verbs/create.h"
#include "supervisor/verbs/quota.h"
#include "supervisor/verbs/run_template.h"
#include "supervisor/verbs/verb.h"

static const char RUNNING[] = "run";

struct run {
	struct daemon *daemon;
	struct request *r; /* NULL: its client is gone */
	struct job *job;
	struct create_text t;
	struct run_source source;
	json_t *fixed;	       /* words */
	struct copies *copies; /* under way; NULL: none */
	struct quota_claim claim;
	struct used_image image;
	double ttl;
	struct loop_timer end;
	bool ending;	/* removed as soon as the step under way is done */
	struct err why; /* the error that it ends with; number 0: none */
	char *reason;	/* of the VM's last state */
};

static void run_free(struct run *t)
{
	loop_timer_stop(&t->end);
	quota_release(&t->claim);
	used_end(&t->image);
	run_source_release(&t->source);
	json_decref(t->fixed);
	create_text_release(&t->t);
	free(t->reason);
	free(t);
}

static bool run_daemon_ends(struct run *t)
{
	if (t->daemon->emit)
		return false;
	if (!t->why.number)
		err_set(&t->why, ERR_FAILED, "the daemon is ending");
	return true;
}

static void run_finish(struct run *t)
{
	job_finish(t->job,
		json_pack("{s:s, s:s}", "name", t->t.name, "reason", t->reason ? t->reason : ""),
		t->why.number ? &t->why : NULL);
	run_free(t);
}

/* --- the end --- */

static void run_on_removed(void *data, const struct err *e)
{
	struct run *t = data;

	if (e && !t->why.number)
		err_copy(&t->why, e);
	run_finish(t);
}

static void run_remove(struct run *t)
{
	throwaway_remove(t->daemon, t->t.name, run_on_removed, t);
}

static void run_on_down(void *data, const struct err *e)
{
	struct run *t = data;
	const struct vm *vm;

	if (run_daemon_ends(t)) {
		run_finish(t);
		return;
	}
	vm = vms_find(t->daemon->vms, t->t.name);
	if (vm && vm->start_error && !t->why.number)
		err_copy(&t->why, vm->start_error);
	if (vm)
		t->reason = xstrdup(vm->st.reason);
	run_remove(t);
}

/* Removes it: now, or when the step under way is done. QEMU need not save anything. */
static void run_end(struct run *t)
{
	struct vm *vm = vms_find(t->daemon->vms, t->t.name);
	struct err e = ERR_INIT;

	t->ending = true;
	if (!vm || !vm->file.throwaway || vm_state_is_down(vm->st.state))
		return;
	vm_kill(vm, t->job->who, &e);
	if (vm->st.state == VM_QUITTING)
		vm_kill_process(vm);
}

static void run_on_late(void *data)
{
	struct run *t = data;
	char text[32];

	err_set(&t->why, ERR_TIMEOUT, "it was ended after %s, as --ttl says",
		text_time_exact(text, sizeof text, (uint64_t)(t->ttl * 1000)));
	run_end(t);
}

static int run_on_cancel(void *data, struct err *e)
{
	struct run *t = data;

	err_set(&t->why, ERR_FAILED, "cancelled");
	run_end(t);
	return 0;
}

static void run_may_cancel(struct run *t)
{
	t->job->cancel = run_on_cancel;
	t->job->cancel_data = t;
}

static void run_on_gone(void *data)
{
	struct run *t = data;

	t->r = NULL;
	job_on_done(t->job, NULL, NULL);
	run_end(t);
}

/* --- its life --- */

static void run_start(struct run *t)
{
	struct vm *vm = vms_find(t->daemon->vms, t->t.name);

	if (!vm) /* forgotten by root */
		err_set(&t->why, ERR_FAILED, "its file is gone");
	else
		vm_history(vm, RUNNING, t->job->who, NULL);
	if (!vm || vm_start_for(vm, false, t->job->who, &t->why) < 0) {
		run_remove(t);
		return;
	}
	if (t->r)
		request_event(t->r, "RUN_STARTED", json_pack("{s:s}", "name", t->t.name));
	vm_wait(vm, VM_GOAL_STOPPED, 0, run_on_down, t);
}

/* The next step, or the end. */
static void run_go_on(struct run *t, void (*step)(struct run *t), const struct err *e)
{
	if (e && !t->why.number)
		err_copy(&t->why, e);
	if (run_daemon_ends(t))
		run_finish(t);
	else if (t->why.number || t->ending)
		run_remove(t);
	else
		step(t);
}

static void run_on_copied(void *data, const struct err *e)
{
	struct run *t = data;

	copies_free(t->copies);
	t->copies = NULL;
	run_may_cancel(t);
	run_go_on(t, run_start, e);
}

/* Busy from now on, so that it is there, stopped, even if its file is not. */
static void run_copy(struct run *t)
{
	vms_find(t->daemon->vms, t->t.name)->busy = RUNNING;
	t->copies = run_template_copy(&t->source, &t->t, t->job, run_on_copied, t);
	if (!t->copies)
		run_start(t);
}

static void run_on_made(void *data, const struct err *e)
{
	struct run *t = data;

	quota_release(&t->claim);
	used_end(&t->image);
	run_go_on(t, run_copy, e);
}

/* Nothing may stay of it, so all that it writes to is its overlay. */
static int run_check_disks(const struct run *t, struct err *e)
{
	const struct conf_vm *c = &t->t.conf;

	for (size_t i = 0; i < c->disks; i++)
		if (!c->disk[i].cdrom && !c->disk[i].read_only &&
			!streq(c->disk[i].id, t->source.disk))
			return err_set(e, ERR_USAGE,
				"disk '%s' would stay: a throw-away VM writes to its overlay only, "
				"further disks need ReadOnly=yes",
				c->disk[i].id);
	return 0;
}

/* These are granted, whoever the client is. */
static void run_grant(struct run *t)
{
	const char *text = t->t.granted ? t->t.granted : "";
	const struct conf_source src = { t->t.path, text, strlen(text) };
	struct conf_edit *ed = conf_edit_new(&src, 1, NULL);
	struct buf granted = BUF_INIT;
	struct err ignored = ERR_INIT;
	json_t *word;
	size_t i;

	json_array_foreach (t->fixed, i, word)
		conf_edit_set(ed, json_string_value(word), &ignored);
	conf_edit_text(ed, 0, &granted);
	conf_edit_free(ed);
	free(t->t.granted);
	t->t.granted = buf_steal(&granted);
}

static int run_make(struct run *t, uint64_t size, struct err *e)
{
	struct throwaway made = { t->t.name, t->source.store, NULL };
	int r = t->source.vm ? run_template_compose(&t->source, &t->t, size, e)
			     : create_words_size(t->t.words, size, e);

	if (r == 0)
		run_grant(t);
	if (r < 0 || create_text_compose(&t->t, NULL, e) < 0 || create_text_check(&t->t, e) < 0 ||
		run_check_disks(t, e) < 0)
		return e->number;
	quota_claim(&t->claim, t->t.role, t->t.peer, t->t.name, &t->t.conf);
	made.text = t->t.text.data;
	return throwaway_make(t->daemon, &made, run_on_made, t, e);
}

static void run_on_sized(void *data, const json_t *answer, const struct err *failed)
{
	struct run *t = data;
	json_int_t size = json_integer_value(json_object_get(answer, "size"));

	if (failed && !t->why.number)
		err_copy(&t->why, failed);
	if (run_daemon_ends(t) || t->why.number || t->ending ||
		run_make(t, (uint64_t)size, &t->why) < 0)
		run_finish(t);
}

/* The size of the image, and the folder for the overlay. */
static int run_look(struct run *t, struct err *e)
{
	const struct run_source *s = &t->source;
	json_t *request;

	t->image.job = t->job;
	if (used_begin(&t->image, t->daemon, s->store, s->path, t->t.name, e) < 0)
		return e->number;
	request = image_request(t->daemon, "overlay", s->store, e);
	if (!request)
		return e->number;
	json_object_update_new(
		request, json_pack("{s:s, s:s*}", "path", s->path, "format", s->format));
	return image_ask(t->daemon, request, run_on_sized, t, e) ? 0 : e->number;
}

/* --- what it is --- */

/* Of these, it cannot be otherwise. */
static void run_add_fixed(struct run *t, const char *owner)
{
	static const char *const words[] = { "VM.Enable=no", "Lifecycle.Restart=no",
		"Lifecycle.OnPowerOff=stop", "Lifecycle.OnPanic=stop",
		"Lifecycle.OnWatchdog=stop" };
	_cleanup_(free_ptr) char *overlay = throwaway_overlay(t->t.name);
	const struct run_source *s = &t->source;

	t->fixed = json_pack("[s+, s+++, s+++]", "VM.UUID=", t->t.uuid, "Disk.", s->disk,
		".Path=", overlay, "Disk.", s->disk, ".Store=", s->store);
	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		json_array_append_new(t->fixed, json_string(words[i]));
	/* not the template's owner, who could look into it */
	if (owner || s->vm)
		json_array_append_new(t->fixed, json_sprintf("VM.Owner=%s", owner ? owner : ""));
	json_array_extend(t->t.words, t->fixed);
}

static int run_find_source(struct run *t, const struct request *r, struct err *e)
{
	json_auto_t *arguments = json_copy((json_t *)(uintptr_t)request_arguments(r));
	const char *image = request_string(r, "image");
	const bool template = request_bool(r, "template", false);

	json_object_del(arguments, "template");
	if (template) {
		json_object_del(arguments, "image");
		json_object_set_new(arguments, "template", json_string(image));
		if (run_template_find(t->daemon, image, &t->source, e) < 0)
			return e->number;
	}
	t->t.words = create_words(arguments, t->t.uuid, NULL, e);
	if (t->t.words && !template) {
		t->source.disk = xstrdup("root");
		t->source.store = xstrdup(create_words_store(t->t.words));
		t->source.path = xstrdup(create_words_base(t->t.words));
	}
	return e->number;
}

static int run_prepare(struct run *t, const struct request *r, struct err *e)
{
	const char *owner = create_owner(t->t.role, t->t.peer, e);

	if (!request_bool(r, "wait", true))
		return err_set(
			e, ERR_USAGE, "a throw-away VM ends with its client, which has to wait");
	if (e->number || create_name_may(t->daemon, t->t.name, e) < 0)
		return e->number;
	if (run_find_source(t, r, e) < 0)
		return e->number;
	run_add_fixed(t, owner);
	return 0;
}

static struct run *run_new(struct daemon *d, struct request *r)
{
	struct run *t = xcalloc(1, sizeof *t);

	t->daemon = d;
	t->r = r;
	t->why = (struct err)ERR_INIT;
	t->ttl = request_time(r, "ttl", 0);
	create_text_init(&t->t, d, "", NULL, request_role(r), request_peer(r));
	free(t->t.name);
	t->t.name = throwaway_name(t->t.uuid);
	t->t.path = xasprintf("%s/%s.vm", d->dirs.throwaways, t->t.name);
	loop_timer_init(&t->end, d->loop.ev, run_on_late, t);
	return t;
}

void verb_run(struct daemon *d, struct request *r)
{
	struct run *t = run_new(d, r);
	struct err e = ERR_INIT;

	if (run_prepare(t, r, &e) < 0) {
		request_error(r, &e);
		run_free(t);
		return;
	}
	t->job = verb_job(d, r, NULL);
	snprintf(t->job->vm, sizeof t->job->vm, "%s", t->t.name);
	run_may_cancel(t);
	request_on_gone(r, run_on_gone, t);
	if (t->ttl > 0)
		loop_timer_start(&t->end, t->ttl);
	if (run_look(t, &t->why) < 0)
		run_finish(t);
}
