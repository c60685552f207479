/* SPDX-License-Identifier: MIT */
/* Values of the schema as text that parses back to the same values. */
#include <arpa/inet.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/text.h"
#include "conf/value.h"

static const char *value_text_ipv4(char buf[INET_ADDRSTRLEN], uint32_t address)
{
	struct in_addr in = { .s_addr = htonl(address) };

	return inet_ntop(AF_INET, &in, buf, INET_ADDRSTRLEN);
}

static void value_text_number(const struct conf_key *k, uint64_t v, struct buf *b)
{
	char text[32];

	if (k->zero && !v)
		buf_adds(b, k->zero);
	else if (k->type == CONF_TYPE_SIZE)
		buf_adds(b, text_size_exact(text, sizeof text, v));
	else if (k->type == CONF_TYPE_TIME)
		buf_adds(b, text_time_exact(text, sizeof text, v));
	else
		buf_printf(b, "%" PRIu64, v);
}

static void value_text_network(const struct conf_key *k, const void *f, struct buf *b)
{
	char first[INET_ADDRSTRLEN], last[INET_ADDRSTRLEN];
	const struct conf_subnet *net = f;
	const struct conf_range *range = f;

	if (k->type == CONF_TYPE_RANGE)
		buf_printf(b, "%s-%s", value_text_ipv4(first, range->first),
			value_text_ipv4(last, range->last));
	else if (net->set)
		buf_printf(b, "%s/%u", value_text_ipv4(first, net->address), net->prefix);
	else
		buf_adds(b, "auto");
}

void conf_value_text(const struct conf_key *k, const void *object, size_t i, struct buf *b)
{
	const void *f = (const char *)object + k->offset;
	char mac[TEXT_MAC];

	if (k->list) {
		buf_adds(b, ((const struct conf_list *)f)->item[i]);
		return;
	}
	if (conf_key_is_string(k))
		buf_adds(b, *(const char *const *)f);
	else if (conf_key_is_number(k))
		value_text_number(k, *(const uint64_t *)f, b);
	else if (k->type == CONF_TYPE_BOOL)
		buf_adds(b, k->names	       ? k->names[*(const bool *)f]
			    : *(const bool *)f ? "yes"
					       : "no");
	else if (k->type == CONF_TYPE_ENUM)
		buf_adds(b, k->names[*(const unsigned *)f]);
	else if (k->type == CONF_TYPE_MAC)
		buf_adds(b, text_mac(mac, ((const struct conf_mac *)f)->byte));
	else
		value_text_network(k, f, b);
}

bool conf_value_same(const struct conf_key *k, const void *a, const void *b)
{
	size_t n = conf_value_count(k, a);
	bool same = n == conf_value_count(k, b);

	for (size_t i = 0; same && i < n; i++) {
		struct buf ta = BUF_INIT, tb = BUF_INIT;

		conf_value_text(k, a, i, &ta);
		conf_value_text(k, b, i, &tb);
		same = streq(ta.data, tb.data);
		buf_release(&ta);
		buf_release(&tb);
	}
	return same;
}
