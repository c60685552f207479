/* SPDX-License-Identifier: MIT */
/*
 * tests/unit/golden.h - from a VM's configuration to its command line, independent of this host
 */
#ifndef TESTS_UNIT_GOLDEN_H
#define TESTS_UNIT_GOLDEN_H

#include <dirent.h>
#include <fcntl.h>
#include <jansson.h>

#include "base/file.h"
#include "base/mem.h"
#include "conf/conf.h"
#include "supervisor/qemu/firmware.h"
#include "supervisor/qemu/argv.h"

#define GOLDEN_DIR    "tests/golden/argv"
#define GOLDEN_IMAGES "/var/lib/vmkeep/images"

enum { GOLDEN_MAX = 64 };

/* The QEMUs whose probes tests/golden/record wrote, oldest first. Each has its own command
 * lines. */
static const char *const golden_qemus[] = { "7.2", "10.0" };

struct golden {
	const char *qemu; /* one of these; NULL: the one most like the installed QEMU */
	const char *image_dir, *nvram; /* set these first; nvram NULL: the usual path */
	bool paste, tcg;
	void (*edit)(
		struct golden *g); /* changes the configuration before it is used; may be NULL */
	struct conf_vm conf;
	struct identity id;
	struct probe probe;
	struct firmware *firmware;
	struct argv argv;
	struct argv_context ctx;
};

static inline int golden_compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The names of all, sorted; each the caller's to free. */
static inline size_t golden_names(char *names[GOLDEN_MAX])
{
	DIR *dir = opendir(GOLDEN_DIR);
	size_t n = 0;

	for (struct dirent *d; dir && n < GOLDEN_MAX && (d = readdir(dir));) {
		const char *dot = strrchr(d->d_name, '.');

		if (dot && streq(dot, ".vm"))
			names[n++] = xstrndup(d->d_name, (size_t)(dot - d->d_name));
	}
	if (dir)
		closedir(dir);
	qsort(names, n, sizeof *names, golden_compare);
	return n;
}

/* The newest one that is not newer than the installed QEMU. */
static inline const char *golden_installed(void)
{
	FILE *f = popen("qemu-system-x86_64 --version", "re");
	const char *best = golden_qemus[0];
	unsigned here[2] = { 0, 0 }, at[2];

	if (f && fscanf(f, "QEMU emulator version %u.%u", &here[0], &here[1]) != 2)
		here[0] = 0;
	if (f)
		pclose(f);
	for (size_t i = 0; i < ARRAY_SIZE(golden_qemus); i++)
		if (sscanf(golden_qemus[i], "%u.%u", &at[0], &at[1]) == 2 &&
			(at[0] < here[0] || (at[0] == here[0] && at[1] <= here[1])))
			best = golden_qemus[i];
	return best;
}

static inline json_t *golden_probe(const char *qemu)
{
	char *path = xasprintf("tests/golden/probe-%s.json", qemu);
	json_t *doc = json_load_file(path, 0, NULL);

	if (!doc)
		fail_msg("%s cannot be read", path);
	free(path);
	return doc;
}

static inline void golden_parse(struct golden *g, const char *name)
{
	static const char stores[] = "[Store nas]\nPath=/mnt/nas\nRequireMount=yes\n"
				     "[Store iso]\nPath=/srv/iso\nReadOnly=yes\n";
	struct conf_daemon daemon = CONF_DAEMON_INIT;
	char *path = xasprintf(GOLDEN_DIR "/%s.vm", name);
	struct conf_problems problems = { 0 };
	struct buf text = BUF_MAX(CONF_TEXT_MAX);
	struct err e = ERR_INIT;

	if (file_read(AT_FDCWD, path, &text, &e) < 0)
		fail_msg("%s", e.text);
	conf_daemon_parse(&daemon, &(struct conf_source){ "vmkeep.conf", stores, strlen(stores) },
		1, &problems);
	conf_vm_parse(&g->conf, name, &(struct conf_source){ path, text.data, text.len }, 1,
		&(struct conf_context){
			.defaults = &daemon, .uuid = "", .state_dir = "/var/lib/vmkeep" },
		&problems);
	conf_daemon_release(&daemon);
	if (problems.count)
		fail_msg("%s", problems.item[0].reason);
	conf_problems_release(&problems);
	buf_release(&text);
	free(path);
}

static inline void golden_load(struct golden *g, const char *name)
{
	static const char *const firmware[] = { "tests/golden/firmware" };
	static const char uuid[] = "5f4dcc3b-5aa7-4c5d-8327-deb882cf99aa";
	json_t *doc = golden_probe(g->qemu ? g->qemu : golden_installed());
	struct err e = ERR_INIT;

	golden_parse(g, name);
	if (g->edit)
		g->edit(g);
	memcpy(g->id.uuid, uuid, sizeof uuid);
	strcpy(g->id.generation, "0dc1bd54-6c5a-4b8e-9a51-1d5dbf5b3b52");
	g->id.cid = 4711;
	if (probe_from_json(&g->probe, doc, &e) < 0 ||
		identity_complete(&g->id, &g->conf, g->image_dir, NULL, NULL, &e) < 0 ||
		(firmware_wanted(&g->conf) && firmware_choose_in(&g->firmware, firmware, 1,
						      probe_machine(&g->probe, g->conf.machine),
						      g->conf.secure_boot, &e) < 0))
		fail_msg("%s", e.text);
	json_decref(doc);
}

static inline void golden_build(struct golden *g)
{
	struct err e = ERR_INIT;

	g->ctx = (struct argv_context){
		.paste = g->paste,
		.accel =
			g->tcg || g->conf.accel == CONF_ACCEL_TCG ? CONF_ACCEL_TCG : CONF_ACCEL_KVM,
		.image_dir = g->image_dir,
		.nvram = !g->firmware ? NULL
			 : g->nvram   ? g->nvram
				      : "/var/lib/vmkeep/vms/golden/nvram.qcow2",
		.firmware = g->firmware,
	};
	argv_release(&g->argv);
	if (argv_build(&g->argv, &g->conf, &g->id, &g->probe, &g->ctx, &e) < 0)
		fail_msg("%s", e.text);
}

static inline void golden_release(struct golden *g)
{
	argv_release(&g->argv);
	identity_release(&g->id);
	probe_release(&g->probe);
	firmware_free(g->firmware);
	conf_vm_release(&g->conf);
}

#endif
