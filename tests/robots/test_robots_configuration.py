import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Protocol

import pytest

from app.settings import Settings
from robots.configuration import Configuration, UnknownFile
from robots.fleet import SERVICES, Site
from robots.record import Recorder, http_client


class Catching(Protocol):
    """What the tests need of the store: its URL, and what it was sent."""

    @property
    def url(self) -> str: ...

    @property
    def caught(self) -> dict[str, list[Any]]: ...


@asynccontextmanager
async def configured(folder: Path, store_url: str) -> AsyncGenerator[Configuration]:
    async with http_client() as http:
        configuration = Configuration(Site(folder, "", store_url), Recorder(store_url, http, print), print)
        configuration.prepare()
        yield configuration


async def test_a_change_of_configuration_is_recorded_with_its_diff_and_put_back(
    tmp_path: Path, catcher: Catching
) -> None:
    async with configured(tmp_path, catcher.url) as configuration:
        before = configuration.read("schedule", "settings.json")
        after = before.replace("60", "90")
        done = await configuration.change("schedule", "settings.json", after, by="Jonas Weber", title="More room")
        assert json.loads((configuration.site.configuration("schedule") / "settings.json").read_text()) == {
            "most_waiting": 90
        }
        await configuration.put_back("schedule", "settings.json", by="deployer")
        assert configuration.read("schedule", "settings.json") == before
    (first,), (second,) = catcher.caught["/v1/changes"]
    assert (first["kind"], first["author"], first["service_name"]) == ("config", "Jonas Weber", "schedule")
    assert '-  "most_waiting": 60\n+  "most_waiting": 90\n' in first["diff"]
    assert first["files"] == ["config/schedule/settings.json"]
    assert second["previous_version"] == first["version"] == done.version


async def test_a_flag_is_recorded_as_a_flag(tmp_path: Path, catcher: Catching) -> None:
    async with configured(tmp_path, catcher.url) as configuration:
        done = await configuration.change("schedule", "flags.json", "{}", by="Jonas Weber", title="No tickets")
    assert done.kind == "flag"


async def test_a_file_that_a_service_doesnt_have_is_refused_with_those_that_it_has(tmp_path: Path) -> None:
    async with configured(tmp_path, "http://127.0.0.1:9") as configuration:
        with pytest.raises(UnknownFile, match=r"forge has no file limits; it has flags.json, healthcheck.sh, settings"):
            await configuration.change("forge", "limits", "", by="", title="")


async def test_every_service_has_a_health_check_that_can_be_run(tmp_path: Path) -> None:
    async with configured(tmp_path, "http://127.0.0.1:9") as configuration:
        for service in SERVICES:
            assert (configuration.site.configuration(service) / "healthcheck.sh").stat().st_mode & 0o100


def test_a_service_reads_its_settings_again_when_they_are_replaced(tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    settings = Settings(path)
    assert settings.number("most", 5) == 5
    path.write_text('{"most": 7, "on": true, "by": {"sort": 2}}')
    assert (settings.number("most", 5), settings.on("on"), settings.table("by")) == (7, True, {"sort": 2})
    path.with_name("fresh").write_text('{"most": 8}')
    path.with_name("fresh").rename(path)
    assert (settings.number("most", 5), settings.on("on"), settings.table("by")) == (8, False, {})


def test_settings_that_cant_be_read_leave_what_was_said_before(tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    path.write_text('{"most": 7}')
    settings = Settings(path)
    assert settings.number("most", 5) == 7
    path.with_name("fresh").write_text('{"most": ')
    path.with_name("fresh").rename(path)
    assert settings.number("most", 5) == 7
