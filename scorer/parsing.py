"""From a model's text to an answer, under one of three profiles. The rules themselves are in the modules beside."""

from collections.abc import Sequence

from scorer.answers import Answer, Profile, Unparseable, UnparseableReason
from scorer.diagnosis import sharpen
from scorer.official_parsing import parse_lm_eval, parse_official
from scorer.prompts import Language
from scorer.tolerant_parsing import parse_tolerant

__all__ = ["Answer", "Profile", "Unparseable", "UnparseableReason", "parse"]


def parse(
    text: str,
    emotions: Sequence[str],
    *,
    profile: Profile,
    language: Language = "en",
    revise: bool = False,
    finish_reason: str = "",
) -> Answer | Unparseable:
    """Reads the intensities of ``emotions``, or says why there are none. Never raises, whatever the text.

    revise: whether the text was asked for both passes. finish_reason: the API's, in any dialect; it decides no
    acceptance under ``official`` and ``lm-eval`` but tells a refusal or a cut-off answer from a bad one.
    """
    if profile == "tolerant":
        return parse_tolerant(text, emotions, revise=revise, finish_reason=finish_reason)
    if profile == "official":
        found = parse_official(text, emotions, language=language, revise=revise)
    else:
        found = parse_lm_eval(text, emotions)
    return sharpen(found, text, finish_reason) if isinstance(found, Unparseable) else found
