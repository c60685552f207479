/* SPDX-License-Identifier: MIT */
#include "supervisor/qemu/probe_ask.h"

#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>

#include "base/mem.h"
#include "base/text.h"

enum {
	TRIES = 3,
	EXIT_PORT = 0xf4,
	EXIT_VALUE = 0x10,
	EXIT_STATUS = EXIT_VALUE << 1 | 1,
	DISK_BYTES = 1 << 20,
	DISK_FD = 4,
};

static const double try_seconds = 1;

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
		err_errno(e, "make a boot sector");
		close_fd(&fd);
	}
	return fd;
}

/* True if the CPU flags include "vmx" or "svm". */
static bool probe_kvm_cpu_can(void)
{
	_cleanup_(close_file) FILE *f = fopen("/proc/cpuinfo", "re");
	_cleanup_(free_ptr) char *line = NULL;
	size_t room = 0;
	bool flags = false;

	while (f && !flags && getline(&line, &room, f) > 0)
		flags = strncmp(line, "flags", 5) == 0;
	return flags && (strstr(line, " vmx") || strstr(line, " svm"));
}

static int probe_kvm_check_device(struct err *e)
{
	_cleanup_(close_fd) int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);

	if (fd >= 0)
		return 0;
	if (errno == EACCES || errno == EPERM)
		err_set(e, ERR_NO_RESOURCES,
			"KVM cannot be used: no permission to open '/dev/kvm'");
	else if (errno != ENOENT)
		err_errno(e, "KVM cannot be used: open '/dev/kvm'");
	else if (probe_kvm_cpu_can())
		err_set(e, ERR_NO_RESOURCES,
			"KVM cannot be used: there is no '/dev/kvm', the module kvm_intel or kvm_amd is not loaded");
	else
		err_set(e, ERR_NO_RESOURCES,
			"KVM cannot be used: there is no '/dev/kvm', and the CPU shows no virtualisation: "
			"the BIOS, or the host that this is a guest of, has it off");
	return err_hint(e, "write Accel=tcg or Accel=auto in [VM] to go on without KVM");
}

static void probe_kvm_start_try(struct kvm *k);

static void probe_kvm_on_booted(void *data, const struct child_result *r, const struct err *jail)
{
	struct kvm *k = data;

	k->ask.asked = NULL;
	k->proved = r->status == EXIT_STATUS;
	if (!k->proved && ++k->tries < TRIES) {
		probe_kvm_start_try(k);
		return;
	}
	if (!k->proved && jail) {
		err_set(&k->ask.err, ERR_NO_RESOURCES, "KVM cannot be used: %s", jail->text);
	} else if (!k->proved && r->status == -ETIMEDOUT) {
		err_set(&k->ask.err, ERR_NO_RESOURCES,
			"KVM cannot be used: it does not boot 512 bytes within %g s, in %d tries",
			try_seconds, TRIES);
	} else if (!k->proved) {
		_cleanup_(free_ptr) char *said = text_escape(r->err, r->err_len, true);

		for (size_t n = strlen(said); n && said[n - 1] == '\n'; n--)
			said[n - 1] = '\0';
		err_set(&k->ask.err, ERR_NO_RESOURCES,
			"KVM cannot be used: with '/dev/kvm' QEMU ended with %s %d: %.400s",
			r->status < 0 ? "signal" : "status", r->status < 0 ? -r->status : r->status,
			said);
	}
	if (!k->proved)
		err_hint(&k->ask.err, "write Accel=tcg or Accel=auto in [VM] to go on without KVM");
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

	snprintf(disk, sizeof disk, "fd=%d,set=1", DISK_FD);
	snprintf(port, sizeof port, "isa-debug-exit,iobase=%#x,iosize=1", EXIT_PORT);
	more = json_pack("{s:b, s:[i]}", "kvm", kvm, "fds", DISK_FD);
	ask_run(&k->ask, argv, more, &k->disk, 1, &(struct child_options){ .timeout = try_seconds },
		probe_kvm_on_booted, k);
}

void kvm_prove(struct kvm *k, const char *binary, probe_done_fn *done, void *data)
{
	if (k->proved) {
		done(data, NULL, NULL);
		return;
	}
	if (!ask_wait(&k->ask, done, data))
		return;
	k->tries = 0;
	free(k->binary);
	k->binary = xstrdup(binary);
	if (k->disk < 0)
		k->disk = probe_kvm_boot_disk(&k->ask.err);
	if (k->disk < 0 || (streq(k->accel, "kvm") && probe_kvm_check_device(&k->ask.err) < 0))
		ask_failed(&k->ask);
	else
		probe_kvm_start_try(k);
}

void kvm_init(struct kvm *k, const struct ask *blank, const char *accel)
{
	*k = (struct kvm){ .ask = *blank, .accel = accel, .disk = -1 };
	k->ask.class = ERR_NO_RESOURCES;
}

void kvm_release(struct kvm *k)
{
	ask_release(&k->ask);
	close_fd(&k->disk);
	free(k->binary);
}
