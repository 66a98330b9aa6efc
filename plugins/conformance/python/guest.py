"""The conformance guest in Python. What each step has to do: plugins/conformance/README.md."""

from dataclasses import dataclass
from typing import Any

import milepost
from milepost import Bucket, Failed, HostError, Pause, Retryable, log, plugin, step

plugin(name="conformance-python", version="0.1.0", buckets=["b"])


@dataclass
class Message:
    message: str


@dataclass
class Address:
    url: str


@dataclass
class Number:
    n: int


@step
def echo(value):
    return value


@step(name="log")
def say(input: Message):
    log.warn(input.message, **{"from": "guest"})


@step
def progress():
    milepost.progress(1, 2, "half")
    milepost.progress(2, 2, "done")


@step
def pause():
    state = milepost.resume_state()
    if state is None:
        raise Pause("needs-input", "waits for a person", state={"page": 2, "ü": None})
    return state


@step
def retry() -> int:
    if milepost.attempt() == 1:
        raise Retryable("busy", "not yet", after=300, provider="acme")
    return milepost.attempt()


@step
def fail(input):
    raise Failed("no-such-thing", "nichts für dich 🌍", detail=input)


@step
def clock():
    before = milepost.now()
    milepost.sleep(2)
    return {"now": str(before), "passed": milepost.now() - before >= 2_000_000}


@step
def random() -> list[int]:
    return list(milepost.random_bytes(8))


@step
def memo(input):
    done = []

    def work():
        done.append(True)
        return input

    value = milepost.once("work", work)
    if done:
        raise Retryable("again", "the work is done")
    return value


def code_of(call, *args) -> str:
    try:
        call(*args)
    except HostError as error:
        return error.code
    raise Failed("allowed", "although nothing allows it")


@step
def kv():
    bucket = Bucket("b")
    revision = bucket.put("k/ü", b"v1")
    item = bucket.get("k/ü")
    replace = code_of(bucket.replace, "k/ü", None, b"v2")
    keys = bucket.keys("k/")
    bucket.delete("k/ü")
    return {
        "value": item.value.decode(),
        "same": item.revision == revision,
        "replace": replace,
        "keys": keys,
        "left": bucket.get("k/ü") is not None,
    }


@step
def http(input: Address):
    response = milepost.request("POST", input.url, headers={"x-case": "http"}, body="grüße".encode())
    return {"status": response.status, "body": response.body().decode()}


@step
def artifacts():
    artifact = milepost.write_artifact("a.txt", "text/plain", "grüße an alle".encode())
    info = milepost.artifact_info(artifact.digest)
    return {"size": artifact.size, "type": info.media_type, "tail": milepost.read_artifact(artifact.digest, 8, 100).decode()}


@step
def exec() -> str:
    return code_of(milepost.run_program, "sh", "-c", "true")


@step
def strict(input: Any) -> int:
    return milepost.convert(input, Number).n


@step
def broken():
    return None


class Guest(milepost.Guest):
    """What a step returns is always written as valid JSON, so one goes around it."""

    def run(self, step: str, input: str) -> str:
        return '{"unfinished":' if step == "broken" else super().run(step, input)
