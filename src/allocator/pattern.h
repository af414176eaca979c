// SPDX-License-Identifier: Apache-2.0
//
// Regular expressions of frameworks, in the syntax that RE2 and PCRE have in common. Matching takes
// time linear in the text and bounded memory, whatever the pattern: PCRE2's DFA matcher walks the
// text once and does not go back, and what would make it recurse (assertions, back references,
// atomic groups, recursion, conditions, callouts) is refused, as RE2 refuses it.

#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

struct pattern;

struct pattern_limits {
    size_t memory_max;  // bytes: of the compiled pattern, and of the matcher's work space
    size_t program_max; // steps of the compiled pattern; PCRE2's code has about eight bytes for one
};

// -EINVAL with the texts that Mesos has for RE2.
int pattern_new(const char *text, const struct pattern_limits *limits, struct pattern **ret_pattern,
                struct error *err);
struct pattern *pattern_free(struct pattern *pattern);
// The whole of `text` matches. Text that is no UTF-8, or that would take more than the limits
// allow, does not.
bool pattern_is_match(const struct pattern *pattern, const char *text);
