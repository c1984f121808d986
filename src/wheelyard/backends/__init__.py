"""
Stores of every kind, each importable alone.

Rule 1: backends never import each other, and nobody imports them; they are loaded by name through `storage.plugins`.
"""
