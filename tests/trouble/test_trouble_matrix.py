"""Five servers by all troubles: an end in time, gaps that name what is missing, and no wrong cause that is sure."""

import pytest
from tests.trouble.stage import SERVERS, Stage
from tests.trouble.troubles import TROUBLES, Trouble

NEEDED = ("traces", "deploys")
"""Without these nobody can know where the failures begin, or that a deploy made them."""


@pytest.mark.parametrize("trouble", TROUBLES, ids=lambda trouble: trouble.name.replace(" ", "_"))
@pytest.mark.parametrize("server", SERVERS)
def test_a_server_in_trouble_costs_a_gap_and_never_the_truth(stage: Stage, server: str, trouble: Trouble) -> None:
    found = stage.with_trouble(server, trouble)
    assert found.seconds < 90
    if trouble.harmless:
        assert (found.right, found.gaps) == (True, ())
        return
    assert any(trouble.says in gap.why for gap in found.gaps_of(server)), found.gaps
    if server not in NEEDED and found.others_answered(server):
        assert found.right, found.conclusion
    assert found.surest_mistake <= 0.5, found.conclusion.root_causes


def test_without_trouble_the_cause_is_found_and_nothing_is_missing(stage: Stage) -> None:
    found = stage.undisturbed()
    assert (found.right, found.gaps) == (True, ())
    assert found.conclusion.root_causes[0].confidence > 0.9
