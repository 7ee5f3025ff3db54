"""Skills: what a model reads of one, level by level, and that nothing outside of its folder can be read."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from midwatch.claude.conversation import Told
from midwatch.claude.reasoner import reading
from midwatch.cli import app
from midwatch.errors import BadSteering
from midwatch.steering.files import Steering, load_steering

TEXT = """Look at the cache first: see [the cache](references/cache.md) and `scripts/flush.sh`.
Never read ../secret.md, /etc/passwd, references/link.md or references/away/secret.md; ./notes.md is fine.
"""


@pytest.fixture
def skill(tmp_path: Path) -> Path:
    """Return the folder of a skill with files that it names and files that it does not, or that lead away."""
    folder = tmp_path / "steering" / "forge"
    (folder / "references").mkdir(parents=True)
    (folder / "scripts").mkdir()
    (folder / "SKILL.md").write_text(f"---\nname: forge\ndescription: of forge\n---\n{TEXT}")
    (folder / "references" / "cache.md").write_text("It keeps parts for an hour.")
    (folder / "references" / "unnamed.md").write_text("Nobody names it.")
    (folder / "scripts" / "flush.sh").write_text("redis-cli flushall")
    (folder / "notes.md").write_text("x" * 7000)
    (tmp_path / "steering" / "secret.md").write_text("---\nname: other\ndescription: d\n---\nSECRET")
    (folder / "references" / "link.md").symlink_to(tmp_path / "steering" / "secret.md")
    (folder / "references" / "away").symlink_to(tmp_path / "steering")
    return folder


def loaded(skill: Path) -> Steering:
    return next(file for file in load_steering(skill.parent) if file.name == "forge")


async def read(of: Steering, **asked: str) -> Told:
    return await reading([of]).do({"name": "forge", **asked})


async def test_a_skill_tells_its_description_then_its_text_then_each_file_that_the_text_names(skill: Path) -> None:
    forge = loaded(skill)
    assert forge.beside == ("notes.md", "references/cache.md", "scripts/flush.sh")
    text = (await read(forge)).text
    assert TEXT.strip() in text
    assert "to be read with file: notes.md, references/cache.md, scripts/flush.sh" in text
    assert "an hour" not in text
    assert "It keeps parts for an hour." in (await read(forge, file="references/cache.md")).text
    assert (await read(forge, file="./scripts/flush.sh")).text.endswith("redis-cli flushall")
    assert (await read(forge, file="notes.md")).text.endswith("(1000 characters more)")


@pytest.mark.parametrize(
    "name",
    [
        "../secret.md",
        "/etc/passwd",
        "references/link.md",
        "references/away/secret.md",
        "references/../../secret.md",
        "references/unnamed.md",
        "references",
        "SKILL.md",
        "notes.md\0",
    ],
)
async def test_no_file_is_read_that_is_not_the_skills_own_and_named(skill: Path, name: str) -> None:
    told = await read(loaded(skill), file=name)
    assert told.failed
    assert "SECRET" not in told.text
    assert "has no file" in told.text


async def test_a_file_that_has_become_a_link_out_of_the_folder_since_is_not_read(skill: Path) -> None:
    forge = loaded(skill)
    (skill / "notes.md").unlink()
    (skill / "notes.md").symlink_to(skill.parent / "secret.md")
    told = await read(forge, file="notes.md")
    assert (told.failed, told.text) == (True, "notes.md is no file of the skill")


async def test_what_is_no_text_is_told_to_be_none(skill: Path) -> None:
    (skill / "notes.md").write_bytes(b"\xff\xfe\x00")
    assert (await read(loaded(skill), file="notes.md")).text == "notes.md is no text"


@pytest.mark.parametrize("field", ["folder: /etc", "beside: [/etc/passwd]", "text: SECRET"])
def test_front_matter_cannot_say_where_the_files_are(skill: Path, field: str) -> None:
    (skill / "SKILL.md").write_text(f"---\nname: forge\ndescription: d\n{field}\n---\nText.")
    with pytest.raises(BadSteering, match=f"{field.partition(':')[0]} is no field"):
        loaded(skill)


def test_lint_says_what_a_skill_names_and_does_not_have(skill: Path) -> None:
    links = "[gone](references/gone.md) [away](references/link.md) [web](https://example.com/a.md) [here](references/)"
    (skill / "SKILL.md").write_text(f"---\nname: smithy\ndescription: d\n---\n{links}")
    done = CliRunner().invoke(app, ["steering", "lint", str(skill.parent)])
    line = next(line for line in done.stdout.splitlines() if "SKILL.md" in line)
    assert line.endswith(
        "a skill has the name of its folder: forge; it names references/gone.md: there is no such file in its folder; "
        "it names references/link.md: there is no such file in its folder"
    )
    assert done.exit_code == 0
