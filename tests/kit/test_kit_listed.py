"""Settings of several values: the same ways of writing them in every server."""

from pathlib import Path

import pytest
from publish.describe import SERVERS, settings_class
from pydantic import Field

from midwatch_kit import ServerSettings
from midwatch_kit.listed import Listed
from midwatch_kit.settings import variable_of


class Settings(ServerSettings):
    """Settings with a list."""

    ponds: Listed[str] = Field(["blue"])


LISTS = [
    (server, name)
    for server in SERVERS
    for name, field in settings_class(server).model_fields.items()
    if str(field.annotation).startswith("list")
]


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("green", ["green"]),
        ("/ecs/*, green,", ["/ecs/*", "green"]),
        ('["/ecs/*", "a,b"]', ["/ecs/*", "a,b"]),
        ("[]", []),
        (" , ", []),
        ("", ["blue"]),
    ],
)
def test_a_list_has_commas_between_or_is_json(monkeypatch: pytest.MonkeyPatch, written: str, read: list[str]) -> None:
    monkeypatch.setenv("MIDWATCH_PONDS", written)
    assert Settings().ponds == read


@pytest.mark.parametrize(
    "flags", [["--ponds", "green,/ecs/*"], ["--ponds", '["green", "/ecs/*"]'], ["--ponds=green", "--ponds", "/ecs/*"]]
)
def test_a_flag_is_written_in_the_same_ways_or_comes_several_times(flags: list[str]) -> None:
    assert Settings(_cli_parse_args=flags).ponds == ["green", "/ecs/*"]


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ('["green", "blue"', "is no JSON list (Expecting ',' delimiter: line 1 column 17 (char 16))"),
        ("[green]", 'is no JSON list (Expecting value: line 1 column 2 (char 1)): write a,b or ["a", "b"]'),
        ('"green","blue"', "is no JSON list (Extra data"),
        ('{"green": 1}', "valid list"),
        ("[1]", "valid string"),
    ],
)
def test_what_is_no_list_is_refused_and_never_taken_for_a_value(
    monkeypatch: pytest.MonkeyPatch, written: str, words: str
) -> None:
    monkeypatch.setenv("MIDWATCH_PONDS", written)
    with pytest.raises(ValueError, match="ponds") as refused:
        Settings()
    assert words in str(refused.value)


@pytest.mark.parametrize(("server", "name"), LISTS)
def test_every_list_of_every_server_is_read_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, server: str, name: str
) -> None:
    for needed in ("MIDWATCH_STORE", "MIDWATCH_BYO_MAPPING"):
        monkeypatch.setenv(needed, str(tmp_path))
    settings = settings_class(server)
    variable = variable_of(settings.model_fields[name], name)
    for written in ("a/b, c/d", '["a/b", "c/d"]'):
        monkeypatch.setenv(variable, written)
        assert [str(value) for value in getattr(settings(), name)] == ["a/b", "c/d"]
