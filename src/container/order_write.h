// SPDX-License-Identifier: Apache-2.0
//
// The agent's side of order.h: records are appended to a buffer, which becomes a memory file.

#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"
#include "container/order.h"
#include "container/user.h"

void order_put_text(struct buf *order, enum order_tag tag, const char *text);
void order_put_numbers(struct buf *order, enum order_tag tag, const int64_t *numbers, size_t count);
void order_put_number(struct buf *order, enum order_tag tag, int64_t number);
// Whom to become; nothing is written for NULL.
void order_put_user(struct buf *order, const struct user *user);
// A memory file with the order, closed on exec; the caller closes it.
int order_open(const struct buf *order, int *ret_fd, struct error *err);
