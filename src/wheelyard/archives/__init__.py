"""Wheels and sdists from strangers: core metadata and faults, read within limits, nothing ever unpacked to disk."""
