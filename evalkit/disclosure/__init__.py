"""What may leave a city: the rules, the gate that applies them, and the ledger that remembers."""
