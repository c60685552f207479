/* SPDX-License-Identifier: MIT */
/*
 * supervisor/qemu/argv_build.h - a command line in the making
 *
 * argv.c puts it together, argv_devices.c has the devices, argv_words.c the words.
 */
#ifndef SUPERVISOR_QEMU_ARGV_BUILD_H
#define SUPERVISOR_QEMU_ARGV_BUILD_H

#include <jansson.h>

#include "supervisor/qemu/argv.h"
#include "supervisor/qemu/device.h"

/* The first failure stays in r and first; adding goes on harmlessly. */
struct argv_build {
	struct argv *out;
	const struct conf_vm *c;
	const struct probe *p;
	const struct argv_context *ctx;
	struct device_bus bus;
	size_t room;
	int r;
	struct err e, first; /* e: of the call just made */
};

void argv_failed(struct argv_build *b);
void argv_word(struct argv_build *b, const char *word);
void argv_option(struct argv_build *b, const char *option, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* A NULL that came without an error is a device that this VM does not have. */
void argv_json(struct argv_build *b, const char *option, json_t *o /* stolen */);
/* QEMU's own option syntax ends a value at a comma unless that is doubled. */
const char *argv_comma(struct argv_build *b, const char *value);
/* A chardev that listens. */
void argv_socket(struct argv_build *b, const char *id, int fd);

/* All devices, but those that machine and display are made of. */
void argv_devices(struct argv_build *b);

#endif
