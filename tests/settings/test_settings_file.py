"""The settings file: which one it is, what goes before what, and that nothing in it is read over."""

from pathlib import Path

import pytest
from pydantic import ValidationError
from tests.settings.conftest import ran

from midwatch.cli.shared import settings_or_fail
from midwatch.config.fields import every_field, is_secret
from midwatch.errors import BadSettings
from midwatch.settings import Settings
from midwatch.settings.secret import Secret

OWN_MODEL = "[model_prices.own]\ninput = 1\noutput = 2\ncache_write = 3\ncache_read = 4\n"


def test_the_command_line_goes_before_the_environment_and_that_before_the_file(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "midwatch.toml").write_text("call_seconds = 1\nconnect_seconds = 2\nsubagent_seconds = 3\n")
    monkeypatch.setenv("MIDWATCH_CONNECT_SECONDS", "20")
    monkeypatch.setenv("MIDWATCH_SUBAGENT_SECONDS", "30")
    told = settings_or_fail(subagent_seconds=40, lookback_seconds=None)
    assert (told.call_seconds, told.connect_seconds, told.subagent_seconds) == (1, 20, 40)
    assert told.lookback_seconds == 900


def test_a_variable_changes_one_value_of_a_table_and_leaves_the_others(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "midwatch.toml").write_text(OWN_MODEL)
    monkeypatch.setenv("MIDWATCH_MODEL_PRICES__OWN__OUTPUT", "7.5")
    price = Settings().model_prices["own"]
    assert (price.input, price.output, price.cache_write, price.cache_read) == (1, 7.5, 3, 4)


def test_another_file_is_named_by_a_variable_or_before_the_command(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "midwatch.toml").write_text('data_dir = "usual"\n')
    (folder / "other.toml").write_text('data_dir = "other"\n')
    assert Settings().data_dir == Path("usual")
    assert 'data_dir = "other"' in ran("--config", "other.toml", "config", "show")[1]
    monkeypatch.setenv("MIDWATCH_CONFIG", "other.toml")
    assert Settings().data_dir == Path("other")


def test_a_file_that_is_named_and_not_there_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIDWATCH_CONFIG", "gone.toml")
    with pytest.raises(BadSettings, match=r"cannot read the settings file gone\.toml: No such file"):
        Settings()


@pytest.mark.parametrize("text", ["data_dirr = 'x'\n", "[telemetry]\nstore = 'x'\n", f"{OWN_MODEL}outptu = 1\n"])
def test_a_key_that_nobody_knows_is_an_error(folder: Path, text: str) -> None:
    (folder / "midwatch.toml").write_text(text)
    with pytest.raises(ValidationError, match="extra_forbidden"):
        Settings()


def test_a_command_names_the_line_of_what_is_wrong_and_does_nothing(folder: Path) -> None:
    (folder / "midwatch.toml").write_text('reasoner = "builtin"\ncall_seconds = 0\n')
    code, said = ran("incidents")
    assert code == 1
    assert "midwatch.toml:2:16: call_seconds: 0 must be greater than 0" in said
    assert not (folder / ".midwatch").exists()


def test_a_file_that_is_no_toml_is_an_error_with_its_place(folder: Path) -> None:
    (folder / "midwatch.toml").write_text('data_dir = "x"\ncall_seconds = \n')
    with pytest.raises(BadSettings, match=r"midwatch\.toml:2:16: this is no TOML: Invalid value"):
        Settings()


def test_settings_of_which_one_is_a_part_of_the_other_contradict_each_other_only_when_both_were_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MIDWATCH_RECOVERY_SECONDS", "10")
    assert Settings().settle_seconds > Settings().recovery_seconds
    monkeypatch.setenv("MIDWATCH_SETTLE_SECONDS", "60")
    with pytest.raises(ValidationError, match="settle_seconds is more than recovery_seconds"):
        Settings()


def test_every_secret_of_the_settings_is_kept_out_of_files_and_every_table_knows_its_keys() -> None:
    of_files = Secret.__metadata__  # type: ignore[attr-defined] # an annotated type has it
    for path, field in every_field(Settings):
        kinds = [*field.metadata, *getattr(field.annotation, "__args__", ())]
        if is_secret(field.annotation):
            assert any(of_files[0] in getattr(each, "__metadata__", (each,)) for each in kinds), path
