"""The one base class of every error that a user can cause or mend."""


class UserError(Exception):
    """A problem that the message explains in one line: what, the value received, what is allowed, what to do."""
