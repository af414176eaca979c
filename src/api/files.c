// SPDX-License-Identifier: Apache-2.0
//
// /files/browse, read, download and debug: a virtual tree over the directories and files that were
// attached.
//
// Whoever writes into an attached directory (a task into its sandbox) must not lead a reader out of
// it. A path is made canonical first; what lies outside of the attached directory is refused; and
// then it is opened part by part without following any symbolic link, so that a link that was put
// in its place meanwhile leads nowhere.

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/common.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/text.h"
#include "wire/wire.h"

// Most bytes that one /files/read gives: 16 pages.
#define READ_SIZE_MAX (16 * 4096)
// Most entries that one /files/browse gives.
#define BROWSE_COUNT_MAX 100000

struct attached {
    char *virtual_path; // as it was attached, for /files/debug
    char *real_path;    // canonical
    bool is_directory;
};

// ---- attaching ----

// The path without slashes at its ends and without doubled ones; the caller frees.
static char *normalize(const char *path)
{
    char *text = mem_alloc(strlen(path) + 1);
    size_t size = 0;
    for (; *path != '\0'; path++) {
        if (*path != '/' || (size > 0 && text[size - 1] != '/')) {
            text[size++] = *path;
        }
    }
    if (size > 0 && text[size - 1] == '/') {
        size--;
    }
    text[size] = '\0';
    return text;
}

static void attached_free(struct attached *a)
{
    if (a != NULL) {
        mem_free(a->virtual_path);
        mem_free(a->real_path);
        mem_free(a);
    }
}

int api_files_attach(struct api_common *common, const char *virtual_path, const char *real_path,
                     struct error *err)
{
    char canonical[PATH_MAX];
    struct stat st;
    if (realpath(real_path, canonical) == NULL) {
        return error_errno(err, -errno, "Failed to get realpath of '%s'", real_path);
    }
    if (access(canonical, R_OK) < 0 || stat(canonical, &st) < 0) {
        return error_errno(err, -errno, "Failed to access '%s'", real_path);
    }
    AUTO_FREE char *key = normalize(virtual_path);
    struct attached *a = mem_alloc(sizeof(*a));
    *a = (struct attached){mem_strdup(virtual_path), mem_strdup(canonical), S_ISDIR(st.st_mode)};
    attached_free(map_put(&common->files, key, a));
    return 0;
}

void api_files_detach(struct api_common *common, const char *virtual_path)
{
    AUTO_FREE char *key = normalize(virtual_path);
    attached_free(map_remove(&common->files, key));
}

void api_files_clear(struct api_common *common)
{
    MAP_FOREACH (&common->files, entry) {
        attached_free(entry->value);
    }
    map_free(&common->files);
}

// ---- resolving ----

// An error's text, and the HTTP status that goes with it.
#define refuse(err, status, ...) (error_set((err), -EINVAL, __VA_ARGS__), (status))

// Errors of the v0 endpoints end with a full stop and a line.
static void respond_error(struct http_request *r, int status, const struct error *err)
{
    http_respond_text(r, status, "%s.\n", err->text);
}

// Whether the canonical `path` is `root` or lies beneath it.
static bool is_beneath(const char *path, const char *root)
{
    size_t size = strlen(root);
    return strncmp(path, root, size) == 0 &&
           (path[size] == '\0' || path[size] == '/' || (size > 0 && root[size - 1] == '/'));
}

// Finds the attached path that is the longest prefix. `ret_rest` points into `key`.
static const struct attached *find_attached(const struct api_common *common, const char *key,
                                            const char **ret_rest)
{
    for (size_t size = strlen(key); size > 0;) {
        const struct attached *a = map_get_n(&common->files, key, size);
        if (a != NULL) {
            *ret_rest = key[size] == '/' ? key + size + 1 : key + size;
            return a;
        }
        do {
            size--;
        } while (size > 0 && key[size] != '/');
    }
    return NULL;
}

