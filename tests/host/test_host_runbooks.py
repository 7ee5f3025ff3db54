"""Runbooks of other places: found as the servers file declares, kept, noted; what cannot be had is a gap."""

import json
from collections.abc import AsyncGenerator, Callable, Generator, Mapping
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from mcp import Client
from tests.host.conftest import Reach
from tests.host.wiki import ALLOWED, BINDING, FORGE, NEWS, SITE, Wiki, served, without_tools
from typer.testing import CliRunner

from midwatch.cli import app
from midwatch.errors import BadSettings
from midwatch.inquiry import Inquiry, Limits
from midwatch.mcp_client.links import open_links
from midwatch.mcp_client.servers import server_specs
from midwatch.mcp_client.toolbox import Eyes
from midwatch.records import Gap, Incident, ToolCall
from midwatch.records.runbook import Runbook
from midwatch.runbooks import find_runbooks, words
from midwatch.settings import ServerSpec, Settings
from midwatch.settings.runbooks import RunbookBinding
from midwatch.storage.journal import Journal
from midwatch_kit.evidence import EvidenceStore

Found = Callable[..., Any]
FETCH, SEARCH = BINDING["fetch"], BINDING["search"]
RESOURCES: Mapping[str, Any] = {"resources": {"listed": "docs://runbooks/*"}}


@contextmanager
def a_wiki(wiki: Wiki, binding: Mapping[str, Any] = BINDING, **settings: Any) -> Generator[ServerSpec]:
    server = wiki.with_resources() if "resources" in binding else wiki.with_tools()
    with served(server) as url:
        said = {"url": url, "allow": [] if "resources" in binding else ALLOWED, "runbooks": binding, **settings}
        yield ServerSpec.model_validate(said)


@pytest.fixture
def found(reach: Reach, incident: Incident, journal: Journal) -> Found:
    """Return a function that finds the runbooks of an incident at a wiki: the records, and the gaps."""

    async def find(
        serving: AbstractContextManager[ServerSpec], forbid: str = "", **changed: Any
    ) -> tuple[list[Runbook], list[str]]:
        about = incident.model_copy(update=changed)
        with serving as spec:
            async with reach(wiki=spec) as host:
                no = lambda server, tool: "house forbids it" if forbid in (server, tool) else ""  # noqa: E731
                inquiry = Inquiry(about.id, journal, host.eyes, host.eyes.kept, Limits(60, 100, 5), no)
                runbooks = await find_runbooks(inquiry, about)
                assert all(host.eyes.kept.get(runbook.evidence) for runbook in runbooks)
        return runbooks, [f"{gap.what}: {gap.why}" for gap in journal.values(about.id, Gap)]

    return find


async def test_a_search_by_service_and_title_finds_documents_and_keeps_them(found: Found, journal: Journal) -> None:
    wiki = Wiki(pages={"7": ("Party", NEWS), "4821": ("Gateway errors", FORGE), "9": ("Payroll", "# Pay\nMonthly.")})
    runbooks, gaps = await found(a_wiki(wiki))
    assert [(r.document, r.title, r.link) for r in runbooks] == [
        ("4821", "Gateway errors", f"{SITE}/spaces/OPS/pages/4821"),
        ("7", "Party", f"{SITE}/spaces/OPS/pages/7"),
    ]
    assert (runbooks[0].opening, runbooks[0].chars) == ("Forge reads old parts from its cache for an hour.", len(FORGE))
    assert (runbooks[0].where, runbooks[0].named, gaps) == ("/rows/0/metadata/content/value", False, [])
    assert wiki.asked == ["search gateway error rate of gateway", "search gateway", "page 4821", "page 7"]
    assert journal.values("01INCIDENT", Runbook) == runbooks
    assert {call.tool for call in journal.values("01INCIDENT", ToolCall)} == {*ALLOWED}


@pytest.mark.parametrize(
    "address",
    [f"{SITE}/spaces/OPS/pages/4821/What+to+do", "https://wiki.example.com/pages/viewpage.action?pageId=4821"],
)
async def test_an_address_with_a_pages_id_leads_to_the_page(found: Found, address: str) -> None:
    wiki = Wiki(pages={"7": ("Gateway and gateway", NEWS), "4821": ("What to do", "Roll back.")})
    runbooks, _ = await found(a_wiki(wiki, {**BINDING, "documents": 1}), runbook=address)
    assert [(r.document, r.named, r.title) for r in runbooks] == [("4821", True, "What to do")]
    assert wiki.asked == ["page 4821"]


@pytest.mark.parametrize("named", ["disk-full", "https://git.example.com/runbooks/Disk_full.md#start", "Disk Full"])
async def test_a_runbook_that_an_alert_names_is_known_by_its_title(found: Found, named: str) -> None:
    wiki = Wiki(pages={"1": ("Gateway", NEWS), "2": ("Disk full", "Empty /tmp.")})
    wiki.pages["2"] = ("Disk full", "Empty /tmp of disk-full, disk_full.")
    runbooks, _ = await found(a_wiki(wiki), runbook=named)
    assert [(r.title, r.named) for r in runbooks] == [("Disk full", True), ("Gateway", False)]


