/* SPDX-License-Identifier: MIT */
#include "supervisor/guest/keeper.h"

#include <ctype.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "base/base64.h"
#include "base/mem.h"

enum { CODE_MAX = 8 /* " 255" and the newline, with room */ };

/*
 * For any POSIX shell; dash, bash and busybox were tried. $1: the mark, then the command.
 *
 * p makes an anonymous pipe: a process that does nothing but hold it, until the keeper has opened
 * it by way of /proc. Before the descriptors 6 to 9 exist a dd on them fails, as it must: lower
 * ones are used by the shell itself. Shells make the redirections of a command in themselves and
 * undo them later, thus the parentheses around the command. It runs in the foreground, so that
 * SIGINT is not ignored, in a session of its own if there is a setsid. Before it is hung up on, the
 * keeper is killed: its exit code would pass for an end of its own. The keeper's own
 * descriptors for the pipes are open for both directions, which is why opening one never waits,
 * and those of the command only for one, so that it sees the end of its input.
 */
/* clang-format off */
static const char keeper_script[] =
	"n=$1; shift\n"
	"p() { : | { read -r q x </proc/self/stat; echo \"$q\"; exec 5<>/proc/self/fd/0 >/dev/null; read -r x <&5; } & }\n"
	"q=$(p); exec 6<>\"/proc/$q/fd/5\" || exit 2; kill -9 \"$q\"\n"
	"q=$(p); exec 7<>\"/proc/$q/fd/5\" || exit 2; kill -9 \"$q\"\n"
	"q=$(p); exec 8<>\"/proc/$q/fd/5\" || exit 2; kill -9 \"$q\"\n"
	"q=$(p); exec 9<>\"/proc/$q/fd/5\" || exit 2; kill -9 \"$q\"\n"
	"(\n"
	"while sleep 10; do echo s; done >/proc/self/fd/9 6<&- 7<&- 8<&- 9<&- &\n"
	"t=$! c= e= h= i=0\n"
	"s() { [ -z \"$c\" ] || kill \"-$1\" \"-$c\" || kill \"-$1\" \"$c\"; }\n"
	"while read -r a b <&9; do\n"
	"case $a in\n"
	"c) c=$b; [ -z \"$e\" ] || exec 6<&- ;;\n"
	"e) e=1; [ -z \"$c\" ] || exec 6<&- ;;\n"
	"t) s TERM ;;\n"
	"k) s KILL ;;\n"
	"h) h=1 ;;\n"
	"r) i=0 ;;\n"
	"s) i=$((i + 1)); [ $i -lt 4 ] || h=1 ;;\n"
	"x) c= e=1 ;;\n"
	"q) break ;;\n"
	"esac\n"
	"if [ \"$h\" ] && [ \"$c$e\" ]; then kill -9 $$; s HUP; sleep 1; s KILL; break; fi\n"
	"done\n"
	"kill $t\n"
	") &\n"
	"w=$!\n"
	"exec 6<&-\n"
	"g=setsid; command -v setsid >/dev/null || g=\n"
	"(exec $g sh -c 'echo \"c $$\" >&9; echo \"$0\"; exec \"$@\" 9<&-' $w \"$@\" </proc/$w/fd/6 >/proc/self/fd/7 2>/proc/self/fd/8 7<&- 8<&-)\n"
	"k=$?\n"
	"echo x >&9\n"
	"echo \"$n $k\" >&7\n"
	"echo \"$n $k\" >&8\n"
	"wait $w\n"
	"exit $k\n";
/* clang-format on */

/* Not if the pipe has gone, and with it perhaps the process: its pid may be another's. */
static const char keeper_cat[] = "[ -p \"$0\" ] && exec cat >>\"$0\"";
static const char keeper_echo[] = "[ -p \"$0\" ] && echo \"$1\" >>\"$0\"";

