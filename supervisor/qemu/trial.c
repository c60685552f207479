/* SPDX-License-Identifier: MIT */
#include "supervisor/qemu/trial.h"

#include "base/buf.h"
#include "conf/conf.h"
#include "supervisor/core/daemon.h"
#include "supervisor/host/uids.h"
#include "supervisor/qemu/device.h"

static const double trial_seconds = 10;

const char trial_input[] = "{\"execute\": \"qmp_capabilities\"}\n{\"execute\": \"quit\"}\n";

struct trial {
	struct argv *out;
	size_t room;
	const char *option;  /* the current one */
	const char *program; /* QEMU itself */
	struct trial_host host;
};

static void trial_word(struct trial *t, const char *word)
{
	struct argv *a = t->out;
	const char **more;

	if (a->n + 1 >= t->room) {
		t->room = t->room ? 2 * t->room : 64;
		more = arena_alloc(&a->arena, t->room * sizeof *more);
		if (a->n)
			memcpy(more, a->word, a->n * sizeof *more);
		a->word = more;
	}
	a->word[a->n++] = arena_strdup(&a->arena, word);
	a->word[a->n] = NULL;
}

static void trial_option(struct trial *t, const char *option, const char *value)
{
	trial_word(t, option);
	trial_word(t, value);
}

static void trial_json(struct trial *t, const char *option, json_t *o /* stolen */)
{
	_cleanup_(free_ptr) char *text = json_dumps(o, JSON_COMPACT);

	json_decref(o);
	if (text)
		trial_option(t, option, text);
}

static const char *trial_member(const json_t *o, const char *name)
{
	const char *s = json_string_value(json_object_get(o, name));

	return s ? s : "";
}

/* --- options that name something of the host --- */

/* "d-root" becomes "t-root": the device has the name already. */
static void trial_rename(json_t *node)
{
	_cleanup_(free_ptr) char *name = xstrdup(trial_member(node, "node-name"));

	*name = (char)(*name == 'd' ? 't' : 'u');
	json_object_set_new(node, "node-name", json_string(name));
}

/* In place of an image that is not opened: where the host forbids io_uring, QEMU says so when it opens
 * a file with it. */
static void trial_uring(struct trial *t, const json_t *image)
{
	const json_t *file = json_object_get(image, "file");
	json_t *own;

	if (!streq(trial_member(file, "aio"), "io_uring"))
		return;
	own = json_pack("{s:s, s:s, s:s, s:b, s:s, s:s}", "driver", "file", "node-name",
		trial_member(file, "node-name"), "filename", t->program, "read-only", 1, "locking",
		"off", "aio", "io_uring");
	trial_rename(own);
	trial_json(t, "-blockdev", own);
}

/* Opens an image as a start does, but for reading only and without locks. A device is not opened
 * twice. */
static void trial_image(struct trial *t, const json_t *image, bool flash)
{
	json_t *top = json_deep_copy(image);

	for (json_t *node = top; json_is_object(node); node = json_object_get(node, "backing")) {
		json_t *file = json_object_get(node, "file");

		if (streq(trial_member(file, "driver"), "host_device")) {
			json_decref(top);
			trial_uring(t, image);
			return;
		}
		json_object_set_new(node, "read-only", json_true());
		json_object_set_new(file, "locking", json_string("off"));
		if (!flash)
			trial_rename(node);
		if (!flash)
			trial_rename(file);
	}
	trial_json(t, "-blockdev", top);
}

/* The variables that the first start would make are a copy of the firmware's. */
static void trial_flash(struct trial *t, json_t *o)
{
	const struct firmware *new = t->host.new_firmware;

	if (new && streq(trial_member(o, "node-name"), "pflash1")) {
		json_object_set_new(o, "driver", json_string(conf_format_name(new->vars_format)));
		json_object_set_new(json_object_get(o, "file"), "filename", json_string(new->vars));
	}
	trial_image(t, o, true);
}

/* Devices get null disks: some do not take what is read-only. Flash images must have the firmware's
 * sizes: without files they are left out, and -machine does not use them. */
static void trial_blockdev(struct trial *t, const char *value, json_t *o)
{
	const char *node = trial_member(o, "node-name");
	const bool flash = strncmp(node, "pflash", 6) == 0;

	if (!flash)
		trial_json(t, "-blockdev",
			json_pack("{s:s, s:s, s:I, s:b, s:b}", "driver", "null-co", "node-name",
				node, "size", (json_int_t)1 << 30, "read-zeroes", 1, "read-only",
				json_is_true(json_object_get(o, "read-only"))));
	if (strncmp(trial_member(o, "filename"), "/dev/fdset/", 11) == 0) /* made by a start */
		return;
	if (flash && !t->host.no_files)
		trial_flash(t, o);
	else if (!flash && t->host.no_files)
		trial_uring(t, o);
	else if (!flash)
		trial_image(t, o, false);
}

static void trial_machine(struct trial *t, const char *value, json_t *o)
{
	const char *flash = t->host.no_files ? strstr(value, ",pflash0=") : NULL;
	_cleanup_(free_ptr) char *rest =
		xstrndup(value, flash ? (size_t)(flash - value) : strlen(value));

	trial_option(t, "-machine", rest);
}

