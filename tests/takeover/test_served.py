"""A server started on a predecessor's ROOT with its own configuration serves what was there."""

from typing import Any

from plugins.live import StartServer

CONFIG = """
[OLD]
type = "file_system"
read_secret = "foo"
write_secret = "bar"
"""


def test_server_takes_over(start_server: StartServer, predecessor: Any) -> None:
    """The same ROOT and file give the same projects under the same user name and secrets; the folder stays."""
    wheel = predecessor.wheel("demo")
    predecessor.wheel("simple")
    before = predecessor.state()
    server = start_server(root=predecessor.root, config=CONFIG, read_secret="foo", write_secret="bar")
    server.index = "OLD"
    assert set(server.listed("demo")) == {wheel.name}
    server.check_holds("demo", [wheel])
    assert set(server.listed("simple")) == {"simple-1.0-py3-none-any.whl"}
    assert predecessor.state() == before
    assert "taken-over" in server.log()
