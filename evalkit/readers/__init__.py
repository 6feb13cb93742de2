"""Sources in, typed rows out, and an account of every row that is left out.

Where things are
    sources/        one file format a file; a new format is a new file, found by being there.
    incidents, cameras
                    what a source's columns mean, for each kind of source.
    dates, coordinates, places, crime_types, duplicates
                    one rule each, used by both.
    files           which files a source is made of.
    result          the outcome, and the file of rejected rows.
"""

from __future__ import annotations

from evalkit.readers.cameras import read_cameras
from evalkit.readers.incidents import read_incidents
from evalkit.readers.result import Read, write_rejected

__all__ = ["Read", "read_cameras", "read_incidents", "write_rejected"]
