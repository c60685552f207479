/* SPDX-License-Identifier: MIT */
#include "supervisor/client/keys.h"

enum { CTRL_BRACKET = 0x1d };

bool keys_feed(struct keys *k, const char *typed, size_t len, struct buf *out)
{
	for (size_t i = 0; i < len; i++) {
		char c = typed[i];

		if (c == CTRL_BRACKET || (k->state == KEYS_TILDE && c == '.'))
			return true;
		if (k->state == KEYS_LINE_BEGIN && c == '~') {
			k->state = KEYS_TILDE;
			continue;
		}
		if (k->state == KEYS_TILDE && c != '~')
			buf_addc(out, '~');
		buf_addc(out, c);
		k->state = c == '\r' || c == '\n' ? KEYS_LINE_BEGIN : KEYS_WITHIN;
	}
	return false;
}
