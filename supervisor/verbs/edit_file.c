/* SPDX-License-Identifier: MIT */
/* The text that edit changes. */
#include <inttypes.h>

#include "base/base64.h"
#include "base/text.h"
#include "conf/load.h"
#include "supervisor/verbs/edit.h"
#include "supervisor/verbs/verb.h"

void edit_version(const struct conf_source *src, char version[17])
{
	snprintf(version, 17, "%016" PRIx64, text_hash64(src->text, src->len));
}

/* The main file, byte by byte. */
void verb_file(struct vm *vm, struct request *r)
{
	struct conf_texts *texts;
	const struct conf_source *src;
	struct err e = ERR_INIT;
	char version[17];
	char *text;
	size_t n;

	if (!request_bool(r, "force", false) && edit_refuse(&vm->file.conf, &e) < 0) {
		request_error(r, &e);
		return;
	}
	texts = conf_texts_new(vm->daemon->dirs.config, vm->name, &e);
	if (!texts) {
		request_error(r, &e);
		return;
	}
	src = conf_texts_sources(texts, &n);
	edit_version(src, version);
	text = base64_encode(src->text, src->len);
	request_return(r,
		json_pack("{s:s, s:s, s:s}", "path", src->file, "version", version, "text", text));
	free(text);
	conf_texts_free(texts);
}
