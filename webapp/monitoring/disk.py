"""How much room is left where the service writes."""

import logging
import os
from collections.abc import Iterator
from pathlib import Path

from webapp.config import Config
from webapp.metrics import DiskSpace
from webapp.metrics_files import DIRECTORY

log = logging.getLogger(__name__)


def disk_spaces(config: Config) -> Iterator[DiskSpace]:
    """Yield the space of each file system that the service writes to, once."""
    known = set()
    for place, folder in _folders(config):
        try:
            device = folder.stat().st_dev
            found = os.statvfs(folder)
        except OSError as error:
            log.warning("the space of %s is not known: %s", folder, error.strerror)
            continue
        if device not in known:
            known.add(device)
            free, size = (blocks * found.f_frsize for blocks in (found.f_bavail, found.f_blocks))
            yield DiskSpace(place, free, size)


def _folders(config: Config) -> Iterator[tuple[str, Path]]:
    """Yield the folders that are written to, the most important ones first."""
    yield "instance", config.instance
    if not config.database_url:  # its file may be a link to another disk
        yield "database", config.sqlite_file.resolve().parent
    if DIRECTORY in os.environ:
        yield "metrics", Path(os.environ[DIRECTORY])
