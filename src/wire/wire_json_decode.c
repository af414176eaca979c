// SPDX-License-Identifier: Apache-2.0
//
// JSON text to messages, in one pass and without a document in between. Values of repeated fields
// are gathered on one stack of bytes and copied once they are all there, so that each array has its
// own size. Recursion is bounded by WIRE_DEPTH_MAX, memory by the budget of wire_build, time by the
// text's size.

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "base/check.h"
#include "base/mem.h"
#include "wire/field.h"
#include "wire/json_scan.h"
#include "wire/wire.h"

struct json_decoder {
    struct json_scan scan;
    struct wire_build build;
    char *stack; // values of the repeated fields that are being read, innermost last
    size_t stack_size;
    size_t stack_capacity;
};

// A place for values of one field.
struct place {
    const ProtobufCFieldDescriptor *field;
    const struct wire_path *path; // of the message that holds the field
    unsigned depth;               // of that message
};

static int decode_object(struct json_decoder *j, ProtobufCMessage *m, const struct wire_path *path,
                         unsigned depth);

// ---- errors ----

// The text does not fit the message: `format` has one %s for the field's path.
__attribute__((format(printf, 3, 0))) static int misfit(struct json_decoder *j,
                                                        const struct place *p, const char *format)
{
    char name[ERROR_TEXT_SIZE];
    wire_path_text(p->path, p->field, name, sizeof(name));
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    return error_set(j->build.err, -EINVAL, format, name);
#pragma GCC diagnostic pop
}

// Cuts what is quoted from the input in error texts.
static int quoted_size(const struct json_slice *slice)
{
    return slice->size < 64 ? (int)slice->size : 64;
}

static int bad_text(struct json_decoder *j, const struct place *p, const struct json_slice *slice,
                    const char *what)
{
    char name[ERROR_TEXT_SIZE];
    wire_path_text(p->path, p->field, name, sizeof(name));
    return error_set(j->build.err, -EINVAL, "Failed to parse '%.*s' as a JSON %s for field '%s'",
                     quoted_size(slice), slice->data, what, name);
}

// ---- the stack of repeated values ----

static size_t push(struct json_decoder *j, size_t size)
{
    if (j->stack_capacity - j->stack_size < size) {
        j->stack_capacity = j->stack_capacity * 2 + size + 256;
        j->stack = mem_realloc(j->stack, j->stack_capacity);
    }
    size_t at = j->stack_size;
    j->stack_size += size;
    return at;
}

// ---- numbers ----

// Whether the slice is digits, with a sign perhaps, and what it is worth; false on overflow.
static bool take_integer(const struct json_slice *s, bool *ret_negative, uint64_t *ret_value)
{
    const char *p = s->data;
    const char *end = p + s->size;
    *ret_negative = p < end && *p == '-';
    p += *ret_negative;
    uint64_t value = 0;
    for (; p < end; p++) {
        unsigned digit = (unsigned)(*p - '0');
        if (digit > 9 || __builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, digit, &value)) {
            return false;
        }
    }
    *ret_value = value;
    return true;
}

// Exact for up to 15 digits and small exponents, which is nearly all there is; else strtod.
static double take_double(const struct json_slice *s)
{
    static const double powers[] = {1e0, 1e1, 1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                    1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};
    uint64_t digits = 0;
    size_t count = 0;
    size_t after_point = 0;
    bool behind_point = false;
    const char *p = s->data + (s->data[0] == '-');
    const char *end = s->data + s->size;
    for (; p < end && count <= 15; p++) {
        if (*p == '.') {
            behind_point = true;
        } else if (*p >= '0' && *p <= '9') {
            digits = digits * 10 + (unsigned)(*p - '0');
            count++;
            after_point += behind_point;
        } else {
            break;
        }
    }
    if (p == end && count <= 15) {
        double value = (double)digits / powers[after_point];
        return s->data[0] == '-' ? -value : value;
    }
    char local[64];
    AUTO_FREE char *copy = s->size < sizeof(local) ? NULL : mem_strndup(s->data, s->size);
    if (copy == NULL) {
        memcpy(local, s->data, s->size);
        local[s->size] = '\0';
    }
    return strtod(copy == NULL ? local : copy, NULL);
}

