// SPDX-License-Identifier: Apache-2.0
//
// Status-update streams, one per task. The oldest update that is not acknowledged is outstanding:
// it is sent, and sent again with back-off, until its acknowledgement comes; then the next one
// goes. A stream ends with the acknowledgement of its terminal update. While the agent is not
// registered nothing is sent; then each stream sends what is outstanding again.

#include <string.h>

#include "agent/internal.h"
#include "base/check.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/plant.h"
#include "model/task_state.h"

#define RETRY_MIN_NS (10 * NS_PER_S)
#define RETRY_MAX_NS (600 * NS_PER_S)
// A framework's news that follow our own registration ask for what was sent just then.
#define RESUME_AGAIN_NS (200 * NS_PER_MS)
// How long an update is sent again for a framework that has nothing left on this agent, and that
// the master does not know: it tells of those that it removed itself.
#define ABANDON_NS (24 * 3600 * NS_PER_S)

enum {
    SEEN_MAX = 32,     // uuids remembered against doubles
    PENDING_MAX = 256, // updates that wait; beyond it the newest one takes the last place
};

struct stream_group {
    char *framework_id;
    struct map streams; // task id -> struct stream
};

struct stream {
    struct agent *agent;
    struct stream_group *group;
    char *task_id;
    struct agent_status **pending; // the first is outstanding
    size_t count;
    size_t capacity;
    uint8_t seen[SEEN_MAX][UUID_SIZE];
    size_t seen_count; // ever; the ring holds the last ones
    bool is_durable;   // its updates are written down:
    uint64_t first;    // number of the first pending one
    struct timer timer;
    int64_t delay_ns;   // until the next try
    int64_t first_sent; // monotonic: the outstanding one's first try; 0: not yet
    int64_t last_sent;  // and its last one
};

static void stream_free(struct stream *stream)
{
    timer_cancel(&stream->agent->timers, &stream->timer);
    for (size_t i = 0; i < stream->count; i++) {
        agent_status_unref(stream->pending[i]);
    }
    mem_free(stream->pending);
    mem_free(stream->task_id);
    mem_free(stream);
}

static void group_free(struct stream_group *group)
{
    MAP_FOREACH (&group->streams, entry) {
        stream_free(entry->value);
    }
    map_free(&group->streams);
    mem_free(group->framework_id);
    mem_free(group);
}

static struct stream *stream_find(struct agent *agent, const char *framework_id,
                                  const char *task_id)
{
    struct stream_group *group = map_get(&agent->streams, framework_id);
    return group == NULL ? NULL : map_get(&group->streams, task_id);
}

static struct agent_task *stream_task(const struct stream *stream)
{
    struct agent_framework *framework =
        map_get(&stream->agent->frameworks, stream->group->framework_id);
    return framework == NULL ? NULL : map_get(&framework->tasks, stream->task_id);
}

// Sends the outstanding update and sets the timer for the next try.
static void stream_send(struct stream *stream, struct instant now)
{
    struct agent *agent = stream->agent;
    if (agent->state != AGENT_REGISTERED || stream->count == 0) {
        return;
    }
    Mesos__V1__FrameworkID framework_id = MESOS__V1__FRAMEWORK_ID__INIT;
    framework_id.value = stream->group->framework_id;
    Meseta__Link__ToMaster__StatusUpdate update = MESETA__LINK__TO_MASTER__STATUS_UPDATE__INIT;
    update.framework_id = &framework_id;
    update.status = stream->pending[0]->message;
    struct agent_task *task = stream_task(stream);
    if (task != NULL) {
        update.has_latest_state = true;
        update.latest_state = task->state;
        agent_task_note_forwarded(task, update.status);
    }
    Meseta__Link__ToMaster message = MESETA__LINK__TO_MASTER__INIT;
    message.type = MESETA__LINK__TO_MASTER__TYPE__STATUS_UPDATE;
    message.status_update = &update;
    agent_send(agent, &message);
    stream->last_sent = now.mono;
    stream->first_sent = stream->first_sent != 0 ? stream->first_sent : now.mono;

    if (!PLANTED(DROP_RETRY_TIMER)) {
        timer_set(&agent->timers, &stream->timer, now.mono + stream->delay_ns);
    }
    stream->delay_ns = stream->delay_ns * 2 < RETRY_MAX_NS ? stream->delay_ns * 2 : RETRY_MAX_NS;
}

static void stream_abandon(struct stream *stream);

static void stream_retry(struct timer *timer, struct instant now)
{
    struct stream *stream = CONTAINER_OF(timer, struct stream, timer);
    if (!map_has(&stream->agent->frameworks, stream->group->framework_id) &&
        now.mono - stream->first_sent > ABANDON_NS) {
        stream_abandon(stream);
        return;
    }
    log_warning("Resending the status update %s for task '%s' of framework %s",
                task_state_name(stream->pending[0]->message->state), stream->task_id,
                stream->group->framework_id);
    stream_send(stream, now);
}

