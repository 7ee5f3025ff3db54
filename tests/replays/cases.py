"""What an investigation has to make of fourteen hard stories: the outcome, the causes and no others, what is ruled out.

Clocks that differ by minutes, and half of the telemetry missing, are in tests/trouble/test_trouble_telemetry.py.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import inf

from tests.replays.application import SEEN_AT, Chatter, Deploy, Gauge, Harm, Rows, Story
from tests.trouble.telemetry import lagging

from midwatch.cases.case import Suspect
from midwatch.records import HypothesisKind, Outcome

BROKEN_AT = 60.0


def cause(kind: str, entity: str, change: str = "") -> Suspect:
    """Return a cause, or what must be ruled out as one."""
    return Suspect(kind=HypothesisKind(kind), entity=entity, change=change)


@dataclass(frozen=True)
class Case:
    """A story, and what must come of it: the outcome, all causes and no others, what must be refuted.

    `gaps` are texts of which each is in a gap, `says` what the packet or the plan has to say, `hides` what must stand
    nowhere but in the evidence. `by_hand`: no step of the plan
    may be taken but by a person.
    """

    name: str
    story: Story
    outcome: Outcome
    causes: tuple[Suspect, ...] = ()
    ruled_out: tuple[Suspect, ...] = ()
    gaps: tuple[str, ...] = ()
    says: tuple[str, ...] = ()
    hides: tuple[str, ...] = ()
    by_hand: bool = False
    arrives: Callable[[Rows], Rows] = lambda rows: rows


BAD_FIELD = Harm("stock", BROKEN_AT, "ReservationRefused: unexpected field reserve_until in a reservation")
HOLD = Deploy("stock", BROKEN_AT, "Hold reservations", "stock/reservation.py", '"reserve_until": order.placed + HOLD')
COLOUR = Deploy("web", 35, "A new colour for the button", "web/page.py", "colour = 'blue'")
BY_HOLD = (cause("change", "service:stock", "stock-v7"),)


def _logs_lag(rows: Rows) -> Rows:
    late = lagging({"otel_logs": rows["otel_logs"]}, Story().ns(SEEN_AT - 120))
    return {**rows, **late}


CASES = (
    Case(
        "a clean system",
        Story(deploys=(COLOUR,)),
        Outcome.NO_INCIDENT,
        ruled_out=(cause("change", "service:web", "web-v7"),),
        says=("nothing needs changing",),
    ),
    Case(
        "no deploy near the incident",
        Story(harms=(Harm("stock", BROKEN_AT, "IntegrityError: corrupt page in reservations"),)),
        Outcome.ROOT_CAUSE,
        (cause("state", "service:stock"),),
        tuple(cause("change", f"service:{name}", f"{name}-v6") for name in ("web", "cart", "search")),
    ),
    Case(
        "several deploys near it",
        Story(
            harms=(BAD_FIELD,),
            deploys=(
                HOLD,
                Deploy("web", 57, "Ship the footer", "web/footer.py", "year = 2026"),
                Deploy("cart", 58, "Round prices", "cart/price.py", "price = round(price, 2)"),
                Deploy("search", 59, "Rank by age", "search/rank.py", "rank = 1 / age"),
            ),
        ),
        Outcome.ROOT_CAUSE,
        BY_HOLD,
        tuple(cause("change", f"service:{name}", f"{name}-v7") for name in ("web", "cart", "search")),
    ),
    Case(
        "a misleading log spike",
        Story(
            harms=(BAD_FIELD,),
            deploys=(HOLD, Deploy("cart", 56, "Log more", "cart/cache.py", "log.error('cache is cold')")),
            chatter=(Chatter("cart", "ERROR", lambda d: f"cache is cold for page {d.randint(1, 99)}", 15, since=56),),
        ),
        Outcome.ROOT_CAUSE,
        BY_HOLD,
        (cause("change", "service:cart", "cart-v7"),),
    ),
    Case(
        "a dependency that fails",
        Story(
            harms=(Harm("pay", BROKEN_AT, "HTTPStatusError: 503 Service Unavailable from pay.example.com"),),
            deploys=(COLOUR, Deploy("stock", 50, "Round up", "stock/count.py", "count = ceil(count)")),
        ),
        Outcome.ROOT_CAUSE,
        (cause("dependency", "external:pay.example.com"),),
        (cause("change", "service:stock", "stock-v7"), cause("change", "service:web", "web-v7")),
    ),
    Case(
        "a missing runbook",
        Story(
            harms=(BAD_FIELD,),
            deploys=(HOLD,),
            alert={"labels": {"runbook": "checkout"}},
            steering="---\nname: house\ndescription: of all\n---\nNothing to say.\n",
        ),
        Outcome.ROOT_CAUSE,
        BY_HOLD,
        gaps=("runbook checkout: the alert names it, and no steering file has its name",),
    ),
    Case(
        "dashboards that contradict each other",
        Story(
            harms=(BAD_FIELD,),
            deploys=(HOLD,),
            gauges=(Gauge("web-1", "http.server.availability", "%", lambda _: 99.9),),
        ),
        Outcome.ROOT_CAUSE,
        BY_HOLD,
        gaps=("error rate of web: signals contradict each other: by metrics",),
    ),
    Case(
        "failures that traces do not see",
        Story(
            deploys=(COLOUR,),
            gauges=(Gauge("web-1", "http.server.availability", "%", lambda at: 99.9 if at < BROKEN_AT else 70.0),),
        ),
        Outcome.INCONCLUSIVE,
        gaps=("error rate of web: signals contradict each other: by metrics",),
    ),
    Case(
        "customers' data at risk",
        Story(
            harms=(Harm("cart", BROKEN_AT, "DataError: cannot store card 4111 1111 1111 1111 of anna@example.org"),),
            deploys=(Deploy("cart", BROKEN_AT, "Store cards", "cart/cards.py", "store(card)"),),
        ),
        Outcome.ROOT_CAUSE,
        (cause("change", "service:cart", "cart-v7"),),
        hides=("4111 1", "1 1111", "411111", "anna@", "example.org"),  # four digits alone stand in hashes by chance
    ),
    Case(
        "a roll-back that would be unsafe",
        Story(
            harms=(BAD_FIELD,),
            deploys=(
                Deploy(
                    "stock",
                    BROKEN_AT,
                    "Drop the old column",
                    "stock/migrations/0042_reserve_until.sql",
                    "ALTER TABLE reservations DROP COLUMN held_until, ADD COLUMN reserve_until timestamptz;",
                ),
            ),
        ),
        Outcome.ROOT_CAUSE,
        BY_HOLD,
        says=("0042_reserve_until.sql): what ran before may lose or misread them", "don't roll service:stock back"),
        by_hand=True,
    ),
    Case(
        "a roll-back that the team forbids",
        Story(
            harms=(BAD_FIELD,),
            deploys=(HOLD,),
            steering="---\nname: stock\ndescription: its data\nnever_roll_back: [service:stock]\n---\nAsk Kim.\n",
        ),
        Outcome.ROOT_CAUSE,
        BY_HOLD,
        says=("a steering file says never to roll service:stock back",),
        by_hand=True,
    ),
    Case(
        "two incidents at once",
        Story(
            harms=(BAD_FIELD, Harm("search", BROKEN_AT + 2, "KeyError: 'rank' is not in the index", share=0.6)),
            deploys=(HOLD, Deploy("search", BROKEN_AT + 2, "Rank by age", "search/rank.py", "rank = index['rank']")),
        ),
        Outcome.ROOT_CAUSE,
        (*BY_HOLD, cause("change", "service:search", "search-v7")),
    ),
    Case(
        "in progress when the telemetry starts",
        Story(harms=(Harm("stock", -inf, "IntegrityError: corrupt page in reservations"),)),
        Outcome.INCONCLUSIVE,
    ),
    Case(
        "in progress when the window starts",
        Story(harms=(Harm("stock", 5, "IntegrityError: corrupt page in reservations"),), begins=-100.0),
        Outcome.ROOT_CAUSE,
        (cause("state", "service:stock"),),
    ),
    Case(
        "logs that lag two minutes",
        Story(harms=(BAD_FIELD,), deploys=(HOLD, COLOUR), begins=-60.0),
        Outcome.ROOT_CAUSE,
        BY_HOLD,
        (cause("change", "service:web", "web-v7"),),
        gaps=("logs: survey_logs: its newest data is 12",),
        arrives=_logs_lag,
    ),
)
