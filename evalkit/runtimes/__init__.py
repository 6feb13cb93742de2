"""Ways of asking: all panels in one place, cities in this process, or a finished run's releases."""
