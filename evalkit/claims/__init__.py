"""A published claim, the evidence against which it is held, and the verdict with its reason."""
