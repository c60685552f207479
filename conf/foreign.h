/* SPDX-License-Identifier: MIT */
/*
 * conf/foreign.h - our way to what keys and sections of other programs' files mean
 *
 * libvirt's XML, Proxmox's qm, Incus, systemd's units: whoever knows these writes their words first.
 */
#ifndef CONF_FOREIGN_H
#define CONF_FOREIGN_H

/* A sentence that says what to write instead of this key, or of this section, which is written with
 * its brackets; NULL: no such word is known. */
const char *conf_foreign_way(const char *word);

#endif
