"""Arrays in, frozen results out: nothing here knows what a city is."""
