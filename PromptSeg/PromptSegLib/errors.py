"""What can go wrong for a user, each as one sentence with a remedy.

Every error that a user can cause or meet is a :class:`PromptSegError`; the front ends print ``str(error)`` and stop.
Anything else that escapes is a defect of ours.
"""

from __future__ import annotations

import errno
from collections.abc import Iterable, Sequence

MAX_LETTERS = 700
"""Of a problem, and of a remedy: what is repeated in them may come from anybody, and be of any length."""


def few(names: Sequence[object], limit: int = 3) -> str:
    """The first names, and how many more there are: what fits into a sentence."""
    more, shown = len(names) - limit, ", ".join(map(str, names[:limit]))
    return f"{shown} and {more} more" if more > 0 else shown


def quoted(names: Iterable[object], limit: int = 12) -> str:
    """Names in quotation marks, for a sentence: they may hold commas, colons and full stops themselves."""
    marked = [f'"{name}"' if "'" in str(name) else f"'{name}'" for name in names]
    return few(marked, limit)


def _printable(text: str) -> str:
    """One line without full stop; bytes of a name that are not UTF-8, which no screen can show, as question marks."""
    return " ".join(text.split()).rstrip(".").encode("utf-8", "replace").decode("utf-8")


def short(text: object, limit: int = 200) -> str:
    """A name or path as it fits into a sentence: the middle of a long one is left out."""
    plain = str(text)
    return plain if len(plain) <= limit else f"{plain[: limit // 2]} ... {plain[-limit // 3 :]}"


class PromptSegError(Exception):
    """A problem that the user can do something about.

    ``problem`` says what is wrong, without a full stop; ``remedy`` says what to do, as a clause that follows a
    colon-free sentence. ``str()`` joins them into one line. Of what is endless, the middle is left out.
    """

    def __init__(self, problem: str, remedy: str = "") -> None:
        self.problem = short(_printable(problem), MAX_LETTERS)
        self.remedy = short(_printable(remedy), MAX_LETTERS)
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


class TakenError(OutputError):
    """A new file that is there already: another process was quicker."""


class Stopped(Exception):  # noqa: N818 - not an error: the user asked for it
    """Raised inside the computing parts when ``should_stop()`` says so; nothing is half-delivered."""


UNREADABLE = (
    *(ValueError, TypeError, KeyError, AttributeError, IndexError),
    *(OverflowError, RecursionError),
)
"""What making something of another's JSON may raise: it may hold infinity, numbers of a thousand digits, lists in lists
in lists, and anything in the place of anything."""

_SYSTEM_PROBLEMS = {
    errno.ENOSPC: ("The disk is full", "free some space"),
    errno.EDQUOT: ("The disk quota is used up", "free some space"),
    errno.EACCES: ("A file or folder may not be used", "check its permissions"),
    errno.EPERM: ("A file or folder may not be used", "check its permissions"),
    errno.EROFS: ("The disk may only be read", "choose another folder"),
    errno.EMFILE: ("Too many files are open", "allow more (ulimit -n), or do fewer volumes at once"),
    errno.ENFILE: ("Too many files are open on this computer", "close other programs"),
    errno.EAGAIN: ("No further process or thread may be started", "allow more (ulimit -u), or close other programs"),
    errno.EIO: ("A disk or network folder failed", "copy the files to another disk"),
    errno.ESTALE: ("A network folder is gone", "connect it again"),
    errno.EHOSTDOWN: ("A network folder is gone", "connect it again"),
    errno.ENOTCONN: ("A network folder is gone", "connect it again"),
    errno.ENAMETOOLONG: ("A file name is too long", "choose a shorter one"),
}


_ABOUT_ONE_FILE = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENAMETOOLONG, errno.ENOSPC, errno.EDQUOT)
"""What whoever reads or writes a file says in its own words."""

_NO_ROOM = ("failed to map segment", "cannot allocate memory", "bad_alloc", "can't start new thread")
"""How libraries, and what loads them, say that there is no memory left."""


def system_problem(error: BaseException) -> PromptSegError | None:
    """What the computer fails in, where that is why a file cannot be read or written: too many open files, a disk or
    network folder that failed, no memory. None where the file itself, or its name, is the reason."""
    number = getattr(error, "errno", None)
    known = number in _SYSTEM_PROBLEMS and number not in _ABOUT_ONE_FILE
    return as_problem(error) if known or number == errno.ENOMEM else None


def as_problem(error: BaseException) -> PromptSegError | None:
    """What the user can do something about, as a sentence; None for a defect."""
    if isinstance(error, PromptSegError):
        return error
    text = str(error).lower()
    if isinstance(error, RuntimeError) and ("out of memory" in text or "can't allocate memory" in text):
        if "cuda" in text or "mps" in text:
            return PromptSegError(
                "The GPU's memory is not enough", "close what else uses it, or compute on the CPU (--device cpu)"
            )
        error = MemoryError()
    if isinstance(error, (ImportError, OSError, RuntimeError)) and any(sign in text for sign in _NO_ROOM):
        error = MemoryError()
    if isinstance(error, MemoryError) or getattr(error, "errno", None) == errno.ENOMEM:
        return PromptSegError("This computer's memory is not enough", "close other programs or crop the image")
    if isinstance(error, ModuleNotFoundError) and error.name and not error.name.startswith(__package__ or "."):
        package = error.name.partition(".")[0]
        return PromptSegError(f"The Python package {package} is not installed", f"run pip install {package}")
    if isinstance(error, (ImportError, OSError)) and "cannot open shared object file" in text:
        library = str(error).partition(":")[0]
        return PromptSegError(
            f"The library {library} is not there", "install it, or the Python package that brings it, again"
        )
    if isinstance(error, ValueError) and text.startswith("embedded null"):
        return PromptSegError("A file name holds a zero byte, which no file's does", "correct the name")
    if isinstance(error, OSError) and error.errno in _SYSTEM_PROBLEMS:
        problem, remedy = _SYSTEM_PROBLEMS[error.errno]
        return PromptSegError(f"{problem} ({short(error.filename)})" if error.filename else problem, remedy)
    return None
