"""What a seed decides: times, instances, magnitudes and red herrings. The fault itself is chosen by name."""

import random
from collections.abc import Container
from dataclasses import dataclass

from robots.load import OLD_CLIENT, WEAK_FLEET

HERRING_SERVICES = ("gateway", "bot", "schedule")
WARMING = ("action", "schedule")  # the services that burn a second of CPU when they start
NOISES = {OLD_CLIENT: "gateway", WEAK_FLEET: "bot"}  # the habit of customers, and the service that warns of it


@dataclass(frozen=True)
class Plan:
    """One run's dice. Moments are shares of the healthy baseline, at whose end the fault begins."""

    seed: int
    rate: float
    forge: str
    deployed: str
    deployed_at: float
    restarted: str
    restarted_at: float
    noise: str
    noise_at: float
    blips: int


def make_plan(seed: int, spared: Container[str] = ()) -> Plan:
    """Return the plan of a seed. The deploy, the restart and the warning are of three different services.

    The `spared` services, which a fault blames, are neither deployed nor restarted as a red herring; one of WARMING
    must be left.
    """
    dice = random.Random(f"plan {seed}")
    warming = [service for service in WARMING if service not in spared]
    deployed = dice.choice([service for service in HERRING_SERVICES if service not in spared and [service] != warming])
    restarted = dice.choice([service for service in warming if service != deployed])
    noise = dice.choice([habit for habit, service in NOISES.items() if service not in (deployed, restarted)])
    return Plan(
        seed=seed,
        rate=round(dice.uniform(18, 22), 1),
        forge=dice.choice(["forge-1", "forge-2"]),
        deployed=deployed,
        deployed_at=round(dice.uniform(0.5, 0.6), 2),
        restarted=f"{restarted}-1",
        restarted_at=round(dice.uniform(0.72, 0.8), 2),
        noise=noise,
        noise_at=round(dice.uniform(0.85, 0.97), 2),
        blips=dice.randint(3, 4),
    )
