"""One source format a file; each exposes ``reader`` and is found by being here."""
