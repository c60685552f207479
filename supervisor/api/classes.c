/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "supervisor/api/api.h"

/* clang-format off */
static const struct api_class classes[] = {
	[ERR_FAILED]         = { "Failed",        1,  "any other error" },
	[ERR_USAGE]          = { "Usage",         2,  "unknown verb, or bad arguments" },
	[ERR_INVALID_CONFIG] = { "InvalidConfig", 2,  "the configuration does not parse or cannot work" },
	[ERR_CONFLICT]       = { "Conflict",      3,  "disk, name, MAC, address or port held by another, who is named" },
	[ERR_NOT_FOUND]      = { "NotFound",      4,  "no such VM, network, snapshot or device; a glob without match" },
	[ERR_WRONG_STATE]    = { "WrongState",    5,  "not possible in this state" },
	[ERR_TIMEOUT]        = { "Timeout",       6,  "not finished in time" },
	[ERR_QEMU_FAILED]    = { "QemuFailed",    7,  "QEMU did not start or died; its last lines are in the text" },
	[ERR_GUEST_REFUSED]  = { "GuestRefused",  8,  "the guest ignored or refused it, and is left running" },
	[ERR_PERMISSION]     = { "Permission",    9,  "not permitted for this user" },
	[ERR_UNREACHABLE]    = { "Unreachable",   10, "the daemon is not running" },
	[ERR_NO_RESOURCES]   = { "NoResources",   11, "no memory, space, huge pages or KVM left" },
	[ERR_DIFFERS]        = { "Differs",       12, "something differs, or would change; an answer, not an error" },
};
/* clang-format on */
static_assert(ARRAY_SIZE(classes) == ERR_CLASSES, "an error class has no row");

const struct api_class *api_class(enum err_class c)
{
	return &classes[c < ERR_CLASSES ? c : ERR_FAILED];
}

bool api_class_parse(const char *name, enum err_class *c)
{
	for (size_t i = 0; i < ARRAY_SIZE(classes); i++)
		if (streq(classes[i].name, name)) {
			*c = (enum err_class)i;
			return true;
		}
	return false;
}

/* Text from a client or QEMU may be cut inside a character. */
json_t *api_text(const char *text)
{
	json_t *s = json_string(text);

	if (!s) {
		_cleanup_(free_ptr) char *safe = text_escape(text, strlen(text), true);

		s = json_string(safe);
	}
	return s;
}

json_t *api_error_json(const struct err *e)
{
	json_t *o = json_object();

	json_object_set_new(o, "class", json_string(api_class(e->class)->name));
	json_object_set_new(o, "desc", api_text(e->text));
	if (e->hint[0])
		json_object_set_new(o, "hint", api_text(e->hint));
	return o;
}

static const char *const role_name[] = {
	[API_ROLE_NONE] = "none",
	[API_ROLE_VIEW] = "view",
	[API_ROLE_CREATE] = "create",
	[API_ROLE_OWNER] = "owner",
	[API_ROLE_OPERATOR] = "operator",
	[API_ROLE_ROOT] = "root",
};
static_assert(ARRAY_SIZE(role_name) == API_ROLES, "a role has no name");

const char *api_role_name(enum api_role r)
{
	return role_name[r];
}

static const char *const value_name[] = {
	[API_TEXT] = "text",
	[API_ID] = "text",
	[API_NUMBER] = "number",
	[API_FRACTION] = "number",
	[API_BYTES] = "bytes",
	[API_SECONDS] = "seconds",
	[API_DATE] = "Unix time",
	[API_TRUTH] = "bool",
	[API_FLAG] = "bool",
	[API_TEXTS] = "list of texts",
	[API_OBJECT] = "object",
	[API_LIST] = "list of objects",
	[API_TABLE] = "columns and rows",
};
static_assert(ARRAY_SIZE(value_name) == API_VALUES, "a value has no name");

const char *api_value_name(enum api_value v)
{
	return value_name[v];
}
