"""Tools written the short way: what the kit gives a function, and what it makes of what the function finds."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from mcp import Client, types
from pydantic import JsonValue, TypeAdapter

from midwatch_kit import BadInput, Check, Entity, EvidenceServer, Finding, ObservationKind, Relation, Window
from midwatch_kit.evidence import EvidenceStore, broken_citations, evidence_id
from midwatch_kit.records import Observation

HOUR = {"start": "2026-11-20T02:00:00Z", "end": "2026-11-20T03:00:00Z"}
EVERY = {"start", "end", "baseline_start", "baseline_end", "entities"}

Make = Callable[..., EvidenceServer]


class Asked:
    """A client's question, and the way to the bytes behind the answer."""

    def __init__(self, server: EvidenceServer) -> None:
        self._server = server

    async def call(self, tool: str, **arguments: object) -> dict[str, Any]:
        async with Client(self._server.build()) as client:
            result = await client.call_tool(tool, arguments)
        assert not result.is_error, result.content
        return {**(result.structured_content or {}), "meta": result.meta}

    async def error(self, tool: str, **arguments: object) -> str:
        async with Client(self._server.build()) as client:
            result = await client.call_tool(tool, arguments)
        assert result.is_error
        return str(result.content)

    @property
    def evidence(self) -> EvidenceStore:
        """The folder that the server keeps evidence in."""
        return EvidenceStore(self._server.settings.evidence_dir, 2**40)

    def stored(self, name: str) -> bytes:
        return self.evidence.get(name)

    async def schema(self, tool: str) -> dict[str, Any]:
        async with Client(self._server.build()) as client:
            return next(each.input_schema for each in (await client.list_tools()).tools if each.name == tool)


def finding(name: str, score: float = 0.0, **more: Any) -> Finding:
    kind = ObservationKind.SPIKE if score else ObservationKind.NORMAL
    return Finding(
        entity=f"service:{name}", kind=kind, subject="fish", statement=f"{name} {score}", score=score, **more
    )


def surveyed(make: Make) -> Asked:
    server = make()

    @server.survey("Survey ponds")
    def survey_ponds(window: Window, entities: tuple[str, ...]) -> Iterator[tuple[JsonValue, Finding]]:
        """Count fish."""
        yield {"pond": "south", "start": window.start.isoformat(), "asked": len(entities)}, finding("south")
        yield {"pond": "north"}, finding("north", 9.0)
        yield {"pond": "east"}, finding("east", -20.0, related="service:north")

    return Asked(server)


async def test_a_survey_takes_what_a_host_fills_whatever_its_function_takes(make_server: Make) -> None:
    schema = await surveyed(make_server).schema("survey_ponds")
    assert set(schema["properties"]) == EVERY
    assert "required" not in schema


async def test_a_survey_is_ranked_and_each_finding_cites_the_row_it_came_with(make_server: Make) -> None:
    asked = surveyed(make_server)
    told = await asked.call("survey_ponds", **HOUR)
    assert told["lines"] == ["east -20.0", "north 9.0", "south 0.0"]
    assert told["window"] == "2026-11-20T02:00:00Z/2026-11-20T03:00:00Z"
    assert told["baseline"] == "2026-11-19T23:00:00Z/2026-11-20T02:00:00Z"
    stored = {name: asked.stored(name) for name in (told["evidence"], told["meta"]["midwatch/records"]["id"])}
    observations = records(stored[told["meta"]["midwatch/records"]["id"]])
    assert [str(o.citations[0].quote) for o in observations][1] == "{'pond': 'north'}"
    assert [fault for o in observations for fault in broken_citations(o, stored)] == []


def records(stored: bytes) -> list[Observation]:
    return TypeAdapter(dict[str, list[Observation]]).validate_json(stored)["observations"]


async def test_a_survey_of_some_entities_leaves_the_others_out_and_says_of_what_there_is_nothing(
    make_server: Make,
) -> None:
    told = await surveyed(make_server).call("survey_ponds", entities=["north", "service:west"], **HOUR)
    assert told["lines"] == ["east -20.0", "north 9.0"]
    assert told["hint"] == "Nothing to tell of service:west."


async def test_a_window_that_cannot_be_read_is_refused_before_the_function_is_asked(make_server: Make) -> None:
    assert "cannot read the time 'lunch'" in await surveyed(make_server).error("survey_ponds", start="lunch")


@pytest.mark.parametrize("takes_window", [True, False])
async def test_discover_gives_a_fragment_and_says_whose_knowledge_it_is(make_server: Make, takes_window: bool) -> None:
    server = make_server()
    known: list[Entity | Relation] = [
        Entity(id="service:a", kind="service", name="a"),
        Relation(source="service:a", target="b", kind="calls"),
    ]

    def list_ponds() -> list[Entity | Relation]:
        """List."""
        return known

    def list_recent(window: Window) -> list[Entity | Relation]:
        """List."""
        return known if window.length.total_seconds() == 3600 else []

    server.discover("List")(list_recent if takes_window else list_ponds)
    asked = Asked(server)
    name = "list_recent" if takes_window else "list_ponds"
    told = await asked.call(name)
    assert told["lines"] == ["service:a", "service:a calls b"]
    assert set((await asked.schema(name))["properties"]) == ({"start", "end"} if takes_window else set())
    fragment = asked.stored(told["meta"]["midwatch/records"]["id"])
    assert fragment.count(b'"learnt_from":"midwatch-fish"') == 2


