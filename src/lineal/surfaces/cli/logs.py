"""What is logged: to standard error, for people on a terminal, as JSON lines anywhere else.

Standard output belongs to answers. A traceback is logged without the values in it, which may hold
secrets.
"""

from __future__ import annotations

import sys

import structlog
from stamina.instrumentation import set_on_retry_hooks


def begin(level: str) -> None:
    """Log from *level* on, such as ``warning``."""
    # That a page of a list is asked for once more is no news; what comes of it is.
    set_on_retry_hooks([])
    terminal = sys.stderr.isatty()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *(_for_people() if terminal else _for_programs()),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        # Looked up anew each time: a program may put another stream in its place.
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
    )


def _for_people() -> list[structlog.typing.Processor]:
    plain = structlog.dev.plain_traceback
    return [structlog.dev.ConsoleRenderer(exception_formatter=plain)]


def _for_programs() -> list[structlog.typing.Processor]:
    return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
