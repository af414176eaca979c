// SPDX-License-Identifier: Apache-2.0
//
// Reads addresses. The texts name what the user wrote, since they are printed as they are.

#include "client/address.h"

#include <errno.h>
#include <string.h>

#include "base/fd.h"
#include "base/mem.h"
#include "base/text.h"

enum { ADDRESS_FILE_SIZE_MAX = 4096 };

// Takes the host from `host`, `size` bytes, and the port from `port` (NULL: the default).
static int address_fill(const char *text, const char *host, size_t size, const char *port,
                        uint16_t default_port, struct address *ret_address, struct error *err)
{
    if (size == 0 || size >= ADDRESS_HOST_SIZE) {
        return error_set(err, -EINVAL, "Bad address '%s': the host is missing or too long", text);
    }
    for (size_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char)host[i];
        if (c <= ' ' || c >= 0x7f || strchr("/?#@\"<>\\", c) != NULL) {
            return error_set(err, -EINVAL, "Bad address '%s': no such character in a host", text);
        }
    }
    uint64_t number = default_port;
    if (port != NULL &&
        (text_parse_u64(port, &number, NULL) != 0 || number == 0 || number > 65535)) {
        return error_set(err, -EINVAL, "Bad address '%s': the port is not a number from 1 to 65535",
                         text);
    }
    memcpy(ret_address->host, host, size);
    ret_address->host[size] = '\0';
    ret_address->port = (uint16_t)number;
    return 0;
}

int address_parse(const char *text, uint16_t default_port, struct address *ret_address,
                  struct error *err)
{
    if (text[0] == '[') {
        const char *end = strchr(text, ']');
        if (end == NULL || (end[1] != '\0' && end[1] != ':')) {
            return error_set(err, -EINVAL, "Bad address '%s': expected [host]:port", text);
        }
        return address_fill(text, text + 1, (size_t)(end - text - 1),
                            end[1] == ':' ? end + 2 : NULL, default_port, ret_address, err);
    }
    const char *colon = strchr(text, ':');
    if (colon != NULL && strchr(colon + 1, ':') != NULL) {
        return error_set(err, -EINVAL, "Bad address '%s': expected host:port or [host]:port", text);
    }
    size_t size = colon != NULL ? (size_t)(colon - text) : strlen(text);
    return address_fill(text, text, size, colon != NULL ? colon + 1 : NULL, default_port,
                        ret_address, err);
}

static int address_parse_master_text(const char *text, struct address *ret_address,
                                     struct error *err)
{
    if (text_starts_with(text, "zk://")) {
        return error_set(err, -ENOTSUP, "'%s' is no address: the master has to be looked for there",
                         text);
    }
    if (text_starts_with(text, "https://")) {
        return error_set(err, -ENOTSUP,
                         "'%s': TLS is not supported yet; give the master as host:port", text);
    }
    if (text_starts_with(text, "http://")) {
        AUTO_FREE char *rest = mem_strdup(text + strlen("http://"));
        size_t size = strlen(rest);
        if (size > 0 && rest[size - 1] == '/') {
            rest[size - 1] = '\0';
        }
        return address_parse(rest, ADDRESS_PORT_MASTER, ret_address, err);
    }
    return address_parse(text, ADDRESS_PORT_MASTER, ret_address, err);
}

int address_parse_master(const char *text, struct address *ret_address, struct error *err)
{
    if (!text_starts_with(text, "file://")) {
        return address_parse_master_text(text, ret_address, err);
    }
    AUTO_FREE char *data = NULL;
    size_t size;
    int r = file_read(text + strlen("file://"), ADDRESS_FILE_SIZE_MAX, &data, &size, err);
    if (r < 0) {
        return error_wrap(err, r, "Cannot read the master's address");
    }
    return address_parse_master_text(text_trim(data), ret_address, err);
}

int address_parse_location(const char *location, struct address *ret_address, struct error *err)
{
    const char *host = location;
    if (text_starts_with(host, "http:")) {
        host += strlen("http:");
    }
    if (!text_starts_with(host, "//")) {
        return error_set(err, -EINVAL, "Redirected to '%s', which names no host", location);
    }
    host += 2;
    AUTO_FREE char *authority = mem_strndup(host, strcspn(host, "/?#"));
    return address_parse(authority, ADDRESS_PORT_MASTER, ret_address, err);
}
