"""Fixtures for tests that use the program as people do: a started server, real clients, real projects."""
