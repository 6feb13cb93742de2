"""One source format a file; each file format exposes ``reader`` and is found by being here."""
