/* SPDX-License-Identifier: MIT */
#include "supervisor/check/security.h"

#include <ctype.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/proc.h"
#include "base/text.h"
#include "supervisor/api/result.h"
#include "supervisor/vm/found.h"
#include "supervisor/guest/output.h"
#include "supervisor/check/security_private.h"

/* Returns the rest of the line that starts with key, without surrounding blanks; NULL: no such
 * line. */
static const char *security_line_of(struct look *l, const char *text, const char *key)
{
	char *value = l->value;
	size_t len = strlen(key);

	for (const char *at = text; at && *at; at = strchr(at, '\n')) {
		at += *at == '\n';
		if (strncmp(at, key, len) != 0)
			continue;
		at += len + strspn(at + len, " \t");
		snprintf(value, sizeof l->value, "%.*s", (int)strcspn(at, "\n"), at);
		value[strcspn(value, "\n")] = '\0';
		for (size_t n = strlen(value); n && isspace((unsigned char)value[n - 1]);)
			value[--n] = '\0';
		return value;
	}
	return NULL;
}

static const char *security_status_of(struct look *l, const char *key)
{
	return security_line_of(l, l->status.data ? l->status.data : "", key);
}

/* --- the rules: each adds what it found and returns whether it holds --- */

static bool security_own_uid(struct look *l)
{
	static const char *const keys[] = { "Uid:", "Gid:" };
	const unsigned want = (unsigned)l->vm->identity.uid;
	char four[64];
	bool good = true;
	pid_t other;

	snprintf(four, sizeof four, "%u\t%u\t%u\t%u", want, want, want, want);
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		const char *s = security_status_of(l, keys[i]);

		good &= streq(s, four);
		if (i == 0 || !good)
			buf_printf(&l->found, "%s%s", i ? ", gid " : "", good ? "" : s ? s : "?");
	}
	if (good)
		buf_printf(&l->found, "%u", want);
	other = good ? found_others(l->vm->daemon->vms, want) : 0;
	if (other)
		buf_printf(&l->found, ", which process %d has too", (int)other);
	return good && want != 0 && !other;
}

static bool security_no_groups(struct look *l)
{
	const char *s = security_status_of(l, "Groups:");

	buf_adds(&l->found, s && *s ? s : "none");
	return s && !*s;
}

static bool security_no_capabilities(struct look *l)
{
	static const char *const sets[] = { "CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:" };

	for (size_t i = 0; i < ARRAY_SIZE(sets); i++) {
		const char *s = security_status_of(l, sets[i]);

		if (!s || strspn(s, "0") != strlen(s)) {
			buf_printf(&l->found, "%s %s", sets[i], s ? s : "?");
			return false;
		}
	}
	buf_adds(&l->found, "none");
	return true;
}

static bool security_number_is(struct look *l, const char *key, int least)
{
	const char *s = security_status_of(l, key);

	buf_adds(&l->found, s ? s : "?");
	return s && atoi(s) >= least;
}

static bool security_no_new_privileges(struct look *l)
{
	return security_number_is(l, "NoNewPrivs:", 1);
}

/* One is ours, one QEMU's own. */
static bool security_filters(struct look *l)
{
	const char *mode = security_status_of(l, "Seccomp:");

	if (!streq(mode, "2")) {
		buf_adds(&l->found, "none");
		return false;
	}
	return security_number_is(l, "Seccomp_filters:", 2);
}

static bool security_no_tracer(struct look *l)
{
	const char *s = security_status_of(l, "TracerPid:");

	buf_adds(&l->found, streq(s, "0") ? "none" : s ? s : "?");
	return streq(s, "0");
}

static bool security_namespaces(struct look *l)
{
	static const char *const names[] = { "mnt", "net", "ipc", "uts" };
	bool all = true;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		char path[64], ours[64] = "", theirs[64] = "";
		bool own;

		snprintf(path, sizeof path, "/proc/self/ns/%s", names[i]);
		own = readlink(path, ours, sizeof ours - 1) > 0;
		snprintf(path, sizeof path, "/proc/%d/ns/%s", (int)l->vm->proc.pid, names[i]);
		own &= readlink(path, theirs, sizeof theirs - 1) > 0 && !streq(ours, theirs);
		if (own)
			buf_printf(&l->found, "%s%s", l->found.len ? " " : "", names[i]);
		all &= own;
	}
	return all;
}

/* The number of lines after the heading of a table in /proc/PID/net. */
static unsigned security_table_lines(const struct look *l, const char *name)
{
	_cleanup_(free_ptr) char *text = security_proc(l, name);
	unsigned n = 0;

	for (const char *at = strchr(text, '\n'); at && at[1]; at = strchr(at + 1, '\n'))
		n++;
	return n;
}

static bool security_no_network(struct look *l)
{
	static const char *const tables[] = { "net/tcp", "net/tcp6", "net/udp", "net/udp6",
		"net/raw", "net/raw6", "net/packet" };
	_cleanup_(free_ptr) char *devices = security_proc(l, "net/dev");
	unsigned sockets = 0, links = 0;

	/* two heading lines, then one per interface */
	for (const char *at = devices; (at = strchr(at, '\n')); at++)
		links++;
	for (size_t i = 0; i < ARRAY_SIZE(tables); i++)
		sockets += security_table_lines(l, tables[i]);
	buf_printf(&l->found, "%u sockets, %s", sockets,
		links == 3 && security_line_of(l, devices, "    lo:") ? "only lo" : "interfaces");
	return security_no_foreign_socket(l) && sockets == 0 &&
	       streq(l->found.data, "0 sockets, only lo");
}

