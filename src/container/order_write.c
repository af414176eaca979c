// SPDX-License-Identifier: Apache-2.0

#include "container/order_write.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fd.h"

static void put_record(struct buf *order, enum order_tag tag, const void *data, size_t size)
{
    uint32_t head[2] = {(uint32_t)tag, (uint32_t)size};
    buf_append(order, head, sizeof(head));
    buf_append(order, data, size);
    buf_append(order, "", 1);
}

void order_put_text(struct buf *order, enum order_tag tag, const char *text)
{
    put_record(order, tag, text, strlen(text));
}

void order_put_numbers(struct buf *order, enum order_tag tag, const int64_t *numbers, size_t count)
{
    put_record(order, tag, numbers, count * sizeof(numbers[0]));
}

void order_put_number(struct buf *order, enum order_tag tag, int64_t number)
{
    order_put_numbers(order, tag, &number, 1);
}

void order_put_user(struct buf *order, const struct user *user)
{
    if (user == NULL) {
        return;
    }
    order_put_number(order, ORDER_UID, user->uid);
    order_put_number(order, ORDER_GID, user->gid);
    for (size_t i = 0; i < user->group_count; i++) {
        order_put_number(order, ORDER_GROUP, user->groups[i]);
    }
}

int order_open(const struct buf *order, int *ret_fd, struct error *err)
{
    AUTO_CLOSE int fd = memfd_create("order", MFD_CLOEXEC);
    if (fd < 0) {
        return error_errno(err, -errno, "Failed to create a memory file");
    }
    size_t written = 0;
    while (written < order->size) {
        ssize_t n = write(fd, order->data + written, order->size - written);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return error_errno(err, -errno, "Failed to write a memory file");
        }
        written += (size_t)n;
    }
    *ret_fd = TAKE_FD(fd);
    return 0;
}