static int out_of_range(struct json_decoder *j, const struct place *p)
{
    return misfit(j, p, "Number out of range for field '%s'");
}

// An integer of `bits` bits, signed or not. Fractions are cut off, as Mesos does.
static int store_integer(struct json_decoder *j, const struct place *p, const struct json_slice *s,
                         void *slot, unsigned bits, bool is_signed)
{
    bool negative;
    uint64_t value;
    if (!take_integer(s, &negative, &value)) {
        double number = trunc(take_double(s));
        negative = number < 0;
        if (!(fabs(number) < 18446744073709551616.0)) {
            return out_of_range(j, p);
        }
        value = (uint64_t)fabs(number);
    }
    uint64_t most = is_signed  ? (UINT64_C(1) << (bits - 1)) - !negative
                    : negative ? 0
                               : UINT64_MAX >> (64 - bits);
    if (value > most) {
        return out_of_range(j, p);
    }
    value = negative ? 0 - value : value;
    if (bits == 32) {
        *(uint32_t *)slot = (uint32_t)value;
    } else {
        *(uint64_t *)slot = value;
    }
    return 1;
}

static int store_number(struct json_decoder *j, const struct place *p, const struct json_slice *s,
                        void *slot)
{
    switch (p->field->type) {
    case PROTOBUF_C_TYPE_DOUBLE:
    case PROTOBUF_C_TYPE_FLOAT: {
        double value = take_double(s);
        if (!isfinite(value)) {
            return out_of_range(j, p);
        }
        if (p->field->type == PROTOBUF_C_TYPE_DOUBLE) {
            *(double *)slot = value;
        } else {
            *(float *)slot = (float)value;
        }
        return 1;
    }
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
        return store_integer(j, p, s, slot, 64, true);
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
        return store_integer(j, p, s, slot, 64, false);
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SFIXED32:
        return store_integer(j, p, s, slot, 32, true);
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
        return store_integer(j, p, s, slot, 32, false);
    default:
        return misfit(j, p, "Not expecting a JSON number for field '%s'");
    }
}

// ---- strings ----

static bool is_infinity(const ProtobufCFieldDescriptor *f, const struct json_slice *s, double *ret)
{
    bool negative = s->size > 0 && s->data[0] == '-';
    if ((f->type != PROTOBUF_C_TYPE_DOUBLE && f->type != PROTOBUF_C_TYPE_FLOAT) ||
        s->size != 8u + negative || memcmp(s->data + negative, "Infinity", 8) != 0) {
        return false;
    }
    *ret = negative ? -(double)INFINITY : (double)INFINITY;
    return true;
}

// A number inside of a string.
static int store_number_text(struct json_decoder *j, const struct place *p,
                             const struct json_slice *s, void *slot)
{
    double infinity;
    if (is_infinity(p->field, s, &infinity)) {
        if (p->field->type == PROTOBUF_C_TYPE_DOUBLE) {
            *(double *)slot = infinity;
        } else {
            *(float *)slot = (float)infinity;
        }
        return 1;
    }
    struct json_scan inner;
    struct json_slice number;
    json_scan_init(&inner, s->data, s->size);
    json_scan_peek(&inner);
    if (s->escaped || json_scan_number(&inner, &number) < 0 || json_scan_finish(&inner) < 0) {
        return bad_text(j, p, s, "number");
    }
    return store_number(j, p, &number, slot);
}

static int store_bool_text(struct json_decoder *j, const struct place *p,
                           const struct json_slice *s, void *slot)
{
    struct json_scan inner;
    json_scan_init(&inner, s->data, s->size);
    bool value = json_scan_peek(&inner) == 't';
    if (json_scan_literal(&inner, value ? "true" : "false") < 0 || json_scan_finish(&inner) < 0) {
        return bad_text(j, p, s, "boolean");
    }
    *(protobuf_c_boolean *)slot = value;
    return 1;
}

