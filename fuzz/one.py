"""
Fuzz one target until its time is up or a law breaks: `python -m fuzz.one NAME SECONDS`.

Runs in a process of its own: libFuzzer never returns, and what it instruments must not have been imported before.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import atheris  # type: ignore[import-not-found, import-untyped, unused-ignore]

CACHE = Path(".cache/fuzz")
"""Where the corpus and what was found are kept between runs."""

_INSTRUMENTED = ("wheelyard", "multipart", "uvicorn.protocols")
_INPUT_SECONDS = 20  # libFuzzer's own bound; the laws have a closer one
_MEMORY_MB = 1536


def main(name: str, seconds: int) -> None:
    """Fuzz one target; the exit code is libFuzzer's."""
    with atheris.instrument_imports(include=list(_INSTRUMENTED)):
        from fuzz.laws import bounded  # noqa: PLC0415  imported under instrumentation
        from fuzz.targets import target  # noqa: PLC0415

        fuzzed = target(name)
    corpus, found = CACHE / "corpus" / name, CACHE / "found" / name
    for folder in (corpus, found):
        folder.mkdir(parents=True, exist_ok=True)
    seeds = fuzzed.seeds()
    for seed_name, content in seeds.items():
        (corpus / f"seed-{seed_name}").write_bytes(content)
    words = CACHE / f"{name}.dict"
    words.write_text("".join(f'"{_escaped(word)}"\n' for word in fuzzed.words))
    arguments = [
        sys.argv[0],
        f"-max_total_time={seconds}",
        f"-max_len={fuzzed.max_len}",
        f"-timeout={_INPUT_SECONDS}",
        f"-rss_limit_mb={_MEMORY_MB}",
        f"-dict={words}",
        f"-artifact_prefix={found}/",
        "-print_final_stats=1",
        "-use_value_profile=1",
        str(corpus),
    ]
    check = bounded(fuzzed.check)
    for content in seeds.values():
        fuzzed.check(content)  # what is made once (the application, caches) is not counted against the first input
    mutate = fuzzed.mutate

    def changed(data: bytes, max_size: int, seed: int) -> bytes:
        assert mutate is not None
        return mutate(bytes(data), seed, atheris.Mutate)[:max_size]

    atheris.Setup(arguments, check, **({} if mutate is None else {"custom_mutator": changed}))
    atheris.Fuzz()


def _escaped(word: bytes) -> str:
    return "".join(chr(byte) if 32 <= byte < 127 and byte not in b'"\\' else f"\\x{byte:02x}" for byte in word)


if __name__ == "__main__":
    os.environ.setdefault("PYTHONHASHSEED", "0")
    main(sys.argv[1], int(sys.argv[2]))
