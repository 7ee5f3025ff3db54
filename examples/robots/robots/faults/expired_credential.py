"""The token that a third party knows us by is good until a certain moment, and nobody renews it."""

from robots.atlas import REGIONS
from robots.herrings import ruled_out
from robots.plan import Plan
from robots.scene import Cause, Fault, Scene, Struck, Truth


def truth(plan: Plan) -> Truth:
    """Bot is the one who may not; atlas is as well as ever, and must not be taken for slow or broken."""
    lures = (*ruled_out(plan), Cause("dependency", f"external:{REGIONS[0]}"))
    return Truth("root_cause", (Cause("access", "service:bot"),), lures)


async def issue_short(scene: Scene) -> None:
    """At the start of the baseline, put a token in place that expires at its end. Nobody has a record of that."""
    await scene.atlas.hand_out(scene.baseline)


async def strike(scene: Scene) -> Struck:
    """Do nothing: the token expires by itself."""
    text = f"the token that bot shows to {REGIONS[0]} has expired"
    scene.note(text)
    return Struck(text, {"file": scene.atlas.token_file.name, "instance": "bot-1"})


async def mend(scene: Scene) -> None:
    """Put a new token into the file, which bot reads at every call."""
    await scene.atlas.hand_out()


FAULT = Fault(
    name="expired-credential",
    breaks="The token that bot shows to atlas, the third party that knows the ways, expires. Nobody has changed"
    " anything: it was issued long ago, with this end.",
    seen="Missions fail with 502 at the gateway: atlas answers bot 401, and says when the token expired. First only"
    " those whose way bot doesn't have any more, after some seconds all that need one. Patrols and questions about"
    " robots are fine.",
    fix="Put a new token into the file of the instance; it's read at every call.",
    ruled_out=(
        "atlas itself: it answers at once, and says what it refuses",
        "a deploy or a change of settings: bot has had none",
        "the deploy of another service shortly before: that service is healthy",
        "the CPU spike of an instance that has just started: it ends by itself and nobody waits for it",
        "the new warning in another service's log: the requests that it's about succeed",
    ),
    truth=truth,
    strike=strike,
    mend=mend,
    acts=((0.0, issue_short),),
    spares=("bot",),
)
