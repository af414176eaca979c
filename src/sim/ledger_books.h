// SPDX-License-Identifier: Apache-2.0
//
// What the files of the books of a master's reign share. See ledger.h.

#pragma once

#include "sim/ledger.h"

// What is not reserved and allocated to roles that may have quotas, in thousandths.
struct share {
    int64_t of[QUOTA_ROLES][QUOTA_NAMES];
};

// Of a task, an executor or an offer.
struct amount {
    struct resources *plain; // without the roles that it is allocated to, and not what is shared
    struct resources *shared;
    struct share share;
    uint64_t instance; // of an executor: its number, as the master gave it
    // The agent came back and did not name it: it may be no more, nor what it was of.
    bool is_doubtful;
};

struct book_offer {
    char *framework_id;
    char *agent_id;
    struct amount *amount;
};

// An inverse offer: a framework is asked to leave an agent.
struct book_inverse {
    char *framework_id;
    char *agent_id;
};

struct book_agent {
    struct resources *total; // with what operations made of it
    struct resources *left;  // ... that is neither offered nor used, when not `is_stale`
    bool is_stale;
    struct map tasks;     // "framework\ntask" -> struct amount
    struct map executors; // "framework\nexecutor" -> struct amount
    struct map ended;     // "framework\ntask" of those whose end the master was told
    bool is_connected;
};

struct books {
    struct sim *sim;
    struct master_host *host;
    struct map offers;     // id -> struct book_offer: those that are open
    struct map past;       // ids of those that are over
    struct map inverse;    // id -> struct book_inverse: those that are open
    struct map agents;     // id -> struct book_agent
    struct map frameworks; // ids of those that something was booked for and that are not removed
    struct share share;    // of all offers, tasks and executors
    bool must_look;        // an agent was disconnected: it may have no open offers
    // Within an ACCEPT: what is left of its offers.
    struct resources *accepted;
    bool accept_is_sound;
};

// ---- ledger_books.c ----
struct amount *books_read_amount(const struct books *l, const char *framework_id,
                                 Mesos__V1__Resource *const *messages, size_t count);
void books_free_amount(struct amount *amount);
// Books and unbooks; `map` is one of the agent's. The amount is the books' from then on.
void books_put_amount(struct books *l, struct book_agent *a, struct map *map, const char *key,
                      struct amount *amount);
void books_drop_amount(struct books *l, struct book_agent *a, struct map *map, const char *key);
// What an offer holds, likewise; the amount stays the offer's. NULL: the agent has gone.
void books_hold(struct books *l, struct book_agent *a, const struct amount *amount);
void books_release(struct books *l, struct book_agent *a, const struct amount *amount);
// All that is offered and used of the agent fits into what it has.
void books_check_agent(struct books *l, const char *agent_id);
// What a framework that was removed leaves behind is given back at once, as in Mesos.
void books_forget_removed(struct books *l);

// ---- ledger_offers.c ----
void books_free_offers(struct books *l);
