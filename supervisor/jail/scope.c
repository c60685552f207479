/* SPDX-License-Identifier: MIT */
/*
 * supervisor/jail/scope.c - the VM's own control group
 *
 * Under systemd, a transient scope that this process requests itself, so that the group belongs
 * neither to the daemon nor to its service and outlives both. systemd's private socket is tried
 * first: root may use it, and it works without a D-Bus daemon. If systemd cannot be reached, or
 * there is none, the group consists of directories in the mounted hierarchies. If a limit cannot be
 * set, the start fails.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <systemd/sd-bus.h>

#include "base/mem.h"
#include "supervisor/jail/jail.h"

enum { CALL_USEC = 10000000, TRIES = 2000, TRY_USEC = 1000, PERIOD_USEC = 100000 };

enum outcome { JOINED, REFUSED, UNREACHABLE };

/* --- systemd --- */

static int scope_append_limits(sd_bus_message *m, const struct jail_group *g)
{
	const struct {
		const char *property;
		long long value;
	} limits[] = {
		{ "CPUQuotaPerSecUSec", g->cpu_quota * 10000 },
		{ "CPUWeight", g->cpu_weight },
		{ "IOWeight", g->io_weight },
		{ "TasksMax", g->tasks_max },
		{ "MemoryMax", g->memory_max },
	};
	int r = 0;

	for (size_t i = 0; r >= 0 && i < ARRAY_SIZE(limits); i++)
		if (limits[i].value)
			r = sd_bus_message_append(
				m, "(sv)", limits[i].property, "t", (uint64_t)limits[i].value);
	return r;
}

/* The scope must be stopped after vmkeep-guests.service, which shuts the guest down cleanly:
 * systemd sends a scope SIGTERM, and that makes QEMU quit at once. */
static int scope_make_message(sd_bus *bus, const struct jail *j, sd_bus_message **m)
{
	_cleanup_(free_ptr) char *description = xasprintf("Virtual machine %s", j->name);
	int r = sd_bus_message_new_method_call(bus, m, "org.freedesktop.systemd1",
		"/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager",
		"StartTransientUnit");

	if (r >= 0)
		r = sd_bus_message_append(*m, "ss", j->group.unit, "fail");
	if (r >= 0)
		r = sd_bus_message_open_container(*m, 'a', "(sv)");
	if (r >= 0)
		r = sd_bus_message_append(*m, "(sv)(sv)(sv)(sv)(sv)", "Description", "s",
			description, "Slice", "s", "vmkeep.slice", "CollectMode", "s",
			"inactive-or-failed", "Before", "as", 1, "vmkeep-guests.service", "PIDs",
			"au", 1, 0 /* 0: the caller */);
	if (r >= 0)
		r = scope_append_limits(*m, &j->group);
	if (r >= 0)
		r = sd_bus_message_close_container(*m);
	if (r >= 0)
		r = sd_bus_message_append(*m, "a(sa(sv))", 0);
	return r;
}

static bool scope_is_inside(const char *unit)
{
	_cleanup_(close_file) FILE *f = fopen("/proc/self/cgroup", "re");
	char line[4096], *slash;
	bool inside = false;

	while (f && !inside && fgets(line, sizeof line, f)) {
		line[strcspn(line, "\n")] = '\0';
		slash = strrchr(line, '/');
		inside = slash && streq(slash + 1, unit);
	}
	return inside;
}

/* The reply only means that the job is queued. */
static enum outcome scope_wait_inside(const char *unit, struct err *e)
{
	for (int tries = 0; tries < TRIES; tries++) {
		if (scope_is_inside(unit))
			return JOINED;
		usleep(TRY_USEC / 4);
	}
	err_set(e, ERR_TIMEOUT, "systemd did not create the scope '%s' within %g s", unit,
		TRIES * (TRY_USEC / 4e6));
	err_hint(e, "systemctl status %s", unit);
	return REFUSED;
}

