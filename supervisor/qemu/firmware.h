/* SPDX-License-Identifier: MIT */
/*
 * supervisor/qemu/firmware.h - which UEFI image goes with a machine
 *
 * Chosen from the JSON descriptors that QEMU's packages install (docs/interop/firmware.json), as
 * code and matching template of variables, never by guessing file names: a mismatched pair starts
 * without complaint and saves nothing.
 */
#ifndef SUPERVISOR_QEMU_FIRMWARE_H
#define SUPERVISOR_QEMU_FIRMWARE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "conf/vm.h"

struct firmware {
	char *code; /* path of the image, read-only */
	char *vars; /* path of the template that a VM's own variables are copied from */
	enum conf_format code_format, vars_format;
	bool needs_smm;
};

/* Whether this VM boots by UEFI: [Boot] Firmware= and SecureBoot=. */
bool firmware_wanted(const struct conf_vm *c);

/* The first that suits, by file name; a file masks those of the same name in later directories, an
 * empty one removes it. ERR_NOT_FOUND when there is none. The caller frees it. */
int firmware_choose_in(struct firmware **out, const char *const *dirs, size_t n,
	const char *machine, bool secure_boot, struct err *e);
/* In /etc/qemu/firmware and /usr/share/qemu/firmware; machine is a versioned name. */
int firmware_choose(struct firmware **out, const char *machine, bool secure_boot, struct err *e);
void firmware_free(struct firmware *f);

#endif
