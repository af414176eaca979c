// SPDX-License-Identifier: Apache-2.0
//
// ATTACH_CONTAINER_INPUT: a request whose body is a stream of calls. The first one names the
// container; each other one brings bytes for its input, a new size of its terminal's window, or a
// heartbeat. It is answered when the stream ends, when something in it is wrong, or when the
// container has ended.

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "api/agent_v1.h"
#include "base/check.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "wire/recordio.h"
#include "wire/wire.h"

enum { INPUT_MAGIC = 0x494e5054, RECORD_SIZE_MAX = 1024 * 1024 };

#define IO_TYPE(name) MESOS__V1__AGENT__PROCESS_IO__TYPE__##name
#define CONTROL_TYPE(name) MESOS__V1__AGENT__PROCESS_IO__CONTROL__TYPE__##name
#define DATA_TYPE(name) MESOS__V1__AGENT__PROCESS_IO__DATA__TYPE__##name
#define INPUT_TYPE(name) MESOS__V1__AGENT__CALL__ATTACH_CONTAINER_INPUT__TYPE__##name

struct input {
    uint32_t magic;
    struct agent_daemon *daemon;
    struct http_request *http;
    enum content_type type; // of the records
    struct recordio_reader records;
    struct arena *arena; // of one record
    char *container_id;  // NULL before the first record
    struct container_listener listener;
    int status; // to answer with at once; 0: not yet
    struct error err;
};

static void input_free(struct input *in)
{
    containerizer_detach(&in->listener);
    if (in->container_id != NULL) {
        map_remove(&in->daemon->v1_inputs, in->container_id);
    }
    recordio_reader_free(&in->records);
    arena_free(in->arena);
    mem_free(in->container_id);
    in->magic = 0;
    mem_free(in);
}

static void answer(struct input *in, int status, const char *text)
{
    struct http_request *http = in->http;
    http_on_abort(http, NULL, NULL);
    if (status == 200) {
        http_respond_status(http, 200);
    } else {
        http_respond_text(http, status, "%s", text);
    }
    input_free(in); // `text` may lie in it
}

static void on_abort(void *ctx, struct http_request *r)
{
    (void)r;
    input_free(CHECK_CAST(input, INPUT_MAGIC, ctx));
}

static int refuse(struct input *in, int status, const char *text)
{
    in->status = status;
    return error_set(&in->err, -ECANCELED, "%s", text);
}

// ---- the container ----

static void on_output(struct container_listener *listener, enum container_output which,
                      const void *data, size_t size)
{
    (void)listener;
    (void)which;
    (void)data;
    (void)size;
}

static void on_container_end(struct container_listener *listener)
{
    answer(CONTAINER_OF(listener, struct input, listener), 200, NULL);
}

static void on_drained(struct container_listener *listener)
{
    http_pause_parts(CONTAINER_OF(listener, struct input, listener)->http, false);
}

static int attach(struct input *in, const Mesos__V1__Agent__Call__AttachContainerInput *body)
{
    struct agent_daemon *d = in->daemon;
    if (!body->has_type || body->type != INPUT_TYPE(CONTAINER_ID)) {
        return refuse(in, 400, "Expecting 'attach_container_input.type' to be CONTAINER_ID");
    }
    if (body->container_id == NULL) {
        return refuse(in, 400, "Expecting 'attach_container_input.container_id' to be present");
    }
    struct error err;
    if (agent_v1_check_id(body->container_id, &err) < 0) {
        error_wrap(&err, -EINVAL,
                   "Failed to validate agent::Call: 'attach_container_input.container_id' is "
                   "invalid");
        return refuse(in, 400, err.text);
    }
    const char *id = agent_v1_id_text(body->container_id, in->arena);
    if (map_has(&d->v1_inputs, id)) {
        return refuse(in, 409, "Multiple input connections are not allowed");
    }
    int r = containerizer_attach(d->containerizer, id, &in->listener, &err);
    if (r < 0) {
        return refuse(in, r == -ENOENT ? 404 : 500, err.text);
    }
    in->container_id = mem_strdup(id);
    map_put(&d->v1_inputs, in->container_id, in);
    return 0;
}

// ---- records ----

static int take_data(struct input *in, const Mesos__V1__Agent__ProcessIO__Data *data)
{
    struct containerizer *c = in->daemon->containerizer;
    if (data == NULL) {
        return refuse(in, 400, "Expecting 'process_io.data' to be present");
    }
    if (!data->has_type) {
        return refuse(in, 400, "Expecting 'process_io.data.type' to be present");
    }
    if (data->type != DATA_TYPE(STDIN)) {
        return refuse(in, 400, "Expecting 'process_io.data.type' to be 'STDIN'");
    }
    if (!data->has_data) {
        return refuse(in, 400, "Expecting 'process_io.data.data' to be present");
    }
    struct error err;
    int r = data->data.len == 0
                ? containerizer_close_input(c, in->container_id, &err)
                : containerizer_write(c, in->container_id, data->data.data, data->data.len, &err);
    if (r < 0) {
        return refuse(in, 500, err.text);
    }
    if (r > 0) {
        http_pause_parts(in->http, true);
    }
    return 0;
}