static const char *const keeper_letter[] = {
	[KEEPER_QUIT] = "q",
	[KEEPER_HANGUP] = "h",
	[KEEPER_KILL] = "k",
	[KEEPER_TERM] = "t",
	[KEEPER_EOF] = "e",
	[KEEPER_LEASE] = "r",
};
_Static_assert(ARRAY_SIZE(keeper_letter) == KEEPER_MESSAGES, "a message has no letter");

void keeper_mark_init(struct keeper_mark *m)
{
	uint64_t number[2] = { 0 };

	(void)!getrandom(number, sizeof number, 0);
	snprintf(m->text, sizeof m->text, "%016llx%016llx", (unsigned long long)number[0],
		(unsigned long long)number[1]);
}

json_t *keeper_start(const struct keeper_mark *m, const json_t *command)
{
	json_t *words = json_pack("[s, s, s, s]", "-c", keeper_script, "vmkeep", m->text);

	json_array_extend(words, (json_t *)(uintptr_t)command);
	return json_pack("{s:s, s:o, s:b}", "path", "/bin/sh", "arg", words, "capture-output", 0);
}

static char *keeper_path(json_int_t pid, enum keeper_pipe pipe)
{
	return xasprintf("/proc/%" JSON_INTEGER_FORMAT "/fd/%d", pid, (int)pipe);
}

json_t *keeper_read(json_int_t keeper, enum keeper_pipe pipe)
{
	_cleanup_(free_ptr) char *path = keeper_path(keeper, pipe),
				 *from = xasprintf("if=%s", path),
				 *size = xasprintf("bs=%d", KEEPER_PIECE);

	return json_pack("{s:s, s:[s, s, s], s:b}", "path", "dd", "arg", from, size, "count=1",
		"capture-output", 1);
}

json_t *keeper_write(json_int_t watcher, const void *data, size_t len)
{
	_cleanup_(free_ptr) char *path = keeper_path(watcher, KEEPER_IN),
				 *text = base64_encode(data, len);

	return json_pack("{s:s, s:[s, s, s], s:s, s:b}", "path", "/bin/sh", "arg", "-c", keeper_cat,
		path, "input-data", text, "capture-output", 1);
}

json_t *keeper_tell(json_int_t keeper, enum keeper_message message)
{
	_cleanup_(free_ptr) char *path = keeper_path(keeper, KEEPER_CONTROL);

	return json_pack("{s:s, s:[s, s, s, s], s:b}", "path", "/bin/sh", "arg", "-c", keeper_echo,
		path, keeper_letter[message], "capture-output", 0);
}

/* The longest end of data that is a beginning of the mark, or the mark itself. */
static size_t keeper_split(const struct keeper_mark *m, const char *data, size_t len)
{
	size_t mark = strlen(m->text), from = len < mark ? 0 : len - mark + 1;
	const char *found = memmem(data, len, m->text, mark);

	if (found)
		return (size_t)(found - data);
	while (from < len && memcmp(data + from, m->text, len - from) != 0)
		from++;
	return from;
}

int keeper_take(struct keeper_tail *t, const struct keeper_mark *m, const struct buf *piece,
	struct buf *out, struct err *e)
{
	size_t mark = strlen(m->text), at, left;
	const char *code, *end;

	if (t->ended)
		return 0;
	buf_add(&t->held, piece->data, piece->len);
	at = keeper_split(m, t->held.data, t->held.len);
	buf_add(out, t->held.data, at);
	buf_drop(&t->held, at);
	if (t->held.len <= mark)
		return 0;
	code = t->held.data + mark;
	left = t->held.len - mark;
	end = memchr(code, '\n', left < CODE_MAX ? left : CODE_MAX);
	if (!end && left < CODE_MAX)
		return 0;
	if (!end || code[0] != ' ' || !isdigit((unsigned char)code[1]))
		return err_set(
			e, ERR_FAILED, "the output from the guest has an end without a code");
	t->code = atoi(code + 1) & 0xff;
	t->ended = true;
	buf_clear(&t->held);
	return 0;
}

void keeper_tail_release(struct keeper_tail *t)
{
	buf_release(&t->held);
}
