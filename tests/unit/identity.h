/* SPDX-License-Identifier: MIT */
/*
 * tests/unit/identity.h - an identity in its own directory, and its VM
 */
#ifndef TESTS_UNIT_IDENTITY_H
#define TESTS_UNIT_IDENTITY_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>

#include "base/file.h"
#include "base/mem.h"
#include "supervisor/qemu/identity.h"

struct fixture {
	char dir[64];
	int dirfd;
	struct identity id;
	struct err e;
};

static inline int setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof *f);

	strcpy(f->dir, "/tmp/vmkeep-identity-XXXXXX");
	if (!mkdtemp(f->dir))
		return -1;
	f->dirfd = open(f->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	*state = f;
	return 0;
}

static inline int teardown(void **state)
{
	struct fixture *f = *state;

	identity_release(&f->id);
	close(f->dirfd);
	file_remove_tree(AT_FDCWD, f->dir, NULL);
	free(f);
	return 0;
}

static inline void put(struct fixture *f, const char *text)
{
	assert_int_equal(
		file_replace(f->dirfd, "identity.json", 0600, text, strlen(text), false, NULL), 0);
}

/* Saves the identity as vmkeep-jail does. */
static inline void keep(struct fixture *f)
{
	json_t *doc = identity_json(&f->id);
	char *text = json_dumps(doc, JSON_INDENT(1));

	put(f, text);
	free(text);
	json_decref(doc);
}

static inline char *get(struct fixture *f)
{
	struct buf b = BUF_MAX(1 << 20);

	assert_int_equal(file_read(f->dirfd, "identity.json", &b, &f->e), 0);
	return buf_steal(&b);
}

/* clang-format off */
static struct conf_disk disks[] = {
	{.id = "root",	.path = "web1.qcow2"	     },
	{ .id = "data", .path = "/dev/vg0/data"	},
	{ .id = "odd",  .path = "/srv/odd, \"x\".bin", .format = CONF_FORMAT_RAW },
	{ .id = "cd",	      .cdrom = true				    },
};
/* clang-format on */

/* clang-format off */
static struct conf_nic nics[] = {
	{.id = "lan",					   .network = "default"},
	{	   .id = "wan",				 .network = "default"		    },
	{ .id = "own", .network = "default",		     .mac = { true, { 0x52, 0x54, 0, 0xb5, 0xac, 0x8f } } },
};
/* clang-format on */

static const struct conf_vm vm = {
	.name = "web1",
	.disk = disks,
	.disks = ARRAY_SIZE(disks),
	.nic = nics,
	.nics = ARRAY_SIZE(nics),
};

static inline int complete(struct fixture *f, const struct conf_vm *c)
{
	return identity_complete(&f->id, c, "/images", NULL, NULL, &f->e);
}

#endif
