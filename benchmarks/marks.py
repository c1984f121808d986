"""What should be reached, as data; the report says of each whether it was, and never anything else."""

from __future__ import annotations

from benchmarks.figures import Against, Mark

_SMALL = ("page-html", "page-json", "unchanged", "metadata", "wheel")

MARKS: tuple[Mark, ...] = (
    *(Mark(row, Against.NGINX, at_least=0.9) for row in _SMALL),
    *(Mark(row, Against.BEST_PEER, at_least=40) for row in ("page-html", "page-json", "wheel")),
    Mark("callers", Against.NGINX, at_least=0.9),
    Mark("wide-html", Against.NGINX, at_least=0.75),
    Mark("wide-gzip", Against.NGINX, at_least=0.75),
    Mark("page-2000", Against.NGINX, at_least=0.9),
    Mark("page-20000", Against.NGINX, at_least=0.9),
    Mark("list-20000", Against.NGINX, at_least=0.8),
    Mark("list-json-20000", Against.NGINX, at_least=0.8),
    Mark("large-1", Against.NGINX, at_least=0.95),
    Mark("large-4", Against.NGINX, at_least=0.95),
    Mark("uv-install", Against.NGINX, at_most=1.1),
    Mark("uv-compile", Against.NGINX, at_most=1.1),
    Mark("behind-page", Against.NOTHING, at_least=0.8),
    Mark("behind-compile-cold", Against.NOTHING, at_most=1.5),
    Mark("behind-compile-warm", Against.NOTHING, at_most=1.0),
    Mark("behind-crowd", Against.NOTHING, at_most=1.0),
    Mark("behind-large", Against.NOTHING, at_least=0.7),
    Mark("uploads-1", Against.NOTHING, at_least=800),
    Mark("uploads-8", Against.NOTHING, at_least=800),
    Mark("uploads-1-20000", Against.NOTHING, at_least=800),
    Mark("uploads-8-20000", Against.NOTHING, at_least=800),
    Mark("shown", Against.NOTHING, at_most=5),
    Mark("shown-wide", Against.NOTHING, at_most=5),
    Mark("shown-20000", Against.NOTHING, at_most=5),
    Mark("start-20000", Against.NOTHING, at_most=0.4),
    Mark("memory-20000", Against.NOTHING, at_most=70),
    Mark("site-20000", Against.NOTHING, at_most=60),
    Mark("site-memory-20000", Against.NOTHING, at_most=300),
    Mark("site-again-20000", Against.NOTHING, at_most=3),
)
