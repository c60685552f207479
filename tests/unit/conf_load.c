/* SPDX-License-Identifier: MIT */
/*
 * The configuration directory, on a real file system: which files count, which are refused, how
 * changes are detected, and which names clash.
 */
#include "conf/load.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "base/file.h"
#include "tests/unit/conf_case.h"

#define ROOT "[Disk root]\nPath=web1.qcow2\n"

static char dir[32];

static char *path(const char *name)
{
	return xasprintf("%s/%s", dir, name);
}

static void put(const char *name, const char *text)
{
	_cleanup_(free_ptr) char *p = path(name);
	_cleanup_(close_fd) int fd = open(p, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(file_write_all(fd, text, strlen(text)), 0);
}

static void mode(const char *name, mode_t m)
{
	_cleanup_(free_ptr) char *p = path(name);

	assert_int_equal(chmod(p, m), 0);
}

static void make_dir(const char *name)
{
	_cleanup_(free_ptr) char *p = path(name);

	assert_int_equal(mkdir(p, 0755), 0);
}

static int begin(void **state)
{
	(void)state;
	umask(022);
	strcpy(dir, "/tmp/vmkeep-conf-XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static int end(void **state)
{
	(void)state;
	return file_remove_tree(AT_FDCWD, dir, NULL);
}

/* Compares problems; @ stands for the directory. */
static void assert_problems(struct conf_problems *p, const char *want)
{
	struct buf b = BUF_INIT;

	for (; *want; want++)
		if (*want == '@')
			buf_adds(&b, dir);
		else
			buf_addc(&b, *want);
	problems_are(p, b.data ? b.data : "");
	buf_release(&b);
	conf_problems_release(p);
}

static bool load(struct conf_vm *c, const char *problems)
{
	struct conf_problems p = { 0 };
	bool there;

	*c = (struct conf_vm)CONF_VM_INIT;
	there = conf_load_vm(c, dir, "web1", &conf_case_context, &p);
	assert_problems(&p, problems);
	return there;
}

static void loads_a_vm_and_its_drop_ins(void **state)
{
	struct conf_vm c;

	(void)state;
	assert_false(load(&c, ""));
	put("web1.vm", ROOT);
	assert_true(load(&c, ""));
	assert_string_equal(c.disk[0].path, "web1.qcow2");
	assert_non_null(strstr(c.place.file, "/web1.vm"));
	conf_vm_release(&c);

	make_dir("web1.vm.d");
	put("web1.vm.d/20-b.conf", "[VM]\nCPUs=3\n");
	put("web1.vm.d/10-a.conf", "[VM]\nCPUs=2\nMemory=2G\n");
	put("web1.vm.d/30-c.conf~", "nonsense");
	put("web1.vm.d/.40.conf", "nonsense");
	put("web1.vm.d/50.conf.bak", "nonsense");
	put("web1.vm.d/60.dpkg-new.conf", "nonsense");
	put("web1.vm.d/70.txt", "nonsense");
	assert_true(load(&c, ""));
	assert_int_equal(c.cpus, 3);
	assert_int_equal(c.memory, UINT64_C(2) << 30);
	conf_vm_release(&c);

	put("web1.vm", "nonsense\n" ROOT);
	put("web1.vm.d/20-b.conf", "[VM]\nCPUs=0\n");
	assert_true(
		load(&c, "@/web1.vm:1: no '=' here; lines are Key=value\n"
			 "@/web1.vm.d/20-b.conf:2: CPUs: '0' is not a number from 1 to 1024\n"));
	conf_vm_release(&c);
}

static void refuses_what_others_may_write(void **state)
{
	struct conf_vm c;

	(void)state;
	put("web1.vm", ROOT);
	mode("web1.vm", 0664);
	assert_true(load(&c, "@/web1.vm: refused, others may write it: chmod go-w it\n"));
	assert_int_equal(c.disks, 0);
	assert_int_equal(c.memory, 1 << 30); /* valid all the same */
	conf_vm_release(&c);
	mode("web1.vm", 0646);
	assert_true(load(&c, "@/web1.vm: refused, others may write it: chmod go-w it\n"));
	conf_vm_release(&c);
	mode("web1.vm", 0600);

	make_dir("web1.vm.d");
	put("web1.vm.d/a.conf", "[VM]\nCPUs=2\n");
	mode("web1.vm.d/a.conf", 0666);
	assert_true(load(&c, "@/web1.vm.d/a.conf: refused, others may write it: chmod go-w it\n"));
	assert_int_equal(c.cpus, 1);
	conf_vm_release(&c);
	mode("web1.vm.d/a.conf", 0644);
	mode("web1.vm.d", 0777);
	assert_true(load(&c, "@/web1.vm.d: refused, others may write it: chmod go-w it\n"));
	assert_int_equal(c.cpus, 1);
	conf_vm_release(&c);
	mode("web1.vm.d", 0755);
	assert_true(load(&c, ""));
	assert_int_equal(c.cpus, 2);
	conf_vm_release(&c);

	mode(".", 0770);
	assert_true(load(&c, "@: refused, others may write it: chmod go-w it\n"));
	conf_vm_release(&c);
	mode(".", 0700);
	if (geteuid() != 0) {
		print_message("not root: files of other users are not tried\n");
		return;
	}
	assert_int_equal(chown(dir, 65534, 0), 0);
	assert_true(load(&c, "@: refused, it belongs to another user: chown root it\n"));
	conf_vm_release(&c);
	assert_int_equal(chown(dir, 0, 0), 0);
}

static void refuses_what_is_no_file(void **state)
{
	_cleanup_(free_ptr) char *fifo = path("web1.vm");
	struct conf_vm c;

	(void)state;
	assert_int_equal(mkfifo(fifo, 0600), 0); /* must not block */
	assert_true(load(&c, "@/web1.vm: not a regular file\n"));
	conf_vm_release(&c);
	assert_int_equal(unlink(fifo), 0);
	make_dir("web1.vm");
	assert_true(load(&c, "@/web1.vm: not a regular file\n"));
	conf_vm_release(&c);
	assert_int_equal(rmdir(fifo), 0);
	assert_int_equal(conf_vm_stamp(dir, "web1"), 0);
	assert_int_equal(symlink("/nowhere/web1.vm", fifo), 0);
	assert_int_not_equal(conf_vm_stamp(dir, "web1"), 0);
	assert_true(load(&c, "@/web1.vm: links to '/nowhere/web1.vm', which is not there\n"));
	conf_vm_release(&c);
}

static void refuses_dead_links_of_its_own(void **state)
{
	_cleanup_(free_ptr) char *link = path("vmkeep.conf");
	struct conf_daemon c = CONF_DAEMON_INIT;
	struct conf_problems p = { 0 };

	(void)state;
	assert_false(conf_load_daemon(&c, dir, &p));
	assert_problems(&p, "");
	assert_int_equal(symlink("/nowhere", link), 0);
	assert_true(conf_load_daemon(&c, dir, &p));
	assert_problems(&p, "@/vmkeep.conf: links to '/nowhere', which is not there\n");
	conf_daemon_release(&c);
}

static void refuses_what_is_too_large(void **state)
{
	_cleanup_(free_ptr) char *big = path("web1.vm");
	struct conf_vm c;

	(void)state;
	put("web1.vm", "");
	assert_int_equal(truncate(big, CONF_TEXT_MAX + 1), 0);
	load(&c, "@/web1.vm: larger than 1048576 bytes\n");
	conf_vm_release(&c);
}

static void loads_networks_and_the_daemon(void **state)
{
	struct conf_network n = CONF_NETWORK_INIT;
	struct conf_daemon d = CONF_DAEMON_INIT;
	struct conf_problems p = { 0 };

	(void)state;
	assert_false(conf_load_network(&n, dir, "default", &p));
	assert_string_equal(n.domain, "vm.internal");
	conf_network_release(&n);
	put("default.network", "[DHCPServer]\nDomain=x\n");
	assert_true(conf_load_network(&n, dir, "default", &p));
	assert_string_equal(n.domain, "x");
	conf_network_release(&n);

	assert_false(conf_load_daemon(&d, dir, &p));
	assert_string_equal(d.log_level, "info");
	conf_daemon_release(&d);
	put("vmkeep.conf", "[Defaults]\nVM.Accel=tcg\n");
	assert_true(conf_load_daemon(&d, dir, &p));
	assert_int_equal(d.n_defaults, 1);
	conf_daemon_release(&d);
	assert_problems(&p, "");

	mode("vmkeep.conf", 0666);
	assert_true(conf_load_daemon(&d, dir, &p));
	assert_int_equal(d.n_defaults, 0);
	conf_daemon_release(&d);
	assert_problems(&p, "@/vmkeep.conf: refused, others may write it: chmod go-w it\n");
}

static void cats_files_as_they_are(void **state)
{
	_cleanup_(free_ptr) char *want = NULL;
	struct buf b = BUF_INIT;
	struct err e = ERR_INIT;

	(void)state;
	assert_true(conf_load_vm_texts(&b, dir, "web1", &e) < 0);
	assert_int_equal(e.class, ERR_NOT_FOUND);
	put("web1.vm", "# mine\n[VM\n  a ;b");
	make_dir("web1.vm.d");
	put("web1.vm.d/a.conf", "x\n");
	assert_int_equal(conf_load_vm_texts(&b, dir, "web1", &e), 0);
	want = xasprintf(
		"# %s/web1.vm\n# mine\n[VM\n  a ;b\n\n# %s/web1.vm.d/a.conf\nx\n", dir, dir);
	assert_string_equal(b.data, want);
	buf_release(&b);
}

static void a_stamp_changes_with_the_files(void **state)
{
	uint64_t seen[8];
	size_t n = 0;

	(void)state;
	assert_int_equal(conf_vm_stamp(dir, "web1"), 0);
	put("web1.vm", ROOT);
	seen[n++] = conf_vm_stamp(dir, "web1");
	put("web1.vm", ROOT "x");
	seen[n++] = conf_vm_stamp(dir, "web1");
	mode("web1.vm", 0666);
	seen[n++] = conf_vm_stamp(dir, "web1");
	make_dir("web1.vm.d");
	assert_true(conf_vm_stamp(dir, "web1") == seen[n - 1]); /* empty: means the same */
	put("web1.vm.d/a.conf", "");
	seen[n++] = conf_vm_stamp(dir, "web1");
	put("web1.vm.d/b.conf", "");
	seen[n++] = conf_vm_stamp(dir, "web1");
	put("web1.vm.d/b.conf", "# longer");
	seen[n++] = conf_vm_stamp(dir, "web1");
	mode("web1.vm.d", 0777);
	seen[n++] = conf_vm_stamp(dir, "web1");
	for (size_t i = 0; i < n; i++) {
		assert_true(seen[i] != 0);
		for (size_t j = 0; j < i; j++)
			assert_true(seen[i] != seen[j]);
	}
	assert_true(conf_vm_stamp(dir, "web1") == seen[n - 1]);
	assert_int_equal(conf_vm_stamp(dir, "../web1"), 0);
	assert_int_equal(conf_network_stamp(dir, "web1"), 0);
	assert_int_equal(conf_daemon_stamp(dir), 0);
	put("vmkeep.conf", "");
	assert_true(conf_daemon_stamp(dir) != 0);
}

static void note_name(void *data, const char *name)
{
	buf_printf(data, "%s ", name);
}

static void lists_names(void **state)
{
	static const char *const files[] = { "b.vm", "a.vm", "Z9.vm", ".h.vm", "a.vm~", "a.vm.bak",
		"c.vm.dpkg-old", "n.network", "vmkeep.conf", ".vm", "web.1.vm", "Web-1.vm",
		"web_1.vm", "a b.vm", "x\033.vm" };
	struct conf_problems p = { 0 };
	struct buf names = BUF_INIT;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		put(files[i], "");
	make_dir("a.vm.d");
	conf_list_vms(dir, note_name, &names, &p);
	assert_string_equal(names.data, "Z9 a b ");
	assert_int_equal(p.count, 5);
	assert_true(problems_have(&p, "/a b.vm: the name must be letters"));
	assert_true(problems_have(&p, "/x\\x1b.vm: the name must be letters"));
	assert_true(problems_have(&p, "/Web-1.vm: clashes with web"));
	assert_true(problems_have(&p, "/web.1.vm: clashes with "));
	assert_true(problems_have(&p, "/web_1.vm: clashes with "));
	conf_problems_release(&p);
	buf_clear(&names);
	conf_list_vms(dir, note_name, &names, NULL);
	assert_string_equal(names.data, "Z9 a b ");
	buf_clear(&names);
	conf_list_networks(dir, note_name, &names, &p);
	assert_string_equal(names.data, "n ");
	assert_problems(&p, "");
	conf_list_networks("/nonexistent", note_name, &names, &p);
	conf_list_vms("/nonexistent", note_name, &names, &p);
	assert_problems(&p, "/nonexistent: No such file or directory\n");
	buf_release(&names);
}

static void names_what_is_never_read(void **state)
{
	static const char *const files[] = { "a.vm", "b.VM", "Lan.Network", "lan.network", "c.vm~",
		".d.VM", "e.VM.bak", "notes.txt", "VMKEEP.conf", "vmkeep.conf", "a.vm.d/1.conf",
		"a.vm.d/2.CONF", "a.vm.d/README", "gone.vm.d/1.conf", "f.VM.d/1.conf",
		"lan.network.d/1.conf" };
	static const char *const dirs[] = { "a.vm.d", "gone.vm.d", "f.VM.d", "lan.network.d",
		"vmkeep.conf.d", "hooks.d" };
	static const char *const told[] = { "/b.VM: is ignored, for its name does not end in .vm",
		"/Lan.Network: is ignored, for its name does not end in .network",
		"/VMKEEP.conf: is ignored, for the daemon's file is vmkeep.conf",
		"/a.vm.d/2.CONF: is ignored, for its name does not end in .conf",
		"/gone.vm.d: is ignored, for there is no gone.vm",
		"/f.VM.d: is ignored, for its name does not end in .vm.d",
		"/lan.network.d: is ignored, for only VMs have drop-ins",
		"/vmkeep.conf.d: is ignored, for only VMs have drop-ins" };
	struct conf_problems p = { 0 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++)
		make_dir(dirs[i]);
	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		put(files[i], "");
	conf_list_ignored(dir, &p);
	for (size_t i = 0; i < ARRAY_SIZE(told); i++)
		assert_true(problems_have(&p, told[i]));
	assert_int_equal(p.warnings, ARRAY_SIZE(told));
	assert_int_equal(p.count, 0);
	conf_problems_release(&p);
	conf_list_ignored("/nonexistent", &p);
	assert_int_equal(p.n, 0);
}

#define IN_DIR(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_DIR(loads_a_vm_and_its_drop_ins),
		IN_DIR(refuses_what_others_may_write),
		IN_DIR(refuses_what_is_no_file),
		IN_DIR(refuses_dead_links_of_its_own),
		IN_DIR(refuses_what_is_too_large),
		IN_DIR(loads_networks_and_the_daemon),
		IN_DIR(cats_files_as_they_are),
		IN_DIR(a_stamp_changes_with_the_files),
		IN_DIR(lists_names),
		IN_DIR(names_what_is_never_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
