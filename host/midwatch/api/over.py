"""The API over a running host: tokens, figures and the stream put together."""

import logging
from collections.abc import Sequence
from datetime import UTC, datetime

import sqlalchemy as sa
from fastapi import FastAPI
from starlette.routing import BaseRoute

from midwatch.api.alerts import intake_of
from midwatch.api.app import application
from midwatch.api.figures import Counts, Figures, Standing
from midwatch.api.hub import Hub
from midwatch.api.state import Api
from midwatch.api.tokens import Scope, Tokens
from midwatch.errors import BadSettings
from midwatch.host import Host
from midwatch.records import Status
from midwatch.settings import Settings
from midwatch.settings.api import ApiSettings
from midwatch.settings.intake import IntakeSettings, SourceSettings
from midwatch.storage.feed import Feed
from midwatch.storage.journal import Journal
from midwatch.storage.tables import deliveries, incidents

_WAITING = (Status.TRIAGING, Status.INVESTIGATING)
_NOBODY = (
    "other machines could ask at this address, and none could prove who it is: there is no token, and no source of "
    f"alerts has a secret. Make a token with `midwatch token create NAME --scope {Scope.ADMIN}`, or set "
    "MIDWATCH_API__FIRST_TOKEN"
)
_NOBODY_READS = "there is no token yet, so nobody can read over HTTP: `midwatch token create` makes one"
log = logging.getLogger("midwatch")


def api_over(host: Host, more: Sequence[BaseRoute] = (), *, local: bool) -> tuple[FastAPI, Hub]:
    """Return the application over a host, and the hub of its streams, which has to look while it is served.

    `local` is whether only this machine can ask. Raises `BadSettings` when others can, and none could prove who it is.
    """
    settings = host.settings.api or ApiSettings()
    tokens = tokens_of(host.journal, host.settings)
    if not local and not tokens.is_one_alive(datetime.now(UTC)):
        if not _some_sender_is_known(host.settings.intake or IntakeSettings()):
            raise BadSettings(_NOBODY)
        log.warning(_NOBODY_READS)
    figures = Figures()
    figures.registry.register(Standing(lambda: _standing(host.journal)))
    figures.running.set_function(lambda: len(host.at_work))
    host.journal.listeners.append(figures.note)
    hub = Hub(Feed(host.journal.database), settings.streams, settings.buffer, settings.streams_per_token)
    app = application(Api(host, tokens, hub, figures, intake_of(host, local=local), settings, local))
    app.router.routes.extend(more)
    return app, hub


def tokens_of(journal: Journal, settings: Settings) -> Tokens:
    """Return the tokens of a journal's database, with the one that the settings bring."""
    tokens = Tokens(journal.database)
    if settings.api and settings.api.first_token:
        tokens.adopt(settings.api.first_token.get_secret_value())
    return tokens


def _some_sender_is_known(intake: IntakeSettings) -> bool:
    """Whether some source of alerts has something to be proven by, or need prove nothing."""
    sources = [
        each for name in IntakeSettings.model_fields if isinstance(each := getattr(intake, name), SourceSettings)
    ]
    proven = any(each.secrets or each.unsigned or getattr(each, "topics", ()) for each in sources)
    return intake.unsigned or proven


def _standing(journal: Journal) -> Counts:
    """Return how many incidents there are of each status, how many wait, and what became of what people were told."""
    by_status = sa.select(incidents.c.status, sa.func.count()).group_by(incidents.c.status)
    waiting = sa.select(sa.func.count()).select_from(incidents).where(incidents.c.due, incidents.c.status.in_(_WAITING))
    told = sa.select(deliveries.c.channel, deliveries.c.state, sa.func.count())
    with journal.database.reading() as connection:
        return Counts(
            {status: int(count) for status, count in connection.execute(by_status)},
            int(connection.execute(waiting).scalar_one()),
            {
                (channel, state): int(count)
                for channel, state, count in connection.execute(told.group_by(deliveries.c.channel, deliveries.c.state))
            },
        )