// The canonical path (of PATH_MAX bytes) behind a virtual one, and the root it must stay beneath.
// 0, or the status to answer with `err`.
static int resolve(struct api_common *common, const char *virtual_path, char *ret_path,
                   const char **ret_root, struct error *err)
{
    AUTO_FREE char *key = normalize(virtual_path);
    const char *rest = "";
    const struct attached *a = find_attached(common, key, &rest);
    if (a == NULL || (!a->is_directory && *rest != '\0'))
        return refuse(err, 404, "There is no '%s'", virtual_path);
    AUTO_FREE char *path =
        *rest == '\0' ? mem_strdup(a->real_path) : mem_printf("%s/%s", a->real_path, rest);
    if (realpath(path, ret_path) == NULL) {
        int code = errno;
        if (code == ENOENT || code == ENOTDIR)
            return refuse(err, 404, "There is no '%s'", virtual_path);
        return refuse(err, 400, "Failed to determine canonical path of '%s': %s", path,
                      strerror(code));
    }
    if (!is_beneath(ret_path, a->real_path))
        return refuse(err, 400, "'%s' is inaccessible", path);
    *ret_root = a->real_path;
    return 0;
}

// Opens a canonical path part by part; a symbolic link anywhere in it is an error. O_NONBLOCK keeps
// a FIFO from holding us up.
static int open_canonical(const char *path, int flags)
{
    AUTO_CLOSE int at = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    AUTO_FREE char *copy = mem_strdup(path);
    char *save = NULL;
    char *part = strtok_r(copy, "/", &save);
    while (at >= 0 && part != NULL) {
        char *next = strtok_r(NULL, "/", &save);
        int opened = next == NULL ? openat(at, part, flags | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)
                                  : openat(at, part, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (opened < 0) {
            return -errno;
        }
        close(at);
        at = opened;
        part = next;
    }
    return at < 0 ? -errno : TAKE_FD(at);
}

// The request's `path`, or NULL after answering.
static const char *take_path(struct http_request *r)
{
    const char *path = http_query(r, "path");
    if (path == NULL || *path == '\0') {
        http_respond_text(r, 400, "Expecting 'path=value' in query.\n");
        return NULL;
    }
    return path;
}

// Opens the regular file behind `path`. `verb` is for the text ("read", "download"). 0, or the
// status to answer with `err`.
static int open_file(struct api_common *common, const char *path, const char *verb, int *ret_fd,
                     char *ret_real, struct stat *ret_stat, struct error *err)
{
    const char *root;
    int status = resolve(common, path, ret_real, &root, err);
    if (status > 0)
        return status;
    AUTO_CLOSE int fd = open_canonical(ret_real, O_RDONLY);
    if (fd < 0)
        return refuse(err, 500, "Failed to open file at '%s': %s", ret_real, strerror(-fd));
    if (fstat(fd, ret_stat) < 0 || S_ISDIR(ret_stat->st_mode))
        return refuse(err, 400, "Cannot %s a directory", verb);
    if (!S_ISREG(ret_stat->st_mode))
        return refuse(err, 400, "Cannot %s what is not a regular file", verb);
    *ret_fd = TAKE_FD(fd);
    return 0;
}

// ---- browse ----

// Names of users and groups are looked up once per listing as long as they stay the same.
struct names {
    bool is_known;
    uid_t uid;
    gid_t gid;
    char user[64];
    char group[64];
};

static void look_up_names(struct names *names, const struct stat *st)
{
    if (names->is_known && names->uid == st->st_uid && names->gid == st->st_gid) {
        return;
    }
    char space[4096];
    struct passwd user;
    struct passwd *found_user = NULL;
    struct group group;
    struct group *found_group = NULL;
    getpwuid_r(st->st_uid, &user, space, sizeof(space), &found_user);
    if (found_user != NULL) {
        snprintf(names->user, sizeof(names->user), "%s", user.pw_name);
    } else {
        snprintf(names->user, sizeof(names->user), "%u", (unsigned)st->st_uid);
    }
    getgrgid_r(st->st_gid, &group, space, sizeof(space), &found_group);
    if (found_group != NULL) {
        snprintf(names->group, sizeof(names->group), "%s", group.gr_name);
    } else {
        snprintf(names->group, sizeof(names->group), "%u", (unsigned)st->st_gid);
    }
    names->is_known = true;
    names->uid = st->st_uid;
    names->gid = st->st_gid;
}

// "-rw-r--r--"
static void put_mode(mode_t mode, char ret_text[11])
{
    static const char bits[] = "rwxrwxrwx";
    ret_text[0] = S_ISDIR(mode)    ? 'd'
                  : S_ISCHR(mode)  ? 'c'
                  : S_ISBLK(mode)  ? 'b'
                  : S_ISFIFO(mode) ? 'p'
                  : S_ISLNK(mode)  ? 'l'
                  : S_ISSOCK(mode) ? 's'
                                   : '-';
    for (int i = 0; i < 9; i++) {
        ret_text[i + 1] = (mode >> (8 - i) & 1) != 0 ? bits[i] : '-';
    }
    ret_text[10] = '\0';
}

static Mesos__V1__FileInfo *make_file(struct arena *arena, const char *directory, const char *name,
                                      const struct stat *st, struct names *names)
{
    look_up_names(names, st);
    size_t size = strlen(directory);
    while (size > 0 && directory[size - 1] == '/') {
        size--;
    }
    Mesos__V1__FileInfo *file = WIRE_NEW(arena, Mesos__V1__FileInfo, mesos__v1__file_info);
    file->path = arena_printf(arena, "%.*s/%s", (int)size, directory, name);
    file->has_nlink = true;
    file->nlink = (int32_t)st->st_nlink;
    file->has_size = true;
    file->size = (uint64_t)st->st_size;
    file->mtime = WIRE_NEW(arena, Mesos__V1__TimeInfo, mesos__v1__time_info);
    file->mtime->nanoseconds = (int64_t)st->st_mtime * NS_PER_S;
    file->has_mode = true;
    file->mode = st->st_mode;
    file->uid = arena_strdup(arena, names->user);
    file->gid = arena_strdup(arena, names->group);
    return file;
}

static void put_file(struct json_writer *w, const Mesos__V1__FileInfo *file)
{
    char mode[11];
    put_mode(file->mode, mode);
    json_object_open(w);
    json_key_string(w, "gid", file->gid);
    json_key_string(w, "mode", mode);
    json_key_double(w, "mtime", (double)(file->mtime->nanoseconds / NS_PER_S));
    json_key_u64(w, "nlink", (uint64_t)file->nlink);
    json_key_string(w, "path", file->path);
    json_key_u64(w, "size", file->size);
    json_key_string(w, "uid", file->uid);
    json_object_close(w);
}

// What a link leads to, where that lies within the root; else of the link itself.
static int stat_entry(int directory, const char *directory_path, const char *root, const char *name,
                      struct stat *ret_stat)
{
    if (fstatat(directory, name, ret_stat, AT_SYMLINK_NOFOLLOW) < 0) {
        return -errno;
    }
    if (S_ISLNK(ret_stat->st_mode)) {
        char target[PATH_MAX];
        AUTO_FREE char *path = mem_printf("%s/%s", directory_path, name);
        struct stat st;
        if (realpath(path, target) != NULL && is_beneath(target, root) && lstat(target, &st) == 0) {
            *ret_stat = st;
        }
    }
    return 0;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

// The names in the directory, sorted; the caller frees each and the array.
static size_t list_names(int directory, char ***ret_names)
{
    char **names = NULL;
    size_t count = 0;
    size_t capacity = 0;
    int copy = fcntl(directory, F_DUPFD_CLOEXEC, 0);
    DIR *dir = copy < 0 ? NULL : fdopendir(copy);
    if (dir == NULL && copy >= 0) {
        close(copy);
    }
    for (struct dirent *entry; dir != NULL && (entry = readdir(dir)) != NULL;) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) {
            continue;
        }
        if (count == BROWSE_COUNT_MAX) {
            break;
        }
        if (count == capacity) {
            capacity = capacity * 2 + 32;
            names = mem_realloc_array(names, capacity, sizeof(*names));
        }
        names[count++] = mem_strdup(entry->d_name);
    }
    if (dir != NULL) {
        closedir(dir);
    }
    if (count > 0) {
        qsort(names, count, sizeof(*names), compare_names);
    }
    *ret_names = names;
    return count;
}

