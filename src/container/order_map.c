// SPDX-License-Identifier: Apache-2.0
//
// Opening an order (order.h), for helper programs that have a C library.

#include <errno.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "container/order.h"

int order_map(int fd, struct order_reader *ret_reader)
{
    struct stat info;
    if (fstat(fd, &info) < 0) {
        return -errno;
    }
    if (info.st_size <= 0) {
        return -EBADMSG;
    }
    void *data = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (data == MAP_FAILED) {
        return -errno;
    }
    *ret_reader = (struct order_reader){.at = data, .end = (char *)data + info.st_size};
    return 0;
}
