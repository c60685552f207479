/* SPDX-License-Identifier: MIT */
#include "supervisor/client/virt_install.h"

#include <string.h>

#include "base/mem.h"
#include "base/text.h"

static void virt_install_key(json_t *arguments, const char *key, const char *value)
{
	json_t *keys = json_object_get(arguments, "keys");

	if (!keys) {
		keys = json_array();
		json_object_set_new(arguments, "keys", keys);
	}
	json_array_append_new(keys, json_sprintf("%s=%s", key, value));
}

static int virt_install_type(json_t *arguments, const char *value, struct err *e)
{
	if (streq(value, "qemu"))
		virt_install_key(arguments, "VM.Accel", "tcg");
	else if (!streq(value, "kvm"))
		return err_set(e, ERR_USAGE, "'%s' is not one of: kvm, qemu", value);
	return 0;
}

static int virt_install_screen(json_t *arguments, char *piece, struct err *e)
{
	static const char *const keys[][2] = { { "listen", "Display.Listen" },
		{ "port", "Display.Port" }, { "keymap", "Display.Keymap" } };
	char *value = strchr(piece, '=');

	if (!value) {
		if (!streq(piece, "vnc") && !streq(piece, "none"))
			return err_set(e, ERR_USAGE, "'%s' is not one of: vnc, none", piece);
		virt_install_key(arguments, "Display.Type", piece);
		return 0;
	}
	*value++ = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		if (streq(piece, keys[i][0])) {
			virt_install_key(
				arguments, keys[i][1], streq(value, "-1") ? "auto" : value);
			return 0;
		}
	if (streq(piece, "password")) {
		err_set(e, ERR_USAGE, "a password on a command line can be read by everybody");
		return err_hint(e, "Display.Password=FILE names a file in the configuration "
				   "directory that holds it");
	}
	return err_set(e, ERR_USAGE, "'%s' is not one of: listen, port, keymap", piece);
}

/* "vnc,listen=0.0.0.0,port=5901" */
static int virt_install_graphics(json_t *arguments, const char *value, struct err *e)
{
	_cleanup_(free_ptr) char *copy = xstrdup(value);
	char *rest = copy, *piece;
	int r = 0;

	while (r == 0 && (piece = strsep(&rest, ",")))
		if (*piece)
			r = virt_install_screen(arguments, piece, e);
	return r;
}

static int virt_install_autostart(json_t *arguments, const char *value, struct err *e)
{
	return json_object_set_new(arguments, "enable", json_true());
}

static const char guest_system[] = "the guest's system need not be known",
		  anyway[] = "create does so anyway",
		  waits[] = "create does not wait for the guest";

/* clang-format off */
static const struct virt_install rows[] = {
	{ "--name NAME",                        NULL,         NULL },
	{ "--virt-type TYPE",                   NULL,         virt_install_type },
	{ "--graphics GRAPHICS",                NULL,         virt_install_graphics },
	{ "--autostart",                        NULL,         virt_install_autostart },
	{ "--os-variant, --osinfo, --os-type SYSTEM", guest_system, NULL },
	{ "--noautoconsole, --import, --hvm",   anyway,       NULL },
	{ "--wait MINUTES",                     waits,        NULL },
};
/* clang-format on */

const struct virt_install *virt_install_find(const struct option *o)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (option_is(rows[i].option, o))
			return &rows[i];
	return NULL;
}

bool virt_install_is_name(const struct virt_install *v)
{
	return v == rows;
}
