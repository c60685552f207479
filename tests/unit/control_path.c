/* SPDX-License-Identifier: MIT */
/*
 * Proves that a control socket's path is taken over only from a daemon that is gone, may be longer
 * than a socket address, and is removed only while it is ours.
 */
#include "tests/unit/control.h"

#include <dirent.h>
#include <fcntl.h>

static void is_served(const char *where)
{
	struct client c;
	json_t *o;

	call_on(&c, dial(where));
	o = read_line(&c);
	assert_non_null(json_object_get(o, "QMP"));
	json_decref(o);
	hang_up(&c);
}

/* The size of the file kept as control.sock.damaged-TIME, which is removed. */
static off_t kept_aside(void)
{
	DIR *d = opendir(directory);
	struct stat st = { 0 };

	for (struct dirent *f; (f = readdir(d));)
		if (strstr(f->d_name, ".damaged-")) {
			assert_int_equal(fstatat(dirfd(d), f->d_name, &st, AT_SYMLINK_NOFOLLOW), 0);
			if (unlinkat(dirfd(d), f->d_name, 0) < 0)
				unlinkat(dirfd(d), f->d_name, AT_REMOVEDIR);
		}
	closedir(d);
	return st.st_size;
}

static void a_path_that_is_lost_is_bound_anew(void **state)
{
	struct err e = ERR_INIT;
	struct client before;
	struct stat st;
	json_t *o;

	(void)state;
	assert_int_equal(server_look(server, &e), 0);
	call_on(&before, dial(path));
	o = read_line(&before);
	json_decref(o);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(unlink(path), 0);
		if (i == 1)
			assert_int_equal(mkdir(path, 0700), 0);
		if (i == 2)
			assert_int_equal(symlink("nowhere", path), 0);
		assert_int_equal(server_look(server, &e), 1);
		assert_int_equal(server_look(server, &e), 0);
		assert_int_equal(stat(path, &st), 0);
		assert_int_equal(st.st_mode & 07777, 0666);
		is_served(path);
	}
	o = ask(&before, "{\"execute\": \"qmp_capabilities\", \"id\": 1}\n");
	json_decref(o);
	hang_up(&before);
	kept_aside();
}

static void the_path_is_taken_only_from_the_dead(void **state)
{
	struct err e = ERR_INIT;
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	struct stat st;
	int fd;

	(void)state;
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0666);
	/* alive */
	assert_null(make_server(path, 0, 0, &e));
	assert_int_equal(e.class, ERR_CONFLICT);
	is_served(path);
	server_free(server);
	server = NULL;
	assert_int_equal(stat(path, &st), -1);
	/* dead */
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	strcpy(a.sun_path, path);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
	close(fd);
	server = make_server(path, 0, 0, &e);
	assert_non_null(server);
	is_served(path);
	/* another process's by now: left alone */
	assert_int_equal(unlink(path), 0);
	fd = open(path, O_CREAT | O_EXCL | O_CLOEXEC | O_RDWR, 0600);
	server_free(server);
	server = NULL;
	assert_int_equal(stat(path, &st), 0);
	/* not a socket: renamed */
	assert_int_equal(write(fd, "precious", 8), 8);
	close(fd);
	server = make_server(path, 0, 0, &e);
	assert_non_null(server);
	is_served(path);
	server_free(server);
	server = NULL;
	assert_int_equal(stat(path, &st), -1);
	assert_int_equal(kept_aside(), 8);
	/* not a directory */
	assert_null(make_server("/nonexistent/vmkeep/control.sock", 0, 0, &e));
	assert_int_equal(e.class, ERR_NOT_FOUND);
	assert_non_null(strstr(e.text, "/nonexistent/vmkeep"));
}

static void the_path_may_be_long(void **state)
{
	char dir[256], where[300], near[64];
	struct err e = ERR_INIT;
	struct server *s;
	int dirfd;

	(void)state;
	snprintf(dir, sizeof dir, "%s/%0150d", directory, 1);
	snprintf(where, sizeof where, "%s/control.sock", dir);
	assert_int_equal(mkdir(dir, 0755), 0);
	s = make_server(where, 0, 0, &e);
	if (!s)
		fail_msg("%s", e.text);
	dirfd = open(dir, O_PATH | O_CLOEXEC);
	snprintf(near, sizeof near, "/proc/self/fd/%d/control.sock", dirfd);
	is_served(near);
	assert_null(make_server(where, 0, 0, &e));
	assert_int_equal(e.class, ERR_CONFLICT);
	server_free(s);
	close(dirfd);
	assert_int_equal(rmdir(dir), 0);
	/* a name that is too long for any path */
	snprintf(where, sizeof where, "%s/%0120d", directory, 1);
	assert_null(make_server(where, 0, 0, &e));
	assert_non_null(strstr(e.text, "too long"));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_path_is_taken_only_from_the_dead),
		TEST(a_path_that_is_lost_is_bound_anew),
		TEST(the_path_may_be_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
