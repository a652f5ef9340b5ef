"""The part of the report on the store: whether it is as it was written."""

from dataclasses import dataclass

from sqlalchemy import func, select

from webapp.extensions import db
from webapp.metrics_stored import Checked
from webapp.monitoring.checks import Audited, last_check
from webapp.monitoring.reporting.verdict import Finding, finding
from webapp.monitoring.tables import MISCOUNTED, WatchedHour


@dataclass(frozen=True)
class Checks:
    """What the watch has found in the store."""

    miscounted: int  # hours that hold other decisions than were counted
    audited: Audited | None

    @property
    def findings(self) -> list[Finding]:
        """What people should know of the store."""
        found = []
        if self.audited and self.audited.first_bad:
            reason = self.audited.first_bad
            found.append(finding("audit_log", where=lambda _: reason))
        if self.miscounted or (self.audited and self.audited.uncounted):
            found.append(finding("miscounted"))
        return found


def checks() -> Checks:
    """Return what was found when each hour was counted, and when the log was last verified."""
    miscounted = select(func.count()).select_from(WatchedHour).where(MISCOUNTED)
    return Checks(db.session.scalar(miscounted) or 0, last_check())


def checked() -> Checked:
    """Return the same for the metrics."""
    found = checks()
    if found.audited is None:
        return Checked(found.miscounted)
    last = found.audited
    return Checked(
        found.miscounted,
        last.uncounted,
        last.verified_at.timestamp(),
        last.entries,
        last.first_bad is None,
    )
