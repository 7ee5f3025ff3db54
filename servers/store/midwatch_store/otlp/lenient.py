"""Protobuf requests whose strings are not UTF-8, read all the same.

Proto3 parsers refuse a whole message for one such byte. OTLP's own descriptors, with every string declared as bytes,
parse it; the strings are then repaired, and the result is an ordinary message again.
"""

from collections.abc import Iterable
from functools import cache

from google.protobuf.descriptor import Descriptor, FieldDescriptor, FileDescriptor
from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass


def repaired(body: bytes, descriptor: Descriptor) -> bytes:
    """A serialised message of that type with invalid UTF-8 replaced by U+FFFD; raises DecodeError when it is none."""
    message = _bytes_class(descriptor)()
    message.ParseFromString(body)
    _repair(message, descriptor)
    return message.SerializeToString()


@cache
def _bytes_class(descriptor: Descriptor) -> type[Message]:
    pool = DescriptorPool()
    for file in _with_dependencies(descriptor.file):
        pool.Add(file)
    return GetMessageClass(pool.FindMessageTypeByName(descriptor.full_name))


def _with_dependencies(file: FileDescriptor) -> Iterable[FileDescriptorProto]:
    """The file and all it imports, imports first, each once, with strings declared as bytes."""
    found: dict[str, FileDescriptorProto] = {}
    for dependency in file.dependencies:
        found |= {each.name: each for each in _with_dependencies(dependency)}
    declared = FileDescriptorProto()
    file.CopyToProto(declared)
    for message in declared.message_type:
        _declare_bytes(message)
    return [*found.values(), declared]


def _declare_bytes(message: DescriptorProto) -> None:
    for field in message.field:
        if field.type == FieldDescriptorProto.TYPE_STRING:
            field.type = FieldDescriptorProto.TYPE_BYTES
    for nested in message.nested_type:
        _declare_bytes(nested)


def _repair(message: Message, strict: Descriptor) -> None:
    for field, value in message.ListFields():
        declared = strict.fields_by_name[field.name]
        if declared.message_type is not None:
            for child in value if declared.is_repeated else [value]:
                _repair(child, declared.message_type)
        elif declared.type == FieldDescriptor.TYPE_STRING and not declared.is_repeated:
            setattr(message, field.name, value.decode("utf-8", "replace").encode("utf-8"))
        elif declared.type == FieldDescriptor.TYPE_STRING:
            value[:] = [item.decode("utf-8", "replace").encode("utf-8") for item in value]
