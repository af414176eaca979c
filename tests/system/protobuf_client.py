# SPDX-License-Identifier: Apache-2.0
"""A v1 scheduler client in protobuf, made by a stock protoc from our .proto files: none of our encoding is in it."""

import importlib
import os
import subprocess
import sys
import tempfile

import google.protobuf.json_format as json_format

from harness import ROOT, Scheduler

MEDIA = "application/x-protobuf"


def load(*names):
    """The modules that protoc makes of proto/NAME.proto."""
    with tempfile.TemporaryDirectory() as directory:
        subprocess.run(["protoc", "-I", os.path.join(ROOT, "proto"), "--python_out", directory,
                        *(name + ".proto" for name in names)], check=True, cwd=os.path.join(ROOT, "proto"))
        sys.path.insert(0, directory)
        try:
            return [importlib.import_module(name + "_pb2") for name in names]
        finally:
            sys.path.remove(directory)


_mesos, _scheduler = load("mesos", "scheduler")


def encode_call(call):
    """The bytes of a call that is written as for JSON; what it lacks is not asked for."""
    return json_format.ParseDict(call, _scheduler.Call()).SerializePartialToString()


def decode_event(data):
    event = _scheduler.Event()
    event.ParseFromString(data)
    return json_format.MessageToDict(event, preserving_proto_field_name=True)


class ProtobufScheduler(Scheduler):
    """The same client as Scheduler, in the other encoding."""

    MEDIA = MEDIA

    def encode(self, call):
        return encode_call(call)

    def decode(self, record):
        return decode_event(record)
