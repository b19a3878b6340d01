"""What can go wrong, in the program's words: what failed, why, and how to mend it."""

from __future__ import annotations

import os


class Error(Exception):
    """Every error that tomograph raises on purpose. Its text says what failed, why, and how to mend it."""


class InputError(Error, ValueError):
    """Something that was given cannot be used: a ValueError."""


class FileError(Error, OSError):
    """A file or folder cannot be read or written: an OSError."""


class MissingFileError(FileError, FileNotFoundError):
    """There is nothing at a path: a FileNotFoundError."""


def about(path: str | os.PathLike[str], error: FileError) -> FileError:
    """The same error, as one of a missing file where nothing is at `path`."""
    return error if os.path.lexists(path) else MissingFileError(str(error))
