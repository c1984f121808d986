"""Looking into archives that tests build."""

from collections.abc import Callable
from pathlib import Path

import pytest

from wheelyard.archives.inspect import Inspection, inspect
from wheelyard.archives.limits import DEFAULT, ArchiveLimits
from wheelyard.errors import ArchiveError
from wheelyard.protocol.filenames import parse_filename
from wheelyard.testing.builders import SdistBuilder, WheelBuilder

Look = Callable[..., Inspection]


@pytest.fixture
def look(tmp_path: Path) -> Look:
    """Build an archive and inspect it under its own name."""

    def look_into(builder: WheelBuilder | SdistBuilder, *, limits: ArchiveLimits = DEFAULT) -> Inspection:
        path = builder.build(tmp_path)
        return inspect(path, parse_filename(path.name), limits=limits)

    return look_into


@pytest.fixture
def refusal(look: Look) -> Callable[..., str]:
    """Build an archive and return why it is refused: the texts of its problems or of the error; "" when it is not."""

    def why(builder: WheelBuilder | SdistBuilder, *, limits: ArchiveLimits = DEFAULT) -> str:
        try:
            inspection = look(builder, limits=limits)
        except ArchiveError as error:
            return error.message
        return "; ".join(problem.text for problem in inspection.problems)

    return why
