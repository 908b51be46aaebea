"""What a ModelServerConfig is refused for, in TensorFlow Serving's words."""

import pytest
from google.protobuf import text_format

from tfsage.serving.model_config import ModelServerConfig, check_config, config_of
from tfsage.serving.status import ServingError

GOOD = 'config { name: "a" base_path: "/a" model_platform: "tensorflow" }'


def config(text: str) -> ModelServerConfig:
    return text_format.Parse(f"model_config_list {{ {text} }}", ModelServerConfig())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (GOOD + GOOD, "Illegal to list model a multiple times in config list"),
        (
            'config { name: "a" base_path: "models/a" model_platform: "tensorflow" }',
            "Expected model a to have an absolute path or URI; got base_path()=models/a",
        ),
        (
            'config { name: "a" base_path: "/a" }',
            "Illegal setting neither ModelServerConfig::model_type (deprecated) nor ModelServerConfig::model_platform, "
            "model name is a",
        ),
        (
            'config { name: "a" base_path: "/a" model_platform: "tensorflow" model_type: TENSORFLOW }',
            "Illegal setting both ModelServerConfig::model_type (deprecated) and ModelServerConfig::model_platform, "
            "model name is a",
        ),
        (
            'config { name: "b" base_path: "/b" model_platform: "torch" }',
            "Model b requests unsupported platform torch",
        ),
        (
            'config { name: "a" base_path: "/a" model_platform: "torch" }',
            "Illegal to change a model's platform. For model a platform was tensorflow and new platform requested is "
            "torch",
        ),
    ],
)
def test_refusals(text, message):
    with pytest.raises(ServingError) as refused:
        check_config(config(text), config(GOOD))
    assert (refused.value.code.name, refused.value.message) == ("INVALID_ARGUMENT", message)


@pytest.mark.parametrize("text", ["", "custom_model_config { }"])
def test_only_a_list_of_models_is_served(text):
    with pytest.raises(ServingError, match="Only ModelConfigList is currently supported$"):
        check_config(text_format.Parse(text, ModelServerConfig()), ModelServerConfig())


def test_what_is_served(tmp_path):
    made = config_of({"a": tmp_path / "a"})
    check_config(made, ModelServerConfig())
    assert made == config(f'config {{ name: "a" base_path: "{tmp_path}/a" model_platform: "tensorflow" }}')
    check_config(config(""), made)
    check_config(config('config { name: "a" base_path: "gs://b/a" model_type: TENSORFLOW }'), made)
