/* SPDX-License-Identifier: MIT */
/*
 * Proves that the words of a command line become the request that the verb table promises, wherever
 * options appear and however they are spelled, and that errors say how to fix the line. Nothing is
 * sent.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/mem.h"
#include "supervisor/client/args.h"

enum { WORDS_MAX = 24 };

/* Splits at spaces; the word '_' stands for an empty one. */
static size_t split(char *line, const char **word)
{
	size_t n = 0;
	char *rest;

	for (char *w = strtok_r(line, " ", &rest); w; w = strtok_r(NULL, " ", &rest)) {
		assert_true(n < WORDS_MAX);
		word[n++] = streq(w, "_") ? "" : w;
	}
	return n;
}

/* "vm-stop web1,web2 {"wait": false} --json", or the error's text and hint. */
static char *parsed(const char *line)
{
	_cleanup_(free_ptr) char *copy = xstrdup(line), *arguments = NULL, *own = NULL;
	const char *word[WORDS_MAX];
	struct args a = ARGS_INIT;
	struct err e = ERR_INIT;
	struct buf b = BUF_INIT;

	if (args_parse(&a, split(copy, word), word, &e) < 0) {
		assert_int_equal(e.class, ERR_USAGE);
		assert_true(e.number < 0);
		buf_printf(&b, "%s | %s", e.text, e.hint);
		args_release(&a);
		return buf_steal(&b);
	}
	buf_adds(&b, a.verb ? a.verb->execute : a.topic ? a.topic : a.all ? "all" : "-");
	for (size_t i = 0; i < a.targets; i++)
		buf_printf(&b, "%s%s", i ? "," : " ", a.target[i]);
	arguments = json_dumps(a.arguments, JSON_COMPACT);
	if (json_object_size(a.arguments))
		buf_printf(&b, " %s", arguments);
	own = json_dumps(a.own, JSON_COMPACT);
	if (json_object_size(a.own))
		buf_printf(&b, " own %s", own);
	for (size_t i = 0; i < ARGS_COMMONS; i++)
		if (a.given[i])
			buf_printf(&b, " +%zu", i);
	if (a.run)
		buf_printf(&b, "=%s", a.run);
	args_release(&a);
	return buf_steal(&b);
}

struct row {
	const char *line, *want;
};

static void hold(const struct row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		_cleanup_(free_ptr) char *got = parsed(rows[i].line);

		if (!streq(got, rows[i].want))
			fail_msg("vmkeep %s\n  gave   %s\n  wanted %s", rows[i].line, got,
				rows[i].want);
	}
}

