"""Documents that are written from the code say what the code says."""

from __future__ import annotations

import re
from pathlib import Path

import documents
import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", sorted(documents.PAGES))
def test_the_page_is_as_the_code_is(name: str) -> None:
    assert (documents.DOCS / name).read_text() == documents.PAGES[name](), (
        "run: .venv/bin/python -m documents"
    )


def test_every_setting_has_a_meaning() -> None:
    bare = re.findall(r"`(EXCONN_\w+)` \|[^|]*\|\s*\|", documents.settings_page())

    assert bare == []


def test_every_link_between_documents_leads_somewhere() -> None:
    pages = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("deploy/**/*.md")]
    links = [
        (page, link)
        for page in pages
        for link in re.findall(r"\]\((?!https?:|#)([^)#\s]+)", page.read_text())
    ]

    assert [f"{page.name}: {link}" for page, link in links if not (page.parent / link).exists()] == []


def test_codes_that_the_code_uses_are_known() -> None:
    sources = [*ROOT.glob("services/**/*.py"), *ROOT.glob("libs/**/*.py")]
    used = {code for source in sources for code in re.findall(r"EXC(?:-[A-Z]+)+", source.read_text())}

    assert used - documents.CODES.keys() <= {"EXC-SIGN-IN"}
