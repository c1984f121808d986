"""
Flags as the predecessor took them: `_` as `-`, booleans with and without a value, positional arguments by name too.

`FlagCommand` rewrites arguments to what click understands, then fills what was not given from the environment.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import click

from wheelyard.cli.environment import own_flags

_TRUE: Final = frozenset({"true", "1", "yes", "on", ""})
_FALSE: Final = frozenset({"false", "0", "no", "off", "none"})

IGNORED: Final = "wheelyard.ignored"
"""Where in `click.Context.meta` the names of flags stand that were accepted and mean nothing here."""


class FlagCommand(click.Command):
    """
    A command whose flags are spelled as the predecessor's users spell them.

    Args:
        ignored: Flags that are accepted with their value and passed over, spelled with `-`, without `--`.
        further: Whether flags that are not known are collected in `ctx.obj` instead of being refused.
        arguments: As of `click.Command`.
    """

    def __init__(self, *arguments: Any, ignored: Iterable[str] = (), further: bool = False, **options: Any) -> None:
        options.setdefault("context_settings", {}).setdefault("help_option_names", ["-h", "--help"])
        options["context_settings"].setdefault("max_content_width", 100)
        super().__init__(*arguments, **options)
        self._ignored = frozenset(ignored)
        self._further = further

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Rewrite the arguments, then parse them; flags from the environment stand behind those given."""
        ctx.default_map = {**self._from_environment(ctx, os.environ), **(ctx.default_map or {})}
        rewriting = _Rewriting(self, ctx, ignored=self._ignored, further=self._further)
        return super().parse_args(ctx, rewriting.rewrite(args))

    def _from_environment(self, ctx: click.Context, environ: Mapping[str, str]) -> dict[str, Any]:
        given = own_flags(environ)
        defaults: dict[str, Any] = {}
        for parameter in self.get_params(ctx):
            names = [_variable(name) for name in parameter.opts] if isinstance(parameter, click.Option) else []
            value = next((given[name] for name in names if name in given), None)
            if value is None or parameter.name is None:
                continue
            if isinstance(parameter, click.Option) and parameter.is_flag:
                defaults[parameter.name] = _boolean(value, parameter.opts[0])
            else:
                defaults[parameter.name] = (value,) if parameter.multiple else value
        return defaults


class _Rewriting:
    """One command line being rewritten."""

    def __init__(self, command: click.Command, ctx: click.Context, *, ignored: frozenset[str], further: bool) -> None:
        self._options: dict[str, click.Option] = {}
        for parameter in command.get_params(ctx):
            if isinstance(parameter, click.Option):
                self._options |= dict.fromkeys((*parameter.opts, *parameter.secondary_opts), parameter)
        self._ctx = ctx
        self._ignored = ignored
        self._further = further

    def rewrite(self, arguments: list[str]) -> list[str]:
        """Return the arguments as click takes them."""
        rewritten: list[str] = []
        waiting = list(reversed(arguments))
        while waiting:
            argument = waiting.pop()
            if argument == "--":
                return [*rewritten, argument, *reversed(waiting)]
            if not argument.startswith("--"):
                rewritten.append(argument)
                continue
            given, equals, value = argument.partition("=")
            rewritten += self._flag(given.replace("_", "-"), value if equals else None, waiting)
        return rewritten

    def _flag(self, name: str, value: str | None, waiting: list[str]) -> list[str]:
        """Rewrite one flag; takes its value from `waiting` when it stands there."""
        option = self._options.get(name)
        if option is None and name.startswith("--no") and (positive := self._options.get(f"--{name[4:]}")):
            return [f"--no-{name[4:]}"] if positive.is_flag and value is None else [name]
        if option is None:
            return self._unknown(name, value, waiting)
        if not option.is_flag:
            if value is not None:
                return [f"{name}={value}"]
            return [name, waiting.pop()] if waiting else [name]
        if value is None and waiting and waiting[-1].lower() in (_TRUE | _FALSE) - {""}:
            value = waiting.pop()
        if value is None or name in option.secondary_opts:
            return [name]
        return [name] if _boolean(value, name) else option.secondary_opts[:1]

    def _unknown(self, name: str, value: str | None, waiting: list[str]) -> list[str]:
        word = name.removeprefix("--")
        if word not in self._ignored and not self._further:
            return [name if value is None else f"{name}={value}"]  # click refuses it and says what is near
        if value is None and waiting and not waiting[-1].startswith("--"):
            value = waiting.pop()
        if word in self._ignored:
            self._ctx.meta.setdefault(IGNORED, []).append(name)
        else:
            self._ctx.ensure_object(dict)[word.replace("-", "_")] = "true" if value is None else value
        return []


def ignored_flags(ctx: click.Context) -> list[str]:
    """Return the flags that were accepted and mean nothing here."""
    return list(ctx.meta.get(IGNORED, []))


def one_of(positional: str | None, flag: str | None, name: str) -> str | None:
    """
    Return an argument that may be given by position or by flag.

    Raises:
        click.UsageError: It was given twice, and differently.
    """
    if positional is not None and flag is not None and positional != flag:
        raise click.UsageError(f"{name} is given twice: '{positional}' and --{name.lower()} '{flag}'")
    return flag if positional is None else positional


def examples(*lines: str) -> str:
    """Return an epilog that shows these lines as they are."""
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)


def flag_command(
    *, epilog: str, ignored: Iterable[str] = (), further: bool = False
) -> Callable[[Callable[..., Any]], FlagCommand]:
    """Make a `FlagCommand` of a function; its docstring is the help."""

    def decorate(function: Callable[..., Any]) -> FlagCommand:
        return click.command(cls=FlagCommand, epilog=epilog, ignored=ignored, further=further)(function)

    return decorate


def with_flags(command: click.Command) -> click.Command:
    """Give a command of a plug-in, which is an ordinary one of click, flags that are spelled like those of ours."""
    if isinstance(command, FlagCommand | click.Group):
        return command
    return FlagCommand(
        command.name, callback=command.callback, params=command.params, help=command.help, epilog=command.epilog
    )


def _variable(option: str) -> str:
    return option.lstrip("-").replace("-", "_")


def _boolean(value: str, name: str) -> bool:
    word = value.strip().lower()
    if word in _TRUE:
        return True
    if word in _FALSE:
        return False
    raise click.BadParameter(f"'{value}' is neither true nor false", param_hint=name)
