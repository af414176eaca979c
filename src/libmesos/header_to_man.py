#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""header_to_man.py HEADER: prints a manual page of section 3, made of a public header's comments and declarations."""

import os
import re
import sys


def escape(text):
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return "\\&" + text if text[:1] in (".", "'") else text


def paragraphs(comment):
    """The paragraphs of a comment's lines, each as one text."""
    text = "\n".join(line[2:].strip() for line in comment)
    return [" ".join(part.split()) for part in re.split(r"\n\s*\n", text) if part.strip()]


def put_block(block, out):
    """Declarations with what is said of them before and within."""
    comment = []
    while block and block[0].startswith("//"):
        comment.append(block.pop(0))
    title = re.fullmatch(r"// ---- (.*) ----", comment[0]) if comment else None
    if title:
        out.append(".SH " + escape(title.group(1).upper()))
        comment.pop(0)
    code = []
    for line in block:
        if line.startswith("//") and code and not code[-1].endswith(("{", ",")):
            put_code(code, comment, out)
            code, comment = [], []
        if line.startswith("//") and not code:
            comment.append(line)
        else:
            code.append(line)
    put_code(code, comment, out)


def put_code(code, comment, out):
    if code:
        text = "\n".join(code).replace("MESOS_API ", "")
        out += [".PP", ".nf", *(escape(line) for line in text.split("\n")), ".fi"]
        out += [".RS" if comment else ".br"]
    for text in paragraphs(comment):
        out += [".PP" if not code else ".sp 0", escape(text)]
    if code and comment:
        out.append(".RE")


def main(path):
    with open(path, encoding="utf-8") as file:
        text = file.read()
    name = "mesos_" + os.path.basename(path)[:-2]
    head = [line for line in text.split("#ifndef")[0].split("\n")[1:] if line.startswith("//")]
    first, *rest = paragraphs(head)
    title, _, more = first.partition(". ")
    out = ['.TH %s 3 "" "Meseta"' % name.upper(), ".SH NAME",
           "%s \\- %s" % (name, escape(title.partition(": ")[2].rstrip("."))), ".SH SYNOPSIS", ".nf",
           "#include <mesos/%s>" % os.path.basename(path), "", "pkg\\-config \\-\\-cflags \\-\\-libs mesos", ".fi",
           ".SH DESCRIPTION"]
    for part in ([more] if more else []) + rest:
        out += [".PP", escape(part)]
    body = text.partition('extern "C" {\n#endif\n')[2].rpartition("#ifdef __cplusplus")[0]
    out.append(".SH DECLARATIONS")
    for block in re.split(r"\n\n", body.strip()):
        put_block(block.split("\n"), out)
    pages = [p for p in ("mesos_scheduler", "mesos_executor", "mesos_message") if p != name]
    out += [".SH SEE ALSO", ", ".join(".BR %s (3)" % p if i == 0 else "%s(3)" % p for i, p in enumerate(pages))]
    print("\n".join(out))


if __name__ == "__main__":
    main(sys.argv[1])
