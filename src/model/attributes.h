// SPDX-License-Identifier: Apache-2.0
//
// Attributes of an agent: the text of --attributes, and values as the v0 endpoints show them.

#pragma once

#include <stddef.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "proto/mesos.pb-c.h"

// "rack:2;u:unit1;level:10;ports:[1-2];set:{a,b}", separated by ';' or line ends. Messages live in
// the arena. -EINVAL with a text that names the pair.
int attributes_parse(const char *text, struct arena *arena, Mesos__V1__Attribute ***ret_attributes,
                     size_t *ret_count, struct error *err);

// The value in text: "[1-2, 5-5]", "{a, b}", the text itself, or a scalar's number ("2", "0.5"). In
// the v0 endpoints' JSON all but scalars are strings.
void attribute_put_text(const Mesos__V1__Attribute *attribute, struct buf *out);
