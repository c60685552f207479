/* SPDX-License-Identifier: MIT */
/*
 * Proves that no two state directories get the same block of uids, that each gets the block that it
 * had, whatever is lost, and how a block is divided.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "supervisor/host/uids.h"

static char top[] = "/tmp/vmkeep-uids-XXXXXX", claims[64];

static const char *state_of(const char *name)
{
	static char path[4][96];
	static unsigned next;
	char *p = path[next++ % 4];

	snprintf(p, sizeof path[0], "%s/%s", top, name);
	assert_true(mkdir(p, 0700) == 0 || errno == EEXIST);
	return p;
}

static struct uids *claim_or_not(const char *name)
{
	static char kept[8][96]; /* borrowed by struct uids */
	static unsigned next;
	char *state = kept[next++ % 8];
	struct err e = ERR_INIT;
	struct uids *u;
	int fd;

	snprintf(state, sizeof kept[0], "%s", state_of(name));
	fd = open(state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	u = uids_new(claims, fd, state, &e);
	close(fd);
	return u;
}

static struct uids *claim(const char *name)
{
	struct uids *u = claim_or_not(name);

	assert_non_null(u);
	return u;
}

static unsigned block_of(const char *name)
{
	struct uids *u = claim(name);
	unsigned block = u->block;

	uids_free(u);
	return block;
}

static void put(const char *state, const char *file, const char *text)
{
	_cleanup_(free_ptr) char *path = xasprintf("%s/%s", state, file), *dir = xstrdup(path);

	*strrchr(dir, '/') = '\0';
	assert_int_equal(file_mkdirs(dir, 0700, NULL), 0);
	assert_int_equal(file_replace(AT_FDCWD, path, 0600, text, strlen(text), false, NULL), 0);
}

/* An identity with a uid of this block. */
static void keep(const char *name, unsigned block)
{
	_cleanup_(free_ptr) char *text =
		xasprintf("{\"uid\": %u}", UIDS_FIRST + block * UIDS_BLOCK + 3);

	put(state_of(name), "vms/a/identity.json", text);
}

static char *claim_path(unsigned block)
{
	return xasprintf("%s/%u", claims, block);
}

static int setup(void **state)
{
	(void)state;
	strcpy(top, "/tmp/vmkeep-uids-XXXXXX");
	assert_non_null(mkdtemp(top));
	snprintf(claims, sizeof claims, "%s/claims", top);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	return file_remove_tree(AT_FDCWD, top, NULL);
}

/* --- the contents of a block --- */

static void blocks(void **state)
{
	/* clang-format off */
	static const struct {
		uid_t uid;
		bool confined, vm, network;
		unsigned block;
	} rows[] = {
		{ 1000,                 false, false, false, 0 },
		{ 1879048191,           false, false, false, 0 },
		{ 1879048192,           true,  true,  false, 0 },
		{ 1879048192 + 65535,   true,  true,  false, 0 },
		{ 1879048192 + 65536,   true,  false, true,  1 }, /* as in earlier versions */
		{ 1879048192 + 69631,   true,  false, true,  1 },
		{ 1879048192 + 69632,   true,  false, false, 1 }, /* relays */
		{ 1879048192 + 69633,   true,  false, false, 1 }, /* a probed QEMU */
		{ 1879048192 + 69634,   false, false, false, 1 },
		{ 1879048192 + 131072,  true,  true,  false, 2 },
		{ 1879048192 + 192511,  true,  true,  false, 2 },
		{ 1879048192 + 192512,  true,  false, true,  2 },
		{ 1879048192 + 196605,  true,  false, true,  2 },
		{ 1879048192 + 196606,  true,  false, false, 2 },
		{ 1879048192 + 196607,  true,  false, false, 2 },
		{ 1895825407,           true,  false, false, 255 },
		{ 1895825408,           false, false, false, 0 },
		{ UINT32_MAX,           false, false, false, 0 },
	};
	/* clang-format on */

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		print_message("uid %u\n", rows[i].uid);
		assert_int_equal(uids_is_confined(rows[i].uid), rows[i].confined);
		assert_int_equal(uids_is_vm(rows[i].uid), rows[i].vm);
		assert_int_equal(uids_is_network(rows[i].uid), rows[i].network);
		if (rows[i].confined)
			assert_int_equal(uids_block(rows[i].uid), rows[i].block);
	}
}

