// SPDX-License-Identifier: Apache-2.0

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/text.h"
#include "container/fetch_steps.h"

enum { BLOCK_SIZE = 64 * 1024 };

enum fetch_kind fetch_kind_of(const char *name)
{
    static const char *const suffixes[] = {".tar",     ".tgz", ".tar.gz", ".tbz2",
                                           ".tar.bz2", ".txz", ".tar.xz", ".zip"};
    for (size_t i = 0; i < ARRAY_COUNT(suffixes); i++) {
        if (text_ends_with(name, suffixes[i])) {
            return FETCH_ARCHIVE;
        }
    }
    return text_ends_with(name, ".gz") ? FETCH_GZIP : FETCH_PLAIN;
}

static int fail(struct error *err, struct archive *archive, const char *what)
{
    const char *text = archive_error_string(archive);
    return error_set(err, -EIO, "Failed to %s: %s", what, text == NULL ? "unknown error" : text);
}

// libarchive checks the entry's own path; a hard link's target is checked here as well.
static bool is_link_inside(struct archive_entry *entry)
{
    const char *target = archive_entry_hardlink(entry);
    if (target == NULL) {
        return true;
    }
    if (target[0] == '/') {
        return false;
    }
    for (const char *at = target; *at != '\0';) {
        size_t size = strcspn(at, "/");
        if (size == 2 && at[0] == '.' && at[1] == '.') {
            return false;
        }
        at += size;
        at += strspn(at, "/");
    }
    return true;
}

static int copy_entry(struct archive *reader, struct archive *writer, struct error *err)
{
    const void *data;
    size_t size;
    la_int64_t offset;
    int code;
    while ((code = archive_read_data_block(reader, &data, &size, &offset)) == ARCHIVE_OK) {
        if (archive_write_data_block(writer, data, size, offset) < ARCHIVE_OK) {
            return fail(err, writer, "write");
        }
    }
    if (code != ARCHIVE_EOF) {
        return fail(err, reader, "read");
    }
    return archive_write_finish_entry(writer) < ARCHIVE_OK ? fail(err, writer, "write") : 0;
}

static int copy_entries(struct archive *reader, struct archive *writer, struct error *err)
{
    struct archive_entry *entry;
    int code;
    while ((code = archive_read_next_header(reader, &entry)) == ARCHIVE_OK ||
           code == ARCHIVE_WARN) {
        const char *path = archive_entry_pathname(entry);
        if (path == NULL || !is_link_inside(entry)) {
            return error_set(err, -EINVAL, "Failed to extract '%s': it leads out of the sandbox",
                             path == NULL ? "?" : path);
        }
        if (archive_write_header(writer, entry) < ARCHIVE_OK) {
            return fail(err, writer, "extract");
        }
        if ((code = copy_entry(reader, writer, err)) < 0) {
            return code;
        }
    }
    return code == ARCHIVE_EOF ? 0 : fail(err, reader, "read");
}

int fetch_extract(int archive_fd, struct error *err)
{
    struct archive *reader = archive_read_new();
    struct archive *writer = archive_write_disk_new();
    archive_read_support_format_all(reader);
    archive_read_support_filter_all(reader);
    archive_write_disk_set_options(
        writer, ARCHIVE_EXTRACT_TIME | ARCHIVE_EXTRACT_PERM | ARCHIVE_EXTRACT_SECURE_SYMLINKS |
                    ARCHIVE_EXTRACT_SECURE_NODOTDOT | ARCHIVE_EXTRACT_SECURE_NOABSOLUTEPATHS);
    int code = archive_read_open_fd(reader, archive_fd, BLOCK_SIZE) == ARCHIVE_OK
                   ? copy_entries(reader, writer, err)
                   : fail(err, reader, "open");
    // Directory times and modes are set only now.
    if (archive_write_close(writer) < ARCHIVE_OK && code == 0) {
        code = fail(err, writer, "finish");
    }
    archive_write_free(writer);
    archive_read_free(reader);
    return code;
}

int fetch_gunzip(int from_fd, int to_fd, struct error *err)
{
    struct archive *reader = archive_read_new();
    archive_read_support_format_raw(reader);
    archive_read_support_filter_gzip(reader);
    struct archive_entry *entry;
    int code = 0;
    if (archive_read_open_fd(reader, from_fd, BLOCK_SIZE) != ARCHIVE_OK ||
        archive_read_next_header(reader, &entry) != ARCHIVE_OK) {
        code = fail(err, reader, "open");
    } else if (archive_filter_code(reader, 0) != ARCHIVE_FILTER_GZIP) {
        code = error_set(err, -EINVAL, "Failed to read: not in gzip format");
    } else if (archive_read_data_into_fd(reader, to_fd) != ARCHIVE_OK) {
        code = fail(err, reader, "unpack");
    }
    archive_read_free(reader);
    return code;
}
