// SPDX-License-Identifier: Apache-2.0
//
// The written order that the agent hands to its helper programs on an inherited descriptor: a
// sequence of records, each a tag, a size and that many bytes ending in NUL. The agent resolves and
// checks everything; the helper only carries it out. Both sides are of one build, so the format has
// no versions. Reading needs no library: mesos-containerizer is linked with order.c alone.

#pragma once

#include <stddef.h>
#include <stdint.h>

// Descriptors of the helper programs, beside 0, 1 and 2.
// ORDER_RUN_FD is there with ORDER_SUPERVISE only. With a terminal the supervisor also keeps the
// master's side of it (ORDER_TTY_FD), for a later agent to take over.
enum { ORDER_FD = 3, ORDER_REPLY_FD = 4, ORDER_FD_COUNT = 5, ORDER_RUN_FD = 5, ORDER_TTY_FD = 6 };

// What stands in a record. Numbers are int64_t in memory order.
enum order_tag {
    ORDER_DIRECTORY = 1,   // text: working directory; for the fetcher the sandbox
    ORDER_FILE,            // text: what to exec, looked up in PATH when it has no slash
    ORDER_ARGUMENT,        // text, repeated: argv from [0] on
    ORDER_ENVIRONMENT,     // text, repeated: NAME=value
    ORDER_CGROUP,          // text, repeated: files to write "0" into
    ORDER_RLIMIT,          // three numbers, repeated: resource, soft, hard
    ORDER_UID,             // number; setuid when present
    ORDER_GID,             // number; setgid when present
    ORDER_GROUP,           // number, repeated; setgroups when a uid is present
    ORDER_FRAMEWORKS_HOME, // text (fetcher)
    ORDER_STALL_TIMEOUT,   // number: seconds (fetcher)
    ORDER_URI,             // text: begins an item (fetcher); the tags below describe it
    ORDER_URI_OUTPUT,      // text: relative path in the sandbox
    ORDER_URI_OPTIONS,     // number: enum order_uri_option, or-ed
    ORDER_URI_CACHE_FILE,  // text: absolute path of its file in the cache
    // Number: stay as the parent of what is run, and write to ORDER_RUN_FD, a line each: the own
    // pid; and in the end the status of what was run, as waitpid gives it. With 1 what is run goes
    // on when the agent ends; with 0 it is ended then.
    ORDER_SUPERVISE,
    // Number, not read: a session of its own, whose terminal is what standard input is.
    ORDER_TERMINAL,
    ORDER_OOM_SCORE,       // text: for /proc/self/oom_score_adj
    ORDER_MOUNT_NAMESPACE, // text: the file of a namespace of mounts to begin in
    // Texts that say of the next mount what bare_mount.h's struct mount_order has.
    ORDER_MOUNT_BASE,
    ORDER_MOUNT_SOURCE,
    ORDER_MOUNT_SANDBOX,
    ORDER_MOUNT_TARGET,
    ORDER_MOUNT, // number: 1 for read-only; mounts it. Before the first one the mounts become own
    ORDER_BOUNDING,  // number: capabilities as bits, as bare_user.h has them
    ORDER_EFFECTIVE, // number: the same
};

// In ORDER_RUN_FD's file, before the pid of the process that is run behind its supervisor: a line
// of its own, there before that process executes anything.
#define ORDER_RUN_INNER 'i'

enum order_uri_option {
    ORDER_URI_EXECUTABLE = 1,
    ORDER_URI_EXTRACT = 2,
    ORDER_URI_CACHED = 4, // the cache file is there and complete: take it
};

// What mesos-containerizer writes to ORDER_REPLY_FD when it fails, in one piece: `text` as far as
// it goes, without a NUL.
struct order_reply {
    int32_t code; // errno's, 0 when there is none
    char text[508];
};

struct order_reader {
    const char *at;
    const char *end;
};

struct order_record {
    enum order_tag tag;
    const char *data; // followed by a NUL that `size` does not count
    size_t size;
};

// Maps the whole order from `fd` for good (order_map.c). 0 or a negative errno.
int order_map(int fd, struct order_reader *ret_reader);
// 1: a record; 0: the end; -EBADMSG: not an order.
int order_next(struct order_reader *reader, struct order_record *ret_record);
// Number `index` of a record of numbers. -EBADMSG when it is not there.
int order_number(const struct order_record *record, size_t index, int64_t *ret_number);
