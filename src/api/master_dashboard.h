// SPDX-License-Identifier: Apache-2.0
//
// What the files of the dashboard's endpoints (/dashboard/...) share: a query with search, sort and
// paging, and the rows that answer it. Unlike the v0 and v1 APIs these endpoints are the page's
// own: small answers, made to be drawn, and free to change with the page.

#pragma once

#include "api/master_v0.h"

// ---- master_dashboard_query.c ----
enum { DASHBOARD_TERMS_MAX = 8, DASHBOARD_LIMIT_MAX = 1000 };

struct dashboard_column {
    const char *name;
    bool is_text;  // else a number
    bool descends; // at first: largest or newest first
};

struct dashboard_query {
    struct http_request *r;
    const char *terms[DASHBOARD_TERMS_MAX]; // in lower case; each must be found
    size_t term_count;
    size_t column; // to sort by: an index into the columns
    bool is_text;
    bool descends;
    size_t offset, limit;
    int64_t began; // CPU time when this turn's part of the answer was begun, for `took_us`
    int64_t spent; // on the parts before
};

// CPU time of this thread: what answers cost, whoever else uses the machine.
int64_t dashboard_cpu_ns(void);

// ?search=, ?sort=, ?order=asc|desc, ?offset=, ?limit=. Answers 400 itself when it returns false.
// The first column is the default. The terms live as long as the request.
bool dashboard_query_read(struct http_request *r, const struct dashboard_column *columns,
                          size_t count, struct dashboard_query *ret);

// Which of the query's terms `text` (may be NULL) holds in any case, as bits.
unsigned dashboard_terms_in(const struct dashboard_query *q, const char *text);
static inline bool dashboard_has_all(const struct dashboard_query *q, unsigned found)
{
    return found == (1u << q->term_count) - 1;
}

struct dashboard_row {
    const void *record; // the caller's
    union {
        double number;
        const char *text; // not NULL
    } key;
    uint32_t at;   // in the order of adding
    uint32_t kept; // the caller's; 0 at first
};
struct dashboard_rows {
    struct dashboard_row *list;
    size_t count, capacity;
    uint32_t added; // also those that were cut off
};
void dashboard_rows_free(struct dashboard_rows *rows);
#define AUTO_ROWS __attribute__((cleanup(dashboard_rows_free)))
void dashboard_rows_add_number(struct dashboard_rows *rows, const void *record, double key);
void dashboard_rows_add_text(struct dashboard_rows *rows, const void *record, const char *key);
// Brings what the query's page shows to list[*ret_from, *ret_to), sorted. Takes time in proportion
// to the rows, whatever the page.
void dashboard_rows_select(struct dashboard_rows *rows, const struct dashboard_query *q,
                           size_t *ret_from, size_t *ret_to);
// Forgets what no page up to the query's can show.
void dashboard_rows_cut(struct dashboard_rows *rows, const struct dashboard_query *q);
// Opens the answer's object: total (rows without search), matched, offset, took_us.
void dashboard_put_head(struct json_writer *w, const struct dashboard_query *q, size_t total,
                        size_t matched);
// {"cpus":1.5,"mem":64,"disk":0,"gpus":0}
void dashboard_put_resources(struct json_writer *w, const char *key, const struct resources *r);

// ---- master_dashboard_tasks.c ----
void dashboard_tasks(void *ctx, struct http_request *r);
void dashboard_task(void *ctx, struct http_request *r);

// ---- master_dashboard_offers.c ----
void dashboard_offers(void *ctx, struct http_request *r);

// ---- master_dashboard_agents.c ----
void dashboard_agents(void *ctx, struct http_request *r);
void dashboard_agent(void *ctx, struct http_request *r);
void dashboard_heat(void *ctx, struct http_request *r);

// ---- master_dashboard_frameworks.c ----
void dashboard_frameworks(void *ctx, struct http_request *r);
void dashboard_framework(void *ctx, struct http_request *r);
void dashboard_roles(void *ctx, struct http_request *r);

// ---- master_dashboard.c ----
// A text that changes whenever an agent registers or goes; in the arena.
const char *dashboard_agent_set(const struct master_server *server, struct arena *arena);
// The leader alone answers, and only once it knows its registry.
bool dashboard_begin(struct master_server *server, struct http_request *r);
