"""The gateway for the logging system."""

from __future__ import annotations

import logging

from flowpilot_desktop.core.redaction.gateway import Redactor

_FORMATTER = logging.Formatter()


class RedactingFilter(logging.Filter):
    """Redacts message, traceback and stack of every record that passes.

    Belongs on each handler, not on a logger: a logger's filters do not see what its children log.
    """

    def __init__(self, redactor: Redactor | None = None) -> None:
        super().__init__()
        self._redactor = redactor or Redactor()

    def filter(self, record: logging.LogRecord) -> bool:
        """Redact the record in place and let it pass."""
        try:
            message = record.getMessage()
        except (TypeError, ValueError, KeyError):
            # Arguments that do not fit their format must not carry a secret past the gateway.
            message = f"{record.msg} (its arguments do not fit)"
        record.msg = self._redactor.redact(message).text
        record.args = None
        if record.exc_info and not record.exc_text:
            record.exc_text = _FORMATTER.formatException(record.exc_info)
        if record.exc_text:
            record.exc_text = self._redactor.redact(record.exc_text).text
            record.exc_info = None
        if record.stack_info:
            record.stack_info = self._redactor.redact(record.stack_info).text
        return True
