"""What the exit codes of all commands mean: the gate's, for every question that has a yes and a no."""

__all__ = ["COULD_NOT_ASK", "INTERRUPTED", "NO", "UNDECIDED", "WORDS", "WRONG_USE"]

NO = 1
WRONG_USE = 2
UNDECIDED = 3
COULD_NOT_ASK = 4
INTERRUPTED = 130

WORDS = {
    0: "fine, or done",
    NO: "the answer is no: a regression, an open incident, an invalid score, problems in an item set",
    WRONG_USE: "wrong use: an option, a file, a setting, or two things that can't be compared",
    UNDECIDED: "undecided, or no data yet",
    COULD_NOT_ASK: "could not ask: the model, the sidecar or the store gave no answer",
    INTERRUPTED: "interrupted with Ctrl-C",
}