static struct stream *stream_open(struct agent *agent, const char *framework_id,
                                  const char *task_id)
{
    struct stream_group *group = map_get(&agent->streams, framework_id);
    if (group == NULL) {
        group = mem_zalloc(sizeof(*group));
        group->framework_id = mem_strdup(framework_id);
        map_put(&agent->streams, framework_id, group);
    }
    struct stream *stream = map_get(&group->streams, task_id);
    if (stream == NULL) {
        stream = mem_zalloc(sizeof(*stream));
        stream->agent = agent;
        stream->group = group;
        stream->task_id = mem_strdup(task_id);
        stream->timer.run = stream_retry;
        map_put(&group->streams, task_id, stream);
    }
    return stream;
}

// ---- what is written down ----

static struct agent_update_place stream_place(const struct stream *stream, size_t index)
{
    return (struct agent_update_place){
        .framework_id = stream->group->framework_id,
        .task_id = stream->task_id,
        .number = stream->first + index,
    };
}

static void keep_update(struct stream *stream, size_t index)
{
    if (stream->is_durable) {
        struct agent_update_place place = stream_place(stream, index);
        agent_checkpoint_update(stream->agent, &place, stream->pending[index]->message);
    }
}

// The first pending update was acknowledged.
static void keep_acknowledgement(struct stream *stream, bool is_last)
{
    if (!stream->is_durable) {
        return;
    }
    struct agent_update_place place = stream_place(stream, 0);
    agent_checkpoint_update(stream->agent, &place, NULL);
    place.number++;
    // In the order in which they came, the oldest first.
    uint8_t seen[SEEN_MAX][UUID_SIZE];
    size_t count = stream->seen_count < SEEN_MAX ? stream->seen_count : SEEN_MAX;
    for (size_t i = 0; i < count; i++) {
        memcpy(seen[i], stream->seen[(stream->seen_count - count + i) % SEEN_MAX], UUID_SIZE);
    }
    agent_checkpoint_stream(stream->agent, &place, is_last ? NULL : stream->pending[0]->message,
                            seen, count * UUID_SIZE);
}

static void drop_kept(struct stream *stream)
{
    if (!stream->is_durable) {
        return;
    }
    for (size_t i = 0; i < stream->count; i++) {
        struct agent_update_place place = stream_place(stream, i);
        agent_checkpoint_update(stream->agent, &place, NULL);
    }
    struct agent_update_place place = stream_place(stream, 0);
    agent_checkpoint_stream(stream->agent, &place, NULL, NULL, 0);
}

static void stream_close(struct stream *stream)
{
    struct agent *agent = stream->agent;
    struct stream_group *group = stream->group;
    map_remove(&group->streams, stream->task_id);
    stream_free(stream);
    if (group->streams.count == 0) {
        map_remove(&agent->streams, group->framework_id);
        group_free(group);
    }
}

static void stream_abandon(struct stream *stream)
{
    log_warning("Giving up the status update %s for task '%s' of framework %s: nobody asks for it",
                task_state_name(stream->pending[0]->message->state), stream->task_id,
                stream->group->framework_id);
    drop_kept(stream);
    stream_close(stream);
}

static bool stream_has_seen(const struct stream *stream, const uint8_t *uuid)
{
    size_t count = stream->seen_count < SEEN_MAX ? stream->seen_count : SEEN_MAX;
    for (size_t i = 0; i < count; i++) {
        if (memcmp(stream->seen[i], uuid, UUID_SIZE) == 0) {
            return true;
        }
    }
    return false;
}

static void stream_append(struct stream *stream, struct agent_status *status)
{
    if (stream->count == stream->capacity) {
        stream->capacity = stream->capacity == 0 ? 4 : stream->capacity * 2;
        stream->pending =
            mem_realloc_array(stream->pending, stream->capacity, sizeof(struct agent_status *));
    }
    stream->pending[stream->count++] = agent_status_ref(status);
}

void agent_stream_update(struct agent *agent, const char *framework_id, struct agent_status *status,
                         struct instant now)
{
    const Mesos__V1__TaskStatus *message = status->message;
    CHECK(message->has_uuid && message->uuid.len == UUID_SIZE);
    struct stream *stream = stream_open(agent, framework_id, message->task_id->value);
    if (stream_has_seen(stream, message->uuid.data)) {
        log_warning("Ignoring duplicate status update %s for task '%s' of framework %s",
                    task_state_name(message->state), stream->task_id, framework_id);
        return;
    }
    memcpy(stream->seen[stream->seen_count++ % SEEN_MAX], message->uuid.data, UUID_SIZE);
    // Of a task that is not here only the master's question tells, after a restart.
    const struct agent_task *task = stream_task(stream);
    if (task != NULL && agent_framework_is_durable(task->executor->framework)) {
        stream->is_durable = true;
    }
    if (stream->count == PENDING_MAX) {
        agent_status_unref(stream->pending[--stream->count]);
    }
    stream_append(stream, status);
    keep_update(stream, stream->count - 1);
    if (stream->count == 1) {
        stream->delay_ns = RETRY_MIN_NS;
        stream_send(stream, now);
    }
}

