/* SPDX-License-Identifier: MIT */
/*
 * base/text.h - parsing and formatting of small values
 *
 * Parsers take the whole string or fail; they never accept a prefix.
 */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* "512", "512M": a whole number with optional K, M, G or T (powers of 1024). 0 or -EINVAL,
 * -ERANGE. */
int text_parse_size(const char *s, uint64_t *bytes);
/* "90", "90s", "2min", "1h 30min", "500ms", "infinity" (UINT64_MAX). Milliseconds. */
int text_parse_time(const char *s, uint64_t *ms);
int text_parse_bool(const char *s, bool *value);
int text_parse_uint(const char *s, uint64_t min, uint64_t max, uint64_t *value);

/* "512M", "1.5G": for people; buf of at least 16 bytes. Returns buf. */
const char *text_size(char *buf, size_t len, uint64_t bytes);
/* Exact, parses back: "512M", "1000". */
const char *text_size_exact(char *buf, size_t len, uint64_t bytes);
/* Exact, parses back: "90s", "2min", "infinity". */
const char *text_time_exact(char *buf, size_t len, uint64_t ms);
/* For people: "3d 4h", "12min 0s", "5s". */
const char *text_duration(char *buf, size_t len, uint64_t ms);

/* Length of the UTF-8 character at s, of at most left bytes (at least one); 0 if invalid
 * (overlong, surrogate, truncated, too large). */
size_t text_utf8(const char *s, size_t left, uint32_t *value);

/* Makes untrusted bytes safe for a terminal and a log line: C0, C1, DEL, direction marks and
 * invalid UTF-8 become \xNN; tab and newline are kept if keep_lines. A backslash stays as it is: text
 * that is escaped twice, by the daemon and by its client, is the same. Caller frees. */
char *text_escape(const char *data, size_t len, bool keep_lines);

/* The same in place, keeping the length but not the values: each such byte becomes '?', tabs
 * become spaces. The result is UTF-8 without control characters, even if s was cut inside a
 * character. */
void text_clean(char *s);

/* Copies UTF-8 text; if too long, drops the middle: the reason is usually at the end. */
void text_shorten(char *to, size_t size, const char *from);

/* "52:54:00:12:34:56". Returns buf. */
enum { TEXT_MAC = 18 };
const char *text_mac(char buf[TEXT_MAC], const uint8_t mac[6]);
bool text_mac_parse(const char *s, uint8_t mac[6]);

/* FNV-1a. Names, addresses and MACs already in use on hosts derive from it: it must not change. */
uint32_t text_hash32(const void *data, size_t len);
uint64_t text_hash64(const void *data, size_t len);

/* Quotes s for a POSIX shell. Caller frees. */
char *text_shell_quote(const char *s);

/* The nearest of n names, NULL entries left out: one edit away, from 6 letters on two, at
 * best a completion of s; or NULL. */
const char *text_nearest(const char *s, const char *const *names, size_t n);

#endif
