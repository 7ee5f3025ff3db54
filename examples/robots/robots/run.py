"""One run from start to stop: wires everything, plays the timeline, and leaves no process behind."""

import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import anyio
from anyio.abc import TaskGroup
from pydantic import JsonValue

from robots import herrings
from robots.alarm import Alarms, error_share, is_error, p95
from robots.calm import wait_for_calm, warm_up
from robots.configuration import Configuration
from robots.database import tell_of_database
from robots.deployer import Deployer
from robots.deployer_http import served
from robots.events import emit, now, rfc3339
from robots.fleet import SERVICES, Fleet, Site, instances
from robots.history import make_history
from robots.load import Load, Outcome
from robots.ongoing import Ongoing
from robots.otlp import Otlp
from robots.postgres import apply_schema, database_at, postgres
from robots.record import Recorder, http_client
from robots.repository import Repository
from robots.roles import create_roles
from robots.scene import Fault, Scene
from robots.supervisor import Supervisor
from robots.third_party import ThirdParty, third_party
from robots.watch import stop_when_told

HEALTH_SECONDS = 2.0
MOST_PROBLEMS = 3


@dataclass(frozen=True)
class Options:
    """What `robots run` is told; `duration` counts from the event `started`, None is until told to stop.

    `mend_after` counts from the first alarm that fires after the fault; None leaves the application broken.
    `database_url` names a PostgreSQL and its superuser; None starts one for the run.
    """

    store_url: str
    otlp_url: str
    folder: Path
    webhook: str
    fault: Fault
    seed: int
    baseline: float
    duration: float | None
    mend_after: float | None = None
    database_url: str | None = None


async def run(options: Options) -> None:
    """Run until the duration is over or something asks for the end; raises NotStarted and StoreUnreachable."""
    reasons: list[str] = []
    with anyio.CancelScope() as everything:
        async with anyio.create_task_group() as tasks:

            def end(why: str) -> None:
                reasons.append(why)
                everything.cancel()

            tasks.start_soon(stop_when_told, end)
            async with application(options, tasks) as (scene, deployer_url):
                emit("started", **_started(scene, deployer_url, options))
                await _play(scene, options)
            end("the duration is over")
    emit("stopped", reason=reasons[0] if reasons else "cancelled")


@asynccontextmanager
async def application(options: Options, tasks: TaskGroup) -> AsyncGenerator[tuple[Scene, str]]:
    """Start PostgreSQL, the repository, the fleet and the deployer; stop them in the end."""
    plan, folder = options.fault.plan(options.seed), options.folder.resolve()
    repository = Repository(folder / "repository")
    async with options.fault.equip(plan, folder / "data"), _outside(options, folder) as (recorder, database_url, atlas):
        first = await make_history(repository, options.seed)
        await create_roles(database_url)
        await apply_schema(database_url, (repository.path / "app" / "schema.sql").read_text(encoding="utf-8"))
        fleet = Fleet(Site(folder, database_url, options.otlp_url, atlas.egress_url), tasks, _note)
        try:
            deployer = Deployer(fleet, repository, recorder, _note)
            configuration = Configuration(fleet.site, recorder, _note)
            configuration.prepare(options.fault.settings(plan))
            async with served(deployer, configuration) as deployer_url:
                await deployer.install(first)
                load = Load(fleet.url("gateway-1"), plan.rate, plan.seed)
                scene = Scene(
                    plan,
                    fleet.site,
                    repository,
                    deployer,
                    configuration,
                    load,
                    atlas,
                    recorder,
                    _note,
                    Ongoing(tasks),
                    options.baseline,
                )
                async with watched(scene, database_url):
                    yield scene, deployer_url
        finally:
            await fleet.stop()


@asynccontextmanager
async def _outside(options: Options, folder: Path) -> AsyncGenerator[tuple[Recorder, str, ThirdParty]]:
    """Hold what the application needs from others: the telemetry store, PostgreSQL's URL, and atlas."""
    token_file = folder / "data" / "bot-1" / "atlas-token.json"
    async with (
        store(options.store_url) as recorder,
        _database(options, folder) as database_url,
        third_party(folder, token_file) as atlas,
    ):
        yield recorder, database_url, atlas


