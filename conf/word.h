/* SPDX-License-Identifier: MIT */
/*
 * conf/word.h - what single words may look like
 */
#ifndef CONF_WORD_H
#define CONF_WORD_H

#include <stdbool.h>

bool conf_word_absolute(const char *s); /* a path from the root */
bool conf_word_domain(const char *s);	/* "vm.internal" */
bool conf_word_feature(const char *s);	/* "+x" or "-x" of a CPU */
bool conf_word_file(const char *s);	/* one path component */
bool conf_word_ifname(const char *s);	/* a network interface */
bool conf_word_ip(const char *s);	/* IPv4 or IPv6 */
bool conf_word_label(const char *s);	/* one part of a DNS name */
bool conf_word_listen(const char *s);	/* "unix" or an IP address */
bool conf_word_machine(const char *s);	/* q35, pc or a version of these */
bool conf_word_owner(const char *s);	/* a user or "@group" */
bool conf_word_plain(const char *s);	/* letters, digits, "._+-"; safe inside an option of QEMU */
bool conf_word_percent(const char *s);	/* "150%" */
bool conf_word_ready(const char *s);	/* "started", "lease", "tcp:PORT" or "log:TEXT" */
bool conf_word_cid(const char *s);	/* of vsock(7), or "auto" */
bool conf_word_rng(const char *s);	/* an absolute path or "none" */
bool conf_word_serial(const char *s);	/* a disk's serial number, 20 bytes as in virtio */
bool conf_word_uuid(const char *s);

#endif
