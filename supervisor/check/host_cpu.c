/* SPDX-License-Identifier: MIT */
/* Checks of the CPU, KVM, QEMU and the programs it needs. */
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "supervisor/check/host.h"
#include "supervisor/host/kvm.h"
#include "supervisor/qemu/firmware.h"

enum { QEMU_MAJOR = 7, QEMU_MINOR = 2 };

void host_cpu(const struct host_facts *f, struct host_row *row)
{
	const char *flag = kvm_flag(f->root);

	if (flag)
		host_row(row, HOST_PASS, NULL, "%s", flag);
	else
		host_row(row, HOST_FAIL, kvm_in_firmware, "the CPU reports neither vmx nor svm");
}

void host_kvm_device(const struct host_facts *f, struct host_row *row)
{
	struct kvm_seen seen;
	struct err e = ERR_INIT;

	kvm_look(f->root, &seen);
	if (kvm_judge(&seen, &e) == 0)
		host_row(row, HOST_PASS, NULL, "there");
	else
		host_row(row, HOST_FAIL, e.hint, "%s", e.text);
}

void host_kvm(const struct host_facts *f, struct host_row *row)
{
	if (f->kvm_error.text[0])
		host_row(row, HOST_FAIL, f->kvm_error.hint, "%s", f->kvm_error.text);
	else if (f->kvm_seconds > 1)
		host_row(row, HOST_PASS, NULL,
			"booted 512 bytes, but slowly: in %.1f s; the host is busy or a virtual machine",
			f->kvm_seconds);
	else
		host_row(row, HOST_PASS, NULL, "booted 512 bytes");
}

void host_nested(const struct host_facts *f, struct host_row *row)
{
	static const char *const modules[] = { "kvm_intel", "kvm_amd" };
	char path[64], text[16];

	for (size_t i = 0; i < ARRAY_SIZE(modules); i++) {
		snprintf(path, sizeof path, "sys/module/%s/parameters/nested", modules[i]);
		if (!host_read(f, path, text, sizeof text))
			continue;
		if (text[0] == 'Y' || text[0] == '1')
			host_row(row, HOST_PASS, NULL, "can use KVM themselves");
		else
			host_row(row, HOST_PASS, NULL,
				"cannot use KVM themselves (options %s nested=1 in /etc/modprobe.d enables it)",
				modules[i]);
		return;
	}
}

void host_iommu(const struct host_facts *f, struct host_row *row)
{
	if (host_exists(f, "sys/kernel/iommu_groups/0"))
		host_row(row, HOST_PASS, NULL, "on");
	else
		host_row(row, HOST_WARN,
			"only needed to pass PCI devices through to guests: enable VT-d or AMD-Vi in the firmware, and "
			"intel_iommu=on on the kernel's command line",
			"off or missing");
}

void host_qemu(const struct host_facts *f, struct host_row *row)
{
	const struct probe *q = f->qemu;

	if (!q)
		host_row(row, HOST_FAIL, "apt install qemu-system-x86", "%s", f->qemu_error.text);
	else if (q->major < QEMU_MAJOR || (q->major == QEMU_MAJOR && q->minor < QEMU_MINOR))
		host_row(row, HOST_FAIL, "install a newer QEMU", "%s is %u.%u.%u, older than %d.%d",
			q->binary, q->major, q->minor, q->micro, QEMU_MAJOR, QEMU_MINOR);
	else
		host_row(row, HOST_PASS, NULL, "%s is %u.%u.%u", q->binary, q->major, q->minor,
			q->micro);
}

static bool host_cpu_is_installed(const struct host_facts *f, const char *program)
{
	static const char *const dirs[] = { "usr/local/sbin", "usr/local/bin", "usr/sbin",
		"usr/bin", "sbin", "bin" };
	char path[64];

	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++) {
		snprintf(path, sizeof path, "%s/%s", dirs[i], program);
		if (faccessat(f->root, path, X_OK, 0) == 0)
			return true;
	}
	return false;
}

void host_programs(const struct host_facts *f, struct host_row *row)
{
	static const char *const programs[][2] = {
		{ "qemu-img", "qemu-utils" },
		{ "nft", "nftables" },
		{ "dnsmasq", "dnsmasq-base" },
	};
	char missing[64] = "", cure[96] = "apt install";

	for (size_t i = 0; i < ARRAY_SIZE(programs); i++) {
		size_t m = strlen(missing), c = strlen(cure);

		if (host_cpu_is_installed(f, programs[i][0]))
			continue;
		snprintf(missing + m, sizeof missing - m, "%s%s", m ? ", " : "", programs[i][0]);
		snprintf(cure + c, sizeof cure - c, " %s", programs[i][1]);
	}
	if (missing[0])
		host_row(row, HOST_FAIL, cure, "not installed: %s", missing);
	else
		host_row(row, HOST_PASS, NULL, "qemu-img, nft, dnsmasq");
}

void host_firmware(const struct host_facts *f, struct host_row *row)
{
	const char *machine = f->qemu ? probe_machine(f->qemu, "q35") : NULL;
	struct firmware *plain = NULL, *secure = NULL;
	struct err e = ERR_INIT;

	if (!machine)
		return;
	if (firmware_choose(&plain, machine, false, &e) < 0)
		host_row(row, HOST_WARN,
			"apt install ovmf; guests with Firmware=bios, the default, do not need it",
			"%s", e.text);
	else if (firmware_choose(&secure, machine, true, NULL) < 0)
		host_row(row, HOST_PASS, NULL, "%s; none for SecureBoot=yes", plain->code);
	else
		host_row(row, HOST_PASS, NULL, "%s, also for SecureBoot=yes", plain->code);
	firmware_free(plain);
	firmware_free(secure);
}
