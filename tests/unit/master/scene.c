// SPDX-License-Identifier: Apache-2.0

#include "scene.h"

#include "base/base64.h"

struct scene *scene_begin(void)
{
    struct scene *c = mem_zalloc(sizeof(*c));
    world_begin(&c->w, NULL);
    end_send(
        &c->w, &c->e,
        "{\"type\":\"REGISTER\",\"register\":{\"agent\":{\"info\":{\"hostname\":\"host\","
        "\"resources\":%s},\"version\":\"1.11.0\",\"pid\":\"slave(1)@10.0.0.1:5051\"," CAPABILITIES
        "}}}",
        amount(&c->w, "cpus:4;mem:1024;disk:100"));
    stream_subscribe(&c->w, &c->s, arena_printf(c->w.arena, FRAMEWORK, ""));
    c->offer = stream_offer(&c->s);
    return c;
}

void scene_end(struct scene *c)
{
    master_check(c->w.master);
    world_end(&c->w);
    mem_free(c);
}

const char *scene_base64(struct world *w, const ProtobufCBinaryData *bytes)
{
    AUTO_BUF struct buf text = BUF_INIT;
    base64_encode(bytes->data, bytes->len, &text);
    return arena_strdup(w->arena, text.data);
}

const Mesos__V1__OperationStatus *scene_status(struct scene *c)
{
    Mesos__V1__Scheduler__Event *event =
        stream_next(&c->s, MESOS__V1__SCHEDULER__EVENT__TYPE__UPDATE_OPERATION_STATUS);
    return event != NULL ? event->update_operation_status->status : NULL;
}
