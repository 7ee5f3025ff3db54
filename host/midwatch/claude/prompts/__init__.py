"""What models are told, in markdown, with places to fill in."""

from functools import cache
from importlib.resources import files
from string import Template
from typing import Final

_HERE: Final = "midwatch.claude.prompts"


def prompt(name: str, **filled: str) -> str:
    """Return a prompt with its places filled in; raises `KeyError` when one is left over."""
    return _template(name).substitute(filled).strip()


@cache
def _template(name: str) -> Template:
    return Template((files(_HERE) / f"{name}.md").read_text(encoding="utf-8"))
