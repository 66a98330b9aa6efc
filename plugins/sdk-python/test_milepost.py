"""What of milepost.py needs no host: python3 -m unittest test_milepost"""

import dataclasses
import json
import sys
import types
import typing
import unittest
from unittest import mock


class Err(Exception):
    def __init__(self, value):
        self.value = value


# What componentize-py generates, as far as it is used here.
for name in ["componentize_py_types", "wit_world", "wit_world.exports", "wit_world.imports"]:
    sys.modules[name] = types.ModuleType(name)
sys.modules["componentize_py_types"].Err = Err
sys.modules["wit_world"].exports = sys.modules["wit_world.exports"]
sys.modules["wit_world.exports"].Guest = object
for name in "artifacts clock config context exec http kv log memo progress random secrets types".split():
    setattr(sys.modules["wit_world.imports"], name, mock.MagicMock())
Failure = dataclasses.make_dataclass("Failure", ["code", "message", "detail"])
sys.modules["wit_world.imports"].types.Failure = Failure
sys.modules["wit_world.imports"].types.StepError_Failed = lambda failure: ("failed", failure)

import milepost  # noqa: E402


@dataclasses.dataclass
class Row:
    id: int
    tags: list[str]
    price: float = 0.0
    note: typing.Optional[str] = None


class Schemas(unittest.TestCase):
    def test_types_become_schemas(self):
        self.assertEqual(
            milepost.schema(Row),
            {
                "type": "object",
                "properties": {
                    "id": {"type": "integer"},
                    "tags": {"type": "array", "items": {"type": "string"}},
                    "price": {"type": "number"},
                    "note": {"anyOf": [{"type": "string"}, {"type": "null"}]},
                },
                "required": ["id", "tags"],
                "additionalProperties": False,
            },
        )
        self.assertEqual(milepost.schema(dict[str, int]), {"type": "object", "additionalProperties": {"type": "integer"}})
        self.assertEqual(milepost.schema(typing.Literal["a", "b"]), {"enum": ["a", "b"]})
        self.assertEqual(milepost.schema(typing.Any), True)

    def test_values_become_what_the_types_say(self):
        row = milepost.convert({"id": 1, "tags": ["x"], "price": 2}, Row)
        self.assertEqual(row, Row(1, ["x"], 2.0, None))
        self.assertEqual(milepost.convert([{"id": 1, "tags": []}], list[Row]), [Row(1, [])])

    def test_what_does_not_fit_is_refused_with_its_place(self):
        for value, place in [
            ({"id": "1", "tags": []}, "the input.id"),
            ({"id": True, "tags": []}, "the input.id"),
            ({"id": 1, "tags": ["a", 2]}, "the input.tags[1]"),
            ({"tags": []}, "`id`"),
            ({"id": 1, "tags": [], "other": 1}, "`other`"),
            ([], "the input"),
        ]:
            with self.assertRaises(milepost.Failed) as caught:
                milepost.convert(value, Row)
            self.assertEqual(caught.exception.code, "invalid_input")
            self.assertIn(place, str(caught.exception))


class Steps(unittest.TestCase):
    def test_a_decorated_function_is_a_step(self):
        @milepost.step
        def double(row: Row) -> list[Row]:
            """Twice.

            More."""
            return [row, row]

        shape = json.loads(milepost.Guest().describe())["steps"]["double"]
        self.assertEqual(shape["description"], "Twice.")
        self.assertEqual(shape["output"]["items"], shape["input"])
        output = milepost.Guest().run("double", '{"id":1,"tags":["ü"]}')
        self.assertEqual(json.loads(output), [{"id": 1, "tags": ["ü"], "price": 0.0, "note": None}] * 2)

    def test_any_other_exception_is_a_failure_with_its_place(self):
        @milepost.step
        def wrong():
            return 1 / 0

        with self.assertRaises(Err) as caught:
            milepost.Guest().run("wrong", "{}")
        kind, failure = caught.exception.value
        self.assertEqual((kind, failure.code), ("failed", "exception"))
        self.assertIn("ZeroDivisionError", failure.message)
        self.assertIn("in wrong", failure.detail)
        with self.assertRaises(Err):
            milepost.Guest().run("none", "{}")


if __name__ == "__main__":
    unittest.main()
