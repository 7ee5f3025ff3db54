"""What policies, security groups and routes say of who reaches whom, case by case."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from tests.backends.deploys.awsaccount import allow, arn

from midwatch_deploys.backends.aws.inventory.arns import arn_of, named
from midwatch_deploys.backends.aws.inventory.belonging import Belonging, Spelled
from midwatch_deploys.backends.aws.inventory.found import Port, Route, SecurityGroup, Thing, united
from midwatch_deploys.backends.aws.inventory.policy import Role, statements_of
from midwatch_deploys.backends.aws.inventory.ties import Made, of_groups, of_roles, of_routes
from midwatch_deploys.resources import Resources

JOBS, MAIL, NOTIFY = arn("sqs", "jobs"), arn("sqs", "mail"), arn("lambda", "function:notify")
MODELS = "arn:aws:s3:::models"
RECEIVES = "receives_from queue:jobs"
ALL_BUT_JOBS = {"Effect": "Deny", "Action": "*", "NotResource": JOBS}
EVERY_PORT = [Port()]
ROLE = "arn:aws:iam::123456789012:role/forge"


def deny(action: str, resource: str) -> dict[str, Any]:
    return allow(action, resource, effect="Deny")


def service(name: str, **more: Any) -> Thing:
    return Thing(arn("ecs", f"service/prod/{name}"), **more)


def belonging(things: Mapping[str, Thing]) -> Belonging:
    return Belonging(Resources({}), Spelled("", "", ""), [], things)


def reached(document: Any, boundary: Any = None, known: Sequence[str] = (JOBS, MAIL, NOTIFY, MODELS)) -> Made:
    """Return what forge may reach by a policy."""
    things = united([service("forge", role=ROLE), *map(Thing, known)])
    within = None if boundary is None else statements_of(boundary)
    return of_roles([Role(ROLE, "forge", statements_of(document), within, frozenset())], things, belonging(things))


@pytest.mark.parametrize(
    ("statements", "ties"),
    [
        (allow("SQS:sendmessage", JOBS), {"sends_to queue:jobs"}),
        ([allow("sqs:SendMessage", arn("sqs", "jo?s"))], {"sends_to queue:jobs"}),
        ([{"Effect": "Allow", "NotAction": "iam:*", "Resource": JOBS}], {"sends_to queue:jobs", RECEIVES}),
        ([{"Effect": "Allow", "Action": "sqs:*", "NotResource": JOBS}], set()),
        ([allow("*", "*"), allow("sqs:*", "arn:aws:sqs:*:*:*"), allow("sqs:*", "arn:aws:*:*:*:jobs")], set()),
        ([allow("sqs:SendMessage", arn("sqs", "${aws:PrincipalTag/queue}"))], set()),
        ([allow("sqs:SendMessage", [JOBS, MAIL]), ALL_BUT_JOBS], {"sends_to queue:jobs"}),
        ([allow("s3:GetObject", f"{MODELS}/*"), deny("s3:*", f"{MODELS}/secret/*")], {"reads bucket:models"}),
        ([allow("s3:GetObject", f"{MODELS}/*"), deny("s3:*", f"{MODELS}/*")], set()),
        ([allow("s3:GetObject", MODELS)], set()),
        ([allow("lambda:InvokeFunction", f"{NOTIFY}:*")], {"calls service:notify"}),
        ([allow("sns:Publish", arn("sns", "unheard-of"))], {"sends_to queue:unheard-of"}),
        ([allow("logs:PutLogEvents", arn("logs", "log-group:forge"))], set()),
    ],
)
def test_a_policy_ties_a_role_to_what_it_names_and_allows(statements: Any, ties: set[str]) -> None:
    assert {f"{tie.kind} {tie.target}" for tie in reached({"Statement": statements}).ties} == ties


def test_a_boundary_takes_away_what_it_does_not_allow() -> None:
    boundary = {"Statement": [allow("sqs:*", "*"), deny("sqs:ReceiveMessage", "*")]}
    found = reached({"Statement": [allow(["sqs:*", "s3:*"], [JOBS, f"{MODELS}/*"])]}, boundary)
    assert [f"{tie.kind} {tie.target}" for tie in found.ties] == ["sends_to queue:jobs"]


def test_a_pattern_that_fits_too_much_ties_nobody_and_is_told() -> None:
    found = reached({"Statement": [allow("sqs:*", arn("sqs", "q-*"))]}, known=[arn("sqs", f"q-{n}") for n in range(11)])
    assert not found.ties
    assert found.left_out == ["patterns in policies that fit more than 10 resources, and so tie nobody to them: 1"]


def test_what_is_no_policy_says_nothing() -> None:
    assert [statements_of(each) for each in ("text", None, {"Statement": "x"}, {})] == [[], [], [], []]


def tied(things: Sequence[Thing], *groups: SecurityGroup) -> tuple[set[str], Sequence[str]]:
    by_arn = united(things)
    made = of_groups(groups, by_arn, belonging(by_arn))
    return {f"{tie.source} {tie.kind} {tie.target}: {tie.because}" for tie in made.ties}, made.left_out


def group(name: str, *sources: tuple[Port, str], leads_to: Any = (), anywhere: Any = EVERY_PORT) -> SecurityGroup:
    return SecurityGroup(f"sg-{name}", name, sources, leads_to, anywhere)


def test_a_group_that_lets_nobody_out_by_a_port_reaches_nobody_there() -> None:
    things = [service("forge", groups=frozenset(["sg-a"])), service("bot", groups=frozenset(["sg-b"]))]
    bot = group("b", (Port("tcp", 8080, 8090), "sg-a"))
    reaches = "service:forge calls service:bot: security group b lets a in on tcp 8080-8090"
    assert tied(things, group("a"), bot)[0] == {reaches}
    assert tied(things, group("a", anywhere=[Port("tcp", 443, 443)]), bot)[0] == set()
    assert tied(things, group("a", anywhere=(), leads_to=[(Port("tcp", 8085, 8085), "sg-b")]), bot)[0] == {reaches}
    assert (
        tied(things, group("a"), group("b", (Port("tcp", 22, 22), "sg-a"), (Port("icmp", -1, -1), "sg-a")))[0] == set()
    )
    assert tied(things, group("a"), group("b", (Port(), "sg-a")))[0] == {reaches.replace("tcp 8080-8090", "any port")}
    assert tied(things, group("b", (Port(), "sg-of-another-account")))[0] == set()


def test_a_group_that_lets_itself_in_tells_only_that_what_is_in_it_belongs_together() -> None:
    things = [service(name, groups=frozenset(["sg-a"])) for name in ("forge", "bot")]
    assert tied(things, group("a", (Port("tcp", 7946, 7946), "sg-a"))) == (set(), [])


def test_a_group_that_lets_very_many_in_tells_nothing_of_who_calls_and_that_is_told() -> None:
    callers = [service(f"caller-{n}", groups=frozenset(["sg-a"])) for n in range(26)]
    ties, left_out = tied(
        [*callers, service("bot", groups=frozenset(["sg-b"]))], group("a"), group("b", (Port(), "sg-a"))
    )
    assert not ties
    assert left_out == ["security group sg-b lets 26 in to 1 on any port: too many to say who calls whom"]


def test_a_route_leads_to_addresses_functions_and_further_load_balancers() -> None:
    front, inner = (arn("elasticloadbalancing", f"loadbalancer/{kind}/{kind}/1") for kind in ("net", "app"))
    machine = Thing(arn("ec2", "instance/i-1"), addresses=frozenset(["10.0.0.7"]))
    things = united([machine, Thing(NOTIFY), Thing(front)])
    routes = [Route(front, "TCP 443", "group", ("10.0.0.7", "10.9.9.9", NOTIFY, inner), 2)]
    made = of_routes(routes, things, belonging(things))
    assert [tie.target for tie in made.ties] == ["instance:i-1", "service:notify", "load_balancer:app"]
    assert made.ties[0].because == "listener TCP 443, 2 of 4 targets well"


def test_what_a_stack_names_by_an_id_or_a_url_has_an_arn() -> None:
    stack = arn("cloudformation", "stack/prod/1")
    url = "https://sqs.eu-west-1.amazonaws.com/123456789012/jobs"
    assert arn_of("AWS::SQS::Queue", url, stack) == JOBS
    assert arn_of("AWS::S3::Bucket", "models", stack) == MODELS
    assert arn_of("AWS::SNS::Topic", arn("sns", "t"), stack) == arn("sns", "t")
    assert arn_of("AWS::Logs::LogGroup", "x", stack) == ""
    assert named(arn("logs", "log-group:x")) is None
