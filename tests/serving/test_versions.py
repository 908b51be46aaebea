"""Version folders and policies, as TensorFlow Serving reads them."""

import pytest
from google.protobuf import text_format

from tfsage.serving.versions import Policy, aspired_versions, version_folders


def test_only_folders_with_a_number_as_their_whole_name_count(tmp_path):
    for name in ("3", "00012", "1700000000", "3.partial", "v4", "-5", "+6", " 7", "٣", str(2**63), str(2**63 - 1)):
        (tmp_path / name).mkdir()
    (tmp_path / "9").write_text("a file")
    assert {version: path.name for version, path in version_folders(tmp_path).items()} == {
        3: "3",
        12: "00012",
        1700000000: "1700000000",
        2**63 - 1: str(2**63 - 1),
    }


def test_of_two_names_for_one_number_one_is_taken(tmp_path):
    for name in ("01", "1"):
        (tmp_path / name).mkdir()
    assert [path.name for path in version_folders(tmp_path).values()] == ["01"]


def test_a_missing_folder_is_not_an_empty_one(tmp_path):
    assert version_folders(tmp_path) == {}
    with pytest.raises(OSError, match="missing"):
        version_folders(tmp_path / "missing")


@pytest.mark.parametrize(
    ("policy", "versions"),
    [
        ("", [7]),
        ("latest { }", [7]),
        ("latest { num_versions: 2 }", [5, 7]),
        ("latest { num_versions: 9 }", [1, 5, 7]),
        ("all { }", [1, 5, 7]),
        ("specific { versions: 1 versions: 6 versions: 7 }", [1, 7]),
        ("specific { }", []),
    ],
)
def test_policies(policy, versions, tmp_path):
    folders = {version: tmp_path / str(version) for version in (5, 1, 7)}
    aspired = aspired_versions(text_format.Parse(policy, Policy()), folders)
    assert aspired == {version: folders[version] for version in versions}
