/* SPDX-License-Identifier: MIT */
#include "supervisor/vm/said.h"

#include <ctype.h>
#include <jansson.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/text.h"

enum { SAID_LINES = 20 };

/* Of what is wrong in the option itself, wherever QEMU runs. */
static const char *const options[] = { "invalid option", "is not a valid device model name",
	"' not found", "requires an argument", "Invalid parameter '", "' is unexpected" };

/* Messages of QEMU 7.2 to 10. */
static const struct {
	const char *words;
	bool host;
	const char *cure;
} known[] = {
	/* clang-format off */
	{ "Image is corrupt", false, "copy the image, then: qemu-img check -r all" },
	{ "in snapshot table entry", false, "copy the image, then: qemu-img check -r all" },
	{ "size of system firmware", false, "the firmware's files are damaged: reinstall the package ovmf" },
	{ "system firmware block device", false, "the firmware's files are damaged: reinstall the package ovmf" },
	{ "does not support O_DIRECT", false, "this file system needs Cache=writeback" },
	{ "aio=native was specified", false, "write Cache=none, or AIO=threads" },
	{ "aio=io_uring was specified", false, "this QEMU is built without: write AIO=threads" },
	{ "io_uring", false, "this host may not have io_uring: write AIO=threads" },
	{ "Address already in use", true, "ss -lntup shows what uses it" },
	{ "Cannot assign requested address", true, "the host does not have that address: ip addr" },
	{ "failed to initialize kvm", true, "vmkeep host check shows why; Accel=tcg works without it, slowly" },
	{ "Could not access KVM kernel module", true, "vmkeep host check shows why" },
	{ "KVM_CREATE_VM", true, "another hypervisor may be using the CPU's virtualisation: vmkeep host check" },
	{ "kvm_init_vcpu failed", true, "vmkeep host check shows why" },
	{ "Cannot allocate memory", true, "the host has not enough left: see free -h, or lower Memory=" },
	{ "Failed to allocate memory", true, "the host has not enough left: see free -h, or lower Memory=" },
	{ "map backing store for guest RAM", true, "the host has not enough left: see free -h, or lower Memory=" },
	{ "No space left on device", true, "df shows where" },
	{ "Too many open files", true, "raise LimitNOFILE= of the unit" },
	{ "unable to find CPU model", false, "qemu-system-x86_64 -cpu help lists what CPU.Model= may be" },
	{ "X2APIC API support", false, "this accelerator has at most 255 CPUs, fewer if Cores= or Threads= is not a power of two: write fewer CPUs=" },
	{ "phys-bits too low", false, "its CPU cannot address that much: write a smaller Memory=, or another Model=" },
	{ "invalid kernel header", false, "Kernel= in [Boot] needs a Linux kernel, such as /boot/vmlinuz-VERSION" },
	{ "could not read keymap file", false, "ls /usr/share/qemu/keymaps lists what Keymap= may be" },
	/* clang-format on */
};

/* Returns the error in "-blockdev {...}: error". *about: file or device of the option, or NULL.
 * Options that are not JSON are short and are kept. */
static const char *said_after_option(const char *line, const char *end, char **about)
{
	const char *brace = *line == '-' ? memchr(line, '{', (size_t)(end - line)) : NULL, *name;
	json_error_t where;
	json_t *option, *file;

	if (!brace || brace[-1] != ' ')
		return line;
	option = json_loadb(brace, (size_t)(end - brace), JSON_DISABLE_EOF_CHECK, &where);
	if (!option || end - brace < where.position + 2 ||
		strncmp(brace + where.position, ": ", 2) != 0) {
		json_decref(option);
		return line;
	}
	file = json_object_get(option, "file");
	name = json_string_value(json_object_get(json_is_object(file) ? file : option, "filename"));
	*about = xstrdup(name ? name : json_string_value(json_object_get(option, "id")));
	json_decref(option);
	return brace + where.position + 2;
}

