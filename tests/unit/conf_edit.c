/* SPDX-License-Identifier: MIT */
/*
 * Proves that a change touches only the line in force, whatever the file looks like; that the
 * parser reads back what was set; and that no value can write more than one line.
 */
#include "conf/edit.h"

#include <stdio.h>

#include "conf/schema.h"
#include "conf/value.h"
#include "tests/unit/conf_case.h"

#define ROOT "[Disk root]\nPath=web1.qcow2\n"
#define VM   "[VM]\nMemory=1G\n"

/* [Defaults] of all cases */
#define DEFAULTS "[Defaults]\nVM.CPUs=3\nVM.Owner=dave\n"

enum { FILES = 3, WORDS = 3 };

struct edit_case {
	const char *words[WORDS]; /* with '=' a change sets the key, without it unsets the key */
	const char *before[FILES], *after[FILES];
	const char *rows; /* "DONE FILE:LINE KEY=VALUE (WAS)", one per line */
};

static const struct edit_case cases[] = {
	/* --- one value --- */
	{ { "VM.Memory=2G" }, { VM ROOT }, { "[VM]\nMemory=2G\n" ROOT },
		"changed 0:2 Memory=2G (1G)\n" },
	{ { "VM.Memory=1G" }, { VM ROOT }, { VM ROOT }, "nothing 0:2 Memory=1G (1G)\n" },
	{ { "VM.Accel=tcg" }, { VM ROOT }, { VM "Accel=tcg\n" ROOT },
		"added 0:3 Accel=tcg (kvm)\n" },
	{ { "VM.CPUs=2" }, { VM }, { VM "CPUs=2\n" }, "added 0:3 CPUs=2 (3)\n" },
	{ { "VM.Description=a" }, { VM }, { VM "Description=a\n" },
		"added 0:3 Description=a (-)\n" },
	/* several at once; each row has the final line number */
	{ { "VM.CPUs=2", "VM.Memory=2G", "Disk.root.Cache=unsafe" }, { VM ROOT },
		{ "[VM]\nMemory=2G\nCPUs=2\n" ROOT "Cache=unsafe\n" },
		"added 0:3 CPUs=2 (3)\nchanged 0:2 Memory=2G (1G)\nadded 0:6 Cache=unsafe (auto)\n" },
	{ { "VM.Memory=2G", "VM.Memory=3G" }, { VM }, { "[VM]\nMemory=3G\n" },
		"changed 0:2 Memory=2G (1G)\nchanged 0:2 Memory=3G (2G)\n" },
	/* comments, blanks and indentation stay */
	{ { "VM.Memory=2G" }, { "# a\n\n[VM]\n; b\n  Memory = 1G  \n\n# c\n" ROOT },
		{ "# a\n\n[VM]\n; b\n  Memory = 2G\n\n# c\n" ROOT },
		"changed 0:5 Memory=2G (1G)\n" },
	{ { "VM.CPUs=2" }, { "[VM]\n# none\n\tMemory=1G\n# CPUs=7\n\n# the disk\n" ROOT },
		{ "[VM]\n# none\n\tMemory=1G\n\tCPUs=2\n# CPUs=7\n\n# the disk\n" ROOT },
		"added 0:4 CPUs=2 (3)\n" },
	/* a comment, the same key in another section and a similar id do not match */
	{ { "NIC.b.Network=lab" },
		{ "[NIC a]\nNetwork=x\n[NIC b]\n#Network=y\n[NIC b.c]\nNetwork=z\n" },
		{ "[NIC a]\nNetwork=x\n[NIC b]\nNetwork=lab\n#Network=y\n[NIC b.c]\nNetwork=z\n" },
		"added 0:4 Network=lab (default)\n" },
	{ { "NIC.b.c.Network=lab" }, { "[ NIC   b.c ]\nNetwork=z\n" },
		{ "[ NIC   b.c ]\nNetwork=lab\n" }, "changed 0:2 Network=lab (z)\n" },
	/* a last line without a newline, CRLF, a byte order mark, an empty file */
	{ { "VM.CPUs=2" }, { "[VM]\nMemory=1G" }, { "[VM]\nMemory=1G\nCPUs=2\n" },
		"added 0:3 CPUs=2 (3)\n" },
	{ { "VM.Memory=2G" }, { "[VM]\nMemory=1G" }, { "[VM]\nMemory=2G" },
		"changed 0:2 Memory=2G (1G)\n" },
	{ { "VM.Memory=2G", "VM.CPUs=2", "NIC.lan.Link=down" }, { "[VM]\r\nMemory=1G\r\n" },
		{ "[VM]\r\nMemory=2G\r\nCPUs=2\r\n\r\n[NIC lan]\r\nLink=down\r\n" },
		"changed 0:2 Memory=2G (1G)\nadded 0:3 CPUs=2 (3)\nadded 0:6 Link=down (up) new\n" },
	{ { "VM.Memory=2G" }, { "\xef\xbb\xbf[VM]\nMemory=1G\n" },
		{ "\xef\xbb\xbf[VM]\nMemory=2G\n" }, "changed 0:2 Memory=2G (1G)\n" },
	{ { "VM.Memory=2G" }, { "" }, { "[VM]\nMemory=2G\n" }, "added 0:2 Memory=2G (1G) new\n" },
	{ { "NIC.lan.Link=down" }, { VM "\n" }, { VM "\n[NIC lan]\nLink=down\n" },
		"added 0:5 Link=down (up) new\n" },
	/* set twice: the last line is in force */
	{ { "VM.Memory=3G" }, { "[VM]\nMemory=1G\nMemory=2G\n" },
		{ "[VM]\nMemory=1G\nMemory=3G\n" }, "changed 0:3 Memory=3G (2G)\n" },
	/* the last drop-in that sets the key is in force; a section may be in a drop-in only */
	{ { "VM.Memory=3G" }, { VM, "[VM]\nMemory=2G\n" }, { VM, "[VM]\nMemory=3G\n" },
		"changed 1:2 Memory=3G (2G)\n" },
	{ { "VM.Memory=3G" }, { VM, "[VM]\nMemory=2G\n", "[VM]\nMemory=\n" },
		{ VM, "[VM]\nMemory=2G\n", "[VM]\nMemory=3G\n" }, "changed 2:2 Memory=3G ()\n" },
	{ { "NIC.lan.Link=down" }, { VM, "[NIC lan]\nNetwork=a\n" },
		{ VM, "[NIC lan]\nNetwork=a\nLink=down\n" }, "added 1:3 Link=down (up)\n" },
	{ { "VM.Memory=" }, { VM }, { "[VM]\nMemory=\n" }, "changed 0:2 Memory= (1G)\n" },
	/* values are taken literally: nothing in them ends a line or starts a comment */
	{ { "VM.Description=a ; b # c = \"d\" 'e' %% \xc3\xa9" }, { VM },
		{ VM "Description=a ; b # c = \"d\" 'e' %% \xc3\xa9\n" },
		"added 0:3 Description=a ; b # c = \"d\" 'e' %% \xc3\xa9 (-)\n" },
	{ { "VM.Description=  [VM] " }, { VM }, { VM "Description=[VM]\n" },
		"added 0:3 Description=[VM] (-)\n" },
	/* keys of other programs */
	{ { "VM.X-Owner=a", "X-Rack.U=7" }, { VM }, { VM "X-Owner=a\n\n[X-Rack]\nU=7\n" },
		"added 0:3 X-Owner=a (-)\nadded 0:6 U=7 (-) new\n" },

	/* --- lists --- */
	{ { "VM.Owner+=alice" }, { VM }, { VM "Owner=alice\n" }, "added 0:3 Owner=alice (-)\n" },
	{ { "VM.Owner+=bob" }, { VM "Owner=alice\nCPUs=1\n" },
		{ VM "Owner=alice\nOwner=bob\nCPUs=1\n" }, "added 0:4 Owner=bob (-)\n" },
	{ { "VM.Owner+=bob,alice carol,bob" }, { VM "Owner=alice\n" },
		{ VM "Owner=alice\nOwner=bob, carol\n" }, "added 0:4 Owner=bob, carol (-)\n" },
	{ { "VM.Owner+=alice" }, { VM "Owner=bob, alice\n" }, { VM "Owner=bob, alice\n" },
		"nothing 0:3 Owner=alice (alice)\n" },
	{ { "VM.Owner+=dave" }, { VM }, { VM }, "nothing 0:0 Owner=dave (dave)\n" },
	{ { "VM.Owner+=alice" }, { VM "Owner=alice\n", "[VM]\nOwner=\n" },
		{ VM "Owner=alice\n", "[VM]\nOwner=\nOwner=alice\n" },
		"added 1:3 Owner=alice (-)\n" },
	{ { "VM.Owner-=alice" }, { VM "Owner=alice\nOwner=bob,alice carol\n" },
		{ VM "Owner=bob, carol\n" },
		"changed 0:3 Owner=bob, carol (bob,alice carol)\nremoved 0:3 Owner=- (alice)\n" },
	{ { "VM.Owner-=alice" }, { VM "Owner=bob\n" }, { VM "Owner=bob\n" },
		"nothing 0:0 Owner=- (-)\n" },
	{ { "VM.Owner=carol" }, { VM "Owner=alice\n# me\nOwner=bob\n" },
		{ VM "# me\nOwner=\nOwner=carol\n" },
		"changed 0:5 Owner=carol (dave, alice, bob)\n" },
	{ { "VM.Owner=carol" }, { VM "Owner=\nOwner=alice\n" }, { VM "Owner=\nOwner=carol\n" },
		"changed 0:4 Owner=carol (alice)\n" },
	{ { "Boot.Order=root" }, { VM, "[Boot]\nOrder=lan\n", "[Boot]\nOrder=cd\n" },
		{ VM, "[Boot]\nOrder=lan\n", "[Boot]\nOrder=\nOrder=root\n" },
		"changed 2:3 Order=root (lan, cd)\n" },
	{ { "Boot.Order=root,lan" }, { "[Boot]\nOrder=root\nOrder=lan\n" },
		{ "[Boot]\nOrder=root\nOrder=lan\n" }, "nothing 0:3 Order=root,lan (root,lan)\n" },
	{ { "Boot.Order=" }, { "[Boot]\nOrder=root\n" }, { "[Boot]\nOrder=\n" },
		"changed 0:2 Order= (root)\n" },
	/* a list of texts has one item per line, which may contain blanks and commas */
	{ { "QEMU.Args+=-device a,b=c" }, { VM "[QEMU]\nArgs=-device a\n" },
		{ VM "[QEMU]\nArgs=-device a\nArgs=-device a,b=c\n" },
		"added 0:5 Args=-device a,b=c (-)\n" },
	{ { "QEMU.Args-=-device a" }, { VM "[QEMU]\nArgs=-device a\nArgs=-device b\n" },
		{ VM "[QEMU]\nArgs=-device b\n" }, "removed 0:4 Args=- (-device a)\n" },
	{ { "CPU.Features+=-svm" }, { "[CPU]\nModel=host\n" },
		{ "[CPU]\nModel=host\nFeatures=-svm\n" }, "added 0:3 Features=-svm (-)\n" },

	/* --- unset --- */
	{ { "VM.Memory" }, { VM ROOT }, { "[VM]\n" ROOT }, "removed 0:2 Memory=1G (1G)\n" },
	{ { "VM.CPUs" }, { VM "CPUs=7\n", "[VM]\nCPUs=8\n" }, { VM, "[VM]\n" },
		"removed 1:2 CPUs=3 (8)\nremoved 0:3 CPUs=3 (7)\n" },
	{ { "VM.Owner" }, { VM "Owner=a\n# b\nOwner=c\n" }, { VM "# b\n" },
		"removed 0:5 Owner=dave (c)\nremoved 0:3 Owner=dave (a)\n" },
	{ { "VM.Machine" }, { VM }, { VM }, "nothing 0:0 Machine=q35 (q35)\n" },
	/* a whole section: with the comments between its keys, and without those before the next one */
	{ { "Disk.root" }, { VM "\n# root\n" ROOT "\n# lan\n[NIC lan]\n" },
		{ VM "\n# root\n# lan\n[NIC lan]\n" }, "removed 0:5 =- (-)\n" },
	{ { "Disk.a.b" }, { "[ Disk  a.b ]\n# x\nPath=a\n;y\nSize=1G\n# z\n[Disk a]\nPath=b\n" },
		{ "# z\n[Disk a]\nPath=b\n" }, "removed 0:1 =- (-)\n" },
	{ { "CPU", "VM.CPUs=1" }, { VM "[CPU]\nModel=host", "[CPU]\n[VM]\nCPUs=2\n" },
		{ VM, "[VM]\nCPUs=1\n" },
		"removed 1:1 =- (-)\nremoved 0:3 =- (-)\nchanged 1:2 CPUs=1 (2)\n" },
	{ { "X-Site" }, { VM "[X-Site]\nRack=7\n" }, { VM }, "removed 0:3 =- (-)\n" },
	{ { "VM.CPUs", "VM.CPUs=1" }, { VM "CPUs=2\n" }, { VM "CPUs=1\n" },
		"removed 0:3 CPUs=3 (2)\nadded 0:3 CPUs=1 (3)\n" },
};

