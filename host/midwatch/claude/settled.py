"""Answers of a model that are on record: what was paid for before a crash is read there, and not paid for again.

Beside each answer stands what was on the shelf by then, so that a name in it means the same document when it is read.
"""

from collections.abc import Iterable, Sequence

from pydantic import ValidationError

from midwatch.claude.model import Block, Stop, Turn
from midwatch.claude.prices import Usage
from midwatch.claude.shelf import Shelf, Shelved
from midwatch.records import ModelCall
from midwatch.storage.journal import Entry
from midwatch_kit.errors import KitError
from midwatch_kit.evidence import EvidenceStore, canonical
from midwatch_kit.records import Record


class Answer(Record):
    """One answer as it is kept: its blocks as they are to be sent back, how it ended, and what was on the shelf."""

    blocks: tuple[Block, ...]
    stop: Stop
    shelf: tuple[Shelved, ...] = ()


def keep(turn: Turn, shelf: Shelf) -> str:
    """Keep an answer and return the id under which it is; '' for one with what JSON has no words for."""
    answer = Answer(blocks=turn.blocks, stop=turn.stop, shelf=tuple(shelf.listed))
    try:
        stored = canonical(answer.model_dump(mode="json"))
    except (ValueError, RecursionError):  # models say NaN, halves of characters, and nest without an end
        return ""
    return shelf.kept.put(stored)


def settled(calls: Iterable[Entry], kept: EvidenceStore) -> list[Turn]:
    """Return the answers of one conversation's calls, in order, up to the first that can no longer be read."""
    turns: list[Turn] = []
    for call in _answered(calls):
        if (answer := _read(call, kept)) is None:
            break
        usage = Usage(
            input=call.input_tokens,
            cache_write=call.cache_write_tokens,
            cache_read=call.cache_read_tokens,
            output=call.output_tokens,
        )
        turns.append(Turn(answer.blocks, answer.stop, usage, call.usd, call.seconds))
    return turns


def shelved(calls: Sequence[Entry], kept: EvidenceStore) -> tuple[Shelved, ...]:
    """Return what was on the shelf when the last of some calls was answered."""
    answers = (_read(call, kept) for call in reversed(_answered(calls)))
    return next((answer.shelf for answer in answers if answer), ())


def _answered(calls: Iterable[Entry]) -> list[ModelCall]:
    made = [ModelCall.model_validate(entry.body) for entry in calls]
    return [call for call in made if not call.error]


def _read(call: ModelCall, kept: EvidenceStore) -> Answer | None:
    try:
        return Answer.model_validate_json(kept.get(call.answer))
    except (KitError, ValidationError):
        return None
