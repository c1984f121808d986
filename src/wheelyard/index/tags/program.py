"""
The git program, told nothing by this machine and nothing by the repositories it reads.

Rule 1: no secret and nothing of a stranger's stands where git reads an option: credentials are in the environment, tags
    behind `refs/tags/`, URLs are checked.
Rule 2: git runs with one protocol (the one of the URL), no hooks, no helpers, no prompts, no submodules, no redirects to
    other hosts, and never longer or larger than the limits.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO, Final
from urllib.parse import urlsplit

from wheelyard.errors import TagSourceError, shown
from wheelyard.index.tags.sources import TagSources, host_of

FILE_LIMIT_BYTES: Final = 4 * 1024 * 1024  # pyproject.toml, README and the like; real ones have a few KiB
"""Largest file that is read out of a repository."""

_LIST_LIMIT_BYTES = 64 * 1024 * 1024  # half a million tags
_TEXT_LIMIT_BYTES = 1024 * 1024  # what git may say on standard error
_LOOK_EVERY_S = 0.05  # how often a running git is looked at
_SIZE_EVERY_S = 1.0  # how often the folder it fills is measured: that takes a walk

_CONFIG: Mapping[str, str] = {
    "core.hooksPath": os.devnull,
    "core.fsmonitor": "false",
    "core.attributesFile": os.devnull,
    "core.excludesFile": os.devnull,
    "core.alternateRefsCommand": "",
    "credential.helper": "",
    "fetch.fsckObjects": "true",
    # Old tools wrote these into real histories; they do no harm.
    "fetch.fsck.zeroPaddedFilemode": "ignore",
    "fetch.fsck.missingSpaceBeforeDate": "ignore",
    "fetch.fsck.missingSpaceBeforeEmail": "ignore",
    "fetch.fsck.badTimezone": "ignore",
    "fetch.fsck.missingEmail": "ignore",
    "fetch.recurseSubmodules": "false",
    "submodule.recurse": "false",
    "gc.auto": "0",
    "maintenance.auto": "false",
    "http.followRedirects": "false",
    "http.lowSpeedLimit": "1000",
    "http.lowSpeedTime": "60",
    "protocol.version": "2",
    "safe.directory": "*",
    "tar.umask": "0022",
}
_PASSED_ON = ("PATH", "TMPDIR", "SYSTEMROOT", "SSH_AUTH_SOCK", "SSL_CERT_FILE", "SSL_CERT_DIR", "GIT_SSL_CAINFO")
_PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


class Git:
    """
    Runs git. All methods block.

    Args:
        folder: Where mirrors are kept; made when missing.
        sources: Credentials and limits.
        environ: What proxies and certificates are taken from.
    """

    def __init__(self, folder: Path, sources: TagSources, *, environ: Mapping[str, str] = os.environ) -> None:
        self.folder = folder
        self._sources = sources
        self._environ = environ
        self._stopping = threading.Event()

    def stop(self) -> None:
        """End what runs, and let nothing start any more."""
        self._stopping.set()

    def tags(self, url: str) -> dict[str, str]:
        """
        List the tags of a repository with the object each stands for, an annotated tag's commit; one request or two.

        Raises:
            TagSourceError: The repository cannot be reached.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        output = self._run(["ls-remote", "--quiet", "--tags", "--end-of-options", url], url=url)
        tags: dict[str, str] = {}
        with output:
            for line in output.read().decode("utf-8", "surrogateescape").splitlines():
                commit, _, ref = line.partition("\t")
                name = ref.removeprefix("refs/tags/")
                if name == ref or not name.isprintable():
                    continue
                tags[name.removesuffix("^{}")] = commit  # the peeled line follows its tag
        return tags

    def mirror(self, url: str) -> Mirror:
        """Return the local copy of a repository; nothing is fetched."""
        digest = hashlib.sha256(url.encode()).hexdigest()[:16]
        return Mirror(self, url, self.folder / f"{digest}.git")

    def run(self, arguments: Sequence[str], mirror: Mirror, *, limit_bytes: int, stdin: bytes = b"") -> BinaryIO:
        """
        Run git in a mirror, without a network.

        Returns:
            What it printed, at its start; the caller closes it.
        Raises:
            TagSourceError: It failed, took too long or printed too much.
        """
        return self._run([f"--git-dir={mirror.path}", *arguments], limit_bytes=limit_bytes, stdin=stdin)

    def fetch(self, mirror: Mirror, refspecs: Iterable[str]) -> None:
        """
        Fetch refs into a mirror.

        Raises:
            TagSourceError: It failed; or the repository is larger than the limit, and the mirror is gone.
        """
        if not mirror.path.is_dir():
            self._run(["init", "--quiet", "--bare", "--template=", str(mirror.path)]).close()
        options = ["--quiet", "--force", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules", "--depth=1"]
        command = [f"--git-dir={mirror.path}", "fetch", *options, "--stdin", "--end-of-options", mirror.url]
        stdin = "".join(f"{refspec}\n" for refspec in refspecs).encode("utf-8", "surrogateescape")
        self._run(command, url=mirror.url, stdin=stdin, grows=mirror.path).close()

    # -- running ---------------------------------------------------------------------------------------------------

    def _run(
        self,
        arguments: Sequence[str],
        *,
        url: str | None = None,
        stdin: bytes = b"",
        limit_bytes: int = _LIST_LIMIT_BYTES,
        grows: Path | None = None,
    ) -> BinaryIO:
        program = shutil.which("git", path=self._environ.get("PATH"))
        if program is None:
            raise TagSourceError("the program git is not installed on this machine", passing=True)
        with contextlib.ExitStack() as opened:
            source = opened.enter_context(tempfile.TemporaryFile(dir=self.folder))
            errors = opened.enter_context(tempfile.TemporaryFile(dir=self.folder))
            output = tempfile.TemporaryFile(dir=self.folder)  # noqa: SIM115  handed to the caller
            opened.callback(output.close)
            source.write(stdin)
            source.seek(0)
            process = subprocess.Popen(  # noqa: S603  no shell, and every argument is ours or checked
                [program, *arguments],
                stdin=source,
                stdout=output,
                stderr=errors,
                env=self._environment(url),
                cwd=self.folder,
                start_new_session=True,
            )
            watched = _Watched(process, output, errors, limit_bytes, grows)
            why = watched.wait(
                self._stopping, self._sources.limits.git_timeout_s, self._sources.limits.repository_bytes
            )
            if why is not None:
                if grows is not None:
                    shutil.rmtree(grows, ignore_errors=True)
                raise TagSourceError(why, passing=why != watched.too_large)
            if process.returncode != 0:
                raise TagSourceError(_complaint(errors), passing=True)
            output.seek(0)
            opened.pop_all()
            source.close()
            errors.close()
            return output

    def _environment(self, url: str | None) -> dict[str, str]:
        env = {name: self._environ[name] for name in (*_PASSED_ON, *_PROXIES) if name in self._environ}
        if "SSL_CERT_FILE" in env:
            env.setdefault("GIT_SSL_CAINFO", env["SSL_CERT_FILE"])
        if url is None:
            # `export-subst` can ask for the check of a signature, and `git archive` reads no setting that names another
            # program for it: without a network git needs nothing but itself.
            env["PATH"] = os.devnull
        env |= {
            "LC_ALL": "C.UTF-8",
            "HOME": str(self.folder),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_ATTR_NOSYSTEM": "1",
            "GIT_NO_REPLACE_OBJECTS": "1",
            "GIT_NO_LAZY_FETCH": "1",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_ASKPASS": "false",
            "SSH_ASKPASS": "false",
            "GIT_SSH_COMMAND": "ssh -oBatchMode=yes -oStrictHostKeyChecking=yes -oPermitLocalCommand=no",
            "GIT_SSH_VARIANT": "ssh",
            "GIT_ALLOW_PROTOCOL": "" if url is None else urlsplit(url).scheme,
        }
        config = {**_CONFIG, "protocol.allow": "never", "http.userAgent": "git/wheelyard"}
        if url is not None:
            config |= self._authorization(url)
        env["GIT_CONFIG_COUNT"] = str(len(config))
        for number, (key, value) in enumerate(config.items()):
            env[f"GIT_CONFIG_KEY_{number}"], env[f"GIT_CONFIG_VALUE_{number}"] = key, value
        return env

    def _authorization(self, url: str) -> dict[str, str]:
        """Return configuration that sends our credential to this host; it never stands in an argument or a URL."""
        credential = self._sources.credential(url)
        scheme = urlsplit(url).scheme
        if credential is None or scheme not in ("http", "https"):
            return {}
        basic = base64.b64encode(f"{credential.username}:{credential.secret}".encode()).decode("ascii")
        return {f"http.{scheme}://{host_of(url)}/.extraHeader": f"Authorization: Basic {basic}"}


class Mirror:
    """
    The local copy of a repository: a bare one that holds the files of the tags that were asked for, without history.

    Args:
        git: Runs git.
        url: Where the repository is.
        path: Where the copy is; need not exist.
    """

    def __init__(self, git: Git, url: str, path: Path) -> None:
        self.url = url
        self.path = path
        self._git = git

    def have(self, wanted: Mapping[str, str]) -> dict[str, str]:
        """
        Bring in tags that are missing, and return the commit that each of them stands for here.

        Args:
            wanted: Tag to the commit the host told; those that are here already cost no request.
        Returns:
            By tag; one that is no commit, or that was deleted meanwhile, is left out. A tag that moved meanwhile has
            the commit that was fetched.
        Raises:
            TagSourceError: The repository cannot be fetched.
        """
        try:
            return self._having(wanted)
        except TagSourceError as error:
            if not error.passing or not self.path.is_dir():
                raise
            # The host answered a moment ago: more likely this copy is damaged, and it can always be made again.
            shutil.rmtree(self.path, ignore_errors=True)
            return self._having(wanted)

    def _having(self, wanted: Mapping[str, str]) -> dict[str, str]:
        here = self._commits()
        missing = [tag for tag, commit in wanted.items() if here.get(tag) != commit]
        if missing:
            self._fetch(missing)
            here = self._commits()
        return {tag: here[tag] for tag in wanted if tag in here}

    def read(self, commit: str, path: str, *, limit_bytes: int = FILE_LIMIT_BYTES) -> bytes | None:
        """
        Read one file of a commit; links inside of the repository are followed.

        Returns:
            None when there is no such file.
        Raises:
            TagSourceError: It is larger than the limit.
        """
        if not path.isprintable():
            return None
        question = f"{commit}:{path}\n".encode("utf-8", "surrogateescape")
        answer = self._text(["cat-file", "--batch-check", "--follow-symlinks"], stdin=question)
        words = answer.split(" ")
        if len(words) != 3 or words[1] != "blob":  # noqa: PLR2004  object, type, size
            return None
        if int(words[2]) > limit_bytes:
            raise TagSourceError(f"'{shown(path)}' has {int(words[2])} bytes; more than {limit_bytes} are not read")
        with self._git.run(["cat-file", "blob", words[0]], self, limit_bytes=limit_bytes) as output:
            return output.read()

    def archive(self, commit: str, subdirectory: str, *, limit_bytes: int) -> BinaryIO:
        """
        Make a tar of the files of a commit, as `git archive` does (`export-ignore`, `export-subst`); the caller closes it.

        Args:
            commit: Which.
            subdirectory: Only what is below; names stay as in the repository.
            limit_bytes: Largest tar.
        Raises:
            TagSourceError: There is no such folder, or it is too large.
        """
        chosen = ["--", subdirectory] if subdirectory else []
        command = ["--literal-pathspecs", "archive", "--format=tar", commit, *chosen]
        return self._git.run(command, self, limit_bytes=limit_bytes)

    def _commits(self) -> dict[str, str]:
        if not self.path.is_dir():
            return {}
        listing = self._text(
            [
                "for-each-ref",
                "--format=%(objecttype) %(objectname) %(*objecttype) %(*objectname) %(refname)",
                "refs/tags/",
            ]
        )
        commits: dict[str, str] = {}
        for line in listing.splitlines():
            kind, name, inner_kind, inner_name, ref = line.split(" ", 4)
            tag = ref.removeprefix("refs/tags/")
            if kind == "commit":
                commits[tag] = name
            elif inner_kind == "commit":
                commits[tag] = inner_name
        return commits

    def _fetch(self, tags: Sequence[str]) -> None:
        """Fetch tags together; when that fails one by one, since one that was deleted meanwhile fails them all."""
        try:
            self._git.fetch(self, map(_refspec, tags))
        except TagSourceError as error:
            if "couldn't find remote ref" not in error.message:
                raise
            for tag in tags:
                with contextlib.suppress(TagSourceError):
                    self._git.fetch(self, [_refspec(tag)])

    def _text(self, arguments: Sequence[str], *, stdin: bytes = b"") -> str:
        with self._git.run(arguments, self, limit_bytes=_LIST_LIMIT_BYTES, stdin=stdin) as output:
            return output.read().decode("utf-8", "surrogateescape").rstrip("\n")


class _Watched:
    """
    One running git, and what it may not exceed.

    Attributes:
        too_large: What `wait` says when it printed more than it may.
    """

    def __init__(
        self, process: subprocess.Popen[bytes], output: BinaryIO, errors: BinaryIO, limit_bytes: int, grows: Path | None
    ) -> None:
        self._process = process
        self._files = ((output, limit_bytes), (errors, _TEXT_LIMIT_BYTES))
        self._grows = grows
        self.too_large = f"its files take more than {limit_bytes} bytes"

    def wait(self, stopping: threading.Event, timeout_s: float, repository_bytes: int) -> str | None:
        """Wait for the end; when it has to be ended early, return why."""
        deadline = time.monotonic() + timeout_s
        measure_at = time.monotonic() + _SIZE_EVERY_S
        try:
            while True:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._process.wait(_LOOK_EVERY_S)
                ended = self._process.returncode is not None
                if any(os.fstat(file.fileno()).st_size > limit for file, limit in self._files):
                    return self.too_large
                if self._grows is not None and (ended or time.monotonic() >= measure_at):
                    if _size(self._grows) > repository_bytes:
                        return f"the repository takes more than {repository_bytes} bytes"
                    measure_at = time.monotonic() + _SIZE_EVERY_S
                if ended:
                    return None
                if stopping.is_set():
                    return "the server is stopping"
                if time.monotonic() >= deadline:
                    return f"git did not finish within {timeout_s:g} seconds"
        finally:
            if self._process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait()


def _refspec(tag: str) -> str:
    return f"+refs/tags/{tag}:refs/tags/{tag}"


def _size(folder: Path) -> int:
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                total += os.lstat(f"{parent}/{name}").st_size
    return total


def _complaint(errors: BinaryIO) -> str:
    """Return the last thing git complained about, in one line."""
    errors.seek(0)
    lines = errors.read(_TEXT_LIMIT_BYTES).decode("utf-8", "replace").splitlines()
    told = [line.strip() for line in lines if line.startswith(("fatal:", "error:", "remote:"))]
    text = shown((told or [line for line in lines if line.strip()] or ["git failed without a word"])[-1])
    for word in ("fatal: ", "error: "):
        text = text.removeprefix(word)
    if "terminal prompts disabled" in text or "askpass" in text or "Authentication failed" in text:
        return "it is private or not there, and no credential of its host opens it"
    if "error: 30" in text:
        return f"it moved to another address, which is not followed ({text})"
    return text
