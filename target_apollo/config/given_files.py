"""The JSON files that a command line names: settings, a catalog, a state."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from target_apollo.config.settings import SettingsError
from target_apollo.system.files import read_file

#: In place of a path: the environment variables.
ENVIRONMENT = "ENV"


def read_object(path: str, what: str = "settings") -> dict[str, Any]:
    """The JSON object in a file; `what` names the file in sentences ("catalog").

    Raises:
        SettingsError: It can't be read or is no JSON object. The sentence shows neither the file's
            text nor the parser's, since a secret may be where it broke.
    """
    try:
        # Editors and shells of Windows put a byte order mark before the text.
        content = json.loads(read_file(Path(path)).decode("utf-8-sig"))
    except OSError as problem:
        why = f"can't be read: {problem.strerror}"
    except json.JSONDecodeError as problem:
        why = f"is no JSON: see line {problem.lineno}"
    except (ValueError, RecursionError):
        why = "is no JSON in UTF-8"
    else:
        if isinstance(content, dict):
            return content
        why = "must hold a JSON object"
    raise SettingsError([f"The {what} file {path} {why}."])