bool agent_stream_acknowledge(struct agent *agent, const char *framework_id, const char *task_id,
                              const void *uuid, size_t uuid_size, bool *ret_is_last,
                              struct instant now)
{
    struct stream *stream = stream_find(agent, framework_id, task_id);
    if (stream == NULL || stream->count == 0 || uuid_size != UUID_SIZE ||
        (memcmp(stream->pending[0]->message->uuid.data, uuid, UUID_SIZE) != 0 &&
         !PLANTED(REUSE_UPDATE_POSITION))) {
        log_warning("Ignoring unexpected acknowledgement for task '%s' of framework %s", task_id,
                    framework_id);
        return false;
    }
    *ret_is_last = task_state_is_terminal(stream->pending[0]->message->state);
    timer_cancel(&agent->timers, &stream->timer);
    keep_acknowledgement(stream, *ret_is_last);
    agent_status_unref(stream->pending[0]);
    stream->count--;
    stream->first++;
    stream->first_sent = 0;
    memmove(stream->pending, stream->pending + 1, stream->count * sizeof(stream->pending[0]));
    if (*ret_is_last) {
        stream_close(stream);
    } else {
        stream->delay_ns = RETRY_MIN_NS;
        stream_send(stream, now);
    }
    return true;
}

void agent_streams_pause(struct agent *agent)
{
    MAP_FOREACH (&agent->streams, group_entry) {
        struct stream_group *group = group_entry->value;
        MAP_FOREACH (&group->streams, entry) {
            struct stream *stream = entry->value;
            timer_cancel(&agent->timers, &stream->timer);
        }
    }
}

static void group_resume(struct stream_group *group, struct instant now)
{
    MAP_FOREACH (&group->streams, entry) {
        struct stream *stream = entry->value;
        stream->delay_ns = RETRY_MIN_NS;
        stream_send(stream, now);
    }
}

void agent_streams_resume(struct agent *agent, struct instant now)
{
    MAP_FOREACH (&agent->streams, entry) {
        group_resume(entry->value, now);
    }
}

void agent_streams_resume_framework(struct agent *agent, const char *framework_id,
                                    struct instant now)
{
    struct stream_group *group = map_get(&agent->streams, framework_id);
    if (group == NULL || agent->state != AGENT_REGISTERED) {
        return;
    }
    MAP_FOREACH (&group->streams, entry) {
        struct stream *stream = entry->value;
        stream->delay_ns = RETRY_MIN_NS;
        if (stream->count > 0 && stream->first_sent != 0 &&
            now.mono - stream->last_sent < RESUME_AGAIN_NS) {
            timer_set(&agent->timers, &stream->timer, stream->last_sent + RESUME_AGAIN_NS);
        } else {
            stream_send(stream, now);
        }
    }
}

void agent_stream_drop(struct agent *agent, const char *framework_id, const char *task_id)
{
    struct stream *stream = stream_find(agent, framework_id, task_id);
    if (stream != NULL) {
        drop_kept(stream);
        stream_close(stream);
    }
}

void agent_streams_drop_framework(struct agent *agent, const char *framework_id)
{
    struct stream_group *group = map_remove(&agent->streams, framework_id);
    if (group != NULL) {
        MAP_FOREACH (&group->streams, entry) {
            drop_kept(entry->value);
        }
        group_free(group);
    }
}

// ---- recovery ----

void agent_stream_recover(struct agent *agent, const char *framework_id, const char *task_id,
                          uint64_t next, const uint8_t *seen, size_t seen_count)
{
    struct stream *stream = stream_open(agent, framework_id, task_id);
    stream->is_durable = true;
    stream->first = next;
    for (size_t i = 0; i < seen_count; i++) {
        memcpy(stream->seen[stream->seen_count++ % SEEN_MAX], seen + i * UUID_SIZE, UUID_SIZE);
    }
}

bool agent_stream_recover_update(struct agent *agent, const char *framework_id, uint64_t number,
                                 struct agent_status *status, bool *ret_is_first)
{
    const Mesos__V1__TaskStatus *message = status->message;
    struct stream *stream = stream_open(agent, framework_id, message->task_id->value);
    if (stream->count == 0 && number >= stream->first) {
        stream->first = number;
    }
    if (number != stream->first + stream->count) {
        return false;
    }
    stream->is_durable = true;
    *ret_is_first = stream->count == 0;
    if (!stream_has_seen(stream, message->uuid.data)) {
        memcpy(stream->seen[stream->seen_count++ % SEEN_MAX], message->uuid.data, UUID_SIZE);
    }
    stream_append(stream, status);
    stream->delay_ns = RETRY_MIN_NS;
    return true;
}

void agent_streams_free(struct agent *agent)
{
    MAP_FOREACH (&agent->streams, entry) {
        group_free(entry->value);
    }
    map_free(&agent->streams);
}
