/* SPDX-License-Identifier: MIT */
#include <assert.h>

#include "base/mem.h"
#include "base/text.h"
#include "supervisor/api/api.h"

const struct api_verb *api_verb_by_execute(const char *execute)
{
	for (size_t i = 0; i < api_verbs_n; i++)
		if (streq(api_verbs[i].execute, execute))
			return &api_verbs[i];
	return NULL;
}

const struct api_verb *api_verb_by_command(const char *command)
{
	for (size_t i = 0; i < api_verbs_n; i++) {
		const struct api_verb *v = &api_verbs[i];

		if (!v->command || !command)
			continue;
		if (streq(v->command, command))
			return v;
		for (size_t a = 0; a < API_ALIASES_MAX && v->aliases[a]; a++)
			if (streq(v->aliases[a], command))
				return v;
	}
	return NULL;
}

const char *api_verb_nearest(const char *execute)
{
	const char *names[128] = { NULL }, *near;
	const struct api_verb *v;
	size_t n = 0;

	assert(api_verbs_n <= ARRAY_SIZE(names));
	for (; n < api_verbs_n; n++)
		names[n] = api_verbs[n].execute;
	near = text_nearest(execute, names, n);
	v = near ? api_verb_by_execute(near) : NULL;
	return v && !(v->traits & API_HARMS) ? near : NULL;
}

static const struct api_arg *lookup_target_arg(enum api_target t)
{
	static const struct api_arg target[] = {
		[API_VM] = { "name", API_NAME, true, "NAME", "the VM", NULL, false, false },
		[API_VMS] = { "name", API_NAME, true, "NAME...", "the VMs; globs are allowed", NULL,
			false, false },
		[API_NETWORK] = { "name", API_NAME, true, "NETWORK", "the network", NULL, false,
			false },
		[API_NETWORKS] = { "name", API_NAME, true, "NETWORK...",
			"the networks; globs are allowed", NULL, false, false },
	};

	return t == API_NO_TARGET ? NULL : &target[t];
}

const struct api_arg *api_verb_arg(const struct api_verb *v, size_t i)
{
	static const struct api_arg wait = { "wait", API_BOOL, false, "--no-wait",
		"return at once with a job in place of the result", NULL, false, false };
	const struct api_arg *target = lookup_target_arg(v->target);
	size_t own = 0;

	if (target && i-- == 0)
		return target;
	while (own < API_ARGS_MAX && v->arg[own].name)
		own++;
	if (i < own)
		return &v->arg[i];
	return (v->traits & API_JOB) && i == own ? &wait : NULL;
}