/* Ranges do not overlap, within a block and between blocks. */
static void apart(void **state)
{
	uid_t end = UIDS_FIRST;

	(void)state;
	for (unsigned block = 0; block < UIDS_BLOCKS; block += block ? 1 : 2) {
		struct uids u;

		uids_of_block(&u, block);
		assert_int_equal(u.block, block);
		assert_true(u.vms >= end && u.vms < u.vms_end && u.vms_end <= u.networks &&
			    u.networks < u.networks_end);
		assert_true(u.networks_end <= u.relay && u.relay < u.probe);
		end = u.probe + 1;
	}
	assert_true(end <= UIDS_END);
}

static void kept_by_vms(void **state)
{
	struct uids first, fifth;

	(void)state;
	uids_of_block(&first, 0);
	uids_of_block(&fifth, 5);
	assert_true(uids_keeps_vm(&first, UIDS_FIRST + 7) && uids_keeps_vm(&fifth, UIDS_FIRST + 7));
	assert_true(uids_keeps_vm(&fifth, fifth.vms) && !uids_keeps_vm(&first, fifth.vms));
	assert_false(uids_keeps_vm(&fifth, fifth.vms - UIDS_BLOCK) ||
		     uids_keeps_vm(&fifth, fifth.networks));
	assert_false(uids_keeps_vm(&first, 0) || uids_keeps_vm(&first, first.networks));
}

/* --- the owner of a block --- */

enum { MANY = 40 };

static void never_two(void **state)
{
	bool had[UIDS_BLOCKS] = { false };
	struct uids *u[MANY];

	(void)state;
	for (unsigned i = 0; i < MANY; i++) {
		char name[8];

		snprintf(name, sizeof name, "s%u", i);
		u[i] = claim(name);
		assert_true(u[i]->block >= UIDS_SHARED && u[i]->block < UIDS_BLOCKS);
		assert_false(had[u[i]->block]);
		had[u[i]->block] = true;
	}
	for (unsigned i = 0; i < MANY; i++)
		uids_free(u[i]);
}

/* With the daemon down or up, claims lost at a boot or not, and in any order. */
static void the_same_again(void **state)
{
	unsigned a = block_of("a"), b = block_of("b");

	(void)state;
	assert_int_not_equal(a, b);
	assert_int_equal(block_of("b"), b);
	assert_int_equal(block_of("a"), a);
	keep("a", a);
	keep("b", a == 9 ? 10 : 9);
	assert_int_equal(file_remove_tree(AT_FDCWD, claims, NULL), 0);
	assert_int_equal(block_of("b"), a == 9 ? 10 : 9);
	assert_int_equal(block_of("a"), a);
}

/* The claim is damaged in different ways, but identities tell which block it was. */
static void claims_are_lost(void **state)
{
	static const char *const text[] = { "", "\n", "garbled", "/nowhere/at/all\n" };
	struct uids *u;

	(void)state;
	keep("a", 77);
	for (size_t i = 0; i < ARRAY_SIZE(text); i++) {
		put(claims, "77", text[i]);
		assert_int_equal(block_of("a"), 77);
	}
	/* while it runs */
	assert_int_equal(file_remove_tree(AT_FDCWD, claims, NULL), 0);
	u = claim("a");
	assert_int_equal(u->block, 77);
	for (unsigned lost = 0; lost < 3; lost++) {
		_cleanup_(free_ptr) char *path = claim_path(77);

		if (lost == 0)
			assert_int_equal(unlink(path), 0);
		else if (lost == 1)
			assert_int_equal(file_remove_tree(AT_FDCWD, claims, NULL), 0);
		else
			put(claims, "77", "garbled");
		uids_look(u);
		assert_int_equal(u->block, 77);
		assert_int_equal(access(path, F_OK), 0);
		keep("b", 77);
		assert_int_not_equal(block_of("b"), 77);
	}
	uids_free(u);
}

/* A daemon that claimed the block while ours was lost keeps it. */
static void another_has_it(void **state)
{
	_cleanup_(free_ptr) char *path = claim_path(77);
	struct uids *a, *b;

	(void)state;
	keep("a", 77);
	keep("b", 77); /* a copy */
	a = claim("a");
	assert_int_equal(unlink(path), 0);
	b = claim("b");
	assert_int_equal(b->block, 77);
	uids_look(a);
	assert_int_not_equal(a->block, 77);
	uids_look(b);
	assert_int_equal(b->block, 77);
	/* also while that daemon is down */
	uids_free(b);
	assert_int_not_equal(block_of("c"), 77);
	keep("c", 77);
	assert_int_not_equal(block_of("c"), 77);
	uids_free(a);
}

