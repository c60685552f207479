/* SPDX-License-Identifier: MIT */
#include "supervisor/guest/display.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/log.h"
#include "supervisor/guest/display_client.h"
#include "supervisor/guest/display_port.h"
#include "supervisor/guest/parts.h"
#include "supervisor/vm/dirs.h"
#include "supervisor/vm/vms.h"

enum {
	VNC_PASSWORD_MAX = 8, /* RFB limit */
	VNC_PASSWORD_FILE_MAX = 4096,
};

static const char socket_name[] = "vnc.sock";

struct display_state { /* of a VM that is configured to have a display */
	struct display *display;
	char *lost;   /* why there is none, if a retry may succeed; else NULL */
	char *closed; /* why nobody can connect, or NULL */
};

static int display_listen_unix(struct vm *vm, char **address, struct err *e)
{
	int fd = vm_socket_listen(vm, socket_name, e);

	*address = vm_run_path(vm, socket_name);
	if (fd < 0)
		return err_wrap(e, fd, "display");
	fcntl(fd, F_SETFL, O_NONBLOCK);
	return fd;
}

static struct display_state *display_of(const struct vm *vm)
{
	return vm_part_state(vm, &display_part);
}

/* "127.0.0.1:5900" or the socket's path; NULL if there is none. */
static const char *display_address(const struct vm *vm)
{
	const struct display_state *s = display_of(vm);

	return s && s->display ? s->display->address : NULL;
}

/* If another VM holds the fixed TCP port, names that VM in the error. */
static void display_name_holder(const struct vm *vm, const char *address, struct err *e)
{
	const struct vms *vms = vm->daemon->vms;

	for (size_t i = 0; e->class == ERR_CONFLICT && i < vms->n; i++)
		if (streq(display_address(vms->vm[i]), address))
			err_set(e, ERR_CONFLICT, "display: %s is taken by VM '%s'", address,
				vms->vm[i]->name);
}

/* Reads the first line of the password file, which is in the configuration directory. 1: it is less
 * of a secret than it seems, and e tells why. */
static int display_read_password(const struct vm *vm, const struct conf_vm *c,
	char word[VNC_PASSWORD_MAX + 1], struct err *e)
{
	_cleanup_(free_ptr) char *path = xasprintf("%s/%s", vm->daemon->dirs.config, c->password);
	_cleanup_(buf_release) struct buf text = BUF_MAX(VNC_PASSWORD_FILE_MAX);
	struct stat st;
	int r = file_read(AT_FDCWD, path, &text, e);
	size_t len = text.data ? strcspn(text.data, "\r\n") : 0;
	static const char counts[] = "only the first 8 characters of the password count";
	const bool cut = len > VNC_PASSWORD_MAX;
	bool readable;
	json_auto_t *as_text = NULL;

	if (r == 0 && len == 0)
		r = err_set(e, ERR_INVALID_CONFIG, "'%s' begins with an empty line", path);
	len = cut ? VNC_PASSWORD_MAX : len;
	memcpy(word, text.data ? text.data : "", len);
	word[len] = '\0';
	as_text = json_string(word);
	if (r == 0 && !as_text)
		r = err_set(e, ERR_INVALID_CONFIG, "the first 8 bytes of '%s' are not UTF-8", path);
	if (text.data)
		explicit_bzero(text.data, text.len);
	if (r < 0) {
		err_wrap(e, r, "display: password");
		return err_hint(e, "write it to that file, in the first line");
	}
	readable = stat(path, &st) == 0 && st.st_mode & 0004;
	if (!readable && !cut)
		return 0;
	if (readable) {
		err_set(e, ERR_PERMISSION, "display: every user of this host may read '%s'%s%s",
			path, cut ? ", and " : "", cut ? counts : "");
		err_hint(e, "chmod o-r %s", path);
	} else {
		err_set(e, ERR_INVALID_CONFIG, "display: %s", counts);
		err_hint(e, "VNC takes no more: write a password of that length");
	}
	return 1;
}

static int display_check_port(
	const struct vm *vm, const struct conf_vm *c, const char **key, struct err *e)
{
	const struct vm *real =
		vms_find(vm->daemon->vms, vm->name); /* vm may be a trial copy of its file */
	_cleanup_(free_ptr) char *address = NULL;
	int r;

	if (streq(c->listen, "unix"))
		return 0;
	*key = c->port ? "Port" : "Listen"; /* for Port=auto any port tells */
	r = display_port_check(c, &address, e);
	if (r < 0 && address && real && streq(address, display_address(real))) {
		err_clear(e);
		return 0;
	}
	if (r < 0)
		display_name_holder(vm, address, e);
	return r;
}

static int display_check(
	const struct vm *vm, const struct conf_vm *c, const char **key, struct err *e)
{
	char word[VNC_PASSWORD_MAX + 1];
	int r = c->display == CONF_DISPLAY_VNC ? display_check_port(vm, c, key, e) : 0;

	if (r < 0 || c->display != CONF_DISPLAY_VNC || !c->password)
		return r;
	*key = "Password";
	r = display_read_password(vm, c, word, e);
	explicit_bzero(word, sizeof word);
	return r;
}

