"""
`POST /graphql`: requests are parsed and checked for real, against the part of GitHub's schema in `schema.graphql`.

Errors come as GitHub's do: HTTP 200, and a `type` beside the message.
"""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from wheelyard.testing.fake_github.call import Call
from wheelyard.testing.fake_github.routing import route
from wheelyard.testing.fake_github.wire import Answer, Refused, json_answer

if TYPE_CHECKING:
    from graphql import ExecutionResult, GraphQLError, GraphQLSchema

_DOCUMENTATION = "https://docs.github.com/graphql"


@cache
def schema() -> GraphQLSchema:
    """The part of the schema that is answered."""
    from graphql import build_schema  # noqa: PLC0415  only tests have it

    return build_schema(files("wheelyard.testing.fake_github").joinpath("schema.graphql").read_text("utf-8"))


@route("POST", "/graphql")
def graphql(call: Call) -> Answer:
    """Answer a query or obey a mutation."""
    from graphql import graphql_sync  # noqa: PLC0415  only tests have it

    from wheelyard.testing.fake_github.mutations import MUTATIONS  # noqa: PLC0415  needs it too
    from wheelyard.testing.fake_github.queries import QUERIES  # noqa: PLC0415

    if call.token is None:
        raise Refused(401, "This endpoint requires you to be authenticated.", documentation=_DOCUMENTATION)
    if len(call.request.body) > call.github.switches.graphql_bytes:
        raise Refused(502, "Server Error", documentation=_DOCUMENTATION)
    body = call.body()
    query, variables = body.get("query"), body.get("variables")
    if not isinstance(query, str):
        raise Refused(400, "A query attribute must be specified and must be a string.", documentation=_DOCUMENTATION)
    result = graphql_sync(
        schema(),
        query,
        {**QUERIES, **MUTATIONS},
        context_value=call,
        variable_values=variables if isinstance(variables, dict) else None,
        operation_name=_text(body.get("operationName")),
    )
    return json_answer(_body(result))


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _body(result: ExecutionResult) -> dict[str, object]:
    body: dict[str, object] = {}
    if result.data is not None or not result.errors:
        body["data"] = result.data
    if result.errors:
        body["errors"] = [_error(each) for each in result.errors]
    return json.loads(json.dumps(body))  # type: ignore[no-any-return]  # what was written is an object


def _error(error: GraphQLError) -> dict[str, object]:
    formatted: dict[str, object] = {}
    if error.original_error is not None and hasattr(error.original_error, "kind"):
        formatted["type"] = error.original_error.kind
    if error.path is not None:
        formatted["path"] = error.path
    formatted["locations"] = [{"line": place.line, "column": place.column} for place in error.locations or ()]
    return formatted | {"message": error.message}
