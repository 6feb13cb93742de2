"""How questions reach cities and releases come back, over Flower's Message API."""