def _database(options: Options, folder: Path) -> AbstractAsyncContextManager[str]:
    return database_at(options.database_url) if options.database_url else postgres(folder)


@asynccontextmanager
async def watched(scene: Scene, database_url: str) -> AsyncGenerator[None]:
    """Let the supervisor watch over the instances, and tell what the database tells, until the block ends."""
    url, http, log = scene.recorder.url, scene.recorder.http, scene.site.folder / "logs" / "postgres.log"
    async with anyio.create_task_group() as watchers:
        watchers.start_soon(Supervisor(scene.deployer.fleet, Otlp(url, http, "supervisor"), _note).run)
        watchers.start_soon(tell_of_database, database_url, log, Otlp(url, http, "postgresql"))
        yield
        watchers.cancel_scope.cancel()


@asynccontextmanager
async def store(url: str) -> AsyncGenerator[Recorder]:
    """Hold the way to the telemetry store; raises StoreUnreachable before anything else is started."""
    async with http_client() as http:
        recorder = Recorder(url, http, _note)
        await recorder.check()
        yield recorder


async def _play(scene: Scene, options: Options) -> None:
    """Warm up, let customers in, then the red herrings and the fault at their moments, until the duration is over.

    The clock of moments, and the alarms, start once all is calm: a busy machine must not look like an outage.
    """
    fault, plan = options.fault, scene.plan
    acts = [
        (plan.deployed_at, herrings.deploy_bystander),
        (plan.restarted_at, herrings.restart_bystander),
        (plan.noise_at, herrings.begin_noise),
        *fault.acts,
        (1.0, lambda scene: _strike(scene, fault)),
    ]
    alarms = Alarms(scene.load, fault.rules, scene.recorder, options.webhook, emit, _note)
    with anyio.move_on_after(options.duration):
        await warm_up(scene.load.gateway)
        async with anyio.create_task_group() as group:
            group.start_soon(scene.load.run)
            group.start_soon(_tell_health, scene.load)
            await wait_for_calm(scene.load)
            group.start_soon(alarms.run)
            began = time.monotonic()
            for share, act in sorted(acts, key=lambda moment: moment[0]):
                await anyio.sleep(max(0.0, began + share * options.baseline - time.monotonic()))
                await act(scene)
            if options.mend_after is not None:
                await alarms.fire()
                await anyio.sleep(options.mend_after)
                await _mend(scene, fault)


async def _strike(scene: Scene, fault: Fault) -> None:
    began = rfc3339(now())
    struck = await fault.strike(scene)
    truth = fault.truth(scene.plan).document()
    emit("fault", fault=fault.name, began=began, text=struck.text, truth=truth, trigger=struck.trigger)


async def _mend(scene: Scene, fault: Fault) -> None:
    await fault.mend(scene)
    emit("mended", fault=fault.name, text=fault.fix)


async def _tell_health(load: Load) -> None:
    while True:
        start = time.time()
        await anyio.sleep(HEALTH_SECONDS)
        recent = load.over_since(start)
        emit(
            "health",
            seconds=HEALTH_SECONDS,
            requests=len(recent),
            errors=sum(map(is_error, recent)),
            error_share=round(error_share(recent), 4),
            p95_ms=round(p95(recent) * 1000, 1),
            problems=[*_problems(recent)],
        )


def _problems(outcomes: Sequence[Outcome]) -> Sequence[str]:
    """Return why requests failed, each reason once, no more than a few."""
    return list(dict.fromkeys(outcome.problem for outcome in outcomes if is_error(outcome)))[:MOST_PROBLEMS]


def _started(scene: Scene, deployer_url: str, options: Options) -> dict[str, JsonValue]:
    fleet = scene.deployer.fleet
    return {
        "deployer": deployer_url,
        "gateway": fleet.url("gateway-1"),
        "services": {
            service: {
                "version": scene.deployer.history[service][-1],
                "instances": {name: fleet.url(name) for name in instances(service)},
            }
            for service in SERVICES
        },
        "repository": str(scene.repository.path),
        "fault": options.fault.name,
        "seed": options.seed,
    }


def _note(text: str) -> None:
    emit("note", text=text)
