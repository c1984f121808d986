"""
How fast is it? This server, nginx with the same bytes, and other package indexes, measured in one interleaved run.

`make bench` runs everything and writes the table of `docs/performance.md`; `make bench QUICK=1` is a look in three minutes;
`python -m benchmarks --url URL` measures any running index. Method and reading of the table: `docs/performance.md`.
"""
