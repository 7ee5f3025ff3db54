"""Incidents of which statistics see nothing, since no survey may be made: what a model reads is all that there is."""

from pathlib import Path

import pytest
from tests.claude.investigating import Investigate
from tests.claude.messages_api import Player, Says, use
from tests.claude.played import is_lead, shown, tool, turn

from midwatch.records import Conclusion, Limit, Message
from midwatch.steering.files import Steering
from midwatch.storage.journal import Journal
from midwatch_bench.messages import Json

WITHOUT = (Steering(name="quiet hours", description="No surveys tonight.", forbid=("*.survey_*",)),)
SAID = {"rationale": "its deploy", "confirms": "its diff reads what is not there", "refutes": "its diff is harmless"}


def reader(entity: str, quotes: dict[str, str], evidence: str = "") -> Player:
    """Return who names a deploy of an entity as the cause, and quotes these changes and traces for it."""

    def play(body: Json) -> Says:
        if is_lead(body):
            if turn(body) == 0:
                return Says([use("propose_hypothesis", 1, kind="change", entity=entity, **SAID)])
            return Says([use("choose", 2, hypotheses=[_on_record(body)])])
        steps = [step for each in quotes.items() for step in (("read", *each), ("report", *each))]
        if turn(body) >= len(steps):
            return Says([use("finish", 3, why="it was read")])
        what, document, quote = steps[turn(body)]
        if what == "read":
            name, key = ("read_change", "change_id") if document.startswith("c") else ("read_trace", "trace_id")
            return Says([use(tool(body, name), 1, **{key: document})])
        named = evidence or shown(body)
        said = {"statement": "it is so", "bearing": "supports", "evidence": named, "quote": quote}
        return Says([use("report_finding", 2, **said)])

    return play


def _on_record(body: Json) -> str:
    result = str(body["messages"][-1]["content"][0]["content"])
    return result.rpartition(" ")[2]


def conclusion(journal: Journal) -> Conclusion:
    return journal.values("01INCIDENT", Conclusion)[-1]


async def test_statistics_alone_say_that_they_saw_nothing(investigate: Investigate, journal: Journal) -> None:
    done, _ = await investigate(None, journal, steering=WITHOUT)
    assert (done.outcome, conclusion(journal).root_causes) == ("blocked", ())


async def test_what_an_honest_model_reads_is_the_cause_and_nobody_is_sure_of_it(
    investigate: Investigate, journal: Journal
) -> None:
    done, _ = await investigate(
        reader("service:forge", {"c1": "finish: str", "t1": '"status": "Error"'}), journal, steering=WITHOUT
    )
    assert done.outcome == "best_effort"
    [cause] = conclusion(journal).root_causes
    assert (cause.entity, cause.kind, cause.limited_by) == ("service:forge", "change", Limit.ONLY_READ)
    assert cause.confidence <= 0.5
    assert "it leads by what a model read, and no figure says so" in done.packet


@pytest.mark.parametrize(
    "play",
    [
        reader("service:schedule", {"c2": "finish: str"}),
        reader("service:forge", {"c1": "forge cannot parse old parts"}),
        reader("service:forge", {"c1": ""}),
        reader("service:forge", {"c1": "finish: str"}, evidence="E99"),
        reader("service:forge", {}),
    ],
    ids=[
        "a quote of another change",
        "a made-up quote",
        "no quote",
        "evidence that there is not",
        "a claim without evidence",
    ],
)
async def test_a_dishonest_model_leaves_it_unsaid(investigate: Investigate, journal: Journal, play: Player) -> None:
    done, _ = await investigate(play, journal, steering=WITHOUT)
    assert (done.outcome, conclusion(journal).root_causes) == ("blocked", ())
    assert all("0 findings" in m.text for m in journal.values("01INCIDENT", Message) if "findings" in m.text)


async def test_one_document_quoted_often_counts_once(
    investigate: Investigate, journal: Journal, tmp_path: Path
) -> None:
    once, often = (Journal(tmp_path / f"{name}.db") for name in ("once", "often"))
    await investigate(reader("service:forge", {"c1": "finish: str"}), once, steering=WITHOUT)
    await investigate(reader("service:forge", {"c1": "finish: str", "c1 ": "blueprint.py"}), often, steering=WITHOUT)
    assert [c.confidence for c in conclusion(once).root_causes] == [c.confidence for c in conclusion(often).root_causes]
    once.close()
    often.close()
