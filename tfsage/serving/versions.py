"""Version folders below a model's base path, and which of them a policy asks for."""

import re
from pathlib import Path

from tensorflow_serving.config import file_system_storage_path_source_pb2 as source_pb2

Policy = source_pb2.FileSystemStoragePathSourceConfig.ServableVersionPolicy

_NUMBER = re.compile(r"[0-9]{1,19}")
_MAX_INT64 = 2**63 - 1


def version_folders(base_path: Path) -> dict[int, Path]:
    """The folders below `base_path` whose whole name is a version number, by that number.

    Leading zeros are fine; where two names mean the same number, the first in order of names is taken.

    Raises:
        OSError: `base_path` is missing or cannot be listed.
    """
    folders = {}
    for path in sorted(base_path.iterdir()):
        if _NUMBER.fullmatch(path.name) and int(path.name) <= _MAX_INT64 and path.is_dir():
            folders.setdefault(int(path.name), path)
    return folders


def aspired_versions(policy: Policy, folders: dict[int, Path]) -> dict[int, Path]:
    """Those versions that the policy wants served; without a policy the highest one."""
    choice = policy.WhichOneof("policy_choice")
    if choice == "all":
        return dict(folders)
    if choice == "specific":
        return {version: folders[version] for version in policy.specific.versions if version in folders}
    newest = max(1, policy.latest.num_versions)
    return {version: folders[version] for version in sorted(folders)[-newest:]}