class Catch:
    """Rows that become fewer and others once they were asked for."""

    def __init__(self, rows: list[JsonValue]) -> None:
        self.rows = rows
        self.asked = 0

    def tool(self, make: Make, **settings: object) -> Asked:
        server = make(reply_chars=500, **settings)

        @server.drill_down("Search the catch")
        async def search_catch(pond: str, window: Window, limit: int = 5) -> list[JsonValue]:
            """Look."""
            self.asked += 1
            found, self.rows = self.rows, self.rows[: len(self.rows) // 2]
            return [row for row in found if window.length and pond and limit]

        return Asked(server)


async def walk(asked: Asked, **arguments: object) -> list[dict[str, Any]]:
    pages = [await asked.call("search_catch", **arguments)]
    while cursor := pages[-1].get("next_cursor"):
        pages.append(await asked.call("search_catch", **arguments, cursor=cursor))
    return pages


async def test_a_drill_down_pages_to_the_end_over_the_rows_that_were_there_when_it_began(make_server: Make) -> None:
    catch = Catch([f"fish {number}" for number in range(300)])
    pages = await walk(catch.tool(make_server), pond="north", **HOUR)
    assert [line for page in pages for line in page["lines"]] == [f"fish {number}" for number in range(300)]
    assert {(page["matched"], page["evidence"], page["window"]) for page in pages} == {
        (300, pages[0]["evidence"], "2026-11-20T02:00:00Z/2026-11-20T03:00:00Z")
    }
    assert len(pages) > 3
    assert [page["truncated"] for page in pages] == [True] * (len(pages) - 1) + [False]
    assert catch.asked == 1


async def test_an_object_reads_as_pairs_and_a_row_can_be_told_to_read_otherwise(make_server: Make) -> None:
    told = await Catch([{"fish": "pike", "kg": 2}, 7]).tool(make_server).call("search_catch", pond="north")
    assert told["lines"] == ["fish=pike kg=2", "7"]
    server = make_server()

    @server.drill_down("Read", line=lambda row: f"<{row}>")
    def read_catch() -> list[str]:
        """Read."""
        return ["pike"]

    assert (await Asked(server).call("read_catch"))["lines"] == ["<pike>"]


async def test_a_cursor_of_other_arguments_or_of_another_tool_is_refused(make_server: Make) -> None:
    asked = Catch(["fish" * 50] * 9).tool(make_server)
    cursor = (await asked.call("search_catch", pond="north"))["next_cursor"]
    assert "belongs to another query" in await asked.error("search_catch", pond="south", cursor=cursor)


async def test_more_rows_than_one_document_takes_are_refused_with_what_to_do(make_server: Make) -> None:
    catch = Catch(["f" * 1_000_000] * 9)
    assert "narrow the window, or add a filter" in await catch.tool(make_server).error("search_catch", pond="north")


async def test_evidence_that_had_to_make_room_ends_the_walk_with_what_to_do(make_server: Make) -> None:
    catch = Catch(["fish" * 50] * 9)
    asked = catch.tool(make_server)
    first = await asked.call("search_catch", pond="north")
    name = first["evidence"]
    assert evidence_id(asked.stored(name)) == name
    (asked.evidence.folder / name[:2] / f"{name}.json").unlink()
    said = await asked.error("search_catch", pond="north", cursor=first["next_cursor"])
    assert "repeat the query" in said


async def test_a_check_may_tell_one_thing_or_several(make_server: Make) -> None:
    server = make_server()

    @server.check("Check one")
    def check_one() -> Check:
        """One."""
        return Check("water", ok=True, detail="deep")

    @server.check("Check two")
    async def check_two() -> list[Check]:
        """Two."""
        return [Check("water", ok=True, detail="deep"), Check("boat", ok=False, detail="leaks", do="mend it")]

    asked = Asked(server)
    assert (await asked.call("check_one"))["lines"] == ["ok   water: deep"]
    assert (await asked.call("check_two"))["lines"] == ["ok   water: deep", "FAIL boat: leaks → mend it"]


async def test_a_refusal_of_the_function_reaches_the_caller(make_server: Make) -> None:
    server = make_server()

    @server.drill_down("Search")
    def search_fish() -> Iterator[JsonValue]:
        """Look."""
        yield "one"
        raise BadInput("give me a pond")

    assert "give me a pond" in await Asked(server).error("search_fish")


def test_an_argument_that_the_kit_gives_cannot_be_the_functions_own(make_server: Make) -> None:
    def search_fish(window: Window, start: str) -> list[JsonValue]:
        """Look."""
        return [window.start.isoformat(), start]

    with pytest.raises(TypeError, match="search_fish has start, which the kit gives it"):
        make_server().drill_down("Search")(search_fish)


async def test_short_tools_declare_what_the_long_ones_do(make_server: Make) -> None:
    server = make_server()

    @server.drill_down("Read a fish", key="fish")
    def read_fish(fish: str) -> list[JsonValue]:
        """Read."""
        return [fish]

    async with Client(server.build()) as client:
        [tool] = (await client.list_tools()).tools
    assert tool.meta == {"midwatch/role": "drill_down", "midwatch/signal": "logs", "midwatch/key": "fish"}
    assert isinstance(tool.annotations, types.ToolAnnotations)
    assert tool.annotations.read_only_hint
