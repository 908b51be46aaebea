"""JSON in TensorFlow Serving's dialect; numbers against the rule of `WriteDecimal`, written here by hand."""

import json

import numpy as np
import pytest

from tfsage.serving.json_values import decimal, echo, parse, type_name, write
from tfsage.serving.status import ServingError


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (np.float32(0.2), "0.2"),
        (np.float64(0.2), "0.2"),
        (np.float32(1), "1.0"),
        (np.float32(-0.0), "-0.0"),
        (np.float32(9e6), "9e+06"),
        (np.float32(3e-5), "3e-05"),
        (np.float32(1 / 3), "0.333333343"),
        (np.float64(1 / 3), "0.33333333333333331"),
        (np.float32(16777216), "16777216.0"),
        (np.float32("nan"), "NaN"),
        (np.float32("inf"), "Infinity"),
        (np.float64("-inf"), "-Infinity"),
    ],
)
def test_numbers_are_written_as_tensorflow_serving_writes_them(value, text):
    assert decimal(value) == text


def test_every_float_reads_back_to_itself():
    bits = np.random.default_rng(0).integers(0, 2**32, 2000, dtype=np.uint64).astype(np.uint32)
    for value in bits.view(np.float32):
        back = np.float32(json.loads(decimal(value)))
        assert back == value or (np.isnan(back) and np.isnan(value))


def test_written_json_is_indented_and_reads_back():
    value = {"error": 'say "no"\n', "list": [[1, True, None], [], {"b64": "YQ=="}], "empty": {}}
    text = write(value).decode()
    assert json.loads(text) == value
    assert text.startswith('{\n    "error": "say \\"no\\"\\n",\n    "list": [[1, true, null], [], {')


def test_bytes_that_are_not_utf8_pass_through_both_ways():
    body = b'{"text": "\xff\xc3\xa9"}'
    assert write(parse(body)) == b'{\n    "text": "\xff\xc3\xa9"\n}'


def test_what_follows_the_document_is_ignored_and_special_numbers_are_read():
    value = parse(b' \n{"x": [NaN, -Infinity, 1e3]} trailing {')
    assert np.isnan(value["x"][0]) and value["x"][1:] == [-np.inf, 1000.0]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "JSON Parse error: The document is empty"),
        (b"   ", "JSON Parse error: "),
        (b'{"a": }', "JSON Parse error: Expecting value at offset: 6"),
        (b'{"a" 1}', "JSON Parse error: "),
        (b"[" * 100_000, "JSON Parse error: "),
        (b"9" * 10_000, "JSON Parse error: "),
    ],
)
def test_mistakes_are_invalid_arguments(body, message):
    with pytest.raises(ServingError) as refused:
        parse(body)
    assert refused.value.code.name == "INVALID_ARGUMENT"
    assert refused.value.message.startswith(message)


def test_echoes_are_cut():
    assert echo([1, "a"]) == '[1, "a"]'
    assert len(echo(["word"] * 1000)) < 256 + 10
    assert len(echo("x" * 10_000)) <= 256


@pytest.mark.parametrize(
    ("value", "name"),
    [(None, "Null"), (True, "True"), (False, "False"), (1, "Number"), (1.5, "Number"), ("a", "String"), ([], "Array")],
)
def test_types_have_rapidjsons_names(value, name):
    assert type_name(value) == name


def test_half_a_surrogate_pair_is_written_as_the_replacement_character_and_bytes_as_they_came():
    assert write({"error": "\ud800a\udfff"}).decode() == '{\n    "error": "\ufffda\ufffd"\n}'
    assert write(["\udcff"]) == b'["\xff"]'
