"""AWS for backends: what it refuses is said in words that help, what passes is asked again, and no key gets out."""

from collections.abc import Mapping
from contextvars import copy_context

import pytest
from starlette.responses import JSONResponse
from tests.backends.serving import served

from midwatch_kit import BackendDown, BadInput, KitError, NotFound
from midwatch_kit.abandoned import giving_up
from midwatch_kit.aws import Denied, in_words, patience, session

KEY = "hidden-key"


@pytest.fixture(autouse=True)
def _credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"ACCESS_KEY_ID": "id", "SECRET_ACCESS_KEY": KEY, "DEFAULT_REGION": "us-east-1"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)


def refusal(code: str, message: str) -> JSONResponse:
    """What AWS answers in place of a result."""
    return JSONResponse({"__type": code, "message": message}, 400)


def asked(url: str, attempts: int = 2) -> Mapping[str, object]:
    """Ask what is at an address for its log groups."""
    client = session().client("logs", endpoint_url=url, config=patience(5, attempts=attempts))
    with in_words("CloudWatch Logs", "logs:DescribeLogGroups", "see `aws logs describe-log-groups`"):
        return client.describe_log_groups()


def complaint(answer: JSONResponse) -> KitError:
    """Return what comes of an answer that is no result."""
    with served(answer) as (url, _), pytest.raises(KitError) as told:
        asked(url)
    return told.value


def test_a_missing_permission_is_named() -> None:
    told = complaint(refusal("AccessDeniedException", "User: arn:aws:iam::1:user/a is not authorized"))
    assert isinstance(told, Denied)
    assert told.permission == "logs:DescribeLogGroups"
    assert "allow logs:DescribeLogGroups to these credentials" in str(told)


def test_a_question_that_cannot_be_used_gets_the_complaint_of_aws() -> None:
    told = complaint(refusal("MalformedQueryException", "unexpected symbol found | at line 1 and position 7"))
    assert isinstance(told, BadInput)
    assert "at line 1 and position 7" in str(told)


def test_what_is_not_there_is_not_found_and_says_where_to_look() -> None:
    told = complaint(refusal("ResourceNotFoundException", "The specified log group does not exist."))
    assert isinstance(told, NotFound)
    assert "does not exist.; see `aws logs describe-log-groups`" in str(told)


@pytest.mark.parametrize(
    ("code", "advice"),
    [
        ("ExpiredTokenException", "log in again"),
        ("UnrecognizedClientException", "AWS_ACCESS_KEY_ID"),
        ("InvalidSignatureException", "AWS_SECRET_ACCESS_KEY"),
    ],
)
def test_credentials_of_no_use_are_told_from_missing_permissions(code: str, advice: str) -> None:
    told = complaint(refusal(code, "no"))
    assert type(told) is BackendDown
    assert advice in str(told)
    assert KEY not in str(told)


def test_what_is_throttled_is_asked_again_and_in_the_end_told() -> None:
    with served(refusal("ThrottlingException", "Rate exceeded")) as (url, trouble), pytest.raises(BackendDown) as told:
        asked(url, attempts=2)
    assert len(trouble.paths) == 2
    assert "ask again later" in str(told.value)


def test_an_answer_that_breaks_off_once_is_asked_for_again() -> None:
    with served(JSONResponse({"logGroups": [{"logGroupName": "/aws/lambda/checkout"}]})) as (url, trouble):
        trouble.kind, trouble.times = "500", 1
        assert asked(url)["logGroups"] == [{"logGroupName": "/aws/lambda/checkout"}]


def test_nobody_there_is_told() -> None:
    with pytest.raises(BackendDown, match="CloudWatch Logs does not answer"):
        asked("http://127.0.0.1:9", attempts=1)


def test_without_credentials_it_says_how_to_give_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    with served(JSONResponse({})) as (url, _), pytest.raises(BackendDown, match="AWS_PROFILE"):
        asked(url)


def test_a_profile_that_there_is_not_is_bad_input() -> None:
    with pytest.raises(BadInput, match="no AWS profile 'nightshift'"):
        session(profile="nightshift")


def test_nobody_is_asked_when_nobody_waits() -> None:
    with served(JSONResponse({"logGroups": []})) as (url, trouble):
        with giving_up():
            asked(url)
            afterwards = copy_context()
        with pytest.raises(BackendDown, match="nobody waits"):
            afterwards.run(asked, url)
    assert len(trouble.paths) == 1