static const char *const done_names[] = { "nothing", "changed", "added", "removed" };

static void print_rows(struct conf_edit *ed, struct buf *b)
{
	const struct conf_edit_row *row;
	size_t n;

	row = conf_edit_rows(ed, &n);
	for (size_t i = 0; i < n; i++)
		buf_printf(b, "%s %zu:%u %s=%s (%s)%s\n", done_names[row[i].done], row[i].file,
			row[i].line, row[i].key, row[i].value ? row[i].value : "-",
			row[i].was ? row[i].was : "-", row[i].new_section ? " new" : "");
}

static void read_defaults(struct conf_daemon *d)
{
	const struct conf_source src = conf_case_source("vmkeep.conf", DEFAULTS);
	struct conf_problems p = { 0 };

	*d = (struct conf_daemon)CONF_DAEMON_INIT;
	conf_daemon_parse(d, &src, 1, &p);
	conf_case_no_problems(&p);
	conf_problems_release(&p);
}

static size_t read_sources(const char *const text[FILES], struct conf_source src[FILES])
{
	static const char *const names[FILES] = { "web1.vm", "web1.vm.d/a.conf",
		"web1.vm.d/b.conf" };
	size_t n = 0;

	while (n < FILES && text[n]) {
		src[n] = conf_case_source(names[n], text[n]);
		n++;
	}
	return n;
}

