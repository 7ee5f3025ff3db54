"""`midwatch config check`: every mistake at once, each with its place and what was probably meant."""

import json
from pathlib import Path

import pytest
from publish.describe import SERVERS, settings_class
from tests.settings.conftest import ran

from midwatch_kit.settings import variable_of
from midwatch_store.settings import Settings as StoreSettings

WRONG = """\
# settings of the shop
data_dir = "data"
reasoner = "cloude"
settle_secnds = 5
settle_seconds = 700
recovery_seconds = 600
parallel_calls = 0
servers_file = "servers.json"
steering_dir = "steering"
model_api_key = "sk-hush-hush"

[model_prices.own]
input = 1
outptu = 2
cache_write = "x"
cache_read = 1
"""
SERVERS_FILE = """\
{
  "mcpServers": {
    "fish": {"command": "a", "alow": ["x"], "args": "b", "type": "stdio"},
    "pond": {}
  }
}
"""
STEERING = "---\nname: a\ndescription: b\nignor: [x]\nlag_seconds: {logs: -1}\n---\ntext\n"


def faults(*arguments: str) -> list[str]:
    """Return what the check finds, line by line."""
    code, said = ran("config", "check", *arguments)
    assert code == 1, said
    return said.splitlines()


def test_every_mistake_is_found_at_once_with_its_place(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "midwatch.toml").write_text(WRONG)
    (folder / "servers.json").write_text(SERVERS_FILE)
    (folder / "steering").mkdir()
    (folder / "steering" / "a.md").write_text(STEERING)
    monkeypatch.setenv("MIDWATCH_CALL_SECONDS", "soon")
    monkeypatch.setenv("MIDWATCH_PARALEL_CALLS", "3")
    said = faults()
    assert [line.partition(" (")[0] for line in said] == [
        "midwatch.toml:3:12: reasoner: 'cloude' must be 'builtin' or 'claude'",
        "midwatch.toml:4:1: settle_secnds: there is no such key; did you mean settle_seconds?",
        "midwatch.toml:5:18: settle_seconds: settle_seconds is more than recovery_seconds, within which it falls",
        "midwatch.toml:6:20: recovery_seconds: settle_seconds is more than recovery_seconds, within which it falls",
        "midwatch.toml:7:18: parallel_calls: 0 must be greater than 0",
        "midwatch.toml:10:17: model_api_key: a secret does not stand in a settings file: write env:NAME for a variable "
        "of the environment, or file:/path for a file",
        "midwatch.toml:12:15: model_prices.own.output: it is missing",
        "midwatch.toml:14:1: model_prices.own.outptu: there is no such key; did you mean output?",
        "midwatch.toml:15:15: model_prices.own.cache_write: 'x' must be a number",
        "MIDWATCH_CALL_SECONDS: 'soon' must be a number",
        "servers.json:3:53: mcpServers.fish.args: must be a list",
        "servers.json:4:13: mcpServers.pond: a server needs either a command or a url",
        "servers.json:3:30: mcpServers.fish.alow: there is no such key; did you mean allow?",
        "steering/a.md:5:21: lag_seconds.logs: -1 must be greater than or equal to 0",
        "steering/a.md:4:1: ignor: there is no such key; did you mean ignore?",
        "MIDWATCH_PARALEL_CALLS: nobody reads this variable; did you mean MIDWATCH_PARALLEL_CALLS?",
    ]
    assert "did you mean claude?" in said[0]
    assert "hush" not in "".join(said)


CHANNELS = """[channels.ops]
kind = "slack"
channel = "C0123456789"
bot_token = "env:NO_SUCH_TOKEN"

[channels.notes]
kind = "servicenow"
url = "https://example.service-now.com"
username = "midwatch"
password = "env:NO_SUCH_PASSWORD"
tabel = "problem"

[intake.generic]
secrets = ["env:NO_SUCH_SECRET"]
"""


