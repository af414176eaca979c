// SPDX-License-Identifier: Apache-2.0
//
// libmesos: messages of the v1 API as its callbacks hand them out. A message is looked into by
// paths of field names, as they are written in Mesos' JSON, or turned into JSON or protobuf bytes
// for whoever has a parser. No protobuf library is needed, and fields that a later version adds are
// reached by their names.
//
// A path: "status.state", "resources[2].scalar.value". A list without an index means its first
// element. What is not there, or is no field at all, is absent.

#ifndef MESOS_MESSAGE_H
#define MESOS_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MESOS_API __attribute__((visibility("default")))

// Filled in by a function that returns a negative code; may be NULL where it is asked for.
struct mesos_error {
    int code;        // a negative errno
    char text[1024]; // one line
};

// Valid, with all that was reached through it, until the callback returns that it was given to.
struct mesos_message;

MESOS_API bool mesos_has(const struct mesos_message *message, const char *path);
// A string, or an enumeration's name ("TASK_RUNNING"). NULL: absent, or of another kind.
MESOS_API const char *mesos_text(const struct mesos_message *message, const char *path);
// A number, a bool or an enumeration's number; else `otherwise`.
MESOS_API double mesos_number(const struct mesos_message *message, const char *path,
                              double otherwise);
// Bytes or a string; NULL (and 0): absent.
MESOS_API const void *mesos_bytes(const struct mesos_message *message, const char *path,
                                  size_t *ret_size);
// A message within; NULL: absent.
MESOS_API const struct mesos_message *mesos_child(const struct mesos_message *message,
                                                  const char *path);
// How many a list has; 1 or 0 for what is no list.
MESOS_API size_t mesos_count(const struct mesos_message *message, const char *path);
// The sum of the scalar resources of that name ("cpus") in a message's list `resources`.
MESOS_API double mesos_resource(const struct mesos_message *message, const char *name);

// The whole message in Mesos' JSON, or as protobuf bytes. The caller's, for free().
MESOS_API char *mesos_json(const struct mesos_message *message);
MESOS_API void *mesos_protobuf(const struct mesos_message *message, size_t *ret_size);

// What the library has to say beside errors (lost connections, say), line by line; level 0 is for
// debugging, 3 an error. Without it: nothing. For the whole process; not from a callback.
MESOS_API void mesos_log(void (*sink)(void *ctx, int level, const char *text), void *ctx);

#ifdef __cplusplus
}
#endif

#endif
