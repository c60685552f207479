/* SPDX-License-Identifier: MIT */
#include "supervisor/qemu/probe_ask.h"

#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"

enum {
	EXIT_PORT = 0xf4,
	EXIT_VALUE = 0x10,
	EXIT_STATUS = EXIT_VALUE << 1 | 1,
	DISK_BYTES = 1 << 20,
	DISK_FD = 4,
};

/* A disk whose boot sector writes to the exit device; in memory, so that nothing is left behind. */
static int probe_kvm_boot_disk(struct err *e)
{
	static const uint8_t code[] = {
		0xb0, EXIT_VALUE, /* mov $EXIT_VALUE, %al */
		0xe6, EXIT_PORT,  /* out %al, $EXIT_PORT */
		0xf4, 0xeb, 0xfd, /* hlt in a loop */
	};
	static const uint8_t mark[] = { 0x55, 0xaa };
	int fd = memfd_create("vmkeep-boot", MFD_CLOEXEC);

	if (fd < 0 || ftruncate(fd, DISK_BYTES) < 0 ||
		pwrite(fd, code, sizeof code, 0) != sizeof code ||
		pwrite(fd, mark, sizeof mark, 510) != sizeof mark) {
		err_errno(e, "create a boot sector");
		close_fd(&fd);
	}
	return fd;
}

static int probe_kvm_unusable(struct err *e)
{
	_cleanup_(free_ptr) char *cure = e->hint[0] ? xasprintf("%s; or ", e->hint) : xstrdup("");

	err_wrap(e, 0, "KVM cannot be used");
	return err_hint(e, "%swrite Accel=tcg or Accel=auto in [VM] to continue without KVM", cure);
}

/* Cheap, so every start repeats it: the module may have been unloaded, or reloaded. */
static int probe_kvm_check_device(struct kvm *k, struct err *e)
{
	_cleanup_(close_fd) int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	const struct kvm_seen before = k->seen;

	if (!k->look)
		return 0;
	k->look(root, &k->seen);
	if (before.dev != k->seen.dev || before.ino != k->seen.ino) {
		k->proved = false;
		k->hung = 0;
	}
	if (kvm_judge(&k->seen, e) == 0)
		return 0;
	k->proved = false;
	return probe_kvm_unusable(e);
}

static void probe_kvm_start_try(struct kvm *k);

/* Why the last try proved nothing. */
static void probe_kvm_blame(struct kvm *k, const struct child_result *r, const struct err *jail)
{
	_cleanup_(free_ptr) char *said = text_escape(r->err, r->err_len, true);
	const bool busy = strstr(said, "KVM_CREATE_VM) failed: 16");
	struct err *e = &k->ask.err;

	for (size_t n = strlen(said); n && said[n - 1] == '\n'; n--)
		said[n - 1] = '\0';
	if (jail) {
		err_set(e, ERR_NO_RESOURCES, "%s", jail->text);
		err_hint(e, "%s", jail->hint);
	} else if (r->status == -ETIMEDOUT) {
		err_set(e, ERR_NO_RESOURCES,
			"it hangs: 512 bytes did not boot within %g s, in %u tries",
			k->seconds[KVM_TRIES - 1], KVM_TRIES);
		if (k->most < KVM_TRIES)
			err_set(e, ERR_NO_RESOURCES,
				"it hangs: it does not boot 512 bytes within %g s, and did not within "
				"%g s %.0f s ago",
				k->seconds[k->most - 1], k->seconds[KVM_TRIES - 1],
				clock_boot() - k->hung);
		else
			k->hung = clock_boot();
		err_hint(e,
			"a working KVM needs less than 1 s, or up to 10 s on a very busy host or in a virtual "
			"machine; dmesg may show why this one hangs");
	} else {
		err_set(e, ERR_NO_RESOURCES, "with '/dev/kvm' QEMU ended with %s %d: %.400s",
			r->status < 0 ? "signal" : "status", abs(r->status), said);
		err_hint(e,
			busy ? "another hypervisor, such as VirtualBox, has the processor: stop its VMs"
			     : "dmesg may show why");
	}
	probe_kvm_unusable(e);
}

static void probe_kvm_on_booted(void *data, const struct child_result *r, const struct err *jail)
{
	struct kvm *k = data;

	k->ask.asked = NULL;
	k->proved = !jail && r->status == EXIT_STATUS;
	k->took = clock_boot() - k->begun;
	if (!k->proved && ++k->tries < k->most) {
		probe_kvm_start_try(k);
		return;
	}
	if (k->proved || jail || r->status != -ETIMEDOUT)
		k->hung = 0;
	if (!k->proved)
		probe_kvm_blame(k, r, jail);
	else if (k->took > k->seconds[0])
		log_warning(NULL, "KVM works, but is slow: 512 bytes took %.1f s to boot", k->took);
	ask_answer(&k->ask, NULL, k->proved ? NULL : &k->ask.err);
}

static void probe_kvm_start_try(struct kvm *k)
{
	const bool kvm = streq(k->accel, "kvm");
	char disk[24], port[64];
	const char *argv[] = { k->binary, "-machine", "pc", "-accel", k->accel, "-cpu",
		kvm ? "host" : "max", "-m", "16", "-nodefaults", "-no-user-config", "-display",
		"none", "-add-fd", disk, "-blockdev",
		"driver=raw,node-name=boot,file.driver=file,file.locking=off,file.filename=/dev/fdset/1",
		"-device", "ide-hd,drive=boot", "-device", port, NULL };
	json_t *more;

	k->begun = clock_boot();
	snprintf(disk, sizeof disk, "fd=%d,set=1", DISK_FD);
	snprintf(port, sizeof port, "isa-debug-exit,iobase=%#x,iosize=1", EXIT_PORT);
	more = json_pack("{s:b, s:[i]}", "kvm", kvm, "fds", DISK_FD);
	ask_run(&k->ask, argv, more, &k->disk, 1,
		&(struct child_options){ .timeout = k->seconds[k->tries] }, probe_kvm_on_booted, k);
}

void kvm_prove(struct kvm *k, const char *binary, probe_done_fn *done, void *data)
{
	struct err e = ERR_INIT;
	int r;

	if (ask_is_busy(&k->ask)) {
		ask_wait(&k->ask, done, data);
		return;
	}
	r = probe_kvm_check_device(k, &e);
	if (k->proved) {
		done(data, NULL, NULL);
		return;
	}
	ask_wait(&k->ask, done, data);
	if (r < 0) {
		err_copy(&k->ask.err, &e);
		ask_failed(&k->ask);
		return;
	}
	k->tries = 0;
	k->most = k->hung > 0 && clock_boot() - k->hung < KVM_HUNG_SECONDS ? KVM_TRIES - 1
									   : KVM_TRIES;
	free(k->binary);
	k->binary = xstrdup(binary);
	if (k->disk < 0)
		k->disk = probe_kvm_boot_disk(&k->ask.err);
	if (k->disk < 0)
		ask_failed(&k->ask);
	else
		probe_kvm_start_try(k);
}

void kvm_doubt(struct kvm *k)
{
	k->proved = false;
}

void kvm_init(struct kvm *k, const struct ask *blank, const char *accel)
{
	*k = (struct kvm){ .ask = *blank,
		.accel = accel,
		.look = streq(accel, "kvm") ? kvm_look : NULL,
		.seconds = { 1, 5, 30 },
		.disk = -1 };
	k->ask.class = ERR_NO_RESOURCES;
}

void kvm_release(struct kvm *k)
{
	ask_release(&k->ask);
	close_fd(&k->disk);
	free(k->binary);
}