// The string's meaning, NUL-terminated, in the arena; NULL when the budget is used up.
static char *keep_text(struct json_decoder *j, const struct json_slice *s, size_t *ret_size)
{
    char *copy = wire_build_alloc(&j->build, s->size + 1);
    if (copy != NULL) {
        *ret_size = json_unescape(s, copy);
        copy[*ret_size] = '\0';
    }
    return copy;
}

static int store_enum(struct json_decoder *j, const struct place *p, const struct json_slice *s,
                      void *slot)
{
    size_t size;
    char *name = keep_text(j, s, &size);
    if (name == NULL) {
        return -EFBIG;
    }
    const ProtobufCEnumValue *value =
        strlen(name) == size
            ? protobuf_c_enum_descriptor_get_value_by_name(p->field->descriptor, name)
            : NULL;
    if (value != NULL) {
        *(int32_t *)slot = value->value;
        return 1;
    }
    if (p->field->label == PROTOBUF_C_LABEL_REQUIRED) {
        return error_set(j->build.err, -EINVAL, "Failed to find enum for '%.*s'", quoted_size(s),
                         s->data);
    }
    return 0;
}

static int store_bytes(struct json_decoder *j, const struct place *p, const struct json_slice *s,
                       void *slot)
{
    size_t size;
    char *text = keep_text(j, s, &size);
    uint8_t *data = text == NULL ? NULL : wire_build_alloc(&j->build, size / 4 * 3 + 4);
    if (data == NULL) {
        return -EFBIG;
    }
    ssize_t n = base64_decode(text, size, data);
    if (n < 0) {
        return misfit(j, p, "Failed to base64 decode bytes field '%s'");
    }
    *(ProtobufCBinaryData *)slot = (ProtobufCBinaryData){(size_t)n, data};
    return 1;
}

static int store_string(struct json_decoder *j, const struct place *p, const struct json_slice *s,
                        void *slot)
{
    switch (p->field->type) {
    case PROTOBUF_C_TYPE_STRING: {
        size_t size;
        char *text = keep_text(j, s, &size);
        if (text == NULL) {
            return -EFBIG;
        }
        if (strlen(text) != size) {
            return misfit(j, p, "Not expecting a NUL character in field '%s'");
        }
        *(char **)slot = text;
        return 1;
    }
    case PROTOBUF_C_TYPE_BYTES:
        return store_bytes(j, p, s, slot);
    case PROTOBUF_C_TYPE_ENUM:
        return store_enum(j, p, s, slot);
    case PROTOBUF_C_TYPE_BOOL:
        return store_bool_text(j, p, s, slot);
    case PROTOBUF_C_TYPE_MESSAGE:
        return misfit(j, p, "Not expecting a JSON string for field '%s'");
    default:
        return store_number_text(j, p, s, slot);
    }
}

// ---- values ----

static int store_object(struct json_decoder *j, const struct place *p, void *slot, size_t index)
{
    if (p->field->type != PROTOBUF_C_TYPE_MESSAGE) {
        return misfit(j, p, "Not expecting a JSON object for field '%s'");
    }
    ProtobufCMessage *m = wire_build_message(&j->build, p->field->descriptor);
    if (m == NULL) {
        return -EFBIG;
    }
    *(ProtobufCMessage **)slot = m;
    struct wire_path below = {p->path, p->field, index};
    int r = decode_object(j, m, &below, p->depth + 1);
    return r < 0 ? r : 1;
}

