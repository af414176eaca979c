# SPDX-License-Identifier: Apache-2.0
"""Just enough of protobuf's encoding to write calls and to look into answers, by field numbers."""


def varint(value):
    out = b""
    value &= (1 << 64) - 1
    while value > 0x7f:
        out += bytes([value & 0x7f | 0x80])
        value >>= 7
    return out + bytes([value])


def encode(fields):
    """[(number, value)]: an int becomes a varint, text, bytes and lists of fields are length-delimited."""
    out = b""
    for number, value in fields:
        if isinstance(value, int):
            out += varint(number << 3) + varint(value)
            continue
        data = value.encode() if isinstance(value, str) else encode(value) if isinstance(value, list) else value
        out += varint(number << 3 | 2) + varint(len(data)) + data
    return out


def decode(data):
    """{number: [values]}: ints of varints, bytes of all others (fixed32 and fixed64 as they lie)."""
    fields, at = {}, 0

    def take_varint():
        nonlocal at
        value, shift = 0, 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 0x7f) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(data):
        key = take_varint()
        kind = key & 7
        if kind == 0:
            value = take_varint()
        else:
            size = {1: 8, 5: 4}.get(kind)
            if size is None:
                assert kind == 2, "wire type %d" % kind
                size = take_varint()
            assert at + size <= len(data), "the message ends within a field"
            value = data[at:at + size]
            at += size
        fields.setdefault(key >> 3, []).append(value)
    return fields