int api_files_list(struct api_common *common, struct arena *arena, const char *path,
                   Mesos__V1__FileInfo ***ret_files, size_t *ret_count, struct error *err)
{
    char real[PATH_MAX];
    const char *root;
    int status = resolve(common, path, real, &root, err);
    if (status > 0)
        return status;
    // What is no directory lists as empty.
    AUTO_CLOSE int directory = open_canonical(real, O_RDONLY | O_DIRECTORY);
    char **names = NULL;
    size_t count = directory < 0 ? 0 : list_names(directory, &names);
    Mesos__V1__FileInfo **files = arena_calloc(arena, count + 1, sizeof(Mesos__V1__FileInfo *));
    size_t file_count = 0;
    struct names owner = {.is_known = false};
    for (size_t i = 0; i < count; i++) {
        struct stat st;
        if (stat_entry(directory, real, root, names[i], &st) == 0)
            files[file_count++] = make_file(arena, path, names[i], &st, &owner);
        mem_free(names[i]);
    }
    mem_free(names);
    *ret_files = files;
    *ret_count = file_count;
    return 0;
}

void api_files_browse(void *ctx, struct http_request *r)
{
    const char *path = take_path(r);
    if (path == NULL)
        return;
    Mesos__V1__FileInfo **files;
    size_t count;
    struct error err;
    int status = api_files_list(api_common_cast(ctx), http_arena(r), path, &files, &count, &err);
    if (status > 0) {
        respond_error(r, status, &err);
        return;
    }
    AUTO_BUF struct buf out = BUF_INIT;
    struct json_writer w;
    json_begin(&w, &out);
    json_array_open(&w);
    for (size_t i = 0; i < count; i++)
        put_file(&w, files[i]);
    json_array_close(&w);
    api_respond_json(r, &out);
}