static bool said_begins(const char *line, const char *end, const char *with)
{
	return (size_t)(end - line) >= strlen(with) && strncmp(line, with, strlen(with)) == 0;
}

/* The error in a line "qemu-system-x86_64: [option: ]error"; NULL: this line has none. */
static const char *said_in_line(const char *line, const char *end, char **about)
{
	const char *colon = memchr(line, ':', (size_t)(end - line)), *why;

	if (!colon || end - colon < 3 || colon[1] != ' ' ||
		memchr(line, ' ', (size_t)(colon - line)))
		return NULL;
	why = said_after_option(colon + 2, end, about);
	if (!said_begins(why, end, "warning: ") && !said_begins(why, end, "info: "))
		return why;
	free_ptr(about);
	return NULL;
}

static char *said_text(const char *why, const char *end, const char *about)
{
	char *text = text_escape(why, (size_t)(end - why), false), *with;
	_cleanup_(free_ptr) char *name = about ? text_escape(about, strlen(about), false) : NULL;

	if (!name || strstr(text, name))
		return text;
	with = xasprintf("%s: %s", name, text);
	free(text);
	return with;
}

char *said_why(const char *said, size_t len)
{
	_cleanup_(free_ptr) char *about = NULL;
	const char *last = NULL, *last_end = NULL, *why;

	for (const char *end = said + len, *line; end > said; end = line - 1) {
		for (line = end; line > said && line[-1] != '\n'; line--)
			;
		why = said_in_line(line, end, &about);
		if (why)
			return said_text(why, end, about);
		if (!last && end > line) {
			last = line;
			last_end = end;
		}
		if (line == said)
			break;
	}
	return last ? said_text(last, last_end, NULL) : xstrdup("");
}

char *said_fatal(const char *text)
{
	static const char *const fatal[] = { "KVM internal error", "KVM: ", "error: kvm run failed",
		"qemu: fatal: " };
	static const char emulation[] = "\nemulation failure\n";
	const char *begin = NULL;

	for (const char *line = text; *line; line += *line == '\n') {
		for (size_t i = 0; i < ARRAY_SIZE(fatal); i++)
			if (strncmp(line, fatal[i], strlen(fatal[i])) == 0)
				begin = line;
		line = strchrnul(line, '\n');
	}
	if (!begin)
		return xstrdup("");
	return xasprintf("%.*s%s", (int)strcspn(begin, "\n"), begin,
		strstr(begin, emulation) ? ", emulation failure" : "");
}

bool said_option(const char *why)
{
	for (size_t i = 0; i < ARRAY_SIZE(options); i++)
		if (strstr(why, options[i]))
			return true;
	return false;
}

bool said_known(const char *why, struct err *e)
{
	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (strstr(why, known[i].words)) {
			err_hint(e, "%s", known[i].cure);
			return known[i].host;
		}
	if (said_option(why))
		err_hint(e,
			"correct Args= in [QEMU]: qemu-system-x86_64 -help and -device help tell what there is");
	return false;
}

void said_hint_own(bool own, const char *how, const char *why, struct err *e)
{
	if (!own || *e->hint)
		return;
	if (strstr(how, "SIGSYS"))
		err_hint(e, "[QEMU] needs a system call that the guests' filter refuses");
	else if (!*why) /* fork() fails without a word in QEMU 10 */
		err_hint(e,
			"QEMU said nothing: [QEMU] may need a system call that the guests' filter "
			"refuses, such as fork()");
	else if (strstr(why, "No such file") || strstr(why, "Permission denied") ||
		 strstr(why, "Read-only file system"))
		err_hint(e, "QEMU sees only the host's files that the VM's other sections name: "
			    "name it in one of them, not in [QEMU]");
	else
		err_hint(e,
			"[QEMU] has options: QEMU runs with its own root directory, without the "
			"host's network, and behind a system call filter");
}

/* --- CPU features --- */

