// SPDX-License-Identifier: Apache-2.0
//
// The two ways in which protobuf is read: first the quick one, and where that says no, the one that
// knows all cases and makes all errors (wire_decode.c). Private to this folder and its tests.

#pragma once

#include "wire/field.h"
#include "wire/plan.h"
#include "wire/wire.h"

// NULL: the bytes are not as most are, and are to be read in the other way. What is read is as that
// way reads it; no error is set.
ProtobufCMessage *wire_read_quick(const ProtobufCMessageDescriptor *descriptor, struct arena *arena,
                                  const void *data, size_t size,
                                  const ProtobufCMessageDescriptor *pinned);

// As wire_decode_pinned, but in the other way at once: for tests that compare the two.
int wire_decode_slowly(const ProtobufCMessageDescriptor *descriptor, struct arena *arena,
                       const void *data, size_t size, const ProtobufCMessageDescriptor *pinned,
                       ProtobufCMessage **ret_message, struct error *err);
