"""What came of looking again: a further look's conclusion beside the version before, in a record and in words."""

from collections.abc import Iterable, Sequence

from midwatch.reading.differences import as_text, material
from midwatch.records import Conclusion, Steer
from midwatch.records.conclusion import Revision


def revised(conclusion: Conclusion, before: Sequence[Conclusion], since: Iterable[Steer]) -> Conclusion:
    """Return a conclusion with its version, and with what changed since that of `before` which made the version.

    `before` are the earlier conclusions, in order; `since` is what people told after the last of them. Where nothing
    changed that matters, it keeps the version: small steps are measured from the first of it, so that they add up.
    """
    if not before:
        return conclusion
    of = before[-1].version
    first = next(each for each in before if each.version == of)
    changes = tuple(material(first, conclusion))
    steers = tuple(f"{steer.by}: {steer.text}" for steer in since)
    revision = Revision(of=of, steers=steers, changes=changes)
    return conclusion.model_copy(update={"version": of + bool(changes), "revision": revision})


def revision_lines(conclusion: Conclusion) -> list[str]:
    """Return what changed against the version before, and on whose word, in lines; none for the first look."""
    revision = conclusion.revision
    if revision is None:
        return []
    told = "; ".join(revision.steers) or "nobody told anything new"
    if not revision.changes:
        return [f"Version {conclusion.version} stands: looked at again ({told}), and nothing changed that matters"]
    changes = [f"- {line}" if line[:1] != " " else line for line in as_text(revision.changes).split("\n")]
    return [f"Version {revision.of} → {conclusion.version}, because of {told}", *changes]
