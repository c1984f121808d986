"""Facts about GitHub Apps: they sign for themselves, and get tokens for an hour."""

from __future__ import annotations

import base64
import json
import time
from datetime import UTC, datetime

import httpx2
import pytest
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from github_double.conftest import Asker
from wheelyard.testing.fake_github import FakeGitHub, Repository
from wheelyard.testing.fake_github.model import App


def _part(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def _signed(app: App, *, seconds: float = 540, issuer: object = None, algorithm: str = "RS256") -> str:
    now = int(time.time())
    claims = {"iat": now - 60, "exp": now + seconds, "iss": str(issuer or app.id)}
    message = f"{_part({'alg': algorithm, 'typ': 'JWT'})}.{_part(claims)}"
    assert app.private_key is not None
    key = load_pem_private_key(app.private_key.encode(), password=None)
    assert isinstance(key, rsa.RSAPrivateKey)
    signature = key.sign(message.encode(), padding.PKCS1v15(), SHA256())
    return f"{message}.{base64.urlsafe_b64encode(signature).decode().rstrip('=')}"


@pytest.fixture
def app(github: FakeGitHub, store: Repository) -> App:
    made = github.app()
    github.install(made, "ana", permissions={"contents": "read"}, repositories=("ana/store",))
    return made


def _token_url(app: App) -> str:
    return f"/app/installations/{next(iter(app.installations))}/access_tokens"


def test_an_installation_gets_a_token_for_an_hour(github: FakeGitHub, asks: Asker, app: App) -> None:
    """The answer alone tells what it may do; after the hour it is a bad credential."""
    body = asks(_signed(app)).post(_token_url(app)).json()
    assert body["permissions"] == {"contents": "read"}
    left = datetime.fromisoformat(body["expires_at"]) - datetime.now(UTC)
    assert 3500 < left.total_seconds() <= 3600
    client = asks(body["token"])
    assert client.get("/repos/ana/store/releases").status_code == 200
    assert client.post("/repos/ana/store/releases", json={"tag_name": "a-1"}).status_code == 403
    assert [each["full_name"] for each in client.get("/installation/repositories").json()["repositories"]] == [
        "ana/store"
    ]
    github.clock = lambda: time.time() + 3601
    assert client.get("/repos/ana/store").status_code == 401


def test_a_token_may_ask_for_less_never_for_more(asks: Asker, app: App) -> None:
    """Permissions and repositories beyond the installation's are refused."""
    client = asks(_signed(app))
    less = client.post(_token_url(app), json={"repositories": ["store"], "permissions": {"contents": "read"}})
    assert [each["name"] for each in less.json()["repositories"]] == ["store"]
    more = client.post(_token_url(app), json={"permissions": {"contents": "write"}})
    assert more.json()["message"] == "The permissions requested are not granted to this installation."
    assert client.post(_token_url(app), json={"repositories": ["other"]}).status_code == 422


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seconds": 3600}, "'Expiration time' claim ('exp') is too far in the future"),
        ({"seconds": -1}, "'Expiration time' claim ('exp') must be a numeric value"),
        ({"issuer": 1}, "A JSON web token could not be decoded"),
        ({"algorithm": "none"}, "A JSON web token could not be decoded"),
    ],
    ids=["too-long", "over", "wrong-app", "no-algorithm"],
)
def test_signatures_are_checked(asks: Asker, app: App, changes: dict[str, object], message: str) -> None:
    """Ten minutes at most, by the app itself."""
    answer = asks(_signed(app, **changes)).post(_token_url(app))  # type: ignore[arg-type]  # by the table above
    assert answer.status_code == 401
    assert answer.json()["message"].startswith(message)


def test_another_key_is_no_signature(github: FakeGitHub, asks: Asker, app: App) -> None:
    """Signed by somebody else in the app's name."""
    forged = _signed(github.app(), issuer=app.id)
    assert asks(forged).post(_token_url(app)).status_code == 401


def test_an_app_finds_its_installation(asks: Asker, app: App, github: FakeGitHub) -> None:
    """By repository, or by listing all of them; of others it finds nothing."""
    client = asks(_signed(app))
    number = next(iter(app.installations))
    assert client.get("/repos/ana/store/installation").json()["id"] == number
    assert [each["id"] for each in client.get("/app/installations").json()] == [number]
    assert client.get("/app").json()["id"] == app.id
    github.repository("ana/other")
    assert client.get("/repos/ana/other/installation").status_code == 404
    assert client.post("/app/installations/1/access_tokens").status_code == 404


def test_a_given_key_is_used(github: FakeGitHub, app: App) -> None:
    """An app may be made with the public half of a key the test has."""
    other = github.app(4711, public_key=app.public_key)
    assert (other.id, other.private_key) == (4711, None)
    signed = _signed(app, issuer=4711)
    answer = httpx2.get(f"{github.api_url}/app", headers={"authorization": f"Bearer {signed}"})
    assert answer.json()["id"] == 4711
