// SPDX-License-Identifier: Apache-2.0
//
// Intrusive doubly linked lists. A list is a `struct list` head; members embed a `struct list`.
// An unlinked member points at itself.

#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/mem.h"

struct list {
    struct list *next;
    struct list *previous;
};

#define LIST_INIT(name)                                                                            \
    {                                                                                              \
        &(name), &(name)                                                                           \
    }

static inline void list_init(struct list *list)
{
    list->next = list;
    list->previous = list;
}

static inline bool list_is_empty(const struct list *list)
{
    return list->next == list;
}

static inline void list_append(struct list *list, struct list *member)
{
    member->previous = list->previous;
    member->next = list;
    list->previous->next = member;
    list->previous = member;
}

static inline void list_prepend(struct list *list, struct list *member)
{
    list_append(list->next, member);
}

// Unlinks; doing it twice is harmless.
static inline void list_remove(struct list *member)
{
    member->previous->next = member->next;
    member->next->previous = member->previous;
    list_init(member);
}

#define LIST_ENTRY(pointer, type, member) CONTAINER_OF(pointer, type, member)

// Walks; the current member may be removed. `break` and `continue` mean what they say.
#define LIST_FOREACH(head, type, member, item)                                                     \
    for (struct list *item##_at_ = (head)->next, *item##_next_ = item##_at_->next,                 \
                     *item##_left_ = NULL;                                                         \
         item##_left_ == NULL && item##_at_ != (head);                                             \
         item##_at_ = item##_next_, item##_next_ = item##_at_->next)                               \
        for (type *item = (item##_left_ = item##_at_, LIST_ENTRY(item##_at_, type, member));       \
             item##_left_ != NULL; item##_left_ = NULL)
