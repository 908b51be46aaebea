"""Random requests of every shape that the OpenAPI document allows, and many that it does not: nothing breaks."""

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

CHECKS = (not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance)
EXAMPLES = 8


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["valid", "not valid"])
def test_every_answer_is_one_that_the_document_announces(world, mode):
    document = schemathesis.openapi.from_url(f"{world.http.base_url}/openapi.json")
    asked = set()
    for result in document.get_all_operations():
        operation = result.ok()
        takes_something = operation.body or operation.path_parameters
        if mode is GenerationMode.NEGATIVE and not takes_something:
            continue

        @settings(
            max_examples=EXAMPLES if takes_something else 1,
            deadline=None,
            derandomize=True,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy(generation_mode=mode))
        def check(case):
            case.call_and_validate(checks=CHECKS)

        check()
        asked.add(operation.path)
    assert {"/search", "/similar", "/home"} <= asked
    assert world.http.get("/health").status_code == 200
