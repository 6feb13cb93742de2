"""The three kinds of unit, one a file. Each assigns every incident to a unit or to none."""
