"""What the cities' effects say together: how much hangs on one city, on their order, and on small ones."""
