// SPDX-License-Identifier: Apache-2.0
//
// What a program that is linked without any C library calls instead: the kernel. A C library costs
// a short program most of its time; on a virtual machine its look at the processor alone takes
// 0.2 ms, since every CPUID instruction leaves the guest. Constants still come from the usual
// headers.
//
// With MESETA_BARE the program begins at bare_main() (bare.c) and has nothing but this. Without it
// (other processors, sanitizers) the same source is an ordinary program on the C library.

#pragma once

#include <stddef.h>

// The program. Its result is the exit status.
int bare_main(void);

#ifdef MESETA_BARE

#if defined(__x86_64__)

static inline long bare_call6(long number, long a, long b, long c, long d, long e, long f)
{
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    register long r9 __asm__("r9") = f;
    long result;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
}

#elif defined(__aarch64__)

static inline long bare_call6(long number, long a, long b, long c, long d, long e, long f)
{
    register long x8 __asm__("x8") = number;
    register long x0 __asm__("x0") = a;
    register long x1 __asm__("x1") = b;
    register long x2 __asm__("x2") = c;
    register long x3 __asm__("x3") = d;
    register long x4 __asm__("x4") = e;
    register long x5 __asm__("x5") = f;
    __asm__ volatile("svc #0"
                     : "+r"(x0)
                     : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
                     : "memory");
    return x0;
}

#else
#error "No system calls for this processor: build without MESETA_BARE"
#endif

#else

#include <errno.h>
#include <unistd.h>

static inline long bare_call6(long number, long a, long b, long c, long d, long e, long f)
{
    long result = syscall(number, a, b, c, d, e, f);
    return result < 0 ? -errno : result;
}

#endif

// System call `number`; its result, or a negative errno. Pointers are cast to long.
#define BARE_CALL3(number, a, b, c) bare_call6((number), (long)(a), (long)(b), (long)(c), 0, 0, 0)
