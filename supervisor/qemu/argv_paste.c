/* SPDX-License-Identifier: MIT */
/* What `cmdline` prints: a command for the shell that harms neither the VM nor the daemon. */
#include "base/buf.h"
#include "base/text.h"
#include "conf/conf.h"
#include "supervisor/qemu/argv_build.h"

void argv_monitor(struct argv_build *b)
{
	char id[80] = "terminal";

	if (!b->ctx->paste) {
		argv_option(b, "-chardev", "socket,id=qmp,fd=%d,server=on,wait=off", ARGV_FD_QMP);
		argv_option(b, "-mon", "chardev=qmp,mode=control");
		return;
	}
	if (b->c->serials)
		snprintf(id, sizeof id, "char-%s", b->c->serial[0].id);
	argv_option(b, "-chardev", "stdio,id=%s,mux=on,signal=off", id);
	argv_option(b, "-mon", "chardev=%s,mode=readline", id);
}

void argv_flash(struct argv_build *b)
{
	const struct argv_context *ctx = b->ctx;
	const struct firmware *f = ctx->firmware;
	enum conf_format format = ctx->nvram == f->vars ? f->vars_format : CONF_FORMAT_QCOW2;

	if (!ctx->paste) {
		argv_json(b, "-blockdev", device_flash_node(0, f->code, f->code_format, false));
		argv_json(b, "-blockdev", device_flash_node(1, ctx->nvram, format, true));
		return;
	}
	argv_option(b, "-drive", "if=pflash,unit=0,format=%s,readonly=on,file=%s",
		conf_format_name(f->code_format), argv_comma(b, f->code));
	argv_option(b, "-drive", "if=pflash,unit=1,format=%s,snapshot=on,file=%s",
		conf_format_name(format), argv_comma(b, ctx->nvram));
}

char *argv_shell(const struct argv *a)
{
	struct buf t = BUF_INIT;

	for (size_t i = 0; i < a->n; i++) {
		char *word = text_shell_quote(a->word[i]);

		buf_printf(&t, "%s%s", i == 0 ? "" : a->word[i][0] == '-' ? " \\\n  " : " ", word);
		free(word);
	}
	return buf_steal(&t);
}

static bool paste_writes(const struct conf_vm *c)
{
	for (size_t i = 0; i < c->disks; i++)
		if (c->disk[i].path && !c->disk[i].read_only && !c->disk[i].cdrom)
			return true;
	return false;
}

/* What a start reads in the header above a base, and only guessed here. */
static void paste_guesses(
	const struct conf_vm *c, const struct identity *id, const char *image_dir, struct buf *t)
{
	for (size_t i = 0; i < c->disks; i++)
		for (size_t k = 0; c->disk[i].path && k < c->disk[i].base.n; k++)
			if (identity_base_format(id, &c->disk[i], k, image_dir) == CONF_FORMAT_AUTO)
				buf_printf(t,
					"# The format of a base of disk %s is a guess from its name, as no header could be read.\n",
					c->disk[i].id);
}

/* No character that a shell without comments, such as zsh at its prompt, would interpret. */
char *argv_paste(const struct argv *a, const struct conf_vm *c, const struct identity *id,
	const struct argv_context *ctx, bool running)
{
	_cleanup_(free_ptr) char *command = argv_shell(a);
	struct buf t = BUF_INIT;

	buf_printf(&t, "# VM %s as vmkeep runs it, with these differences:\n", c->name);
	buf_adds(&t, "# vmkeep does not manage this QEMU: no jail, no limits, no restart.\n");
	if (paste_writes(c))
		buf_printf(&t, "# It writes to the same disks. QEMU locks them%s\n",
			running ? ", and as the VM is running now, this fails until it stops."
				: ", so the VM does not start while this runs.");
	buf_printf(&t, "# The monitor%s this terminal: Ctrl-A C switches, Ctrl-A X ends QEMU.\n",
		c->serials ? " and the first serial port share" : " has");
	if (c->serials > 1 || c->agent || argv_wants_notify(c))
		buf_adds(&t,
			"# Other ports of the guest, such as that of the agent, are not connected.\n");
	if (c->nics)
		buf_adds(&t,
			"# NICs are on a user-mode network of QEMU, which reaches no other guest.\n");
	if (conf_vm_wants_seed(c))
		buf_adds(&t, "# The disk with the data for cloud-init is missing.\n");
	if (c->display != CONF_DISPLAY_NONE)
		buf_adds(&t,
			"# There is no screen: for one, use -display gtk or -vnc 127.0.0.1:0\n");
	paste_guesses(c, id, ctx->image_dir, &t);
	if (ctx->nvram)
		buf_adds(&t, "# Changes to UEFI variables are discarded.\n");
	buf_adds(&t, command);
	return buf_steal(&t);
}
