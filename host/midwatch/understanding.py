"""What a person says to an investigation, understood: by code, or where code does not, by a model if there is one."""

from collections.abc import Mapping
from datetime import datetime

from midwatch.chat.names import known_entities
from midwatch.claude.models import open_models
from midwatch.errors import NotUnderstood
from midwatch.records import Incident, Steer
from midwatch.settings import Settings
from midwatch.storage.journal import Journal
from midwatch.telling import Fields, about, steer_of


async def understand(
    journal: Journal,
    settings: Settings,
    incident: Incident,
    words: str,
    by: str,
    given: Fields,
    now: datetime | None = None,
) -> Steer:
    """Return the steer that a person means; raises what `steer_of` does when neither code nor a model understands."""
    try:
        return steer_of(journal, incident, words, by, given, now)
    except NotUnderstood as error:
        if given != Fields() or settings.reasoner == "builtin":
            raise
        return await _translated(journal, settings, incident, words, by, error, now)


async def _translated(
    journal: Journal,
    settings: Settings,
    incident: Incident,
    words: str,
    by: str,
    why_not: NotUnderstood,
    now: datetime | None,
) -> Steer:
    from midwatch.claude.translating import translated  # noqa: PLC0415 - the client takes long to import

    def make(fields: Mapping[str, str]) -> Steer:
        if not fields:
            raise NotUnderstood("say at least one field, or call cannot")
        return steer_of(journal, incident, words, by, Fields(**fields), now)

    async with open_models(settings) as models:
        if models is None:
            raise why_not
        around, known = about(journal, incident, now), known_entities(journal, incident)
        steer, ended = await translated(models, journal, incident, settings, words, around, known, make)
    if steer is None:
        said = "it makes nothing of it either" if ended.how == "done" else f"{ended.how}: {ended.why}"
        raise NotUnderstood(f"{why_not} (the model: {said})")
    return steer