// Reads one value, which is no array, into `slot`: 1 stored, 0 left unset (null, an enum's unknown
// name), negative: error.
static int read_value(struct json_decoder *j, const struct place *p, void *slot, size_t index)
{
    struct json_slice slice;
    char c = json_scan_peek(&j->scan);
    int r;
    switch (c) {
    case '{':
        return store_object(j, p, slot, index);
    case '"':
        r = json_scan_string(&j->scan, &slice);
        return r < 0 ? r : store_string(j, p, &slice, slot);
    case 't':
    case 'f':
        r = json_scan_literal(&j->scan, c == 't' ? "true" : "false");
        if (r < 0) {
            return r;
        }
        if (p->field->type != PROTOBUF_C_TYPE_BOOL) {
            return misfit(j, p, "Not expecting a JSON boolean for field '%s'");
        }
        *(protobuf_c_boolean *)slot = c == 't';
        return 1;
    case 'n':
        return json_scan_literal(&j->scan, "null");
    case '[':
        return misfit(j, p, "Not expecting a JSON array for field '%s'");
    case '\0':
        return json_scan_fail(&j->scan, j->scan.at == j->scan.end ? "unexpected end of the text"
                                                                  : "expected a value");
    default:
        r = json_scan_number(&j->scan, &slice);
        return r < 0 ? r : store_number(j, p, &slice, slot);
    }
}

// Reads `"key" :` within an object, behind its brace or a comma.
static int read_key(struct json_decoder *j, struct json_slice *ret_key)
{
    json_scan_peek(&j->scan);
    int r = json_scan_string(&j->scan, ret_key);
    return r < 0 ? r : json_scan_char(&j->scan, ':');
}

// Behind a member: true when another one follows. `*ret_r` is negative when it is neither.
static bool read_next(struct json_decoder *j, char close, int *ret_r)
{
    if (json_scan_peek(&j->scan) == ',') {
        j->scan.at++;
        *ret_r = 0;
        return true;
    }
    *ret_r = json_scan_char(&j->scan, close);
    return false;
}

static int enter(struct json_decoder *j, unsigned depth)
{
    if (depth > WIRE_DEPTH_MAX) {
        return json_scan_fail(&j->scan, "nested too deeply");
    }
    j->scan.at++;
    return 0;
}

static int read_array(struct json_decoder *j, const struct place *p, size_t base);

// One member of a map: its entry is made and pushed.
static int read_map_entry(struct json_decoder *j, const struct place *p, size_t index)
{
    ProtobufCMessage *entry = wire_build_message(&j->build, p->field->descriptor);
    if (entry == NULL) {
        return -EFBIG;
    }
    struct wire_path path = {p->path, p->field, index};
    for (unsigned i = 0; i < 2; i++) {
        const ProtobufCFieldDescriptor *f = &entry->descriptor->fields[i];
        struct place inner = {f, &path, p->depth + 1};
        struct json_slice key;
        int r = i == 0 ? read_key(j, &key) : 0;
        if (r == 0) {
            r = i == 0 ? store_string(j, &inner, &key, field_at(entry, f))
                       : read_value(j, &inner, field_at(entry, f), 0);
        }
        if (r < 0) {
            return r;
        }
        if (r == 1) {
            field_mark_set(entry, f);
        }
    }
    int r = wire_build_complete_entry(&j->build, entry, &path);
    size_t at = push(j, sizeof(entry));
    memcpy(j->stack + at, &entry, sizeof(entry));
    return r;
}

static int read_map(struct json_decoder *j, const struct place *p, size_t base)
{
    int r = enter(j, p->depth + 1);
    if (r < 0) {
        return r;
    }
    if (json_scan_peek(&j->scan) == '}') {
        j->scan.at++;
        return 0;
    }
    do {
        r = read_map_entry(j, p, (j->stack_size - base) / sizeof(void *));
    } while (r == 0 && read_next(j, '}', &r));
    return r;
}

// Reads a value of a repeated field, or an array of such (arrays within arrays are flattened), and
// pushes what it gives. `base`: where the field's values begin on the stack. `p->depth` grows with
// the arrays: the first counts with the message that holds it, so that a message may nest as deeply
// in JSON as in protobuf.
static int read_repeated(struct json_decoder *j, const struct place *p, size_t base)
{
    char c = json_scan_peek(&j->scan);
    if (c == '{' && field_is_map(p->field)) {
        return read_map(j, p, base);
    }
    if (c != '[') {
        size_t value_size = field_value_size(p->field);
        union {
            uint64_t number;
            void *pointer;
            ProtobufCBinaryData bytes;
        } value = {0};
        int r = read_value(j, p, &value, (j->stack_size - base) / value_size);
        if (r == 1) {
            size_t at = push(j, value_size);
            memcpy(j->stack + at, &value, value_size);
        }
        return r < 0 ? r : 0;
    }
    return read_array(j, p, base);
}

