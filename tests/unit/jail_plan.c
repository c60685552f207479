/* SPDX-License-Identifier: MIT */
/* vmkeep-jail reads a valid plan as written, and refuses every other plan before it does
 * anything. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "supervisor/jail/jail.h"

#define HEAD                                                                                 \
	"{\"version\": 1, \"name\": \"web1\", \"uid\": 1879048192, \"root\": \"/run/root\"," \
	"\"argv\": [\"/usr/bin/q\"]"

static const char whole[] = HEAD
	", \"fds\": [2, 40], \"role\": \"tool\", \"kvm\": true,"
	"\"modules\": \"/var/run/qemu/1\", \"oom_score_adj\": 500, \"check\": true, \"running\": true, \"io_uring\": true, \"dev\": [\"/dev/hwrng\"],"
	"\"paths\": [{\"path\": \"/run/d\"}, {\"path\": \"/run/d/w\", \"write\": true, \"optional\": true}], \"files\": ["
	"{\"kind\": \"nvram\", \"what\": \"nvram\", \"path\": \"/a, b\", \"write\": true,"
	"\"format\": \"qcow2\"},"
	"{\"kind\": \"disk\", \"what\": \"disk 'r'\", \"id\": \"r\", \"path\": \"/img/r\","
	"\"beneath\": \"/img\", \"mounted\": true, \"create\": 1099511627776, \"created\": \"2026-11-23\","
	"\"has_base\": true, \"format_written\": true, \"direct\": true},"
	"{\"kind\": \"disk\", \"what\": \"disk 'v'\", \"path\": \"/dev/vg/v\","
	"\"volume_of\": \"/dev/vg\"}],"
	"\"identity\": {\"dir\": \"/var/web1\", \"changed\": true, \"document\": {\"version\": 1}}}";

static int parse(struct jail *j, const char *text, struct err *e)
{
	*j = (struct jail){ .n_fds = 2 };
	return plan_parse(j, text, strlen(text), e);
}

static void test_whole(void **state)
{
	struct err e = ERR_INIT;
	struct jail j;

	(void)state;
	assert_int_equal(parse(&j, whole, &e), 0);
	assert_string_equal(j.name, "web1");
	assert_int_equal(j.uid, 1879048192);
	assert_string_equal(j.argv[0], "/usr/bin/q");
	assert_null(j.argv[1]);
	assert_int_equal(j.to[1], 40);
	assert_int_equal(j.oom_score_adj, 500);
	assert_true(j.check && j.running);
	assert_true(j.io_uring);
	assert_string_equal(j.modules, "/var/run/qemu/1");
	assert_string_equal(j.role->name, "tool");
	assert_int_equal(j.n_paths, 2);
	assert_true(
		!j.path[0].write && !j.path[0].optional && j.path[1].write && j.path[1].optional);
	assert_int_equal(j.n_nodes, 2);
	assert_string_equal(j.node[0].path, "/dev/kvm");
	assert_string_equal(j.node[1].path, "/dev/hwrng");
	assert_int_equal(j.n_files, 3);
	assert_string_equal(j.file[2].volume_of, "/dev/vg");
	assert_int_equal(j.file[0].kind, JAIL_NVRAM);
	assert_int_equal(j.file[0].format, JAIL_QCOW2);
	assert_true(j.file[0].write && !j.file[0].beneath && !j.file[0].has_base);
	assert_string_equal(j.file[0].created, "");
	assert_true(j.file[1].direct && !j.file[0].direct);
	assert_string_equal(j.file[1].beneath, "/img");
	assert_true(j.file[1].mounted && !j.file[0].mounted);
	assert_true(j.file[1].has_base && j.file[1].format_written && !j.file[1].write);
	assert_true(j.file[1].create == 1099511627776ULL);
	assert_int_equal(j.file[1].fd, -1);
	assert_string_equal(j.identity.dir, "/var/web1");
	assert_true(j.identity.changed);
	assert_non_null(j.identity.document);
	plan_release(&j);
}

static const struct {
	const char *text;
	const char *says;
} refused[] = {
	/* clang-format off */
	{ "", "plan:" },
	{ "{", "plan:" },
	{ "[]", "plan:" },
	{ HEAD "}", "0 descriptors named, 2 received" },
	{ HEAD ", \"fds\": [2]}", "1 descriptors named, 2 received" },
	{ HEAD ", \"fds\": [2, 2]}", "fds[1]" },
	{ HEAD ", \"fds\": [2, 1024]}", "fds[1]" },
	{ HEAD ", \"fds\": [2, -1]}", "fds[1]" },
	{ HEAD ", \"fds\": [2, 3], \"colour\": 1}", "colour" },
	{ HEAD ", \"fds\": [2, 3], \"role\": \"root\"}", "no role 'root'" },
	{ HEAD ", \"fds\": [2, 3], \"paths\": [{\"path\": \"x\"}]}", "plain absolute path" },
	{ HEAD ", \"fds\": [2, 3], \"paths\": [{\"path\": \"/x\", \"read\": 1}]}", "read" },
	{ HEAD ", \"fds\": [2, 3], \"dev\": [\"/dev/../etc\"]}", "device node" },
	{ HEAD ", \"fds\": [2, 3], \"files\": [{\"kind\": \"disk\", \"what\": \"w\", \"path\": \"/img/x\", "
	  "\"beneath\": \"/img/\"}]}", "'/img/' is not a plain absolute path" },
	{ HEAD ", \"fds\": [2, 3], \"files\": [{\"kind\": \"disk\", \"what\": \"w\", \"path\": \"/img/x\", "
	  "\"volume_of\": \"/img/\"}]}", "'/img/' is not a plain absolute path" },
	{ HEAD ", \"fds\": [2, 3], "
	  "\"files\": [{\"kind\": \"disk\", \"what\": \"w\", \"path\": \"x\"}]}", "plain absolute path" },
	{ HEAD ", \"fds\": [2, 3], \"files\": [{\"kind\": \"disk\", \"what\": \"w\"}]}", "path" },
	{ HEAD ", \"fds\": [2, 3], "
	  "\"files\": [{\"kind\": \"tape\", \"what\": \"w\", \"path\": \"/x\"}]}", "tape" },
	{ HEAD ", \"fds\": [2, 3], \"identity\": {\"dir\": \"/a\"}}", "identity" },
	{ HEAD ", \"fds\": [2, 3], "
	  "\"identity\": {\"dir\": \"a\", \"changed\": true, \"document\": {}}}", "identity" },
	{ "{\"version\": 2, \"name\": \"v\", \"uid\": 5, "
	  "\"root\": \"/r\", \"argv\": [\"/q\"]}", "version 2" },
	{ "{\"version\": 1, \"name\": \"v\", \"uid\": 0, "
	  "\"root\": \"/r\", \"argv\": [\"/q\"]}", "uid 0" },
	{ "{\"version\": 1, \"name\": \"v\", \"uid\": 4294967295, "
	  "\"root\": \"/r\", \"argv\": [\"/q\"]}", "uid" },
	{ "{\"version\": 1, \"name\": \"v\", \"uid\": 5, "
	  "\"root\": \"/r\", \"argv\": [\"q\"]}", "program" },
	{ "{\"version\": 1, \"name\": \"v\", \"uid\": 5, "
	  "\"root\": \"/r\", \"argv\": []}", "0 arguments" },
	{ "{\"version\": 1, \"name\": \"v\", \"uid\": 5, \"root\": \"/r\"}", "0 arguments" },
	{ HEAD ", \"fds\": [0, 1], \"role\": \"relay\"}", "'relay' runs no program" },
	/* clang-format on */
};

static void test_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
		struct err e = ERR_INIT;
		struct jail j;

		assert_true(parse(&j, refused[i].text, &e) < 0);
		assert_int_equal(e.class, ERR_USAGE);
		if (!strstr(e.text, refused[i].says))
			fail_msg("%s: '%s' does not say '%s'", refused[i].text, e.text,
				refused[i].says);
		plan_release(&j);
	}
}

static void test_shown_path(void **state)
{
	char path[3000] = "/first";

	(void)state;
	assert_string_equal(path_shown("/a/b"), "/a/b");
	for (size_t len = strlen(path); len + 8 < sizeof path; len += 7)
		memcpy(path + len, "/middle", 8);
	memcpy(path + strlen(path) - 5, "/last", 5);
	assert_true(strlen(path_shown(path)) < 500);
	assert_memory_equal(path_shown(path), ".../", 4);
	assert_non_null(strstr(path_shown(path), "/last"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_shown_path),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
