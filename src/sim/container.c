// SPDX-License-Identifier: Apache-2.0
//
// Fake containers: they are launched, end, outlive their agent or go with it, and are found again.

#include <errno.h>
#include <string.h>

#include "sim/container.h"

bool container_fails(const struct container *c, double probability)
{
    struct sim *sim = c->host->sim;
    return !sim->calm && chance(sim, probability);
}

// ---- freeing ----

static void free_container(struct container *c)
{
    struct timers *timers = &c->host->sim->timers;
    timer_cancel(timers, &c->life);
    timer_cancel(timers, &c->subscribe);
    timer_cancel(timers, &c->idle);
    LIST_FOREACH (&c->tasks, struct exec_task, link, task)
        executor_free_task(task);
    LIST_FOREACH (&c->mails, struct mail, link, mail)
        executor_free_mail(mail);
    LIST_FOREACH (&c->streams, struct exec_stream, link, stream)
        mem_free(stream);
    list_remove(&c->link);
    resources_free(c->limited);
    mem_free(c->id);
    mem_free(c->framework_id);
    mem_free(c->executor_id);
    mem_free(c);
}

// ---- the end of a container ----

static void container_ended(struct timer *timer, struct instant now)
{
    struct container *c = CONTAINER_OF(timer, struct container, life);
    struct agent_host *a = c->host;
    if (!c->has_ended)
        TRACE(a->sim, "agent %zu: container of executor %s ends", a->index, c->executor_id);
    c->has_ended = true;
    if (a->core == NULL)
        return; // its exit status waits for the next agent
    c->termination.limited = c->limited;
    c->is_told = true;
    agent_container_terminated(a->core, c->id, &c->termination, now);
    agent_host_look(a);
    agent_host_touch(a);
}

void container_end_after(struct container *c, int64_t delay_ns, int status)
{
    struct sim *sim = c->host->sim;
    if (c->is_ending)
        return;
    c->is_ending = true;
    c->is_alive = false;
    c->termination.has_status = true;
    c->termination.status = status;
    LIST_FOREACH (&c->tasks, struct exec_task, link, task)
        timer_cancel(&sim->timers, &task->timer);
    timer_cancel(&sim->timers, &c->subscribe);
    timer_cancel(&sim->timers, &c->idle);
    c->life.run = container_ended;
    after(sim, &c->life, delay_ns);
}

void container_die(struct container *c, int status)
{
    container_end_after(c, draw_spread(c->host->sim, NS_PER_MS, 100 * NS_PER_MS), status);
}

// ---- launching ----

static const char *find_variable(char *const *environment, const char *name)
{
    size_t size = strlen(name);
    for (; *environment != NULL; environment++) {
        if (strncmp(*environment, name, size) == 0 && (*environment)[size] == '=')
            return *environment + size + 1;
    }
    return "";
}

static void launched(struct timer *timer, struct instant now)
{
    struct container *c = CONTAINER_OF(timer, struct container, life);
    struct agent_host *a = c->host;
    struct sim *sim = a->sim;
    if (a->core != NULL && container_fails(c, 0.03)) {
        mark(sim, MARK_LAUNCH_FAILED);
        c->termination.has_reason = true;
        c->termination.reason = MESOS__V1__TASK_STATUS__REASON__REASON_CONTAINER_LAUNCH_FAILED;
        c->termination.message = "Failed to launch container: no luck";
        c->is_ending = true;
        container_ended(timer, now);
        return;
    }
    c->is_launched = true;
    c->is_alive = true;
    if (a->core != NULL)
        agent_container_launched(a->core, c->id, 1000 + (pid_t)draw(sim, 30000), now);
    if (container_fails(c, 0.03)) {
        mark(sim, MARK_EXECUTOR_DIED_EARLY);
        container_die(c, 256);
    } else if (container_fails(c, 0.03)) {
        mark(sim, MARK_EXECUTOR_NEVER_SUBSCRIBED);
    } else {
        after(sim, &c->subscribe,
              container_fails(c, 0.03) ? draw_spread(sim, NS_PER_S, 90 * NS_PER_S)
                                       : draw_spread(sim, NS_PER_MS, 300 * NS_PER_MS));
    }
    agent_host_touch(a);
}

