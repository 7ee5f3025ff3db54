"""The page about intake: its templates become alerts, its settings are there, and it names every source."""

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from tests.intake.bodies import MILLISECONDS, NOW

from midwatch.intake import SOURCES
from midwatch.settings.intake import IntakeSettings, SnsSettings, SourceSettings

PAGE = (Path(__file__).parents[2] / "docs" / "intake.md").read_text(encoding="utf-8")
VALUES = {
    "$DATE": str(MILLISECONDS),
    "$TAGS": "service:shop,env:prod",
    "$ALERT_TRANSITION": "Triggered",
    "{State}": "OPEN",
    "{ProblemDetailsJSONv2}": json.dumps({"startTime": MILLISECONDS}),
    "{ImpactedEntities}": json.dumps([{"type": "SERVICE", "name": "shop", "entity": "SERVICE-1"}]),
    "{{ createdAt }}": str(MILLISECONDS),
    "{{ updatedAt }}": str(MILLISECONDS),
    "{{ json state }}": '"ACTIVATED"',
    "{{ json triggerEvent }}": '"STATE_CHANGE"',
    "{{ json entitiesData.names }}": '["shop"]',
    "{{ json accumulations.tag }}": '{"team": ["web"]}',
    "{{ json accumulations.runbookUrl }}": '["https://wiki.example.com/shop"]',
    "{{ALERT_TYPE}}": "ALERT_FAILURE",
    "{{STARTED_AT}}": "2026-11-20T02:48:00.000Z",
}


def section(heading: str) -> str:
    return PAGE.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]


def filled(template: str) -> Any:
    """Return a vendor's template as the vendor would send it: each variable is a value, each block is taken."""
    text = re.sub(r"\{\{#each.*\{\{/each\}\}", '"service:shop"', template)
    text = re.sub(r"\{\{[#/][^}]*\}\}", "", text)
    for variable, value in VALUES.items():
        text = text.replace(variable, value)
    text = re.sub(r"\{\{ json [^}]*\}\}", '"a value"', text)
    return json.loads(re.sub(r"\$[A-Z_]+|(?<=\")\{\{?\w+\}?\}", "a value", text))


@pytest.mark.parametrize(
    ("heading", "source"),
    [
        ("Datadog", "datadog"),
        ("Dynatrace", "dynatrace"),
        ("New Relic", "newrelic"),
        ("Checks from outside", "synthetic"),
        ("The plain form", "generic"),
    ],
)
def test_each_template_of_the_page_becomes_an_alert(heading: str, source: str) -> None:
    (template,) = re.findall(r"```json\n(.*?)```", section(heading), re.DOTALL)
    (alert,) = SOURCES[source].alerts(filled(template), SourceSettings(), {}, NOW)
    assert (alert.action, alert.service) == ("created", "gateway" if source == "generic" else "shop")


def test_the_settings_of_the_page_are_settings() -> None:
    (example,) = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    told = tomllib.loads(example)["intake"]
    for name, settings in told.items():
        assert name in IntakeSettings.model_fields
        assert settings.keys() <= SnsSettings.model_fields.keys()


def test_every_source_and_every_setting_is_on_the_page() -> None:
    table = PAGE.split("\n\n", 3)[2]
    assert [name for name in SOURCES if f"| `{name}` |" not in table] == []
    shared = [name for name in IntakeSettings.model_fields if name.replace("_", "-") not in SOURCES]
    assert [name for name in (*SnsSettings.model_fields, *shared) if f"`{name}`" not in PAGE] == []
