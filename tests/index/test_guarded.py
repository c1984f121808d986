"""Every call asks first; what is refused is not done."""

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from wheelyard.backends.memory import MemoryBackend
from wheelyard.errors import CredentialsMissing, InvalidUpload, PermissionDenied, ProjectNotFound, Unsupported
from wheelyard.index.checks import PublishLimits
from wheelyard.index.guarded import GuardedIndex
from wheelyard.index.hosted import HostedIndex
from wheelyard.index.interface import Action, Delete, DenyAll, Index, Upload
from wheelyard.model import Filename, NormalizedName, ProjectPage
from wheelyard.protocol.upload_form import UploadForm
from wheelyard.storage.spool import spool_bytes
from wheelyard.storage.store import Store
from wheelyard.testing.builders import WheelBuilder, form_fields

pytestmark = pytest.mark.anyio

DEMO = NormalizedName("demo")
FILE = Filename("demo-1.0-py3-none-any.whl")
Asked = list[tuple[Action, NormalizedName | None]]


@pytest.fixture
async def inner() -> AsyncIterator[HostedIndex]:
    store = Store(MemoryBackend(), name="main")
    await store.start()
    yield HostedIndex("main", store, limits=PublishLimits(), clock=lambda: datetime.now(UTC))
    await store.stop()


async def publish(index: Index, folder: Path, *, name: str = "demo", filename: str | None = None) -> None:
    path = WheelBuilder().build(folder)
    fields = {**form_fields(path), "name": [name]}
    form = UploadForm("file_upload", "1", {key: tuple(values) for key, values in fields.items()})
    with await spool_bytes(folder, path.read_bytes()) as spool:
        await index.publish(Upload(form=form, filename=filename or path.name, spool=spool, uploader="test"))


def calls(index: Index, folder: Path) -> dict[str, Callable[[], Awaitable[object]]]:
    """Every method of the port, as a call."""

    async def peek() -> object:
        return index.peek(DEMO)

    async def peeker() -> object:
        return index.peeker(DEMO)()

    async def peek_list() -> object:
        return index.peek_list()

    return {
        "list": index.list,
        "page": lambda: index.page(DEMO),
        "file": lambda: index.file(DEMO, FILE),
        "metadata": lambda: index.metadata(DEMO, FILE),
        "description": lambda: index.description(DEMO, FILE),
        "peek": peek,
        "peeker": peeker,
        "peek_list": peek_list,
        "publish": lambda: publish(index, folder),
        "change": lambda: index.change(DEMO, Delete()),
    }


NEEDED: dict[str, tuple[Action, NormalizedName | None]] = {
    "list": (Action.READ, None),
    "page": (Action.READ, DEMO),
    "file": (Action.READ, DEMO),
    "metadata": (Action.READ, DEMO),
    "description": (Action.READ, DEMO),
    "peek": (Action.READ, DEMO),
    "peeker": (Action.READ, DEMO),
    "peek_list": (Action.READ, None),
    "publish": (Action.PUBLISH, DEMO),
    "change": (Action.MANAGE, DEMO),
}


def test_every_method_is_known_here() -> None:
    """AU-04: a new method of the port has to be added to these tests, and to the guard."""
    methods = {name for name, _ in inspect.getmembers(Index, inspect.isfunction) if not name.startswith("_")}
    assert methods == set(NEEDED)
    assert methods - set(vars(GuardedIndex)) == {"peeker"}, "which asks by `peek`, at each use"


@pytest.mark.parametrize("method", NEEDED)
async def test_asks_for_the_right_thing(inner: HostedIndex, tmp_path: Path, method: str) -> None:
    """AU-04: each method asks once, for its own action on its own project, and then does its work."""
    await publish(inner, tmp_path)
    asked: Asked = []
    index = GuardedIndex(inner, lambda action, project: asked.append((action, project)))
    await calls(index, tmp_path)[method]()
    assert asked == [NEEDED[method]]


@pytest.mark.parametrize("method", NEEDED)
@pytest.mark.parametrize("error", [CredentialsMissing("main"), PermissionDenied("read", index="main"), KeyError("bug")])
async def test_refusal(inner: HostedIndex, tmp_path: Path, method: str, error: Exception) -> None:
    """AU-04: what the function raises reaches the caller, also when it is a bug, and nothing is done or told."""
    await publish(inner, tmp_path)
    before = await inner.page(DEMO)

    def refuse(action: Action, project: NormalizedName | None) -> None:
        raise error

    with pytest.raises(type(error)):
        await calls(GuardedIndex(inner, refuse), tmp_path)[method]()
    assert await inner.page(DEMO) == before


@pytest.mark.parametrize("answer", [True, False, "no"])
async def test_answers_do_not_count(inner: HostedIndex, answer: object) -> None:
    """AU-04: a function that answers instead of raising allows nothing, whatever it meant."""
    index = GuardedIndex(inner, lambda action, project: answer)  # type: ignore[arg-type]  # the point
    with pytest.raises(TypeError):
        await index.list()


async def test_coroutines_do_not_count(inner: HostedIndex) -> None:
    """AU-04: an async function, which would never run, allows nothing."""

    async def check(action: Action, project: NormalizedName | None) -> None:
        raise AssertionError("never awaited")

    with pytest.raises(TypeError):
        await GuardedIndex(inner, check).list()  # type: ignore[arg-type]  # the point


async def test_upload_naming_two_projects(inner: HostedIndex, tmp_path: Path) -> None:
    """AU-04: an upload whose form names one project and whose file another needs permission for both."""

    def only_mine(action: Action, project: NormalizedName | None) -> None:
        if project != "mine":
            raise PermissionDenied(action.value, index="main")

    index = GuardedIndex(inner, only_mine)
    with pytest.raises(PermissionDenied):
        await publish(index, tmp_path, name="mine")
    with pytest.raises(PermissionDenied):
        await publish(index, tmp_path, filename="mine-1.0-py3-none-any.whl")
    with pytest.raises(ProjectNotFound):
        await inner.page(DEMO)


@pytest.mark.parametrize(("name", "filename"), [("", None), ("not a name", None), ("demo", "not a file name")])
async def test_upload_naming_none(inner: HostedIndex, tmp_path: Path, name: str, filename: str | None) -> None:
    """AU-04: who may publish to the whole index reads what is wrong with a name; who may not is refused."""
    asked: Asked = []

    def only_demo(action: Action, project: NormalizedName | None) -> None:
        asked.append((action, project))
        if project != DEMO:
            raise PermissionDenied(action.value, index="main")

    with pytest.raises(PermissionDenied, match="may not publish to index 'main'"):
        await publish(GuardedIndex(inner, only_demo), tmp_path, name=name, filename=filename)
    assert (Action.PUBLISH, None) in asked
    with pytest.raises(InvalidUpload):
        await publish(GuardedIndex(inner, lambda action, project: None), tmp_path, name=name, filename=filename)


async def test_forgotten_methods_refuse() -> None:
    """AU-04: a wrapper that forgets a method of the port refuses it."""

    class Forgetful(DenyAll):
        async def page(self, project: NormalizedName) -> ProjectPage:
            return ProjectPage(name=project)

    index = Forgetful()
    assert (await index.page(DEMO)).name == DEMO
    for name, call in calls(index, Path()).items():
        if name not in ("page", "publish", "description", "peek", "peeker", "peek_list"):
            with pytest.raises(Unsupported):
                await call()
    assert (await index.description(DEMO, FILE), index.peek(DEMO), index.peek_list()) == (None, None, None)