static int read_array(struct json_decoder *j, const struct place *p, size_t base)
{
    int r = enter(j, p->depth);
    if (r < 0) {
        return r;
    }
    if (json_scan_peek(&j->scan) == ']') {
        j->scan.at++;
        return 0;
    }
    struct place inner = *p;
    do {
        inner.depth = p->depth + (json_scan_peek(&j->scan) == '[');
        r = read_repeated(j, &inner, base);
    } while (r == 0 && read_next(j, ']', &r));
    return r;
}

static int read_repeated_field(struct json_decoder *j, ProtobufCMessage *m, const struct place *p)
{
    size_t base = j->stack_size;
    int r = read_repeated(j, p, base);
    size_t size = j->stack_size - base;
    j->stack_size = base;
    if (r < 0 || size == 0) {
        return r;
    }
    void *values = wire_build_alloc(&j->build, size);
    if (values == NULL) {
        return -EFBIG;
    }
    memcpy(values, j->stack + base, size);
    *(void **)field_at(m, p->field) = values;
    *field_count(m, p->field) = size / field_value_size(p->field);
    if (field_is_map(p->field)) {
        wire_build_unique_entries(values, field_count(m, p->field));
    }
    return 0;
}

// The field that a key means, or NULL.
static const ProtobufCFieldDescriptor *find_field(const ProtobufCMessageDescriptor *d,
                                                  unsigned hint, const struct json_slice *key)
{
    if (!key->escaped) {
        return field_by_name(d, hint, key->data, key->size);
    }
    char name[384]; // an escaped character takes up to 6 bytes, and our names are below 64
    if (key->size > sizeof(name)) {
        return NULL;
    }
    size_t size = json_unescape(key, name);
    return field_by_name(d, hint, name, size);
}

static int read_member(struct json_decoder *j, ProtobufCMessage *m,
                       const ProtobufCFieldDescriptor *f, const struct wire_path *path,
                       unsigned depth, struct field_set *seen)
{
    unsigned index = (unsigned)(f - m->descriptor->fields);
    struct place place = {f, path, depth};
    if (field_set_has(seen, index)) {
        field_clear(m, f);
        field_set_remove(seen, index);
    }
    if (f->label == PROTOBUF_C_LABEL_REPEATED) {
        field_set_add(seen, index);
        return read_repeated_field(j, m, &place);
    }
    int r = read_value(j, &place, field_at(m, f), 0);
    if (r != 1) {
        return r;
    }
    field_set_add(seen, index);
    field_mark_set(m, f);
    return 0;
}

// Reads the object whose brace is next into `m`. `depth`: levels open once the brace is taken.
static int decode_object(struct json_decoder *j, ProtobufCMessage *m, const struct wire_path *path,
                         unsigned depth)
{
    const ProtobufCMessageDescriptor *d = m->descriptor;
    struct field_set seen = {{0}};
    unsigned hint = 0;
    int r = enter(j, depth);
    if (r < 0) {
        return r;
    }
    if (json_scan_peek(&j->scan) == '}') {
        j->scan.at++;
        return wire_build_require(&j->build, d, &seen, path);
    }
    do {
        struct json_slice key;
        r = read_key(j, &key);
        if (r < 0) {
            return r;
        }
        const ProtobufCFieldDescriptor *f = find_field(d, hint, &key);
        if (f == NULL) {
            r = json_scan_skip(&j->scan, WIRE_DEPTH_MAX - depth);
        } else {
            hint = (unsigned)(f - d->fields) + 1;
            r = read_member(j, m, f, path, depth, &seen);
        }
    } while (r == 0 && read_next(j, '}', &r));
    return r < 0 ? r : wire_build_require(&j->build, d, &seen, path);
}

// ---- entry ----

