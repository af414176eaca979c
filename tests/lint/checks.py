# SPDX-License-Identifier: Apache-2.0
"""The checks that look at code instead of running it.  checks.py [--results FILE] [CHECK ...]

Each check is one test: it prints what it found and is good when it found nothing.
"""

import concurrent.futures
import json
import os
import re
import shutil
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import purity  # noqa: E402

# A folder may include only folders that stand before it here, and itself.
ORDER = ["proto", "base", "wire", "model", "allocator", "master", "agent", "env", "net", "store", "election",
         "check", "container", "api", "client", "executor", "cli", "libmesos", "sim", "swarm", "programs"]

# Longer than the habit allows, each for its reason.
LINES_MAX = 900
LONG_FILES = {}


def find_sources(folders=("src", "tests", "bench"), ends=(".c", ".h")):
    for folder in folders:
        for path, names, files in os.walk(os.path.join(ROOT, folder)):
            names[:] = sorted(n for n in names if n not in ("node_modules", "__pycache__", "corpus"))
            for file in sorted(files):
                if file.endswith(ends):
                    yield os.path.relpath(os.path.join(path, file), ROOT)


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        return file.read()


def run(command, environment=None):
    """The command's output when it failed or said something is wrong; None when all is well."""
    result = subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, env={**os.environ, **(environment or {})},
                            encoding="utf-8", errors="replace", check=False)
    return None if result.returncode == 0 else result.stdout


def check_arrows():
    """Folders include only folders above them."""
    found = []
    for path in find_sources(("src",)):
        folder = path.split("/")[1]
        if folder not in ORDER:
            found.append("%s: the folder %s has no place in the order" % (path, folder))
            continue
        for number, line in enumerate(read(path).splitlines(), 1):
            match = re.match(r'\s*#\s*include\s+"([^"]+)"', line)
            if not match:
                continue
            target = match.group(1)
            if target.endswith(".pb-c.h"):
                continue
            top = target.split("/")[0]
            if target.startswith("."):
                found.append("%s:%d: relative include of %s" % (path, number, target))
            elif "/" in target and top not in ORDER:
                found.append("%s:%d: include of %s, which is in no folder of the order" % (path, number, target))
            elif "/" in target and ORDER.index(top) > ORDER.index(folder):
                found.append("%s:%d: %s may not include %s" % (path, number, folder, target))
    return found


def check_purity():
    """The cores import nothing that reaches the world."""
    build = os.path.join(ROOT, "build")
    output = run(["meson", "setup", "build"]) if not os.path.exists(os.path.join(build, "build.ninja")) else None
    if output is None:
        output = run(["ninja", "-C", "build"])
    return [output] if output is not None else purity.find_impurities(build)


def check_purity_sees():
    """The purity check itself finds a clock, a socket, a file and a thread when it is given them."""
    symbols = ["clock_gettime", "time", "socket", "open", "fopen", "pthread_create", "getrandom", "rand",
               "getenv", "uv_timer_start", "printf", "malloc"]
    return ["%s passes for pure" % s for s in symbols if purity.is_allowed(s)]


def check_format():
    """clang-format leaves every file as it is."""
    output = run(["clang-format", "--dry-run", "--Werror"] + list(find_sources()))
    return [output] if output else []


def check_heads():
    """Every source file starts with its licence; none is overlong; each folder has its page."""
    found = []
    for path in find_sources(ends=(".c", ".h", ".py")):
        lines = read(path).splitlines()
        if not any("SPDX-License-Identifier: Apache-2.0" in line for line in lines[:2]):
            found.append("%s: no SPDX line at its head" % path)
        if len(lines) > LINES_MAX and path not in LONG_FILES:
            found.append("%s: %d lines" % (path, len(lines)))
    for folder in sorted(os.listdir(os.path.join(ROOT, "src"))):
        is_used = any(n.endswith(".c") for n in os.listdir(os.path.join(ROOT, "src", folder)))
        if is_used and not os.path.exists(os.path.join(ROOT, "src", folder, "README.md")):
            found.append("src/%s has no README.md" % folder)
    return found


def find_compiler(name):
    return "ccache " + name if shutil.which("ccache") else name


def build(folder, options, compiler):
    if not os.path.exists(os.path.join(ROOT, folder, "build.ninja")):
        output = run(["meson", "setup", folder] + options, {"CC": find_compiler(compiler)})
        if output is not None:
            return [output]
    output = run(["ninja", "-C", folder])
    return [output] if output is not None else []


def check_gcc():
    """An optimized build by gcc gives no warning."""
    return build("build-gcc", ["--buildtype=release", "-Dwerror=true"], "gcc")


def check_clang():
    """A build by clang, with the sanitizers, gives no warning."""
    return build("build-asan", ["-Db_sanitize=address,undefined", "-Db_lundef=false", "-Dwerror=true"], "clang")


def tidy_one(path):
    output = run(["clang-tidy", "--quiet", "-p", "build-asan", path])
    return output


def check_tidy():
    """clang-tidy finds nothing (.clang-tidy says what it looks for)."""
    with open(os.path.join(ROOT, "build-asan", "compile_commands.json"), encoding="utf-8") as file:
        compiled = {os.path.normpath(os.path.join(c["directory"], c["file"])) for c in json.load(file)}
    paths = [p for p in find_sources(ends=(".c",)) if os.path.join(ROOT, p) in compiled]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        return [output for output in pool.map(tidy_one, paths) if output]


def check_scripts():
    """The shell scripts and Python files parse."""
    found = []
    for path in ("dev", ".ci/run"):
        output = run(["bash" if path == ".ci/run" else "sh", "-n", path])
        if output is not None:
            found.append(output)
    for path in list(find_sources(ends=(".py",))) + ["tests/run", "tests/fuzz/run", "bench/run"]:
        try:
            compile(read(path), path, "exec")
        except SyntaxError as error:
            found.append("%s: %s" % (path, error))
    return found


CHECKS = {
    "arrows": check_arrows,
    "purity-sees": check_purity_sees,
    "purity": check_purity,
    "format": check_format,
    "heads": check_heads,
    "scripts": check_scripts,
    "gcc": check_gcc,
    "clang": check_clang,
    "tidy": check_tidy,
}


def main(arguments):
    results_path = None
    if arguments[:1] == ["--results"]:
        results_path = arguments[1]
        arguments = arguments[2:]
    results = {}
    for name in arguments or CHECKS:
        try:
            found = CHECKS[name]()
        except Exception as error:  # a check that breaks has not passed
            found = ["%s: %r" % (name, error)]
        results[name] = not found
        print("%-12s %s" % (name, "ok" if not found else "FAILED"), flush=True)
        for line in found:
            print(line, flush=True)
    if results_path is not None:
        with open(results_path, "w", encoding="utf-8") as file:
            json.dump(results, file)
    return 0 if all(results.values()) and results else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