static int apply(struct conf_edit *ed, const char *word, struct err *e)
{
	return strchr(word, '=') ? conf_edit_set(ed, word, e) : conf_edit_unset(ed, word, e);
}

static void changes_touch_the_line_in_force(void **state)
{
	struct conf_daemon defaults;

	(void)state;
	read_defaults(&defaults);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct edit_case *c = &cases[i];
		struct conf_source src[FILES];
		size_t n = read_sources(c->before, src);
		struct conf_edit *ed = conf_edit_new(src, n, &defaults);
		struct buf rows = BUF_INIT;
		struct err e = ERR_INIT;

		for (size_t k = 0; k < WORDS && c->words[k]; k++)
			if (apply(ed, c->words[k], &e) < 0)
				fail_msg("%s: %s", c->words[k], e.text);
		for (size_t k = 0; k < n; k++) {
			struct buf text = BUF_INIT;
			bool changed = conf_edit_text(ed, k, &text);

			if (changed == streq(c->before[k], c->after[k]) ||
				(changed && !streq(text.data ? text.data : "", c->after[k])))
				fail_msg("%s: file %zu is\n%s", c->words[0], k,
					changed ? text.data : "unchanged");
			buf_release(&text);
		}
		print_rows(ed, &rows);
		if (!streq(rows.data, c->rows))
			fail_msg("%s: rows are\n%s", c->words[0], rows.data);
		buf_release(&rows);
		conf_edit_free(ed);
	}
	conf_daemon_release(&defaults);
}

