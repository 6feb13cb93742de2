"""Credibility checks, one file each, found by being there (`evalkit.core.discover.checks`)."""
