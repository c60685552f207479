/* SPDX-License-Identifier: MIT */
#include "supervisor/client/progress.h"

#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "supervisor/api/api.h"

enum { FIRST_MS = 300, REDRAW_MS = 100, BAR = 20 };

int64_t progress_now_ms(void)
{
	return (int64_t)(clock_awake() * 1000);
}

void progress_init(struct progress *p, bool on)
{
	*p = (struct progress){ .on = on, .began_ms = progress_now_ms(), .percent = -1 };
}

void progress_text(struct progress *p, const char *target, const char *text)
{
	_cleanup_(free_ptr) char *safe = text_escape(text, strlen(text), false);

	snprintf(p->text, sizeof p->text, "%s%s%s", target ? target : "", target ? ": " : "", safe);
}

void progress_event(struct progress *p, const json_t *data)
{
	const char *name = json_string_value(json_object_get(data, "name"));
	const char *text = json_string_value(json_object_get(data, "text"));
	const char *verb = json_string_value(json_object_get(data, "verb"));
	const struct api_verb *known = api_verb_by_execute(verb);
	const json_t *percent = json_object_get(data, "percent");

	p->percent = json_is_number(percent) ? json_number_value(percent) : -1;
	if (!text || !*text)
		text = known && known->command ? known->command : verb ? verb : "";
	progress_text(p, name, text);
}

void progress_line(struct buf *b, const struct progress *p, int64_t now_ms, size_t width)
{
	static const char spinner[] = "|/-\\";
	int64_t seconds = (now_ms - p->began_ms) / 1000;
	char tail[96];
	size_t room;

	if (p->percent >= 0) {
		int percent = p->percent > 100 ? 100 : (int)p->percent;
		int full = percent * BAR / 100;

		snprintf(tail, sizeof tail, " [%.*s%.*s] %3d%% %llds", full, "####################",
			BAR - full, "....................", percent, (long long)seconds);
	} else {
		snprintf(tail, sizeof tail, " %c %llds", spinner[now_ms / REDRAW_MS % 4],
			(long long)seconds);
	}
	room = width > strlen(tail) + 1 ? width - strlen(tail) - 1 : 0;
	buf_printf(b, "%.*s%s", (int)room, p->text, tail);
}

static size_t progress_stderr_width(void)
{
	struct winsize w;

	return ioctl(STDERR_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col ? w.ws_col : 80;
}

int progress_tick(struct progress *p, int64_t now_ms)
{
	struct buf b = BUF_INIT;
	int64_t due = p->shown ? p->drawn_ms + REDRAW_MS : p->began_ms + FIRST_MS;

	if (!p->on)
		return -1;
	if (now_ms < due)
		return (int)(due - now_ms);
	buf_adds(&b, "\r");
	progress_line(&b, p, now_ms, progress_stderr_width());
	buf_adds(&b, "\033[K");
	file_write_all(STDERR_FILENO, b.data, b.len);
	buf_release(&b);
	p->shown = true;
	p->drawn_ms = now_ms;
	return REDRAW_MS;
}

void progress_erase(struct progress *p)
{
	static const char erase[] = "\r\033[K";

	if (p->shown)
		file_write_all(STDERR_FILENO, erase, sizeof erase - 1);
	p->shown = false;
}
