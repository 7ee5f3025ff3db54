"""Writes the table of all settings into docs/settings.md, as the models have them.

python docs/list_settings.py            # after a setting was added or changed
python docs/list_settings.py --check    # exits with 1 when the page is not what the models say
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from midwatch.config.fields import is_secret
from midwatch.config.show import plain
from midwatch.settings import Settings

PAGE = Path(__file__).with_name("settings.md")
BEGIN, END = "<!-- begin of what docs/list_settings.py writes -->\n", "<!-- end -->\n"


def main() -> None:
    """Write the page, or only look whether it is up to date."""
    page = PAGE.read_text(encoding="utf-8")
    before, _, rest = page.partition(BEGIN)
    lines = ["| key | default | what |", "|---|---|---|", *_rows(Settings, (), {})]
    told = before + BEGIN + "\n" + "\n".join(lines) + "\n\n" + END + rest.partition(END)[2]
    if "--check" not in sys.argv:
        PAGE.write_text(told, encoding="utf-8")
    elif told != page:
        sys.exit("docs/settings.md is not what the models say: run docs/list_settings.py")


def _rows(model: type[BaseModel], at: tuple[str, ...], known: dict[type[BaseModel], str]) -> Iterator[str]:
    """Yield a row for each setting; a table that was told of under another key is told of by that."""
    for name, field in model.model_fields.items():
        path = (*at, name)
        tables = list(_tables(field.annotation, path))
        if not tables or field.description:
            yield _row(path, field, len(tables))
        if len(tables) != 1:  # of many kinds each has a page that says what it takes
            continue
        ((below, inside),) = tables
        if inside in known:
            yield f"| `{'.'.join(below)}` | | as `{known[inside]}` |"
        else:
            known[inside] = ".".join(below)
            yield from _rows(inside, below, known)


def _row(path: tuple[str, ...], field: FieldInfo, tables: int) -> str:
    what = (field.description or "").replace("|", r"\|")
    what += "; a secret" if is_secret(field.annotation) and not tables else ""
    what += f"; {' or '.join(f'`{each}`' for each in choices)}" if (choices := list(_choices(field.annotation))) else ""
    return f"| `{'.'.join(path)}` | {_default(field)} | {what.removeprefix('; ')} |"


def _default(field: FieldInfo) -> str:
    value: Any = field.get_default(call_default_factory=True)
    if value is PydanticUndefined:
        return "must be set"
    if value is None or isinstance(value, BaseModel) or value in ((), [], {}, ""):
        return "\N{EN DASH}"
    return f"`{json.dumps(plain(value), ensure_ascii=False).strip(chr(34))}`"


def _choices(annotation: Any) -> Iterator[str]:
    for each in get_args(annotation):
        if isinstance(each, str):
            yield each
        elif get_origin(annotation) in (Union, UnionType):
            yield from _choices(each)


def _tables(annotation: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], type[BaseModel]]]:
    """Yield the models in a type with where they stand; `*` is any name in a mapping, or each item of a list."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield path, annotation
        return
    between = get_origin(annotation) in (Union, UnionType, Annotated)
    for each in get_args(annotation):
        yield from _tables(each, path if between else (*path, "*"))


if __name__ == "__main__":
    main()
