"""The city's and the study's file, as the commands of `evalkit site` take them."""

from __future__ import annotations

from pathlib import Path

import click

__all__ = ["site_option", "study_option"]

site_option = click.option(
    "--site", "path", type=click.Path(path_type=Path), required=True, help="The city's site file."
)
study_option = click.option(
    "--study",
    "study_path",
    type=click.Path(path_type=Path),
    required=True,
    help="The study's file.",
)