static void what_cannot_be_is_refused(void **state)
{
	static const struct {
		const char *word, *text, *hint;
	} refused[] = {
		{ "VM.Memory=1G\n[QEMU]", "control character or bad UTF-8 in a change", "" },
		{ "VM.Description=\x1b[2J", "control character or bad UTF-8 in a change", "" },
		{ "VM.Description=\xc2\x9b", "control character or bad UTF-8 in a change", "" },
		{ "VM.Description=\xff", "control character or bad UTF-8 in a change", "" },
		{ "VM.Mem\nory", "control character or bad UTF-8 in a key", "" },
		{ "=1", "'=1' is not a change", "write Section.Key=value, such as VM.Memory=2G" },
		{ "Memory=1G", "'Memory' is without its section", "did you mean 'VM.Memory'?" },
		{ "Cache=none", "'Cache' is without its section", "did you mean 'Disk.ID.Cache'?" },
		{ "bananas=1", "'bananas' is not Section.Key, nor Section.ID.Key", "" },
		{ "VM.=1", "'VM.' is not Section.Key, nor Section.ID.Key", "" },
		{ ".Memory=1", "'.Memory' is not Section.Key, nor Section.ID.Key", "" },
		{ "vm.Memory=1G", "unknown section 'vm'", "did you mean 'VM.Memory'?" },
		{ "Dsk.a.Path=x", "unknown section 'Dsk'", "did you mean 'Disk.a.Path'?" },
		{ "Bananas.a=1", "unknown section 'Bananas'", "" },
		{ "VM.Memry=1G", "unknown key 'Memry' in [VM]", "did you mean 'VM.Memory'?" },
		{ "NIC.lan.MACAdress", "unknown key 'MACAdress' in [NIC]",
			"did you mean 'NIC.lan.MACAddress'?" },
		{ "VM.Restart=no", "unknown key 'Restart' in [VM]",
			"did you mean 'Lifecycle.Restart'?" },
		{ "Disk.data", "[Disk] needs an id", "did you mean 'Disk.ID.data'?" },
		{ "NIC", "'NIC' is not Section.Key, nor Section.ID.Key", "" },
		{ "VM.Bananas=2", "unknown key 'Bananas' in [VM]", "" },
		{ "Disk.Path=x", "[Disk] needs an id", "did you mean 'Disk.ID.Path'?" },
		{ "Disk.a b.Path=x", "'a b' cannot be the id of a section", "" },
		{ "Disk.a].Path=x", "'a]' cannot be the id of a section", "" },
		{ "VM.a.Memory=1G", "[VM] takes no id", "did you mean 'VM.Memory'?" },
		{ "VM.X-a]=1", "'X-a]' cannot be a key", "" },
		{ "X-a].b=1", "'X-a].b' cannot be a key", "" },
		{ "VM.Memory+=1G", "Memory in [VM] is one value, not a list",
			"write = in place of += and -=" },
		{ "VM.Owner-=", "'VM.Owner-=' names no item of the list", "" },
		{ "VM.Owner-=dave", "'dave' in Owner comes from [Defaults] in vmkeep.conf", "" },
	};
	const struct conf_source src = conf_case_source("web1.vm", VM ROOT);
	struct conf_daemon defaults;

	(void)state;
	read_defaults(&defaults);
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
		struct conf_edit *ed = conf_edit_new(&src, 1, &defaults);
		struct buf text = BUF_INIT;
		struct err e = ERR_INIT;

		assert_true(apply(ed, refused[i].word, &e) < 0);
		assert_string_equal(e.text, refused[i].text);
		assert_string_equal(e.hint, refused[i].hint);
		assert_false(conf_edit_text(ed, 0, &text));
		conf_edit_free(ed);
	}
	conf_daemon_release(&defaults);
}

