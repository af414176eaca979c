# SPDX-License-Identifier: Apache-2.0
"""Writes the dashboard's files as a C table: embed_assets.py OUTPUT WEB_DIRECTORY VENDOR_DIRECTORY

index.html and assets/ come from the first directory, assets/vendor/ from the second. Each is packed here, once, and
named by a hash of its content for the browser's cache.
"""
import gzip
import hashlib
import os
import sys


def find(web, vendor):
    found = {"/index.html": os.path.join(web, "index.html")}
    for folder, _, names in os.walk(os.path.join(web, "assets")):
        for name in names:
            if not name.startswith(".") and not name.endswith("~"):
                path = os.path.join(folder, name)
                found["/" + os.path.relpath(path, web)] = path
    for name in os.listdir(vendor):
        if name.endswith((".js", ".txt")):
            found["/assets/vendor/" + name] = os.path.join(vendor, name)
    return sorted(found.items())


def write_bytes(out, name, data):
    out.write("static const unsigned char %s[] = {%s};\n" % (name, ",".join(str(byte) for byte in data) or "0"))


def main():
    output, web, vendor = sys.argv[1:]
    found = find(web, vendor)
    rows = []
    with open(output, "w", encoding="ascii") as out:
        out.write('// SPDX-License-Identifier: Apache-2.0\n// Made by embed_assets.py.\n#include "api/assets.h"\n')
        for number, (name, path) in enumerate(found):
            with open(path, "rb") as file:
                data = file.read()
            packed = gzip.compress(data, 9, mtime=0)
            write_bytes(out, "data_%d" % number, data)
            write_bytes(out, "packed_%d" % number, packed)
            tag = hashlib.sha256(data).hexdigest()[:20]
            rows.append('    {"%s", data_%d, %d, packed_%d, %d, "\\"%s\\""},\n'
                        % (name, number, len(data), number, len(packed), tag))
        out.write("const struct asset assets[] = {\n" + "".join(rows) + "};\n")
        out.write("const size_t asset_count = %d;\n" % len(found))
    with open(output + ".d", "w", encoding="utf-8") as out:
        folders = {os.path.dirname(path) for _, path in found if path.startswith(web)}
        out.write(output + ": " + " ".join([path for _, path in found] + sorted(folders)) + "\n")


main()
