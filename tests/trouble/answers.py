"""What an answer in trouble has to say."""

from __future__ import annotations

from pathlib import Path

import httpx2


def check_told(answer: httpx2.Response, status: int, code: str, *words: str) -> None:
    """Fail unless an answer has the status and code, says all the words and what to do, and betrays no path."""
    assert answer.status_code == status, f"{answer.status_code} {answer.text}"
    document = answer.json()
    assert document.get("error", document["code"]) == code, document
    text = document.get("detail") or document["message"]
    for word in words:
        assert word in text, text
    assert document["hint"]
    check_clean(answer)


def check_clean(answer: httpx2.Response) -> None:
    """Fail when an answer shows a path of the server's disk or a traceback."""
    for secret in ("/tmp", "/cache/", "Traceback", ".py"):
        assert secret not in answer.text, answer.text
    if answer.status_code == 503:
        assert int(answer.headers["retry-after"]) > 0


def tree(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, without the store's own."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and ".wheelyard" not in path.parts
    }