static void trial_chardev(struct trial *t, const char *value, json_t *o)
{
	const char *id = strstr(value, "id=");
	size_t n = id ? strcspn(id, ",") : 0;
	char text[128];

	snprintf(text, sizeof text, "%s,%.*s",
		n == 6 && strncmp(id, "id=qmp", 6) == 0 ? "stdio,signal=off" : "null", (int)n,
		id ? id : "");
	trial_option(t, "-chardev", text);
}

static void trial_netdev(struct trial *t, const char *value, json_t *o)
{
	trial_json(t, "-netdev",
		json_pack("{s:s, s:s, s:i}", "type", "hubport", "id", trial_member(o, "id"),
			"hubid", 0));
}

static void trial_object(struct trial *t, const char *value, json_t *o)
{
	if (streq(trial_member(o, "qom-type"), "rng-random"))
		trial_json(t, "-object",
			json_pack("{s:s, s:s}", "qom-type", "rng-builtin", "id",
				trial_member(o, "id")));
	else
		trial_option(t, "-object", value);
}

static void trial_device(struct trial *t, const char *value, json_t *o)
{
	if (!streq(trial_member(o, "driver"), "vhost-vsock-pci"))
		trial_option(t, "-device", value);
}

static void trial_memory(struct trial *t, const char *value, json_t *o)
{
	trial_option(t, "-m", t->host.no_memory ? "16M" : value);
}

/* QEMU reads the kernel, if vmkeep-jail could. */
static void trial_boot(struct trial *t, const char *value, json_t *o)
{
	if (!t->host.no_files)
		trial_option(t, t->option, value);
}

/* -name: whoever looks for a VM's process must not find this one. */
static void trial_drop(struct trial *t, const char *value, json_t *o)
{
}

static const struct {
	const char *option;
	void (*put)(struct trial *t, const char *value, json_t *o);
} rules[] = {
	{ "-blockdev", trial_blockdev },
	{ "-machine", trial_machine },
	{ "-chardev", trial_chardev },
	{ "-netdev", trial_netdev },
	{ "-object", trial_object },
	{ "-device", trial_device },
	{ "-m", trial_memory },
	{ "-add-fd", trial_drop },
	{ "-kernel", trial_boot },
	{ "-initrd", trial_boot },
	{ "-append", trial_boot },
	{ "-name", trial_drop },
	{ "-uuid", trial_drop },
};

void trial_argv(struct argv *out, const struct argv *of, const struct trial_host *host)
{
	struct trial t = { .out = out, .program = of->word[0], .host = *host };

	for (size_t i = 0; i < of->n; i++) {
		size_t k = 0;
		json_t *o;

		while (k < ARRAY_SIZE(rules) && !streq(rules[k].option, of->word[i]))
			k++;
		if (k == ARRAY_SIZE(rules) || i >= of->n - of->own || i + 1 == of->n) {
			trial_word(&t, of->word[i]);
			continue;
		}
		t.option = of->word[i++];
		o = json_loads(of->word[i], 0, NULL);
		rules[k].put(&t, of->word[i], o);
		json_decref(o);
	}
}

/* What a start reads and writes, to be read only. The device nodes of a host are not opened twice. */
static json_t *trial_files(const json_t *plan, const struct trial_host *host)
{
	json_t *files = json_array(), *file;
	size_t i;

	json_array_foreach (json_object_get(plan, "files"), i, file) {
		const bool made = host->new_firmware && streq(trial_member(file, "kind"), "nvram");
		json_t *copy;

		if (host->no_files || device_path_is_block(trial_member(file, "path")))
			continue;
		copy = json_copy(file);
		json_object_set_new(copy, "write", json_false());
		json_object_del(copy, "create");
		if (made) {
			json_object_set_new(copy, "kind", json_string("firmware"));
			json_object_set_new(copy, "path", json_string(host->new_firmware->vars));
		}
		json_array_append_new(files, copy);
	}
	return files;
}

struct confined *trial_run(const struct daemon *d, const struct argv *argv, const json_t *of,
	const struct trial_host *host, confined_fn *done, void *data, struct err *e)
{
	static const char *const same[] = { "kvm", "io_uring" };
	const struct child_options options = {
		.input = trial_input,
		.timeout = trial_seconds,
	};
	json_t *plan = confine_plan("probe", ".trial", d->uids->probe, d->dirs.run, argv->word, e);

	if (!plan)
		return NULL;
	for (size_t i = 0; i < ARRAY_SIZE(same); i++)
		json_object_set(plan, same[i], json_object_get(of, same[i]));
	json_object_set_new(plan, "files", trial_files(of, host));
	return confine_run(d->loop.ev, d->jail, plan, NULL, 0, &options, done, data, e);
}

char *trial_said(const char *said, size_t len)
{
	struct buf b = BUF_INIT;

	for (const char *line = said, *end; line < said + len; line = end) {
		const char *newline = memchr(line, '\n', (size_t)(said + len - line));

		end = newline ? newline + 1 : said + len;
		if (!memmem(line, (size_t)(end - line), "is not connected to host network", 32))
			buf_add(&b, line, (size_t)(end - line));
	}
	return b.data ? b.data : xstrdup("");
}
