// SPDX-License-Identifier: Apache-2.0
//
// Reading of orders (order.h). No allocation and no library: mesos-containerizer has none.

#include "container/order.h"

#include <errno.h>
#include <string.h>

int order_next(struct order_reader *reader, struct order_record *ret_record)
{
    size_t left = (size_t)(reader->end - reader->at);
    if (left == 0) {
        return 0;
    }
    uint32_t head[2];
    if (left < sizeof(head)) {
        return -EBADMSG;
    }
    memcpy(head, reader->at, sizeof(head));
    left -= sizeof(head);
    const char *data = reader->at + sizeof(head);
    if (left < (size_t)head[1] + 1 || data[head[1]] != '\0') {
        return -EBADMSG;
    }
    reader->at = data + head[1] + 1;
    *ret_record =
        (struct order_record){.tag = (enum order_tag)head[0], .data = data, .size = head[1]};
    return 1;
}

int order_number(const struct order_record *record, size_t index, int64_t *ret_number)
{
    if (record->size < (index + 1) * sizeof(int64_t)) {
        return -EBADMSG;
    }
    memcpy(ret_number, record->data + index * sizeof(int64_t), sizeof(int64_t));
    return 0;
}
