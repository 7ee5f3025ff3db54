"""Doing over HTTP: it goes on record under the token's name, and a plan runs only when its digest is approved."""

import anyio
import pytest
from tests.api.conftest import Served, Serving

from midwatch.api.tokens import Scope
from midwatch.cancelling import unless_cancelled
from midwatch.mitigation.approvals import ThroughTheJournal
from midwatch.records import Decision, Feedback, Incident, Message, Status, Steer
from midwatch.work.waiting import unfinished


async def post(served: Served, path: str, mine: dict[str, str], **body: object) -> tuple[int, dict[str, object]]:
    answer = await served.client.post(path, headers=mine, json=body)
    return answer.status_code, answer.json()


async def test_a_plan_is_approved_by_its_whole_digest_under_the_name_of_the_token(serving: Serving) -> None:
    async with serving() as served:
        incident, mine = served.incident(status=Status.AWAITING_APPROVAL), served.token(Scope.APPROVE, name="robin")
        plan = served.plan(incident)
        where = f"/v1/incidents/{incident.id}/plan/approve"
        for digest in ("", plan.digest[:12], plan.digest.upper()):
            assert (await post(served, where, mine, digest=digest))[0] == 422
        assert (await post(served, where, mine))[0] == 422
        assert (await post(served, where, mine, digest="0" * 64))[0] == 409
        assert served.host.journal.values(incident.id, Decision) == []
        status, said = await post(served, where, mine, digest=plan.digest, reason="go", by="the chief")
        waited = await ThroughTheJournal(served.host.journal, 5).decide(incident, plan)
    assert (status, said["by"], said["approved"]) == (200, "robin", True)
    assert waited == Decision(digest=plan.digest, approved=True, by="robin", reason="go")


async def test_a_decision_stays_and_whoever_says_otherwise_later_is_told_so(serving: Serving) -> None:
    async with serving() as served:
        incident, mine = served.incident(), served.token(Scope.APPROVE)
        digest, where = served.plan(incident).digest, f"/v1/incidents/{incident.id}/plan"
        assert (await post(served, f"{where}/reject", mine, digest=digest, reason="no"))[0] == 200
        assert (await post(served, f"{where}/reject", mine, digest=digest))[0] == 200
        status, said = await post(served, f"{where}/approve", mine, digest=digest)
    assert (status, said["type"]) == (409, "/v1/problems/conflict")
    assert "Not approved by robin: no" in str(said["detail"])


async def test_of_many_who_decide_at_once_the_first_counts(serving: Serving) -> None:
    answers: list[int] = []
    async with serving() as served:
        incident, mine = served.incident(), served.token(Scope.APPROVE)
        digest = served.plan(incident).digest

        async def say(what: str) -> None:
            answers.append((await post(served, f"/v1/incidents/{incident.id}/plan/{what}", mine, digest=digest))[0])

        async with anyio.create_task_group() as group:
            for number in range(6):
                group.start_soon(say, "reject" if number % 2 else "approve")
        (decision,) = served.host.journal.values(incident.id, Decision)
    assert sorted(answers) == [200, 200, 200, 409, 409, 409]
    assert decision.by == "robin"


async def test_a_plan_that_another_one_replaced_is_not_approved(serving: Serving) -> None:
    async with serving() as served:
        incident, mine = served.incident(), served.token(Scope.APPROVE)
        old, new = served.plan(incident), served.plan(incident, "restart forge")
        status, said = await post(served, f"/v1/incidents/{incident.id}/plan/approve", mine, digest=old.digest)
    assert status == 409
    assert new.digest in str(said["detail"])


async def test_what_a_person_tells_is_understood_noted_and_waits_for_the_next_look(serving: Serving) -> None:
    async with serving() as served:
        incident, mine = served.incident(), served.token(Scope.STEER, name="ann")
        where = f"/v1/incidents/{incident.id}/steers"
        status, said = await post(served, where, mine, words="look only at the latest wave")
        odd, why = await post(served, where, mine, words="sing a song")
        (told,) = served.host.journal.values(incident.id, Steer)
    assert (status, said["meaning"], told.by) == (201, "look only at the latest wave", "ann")
    assert (odd, why["type"]) == (422, "/v1/problems/not-understood")
    assert "What can be said" in str(why["detail"])


async def test_a_question_is_answered_from_the_journal_and_both_are_on_record(serving: Serving) -> None:
    async with serving() as served:
        incident, mine = served.incident(), served.token(Scope.STEER, name="ann")
        status, said = await post(served, f"/v1/incidents/{incident.id}/questions", mine, question="what is the plan?")
        asked = [entry for entry in served.host.journal.entries(incident.id, kind="message") if entry.actor == "ann"]
    assert (status, said["usd"]) == (200, 0.0)
    assert said["statements"]
    assert [Message.model_validate(entry.body).text for entry in asked] == ["what is the plan?"]


async def test_what_the_cause_really_was_is_kept_from_everybody_who_says_so(serving: Serving) -> None:
    async with serving() as served:
        incident, mine = served.incident(), served.token(Scope.STEER, name="ann")
        where = f"/v1/incidents/{incident.id}/feedback"

        async def say(entity: str) -> None:
            assert (await post(served, where, mine, causes=[{"kind": "change", "entity": entity}]))[0] == 201

        async with anyio.create_task_group() as group:
            for number in range(4):
                group.start_soon(say, f"forge-{number}")
        kept = served.host.journal.values(incident.id, Feedback)
    assert {cause.entity for said in kept for cause in said.causes} == {f"service:forge-{n}" for n in range(4)}
    assert {said.by for said in kept} == {"ann"}


async def test_an_incident_that_is_cancelled_is_left_alone_and_its_plan_does_not_run(serving: Serving) -> None:
    async with serving() as served:
        incident, mine = served.incident(), served.token(Scope.STEER, Scope.APPROVE, name="ann")
        plan, of, journal = served.plan(incident), f"/v1/incidents/{incident.id}", served.host.journal
        ended: list[object] = []

        async def work() -> None:
            ended.append(await unless_cancelled(journal, incident.id, anyio.sleep_forever))

        with anyio.fail_after(10):
            async with anyio.create_task_group() as group:
                group.start_soon(work)
                status, said = await post(served, f"{of}/cancel", mine, reason="a drill")
        assert (status, said["reason"]) == (200, "cancelled by ann: a drill")
        assert ended == [None]
        assert unfinished(served.host.journal) == []
        for path, body in (
            ("plan/approve", {"digest": plan.digest}),
            ("cancel", {}),
            ("steers", {"words": "leave out forge"}),
        ):
            assert (await post(served, f"{of}/{path}", mine, **body))[0] == 409
        later = served.plan(incident, "restart forge")  # that was about to be put on record when it was cancelled
        assert (await post(served, f"{of}/plan/approve", mine, digest=later.digest))[0] == 409


@pytest.mark.parametrize("status", [Status.MITIGATING, Status.RESOLVED])
async def test_what_is_being_carried_out_or_over_is_not_cancelled(serving: Serving, status: Status) -> None:
    async with serving() as served:
        incident, mine = served.incident(status=status), served.token(Scope.STEER)
        assert (await post(served, f"/v1/incidents/{incident.id}/cancel", mine))[0] == 409
        now = served.host.journal.incident(incident.id)
    assert isinstance(now, Incident)
    assert now.status is status