static void unset_with_a_value_is_refused(void **state)
{
	const struct conf_source src = conf_case_source("web1.vm", VM ROOT);
	struct conf_edit *ed = conf_edit_new(&src, 1, NULL);
	struct err e = ERR_INIT;

	(void)state;
	assert_true(conf_edit_unset(ed, "VM.Memory=1G", &e) < 0);
	assert_string_equal(e.text, "'VM.Memory=1G': unset takes keys without values");
	assert_string_equal(e.hint, "write VM.Memory");
	conf_edit_free(ed);
}

/* The value of the key as the parser reads it from the edited text. */
static char *value_after(const char *word, const struct conf_section *s, const struct conf_key *k)
{
	const struct conf_source src = conf_case_source("web1.vm", "# empty\n");
	struct conf_edit *ed = conf_edit_new(&src, 1, NULL);
	struct buf text = BUF_INIT, value = BUF_INIT;
	struct conf_problems p = { 0 };
	struct err e = ERR_INIT;
	struct conf_vm c;
	const void *object = &c;
	size_t n;

	if (conf_edit_set(ed, word, &e) < 0)
		fail_msg("%s: %s", word, e.text);
	assert_true(conf_edit_text(ed, 0, &text));
	conf_case_vm(&c, text.data, &p);
	for (size_t i = 0; i < p.n; i++)
		assert_null(strstr(p.item[i].reason, "unknown"));
	if (s->size)
		object = conf_elements(s, &c, &n);
	if (conf_value_count(k, object))
		conf_value_text(k, object, 0, &value);
	conf_problems_release(&p);
	conf_vm_release(&c);
	buf_release(&text);
	conf_edit_free(ed);
	return buf_steal(&value);
}

/* For each key of the schema: its default can be written and is read back. */
static void each_key_can_be_set(void **state)
{
	(void)state;
	for (size_t i = 0; i < conf_vm_schema.sections; i++) {
		const struct conf_section *s = &conf_vm_schema.section[i];

		for (size_t k = 0; k < s->keys; k++) {
			const struct conf_key *key = &s->key[k];
			char *word, *value;

			/* if a list had a default, a reset to it and to nothing could not be
			 * distinguished */
			assert_true(!key->list || !key->preset);
			if (!key->preset)
				continue;
			word = xasprintf(
				"%s%s.%s=%s", s->name, s->size ? ".x" : "", key->name, key->preset);
			value = value_after(word, s, key);
			assert_string_equal(value, key->preset);
			free(value);
			free(word);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(changes_touch_the_line_in_force),
		cmocka_unit_test(what_cannot_be_is_refused),
		cmocka_unit_test(unset_with_a_value_is_refused),
		cmocka_unit_test(each_key_can_be_set),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
