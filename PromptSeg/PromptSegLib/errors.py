"""What can go wrong for a user, each as one sentence with a remedy.

Every error that a user can cause or meet is a :class:`PromptSegError`; the faces print ``str(error)`` and stop.
Anything else that escapes is a defect of ours.
"""

from __future__ import annotations


class PromptSegError(Exception):
    """A problem that the user can do something about.

    ``problem`` says what is wrong, without a full stop; ``remedy`` says what to do, as a clause that follows a
    colon-free sentence. ``str()`` joins them into one line.
    """

    def __init__(self, problem: str, remedy: str = "") -> None:
        self.problem = " ".join(problem.split()).rstrip(".")
        self.remedy = " ".join(remedy.split()).rstrip(".")
        super().__init__(f"{self.problem}; {self.remedy}." if self.remedy else f"{self.problem}.")


class InputError(PromptSegError):
    """A file or volume that cannot be used: missing, unreadable, not three-dimensional, not finite."""


class GridError(PromptSegError):
    """Two things that should lie on one grid do not."""


class AnnotationError(PromptSegError):
    """Annotations that nothing can be learned from, or that contradict each other."""


class PromptError(PromptSegError):
    """A prompt or ``.promptset`` file that cannot be used: damaged, foreign, or for another backbone."""


class BackboneError(PromptSegError):
    """A backbone file that is missing, damaged or of an unknown kind."""


class DeviceError(PromptSegError):
    """The computing device that was asked for is not there, or ran out of memory."""


class OutputError(PromptSegError):
    """A result that cannot be written: no such folder, no permission, no space."""


class Stopped(Exception):  # noqa: N818 - not an error: the user asked for it
    """Raised inside the computing parts when ``should_stop()`` says so; nothing is half-delivered."""
