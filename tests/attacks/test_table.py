"""The committed table is whole, and the page shows it."""

from __future__ import annotations

from tests.attacks.table import BEGIN, FILE, PAGE, ROWS, committed, markdown, on_page


def test_every_row_was_measured() -> None:
    assert FILE.is_file()
    assert list(committed()) == list(ROWS)


def test_the_page_shows_what_was_measured() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert text.count(BEGIN) == 1
    assert on_page(text) == markdown(committed())
