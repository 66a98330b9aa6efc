"""Milepost steps in Python: one file, for the world `milepost:step/step@0.1.0` (wit/v0.1.0).

    from dataclasses import dataclass

    from milepost import Guest, plugin, step

    plugin(name="greeter", version="0.1.0")


    @dataclass
    class Person:
        name: str


    @step
    def greet(person: Person) -> str:
        return f"Hello, {person.name}"

Build it with componentize-py, which finds the class `Guest` in the module. A step takes its input (a dataclass, or any type that
JSON has) and returns its output; the annotations become the JSON Schemas of the manifest. It raises `Failed`, `Retryable`,
`Pause`, `Cancelled`, or anything else, which is a failure with the code `exception`.
"""

import dataclasses
import json
import traceback
import types
import typing
from typing import Any, Callable, Optional

from componentize_py_types import Err
from wit_world import exports
from wit_world.imports import artifacts as _artifacts
from wit_world.imports import clock as _clock
from wit_world.imports import config as _config
from wit_world.imports import context as _context
from wit_world.imports import exec as _exec
from wit_world.imports import http as _http
from wit_world.imports import kv as _kv
from wit_world.imports import log as _log
from wit_world.imports import memo as _memo
from wit_world.imports import progress as _progress
from wit_world.imports import random as _random
from wit_world.imports import secrets as _secrets
from wit_world.imports import types as _types

# --- what ends a step without an output ---


class StepError(Exception):
    """The ways not to return an output."""


class Failed(StepError):
    """The step failed."""

    def __init__(self, code: str, message: str, detail: Any = None):
        super().__init__(message)
        self.code, self.message, self.detail = code, message, detail

    def _value(self):
        return _types.StepError_Failed(self._failure())

    def _failure(self):
        detail = None if self.detail is None else json.dumps(self.detail)
        return _types.Failure(self.code, self.message, detail)


class Retryable(Failed):
    """It may work later: after so many milliseconds, or when the retry policy of the step says."""

    def __init__(self, code: str, message: str, after: Optional[int] = None, provider: Optional[str] = None, detail: Any = None):
        super().__init__(code, message, detail)
        self.after, self.provider = after, provider

    def _value(self):
        return _types.StepError_Retryable(_types.Retry(self._failure(), self.after, self.provider))


class Pause(StepError):
    """Stop the run here, until a time (nanoseconds since 1970), a signal, or a person resumes it. `state` comes back as
    `resume_state()` of the next attempt."""

    def __init__(
        self,
        code: str,
        reason: str,
        state: Any = None,
        until: Optional[int] = None,
        signal: Optional[str] = None,
        provider: Optional[str] = None,
    ):
        super().__init__(reason)
        state = None if state is None else json.dumps(state)
        self.pause = _types.Pause(code, reason, provider, until, signal, state)

    def _value(self):
        return _types.StepError_Paused(self.pause)


class Cancelled(StepError):
    """Cancellation was noticed and cleaned up after."""

    def _value(self):
        return _types.StepError_Cancelled(str(self))


class HostError(Exception):
    """Why the host refused a call. Not caught, it ends the step: retryable where it is transient, else failed."""

    def __init__(self, code: str, message: str, transient: bool):
        super().__init__(message)
        self.code, self.message, self.transient = code, message, transient

    def _value(self):
        return (Retryable if self.transient else Failed)(self.code, self.message)._value()


def _ask(call: Callable, *args):
    """A call that the host can refuse."""
    try:
        return call(*args)
    except Err as refused:
        why = refused.value
        raise HostError(why.code, why.message, why.transient) from None


# --- the world ---


def _parsed(text: Optional[str]) -> Any:
    return None if text is None else json.loads(text)


run_id = _context.run_id
workflow = _context.workflow
step_id = _context.step_id
path = _context.path
attempt = _context.attempt
loop_iteration = _context.loop_iteration
item_index = _context.item_index
idempotency_key = _context.idempotency_key
deadline = _context.deadline
trace_parent = _context.trace_parent
cancel_requested = _context.cancel_requested


def resume_state() -> Any:
    """What the last `Pause` of this step saved."""
    return _parsed(_context.resume_state())


def resume_signal() -> Any:
    """What came with the signal that woke the step."""
    return _parsed(_context.resume_signal())


def output_of(step: str) -> Any:
    """Output of an earlier step that the workflow lets this one read."""
    return _parsed(_context.output_of(step))


def config(key: str) -> Any:
    """A setting from the workflow file."""
    return _parsed(_config.get(key))


