// SPDX-License-Identifier: Apache-2.0
//
// How resources look in the v0 endpoints, remembered: in an answer that shows all tasks and agents
// most of them have the same few. Bounded, and thrown away with the answer.

#pragma once

#include "model/resources.h"
#include "wire/json.h"

struct v0_texts;

struct v0_texts *v0_texts_new(void);
struct v0_texts *v0_texts_free(struct v0_texts *texts); // NULL is fine; returns NULL

// What v0_put_resources and v0_put_resources_full would write. Valid until the next call.
const struct buf *v0_texts_resources(struct v0_texts *texts, const struct resources *r);
const struct buf *v0_texts_resources_full(struct v0_texts *texts, const struct resources *r);
