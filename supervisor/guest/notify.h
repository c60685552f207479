/* SPDX-License-Identifier: MIT */
/*
 * supervisor/guest/notify.h - ReadyWhen=notify: what the guest says of itself
 *
 * It writes lines as sd_notify(3) does to the virtio port org.vmkeep.notify.0. QEMU appends them to a
 * file on the VM's tmpfs, as it does with consoles: what is said while no daemon runs waits there, and
 * a guest that floods it stalls nobody. READY=1 and STATUS= count, all else is passed over.
 * What was heard is in the run record before it leaves the file.
 */
#ifndef SUPERVISOR_GUEST_NOTIFY_H
#define SUPERVISOR_GUEST_NOTIFY_H

#define NOTIFY_FILE "out/notify" /* below vm->run_fd */

extern const struct vm_part notify_part;

#endif
