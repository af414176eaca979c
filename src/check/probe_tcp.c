// SPDX-License-Identifier: Apache-2.0
//
// Whether a TCP connection comes about. That it does not is a result, not a failure.

#include <string.h>

#include "base/check.h"
#include "base/log.h"
#include "base/mem.h"
#include "check/internal.h"

static void on_closed(uv_handle_t *handle)
{
    mem_free(CONTAINER_OF((uv_tcp_t *)handle, struct tcp_probe, handle));
}

static void on_connected(uv_connect_t *request, int status)
{
    struct tcp_probe *probe = CONTAINER_OF(request, struct tcp_probe, request);
    struct checker *checker = probe->checker;
    if (checker == NULL) {
        return; // it is being closed
    }
    CHECK(checker->magic == CHECKER_MAGIC && checker->tcp == probe);
    probe_tcp_stop(checker);
    struct probe_result result = {.outcome = PROBE_SUCCEEDED, .value = status == 0};
    log_info("%s for task '%s' returned: %d", checker->name, checker->place.task_id, result.value);
    checker_finish(checker, &result);
}

int probe_tcp_start(struct checker *checker, struct error *err)
{
    struct tcp_probe *probe = mem_zalloc(sizeof(*probe));
    CHECK(uv_tcp_init(env_loop(checker->place.env), &probe->handle) == 0);
    int r = uv_tcp_connect(&probe->request, &probe->handle,
                           (const struct sockaddr *)&checker->address, on_connected);
    if (r < 0) {
        uv_close((uv_handle_t *)&probe->handle, on_closed);
        return error_set(err, r, "Failed to begin a connection: %s", uv_strerror(r));
    }
    probe->checker = checker;
    checker->tcp = probe;
    return 0;
}

void probe_tcp_stop(struct checker *checker)
{
    struct tcp_probe *probe = TAKE_PTR(checker->tcp);
    if (probe != NULL) {
        probe->checker = NULL;
        uv_close((uv_handle_t *)&probe->handle, on_closed);
    }
}