static void a_line_becomes_a_request(void **state)
{
	/* clang-format off */
	static const struct row rows[] = {
		{"list",			       "vm-list"				    },
		{ "ls",				"vm-list"				   },
		{ "list web*",			       "vm-list {\"pattern\":\"web*\"}"		},
		{ "list -r",			     "vm-list {\"running\":true}"		  },
		{ "list --running=no",		       "vm-list {\"running\":false}"		     },
		{ "start web1 --console",	       "vm-start web1 own {\"console\":true}"	      },
		{ "stop web1",			       "vm-stop web1"			      },
		{ "stop web1 db1 web*",		"vm-stop web1,db1,web*"			},
		{ "shutdown web1",			   "vm-stop web1"				  },
		{ "destroy web1",			  "vm-kill web1"				 },
		{ "stop --timeout 5min web1",	      "vm-stop web1 {\"timeout\":\"5min\"}"	    },
		{ "stop web1 --timeout=5min",	      "vm-stop web1 {\"timeout\":\"5min\"}"	    },
		{ "stop web1 --timeout=1 --timeout 2", "vm-stop web1 {\"timeout\":\"2\"}"	  },
		{ "stop --no-wait web1",		 "vm-stop web1 {\"wait\":false}"		 },
		{ "--no-wait stop web1",		 "vm-stop web1 {\"wait\":false}"		 },
		{ "--timeout=1 stop web1",		   "vm-stop web1 {\"timeout\":\"1\"}"	      },
		{ "guest exec --no-input a true",
			"guest-exec a {\"command\":[\"true\"]} own {\"no-input\":true}" },
		{ "run debian --ttl 1h --push a:/b -- ls -l",
			"vm-run {\"ttl\":\"1h\",\"image\":\"debian\"} own "
			"{\"push\":[\"a:/b\"],\"command\":[\"ls\",\"-l\"]}" },
		{ "stop -- --timeout",		       "vm-stop --timeout"			   },
		{ "stop - web1",			 "vm-stop -,web1"				  },
		{ "log -n 20 web1",		    "vm-log web1 {\"lines\":20}"		 },
		{ "log -n20 web1 qemu -f",
			"vm-log web1 {\"lines\":20,\"follow\":true,\"which\":\"qemu\"}"			},
		{ "log --lines=20 web1",		 "vm-log web1 {\"lines\":20}"		      },
		{ "set web1 VM.Memory=2G VM.Owner-=a",
			"vm-set web1 {\"changes\":[\"VM.Memory=2G\",\"VM.Owner-=a\"]}" },
		{ "set --force web1 VM.Memory=2G --dry-run",
			"vm-set web1 {\"force\":true,\"dry-run\":true,\"changes\":[\"VM.Memory=2G\"]}" },
		{ "unset web1 VM.Memory VM.CPUs",
			"vm-unset web1 {\"keys\":[\"VM.Memory\",\"VM.CPUs\"]}" },
		{ "create web1 --ram=2048 --vcpus 2 --disk 20G --disk size=1T,bus=scsi --cdrom x.iso -w lab --enable VM.Owner=a",
			"vm-create web1 {\"memory\":\"2048\",\"cpus\":\"2\",\"disk\":[\"20G\",\"size=1T,bus=scsi\"],"
			"\"iso\":\"x.iso\",\"network\":[\"lab\"],\"enable\":true,\"keys\":[\"VM.Owner=a\"]}" },
		{ "set-memory web1 768M",		  "vm-set-memory web1 {\"size\":\"768M\"}"	   },
		{ "setmem web1 768M --force",
			"vm-set-memory web1 {\"force\":true,\"size\":\"768M\"}"				},
		{ "wait web1 running",		       "vm-wait web1 {\"condition\":\"running\"}"  },
		{ "net list",			      "net-list"					 },
		{ "net-list",			      "net-list"					 },
		{ "net stop default lan --force",	  "net-stop default,lan {\"force\":true}"	  },
		{ "net --json stop default",	     "net-stop default +0"			   },
		{ "guest exec web1 ls", "guest-exec web1 {\"command\":[\"ls\"]}" },
		{ "guest exec web1 --timeout 5 -- ls -l /",
			"guest-exec web1 {\"timeout\":\"5\",\"command\":[\"ls\",\"-l\",\"/\"]}" },
		{ "ssh web1", "vm-ssh web1" },
		{ "ssh web1 -l root -p 2222 --timeout 5 -- ls -l",
			"vm-ssh web1 {\"timeout\":\"5\"} own {\"user\":\"root\",\"port\":2222,\"command\":[\"ls\",\"-l\"]}" },
		{ "-q create --virt-type kvm --name web1 --ram 512 --disk path=k.raw --cdrom=x.iso --graphics vnc,listen=0.0.0.0,port=-1 "
		  "--noautoconsole --os-type=linux --os-variant generic --autostart",
			"vm-create web1 {\"memory\":\"512\",\"disk\":[\"path=k.raw\"],\"iso\":\"x.iso\","
			"\"keys\":[\"Display.Type=vnc\",\"Display.Listen=0.0.0.0\",\"Display.Port=auto\"],\"enable\":true} +1" },
		{ "-q create VM.Owner=a --name web1 --virt-type=qemu --graphics none",
			"vm-create web1 {\"keys\":[\"VM.Accel=tcg\",\"Display.Type=none\",\"VM.Owner=a\"]} +1" },
		{ "snapshot create web1 s1",	     "snapshot-create web1 {\"snapshot\":\"s1\"}"},
		{ "snapshot-create-as web1 s1",	"snapshot-create web1 {\"snapshot\":\"s1\"}"},
		{ "jobs",			      "job-list"				     },
		{ "job cancel 3",			  "job-cancel {\"job\":3}"			   },
		{ "qmp web1 query-status",		   "vm-qmp web1 {\"command\":\"query-status\"}"},
		{ "qmp web1 {\"execute\":\"stop\"}",
			"vm-qmp web1 {\"command\":{\"execute\":\"stop\"}}"				   },
		{ "check",			     "vm-check"				      },
		{ "check ./web1.vm",		     "vm-check {\"name\":\"./web1.vm\"}"	 },
		{ "events -f",			       "subscribe {\"follow\":true}"		     },
		{ "--json -q list",		    "vm-list +0 +1"				    },
		{ "kill -y web*", "vm-kill web* +5" },
		{ "list --quiet --json",		 "vm-list +0 +1"				 },
		{ "--run /tmp/x list",		       "vm-list +2=/tmp/x"			   },
		{ "list --run=/tmp/x",		       "vm-list +2=/tmp/x"			   },
		{ "--run list list",		     "vm-list +2=list"			       },
	};
	/* clang-format on */

	(void)state;
	hold(rows, ARRAY_SIZE(rows));
}