/* The name in "CPUID.07H:EBX.avx512f [bit 16]" or "MSR(10AH).rdctl-no [bit 0]": behind the register. It
 * may have dots. NULL: QEMU has no name for that bit. */
static const char *said_feature(const char *at, const char *end)
{
	for (; at + 2 < end && *at != ' ' && *at != '\n'; at++)
		if ((*at == 'X' || *at == ')') && at[1] == '.')
			return at + 2;
	return NULL;
}

/* What -cpu ...,enforce=on refuses. False: nothing of the kind was said. */
static bool said_missing_features(const char *said, size_t len, struct err *e)
{
	static const char each[] = "support requested feature: ",
			  all[] = "support requested features";
	_cleanup_(buf_release) struct buf names = BUF_INIT, minus = BUF_INIT;
	const char *end = said + len, *at = said;

	if (!memmem(said, len, all, strlen(all)))
		return false;
	while ((at = memmem(at, (size_t)(end - at), each, strlen(each)))) {
		const char *name = said_feature(at + strlen(each), end);
		int n = 0;

		at += strlen(each);
		while (name && name + n < end &&
			(isalnum((unsigned char)name[n]) || strchr("._-", name[n])))
			n++;
		if (!n)
			continue;
		buf_printf(&names, "%s%.*s", names.len ? ", " : "", n, name);
		buf_printf(&minus, " -%.*s", n, name);
	}
	if (!names.len)
		return false;
	err_set(e, ERR_INVALID_CONFIG, "%s lacks CPU features that it asks for: %.1024s",
		memmem(said, len, "TCG doesn't", 11) ? "TCG" : "this host", names.data);
	err_hint(e,
		minus.len < 300
			? "to do without them: Features=%s in [CPU]; or write another Model="
			: "write another Model= in [CPU]",
		minus.data + 1);
	return true;
}

/* With the option reduced to its file or device, which is what people know it by. */
static void said_add_line(struct buf *b, const char *line, const char *end)
{
	const char *colon = memchr(line, ':', (size_t)(end - line)), *why = line;
	_cleanup_(free_ptr) char *about = NULL;

	if (colon && end - colon > 2 && colon[1] == ' ' &&
		!memchr(line, ' ', (size_t)(colon - line)))
		why = said_after_option(colon + 2, end, &about);
	if (why != line)
		buf_add(b, line, (size_t)(colon + 2 - line));
	if (about && !memmem(why, (size_t)(end - why), about, strlen(about)))
		buf_printf(b, "%s: ", about);
	buf_add(b, why, (size_t)(end - why));
}

char *said_lines(const char *said, size_t len)
{
	_cleanup_(buf_release) struct buf b = BUF_INIT;
	char *text, *from;
	int lines = 0;

	while (len && said[len - 1] == '\n')
		len--;
	for (const char *line = said, *end; line < said + len; line = end) {
		const char *newline = memchr(line, '\n', (size_t)(said + len - line));

		end = newline ? newline : said + len;
		said_add_line(&b, line, end);
		if (newline)
			buf_addc(&b, *end++);
	}
	text = text_escape(b.data ? b.data : "", b.len, true);
	for (from = text + strlen(text); from > text && lines < SAID_LINES; from--)
		lines += from[-1] == '\n';
	if (lines == SAID_LINES)
		memmove(text, from + 1, strlen(from + 1) + 1);
	return text;
}

bool said_failure(const char *said, size_t len, const char *how, char **why, struct err *e)
{
	_cleanup_(free_ptr) char *lines = NULL;

	if (said_missing_features(said, len, e)) {
		*why = xstrdup(e->text);
		return false;
	}
	while (len && said[len - 1] == '\n')
		len--;
	*why = said_why(said, len);
	lines = said_lines(said, len);
	err_set(e, ERR_QEMU_FAILED, "QEMU did not start: %s%s%s", how, *lines ? "\n" : "", lines);
	return said_known(*why, e);
}