static bool security_limits(struct look *l)
{
	static const struct {
		const char *line, *name;
		uint64_t most;
	} wanted[] = {
		{ "Max core file size", "core", 0 },
		{ "Max processes", "processes", 1024 },
		{ "Max open files", "files", 4096 },
	};
	_cleanup_(free_ptr) char *text = security_proc(l, "limits");
	bool all = true;

	for (size_t i = 0; i < ARRAY_SIZE(wanted); i++) {
		char hard[32] = "?";
		const char *s = security_line_of(l, text, wanted[i].line);
		uint64_t n;

		all &= s && sscanf(s, "%*s %31s", hard) == 1 &&
		       text_parse_uint(hard, 0, wanted[i].most, &n) == 0;
		buf_printf(&l->found, "%s%s %s", i ? ", " : "", wanted[i].name, hard);
	}
	return all;
}

/* The OOM killer must prefer a guest to the programs that run the host. */
static bool security_oom_first(struct look *l)
{
	_cleanup_(free_ptr) char *text = security_proc(l, "oom_score_adj");

	text[strcspn(text, "\n")] = '\0';
	buf_adds(&l->found, text);
	return atoi(text) > 0;
}

static bool security_bounded_output(struct look *l)
{
	_cleanup_(close_fd) int fd =
		l->vm->proc.run_fd < 0 ? -1
				       : openat(l->vm->proc.run_fd, "out",
						 O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct statfs fs;
	struct stat own, run;
	char size[16];
	bool good = fd >= 0 && fstatfs(fd, &fs) == 0 && fstat(fd, &own) == 0 &&
		    fstat(l->vm->proc.run_fd, &run) == 0 && fs.f_type == TMPFS_MAGIC &&
		    own.st_dev != run.st_dev;

	if (good)
		text_size(size, sizeof size, (uint64_t)fs.f_blocks * (uint64_t)fs.f_bsize);
	buf_adds(&l->found, good ? size : "no tmpfs of its own");
	return good;
}

static bool security_own_cgroup(struct look *l)
{
	_cleanup_(free_ptr) char *theirs = security_proc(l, "cgroup");
	_cleanup_(buf_release) struct buf ours = BUF_MAX(PROC_MAX);
	bool own = file_read(AT_FDCWD, "/proc/self/cgroup", &ours, NULL) == 0 && *theirs &&
		   !streq(theirs, ours.data);
	const char *last = strrchr(theirs, '/');

	buf_printf(&l->found, "%.*s", own && last ? (int)strcspn(last + 1, "\n") : 0,
		last ? last + 1 : "");
	if (!own)
		buf_adds(&l->found, "none");
	return own;
}

/* clang-format off */
static const struct {
	const char *name;
	bool (*holds)(struct look *l);
	bool optional; /* depends on the host: null rather than false */
} rules[] = {
	{ "own uid",             security_own_uid, false },
	{ "no groups",           security_no_groups, false },
	{ "no capabilities",     security_no_capabilities, false },
	{ "no new privileges",   security_no_new_privileges, false },
	{ "system call filters", security_filters, false },
	{ "not traced",          security_no_tracer, false },
	{ "own namespaces",      security_namespaces, false },
	{ "private root",        security_private_root, false },
	{ "mounts",              security_mounts, false },
	{ "no network",          security_no_network, false },
	{ "sockets",             security_sockets, false },
	{ "devices",             security_devices, false },
	{ "directories",         security_directories, false },
	{ "limits",              security_limits, false },
	{ "dies first",          security_oom_first, false },
	{ "bounded output",      security_bounded_output, false },
	{ "own cgroup",          security_own_cgroup, true },
};
/* clang-format on */

json_t *security_report(const struct vm *vm, struct err *e)
{
	struct look l = { .vm = vm, .status = BUF_MAX(PROC_MAX), .found = BUF_MAX(4096) };
	json_t *rows;
	char path[32];

	snprintf(path, sizeof path, "/proc/%d/status", (int)vm->proc.pid);
	/* in "starting" it may still be vmkeep-jail, to which half of the rules do not apply yet */
	if (!vm_state_has_process(vm->st.state) || vm->st.state == VM_SPAWNING ||
		file_read(AT_FDCWD, path, &l.status, NULL) < 0 ||
		!proc_is(vm->proc.pid, vm->proc.starttime)) {
		buf_release(&l.status);
		err_set(e, ERR_WRONG_STATE, "is %s: it has no process to inspect",
			vm_state_name(vm->st.state));
		return NULL;
	}
	rows = json_array();
	for (size_t i = 0; i < ARRAY_SIZE(rules); i++) {
		bool holds = rules[i].holds(&l);

		if (l.found.data)
			text_clean(l.found.data);
		json_array_append_new(rows,
			json_pack("[s, o, s]", rules[i].name,
				!holds && rules[i].optional ? json_null() : json_boolean(holds),
				l.found.data ? l.found.data : ""));
		buf_clear(&l.found);
	}
	security_fds_release(&l.fds);
	buf_release(&l.status);
	return api_table(api_rule_row, rows);
}
