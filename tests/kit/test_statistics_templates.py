"""Masks and templates: what is variable, what is kept apart, what is new; and that no line is lost."""

import random
from collections import Counter
from typing import Literal

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from midwatch_kit.statistics import LONGEST_LINE, MASKS, LogGroup, Novelty, TemplateSurvey, mask, survey_templates
from midwatch_kit.statistics.masks import mask_all

LINES = st.lists(st.sampled_from(list("ab1 .:/\"'<>=(@-x\x00\t\né{}")), max_size=40).map("".join)


@pytest.mark.parametrize(
    ("line", "template"),
    [
        ("2026-11-20T02:48:11.123Z done in 13.5ms", "<time> done in <num>"),
        ("Nov  3 02:48:11 host kernel: oom", "<time> host kernel: oom"),
        ("job 0b6cf2c4-1d5f-4c35-8f1e-0a4f9a6e2d11 failed", "job <uuid> failed"),
        ("login of ada.byron+x@example.com from 10.1.2.3:5432", "login of <email> from <ip>"),
        ("peer fe80:0:0:0:1:2:3:4 gone", "peer <ip> gone"),
        ("cannot open /var/lib/forge/cache-7.db", "cannot open <path>"),
        ("at 0x7ffe12 commit 9f8e7d6c5b4a", "at <hex> commit <hex>"),
        ("fetch https://bots.example/v1/17?x=2 timed out", "fetch <url> timed out"),
        ('key="forge 17 blue" missing', "key=<str> missing"),
        ("bot-17 uses 3 of 5 slots, 12 MiB", "bot-<num> uses <num> of <num> slots, <num> MiB"),
    ],
)
def test_variable_parts_become_placeholders(line: str, template: str) -> None:
    assert mask(line) == template


@pytest.mark.parametrize(
    "line",
    [
        "unknown field 'finish'",
        "KeyError: 'customer_id'",
        "GET /v2/bots refused",
        '{"level": "error", "msg": "no route"}',
    ],
)
def test_names_that_tell_incidents_apart_are_kept(line: str) -> None:
    assert mask(line) == line


def test_status_codes_keep_their_class() -> None:
    assert mask('"GET /bots/17 HTTP/1.1" 503 91') == '"GET /bots/<num> HTTP/<num>" 5xx <num>'
    assert mask("answered status=404 in 3 ms") == "answered status=4xx in <num> ms"


def test_binary_and_giant_lines_are_cut_and_bear_no_control_characters() -> None:
    masked = mask("\x00\x01boom\x1b[31m\x02" + "x" * 10_000_000)
    assert masked.startswith("boom xxx")
    assert len(masked) <= LONGEST_LINE


@given(st.lists(LINES, max_size=6))
def test_masking_many_is_masking_each(lines: list[str]) -> None:
    assert mask_all(lines) == [mask(line) for line in lines]


def test_duckdb_masks_as_python_does() -> None:
    rng = random.Random(1)
    pieces = [
        "17",
        "0xff",
        " ",
        "GET /a/1 ",
        "503",
        "'a b'",
        '"x 1"',
        "status=",
        "é",
        "\n",
        "\t",
        "a@b.io",
        "/tmp/x",
        "1.2.3.4",
    ]
    lines = ["".join(rng.choices(pieces, k=8)) for _ in range(2000)]
    expression = f"left(line, {LONGEST_LINE})"
    for pattern, replacement in MASKS:
        quoted = pattern.replace("'", "''")
        expression = f"regexp_replace({expression}, '{quoted}', '{replacement}', 'g')"
    with duckdb.connect() as connection:
        rows = connection.execute(f"SELECT {expression} FROM (SELECT unnest(?) AS line)", [lines]).fetchall()
    assert [row[0].strip(" ") for row in rows] == mask_all(lines)


def groups(period: Literal["baseline", "window"], lines: list[str], series: str = "") -> list[LogGroup]:
    return [LogGroup(line, 1, first, period, series) for first, line in enumerate(lines)]


def survey(baseline: list[str], window: list[str]) -> TemplateSurvey:
    both = groups("baseline", baseline) + groups("window", window)
    return survey_templates(both, baseline_seconds=180, window_seconds=60)


