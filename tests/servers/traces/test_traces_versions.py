"""Versions that serve beside each other: which of them is the bad one."""

from typing import Any

from tests.servers.traces.test_traces_survey import ONSET, Survey


async def test_the_bad_one_of_two_versions_is_named(survey: Survey, story: Any, trouble: Any) -> None:
    def version(at: float, instance: str) -> str:
        return "v2" if instance == "pay-3" and at >= ONSET else "v1"

    def fault(at: float, place: str, instance: str) -> Any:
        bad = place == "pay" and version(at, instance) == "v2"
        return trouble(exception="KeyError", message="finish") if bad else None

    _, found = await survey(story(fault=fault, version=version).tell())
    versions = {(one.entity, one.attributes["version"]) for one in found if "version" in one.attributes}
    assert versions == {("service:pay", "v2")}
    [bad] = [one for one in found if one.attributes.get("version") == "v2" and one.subject == "error_rate"]
    assert bad.magnitude == 100.0
    assert bad.baseline == 0.0


async def test_a_version_that_replaced_another_one_has_nobody_to_be_compared_with(
    survey: Survey, story: Any, trouble: Any
) -> None:
    def version(at: float, _: str) -> str:
        return "v2" if at >= ONSET + 5 else "v1"

    def fault(at: float, place: str, _: str) -> Any:
        return trouble(exception="KeyError", message="finish") if place == "pay" and at >= ONSET + 6 else None

    _, found = await survey(story(fault=fault, version=version).tell())
    assert "service:pay" in {one.entity for one in found if one.subject == "error_rate"}
    assert [one for one in found if one.entity == "service:pay" and "version" in one.attributes] == []
