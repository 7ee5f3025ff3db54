"""A deploy of forge writes a field that its own reader refuses: what it keeps in its cache, it can't read again."""

from robots.herrings import ruled_out
from robots.history import KUMAR, Patch, commit_patch, commit_time
from robots.plan import Plan
from robots.scene import Cause, Fault, Scene, Struck, Truth

COMMIT_NUMBER = 7
PATCH = Patch(
    KUMAR,
    "forge: tell how long a blueprint's cycle takes\n\n"
    "Schedules want to know. The planner has the figure anyhow, callers that don't\nlook at it see no difference.",
    "robots.faults",
    "forge_field.patch",
)


def truth(plan: Plan) -> Truth:
    """The deploy is to blame, and with it the service as a whole."""
    return Truth("root_cause", (Cause("change", "service:forge"),), ruled_out(plan))


async def strike(scene: Scene) -> Struck:
    """Commit the field and deploy it."""
    commit = await commit_patch(scene.repository, PATCH, commit_time(scene.plan.seed, COMMIT_NUMBER))
    done = await scene.deployer.deploy("forge", commit.sha, by="merge queue")
    changed = await scene.repository.files(done.previous_version, commit.sha, ("app/forge",))
    return Struck(
        f"forge {commit.version} writes the field cycle_seconds into its cache, and refuses it on reading",
        {
            "change_id": done.change_id,
            "service": "forge",
            "commit": commit.sha,
            "version": commit.version,
            "previous_version": done.previous_version,
            "author": commit.author,
            "files": list(changed),
        },
    )


async def mend(scene: Scene) -> None:
    """Roll forge back to what ran before."""
    await scene.deployer.roll_back("forge", scene.deployer.history["forge"][-2])


FAULT = Fault(
    name="forge-field",
    breaks="A new version of forge writes a field into its cache that its own strict reader refuses.",
    seen="Missions fail with 502 at the gateway: forge answers 500 (UnreadableBlueprint) whenever a blueprint is in its"
    " cache. Blueprints that it works out anew are fine, and so is everything that needs none.",
    fix="Roll forge back to the version before: it keeps its own entries apart from those of the bad one.",
    ruled_out=(
        "the deploy of another service shortly before: that service is healthy",
        "the CPU spike of an instance that has just started: it ends by itself and nobody waits for it",
        "the new warning in another service's log: the requests that it's about succeed",
        "PostgreSQL and the queue: as quick as before",
        "one bad instance or host: both instances of forge fail alike",
    ),
    truth=truth,
    strike=strike,
    mend=mend,
)
