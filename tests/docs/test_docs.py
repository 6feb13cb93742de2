"""The documentation is true: codes, keys, fields, links, commands and examples are checked against the code."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import msgspec
import pytest

from evalkit.cli import cli
from evalkit.config import Policy, Site, parse_toml
from evalkit.core.discover import estimators
from evalkit.core.estimator import estimate
from evalkit.core.study import Study, check_study
from evalkit.core.taxonomy import CRIME_TYPES
from evalkit.errors import all_errors
from evalkit.federation.exchange import _MEANINGS
from tests.panels import city, study

REPOSITORY = Path(__file__).parents[2]
DOCS = REPOSITORY / "docs"
PAGES = sorted([*DOCS.rglob("*.md"), REPOSITORY / "README.md"])


def text(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("error", all_errors(), ids=lambda error: error.code)
def test_every_error_code_has_its_section(error: type) -> None:
    page = text("reference/errors.md")
    section = re.search(rf"^## {error.code}$(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL)
    assert section, f"no section {error.code}"
    if error.code != "EVALKIT":
        assert f"Exit code {error.exit_code}" in section.group(1)


@pytest.mark.parametrize("code", sorted(_MEANINGS))
def test_every_code_a_city_can_send_is_explained(code: str) -> None:
    assert code in text("reference/errors.md")


def test_the_meaning_of_a_separation_names_both_causes() -> None:
    """It is all that a server sees of a city's refusal."""
    assert {"incident", "covariates"} <= set(re.findall(r"\w+", _MEANINGS["ESTIMATE-SEPARATION"]))


@pytest.mark.parametrize("key", Policy.__struct_fields__)
def test_every_policy_key_is_explained(key: str) -> None:
    assert f"`{key}`" in text("reference/disclosure.md")


def keys_of(kind: type) -> set[str]:
    """All keys of a structure and of those inside it."""
    found: set[str] = set()
    for field in msgspec.inspect.type_info(kind).fields:
        found.add(field.encode_name)
        inner = [field.type, *getattr(field.type, "types", ())]
        for one in inner:
            if isinstance(one, msgspec.inspect.StructType):
                found |= keys_of(one.cls)
    return found


@pytest.mark.parametrize(
    ("kind", "page", "elsewhere"),
    [
        (Site, "how-to/add-a-city.md", set(Policy.__struct_fields__)),
        (Study, "how-to/write-a-study.md", set()),
    ],
)
def test_every_key_of_a_file_is_on_its_page(kind: type, page: str, elsewhere: set[str]) -> None:
    words = set(re.findall(r"[a-z_]+", text(page)))
    assert keys_of(kind) - elsewhere - words == set()


def test_every_crime_type_is_named() -> None:
    assert set(CRIME_TYPES) <= set(re.findall(r"[a-z_]+", text("how-to/write-a-study.md")))


@pytest.mark.parametrize("name", sorted(estimators()))
def test_every_estimator_has_a_privacy_page_that_names_all_that_leaves(name: str) -> None:
    one, panel = estimators()[name], city("alta", 1)
    fields: set[str] = set()

    def ask(question):
        statistics = one.summarise(panel, question)
        fields.update(*statistics.parts.values())
        return [statistics]

    estimate(one, study(estimator=name), ask)
    page = text(f"privacy/{name}.md")
    assert set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)) == fields
    assert f"Release class `{one.release_class}`" in page


def slug(heading: str) -> str:
    return re.sub(r"[^a-z0-9 -]", "", heading.lower()).strip().replace(" ", "-")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_links_resolve(page: Path) -> None:
    for target in re.findall(r"\]\(([^)]+)\)", page.read_text(encoding="utf-8")):
        if target.startswith("http"):
            continue
        file, _, anchor = target.partition("#")
        place = (page.parent / file).resolve() if file else page
        assert place.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.*)$", place.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in {slug(heading) for heading in headings}, target


def test_every_page_is_in_the_index() -> None:
    index = text("README.md")
    for page in DOCS.rglob("*.md"):
        if page.name != "README.md":
            assert f"({page.relative_to(DOCS).as_posix()})" in index, page.name


def commands() -> list[tuple[str, list[str]]]:
    found = []
    for page in PAGES:
        for line in re.findall(
            r"^\s*\$ (evalkit .*)$", page.read_text(encoding="utf-8"), re.MULTILINE
        ):
            words = shlex.split(line.split("  #")[0].split(" # ")[0])
            found.append((page.name, words[1:]))
    return found


@pytest.mark.parametrize(("page", "words"), commands())
def test_commands_shown_exist_with_their_options(page: str, words: list[str]) -> None:
    command: click.Command = cli
    context = click.Context(cli)
    while isinstance(command, click.Group) and words:
        following = command.get_command(context, words[0])
        assert following is not None, f"{page}: {words[0]}"
        command, words = following, words[1:]
    known = {option for parameter in command.params for option in parameter.opts}
    assert {word for word in words if word.startswith("--")} <= known, page


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_example_files_parse(page: Path) -> None:
    for block in re.findall(r"```toml\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
        kind = {"# site": Site, "# study": Study}[block.splitlines()[0]]
        parsed = parse_toml(block, kind, where=page.name)
        if isinstance(parsed, Study):
            check_study(parsed)


def test_python_shown_in_the_readme_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.small_world import small_world

    small_world(tmp_path / "demo-data", cities=1)
    monkeypatch.chdir(tmp_path)
    readme = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    assert blocks
    for block in blocks:
        exec(compile(block, "README.md", "exec"), {})