static int take_control(struct input *in, const Mesos__V1__Agent__ProcessIO__Control *control)
{
    if (control == NULL) {
        return refuse(in, 400, "Expecting 'process_io.control' to be present");
    }
    if (!control->has_type) {
        return refuse(in, 400, "Expecting 'process_io.control.type' to be present");
    }
    if (control->type == CONTROL_TYPE(HEARTBEAT)) {
        return control->heartbeat != NULL
                   ? 0
                   : refuse(in, 400, "Expecting 'process_io.control.heartbeat' to be present");
    }
    if (control->type != CONTROL_TYPE(TTY_INFO)) {
        return refuse(in, 400, "'process_io.control.type' is unknown");
    }
    if (control->tty_info == NULL) {
        return refuse(in, 400, "Expecting 'process_io.control.tty_info' to be present");
    }
    const Mesos__V1__TTYInfo__WindowSize *size = control->tty_info->window_size;
    if (size == NULL) {
        return refuse(in, 400, "Expecting 'tty_info.window_size' to be present");
    }
    struct error err;
    int r = containerizer_resize(in->daemon->containerizer, in->container_id, (uint16_t)size->rows,
                                 (uint16_t)size->columns, &err);
    return r < 0 ? refuse(in, 400, err.text) : 0;
}

static int take_io(struct input *in, const Mesos__V1__Agent__Call__AttachContainerInput *body)
{
    if (!body->has_type || body->type != INPUT_TYPE(PROCESS_IO)) {
        return refuse(in, 400, "Expecting 'attach_container_input.type' to be 'PROCESS_IO'");
    }
    const Mesos__V1__Agent__ProcessIO *io = body->process_io;
    if (io == NULL) {
        return refuse(in, 400, "Expecting 'attach_container_input.process_io' to be present");
    }
    if (!io->has_type) {
        return refuse(in, 400, "Expecting 'process_io.type' to be present");
    }
    switch (io->type) {
    case IO_TYPE(DATA):
        return take_data(in, io->data);
    case IO_TYPE(CONTROL):
        return take_control(in, io->control);
    default:
        return refuse(in, 400, "'process_io.type' is unknown");
    }
}

static int take_call(struct input *in, const Mesos__V1__Agent__Call *call)
{
    if (!call->has_type) {
        return refuse(in, 400, "Failed to validate agent::Call: Expecting 'type' to be present");
    }
    if (call->type != MESOS__V1__AGENT__CALL__TYPE__ATTACH_CONTAINER_INPUT) {
        const char *name =
            wire_enum_name(&mesos__v1__agent__call__type__descriptor, (int)call->type);
        return refuse(in, 415,
                      arena_printf(in->arena,
                                   "Streaming 'Content-Type' %s is not supported for %s call",
                                   CONTENT_RECORDIO_NAME, name));
    }
    if (call->attach_container_input == NULL) {
        return refuse(in, 400,
                      "Failed to validate agent::Call: Expecting 'attach_container_input' to be "
                      "present");
    }
    return in->container_id == NULL ? attach(in, call->attach_container_input)
                                    : take_io(in, call->attach_container_input);
}

static int on_record(void *ctx, const void *record, size_t size)
{
    struct input *in = CHECK_CAST(input, INPUT_MAGIC, ctx);
    ProtobufCMessage *message;
    struct error err;
    int r = content_decode(in->type, &mesos__v1__agent__call__descriptor, in->arena, record, size,
                           &message, &err);
    if (r < 0) {
        return refuse(in, 400, err.text);
    }
    r = take_call(in, (const Mesos__V1__Agent__Call *)(const void *)message);
    arena_reset(in->arena);
    return r;
}

static void on_part(void *ctx, const void *data, size_t size, bool is_last)
{
    struct input *in = CHECK_CAST(input, INPUT_MAGIC, ctx);
    struct error err;
    int r = recordio_feed(&in->records, data, size, on_record, in, &err);
    if (r < 0) {
        answer(in, in->status != 0 ? in->status : 400, in->status != 0 ? in->err.text : err.text);
    } else if (is_last && in->container_id == NULL) {
        answer(in, 400, "Received EOF while reading request body");
    } else if (is_last && !recordio_reader_is_idle(&in->records)) {
        answer(in, 400, "The last record is not whole");
    } else if (is_last) {
        answer(in, 200, NULL);
    }
}

// ---- the request ----

bool agent_v1_is_input(const struct http_request *r)
{
    const char *type = http_get_header(r, "Content-Type");
    const char *path = http_path(r);
    size_t size = strlen(path);
    return type != NULL && strcmp(type, CONTENT_RECORDIO_NAME) == 0 &&
           strcmp(http_method(r), "POST") == 0 && size >= 7 &&
           strcmp(path + size - 7, "/api/v1") == 0;
}

void agent_v1_take_input(struct agent_daemon *d, struct http_request *r)
{
    const char *type = http_get_header(r, "Message-Content-Type");
    if (type == NULL) {
        http_respond_text(r, 400,
                          "Expecting 'Message-Content-Type' to be set for streaming requests");
        return;
    }
    bool is_json = strcmp(type, CONTENT_JSON_NAME) == 0;
    if (!is_json && strcmp(type, CONTENT_PROTOBUF_NAME) != 0) {
        http_respond_text(r, 415, "Expecting 'Message-Content-Type' of %s or %s", CONTENT_JSON_NAME,
                          CONTENT_PROTOBUF_NAME);
        return;
    }
    struct input *in = mem_zalloc(sizeof(*in));
    in->magic = INPUT_MAGIC;
    in->daemon = d;
    in->http = r;
    in->type = is_json ? CONTENT_JSON : CONTENT_PROTOBUF;
    in->arena = arena_new(0, 0);
    recordio_reader_init(&in->records, RECORD_SIZE_MAX);
    list_init(&in->listener.link);
    in->listener.on_output = on_output;
    in->listener.on_end = on_container_end;
    in->listener.on_drained = on_drained;
    http_on_abort(r, on_abort, in);
    http_on_part(r, on_part, in);
}
