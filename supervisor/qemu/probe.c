/* SPDX-License-Identifier: MIT */
#include "supervisor/qemu/probe.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "base/text.h"

enum { PROBE_VERSION = 1, NAMES_MAX = 5 };

/* All sent at once; the replies come in the same order. */
const char probe_questions[] =
	"{\"execute\": \"qmp_capabilities\"}\n"
	"{\"execute\": \"query-version\", \"id\": \"version\"}\n"
	"{\"execute\": \"query-machines\", \"id\": \"machines\"}\n"
	"{\"execute\": \"qom-list-types\", \"id\": \"devices\","
	" \"arguments\": {\"implements\": \"device\", \"abstract\": false}}\n"
	"{\"execute\": \"query-cpu-definitions\", \"id\": \"cpus\"}\n"
	"{\"execute\": \"device-list-properties\", \"id\": \"features\","
	" \"arguments\": {\"typename\": \"max-x86_64-cpu\"}}\n"
	"{\"execute\": \"quit\"}\n";

int probe_from_json(struct probe *p, json_t *doc, struct err *e)
{
	json_t *machines, *devices;
	const char *binary;
	int version, major, minor, micro;

	if (json_unpack(doc, "{s:i, s:s, s:[iii], s:o, s:o}", "version", &version, "binary",
		    &binary, "qemu", &major, &minor, &micro, "machines", &machines, "devices",
		    &devices) < 0 ||
		version != PROBE_VERSION || major < 0 || minor < 0 || micro < 0 ||
		!json_is_object(machines) || !json_is_object(devices))
		return err_set(e, ERR_FAILED, "not a probe record");
	*p = (struct probe){
		.doc = json_incref(doc),
		.binary = binary,
		.major = (unsigned)major,
		.minor = (unsigned)minor,
		.micro = (unsigned)micro,
	};
	return 0;
}

void probe_release(struct probe *p)
{
	json_decref(p->doc);
	*p = (struct probe)PROBE_INIT;
}

const char *probe_machine(const struct probe *p, const char *wish)
{
	json_t *machines = json_object_get(p->doc, "machines"), *m;
	const char *name;

	json_object_foreach (machines, name, m)
		if (streq(name, wish) ||
			streq(json_string_value(json_object_get(m, "alias")), wish))
			return name;
	return NULL;
}

bool probe_machine_is_deprecated(const struct probe *p, const char *machine)
{
	json_t *m = json_object_get(json_object_get(p->doc, "machines"), machine);

	return json_is_true(json_object_get(m, "deprecated"));
}

const char *probe_package(const struct probe *p)
{
	const char *package = json_string_value(json_object_get(p->doc, "package"));

	return package ? package : "";
}

bool probe_has_device(const struct probe *p, const char *driver)
{
	return json_object_get(json_object_get(p->doc, "devices"), driver) != NULL;
}

uint64_t probe_cpu_max(const struct probe *p, const char *machine)
{
	json_t *m = json_object_get(json_object_get(p->doc, "machines"), machine);
	json_int_t n = json_integer_value(json_object_get(m, "cpu_max"));

	return n > 0 ? (uint64_t)n : UINT64_MAX;
}

static bool probe_has(const struct probe *p, const char *what, const char *name)
{
	const json_t *known = json_object_get(p->doc, what);

	return json_object_size(known) == 0 || json_object_get(known, name);
}

bool probe_has_cpu(const struct probe *p, const char *model)
{
	return probe_has(p, "cpus", model);
}

bool probe_has_feature(const struct probe *p, const char *feature)
{
	_cleanup_(free_ptr) char *name = xstrdup(feature);

	for (char *c = name; *c; c++)
		if (*c == '_')
			*c = '-';
	return probe_has(p, "features", name);
}

static const char *probe_nearest(const struct probe *p, const char *what, const char *wish)
{
	json_t *known = json_object_get(p->doc, what), *unused;
	const char **names = xcalloc(json_object_size(known) + 1, sizeof *names), *name;
	size_t n = 0;

	json_object_foreach (known, name, unused)
		names[n++] = name;
	name = text_nearest(wish, names, n);
	free(names);
	return name;
}

const char *probe_nearest_feature(const struct probe *p, const char *feature)
{
	return probe_nearest(p, "features", feature);
}

/* "EPYC-v2" is a version of "EPYC". */
static bool probe_is_version(const char *model)
{
	const char *dash = strrchr(model, '-');

	return dash && dash[1] == 'v' && strspn(dash + 2, "0123456789") == strlen(dash + 2);
}

void probe_cpus(const struct probe *p, const char *wish, char *buf, size_t len)
{
	json_t *known = json_object_get(p->doc, "cpus"), *unused;
	const char *name;
	size_t family = strcspn(wish, "-"), at = 0, n = 0;

	buf[0] = '\0';
	json_object_foreach (known, name, unused)
		if (n < NAMES_MAX && at < len && strncasecmp(name, wish, family) == 0 &&
			!probe_is_version(name))
			at += (size_t)snprintf(buf + at, len - at, "%s%s", n++ ? ", " : "", name);
	name = n ? NULL : probe_nearest(p, "cpus", wish);
	if (name)
		snprintf(buf, len, "%s", name);
}