// ---- read ----

// `offset` or `length`: at least -1. Answers and returns false when it is not.
static bool take_number(struct http_request *r, const char *name, int64_t *ret_value)
{
    const char *text = http_query(r, name);
    *ret_value = -1;
    if (text == NULL) {
        return true;
    }
    if (text_parse_i64(text, ret_value, NULL) < 0) {
        http_respond_text(r, 400, "Failed to parse %s: Failed to convert '%s' to number.\n", name,
                          text);
        return false;
    }
    if (*ret_value < -1) {
        http_respond_text(r, 400, "Negative %s provided: %lld.\n", name, (long long)*ret_value);
        return false;
    }
    return true;
}

// Leaves out a character that the end of the piece cuts in two: who asks for the next piece gets it
// whole.
static size_t cut_at_character(const unsigned char *data, size_t size)
{
    size_t back = 1;
    while (back < 4 && back < size && (data[size - back] & 0xc0) == 0x80) {
        back++;
    }
    if (size <= back) {
        return size;
    }
    unsigned char lead = data[size - back];
    size_t needed = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc2 ? 2 : 1;
    return needed > back ? size - back : size;
}

static void respond_data(struct http_request *r, int64_t offset, const char *data, size_t size)
{
    AUTO_BUF struct buf out = BUF_INIT;
    struct json_writer w;
    json_begin(&w, &out);
    json_object_open(&w);
    json_key(&w, "data");
    json_string_n(&w, data, size);
    json_key_i64(&w, "offset", offset);
    json_object_close(&w);
    api_respond_json(r, &out);
}

int api_files_read_piece(struct api_common *common, struct arena *arena, const char *path,
                         int64_t offset, int64_t length, struct api_file_piece *ret_piece,
                         struct error *err)
{
    char real[PATH_MAX];
    struct stat st;
    AUTO_CLOSE int fd = -1;
    int status = open_file(common, path, "read", &fd, real, &st, err);
    if (status > 0)
        return status;
    int64_t left = offset >= st.st_size ? 0 : st.st_size - offset;
    int64_t wanted = length == -1 || length > left ? left : length;
    if (offset == -1)
        wanted = 0;
    wanted = wanted > READ_SIZE_MAX ? READ_SIZE_MAX : wanted;
    char *data = arena_alloc(arena, (size_t)wanted + 1);
    ssize_t size = wanted == 0 ? 0 : pread(fd, data, (size_t)wanted, offset);
    if (size < 0)
        return refuse(err, 500, "Failed to read file at '%s': %s", real, strerror(errno));
    *ret_piece = (struct api_file_piece){
        .data = data, .size = (size_t)size, .left = left, .file_size = st.st_size};
    return 0;
}

