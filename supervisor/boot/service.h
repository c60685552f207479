/* SPDX-License-Identifier: MIT */
/*
 * supervisor/boot/service.h - what a service manager gives, and is told
 *
 * The protocol is systemd's (sd_notify(3), sd_listen_fds(3), sd_watchdog_enabled(3)): datagrams and
 * environment variables, no library. Without a manager nothing of it happens.
 */
#ifndef SUPERVISOR_BOOT_SERVICE_H
#define SUPERVISOR_BOOT_SERVICE_H

struct daemon;
struct service;

/* The listening socket that the manager made, 0: none. Once. */
int service_listen_fd(void);

/* From now on STATUS= follows the states of the VMs. */
struct service *service_new(struct daemon *d);
void service_free(struct service *s);
/* Tells the manager's watchdog that we live, out of turn. */
void service_lives(struct service *s);
/* A successor by exec goes on for the same manager. */
void service_hand_over(const struct service *s);

#endif
