/* SPDX-License-Identifier: MIT */
/*
 * supervisor/boot/service.h - the interface to the service manager
 *
 * The protocol is systemd's (sd_notify(3), sd_listen_fds(3), sd_watchdog_enabled(3)): datagrams
 * and environment variables, no library. Without a manager it does nothing.
 */
#ifndef SUPERVISOR_BOOT_SERVICE_H
#define SUPERVISOR_BOOT_SERVICE_H

struct daemon;
struct service;

/* The listening socket passed by the manager, 0: none. Call once. */
int service_listen_fd(void);

/* Keeps STATUS= up to date with the states of the VMs. */
struct service *service_new(struct daemon *d);
void service_free(struct service *s);
/* Sends an extra keep-alive to the manager's watchdog. */
void service_lives(const struct service *s);
/* Passes the watchdog on to the successor we are about to exec. */
void service_hand_over(const struct service *s);

#endif
