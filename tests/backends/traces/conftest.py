"""Backends of the traces server with the same story in each, and what the embedded store says of it."""

from collections.abc import Callable, Generator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from tests.backends.fakes.jaeger import FakeJaeger
from tests.backends.fakes.otlp import Row
from tests.backends.fakes.tempo import FakeTempo
from tests.backends.fakes.xray import FakeXRay
from tests.backends.serving import served
from tests.servers.traces.conftest import Story, Trouble

from midwatch_store.writer import Writer
from midwatch_traces.backend import TraceBackend
from midwatch_traces.backends import chosen
from midwatch_traces.settings import TracesSettings

Settings = dict[str, Any]
SECONDS = 200


def _fault(at: float, place: str, _: str) -> Trouble | None:
    return Trouble(exception="FieldError", message="unknown field") if place == "pay" and at >= 210 else None


@pytest.fixture(scope="session", autouse=True)
def _credentials() -> Generator[None]:
    """Where boto3 looks for them."""
    with pytest.MonkeyPatch.context() as patched:
        for name, value in {"ACCESS_KEY_ID": "id", "SECRET_ACCESS_KEY": "key", "REGION": "eu-central-1"}.items():
            patched.setenv(f"AWS_{name}", value)
        patched.setenv("AWS_DEFAULT_REGION", "eu-central-1")
        yield


@pytest.fixture(scope="session")
def told() -> list[Row]:
    """Four minutes of the shop; in the last half minute pay fails."""
    rows: list[Row] = Story(fault=_fault, per_second=1.0).tell()
    return rows


@pytest.fixture(scope="session")
def busier() -> list[Row]:
    """The same with half as many requests again: enough to be sampled, and say something still."""
    rows: list[Row] = Story(fault=_fault, per_second=1.5).tell()
    return rows


@pytest.fixture(scope="session")
def settings_of(told: list[Row], tmp_path_factory: pytest.TempPathFactory) -> Generator[Callable[[str], Settings]]:
    """Returns the settings of a backend that holds the story; each is started once, when first asked for."""
    running: dict[str, Settings] = {}

    def store() -> Settings:
        folder = tmp_path_factory.mktemp("told")
        with Writer(folder) as writer:
            writer.append({"otel_traces": told})
        return {"store": folder}

    with ExitStack() as stack:

        def url(app: Any) -> str:
            return stack.enter_context(served(app))[0]

        starts: dict[str, Callable[[], Settings]] = {
            "store": store,
            "jaeger": lambda: {"jaeger_url": url(FakeJaeger(told).app)},
            "jaeger without v3": lambda: {"jaeger_url": url(FakeJaeger(told, v3=False).app)},
            "tempo": lambda: {"tempo_url": url(FakeTempo(told).app)},
            "xray": lambda: {"xray": True, "aws_endpoint_url": url(FakeXRay(told).app)},
        }

        def settings(name: str) -> Settings:
            if name not in running:
                running[name] = starts[name]()
            return running[name]

        yield settings


@pytest.fixture
def connect(tmp_path: Path) -> Callable[..., TraceBackend]:
    """Returns a maker of the backends that some settings turn on."""

    def make(**settings: Any) -> TraceBackend:
        return chosen(TracesSettings(**{"evidence_dir": tmp_path, "deadline_seconds": 300, **settings}))

    return make
