// SPDX-License-Identifier: Apache-2.0
//
// The paths by which users of libmesos look into messages: any text, on a message with lists,
// messages, enumerations, numbers and bytes in it. What one function finds the others find too.

#include <mesos/message.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/check.h"
#include "base/mem.h"
#include "proto/scheduler.pb-c.h"
#include "wire/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char json[] =
    "{\"type\":\"UPDATE\",\"update\":{\"status\":{\"task_id\":{\"value\":\"t\"},\"state\":"
    "\"TASK_RUNNING\",\"uuid\":\"AAEC\",\"timestamp\":1.5,\"healthy\":true}},\"offers\":{"
    "\"offers\":"
    "[{\"id\":{\"value\":\"O\"},\"framework_id\":{\"value\":\"F\"},\"agent_id\":{\"value\":\"S\"},"
    "\"hostname\":\"h\",\"resources\":[{\"name\":\"cpus\",\"type\":\"SCALAR\",\"scalar\":{"
    "\"value\":"
    "2}},{\"name\":\"ports\",\"type\":\"RANGES\",\"ranges\":{\"range\":[{\"begin\":1,\"end\":2}]}}]"
    "}]}}";

static const struct mesos_message *event(void)
{
    static struct arena *arena; // lives as long as the process
    static ProtobufCMessage *message;
    if (arena == NULL) {
        arena = arena_new(0, 0);
        CHECK(wire_json_decode(&mesos__v1__scheduler__event__descriptor, arena, json,
                               sizeof(json) - 1, &message, NULL) == 0);
    }
    return (const struct mesos_message *)(void *)message;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *path = mem_strndup((const char *)data, size);
    bool is_there = mesos_has(event(), path);
    size_t bytes;
    const char *text = mesos_text(event(), path);
    const struct mesos_message *child = mesos_child(event(), path);
    const void *content = mesos_bytes(event(), path, &bytes);
    CHECK(is_there == (mesos_count(event(), path) > 0));
    CHECK(is_there || (text == NULL && child == NULL && content == NULL && bytes == 0));
    CHECK(is_there || (int)mesos_number(event(), path, 7) == 7);
    CHECK(child == NULL || (text == NULL && content == NULL));
    if (child != NULL)
        free(mesos_json(child));
    mem_free(path);
    return 0;
}
