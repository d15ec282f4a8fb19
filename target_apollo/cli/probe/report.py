"""The report of a probe, as Markdown that can be put into an issue. Pure.

It holds the words of the table of questions, numbers, and nothing of the team: no name, address,
id or key, since no value of Apollo's answers gets into it. It is read in terminals too, so no line
is longer than `WIDTH`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from target_apollo.cli.probe.questions import ALSO_NOT_ASKED, CANNOT_BE_ASKED
from target_apollo.cli.probe.run import Finding
from target_apollo.model.team_profile import TeamProfile
from target_apollo.reporting.terminal import wrapped

#: Characters of the longest line.
WIDTH = 80


def report_of(
    findings: Sequence[Finding],
    requests: Mapping[str, int],
    profile: TeamProfile,
    *,
    ended_at: str = "",
) -> str:
    """The report.

    Args:
        requests: Requests that were sent, by endpoint.
        ended_at: The endpoint at which the probe ended early; empty: it did not.
    """
    asked = sum(finding.seen is not None for finding in findings)
    lines = [
        "# What this team's Apollo does",
        "",
        *_wrapped(
            f"Asked by `apollo-sync probe` of target-apollo {profile.version} at {profile.host}, "
            f"{profile.asked_at}: {asked} of {len(findings)} questions have an answer."
        ),
    ]
    if ended_at:
        lines += ["", *_wrapped(f"The probe ended early, at {ended_at}.")]
    lines += [
        "",
        "| Question | Answer |",
        "|---|---|",
        *(f"| `{finding.question.name}` | {finding.answer} |" for finding in findings),
    ]
    for finding in findings:
        lines += ["", *_about(finding)]
    lines += [
        "",
        "## Never asked",
        "",
        *_listed((f"`{name}`", reason) for name, reason in CANNOT_BE_ASKED.items()),
        *_listed(ALSO_NOT_ASKED.items()),
        "",
        "## Requests",
        "",
        "| Endpoint | Requests |",
        "|---|---|",
        *(f"| `{endpoint}` | {count} |" for endpoint, count in sorted(requests.items())),
    ]
    return "\n".join(lines) + "\n"


def _about(finding: Finding) -> Iterator[str]:
    """A question, what a run assumes, and what was seen."""
    question, seen = finding.question, finding.seen
    yield from (f"## {question.name}", "", *_wrapped(question.text), "")
    facts = [("assumed by a run", question.assumed)]
    if seen is None:
        facts.append(("not asked", finding.reason))
    else:
        note = f" ({seen.note})" if seen.note else ""
        facts.append(("seen", f"**{seen.answer}**{note}"))
        facts.append(("what follows", question.consequence(seen.answer)))
    yield from _listed(facts)


def _listed(facts: Iterable[tuple[str, str]]) -> Iterator[str]:
    for name, text in facts:
        yield from _wrapped(f"- {name}: {text}", "  ")


def _wrapped(text: str, indent: str = "") -> list[str]:
    return wrapped(text, WIDTH, indent)
