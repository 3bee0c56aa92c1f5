"""Answers held in balance, and what guessing without the video scores (beyond STEP Sec. 3.2)."""

from model.rationale.balance import Balance, Blind
from model.rationale.qra import Qra


def sample(
    answer: str, video: int, form: str = "open", options: tuple[str, ...] = (), template: str = "value color 0"
) -> Qra:
    question = "Which?"
    return Qra(
        "id", f"vid_{video}", "run", question, ("It is.",), answer, 1, 0, "attribute", (), (), (), (), form, options, template  # type: ignore[arg-type]
    )  # fmt: skip


def test_an_answer_that_is_too_frequent_does_not_fit_until_others_caught_up() -> None:
    balance = Balance()
    assert balance.fits(sample("blue", 0))
    taken = 0
    while balance.fits(sample("red", 0)) and taken < 50:
        balance.take(sample("red", 0))
        taken += 1
    assert taken < 10
    for _ in range(taken):
        assert balance.fits(sample("blue", 0))
        balance.take(sample("blue", 0))
    assert balance.fits(sample("red", 0))
    balance.take(sample("yes", 0, "yes_no"))
    balance.take(sample("yes", 1, "yes_no"))
    assert balance.fits(sample("no", 0, "yes_no")) and not balance.fits(sample("yes", 2, "yes_no"))
    options = ("first clip", "second clip", "third clip")
    taken = 0
    while balance.fits(sample("first clip", 0, "choice", options)) and taken < 50:
        balance.take(sample("first clip", 0, "choice", options))
        taken += 1
    assert taken < 10 and balance.fits(sample("third clip", 0, "choice", options))


def test_yes_is_as_frequent_as_no_about_each_topic() -> None:
    balance = Balance()
    for video in range(2):
        balance.take(sample("yes", video, "yes_no", template="value color 0"))
        balance.take(sample("no", video, "yes_no", template="value size 0"))
    assert not balance.fits(sample("yes", 1, "yes_no", template="value color 1"))
    assert balance.fits(sample("no", 1, "yes_no", template="value color 1"))
    assert balance.fits(sample("yes", 1, "yes_no", template="value size 1"))


def test_the_best_blind_guess_is_learned_on_other_videos() -> None:
    blind = Blind()
    for video in range(40):
        blind.take(sample("red" if video % 4 else "blue", video))
        blind.take(sample("yes" if video % 2 else "no", video, "yes_no"))
        blind.take(sample("red", video, "choice", ("red", "blue", "green")))
    told = blind.accuracy()["attribute"]
    assert told["open"] == {"tried": 40, "guessed": 0.75, "chance": 0.5}
    assert told["choice"] == {"tried": 40, "guessed": 1.0, "chance": 0.3333}
    assert told["yes_no"]["chance"] == 0.5 and told["yes_no"]["guessed"] <= 0.6
