"""The index interface and every index that implements it."""
