"""What the reasoner may make of a signal that nobody could look at."""

from tests.host.scenes import a_scene, origin, reason

from midwatch.builtin.weights import UNREFUTED


def test_where_no_change_could_be_looked_at_nobody_is_sure_that_it_was_none() -> None:
    scene = a_scene(origin("service:forge"), blind=frozenset({"changes"}))
    causes = reason(scene).conclusion.root_causes
    assert all(cause.confidence <= UNREFUTED == 0.5 for cause in causes)
