"""What importing the package does, each time in a new process."""

import subprocess
import sys


def python(code: str) -> subprocess.CompletedProcess:
    environment = {"PATH": "/usr/bin:/bin", "TF_CPP_MIN_LOG_LEVEL": "3"}
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False)


def test_importing_is_cheap_and_chooses_keras_2():
    done = python(
        "import sys, tfsage; assert 'tensorflow' not in sys.modules and 'numpy' not in sys.modules\n"
        "import tensorflow as tf; assert tf.keras.Model.__module__.startswith('tf_keras')"
    )
    assert done.returncode == 0, done.stderr


def test_tensorflow_may_come_first_while_its_keras_is_not_loaded():
    done = python("import tensorflow, tfsage, tensorflow_recommenders")
    assert done.returncode == 0, done.stderr


def test_keras_3_first_is_an_error_that_names_the_remedy():
    done = python("import tensorflow as tf; tf.keras.Model; import tfsage")
    assert done.returncode == 1
    assert "Import tfsage first, or set TF_USE_LEGACY_KERAS=1" in done.stderr


def test_public_names_resolve():
    done = python("import tfsage; [getattr(tfsage, name) for name in tfsage.__all__]")
    assert done.returncode == 0, done.stderr
