"""Coverage-guided fuzzing; `make fuzz` runs it. What was run and found stands in `docs/reliability.md`."""
