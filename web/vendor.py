# SPDX-License-Identifier: Apache-2.0
"""Fetches the dashboard's libraries, as package-lock.json pins them: vendor.py WEB_DIRECTORY OUTPUT_DIRECTORY

npm checks what it gets against the lock file's hashes. Browsers know no bare names of modules, so that
`from "preact"` becomes a path here; nothing else is changed.
"""
import json
import os
import re
import shutil
import subprocess
import sys

# What the page loads: name below assets/vendor -> where npm puts it.
MODULES = {
    "preact.js": "preact/dist/preact.module.js",
    "hooks.js": "preact/hooks/dist/hooks.module.js",
    "htm.js": "htm/dist/htm.module.js",
}
PATHS = {"preact": "./preact.js"}


def fetch(web, folder):
    os.makedirs(folder, exist_ok=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copyfile(os.path.join(web, name), os.path.join(folder, name))
    command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline", "--loglevel=error"]
    answer = subprocess.run(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, text=True, check=False)
    if answer.returncode != 0:
        sys.exit("The dashboard's libraries could not be fetched (npm ci):\n" + answer.stdout)


def rewrite(text):
    text = re.sub(r"\n//# sourceMappingURL=.*", "", text)
    text = re.sub(r'\bfrom\s*"([^"./][^"]*)"', lambda found: 'from"%s"' % PATHS[found.group(1)], text)
    return text.rstrip() + "\n"


def main():
    web, output = sys.argv[1:]
    folder = os.path.join(output, "npm")
    fetch(web, folder)
    modules = os.path.join(folder, "node_modules")
    licences = []
    for name in sorted({path.split("/")[0] for path in MODULES.values()}):
        with open(os.path.join(modules, name, "package.json"), encoding="utf-8") as file:
            version = json.load(file)["version"]
        with open(os.path.join(modules, name, "LICENSE"), encoding="utf-8") as file:
            licences.append("%s %s\n\n%s" % (name, version, file.read()))
    for name, path in MODULES.items():
        with open(os.path.join(modules, path), encoding="utf-8") as file:
            text = rewrite(file.read())
        with open(os.path.join(output, name), "w", encoding="utf-8") as out:
            out.write(text)
    with open(os.path.join(output, "licences.txt"), "w", encoding="utf-8") as out:
        out.write("\n\n".join(licences))


main()