/* Length of the prefix that machines of one family share: "pc-q35-" of "pc-q35-9.9", "q3" of
 * "q3". */
static size_t probe_family_len(const char *name)
{
	size_t n = strlen(name);

	while (n && (isdigit((unsigned char)name[n - 1]) || name[n - 1] == '.'))
		n--;
	return n && name[n - 1] == '-' ? n : strlen(name);
}

static int probe_newest_first(const void *a, const void *b)
{
	return strverscmp(*(const char *const *)b, *(const char *const *)a);
}

void probe_machines(const struct probe *p, const char *wish, char *buf, size_t len)
{
	json_t *machines = json_object_get(p->doc, "machines"), *m;
	const char **names = xcalloc(json_object_size(machines) + 1, sizeof *names), *name;
	size_t n = 0, at = 0;

	json_object_foreach (machines, name, m)
		if (strncmp(name, wish, probe_family_len(wish)) == 0)
			names[n++] = name;
	if (n == 0) /* no match: list the aliased ones */
		json_object_foreach (machines, name, m)
			if (json_object_get(m, "alias"))
				names[n++] = name;
	qsort(names, n, sizeof *names, probe_newest_first);
	buf[0] = '\0';
	for (size_t i = 0; i < n && i < NAMES_MAX && at < len; i++) {
		int w = snprintf(buf + at, len - at, "%s%s", i ? ", " : "", names[i]);

		at += w > 0 ? (size_t)w : 0;
	}
	free(names);
}

/* Building the document */

static json_t *probe_machines_of(const json_t *reply)
{
	json_t *machines = json_object(), *row, *alias, *m;
	const char *name;
	size_t i;

	json_array_foreach (reply, i, row) {
		name = json_string_value(json_object_get(row, "name"));
		if (!name)
			continue;
		alias = json_object_get(row, "alias");
		m = json_object();
		if (alias)
			json_object_set(m, "alias", alias);
		if (json_is_true(json_object_get(row, "deprecated")))
			json_object_set_new(m, "deprecated", json_true());
		json_object_set(m, "cpu_max", json_object_get(row, "cpu-max"));
		json_object_set_new(machines, name, m);
	}
	return machines;
}

static json_t *probe_devices_of(const json_t *reply)
{
	json_t *devices = json_object(), *row;
	size_t i;

	json_array_foreach (reply, i, row) {
		const char *name = json_string_value(json_object_get(row, "name"));
		size_t n = name ? strlen(name) : 0;

		if (n && !(n > 4 && streq(name + n - 4, "-cpu")))
			json_object_set_new(devices, name, json_true());
	}
	return devices;
}

static json_t *probe_cpus_of(const json_t *reply)
{
	json_t *cpus = json_object(), *row;
	size_t i;

	json_array_foreach (reply, i, row)
		json_object_set_new(
			cpus, json_string_value(json_object_get(row, "name")), json_true());
	return cpus;
}

/* What -cpu takes as NAME=on: the same for all models. The rest are numbers, and switches of QEMU's
 * own. */
static json_t *probe_features_of(const json_t *reply)
{
	static const char *const others[] = { "check", "enforce", "start-powered-off" };
	json_t *features = json_object(), *row;
	size_t i;

	json_array_foreach (reply, i, row) {
		const char *type = json_string_value(json_object_get(row, "type"));

		if (streq(type, "bool") || streq(type, "OnOffAuto"))
			json_object_set_new(features,
				json_string_value(json_object_get(row, "name")), json_true());
	}
	for (i = 0; i < ARRAY_SIZE(others); i++)
		json_object_del(features, others[i]);
	return features;
}

static json_t *probe_combine(const char *binary, const json_t *replies)
{
	json_t *version = json_object_get(replies, "version"),
	       *qemu = json_object_get(version, "qemu");
	json_t *machines = json_object_get(replies, "machines"),
	       *devices = json_object_get(replies, "devices");

	if (!json_is_array(machines) || !json_is_array(devices) || !json_is_object(qemu))
		return NULL;
	return json_pack("{s:i, s:s, s:[O,O,O], s:O*, s:o, s:o, s:o, s:o}", "version",
		PROBE_VERSION, "binary", binary, "qemu", json_object_get(qemu, "major"),
		json_object_get(qemu, "minor"), json_object_get(qemu, "micro"), "package",
		json_object_get(version, "package"), "machines", probe_machines_of(machines),
		"devices", probe_devices_of(devices), "cpus",
		probe_cpus_of(json_object_get(replies, "cpus")), "features",
		probe_features_of(json_object_get(replies, "features")));
}

json_t *probe_from_replies(const char *binary, const char *text, size_t len, struct err *e)
{
	json_t *replies = json_object(), *reply, *doc;
	size_t at = 0;
	json_error_t why;

	while (at < len &&
		(reply = json_loadb(text + at, len - at, JSON_DISABLE_EOF_CHECK, &why))) {
		const char *id = json_string_value(json_object_get(reply, "id"));

		if (id)
			json_object_set(replies, id, json_object_get(reply, "return"));
		json_decref(reply);
		at += (size_t)why.position; /* bytes consumed */
	}
	doc = probe_combine(binary, replies);
	json_decref(replies);
	if (!doc)
		err_set(e, ERR_QEMU_FAILED, "'%s' did not report its capabilities", binary);
	return doc;
}
