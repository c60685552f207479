/* SPDX-License-Identifier: MIT */
#include "supervisor/host/kvm.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"

enum { CPUINFO_MAX = 16 << 10, KVM_MAJOR = 10, KVM_MINOR = 232 };

const char kvm_in_firmware[] =
	"enable VT-x or AMD-V in the firmware (BIOS) setup; if this host is itself a virtual machine, "
	"its own host must allow nested virtualisation";

static bool kvm_has_word(const char *text, const char *word)
{
	size_t n = strlen(word);

	for (const char *s = text; (s = strstr(s, word)); s += n)
		if (s > text && (s[-1] == ' ' || s[-1] == '\t') && (s[n] == ' ' || !s[n]))
			return true;
	return false;
}

/* Only looks at the first CPU. */
const char *kvm_flag(int root)
{
	static char text[CPUINFO_MAX];
	char *flags, *end;

	if (file_peek(root, "proc/cpuinfo", text, sizeof text) < 0)
		return NULL;
	flags = strstr(text, "\nflags");
	if (!flags)
		return NULL;
	end = strchr(flags + 1, '\n');
	if (end)
		*end = '\0';
	return kvm_has_word(flags, "vmx") ? "vmx" : kvm_has_word(flags, "svm") ? "svm" : NULL;
}

void kvm_look(int root, struct kvm_seen *s)
{
	_cleanup_(close_fd) int fd = -1;
	struct stat st;

	*s = (struct kvm_seen){ .flag = kvm_flag(root),
		.loaded = faccessat(root, "sys/class/misc/kvm", F_OK, 0) == 0 };
	if (fstatat(root, "dev/kvm", &st, 0) < 0) {
		s->error = errno;
		return;
	}
	s->dev = st.st_dev;
	s->ino = st.st_ino;
	s->odd = !S_ISCHR(st.st_mode) || st.st_rdev != makedev(KVM_MAJOR, KVM_MINOR);
	if (s->odd)
		return; /* nothing unknown is opened */
	fd = openat(root, "dev/kvm", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	s->error = fd < 0 ? errno : 0;
}

bool kvm_is_awaited(const struct kvm_seen *s)
{
	return s->flag && !s->loaded && !s->odd && s->error;
}

int kvm_judge(const struct kvm_seen *s, struct err *e)
{
	const char *module = streq(s->flag, "vmx") ? "kvm_intel" : "kvm_amd";
	/* udev and kmod make the node before the module is there; opening it fails so */
	bool absent = s->error == ENOENT || s->error == ENODEV || s->error == ENXIO;

	if (s->odd) {
		err_set(e, ERR_NO_RESOURCES, "'/dev/kvm' is not the KVM device");
		return err_hint(e,
			"put the device in its place: rm -r /dev/kvm && mknod -m 660 /dev/kvm c %d %d",
			KVM_MAJOR, KVM_MINOR);
	}
	if (!s->error)
		return 0;
	if (s->error == EACCES || s->error == EPERM) {
		err_set(e, ERR_NO_RESOURCES, "no permission to open '/dev/kvm'");
		return err_hint(e,
			"vmkeepd is root, so a device policy (DeviceAllow= of its unit, or the container "
			"it is in) or a security module forbids it: allow /dev/kvm there");
	}
	if (absent && s->loaded) {
		err_set(e, ERR_NO_RESOURCES, "the kernel has KVM, but there is no '/dev/kvm' here");
		return err_hint(e,
			"mknod -m 660 /dev/kvm c %d %d; a container must be given the device",
			KVM_MAJOR, KVM_MINOR);
	}
	if (absent && s->flag) {
		err_set(e, ERR_NO_RESOURCES,
			s->error == ENOENT
				? "there is no '/dev/kvm', because the module %s is not loaded"
				: "'/dev/kvm' has no driver, because the module %s is not loaded",
			module);
		return err_hint(e, "modprobe %s; if that fails, dmesg shows why", module);
	}
	if (absent) {
		err_set(e, ERR_NO_RESOURCES,
			"there is no '/dev/kvm', because the CPU reports neither vmx nor svm");
		return err_hint(e, "%s", kvm_in_firmware);
	}
	err_set(e, ERR_NO_RESOURCES, "open '/dev/kvm': %s", strerror(s->error));
	return err_hint(e, "dmesg may show why");
}
