/* SPDX-License-Identifier: MIT */
#include "supervisor/qemu/cpu.h"

#include <inttypes.h>
#include <strings.h>

#include "base/mem.h"

/* The words of other tools, and what does the same here. */
static const struct {
	const char *word, *ours;
} words[] = {
	{ "host-passthrough", "write Model=host, or remove Model=: it is the default with KVM" },
	{ "host-model", "write Model=host, or remove Model=: it is the default with KVM" },
	{ "maximum", "write Model=max, which is the default with TCG" },
	{ "x86-64-v1", "QEMU's nearest model is Model=qemu64" },
	{ "x86-64-v2", "QEMU's nearest model is Model=Nehalem" },
	{ "x86-64-v2-AES", "QEMU's nearest model is Model=Westmere" },
	{ "x86-64-v3", "QEMU's nearest model is Model=Haswell-noTSX" },
	{ "x86-64-v4", "QEMU's nearest model is Model=Skylake-Server-noTSX-IBRS" },
};

static int cpu_unknown_model(const char *model, const struct probe *p, struct err *e)
{
	char near[256];

	err_set(e, ERR_INVALID_CONFIG, "'%s' has no CPU model '%s'", p->binary, model);
	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (strcasecmp(words[i].word, model) == 0)
			return err_hint(e, "%s", words[i].ours);
	probe_cpus(p, model, near, sizeof near);
	return err_hint(e, "%s%s%s%s -cpu help lists all", near[0] ? "similar ones are " : "", near,
		near[0] ? "; " : "", p->binary);
}

static int cpu_check_model(
	const struct conf_vm *c, const struct probe *p, enum conf_accel accel, struct err *e)
{
	if (!c->cpu_model)
		return 0;
	if (!probe_has_cpu(p, c->cpu_model))
		return cpu_unknown_model(c->cpu_model, p, e);
	if (accel == CONF_ACCEL_KVM || !streq(c->cpu_model, "host"))
		return 0;
	err_set(e, ERR_INVALID_CONFIG, "CPU model 'host' needs KVM, but this VM runs without it");
	return err_hint(e, "write Model=max in [CPU], or remove Model=");
}

static int cpu_check_feature(
	const char *feature, const struct probe *p, enum conf_accel accel, struct err *e)
{
	const char *name = feature + 1, *near;

	if (!probe_has_feature(p, name)) {
		err_set(e, ERR_INVALID_CONFIG, "'%s' has no CPU feature '%s'", p->binary, name);
		near = probe_nearest_feature(p, name);
		return near ? err_hint(e, "did you mean %c%s?", *feature, near)
			    : err_hint(e, "%s -cpu help lists all", p->binary);
	}
	/* those QEMU leaves out without a word */
	if (*feature == '-' || accel == CONF_ACCEL_KVM || strncmp(name, "hv-", 3) != 0)
		return 0;
	err_set(e, ERR_INVALID_CONFIG, "CPU feature '%s' needs KVM, but this VM runs without it",
		name);
	return err_hint(e, "remove it from Features= in [CPU]");
}

static int cpu_check_number(
	const struct conf_vm *c, const struct probe *p, const char *machine, struct err *e)
{
	uint64_t max = probe_cpu_max(p, machine);

	if (c->cpus <= max)
		return 0;
	err_set(e, ERR_INVALID_CONFIG,
		"%" PRIu64 " CPUs, but machine '%s' supports at most %" PRIu64, c->cpus, machine,
		max);
	return err_hint(e, "write CPUs=%" PRIu64 " or fewer", max);
}

int cpu_check(const struct conf_vm *c, const struct probe *p, const char *machine,
	enum conf_accel accel, const char **key, struct err *e)
{
	int r;

	*key = "CPUs";
	r = cpu_check_number(c, p, machine, e);
	if (r < 0)
		return r;
	*key = "Model";
	r = cpu_check_model(c, p, accel, e);
	for (size_t i = 0; r == 0 && i < c->cpu_features.n; i++) {
		*key = "Features";
		r = cpu_check_feature(c->cpu_features.item[i], p, accel, e);
	}
	return r;
}

void cpu_option(const struct conf_vm *c, enum conf_accel accel, struct buf *out)
{
	buf_adds(out, c->cpu_model ? c->cpu_model : accel == CONF_ACCEL_KVM ? "host" : "max");
	for (size_t i = 0; i < c->cpu_features.n; i++)
		buf_printf(out, ",%s=%s", c->cpu_features.item[i] + 1,
			c->cpu_features.item[i][0] == '-' ? "off" : "on");
	if (c->cpu_model || c->cpu_features.n)
		buf_adds(out, ",enforce=on");
}
