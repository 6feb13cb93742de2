"""What comes from others is shown to people as text, and moves no cursor."""

from __future__ import annotations

import msgspec
import pytest

from evalkit.cli.output import report_error, say
from evalkit.core.study import check_study
from evalkit.errors import ConfigError
from tests.panels import study

SPOOFS = (
    "One effect a city\x1b[1A\x1b[2K",  # goes up a line and wipes it out
    "One effect a city\n  hash       0000",
    "One effect a city\rTwo",
    "One effect\u202eytic a",  # what follows is written from right to left
    "One effect\u2028a city",
    "One effect\u009b2K",  # a control sequence in one character
)


@pytest.mark.parametrize("title", SPOOFS)
def test_a_title_is_one_line_of_text(title: str) -> None:
    with pytest.raises(ConfigError, match="title"):
        check_study(msgspec.structs.replace(study(), title=title))


@pytest.mark.parametrize(
    "title",
    [
        "Cámaras en São Paulo: 20\u00a0%",
        "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
        "दूर\u200dदर्शी",
        "",
    ],
)
def test_titles_in_any_script(title: str) -> None:
    assert check_study(msgspec.structs.replace(study(), title=title)).title == title


@pytest.mark.parametrize("text", SPOOFS)
def test_what_is_printed_moves_no_cursor(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    say(text)
    report_error(ConfigError(text, where=text), as_json=False)
    found = capsys.readouterr()
    for printed in (found.out, found.err):
        assert not set(printed) & set("\x1b\r\u202e\u2028\u009b")
    assert "\\u001b" in found.out or "\x1b" not in text
