"""Files of others that the console ships: pinned, with their licenses, and asked for from nowhere else."""

from __future__ import annotations

import hashlib
import re

from resegment.http.console.rendering import FOLDER, STATIC

VENDORED = {
    # htmx.org 2.0.8 from npm, dist/htmx.min.js and LICENSE
    "htmx.min.js": "22283ef68cb7545914f0a88a1bdedc7256a703d1d580c1d255217d0a50d31313",
    "htmx.LICENSE.txt": "d3d2456f76414f2456104660ebd65aff1c04cd7966b942bdabd63f3cdb316a38",
}
OWN = {"console.css", "operations.css", "console.js", "icon.svg", "outcomes.css"}


def test_every_file_is_ours_or_the_pinned_one_of_its_package() -> None:
    assert {one.name for one in STATIC.iterdir()} == OWN | VENDORED.keys()
    for name, digest in VENDORED.items():
        assert hashlib.sha256((STATIC / name).read_bytes()).hexdigest() == digest, name


def test_pages_load_nothing_from_elsewhere_and_have_no_script_or_style_of_their_own() -> None:
    for template in (FOLDER / "templates").iterdir():
        text = template.read_text("utf-8")
        assert not re.search(r"(?:src|href|action)=[\"'](?:https?:)?//", text), template.name
        assert not re.search(r"<style|\sstyle=|\son[a-z]+=|javascript:|hx-on|<script(?![^>]*\ssrc=)", text), (
            template.name
        )
        assert "|safe" not in text.replace(" ", ""), template.name