static void help_needs_nothing_else(void **state)
{
	/* clang-format off */
	static const struct row rows[] = {
		{"",		      "- +3"							},
		{ "help",		  "- +3"							},
		{ "--help",		    "- +3"							},
		{ "--json",		    "- +0 +3"						     },
		{ "help -a",		  "all +3" },
		{ "help --all",		  "all +3" },
		{ "--help -a",		  "all +3" },
		{ "help stop",	       "vm-stop +3"						  },
		{ "stop --help",		 "vm-stop +3"						  },
		{ "stop -h",		     "vm-stop +3"						  },
		{ "net -h",		  "net +3" },
		{ "guest --help",	  "guest +3" },
		{ "help help",		  "- +3" },
		{ "-h list",		  "vm-list +3" },
		{ "help net",	      "net +3"						      },
		{ "help net list",	   "net-list +3"						 },
		{ "help snapshot-revert", "snapshot-revert +3"					       },
		{ "help destroy",	  "vm-kill +3"						  },
		{ "--version",	       "- +4"							},
		{ "help nothing",	  "unknown command 'nothing' | 'vmkeep help' lists the commands"},
	};
	/* clang-format on */

	(void)state;
	hold(rows, ARRAY_SIZE(rows));
}

static void a_wrong_line_is_told_the_cure(void **state)
{
#define STOP "usage: vmkeep stop NAME... [--timeout TIME] [--no-wait]"
	static const struct row rows[] = {
		{ "lst", "unknown command 'lst' | did you mean 'list'?" },
		{ "_", "unknown command '' | 'vmkeep help' lists the commands" },
		{ "frobnicate web1",
			"unknown command 'frobnicate' | 'vmkeep help' lists the commands" },
		{ "net", "missing subcommand: net list|show|leases|start|stop | vmkeep help net" },
		{ "net what",
			"unknown command 'net what' | vmkeep net list|show|leases|start|stop" },
		{ "net stp", "unknown command 'net stp' | vmkeep net list|show|leases|start|stop" },
		{ "stpo web1", "unknown command 'stpo' | 'vmkeep help' lists the commands" },
		{ "kil web1", "unknown command 'kil' | 'vmkeep help' lists the commands" },
		{ "shut", "unknown command 'shut' | 'vmkeep help' lists the commands" },
		{ "forgt web1", "unknown command 'forgt' | 'vmkeep help' lists the commands" },
		{ "wiat", "unknown command 'wiat' | did you mean 'wait'?" },
		{ "stat", "unknown command 'stat' | did you mean 'state'?" },
		{ "net stop lan --forc",
			"unknown option '--forc' | usage: vmkeep net stop NETWORK... "
			"[--force] [--dry-run]" },
		{ "net lst", "unknown command 'net lst' | did you mean 'net list'?" },
		{ "stop", "stop: NAME... is missing | " STOP },
		{ "stop --timout 5 web1", "unknown option '--timout' | did you mean '--timeout'?" },
		{ "stop -a", "unknown option '-a' | " STOP },
		{ "guest exec web1 uname -a", "unknown option '-a' | put -- before the command: "
					      "vmkeep guest exec NAME -- COMMAND..." },
		{ "guest exec web1 --frob",
			"unknown option '--frob' | usage: vmkeep guest exec NAME "
			"COMMAND... [--timeout TIME] [-n, --no-input] [--collect] [--no-wait]" },
		{ "stop --frob web1", "unknown option '--frob' | " STOP },
		{ "stop -x web1", "unknown option '-x' | " STOP },
		{ "stop web1 --timeout",
			"option '--timeout' needs a value | write --timeout TIME" },
		{ "stop web1 --timeout soon",
			"--timeout TIME: 'soon' is not a time | "
			"write seconds, or a number with a unit, such as 2min" },
		{ "stop web1 --no-wait=maybe", "--no-wait: 'maybe' is neither yes nor no | " },
		{ "list --json=yes", "option '--json' takes no value | " },
		{ "list --no-wait",
			"unknown option '--no-wait' | "
			"usage: vmkeep list [GLOB] [-r, --running] [-a, --all] [--problems]" },
		{ "list a b",
			"list: unexpected argument 'b' | "
			"usage: vmkeep list [GLOB] [-r, --running] [-a, --all] [--problems]" },
		{ "cat a b",
			"cat: unexpected argument 'b' | usage: vmkeep cat NAME [--effective]" },
		{ "wait web1 gone",
			"CONDITION: 'gone' is not one of: stopped, running, paused, ip | " },
		{ "wait web1", "wait: CONDITION is missing | "
			       "usage: vmkeep wait NAME CONDITION [--timeout TIME]" },
		{ "set web1", "set: SECTION.KEY=VALUE... is missing | "
			      "usage: vmkeep set NAME SECTION.KEY=VALUE... [--force] [--dry-run] "
			      "[--no-wait]" },
		{ "set web1 VM.Memory=2G --dry-rum",
			"unknown option '--dry-rum' | did you mean '--dry-run'?" },
		{ "set-memory web1 lots", "SIZE: 'lots' is not a size | "
					  "write a whole number with K, M, G or T, such as 512M" },
		{ "job cancel x", "JOB: 'x' is not a whole number | " },
		{ "job cancel -1", "unknown option '-1' | usage: vmkeep job cancel JOB" },
		{ "cat \xff", "NAME: not valid UTF-8 | " },
		{ "list \xff", "GLOB: not valid UTF-8 | " },
	};
#undef STOP

	(void)state;
	hold(rows, ARRAY_SIZE(rows));
}

static void every_verb_can_be_said(void **state)
{
	(void)state;
	for (size_t i = 0; i < api_verbs_n; i++) {
		const struct api_verb *v = &api_verbs[i];
		_cleanup_(free_ptr) char *line = NULL, *got = NULL, *want = NULL;

		if (!v->command)
			continue;
		line = xasprintf("%s --help", v->command);
		want = xasprintf("%s +3", v->execute);
		got = parsed(line);
		assert_string_equal(got, want);
		for (size_t k = 0; k < API_ALIASES_MAX && v->aliases[k]; k++) {
			free(line);
			free(got);
			line = xasprintf("help %s", v->aliases[k]);
			got = parsed(line);
			assert_string_equal(got, want);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_line_becomes_a_request),
		cmocka_unit_test(help_needs_nothing_else),
		cmocka_unit_test(a_wrong_line_is_told_the_cure),
		cmocka_unit_test(every_verb_can_be_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