static enum outcome scope_ask(sd_bus *bus, const struct jail *j, struct err *e)
{
	sd_bus_error error = SD_BUS_ERROR_NULL;
	sd_bus_message *m = NULL;
	bool exists = true;
	int r = -EIO;

	/* the previous process's scope disappears once systemd has noticed its exit */
	for (int tries = 0; exists && tries < TRIES; tries++) {
		if (tries)
			usleep(TRY_USEC);
		sd_bus_error_free(&error);
		r = scope_make_message(bus, j, &m);
		if (r >= 0)
			r = sd_bus_call(bus, m, CALL_USEC, &error, NULL);
		sd_bus_message_unref(m);
		m = NULL;
		exists = r < 0 &&
			 sd_bus_error_has_name(&error, "org.freedesktop.systemd1.UnitExists");
	}
	if (r < 0) {
		err_set(e, exists ? ERR_CONFLICT : ERR_FAILED, "create the scope '%s': %s",
			j->group.unit, error.message ? error.message : strerror(-r));
		if (exists)
			err_hint(e, "systemctl status %s shows what it belongs to", j->group.unit);
	}
	sd_bus_error_free(&error);
	return r < 0 ? REFUSED : scope_wait_inside(j->group.unit, e);
}

static sd_bus *scope_connect_private(void)
{
	sd_bus *bus = NULL;

	if (sd_bus_new(&bus) >= 0 &&
		sd_bus_set_address(bus, "unix:path=/run/systemd/private") >= 0 &&
		sd_bus_start(bus) >= 0)
		return bus;
	return sd_bus_unref(bus);
}

static enum outcome scope_join(const struct jail *j, struct err *e)
{
	sd_bus *bus = scope_connect_private();
	enum outcome outcome = UNREACHABLE;

	if (!bus && sd_bus_open_system(&bus) < 0)
		return UNREACHABLE;
	outcome = scope_ask(bus, j, e);
	sd_bus_flush_close_unref(bus);
	return outcome;
}

/* --- directories --- */

static bool scope_write_in(const char *dir, const char *file, const char *text)
{
	_cleanup_(free_ptr) char *path = xasprintf("%s/%s", dir, file);
	_cleanup_(close_fd) int fd = open(path, O_WRONLY | O_CLOEXEC);

	return fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
}

static char *scope_parent_of(const char *dir)
{
	return xstrndup(dir, (size_t)(strrchr(dir, '/') - dir));
}

/* In v2, controllers must be enabled level by level; one at a time, since any of them may be
 * missing. */
static void scope_pass_controllers(const char *dir)
{
	static const char *const controllers[] = { "+cpu", "+io", "+memory", "+pids" };

	for (size_t i = 0; i < ARRAY_SIZE(controllers); i++)
		scope_write_in(dir, "cgroup.subtree_control", controllers[i]);
}

static bool scope_make_dir(const char *dir)
{
	_cleanup_(free_ptr) char *ours = scope_parent_of(dir);
	_cleanup_(free_ptr) char *top = scope_parent_of(ours);

	if (mkdir(ours, 0755) < 0 && errno != EEXIST)
		return false;
	scope_pass_controllers(top);
	scope_pass_controllers(ours);
	return mkdir(dir, 0755) == 0 || errno == EEXIST;
}

/* The controller, "cpu" of "cpu.max", can be had below this mount of v2; or it is v1's, whose files are
 * in each directory. */
static bool scope_has(const char *top, const char *file)
{
	_cleanup_(free_ptr) char *there = xasprintf("%s/%s", top, file),
				 *path = xasprintf("%s/cgroup.controllers", top);
	_cleanup_(close_file) FILE *f = access(there, W_OK) == 0 ? NULL : fopen(path, "re");
	char line[1024], *rest = line, *word;

	if (!f)
		return access(there, W_OK) == 0;
	if (!fgets(line, sizeof line, f))
		return false;
	while ((word = strsep(&rest, " \n")))
		if (*word && strncmp(file, word, strlen(word)) == 0 && file[strlen(word)] == '.')
			return true;
	return false;
}

