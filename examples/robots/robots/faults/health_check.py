"""A new health check of forge has a syntax error: it fails always, and the supervisor restarts what is well."""

from robots.herrings import ruled_out
from robots.history import KUMAR
from robots.plan import Plan
from robots.scene import Cause, Fault, Scene, Struck, Truth

FILE = "healthcheck.sh"
OLD = '  *" 200 "*) exit 0 ;;\n'
NEW = '  *" 200 "*) if [[ "$answer" == HTTP/1.1* ]]; then exit 0 ;;\n'


def truth(plan: Plan) -> Truth:
    """The configuration of forge is to blame, not forge."""
    lures = (Cause("resource", "service:forge"), Cause("dependency", "database:robots"))
    return Truth("root_cause", (Cause("change", "service:forge"),), (*ruled_out(plan), *lures))


async def strike(scene: Scene) -> Struck:
    """Put the broken check in place."""
    text = scene.configuration.read("forge", FILE).replace(OLD, NEW)
    title = "forge: let the health check insist on HTTP/1.1"
    change = await scene.configuration.change("forge", FILE, text, by=KUMAR.name, title=title)
    return Struck(
        "the new health check of forge has a syntax error, so that no instance ever passes it",
        {"change_id": change.change_id, "service": "forge", "author": change.author, "files": list(change.files)},
    )


async def mend(scene: Scene) -> None:
    """Put the check before it back."""
    await scene.configuration.put_back("forge", FILE, by=KUMAR.name)


FAULT = Fault(
    name="health-check",
    breaks="The configuration of forge gets a new health check, with a syntax error: it fails whatever forge does.",
    seen="Instances of forge are restarted again and again. Missions that meet one which is just starting fail with 502"
    " (connection refused); between the restarts all is well, and forge itself logs no error.",
    fix="Put the health check before it back.",
    ruled_out=(
        "the deploy of another service shortly before: that service is healthy",
        "a bad release of forge: there was no deploy, and what it answers is right and quick",
        "memory, CPU and disk of forge: its instances are ended by the supervisor, far from any limit",
        "one bad instance or host: both instances are restarted alike",
    ),
    truth=truth,
    strike=strike,
    mend=mend,
    spares=("forge",),
)
