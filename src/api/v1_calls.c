// SPDX-License-Identifier: Apache-2.0
//
// The calls of /api/v1 that both daemons have, by the names of their members.

#include <errno.h>

#include "api/common.h"
#include "api/v1_common.h"
#include "base/arena.h"
#include "base/check.h"
#include "proto/mesos.pb-c.h"
#include "wire/wire.h"

static void get_health(struct api_v1_request *q)
{
    ProtobufCMessage *body = api_v1_make_body(q);
    *(protobuf_c_boolean *)api_v1_member(body, "healthy") = api_is_healthy(q->api->common);
    api_v1_respond(q, body);
}

static void get_flags(struct api_v1_request *q)
{
    Mesos__V1__Flag **flags;
    size_t count = api_list_flags(q->api->common, http_arena(q->http), &flags);
    ProtobufCMessage *body = api_v1_make_body(q);
    api_v1_set_list(body, "flags", flags, count);
    api_v1_respond(q, body);
}

static void get_version(struct api_v1_request *q)
{
    ProtobufCMessage *body = api_v1_make_body(q);
    *(Mesos__V1__VersionInfo **)api_v1_member(body, "version_info") =
        api_make_version(http_arena(q->http));
    api_v1_respond(q, body);
}

// All metrics are at hand at once, so that no timeout can be exceeded; a negative one is refused.
static int check_get_metrics(const struct api_v1_request *q, struct error *err)
{
    const Mesos__V1__DurationInfo *timeout =
        *(Mesos__V1__DurationInfo **)api_v1_member(q->body, "timeout");
    if (timeout != NULL && timeout->nanoseconds < 0)
        return error_set(err, -EINVAL, "'get_metrics.timeout' is negative");
    return 0;
}

static void get_metrics(struct api_v1_request *q)
{
    Mesos__V1__Metric **metrics;
    size_t count = api_list_metrics(q->api->common, http_arena(q->http), &metrics);
    ProtobufCMessage *body = api_v1_make_body(q);
    api_v1_set_list(body, "metrics", metrics, count);
    api_v1_respond(q, body);
}

static void get_logging_level(struct api_v1_request *q)
{
    ProtobufCMessage *body = api_v1_make_body(q);
    *(uint32_t *)api_v1_member(body, "level") = (uint32_t)api_get_verbosity(q->api->common);
    api_v1_respond(q, body);
}

static int check_set_logging_level(const struct api_v1_request *q, struct error *err)
{
    uint32_t level = *(uint32_t *)api_v1_member(q->body, "level");
    const Mesos__V1__DurationInfo *duration =
        *(Mesos__V1__DurationInfo **)api_v1_member(q->body, "duration");
    if (level > INT32_MAX)
        return error_set(err, -EINVAL, "Invalid 'set_logging_level.level' %u", level);
    if (duration->nanoseconds < 0)
        return error_set(err, -EINVAL, "'set_logging_level.duration' is negative");
    return 0;
}

static void set_logging_level(struct api_v1_request *q)
{
    const Mesos__V1__DurationInfo *duration =
        *(Mesos__V1__DurationInfo **)api_v1_member(q->body, "duration");
    api_set_verbosity(q->api->common, (int)*(uint32_t *)api_v1_member(q->body, "level"),
                      duration->nanoseconds);
    api_v1_respond_ok(q);
}

static void list_files(struct api_v1_request *q)
{
    struct error err;
    Mesos__V1__FileInfo **files;
    size_t count;
    const char *path = *(char **)api_v1_member(q->body, "path");
    int status = api_files_list(q->api->common, http_arena(q->http), path, &files, &count, &err);
    if (status > 0) {
        api_v1_refuse(q, status, &err);
        return;
    }
    ProtobufCMessage *body = api_v1_make_body(q);
    api_v1_set_list(body, "file_infos", files, count);
    api_v1_respond(q, body);
}

static int check_read_file(const struct api_v1_request *q, struct error *err)
{
    if (*(uint64_t *)api_v1_member(q->body, "offset") > INT64_MAX)
        return error_set(err, -EINVAL, "'read_file.offset' is too large");
    return 0;
}

static void read_file(struct api_v1_request *q)
{
    struct error err;
    const char *path = *(char **)api_v1_member(q->body, "path");
    int64_t length = -1;
    if (api_v1_has(q->body, "length")) {
        uint64_t wanted = *(uint64_t *)api_v1_member(q->body, "length");
        length = wanted > INT64_MAX ? INT64_MAX : (int64_t)wanted;
    }
    struct api_file_piece piece;
    int status = api_files_read_piece(q->api->common, http_arena(q->http), path,
                                      (int64_t) * (uint64_t *)api_v1_member(q->body, "offset"),
                                      length, &piece, &err);
    if (status > 0) {
        api_v1_refuse(q, status, &err);
        return;
    }
    ProtobufCMessage *body = api_v1_make_body(q);
    *(uint64_t *)api_v1_member(body, "size") = (uint64_t)piece.file_size;
    *(ProtobufCBinaryData *)api_v1_member(body, "data") =
        (ProtobufCBinaryData){.data = (uint8_t *)piece.data, .len = piece.size};
    api_v1_respond(q, body);
}

const struct api_v1_row api_v1_common_rows[] = {
    {"GET_HEALTH", get_health, NULL, false, false},
    {"GET_FLAGS", get_flags, NULL, false, false},
    {"GET_VERSION", get_version, NULL, false, false},
    {"GET_METRICS", get_metrics, check_get_metrics, false, false},
    {"GET_LOGGING_LEVEL", get_logging_level, NULL, false, false},
    {"SET_LOGGING_LEVEL", set_logging_level, check_set_logging_level, false, false},
    {"LIST_FILES", list_files, NULL, false, false},
    {"READ_FILE", read_file, check_read_file, false, false},
};
const size_t api_v1_common_row_count = ARRAY_COUNT(api_v1_common_rows);