/* A port in use is ERR_CONFLICT and names the holder; Port=auto takes the first free one from 5900.
 * After adoption the previous port is used again. */
static int display_listen(struct vm *vm, struct display_state *s, struct err *e)
{
	bool local = streq(vm->proc.conf.listen, "unix");
	_cleanup_(free_ptr) char *address = NULL;
	int fd = local ? display_listen_unix(vm, &address, e) : display_listen_tcp(vm, &address, e);

	if (fd < 0) {
		display_name_holder(vm, address, e);
		return fd;
	}
	s->display = display_serve(vm, fd, address, local);
	address = NULL;
	return 0;
}

static int display_start(struct vm *vm, void **state, struct fd_list *fds, struct err *e)
{
	const struct conf_vm *c = &vm->proc.conf;
	char word[VNC_PASSWORD_MAX + 1];
	int r;

	if (c->display == CONF_DISPLAY_NONE)
		return 0;
	*state = xcalloc(1, sizeof(struct display_state));
	r = display_listen(vm, *state, e);
	if (r < 0 || !c->password)
		return r;
	/* without it QEMU rejects all clients */
	r = display_read_password(vm, c, word, e);
	explicit_bzero(word, sizeof word);
	if (r > 0)
		log_warning(vm->name, "%s: %s", e->text, e->hint);
	return r < 0 ? r : 0;
}

/* Failing to restore the display is no reason to give up the VM. */
static bool display_restore(struct vm *vm, struct display_state *s, struct err *e)
{
	int r = display_listen(vm, s, e);

	free(s->lost);
	s->lost = r < 0 ? xstrdup(e->text) : NULL;
	return r == 0;
}

static void display_attach(struct vm *vm, void **state, enum vm_attach how)
{
	struct err e = ERR_INIT;

	if (how != VM_ATTACH_ADOPTED || vm->proc.conf.display == CONF_DISPLAY_NONE)
		return;
	*state = xcalloc(1, sizeof(struct display_state));
	if (!display_restore(vm, *state, &e))
		log_warning(vm->name, "%s: no display until vmkeep reload finds it free", e.text);
}

void displays_restore(struct vms *vms, struct conf_problems *p)
{
	for (size_t i = 0; i < vms->n; i++) {
		struct vm *vm = vms->vm[i];
		struct display_state *s = display_of(vm);
		struct err e = ERR_INIT;

		if (!s || !s->lost)
			continue;
		if (display_restore(vm, s, &e)) {
			log_info(vm->name, "display: %s is available again", display_address(vm));
			continue;
		}
		conf_problem(p, &(struct conf_place){ 0 }, NULL, "VM %s: %s", vm->name, e.text);
	}
}

static void display_close(struct vm *vm, void **state, bool ended)
{
	struct display_state *s = *state;

	if (!s)
		return;
	if (s->display)
		display_stop(s->display);
	free(s->lost);
	free(s->closed);
}

static void display_info(const struct vm *vm, void *state, json_t *out)
{
	const struct display_state *s = state;

	if (display_address(vm))
		json_object_set_new(out, "vnc", json_string(display_address(vm)));
	if (s && (s->lost || s->closed))
		json_object_set_new(out, "vnc_problem", json_string(s->lost ? s->lost : s->closed));
}

static void display_troubles(const struct vm *vm, void *state, trouble_fn *report, void *data)
{
	const struct display_state *s = state;
	_cleanup_(free_ptr) char *text = NULL;

	if (!s || (!s->lost && !s->closed))
		return;
	text = xasprintf("display: %s", s->lost ? s->lost : s->closed);
	report(data, TROUBLE_WARNING, text);
}

/* QEMU rejects all clients until a password is set. */
static void display_refuse_all(const struct vm *vm, struct display_state *s, const char *why)
{
	log_error(vm->name, "%s; nobody can connect", why);
	if (!s)
		return;
	free(s->closed);
	s->closed = xasprintf("nobody can connect: %s", why);
}

/* The start has read it once, but it may be gone by now, or the daemon is another. */
static void display_joined(struct vm *vm, void *state, bool fresh)
{
	struct display_state *s = state;
	char word[VNC_PASSWORD_MAX + 1];
	struct err e = ERR_INIT;

	if (vm->proc.conf.display == CONF_DISPLAY_NONE || !vm->proc.conf.password)
		return;
	if (display_read_password(vm, &vm->proc.conf, word, &e) < 0) {
		display_refuse_all(vm, state, e.text);
		return;
	}
	if (s)
		free_ptr(&s->closed);
	vm_call(vm, "set_password", json_pack("{s:s, s:s}", "protocol", "vnc", "password", word),
		NULL);
	explicit_bzero(word, sizeof word);
}

const struct vm_part display_part = {
	.name = "display",
	.check = display_check,
	.start = display_start,
	.attach = display_attach,
	.joined = display_joined,
	.troubles = display_troubles,
	.info = display_info,
	.close = display_close,
};