def test_a_template_that_was_never_there_leads_with_its_first_line() -> None:
    usual = [f"handled request {i} in {i % 9} ms" for i in range(900)]
    found = survey(usual, [*usual[:300], "unknown field 'finish' in order 7", "unknown field 'finish' in order 8"])
    first = found.templates[0]
    assert (first.template, first.novelty) == ("unknown field 'finish' in order <num>", Novelty.NEW)
    assert (first.baseline, first.window, first.exemplar) == (0, 2, "unknown field 'finish' in order 7")
    assert [t.novelty for t in found.templates[1:]] == [Novelty.STEADY]


def test_more_fewer_and_vanished_weigh_the_spans() -> None:
    found = survey(
        ["retry one"] * 90 + ["cache hit"] * 300 + ["heartbeat ok"] * 30 + ["rare thing"] * 3,
        ["retry one"] * 300 + ["cache hit"] * 20,
    )
    novelties = {t.template: t.novelty for t in found.templates}
    assert novelties == {
        "retry one": Novelty.MORE,
        "cache hit": Novelty.FEWER,
        "heartbeat ok": Novelty.VANISHED,
        "rare thing": Novelty.STEADY,
    }


def test_words_that_vary_much_become_a_wildcard_and_words_that_vary_little_do_not() -> None:
    names = [f"name{chr(97 + i)}" for i in range(12)]
    lines = [f"connection to {peer} failed for user {name}" for peer in ("redis", "postgres") for name in names]
    templates = {t.template for t in survey([], lines).templates}
    assert templates == {f"connection to {peer} failed for user <*>" for peer in ("redis", "postgres")}


def test_series_are_counted_apart() -> None:
    both = groups("baseline", ["slow"] * 3, "forge") + groups("window", ["slow"] * 2, "bot")
    (found,) = survey_templates(both, baseline_seconds=60, window_seconds=60).templates
    assert found.by_series == {"bot": (0, 2), "forge": (3, 0)}


def test_groups_counted_by_the_backend_weigh_what_they_count() -> None:
    raw = [LogGroup(f"took {i} ms", 1, 100 + i, "window") for i in range(50)]
    counted = [LogGroup("took <num> ms", 50, 100, "window", exemplar="took 0 ms")]
    surveys = [survey_templates(given, baseline_seconds=60, window_seconds=60) for given in (raw, counted)]
    assert surveys[0] == surveys[1]
    assert surveys[0].templates[0].window == 50


def test_kinds_beyond_the_bound_are_counted_and_said() -> None:
    words = ["alpha", "beta", "gamma", "delta"]
    lines = [f"{a} {b} {c}" for a in words for b in words for c in words]
    found = survey_templates(groups("window", lines), baseline_seconds=60, window_seconds=60, most_distinct=10)
    assert found.overflowing_lines == 54
    assert found.window_lines == 64


@given(st.lists(st.tuples(LINES, st.booleans()), max_size=40), st.randoms())
def test_no_line_is_lost_and_order_does_not_matter(lines: list[tuple[str, bool]], order: random.Random) -> None:
    both = [LogGroup(line, 1, 7, "window" if new else "baseline") for line, new in lines]
    found = survey_templates(both, baseline_seconds=60, window_seconds=60)
    assert sum(t.window for t in found.templates) == found.window_lines == sum(new for _, new in lines)
    assert sum(t.baseline for t in found.templates) == sum(not new for _, new in lines)
    order.shuffle(both)
    assert survey_templates(both, baseline_seconds=60, window_seconds=60) == found


def test_the_same_lines_make_the_same_templates_in_any_order() -> None:
    rng = random.Random(5)
    verbs, peers = ["opened", "closed", "lost"], [f"peer-{chr(97 + i)}{chr(98 + i)}" for i in range(9)]
    lines = [f"{rng.choice(verbs)} channel to {rng.choice(peers)} after {i} s" for i in range(300)]
    shuffled = rng.sample(lines, len(lines))
    counted = [Counter({t.template: t.window for t in survey([], order).templates}) for order in (lines, shuffled)]
    assert counted[0] == counted[1]