int containers_launch(struct agent_host *a, const struct agent_launch *launch, struct error *err)
{
    struct sim *sim = a->sim;
    if (!sim->calm && chance(sim, 0.02)) {
        mark(sim, MARK_LAUNCH_REFUSED);
        return error_set(err, -EIO, "no room for a container");
    }
    struct container *c = mem_zalloc(sizeof(*c));
    c->host = a;
    c->id = mem_strdup(launch->container_id);
    c->framework_id = mem_strdup(find_variable(launch->environment, "MESOS_FRAMEWORK_ID"));
    c->executor_id = mem_strdup(find_variable(launch->environment, "MESOS_EXECUTOR_ID"));
    CHECK(c->framework_id[0] != '\0' && c->executor_id[0] != '\0');
    c->outlives_agent = launch->outlives_agent;
    c->is_command = strcmp(launch->command->value, "/libexec/mesos-executor") == 0;
    bool is_checkpointed = strcmp(find_variable(launch->environment, "MESOS_CHECKPOINT"), "1") == 0;
    list_init(&c->streams);
    list_init(&c->mails);
    list_init(&c->tasks);
    list_append(&a->containers, &c->link);
    c->keeps_on = is_checkpointed || (!c->is_command && chance(sim, 0.5));
    c->ignores_shutdown = container_fails(c, 0.05);
    c->ignores_kill = container_fails(c, 0.05);
    c->subscribe.run = executor_subscribe;
    c->idle.run = executor_idle;
    c->life.run = launched;
    after(sim, &c->life,
          draw_spread(sim, NS_PER_MS, container_fails(c, 0.05) ? 80 * NS_PER_S : NS_PER_S));
    return 0;
}

static struct container *find_container(struct agent_host *a, const char *container_id)
{
    LIST_FOREACH (&a->containers, struct container, link, c) {
        if (strcmp(c->id, container_id) == 0)
            return c;
    }
    return NULL;
}

int containers_update(struct agent_host *a, const char *container_id, struct error *err)
{
    struct container *c = find_container(a, container_id);
    REQUIRE(a->sim, c != NULL, "agent %zu updates a container that is gone", a->index);
    if (container_fails(c, 0.02)) {
        mark(a->sim, MARK_UPDATE_REFUSED);
        return error_set(err, -EIO, "the cgroup cannot be written");
    }
    return 0;
}

void containers_destroy(struct agent_host *a, const char *container_id)
{
    struct container *c = find_container(a, container_id);
    REQUIRE(a->sim, c != NULL, "agent %zu destroys a container that is gone", a->index);
    if (c->is_ending)
        return;
    mark(a->sim, MARK_EXECUTOR_GRACE_OVER);
    timer_cancel(&a->sim->timers, &c->life);
    container_end_after(c, draw_spread(a->sim, NS_PER_MS, a->sim->calm ? NS_PER_S : 20 * NS_PER_S),
                        9);
}

// ---- the agent's end, and its return ----

void containers_crash(struct agent_host *a, bool is_reboot)
{
    struct sim *sim = a->sim;
    LIST_FOREACH (&a->containers, struct container, link, c) {
        if (is_reboot || !c->outlives_agent) {
            free_container(c);
            continue;
        }
        c->is_told = false;
        c->is_subscribed = false;
        c->stream = NULL;
        LIST_FOREACH (&c->streams, struct exec_stream, link, stream)
            stream->is_open = false;
        LIST_FOREACH (&c->mails, struct mail, link, mail) {
            if (mail->is_call || chance(sim, 0.5))
                executor_free_mail(mail);
        }
        if (c->is_alive && c->session > 0 && !timer_is_set(&c->subscribe))
            after(sim, &c->subscribe, draw_spread(sim, NS_PER_MS, 2 * NS_PER_S));
    }
}

