"""Arguments from rollouts: new instances beside old ones, when they took over, and who only passes failures on."""

from collections.abc import Iterator

from midwatch.builtin import weights as w
from midwatch.builtin.arguments.argument import argument
from midwatch.builtin.observed import amount
from midwatch.builtin.rollouts import Use, new_instances
from midwatch.builtin.scene import BY_PEOPLE, Scene
from midwatch.records import Argument, Hypothesis, HypothesisKind
from midwatch_kit.records import Observation
from midwatch_kit.window import clock


def canary(hypothesis: Hypothesis, scene: Scene) -> Iterator[Argument]:
    """A bad version fails where it runs and not where the old one still does; what fails both is something else."""
    change = _change(hypothesis)
    if change is None:
        return
    if worse := scene.rollouts.fails_more(change):
        yield argument("canary", w.STRONG, worse.statement, worse, change, decisive=True)
    elif alike := scene.rollouts.fails_alike(change):
        text = f"the instances that were not changed fail as well: {alike.statement}"
        yield argument("canary", -w.STRONG, text, alike, change)
    elif slower := scene.rollouts.slower(change):
        yield argument("canary", w.SLIGHT, slower.statement, slower, change)


def dose(hypothesis: Hypothesis, scene: Scene) -> Iterator[Argument]:
    """What a version breaks grows and shrinks with the share of instances that run it."""
    change = _change(hypothesis)
    told = scene.rollouts.follows(change) if change else None
    if told is None:
        return
    rank = float(told.attributes["follows"])
    if rank >= w.FOLLOWS:
        text = f"failures follow the share of instances at the new version, step by step (rank correlation {rank:g})"
        yield argument("dose", w.FAIR, text, told, change)
    elif rank <= 0:
        text = f"failures do not follow the share of instances at the new version (rank correlation {rank:g})"
        yield argument("dose", -w.FAIR, text, told, change)


def taken_up(hypothesis: Hypothesis, scene: Scene) -> Iterator[Argument]:
    """New instances that take no requests while their siblings do are broken; where nobody asks, they break nothing."""
    change = _rollout(hypothesis)
    if change is None:
        return
    served, use = scene.rollouts.served(change), scene.rollouts.use(change)
    if use is Use.PASSED_OVER:
        yield argument(
            "taken up", w.STRONG, "its new instances took no request, though others of it did", change, served
        )
    elif use is Use.NOT_YET and scene.service_of(hypothesis.entity) not in scene.beginnings:
        yield argument("taken up", -w.STRONG, "no request had come to its new instances yet", change, served)


def sudden(hypothesis: Hypothesis, scene: Scene) -> Iterator[Argument]:
    """A bad version shows as soon as its instances are in use."""
    change = _rollout(hypothesis)
    if change is not None and scene.rollouts.came_with(change):
        text = f"failures begin when its new instances are ready, at {change.attributes['ended'][11:19]}"
        yield argument("sudden", w.FAIR, text, change, *scene.scope.symptoms[:1])


def passes_on(hypothesis: Hypothesis, scene: Scene) -> Iterator[Argument]:
    """Who fails its callers because its own calls fail is a victim, even if it was changed at the same time."""
    change = _rollout(hypothesis)
    if change is None or scene.rollouts.fails_more(change):
        return
    service = scene.service_of(hypothesis.entity)
    edges = [o for o in scene.anomalies if o.subject == "edge_error_rate" and o.direction == "up"]
    inbound = _worst([o for o in edges if o.entity == service])
    outbound = _worst([o for o in edges if o.related == service])
    if inbound and outbound and amount(outbound) >= w.ACCOUNTS_FOR * amount(inbound):
        yield argument("passes on", -w.STRONG, f"it passes on what it gets: {outbound.statement}", outbound, inbound)


def unchanged(hypothesis: Hypothesis, scene: Scene) -> Iterator[Argument]:
    """What breaks of itself seldom does so in the very minute in which new instances of something else come in."""
    if hypothesis.kind in BY_PEOPLE:
        return
    for change in scene.rollouts.all():
        if scene.rollouts.came_with(change):
            when = clock(change.onset) if change.onset else "then"
            yield argument(
                "unchanged", -w.STRONG, f"a rollout came in as it began: {change.statement} ({when})", change
            )
            return


def _change(hypothesis: Hypothesis) -> Observation | None:
    return hypothesis.trigger if hypothesis.kind is HypothesisKind.CHANGE else None


def _rollout(hypothesis: Hypothesis) -> Observation | None:
    change = _change(hypothesis)
    return change if change and new_instances(change) else None


def _worst(edges: list[Observation]) -> Observation | None:
    return max(edges, key=lambda o: (amount(o), o.id), default=None)


ALL = (canary, dose, taken_up, sudden, passes_on, unchanged)
