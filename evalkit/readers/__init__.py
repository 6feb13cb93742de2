"""Sources in, typed rows out, and an account of every row that is left out.

Where things are
    sources/        one file format a file; a new format is a new file, found by being there. And
                    databases.
    files, parts    what a source is made of, and one part of it as text.
    dates, coordinates, places, crime_types, duplicates
                    one rule each, used by both kinds of source.
    incidents, cameras
                    what a source's columns mean, for each kind of source.
    areas           the city's polygons, from geometry files.
    records         one part, understood; it depends on no other part.
    cache           parts that were understood before.
    result          the outcome of all parts together, and the file of rejected rows.
"""

from __future__ import annotations

from evalkit.readers.areas import read_areas
from evalkit.readers.cache import RowCache
from evalkit.readers.cameras import read_cameras
from evalkit.readers.incidents import read_incidents
from evalkit.readers.result import Read, write_rejected

__all__ = ["Read", "RowCache", "read_areas", "read_cameras", "read_incidents", "write_rejected"]