static void recover_one(struct agent_host *a, const char *container_id)
{
    struct sim *sim = a->sim;
    struct container *c = find_container(a, container_id);
    if (c == NULL) {
        // Its record is there, and it was never started, or it ended with the machine.
        c = mem_zalloc(sizeof(*c));
        c->host = a;
        c->id = mem_strdup(container_id);
        c->framework_id = mem_strdup("");
        c->executor_id = mem_strdup(container_id);
        c->termination.message = "Abnormal executor termination: unknown container";
        list_init(&c->streams);
        list_init(&c->mails);
        list_init(&c->tasks);
        list_append(&a->containers, &c->link);
        c->outlives_agent = c->has_ended = true;
        c->is_ending = true;
        mark(sim, MARK_CONTAINER_UNKNOWN);
    }
    if (c->has_ended) {
        mark(sim, MARK_CONTAINER_ENDED_MEANWHILE);
        c->life.run = container_ended;
        after(sim, &c->life, draw_spread(sim, NS_PER_US, NS_PER_S));
    } else if (c->is_launched) {
        mark(sim, MARK_CONTAINER_FOUND_AGAIN);
        agent_container_launched(a->core, c->id, 1000 + (pid_t)draw(sim, 30000), sim->now);
    }
}

void containers_recover(struct agent_host *a)
{
    const char *id;
    for (size_t i = 0; (id = agent_recovering_container(a, i)) != NULL; i++)
        recover_one(a, id);
    LIST_FOREACH (&a->containers, struct container, link, c) {
        if (agent_knows_container(a, c->id))
            continue;
        sim_fail(a->sim, "agent %zu has the container %s and no record of it", a->index, c->id);
    }
}

void containers_forget_told(struct agent_host *a)
{
    LIST_FOREACH (&a->containers, struct container, link, c) {
        if (c->is_told)
            free_container(c);
    }
}

const char *containers_stray(const struct agent_host *a)
{
    LIST_FOREACH (&a->containers, struct container, link, c) {
        if (!agent_knows_container(a, c->id))
            return c->id;
    }
    return NULL;
}

// ---- faults ----

static struct container *draw_container(struct agent_host *a)
{
    size_t count = 0;
    LIST_FOREACH (&a->containers, struct container, link, counted)
        count += counted->is_alive;
    if (count == 0)
        return NULL;
    size_t skip = draw(a->sim, count);
    LIST_FOREACH (&a->containers, struct container, link, c) {
        if (c->is_alive && skip-- == 0)
            return c;
    }
    return NULL;
}

bool containers_kill_one(struct agent_host *a)
{
    struct container *c = a->core != NULL ? draw_container(a) : NULL;
    if (c == NULL)
        return false;
    mark(a->sim, MARK_EXECUTOR_DIED);
    container_die(c, 9);
    return true;
}

bool containers_break_stream(struct agent_host *a)
{
    struct container *c = a->core != NULL ? draw_container(a) : NULL;
    if (c == NULL || c->stream == NULL)
        return false;
    struct sim *sim = a->sim;
    TRACE(sim, "agent %zu: the stream of executor %s breaks", a->index, c->executor_id);
    struct exec_stream *stream = c->stream;
    stream->is_open = false;
    c->stream = NULL;
    // Of its calls, which go one behind the other, those from one on.
    bool is_lost = false;
    LIST_FOREACH (&c->mails, struct mail, link, mail) {
        is_lost = is_lost || chance(sim, 0.3);
        if (!mail->is_call || is_lost)
            executor_free_mail(mail);
    }
    agent_stream_closed(a->core, c->framework_id, c->executor_id, stream);
    c->session++;
    c->is_subscribed = false;
    if (c->keeps_on)
        after(sim, &c->subscribe, draw_spread(sim, NS_PER_MS, 10 * NS_PER_S));
    else
        container_die(c, 0);
    agent_host_touch(a);
    return true;
}
