/* SPDX-License-Identifier: MIT */
/*
 * conf/word.h - syntax checks for single words
 */
#ifndef CONF_WORD_H
#define CONF_WORD_H

#include <stdbool.h>

bool conf_word_address(const char *s);	/* IPv4, perhaps with a prefix length */
bool conf_word_absolute(const char *s); /* absolute path */
bool conf_word_digest(const char *s);	/* "sha256:" or "sha512:", and hex digits */
bool conf_word_domain(const char *s);	/* "vm.internal" */
bool conf_word_feature(const char *s);	/* CPU feature, "+x" or "-x" */
bool conf_word_file(const char *s);	/* one path component */
bool conf_word_https(const char *s);	/* https:// URL */
bool conf_word_ifname(const char *s);	/* network interface name */
bool conf_word_ip(const char *s);	/* IPv4 or IPv6 */
bool conf_word_label(const char *s);	/* one label of a DNS name */
bool conf_word_listen(const char *s);	/* "unix" or an IP address */
bool conf_word_login(const char *s);	/* a user of a guest, not root */
bool conf_word_machine(const char *s);	/* q35, pc or a version of these */
bool conf_word_owner(const char *s);	/* user or "@group" */
bool conf_word_pc(const char *s);	/* a machine with IDE, of the two: q35 has SATA */
bool conf_word_plain(const char *s);	/* letters, digits, "._+-"; safe inside a QEMU option */
bool conf_word_percent(const char *s);	/* "150%" */
bool conf_word_program(const char *s);	/* a program's name, or an absolute path */
bool conf_word_proxy(const char *s);	/* http://HOST:PORT and the like, without a password */
bool conf_word_ready(const char *s);	/* value of ReadyWhen= */
bool conf_word_cid(const char *s);	/* vsock(7) CID, or "auto" */
bool conf_word_rng(const char *s);	/* absolute path or "none" */
bool conf_word_serial(const char *s);	/* disk serial number, at most 20 bytes as in virtio */
bool conf_word_ssh_key(const char *s);	/* one line of authorized_keys, without options */
bool conf_word_volume(const char *s);	/* a name in a store of Type=program */
bool conf_word_uuid(const char *s);

#endif
