"""Places in files: where each key and value stands, however it is written."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft7Validator
from tests.settings.conftest import ran

from midwatch.config.positions import Place, of_json, of_toml, of_yaml

TOML = """\
top = 1
a.b.c = "x"  # dotted
"quo ted".'k.ey' = true
list = [1, # one
  {m = 2}, [3]]
[t.u]
v = 1979-05-27
[[arr]]
n = 1
[[arr]]
n = 2
[arr.sub]
o = 3
[[arr.deep]]
p = 4
"""


@pytest.mark.parametrize(
    ("path", "key", "value"),
    [
        (("top",), (1, 1), (1, 7)),
        (("a", "b", "c"), (2, 5), (2, 9)),
        (("quo ted", "k.ey"), (3, 11), (3, 20)),
        (("list", 0), (4, 9), (4, 9)),
        (("list", 1, "m"), (5, 4), (5, 8)),
        (("list", 2, 0), (5, 13), (5, 13)),
        (("t", "u"), (6, 4), (6, 4)),
        (("t", "u", "v"), (7, 1), (7, 5)),
        (("arr", 0, "n"), (9, 1), (9, 5)),
        (("arr", 1, "n"), (11, 1), (11, 5)),
        (("arr", 1, "sub", "o"), (13, 1), (13, 5)),
        (("arr", 1, "deep", 0, "p"), (15, 1), (15, 5)),
        (("arr", 1, "gone"), (10, 3), (10, 3)),
    ],
)
def test_where_things_stand_in_toml(path: tuple[str | int, ...], key: tuple[int, int], value: tuple[int, int]) -> None:
    found = of_toml(TOML).of(path)
    assert (found.key, found.value) == (Place(*key), Place(*value))


def test_columns_count_characters_and_not_bytes() -> None:
    assert of_toml('"ü" = {"ä" = 1, b = 2}\n').of(("ü", "b")).key == Place(1, 17)


def test_where_things_stand_in_yaml() -> None:
    found = of_yaml("a: 1\nb:\n  - {c: 2}\n", first_line=4)
    assert found.of(("b", 0, "c")).value == Place(6, 9)
    assert of_yaml("a: [").found == {}


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(st.text(max_size=4), inside, max_size=3),
    max_leaves=8,
)


@settings(max_examples=60, deadline=None)
@given(values, st.sampled_from([None, 0, 1, "\t"]), st.booleans())
def test_every_value_of_json_is_found_where_it_stands(value: Any, indent: Any, ascii_only: bool) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=ascii_only)
    lines = text.split("\n")
    found = of_json(text).found

    def check(inside: Any, path: tuple[str | int, ...]) -> None:
        place = found[path].value
        rest = "\n".join([lines[place.line - 1][place.column - 1 :], *lines[place.line :]])
        assert json.JSONDecoder().raw_decode(rest)[0] == inside
        children = inside.items() if isinstance(inside, dict) else enumerate(inside) if isinstance(inside, list) else ()
        for key, each in children:
            check(each, (*path, key))

    check(value, ())


def test_an_editor_is_told_what_may_stand_in_the_file() -> None:
    code, said = ran("config", "schema")
    assert code == 0
    schema = json.loads(said)
    Draft7Validator.check_schema(schema)
    judge = Draft7Validator(schema)
    good = {"reasoner": "claude", "model_api_key": "env:KEY", "call_seconds": 5}
    assert judge.is_valid(good)
    for wrong in ({"call_secs": 5}, {"model_api_key": "sk-hush"}, {"reasoner": "cloude"}, {"call_seconds": 0}):
        assert not judge.is_valid({**good, **wrong}), wrong
