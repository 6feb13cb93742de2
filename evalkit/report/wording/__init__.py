"""Words of the pages that are not a run's report, each in its own table."""
