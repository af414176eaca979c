# SPDX-License-Identifier: Apache-2.0
"""Writes the files of a directory as a C table: embed_assets.py DIRECTORY OUTPUT"""
import os
import sys


def main():
    directory, output = sys.argv[1:]
    found = []
    for folder, _, names in os.walk(directory):
        for name in names:
            if not name.startswith('.') and not name.endswith('~'):
                path = os.path.join(folder, name)
                found.append(('/' + os.path.relpath(path, directory), path))
    found.sort()
    with open(output, 'w', encoding='ascii') as out:
        out.write('// SPDX-License-Identifier: Apache-2.0\n')
        out.write('// Made by embed_assets.py.\n#include "api/assets.h"\n')
        for number, (_, path) in enumerate(found):
            with open(path, 'rb') as file:
                data = file.read()
            out.write(f'static const unsigned char data_{number}[] = {{')
            out.write(','.join(str(byte) for byte in data) or '0')
            out.write('};\n')
        out.write('const struct asset assets[] = {\n')
        for number, (name, path) in enumerate(found):
            out.write(f'    {{"{name}", data_{number}, {os.path.getsize(path)}}},\n')
        out.write('};\n')
        out.write(f'const size_t asset_count = {len(found)};\n')
    with open(output + '.d', 'w', encoding='utf-8') as out:
        out.write(output + ': ' + ' '.join(path for _, path in found) + '\n')


main()
