"""Storage: the interface of a backend, and the portable class around it."""
