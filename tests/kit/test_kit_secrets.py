"""Secrets of a server: from a variable, from a file that a variable names, and what is said when that fails."""

from pathlib import Path

import pytest
from pydantic import SecretStr
from pydantic_settings import SettingsError

from midwatch_kit import ServerSettings


class PondSettings(ServerSettings):
    pond_token: SecretStr | None = None


def test_a_secret_may_be_in_a_file_that_a_variable_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "token").write_text("carp\n")
    monkeypatch.setenv("MIDWATCH_POND_TOKEN_FILE", str(tmp_path / "token"))
    settings = PondSettings()
    assert settings.pond_token
    assert settings.pond_token.get_secret_value() == "carp"
    assert "carp" not in repr(settings)


def test_the_variable_itself_goes_before_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "token").write_text("carp")
    monkeypatch.setenv("MIDWATCH_POND_TOKEN_FILE", str(tmp_path / "token"))
    monkeypatch.setenv("MIDWATCH_POND_TOKEN", "pike")
    settings = PondSettings()
    assert settings.pond_token
    assert settings.pond_token.get_secret_value() == "pike"


def test_a_file_that_is_not_there_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIDWATCH_POND_TOKEN_FILE", str(tmp_path / "nowhere"))
    with pytest.raises(SettingsError, match=r"MIDWATCH_POND_TOKEN_FILE points to .*nowhere: No such file"):
        PondSettings()
