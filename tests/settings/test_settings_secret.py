"""Secrets: literal from the environment, and from a settings file only by the place where they are kept."""

import os
from pathlib import Path

import pytest
from pydantic import BaseModel, ConfigDict, SecretStr, TypeAdapter, ValidationError

from midwatch.settings import Settings
from midwatch.settings.secret import MOST_BYTES, Secret, Written

HUSH = "xoxb-hush-hush"


class Chat(BaseModel):
    model_config = ConfigDict(hide_input_in_errors=True)

    token: Secret | None = None


def read(value: str) -> str:
    """Return the secret that a text of a settings file stands for."""
    token = Chat(token=Written(value)).token
    assert token is not None
    return token.get_secret_value()


def refused(value: str) -> str:
    """Return what is said of a text in a settings file that stands for no secret."""
    with pytest.raises(ValidationError) as caught:
        read(value)
    assert HUSH not in str(caught.value)
    (fault,) = caught.value.errors(include_input=False)
    assert HUSH not in str(fault)
    return fault["msg"]


def kept(folder: Path, content: bytes, mode: int = 0o600) -> Path:
    path = folder / "token"
    path.write_bytes(content)
    path.chmod(mode)
    return path


def test_from_the_environment_and_from_code_a_secret_is_taken_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIDWATCH_MODEL_API_KEY", "env:HOME")
    assert Settings().model_api_key == SecretStr("env:HOME")
    assert Chat(token=SecretStr(HUSH)).token == SecretStr(HUSH)


def test_a_settings_file_names_a_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHAT_TOKEN", HUSH)
    assert read("env:CHAT_TOKEN") == HUSH


@pytest.mark.parametrize("content", [f"{HUSH}\n", f"{HUSH}\r\n", HUSH])
def test_a_settings_file_names_a_file_whose_last_newline_is_not_part_of_the_secret(
    tmp_path: Path, content: str
) -> None:
    assert read(f"file:{kept(tmp_path, content.encode())}") == HUSH


@pytest.mark.parametrize("value", [HUSH, f"env:{HUSH}", f"{HUSH}:x", "", "env:", "file:"])
def test_a_secret_in_a_settings_file_is_refused_and_not_quoted(value: str) -> None:
    assert refused(value).startswith("a secret does not stand in a settings file: write env:NAME")


def test_a_variable_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMPTY", "")
    for name in ("NO_SUCH_NAME", "EMPTY"):
        assert refused(f"env:{name}") == f"env:{name}: the environment has no {name}, or it is empty"


@pytest.mark.parametrize(
    ("content", "mode", "said"),
    [
        (HUSH.encode(), 0o644, "everybody on this machine may read it: chmod o-rwx"),
        (b"\xff" + HUSH.encode(), 0o600, "it is no text"),
        (b"\n", 0o600, "it is empty"),
        (b"x" * (MOST_BYTES + 1), 0o600, f"it has more than {MOST_BYTES} bytes"),
    ],
)
def test_a_file_that_keeps_no_secret_is_named_with_the_reason(
    tmp_path: Path, content: bytes, mode: int, said: str
) -> None:
    path = kept(tmp_path, content, mode)
    assert refused(f"file:{path}").startswith(f"file:{path}: {said}")


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)
    assert "it is no file" in refused(f"file:{tmp_path / 'pipe'}")
    assert "No such file" in refused(f"file:{tmp_path / 'gone'}")
    assert "must begin with /" in refused("file:token")


def test_the_schema_for_editors_asks_for_a_place() -> None:
    schema = TypeAdapter(Secret).json_schema()
    assert schema["pattern"].startswith("^(env:")