def test_a_secret_that_is_not_there_is_one_fault_under_the_key_as_it_stands_in_the_file(folder: Path) -> None:
    (folder / "midwatch.toml").write_text(CHANNELS)
    assert [line.partition(" (")[0] for line in faults()] == [
        "midwatch.toml:4:13: channels.ops.bot_token: env:NO_SUCH_TOKEN: the environment has no NO_SUCH_TOKEN, or it is "
        "empty",
        "midwatch.toml:10:12: channels.notes.password: env:NO_SUCH_PASSWORD: the environment has no NO_SUCH_PASSWORD, "
        "or it is empty",
        "midwatch.toml:11:1: channels.notes.tabel: there is no such key; did you mean table?",
        "midwatch.toml:14:12: intake.generic.secrets[0]: env:NO_SUCH_SECRET: the environment has no NO_SUCH_SECRET, "
        "or it is empty",
    ]


def test_settings_that_contradict_each_other_in_one_table_are_told_by_that_table(folder: Path) -> None:
    (folder / "midwatch.toml").write_text('[channels.notes]\nkind = "servicenow"\nurl = "https://example.org"\n')
    (said,) = faults()
    assert said == "midwatch.toml:1:11: channels.notes: give either username and password, or token"


def test_a_kind_that_has_the_name_of_a_key_is_no_step_on_the_way_to_a_setting(folder: Path) -> None:
    (folder / "midwatch.toml").write_text('[channels.chat]\nkind = "teams"\nurl = "https://example.org/hook"\n')
    (said,) = faults()
    assert said.startswith("midwatch.toml:3:7: channels.chat.url: a secret does not stand in a settings file")


def test_nothing_wrong_is_said_too(folder: Path) -> None:
    assert ran("config", "check") == (0, "the settings are right\n")
    (folder / "mine.toml").write_text("call_seconds = 5\n")
    assert ran("config", "check", "mine.toml") == (0, "the settings are right\n")


def test_programs_get_places_in_fields(folder: Path) -> None:
    (folder / "midwatch.toml").write_text("call_secs = 5\n")
    (found,) = json.loads(ran("config", "check", "--json")[1])
    assert (found["where"], found["line"], found["column"], found["key"]) == ("midwatch.toml", 1, 1, "call_secs")
    assert found["meant"] == "call_seconds"


def test_each_place_at_which_a_file_is_no_toml_is_told(folder: Path) -> None:
    (folder / "midwatch.toml").write_text("data_dir = \nok = 1\nbad bad\nstore = 5\n")
    said = faults()
    assert said[0] == "midwatch.toml:1:12: this is no TOML: Invalid value"
    assert said[1:] == ["midwatch.toml:3:1: this is no TOML either"]


@pytest.mark.parametrize(
    ("settings", "content", "said"),
    [
        ("servers_file", '{\n  "mcpServers": {,}\n}', "named.file:2:18: this is no JSON: "),
        ("servers_file", "{}", "named.file:1:1: mcpServers: it is missing"),
        (
            "declared_topology",
            '{"relations": [\n  {"source": "x:a", "kind": 1, "target": "x:b"}]}',
            "named.file:2:29: relations[0].kind: 1 must be ",
        ),
        (
            "declared_topology",
            '{"relations": [\n  {"source": "service:a", "kind": "calls", "target": "b"}]}',
            "named.file:2:54: relations[0].target: 'b' names no kind: write it as service:web",
        ),
        (
            "servers_file",
            '{"mcpServers": {"a": {"url": "https://x"},\n  "a": {"url": "https://y"}}}',
            "named.file:2:3: mcpServers.a: it stands there twice: only the last would hold",
        ),
        (
            "servers_file",
            '{"mcpServers": {"a": {"url": "ftp://me:hush@x"}}}',
            "named.file:1:22: mcpServers.a: url must begin with http:// or https://",
        ),
        ("byo_mapping", "sources:\n  - {name: a\n", "named.file:3:1: this is no YAML: "),
        ("servers_file", None, "midwatch.toml:2:16: servers_file: cannot read named.file: No such file"),
        ("steering_dir", None, "midwatch.toml:2:16: steering_dir: there is no folder named.file"),
    ],
)
def test_what_is_wrong_in_a_file_that_settings_name_has_its_line(
    folder: Path, settings: str, content: str | None, said: str
) -> None:
    (folder / "midwatch.toml").write_text(f'# \n{settings} = "named.file"\n')
    if content is not None:
        (folder / "named.file").write_text(content)
    assert [line[: len(said)] for line in faults()] == [said]