/* A moved state directory keeps its uids; its old path has none. */
static void moved(void **state)
{
	_cleanup_(free_ptr) char *from = xstrdup(state_of("a")), *to = xasprintf("%s/z", top);
	unsigned block;

	(void)state;
	keep("a", 77);
	block = block_of("a");
	assert_int_equal(rename(from, to), 0);
	assert_int_equal(block_of("z"), block);
}

/* So does one that is accessed by another path. */
static void another_path(void **state)
{
	_cleanup_(free_ptr) char *to = xasprintf("%s/z", top), *path = claim_path(77);
	char now[128];
	ssize_t n;
	int fd;

	(void)state;
	keep("a", 77);
	assert_int_equal(block_of("a"), 77);
	/* a bind mount needs root, so this is a symbolic link, as the path given to the daemon */
	assert_int_equal(symlink(state_of("a"), to), 0);
	assert_int_equal(block_of("z"), 77);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = read(fd, now, sizeof now - 1);
	close(fd);
	now[n > 0 ? n : 0] = '\0';
	assert_int_equal(strncmp(now, to, strlen(to)), 0);
}

/* Some VMs still have uids of an earlier block. */
static void two_kept(void **state)
{
	(void)state;
	keep("a", 77);
	put(state_of("a"), "vms/b/identity.json", "{\"uid\": 1885405185}"); /* of 97 */
	put(state_of("a"), "networks/default.json", "{\"uid\": 1885466625}");
	put(state_of("a"), "networks/lab.json", "damaged");
	assert_int_equal(block_of("a"), 97);
	keep("b", 77);
	assert_int_equal(block_of("b"), 77);
	assert_int_equal(block_of("a"), 97);
}

/* A block with running processes is not taken. */
static void not_where_somebody_lives(void **state)
{
	static const char ready = '.';
	int pipes[2][2];
	char c;
	unsigned block;
	pid_t pid;

	(void)state;
	if (geteuid() != 0) {
		print_message("needs root\n");
		skip();
	}
	block = block_of("a");
	assert_int_equal(file_remove_tree(AT_FDCWD, claims, NULL), 0);
	assert_int_equal(pipe(pipes[0]) | pipe(pipes[1]), 0);
	pid = fork();
	if (pid == 0) {
		close(pipes[1][1]);
		_exit(setuid(UIDS_FIRST + block * UIDS_BLOCK) < 0 ||
			write(pipes[0][1], &ready, 1) != 1 || read(pipes[1][0], &c, 1) < 0);
	}
	assert_int_equal(read(pipes[0][0], &c, 1), 1);
	assert_int_not_equal(block_of("a"), block);
	for (unsigned i = 0; i < 4; i++)
		close(pipes[i / 2][i % 2]);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

/* All blocks are claimed: those whose state directory is gone are free, and no others. */
static void all_taken(void **state)
{
	_cleanup_(free_ptr) char *there = xasprintf("%s\n", top);
	char name[8];

	(void)state;
	for (unsigned block = UIDS_SHARED; block < UIDS_BLOCKS; block++) {
		snprintf(name, sizeof name, "%u", block);
		put(claims, name, there);
	}
	assert_null(claim_or_not("a"));
	keep("b", 0);
	assert_int_equal(block_of("b"), 0); /* as before blocks were introduced */
	for (unsigned block = 100; block < 200;
		block++) { /* some may contain another test's guests */
		snprintf(name, sizeof name, "%u", block);
		put(claims, name, "/nowhere/at/all\n");
	}
	assert_in_range(block_of("a"), 100, 199);
}

static void no_place_for_claims(void **state)
{
	(void)state;
	put(top, "claims", "");
	assert_null(claim_or_not("a"));
	keep("a", 77);
	put(state_of("a"), "vms/b/identity.json", "{\"uid\": 1879048192}");
	assert_int_equal(block_of("a"), 77);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(blocks),
		cmocka_unit_test(apart),
		cmocka_unit_test(kept_by_vms),
		cmocka_unit_test_setup_teardown(never_two, setup, teardown),
		cmocka_unit_test_setup_teardown(the_same_again, setup, teardown),
		cmocka_unit_test_setup_teardown(claims_are_lost, setup, teardown),
		cmocka_unit_test_setup_teardown(another_has_it, setup, teardown),
		cmocka_unit_test_setup_teardown(moved, setup, teardown),
		cmocka_unit_test_setup_teardown(another_path, setup, teardown),
		cmocka_unit_test_setup_teardown(two_kept, setup, teardown),
		cmocka_unit_test_setup_teardown(not_where_somebody_lives, setup, teardown),
		cmocka_unit_test_setup_teardown(all_taken, setup, teardown),
		cmocka_unit_test_setup_teardown(no_place_for_claims, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
