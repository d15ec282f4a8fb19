"""Reads the profile that `apollo-sync probe` writes, and says whose it is."""

from __future__ import annotations

import logging
from pathlib import Path

from target_apollo.config.settings import SettingsError
from target_apollo.model.team_profile import (
    NO_PROFILE,
    ProfileUnusable,
    TeamProfile,
    read_profile,
)
from target_apollo.system.files import read_file


def load_profile(path: str) -> TeamProfile | None:
    """The profile in a file; None if there is no such file, or no path.

    Raises:
        SettingsError: It can't be read, is broken, or a newer release has written it.
    """
    if not path:
        return None
    try:
        return read_profile(read_file(Path(path)).decode())
    except FileNotFoundError:
        return None
    except UnicodeDecodeError:
        why = "is no text"
    except OSError as problem:
        why = f"can't be read ({problem.strerror})"
    except ProfileUnusable as problem:
        why = str(problem)
    raise SettingsError(
        [f"The profile {path} {why}: run `apollo-sync probe` again, or remove the file."]
    )


def profile_of_team(
    path: str, connection: str, api_url: str, logger: logging.Logger
) -> TeamProfile:
    """The profile of a team, for a run; without answers where there is none.

    A profile of another team or address is not used, and that is said.

    Args:
        connection: The team's id, or what stands for it.

    Raises:
        SettingsError: As `load_profile`.
    """
    profile = load_profile(path)
    if profile is None:
        return NO_PROFILE
    if profile.is_of(connection, api_url):
        logger.info("The run goes by the profile %s, asked at %s.", path, profile.asked_at)
        return profile
    logger.warning(
        "The profile %s is of another Apollo team or another address, so it is not used: run "
        "`apollo-sync probe` for this one, or name another file in profile_path.",
        path,
    )
    return NO_PROFILE
