# SPDX-License-Identifier: Apache-2.0
"""Cores make no system call, read no clock, draw no random number from outside.

The objects of the cores, and of the parts of base and wire below them, may import only one another's
symbols, protobuf-c's, PCRE2's, the generated messages', and the functions of libc and libm named here, all of which
depend on their arguments alone. `nm` tells.
"""

import glob
import os
import subprocess

CORES = ["model", "allocator", "master", "agent"]
# Below the cores. Of base, fd.c makes system calls, flags.c reads files through it.
BELOW = ["base", "wire"]
IMPURE_OBJECTS = {"base/fd.c.o", "base/flags.c.o"}

# These may do one thing more each: get memory, and report a failed CHECK.
EXCEPTIONS = {
    "base/mem.c.o": {"malloc", "calloc", "realloc", "free", "malloc_usable_size", "mallopt", "sbrk", "madvise"},
    "base/slab.c.o": {"aligned_alloc", "free", "madvise"},
    "base/check.c.o": {"stderr", "fprintf", "abort"},
}

ALLOWED = set("""
memcpy memmove memset memcmp memchr memrchr memmem mempcpy rawmemchr
strlen strnlen strcmp strncmp strcasecmp strncasecmp strchr strrchr strchrnul strstr strspn strcspn strpbrk
strcpy strncpy stpcpy strsep strtok_r strerror_r __xpg_strerror_r
sscanf vsscanf __isoc99_sscanf __isoc99_vsscanf __isoc23_sscanf __isoc23_vsscanf
qsort qsort_r bsearch snprintf vsnprintf
strtol strtoll strtoul strtoull strtod
__isoc23_strtol __isoc23_strtoll __isoc23_strtoul __isoc23_strtoull
__errno_location __ctype_b_loc __ctype_tolower_loc __ctype_toupper_loc
floor ceil trunc round lround llround rint lrint llrint fmod pow exp log log2 log10 sqrt fmin fmax ldexp frexp
inet_ntop inet_pton gmtime_r timegm
__popcountdi2 __popcountsi2 __stack_chk_fail _GLOBAL_OFFSET_TABLE_
""".split())


def is_allowed(symbol):
    return symbol in ALLOWED or symbol.startswith(("protobuf_c_", "pcre2_", "__ubsan_", "__asan_", "__sanitizer_"))


def list_symbols(objects, option):
    """Per object, the names that nm prints with `option`."""
    symbols = {path: set() for path in objects}
    output = subprocess.run(["nm", "-A", "-P", option] + objects, check=True, stdout=subprocess.PIPE,
                            encoding="utf-8").stdout
    for line in output.splitlines():
        path, rest = line.split(": ", 1)
        symbols[path].add(rest.split()[0])
    return symbols


def find_impurities(build):
    objects = {}
    for folder in BELOW + CORES:
        for path in sorted(glob.glob(os.path.join(build, "src", folder, "lib*.a.p", "*.o"))):
            name = folder + "/" + os.path.basename(path)
            if name not in IMPURE_OBJECTS:
                objects[path] = name
    missing = [core for core in CORES if not any(name.startswith(core + "/") for name in objects.values())]
    found = ["no object of %s was found in %s" % (core, build) for core in missing]
    messages = sorted(glob.glob(os.path.join(build, "proto", "**", "*.o"), recursive=True))
    paths = list(objects)
    defined = set().union(*list_symbols(paths + messages, "--defined-only").values())
    for path, symbols in list_symbols(paths, "-u").items():
        name = objects[path]
        for symbol in sorted(symbols - defined):
            if not is_allowed(symbol) and symbol not in EXCEPTIONS.get(name, ()):
                found.append("%s imports %s" % (name, symbol))
    return found
