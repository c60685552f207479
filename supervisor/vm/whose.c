/* SPDX-License-Identifier: MIT */
#include "supervisor/vm/whose.h"

#include "conf/conf.h"

static const struct whose_vm *whose_named(const struct whose_vm *vm, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (streq(vm[i].name, name))
			return &vm[i];
	return NULL;
}

static const struct whose_vm *whose_uid(const struct whose_vm *vm, size_t n, uid_t uid)
{
	for (size_t i = 0; i < n; i++)
		if (vm[i].uid == uid)
			return &vm[i];
	return NULL;
}

static bool whose_lies(const char *claim, const char *truth)
{
	return *claim && *truth && !streq(claim, truth);
}

/* Only the command line is left. A VM with another uid is not the owner. */
static enum whose whose_claimed(const struct whose_process *p, const struct whose_vm *vm, size_t n,
	bool ours, char owner[WHOSE_NAME])
{
	const struct whose_vm *v = whose_named(vm, n, p->name);

	if (!ours || !conf_name_ok(p->name) || (v && v->uid))
		return WHOSE_NOBODYS;
	snprintf(owner, WHOSE_NAME, "%s", p->name);
	return WHOSE_OWN;
}

enum whose whose(const struct whose_process *p, const struct whose_vm *vm, size_t n, bool ours,
	char owner[WHOSE_NAME])
{
	const struct whose_vm *v;
	bool named = p->group[0] || p->root[0];

	owner[0] = '\0';
	v = named ? whose_named(vm, n, p->group[0] ? p->group : p->root) : whose_uid(vm, n, p->uid);
	if (!named && !v)
		return whose_claimed(p, vm, n, ours, owner);
	/* another daemon may use the same uid: only the UUID can tell */
	if (!named && !ours && !streq(p->uuid, v->uuid))
		return WHOSE_NOBODYS;
	snprintf(owner, WHOSE_NAME, "%s", v ? v->name : p->group[0] ? p->group : p->root);
	if (whose_lies(p->name, owner) || (v && v->uid && whose_lies(p->uuid, v->uuid)))
		return WHOSE_HOSTILE;
	return WHOSE_OWN;
}

/* The last component of path, if its parent is the expected one. */
static bool whose_in_path(char *path, const char *prefix, char name[WHOSE_NAME])
{
	static const char end[] = ".scope";
	char *last = strrchr(path, '/'), *above;
	size_t len, before = strlen(prefix);

	if (!last || last == path)
		return false;
	*last++ = '\0';
	above = strrchr(path, '/');
	above = above ? above + 1 : path;
	len = strlen(last);
	if (streq(above, "vmkeep.slice") && len > before + strlen(end) + 1 &&
		strncmp(last, prefix, before) == 0 && last[before] == '-' &&
		streq(last + len - strlen(end), end))
		snprintf(name, WHOSE_NAME, "%.*s", (int)(len - strlen(end) - before - 1),
			last + before + 1);
	else if (streq(above, prefix))
		snprintf(name, WHOSE_NAME, "%s", last);
	return conf_name_ok(name);
}

void whose_group(const char *text, const char *prefix, char name[WHOSE_NAME])
{
	name[0] = '\0';
	for (const char *line = text, *end; *line; line = *end ? end + 1 : end) {
		_cleanup_(free_ptr) char *copy = NULL;
		const char *path;

		end = strchrnul(line, '\n');
		copy = xstrndup(line, (size_t)(end - line));
		path = strchr(copy, ':');
		path = path ? strchr(path + 1, ':') : NULL;
		if (path && whose_in_path(copy + (path - copy) + 1, prefix, name))
			return;
		name[0] = '\0';
	}
}

void whose_claims(const char *words, size_t len, struct whose_process *p)
{
	static const char guest[] = "guest=";
	const char *end = words + len, *before = "";

	p->name[0] = p->uuid[0] = '\0';
	for (const char *w = words; w < end; w += strnlen(w, (size_t)(end - w)) + 1) {
		size_t n = strnlen(w, (size_t)(end - w));

		if (streq(before, "-name") && n > strlen(guest) &&
			strncmp(w, guest, strlen(guest)) == 0)
			snprintf(p->name, sizeof p->name, "%.*s",
				(int)(strcspn(w + strlen(guest), ",")), w + strlen(guest));
		else if (streq(before, "-uuid") && n == sizeof p->uuid - 1)
			memcpy(p->uuid, w, n + 1);
		before = w;
	}
}
