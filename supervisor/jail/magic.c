/* SPDX-License-Identifier: MIT */
/*
 * supervisor/jail/magic.c - recognises what is often taken for a raw or qcow2 image
 */
#include <strings.h>

#include "base/mem.h"
#include "base/text.h"
#include "supervisor/jail/image.h"

enum { MAGIC_TEXT = 256 };

/* clang-format off */
#define BYTES(text) sizeof(text) - 1, text
static const struct magic magics[] = {
	{ "a VMDK image", MAGIC_CONTAINER, "vmdk", NULL, 0, BYTES("KDMV") },
	{ "a VMDK image", MAGIC_CONTAINER, "vmdk", NULL, 0, BYTES("COWD") },
	{ "a VMDK description", MAGIC_CONTAINER, "vmdk", NULL, 0, BYTES("# Disk DescriptorFile") },
	{ "a VDI image", MAGIC_CONTAINER, "vdi", NULL, 64, BYTES("\x7f\x10\xda\xbe") },
	{ "a VHDX image", MAGIC_CONTAINER, "vhdx", NULL, 0, BYTES("vhdxfile") },
	{ "a VHD image", MAGIC_CONTAINER, "vpc", NULL, 0, BYTES("conectix") },
	{ "a qcow image of version 1", MAGIC_CONTAINER, "qcow", NULL, 0, BYTES("QFI\xfb\0\0\0\1") },
	{ "a QED image", MAGIC_CONTAINER, "qed", NULL, 0, BYTES("QED\0") },
	{ "a Parallels image", MAGIC_CONTAINER, "parallels", NULL, 0, BYTES("WithoutFreeSpace") },
	{ "a Parallels image", MAGIC_CONTAINER, "parallels", NULL, 0, BYTES("WithouFreSpacExt") },
	{ "an Apple disk image", MAGIC_CONTAINER, "dmg", NULL, -512, BYTES("koly") },
	{ "compressed by gzip", MAGIC_PACKED, NULL, "gunzip -c", 0, BYTES("\x1f\x8b\x08") },
	{ "compressed by xz", MAGIC_PACKED, NULL, "xz -dc", 0, BYTES("\xfd" "7zXZ\0") },
	{ "compressed by zstd", MAGIC_PACKED, NULL, "zstd -dc", 0, BYTES("\x28\xb5\x2f\xfd") },
	{ "compressed by bzip2", MAGIC_PACKED, NULL, "bunzip2 -c", 0, BYTES("BZh") },
	{ "compressed by lz4", MAGIC_PACKED, NULL, "lz4 -dc", 0, BYTES("\x04\x22\x4d\x18") },
	{ "a ZIP archive", MAGIC_PACKED, NULL, "unzip -p", 0, BYTES("PK\3\4") },
	{ "a 7z archive", MAGIC_PACKED, NULL, "7z x -so", 0, BYTES("7z\xbc\xaf\x27\x1c") },
	{ "a Git LFS pointer, not the file itself", MAGIC_PACKED, NULL, NULL, 0,
	  BYTES("version https://git-lfs.") },
	{ "a tar archive, as .ova files are", MAGIC_DISK, NULL, "tar -xOf", 257, BYTES("ustar") },
	{ "a LUKS volume", MAGIC_DISK, NULL, NULL, 0, BYTES("LUKS\xba\xbe") },
	{ "a CD image", MAGIC_DISK, NULL, NULL, 0x8001, BYTES("CD001") },
	{ "a raw image with a partition table", MAGIC_DISK, NULL, NULL, 512, BYTES("EFI PART") },
	{ "a VHD image", MAGIC_DISK, "vpc", NULL, -512, BYTES("conectix") },
	{ "a raw image with a boot sector", MAGIC_DISK, NULL, NULL, 510, BYTES("\x55\xaa") },
};
static const struct magic web_page = { "a web page, not an image", MAGIC_PACKED, .at = 0 };
/* clang-format on */