async def test_no_more_documents_and_bytes_are_taken_than_the_binding_says(found: Found) -> None:
    wiki = Wiki(pages={str(n): (f"Gateway {n}", "gateway " * 100) for n in range(9)})
    runbooks, _ = await found(a_wiki(wiki, {**BINDING, "documents": 2}))
    assert [r.document for r in runbooks] == ["0", "1"]


async def test_a_page_that_is_huge_is_the_last_that_is_read(found: Found) -> None:
    wiki = Wiki(pages={str(n): (f"Gateway {n}", "gateway " * 60_000) for n in range(3)})
    runbooks, gaps = await found(a_wiki(wiki, {**BINDING, "kilobytes": 400}))
    assert [(r.document, r.chars) for r in runbooks] == [("0", 480_000)]
    assert gaps == [
        f"runbook Gateway {n}: the documents before it have the 400 kB that an investigation takes" for n in (1, 2)
    ]


@pytest.mark.parametrize(
    ("binding", "said"),
    [
        ({**BINDING, "seconds": 0.3}, "runbooks of wiki: it took longer than 0.3 s"),
        (BINDING, "wiki: confluence_search: "),
    ],
    ids=["hangs", "breaks"],
)
async def test_a_wiki_that_hangs_or_breaks_is_a_gap(found: Found, binding: Mapping[str, Any], said: str) -> None:
    runbooks, gaps = await found(a_wiki(Wiki(trouble="hangs" if "seconds" in binding else "breaks"), binding))
    assert runbooks == []
    assert [gap[: len(said)] for gap in gaps] == [said]


async def test_a_house_rule_forbids_a_wiki_as_any_tool(found: Found) -> None:
    runbooks, gaps = await found(a_wiki(wiki := Wiki()), forbid="confluence_search")
    assert (runbooks, gaps, wiki.asked) == ([], ["wiki: confluence_search: house forbids it"], [])


@pytest.mark.parametrize(
    ("pages", "said"),
    [
        ({}, 'wiki: confluence_get_page: {"error": "Failed to retrieve page by ID \'13\': 404"}'),
        ({"13": ("Empty", " ")}, "runbook 13: what wiki gave has no text at /metadata/content/value"),
    ],
)
async def test_a_page_that_is_not_there_or_empty_is_a_gap(
    found: Found, pages: dict[str, tuple[str, str]], said: str
) -> None:
    runbooks, gaps = await found(a_wiki(Wiki(pages=pages)), runbook=f"{SITE}/spaces/OPS/pages/13")
    assert (runbooks, gaps) == ([], [said])


async def test_what_an_alert_says_cannot_widen_the_search(found: Found) -> None:
    wiki = Wiki()
    await found(a_wiki(wiki), title='x" OR space = "HR" AND title ~ "salaries" currentUser() -label:a*')
    assert wiki.asked[0] == "search gateway x or space hr and title salaries currentuser label a"


@pytest.mark.parametrize(
    "address", [f"{SITE}/spaces/OPS/pages/../../secret", f"{SITE}/spaces/OPS/pages/%2e%2e", f"{SITE}/spaces/x", ""]
)
def test_an_address_that_has_no_plain_id_leads_nowhere(address: str) -> None:
    assert RunbookBinding.model_validate(BINDING).id_in(address) is None


async def test_what_nobody_could_see_and_secrets_stay_out_of_the_journal(found: Found) -> None:
    wiki = Wiki(pages={"1": ("Gateway\u202e of\nada@example.com", "Log in with password=hunter2\u200b now")})
    [runbook], _ = await found(a_wiki(wiki))
    assert (runbook.title, runbook.opening) == ("Gateway of <email>", "Log in with <secret> now")


async def test_documents_that_are_resources_are_listed_and_read(found: Found) -> None:
    pages = {"1": ("Gateway errors", FORGE), "2": ("Payroll", "Pay.")}
    runbooks, gaps = await found(a_wiki(Wiki(pages=pages), RESOURCES))
    assert [(r.document, r.title, r.where, r.chars) for r in runbooks] == [
        ("docs://runbooks/1", "Gateway errors", "/rows", len(FORGE) - 1)
    ]
    assert gaps == []


async def test_a_server_that_has_no_tools_at_all_is_read(tmp_path: Path, incident: Incident, journal: Journal) -> None:
    spec = ServerSpec(command="docs", runbooks=RunbookBinding.model_validate(RESOURCES))

    @asynccontextmanager
    async def reach(_: ServerSpec, __: float, ___: Path) -> AsyncGenerator[Client]:
        async with Client(without_tools()) as client:
            yield client

    async with open_links({"docs": spec}, 10, tmp_path, reach) as links:
        eyes = Eyes(links, EvidenceStore(tmp_path / "kept", 2**30))
        assert eyes.missing() == {}
        inquiry = Inquiry(incident.id, journal, eyes, eyes.kept, Limits(60, 100, 5))
        [runbook] = await find_runbooks(inquiry, incident)
    assert (runbook.document, runbook.title) == ("docs://runbooks/gateway", "Gateway")


