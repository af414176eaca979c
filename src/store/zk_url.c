// SPDX-License-Identifier: Apache-2.0

#include <errno.h>
#include <string.h>

#include "base/fd.h"
#include "base/mem.h"
#include "base/text.h"
#include "store/zk.h"

enum { URL_FILE_SIZE_MAX = 4096 };

static bool is_path_sound(const char *path)
{
    if (path[0] != '/' || path[1] == '\0' || strstr(path, "//") != NULL)
        return false;
    for (const char *c = path; *c != '\0'; c++) {
        if ((unsigned char)*c <= ' ' || (unsigned char)*c == 0x7f)
            return false;
    }
    return strstr(path, "/./") == NULL && strstr(path, "/../") == NULL &&
           !text_ends_with(path, "/.") && !text_ends_with(path, "/..");
}

static int parse(const char *text, struct zk_url *ret_url, struct error *err)
{
    if (!text_starts_with(text, "zk://"))
        return error_set(err, -EINVAL, "Expecting 'zk://' at the beginning of the URL");
    const char *rest = text + strlen("zk://");
    const char *slash = strchr(rest, '/');
    if (slash == NULL)
        return error_set(err, -EINVAL, "Expecting a (chroot) path for ZooKeeper");
    // A password may contain '@'; hosts may not. It may not contain '/', as in Mesos.
    const char *at = memrchr(rest, '@', (size_t)(slash - rest));
    const char *servers = at != NULL ? at + 1 : rest;
    if (at != NULL && memchr(rest, ':', (size_t)(at - rest)) == NULL)
        return error_set(err, -EINVAL, "Expecting 'user:password@' before ZooKeeper's servers");
    if (servers == slash)
        return error_set(err, -EINVAL, "Expecting at least one server of ZooKeeper");
    AUTO_FREE char *path = mem_strdup(slash);
    size_t size = strlen(path);
    while (size > 1 && path[size - 1] == '/')
        path[--size] = '\0';
    if (strcmp(path, "/") == 0)
        return error_set(err, -EINVAL,
                         "Expecting a (chroot) path for ZooKeeper ('/' is not supported)");
    if (!is_path_sound(path))
        return error_set(err, -EINVAL, "'%s' is no path for ZooKeeper", path);
    ret_url->servers = mem_strndup(servers, (size_t)(slash - servers));
    ret_url->credentials = at != NULL ? mem_strndup(rest, (size_t)(at - rest)) : NULL;
    ret_url->path = TAKE_PTR(path);
    return 0;
}

static int read_file(const char *text, char **ret_content, struct error *err)
{
    size_t size;
    int r = file_read(text + strlen("file://"), URL_FILE_SIZE_MAX, ret_content, &size, err);
    return r < 0 ? error_wrap(err, r, "Cannot read ZooKeeper's URL") : 0;
}

int zk_url_parse(const char *text, struct zk_url *ret_url, struct error *err)
{
    if (!text_starts_with(text, "file://"))
        return parse(text, ret_url, err);
    AUTO_FREE char *content = NULL;
    int r = read_file(text, &content, err);
    return r < 0 ? r : parse(text_trim(content), ret_url, err);
}

void zk_url_free(struct zk_url *url)
{
    mem_free(url->servers);
    mem_free(url->credentials);
    mem_free(url->path);
    *url = (struct zk_url){0};
}

bool zk_url_is(const char *text)
{
    if (!text_starts_with(text, "file://"))
        return text_starts_with(text, "zk://");
    AUTO_FREE char *content = NULL;
    return read_file(text, &content, NULL) == 0 && text_starts_with(text_trim(content), "zk://");
}
