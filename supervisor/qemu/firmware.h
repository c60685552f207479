/* SPDX-License-Identifier: MIT */
/*
 * supervisor/qemu/firmware.h - chooses the UEFI image for a machine
 *
 * Chosen from the JSON descriptors that QEMU's packages install (docs/interop/firmware.json), as a
 * pair of code and matching variable template, never by guessing file names: a mismatched pair
 * boots without complaint and saves no variables.
 */
#ifndef SUPERVISOR_QEMU_FIRMWARE_H
#define SUPERVISOR_QEMU_FIRMWARE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "conf/vm.h"

struct firmware {
	char *code; /* path of the read-only image */
	char *vars; /* path of the template for a VM's own variables */
	enum conf_format code_format, vars_format;
	bool needs_smm;
};

/* Whether this VM boots by UEFI: [Boot] Firmware= and SecureBoot=. */
bool firmware_wanted(const struct conf_vm *c);

/* The first suitable one in order of file names. A file masks files of the same name in later
 * directories; an empty file removes the entry. ERR_NOT_FOUND if there is none. The caller frees
 * it. */
int firmware_choose_in(struct firmware **out, const char *const *dirs, size_t n,
	const char *machine, bool secure_boot, struct err *e);
/* Searches /etc/qemu/firmware and /usr/share/qemu/firmware; machine is a versioned name. */
int firmware_choose(struct firmware **out, const char *machine, bool secure_boot, struct err *e);
void firmware_free(struct firmware *f);

#endif
