/* SPDX-License-Identifier: MIT */
/*
 * supervisor/qemu/argv.h - configuration to QEMU command line
 *
 * argv = f(effective configuration, identity, probe). Devices come from qemu/device.h, each
 * described once as JSON. The only output besides argv goes to the identity: its machine and slots.
 */
#ifndef SUPERVISOR_QEMU_ARGV_H
#define SUPERVISOR_QEMU_ARGV_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/mem.h"
#include "conf/vm.h"
#include "supervisor/qemu/firmware.h"
#include "supervisor/qemu/probe.h"
#include "supervisor/qemu/identity.h"

/* Descriptor numbers inside QEMU, set up by the jail. 0 and 1 are /dev/null, 2 is stderr's file. */
enum {
	ARGV_FD_QMP = 3,
	ARGV_FD_SERIAL_FIRST = 4,
	ARGV_FD_AGENT = 20,
	ARGV_FD_NOTIFY = 21,  /* O_WRONLY|O_APPEND, passed as /dev/fdset/ plus: */
#define ARGV_FDSET_NOTIFY "9" /* a set after those of the serial ports */
	ARGV_FD_VSOCK = 22,   /* /dev/vhost-vsock */
	ARGV_FD_SEED = 23,    /* the image for cloud-init, O_RDONLY, passed as /dev/fdset/ plus: */
#define ARGV_FDSET_SEED "10"
	ARGV_FD_TAP_FIRST = 40,
	ARGV_SERIALS_MAX = 8,
	ARGV_NICS_MAX = 32,
};
static inline int argv_fd_serial(size_t i) /* listening socket */
{
	return ARGV_FD_SERIAL_FIRST + 2 * (int)i;
}
static inline int argv_fd_serial_log(size_t i) /* O_WRONLY|O_APPEND, passed as /dev/fdset/(i + 1) */
{
	return ARGV_FD_SERIAL_FIRST + 2 * (int)i + 1;
}
static inline int argv_fd_tap(size_t nic)
{
	return ARGV_FD_TAP_FIRST + (int)nic;
}

struct argv_context {
	bool paste;	       /* for `cmdline`, see argv_paste() */
	enum conf_accel accel; /* resolved: KVM or TCG */
	const char *image_dir; /* for relative disk paths */
	const char *nvram;     /* absolute path of the UEFI variables (qcow2), NULL: BIOS; with
				  paste: the template if this VM has none yet */
	const struct firmware *firmware; /* the chosen descriptor, NULL: BIOS */
};

struct argv {
	struct arena arena;
	const char **word; /* NULL terminated, word[0] is the binary */
	size_t n;
	size_t own; /* of Args=, at the end */
	/* what argv_build() refused: its section or key, else NULL */
	const struct conf_place *place;
	const char *key;
};
#define ARGV_INIT { .arena = ARENA_INIT }

/* The versioned machine (in p) for Machine=, or what it was at the VM's first start. */
int argv_machine(const struct probe *p, const struct conf_vm *c, const struct identity *id,
	const char **machine, struct err *e);
int argv_build(struct argv *out, const struct conf_vm *c, struct identity *id,
	const struct probe *p, const struct argv_context *ctx, struct err *e);
void argv_release(struct argv *a);

/* As one shell command, one option per line, joined by " \\\n"; the caller frees it. */
char *argv_shell(const struct argv *a);

/* The same after comments that say what differs from what vmkeep runs; a was built with paste.
 * Pasting it must not harm the VM, running or not: it names nothing below RUN, gets no fds and no
 * tap, locks all images, and never writes UEFI variables. */
char *argv_paste(const struct argv *a, const struct conf_vm *c, const struct identity *id,
	const struct argv_context *ctx, bool running);

/* Every host path that this VM's QEMU opens, for the jail; in stable order. */
enum argv_file_kind {
	ARGV_FILE_DISK,
	ARGV_FILE_BASE,
	ARGV_FILE_CDROM,
	ARGV_FILE_KERNEL,
	ARGV_FILE_FIRMWARE,
	ARGV_FILE_NVRAM,
};
struct argv_file {
	enum argv_file_kind kind;
	const char *what; /* "disk 'root'" for messages */
	const char *id;	  /* disk id, or NULL */
	const char *path; /* absolute */
	/* of a relative path: the directory that it must stay below, without symlinks; or NULL */
	const char *beneath;
	bool write;
	enum conf_format format; /* raw or qcow2; AUTO if it does not matter */
	bool direct;		 /* QEMU opens it with O_DIRECT */
	bool has_base;		 /* the next file of the chain follows */
	uint64_t create;	 /* bytes, 0: must exist */
	/* of a base: what its name says, and what is known of it; NULL: its first use */
	enum conf_format by_name;
	const struct identity_base *known;
	bool mounted;	       /* beneath must be a mount point */
	bool new_volume;       /* made for this start by its store's program */
	const char *volume_of; /* the directory of the store that it is a volume of, or NULL */
};
/* Returns the number of files, at most max; strings live in the arena. */
size_t argv_files(const struct conf_vm *c, const struct identity *id,
	const struct argv_context *ctx, struct arena *a, struct argv_file *file, size_t max);
/* True if some disk has AIO=io_uring: only then does the seccomp filter allow it. */
bool argv_wants_io_uring(const struct conf_vm *c);
/* True if a SCSI controller is needed. */
bool argv_wants_scsi(const struct conf_vm *c);
/* ReadyWhen=notify: the guest gets a port to report its status. */
bool argv_wants_notify(const struct conf_vm *c);

#endif
