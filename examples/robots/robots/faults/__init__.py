"""The faults by name; each is one small module."""

from robots.faults import clean, forge_cache, forge_field
from robots.scene import Fault

FAULTS: dict[str, Fault] = {fault.name: fault for fault in (forge_field.FAULT, forge_cache.FAULT, clean.FAULT)}
DEFAULT = forge_field.FAULT.name
