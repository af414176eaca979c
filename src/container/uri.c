// SPDX-License-Identifier: Apache-2.0

#include "container/uri.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"

int uri_basename(const char *uri, const char **ret_name, struct error *err)
{
    if (strpbrk(uri, "\\'") != NULL) {
        return error_set(err, -EINVAL, "Illegal characters in URI");
    }
    const char *path = strstr(uri, "://");
    if (path != NULL && path > uri + 1) {
        path += 3;
        const char *slash = strchr(path, '/');
        if (slash == NULL || slash[1] == '\0') {
            return error_set(err, -EINVAL, "Malformed URI (missing path): %s", uri);
        }
    } else {
        path = uri;
    }
    const char *slash = strrchr(path, '/');
    const char *name = slash == NULL ? path : slash + 1;
    if (name[0] == '\0' || strcmp(name, ".") == 0 || strcmp(name, "..") == 0) {
        return error_set(err, -EINVAL, "Malformed URI (no file name): %s", uri);
    }
    *ret_name = name;
    return 0;
}

int uri_check_output(const char *path, struct error *err)
{
    if (path[0] == '\0') {
        return error_set(err, -EINVAL, "URI output file path is empty");
    }
    bool inside = path[0] != '/' && !text_ends_with(path, "/");
    for (const char *at = path; inside && *at != '\0';) {
        size_t size = strcspn(at, "/");
        inside = !(size == 2 && at[0] == '.' && at[1] == '.');
        at += size;
        at += *at == '/';
    }
    if (!inside) {
        return error_set(err, -EINVAL, "URI output file must be within the sandbox directory");
    }
    return 0;
}

bool uri_is_net(const char *uri)
{
    return text_starts_with(uri, "http://") || text_starts_with(uri, "https://") ||
           text_starts_with(uri, "ftp://") || text_starts_with(uri, "ftps://");
}

int uri_local_path(const char *uri, const char *home, char **ret_path, struct error *err)
{
    const char *path = uri;
    bool is_file = text_starts_with(uri, "file://");
    if (is_file) {
        path += strlen("file://");
        if (text_starts_with(path, "localhost/")) {
            path += strlen("localhost");
        }
    } else if (strstr(uri, "://") != NULL) {
        return URI_NOT_LOCAL;
    }
    if (path[0] == '/') {
        *ret_path = mem_strdup(path);
        return URI_LOCAL;
    }
    if (is_file) {
        return error_set(err, -EINVAL, "File URI only supports absolute paths");
    }
    if (home == NULL || home[0] == '\0') {
        return error_set(err, -EINVAL,
                         "A relative path was passed for the resource but the Mesos framework home "
                         "was not specified. Please either provide this config option or avoid "
                         "using a relative path");
    }
    *ret_path = mem_printf("%s/%s", home, path);
    return URI_LOCAL;
}
