/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "base/text.h"
#include "conf/daemon.h"
#include "conf/schema.h"
#include "supervisor/make/image.h"
#include "supervisor/verbs/create.h"

/* A kind of section of which there may be several: "--disk size=20G,bus=virtio". */
struct create_kind {
	const char *argument, *section;
	const char *first, *next; /* ids; from the third on with a number */
	const char *bare;	  /* the key of a value without "KEY=" */
	const char *sized;	  /* the key that a bare value sets if it is a size, or NULL */
};

static const struct create_kind disk = { "disk", "Disk", "root", "data", "Path", "Size" },
				nic = { "network", "NIC", "lan", "lan", "Network", NULL },
				bridge = { "bridge", "NIC", "lan", "lan", "Bridge", NULL };

static bool create_is_number(const char *text)
{
	return *text && strspn(text, "0123456789") == strlen(text);
}

static void create_add(json_t *words, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void create_add(json_t *words, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	json_array_append_new(words, json_vsprintf(fmt, ap));
	va_end(ap);
}

/* Our name of a key, whatever its case, or as virt-install spells it. An unknown one is left for
 * conf_edit_set() to refuse. */
static const char *create_key(const char *section, const char *name)
{
	const struct conf_section *s = conf_section_find(&conf_vm_schema, section);

	if (strcasecmp(name, "mac") == 0)
		return "MACAddress";
	for (size_t i = 0; i < s->keys; i++)
		if (strcasecmp(s->key[i].name, name) == 0)
			return s->key[i].name;
	return name;
}

static void create_id(const struct create_kind *k, unsigned n, char id[32])
{
	if (n == 0)
		snprintf(id, 32, "%s", k->first);
	else if (n == 1 && !streq(k->first, k->next))
		snprintf(id, 32, "%s", k->next);
	else
		snprintf(id, 32, "%s%u", k->next, streq(k->first, k->next) ? n + 1 : n);
}

/* One piece of "size=20G,bus=virtio". */
static void create_piece(json_t *words, const struct create_kind *k, const char *id, char *piece)
{
	char *value = strchr(piece, '=');
	uint64_t size;
	const char *key;

	if (value) {
		*value++ = '\0';
		key = create_key(k->section, piece);
	} else {
		value = piece;
		key = k->sized && text_parse_size(piece, &size) == 0 ? k->sized : k->bare;
	}
	create_add(words, "%s.%s.%s=%s%s", k->section, id, key, value,
		k->sized && streq(key, k->sized) && create_is_number(value) ? "G" : "");
}

static void create_element(json_t *words, const struct create_kind *k, unsigned n, const char *text)
{
	_cleanup_(free_ptr) char *copy = xstrdup(text);
	char id[32], *rest = copy, *piece;

	create_id(k, n, id);
	while ((piece = strsep(&rest, ",")))
		if (*piece)
			create_piece(words, k, id, piece);
}

static void create_elements(
	json_t *words, const struct create_kind *k, const json_t *arguments, unsigned *n)
{
	const json_t *list = json_object_get(arguments, k->argument);
	size_t i;
	json_t *one;

	json_array_foreach (list, i, one)
		create_element(words, k, (*n)++, json_string_value(one));
}

static bool create_wants_no_nic(const json_t *arguments)
{
	const json_t *list = json_object_get(arguments, nic.argument);

	return json_array_size(list) == 1 &&
	       streq(json_string_value(json_array_get(list, 0)), "none");
}

/* Without a section, a VM has NIC lan on the network default. */
static int create_nics(json_t *words, const json_t *arguments, struct err *e)
{
	const char *address = json_string_value(json_object_get(arguments, "address")),
		   *gateway = json_string_value(json_object_get(arguments, "gateway"));
	unsigned n = 0;

	if (create_wants_no_nic(arguments)) {
		create_add(words, "VM.Networks=none");
	} else {
		create_elements(words, &nic, arguments, &n);
		create_elements(words, &bridge, arguments, &n);
		n += n == 0;
	}
	if (address && n != 1) {
		err_set(e, ERR_USAGE, "--address is for a VM with one NIC, this one has %u", n);
		return err_hint(e,
			"write address= behind the network: --network default,address=%s", address);
	}
	if (address)
		create_add(words, "NIC.%s.Address=%s", nic.first, address);
	if (gateway)
		create_add(words, "NIC.%s.Gateway=%s", nic.first, gateway);
	return 0;
}

/* --- the image that the first disk is based on --- */

static const char root_base[] = "Disk.root.Base=", root_size[] = "Disk.root.Size=",
		  root_store[] = "Disk.root.Store=";

/* An image is known by its name, or by its path in the store. */
static bool create_image_is_path(const char *image)
{
	static const char *const ends[] = { ".qcow2", ".raw", ".img" };
	const char *end = strrchr(image, '.');
	bool is = strchr(image, '/');

	for (size_t i = 0; i < ARRAY_SIZE(ends); i++)
		is = is || streq(end, ends[i]);
	return is;
}

static int create_image(json_t *words, const char *image, struct err *e)
{
	if (*image == '/') {
		err_set(e, ERR_USAGE, "image '%s' is not in a store", image);
		return err_hint(e,
			"move it there, and give its path in the store; vmkeep store list "
			"shows the stores");
	}
	if (create_image_is_path(image))
		create_add(words, "%s%s", root_base, image);
	else
		create_add(words, "%s" IMAGE_DIR "/%s" IMAGE_END, root_base, image);
	return 0;
}

/* The last one counts; NULL: there is none. */
static const char *create_word(const json_t *words, const char *key)
{
	const char *found = NULL;
	size_t i;
	json_t *word;

	json_array_foreach (words, i, word)
		if (strncmp(json_string_value(word), key, strlen(key)) == 0)
			found = json_string_value(word) + strlen(key);
	return found;
}

/* For a user other than an operator: see edit_may_is_own(). */
static void create_own(
	json_t *words, const json_t *arguments, unsigned disks, const char *uuid, const char *owner)
{
	const char *name = json_string_value(json_object_get(arguments, "name"));
	char id[32], key[64];

	create_add(words, "VM.Owner=%s", owner);
	disks += disks == 0 && create_word(words, root_base);
	for (unsigned i = 0; i < disks; i++) {
		create_id(&disk, i, id);
		snprintf(key, sizeof key, "Disk.%s.Path=", id);
		if (!create_word(words, key))
			create_add(words, "%s%s-%s.%.8s.qcow2", key, name, id, uuid);
	}
}

const char *create_words_base(const json_t *words)
{
	return create_word(words, root_base);
}

const char *create_words_store(const json_t *words)
{
	const char *store = create_word(words, root_store);

	return store ? store : CONF_STORE_DEFAULT;
}

int create_words_size(json_t *words, uint64_t size, struct err *e)
{
	static const char *const units[] = { "", "K", "M", "G" };
	const char *given = create_word(words, root_size);
	uint64_t wanted, number = size;
	size_t unit = 0;
	char has[16];

	while (unit + 1 < ARRAY_SIZE(units) && number % 1024 == 0) {
		number /= 1024;
		unit++;
	}
	if (!given)
		create_add(words, "%s%" PRIu64 "%s", root_size, number, units[unit]);
	else if (text_parse_size(given, &wanted) == 0 && wanted < size)
		return err_set(e, ERR_USAGE,
			"a disk of %s is too small for the image, which has %s", given,
			text_size(has, sizeof has, size));
	return 0;
}

static void create_seed(json_t *words, const json_t *arguments)
{
	const char *user = json_string_value(json_object_get(arguments, "user")),
		   *data = json_string_value(json_object_get(arguments, "cloud-init"));
	json_t *key;
	size_t i;

	if (user)
		create_add(words, "CloudInit.User=%s", user);
	json_array_foreach (json_object_get(arguments, "ssh-key"), i, key)
		create_add(words, "CloudInit.SSHKey%s=%s", i ? "+" : "", json_string_value(key));
	if (data)
		create_add(words, "CloudInit.UserData=%s", data);
}

/* What a template has, and what it cannot be without. */
static int create_template_may(const json_t *arguments, struct err *e)
{
	if (!json_object_get(arguments, "template"))
		return 0;
	if (json_object_get(arguments, "image"))
		return err_set(e, ERR_USAGE, "--template and --image exclude each other");
	if (json_object_get(arguments, "firmware"))
		return err_set(e, ERR_USAGE,
			"--firmware is the template's: its installation does not survive a change");
	if (create_wants_no_nic(arguments))
		return err_set(e, ERR_USAGE, "--network none: NICs are the template's");
	return 0;
}

/* Memory and firmware are the template's, if there is one. */
static void create_machine(json_t *words, const json_t *arguments, const char *uuid)
{
	const char *memory = json_string_value(json_object_get(arguments, "memory")),
		   *cpus = json_string_value(json_object_get(arguments, "cpus")),
		   *firmware = json_string_value(json_object_get(arguments, "firmware"));
	const bool fresh = !json_object_get(arguments, "template");

	create_add(words, "VM.UUID=%s", uuid);
	if (memory || fresh)
		create_add(words, "VM.Memory=%s%s", memory ? memory : "1G",
			memory && create_is_number(memory) ? "M" : "");
	if (cpus)
		create_add(words, "VM.CPUs=%s", cpus);
	create_add(words, "VM.Enable=%s",
		json_is_true(json_object_get(arguments, "enable")) ? "last" : "no");
	if (firmware || fresh)
		create_add(words, "Boot.Firmware=%s", firmware ? firmware : "uefi");
}

/* What boots, or could. */
static int create_may(const json_t *arguments, struct err *e)
{
	static const char *const sources[] = { "iso", "image", "keys", "template", "disk" };

	if (create_template_may(arguments, e) < 0)
		return e->number;
	for (size_t i = 0; i < ARRAY_SIZE(sources); i++)
		if (json_object_get(arguments, sources[i]))
			return 0;
	err_set(e, ERR_USAGE, "there would be nothing to boot from");
	return err_hint(e,
		"--image for a disk based on an image, --disk 20G for a new disk, --disk PATH for one that is there, --iso for a CD");
}

json_t *create_words(const json_t *arguments, const char *uuid, const char *owner, struct err *e)
{
	const char *iso = json_string_value(json_object_get(arguments, "iso")),
		   *image = json_string_value(json_object_get(arguments, "image"));
	json_auto_t *words = json_array();
	unsigned disks = 0;
	size_t i;
	json_t *word;

	if (create_may(arguments, e) < 0)
		return NULL;
	create_machine(words, arguments, uuid);
	if (image && create_image(words, image, e) < 0)
		return NULL;
	create_elements(words, &disk, arguments, &disks);
	if (owner)
		create_own(words, arguments, disks, uuid, owner);
	if (iso)
		create_add(words, CREATE_CD "Path=%s", iso);
	if (create_nics(words, arguments, e) < 0)
		return NULL;
	create_seed(words, arguments);
	json_array_foreach (json_object_get(arguments, "keys"), i, word)
		json_array_append(words, word);
	return json_incref(words);
}

/* A key of that drive, or one that names it. */
static bool create_is_about_cd(const char *key)
{
	const char *value = strrchr(key, '=');

	return strncmp(key, CREATE_CD, strlen(CREATE_CD)) == 0 ||
	       (strncmp(key, "Boot.Order", strlen("Boot.Order")) == 0 && streq(value, "=cd"));
}

bool create_words_installs(const json_t *arguments)
{
	const char *iso = json_string_value(json_object_get(arguments, "iso"));
	const json_t *keys = json_object_get(arguments, "keys");
	bool own = false; /* it is meant to stay */
	json_t *key;
	size_t i;

	json_array_foreach (keys, i, key)
		own = own || create_is_about_cd(json_string_value(key));
	return iso && !strchr(iso, '%') && !own &&
	       json_is_true(json_object_get(arguments, "start")) &&
	       (json_object_get(arguments, disk.argument) || json_object_get(arguments, "image"));
}