void api_files_read(void *ctx, struct http_request *r)
{
    const char *path = take_path(r);
    int64_t offset;
    int64_t length;
    if (path == NULL || !take_number(r, "offset", &offset) || !take_number(r, "length", &length)) {
        return;
    }
    struct api_file_piece piece;
    struct error err;
    int status = api_files_read_piece(api_common_cast(ctx), http_arena(r), path, offset, length,
                                      &piece, &err);
    if (status > 0) {
        respond_error(r, status, &err);
        return;
    }
    // Without an offset: how long the file is.
    if (offset == -1) {
        respond_data(r, piece.file_size, "", 0);
        return;
    }
    size_t given = piece.size;
    if ((int64_t)piece.size < piece.left) {
        given = cut_at_character((const unsigned char *)piece.data, given);
    }
    respond_data(r, offset, piece.data, given);
}

// ---- download ----

static const struct {
    const char *extension;
    const char *type;
} types[] = {
    {"avi", "video/x-msvideo"},
    {"bmp", "image/x-ms-bmp"},
    {"c", "text/plain"},
    {"css", "text/css"},
    {"csv", "text/csv"},
    {"gif", "image/gif"},
    {"gtar", "application/x-gtar"},
    {"h", "text/plain"},
    {"htm", "text/html"},
    {"html", "text/html"},
    {"jpeg", "image/jpeg"},
    {"jpg", "image/jpeg"},
    {"js", "application/x-javascript"},
    {"json", "application/json"},
    {"mov", "video/quicktime"},
    {"mp3", "audio/mpeg"},
    {"mp4", "video/mp4"},
    {"mpeg", "video/mpeg"},
    {"pdf", "application/pdf"},
    {"pl", "text/plain"},
    {"png", "image/png"},
    {"ps", "application/postscript"},
    {"py", "text/x-python"},
    {"sh", "application/x-sh"},
    {"svg", "image/svg+xml"},
    {"tar", "application/x-tar"},
    {"tif", "image/tiff"},
    {"tsv", "text/tab-separated-values"},
    {"txt", "text/plain"},
    {"wav", "audio/x-wav"},
    {"xml", "text/xml"},
    {"zip", "application/zip"},
};

static const char *type_of(const char *name)
{
    const char *dot = strrchr(name, '.');
    for (size_t i = 0; dot != NULL && i < ARRAY_COUNT(types); i++) {
        if (strcmp(dot + 1, types[i].extension) == 0) {
            return types[i].type;
        }
    }
    return "application/octet-stream";
}

void api_files_download(void *ctx, struct http_request *r)
{
    struct api_common *common = api_common_cast(ctx);
    const char *path = take_path(r);
    char real[PATH_MAX];
    struct stat st;
    if (path == NULL)
        return;
    int fd;
    struct error err;
    int status = open_file(common, path, "download", &fd, real, &st, &err);
    if (status > 0) {
        respond_error(r, status, &err);
        return;
    }
    const char *slash = strrchr(real, '/');
    char *name = arena_strdup(http_arena(r), slash == NULL ? real : slash + 1);
    // A header's value: no control characters, quotes or separators of parameters.
    for (char *p = name; *p != '\0'; p++) {
        if ((unsigned char)*p < 0x20 || *p == 0x7f || strchr("\"\\;", *p) != NULL) {
            *p = '_';
        }
    }
    struct http_header header = {"Content-Disposition",
                                 arena_printf(http_arena(r), "attachment; filename=%s", name)};
    http_respond_file(r, 200, type_of(name), fd, 0, (uint64_t)st.st_size, &header, 1);
}

// ---- debug ----

void api_files_debug(void *ctx, struct http_request *r)
{
    struct api_common *common = api_common_cast(ctx);
    AUTO_BUF struct buf out = BUF_INIT;
    struct json_writer w;
    json_begin(&w, &out);
    json_object_open(&w);
    MAP_FOREACH (&common->files, entry) {
        const struct attached *a = entry->value;
        json_key_string(&w, a->virtual_path, a->real_path);
    }
    json_object_close(&w);
    api_respond_json(r, &out);
}
