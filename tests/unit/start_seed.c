/* SPDX-License-Identifier: MIT */
/*
 * What cloud-init is told: tests/golden/seed/NAME.vm yields exactly NAME.seed there, all texts one
 * after another (UPDATE_GOLDEN=1 rewrites them: then read the diff). And the child that reads root's
 * files takes nothing that somebody else could have written, redirected or read, nothing that is not
 * a password or user data, and says which key is wrong.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/mem.h"
#include "conf/conf.h"
#include "supervisor/start/seed.h"

#define GOLDEN "tests/golden/seed"
#define HASH   "$6$salt$hash/of.64"

enum { SOME_UID = 4711, MORE_THAN_1M = (1 << 20) + 1 };

static char dir[] = "/tmp/vmkeep-seed-XXXXXX";

static const char *in(const char *name)
{
	static char path[2][128];
	static unsigned turn;

	turn = !turn;
	snprintf(path[turn], sizeof path[turn], "%s/%s", dir, name);
	return path[turn];
}

static void put(const char *name, mode_t mode, const char *text)
{
	assert_int_equal(
		file_replace(AT_FDCWD, in(name), mode, text, strlen(text), false, NULL), 0);
	assert_int_equal(chmod(in(name), mode), 0);
}

static int setup(void **state)
{
	(void)state;
	return mkdtemp(dir) && file_mkdirs(in("sub"), 0755, NULL) == 0 ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	return file_remove_tree(AT_FDCWD, dir, NULL);
}

/* Reads a configuration in which DIR stands for the directory of root's files. */
static json_t *document_of(const char *text)
{
	struct conf_problems problems = { 0 };
	struct conf_vm c = CONF_VM_INIT;
	struct identity id = IDENTITY_INIT;
	struct buf b = BUF_INIT;
	json_t *document;

	for (const char *at; (at = strstr(text, "DIR/")); text = at + 3) {
		buf_add(&b, text, (size_t)(at - text));
		buf_adds(&b, dir);
	}
	buf_adds(&b, text);
	buf_adds(&b, "[Disk root]\nPath=root.qcow2\n");
	memcpy(id.uuid, "5f4dcc3b-5aa7-4c5d-8327-deb882cf99aa", sizeof id.uuid);
	conf_vm_parse(&c, "Web_1.old", &(struct conf_source){ "a.vm", b.data, b.len }, 1,
		&(struct conf_context){ .uuid = "", .state_dir = "" }, &problems);
	if (problems.count)
		fail_msg("%s", problems.item[0].reason);
	document = seed_document(&c, &id);
	assert_non_null(document);
	conf_problems_release(&problems);
	identity_release(&id);
	conf_vm_release(&c);
	buf_release(&b);
	return document;
}

static void add_text(struct buf *b, const char *name)
{
	struct buf text = BUF_MAX(1 << 20);
	_cleanup_(free_ptr) char *path = xasprintf("%s/texts/%s", dir, name);
	struct stat st;

	if (stat(path, &st) < 0)
		return;
	assert_int_equal(st.st_mode, S_IFREG | 0444);
	assert_int_equal(file_read(AT_FDCWD, path, &text, NULL), 0);
	buf_printf(b, "=== %s\n%s", name, text.data);
	buf_release(&text);
}

static void test_golden(void **state)
{
	const char *name = *state, *key;
	_cleanup_(free_ptr) char *from = xasprintf(GOLDEN "/%s.vm", name),
				 *to = xasprintf(GOLDEN "/%s.seed", name);
	struct buf text = BUF_MAX(1 << 20), want = BUF_MAX(1 << 20), got = BUF_INIT;
	struct err e = ERR_INIT;
	json_t *document;

	put("password", 0600, HASH "\n");
	put("user", 0644, "#!/bin/sh\necho \"user data as it is\"\n");
	put("network", 0644, "version: 2\n");
	assert_int_equal(file_read(AT_FDCWD, from, &text, NULL), 0);
	document = document_of(text.data);
	if (seed_write(document, in("texts"), &key, &e) < 0)
		fail_msg("%s: %s", key, e.text);
	add_text(&got, "meta-data");
	add_text(&got, "user-data");
	add_text(&got, "vendor-data");
	add_text(&got, "network-config");
	if (getenv("UPDATE_GOLDEN"))
		assert_int_equal(
			file_replace(AT_FDCWD, to, 0644, got.data, got.len, false, NULL), 0);
	assert_int_equal(file_read(AT_FDCWD, to, &want, NULL), 0);
	assert_string_equal(got.data, want.data);
	assert_int_equal(file_remove_tree(AT_FDCWD, in("texts"), NULL), 0);
	json_decref(document);
	buf_release(&text);
	buf_release(&want);
	buf_release(&got);
}