static int decoder_init(struct json_decoder *j, struct arena *arena, const char *text, size_t size,
                        struct error *err)
{
    if (size > WIRE_SIZE_MAX) {
        return error_set(err, -EFBIG, "JSON text of %zu bytes is over the limit of %d", size,
                         (int)WIRE_SIZE_MAX);
    }
    *j = (struct json_decoder){.stack = NULL};
    json_scan_init(&j->scan, text, size);
    wire_build_init(&j->build, arena, size, err);
    return 0;
}

// Ends a decoding that came to `r`.
static int decoder_finish(struct json_decoder *j, int r)
{
    mem_free(j->stack);
    if (r == 0) {
        r = json_scan_finish(&j->scan);
    }
    if (j->scan.error.code != 0) {
        return error_set(j->build.err, j->scan.error.code, "%s", j->scan.error.text);
    }
    r = r == 0 ? wire_build_finish(&j->build) : r;
    if (r == -EBADMSG) {
        // The text was sound JSON: what is wrong is its meaning.
        r = -EINVAL;
        if (j->build.err != NULL) {
            j->build.err->code = r;
        }
    }
    return r;
}

// The text is JSON of another kind than wanted: says so if it is JSON at all.
static int wrong_kind(struct json_decoder *j, const char *what)
{
    int r = json_scan_skip(&j->scan, WIRE_DEPTH_MAX);
    if (r == 0) {
        r = json_scan_finish(&j->scan);
    }
    return r < 0 ? r : error_set(j->build.err, -EINVAL, "%s", what);
}

int wire_json_decode(const ProtobufCMessageDescriptor *descriptor, struct arena *arena,
                     const char *text, size_t size, ProtobufCMessage **ret_message,
                     struct error *err)
{
    struct json_decoder j;
    int r = decoder_init(&j, arena, text, size, err);
    if (r < 0) {
        return r;
    }
    ProtobufCMessage *m = wire_build_message(&j.build, descriptor);
    CHECK(m != NULL);
    r = json_scan_peek(&j.scan) == '{' ? decode_object(&j, m, NULL, 1)
                                       : wrong_kind(&j, "Expecting a JSON object");
    r = decoder_finish(&j, r);
    if (r == 0) {
        *ret_message = m;
    }
    return r;
}

static int decode_list_item(struct json_decoder *j, const ProtobufCMessageDescriptor *descriptor)
{
    if (json_scan_peek(&j->scan) != '{') {
        int r = json_scan_skip(&j->scan, WIRE_DEPTH_MAX - 1);
        return r < 0 ? r : error_set(j->build.err, -EINVAL, "Expecting a JSON object");
    }
    ProtobufCMessage *m = wire_build_message(&j->build, descriptor);
    if (m == NULL) {
        return -EFBIG;
    }
    size_t at = push(j, sizeof(m));
    memcpy(j->stack + at, &m, sizeof(m));
    return decode_object(j, m, NULL, 2);
}

static int decode_list(struct json_decoder *j, const ProtobufCMessageDescriptor *descriptor)
{
    if (json_scan_peek(&j->scan) != '[') {
        return wrong_kind(j, "Expecting a JSON array");
    }
    j->scan.at++;
    if (json_scan_peek(&j->scan) == ']') {
        j->scan.at++;
        return 0;
    }
    int r;
    do {
        r = decode_list_item(j, descriptor);
    } while (r == 0 && read_next(j, ']', &r));
    return r;
}

int wire_json_decode_list(const ProtobufCMessageDescriptor *descriptor, struct arena *arena,
                          const char *text, size_t size, ProtobufCMessage ***ret_messages,
                          size_t *ret_count, struct error *err)
{
    struct json_decoder j;
    int r = decoder_init(&j, arena, text, size, err);
    if (r < 0) {
        return r;
    }
    r = decode_list(&j, descriptor);
    ProtobufCMessage **messages = NULL;
    size_t count = j.stack_size / sizeof(*messages);
    if (r == 0 && count > 0) {
        messages = arena_dup(arena, j.stack, j.stack_size);
    }
    r = decoder_finish(&j, r);
    if (r == 0) {
        *ret_messages = messages;
        *ret_count = count;
    }
    return r;
}
