"""
The double as a program of its own: `python -m wheelyard.testing.fake_github --port 8089 --repository ana/packages`.

It prints where it answers and its tokens, as JSON on one line, and serves until it is interrupted.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import threading

from wheelyard.testing.fake_github.github import FakeGitHub


def main(arguments: list[str] | None = None) -> None:
    """Serve until interrupted or told to end."""
    parser = argparse.ArgumentParser(prog="python -m wheelyard.testing.fake_github", description="A double of GitHub.")
    parser.add_argument("--port", type=int, default=0, help="of the interface; uploads and assets take any free one")
    parser.add_argument("--repository", action="append", default=[], help="OWNER/NAME, private; may be repeated")
    parser.add_argument("--base", choices=("github.com", "ghes"), default="github.com")
    parser.add_argument("--reader", action="append", default=[], help="login that may read every repository")
    wanted = parser.parse_args(arguments)
    stopped = threading.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda *_: stopped.set())
    with FakeGitHub.serve(base=wanted.base, ports=(wanted.port, 0, 0)) as github:
        tokens = {login: github.user(login) for login in wanted.reader}
        for full_name in wanted.repository:
            owner = full_name.partition("/")[0]
            github.repository(full_name, collaborators=dict.fromkeys(wanted.reader, "pull"))
            tokens.setdefault(owner, github.token(owner))
        urls = {"api_url": github.api_url, "uploads_url": github.uploads_url, "assets_url": github.assets_url}
        print(json.dumps({**urls, "tokens": tokens, "repositories": wanted.repository}), flush=True)  # noqa: T201
        stopped.wait()


if __name__ == "__main__":
    main(sys.argv[1:])
