/* SPDX-License-Identifier: MIT */
/*
 * supervisor/qemu/argv_build.h - building a command line
 *
 * argv.c assembles it, argv_devices.c adds the devices, argv_words.c the words; argv_paste.c has
 * what differs for `cmdline`.
 */
#ifndef SUPERVISOR_QEMU_ARGV_BUILD_H
#define SUPERVISOR_QEMU_ARGV_BUILD_H

#include <jansson.h>

#include "supervisor/qemu/argv.h"
#include "supervisor/qemu/device.h"

/* r and first keep the first failure; calls after it are harmless. */
struct argv_build {
	struct argv *out;
	const struct conf_vm *c;
	const struct probe *p;
	const struct argv_context *ctx;
	struct device_bus bus;
	size_t cap;
	int r;
	struct err e, first; /* e: of the latest call */
	/* what is being added: its section, or a key; NULL: several */
	const struct conf_place *place, *first_place;
	const char *key, *first_key;
};

void argv_failed(struct argv_build *b);
void argv_word(struct argv_build *b, const char *word);
void argv_option(struct argv_build *b, const char *option, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* If o is NULL and no error is set, this VM does not have the device. */
void argv_json(struct argv_build *b, const char *option, json_t *o /* stolen */);
/* Doubles commas: QEMU's option syntax ends a value at a single one. */
const char *argv_comma(struct argv_build *b, const char *value);
/* Adds the monitor or, with paste, the terminal: the monitor shares it with the first serial port. */
void argv_monitor(struct argv_build *b);
/* Adds the UEFI firmware and its variables. */
void argv_flash(struct argv_build *b);

/* All devices except machine and display options. */
void argv_devices(struct argv_build *b);

#endif