/* What a file is like, and what is said of it; NULL: it is taken. */
static const struct {
	const char *key, *text;
	mode_t mode;
	const char *error;
} files[] = {
	{ "PasswordFile", "secret", 0600, NULL },
	{ "PasswordFile", "secret\n", 0400, NULL },
	{ "PasswordFile", HASH "\n", 0600, NULL },
	{ "PasswordFile",
		"gr\xc3\xbc\xc3\x9f"
		"e {\"} # \\n\n",
		0600, NULL },
	{ "PasswordFile", "secret\n", 0640, "others may read 'FILE', which has a password" },
	{ "PasswordFile", "secret\n", 0602, "others may write 'FILE'" },
	{ "PasswordFile", "", 0600, "'FILE' is empty" },
	{ "PasswordFile", "\n", 0600, "'FILE' is not a password in one line" },
	{ "PasswordFile", "one\ntwo\n", 0600, "'FILE' is not a password in one line" },
	{ "PasswordFile", "one\r\n", 0600, "'FILE' is not a password in one line" },
	{ "PasswordFile", "one\x7f\n", 0600, "'FILE' is not a password in one line" },
	{ "PasswordFile", "one\xc2\x85\n", 0600, "'FILE' is not a password in one line" },
	{ "PasswordFile", "one\xff\n", 0600, "'FILE' is not a password in one line" },
	{ "UserData", "#cloud-config\n{}\n", 0644, NULL },
	{ "UserData", "Content-Type: multipart/mixed\n", 0600, NULL },
	{ "UserData", "packages: [x]\n", 0644, "'FILE' is not user data" },
	{ "UserData", "#cloud-config\n", 0664, "others may write 'FILE'" },
	{ "UserData", "", 0644, "'FILE' is empty" },
	{ "NetworkConfig", "version: 2\n", 0644, NULL },
	{ "NetworkConfig", "version: 2\n", 0666, "others may write 'FILE'" },
};

/* Tells of the file DIR/PATH, in a check as in a start. */
static void expect(const char *key, const char *path, const char *error)
{
	_cleanup_(free_ptr) char *text = xasprintf("[CloudInit]\n%s=DIR/%s\n", key, path);
	const char *const where[] = { "", in("texts") };
	json_t *document = document_of(text);

	for (size_t i = 0; i < ARRAY_SIZE(where); i++) {
		struct err e = ERR_INIT;
		const char *found = NULL;
		int r = seed_write(document, where[i], &found, &e);

		if (!error && r < 0)
			fail_msg("%s: %s", key, e.text);
		if (error) {
			struct buf b = BUF_INIT;
			const char *at = strstr(error, "FILE");

			buf_add(&b, error, (size_t)(at - error));
			buf_printf(&b, "%s/%s%s", dir, path, at + 4);
			assert_string_equal(e.text, b.data);
			assert_string_equal(found, key);
			assert_true(e.hint[0] || e.class == ERR_FAILED);
			buf_release(&b);
		}
		file_remove_tree(AT_FDCWD, in("texts"), NULL);
	}
	json_decref(document);
}

static void test_files(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		put("file", files[i].mode, files[i].text);
		expect(files[i].key, "file", files[i].error);
	}
}

static void test_odd_files(void **state)
{
	_cleanup_(free_ptr) char *large = xcalloc(1, MORE_THAN_1M + 1);

	(void)state;
	expect("UserData", "none", "open 'FILE': No such file or directory");
	expect("UserData", "sub", "'FILE' is not a regular file");
	assert_int_equal(mkfifo(in("fifo"), 0600), 0);
	expect("UserData", "fifo", "'FILE' is not a regular file");
	put("file", 0644, "#cloud-config\n");
	assert_int_equal(symlink("file", in("link")), 0);
	expect("UserData", "link", "'FILE' leads through a symbolic link");
	assert_int_equal(symlink(".", in("dirlink")), 0);
	expect("UserData", "dirlink/file", "'FILE' leads through a symbolic link");
	assert_int_equal(link(in("file"), in("hard")), 0);
	expect("UserData", "hard", "'FILE' has another name, a hard link");
	memset(large, '#', MORE_THAN_1M);
	put("large", 0644, large);
	expect("UserData", "large", "'FILE' is larger than 1 MiB");
	if (geteuid() != 0)
		skip();
	put("theirs", 0600, "secret");
	assert_int_equal(chown(in("theirs"), SOME_UID, SOME_UID), 0);
	expect("PasswordFile", "theirs", "'FILE' belongs to another user than root");
}

/* A password is nowhere but in the vendor data, as a hash if it is one. */
static void test_password(void **state)
{
	static const struct {
		const char *text, *key;
	} words[] = { { HASH, "hashed_passwd" }, { "$y$j9T$salt$hash", "hashed_passwd" },
		{ "$ecret", "plain_text_passwd" }, { "$a$b", "plain_text_passwd" },
		{ "$1$a$b c", "plain_text_passwd" } };
	json_t *document = document_of("[CloudInit]\nPasswordFile=DIR/password\n");

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		_cleanup_(free_ptr) char *path = xasprintf("%s/texts/vendor-data", dir);
		struct buf b = BUF_MAX(1 << 20);
		const char *key;
		json_t *vendor, *user;

		put("password", 0600, words[i].text);
		assert_int_equal(seed_write(document, in("texts"), &key, NULL), 0);
		assert_int_equal(file_read(AT_FDCWD, path, &b, NULL), 0);
		vendor = json_loads(strchr(b.data, '\n'), 0, NULL);
		user = json_object_get(vendor, "user");
		assert_string_equal(
			json_string_value(json_object_get(user, words[i].key)), words[i].text);
		assert_true(json_is_false(json_object_get(user, "lock_passwd")));
		assert_int_equal(json_object_size(user), 2);
		json_decref(vendor);
		buf_release(&b);
		file_remove_tree(AT_FDCWD, in("texts"), NULL);
	}
	json_decref(document);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		{ "golden all", test_golden, NULL, NULL, (void *)(uintptr_t)"all" },
		{ "golden bridge", test_golden, NULL, NULL, (void *)(uintptr_t)"bridge" },
		{ "golden key", test_golden, NULL, NULL, (void *)(uintptr_t)"key" },
		{ "golden name", test_golden, NULL, NULL, (void *)(uintptr_t)"name" },
		cmocka_unit_test(test_files),
		cmocka_unit_test(test_odd_files),
		cmocka_unit_test(test_password),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
