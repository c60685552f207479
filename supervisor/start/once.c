/* SPDX-License-Identifier: MIT */
#include "supervisor/start/once.h"

#include <string.h>

#include "base/mem.h"
#include "conf/conf.h"
#include "supervisor/qemu/identity.h"

static void once_add_order(struct buf *b, const struct conf_vm *c)
{
	buf_adds(b, "Order=\nOrder=" IDENTITY_NOT_KEPT "\n");
	for (size_t i = 0; i < c->order.n; i++)
		buf_printf(b, "Order=%s\n", c->order.item[i]);
	for (size_t i = 0; !c->order.n && i < c->disks; i++)
		buf_printf(b, "Order=%s\n", c->disk[i].id);
	for (size_t i = 0; !c->order.n && i < c->nics; i++)
		buf_printf(b, "Order=%s\n", c->nic[i].id);
}

/* A kernel of the host's would be booted in place of any CD. */
static void once_add_first(struct buf *b, const struct conf_vm *c)
{
	buf_adds(b, "[Boot]\nKernel=\nInitrd=\nAppend=\n");
	once_add_order(b, c);
}

static int once_compose(
	const struct vm *vm, const char *iso, bool last, struct conf_vm *to, struct err *e)
{
	struct conf_source dropin = { .file = "--iso" };
	struct buf b = BUF_INIT;
	int r;

	buf_adds(&b, "[CDROM " IDENTITY_NOT_KEPT "]\nFormat=raw\nPath=");
	for (const char *s = iso; *s; s++)
		buf_printf(&b, *s == '%' ? "%%%%" : "%c", *s);
	buf_addc(&b, '\n');
	if (!last)
		once_add_first(&b, &vm->file.conf);
	else if (vm->file.conf.order.n)
		buf_adds(&b, "[Boot]\nOrder=" IDENTITY_NOT_KEPT "\n");
	dropin.text = b.data;
	dropin.len = b.len;
	r = conf_vm_copy_with(to, &vm->file.conf, &dropin, e);
	buf_release(&b);
	return r;
}

int once_set(struct vm *vm, const char *iso, bool last, struct err *e)
{
	struct conf_vm tried = CONF_VM_INIT;
	int r = 0;

	if (iso && (!*iso || strpbrk(iso, "\n\r")))
		return err_set(e, ERR_USAGE, "--iso takes the path of a CD");
	if (iso)
		r = once_compose(vm, iso, last, &tried, e);
	conf_vm_release(&tried);
	if (r < 0)
		return r;
	free(vm->once);
	vm->once = iso ? xstrdup(iso) : NULL;
	vm->once_last = last;
	return 0;
}

int once_configuration(const struct vm *vm, struct conf_vm *to, struct err *e)
{
	return vm->once ? once_compose(vm, vm->once, vm->once_last, to, e)
			: conf_vm_copy(to, &vm->file.conf, e);
}