static bool magic_matches(
	const struct magic *m, const struct jail_file *f, const uint8_t *head, size_t len)
{
	uint8_t found[32];
	off_t at = m->at;

	if (at >= 0 && (size_t)at + m->len <= len)
		return memcmp(head + at, m->bytes, m->len) == 0;
	if (at < 0)
		at += lseek(f->data, 0, SEEK_END);
	return at >= 0 && f->data >= 0 && pread(f->data, found, m->len, at) == (ssize_t)m->len &&
	       memcmp(found, m->bytes, m->len) == 0;
}

/* A web page in place of a file, possibly after blanks or a byte order mark. */
static bool magic_is_web_page(const uint8_t *head, size_t len)
{
	static const char *const begins[] = { "<!doctype html", "<html", "<head", "<?xml", "<!--",
		"404 ", "404:", "<error>" };
	char text[MAGIC_TEXT + 1] = "";
	const char *s = text;

	memcpy(text, head, len < MAGIC_TEXT ? len : MAGIC_TEXT);
	if (strncmp(s, "\xef\xbb\xbf", 3) == 0)
		s += 3;
	s += strspn(s, " \t\r\n");
	for (size_t i = 0; i < ARRAY_SIZE(begins); i++)
		if (strncasecmp(s, begins[i], strlen(begins[i])) == 0)
			return true;
	return false;
}

const struct magic *magic_find(const struct jail_file *f, const uint8_t *head, size_t len)
{
	if (magic_is_web_page(head, len))
		return &web_page;
	for (size_t i = 0; i < ARRAY_SIZE(magics); i++)
		if (magic_matches(&magics[i], f, head, len))
			return &magics[i];
	return NULL;
}

/* "disk.vmdk" becomes "disk.qcow2"; what is unpacked, "disk.img.xz", becomes "disk.img". Caller
 * frees. */
static char *magic_new_path(const struct jail_file *f, const struct magic *m)
{
	const char *name = strrchr(f->path, '/') + 1, *dot = strrchr(name, '.');
	int stem = (int)((dot && dot > name ? dot : name + strlen(name)) - f->path);

	if (!m->driver && memchr(name, '.', (size_t)(f->path + stem - name)))
		return xasprintf("%.*s", stem, f->path);
	if (!m->driver)
		return xasprintf("%.*s-unpacked%s", stem, f->path, f->path + stem);
	return xasprintf(
		"%.*s%s.qcow2", stem, f->path, streq(f->path + stem, ".qcow2") ? "-converted" : "");
}

int magic_cure(const struct jail_file *f, const struct magic *m, struct err *e)
{
	_cleanup_(free_ptr) char *to = magic_new_path(f, m),
				 *from_quoted = text_shell_quote(f->path),
				 *to_quoted = text_shell_quote(to),
				 *image_quoted = text_shell_quote(f->above ? f->above->path : "");

	if (m->driver && f->above && f->above->fd >= 0)
		return err_hint(e,
			"qemu-img convert -f %s -O qcow2 %s %s && qemu-img rebase -u -F qcow2 -b %s %s, and write Base=%s",
			m->driver, from_quoted, to_quoted, to_quoted, image_quoted, to);
	if (m->driver)
		return err_hint(e,
			"convert it: qemu-img convert -f %s -O qcow2 %s %s, and write %s=%s",
			m->driver, from_quoted, to_quoted, answer_key(f), to);
	if (m->command)
		return err_hint(e,
			"unpack it: %s %s > %s; qemu-img info %s shows its format; name it accordingly and write %s=",
			m->command, from_quoted, to_quoted, to_quoted, answer_key(f));
	if (m->use == MAGIC_DISK)
		return err_hint(e, "write Format=raw to use it as it is");
	return err_hint(e,
		"check the address and download it again; its first lines: head -c 300 %s",
		from_quoted);
}