def test_an_address_in_place_of_a_name_is_found_and_a_byte_order_mark_is_none(folder: Path) -> None:
    text = '[api]\nhosts = ["https://midwatch.example.com/"]\n[channels]\nops = 1\n'
    (folder / "midwatch.toml").write_text(text, encoding="utf-8-sig")
    assert [line.partition(":")[0] + line.partition(": ")[2] for line in faults()] == [
        "midwatch.tomlapi.hosts: 'https://midwatch.example.com/' is no name alone: write it as midwatch.example.com, "
        "without https:// or a port (names by which it may be asked, beside those of this machine)",
        "midwatch.tomlchannels.ops: 1 must be a table",
    ]


def test_a_variable_that_cannot_be_meant_is_quoted_only_where_no_secret_can_stand(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MIDWATCH_LISTEN_PORT", "http")
    monkeypatch.setenv("MIDWATCH_CHANNELS", '{"ops": {"kind": "slak"}}')
    monkeypatch.setenv("MIDWATCH_INTAKE__PAGERDUTY__SECRETS", "hush")
    monkeypatch.setenv("MIDWATCH_DATABASE_URL", "mysql://me:hush@db/midwatch")
    said = {line.partition(":")[0]: line for line in faults()}
    assert "'http' must be a whole number" in said["MIDWATCH_LISTEN_PORT"]
    assert "'slak' is no kind; there are 'slack', " in said["MIDWATCH_CHANNELS (ops)"]
    assert said["MIDWATCH_CHANNELS (ops)"].endswith("did you mean slack?")
    assert 'must be a list as JSON: ["…"]' in said["MIDWATCH_INTAKE__PAGERDUTY__SECRETS"]
    assert "must be an address like postgresql://" in said["MIDWATCH_DATABASE_URL"]
    assert "hush" not in str(said)


def test_variables_of_the_servers_are_no_mistakes(monkeypatch: pytest.MonkeyPatch) -> None:
    for server in SERVERS:
        for name, field in settings_class(server).model_fields.items():
            monkeypatch.setenv(variable_of(field, name), "x")
            monkeypatch.setenv(f"{variable_of(field, name)}_FILE", "x")
    for name in StoreSettings.model_fields:
        monkeypatch.setenv(f"MIDWATCH_STORE_{name.upper()}", "x")
    monkeypatch.setenv("MIDWATCH_CLUSTER", "off")
    unread = [line for line in ran("config", "check")[1].splitlines() if "nobody reads" in line]
    assert [line for line in unread if not line.split(":")[0].endswith("_FILE")] == []


def test_a_variable_that_the_servers_file_or_a_secret_names_is_read(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MIDWATCH_OF_WIKI", "s3cret")
    monkeypatch.setenv("MIDWATCH_OF_MODEL", "s3cret")
    headers = {"Authorization": "Bearer ${MIDWATCH_OF_WIKI}"}
    wiki = {"wiki": {"url": "https://wiki.example/mcp", "headers": headers}}
    (folder / "servers.json").write_text(json.dumps({"mcpServers": wiki}))
    (folder / "midwatch.toml").write_text('servers_file = "servers.json"\nmodel_api_key = "env:MIDWATCH_OF_MODEL"\n')
    assert ran("config", "check")[0] == 0


def test_what_holds_is_shown_with_its_origin_and_secrets_are_masked(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "midwatch.toml").write_text('\ncall_seconds = 5\nroll_back_url = "https://me:hush@deploys.example/"\n')
    monkeypatch.setenv("MIDWATCH_MODEL_API_KEY", "sk-hush")
    said = {line.split(" = ")[0]: line.split(" = ", 1)[1] for line in ran("config", "show")[1].splitlines()}
    assert said["call_seconds"].split() == ["5.0", "#", "midwatch.toml:2"]
    assert said["model_api_key"].split() == ['"**********"', "#", "MIDWATCH_MODEL_API_KEY"]
    assert said["roll_back_url"].startswith('"https://me:**********@deploys.example/"')
    assert said["connect_seconds"].split() == ["60.0", "#", "default"]
    assert "hush" not in str(said)
