"""The command line: a room for the city analyst, one for the researcher, one for the reviewer.

Only the command that is called is imported, so that ``evalkit --help`` starts at once.
"""

from __future__ import annotations

import importlib
import os
import sys
from typing import Final

import click

from evalkit import __version__
from evalkit.cli.output import report_error, report_parts
from evalkit.errors import ConfigError, EvalkitError

__all__ = ["cli", "main"]

ROOMS: Final = {
    "demo": "Everybody's first minute: six simulated cities, from raw files to a tested claim.",
    "site": "City analysts: describe, check and build a city's data; see what would leave.",
    "study": "Researchers: write a study, check it, run it over cities.",
    "review": "Reviewers: recompute a run from its releases.",
    "simulate": "Write simulated cities with a known truth.",
}

INTERNAL_ERROR: Final = 70
"""sysexits.h EX_SOFTWARE."""

QUIET: Final = {
    "FLWR_TELEMETRY_ENABLED": "0",
    "FLWR_DISABLE_UPDATE_CHECK": "1",
    "FLWR_DISABLE_RUNTIME_DEPENDENCY_INSTALLATION": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "RAY_USAGE_STATS_ENABLED": "0",
}
"""No library we use may call home: no command of evalkit looks up a network name."""


class LazyRooms(click.Group):
    """A group whose subcommands are imported when they are called."""

    def list_commands(self, _: click.Context) -> list[str]:
        """Names in the order of `ROOMS`."""
        return list(ROOMS)

    def get_command(self, _: click.Context, cmd_name: str) -> click.Command | None:
        """Import the module of that name and take its ``command``."""
        if cmd_name not in ROOMS:
            return None
        module = importlib.import_module(f"evalkit.cli.{cmd_name}")
        command: click.Command = module.command
        return command

    def format_commands(self, _: click.Context, formatter: click.HelpFormatter) -> None:
        """List the rooms without importing them."""
        with formatter.section("Rooms"):
            formatter.write_dl(list(ROOMS.items()))


@click.group(cls=LazyRooms, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="evalkit")
def cli() -> None:
    """Measure what public cameras do to crime, without any city's records leaving it."""


def main(arguments: list[str] | None = None) -> None:
    """Run a command; every way it can end has its exit code (``docs/reference/errors.md``)."""
    os.environ.update(QUIET)
    given = sys.argv[1:] if arguments is None else arguments
    try:
        code = cli.main(args=given, prog_name="evalkit", standalone_mode=False)
        sys.exit(code if isinstance(code, int) else 0)
    except EvalkitError as error:
        report_error(error, as_json="--json" in given)
        sys.exit(error.exit_code)
    except click.exceptions.Abort:
        click.echo("stopped", err=True)
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except BrokenPipeError:
        sys.exit(141)
    except Exception as error:  # the last fence: no traceback reaches a user
        if os.environ.get("EVALKIT_DEBUG"):
            raise
        if isinstance(error, OSError) and error.filename is not None:
            refused = _refused(error)
            report_error(refused, as_json="--json" in given)
            sys.exit(refused.exit_code)
        report_parts(
            "INTERNAL",
            {
                "what": f"something inside evalkit broke ({type(error).__name__})",
                "where": None,
                "limit": None,
                "way_out": "run again with EVALKIT_DEBUG=1 to see where, and report it",
            },
            as_json="--json" in given,
        )
        sys.exit(INTERNAL_ERROR)


def _refused(error: OSError) -> ConfigError:
    """A path that cannot be used, or a full disk, is not evalkit's fault; say which path it is."""
    return ConfigError(
        f"a file or folder cannot be used ({error.strerror})",
        where=os.fsdecode(error.filename) if not isinstance(error.filename, int) else None,
        way_out="check the path, its permissions, and the space that is left",
    )