async def test_the_address_of_a_resource_follows_from_the_service_or_the_alerts_runbook(found: Found) -> None:
    uris = {"uris": ["docs://services/{service}", "docs://runbooks/{id}"]}
    binding = {"resources": uris, "addresses": ["https://docs.example.com/{id}"]}
    pages = {"1": ("gateway", FORGE), "2": ("Payroll", "# Pay\nMonthly.")}
    runbooks, gaps = await found(a_wiki(Wiki(pages=pages), binding), runbook="https://docs.example.com/2")
    assert [(r.document, r.named, r.title) for r in runbooks] == [
        ("docs://runbooks/2", True, "Pay"),
        ("docs://services/gateway", False, "Forge is down"),
    ]
    assert gaps == []


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"search": {**SEARCH, "tool": "other"}}, "runbooks names the tool other, and allow does not"),
        (
            {"search": {**SEARCH, "arguments": {"q": "x"}}},
            "runbooks.search: Value error, arguments: nothing",
        ),
        (
            {"search": {**SEARCH, "arguments": {"q": "{title}"}}},
            "nobody knows {title}: {query} or {service}",
        ),
        ({"fetch": {**FETCH, "text": "metadata.content"}}, "runbooks.fetch.text: Value error, 'metadata"),
        ({"fetch": {**FETCH, "txt": "/a"}}, "runbooks.fetch.txt: Extra inputs are not permitted"),
        ({"fetch": None}, "runbooks: Value error, documents are read by fetch or they are resources"),
        ({"search": None, "addresses": []}, "runbooks: Value error, fetch needs search, or addresses"),
        ({"addresses": ["https://wiki/*"]}, "'https://wiki/*' has not one {id}"),
        ({"documents": 100}, "runbooks.documents: "),
        ({"fetch": None, "search": None, "resources": {}}, "runbooks.resources: Value error, say which"),
        ({"fetch": None, "search": None, "resources": {"uris": ["docs://a"]}}, "uris 'docs://a': nothing is filled in"),
    ],
)
def test_a_binding_that_cannot_be_meant_is_refused_at_the_start_with_its_key(
    tmp_path: Path, changed: dict[str, Any], said: str
) -> None:
    file = tmp_path / "servers.json"
    wiki = {"url": "http://wiki/mcp", "allow": ALLOWED, "runbooks": {**BINDING, **changed}}
    file.write_text(json.dumps({"mcpServers": {"wiki": wiki}}))
    with pytest.raises(BadSettings) as caught:
        server_specs(Settings(servers_file=file))
    assert "mcpServers.wiki" in str(caught.value)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({}, "document 4821 has"),
        (
            {"search": {**SEARCH, "arguments": {"q": "{query}"}}},
            "confluence_search has no argument q: it takes limit",
        ),
        ({"fetch": {**FETCH, "arguments": {"include_metadata": "{id}"}}}, "cannot do without page_id"),
        ({"search": {**SEARCH, "results": "/results"}}, "no list stands at /results"),
        ({"search": {**SEARCH, "id": "/pageId"}}, "no id stands at /pageId: it holds attachments, id"),
        ({"fetch": {**FETCH, "text": "/body"}}, "document 4821 has no text at /body: it holds metadata"),
        ({"fetch": {**FETCH, "tool": "get_page"}}, "wiki offers no tool get_page"),
        (RESOURCES, "1 of 1 resources are docs://runbooks/*"),
        ({"resources": {"listed": "wiki://*"}}, "0 of 1 resources are wiki://*"),
    ],
)
def test_the_doctor_says_whether_a_binding_holds(tmp_path: Path, changed: dict[str, Any], said: str) -> None:
    wiki = Wiki(pages={"4821": ("A runbook of the gateway", FORGE)})
    binding = changed if "resources" in changed else {**BINDING, **changed}
    with a_wiki(wiki, binding, allow=[*ALLOWED, "get_page"]) as spec:
        file = tmp_path / "servers.json"
        file.write_text(json.dumps({"mcpServers": {"wiki": spec.model_dump(mode="json", exclude={"command"})}}))
        where = {"MIDWATCH_SERVERS_FILE": str(file), "MIDWATCH_DATA_DIR": str(tmp_path / "data")}
        done = CliRunner().invoke(app, ["doctor", "--json"], env=where)
    held = [each for each in json.loads(done.stdout) if each["what"].startswith("runbooks")]
    assert said in " ".join(each["detail"] for each in held)
    assert all(each["ok"] or each["do"] for each in held)
    assert all(each["ok"] for each in held) == (changed in ({}, RESOURCES))


def test_words_for_a_search_have_no_sign_that_a_query_language_could_read() -> None:
    assert words('Error-rate of «gateway» > 5% AND (a:b) -c "d" ~e') == "error-rate of gateway 5 and a b c d e"
