"""Every place where people are told, with its settings, the alert that leads there, and what is to be seen there."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.channels.conftest import settings_of
from tests.channels.vendors import GitHub, Jira, PagerDuty, PagerDutyEvents, ServiceNow, Sink, Vendor
from tests.channels.workspace import BOT_TOKEN, CHANNEL, Workspace

WHSEC = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@dataclass(frozen=True)
class Place:
    """One kind of channel: its fake, its settings at an address, and the alert that came from there.

    `life` is how many things are to be seen after an incident was opened, waited for approval and was cured, told at
    each of these; `first` is what is told first.
    """

    kind: str
    vendor: Callable[[], Vendor]
    settings: Callable[[str], dict[str, Any]]
    life: int
    knows: bool = True
    """Whether it can be asked what is there, or takes the same twice for one."""
    alert: dict[str, Any] = field(default_factory=dict)
    alert_at: Callable[[str], dict[str, Any]] = lambda url: {}
    first: str = "opened"

    def told(self, url: str, **more: Any) -> Any:
        return settings_of(kind=self.kind, **{"seconds": 5, **self.settings(url), **more})


PLACES = [
    Place("slack", Workspace, lambda u: {"channel": CHANNEL, "bot_token": BOT_TOKEN, "api": f"{u}/api"}, life=3),
    Place("teams", Sink, lambda u: {"url": f"{u}/workflows?sig=x"}, life=2, knows=False, first="waits"),
    Place(
        "pagerduty", PagerDuty, lambda u: {"api": u, "token": "pd-token", "sender": "sre@example.com"}, life=2,
        alert={"source": "pagerduty", "external_id": "Q2INCIDENT"}, first="waits",
    ),
    Place("pagerduty_events", PagerDutyEvents, lambda u: {"api": u, "routing_key": "r" * 32}, life=1),
    Place(
        "servicenow", ServiceNow, lambda u: {"url": u, "username": "midwatch", "password": "sn-password"}, life=2,
        alert={"source": "servicenow", "external_id": "INC0010001"}, first="waits",
    ),
    Place(
        "jira", Jira,
        lambda u: {"url": u, "email": "midwatch@example.com", "token": "jira-token", "projects": ["OPS"]}, life=1,
        alert_at=lambda u: {"links": [f"{u}/browse/OPS-7"]},
    ),
    Place(
        "github", GitHub, lambda u: {"api": u, "token": "gh-token", "repositories": ["shop/*"]}, life=1,
        alert_at=lambda u: {"links": [f"{u}/shop/stock/issues/12"]},
    ),
    Place("webhook", Sink, lambda u: {"url": f"{u}/hook", "secret": WHSEC}, life=6, knows=False),
]  # fmt: skip
