"""Whatever the OpenAPI document lets one send, and some of what it does not: every answer is one that it tells of.

A few examples of each operation; docs/api.md tells of a long run.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
import schemathesis
from anyio.from_thread import start_blocking_portal
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import checks
from schemathesis.core.result import Ok
from tests.api.conftest import Served, settings_in

from midwatch.api.over import api_over
from midwatch.api.tokens import Scope
from midwatch.host import open_host

_EXAMPLES = 2


@pytest.fixture(scope="module")
def described(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Any, dict[str, str], str]]:
    """The document of an API over a host, a token's header, and an incident."""
    with ExitStack() as stack:
        portal = stack.enter_context(start_blocking_portal())
        host = stack.enter_context(
            portal.wrap_async_context_manager(
                open_host(settings_in(tmp_path_factory.mktemp("api"), api={"hosts": ["testserver"]}))
            )
        )
        app, _ = api_over(host, local=True)
        served = Served(host, None)  # type: ignore[arg-type]
        incident = served.incident()
        served.plan(incident)
        yield schemathesis.openapi.from_asgi("/v1/openapi.json", app), served.token(Scope.ADMIN), incident.id


def test_every_answer_is_one_that_the_document_tells_of(described: tuple[Any, dict[str, str], str]) -> None:
    schema, mine, incident = described
    answered = 0
    for operation in (result.ok() for result in schema.get_all_operations() if isinstance(result, Ok)):

        @settings(
            max_examples=_EXAMPLES,
            deadline=None,
            database=None,
            derandomize=True,
            phases=[Phase.generate],
            suppress_health_check=[*HealthCheck],
        )
        @given(case=operation.as_strategy())
        def ask(case: Any) -> None:
            nonlocal answered
            if case.path.endswith("/stream"):
                case.query = {**(case.query or {}), "follow": "false"}
            if "/incidents/{id}" in case.path:
                case.path_parameters = {"id": incident}
            case.call_and_validate(headers=mine, excluded_checks=_OF_MEANING)
            answered += 1

        ask()
    assert answered >= 25 * _EXAMPLES / 2


_OF_MEANING = [checks.positive_data_acceptance, checks.ignored_auth]
"""Words, times and alerts have a meaning that no schema tells; tokens have tests of their own."""