/* In the VM's own directory; in a check, whether that could be. */
static bool scope_set(const char *dir, const char *file, const char *text, bool check)
{
	_cleanup_(free_ptr) char *ours = scope_parent_of(dir);
	_cleanup_(free_ptr) char *top = scope_parent_of(ours);

	return check ? scope_has(top, file) : scope_write_in(dir, file, text);
}

static int scope_set_limits(const struct jail_group *g, bool check, struct err *e)
{
	/* v2's file, then v1's; the default weight is 100 in v2, 1024 or 500 in v1 */
	/* clang-format off */
	const struct {
		const char *key, *file;
		long long value, more;
	} limits[] = {
		{ "CPUQuota",  "cpu.max",               g->cpu_quota * PERIOD_USEC / 100, PERIOD_USEC },
		{ "CPUQuota",  "cpu.cfs_quota_us",      g->cpu_quota * PERIOD_USEC / 100, 0 },
		{ "CPUWeight", "cpu.weight",            g->cpu_weight, 0 },
		{ "CPUWeight", "cpu.shares",            g->cpu_weight * 1024 / 100, 0 },
		{ "IOWeight",  "io.weight",             g->io_weight, 0 },
		{ "IOWeight",  "blkio.bfq.weight",      g->io_weight > 1000 ? 1000 : g->io_weight, 0 },
		{ "IOWeight",  "blkio.weight",          g->io_weight * 5 > 1000 ? 1000 : g->io_weight * 5, 0 },
		{ "TasksMax",  "pids.max",              g->tasks_max, 0 },
		{ "MemoryMax", "memory.max",            g->memory_max, 0 },
		{ "MemoryMax", "memory.limit_in_bytes", g->memory_max, 0 },
	};
	/* clang-format on */
	bool set = true;

	for (size_t i = 0; i < ARRAY_SIZE(limits); i++) {
		bool last = i + 1 == ARRAY_SIZE(limits) || !streq(limits[i].key, limits[i + 1].key);
		bool first = i == 0 || !streq(limits[i].key, limits[i - 1].key);
		char text[64];

		set = (set && !first) || !limits[i].value;
		snprintf(text, sizeof text, limits[i].more ? "%lld %lld" : "%lld", limits[i].value,
			limits[i].more);
		for (size_t d = 0; limits[i].value && d < g->n; d++)
			set |= scope_set(g->dir[d], limits[i].file, text, check);
		if (!last || set)
			continue;
		err_set(e, ERR_NO_RESOURCES, "%s=: no control group can enforce it", limits[i].key);
		return err_hint(e,
			"run vmkeepd under systemd, mount that controller, or remove the line from [Limits]");
	}
	return 0;
}

static int scope_join_directories(struct jail_group *g, struct err *e)
{
	size_t n = 0;
	int r;

	for (size_t i = 0; i < g->n; i++)
		if (scope_make_dir(g->dir[i]))
			g->dir[n++] = g->dir[i];
	g->n = n;
	r = scope_set_limits(g, false, e);
	for (size_t i = 0; r == 0 && i < n; i++)
		if (!scope_write_in(g->dir[i], "cgroup.procs", "0"))
			return err_errno(e, "enter the control group %s", g->dir[i]);
	return r;
}

int group_join(struct jail *j, struct err *e)
{
	const bool systemd = j->group.unit && *j->group.unit;
	enum outcome outcome;

	if (j->check) /* systemd has all of them, or says so at the start */
		return systemd ? 0 : scope_set_limits(&j->group, true, e);
	outcome = systemd ? scope_join(j, e) : UNREACHABLE;

	if (outcome == JOINED)
		return 0;
	return outcome == REFUSED ? e->number : scope_join_directories(&j->group, e);
}