class log:
    """Lines in the log of the run: `log.info("rows", count=3)`."""

    @staticmethod
    def _emit(level, message: str, fields: dict):
        _log.emit(level, message, [(name, str(value)) for name, value in fields.items()])

    @classmethod
    def debug(cls, message: str, **fields):
        cls._emit(_log.Level.DEBUG, message, fields)

    @classmethod
    def info(cls, message: str, **fields):
        cls._emit(_log.Level.INFO, message, fields)

    @classmethod
    def warn(cls, message: str, **fields):
        cls._emit(_log.Level.WARN, message, fields)

    @classmethod
    def error(cls, message: str, **fields):
        cls._emit(_log.Level.ERROR, message, fields)


def progress(done: int, total: Optional[int] = None, message: str = ""):
    """Shown live."""
    _progress.report(done, total, message)


def once(key: str, work: Callable[[], Any]) -> Any:
    """Does the work once per key over all attempts of the step; later ones get what it returned."""
    entry = _ask(_memo.begin, key)
    if isinstance(entry, _memo.Entry_Recorded):
        return json.loads(entry.value)
    value = work()
    _ask(_memo.Ticket.settle, entry.value, json.dumps(value))
    return value


class Bucket:
    """State that outlives the step: a bucket that the workflow allows. Values are bytes."""

    def __init__(self, name: str):
        self._bucket = _ask(_kv.Bucket.open, name)

    def get(self, key: str):
        """An item with `value` and `revision`, or `None`."""
        return _ask(self._bucket.get, key)

    def put(self, key: str, value: bytes) -> int:
        return _ask(self._bucket.put, key, value)

    def replace(self, key: str, over: Optional[int], value: bytes) -> int:
        return _ask(self._bucket.replace, key, over, value)

    def delete(self, key: str):
        _ask(self._bucket.delete, key)

    def keys(self, prefix: str = "", after: Optional[str] = None, limit: int = 1000) -> list:
        return _ask(self._bucket.keys, prefix, after, limit)


_CHUNK = 1 << 20


def write_artifact(name: str, media_type: str, content: bytes):
    """Keeps bytes under a name; what comes back has `digest`, `size` and `media_type`."""
    writer = _ask(_artifacts.Writer.create, name, media_type)
    for at in range(0, len(content), _CHUNK):
        _ask(writer.write, content[at : at + _CHUNK])
    return _ask(_artifacts.Writer.finish, writer)


def artifact_info(digest: str):
    return _ask(_artifacts.Reader.open, digest).info()


def read_artifact(digest: str, offset: int = 0, size: int = _CHUNK) -> bytes:
    return _ask(_ask(_artifacts.Reader.open, digest).read, offset, size)


def now() -> int:
    """Nanoseconds since 1970."""
    return _clock.now()


def sleep(millis: int):
    """For seconds; raise `Pause` with `until` for longer."""
    _clock.sleep(millis)


def random_bytes(count: int) -> bytes:
    return _random.bytes(count)


def secret(name: str) -> str:
    """A stand-in that the host replaces inside outgoing requests."""
    return _ask(_secrets.placeholder, name)


class Response:
    """What a server answered. 4xx and 5xx are responses."""

    def __init__(self, response):
        self._response = response
        self.status: int = response.status()

    def headers(self) -> list:
        return [(name, value.decode()) for name, value in self._response.headers()]

    def body(self) -> bytes:
        return _ask(self._response.body)

    def json(self) -> Any:
        return json.loads(self.body())

    def save(self):
        """The body as an artifact."""
        return _ask(self._response.save)


def request(method: str, url: str, headers: Optional[dict] = None, body: Optional[bytes] = None, timeout: Optional[int] = None):
    """One request, one response."""
    draft = _http.Request(method, url)
    for name, value in (headers or {}).items():
        draft.header(name, value.encode())
    if body is not None:
        draft.body(body)
    if timeout is not None:
        draft.timeout(timeout)
    return Response(_ask(_http.Request.send, draft))


@dataclasses.dataclass
class Finished:
    """How a program ended."""

    exit_code: Optional[int]
    timed_out: bool
    stdout: bytes
    stderr: bytes


def run_program(program: str, *args: str, stdin: Optional[bytes] = None, env: Optional[dict] = None, timeout: Optional[int] = None):
    """A program that the workflow allows, without a shell. An exit code other than 0 is an outcome."""
    command = _exec.Command(program)
    for arg in args:
        command.arg(arg)
    for name, value in (env or {}).items():
        command.env(name, value)
    if stdin is not None:
        command.stdin(stdin)
    if timeout is not None:
        command.timeout(timeout)
    outcome = _ask(_exec.Command.run, command)
    return Finished(outcome.exit_code(), outcome.timed_out(), outcome.stdout(), outcome.stderr())


# --- types to JSON Schema, JSON to types ---

_PLAIN = {str: "string", int: "integer", float: "number", bool: "boolean", type(None): "null"}
_UNIONS = (typing.Union, types.UnionType)


