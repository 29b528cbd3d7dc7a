"""What moments in rows mean to a clock that may have been put back since they were written."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa


def long_past(
    moment: sa.ColumnElement[datetime], before: datetime, *, now: datetime
) -> sa.ColumnElement[bool]:
    """Before that moment, or so far in the future that only another clock can have said so: then nobody knows
    how long ago it was.
    """
    return (moment < before) | (moment > now + abs(now - before))
