"""Settings that hold several values, written with commas between them or as a JSON list: one way for every server."""

import json
from typing import Annotated, Any, TypeVar

from pydantic import BeforeValidator
from pydantic_settings import NoDecode

T = TypeVar("T")


def _items(given: Any) -> Any:
    """Return what a text lists, in its order; anything else is for pydantic to judge, and so is what JSON holds.

    `/ecs/*, pay` and `["/ecs/*", "pay"]` are the same; `[]` is no value at all. Raises `ValueError` for JSON that is
    broken, with the place.
    """
    if not isinstance(given, str):
        return given
    if not given.lstrip().startswith(("[", "{")) and '"' not in given:
        return [item.strip() for item in given.split(",") if item.strip()]
    try:
        return json.loads(given)
    except ValueError as error:
        raise ValueError(f'is no JSON list ({error}): write a,b or ["a", "b"]') from None


Listed = Annotated[list[T], NoDecode, BeforeValidator(_items)]
"""`Listed[str]`: a list as the environment and the command line may give it; a flag may also come several times."""