def schema(kind: Any) -> Any:
    """The JSON Schema of a type."""
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if kind in _PLAIN or kind is None:
        return {"type": _PLAIN[kind or type(None)]}
    if origin in _UNIONS:
        return {"anyOf": [schema(one) for one in args]}
    if origin is typing.Literal:
        return {"enum": list(args)}
    if origin is list or kind is list:
        return {"type": "array", "items": schema(args[0]) if args else True}
    if origin is dict or kind is dict:
        return {"type": "object", "additionalProperties": schema(args[1]) if args else True}
    if dataclasses.is_dataclass(kind):
        hints = typing.get_type_hints(kind)
        fields = dataclasses.fields(kind)
        return {
            "type": "object",
            "properties": {field.name: schema(hints[field.name]) for field in fields},
            "required": [field.name for field in fields if not _has_default(field)],
            "additionalProperties": False,
        }
    return True


def _has_default(field) -> bool:
    return field.default is not dataclasses.MISSING or field.default_factory is not dataclasses.MISSING


def convert(value: Any, kind: Any, where: str = "the input") -> Any:
    """A JSON value as a type. Raises `Failed` with the code `invalid_input` where it does not fit."""
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if origin in _UNIONS:
        for one in args:
            try:
                return convert(value, one, where)
            except Failed:
                pass
        raise _misfit(where, kind)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if kind in _PLAIN or kind is None:
        if type(value) is not (kind or type(None)):
            raise _misfit(where, kind)
        return value
    if origin is typing.Literal:
        if value not in args:
            raise _misfit(where, kind)
        return value
    if origin is list or kind is list:
        if not isinstance(value, list):
            raise _misfit(where, kind)
        return [convert(item, args[0], f"{where}[{at}]") for at, item in enumerate(value)] if args else value
    if origin is dict or kind is dict:
        if not isinstance(value, dict):
            raise _misfit(where, kind)
        return {key: convert(item, args[1], f"{where}.{key}") for key, item in value.items()} if args else value
    if dataclasses.is_dataclass(kind):
        if not isinstance(value, dict):
            raise _misfit(where, kind)
        hints = typing.get_type_hints(kind)
        known = {field.name: field for field in dataclasses.fields(kind)}
        for name in value:
            if name not in known:
                raise Failed("invalid_input", f"{where} has no member `{name}`")
        for name, field in known.items():
            if name not in value and not _has_default(field):
                raise Failed("invalid_input", f"{where} lacks the member `{name}`")
        return kind(**{name: convert(item, hints[name], f"{where}.{name}") for name, item in value.items()})
    return value


def _misfit(where: str, kind: Any) -> Failed:
    return Failed("invalid_input", f"{where} is not {getattr(kind, '__name__', kind)}")


def _plain(value: Any) -> Any:
    """Dataclasses inside an output are objects."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")


# --- the plugin ---

_manifest: dict = {"name": "python", "steps": {}}
_steps: dict = {}


def plugin(name: str, version: Optional[str] = None, description: Optional[str] = None, hosts=(), buckets=(), secrets=()):
    """What the manifest says beside the steps."""
    given = {"name": name, "version": version, "description": description}
    given.update(hosts=list(hosts), buckets=list(buckets), secrets=list(secrets))
    _manifest.update({key: value for key, value in given.items() if value})


def step(function: Optional[Callable] = None, *, name: Optional[str] = None):
    """Makes a function of one argument, or none, a step. Its first line of documentation describes it."""

    def decorated(function: Callable) -> Callable:
        called = name or function.__name__
        hints = typing.get_type_hints(function)
        output = hints.pop("return", Any)
        takes = function.__code__.co_argcount
        kind = next(iter(hints.values()), Any) if takes else Any
        shape = {"input": schema(kind), "output": schema(output)}
        if function.__doc__:
            shape["description"] = function.__doc__.strip().splitlines()[0]
        _manifest["steps"][called] = shape
        _steps[called] = (function, kind, takes)
        return function

    return decorated(function) if function else decorated


class Guest(exports.Guest):
    """What the component exports."""

    def describe(self) -> str:
        return json.dumps(_manifest)

    def run(self, step: str, input: str) -> str:
        try:
            if step not in _steps:
                raise Failed("unknown_step", f"the plugin has no step `{step}`")
            function, kind, takes = _steps[step]
            value = convert(json.loads(input), kind)
            output = function(value) if takes else function()
            return json.dumps(output, ensure_ascii=False, allow_nan=False, default=_plain)
        except (StepError, HostError) as error:
            raise Err(error._value()) from None
        except Exception as error:
            trace = {"trace": traceback.format_exc()}
            raise Err(Failed("exception", f"{type(error).__name__}: {error}", trace)._value()) from None
