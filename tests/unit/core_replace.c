/* SPDX-License-Identifier: MIT */
/*
 * Proves that the child that replaces configuration files keeps owner, mode and links; that either
 * all files are new or none is, whatever the old file is and whatever happened to it since it was
 * read; and that no temporary file is left, neither of this child nor of one that was killed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "supervisor/core/replace.h"
#include "supervisor/core/replace_private.h"

#define OLD "[VM]\nMemory=1G\n"
#define NEW "[VM]\nMemory=2G\n"

enum { SOME_UID = 4711 };

static char dir[] = "/tmp/vmkeep-replace-XXXXXX";

static const char *in(const char *name)
{
	static char path[2][128];
	static unsigned turn;

	turn = !turn;
	snprintf(path[turn], sizeof path[turn], "%s/%s", dir, name);
	return path[turn];
}

static void put(const char *name, const char *text)
{
	assert_int_equal(
		file_replace(AT_FDCWD, in(name), 0644, text, strlen(text), false, NULL), 0);
}

static bool holds(const char *name, const char *text)
{
	struct buf b = BUF_MAX(1 << 20);
	bool same =
		file_read(AT_FDCWD, in(name), &b, NULL) == 0 && streq(b.data ? b.data : "", text);

	buf_release(&b);
	return same;
}

static int make_dir(void **state)
{
	(void)state;
	umask(022);
	return !mkdtemp(dir) || mkdir(in("etc"), 0755) < 0;
}

static int remove_dir(void **state)
{
	(void)state;
	return file_remove_tree(AT_FDCWD, dir, NULL);
}

/* Runs the child with this input; returns its exit status and the first line that it wrote. */
static int run(const char *count, const char *len, const struct buf *input, char said[512])
{
	int to[2], from[2], status;
	size_t got = 0;
	ssize_t n;
	pid_t pid;

	assert_int_equal(pipe(to) + pipe(from), 0);
	pid = fork();
	if (pid == 0) {
		dup2(to[0], STDIN_FILENO);
		dup2(from[1], STDERR_FILENO);
		close(to[1]);
		_exit(replace_main(count, len));
	}
	close(to[0]);
	close(from[1]);
	n = file_write_all(to[1], input->data, input->len);
	assert_true(n == 0 || n == -EPIPE); /* it may refuse its arguments first */
	close(to[1]);
	while (got < 511 && (n = read(from[0], said + got, 511 - got)) > 0)
		got += (size_t)n;
	said[got] = '\0';
	said[strcspn(said, "\n")] = '\0';
	close(from[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void add(struct buf *input, const char *name, const char *old, const char *text)
{
	buf_printf(input, "%s\n%zu %zu\n%s%s", in(name), strlen(old), strlen(text), old, text);
}

/* Replaces one file; returns the class of the error, or -1 for none. */
static int replace_one(const char *name, char said[512])
{
	struct buf input = BUF_INIT;
	char len[24];
	int r;

	add(&input, name, OLD, NEW);
	snprintf(len, sizeof len, "%zu", input.len);
	r = run("1", len, &input, said);
	buf_release(&input);
	return r ? r - REPLACE_FAILED : -1;
}

static size_t files_in(const char *name)
{
	DIR *d = file_open_dir(AT_FDCWD, in(name), 0);
	size_t n = 0;

	while (d && readdir(d))
		n++;
	closedir(d);
	return n - 2;
}

static void owner_mode_and_neighbours_stay(void **state)
{
	char said[512];
	struct stat st;

	(void)state;
	put("etc/a.vm", OLD);
	put("etc/b.vm", OLD);
	assert_int_equal(chmod(in("etc/a.vm"), 0640), 0);
	assert_int_equal(chown(in("etc/a.vm"), 0, SOME_UID), 0);
	put("etc/.~b.vm.vmkeep", "of a child that was killed");
	put("etc/.~mine", "of somebody else");
	assert_int_equal(replace_one("etc/a.vm", said), -1);
	assert_true(holds("etc/a.vm", NEW) && holds("etc/b.vm", OLD));
	assert_int_equal(stat(in("etc/a.vm"), &st), 0);
	assert_int_equal(st.st_mode, S_IFREG | 0640);
	assert_int_equal(st.st_gid, SOME_UID);
	assert_int_equal(files_in("etc"), 3);
	unlink(in("etc/.~mine"));
}

/* --- unusual files --- */

static void changed(void)
{
	put("etc/a.vm", OLD "# mine\n");
}
static void shorter(void)
{
	put("etc/a.vm", "[VM]\n");
}
static void gone(void)
{
	unlink(in("etc/a.vm"));
}
static void directory(void)
{
	gone();
	mkdir(in("etc/a.vm"), 0755);
}
static void fifo(void)
{
	gone();
	mkfifo(in("etc/a.vm"), 0644);
}
static void others_may_write(void)
{
	chmod(in("etc/a.vm"), 0666);
}
static void of_another(void)
{
	assert_int_equal(chown(in("etc/a.vm"), SOME_UID, 0), 0);
}
static void hard_link(void)
{
	assert_int_equal(link(in("etc/a.vm"), in("etc/copy")), 0);
}
static void others_may_write_directory(void)
{
	chmod(in("etc"), 0777);
}
static void dead_link(void)
{
	gone();
	assert_int_equal(symlink(in("nowhere"), in("etc/a.vm")), 0);
}
static void loop_of_links(void)
{
	gone();
	assert_int_equal(symlink("a.vm", in("etc/a.vm")), 0);
}
static void link_beside_others(void)
{
	mkdir(in("open"), 0755);
	chmod(in("open"), 0777);
	put("open/a.vm", OLD);
	gone();
	assert_int_equal(symlink("../open/a.vm", in("etc/a.vm")), 0);
}
static void link_below_another(void)
{
	mkdir(in("home"), 0755);
	mkdir(in("home/git"), 0755);
	put("home/git/a.vm", OLD);
	assert_int_equal(chown(in("home"), SOME_UID, 0), 0);
	gone();
	assert_int_equal(symlink("../home/git/a.vm", in("etc/a.vm")), 0);
}

static void what_is_not_the_file_that_was_read_stays(void **state)
{
	static const struct {
		void (*make)(void);
		int class;
		const char *says;
	} cases[] = {
		{ changed, ERR_CONFLICT, "was changed in the meantime" },
		{ shorter, ERR_CONFLICT, "was changed in the meantime" },
		{ gone, ERR_CONFLICT, "is gone" },
		{ directory, ERR_FAILED, "is not a regular file" },
		{ fifo, ERR_FAILED, "is not a regular file" },
		{ others_may_write, ERR_PERMISSION, "others may write" },
		{ of_another, ERR_PERMISSION, "belongs to another user" },
		{ hard_link, ERR_CONFLICT, "a hard link" },
		{ others_may_write_directory, ERR_PERMISSION, "others may write" },
		{ dead_link, ERR_CONFLICT, "is gone" },
		{ loop_of_links, ERR_FAILED, "Too many levels of symbolic links" },
		{ link_beside_others, ERR_PERMISSION, "others may write" },
		{ link_below_another, ERR_PERMISSION, "belongs to another user" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char said[512];
		int class;

		assert_int_equal(file_remove_tree(AT_FDCWD, in("etc"), NULL), 0);
		assert_int_equal(mkdir(in("etc"), 0755), 0);
		put("etc/a.vm", OLD);
		put("etc/copy.tmp", "");
		unlink(in("etc/copy.tmp"));
		cases[i].make();
		class = replace_one("etc/a.vm", said);
		if (class != cases[i].class || !strstr(said, cases[i].says))
			fail_msg("case %zu: class %d, %s", i, class, said);
		assert_false(holds("etc/a.vm", NEW));
		assert_true(files_in("etc") == (cases[i].make == hard_link ? 2 : 1) ||
			    cases[i].make == gone);
	}
	assert_int_equal(file_remove_tree(AT_FDCWD, in("etc"), NULL), 0);
	assert_int_equal(mkdir(in("etc"), 0755), 0);
}

static void a_link_that_only_root_could_place_stays(void **state)
{
	char said[512], to[64];
	ssize_t n;

	(void)state;
	assert_int_equal(mkdir(in("git"), 0755), 0);
	put("git/web.vm", OLD);
	assert_int_equal(symlink("../git/web.vm", in("etc/a.vm")), 0);
	assert_int_equal(replace_one("etc/a.vm", said), -1);
	n = readlink(in("etc/a.vm"), to, sizeof to - 1);
	assert_true(n > 0);
	to[n] = '\0';
	assert_string_equal(to, "../git/web.vm");
	assert_true(holds("git/web.vm", NEW));
	assert_int_equal(files_in("etc"), 1);
	assert_int_equal(files_in("git"), 1);
	unlink(in("etc/a.vm"));
}

static void all_files_or_none(void **state)
{
	struct buf input = BUF_INIT;
	char said[512], len[24];

	(void)state;
	put("etc/a.vm", OLD);
	put("etc/b.vm", OLD "# mine\n");
	add(&input, "etc/a.vm", OLD, NEW);
	add(&input, "etc/b.vm", OLD, NEW);
	snprintf(len, sizeof len, "%zu", input.len);
	assert_int_equal(run("2", len, &input, said), REPLACE_FAILED + ERR_CONFLICT);
	assert_true(holds("etc/a.vm", OLD) && holds("etc/b.vm", OLD "# mine\n"));
	assert_int_equal(files_in("etc"), 2);
	put("etc/b.vm", OLD);
	assert_int_equal(run("2", len, &input, said), 0);
	assert_true(holds("etc/a.vm", NEW) && holds("etc/b.vm", NEW));
	buf_release(&input);
}

/* If the daemon dies, the input is shorter; only a faulty caller sends malformed input. */
static void half_of_it_changes_nothing(void **state)
{
	struct buf whole = BUF_INIT;
	char said[512], len[24];

	(void)state;
	put("etc/a.vm", OLD);
	add(&whole, "etc/a.vm", OLD, NEW);
	snprintf(len, sizeof len, "%zu", whole.len);
	for (size_t n = 1; n < whole.len; n += 7) {
		struct buf part = { .data = whole.data, .len = n };

		assert_int_equal(run("1", len, &part, said), REPLACE_FAILED + ERR_FAILED);
		snprintf(said, sizeof said, "%zu", n);
		assert_true(run("1", said, &part, said) >= REPLACE_FAILED);
	}
	assert_true(run("2", len, &whole, said) >= REPLACE_FAILED);
	assert_true(run("x", len, &whole, said) >= REPLACE_FAILED);
	assert_true(holds("etc/a.vm", OLD));
	buf_release(&whole);
}

static int create_one(const char *name, char said[512])
{
	struct buf input = BUF_INIT;
	char len[24];
	int r;

	buf_printf(&input, "%s\n" REPLACE_NEW "0 %zu\n%s", in(name), strlen(NEW), NEW);
	snprintf(len, sizeof len, "%zu", input.len);
	r = run("1", len, &input, said);
	buf_release(&input);
	return r;
}

static void a_new_file_replaces_nothing(void **state)
{
	struct stat st;
	char said[512];

	(void)state;
	unlink(in("etc/a.vm"));
	unlink(in("etc/b.vm"));
	assert_int_equal(create_one("etc/a.vm", said), 0);
	assert_true(holds("etc/a.vm", NEW));
	assert_true(stat(in("etc/a.vm"), &st) == 0 && (st.st_mode & 07777) == 0644);
	put("etc/a.vm", OLD);
	assert_int_equal(create_one("etc/a.vm", said), REPLACE_FAILED + ERR_CONFLICT);
	assert_non_null(strstr(said, "is there already"));
	assert_true(holds("etc/a.vm", OLD));
	assert_int_equal(symlink("nowhere", in("etc/b.vm")), 0);
	assert_int_equal(create_one("etc/b.vm", said), REPLACE_FAILED + ERR_CONFLICT);
	assert_int_equal(create_one("nowhere/a.vm", said), REPLACE_FAILED + ERR_NOT_FOUND);
	assert_int_equal(files_in("etc"), 2);
	unlink(in("etc/b.vm"));
}

/* A copy of OLD, then the file is removed. */
static int remove_one(const char *name, const char *copy, char said[512])
{
	struct buf input = BUF_INIT;
	char len[24];
	int r;

	buf_printf(&input, "%s\n" REPLACE_NEW "0 %zu\n%s", in(copy), strlen(OLD), OLD);
	buf_printf(&input, "%s\n" REPLACE_GONE "%zu 0\n%s", in(name), strlen(OLD), OLD);
	snprintf(len, sizeof len, "%zu", input.len);
	r = run("2", len, &input, said);
	buf_release(&input);
	return r;
}

static void a_file_is_removed_once_its_copy_is_there(void **state)
{
	char said[512];

	(void)state;
	put("etc/a.vm", NEW);
	assert_int_equal(remove_one("etc/a.vm", "etc/c", said), REPLACE_FAILED + ERR_CONFLICT);
	assert_non_null(strstr(said, "changed in the meantime"));
	assert_true(holds("etc/a.vm", NEW));
	put("etc/a.vm", OLD);
	assert_int_equal(remove_one("etc/a.vm", "nowhere/c", said), REPLACE_FAILED + ERR_NOT_FOUND);
	put("etc/c", NEW);
	assert_int_equal(remove_one("etc/a.vm", "etc/c", said), REPLACE_FAILED + ERR_CONFLICT);
	assert_true(holds("etc/a.vm", OLD) && holds("etc/c", NEW));
	unlink(in("etc/c"));
	assert_int_equal(symlink("a.vm", in("etc/l.vm")), 0);
	assert_int_equal(remove_one("etc/l.vm", "etc/c", said), REPLACE_FAILED + ERR_CONFLICT);
	assert_non_null(strstr(said, "symbolic link"));
	unlink(in("etc/l.vm"));
	assert_int_equal(files_in("etc"), 1);
	assert_int_equal(remove_one("etc/a.vm", "etc/c", said), 0);
	assert_true(holds("etc/c", OLD));
	assert_int_equal(files_in("etc"), 1);
	unlink(in("etc/c"));
}

/* A new file that is like another one. */
static void a_copy_has_the_owner_and_mode_of_its_model(void **state)
{
	struct buf input = BUF_INIT;
	char said[512], len[24];
	struct stat st;

	(void)state;
	put("etc/a.vm", OLD);
	assert_int_equal(chmod(in("etc/a.vm"), 0640) + chown(in("etc/a.vm"), 0, SOME_UID), 0);
	buf_printf(&input, "%s\n" REPLACE_LIKE "%s\n" REPLACE_NEW "0 %zu\n%s", in("etc/c.vm"),
		in("etc/a.vm"), strlen(NEW), NEW);
	buf_printf(&input, "%s\n" REPLACE_GONE "%zu 0\n%s", in("etc/a.vm"), strlen(OLD), OLD);
	snprintf(len, sizeof len, "%zu", input.len);
	assert_int_equal(run("2", len, &input, said), 0);
	assert_true(holds("etc/c.vm", NEW));
	assert_int_equal(files_in("etc"), 1);
	assert_int_equal(stat(in("etc/c.vm"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0640);
	assert_int_equal(st.st_gid, SOME_UID);
	unlink(in("etc/c.vm"));
	/* without its model, or with a link in its place, there is no copy */
	assert_int_not_equal(run("2", len, &input, said), 0);
	assert_int_equal(symlink("b.vm", in("etc/a.vm")), 0);
	assert_int_not_equal(run("2", len, &input, said), 0);
	unlink(in("etc/a.vm"));
	assert_int_equal(files_in("etc"), 0);
	buf_release(&input);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(owner_mode_and_neighbours_stay),
		cmocka_unit_test(what_is_not_the_file_that_was_read_stays),
		cmocka_unit_test(a_link_that_only_root_could_place_stays),
		cmocka_unit_test(all_files_or_none),
		cmocka_unit_test(half_of_it_changes_nothing),
		cmocka_unit_test(a_new_file_replaces_nothing),
		cmocka_unit_test(a_file_is_removed_once_its_copy_is_there),
		cmocka_unit_test(a_copy_has_the_owner_and_mode_of_its_model),
	};

	signal(SIGPIPE, SIG_IGN);
	if (geteuid() != 0)
		return printf("skipped: not root, who alone can give files away\n") < 0;
	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
