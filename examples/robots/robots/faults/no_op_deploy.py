"""Nothing is wrong: a deploy that changed nothing that runs, and right after it an alarm that is set too tight."""

from robots.faults import clean
from robots.herrings import ruled_out
from robots.history import KUMAR, Patch, commit_patch, commit_time
from robots.plan import Plan
from robots.scene import Cause, Fault, Scene, Struck, Truth

COMMIT_NUMBER = 7
PATCH = Patch(
    KUMAR, "forge: say in which units a blueprint is\n\nComments alone.", "robots.faults", "no_op_deploy.patch"
)


def truth(plan: Plan) -> Truth:
    """There is no incident, and the deploy has done nothing."""
    return Truth("no_incident", ruled_out=(*ruled_out(plan), Cause("change", "service:forge")))


async def strike(scene: Scene) -> Struck:
    """Commit the comments, deploy them, and let a customer make its mistakes."""
    commit = await commit_patch(scene.repository, PATCH, commit_time(scene.plan.seed, COMMIT_NUMBER))
    done = await scene.deployer.deploy("forge", commit.sha, by="merge queue")
    mistakes = await clean.strike(scene)
    return Struck(f"forge {commit.version} differs by comments alone; {mistakes.text}", {"change_id": done.change_id})


FAULT = Fault(
    name="no-op-deploy",
    breaks="Nothing. A deploy of forge changes comments alone; the alarm's threshold is one per cent, and counts"
    " refusals that are the customer's own mistake.",
    seen="The alarm fires some seconds after the deploy, for a few requests out of a hundred, answered 404 by a service"
    " that wasn't deployed, and resolves by itself.",
    fix="None: the threshold is too tight. Rolling forge back would change nothing.",
    ruled_out=(
        "the deploy of forge right before: its diff has comments alone, and forge fails no request",
        "the deploy of another service shortly before: that service is healthy",
        "the CPU spike of an instance that has just started: it ends by itself and nobody waits for it",
        "the new warning in another service's log: the requests that it's about succeed",
        "PostgreSQL and the queue: as healthy as before",
    ),
    truth=truth,
    strike=strike,
    mend=clean.mend,
    rules=clean.FAULT.rules,
)
