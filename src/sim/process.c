// SPDX-License-Identifier: Apache-2.0
//
// What src/env/env.c does on libuv, in simulated time.

#include "sim/process.h"

// env_random_u64 is asked without an env: one world at a time is simulated.
static struct sim *world;

// When something is to be done here next. After a stop some look at their timers before they read
// what came meanwhile, and some after.
static void arm(struct env *env)
{
    struct sim *sim = env->sim;
    int64_t next = timers_next(&env->timers);
    if (next == INT64_MAX && list_is_empty(&env->hooks)) {
        timer_cancel(&sim->timers, &env->wake);
        return;
    }
    next = next > env->timers_from ? next : env->timers_from;
    if (!list_is_empty(&env->hooks))
        next = sim->now.mono;
    int64_t paused = sim->net.paused_until[env->host];
    next = next > sim->now.mono ? next : sim->now.mono;
    next = next > paused ? next : paused;
    if (!timer_is_set(&env->wake) || env->wake.deadline != next)
        timer_set(&sim->timers, &env->wake, next);
}

static void wake(struct timer *timer, struct instant now)
{
    struct env *env = CONTAINER_OF(timer, struct env, wake);
    struct sim *sim = env->sim;
    int64_t paused = sim->net.paused_until[env->host];
    if (paused > now.mono) {
        int64_t sleepy = chance(sim, 0.5) ? 0 : draw_spread(sim, NS_PER_US, 100 * NS_PER_MS);
        env->timers_from = paused + sleepy;
        arm(env);
        return;
    }
    if (timers_next(&env->timers) <= now.mono && env->timers_from <= now.mono)
        timers_run(&env->timers, now);
    while (!list_is_empty(&env->hooks)) {
        struct env_hook *hook = LIST_ENTRY(env->hooks.next, struct env_hook, link);
        list_remove(&hook->link);
        hook->run(hook, now);
    }
    arm(env);
}

struct env *process_new(struct sim *sim, size_t host)
{
    struct env *env = mem_zalloc(sizeof(*env));
    world = sim;
    env->sim = sim;
    env->host = host;
    env->number = ++sim->process_count;
    env->wake.run = wake;
    list_init(&env->hooks);
    return env;
}

struct env *process_free(struct env *env)
{
    if (env == NULL)
        return NULL;
    REQUIRE(env->sim, timers_next(&env->timers) == INT64_MAX && list_is_empty(&env->hooks),
            "a process on host %zu ends and leaves timers or hooks behind", env->host);
    timer_cancel(&env->sim->timers, &env->wake);
    timers_free(&env->timers);
    mem_free(env);
    return NULL;
}

// ---- env.h ----

struct instant env_now(const struct env *env)
{
    return env->sim->now;
}

uint64_t env_random_u64(void)
{
    return prng_u64(&world->prng);
}

void env_timer_set(struct env *env, struct timer *timer, int64_t delay_ns)
{
    timer_set(&env->timers, timer, env->sim->now.mono + delay_ns);
    arm(env);
}

void env_timer_cancel(struct env *env, struct timer *timer)
{
    timer_cancel(&env->timers, timer);
}

void env_at_turn_end(struct env *env, struct env_hook *hook)
{
    if (list_is_empty(&hook->link))
        list_append(&env->hooks, &hook->link);
    arm(env);
}

void env_hook_cancel(struct env_hook *hook)
{
    list_remove(&hook->link);
}
