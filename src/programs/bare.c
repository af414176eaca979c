// SPDX-License-Identifier: Apache-2.0
//
// The entry of a program without a C library, and the two functions that compilers call by
// themselves. Compiled with -fno-tree-loop-distribute-patterns, else these would call themselves.

#include "bare.h"

#ifdef MESETA_BARE

#include <sys/syscall.h>

void *memcpy(void *restrict to, const void *restrict from, size_t size);
void *memset(void *to, int byte, size_t size);
_Noreturn __attribute__((used)) void bare_start(void);

#if defined(__x86_64__)
__asm__(".text\n.global _start\n_start:\n"
        "    xor %ebp, %ebp\n"
        "    and $-16, %rsp\n"
        "    call bare_start\n");
#else
__asm__(".text\n.global _start\n_start:\n"
        "    mov x29, #0\n"
        "    mov x30, #0\n"
        "    bl bare_start\n");
#endif

void bare_start(void)
{
    int status = bare_main();
    for (;;) {
        BARE_CALL3(SYS_exit_group, status, 0, 0);
    }
}

void *memcpy(void *restrict to, const void *restrict from, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        ((char *)to)[i] = ((const char *)from)[i];
    }
    return to;
}

void *memset(void *to, int byte, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        ((char *)to)[i] = (char)byte;
    }
    return to;
}

#else

int main(void)
{
    return bare_main();
}

#endif
