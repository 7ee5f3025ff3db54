"""What may stand where in the settings, read from the models: the keys of a table, and what a value is for."""

from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo


def keys_at(model: type[BaseModel], path: Sequence[str | int]) -> list[str]:
    """Return the keys that the table at a path may have; none where any may be."""
    return sorted({name for each in _models(_step_all([model], path)) for name in names_of(each)})


def field_at(model: type[BaseModel], path: Sequence[str | int]) -> FieldInfo | None:
    """Return the field at a path; None where a path leads to an item of a list or of a mapping, or nowhere."""
    if not path:
        return None
    holders = _models(_step_all([model], path[:-1]))
    found = (_field(each, path[-1]) for each in holders)
    return next((field for field in found if field), None)


def as_written(model: type[BaseModel], path: Sequence[str | int], *, to_the_end: bool) -> tuple[str | int, ...]:
    """Return a path of a fault as it stands in a file: without the kinds that validation puts in between.

    With `to_the_end` the last step is a key that was written, whether there may be such a key or not.
    """
    annotations: list[object] = [model]
    steps: list[str | int] = []
    for number, key in enumerate(path, 1):
        if len(among := [*_models(annotations)]) > 1 and (of_kind := [each for each in among if key in _kinds(each)]):
            annotations = [*of_kind]  # a kind may have the name of a key, as teams has
            continue
        stepped = [inside for each in annotations for inside in _step(each, key)]
        is_kind = not stepped and len(among) > 1 and not (to_the_end and number == len(path))
        annotations = stepped or annotations
        steps += [] if is_kind else [key]
    return tuple(steps)


def nearest(name: str, names: Sequence[str]) -> str:
    """Return the name that was probably meant, '' when none is near."""
    near = {each.lower(): each for each in names}
    return next((near[each] for each in get_close_matches(name.lower(), near, n=1, cutoff=0.7)), "")


def is_secret(annotation: object) -> bool:
    """Whether values of a type are never to be shown."""
    return annotation is SecretStr or any(is_secret(each) for each in get_args(annotation))


def names_of(model: type[BaseModel]) -> list[str]:
    """Return the keys that a model takes, as they are written."""
    return [field.alias or name for name, field in model.model_fields.items()]


def leaves(value: BaseModel) -> Iterator[tuple[tuple[str, ...], object, FieldInfo]]:
    """Yield every setting with its path, its value and its field; a table that is not there is one value, None."""
    for name, field in type(value).model_fields.items():
        inside = getattr(value, name)
        if isinstance(inside, BaseModel):
            yield from (((name, *path), leaf, of) for path, leaf, of in leaves(inside))
        else:
            yield (name,), inside, field


def every_field(model: type[BaseModel], at: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], FieldInfo]]:
    """Yield every setting that there can be, with its path; those in lists and mappings stand below `*`."""
    for name, field in model.model_fields.items():
        yield (*at, name), field
        for below, inside in _tables(field.annotation):
            yield from every_field(inside, (*at, name, *below))


def _tables(annotation: object) -> Iterator[tuple[tuple[str, ...], type[BaseModel]]]:
    """Yield the models in a type, and what stands between: nothing, or `*` for each list or mapping."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield (), annotation
    between = () if get_origin(annotation) in (Union, UnionType, Annotated) else ("*",)
    for each in get_args(annotation):
        yield from ((between + below, model) for below, model in _tables(each))


def _field(model: type[BaseModel], key: str | int) -> FieldInfo | None:
    by_alias = {field.alias: field for field in model.model_fields.values() if field.alias}
    return by_alias.get(str(key)) or model.model_fields.get(str(key))


def _kinds(model: type[BaseModel]) -> tuple[object, ...]:
    """Return the names by which a model is told from the others that may stand in its place."""
    field = model.model_fields.get("kind")
    return get_args(field.annotation) if field and get_origin(field.annotation) is Literal else ()


def _models(annotations: Sequence[object]) -> Iterator[type[BaseModel]]:
    return (each for each in annotations if isinstance(each, type) and issubclass(each, BaseModel))


def _step_all(annotations: Sequence[object], path: Sequence[str | int]) -> list[object]:
    for key in path:
        stepped = [inside for each in annotations for inside in _step(each, key)]
        annotations = stepped or list(annotations)  # what validation puts in between is no step
    return list(annotations)


def _step(annotation: object, key: str | int) -> Iterator[object]:
    """Yield the types that a value of a type may have at one of its keys."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        if field := _field(annotation, key):
            yield from _flat(field.annotation)
        return
    origin, inside = get_origin(annotation), get_args(annotation)
    if isinstance(origin, type) and inside:
        if issubclass(origin, Mapping):
            yield from _flat(inside[-1])
        elif issubclass(origin, Sequence | set | frozenset) and isinstance(key, int):
            yield from _flat(inside[0])


def _flat(annotation: Any) -> Iterator[object]:
    """Yield what a union, an optional or an annotated type is made of."""
    if get_origin(annotation) in (Union, UnionType):
        for each in get_args(annotation):
            yield from _flat(each)
    elif get_origin(annotation) is Annotated:
        yield from _flat(get_args(annotation)[0])
    else:
        yield annotation
